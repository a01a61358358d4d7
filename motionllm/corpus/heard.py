"""Corpus motions for what people say: captions without motion, read for the actions of the corpus.

A caption counts where every word of it is understood: it is then a sentence that someone wrote, with a motion that does
it. What it leaves open (a side, a direction, how often) is drawn.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.corpus.action import Part
from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.reading import named, unread
from motionllm.corpus.spec import CARRIERS, UPPER, Spec, draw
from motionllm.corpus.words import NUMBERS, captions
from motionllm.errors import MotionLLMError
from motionllm.files import read_jsonl

# Beside the words that the corpus itself uses, those that change nothing about which motion is meant.
_HARMLESS = frozenset(
    (
        "very",
        "casually",
        "carefully",
        "normally",
        "lightly",
        "loosely",
        "gently",
        "calmly",
        "steadily",
        "confidently",
        "continuously",
        "suddenly",
        "briefly",
        "simply",
        "just",
        "towards",
        "toward",
        "pace",
        "speed",
        "moderate",
        "medium",
        "normal",
        "regular",
        "start",
        "starts",
        "starting",
        "begin",
        "begins",
        "continues",
        "stop",
        "stops",
        "stopping",
        "ahead",
        "room",
        "place",
        "position",
        "stance",
        "upright",
        "himself",
        "herself",
        "themselves",
        "who",
        "that",
        "which",
        "motion",
        "movement",
        "man's",
        "person's",
        "were",
        "was",
        "walked",
        "jumped",
        "raised",
        "turned",
        "kicked",
        "stepped",
        "waved",
        "threw",
        "ran",
        "sat",
        "stood",
        "clapped",
        "bowed",
        "squatted",
        "punched",
        "foward",
        "forwards",
        "backwards",
        "slightly",
        "large",
        "big",
        "small",
        "someone's",
        "appears",
        "seems",
        "like",
        "looks",
        "air",
    )
)
# Verbs that would have been read as part of an action, and stand alone.
_LEFT_OVER = re.compile(r"\b(?:bend|bent|lift|lean|reach|mov|swing|go|com|hold|plac|put)(?:s|es|e|ing)?\b")
_WAY = re.compile(r"\b(?:left|right|forwards?|foward|backwards?|back|ahead)\b")
_AGAINST = re.compile(r"\b(?:not|without|if|or|circles?|curved?|semi\w*|back and forth|again|several|few|multiple)\b")
_CIRCLE = re.compile(r"\bcircles?\b|\barc\b|\bcurved?\b")
_NUMBER = re.compile(rf"\b(?:{'|'.join(map(re.escape, NUMBERS[1:]))}|once|twice|thrice|\d+)\b")
_TOGETHER = re.compile(r"\bwhile\b|\bat the same time\b|\bas (?:he|she|they|it)\b")


@cache
def _words() -> frozenset[str]:
    """The words of the corpus' own captions."""
    rng = np.random.default_rng(0)
    return frozenset(w for _ in range(3000) for c in captions(draw(rng, "train"), rng) for w in _split(c))


def _split(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def spec_of(caption: str, rng: np.random.Generator) -> Spec | None:
    """The motion that a caption asks for; None where it asks for anything that the corpus does not know."""
    text = caption.lower()
    if not all(word in _words() or word in _HARMLESS for word in _split(text)) or not text.isascii():
        return None
    found = named(text)["parts"]
    round_about = bool(_CIRCLE.search(text)) and len(found) == 1 and found[0]["action"] == "walk"
    if not 1 <= len(found) <= 2 or (_AGAINST.search(text) and not round_about):
        return None
    if _LEFT_OVER.search(unread(text)):
        return None
    ways = {way.rstrip("s").replace("foward", "forward") for way in _WAY.findall(text)}
    if len(ways) > sum(bool(part["side"] not in ("", "both")) + bool(part["direction"]) for part in found):
        return None
    asked = [part["count"] for part in found if part["count"]]
    if len(_NUMBER.findall(text)) != len(asked):
        return None
    parts = []
    for part in found:
        offered = ACTIONS[part["action"]]
        values: dict[str, Any] = {"action": part["action"], "count": part["count"], "speed": part["speed"]}
        if round_about and not part["direction"]:
            part["direction"] = ("clockwise", "counterclockwise")[rng.integers(2)]
        for name in ("side", "direction"):
            options = getattr(offered, name)
            if part[name] or not options or "" in options:
                values[name] = part[name]
            else:
                values[name] = "forward" if "forward" in options else str(options[rng.integers(len(options))])
        parts.append(Part(**values))
    relation = ""
    if len(parts) == 2:
        relation = "then"
        if _TOGETHER.search(text):
            relation = "while"
            parts.sort(key=lambda p: p.action not in CARRIERS)
            if parts[1].action not in UPPER:
                return None
        elif parts[0].action == parts[1].action and not ACTIONS[parts[0].action].repeats:
            return None
    spec = Spec(tuple(parts), relation)
    try:
        spec.validate()
    except MotionLLMError:  # a count or speed that the corpus does not make of this action
        return None
    return spec


def heard(path: Path, split: str) -> list[tuple[str, str]]:
    """(id, caption) of the captions of a split that are understood, each once.

    path: JSON lines of {"id", "split", "captions"}. Raises MotionLLMError where the file cannot be read, or a line is
    another.
    """
    rng = np.random.default_rng(0)
    found: dict[str, tuple[str, str]] = {}
    for number, row in read_jsonl(path, "file of captions"):
        said = row.get("captions")
        if (
            not isinstance(said, list)
            or not all(isinstance(c, str) for c in said)
            or not isinstance(row.get("id"), str)
        ):
            raise MotionLLMError(f'{path}, line {number}: give {{"id": "…", "split": "train", "captions": ["…"]}}.')
        if row.get("split", "train") != split:
            continue
        for place, caption in enumerate(said):
            if caption.strip().lower() not in found and spec_of(caption, rng):
                found[caption.strip().lower()] = f"{row['id']}#{place}", caption.strip()
    return list(found.values())
