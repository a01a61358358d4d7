"""The weights that ship: complete, small enough, acknowledged, and able to do what the README says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm import MotionLM, MotionTokenizer, shipped
from motionllm import corpus as builtin
from motionllm.language.vocab import MotionVocab
from motionllm.motion import Motion
from motionllm.tokenizer.report import report


def size(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def test_the_adapter_is_complete_and_small() -> None:
    folder = shipped.find("adapter", "default")
    assert MotionVocab.load(folder).tokenizer_hash == MotionTokenizer.load(folder / "tokenizer").hash
    assert MotionTokenizer.load("default").hash == MotionTokenizer.load(folder / "tokenizer").hash
    assert size(folder) <= 35
    assert size(shipped.find("tokenizer", "default")) <= 15


def test_the_adapter_has_a_second_one_for_text() -> None:
    text = MotionLM.load("default").text
    assert text is not None and {"query", "edit"} <= text.recipe.data.tasks.keys()


@pytest.mark.parametrize("kind", ["adapter", "tokenizer"])
def test_the_cards_acknowledge_the_data(kind: str) -> None:
    card = " ".join((shipped.find(kind, "default") / "README.md").read_text().split())  # type: ignore[arg-type]
    assert "mocap.cs.cmu.edu" in card
    assert "NSF EIA-0196217" in card


def test_the_tokenizer_keeps_held_out_motion() -> None:
    tokenizer = MotionTokenizer.load("default")
    result = report(tokenizer, [builtin.sample(i, split="test").load() for i in range(20)])
    assert result["mpjpe_root_mm"] < 45


@pytest.mark.slow
def test_the_three_verbs_answer_at_once() -> None:
    lm = MotionLM.load("default")
    motion = lm.generate("a person waves with the left hand", seconds=4, seed=1)
    assert isinstance(motion, Motion)
    assert motion.duration == pytest.approx(4)
    assert np.isfinite(motion.joints).all()
    walk = builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),)), seed=3)
    assert builtin.named(lm.caption(walk))
    assert lm.ask(walk, "What does the person do?")
