"""Rules of `facts` for the legs: kicks, a leg held up, marching, jumping jacks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from motionllm.motion.facts.events import Event, Span, event, grouped, peak, spans_of
from motionllm.motion.signals import ANKLE, SIDES, Signals, coverage, odd_frames, running_mean, stretches_where

STANDS = 0.12  # m, of the ankle of the other foot


def leg_events(s: Signals, travel: list[Span], flights: list[Event]) -> list[Event]:
    going = np.zeros(len(s.p), bool)
    for a, b in travel:
        going[a:b] = True
    kicks, hops = _kicks(s, going), spans_of(s, flights)
    kicked = spans_of(s, kicks)
    return [*kicks, *_legs_raised(s, hops, kicked), *_marches(s, going, hops, kicked)]


KICK_AHEAD, KICK_UP = 0.38, 0.18  # m before the pelvis, and of lift
HIGH_KICK = 0.55  # m of lift: anywhere
KICK_SECONDS, KICK_KNEE = 1.0, 85.0  # shorter; degrees: a knee that is drawn up is no kick
KICK_ON_THE_WAY = 0.4  # m of lift, where the body travels
# m/s of the foot over the floor, its peak: 2.6 and more in kicks, at most 2.2 where legs dangle from a seat, are raised
# onto a box or with bent knees.
KICK_SPEED = 2.4
# A ball is kicked with a low foot, at the end of a run: m before the pelvis and of lift; share of standing; m/s of the
# ankle from the pelvis, 5.9 and more in kicks; m/s of the pelvis, at most 1.6 there and 3.6 in runs with as fast feet.
BALL_AHEAD, BALL_UP, BALL_PELVIS, BALL_SPEED, BALL_BODY = 0.5, 0.12, 0.6, 5.5, 2.5
KICK_PEAK, BALL_SECONDS = 0.15, 0.3  # s: of the mean that a kick's speed is; in which the ankle is so fast before


def _kicks(s: Signals, going: np.ndarray) -> list[Event]:
    """kick: a fast foot ahead and up, or high, the knee stretched, the other foot standing; or a lower foot that swings
    far ahead, faster than in any step. size: its lift, m; speed: the foot's peak, m/s.
    """
    events = []
    for k, side in enumerate(SIDES):
        stands, ahead, lift = s.lift[:, 1 - k] < STANDS, s.local[:, ANKLE[k], 2], s.lift[:, k]
        up = ((ahead > KICK_AHEAD) & (lift > KICK_UP)) | (lift > HIGH_KICK)
        spans = []
        for a, b in stretches_where(up & stands & (s.pelvis > 0.7), 1, s.frames(0.2)):
            in_place = lift[a:b].max() > KICK_ON_THE_WAY or going[a:b].mean() < 0.5
            short = b - a < s.frames(KICK_SECONDS)
            if short and s.flex[a:b, k].min() < KICK_KNEE and in_place and _foot_speed(s, k, a, b) > KICK_SPEED:
                spans.append((a, b))
        low = (ahead > BALL_AHEAD) & (lift > BALL_UP) & (s.pelvis > BALL_PELVIS) & (s.root_speed < BALL_BODY)
        for a, b in stretches_where(low & stands, 1, s.frames(0.2)):
            if not coverage(a, b, spans) and _swing(s, k, max(0, a - s.frames(BALL_SECONDS)), b + 2) > BALL_SPEED:
                spans.append((a, b))
        for a, b in spans:
            size, speed = float(lift[a:b].max()), _foot_speed(s, k, a, b)
            events.append(event(s, "kick", a, b, side=side, size=size, speed=speed))
    return events


def _foot_speed(s: Signals, k: int, a: int, b: int) -> float:
    """Peak speed of a foot over the floor and up or down, m/s, about the frames [a, b)."""
    pace = np.hypot(s.foot_speed[:, k], np.abs(np.gradient(s.lift[:, k])) * s.fps)
    return peak(s, running_mean(pace, odd_frames(KICK_PEAK * s.fps)), a, b)


def _swing(s: Signals, k: int, a: int, b: int) -> float:
    """Highest speed of an ankle about the pelvis, m/s, in the frames [a, b)."""
    return float(np.linalg.norm(np.gradient(s.p[:, ANKLE[k]] - s.p[:, 0], axis=0), axis=1)[a:b].max()) * s.fps


LEG_UP, LEG_UP_SECONDS = 0.1, 0.9  # m of lift


def _legs_raised(s: Signals, hops: list[Span], kicks: list[Span]) -> list[Event]:
    """leg raised: a foot is held up, without hop or kick; side: the STANDING leg; size: lift, m."""
    events = []
    for k in (0, 1):
        for a, b in stretches_where((s.lift[:, k] > LEG_UP) & (s.pelvis > 0.8), s.frames(LEG_UP_SECONDS), 2):
            if coverage(a, b, hops) == 0 and coverage(a, b, kicks) == 0 and s.lift[a:b, 1 - k].max() < STANDS:
                events.append(event(s, "leg raised", a, b, side=SIDES[1 - k], size=float(s.lift[a:b, k].max())))
    return events


MARCH_UP, MARCH_MEDIAN = 0.09, 0.13  # m of lift, of each and of most
MARCH_SECONDS, MARCH_GAP, MARCH_TIMES = 1.0, 1.3, 3  # a foot is up for less; from one to the next; at least


def _marches(s: Signals, going: np.ndarray, hops: list[Span], kicks: list[Span]) -> list[Event]:
    """march: the feet are lifted alternately, in place; count: lifts."""
    lifts = []
    for k in (0, 1):
        for a, b in stretches_where((s.lift[:, k] > MARCH_UP) & ~going, s.frames(0.1), 2):
            if b - a < s.frames(MARCH_SECONDS) and coverage(a, b, hops) == 0 and coverage(a, b, kicks) == 0:
                lifts.append(((a + b) // 2, k, float(s.lift[a:b, k].max())))
    rows: list[list[tuple[int, int, float]]] = []
    for lift in sorted(lifts):
        at, k, _ = rows[-1][-1] if rows else (0, -1, 0.0)
        if rows and k != lift[1] and lift[0] - at <= s.frames(MARCH_GAP):
            rows[-1].append(lift)
        else:
            rows.append([lift])
    rows = [row for row in rows if len(row) >= MARCH_TIMES and np.median([h for _, _, h in row]) > MARCH_MEDIAN]
    return [event(s, "march", row[0][0], row[-1][0], count=len(row)) for row in rows]


JACK_HANDS, JACK_FEET = 0.1, 0.3  # m over the shoulders, and between the ankles
JACK_WIDE = 0.42  # m between the ankles at their widest: 0.49 and more in jumping jacks, 0.36 where a ball is thrown
JACK_GAP = 2.5  # s from one to the next
JACK_PARTS = ("jump", "raise", "wave", "arms out", "throw", "march", "clap", "squat")


def jumping_jacks(s: Signals, events: list[Event]) -> list[Event]:
    """The events with jumping jacks replacing the jumps, raises and others that they consist of.

    jumping jack: both hands over the shoulders while the feet are apart, once far, with a jump into it, at least twice;
    count: how often. Of three in a row it is enough that feet and hands close in between, as leaps that are played
    faster or slower than they were are none.
    """
    wide = np.abs(s.local[:, ANKLE[0], 0] - s.local[:, ANKLE[1], 0])
    apart = wide > JACK_FEET
    high = s.hand[..., 1].min(1) > JACK_HANDS
    jumps = [e for e in events if e.name == "jump" and not e.side]  # of both feet
    places = stretches_where(high & apart, 1, s.frames(0.15))
    closed = ~apart & ~(s.hand[..., 1].max(1) > JACK_HANDS)
    follows = [
        other[0] - one[0] < s.frames(JACK_GAP) and bool(closed[one[1] : other[0]].any())
        for one, other in pairwise(places)
    ]
    in_a_row = {
        place for k in range(1, len(follows)) if follows[k - 1] and follows[k] for place in places[k - 1 : k + 2]
    }
    opened = [
        (a + b) // 2
        for a, b in places
        if (a, b) in in_a_row or any(e.start < b / s.fps + 0.1 and e.end > a / s.fps - 0.7 for e in jumps)
    ]
    result = list(events)
    for group in grouped(opened, s.frames(JACK_GAP)):
        if len(group) < 2 or wide[group[0] : group[-1] + 1].max() < JACK_WIDE:
            continue
        a, b = group[0] - s.frames(0.6), group[-1] + s.frames(0.7)
        first, last = a - 0.25 * s.fps, b + 0.5 * s.fps
        result = [e for e in result if not (e.name in JACK_PARTS and e.start * s.fps > first and e.end * s.fps < last)]
        result.append(event(s, "jumping jack", max(0, a), min(len(s.p), b), count=len(group)))
    return result
