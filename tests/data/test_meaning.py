"""Associations of codes and words: what goes together is found, what is independent is 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from motionllm.data.clips import Clip
from motionllm.data.meaning import associations, carried, same_times
from motionllm.language.bases import load_base_tokenizer
from motionllm.samples import Sample
from motionllm.tokenizer import MotionTokenizer


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


def test_codes_of_two_motion_tokenizers_meet_at_the_same_times(tiny_tokenizer: Path) -> None:
    own = MotionTokenizer.load(tiny_tokenizer)
    codes = own.encode(np.random.default_rng(1).normal(size=(48, 263)).astype(np.float32))
    heard = own.encode(own.decode_features(codes))
    table = same_times([clip(codes.tolist())], own, own)
    assert table is not None and table.sum() == len(codes)
    for code, other in zip(codes, heard, strict=True):
        assert table[code, other] > 0
    half = own.config.codes
    assert (table[:half, half:] == 0).all() and (table[half:, :half] == 0).all()
    assert same_times([clip(codes.tolist()), clip([])][:1] * 5, own, own, limit=2).sum() == 2 * len(codes)  # type: ignore[union-attr]


def test_another_tokenizers_steps_are_met_by_their_time(tiny_tokenizer: Path) -> None:
    own = MotionTokenizer.load(tiny_tokenizer)
    slow = MotionTokenizer(own.config.model_copy(update={"down": 8, "split": "none"}), own.mean, own.std)
    codes = own.encode(np.random.default_rng(1).normal(size=(48, 263)).astype(np.float32))
    heard = slow.encode(own.decode_features(codes))
    table = same_times([clip(codes.tolist())], own, slow)
    assert table is not None and table.sum() == len(codes) * slow.parts
    for place, code in enumerate(codes):
        assert table[code, heard[place // own.parts // 2 * slow.parts]] > 0


def test_rows_are_carried_to_the_codes_they_occur_with() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, begun = torch.randn(6, 64, generator=generator) + 3, torch.randn(4, 64, generator=generator)
    table = torch.zeros(4, 6)
    table[0, 1], table[1, 2], table[1, 3] = 5, 2, 2
    made = carried(begun, rows, table)
    middle = rows.mean(0)

    def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.nn.functional.cosine_similarity(a - middle, b - middle, dim=0))

    assert cosine(made[0], rows[1]) > 0.8 and abs(cosine(made[0], rows[2])) < 0.6
    assert cosine(made[1], (rows[2] + rows[3]) / 2) > 0.8
    assert torch.equal(made[2:], begun[2:])  # never seen
