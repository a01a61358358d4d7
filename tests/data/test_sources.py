"""Readers of HumanML3D's layout, and the stream of examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import Data, Source
from motionllm.data import sources
from motionllm.data.clips import Clips, encode
from motionllm.data.content import code_of, fingerprint
from motionllm.data.examples import Examples, collate, pack
from motionllm.data.sources import humanml3d, read, read_captions
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_base_tokenizer
from motionllm.language.conversations import Renderer, Tokens
from motionllm.language.vocab import MotionVocab
from motionllm.motion.features import features_to_joints, joints_to_features
from motionllm.motion.notation import measure
from motionllm.tokenizer import MotionTokenizer

SAMPLE = Path(__file__).parent / "cmu"  # real motion, with its terms


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    joints = builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),)), 0)
    joints = np.resize(joints, (80, 22, 3)) + 0.002 * rng.normal(size=(80, 22, 3)).astype(np.float32)
    for kind in ("new_joints", "new_joint_vecs", "texts"):
        (tmp_path / kind).mkdir()
    np.save(tmp_path / "new_joints" / "a.npy", joints)
    np.save(tmp_path / "new_joint_vecs" / "b.npy", joints_to_features(joints))
    (tmp_path / "texts" / "a.txt").write_text("a person walks.#a/DET person/NOUN#0.0#0.0\nhe turns.#x#1.0#2.5\n")
    (tmp_path / "texts" / "b.txt").write_text("someone runs.##0.0#0.0\n")
    (tmp_path / "train.txt").write_text("a\nb\nlost\n")
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "split": "train", "style": "proud"}\n')
    return tmp_path


def test_the_layout_is_read(folder: Path) -> None:
    samples = {s.id: s for s in humanml3d(folder, "train")}
    assert set(samples) == {"a", "a#1", "b"}
    assert samples["a"].captions == ["a person walks."]
    assert samples["a"].labels == {"style": "proud"}
    assert samples["a#1"].captions == ["he turns."]
    assert samples["a"].load().shape == (79, 263)
    assert (samples["a#1"].load() == samples["a"].load()[20:50]).all()
    assert np.abs(samples["a"].load() - samples["b"].load()).max() < 1e-5


def test_a_data_set_of_real_motion() -> None:
    source = Source(kind="humanml3d", path=str(SAMPLE), captions=["labels"], exclude=["006859"])
    samples = {sample.id: sample for sample in read(source, "train")}
    assert set(samples) == {"005938", "008547", "004833"} and {s.id for s in read(source, "val")} == {
        "012946",
        "009863",
    }
    assert samples["005938"].captions[0] == "a person walks straight forward."
    assert "kick" in samples["004833"].captions[0] != "soccer - kick ball"
    written = {name: str(measure(features_to_joints(sample.load()))) for name, sample in samples.items()}
    assert "walk forward 1.6 m/s" in written["005938"] and "walk left" in written["008547"]


def test_excluded_ids_are_left_out(folder: Path) -> None:
    source = Source(kind="humanml3d", path=str(folder), exclude=["a"])
    assert [s.id for s in read(source, "train")] == ["b"]


def test_labels_in_the_place_of_captions_become_sentences(folder: Path) -> None:
    (folder / "texts" / "a.txt").write_text("salsa dance\n")
    plain = Source(kind="humanml3d", path=str(folder))
    assert {s.id: s.captions for s in read(plain, "train")} == {"a": ["salsa dance"], "b": ["someone runs."]}
    said = {s.id: s.captions for s in read(Source(kind="humanml3d", path=str(folder), captions=["labels"]), "train")}
    assert said["b"] == ["someone runs."]
    assert said["a"] == ["a person dances salsa", "someone dances salsa", "a man dances salsa"]


def test_clips_without_a_caption_get_their_notation_and_say_so(
    folder: Path,
    tiny_tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    (folder / "texts" / "a.txt").write_text("")
    source = Source(kind="humanml3d", path=str(folder), captions=["notation"], mirror=True)
    clips = {c.sample.id: c.sample for c in encode(source, "train", MotionTokenizer.load(tiny_tokenizer))}
    assert set(clips) == {"a", "b", "Ma", "Mb"}
    assert clips["a"].captions[0].startswith("a person walks forward")
    assert len(clips["a"].captions) == len(set(clips["a"].captions)) > 1
    assert clips["a"].labels == {"style": "proud", "captions": "notation"}
    assert clips["b"].captions == ["someone runs."] and "captions" not in clips["b"].labels
    assert "1 clip is captioned from what is measured" in caplog.text
    with pytest.raises(ValueError, match="captions"):
        Source(kind="builtin", captions=["notation"])


def test_what_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(MotionLLMError, match=r"val\.txt is missing"):
        humanml3d(folder, "val")
    with pytest.raises(MotionLLMError, match="does not exist"):
        humanml3d(folder / "none", "train")
    for name in "ab":
        (folder / "texts" / f"{name}.txt").write_text("\n")
    with pytest.raises(MotionLLMError, match=r"a\.txt: is empty"):
        humanml3d(folder, "train")
    (folder / "train.txt").write_text("\ufeff\r\n", encoding="utf-8")
    with pytest.raises(MotionLLMError, match="is empty"):
        humanml3d(folder, "train")
    (folder / "train.txt").write_text("x y")
    with pytest.raises(MotionLLMError, match="None of the 2 ids"):
        humanml3d(folder, "train")


def made(folder: Path, ids: list[str], frames: int = 40) -> Path:
    """A set of clips, each with a caption of its own that names it."""
    rng = np.random.default_rng(len(ids))
    for kind in ("new_joint_vecs", "texts"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name in ids:
        np.save(folder / "new_joint_vecs" / f"{name}.npy", rng.normal(size=(frames, 263)).astype(np.float32))
        (folder / "texts" / f"{name}.txt").write_text(f"clip {name} is shown##0.0#0.0\n", encoding="utf-8")
    (folder / "train.txt").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    return folder


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lists_and_texts_in_every_encoding_of_an_editor(encoding: str, end: str, tmp_path: Path) -> None:
    ids = ["000001", "M000001", "walk 1", "é", " 3 a"[1:]]
    made(tmp_path, ids)
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "train.txt").write_bytes(mark + (end.join(ids) + end).encode(encoding))
    for name in ids:
        line = f"clip {name} is shown#a/DET#nan#nan{end}{end}"
        (tmp_path / "texts" / f"{name}.txt").write_bytes(mark + line.encode(encoding))
    assert {s.id: s.captions for s in humanml3d(tmp_path, "train")} == {n: [f"clip {n} is shown"] for n in ids}


def test_a_list_with_several_ids_on_a_line(tmp_path: Path) -> None:
    made(tmp_path, ["a", "b", "a b"])
    (tmp_path / "train.txt").write_text("a b\nb a\na")
    assert [s.id for s in humanml3d(tmp_path, "train")] == ["a b", "b", "a"]


def test_ids_without_a_file_are_counted_and_refused_where_they_are_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path, [f"{n:03d}" for n in range(8)])
    for name in ("003", "005"):
        (tmp_path / "new_joint_vecs" / f"{name}.npy").unlink()
    assert len(humanml3d(tmp_path, "train")) == 6
    assert "2 of the 8 ids" in caplog.text and "003, 005" in caplog.text
    for n in (0, 1, 2):
        (tmp_path / "new_joint_vecs" / f"00{n}.npy").unlink()
    with pytest.raises(MotionLLMError, match=r"5 of the 8 ids.*000, 001, 002 \(and 2 more\)"):
        humanml3d(tmp_path, "train")


# A line of a caption file, and what it says: the caption with its seconds, or what is wrong with it.
LINES = [
    ("he walks", ("he walks", 0.0, 0.0)),
    ("he walks#", ("he walks", 0.0, 0.0)),
    ("he walks#he/PRON walk/VERB", ("he walks", 0.0, 0.0)),
    ("he walks##", ("he walks", 0.0, 0.0)),
    ("he walks##1.5", ("he walks", 1.5, 0.0)),
    ("he walks##0.0#0.0", ("he walks", 0.0, 0.0)),
    ("he walks##NaN#nan", ("he walks", 0.0, 0.0)),
    ("he walks##1.0#2.5", ("he walks", 1.0, 2.5)),
    ("he walks ## 1.0 # 2.5 ", ("he walks", 1.0, 2.5)),
    ("in the shape of a # sign", ("in the shape of a   sign", 0.0, 0.0)),
    ("he does #2##1#3", ("he does", 1.0, 3.0)),
    ("he walks##5#1", "begins at 5 s and ends at 1 s"),
    ("he walks##2#2", "begins at 2 s and ends at 2 s"),
    ("he walks##-1#2", "not within"),
    ("he walks##0#inf", "not within"),
    ("he walks##soon#later", "no numbers"),
    ("##0.0#0.0", "no caption"),
]


def test_lines_of_captions_are_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for line, wanted in LINES:
        path.write_text(f"\n{line}\n")
        captions, doubts = read_captions(path)
        if isinstance(wanted, str):
            assert not captions and len(doubts) == 1 and wanted in doubts[0] and "a.txt, line 2" in doubts[0]
        else:
            assert [(c.text, c.start, c.end) for c in captions] == [wanted] and not doubts
    random = np.random.default_rng(0)
    pieces = ["walks", "#", "##", " ", "0.0", "nan", "-3", "1e400", "\u2028", "\x00", "a/DET", "é"]
    for _ in range(300):  # whatever stands there, each line is a caption or a doubt
        line = "".join(random.choice(pieces, random.integers(1, 9)))
        path.write_text(line, encoding="utf-8")
        captions, doubts = read_captions(path)
        assert len(captions) + len(doubts) == bool(line.strip().strip("#") or "#" in line)


def damaged(path: Path, kind: str) -> None:
    features = np.load(path)
    if kind == "nan":
        features[7, 5] = np.nan
        np.save(path, features)
    elif kind == "joints of one frame":
        np.save(path, np.zeros((1, 22, 3), np.float32))
    elif kind == "no frame":
        np.save(path, features[:0])
    elif kind == "shape":
        np.save(path, features[:, :100])
    elif kind == "archive":
        np.savez(path.with_suffix(".npz"), features)
        path.with_suffix(".npz").rename(path)
    else:
        path.write_bytes({"empty": b"", "text": b"no array", "cut": path.read_bytes()[:5000]}[kind])


@pytest.mark.parametrize("kind", ["nan", "joints of one frame", "no frame", "shape", "archive", "empty", "text", "cut"])
def test_a_damaged_clip_is_named_and_the_set_goes_on_without_it(
    kind: str, tmp_path: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    source = Source(kind="humanml3d", path=str(made(tmp_path / "set", ["a", "b", "c"])))
    damaged(tmp_path / "set" / "new_joint_vecs" / "b.npy", kind)
    for _ in range(2):  # from the cache it is said again
        sources._say.cache_clear()
        caplog.clear()
        assert sorted(c.sample.id for c in encode(source, "train", tokenizer)) == ["a", "c"]
        assert "1 clip is left out" in caplog.text and "b.npy" in caplog.text
    assert [s.id for s, _ in sources.loaded(read(source, "train"))] == ["a", "c"]
    for name in "ac":
        damaged(tmp_path / "set" / "new_joint_vecs" / f"{name}.npy", kind)
    with pytest.raises(MotionLLMError, match=r"No clip of .*set can be used.*3 clips are left out.*\.npy"):
        encode(source, "train", tokenizer)


def test_clips_without_a_usable_caption_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made(tmp_path, list("abcdef"))
    texts = tmp_path / "texts"
    (texts / "a.txt").write_text(" \n\n")
    (texts / "b.txt").unlink()
    (texts / "c.txt").write_bytes("歩く##0.0#0.0\n".encode("shift-jis"))
    (texts / "d.txt").write_text("he walks##5#1\n")
    (texts / "e.txt").write_text("he walks##5#1\nhe runs\n")
    assert [(s.id, s.captions) for s in humanml3d(tmp_path, "train")] == [
        ("e", ["he runs"]),
        ("f", ["clip f is shown"]),
    ]
    assert "4 clips are without a usable caption in train and left out" in caplog.text
    assert "1 caption line is not used in train" in caplog.text and "e.txt, line 1" in caplog.text


def test_a_fingerprint_is_of_content_alone(tmp_path: Path) -> None:
    import os
    import shutil

    folder = made(tmp_path / "set", ["a", "b", "c"])
    (folder / "labels.jsonl").write_text('{"id": "a", "style": "old"}\n')
    source = Source(kind="humanml3d", path=str(folder))
    first = fingerprint(source, "train")
    assert len(first) == 32 and fingerprint(source, "val") == "none"
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "unlisted.npy").write_bytes(b"1")
    assert fingerprint(Source(kind="humanml3d", path=str(tmp_path / "copy")), "train") == first
    for name in ("new_joint_vecs/b.npy", "texts/b.txt", "labels.jsonl", "train.txt"):  # a byte, at equal size and time
        file = folder / name
        stat, content = file.stat(), file.read_bytes()
        changed = bytearray(content)
        changed[-3] ^= 1
        if name == "train.txt":
            changed = bytearray(b"b\na\nc\n")
        file.write_bytes(bytes(changed))
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert fingerprint(source, "train") != first, name
        file.write_bytes(content)
        assert fingerprint(source, "train") == first
    corpus = Source(kind="builtin", clips=3)
    assert fingerprint(corpus, "train") == fingerprint(corpus, "train") != fingerprint(corpus, "val")
    assert fingerprint(corpus, "train") != fingerprint(Source(kind="builtin", clips=4), "train")


def test_code_that_is_not_found_is_no_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from types import ModuleType

    for place in (None, str(tmp_path / "gone.py"), str(tmp_path / "gone.pyc")):
        module = ModuleType("gone")
        module.__file__ = place
        with pytest.raises(RuntimeError, match="gone"):
            code_of(module)
    package = ModuleType("package")
    package.__path__ = [str(tmp_path)]
    with pytest.raises(RuntimeError, match="package"):
        code_of(package)
    digests = set()
    for content in ("a = 1", "a = 2"):  # of any file of a package
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "__init__.py").write_text("")
        (tmp_path / "sub" / "rules.py").write_text(content)
        digests.add(code_of(package))
    assert len(digests) == 2


def test_the_cache_notices_a_change_at_equal_size_and_time(
    tmp_path: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    source = Source(kind="humanml3d", path=str(made(tmp_path / "set", ["a", "b"])))
    left = tmp_path / "cache" / "clips" / ".0123.arrow.4194999.part.arrow"  # of a process that was killed
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    first = {c.sample.id: c.codes.tolist() for c in encode(source, "train", tokenizer)}
    assert not left.exists()
    file = tmp_path / "set" / "new_joint_vecs" / "a.npy"
    stat = file.stat()
    np.save(file, np.load(file)[::-1].copy())
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = {c.sample.id: c.codes.tolist() for c in encode(source, "train", tokenizer)}
    assert second["b"] == first["b"] and second["a"] != first["a"]


def test_codes_come_from_the_cache_the_second_time(
    folder: Path, tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path_factory.mktemp("cache")))
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    source = Source(kind="humanml3d", path=str(folder))
    first = encode(source, "train", tokenizer)
    monkeypatch.setattr(MotionTokenizer, "encode", lambda *_: pytest.fail("encoded again"))
    second = encode(source, "train", tokenizer)
    assert [c.sample.id for c in first] == [c.sample.id for c in second]
    assert all((a.codes == b.codes).all() for a, b in zip(first, second, strict=True))


@pytest.fixture
def stream_of(tiny_base: Path, tiny_tokenizer: Path):  # type: ignore[no-untyped-def]
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash)
    renderer = Renderer(load_base_tokenizer(tiny_base), vocab)
    data = Data(sources=[Source(kind="builtin", clips=9)])
    clips = [encode(s, "train", tokenizer) for s in data.sources]
    return lambda seed: Examples(clips, data, Templates.load("default"), renderer, 5.0, seed)


def test_the_stream_repeats_and_goes_on_from_its_state(stream_of) -> None:  # type: ignore[no-untyped-def]
    first, second, third = stream_of(1), stream_of(1), stream_of(2)
    drawn = [first.draw() for _ in range(30)]
    assert drawn[:20] == [second.draw() for _ in range(20)]
    resumed = stream_of(1)
    resumed.order.restore(json.loads(json.dumps(second.order.state())))
    assert drawn[20:] == [resumed.draw() for _ in range(10)]
    assert drawn[:10] != [third.draw() for _ in range(10)]
    assert {task for task, _ in drawn} == {"text_to_motion", "caption", "question"}


def test_every_clip_is_seen_before_any_is_seen_twice(stream_of) -> None:  # type: ignore[no-untyped-def]
    stream = stream_of(1)
    rows = [job.row for job in (stream.order.next() for _ in range(200)) if job.task == "caption"]
    laps = [rows[n : n + 9] for n in (0, 9, 18)]
    assert all(sorted(lap) == list(range(9)) for lap in laps)
    assert laps[0] != laps[1] != laps[2]


def test_a_state_of_an_earlier_version_goes_on_with_the_clips_that_are_next(stream_of) -> None:  # type: ignore[no-untyped-def]
    whole, resumed = stream_of(1), stream_of(1)
    for _ in range(25):
        whole.draw()
    resumed.order.restore({"random": "{}", "drawn": whole.order.state()["drawn"]})
    assert [resumed.order.next() for _ in range(20)] == [whole.order.next() for _ in range(20)]


def test_packing_keeps_every_token_and_restarts_positions() -> None:
    rng = np.random.default_rng(0)
    examples = [Tokens(list(range(n)), [i > n // 2 for i in range(n)]) for n in rng.integers(3, 40, 30)]
    rows = pack(examples, 64)
    assert sorted(len(t.ids) for row in rows for t in row) == sorted(len(t.ids) for t in examples)
    assert all(sum(len(t.ids) for t in row) <= 64 for row in rows)
    batch = collate(rows, pad=0)
    assert batch.tokens == sum(len(t.ids) for t in examples)
    assert batch.supervised == sum(sum(t.supervised[1:]) for t in examples)
    assert (batch.positions == 0).sum() >= len(examples)
    # Within an example the target is the next id; ids here are their own positions.
    assert (batch.targets[batch.targets >= 0] == batch.positions[batch.targets >= 0] + 1).all()


def test_without_packing_neighbours_are_alike_and_processes_get_as_many_rows() -> None:
    examples = [Tokens(list(range(n)), [True] * n) for n in (5, 30, 7, 31, 6)]
    rows = pack(examples, 64, multiple=2, packing=False)
    assert [len(t.ids) for row in rows for t in row] == [31, 30, 7, 6, 5, 1]
    assert all(len(row) == 1 for row in rows)
    assert rows[-1][0].supervised == [False]
    assert len(pack(examples[:1], 64, multiple=4)) == 4


def test_a_task_no_source_serves_is_refused(tiny_base: Path) -> None:
    data = Data(sources=[Source(kind="builtin")], tasks={"question": 1.0})
    with pytest.raises(MotionLLMError, match="question"):
        Examples([Clips()], data, Templates.load("default"), None, 5.0, 0)  # type: ignore[arg-type]
