"""The grammar of notations, character by character: restricts a model while it writes one.

A `Writing` is a notation written so far. Appending text, one or more characters, gives another `Writing`, or None if no
notation continues that way. From every `Writing` the end can be reached, and `Notation.parse` reads every text that
reaches it. The grammar is built from the tables of `notation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from motionllm.motion.notation import PACES, POSTURES, VERBS

END = "\n\n"  # a blank line ends a notation
ROOM = 3  # most lines of a notation, in addition to one per second
_DIGIT, _FIRST = "0123456789", "123456789"
# Numbers as the characters allowed at each position; no leading zeros, and never 0.
_WHOLE = [[_FIRST], [_FIRST, _DIGIT], [_FIRST, _DIGIT, _DIGIT], [_FIRST, _DIGIT, _DIGIT, _DIGIT]]
_TENTHS = [["0", ".", _FIRST], [_FIRST, ".", _DIGIT], [_FIRST, _DIGIT, ".", _DIGIT]]
_COUNTS = [["23456789"], [_FIRST, _DIGIT], [_FIRST, _DIGIT, _DIGIT]]


class _Place:
    """A position in a line: the characters allowed there, and the positions that may come next."""

    __slots__ = ("chars", "then")

    def __init__(self, chars: str, then: _Places) -> None:
        self.chars, self.then = chars, then


_Places = frozenset[_Place]
_OVER = _Place("", frozenset())  # the line may end


def _sequence(pattern: Iterable[str], then: _Places) -> _Places:
    for chars in reversed(list(pattern)):
        then = frozenset([_Place(chars, then)])
    return then


def _either(patterns: Iterable[Sequence[str]], then: _Places) -> _Places:
    return frozenset().union(*(_sequence(pattern, then) for pattern in patterns))


@cache
def _headings() -> _Places:
    """The rest of the first line, after the clip's seconds."""
    to = _either([[*" to "]], _either([[*one] for one in POSTURES], frozenset([_OVER])))
    return _sequence(" s, ", _either([[*one] for one in POSTURES], to))


@cache
def _events(without: frozenset[tuple[str, str]] = frozenset()) -> _Places:
    """The rest of an event's line, after its seconds: a verb with the optional attributes that its row of the table
    allows.

    without: (verb, part) pairs that another line with the same seconds already has.
    """
    every: _Places = frozenset()
    for verb, may in VERBS.items():
        sizes: list[list[str]] = []
        if may.size and may.speed:
            sizes = [[*f" turning {side} ", *number] for side in ("left", "right") for number in _WHOLE]
        elif may.size:
            sizes = [[" ", *n, *" m"] for n in _TENTHS] if may.size == "m" else [[" ", *n] for n in _WHOLE]
        then: _Places = frozenset([_OVER])
        for patterns in (
            [[*f" {pace}"] for pace in PACES if may.usual],
            [[*" x", *number] for number in _COUNTS],
            [[" ", *number, *" m/s"] for number in _TENTHS] if may.speed else [],
            sizes,
            [[" ", *way] for way in may.ways],
        ):
            then |= _either(patterns, then)
        parts = _either([[" ", *part] for part in may.parts if (verb, part) not in without], then)
        then = parts if (verb, "") in without else then | parts
        if then:  # otherwise every part of this verb is used already
            every |= _sequence(" " + verb, then)
    return every


def _told(text: str) -> tuple[str, str]:
    """Verb and part in a line's words."""
    verb = next(one for one in sorted(VERBS, key=len, reverse=True) if f"{text} ".startswith(f"{one} "))
    return verb, next((one for one in VERBS[verb].parts if f"{text[len(verb) :]} ".startswith(f" {one} ")), "")


@cache
def _moved(places: _Places, char: str) -> _Places:
    return frozenset().union(*(place.then for place in places if char in place.chars))


def words() -> str:
    """Every word that a notation can contain."""
    names = [word for verb, may in VERBS.items() for word in (verb, *may.parts, *may.ways)]
    return " ".join(dict.fromkeys([*names, *POSTURES, *PACES, "s, to turning left right x m/s m"]))


def longest() -> tuple[int, int]:
    """Characters of the longest first line and of the longest event line, for clips of under 100 s."""
    first, event = _longest(_headings()), _longest(_events())
    return len("60.0") + first + 1, len("59.9-60.0") + event + 1


@cache
def _longest(places: _Places) -> int:
    return max((1 + _longest(place.then) for place in places if place is not _OVER), default=0)


@dataclass(frozen=True, slots=True)
class Writing:
    """A notation written so far: its complete lines, and the state of the current one.

    stage: what is being written: "seconds" of the clip, "start" or "finish" of an event, "words", "last" where only the
    blank line may follow, or "ended". low, high: bounds of the current number, in tenths; number: its text so far.
    places, words: positions in the current words, and their text. seconds: of the clip; begun, over: start and end of
    the last event, in tenths. told: (verb, part) pairs with these very seconds. lines, most: number of events, and its
    limit.

    Stricter than `Notation.parse`, because measured notations are: lines are sorted by start and end, have a duration,
    and do not repeat one with the same seconds.
    """

    low: int
    high: int
    most: int
    stage: str = "seconds"
    number: str = ""
    places: _Places = frozenset()
    words: str = ""
    seconds: int = 0
    begun: int = 0
    over: int = 0
    told: frozenset[tuple[str, str]] = frozenset()
    lines: int = 0

    @property
    def ended(self) -> bool:
        """Whether the blank line is written; nothing follows it."""
        return self.stage == "ended"

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two states in which the same text may follow within this line."""
        if self.stage == "words":
            return self.stage, self.places
        return self.stage, self.low, self.high, self.number, self.begun, self.over, self.told

    def after(self, text: str) -> Writing | None:
        """The state after appending `text`; None where it is not allowed."""
        state: Writing | None = self
        for char in text:
            state = state._next(char)  # type: ignore[union-attr]
            if state is None:
                return None
        return state

    def forces(self, text: str) -> bool:
        """Whether `text` must follow: no other character is allowed at any of its positions."""
        state = self
        for char in text:
            then = state._next(char)
            if then is None or any(state._next(other) for other in state._chars() if other != char):
                return False
            state = then
        return True

    def _chars(self) -> set[str]:
        """A superset of the characters that may follow."""
        words = {char for place in self.places for char in place.chars} if self.stage == "words" else {*_DIGIT, *".- "}
        return words | {"\n"}

    def _next(self, char: str) -> Writing | None:
        if self.stage == "words":
            if char == "\n":
                return self._line() if _OVER in self.places else None
            places = _moved(self.places, char)
            return replace(self, places=places, words=self.words + char) if places else None
        if char == "\n":
            fresh = self.stage == "last" or (self.stage == "start" and not self.number)
            return replace(self, stage="ended") if fresh else None
        if self.stage in ("last", "ended"):
            return None
        if char in _DIGIT or char == ".":
            number = self.number + char
            return replace(self, number=number) if _begins(number, self.low, self.high) else None
        if self.number[-2:-1] != ".":
            return None
        value = int(self.number.replace(".", ""))
        if self.stage == "seconds" and char == " ":
            return replace(self, stage="words", number="", places=_moved(_headings(), char), seconds=value)
        if self.stage == "start" and char == "-":
            same = value == self.begun
            low, told = (max(value + 1, self.over), self.told) if same else (value + 1, frozenset())
            return replace(self, stage="finish", number="", low=low, high=self.seconds, begun=value, told=told)
        if self.stage == "finish" and char == " ":
            told = self.told if value == self.over else frozenset()
            places = _moved(_events(told), char)
            return replace(self, stage="words", number="", places=places, over=value, told=told, lines=self.lines + 1)
        return None

    def _line(self) -> Writing:
        """The state at the beginning of another line."""
        told = self.told | {_told(self.words)} if self.lines else self.told
        full = self.lines >= min(self.most, ROOM + self.seconds // 10)
        return replace(
            self,
            stage="last" if full else "start",
            places=frozenset(),
            words="",
            told=told,
            low=self.begun,
            high=self.seconds - 1,
        )


def begin(low: float = 0.2, high: float = 60.0, most: int = 100) -> Writing:
    """The empty notation of a clip of `low` to `high` seconds, to a tenth. most: limit of its lines."""
    return Writing(round(low * 10), round(high * 10), most)


def _begins(text: str, low: int, high: int) -> bool:
    """Whether a number of `low` to `high` tenths, written with one decimal, can begin with this text."""
    whole, dot, tenth = text.partition(".")
    if not whole or len(tenth) > 1 or "." in tenth or (len(whole) > 1 and whole[0] == "0"):
        return False
    value = int(whole) * 10
    if tenth:
        return low <= value + int(tenth) <= high
    more = 1 if dot or not value else len(str(high))  # digits that may still come before the point, plus one
    return any(value * 10**k <= high and (value + 10) * 10**k > low for k in range(more))
