"""Each judge on motion and words whose score is known, and the panel that weighs them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.corpus import Part, Spec
from motionllm.errors import MotionLLMError
from motionllm.feedback import judges
from motionllm.feedback.judges import JUDGES, Judge, Panel, Result, asked, parse_weights
from motionllm.motion import Motion
from motionllm.motion.features import joints_to_features
from motionllm.motion.notation import measure
from motionllm.samples import Question, Sample

KICK = Spec((Part("kick", side="left"),))


def made(spec: Spec = KICK, text: str = "a person kicks with the left leg", seed: int = 3, **more: Any) -> Result:
    joints = builtin.joints(spec, seed)
    return Result(
        "text_to_motion", text, joints=joints, motion=Motion(joints), features=joints_to_features(joints), **more
    )


def clip(spec: Spec | None, captions: list[str], motion: Spec = KICK) -> Sample:
    labels = {"spec": spec.json()} if spec else {}
    return Sample("clip", lambda: joints_to_features(builtin.joints(motion, 3)), captions, labels=labels)


@pytest.mark.parametrize(
    ("text", "actions", "relation"),
    [
        ("a person kicks with the left leg", ["kick"], ""),
        ("a man walks forward, then waves with the right hand", ["walk", "wave"], "then"),
        ("someone waves while walking forward", ["wave", "walk"], "while"),
        ("a person stands still", ["stand"], ""),
        ("a person is standing and then squats twice", ["squat"], ""),
        ("he walks, jumps and then sits down", ["walk", "jump", "sit"], ""),
    ],
)
def test_what_can_be_read_of_free_texts(text: str, actions: list[str], relation: str) -> None:
    found = asked(text)
    assert found and [part.action for part in found.parts] == actions and found.relation == relation


def test_nothing_is_read_of_a_text_without_a_known_action() -> None:
    assert asked("the mood is gloomy") is None
    assert judges.facts(made(text="the mood is gloomy")) is None


def test_facts_are_measured() -> None:
    assert judges.facts(made()) == 1
    assert judges.facts(made(text="a person kicks with the right leg")) == 0.5  # the action, not the side
    assert judges.facts(made(text="a person jumps")) == 0
    # What the corpus knows of its clip counts more than what is read of the words.
    assert judges.facts(made(text="a person jumps", samples=[clip(KICK, ["kicks"])])) == 1


def test_what_cannot_be_measured_has_nothing_of_it() -> None:
    short = made()
    short.motion = Motion(builtin.joints(KICK, 3)[:1])
    assert judges.facts(short) == 0


def test_agreement_is_with_the_plan_or_the_nearest_real_clip() -> None:
    def judged(*plans: Spec, motion: Spec = KICK) -> float:
        found = judges.agreement(made(motion, plans=[measure(builtin.joints(spec, 3)) for spec in plans]))
        assert found is not None
        return found

    wave, other = Spec((Part("wave", side="left"),)), Spec((Part("kick", side="right"),))
    assert judges.agreement(made()) is None  # a text of a user, and a model that does not plan
    assert judged(KICK) == judged(wave, KICK) == 1
    assert judged(wave) < judged(other) < 1
    short = made(plans=[measure(builtin.joints(KICK, 3))])
    short.motion = Motion(builtin.joints(KICK, 3)[:4])
    assert judges.agreement(short) < 0.1  # type: ignore[operator]


def test_duration_is_the_share_that_was_met() -> None:
    one = made()
    assert one.motion and judges.duration(one) is None
    one.seconds = one.motion.duration
    assert judges.duration(one) == 1
    one.seconds = 2 * one.motion.duration
    assert judges.duration(one) == pytest.approx(0.5)
    one.seconds = one.motion.duration / 5
    assert judges.duration(one) == 0


def test_physics_sees_each_fault_and_no_other() -> None:
    good = made(Spec((Part("wave", side="left"),)))
    assert good.joints is not None and judges.physics(good) > 0.99
    random = np.random.default_rng(0)
    slide = np.arange(len(good.joints))[:, None, None] * np.array([0.08, 0, 0])
    faults = {
        "skating": good.joints + slide,
        "penetration": good.joints - np.array([0, 0.2, 0]),
        "floating": good.joints + np.array([0, 0.5, 0]),
        "jerk": good.joints + 0.02 * random.normal(size=good.joints.shape) * (np.arange(22) > 11)[:, None],
        "bones": good.joints * (1 + 0.2 * np.sin(np.arange(len(good.joints)) / 20))[:, None, None],
    }
    for name, joints in faults.items():
        bad = made(Spec((Part("wave", side="left"),)))
        bad.joints = joints.astype(np.float32)
        assert JUDGES[name].score(bad) < 0.8 < JUDGES[name].score(good), name
        assert judges.physics(bad) < judges.physics(good) - 0.04, name


def test_embedding_judges_are_cosines() -> None:
    places = {"a": [1.0, 0.0], "b": [0.6, 0.8]}
    embedder: Any = SimpleNamespace(
        embed_texts=lambda texts: np.array([places[text] for text in texts]),
        embed_motions=lambda features: np.array([[0.6, 0.8] if len(f) > 20 else [0.0, -1.0] for f in features]),
    )
    results = [made(text="a"), made(text="b", samples=[clip(None, ["b"])])]
    assert judges.similarity(results, embedder) == pytest.approx([0.6, 1.0])
    assert judges.likeness(results, embedder) == [None, pytest.approx(1.0)]


def test_captions_and_answers() -> None:
    def said(text: str, sample: Sample) -> Result:
        return Result("caption", samples=[sample], said=text)

    known, free = clip(KICK, ["a person kicks with the left leg"]), clip(None, ["a person kicks with the left leg"])
    for sample in (known, free):  # a specification, or what is measured in the clip, to the same end
        assert judges.caption_facts(said("someone kicks with the left foot", sample)) == 1
        assert judges.caption_facts(said("someone kicks with the right foot", sample)) == 0.5
        assert judges.caption_facts(said("someone jumps", sample)) == 0
        assert judges.caption_facts(said("how nice", sample)) == 0
    assert judges.references(said("A person kicks, with the left leg.", known)) == pytest.approx(1)
    assert judges.references(said("nothing", known)) == 0
    question = Question("Which leg?", "left", "side")
    assert judges.answer(Result("question", question=question, said="The left one.")) == 1
    assert judges.answer(Result("question", question=question, said="right")) == 0


def test_a_reward_is_a_mean_of_shares_by_weight() -> None:
    panel = Panel({"facts": 3.0, "physics": 1.0})
    assert panel.reward({"facts": 1.0, "physics": 0.0}) == pytest.approx(0.75)
    assert panel.reward({"facts": None, "physics": 0.5}) == 0.5  # who says nothing has no weight
    assert panel.reward({"facts": None}) is None
    assert JUDGES["similarity"].share(0.0) == 0.5  # of −1 to 1
    [scores] = panel([made()])
    assert scores["facts"] == 1 and 0 <= (scores["physics"] or 0) <= 1


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (lambda result: math.nan, "'broken' says nan, outside 0 to 1"),
        (lambda result: 1.5, "'broken' says 1.5, outside 0 to 1"),
        (lambda result: 1 / 0, "'broken' raised ZeroDivisionError"),
    ],
)
def test_a_judge_that_fails_is_named_and_its_result_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, score: Any, says: str
) -> None:
    monkeypatch.setitem(JUDGES, "broken", Judge("broken", "text_to_motion", score, ""))
    result = made()
    with pytest.raises(MotionLLMError, match=says):
        Panel({"broken": 1.0}, failed=tmp_path)([result])
    assert np.array_equal(np.load(tmp_path / "broken.npy"), result.joints)
    assert json.loads((tmp_path / "broken.json").read_text())["asked"] == result.asked


def test_judges_of_ones_own_are_imported_from_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my_judges.py").write_text(
        "from motionllm.feedback.judges import Judge\n"
        "def short(result):\n    return 1 - min(1.0, result.motion.duration / 10)\n"
        "long = Judge('long', 'text_to_motion', lambda result: result.motion.duration, 'seconds', 0.0, 40.0)\n"
        "word = 'no judge'\n"
    )
    monkeypatch.chdir(tmp_path)
    result, weights = made(), {"my_judges:short": 1.0, "my_judges:long": 3.0}
    assert result.motion
    panel, seconds = Panel(weights), result.motion.duration
    scores = panel([result])[0]
    assert scores == {"my_judges:short": 1 - seconds / 10, "my_judges:long": seconds}
    assert panel.reward(scores) == pytest.approx((1 - seconds / 10 + 3 * seconds / 40) / 4)
    with pytest.raises(MotionLLMError, match="'my_judges:none' cannot be imported"):
        Panel({"my_judges:none": 1.0})
    with pytest.raises(MotionLLMError, match="neither a function nor a Judge"):
        Panel({"my_judges:word": 1.0})


def test_wrong_names_are_refused() -> None:
    with pytest.raises(MotionLLMError, match="did you mean 'physics'"):
        Panel({"phisics": 1.0})
    with pytest.raises(MotionLLMError, match="train-embedder"):
        Panel({"similarity": 1.0})
    assert parse_weights("facts, physics=0.2") == {"facts": 1.0, "physics": 0.2}
    with pytest.raises(MotionLLMError, match="no judge with a weight"):
        parse_weights("facts=high")
