"""Rules of `facts` for what lowers the body: sit, kneel, lie, squat, lunge, reach down, bow, and getting up again.

Heights of the pelvis are shares of the standing height.
"""

from __future__ import annotations

import numpy as np

from motionllm.motion.facts.events import Event, Span, dips, event, spans_of
from motionllm.motion.posture import seats
from motionllm.motion.signals import (
    ANKLE,
    BENT,
    KNEE,
    SIDES,
    WRIST,
    Signals,
    coverage,
    minima,
    running_mean,
    stretches_where,
)

LOW, LOW_SECONDS = 0.9, 0.2  # pelvis: every such stretch is something
LOW_UNDER, LEAST_STANDS = 0.06, 0.84  # of bodies that sit at times: so far under their standing height; its least
AT_REST = 0.15  # m/s, the pelvis rises or sinks by less
DOWN = 0.06  # pelvis over its lowest: down for good
LIE_TILT, LIE_PELVIS, LIE_SECONDS = 60.0, 0.35, 0.25  # degrees of the trunk from upright
KNEEL_KNEE, KNEEL_PELVIS, KNEEL_TILT, KNEEL_SECONDS = 0.17, 0.35, 55.0, 0.35  # m of the knee, pelvis above
SIT_SECONDS = 0.5
FLOOR_PELVIS, FLOOR_NEAR, FLOOR_TILT, FLOOR_SECONDS = 0.35, 0.4, 50.0, 0.6  # sitting on the floor
# m: where the pelvis is no lower than in the deepest squats and lunges, who sits has both ankles ahead, about as far.
FLOOR_SURE, FLOOR_AHEAD, FLOOR_APART = 0.2, 0.15, 0.3
LUNGE_APART, LUNGE_PELVIS = 0.5, 0.82  # m between the ankles fore and aft
# m of a wrist over the floor: at most 0.34 where people touch their toes or put something down, from 0.39 on where the
# hands are at the knees of one who squats or is about to jump; share of standing; degrees.
HAND_LOW, REACH_PELVIS, REACH_TILT = 0.38, 0.86, 30.0
SQUAT_WAY = 0.08  # share of standing
SQUAT_PELVIS, JUMP_PELVIS = 0.8, 0.65  # below; the second about a jump, which everybody bends for
BOW_BEND, BOW_PELVIS, BOW_SIZE = 25.0, 0.8, 28.0  # degrees of the trunk forward, throughout and at most
STRAIGHT_REACH = 70.0  # degrees of a bow that reaches down
REACH_UP = 0.3  # m that a hand comes up between one reach down and the next
REACH_GAP = 0.2  # s between the parts of one reach: with straight knees, with bent ones, and straight again


def lowerings(s: Signals, travel: list[Event], flights: list[Event]) -> list[Event]:
    """The event of every stretch with a low pelvis, and the bows.

    side: for kneel the knee or "both", for lunge the front foot, for reach down the lower hand. size: the pelvis'
    lowest share of standing, for a bow its degrees. count: number of minima, for reach down those of the hand. stand
    up: the end of a sit, kneel or lie, if it ends. A sit that lasts from the first frame on is "seated".
    """
    events: list[Event] = []
    crouched, running = spans_of(s, travel, "crouch walk"), spans_of(s, travel, "run")
    leaps, rests = spans_of(s, flights, before=0.5, after=0.6), seats(s)
    for a, b in stretches_where(s.pelvis < _low(s, rests), s.frames(LOW_SECONDS), s.frames(0.15)):
        if coverage(a, b, crouched) > 0.4 or coverage(a, b, running) > 0.7:
            continue
        lowering = _lowering(s, a, b, coverage(a, b, leaps) > 0.5, rests)
        if not lowering:
            continue
        events.append(lowering)
        if lowering.name in ("sit", "kneel", "lie"):
            # The event lasts until the body is down for good; getting up is its own.
            low, least = s.pelvis[a:b], lowering.size
            down = a + int(np.flatnonzero(low < least + DOWN)[-1])
            lowering.end = round(down / s.fps, 3)
            if b < len(s.p) - 1:
                events.append(event(s, "stand up", down, b, size=least))
            if a == 0 and low[0] < least + 0.1:
                lowering.start, lowering.name = 0.0, "seated" if lowering.name == "sit" else lowering.name
    return _reached(s, events + _bows(s, crouched, events + travel))


def _reached(s: Signals, events: list[Event]) -> list[Event]:
    """The events with those of one reach down made one: the knees bend on the way, or straighten before the trunk."""
    others = [e for e in events if e.name != "reach down"]
    reaches: list[Event] = []
    for e in sorted((e for e in events if e.name == "reach down"), key=lambda e: e.start):
        if not reaches or e.start > reaches[-1].end + REACH_GAP:
            reaches.append(e)
            continue
        first = reaches[-1]
        a, b = round(first.start * s.fps), round(max(first.end, e.end) * s.fps)
        side, count = _lower_hand(s.p[a:b]), dips(s.p[a:b, WRIST, 1].min(1), REACH_UP)
        reaches[-1] = event(s, "reach down", a, b, side=side, size=min(first.size, e.size), count=count)
    return others + reaches


def _low(s: Signals, rests: list[Span]) -> float:
    """Share of standing below which a pelvis is low. A body that sits at times and never straightens its knees between
    stands lower than others, and yet higher than on the seat.
    """
    up = np.ones(len(s.p), bool)
    for a, b in rests:
        up[a:b] = False
    stands = float(np.percentile(s.pelvis[up], 95)) if rests and up.any() else 1.0
    return min(LOW, max(stands, LEAST_STANDS) - LOW_UNDER)


def _legs_ahead(s: Signals, a: int, b: int) -> bool:
    """Whether both ankles are ahead of the pelvis, in most of the lowest frames of [a, b)."""
    ankles = s.local[a:b, ANKLE, 2][s.pelvis[a:b] < FLOOR_NEAR]
    apart = np.abs(ankles[:, 0] - ankles[:, 1])
    return bool(np.median(ankles.mean(1)) > FLOOR_AHEAD and np.median(apart) < FLOOR_APART)


def _lowering(s: Signals, a: int, b: int, jumped: bool, rests: list[tuple[int, int]]) -> Event | None:
    """The event of the frames [a, b) with a low pelvis: the first that applies of lie, kneel, sit, lunge, reach down,
    squat.
    """
    low, tilt, knees = s.pelvis[a:b], s.tilt[a:b], s.p[a:b, KNEE, 1]
    at, least = int(low.argmin()), float(low.min())
    still = np.abs(running_mean(s.rise, 3))[a:b] < AT_REST
    if stretches_where((tilt > LIE_TILT) & (low < LIE_PELVIS), s.frames(LIE_SECONDS)):
        return event(s, "lie", a, b, size=least)
    over = (low > KNEEL_PELVIS) & (tilt < KNEEL_TILT) & still
    sides = [SIDES[k] for k in (0, 1) if stretches_where((knees[:, k] < KNEEL_KNEE) & over, s.frames(KNEEL_SECONDS))]
    if sides:
        return event(s, "kneel", a, b, side="both" if len(sides) == 2 else sides[0], size=least)
    on_seat = max((min(b, d) - max(a, c) for c, d in rests), default=0) >= s.frames(SIT_SECONDS)
    on_floor = least < FLOOR_PELVIS and tilt[at] < FLOOR_TILT and (low < FLOOR_NEAR).sum() > s.frames(FLOOR_SECONDS)
    if on_seat or (on_floor and (least < FLOOR_SURE or _legs_ahead(s, a, b))):
        return event(s, "sit", a, b, size=least)
    apart = s.local[a:b, ANKLE[0], 2] - s.local[a:b, ANKLE[1], 2]
    if np.abs(apart[low < least + 0.08]).max(initial=0) > LUNGE_APART and least < LUNGE_PELVIS:
        front = int(np.sign(np.median(apart[low < least + 0.06])) < 0)
        return event(s, "lunge", a, b, side=SIDES[front], count=dips(low, 0.1), size=least)
    hand = s.p[a:b, WRIST, 1].min(1)
    if least < REACH_PELVIS and hand.min() < HAND_LOW and tilt.max() > REACH_TILT:
        return event(s, "reach down", a, b, side=_lower_hand(s.p[a:b]), size=least, count=dips(hand, REACH_UP))
    moves = low.max() - least > SQUAT_WAY  # who stays down crouches
    if moves and least < (JUMP_PELVIS if jumped else SQUAT_PELVIS) and s.flex[a:b][at].min() > BENT:
        return event(s, "squat", a, b, size=least, count=dips(low, 0.1))
    return None


def _bows(s: Signals, crouched: list[tuple[int, int]], others: list[Event]) -> list[Event]:
    """The trunk bends forward over straight legs, and nothing else happens: a bow or, far down, a reach."""
    bent = (s.bend > BOW_BEND) & (s.pelvis > BOW_PELVIS)
    for a, b in crouched:
        bent[a:b] = False
    busy = spans_of(s, others)
    events: list[Event] = []
    for a, b in stretches_where(bent, s.frames(0.2), s.frames(0.1)):
        if coverage(a, b, busy + spans_of(s, events)) > 0.5:
            continue
        most, hand = float(s.bend[a:b].max()), s.p[a:b, WRIST, 1].min(1)
        if hand.min() < HAND_LOW and most > STRAIGHT_REACH:
            side, least = _lower_hand(s.p[a:b]), float(s.pelvis[a:b].min())
            events.append(event(s, "reach down", a, b, side=side, size=least, count=dips(hand, REACH_UP)))
        elif most > BOW_SIZE:
            events.append(event(s, "bow", a, b, size=most, count=max(1, len(minima(-s.bend[a:b], 12)))))
    return events


def _lower_hand(p: np.ndarray) -> str:
    """Which hand is lower by 0.08 m, each at its lowest in frames (T, 22, 3); "both" if neither is."""
    left, right = p[int(p[:, WRIST, 1].min(1).argmin()), WRIST, 1]
    return "both" if abs(left - right) < 0.08 else SIDES[int(right < left)]
