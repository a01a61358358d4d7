"""Excerpts: single acts of a library's clips, found by what they show, and put in a motion that lacks them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.corpus import Part, Spec
from motionllm.data.asked import as_asked, asked
from motionllm.data.mending import put_in
from motionllm.data.resting import upright
from motionllm.lm.excerpts import Excerpts
from motionllm.lm.generation import Drawn
from motionllm.lm.library import Library
from motionllm.lm.model import MotionLM
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion, splicing
from motionllm.motion.features import joints_to_features
from motionllm.motion.notation import measure
from motionllm.samples import Sample

KICK = Part("kick", side="left")
TWO = Sampling(best_of=2)


def poses(*parts: Part) -> np.ndarray:
    return splicing.joined([splicing.poses_of(builtin.joints(Spec((part,)), 1)) for part in parts])


def clip(caption: str, *parts: Part) -> Sample:
    joints = splicing.joints_of(poses(*parts))
    return Sample(caption, lambda: joints_to_features(joints), [caption])


@pytest.fixture(scope="module")
def lm(trained_run: tuple[Path, Path]) -> Iterator[MotionLM]:
    """A model with a library that shows its clips exactly, since its motion tokenizer was trained for a second."""
    lm = MotionLM.load(trained_run[0])
    samples = [
        clip("some exercises", Part("squat"), KICK, Part("clap", count=3)),
        clip("karate, a person kicks", Part("bow"), KICK, Part("clap", count=3)),
        clip("a person lies down", Part("lie")),
    ]
    lm.library = Library.of(samples, lm.motion_tokenizer, 20.0, search=0, exact=True)
    yield lm


def verbs(motion: np.ndarray) -> list[str]:
    return [line.verb for line in measure(splicing.joints_of(motion)).lines]


def test_an_act_is_cut_from_what_is_done_before_and_after_it(lm: MotionLM) -> None:
    (one,) = asked("a person kicks with the left leg")
    assert lm.library is not None
    found = Excerpts(lm.library).showing(one)
    # Of the clips that show it that one comes first whose caption says so.
    assert [excerpt.entry.id for excerpt in found] == ["karate, a person kicks", "some exercises"]
    for excerpt in found:
        assert as_asked(one, measure(splicing.joints_of(excerpt.poses)))
        assert not {"squat", "clap", "bow"} & {*verbs(excerpt.poses)}


@pytest.mark.parametrize("text", ["a person kicks with the right leg", "a person crawls"])
def test_what_no_clip_shows_as_it_is_asked_for_is_not_found(lm: MotionLM, text: str) -> None:
    assert lm.library is not None
    assert Excerpts(lm.library).showing(asked(text)[0]) == []


@pytest.mark.parametrize("fixed", [False, True])
def test_what_a_motion_lacks_is_put_in_from_the_library(
    lm: MotionLM, monkeypatch: pytest.MonkeyPatch, fixed: bool
) -> None:
    text = "a person squats and then kicks with the left leg"
    motion = Motion(splicing.joints_of(poses(*[Part("squat")] * 3)), 20.0)
    monkeypatch.setattr(lm, "_drawn", lambda *_: (_ for _ in ()))  # the model makes none of it
    monkeypatch.setattr("motionllm.lm.generation.MOST_MISSING", 0)
    seconds = motion.duration if fixed else None
    (made,) = drained(lm._mended([motion], [text], [seconds], [1], TWO, [False]))
    notation = measure(made.joints)
    assert all(as_asked(one, notation) for one in asked(text))
    (note,) = made.notes
    assert note.startswith("from the library: ")
    assert len(made.joints) == len(motion.joints) or not fixed
    (without,) = drained(lm._mended([motion], [text], [seconds], [1], TWO.but(library=False), [False]))
    assert without.notes == ("asked for and not measured on it: a person kicks with the left leg",)


def test_a_recorded_clip_stays_as_it_is_whatever_is_measured_on_it(
    lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a person squats and then kicks with the left leg"
    motion = Motion(splicing.joints_of(poses(Part("squat"))), 20.0, notes=("from the library: a clip",))
    monkeypatch.setattr(lm, "_drawn", lambda *_: pytest.fail("something is generated"))
    (kept,) = drained(lm._mended([motion], [text], [None], [1], TWO, [True]))
    assert np.array_equal(kept.joints, motion.joints)
    assert kept.notes[1:] == ("asked for and not measured on it: a person kicks with the left leg",)


def test_what_needs_no_mending_has_the_codes_that_were_drawn(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [first for _ in range(8) for first in np.unique(lm.vocab.begins, return_index=True)[1]]  # of each part one
    monkeypatch.setattr(lm, "_drawn", lambda *_, **__: _ended([Drawn(codes, None)]))
    _, kept = drained(lm.generating("a person moves", sampling=TWO))
    assert kept.tolist() == codes


def _ended(result: list[Drawn]) -> Generator[None, None, list[Drawn]]:
    yield
    return result


def test_what_is_done_otherwise_gives_way_to_what_is_asked_for() -> None:
    wanted = asked("a person walks forward and then kicks with the left leg")
    motion = poses(Part("walk", direction="forward"), Part("kick", side="right"))
    new, number = put_in(motion, wanted, 1, [poses(Part("clap", count=3)), poses(KICK)])
    assert number == 1 and verbs(new).count("kick") == 1
    assert as_asked(wanted[1], measure(splicing.joints_of(new)))


def test_a_text_that_asks_for_one_thing_gets_that_alone() -> None:
    new, number = put_in(poses(Part("walk", direction="forward")), asked("a person kicks"), 0, [kick := poses(KICK)])
    assert number == 0 and np.allclose(new, kick, atol=1e-4)


def test_of_acts_that_show_it_that_one_is_put_in_that_shows_little_else() -> None:
    wanted, walk = asked("a person kicks"), poses(Part("walk", direction="forward"))
    much = poses(Part("squat"), KICK, Part("clap", count=3))
    assert put_in(walk, wanted, 0, [much, poses(KICK)])[1] == 1


def test_what_is_told_is_told_of_the_motion_that_is_returned(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bones get their length at the end, by which a kick may be lost."""
    motion = Motion(splicing.joints_of(poses(Part("squat"))), 20.0)
    monkeypatch.setattr("motionllm.data.mending.mended", lambda *_: poses(KICK))
    monkeypatch.setattr(type(lm.motion_tokenizer.representation), "finished", lambda *_: motion)
    without = TWO.but(library=False)
    (made,) = drained(lm._mended([motion], ["a person kicks with the left leg"], [1.0], [1], without, [False]))
    assert made.notes == ("asked for and not measured on it: a person kicks with the left leg",)


def test_an_act_is_repeated_where_no_clip_shows_as_many_and_begins_and_ends_standing(lm: MotionLM) -> None:
    assert lm.library is not None
    excerpts = Excerpts(lm.library)
    (one,) = asked("a person kicks with the left leg twice")
    for excerpt in (found := excerpts.showing(one)):
        assert as_asked(one, measure(splicing.joints_of(excerpt.poses)))
        assert [splicing.apart(excerpt.poses[end], upright()) < 0.15 for end in (0, -1)] == [True, True]
        assert excerpt.poses[[0, -1], 5::3].min(1).max() < 0.05
    assert found


def test_poses_that_are_far_apart_are_not_joined() -> None:
    wanted = asked("a person lies down and then kicks with the left leg")
    lying = poses(Part("lie"))
    new, number = put_in(lying, wanted, 1, [poses(KICK)])
    assert new is lying and number is None


def test_nothing_is_put_in_where_nothing_helps() -> None:
    wanted = asked("a person walks forward and then kicks with the left leg")
    motion = poses(Part("walk", direction="forward"))
    assert put_in(motion, wanted, 1, []) == (motion, None)
    assert put_in(motion, wanted, 1, [poses(Part("clap", count=3))])[1] is None
    short = motion[:2]  # too short to be measured
    assert put_in(short, wanted, 1, [poses(KICK)])[0] is short
