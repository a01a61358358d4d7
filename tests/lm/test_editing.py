"""Motions changed by words: the frames that stay are the motion's own, what cannot be done so is generated anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.cli import main
from motionllm.config import Notes
from motionllm.data.change_language import added
from motionllm.data.remaking import ways
from motionllm.errors import MotionLLMError
from motionllm.lm.editing import ANEW, TRIES
from motionllm.lm.model import MotionLM
from motionllm.motion import Motion, splicing
from motionllm.motion.notation import Notation, measure

Understood = Callable[[str], MotionLM]


@pytest.fixture
def understood(trained_run: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Understood:
    """A model that says of itself that it changes plans, and understands every request as this change."""
    lm = MotionLM.load(trained_run[0])
    lm.recipe.data.notation, lm.recipe.data.tasks["edit"] = Notes(), 1.0
    monkeypatch.setattr("motionllm.lm.backend.longest", lambda _: 4096)

    def understanding(change: str) -> MotionLM:
        monkeypatch.setattr(lm, "changes", lambda plans, requests: [change] * len(plans))
        return lm

    return understanding


@pytest.fixture(scope="module")
def wave() -> Motion:
    """A person who waves with the left hand, at 20 frames per second."""
    return Motion(builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1))


def test_the_other_hand_waves_and_the_legs_stay(understood: Understood, wave: Motion) -> None:
    lm = understood("wave other side")
    old, new = lm.notation(wave), lm.notation(edited := lm.edit(wave, "the other hand"))
    assert [line.part for line in old.lines if line.verb == "wave"] == ["left hand"]
    assert [line.part for line in new.lines if line.verb == "wave"] == ["right hand"]
    legs = [1, 2, 4, 5, 7, 8, 10, 11]
    assert np.abs(edited.canonical().joints[:, legs] - wave.canonical().joints[: len(edited), legs]).max() < 0.02


def test_a_pace_is_exact(understood: Understood, wave: Motion) -> None:
    assert understood("much slower").edit(wave, "half speed").duration == pytest.approx(2 * wave.duration, abs=0.2)
    assert understood("2.0 s").edit(wave, "in two seconds").duration == pytest.approx(2.0, abs=0.1)


def test_what_is_added_is_generated_and_what_was_stays(understood: Understood, wave: Motion) -> None:
    lm = understood("then a person walks")
    tried = [lm.generate("a person walks", seed=seed) for seed in range(5, 5 + TRIES)]
    new = lm.edit(wave, "then walk", seed=5)
    fitting = [one for one in tried if lm.notation(one).postures[0] == lm.notation(wave).postures[1]]
    if fitting:
        assert any(new.duration == pytest.approx(wave.duration + one.duration, abs=0.15) for one in fitting)
        kept = round(0.7 * len(wave))
        assert np.abs(new.canonical().joints[:kept] - wave.canonical().joints[:kept]).max() < 0.05
    again = lm.edit(wave, "then walk", seed=5)
    assert np.array_equal(new.joints, again.joints)


@pytest.mark.parametrize(
    "change", ["wave becomes a person walks", "meanwhile a person claps", "after wave a person bows"]
)
def test_what_takes_a_place_is_generated_by_itself(
    understood: Understood, wave: Motion, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    lm, asked = understood(change), []
    kick = Motion(builtin.joints(builtin.Spec((builtin.Part("kick", side="left"),)), 1))

    def generating(text: str, *_: Any, **__: Any) -> Generator[None, None, tuple[Motion, np.ndarray]]:
        asked.append(text)
        yield
        return kick, np.zeros(0, np.int64)

    monkeypatch.setattr(lm, "generating", generating)
    new = lm.edit(wave, "as asked", seed=5)
    assert asked == [added(change)] * TRIES  # since a kick is none of these
    verbs = {line.verb for line in lm.notation(new).lines}
    if change.startswith("meanwhile"):  # the arms are those of the other motion, and no time is added
        assert len(new) == pytest.approx(len(wave), abs=2) and not np.allclose(
            new.joints, wave.canonical().joints[: len(new)]
        )
    else:
        assert "kick" in verbs and ("wave" in verbs) != ("becomes" in change)


@pytest.mark.parametrize("right", range(TRIES))
def test_what_is_added_is_made_again_until_it_is_right(
    understood: Understood, wave: Motion, monkeypatch: pytest.MonkeyPatch, right: int
) -> None:
    lm, seeds = understood("then a person kicks twice"), []
    kicks = [
        Motion(builtin.joints(builtin.Spec((builtin.Part("kick", side="left", count=count),)), 1)) for count in (1, 2)
    ]

    def generating(text: str, _: None, seed: int, **__: Any) -> Generator[None, None, tuple[Motion, np.ndarray]]:
        seeds.append(seed)
        yield
        return kicks[len(seeds) == right + 1], np.zeros(0, np.int64)

    monkeypatch.setattr(lm, "generating", generating)
    new = lm.notation(lm.edit(wave, "as asked", seed=2**32 - 2))
    assert [line.count for line in new.lines if line.verb == "kick"] == [2]
    assert seeds == [2**32 - 2, 2**32 - 1, 0][: right + 1]


def test_of_the_ways_to_make_a_change_the_one_that_measures_best_is_taken(
    understood: Understood, wave: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    poses = splicing.poses_of(wave.joints)
    other = next(ways(poses, measure(wave.joints), "wave other side"))
    monkeypatch.setattr("motionllm.lm.editing.ways", lambda *_: [poses, other, poses])
    new = understood("wave other side").edit(wave, "the other hand")
    assert [line.part for line in measure(new.joints).lines if line.verb == "wave"] == ["right hand"]


def test_several_changes_are_made_one_after_the_other(understood: Understood, wave: Motion) -> None:
    lm = understood("wave other side; much slower; wait 1 s first")
    old, edited = lm.notation(wave), lm.edit(wave, "with the other hand, at half the speed, and wait a second")
    new = lm.notation(edited)
    assert [line.part for line in new.lines if line.verb == "wave"] == ["right hand"]
    assert edited.duration == pytest.approx(2 * wave.duration + 1, abs=0.3) and len(edited.notes) == 1
    assert new.lines[0].start > 2 * old.lines[0].start
    with pytest.raises(MotionLLMError, match="kick"):  # none is made where one cannot
        understood("wave other side; kick x3").edit(wave, "the other hand, and three kicks")
    with pytest.raises(MotionLLMError, match="understood as"):
        understood("; ").edit(wave, "nothing")


@pytest.mark.parametrize(
    "change", ["every kick other side", "no every kick", "2nd kick other side", "last kick other side"]
)
def test_each_of_several_acts_or_of_an_acts_repetitions(understood: Understood, change: str) -> None:
    kick = builtin.Part("kick", side="left")
    several = (replace(kick, count=3),) if change[0] in "2l" else (kick, builtin.Part("bow"), replace(kick, count=2))
    poses = [splicing.poses_of(builtin.joints(builtin.Spec((part,)), 1)) for part in several]
    kicks = Motion(splicing.joints_of(splicing.joined(poses)))
    lm = understood(change)
    new = [line for line in lm.notation(lm.edit(kicks, "as it says")).lines if line.verb in ("kick", "bow")]
    sides = "".join(line.part[:1] * line.count or "-" for line in new)
    assert sides == {"every": "r-rr", "no": "-", "2nd": "lrl", "last": "llr"}[change.split(" ")[0]]


def test_what_was_asked_for_and_is_not_there_is_said(
    understood: Understood,
    wave: Motion,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert understood("wave other side").edit(wave, "the other hand").notes == ("understood as: wave other side",)
    assert understood("wave left hand").edit(wave, "the left hand").notes[1:] == ("that is how the motion was",)
    assert not understood("wave more").edit(wave, "wave more").notes[1:]  # of which no notation tells
    poses = splicing.poses_of(wave.joints)
    monkeypatch.setattr("motionllm.lm.editing.ways", lambda *_: [poses])  # as it was
    (_, note) = understood("wave other side").edit(wave, "the other hand").notes
    assert note.startswith("asked for and not measured on it: wave right hand")
    (note,) = understood("wave becomes a person claps").edit(wave, "clap instead", seed=1).notes[-1:]
    assert "still measured on it: wave" in note
    lm = understood("wave other side")
    monkeypatch.setattr(MotionLM, "load", lambda *_, **__: lm)
    wave.save(tmp_path / "wave.npy")
    assert main(["edit", str(tmp_path / "wave.npy"), "the other hand", "--out", str(tmp_path / "n.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"][1].startswith(
        "the other hand: asked for and not measured on it"
    )


def test_what_cannot_be_made_of_the_frames_is_generated(
    understood: Understood, wave: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motionllm.lm.editing.ways", lambda *_: [])
    lm = understood("wave x5")
    motion, codes, plan = _last(lm, wave, "wave x5")
    assert plan.seconds > lm.notation(wave).seconds and motion.duration == pytest.approx(plan.seconds, abs=0.2)
    assert any(note.startswith(ANEW) for note in motion.notes)
    assert len(codes) == pytest.approx(motion.duration * lm.motion_tokenizer.codes_per_second, abs=8)


def _last(lm: MotionLM, motion: Motion, change: str) -> tuple[Motion, np.ndarray, Notation]:
    steps = lm.editing(motion, lm.notation(motion), change, seed=2)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            done: tuple[Motion, np.ndarray, Notation] = end.value
            return done


def test_a_plan_that_the_motion_does_not_follow_is_generated(understood: Understood, wave: Motion) -> None:
    """Nothing in the frames can be changed for an act that they do not show."""
    lm = understood("jump x3")
    plan = Notation.parse("4.0 s, standing to standing\n0.5-1.2 jump 0.3 m\n2.0-3.5 wave left hand x3")
    steps = lm.remaking(wave, plan, "jump x3", seed=2)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value is None


@pytest.mark.parametrize(
    ("change", "says"),
    [("question", "no change"), ("talk", "no change"), ("kick x3", "kick"), ("fly", "no change of a motion")],
)
def test_what_is_no_change_is_said_in_a_sentence(understood: Understood, wave: Motion, change: str, says: str) -> None:
    with pytest.raises(MotionLLMError, match=says) as error:
        understood(change).edit(wave, "what is it?")
    assert "\n" not in str(error.value)


def test_a_clip_is_edited_by_the_command(
    understood: Understood,
    wave: Motion,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lm = understood("slower")
    monkeypatch.setattr(MotionLM, "load", lambda *_: lm)
    wave.save(tmp_path / "wave.bvh")
    out = tmp_path / "slow.glb"
    assert main(["edit", str(tmp_path / "wave.bvh"), "slower", "slower still", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert out.is_file() and told["seconds"] == pytest.approx(2.25 * wave.duration, abs=0.4)
    assert Notation.parse(told["notation"]).seconds == pytest.approx(told["seconds"], abs=0.15)
    for words, says in (
        (["edit", str(tmp_path / "wave.bvh"), "slower", "--out", str(tmp_path / "slow.txt")], "suffix"),
        (["edit", str(tmp_path / "none.bvh"), "slower", "--out", str(out)], "no such file"),
    ):
        assert main(words) == 2
        assert says in capsys.readouterr().err
    understood("question")
    assert main(["edit", str(tmp_path / "wave.bvh"), "why?", "--out", str(tmp_path / "new.bvh")]) == 2
    assert "wave.bvh" in capsys.readouterr().err and not (tmp_path / "new.bvh").exists()


def test_one_of_several_is_set_right_and_a_single_one_is_the_models(
    understood: Understood, wave: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, shown = understood(""), wave.canonical()
    # The tiny motion tokenizer keeps no wave: whatever is generated is this one.
    monkeypatch.setattr(lm, "_motion", lambda codes, frames: shown)
    asked = "a person waves with the right hand"
    assert [x.part for x in lm.notation(shown).lines if x.verb == "wave"] == ["left hand"]
    single = lm.generate(asked, seed=1, best_of=1)
    assert np.array_equal(single.joints, shown.joints)
    several = lm.generate(asked, seed=1, best_of=2, plan=False)
    assert [x.part for x in lm.notation(several).lines if x.verb == "wave"] == ["right hand"]
    (again,) = lm.generate_batch([asked], seed=1, best_of=2, plan=False)
    assert np.array_equal(again.joints, several.joints)
    ruled = lm.generate(asked, seed=1, best_of=2, plan=False, judge=lambda texts, motions: [0.0] * len(motions))
    assert np.array_equal(ruled.joints, shown.joints)
    exact = lm.generate("a person waves with the right hand four times", shown.duration, 1, best_of=2, plan=False)
    assert len(exact) == len(shown)
