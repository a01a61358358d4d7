"""From clips to training examples: tasks drawn by weight, phrasings filled, rows packed."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Data
from motionllm.data.clips import Clip, Clips
from motionllm.data.tasks import TASKS, Draw, Task
from motionllm.data.templates import Templates, conversation
from motionllm.errors import MotionLLMError
from motionllm.language.conversations import Renderer, Tokens

SHORT = 16  # tokens; see `collate`


class Job(NamedTuple):
    """What an example is made of: its number in the stream, its task, the number of the source, and the clip's row."""

    number: int
    task: str
    source: int
    row: int


class Shuffle(Sequence[int]):
    """The numbers below `count` in an order that looks random, each computed from its place: no list of them is kept.

    A Feistel network of four rounds permutes the next larger even number of bits; what falls beyond `count` goes
    through it again (cycle walking, Black & Rogaway, 2002).
    """

    ROUNDS = 4

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self.size, self.half = count, max(1, (max(count - 1, 1).bit_length() + 1) // 2)
        self.keys = random.integers(2**63, size=self.ROUNDS).tolist()

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> list[int]: ...
    def __getitem__(self, place: int | slice) -> int | list[int]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self.size))]
        if not 0 <= place < self.size:
            raise IndexError(place)
        half, mask = self.half, (1 << self.half) - 1
        while True:
            left, right = place >> half, place & mask
            for key in self.keys:
                mixed = ((right + key) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF  # the golden ratio, as Knuth hashes
                mixed = ((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93) & 0xFFFFFFFFFFFFFFFF
                left, right = right, left ^ (mixed >> 32 & mask)
            place = left << half | right
            if place < self.size:
                return place


class Order:
    """The task and the clip of each example of a stream, by the example's number, whoever draws it.

    A task is drawn by weight, then a source by weight, then the next clip of that source's shuffled order,
    so that every clip is seen once before any is seen twice. `state` is all that going on from here needs.
    """

    BLOCK = 1024  # tasks and sources drawn at once
    LISTED = 1 << 18  # clips whose shuffled order is a list; that of more is computed

    def __init__(self, clips: Sequence[Clips], data: Data, seed: int) -> None:
        self.seed, self.tasks = seed, list(data.tasks)
        self.pools: dict[str, list[np.ndarray | range]] = {}
        self.shares: dict[str, np.ndarray] = {}  # cumulative, by source
        for task in data.tasks:
            pools = [source.serving(task) for source in clips]
            weights = np.array([s.weight * bool(len(p)) for s, p in zip(data.sources, pools, strict=True)])
            if not weights.sum():
                needs = "; it needs `data.notation`" if TASKS[task].noted and not data.notation else ""
                raise MotionLLMError(f"No source has what the task '{task}' needs; leave it out of data.tasks{needs}.")
            self.pools[task], self.shares[task] = pools, _cumulative(weights)
        self.weights = _cumulative(np.array(list(data.tasks.values())))
        self.number = 0  # of the next example
        self.drawn: Counter[str] = Counter()  # by task and source
        self.orders: dict[str, tuple[int, np.ndarray | Shuffle]] = {}
        self.block: tuple[int, np.ndarray] = -1, np.zeros((0, 2))

    def next(self) -> Job:
        """The next example."""
        block, place = divmod(self.number, self.BLOCK)
        if self.block[0] != block:
            self.block = block, np.random.default_rng([self.seed, 1, block]).random((self.BLOCK, 2))
        first, second = self.block[1][place]
        task = self.tasks[int(np.searchsorted(self.weights, first, side="right"))]
        source = int(np.searchsorted(self.shares[task], second, side="right"))
        job = Job(self.number, task, source, self._clip(task, source))
        self.advance(job)
        return job

    def advance(self, job: Job) -> None:
        """Go on to the example after `job`."""
        self.number += 1
        self.drawn[f"{job.task} {job.source}"] += 1

    def copy(self) -> Order:
        """Another one, which goes on from here by itself."""
        other = copy.copy(self)
        other.drawn, other.orders = self.drawn.copy(), dict(self.orders)
        return other

    def _clip(self, task: str, source: int) -> int:
        """The row of the next clip for a task from a source."""
        key, pool = f"{task} {source}", self.pools[task][source]
        lap, place = divmod(self.drawn[key], len(pool))
        if key not in self.orders or self.orders[key][0] != lap:
            shuffle = np.random.default_rng([self.seed, 2, self.tasks.index(task), source, lap])
            listed = len(pool) <= self.LISTED
            order = shuffle.permutation(len(pool)).astype(np.int32) if listed else Shuffle(len(pool), shuffle)
            self.orders[key] = lap, order
        return int(pool[self.orders[key][1][place]])

    def state(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on, whatever was drawn before."""
        return {"number": self.number, "drawn": dict(self.drawn)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`. One of an earlier version, which drew all examples from one stream of random numbers,
        goes on with the clips that are next, in other phrasings than that version would have drawn.
        """
        self.drawn = Counter(state["drawn"])
        self.number = state.get("number", self.drawn.total())


def _cumulative(weights: np.ndarray) -> np.ndarray:
    """Cumulative shares of weights; those from the last weight on are 1, which no random number reaches."""
    shares = np.cumsum(weights) / weights.sum()
    shares[np.flatnonzero(weights)[-1] :] = 1.0
    return shares


class Filler:
    """Makes the examples of jobs, each with random numbers of its own: the same wherever and whenever it is made."""

    def __init__(
        self,
        clips: Sequence[Clips],
        data: Data,
        templates: Templates,
        renderer: Renderer,
        codes_per_second: float,
        seed: int,
    ) -> None:
        self.clips, self.templates, self.renderer = clips, templates, renderer
        self.seed, self.drop_text, self.corrupt = seed, data.drop_text, data.corrupt
        self.alike: list[list[int]] | None = None  # for each piece, those that may replace it
        parts = renderer.vocab.parts if renderer.vocab else 1
        self.draw = Draw(np.random.default_rng(seed), codes_per_second, parts, data.notation, clips)

    def __call__(self, job: Job) -> Tokens:
        """The tokens of an example."""
        clip, task, draw = self.clips[job.source][job.row], TASKS[job.task], self.draw
        draw.random = np.random.default_rng([self.seed, 3, job.number])
        draw.bare = task.answer == "motion" and draw.random.random() < self.drop_text
        tokens = example(task, clip, self.templates, self.renderer, draw)
        if self.corrupt:
            self._corrupt(tokens, draw.random)
        return tokens

    def _corrupt(self, tokens: Tokens, random: np.random.Generator) -> None:
        """Show some of the codes that are to be written as others of the same part and length."""
        vocab = self.renderer.vocab
        assert vocab
        if self.alike is None:
            kinds = list(zip(vocab.begins.tolist(), vocab.lengths.tolist(), strict=True))
            groups: dict[tuple[int, int], list[int]] = {}
            for piece, kind in enumerate(kinds):
                groups.setdefault(kind, []).append(vocab.first_id + piece)
            self.alike = [groups[kind] for kind in kinds]
        ids = np.array(tokens.ids)
        codes = np.array(tokens.supervised) & (ids >= vocab.first_id) & (ids < vocab.first_id + len(self.alike))
        for place in np.flatnonzero(codes & (random.random(len(ids)) < self.corrupt)).tolist():
            others = self.alike[int(ids[place]) - vocab.first_id]
            ids[place] = others[random.integers(len(others))]
        tokens.seen = ids.tolist()


class Examples:
    """An endless, exactly reproducible stream of examples over several sources: an order, and what fills it.

    Raises MotionLLMError where a task has no phrasing or no clip.
    """

    def __init__(
        self,
        clips: Sequence[Clips],
        data: Data,
        templates: Templates,
        renderer: Renderer,
        codes_per_second: float,
        seed: int,
    ) -> None:
        templates.check(data.tasks)
        self.order = Order(clips, data, seed)
        self.filler = Filler(clips, data, templates, renderer, codes_per_second, seed)

    def draw(self) -> tuple[str, Tokens]:
        """(task, tokens) of the next example."""
        task, _, tokens = self.draw_from()
        return task, tokens

    def draw_from(self) -> tuple[str, int, Tokens]:
        """(task, number of the source, tokens) of the next example."""
        job = self.order.next()
        return job.task, job.source, self.filler(job)


def example(task: Task, clip: Clip, templates: Templates, renderer: Renderer, draw: Draw) -> Tokens:
    """One example: a phrasing of the task filled with what the clip has, or the clip's own conversation.

    Raises MotionLLMError where the phrasing holds a placeholder for which the clip has nothing.
    """
    if not task.fill:
        return renderer(clip.sample.messages)
    template = templates.draw(task.name, draw.random)
    first, *more = task.fill(clip, draw)
    if missing := [name for name in template.needs() if name not in first]:
        raise MotionLLMError(
            f"A phrasing of the task '{task.name}' holds {{{missing[0]}}}, and clip {clip.sample.id} has none; give "
            "the task a phrasing without it alone, or leave such sources out."
        )
    messages = conversation(template, first)
    for values in more:
        messages += [
            {"role": "user", "content": values[task.again]},
            {"role": "assistant", "content": values[task.answer]},
        ]
    return renderer(messages)


def check_length(stream: Examples, data: Data, count: int = 256) -> str:
    """What `max_length` cuts of the first `count` examples of a stream, as a sentence; "" where it cuts none.

    Raises MotionLLMError where it cuts off every reply, so that there would be nothing to learn.
    """
    length = data.max_length
    sizes, begins, cut = [], [], []  # tokens; the place after the first supervised one; (task, is its reply gone?)
    for _ in range(count):
        task, tokens = stream.draw()
        sizes.append(len(tokens.ids))
        begins.append(next((i + 1 for i, learned in enumerate(tokens.supervised) if learned and i), sizes[-1] + 1))
        if sizes[-1] > length:
            cut.append((task, begins[-1] > length))
    if not cut:
        return ""
    lost = Counter(task for task, gone in cut if gone)
    if lost.total() == count:
        raise MotionLLMError(
            f"data.max_length {length} cuts off every reply, and nothing would be learned: replies begin at token "
            f"{min(begins)} at the earliest. Set it to {min(begins)} at least; {max(sizes)} would cut none of {count} "
            "examples."
        )
    tasks = ", ".join(f"{gone} of task {task}" for task, gone in lost.items())
    return (
        f"data.max_length {length} cuts {len(cut)} of {count} examples"
        + (f", and of {lost.total()} the whole reply ({tasks})" if lost else "")
        + f"; {max(sizes)} would cut none of them."
    )


@dataclass
class Batch:
    """Packed rows. ids, positions (R, L); targets (R, L): the id to predict at each place, −1 where none is; bounds (n
    + 1,) int32: the first place of each example in the flattened rows, the padding of a row counting as one, and the
    end of the last. tokens, supervised: their numbers, without padding.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor
    bounds: Tensor
    tokens: int
    supervised: int

    def to(self, device: torch.device) -> Batch:
        """The batch on a device; a GPU copies it while the process goes on. Targets stay: the loss finds the supervised
        places on the CPU, where it waits for nothing.
        """
        ids, positions, bounds = (
            (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
            for tensor in (self.ids, self.positions, self.bounds)
        )
        return replace(self, ids=ids, positions=positions, bounds=bounds)


def pack(examples: Sequence[Tokens], length: int, multiple: int = 1, packing: bool = True) -> list[list[Tokens]]:
    """Rows of at most `length` tokens, as few and as even as can be; a longer example is cut at its end.

    Longest first, each into the emptiest row: even rows leave little to pad. Where one does not fit, there is a row
    more. packing=False: one row per example, longest first, so that neighbours, which share a micro-batch, are alike in
    length. multiple: the number of rows is one of this, so that every process gets as many; where examples are too
    few, rows of one unsupervised token are added.
    """
    cut = [
        Tokens(t.ids[:length], t.supervised[:length], t.seen and t.seen[:length])
        for t in sorted(examples, key=lambda t: -len(t.ids))
    ]
    count = -(-sum(len(t.ids) for t in cut) // length) if packing else len(cut)
    while True:
        count = min(-(-count // multiple) * multiple, max(len(cut), count))
        rows: list[list[Tokens]] = [[] for _ in range(count)]
        full = [0] * count
        for tokens in cut:
            place = full.index(min(full))
            rows[place].append(tokens)
            full[place] += len(tokens.ids)
        if max(full, default=0) <= length:
            empty = [Tokens(cut[0].ids[:1], [False])] if cut else []
            return rows + [list(empty) for _ in range(-len(rows) % multiple)]
        count += 1


def collate(rows: Sequence[Sequence[Tokens]], pad: int, shape: tuple[int, int] | None = None) -> Batch:
    """Rows to tensors. Positions restart with every example, and there is no attention mask: that is how
    packed attention stays exact. Padding stands at the end, each pad token an example of its own.

    shape: (R, L) of the tensors, whatever the rows are, so that compiled code meets one shape alone; by default that of
    the rows.
    """
    count, length = shape or (len(rows), max(sum(len(t.ids) for t in row) for row in rows))
    ids = np.full((count, length), pad)
    positions = np.zeros((count, length), np.int64)
    targets = np.full((count, length), -1)
    each, bounds = np.arange(length), []
    for r, row in enumerate(rows):
        at = 0
        for tokens in row:
            size = len(tokens.ids)
            these = np.array(tokens.ids)
            ids[r, at : at + size] = tokens.seen or these
            positions[r, at : at + size] = each[:size]
            targets[r, at : at + size - 1] = np.where(tokens.supervised[1:], these[1:], -1)
            bounds.append(r * length + at)
            at += size
        if at < length:
            bounds.append(r * length + at)
    bounds += range(len(rows) * length, count * length, length)  # rows of padding alone
    # Their number is fixed, too: by examples of no token at the end, as many as short examples would make.
    most = count * max(1, length // SHORT) + 1 if shape else 0
    bounds += [count * length] * max(1, most - len(bounds))
    n_tokens, supervised = sum(len(t.ids) for row in rows for t in row), int((targets >= 0).sum())
    begins = torch.tensor(bounds, dtype=torch.int32)
    return Batch(
        torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(targets), begins, n_tokens, supervised
    )
