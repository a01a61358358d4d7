"""Kicks, balance, jumping jacks, and going down to a seat, the knees or the floor: one function and one record each."""

from __future__ import annotations

from motionllm.corpus.action import BOTH, SIDES, SPEEDS, Action, Part
from motionllm.corpus.actor import Actor, lasting, leap, sides_of
from motionllm.corpus.body import ANKLE, SIGN, STAND, aim
from motionllm.corpus.evidence import nothing_else, repetitions_per_second
from motionllm.corpus.patterns import ONE_LEG, OWN, verbs


def kick(a: Actor, part: Part) -> None:
    pace, t, side = a.pace(part), a.now, sides_of(part)[0]
    sign = SIGN[side]
    x0, z0, _ = a.place(side)
    a.move(t, t + 0.35 * pace, sway=-sign * a.width, y=-0.03)
    for arm in (0, 1):
        a.arm(arm, t, t + 0.4 * pace, ab=0.5, ext=0.9)
    t += 0.25 * pace
    for _ in range(part.count or 1):
        begin = t
        x, z = a.ahead(-0.2, sign * 0.09)
        a.move(t, t + 0.3 * pace, **{f"fx{side}": x, f"fz{side}": z, f"fy{side}": 0.2, f"fpitch{side}": 0.5})
        t += 0.3 * pace
        x, z = a.ahead(a.between(0.62, 0.8), sign * 0.03)
        a.move(t, t + 0.28 * pace, **{f"fx{side}": x, f"fz{side}": z, f"fpitch{side}": 0.2}, pitch=-0.16, bend=0.15)
        a.move(t, t + 0.28 * pace, **{f"fy{side}": a.between(0.42, 0.62) * a.size})
        a.arm(1 - side, t, t + 0.28 * pace, fl=0.8)
        a.arm(side, t, t + 0.28 * pace, fl=-0.5)
        t += 0.33 * pace
        a.move(t, t + 0.5 * pace, **{f"fx{side}": x0, f"fz{side}": z0, f"fy{side}": 0, f"fpitch{side}": 0})
        a.move(t, t + 0.5 * pace, pitch=0, bend=a.posture)
        a.arm(1 - side, t, t + 0.5 * pace, fl=0.1)
        a.arm(side, t, t + 0.5 * pace, fl=0.1)
        t += 0.5 * pace
        a.air(side, begin, t)
        t += 0.12 * pace
    a.move(t, t + 0.4, sway=0, y=0)
    for arm in (0, 1):
        a.rest_arm(arm, t - 0.1, t + 0.4)
    a.now = t + 0.4


def balance(a: Actor, part: Part) -> None:
    """Stand on the specified leg, the other knee up."""
    t, side = a.now, sides_of(part)[0]
    free, hold = 1 - side, a.between(1.4, 2.6) * (0.7 if a.short else 1.0)
    a.move(t, t + 0.6, sway=SIGN[side] * (a.width + 0.005))
    x, z = a.ahead(0.16, SIGN[free] * a.width)
    x0, z0, _ = a.place(free)
    lift = a.between(0.28, 0.42)
    a.move(t + 0.4, t + 1.1, **{f"fx{free}": x, f"fz{free}": z, f"fy{free}": lift, f"fpitch{free}": 0.4})
    for arm in (0, 1):
        a.arm(arm, t + 0.2, t + 1.1, ab=a.between(0.7, 1.3), ext=0.94)
    down = t + 1.1 + hold
    a.move(down, down + 0.6, **{f"fx{free}": x0, f"fz{free}": z0, f"fy{free}": 0, f"fpitch{free}": 0})
    a.air(free, t + 0.4, down + 0.6)
    a.move(down + 0.3, down + 0.9, sway=0)
    for arm in (0, 1):
        a.rest_arm(arm, down, down + 0.9)
    a.now = down + 0.9


_SEAT = dict(y=0.50 - STAND, fore=-0.42, pitch=-0.08, bend=0.12)


def _lap(a: Actor) -> None:
    for side in (0, 1):
        a.rest[side] = {**aim(side, -0.03, -0.30, 0.26), "px": 0.8, "py": -0.4, "pz": -0.6}


def sit(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    down = t + 1.4 * pace
    a.move(t, t + 0.75 * pace, pitch=0.4, bend=0.45, fore=-0.2)
    a.move(t + 0.75 * pace, down + 0.25 * pace, pitch=_SEAT["pitch"], bend=_SEAT["bend"])
    a.move(t + 0.75 * pace, down, fore=_SEAT["fore"])
    a.move(t + 0.1 * pace, down, y=_SEAT["y"])
    _lap(a)
    for side in (0, 1):
        a.rest_arm(side, t + 0.3 * pace, down + 0.2 * pace)
    a.now = down + 0.25 * pace + a.between(0.3, 1.0)


def seated(a: Actor) -> None:
    """Begin on a chair."""
    a.score.set(**_SEAT)
    _lap(a)
    for side in (0, 1):
        a.score.set(**{f"{c}{side}": v for c, v in a.rest[side].items()})
    a.now += a.between(0.3, 0.8)


def stand_up(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    a.move(t, t + 0.6 * pace, pitch=0.55, bend=0.5, fore=_SEAT["fore"] + 0.12)
    a.move(t + 0.4 * pace, t + 1.5 * pace, y=0)
    a.move(t + 0.6 * pace, t + 1.4 * pace, fore=0)
    a.move(t + 0.7 * pace, t + 1.6 * pace, pitch=0, bend=a.posture)
    for side in (0, 1):
        a.rest[side] = dict(a.hang[side])
        a.rest_arm(side, t + 0.5 * pace, t + 1.5 * pace)
    a.now = t + 1.6 * pace


def kneel(a: Actor, part: Part) -> None:
    """Go down on the specified knee, or on both."""
    pace, t = a.pace(part), a.now
    side = sides_of(part)[0]
    back = a.between(0.36, 0.42)
    land = t + 0.6 * pace
    if part.side == "both":
        x, z = a.ahead(-back, SIGN[side] * a.width)
        a.foot(side, t, land, x, z, a.yaw, 0.06)
        a.move(t, land, y=-0.12, bend=0.25)
        down = land + 0.8 * pace
        a.move(land - 0.1, down, y=0.53 - STAND, bend=0.15, fore=0.02)
        a.move(land - 0.1, down, **{f"fpitch{side}": 1.35})
        x, z = a.ahead(-back, SIGN[1 - side] * a.width)
        a.move(down - 0.3 * pace, down + 0.5 * pace, **{f"fx{1 - side}": x, f"fz{1 - side}": z})
        a.move(down - 0.3 * pace, down + 0.4 * pace, **{f"fpitch{1 - side}": 1.35})
        a.air(1 - side, down - 0.3 * pace, down + 0.5 * pace)
        down += 0.5 * pace
    else:
        front = 1 - side
        x, z = a.ahead(0.42, SIGN[front] * a.width)
        a.foot(front, t, land, x, z, a.yaw + SIGN[front] * 0.05, 0.09)
        down = land + 0.8 * pace
        a.move(t + 0.1, down, y=0.53 - STAND, bend=0.12, fore=0.04)
        x, z = a.ahead(-back, SIGN[side] * a.width)
        a.move(land - 0.2 * pace, down, **{f"fx{side}": x, f"fz{side}": z, f"fpitch{side}": 1.25})
        a.air(side, land - 0.2 * pace, down)
    for arm in (0, 1):
        a.rest[arm] = {**a.hang[arm], "fl": 0.3}
        a.rest_arm(arm, t, down)
    a.now = down + a.between(0.4, 1.0)


def lie(a: Actor, part: Part) -> None:
    """Squat, sit on the floor, lean back, stretch the legs: on the back, head behind."""
    pace, t = 0.85 * a.pace(part), a.now
    low = t + 1.1 * pace
    a.move(t, low, y=-0.55, fore=-0.3, pitch=0.2, bend=0.5, kup0=1, kup1=1)
    for arm in (0, 1):
        a.arm(arm, t + 0.3 * pace, low + 0.3 * pace, fl=-0.45, ab=0.35, ext=0.85)
    sat = low + 0.6 * pace
    a.move(low - 0.2 * pace, sat, y=0.14 - STAND, fore=-0.52, pitch=-0.35, bend=0.4)
    down = sat + 1.2 * pace
    a.move(sat, down, pitch=-1.5, bend=0.0, y=0.11 - STAND, fore=-0.6, nod=0.25)
    for side in (0, 1):
        x, z = a.ahead(0.27, SIGN[side] * (a.width + 0.03))
        a.move(sat + 0.5 * pace, down + 0.2 * pace, **{f"fx{side}": x, f"fz{side}": z, f"fpitch{side}": -0.9})
        a.move(sat + 0.5 * pace, down + 0.2 * pace, **{f"fy{side}": 0.10 - ANKLE[side]})
        a.air(side, sat + 0.5 * pace, 1e3)
        a.rest[side] = {**a.hang[side], "fl": 0.1, "ab": 0.3, "px": 1.0, "pz": 0.0}
        a.rest_arm(side, sat + 0.5 * pace, down)
    a.now = down + 0.3 * pace + a.between(0.2, 0.6)


def jumping_jacks(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    wide, narrow, height = a.between(0.24, 0.32), a.width, 0.065
    for k in range(2 * (part.count or 3)):
        opens = k % 2 == 0
        a.width = wide if opens else narrow
        arms = dict(ab=2.75, ext=0.96, px=0.4, py=0.0, pz=-1.0) if opens else dict(a.hang[0], px=0.4)
        dip = 0.16 * pace
        land = leap(
            a,
            t,
            0.07,
            height,
            (0, 1),
            (a.x, a.z),
            dip / 0.3,
            arms=False,
            pitch=0.4,
            push=0.17 * min(max(pace, 0.65), 1.4),
        )
        for arm in (0, 1):
            a.arm(arm, t + 0.03, land + 0.05, **{**arms, "fl": 0.05})
        a.move(land, land + 0.1 * pace, y=-0.05)
        t = land + 0.1 * pace
    a.width = narrow
    a.move(t, t + 0.3, y=0, fore=0, bend=a.posture)
    for arm in (0, 1):
        a.rest_arm(arm, t, t + 0.35)
    a.now = t + 0.35


def stand(a: Actor, part: Part) -> None:
    t, d = a.now, lasting(a, part, 2.2, 4.5)
    a.move(t + 0.3 * d, t + 0.6 * d, sway=a.between(-0.02, 0.02), look=a.between(-0.12, 0.12))
    a.now = t + d


POSTURES = (
    Action(
        name="kick",
        move=kick,
        side=SIDES,
        count=(1, 2, 3),
        speed=SPEEDS,
        weight=1.5,
        repeats=True,
        answer="kick",
        asked=("kick", "kicking"),
        phrases={
            "": (
                "[kick] with {their} {side} leg{n}{slow}",
                "[kick] with the {side} foot{n}{slow}",
                "[kick] {their} {side} leg forward{n}{slow}",
                "[do] {noun} with {their} {side} leg{slow}",
                "[kick]{n}{slow} with {their} {side} foot",
            ),
        },
        noun=("kick", "a kick"),
        limb="leg",
        alike=("leg",),
        patterns=(verbs("kick"),),
        reading=250,
        shown=("kick", "lift"),
        events=("kick",),
        usual=(3.69, 4.65),
    ),
    Action(
        name="balance",
        move=balance,
        side=SIDES,
        answer="stand on one leg",
        asked=("stand on one leg", "standing on one leg"),
        phrases={
            "": (
                "[stand] on {their} {side} leg",
                "[balance] on {their} {side} leg",
                "[balance] on the {side} foot",
                "[stand] on one leg, the {side} one",
                "[stand] on the {side} foot",
            ),
        },
        limb="leg",
        ask_side=("Which leg does the person stand on?", "On which leg does the person balance?"),
        ask_whether="Does the person stand on the {side} leg?",
        alike=("leg",),
        travels=False,
        patterns=(verbs("balance") + rf"|\b(?:stand|stands|stood|standing) (?:\w+ )?{ONE_LEG}",),
        reading=160,
        shown=("stand on", "lift"),
        events=("leg raised",),
    ),
    Action(
        name="sit",
        move=sit,
        speed=SPEEDS,
        weight=1.3,
        then=("wave", "clap", "raise", "drink", "stretch", "look"),
        answer="sit down",
        asked=("sit down", "sitting down"),
        phrases={
            "": (
                "[sit] down{slow}",
                "[sit] down on a chair{slow}",
                "[take] a seat{slow}",
                "[sit]{slow} on a chair",
                "[sit]{slow} down",
            ),
        },
        alike=("low",),
        patterns=(r"\b(?:sit|sits|sat|sitting)\b" + r"|\bt(?:ake|akes|aking|ook) (?:a|the|their) seat",),
        reading=200,
        shown=("sit",),
        events=("sit",),
        usual=(0.896, 1.4),
    ),
    Action(
        name="stand_up",
        move=stand_up,
        begin=seated,
        speed=SPEEDS,
        answer="stand up",
        asked=("stand up", "standing up"),
        phrases={
            "": (
                "[stand] up{slow}",
                "[get] up from a chair{slow}",
                "[stand] up from a chair{slow}",
                "[rise] from a seat{slow}",
                "[stand]{slow} up from sitting",
            ),
        },
        alike=("low",),
        travels=False,
        patterns=(
            r"\b(?:stand|stands|stood|standing|get|gets|got|getting|rise|rises|rising|rose)"
            r" (?:\w+ly |at a slow speed )?(?:back )?"
            r"(?:up|from (?:a|the|their) (?:seat|chair))(?: from (?:sitting|(?:a|the) (?:chair|seat)))?",
        ),
        reading=190,
        shown=("stand up",),
        events=("stand up",),
        usual=(1.14, 1.73),
    ),
    Action(
        name="kneel",
        move=kneel,
        side=BOTH,
        speed=SPEEDS,
        last=True,
        answer="kneel",
        asked=("kneel down", "kneeling down"),
        phrases={
            "": (
                "[kneel] down on {their} {side} knee{slow}",
                "[kneel] on the {side} knee{slow}",
                "[go] down on {their} {side} knee{slow}",
                "[drop] to {their} {side} knee{slow}",
            ),
            "both": (
                "[kneel] down on both knees{slow}",
                "[kneel] on both knees{slow}",
                "[go] down on {their} knees{slow}",
                "[drop] to both knees{slow}",
            ),
        },
        limb="knee",
        ask_side=("Which knee does the person kneel on?", "On which knee does the person kneel down?"),
        alike=("low",),
        patterns=(
            r"\b(?:kneel(?:s|ed|ing)?|knelt)\b|\b(?:go|goes|going|went|drop|drops|dropping|get|gets) (?:down )?"
            rf"(?:on|to|onto) (?:one )?{OWN}*knees?",
        ),
        reading=210,
        shown=("kneel", "squat", "lunge"),
        events=("kneel",),
        usual=(0.477, 0.787),
    ),
    Action(
        name="lie",
        move=lie,
        speed=SPEEDS,
        weight=0.8,
        last=True,
        answer="lie down",
        asked=("lie down", "lying down"),
        phrases={
            "": (
                "[lie] down on {their} back{slow}",
                "[lie] down{slow}",
                "[lie] down on the floor{slow}",
                "[lie]{slow} down on the ground",
            ),
        },
        alike=("low",),
        patterns=(r"\b(?:lie|lies|lying|lay|lays|laying)\b",),
        reading=220,
        shown=("lie",),
        events=("lie",),
        usual=(1.42, 1.94),
    ),
    Action(
        name="jumping_jacks",
        move=jumping_jacks,
        count=(2, 3, 4),
        speed=SPEEDS,
        answer="jumping jacks",
        asked=("do jumping jacks", "doing jumping jacks"),
        phrases={
            "": (
                "[do] {noun}{slow}",
                "[perform] {noun}{slow}",
                "[do] {noun}{slow}",
            ),
        },
        noun=("jumping jack", "jumping jacks"),
        ask_count=("How many jumping jacks does the person do?", "What is the number of jumping jacks?"),
        alike=("airborne", "arm"),
        patterns=(r"\b(?:jumping|star)[ -]?jacks?\b|\bstar jumps?\b",),
        reading=10,
        shown=("jumping jack", "jump"),
        events=("jumping jack",),
        usual=(0.676, 0.834),
        speed_of=repetitions_per_second,
    ),
    Action(
        name="stand",
        move=stand,
        weight=0.4,
        last=True,
        answer="stand still",
        asked=("stand still", "standing still"),
        phrases={
            "": (
                "[stand] still",
                "[stand] in place",
                "[stand] without moving",
                "[remain] standing",
                "[stand] there motionless",
            ),
        },
        travels=False,
        patterns=(r"\b(?:stand|stands|stood|standing)\b",),
        reading=330,
        evidence=nothing_else,
    ),
)
