"""Rests that a text asks for: where nothing is done or a pose is held, and for how long.

    a person crouches, waits two seconds, then stands up      2 s, held in the crouch
    a man walks, stops and walks again                        about a second between the walks
    she stands still for 3 seconds and then waves             3 s before the wave

`rests` finds them by their words; `data.asked` says to which act each belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from motionllm.numerals import COUNTS

USUAL = 1.0  # seconds of a rest of which no text says how long
FEW = {"a few": 3.0, "some": 3.0, "several": 4.0, "half a": 0.5, "half of a": 0.5}
LONGER = 2.0  # seconds of "a while"

_NUMBER = rf"(?P<number>\d{{1,2}}(?:\.\d+)?|{'|'.join(COUNTS)}|{'|'.join(FEW)}|an?)"
_ABOUT = r"(?:about |around |roughly |exactly |approximately |another |at least |nearly |almost )?"
_SECONDS = r"[ -]?(?:more |full |whole |long )?(?:seconds?|secs?|(?<=\d)s|(?<=\d )s)\b"
_LASTING = rf"(?:for |of )?{_ABOUT}{_NUMBER}{_SECONDS}"
_WHILE = r"(?:for )?(?:an? |one |some )?(?:\w+ )?(?P<vague>moment|while|bit|beat|instant|minute)\b"
_HOW_LONG = rf"(?: (?!and\b|then\b|before\b|after\b|while\b)\w+){{0,4}}? (?:{_LASTING}|{_WHILE})"
_POSE = r"(?:(?:the|that|this|his|her|their|its|a) (?:\w+ )?(?:pose|position|posture|stance|balance)s?)"
_LOW = (
    r"(?:seated|sitting|kneeling|lying|laying|down|crouch(?:ed|ing)|squat(?:ted|ting)?|bent|bow(?:ed|ing)|low|up"
    r"|in (?:an?|the|that|this|his|her|their) (?:\w+ )?(?:squat|crouch|lunge|bow|pose|position|stance)"
    r"|like (?:that|this))"
)
# Held is the pose that an act has led to. Without its seconds "holds it" may as well be a box.
_HELD = (
    rf"\b(?:(?:hold|keep|maintain)(?:s|ing)?|held|kept) {_POSE}(?:{_HOW_LONG})?",
    rf"\b(?:(?:hold|keep)(?:s|ing)?|held|kept)(?: (?:it|them|that|this|there|steady|on))?"
    rf"(?: (?:up|there|out|down|high|in the air|in place)){{0,2}} (?:{_LASTING}|{_WHILE})",
    rf"\b(?:stay|remain)(?:s|ed|ing)?(?: there)? {_LOW}(?: over| forward| down)?(?:{_HOW_LONG})?",
)
_IN_PLACE = (  # which may be how something else is done: "stands still and waves"
    r"\b(?:(?:stand|stay|remain|keep|hold)(?:s|ing|ed)?|stood|kept|held|(?:is|are|was|were|be))"
    r"(?: (?:very|completely|perfectly|totally|quite|there))?"
    rf" (?:still|motionless|idle|idly|immobile|frozen|put|standing still)\b(?:{_HOW_LONG})?",
    r"\b(?:stays?|stayed|remains?|remained|stands?|stood)"
    rf" (?:in place|on the spot|there|standing|where \w+ (?:is|are|was|were))\b(?:{_HOW_LONG})?",
    rf"\b(?:stand(?:s|ing)?|stood)(?: (?!up\b|on\b)\w+){{0,3}}? (?:{_LASTING}|{_WHILE})",
    rf"\b(?:does|do|doing) nothing\b(?:{_HOW_LONG})?",
)
_TAKES = r"\b(?:takes?|makes?|taking|making|with|after)"
_BRIEF = rf"(?:{_TAKES} )?"
_GAIT = r"(?:walk|runn|mov|jogg|march|danc)ing"
_PAUSES = (
    rf"{_BRIEF}\b(?:an? )?{_NUMBER}{_SECONDS}[ -]?(?:long )?(?:pause|break|rest|wait|hold)\b",
    rf"(?:{_TAKES} an? (?:(?!and\b)\w+ )?(?:break|rest)|{_BRIEF}\ban? (?:(?!and\b)\w+ )?(?:pause|halt))\b"
    rf"(?: {_LASTING})?",
    r"\b(?:(?:wait|linger|halt)(?:s|ed|ing)?|(?:paus|hesitat)(?:e|es|ed|ing)|freez(?:e|es|ing)|froze)\b"
    rf"(?: in place| there| still)?(?:{_HOW_LONG})?",
    r"\brest(?:s|ed|ing)?\b(?! (?:his|her|their|its|the|an?|one|on|against|of|both|arms?|hands?|in|upon|position)\b)"
    rf"(?:{_HOW_LONG})?",
    rf"\bstop(?:s|ped|ping)?\b(?! (?:the|an?|his|her|their|its?|both|some\w*|(?!{_GAIT})\w+ing)\b)(?: {_GAIT})?"
    rf"(?:{_HOW_LONG})?",
    rf"\bcom(?:e|es|ing) to (?:an? |the )?(?:\w+ )?(?:stop|halt|standstill|rest)\b(?:{_HOW_LONG})?",
)
_EVERY = (*((p, "held") for p in _HELD), *((p, "in place") for p in _IN_PLACE), *((p, "pause") for p in _PAUSES))
_LED = rf"\b(?:for|after) {_ABOUT}{_NUMBER}{_SECONDS},? (?:(?:s?he|they|it|the \w+|an? \w+|and|just) )*$"
# What says that it goes on while something else is done, and is no rest between acts.
_WHILE_BEFORE = (
    r"(?:\b(?:while|whilst|as|when|until|if|by|not|without|never)|n't)(?: (?:s?he|they|it|is|are|the \w+))* $"
)
_WHILE_AFTER = r"^,? ?(?:while|whilst|as (?:s?he|they|it)|at the same time)\b"
_BESIDE = r"^,? (?:with\b|and (?!then\b)|but\b|\w+ing\b|to\b)"
_AFTER = r"\bafter (?:(?:s?he|they|it|an? \w+|the \w+|having|briefly|first|just) )*$"


@dataclass(frozen=True)
class Rest:
    """Seconds in which nothing is done. where: "before" or "after" an act, or "held": in the pose that it leads to.
    stated: the text says how many; else about so many.
    """

    seconds: float
    where: str = "before"
    stated: bool = False

    @property
    def least(self) -> float:
        """Seconds of which a rest is one that no text says the seconds of."""
        return self.seconds / 2


@dataclass(frozen=True)
class Named:
    """A rest and its place in a text: letters `start` to `end`. late: it comes before the act named before it, as in
    "kicks after a pause".
    """

    start: int
    end: int
    rest: Rest
    late: bool = False


def rests(text: str) -> list[Named]:
    """The rests that a text in lower case names, in its order."""
    left, found = text, []
    for pattern, kind in _EVERY:
        for match in re.finditer(pattern, left):
            if not _goes_on(text, match, kind):
                found.append(_named(text, match, kind))
        for one in found:
            left = f"{left[: one.start]}{'#' * (one.end - one.start)}{left[one.end :]}"
    return list(_merged(sorted(found, key=lambda one: one.start), text))


def without(text: str, found: list[Named]) -> str:
    """The text with each letter of its rests replaced by "#"."""
    for one in found:
        text = f"{text[: one.start]}{'#' * (one.end - one.start)}{text[one.end :]}"
    return text


def _goes_on(text: str, match: re.Match[str], kind: str) -> bool:
    """Whether words of a rest say how something else is done at the same time: "claps while standing still"."""
    before, after = text[: match.start()], text[match.end() :]
    if re.search(_WHILE_BEFORE, before) or re.search(_WHILE_AFTER, after):
        return True
    return kind == "in place" and not _stated(match) and bool(re.search(_BESIDE, after))


def _stated(match: re.Match[str]) -> float:
    """Seconds that are said of a rest; 0 where none are."""
    number = (match.groupdict().get("number") or "").strip()
    return float(COUNTS.get(number) or number) if number and number not in (*FEW, "a", "an") else 0.0


def _named(text: str, match: re.Match[str], kind: str) -> Named:
    start, stated, groups = match.start(), _stated(match), match.groupdict()
    led = re.search(_LED, text[:start])
    if led and not stated:
        start, stated = led.start(), _stated(led)
    about = FEW.get(groups.get("number") or "", LONGER if groups.get("vague") in ("while", "minute") else USUAL)
    late = re.search(_AFTER, text[:start])
    if late:
        start = late.start()
    late_noun = match[0].startswith("after ")
    where = "held" if kind == "held" else "before"
    return Named(start, match.end(), Rest(stated or about, where, bool(stated)), bool(late or late_noun))


def _merged(found: list[Named], text: str) -> Iterator[Named]:
    """ "Stops and rests for three seconds" is one rest."""
    last: Named | None = None
    for one in found:
        if last and re.fullmatch(r"(?:,| |and|then|there|s?he|they)*", text[last.end : one.start]):
            longer = max(last, one, key=lambda named: (named.rest.stated, named.rest.seconds))
            last = Named(last.start, one.end, longer.rest, last.late)
            continue
        if last:
            yield last
        last = one
    if last:
        yield last
