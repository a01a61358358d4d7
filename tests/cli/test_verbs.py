"""The verbs as a user runs them: files out, one JSON object on standard output, bad input in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import cli, shipped
from motionllm import corpus as builtin
from motionllm.cli import main
from motionllm.config import Recipe, dump_recipe
from motionllm.eval.text import read_predictions
from motionllm.files import lock
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints


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


def test_no_option_of_caption_is_passed_over(
    trained_run: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "said.jsonl"
    words = ("caption", clip, "--model", trained_run[0])
    for options in (("--every", 2), ("-n", 2), ()):
        status, said, _ = run(capsys, *words, *options, "--out", out, "--json")
        assert status == 0 and json.loads(said)["captioned"] == 1
        row = json.loads(out.read_text())
        assert row["id"] == clip.stem and ("timeline" in row, len(row.get("captions", ()))) == (
            "--every" in options,
            2 if "-n" in options else 0,
        )
        out.unlink()
    (tmp_path / "ids.txt").write_text(clip.stem)
    wrong = [
        ("--ids", tmp_path / "ids.txt"),
        ("-n", 2, "--every", 2),
        ("--narrate", "-n", 2),
        ("--narrate", "--every", 1),
    ]
    for options in wrong:
        assert "would do nothing" in _refused(capsys, *words, *options)


@pytest.mark.parametrize("verb", [("train",), ("improve",), ("tokenizer", "train")])
def test_a_run_that_goes_on_has_its_place(
    verb: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], trained_run: tuple[Path, Path]
) -> None:
    assert "--out would do nothing" in _refused(capsys, *verb, "--resume", trained_run[0], "--out", tmp_path / "a")
    if verb[-1] != "tokenizer" and "--changed" in run(capsys, *verb, "--help")[1]:
        given = ("default", "improve-builtin") if verb == ("improve",) else ("builtin",)
        assert "--changed would do nothing" in _refused(capsys, *verb, *given, "--changed")
    if verb != ("train",):
        said = _refused(capsys, *verb, "--resume", trained_run[0])
        assert "is that of a fine-tuning run, and " in said and said.endswith("give a run of that kind.")


def test_every_verb_tells_what_was_mended_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(cli.__file__).parent
    loads = {path.name for path in folder.glob("*.py") if "Motion.load(" in path.read_text(encoding="utf-8")}
    assert loads == {"__init__.py"}  # where it is told
    joints = features_to_joints(builtin.sample(0, split="val").load()) * 100
    np.save(tmp_path / "clip.npy", joints)
    for words in (("data", "view"), ("data", "facts"), ("data", "notate"), ("caption", "--narrate")):
        out = ("--out", tmp_path / "page.html") if "view" in words else ()
        assert "mended: units taken for centimetres" in run(capsys, *words, tmp_path / "clip.npy", *out)[2]


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
    words = ("caption", tmp_path / "clips", "--model", trained_run[0], "--out", out, "-n", 3, "--json")
    assert run(capsys, *words)[0] == 0
    whole = out.read_text()
    rows = [json.loads(line) for line in whole.splitlines()]
    assert [row["id"] for row in rows] == ["a", "deep/a"]
    assert all(len(row["captions"]) == 3 and row["caption"] == row["captions"][0] for row in rows)
    first = len(whole.splitlines(keepends=True)[0])
    for cut in np.random.default_rng(1).integers(first, len(whole) - 1, 3):
        out.write_text(whole[:cut])
        assert json.loads(run(capsys, *words)[1])["kept"] == 1
        assert out.read_text() == whole
    out.write_text("not ours\n")
    assert "captions.jsonl" in _refused(capsys, *words)
    assert out.read_text() == "not ours\n"


@pytest.fixture(scope="module")
def another_run(trained_run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, trained on: other weights, all else alike."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(trained_run[0], copy)
    file = copy / "adapter" / "adapter_model.safetensors"
    save_file({name: value + 0.01 for name, value in load_file(file).items()}, file, {"format": "pt"})
    return copy


def test_what_is_kept_is_of_the_same_makers(
    trained_run: tuple[Path, Path], another_run: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, made, prompts = (tmp_path / name for name in ("clips", "c.jsonl", "made", "prompts.txt"))
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.bvh").write_bytes(clip.read_bytes())
    prompts.write_text("a person waves\na person bows\n")
    caption = ("caption", folder, "--out", out, "--json", "--model")
    generate = (
        "generate",
        "--prompts",
        prompts,
        "--out",
        made,
        "--seconds",
        1,
        "--best-of",
        1,
        "--seed",
        1,
        "--format",
        "npy",
        "--json",
        "--model",
    )
    for words, report, more in (
        (caption, out, ("-n", "2")),
        (generate, made / "report.jsonl", ("--temperature", "0.5")),
    ):
        assert run(capsys, *words, trained_run[0])[0] == 0
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert json.loads(run(capsys, *words, trained_run[0])[1])["kept"] == 2
        said = _refused(capsys, *words, another_run)
        assert report.name in said and "adapter" in said and "--out" in said
        assert report.name in _refused(capsys, *words, trained_run[0], *more)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        rows = [json.loads(line) for line in report.read_text().splitlines()]
        report.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "made_by"}) + "\n" for r in rows))
        assert "does not say by which model" in _refused(capsys, *words, trained_run[0])
        report.write_bytes(before[report])
    # Captions are of a content, not of a name.
    Motion(Motion.load(clip).canonical().joints[:40]).save(folder / "a.bvh")
    report = json.loads(run(capsys, *caption, trained_run[0])[1])
    assert (report["captioned"], report["kept"]) == (1, 1)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == ["a", "b"] and rows[0]["clip"] != rows[1]["clip"]
    # And the verbs that read captions take the lines as they are.
    assert read_predictions(out).keys() == {"a", "b"}


def test_one_bad_file_takes_no_other_with_it(
    trained_run: tuple[Path, Path],
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, random, good = tmp_path / "clips", np.random.default_rng(7), clip.read_bytes()
    folder.mkdir()
    bad = {
        "cut.bvh": good[: int(random.integers(1, len(good) // 2))],
        "noise.bvh": random.bytes(3000),
        "noise_z.npz": random.bytes(3000),
        "noise_c.c3d": random.bytes(3000),
        "empty.npy": b"",
        "text.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (9,), }" + b" " * 60,
        "swapped.bvh": good.replace(b"Zrotation", b"Xposition", 1),
        "defect.bvh": good,
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    for name in ("a.bvh", "b.bvh", "é.bvh"):
        (folder / name).write_bytes(good)
    (folder / "loop.bvh").symlink_to(folder / "loop.bvh")
    (folder / "dangling.npy").symlink_to(folder / "nowhere.npy")
    (folder / "within").symlink_to(folder)
    latin = b"caf\xe9.bvh"  # a name that is not UTF-8
    try:
        (folder / os.fsdecode(latin)).write_bytes(good)
    except OSError:  # macOS takes no such name
        latin = b""
    load = Motion.load

    def loads(path: Path, *more: object) -> Motion:
        if Path(path).name == "defect.bvh":
            raise ZeroDivisionError("of a library")
        return load(path)

    monkeypatch.setattr(Motion, "load", staticmethod(loads))
    out = tmp_path / "c.jsonl"
    status, said, err = run(capsys, "caption", folder, "--model", trained_run[0], "--out", out, "--json")
    assert status == 2 and "Traceback" not in err
    report = json.loads(said)
    assert report["failed"].keys() == {Path(name).stem for name in bad} | {"loop", "dangling"}
    assert "ZeroDivisionError" in report["failed"]["defect"]
    ids = [json.loads(line)["id"] for line in out.read_text("utf-8").splitlines()]
    assert sorted(ids) == sorted(["a", "b", "é", *([r"caf\xe9"] if latin else [])])


def test_outputs_that_cannot_be_are_refused_before_a_model_is_loaded(
    trained_run: tuple[Path, Path],
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("motionllm.lm.model.MotionLM.load", lambda *_, **__: pytest.fail("a model was loaded"))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.bvh").write_bytes(clip.read_bytes())
    (tmp_path / "prompts.txt").write_text("a person waves\n")
    (tmp_path / "file").touch()
    captions = ("caption", tmp_path / "clips", "--model", trained_run[0], "--out")
    prompts = ("generate", "--prompts", tmp_path / "prompts.txt", "--model", trained_run[0], "--out")
    one = ("generate", "a person waves", "--model", trained_run[0], "--out")
    before = sorted(tmp_path.rglob("*"))
    for words, out in (
        (captions, "clips"),
        (captions, "file/c.jsonl"),
        (captions, "file/deep/c.jsonl"),
        (captions, "x" * 300),
        (prompts, "file"),
        (prompts, "file/made"),
        (prompts, "x" * 300),
        (one, "clips.bvh/"),
        (one, "file/a.bvh"),
        (one, "nowhere/a.bvh"),
        (one, "x" * 300 + ".bvh"),
    ):
        if out == "clips.bvh/":
            (tmp_path / "clips.bvh").mkdir()
        assert out.split("/")[0][:40] in _refused(capsys, *words, tmp_path / out)
        if out == "clips.bvh/":
            (tmp_path / "clips.bvh").rmdir()
        assert sorted(tmp_path.rglob("*")) == before
    for words, out in ((captions, tmp_path / "c.jsonl"), (prompts, tmp_path / "made")):
        with lock(out if words is captions else out / "report.jsonl"):
            assert "in use by process" in _refused(capsys, *words, out)
    # A text that is none.
    assert "not UTF-8" in _refused(capsys, "generate", "\udcff", *one[2:], tmp_path / "a.bvh")
    assert "not UTF-8" in _refused(capsys, "ask", clip, "\udcff?", "--model", trained_run[0])


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
    words = (
        "generate",
        "--prompts",
        prompts,
        "--model",
        trained_run[0],
        "--out",
        out,
        "--format",
        "npy",
        "--json",
        "--seconds",
        "1-2",
        "--best-of",
        2,
        "--batch",
        2,
    )
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
        ('{"text": "x", "seed": -1}', "line 1"),
        ('{"text": "x", "seed": true}', "line 1"),
        ('{"text": "x", "seconds": NaN}', "line 1"),
        ('{"text": "\\ud800"}', "line 1"),
        ('{"text": "x", "id": "' + "a" * 300 + '"}', "no name for a file"),
        ('{"text": "x", "id": "a"}\n{"text": "y", "id": "A"}', "2 times"),
        ("[" * 100_000, "line 1"),
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
    tiny_base: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(dump_recipe(tiny_recipe(tiny_base, tiny_tokenizer)))
    out = tmp_path / "run"
    assert "did you mean 'steps'" in _refused(capsys, "train", recipe, "train.stps=3", "--out", out)
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


USELESS = [
    (("generate", "a", "--format", ".glb"), "--format", "without --prompts"),
    (("generate", "a", "--batch", "8"), "--batch", "without --prompts"),
    (("generate", "a", "--embedder", "default"), "--embedder", "without --judge"),
    (("generate", "a", "--library", "CLIP", "--judge", "facts"), "--library", "with --judge"),
    (("generate", "a", "--library", "CLIP", "--show-plan"), "--library", "with --judge, --plan or --show-plan"),
    (("generate", "a", "--temperature", "0", "--top-p", "0.9"), "--top-p", "at --temperature 0"),
    (
        ("generate", "a", "--temperature", "0", "--best-of", "4", "--judge", "facts"),
        "--best-of and --judge",
        "the like",
    ),
    (("generate", "a", "--best-of", "1", "--judge", "facts"), "--judge", "with --best-of 1"),
    (
        ("eval", "text-to-motion", "--model", "baseline:random", "--engine", "http://a"),
        "--engine",
        "baseline:random",
    ),
    (("eval", "tokenizer", "--engine", "http://a"), "--engine", "this task"),
    (("eval", "captions", "--predictions", "a", "--references", "b", "--layer", "3"), "--layer", "--bertscore"),
    (("eval", "builtin", "--best-of", "1", "--judge", "facts"), "--judge", "with --best-of 1"),
    (("eval", "edits", "--split", "val"), "--split", "without --data"),
    (("eval", "edits", "--plans", "--best-of", "2"), "--best-of", "with --plans"),
    (("push", "default", "a/b", "--out", "new", "--private"), "--private", "with --out"),
    (("push", "default", "a/b", "--out", "new", "--revision", "x"), "--revision", "with --out"),
    (("push", "SET", "a/b", "--data", "--out", "new", "--base", "c/d"), "--base", "with --data"),
    (("data", "encode", "demo", "--check", "--workers", "2"), "--workers", "with --shard or --check"),
    (("improve", "a", "b", "--compare", "c"), "run and recipe", "with --compare"),
    (("caption", "CLIP", "--narrate", "--model", "default"), "--model", "with --narrate"),
    (("caption", "CLIP", "--batch", "3"), "--batch", "one clip"),
    (("web", "--no-model", "--tokenizer", "causal"), "--tokenizer", "with --no-model"),
    (("recipes", "--kind", "train"), "--kind", "without --schema"),
    (("recipes", "--reference", "--json"), "--json", "with --reference"),
    (("train", "--resume", "a", "--changed", "--dry-run"), "--changed", "with --dry-run"),
]


@pytest.mark.parametrize(("words", "option", "why"), USELESS)
def test_an_option_that_nothing_would_read_is_refused(
    words: tuple[str, ...],
    option: str,
    why: str,
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    shutil.copy(shipped.find("recipes", "demo"), tmp_path / "a" / "recipe.yaml")
    said = _refused(capsys, *(clip if word == "CLIP" else word for word in words))
    assert said.startswith(f"motionllm: error: {option} would do nothing") and why in said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("wrong", "many"),
    [("missing", True), ("missing", False), ("a folder", True), ("a folder", False), ("not readable", True)],
)
def test_a_library_that_is_none_is_said_before_a_model_is_loaded(
    wrong: str, many: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, prompts = tmp_path / "mine.jsonl", tmp_path / "prompts.txt"
    prompts.write_text("a person waves\n")

    def denied(*anything: object) -> str:
        raise PermissionError(13, "Permission denied", str(library))

    if wrong == "a folder":
        library.mkdir()
    elif wrong == "not readable":  # by root, everything is
        library.write_text("{}\n")
        monkeypatch.setattr("motionllm.lm.results.content_hash", denied)
    monkeypatch.setattr("motionllm.lm.model.MotionLM.load", None)
    what = ("--prompts", prompts) if many else ("a person waves",)
    said = _refused(capsys, "generate", *what, "--library", library, "--out", tmp_path / ("many" if many else "a.bvh"))
    assert str(library) in said


def test_a_seed_that_is_drawn_is_told(
    trained_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("generate", "jump", "--model", trained_run[0], "--best-of", 1, "--out")
    _, said, _ = run(capsys, *words, tmp_path / "a.npy", "--json")
    seed = json.loads(said)["seed"]
    assert isinstance(seed, int)
    _, said, _ = run(capsys, *words, tmp_path / "b.npy", "--seed", seed)
    assert f"seed: {seed}" in said
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("words", [["recipes"], ["recipes", "--schema"]])
def test_an_output_that_cannot_be_written_is_one_sentence(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", "import sys; from motionllm.cli import main; sys.exit(main())", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == 2
    assert ended.stderr == "motionllm: error: The output cannot be written (No space left on device); make room.\n"


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "CLIP", "slower", "--out", "nowhere/a.bvh"),
        ("eval", "builtin", "--out", "nowhere/a.json"),
        ("eval", "queries", "--out", "nowhere/a.json"),
        ("eval", "edits", "--out", "nowhere/a.json"),
        ("tokenizer", "report", "default", "--data", "builtin", "--picture", "nowhere/a.png"),
        ("tokenizer", "encode", "default", "CLIP", "--out", "nowhere/a.json"),
        ("data", "notate", "CLIP", "--out", "nowhere/a.jsonl"),
    ],
)
def test_a_place_that_is_none_is_said_before_the_work(
    words: tuple[str, ...], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for what in ("motionllm.lm.model.MotionLM.load", "motionllm.tokenizer.MotionTokenizer.load"):
        monkeypatch.setattr(what, None)
    said = _refused(capsys, *(clip if word == "CLIP" else word for word in words))
    assert said.endswith(f"{words[-1]}: its folder does not exist.")
