"""Exercises: repetitions of squats, knee raises, twists … counted, with tempo and range. For research only.

What is counted, and how, is in `repetitions` and `exercise_kinds`.
"""

from __future__ import annotations

import numpy as np

from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.notation import lines_of
from motionllm.motion.repetitions import ORDER, OWN, Set, sets_of, true_sets
from motionllm.motion.signals import Signals

LIMITS = (
    "22 joints have no fingers and no soles: whether a hand reaches the toes, or a heel stays down, is not known.",
    "A chair is not seen; a seat is a pelvis that rests behind the ankles over bent knees, the trunk upright.",
    "Weights, forces and effort are not known.",
    "A repetition that the clip cuts off is counted if it reaches four fifths of what the others reach.",
)


def exercises(joints: np.ndarray, fps: float, kind: str | None = None) -> list[Set]:
    """The sets of a clip in order of time. joints: (T, 22, 3) in metres, Y up.

    kind: one of `names()`; then single repetitions count too, and whatever else goes on. Without it, `true_sets`.
    Raises MotionLLMError for an unknown kind, a clip that cannot be measured, and where nothing is repeated.
    """
    if kind is not None and kind not in names():
        raise MotionLLMError(unknown("exercise", kind, names()))
    s = Signals(joints, fps)
    lines = lines_of(s) if kind not in OWN else []
    sets = true_sets(s, lines) if kind is None else sets_of(s, kind, lines)
    if not sets:
        what = f"no {kind} was" if kind else "nothing that is done twice or more was"
        raise MotionLLMError(
            f"{what[0].upper()}{what[1:]} found in {len(joints) / fps:.1f} s. What is counted: {', '.join(names())}."
        )
    return sorted(sets, key=lambda one: (one.start, one.end))


def repeated(joints: np.ndarray, fps: float = 20.0) -> list[Set]:
    """`exercises` of a clip, empty where nothing is repeated."""
    try:
        return exercises(joints, fps)
    except MotionLLMError:
        return []


def names() -> list[str]:
    """The exercises that are counted."""
    return sorted(ORDER)
