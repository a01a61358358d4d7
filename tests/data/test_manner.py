"""What a text says of how something is done is found, and what is measured or says nothing is not."""

from __future__ import annotations

import pytest

from motionllm import corpus as builtin
from motionllm.data.manner import manners, unknown


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a person limps", ["limps"]),
        ("he walks like a zombie and waves", ["like a zombie"]),
        ("She walks forward SADLY, then sits", ["sadly"]),
        ("someone walks as if hurt", ["as if hurt"]),
        ("a drunk man staggers home", ["drunk", "staggers"]),
        ("a woman struts proudly", ["struts", "proudly"]),
        ("a person slowly walks forward and repeatedly waves", []),
        ("the family waves only briefly", []),
        ("a person looks like they turn", ["like they turn"]),
    ],
)
def test_manners_are_found(text: str, found: list[str]) -> None:
    assert manners(text) == found


def test_the_built_in_corpus_has_none_but_its_own() -> None:
    """Its captions say what is measured: hardly any says more."""
    captions = [caption for sample in builtin.corpus(300, seed=5) for caption in sample.captions]
    assert sum(bool(manners(caption)) for caption in captions) < 0.03 * len(captions)


@pytest.mark.parametrize("act", ["puts it on a shelf", "shrugs", "opens an umbrella", "is hammering a nail", "salutes"])
def test_acts_that_are_not_known_are_told(act: str) -> None:
    assert unknown(f"a person {act}") == [f"a person {act}"]
    for text in (f"a person walks forward and {act}", f"he kicks twice, then {act}", f"a man {act} while walking"):
        assert [clause.removeprefix("a man ") for clause in unknown(text)] == [act], text


def test_acts_that_are_known_and_rests_are_not() -> None:
    for number in range(60):
        for caption in builtin.sample(number).captions:
            assert unknown(caption) == [], caption
    for text in ("a person stands still", "walks, stops and goes on walking", "raises both arms and lowers them"):
        assert unknown(text) == []


@pytest.mark.parametrize(
    "act",
    (
        *("plays the guitar", "plays tennis", "hits a tennis serve", "swings a golf club", "is bowling", "swims"),
        *("dribbles a basketball", "plays the violin", "rows a boat", "skateboards", "washes the window"),
    ),
)
def test_sports_and_instruments_are_no_arms_that_move(act: str) -> None:
    assert unknown(f"a person {act}") == [f"a person {act}"]
    assert unknown(f"a person walks and then {act}") == [act]


@pytest.mark.parametrize(
    "act", ["swings the arms", "shakes the left hand", "waits for two seconds", "freezes", "pauses"]
)
def test_limbs_that_move_and_rests_are_known(act: str) -> None:
    assert unknown(f"a person {act}") == []
