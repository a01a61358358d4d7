"""What a text says that nothing measures: moods, gaits of the tired and the drunk, similes; and unknown acts.

    a person limps, looking sadly around            limps, sadly
    he walks like a zombie                          like a zombie
    he picks up a box and puts it on a shelf        puts it on a shelf

A motion may be all that is measured of its text (a walk) and nothing of this; who asked for it is told.
"""

from __future__ import annotations

import re

from motionllm.data.asked import asked
from motionllm.data.rests import rests

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


_LIMBS = r"\b(?:arm|hand|leg|foot|feet|fist|elbow|knee|shoulder|wrist|finger|hip|head|body|torso|waist)s?\b"
_CLAUSES = re.compile(r"[,;.]|\b(?:and|then|while|before|after|as)\b")
_SUBJECT = (
    r"(?:(?:an?|the|one|some) (?:\w+ )?(?:person|man|woman|figure|boy|girl|\w+er)|someone|somebody|s?he|they|it|who) "
)
_VERB = re.compile(rf"(?:{_SUBJECT})?(?:(?:is|are|was) )?(?:\w+ly |also |again )*(\w{{2,}}(?:(?<!s)s|ing))\b")
# Verbs that are no act of their own, or end one that is known, and words that only look like verbs.
_NO_VERB = re.compile(
    r"(?:stand|stop|stay|wait|paus|remain|keep|start|begin|go|return|com|continu|finish|end|hold|be|i|ha|do|wa|thi|hi|at"
    r"|let|appear|seem|look|us|lik|during|somethin|nothin|arm|leg|hand|both|try|tri|pretend|turn|face|get|proceed|repeat"
    r"|attempt|resum|mov|curv|veer|lower|drop|releas|(?:for|back|to|up|down)?ward|sideway|all?way)(?:e?s|ing|ping)?"
)


def unknown(text: str) -> list[str]:
    """The clauses of a text that name an act which is neither known nor measured."""
    clauses = [clause.strip() for clause in _CLAUSES.split(text.lower())]
    verbs = [(clause, _VERB.match(clause)) for clause in clauses]
    found = [clause for clause, verb in verbs if verb and not _NO_VERB.fullmatch(verb[1]) and not _known(clause)]
    return [clause for clause in found if not rests(clause)]


def _known(clause: str) -> bool:
    """Whether a clause names an act that is known: not arms that move with a thing, as in "plays the guitar"."""
    wanted = asked(clause)
    return any(one.action != "move" for one in wanted) or (bool(wanted) and bool(re.search(_LIMBS, clause)))
