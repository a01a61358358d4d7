"""Readers of HumanML3D's layout, and the stream of examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm.bases import load_base_tokenizer
from motionllm.config import Data, Source
from motionllm.data.clips import Clips, encode
from motionllm.data.conversations import Renderer, Tokens
from motionllm.data.examples import Examples, collate, pack
from motionllm.data.sources import humanml3d, read
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.motion.features import joints_to_features
from motionllm.tokenizer import MotionTokenizer
from motionllm.vocab import MotionVocab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    base = np.cumsum(rng.normal(size=(22, 3)), axis=0)
    joints = (base + 0.05 * rng.normal(size=(80, 22, 3)).cumsum(0)).astype(np.float32)
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


def test_excluded_ids_are_left_out(folder: Path) -> None:
    source = Source(kind="humanml3d", path=str(folder), exclude=["a"])
    assert [s.id for s in read(source, "train")] == ["b"]


def test_what_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(MotionLLMError, match=r"val\.txt is missing"):
        humanml3d(folder, "val")
    with pytest.raises(MotionLLMError, match="does not exist"):
        humanml3d(folder / "none", "train")
    (folder / "texts" / "b.txt").write_text("\n")
    with pytest.raises(MotionLLMError, match=r"b\.txt is empty"):
        humanml3d(folder, "train")
    (folder / "texts" / "b.txt").write_text("he runs.#x#soon#later\n")
    with pytest.raises(MotionLLMError, match="line 1"):
        humanml3d(folder, "train")
    (folder / "train.txt").write_text("")
    with pytest.raises(MotionLLMError, match="is empty"):
        humanml3d(folder, "train")
    (folder / "train.txt").write_text("x y")
    with pytest.raises(MotionLLMError, match="None of the 2 ids"):
        humanml3d(folder, "train")


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
    resumed.restore(json.loads(json.dumps(second.state())))
    assert drawn[20:] == [resumed.draw() for _ in range(10)]
    assert drawn[:10] != [third.draw() for _ in range(10)]
    assert {task for task, _ in drawn} == {"text_to_motion", "caption", "question"}


def test_every_clip_is_seen_before_any_is_seen_twice(stream_of) -> None:  # type: ignore[no-untyped-def]
    stream = stream_of(1)
    laps = [[stream._next("caption", 0) for _ in range(9)] for _ in range(3)]
    assert all(sorted(lap) == list(range(9)) for lap in laps)
    assert laps[0] != laps[1] != laps[2]


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
