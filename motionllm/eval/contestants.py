"""What a suite measures: a model, or a baseline that returns training clips instead."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from motionllm.config import Suite
from motionllm.data.sources import read
from motionllm.errors import MotionLLMError
from motionllm.eval import gaps, metrics
from motionllm.eval.gaps import Gap
from motionllm.eval.text import normalised
from motionllm.lm.adapters import find_adapter
from motionllm.lm.generation import Judge
from motionllm.lm.model import MotionLM
from motionllm.lm.results import adapter_hash
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import measure
from motionllm.motion.representation import of_data, of_width
from motionllm.samples import Sample
from motionllm.tokenizer import MotionTokenizer

GAPS = ("prediction", "in_between")  # the tasks that fill a clip
Made = tuple[np.ndarray, np.ndarray]  # features (T, dim), joints (T, J, 3)


class Contestant(Protocol):
    """What is measured. `about` identifies it, down to its weights."""

    name: str
    about: dict[str, Any]

    def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Made]: ...

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Made]: ...

    def captions(self, features: Sequence[np.ndarray]) -> list[str]: ...

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]: ...


class Tokenizer:
    """A motion tokenizer by itself, or the one of an adapter."""

    def __init__(self, name: str) -> None:
        try:
            place: str | Path = find_adapter(name) / "tokenizer"
        except MotionLLMError:
            place = name
        self.name = name
        self.motion_tokenizer = MotionTokenizer.load(place if Path(place).is_dir() else name)
        self.about = {"model": name, "motion_tokenizer": self.motion_tokenizer.hash}


class Model:
    """An adapter; with `untrained:` before its name its base without it, with `alone:` the adapter without its motion
    library.

    judge: chooses among the candidates for a prompt, instead of the model.
    """

    judge: Judge | None = None

    def __init__(self, name: str, suite: Suite, engine: Sequence[str] = ()) -> None:
        self.name, self.suite = name, suite
        untrained, alone = name.startswith("untrained:"), name.startswith("alone:")
        of = name.removeprefix("untrained:").removeprefix("alone:")
        if engine:
            self.lm = MotionLM.connect(engine, of)
        else:
            self.lm = MotionLM.untrained(of) if untrained else MotionLM.load(of)
        self.lm.shown = suite.shown or self.lm.shown
        self.sampling = Sampling(  # the suite's, not the adapter's own, so that all contestants are sampled alike
            temperature=suite.temperature,
            top_p=suite.top_p,
            guidance=suite.guidance,
            best_of=suite.best_of,
            library=not alone,
        )
        self.about = {
            "model": name,
            "adapter": None if untrained else adapter_hash(of),
            "base": self.lm.recipe.model.base,
            "motion_tokenizer": self.lm.motion_tokenizer.hash,
            **({"served": True} if engine else {}),
        }

    def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Made]:
        plan = None if self.suite.plan else False
        motions = self.lm.generate_batch(texts, seconds, seed, sampling=self.sampling, judge=self.judge, plan=plan)
        return self._made(motions)

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Made]:
        ends = [gap.features[gap.last :] for gap in asked]
        motions = self.lm.generate_batch(
            [gap.text for gap in asked],
            [len(gap.features) / gap.fps for gap in asked],
            seed,
            sampling=replace(self.sampling, guidance=1.0),
            start=[gap.features[: gap.first] for gap in asked],
            end=ends if len(ends[0]) else None,
            plan=False,  # training continues clips without a plan
        )
        return self._made(motions)

    def _made(self, motions: Sequence[Motion]) -> list[Made]:
        data = of_data(self.lm.motion_tokenizer.skeleton)  # the representation of the cases, which the embedder reads
        return [(data.encode(motion), motion.resample(data.fps).joints) for motion in motions]

    def captions(self, features: Sequence[np.ndarray]) -> list[str]:
        return self.lm.caption_batch(features)

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        return self.lm.ask_batch(features, questions)


class Baseline:
    """Training clips instead of a model's output: `baseline:random` returns any clip, `baseline:nearest` the most
    similar one.

    For a text, that is the clip with the nearest caption (cosine of TF-IDF over words); for a motion, the caption of
    the clip whose features have the nearest mean and spread; for a part of a clip, the clip whose same frames are
    nearest. None knows the embedder that scores it. Prediction and in-between also have untrained baselines, and
    captioning has `baseline:notation`: the sentence measured on the motion, without any model.
    """

    def __init__(self, name: str, suite: Suite) -> None:
        kinds = ["baseline:random", "baseline:nearest"]
        if suite.task == "captioning":
            kinds.append("baseline:notation")
        if suite.task in GAPS:
            kinds = ["baseline:hold", *(["baseline:linear"] if suite.task == "in_between" else []), "baseline:nearest"]
        if name not in kinds:
            raise MotionLLMError(f"There is no {name} of {suite.task}; baselines are {', '.join(kinds)}.")
        self.name, self.nearest, self.about = name, name.endswith("nearest"), {"model": name}
        self.suite = suite

    # Read only what this baseline needs.

    @cached_property
    def train(self) -> list[Sample]:
        return [sample for sample in read(self.suite.data, "train") if sample.captions]

    @cached_property
    def lines(self) -> list[tuple[str, int]]:
        """Every caption with the number of its clip."""
        return [(caption, i) for i, sample in enumerate(self.train) for caption in sample.captions]

    @cached_property
    def words(self) -> _Words:
        return _Words([caption for caption, _ in self.lines])

    @cached_property
    def looks(self) -> np.ndarray:
        return np.stack([_look(sample.load()) for sample in self.train])

    @cached_property
    def clips(self) -> gaps.Clips:
        return gaps.Clips([sample.load() for sample in self.train])

    def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Made]:
        if self.nearest:
            picked = [self.lines[i][1] for i in self.words.nearest(texts)]
        else:
            picked = np.random.default_rng(seed).integers(len(self.train), size=len(texts)).tolist()
        clips = [self.train[i].load() for i in picked]
        return [(features, features_to_joints(features)) for features in clips]

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Made]:
        if not self.nearest:
            fill = gaps.hold if self.name == "baseline:hold" else gaps.linear
            return [gaps.filled(gap, fill(gap)) for gap in asked]
        return [gaps.filled(gap, gaps.from_clip(gap, self.clips.nearest(gap))) for gap in asked]

    def captions(self, features: Sequence[np.ndarray]) -> list[str]:
        if self.name == "baseline:notation":
            return [measure(features_to_joints(clip)).sentence() for clip in features]
        if not self.nearest:
            # Seeded per clip, so that a resumed run draws the same as an uninterrupted one.
            draws = [np.random.default_rng([self.suite.seed, zlib.crc32(clip.tobytes())]) for clip in features]
            return [self.lines[draw.integers(len(self.lines))][0] for draw in draws]
        mean, std = self.looks.mean(0), self.looks.std(0) + 1e-6
        apart = metrics.distances((np.stack([_look(f) for f in features]) - mean) / std, (self.looks - mean) / std)
        return [self.train[i].captions[0] for i in apart.argmin(1)]

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        raise MotionLLMError("Every result on questions has its baselines inside (majority, text only); give a model.")


class _Words:
    """TF-IDF of captions, to find the nearest one."""

    def __init__(self, captions: Sequence[str]) -> None:
        bags = [Counter(normalised(caption).split()) for caption in captions]
        counts = Counter(word for bag in bags for word in bag)
        self.column = {word: i for i, word in enumerate(sorted(counts))}
        self.weight = np.array([math.log((1 + len(bags)) / (1 + counts[word])) + 1 for word in self.column])
        self.rows = self._rows(bags)

    def nearest(self, texts: Sequence[str]) -> list[int]:
        """The index of the nearest caption for each text; the first of equally near ones."""
        return (self._rows([Counter(normalised(text).split()) for text in texts]) @ self.rows.T).argmax(1).tolist()

    def _rows(self, bags: Sequence[Counter[str]]) -> np.ndarray:
        rows = np.zeros((len(bags), len(self.column)), np.float32)
        for i, bag in enumerate(bags):
            for word, count in bag.items():
                if word in self.column:
                    rows[i, self.column[word]] = count * self.weight[self.column[word]]
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _look(features: np.ndarray) -> np.ndarray:
    """A clip as one vector: mean and spread of its root, positions and velocities."""
    kept = of_width(features.shape[1]).columns("turn", "path", "height", "positions", "velocities")
    return np.concatenate([features[:, kept].mean(0), features[:, kept].std(0)])


def contestant(name: str, suite: Suite, engine: Sequence[str] = ()) -> Any:
    """A model, baseline or, for its task, motion tokenizer by name. Raises MotionLLMError where there is none, or where
    another one than a model is to be served by engines.
    """
    if engine and (suite.task == "tokenizer" or name.startswith(("baseline:", "untrained:"))):
        raise MotionLLMError(f"An engine serves merged models, and {name!r} is measured here; leave --engine out.")
    if suite.task == "tokenizer":
        return Tokenizer(name)
    return Baseline(name, suite) if name.startswith("baseline:") else Model(name, suite, engine)
