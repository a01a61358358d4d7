"""Exercises: repetitions of squats, knee raises, twists … counted, with tempo and range. For research only.

Each exercise of `exercise_kinds` is one quantity of the body that goes to and fro, on 22 joints. A repetition is a peak
of it that stands out by LEAST_SHARE of its range in the clip, and by what its kind asks for. Circles of the arms are
counted by their revolutions, rising from a seat in `chair`, and what has no kind (waves, kicks, claps, jumps …) by the
notation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.chair import RISE_DEFINITION, RISE_RANGE, rises
from motionllm.motion.exercise_kinds import KINDS, MARCH, PUNCH
from motionllm.motion.notation import Line, measure
from motionllm.motion.signals import SIDES, Signals, coverage, odd_frames, running_mean, stretches_where

LEAST_SHARE = 0.25  # of the range of a quantity: how far a peak stands out from the valleys beside it
EDGE_SHARE = 0.8  # of the median peak: from which a maximum at the clip's first or last frame is a peak
REST_SHARE = 0.1  # of a repetition's range: from this on it has begun
GAP = 2.5  # times the median interval between peaks: further apart, peaks are of two sets
TRAVEL = 0.6  # m/s of the pelvis, mean of a repetition: faster is locomotion, not an exercise in place
IN_PLACE = 0.3  # m/s; the same for feet that march: slow walks are steps too
FEWEST = 2  # repetitions of a set, where no exercise is asked for
UNEVEN = 0.4  # standard deviation of the intervals between its peaks, as a share of their mean: more is no exercise
WITHIN = 0.5  # share of a set's time within another: then it is part of that one
CIRCLE_RADIUS, CIRCLE_ROUND, CIRCLE_SECONDS = 0.05, 0.7, 0.8  # m; 1 is a circle, 0 a line; least duration

SEAT, CIRCLE = "sit to stand", "arm circle"
SLOWEST_MARCH, ALTERNATE = 50.0, 0.7  # steps per minute, share of them by the other foot


# An exercise hides those after it while it goes on: the arms of a jumping jack are no arm raises, and the knee that a
# kick begins with is no knee raise. What is neither in KINDS nor SEAT or CIRCLE is a verb of the notation.
ORDER = (
    *(SEAT, "jumping jack", "jump", "hop", "kick", PUNCH, "squat", "toe touch", "knee raise", "side bend"),
    *("lunge", "wave", "throw", "clap", "step", MARCH, "twist"),
    *("bow", "bend down", CIRCLE, "arm raise", "kneel", "lift", "swing", "reach up"),
)
LIMITS = (
    "22 joints have no fingers and no soles: whether a hand reaches the toes, or a heel stays down, is not known.",
    "A chair is not seen; a seat is a pelvis that rests behind the ankles over bent knees, the trunk upright.",
    "Weights, forces and effort are not known.",
    "A repetition that the clip cuts off is counted if it reaches four fifths of what the others reach.",
)


@dataclass(frozen=True)
class Repetition:
    """Seconds, a side or "", and the way that the quantity goes, from the higher of the valleys beside the peak."""

    start: float
    peak: float
    end: float
    side: str
    range: float


@dataclass(frozen=True)
class Set:
    """Repetitions of one exercise, one after another. repetitions: empty where the notation counted."""

    exercise: str
    count: int
    start: float
    end: float
    unit: str = ""
    what: str = ""
    definition: str = ""
    repetitions: tuple[Repetition, ...] = ()

    @property
    def tempo(self) -> float:
        """Repetitions per minute, from the first peak to the last; over the whole set where peaks are not known; NaN
        for one repetition.
        """
        if self.count < 2:
            return float("nan")
        if not self.repetitions:
            return 60 * self.count / max(self.end - self.start, 1e-6)
        return 60 * (self.count - 1) / max(self.repetitions[-1].peak - self.repetitions[0].peak, 1e-6)

    @property
    def even(self) -> bool:
        """Whether the repetitions follow one another as those of an exercise do; feet in place also take turns. Punches
        come as they come.
        """
        if self.exercise == PUNCH:
            return True
        peaks = [rep.peak for rep in self.repetitions]
        gaps = np.diff(peaks)
        if self.exercise == MARCH and len(peaks):
            turns = [a.side != b.side for a, b in pairwise(self.repetitions)]
            if self.tempo < SLOWEST_MARCH or not turns or np.mean(turns) < ALTERNATE:
                return False
        return len(gaps) < 2 or float(gaps.std()) <= UNEVEN * float(gaps.mean())

    def json(self) -> dict[str, Any]:
        ranges = [r.range for r in self.repetitions]
        sides = {side: sum(r.side == side for r in self.repetitions) for side in SIDES}
        return {
            "exercise": self.exercise,
            "count": self.count,
            **(sides if any(sides.values()) else {}),
            "start": round(self.start, 2),
            "end": round(self.end, 2),
            "per_minute": None if np.isnan(self.tempo) else round(self.tempo, 1),
            "range": round(float(np.mean(ranges)), 1) if ranges else None,
            "range_sd": round(float(np.std(ranges)), 1) if ranges else None,
            "unit": self.unit,
            "range_is": self.what,
            "definition": self.definition,
            "repetitions": [
                {
                    "start": round(r.start, 2),
                    "peak": round(r.peak, 2),
                    "end": round(r.end, 2),
                    "side": r.side,
                    "range": round(r.range, 1),
                }
                for r in self.repetitions
            ],
        }


def exercises(joints: np.ndarray, fps: float, kind: str | None = None) -> list[Set]:
    """The sets of a clip in order of time. joints: (T, 22, 3) in metres, Y up.

    kind: one of `names()`; then single repetitions count too. Without it, sets of two repetitions or more are given, of
    what moves most: the arms of a jumping jack are no set of their own. Raises MotionLLMError for an unknown kind, a
    clip that cannot be measured, and where nothing is repeated.
    """
    if kind is not None and kind not in names():
        raise MotionLLMError(unknown("exercise", kind, names()))
    s = Signals(joints, fps)
    fewest = 1 if kind else FEWEST
    sets: list[Set] = []

    def add(found: Sequence[Set]) -> None:
        for one in found:
            span = int(one.start * fps), int(one.end * fps)
            busy = [(int(x.start * fps), int(x.end * fps)) for x in sets]
            if one.count >= fewest and (kind or (coverage(*span, busy) < WITHIN and one.even)):
                sets.append(one)

    own = (*KINDS, SEAT, CIRCLE)
    lines = measure(joints, fps).lines if kind not in own else ()
    for name in ORDER if kind is None else (kind,):
        if name == SEAT:
            add(_rises(s))
        elif name == CIRCLE:
            add(_circles(s))
        elif name in KINDS:
            add(_sets(s, name))
        else:
            add([_of_line(line) for line in lines if line.verb == name])
    if not sets:
        what = f"no {kind} was" if kind else "nothing that is done twice or more was"
        raise MotionLLMError(
            f"{what[0].upper()}{what[1:]} found in {len(joints) / fps:.1f} s. What is counted: {', '.join(names())}."
        )
    return sorted(sets, key=lambda one: (one.start, one.end))


def repeated(joints: np.ndarray, fps: float = 20.0) -> list[Set]:
    """`exercises` of a clip, empty where nothing is repeated."""
    try:
        return exercises(joints, fps)
    except MotionLLMError:
        return []


def names() -> list[str]:
    """The exercises that are counted."""
    return sorted(ORDER)


def _of_line(line: Line) -> Set:
    name = f"{line.verb} {line.part} {line.way}".replace("  ", " ").strip()
    return Set(name, line.count, line.start, line.end, definition="counted by the notation (`data notate`)")


def _sets(s: Signals, name: str) -> list[Set]:
    """The sets of one kind."""
    kind = KINDS[name]
    values = kind.quantity(s)
    columns = [(values, "", 0)] if values.ndim == 1 else [(values[:, k], SIDES[k], k) for k in (0, 1)]
    least = max(kind.least, LEAST_SHARE * float(np.ptp(values)))
    reps: list[tuple[int, Repetition]] = []
    for column, side, k in columns:
        reps += [(t, rep) for t, rep in _repetitions(s, column, side, least, kind.peak) if kind.also(s, t, k)]
    most = IN_PLACE if name == MARCH else TRAVEL
    reps = [(t, rep) for t, rep in sorted(reps, key=lambda r: r[0]) if _in_place(s, rep, most)]
    return [_set(name, group, kind.unit, kind.what, kind.definition) for group in _grouped(reps)]


def _set(name: str, reps: Sequence[Repetition], unit: str, what: str, definition: str) -> Set:
    start, end = min(rep.start for rep in reps), max(rep.end for rep in reps)
    return Set(name, len(reps), start, end, unit, what, definition, tuple(reps))


def _rises(s: Signals) -> list[Set]:
    """Rising from a seat, as a set."""
    reps = [Repetition(rise.leaves, rise.stands, rise.stands, "", rise.height) for rise in rises(s)]
    return [_set(SEAT, reps, "% of the standing height", RISE_RANGE, RISE_DEFINITION)] if reps else []


def _circles(s: Signals) -> list[Set]:
    """Circles of the arms, seen from the side: whole revolutions of the hand that goes around more often, about the
    middle of its way (its mean over a second).
    """
    result: list[Set] = []
    for k in (0, 1):
        hand = s.hand[:, k, 1:]
        about = hand - running_mean(running_mean(hand, odd_frames(s.fps)), odd_frames(0.4 * s.fps))
        speed, radius = np.gradient(about, axis=0), np.linalg.norm(about, axis=1)
        around = running_mean(about[:, 0] * speed[:, 1] - about[:, 1] * speed[:, 0], odd_frames(0.8 * s.fps))
        most = running_mean(radius * np.linalg.norm(speed, axis=1), odd_frames(0.8 * s.fps))
        round_ = (np.abs(around) > CIRCLE_ROUND * most) & (running_mean(radius, odd_frames(s.fps)) > CIRCLE_RADIUS)
        angle = np.unwrap(np.arctan2(about[:, 0], about[:, 1]))
        reps = []
        for a, b in stretches_where(round_, s.frames(CIRCLE_SECONDS), s.frames(0.7)):
            turns = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(angle[a:b]))) / (2 * np.pi)])
            edges = a + np.searchsorted(turns, np.arange(round(turns[-1]) + 1).clip(0, turns[-1]))
            for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                wide = 100 * float(np.ptp(hand[first : last + 1, 0]))
                reps.append(Repetition(first / s.fps, 0.5 * (first + last) / s.fps, last / s.fps, "", wide))
        if reps and (not result or len(reps) > result[0].count):
            result = [
                _set(CIRCLE, reps, "cm", "how high the circle is", "the hand goes once around, seen from the side")
            ]
    return result


def _repetitions(s: Signals, x: np.ndarray, side: str, least: float, peak: float) -> list[tuple[int, Repetition]]:
    """The peaks of (T,) values, with the repetition around each."""
    from scipy.signal import find_peaks

    low = float(x.min())
    frames, _ = find_peaks(np.concatenate([[low], x, [low]]), prominence=least, height=peak)
    frames = frames - 1
    middle = [x[t] for t in frames if 0 < t < len(x) - 1]
    enough = low + EDGE_SHARE * (float(np.median(middle)) - low) if middle else np.inf
    frames = [int(t) for t in frames if 0 < t < len(x) - 1 or x[t] >= enough]
    result = []
    for n, t in enumerate(frames):
        first = frames[n - 1] if n else 0
        last = frames[n + 1] if n + 1 < len(frames) else len(x) - 1
        before = first + int(x[first : t + 1].argmin())
        after = t + int(x[t : last + 1].argmin())
        valley = max(x[before], x[after]) if 0 < t < len(x) - 1 else min(x[before], x[after])
        way = float(x[t] - valley)
        begun = before + int(np.flatnonzero(x[before : t + 1] <= x[before] + REST_SHARE * (x[t] - x[before]))[-1])
        over = t + int(np.flatnonzero(x[t : after + 1] <= x[after] + REST_SHARE * (x[t] - x[after]))[0])
        result.append((t, Repetition(begun / s.fps, t / s.fps, over / s.fps, side, way)))
    return result


def _in_place(s: Signals, rep: Repetition, most: float) -> bool:
    a, b = int(rep.start * s.fps), int(rep.end * s.fps) + 1
    return float(np.linalg.norm(s.root_velocity[a:b].mean(0))) < most


def _grouped(reps: Sequence[tuple[int, Repetition]]) -> list[list[Repetition]]:
    """Repetitions, with the frames of their peaks, in groups without gaps of over GAP intervals."""
    gaps = np.diff([t for t, _ in reps])
    most = GAP * float(np.median(gaps)) if len(gaps) else 0.0
    groups: list[list[Repetition]] = []
    for n, (_, rep) in enumerate(reps):
        if n and gaps[n - 1] <= most:
            groups[-1].append(rep)
        else:
            groups.append([rep])
    return groups
