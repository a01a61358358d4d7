"""Codes as tokens: ids, growth without shrinking, initialisation, tied and untied matrices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_base
from motionllm.language.vocab import MotionVocab, tied


def attached(base: Path, size: int = 32, init: str = "noise") -> tuple[object, object, MotionVocab]:
    model, tokenizer = load_base(base)
    vocab = MotionVocab.add(tokenizer, size, "hash")
    vocab.attach(model, init)
    return model, tokenizer, vocab


def test_codes_are_contiguous_and_survive_decoding(tiny_base: Path) -> None:
    _, tokenizer, vocab = attached(tiny_base)
    codes = np.array([0, 31, 7])
    ids = vocab.encode(codes)
    assert ids == [vocab.start_id, vocab.first_id, vocab.first_id + 31, vocab.first_id + 7, vocab.end_id]
    assert (vocab.decode(ids[1:-1]) == codes).all()
    # special=True would let skip_special_tokens delete the motion
    assert tokenizer.decode(ids, skip_special_tokens=True).count("<motion_") == 3  # type: ignore[attr-defined]


def test_ids_out_of_range_are_refused(tiny_base: Path) -> None:
    vocab = attached(tiny_base)[2]
    with pytest.raises(MotionLLMError):
        vocab.encode(np.array([32]))
    with pytest.raises(MotionLLMError):
        vocab.decode([vocab.end_id])


def test_tokens_are_added_once(tiny_base: Path) -> None:
    tokenizer = attached(tiny_base)[1]
    with pytest.raises(MotionLLMError, match="already"):
        MotionVocab.add(tokenizer, 32, "hash")


def test_spare_rows_are_used_and_never_lost(tiny_base_untied: Path) -> None:
    before = load_base(tiny_base_untied)[0]
    rows = before.get_input_embeddings().weight.shape[0]
    few = attached(tiny_base_untied, size=4)
    assert few[0].get_input_embeddings().weight.shape[0] == rows  # type: ignore[attr-defined]
    many = attached(tiny_base_untied, size=100)
    assert many[0].get_input_embeddings().weight.shape[0] == max(many[2].ids) + 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["tiny_base", "tiny_base_untied"])
def test_every_motion_row_is_initialised_and_no_text_row_touched(kind: str, request: pytest.FixtureRequest) -> None:
    base = request.getfixturevalue(kind)
    before = load_base(base)[0]
    model, _, vocab = attached(base)
    for get in ("get_input_embeddings", "get_output_embeddings"):
        old, new = getattr(before, get)().weight, getattr(model, get)().weight
        assert torch.equal(old[: vocab.text_size], new[: vocab.text_size])
        spread = old[: vocab.text_size].std(0).mean().detach()
        rows = new[vocab.ids].detach()
        assert rows.std(0).mean() == pytest.approx(spread.item(), rel=0.3)
        assert torch.cdist(rows, rows)[~torch.eye(len(rows), dtype=torch.bool)].min() > spread


def test_rows_that_start_from_words_lean_towards_them(tiny_base: Path) -> None:
    model, tokenizer = load_base(tiny_base)
    vocab = MotionVocab.add(tokenizer, 32, "hash")
    words = [5, 9]
    association = torch.zeros(32, 2)
    association[:16, 0], association[16:, 1] = 1.0, 1.0
    vocab.attach(model, "words", words=(words, association))
    weight = model.get_input_embeddings().weight.detach()
    old, rows = weight[: vocab.text_size], weight[vocab.ids[2:]]
    directions = (old[words] - old.mean(0)) / old.std(0)
    leaning = ((rows - old.mean(0)) / old.std(0)) @ directions.T
    assert (leaning[:16, 0] > leaning[:16, 1]).all()
    assert (leaning[16:, 1] > leaning[16:, 0]).all()
    assert len({tuple(row.tolist()) for row in rows}) == 32  # codes stay apart


def test_the_grammar_lets_parts_take_turns() -> None:
    vocab = MotionVocab(100, 6, 98, 99, "hash", 98, parts=2)
    assert vocab.allowed(0).tolist() == vocab.allowed(2).tolist() == [True, *[True] * 3, *[False] * 3]
    assert vocab.allowed(1).tolist() == [False, *[False] * 3, *[True] * 3]


def test_mean_rows_are_near_identical(tiny_base: Path) -> None:
    model, _, vocab = attached(tiny_base, init="mean")
    assert model.get_input_embeddings().weight[vocab.ids].std(0).max() < 1e-6  # type: ignore[attr-defined]


def test_trainable_form_follows_the_model(tiny_base: Path, tiny_base_untied: Path) -> None:
    model, _, vocab = attached(tiny_base)
    assert tied(model) and vocab.trainable(model) == vocab.ids
    model, _, vocab = attached(tiny_base_untied)
    assert not tied(model) and vocab.trainable(model) == {"embed_tokens": vocab.ids, "lm_head": vocab.ids}


def test_saved_and_loaded(tiny_base: Path, tmp_path: Path) -> None:
    vocab = attached(tiny_base)[2]
    vocab.save(tmp_path)
    assert MotionVocab.load(tmp_path) == vocab
    (tmp_path / "motion_vocab.json").write_text("{")
    with pytest.raises(MotionLLMError, match="damaged"):
        MotionVocab.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parts", 0),
        ("parts", 3),
        ("parts", 10**9),
        ("parts", 2.0),
        ("size", 10**9),
        ("size", "32"),
        ("size", -1),
        ("size", None),
        ("first_id", 0),
        ("first_id", -5),
        ("first_id", 2**40),
        ("start_id", 2.5),
        ("end_id", True),
        ("text_size", 10**12),
        ("end_id", 381),
        ("start_id", 390),
        ("tokenizer_hash", 5),
        ("base", [1]),
    ],
)
def test_a_damaged_vocabulary_is_refused(tiny_base: Path, tmp_path: Path, field: str, value: object) -> None:
    attached(tiny_base)[2].save(tmp_path)
    path = tmp_path / "motion_vocab.json"
    plain = json.loads(path.read_text())
    assert plain["format"] == 1
    if field == "end_id" and value == 381:
        value = plain["start_id"]
    path.write_text(json.dumps(plain | {field: value}))
    with pytest.raises(MotionLLMError, match=r"motion_vocab\.json is damaged"):
        MotionVocab.load(tmp_path)


def test_ids_that_do_not_follow_the_base_s_are_refused(tiny_base: Path) -> None:
    model, tokenizer = load_base(tiny_base)
    start = len(tokenizer) + 10**6  # type: ignore[arg-type]
    with pytest.raises(MotionLLMError, match="do not follow the base's"):
        MotionVocab(start + 2, 32, start, start + 1, "hash", len(tokenizer)).attach(model)  # type: ignore[arg-type]
