"""The tokenizer's verbs: train and resume, report, BPE, encode and decode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion
from motionllm import corpus as builtin
from motionllm.cli import main
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.train import CHECKPOINT


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sample = builtin.sample(5, split="val")
    path = tmp_path_factory.mktemp("clip") / "clip.npy"
    np.save(path, builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"]))
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    (folder / "new_joint_vecs").mkdir(parents=True)
    (folder / "texts").mkdir()
    for split, numbers in (("train", range(20)), ("val", range(20, 24))):
        (folder / f"{split}.txt").write_text("".join(f"{i:03d}\n" for i in numbers))
        for i in numbers:
            np.save(folder / "new_joint_vecs" / f"{i:03d}.npy", builtin.sample(i).load())
            (folder / "texts" / f"{i:03d}.txt").write_text("a person moves#a/DET person/NOUN move/VERB#0.0#0.0\n")
    return folder


def test_a_clip_goes_to_codes_and_back(
    tiny_tokenizer: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes, back = tmp_path / "codes.json", tmp_path / "back.npy"
    assert main(["tokenizer", "encode", str(tiny_tokenizer), str(clip), "--out", str(codes)]) == 0
    assert main(["tokenizer", "decode", str(tiny_tokenizer), str(codes), "--out", str(back)]) == 0
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    expected = tokenizer.encode(Motion.load(clip))
    stored = json.loads(codes.read_text())
    assert stored["codes"] == expected.tolist() and stored["tokenizer"] == tokenizer.hash
    assert np.load(back) == pytest.approx(tokenizer.decode(expected).joints, abs=1e-6)
    capsys.readouterr()
    assert main(["tokenizer", "encode", str(tiny_tokenizer), str(clip)]) == 0
    assert json.loads(capsys.readouterr().out)["codes"] == stored["codes"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not valid JSON"),
        ('{"codes": [1]}', "encode the clip again"),
        ('{"tokenizer": "0123456789abcdef", "codes": [0, 16]}', "was made by motion tokenizer 0123456789abcdef"),
        ('{"tokenizer": "HASH", "codes": [0, 99]}', "another tokenizer"),
        ('{"tokenizer": "HASH", "codes": [0]}', "in order"),
        (None, "cannot be read"),
    ],
)
def test_codes_that_cannot_be_decoded(
    tiny_tokenizer: Path, tmp_path: Path, content: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "codes.json", tmp_path / "out.npy"
    if content is not None:
        path.write_text(content.replace("HASH", MotionTokenizer.load(tiny_tokenizer).hash))
    assert main(["tokenizer", "decode", str(tiny_tokenizer), str(path), "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said
    assert not out.exists()


def test_the_report_of_several_sets_and_its_picture(
    tiny_tokenizer: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "sheet.png"
    call = ["tokenizer", "report", str(tiny_tokenizer), "--data", str(dataset), "--json"]
    assert main(call) == 0
    one = json.loads(capsys.readouterr().out)
    assert main([*call, "--data", "builtin", "--picture", str(picture)]) == 0
    both = json.loads(capsys.readouterr().out)["sets"]
    assert both[str(dataset)]["mpjpe_root_mm"] == one["mpjpe_root_mm"]
    assert both["builtin"]["clips"] == 200
    assert picture.stat().st_size > 10_000


def test_bpe_says_what_it_saves(tiny_tokenizer: Path, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["tokenizer", "bpe", str(tiny_tokenizer), "--data", str(dataset), "--merges", "10", "--merges", "40"]
    assert main([*call, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["bpe"]
    assert [row["merges"] for row in rows] == [10, 40]
    for row in rows:
        for split in ("train", "val"):
            assert row[split]["round_trips"] == row[split]["sequences"]
            assert row[split]["tokens"] < row[split]["codes"]
    assert rows[1]["val"]["tokens"] <= rows[0]["val"]["tokens"]
    assert main(call) == 0
    assert "24 of 24 sequences exact" in capsys.readouterr().out


def test_training_is_resumed_by_its_folder(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "t"
    recipe.write_text(
        f"sources: [{{kind: humanml3d, path: {dataset}}}]\nnetwork: {{width: 16, blocks: 1, codes: 16, code_dim: 8}}\n"
        "train: {steps: 40, autoencode: 10, batch: 4, window: 32, validate_every: 10}\n"
    )
    from motionllm.runs.progress import Bar

    update = Bar.update

    def killed(self: Bar, done: float, **numbers: object) -> None:
        if done >= 0.5:
            raise KeyboardInterrupt
        update(self, done, **numbers)

    call = ["tokenizer", "train", str(recipe), "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr(Bar, "update", killed)
        assert main(call) == 130
    assert (out / CHECKPOINT).is_file()
    assert main(call) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["tokenizer", "train", "--resume", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 40
    assert main(["tokenizer", "train", "--resume", str(out)]) == 2
    assert "no unfinished training" in capsys.readouterr().err
    assert main(["tokenizer", "train"]) == 2
