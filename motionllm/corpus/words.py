"""Captions that are exactly true of a specification.

They follow the style of HumanML3D's annotators: many subjects, synonyms, adverbs before or after, present tense or
gerund. The phrases belong to the actions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from motionllm.corpus.action import Part
from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.spec import Spec
from motionllm.inflection import gerund, third
from motionllm.numerals import NUMBERS

T = TypeVar("T")
_SUBJECTS = (
    ("a person", "their"),
    ("a person", "their"),
    ("a person", "their"),
    ("the person", "their"),
    ("person", "their"),
    ("someone", "their"),
    ("a man", "his"),
    ("the man", "his"),
    ("a woman", "her"),
    ("the figure", "its"),
    ("he", "his"),
    ("a figure", "its"),
    ("this person", "their"),
    ("somebody", "their"),
)
_TIMES = {1: ("once", "one time"), 2: ("twice", "two times"), 3: ("three times",), 4: ("four times", "4 times")}
_SPEED_WORDS = {"slowly": ("slowly", "slowly", "at a slow speed"), "quickly": ("quickly", "quickly", "fast", "rapidly")}
_BEFORE = {"slowly": ("slowly",), "quickly": ("quickly", "rapidly")}

_SAID_AS = {
    "right": "left",
    "counterclockwise": "clockwise",
    "backward": "forward",
}  # both share the phrases of the latter


def _inflect(verb: str, form: str) -> str:
    """A verb in the third person ("s"), as a gerund ("ing") or bare ("")."""
    return third(verb) if form == "s" else gerund(verb) if form == "ing" else verb


def choice(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, with equal probability."""
    return options[int(rng.integers(len(options)))]


def _template(part: Part, rng: np.random.Generator) -> str:
    phrases = ACTIONS[part.action].phrases
    key = part.side if part.side == "both" else part.direction
    options = phrases.get(key) or phrases.get(_SAID_AS.get(key, "")) or phrases[""]
    if part.speed:
        options = tuple(o for o in options if "{slow}" in o)
    if part.count:
        options = tuple(o for o in options if "{n}" in o or "{noun}" in o)
    return choice(rng, options)


def phrase(part: Part, rng: np.random.Generator, form: str, their: str = "their") -> str:
    """A verb phrase for a part: "walks slowly forward" (form "s"), "walking …" ("ing"), "walk …" ("")."""
    action, text = ACTIONS[part.action], _template(part, rng)
    if action.synonyms:
        text = text.replace(f"[{action.answer}]", f"[{choice(rng, action.synonyms[part.speed])}]")
    way = part.direction
    if way == "counterclockwise":
        way = choice(rng, ("counterclockwise", "counterclockwise", "counter clockwise", "anticlockwise"))
    count = part.count or 1
    if "{noun}" in text:
        noun, uncounted = action.noun
        if part.count == 1:
            uncounted = choice(rng, ("a " + noun, "one " + noun))
        elif part.count:
            uncounted = f"{NUMBERS[count]} {noun}{'es' if noun.endswith('ch') else 's'}"
        text = text.replace("{noun}", uncounted)
    adverb, front = "", ""
    if part.speed:
        if rng.random() < 0.35:
            front = choice(rng, _BEFORE[part.speed]) + " "
        else:
            adverb = " " + choice(rng, _SPEED_WORDS[part.speed])
    text = text.replace("{slow}", adverb)
    text = text.replace("{n}", " " + choice(rng, _TIMES[count]) if part.count else "")
    text = text.replace("{their}", their).replace("{side}", part.side).replace("{way}", way)
    text = text.replace(" a anti", " an anti")
    return front + re.sub(r"\[(.+?)\]", lambda m: _inflect(m[1], form), text)


def _sentence(text: str, rng: np.random.Generator) -> str:
    return text + ("." if rng.random() < 0.75 else "")


def _pronoun(subject: str) -> str:
    return {"a man": "he", "the man": "he", "he": "he", "a woman": "she"}.get(
        subject, "it" if "figure" in subject else "they"
    )


def caption(spec: Spec, rng: np.random.Generator) -> str:
    """One sentence that describes the whole specification."""
    subject, their = choice(rng, _SUBJECTS)

    def say(k: int, form: str) -> str:
        return phrase(spec.parts[k], rng, form, their)

    if not spec.relation:
        form = int(rng.integers(8))
        if form == 0:
            return _sentence(f"{subject} is {say(0, 'ing')}", rng)
        if form == 1 and subject not in ("he", "person"):
            return _sentence(f"{subject} {say(0, 'ing')}", rng)
        return _sentence(f"{subject} {say(0, 's')}", rng)
    form = int(rng.integers(8))
    if spec.relation == "then":
        first, second = say(0, "s"), say(1, "s")
        if form < 2:
            text = f"{subject} {first}, then {second}"
        elif form < 4:
            text = f"{subject} {first} and then {second}"
        elif form == 4:
            text = f"{subject} {first} before {say(1, 'ing')}"
        elif form == 5:
            text = f"after {say(0, 'ing')}, {subject} {second}"
        elif form == 6:
            text = f"{subject} first {first}, and afterwards {second}"
        else:
            text = f"{subject} {first}. then {_pronoun(subject)} {phrase(spec.parts[1], rng, _agree(subject), their)}"
        return _sentence(text, rng)
    if form < 3:
        text = f"{subject} {say(0, 's')} while {say(1, 'ing')}"
    elif form < 5:
        text = f"{subject} {say(1, 's')} while {say(0, 'ing')}"
    elif form == 5:
        text = f"while {say(0, 'ing')}, {subject} {say(1, 's')}"
    elif form == 6:
        text = f"{subject} {say(0, 's')} and {say(1, 's')} at the same time"
    else:
        text = f"{subject} is {say(0, 'ing')} and {say(1, 'ing')} at the same time"
    return _sentence(text, rng)


def _agree(subject: str) -> str:
    return "" if _pronoun(subject) == "they" else "s"


def captions(spec: Spec, rng: np.random.Generator, n: int = 3) -> list[str]:
    """n sentences, distinct where possible."""
    texts: list[str] = []
    for _ in range(4 * n):
        text = caption(spec, rng)
        if text not in texts:
            texts.append(text)
        if len(texts) == n:
            break
    return texts
