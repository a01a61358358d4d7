"""What a text says of how something is done that nothing measures: moods, gaits of the tired and the drunk, similes.

    a person limps, looking sadly around     limps, sadly
    he walks like a zombie                   like a zombie

A motion may be all that is measured of its text (a walk) and nothing of this; who asked for it is told.
"""

from __future__ import annotations

import re

_GAITS = (
    r"\b(?:limp|stagger|stumbl|tiptoe|strut|swagger|hobbl|waddl|shuffl|saunter|stomp|totter|sway|lurch|tremb|shiver|trip"
    r"|slip|skip|slouch)(?:s|es|ed|e|ing|ping|ped|ling|led)?\b"
)
_STATES = (
    r"\b(?:drunk|drunken|tired|exhausted|injured|hurt|wounded|elderly|sad|happy|angry|scared|afraid|frightened|nervous|proud"
    r"|depressed|excited|sneaky|sleepy|sick|feminine|masculine|childish|robotic|graceful|elegant|clumsy|macho)\b"
)
_SIMILES = (
    r"\b(?:like (?:an?|the|he|she|they|it|in) |as if |as though |in the (?:style|manner) of )"
    r"[a-z' -]+?(?= (?:and|then|while)\b|[,.;!]|$)"
)
# Adverbs that say when, where, how fast, how much or how sure, and words that only end like one.
_OTHERS = """slowly quickly rapidly swiftly briskly suddenly immediately finally initially eventually previously
currently repeatedly continually continuously constantly occasionally simultaneously alternately
alternatingly alternatively respectively subsequently consecutively periodically regularly normally
usually typically casually generally basically slightly partially partly fully completely entirely
totally halfway nearly barely hardly exactly precisely roughly approximately highly lowly directly
diagonally vertically horizontally laterally sideways circularly straightly upwardly forwardly
backwardly outwardly inwardly externally internally physically possibly probably apparently
seemingly really actually only early family belly fly apply reply rely supply jelly ally briefly
simply merely mostly mainly evenly steadily gently lightly softly smoothly calmly carefully loosely
tightly firmly deeply widely closely shortly likely daily"""
_ELSE = frozenset(_OTHERS.split())


def manners(text: str) -> list[str]:
    """The words and phrases of a text that say how something is done and that nothing measures, in their order."""
    low = text.lower()
    found: dict[int, str] = {}
    for pattern in (_SIMILES, _GAITS, _STATES, r"\b[a-z]{2,}ly\b"):
        for match in re.finditer(pattern, low):
            inside = any(at <= match.start() < at + len(words) for at, words in found.items())
            if not inside and match[0] not in _ELSE:
                found[match.start()] = match[0].strip()
    return list(dict.fromkeys(found[at] for at in sorted(found)))
