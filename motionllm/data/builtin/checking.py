"""Does a motion do what a specification asks? Measured with `motionllm.motion.facts`, on any motion."""

from __future__ import annotations

import numpy as np

from motionllm.data.builtin.spec import Part, Spec
from motionllm.motion.facts import Event, Facts, facts

# The events of `facts` that are evidence of an action.
_EVENTS: dict[str, tuple[str, ...]] = {
    "walk": ("walk",), "run": ("run",), "crouch_walk": ("crouch walk",), "march": ("march",), "step": ("step",),
    "sidestep": ("step",), "turn": ("turn",), "turn_around": ("turn",), "spin": ("turn",), "jump": ("jump",),
    "hop": ("hop",), "squat": ("squat",), "lunge": ("lunge",), "bow": ("bow",), "touch_toes": ("reach down",),
    "pick": ("reach down",), "wave": ("wave",), "raise": ("raise",), "punch": ("punch",), "clap": ("clap",),
    "stretch": ("arms out",), "hips": ("hands on hips",), "drink": ("hand at mouth",), "look": ("look",),
    "throw": ("throw",), "kick": ("kick",), "balance": ("leg raised",), "sit": ("sit",), "stand_up": ("stand up",),
    "kneel": ("kneel",), "lie": ("lie",), "jumping_jacks": ("jumping jack",),
}  # fmt: skip
_DEGREES = {"turn": (45, 135), "turn_around": (135, 260), "spin": (260, 480)}
# (at most, at least): the speed of an event that is called slow, quick; measured on the corpus, between its medians.
SPEEDS: dict[str, tuple[float, float]] = {
    "walk": (0.825, 1.44),
    "run": (2.07, 3.1),
    "crouch_walk": (0.597, 0.966),
    "march": (1.94, 2.8),
    "step": (2.13, 2.8),
    "sidestep": (2.67, 3.5),
    "turn": (63, 91.7),
    "turn_around": (85.8, 131),
    "spin": (108, 170),
    "squat": (0.954, 1.42),
    "lunge": (0.904, 1.31),
    "bow": (33.8, 57.8),
    "touch_toes": (1.9, 2.84),
    "pick": (1.15, 1.78),
    "wave": (1.36, 2.2),
    "raise": (2.56, 3.69),
    "punch": (1.55, 1.89),
    "clap": (2.6, 3.57),
    "stretch": (1.22, 1.85),
    "throw": (2.86, 3.56),
    "kick": (3.69, 4.65),
    "sit": (0.896, 1.4),
    "stand_up": (1.14, 1.73),
    "kneel": (0.477, 0.787),
    "lie": (1.42, 1.94),
    "jumping_jacks": (0.676, 0.834),
}


def _evidence(part: Part, f: Facts) -> list[Event]:
    """The events that show a part's action, whatever its side, direction and count."""
    events = f.of(*_EVENTS.get(part.action, ()))
    turns = f.of("turn")
    if part.action in _DEGREES:
        low, high = _DEGREES[part.action]
        return [e for e in events if low <= abs(e.size) < high]
    if part.action == "touch_toes":
        return [e for e in events if e.size > 0.78]
    if part.action == "pick":
        return [e for e in events if e.size <= 0.78]
    if part.action in ("step", "sidestep"):
        busy = [*turns, *f.of("lunge", "throw", "kneel", "lie", "run", "crouch walk", "kick")]
        ways = ("left", "right") if part.action == "sidestep" else ("forward", "backward")
        walks = [
            e
            for e in f.of("walk")
            if abs(e.size) > 45
            or (e.direction in ("forward", "backward") and (_steps_in(e, f) > 5 or part.action == "sidestep"))
        ]
        events = [e for e in events if not any(_shared(e, b) > 0.5 for b in (*busy, *walks))]
        return [e for e in events if e.direction in ways]
    if part.action == "walk":
        return [e for e in events if (_steps_in(e, f) >= 3 or abs(e.speed) * (e.end - e.start) > 1.2) and not (
            e.direction in ("left", "right") and abs(e.size) < 45)]  # fmt: skip
    if part.action == "stand":
        return [Event("stand", 0.0, f.duration)] if not f.events and f.distance < 0.5 else []
    if part.action == "stretch":
        return [e for e in events if not any(_shared(e, b) > 0.5 for b in f.of("leg raised", "hop"))]
    if part.action == "hips":  # hands on the lap, or held low in a crouch, are as near
        lap = f.of("sit", "seated", "stand up", "crouch walk", "kneel", "run")
        return [e for e in events if not any(_shared(e, b) > 0.3 for b in lap)]
    if part.action in ("raise", "wave"):
        return _both(events)
    return events


def _shared(a: Event, b: Event) -> float:
    """Share of event a that lies within b."""
    return max(0.0, min(a.end, b.end) - max(a.start, b.start)) / max(a.end - a.start, 0.05)


def _steps_in(e: Event, f: Facts) -> int:
    return sum(_shared(step, e) > 0.5 for step in f.of("step"))


def _both(events: list[Event]) -> list[Event]:
    """A left and a right event at the same time become one of both sides."""
    left, right = ([e for e in events if e.side == side] for side in ("left", "right"))
    out: list[Event] = []
    for e in left:
        twin = next((r for r in right if _shared(e, r) > 0.5 and _shared(r, e) > 0.5), None)
        if twin:
            right.remove(twin)
            out.append(Event(e.name, min(e.start, twin.start), max(e.end, twin.end), "both",
                             count=round((e.count + twin.count) / 2), speed=max(e.speed, twin.speed)))  # fmt: skip
        else:
            out.append(e)
    return sorted([*out, *right], key=lambda e: e.start)


def _goes(part: Part, e: Event) -> bool:
    """Whether an event has a part's direction."""
    if part.action in ("walk", "run", "crouch_walk"):
        # A curve is a turn on the way; a circle nearly a whole one.
        if part.direction in ("left", "right"):
            return e.direction != "backward" and 45 < (e.size if part.direction == "left" else -e.size) < 220
        if part.direction in ("clockwise", "counterclockwise"):
            return (e.size if part.direction == "counterclockwise" else -e.size) >= 220
        return e.direction == part.direction and abs(e.size) < 50
    return e.direction == part.direction


def _count(part: Part, events: list[Event]) -> int:
    if part.action == "sidestep":
        return sum(e.side == part.direction for e in events)
    if part.action in ("step", "jump", "hop", "punch", "kick"):
        return len(events)
    return sum(e.count for e in events)


def measured_speed(part: Part, events: list[Event]) -> float:
    """The speed of a part's evidence, in the unit of its kind of event (m/s, degrees/s, times a second)."""
    if part.action in ("jumping_jacks", "clap", "march", "wave"):
        spans = sum(e.end - e.start for e in events)
        return sum(e.count for e in events) / max(spans, 0.1)
    if part.action in ("step", "sidestep"):
        return float(np.median([1 / max(e.end - e.start, 0.05) for e in events]))
    if part.action == "walk":  # people go backward and round in circles more slowly than ahead
        return float(
            np.median(
                [e.speed / (0.62 if e.direction == "backward" else 0.85 if abs(e.size) > 220 else 1.0) for e in events]
            )
        )
    if part.action == "bow":
        return float(np.median([e.size * e.count / max(e.end - e.start, 0.05) for e in events]))
    return float(np.median([e.speed for e in events]))


def check(spec: Spec, joints: np.ndarray, measured: Facts | None = None) -> dict[str, bool]:
    """What a specification asks, measured on (T, 22, 3) joints of 20 fps.

    "action": every part's action is there; and "side", "direction", "count", "speed" where a part asks for
    them, true if every such part has them; "order" for two parts: one starts before the other ("then") or
    they share time ("while"). What an action is, `motionllm.motion.facts` says rule by rule.
    """
    f = measured or facts(joints)
    result = {"action": True}
    spans: list[list[Event]] = []
    for part in spec.parts:
        events = _evidence(part, f)
        result["action"] &= bool(events)
        if part.side:
            right = [e for e in events if e.side == part.side]
            # The other side's events belong to the other part, if that asks for the same action.
            others = any(p is not part and p.action == part.action for p in spec.parts)
            result["side"] = result.get("side", True) and bool(right) and (others or 2 * len(right) > len(events))
            events = right or events
        if part.direction:
            right = [e for e in events if _goes(part, e)]
            result["direction"] = result.get("direction", True) and bool(right)
            events = right or events
        if part.count:
            result["count"] = result.get("count", True) and _count(part, events) == part.count
        if part.speed:
            ok = bool(events)
            if events and part.action in SPEEDS:
                slow, quick = SPEEDS[part.action]
                value = measured_speed(part, events)
                ok = value <= slow if part.speed == "slowly" else value >= quick
            result["speed"] = result.get("speed", True) and ok
        spans.append(events)
    if spec.relation and all(spans):
        (first, second) = spans
        if spec.relation == "then":
            result["order"] = any(a.start + a.end < b.start + b.end and a is not b for a in first for b in second)
        else:
            result["order"] = any(min(a.end, b.end) > max(a.start, b.start) for a in first for b in second)
    elif spec.relation:
        result["order"] = False
    return result
