"""Captions near in meaning, with a random encoder: what is known of any, and what the words alone decide."""

from pathlib import Path

import numpy as np
import pytest

from motionllm.errors import MotionLLMError
from motionllm.eval import similarity as meaning

SAID = ["a person walks forward", "the man waves", "someone jumps"]
TRUE = [["a person walks forward", "a man strides"], ["he waves the left hand"], ["a person hops", "jumping"]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with word pieces of the sentences' words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({word for text in [*SAID, *(r for rs in TRUE for r in rs)] for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder)
    return folder


def test_the_nearest_reference_counts(encoder: Path) -> None:
    rows = meaning.embed([*SAID, TRUE[0][1], TRUE[1][0], *TRUE[2]], encoder)
    assert rows.shape == (7, 32) and np.allclose(np.linalg.norm(rows, axis=1), 1)
    expected = [1.0, rows[1] @ rows[4], max(rows[2] @ rows[5], rows[2] @ rows[6])]
    scores = meaning.similarity(SAID, TRUE, encoder)
    assert scores["similarity"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert scores["degenerate"] == 0 and scores["other_clip"] < 1
    assert scores == meaning.similarity(SAID, TRUE, encoder)


def test_batches_and_padding_do_not_matter(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = meaning.embed(SAID, encoder)
    monkeypatch.setattr(meaning, "_BATCH", 1)
    assert np.allclose(whole, meaning.embed(SAID, encoder), atol=1e-5)


@pytest.mark.parametrize(
    ("caption", "bad"),
    [
        ("a person climbs, hangs, swings, swings, swings, swings, swings", True),
        ("a person walks and a person walks and a person walks", True),
        ("a person walks and then a person walks", False),
        ("", True),
        ("word " * 20, True),
        (" ".join(f"w{i}" for i in range(41)), True),
        (" ".join(f"w{i}" for i in range(40)), False),
    ],
)
def test_captions_that_repeat_themselves(caption: str, bad: bool) -> None:
    assert meaning.degenerate(caption) is bad


def test_without_an_encoder_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "PACKAGE", "no_such_package")
    with pytest.raises(MotionLLMError, match=r"pip install 'motionllm\[similarity\]'"):
        meaning.similarity(SAID, TRUE)
    with pytest.raises(MotionLLMError, match="no such folder"):
        meaning.similarity(SAID, TRUE, tmp_path / "none")
