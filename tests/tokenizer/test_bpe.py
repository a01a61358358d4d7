"""Motion BPE: lossless, shorter, and obeyed by vocabulary, loss and decoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionllm.config import Recipe
from motionllm.errors import MotionLLMError
from motionllm.language.vocab import BPE_FILE, MotionVocab
from motionllm.lm import decoding
from motionllm.lm.decoding import Request
from motionllm.lm.loss import cross_entropy
from motionllm.lm.model import MotionLM
from motionllm.lm.sampling import Sampling
from motionllm.tokenizer.bpe import MotionBPE
from motionllm.training.train import train


def sequences(count: int = 200, size: int = 40) -> list[np.ndarray]:
    """Code sequences of two parts that repeat a few phrases."""
    rng = np.random.default_rng(0)
    offset = np.array([0, size // 2])
    phrases = [rng.integers(size // 2, size=(rng.integers(2, 5), 2)) + offset for _ in range(12)]
    return [np.concatenate([phrases[i] for i in rng.integers(12, size=8)]).flatten() for _ in range(count)]


@pytest.fixture(scope="module")
def bpe() -> MotionBPE:
    return MotionBPE.train(sequences(), 40, 60)


def test_every_sequence_comes_back_and_is_shorter(bpe: MotionBPE) -> None:
    rng = np.random.default_rng(1)
    for codes in sequences():
        pieces = bpe.encode(codes)
        assert np.array_equal(bpe.decode(pieces), codes)
        assert len(pieces) < 0.6 * len(codes)
    for _ in range(50):  # also what was never seen, every code among it
        codes = rng.permutation(40)
        assert np.array_equal(bpe.decode(bpe.encode(codes)), codes)
    assert len(bpe.encode(np.array([], np.int64))) == 0


def test_pieces_begin_with_the_codes(bpe: MotionBPE) -> None:
    assert bpe.pieces[:40] == [(c,) for c in range(40)]
    assert len(bpe.pieces) == 100
    assert all(len(piece) > 1 for piece in bpe.pieces[40:])
    again = MotionBPE(bpe.proto, 40)
    assert again.pieces == bpe.pieces


def test_what_cannot_be_learned_or_read_is_refused(bpe: MotionBPE) -> None:
    with pytest.raises(MotionLLMError, match="ask for fewer"):
        MotionBPE.train([np.array([0, 1, 2])], 4, 500)
    with pytest.raises(MotionLLMError, match="outside"):
        bpe.encode(np.array([40]))
    with pytest.raises(MotionLLMError, match="damaged"):
        MotionBPE(b"no model", 40)


class _Words:
    """As much of a Hugging Face tokenizer as a vocabulary needs."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def __len__(self) -> int:
        return 100 + len(self.ids)

    def add_tokens(self, names: list[str], special_tokens: bool) -> int:
        self.ids |= {name: 100 + i for i, name in enumerate(names)}
        return len(names)

    def convert_tokens_to_ids(self, names: str | list[str]) -> int | list[int]:
        return self.ids[names] if isinstance(names, str) else [self.ids[n] for n in names]


def test_the_vocabulary_knows_the_pieces(bpe: MotionBPE, tmp_path: Path) -> None:
    vocab = MotionVocab.add(_Words(), 40, "hash", 2, bpe)
    codes = sequences(1)[0]
    ids = vocab.encode(codes)
    assert (ids[0], ids[-1]) == (vocab.start_id, vocab.end_id)
    assert len(ids) < len(codes)
    assert np.array_equal(vocab.decode(ids[1:-1]), codes)
    place = 0
    for id_ in ids[1:-1]:
        assert vocab.allowed(place)[1 + id_ - vocab.first_id]
        place += len(vocab.pieces[id_ - vocab.first_id])
    assert vocab.allowed(place)[0]
    vocab.save(tmp_path)
    again = MotionVocab.load(tmp_path)
    assert again == vocab and again.pieces == vocab.pieces
    (tmp_path / BPE_FILE).write_bytes(b"")
    with pytest.raises(MotionLLMError, match="damaged"):
        MotionVocab.load(tmp_path)


@pytest.fixture(scope="module")
def merged(
    tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory
) -> MotionLM:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    recipe.model.bpe = 20
    run = tmp_path_factory.mktemp("bpe") / "run"
    train(recipe, run)
    return MotionLM.load(run)


def test_a_model_with_merged_tokens_generates_exact_lengths(merged: MotionLM) -> None:
    assert len(merged.vocab.pieces) == merged.vocab.size + 20
    hot = Sampling(temperature=1.5, top_p=1.0)
    for steps in (1, 3, 10):
        made = decoding.motions(merged.model, merged.vocab, [Request([1, 2, 3], steps, steps)] * 12, hot, seed=0)
        assert {len(codes) for codes in made} == {steps * merged.vocab.parts}
        for codes in made:
            merged.motion_tokenizer.check(codes)
    made = decoding.motions(merged.model, merged.vocab, [Request([1, 2, 3], 2, 9)] * 12, hot, seed=1)
    assert all(2 <= len(codes) // merged.vocab.parts <= 9 for codes in made)
    assert isinstance(merged.caption(merged.generate("a person walks", seconds=1.0, seed=0)), str)


def test_the_loss_is_over_the_pieces_that_may_follow(merged: MotionLM) -> None:
    vocab = merged.vocab
    torch.manual_seed(0)
    hidden = torch.randn(1, 3, merged.model.config.hidden_size)
    merged_piece = vocab.first_id + vocab.size
    targets = torch.tensor([[merged_piece, vocab.first_id + vocab.size // 2, vocab.end_id]])
    moving, _ = cross_entropy(hidden, targets, merged.model, vocab)
    scores = (hidden[0] @ merged.model.get_output_embeddings().weight.float().T).detach()
    expected = 0.0
    for row, target in zip(scores, targets[0].tolist(), strict=True):
        part = 0 if target == vocab.end_id else vocab.pieces[target - vocab.first_id][0] // (vocab.size // 2)
        ids = [vocab.first_id + i for i, p in enumerate(vocab.pieces) if p[0] // (vocab.size // 2) == part]
        ids += [vocab.end_id] * (part == 0)
        expected -= float(torch.log_softmax(row[ids], 0)[ids.index(target)])
    assert float(moving) == pytest.approx(expected, rel=1e-4)
