"""An event and the facts of a clip, and what its rules share."""

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

    name: what (see `facts`); side: "left", "right", "both" or ""; direction: of travel, turn or jump;
    count: repetitions within it; size: its measure in the unit of its rule (metres, degrees).
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
    """The measurements of a clip; seconds, metres of the clip's own body, degrees (+ = to the left)."""

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
        """Plain lists, dicts, strings and numbers."""
        return asdict(self)

    def of(self, *names: str) -> list[Event]:
        """The events of these names, in time."""
        return [e for e in self.events if e.name in names]


def event(s: Signals, name: str, a: int, b: int, **values: Any) -> Event:
    """The event of the frames [a, b)."""
    return Event(name, round(float(a / s.fps), 3), round(float(b / s.fps), 3), **values)


def spans_of(s: Signals, events: Iterable[Event], *names: str, before: float = 0.0, after: float = 0.0) -> list[Span]:
    """The frames of the events of these names (none: of all), with so many seconds before and after them."""
    return [
        (int((e.start - before) * s.fps), int((e.end + after) * s.fps)) for e in events if not names or e.name in names
    ]


def in_frame(way: np.ndarray, yaw: float) -> tuple[float, float]:
    """How far to the left and forward a floor vector (x, z) goes for a body of this heading."""
    return way[0] * np.cos(yaw) - way[1] * np.sin(yaw), way[0] * np.sin(yaw) + way[1] * np.cos(yaw)


def direction_of(left: float, forward: float) -> str:
    """The nearest of the four directions of a vector in the heading frame."""
    if abs(left) > abs(forward):
        return "left" if left > 0 else "right"
    return "forward" if forward >= 0 else "backward"


def dips(values: np.ndarray, depth: float) -> int:
    """How often a (T,) height under 1 goes down and up again by `depth`, at least once."""
    return max(1, len(minima(np.concatenate([[1.0], values, [1.0]]), depth)))


def grouped(frames: list[int], gap: int) -> list[list[int]]:
    """Frames in groups, within which none is over `gap` after the one before."""
    groups: list[list[int]] = []
    for i in frames:
        if groups and i - groups[-1][-1] <= gap:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
