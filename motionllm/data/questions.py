"""Questions about a clip with answers that are known: measured on its motion, or labelled by its data set.

What is near a threshold is not asked. Answers are balanced by `Balance`: whoever knows the question's text alone finds
its commonest answer right in little more than half of the cases, so that only the motion helps.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from motionllm.data.samples import Question
from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.facts import Facts
from motionllm.motion.notation import POSTURES, VERBS, Line, Notation

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# Verb of the notation → how a question names it (infinitive, gerund), and the events of `facts` near it.
_VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "walk": (("walk",), ("walking",), ("run", "crouch walk", "step", "march")),
    "run": (("run",), ("running",), ("walk", "crouch walk")),
    "creep": (("walk in a crouch", "sneak"), ("walking in a crouch", "sneaking"),
              ("walk", "run", "crouch walk", "squat", "lunge")),
    "crawl": (("crawl", "go on hands and knees"), ("crawling", "going on hands and knees"),
              ("lie", "kneel", "reach down")),
    "climb": (("climb",), ("climbing",), ("step", "jump", "lift", "leg raised", "lie", "sit", "kneel")),
    "step": (("step", "take single steps"), ("stepping", "taking single steps"),
             ("walk", "run", "crouch walk", "step", "march")),
    "turn": (("turn", "turn on the spot"), ("turning", "turning on the spot"),
             ("turn", "walk", "run", "crouch walk", "look")),
    "jump": (("jump", "jump with both feet"), ("jumping", "jumping with both feet"),
             ("jump", "hop", "jumping jack", "run")),
    "hop": (("hop", "hop on one leg"), ("hopping", "hopping on one leg"), ("jump", "hop", "jumping jack", "run")),
    "dance": (("dance",), ("dancing",), ("step", "turn", "walk", "march")),
    "jumping jack": (("do jumping jacks",), ("doing jumping jacks",), ("jump", "wave", "arms out", "jumping jack")),
    "cartwheel": (("do a cartwheel",), ("doing a cartwheel",), ("lie", "reach down", "jump", "kick")),
    "flip": (("do a flip",), ("doing a flip",), ("lie", "reach down", "jump", "kick")),
    "roll": (("roll on the floor",), ("rolling on the floor",), ("lie", "reach down", "kneel", "sit", "squat")),
    "squat": (("squat", "crouch down"), ("squatting", "crouching down"),
              ("squat", "sit", "seated", "kneel", "lie", "lunge", "reach down", "jump", "crouch walk")),
    "lunge": (("lunge", "do a lunge"), ("lunging", "doing a lunge"),
              ("lunge", "squat", "kneel", "kick", "crouch walk", "run")),
    "kneel": (("kneel", "kneel down"), ("kneeling", "kneeling down"),
              ("kneel", "squat", "sit", "seated", "lie", "lunge")),
    "sit": (("sit down",), ("sitting down",), ("sit", "seated", "squat", "kneel", "lie")),
    "lie": (("lie down",), ("lying down",), ("lie", "sit", "kneel", "reach down")),
    "stand up": (("stand up", "get up"), ("standing up", "getting up"),
                 ("stand up", "sit", "seated", "squat", "kneel", "lie")),
    "bend down": (("bend down", "reach down", "bend down to the floor"), ("bending down", "reaching down"),
                  ("reach down", "bow", "squat", "kneel", "lie", "sit", "lunge", "crouch walk")),
    "bow": (("bow", "bend forward"), ("bowing", "bending forward"), ("bow", "reach down", "sit", "stand up", "lie")),
    "look": (("look to one side", "look aside"), ("looking to one side", "looking aside"),
             ("look", "turn", "walk", "run")),
    "wave": (("wave",), ("waving",), ("wave", "raise", "throw", "jumping jack", "hand up", "clap")),
    "throw": (("throw something", "throw"), ("throwing something", "throwing"),
              ("throw", "punch", "raise", "wave", "hand up")),
    "punch": (("punch", "throw a punch"), ("punching", "throwing punches"), ("throw", "punch", "clap", "wave")),
    "clap": (("clap", "clap the hands"), ("clapping", "clapping the hands"),
             ("clap", "jumping jack", "wave", "arms out")),
    "hands on hips": (("put the hands on the hips",), ("putting the hands on the hips",),
                      ("hands on hips", "arms out")),
    "hand to head": (("bring a hand to the head", "touch the head"), ("bringing a hand to the head",),
                     ("hand at mouth", "raise", "wave", "throw", "hand up")),
    "kick": (("kick",), ("kicking",), ("kick", "lift", "leg raised", "run", "march")),
    "stand on": (("stand on one leg", "balance on one leg"), ("standing on one leg", "balancing on one leg"),
                 ("leg raised", "kick", "march", "hop", "lift", "lunge")),
    "march": (("march on the spot", "march in place"), ("marching on the spot", "marching in place"),
              ("march", "walk", "run", "lift", "step")),
    "reach up": (("raise a hand", "hold up a hand"), ("raising a hand", "holding up a hand"),
                 ("raise", "wave", "throw", "jumping jack", "hand up", "punch")),
}  # fmt: skip
_PART_ASKED = {
    "step": "foot", "hop": "leg", "lunge": "leg", "bend down": "hand", "wave": "hand", "throw": "hand", "punch": "hand",
    "hand to head": "hand", "kick": "leg", "stand on": "leg", "reach up": "hand",
}  # fmt: skip
_COUNTABLE = ("jump", "hop", "squat", "lunge", "bend down", "bow", "wave", "throw", "punch", "clap", "kick", "step",
              "jumping jack", "march", "reach up", "cartwheel", "flip")  # fmt: skip
_ONGOING = (
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


def fact_questions(facts: Facts, notation: Notation, random: np.random.Generator) -> list[Question]:
    """What the notation of a clip answers, each in one of several phrasings: whether, what, first, last, before, after,
    when, how often, how long, how fast, how far, how high, which side, which way, in which posture.

    The answers are words and numbers of its lines. `facts` of the same clip keep out a "no" that is near to a "yes",
    and distances and turns that its lines do not bear out.
    """
    told = [x for x in notation.lines if x.verb in _VERBS]
    by_verb: dict[str, list[Line]] = defaultdict(list)
    for line in told:
        by_verb[line.verb].append(line)
    asked: list[Question] = []

    def ask(kind: str, answer: str, *texts: str) -> None:
        asked.append(Question(texts[int(random.integers(len(texts)))], answer, kind))

    measured = {event.name for event in facts.events}
    for verb, (infinitives, gerunds, near) in _VERBS.items():
        if verb not in by_verb and measured & set(near):
            continue
        do, doing = _one(infinitives, random), _one(gerunds, random)
        does = "yes" if verb in by_verb else "no"
        ask("does", does, f"Does the person {do} at any time?", f"Does anyone {do} in this motion?",
            f"Is the person {doing} at some point?", f"Do you see the person {doing}?", f"Can {doing} be seen here?",
            f"Does the person ever {do}?")  # fmt: skip
    for verb, lines in by_verb.items():
        _ask_of_verb(verb, lines, ask, random)
    _ask_order(told, ask)
    _ask_named(told, measured, ask, random)
    _ask_whole(notation, facts, told, ask, random)
    return _shuffled(asked, random)


Ask = Callable[..., None]


def _one(options: Sequence[str], random: np.random.Generator) -> str:
    return options[int(random.integers(len(options)))]


def _done(line: Line) -> str:
    """How an answer names what a line says ("walk")."""
    return _VERBS[line.verb][0][0]


def _doing(line: Line) -> str:
    return _VERBS[line.verb][1][0]


def _ask_of_verb(verb: str, lines: list[Line], ask: Ask, random: np.random.Generator) -> None:
    """Side, count, way, size, speed, pace and times of one verb."""
    do, doing = _one(_VERBS[verb][0], random), _one(_VERBS[verb][1], random)
    parts = {line.part for line in lines}
    if verb in _PART_ASKED and len(parts) == 1 and (part := parts.pop()):
        limb, side = _PART_ASKED[verb], part.split(" ")[0]
        texts = [f"Which {limb} does the person {do} with?", f"With which {limb} does the person {do}?",
                 f"Is it the left or the right {limb} that the person uses to {do}, or both?"]  # fmt: skip
        if verb in ("hop", "stand on"):
            bare = do.removesuffix(" on one leg")
            texts = [f"Which leg does the person {bare} on?", f"On which leg does the person {bare}?"]
        elif verb == "lunge":
            texts = ["Which leg is in front in the lunge?", "With which leg does the person lunge?"]
        elif verb == "reach up":
            texts = ["Which hand is raised?", "Which hand goes up?", "Does the left hand go up, the right, or both?"]
        ask("side", side, *texts)
        if side != "both" and verb not in ("hop", "stand on"):
            guess = ("left", "right")[int(random.integers(2))]
            ask("yesno", "yes" if guess == side else "no", f"Does the person {do} with the {guess} {limb}?",
                f"Is it the {guess} {limb} that the person uses to {do}?")  # fmt: skip
    count = sum(line.count for line in lines)
    if verb in _COUNTABLE and count < len(NUMBERS):
        texts = [f"How many times does the person {do}?", f"How often does the person {do}?",
                 f"Count how many times the person is {doing}."]  # fmt: skip
        if verb in ("step", "march"):
            texts = ["How many single steps does the person take?", "How many single steps are there?"]
            texts = texts if verb == "step" else ["How many steps are marched on the spot?"]
        elif verb == "jumping jack":
            texts = ["How many jumping jacks does the person do?", "What is the number of jumping jacks?"]
        ask("count", NUMBERS[count], *texts)
        up = count == 1 or (count + 1 < len(NUMBERS) and random.random() < 0.5)
        other = count + (1 if up else -1)
        guess_count = count if random.random() < 0.5 else other
        if len(lines) == 1 and verb not in ("step", "march", "jumping jack"):
            times = "once" if guess_count == 1 else "twice" if guess_count == 2 else f"{NUMBERS[guess_count]} times"
            ask("yesno", "yes" if guess_count == count else "no", f"Does the person {do} exactly {times}?",
                f"Is it true that the person is {doing} exactly {times}?")  # fmt: skip
    ways = {line.way for line in lines}
    if VERBS[verb].ways and len(ways) == 1 and (way := ways.pop()) and verb != "jump":
        if verb in ("turn", "look"):
            ask("way", way, f"To which side does the person {verb}?", f"Which way does the person {verb}?",
                f"Does the person {verb} to the left or to the right?")  # fmt: skip
        elif verb == "climb":
            ask("way", way, "Does the person climb up or down?", "Which way does the person climb?")
        else:
            ask("way", way, f"Which way does the person {do}?", f"In which direction does the person {do}?",
                f"In what direction is the person {doing}?")  # fmt: skip
    pace = {line.pace for line in lines}
    if len(pace) == 1 and (how := pace.pop()):
        answer = "slow" if how == "slowly" else "fast"
        ask("speed", answer, f"Is the {doing} slow or fast?", f"Does the person {do} slowly or quickly?",
            f"At what pace does the person {do}, slow or fast?")  # fmt: skip
    if len(lines) != 1:
        return
    line = lines[0]
    if VERBS[verb].speed and line.speed:
        ask("pace", f"{line.speed:.1f} m/s", f"How fast does the person {do}?", f"At what speed does the person {do}?",
            f"How fast is the {doing}, in metres per second?")  # fmt: skip
    if VERBS[verb].speed and abs(line.size) >= 45:
        ask("turn", "left" if line.size > 0 else "right", f"To which side does the path curve while {doing}?",
            f"While {doing}, does the person curve to the left or to the right?")  # fmt: skip
    if verb in ("turn", "bow") and line.size:
        ask("degrees", f"{line.size:.0f} degrees", f"By how many degrees does the person {verb}?",
            f"How far does the person {verb}, in degrees?")  # fmt: skip
    if verb in ("jump", "climb") and line.size:
        ask("height", f"{line.size:.1f} m", f"How high does the person {verb}?", f"How many metres high is the {verb}?")
    if line.start > 0.3:
        ask("when", f"{line.start:.1f} s", f"When does the person start {doing}?",
            f"At what second does the {doing} begin?",
            f"How many seconds in does the person begin to {do}?")  # fmt: skip
    if verb in _ONGOING:
        ask("when", f"from {line.start:.1f} to {line.end:.1f} s", f"From when to when is the person {doing}?",
            f"Between which seconds does the person {do}?")  # fmt: skip
        seconds = line.end - line.start
        if seconds >= 1 and abs(seconds - round(seconds)) < 0.3 and round(seconds) < len(NUMBERS):
            ask("duration", NUMBERS[round(seconds)], f"For about how many seconds does the person {do}?",
                f"About how many seconds does the {doing} last?")  # fmt: skip


_CLASS = ("action", "content", "motion", "class")


def _ask_named(told: Sequence[Line], measured: set[str], ask: Ask, random: np.random.Generator) -> None:
    """Which of two it is, as `label_questions` asks of labels: of the longest line, against the other side or limb of
    the same verb, or a verb that is not done nor near to what is done.
    """
    if not told:
        return
    main = max(told, key=lambda x: (x.end - x.start, x.count))
    name = _labelled(main.verb, main.part, main.way, main.size)
    same = [p for p in VERBS[main.verb].parts if p != main.part] if main.part else []
    absent = [v for v, (_, _, near) in _VERBS.items() if v not in {x.verb for x in told} and not measured & set(near)]
    others = [_labelled(main.verb, p, main.way, main.size) for p in same]
    if main.verb in ("turn", "look") or (abs(main.size) >= 45 and VERBS[main.verb].speed):
        way = {"left": "right", "right": "left"}.get(main.way, main.way)
        others.append(_labelled(main.verb, main.part, way, -main.size))
    if absent and (not others or random.random() < 0.6):
        verb = _one(absent, random)
        spec = VERBS[verb]
        part = _one(spec.parts, random) if spec.parts else ""
        others = [_labelled(verb, part, "" if part or not spec.ways else _one(spec.ways, random), 0.0)]
    others = [x for x in others if x != name]
    if not others or sum(x.verb == main.verb for x in told) > 1:
        return
    other, kind = _one(others, random), _one(_CLASS, random)
    a, b = sorted((name, other))
    ask("label", name, f"Which {kind} is it, {a} or {b}?", f"Is this {kind} {a} or {b}?")
    guess = name if random.random() < 0.5 else other
    ask("yesno", "yes" if guess == name else "no", f"Is the {kind} {guess}?", f"Is this {guess}?")
    if len(told) == 1:
        ask("label", name, f"What is the {kind} of this motion?")


def _labelled(verb: str, part: str, way: str, turn: float) -> str:
    """A line in the words of a label: "wave left hand", "walk forward turn left"."""
    curve = f"turn {'left' if turn > 0 else 'right'}" if VERBS[verb].speed and abs(turn) >= 45 else ""
    return " ".join(word for word in (verb, part, way, curve) if word)


def _ask_order(told: Sequence[Line], ask: Ask) -> None:
    """What comes first, last, before, after, and at a second; of lines that are apart from one another."""
    if len({x.verb for x in told}) < 2:
        if told:
            ask("action", _done(told[0]), "What is the person doing?", "What does the person do?",
                "Which action is this?", "What happens in the clip?", "Name the action.")  # fmt: skip
        return
    first, second = told[0], told[1]
    if second.start - first.start > 0.4 and second.verb != first.verb:
        ask("order", _done(first), "What does the person do first?", "What comes first?",
            "What does the person begin with?", "Which action happens first?")  # fmt: skip
    ends = sorted(told, key=lambda x: x.end)
    last = ends[-1]
    if last is told[-1] and last.end - ends[-2].end > 0.4 and last.verb != ends[-2].verb:
        ask("order", _done(last), "What does the person do last?", "What happens last?",
            "What does the person do at the end?", "Which action ends the clip?")  # fmt: skip
    single = [x for x in told if sum(y.verb == x.verb for y in told) == 1]
    for a in single:
        after = [x for x in told if x.start >= a.end - 0.1 and x is not a]
        meanwhile = [x for x in told if x is not a and x.start < a.end - 0.1 and x.end > a.end]
        if after and not meanwhile and (len(after) == 1 or after[1].start - after[0].start > 0.4):
            ask("order", _done(after[0]), f"What does the person do after {_doing(a)}?",
                f"What follows the {_doing(a)}?",
                f"What does the person do right after {_doing(a)}?")  # fmt: skip
        for b in single:
            if a.verb < b.verb and (a.end <= b.start + 0.05 or b.end <= a.start + 0.05):
                x, y = sorted((_doing(a), _doing(b)))
                early = a if a.start < b.start else b
                ask("order", _doing(early), f"What comes first, {x} or {y}?", f"Which is earlier, {x} or {y}?")
                ask("yesno", "yes" if a is early else "no",
                    f"Is the person {_doing(a)} before {_doing(b)}?")  # fmt: skip
    for a in told:
        if a.end - a.start >= 0.8:
            middle = round((a.start + a.end) / 2, 1)
            if not any(x is not a and x.start - 0.2 < middle < x.end + 0.2 for x in told):
                ask("at", _done(a), f"What does the person do at {middle:.1f} s?",
                    f"What happens at second {middle:.1f}?", f"What is going on {middle:.1f} seconds in?")  # fmt: skip


def _ask_whole(notation: Notation, facts: Facts, told: Sequence[Line], ask: Ask, random: np.random.Generator) -> None:
    """Of the whole clip: its seconds, postures, place, distance and turn."""
    ask("seconds", f"{notation.seconds:.1f} s", "How long is the clip?", "How long does the motion last?",
        "What is the length of the clip in seconds?")  # fmt: skip
    rounded = int(notation.seconds + 0.5)
    if abs(notation.seconds - rounded) < 0.4 and 1 <= rounded < len(NUMBERS):
        ask("duration", NUMBERS[rounded], "How many seconds does it last, rounded?",
            "How many seconds long is the motion, in whole seconds?",
            "About how many seconds does it take?")  # fmt: skip
    begins, ends = notation.postures
    ask("posture", begins, "How does it begin: standing, crouching, sitting, kneeling or lying?",
        "In what posture is the person at the start?", "What is the person's posture at the beginning?")  # fmt: skip
    ask("posture", ends, "How is the person at the end: standing, crouching, sitting, kneeling or lying?",
        "In what posture does the person end?", "What is the person's posture at the end?")  # fmt: skip
    guess = ends if random.random() < 0.5 else POSTURES[int(random.integers(len(POSTURES)))]
    ask("yesno", "yes" if guess == ends else "no", f"Is the person {guess} at the end?",
        f"Does it end with the person {guess}?")  # fmt: skip
    going = [x for x in told if VERBS[x.verb].speed]
    far = sum(x.speed * (x.end - x.start) for x in going)
    metres = round(facts.distance)
    if abs(facts.distance - metres) < 0.3 and 1 <= metres < len(NUMBERS) and abs(far - facts.distance) < 0.25 * metres:
        ask("distance", NUMBERS[metres], "About how many metres does the person go?",
            "Roughly how many metres are covered?",
            "How far does the person get along the way, in metres?")  # fmt: skip
    steps = any(x.verb in ("step", "jump", "hop", "climb") for x in told)
    if going and facts.displacement > 1.0:
        ask("place", "move away", "Does the person stay in place or move away?",
            "Stay in place or move away: which does the person do?")  # fmt: skip
    elif not going and not steps and facts.displacement < 0.25 and facts.distance < 0.6:
        ask("place", "stay in place", "Does the person stay in place or move away?",
            "Stay in place or move away: which does the person do?")  # fmt: skip
    ways = {x.way for x in going}
    straight = not any(x.verb == "turn" for x in told) and all(abs(x.size) < 45 for x in going)
    if len(ways) == 1 and straight and facts.direction in ways and facts.displacement > 0.6:
        ask("way", facts.direction, "Which way does the person get, as they face at first?",
            "Where does the person end up from where they faced at first?")  # fmt: skip
    turn = sum(x.size * (1 if x.way == "left" else -1) for x in told if x.verb == "turn") + sum(x.size for x in going)
    if abs(facts.turn) > 60 and abs(turn - facts.turn) < 40:
        ask("turn", facts.turn_side, "To which side has the person turned by the end?",
            "Has the person turned to the left or to the right in the end?")  # fmt: skip
        quarters = round(abs(facts.turn) / 90)
        if abs(abs(facts.turn) - 90 * quarters) < 20 and 1 <= quarters <= 4 and abs(turn - facts.turn) < 20:
            ask("turn", str(90 * quarters), "By about how many degrees has the person turned?",
                "By about how many degrees does the heading change in all?")  # fmt: skip


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
