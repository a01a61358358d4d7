"""Captions and answers read back: which actions, sides and directions free words name.

For scoring what a model says: synonyms and inflections are known, grammar only as far as "before", "after" and
"while" decide what comes first.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from motionllm.data.builtin.spec import CHOICES, Spec
from motionllm.data.builtin.words import NAMES, NUMBERS
from motionllm.data.samples import Question


def _verb(*stems: str) -> str:
    """A regular expression for the inflections of verbs."""
    forms = [rf"{s[:-1]}(?:e|es|ed|ing)" if s.endswith("e") else rf"{s}(?:{s[-1]})?(?:s|es|ed|ing|er)?" for s in stems]
    return rf"\b(?:{'|'.join(forms)})\b"


_SIT, _STEP = r"\b(?:sit|sits|sat|sitting)\b", _verb("step")
_TURN = _verb("turn", "rotate", "pivot")
_LIMBS, _OWN = r"(?:hands?|arms?|fists?)", r"(?:(?:both|their|his|her|its|the|left|right) )"
_ONE_LEG = rf"on (?:one|{_OWN}(?:left|right)) (?:leg|foot)"
_TO_A_SIDE = rf"to {_OWN}(?:left|right)"
_DOWN = r"(?:(?:bend|bent|reach|lean|squat|crouch)(?:s|es|ing)? (?:down|over|forward)(?:,? and| to|,)? ?)?"
_BACK_UP = r"(?:,? and (?:then )?(?:stand|get|gett|com)(?:s|es|e|ing)? (?:back )?up)?"
# In this order: what has matched is taken out, so that "turns around" is no "turns" and "jumping jacks" no "jump".
PATTERNS: tuple[tuple[str, str], ...] = (
    ("jumping_jacks", r"\b(?:jumping|star)[ -]?jacks?\b|\bstar jumps?\b"),
    ("stretch", r"\bt[ -]?pos(?:e|es|ing)\b"),
    (
        "stretch",
        _verb("stretch", "extend", "spread", "hold") + rf"(?: \w+){{0,3}}? {_LIMBS}\b(?: out| sideways| wide)*"
        rf"(?: to {_OWN}?sides?)?|{_LIMBS} (?:straight )?out to {_OWN}?sides?",
    ),
    ("hips", rf"(?:{_verb('put', 'place', 'rest')} )?{_OWN}*{_LIMBS} (?:on|at) {_OWN}?(?:hips|waist)"),
    ("touch_toes", _DOWN + rf"(?:to )?(?:touch(?:es|ed|ing)? |to )?{_OWN}?(?:\w+ )?toes\b"),
    ("pick", _DOWN + r"\bpick(?:s|ed|ing)?\b(?: (?:something|an? \w+|it|the \w+))?(?: up\b)?"),
    ("crouch_walk", r"\b(?:sneak(?:s|ed|ing)?|tiptoe\w*)\b|\bcrouch(?:es|ed|ing)?,? and (?:then )?walk(?:s|ing)?\b"),
    (
        "crouch_walk",
        r"\bwalk(?:s|ed|ing)?\b(?: \w+){0,5} (?:in a crouch|crouched(?: down)?|crouching|while crouching|bent low)"
        r"|\bcrouch(?:ed|ing)?[ -]walk(?:s|ed|ing)?\b",
    ),
    ("march", _verb("march") + r"|\b(?:walk|jog|run|step)\w*(?: \w+)? (?:in place|on the spot)"),
    ("look", _verb("look", "glance", "gaze") + "|" + _verb("turn", "rotate") + rf" {_OWN}head"),
    ("spin", _verb("spin", "twirl", "whirl", "pirouette") + r"(?: around)?|\b(?:full|360(?:[ -]degrees?)?) turn"),
    ("spin", _TURN + r"(?: \w+)? (?:in )?(?:a )?(?:full circle|360(?: degrees)?|all the way around)"),
    ("turn_around", _TURN + r"(?: \w+ly| fast| at a slow speed)? (?:back )?around"),
    ("turn_around", _TURN + r"(?: \w+)? 180(?: degrees)?|\b(?:half|180(?:[ -]degrees?)?|u)[ -]turn"),
    ("turn", _TURN),
    ("sidestep", rf"\bside[ -]?step\w*|\bstep(?:s|ped|ping)? sideways|\bstepp?\w* (?:\w+ )?{_TO_A_SIDE}|\bshuffl\w+"),
    ("sidestep", rf"\bt(?:ake|akes|aking|ook) (?:\w+ )?steps? {_TO_A_SIDE}"),
    ("hop", _verb("hop") + rf"|\b(?:jump|leap)\w* (?:\w+ ){{0,2}}?{_ONE_LEG}"),
    ("jump", _verb("jump", "leap")),
    ("lunge", _verb("lunge")),
    ("balance", _verb("balance") + rf"|\b(?:stand|stands|stood|standing) (?:\w+ )?{_ONE_LEG}"),
    ("squat", _verb("squat") + r"(?: down)?" + _BACK_UP),
    ("bow", _verb("bow") + r"|\bbend(?:s|ing)? forward"),
    (
        "stand_up",
        r"\b(?:stand|stands|stood|standing|get|gets|got|getting|rise|rises|rising|rose) (?:\w+ly |at a slow speed )?"
        r"(?:back )?(?:up|from (?:a|the|their) (?:seat|chair))(?: from (?:sitting|(?:a|the) (?:chair|seat)))?",
    ),
    ("sit", _SIT + r"|\bt(?:ake|akes|aking|ook) (?:a|the|their) seat"),
    (
        "kneel",
        r"\b(?:kneel(?:s|ed|ing)?|knelt)\b|\b(?:go|goes|going|went|drop|drops|dropping|get|gets) (?:down )?"
        rf"(?:on|to|onto) (?:one )?{_OWN}*knees?",
    ),
    ("lie", r"\b(?:lie|lies|lying|lay|lays|laying)\b"),
    ("punch", r"(?:\bthrow\w* (?:\w+ )?)?" + _verb("punch", "jab", "box")),
    ("throw", r"\b(?:throw|throws|threw|throwing|toss\w*|pitch\w*)\b"),
    ("kick", _verb("kick")),
    ("clap", _verb("clap", "applaud")),
    ("wave", _verb("wave")),
    ("drink", r"\b(?:drink|drinks|drank|drinking|sip|sips|sipping)\b"),
    ("raise", rf"\b(?:rais|lift|put|hold)\w* (?:\w+ ){{0,3}}?{_LIMBS}\b(?: up)?|{_LIMBS} up\b"),
    ("run", _verb("run", "jog", "sprint") + r"|\bran\b"),
    ("step", r"\bt(?:ake|akes|aking|ook) (?:\w+ ){0,3}steps?\b|" + _STEP),
    ("walk", _verb("walk", "stroll") + r"|\bback(?:s|ed|ing)? up\b"),
    ("stand", r"\b(?:stand|stands|stood|standing)\b"),
)
CONNECTOR = (
    r"\b(?:and )?(?:then|before|after(?:wards?)?|while|and|as|at the same time)\b|[.;]"
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
    """A free caption in lower case without what names an action: "#" in the place of each letter of that."""
    left = " " + re.sub(r"[\s]+", " ", text.lower().strip()) + " "
    for _, pattern in PATTERNS:
        left = re.sub(pattern, lambda m: "#" * len(m[0]), left)
    return left


def named(text: str) -> dict[str, Any]:
    """What a free caption names, in the order in which it happens.

    Returns {"parts": [{"action", "side", "direction", "count", "speed"}, …], "actions": […], "sides": […],
    "directions": […]}; "" and 0 where nothing is said. Knows synonyms and inflections, and that
    "B after A" and "after A, B" both begin with A.
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
    offered = CHOICES[action]
    side = direction = ""
    if "side" in offered:
        both = re.search(r"\bboth\b|\bhands\b|\barms\b|\bknees\b", clause)
        sides = set(re.findall(r"\b(left|right)\b", clause))
        side = "both" if (both and not sides) or len(sides) == 2 else sides.pop() if sides else ""
    if "direction" in offered:
        found = [way for way, pattern in _WAYS if re.search(pattern, clause) and way in offered["direction"]]
        if "counterclockwise" in found and not re.search(
            r"(?<!counter)(?<!counter )(?<!counter-)(?<!anti)(?<!anti-)(?<!anti )clockwise", clause
        ):
            found = [way for way in found if way != "clockwise"]
        direction = found[0] if found else ""
    count = 0
    if "count" in offered:
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


# A caption may name the broader word: to turn around is to turn, to hop is to jump.
_BROADER = {
    "turn_around": {"turn"},
    "spin": {"turn", "turn_around"},
    "hop": {"jump"},
    "crouch_walk": {"walk"},
    "sidestep": {"step"},
    "march": {"walk"},
    "step": {"walk"},
    "run": set(),
    "pick": set(),
}


def names_action(text: str, spec: Spec) -> bool:
    """Whether a caption names the actions of a specification, all of them, no other, and "then" in its order."""
    wanted, got = [part.action for part in spec.parts], named(text)["actions"]
    if len(wanted) == 2 and wanted[0] == wanted[1] and len(got) == 1:
        got = got * 2

    def same(a: list[str], b: list[str]) -> bool:
        return len(a) == len(b) and all(y == x or y in _BROADER.get(x, ()) for x, y in zip(a, b, strict=True))

    return same(wanted, got) or (spec.relation == "while" and same(wanted[::-1], got))


def right_answer(question: Question, answer: str) -> bool:
    """Whether a free answer means the question's true one: "The right hand." is "right", "twice" and "2" are "two"."""
    return _normal(answer, question) == _normal(question.answer, question)


def _normal(answer: str, question: Question) -> str:
    text = re.sub(r"[^a-z0-9 ]", " ", answer.lower())
    words = text.split()
    if question.kind in ("count", "duration"):
        numbers = {**{w: i for i, w in enumerate(NUMBERS)}, "once": 1, "twice": 2, "thrice": 3}
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
        found = [
            w.removesuffix("s")
            for w in joined.split()
            if w.removesuffix("s") in ("forward", "backward", "left", "right", "clockwise", "counterclockwise")
        ]
        return found[0] if found else joined
    short = " ".join(words)
    exact = next((a for a, name in NAMES.items() if name == short), None)
    if exact:
        return exact
    actions = named(answer)["actions"]
    return actions[0] if actions else short
