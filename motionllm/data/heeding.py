"""Plans that heed what their text says plainly: the side, way, count, degrees, seconds and metres of their acts."""

from __future__ import annotations

from collections.abc import Sequence

from motionllm.data.acts import COUNTED, acts
from motionllm.data.asked import Asked, near
from motionllm.data.changes import changed
from motionllm.data.timeline import GAITS, heading
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import VERBS, Line, Notation


def heeding(plan: Notation, wanted: Sequence[Asked], fixed: bool = False) -> Notation:
    """The plan with what a text says plainly in place of what the plan says otherwise: the side, way, count and degrees
    of its acts, and whether they walk or run. fixed: it keeps its duration.
    """
    for one in wanted:
        for change in unheeded(plan, one):
            try:
                new = changed(plan, change, _gait)
            except MotionLLMError:
                continue
            if not fixed or new.seconds == plan.seconds:
                plan = new
    return plan


def unheeded(plan: Notation, one: Asked) -> list[str]:
    """The changes by which the act of a plan that shows what is asked would do it as asked."""
    shown = [act.main for act in acts(plan) if act.main.verb in one.verbs]
    if not shown:
        return []
    main = min(shown, key=lambda line: one.verbs.index(line.verb))
    verb, far = main.verb, abs(main.size)
    curved, along = bool(VERBS[verb].speed) and far >= 45, ("forward", "backward")
    found = []
    if one.side and main.part and one.side not in main.part:
        limb = main.part.split()[-1].rstrip("s")
        found.append(f"{verb} {one.side} {limb}{'s' if one.side == 'both' else ''}")
    if one.way and heading(main) != one.way and (verb == "turn" or curved or {one.way, main.way} <= set(along)):
        found.append(f"{verb} {one.way}")
    if one.count and one.count != main.count and verb in COUNTED:
        found.append(f"{verb} x{one.count}")
    if verb == "turn" and one.degrees[1] and not one.degrees[0] <= far <= one.degrees[1]:
        found.append(f"turn {180 if one.degrees[0] < 180 else 360}")
    lasts = main.end - main.start
    if one.seconds and not near(lasts, one.seconds):
        found.append(f"{verb} {one.seconds:.1f} s")
    if one.metres and main.speed and not near(lasts * main.speed, one.metres):
        found.append(f"{verb} {one.metres:.1f} m")
    if verb != one.verbs[0] and {verb, one.verbs[0]} <= {*GAITS}:
        found.append(f"{verb} becomes {one.verbs[0]}")
    return found


def _gait(verb: str) -> Notation:
    """A plan of walking, running or creeping at a usual speed."""
    line = Line(0.0, 1.0, verb, way="forward", speed={"walk": 1.2, "run": 2.5}.get(verb, 0.6))
    return Notation(1.0, ("standing", "standing"), (line,))
