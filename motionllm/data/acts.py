"""The acts of a notation: an event that has a name, and the smaller lines (swinging arms, stepping feet) that belong to
it. Changes address acts by their verb, by verb and limb, or by which of several they are ("2nd jump").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from motionllm.data.timeline import made
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import SMALL, Line, Notation
from motionllm.motion.notation.verbs import BY_LENGTH

ACTS = 8  # most acts in a summary; the longest are kept
CHANGES_POSTURE = ("sit", "lie", "kneel", "stand up")
COUNTED = (
    "jump",
    "hop",
    "jumping jack",
    "squat",
    "lunge",
    "bow",
    "wave",
    "throw",
    "punch",
    "clap",
    "kick",
    "twist",
    "bend down",
    "cartwheel",
    "circle",
    "swing",
    "reach up",
)
REPEATED = ("wave", "clap", "jumping jack", "hop", "punch", "twist", "circle", "swing")  # without a rest in between
FREE_HANDS = ("wave", "clap", "hands on hips", "hand to head", "reach up", "stretch", "punch")  # while the legs go
_OF_HANDS = (*FREE_HANDS, "throw", "bend down", "jumping jack")
# Acts of limbs that may be made larger or smaller: a kick higher, a wave wider.
AMPLE = ("wave", "kick", "lift", "raise", "swing", "circle", "stretch", "march")
ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "last")  # which of several acts of a verb


@dataclass(frozen=True)
class Act:
    """An event and the lines that belong to it: line numbers, the event's own first, and the time span in seconds."""

    rows: tuple[int, ...]
    main: Line
    start: float
    end: float


@lru_cache(256)  # each of a clip's edits looks at the same acts
def acts(notation: Notation) -> tuple[Act, ...]:
    """The acts of a notation in order of time. Where no event has a name, every line is an act."""
    lines = notation.lines
    mains = [i for i, line in enumerate(lines) if line.verb not in SMALL] or list(range(len(lines)))
    members: dict[int, list[int]] = {i: [i] for i in mains}
    for i, line in enumerate(lines):
        if i in members:
            continue
        apart = {m: max(line.start, lines[m].start) - min(line.end, lines[m].end) for m in mains}
        near = [m for m in mains if apart[m] < 0.8]
        if near:  # arms belong to gestures rather than to walking, legs the other way round
            arm = "arm" in line.part or "hand" in line.part
            away = {m: max(apart[m], -0.6) + ((lines[m].verb in _OF_HANDS) != arm) for m in near}
            members[min(near, key=lambda m: away[m])].append(i)
    return tuple(
        Act(tuple(rows), lines[m], min(lines[i].start for i in rows), max(lines[i].end for i in rows))
        for m, rows in members.items()
    )


def summary(notation: Notation) -> str:
    """The duration of a notation and its acts without their times: the input of a model that translates requests."""
    every = acts(notation)
    longest = sorted(every, key=lambda act: act.main.end - act.main.start, reverse=True)[:ACTS]
    lines = []
    for act in sorted(longest, key=lambda act: (act.main.start, act.main.end)):
        lines.append(replace(act.main, speed=0.0, pace="").words)
    return f"{notation.seconds:.1f} s: {'; '.join(lines) or notation.postures[0]}"


def unrolled(old: Notation, change: str) -> Notation:
    """The plan as a change addresses it: an event that is done several times, of which it names one by its number, as
    so many events of equal length.
    """
    for name in re.findall(rf"(?:^|\b)((?:{'|'.join(ORDINALS)}) (?:{'|'.join(BY_LENGTH)}))\b", change):
        number, verb = numbered(name)
        same = [act for act in acts(old) if act.main.verb == verb]
        line = same[0].main if len(same) == 1 else None
        last = number is not None and ORDINALS[number] == "last"
        if line is None or number is None or line.count < 2 or (number >= line.count and not last):
            continue
        lasts = (line.end - line.start) / line.count
        times = [
            replace(line, start=line.start + i * lasts, end=line.start + (i + 1) * lasts, count=1)
            for i in range(line.count)
        ]
        lines = [one for other in old.lines for one in (times if other == line else [other])]
        old = made(old.seconds, old.postures, lines)
    return old


def rolled(new: Notation) -> Notation:
    """The plan with repetitions that follow each other and are alike as one event, as they are measured."""
    lines: list[Line] = []
    for line in new.lines:
        for i, before in enumerate(lines):
            alike = replace(line, start=before.start, end=before.end, count=before.count) == before
            if alike and abs(line.start - before.end) < 0.11:
                lines[i] = replace(before, end=line.end, count=before.count + line.count)
                break
        else:
            lines.append(line)
    return replace(new, lines=tuple(lines))


def act_of(old: Notation, name: str) -> Act:
    """The act with a verb, or with a verb and a limb ("hop right leg"); the longest of several, or which of them a name
    says ("2nd hop").
    """
    every, (number, what) = acts(old), numbered(name)
    same = [a for a in every if a.main.verb == what] or [a for a in every if f"{a.main.verb} {a.main.part}" == what]
    if number is not None:
        same = same[-1:] if ORDINALS[number] == "last" else same[number : number + 1]
    if not same:
        raise MotionLLMError(f"That was understood as a change of {name[:40]!r}, but the motion is {summary(old)!r}.")
    return max(same, key=lambda act: act.main.end - act.main.start)


def numbered(name: str) -> tuple[int | None, str]:
    """Which of several acts a name means, an index of ORDINALS or None, and the name without: "2nd hop" → 1, "hop"."""
    which, _, what = name.partition(" ")
    return (ORDINALS.index(which), what) if which in ORDINALS else (None, name)


def besides(old: Notation, name: str) -> tuple[Act | None, str]:
    """The last of the acts that are not what a verb, or a verb and a limb, or which of several names (None: no other is
    left), and what names that one without it.
    """
    act, every, (number, what) = act_of(old, name), acts(old), numbered(name)
    kept = [act]
    if number is None:
        kept = [one for one in every if one.main.verb == act.main.verb]
        kept = kept if name == act.main.verb else [one for one in kept if one.main.part == act.main.part]
    others = [one for one in every if one not in kept]
    if not others:
        return None, name
    earlier = others[-1].main.verb == act.main.verb and others[-1].start <= act.start
    if number and ORDINALS[number] != "last" and earlier:
        name = f"{ORDINALS[number - 1]} {what}"
    return others[-1], name


def alone(act: Act, others: Sequence[Act]) -> bool:
    """Whether no other named event happens at the same time."""
    return not _beside(act, others)


def edge(old: Notation, act: Act, where: str) -> float:
    """The second right "after" or "before" an act and what is done at the same time."""
    meanwhile = [act, *_beside(act, acts(old))]
    return max(o.end for o in meanwhile) if where == "after" else min(o.start for o in meanwhile)


def _beside(act: Act, others: Sequence[Act]) -> list[Act]:
    return [o for o in others if o != act and min(o.end, act.end) - max(o.start, act.start) >= 0.25]
