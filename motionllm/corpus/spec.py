"""The specification of a clip of the built-in corpus: one or two actions with side, direction, count and speed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from motionllm.corpus.action import Part
from motionllm.corpus.actions import ACTIONS
from motionllm.errors import MotionLLMError

SHORTEST, LONGEST = 2.1, 9.8  # seconds; bounds of a clip


@dataclass(frozen=True)
class Spec:
    """One or two parts. relation: "" (one part), "then" or "while". seconds: length of the clip; 0 leaves it open."""

    parts: tuple[Part, ...]
    relation: str = ""
    seconds: float = 0.0

    def json(self) -> dict[str, Any]:
        """The specification as plain lists, dicts, strings and numbers."""
        return {**asdict(self), "parts": [asdict(part) for part in self.parts]}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Spec:
        """The inverse of `json`."""
        spec = cls(tuple(Part(**p) for p in values["parts"]), values.get("relation", ""), values.get("seconds", 0.0))
        spec.validate()
        return spec

    def validate(self) -> None:
        """Raise MotionLLMError if the corpus cannot produce this motion."""
        for part in self.parts:
            action = ACTIONS.get(part.action)
            if not action:
                raise MotionLLMError(
                    f"No action '{part.action}' in the built-in corpus: take one of {sorted(ACTIONS)}."
                )
            for name in ("side", "direction", "count", "speed"):
                value, offered = getattr(part, name), getattr(action, name)
                open_ = not value and (name in ("count", "speed") or not offered)  # not specified
                if value not in offered and not open_:
                    raise MotionLLMError(
                        f"'{part.action}' has no {name} {value!r}: take one of {list(offered or ('',))}."
                    )
        if (len(self.parts), bool(self.relation)) not in ((1, False), (2, True)):
            raise MotionLLMError(
                f"{len(self.parts)} parts with relation '{self.relation}': one part has none, two need one."
            )
        if self.relation == "while" and not (self.parts[0].action in CARRIERS and self.parts[1].action in UPPER):
            raise MotionLLMError(f"'while' joins one of {CARRIERS} and one of {UPPER}, in this order.")
        if self.relation not in ("", "then", "while"):
            raise MotionLLMError(f"No relation '{self.relation}': take '', 'then' or 'while'.")
        if self.seconds and not SHORTEST <= self.seconds <= LONGEST:
            raise MotionLLMError(f"A clip of {self.seconds} s: take {SHORTEST} to {LONGEST} seconds.")

    def bare(self) -> bool:
        """Whether it is one action with at most its side or direction; these are never held out of training."""
        return len(self.parts) == 1 and not self.parts[0].count and not self.parts[0].speed

    def fold(self) -> str:
        """The split of this specification, regardless of its length: 5 % val, 5 % test, by hash."""
        if self.bare():
            return "train"
        parts = (f"{p.action}/{p.side}/{p.direction}/{p.count}/{p.speed}" for p in self.parts)
        text = f" {self.relation} ".join(parts)
        share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
        return "val" if share < 0.05 else "test" if share < 0.10 else "train"


CARRIERS = tuple(name for name, action in ACTIONS.items() if action.carries)
UPPER = tuple(sorted((name for name, action in ACTIONS.items() if action.upper), key=lambda name: ACTIONS[name].upper))
_FAVOURED = {"": 3.0, "both": 0.6, "forward": 2.0}  # weights of sides and directions; all others 1


def _pick(rng: np.random.Generator, options: Sequence[str], weights: Sequence[float]) -> str:
    edges = np.cumsum(weights)
    return options[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))]


def _part(rng: np.random.Generator, action: str, modified: float) -> Part:
    """A random part with this action. modified: probability of count, and of speed, being specified."""
    offered = ACTIONS[action]
    values: dict[str, Any] = {}
    for name in ("side", "direction"):
        if options := getattr(offered, name):
            values[name] = _pick(rng, options, [_FAVOURED.get(option, 1.0) for option in options])
    fast = bool(offered.speed) and rng.random() < modified
    many = bool(offered.count) and rng.random() < modified * (0.35 if fast else 1.3)
    if fast:
        values["speed"] = offered.speed[rng.integers(2)]
    if many:
        values["count"] = int(offered.count[rng.integers(len(offered.count))])
    return Part(action, **values)


def _draw(rng: np.random.Generator, single: bool) -> Spec:
    def pick(allowed: Sequence[str]) -> str:
        return _pick(rng, allowed, [ACTIONS[name].weight for name in allowed])

    if single:
        return Spec((_part(rng, pick(tuple(ACTIONS)), 0.4),))
    if rng.random() < 0.25:
        return Spec((_part(rng, pick(CARRIERS), 0.2), _part(rng, pick(UPPER), 0.12)), "while")
    first = pick([name for name, action in ACTIONS.items() if not action.last])
    if then := ACTIONS[first].then:
        second = "stand_up" if rng.random() < 0.6 else pick(then)
    else:
        second = pick([n for n in ACTIONS if n not in ("stand_up", "stand") and (n != first or ACTIONS[n].repeats)])
    a, b = _part(rng, first, 0.2), _part(rng, second, 0.2)
    if first == second:  # a count would be ambiguous
        a, b = replace(a, count=0), replace(b, count=0)
    # The same action twice must differ in side or direction, and two curves in a row would be one.
    same = first == second and (a.side, a.direction) == (b.side, b.direction)
    curves = first == second == "walk" and not {a.direction, b.direction} & {"forward", "backward"}
    return _draw(rng, single) if same or curves else Spec((a, b), "then")


def draw(rng: np.random.Generator, split: str) -> Spec:
    """A random specification of a split: 55 % with one action, 45 % with two."""
    single = rng.random() < 0.55
    while True:
        spec = _draw(rng, single)
        if spec.fold() == split:
            return spec
