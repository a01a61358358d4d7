"""Artefacts of earlier versions load, and give what they gave: folders in golden/, each of the version it is named by.

Such a folder is never written anew. A version that changes what is saved adds one of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from motionllm.errors import MotionLLMError
from motionllm.lm.model import MotionLM

GOLDEN = sorted(Path(__file__).with_name("golden").iterdir())


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_what_an_earlier_version_saved(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    lm = MotionLM.load(folder / "adapter", base=str(folder / "base"))
    vocab = asdict(lm.vocab)
    assert {key: vocab[key] for key in expected["vocab"]} == expected["vocab"]
    assert not [record for record in caplog.records if record.name.startswith("motionllm") and record.levelno > 20]
    tokenizer = lm.motion_tokenizer
    features = tokenizer.mean + tokenizer.std * np.sin(np.outer(np.arange(24), np.linspace(0.05, 0.6, 263)))
    assert tokenizer.encode(features.astype(np.float32)).tolist() == expected["codes"]
    motion = lm.generate("a person walks forward", 2.0, temperature=0)
    assert len(motion) == expected["frames"]  # type: ignore[arg-type]
    np.testing.assert_allclose(motion.joints[::8, 15], expected["head"], atol=2e-3)  # type: ignore[union-attr]
    MotionLM.load(folder / "adapter", base=str(folder / "base"), merge=False).save(tmp_path / "again")
    again = MotionLM.load(tmp_path / "again", base=str(folder / "base"))
    assert again.vocab == lm.vocab and again.motion_tokenizer.hash == tokenizer.hash


def test_golden_folders_are_small() -> None:
    for folder in GOLDEN:
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 200_000


@pytest.mark.parametrize("name", ["motion_vocab.json", "tokenizer/config.json"])
def test_what_a_newer_version_saved_asks_for_an_upgrade(name: str, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(GOLDEN[-1], tmp_path / "newer"))
    path = folder / "adapter" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(MotionLLMError, match=r"written by a newer motionllm \(format 2.*upgrade"):
        MotionLM.load(folder / "adapter", base=str(folder / "base"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "x"}))
    with pytest.raises(MotionLLMError, match="is damaged"):
        MotionLM.load(folder / "adapter", base=str(folder / "base"))


def test_retired_keys_are_passed_over_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import shutil

    folder = Path(shutil.copytree(GOLDEN[0], tmp_path / "old"))
    adapter = folder / "adapter"
    for name in ("motion_vocab.json", "adapter_config.json"):
        path = adapter / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"retired": 5}))
    config = json.loads((adapter / "tokenizer" / "config.json").read_text())
    config["network"]["retired"] = 5
    (adapter / "tokenizer" / "config.json").write_text(json.dumps(config))
    with open(adapter / "recipe.yaml", "a") as file:
        file.write("retired:\n  at_all: 1\n")
    with open(adapter / "templates.yaml", "a") as file:
        file.write("retired:\n- user: x\n  assistant: y\n")
    MotionLM.load(adapter, base=str(folder / "base"))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 5
