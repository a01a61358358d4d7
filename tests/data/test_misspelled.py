"""Slips of the keyboard made by chance in captions are undone, and words that are right stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm import corpus
from motionllm.data.misspelled import respelled, words_of


def _slipped(word: str, random: np.random.Generator) -> str:
    i, kind = int(random.integers(1, len(word) - 1)), random.integers(3)
    if kind == 0:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return word[:i] + word[i + 1 :] if kind == 1 else word[:i] + word[i] + word[i:]


@pytest.mark.parametrize("seed", range(5))
def test_slips_are_undone(seed: int) -> None:
    random, right, all_of_them = np.random.default_rng(seed), 0, 0
    for number in range(40):
        caption = corpus.sample(number).captions[0].lower()
        long = [word for word in words_of(caption) if len(word) >= 5]
        if long:
            word = str(random.choice(long))
            text = caption.replace(word, _slipped(word, random))
            all_of_them += 1
            right += respelled(text, (), lambda _: False) == caption
            assert respelled(text, (), lambda _: True) == text  # of words that exist
        assert respelled(caption, (), lambda _: False) == caption
    assert right >= 0.85 * all_of_them  # some words are a slip apart


def test_only_slips_of_known_words_are_undone() -> None:
    assert respelled("A man wlaks foward and waevs", (), lambda _: False) == "A man walks forward and waves"
    for text in ("a person wakes up", "he talks", "moonwalks", "a persn", "xyzzy"):
        assert respelled(text, (), lambda word: word == "persn") == text
    assert respelled("moonwlaks", ("moonwalks",), lambda _: False) == "moonwalks"
