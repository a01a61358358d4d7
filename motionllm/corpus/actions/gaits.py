"""Gaits: one function that moves an actor, and one record each."""

from __future__ import annotations

import numpy as np

from motionllm.corpus.action import SIDES, SPEEDS, Action, Part
from motionllm.corpus.actor import DEG, Actor, Way, arc, gait, lasting, straight
from motionllm.corpus.body import SIGN
from motionllm.corpus.evidence import (
    of_the_leading_foot,
    repetitions_per_second,
    single_side_steps,
    single_steps,
    steps_per_second,
    walking_speed,
    walks,
)
from motionllm.corpus.patterns import TO_A_SIDE, verbs


def _way(a: Actor, part: Part, length: float) -> Way:
    if part.direction in ("left", "right"):
        return arc(a, length, (1 if part.direction == "left" else -1) * a.between(75, 120) * DEG)
    if part.direction in ("clockwise", "counterclockwise"):
        return arc(a, length, (-1 if part.direction == "clockwise" else 1) * a.between(330, 370) * DEG)
    return straight(a, -length if part.direction == "backward" else length)


def walk(a: Actor, part: Part) -> None:
    circle = part.direction in ("clockwise", "counterclockwise")
    back = part.direction == "backward"
    speed = a.size * a.between(1.05, 1.25) * {"slowly": 0.5, "": 1.0, "quickly": 1.55}[part.speed]
    speed *= 0.62 if back else 0.85 if circle else 1.0
    step = 0.53 * (speed / (0.75 if back else 1.15)) ** -0.42
    duration = lasting(a, part, 4.6, 6.6) if circle else lasting(a, part, 2.8, 5.2)
    length = speed * (duration - 0.5)
    gait(
        a,
        duration,
        _way(a, part, length),
        step,
        0.76 * step,
        lift=0.05 + 0.02 * a.size,
        off=0.15 if back else 0.85,
        land=0.0 if back else 0.28,
        arms=min(0.7, (0.12 + 0.22 * speed) * a.size) * (0.6 if back else 1.0),
        ahead=0.56 if back else 0.42,
    )


def run(a: Actor, part: Part) -> None:
    speed = a.size * a.between(2.4, 2.8) * {"slowly": 0.62, "": 1.0, "quickly": 1.42}[part.speed]
    step = 0.36 * (speed / 2.6) ** -0.25
    duration = lasting(a, part, 2.4, 3.8)
    t = a.now
    a.move(t, t + 0.3, bend=a.posture + 0.16 + 0.03 * speed, nod=-0.15)
    for side in (0, 1):
        a.move(t, t + 0.35, **{f"ext{side}": 0.70, f"fl{side}": 0.35, f"px{side}": 0.35, f"py{side}": -0.3})
    gait(
        a,
        duration,
        _way(a, part, speed * (duration - 0.6)),
        step,
        1.36 * step,
        lift=0.10 + 0.06 * speed,
        off=0.7,
        land=0.0,
        arms=min(1.0, 0.35 + 0.17 * speed),
        bob=0.035,
        ramp=0.6,
        sway=0.012,
    )
    t = a.now
    a.move(t - 0.3, t + 0.25, bend=a.posture, nod=-0.5 * a.posture)
    for side in (0, 1):
        a.rest_arm(side, t - 0.35, t + 0.25)
    a.now = t + 0.2


def crouch_walk(a: Actor, part: Part) -> None:
    t, duration = a.now, lasting(a, part, 3.0, 5.0)
    low = a.between(0.2, 0.3)
    a.move(t, t + 0.6, y=-low, bend=a.between(0.5, 0.8), fore=-0.1, nod=-0.5)
    for side in (0, 1):
        a.move(t, t + 0.6, **{f"fl{side}": 0.7, f"ext{side}": 0.75, f"px{side}": 0.5})
    a.now = t + 0.45
    speed = a.size * 0.75 * {"slowly": 0.6, "": 1.0, "quickly": 1.6}[part.speed]
    gait(
        a,
        duration,
        _way(a, part, speed * (duration - 0.5)),
        0.6 * (speed / 0.75) ** -0.4,
        0.46 * (speed / 0.75) ** -0.4,
        lift=0.10,
        off=0.35,
        arms=0.2,
        ahead=0.5,
    )
    t = a.now
    a.move(t - 0.1, t + 0.5, y=0, bend=a.posture, fore=0, nod=0)
    for side in (0, 1):
        a.rest_arm(side, t - 0.1, t + 0.5)
    a.now = t + 0.5


def march(a: Actor, part: Part) -> None:
    step = 0.5 * a.pace(part) ** 0.8
    count = max(4, round(lasting(a, part, 2.6, 4.2) / step))
    t0, lift = a.now, a.between(0.22, 0.34)
    for k in range(count):
        side, t = (a.first + k) % 2, t0 + k * step
        x, z, _ = a.place(side)
        fx, fz = a.ahead(0.10, SIGN[side] * a.width)
        other = 1 - side
        d = 0.92 * step
        a.move(t, t + d / 2, **{f"fx{side}": fx, f"fz{side}": fz, f"fy{side}": lift, f"fpitch{side}": 0.35})
        a.move(t + d / 2, t + d, **{f"fx{side}": x, f"fz{side}": z, f"fy{side}": 0, f"fpitch{side}": 0})
        a.air(side, t, t + d)
        a.move(t - 0.1, t + d / 2, sway=-SIGN[side] * 0.045)
        a.move(t, t + d / 2, **{f"swing{other}": 0.65 * a.size, f"swing{side}": -0.35 * a.size})
    t = t0 + count * step
    a.move(t - 0.05, t + 0.25, sway=0, swing0=0, swing1=0)
    a.first, a.now = (a.first + count) % 2, t + 0.15


def step(a: Actor, part: Part) -> None:
    """Single steps forward or backward; the feet stay where the last step leaves them."""
    pace, way = a.pace(part), 1 if part.direction == "forward" else -1
    length = a.between(0.42, 0.58) * a.size * (1 if way > 0 else 0.8)
    t, travelled = a.now, 0.0
    x0, z0 = a.x, a.z
    for k in range(part.count or 1):
        side, d = (a.first + k) % 2, 0.62 * pace
        travelled = length * (k + 1)
        fx, fz = a.ahead(way * travelled, SIGN[side] * a.width)
        a.foot(
            side,
            t,
            t + d,
            fx,
            fz,
            a.yaw + SIGN[side] * a.toe_out,
            0.08,
            off=0.35 if k and way > 0 else 0.0,
            land=0.15 if way > 0 else 0.0,
        )
        px, pz = a.ahead(way * (travelled - length / 2))
        a.move(t, t + d + 0.1 * pace, x=px, z=pz)
        for arm in (0, 1):
            a.move(t, t + d, **{f"swing{arm}": (0.3 if arm != side else -0.25) * way})
        t += d + 0.16 * pace
    a.move(t, t + 0.3, swing0=0, swing1=0)
    last = travelled - length / 2
    a.x, a.z = x0 + way * last * np.sin(a.yaw), z0 + way * last * np.cos(a.yaw)
    a.first, a.now = (a.first + (part.count or 1)) % 2, t + 0.2


def sidestep(a: Actor, part: Part) -> None:
    pace, lead = a.pace(part), 0 if part.direction == "left" else 1
    sign, t = SIGN[lead], a.now
    for _ in range(part.count or 1):
        length, d = a.between(0.32, 0.46) * a.size, 0.46 * pace
        a.move(t - 0.1, t + d, sway=-sign * 0.02)
        middle = a.ahead(0, sign * 0.55 * length)
        a.x, a.z = a.ahead(0, sign * length)
        a.foot(lead, t, t + d, *a.place(lead), 0.07)
        a.move(t, t + d, x=middle[0], z=middle[1])
        a.move(t + d, t + 2 * d, x=a.x, z=a.z, sway=0)
        for arm in (0, 1):
            a.move(t, t + d, **{f"ab{arm}": a.hang[arm]["ab"] + 0.12})
            a.move(t + d, t + 2 * d, **{f"ab{arm}": a.hang[arm]["ab"]})
        a.foot(1 - lead, t + d + 0.06, t + 2 * d + 0.02, *a.place(1 - lead), 0.06)
        t += 2 * d + 0.14 * pace
    a.now = t


GAITS = (
    Action(
        name="walk",
        move=walk,
        direction=("forward", "backward", "left", "right", "clockwise", "counterclockwise"),
        speed=SPEEDS,
        weight=4.0,
        carries=True,
        repeats=True,
        answer="walk",
        asked=("walk", "walking"),
        phrases={
            "forward": (
                "[walk] forward{slow}",
                "[walk]{slow} forward",
                "[walk] forwards{slow}",
                "[walk] straight ahead{slow}",
                "[walk] in a straight line{slow}",
                "[walk]{slow} straight forward",
                "[stroll] forward",
                "[take] a walk forward{slow}",
                "[walk] ahead{slow}",
            ),
            "backward": (
                "[walk] backward{slow}",
                "[walk]{slow} backwards",
                "[walk] backwards{slow}",
                "[back] up{slow}",
                "[walk] back in reverse{slow}",
                "[walk]{slow} backward in a straight line",
            ),
            "left": (
                "[walk] in a curve to the {way}{slow}",
                "[walk] forward curving to the {way}{slow}",
                "[walk]{slow} along a curve to {their} {way}",
                "[walk]{slow} in an arc to the {way}",
                "[walk] forward{slow}, veering to the {way}",
            ),
            "clockwise": (
                "[walk] in a {way} circle{slow}",
                "[walk]{slow} in a {way} circle",
                "[walk] {way} in a circle{slow}",
                "[walk]{slow} around in a {way} circle",
                "[walk] in a circle, {way}{slow}",
            ),
        },
        alike=("gait", "turning"),
        travels=True,
        patterns=(verbs("walk", "stroll") + r"|\bback(?:s|ed|ing)? up\b",),
        reading=320,
        shown=("walk", "step", "creep", "run"),
        events=("walk",),
        evidence=walks,
        usual=(0.825, 1.44),
        speed_of=walking_speed,
    ),
    Action(
        name="run",
        move=run,
        direction=("forward", "left", "right"),
        speed=SPEEDS,
        weight=2.0,
        answer="run",
        asked=("run", "running"),
        phrases={
            "forward": (
                "[run] forward{slow}",
                "[run] straight ahead{slow}",
                "[run] forwards{slow}",
                "[run]{slow} ahead",
            ),
            "left": (
                "[run] in a curve to the {way}{slow}",
                "[run] forward curving to the {way}{slow}",
                "[run]{slow} in an arc to {their} {way}",
            ),
        },
        synonyms={"slowly": ("run", "jog"), "quickly": ("run", "sprint"), "": ("run", "run", "jog")},
        alike=("gait", "turning"),
        travels=True,
        patterns=(verbs("run", "jog", "sprint") + r"|\bran\b",),
        reading=300,
        shown=("run", "walk"),
        events=("run",),
        usual=(2.07, 3.1),
    ),
    Action(
        name="crouch_walk",
        move=crouch_walk,
        direction=("forward",),
        speed=SPEEDS,
        answer="sneak",
        asked=("sneak", "sneaking"),
        phrases={
            "": (
                "[walk] forward in a crouch{slow}",
                "[sneak] forward{slow}",
                "[walk]{slow} crouched down",
                "[crouch] and [walk] forward{slow}",
                "[walk] forward{slow} while crouching",
                "[sneak] ahead{slow}, bent low",
            ),
        },
        alike=("gait", "low"),
        travels=True,
        patterns=(
            r"\b(?:sneak(?:s|ed|ing)?|tiptoe\w*)\b|\bcrouch(?:es|ed|ing)?,? and (?:then )?walk(?:s|ing)?\b",
            r"\bwalk(?:s|ed|ing)?\b(?: \w+){0,5} (?:in a crouch|crouched(?: down)?|crouching|while crouching|bent low)"
            r"|\bcrouch(?:ed|ing)?[ -]walk(?:s|ed|ing)?\b",
        ),
        reading=60,
        broader=("walk",),
        shown=("creep", "walk", "step"),
        events=("crouch walk",),
        usual=(0.597, 0.966),
    ),
    Action(
        name="march",
        move=march,
        speed=SPEEDS,
        carries=True,
        answer="march",
        asked=("march in place", "marching in place"),
        phrases={
            "": (
                "[march] in place{slow}",
                "[march] on the spot{slow}",
                "[walk] in place{slow}",
                "[march]{slow} in place",
            ),
        },
        alike=("gait", "leg"),
        travels=False,
        patterns=(verbs("march") + r"|\b(?:walk|jog|run|step)\w*(?: \w+)? (?:in place|on the spot)",),
        reading=70,
        broader=("walk",),
        shown=("march", "step", "walk", "lift"),
        events=("march",),
        usual=(1.94, 2.8),
        speed_of=repetitions_per_second,
    ),
    Action(
        name="step",
        move=step,
        direction=("forward", "backward"),
        count=(1, 2, 3, 4),
        speed=SPEEDS,
        repeats=True,
        answer="step",
        asked=("take single steps", "taking steps"),
        phrases={
            "": (
                "[take] {noun} {way}{slow}",
                "[step] {way}{n}{slow}",
                "[take] {noun} {way}{slow}",
                "[step]{slow} {way}{n}",
            ),
        },
        noun=("step", "a step"),
        ask_count=("How many steps does the person take?", "How many steps are taken?"),
        alike=("gait", "leg"),
        travels=True,
        patterns=(r"\bt(?:ake|akes|aking|ook) (?:\w+ ){0,3}steps?\b|" + verbs("step"),),
        reading=310,
        broader=("walk",),
        shown=("step", "walk"),
        events=("step",),
        evidence=single_steps,
        usual=(2.13, 2.8),
        speed_of=steps_per_second,
    ),
    Action(
        name="sidestep",
        move=sidestep,
        direction=SIDES,
        count=(1, 2, 3, 4),
        speed=SPEEDS,
        repeats=True,
        answer="sidestep",
        asked=("step sideways", "stepping sideways"),
        phrases={
            "": (
                "[step] to the {way}{n}{slow}",
                "[sidestep] to the {way}{n}{slow}",
                "[take] {noun} to the {way}{slow}",
                "[step] sideways to {their} {way}{n}{slow}",
                "side [step] to the {way}{n}{slow}",
            ),
        },
        noun=("side step", "a side step"),
        ask_count=("How many side steps does the person take?", "How many times does the person step sideways?"),
        alike=("gait",),
        travels=True,
        patterns=(
            rf"\bside[ -]?step\w*|\bstep(?:s|ped|ping)? sideways|\bstepp?\w* (?:\w+ )?{TO_A_SIDE}|\bshuffl\w+",
            rf"\bt(?:ake|akes|aking|ook) (?:\w+ )?steps? {TO_A_SIDE}",
        ),
        reading=120,
        broader=("step",),
        shown=("step", "walk"),
        events=("step",),
        evidence=single_side_steps,
        usual=(2.67, 3.5),
        speed_of=steps_per_second,
        times=of_the_leading_foot,
    ),
)
