"""The verbs as a user runs them: files out, one JSON object on standard output, bad input in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionllm.cli import main
from motionllm.config import Recipe, dump_recipe
from motionllm.data import builtin
from motionllm.motion import Motion


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.bvh"
    sample = builtin.sample(1, split="val")
    Motion(builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])).save(path)
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main([str(w) for w in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("suffix", [".bvh", ".npy", ".gif", ".mp4", ".png"])
def test_generate_writes_every_kind(
    trained_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"wave{suffix}"
    words = ("generate", "a person waves", "--seconds", 1.5, "--model", trained_run[0], "--out", out, "--seed", 1)
    status, said, _ = run(capsys, *words, "--json")
    assert status == 0
    assert json.loads(said)["seconds"] == pytest.approx(1.5)
    assert out.stat().st_size > 500
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
    if suffix in (".bvh", ".npy"):
        assert Motion.load(out).duration == pytest.approx(1.5)


def test_a_seed_gives_the_same_file(
    trained_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.npy", "b.npy"):
        run(capsys, "generate", "jump", "--seed", 3, "--model", trained_run[0], "--out", tmp_path / name)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_caption_and_ask(trained_run: tuple[Path, Path], clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = run(capsys, "caption", clip, "--model", trained_run[0], "--json")
    assert status == 0
    assert set(json.loads(said)) == {"clip", "caption", "seconds"}
    status, said, _ = run(capsys, "ask", clip, "Which hand is raised?", "--model", trained_run[0], "--json")
    assert status == 0
    assert set(json.loads(said)) == {"clip", "question", "answer"}


def test_a_folder_is_captioned_and_resumed(
    trained_run: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "clips", tmp_path / "said" / "captions.jsonl"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.bvh").write_bytes(clip.read_bytes())
    (folder / "broken.bvh").write_text("HIERARCHY\n")
    (tmp_path / "ids.txt").write_text("a\nb\n")
    words = ("caption", folder, "--model", trained_run[0], "--out", out, "--batch", 2, "--json")
    first = json.loads(run(capsys, *words, "--ids", tmp_path / "ids.txt")[1])
    assert (first["captioned"], first["kept"], first["failed"]) == (2, 0, {})
    second = json.loads(run(capsys, *words)[1])
    assert (second["captioned"], second["kept"]) == (1, 2)
    assert list(second["failed"]) == ["broken"]
    assert run(capsys, *words)[0] == 2  # because one failed
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["id"] for r in rows] == ["a", "b", "c"]
    assert rows[0]["caption"] == rows[1]["caption"] == rows[2]["caption"]


def test_a_killed_run_of_captions_goes_on(
    trained_run: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips" / "deep").mkdir(parents=True)
    for name in ("a", "deep/a"):
        (tmp_path / "clips" / f"{name}.bvh").write_bytes(clip.read_bytes())
    out = tmp_path / "captions.jsonl"
    out.write_text('{"id": "a", "caption": "kept"}\n{"id": "deep/a", "capt')
    words = ("caption", tmp_path / "clips", "--model", trained_run[0], "--out", out, "-n", 3, "--json")
    assert json.loads(run(capsys, *words)[1])["kept"] == 1
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows[0] == {"id": "a", "caption": "kept"}
    assert rows[1]["id"] == "deep/a" and len(rows[1]["captions"]) == 3 and rows[1]["caption"] == rows[1]["captions"][0]
    out.write_text("not ours\n")
    assert "captions.jsonl" in _refused(capsys, *words)
    assert out.read_text() == "not ours\n"


def test_one_clip_too_long_fails_alone_and_has_a_timeline(
    trained_run: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    joints = Motion.load(clip).canonical().joints
    np.save(folder / "long.npy", np.concatenate([joints] * 20))
    np.save(folder / "short.npy", joints)
    words = ("caption", folder, "--model", trained_run[0], "--json")
    status, said, _ = run(capsys, *words, "--out", tmp_path / "one.jsonl")
    assert status == 2
    report = json.loads(said)
    assert report["captioned"] == 1 and "tokens long" in report["failed"]["long"]
    assert run(capsys, *words, "--out", tmp_path / "two.jsonl", "--every", 2)[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "two.jsonl").read_text().splitlines()]
    assert [r["id"] for r in rows] == ["long", "short"]
    assert rows[0]["timeline"][0][0] == 0
    assert rows[0]["timeline"][-1][1] == pytest.approx(20 * len(joints) / 20, abs=0.4)
    status, said, _ = run(capsys, "caption", folder / "long.npy", "--every", 2, "--model", trained_run[0])
    assert status == 0 and said.startswith("  0.0 – ")


def test_prompts_are_made_and_resumed(
    trained_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "made"
    prompts.write_text("a person waves\n\na person bows\n" + "walk " * 3000 + "\n")
    words = ("generate", "--prompts", prompts, "--model", trained_run[0], "--out", out, "--format", "npy", "--json",
             "--seconds", "1-2", "--best-of", 2, "--batch", 2)  # fmt: skip
    status, said, _ = run(capsys, *words)
    report = json.loads(said)
    assert status == 2 and (report["made"], report["kept"], list(report["failed"])) == (2, 0, ["0004"])
    assert {p.name for p in out.iterdir()} == {"0001.npy", "0003.npy", "report.jsonl"}
    rows = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    assert "tokens long" in rows[2]["error"] and "file" not in rows[2]
    assert all(1 <= row["made"] <= 2 for row in rows[:2])
    # The report's seed makes the same motion by itself.
    alone = ("generate", rows[1]["text"], "--seed", rows[1]["seed"], "--seconds", "1-2", "--best-of", 2)
    run(capsys, *alone, "--model", trained_run[0], "--out", tmp_path / "alone.npy")
    assert np.abs(np.load(tmp_path / "alone.npy") - np.load(out / "0003.npy")).max() < 1e-4
    (out / "0001.npy").unlink()
    prompts.write_text("a person waves\n\na person bows\n")
    status, said, _ = run(capsys, *words)
    assert status == 0 and json.loads(said)["made"] == 1 and json.loads(said)["kept"] == 1
    prompts.write_text("a person waves\n\na person sits\n")
    assert json.loads(run(capsys, *words)[1])["made"] == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "x", "id": "../x"}', "no name for a file"),
        ('{"text": "x", "id": "/tmp/x"}', "no name for a file"),
        ('{"text": "x", "id": ".x"}', "no name for a file"),
        ('{"text": "x", "id": "a"}\n{"text": "y", "id": "a"}', "2 times"),
        ('{"text": "x", "secnds": 2}', "line 1"),
        ('{"text": "x", "seconds": "2"}', "line 1"),
        ('{"text": "x", "seed": 0.5}', "line 1"),
        ("no JSON", "line 1"),
        ("\n", "no prompt"),
    ],
)
def test_wrong_prompts_are_refused(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.jsonl").write_text(content)
    arguments = (
        "generate",
        "--prompts",
        tmp_path / "prompts.jsonl",
        "--model",
        tmp_path / "none",
        "--out",
        tmp_path / "x",
    )
    assert words in _refused(capsys, *arguments)
    assert not (tmp_path / "x").exists()


def test_generate_begins_and_ends_with_clips(
    trained_run: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Motion(Motion.load(clip).canonical().joints[:30]).save(tmp_path / "short.npy")
    words = (
        "generate",
        "bow",
        "--model",
        trained_run[0],
        "--out",
        tmp_path / "x.npy",
        "--start",
        tmp_path / "short.npy",
    )
    assert run(capsys, *words, "--end", tmp_path / "short.npy", "--seconds", 4)[0] == 0
    assert Motion.load(tmp_path / "x.npy").duration == pytest.approx(4)
    assert "exact duration" in _refused(capsys, *words, "--end", tmp_path / "short.npy")
    assert "Give either" in _refused(capsys, *words, "--prompts", tmp_path / "p.txt")
    assert "'soon'" in _refused(capsys, *words, "--seconds", "soon")


def _refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    status, said, err = run(capsys, *words)
    assert status == 2
    assert said == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("motionllm: error: ")
    assert "Traceback" not in err
    return last


def test_bad_clips_are_refused(
    trained_run: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / "half.bvh"
    half.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    still, nan = tmp_path / "still.npy", tmp_path / "nan.npy"
    np.save(still, np.zeros((1, 22, 3), np.float32))
    np.save(nan, np.full((40, 22, 3), np.nan, np.float32))
    for path in (tmp_path / "none.bvh", half, still, nan):
        assert path.name in _refused(capsys, "caption", path, "--model", trained_run[0])


def test_bad_runs_are_refused_and_leave_nothing(
    tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recipe = tmp_path / "r.yaml"
    recipe.write_text(dump_recipe(tiny_recipe(tiny_base, tiny_tokenizer)))
    out = tmp_path / "run"
    assert "did you mean `steps`" in _refused(capsys, "train", recipe, "train.stps=3", "--out", out)
    assert "'many'" in _refused(capsys, "train", recipe, "train.steps=many", "--out", out)
    assert "no-such-base" in _refused(capsys, "train", recipe, f"model.base={tmp_path}/no-such-base", "--out", out)
    assert "no-such" in _refused(capsys, "train", recipe, "model.tokenizer=no-such", "--out", out)
    source = "data.sources.0={kind: humanml3d, path: " + str(tmp_path / "nowhere") + "}"
    assert "nowhere" in _refused(capsys, "train", recipe, source, "--out", out)
    assert not out.exists() or not any(out.iterdir())
    assert "--resume" in _refused(capsys, "train")


def test_generate_refuses_before_it_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ".bvh" in _refused(capsys, "generate", "x", "--out", tmp_path / "x.fbx", "--model", tmp_path / "none")
    assert "none" in _refused(capsys, "generate", "x", "--out", tmp_path / "x.bvh", "--model", tmp_path / "none")


def test_tokenizer_report(tiny_tokenizer: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("new_joints", "texts"):
        (tmp_path / kind).mkdir()
    np.save(tmp_path / "new_joints" / "a.npy", Motion.load(clip).canonical().joints)
    (tmp_path / "texts" / "a.txt").write_text("a person moves.##0.0#0.0\n")
    (tmp_path / "val.txt").write_text("a\n")
    status, said, _ = run(capsys, "tokenizer", "report", tiny_tokenizer, "--data", tmp_path, "--json")
    assert status == 0
    assert json.loads(said)["clips"] == 1
    assert "empty" in _refused_after_emptying(capsys, tiny_tokenizer, tmp_path)


def _refused_after_emptying(capsys: pytest.CaptureFixture[str], tokenizer: Path, folder: Path) -> str:
    (folder / "texts" / "a.txt").write_text("")
    return _refused(capsys, "tokenizer", "report", tokenizer, "--data", folder)
