"""Movements of arms and trunk that no event describes: circles, strokes, swings, holds, leans and twists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionllm.motion.facts import Event
from motionllm.motion.facts.events import Span, spans_of
from motionllm.motion.notation.events import ARM_VERBS, NAMES
from motionllm.motion.notation.text import Line
from motionllm.motion.notation.verbs import AXES
from motionllm.motion.signals import (
    SHOULDER,
    SIDES,
    Signals,
    coverage,
    minima,
    odd_frames,
    running_mean,
    stretches_where,
)

MOVES = 0.5  # m/s of a hand relative to its shoulder, from which it moves


def hand_pace(s: Signals, k: int) -> np.ndarray:
    """(T,) m/s of a hand relative to its shoulder: means of positions over 0.2 s, of speeds over 0.3 s."""
    hand = running_mean(s.hand[:, k], odd_frames(0.2 * s.fps))
    return running_mean(np.linalg.norm(np.gradient(hand, axis=0), axis=1) * s.fps, odd_frames(0.3 * s.fps))


ROUND, ROUND_RATE = 270.0, 120.0  # degrees, degrees/s
ROUND_BEFORE, ROUND_BEHIND, ROUND_LEVEL = 0.2, -0.1, 0.15  # m, within this of the shoulder's height


def circles(s: Signals) -> list[Line]:
    """circle: an arm goes around its shoulder, seen from the side, in front and behind. count: whole rounds."""
    lines = []
    for k, side in enumerate(SIDES):
        for a, b in stretches_where(hand_pace(s, k) > MOVES, s.frames(0.3), s.frames(0.4)):
            wound = _winding(s.hand[a:b, k])
            level = s.hand[a:b, k, 2][np.abs(s.hand[a:b, k, 1]) < ROUND_LEVEL]
            fast = abs(wound) * s.fps > ROUND_RATE * (b - a)
            through = level.max(initial=0) > ROUND_BEFORE and level.min(initial=0) < ROUND_BEHIND
            if abs(wound) > ROUND and fast and through:
                way, count = "backward" if wound > 0 else "forward", max(1, round(abs(wound) / 360))
                lines.append(Line(a / s.fps, b / s.fps, "circle", f"{side} arm", way, count=count))
    return lines


def _winding(hand: np.ndarray) -> float:
    """Degrees that a hand (T, 3: outward, up, forward) goes around its shoulder, + where it rises in front."""
    angle = np.degrees(np.unwrap(np.arctan2(hand[:, 1], hand[:, 2])))
    return float(angle[-1] - angle[0])


def limbs(s: Signals, events: Sequence[Event], circles: Sequence[Line]) -> list[Line]:
    """Lines for arms and trunk while no event and no circle describes them."""
    going = spans_of(s, events, "walk", "run", "crouch walk", "jump")
    lines: list[Line] = []
    for k, side in enumerate(SIDES):
        own = [e for e in events if NAMES.get(e.name) in ARM_VERBS and e.side in (side, "both", "")]
        described = spans_of(s, own, before=0.3, after=0.3)
        described += [(int(x.start * s.fps), int(x.end * s.fps)) for x in circles if x.part.startswith(side)]
        lines += [*_strokes(s, k, described, going), *_holds(s, k, described)]
    return [*lines, *_leans(s, events), *_twists(s)]


WIDE = 0.3  # m that a stroke goes along its longest axis
SWING, SWING_SHARE = 0.12, 0.4  # m, and share of that way: to and fro
RISE, RISE_OVER = 0.25, 0.03  # m up or down; and where it ends over the shoulder, a reach up
UP_AND_DOWN_SECONDS = 2.0  # a hand that is up and down again within is raised
LONGER = 0.15  # m further from the shoulder
DOWN = 0.3  # share of standing, of the pelvis: hands go over the shoulders of who lies down, for no raise
ARM_LOW = -0.2  # m over the shoulder: what stays below while travelling is the swing of walking


def _strokes(s: Signals, k: int, described: list[Span], going: list[Span]) -> list[Line]:
    """Stretches in which a hand moves relative to its shoulder.

    One that goes to and fro at least twice along its longest axis swings (count: how often); otherwise the hand is
    raised or lowered ("reach up" where it ends over the shoulder), stretched or bent. No arm is raised on the floor.
    """
    hand, pace, side = running_mean(s.hand[:, k], odd_frames(0.2 * s.fps)), hand_pace(s, k), SIDES[k]
    part, axes = f"{side} arm", (AXES[1], AXES[0], AXES[2])
    lines: list[Line] = []
    for a, b in stretches_where(pace > MOVES, s.frames(0.3), s.frames(0.4)):
        if coverage(a, b, described) > 0.4:
            continue
        piece, reach = hand[a:b], s.reach[a:b, k]
        axis = int(np.ptp(piece, axis=0).argmax())
        wide = float(np.ptp(piece[:, axis]))
        if wide < WIDE or (coverage(a, b, going) > 0.5 and np.percentile(piece[:, 1], 90) < ARM_LOW):
            continue
        count = len(minima(piece[:, axis], max(SWING, SWING_SHARE * wide)))
        rise, longer = float(piece[-1, 1] - piece[0, 1]), float(reach[-1] - reach[0])
        there_and_back = b - a < s.frames(UP_AND_DOWN_SECONDS) and axis == 1
        there_and_back &= float(piece[:, 1].max()) - max(piece[0, 1], piece[-1, 1]) > RISE
        span = (a / s.fps, b / s.fps)
        if count >= 2:
            lines.append(Line(*span, "swing", part, axes[axis], 0.0, 0.0, count))
        elif s.pelvis[b - 1] < DOWN and (rise > RISE or (there_and_back and rise >= -RISE)):
            continue
        elif rise > RISE and piece[-1, 1] > RISE_OVER:
            lines.append(Line(*span, "reach up", f"{side} hand"))
        elif abs(rise) > RISE or there_and_back:
            lines.append(Line(*span, "lower" if rise < -RISE else "raise", part))
        elif longer > LONGER:
            lines.append(Line(*span, "stretch", part, "out" if piece[-1, 0] > piece[-1, 2] else "forward"))
        elif longer < -LONGER:
            lines.append(Line(*span, "bend", part))
        else:
            lines.append(Line(*span, "swing", part, axes[axis]))
    return lines


HELD_PACE, HELD_UP, HELD_REACH, HELD_SECONDS = 0.35, -0.25, 0.3, 1.5  # m/s; m over the shoulder (the belly), from it
HELD_HIGH = 0.15  # m over the shoulder: held up


def _holds(s: Signals, k: int, described: list[Span]) -> list[Line]:
    """Stretches in which a hand is held still above the belly."""
    hand = running_mean(s.hand[:, k], odd_frames(0.2 * s.fps))
    still = (hand_pace(s, k) < HELD_PACE) & (hand[:, 1] > HELD_UP) & (s.reach[:, k] > HELD_REACH)
    lines = []
    for a, b in stretches_where(still, s.frames(HELD_SECONDS), s.frames(0.3)):
        if coverage(a, b, described) < 0.4:
            out, up, forward = np.median(hand[a:b], axis=0)
            way = "up" if up > HELD_HIGH else "out" if out > forward else "forward"
            lines.append(Line(a / s.fps, b / s.fps, "hold", f"{SIDES[k]} arm", way))
    return lines


LEAN, LEAN_SECONDS = 20.0, 0.4  # degrees from upright
TWIST = 60.0  # degrees of the shoulders over the feet, to and fro
TWIST_FEET, TWIST_TILT = 0.3, 50.0  # m/s, degrees of the trunk from upright: below


def _leans(s: Signals, events: Sequence[Event]) -> list[Line]:
    """lean: the trunk tilts backward, left or right, while the body is not down and nothing is thrown."""
    busy = spans_of(s, events, "lie", "reach down", "sit", "throw")
    trunk = s.local[:, 12] - s.local[:, 0]
    side = np.degrees(np.arctan2(trunk[:, 0], np.maximum(trunk[:, 1], 0.1)))
    back = -np.degrees(np.arctan2(trunk[:, 2], np.maximum(trunk[:, 1], 0.1)))
    lines = []
    for way, angle in (("left", side), ("right", -side), ("backward", back)):
        for a, b in stretches_where((angle > LEAN) & (s.tilt < 80), s.frames(LEAN_SECONDS), s.frames(0.3)):
            if coverage(a, b, busy) < 0.3:
                lines.append(Line(a / s.fps, b / s.fps, "lean", "", way, float(angle[a:b].max())))
    return lines


def _twists(s: Signals) -> list[Line]:
    """twist: over feet that stay, the shoulders turn to and fro; count: how often to the side turned to most."""
    shoulders = s.p[:, SHOULDER[0]] - s.p[:, SHOULDER[1]]
    over = np.degrees(np.arctan2(-shoulders[:, 2], shoulders[:, 0]) - s.feet_yaw)
    over = running_mean((over + 180) % 360 - 180, odd_frames(0.2 * s.fps))
    stays = (running_mean(s.foot_speed.max(1), odd_frames(0.2 * s.fps)) < TWIST_FEET) & (s.tilt < TWIST_TILT)
    lines = []
    for a, b in stretches_where(stays, s.frames(1.0), s.frames(0.3)):
        sides = minima(over[a:b], TWIST), minima(-over[a:b], TWIST)
        if all(sides):
            turned = sorted({*sides[0], *sides[1]})
            count = max(map(len, sides))
            lines.append(Line((a + turned[0]) / s.fps, (a + turned[-1]) / s.fps, "twist", count=count))
    return lines
