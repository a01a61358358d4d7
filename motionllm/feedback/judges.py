"""Judges: named functions that score what a model generated, each with a range and a unit. Higher is always better.

A judge returns None where it cannot judge (a text that names no known fact, no duration asked for). One that raises,
returns NaN or leaves its range stops the run: the error names it, and its input is kept for inspection.

A new judge is a function and a row of JUDGES; for a user's own, nothing changes here: `find_judge` imports
"module:function".
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import corpus as builtin
from motionllm.corpus import Part, Spec
from motionllm.errors import MotionLLMError, unknown
from motionllm.eval import metrics
from motionllm.eval.corpus import checked, names_rightly
from motionllm.eval.embedder import Embedder
from motionllm.eval.text import normalised, rouge_l
from motionllm.files import write_json
from motionllm.motion import Motion
from motionllm.motion.agreement import Agreement, agreement_of
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation
from motionllm.motion.representation import HUMANML3D_263
from motionllm.samples import Question, Sample

Scores = dict[str, float | None]


@dataclass
class Result:
    """What a model generated for a prompt.

    asked: the caption or question. seconds: the duration that the prompt states. samples: the clips with that caption,
    the prompt's own first; none for a user's text. plans: the plan that the motion follows, or else the notations of
    those clips. joints: (T, J, 3), metres, as decoded, before bones are made rigid and the floor is found. motion:
    after that. features: (T, dim) of `motion`. said: a generated caption or answer.
    """

    task: str
    asked: str = ""
    seconds: float | None = None
    samples: Sequence[Sample] = ()
    plans: Sequence[Notation] = ()
    question: Question | None = None
    joints: np.ndarray | None = None
    motion: Motion | None = None
    features: np.ndarray | None = None
    said: str = ""


# -- what a text asks, measured in the motion ------------------------------------------------------------------


def asked(text: str) -> Spec | None:
    """What a free text asks for, as far as it can be read: actions with side, direction, count and speed, and how two
    of them relate.

    None where it names no action that can be measured.
    """
    parts = [Part(**part) for part in builtin.named(text)["parts"]]
    # Standing still counts as asked only if the text says nothing else: it is often how another action begins or ends.
    parts = [part for part in parts if part.action != "stand"] or parts[:1]
    if not parts:
        return None
    words = f" {text.lower()} "
    together = any(word in words for word in (" while ", " at the same time", " as they ", " as he ", " as she "))
    relation = ("while" if together else "then") if len(parts) == 2 else ""
    return Spec(tuple(parts), relation)


def _spec(result: Result) -> Spec | None:
    known = result.samples[0].labels.get("spec") if result.samples else None
    return Spec.of(known) if known else asked(result.asked)


def facts(result: Result) -> float | None:
    """Share of what the text asks for (action, side, direction, count, speed, order) that the motion has, 0 to 1.

    A motion that cannot be measured scores 0.
    """
    if (spec := _spec(result)) is None:
        return None
    has = checked(spec, result.motion)
    return sum(has.values()) / len(has) if has else 0.0


def duration(result: Result) -> float | None:
    """1 minus the relative error of the duration, 0 to 1."""
    if result.seconds is None:
        return None
    assert result.motion
    return 1 - min(1.0, abs(result.motion.duration - result.seconds) / result.seconds)


# -- what a plan says, or a real clip does, measured in the motion -----------------------------------------------


def agreed(result: Result) -> Agreement | None:
    """Agreement of the motion with the plan, event by event; of several real clips, with the nearest.

    None where there is neither plan nor real clip.
    """
    assert result.motion
    agreements = [agreement_of(plan, result.motion.joints, result.motion.fps) for plan in result.plans]
    return max(agreements, key=lambda one: one.score, default=None)


def agreement(result: Result) -> float | None:
    """The score of `agreed`, 0 to 1."""
    best = agreed(result)
    return best.score if best else None


# -- physics ---------------------------------------------------------------------------------------------------

# Values (share of frames, metres, m/s³) that 95 % of real clips stay below: the larger of the figures for 300 clips of
# the built-in corpus and for the 22 held-out clips of CMU mocap. Real clips stand on the floor and have rigid bones, so
# the tolerances for penetration and bones are set by hand: 1 cm, and 1 % of a bone's length.
LIMITS = {"skating": 0.27, "penetration": 0.01, "floating": 0.09, "jerk": 240.0, "bones": 0.01}


def physics_of(joints: np.ndarray, fps: float, feet: Sequence[int], parents: Sequence[int]) -> dict[str, float]:
    """{"skating": share of frames, "penetration", "floating": m, "jerk": m/s³, "bones": relative drift} of joints (T,
    J, 3), metres.
    """
    return {
        "skating": metrics.foot_skating(joints, fps, feet),
        "penetration": metrics.floor_penetration(joints),
        "floating": metrics.floating(joints),
        "jerk": metrics.jerk(joints, fps),
        "bones": metrics.bone_length_drift(joints, parents),
    }


def _physics(result: Result) -> dict[str, float]:
    assert result.joints is not None and result.motion is not None
    skeleton = result.motion.skeleton
    return physics_of(result.joints, result.motion.fps, [foot for _, foot in skeleton.feet], skeleton.parents)  # type: ignore[union-attr]


def _physical(name: str) -> Callable[[Result], float]:
    """A judge of one measure: limit / value, and 1 where the value is no worse than in most real clips."""
    return lambda result: LIMITS[name] / max(_physics(result)[name], LIMITS[name])


def physics(result: Result) -> float:
    """Mean of the five physical judges, 0 to 1."""
    values = _physics(result)
    return float(np.mean([limit / max(values[name], limit) for name, limit in LIMITS.items()]))


# -- by an embedder --------------------------------------------------------------------------------------------


def similarity(results: Sequence[Result], embedder: Embedder) -> list[float | None]:
    """Cosine of each text and its motion, −1 to 1."""
    texts = embedder.embed_texts([result.asked for result in results])
    motions = embedder.embed_motions([_features(result) for result in results])
    return [float(np.clip(a @ b, -1, 1)) for a, b in zip(texts, motions, strict=True)]


def likeness(results: Sequence[Result], embedder: Embedder) -> list[float | None]:
    """Cosine of each motion and the nearest real clip with the same text, −1 to 1; None without such a clip."""
    motions = embedder.embed_motions([_features(result) for result in results])
    known: dict[str, np.ndarray] = {}
    cosines: list[float | None] = []
    for result, one in zip(results, motions, strict=True):
        for sample in result.samples:
            if sample.id not in known:
                known[sample.id] = embedder.embed_motions([sample.load()])[0]
        real = [float(np.clip(one @ known[sample.id], -1, 1)) for sample in result.samples]
        cosines.append(max(real) if real else None)
    return cosines


def _features(result: Result) -> np.ndarray:
    assert result.features is not None
    return result.features


# -- captions and answers --------------------------------------------------------------------------------------


def caption_facts(result: Result) -> float | None:
    """Share of the clip's facts that the caption names correctly, 0 to 1.

    For a clip of the built-in corpus, the facts are the actions, sides and directions of its specification. For any
    other, which has no specification: the share of the caption's claims that are measured in the clip.
    """
    sample = result.samples[0]
    if known := sample.labels.get("spec"):
        named = names_rightly(Spec.of(known), result.said)
        return sum(named.values()) / len(named)
    if (claimed := asked(result.said)) is None:
        return 0.0  # or claiming nothing would be rewarded
    features = sample.load()
    if features.shape[1] != HUMANML3D_263.dim:
        return None
    has = checked(claimed, Motion(features_to_joints(features)))
    return sum(has.values()) / len(has) if has else None


def references(result: Result) -> float:
    """ROUGE-L against the clip's captions, normalised (lower case, no punctuation), 0 to 1."""
    return rouge_l([normalised(result.said)], [[normalised(text) for text in result.samples[0].captions]])


def answer(result: Result) -> float:
    """1 if the answer means the true one, else 0."""
    assert result.question
    return float(builtin.right_answer(result.question, result.said))


# -- all of them -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judge:
    """score: a function of one result or, with `embeds`, of several and an embedder. low, high: its range. unit: of its
    number.
    """

    name: str
    task: str
    score: Callable[..., Any]
    unit: str
    low: float = 0.0
    high: float = 1.0
    embeds: bool = False

    def share(self, value: float) -> float:
        """A value as a share of the range, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


JUDGES = {
    judge.name: judge
    for judge in (
        Judge("agreement", "text_to_motion", agreement, "events as planned"),
        Judge("facts", "text_to_motion", facts, "share of what is asked"),
        Judge("similarity", "text_to_motion", similarity, "cosine", -1.0, embeds=True),
        Judge("likeness", "text_to_motion", likeness, "cosine", -1.0, embeds=True),
        Judge("physics", "text_to_motion", physics, "mean of the five"),
        *(Judge(name, "text_to_motion", _physical(name), "limit of real clips ÷ value") for name in LIMITS),
        Judge("duration", "text_to_motion", duration, "share of the asked duration"),
        Judge("caption_facts", "caption", caption_facts, "share of the facts"),
        Judge("references", "caption", references, "ROUGE-L"),
        Judge("answer", "question", answer, "right or wrong"),
    )
}


def find_judge(name: str) -> Judge:
    """The judge of that name: one of JUDGES, or a user's own, "module:function".

    The module must be installed or in the working folder. The function takes a Result of the task text_to_motion and
    returns a number from 0 to 1, or None; for another task, range or unit, name a Judge instead. Raises MotionLLMError
    for a name that is not known or cannot be imported.
    """
    if name in JUDGES:
        return JUDGES[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise MotionLLMError(unknown("judge", name, JUDGES))
    if os.getcwd() not in sys.path:  # like `python -m`; the command `motionllm` does not search it
        sys.path.append(os.getcwd())
    try:
        own = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the module raises
        raise MotionLLMError(
            f"The judge {name!r} cannot be imported ({type(error).__name__}: {error}); write module:function, the "
            "module installed or in this folder."
        ) from error
    if isinstance(own, Judge):
        return replace(own, name=name)
    if not callable(own):
        raise MotionLLMError(f"The judge {name!r} is neither a function nor a Judge; name one of these.")
    return Judge(name, "text_to_motion", own, attribute)


@dataclass
class Panel:
    """Judges with weights. failed: folder in which a result is kept if a judge fails on it; None keeps nothing.

    Raises MotionLLMError for an unknown judge, or one that needs an embedder where none is given.
    """

    weights: Mapping[str, float]
    embedder: Embedder | None = None
    failed: Path | None = None
    judges: dict[str, Judge] = field(init=False)

    def __post_init__(self) -> None:
        self.judges = {name: find_judge(name) for name in self.weights}
        for name, judge in self.judges.items():
            if judge.embeds and self.embedder is None:
                raise MotionLLMError(
                    f"The judge {name!r} compares embeddings; name a text–motion embedder that was trained for judging "
                    "(`motionllm eval train-embedder`), not the one that reports."
                )

    def __call__(self, results: Sequence[Result]) -> list[Scores]:
        """The score of each result by each judge of its task."""
        scores: list[Scores] = [{} for _ in results]
        for name, judge in self.judges.items():
            mine = [i for i, result in enumerate(results) if result.task == judge.task]
            if judge.embeds and mine:
                try:
                    values = list(judge.score([results[i] for i in mine], self.embedder))
                except Exception:  # find the result that fails, one by one
                    values = [self._one(judge, results[i]) for i in mine]
            else:
                values = [self._one(judge, results[i]) for i in mine]
            for i, value in zip(mine, values, strict=True):
                if value is not None and not judge.low <= value <= judge.high:  # NaN too
                    raise self._stop(judge, results[i], f"says {value}, outside {judge.low:g} to {judge.high:g}")
                scores[i][name] = value
        return scores

    def reward(self, scores: Scores) -> float | None:
        """Weighted mean over the judges that scored, each as a share of its range; None where none did."""
        spoke = [
            (self.weights[name], self.judges[name].share(value)) for name, value in scores.items() if value is not None
        ]
        if not spoke:
            return None
        return math.fsum(weight * share for weight, share in spoke) / math.fsum(weight for weight, _ in spoke)

    def _one(self, judge: Judge, result: Result) -> float | None:
        try:
            value = judge.score([result], self.embedder)[0] if judge.embeds else judge.score(result)
            return None if value is None else float(value)
        except Exception as error:
            raise self._stop(judge, result, f"raised {type(error).__name__}: {error}") from error

    def _stop(self, judge: Judge, result: Result, what: str) -> MotionLLMError:
        kept = ""
        if self.failed:
            about = {"judge": judge.name, "what": what, "clips": [sample.id for sample in result.samples]}
            about |= {name: getattr(result, name) for name in ("task", "asked", "seconds", "said")}
            stem = judge.name.replace(":", ".")
            write_json(self.failed / f"{stem}.json", about)
            if result.joints is not None:
                np.save(self.failed / f"{stem}.npy", result.joints)
            kept = f"; what it was given is kept in {self.failed}"
        return MotionLLMError(f"The judge {judge.name!r} {what} on {result.asked or result.task!r}{kept}.")


def parse_weights(text: str) -> dict[str, float]:
    """`facts,physics=0.2` → {"facts": 1.0, "physics": 0.2}. Raises MotionLLMError for a weight that is not above 0."""
    weights: dict[str, float] = {}
    for word in text.split(","):
        name, _, weight = word.strip().partition("=")
        try:
            weights[name] = float(weight) if weight else 1.0
        except ValueError:
            weights[name] = 0.0
        if not weights[name] > 0:
            raise MotionLLMError(f"{word.strip()!r} is no judge with a weight; write it as facts or facts=0.5.")
    return weights
