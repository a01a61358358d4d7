"""From samples to training examples: motion encoded once, tasks drawn by weight, rows packed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.bases import cache_folder
from motionllm.config import Data, Source
from motionllm.data.conversations import Renderer, Tokens
from motionllm.data.samples import Sample
from motionllm.data.sources import read
from motionllm.data.templates import Templates, conversation
from motionllm.errors import MotionLLMError
from motionllm.tokenizer import MotionTokenizer

QUESTIONS = 6  # at most, about one motion


@dataclass
class Clip:
    """A sample with its motion codes (n,)."""

    sample: Sample
    codes: np.ndarray


def encode(
    source: Source, split: str, tokenizer: MotionTokenizer, progress: Callable[..., None] | None = None
) -> list[Clip]:
    """The clips of a source with their codes, from the cache where the same data met the same tokenizer before.

    Clips shorter than one code are left out; MotionLLMError where none is left.
    """
    samples = read(source, split)
    path = cache_folder() / "codes" / f"{_fingerprint(source, split, tokenizer, samples)}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return [Clip(s, stored[str(i)]) for i, s in enumerate(samples) if str(i) in stored]
    codes: dict[str, np.ndarray] = {}
    for i, sample in enumerate(samples):
        features = sample.load()
        if len(features) >= tokenizer.frames_per_step:
            codes[str(i)] = tokenizer.encode(features)
        if progress:
            progress((i + 1) / len(samples), clips=i + 1)
    if not codes:
        raise MotionLLMError(f"No clip of {source.path or source.kind} is as long as one motion code.")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(beside, **codes)  # type: ignore[arg-type]
    os.replace(beside, path)
    return [Clip(samples[int(i)], c) for i, c in codes.items()]


def _fingerprint(source: Source, split: str, tokenizer: MotionTokenizer, samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256(f"{tokenizer.hash} {source.model_dump_json(exclude={'weight'})} {split}".encode())
    files = Path(source.path).resolve() if source.path else Path(__file__).parent / "builtin"
    for folder in ("", "new_joint_vecs", "new_joints", "texts"):
        place = files / folder
        if place.is_dir():
            stat = place.stat()
            digest.update(f"{place} {stat.st_mtime_ns} {len(os.listdir(place))}".encode())
    if not source.path:
        for file in sorted(files.glob("*.py")):
            digest.update(file.read_bytes())
    digest.update("".join(s.id for s in samples).encode())
    return digest.hexdigest()[:32]


def clip_for(task: str, clip: Clip) -> bool:
    """Whether the clip has what the task needs."""
    return bool(clip.sample.questions) if task == "question" else bool(clip.sample.captions)


class Examples:
    """An endless, exactly reproducible stream of examples over several sources.

    A task is drawn by weight, then a source by weight, then the next clip of that source's shuffled order,
    so that every clip is seen once before any is seen twice. `skip` fast-forwards for a resumed run.
    """

    def __init__(
        self,
        clips: Sequence[Sequence[Clip]],
        data: Data,
        templates: Templates,
        renderer: Renderer,
        codes_per_second: float,
        seed: int,
    ) -> None:
        self.templates, self.renderer = templates, renderer
        self.codes_per_second, self.longest = codes_per_second, data.max_length
        self.random = np.random.default_rng([seed, 1])
        self.pools: dict[str, list[list[Clip]]] = {}
        self.shares: dict[str, np.ndarray] = {}
        for task in data.tasks:
            pools = [[c for c in source if clip_for(task, c)] for source in clips]
            weights = np.array([s.weight * bool(p) for s, p in zip(data.sources, pools, strict=True)])
            if not weights.sum():
                raise MotionLLMError(f"No source has what the task '{task}' needs; leave it out of data.tasks.")
            self.pools[task], self.shares[task] = pools, weights / weights.sum()
        self.tasks = list(data.tasks)
        weights = np.array(list(data.tasks.values()))
        self.weights = weights / weights.sum()
        self.order: dict[tuple[str, int], list[int]] = {}

    def __iter__(self) -> Iterator[tuple[str, Tokens]]:
        while True:
            yield self.draw()

    def draw(self) -> tuple[str, Tokens]:
        """(task, tokens) of the next example, cut to max_length at the end."""
        task = self.tasks[self.random.choice(len(self.tasks), p=self.weights)]
        source = int(self.random.choice(len(self.shares[task]), p=self.shares[task]))
        pool = self.pools[task][source]
        order = self.order.setdefault((task, source), [])
        if not order:
            order.extend(self.random.permutation(len(pool)).tolist())
        return task, example(task, pool[order.pop()], self.templates, self.renderer, self.codes_per_second, self.random)

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.draw()


def example(
    task: str,
    clip: Clip,
    templates: Templates,
    renderer: Renderer,
    codes_per_second: float,
    random: np.random.Generator,
) -> Tokens:
    """One example: a phrasing of the task filled with a caption or with questions about the clip."""
    phrasings = templates.phrasings(task)
    template = phrasings[random.integers(len(phrasings))]
    values: dict[str, Any] = {"motion": clip.codes, "seconds": len(clip.codes) / codes_per_second}
    if task == "question":
        # Several questions about one motion share its tokens: a conversation, and three answers for one encoding.
        count = min(len(clip.sample.questions), QUESTIONS)
        messages: list[dict[str, Any]] = []
        for i in random.permutation(len(clip.sample.questions))[:count]:
            question = clip.sample.questions[i]
            if messages:
                messages += [
                    {"role": "user", "content": question.text},
                    {"role": "assistant", "content": question.answer},
                ]
            else:
                messages = conversation(template, values | {"question": question.text, "answer": question.answer})
        return renderer(messages)
    values["caption"] = clip.sample.captions[random.integers(len(clip.sample.captions))]
    return renderer(conversation(template, values))


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


def pack(examples: Sequence[Tokens], length: int, multiple: int = 1) -> list[list[Tokens]]:
    """Rows of at most `length` tokens, as few and as even as can be; a longer example is cut at its end.

    multiple: the number of rows is one of this, where there are examples enough: every process gets as many.

    Longest first, each into the emptiest row: even rows leave little to pad. Where one does not fit, there is a row
    more.
    """
    cut = [Tokens(t.ids[:length], t.supervised[:length]) for t in sorted(examples, key=lambda t: -len(t.ids))]
    count = -(-sum(len(t.ids) for t in cut) // length)
    while True:
        count = min(-(-count // multiple) * multiple, max(len(cut), count))
        rows: list[list[Tokens]] = [[] for _ in range(count)]
        full = [0] * count
        for tokens in cut:
            place = full.index(min(full))
            rows[place].append(tokens)
            full[place] += len(tokens.ids)
        if max(full, default=0) <= length:
            return rows
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
            ids[r, at : at + size] = these
            positions[r, at : at + size] = torch.arange(size)
            supervised = torch.tensor(tokens.supervised)
            targets[r, at : at + size - 1] = torch.where(supervised[1:], these[1:], -1)
            at += size
    return Batch(ids, positions, targets, sum(len(t.ids) for row in rows for t in row))
