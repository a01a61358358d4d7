"""From joints to lines: events and limb movements are merged, the most important kept, paced and rounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from motionllm.motion.facts import Event, Facts, events_of, facts_of
from motionllm.motion.notation.events import FEW_STEPS, NAMES, event_lines
from motionllm.motion.notation.exercises import with_sets
from motionllm.motion.notation.limbs import circles, limbs
from motionllm.motion.notation.text import Line, Notation
from motionllm.motion.notation.verbs import RATES, SMALL, TRAVEL, VERBS
from motionllm.motion.posture import postures
from motionllm.motion.signals import SIDES, Signals

DENSITY = 0.45  # most lines per second, in addition to LEAST
LEAST = 3  # lines that even the shortest clip may have
TOUCHING = 0.1  # s; by which an act may overlap the next one
AGAIN = 1.5  # s; the same event again within this time is a repetition, not another event
HELD = ("hold", "lean", "hands on hips", "hand to head", "stand on", "lift")
INTERRUPTED = 0.5  # s; a hold interrupted for less is one hold
SIDE_STEP_PACES, STRAIGHT_REACH_PACES = (2.67, 3.5), (1.9, 2.84)  # as `Verb.usual`
STRAIGHT_REACH = 0.78  # share of standing, of a pelvis over straight legs
TURN_PACES = (18.0, 30.0)  # degrees/s more per 90 degrees: a whole turn goes faster than a quarter
STRAIGHT = 30.0  # degrees; travel that turns less is straight
ANGLE_STEP, LEAST_ANGLE = 15.0, 8.0  # degrees; unit that angles are rounded to, smallest angle written


def measure(joints: np.ndarray, fps: float = 20.0, density: float = DENSITY, sets: bool = True) -> Notation:
    """The notation of a clip: joints (T, 22, 3) metres, Y up, the canonical order.

    density: most lines per second, in addition to three; the most important are kept. sets: an exercise that the clip
    is about is one line, in place of those that it consists of. Raises MotionLLMError for another shape, under 5
    frames, or values that are not finite.
    """
    s = Signals(joints, fps)
    return _notation(s, events_of(s), density, sets)


def lines_of(s: Signals) -> list[Line]:
    """The lines of a clip's notation, without sets of exercises."""
    return list(_notation(s, events_of(s), DENSITY, sets=False).lines)


def measure_with_facts(joints: np.ndarray, fps: float = 20.0) -> tuple[Notation, Facts]:
    """`measure` and `facts` of a clip, computing its events only once."""
    s = Signals(joints, fps)
    events = events_of(s)
    return _notation(s, events, DENSITY), facts_of(s, events, np.asarray(joints))


def _notation(s: Signals, events: list[Event], density: float, sets: bool = True) -> Notation:
    wound = circles(s)
    lines = _merged([*event_lines(s, events, wound), *wound, *limbs(s, events, wound)])
    room = LEAST + int(density * len(s.p) / s.fps)
    kept = sorted(lines, key=lambda line: line.weight, reverse=True)[:room]
    kept = sorted(kept, key=lambda line: (line.start, line.end, line.verb))
    kept = [replace(line, pace=_pace(line, events)) for line in kept]
    seconds = round(len(s.p) / s.fps, 1)
    kept = _rounded(kept, seconds)
    if sets:
        kept = _rounded(with_sets(s, kept, lambda line: _pace(line, events)), seconds)
    return Notation(seconds, postures(s), tuple(kept))


def joined(notation: Notation) -> Notation:
    """A notation put together from others, with what is done again at once, and alike, as one event, as it would be
    measured.
    """
    return replace(notation, lines=tuple(_again(notation.lines, alike=True)))


def _merged(lines: Iterable[Line]) -> list[Line]:
    """Lines in order of time: both sides at once merged, repetitions counted, travel the same way joined."""
    return _again(_both(sorted(lines, key=lambda x: (x.start, x.end, x.verb, x.part, x.way))))


def _again(lines: Iterable[Line], alike: bool = False) -> list[Line]:
    """Lines in order of time with repetitions counted, and travel the same way joined. alike: only those of the same
    size, pace and speed, without another act in between.
    """
    result: list[Line] = []
    for line in lines:
        same = [
            i
            for i, x in enumerate(result)
            if x.verb == line.verb and x.way == line.way and (x.part == line.part or line.verb == "step")
            if line.start - x.end < AGAIN and line.verb not in ("turn", "sit", "lie", "climb")
            if not alike or _goes_on(x, line, result)
        ]
        if not same:
            result.append(line)
            continue
        old = result[same[-1]]
        part = old.part if old.part == line.part else ""
        size, speed, count = max(old.size, line.size, key=abs), old.speed, old.count + line.count
        if line.verb in TRAVEL:
            lengths = old.end - old.start, line.end - line.start
            size, count = old.size + line.size, 1
            speed = (old.speed * lengths[0] + line.speed * lengths[1]) / max(sum(lengths), 1e-6)
            speed = round(speed, 6)  # the mean of equal speeds is that speed
        elif line.verb in HELD and line.start - old.end < INTERRUPTED:
            count = old.count
        end = max(old.end, line.end)
        result[same[-1]] = replace(old, end=end, part=part, size=size, speed=speed, count=count)
    if any(line.verb == "climb" for line in result):  # stairs are gone up step by step
        return result
    walked = [_walked(line) for line in result]
    return result if walked == result or alike else _merged(walked)


def _goes_on(before: Line, line: Line, lines: Iterable[Line]) -> bool:
    """Whether a line is the same as one before it, in size, pace and speed, and nothing else is done in between."""
    adds_up = line.verb in TRAVEL and line.size * before.size >= 0  # degrees that are turned
    size = before.size if adds_up else line.size
    between = (
        x.verb == line.verb or (x.verb not in SMALL and x.end <= line.start + TOUCHING)
        for x in lines
        if x != before and x.start >= before.end - TOUCHING
    )
    alike = replace(line, start=before.start, end=before.end, count=before.count, size=size) == before
    return alike and not any(between)


def _walked(line: Line) -> Line:
    """Steps as a walk, where pieces of a walk that have a few steps each are more of them together."""
    if line.verb == "step" and line.speed and line.count > FEW_STEPS:
        return replace(line, verb="walk", part="", count=1)
    return line


def _pace(line: Line, events: Iterable[Event]) -> str:
    """ "slowly", "quickly" or "" for a line, from the events of `facts` that it stands for."""
    usual = VERBS[line.verb].usual
    if not usual:
        return ""
    own = [
        e
        for e in events
        if NAMES.get(e.name) == line.verb and e.start >= line.start - 0.01 and e.end <= line.end + 0.01
        if not e.side or not line.part or e.side in line.part or line.part.startswith("both")
    ]
    if not own:
        return ""
    slow, quick = usual
    if line.verb in RATES:
        value = sum(e.count for e in own) / max(sum(e.end - e.start for e in own), 0.1)
    elif line.verb == "bow":
        value = float(np.median([e.size * e.count / max(e.end - e.start, 0.05) for e in own]))
    else:
        value = float(np.median([e.speed for e in own]))
    if line.verb == "step" and line.way in SIDES:
        slow, quick = SIDE_STEP_PACES
    if line.verb == "bend down" and float(np.median([e.size for e in own])) > STRAIGHT_REACH:
        slow, quick = STRAIGHT_REACH_PACES
    if line.verb == "turn":
        more = (abs(line.size) - 90) / 90
        slow, quick = slow + more * TURN_PACES[0], quick + more * TURN_PACES[1]
    return "slowly" if value <= slow else "quickly" if value >= quick else ""


def _both(lines: Sequence[Line]) -> list[Line]:
    """Lines of the left and of the right side that do the same over most of their time, merged into one of both."""
    result: list[Line] = []
    for line in lines:
        words = line.part.split(" ")
        plural = f"both {words[-1]}s"
        for i, x in enumerate(result):
            shared = min(x.end, line.end) - max(x.start, line.start)
            if (
                plural in VERBS[line.verb].parts
                and x.verb == line.verb
                and x.way == line.way
                and {x.part, line.part} == {f"left {words[-1]}", f"right {words[-1]}"}
                and shared > 0.5 * max(x.end - x.start, line.end - line.start, 0.1)
            ):
                count = max(x.count, line.count)
                result[i] = Line(
                    min(x.start, line.start), max(x.end, line.end), x.verb, plural, x.way, x.size, x.speed, count
                )
                break
        else:
            result.append(line)
    return result


def _rounded(lines: Iterable[Line], seconds: float) -> list[Line]:
    """Times and speeds to 0.1, heights to 0.1 m, angles to ANGLE_STEP."""
    result = []
    for x in lines:
        size = round(x.size, 1)
        if VERBS[x.verb].size == "degrees":
            least = STRAIGHT if x.verb in TRAVEL else LEAST_ANGLE
            size = ANGLE_STEP * round(x.size / ANGLE_STEP) if abs(x.size) >= least else 0.0
        start = min(round(x.start, 1), seconds)
        end = min(max(round(x.end, 1), start), seconds)
        speed = round(x.speed, 1) if VERBS[x.verb].speed else 0.0
        result.append(replace(x, start=start, end=end, size=size if VERBS[x.verb].size else 0.0, speed=speed))
    return sorted(result, key=lambda line: (line.start, line.end))
