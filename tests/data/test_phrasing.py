"""Labels made into sentences: of labels put together by chance, and of some as data sets have them."""

import numpy as np
import pytest

from motionllm.data.phrasing import SUBJECTS, is_label, sentences_of

VERBS = {
    "crawl": "crawls",
    "turn around": "turns around",
    "carry box": "carries a box",
    "sit down": "sits down",
    "reach for": "reaches for",
    "wash windows": "washes windows",
    "swing": "swings",
}
NOUNS = {
    "cartwheel": "does a cartwheel",
    "jumping jacks": "does jumping jacks",
    "arabesque": "does an arabesque",
    "swordplay": "does swordplay",
    "side twists": "does side twists",
}
MODIFIED = {
    "slow walk": "walks slowly",
    "forward jump": "jumps forward",
    "salsa dance": "dances salsa",
    "front kick": "does a front kick",
    "45-degree right turn": "turns right 45 degrees",
}
KNOWN = VERBS | NOUNS | MODIFIED


@pytest.mark.parametrize("seed", range(40))
def test_lists_of_labels_become_clauses_in_their_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = rng.choice(list(KNOWN), int(rng.integers(1, 5)), replace=False).tolist()
    label = ", ".join(items)
    label = label.title() if seed % 3 == 0 else label
    assert is_label(label)
    told = sentences_of(label)
    assert len(set(told)) == len(told) >= 2
    for text in told:
        assert text.startswith(SUBJECTS) and not is_label(text)
        places = [text.index(KNOWN[item]) for item in items]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("run/jog", "a person runs"),
        ("Run Quick Stop Run", "a person runs, stops quickly and runs"),
        ("walk to run", "a person walks and runs"),
        ("tennis - hit ball", "a person hits a ball"),
        ("dance - spin, arms held high", "a person dances and spins with arms held high"),
        ("tiger (human subject)", "a person acts like a tiger"),
        ("jump up and down", "a person jumps up and down"),
        ("walks in a circle", "a person walks in a circle"),
        ("walking in a circle.", "a person is walking in a circle"),
        ("climb 4 stairs", "a person climbs 4 stairs"),
        ("Kata", "a person does a kata"),
    ],
)
def test_labels_of_data_sets(label: str, sentence: str) -> None:
    assert sentences_of(label)[0] == sentence


def test_slashed_words_are_two_ways_to_say_it() -> None:
    assert sentences_of("run/jog, stop")[:2] == ["a person runs and stops", "someone jogs and then stops"]


@pytest.mark.parametrize(
    "text",
    ["a person walks", "he sits down", "the figure waves", "someone is dancing", "The body bends over", "", "..."],
)
def test_sentences_are_no_labels(text: str) -> None:
    assert not is_label(text) or sentences_of(text) == [text]
