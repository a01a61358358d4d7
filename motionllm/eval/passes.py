"""Run a contestant in batches: each batch of motions or texts is a file, which a resumed run reads."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.config import Suite
from motionllm.corpus import Spec
from motionllm.errors import MotionLLMError, each
from motionllm.eval import corpus, metrics
from motionllm.eval.contestants import Made
from motionllm.eval.embedder import Embedder
from motionllm.eval.evaluator import StandardEvaluator
from motionllm.files import read_json, whole_stream, write_json
from motionllm.motion import Motion
from motionllm.motion.agreement import agreement_of
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure
from motionllm.motion.representation import HUMANML3D_263, of_width
from motionllm.samples import Sample

SAMPLES = 4  # motions kept for viewing
Progress = Callable[..., None]


@dataclass
class Case:
    """A clip of the split, loaded."""

    sample: Sample
    features: np.ndarray

    @cached_property
    def notation(self) -> Notation | None:
        """The notation measured on the clip; None for a body without 22 joints, or a clip too short."""
        measurable = self.features.shape[1] == HUMANML3D_263.dim and len(self.features) > 5
        return measure(features_to_joints(self.features), self.fps) if measurable else None

    @property
    def fps(self) -> float:
        return of_width(self.features.shape[1]).fps

    @property
    def seconds(self) -> float:
        return len(self.features) / self.fps


@dataclass
class Run:
    """What a task needs to work through batches, each kept as a file."""

    suite: Suite
    contestant: Any  # a Contestant; for the task `tokenizer` a Tokenizer
    embedder: Any  # an Embedder or StandardEvaluator; None for questions
    parts: Path
    progress: Progress | None
    done: int = 0
    todo: int = 0
    seconds: float = 0.0  # time spent in the contestant by this process
    made: int = 0  # rows computed by this process

    def ask(self, call: Callable[..., Sequence[Any]], *columns: Sequence[Any]) -> list[Any]:
        """call(first, *columns), one result per row, None where it failed."""
        begun = time.monotonic()
        results = each(lambda numbers, *rows: call(numbers[0], *rows), range(len(columns[0])), *columns)
        answers = [None if isinstance(result, MotionLLMError) else result for result in results]
        self.seconds, self.made = self.seconds + time.monotonic() - begun, self.made + len(answers)
        return answers

    def tell(self, count: int, **numbers: Any) -> None:
        self.done += count
        if self.progress:
            self.progress(self.done / self.todo, **numbers)

    def motions(self, label: str, number: int, texts: Sequence[str], seconds: Sequence[float] | None) -> list[Measured]:
        """One Measured per text; `label` and `number` name the pass, which has its own seed."""
        columns = [texts] if seconds is None else [texts, seconds]
        return self.passed(
            label, number, lambda seed, texts, seconds=None: self.contestant.motions(texts, seconds, seed), *columns
        )

    def passed(
        self, label: str, number: int, call: Callable[..., list[Made]], *columns: Sequence[Any]
    ) -> list[Measured]:
        """call(seed, *columns) batch by batch: one Measured per row of the columns."""
        motions: list[Measured] = []
        for start in range(0, len(columns[0]), self.suite.batch):
            rows = [column[start : start + self.suite.batch] for column in columns]
            file = self.parts / f"{label}-{number:03d}-{start:06d}.npz"
            if not file.is_file():
                seed = seed_of(self.suite.seed, label, number, start)
                filled = self.ask(lambda first, *rows, seed=seed: call(seed + first, *rows), *rows)
                write_motions(
                    file, [Measured() if one is None else measured(one[0], one[1], self.embedder) for one in filled]
                )
            motions += read_motions(file)
            self.tell(len(rows[0]), **{label: number + 1, "motions": len(motions)})
        return motions

    def words(self, label: str, call: Callable[..., list[str]], *columns: Sequence[Any]) -> list[str | None]:
        """One text per row of the columns; None where it failed."""
        texts: list[str | None] = []
        for start in range(0, len(columns[0]), self.suite.batch):
            rows = [column[start : start + self.suite.batch] for column in columns]
            file = self.parts / f"{label}-{start:06d}.json"
            if not file.is_file():
                write_json(file, {"texts": self.ask(lambda _, *rows: call(*rows), *rows)})
            texts += read_json(file)["texts"]
            self.tell(len(rows[0]), **{label: len(texts)})
        return texts


@dataclass
class Measured:
    """A motion for a case: embedding (D,) and joints (T, J, 3), None where it failed; `measures` and `checks` once
    computed.
    """

    embedding: np.ndarray | None = None
    joints: np.ndarray | None = None
    measures: dict[str, float] | None = None
    checks: dict[str, bool] | None = None

    def measure(self, case: Case) -> dict[str, float]:
        """Physics of the motion, and how well it agrees with the notation of its case."""
        assert self.joints is not None
        if self.measures is None:
            feet = [foot for _, foot in of_width(case.features.shape[1]).skeleton.feet]
            self.measures = {
                "skating": metrics.foot_skating(self.joints, case.fps, feet),
                "floating_mm": 1000 * metrics.floating(self.joints),
                "jerk": metrics.jerk(self.joints, case.fps),
                "seconds": len(self.joints) / case.fps,
            }
            if case.notation:
                self.measures["agreement"] = agreement_of(case.notation, self.joints, case.fps).score
        return self.measures

    def check(self, case: Case) -> dict[str, bool] | None:
        """Which of the things that its case of the built-in corpus asks for it has; None where it failed."""
        if self.joints is not None and self.checks is None:
            self.checks = corpus.checked(Spec.of(case.sample.labels["spec"]), Motion(self.joints))
        return self.checks


def measured(features: np.ndarray, joints: np.ndarray, embedder: Embedder | StandardEvaluator | None) -> Measured:
    try:
        embedding = embedder.embed_motions([features])[0] if embedder else np.zeros(0, np.float32)
        return Measured(embedding, np.asarray(joints, np.float32))
    except MotionLLMError:  # too short to be measured
        return Measured()


def write_motions(file: Path, motions: Sequence[Measured]) -> None:
    there = {
        f"{kind}{i}": getattr(m, kind)
        for i, m in enumerate(motions)
        for kind in ("embedding", "joints")
        if m.joints is not None
    }
    with whole_stream(file) as stream:
        np.savez(stream, count=len(motions), **there)  # type: ignore[arg-type]


def read_motions(file: Path) -> list[Measured]:
    with np.load(file) as stored:
        return [
            Measured(stored[f"embedding{i}"], stored[f"joints{i}"]) if f"joints{i}" in stored else Measured()
            for i in range(int(stored["count"]))
        ]


# -- tasks -----------------------------------------------------------------------------------------------------


def write_samples(file: Path, cases: Sequence[Case], made: Sequence[Measured]) -> None:
    """Write the first SAMPLES motions beside the real ones, for the report's page."""
    kept: dict[str, Any] = {}
    for i, (case, motion) in enumerate(list(zip(cases, made, strict=True))[:SAMPLES]):
        kept |= {f"caption{i}": np.array(case.sample.captions[0]), f"real{i}": features_to_joints(case.features)}
        kept |= {f"made{i}": motion.joints} if motion.joints is not None else {}
    with whole_stream(file) as stream:
        np.savez_compressed(stream, fps=cases[0].fps, **kept)  # type: ignore[arg-type]


def seed_of(*parts: Any) -> int:
    return int(hash_of(list(parts)), 16) % 2**31


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
