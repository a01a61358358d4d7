"""Notations in time: lines moved, stretched, paced, mirrored and reversed, and how much of two is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from motionllm.motion.notation import PACES, VERBS, Line, Notation
from motionllm.motion.notation.verbs import GAITS, LEADS_TO, TRAVEL

BACKWARD = 0.7  # people walk backward more slowly
LONG = (*TRAVEL, "dance", "stand on", "hold", "hands on hips", "march", "lean", "wave", "clap")
_TURNED_ROUND = (*TRAVEL, "climb", "step", "turn", "jump")  # have the other way in reverse


def shifted(lines: Sequence[Line], by: float) -> list[Line]:
    return [replace(x, start=x.start + by, end=x.end + by) for x in lines]


def lasting(old: Notation, factor: float) -> Notation:
    """Lengthen or shorten as a whole; the body travels at the same speed, and so covers more or less distance."""
    return made(
        old.seconds * factor,
        old.postures,
        [replace(x, start=x.start * factor, end=x.end * factor) for x in old.lines],
    )


def made(seconds: float, postures: tuple[str, str], lines: Sequence[Line]) -> Notation:
    """A notation from lines, with times clamped to the clip, rounded and sorted."""
    seconds = round(seconds, 1)
    kept = []
    for line in lines:
        start = min(max(0.0, round(line.start, 1)), seconds)
        kept.append(replace(line, start=start, end=min(max(start, round(line.end, 1)), seconds)))
    return Notation(seconds, postures, tuple(sorted(kept, key=lambda x: (x.start, x.end))))


def mirrored(old: Notation) -> Notation:
    """The notation with left and right exchanged."""
    return replace(old, lines=tuple(opposite(line) for line in old.lines))


_UNDONE = {"sit": "stand up", "kneel": "stand up", "lie": "stand up", "raise": "lower", "lower": "raise"}
_OTHER_WAY = {
    "forward": "backward",
    "backward": "forward",
    "left": "right",
    "right": "left",
    "up": "down",
    "down": "up",
}


def reversed_in_time(old: Notation) -> Notation:
    """The notation of the motion played from its end to its beginning."""
    begins = {posture: verb for verb, posture in LEADS_TO.items()}

    def undone(line: Line) -> Line:
        verb = line.verb
        if verb == "stand up":  # who got up from a seat sits down
            verb = begins.get(old.postures[0], "sit")
        way = _OTHER_WAY.get(line.way, line.way) if verb in _TURNED_ROUND else line.way
        size = -line.size if VERBS[verb].speed and line.size else line.size
        verb = _UNDONE.get(line.verb, verb)
        return replace(line, verb=verb, part=line.part if VERBS[verb].parts else "", way=way, size=size)

    last = _backward(old)
    return made(last.seconds, last.postures, [undone(line) for line in last.lines])


def paced(old: Notation, pace: float) -> Notation:
    """The notation played `pace` times as fast."""
    lines = [quicker(replace(x, start=x.start / pace, end=x.end / pace), pace) for x in old.lines]
    return made(old.seconds / pace, old.postures, lines)


def opposite(line: Line) -> Line:
    swap = {"left": "right", "right": "left"}
    part = " ".join(swap.get(word, word) for word in line.part.split(" "))
    size = -line.size if VERBS[line.verb].speed and line.size else line.size
    return replace(line, part=part, way=swap.get(line.way, line.way), size=size)


def heading(line: Line) -> str:
    if line.verb in GAITS and line.size:
        return "left" if line.size > 0 else "right"
    return line.way if line.verb in (*GAITS, "turn", "jump", "step", "look", "lean") else ""


def turned_back(line: Line) -> Line:
    swap = {"forward": "backward", "backward": "forward"}
    if line.verb not in (*GAITS, "jump", "step", "lean") or line.way not in swap:
        return line
    pace = BACKWARD if line.way == "forward" else 1 / BACKWARD
    return quicker(replace(line, way=swap[line.way]), pace)


def quicker(line: Line, pace: float) -> Line:
    """The line at `pace` times its speed; from half as fast again as usual it is "quickly"."""
    word = line.pace
    if VERBS[line.verb].usual and not 0.75 < pace < 1.34:
        ladder = (PACES[0], "", PACES[1])
        steps = 1 if 0.6 < pace < 1.8 else 2
        word = ladder[min(2, max(0, ladder.index(word) + (steps if pace > 1 else -steps)))]
    return replace(line, speed=max(0.1, round(line.speed * pace, 1)) if line.speed else 0.0, pace=word)


def stretched(old: Notation, a: float, b: float, longer: float) -> Notation:
    """Lengthen the seconds from a to b by `longer` (negative: shorten, at most to nothing), and move everything later.
    Lines within a part that is cut out are removed.
    """
    factor = max(0.0, 1 + longer / (b - a)) if b > a else 1.0

    def at(t: float) -> float:
        return t if t <= a else a + (t - a) * factor if t < b else t + longer

    lines = [replace(x, start=at(x.start), end=at(x.end)) for x in old.lines]
    if factor < 0.01:
        lines = [x for x, was in zip(lines, old.lines, strict=True) if not (was.start >= a and was.end <= b)]
    return made(old.seconds + longer, old.postures, lines)


def shared(old: Notation, new: Notation) -> tuple[float, float]:
    """Seconds at the beginning and at the end in which both notations agree."""
    backward = (_backward(old), _backward(new))
    return _alike(old, new), _alike(*backward)


def _alike(old: Notation, new: Notation) -> float:
    if old.postures[0] != new.postures[0]:
        return 0.0
    until = min(old.seconds, new.seconds)
    theirs = list(new.lines)
    for line in old.lines:
        same = [x for x in theirs if abs(x.start - line.start) < 0.06 and _goes_on(line, x)]
        if not same:
            until = min(until, line.start)
            continue
        other = min(same, key=lambda x: abs(x.end - line.end))
        theirs.remove(other)
        if abs(other.end - line.end) > 0.06 or other.count != line.count:
            until = min(until, line.end, other.end)
    return min([until, *(x.start for x in theirs)])


def _goes_on(a: Line, b: Line) -> bool:
    """Whether two lines that begin together describe the same execution until the first of them ends."""
    if replace(a, start=b.start, end=b.end, count=b.count) != b:
        return False
    lasts = a.end - a.start, b.end - b.start
    if a.count > 1 or b.count > 1:
        return abs(lasts[0] / a.count - lasts[1] / b.count) < 0.25 * max(lasts[0] / a.count, lasts[1] / b.count)
    return a.verb in LONG or abs(lasts[0] - lasts[1]) < 0.06


def _backward(notation: Notation) -> Notation:
    """The notation reversed in time."""
    last = notation.seconds
    lines = [replace(x, start=round(last - x.end, 1), end=round(last - x.start, 1)) for x in notation.lines]
    return Notation(last, (notation.postures[1], notation.postures[0]), tuple(lines))
