"""Importing a folder: good files become a data set, bad ones are named with their reasons, nothing is done twice."""

from __future__ import annotations

import csv
import json
import os
import socket
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import Motion, cli, files
from motionllm import corpus as builtin
from motionllm.data import importing
from motionllm.data.import_files import ids_of, shown, takes_of
from motionllm.data.importing import import_folder, summary
from motionllm.data.sources import humanml3d
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import lock

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


# What file names are made of, so that the ids of many files meet: by what is not a letter, by case, by the numbers of
# pieces, by folders and by suffixes.
NAMES = [
    "walk",
    "Walk",
    "walk 1",
    "walk_1",
    "walk-1",
    "walk  1",
    "walk#1",
    "walk.1",
    "WALK_1",
    "walk_1_1",
    "walk__1",
    "walk_2",
    "walk_",
    "walk 1_2",
    "é",
    "e\u0301",
    "x" * 200,
    "x" * 201,
    "a\nb",
    "a b",
    "#",
    ".walk",
    "w\udcff",
]
FOLDERS = ["", "more", "more 1", "More_1", "walk"]


def numbered(place: Path, seed: int, count: int) -> dict[Path, int]:
    """Files of names that meet, each with another number of frames, by which its clips are told."""
    random = np.random.default_rng(seed)
    clip = joints("wave")
    files: dict[Path, int] = {}
    while len(files) < count:
        path = place / FOLDERS[random.integers(len(FOLDERS))] / f"{NAMES[random.integers(len(NAMES))]}.npy"
        if path not in files:
            files[path] = 12 + len(files)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, clip[: files[path]])
    return files


def clips_of(out: Path) -> dict[str, int]:
    """Frames by caption over the clips of all lists; no two ids may be one file where case does not count."""
    frames: dict[str, int] = defaultdict(int)
    ids = [
        i for split in ("train", "val", "test") if (f := out / f"{split}.txt").is_file() for i in f.read_text().split()
    ]
    assert max(Counter(i.casefold() for i in ids).values()) == 1
    for name in ids:
        caption = (out / "texts" / f"{name}.txt").read_text(encoding="utf-8").split("#")[0]
        frames[caption] += len(np.load(out / "new_joints" / f"{name}.npy"))
    return dict(frames)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["beside", "csv"])
def test_no_clip_is_lost_where_names_meet(
    seed: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "contact_sheet", lambda *_: None)  # the most of the time
    files = numbered(tmp_path / "takes", seed, 30)
    rows = []
    for file, frames in files.items():
        if kind == "beside":
            file.with_suffix(".txt").write_text(f"take of {frames} frames\n")
        elif str(file).isprintable():
            rows.append((str(file.relative_to(tmp_path / "takes")), f"take of {frames} frames"))
    with open(tmp_path / "captions.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("file", "caption"), *rows])
    report = run(
        tmp_path / "takes",
        tmp_path / "set",
        captions=tmp_path / "captions.csv" if kind == "csv" else None,
        longest=1.0,  # of 20 frames: the longer ones are cut
    )
    wanted = {f"take of {frames} frames": frames for frames in files.values()}
    if kind == "csv":
        wanted = {caption: wanted[caption] for _, caption in rows}
        assert set(report["refused"].values()) <= {"has no caption."}  # type: ignore[attr-defined]
    else:
        assert report["refused"] == {}
    assert clips_of(tmp_path / "set") == wanted
    assert all(name.isprintable() for name in report["notes"])  # type: ignore[attr-defined]


def test_ids_hang_on_names_alone(tmp_path: Path) -> None:
    files = list(numbered(tmp_path, 7, 40))
    assert ids_of(tmp_path, files) == ids_of(tmp_path, files[::-1])
    plain = [tmp_path / "walk 1.npy", tmp_path / "walk_1.npy"]
    assert ids_of(tmp_path, plain)[plain[1]] == "walk_1"  # the one that is called so


@pytest.mark.parametrize("seed", range(20))
def test_ids_and_splits_stay_when_files_are_added(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    every = [
        tmp_path / place / f"{stem}{suffix}"
        for place in ("", "a", "b")
        for stem in ("x", "X", "walk 1", "walk_1")
        for suffix in (".bvh", ".glb", ".npy")
    ]
    random.shuffle(every)  # type: ignore[arg-type]
    kept: dict[str, str] = {}
    for count in (5, 12, len(every)):  # three imports, each of more files
        files = sorted(every[:count])
        ids = ids_of(tmp_path, files, kept)
        assert len({name.casefold() for name in ids.values()}) == count
        assert {shown(tmp_path, file): name for file, name in ids.items()}.items() >= kept.items()
        kept = {shown(tmp_path, file): name for file, name in ids.items()}
        takes = takes_of(tmp_path, ids)
        for file in files:
            alike = [o for o in files if str(o.with_suffix("")).casefold() == str(file.with_suffix("")).casefold()]
            assert len({takes[other] for other in alike}) == 1 and takes[file] in [ids[other] for other in alike]
            assert len(alike) > 1 or takes[file] == ids[file]


def test_a_take_in_two_formats_is_in_one_split_and_texts_stay(tmp_path: Path) -> None:
    takes, out = tmp_path / "takes", tmp_path / "set"
    takes.mkdir()
    for n in range(8):
        Motion(joints("wave", n)).save(takes / f"take{n}.bvh")
    import_folder(takes, out, val=0.4, test=0.3, uncaptioned=True)
    before = {row["source"]: row for row in map(json.loads, (out / "labels.jsonl").read_text().splitlines())}
    (out / "texts" / "take3.txt").write_text("he waves like a king.#he/PRON#0.0#0.0\n")
    for n in range(8):
        Motion(joints("wave", n)).save(takes / f"take{n}.npy")
    report = import_folder(takes, out, val=0.4, test=0.3, uncaptioned=True)
    after = {row["source"]: row for row in map(json.loads, (out / "labels.jsonl").read_text().splitlines())}
    assert {source: after[source] for source in before} == before and len(after) == 16
    assert all(after[f"take{n}.npy"]["split"] == after[f"take{n}.bvh"]["split"] for n in range(8))
    assert "king" in (out / "texts" / "take3.txt").read_text() and after["take3.bvh"]["id"] == "take3"
    assert all("with another suffix" in report["notes"][source][-1] for source in after)


def test_a_name_that_may_be_two_files_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "kick.npy").rename(folder / "more" / "kick.npz")
    captions = tmp_path / "captions.csv"
    captions.write_text("file,caption\nkick,a kick\n")
    with pytest.raises(MotionLLMError, match=r"line 2: 'kick' may be more/kick.npy or more/kick.npz"):
        run(folder, tmp_path / "set", captions=captions)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "beside"])
@pytest.mark.parametrize("seed", range(3))
def test_every_caption_is_used_or_named_by_its_line(kind: str, seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    clip = joints("wave")[:41]
    (tmp_path / "takes").mkdir()
    rows: list[dict[str, object]] = []
    for number in range(25):
        np.save(tmp_path / "takes" / f"t{number}.npy", clip)
        seconds = [
            random.choice(["", "0", "nan", "NaN", "-1", "0.5", "1.5", "1.7", "2", "9", "inf", "soon", "1e400"])
            for _ in range(2)
        ]
        rows.append({"file": f"t{number}.npy", "caption": f"take {number}", "from": seconds[0], "to": seconds[1]})
    captions = tmp_path / f"captions.{kind}"
    if kind == "csv":
        with open(captions, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        captions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        for number, row in enumerate(rows):
            (tmp_path / "takes" / f"t{number}.txt").write_text(f"{row['caption']}##{row['from']}#{row['to']}\n")
    report = run(tmp_path / "takes", tmp_path / "set", captions=None if kind == "beside" else captions)
    used = set(clips_of(tmp_path / "set"))
    for number in range(25):
        line = {"csv": number + 2, "jsonl": number + 1, "beside": 1}[kind]
        why = report["refused"].get(f"t{number}.npy", "")  # type: ignore[attr-defined]
        assert (f"take {number}" in used) != (f"line {line}: it" in why), (rows[number], why)


def test_rows_that_say_nothing_are_named(folder: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.csv"
    rows = ["file;caption", "kick.npy;a kick", "gone.npy;he is gone", "long.npy;", "Wave_Left.bvh;up;down", ""]
    captions.write_bytes("\r\n".join(rows).encode("utf-16"))
    report = run(folder, tmp_path / "set", captions=captions)
    assert "line 3: 'gone.npy'" in report["unused"][0]  # type: ignore[index]
    assert "line 4: has no caption" in report["refused"]["long.npy"]  # type: ignore[index]
    assert "line 5: has more fields" in report["refused"]["Wave_Left.bvh"]  # type: ignore[index]
    assert set(clips_of(tmp_path / "set")) == {"a kick"}


def test_lost_captions_are_told_before_all_else() -> None:
    from motionllm.cli.start import lines

    notes = {f"{n}.npy": ["mended: units taken for centimetres"] for n in range(9)}
    notes |= {f"c{n}.npy": ["check: the knees bend backwards"] for n in range(9)}
    notes["a.npy"] = ["captions.csv, line 7: it ends at 1 s, before it begins at 2 s"]
    assert "line 7: it ends" in summary(notes)[0] and "check" in summary(notes)[1]
    unused = ["captions.csv, line 3: no"]
    report = {"clips": {"train": 9}, "seconds": 60.0, "refused": {}, "notes": notes, "unused": unused}
    plan = {"minutes": 1.0, "steps": 1, "passes": 1.0, "memory_gib": 1.0}
    result: dict[str, Any] = {"import": report, "plan": plan, "project": Path("p"), "clips": 9, "stage": "train"}
    result |= {"captioned": 9, "drafted": 0, "drafts": {}, "recipe": "r", "edited": False, "run": "r", "said": []}
    shown = lines(result | {"expect": [], "next": []})
    told = [line for line in shown if "captions.csv" in line or "noted" in line]
    assert "line 3: no" in told[0] and "line 7: it ends" in told[1]


def test_a_header_without_the_columns_is_line_1(folder: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.csv"
    captions.write_text("clip name,words\nkick.npy,a kick\n")
    with pytest.raises(MotionLLMError, match=r"captions\.csv, line 1: needs `file` and `caption`, has clip name"):
        run(folder, tmp_path / "set", captions=captions)


def test_what_is_no_file_to_read_ends_no_import(
    folder: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "nowhere.bvh").symlink_to("gone")
    (folder / "self.bvh").symlink_to("self.bvh")
    (folder / "loop").symlink_to(".")
    (folder / "folder.bvh").mkdir()
    os.mkfifo(folder / "fifo.npy")
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(folder)  # the path of a socket may not be long
    server.bind("socket.npz")
    (folder / "zero.npy").symlink_to("/dev/zero")
    odd = folder / b"line\nend \xff.npy".decode("utf-8", "surrogateescape")
    odd.write_bytes((folder / "kick.npy").read_bytes())
    (tmp_path / "beside").mkdir()
    np.save(tmp_path / "beside" / "linked.npy", joints("kick", 3))
    (folder / "link").symlink_to(tmp_path / "beside")
    words = ["data", "import", str(folder), "--captions", "names", "--out", str(folder / "set"), "--workers", "1"]
    for _ in range(2):  # and once more with the data set lying in it
        assert cli.main([*words, "--json"]) == 2
        report = json.loads(capfdbinary.readouterr().out.decode("utf-8"))
        assert set(report["refused"]) == {"nowhere.bvh", "self.bvh", "fifo.npy", "socket.npz", "zero.npy"}
        assert report["files"] == 6 and sum(report["clips"].values()) >= 6
    assert cli.main(words) == 2
    assert all(f"refused {name}: " in capfdbinary.readouterr().out.decode() for name in ["fifo.npy"])
    server.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "more").chmod(0)
    try:
        assert "more" in run(folder, tmp_path / "set")["refused"]  # type: ignore[operator]
    finally:
        (folder / "more").chmod(0o755)


def test_a_full_disk_is_not_remembered_as_bad_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = run(folder, tmp_path / "wanted")
    for room in range(4):
        saved = []

        def save(
            self: Motion, path: Path, real: object = Motion.save, saved: list[Path] = saved, room: int = room
        ) -> None:
            if len(saved) >= room:
                raise MotionFileError(f"{path}: cannot be written (No space left on device); nothing was changed.")
            saved.append(path)
            real(self, path)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            patch.setattr(Motion, "save", save)
            with pytest.raises(MotionFileError, match="No space left"):
                run(folder, tmp_path / f"set{room}")
        again = run(folder, tmp_path / f"set{room}")
        assert again | {"dataset": ""} == wanted | {"dataset": ""}


class Killed(BaseException):
    pass


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(out)): f.read_bytes()
        for f in out.rglob("*")
        if f.is_file() and f.name not in ("import.json", "contact.png", ".import.jsonl")
    }


def test_an_import_killed_anywhere_is_completed_by_the_next(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, tmp_path / "wanted")
    wanted = contents(tmp_path / "wanted")
    out = tmp_path / "set"
    for moment in range(1, 100):
        left = [moment]

        def write(*given: object, real: object, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] <= 0:
                raise Killed
            real(*given)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            for module in (importing, files):
                patch.setattr(module, "write_file", lambda *g, real=files.write_file: write(*g, real=real))
            patch.setattr(importing, "_keep", lambda *g, real=importing._keep: write(*g, real=real))
            patch.setattr(Motion, "save", lambda *g, real=Motion.save: write(*g, real=real))
            try:
                run(folder, out)
                break
            except Killed:
                half = out / "new_joints" / ".kick.npy.4194999.part.npy"  # as a process that is killed leaves it
                half.write_bytes(b"half")
                journal = out / ".import.jsonl"
                journal.write_bytes(journal.read_bytes()[: -moment % 7 or None])
    assert moment > 10 and contents(out) == wanted


def test_a_file_that_ends_its_process_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import multiprocessing

    if multiprocessing.get_start_method() != "fork":
        pytest.skip("what is patched here reaches forked processes alone")
    real = Motion.load
    monkeypatch.setattr(Motion, "load", lambda file, *rest: os._exit(9) if "long" in str(file) else real(file, *rest))
    report = import_folder(folder, tmp_path / "set", captions="names", workers=2)
    assert list(report["refused"]) == ["long.npy"] and "process" in report["refused"]["long.npy"]
    monkeypatch.setattr(Motion, "load", real)
    assert run(folder, tmp_path / "set")["refused"] == {}


def test_two_imports_do_not_meet(folder: Path, tmp_path: Path) -> None:
    with lock(tmp_path / "set"), pytest.raises(MotionLLMError, match="in use"):
        run(folder, tmp_path / "set")
    with pytest.raises(MotionLLMError, match="another folder"):
        run(folder, folder)


def test_doubts_come_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Motion.load

    def noted(file: object, rig: object = None) -> Motion:
        from dataclasses import replace

        motion = real(file, rig)  # type: ignore[arg-type]
        notes = {"kick": ("check: the legs are 1.3 times as long",), "long": ("mended: turned upright",)}
        return replace(motion, notes=("units taken for 0.01 m", *notes.get(Path(str(file)).stem, ())))

    sheet: list[str] = []
    monkeypatch.setattr(Motion, "load", noted)
    monkeypatch.setattr(importing, "contact_sheet", lambda clips, path: sheet.extend(name for name, _ in clips))
    report = run(folder, tmp_path / "set")
    assert sheet[:2] in (["? kick", "? more_kick"], ["? more_kick", "? kick"])
    assert sheet[2].startswith("? long_") and sheet[-1] == "Wave_Left"
    lines = importing.summary(report["notes"])  # type: ignore[arg-type]
    assert lines[0] == "2 files: check: the legs are 1.3 times as long (kick.npy, more/kick.npy)"
    assert lines[1] == "1 file: mended: turned upright (long.npy)"
    assert lines[2] == "4 files: units taken for 0.01 m (Wave_Left.bvh, kick.npy, long.npy and 1 more)"
    many = {f"f{n}": [f"kind {'x' * (n % 15)} of {n}"] for n in range(60)}
    assert len(importing.summary(many)) == 13 and "3 more kinds" in importing.summary(many)[-1]


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


def test_files_without_a_caption_are_taken_where_wanted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text("file,caption\nWave_Left,a person waves\nkick.npy,\n")
    out = tmp_path / "set"
    report = run(folder, out, captions=[None, tmp_path / "captions.csv"], val=0.0, test=0.0, uncaptioned=True)
    assert not report["refused"] and "kick.npy" not in report["notes"]
    listed = (out / "train.txt").read_text().split()
    assert {"Wave_Left", "kick", "more_kick", "long_1", "long_2"} <= {*listed}
    assert [file.name for file in (out / "texts").iterdir()] == ["Wave_Left.txt"]
    assert len(import_folder(folder, tmp_path / "none", uncaptioned=True, workers=1)["refused"]) == 0


def test_a_text_that_was_edited_in_the_set_is_kept(folder: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "captions.csv", tmp_path / "set"
    table.write_text("file,caption\nWave_Left,a person waves\nkick.npy,a kick\n")
    run(folder, out, captions=table, uncaptioned=True)
    (out / "texts" / "Wave_Left.txt").write_text("a person waves goodbye\n")  # of an imported text
    (out / "texts" / "more_kick.txt").write_text("a high kick\n")  # of a clip that had none
    table.write_text("file,caption\nWave_Left,waving\nkick.npy,kicking\nmore/kick.npy,kicking\n")
    for _ in range(2):
        report = run(folder, out, captions=table, uncaptioned=True)
        texts = {file.stem: file.read_text() for file in (out / "texts").iterdir()}
        assert texts == {
            "Wave_Left": "a person waves goodbye\n",
            "kick": "kicking##0.0#0.0\n",
            "more_kick": "a high kick\n",
        }
        assert report["notes"]["more/kick.npy"] == ["texts/more_kick.txt was edited in the data set and is kept"]


def test_captions_of_whole_pieces_have_no_seconds(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "set")
    pieces = sorted((tmp_path / "set" / "new_joints").glob("long_*.npy"))
    edge = len(np.load(pieces[0])) / 20
    (tmp_path / "captions.csv").write_text(f"file,caption,from,to\nlong,first,0,{edge:.2f}\nlong,second,{edge:.2f},\n")
    run(folder, tmp_path / "set", captions=tmp_path / "captions.csv")
    assert (tmp_path / "set" / "texts" / "long_1.txt").read_text() == "first##0.0#0.0\n"
    assert (tmp_path / "set" / "texts" / "long_2.txt").read_text() == "second##0.0#0.0\n"
