"""A notation in plain English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from motionllm.motion.notation.verbs import CIRCLE, CURVED, GAITS, PACES, SMALL, TRAVEL, VERBS
from motionllm.numerals import in_words, times

if TYPE_CHECKING:
    from motionllm.motion.notation.text import Line, Notation

HANDS_IN_A_ROW = 3  # "raises the left hand, raises both hands, raises the right hand": which one is no longer heard
REPEATS = 3  # a text that has the same three words in a row this often is none that a person would write


def sentence_of(
    notation: Notation,
    clauses: int = 4,
    subject: str = "a person",
    between: str = ", ",
    last: str = ", and ",
) -> str:
    """A sentence of at most `clauses` clauses, fewer where it would say the same again and again. What is done as a
    whole several times is said once, if all of it cannot be said.
    """
    lines = _told(notation)
    start, end = notation.postures
    verb = {"standing": "stands", "sitting": "sits", "kneeling": "kneels", "lying": "lies", "crouching": "crouches"}
    if not lines:
        return f"{subject} {verb[start]} still" if start == end else f"{subject} goes from {start} to {end}"
    text = ""
    for most in range(clauses, 0, -1):
        best = sorted(lines, key=lambda line: line.weight, reverse=True)[:most]
        told = _added_up(sorted(best, key=lambda line: (line.verb != "dance", line.start, line.end)))
        told = _hands_in_a_row(told)
        stays = start == end and start in ("sitting", "kneeling", "lying") and not any(x.verb in _MOVES for x in best)

        def whole(phrases: Sequence[str], stays: bool = stays) -> str:
            if stays and len(phrases) == 1:  # at the same time
                return f"{subject} {verb[start]} and {phrases[0]}"
            phrases = [verb[start], *phrases] if stays else phrases
            if len(phrases) == 1:
                return f"{subject} {phrases[0]}"
            return f"{subject} {between.join(phrases[:-1])}{' and then ' if len(phrases) == 2 else last}{phrases[-1]}"

        text = whole(_clauses(told, whole))
        said = repeats(text) < REPEATS
        if most == clauses and not (said and len(lines) <= most) and (rounds := _rounds(lines)) > 1:
            first = sorted(lines, key=lambda line: line.start)[: len(lines) // rounds]
            once = sentence_of(replace(notation, lines=tuple(first)), clauses, subject, between, last)
            return f"{once}, all that {times(rounds)}"
        if said:
            break
    return text


def _rounds(lines: Sequence[Line]) -> int:
    """How often the same two or more events follow each other; 1 if they do not."""
    said = [_clause(line) for line in sorted(lines, key=lambda line: line.start)]
    return next(
        (
            len(said) // length
            for length in range(2, len(said) // 2 + 1)
            if len(said) % length == 0 and said == said[:length] * (len(said) // length)
        ),
        1,
    )


_MOVES = ("sit", "kneel", "lie", "stand up", "walk", "run", "crawl", "roll", "squat", "bend down")  # out of a posture


def _told(notation: Notation) -> list[Line]:
    """The lines that a sentence is made of: not those that are part of another event nor, where there are events, limb
    movements.
    """
    lines = [x for x in notation.lines if x.verb not in SMALL or x.verb == "lift" or _sways(x)] or list(notation.lines)
    if any(x.verb == "dance" for x in lines):  # its steps and turns are not listed
        lines = [x for x in lines if x.verb not in ("turn", "kick", "lift", *TRAVEL)]
    return [x for x in lines if not any(x.verb in _PARTS_OF.get(y.verb, ()) and _beside(x, y) for y in lines)]


def _sways(line: Line) -> bool:
    """Whether a lean is an exercise: to one side and the other, counted."""
    return line.verb == "lean" and not line.way


def _added_up(lines: Sequence[Line]) -> list[Line]:
    """Lines of which neighbours that a sentence says alike are one, with the times that they are done in all."""
    result: list[Line] = []
    for line in lines:
        before = result[-1] if result else None
        if before and before.verb == line.verb == "step" and before.way == line.way:  # one foot and then the other
            part = line.part if line.part == before.part else ""
            result[-1] = replace(before, end=line.end, part=part, count=before.count + line.count)
        elif before and _curves_on(before, line):
            size, way = before.size + line.size, before.way or line.way
            result[-1] = replace(before, end=line.end, way=way, size=size)
        elif before and _clause(replace(before, count=1)) == _clause(replace(line, count=1)):
            count = 1 if line.verb in TRAVEL else before.count + line.count
            result[-1] = replace(before, end=line.end, count=count)
        else:
            result.append(line)
    return result


def _hands_in_a_row(lines: Sequence[Line]) -> list[Line]:
    """Lines of which HANDS_IN_A_ROW or more that raise one hand and both are one, of no hand that is told."""
    result: list[Line] = []
    for verb, group in groupby(lines, key=lambda line: line.verb):
        run = list(group)
        mixed = len({line.part for line in run}) > 1 and any(line.part == "both hands" for line in run)
        if verb == "reach up" and mixed and len(run) >= HANDS_IN_A_ROW:
            run = [replace(run[0], end=run[-1].end, part="", count=sum(line.count for line in run))]
        result += run
    return result


def _curves_on(before: Line, line: Line) -> bool:
    """Whether a body goes on along the same curve, forward or in no way that is told."""
    ahead = {before.way, line.way} <= {"", "forward"}
    alike = before.verb == line.verb and before.verb in TRAVEL and ahead
    return alike and min(abs(before.size), abs(line.size)) >= CURVED and before.size * line.size > 0


_PARTS_OF = {"throw": ("reach up",), "lift": ("bow",), "kick": ("lift",), "march": ("lift",), "stand on": ("lift",)}


def _beside(a: Line, b: Line) -> bool:
    """Whether two lines overlap, or are at most 0.5 s apart."""
    return a.start < b.end + 0.5 and b.start < a.end + 0.5


def _clauses(lines: Sequence[Line], whole: Callable[[Sequence[str]], str]) -> list[str]:
    """The clauses of a sentence. Where the `whole` one would have the same three words REPEATS times, a verb is not
    said again for the other side, a limb that the clause before names is "it", and later sides are short.
    """
    phrases = [_clause(line) for line in lines]
    again = range(len(lines) - 1, 0, -1)
    if repeats(whole(phrases)) < REPEATS:
        return phrases
    for k in again:
        verb = f"{VERBS[lines[k].verb].words[0]} "
        if lines[k - 1].verb == lines[k].verb and re.match(rf"{verb}(?:to|with|on) the (?:left|right)\b", phrases[k]):
            phrases[k] = phrases[k].removeprefix(verb)
    for k in again if repeats(whole(phrases)) >= REPEATS else ():
        part = f"the {lines[k].part}".replace("the both", "both")
        if (
            lines[k].part
            and lines[k].part == lines[k - 1].part
            and phrases[k].startswith(VERBS[lines[k].verb].words[0])
        ):
            phrases[k] = phrases[k].replace(part, "them" if part.startswith("both") else "it")
    for k in again:
        if repeats(whole(phrases)) >= REPEATS and not phrases[k].startswith("to the "):
            phrases[k] = re.sub(r"(.*)\bto the (left|right)\b", r"\1\2", phrases[k])
    return phrases


def repeats(text: str) -> int:
    """How often the same three words stand in a row."""
    words = text.lower().replace(",", " ").split()
    return max(Counter(zip(words, words[1:], words[2:], strict=False)).values(), default=0)


def _clause(line: Line) -> str:
    verb, after = VERBS[line.verb].words
    if line.verb == "stretch" and line.way == "out":
        verb, after = "stretches", "the {part} out to the side" + ("s" if line.part.startswith("both") else "")
    if line.verb == "march":
        verb, after = _feet_in_place(line)
    if line.verb == "jumping jack" and line.count > 1:
        verb, after = "does", f"{in_words(line.count)} jumping jacks"
    if line.verb == "bend down" and not line.part and line.count > 1:  # with one hand and the other
        after = "to the floor"
    if line.verb == "reach up" and not line.part:
        after = "the hands"
    if _sways(line):
        after = "to the side"
    way = line.way
    part = line.part.replace("leg", "knee") if line.verb == "lift" else line.part
    if line.verb == "step":
        way = f"to the {way}" if way in ("left", "right") else way
        verb, after = ("takes", f"{in_words(line.count)} steps {way}") if line.count > 1 else (verb, way)
        after += f" with the {part}" if part else ""
    if line.verb in GAITS and line.way in ("left", "right"):
        way = f"sideways to the {line.way}"
    phrase = f"{verb} {after if _filled(after, line) else ''}".format(part=part, way=way)
    words = [" ".join(phrase.replace("the both", "both").split())]
    if line.verb == "turn" and line.size >= 150:
        words.append("all the way around" if line.size >= 270 else "to face the other way")
    if line.curve:
        words.append("in a circle" if abs(line.size) >= CIRCLE else f"curving to the {line.curve}")
    if line.count > 1 and line.verb not in ("step", "jumping jack", "march"):
        words.append(times(line.count))
    return " ".join(word for word in words if word)


def _feet_in_place(line: Line) -> tuple[str, str]:
    """The words of a march, with its count: knees where it is slow, jogging where it is quick."""
    if line.pace == PACES[0]:
        how = f"alternately {times(line.count)}" if line.count > 1 else "one after the other"
        return "raises the knees", how
    jogs = line.pace == PACES[1]
    if line.count > 1:
        return "takes", f"{in_words(line.count)} {'jogging ' if jogs else ''}steps in place"
    return ("jogs in place", "") if jogs else VERBS["march"].words


def _filled(words: str, line: Line) -> bool:
    """Whether the line has a value for the placeholders in the words."""
    return ("{part}" not in words or bool(line.part)) and ("{way}" not in words or bool(line.way))
