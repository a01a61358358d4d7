"""Questions about a clip with answers that are known: measured on its motion, or labelled by its data set.

What is near a threshold is not asked. Answers are balanced by `Balance`: whoever knows the question's text alone finds
its commonest answer right in little more than half of the cases, so that only the motion helps.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from motionllm.data.samples import Question
from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.facts import Event, Facts

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# Event of `facts` → what the person does, what it is called, and the events near it: no "no" is asked beside those.
_DOES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "walk": ("walk", "the walking", ("run", "crouch walk", "step")),
    "run": ("run", "the running", ("walk",)),
    "turn": ("turn on the spot", "the turn", ("walk", "run", "crouch walk", "look")),
    "jump": ("jump with both feet", "the jump", ("hop", "jumping jack", "run")),
    "hop": ("hop on one leg", "the hop", ("jump", "jumping jack", "run")),
    "squat": ("squat", "the squat", ("sit", "seated", "kneel", "lie", "lunge", "reach down", "jump", "crouch walk")),
    "bow": ("bow", "the bow", ("reach down", "sit", "stand up", "lie")),
    "reach down": ("reach down", "the reaching down", ("bow", "squat", "kneel", "lie", "sit", "lunge", "crouch walk")),
    "sit": ("sit down", "the sitting down", ("seated", "squat", "kneel", "lie")),
    "kneel": ("kneel", "the kneeling", ("squat", "sit", "lie", "lunge")),
    "lie": ("lie down", "the lying down", ("sit", "kneel", "reach down")),
    "stand up": ("get up", "the getting up", ("sit", "seated", "squat", "kneel", "lie")),
    "raise": ("hold up a hand", "the raising of a hand", ("wave", "throw", "jumping jack", "hand up", "punch")),
    "wave": ("wave", "the wave", ("raise", "throw", "jumping jack", "hand up", "clap")),
    "throw": ("throw something", "the throw", ("punch", "raise", "wave")),
    "punch": ("punch", "the punch", ("throw", "clap", "wave")),
    "clap": ("clap", "the clapping", ("jumping jack", "wave", "arms out")),
    "kick": ("kick", "the kick", ("lift", "leg raised", "run", "march")),
    "march": ("march on the spot", "the marching", ("walk", "run", "lift", "step")),
}
_SIDED = {
    "raise": "hand",
    "wave": "hand",
    "throw": "hand",
    "punch": "hand",
    "kick": "leg",
    "hop": "leg",
    "lunge": "leg",
}
_WITH = {"raise": "Which hand is held up?", "hop": "On which leg does the person hop?",
         "lunge": "Which leg is in front in the lunge?"}  # fmt: skip
_COUNTED = ("jump", "hop", "kick", "punch", "squat", "clap", "bow")
_EVERY = "Does the person {} at any time?"


def fact_questions(facts: Facts, random: np.random.Generator) -> list[Question]:
    """What the measured facts of a clip answer: does, side, count, direction, turn, duration, distance, order, posture.

    The thresholds are stricter than those of the facts themselves, so that no answer hangs on a centimetre.
    """
    asked: list[Question] = []
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in facts.events:
        by_name[event.name].append(event)
    for name, (does, _, near) in _DOES.items():
        if by_name[name]:
            asked.append(Question(_EVERY.format(does), "yes", "does"))
        elif not any(by_name[other] for other in near):
            asked.append(Question(_EVERY.format(does), "no", "does"))
    for name, limb in _SIDED.items():
        sides = {event.side for event in by_name[name]}
        if len(sides) == 1 and sides < {"left", "right"}:
            text = _WITH.get(name) or f"Which {limb} does the person {_DOES[name][0].split()[0]} with?"
            asked.append(Question(text, sides.pop(), "side"))
    for name in _COUNTED:
        count = sum(event.count for event in by_name[name])
        if 1 <= count < len(NUMBERS):
            asked.append(Question(f"How many times does the person {_DOES[name][0]}?", NUMBERS[count], "count"))
    if 2 <= facts.steps < len(NUMBERS):
        asked.append(Question("How many steps are taken?", NUMBERS[facts.steps], "count"))
    if facts.displacement > 0.6:
        asked.append(Question("Which way does the person get, as they face at first?", facts.direction, "way"))
    elif facts.displacement < 0.25 and facts.distance < 0.6:
        asked.append(Question("Does the person stay in place or move away?", "stay in place", "way"))
    if facts.displacement > 1.0:
        asked.append(Question("Does the person stay in place or move away?", "move away", "way"))
    if abs(facts.turn) > 60:
        asked.append(Question("To which side has the person turned by the end?", facts.turn_side, "turn"))
        quarters = round(abs(facts.turn) / 90)
        if abs(abs(facts.turn) - 90 * quarters) < 20 and 1 <= quarters <= 4:
            asked.append(Question("By about how many degrees has the person turned?", str(90 * quarters), "turn"))
    seconds = int(facts.duration + 0.5)
    if abs(facts.duration - seconds) < 0.4 and 1 <= seconds < len(NUMBERS):
        asked.append(Question("How many seconds does it last, rounded?", NUMBERS[seconds], "duration"))
    metres = round(facts.distance)
    if abs(facts.distance - metres) < 0.3 and 1 <= metres < len(NUMBERS):
        asked.append(Question("About how many metres does the person go?", NUMBERS[metres], "distance"))
    asked.append(Question("How is the person at the end: standing, crouching, sitting, kneeling or lying?",
                          facts.end_posture, "posture"))  # fmt: skip
    asked.append(Question("How does it begin: standing, crouching, sitting, kneeling or lying?",
                          facts.start_posture, "posture"))  # fmt: skip
    spans = [(min(e.start for e in events), max(e.end for e in events), name)
             for name, events in by_name.items() if name in _DOES and events]  # fmt: skip
    for i, (_, end, first) in enumerate(spans):
        for start, _, then in spans[i + 1 :] + spans[:i]:
            if end <= start:
                a, b = sorted((first, then))
                asked.append(Question(f"What comes first, {_DOES[a][1]} or {_DOES[b][1]}?", _DOES[first][1], "order"))
    return _shuffled(asked, random)


# Labels of who moved and where it was kept: nothing that a motion shows.
_WHO = {"actor", "author", "camera", "clip", "dataset", "file", "filename", "format", "id", "license", "name", "path",
        "participant", "performer", "person", "recording", "session", "source", "subject", "take", "terms", "trial",
        "url", "uuid"}  # fmt: skip
_BOUND = re.compile(r"_+|(?<=[^\W\d_])(?=\d)|(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=\d)(?=[a-z]{3})")
_CALLED = {"label": "action", "class": "action", "category": "action"}  # keys that say nothing


def words_of(value: str) -> str:
    """A label's value as words: "hopBothLegs1hops" → "hop both legs 1 hops"; one that has no such bound as it is."""
    words = [word for word in _BOUND.split(value) if word]
    return value if len(words) < 2 else " ".join(words).lower()


def of_people_or_files(key: str) -> bool:
    """Whether a label's key names who moved, or a file ("actor", "subject_id", "takeName")."""
    return any(word in _WHO for word in words_of(key).lower().split())


def coded(values: Iterable[str]) -> bool:
    """Whether most of a label's values are codes ("bk", "S03", "#17") rather than words."""
    found = [any(_is_word(word) for word in re.split(r"[\W\d_]+", words_of(value))) for value in set(values)]
    return 2 * sum(found) < len(found)


def _is_word(word: str) -> bool:
    return not word.isascii() or (len(word) > 2 and bool(set(word.lower()) & set("aeiouy")))


def labels_asked(
    rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Mapping[str, str]] | None = None, whole: bool = True
) -> tuple[list[dict[str, str]], list[str]]:
    """The labels that are asked about, in words, of each of `rows`; and the keys that are not, unless chosen.

    chosen: the keys, and for each the words of its values (`Source.labels`). None: every key but those of people,
    files and codes. whole: whether `rows` are all there are: then MotionLLMError is raised, naming the nearest there
    is, for a chosen key or value that none has. A held-out split may well lack some.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for key, value in row.items():
            if isinstance(value, str) and value:
                values[key].add(value)
    for key, words in (chosen or {}).items() if whole else ():
        if key not in values:
            raise MotionLLMError(f"The source's `labels`: {unknown('label', key, values)}.")
        for value in words:
            if value not in values[key]:
                raise MotionLLMError(f"The source's `labels`: {unknown(f'{key} of a clip', value, values[key])}.")
    skipped = [key for key, found in values.items() if chosen is None and (of_people_or_files(key) or coded(found))]
    words_by_key = {key: (chosen or {}).get(key, {}) for key in (values if chosen is None else chosen)}
    return [
        {
            key: words.get(row[key]) or words_of(row[key])
            for key, words in words_by_key.items()
            if key not in skipped and isinstance(row.get(key), str) and row[key]
        }
        for row in rows
    ], skipped


def label_questions(
    labels: Mapping[str, Any], values: Mapping[str, list[str]], random: np.random.Generator
) -> list[Question]:
    """What a data set's labels answer. values: every value that occurs, by label (`label_values`)."""
    asked: list[Question] = []
    for key, others in values.items():
        value = labels.get(key)
        if not isinstance(value, str) or len(others) < 2:
            continue
        name = _CALLED.get(key, words_of(key))
        other = others[(others.index(value) + int(random.integers(1, len(others)))) % len(others)]
        a, b = sorted((value, other))
        asked += [
            Question(f"What is the {name} of this motion?", value, f"label {name}"),
            Question(f"Which {name} is it, {a} or {b}?", value, f"label {name}"),
            Question(f"Is the {name} {value}?", "yes", f"label {name}"),
            Question(f"Is the {name} {other}?", "no", f"label {name}"),
        ]
    return _shuffled(asked, random)


def label_values(labels: Iterable[Mapping[str, Any]], most: int = 64) -> dict[str, list[str]]:
    """The values of every label whose values are words, at least 2 and at most `most`, and none of them but once."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    words: dict[str, bool] = defaultdict(lambda: True)
    for row in labels:
        for key, value in row.items():
            words[key] &= isinstance(value, str)
            if isinstance(value, str):
                counts[key][value] += 1
    # A label that is another one for nearly every clip is a name or a sentence, nothing to be told apart by.
    return {key: sorted(found) for key, found in counts.items()
            if words[key] and 2 <= len(found) <= most and sum(found.values()) >= 2 * len(found)}  # fmt: skip


class Balance:
    """Lets a stream of questions through so that no answer has much more than half of a text's.

    An answer passes while it would have at most 0.55 n + 0.6 of the n times its text has passed: at most 60 % from 12
    on, and one of the rarest at once. Open questions with many answers are hardly touched.
    """

    def __init__(self) -> None:
        self.passed: dict[str, Counter[str]] = defaultdict(Counter)

    def __call__(self, questions: Iterable[Question]) -> list[Question]:
        kept = []
        for question in questions:
            answers = self.passed[question.text]
            if answers[question.answer] + 1 <= 0.55 * (answers.total() + 1) + 0.6:
                answers[question.answer] += 1
                kept.append(question)
        return kept


def _shuffled(questions: list[Question], random: np.random.Generator) -> list[Question]:
    return [questions[i] for i in random.permutation(len(questions))]
