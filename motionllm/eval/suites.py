"""Suites: one task on one data set by a fixed protocol, for a model or a baseline, batched and resumable.

A run begins with the self-check: real data must score what the suite expects of it, or nothing is measured. Each batch
of motions or texts is kept as a file in the run's `parts/` as soon as it is complete; a killed run resumes from there
and gives the same result. The result holds no timing, so that one seed gives one file, byte by byte.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import motionllm
from motionllm import corpus as builtin
from motionllm.config import Suite
from motionllm.data.sources import read
from motionllm.errors import MotionLLMError
from motionllm.eval import gaps, metrics
from motionllm.eval.contestants import GAPS, Contestant, contestant
from motionllm.eval.embedder import Embedder
from motionllm.eval.evaluator import StandardEvaluator
from motionllm.eval.passes import Case, Progress, Run, hash_of
from motionllm.eval.suite_tasks import captions_of, task_of
from motionllm.files import lock, make_folder, read_json, tidy, write_json
from motionllm.runs.run import on_full_disk
from motionllm.samples import Sample

FORMAT = 1  # version of the result


def run_suite(
    suite: Suite,
    model: str | Contestant,
    out: Path,
    progress: Progress | None = None,
    engine: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure a model by a suite into the folder `out`. Returns the content of its `result.json`.

    model: an adapter or run folder, a shipped name, `untrained:NAME`, or a baseline (see `Baseline`); for the tokenizer
    task also a motion tokenizer; or a loaded contestant. progress(done, **numbers) is called after each batch. engine:
    addresses of engines that serve the model, which is then the folder of `motionllm merge`. Raises
    MotionLLMError where the task is unknown, data, embedder or model cannot be loaded, real data fails the self-check,
    the folder has the result of another model or suite or is used by another process, or the disk is full.
    """
    with lock(out), on_full_disk(lambda: "Make room and run it again: what was made until then is kept."):
        return _measure(suite, model, out, progress, engine)


def _measure(
    suite: Suite, model: str | Contestant, out: Path, progress: Progress | None, engine: Sequence[str]
) -> dict[str, Any]:
    begun = time.monotonic()
    if isinstance(model, str):
        _check_free(out / "result.json", suite, model)
    task = task_of(suite)
    cases = _cases(suite)
    embedder = embedder_of(suite) if task.embeds else None
    real = embedder.embed_motions([case.features for case in cases]) if embedder else np.zeros((len(cases), 0))
    protocol = {
        "suite": suite.name,
        "version": suite.version,
        "task": suite.task,
        **_settings(suite),
        "data": suite.data.kind if suite.data.path is None else Path(suite.data.path).name,
        "split": suite.split,
        "cases": len(cases),
        "cases_hash": hash_of([[case.sample.id, case.sample.captions, len(case.features)] for case in cases]),
        "embedder": {"kind": embedder.kind, "name": _embedder_name(suite), "id": embedder.id} if embedder else None,
        "seed": suite.seed,
    }
    checked = self_check(suite, cases, embedder, real) if embedder else {}
    versions = {
        "motionllm": motionllm.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "numpy")},
    }
    entered = contestant(model, suite, engine) if isinstance(model, str) else model
    parts = out / "parts" / hash_of([protocol, entered.about, versions, FORMAT])
    make_folder(parts)
    tidy(out)
    run = Run(suite, entered, embedder, parts, progress)
    result = task.measure(run, cases, real)
    content = {
        "format": FORMAT,
        "protocol": protocol,
        **entered.about,
        "versions": versions,
        "hardware": {
            "machine": platform.machine(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "threads": torch.get_num_threads(),
        },
        "self_check": checked,
        **result,
    }
    write_json(out / "result.json", content)
    write_json(
        out / "time.json",
        {"seconds": round(time.monotonic() - begun, 1), "making_seconds": round(run.seconds, 1), "made": run.made},
    )
    return content


def _check_free(result: Path, suite: Suite, model: str) -> None:
    """Refuse a result that is of another suite or model; one of the same is made anew."""
    if not result.is_file():
        return
    was = read_json(result)
    protocol = was.get("protocol", {})
    other = was.get("model"), protocol.get("suite")
    if other != (model, suite.name) or protocol.get("task") != suite.task:
        raise MotionLLMError(
            f"{result} is of the model {other[0]} in the suite {other[1]}; give another --out, or move it."
        )


def self_check(
    suite: Suite, cases: Sequence[Case], embedder: Embedder | StandardEvaluator, real: np.ndarray
) -> dict[str, float]:
    """Scores of real data against itself: {"r1", "r2", "r3", "mm_dist", "diversity", "fid"}.

    FID is between the set and itself. Raises MotionLLMError where a value is outside what the suite expects: the
    embedder, the data or its normalisation is then not the one the suite was written for.
    """
    if not isinstance(embedder, StandardEvaluator) or set(captions_of(cases, suite, 0)) <= embedder.tagged.keys():
        text = embedder.embed_texts(captions_of(cases, suite, 0))
        order = np.random.default_rng([suite.seed, 0]).permutation(len(cases))
        scores = {
            f"r{k}": float(r) for k, r in enumerate(metrics.r_precision(text[order], real[order], group=suite.group), 1)
        } | {"mm_dist": metrics.mm_dist(text, real)}
    else:
        scores = {}
    scores["diversity"] = metrics.diversity(real, np.random.default_rng([suite.seed, 1]), suite.pairs)
    scores["fid"] = metrics.frechet_distance(real, real)
    unknown = suite.expect.keys() - scores.keys()
    if unknown:
        raise MotionLLMError(f"Suite {suite.name} expects {sorted(unknown)[0]!r}; known are {', '.join(scores)}.")
    for name, (least, most) in suite.expect.items():
        if not least <= scores[name] <= most:
            raise MotionLLMError(
                f"The self-check of suite {suite.name} failed: real data scores {name} {scores[name]:.3f}, and "
                f"{least:g} to {most:g} is expected; data, embedder or normalisation are not those of the suite."
            )
    return scores


def embedder_of(suite: Suite) -> Embedder | StandardEvaluator:
    """The suite's embedder. Raises MotionLLMError if it reads another representation than the data's."""
    if suite.embedder.startswith("standard:"):
        texts = Path(suite.data.path) / "texts" if suite.data.path else None
        return StandardEvaluator.load(suite.embedder.removeprefix("standard:"), texts)
    return Embedder.load(suite.embedder)


def _settings(suite: Suite) -> dict[str, Any]:
    """The suite's settings that affect its task's numbers."""
    task = task_of(suite)
    values = {name: getattr(suite, name) for name in task.settings}
    # Settings added later are named only where they differ from the former behaviour.
    values |= {name: value for name, usual in task.optional.items() if (value := getattr(suite, name)) != usual}
    if "multimodality" in values:
        values["multimodality"] = suite.multimodality and suite.multimodality.model_dump()
    return (
        values
        | ({"frames": list(suite.frames)} if suite.frames else {})
        | ({"benchmark": suite.benchmark} if suite.benchmark else {})
    )


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


def _embedder_name(suite: Suite) -> str:
    return Path(suite.embedder).name if not suite.embedder.startswith("standard:") else "text_mot_match"
