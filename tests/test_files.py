"""Files: whole or not at all, within bounds, one process at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import (
    Kind,
    check_place,
    lock,
    parse_json,
    parse_yaml,
    read_jsonl,
    read_text,
    tidy,
    whole,
    whole_folder,
    write_file,
    writing,
)

GONE = 4_000_000  # beyond the largest process number of Linux by default


def test_what_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    write_file(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError), whole(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise KeyError
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("keep", [False, True])
def test_a_folder_is_replaced_or_filled_up(tmp_path: Path, keep: bool) -> None:
    kind = Kind("thing", "mark.json", ("it",), ("?.txt", "mark.json"))
    for number in (1, 2):
        with whole_folder(tmp_path / "run", keep, kind) as part:
            (part / f"{number}.txt").write_text("x")
            (part / "mark.json").write_text('{"it": 1}')
    there = ["1.txt", "2.txt", "mark.json"] if keep else ["2.txt", "mark.json"]
    assert [p.name for p in sorted((tmp_path / "run").iterdir())] == there
    with pytest.raises(KeyError), whole_folder(tmp_path / "run", keep, kind) as part:
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_names_no_hidden_part(tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match="No space left") as caught, whole_folder(tmp_path / "run") as part:
        (part / "a").mkdir()
        with writing(part / "a" / "x.bin"), open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x" * 4096)
    assert str(tmp_path / "run" / "a" / "x.bin") in str(caught.value) and ".part" not in str(caught.value)
    with pytest.raises(MotionFileError) as caught, writing(tmp_path / "run"):
        raise OSError(f"cannot open {tmp_path}/.run.1a.h01234567.12.part/model.safetensors")
    assert ".part" not in str(caught.value)


def _snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def test_a_folder_takes_the_place_of_its_own_kind_alone(tmp_path: Path) -> None:
    kind = Kind("thing", "mark.json", ("it",), ("*.bin", "mark.json"))
    foreign: list[dict[str, str]] = [
        {"take.bvh": "HIERARCHY"},
        {"sub/take.bvh": "HIERARCHY"},
        {"weights.bin": "x"},
        {"mark.json": "{}"},
        {"mark.json": '{"other": 1}', "weights.bin": "x"},
        {"mark.json": "no JSON"},
    ]
    for number, content in enumerate(foreign):
        folder = tmp_path / str(number)
        for name, text in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (tmp_path / "clip.bvh").write_text("HIERARCHY")
    before = _snapshot(tmp_path)
    for name in ("clip.bvh", *map(str, range(len(foreign)))):
        for replaces in (None, kind):
            with (
                pytest.raises(MotionFileError, match=r"give a folder that does not exist yet\.$"),
                whole_folder(tmp_path / name, replaces=replaces),
            ):
                pytest.fail("begun")
        if name != "0" and name != "1":  # nothing there has a name of this kind's
            with pytest.raises(MotionFileError), whole_folder(tmp_path / name, keep=True, replaces=kind):
                pytest.fail("begun")
    assert _snapshot(tmp_path) == before
    mine = tmp_path / "mine"
    (tmp_path / "link").symlink_to(mine)
    for place in (mine, mine, tmp_path / "link"):
        with whole_folder(place, replaces=kind) as part:
            (part / "mark.json").write_text('{"it": 1}')
            assert not (part / "notes").exists()
        (mine / "notes").mkdir(exist_ok=True)
        (mine / "notes" / "a.txt").write_text("somebody's own")
        (mine / "old.bin").write_text("of the one that is replaced")
    assert (tmp_path / "link").is_symlink()
    with whole_folder(mine, replaces=kind) as part:
        (part / "mark.json").write_text('{"it": 2}')
    assert {name for name in _snapshot(mine)} == {"mark.json", "notes", "notes/a.txt"}


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write_file(tmp_path / "file", "x")
    for path in (tmp_path / "folder", tmp_path / "file" / "a.txt", tmp_path / "none" / "a.txt"):
        with pytest.raises(MotionFileError, match="cannot be written"):
            write_file(path, "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    write_file(tmp_path / ("é" * 120 + ".txt"), "x")  # 244 of the 255 bytes that a name may have


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match="No space left"), whole(tmp_path / "a.bin") as part:
        part.symlink_to("/dev/full")
        with open(part, "wb", buffering=0) as file:
            file.write(b"x")
    assert not list(tmp_path.iterdir())


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    (tmp_path / f".a.bvh.{GONE}.part.bvh").write_text("x")
    (tmp_path / f".run.{GONE}.part").mkdir()
    (tmp_path / f".b.bvh.{os.getpid()}.part.bvh").write_text("x")
    (tmp_path / ".adapter.aside").mkdir()
    (tmp_path / ".adapter.aside" / "x").write_text("x")
    tidy(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".b.bvh.{os.getpid()}.part.bvh", "adapter"]


def test_texts_of_any_usual_encoding(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "a.txt").write_bytes("Schön\r\n".encode(encoding))
        assert read_text(tmp_path / "a.txt") == "Schön\n"
    (tmp_path / "a.txt").write_bytes(b"gut\n" + "Schön".encode("latin-1"))
    with pytest.raises(MotionFileError, match=r"not UTF-8 text \(line 2, byte 0xf6\)"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(MotionFileError, match="up to 0 MB"):
        read_text(tmp_path / "a.txt", limit=2)
    for path in (tmp_path, tmp_path / "none", tmp_path / ("x" * 5000), Path("a\0b")):
        with pytest.raises(MotionFileError):
            read_text(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "NaN", '{"a": Infinity}', ""])
def test_what_is_no_json_is_one_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match=r"x\.json"):
        parse_json(text, "x.json")
    if text:
        (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n' + text)
        with pytest.raises(MotionFileError, match="line 3"):
            read_jsonl(tmp_path / "a.jsonl")


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: " + "[" * 10_000, "nested too deeply"),
        ("{a: " * 10_000, "nested too deeply"),
        ("a: " + "[" * 60 + "]" * 60, "nested too deeply"),
        (LAUGHS, "more than 100000 values"),
        ("a: &x [*x]", "nested too deeply"),
        ("&x {a: *x}", "nested too deeply"),
        ("b: 1\na: 1\na: 2\n", "line 3: is not valid YAML (the key a is given twice)"),
        ("a: {1: 2}", "`a` has the key 1, which is no text"),
        ("yes: 2", "has the key True"),
        ("a: [!!python/object/apply:os.system [x]]", "python/object"),
        ("a: 2020-01-01", "`a` is of the YAML type date; quote it"),
        ("a: 2020-13-45", "not valid YAML (month"),
        ("a: [!!binary aGk=]", "`a.0` is of the YAML type bytes"),
        ("b: 1\na\0b: 1", "line 2: is not YAML text (it holds the character 0x00)"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: !!bool 7", "a tag does not fit"),
        ("a: !!timestamp 7", "a tag does not fit"),
        ("a: 1:99999999999999999999x\nb: [1", "expected ',' or ']'"),
    ],
)
def test_what_is_no_yaml_of_ours_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(MotionFileError) as caught:
        parse_yaml(text, "x.yaml")
    message = str(caught.value)
    assert message.startswith("x.yaml") and says in message and len(message) < 300 and "\n" not in message


def test_yaml_with_aliases_is_read() -> None:
    text = "a: &a {x: 1, y: [1, .5]}\nb: *a\nc: {<<: *a, x: 2}\n"
    assert parse_yaml(text, "x") == {"a": (a := {"x": 1, "y": [1, 0.5]}), "b": a, "c": a | {"x": 2}}
    assert parse_yaml("", "x") is None


def test_a_second_process_is_refused_and_a_dead_one_forgotten(tmp_path: Path) -> None:
    code = (
        "import sys, os; from motionllm.files import lock; from motionllm.errors import MotionLLMError\n"
        "try:\n    with lock(sys.argv[1]):\n        print('held', flush=True); sys.stdin.read()\n"
        "except MotionLLMError as error:\n    print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:  # type: ignore[call-overload]
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(MotionLLMError, match=rf"is in use by process {first.pid} on .+ \(-c"),
            lock(tmp_path / "run"),
        ):
            pass
        first.kill()
    with lock(tmp_path / "run"):
        second = subprocess.run(command, input="", capture_output=True, text=True)
        assert "is in use by process" in second.stdout
    assert not list(tmp_path.iterdir())  # nothing is left of locks


def test_a_place_is_looked_at_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    check_place(tmp_path / "new")
    check_place(tmp_path / "file")
    for place in ("folder", "none/new", "file/new", "x" * 300):
        with pytest.raises(MotionFileError, match=place[:40]):
            check_place(tmp_path / place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


def test_threads_that_write_one_path_do_not_meet(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def write(number: int) -> None:
        write_file(tmp_path / "a.txt", f"{number}" * 50_000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    assert len({*(tmp_path / "a.txt").read_text()}) <= 2 and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
