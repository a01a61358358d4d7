"""How motions, captions and answers for clips of the built-in corpus are judged, from what is known about the clips.

Motion is judged by the corpus' own check on its joints, captions by the actions they name, answers by the exact truth.
Failures (motion that cannot be measured, a refused input) are counted as wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from motionllm import corpus as builtin
from motionllm.corpus import Sample, Spec
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.skeleton import HUMANML3D
from motionllm.samples import Question

KINDS = ("action", "side", "direction", "count", "speed", "order")
ALL_OF = ("action", "side", "direction")


def _asks(spec: Spec) -> list[str]:
    """Which of KINDS a specification asks for."""
    there = {kind for part in spec.parts for kind in ("side", "direction", "count", "speed") if getattr(part, kind)}
    return [kind for kind in KINDS if kind in there or kind == "action" or (kind == "order" and spec.relation)]


def checked(spec: Spec, motion: Motion | None) -> dict[str, bool] | None:
    """For each kind that is asked, whether the motion has it; None without a motion, or if it cannot be measured."""
    if motion is None:
        return None
    try:
        clip = motion.resample(HUMANML3D.fps) if motion.skeleton is HUMANML3D else motion.canonical()
        return {kind: bool(has) for kind, has in builtin.check(spec, clip.joints).items()}
    except MotionLLMError:
        return None


def names_rightly(spec: Spec, text: str) -> dict[str, bool]:
    """What a caption names correctly: the actions, and the sides and directions that were asked for, in order."""
    parts = builtin.named(text)["parts"]
    result = {"action": builtin.names_action(text, spec)}
    for kind in ("side", "direction"):
        # An action with only one direction need not name it.
        open_ = [part for part in spec.parts if len(getattr(builtin.ACTIONS[part.action], kind)) > 1]
        wanted = [getattr(part, kind) for part in open_ if getattr(part, kind)]
        if wanted:
            single = {part.action for part in spec.parts if part not in open_}
            named = [part[kind] for part in parts if part[kind] and part["action"] not in single]
            result[kind] = named == wanted or (spec.relation == "while" and sorted(named) == sorted(wanted))
    return result


def shares(specs: Sequence[Spec], results: Sequence[Mapping[str, bool] | None]) -> dict[str, Any]:
    """{kind: share of the cases that have it, among those that ask for it}, "asked", "facts", "all_of", "everything",
    and "cases".

    A failed case (None) asks for what its specification does and has nothing of it.
    """
    rows = [dict.fromkeys(_asks(s), False) if r is None else r for s, r in zip(specs, results, strict=True)]
    cases = {kind: sum(kind in row for row in rows) for kind in KINDS}
    cases = {kind: n for kind, n in cases.items() if n}
    kind_shares: dict[str, Any] = {kind: sum(row.get(kind, False) for row in rows) / n for kind, n in cases.items()}
    return {
        **kind_shares,
        "asked": sum(row.get(kind, False) for row in rows for kind in ALL_OF) / sum(cases.get(k, 0) for k in ALL_OF),
        "facts": sum(sum(row.values()) for row in rows) / sum(map(len, rows)),
        "all_of": sum(all(row.get(kind, True) for kind in ALL_OF) for row in rows) / len(rows),
        "everything": sum(all(row.values()) for row in rows) / len(rows),
        "cases": cases,
    }


def draw_questions(samples: Sequence[Sample], seed: int) -> list[tuple[int, Question]]:
    """(clip, question): one question of each kind that a clip has."""
    random = np.random.default_rng([seed, 2])
    chosen = []
    for clip, sample in enumerate(samples):
        for kind in sorted({question.kind for question in sample.questions}):
            of_kind = [question for question in sample.questions if question.kind == kind]
            chosen.append((clip, of_kind[int(random.integers(len(of_kind)))]))
    return chosen


def answer_shares(questions: Sequence[Question], right: Sequence[bool]) -> dict[str, Any]:
    """Shares of right answers, and of the most common true answer of each kind as a baseline, by kind and overall."""
    kinds, always = {}, 0
    for kind in sorted({question.kind for question in questions}):
        mine = [i for i, question in enumerate(questions) if question.kind == kind]
        common, often = Counter(questions[i].answer for i in mine).most_common(1)[0]
        always += often
        kinds[kind] = {
            "questions": len(mine),
            "right": sum(right[i] for i in mine) / len(mine),
            "majority": often / len(mine),
            "majority_answer": common,
        }
    total = len(questions)
    return {"questions": total, "right": sum(right) / total, "majority": always / total, "kinds": kinds}
