"""English word forms: verbs as "waves" and "waving", nouns as "kicks"."""

from __future__ import annotations

import re
from functools import cache

_DOUBLED = {
    *("run", "jog", "hop", "step", "sidestep", "clap", "sit", "put", "get", "hit", "spin", "squat", "nod", "hug"),
    *("jab", "dig", "swim", "drum", "shrug", "bob", "knit", "drop"),
}
_OWN = {"have": "has", "be": "is"}
_PREPOSITION = re.compile(r" (?:of|to|with|on|in|at|from|for|up|down|forward|back|over|off|out)\b")


@cache
def gerund(do: str) -> str:
    """ "wave hello" → "waving hello"; of several words the first is the verb."""
    first, space, rest = do.partition(" ")
    if first in _DOUBLED:
        first += first[-1]
    elif first.endswith("ie"):
        first = first[:-2] + "y"
    elif first.endswith("e") and not first.endswith(("ee", "oe")) and first != "be":
        first = first[:-1]
    return f"{first}ing{space}{rest}"


@cache
def third(do: str) -> str:
    """ "wave hello" → "waves hello": the third person of a verb, the first of several words."""
    first, space, rest = do.partition(" ")
    return f"{_OWN.get(first) or _with_s(first)}{space}{rest}"


@cache
def plural(noun: str) -> str:
    """ "high kick" → "high kicks", "raise of the hand" → "raises of the hand", "reach up" → "reaches up"; one in -s, or
    that begins in -ing, stays.
    """
    preposition = _PREPOSITION.search(noun)
    end = preposition.start() if preposition else len(noun)
    before, space, head = noun[:end].rpartition(" ")
    first = noun.partition(" ")[0]
    if (first.endswith("ing") and len(first) > 5) or (head.endswith("s") and not head.endswith("ss")):
        return noun
    return f"{before}{space}{_with_s(head)}{noun[end:]}"


def _with_s(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        word = word[:-1] + "ie"
    return f"{word}{'es' if word.endswith(('s', 'sh', 'ch', 'x', 'z', 'o')) else 's'}"
