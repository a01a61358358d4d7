"""Continuous batching: prompts wait for a free slot, and motions that have ended make room for others at once.

What is drawn is what `decoding` draws: each motion has random numbers of its own, so neither its neighbours nor the
time at which it is decoded matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence

import torch
from torch import Tensor

from motionllm.language.vocab import MotionVocab
from motionllm.lm.cached import CausalLM
from motionllm.lm.decoding import Batch, Request, Seed, batch_of, draw, generators, mixed, repeating
from motionllm.lm.loss import logits, output_rows
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.lm.slots import MOST, Slots, slots_of
from motionllm.lm.spelling import Spelling, Writings
from motionllm.motion.grammar import Writing

ROOM = 256  # tokens that a notation is first given room for
FREE = 8  # prompts are read when this share of the slots is free, an eighth: reading a few costs as much as many


class _Queue:
    """Which request is in which slot. A request takes `each` slots, `apart` from each other: two where it is guided."""

    def __init__(self, waiting: Sequence[int], slots: int, guided: bool) -> None:
        self.each = 2 if guided else 1
        self.apart = slots // self.each
        self.holder = [-1] * self.apart
        self.waiting = deque(waiting)

    def active(self) -> Tensor:
        """Slots that hold a request."""
        return torch.tensor([slot for slot, holder in enumerate(self.holder) if holder >= 0], dtype=torch.long)

    def leave(self, ended: Sequence[int]) -> None:
        """Free the slots of requests that have ended."""
        gone = set(ended)
        self.holder = [-1 if holder in gone else holder for holder in self.holder]

    def enter(self) -> list[int]:
        """Give free slots to waiting requests; the slots that got one."""
        free = [slot for slot, holder in enumerate(self.holder) if holder < 0]
        enough = len(free) * FREE >= self.apart or len(free) >= len(self.waiting)
        taken = free[: len(self.waiting)] if enough else []
        for slot in taken:
            self.holder[slot] = self.waiting.popleft()
        return taken

    def both(self, slots: Tensor) -> Tensor:
        """Slots with, where guided, those of the prompts without text."""
        return torch.cat([slots, slots + self.apart]) if self.each == 2 else slots


@torch.inference_mode()
def places(
    model: CausalLM,
    vocab: MotionVocab,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    seed: Seed = None,
    window: int | None = None,
    width: int = MOST,
) -> Iterator[list[tuple[int, ...]]]:
    """See `decoding.places`. width: the number of slots at most. A motion that fills its window slides by itself."""
    batch, guided = batch_of(requests, vocab, sampling, window)
    random = generators(seed, len(requests))
    head = output_rows(model, vocab)[1][1:].float()
    config = model.config.get_text_config()
    todo = batch.alive.nonzero()[:, 0]
    if not len(todo):
        return
    each = 2 if guided else 1
    room = max(map(len, batch.prompts(todo, guided))) + int(batch.room(todo).max()) + 1
    with slots_of(model, min(len(todo) * each, width), room) as slots:
        queue = _Queue(todo.tolist(), min(slots.count, width), guided)
        drawn = torch.zeros(len(requests), dtype=torch.long)
        while True:
            moving = queue.active()
            if len(moving):
                holders = torch.tensor(queue.holder)[moving]
                ids = torch.where(drawn[holders] > 0, drawn[holders] - 1 + vocab.first_id, vocab.end_id)
                slots.step(queue.both(moving), ids.repeat(each))
            full = [int(slot) for slot in moving if batch.full(queue.holder[slot])]
            batch.slide([queue.holder[slot] for slot in full])
            for entering in (full, queue.enter()):
                if entering:
                    _admit(slots, queue, batch, entering, guided)
            if not len(active := queue.active()):
                return
            holders = torch.tensor(queue.holder)[active]
            scores = logits(slots.hidden[queue.both(active).to(slots.device)], head, config)
            if guided:
                scores = mixed(scores, sampling.guidance)
            scores = scores.masked_fill(batch.barred(holders).to(scores.device, non_blocking=True), -torch.inf)
            drawn[holders] = draw(scores, sampling, [random[i] for i in holders.tolist()]).cpu()
            gained = batch.add(holders, drawn[holders])
            if any(gained):
                yield gained
            batch.alive &= batch.n_codes < batch.max_codes
            queue.leave(holders[~batch.alive[holders]].tolist())


def _admit(slots: Slots, queue: _Queue, batch: Batch, entering: list[int], guided: bool) -> None:
    """Read the prompts of the requests in these slots."""
    holders = torch.tensor([queue.holder[slot] for slot in entering])
    more = int(batch.room(holders).max())
    slots.admit(queue.both(torch.tensor(entering)).tolist(), batch.prompts(holders, guided), more)


@torch.inference_mode()
def texts(
    model: CausalLM,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    stop: int,
    sampling: Sampling = GREEDY,
    *,
    max_tokens: int = 64,
    seed: Seed = None,
    width: int = MOST,
) -> list[list[int]]:
    """See `decoding.texts`. width: the number of slots at most."""
    replies: list[list[int]] = [[] for _ in prompts]
    if not prompts:
        return replies
    random = generators(seed, len(prompts))
    head = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    with slots_of(model, min(len(prompts), width), max(map(len, prompts)) + max_tokens + 1) as slots:
        queue = _Queue(range(len(prompts)), min(slots.count, width), guided=False)
        while True:
            moving = queue.active()
            if len(moving):
                slots.step(moving, torch.tensor([replies[queue.holder[slot]][-1] for slot in moving]))
            if entering := queue.enter():
                slots.admit(entering, [prompts[queue.holder[slot]] for slot in entering], max_tokens)
            if not len(active := queue.active()):
                return replies
            holders = [queue.holder[slot] for slot in active]
            scores = logits(slots.hidden[active.to(slots.device)], head, config)
            for row, i in enumerate(holders):
                if again := repeating(replies[i]):
                    scores[row, again] = -torch.inf
            ended = []
            for i, token in zip(holders, draw(scores, sampling, [random[i] for i in holders]).tolist(), strict=True):
                if token != stop:
                    replies[i].append(token)
                if token == stop or len(replies[i]) == max_tokens:
                    ended.append(i)
            queue.leave(ended)


@torch.inference_mode()
def notations(
    model: CausalLM,
    vocab: MotionVocab,
    spelling: Spelling,
    prompts: Sequence[Sequence[int]],
    begun: Sequence[Writing],
    sampling: Sampling = GREEDY,
    *,
    seed: Seed = None,
    width: int = MOST,
) -> Generator[None, None, list[str]]:
    """See `spelling.notations`. width: the number of slots at most. What must follow a token is read in further steps,
    while other slots draw.
    """
    writings = Writings(spelling, begun)
    random = generators(seed, len(prompts))
    head = output_rows(model, vocab)[0][spelling.ids].float()
    config = model.config.get_text_config()
    unread: list[list[int]] = [[] for _ in prompts]  # token ids that are written and not yet read
    with slots_of(model, min(len(prompts), width), max(map(len, prompts)) + ROOM) as slots:
        queue = _Queue(range(len(prompts)), min(slots.count, width), guided=False)
        while True:
            moving = queue.active()
            if len(moving):
                slots.step(moving, torch.tensor([unread[queue.holder[slot]].pop(0) for slot in moving]))
            if entering := queue.enter():
                holders = [queue.holder[slot] for slot in entering]
                slots.admit(entering, [[*prompts[i], *writings.begin(i)] for i in holders], ROOM)
            drawing = [slot for slot in queue.active().tolist() if not unread[queue.holder[slot]]]
            if drawing:
                holders = [queue.holder[slot] for slot in drawing]
                scores = logits(slots.hidden[torch.tensor(drawing, device=slots.device)], head, config)
                scores = scores.masked_fill(writings.barred(holders).to(scores.device), -torch.inf)
                drawn = draw(scores, sampling, [random[i] for i in holders]).tolist()
                for i, number in zip(holders, drawn, strict=True):
                    unread[i] = writings.write(i, number)
                yield
                queue.leave([i for i in holders if writings.states[i].ended])
            if not len(queue.active()):
                return writings.texts
