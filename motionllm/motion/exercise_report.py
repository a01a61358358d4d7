"""What `data exercise` prints of a clip: sets with tempo and range, rises from a seat, the timed up-and-go test."""

from __future__ import annotations

from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.chair import FIVE_RISES, by_age, five_rises, rises, up_and_go
from motionllm.motion.exercise import LIMITS, exercises
from motionllm.motion.gait import NOT_A_DEVICE
from motionllm.motion.repetitions import SEAT
from motionllm.motion.signals import Signals

UP_AND_GO = "timed up and go"
SHORTEST = 1.0  # seconds


def report(joints: np.ndarray, fps: float, kind: str | None = None, age: float | None = None) -> dict[str, Any]:
    """Everything that is measured of an exercise, with definitions and limits, as `data exercise` prints it.

    kind: as for `exercises`, or "timed up and go". age: years, for the usual time of five rises and of the test. Raises
    MotionLLMError where there is none of it.
    """
    by_age(FIVE_RISES, age)  # a wrong age is refused before anything is measured
    if len(joints) / fps < SHORTEST:
        raise MotionLLMError(f"A clip of {len(joints) / fps:.2f} s holds no repetition; give {SHORTEST:g} s or more.")
    result: dict[str, Any] = {"note": NOT_A_DEVICE, "sets": [], "limits": list(LIMITS)}
    if kind in (None, UP_AND_GO):
        try:
            result["timed_up_and_go"] = up_and_go(joints, fps).json(age)
        except MotionLLMError:
            if kind:
                raise
    if "timed_up_and_go" in result:  # its steps and turns are no exercises
        return result
    result["sets"] = [one.json() for one in exercises(joints, fps, kind)]
    five = five_rises(rises(Signals(joints, fps))) if kind in (None, SEAT) else None
    if five is not None:
        result["five_rises"] = {
            "seconds": round(five, 2),
            "slower_than_average_beyond": by_age(FIVE_RISES, age),
            "definition": "from leaving the seat for the first time to standing for the fifth",
        }
    return result


def table(result: dict[str, Any]) -> list[str]:
    """The lines of a report."""
    lines = [f"{'exercise':<24}{'count':>6}{'per minute':>12}  {'range':>18}  from to"]
    for one in result["sets"]:
        sides = f" ({one['left']} left, {one['right']} right)" if "left" in one else ""
        way = "" if one["range"] is None else f"{one['range']:g} ± {one['range_sd']:g} {one['unit']}"
        tempo = "" if one["per_minute"] is None else f"{one['per_minute']:g}"
        at = f"{one['start']:.1f} to {one['end']:.1f} s"
        lines.append(f"{one['exercise']:<24}{one['count']:>6}{tempo:>12}  {way:>18}  {at}{sides}")
    for one in {one["exercise"]: one for one in result["sets"]}.values():
        what = f"; the range is {one['range_is']}" if one["range_is"] else ""
        lines.append(f"{one['exercise']}: {one['definition']}{what}")
    if five := result.get("five_rises"):
        most = five["slower_than_average_beyond"]
        usual = f"; at this age, over {most:g} s is slower than average (Bohannon 2006)" if most else ""
        lines.append(f"five rises: {five['seconds']:g} s, {five['definition']}{usual}")
    if test := result.get("timed_up_and_go"):
        usual = "; at this age {:g} to {:g} s (95 % interval of the mean, Bohannon 2006)" if test["usual_total"] else ""
        lines.append(f"timed up and go, {test['distance']:.1f} m away{usual.format(*test['usual_total'] or ())}")
        lines += [
            f"  {key.replace('_', ' '):<10}{test[key]:>6.2f} s  {text}" for key, text in test["definitions"].items()
        ]
    return [*lines[0 if result["sets"] else 1 :], *result["limits"], result["note"]]
