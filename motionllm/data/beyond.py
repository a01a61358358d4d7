"""What no change of a motion does, however it is worded, and what does it instead.

A model that translates requests knows the changes of its language alone, and takes "remove the foot sliding" for one of
them. Such requests are known by their words, and refused.
"""

from __future__ import annotations

import re

CANNOT = (
    "No change of a motion does that: what can be changed is what is done, with which limb and which way, how often, "
    "how fast, how far, how large, how long and in which order."
)

# A pattern of what is asked for → the command that does it, "" where none does.
_BEYOND = (
    (
        r"\b(?:foot|feet)\b.*\b(?:slid|skat|slip)|\b(?:slid|skat)ing (?:of )?(?:the |his |her )?(?:foot|feet)\b"
        r"|\b(?:lock|plant|pin) (?:the |his |her |both )?feet\b",
        "`motionllm data convert CLIP OUT --lock-feet` keeps standing feet from sliding",
    ),
    (
        r"\b(?:make|have|let|so that) (?:it|this|that|the \w+) loops?$|\b(?:loopable|cyclic|seamless)"
        r"|\b(?:a|perfect|clean) loop\b",
        "`motionllm retarget CLIP CHARACTER --loop` finds the stretch that repeats",
    ),
    (r"\b(?:smooth|jitter|denois|wobbl)|\bnois[ey]|\bshak(?:y|iness)\b", ""),
    (r"\bgradual|\beas(?:e|ing)(?: in| out|-)\b|\bramp\b|\bblend|(?<!to )\bfade\b", ""),
    (r"\banticipat|\bfollow[ -]through\b|\b(?:more|less) weight\b|\bmomentum\b|\bovershoot", ""),
    (
        r"\b(?:lower|raise|lift|drop|tuck|straighten|relax|move|rotate)(?: in| up| down)? (?:the |his |her )?"
        r"(?:left |right |both )?(?:elbow|shoulder|wrist|finger|chin|hip|spine)s?\b",
        "",
    ),
    (r"\b(?:start|begin|lead|set off)\w* (?:off )?(?:with|on) (?:the |his |her )?(?:left|right) (?:foot|leg)\b", ""),
    (r"\b(?:stop|end|finish|halt)\w* (?:\w+ )?after (?:the )?\w+ (?:foot)?steps?\b", ""),
    (r"\b(?:remove|cut|delete|drop|lose|without|skip|shorten) (?:out )?(?:the |any |all )?pauses?\b(?! at the )", ""),
    (
        r"\b(?:speed|slow|fast|quick)\w*\b.*\b(?:for|in|during|over) the (?:first|last|final|opening)"
        r" (?:\w+ )?(?:second|half|third|part|bit)",
        "",
    ),
    (r"\bhold (?:the |his |her )?(?:left |right )?(?:leg|arm|hand|foot|knee)s? (?:out|up|there|high)\b.*\bfor\b", ""),
    (r"\b(?:idle|neutral|rest|resting|[ta])[ -](?:pose|stance)\b", ""),
    (r"\b(?:freeze|hold|pause|stop) (?:it )?at (?:\d|second|one|two|three)", ""),
)

# What it is for: "so that I can fade it out".
_WHAT_FOR = re.compile(r"\b(?:so (?:that )?(?:i|we|you|there)|because|since|as (?:the|my|we|i))\b[^.;!?]*")


def beyond(request: str) -> bool:
    """Whether a request asks for what no change of a motion does."""
    return _instead(request) is not None


def why_not(request: str) -> str:
    """The sentence by which such a request, or one that a model takes for such, is refused."""
    instead = _instead(request)
    return f"No change of a motion does that; {instead}." if instead else CANNOT


def _instead(request: str) -> str | None:
    """What does what is asked for, a clause, or "" for nothing; None where a change may do it."""
    said = _WHAT_FOR.sub("", request.lower())
    return next((instead for pattern, instead in _BEYOND if re.search(pattern, said)), None)
