"""Rests in texts are found whatever their words, with their seconds, and belong to the right act."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm.data.asked import asked
from motionllm.data.rests import USUAL, rests
from motionllm.numerals import NUMBERS

PAUSES = ("waits", "pauses", "stops", "freezes", "rests", "stands still", "stays still", "stands there", "halts")
ACTS = {"waves": "wave", "kicks": "kick", "claps": "clap", "jumps": "jump", "turns around": "turn", "bows": "bow"}
HELD = {"squats": "squat", "bows": "bow", "kneels down": "kneel", "raises both arms": "reach up", "sits down": "sit"}


@pytest.mark.parametrize("pause", PAUSES)
def test_a_rest_is_before_what_follows_and_its_seconds_are_its_own(pause: str) -> None:
    random = np.random.default_rng(len(pause))
    for number in (1, 2, 3, 4, 7):
        one, two = random.choice(list(ACTS), 2, replace=False)
        said = random.choice([str(number), NUMBERS[number]])
        seconds = f"{said} second{'s' * (number > 1)}"
        led = f"for {seconds} {pause}" if pause != "stands there" else f"{pause} for {seconds}"
        for text in (
            f"a person {one}, {pause} for {seconds} and then {two}",
            f"a person {one}, then {pause} for about {seconds}, then {two}",
            f"a man {one}. He {pause} for {seconds}. He {two}.",
            f"a person {one} and {led}, then {two}",
        ):
            first, second = asked(text)
            assert (first.verbs[0], second.verbs[0]) == (ACTS[one], ACTS[two]), text
            assert not first.rests and [(x.seconds, x.where, x.stated) for x in second.rests] == [
                (number, "before", True)
            ], text
            assert not (first.seconds or second.seconds or second.count or first.count), text
        alone = asked(f"a person {pause} for {seconds} and then {two}")
        assert [one.rests[0].seconds for one in alone] == [number]
        last = asked(f"a person {one} and then {pause} for {seconds}")
        assert [(x.seconds, x.where) for one in last for x in one.rests] == [(number, "after")]
    (_, second) = asked(f"a person {one}, {pause}, then {two}")
    assert [(x.seconds, x.stated) for x in second.rests] == [(USUAL, False)]


@pytest.mark.parametrize(
    ("text", "seconds", "where"),
    [
        ("a person kicks after waiting two seconds", 2, "before"),
        ("a person kicks after a three second pause", 3, "before"),
        ("a person kicks, takes a break of 4 seconds and claps", 4, "before"),
        ("after a pause of 2.5 seconds, he kicks", 2.5, "before"),
        ("he waits half a second and kicks", 0.5, "before"),
        ("he waits a few seconds and kicks", 3, "before"),
        ("he stands there for a while and then sits", 2, "before"),
        ("a person stops walking and waves", 1, "before"),
        ("a person walks forward, comes to a stop, and walks again", 1, "before"),
        ("a person crouches, waits two seconds, then stands up", 2, "held"),
        ("a person bows, waits two seconds, then straightens up", 2, "held"),
        ("he raises both arms, pauses and lowers them", 1, "held"),
        ("he raises the left leg, waits for two seconds and puts it down", 2, "held"),
        ("a person crouches, waits 2 seconds and jumps", 2, "held"),
    ],
)
def test_a_rest_as_people_say_it(text: str, seconds: float, where: str) -> None:
    assert [(x.seconds, x.where) for one in asked(text) for x in one.rests] == [(seconds, where)]


@pytest.mark.parametrize("act", HELD)
def test_a_pose_is_held(act: str) -> None:
    for number in (2, 3, 5):
        for text in (
            f"a person {act} for {number} seconds",
            f"a person {act} and holds it for {NUMBERS[number]} seconds, then waves",
            f"a person {act}, holds the pose for {number} seconds and waves",
            f"a person {act}, stays like that for {number} seconds, and waves",
            f"a person {act}, stays there for {number} seconds, and then gets up",
        ):
            first = asked(text)[0]
            assert first.verbs[0] == HELD[act]
            held = [(x.seconds, x.where, x.stated) for x in first.rests]
            if "gets up" in text and HELD[act] in ("sit", "kneel"):
                held = [(x.seconds, "held", x.stated) for one in asked(text) for x in one.rests]
            assert held == [(number, "held", True)], text
    (squat,) = asked("a person holds a squat for four seconds")
    assert [x.where for x in squat.rests] == ["held"] and squat.count == 1


def test_two_walks_with_a_stop_between_them_are_two() -> None:
    for again in ("walks again", "walks on", "continues walking", "walks some more"):
        first, second = asked(f"a person walks, stops, {again}")
        assert first.verbs[0] == second.verbs[0] == "walk" and not first.rests and second.rests
    assert len(asked("a person walks and walks")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a person stands still and waves",
        "a person claps while standing still",
        "a person stands still, waving",
        "a person stands on one leg for five seconds",
        "a person stops the ball",
        "a person rests his hands on his hips",
        "a person walks without stopping",
        "the waiter walks",
        "a person who is standing slowly moves backwards as he takes twelve steps",
        "a person holds a box",
        "a person never stops and runs",
        "a person doesn't stop and runs",
    ],
)
def test_what_is_no_rest(text: str) -> None:
    assert rests(f" {text} ") == [] or not any(one.rests for one in asked(text))


def test_an_act_has_its_own_seconds_beside_those_of_a_rest() -> None:
    first, second = asked("a person walks for 5 seconds, stops for 2 seconds, then walks for 3 seconds")
    assert (first.seconds, second.seconds, second.rests[0].seconds) == (5, 3, 2)
