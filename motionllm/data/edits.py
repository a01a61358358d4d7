"""Pairs to learn from: a request as a user may word it, and the change that it asks for (`change_language`).

    4.2 s: walk forward; wave right hand x3      "use the other hand for the greeting, please"      wave other side

The kinds of edits (`edit_kinds`) find what can be asked for; phrasings (`edit_requests`) and names of acts
(`edit_words`) word it. Some phrasings and names are held out of training, for tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from motionllm.data.acts import Act, acts
from motionllm.data.change_language import BETWEEN, OTHERWISE
from motionllm.data.changes import LONGEST, changed
from motionllm.data.edit_kinds import CHANGING, KINDS, NO_DONORS, SELDOM, Donors
from motionllm.data.edit_requests import one_of, places, remarks, requests
from motionllm.data.edit_words import Words, worded
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Notation

SEVERAL = "several"  # the kind of an edit that asks for several changes
_TOGETHER = 0.2  # share of the edits that are drawn


@dataclass(frozen=True)
class Edit:
    """kind: of KINDS, or SEVERAL. key: of `requests`. request: in a user's words. change: the same in the language of
    `change_language`. several: the kinds of its changes, if SEVERAL.
    """

    kind: str
    key: str
    old: Notation
    request: str
    change: str
    new: Notation
    several: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """A single change that is asked for. request: as it is worded, without what people say before and after. more: the
    plan of what is added.
    """

    kind: str
    key: str
    request: str
    change: str
    more: Notation | None

    def made_of(self, old: Notation) -> Notation:
        return old if self.change in OTHERWISE else changed(old, self.change, lambda _: self.more or old)


def edited(
    kind: str, old: Notation, random: np.random.Generator, donors: Donors = NO_DONORS, held_out: bool = False
) -> Edit | None:
    """An edit of one kind, or None where the notation has nothing that it could change.

    held_out: use a phrasing that training never sees. donors: clips to take acts from.
    """
    if kind == SEVERAL:
        return _together(old, random, donors, held_out)
    one = _asked(kind, old, random, donors, held_out)
    if one is None:
        return None
    new = _made([one], old)
    if new is None or (new == old and one.change not in OTHERWISE and kind != "gesture"):
        return None
    request = one.request
    if one.change not in OTHERWISE:
        request = request if held_out else _remarked(request, one.kind, one.change, old, random)
        request = _said(request, random, held_out)
    return Edit(kind, one.key, old, request, one.change, new)


def _asked(kind: str, old: Notation, random: np.random.Generator, donors: Donors, held_out: bool) -> _Asked | None:
    asked = KINDS[kind](old, random, donors)
    if asked is None:
        return None
    key, own, change, *lent = asked
    words = worded(own, random, held_out)
    given = frozenset(place for place, word in words.items() if word)
    phrasings = _phrasings(key, held_out, given, bool(words.get("which")))
    if not phrasings:
        return None
    request = one_of(phrasings[random.integers(len(phrasings))], random).format(**words)
    if key in _TWICE and not held_out and random.random() < _AGAIN:  # "the wave feels rushed. slow it down"
        again = one_of(phrasings[random.integers(len(phrasings))], random).format(**words)
        link = (". ", ", ", "; ", " - ", ": ", ", i mean ", ", so ", "? ", "! ")[random.integers(9)]
        request = request if again == request else f"{request.rstrip(' .!?')}{link}{again}"
    if words.get("tail", "") not in request:
        change = words["plain"]
    return _Asked(kind, key, request, change, lent[0].notation if lent else None)


def _made(asked: Iterable[_Asked], old: Notation) -> Notation | None:
    """The notation after these changes; None where one cannot be made, or what comes out cannot be a plan."""
    new = old
    try:
        for one in asked:
            new = one.made_of(new)
    except MotionLLMError:
        return None
    return new if new == old or (0.5 <= new.seconds <= LONGEST and _is_written_exactly(new)) else None


# Between two changes of one request: for training, and for tests.
_AND = (
    *(" and ", " and ", ", and ", ", ", "; ", ". ", ", then ", " and then ", " and also ", ", also ", ", plus "),
    *(" but ", ", but also ", ", and also ", " and besides ", "\n", ". also, ", ". and ", ". then "),
)
_AND_HELD_OUT = (" & ", ", and on top of that ", ", while you're at it ", ". oh, and ", ". besides, ", " + ")
_GOING_ON = ("then", "and", "now", "plus", "also", "but")
_OF_ALL = ({"slower", "faster", "duration"}, {"reversed"}, {"repeat"}, {"mirror", "side"}, {"keep", "remove"})


def _together(old: Notation, random: np.random.Generator, donors: Donors, held_out: bool) -> Edit | None:
    """Two or three changes in one request, each of the motion as it is; None where they do not go together."""
    number, asked = 2 if random.random() < 0.85 else 3, list[_Asked]()
    for i in random.permutation(len(CHANGING)).tolist():
        kind = CHANGING[i]
        at_once = any(kind in group and one.kind in group for group in _OF_ALL for one in asked)
        if at_once or (held_out and kind == "gesture"):  # of whose size no notation tells
            continue
        if one := _asked(kind, old, random, donors, held_out):
            asked.append(one)
        if len(asked) == number:
            break
    new = _made(asked, old)
    if len(asked) < 2 or new in (None, old) or BETWEEN.strip() in "".join(one.change for one in asked):
        return None
    # Each of them must change something, whatever the others do.
    if any(_made(asked[:i] + asked[i + 1 :], old) == new and asked[i].kind != "gesture" for i in range(len(asked))):
        return None
    joined = _AND_HELD_OUT if held_out else _AND
    request = asked[0].request.rstrip(" .!")
    for one in asked[1:]:
        text = one.request.rstrip(" .!")
        link = joined[random.integers(len(joined))]
        if request.endswith("?"):
            link = " "
        elif text.split(" ")[0].strip(",") in _GOING_ON:
            link = (", ", " ", "; ", ". ")[random.integers(4)]
        request = f"{request}{link}{text}"
    change = BETWEEN.join(one.change for one in asked)
    request = request if held_out else _remarked(request, SEVERAL, change, old, random)
    return Edit(SEVERAL, SEVERAL, old, _said(request, random, held_out), change, new, tuple(one.kind for one in asked))


# Kinds that change one act, beside which another can be said to stay, and those that change the whole.
_OF_AN_ACT = (
    *("side", "way", "count", "remove", "replace", "insert"),
    *("act pace", "act duration", "size", "gesture", "path"),
)
_WHOLE = ("slower", "faster", "mirror", "reversed", "duration", "repeat", "order", SEVERAL)
# Requests that mean the same when they are said twice: not "once more, do it again".
_NOT_TWICE = r"anew|question|talk|undo|cannot|once|twice|half|count|then|first|after|before|while|rest|all"
_TWICE = frozenset(key for key in requests() if not re.search(_NOT_TWICE, key))
_AGAIN, _STAYS, _NOW, _WHY = 0.15, 0.25, 0.08, 0.12  # shares of requests with such a remark


def _remarked(request: str, kind: str, change: str, old: Notation, random: np.random.Generator) -> str:
    """A request with what people say beside the change: how it is now; that all else, or another act, is to stay; why,
    or what for. A model that has seen none of this takes it for one more change.
    """
    every = acts(old)
    others = [act for act in every if act.main.verb not in change]

    def of(some: Sequence[Act]) -> Words:
        return worded({"verb": some[int(random.integers(len(some)))].main.verb}, random, held_out=False)

    if random.random() < _STAYS and kind not in _WHOLE:
        link, which, words = (", ", ". ", "; ", " - ", ", but ", ", and ")[random.integers(6)], "rest", Words()
        if others and (kind == "keep" or (kind in _OF_AN_ACT and random.random() < 0.6)):
            which, words = "none" if kind == "keep" else "other", of(others)
        if which != "none" or change.startswith("only "):
            request = f"{request.rstrip(' .!?')}{link}{_remark(which, words, random)}"
    if every and random.random() < _NOW:
        request = f"{_remark('now', of(every), random)} {request}"
    elif random.random() < _WHY:
        request = f"{_remark('before', {}, random)} {request}"
    if random.random() < _WHY:
        said = _remark("after", {}, random)
        request = f"{request.rstrip(' .!?')}{'' if said[0] in ',.;' else ' '}{said}"
    return request


def _remark(which: str, words: Words, random: np.random.Generator) -> str:
    said = remarks()[which]
    return one_of(said[random.integers(len(said))], random).format(**words)


_KINDS = tuple(KINDS)
_WEIGHTS = np.array([2.0 if kind in SELDOM else 1.0 for kind in _KINDS])


def draw(old: Notation, random: np.random.Generator, donors: Donors = NO_DONORS, held_out: bool = False) -> Edit | None:
    """An edit of any kind that applies, with twice the chance for kinds that seldom do, or several at once; None where
    none applies.
    """
    if random.random() < _TOGETHER and (edit := edited(SEVERAL, old, random, donors, held_out)):
        return edit
    # Exponential waiting times sort the kinds by weight, without replacement, ten times as fast as `random.choice`.
    for i in np.argsort(random.standard_exponential(len(_KINDS)) / _WEIGHTS).tolist():
        if edit := edited(_KINDS[i], old, random, donors, held_out):
            return edit
    return None


def editable(text: str) -> bool:
    """Whether `draw` can give an edit of this notation (its text)."""
    notation = Notation.parse(text) if text else None
    return notation is not None and bool(notation.lines) and 1 <= notation.seconds <= LONGEST - 4


@cache
def _phrasings(key: str, held_out: bool, words: frozenset[str], which: bool) -> list[str]:
    """The phrasings of a request that these words fill. which: those that name the act, and so say which of several."""
    filled = [p for p in requests()[key][held_out] if words.issuperset(places(p))]
    return [p for p in filled if not which or _NAMING.intersection(places(p))]


_NAMING = {"do", "doing", "noun", "it", "bare"}


def _is_written_exactly(notation: Notation) -> bool:
    """Whether a notation is the same when it is written and read back. Line by line, as most lines were seen before."""
    starts = [line.start for line in notation.lines]
    return (
        starts == sorted(starts)
        and all(line.end <= notation.seconds + 0.05 for line in notation.lines)
        and _is_read_back(Notation(notation.seconds, notation.postures))
        and all(_is_read_back(Notation(999.9, ("standing", "standing"), (line,))) for line in notation.lines)
    )


@lru_cache(1 << 16)
def _is_read_back(notation: Notation) -> bool:
    try:
        return Notation.parse(str(notation)) == notation
    except MotionLLMError:
        return False


_BEFORE = ("", "", "", "", "", "", "now ", "ok, ", "please ", "and now ", "good, but ", "hmm, ", "again, ")
_AFTER = ("", "", "", "", ".", ".", " please", ", please", "!")


def _said(request: str, random: np.random.Generator, held_out: bool) -> str:
    """The request, sometimes with a word before or after it, with a capital or, in training, mistyped."""
    first = request.split(" ")[0].strip(",")
    plain = first not in ("now", "then", "and", "ok", "please", "but", "again", "also", "this", "that", "it", "could")
    before = _BEFORE[random.integers(len(_BEFORE))] if plain else ""
    after = _AFTER[random.integers(len(_AFTER))] if not request.endswith(("?", "!", "please")) else ""
    text = f"{before}{request}{after}"
    if not held_out and random.random() < 0.06:
        text = _mistyped(text, random)
    return text[0].upper() + text[1:] if random.random() < 0.4 else text


def _mistyped(text: str, random: np.random.Generator) -> str:
    """The text with a letter of one of its longer words left out, doubled, or exchanged with the next."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    i = long[random.integers(len(long))]
    word, at = words[i], int(random.integers(1, len(words[i]) - 1))
    letters = ("", word[at] * 2, word[at : at + 2][::-1])[random.integers(3)]
    words[i] = word[:at] + letters + word[at + (2 if len(letters) == 2 and letters[0] != letters[1] else 1) :]
    return " ".join(words)
