"""Misspelled words of a text: those with a letter too many or too few, or two exchanged, of a word that is known.

Other slips are left alone: "wakes" is no "walks". A text is what a model and a motion library go by, and neither
recognizes "wlaks foward".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache

from motionllm import corpus
from motionllm.data.edit_words import WORDINGS

SHORTEST = 4  # letters of a word that is looked at
_CLIPS = 200  # of the built-in corpus, whose captions have nearly all of its words


def respelled(text: str, known: Collection[str], exists: Callable[[str], bool]) -> str:
    """A text with its misspelled words as they are meant. known: words besides those of the built-in corpus that may be
    meant. exists: whether a word is one, though it is not among these.
    """

    def meant(match: re.Match[str]) -> str:
        word = match[0].lower()
        stems = (word.removesuffix(end) for end in ("", "s", "es", "d", "ed", "ing"))
        if exists(word) or any(stem in known or stem in _words() for stem in stems):
            return match[0]
        near = {other for other in (*known, *_words()) if _a_slip_apart(word, other)}
        return near.pop() if len(near) == 1 else match[0]

    return re.sub(rf"\b[A-Za-z]{{{SHORTEST},}}\b", meant, text)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return re.findall(r"[a-z]+", text.lower())


def _a_slip_apart(a: str, b: str) -> bool:
    """Whether one of two words is the other with a letter more, or with two neighbouring letters exchanged."""
    short, long = sorted((a, b), key=len)
    first = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(long) == len(short) + 1:
        return short[first:] == long[first + 1 :]
    exchanged = long[:first] + long[first + 1 : first + 2] + long[first : first + 1] + long[first + 2 :]
    return len(long) == len(short) and short != long and exchanged == short


@cache
def _words() -> frozenset[str]:
    """Words of the built-in corpus' captions, and names of acts."""
    captions = [caption for number in range(_CLIPS) for caption in corpus.sample(number).captions]
    names = [name for one in WORDINGS.values() for name in (one.do, one.doing, *one.nouns)]
    return frozenset(word for text in (*captions, *names) for word in words_of(text))
