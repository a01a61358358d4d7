"""Generated motions set right: they have the side, way, count and degrees that their text states, and are no worse."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.data.asked import Asked, asked, share
from motionllm.data.mending import ample, brisk, lacking, mended, missing, put_in, sentence
from motionllm.motion import splicing
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure


def poses(action: str, **how: object) -> np.ndarray:
    spec = builtin.Spec((builtin.Part(action, **how),))  # type: ignore[arg-type]
    return splicing.poses_of(builtin.joints(spec, 1))


def measured(motion: np.ndarray) -> Notation:
    return measure(splicing.joints_of(motion))


@pytest.mark.parametrize(
    ("text", "motion"),
    [
        ("a person waves with the right hand", poses("wave", side="left", count=3)),
        ("a person waves with the left hand five times", poses("wave", side="left", count=3)),
        ("someone kicks with the left leg", poses("kick", side="right")),
        ("the person claps six times", poses("clap", count=3)),
        ("a man walks backward", poses("walk", direction="forward")),
        ("a woman turns to the right", poses("turn", direction="left")),
        ("a man walks for 8 seconds", poses("walk", direction="forward")),
        ("a man walks 8 meters", poses("walk", direction="forward")),
        ("a person waves for six seconds", poses("wave", side="left", count=3)),
    ],
)
def test_what_a_text_states_is_set_right(text: str, motion: np.ndarray) -> None:
    wanted = asked(text)
    assert share(wanted, measured(motion)) < 1
    new = mended(motion, wanted)
    assert share(wanted, measured(new)) == 1, measured(new)
    again = mended(new, wanted)
    assert again is new


def test_a_fixed_duration_is_kept() -> None:
    motion = poses("wave", side="right", count=3)
    wanted = asked("a person waves with the left hand four times")
    new = mended(motion, wanted, fixed=True)
    assert len(new) == len(motion) and share(wanted, measured(new)) > share(wanted, measured(motion))


def test_nothing_gets_worse_and_what_is_right_is_left_alone() -> None:
    samples = builtin.corpus(60, seed=21)
    changed = 0
    for sample, other in zip(samples, samples[1:] + samples[:1], strict=True):
        motion, wanted = splicing.poses_of(features_to_joints(sample.load())), asked(other.captions[0])
        before, new = share(wanted, measured(motion)), mended(motion, wanted)
        after = share(wanted, measured(new))
        assert after >= before and (new is motion) == (after == before)
        changed += after > before
    assert changed > 3
    assert mended(motion, []) is motion


def test_only_the_act_has_the_pace_that_is_asked_for() -> None:
    motion = splicing.joined([poses("walk", direction="forward"), poses("squat")])
    wanted = asked("a person walks forward and then squats slowly")
    new = mended(motion, wanted)
    assert share(wanted, measured(new)) == 1
    walks = [next(line for line in measured(one).lines if line.verb == "walk") for one in (motion, new)]
    assert walks[1].speed == pytest.approx(walks[0].speed, abs=0.2)
    assert walks[1].end - walks[1].start == pytest.approx(walks[0].end - walks[0].start, abs=0.3)


def test_what_is_done_in_another_order_is_exchanged() -> None:
    wanted = asked("a person kicks with the right leg and then bows")
    motion = splicing.joined([poses("bow"), poses("kick", side="right")])
    new = mended(motion, wanted)
    assert lacking(motion, wanted) == ["kick before bow"] and lacking(new, wanted) == []
    assert share(wanted, measured(motion)) < share(wanted, measured(new)) == 1


def test_what_is_missing_is_put_in_where_it_belongs() -> None:
    wanted = asked("a person claps three times, then kicks with the right leg, and then bows")
    assert [one.verbs[0] for one in wanted] == ["clap", "kick", "bow"]
    clap, kick, bow = poses("clap", count=3), poses("kick", side="right"), poses("bow")
    for index, (rest, more) in enumerate((([kick, bow], clap), ([clap, bow], kick), ([clap, kick], bow))):
        motion = splicing.joined(rest)
        assert missing(motion, wanted) == [index]
        new, _ = put_in(motion, wanted, index, [more])
        order = [line.verb for line in measured(new).lines if line.verb in ("clap", "kick", "bow")]
        assert order == ["clap", "kick", "bow"]
    # What does not help is left out.
    assert put_in(motion, wanted, 2, [clap]) == (motion, None)


@pytest.mark.parametrize("text", ["a person walks while waving", "while waving the left hand, he walks"])
def test_what_is_to_be_done_at_the_same_time_is(text: str) -> None:
    wanted = asked(text)
    wave, walk = poses("wave", side="left", count=4), poses("walk", direction="forward")
    for motion, more in ((walk, wave), (splicing.joined([wave, walk]), wave), (wave, walk)):
        index = next(i for i, one in enumerate(wanted) if one.verbs[0] == ("wave" if more is wave else "walk"))
        new, taken = put_in(motion, wanted, index, [more])
        assert taken == 0 and share(wanted, measured(new)) == 1, measured(new)
    apart = splicing.joined([wave, walk])
    assert missing(apart, wanted) == [1] and lacking(apart, wanted) == [f"{sentence(wanted[1])} at the same time"]


@pytest.mark.parametrize("text", ["a person waves with the right hand three times", "he turns around to the left"])
def test_a_thing_has_a_sentence_of_its_own(text: str) -> None:
    (one,) = asked(text)
    (again,) = asked(sentence(one))
    assert (again.verbs[0], again.side, again.count) == (one.verbs[0], one.side, one.count)
    assert isinstance(again, Asked) and again.way == one.way


@pytest.mark.parametrize(
    ("text", "not_there"),
    [
        ("a person waves with the left hand", []),
        ("a person waves with the right hand", ["a person waves with the right hand"]),
        ("a person waves, then kicks with the right leg", ["a person kicks with the right leg"]),
        ("a person waves for 9 seconds", ["a person waves for 9 seconds"]),
        ("a person waves and walks 3 m", ["a person walks 3 metres"]),
        ("a person moves", []),
        ("a person does something unheard of", []),
    ],
)
def test_what_is_asked_for_and_not_there_is_told(text: str, not_there: list[str]) -> None:
    assert lacking(poses("wave", side="left"), asked(text)) == not_there
    assert lacking(poses("wave", side="left")[:2], asked(text)) == []  # too short to be measured


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a person kicks with the left leg", False),
        ("a person kicks, gets up and stands", False),
        ("a person kicks and then waits", True),
        ("a person kicks, then stays still for 5 seconds", True),
        ("a person moves", True),  # nobody knows how long
    ],
)
def test_time_in_which_nothing_is_done_is_left_out_at_both_ends(text: str, kept: bool) -> None:
    kick = poses("kick", side="left")
    motion = splicing.joined([splicing.held(kick[0], 60), kick, splicing.held(kick[-1], 80)])
    new = brisk(motion, text, [] if kept else asked(text))
    assert (brisk(motion, text, asked(text)) is motion) or not kept
    if not kept:
        assert len(new) < len(kick) + 40
        assert [line.verb for line in measured(new).lines] == [line.verb for line in measured(motion).lines]


def test_time_in_which_something_is_done_that_no_event_describes_is_kept() -> None:
    kick = poses("kick", side="left")
    dance = splicing.held(kick[-1], 80)
    dance[:, 4::3] += 0.08 * np.sin(np.arange(80) / 3)[:, None]  # the whole body sways over the pelvis
    motion = splicing.joined([kick, dance])
    assert [line.verb for line in measured(motion).lines] == [line.verb for line in measured(kick).lines]
    text = "a person kicks and dances"
    assert brisk(motion, text, asked(text)) is motion


@pytest.mark.parametrize("gait", ["run", "walk"])
def test_a_gait_of_a_step_or_two_goes_on_before_something_else(gait: str) -> None:
    whole, jump = poses(gait, direction="forward"), poses("jump")
    brief = splicing.joined([whole[12:34], jump])
    verb = {"run": "runs", "walk": "walks"}[gait]
    for text in (f"a person {verb} and then jumps", f"a person {verb} forward and jumps"):
        new = ample(brief, asked(text))
        lasts = [next(x.end - x.start for x in measured(one).lines if x.verb == gait) for one in (brief, new)]
        assert lasts[1] > lasts[0] + 0.3
    for text in (f"a person {verb}", f"a person {verb} for 1 second and then jumps", "a person jumps"):
        assert ample(brief, asked(text)) is brief


def test_who_is_to_go_on_after_a_turn_does() -> None:
    wanted = asked("a person walks forward, turns around and walks back")
    walk, turn = poses("walk", direction="forward"), poses("turn_around", direction="left")
    motion = splicing.joined([walk, turn])
    assert missing(motion, wanted) == [2] and lacking(motion, wanted)[0] == "a person walks"
    new, _ = put_in(motion, wanted, 2, [walk])
    assert missing(new, wanted) == [] and [x.verb for x in measured(new).lines if x.verb in ("walk", "turn")] == [
        "walk",
        "turn",
        "walk",
    ]
    again, _ = put_in(splicing.joined([walk, walk]), wanted, 1, [turn])  # in the middle of the walk
    assert missing(again, wanted) == []


@pytest.mark.parametrize("way", ["left", "right"])
@pytest.mark.parametrize("text", ["walks sideways to the {}", "strafes {}", "sidesteps to the {}", "moves {} sideways"])
def test_who_goes_sideways_steps_to_the_side(text: str, way: str) -> None:
    wanted = asked(f"a person {text.format(way)}")
    other = "right" if way == "left" else "left"
    steps = poses("sidestep", direction=way, count=4)
    assert missing(steps, wanted) == [] == lacking(steps, wanted)
    for wrong in (poses("walk", direction="forward"), poses("walk", direction=way), poses("sidestep", direction=other)):
        assert missing(wrong, wanted) == [0]
        assert lacking(wrong, wanted)[0].endswith(f"to the {way}")
