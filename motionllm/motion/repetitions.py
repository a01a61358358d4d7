"""Repetitions of one exercise, counted and grouped into sets, and what tells a set from motion that looks like one.

Each exercise of `exercise_kinds` is one quantity of the body that goes to and fro, on 22 joints. A repetition is a peak
of it that stands out by a share of its range in the clip, and by what its kind asks for. Circles of the arms are
counted by their revolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from motionllm.motion.chair import RISE_DEFINITION, RISE_RANGE, rises
from motionllm.motion.exercise_kinds import KINDS, MARCH, PUNCH
from motionllm.motion.signals import SIDES, Signals, coverage, odd_frames, running_mean, stretches_where

if TYPE_CHECKING:
    from motionllm.motion.notation.text import Line

EDGE_SHARE = 0.8  # of the median peak: from which a maximum at the clip's first or last frame is a peak
REST_SHARE = 0.1  # of a repetition's range: from this on it has begun
GAP = 2.5  # times the median interval between peaks: further apart, peaks are of two sets
TRAVEL = 0.6  # m/s of the pelvis, mean of a repetition: faster is locomotion, not an exercise in place
IN_PLACE = 0.3  # m/s; the same for feet that march: slow walks are steps too
UNEVEN = 0.4  # standard deviation of the intervals between its peaks, as a share of their mean: more is no exercise
CIRCLE, SEAT = "arm circle", "sit to stand"
CIRCLE_RADIUS, CIRCLE_ROUND, CIRCLE_SECONDS = 0.05, 0.7, 0.8  # m; 1 is a circle, 0 a line; least duration
CIRCLES_SHARE = 0.5  # of the circles of one arm, that the other one does with it
SLOWEST_MARCH, ALTERNATE = 50.0, 0.7  # steps per minute, share of them by the other foot

OWN = (*KINDS, SEAT, CIRCLE)
# An exercise hides those after it while it goes on: the arms of a jumping jack are no arm raises, and the knee that a
# kick begins with is no knee raise. What is not in OWN is a verb of the notation.
ORDER = (
    *(SEAT, "jumping jack", "jump", "hop", "kick", PUNCH, "squat", "toe touch", "knee raise", "side bend"),
    *("lunge", "wave", "throw", "clap", "step", MARCH, "twist"),
    *("bow", "bend down", CIRCLE, "arm raise", "kneel", "lift", "swing", "reach up"),
)
ASKED = ("step", "swing")  # of any walk and gesture: sets only for who asks for them
FEWEST = 2  # repetitions of a set, where no exercise is asked for
WITHIN = 0.5  # share of a set's time within another: then it is part of that one

# A set that nobody asked for. On recorded motion, exercises stay below 0.2 m/s and fill three quarters of their time or
# more with repetitions; walks, throws and dances in which something goes to and fro do one or the other less.
SET_SPEED = 0.3  # m/s of the pelvis, mean of a set
FILLED = 0.72  # share of a set's time that its repetitions take
MOVES = ("jump", "hop", "kick", "lunge", PUNCH)  # done on the way and with pauses, too
FEWEST_CIRCLES, SLOWEST_CIRCLES = (3, 5), 40.0  # of both arms, of one; below, arms swing or gesture; per minute
BESIDE_A_JUMP = 0.5  # s; the body goes down before a jump and after it
KICKS = 0.5  # share of the knee raises of a set that are kicks: more, and it is none of knee raises


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
    """Repetitions of one exercise, one after another. repetitions: empty where the notation counted. way: "forward" or
    "backward", of circles.
    """

    exercise: str
    count: int
    start: float
    end: float
    unit: str = ""
    what: str = ""
    definition: str = ""
    repetitions: tuple[Repetition, ...] = ()
    way: str = ""

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

    @property
    def filled(self) -> float:
        """The sum of the repetitions' seconds, as a share of the set's: over 1 where they overlap; 1 where peaks are
        not known.
        """
        if not self.repetitions:
            return 1.0
        return sum(rep.end - rep.start for rep in self.repetitions) / max(self.end - self.start, 1e-6)

    @property
    def sides(self) -> dict[str, int]:
        """Repetitions of the left and of the right."""
        return {side: sum(rep.side == side for rep in self.repetitions) for side in SIDES}

    def json(self) -> dict[str, Any]:
        ranges = [r.range for r in self.repetitions]
        return {
            "exercise": self.exercise,
            "count": self.count,
            **(self.sides if any(self.sides.values()) else {}),
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


def true_sets(s: Signals, lines: Sequence[Line], names: Sequence[str] = ORDER) -> list[Set]:
    """The sets of a clip in order of time, of two repetitions or more and of what moves most: the arms of a jumping
    jack are no set of their own, and neither are a walk, throw, fall or dance in which something goes to and fro.

    lines: the clip's notation, which counts what is not in OWN. names: of the exercises that are looked for.
    """
    sets: list[Set] = []
    for name in names:
        for one in sets_of(s, name, lines) if name not in ASKED else ():
            span = int(one.start * s.fps), int(one.end * s.fps)
            busy = [(int(x.start * s.fps), int(x.end * s.fps)) for x in sets]
            if one.count >= FEWEST and coverage(*span, busy) < WITHIN and _true(s, one, lines):
                sets.append(one)
    return sorted(sets, key=lambda one: (one.start, one.end))


def _true(s: Signals, one: Set, lines: Sequence[Line]) -> bool:
    """Whether a set is of that exercise, and not of something else in which the same quantity goes to and fro."""
    if one.exercise.split()[0] in MOVES:
        return one.even
    if not one.even or _speed(s, one) > SET_SPEED or (one.filled < FILLED and one.exercise in (*KINDS, CIRCLE)):
        return False
    if one.exercise == CIRCLE:
        fewest = FEWEST_CIRCLES[any(one.sides.values())]
        return one.count >= fewest and one.tempo >= SLOWEST_CIRCLES
    if one.exercise == "side bend" and one.count == len(SIDES) and max(one.sides.values()) > 1:
        return False  # a body that leans to one side twice
    if one.exercise == "squat":
        near = one.start - BESIDE_A_JUMP, one.end + BESIDE_A_JUMP
        return not any(x.start < near[1] and near[0] < x.end for x in lines if x.verb in ("jump", "hop"))
    if one.exercise == "knee raise":
        within = [x for x in lines if x.verb == "kick" and one.start <= 0.5 * (x.start + x.end) <= one.end]
        if sum(x.count for x in within) > KICKS * one.count:
            return False
    kind, ranges = KINDS.get(one.exercise), [rep.range for rep in one.repetitions]
    if kind is None:
        return True
    return one.tempo >= kind.slowest and one.filled >= kind.filled and min(ranges) >= kind.alike * max(ranges)


def set_of(name: str, reps: Sequence[Repetition], unit: str, what: str, definition: str, way: str = "") -> Set:
    """The set of some repetitions, one at least."""
    start, end = min(rep.start for rep in reps), max(rep.end for rep in reps)
    return Set(name, len(reps), start, end, unit, what, definition, tuple(reps), way)


def sets_of(s: Signals, name: str, lines: Sequence[Line]) -> list[Set]:
    """The sets of one of ORDER, of one repetition or more. lines: the clip's notation, read for what is not in OWN."""
    if name in KINDS:
        return _kind_sets(s, name)
    if name == CIRCLE:
        return _circles(s)
    return _rises(s) if name == SEAT else [_of_line(line) for line in lines if line.verb == name]


def _of_line(line: Line) -> Set:
    name = f"{line.verb} {line.part} {line.way}".replace("  ", " ").strip()
    return Set(name, line.count, line.start, line.end, definition="counted by the notation (`data notate`)")


def _rises(s: Signals) -> list[Set]:
    """Rising from a seat, as a set."""
    reps = [Repetition(rise.leaves, rise.stands, rise.stands, "", rise.height) for rise in rises(s)]
    return [set_of(SEAT, reps, "% of the standing height", RISE_RANGE, RISE_DEFINITION)] if reps else []


def _kind_sets(s: Signals, name: str) -> list[Set]:
    kind = KINDS[name]
    values = kind.quantity(s)
    columns = [(values, "", 0)] if values.ndim == 1 else [(values[:, k], SIDES[k], k) for k in (0, 1)]
    least = max(kind.least, kind.share * float(np.ptp(values)))
    reps: list[tuple[int, Repetition]] = []
    for column, side, k in columns:
        found = _repetitions(s, column, side, least, kind.peak)
        if found:
            also = kind.also(s)
            reps += [(t, rep) for t, rep in found if also(t, k)]
    most = IN_PLACE if name == MARCH else TRAVEL
    reps = [(t, rep) for t, rep in sorted(reps, key=lambda r: r[0]) if _in_place(s, rep, most)]
    return [set_of(name, _trimmed(group), kind.unit, kind.what, kind.definition) for group in _grouped(reps)]


def _circles(s: Signals) -> list[Set]:
    """Circles of the arms, seen from the side: whole revolutions of the hand that goes around more often, about the
    middle of its way (its mean over a second). Their side is that of the hand, "" where both go around.
    """
    found = [_revolutions(s, k) for k in (0, 1)]
    k = int(len(found[1][0]) > len(found[0][0]))
    reps, way = found[k]
    if not reps:
        return []
    if len(found[1 - k][0]) < CIRCLES_SHARE * len(reps):
        reps = [Repetition(rep.start, rep.peak, rep.end, SIDES[k], rep.range) for rep in reps]
    return [set_of(CIRCLE, reps, "cm", "how high the circle is", "the hand goes once around, seen from the side", way)]


def _revolutions(s: Signals, k: int) -> tuple[list[Repetition], str]:
    """The circles of a hand, and the way that most of them go."""
    hand = s.hand[:, k, 1:]
    about = hand - running_mean(running_mean(hand, odd_frames(s.fps)), odd_frames(0.4 * s.fps))
    speed, radius = np.gradient(about, axis=0), np.linalg.norm(about, axis=1)
    around = running_mean(about[:, 0] * speed[:, 1] - about[:, 1] * speed[:, 0], odd_frames(0.8 * s.fps))
    most = running_mean(radius * np.linalg.norm(speed, axis=1), odd_frames(0.8 * s.fps))
    round_ = (np.abs(around) > CIRCLE_ROUND * most) & (running_mean(radius, odd_frames(s.fps)) > CIRCLE_RADIUS)
    angle = np.unwrap(np.arctan2(about[:, 0], about[:, 1]))
    reps, wound = [], 0.0
    for a, b in stretches_where(round_, s.frames(CIRCLE_SECONDS), s.frames(0.7)):
        turns = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(angle[a:b]))) / (2 * np.pi)])
        edges = a + np.searchsorted(turns, np.arange(round(turns[-1]) + 1).clip(0, turns[-1]))
        wound += float(angle[b - 1] - angle[a])
        for first, last in pairwise(edges.tolist()):
            wide = 100 * float(np.ptp(hand[first : last + 1, 0]))
            reps.append(Repetition(first / s.fps, 0.5 * (first + last) / s.fps, last / s.fps, "", wide))
    return reps, "backward" if wound > 0 else "forward"


def _repetitions(s: Signals, x: np.ndarray, side: str, least: float, peak: float) -> list[tuple[int, Repetition]]:
    """The peaks of (T,) values, with the repetition around each."""
    from scipy.signal import find_peaks

    low, high = float(x.min()), float(x.max())
    if high < peak or high - low < least:
        return []
    frames, _ = find_peaks(np.concatenate([[low], x, [low]]), prominence=least, height=peak)
    frames = frames - 1
    middle = [float(x[t]) for t in frames if 0 < t < len(x) - 1]
    enough = low + EDGE_SHARE * (median(middle) - low) if middle else np.inf
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


def _speed(s: Signals, one: Set) -> float:
    """Mean speed of the pelvis over a set, m/s."""
    a = min(int(one.start * s.fps), len(s.p) - 1)
    return float(s.root_speed[a : max(a, int(one.end * s.fps)) + 1].mean())


def _in_place(s: Signals, rep: Repetition, most: float) -> bool:
    a, b = int(rep.start * s.fps), int(rep.end * s.fps) + 1
    return float(np.linalg.norm(s.root_velocity[a:b].mean(0))) < most


def _trimmed(reps: Sequence[Repetition]) -> list[Repetition]:
    """Repetitions that begin and end within the longest interval between their peaks: before and after is rest, or
    something else that moves the same quantity.
    """
    if len(reps) < 2:
        return list(reps)
    most = max(b.peak - a.peak for a, b in pairwise(reps))
    return [replace(x, start=max(x.start, x.peak - most), end=min(x.end, x.peak + most)) for x in reps]


def _grouped(reps: Sequence[tuple[int, Repetition]]) -> list[list[Repetition]]:
    """Repetitions, with the frames of their peaks, in groups without gaps of over GAP intervals."""
    gaps = np.diff([t for t, _ in reps])
    most = GAP * median(gaps.tolist()) if len(gaps) else 0.0
    groups: list[list[Repetition]] = []
    for n, (_, rep) in enumerate(reps):
        if n and gaps[n - 1] <= most:
            groups[-1].append(rep)
        else:
            groups.append([rep])
    return groups
