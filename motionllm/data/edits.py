"""Pairs to learn from: a request as a user may word it, and the change that it asks for (`changes`).

    4.2 s: walk forward; wave right hand x3      "use the other hand for the greeting, please"      wave other side

The kinds of edits (`edit_kinds`) find what can be asked for; phrasings (`edit_requests`) and names of acts
(`edit_words`) word it. Some phrasings and names are held out of training, for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from motionllm.data.changes import LONGEST, OTHERWISE, changed
from motionllm.data.edit_kinds import KINDS, NO_DONORS, SELDOM, Donors
from motionllm.data.edit_requests import one_of, places, requests
from motionllm.data.edit_words import worded
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Notation


@dataclass(frozen=True)
class Edit:
    """kind: of KINDS. key: of `requests`. request: in a user's words. change: the same in the language of `changes`."""

    kind: str
    key: str
    old: Notation
    request: str
    change: str
    new: Notation


def edited(
    kind: str, old: Notation, random: np.random.Generator, donors: Donors = NO_DONORS, held_out: bool = False
) -> Edit | None:
    """An edit of one kind, or None where the notation has nothing that it could change.

    held_out: use a phrasing that training never sees. donors: clips to take acts from.
    """
    asked = KINDS[kind](old, random, donors)
    if asked is None:
        return None
    key, own, change, *lent = asked
    new = old
    if change not in OTHERWISE:
        try:
            new = changed(old, change, lambda _: lent[0].notation)
        except MotionLLMError:
            return None
        if (new == old and kind != "gesture") or not 0.5 <= new.seconds <= LONGEST or not _is_written_exactly(new):
            return None
    words = worded(own, random, held_out)
    phrasings = _phrasings(key, held_out, frozenset(place for place, word in words.items() if word))
    if not phrasings:
        return None
    request = one_of(phrasings[random.integers(len(phrasings))], random).format(**words)
    if words.get("tail", "") not in request:
        change = words["plain"]
    return Edit(kind, key, old, request if change in OTHERWISE else _said(request, random), change, new)


_KINDS = tuple(KINDS)
_WEIGHTS = np.array([2.0 if kind in SELDOM else 1.0 for kind in _KINDS])


def draw(old: Notation, random: np.random.Generator, donors: Donors = NO_DONORS, held_out: bool = False) -> Edit | None:
    """An edit of any kind that applies, with twice the chance for kinds that seldom do; None where none applies."""
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
def _phrasings(key: str, held_out: bool, words: frozenset[str]) -> list[str]:
    """The phrasings of a request that these words fill."""
    return [p for p in requests()[key][held_out] if words.issuperset(places(p))]


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


def _said(request: str, random: np.random.Generator) -> str:
    """The request, sometimes with a word before or after it, or with a capital."""
    first = request.split(" ")[0].strip(",")
    plain = first not in ("now", "then", "and", "ok", "please", "but", "again", "also", "this", "that", "it", "could")
    before = _BEFORE[random.integers(len(_BEFORE))] if plain else ""
    after = _AFTER[random.integers(len(_AFTER))] if not request.endswith(("?", "!", "please")) else ""
    text = f"{before}{request}{after}"
    return text[0].upper() + text[1:] if random.random() < 0.4 else text
