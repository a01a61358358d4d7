"""From clips to training examples: tasks drawn by weight, phrasings filled, rows packed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Data, Notes
from motionllm.data.changes import summary
from motionllm.data.clips import Clip, Clips
from motionllm.data.conversations import Renderer, Tokens
from motionllm.data.edits import NO_DONORS, Donors
from motionllm.data.edits import draw as draw_edit
from motionllm.data.templates import EDITS, VERBATIM, Templates, conversation
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Notation

LENDING = 2000  # clips of a source, of which edits may take acts
QUESTIONS = 6  # at most, about one motion
REQUESTS = 6  # of changes of one motion, each of it as it is


class Examples:
    """An endless, exactly reproducible stream of examples over several sources.

    A task is drawn by weight, then a source by weight, then the next clip of that source's shuffled order,
    so that every clip is seen once before any is seen twice. `state` is all that going on from here needs.
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
        self.clips, self.templates, self.renderer = clips, templates, renderer
        self.codes_per_second, self.seed, self.drop_text = codes_per_second, seed, data.drop_text
        self.notes, self.corrupt = data.notation, data.corrupt
        self.alike: list[list[int]] | None = None  # for each piece, those that may stand in its place
        self.random = np.random.default_rng([seed, 1])
        self.donors = _donors(clips) if "edit" in data.tasks else NO_DONORS
        templates.check(data.tasks)
        self.pools: dict[str, list[np.ndarray]] = {}
        self.shares: dict[str, np.ndarray] = {}
        for task in data.tasks:
            pools = [source.serving(task) for source in clips]
            weights = np.array([s.weight * bool(len(p)) for s, p in zip(data.sources, pools, strict=True)])
            if not weights.sum():
                needs = "; it needs `data.notation`" if task == "edit" and not data.notation else ""
                raise MotionLLMError(f"No source has what the task '{task}' needs; leave it out of data.tasks{needs}.")
            self.pools[task], self.shares[task] = pools, weights / weights.sum()
        self.tasks = list(data.tasks)
        weights = np.array(list(data.tasks.values()))
        self.weights = weights / weights.sum()
        self.drawn: Counter[str] = Counter()  # by task and source
        self.orders: dict[str, tuple[int, np.ndarray]] = {}

    def draw(self) -> tuple[str, Tokens]:
        """(task, tokens) of the next example."""
        task, _, tokens = self.draw_from()
        return task, tokens

    def draw_from(self) -> tuple[str, int, Tokens]:
        """(task, number of the source, tokens) of the next example."""
        task = self.tasks[self.random.choice(len(self.tasks), p=self.weights)]
        source = int(self.random.choice(len(self.shares[task]), p=self.shares[task]))
        clip = self.clips[source][self._next(task, source)]
        # Drawn only where it is asked for: recipes without it see the examples that they always saw.
        bare = task == "text_to_motion" and self.drop_text > 0 and self.random.random() < self.drop_text
        rate = self.codes_per_second
        settings = self.templates, self.renderer, rate, self.random, bare, self.notes, self.donors
        tokens = example(task, clip, *settings)
        if self.corrupt:
            self._corrupt(tokens)
        return task, source, tokens

    def _corrupt(self, tokens: Tokens) -> None:
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
        for place in np.flatnonzero(codes & (self.random.random(len(ids)) < self.corrupt)).tolist():
            others = self.alike[int(ids[place]) - vocab.first_id]
            ids[place] = others[self.random.integers(len(others))]
        tokens.seen = ids.tolist()

    def _next(self, task: str, source: int) -> int:
        key, pool = f"{task} {source}", self.pools[task][source]
        lap, place = divmod(self.drawn[key], len(pool))
        self.drawn[key] += 1
        if key not in self.orders or self.orders[key][0] != lap:
            shuffle = np.random.default_rng([self.seed, 2, self.tasks.index(task), source, lap])
            self.orders[key] = lap, shuffle.permutation(len(pool))
        return int(pool[self.orders[key][1][place]])

    def state(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on, whatever was drawn before."""
        return {"random": json.dumps(self.random.bit_generator.state), "drawn": dict(self.drawn)}

    def restore(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = json.loads(state["random"])
        self.drawn = Counter(state["drawn"])


def example(
    task: str,
    clip: Clip,
    templates: Templates,
    renderer: Renderer,
    codes_per_second: float,
    random: np.random.Generator,
    bare: bool = False,
    notes: Notes | None = None,
    donors: Donors = NO_DONORS,
) -> Tokens:
    """One example: a phrasing of the task filled with what the clip has, or the clip's own conversation.

    bare: with nothing in the caption's place, and no plan. notes: how often the motion carries its notation. donors:
    what edits take from other clips.
    """
    sample, codes = clip.sample, clip.codes
    if task in VERBATIM:
        return renderer(sample.messages)
    template = templates.draw(task, random)
    if task == "edit":
        first, *others = (_edit(clip, random, donors) for _ in range(REQUESTS))
        messages = conversation(template, first)
        for other in others:
            messages += [
                {"role": "user", "content": other["request"]},
                {"role": "assistant", "content": other["change"]},
            ]
        return renderer(messages)
    values: dict[str, Any] = {"motion": _motion(clip, task, random, notes) if notes and not bare else codes}
    if sample.captions:
        values["caption"] = "" if bare else sample.captions[random.integers(len(sample.captions))]
    if task == "caption" and notes and notes.told and clip.notation and random.random() < notes.told:
        said = Notation.parse(clip.notation).sentences()
        values["caption"] = said[random.integers(len(said))]
    parts = renderer.vocab.parts if renderer.vocab else 1
    steps = len(codes) // parts
    answered = codes
    if task == "question":
        # Several questions about one motion share its tokens: a conversation, and three answers for one encoding.
        first, *more = (sample.questions[i] for i in random.permutation(len(sample.questions))[:QUESTIONS].tolist())
        messages = conversation(template, values | {"question": first.text, "answer": first.answer})
        for question in more:
            messages += [
                {"role": "user", "content": question.text},
                {"role": "assistant", "content": question.answer},
            ]
        return renderer(messages)
    if task == "prediction":
        cut = int(random.integers(max(1, steps // 4), steps - steps // 4)) * parts
        values["beginning"], values["rest"] = codes[:cut], codes[cut:]
        answered = values["rest"]
    elif task == "inbetween":
        start = int(random.integers(max(1, steps // 6), steps // 3 + 1)) * parts
        stop = int(random.integers(steps - steps // 3, steps - max(1, steps // 6) + 1)) * parts
        values["beginning"], values["middle"], values["end"] = codes[:start], codes[start:stop], codes[stop:]
        answered = values["middle"]
    elif task in EDITS:
        values["edited"] = answered = clip.edits[task]
    values["seconds"] = len(answered) / codes_per_second
    if missing := [name for name in template.needs() if name not in values]:
        raise MotionLLMError(
            f"A phrasing of the task '{task}' holds {{{missing[0]}}}, and clip {sample.id} has none; give the task a "
            "phrasing without it alone, or leave such sources out."
        )
    return renderer(conversation(template, values))


def _edit(clip: Clip, random: np.random.Generator, donors: Donors) -> dict[str, Any]:
    """What fills a phrasing of the task `edit`."""
    edit = None
    while edit is None:  # a clip that serves this task has one, but a try may draw what does not fit
        edit = draw_edit(Notation.parse(clip.notation), random, donors)
    request = edit.request
    if edit.kind == "question" and clip.sample.questions and random.random() < 0.6:
        request = clip.sample.questions[random.integers(len(clip.sample.questions))].text
    return {"plan": summary(edit.old), "request": request, "change": edit.change}


def _donors(clips: Sequence[Clips]) -> Donors:
    """Of the clips with a notation, their first caption and it."""
    found = []
    for source in clips:
        rows = source.rows.select_columns(["captions", "notation"])[:LENDING]
        found += [(c[0] if c else "", n) for c, n in zip(rows["captions"], rows["notation"], strict=True) if n]
    return Donors.of(found)


def _motion(clip: Clip, task: str, random: np.random.Generator, notes: Notes) -> dict[str, Any]:
    """What the motion part of an example holds: codes, notation, or both."""
    given = task != "text_to_motion"
    carries, alone = random.random(2)
    if not clip.notation or carries >= (notes.read if given else notes.plan):
        return {"codes": clip.codes}
    if alone < (notes.alone if given else notes.sketch):
        return {"notation": clip.notation}
    return {"codes": clip.codes, "notation": clip.notation}


def check_length(stream: Examples, data: Data, count: int = 256) -> str:
    """What `max_length` cuts of the first `count` examples of a stream, as a sentence; "" where it cuts none.

    Raises MotionLLMError where it cuts off every reply, so that there would be nothing to learn.
    """
    length = data.max_length
    sizes, begins, cut = [], [], []  # tokens; the place after the first supervised one; (task, is its reply gone?)
    for _ in range(count):
        task, tokens = stream.draw()
        sizes.append(len(tokens.ids))
        begins.append(next((i + 1 for i, told in enumerate(tokens.supervised) if told and i), sizes[-1] + 1))
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
    """Packed rows. ids, positions (R, L); targets (R, L): the id to predict at each place, −1 where none is."""

    ids: Tensor
    positions: Tensor
    targets: Tensor
    tokens: int

    @property
    def supervised(self) -> int:
        return int((self.targets >= 0).sum())


def pack(examples: Sequence[Tokens], length: int, multiple: int = 1, packing: bool = True) -> list[list[Tokens]]:
    """Rows of at most `length` tokens, as few and as even as can be; a longer example is cut at its end.

    Longest first, each into the emptiest row: even rows leave little to pad. Where one does not fit, there is a row
    more. packing=False: a row an example, longest first, so that neighbours, which share a micro-batch, are alike in
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


def collate(rows: Sequence[Sequence[Tokens]], pad: int) -> Batch:
    """Rows to tensors. Positions restart with every example, and there is no attention mask: that is how
    packed attention stays exact. Padding stands at the end, each pad an example of its own.
    """
    length = max(sum(len(t.ids) for t in row) for row in rows)
    ids = torch.full((len(rows), length), pad)
    positions = torch.zeros((len(rows), length), dtype=torch.long)
    targets = torch.full((len(rows), length), -1)
    for r, row in enumerate(rows):
        at = 0
        for tokens in row:
            size = len(tokens.ids)
            these = torch.tensor(tokens.ids)
            ids[r, at : at + size] = torch.tensor(tokens.seen) if tokens.seen else these
            positions[r, at : at + size] = torch.arange(size)
            supervised = torch.tensor(tokens.supervised)
            targets[r, at : at + size - 1] = torch.where(supervised[1:], these[1:], -1)
            at += size
    return Batch(ids, positions, targets, sum(len(t.ids) for row in rows for t in row))
