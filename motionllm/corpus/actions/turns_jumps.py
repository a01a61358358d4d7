"""Turns in place, jumps and hops: one function and one record each."""

from __future__ import annotations

from motionllm.corpus.action import SIDES, SPEEDS, Action, Part
from motionllm.corpus.actor import DEG, Actor, gait, leap, straight
from motionllm.corpus.body import SIGN
from motionllm.corpus.evidence import turned
from motionllm.corpus.patterns import ONE_LEG, TURN, verbs


def _turn_in_place(a: Actor, part: Part, degrees: float, seconds: float, step: float) -> None:
    sign = 1 if part.direction == "left" else -1
    seconds *= a.pace(part)
    angle = sign * degrees * DEG
    t = a.now
    a.first = 0 if sign > 0 else 1
    a.move(t - 0.1, t + 0.3 * seconds, look=sign * 0.4, twist=sign * 0.15)
    a.move(t + 0.6 * seconds, t + seconds, look=0, twist=0)
    gait(
        a,
        seconds,
        straight(a, 0, 0, angle),
        step * a.pace(part),
        0.72 * step * a.pace(part),
        lift=0.06,
        off=0.1,
        land=0.0,
        arms=0.12,
        ahead=0.5,
        ramp=0.35 * seconds,
        sway=0.03,
    )
    a.now += 0.1


def turn(a: Actor, part: Part) -> None:
    _turn_in_place(a, part, a.between(80, 100), 1.35, 0.42)


def turn_around(a: Actor, part: Part) -> None:
    _turn_in_place(a, part, a.between(170, 190), 1.9, 0.4)


def spin(a: Actor, part: Part) -> None:
    _turn_in_place(a, part, a.between(348, 372), 3.0, 0.42)


def jump(a: Actor, part: Part) -> None:
    length = {"": 0.0, "forward": 0.7, "backward": -0.4, "left": 0.4, "right": -0.4}[part.direction]
    t, height, crouch = a.now, a.between(0.14, 0.3) * a.size, a.between(0.16, 0.26)
    for k in range(part.count or 1):
        reach = length * a.size * a.between(0.85, 1.15)
        to = a.ahead(0, reach) if part.direction in ("left", "right") else a.ahead(reach)
        land = leap(a, t, crouch, height, (0, 1), to, a.tempo if k == 0 else 0.7 * a.tempo)
        a.move(land, land + 0.2, y=-0.6 * crouch, bend=a.posture + crouch)
        t = land + 0.2
    a.move(t, t + 0.4 * a.tempo, y=0, bend=a.posture, fore=0)
    for arm in (0, 1):
        a.rest_arm(arm, t - 0.1, t + 0.3)
    a.now = t + 0.35 * a.tempo


def hop(a: Actor, part: Part) -> None:
    side = 0 if part.side == "left" else 1
    free, t = 1 - side, a.now
    fx, fz = a.ahead(-0.18, SIGN[free] * a.width)
    a.move(t, t + 0.45, sway=SIGN[side] * (a.width - 0.01))
    a.move(t + 0.2, t + 0.6, **{f"fx{free}": fx, f"fz{free}": fz, f"fy{free}": 0.28, f"fpitch{free}": 0.5})
    begin = t + 0.2
    for arm in (0, 1):
        a.arm(arm, t, t + 0.5, ab=0.6, ext=0.85)
    t += 0.6
    height = a.between(0.06, 0.11)
    for _ in range(part.count or int(a.rng.integers(2, 5))):
        onward = a.between(0.0, 0.06)
        to = a.ahead(onward)
        land = leap(a, t, 0.1, height, (side,), to, 0.75 * a.tempo, arms=False, pitch=0.5)
        lifted = a.score.last(f"fy{free}")
        fx, fz = a.ahead(-0.18, SIGN[free] * a.width)
        up = t + 0.3 * 0.75 * a.tempo
        a.move(up + 0.1, up + 0.35, **{f"fy{free}": lifted + height, f"fx{free}": fx, f"fz{free}": fz})
        a.move(up + 0.35, land + 0.1, **{f"fy{free}": lifted})
        a.move(land, land + 0.12, y=-0.07)
        t = land + 0.12
    x, z, _ = a.place(free)
    a.move(t + 0.1, t + 0.55, **{f"fx{free}": x, f"fz{free}": z, f"fy{free}": 0, f"fpitch{free}": 0}, y=0, fore=0)
    a.air(free, begin, t + 0.55)
    a.move(t + 0.2, t + 0.7, sway=0, bend=a.posture)
    for arm in (0, 1):
        a.rest_arm(arm, t + 0.1, t + 0.7)
    a.now = t + 0.65


TURNS_JUMPS = (
    Action(
        name="turn",
        move=turn,
        direction=SIDES,
        speed=SPEEDS,
        weight=1.5,
        repeats=True,
        answer="turn",
        asked=("turn", "turning"),
        phrases={
            "": (
                "[turn] to the {way}{slow}",
                "[turn] {way}{slow}",
                "[turn]{slow} to {their} {way}",
                "[rotate] to the {way}{slow}",
                "[make] a {way} turn{slow}",
                "[turn] 90 degrees to the {way}{slow}",
                "[do] a quarter turn to the {way}{slow}",
            ),
        },
        alike=("turning",),
        travels=False,
        patterns=(TURN,),
        reading=110,
        shown=("turn", "walk", "run", "creep"),
        events=("turn",),
        evidence=turned(45, 135),
        usual=(63, 91.7),
    ),
    Action(
        name="turn_around",
        move=turn_around,
        direction=SIDES,
        speed=SPEEDS,
        answer="turn around",
        asked=("turn around", "turning around"),
        phrases={
            "": (
                "[turn] around to the {way}{slow}",
                "[turn] around over {their} {way} shoulder{slow}",
                "[turn] 180 degrees to the {way}{slow}",
                "[turn]{slow} around to {their} {way}",
                "[do] a half turn to the {way}{slow}",
            ),
        },
        alike=("turning",),
        travels=False,
        patterns=(
            TURN + r"(?: \w+ly| fast| at a slow speed)? (?:back )?around",
            TURN + r"(?: \w+)? 180(?: degrees)?|\b(?:half|180(?:[ -]degrees?)?|u)[ -]turn",
        ),
        reading=100,
        broader=("turn",),
        shown=("turn", "walk", "run"),
        events=("turn",),
        evidence=turned(135, 260),
        usual=(85.8, 131),
    ),
    Action(
        name="spin",
        move=spin,
        direction=SIDES,
        speed=SPEEDS,
        weight=0.8,
        answer="spin",
        asked=("spin around", "spinning around"),
        phrases={
            "": (
                "[spin] around to the {way}{slow}",
                "[turn] a full circle to the {way}{slow}",
                "[spin] 360 degrees to the {way}{slow}",
                "[spin]{slow} in a full circle to {their} {way}",
                "[do] a full turn to the {way}{slow}",
            ),
        },
        alike=("turning",),
        travels=False,
        patterns=(
            verbs("spin", "twirl", "whirl", "pirouette") + r"(?: around)?|\b(?:full|360(?:[ -]degrees?)?) turn",
            TURN + r"(?: \w+)? (?:in )?(?:a )?(?:full circle|360(?: degrees)?|all the way around)",
        ),
        reading=90,
        broader=("turn", "turn_around"),
        shown=("turn", "walk"),
        events=("turn",),
        evidence=turned(260, 480),
        usual=(108, 170),
    ),
    Action(
        name="jump",
        move=jump,
        direction=("", "forward", "backward", "left", "right"),
        count=(1, 2, 3, 4),
        weight=2.5,
        repeats=True,
        answer="jump",
        asked=("jump", "jumping"),
        phrases={
            "": (
                "[jump] up and down{n}",
                "[jump]{n}",
                "[jump] in place{n}",
                "[do] {noun}",
                "[jump] on the spot{n}",
                "[jump] up{n}",
                "[leap] into the air{n}",
            ),
            "forward": (
                "[jump] {way}{n}",
                "[leap] {way}{n}",
                "[do] {noun} {way}",
                "[jump] {way}s{n}",
                "[make] {noun} {way}",
            ),
            "left": (
                "[jump] to the {way}{n}",
                "[jump] sideways to the {way}{n}",
                "[do] {noun} to the {way}",
                "[leap] to {their} {way}{n}",
            ),
        },
        noun=("jump", "a jump"),
        alike=("airborne",),
        patterns=(verbs("jump", "leap"),),
        reading=140,
        shown=("jump", "hop", "jumping jack"),
        events=("jump",),
    ),
    Action(
        name="hop",
        move=hop,
        side=SIDES,
        count=(1, 2, 3, 4),
        answer="hop",
        asked=("hop on one leg", "hopping"),
        phrases={
            "": (
                "[hop] on {their} {side} leg{n}",
                "[hop] on {their} {side} foot{n}",
                "[hop] on the {side} leg{n}",
                "[jump] on {their} {side} leg{n}",
                "[hop]{n} on one leg, the {side} one",
            ),
        },
        limb="leg",
        ask_side=("Which leg does the person hop on?", "On which leg does the person hop?"),
        alike=("airborne", "leg"),
        patterns=(verbs("hop") + rf"|\b(?:jump|leap)\w* (?:\w+ ){{0,2}}?{ONE_LEG}",),
        reading=130,
        broader=("jump",),
        shown=("hop", "jump"),
        events=("hop",),
    ),
)
