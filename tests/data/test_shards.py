"""Clips encoded by shards: the same clips, one file a shard, whoever encodes it; what is missing, doubled or killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import cli
from motionllm import corpus as builtin
from motionllm.config import Data, More, Source
from motionllm.data import content, shards, sources
from motionllm.data.clips import Clips, Work, encode
from motionllm.data.encoding import Encoding, _encode
from motionllm.data.examples import Order, Shuffle
from motionllm.data.shards import Shard
from motionllm.errors import MotionLLMError
from motionllm.files import lock
from motionllm.tokenizer import MotionTokenizer

CLIPS = 13


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> MotionTokenizer:
    return MotionTokenizer.load(tiny_tokenizer)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and shards of one clip and more."""
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shards, "LEAST", 1)
    return tmp_path / "cache" / "clips"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of 13 clips, two of them of one text of two parts, with labels; and a validation split of one."""
    out = tmp_path / "set"
    for kind in ("new_joint_vecs", "texts"):
        (out / kind).mkdir(parents=True)
    names = [f"{number:03d}" for number in range(CLIPS + 1)]
    labels = ""
    for number, name in enumerate(names):
        np.save(out / "new_joint_vecs" / f"{name}.npy", builtin.sample(number).load()[:48])
        parts = f"\nclip {name} begins##0#1" if number in (3, 8) else ""
        (out / "texts" / f"{name}.txt").write_text(f"clip {name} is shown{parts}\n")
        labels += (
            json.dumps({"id": name, "style": ("old", "brisk", "old", "tired", "brisk", "tired")[number % 6]}) + "\n"
        )
    (out / "labels.jsonl").write_text(labels)
    (out / "train.txt").write_text("\n".join(names[:CLIPS]))
    (out / "val.txt").write_text(names[CLIPS])
    return out


@pytest.fixture
def recipe(folder: Path, tmp_path: Path, tiny_base: Path, tiny_tokenizer: Path) -> Path:
    tree = {
        "name": "sharded",
        "model": {"base": str(tiny_base), "tokenizer": str(tiny_tokenizer), "dtype": "float32"},
        "data": {"sources": [{"kind": "humanml3d", "path": str(folder)}], "tasks": {"caption": 1}},
        "train": {"steps": 1, "batch": 2, "validate_examples": 2},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(tree))
    return tmp_path / "recipe.yaml"


def rows(clips: Clips) -> dict[str, tuple[Any, ...]]:
    return {c.sample.id: (c.sample.captions, c.sample.labels, c.codes.tolist()) for c in clips}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert cli.main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert cli.main([*map(str, words)]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_shards_have_the_clips_of_the_whole(folder: Path, tokenizer: MotionTokenizer, cache: Path) -> None:
    source = Source(kind="humanml3d", path=str(folder), mirror=True)
    whole = rows(encode(source, "train", tokenizer))
    assert len(whole) == 2 * (CLIPS + 2)
    for of in (2, 5, CLIPS):
        shards.deal(*sources.listing(source, "train"), of)
        clips = encode(source, "train", tokenizer)
        assert len(clips.paths) == of and len(clips) == len(whole) and rows(clips) == whole
        parts = [Clips([path]) for path in clips.paths]  # a clip and what is derived of it are in one shard
        of_clip = [{c.sample.id.lstrip("M").split("#")[0] for c in part} for part in parts]
        assert sum(map(len, of_clip)) == CLIPS and set.union(*of_clip) == {f"{n:03d}" for n in range(CLIPS)}
        assert [clips[i].sample.id for i in range(len(clips))] == [c.sample.id for part in parts for c in part]
        assert clips.serving("mirror").tolist() == [] if of else None  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["builtin", "messages"])
def test_every_kind_is_dealt_out_whole(kind: str, tmp_path: Path, tokenizer: MotionTokenizer) -> None:
    lines = [
        {"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": str(n)}]}
        for n in range(9)
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = {
        "builtin": Source(kind="builtin", clips=9, more=More(cuts=1)),
        "messages": Source(kind="messages", path=str(tmp_path / "chats.jsonl")),
    }[kind]
    whole = Counter(c.sample.id for c in encode(source, "train", tokenizer))
    shards.deal(*sources.listing(source, "train"), 4)
    clips = encode(source, "train", tokenizer)
    assert len(clips.paths) == 4 and Counter(c.sample.id for c in clips) == whole


def test_what_is_asked_of_labels_is_the_same_in_every_shard(folder: Path, tokenizer: MotionTokenizer) -> None:
    source = Source(kind="humanml3d", path=str(folder), ask=["labels"])
    shards.deal(*sources.listing(source, "train"), CLIPS)  # one clip each, whose own label is the only one it has
    asked = [q for c in encode(source, "train", tokenizer) for q in c.sample.questions]
    assert {q.answer for q in asked if q.text.startswith("What is the style")} == {"old", "brisk", "tired"}


def test_jobs_of_an_array_and_the_run_that_reads_them(
    recipe: Path, cache: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 3, 4):
        (row, *_) = run(capsys, "data", "encode", recipe, "--shard", f"{number}/4")["splits"]
        clips = len(range(number - 1, CLIPS, 4)) + (number == 4) + (number == 1)  # 003 and 008 have two each
        assert (row["shard"], row["shards"], row["clips"]) == (number, 4, clips)
    lost = refused(capsys, "data", "encode", recipe, "--check")
    assert (
        "1 of the 4 encoded shards of the train split" in lost
        and "is missing (number 2)" in lost
        and "--shard 2/4" in lost
    )
    times = {path: path.stat().st_mtime_ns for path in cache.glob("*.arrow")}
    result = run(capsys, "data", "stats", recipe)  # which encodes what is missing, and says so
    assert "(number 2); they are encoded now" in caplog.text
    assert result["sources"][0]["clips"] == CLIPS + 2
    assert {path: path.stat().st_mtime_ns for path in times} == times  # and nothing else
    assert run(capsys, "data", "encode", recipe, "--check")["splits"][0]["clips"] == CLIPS + 2
    run(capsys, "data", "encode", recipe, "--shard", "3/4")  # a job that is given twice
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_shard_whose_clips_changed_is_missing(recipe: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "data", "encode", recipe, "--shards", 4)
    text = folder / "texts" / "005.txt"  # of shard 2
    text.write_text("another caption\n")
    assert "(number 2)" in refused(capsys, "data", "encode", recipe, "--check")
    run(capsys, "data", "encode", recipe)
    run(capsys, "data", "encode", recipe, "--check")


@pytest.mark.slow
def test_processes_encode_the_same(
    recipe: Path, folder: Path, tokenizer: MotionTokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Source(kind="humanml3d", path=str(folder))
    whole = rows(encode(source, "train", tokenizer))
    (row, _) = run(capsys, "data", "encode", recipe, "--shards", 3, "--workers", 2)["splits"]
    assert (row["shards"], row["clips"]) == (3, CLIPS + 2)
    work = Work(source, "train", tokenizer, ["caption"], False)
    assert rows(Clips(work.files(3)[0])) == whole


def test_a_shard_in_work_is_left_to_whom_it_is_with(
    recipe: Path, folder: Path, tokenizer: MotionTokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(Source(kind="humanml3d", path=str(folder)), "train", tokenizer, ["caption"], False)
    with lock(work.file(Shard(2, 4))):
        run(capsys, "data", "encode", recipe, "--shard", "1/4")
        said = refused(capsys, "data", "encode", recipe, "--shard", "2/4")
    assert f"being encoded by process {os.getpid()}" in said and "wait for it" in said
    run(capsys, "data", "encode", recipe, "--shard", "2/4")


@pytest.mark.parametrize("word", ["0/4", "5/4", "3", "a/b", "1/9999", ""])
def test_what_is_no_shard_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "write 3/64" in refused(capsys, "data", "encode", "builtin", "--shard", word)
    assert "one of the three" in refused(capsys, "data", "encode", "builtin", "--shard", "1/2", "--check")


@pytest.mark.slow
def test_a_killed_job_harms_no_other(recipe: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "data", "encode", recipe, "--shard", "1/2")
    there = {path.name: path.read_bytes() for path in cache.glob("*.arrow")}
    code = (
        "import sys, time; from motionllm.data import clips, shards; from motionllm import cli; shards.LEAST = 1\n"
        "real = clips._rows\n"
        "def slow(*words):\n"
        "    for row in real(*words):\n"
        "        yield row; print('row', flush=True); time.sleep(60)\n"
        "clips._rows = slow; cli.main(sys.argv[1:])"
    )
    words = ["data", "encode", str(recipe), "--shard", "2/2"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"row\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {path.name: path.read_bytes() for path in cache.glob("[!.]*.arrow")} == there
    run(capsys, *words)
    assert not list(cache.glob(".*.part*")) and not list(cache.glob(".*.lock"))
    run(capsys, "data", "encode", recipe, "--check")


@pytest.mark.parametrize("harm", ["cut", "empty", "flipped", "gone", "record"])
def test_a_damaged_shard_is_named_and_encoded_anew(
    harm: str, recipe: Path, cache: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run(capsys, "data", "encode", recipe, "--shards", 4)
    there = {path: path.read_bytes() for path in cache.glob("*.arrow")}
    hurt = min(path for path in there if len(Clips([path])) > 1)
    content = there[hurt]
    middle = len(content) // 2
    if harm == "gone":
        hurt.unlink()
    elif harm == "record":
        hurt.with_suffix(".json").write_text("{")
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        hurt.write_bytes({"cut": content[:middle], "empty": b"", "flipped": flipped}[harm])
    lost = refused(capsys, "data", "encode", recipe, "--check")
    assert f"encoded shards of the train split of {recipe.parent / 'set'} is" in lost
    assert f"is {'missing' if harm == 'gone' else 'damaged'} (number " in lost
    number = lost.partition("(number ")[2][0]
    if harm == "flipped":  # the size is right: those that train do not read it all
        run(capsys, "data", "encode", recipe, "--shard", f"{number}/4")
    else:
        run(capsys, "data", "stats", recipe)
        assert f"(number {number}); they are encoded now" in caplog.text
    assert {path: path.read_bytes() for path in cache.glob("*.arrow")} == there
    run(capsys, "data", "encode", recipe, "--check")


def test_a_damaged_file_of_an_earlier_version_is_one_sentence(
    recipe: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "data", "encode", recipe)
    file = max(cache.glob("*.arrow"), key=lambda path: path.stat().st_size)
    beside = file.with_suffix(".json")
    beside.write_text(json.dumps({"left_out": json.loads(beside.read_text())["left_out"]}))
    run(capsys, "data", "encode", recipe, "--check")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    said = refused(capsys, "data", "stats", recipe)
    assert f"{file} is damaged (" in said and said.endswith("remove it, and its clips are encoded anew.")
    file.unlink()
    run(capsys, "data", "stats", recipe)


def test_a_disk_that_fills_while_a_shard_is_encoded_leaves_the_others(
    recipe: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "data", "encode", recipe, "--shard", "1/2")
    there = {path: path.read_bytes() for path in cache.glob("*.arrow")}
    code = (  # files of up to 2 kB may be written
        "import resource, sys; from motionllm.data import shards; from motionllm import cli; shards.LEAST = 1\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); sys.exit(cli.main(sys.argv[1:]))"
    )
    words = ["data", "encode", str(recipe)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert last.startswith("motionllm: error: The encoded clips cannot be kept") and "Make room" in last
    assert os.strerror(errno.EFBIG) in last
    assert {path: path.read_bytes() for path in cache.glob("*.arrow")} == there
    assert not list(cache.glob(".*.part*"))
    assert run(capsys, *words)["splits"][0]["clips"] == CLIPS + 2


def test_processes_that_are_killed_again_and_again_end_in_a_sentence(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def killed(self: Encoding, left: list[tuple[int, int]], *_: object) -> None:
        tries.append(len(left))
        _encode(self.works[left[0][0]][0], Shard(left[0][1], 4), None)  # one is done before
        raise BrokenProcessPool

    tries: list[int] = []
    monkeypatch.setattr(Encoding, "_by_processes", killed)
    said = refused(capsys, "data", "encode", recipe, "--shards", 4, "--workers", 2)
    assert "were killed 3 times" in said and "2 shards are not encoded; give the same command again" in said
    assert tries == [5, 4, 3] and caplog.text.count("encoded by others") == 3
    monkeypatch.undo()


@pytest.mark.slow
def test_the_shards_of_a_killed_process_are_encoded_by_another(
    recipe: Path, folder: Path, tokenizer: MotionTokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Source(kind="humanml3d", path=str(folder))
    whole = rows(encode(source, "train", tokenizer))
    code = (  # the first process that begins a shard is killed in the middle of it
        "import os, sys; from multiprocessing import parent_process; from pathlib import Path\n"
        "from motionllm.data import clips, shards; shards.LEAST = 1\n"
        "real, once = clips._rows, Path(os.environ['ONCE'])\n"
        "def dying(*words):\n"
        "    for row in real(*words):\n"
        "        yield row\n"
        "        if parent_process() and not once.exists():\n"
        "            once.touch(); os.kill(os.getpid(), 9)\n"
        "clips._rows = dying\n"
        "if __name__ == '__main__':\n"
        "    from motionllm import cli; sys.exit(cli.main(sys.argv[1:]))\n"
    )
    script = folder.parent / "dying.py"
    script.write_text(code)
    once = folder.parent / "once"
    words = [sys.executable, str(script), "data", "encode", str(recipe), "--shards", "4", "--workers", "2"]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"ONCE": str(once)})
    assert done.returncode == 0, done.stderr
    assert once.exists() and done.stderr.count("A process that encodes was killed") == 1
    shards.deal(*sources.listing(source, "train"), 4)
    assert rows(encode(source, "train", tokenizer)) == whole
    run(capsys, "data", "encode", recipe, "--check")


def test_a_fingerprint_is_kept_while_no_file_looks_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(kind="humanml3d", path=str(folder))
    first = content.fingerprint(source, "train")
    hashed = []
    real = content._hashed
    monkeypatch.setattr(content, "_hashed", lambda named: hashed.append(1) or real(named))
    assert content.fingerprint(source, "train") == first and hashed  # files of this moment may still change unseen
    monkeypatch.setattr(content, "SETTLED", -60.0)
    content.fingerprint(source, "train")
    hashed.clear()
    assert content.fingerprint(source, "train") == first and not hashed
    file = folder / "new_joint_vecs" / "004.npy"
    stat, bytes_ = file.stat(), bytearray(file.read_bytes())
    time.sleep(0.02)  # a tick of the file system's clock
    bytes_[-3] ^= 1
    file.write_bytes(bytes_)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content.fingerprint(source, "train") != first and hashed
    file.write_bytes(file.read_bytes()[:-1])
    file.unlink()
    assert content.fingerprint(source, "train") != first


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 1000, 1025])
def test_a_shuffle_has_each_number_once(count: int) -> None:
    shuffle = Shuffle(count, np.random.default_rng(3))
    assert sorted(shuffle) == list(range(count))
    if count >= 1000:
        order = np.array(shuffle[:])
        assert abs(np.corrcoef(order, np.arange(count))[0, 1]) < 0.1
        assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.1
        assert (order == np.arange(count)).sum() < 8
        assert (order != np.array(Shuffle(count, np.random.default_rng(4))[:])).mean() > 0.98


def test_a_large_source_is_drawn_without_a_list_and_from_a_state(
    monkeypatch: pytest.MonkeyPatch, tokenizer: MotionTokenizer
) -> None:
    source = Source(kind="builtin", clips=40)
    clips = [encode(source, "train", tokenizer)]
    data = Data(sources=[source], tasks={"caption": 1.0})
    listed = Order(clips, data, 0)
    assert isinstance(listed.pools["caption"][0], range)  # every clip has a caption: no list of which
    monkeypatch.setattr(Order, "LISTED", 8)
    order = Order(clips, data, 0)
    drawn = [order.next().row for _ in range(100)]
    assert sorted(drawn[:40]) == sorted(drawn[40:80]) == list(range(40)) and drawn[:40] != drawn[40:80]
    assert not any(isinstance(shuffled, np.ndarray) for _, shuffled in order.orders.values())
    again = Order(clips, data, 0)
    other = Order(clips, data, 0)
    for _ in range(57):
        other.next()
    again.restore(other.state())
    assert [again.next().row for _ in range(43)] == drawn[57:]


def test_a_recipe_says_shards_of_which_there_are_too_many() -> None:
    assert shards.fitting(10, 10, 64) == 10 and shards.fitting(10, 3, 64) == 3
    with pytest.raises(MotionLLMError, match="4096 the most"):
        Shard.parse("1/5000")
