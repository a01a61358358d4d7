"""Replies: what a query is answered with where the notation has no single answer (`data.queries`).

    what             a person walks forward and then waves with the right hand
    count kick       the person does not kick, but walks forward
    way walk         forward, then backward
    at 2.0           walk and clap

A language model that is left with such a question guesses; the notation holds what is true of the motion.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from motionllm.data.queries import (
    CLEARLY,
    FORMS,
    NAMED,
    SIDED,
    Query,
    curves,
    done,
    main_events,
    of_verb,
)
from motionllm.data.query_fit import named_verbs
from motionllm.motion.notation import SMALL, VERBS, Line, Notation
from motionllm.motion.notation.sentence import sentence_of
from motionllm.motion.notation.verbs import CIRCLE
from motionllm.numerals import NUMBERS, in_words, times

WITHOUT_REST = 1.0  # seconds between two turns that are one
SAME_TIME = 0.4  # seconds between the beginnings or ends of events that a question for the first or last does not part


def reply(
    query: Query, notation: Notation, question: str = "", steps: Callable[[], Sequence[str]] = tuple
) -> str | None:
    """The exact answer, or else what the notation says of what is asked; None for a query of `none`, or where the
    notation holds nothing on it. question: for what it says and its query has no place for: the side of what is
    counted or timed, whether who goes goes straight or in a circle, and the unit of a number. steps: the feet, "left"
    or "right", of the steps that are measured on the motion; a notation has but single ones.
    """
    if re.search(_GAIT, question.lower()):
        return "that is not known from what is done; `motionllm data gait` measures it of a walk"
    if not of_verb(notation, "step") and (stepped := _stepped(query, notation, question.lower(), steps)):
        return stepped
    answer = _reply(query, notation, question)
    return answer and _with_unit(query, question, answer)


# What only `motionllm data gait` measures.
_GAIT = (
    r"\b(?:a?symmetr\w*|limp\w*|cadence|(?:step|stride) (?:length|width|time)s?|double support)\b"
    r"|\b(?:swing|stance) phase\b|\bwhich (?:step|foot|leg|side) (?:takes|is|lasts) (?:longer|shorter|slower|faster)\b"
    r"|\bhow (?:long|wide|far|big) (?:is|are|was|were) (?:\w+ ){0,2}(?:steps?|strides?)\b"
)
_YES_OR_NO = r"(?:do|does|did|is|are|was|were|can|could|has|have)\b"
_FIRST_FOOT = r"\b(?:which|what) (?:foot|leg|side)\b.*\b(?:first|starts?|begins?|leads?)\b"


def _stepped(query: Query, notation: Notation, question: str, steps: Callable[[], Sequence[str]]) -> str:
    """What is asked of the steps of a walk: how many, of which foot, and with which it begins; "" for any other."""
    first = re.search(_FIRST_FOOT, question) and ("step" in query.words or str(query) == "none" or "step" in question)
    if not first and str(query) != "count step":
        return ""
    marched = of_verb(notation, "march")
    if marched and not first:  # of whose steps none goes anywhere
        return in_words(sum(line.count for line in marched))
    feet = steps()
    if first or not feet:
        return feet[0] if feet else ""
    sides = {*re.findall(r"\b(left|right)\b", question)}
    return in_words(sum(foot in sides for foot in feet) if len(sides) == 1 else len(feet))


# Form whose answer is a number → its unit, and the pattern of a question that names it.
_UNITS = {
    "metres": ("metres", r"\bmet(?:er|re)"),
    "whole seconds": ("seconds", r"\bsec"),
    "whole seconds {verb}": ("seconds", r"\bsec"),
    "degrees turned": ("degrees", r"\bdegree"),
}


def _with_unit(query: Query, question: str, answer: str) -> str:
    """The answer with its unit, where it is a number and the question does not name the unit."""
    unit, named = _UNITS.get(query.form, ("", ""))
    number = answer in NUMBERS or answer.isdigit() or answer == "less than one"
    if not unit or not number or not question or re.search(named, question.lower()):
        return answer
    return f"{answer} {unit.removesuffix('s') if answer.endswith('one') else unit}"


def _reply(query: Query, notation: Notation, question: str) -> str | None:
    said = question.lower()
    if plain := _path_of(query, notation, question) or _around(query, notation, said) or _of_limb(notation, said):
        return plain
    if plain := _which_thing(query, notation, said):
        return plain
    verb, side = _sided(query, question)
    if side:
        ours = [line for line in of_verb(notation, verb) if side in line.part or line.part.startswith("both")]
        if of_verb(notation, verb) and not ours:
            other = "left" if side == "right" else "right"
            return f"the person does not {NAMED[verb][0][0]} with the {side}, but with the {other}"
        notation = replace(notation, lines=tuple(x for x in notation.lines if x.verb != verb or x in ours))
    exact = query.answer(notation)
    if exact is not None:
        return exact
    verbs = [word for word in query.words if word in NAMED and "{verb}" in query.form]
    if missing := [verb for verb in verbs if not of_verb(notation, verb)]:
        predicate = sentence_of(notation, clauses=2, subject="").strip()
        return f"the person does not {NAMED[missing[0]][0][0]}, but {predicate}"
    return _REPLIES[query.form](notation, *query.words) if query.form in _REPLIES else None


_COUNTED = ("count {verb}", "when {verb}", "span {verb}", "seconds {verb}", "whole seconds {verb}", "pace {verb}")


def _sided(query: Query, question: str) -> tuple[str, str]:
    """The verb of a query that has no place for a side, and the side whose limb alone its question names; or "", ""."""
    text = question.lower()
    sides = {*re.findall(r"\b(left|right)\b", text)} if re.search(SIDED, text) else set()
    return (query.words[0], min(sides)) if query.form in _COUNTED and len(sides) == 1 else ("", "")


def _path_of(query: Query, notation: Notation, question: str) -> str | None:
    """Whether who goes somewhere does it straight, or in a circle, where that is asked; None where it is not."""
    straight, circle = (re.search(rf"\b{word}\b", question.lower()) for word in ("straight", "circles?"))
    verb = query.words[0].split(" ")[0] if query.form == "does {label}" else ""
    lines = of_verb(notation, verb) if verb in VERBS and VERBS[verb].speed else []
    if not lines or bool(straight) == bool(circle):
        return None
    if straight:
        return "no" if any(line.curve for line in lines) else "yes"
    return "yes" if any(abs(line.size) >= CIRCLE for line in lines) else "no"


_TURNS_AROUND = re.compile(
    r"\b(?:turn|spin|rotat|fac)\w* (?:\w+ ){0,2}?(?:(?P<full>(?:all the|full|the whole) way round|360)"
    r"|(?:all the way |fully |completely |right )?(?:around|round|about)\b|180|the other way)"
)
HALF, WHOLE = 135.0, 300.0  # least degrees of who turns around, and all the way


def _around(query: Query, notation: Notation, question: str) -> str | None:
    """Whether someone turns around, in one turn or in several to the same side without a rest, where that is asked."""
    match = _TURNS_AROUND.search(question)
    if not match or not re.match(_YES_OR_NO, question) or (query.form != "does {label}" and str(query) != "none"):
        return None
    turns = sorted((*of_verb(notation, "turn"), *curves(notation)), key=lambda line: line.start)
    most = degrees = 0.0
    for i, line in enumerate(turns):
        goes_on = i and line.way == turns[i - 1].way and line.start - turns[i - 1].end < WITHOUT_REST
        degrees = abs(line.size) + (degrees if goes_on else 0.0)
        most = max(most, degrees)
    return "yes" if most >= (WHOLE if match["full"] else HALF) else "no"


_OF_LIMB = re.compile(
    r"\bwhat\b.*?\b(?:(left|right|both) )?(hand|arm|leg|foot|feet)s?\b(?!.*\b(?:us(?:e[ds]?|ing)|first|after|before)\b)"
)
_OF_HANDS = ("clap", "hands on hips", "jumping jack", "bend down")  # whose lines name no hand, or both


def _of_limb(notation: Notation, question: str) -> str | None:
    """What is done with a limb, where that is asked: "what does the person do with the left arm?"."""
    match = _OF_LIMB.search(question)
    if not match or named_verbs(question) or re.search(r"\bwhat (?:hand|arm|leg|foot)\b", question):
        return None
    side, limb = match[1] or "", match[2].replace("feet", "foot")

    def of_it(line: Line) -> bool:
        words = [word.rstrip("s") for word in line.part.split()]
        if not words:
            return line.verb in _OF_HANDS if limb in ("hand", "arm") else bool(VERBS[line.verb].speed) and not side
        return words[-1] in _LIMBS[limb] and (side in ("", words[0]) or words[0] == "both")

    lines = [line for line in notation.lines if of_it(line)]
    if not lines:
        return f"nothing that is measured; {notation.sentence()}"
    return sentence_of(replace(notation, postures=("standing", "standing"), lines=tuple(lines)), subject="").strip()


_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_THING = re.compile(rf"\b({'|'.join(_ORDINALS[1:])}) (?:thing|action|act|move|movement|activity)\b")
_BETWEEN = re.compile(
    r"\b(?:between|from) (?:second |seconds )?(\d+(?:\.\d+)?)(?: ?s| seconds?)? (?:and|to) (?:second )?(\d+(?:\.\d+)?)"
)
_WHILE = re.compile(r"\bwhat\b.*\b(?:while|during)\b(.+)")
_SEEN = re.compile(
    r"(?:is there (?:any|an?)|(?:do|can) you see (?:the person|him|her|them)"
    r"|(?:does|did|is|was) (?:the (?:person|man|woman|figure)|he|she|it)) (.+)"
)
_EITHER = re.compile(r"(?:does|do|did|is|are|was|were) (.+) or (.+)")
_LIMB_USED = re.compile(
    r"\b(?:which|what) (hand|arm|leg|foot)\b.*\b(?:us(?:e|es|ed|ing)|is it|is that)\b"
    r"(?: here| in (?:this|the) \w+)?\W*$"
)
_HOW_OFTEN = re.compile(
    r"\b(?:how (?:many|often)|number of)\b(?:.*\b(?:rep(?:etition)?s?|times|sets?|it|that|this)\b|\W*$)"
)
_EXERCISE = re.compile(r"\b(?:what|which) (?:exercise|movement|move|action|kind)\b")
_WHICH_WAY = re.compile(
    r"^(?:in |to )?(?:which|what) (?:way|direction)\b.*\b(?:go(?:es|ing)?|head\w*|mov\w*|travel\w*)\b"
)
_LIMBS = {"hand": ("hand", "arm"), "arm": ("hand", "arm"), "leg": ("leg", "foot"), "foot": ("leg", "foot")}


def _which_thing(query: Query, notation: Notation, question: str) -> str | None:
    """What is done as the second thing, or between two times, which of two things it is, and the limb that is used for
    what is done, where that is asked and no query has a place for it.
    """
    if thing := _THING.search(question):
        lines, number = main_events(notation), _ORDINALS.index(thing[1])
        return done(lines[number]) if number < len(lines) else "nothing: so many things are not done"
    if str(query) != "none":
        return None
    span = _BETWEEN.search(question)
    if span and re.search(r"\b(?:what|which)\b", question) and float(span[1]) < float(span[2]):
        first, last = float(span[1]), float(span[2])
        return _listed([line for line in main_events(notation) if line.start < last and line.end > first])
    if (meanwhile := _WHILE.search(question)) and (verbs := named_verbs(meanwhile[1])):
        during = [line for line in notation.lines if line.verb in verbs]
        others = [line for line in main_events(notation) if line.verb not in verbs]
        beside = [x for x in others if any(min(x.end, y.end) - max(x.start, y.start) > CLEARLY for y in during)]
        if during:
            return _listed(beside) if beside else "nothing else"
    if either := _EITHER.match(question):
        a, b = (named_verbs(side) for side in either.groups())
        if len(a) == len(b) == 1 and a != b and not re.search(r"\b(?:first|last|before|after)\b", question):
            return FORMS["which {label} or {label}"](notation, *a, *b) or _which(notation, *a, *b)
    seen = _SEEN.match(question)
    if seen and not re.search(r"\b(?:not|no|neither|never|more|less|fewer|or|first|last|before|after)\b|n't", question):
        there = [bool(of_verb(notation, verb)) for verb in named_verbs(seen[1])]
        if there and len(seen[1].split()) <= 5:
            return "yes" if all(there) else "no"
    if _HOW_OFTEN.search(question) and not named_verbs(question):
        return _counted(notation, _EXERCISE.search(question) is not None)
    if _WHICH_WAY.search(question):
        return FORMS["where"](notation) or _where(notation) or "nowhere: the person stays in place"
    limb = _LIMB_USED.search(question)
    if limb and not named_verbs(question):
        lines = [line for line in notation.lines if line.part and line.part.split()[-1].rstrip("s") in _LIMBS[limb[1]]]
        lines = [line for line in lines if line.verb not in SMALL] or lines
        return _in_turn([line.part.split()[0] for line in lines])
    return None


def _counted(notation: Notation, named: bool) -> str | None:
    """How often what is done is done, with its name where that is asked for too, or several things are done."""
    often = Counter[str]()
    for line in main_events(notation):
        if not VERBS[line.verb].speed and line.verb != "turn":
            often[line.verb] += line.count
    if len(often) == 1 and not named:
        return in_words(*often.values())
    return ", ".join(f"{NAMED[verb][0][0]} {times(count)}" for verb, count in often.items()) or None


def _listed(lines: Sequence[Line]) -> str:
    """Several things that are done at one time."""
    return " and ".join(dict.fromkeys(done(line) for line in lines)) or "nothing"


def _in_turn(words: Sequence[str]) -> str | None:
    """Several values, one after the other; None where one of them is not known."""
    return ", then ".join(word for word, _ in groupby(words)) if words and all(words) else None


def _first(notation: Notation) -> str:
    lines = main_events(notation)
    return _listed([line for line in lines if line.start - lines[0].start <= SAME_TIME])


def _last(notation: Notation) -> str:
    lines = main_events(notation)
    end = max((line.end for line in lines), default=0.0)
    return _listed([line for line in lines if end - line.end <= SAME_TIME])


def _after(notation: Notation, verb: str) -> str:
    end = max(line.end for line in of_verb(notation, verb))
    lines = [line for line in main_events(notation) if line.verb != verb and line.end > end + 0.1]
    return _listed([line for line in lines if line.start - max(end, lines[0].start) <= SAME_TIME])


def _before(notation: Notation, verb: str) -> str:
    start = min(line.start for line in of_verb(notation, verb))
    lines = [line for line in main_events(notation) if line.verb != verb and line.start < start - 0.1]
    end = max((line.end for line in lines), default=0.0)
    return _listed([line for line in lines if min(end, start) - line.end <= SAME_TIME])


def _at(notation: Notation, time: str) -> str:
    if float(time) > notation.seconds:
        return f"nothing: the motion ends at {notation.seconds:.1f} s"
    return _listed([line for line in main_events(notation) if line.start <= float(time) <= line.end])


def _which(notation: Notation, a: str, b: str) -> str:
    does = [FORMS["is {label}"](notation, label) == "yes" for label in (a, b)]
    return "both" if all(does) else "neither"


def _way(notation: Notation, verb: str) -> str | None:
    lines = of_verb(notation, verb)
    return _in_turn([f"{x.way} turning {x.curve}".strip() if x.curve else x.way for x in lines])


def _pace(notation: Notation, verb: str) -> str | None:
    return _in_turn([line.pace or "at a usual pace" for line in of_verb(notation, verb)])


def _degrees(notation: Notation, verb: str) -> str | None:
    return _in_turn([f"{line.size:.0f} degrees" if line.size else "" for line in of_verb(notation, verb)])


def _where(notation: Notation) -> str | None:
    return _in_turn([line.way for line in notation.lines if VERBS[line.verb].speed])


_REPLIES: dict[str, Callable[..., str | None]] = {
    "what": Notation.sentence,
    "first": _first,
    "last": _last,
    "after {verb}": _after,
    "before {verb}": _before,
    "at {time}": _at,
    "which {label} or {label}": _which,
    "first {verb} or {verb}": lambda notation, a, b: "both at the same time",
    "is {verb} before {verb}": lambda notation, a, b: "both begin at the same time",
    "way {verb}": _way,
    "where": _where,
    "pace {verb}": _pace,
    "curve {verb}": lambda notation, verb: "straight",
    "circle": lambda notation: "neither: there is no circle",
    "degrees {verb}": _degrees,
    "turned": lambda notation: "neither: it faces as it did at first",
    "degrees turned": lambda notation: "0",
    "metres": lambda notation: "less than one",
    "whole seconds": lambda notation: "less than one",
    "whole seconds {verb}": lambda notation, verb: "less than one",
}
