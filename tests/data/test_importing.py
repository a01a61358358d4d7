"""Importing a folder: good files become a data set, bad ones are named with their reasons, nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion, cli
from motionllm.data import builtin, importing
from motionllm.data.importing import import_folder
from motionllm.data.sources import humanml3d
from motionllm.errors import MotionLLMError

BOX = """HIERARCHY
ROOT box
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT lid
 {
  OFFSET 0 1 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 1 0
  }
 }
}
MOTION
Frames: 30
Frame Time: 0.05
"""


def joints(action: str, seed: int = 1) -> np.ndarray:
    return builtin.joints(builtin.Spec((builtin.Part(action, side="left"),)), seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "takes"
    (place / "more").mkdir(parents=True)
    Motion(joints("wave") * 1.1).save(place / "Wave_Left.bvh")
    np.save(place / "kick.npy", joints("kick"))
    np.save(place / "more" / "kick.npy", joints("kick", 2))
    np.save(place / "long.npy", np.concatenate([joints("raise", seed) for seed in range(6)]))
    return place


def run(folder: Path, out: Path, **options: object) -> dict[str, object]:
    return import_folder(folder, out, workers=1, **{"captions": "names", **options})  # type: ignore[arg-type]


def test_files_become_a_data_set(folder: Path, tmp_path: Path) -> None:
    report = run(folder, tmp_path / "set", val=0.0, test=0.0)
    assert report["files"] == 4 and not report["refused"]
    samples = {s.id: s for s in humanml3d(tmp_path / "set", "train")}
    assert samples["Wave_Left"].captions == ["wave left"]
    assert {"kick", "more_kick"} <= set(samples)  # one name, two files
    assert sum(name.startswith("long_") for name in samples) > 1  # cut into pieces
    assert all(np.isfinite(s.load()).all() and len(s.load()) < 9.9 * 20 for s in samples.values())
    assert abs(samples["Wave_Left"].labels["leg"] / samples["kick"].labels["leg"] - 1.1) < 0.02  # body kept beside
    assert (tmp_path / "set" / "contact.png").stat().st_size > 1000
    assert not (tmp_path / "set" / "val.txt").exists()  # no clip is in it


def test_bad_files_are_named_and_the_others_go_on(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.bvh").write_text((folder / "Wave_Left.bvh").read_text()[:3000])
    (folder / "empty.bvh").write_text("")
    np.save(folder / "nan.npy", np.full((40, 22, 3), np.nan, np.float32))
    (folder / "box.bvh").write_text(BOX + "0 0 0 0 0 0 0 0 0\n" * 30)
    report = run(folder, tmp_path / "set")
    refused = report["refused"]
    assert set(refused) == {"broken.bvh", "empty.bvh", "nan.npy", "box.bvh"}  # type: ignore[arg-type]
    for name, words in {"broken.bvh": "line ", "empty.bvh": "empty", "nan.npy": "NaN", "box.bvh": "pelvis"}.items():
        assert words in refused[name]  # type: ignore[index]
    assert json.loads((tmp_path / "set" / "import.json").read_text()) == report


def test_the_command_says_so_by_its_status(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "import", str(folder), "--captions", "names", "--out", str(tmp_path / "set"), "--workers", "1"]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 4
    (folder / "empty.bvh").write_text("")
    assert cli.main(words) == 2
    assert "refused empty.bvh: " in capsys.readouterr().out


def test_what_is_there_is_not_done_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(folder, tmp_path / "set")
    done: list[str] = []
    real = importing._convert

    def counting(job: tuple[str, str, str, str | None, float]) -> importing.Taken:
        done.append(job[1])
        return real(job)

    monkeypatch.setattr(importing, "_convert", counting)
    assert run(folder, tmp_path / "set") == first and done == []
    np.save(folder / "kick.npy", joints("kick", 5))
    run(folder, tmp_path / "set")
    assert done == ["kick"]


def test_several_processes_give_the_same(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "one")
    import_folder(folder, tmp_path / "two", captions="names", workers=2)
    for file in sorted((tmp_path / "one" / "new_joints").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / "new_joints" / file.name).read_bytes()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "beside"])
def test_captions_from_every_source(kind: str, folder: Path, tmp_path: Path) -> None:
    captions: Path | None = tmp_path / f"captions.{kind}"
    if kind == "csv":
        captions.write_text('file,caption,from,to\nkick.npy,"a kick, with style",,\nlong,raises an arm,0,2.5\n')  # type: ignore[union-attr]
    elif kind == "jsonl":
        rows = [
            {"id": "kick", "captions": ["a kick, with style"]},
            {"id": "long", "caption": "raises an arm", "to": 2.5},
        ]
        captions.write_text("".join(json.dumps(row) + "\n" for row in rows))  # type: ignore[union-attr]
    else:
        captions = None
        (folder / "kick.txt").write_text("a kick, with style\n")
        (folder / "long.txt").write_text("raises an arm#raise/VERB#0.0#2.5\n")
    report = run(folder, tmp_path / "set", captions=captions, val=0.0, test=0.0)
    samples = {s.id: s for s in humanml3d(tmp_path / "set", "train")}
    assert samples["kick"].captions == ["a kick, with style"]
    assert samples["long_1"].captions == ["raises an arm"] and len(samples["long_1"].load()) == 50
    assert "long_2" not in samples  # its caption is of the first 2.5 s
    assert report["refused"]["Wave_Left.bvh"] == "has no caption."  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"captions": Path("absent.csv")}, "absent.csv"),
        ({"captions": None}, "No file"),
        ({"val": 0.6, "test": 0.4}, "leave no clip"),
        ({"longest": 0.0}, "at least 1 second"),
    ],
)
def test_wrong_requests_are_refused(folder: Path, tmp_path: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(MotionLLMError, match=words):
        run(folder, tmp_path / "set", **options)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match="no motion file"):
        run(tmp_path, tmp_path / "set")


def test_facts_and_view_by_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "facts", str(folder / "Wave_Left.bvh"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert any(e["name"] == "wave" and e["side"] == "left" for e in found["events"])
    page = tmp_path / "page.html"
    assert cli.main(["data", "view", str(folder / "Wave_Left.bvh"), str(folder / "kick.npy"), "--out", str(page)]) == 0
    assert page.read_text().count("<figure>") == 2
    assert cli.main(["data", "facts", str(tmp_path / "none.bvh")]) == 2
