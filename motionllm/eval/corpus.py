"""How motion, captions and answers are judged that are of clips of the built-in corpus, by what is known of them.

Motion by the corpus' own check on its joints, captions by the actions they name, answers by exact truth. What fails
(motion that cannot be measured, a refused input) is counted and is wrong.
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
    """What a specification asks for, of KINDS."""
    there = {kind for part in spec.parts for kind in ("side", "direction", "count", "speed") if getattr(part, kind)}
    return [kind for kind in KINDS if kind in there or kind == "action" or (kind == "order" and spec.relation)]


def checked(spec: Spec, motion: Motion | None) -> dict[str, bool] | None:
    """What a motion has of what is asked; None where there is none or it cannot be measured."""
    if motion is None:
        return None
    try:
        clip = motion.resample(HUMANML3D.fps) if motion.skeleton is HUMANML3D else motion.canonical()
        return {kind: bool(has) for kind, has in builtin.check(spec, clip.joints).items()}
    except MotionLLMError:
        return None


def names_rightly(spec: Spec, text: str) -> dict[str, bool]:
    """What a caption names rightly: the actions, and the sides and directions that were asked, in order."""
    parts = builtin.named(text)["parts"]
    result = {"action": builtin.names_action(text, spec)}
    for kind in ("side", "direction"):
        # Where an action has one direction only, nobody need say it.
        open_ = [part for part in spec.parts if len(getattr(builtin.ACTIONS[part.action], kind)) > 1]
        wanted = [getattr(part, kind) for part in open_ if getattr(part, kind)]
        if wanted:
            single = {part.action for part in spec.parts if part not in open_}
            found = [part[kind] for part in parts if part[kind] and part["action"] not in single]
            result[kind] = found == wanted or (spec.relation == "while" and sorted(found) == sorted(wanted))
    return result


def shares(specs: Sequence[Spec], results: Sequence[Mapping[str, bool] | None]) -> dict[str, Any]:
    """{kind: share of the cases that ask for it and have it}, "asked", "facts", "all_of", "everything", and "cases".

    A failed case (None) asks for what its specification does and has nothing of it.
    """
    rows = [dict.fromkeys(_asks(s), False) if r is None else r for s, r in zip(specs, results, strict=True)]
    cases = {kind: sum(kind in row for row in rows) for kind in KINDS}
    cases = {kind: n for kind, n in cases.items() if n}
    found: dict[str, Any] = {kind: sum(row.get(kind, False) for row in rows) / n for kind, n in cases.items()}
    return {
        **found,
        "asked": sum(row.get(kind, False) for row in rows for kind in ALL_OF) / sum(cases.get(k, 0) for k in ALL_OF),
        "facts": sum(sum(row.values()) for row in rows) / sum(map(len, rows)),
        "all_of": sum(all(row.get(kind, True) for kind in ALL_OF) for row in rows) / len(rows),
        "everything": sum(all(row.values()) for row in rows) / len(rows),
        "cases": cases,
    }


def draw_questions(samples: Sequence[Sample], seed: int) -> list[tuple[int, Question]]:
    """(clip, question): one question of each kind that a clip has."""
    random = np.random.default_rng([seed, 2])
    drawn = []
    for clip, sample in enumerate(samples):
        for kind in sorted({question.kind for question in sample.questions}):
            of_kind = [question for question in sample.questions if question.kind == kind]
            drawn.append((clip, of_kind[int(random.integers(len(of_kind)))]))
    return drawn


def answer_shares(questions: Sequence[Question], right: Sequence[bool]) -> dict[str, Any]:
    """Shares of right answers, and of the commonest true answer of each kind, by kind and over all."""
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
