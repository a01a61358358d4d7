"""The events of `facts` as lines. On real motion some of its rules fire too easily: here such events are left out or
written as something smaller, and the limbs describe the movement instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from motionllm.motion.facts import Event
from motionllm.motion.facts.events import Span, spans_of
from motionllm.motion.notation.body import climbs, crawls, dances, flips, pushes
from motionllm.motion.notation.text import Line
from motionllm.motion.notation.verbs import AXES, VERBS
from motionllm.motion.signals import SIDES, Signals, coverage

# The verb of each event; "hand up" and "seated" are not written.
NAMES = {
    "walk": "walk",
    "run": "run",
    "crouch walk": "creep",
    "turn": "turn",
    "jump": "jump",
    "hop": "hop",
    "jumping jack": "jumping jack",
    "squat": "squat",
    "lunge": "lunge",
    "kneel": "kneel",
    "sit": "sit",
    "lie": "lie",
    "stand up": "stand up",
    "reach down": "bend down",
    "bow": "bow",
    "look": "look",
    "raise": "reach up",
    "wave": "wave",
    "throw": "throw",
    "punch": "punch",
    "clap": "clap",
    "arms out": "stretch",
    "hands on hips": "hands on hips",
    "hand at mouth": "hand to head",
    "kick": "kick",
    "leg raised": "stand on",
    "march": "march",
    "step": "step",
    "lift": "lift",
}
ARM_VERBS = ("wave", "throw", "punch", "clap", "hands on hips", "hand to head", "reach up", "stretch", "jumping jack")

TURN = 50.0  # degrees; smaller turns are not written
LOOK = 90.0  # degrees; no head turns further
BOW_SECONDS, LEAN_SECONDS = 0.4, 4.0  # shorter is no bow, longer is a lean
LEAN = 35.0  # degrees: so far it is a bow, even of a body that was bent before and after
PUNCH_SPEED, STRAIGHT_PUNCH_SPEED, STRAIGHT_PUNCH = 1.8, 1.3, 0.45  # m/s; with an arm stretched so far, m
THROW_SPEED, BUSY_THROW_SPEED = 2.1, 3.0  # m/s; while the other hand, or the whole body, is as busy
STOOD_SECONDS = 4.0  # a longer squat or lunge is how the body stands, unless it is done so often:
STOOD_TIMES = {"squat": 3, "lunge": 9}
BALANCE_SECONDS, LIFT = 1.5, 0.2  # shorter, a foot is lifted; m
KICK_SECONDS, KICK_SIZE, KICK_SPEED = 0.15, 0.5, 3.2  # s, m, m/s: less of all is no kick
CLAPS_ON_THE_WAY = 3
HEAD_SECONDS = 0.8  # s; a hand must be at the head this long


@dataclass(frozen=True)
class _Beside:
    """Frames of simultaneous events, which decide how an event is written."""

    going: list[Span]
    marching: list[Span]  # or standing on one leg
    waving: list[Span]
    springing: list[Span]  # the trunk bends on the way down to a squat, seat or jump and up again
    over: list[Span]
    crawling: list[Span]
    pushing: list[Span]
    circling: dict[str, list[Span]]


def _spans(s: Signals, lines: Iterable[Line], *verbs: str) -> list[Span]:
    return [(int(x.start * s.fps), int(x.end * s.fps) + 1) for x in lines if not verbs or x.verb in verbs]


def event_lines(s: Signals, events: Sequence[Event], circles: Sequence[Line]) -> list[Line]:
    """The events of `facts` as lines, and those that it has no rule for: flips, crawls, climbs, two-handed throws."""
    going = spans_of(s, events, "walk", "run", "crouch walk")
    climbed = climbs(s)
    thrown = [] if climbed else pushes(s, going)  # hands of a climbing body hold on to something
    lines = [*flips(s), *crawls(s), *climbed, *thrown, *dances(s, events)]
    still = s.frames(0.2)
    beside = _Beside(
        going,
        [(a - still, b + still) for a, b in spans_of(s, events, "march", "leg raised")],
        spans_of(s, events, "wave"),
        spans_of(s, events, "jump", "squat", "sit", "seated", "kneel", "lie", before=0.8, after=0.5),
        _spans(s, lines, "cartwheel", "flip", "roll"),
        _spans(s, lines, "crawl"),
        _spans(s, thrown),
        {side: _spans(s, [x for x in circles if x.part.startswith(side)]) for side in SIDES},
    )
    written = (_line(s, e, events, beside) for e in events if e.name in NAMES)
    return [*lines, *(line for line in written if line)]


def _line(s: Signals, e: Event, events: Sequence[Event], beside: _Beside) -> Line | None:
    """The line of an event; None where it is not written."""
    verb, long = NAMES[e.name], e.end - e.start
    a, b = int(e.start * s.fps), max(int(e.end * s.fps), int(e.start * s.fps) + 1)
    if _hidden(s, e, verb, (a, b), beside):
        return None
    size = speed = 0.0
    part = next((p for p in VERBS[verb].parts if e.side and p.startswith(e.side)), "")
    way = e.direction if e.direction in VERBS[verb].ways else ""
    match verb:
        case "walk" | "run" | "creep":
            if verb == "walk" and (steps := _few_steps(e, events)):
                return Line(e.start, e.end, "step", "", e.direction, speed=e.speed, count=steps)
            size, speed = e.size, e.speed
        case "step":
            if e.direction in SIDES and e.side != e.direction and _follows(e, events):
                return None
        case "turn":
            size = abs(e.size)
            if size < TURN:
                return None
        case "look":
            if abs(e.size) > LOOK:
                return None
        case "jump":
            size = e.size * s.scale
        case "bow":
            size = abs(e.size)
            if long < BOW_SECONDS or coverage(a, b, beside.springing) > 0:
                return None
            if long > LEAN_SECONDS or (size < LEAN and not _from_upright(s, a, b)):
                verb, way = "lean", "forward"
        case "punch":
            if e.speed < (STRAIGHT_PUNCH_SPEED if e.size > STRAIGHT_PUNCH else PUNCH_SPEED):
                verb, part, way = "stretch", f"{e.side} arm", "forward"
        case "throw":
            with_both = any(x.name == "throw" and x.side != e.side and abs(x.start - e.start) < 0.4 for x in events)
            if e.speed < THROW_SPEED or with_both or (e.speed < BUSY_THROW_SPEED and _busy(s, e, beside.going)):
                verb, part, way = "swing", f"{e.side} arm", AXES[2]
        case "stretch":
            if coverage(a, b, beside.waving) > 0.5:  # as wide as a wave gets
                return None
            part, way = f"{e.side} arm" + "s" * (e.side == "both"), "out"
        case "clap":
            if e.count < CLAPS_ON_THE_WAY and coverage(a, b, beside.going) > 0.5:
                return None
        case "hand to head":
            if long < HEAD_SECONDS:
                return None
        case "squat" | "lunge":
            if long > STOOD_SECONDS and e.count < STOOD_TIMES[verb]:
                return None
        case "stand on":
            if long < BALANCE_SECONDS:
                verb, part = "lift", "right leg" if e.side == "left" else "left leg"
        case "kick":
            if long < KICK_SECONDS and e.size < KICK_SIZE and e.speed < KICK_SPEED:
                return None
    if verb == "lift" and e.size < LIFT:
        return None
    # Walking, marching and balancing are done with steps, lifts and low kicks.
    of_the_way = e.name in ("step", "lift", "lunge")
    if of_the_way and coverage(a, b, beside.going + beside.marching) > 0.3:
        return None
    return Line(e.start, e.end, verb, part, way, size, speed, max(1, e.count))


def _hidden(s: Signals, e: Event, verb: str, span: Span, beside: _Beside) -> bool:
    """Whether an event is part of a flip, of crawling, of a circling arm, or of a throw with both hands."""
    around = (span[0] - s.frames(0.3), span[1] + s.frames(0.3))
    if coverage(*around, beside.over) > 0.3 or coverage(*span, beside.crawling) > 0.5:
        return True
    if verb in ARM_VERBS and e.side in SIDES and coverage(*span, beside.circling[e.side]) > 0.5:
        return True
    return verb in ("throw", "punch") and coverage(*around, beside.pushing) > 0


FEW_STEPS = 4
FEW_STEPS_SPEED, SIDE_STEPS_SPEED, FEW_STEPS_TURN = 0.65, 0.9, 45.0  # m/s, degrees


def _few_steps(walk: Event, events: Sequence[Event]) -> int:
    """Number of steps in a walk that is only a few single ones, slow and straight; 0 for any other walk.

    To the side, only the leading foot's steps count.
    """
    aside = walk.direction in SIDES
    if walk.speed > (SIDE_STEPS_SPEED if aside else FEW_STEPS_SPEED) or abs(walk.size) > FEW_STEPS_TURN:
        return 0
    steps = [e for e in events if e.name == "step" and min(e.end, walk.end) - max(e.start, walk.start) > 0.1]
    steps = [e for e in steps if e.direction == walk.direction and (not aside or e.side == walk.direction)]
    return len(steps) if len(steps) <= FEW_STEPS else 0


def _follows(step: Event, events: Sequence[Event]) -> bool:
    """Whether the other foot moved the same way within 1.5 s before a step, which then brings the feet together."""
    return any(
        e.name == "step" and e.side != step.side and e.direction == step.direction and 0 <= step.start - e.start < 1.5
        for e in events
    )


def _busy(s: Signals, e: Event, going: list[Span]) -> bool:
    """Whether the body travels during an event of one hand, or the other hand is at least 0.8 as fast."""
    a, b, k = int(e.start * s.fps), int(e.end * s.fps) + 1, SIDES.index(e.side)
    own, other = s.hand_speed[a:b, k].max(), s.hand_speed[a:b, 1 - k].max()
    return coverage(a, b, going) > 0.3 or bool(other > 0.8 * own)


def _from_upright(s: Signals, a: int, b: int) -> bool:
    """Whether the trunk is within 15 degrees of upright within 0.8 s before a stretch and after it."""
    near = s.frames(0.8)
    before, after = s.bend[max(0, a - near) : a], s.bend[b : b + near]
    return bool(np.abs(before).min(initial=90) < 15 and np.abs(after).min(initial=90) < 15)
