"""`motionllm start`: from a folder of takes to a model, by the commands it prints; what a person changed is kept."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion, cli
from motionllm import corpus as builtin
from motionllm.app.start import _seconds, expectations

PAGE = Path(__file__).parents[2] / "docs" / "start.md"


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine") / "takes"
    folder.mkdir()
    for seed in range(20):
        action = ("wave", "kick", "raise")[seed % 3]
        Motion(builtin.joints(builtin.Spec((builtin.Part(action, side="left"),)), seed)).save(
            folder / f"{seed:03d}.npy"
        )
    return folder


@pytest.fixture
def tiny(tiny_base_wide: Path, tiny_tokenizer: Path) -> list[str]:
    """Words that make the recipe one of seconds."""
    return [
        f"model.base={tiny_base_wide}",
        f"model.tokenizer={tiny_tokenizer}",
        "adapter.start=null",
        "data.sources.1.clips=20",
        "data.sources.0.more.cuts=1",
        "train.steps=2",
    ]


def called(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert cli.main([*words, "--json"]) == 0, capsys.readouterr().err
    result: dict[str, object] = json.loads(capsys.readouterr().out)
    return result


def test_the_road_by_the_commands_it_prints(
    takes: Path, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(takes.parent)
    documented = re.findall("^(motionllm .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    first = called(["start", "takes", *tiny], capsys)
    assert first["web"] in documented
    project = takes.parent / "takes-project"
    assert first["stage"] == "label" and (first["captioned"], first["drafted"]) == (0, 20)
    assert first["import"]["clips"] == {"train": 14, "val": 3, "test": 3}  # type: ignore[index]
    assert "No clip has words of yours" in " ".join(first["expect"])  # type: ignore[arg-type]
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    assert called(["start", "takes"], capsys) == first  # the words for the recipe too
    assert {file: file.read_bytes() for file in project.rglob("*") if file.is_file()} == before

    rows = list(csv.DictReader((project / "captions.csv").open()))
    assert all(row["draft"].startswith("a person ") and not row["caption"] for row in rows) and len(rows) == 20
    for row in rows[:18]:
        row["caption"] = f"the dancer shows {row['file']}"
    with (project / "captions.csv").open("w", newline="") as file:  # as a spreadsheet that knows decimal commas
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    second = called(shlex.split(first["next"][0])[1:], capsys)  # type: ignore[index]
    assert second["stage"] == "train" and (second["captioned"], second["drafted"]) == (18, 2)
    assert (project / "set" / "texts" / "000.txt").read_text().startswith("the dancer shows 000.npy#")

    assert cli.main(shlex.split(second["next"][0])[1:]) == 0  # type: ignore[index]
    capsys.readouterr()
    third = called(shlex.split(second["next"][1])[1:], capsys)  # type: ignore[index]
    assert third["stage"] == "try" and third["run"] == "runs/takes"
    caption, _, library, generate, chat = (shlex.split(line)[1:] for line in third["next"])  # type: ignore[attr-defined]
    assert cli.main(caption) == 0 and cli.main(library) == 0 and chat[0] == "chat"
    assert cli.main([*generate, "--best-of", "1"]) == 0
    capsys.readouterr()
    fourth = called(["start", "takes"], capsys)
    assert len(fourth["said"]) == 3 and (project / "first.html").is_file()  # type: ignore[arg-type]
    printed_lines = [
        line.removesuffix(" " + shlex.join(tiny)) for one in (first, second, third) for line in one["next"]
    ]
    assert {line for line in printed_lines if " generate " not in line} <= {*documented}
    assert cli.main(["start", "takes"]) == 0
    printed = capsys.readouterr().out
    assert "4 training  done: runs/takes" in printed and "Expect: 20 clips are few" in printed


def test_what_a_person_changes_is_kept(
    takes: Path, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    more = tmp_path / "takes"
    more.mkdir()
    for file in takes.iterdir():
        np.save(more / file.name, np.load(file))
    called(["start", str(more), *tiny], capsys)
    project = tmp_path / "takes-project"
    splits = {name: (project / "set" / f"{name}.txt").read_text().split() for name in ("train", "val", "test")}
    recipe = (project / "recipe.yaml").read_text().replace("lr: 5.0e-4", "lr: 1.0e-4")
    (project / "recipe.yaml").write_text(recipe)
    (project / "set" / "texts" / "001.txt").write_text("words from elsewhere\n")
    np.save(more / "new.npy", np.load(more / "000.npy"))
    result = called(["start", str(more)], capsys)
    assert result["edited"] and (project / "recipe.yaml").read_text() == recipe
    assert (result["clips"], result["captioned"]) == (21, 1)
    assert len(list(csv.reader((project / "captions.csv").open()))) == 1 + 21
    for name, ids in splits.items():  # no take changes its split when others come
        assert {*ids} <= {*(project / "set" / f"{name}.txt").read_text().split()}
    assert (project / "set" / "texts" / "001.txt").read_text() == "words from elsewhere\n"


def test_too_few_takes_and_wrong_folders_get_a_sentence(
    takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(takes.iterdir())[:19]:
        np.save(few / file.name, np.load(file))
    for words, expected in (
        ([str(few)], "few gives 19 clips, and 20 are the least"),
        ([str(tmp_path / "nowhere")], "is not a folder"),
        ([str(takes), "--out", str(takes / "project")], "would lie within"),
        ([str(takes), "--out", "few-project"], "is the project of"),
    ):
        assert cli.main(["start", *words]) == 2
        assert expected in capsys.readouterr().err


def test_expectations_follow_the_numbers() -> None:
    few = " ".join(expectations({"train": 14, "val": 3, "test": 3}, 20, 12))
    assert "few" in few and "33 % of a score" in few and "words of yours" not in few
    some = " ".join(expectations({"train": 400, "val": 50, "test": 50}, 100, 2))
    assert "400 clips have only a draft" in some and "--minutes" in some
    assert "tokenizer" in " ".join(expectations({"train": 4000, "val": 50, "test": 0}, 4050, 12))
    assert "by heart" in " ".join(expectations({"train": 30, "val": 0, "test": 0}, 30, 12))


@pytest.mark.parametrize(
    ("cell", "seconds"), [("7.50", 7.5), ("7.5", 7.5), ("7,5", 7.5), ("0", 0.0), ("", 0.0), (None, 0.0)]
)
def test_a_row_is_the_same_however_a_spreadsheet_writes_its_seconds(cell: str | None, seconds: float) -> None:
    assert _seconds(cell) == _seconds(f"{seconds:.2f}") == seconds
