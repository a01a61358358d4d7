"""The exercises counted by a quantity of the body that goes to and fro: which one, and what a repetition asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from motionllm.motion.posture import seats
from motionllm.motion.signals import ANKLE, ELBOW, KNEE, SHOULDER, WRIST, Signals

MARCH, PUNCH = "march or jog in place", "punch"
LUNGE = 0.4  # m between the feet, forward: in a squat they stand side by side
KNEE_LIFT = 0.1  # m of the ankle over where it stands
PUNCH_OUT, PUNCH_OTHER = 20.0, 8.0  # % of the arm, in half a second and than the other arm
PUNCH_LOW, PUNCH_HIGH, PUNCH_SPEED = -0.35, 0.3, 1.8  # m of the hand over its shoulder, m/s on the way


Condition = Callable[[int, int], bool]


@dataclass(frozen=True)
class Kind:
    """An exercise: what goes to and fro.

    quantity: (T,) or, of the left and the right, (T, 2) values. least: of a peak over its valleys, in `unit`. peak:
    what the quantity reaches at least. what: the quantity in words. definition: of one repetition. also: of a clip, a
    further condition at the frame of a peak, given the side's column. share: of the quantity's range in the clip, that
    a peak stands out by at least. Of a set that nobody asked for, at least: slowest: repetitions per minute; filled:
    share of its time that the repetitions take; alike: share of the widest repetition that the narrowest one reaches.
    """

    quantity: Callable[[Signals], np.ndarray]
    unit: str
    least: float
    peak: float
    what: str
    definition: str
    also: Callable[[Signals], Condition] = lambda s: lambda t, k: True
    share: float = 0.25
    slowest: float = 0.0
    filled: float = 0.0
    alike: float = 0.0


def _thighs(s: Signals) -> np.ndarray:
    thigh = s.local[:, KNEE] - s.local[:, (1, 2)]
    return np.degrees(np.arctan2(thigh[..., 2], -thigh[..., 1]))


def _side_lean(s: Signals) -> np.ndarray:
    trunk = s.local[:, 12] - s.local[:, 0]
    lean = np.degrees(np.arctan2(trunk[:, 0], np.maximum(trunk[:, 1], 0.1)))
    return np.stack([lean, -lean], 1)


def _shoulders(s: Signals) -> np.ndarray:
    """Heading of the shoulders from its median, degrees, + to the left; as (left, right)."""
    line = s.p[:, 16] - s.p[:, 17]
    heading = np.degrees(np.unwrap(np.arctan2(-line[:, 2], line[:, 0])))
    # What a body that turns on the spot does is no twist: the feet's own heading is taken away.
    feet = s.p[:, (7, 10)] - s.p[:, (8, 11)]
    stance = np.degrees(np.unwrap(np.arctan2(-feet[..., 2].sum(1), feet[..., 0].sum(1))))
    twist = heading - stance
    twist -= np.median(twist)
    return np.stack([twist, -twist], 1)


def _hands(s: Signals) -> np.ndarray:
    """The lower hand's height over its shoulder, cm of the scaled body."""
    return np.asarray(100 * s.hand[..., 1].min(1))


def _lunges(s: Signals, t: int) -> bool:
    """Whether one foot is far in front of the other."""
    left, right = s.local[t, ANKLE, 2]
    return bool(abs(left - right) > LUNGE)


def _squats(s: Signals) -> Condition:
    """Over two bent knees, the trunk not far forward, and neither in a lunge nor on a seat."""
    rests = seats(s)

    def squats(t: int, k: int) -> bool:
        over_knees = s.flex[t].min() > 50 and s.bend[t] < 80
        return bool(over_knees) and not (_lunges(s, t) or any(a <= t < b for a, b in rests))

    return squats


def _one_knee(s: Signals) -> Condition:
    """Whether one thigh alone is up, its knee bent and its foot off the floor."""
    thighs = _thighs(s)
    return lambda t, k: bool(thighs[t, 1 - k] < 45 and s.flex[t, k] > 60 and s.lift[t, k] > KNEE_LIFT)


def _over_standing_feet(s: Signals) -> Condition:
    """Whether both feet stay where they are."""
    ways = (*s.feet.reshape(-1, 4).T, *(2 * s.lift.T))
    return lambda t, k: all(_varies(x, s, t, 0.5) < 0.3 for x in ways)


def _with_the_feet(s: Signals) -> Condition:
    """Whether the feet go apart or together."""
    apart = np.linalg.norm(s.feet[:, 0] - s.feet[:, 1], axis=1)
    return lambda t, k: _varies(apart, s, t, 1.0) > 0.2


def _arms(s: Signals) -> np.ndarray:
    """(T, 2) how straight each arm is: the hand's distance from its shoulder in percent of the arm's length."""
    upper = np.linalg.norm(s.p[:, ELBOW] - s.p[:, SHOULDER], axis=-1)
    lower = np.linalg.norm(s.p[:, WRIST] - s.p[:, ELBOW], axis=-1)
    return np.asarray(100 * s.reach / np.median(upper + lower, axis=0))


def _punches(s: Signals) -> Condition:
    """Whether a hand just went out fast to about the height of its shoulder, straightening that arm alone."""
    arms = _arms(s)

    def punches(t: int, k: int) -> bool:
        lately = slice(max(0, t - s.frames(0.5)), t + 1)
        level = PUNCH_LOW < s.hand[t, k, 1] < PUNCH_HIGH
        fast = s.hand_speed[lately, k].max() > PUNCH_SPEED and arms[t, k] - arms[lately, k].min() > PUNCH_OUT
        return bool(level and fast and arms[t, k] - arms[t, 1 - k] > PUNCH_OTHER)

    return punches


def _varies(values: np.ndarray, s: Signals, t: int, seconds: float) -> float:
    """Range of values within `seconds` of a frame."""
    r = s.frames(seconds)
    return float(np.ptp(values[max(0, t - r) : t + r + 1]))


KINDS: dict[str, Kind] = {
    "squat": Kind(
        lambda s: 100 * (1 - s.pelvis),
        "% of the standing height",
        15,
        20,
        "how far the pelvis goes down",
        "the pelvis goes down over two bent knees and up again",
        _squats,
    ),
    "jumping jack": Kind(
        _hands,
        "cm",
        40,
        0,
        "how far the lower hand goes, up and down",
        "both arms go up over the sides and down again, while the feet go apart and together",
        _with_the_feet,
        slowest=30.0,
    ),
    "toe touch": Kind(
        lambda s: s.bend,
        "°",
        30,
        60,
        "how far the trunk bends forward",
        "the trunk bends forward over the hips and comes up again",
        lambda s: lambda t, k: bool(s.pelvis[t] > 0.7),
        alike=0.3,
    ),
    "knee raise": Kind(
        _thighs,
        "°",
        45,
        75,
        "how far the thigh goes up from the vertical",
        "one thigh goes up in front with a bent knee and down again, while the other leg stands",
        _one_knee,
        slowest=20.0,
    ),
    MARCH: Kind(
        lambda s: 100 * s.lift,
        "cm",
        4,
        5,
        "how high the ankle goes",
        "one foot leaves the floor and comes back, the other one does not at the same time",
        lambda s: lambda t, k: bool(s.lift[t, 1 - k] < 0.6 * s.lift[t, k]),
    ),
    PUNCH: Kind(
        _arms,
        "% of the arm",
        15,
        85,
        "how far the arm straightens",
        "a bent arm straightens quickly at about the height of the shoulder, and bends again, the other arm stays bent",
        _punches,
    ),
    "side bend": Kind(
        _side_lean,
        "°",
        15,
        22,
        "how far the trunk leans to the side",
        "the trunk leans to one side and back, or over to the other one",
        lambda s: lambda t, k: bool(abs(s.bend[t]) < 60),
        share=0.2,  # the range is that of both sides
        slowest=20.0,
    ),
    "twist": Kind(
        _shoulders,
        "°",
        30,
        25,
        "how far the shoulders turn over the feet, from the middle",
        "the shoulders turn to one side over standing feet, and back or to the other side",
        _over_standing_feet,
        slowest=25.0,
        filled=1.2,  # each repetition goes from one side over the middle to the other one, and back
        alike=0.3,
    ),
    "arm raise": Kind(
        _hands,
        "cm",
        12,
        -20,
        "how far the lower hand goes, up and down",
        "both hands go up, in front or over the sides, and down again",
    ),
}
