"""Actions of arms and head: one function and one record each. With `until` they accompany a walk, until that time."""

from __future__ import annotations

from motionllm.corpus.action import BOTH, SIDES, SPEEDS, Action, Part
from motionllm.corpus.actor import Actor, lasting, sides_of
from motionllm.corpus.body import SHOULDER, SIGN, aim
from motionllm.corpus.evidence import of_both_sides, on_both_feet, repetitions_per_second, upright
from motionllm.corpus.patterns import LIMBS, OWN, verbs


def wave(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    half = 0.23 * pace**0.8
    up = t + 0.55 * pace**0.7
    cycles = part.count or max(3, round(lasting(a, part, 1.4, 2.4) / (2 * half)))
    if until is not None and not part.count:
        cycles = max(2, int((until - up - 0.5) / (2 * half)))
    high, wide = a.between(2.5, 2.95), a.between(0.42, 0.55)
    for side in sides_of(part):
        a.arm(side, t, up, fl=high, ab=0.62 + wide / 2, ext=0.74, px=0.9, py=-0.7, pz=-0.15)
        s = up
        for _ in range(cycles):
            a.move(s, s + half, **{f"ab{side}": 0.5 - wide / 2})
            a.move(s + half, s + 2 * half, **{f"ab{side}": 0.62 + wide / 2})
            s += 2 * half
        a.rest_arm(side, s + 0.05, s + 0.6 * pace**0.7)
    a.now = up + 2 * half * cycles + 0.6 * pace**0.7


def raise_arm(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    up = t + 0.75 * pace
    hold = a.between(0.5, 1.3) * (0.6 if a.short else 1.0)
    down = max(up + hold, until - 0.7 * pace) if until is not None else up + hold
    fl, ab = a.between(2.75, 3.0), a.between(0.0, 0.2)
    for side in sides_of(part):
        a.arm(side, t, up, fl=fl, ab=ab, ext=0.97, px=0.9, py=0.0, pz=0.3)
        a.rest_arm(side, down, down + 0.75 * pace)
    a.now = down + 0.8 * pace


def punch(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    guard = dict(fl=1.25, ab=-0.1, ext=0.42, px=0.5, py=-1.0, pz=-0.1)
    for arm in (0, 1):
        a.arm(arm, t, t + 0.4 * pace, **guard)
    a.move(t, t + 0.4, y=-0.04, bend=a.posture + 0.08)
    t += 0.4 * pace + 0.05
    count = part.count or int(a.rng.integers(1, 4))
    if until is not None and not part.count:
        count = max(2, int((until - t - 0.5) / (0.62 * pace)))
    for k in range(count):
        side = (sides_of(part)[0] + (k if part.side == "both" else 0)) % 2
        a.arm(side, t, t + 0.22 * pace, fl=1.58, ab=-0.12, ext=0.985, px=0.8, py=-0.6, pz=0.0)
        a.move(t, t + 0.22 * pace, twist=-SIGN[side] * 0.42, fore=0.05)
        a.arm(side, t + 0.26 * pace, t + 0.52 * pace, **guard)
        a.move(t + 0.26 * pace, t + 0.52 * pace, twist=0, fore=0)
        t += 0.62 * pace
    a.move(t, t + 0.4, y=0, bend=a.posture)
    for arm in (0, 1):
        a.rest_arm(arm, t + 0.05, t + 0.5)
    a.now = t + 0.5


def clap(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    half = 0.2 * pace**0.75
    up, forward = a.between(-0.22, -0.05), a.between(0.28, 0.36)
    count = part.count or max(3, round(lasting(a, part, 1.4, 2.6) / (2 * half)))
    if until is not None and not part.count:
        count = max(2, int((until - t - 1.0) / (2 * half)))
    poses = [[aim(s, out - SHOULDER[s], up, forward) for s in (0, 1)] for out in (0.035, a.between(0.15, 0.21))]
    for side in (0, 1):
        s = t + 0.5
        a.arm(side, t, s, **poses[1][side], px=0.9, py=-0.8, pz=-0.2)
        for _ in range(count):
            a.move(s, s + half, **{f"{c}{side}": v for c, v in poses[0][side].items()})
            a.move(s + half, s + 2 * half, **{f"{c}{side}": v for c, v in poses[1][side].items()})
            s += 2 * half
        a.rest_arm(side, s, s + 0.5)
    a.now = t + 0.5 + 2 * half * count + 0.5


def stretch(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    up = t + 0.8 * pace
    hold = a.between(0.6, 1.6) * (0.6 if a.short else 1.0)
    down = max(up + hold, until - 0.75 * pace) if until is not None else up + hold
    for side in (0, 1):
        a.arm(side, t, up, fl=0.3, ab=a.between(1.45, 1.6), ext=0.985, px=0.0, py=-0.3, pz=-1.0)
        a.rest_arm(side, down, down + 0.8 * pace)
    a.now = down + 0.85 * pace


def hips(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    up = t + 0.7 * pace
    hold = a.between(0.8, 1.8) * (0.6 if a.short else 1.0)
    down = max(up + hold, until - 0.65 * pace) if until is not None else up + hold
    for side in (0, 1):
        a.arm(side, t, up, **aim(side, -0.0, -0.36, 0.08), px=1.0, py=0.0, pz=-0.35)
        a.rest_arm(side, down, down + 0.7 * pace)
    a.now = down + 0.7 * pace


def drink(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t, side = a.pace(part), a.now, sides_of(part)[0]
    mouth = aim(side, 0.03 - SHOULDER[side], 0.10, 0.20)
    a.arm(side, t, t + 0.7 * pace, **mouth, px=0.6, py=-1.0, pz=0.1)
    stop = t + (0.7 + a.between(0.5, 1.0)) * pace
    if until is not None:
        stop = max(stop, until - 0.7 * pace)
    a.move(t + 0.5 * pace, t + 0.9 * pace, nod=-0.35)
    a.move(stop - 0.2, stop + 0.3 * pace, nod=-0.5 * a.posture)
    a.rest_arm(side, stop, stop + 0.7 * pace)
    a.now = stop + 0.75 * pace


def look(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t, sign = a.pace(part), a.now, 1 if part.direction == "left" else -1
    stop = t + (0.7 + a.between(0.5, 1.1)) * pace
    if until is not None:
        stop = max(stop, until - 0.7 * pace)
    a.move(t, t + 0.7 * pace, look=sign * a.between(0.8, 1.1), twist=sign * a.between(0.45, 0.65))
    a.move(stop, stop + 0.7 * pace, look=0, twist=0)
    a.now = stop + 0.75 * pace


def throw(a: Actor, part: Part) -> None:
    pace, t, side = max(0.75, a.pace(part)), a.now, sides_of(part)[0]
    other, sign = 1 - side, SIGN[side]
    cock = t + 0.65 * pace
    x, z = a.ahead(0.32, SIGN[other] * a.width)
    a.arm(side, t, cock, fl=3.5, ab=0.55, ext=0.55, px=1.0, py=0.1, pz=-0.3)
    a.arm(other, t, cock, fl=1.2, ab=0.2, ext=0.85)
    a.move(t, cock, twist=sign * 0.55, bend=a.posture - 0.1, fore=-0.05)
    a.foot(other, cock - 0.3 * pace, cock, x, z, a.yaw + SIGN[other] * a.toe_out, 0.09)
    release = cock + 0.34 * pace
    a.arm(side, cock, release, fl=1.75, ab=-0.1, ext=0.98, px=1.0, py=0.0, pz=0.0)
    a.move(cock, release, twist=-sign * 0.5, bend=0.3, fore=0.18)
    a.rest_arm(other, cock, release + 0.2)
    follow = release + 0.25 * pace
    a.arm(side, release, follow, fl=0.6, ab=-0.35, ext=0.95, px=0.5, py=0.0, pz=-1.0)
    done = follow + 0.6 * pace
    a.move(follow, done, twist=0, bend=a.posture, fore=0)
    a.rest_arm(side, follow, done)
    a.under(follow + 0.1, done, other)
    a.now = done


ARMS = (
    Action(
        name="wave",
        move=wave,
        side=BOTH,
        count=(2, 3, 4),
        speed=SPEEDS,
        weight=2.5,
        upper=1,
        repeats=True,
        answer="wave",
        asked=("wave", "waving"),
        phrases={
            "": (
                "[wave] {their} {side} hand{n}{slow}",
                "[wave] with {their} {side} hand{n}{slow}",
                "[wave] {their} {side} arm{n}{slow}",
                "[wave]{n}{slow} with the {side} hand",
                "[wave] the {side} hand{n}{slow}",
                "[wave] hello with {their} {side} hand{n}{slow}",
            ),
            "both": (
                "[wave] both hands{n}{slow}",
                "[wave] with both hands{n}{slow}",
                "[wave] both arms{n}{slow}",
                "[wave] {their} hands{n}{slow}",
                "[wave]{n}{slow} with both arms",
            ),
        },
        alike=("arm",),
        travels=False,
        patterns=(verbs("wave"),),
        reading=270,
        shown=("wave", "reach up", "swing"),
        events=("wave",),
        evidence=of_both_sides,
        usual=(1.36, 2.2),
        speed_of=repetitions_per_second,
    ),
    Action(
        name="raise",
        move=raise_arm,
        side=BOTH,
        speed=SPEEDS,
        weight=1.5,
        upper=2,
        repeats=True,
        answer="raise hand",
        asked=("raise a hand", "raising a hand"),
        phrases={
            "": (
                "[raise] {their} {side} hand{slow}",
                "[raise] {their} {side} arm{slow}",
                "[lift] {their} {side} arm up{slow}",
                "[put] {their} {side} hand up{slow}",
                "[raise] the {side} hand above {their} head{slow}",
                "[lift] {their} {side} hand over {their} head{slow}",
            ),
            "both": (
                "[raise] both hands{slow}",
                "[raise] both arms{slow}",
                "[lift] both arms up{slow}",
                "[put] both hands up{slow}",
                "[raise] both hands above {their} head{slow}",
                "[raise] {their} arms{slow}",
            ),
        },
        ask_side=("Which {limb} does the person raise?", "Which {limb} goes up?"),
        alike=("arm",),
        travels=False,
        patterns=(rf"\b(?:rais|lift|put|hold)\w* (?:\w+ ){{0,3}}?{LIMBS}\b(?: up)?|{LIMBS} up\b",),
        reading=290,
        shown=("reach up", "raise", "wave", "stretch", "hold"),
        events=("raise",),
        evidence=of_both_sides,
        usual=(2.56, 3.69),
    ),
    Action(
        name="punch",
        move=punch,
        side=SIDES,
        count=(1, 2, 3, 4),
        speed=SPEEDS,
        weight=1.3,
        upper=5,
        repeats=True,
        answer="punch",
        asked=("punch", "punching"),
        phrases={
            "": (
                "[punch] with {their} {side} hand{n}{slow}",
                "[punch] with the {side} fist{n}{slow}",
                "[throw] {noun} with {their} {side} hand{slow}",
                "[punch] forward with {their} {side} arm{n}{slow}",
                "[punch]{n}{slow} with the {side} arm",
            ),
        },
        noun=("punch", "punches"),
        alike=("arm",),
        travels=False,
        patterns=(r"(?:\bthrow\w* (?:\w+ )?)?" + verbs("punch", "jab", "box"),),
        reading=230,
        shown=("punch", "stretch", "swing"),
        events=("punch",),
        usual=(1.55, 1.89),
    ),
    Action(
        name="clap",
        move=clap,
        count=(2, 3, 4),
        speed=SPEEDS,
        weight=1.3,
        upper=3,
        answer="clap",
        asked=("clap", "clapping"),
        phrases={
            "": (
                "[clap]{n}{slow}",
                "[clap] {their} hands{n}{slow}",
                "[clap] {their} hands together{n}{slow}",
                "[clap]{slow} with both hands{n}",
            ),
        },
        alike=("arm",),
        travels=False,
        patterns=(verbs("clap", "applaud"),),
        reading=260,
        shown=("clap", "swing"),
        events=("clap",),
        usual=(2.6, 3.57),
        speed_of=repetitions_per_second,
    ),
    Action(
        name="stretch",
        move=stretch,
        speed=SPEEDS,
        upper=4,
        answer="stretch arms",
        asked=("stretch the arms out", "stretching the arms out"),
        phrases={
            "": (
                "[stretch] {their} arms out to the sides{slow}",
                "[hold] {their} arms out to the sides{slow}",
                "[extend] both arms sideways{slow}",
                "[spread] {their} arms out{slow}",
                "[make] a T pose{slow}",
                "[stretch] both arms out{slow}",
            ),
        },
        alike=("arm",),
        travels=False,
        patterns=(
            r"\bt[ -]?pos(?:e|es|ing)\b",
            verbs("stretch", "extend", "spread", "hold") + rf"(?: \w+){{0,3}}? {LIMBS}\b(?: out| sideways| wide)*"
            rf"(?: to {OWN}?sides?)?|{LIMBS} (?:straight )?out to {OWN}?sides?",
        ),
        reading=20,
        shown=("stretch", "reach up", "hold"),
        events=("arms out",),
        evidence=on_both_feet,
        usual=(1.22, 1.85),
    ),
    Action(
        name="hips",
        move=hips,
        weight=0.6,
        upper=6,
        answer="hands on hips",
        asked=("put the hands on the hips", "putting the hands on the hips"),
        phrases={
            "": (
                "[put] {their} hands on {their} hips",
                "[place] both hands on {their} hips",
                "[rest] {their} hands on {their} hips",
            ),
        },
        alike=("arm",),
        travels=False,
        patterns=(rf"(?:{verbs('put', 'place', 'rest')} )?{OWN}*{LIMBS} (?:on|at) {OWN}?(?:hips|waist)",),
        reading=30,
        shown=("hands on hips",),
        events=("hands on hips",),
        evidence=upright,
    ),
    Action(
        name="drink",
        move=drink,
        side=SIDES,
        upper=7,
        answer="drink",
        asked=("drink", "drinking"),
        phrases={
            "": (
                "[drink] with {their} {side} hand",
                "[take] a drink with {their} {side} hand",
                "[bring] {their} {side} hand to {their} mouth to drink",
                "[drink] something with the {side} hand",
            ),
        },
        alike=("arm",),
        travels=False,
        patterns=(r"\b(?:drink|drinks|drank|drinking|sip|sips|sipping)\b",),
        reading=280,
        shown=("hand to head", "reach up", "raise"),
        events=("hand at mouth",),
    ),
    Action(
        name="look",
        move=look,
        direction=SIDES,
        upper=8,
        repeats=True,
        answer="look aside",
        asked=("look to one side", "looking to one side"),
        phrases={
            "": (
                "[look] to the {way}{slow}",
                "[look] {way}{slow}",
                "[look]{slow} to {their} {way}",
                "[turn] {their} head to the {way}{slow}",
                "[look] over to the {way}{slow}",
            ),
        },
        ask_direction=("Which way does the person look?", "To which side does the person look?"),
        alike=("turning",),
        travels=False,
        patterns=(verbs("look", "glance", "gaze") + "|" + verbs("turn", "rotate") + rf" {OWN}head",),
        reading=80,
        shown=("look", "turn"),
        events=("look",),
    ),
    Action(
        name="throw",
        move=throw,
        side=SIDES,
        speed=SPEEDS,
        answer="throw",
        asked=("throw something", "throwing something"),
        phrases={
            "": (
                "[throw] something with {their} {side} hand{slow}",
                "[throw] a ball with {their} {side} arm{slow}",
                "[throw] an object with the {side} hand{slow}",
                "[throw] something forward with {their} {side} arm{slow}",
            ),
        },
        alike=("arm",),
        patterns=(r"\b(?:throw|throws|threw|throwing|toss\w*|pitch\w*)\b",),
        reading=240,
        shown=("throw", "swing", "punch", "reach up"),
        events=("throw",),
        usual=(2.86, 3.56),
    ),
)
