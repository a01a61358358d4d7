"""Merging: the folder answers as the adapter does, ties as the base, and is refused where it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from motionllm import cli
from motionllm.errors import MotionLLMError
from motionllm.language.vocab import MotionVocab, tied
from motionllm.lm import merging
from motionllm.lm.merging import merge
from motionllm.lm.model import MotionLM


def test_merged_is_the_adapter(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    run, base = trained_run
    result = merge(run, tmp_path / "merged")
    assert result["logits_differ"] < 1e-4 and result["same_choice"] == 1.0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert tied(model) == result["tied"] == tied(AutoModelForCausalLM.from_pretrained(base))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    vocab = MotionVocab.load(tmp_path / "merged")
    assert tokenizer.convert_tokens_to_ids(["<motion>", "<motion_3>"]) == [vocab.start_id, vocab.first_id + 3]
    lm = MotionLM.load(run)
    prompt = lm.renderer([{"role": "user", "content": "a person walks"}], reply=True).ids
    with torch.no_grad():
        theirs, ours = (m(torch.tensor([prompt])).logits for m in (model, lm.model))
    assert torch.allclose(theirs, ours, atol=1e-4)


def test_half_precision_by_command(
    trained_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:  # type: ignore[type-arg]
    words = ["merge", str(trained_run[0]), "--out", str(tmp_path / "m"), "--dtype", "bfloat16", "--json"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["dtype"] == "bfloat16"
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "m").dtype == torch.bfloat16
    assert cli.main(words) == 2
    assert "there already" in capsys.readouterr().err


def test_what_does_not_answer_the_same_is_not_kept(
    trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(merging.TOLERANCE, "bfloat16", 0.0)
    with pytest.raises(MotionLLMError, match="logits differ"):
        merge(trained_run[0], tmp_path / "merged", "bfloat16")
    assert not list(tmp_path.iterdir())


def test_a_merged_model_is_not_taken_for_a_damaged_adapter(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    merge(trained_run[0], tmp_path / "merged")
    with pytest.raises(MotionLLMError, match="merged model, for other engines"):
        MotionLM.load(tmp_path / "merged")


def test_where_it_cannot_be_written_it_is_said(
    trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MotionVocab, "save", full)
    with pytest.raises(MotionLLMError, match=r"merged: cannot be written \(No space left on device\).* takes"):
        merge(trained_run[0], tmp_path / "merged")
    assert not list(tmp_path.iterdir())
