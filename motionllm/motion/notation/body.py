"""Rules of the notation for the whole body that `facts` lacks: flips, two-handed throws, dances, crawling, climbing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionllm.motion.facts import Event
from motionllm.motion.facts.events import Span
from motionllm.motion.notation.text import Line
from motionllm.motion.signals import (
    ANKLE,
    SIDES,
    TOE,
    WRIST,
    Signals,
    coverage,
    odd_frames,
    running_mean,
    stretches_where,
)

OVER = 115.0  # degrees of the trunk from upright: it points down
OVER_ANKLES, OVER_PELVIS = 0.35, 0.45  # m the ankles above, or share of standing the pelvis below: no deep bow
ROLL_PELVIS, ROLL_ANKLES = 0.75, 1.55  # share of standing, m: both stay below
ON_HANDS = 0.3  # m, a wrist


def flips(s: Signals) -> list[Line]:
    """The trunk points down for 0.1 s. roll: low, or the legs do not go over; cartwheel: on a hand; otherwise flip."""
    over = (s.p[:, ANKLE, 1].mean(1) > OVER_ANKLES) | (s.pelvis < OVER_PELVIS)
    lines = []
    for a, b in stretches_where((s.tilt > OVER) & over, s.frames(0.1), s.frames(0.3)):
        c, d = max(0, a - s.frames(0.5)), min(len(s.p), b + s.frames(0.5))
        flat = s.pelvis[a:b].max() < ROLL_PELVIS or s.p[c:d][:, ANKLE, 1].max() < ROLL_ANKLES
        on_hands = s.p[a:b][:, WRIST, 1].min() < ON_HANDS
        lines.append(Line(c / s.fps, d / s.fps, "roll" if flat else "cartwheel" if on_hands else "flip"))
    return lines


PUSH, PUSH_SECONDS = 0.065, 0.35  # m by which the arms stretch, mean of both, within
PUSH_FORWARD, PUSH_TILT = 0.1, 40.0  # m before the shoulders; degrees of the trunk from upright
PUSH_APART, PUSH_LEVEL = 0.55, 0.22  # m between the hands, and between their heights
PUSH_END, PUSH_REACH = 0.12, 0.36  # m over the shoulders and from them, where they are stretched
PUSH_FROM = -0.3  # m under the shoulders: the arms hang
PUSH_BEFORE, PUSH_AFTER = 1.4, 1.0  # s, within so long before and after
PUSH_RISE = 0.3  # m/s of the pelvis: 0.48 and more where a basketball is thrown, at most 0.12 where hands give signs


def pushes(s: Signals, going: list[Span]) -> list[Line]:
    """throw with both hands: above and in front of the shoulders the arms stretch together, hanging before and after,
    and the body rises with them, as in a throw at a basket.

    Not while travelling.
    """
    reach, window = s.reach.mean(1), s.frames(PUSH_SECONDS)
    least = np.array([reach[max(0, i - window) : i + 1].min() for i in range(len(reach))])
    high = s.hand[..., 1]
    ahead = (high.mean(1) > 0) & (s.hand[..., 2].mean(1) > PUSH_FORWARD) & (high > -0.1).all(1)
    lines = []
    for c, b in stretches_where((reach - least > PUSH) & ahead & (s.tilt < PUSH_TILT), 2, s.frames(0.5)):
        a, near = max(0, c - window), slice(max(0, c - s.frames(PUSH_BEFORE)), b + s.frames(PUSH_AFTER))
        out = a + int(reach[a:b].argmax())
        level = np.abs(high[a:b, 0] - high[a:b, 1]).max() < PUSH_LEVEL
        together = s.hands_apart[a:b].max() < PUSH_APART and level
        stretched = high[out].min() > PUSH_END and s.reach[out].min() > PUSH_REACH
        rises = s.rise[a:b].max() > PUSH_RISE
        if together and stretched and rises and high[near].min() < PUSH_FROM and coverage(a, b, going) < 0.3:
            lines.append(Line(a / s.fps, b / s.fps, "throw", "both hands"))
    return lines


DANCE_SECONDS, DANCE_STEPS = 4.0, (1.0, 2.4)  # at least; steps per second
DANCE_PACE, DANCE_AWAY = (0.25, 0.85), 0.4  # m/s of the pelvis; share of its way that it ends from where it began
DANCE_COURSE, DANCE_ONE_WAY = 50.0, 1.7  # degrees/s that its path turns; times as much as to one side
DANCE_TURN = 25.0  # degrees/s that the body turns
DANCE_HANDS, DANCE_HANDS_SHARE = -0.35, 0.72  # m under the shoulders: above the hips, in this share of the frames
FIGHT_PUNCH = 1.8  # m/s, a hard one
DANCE_KICKS, DANCE_KICK_RATE = 6, 0.5  # kicks of both legs, without a punch; per second


def dances(s: Signals, events: Sequence[Event]) -> list[Line]:
    """dance: steps that lead nowhere, on a winding path, the body turning, the hands up, without a fight; or repeated
    kicks of both legs.
    """
    steps, seconds = [e for e in events if e.name == "step"], len(s.p) / s.fps
    kicks, punches = [e for e in events if e.name == "kick"], [e for e in events if e.name == "punch"]
    many = len(kicks) >= max(DANCE_KICKS, DANCE_KICK_RATE * seconds)
    if many and min(sum(e.side == side for e in kicks) for side in SIDES) > 1:
        return [] if punches else [Line(kicks[0].start, kicks[-1].end, "dance")]
    fights = len(kicks) + sum(e.speed > FIGHT_PUNCH for e in punches)
    if seconds < DANCE_SECONDS or not DANCE_STEPS[0] < len(steps) / seconds < DANCE_STEPS[1]:
        return []
    if fights > max(1, seconds / 10):
        return []
    root = running_mean(s.p[:, 0][:, [0, 2]], odd_frames(0.45 * s.fps))
    drift = np.gradient(root, axis=0)
    pace = np.linalg.norm(drift, axis=1)
    gone, far = float(pace.sum()), float(np.linalg.norm(root[-1] - root[0]))
    course = np.degrees(np.diff(np.unwrap(np.arctan2(drift[:, 0], drift[:, 1]))))[pace[1:] * s.fps > 0.15]
    turned = float(np.degrees(np.abs(np.diff(s.yaw))).sum())
    about = DANCE_PACE[0] < gone / seconds < DANCE_PACE[1] and far < DANCE_AWAY * gone
    winding = np.abs(course).sum() > max(DANCE_COURSE * seconds, DANCE_ONE_WAY * abs(course.sum()))
    hands_up = (s.hand[..., 1] > DANCE_HANDS).mean() > DANCE_HANDS_SHARE
    if about and winding and turned / seconds > DANCE_TURN and hands_up:
        return [Line(steps[0].start, steps[-1].end, "dance")]
    return []


CRAWL_HANDS, CRAWL_TILT = (0.35, 0.45), 55.0  # m of the lower and of the higher wrist, degrees of the trunk
CRAWL_PELVIS, CRAWL_SECONDS, CRAWL_WAY = (0.25, 0.9), 0.8, 0.4  # share of standing, s, m


def crawls(s: Signals) -> list[Line]:
    """crawl: a hand on the floor and the other near it, the trunk bent over, the pelvis lower than standing, over some
    distance, on knees or feet.
    """
    hands = np.sort(s.p[:, WRIST, 1], axis=1)
    low = (hands < CRAWL_HANDS).all(1) & (s.tilt > CRAWL_TILT)
    low &= (s.pelvis > CRAWL_PELVIS[0]) & (s.pelvis < CRAWL_PELVIS[1])
    lines = []
    for a, b in stretches_where(low, s.frames(CRAWL_SECONDS), s.frames(0.3)):
        way = s.p[b - 1, 0] - s.p[a, 0]
        far = float(np.hypot(way[0], way[2]))
        if far > CRAWL_WAY:
            lines.append(Line(a / s.fps, b / s.fps, "crawl", "", "forward", 0.0, far * s.fps / (b - a)))
    return lines


REST_SPEED, REST_LEVEL, REST_SECONDS = 0.3, 0.05, 0.4  # m/s of a foot, m from its mean of 0.6 s
CLIMB = 0.15  # m


def climbs(s: Signals) -> list[Line]:
    """climb: the lower foot comes to rest higher, or lower, than before, stays there, and the pelvis rises, or sinks,
    with it: whoever lies down lifts the feet too. size: the difference of the feet, m.
    """
    lower = s.p[:, TOE, 1].min(1)
    resting = s.foot_speed.min(1) < REST_SPEED
    smooth = running_mean(lower, odd_frames(0.6 * s.fps))
    lines: list[Line] = []
    before, since = None, 0
    for a, b in stretches_where(resting & (np.abs(lower - smooth) < REST_LEVEL), s.frames(REST_SECONDS)):
        now = np.median(lower[a:b]), np.median(s.p[a:b, 0, 1])
        if before is not None:
            feet, pelvis = float(now[0] - before[0]), float(now[1] - before[1])
            if abs(feet) > CLIMB and pelvis * feet > 0:
                lines.append(Line(since / s.fps, a / s.fps, "climb", "", "up" if feet > 0 else "down", abs(feet)))
        before, since = now, b
    return lines
