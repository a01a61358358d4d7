"""Rules of `facts` for arms and head: positions of the hands relative to their shoulders (outward, up, forward), and
looks.
"""

from __future__ import annotations

import numpy as np

from motionllm.motion.facts.events import Event, Span, event, grouped, peak
from motionllm.motion.signals import (
    ELBOW,
    HEAD,
    SHOULDER,
    SIDES,
    WRIST,
    Signals,
    coverage,
    minima,
    odd_frames,
    running_mean,
    stretches_where,
)


def arm_events(s: Signals) -> list[Event]:
    """The events of the hands. A hand that throws is not raised at the same time, and one that is raised or throws does
    not punch.
    """
    thrown, throwing = _throws(s)
    raised, raising = _raises(s, throwing)
    waved, waving = _low_waves(s, [raising[k] + throwing[k] for k in (0, 1)])
    punched = _punches(s, [raising[k] + waving[k] + throwing[k] for k in (0, 1)])
    held = [*_arms_out(s), *_hands_on_hips(s), *_hands_at_mouth(s)]
    return [*_hands_up(s), *thrown, *raised, *waved, *punched, *held, *_claps(s)]


HANGING, HAND_UP, HAND_UP_SECONDS = -0.35, -0.15, 0.4  # m over the shoulder (both), s


def _hands_up(s: Signals) -> list[Event]:
    """hand up: near the shoulder's height or higher, in a clip in which the hand also hangs, whatever else it does.

    size: height, m.
    """
    up, events = s.hand[..., 1], []
    for k, side in enumerate(SIDES):
        if up[:, k].min() < HANGING:
            for a, b in stretches_where(up[:, k] > HAND_UP, s.frames(HAND_UP_SECONDS), s.frames(0.2)):
                events.append(event(s, "hand up", a, b, side=side, size=float(up[a:b, k].max())))
    return events


COCKED_UP, COCKED_FORWARD = -0.02, 0.08  # m: above the shoulder and not before it
THROW_SPEED = 1.8  # m/s forward
THROW_WAY, THROW_SECONDS = 0.42, 0.5  # m further forward, within so long of being behind
THROW_END = -0.35  # m over the shoulder, where the hand is then at least


def _throws(s: Signals) -> tuple[list[Event], list[list[Span]]]:
    """throw: a hand moves fast from above and behind to the front, the first time in a clip; and frames, by hand."""
    events: list[Event] = []
    spans: list[list[Span]] = [[], []]
    for k, side in enumerate(SIDES):
        up, forward = s.hand[:, k, 1], s.hand[:, k, 2]
        cocked = (up > COCKED_UP) & (forward < COCKED_FORWARD)
        speed = np.gradient(forward) * s.fps
        for a, b in stretches_where(speed > THROW_SPEED, 1, s.frames(0.1)):
            before, end = slice(max(0, a - s.frames(THROW_SECONDS)), a + 1), min(len(s.p) - 1, b)
            gain = forward[end] - forward[before].min()
            if cocked[before].any() and gain > THROW_WAY and up[end] > THROW_END:
                c = np.flatnonzero(cocked[before])[0] + before.start
                spans[k].append((c, min(len(s.p), b + s.frames(0.4))))
                events.append(event(s, "throw", c, b, side=side, speed=float(speed[a:b].max())))
                break
    return events, spans


LYING = 0.3  # share of standing, of the pelvis
RAISED, OVER = 0.1, 0.2  # m over the shoulder: that a hand waves there, and that it is raised
WAVED = 0.15  # m over the shoulder, at least once
DIPPED, DIPPED_TIMES = -0.1, 3  # m over the shoulder: a wave so wide that it dips below RAISED goes on
RAISE_SECONDS = 0.25
WAVE_WIDTH = 0.08  # m inward and out again
WAVE_RATE = 0.5  # per second
WAVE_TILT = 45.0  # degrees of the trunk from upright: on the way to the floor a hand is up for other reasons


def _swings(s: Signals, k: int, a: int, b: int, width: float = WAVE_WIDTH) -> tuple[int, int]:
    """How often a raised hand moves inward and out again, and outward and in again."""
    x = s.hand[a:b, k, 0] - 0.5 * s.elbow[a:b, k, 0]
    return len(minima(x, width)), len(minima(-x, width))


def _raises(s: Signals, throwing: list[list[Span]]) -> tuple[list[Event], list[list[Span]]]:
    """Raises and waves of a hand above its shoulder, and their frames, by hand.

    wave: the hand moves in and out at least twice, and at least once in 2 s; count: number of inward moves. raise: any
    other; size: height, m.
    """
    events: list[Event] = []
    spans: list[list[Span]] = [[], []]
    for k, side in enumerate(SIDES):
        up = s.hand[:, k, 1]
        raised = stretches_where(up > RAISED, s.frames(RAISE_SECONDS), s.frames(0.15))
        for c, d in stretches_where(up > DIPPED):  # several stretches may be one wave
            inside = [(a, b) for a, b in raised if c <= a and b <= d]
            if len(inside) < 2:
                continue
            whole = inside[0][0], inside[-1][1]
            if _waves(s, k, *whole, DIPPED_TIMES) and _upright(s, *whole):
                raised = sorted({*raised} - {*inside} | {whole})
        for a, b in raised:
            if coverage(a, b, throwing[k]) > 0.3:
                continue
            if _waves(s, k, a, b):
                events.append(event(s, "wave", a, b, side=side, count=_swings(s, k, a, b)[0]))
                spans[k].append((a, b))
                continue
            high = float(up[a:b].max())
            for c, d in stretches_where(up[a:b] > OVER, s.frames(RAISE_SECONDS), s.frames(0.15)):
                if float(s.pelvis[a + c : a + d].max()) < LYING:  # beside a head on the floor no hand is raised
                    continue
                events.append(event(s, "raise", a + c, a + d, side=side, size=high))
                spans[k].append((a, b))
    return events, spans


def _waves(s: Signals, k: int, a: int, b: int, times: int = 2) -> bool:
    """Whether a hand above its shoulder waves throughout, at least `times` times."""
    often = max(_swings(s, k, a, b))
    return often >= times and often > WAVE_RATE * (b - a) / s.fps and s.hand[a:b, k, 1].max() > WAVED


def _upright(s: Signals, a: int, b: int) -> bool:
    return bool(s.tilt[a:b].max() < WAVE_TILT)


LOW_WAVE, LOW_WAVE_SECONDS = -0.25, 0.6  # m over the shoulder
POINTING_UP = 0.12  # m, the hand over its elbow
LOW_WAVE_RATE = 0.7  # per second
SLOW_WAVE, SLOW_WAVE_TIMES, SLOW_WAVE_RATE = 0.12, 3, 0.4  # m, each way, per second: slow, but wide


def _low_waves(s: Signals, busy: list[list[Span]]) -> tuple[list[Event], list[list[Span]]]:
    """wave of a lower hand that points up: twice each way and often, four times each way, or slowly three times with
    wide swings; and the frames, by hand.
    """
    events: list[Event] = []
    spans: list[list[Span]] = [[], []]
    for k, side in enumerate(SIDES):
        up = s.hand[:, k, 1]
        pointing = (up - s.elbow[:, k, 1] > POINTING_UP) & (up > LOW_WAVE)
        for a, b in stretches_where(pointing, s.frames(LOW_WAVE_SECONDS), s.frames(0.4)):
            if coverage(a, b, busy[k]) > 0:
                continue
            inward, outward = _swings(s, k, a, b)
            seconds, wide = (b - a) / s.fps, min(_swings(s, k, a, b, SLOW_WAVE))
            slow = wide >= SLOW_WAVE_TIMES and wide > SLOW_WAVE_RATE * seconds and _upright(s, a, b)
            if slow or min(inward, outward) >= (2 if max(inward, outward) > LOW_WAVE_RATE * seconds else 4):
                events.append(event(s, "wave", a, b, side=side, count=inward))
                spans[k].append((a, b))
    return events, spans


PUNCH_FORWARD, PUNCH_LEVEL = 0.41, 0.2  # m before the shoulder, and within this of its height
BENT_BEFORE, BENT_AFTER = 0.38, 0.4  # m from the shoulder
PUNCH_SECONDS, PUNCH_LONGEST = 0.6, 0.55  # from and to the bent arm; stretched
# Percent of its length that the arm is stretched to, and how much more than the other: 91 to 99 against 54 to 70 in
# punches, where both hands grab, swim or dance 84 to 99 of both. A fast fist need not come out as
# far: 2.1 to 3.3 m/s in boxing, at most 1.9 elsewhere.
PUNCH_STRAIGHT, PUNCH_OTHER, PUNCH_FAST = 90.0, 20.0, 2.0


def _punches(s: Signals, busy: list[list[Span]]) -> list[Event]:
    """punch: from a bent arm to the front at the shoulder's height, and back, the other arm bent; size: reach, m;
    speed: the hand's peak about the pelvis, m/s.
    """
    events = []
    pace = running_mean(s.hand_speed, odd_frames(0.25 * s.fps))
    for k, side in enumerate(SIDES):
        forward, reach = s.hand[:, k, 2], s.reach[:, k]
        out = (forward > PUNCH_FORWARD) & (np.abs(s.hand[:, k, 1]) < PUNCH_LEVEL)
        for a, b in stretches_where(out, 1, 2):
            before = reach[max(0, a - s.frames(PUNCH_SECONDS)) : a + 1].min()
            after = reach[b - 1 : b + s.frames(PUNCH_SECONDS)].min()
            short = b - a < s.frames(PUNCH_LONGEST)
            if not (short and before < BENT_BEFORE and after < BENT_AFTER and coverage(a, b, busy[k]) == 0):
                continue
            straight, speed = _straight(s, a + int(reach[a:b].argmax())), peak(s, pace[:, k], a, b)
            alone = straight[k] - straight[1 - k] > PUNCH_OTHER
            if alone and (straight[k] > PUNCH_STRAIGHT or speed > PUNCH_FAST):
                events.append(event(s, "punch", a, b, side=side, size=float(forward[a:b].max()), speed=speed))
    return events


def _straight(s: Signals, at: int) -> np.ndarray:
    """(2,) how far each hand is from its shoulder in a frame, in percent of the arm's length."""
    upper, lower = s.p[:, ELBOW] - s.p[:, SHOULDER], s.p[:, WRIST] - s.p[:, ELBOW]
    arm = np.median(np.linalg.norm(upper, axis=2) + np.linalg.norm(lower, axis=2), axis=0)
    return np.asarray(100 * s.reach[at] / np.maximum(arm, 1e-9))


OUTWARD, OUTWARD_LEVEL = 0.4, 0.26  # m
ONE_SECONDS = 0.8  # s, of one hand alone, which is on its way to elsewhere more often than both


def _arms_out(s: Signals) -> list[Event]:
    """arms out: a hand, or both, far outward at the shoulder's height."""
    out = (s.hand[..., 0] > OUTWARD) & (np.abs(s.hand[..., 1]) < OUTWARD_LEVEL)
    both = stretches_where(out.all(1), s.frames(0.3), 2)
    events = [event(s, "arms out", a, b, side="both") for a, b in both]
    for k, side in enumerate(SIDES):
        one = stretches_where(out[:, k], s.frames(ONE_SECONDS), 2)
        events += [event(s, "arms out", a, b, side=side) for a, b in one if coverage(a, b, both) == 0]
    return events


HIP_NEAR, HIP_ELBOW, HIP_REACH, HIP_FORWARD, HIP_UP = 0.4, 0.1, 0.46, 0.22, -0.22  # m


def _hands_on_hips(s: Signals) -> list[Event]:
    """hands on hips: both hands near the pelvis, low and not far ahead, the elbows outward, the arms bent."""
    near = np.linalg.norm(s.p[:, WRIST] - s.p[:, :1], axis=2) < HIP_NEAR
    bent = (s.elbow[..., 0] > HIP_ELBOW) & (s.reach < HIP_REACH)
    akimbo = near & bent & (s.hand[..., 2] < HIP_FORWARD) & (s.hand[..., 1] < HIP_UP)
    stretches = stretches_where(akimbo.all(1), s.frames(0.35), s.frames(0.15))
    return [event(s, "hands on hips", a, b, side="both") for a, b in stretches]


MOUTH_NEAR, MOUTH_OVER, MOUTH_OUT = 0.25, 0.12, 0.05  # m from the head, over it, outward of the shoulder


def _hands_at_mouth(s: Signals) -> list[Event]:
    """hand at mouth: near the head, not over it."""
    head, events = np.linalg.norm(s.p[:, WRIST] - s.p[:, None, HEAD], axis=2), []
    for k, side in enumerate(SIDES):
        not_over = s.p[:, WRIST[k], 1] < s.p[:, HEAD, 1] + MOUTH_OVER
        mouth = (head[:, k] < MOUTH_NEAR) & not_over & (s.hand[:, k, 0] < MOUTH_OUT)
        for a, b in stretches_where(mouth, s.frames(0.3), s.frames(0.15)):
            events.append(event(s, "hand at mouth", a, b, side=side))
    return events


CLAP_APART, CLAP_WIDTH, CLAP_SECONDS = 0.2, 0.06, 0.9  # m that they meet within, from further apart; to the next
CLAP_FORWARD, CLAP_UP = 0.1, -0.45  # m: before the chest
# m/s at which the hands close at their fastest, 0.6 and more in claps, 0.3 where a bottle is opened; and m that a hand
# goes up and down meanwhile, at most 0.08 in claps, 0.15 and more in dances and the signs of a referee.
CLAP_SPEED, CLAP_LEVEL = 0.5, 0.12


def _claps(s: Signals) -> list[Event]:
    """clap: the wrists come together fast in front of the chest, at one height, at least twice; count: how often."""
    apart = s.hands_apart
    front = (s.hand[..., 2] > CLAP_FORWARD).all(1) & (s.hand[..., 1] > CLAP_UP).all(1)
    meets = [i for i in minima(apart, CLAP_WIDTH) if apart[i] < CLAP_APART and front[i]]
    closing, events = -np.gradient(apart) * s.fps, []
    for g in grouped(meets, s.frames(CLAP_SECONDS)):
        a, b = g[0], g[-1] + 1
        level = np.ptp(s.hand[a:b, :, 1], axis=0).max() < CLAP_LEVEL
        if len(g) >= 2 and level and closing[a:b].max() > CLAP_SPEED:
            events.append(event(s, "clap", a, b, side="both", count=len(g)))
    return events


LOOK_HEAD, LOOK_SHOULDERS, LOOK_SECONDS = 35.0, 12.0, 0.35  # degrees from the hips, means of 0.3 s


def looks(s: Signals, busy: list[Span]) -> list[Event]:
    """look: head and shoulders turned the same way relative to the hips, if not busy. size: degrees, + to the left."""
    look, twist = running_mean(s.look, odd_frames(0.3 * s.fps)), running_mean(s.twist, odd_frames(0.3 * s.fps))
    events = []
    for sign in (1, -1):
        aside = (sign * look > LOOK_HEAD) & (sign * twist > LOOK_SHOULDERS)
        for a, b in stretches_where(aside, s.frames(LOOK_SECONDS), s.frames(0.2)):
            if coverage(a, b, busy) < 0.5:
                size = float(look[a:b].mean())
                events.append(event(s, "look", a, b, direction="left" if sign > 0 else "right", size=size))
    return events
