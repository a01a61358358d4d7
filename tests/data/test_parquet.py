"""Sets in Parquet files: the clips of the folder that they were written of, dealt by row groups, without unpacking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motionllm import corpus as builtin
from motionllm.config import Source
from motionllm.data import hub_sets, parquet, shards, sources
from motionllm.data.clips import Clips, encode
from motionllm.data.content import fingerprint
from motionllm.errors import MotionLLMError
from motionllm.tokenizer import MotionTokenizer

CMU = Path(__file__).parent / "cmu"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shards, "LEAST", 1)


def written(
    folder: Path, rows: list[dict[str, Any]], name: str = "train-00000-of-00001.parquet", size: int = 2
) -> Source:
    """A set with these rows, in row groups of `size`."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / name, row_group_size=size)
    return Source(kind="humanml3d", path=str(folder))


def row(number: int, **other: Any) -> dict[str, Any]:
    motion = builtin.sample(number).load()[:40].tolist()
    return {"id": f"{number:03d}", "motion": motion, "captions": [f"clip {number}"]} | other


def rows_of(clips: Clips) -> dict[str, tuple[Any, ...]]:
    return {c.sample.id: (c.sample.captions, c.sample.labels, c.codes.tolist()) for c in clips}


def test_the_clips_are_those_of_the_folder(
    tmp_path: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_sets, "GROUP", 1)
    hub_sets.pack(CMU, tmp_path / "packed")
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    for mirror in (False, True):
        there = Source(kind="humanml3d", path=str(tmp_path / "packed"), mirror=mirror)
        here = Source(kind="humanml3d", path=str(CMU), mirror=mirror)
        whole = rows_of(encode(here, "train", tokenizer))
        assert rows_of(encode(there, "train", tokenizer)) == whole
        assert sources.has_split(there, "val") and not sources.has_split(there, "test")
        assert shards.deal(*sources.listing(there, "train"), 3) == 3
        clips = encode(there, "train", tokenizer)
        assert len(clips.paths) == 3 and rows_of(clips) == whole
        shards.deal(*sources.listing(there, "train"), 1)
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_columns_of_other_hands(tmp_path: Path) -> None:
    parts = [{"text": "all of it", "start": None, "end": None}, {"text": "its begin", "start": 0.0, "end": 1.0}]
    source = written(tmp_path / "set", [row(0, captions=parts), row(1, captions=[]), row(2, captions=parts[:1])])
    samples, notes = sources.read_noted(source, "train")
    assert [(s.id, s.captions, len(s.load())) for s in samples] == [
        ("000", ["all of it"], 40),
        ("000#1", ["its begin"], 20),
        ("002", ["all of it"], 40),
    ]
    assert len(notes) == 1 and "1 clip is without a caption" in notes[0] and "001" in notes[0]
    np.testing.assert_array_equal(samples[0].load(), builtin.sample(0).load()[:40])


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"id": "a", "caption": "b"}], "no column 'motion' (it has id, caption)"),
        ([{"id": None, "motion": [[0.0] * 263]}], "row 0 of row group 0"),
        ([{"id": "a", "motion": [[0.0] * 263], "captions": []}], "has a caption: a"),
        (
            [{"id": "a", "motion": [[0.0] * 263], "captions": [{"text": "b", "start": 3.0, "end": 1.0}]}],
            "begins at 3 s",
        ),
        ([{"id": "a", "motion": [[0.0] * 263], "captions": "b", "labels": "[1]"}], "labels that are no JSON object"),
    ],
)
def test_what_is_no_such_set_is_refused(rows: list[dict[str, Any]], what: str, tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError) as error:
        sources.read(written(tmp_path / "set", rows), "train")
    assert what in str(error.value)


def test_motion_that_is_none_is_left_out(
    tmp_path: Path, tiny_tokenizer: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [row(1, motion=[[0.0] * 7] * 9), row(2, motion=[[float("nan")] * 263] * 9), row(3, motion=[])]
    clips = encode(written(tmp_path / "set", [row(0), *bad]), "train", MotionTokenizer.load(tiny_tokenizer))
    assert [c.sample.id for c in clips] == ["000"]
    assert "3 clips are left out" in caplog.text and "7 numbers a frame" in caplog.text
    assert "NaN" in caplog.text and "no frame" in caplog.text


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    source = written(tmp_path / "set", [row(0), row(1)])
    file = tmp_path / "set" / "data" / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(MotionLLMError, match=r"train-00000-of-00001.parquet cannot be read .*copy or push it anew"):
        sources.read(source, "train")


def test_the_fingerprint_of_a_shard_is_of_its_rows(tmp_path: Path) -> None:
    rows = [row(number) for number in range(4)]
    source = written(tmp_path / "set", rows)
    before = [fingerprint(source, "train", shards.Shard(n, 2)) for n in (1, 2)]
    written(tmp_path / "set", [*rows[:3], row(3, captions=["clip X"])])
    after = [fingerprint(source, "train", shards.Shard(n, 2)) for n in (1, 2)]
    assert before[0] == after[0] and before[1] != after[1]


def test_an_order_in_blocks_has_each_once() -> None:
    order = parquet.near(1050, np.random.default_rng(0), 100)
    assert sorted(order) == list(range(1050)) and order[:100] != sorted(order[:100])
    assert len({number // 100 for number in order[:100]}) == 1 and order[0] // 100 != 0
