"""Questions: every answer found once more by other code, balanced answers, labels asked for as they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import Source
from motionllm.data.clips import encode
from motionllm.data.queries import Query
from motionllm.data.questions import (
    Balance,
    fact_questions,
    label_questions,
    label_values,
    labels_asked,
    queried_questions,
    words_of,
)
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Notation, measure_with_facts
from motionllm.numerals import NUMBERS
from motionllm.samples import Question
from motionllm.tokenizer import MotionTokenizer

CLIPS = 300


Asked = list[tuple[Notation, np.ndarray, list[Question]]]


@pytest.fixture(scope="module")
def clips() -> Asked:
    """(notation, joints, questions on them) of clips of the built-in corpus."""
    random = np.random.default_rng(0)
    made = []
    for index in range(CLIPS):
        sample = builtin.sample(index, seed=5)
        joints = builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])
        notation, facts = measure_with_facts(joints)
        made.append((notation, joints, fact_questions(facts, notation, random)))
    return made


# -- answers found once more: of lines in the written text, of measures from the joints ------------------------------

COUNTED = {
    "jump": "jump",
    "jump with both feet": "jump",
    "hop": "hop",
    "hop on one leg": "hop",
    "squat": "squat",
    "crouch down": "squat",
    "wave": "wave",
    "punch": "punch",
    "throw a punch": "punch",
    "clap": "clap",
    "clap the hands": "clap",
    "kick": "kick",
    "bow": "bow",
    "bend forward": "bow",
}


def heading(joints: np.ndarray) -> np.ndarray:
    """(T,) radians the hips and shoulders face, + to the left, unwrapped."""
    across = joints[:, 1] - joints[:, 2] + joints[:, 16] - joints[:, 17]
    return np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))


def answer(question: Question, notation: Notation, joints: np.ndarray) -> str | None:
    """The answer as the written notation or the joints have it, None where nothing here can tell."""
    text, lines = question.text, str(notation).splitlines()
    turned = np.degrees(heading(joints)[-1] - heading(joints)[0])
    if match := re.fullmatch(r"How (?:many times|often) does the person (.*)\?", text):
        if not (verb := COUNTED.get(match[1])):
            return None
        own = [line for line in lines[1:] if re.match(rf"\S+ {verb}( |$)", line)]
        return NUMBERS[sum(int((re.search(r" x(\d+)", line) or [0, 1])[1]) for line in own)]
    if question.kind == "seconds":
        return lines[0].split(",")[0]
    if question.kind == "posture":
        return re.split(r", | to ", lines[0])[1 if "begin" in text or "start" in text else 2]
    if question.kind == "when":
        spans = {line.split(" ")[0] for line in lines[1:]}
        times = [f"from {a} to {b} s" for a, b in (span.split("-") for span in spans)]
        return question.answer if question.answer in times + [f"{span.split('-')[0]} s" for span in spans] else "none"
    if question.kind in ("pace", "height"):
        return question.answer if any(f" {question.answer}" in line for line in lines[1:]) else "none"
    if question.kind == "degrees":
        number = question.answer.split(" ")[0]
        return question.answer if any(f" {number}" in line for line in lines[1:]) else "none"
    if question.kind == "turn" and "turned" in text and "degrees" not in text:
        return "left" if turned > 0 else "right"
    if question.kind == "turn" and "degrees" in text:
        return str(90 * round(abs(turned) / 90))
    if question.kind == "duration" and "does the" not in text and "the person" not in text:
        return NUMBERS[int(len(joints) / 20 + 0.5)]
    if question.kind == "distance":
        root = joints[:, 0][:, [0, 2]]
        smooth = np.stack([np.convolve(np.pad(x, 3, mode="edge"), np.ones(7) / 7, "valid") for x in root.T], 1)
        return NUMBERS[round(float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum()))]
    if question.kind == "place":
        return "move away" if np.linalg.norm(joints[-1, 0] - joints[0, 0]) > 0.6 else "stay in place"
    return None


def test_every_answer_is_found_again(clips: Asked) -> None:
    wrong, kinds, checked = [], Counter[str](), Counter[str]()
    for notation, joints, questions in clips:
        for question in questions:
            found = answer(question, notation, joints)
            if found is not None and found != question.answer:
                wrong.append((question, found, str(notation)))
            kinds[question.kind] += 1
            checked[question.kind] += found is not None
    assert not wrong, wrong[:5]
    assert set(kinds) == {
        "does",
        "yesno",
        "side",
        "count",
        "way",
        "speed",
        "pace",
        "turn",
        "degrees",
        "height",
        "when",
        "at",
        "action",
        "label",
        "order",
        "seconds",
        "duration",
        "distance",
        "place",
        "posture",
    }
    for kind in ("count", "when", "pace", "degrees", "height", "seconds", "duration", "distance", "place", "turn"):
        assert checked[kind] >= 10, kind


def test_every_answer_is_that_of_its_query() -> None:
    random, asked = np.random.default_rng(0), 0
    for index in range(60):
        sample = builtin.sample(index, seed=5)
        joints = builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])
        notation, facts = measure_with_facts(joints)
        for question, query in queried_questions(facts, notation, random):
            if re.fullmatch(r"What is the \w+ of this motion\?", question.text):  # a data set's label in general
                assert query == Query("none") and question.kind == "label"
                continue
            assert Query.parse(str(query)) == query
            assert query.answer(notation) == question.answer, question
            asked += 1
    assert asked > 1000


DOING = {"punch": "punch", "kick": "kick", "wave": "wave", "clap": "clap", "squat": "squat", "jump": "jump"}


def test_sides_and_counts_are_those_the_corpus_asked_for(clips: Asked) -> None:
    # The corpus' own specification is a truth that no measurement made.
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for index, (_, _, questions) in enumerate(clips):
        spec = builtin.Spec.of(builtin.sample(index, seed=5).labels["spec"])
        for part in spec.parts:
            if sum(p.action == part.action for p in spec.parts) > 1 or part.action not in DOING:
                continue
            for question in questions:
                if question.kind == "side" and re.search(rf"\b{part.action}\b", question.text) and part.side:
                    asked["side"] += 1
                    right["side"] += question.answer == part.side
                if (
                    question.text
                    in (f"How many times does the person {part.action}?", f"How often does the person {part.action}?")
                    and part.count
                ):
                    asked["count"] += 1
                    right["count"] += question.answer == NUMBERS[part.count]
    assert asked["side"] > 20 and asked["count"] > 5
    assert all(right[kind] >= 0.95 * asked[kind] for kind in asked)


def test_the_same_is_asked_in_many_words(clips: Asked) -> None:
    texts: dict[str, set[str]] = defaultdict(set)
    for _, _, questions in clips:
        assert len({q.text for q in questions}) == len(questions) or all(
            len({q.answer for q in questions if q.text == text}) == 1 for text in {q.text for q in questions}
        )  # never two answers to one text
        for question in questions:
            texts[question.kind].add(question.text)
    assert len(texts["does"]) > 200 and len(texts["count"]) > 20 and len(texts["side"]) > 12
    assert len([text for text in texts["does"] if "kick" in text]) >= 6


# -- the text alone -------------------------------------------------------------------------------------------------


def known_by_text(questions: Iterable[Question]) -> tuple[float, dict[str, float]]:
    """(share that each text's commonest answer gets right, {text: that share} of texts asked 12 times or more)."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions:
        answers[question.text][question.answer] += 1
    commonest = sum(max(c.values()) for c in answers.values())
    often = {text: max(c.values()) / c.total() for text, c in answers.items() if c.total() >= 12}
    return commonest / sum(c.total() for c in answers.values()), often


def labelled() -> list[Question]:
    """Of a set whose classes are as uneven as they come, in no order."""
    random = np.random.default_rng(0)
    labels = [
        {"style": str(random.choice(["proud", "old", "young"], p=[0.85, 0.1, 0.05])), "id": i, "name": f"n{i}"}
        for i in range(600)
    ]
    values = label_values(labels)
    assert values == {"style": ["old", "proud", "young"]}
    return [q for row in labels for q in label_questions(row, values, random)]


@pytest.mark.parametrize("kind", ["facts", "labels", "builtin"])
def test_no_question_is_answered_by_its_text(kind: str, clips: Asked, request: pytest.FixtureRequest) -> None:
    made: dict[str, Callable[[], list[Question]]] = {
        "facts": lambda: [q for _, _, questions in clips for q in questions],
        "labels": labelled,
        "builtin": lambda: [q for s in builtin.corpus(1500) for q in s.questions],
    }
    raw = made[kind]()
    balanced = Balance()(raw)
    assert max(known_by_text(raw)[1].values()) > 0.8  # what the balance is for
    share, often = known_by_text(balanced)
    assert share <= 0.6
    assert often and max(often.values()) <= 0.6, max(often, key=often.__getitem__)
    assert len(balanced) > 0.2 * len(raw)


def test_the_encoded_clips_carry_balanced_questions(
    tiny_tokenizer: object, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    source = Source(kind="builtin", clips=60, ask=["facts"])
    encoded = encode(source, "train", MotionTokenizer.load(tiny_tokenizer))  # type: ignore[arg-type]
    questions = [q for clip in encoded for q in clip.sample.questions]
    assert {"does", "side", "duration", "action"} <= {q.kind for q in questions}
    assert max(known_by_text(questions)[1].values()) <= 0.6


def test_labels_are_asked_for_as_they_are() -> None:
    values = {"style": ["old", "proud", "young"]}
    asked = {q.text: q.answer for q in label_questions({"style": "old", "id": "x"}, values, np.random.default_rng(0))}
    assert asked.pop("What is the style of this motion?") == "old"
    assert asked.pop("Is the style old?") == "yes"
    assert set(asked.values()) == {"old", "no"}
    assert label_questions({"other": "old"}, values, np.random.default_rng(0)) == []


def test_labels_that_are_names_or_numbers_are_not_asked_for() -> None:
    rows = [{"take": f"take {i}", "actor": "ann" if i % 2 else "bob", "age": i % 2, "set": "one"} for i in range(20)]
    assert label_values(rows) == {"actor": ["ann", "bob"]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hopBothLegs1hops", "hop both legs 1 hops"),
        ("squat1Reps", "squat 1 reps"),
        ("jogLeftCircle4StepsRstart", "jog left circle 4 steps rstart"),
        ("sit_down", "sit down"),
        ("turn2nd", "turn 2nd"),
        ("BVHWalk", "bvh walk"),
        ("walk-turn-left", "walk-turn-left"),
        ("Proud", "Proud"),
        ("very old", "very old"),
    ],
)
def test_values_become_words(value: str, words: str) -> None:
    assert words_of(value) == words


def test_people_files_and_codes_are_not_asked_about_unless_chosen() -> None:
    rows = [
        {
            "action": ["hopBothLegs1hops", "kickLFront1Reps"][i % 2],
            "actor": ["ann", "bob"][i % 3 % 2],
            "performerId": ["x", "y"][i % 2],
            "group": ["bk", "tr", "S03"][i % 3],
            "leg": 0.8,
            "source": f"{i // 4}.bvh",
            "style": ["Proud", "old", ""][i % 3],
        }
        for i in range(24)
    ]
    asked, skipped = labels_asked(rows)
    assert skipped == ["actor", "performerId", "group", "source"]
    assert label_values(asked) == {"action": ["hop both legs 1 hops", "kick l front 1 reps"], "style": ["Proud", "old"]}
    chosen = {"action": {"hopBothLegs1hops": "hops"}, "actor": {}}
    asked, skipped = labels_asked(rows, chosen)
    assert (asked[0], skipped) == ({"action": "hops", "actor": "ann"}, [])
    texts = {q.text for q in label_questions(asked[0], label_values(asked), np.random.default_rng(0))}
    assert {"Is the action hops?", "Is the actor ann?"} <= texts
    texts = {q.text for q in label_questions({"label": "hop"}, {"label": ["hop", "sit"]}, np.random.default_rng(0))}
    assert "What is the action of this motion?" in texts
    with pytest.raises(MotionLLMError, match="no label is called 'acton'; did you mean 'action'"):
        labels_asked(rows, {"acton": {}})
    with pytest.raises(MotionLLMError, match="did you mean 'hopBothLegs1hops'"):
        labels_asked(rows, {"action": {"hopBothLegs1hop": "hop"}})
    assert labels_asked(rows[:1], {"action": {"kickLFront1Reps": "kick"}}, whole=False)[0] == [
        {"action": "hop both legs 1 hops"}
    ]


def test_any_count_is_asked_about_or_not_at_all() -> None:
    sample = builtin.sample(0)
    _, facts = measure_with_facts(builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"]))
    for count in range(1, 20):
        for verb in ("squat", "clap", "jump", "jumping jack"):
            times = f" x{count}" if count > 1 else ""
            notation = Notation.parse(f"9.0 s, standing to standing\n1.0-8.0 {verb}{times}")
            for seed in range(6):
                for question in fact_questions(facts, notation, np.random.default_rng(seed)):
                    if question.kind == "count" and verb in question.text:
                        assert question.answer == NUMBERS[count]
