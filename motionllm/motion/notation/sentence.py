"""A notation in plain English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from motionllm.motion.notation.verbs import PACES, SMALL, TRAVEL, VERBS

if TYPE_CHECKING:
    from motionllm.motion.notation.text import Line, Notation

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def sentence_of(
    notation: Notation,
    clauses: int = 4,
    subject: str = "a person",
    between: str = ", ",
    last: str = ", and ",
) -> str:
    """A sentence of at most `clauses` clauses."""
    lines = _told(notation)
    best = sorted(lines, key=lambda line: line.weight, reverse=True)[:clauses]

    def order(line: Line) -> tuple[bool, float, float]:
        return line.verb != "dance", line.start, line.end

    phrases = [_clause(line) for line in _added_up(sorted(best, key=order))]
    start, end = notation.postures
    verb = {"standing": "stands", "sitting": "sits", "kneeling": "kneels", "lying": "lies", "crouching": "crouches"}
    if not phrases:
        return f"{subject} {verb[start]} still" if start == end else f"{subject} goes from {start} to {end}"
    stays = start == end and start in ("sitting", "kneeling", "lying") and not any(x.verb in _MOVES for x in best)
    if stays:
        phrases = [verb[start], *phrases]
    if len(phrases) == 1:
        return f"{subject} {phrases[0]}"
    if stays and len(phrases) == 2:  # at the same time
        return f"{subject} {' and '.join(phrases)}"
    return f"{subject} {between.join(phrases[:-1])}{' and then ' if len(phrases) == 2 else last}{phrases[-1]}"


_MOVES = ("sit", "kneel", "lie", "stand up", "walk", "run", "crawl", "roll", "squat", "bend down")  # out of a posture


def _told(notation: Notation) -> list[Line]:
    """The lines that a sentence is made of: not those that are part of another event nor, where there are events, limb
    movements.
    """
    lines = [x for x in notation.lines if x.verb not in SMALL or x.verb == "lift"] or list(notation.lines)
    if any(x.verb == "dance" for x in lines):  # its steps and turns are not listed
        lines = [x for x in lines if x.verb not in ("turn", "kick", "lift", *TRAVEL)]
    return [x for x in lines if not any(x.verb in _PARTS_OF.get(y.verb, ()) and _beside(x, y) for y in lines)]


def _added_up(lines: Sequence[Line]) -> list[Line]:
    """Lines of which neighbours that a sentence says alike are one, with the times that they are done in all."""
    result: list[Line] = []
    for line in lines:
        if result and _clause(replace(result[-1], count=1)) == _clause(replace(line, count=1)):
            count = 1 if line.verb in TRAVEL else result[-1].count + line.count
            result[-1] = replace(result[-1], end=line.end, count=count)
        else:
            result.append(line)
    return result


_PARTS_OF = {"throw": ("reach up",), "lift": ("bow",), "kick": ("lift",), "march": ("lift",), "stand on": ("lift",)}


def _beside(a: Line, b: Line) -> bool:
    """Whether two lines overlap, or are at most 0.5 s apart."""
    return a.start < b.end + 0.5 and b.start < a.end + 0.5


def _clause(line: Line) -> str:
    verb, after = VERBS[line.verb].words
    if line.verb == "stretch" and line.way == "out":
        verb, after = "stretches", "the {part} out to the side" + ("s" if line.part.startswith("both") else "")
    if line.verb == "march" and line.pace:
        verb, after = ("jogs in place", "") if line.pace == PACES[1] else ("raises the knees one after the other", "")
    way = line.way
    part = line.part.replace("leg", "knee") if line.verb == "lift" else line.part
    if line.verb == "step":
        way = f"to the {way}" if way in ("left", "right") else way
        verb, after = ("takes", f"{_number(line.count)} steps {way}") if line.count > 1 else (verb, way)
        after += f" with the {part}" if part else ""
    if line.verb in ("walk", "run", "creep") and line.way in ("left", "right"):
        way = f"sideways to the {line.way}"
    phrase = f"{verb} {after if _filled(after, line) else ''}".format(part=part, way=way)
    words = [" ".join(phrase.replace("the both", "both").split())]
    if line.verb == "turn" and line.size >= 150:
        words.append("all the way around" if line.size >= 270 else "to face the other way")
    if line.verb in TRAVEL and abs(line.size) >= 45:
        words.append(
            "in a circle" if abs(line.size) >= 270 else f"curving to the {'left' if line.size > 0 else 'right'}"
        )
    if line.count > 1 and line.verb not in ("step", "jumping jack", "twist", "march"):
        words.append("twice" if line.count == 2 else f"{_number(line.count)} times")
    return " ".join(word for word in words if word)


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else "several"


def _filled(words: str, line: Line) -> bool:
    """Whether the line has a value for the placeholders in the words."""
    return ("{part}" not in words or bool(line.part)) and ("{way}" not in words or bool(line.way))
