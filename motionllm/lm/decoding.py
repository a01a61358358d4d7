"""Decoding under the motion grammar: batched, cached, and projecting only on the tokens that may follow.

Inside a motion only codes may follow, those of the body part whose turn it is, and, between steps and past the minimum
length, the end; outside a motion no code may. Outputs are never repaired: if the constraints cannot be met, this
raises. Notations, with which a motion may begin as its plan, have a grammar of their own (`spelling`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm import arguments
from motionllm.errors import MotionLLMError
from motionllm.language.vocab import MotionVocab
from motionllm.lm.cached import CachedModel, CausalLM, body_of
from motionllm.lm.loss import cross_entropy, logits, output_rows
from motionllm.lm.sampling import GREEDY, Sampling

LONGEST_LOOP = 24  # tokens; longer repetitions in a text reply are not detected
OVERLAP = 12  # steps kept when the window slides

# An int seeds row i of a batch with (seed, i); or numbers for each row. What a row draws depends on no other row.
Seed = int | Sequence[tuple[int, ...]] | None


@dataclass(frozen=True)
class Request:
    """One motion to decode.

    prompt: token ids that open the assistant's turn. min_steps, max_steps: bounds of the motion's length, including the
    given steps; equal bounds give an exact length, also where tokens are pieces of several codes. given: codes, in
    whole steps, that the motion begins with. unconditional: the prompt without its text, for guidance. plan_ids: maps
    (first step in the window, one past the last) to the token ids of the plan for these steps, which precede the codes;
    `unconditional` gets no plan.
    """

    prompt: Sequence[int]
    min_steps: int
    max_steps: int
    given: Sequence[int] = ()
    unconditional: Sequence[int] = ()
    plan_ids: Callable[[int, int], Sequence[int]] | None = None


class Batch:
    """The motions of a batch while they are decoded.

    window: the maximum number of codes in the model's context per motion. codes: the codes in context, by motion.
    n_codes, n_visible (n,): the number of codes that each motion has, and that are in context. alive (n,): which
    motions have not ended.
    """

    def __init__(self, requests: Sequence[Request], vocab: MotionVocab, window: int) -> None:
        self.requests, self.vocab, self.window = requests, vocab, window
        parts = vocab.parts
        self.codes = [list(request.given) for request in self.requests]
        self.n_codes = torch.tensor([len(codes) for codes in self.codes])
        self.n_visible = self.n_codes.clone()
        self.min_codes = torch.tensor([request.min_steps for request in self.requests]) * parts
        self.max_codes = torch.tensor([request.max_steps for request in self.requests]) * parts
        if (self.min_codes < 1).any() or (self.max_codes < torch.maximum(self.min_codes, self.n_codes)).any():
            raise MotionLLMError("A motion needs at least one step, and its longest length not below its shortest.")
        self.alive = self.n_codes < self.max_codes
        self.allowed = torch.stack([self.vocab.allowed(part) for part in range(parts)])

    def full(self, i: int | None = None) -> bool:
        """Whether the window of a motion that has not ended is full; of motion i, or of any."""
        visible = self.n_visible[self.alive] if i is None else self.n_visible[i]
        return bool((visible >= self.window).any())

    def slide(self, some: Sequence[int] | None = None) -> None:
        """Reduce the context of some motions, or of all, to the last OVERLAP steps and the codes of the step under
        way.
        """
        parts = self.vocab.parts
        for i in range(len(self.codes)) if some is None else some:
            self.codes[i] = self.codes[i][-OVERLAP * parts - len(self.codes[i]) % parts :]
            self.n_visible[i] = len(self.codes[i])

    def room(self, active: Tensor) -> Tensor:
        """(k,) the number of codes that these motions may still gain within the window."""
        return torch.minimum(self.max_codes - self.n_codes, self.window - self.n_visible)[active]

    def prompts(self, active: Tensor, guided: bool) -> list[list[int]]:
        """Token ids of these motions so far; guided: followed by the same without their text."""
        parts = self.vocab.parts
        conditional, unconditional = [], []
        for i in active.tolist():
            request = self.requests[i]
            start, *ids, _ = self.vocab.encode(np.array(self.codes[i], np.int64))
            first = (int(self.n_codes[i]) - len(self.codes[i])) // parts
            last = min(first * parts + self.window, int(self.max_codes[i])) // parts
            plan = request.plan_ids(first, last) if request.plan_ids else ()
            conditional.append([*request.prompt, start, *plan, *ids])
            if guided:
                unconditional.append([*request.unconditional, start, *ids])
        return conditional + unconditional

    def barred(self, active: Tensor) -> Tensor:
        """(k, 1 + pieces): whether the end, and each piece, is forbidden as the next token of these motions."""
        n_codes = self.n_codes[active]
        barred = ~self.allowed[n_codes % self.vocab.parts]
        barred[n_codes < self.min_codes[active], 0] = True
        barred[:, 1:] |= self.vocab.lengths > self.room(active)[:, None]
        return barred

    def add(self, active: Tensor, drawn: Tensor) -> list[tuple[int, ...]]:
        """Append the drawn tokens (k,) of these motions, 0 for the end. Returns the codes that each of all gains."""
        self.alive[active] &= drawn > 0
        gained: list[tuple[int, ...]] = [()] * len(self.codes)
        for i, token in zip(active.tolist(), drawn.tolist(), strict=True):
            if token > 0:
                gained[i] = self.vocab.pieces[token - 1]
                self.codes[i].extend(gained[i])
        n_gained = torch.tensor([len(gained[i]) for i in active.tolist()])
        self.n_codes[active] += n_gained
        self.n_visible[active] += n_gained
        return gained


def batch_of(
    requests: Sequence[Request], vocab: MotionVocab, sampling: Sampling, window: int | None
) -> tuple[Batch, bool]:
    """The motions to decode, and whether they are guided. Raises MotionLLMError where a request lacks what guidance
    needs, or the window is too short.
    """
    guided = sampling.guidance != 1
    if guided and not all(request.unconditional for request in requests):
        raise MotionLLMError("Guidance needs a prompt without text for each motion.")
    if window is not None and window <= OVERLAP:
        raise MotionLLMError(f"A window of {window} steps shows no more than the {OVERLAP} that it goes on from.")
    longest = max((request.max_steps for request in requests), default=0) * vocab.parts
    return Batch(requests, vocab, longest + 1 if window is None else window * vocab.parts), guided


def motions(
    model: CausalLM,
    vocab: MotionVocab,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    seed: Seed = None,
    window: int | None = None,
) -> list[list[int]]:
    """Codes of one motion for each request, including the given ones. See `places`."""
    codes = [list(request.given) for request in requests]
    for place in places(model, vocab, requests, sampling, seed=seed, window=window):
        for own, gained in zip(codes, place, strict=True):
            own.extend(gained)
    return codes


@torch.inference_mode()
def places(
    model: CausalLM,
    vocab: MotionVocab,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    seed: Seed = None,
    window: int | None = None,
) -> Iterator[list[tuple[int, ...]]]:
    """Yield the codes of the next token of every motion as soon as it is drawn; () for a motion that has ended. The
    given codes are not yielded.

    window: the maximum number of steps in the model's context; a longer motion continues from its last OVERLAP steps,
    as if it had begun with them. Guidance (Ho and Salimans 2022): scores = unconditional + guidance × (conditional −
    unconditional).
    """
    batch, guided = batch_of(requests, vocab, sampling, window)
    random = generators(seed, len(requests))
    head = output_rows(model, vocab)[1][1:].float()  # the end, then the pieces
    config = model.config.get_text_config()
    drawn = torch.zeros_like(batch.n_codes)
    active = torch.arange(len(requests))  # indices of the motions in the model's cache
    cached = None
    while batch.alive.any():
        if cached is None or batch.full():
            if batch.full():
                batch.slide()
            active = batch.alive.nonzero()[:, 0]
            cached = CachedModel(model, batch.prompts(active, guided))
            hidden = cached.start()
        else:
            if not batch.alive[active].all():
                kept = front_rows(batch.alive[active])
                cached.keep(torch.cat([kept, kept + len(active)]) if guided else kept)
                active = active[kept]
            ids = torch.where(drawn > 0, drawn - 1 + vocab.first_id, vocab.end_id)[active]
            hidden = cached.step(ids.repeat(2) if guided else ids)
        scores = logits(hidden, head, config).cpu()
        if guided:
            scores = mixed(scores, sampling.guidance)
        scores = scores.masked_fill(batch.barred(active), -torch.inf)
        drawn[active] = draw(scores, sampling, [random[i] for i in active.tolist()])
        gained = batch.add(active, drawn[active])
        if any(gained):
            yield gained
        batch.alive &= batch.n_codes < batch.max_codes


def mixed(scores: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance: scores (2n, v) of prompts with their text, then without → (n, v)."""
    with_text, without = scores.chunk(2)
    return without + guidance * (with_text - without)


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
) -> list[list[int]]:
    """Ids of a text reply for each prompt, without the `stop` id that ends the turn. No motion id can occur, and
    nothing is repeated three times in a row (`repeating`).
    """
    random = generators(seed, len(prompts))
    head = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    cached = CachedModel(model, prompts)
    replies: list[list[int]] = [[] for _ in prompts]
    alive = [True] * len(prompts)
    hidden = cached.start()
    for _ in range(max_tokens):
        scores = logits(hidden, head, config)
        for i, ids in enumerate(replies):
            if alive[i] and (again := repeating(ids)):
                scores[i, again] = -torch.inf
        drawn = draw(scores, sampling, random)
        for i, token in enumerate(drawn.tolist()):
            if alive[i] and token != stop:
                replies[i].append(token)
            else:
                alive[i] = False
        if not any(alive):
            break
        hidden = cached.step(drawn)
    return replies


def repeating(ids: Sequence[int]) -> list[int]:
    """Ids that would start a third copy of a sequence of 2 to LONGEST_LOOP tokens that ends `ids` twice in a row, or a
    fifth copy of a single token (digits are tokens, and numbers have zeros).

    A small model's reply that begins to repeat itself never stops: each repetition makes the next likelier.
    """
    again = [ids[-1]] if len(ids) >= 4 and len(set(ids[-4:])) == 1 else []
    longest = min(LONGEST_LOOP, len(ids) // 2)
    return again + [ids[-size] for size in range(2, longest + 1) if ids[-size:] == ids[-2 * size : -size]]


@torch.inference_mode()
def likelihoods(
    model: CausalLM,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    replies: Sequence[Sequence[int]],
    batch: int = 32,
) -> list[float]:
    """Log-likelihood in nats of each text reply (ids) after its prompt."""
    head = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    return [
        float(torch.log_softmax(logits(hidden, head, config), dim=-1).gather(1, reply[:, None]).sum())
        for hidden, reply in _before(model, prompts, replies, batch)
    ]


@torch.inference_mode()
def motion_likelihoods(
    model: CausalLM,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    replies: Sequence[Sequence[int]],
    batch: int = 32,
) -> list[float]:
    """Log-likelihood in nats, under the grammar, of motion ids that continue a prompt which ends within a motion."""
    return [
        -float(cross_entropy(hidden, reply, model, vocab)[0])
        for hidden, reply in _before(model, prompts, replies, batch)
    ]


def _before(
    model: CausalLM, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], batch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each pair of prompt and reply: the hidden states (n, d) that predict the reply's ids, and these ids (n,)."""
    body = body_of(model)
    device = next(model.parameters()).device
    for start in range(0, len(prompts), batch):
        pairs = list(zip(prompts[start : start + batch], replies[start : start + batch], strict=True))
        length = max(len(p) + len(r) for p, r in pairs)
        ids = torch.zeros((len(pairs), length), dtype=torch.long, device=device)
        for i, (prompt, reply) in enumerate(pairs):
            ids[i, : len(prompt) + len(reply)] = torch.tensor([*prompt, *reply])
        # Padding is at the end, so that causal attention never sees it.
        hidden = body(input_ids=ids, use_cache=False).last_hidden_state
        for i, (prompt, reply) in enumerate(pairs):
            place = slice(len(prompt) - 1, len(prompt) + len(reply) - 1)
            yield hidden[i, place], torch.tensor(reply, dtype=torch.long, device=device)


def front_rows(alive: Tensor) -> Tensor:
    """The indices (k,) of alive rows (n,), ordered so that few rows move: the last ones fill gaps."""
    rows = alive.nonzero()[:, 0]
    order = torch.arange(len(rows))
    order[~alive[: len(rows)]] = rows[rows >= len(rows)]
    return order


def generators(seed: Seed, rows: int) -> list[np.random.Generator]:
    """A random generator for each row of a batch. Raises MotionLLMError for what is no seed, such as a negative one."""
    if seed is None:
        return [np.random.default_rng() for _ in range(rows)]
    seeds: list[Any]
    if isinstance(seed, Sequence) and not isinstance(seed, str | bytes):
        seeds = [arguments.items(one, "A row's seed") for one in arguments.items(seed, "seed", rows)]
    else:
        seeds = [(arguments.whole_number(seed, "seed", 0), i) for i in range(rows)]
    return [np.random.default_rng([arguments.whole_number(one, "seed", 0) for one in numbers]) for numbers in seeds]


def draw(scores: Tensor, sampling: Sampling, random: Sequence[np.random.Generator]) -> Tensor:
    """One index per row of (n, V) scores. Random numbers are of the CPU, and sums in float64, so that a seed gives the
    same draw on every device.
    """
    if sampling.temperature < 1e-4:
        return scores.argmax(-1)
    shares, index = torch.softmax(scores.double() / sampling.temperature, dim=-1), None
    if sampling.top_k or sampling.top_p < 1:
        width = shares.shape[-1]
        shares, index = shares.topk(min(sampling.top_k or width, width), dim=-1)
        shares = shares / shares.sum(-1, keepdim=True)
        shares[shares.cumsum(-1) - shares >= sampling.top_p] = 0
    summed = shares.cumsum(-1)
    at = torch.tensor([[r.random()] for r in random], dtype=torch.double).to(scores.device, non_blocking=True)
    # The first index whose cumulative sum is above the draw, so that a token of probability 0 is never drawn.
    chosen = torch.searchsorted(summed / summed[:, -1:], at, right=True)
    return (chosen if index is None else index.gather(-1, chosen))[:, 0]


@torch.inference_mode()
def starts_motion(model: CausalLM, vocab: MotionVocab, prompt: Sequence[int]) -> bool:
    """Whether the model would open its reply with a motion: the motion start is likelier than any word."""
    text_rows, motion_rows = output_rows(model, vocab)
    config = model.config.get_text_config()
    hidden = CachedModel(model, [prompt]).start()
    return bool(logits(hidden, motion_rows[:1], config)[0, 0] > logits(hidden, text_rows, config).max())
