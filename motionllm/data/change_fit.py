"""What a request says plainly and a model that rewords it as a change (`change_language`) may lose.

Seconds that are to be kept or cut, "a bit", which of several acts of a kind, and acts that the motion does not show: a
change of another act in their place would be made without a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

from motionllm.corpus.actions import ACTIONS
from motionllm.data.acts import COUNTED, ORDINALS, acts
from motionllm.data.asked import asked, line_of
from motionllm.data.beyond import beyond
from motionllm.data.change_language import BETWEEN, LASTING, OTHERWISE, PACED, added, parts
from motionllm.data.changes import applies, changed
from motionllm.data.queries import SIDED
from motionllm.data.query_fit import named_verbs
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import VERBS, Line, Notation
from motionllm.motion.notation.verbs import BY_LENGTH
from motionllm.numerals import NUMBERS, times

_NUMBER = rf"(\d{{1,2}}(?:\.\d)?|{'|'.join(NUMBERS[1:])}|a|half a|half)"
_SECONDS = rf"(?:{_NUMBER} ?(?:s|secs?|seconds?)|second(?= *(?:$|of|please|and|,)))\b"
_KEEP, _CUT = (
    r"\b(?:keep|only|just|nothing but)\b",
    r"\b(?:cut|crop|remove|drop|delete|trim|skip|lose|get rid of|without|leave out)\b",
)
# Which seconds are kept of a clip: a pattern, and from it and the clip's seconds the first and the last of them.
_PARTS = (
    (rf"{_KEEP}.*\b(?:the )?first {_SECONDS}", lambda n, last: (0.0, n)),
    (rf"{_KEEP}.*\b(?:the )?last {_SECONDS}", lambda n, last: (last - n, last)),
    (rf"{_CUT}.*\b(?:the )?first {_SECONDS}", lambda n, last: (n, last)),
    (rf"{_CUT}.*\b(?:the )?last {_SECONDS}", lambda n, last: (0.0, last - n)),
    (rf"^(?:\w+ ){{0,2}}(?:stop|end|cut it)(?: it)? (?:after|at) {_SECONDS}$", lambda n, last: (0.0, n)),
    (rf"^(?:\w+ ){{0,2}}(?:start|begin)(?: it)? (?:at|from) {_SECONDS}$", lambda n, last: (n, last)),
)
# All that is done before or after an act, and what is still at the ends.
_FROM_ACT = re.compile(
    r"\b(?:everything|all|anything|the rest|whatever|what)(?: that| which)?(?: comes?| happens?| is| s?he does)?"
    r" (?P<when>after|before|until|till|up to|from) (?P<act>.+)"
)
_IDLE = rf"{_CUT}.*\b(?:idl\w*|still(?:ness)?|dead|waiting|stand\w*|static|pauses?|rests?|nothing|motionless)\b"
_ENDS = r"\btrim(?: off)? (?:(?:the|both|its) )*(?:starts?|beginning|front|ends?|ending|tail)\b"
_AT_START, _AT_END = r"\b(?:start|begin|front|open|both|ends\b)", r"\b(?:end|tail|finish|last|both)"
LEFT = 0.2  # seconds that are left before and after what is done
_OF_A_PART = r"\b(?:faster|slower|higher|lower|bigger|smaller|repeat|again)\b"  # "make the last second faster"
_STOP = rf"^(?:\w+ ){{0,2}}(?:stop|end|finish)(?: it)? (?:right |just |directly )?after (?!.*{_SECONDS})(?P<act>.+)"
_WHICH = rf"(?:{'|'.join(ORDINALS)}|every) "
_OF_ACT = re.compile(rf"(no |only |)(?:{_WHICH})?({'|'.join(BY_LENGTH)})( .+|)")
_A_BIT = r"\b(?:a (?:tiny |little )?(?:bit|little|touch|tad|shade|fraction)|slightly|somewhat)\b"
_REST = (
    r"\b(?:wait|rest|paus|still|stand|idl|hold|stay|freez|gap|break|quiet|nothing|motionless|remain|linger|stop|go by"
    r"|pass|mov|delay|hesitat|later|postpon|leave|begin after|start after|do not|don't)"
)
_AT_FIRST = r"\b(?:first|start\w*|begin\w*|before\w*|initial\w*|open\w*|prior|lead\w*|front|intro\w*|prepend|earlier)\b"
_TAUGHT = {verb for action in ACTIONS.values() for verb in action.shown[:1]}  # what is ever added in training
_HAVE = r"\b(?:make|have|let|want|get)s? (?:him|her|them|it|(?:the|this|that) \w+)\b"
# "Throw in an extra rep" asks for no throw.
_IDIOMS = r"\b(?:throw|kick|jump|step) (?:in|out|on it)\b|\bstep of the sequence\b"


def fitted(change: str, request: str, plan: Notation) -> str:
    """The change that a model wrote, as its request says plainly; one of an act that the motion does not show where the
    request names that and not the act of the change, so that making it is refused.
    """
    said = request.lower().strip(" .!?")
    for pattern, part in () if re.search(_OF_A_PART, said) else _PARTS:
        if match := re.search(pattern, said):
            first, last = (round(max(0.0, at), 1) for at in part(_number(match[1]), plan.seconds))
            return f"{first:.1f}-{last:.1f} s"
    if match := re.search(_STOP, said):
        last = [act.end for act in acts(plan) if act.main.verb in named_verbs(match["act"])]
        if last and min(last) < plan.seconds - 0.3:
            return f"0.0-{min(last) + 0.2:.1f} s"
    if beyond(said):
        return "cannot"
    if span := _stretch(said, plan):
        return f"{span[0]:.1f}-{span[1]:.1f} s"
    seconds = re.search(r"(?<![\d.])(\d{1,2}(?:\.\d)?) ?(?:s|secs?|seconds?)\b", said)
    by = re.search(r"\b(?:longer|shorter|more|less|by|faster|slower|after|before)\b", said)
    if seconds and not by and change in (*LASTING, *PACED):
        return f"{float(seconds[1]):.1f} s"
    if change.startswith("wait ") and not re.search(_REST, said):
        return f"at a time: {said[:60]}"  # "turn left after two seconds", which no change can say
    one = re.fullmatch(rf"no (?:{'|'.join(ORDINALS)}) (.+)", change)
    mains = [act.main for act in acts(plan) if one and act.main.verb == one[1]]
    if len(mains) == 1 and mains[0].count > 1:  # "the last jump" of two, which are one act
        return f"{mains[0].verb} once less"
    during = re.search(r"\b(?:while|whilst|during|as s?he) (.+)", said)
    if during and " becomes " in change and any(act.main.verb in named_verbs(during[1]) for act in acts(plan)):
        return f"meanwhile {added(change)}"
    if change.startswith("first ") and not re.search(_AT_FIRST, said):
        return f"then {change.removeprefix('first ')}"
    if change in LASTING and re.search(_A_BIT, said):
        return f"a bit {'longer' if LASTING[change] > 1 else 'shorter'}"
    return _counted(_of_what(_to_do(change, said, plan), said, plan), said)


def _stretch(said: str, plan: Notation) -> tuple[float, float] | None:
    """The seconds that are kept where all before or after an act is to go or to stay, or what is still at the ends."""
    every, last = acts(plan), plan.seconds
    if match := _FROM_ACT.search(said):
        there = [act for act in every if act.main.verb in named_verbs(match["act"])]
        goes, stays = (re.search(pattern, said[: match.start()]) for pattern in (_CUT, _KEEP))
        if len(there) != 1 or bool(goes) == bool(stays):
            return None
        start, end = max(0.0, there[0].start - LEFT), min(last, there[0].end + LEFT)
        if match["when"] in ("after", "from"):
            at = end if match["when"] == "after" else start
            return (0.0, at) if goes else (at, last)
        return (start, last) if goes else (0.0, start)
    if not every or not (re.search(_IDLE, said) or re.search(_ENDS, said)):
        return None
    at_start, at_end = re.search(_AT_START, said), re.search(_AT_END, said)
    if not at_start and not at_end:
        return None
    first = max(0.0, min(act.start for act in every) - LEFT) if at_start else 0.0
    return first, min(last, max(act.end for act in every) + LEFT) if at_end else last


def _counted(change: str, said: str) -> str:
    """The change with the count that the request states of what it adds: "ten squats at the end"."""
    wanted = asked(added(change)) if added(change) else []
    if len(wanted) != 1 or wanted[0].count:
        return change
    counts = [one.count for one in asked(said) if one.verbs[0] == wanted[0].verbs[0] and one.count > 1]
    return f"{change} {times(counts[0])}" if len(counts) == 1 else change


# Where a request may go on to another change.
_AND_ALSO = re.compile(r"(?:\s*(?:[,;+&\n]|\.(?!\d))\s*|\s*\b(?:and|then|but|plus|also|besides)\b\s*)+")
# The same but for "also" by itself: "would he also bow?"
_AND_THEN = re.compile(r"(?:\s*(?:[,;+&\n]|\.(?!\d))\s*|\s*\b(?:and|then|but|plus)\b(?:\s*\b(?:also|besides)\b)?\s*)+")
_BEFORE_ALL = re.compile(r"^\W*(?:(?:again|hmm+|ok(?:ay)?|good|now|and|but|so|well|please|no)\b[\s,]*)+", re.IGNORECASE)
# That something is to stay as it is, or is right: no change is asked for.
_AS_IT_IS = (
    r"(?:(?:just |exactly )?as (?:it is|is|it was|they are|before)|like (?:it is|that|before)"
    r"|the way (?:it|they) (?:is|are))"
)
_STAYING = re.compile(
    r"\b(?:leav|keep)(?:e|ing)?\b.*"
    rf"\b(?:alone|untouched|unchanged|intact|the same|{_AS_IT_IS}|at its own (?:pace|tempo))\b"
    r"|\b(?:do not|don'?t|never|no need to|without|not) (?:touch|chang|alter|modify|mess)\w*\b"
    r"|\b(?:is|are|was|were|looks?) (?:already )?(?:fine|good|ok(?:ay)?|perfect|great|right|just right)\b"
    rf"|\b(?:stays?|remains?) (?:the same|{_AS_IT_IS})\b"
    r"|^(?:no|without) (?:other|further) changes|^the rest (?:as|is|stays)\b"
)
_WITH_IT = re.compile(
    r"\s*,? with (?:the|her|his|their) (?:\w+ ){1,3}?"
    r"(?:untouched|unchanged|intact|left alone|as (?:it is|before)|staying as it is)(?=\W*$)",
    re.IGNORECASE,
)
_THE_REST = re.compile(r"\b(?:rest|else|others?|remainder|only|just)\b")


def asking(request: str) -> str:
    """A request without the clauses that say that something stays as it is: "the wave slower, but leave the jump
    alone". A model takes them for one more change. As it was where nothing else is said, or only of the rest.
    """
    whole, request = request, _WITH_IT.sub("", request)
    spans, start = list[tuple[int, int]](), 0
    for match in (*_AND_ALSO.finditer(request), None):
        spans.append((start, match.start() if match else len(request)))
        start = match.end() if match else 0
    stays = [bool(_STAYING.search(request[a:b].lower().strip(" .!"))) for a, b in spans]
    left = [request[a:b] for (a, b), one in zip(spans, stays, strict=True) if not one and b > a]
    if not left or _THE_REST.search(" ".join(left).lower()):
        return whole
    if not any(stays):
        return request
    first, last = stays.index(False), len(stays) - 1 - stays[::-1].index(False)
    # What stands between clauses that stay is cut with its connective before it.
    kept = request[spans[first][0] : spans[first][1]]
    for i in range(first + 1, last + 1):
        if not stays[i]:
            joint = request[spans[i - 1][1] : spans[i][0]]
            kept += joint + request[spans[i][0] : spans[i][1]]
    return kept + ("?" if request.rstrip().endswith("?") and not kept.rstrip().endswith("?") else "")


MOST_PIECES = 4  # of a request of more, none that was dropped is looked for
_MOST_CLAUSES = 8  # of a longer request no clause is looked for


def all_fitted(change: str, clauses: Sequence[str], alone: Sequence[str], plan: Notation) -> str:
    """Several changes that a model wrote, each as its own part of the request says plainly (`fitted`).

    clauses: these parts (`clauses_of`). alone: what the model made of each by itself, which is right more often, and
    holds where it is a change that can be made.
    """
    wanted = parts(change)
    if any(one in OTHERWISE for one in wanted):
        return next(one for one in ("cannot", *OTHERWISE) if one in wanted)
    for i, (one, said, own) in enumerate(zip(wanted, clauses, alone, strict=False)):
        single = own not in OTHERWISE and len(parts(own)) == 1 and applies(plan, own)
        wanted[i] = fitted(own if single else one, said, plan)
        with suppress(MotionLLMError):  # refused when it is to be made
            plan = changed(plan, wanted[i], outline)
    # Of changes that follow each other the same is said once.
    return BETWEEN.join(one for i, one in enumerate(wanted) if not i or one != wanted[i - 1])


def pieces_of(request: str, change: str) -> list[str]:
    """All the parts of a request, where it falls into more than the changes that a model wrote for it, and one of them
    plainly asks for a change; else none, as each is read by the model again.
    """
    pieces = [one for one in _AND_THEN.split(_BEFORE_ALL.sub("", request)) if one.strip(" .!?")]
    more = len(parts(change)) < len(pieces) <= MOST_PIECES
    return pieces if more and any(_asks_plainly(one.lower()) for one in pieces) else []


def completed(change: str, pieces: Sequence[str], alone: Sequence[str], plan: Notation) -> str:
    """The changes that a model wrote, with those that it dropped: where each that it wrote is what it makes of one part
    of the request by itself (`alone`, of `pieces_of`), the changes that it makes of the other parts that plainly ask
    for one.
    """
    wanted = [_anywhere(one) for one in parts(change)]
    usable = [
        one
        for piece, one in zip(pieces, alone, strict=True)
        if one not in OTHERWISE and len(parts(one)) == 1 and applies(plan, one)
        if _anywhere(one) in wanted or _asks_plainly(piece.lower())
    ]
    known = [_anywhere(one) for one in usable]
    covers = len(usable) > len(wanted) and all(known.count(one) == 1 for one in wanted)
    return BETWEEN.join(dict.fromkeys(usable)) if covers else change


# How often, on which side, how fast, how large: what a part of a request says in a word or two.
_PLAINLY = (
    rf"\b(?:twice|thrice|(?:{'|'.join(NUMBERS[2:])}|\d+) times|(?:the )?other (?:hand|arm|leg|foot|side)"
    r"|slower|faster|higher|lower|bigger|smaller|longer|shorter|backwards?|mirror\w*|revers\w*)\b"
)
_NOT_PLAINLY = r"\b(?:again|once more|not|no|than|instead|rather|too)\b|n't\b"  # "again, but slower", "not twice"


def _asks_plainly(piece: str) -> bool:
    """Whether a part of a request is plainly one for a change, and not how another part is meant."""
    return bool(re.search(_PLAINLY, piece)) and not re.search(_NOT_PLAINLY, piece)


def _anywhere(change: str) -> str:
    """A change without whether what it adds comes first or then."""
    return re.sub(r"^(?:first|then) ", "", change)


def outline(text: str) -> Notation:
    """A plan with the acts of a text at no times of their own, for later changes to find them."""
    wanted = asked(text)
    lines = tuple(replace(line_of(one, usual=True), start=2.0 * i, end=2.0 * i + 1.5) for i, one in enumerate(wanted))
    return Notation(2.0 * max(1, len(wanted)), ("standing", "standing"), lines)


def clauses_of(request: str, change: str) -> list[str]:
    """The parts of a request that ask for each of several changes: those whose words are most like theirs; none where
    it does not fall into so many.
    """
    wanted = parts(change)
    request = _BEFORE_ALL.sub("", request)
    found = [match for match in _AND_ALSO.finditer(request) if match.start() > 0 and match.end() < len(request)]
    if not len(wanted) - 1 <= len(found) < _MOST_CLAUSES:
        return []

    def divided(at: Sequence[re.Match[str]]) -> list[str]:
        starts, ends = [0, *(match.end() for match in at)], [*(match.start() for match in at), len(request)]
        return [request[start:end] for start, end in zip(starts, ends, strict=True)]

    def likeness(clauses: Sequence[str]) -> int:
        named = [(named_verbs(one), named_verbs(clause)) for one, clause in zip(wanted, clauses, strict=True)]
        return sum(len(one & clause) - len(one ^ clause) for one, clause in named)

    return max((divided(at) for at in combinations(found, len(wanted) - 1)), key=likeness)


def _to_do(change: str, said: str, plan: Notation) -> str:
    """The change, with what the request names in place of something else that a model would have done: it knows few
    acts, and "let him crawl" becomes a crouched walk, or nothing that it can do.
    """
    shown = [act.main.verb for act in acts(plan)]
    named = named_verbs(re.sub(_IDIOMS, "", said)) - {*shown}
    if len(named) != 1:
        return change
    verb = min(named)
    sentence = Notation(2.0, ("standing", "standing"), (Line(0.0, 1.5, verb),)).sentence()
    if change == "cannot" and verb != "look" and re.search(_HAVE, said):
        return f"{shown[0]} becomes {sentence}" if len(shown) == 1 else f"then {sentence}"
    text = added(change)
    wanted = {one for thing in asked(text) for one in thing.verbs} if text else set()
    untaught = wanted and verb not in wanted and verb not in _TAUGHT
    return change.removesuffix(text) + sentence if untaught else change


def missing(change: str, request: str, plan: Notation) -> bool:
    """Whether a change is one of an act that the request names and the motion does not show, or of the size of one that
    has none: it is to be refused, while of a change that was only worded wrongly there is a likeliest one in its place.
    """
    match = _OF_ACT.fullmatch(change)
    if match is None:
        return False
    if match[2] in {act.main.verb for act in acts(plan)}:
        return match[3] in (" more", " less") and not applies(plan, change)
    return match[2] in named_verbs(re.sub(_IDIOMS, "", request.lower()))


def _number(word: str | None) -> float:
    """ "the first second" has no number."""
    if word in (None, "a", "half a", "half"):
        return 1.0 if word in (None, "a") else 0.5
    return float(NUMBERS.index(word)) if word in NUMBERS else float(word)


def _of_what(change: str, said: str, plan: Notation) -> str:
    """The change, of the act that is named: by its side, where several acts of the verb have different ones."""
    match = _OF_ACT.fullmatch(change)
    if re.search(rf"^(?:no |only )?{_WHICH}", change):
        return change
    if not match or (not match[1] and not match[3]) or " before " in match[3] or " becomes " in match[3]:
        return change
    own = [act.main for act in acts(plan)]
    shown, named = {line.verb for line in own}, named_verbs(re.sub(_IDIOMS, "", said))
    if named and match[2] not in named and not named & shown:
        counted = [verb for verb in COUNTED if verb in named and (match[1] or verb not in ("reach up", "swing"))]
        if match[1] or (counted and re.fullmatch(r" (?:x\d+|once more|once less|twice as often|more|less)", match[3])):
            return f"{match[1]}{(counted or sorted(named))[0]}{match[3]}"
    parts = {line.part for line in own if line.verb == match[2] and line.part}
    sides = {side[1] for side in re.finditer(SIDED, said)}
    if len(parts) > 1 and len(sides) == 1 and match[3].strip() not in VERBS[match[2]].parts:
        part = next((part for part in sorted(parts) if part.startswith(f"{min(sides)} ")), "")
        return f"{match[1]}{match[2]} {part}{match[3]}" if part else change
    return change
