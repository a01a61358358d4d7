"""Bending down and coming up again: one function and one record each."""

from __future__ import annotations

from motionllm.corpus.action import SIDES, SPEEDS, Action, Part
from motionllm.corpus.actor import Actor
from motionllm.corpus.body import SIGN
from motionllm.corpus.evidence import degrees_per_second, with_bent_legs, with_straight_legs
from motionllm.corpus.patterns import BACK_UP, DOWN, OWN, verbs


def squat(a: Actor, part: Part) -> None:
    pace, t, low = a.pace(part), a.now, a.between(0.34, 0.46)
    for _ in range(part.count or 1):
        down = t + 0.8 * pace
        a.move(t, down, y=-low, bend=0.55, pitch=0.35, fore=-0.16, nod=-0.5, kout0=0.35, kout1=0.35)
        for arm in (0, 1):
            a.arm(arm, t, down, fl=1.9, ab=0.05, ext=0.93)
        up = down + (0.12 + 0.75) * pace
        a.move(down + 0.12 * pace, up, y=0, bend=a.posture, pitch=0, fore=0, nod=0, kout0=0, kout1=0)
        for arm in (0, 1):
            a.rest_arm(arm, down + 0.12 * pace, up)
        t = up + 0.12 * pace
    a.now = t


def lunge(a: Actor, part: Part) -> None:
    pace, t, side = a.pace(part), a.now, 0 if part.side == "left" else 1
    back = 1 - side
    for _ in range(part.count or 1):
        length = a.between(0.68, 0.85)
        x, z = a.ahead(length, SIGN[side] * a.width)
        land = t + 0.5 * pace
        a.foot(side, t, land, x, z, a.yaw + SIGN[side] * 0.05, 0.12, land=0.15)
        down = land + 0.4 * pace
        a.move(t + 0.1, down, fore=0.52 * length, y=-a.between(0.24, 0.31), bend=0.05)
        a.move(land - 0.1, down, **{f"fpitch{back}": 0.9})
        up = down + 0.15 * pace
        a.move(up, up + 0.5 * pace, fore=0.12, y=-0.05)
        a.move(up, up + 0.5 * pace, **{f"fpitch{back}": 0.0})
        a.move(up + 0.5 * pace, up + 0.8 * pace, fore=0, y=0)
        x, z, yaw = a.place(side)
        a.foot(side, up + 0.25 * pace, up + 0.75 * pace, x, z, yaw, 0.1)
        t = up + 0.95 * pace
    a.now = t


def bow(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    for _ in range(part.count or 1):
        deep = a.between(0.65, 1.0)
        down = t + 0.8 * pace
        a.move(t, down, pitch=0.55 * deep, bend=0.75 * deep, nod=0.25, fore=-0.10 * deep)
        for arm in (0, 1):
            a.arm(arm, t, down, **{**a.hang[arm], "fl": 0.45 * deep})
        up = down + (0.25 + 0.8) * pace
        a.move(down + 0.25 * pace, up, pitch=0, bend=a.posture, nod=0, fore=0)
        for arm in (0, 1):
            a.rest_arm(arm, down + 0.25 * pace, up)
        t = up + 0.15 * pace
    a.now = t


def touch_toes(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    for _ in range(part.count or 1):
        down = t + 1.0 * pace
        a.move(t, down, pitch=1.5, bend=1.25, nod=0.2, fore=-0.26, y=-0.08)
        for arm in (0, 1):
            a.arm(arm, t, down, fl=2.6, ab=-0.05, ext=0.985)
        up = down + (0.25 + 0.9) * pace
        a.move(down + 0.25 * pace, up, pitch=0, bend=a.posture, nod=0, fore=0, y=0)
        for arm in (0, 1):
            a.rest_arm(arm, down + 0.25 * pace, up)
        t = up + 0.1 * pace
    a.now = t


def pick(a: Actor, part: Part) -> None:
    pace, t, side = a.pace(part), a.now, 0 if part.side == "left" else 1
    down = t + 0.9 * pace
    a.move(t, down, y=-0.42, pitch=0.55, bend=0.75, fore=-0.1, kout0=0.3, kout1=0.3, twist=-SIGN[side] * 0.15)
    a.arm(side, t + 0.1, down, fl=1.35, ab=0.0, ext=0.97)
    a.arm(1 - side, t, down, fl=0.9, ab=0.25, ext=0.6)
    up = down + 0.2 * pace
    a.move(up, up + 0.9 * pace, y=0, pitch=0, bend=a.posture, fore=0, kout0=0, kout1=0, twist=0)
    a.arm(side, up, up + 0.9 * pace, fl=0.95, ab=0.05, ext=0.62, px=0.3, py=-1.0, pz=-0.6)
    a.rest_arm(1 - side, up, up + 0.9 * pace)
    a.now = up + 1.2 * pace
    a.rest[side] = dict(fl=0.95, ab=0.05, ext=0.62, px=0.3, py=-1.0, pz=-0.6)


BENDS = (
    Action(
        name="squat",
        move=squat,
        count=(1, 2, 3),
        speed=SPEEDS,
        weight=1.3,
        answer="squat",
        asked=("squat", "squatting"),
        phrases={
            "": (
                "[squat]{n}{slow}",
                "[squat] down and [stand] back up{n}{slow}",
                "[do] {noun}{slow}",
                "[perform] {noun}{slow}",
                "[squat] down{n}{slow}",
            ),
        },
        noun=("squat", "a squat"),
        alike=("low", "arm"),
        travels=False,
        patterns=(verbs("squat") + r"(?: down)?" + BACK_UP,),
        reading=170,
        shown=("squat", "sit", "bend down", "creep"),
        events=("squat",),
        usual=(0.954, 1.42),
    ),
    Action(
        name="lunge",
        move=lunge,
        side=SIDES,
        count=(1, 2),
        speed=SPEEDS,
        answer="lunge",
        asked=("lunge", "lunging"),
        phrases={
            "": (
                "[lunge] forward with {their} {side} leg{n}{slow}",
                "[do] {noun} with the {side} leg{slow}",
                "[lunge] with the {side} foot forward{n}{slow}",
                "[perform] {noun} with {their} {side} leg{slow}",
            ),
        },
        noun=("lunge", "a lunge"),
        limb="leg",
        alike=("low", "leg"),
        patterns=(verbs("lunge"),),
        reading=150,
        shown=("lunge", "kneel", "squat", "step"),
        events=("lunge",),
        usual=(0.904, 1.31),
    ),
    Action(
        name="bow",
        move=bow,
        count=(1, 2, 3),
        speed=SPEEDS,
        answer="bow",
        asked=("bow", "bowing"),
        phrases={
            "": (
                "[bow]{n}{slow}",
                "[take] {noun}{slow}",
                "[bow] forward{n}{slow}",
                "[bow] politely{n}{slow}",
                "[bow] down{n}{slow}",
            ),
        },
        noun=("bow", "a bow"),
        alike=("low",),
        travels=False,
        patterns=(verbs("bow") + r"|\bbend(?:s|ing)? forward",),
        reading=180,
        shown=("bow", "lean", "bend down"),
        events=("bow",),
        usual=(33.8, 57.8),
        speed_of=degrees_per_second,
    ),
    Action(
        name="touch_toes",
        move=touch_toes,
        count=(1, 2),
        speed=SPEEDS,
        answer="touch toes",
        asked=("touch their toes", "touching their toes"),
        phrases={
            "": (
                "[touch] {their} toes{n}{slow}",
                "[bend] down and [touch] {their} toes{n}{slow}",
                "[bend] over to touch {their} toes{n}{slow}",
                "[reach] down to {their} toes{n}{slow}",
            ),
        },
        alike=("low",),
        travels=False,
        patterns=(DOWN + rf"(?:to )?(?:touch(?:es|ed|ing)? |to )?{OWN}?(?:\w+ )?\btoes\b",),
        reading=40,
        shown=("bend down", "bow", "squat"),
        events=("reach down",),
        evidence=with_straight_legs,
        usual=(1.9, 2.84),
    ),
    Action(
        name="pick",
        move=pick,
        side=SIDES,
        speed=SPEEDS,
        answer="pick something up",
        asked=("pick something up", "picking something up"),
        phrases={
            "": (
                "[pick] something up with {their} {side} hand{slow}",
                "[pick] up something from the floor with the {side} hand{slow}",
                "[bend] down and [pick] something up with {their} {side} hand{slow}",
                "[pick] an object up off the ground with {their} {side} hand{slow}",
            ),
        },
        alike=("low",),
        travels=False,
        patterns=(DOWN + r"\bpick(?:s|ed|ing)?\b(?: (?:something|an? \w+|it|the \w+))?(?: up\b)?",),
        reading=50,
        shown=("bend down", "squat", "kneel", "bow"),
        events=("reach down",),
        evidence=with_bent_legs,
        usual=(1.15, 1.78),
    ),
)
