"""Which events of `motionllm.motion.facts` show an action, and how often and how fast they do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from motionllm.motion.facts import Event, Facts

if TYPE_CHECKING:
    from motionllm.corpus.action import Part

BENT_DOWN = 0.78  # share of the standing height; the legs are straight if the pelvis stays above it


def whatever(events: list[Event], f: Facts) -> list[Event]:
    """All events."""
    return events


def turned(low: float, high: float) -> Callable[[list[Event], Facts], list[Event]]:
    """Turns of `low` to `high` degrees."""
    return lambda events, f: [e for e in events if low <= abs(e.size) < high]


def with_straight_legs(events: list[Event], f: Facts) -> list[Event]:
    return [e for e in events if e.size > BENT_DOWN]


def with_bent_legs(events: list[Event], f: Facts) -> list[Event]:
    return [e for e in events if e.size <= BENT_DOWN]


def single_steps(events: list[Event], f: Facts) -> list[Event]:
    """Steps forward and backward that belong to no curve and no walk of over five steps."""
    walks = [e for e in f.of("walk") if abs(e.size) > 45 or (_along(e) and _steps_in(e, f) > 5)]
    return [e for e in _apart(events, walks, f) if _along(e)]


def single_side_steps(events: list[Event], f: Facts) -> list[Event]:
    """Steps to the side that belong to no curve, and no walk forward or backward."""
    walks = [e for e in f.of("walk") if abs(e.size) > 45 or _along(e)]
    return [e for e in _apart(events, walks, f) if e.direction in ("left", "right")]


def walks(events: list[Event], f: Facts) -> list[Event]:
    """Walks of three steps, or over 1.2 m; sideways only where they curve."""
    long = [e for e in events if _steps_in(e, f) >= 3 or abs(e.speed) * (e.end - e.start) > 1.2]
    return [e for e in long if _along(e) or abs(e.size) >= 45]


def nothing_else(events: list[Event], f: Facts) -> list[Event]:
    """The whole clip, where nothing happens and the body stays within 0.5 m."""
    return [Event("stand", 0.0, f.duration)] if not f.events and f.distance < 0.5 else []


def on_both_feet(events: list[Event], f: Facts) -> list[Event]:
    """Events outside standing on one leg and hopping, during which the arms keep the balance."""
    return _outside(events, f.of("leg raised", "hop"), 0.5)


def upright(events: list[Event], f: Facts) -> list[Event]:
    """Events outside sitting, kneeling, crouching and running, during which the hands are near the hips anyway."""
    return _outside(events, f.of("sit", "seated", "stand up", "crouch walk", "kneel", "run"), 0.3)


def of_both_sides(events: list[Event], f: Facts) -> list[Event]:
    """Merge a left and a right event at the same time into one of both sides."""
    left, right = ([e for e in events if e.side == side] for side in ("left", "right"))
    result: list[Event] = []
    for e in left:
        twin = next((r for r in right if shared(e, r) > 0.5 and shared(r, e) > 0.5), None)
        if twin:
            right.remove(twin)
            start, end, count = min(e.start, twin.start), max(e.end, twin.end), round((e.count + twin.count) / 2)
            result.append(Event(e.name, start, end, "both", count=count, speed=max(e.speed, twin.speed)))
        else:
            result.append(e)
    return sorted([*result, *right], key=lambda e: e.start)


def repetitions(part: Part, events: list[Event]) -> int:
    return sum(e.count for e in events)


def of_the_leading_foot(part: Part, events: list[Event]) -> int:
    """Number of side steps, counting only the leading foot."""
    return sum(e.side == part.direction for e in events)


def peak_speed(events: list[Event]) -> float:
    """Median of the events' speeds: m/s, for turns degrees per second."""
    return float(np.median([e.speed for e in events]))


def walking_speed(events: list[Event]) -> float:
    """m/s; people walk backward and in circles more slowly than forward."""
    usual = [0.62 if e.direction == "backward" else 0.85 if abs(e.size) > 220 else 1.0 for e in events]
    return float(np.median([e.speed / share for e, share in zip(events, usual, strict=True)]))


def repetitions_per_second(events: list[Event]) -> float:
    return sum(e.count for e in events) / max(sum(e.end - e.start for e in events), 0.1)


def steps_per_second(events: list[Event]) -> float:
    return float(np.median([1 / max(e.end - e.start, 0.05) for e in events]))


def degrees_per_second(events: list[Event]) -> float:
    return float(np.median([e.size * e.count / max(e.end - e.start, 0.05) for e in events]))


def shared(a: Event, b: Event) -> float:
    """Share of event a that lies within b."""
    return max(0.0, min(a.end, b.end) - max(a.start, b.start)) / max(a.end - a.start, 0.05)


def _along(e: Event) -> bool:
    return e.direction in ("forward", "backward")


def _steps_in(e: Event, f: Facts) -> int:
    return sum(shared(step, e) > 0.5 for step in f.of("step"))


def _outside(events: list[Event], others: list[Event], most: float) -> list[Event]:
    """The events that share at most `most` of their time with any of the others."""
    return [e for e in events if not any(shared(e, other) > most for other in others)]


def _apart(steps: list[Event], walks: list[Event], f: Facts) -> list[Event]:
    busy = f.of("turn", "lunge", "throw", "kneel", "lie", "run", "crouch walk", "kick")
    return _outside(steps, [*busy, *walks], 0.5)
