"""Statistics of a data set: how much there is, what is done in it and on which side, what its captions say."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from motionllm.data.survey import Survey

EDGES = (0, 1, 2, 3, 4, 6, 8, 10, np.inf)  # seconds of the classes of length
MOST = 24  # verbs and words listed
_PLAIN = re.compile(
    "an?|the|and|then|to|of|on|in|at|with|his|her|their|its|he|she|they|it|is|person|someone|man|woman|while|as|from|for|"
    "into|up|down|by|or|that|which"
)


def statistics(survey: Survey) -> dict[str, Any]:
    """Counts and tables of the clips that are measured.

    splits: rows of split, clips, minutes, captioned. lengths: rows of class ("2–3 s") and clips. verbs: rows of verb,
    clips with it, events of the left, the right and both or neither side. words: rows of word and captions with it.
    captions: how many there are, their median words.
    """
    clips, rows = survey.data.clips, survey.rows
    splits: dict[str, list[float]] = {}
    words: Counter[str] = Counter()
    lengths, said = [], []
    for name, clip in clips.items():
        captions = survey.data.captions(name)
        counts = splits.setdefault(clip.split, [0, 0.0, 0])
        counts[0] += 1
        counts[1] += rows.get(name, {}).get("seconds", 0.0) / 60
        counts[2] += bool(captions)
        lengths += [rows[name]["seconds"]] if name in rows else []
        for caption in captions:
            spoken = re.findall(r"[a-z]+", caption.text.lower())
            said.append(len(spoken))
            words.update(word for word in set(spoken) if not _PLAIN.fullmatch(word))
    counted, _ = np.histogram(lengths, EDGES)
    return {
        "splits": [(split, *counts) for split, counts in splits.items()],
        "lengths": [(_class(a, b), int(n)) for a, b, n in zip(EDGES[:-1], EDGES[1:], counted, strict=True)],
        "verbs": _verbs(survey),
        "words": words.most_common(MOST),
        "captions": {"count": len(said), "words": float(np.median(said)) if said else 0.0},
    }


def _verbs(survey: Survey) -> list[tuple[str, int, int, int, int]]:
    clips: Counter[str] = Counter()
    sides: dict[str, Counter[str]] = {}
    for name in survey.data.clips:
        events = survey.rows.get(name, {}).get("events", ())
        clips.update({verb for verb, _ in events})
        for verb, side in events:
            sides.setdefault(verb, Counter())[side] += 1
    return [
        (verb, count, sides[verb]["left"], sides[verb]["right"], sides[verb][""])
        for verb, count in clips.most_common(MOST)
    ]


def _class(low: float, high: float) -> str:
    return f"{low:g} s and more" if np.isinf(high) else f"{low:g}–{high:g} s"
