"""Agreement: how well a measured motion follows a plan, event by event.

    planned                            measured                           agrees  wrong
    0.0-1.4 run forward 3.4 m/s        0.0-1.6 run forward 3.1 m/s          0.98
    1.8-2.6 wave right hand x3         1.9-2.6 wave left hand x2            0.64  side, count
    3.0-3.5 clap                       –                                    0.00  missing

Each event of the plan is matched with at most one measured event by the best assignment: the same verb or a similar
one, then side, way, count and time; on a tie, the match that keeps the order. Attributes that the plan leaves out are
not compared, except that no count means once, no curve straight on, and no word for the pace the usual pace.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.notation import SMALL, VERBS, Line, Notation, measure

# Weights of an event's attributes, each counted where the plan has it. "verb": the event is there.
WEIGHTS = {"verb": 3.0, "side": 3.0, "way": 2.0, "count": 2.0, "time": 2.0, "order": 1.0, "size": 1.0, "speed": 1.0}
# Least value of each attribute that counts as right.
RIGHT = dict.fromkeys(WEIGHTS, 1.0) | {"time": 0.6, "size": 0.75, "speed": 0.75, "order": 0.9}
_SMALL_EVENT = 0.3  # weight of a limb movement, relative to an event of the whole body or a named gesture
_EXTRA = 0.2  # weight factor of an unplanned event, as a plan need not name everything
_ENDS = {"seconds": 0.25, "start": 0.25, "end": 0.25}
# Verbs that measuring confuses; an event with another verb of its group counts half.
_FAMILIES = (
    ("walk", "run", "creep", "march", "step"),
    ("creep", "crawl", "climb"),
    ("jump", "hop", "jumping jack"),
    ("cartwheel", "flip", "roll"),
    ("squat", "lunge", "kneel", "sit"),
    ("bend down", "bow", "lean", "squat"),
    ("kick", "lift", "stand on", "step"),
    ("throw", "punch", "stretch", "swing"),
    ("wave", "swing", "circle"),
    ("raise", "reach up", "hold", "stretch"),
    ("lower", "bend"),
    ("turn", "twist", "look"),
)
_KIN = {(a, b) for family in _FAMILIES for a in family for b in family if a != b}
_NEAR = 0.2  # seconds; events less far apart count both as consecutive and as overlapping


@dataclass(frozen=True)
class Row:
    """An event of the plan and its match (None: missing), or an extra event (planned None).

    agrees: value 0 to 1 for each attribute of the event that the plan has, by the names of WEIGHTS; empty without a
    match. score: their weighted mean, 0 to 1. weight: of the event in the agreement.
    """

    planned: Line | None
    found: Line | None
    agrees: Mapping[str, float] = field(default_factory=dict)
    score: float = 0.0
    weight: float = 1.0

    @property
    def wrong(self) -> list[str]:
        """The attributes of the plan that the match gets wrong; ["missing"] or ["extra"] without a match."""
        if not self.planned or not self.found:
            return ["missing" if self.planned else "extra"]
        return [name for name, value in self.agrees.items() if value < RIGHT[name]]

    @property
    def kept(self) -> bool:
        """Whether the event is there with the right verb and side, at its time (within 0.2 s)."""
        if not self.planned or not self.found or self.agrees["verb"] < 1 or self.agrees.get("side", 1.0) < 1:
            return False
        return _shared(self.planned, self.found) > -_NEAR


@dataclass(frozen=True)
class Agreement:
    """score: 0 to 1, 1 for the same notation. rows: the plan's events in its order, then the extra ones.

    ends: {"seconds", "start", "end"}: duration and the postures at both ends, each 0 to 1.
    """

    score: float
    rows: tuple[Row, ...]
    ends: Mapping[str, float]

    def __str__(self) -> str:
        """A table with one line per event, as at the top of this module; then duration, postures and the score."""
        cells = [("planned", "measured", "agrees", "wrong")]
        for row in self.rows:
            wrong = ", ".join(row.wrong)
            cells.append((str(row.planned or "–"), str(row.found or "–"), f"{row.score:.2f}", wrong))
        widths = [max(len(cell[i]) for cell in cells) for i in (0, 1)]
        lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>6}  {d}".rstrip() for a, b, c, d in cells]
        ends = ", ".join(f"{name} {value:.2f}" for name, value in self.ends.items())
        return "\n".join([*lines, f"{ends}; agreement {self.score:.3f}"])


def agreement(plan: Notation, measured: Notation) -> Agreement:
    """How well a measured notation follows a plan. Exchanging left and right in both does not change the score."""
    # Simultaneous lines have no order in a notation: sort them by a key that ignores left and right.
    planned, events = (sorted(n.lines, key=_place) for n in (plan, measured))
    longest = max(plan.seconds, measured.seconds, *(x.end for x in (*planned, *events)), 0.1)
    pairs = _matched(planned, events, longest)
    earlier = {i: [k for k in pairs if _before(planned[i], planned[k])] for i in pairs}
    rows = []
    for i, line in enumerate(planned):
        if (j := pairs.get(i)) is None:
            rows.append(Row(line, None, {}, 0.0, _weight(line)))
            continue
        agrees = _compared(line, events[j])
        # The share of the other events that are before or after it as planned.
        asked = [(k, i, k) for k in pairs if i in earlier[k]] + [(i, k, k) for k in earlier[i]]
        if asked:
            of = [_weight(planned[k]) for _, _, k in asked]
            kept = [
                w
                for w, (a, b, _) in zip(of, asked, strict=True)
                if _middle(events[pairs[a]]) < _middle(events[pairs[b]])
            ]
            agrees["order"] = math.fsum(kept) / math.fsum(of)
        rows.append(Row(line, events[j], agrees, _score(agrees), _weight(line)))
    matched = set(pairs.values())
    rows += [Row(None, line, {}, 0.0, _EXTRA * _weight(line)) for j, line in enumerate(events) if j not in matched]
    ends = {
        "seconds": _ratio(plan.seconds, measured.seconds),
        "start": float(plan.postures[0] == measured.postures[0]),
        "end": float(plan.postures[1] == measured.postures[1]),
    }
    total = [(row.weight, row.score) for row in rows] + [(_ENDS[name], value) for name, value in ends.items()]
    # Rounded, so that the order of summation does not matter.
    score = round(math.fsum(w * v for w, v in total) / math.fsum(w for w, _ in total), 9)
    return Agreement(score, tuple(rows), ends)


def agreement_of(plan: Notation, joints: np.ndarray, fps: float = 20.0) -> Agreement:
    """How well a motion, joints (T, 22, 3) in metres, follows a plan. One that cannot be measured has no events."""
    try:
        return agreement(plan, measure(joints, fps))
    except MotionLLMError:  # under 5 frames, or not finite
        return agreement(plan, Notation(0.0, ("", "")))


def _matched(planned: list[Line], events: list[Line], longest: float) -> dict[int, int]:
    """{index of a planned line: index of its match}: the assignment with the greatest total likeness."""
    likeness = np.zeros((len(planned), len(events)))
    for i, a in enumerate(planned):
        for j, b in enumerate(events):
            if a.verb == b.verb or (a.verb, b.verb) in _KIN:
                agrees = _compared(a, b)
                exact = _score(agrees)
                # Linear in time with a small convex term, so that similar events are matched in order.
                apart = abs(_middle(a) - _middle(b)) / longest
                agrees["time"] = 1 - 0.95 * apart - 0.05 * apart**2
                likeness[i, j] = _weight(a) * (_score(agrees) + 1e-4 * exact)
    if not likeness.any():
        return {}
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return {i: j for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if likeness[i, j] > 0}


def _compared(plan: Line, event: Line) -> dict[str, float]:
    """Value 0 to 1 of each attribute that the plan has, for a line with the same or a similar verb; without order."""
    spec = VERBS[plan.verb]
    agrees = {"verb": 1.0 if plan.verb == event.verb else 0.5}
    if plan.part:
        sides = {plan.part.split(" ")[0], event.part.split(" ")[0]}
        agrees["side"] = 1.0 if len(sides) == 1 else 0.5 if "both" in sides or "" in sides else 0.0
    if plan.way:
        agrees["way"] = 1.0 if plan.way == event.way else 0.0 if event.way in spec.ways else 0.5
    if not spec.speed:
        agrees["count"] = plan.count / (plan.count + 2 * abs(plan.count - event.count))
    moved = abs(plan.start - event.start) + abs(plan.end - event.end)
    agrees["time"] = 1 / (1 + moved / (1 + plan.end - plan.start))
    size = event.size if VERBS[event.verb].size == spec.size else 0.0  # a similar verb may have another kind of size
    if spec.size == "m" and plan.size:
        agrees["size"] = _ratio(plan.size + 0.1, size + 0.1)
    elif spec.size and (plan.size or spec.speed):  # no curve means straight
        agrees["size"] = 90 / (90 + abs(plan.size - size))
    if plan.speed:
        agrees["speed"] = _ratio(plan.speed, event.speed)
    elif spec.usual:  # no word for the pace means usual
        agrees["speed"] = 1.0 if plan.pace == event.pace else 0.5 if "" in (plan.pace, event.pace) else 0.0
    return agrees


def _score(agrees: Mapping[str, float]) -> float:
    """The weighted mean; halved where the verb differs."""
    asked = [(WEIGHTS[name], 1.0 if name == "verb" else value) for name, value in agrees.items()]
    return agrees["verb"] * math.fsum(w * v for w, v in asked) / math.fsum(w for w, _ in asked)


def _weight(line: Line) -> float:
    return _SMALL_EVENT if line.verb in SMALL else 1.0


def _middle(line: Line) -> float:
    return 0.5 * (line.start + line.end)


def _shared(a: Line, b: Line) -> float:
    """Overlap of two lines in seconds; negative: the gap between them."""
    return min(a.end, b.end) - max(a.start, b.start)


def _before(a: Line, b: Line) -> bool:
    return a.end <= b.start + _NEAR and _middle(a) < _middle(b)


def _ratio(a: float, b: float) -> float:
    return min(a, b) / max(a, b) if max(a, b) > 0 else 1.0


def _place(line: Line) -> tuple[Any, ...]:
    return (
        line.start,
        line.end,
        line.verb,
        line.part == "",
        line.part.startswith("both"),
        line.count,
        line.speed,
        line.pace,
    )


# -- over many -------------------------------------------------------------------------------------------------


def tally(agreements: Iterable[Agreement]) -> dict[str, dict[str, dict[str, float]]]:
    """Which kinds of event fail: {"verbs": {verb: …}, "aspects": {aspect: …}}, each {"asked": times, "right": share}.

    A verb is right where its event is there with its side at its time (`Row.kept`), an aspect where it is as planned in
    the matched event. A count is asked where one of the two is over 1, a speed where one of them has one or a word for
    the pace, the ends in every clip.
    """
    verbs: dict[str, list[bool]] = defaultdict(list)
    aspects: dict[str, list[bool]] = {name: [] for name in [*WEIGHTS, *_ENDS] if name != "verb"}
    for one in agreements:
        for row in one.rows:
            if not row.planned:
                continue
            verbs[row.planned.verb].append(row.kept)
            for name in row.agrees.keys() - {"verb"}:
                if _said(name, row.planned) or (row.found and _said(name, row.found)):
                    aspects[name].append(name not in row.wrong)
        for name, value in one.ends.items():
            aspects[name].append(value >= (0.9 if name == "seconds" else 1.0))
    return {
        "verbs": {name: _share(verbs[name]) for name in sorted(verbs, key=lambda v: (-len(verbs[v]), v))},
        "aspects": {name: _share(values) for name, values in aspects.items() if values},
    }


def _said(aspect: str, line: Line) -> bool:
    return line.count > 1 if aspect == "count" else bool(line.speed or line.pace) if aspect == "speed" else True


def _share(right: list[bool]) -> dict[str, float]:
    return {"asked": len(right), "right": sum(right) / len(right)}
