"""Sets in Parquet files, here or on the hub, read a row group at a time while they are encoded: nothing is unpacked.

The columns are those that `motionllm push --data` writes (`hub_sets.pack`): `id`, `motion` (T, 263 or 251), and where
known `captions` and `labels`. What a split has is read from the files' footers; a shard is every n-th row group.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import hub
from motionllm.config import Source
from motionllm.data import sources
from motionllm.data.hub_sets import SPLITS
from motionllm.data.shards import WHOLE, Group, Shard
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import parse_json
from motionllm.motion.representation import HUMANML3D_263, KIT_251
from motionllm.samples import Sample

SMALL = ("id", "captions", "labels")  # columns that are read of a whole row group


def is_set(source: Source) -> bool:
    """Whether a source is read as Parquet files."""
    if source.kind != "humanml3d" or not source.path:
        return False
    if hub.is_name(source.path):
        return source.stream
    folder = Path(source.path)
    return not (folder / "train.txt").is_file() and bool(_local(folder, "train"))


def groups(source: Source, split: str) -> list[Group]:
    """The row groups of a split, in the order of its files. Raises MotionLLMError where a file is damaged, or lacks the
    columns.
    """
    return [group for file in files(source, split) for group in _groups(file, _stamp(file))]


def files(source: Source, split: str) -> list[str]:
    """The paths of a split's files; those on the hub begin with hf://."""
    assert source.path
    if not hub.is_name(source.path):
        return _local(Path(source.path), split)
    pinned = hub.pinned(source.path, "dataset")
    return [f"hf://datasets/{pinned}/{name}" for name in _on_hub(pinned) if _is_of(Path(name).name, split)]


def _local(folder: Path, split: str) -> list[str]:
    return sorted(
        str(f) for place in (folder / "data", folder) for f in place.glob("*.parquet") if _is_of(f.name, split)
    )


def _is_of(file: str, split: str) -> bool:
    return file.startswith((f"{SPLITS[split]}-", f"{SPLITS[split]}.")) and file.endswith(".parquet")


@cache  # a commit does not change
def _on_hub(pinned: str) -> tuple[str, ...]:
    return tuple(sorted(hub.files(pinned, "dataset")))


def _stamp(file: str) -> tuple[int, int]:
    """Size and time of a file here, so that one that is written anew is opened anew."""
    if file.startswith("hf://"):
        return 0, 0
    stat = os.stat(file)
    return stat.st_size, stat.st_ctime_ns


@lru_cache(maxsize=4096)
def _groups(file: str, stamp: tuple[int, int]) -> tuple[Group, ...]:
    with _opened(file) as parquet:
        there = parquet.schema_arrow.names
        if lost := [column for column in ("id", "motion") if column not in there]:
            raise MotionLLMError(
                f"{file} has no column {lost[0]!r} (it has {', '.join(there)[:200]}); sets in Parquet files have the "
                "columns that `motionllm push --data` writes."
            )
        found = []
        for number in range(parquet.metadata.num_row_groups):
            group = parquet.metadata.row_group(number)
            chunks = [group.column(c) for c in range(group.num_columns)]
            begins = [min(filter(None, (c.dictionary_page_offset, c.data_page_offset))) for c in chunks]
            ends = [begin + c.total_compressed_size for begin, c in zip(begins, chunks, strict=True)]
            found.append(Group(file, number, group.num_rows, min(begins), max(ends)))
        return tuple(found)


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    """The Parquet file at a path here or on the hub. Raises MotionFileError where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with hub.opened(file) if file.startswith("hf://") else open(file, "rb") as stream:
            yield pq.ParquetFile(stream)
    except (pa.ArrowException, OSError, ValueError, AttributeError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise MotionFileError(f"{file} cannot be read ({first}); copy or push it anew.") from None


def read(source: Source, split: str, shard: Shard = WHOLE) -> tuple[list[Sample], list[str]]:
    """The samples of a shard of a split, and what is to be said of those left out. Motions are not read yet.

    Raises MotionLLMError where there is no such split, or no clip of it has a caption.
    """
    mute = "notation" in source.captions
    own = list(shard.own(groups(source, split)))
    if not own:
        raise MotionLLMError(f"{source.path} has no file {SPLITS[split]}-….parquet, or no row in it.")
    samples: list[Sample] = []
    silent: list[str] = []
    for group in own:
        for number, row in enumerate(_small(group)):
            where = f"row {number} of row group {group.number} of {group.file}"
            if not isinstance(row["id"], str) or not row["id"]:
                raise MotionLLMError(f"The {where} has no id; push the set anew.")
            load = partial(_features, group, number)
            clips = list(sources.spans(row["id"], _captions(row, where), load, _labels(row, where), mute))
            if not clips:
                silent.append(row["id"])
            samples += clips
    if not samples:
        raise MotionLLMError(
            f"No clip of the {split} split of {source.path} has a caption: {sources.shortened(silent)}."
        )
    notes = [
        f"{source.path}: {sources.counted(len(silent), 'clip')} without a caption in {split} and left out: "
        f"{sources.shortened(silent)}."
    ]
    return samples, notes if silent else []


def labels(source: Source, split: str) -> Iterator[dict[str, Any]]:
    """The labels of each row of a split."""
    for group in groups(source, split):
        for number, row in enumerate(_small(group)):
            yield _labels(row, f"row {number} of row group {group.number} of {group.file}")


def _small(group: Group) -> list[dict[str, Any]]:
    """The rows of a group without their motion."""
    with _opened(group.file) as parquet:
        columns = [column for column in SMALL if column in parquet.schema_arrow.names]
        rows: list[dict[str, Any]] = parquet.read_row_group(group.number, columns=columns).to_pylist()
    return rows


@lru_cache(maxsize=4)
def _motions(group: Group) -> Any:
    """The motion column of a row group."""
    import pyarrow as pa

    with _opened(group.file) as parquet:
        column = parquet.read_row_group(group.number, columns=["motion"]).column("motion").combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _features(group: Group, number: int, start: float, end: float) -> np.ndarray:
    """Features (T, dim) float32 of a row. Raises MotionFileError where it holds none."""
    where = f"The motion in row {number} of row group {group.number} of {group.file}"
    frames = _motions(group)[number].values
    if frames is None or not len(frames):
        raise MotionFileError(f"{where} has no frame; push the set anew.")
    features = frames.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    dim = len(features) / len(frames)
    if dim not in (HUMANML3D_263.dim, KIT_251.dim):
        raise MotionFileError(f"{where} has {dim:g} numbers a frame; 263 or 251 are read.")
    if not np.isfinite(features).all():
        raise MotionFileError(f"{where} holds NaN or infinity; push the set anew.")
    return sources.cut(features.reshape(len(frames), -1), start, end)


def _captions(row: dict[str, Any], where: str) -> list[sources.Caption]:
    given = row.get("captions") or []
    captions = []
    for one in [given] if isinstance(given, str) else given:
        record = one if isinstance(one, dict) else {"text": one}
        if not isinstance(text := record.get("text"), str):
            raise MotionLLMError(f"The {where} has a caption that is no text; push the set anew.")
        try:
            start, end = sources.span(record.get("start"), record.get("end"))
        except ValueError as error:
            raise MotionLLMError(f"The {where} has a caption that cannot be used: {error}.") from None
        if text.strip():
            captions.append(sources.Caption(" ".join(text.split()), start, end))
    return captions


def _labels(row: dict[str, Any], where: str) -> dict[str, Any]:
    given = row.get("labels")
    values = parse_json(given, f"labels of the {where}") if isinstance(given, str) and given else given or {}
    if not isinstance(values, dict):
        raise MotionLLMError(f"The {where} has labels that are no JSON object; push the set anew.")
    return {key: value for key, value in values.items() if key not in ("id", "split") and value is not None}


def near(count: int, random: np.random.Generator, block: int) -> Sequence[int]:
    """The numbers below `count`, shuffled in blocks as large as row groups, so that none of these is read for one of
    its rows at a time.
    """
    order: list[int] = []
    for start in (random.permutation(-(-count // block)) * block).tolist():
        order += (start + random.permutation(min(block, count - start))).tolist()
    return order
