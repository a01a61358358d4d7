"""Corpus motions for people's captions: captions without motion are parsed for the corpus' actions.

A caption is used if every word of it is understood: it is then a sentence that someone wrote, with a motion that does
it. What it leaves open (a side, a direction, a count) is drawn.
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
from motionllm.corpus.words import captions
from motionllm.errors import MotionLLMError
from motionllm.files import read_jsonl
from motionllm.numerals import NUMBERS, OFTEN

# Words besides the corpus' own that do not change which motion is meant.
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
# Verbs that are normally read as part of an action, but here stand alone.
_LEFT_OVER = re.compile(r"\b(?:bend|bent|lift|lean|reach|mov|swing|go|com|hold|plac|put)(?:s|es|e|ing)?\b")
_WAY = re.compile(r"\b(?:left|right|forwards?|foward|backwards?|back|ahead)\b")
_AGAINST = re.compile(r"\b(?:not|without|if|or|circles?|curved?|semi\w*|back and forth|again|several|few|multiple)\b")
_CIRCLE = re.compile(r"\bcircles?\b|\barc\b|\bcurved?\b")
_NUMBER = re.compile(rf"\b(?:{'|'.join(map(re.escape, [*NUMBERS[1:], *OFTEN]))}|\d+)\b")
_TOGETHER = re.compile(r"\bwhile\b|\bat the same time\b|\bas (?:he|she|they|it)\b")


@cache
def _words() -> frozenset[str]:
    """All words of the corpus' own captions."""
    rng = np.random.default_rng(0)
    return frozenset(w for _ in range(3000) for c in captions(draw(rng, "train"), rng) for w in _split(c))


def _split(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def spec_of(caption: str, rng: np.random.Generator) -> Spec | None:
    """The specification of a caption; None where it asks for anything that the corpus does not have."""
    text = caption.lower()
    if not all(word in _words() or word in _HARMLESS for word in _split(text)) or not text.isascii():
        return None
    named_parts = named(text)["parts"]
    round_about = bool(_CIRCLE.search(text)) and len(named_parts) == 1 and named_parts[0]["action"] == "walk"
    if not 1 <= len(named_parts) <= 2 or (_AGAINST.search(text) and not round_about):
        return None
    if _LEFT_OVER.search(unread(text)):
        return None
    ways = {way.rstrip("s").replace("foward", "forward") for way in _WAY.findall(text)}
    if len(ways) > sum(bool(part["side"] not in ("", "both")) + bool(part["direction"]) for part in named_parts):
        return None
    asked = [part["count"] for part in named_parts if part["count"]]
    if len(_NUMBER.findall(text)) != len(asked):
        return None
    parts = []
    for part in named_parts:
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
    except MotionLLMError:  # a count or speed that this action does not have
        return None
    return spec


def heard(path: Path, split: str) -> list[tuple[str, str]]:
    """(id, caption) of the captions of a split that are understood, without duplicates.

    path: JSON lines of {"id", "split", "captions"}. Raises MotionLLMError where the file cannot be read, or a line has
    another form.
    """
    rng = np.random.default_rng(0)
    understood: dict[str, tuple[str, str]] = {}
    for number, row in read_jsonl(path, "file of captions"):
        captions = row.get("captions")
        if (
            not isinstance(captions, list)
            or not all(isinstance(c, str) for c in captions)
            or not isinstance(row.get("id"), str)
        ):
            raise MotionLLMError(f'{path}, line {number}: give {{"id": "…", "split": "train", "captions": ["…"]}}.')
        if row.get("split", "train") != split:
            continue
        for place, caption in enumerate(captions):
            if caption.strip().lower() not in understood and spec_of(caption, rng):
                understood[caption.strip().lower()] = f"{row['id']}#{place}", caption.strip()
    return list(understood.values())
