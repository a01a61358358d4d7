"""Associations of codes and words: what goes together is found, what is independent is 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motionllm.data.clips import Clip
from motionllm.data.meaning import associations
from motionllm.language.bases import load_base_tokenizer
from motionllm.samples import Sample


def clip(codes: list[int], *captions: str) -> Clip:
    return Clip(Sample(id="x", load=lambda: np.zeros((4, 263)), captions=list(captions)), np.array(codes))


def test_codes_go_with_the_words_of_their_clips(tiny_base: Path) -> None:
    tokenizer = load_base_tokenizer(tiny_base)
    clips = [clip([0, 2], "left"), clip([0, 2], "left"), clip([1, 2], "right"), clip([1, 2], "right")]
    ids, strength = associations(clips, tokenizer, 4)
    left = set(tokenizer.encode(" left")) - set(tokenizer.encode(" right"))
    columns = [ids.index(token) for token in left]
    assert strength.shape == (4, len(ids))
    assert (strength[0, columns] > 0).all() and (strength[1, columns] < 0).all()
    assert np.allclose(strength[2], 0, atol=1e-6)  # beside either word as often
    assert (strength[3] == 0).all()  # never seen


def test_clips_without_words_give_none(tiny_base: Path) -> None:
    ids, strength = associations([clip([0, 1])], load_base_tokenizer(tiny_base), 4)
    assert ids == [] and strength.shape == (4, 0)
