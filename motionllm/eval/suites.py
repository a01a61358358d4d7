"""Suites: one task on one set by one written protocol, for a model or a baseline, batched and resumable.

A run begins with the self-check: real data must score what the suite expects of it, or nothing is measured. Each
batch of motions or words is kept as a file in the run's `parts/` as soon as it is made; a killed run goes on from
there to the same result. The result holds no clock time, so that one seed gives one file, byte by byte.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

import motionllm
from motionllm.config import Suite
from motionllm.data import builtin
from motionllm.data.builtin import Spec
from motionllm.data.samples import Sample
from motionllm.data.sources import read
from motionllm.errors import MotionLLMError, each
from motionllm.eval import corpus, gaps, metrics
from motionllm.eval.classifier import Classifier
from motionllm.eval.corpus import draw_questions
from motionllm.eval.embedder import Embedder
from motionllm.eval.evaluator import StandardEvaluator
from motionllm.eval.gaps import Gap
from motionllm.eval.labels import label_scores
from motionllm.eval.text import caption_scores, normalised
from motionllm.files import lock, make_folder, read_json, tidy, whole_stream, write_json
from motionllm.model import MotionLM, find_adapter
from motionllm.motion import Motion
from motionllm.motion.agreement import agreement_of
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure
from motionllm.motion.representation import HUMANML3D_263, of_width
from motionllm.results import adapter_hash
from motionllm.runs import on_full_disk
from motionllm.tokenizer import MotionTokenizer

FORMAT = 1  # of the result
GAPS = ("prediction", "in_between")  # the tasks that fill a clip
SAMPLES = 4  # motions kept to look at
WORDLESS = "a person moves"  # what is said of a clip that is to be filled where no caption is given
Progress = Callable[..., None]
Made = tuple[np.ndarray, np.ndarray]  # features (T, dim), joints (T, J, 3)


@dataclass
class Case:
    """A clip of the split, loaded."""

    sample: Sample
    features: np.ndarray

    @cached_property
    def notation(self) -> Notation | None:
        """What is measured on it; None of a body that is not of 22 joints, or a clip too short."""
        measurable = self.features.shape[1] == HUMANML3D_263.dim and len(self.features) > 5
        return measure(features_to_joints(self.features), self.fps) if measurable else None

    @property
    def fps(self) -> float:
        return of_width(self.features.shape[1]).fps

    @property
    def seconds(self) -> float:
        return len(self.features) / self.fps


class Contestant(Protocol):
    """What is measured. `about` says which one it is, to the weights."""

    name: str
    about: dict[str, Any]

    def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Made]: ...

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Made]: ...

    def captions(self, features: Sequence[np.ndarray]) -> list[str]: ...

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]: ...


class Model:
    """An adapter, or with `untrained:` before its name its base without it."""

    def __init__(self, name: str, suite: Suite) -> None:
        self.name, self.suite = name, suite
        untrained = name.startswith("untrained:")
        of = name.removeprefix("untrained:")
        self.lm = MotionLM.untrained(of) if untrained else MotionLM.load(of)
        self.lm.shown = suite.shown or self.lm.shown
        self.about = {
            "model": name,
            "adapter": None if untrained else adapter_hash(of),
            "base": self.lm.recipe.model.base,
            "motion_tokenizer": self.lm.motion_tokenizer.hash,
        }

    def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Made]:
        s = self.suite
        return self._made(self.lm.generate_batch(texts, seconds, seed, s.temperature, s.top_p, s.best_of,
                                                 guidance=s.guidance, plan=None if s.plan else False))  # fmt: skip

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Made]:
        s, ends = self.suite, [gap.features[gap.last :] for gap in asked]
        return self._made(self.lm.generate_batch(
            [gap.text for gap in asked], [len(gap.features) / gap.fps for gap in asked], seed, s.temperature, s.top_p,
            s.best_of, start=[gap.features[: gap.first] for gap in asked], end=ends if len(ends[0]) else None,
            plan=False,  # a clip is gone on with as it was trained: without
        ))  # fmt: skip

    def _made(self, motions: Sequence[Motion]) -> list[Made]:
        return [(self.lm.motion_tokenizer.features(motion), motion.joints) for motion in motions]

    def captions(self, features: Sequence[np.ndarray]) -> list[str]:
        return self.lm.caption_batch(features)

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        return self.lm.ask_batch(features, questions)


class Baseline:
    """Training clips in a model's place: `baseline:random` any one, `baseline:nearest` the one that is most alike.

    To a text the clip with the nearest caption (cosine of TF-IDF over words), to a motion the caption of the clip
    whose features have the nearest mean and spread, to what is given of a clip the one whose same frames are nearest:
    none knows the embedder that scores it. Prediction and in-between have baselines without training besides, and
    captioning has `baseline:notation`: the sentence that is measured on the motion, without any model.
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

    # What a baseline does not need is not read.

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
        found = [self.train[i].load() for i in picked]
        return [(features, features_to_joints(features)) for features in found]

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Made]:
        if not self.nearest:
            fill = gaps.hold if self.name == "baseline:hold" else gaps.linear
            return [gaps.filled(gap, fill(gap)) for gap in asked]
        return [gaps.filled(gap, gaps.from_clip(gap, self.clips.nearest(gap))) for gap in asked]

    def captions(self, features: Sequence[np.ndarray]) -> list[str]:
        if self.name == "baseline:notation":
            return [measure(features_to_joints(clip)).sentence() for clip in features]
        if not self.nearest:
            # Drawn by the clip, so that a run that goes on draws as one that was never killed.
            draws = [np.random.default_rng([self.suite.seed, zlib.crc32(clip.tobytes())]) for clip in features]
            return [self.lines[draw.integers(len(self.lines))][0] for draw in draws]
        mean, std = self.looks.mean(0), self.looks.std(0) + 1e-6
        apart = metrics.distances((np.stack([_look(f) for f in features]) - mean) / std, (self.looks - mean) / std)
        return [self.train[i].captions[0] for i in apart.argmin(1)]

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        raise MotionLLMError("Every result on questions has its baselines inside (majority, text only); give a model.")


class _Words:
    """TF-IDF of captions, to find the nearest of them by."""

    def __init__(self, captions: Sequence[str]) -> None:
        bags = [Counter(normalised(caption).split()) for caption in captions]
        counts = Counter(word for bag in bags for word in bag)
        self.column = {word: i for i, word in enumerate(sorted(counts))}
        self.weight = np.array([math.log((1 + len(bags)) / (1 + counts[word])) + 1 for word in self.column])
        self.rows = self._rows(bags)

    def nearest(self, texts: Sequence[str]) -> list[int]:
        """The number of the nearest caption of each text; of several as near the first."""
        return (self._rows([Counter(normalised(text).split()) for text in texts]) @ self.rows.T).argmax(1).tolist()

    def _rows(self, bags: Sequence[Counter[str]]) -> np.ndarray:
        rows = np.zeros((len(bags), len(self.column)), np.float32)
        for i, bag in enumerate(bags):
            for word, count in bag.items():
                if word in self.column:
                    rows[i, self.column[word]] = count * self.weight[self.column[word]]
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _look(features: np.ndarray) -> np.ndarray:
    """What a clip looks like in one vector: mean and spread of its root, positions and velocities."""
    kept = of_width(features.shape[1]).columns("turn", "path", "height", "positions", "velocities")
    return np.concatenate([features[:, kept].mean(0), features[:, kept].std(0)])


def contestant(name: str, suite: Suite) -> Contestant:
    """A model or baseline by name. Raises MotionLLMError where there is none."""
    return Baseline(name, suite) if name.startswith("baseline:") else Model(name, suite)


def embedder_of(suite: Suite) -> Embedder | StandardEvaluator:
    """The suite's embedder, which must read motion as the data has it."""
    if suite.embedder.startswith("standard:"):
        texts = Path(suite.data.path) / "texts" if suite.data.path else None
        return StandardEvaluator.load(suite.embedder.removeprefix("standard:"), texts)
    return Embedder.load(suite.embedder)


# -- a run -----------------------------------------------------------------------------------------------------


def run_suite(suite: Suite, model: str, out: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Measure a model by a suite into the folder `out`; what its `result.json` holds.

    model: an adapter or run folder, a shipped name, `untrained:NAME`, or a baseline (see `Baseline`); for the
    tokenizer task a motion tokenizer does too. progress(done, **numbers) is called after each batch.
    Raises MotionLLMError where data, embedder or model are not to be had, real data fails the self-check, another
    process is in the folder, or the disk is full.
    """
    with lock(out), on_full_disk(lambda: "Make room and run it again: what was made until then is kept."):
        return _measure(suite, model, out, progress)


def _measure(suite: Suite, model: str, out: Path, progress: Progress | None) -> dict[str, Any]:
    begun = time.monotonic()
    cases = _cases(suite)
    # Answers are right or wrong by themselves.
    embedder = embedder_of(suite) if suite.task != "questions" else None
    real = embedder.embed_motions([case.features for case in cases]) if embedder else np.zeros((len(cases), 0))
    measured = {"text_to_motion": _text_to_motion, "captioning": _captioning, "questions": _questions,
                **dict.fromkeys(GAPS, _filling)}  # fmt: skip
    protocol = {
        "suite": suite.name,
        "version": suite.version,
        "task": suite.task,
        **_settings(suite),
        "data": suite.data.kind if suite.data.path is None else Path(suite.data.path).name,
        "split": suite.split,
        "cases": len(cases),
        "cases_hash": _hash([[case.sample.id, case.sample.captions, len(case.features)] for case in cases]),
        "embedder": {"kind": embedder.kind, "name": _embedder_name(suite), "id": embedder.id} if embedder else None,
        "seed": suite.seed,
    }
    checked = self_check(suite, cases, embedder, real) if embedder else {}
    clock: dict[str, float] = {}
    versions = {
        "motionllm": motionllm.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "numpy")},
    }
    if suite.task == "tokenizer":
        assert embedder
        about, result = _tokenizer(suite, model, cases, embedder, real, progress)
    else:
        entered = contestant(model, suite)
        about = entered.about
        parts = out / "parts" / _hash([protocol, about, versions, FORMAT])
        make_folder(parts)
        tidy(out)
        run = _Run(suite, entered, embedder, parts, progress)
        result = measured[suite.task](run, cases, real)
        clock = {"making_seconds": round(run.seconds, 1), "made": run.made}
    found = {
        "format": FORMAT,
        "protocol": protocol,
        **about,
        "versions": versions,
        "hardware": {
            "machine": platform.machine(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "threads": torch.get_num_threads(),
        },
        "self_check": checked,
        **result,
    }
    write_json(out / "result.json", found)
    write_json(out / "time.json", {"seconds": round(time.monotonic() - begun, 1), **clock})
    return found


def self_check(
    suite: Suite, cases: Sequence[Case], embedder: Embedder | StandardEvaluator, real: np.ndarray
) -> dict[str, float]:
    """What real data scores against itself, {"r1", "r2", "r3", "mm_dist", "diversity", "fid"}.

    FID is of the set and itself. Raises MotionLLMError where a value is outside what the suite expects: the embedder,
    the data or its normalisation is then not the one the suite was written for.
    """
    if not isinstance(embedder, StandardEvaluator) or set(_captions(cases, suite, 0)) <= embedder.tagged.keys():
        text = embedder.embed_texts(_captions(cases, suite, 0))
        order = np.random.default_rng([suite.seed, 0]).permutation(len(cases))
        found = {
            f"r{k}": float(r) for k, r in enumerate(metrics.r_precision(text[order], real[order], group=suite.group), 1)
        } | {"mm_dist": metrics.mm_dist(text, real)}
    else:
        found = {}
    found["diversity"] = metrics.diversity(real, np.random.default_rng([suite.seed, 1]), suite.pairs)
    found["fid"] = metrics.frechet_distance(real, real)
    unknown = suite.expect.keys() - found.keys()
    if unknown:
        raise MotionLLMError(f"Suite {suite.name} expects {sorted(unknown)[0]!r}; known are {', '.join(found)}.")
    for name, (least, most) in suite.expect.items():
        if not least <= found[name] <= most:
            raise MotionLLMError(
                f"The self-check of suite {suite.name} failed: real data scores {name} {found[name]:.3f}, and "
                f"{least:g} to {most:g} is expected; data, embedder or normalisation are not those of the suite."
            )
    return found


@dataclass
class _Run:
    """What a task needs to work its way through batches, each kept as a file."""

    suite: Suite
    contestant: Contestant
    embedder: Any  # an Embedder or StandardEvaluator; None for questions
    parts: Path
    progress: Progress | None
    done: int = 0
    todo: int = 0
    seconds: float = 0.0  # spent in the contestant, in this process
    made: int = 0  # rows it made, in this process

    def ask(self, call: Callable[..., Sequence[Any]], *columns: Sequence[Any]) -> list[Any]:
        """call(first, *columns), one result per row, None where it failed."""
        begun = time.monotonic()
        results = each(lambda numbers, *rows: call(numbers[0], *rows), range(len(columns[0])), *columns)
        found = [None if isinstance(result, MotionLLMError) else result for result in results]
        self.seconds, self.made = self.seconds + time.monotonic() - begun, self.made + len(found)
        return found

    def tell(self, count: int, **numbers: Any) -> None:
        self.done += count
        if self.progress:
            self.progress(self.done / self.todo, **numbers)

    def motions(self, label: str, number: int, texts: Sequence[str], seconds: Sequence[float] | None) -> list[_Motion]:
        """One _Motion a text; `label` and `number` name the pass, which has a seed of its own."""
        columns = [texts] if seconds is None else [texts, seconds]
        return self.passed(
            label, number, lambda seed, texts, seconds=None: self.contestant.motions(texts, seconds, seed), *columns
        )

    def passed(
        self, label: str, number: int, call: Callable[..., list[Made]], *columns: Sequence[Any]
    ) -> list[_Motion]:
        """call(seed, *columns) batch by batch: one _Motion a row of the columns."""
        made: list[_Motion] = []
        for start in range(0, len(columns[0]), self.suite.batch):
            rows = [column[start : start + self.suite.batch] for column in columns]
            file = self.parts / f"{label}-{number:03d}-{start:06d}.npz"
            if not file.is_file():
                seed = _seed(self.suite.seed, label, number, start)
                found = self.ask(lambda first, *rows, seed=seed: call(seed + first, *rows), *rows)
                _write_motions(
                    file, [_Motion() if one is None else _measured(one[0], one[1], self.embedder) for one in found]
                )
            made += _read_motions(file)
            self.tell(len(rows[0]), **{label: number + 1, "motions": len(made)})
        return made

    def words(self, label: str, call: Callable[..., list[str]], *columns: Sequence[Any]) -> list[str | None]:
        """One text a row of the columns; None where it failed."""
        said: list[str | None] = []
        for start in range(0, len(columns[0]), self.suite.batch):
            rows = [column[start : start + self.suite.batch] for column in columns]
            file = self.parts / f"{label}-{start:06d}.json"
            if not file.is_file():
                write_json(file, {"texts": self.ask(lambda _, *rows: call(*rows), *rows)})
            said += read_json(file)["texts"]
            self.tell(len(rows[0]), **{label: len(said)})
        return said


@dataclass
class _Motion:
    """A motion for a case: embedding (D,) and joints, empty where it failed; `measures` and `checks` once computed."""

    embedding: np.ndarray | None = None
    joints: np.ndarray | None = None
    measures: dict[str, float] | None = None
    checks: dict[str, bool] | None = None

    def measure(self, case: Case) -> dict[str, float]:
        """What physics says of it, and how well it agrees with the notation of its case."""
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
        """What it has of what its case of the built-in corpus asks for; None where it failed."""
        if self.joints is not None and self.checks is None:
            self.checks = corpus.checked(Spec.of(case.sample.labels["spec"]), Motion(self.joints))
        return self.checks


def _measured(features: np.ndarray, joints: np.ndarray, embedder: Embedder | StandardEvaluator) -> _Motion:
    try:
        return _Motion(embedder.embed_motions([features])[0], np.asarray(joints, np.float32))
    except MotionLLMError:  # too short to be measured
        return _Motion()


def _write_motions(file: Path, motions: Sequence[_Motion]) -> None:
    there = {f"{kind}{i}": getattr(m, kind) for i, m in enumerate(motions) for kind in ("embedding", "joints")
             if m.joints is not None}  # fmt: skip
    with whole_stream(file) as stream:
        np.savez(stream, count=len(motions), **there)  # type: ignore[arg-type]


def _read_motions(file: Path) -> list[_Motion]:
    with np.load(file) as stored:
        return [
            _Motion(stored[f"embedding{i}"], stored[f"joints{i}"]) if f"joints{i}" in stored else _Motion()
            for i in range(int(stored["count"]))
        ]


# -- tasks -----------------------------------------------------------------------------------------------------


def _text_to_motion(run: _Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    suite, more = run.suite, run.suite.multimodality
    few = cases[: more.texts] if more else []
    run.todo = suite.replications * len(cases) + (more.repeats * len(few) if more else 0)
    true_seconds = [case.seconds for case in cases]
    seconds = true_seconds if suite.length == "given" else None
    classifiers = _classifiers(suite, run.embedder)
    rows: dict[str, list[dict[str, Any]]] = {"real": [], "made": []}
    shown: list[_Motion] = []
    lengths: list[float] = []
    failed = 0
    whole = [_Motion(e, features_to_joints(case.features)) for e, case in zip(real, cases, strict=True)]
    for number in range(suite.replications):
        captions = _captions(cases, suite, number)
        text = run.embedder.embed_texts(captions)
        made = run.motions("replication", number, captions, seconds)
        shown = shown or made
        failed += sum(m.joints is None for m in made)
        for name, motions in (("real", whole), ("made", made)):
            rows[name].append(_replication(run, cases, text, motions, real, number, classifiers))
        lengths += [m.joints.shape[0] / case.fps - wanted for m, case, wanted in
                    zip(made, cases, true_seconds, strict=True) if m.joints is not None]  # fmt: skip
    result: dict[str, Any] = {name: _intervals(found) for name, found in rows.items()}
    if lengths:
        result["made"]["duration"] = metrics.duration_error(lengths, [0.0] * len(lengths))
    if more:
        captions = [case.sample.captions[0] for case in few]
        asked = [case.seconds for case in few] if suite.length == "given" else None
        passes = [run.motions("repeat", k, captions, asked) for k in range(more.repeats)]
        whole_ = [row for row in zip(*passes, strict=True) if all(m.embedding is not None for m in row)]
        if whole_:
            stacked = np.stack([[m.embedding for m in row] for row in whole_])
            draw = np.random.default_rng([suite.seed, 3])
            result["made"]["multimodality"] = metrics.multimodality(stacked, draw, more.pairs)
    result["failures"] = failed
    _write_samples(run.parts.parents[1] / "samples.npz", cases, shown)
    return result | _probe_scores(classifiers)


def _replication(
    run: _Run, cases: Sequence[Case], text: np.ndarray, motions: Sequence[_Motion], real: np.ndarray, number: int,
    classifiers: dict[str, Classifier],
) -> dict[str, Any]:  # fmt: skip
    """Every measure of one replication; a failed motion is a miss where there is something to hit."""
    suite = run.suite
    order = [i for i in np.random.default_rng([suite.seed, 2, number]).permutation(len(cases))
             if motions[i].embedding is not None]  # fmt: skip
    there = len(order) / len(cases)
    if len(order) < max(suite.group, suite.pairs, 2):
        raise MotionLLMError(
            f"Only {len(order)} of {len(cases)} motions could be measured; suite {suite.name} ranks among "
            f"{suite.group} and compares {suite.pairs} pairs."
        )
    found = np.stack([motions[i].embedding for i in order])  # type: ignore[misc]
    precision = metrics.r_precision(text[order], found, group=suite.group) * there
    row: dict[str, Any] = {f"r{k}": float(r) for k, r in enumerate(precision, 1)}
    row |= {
        "mm_dist": metrics.mm_dist(text[order], found),
        "fid": metrics.frechet_distance(found, real),
        "diversity": metrics.diversity(found, np.random.default_rng([suite.seed, 1, number]), suite.pairs),
    }
    measures = [motions[i].measure(cases[i]) for i in order]
    # Of a clip too short for a notation nothing can be agreed with.
    row |= {
        key: float(np.mean([one[key] for one in measures if key in one]))
        for key in dict.fromkeys(key for one in measures for key in one)
    }
    if "agreement" in row:
        row["agreement"] *= there
    for key, classifier in classifiers.items():
        truth = [cases[i].sample.labels.get(key) for i in order]
        row[f"label_{key}"] = there * float(np.mean([a == b for a, b in zip(classifier(found), truth, strict=True)]))
    if suite.data.kind == "builtin" and suite.captions == "first":
        specs = [Spec.of(case.sample.labels["spec"]) for case in cases]
        checks = [motion.check(case) for motion, case in zip(motions, cases, strict=True)]
        shares = corpus.shares(specs, checks)
        row |= {name: shares[name] for name in ("asked", "all_of")}
    return row


def _filling(run: _Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    suite = run.suite
    run.todo = suite.replications * len(cases)
    true = [features_to_joints(case.features) for case in cases]
    rows: dict[str, list[dict[str, Any]]] = {"real": [], "made": []}
    shown: list[_Motion] = []
    failed = 0
    for number in range(suite.replications):
        said = [WORDLESS] * len(cases) if suite.captions == "none" else _captions(cases, suite, number)
        asked = [gaps.gap(c.features, suite.task, suite.given, text) for c, text in zip(cases, said, strict=True)]
        made = run.passed("replication", number, lambda seed, some: run.contestant.fillings(some, seed), asked)
        # One of another length than was asked for cannot be laid beside the truth, frame by frame.
        made = [m if m.joints is not None and m.joints.shape == t.shape else _Motion()
                for m, t in zip(made, true, strict=True)]  # fmt: skip
        shown = shown or made
        failed += sum(m.joints is None for m in made)
        whole = [_Motion(e, t) for e, t in zip(real, true, strict=True)]
        for name, motions in (("real", whole), ("made", made)):
            there = [i for i, motion in enumerate(motions) if motion.joints is not None]
            if len(there) < max(suite.pairs, 2):
                raise MotionLLMError(
                    f"Only {len(there)} of {len(cases)} clips could be filled; suite {suite.name} compares "
                    f"{suite.pairs} pairs."
                )
            found = np.stack([motions[i].embedding for i in there])  # type: ignore[misc]
            measured = [gaps.measures(asked[i], motions[i].joints, true[i]) for i in there]  # type: ignore[arg-type]
            draw = np.random.default_rng([suite.seed, 1, number])
            rows[name].append(
                {key: float(np.mean([one[key] for one in measured])) for key in measured[0]}
                | {
                    "fid": metrics.frechet_distance(found, real),
                    "diversity": metrics.diversity(found, draw, suite.pairs),
                }
            )
    _write_samples(run.parts.parents[1] / "samples.npz", cases, shown)
    return {name: _intervals(found) for name, found in rows.items()} | {"failures": failed}


def _captioning(run: _Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    run.todo = len(cases)
    said = run.words("captions", run.contestant.captions, [case.features for case in cases])
    heard = [text or "" for text in said]  # a failed caption says nothing
    references = {case.sample.id: case.sample.captions for case in cases}
    first = [case.sample.captions[0] for case in cases]
    result: dict[str, Any] = {
        "text": caption_scores(dict(zip(references, heard, strict=True)), references),
        "failures": sum(text is None for text in said),
        "examples": [
            {"id": case.sample.id, "said": text, "true": case.sample.captions}
            for case, text in list(zip(cases, said, strict=True))[: 2 * SAMPLES]
        ],
    }
    for name, texts in (("real", first), ("made", heard)):
        if isinstance(run.embedder, StandardEvaluator) and not set(texts) <= run.embedder.tagged.keys():
            result[name] = None  # parts of speech are known of the data set's own captions alone
            continue
        order = np.random.default_rng([run.suite.seed, 2]).permutation(len(cases))
        text = run.embedder.embed_texts(texts)
        precision = metrics.r_precision(real[order], text[order], group=run.suite.group)
        result[name] = {f"r{k}": float(r) for k, r in enumerate(precision, 1)}
        result[name]["mm_dist"] = metrics.mm_dist(text, real)
    if run.suite.labels:
        train = read(run.suite.data, "train")
        scores = label_scores(dict(zip(references, heard, strict=True)), train, [case.sample for case in cases])
        result["labels"] = {
            key: {"accuracy": scores["labels"][key]["accuracy"], "chance": scores["labels"][key]["chance"]}
            for key in run.suite.labels
            if key in scores["labels"]
        }
    return result


def _questions(run: _Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    asked = draw_questions([case.sample for case in cases], run.suite.seed)
    if not asked:
        raise MotionLLMError(f"No clip of suite {run.suite.name} has questions; the built-in corpus has.")
    run.todo = len(asked)
    questions = [question for _, question in asked]
    features = [cases[clip].features for clip, _ in asked]
    said = run.words("answers", run.contestant.answers, features, [question.text for question in questions])
    true, kinds = [q.answer for q in questions], [q.kind for q in questions]
    known = [(q.text, q.answer, q.kind) for sample in read(run.suite.data, "train") for q in sample.questions]
    blind = metrics.text_only_answers(known, [(q.text, q.kind) for q in questions])
    right = [a is not None and builtin.right_answer(q, a) for q, a in zip(questions, said, strict=True)]
    return {
        "answers": metrics.answer_scores(said, true, kinds) | {"understood": sum(right) / len(right)},
        "text_only": metrics.answer_scores(blind, true, kinds),
        "failures": sum(answer is None for answer in said),
    }


def _tokenizer(
    suite: Suite, name: str, cases: Sequence[Case], embedder: Embedder | StandardEvaluator, real: np.ndarray,
    progress: Progress | None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """(which tokenizer, what it keeps of the clips). A clip that is shorter than a step is a failure."""
    try:
        place: str | Path = find_adapter(name) / "tokenizer"
    except MotionLLMError:
        place = name
    tokenizer = MotionTokenizer.load(place if Path(place).is_dir() else name)
    rows, codes, again, failed = [], [], [], 0
    fps, parents = tokenizer.fps, tokenizer.skeleton.parents
    feet = [foot for _, foot in tokenizer.skeleton.feet]
    for i, case in enumerate(cases):
        try:
            code = tokenizer.encode(case.features)
            features = tokenizer.decode_features(code)
            embedding = embedder.embed_motions([features])[0]
            made, true = features_to_joints(features), features_to_joints(case.features[: len(features)])
            rows.append({
                "root_aligned_mpjpe_mm": 1000 * metrics.root_aligned_mpjpe(made, true),
                "mpjpe_mm": 1000 * metrics.mpjpe(made, true),
                "pa_mpjpe_mm": 1000 * metrics.pa_mpjpe(made, true),
                "acceleration_error": metrics.acceleration_error(made, true, fps),
                "skating": metrics.foot_skating(made, fps, feet),
                "penetration_mm": 1000 * metrics.floor_penetration(made),
                "jerk": metrics.jerk(made, fps),
                "bone_drift": metrics.bone_length_drift(made, parents),
                "frames": len(made),
            })  # fmt: skip
        except MotionLLMError:
            failed += 1
            continue
        codes.append(code)
        again.append(embedding)
        if progress:
            progress((i + 1) / len(cases), clips=i + 1)
    if len(rows) < 2:
        raise MotionLLMError(f"{failed} of {len(cases)} clips cannot be tokenized; there is nothing to measure.")
    # Over frames, as reconstruction is reported, not over clips.
    frames = np.array([row.pop("frames") for row in rows])
    found = {key: float(np.average([row[key] for row in rows], weights=frames)) for key in rows[0]}
    found |= metrics.code_use(np.concatenate(codes), tokenizer.size)
    found |= {"fid": metrics.frechet_distance(np.stack(again), real), "codes_per_second": tokenizer.codes_per_second}
    about = {"model": name, "motion_tokenizer": tokenizer.hash}
    return about, {"made": found | {"codes": tokenizer.size}, "failures": failed}


# -- within ----------------------------------------------------------------------------------------------------


def _settings(suite: Suite) -> dict[str, Any]:
    """What of the suite bears on the task's numbers."""
    every = {
        "text_to_motion": ("captions", "length", "replications", "group", "pairs", "temperature", "top_p", "best_of",
                           "batch", "labels"),
        "captioning": ("group", "labels", "batch"),
        "questions": ("batch",),
        **dict.fromkeys(GAPS, ("captions", "given", "replications", "group", "pairs", "temperature", "top_p", "best_of",
                               "batch")),
        "tokenizer": (),
    }  # fmt: skip
    found = {name: getattr(suite, name) for name in every[suite.task]}
    if suite.task == "text_to_motion" and suite.guidance != 1:
        found["guidance"] = suite.guidance
    if suite.task == "text_to_motion" and not suite.plan:
        found["plan"] = False
    if suite.task in ("captioning", "questions") and suite.shown:
        found["shown"] = suite.shown
    if suite.task == "text_to_motion" and suite.multimodality:
        found["multimodality"] = suite.multimodality.model_dump()
    return found | ({"frames": list(suite.frames)} if suite.frames else {}) | (
        {"benchmark": suite.benchmark} if suite.benchmark else {}
    )  # fmt: skip


def _cases(suite: Suite) -> list[Case]:
    samples = _read(suite)
    cases = []
    for sample in samples:
        features = sample.load()
        least, most = suite.frames or (4, 10**9)
        if suite.task in GAPS:
            least, features = max(least, gaps.SHORTEST), features[: len(features) // gaps.UNIT * gaps.UNIT]
        if sample.captions and least <= len(features) <= most:
            cases.append(Case(sample, features))
        if len(cases) == suite.cases:
            break
    if len(cases) < max(2, suite.cases or 0):
        raise MotionLLMError(
            f"Suite {suite.name} asks for {suite.cases or 'at least 2'} clips of the {suite.split} split, and "
            f"{len(cases)} fit; set `cases` lower or give another set as `data`."
        )
    return cases


def _read(suite: Suite) -> list[Sample]:
    if suite.data.kind == "builtin":
        return builtin.corpus(suite.cases or 300, suite.data.seed, suite.split)
    return read(suite.data, suite.split)


def _captions(cases: Sequence[Case], suite: Suite, number: int) -> list[str]:
    """The captions of a replication."""
    if suite.captions in ("first", "none"):
        return [case.sample.captions[0] for case in cases]
    draw = np.random.default_rng([suite.seed, 4, number])
    return [case.sample.captions[draw.integers(len(case.sample.captions))] for case in cases]


def _classifiers(suite: Suite, embedder: Embedder | StandardEvaluator) -> dict[str, Classifier]:
    """A classifier of each label, trained on real train clips."""
    if not suite.labels:
        return {}
    samples = read(suite.data, "train")
    found = embedder.embed_motions([sample.load() for sample in samples])
    result = {}
    for key in suite.labels:
        known = [i for i, sample in enumerate(samples) if isinstance(sample.labels.get(key), str)]
        result[key] = Classifier.fit(found[known], [samples[i].labels[key] for i in known], key)
    return result


def _probe_scores(classifiers: dict[str, Classifier]) -> dict[str, Any]:
    if not classifiers:
        return {}
    return {"classifiers": {key: {"classes": len(c.classes), "train": c.accuracy} for key, c in classifiers.items()}}


def _intervals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: metrics.interval([row[key] for row in rows]) for key in rows[0]}


def _write_samples(file: Path, cases: Sequence[Case], made: Sequence[_Motion]) -> None:
    """A few motions beside the real ones, for the report's page."""
    kept: dict[str, Any] = {}
    for i, (case, motion) in enumerate(list(zip(cases, made, strict=True))[:SAMPLES]):
        kept |= {f"caption{i}": np.array(case.sample.captions[0]), f"real{i}": features_to_joints(case.features)}
        kept |= {f"made{i}": motion.joints} if motion.joints is not None else {}
    with whole_stream(file) as stream:
        np.savez_compressed(stream, fps=cases[0].fps, **kept)  # type: ignore[arg-type]


def _embedder_name(suite: Suite) -> str:
    return Path(suite.embedder).name if not suite.embedder.startswith("standard:") else "text_mot_match"


def _seed(*parts: Any) -> int:
    return int(_hash(list(parts)), 16) % 2**31


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
