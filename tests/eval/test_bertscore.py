"""BERTScore against the reference package where it is installed, and on what is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionllm import cli
from motionllm.errors import MotionLLMError
from motionllm.eval.bertscore import bert_score

SAID = ["a person walks forward", "the man waves his hand", "someone jumps"]
TRUE = [
    ["a man walks ahead", "a person is walking forward"],
    ["he waves the left hand", "a wave of the hand"],
    ["a person hops twice", "jumping"],
]

EVERY = [text for texts in TRUE for text in texts]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers with a word-piece tokenizer of the sentences' letters and words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({word for text in [*SAID, *EVERY] for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_agrees_with_the_reference_package(encoder: Path) -> None:
    package = pytest.importorskip("bert_score", reason="bert-score is not installed")
    scorer = package.BERTScorer(model_type=str(encoder), num_layers=2, idf=True, idf_sents=EVERY, device="cpu")
    theirs = [float(column.mean()) for column in scorer.score(SAID, TRUE)]
    assert list(bert_score(SAID, TRUE, encoder, 2).values()) == pytest.approx(theirs, abs=1e-5)


def test_known_cases(encoder: Path) -> None:
    same = bert_score(SAID, [[text] for text in SAID], encoder, 2)
    assert list(same.values()) == pytest.approx([1, 1, 1])
    plain, other = bert_score(SAID, TRUE, encoder, 2), bert_score(SAID, TRUE[1:] + TRUE[:1], encoder, 2)
    assert other["bertscore_f1"] < plain["bertscore_f1"] < 1
    rescaled = bert_score(SAID, TRUE, encoder, 2, baseline=0.5)
    assert rescaled["bertscore_f1"] == pytest.approx(2 * plain["bertscore_f1"] - 1)
    assert rescaled["bertscore_recall"] == plain["bertscore_recall"]
    assert bert_score([""], [["walks"]], encoder, 1)["bertscore_precision"] == 0


def test_what_cannot_be_used(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MotionLLMError, match="no such folder"):
        bert_score(SAID, TRUE, tmp_path / "none", 1)
    with pytest.raises(MotionLLMError, match="no encoder"):
        bert_score(SAID, TRUE, tmp_path, 1)
    with pytest.raises(MotionLLMError, match="Layer 3 is not among the 2"):
        bert_score(SAID, TRUE, encoder, 3)
    said, true = tmp_path / "p.jsonl", tmp_path / "r.jsonl"
    said.write_text("\n".join(json.dumps({"id": str(i), "caption": text}) for i, text in enumerate(SAID)))
    true.write_text("\n".join(json.dumps({"id": str(i), "captions": texts}) for i, texts in enumerate(TRUE)))
    argv = ["eval", "captions", "--predictions", str(said), "--references", str(true), "--bertscore", str(encoder)]
    assert cli.main([*argv, "--layer", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bertscore"] == pytest.approx(bert_score(SAID, TRUE, encoder, 2))
    assert cli.main([*argv, "--layer", "2"]) == 0
    assert "bertscore_f1" in capsys.readouterr().out
