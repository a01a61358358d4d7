"""Whether a motion does what a specification asks, measured with `motionllm.motion.facts`, on any motion."""

from __future__ import annotations

import numpy as np

from motionllm.corpus.action import Part
from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.spec import Spec
from motionllm.motion.facts import Event, Facts, facts


def _goes(part: Part, e: Event) -> bool:
    """Whether an event has a part's direction."""
    if e.name in ("walk", "run", "crouch walk"):
        # A curve is a turn while walking, a circle nearly a whole turn.
        if part.direction in ("left", "right"):
            return e.direction != "backward" and 45 < (e.size if part.direction == "left" else -e.size) < 220
        if part.direction in ("clockwise", "counterclockwise"):
            return (e.size if part.direction == "counterclockwise" else -e.size) >= 220
        return e.direction == part.direction and abs(e.size) < 50
    return e.direction == part.direction


def check(spec: Spec, joints: np.ndarray, measured: Facts | None = None) -> dict[str, bool]:
    """What a specification asks for, measured on (T, 22, 3) joints, metres, at 20 fps.

    "action": every part's action occurs; and "side", "direction", "count", "speed" where a part specifies them, true if
    every such part has them; "order" for two parts: one starts before the other ("then") or they share time ("while").
    Actions are defined rule by rule in `motionllm.motion.facts`.
    """
    f = measured or facts(joints)
    result = {"action": True}
    spans: list[list[Event]] = []
    for part in spec.parts:
        action = ACTIONS[part.action]
        events = action.evidence(f.of(*action.events), f)
        result["action"] &= bool(events)
        if part.side:
            right = [e for e in events if e.side == part.side]
            # If the other part asks for the same action, the other side's events belong to it.
            others = any(p is not part and p.action == part.action for p in spec.parts)
            result["side"] = result.get("side", True) and bool(right) and (others or 2 * len(right) > len(events))
            events = right or events
        if part.direction:
            right = [e for e in events if _goes(part, e)]
            result["direction"] = result.get("direction", True) and bool(right)
            events = right or events
        if part.count:
            result["count"] = result.get("count", True) and action.times(part, events) == part.count
        if part.speed:
            ok = bool(events)
            if events and action.usual:
                slow, quick = action.usual
                value = action.speed_of(events)
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
