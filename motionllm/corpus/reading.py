"""Captions and answers parsed: which actions, sides and directions free text names.

Used to score a model's text. Synonyms and inflections are known, grammar only as far as "before", "after" and "while"
decide the order.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.spec import Spec
from motionllm.numerals import NUMBERS, OFTEN
from motionllm.samples import Question

# (action, regular expression), in the order in which they are searched.
PATTERNS = tuple(
    (action.name, pattern)
    for action in sorted(ACTIONS.values(), key=lambda action: action.reading)
    for pattern in action.patterns
)
CONNECTOR = (
    r"\b(?:and )?(?:then|before|after(?:wards?)?|while|and|as|at the same time)\b|\.(?!\d)|;"
    r"|,(?= (?:(?:a|an|the|this) (?:person|man|woman|figure|guy)|person|someone|somebody|he|she|they|it)\b)"
)
_COUNTS = {"once": 1, "one time": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "five": 5, "2": 2, "3": 3, "4": 4}
_WAYS = (
    ("counterclockwise", r"counter[ -]?clockwise|anti[ -]?clockwise"),
    ("clockwise", r"\bclockwise"),
    ("backward", r"\bbackwards?\b|\bback(?:s|ed|ing)? up\b|\bin reverse\b|\bback\b(?! up| around)"),
    ("left", r"\bleft\b"),
    ("right", r"\bright\b"),
    ("forward", r"\bforwards?\b|\bahead\b|\bstraight\b"),
)


def unread(text: str) -> str:
    """A free caption in lower case, with each letter of the words that name actions replaced by "#"."""
    left = " " + re.sub(r"[\s]+", " ", text.lower().strip()) + " "
    for _, pattern in PATTERNS:
        left = re.sub(pattern, lambda m: "#" * len(m[0]), left)
    return left


def named(text: str) -> dict[str, Any]:
    """The actions that a free caption names, in the order in which they happen.

    Returns {"parts": [{"action", "side", "direction", "count", "speed"}, …], "actions": […], "sides": […],
    "directions": […]}; "" and 0 where nothing is stated. Knows synonyms and inflections, and that "B after A" and
    "after A, B" both begin with A.
    """
    left = " " + re.sub(r"[\s]+", " ", text.lower().strip()) + " "
    text, hits = left, []
    for action, pattern in PATTERNS:
        for m in re.finditer(pattern, left):
            hits.append((m.start(), m.end(), action))
        left = re.sub(pattern, lambda m: "#" * len(m[0]), left)
    hits.sort()
    parts: list[dict[str, Any]] = []
    bounds = [0]
    for (_, end, _), (start, _, _) in pairwise(hits):
        between = list(re.finditer(CONNECTOR, text[end:start]))
        bounds.append(end + between[-1].start() if between else start)
    bounds.append(len(text))
    reverse = False
    for k, (start, _, action) in enumerate(hits):
        clause = text[bounds[k] : bounds[k + 1]]
        link = text[bounds[k] : start]
        if k and re.search(r"\bafter\b(?!wards)", link):
            reverse = True
        parts.append(_modifiers(action, clause))
    if reverse:
        parts.reverse()
    merged: list[dict[str, Any]] = []
    for part in parts:  # "squats down and then squats again" stays two, an echo of the same words is one
        if not (merged and merged[-1] == part):
            merged.append(part)
    return {
        "parts": merged,
        "actions": [p["action"] for p in merged],
        "sides": [p["side"] for p in merged if p["side"]],
        "directions": [p["direction"] for p in merged if p["direction"]],
    }


def _modifiers(action: str, clause: str) -> dict[str, Any]:
    offered = ACTIONS[action]
    side = direction = ""
    if offered.side:
        both = re.search(r"\bboth\b|\bhands\b|\barms\b|\bknees\b", clause)
        sides = set(re.findall(r"\b(left|right)\b", clause))
        side = "both" if (both and not sides) or len(sides) == 2 else sides.pop() if sides else ""
    if offered.direction:
        directions = [way for way, pattern in _WAYS if re.search(pattern, clause) and way in offered.direction]
        if "counterclockwise" in directions and not re.search(
            r"(?<!counter)(?<!counter )(?<!counter-)(?<!anti)(?<!anti-)(?<!anti )clockwise", clause
        ):
            directions = [way for way in directions if way != "clockwise"]
        direction = directions[0] if directions else ""
    count = 0
    if offered.count:
        count = next((n for word, n in _COUNTS.items() if re.search(rf"\b{word}\b", clause)), 0)
        if not count and re.search(
            r"\bone\b (?!leg|foot|knee|hand|arm)|\ba (?:single|jump|step|side|kick|squat|lunge|bow|punch)\b", clause
        ):
            count = 1
    speed = (
        "slowly"
        if re.search(r"\bslow(?:ly)?\b", clause)
        else "quickly"
        if re.search(r"\b(?:quick(?:ly)?|fast|rapid(?:ly)?|sprint\w*)\b", clause)
        else ""
    )
    return {"action": action, "side": side, "direction": direction, "count": count, "speed": speed}


def names_action(text: str, spec: Spec) -> bool:
    """Whether a caption names all actions of a specification, no others, and "then" in its order."""
    wanted, got = [part.action for part in spec.parts], named(text)["actions"]
    if len(wanted) == 2 and wanted[0] == wanted[1] and len(got) == 1:
        got = got * 2

    def same(a: list[str], b: list[str]) -> bool:
        return len(a) == len(b) and all(y == x or y in ACTIONS[x].broader for x, y in zip(a, b, strict=True))

    return same(wanted, got) or (spec.relation == "while" and same(wanted[::-1], got))


def right_answer(question: Question, answer: str) -> bool:
    """Whether a free answer means the question's true one: "The right hand." matches "right", and "twice" and "2" match
    "two".
    """
    return _normal(answer, question) == _normal(question.answer, question)


def _normal(answer: str, question: Question) -> str:
    text = re.sub(r"[^a-z0-9 ]", " ", answer.lower())
    words = text.split()
    if question.kind in ("count", "duration"):
        numbers = {w: i for i, w in enumerate(NUMBERS)} | OFTEN
        values = [numbers.get(w, int(w) if w.isdigit() else None) for w in words]
        return str(next((v for v in values if v is not None), text))
    if question.kind == "yesno":
        return next((w for w in words if w in ("yes", "no")), text)
    if question.kind == "speed":
        fast = {"fast": "fast", "quick": "fast", "quickly": "fast", "rapidly": "fast", "slow": "slow", "slowly": "slow"}
        return next((fast[w] for w in words if w in fast), text)
    if question.kind == "side":
        sides = {w for w in words if w in ("left", "right", "both")}
        return "both" if "both" in sides or len(sides) == 2 else sides.pop() if sides else text
    if question.kind == "direction":
        joined = re.sub(r"(counter|anti) ?clockwise", "counterclockwise", " ".join(words))
        matches = [
            w.removesuffix("s")
            for w in joined.split()
            if w.removesuffix("s") in ("forward", "backward", "left", "right", "clockwise", "counterclockwise")
        ]
        return matches[0] if matches else joined
    short = " ".join(words)
    exact = next((action.name for action in ACTIONS.values() if action.answer == short), None)
    if exact:
        return exact
    actions = named(answer)["actions"]
    return actions[0] if actions else short
