"""Every command of the pages in docs/ is run as it stands there."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from motionllm import Motion, __version__, cli
from motionllm import corpus as builtin

DOCS = Path(__file__).parents[1] / "docs"


def commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("motionllm ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def named_commands(page: Path) -> list[list[str]]:
    """The commands within the lines of a page, as `motionllm …`, without those that only name a verb or an option, or
    leave something out.
    """
    text = page.read_text(encoding="utf-8")
    written = [re.sub(r"\s+", " ", line) for line in re.findall(r"`motionllm ([^`]+)`", text)]
    commands = [[word for word in shlex.split(line) if word != "…"] for line in written]
    return [words for words in commands if len(words) > 1 and not words[-1].startswith("--") and "…" not in words[-1]]


def refused(words: list[str]) -> str:
    """Why the command line does not take these words; empty where it does."""
    command: Any = typer.main.get_command(cli.app)
    words = list(words)
    while hasattr(command, "list_commands"):  # a group
        context = command.make_context("motionllm", [], resilient_parsing=True)
        known = command.list_commands(context)
        if words and words[0] in known:
            command = command.get_command(context, words.pop(0))
        elif "suite" in known:  # of `eval SUITE`
            command = command.get_command(context, "suite")
        else:
            break
    try:
        command.make_context("motionllm", list(words))
    except Exception as error:  # of click, which typer has a copy of
        return error.format_message() if words and hasattr(error, "format_message") else ""
    return ""


@pytest.mark.parametrize("page", ["README.md", "eval/README.md", *sorted(f"docs/{p.name}" for p in DOCS.glob("*.md"))])
def test_commands_in_the_text_can_be_typed(page: str) -> None:
    wrong = {" ".join(words): why for words in named_commands(DOCS.parent / page) if (why := refused(words))}
    assert wrong == {}


@pytest.fixture
def takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with takes/ and captions.csv."""
    folder = tmp_path / "takes"
    folder.mkdir()
    for name, action in (("Wave_Left", "wave"), ("Kick_Left", "kick")):
        joints = builtin.joints(builtin.Spec((builtin.Part(action, side="left"),)), 1)
        Motion(np.concatenate([joints, joints[::-1]])).save(folder / f"{name}.bvh")
    (tmp_path / "captions.csv").write_text("file,caption\nWave_Left.bvh,a person waves\nKick_Left.bvh,a person kicks\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pages_have_commands() -> None:
    pages = {
        "DESIGN.md",
        "characters.md",
        "chat.md",
        "evaluation.md",
        "feedback.md",
        "files.md",
        "serving.md",
        "start.md",
        "training.md",
    }
    assert {page.name for page in DOCS.glob("*.md")} >= pages
    assert len(commands(DOCS / "files.md")) >= 6
    assert len(commands(DOCS / "training.md")) >= 10


def test_the_changelog_and_the_citation_are_of_this_version() -> None:
    root = DOCS.parent
    assert f"\n## [{__version__}]" in (root / "CHANGELOG.md").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in (root / "CITATION.cff").read_text("utf-8")


def test_the_tree_of_the_design_is_the_code_as_it_is() -> None:
    command = [sys.executable, str(DOCS.parent / "dev" / "tree.py"), "--check"]
    assert subprocess.run(command).returncode == 0, "python dev/tree.py"


def test_commands_on_files_run(takes: Path) -> None:
    for words in commands(DOCS / "files.md"):
        if words[0] != "train":  # see below
            assert cli.main(words) == 0, words
    assert {"wave.glb", "wave.mp4", "still.bvh", "wave.html", "dataset"} <= {p.name for p in takes.iterdir()}


def test_commands_on_characters_run(takes: Path) -> None:
    Motion.load("takes/Wave_Left.bvh").save("character.glb")
    for words in commands(DOCS / "characters.md"):
        assert cli.main(words) == 0, words
    assert {"kick.glb", "kick60.glb", "wave.bvh", "wave.vrma"} <= {p.name for p in takes.iterdir()}


def guided(takes: Path) -> list[list[str]]:
    """The commands of the pages for-*.md, in a folder that has what they name."""
    (takes / "prompts.txt").write_text("a person waves\n")
    walk = builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),), seconds=6), 1)
    Motion(walk).save(takes / "walk.bvh")
    pages = sorted(DOCS.glob("for-*.md"))
    assert len(pages) == 5 and all(commands(page) for page in pages)
    return [words for page in pages for words in commands(page)]


def test_commands_of_the_guides_on_files_run(takes: Path) -> None:
    listed = guided(takes)
    shutil.copy(takes / "takes" / "Wave_Left.bvh", takes / "take.bvh")  # which a model makes there
    for words in listed:
        if (words[0] == "data" and words[1] != "preview") or "--narrate" in words:
            assert cli.main(words) == 0, words
    assert {"compare.html", "wave.npz", "gait.html", "walk.vtt"} <= {file.name for file in takes.iterdir()}


@pytest.mark.slow
def test_commands_of_the_guides_run(takes: Path) -> None:
    for words in guided(takes):
        assert cli.main(words) == 0, words
    assert (takes / "motions" / "0001.glb").is_file() and (takes / "captions.jsonl").is_file()


@pytest.mark.slow
def test_commands_on_motion_and_text_run(takes: Path) -> None:
    (takes / "prompts.txt").write_text("a person waves\na person sits down\n")
    Motion(builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),)), 1)[:60]).save(takes / "walk.npy")
    words = commands(DOCS / "chat.md")
    assert {w[0] for w in words} == {"generate", "caption", "ask", "edit"}
    for one in words:
        assert cli.main(one) == 0, one
    there = {p.name for p in takes.iterdir()}
    assert {"wave.bvh", "walk.glb", "longer.bvh", "between.bvh", "captions.jsonl", "other.bvh", "sit.glb"} <= there
    assert {p.name for p in (takes / "made").iterdir()} == {"0001.glb", "0002.glb", "report.jsonl"}
    assert Motion.load("longer.bvh").duration == pytest.approx(7)


@pytest.mark.slow
def test_commands_on_robots_run(takes: Path) -> None:
    for package in ("mujoco", "daqp", "holosoma_retargeting"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    for words in commands(DOCS / "robots.md"):
        assert cli.main(words) == 0, words
    assert {"g1.csv", "g1.csv.json", "g1.npz", "g1_50.csv", "t1.gif"} <= {p.name for p in takes.iterdir()}


@pytest.mark.slow
def test_commands_of_serving_run(takes: Path) -> None:
    assert [words[0] for words in commands(DOCS / "serving.md")] == ["merge"]
    for words in commands(DOCS / "serving.md"):
        assert cli.main(words) == 0, words
    assert (takes / "merged" / "motion_vocab.json").is_file()


def test_commands_of_sharing_run(takes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "import", "takes", "--captions", "captions.csv", "--out", "dataset", "--val", "0"]) == 0
    for words in commands(DOCS / "sharing.md"):
        if words[0] != "generate":  # see below
            assert cli.main(words) == 0, (words, capsys.readouterr().err)
    assert (takes / "shared" / "README.md").is_file() and (takes / "copy" / "train.txt").is_file()


@pytest.mark.slow
def test_a_shared_adapter_generates(takes: Path) -> None:
    for words in commands(DOCS / "sharing.md"):
        if "shared" in words:
            assert cli.main(words) == 0, words
    assert Motion.load("wave.bvh").duration == pytest.approx(2)


@pytest.mark.slow
def test_an_imported_set_trains(takes: Path) -> None:
    for words in commands(DOCS / "files.md"):
        if words[:2] == ["data", "import"] or words[0] == "train":
            command = [sys.executable, "-c", "from motionllm.cli import main; raise SystemExit(main())", *words]
            subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    assert (takes / "runs" / "cmu" / "adapter").is_dir()


def test_commands_of_training_run(
    takes: Path, tiny_base_wide: Path, tiny_tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "import", "takes", "--captions", "captions.csv", "--out", "dataset", "--val", "0"]) == 0
    tiny = [
        f"model.base={tiny_base_wide}",
        f"model.tokenizer={tiny_tokenizer}",
        "train.steps=2",
        "train.batch=4",
        "train.validate_examples=4",
    ]
    for words in commands(DOCS / "training.md"):
        # As it stands there, on a base and for a time that a test has.
        clips = ["data.sources.0.clips=20"] if "builtin" in words else []
        made = [*tiny, *clips] if words[0] in ("train", "data") and not {"--resume", "library"} & {*words} else []
        assert cli.main([*words, *made]) == 0, (words, capsys.readouterr().err)
    assert {"builtin", "own", "dora", "qlora"} == {p.name for p in (takes / "runs").iterdir()}
    assert (takes / "merged" / "config.json").is_file()
