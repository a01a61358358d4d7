"""Sets of an exercise in a notation: one line with the count, in place of those that the exercise consists of.

The rules of single events see a part of an exercise: circles of the arms as raised hands, bends to the side as bows.
`repetitions` sees the whole, and its count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from motionllm.motion.exercise_kinds import MARCH, PUNCH
from motionllm.motion.notation.text import Line
from motionllm.motion.notation.verbs import PACES, SMALL, VERBS
from motionllm.motion.repetitions import CIRCLE, MOVES, ORDER, SET_SPEED, Set, true_sets
from motionllm.motion.signals import Signals

MOSTLY = 0.5  # share of a line's time within an exercise: then it is part of that
FILLS = 0.7  # share of the clip's time that an exercise takes, to be what the clip is about
# Acts that no exercise has in it: with one of them, what was counted is not the exercise.
OTHERS = {"walk", "run", "creep", "crawl", "climb", "dance", "cartwheel", "flip", "roll", "lie"}
# Exercises of the legs, and the acts by which the notation sees them.
STEPPED = {MARCH, "knee raise"}
STEPS = {"march", "lift", "raise", "kick", "run", "hop", "jump"}
STEPPING, JOG = 100.0, 140.0  # steps per minute: from the first on they are no mere steps, from the second on a jog
TURNED = 60.0  # degrees over a whole exercise: what turns further is no sway of it

_TRUNK = {"bow", "lean", "look", "twist"}
_ARMS = {"raise", "lower", "stretch", "bend", "swing", "reach up"}
_HANDS = _ARMS | {"hold", "wave", "throw", "punch", "clap", "circle", "hand to head"}
_FEET = {"step", "lift"}
_LEGS = _FEET | {"march", "kick", "stand on", "hop", "jump", "run"}
# What each exercise consists of, as the notation sees it.
CONSISTS = {
    "squat": {"squat", "lunge", "bow", "bend down", "lean"} | _FEET,
    "jumping jack": {"jumping jack", "squat", "lunge"} | _HANDS | _LEGS | _TRUNK,
    "toe touch": {"bend down", "turn"} | _ARMS | _FEET | _TRUNK,
    "side bend": _ARMS | _FEET | _TRUNK,
    "knee raise": {"hand to head"} | _ARMS | _LEGS | _TRUNK,
    MARCH: _ARMS | _LEGS | _TRUNK,
    "twist": _ARMS | _FEET | _TRUNK,
    PUNCH: _HANDS | _FEET | _TRUNK,
    CIRCLE: _HANDS,
}
_SOUGHT = ORDER[: ORDER.index(CIRCLE) + 1]  # all of CONSISTS, and what hides them
# What may be done beside an exercise that does not consist of it.
BESIDE = {"hands on hips", "hand to head", "reach up", "wave", "throw", "punch", "clap"}


def within(line: Line, one: Set) -> bool:
    """Whether a line is, for the most of its time, within a set."""
    shared = min(line.end, one.end) - max(line.start, one.start)
    return shared > MOSTLY * max(line.end - line.start, 0.1)


def fills(one: Set, lines: Sequence[Line], seconds: float) -> bool:
    """Whether an exercise is what a clip is about; a few squats of a long clip are told as its other events are, and
    turns on the way to the floor are no twists.
    """
    acts = {line.verb for line in lines if within(line, one)}
    if one.exercise in STEPPED and not acts & STEPS and one.tempo < STEPPING:
        return False
    jogs = {"run"} if one.exercise in STEPPED else set()
    return one.end - one.start > FILLS * seconds and not acts & (OTHERS - jogs)


def with_sets(s: Signals, lines: Sequence[Line], pace: Callable[[Line], str]) -> list[Line]:
    """Lines in which each exercise that the clip is about is one line. pace: of a line, from its events."""
    result = list(lines)
    # An exercise in place that fills the clip leaves no time to go anywhere.
    gone = float(s.root_speed.mean()) > SET_SPEED / FILLS
    for one in true_sets(s, lines, MOVES if gone else _SOUGHT) if lines else ():
        if one.exercise not in CONSISTS or not fills(one, lines, len(s.p) / s.fps):
            continue
        own = [line for line in result if within(line, one)]
        parts = [line for line in own if _part(line, one)]
        turned = sum(x.size if x.way == "left" else -x.size for x in parts if x.verb == "turn")
        if abs(turned) < TURNED and all(x in parts or x.verb in SMALL or x.verb in BESIDE for x in own):
            whole = _line(one, parts)
            if any(_seen(line, whole) for line in own):
                continue
            told = any(line.verb == whole.verb for line in own)  # its events have a pace, which is "" where usual
            whole = replace(whole, pace=pace(whole) if told or not whole.pace else whole.pace)
            result = [line for line in result if line not in parts] + [whole]
    return result


def _seen(line: Line, whole: Line) -> bool:
    """Whether a line says what the whole set is: what is beside it stays as it is."""
    shared = min(line.end, whole.end) - max(line.start, whole.start)
    alike = (line.verb, line.part, line.count) == (whole.verb, whole.part, whole.count)
    return alike and shared > FILLS * (whole.end - whole.start)


def _part(line: Line, one: Set) -> bool:
    """Whether an exercise consists of a line. Both hands that go up are no sway, and nor is a body that turns."""
    if line.verb == "reach up" and line.part == "both hands" and one.exercise not in ("jumping jack", CIRCLE):
        return False
    return line.verb in CONSISTS[one.exercise]


def _line(one: Set, parts: Sequence[Line]) -> Line:
    """The line of a set. parts: those that it takes the place of."""
    sides = [side for side, count in one.sides.items() if count]
    per_second = one.tempo / 60
    line = Line(one.start, one.end, one.exercise, count=one.count)
    match one.exercise:
        case "toe touch":
            down = [x for x in parts if x.verb == "bend down"]
            if sum(x.count for x in down) < MOSTLY * one.count:
                bent = float(np.median([rep.range for rep in one.repetitions]))
                return replace(line, verb="bow", size=bent)
            hands = Counter(x.part for x in down)
            return replace(line, verb="bend down", part=down[0].part if len(hands) == 1 else "")
        case "side bend":
            return replace(line, verb="lean", way=sides[0] if len(sides) == 1 else "")
        case "knee raise" if len(sides) == 1:
            return replace(line, verb="lift", part=f"{sides[0]} leg")
        case "knee raise" | "march or jog in place":
            return replace(line, verb="march", pace=PACES[1] if one.tempo > JOG else _rate("march", per_second))
        case "punch":
            return replace(line, part=f"{sides[0]} hand" if len(sides) == 1 else "")
        case "arm circle":
            return replace(line, verb="circle", part=f"{sides[0]} arm" if sides else "both arms", way=one.way)
        case "jumping jack":
            return replace(line, pace=_rate("jumping jack", per_second))
    return line


def _rate(verb: str, per_second: float) -> str:
    """The pace of a verb that is paced by times per second."""
    slow, quick = VERBS[verb].usual or (0.0, np.inf)
    return PACES[0] if per_second <= slow else PACES[1] if per_second >= quick else ""
