"""A recipe's data in numbers: examples as the model sees them, and the mixture in clips, seconds and tokens.

Both need the base's tokenizer and the motion tokenizer, but no model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.config import Recipe
from motionllm.data.clips import Clips
from motionllm.data.examples import Examples, pack
from motionllm.data.templates import Templates
from motionllm.language.bases import load_base_tokenizer
from motionllm.language.conversations import Renderer, Tokens
from motionllm.language.vocab import MotionVocab
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.bpe import MotionBPE


@dataclass
class Mixture:
    """A recipe's stream of examples, and what is needed to count and print them."""

    recipe: Recipe
    clips: Sequence[Clips]
    vocab: MotionVocab
    tokenizer: Any
    examples: Examples
    seconds_a_code: float


def mixture(recipe: Recipe, motion_tokenizer: MotionTokenizer, clips: Sequence[Clips]) -> Mixture:
    """The training mixture as `train` draws it. Raises MotionLLMError where a task has no clips or no phrasing."""
    tokenizer = load_base_tokenizer(recipe.model.base)
    size, bpe = motion_tokenizer.size, None
    if recipe.model.bpe:
        bpe = MotionBPE.train([clip.codes for clip in islice(chain(*clips), 50_000)], size, recipe.model.bpe)
    vocab = MotionVocab.add(copy.deepcopy(tokenizer), size, motion_tokenizer.hash, motion_tokenizer.parts, bpe)
    renderer = Renderer(tokenizer, vocab, recipe.data.system)
    rate = motion_tokenizer.codes_per_second
    templates = Templates.load(recipe.data.templates)
    examples = Examples(clips, recipe.data, templates, renderer, rate, recipe.train.seed)
    return Mixture(recipe, clips, vocab, tokenizer, examples, 1 / rate)


def stretches(tokens: Tokens, mix: Mixture) -> list[tuple[str, bool]]:
    """(text, supervised) of the parts of an example, in order; a motion is its delimiters and its codes as numbers."""
    vocab = mix.vocab
    names = {vocab.start_id: "<motion>", vocab.end_id: "</motion>"}

    def kind(i: int) -> tuple[bool, bool]:
        return tokens.supervised[i], tokens.ids[i] >= vocab.first_id or tokens.ids[i] in names

    runs: list[tuple[str, bool]] = []
    for (supervised, motion), group in groupby(range(len(tokens.ids)), key=kind):
        ids = [tokens.ids[i] for i in group]
        if motion:  # a motion BPE piece is printed as its codes
            text = " ".join(names.get(i) or " ".join(map(str, vocab.decode([i]).tolist())) for i in ids)
        else:
            text = mix.tokenizer.decode(ids)
        if runs and runs[-1][1] == supervised:
            text = runs.pop()[0] + text
        runs.append((text, supervised))
    return runs


def statistics(mix: Mixture, draws: int = 400) -> dict[str, Any]:
    """Exact counts of the sources, and the mixture of tasks, from `draws` examples drawn as in training.

    {"sources": [{"source", "clips", "seconds", "captions", "questions", "weight", "share"}], "tasks": [{"task", "share"
    of the examples, "tokens" and "supervised" (means per example), "supervised_share" of all supervised tokens,
    "motion_share": share of its own supervised tokens that are motion, "cut": share longer than max_length}], "epoch":
    {"examples", "tokens", "supervised"}, "padding": share of the packed rows}. An epoch is as many examples as there
    are clips.
    """
    recipe = mix.recipe
    examples = [mix.examples.draw_from() for _ in range(draws)]
    sources = []
    for number, (source, clips) in enumerate(zip(recipe.data.sources, mix.clips, strict=True)):
        sources.append(
            {
                "source": name_of(source.kind, source.path),
                "clips": len(clips),
                "seconds": round(clips.count("codes") * mix.seconds_a_code, 1),
                "captions": clips.count("captions"),
                "questions": clips.count("questions"),
                "weight": source.weight,
                "share": float(np.mean([s == number for _, s, _ in examples])),
            }
        )
    total = sum(sum(t.supervised[1:]) for _, _, t in examples)
    tasks = []
    for task in recipe.data.tasks:
        own = [t for name, _, t in examples if name == task]
        learned = [sum(t.supervised[1:]) for t in own]
        moving = sum(
            supervised and (i >= mix.vocab.first_id or i == mix.vocab.end_id)
            for t in own
            for i, supervised in zip(t.ids[1:], t.supervised[1:], strict=True)
        )
        tasks.append(
            {
                "task": task,
                "share": len(own) / draws,
                "tokens": float(np.mean([len(t.ids) for t in own])) if own else 0.0,
                "supervised": float(np.mean(learned)) if own else 0.0,
                "supervised_share": sum(learned) / max(total, 1),
                "motion_share": moving / max(sum(learned), 1),
                "cut": float(np.mean([len(t.ids) > recipe.data.max_length for t in own])) if own else 0.0,
            }
        )
    count = sum(map(len, mix.clips))
    used = capacity = 0
    for start in range(0, draws - recipe.train.batch + 1, recipe.train.batch):
        rows = pack(
            [t for _, _, t in examples[start : start + recipe.train.batch]],
            recipe.data.max_length,
            packing=recipe.data.packing,
        )
        size = recipe.train.rows_on_cpu
        for i in range(0, len(rows), size):
            lengths = [sum(len(t.ids) for t in row) for row in rows[i : i + size]]
            used, capacity = used + sum(lengths), capacity + max(lengths) * len(lengths)
    mean = float(np.mean([len(t.ids) for _, _, t in examples]))
    return {
        "sources": sources,
        "tasks": tasks,
        "epoch": {"examples": count, "tokens": round(mean * count), "supervised": round(total / draws * count)},
        "padding": 1 - used / capacity if capacity else None,
    }


def name_of(kind: str, path: str | None) -> str:
    """A source's name in tables."""
    return f"{kind} {Path(path).name}" if path else kind
