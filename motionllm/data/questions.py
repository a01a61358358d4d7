"""Questions about a clip with known answers: measured on its motion, or labelled by its data set.

Values near a threshold are not asked about. Answers are balanced by `Balance`: whoever knows only the question's text
finds its most common answer right in little more than half of the cases, so that only the motion helps.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from motionllm.data.acts import COUNTED
from motionllm.data.queries import ASKED, Query, doing, events, labelled, main_events
from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.facts import Facts
from motionllm.motion.notation import POSTURES, VERBS, Line, Notation
from motionllm.numerals import NUMBERS, times
from motionllm.samples import Question

LIMBS = {
    "step": "foot",
    "hop": "leg",
    "lunge": "leg",
    "bend down": "hand",
    "wave": "hand",
    "throw": "hand",
    "punch": "hand",
    "hand to head": "hand",
    "kick": "leg",
    "stand on": "leg",
    "reach up": "hand",
}
COUNTABLE = (*COUNTED, "step", "march", "flip")  # the latter by questions alone: no change makes more of them
ONGOING = (
    "dance",
    "walk",
    "run",
    "creep",
    "crawl",
    "march",
    "jumping jack",
    "clap",
    "wave",
    "stand on",
    "hands on hips",
)
CLASSES = ("action", "content", "motion", "class")
# {kind of question, or a variant with its own wording: texts}. Placeholders: {do} and {doing} the verb, {x} and {y} two
# actions, {a} and {b} labels, {name} the name of a label, {bare} the verb without "on one leg".
TEXTS: dict[str, tuple[str, ...]] = {
    "does": (
        "Does the person {do} at any time?",
        "Does anyone {do} in this motion?",
        "Is the person {doing} at some point?",
        "Do you see the person {doing}?",
        "Can {doing} be seen here?",
        "Does the person ever {do}?",
    ),
    "does with": (
        "Does the person {do} with the {side} {limb}?",
        "Is it the {side} {limb} that the person uses to {do}?",
    ),
    "does times": ("Does the person {do} exactly {times}?", "Is it true that the person is {doing} exactly {times}?"),
    "is": ("Is the {name} {a}?", "Is this {a}?"),
    "which": ("Which {name} is it, {a} or {b}?", "Is this {name} {a} or {b}?"),
    "label": ("What is the {name} of this motion?",),
    "what": (
        "What is the person doing?",
        "What does the person do?",
        "Which action is this?",
        "What happens in the clip?",
        "Name the action.",
    ),
    "count": (
        "How many times does the person {do}?",
        "How often does the person {do}?",
        "Count how many times the person is {doing}.",
    ),
    "count step": ("How many single steps does the person take?", "How many single steps are there?"),
    "count march": ("How many steps are marched on the spot?",),
    "count jumping jack": ("How many jumping jacks does the person do?", "What is the number of jumping jacks?"),
    "side": (
        "Which {limb} does the person {do} with?",
        "With which {limb} does the person {do}?",
        "Is it the left or the right {limb} that the person uses to {do}, or both?",
    ),
    "side on": ("Which leg does the person {bare} on?", "On which leg does the person {bare}?"),
    "side lunge": ("Which leg is in front in the lunge?", "With which leg does the person lunge?"),
    "side reach up": ("Which hand is raised?", "Which hand goes up?", "Does the left hand go up, the right, or both?"),
    "way": (
        "Which way does the person {do}?",
        "In which direction does the person {do}?",
        "In what direction is the person {doing}?",
    ),
    "way to": (
        "To which side does the person {verb}?",
        "Which way does the person {verb}?",
        "Does the person {verb} to the left or to the right?",
    ),
    "way climb": ("Does the person climb up or down?", "Which way does the person climb?"),
    "pace": (
        "Is the {doing} slow or fast?",
        "Does the person {do} slowly or quickly?",
        "At what pace does the person {do}, slow or fast?",
    ),
    "speed": (
        "How fast does the person {do}?",
        "At what speed does the person {do}?",
        "How fast is the {doing}, in metres per second?",
    ),
    "curve": (
        "To which side does the path curve while {doing}?",
        "While {doing}, does the person curve to the left or to the right?",
    ),
    "degrees": ("By how many degrees does the person {verb}?", "How far does the person {verb}, in degrees?"),
    "height": ("How high does the person {verb}?", "How many metres high is the {verb}?"),
    "when": (
        "When does the person start {doing}?",
        "At what second does the {doing} begin?",
        "How many seconds in does the person begin to {do}?",
    ),
    "span": ("From when to when is the person {doing}?", "Between which seconds does the person {do}?"),
    "whole seconds of": (
        "For about how many seconds does the person {do}?",
        "About how many seconds does the {doing} last?",
    ),
    "first": (
        "What does the person do first?",
        "What comes first?",
        "What does the person begin with?",
        "Which action happens first?",
    ),
    "last": (
        "What does the person do last?",
        "What happens last?",
        "What does the person do at the end?",
        "Which action ends the clip?",
    ),
    "after": (
        "What does the person do after {doing}?",
        "What follows the {doing}?",
        "What does the person do right after {doing}?",
    ),
    "first of": ("What comes first, {x} or {y}?", "Which is earlier, {x} or {y}?"),
    "is before": ("Is the person {x} before {y}?",),
    "at": (
        "What does the person do at {time} s?",
        "What happens at second {time}?",
        "What is going on {time} seconds in?",
    ),
    "seconds": (
        "How long is the clip?",
        "How long does the motion last?",
        "What is the length of the clip in seconds?",
    ),
    "whole seconds": (
        "How many seconds does it last, rounded?",
        "How many seconds long is the motion, in whole seconds?",
        "About how many seconds does it take?",
    ),
    "posture at start": (
        "How does it begin: standing, crouching, sitting, kneeling or lying?",
        "In what posture is the person at the start?",
        "What is the person's posture at the beginning?",
    ),
    "posture at end": (
        "How is the person at the end: standing, crouching, sitting, kneeling or lying?",
        "In what posture does the person end?",
        "What is the person's posture at the end?",
    ),
    "is at end": ("Is the person {posture} at the end?", "Does it end with the person {posture}?"),
    "metres": (
        "About how many metres does the person go?",
        "Roughly how many metres are covered?",
        "How far does the person get along the way, in metres?",
    ),
    "stay or move": (
        "Does the person stay in place or move away?",
        "Stay in place or move away: which does the person do?",
    ),
    "where": (
        "Which way does the person get, as they face at first?",
        "Where does the person end up from where they faced at first?",
    ),
    "turned": (
        "To which side has the person turned by the end?",
        "Has the person turned to the left or to the right in the end?",
    ),
    "degrees turned": (
        "By about how many degrees has the person turned?",
        "By about how many degrees does the heading change in all?",
    ),
}


class Asking:
    """Collects the questions about one clip: texts drawn from TEXTS, answers looked up by their queries."""

    def __init__(self, notation: Notation, random: np.random.Generator) -> None:
        self.notation, self.random = notation, random
        self.asked: list[tuple[Question, Query]] = []

    def __call__(self, kind: str, key: str, query: str, answer: str | None = None, **words: str) -> None:
        """Add a question of a kind, unless the notation does not answer its query. answer: for the query `none`."""
        parsed = Query.parse(query)
        answer = answer or parsed.answer(self.notation)
        if answer:
            self.asked.append((Question(self.one(TEXTS[key]).format(**words), answer, kind), parsed))

    def one(self, options: Sequence[str]) -> str:
        return options[int(self.random.integers(len(options)))]


def fact_questions(facts: Facts, notation: Notation, random: np.random.Generator) -> list[Question]:
    """Questions that the notation of a clip answers, each in one of several phrasings: whether, what, first, last,
    before, after, when, how often, how long, how fast, how far, how high, which side, which way, in which posture.

    The answers are words and numbers of its lines, looked up by queries (`data.queries`). `facts` of the same clip
    exclude a "no" that is nearly a "yes", and distances and turns that its lines do not confirm.
    """
    return [question for question, _ in queried_questions(facts, notation, random)]


def queried_questions(facts: Facts, notation: Notation, random: np.random.Generator) -> list[tuple[Question, Query]]:
    """`fact_questions`, each with the query that gives its answer; `none` where a data set's label is asked for in the
    same words.
    """
    lines = events(notation)
    by_verb: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_verb[line.verb].append(line)
    ask = Asking(notation, random)
    measured = {event.name for event in facts.events}
    for verb, (infinitives, gerunds, near) in ASKED.items():
        if verb in by_verb or not measured & set(near):
            ask("does", "does", f"does {verb}", do=ask.one(infinitives), doing=ask.one(gerunds))
    for verb, own in by_verb.items():
        _ask_of_verb(verb, own, ask)
    _ask_order(main_events(notation), ask)
    _ask_named(lines, measured, ask)
    _ask_whole(notation, facts, lines, ask)
    return [ask.asked[i] for i in random.permutation(len(ask.asked))]


def side_key(verb: str) -> str:
    """The texts that ask for the side of a verb."""
    return "side on" if verb in ("hop", "stand on") else f"side {verb}" if f"side {verb}" in TEXTS else "side"


def _ask_of_verb(verb: str, lines: list[Line], ask: Asking) -> None:
    """Side, count, way, size, speed, pace and times of one verb."""
    random = ask.random
    do, gerund = ask.one(ASKED[verb][0]), ask.one(ASKED[verb][1])
    called = {"verb": verb, "do": do, "doing": gerund, "bare": do.removesuffix(" on one leg")}
    parts = {line.part for line in lines}
    if verb in LIMBS and len(parts) == 1 and (part := parts.pop()):
        limb, side = LIMBS[verb], part.split(" ")[0]
        ask("side", side_key(verb), f"side {verb}", limb=limb, **called)
        if side != "both" and verb not in ("hop", "stand on"):
            guess = ask.one(("left", "right"))
            ask("yesno", "does with", f"does {verb} {guess} {limb}", side=guess, limb=limb, **called)
    count = sum(line.count for line in lines)
    if verb in COUNTABLE and count < len(NUMBERS):
        own = f"count {verb}" in TEXTS
        ask("count", f"count {verb}" if own else "count", f"count {verb}", **called)
        up = count == 1 or (count + 1 < len(NUMBERS) and random.random() < 0.5)
        other = count + (1 if up else -1)
        guess_count = count if random.random() < 0.5 else other
        if len(lines) == 1 and not own:
            ask("yesno", "does times", f"does {verb} x{guess_count}", times=times(guess_count), **called)
    if VERBS[verb].ways and verb != "jump":
        key = "way to" if verb in ("turn", "look") else "way climb" if verb == "climb" else "way"
        ask("way", key, f"way {verb}", **called)
    ask("speed", "pace", f"pace {verb}", **called)
    if len(lines) != 1:
        return
    line = lines[0]
    if VERBS[verb].speed and line.speed:
        ask("pace", "speed", f"speed {verb}", **called)
    if line.curve:
        ask("turn", "curve", f"curve {verb}", **called)
    if verb in ("turn", "bow"):
        ask("degrees", "degrees", f"degrees {verb}", **called)
    if verb in ("jump", "climb"):
        ask("height", "height", f"height {verb}", **called)
    if line.start > 0.3:
        ask("when", "when", f"when {verb}", **called)
    if verb in ONGOING:
        ask("when", "span", f"span {verb}", **called)
        seconds = line.end - line.start
        if seconds >= 1 and abs(seconds - round(seconds)) < 0.3 and round(seconds) < len(NUMBERS):
            ask("duration", "whole seconds of", f"whole seconds {verb}", **called)


def _ask_named(lines: Sequence[Line], measured: set[str], ask: Asking) -> None:
    """Which of two it is, as `label_questions` asks about labels: the longest line, against the other side or limb of
    the same verb, or a verb that is neither done nor similar to one that is.
    """
    if not lines:
        return
    random = ask.random
    main = max(lines, key=lambda x: (x.end - x.start, x.count))
    name = labelled(main.verb, main.part, main.way, main.size)
    same = [p for p in VERBS[main.verb].parts if p != main.part] if main.part else []
    absent = [v for v, (_, _, near) in ASKED.items() if v not in {x.verb for x in lines} and not measured & set(near)]
    others = [labelled(main.verb, p, main.way, main.size) for p in same]
    if main.verb in ("turn", "look") or main.curve:
        way = {"left": "right", "right": "left"}.get(main.way, main.way)
        others.append(labelled(main.verb, main.part, way, -main.size))
    if absent and (not others or random.random() < 0.6):
        verb = ask.one(absent)
        spec = VERBS[verb]
        part = ask.one(spec.parts) if spec.parts else ""
        others = [labelled(verb, part, "" if part or not spec.ways else ask.one(spec.ways))]
    others = [x for x in others if x != name]
    if not others or sum(x.verb == main.verb for x in lines) > 1:
        return
    other, called = ask.one(others), ask.one(CLASSES)
    a, b = sorted((name, other))
    ask("label", "which", f"which {a} or {b}", name=called, a=a, b=b)
    guess = name if random.random() < 0.5 else other
    ask("yesno", "is", f"is {guess}", name=called, a=guess)
    if len(lines) == 1:
        ask("label", "label", "none", name, name=called)


def _ask_order(lines: Sequence[Line], ask: Asking) -> None:
    """What comes first, last, before, after, and at a given second; for lines that are apart from one another."""
    if len({x.verb for x in lines}) < 2:
        if lines:
            ask("action", "what", "what")
        return
    ask("order", "first", "first")
    ask("order", "last", "last")
    single = [x for x in lines if sum(y.verb == x.verb for y in lines) == 1]
    for a in single:
        ask("order", "after", f"after {a.verb}", doing=doing(a))
        for b in single:
            if a.verb < b.verb:
                (x, first), (y, second) = sorted(((doing(a), a.verb), (doing(b), b.verb)))
                ask("order", "first of", f"first {first} or {second}", x=x, y=y)
                ask("yesno", "is before", f"is {a.verb} before {b.verb}", x=doing(a), y=doing(b))
    for a in lines:
        if a.end - a.start >= 0.8:
            middle = round((a.start + a.end) / 2, 1)
            if not any(x is not a and x.start - 0.2 < middle < x.end + 0.2 for x in lines):
                ask("at", "at", f"at {middle:.1f}", time=f"{middle:.1f}")


def _ask_whole(notation: Notation, facts: Facts, lines: Sequence[Line], ask: Asking) -> None:
    """About the whole clip: its duration, postures, place, distance and turn."""
    ask("seconds", "seconds", "seconds")
    rounded = int(notation.seconds + 0.5)
    if abs(notation.seconds - rounded) < 0.4 and 1 <= rounded < len(NUMBERS):
        ask("duration", "whole seconds", "whole seconds")
    ask("posture", "posture at start", "posture at start")
    ask("posture", "posture at end", "posture at end")
    guess = notation.postures[1] if ask.random.random() < 0.5 else ask.one(POSTURES)
    ask("yesno", "is at end", f"is {guess} at end", posture=guess)
    going = [x for x in lines if VERBS[x.verb].speed]
    far = sum(x.speed * (x.end - x.start) for x in going)
    metres = round(facts.distance)
    if abs(facts.distance - metres) < 0.3 and 1 <= metres < len(NUMBERS) and round(far) == metres:
        ask("distance", "metres", "metres")
    if (going and facts.displacement > 1.0) or (not going and facts.displacement < 0.25 and facts.distance < 0.6):
        ask("place", "stay or move", "stay or move")
    if facts.direction in {x.way for x in going} and facts.displacement > 0.6:
        ask("way", "where", "where")
    turn = sum(x.size * (1 if x.way == "left" else -1) for x in lines if x.verb == "turn") + sum(x.size for x in going)
    if abs(facts.turn) > 60 and abs(turn - facts.turn) < 40:
        ask("turn", "turned", "turned")
        quarters = round(abs(facts.turn) / 90)
        if abs(abs(facts.turn) - 90 * quarters) < 20 and 1 <= quarters <= 4 and abs(turn - facts.turn) < 20:
            ask("turn", "degrees turned", "degrees turned")


# Labels of people and files, which no motion shows.
_WHO = {
    "actor",
    "author",
    "camera",
    "clip",
    "dataset",
    "file",
    "filename",
    "format",
    "id",
    "license",
    "name",
    "path",
    "participant",
    "performer",
    "person",
    "recording",
    "session",
    "source",
    "subject",
    "take",
    "terms",
    "trial",
    "url",
    "uuid",
}
_BOUND = re.compile(r"_+|(?<=[^\W\d_])(?=\d)|(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=\d)(?=[a-z]{3})")
_CALLED = {"label": "action", "class": "action", "category": "action"}  # names for uninformative keys


def words_of(value: str) -> str:
    """A label's value as words: "hopBothLegs1hops" → "hop both legs 1 hops"; a value without such boundaries is
    unchanged.
    """
    words = [word for word in _BOUND.split(value) if word]
    return value if len(words) < 2 else " ".join(words).lower()


def of_people_or_files(key: str) -> bool:
    """Whether a label's key names who moved, or a file ("actor", "subject_id", "takeName")."""
    return any(word in _WHO for word in words_of(key).lower().split())


def coded(values: Iterable[str]) -> bool:
    """Whether most of a label's values are codes ("bk", "S03", "#17") rather than words."""
    are_words = [any(_is_word(word) for word in re.split(r"[\W\d_]+", words_of(value))) for value in set(values)]
    return 2 * sum(are_words) < len(are_words)


def _is_word(word: str) -> bool:
    return not word.isascii() or (len(word) > 2 and bool(set(word.lower()) & set("aeiouy")))


def labels_asked(
    rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Mapping[str, str]] | None = None, whole: bool = True
) -> tuple[list[dict[str, str]], list[str]]:
    """The labels that are asked about, in words, for each of `rows`; and the keys that are left out, unless chosen.

    chosen: the keys, and for each the words of its values (`Source.labels`). None: every key except those of people,
    files and codes. whole: whether `rows` is the complete data: then MotionLLMError is raised, naming the nearest
    existing one, for a chosen key or value that none has; a held-out split may well lack some.
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
    skipped = [
        key for key, occurring in values.items() if chosen is None and (of_people_or_files(key) or coded(occurring))
    ]
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
    """Questions that a data set's labels answer. values: every value that occurs, by label (`label_values`)."""
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
    """The values of every label whose values are words: at least 2 and at most `most` values, which occur at least
    twice on average.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    words: dict[str, bool] = defaultdict(lambda: True)
    for row in labels:
        for key, value in row.items():
            words[key] &= isinstance(value, str)
            if isinstance(value, str):
                counts[key][value] += 1
    # A label that differs for nearly every clip is a name or a sentence, useless for telling clips apart.
    return {
        key: sorted(value_counts)
        for key, value_counts in counts.items()
        if words[key] and 2 <= len(value_counts) <= most and sum(value_counts.values()) >= 2 * len(value_counts)
    }


class Balance:
    """Filters a stream of questions so that no answer has much more than half of a text's.

    An answer passes while it would have at most 0.55 n + 0.6 of the n times its text has passed: at most 60 % from 12
    on, and one of the rarest at once. Open questions with many answers are hardly affected.
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
