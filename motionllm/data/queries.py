"""Queries: in a few words what a question asks of a clip's notation, and its exact answer.

    How many times does she kick?        count kick          three
    with which hand did he wave, please  side wave           right
    What comes first?                    first               walk
    Is the person happy?                 none                what no notation answers

A model that is asked writes the query, with the question's own words as far as may be; `Query.answer` looks the answer
up. FORMS is the whole language. Verbs are those of NAMED, which the questions on facts are about (`data.questions`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from motionllm.errors import MotionLLMError
from motionllm.motion.notation import POSTURES, VERBS, Line, Notation
from motionllm.motion.notation.verbs import CIRCLE, CURVED
from motionllm.numerals import in_words

SIDED = r"\b(left|right)[ -](?:hand|arm|leg|foot|knee|fist)s?\b"  # a limb of one side in a text
CLEARLY = 0.3  # seconds between beginnings that a person tells apart

# Verb of the notation → how a question names it (infinitive, gerund), and the events of `facts` near it.
ASKED: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "walk": (("walk",), ("walking",), ("run", "crouch walk", "step", "march")),
    "run": (("run",), ("running",), ("walk", "crouch walk")),
    "creep": (
        ("walk in a crouch", "sneak"),
        ("walking in a crouch", "sneaking"),
        ("walk", "run", "crouch walk", "squat", "lunge"),
    ),
    "crawl": (
        ("crawl", "go on hands and knees"),
        ("crawling", "going on hands and knees"),
        ("lie", "kneel", "reach down"),
    ),
    "climb": (("climb",), ("climbing",), ("step", "jump", "lift", "leg raised", "lie", "sit", "kneel")),
    "step": (
        ("step", "take single steps"),
        ("stepping", "taking single steps"),
        ("walk", "run", "crouch walk", "step", "march"),
    ),
    "turn": (
        ("turn", "turn on the spot"),
        ("turning", "turning on the spot"),
        ("turn", "walk", "run", "crouch walk", "look"),
    ),
    "jump": (
        ("jump", "jump with both feet"),
        ("jumping", "jumping with both feet"),
        ("jump", "hop", "jumping jack", "run"),
    ),
    "hop": (("hop", "hop on one leg"), ("hopping", "hopping on one leg"), ("jump", "hop", "jumping jack", "run")),
    "dance": (("dance",), ("dancing",), ("step", "turn", "walk", "march")),
    "jumping jack": (("do jumping jacks",), ("doing jumping jacks",), ("jump", "wave", "arms out", "jumping jack")),
    "cartwheel": (("do a cartwheel",), ("doing a cartwheel",), ("lie", "reach down", "jump", "kick")),
    "flip": (("do a flip",), ("doing a flip",), ("lie", "reach down", "jump", "kick")),
    "roll": (("roll on the floor",), ("rolling on the floor",), ("lie", "reach down", "kneel", "sit", "squat")),
    "squat": (
        ("squat", "crouch down"),
        ("squatting", "crouching down"),
        ("squat", "sit", "seated", "kneel", "lie", "lunge", "reach down", "jump", "crouch walk"),
    ),
    "lunge": (
        ("lunge", "do a lunge"),
        ("lunging", "doing a lunge"),
        ("lunge", "squat", "kneel", "kick", "crouch walk", "run"),
    ),
    "kneel": (
        ("kneel", "kneel down"),
        ("kneeling", "kneeling down"),
        ("kneel", "squat", "sit", "seated", "lie", "lunge"),
    ),
    "sit": (("sit down",), ("sitting down",), ("sit", "seated", "squat", "kneel", "lie")),
    "lie": (("lie down",), ("lying down",), ("lie", "sit", "kneel", "reach down")),
    "stand up": (
        ("stand up", "get up"),
        ("standing up", "getting up"),
        ("stand up", "sit", "seated", "squat", "kneel", "lie"),
    ),
    "bend down": (
        ("bend down", "reach down", "bend down to the floor"),
        ("bending down", "reaching down"),
        ("reach down", "bow", "squat", "kneel", "lie", "sit", "lunge", "crouch walk"),
    ),
    "bow": (("bow", "bend forward"), ("bowing", "bending forward"), ("bow", "reach down", "sit", "stand up", "lie")),
    "look": (
        ("look to one side", "look aside"),
        ("looking to one side", "looking aside"),
        ("look", "turn", "walk", "run"),
    ),
    "wave": (("wave",), ("waving",), ("wave", "raise", "throw", "jumping jack", "hand up", "clap")),
    "throw": (
        ("throw something", "throw"),
        ("throwing something", "throwing"),
        ("throw", "punch", "raise", "wave", "hand up"),
    ),
    "punch": (("punch", "throw a punch"), ("punching", "throwing punches"), ("throw", "punch", "clap", "wave")),
    "clap": (
        ("clap", "clap the hands"),
        ("clapping", "clapping the hands"),
        ("clap", "jumping jack", "wave", "arms out"),
    ),
    "hands on hips": (
        ("put the hands on the hips",),
        ("putting the hands on the hips",),
        ("hands on hips", "arms out"),
    ),
    "hand to head": (
        ("bring a hand to the head", "touch the head"),
        ("bringing a hand to the head",),
        ("hand at mouth", "raise", "wave", "throw", "hand up"),
    ),
    "kick": (("kick",), ("kicking",), ("kick", "lift", "leg raised", "run", "march")),
    "stand on": (
        ("stand on one leg", "balance on one leg"),
        ("standing on one leg", "balancing on one leg"),
        ("leg raised", "kick", "march", "hop", "lift", "lunge"),
    ),
    "march": (
        ("march on the spot", "march in place"),
        ("marching on the spot", "marching in place"),
        ("march", "walk", "run", "lift", "step"),
    ),
    "reach up": (
        ("raise a hand", "hold up a hand"),
        ("raising a hand", "holding up a hand"),
        ("raise", "wave", "throw", "jumping jack", "hand up", "punch"),
    ),
}

# The same of verbs that queries know and that the questions on facts, which have no events of them, do not ask about.
SMALLER: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "twist": (("twist the upper body", "twist"), ("twisting the upper body", "twisting"), ()),
    "lean": (("lean", "lean over"), ("leaning", "leaning over"), ()),
    "lift": (("lift a leg", "lift a knee"), ("lifting a leg", "lifting a knee"), ()),
    "swing": (("swing the arms", "swing an arm"), ("swinging the arms", "swinging an arm"), ()),
    "circle": (("circle an arm", "rotate an arm"), ("circling an arm", "rotating an arm"), ()),
}
NAMED = ASKED | SMALLER


@dataclass(frozen=True)
class Query:
    """A form of the language with what fills its places. `str(query)` is its text; `Query.parse` reads it back."""

    form: str = "none"
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return re.sub(r"\{\w+\}", "{}", self.form).format(*self.words)

    @staticmethod
    def parse(text: str) -> Query:
        """The query of a text. Raises MotionLLMError for what is none."""
        for form, pattern in _PATTERNS.items():
            if match := pattern.fullmatch(text):
                return Query(form, match.groups())
        raise MotionLLMError(f"{text[:60]!r} is no query; one is written like 'count kick' or 'side wave'.")

    @staticmethod
    def read(text: str) -> Query:
        """The query that a model wrote; `none` for what is no query. A choice may be written with "and"."""
        try:
            return Query.parse(re.sub(r"^((?:which|first) .+) and ", r"\1 or ", text))
        except MotionLLMError:
            return Query()

    def answer(self, notation: Notation) -> str | None:
        """The exact answer, in the words of the questions on facts; None where the notation does not say."""
        return FORMS[self.form](notation, *self.words)


def events(notation: Notation) -> list[Line]:
    """The lines that questions are about."""
    return [line for line in notation.lines if line.verb in ASKED]


def main_events(notation: Notation) -> list[Line]:
    """The lines that questions on the order of things are about: single steps go along with what else is done."""
    lines = events(notation)
    return [line for line in lines if line.verb != "step"] or lines


def done(line: Line) -> str:
    """How an answer names what a line says ("walk")."""
    return NAMED[line.verb][0][0]


def doing(line: Line) -> str:
    return NAMED[line.verb][1][0]


def labelled(verb: str, part: str = "", way: str = "", turn: float = 0.0) -> str:
    """A line in the words of a label: "wave left hand", "walk forward turn left"."""
    curve = f"turn {'left' if turn > 0 else 'right'}" if VERBS[verb].speed and abs(turn) >= CURVED else ""
    return " ".join(word for word in (verb, part, way, curve) if word)


# -- what is done ---------------------------------------------------------------------------------------------


def curves(notation: Notation) -> list[Line]:
    """Turns made on the way, as lines of "turn": who walks in a curve turns, too."""
    return [
        replace(line, verb="turn", way=line.curve, size=abs(line.size), speed=0.0)
        for line in notation.lines
        if line.curve
    ]


def _raised(notation: Notation) -> list[Line]:
    """Arms that are raised, though not over the shoulder, as lines of "reach up": who raises an arm raises the hand."""
    return [
        replace(line, verb="reach up", part=line.part.replace("arm", "hand"))
        for line in notation.lines
        if line.verb == "raise" and "arm" in line.part
    ]


def _up(notation: Notation) -> list[Line]:
    """The same, and where there is none the hands that wave, which have been raised."""
    waved = [replace(line, verb="reach up", count=1) for line in notation.lines if line.verb == "wave" and line.part]
    return _raised(notation) or waved


def of_verb(notation: Notation, verb: str) -> list[Line]:
    """The lines of a verb; where there is none, of "turn" curves on the way, of "reach up" raised arms or waves."""
    lines = [line for line in notation.lines if line.verb == verb]
    others = {"turn": curves, "reach up": _up}
    return others[verb](notation) if verb in others and not lines else lines


def _only(notation: Notation, verb: str) -> Line | None:
    """The line of a verb that is done once."""
    lines = of_verb(notation, verb)
    return lines[0] if len(lines) == 1 else None


def _fits(line: Line, label: str, each: bool = False) -> bool:
    """Whether a line is what a label says, which may say less. each: what both hands do, the left one does."""
    match = _LABELS[line.verb].fullmatch(label) if line.verb in _LABELS else None
    if not match:
        return False
    part, way, curve = match.groups()
    return (
        (not part or line.part == part or (each and line.part.startswith("both")))
        and (not way or line.way == way)
        and (not curve or labelled(line.verb, turn=line.size).endswith(curve))
    )


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _does(notation: Notation, label: str) -> str:
    return _yes(any(_fits(line, label, each=True) for line in (*notation.lines, *curves(notation), *_up(notation))))


def _is(notation: Notation, label: str) -> str:
    return _yes(any(_fits(line, label) for line in (*notation.lines, *_raised(notation))))


def _which(notation: Notation, a: str, b: str) -> str | None:
    lines = (*notation.lines, *_raised(notation))
    fits = [label for label in (a, b) if any(_fits(line, label) for line in lines)]
    return fits[0] if len(fits) == 1 else None


def _exactly(notation: Notation, verb: str, count: str) -> str:
    return _yes(sum(line.count for line in of_verb(notation, verb)) == int(count))


def _count(notation: Notation, verb: str) -> str | None:
    lines = of_verb(notation, verb)
    return in_words(sum(line.count for line in lines)) if lines else None


def _what(notation: Notation) -> str | None:
    lines = main_events(notation)
    return done(lines[0]) if len({line.verb for line in lines}) == 1 else None


# -- how ------------------------------------------------------------------------------------------------------


def _side(notation: Notation, verb: str) -> str | None:
    parts = {line.part for line in of_verb(notation, verb)}
    sides = {part.split(" ")[0] for part in parts if part}
    return None if "" in parts or not sides else sides.pop() if len(sides) == 1 else "both"


def _way(notation: Notation, verb: str) -> str | None:
    lines = of_verb(notation, verb)
    ways = {line.way for line in lines}
    straight = not any(line.curve for line in lines)  # a curve is of two minds
    return (ways.pop() or None) if straight and len(ways) == 1 else None


def _pace(notation: Notation, verb: str) -> str | None:
    paces = {line.pace for line in of_verb(notation, verb)}
    return {"slowly": "slow", "quickly": "fast"}.get(paces.pop()) if len(paces) == 1 else None


def _speed(notation: Notation, verb: str) -> str | None:
    lines = [line for line in of_verb(notation, verb) if line.speed and line.end > line.start]
    seconds = sum(line.end - line.start for line in lines)
    return f"{sum(x.speed * (x.end - x.start) for x in lines) / seconds:.1f} m/s" if lines else None


def _curve(notation: Notation, verb: str) -> str | None:
    # A turn on the spot has its side in its way; its degrees have no sign, and those of a bow no side.
    sides = {line.way if line.verb == "turn" else line.curve for line in of_verb(notation, verb)} - {""}
    return sides.pop() if len(sides) == 1 else None


def _circle(notation: Notation) -> str | None:
    circles = [line.size for line in _going(notation) if abs(line.size) >= CIRCLE]
    return ("counterclockwise" if circles[0] > 0 else "clockwise") if len({x > 0 for x in circles}) == 1 else None


def _degrees(notation: Notation, verb: str) -> str | None:
    line = _only(notation, verb)
    return f"{abs(line.size):.0f} degrees" if line and line.size and VERBS[line.verb].size != "m" else None


def _height(notation: Notation, verb: str) -> str | None:
    lines = [line for line in of_verb(notation, verb) if VERBS[line.verb].size == "m"]
    height = max((line.size for line in lines), default=0.0)
    return f"{height:.1f} m" if height else None


# -- when -----------------------------------------------------------------------------------------------------


def _when(notation: Notation, verb: str) -> str | None:
    lines = of_verb(notation, verb)
    return f"{lines[0].start:.1f} s" if lines else None


def _span(notation: Notation, verb: str) -> str | None:
    return " and ".join(f"from {x.start:.1f} to {x.end:.1f} s" for x in of_verb(notation, verb)) or None


def _lasts(notation: Notation, verb: str) -> float:
    return sum(line.end - line.start for line in of_verb(notation, verb))


def _seconds_of(notation: Notation, verb: str) -> str | None:
    seconds = _lasts(notation, verb)
    return f"{seconds:.1f} s" if seconds else None


def _whole_seconds_of(notation: Notation, verb: str) -> str | None:
    seconds = round(_lasts(notation, verb))
    return in_words(seconds) if seconds else None


def _first(notation: Notation) -> str | None:
    lines = main_events(notation)
    clear = len(lines) == 1 or (lines and (lines[1].start - lines[0].start > 0.4 or lines[1].verb == lines[0].verb))
    return done(lines[0]) if clear else None


def _last(notation: Notation) -> str | None:
    lines = main_events(notation)
    ends = sorted(lines, key=lambda x: x.end)
    clear = len(lines) == 1 or (
        lines and ends[-1] is lines[-1] and (ends[-1].end - ends[-2].end > 0.4 or ends[-1].verb == ends[-2].verb)
    )
    return done(lines[-1]) if clear else None


def _after(notation: Notation, verb: str) -> str | None:
    one, lines = _only(notation, verb), main_events(notation)
    if one is None or any(x is not one and x.start < one.end - 0.1 and x.end > one.end for x in lines):
        return None
    after = [x for x in lines if x.start >= one.end - 0.1 and x is not one]
    clear = len(after) == 1 or (after and after[1].start - after[0].start > 0.4)
    return done(after[0]) if clear else None


def _before(notation: Notation, verb: str) -> str | None:
    one, lines = _only(notation, verb), main_events(notation)
    if one is None or any(x is not one and x.end > one.start + 0.1 and x.start < one.start for x in lines):
        return None
    before = sorted((x for x in lines if x.end <= one.start + 0.1 and x is not one), key=lambda x: x.end)
    clear = len(before) == 1 or (before and before[-1].end - before[-2].end > 0.4)
    return done(before[-1]) if clear else None


def _earlier(notation: Notation, a: str, b: str) -> Line | None:
    """Which of the first lines of two verbs is over before the other begins, or begins clearly before it."""
    first, second = of_verb(notation, a)[:1], of_verb(notation, b)[:1]
    if not first or not second:
        return None
    early, late = sorted((first[0], second[0]), key=lambda x: x.start)
    return early if early.end <= late.start + 0.05 or late.start - early.start > CLEARLY else None


def _first_of(notation: Notation, a: str, b: str) -> str | None:
    early = _earlier(notation, a, b)
    return doing(early) if early else None


def _comes_before(notation: Notation, a: str, b: str) -> str | None:
    early = _earlier(notation, a, b)
    return _yes(early.verb == a) if early and a != b else None


def _at(notation: Notation, time: str) -> str | None:
    lines = [line for line in main_events(notation) if line.start <= float(time) <= line.end]
    return done(lines[0]) if len(lines) == 1 else None


# -- the whole clip -------------------------------------------------------------------------------------------


def _going(notation: Notation) -> list[Line]:
    return [line for line in events(notation) if VERBS[line.verb].speed]


def _whole_seconds(notation: Notation) -> str | None:
    seconds = int(notation.seconds + 0.5)
    return in_words(seconds) if seconds else None


def _metres(notation: Notation) -> str | None:
    metres = round(sum(x.speed * (x.end - x.start) for x in _going(notation)))
    return in_words(metres) if metres else None


def _place(notation: Notation) -> str | None:
    if _going(notation):
        return "move away"
    away = any(line.verb in ("step", "jump", "hop", "climb") for line in notation.lines)
    return None if away else "stay in place"


def _where(notation: Notation) -> str | None:
    going = _going(notation)
    straight = not of_verb(notation, "turn")
    ways = {line.way for line in going}
    return (ways.pop() or None) if straight and len(ways) == 1 else None


def _turn(notation: Notation) -> float:
    """Degrees that the heading changes, + to the left."""
    turns = sum(line.size * (1 if line.way == "left" else -1) for line in notation.lines if line.verb == "turn")
    return turns + sum(line.size for line in _going(notation))


def _turned(notation: Notation) -> str | None:
    turn = _turn(notation)
    return ("left" if turn > 0 else "right") if abs(turn) > 20 else None


def _degrees_turned(notation: Notation) -> str | None:
    quarters = round(abs(_turn(notation)) / 90)
    return str(90 * quarters) if quarters else None


FORMS: dict[str, Callable[..., str | None]] = {
    "none": lambda notation: None,
    "does {label}": _does,  # "does kick", "does wave left hand"
    "does {verb} x{count}": _exactly,
    "is {label}": _is,
    "which {label} or {label}": _which,
    "what": _what,  # the only thing that is done
    "count {verb}": _count,
    "side {verb}": _side,
    "way {verb}": _way,
    "pace {verb}": _pace,  # slow or fast
    "speed {verb}": _speed,  # metres per second
    "curve {verb}": _curve,
    "circle": _circle,  # the way round
    "degrees {verb}": _degrees,
    "height {verb}": _height,
    "when {verb}": _when,
    "span {verb}": _span,  # from when to when
    "seconds {verb}": _seconds_of,
    "whole seconds {verb}": _whole_seconds_of,
    "first": _first,
    "last": _last,
    "after {verb}": _after,
    "before {verb}": _before,
    "first {verb} or {verb}": _first_of,
    "is {verb} before {verb}": _comes_before,
    "at {time}": _at,
    "seconds": lambda notation: f"{notation.seconds:.1f} s",
    "whole seconds": _whole_seconds,
    "posture at start": lambda notation: notation.postures[0],
    "posture at end": lambda notation: notation.postures[1],
    "is {posture} at start": lambda notation, posture: _yes(notation.postures[0] == posture),
    "is {posture} at end": lambda notation, posture: _yes(notation.postures[1] == posture),
    "metres": _metres,
    "stay or move": _place,
    "does move": lambda notation: _yes(place == "move away") if (place := _place(notation)) else None,
    "does stay": lambda notation: _yes(place == "stay in place") if (place := _place(notation)) else None,
    "where": _where,  # the way the body gets, from where it faced at first
    "turned": _turned,  # the side to which it faces then
    "degrees turned": _degrees_turned,
}


def _any_of(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def _label_pattern(verb: str) -> str:
    """What a label of a verb may be; its part, its way and its curve in groups."""
    spec = VERBS[verb]
    curves = ("turn left", "turn right") if spec.speed else ()
    return verb + "".join(f"(?: ({_any_of(words)}))?" if words else "()" for words in (spec.parts, spec.ways, curves))


_LABELS = {verb: re.compile(_label_pattern(verb)) for verb in NAMED}
_PLACES = {
    "{verb}": _any_of(NAMED),
    "{label}": "|".join(re.sub(r"\((?!\?)", "(?:", _LABELS[verb].pattern) for verb in NAMED),
    "{posture}": _any_of(POSTURES),
    "{count}": r"\d{1,2}",
    "{time}": r"\d{1,2}(?:\.\d)?",
}
_PATTERNS = {form: re.compile(re.sub(r"\{\w+\}", lambda m: f"({_PLACES[m[0]]})", form)) for form in FORMS}
