"""Plans that heed what their text says plainly: the side, way, count, degrees, seconds and metres of their acts."""

from __future__ import annotations

from collections.abc import Sequence

from motionllm.data.acts import COUNTED, ORDINALS, acts
from motionllm.data.asked import Asked, line_of, near
from motionllm.data.changes import changed
from motionllm.data.timeline import heading
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Notation
from motionllm.motion.notation.verbs import GAITS

SEVERAL = 3  # how often something is done that is to be done "several times", and is done once
LONGEST_PLAN = 60.0  # seconds; of "a person walks 99 metres" no plan is made


def heeding(plan: Notation, wanted: Sequence[Asked], fixed: bool = False) -> Notation:
    """The plan with what a text says plainly in place of what the plan says otherwise: the side, way, count, degrees,
    seconds and metres of its acts, and whether they walk or run. fixed: it keeps its duration.
    """
    for i, one in enumerate(wanted):
        tried: set[str] = set()
        while todo := [change for change in unheeded(plan, one, number_of(wanted, i)) if change not in tried]:
            tried.add(todo[0])
            try:
                new = changed(plan, todo[0], _gait)
            except MotionLLMError:
                continue
            if new.seconds == plan.seconds if fixed else new.seconds <= max(plan.seconds, LONGEST_PLAN):
                plan = new
    return plan


def number_of(wanted: Sequence[Asked], index: int) -> int | None:
    """Which of the acts of its verb a thing is, from 0, where a text asks for several; else None."""
    same = [i for i, one in enumerate(wanted) if one.verbs[0] == wanted[index].verbs[0]]
    return same.index(index) if len(same) > 1 else None


def unheeded(plan: Notation, one: Asked, number: int | None = None) -> list[str]:
    """The changes by which the act of a plan that shows what is asked would do it as asked. number: which of those with
    its verb it is, if several are asked for.
    """
    every = acts(plan)
    shown = [act for act in every if act.main.verb in one.verbs]
    if number is not None:
        shown = [act for act in every if act.main.verb == one.verbs[0]][number : number + 1]
    if not shown:
        return []
    act = min(shown, key=lambda act: one.verbs.index(act.main.verb))
    main = act.main
    same = [other for other in every if other.main.verb == main.verb]
    if len(same) > len(ORDINALS):
        return []
    verb, far = main.verb, abs(main.size)
    name = verb if len(same) == 1 else f"{ORDINALS[same.index(act)]} {verb}"
    along = {"forward", "backward"}
    found = []
    if verb != one.verbs[0] and {verb, one.verbs[0]} <= {*GAITS}:  # before its metres, as a run is faster
        found.append(f"{name} becomes {one.verbs[0]}")
    if one.side and main.part and one.side not in main.part:
        limb = main.part.split()[-1].rstrip("s")
        found.append(f"{name} {one.side} {limb}{'s' if one.side == 'both' else ''}")
    if one.way and heading(main) != one.way and (verb == "turn" or main.curve or {one.way, main.way} <= along):
        found.append(f"{name} {one.way}")
    if one.count and one.count != main.count and verb in COUNTED:
        found.append(f"{name} x{one.count}")
    if one.several and verb in COUNTED and sum(other.main.count for other in same) < 2:
        found.append(f"{name} x{SEVERAL}")
    if verb == "turn" and one.degrees[1] and not one.degrees[0] <= far <= one.degrees[1]:
        found.append(f"{name} {180 if one.degrees[0] < 180 else 360}")
    if verb != "turn" and one.degrees[1] and far < one.degrees[0]:
        found.append(f"{name} circle {one.way if one.way in ('left', 'right') else main.curve or 'left'}")
    lasts = main.end - main.start
    if one.seconds and not near(lasts, one.seconds):
        found.append(f"{name} {one.seconds:.1f} s")
    elif one.metres and not one.seconds and main.speed and not near(lasts * main.speed, one.metres):
        found.append(f"{name} {one.metres:.1f} m")
    return found


def _gait(verb: str) -> Notation:
    """A plan of walking, running or creeping at a usual speed."""
    return Notation(1.0, ("standing", "standing"), (line_of(Asked(verb, (verb,)), usual=True),))
