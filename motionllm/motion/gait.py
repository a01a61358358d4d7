"""Gait of a walk, from 22 joints: heel strikes, toe-offs, and figures computed between them. For research only.

Events are found from the coordinates of the feet relative to the pelvis along the direction of walking (Zeni, Richards
and Higginson 2008, Gait & Posture 27: a heel strikes where it is farthest ahead of the pelvis, a toe leaves the floor
where it is farthest behind it). The ankle replaces the heel marker, which 22 joints do not have. At these points a foot
still moves, or already moves, as fast as the pelvis; so a strike is moved forward in time, and a toe-off back, to where
the foot has three quarters of that speed. Definitions are in `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.gait_norms import BAND_NOTE, band, norms
from motionllm.motion.signals import gaussian_mean

NOT_A_DEVICE = "For research; not a medical device."
RATE = 100.0  # frames per second that clips are interpolated to before events are looked for
CUTOFF = 6.0  # Hz; the zero-lag low-pass filter usual for walking (Winter 2009)
SLOWEST = 0.3  # m/s of the pelvis; slower is not walking
SWING = 0.1  # m; least distance that a foot passes from behind the pelvis to in front of it
SHORTEST, LONGEST = 0.6, 2.5  # seconds; bounds of a stride
SETTLED = 0.75  # share of the walking speed below which an ankle or toe belongs to a foot on the floor
REFINED = 0.08  # seconds after the peak in which a strike is searched, and before the trough in which a toe-off is
STEADY = 0.6  # share of the speed of the fastest stride; a slower one begins or ends the walk
STRAIGHT = 30.0  # degrees; strides with a larger change of heading are not measured
STILL = 0.5  # degrees; a knee or ankle whose angle changes by less in all of a walk was not captured

PELVIS = 0
HIP, KNEE, ANKLE, TOE = (1, 2), (4, 5), (7, 8), (10, 11)
SIDES = ("left", "right")

# Name → (unit, what it is).
FIGURES: dict[str, tuple[str, str]] = {
    "cadence": ("steps/min", "60 divided by the mean step time"),
    "speed": ("m/s", "mean stride length divided by mean stride time"),
    "stride_time": ("s", "from a heel strike to the next one of the same foot"),
    "step_time": ("s", "from a heel strike to the next one of the other foot"),
    "stride_length": ("m", "between the ankle's places at two heel strikes of one foot, on the floor"),
    "step_length": ("m", "from the other ankle's place at its heel strike to this one's at the next, along the stride"),
    "step_width": ("m", "distance of an ankle's place from the line between the other ankle's two places around it"),
    "stance": ("%", "share of the stride from heel strike to toe-off of the same foot"),
    "swing": ("%", "the rest of the stride"),
    "double_support": ("%", "share of the stride in which both feet are on the floor"),
    "single_support": ("%", "share of the stride in which this foot alone is on the floor"),
    "hip_range": ("°", "range of the thigh's angle to the vertical within the stride, in the plane of walking"),
    "knee_range": ("°", "range of the angle between thigh and shank within the stride"),
    "ankle_range": ("°", "range of the angle between shank and foot within the stride"),
}

# Of the whole walk, not of one stride.
SUMMARY: dict[str, str] = {
    "step_time_asymmetry": "difference of left and right mean step times, in percent of their mean; 0 is symmetric",
    "stride_time_variability": "standard deviation of stride times in percent of their mean (coefficient of variation)",
}

# What a report must say beside its figures.
LIMITS = (
    "22 joints have no heel: the ankle stands for it, and strikes come some hundredths of a second early or late.",
    "Pelvis tilt and rotations in other planes are not known; the hip's angle is the thigh's to the vertical.",
    "No forces are known: a foot that rests on the floor without weight counts as standing.",
    "The sole is not known either: the ankle's angle is to the line from ankle to toe, and has no zero.",
    "Captured at 20 frames per second, events are known to about 0.03 s; variability below that is the camera's.",
)


@dataclass(frozen=True)
class Stride:
    """One stride of one foot; times in seconds, lengths in metres, shares in percent.

    values: the FIGURES except cadence and speed. curves: (101,) degrees over the stride, for "hip", "knee", "ankle".
    """

    side: str
    start: float
    end: float
    toe_off: float
    values: Mapping[str, float]
    curves: Mapping[str, np.ndarray]

    @property
    def speed(self) -> float:
        """Metres per second."""
        return self.values["stride_length"] / self.values["stride_time"]


@dataclass(frozen=True)
class Gait:
    """Events and strides of a walk.

    events: (seconds, side, "heel strike" or "toe-off") in order. left_out: number of strides found but not measured,
    because of a turn, a missing event, or a start or stop. still: joints that do not move in the clip, "left ankle"
    and the like, of which no range is measured.
    """

    events: tuple[tuple[float, str, str], ...]
    strides: tuple[Stride, ...]
    left_out: int
    still: tuple[str, ...] = ()

    def of(self, side: str | None = None) -> list[Stride]:
        return [stride for stride in self.strides if side in (None, stride.side)]

    def mean(self, name: str, side: str | None = None) -> float:
        """Mean of a figure over the strides of one side or of both; NaN where there are none."""
        if name in ("cadence", "speed"):
            step, stride = self.mean("step_time", side), self.mean("stride_time", side)
            return 60 / step if name == "cadence" else self.mean("stride_length", side) / stride
        values = [stride.values[name] for stride in self.of(side)]
        return float(np.mean(values)) if values else float("nan")

    @property
    def asymmetry(self) -> float:
        """|left − right| step time in percent of their mean: 0 is symmetric (Robinson, Herzog and Nigg 1987)."""
        left, right = self.mean("step_time", "left"), self.mean("step_time", "right")
        return 200 * abs(left - right) / (left + right)

    @property
    def variability(self) -> float:
        """Standard deviation of the stride time in percent of its mean; NaN below three strides."""
        times = [stride.values["stride_time"] for stride in self.strides]
        return 100 * float(np.std(times, ddof=1) / np.mean(times)) if len(times) > 2 else float("nan")

    def json(self, age: float | None = None, sex: str | None = None) -> dict[str, Any]:
        """Every figure for both sides, left and right, with unit, definition and usual range; events and strides."""
        usual = norms(age, sex)
        figures = {
            name: {
                "both": _plain(self.mean(name)),
                **{side: _plain(self.mean(name, side)) for side in SIDES},
                "unit": unit,
                "usual": usual.get(name),
                "definition": text,
            }
            for name, (unit, text) in FIGURES.items()
        }
        return {
            "note": NOT_A_DEVICE,
            "strides": len(self.strides),
            "left_out": self.left_out,
            "figures": figures,
            "step_time_asymmetry": _plain(self.asymmetry),
            "stride_time_variability": _plain(self.variability),
            "definitions": dict(SUMMARY),
            "curves": {name: self._curves(name) for name in ("hip", "knee", "ankle")},
            "band_note": BAND_NOTE,
            "events": [{"seconds": round(t, 3), "side": side, "event": event} for t, side, event in self.events],
            "still": list(self.still),
            "limits": [*self.unmeasured, *LIMITS],
        }

    @property
    def unmeasured(self) -> list[str]:
        """What is said of joints that do not move, in sentences."""
        return [
            f"The {joint} does not move in the file, as where it was not captured: its range is not measured."
            for joint in self.still
        ]

    def curve(self, joint: str, side: str) -> tuple[np.ndarray, np.ndarray] | None:
        """((101,) mean, (101,) standard deviation) in degrees over the stride; None without a stride of that side, or
        where the joint does not move.
        """
        if f"{side} {joint}" in self.still:
            return None
        curves = [stride.curves[joint] for stride in self.of(side)]
        return (np.mean(curves, axis=0), np.std(curves, axis=0)) if curves else None

    def within(self, joint: str, side: str) -> float:
        """Percent of the stride in which a side's mean curve is within 2 standard deviations of the usual band; NaN
        where there is no curve.
        """
        curve = self.curve(joint, side)
        if curve is None:
            return float("nan")
        usual, spread = band(joint, float(curve[0].mean()))
        return float(100 * np.mean(np.abs(curve[0] - usual) <= 2 * spread))

    def _curves(self, joint: str) -> dict[str, Any]:
        """Of a joint, for JSON: degrees at each percent of the stride, for both sides and the usual band."""
        sides = {side: curve for side in SIDES if (curve := self.curve(joint, side)) is not None}
        usual, spread = band(joint, float(np.mean([mean for mean, _ in sides.values()]))) if sides else band(joint)
        rows = {**sides, "usual": (usual, spread)}
        parts = {name: {"mean": m.round(1).tolist(), "sd": s.round(1).tolist()} for name, (m, s) in rows.items()}
        return {**parts, "within_2_sd": {side: _plain(self.within(joint, side)) for side in SIDES}}


def gait(joints: np.ndarray, fps: float) -> Gait:
    """Gait of a walk. joints: (T, 22, 3) in metres, Y up.

    Raises MotionLLMError for other shapes, for less than a second, and where no stride of forward walking is found.
    """
    joints = np.asarray(joints, np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (22, 3):
        raise MotionLLMError(f"Gait is measured on (T, 22, 3) joints, and these have shape {joints.shape}.")
    if len(joints) / fps < 1.0:
        raise MotionLLMError(f"A clip of {len(joints) / fps:.1f} s holds no stride; give 3 s of walking or more.")
    body = _filtered(joints, fps)
    flat = body[..., [0, 2]]
    velocity = gaussian_mean(np.gradient(flat[:, PELVIS], axis=0) * RATE, 0.25 * RATE)
    speed = np.linalg.norm(velocity, axis=1)
    way = velocity / np.maximum(speed, 1e-6)[:, None]
    across = flat[:, HIP[0]] - flat[:, HIP[1]]  # to the left; with Y up and Z forward, left is +X
    ahead = np.stack([-across[:, 1], across[:, 0]], 1)
    walks = (speed > SLOWEST) & ((ahead * way).sum(1) > 0)
    heel = [((flat[:, j] - flat[:, PELVIS]) * way).sum(1) for j in ANKLE]
    toe = [((flat[:, j] - flat[:, PELVIS]) * way).sum(1) for j in TOE]
    ankles, toes = (((np.gradient(flat[:, j], axis=0) * RATE) * way[:, None]).sum(-1) for j in (ANKLE, TOE))
    slow = SETTLED * speed
    strikes = [_moved(_peaks(heel[side], walks), ankles[:, side] < slow, 1) for side in (0, 1)]
    offs = [_moved(_peaks(-toe[side], walks), toes[:, side] < slow, -1) for side in (0, 1)]
    angles = _angles(body, way)
    still = _still(joints)
    strides: list[Stride] = []
    left_out = 0
    for side in (0, 1):
        for first, last in pairwise(strikes[side]):
            if not SHORTEST <= (last - first) / RATE <= LONGEST or not walks[first : last + 1].all():
                continue
            other = [t for t in strikes[1 - side] if first < t < last]
            leaving = [t for t in offs[side] if first < t < last]
            others = [t for t in offs[1 - side] if first < t < last]
            turned = np.degrees(np.ptp(np.unwrap(np.arctan2(way[first : last + 1, 0], way[first : last + 1, 1]))))
            # In this order: strike, the other's toe-off, the other's strike, toe-off.
            whole = [len(x) == 1 for x in (other, leaving, others)]
            if not all(whole) or not others[0] < other[0] < leaving[0] or turned > STRAIGHT:
                left_out += 1
                continue
            stride = _stride(side, first, others[0], other[0], leaving[0], last, flat, angles)
            unknown = {f"{name}_range": float("nan") for name in angles if f"{SIDES[side]} {name}" in still}
            strides.append(replace(stride, values={**stride.values, **unknown}))
    if not strides:
        raise MotionLLMError(f"No stride of walking forward was found: {_why(speed, ahead, way, strikes, left_out)}")
    fastest = max(stride.speed for stride in strides)
    steady = [stride for stride in strides if stride.speed >= STEADY * fastest]
    left_out += len(strides) - len(steady)
    strides = steady
    events = [(t / RATE, SIDES[side], "heel strike") for side in (0, 1) for t in strikes[side] if walks[t]]
    events += [(t / RATE, SIDES[side], "toe-off") for side in (0, 1) for t in offs[side] if walks[t]]
    return Gait(tuple(sorted(events)), tuple(sorted(strides, key=lambda s: s.start)), left_out, still)


def _why(speed: np.ndarray, ahead: np.ndarray, way: np.ndarray, strikes: Sequence[Sequence[int]], left_out: int) -> str:
    """Why no stride was measured, and what to do."""
    if float(np.percentile(speed, 90)) <= SLOWEST:
        return (
            f"the pelvis moves at no more than {SLOWEST:g} m/s, as of one who stands or walks on a treadmill, which "
            "is not measured. Give a walk over ground."
        )
    if np.median((ahead * way).sum(1)[speed > SLOWEST]) <= 0:
        return "the body does not face where it goes. Give a walk forward."
    lasting = [(last - first) / RATE for own in strikes for first, last in pairwise(own)]
    if lasting and min(lasting) > LONGEST:
        return (
            f"strides last {min(lasting):.1f} s and more, and up to {LONGEST:g} s are measured. Give a faster walk, or "
            "correct the frame rate."
        )
    if left_out:
        return f"all {left_out} turn by more than {STRAIGHT:g} degrees or lack an event. Give a straight walk."
    return "no foot strikes twice with the other in between. Give 3 s of straight walking or more."


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


def _filtered(joints: np.ndarray, fps: float) -> np.ndarray:
    """The clip at RATE frames per second, low-pass filtered at CUTOFF."""
    from scipy.interpolate import CubicSpline
    from scipy.signal import butter, sosfiltfilt

    times = np.arange(len(joints)) / fps
    body = CubicSpline(times, joints, axis=0)(np.arange(0, times[-1], 1 / RATE))
    return np.asarray(sosfiltfilt(butter(2, CUTOFF, fs=RATE, output="sos"), body, axis=0))


def _peaks(values: np.ndarray, where: np.ndarray) -> list[int]:
    """Frames of the maxima that stand out by at least SWING."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(values, prominence=SWING, distance=round(SHORTEST / 2 * RATE))
    return [int(t) for t in peaks if where[t]]


def _moved(frames: Sequence[int], slow: np.ndarray, step: int) -> list[int]:
    """Each frame moved in direction `step` to the first one that is slow, within REFINED seconds; unchanged if there is
    none.
    """
    most = round(REFINED * RATE)
    near = [range(t, min(max(t + step * most, 0), len(slow) - 1), step) for t in frames]
    return [next((u for u in span if slow[u]), t) for t, span in zip(frames, near, strict=True)]


def _angles(body: np.ndarray, way: np.ndarray) -> dict[str, np.ndarray]:
    """(T, 2) degrees, left and right: hip flexion, knee flexion and ankle dorsiflexion are positive."""
    thigh = body[:, KNEE] - body[:, HIP]
    shank = body[:, ANKLE] - body[:, KNEE]
    foot = body[:, TOE] - body[:, ANKLE]
    forward = (thigh[..., [0, 2]] * way[:, None]).sum(-1)
    return {
        "hip": np.degrees(np.arctan2(forward, -thigh[..., 1])),
        "knee": _between(thigh, shank),
        "ankle": 90 - _between(-shank, foot),
    }


def _still(joints: np.ndarray) -> tuple[str, ...]:
    """Knees and ankles that keep one angle in all of a clip (T, 22, 3), as in files of bodies without them."""
    thigh, shank = joints[:, KNEE] - joints[:, HIP], joints[:, ANKLE] - joints[:, KNEE]
    angles = {"knee": _between(thigh, shank), "ankle": _between(-shank, joints[:, TOE] - joints[:, ANKLE])}
    return tuple(
        f"{SIDES[side]} {name}" for name, own in angles.items() for side in (0, 1) if np.ptp(own[:, side]) < STILL
    )


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cosine = (a * b).sum(-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-9)
    return np.degrees(np.arccos(cosine.clip(-1, 1)))


def _stride(
    side: int,
    first: int,
    other_off: int,
    other: int,
    off: int,
    last: int,
    flat: np.ndarray,
    angles: Mapping[str, np.ndarray],
) -> Stride:
    """The figures between two heel strikes of one foot; all arguments up to `last`, except `side`, are frames."""
    here, there = flat[:, ANKLE[side]], flat[:, ANKLE[1 - side]]
    whole = last - first
    line = here[last] - here[first]
    length = float(np.linalg.norm(line))
    to_other = there[other] - here[first]
    width = abs(float(line[0] * to_other[1] - line[1] * to_other[0])) / max(length, 1e-9)
    double = (other_off - first) + (off - other)
    at = np.linspace(first, last, 101)
    curves = {name: np.interp(at, np.arange(len(values)), values[:, side]) for name, values in angles.items()}
    values = {
        "stride_time": whole / RATE,
        "step_time": (last - other) / RATE,  # the step that this foot takes
        "stride_length": length,
        "step_length": float((here[last] - there[other]) @ line) / max(length, 1e-9),
        "step_width": width,
        "stance": 100 * (off - first) / whole,
        "swing": 100 * (last - off) / whole,
        "double_support": 100 * double / whole,
        "single_support": 100 * (other - other_off) / whole,
        **{f"{name}_range": float(np.ptp(curve)) for name, curve in curves.items()},
    }
    return Stride(SIDES[side], first / RATE, last / RATE, off / RATE, values, curves)


def summary(result: Gait) -> list[Sequence[str]]:
    """Rows of SUMMARY: name and value, "–" where there are too few strides."""
    values = {"step_time_asymmetry": result.asymmetry, "stride_time_variability": result.variability}
    return [(name.replace("_", " "), "–" if np.isnan(value) else f"{value:.1f} %") for name, value in values.items()]


def table(result: Gait, age: float | None = None, sex: str | None = None) -> list[Sequence[str]]:
    """Rows of the figures: name, both sides, left, right, unit, usual range."""
    usual = norms(age, sex)
    rows: list[Sequence[str]] = []
    for name, (unit, _) in FIGURES.items():
        means = [result.mean(name), *(result.mean(name, side) for side in SIDES)]
        digits = 0 if unit in ("%", "°", "steps/min") else 2
        low_high = usual.get(name)
        band = f"{low_high[0]:g} to {low_high[1]:g}" if low_high else ""
        rows.append((name.replace("_", " "), *("–" if np.isnan(m) else f"{m:.{digits}f}" for m in means), unit, band))
    return rows
