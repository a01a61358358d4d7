"""Whether a query fits its question: it names only what the question names, and asks for what the question asks for.

A model that misreads a question writes a query all the same, whose answer is exact, and to something else.
"""

from __future__ import annotations

import re
from functools import cache

from motionllm.data.asked import asked
from motionllm.data.edit_words import WORDINGS
from motionllm.data.inquiry_texts import SYNONYMS
from motionllm.data.queries import ASKED, NAMED, Query
from motionllm.numerals import COUNTS, OFTEN

_YES_OR_NO = r"(?!.*\b(how (many|much|often|long|fast|quickly|far|high)|which|where (is|does|did|do)|from when)\b)"
# What is done, whenever and however often: no question of a number, a time or an order.
_AT_ALL = (
    rf"^{_YES_OR_NO}"
    r"(?!.*\b(exactly|times|twice|thrice|before|first|(start|begin|end)s? with|the (start|beginning|end))\b)"
)
_START, _END = r"\b(start|begin|first|initial)", r"\b(end|last|final|finish|over)"
# Beginning of a form, the longest there is → what a question holds that it answers. Broad: people ask freely.
_ASKS = {
    "does {label}": _AT_ALL,
    "does {verb} x": rf"^{_YES_OR_NO}",
    "does move": r"move|moving|leav|away|go|travel|place|spot",
    "does stay": r"stay|remain|keep|still|place|spot",
    "is {label}": _AT_ALL,
    "is {verb} before": rf"^{_YES_OR_NO}",
    "is {posture} at start": _START,
    "is {posture} at end": _END,
    "which": r" (or|and) ",
    "what": r"what|which|name|say|describe",
    "count": r"how (many|often)|count|number|times|once|twice|occasions",
    "side": r"left|right|which|what|side",
    "way": r"way|where|direction|side|left|right|backward|forward|down",
    "pace": r"fast|slow|pace|quick|speed|tempo",
    "speed": r"fast|slow|pace|quick|speed|tempo|met(er|re)s|m/s",
    "curve": r"way|side|left|right|direction|curv|bend",
    "circle": r"circle|round|clockwise",
    "degrees": r"degrees|angle|far|big|large|deep|wide|much",
    "height": r"high|height|met(er|re)s",
    "when": r"when|time|second|moment|wh(at|ich) point|until|start",
    "span": r"when|time|second|start|begin|between|from",
    "seconds": r"long|last|seconds|time|duration|length",
    "whole seconds": r"long|last|seconds|time|duration|length",
    "first": rf"^(?!.*(posture|position))(?=.*({_START}|open|earl|before))",
    "last": rf"{_END}|clos|second",
    "after": r"after|follow|next|once|then|over|done",
    "before": r"before|preced|lead|ahead|earl|prior",
    "at": r"second|\bs\b|\d",
    "posture at start": _START,
    "posture at end": _END,
    "metres": r"far|met(er|re)s|distance|way|path|ground",
    "where": r"where|way|direction",
    "turned": r"turn|fac|heading",
    "stay or move": r"stay|remain|keep|move|place|spot",
}
# The beginning of a form; a verb, and what a label says besides.
_FORM = re.compile("|".join(re.escape(form) for form in sorted(_ASKS, key=len, reverse=True)))
_VERB = re.compile(rf"({'|'.join(sorted(NAMED, key=len, reverse=True))})\b(.*)")

# More names of verbs, and words that do not end as the others do.
_ALSO = {
    "reach up": ("raise", "hand goes up", "arm goes up", "hand was up", "lift arm", "lift hand"),
    "stand on": ("stand",),  # "which leg does she stand on?"
    "step": ("pace",),
    "march": ("step on the spot", "step in place", "marching step"),
}
_BASE = {
    "lies": "lie",
    "lay": "lie",
    "laying": "lie",
    "lying": "lie",
    "sat": "sit",
    "stood": "stand",
    "rose": "rise",
    "got": "get",
    "went": "go",
    "ran": "run",
    "threw": "throw",
    "thrown": "throw",
    "knelt": "kneel",
    "bent": "bend",
    "crept": "creep",
    "leapt": "leap",
    "swung": "swing",
    "spun": "spin",
    "knees": "knee",
}
# What names of verbs share with other text.
_COMMON = "a an the on in to of at with over into something someone somebody or and one do take make go get have be put"
# Words of queries → what a question may hold in their place; limbs go unnamed ("with her left").
_SAID = {
    "left": r"left|counter|anti",
    "right": r"right|clockwise",
    "both": r"both|two|each",
    "forward": r"forward|ahead|straight",
    "backward": r"back",
    "turn": "",
} | dict.fromkeys(("hand", "hands", "arm", "arms", "leg", "foot"), "")


def fits(query: Query, question: str) -> bool:
    """Whether a question names each verb, side, way, number and posture of its query, and asks for what the query does.

    Verbs are known by the names in `queries.NAMED` and `inquiry_texts`, and by what `asked.asked` reads. The query
    `none` fits all.
    """
    text = question.lower()
    if (form := _FORM.match(query.form)) and not re.search(_ASKS[form[0]], text):
        return False
    named = named_verbs(text) if query.words else set()
    for place in query.words:
        match = _VERB.fullmatch(place)
        verb, rest = match.groups() if match else ("", place)
        if verb and verb not in named:
            return False
        if not all(re.search(_said(word), text) for word in rest.split()):
            return False
    return True


def _said(word: str) -> str:
    """The pattern of what says a word of a query."""
    if number := re.fullmatch(r"x?(\d+)", word):
        count = int(number[1])
        others = [word for word, n in (COUNTS | OFTEN).items() if n == count]
        return rf"\b({'|'.join((number[1], *others))})\b"
    return _SAID.get(word, re.escape(word))


def named_verbs(text: str) -> set[str]:
    """The verbs that a text names, by their names or as `asked.asked` reads it."""
    stems, read = _stems(text), {one.verbs[0] for one in asked(text)} & {*ASKED}
    return {verb for verb in NAMED if verb in read or any(name <= stems for name in _names(verb))}


@cache
def _names(verb: str) -> frozenset[frozenset[str]]:
    """The stems of each name of a verb."""
    infinitives, gerunds, _ = NAMED[verb]
    synonyms = re.split(r"\||//", SYNONYMS[verb])
    names = (verb, *infinitives, *gerunds, *synonyms, *WORDINGS[verb].nouns, *_ALSO.get(verb, ()))
    return frozenset(_stems(name) - _stems(_COMMON) or _stems(name) for name in names)


def _stems(text: str) -> frozenset[str]:
    """The words of a text without their endings: "waving", "waves" and "waved" are one."""
    return frozenset(_stem(_BASE.get(word, word)) for word in re.findall(r"[a-z]+", text))


def _stem(word: str) -> str:
    stem = re.sub(r"(?<=[aeiou])(.*?)(ing|ed|es|s)$", r"\1", word) if len(word) > 3 else word
    stem = stem.removesuffix("e")
    return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] else stem
