"""Rising from a seat (`posture.seats`), and the timed up-and-go test, from 22 joints. For research only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.posture import seats
from motionllm.motion.signals import Signals, odd_frames, running_mean, stretches_where

STANDING = 0.9  # share of the standing height, from which a body stands
SHORTEST = 0.85  # share of it that a body may have at its highest and yet stand: with knees that are never straight
LONGEST_RISE = 4.0  # seconds from a seat to standing
AWAY = 2.0  # m from the seat; the test has 3 m, measured from the chair's front legs
TURNING = 40.0  # degrees/s
RISE_DEFINITION = "from the seat to standing: between a tenth and nine tenths of the pelvis' way up"
RISE_RANGE = "how far the pelvis goes up"

# Seconds of five rises, beyond which a person is slower than average for the age (Bohannon 2006, Perceptual and Motor
# Skills 103). By age from; both sexes.
FIVE_RISES = {60: 11.4, 70: 12.6, 80: 14.8}
# Seconds of the timed up-and-go test: 95 % confidence interval of the mean of apparently healthy people (Bohannon 2006,
# Journal of Geriatric Physical Therapy 29). By age from; both sexes.
UP_AND_GO = {60: (7.1, 9.0), 70: (8.2, 10.2), 80: (10.0, 12.7)}
PHASES: dict[str, str] = {
    "total": "from the pelvis leaving the seat to its being back on it; a stopwatch also counts the time to react",
    "rise": "from leaving the seat to standing",
    "walk_out": "from standing to the turn at the far end",
    "turn": f"at the far end, while the body turns faster than {TURNING:g} degrees per second",
    "walk_back": "from the turn to beginning to sit down, with the turn before the chair if that is done standing",
    "sit": "from beginning to sit down to the seat",
}


@dataclass(frozen=True)
class Rise:
    """Seconds at which the pelvis leaves the seat and stands, and the way up in percent of the standing height."""

    leaves: float
    stands: float
    height: float


@dataclass(frozen=True)
class UpAndGo:
    """The timed up-and-go test: seconds of `PHASES`, metres from the seat at the far end, and when it begins."""

    start: float
    total: float
    rise: float
    walk_out: float
    turn: float
    walk_back: float
    sit: float
    distance: float

    def json(self, age: float | None = None) -> dict[str, Any]:
        values = {name: round(value, 2) for name, value in asdict(self).items()}
        return {**values, "usual_total": by_age(UP_AND_GO, age), "definitions": dict(PHASES)}


def by_age(table: dict[int, Any], age: float | None) -> Any:
    """The entry for an age, None below the youngest or without an age. Raises MotionLLMError beyond 99 years."""
    if age is not None and not 0 < age <= 99:
        raise MotionLLMError(f"An age of {age:g} years: give 1 to 99.")
    known = [start for start in table if age is not None and age >= start]
    return table[known[-1]] if known else None


def rises(s: Signals) -> list[Rise]:
    """Every rise from a seat to standing."""
    result = []
    rests = seats(s)
    for n, (a, b) in enumerate(rests):
        again = rests[n + 1][0] if n + 1 < len(rests) else len(s.pelvis)
        up = np.flatnonzero(_stands(s)[b:again])
        if len(up) and up[0] <= s.frames(LONGEST_RISE):
            edge = _edge(s, a, b, b + int(up[0]))
            if edge:
                leaves, stands = edge
                height = 100 * float(s.pelvis[stands] - s.pelvis[a:b].min())
                result.append(Rise(leaves / s.fps, stands / s.fps, height))
    return result


def five_rises(found: list[Rise]) -> float | None:
    """Seconds from leaving the seat for the first time to standing for the fifth; None below five rises."""
    return found[4].stands - found[0].leaves if len(found) >= 5 else None


def up_and_go(joints: np.ndarray, fps: float) -> UpAndGo:
    """The timed up-and-go test (Podsiadlo and Richardson 1991) in a clip: up from a seat, away, around, back, down.

    joints: (T, 22, 3) in metres, Y up. Raises MotionLLMError for a clip that cannot be measured, and for one without a
    seat at both ends and a walk of AWAY metres between them.
    """
    s = Signals(joints, fps)
    rests = seats(s)
    standing = _stands(s)
    pairs = [(x, y) for x, y in pairwise(rests) if standing[x[1] : y[0]].any()]
    place = s.p[:, 0][:, [0, 2]]
    for (a, b), (c, d) in pairs:
        away = np.linalg.norm(place[b:c] - place[a:b].mean(0), axis=1) * s.scale
        if away.max() < AWAY:
            continue
        up = b + np.flatnonzero(standing[b:c])
        # Sitting down is rising, backward in time.
        edge, back = _edge(s, a, b, int(up[0])), _back(s, c, d, int(up[-1]))
        if not (edge and back):
            continue
        (leaves, stands), (sits, seated) = edge, back
        far = b + int(away.argmax())
        first, last = _turn(s, far, stands, sits)
        return UpAndGo(
            start=leaves / fps,
            total=(seated - leaves) / fps,
            rise=(stands - leaves) / fps,
            walk_out=(first - stands) / fps,
            turn=(last - first) / fps,
            walk_back=(sits - last) / fps,
            sit=(seated - sits) / fps,
            distance=float(away.max()),
        )
    raise MotionLLMError(
        f"No timed up-and-go test was found: it begins and ends on a seat, with a walk of {AWAY:g} m or more away "
        f"and back between. The clip has {len(rests)} time{'' if len(rests) == 1 else 's'} on a seat."
    )


def _stands(s: Signals) -> np.ndarray:
    """(T,) bool: whether the pelvis is about as high as this body's ever is."""
    highest = float(np.clip(np.percentile(s.pelvis, 98), SHORTEST, 1.0))
    return np.asarray(s.pelvis > STANDING * highest)


def _edge(s: Signals, a: int, b: int, up: int) -> tuple[int, int] | None:
    """Frames at which the pelvis is a tenth and nine tenths of the way from the seat [a, b) to where it stands, after
    `up`; None where it does not go up, as of one that leans on something high.
    """
    low, middle = float(np.median(s.pelvis[a:b])), (a + b) // 2
    way = float(s.pelvis[up : up + s.frames(1.0)].max()) - low
    below = np.flatnonzero(s.pelvis[middle : up + 1] < low + 0.1 * way)
    if way <= 0 or not len(below):
        return None
    leaves = middle + int(below[-1])
    return leaves, leaves + int(np.flatnonzero(s.pelvis[leaves:] >= low + 0.9 * way)[0])


def _back(s: Signals, c: int, d: int, up: int) -> tuple[int, int] | None:
    """Frames at which sitting down on the seat [c, d) begins and ends, None where it does not go down; up: the last
    frame of standing.
    """
    low, first = float(np.median(s.pelvis[c:d])), max(0, up - s.frames(1.0))
    way = float(s.pelvis[first : up + 1].max()) - low
    above = np.flatnonzero(s.pelvis[first : c + 1] >= low + 0.9 * way)
    if way <= 0 or not len(above):
        return None
    sits = first + int(above[-1])
    below = np.flatnonzero(s.pelvis[sits:d] < low + 0.1 * way)
    return (sits, sits + int(below[0])) if len(below) else None


def _turn(s: Signals, far: int, first: int, last: int) -> tuple[int, int]:
    """Frames of the turn nearest to the far end, between two frames; the far end itself if there is none."""
    rate = np.abs(np.degrees(np.gradient(running_mean(s.yaw, odd_frames(0.5 * s.fps))))) * s.fps
    turns = stretches_where(rate[first:last] > TURNING, s.frames(0.3), s.frames(0.4))
    spans = [(first + a, first + b) for a, b in turns]
    return min(spans, key=lambda span: abs(0.5 * sum(span) - far), default=(far, far))
