"""An event and the facts of a clip, and helpers of the rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from motionllm.motion.signals import Signals, minima

Span = tuple[int, int]  # frames [a, b)


@dataclass
class Event:
    """Something that happens between two seconds.

    name: what happens (see `facts`). side: "left", "right", "both" or "". direction: of travel, turn or jump. count:
    repetitions within it. size: in the unit of its rule (metres, degrees).
    """

    name: str
    start: float
    end: float
    side: str = ""
    direction: str = ""
    count: int = 1
    size: float = 0.0
    speed: float = 0.0


@dataclass
class Facts:
    """The measurements of a clip: seconds, metres of the clip's own body, degrees (+ = to the left)."""

    duration: float
    distance: float
    displacement: float
    mean_speed: float
    top_speed: float
    direction: str
    turn: float
    turn_side: str
    jumps: int
    jump_height: float
    steps: int
    start_posture: str
    end_posture: str
    busiest: str
    events: list[Event] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The facts as plain lists, dicts, strings and numbers."""
        return asdict(self)

    def of(self, *names: str) -> list[Event]:
        """The events with these names, in order of time."""
        return [e for e in self.events if e.name in names]


def event(s: Signals, name: str, a: int, b: int, **values: Any) -> Event:
    """An event over the frames [a, b)."""
    return Event(name, round(float(a / s.fps), 3), round(float(b / s.fps), 3), **values)


def spans_of(s: Signals, events: Iterable[Event], *names: str, before: float = 0.0, after: float = 0.0) -> list[Span]:
    """The frames of the events with these names (of all events if there are none), extended by `before` and `after`
    seconds.
    """
    return [
        (int((e.start - before) * s.fps), int((e.end + after) * s.fps)) for e in events if not names or e.name in names
    ]


def peak(s: Signals, pace: np.ndarray, a: int, b: int) -> float:
    """The highest of speeds, frames first, from half a second before the frames [a, b) to half a second after."""
    return float(pace[max(0, a - s.frames(0.5)) : b + s.frames(0.5) + 1].max(initial=0.0))


def in_frame(way: np.ndarray, yaw: float) -> tuple[float, float]:
    """Components to the left and forward of a floor vector (x, z), for a body with this heading."""
    return way[0] * np.cos(yaw) - way[1] * np.sin(yaw), way[0] * np.sin(yaw) + way[1] * np.cos(yaw)


def direction_of(left: float, forward: float) -> str:
    """The nearest of the four directions of a vector in the heading frame."""
    if abs(left) > abs(forward):
        return "left" if left > 0 else "right"
    return "forward" if forward >= 0 else "backward"


def dips(values: np.ndarray, depth: float) -> int:
    """How often a (T,) height, below 1, goes down and up again by `depth`; at least 1."""
    return max(1, len(minima(np.concatenate([[1.0], values, [1.0]]), depth)))


def grouped(frames: list[int], gap: int) -> list[list[int]]:
    """Frames in groups without gaps of over `gap` frames."""
    groups: list[list[int]] = []
    for i in frames:
        if groups and i - groups[-1][-1] <= gap:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
