"""Questions: every answer found once more by other code, balanced answers, labels asked for as they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from motionllm.config import Source
from motionllm.data import builtin
from motionllm.data.clips import encode
from motionllm.data.questions import (
    NUMBERS,
    Balance,
    fact_questions,
    label_questions,
    label_values,
    labels_asked,
    words_of,
)
from motionllm.data.samples import Question
from motionllm.errors import MotionLLMError
from motionllm.motion.facts import facts
from motionllm.tokenizer import MotionTokenizer

CLIPS = 250


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, list[Question]]]:
    """(joints, questions on their facts) of clips of the built-in corpus."""
    random = np.random.default_rng(0)
    made = []
    for index in range(CLIPS):
        sample = builtin.sample(index, seed=5)
        joints = builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])
        made.append((joints, fact_questions(facts(joints), random)))
    return made


# -- answers computed once more: of measures from the joints, of events from the times and names of the record ------


def heading(joints: np.ndarray) -> np.ndarray:
    """(T,) radians the hips and shoulders face, + to the left, unwrapped."""
    across = joints[:, 1] - joints[:, 2] + joints[:, 16] - joints[:, 17]
    return np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))


def way(joints: np.ndarray) -> str:
    gone = joints[-1, 0] - joints[0, 0]
    angle = np.degrees(np.arctan2(gone[0], gone[2]) - heading(joints)[:3].mean()) % 360
    return ("forward", "left", "backward", "right")[round(angle / 90) % 4]


def height(joints: np.ndarray, frame: int) -> float:
    """Of the pelvis over the floor, as a share of legs and hips standing straight."""
    bones = [np.linalg.norm(joints[:, a] - joints[:, b], axis=1).mean() for a, b in ((1, 4), (4, 7))]
    return float((joints[frame, 0, 1] - joints[:, [10, 11], 1].min()) / (sum(bones) * 0.96 / 0.826))


DOES = {
    "walk": "walk", "run": "run", "turn on the spot": "turn", "jump with both feet": "jump", "hop on one leg": "hop",
    "squat": "squat", "bow": "bow", "reach down": "reach down", "sit down": "sit", "kneel": "kneel", "lie down": "lie",
    "get up": "stand up", "hold up a hand": "raise", "wave": "wave", "throw something": "throw", "throw": "throw",
    "punch": "punch", "clap": "clap", "kick": "kick", "march on the spot": "march", "jump": "jump", "hop": "hop",
}  # fmt: skip
CALLED = {
    "the walking": "walk", "the running": "run", "the turn": "turn", "the jump": "jump", "the hop": "hop",
    "the squat": "squat", "the bow": "bow", "the reaching down": "reach down", "the sitting down": "sit",
    "the kneeling": "kneel", "the lying down": "lie", "the getting up": "stand up", "the wave": "wave",
    "the raising of a hand": "raise", "the throw": "throw", "the punch": "punch", "the clapping": "clap",
    "the kick": "kick", "the marching": "march",
}  # fmt: skip


def answer(text: str, joints: np.ndarray) -> str | None:
    """The answer to a question, or None where the reading here is not sure of it to a frame or a centimetre."""
    record = facts(joints).json()["events"]
    root = joints[:, 0][:, [0, 2]]
    turned = np.degrees(heading(joints)[-1] - heading(joints)[0])

    def of(name: str) -> list[dict]:  # type: ignore[type-arg]
        return [e for e in record if e["name"] == name]

    if match := re.fullmatch(r"Does the person (.*) at any time\?", text):
        return "yes" if of(DOES[match[1]]) else "no"
    if match := re.fullmatch(r"Which (hand|leg) does the person (.*) with\?", text):
        return one(e["side"] for e in of(DOES[match[2]]))
    for asked, name in (("hand is held up", "raise"), ("leg does the person hop", "hop"), ("in the lunge", "lunge")):
        if asked in text:
            return one(e["side"] for e in of(name))
    if match := re.fullmatch(r"How many times does the person (.*)\?", text):
        return NUMBERS[sum(e["count"] for e in of(DOES[match[1]]))]
    if text.startswith("How many steps"):
        return NUMBERS[len(of("step"))]
    if text.startswith("Which way does the person get"):
        return way(joints)
    if text.startswith("Does the person stay in place"):
        return "move away" if np.linalg.norm(root[-1] - root[0]) > 0.6 else "stay in place"
    if text.startswith("To which side"):
        return "left" if turned > 0 else "right"
    if text.startswith("By about how many degrees"):
        return str(90 * round(abs(turned) / 90))
    if text.startswith("How many seconds"):
        return NUMBERS[int(len(joints) / 20 + 0.5)]
    if text.startswith("About how many metres"):
        smooth = np.stack([np.convolve(np.pad(x, 3, mode="edge"), np.ones(7) / 7, "valid") for x in root.T], 1)
        return NUMBERS[round(float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum()))]
    if match := re.fullmatch(r"What comes first, (.*) or (.*)\?", text):
        a, b = (of(CALLED[match[i]]) for i in (1, 2))
        return match[1] if max(e["end"] for e in a) <= min(e["start"] for e in b) else match[2]
    if match := re.match(r"How (is the person at the end|does it begin)", text):
        share = height(joints, -1 if "end" in match[1] else 0)
        return "standing" if share > 0.9 else "not standing" if share < 0.8 else None
    raise AssertionError(f"nothing here answers {text!r}")


def one(sides: Iterable[str]) -> str:
    found = set(sides)
    return found.pop() if len(found) == 1 else "no one side"


def test_every_answer_is_found_again(clips: list[tuple[np.ndarray, list[Question]]]) -> None:
    wrong, kinds = [], Counter[str]()
    for joints, questions in clips:
        for question in questions:
            found = answer(question.text, joints)
            said = question.answer
            if question.kind == "posture" and said != "standing":
                said = "not standing"
            if found is not None and found != said:
                wrong.append((question, found))
            kinds[question.kind] += 1
    assert not wrong, wrong[:5]
    assert set(kinds) == {"does", "side", "count", "way", "turn", "duration", "distance", "posture", "order"}


def test_sides_and_counts_are_those_the_corpus_asked_for(clips: list[tuple[np.ndarray, list[Question]]]) -> None:
    # The corpus' own specification is a truth that no measurement made.
    right = asked = 0
    for index, (_, questions) in enumerate(clips):
        spec = builtin.Spec.of(builtin.sample(index, seed=5).labels["spec"])
        for part in spec.parts:
            alone = sum(p.action == part.action for p in spec.parts) == 1
            if alone and part.side in ("left", "right") and part.action in ("wave", "punch", "kick", "throw"):
                text = f"does the person {part.action} with?"
                for question in (q for q in questions if q.text.endswith(text)):
                    asked, right = asked + 1, right + (question.answer == part.side)
    assert asked > 20 and right / asked > 0.95


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
    labels = [{"style": str(random.choice(["proud", "old", "young"], p=[0.85, 0.1, 0.05])), "id": i, "name": f"n{i}"}
              for i in range(600)]  # fmt: skip
    values = label_values(labels)
    assert values == {"style": ["old", "proud", "young"]}
    return [q for row in labels for q in label_questions(row, values, random)]


@pytest.mark.parametrize("kind", ["facts", "labels", "builtin"])
def test_no_question_is_answered_by_its_text(
    kind: str, clips: list[tuple[np.ndarray, list[Question]]], request: pytest.FixtureRequest
) -> None:
    made: dict[str, Callable[[], list[Question]]] = {
        "facts": lambda: [q for _, questions in clips for q in questions],
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
    rows = [{"action": ["hopBothLegs1hops", "kickLFront1Reps"][i % 2], "actor": ["ann", "bob"][i % 3 % 2],
             "performerId": ["x", "y"][i % 2], "group": ["bk", "tr", "S03"][i % 3], "leg": 0.8,
             "source": f"{i // 4}.bvh", "style": ["Proud", "old", ""][i % 3]} for i in range(24)]  # fmt: skip
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
