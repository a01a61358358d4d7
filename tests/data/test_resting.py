"""Rests are put into motions where they belong, as long as they are asked for, and leave all else as it was."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.data.asked import asked, share
from motionllm.data.mending import measured
from motionllm.data.resting import CALM, fastest, rested, unrested
from motionllm.motion import splicing

ACTS = {
    "waves with the left hand three times": ("wave", {"side": "left", "count": 3}),
    "claps three times": ("clap", {"count": 3}),
    "kicks with the right leg": ("kick", {"side": "right"}),
    "walks forward": ("walk", {"direction": "forward"}),
    "jumps": ("jump", {}),
    "bows": ("bow", {}),
    "squats": ("squat", {}),
}


def poses(act: str) -> np.ndarray:
    action, how = ACTS[act]
    return splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part(action, **how),)), 1))  # type: ignore[arg-type]


def longest_calm(motion: np.ndarray, first: float = 0.0, last: float = np.inf) -> float:
    """Seconds of the longest stretch between two seconds in which the body is still."""
    calm = fastest(motion) <= CALM
    seconds = np.arange(len(motion)) / splicing.FPS
    best = now = 0
    for still, second in zip(calm, seconds, strict=True):
        now = now + 1 if still and first <= second <= last else 0
        best = max(best, now)
    return best / splicing.FPS


def between(motion: np.ndarray, verbs: list[str]) -> tuple[float, float]:
    notation = measured(motion)
    assert notation is not None
    one, two = (next(line for line in notation.lines if line.verb == verb) for verb in verbs)
    return one.end - 0.3, two.start + 0.3


@pytest.mark.parametrize("pair", [*pairwise(ACTS), *pairwise(reversed(ACTS))])
def test_a_rest_between_two_acts(pair: tuple[str, str]) -> None:
    motion = splicing.joined([poses(act) for act in pair])
    for seconds in (2, 4):
        wanted = asked(f"a person {pair[0]}, waits for {seconds} seconds and then {pair[1]}")
        shows = share(wanted, measured(motion))  # type: ignore[arg-type]
        new = rested(motion, wanted)
        notation = measured(new)
        assert notation is not None and share(wanted, notation) >= shows
        verbs = [one.verbs[0] for one in wanted]
        assert longest_calm(new, *between(new, verbs)) == pytest.approx(seconds, rel=0.26)
        assert unrested(new, wanted, verbs) == [] and rested(new, wanted) is new
        if seconds == 4:
            assert unrested(motion, wanted, verbs) == [f"a rest of 4 seconds before: {verbs[1]}"]


def test_a_rest_that_is_too_long_is_made_shorter() -> None:
    clap = poses("claps three times")
    motion = splicing.joined([splicing.held(clap[0], 140), clap])
    new = rested(motion, asked("a person stands still for two seconds and then claps three times"))
    assert longest_calm(new) == pytest.approx(2, abs=0.5) and len(motion) - len(new) > 80


@pytest.mark.parametrize("act", ["squats", "bows"])
def test_a_pose_is_held_where_it_is_farthest(act: str) -> None:
    motion, wanted = poses(act), asked(f"a person {act}, holds it for five seconds and stands up")
    new = rested(motion, wanted)
    assert unrested(new, wanted, [act]) == [] and len(new) - len(motion) > 70
    still = np.flatnonzero(fastest(new) <= CALM)
    middle = new[still[len(still) // 2]]
    apart = [splicing.apart(pose, middle) for pose in motion]
    assert min(apart) < 0.05 and apart[0] > 0.1 and apart[-1] > 0.1


def test_who_walks_and_stops_and_walks_on_stands_in_between() -> None:
    walk = poses("walks forward")
    for length in (len(walk), 2 * len(walk)):
        motion = splicing.lengthened(walk, length - len(walk), 0, len(walk)) if length > len(walk) else walk
        wanted = asked("a person walks, stops, and walks again")
        new = rested(motion, wanted)
        notation = measured(new)
        assert notation is not None and [line.verb for line in notation.lines].count("walk") == 2, notation
        assert unrested(new, wanted, ["", ""]) == []


def test_a_fixed_duration_is_kept() -> None:
    motion = splicing.joined([poses("claps three times"), poses("kicks with the right leg")])
    wanted = asked("a person claps, waits for a second and then kicks with the right leg")
    new = rested(motion, wanted, fixed=True)
    assert len(new) == len(motion)


def test_what_asks_for_no_rest_is_left_alone() -> None:
    for act in ACTS:
        motion = poses(act)
        assert rested(motion, asked(f"a person {act}")) is motion
    motion = poses("bows")
    wanted = asked("a person waits for 45 seconds and bows")
    assert rested(motion, wanted) is motion and unrested(motion, wanted, ["a person bows"]) == [
        "a rest of 45 seconds before: a person bows"
    ]
    assert unrested(motion[:3], wanted, [""]) == []
