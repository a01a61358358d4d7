"""Data sets as the hub shows them, Parquet files with a motion column, written from a folder in HumanML3D's layout and
unpacked into one.

`datasets.load_dataset` reads them as they are: `motion` is a two-dimensional array, `preview` an image.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import hub
from motionllm.data import sources
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import (
    cache_folder,
    lock,
    make_folder,
    parse_json,
    whole_folder,
    write_file,
    write_json,
    write_jsonl,
    writing,
)
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.representation import HUMANML3D_263, KIT_251, of_width
from motionllm.motion.show.pictures import contact_sheet

SPLITS = {"train": "train", "val": "validation", "test": "test"}  # ours: the hub's
PREVIEWS = 1000  # clips of a split that get a picture; a viewer shows the first hundred
SHARD = 1500  # clips of a file: about 300 MB
GROUP = 100  # clips of a row group, which viewers read whole
LONGEST_TEXT = 10_000  # characters of a caption
_ID = re.compile(r'[^\x00-\x1f/\\:*?"<>|]{1,200}')


def pack(folder: Path, out: Path, progress: Callable[[float], object] | None = None) -> dict[str, dict[str, Any]]:
    """Write the set in `folder` as Parquet files into `out`/data; {split: {"clips", "seconds", "captions"}}.

    A row is a clip: id, motion (features of HumanML3D or KIT-ML, un-normalised), fps, seconds, captions, labels as
    JSON, preview. Clips that cannot be read are left out with a note. Raises MotionLLMError where `folder` is no such
    set, or clips differ in their representation.
    """
    splits = [split for split in SPLITS if (folder / f"{split}.txt").is_file()]
    if not splits:
        raise MotionLLMError(
            f"{folder} is no data set: it has no train.txt; give a folder that `motionllm data import` wrote, or one "
            "laid out as HumanML3D."
        )
    listed = {split: sources.files_of(folder, split) for split in splits}
    total = sum(len(files) for files, _ in listed.values())
    labels = sources.labels_of(folder / "labels.jsonl")
    counts: dict[str, dict[str, Any]] = {}
    done = 0
    for split, (files, notes) in listed.items():
        sources.say(notes)
        count = counts[split] = {"clips": 0, "seconds": 0.0, "captions": 0, "dim": 0}
        shards = [files[i : i + SHARD] for i in range(0, len(files), SHARD)]
        for number, shard in enumerate(shards):
            file = out / "data" / f"{SPLITS[split]}-{number:05d}-of-{len(shards):05d}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            count["dim"] = count["dim"] or _width(shard)
            _write(file, _counted(_rows(folder, shard, labels, count), done, total, progress), count["dim"])
            done += len(shard)
        if not count["clips"]:
            raise MotionLLMError(f"No clip of {folder / f'{split}.txt'} can be read; look at its files.")
    if len(widths := {count.pop("dim") for count in counts.values()}) > 1:
        raise MotionLLMError(f"The clips of {folder} have features of {sorted(widths)} numbers; one kind is needed.")
    return counts


def _counted(
    rows: Iterator[dict[str, Any]], done: int, total: int, progress: Callable[[float], object] | None
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, done + 1):
        yield row
        if progress:
            progress(min(1.0, number / total))


def _rows(
    folder: Path, files: list[tuple[str, Path]], labels: dict[str, dict[str, Any]], count: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    bad = []
    for name, file in files:
        try:
            features = sources.features_of(file)
        except MotionLLMError as error:
            bad.append(str(error))
            continue
        text = folder / "texts" / f"{name}.txt"
        captions = sources.read_captions(text)[0] if text.is_file() else []
        if features.shape[1] != count["dim"]:
            raise MotionLLMError(
                f"{file} has features of {features.shape[1]} numbers, and the clips before it {count['dim']}; one kind "
                "is needed."
            )
        representation = of_width(count["dim"])
        yield {
            "id": name,
            "motion": features,
            "fps": representation.fps,
            "seconds": round(len(features) / representation.fps, 3),
            "captions": [{"text": c.text, "start": c.start, "end": c.end, "tokens": c.tokens} for c in captions],
            "labels": json.dumps(labels[name], ensure_ascii=False) if name in labels else None,
            "preview": {"bytes": _preview(features), "path": None} if count["clips"] < PREVIEWS else None,
        }
        count["clips"] += 1
        count["seconds"] += len(features) / representation.fps
        count["captions"] += len(captions)
    if bad:
        sources.say([f"{sources.counted(len(bad), 'clip')} cannot be used and left out: {sources.shortened(bad)}"])


def _width(files: list[tuple[str, Path]]) -> int:
    """Numbers of a frame of the first file that can be read."""
    for _, file in files:
        with contextlib.suppress(MotionLLMError):
            return int(sources.features_of(file).shape[1])
    return 0


def _preview(features: np.ndarray) -> bytes:
    """A PNG of three poses of a clip."""
    representation = of_width(features.shape[1])
    motion = Motion(features_to_joints(features), representation.fps, representation.skeleton)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "preview.png"
        contact_sheet([("", motion)], file)
        return file.read_bytes()


def _write(file: Path, rows: Iterator[dict[str, Any]], dim: int) -> None:
    """Rows as a Parquet file that `datasets` reads with these features, in row groups of GROUP."""
    import pyarrow.parquet as pq
    from datasets import Array2D, Dataset, Features, Image, List, Value
    from datasets.arrow_writer import ArrowWriter

    text, number = Value("string"), Value("float32")
    columns = {
        "id": text,
        "motion": Array2D((None, dim), "float32"),
        "fps": number,
        "seconds": number,
        "captions": List({"text": text, "start": number, "end": number, "tokens": text}),
        "labels": text,
        "preview": Image(),
    }
    with writing(file), tempfile.TemporaryDirectory(dir=file.parent) as beside:
        arrow = Path(beside) / "rows.arrow"
        with ArrowWriter(features=Features(columns), path=str(arrow)) as writer:
            for row in rows:
                writer.write(row)
            if not writer.finalize()[0]:
                return
        pq.write_table(Dataset.from_file(str(arrow)).data.table, file, row_group_size=GROUP)


# -- reading -----------------------------------------------------------------------------------------------------


@cache  # one commit for all of a process
def fetched(name: str) -> Path:
    """The folder, in the cache and in HumanML3D's layout, of a data set of the hub. Raises MotionLLMError where it
    cannot be fetched, or is no set that `pack` could have written.
    """
    snapshot = hub.fetch(name, "dataset")
    folder = cache_folder() / "sets" / f"{hub.split(name)[0].replace('/', '--')}@{snapshot.name}"
    with writing(folder):
        make_folder(folder.parent)
    with lock(folder):
        if not folder.is_dir():
            unpack(snapshot, folder, name)
    return folder


def import_set(name: str, out: Path) -> dict[str, Any]:
    """Write a data set of the hub, or of a folder that `pack` wrote, into the new folder `out`; what its `import.json`
    holds: {"from": name with its commit, "clips": {split: clips}}.
    """
    snapshot, origin = Path(name), name
    if hub.is_name(name):
        snapshot = hub.fetch(name, "dataset")
        origin = f"{hub.split(name)[0]}@{snapshot.name}"
    result = {"from": origin, "clips": unpack(snapshot, out, name)}
    write_json(out / "import.json", result)
    return result


def unpack(snapshot: Path, out: Path, name: str | None = None) -> dict[str, int]:
    """Write the set of a folder of Parquet files into the new folder `out`, in HumanML3D's layout; {split: clips}.

    name: the set's, for errors. Columns: `id`, `motion` (T, 263 or 251) and, where known, `captions` (texts, or records
    with `text`, `start` and `end` in seconds) and `labels` (JSON). Raises MotionLLMError where columns are missing, an
    id cannot be a file's name or is there twice, or features are of another width or not finite.
    """
    name = name or str(snapshot)
    if out.exists():
        raise MotionLLMError(f"{out} is there already; give a folder that does not exist yet.")
    counts: dict[str, int] = {}
    seen: set[str] = set()
    labels: list[dict[str, Any]] = []
    with whole_folder(out) as beside:
        for kind in ("new_joint_vecs", "texts"):
            (beside / kind).mkdir()
        for split, theirs in SPLITS.items():
            files = sorted((snapshot / "data").glob(f"{theirs}-*.parquet"))
            ids = [_unpack_row(row, beside, name, seen, labels) for file in files for row in _read(file, name)]
            if files:
                write_file(beside / f"{split}.txt", "".join(f"{one}\n" for one in ids))
                counts[split] = len(ids)
        if not counts:
            raise MotionLLMError(
                f"The data set {name} has no Parquet files data/train-….parquet; only sets that "
                "`motionllm push --data` wrote are read."
            )
        if labels:
            write_jsonl(beside / "labels.jsonl", labels)
    return counts


def _read(file: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, their motion as an array."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        there = parquet.schema_arrow.names
        if missing := [column for column in ("id", "motion") if column not in there]:
            raise MotionLLMError(
                f"The data set {name} has no column {missing[0]!r} (it has {', '.join(there)[:200]}); only sets that "
                "`motionllm push --data` wrote are read."
            )
        columns = [column for column in ("id", "motion", "captions", "labels") if column in there]
        for batch in parquet.iter_batches(GROUP, columns=columns):
            motions = batch.column("motion")
            motions = motions.storage if isinstance(motions, pa.ExtensionArray) else motions
            rest = batch.select([c for c in columns if c != "motion"]).to_pylist()
            for row, motion in zip(rest, motions, strict=True):
                frames = motion.values
                yield row | {"motion": frames.flatten().to_numpy(zero_copy_only=False).reshape(len(frames), -1)}
    except (pa.ArrowException, OSError, ValueError, AttributeError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise MotionFileError(f"{file.name} of the data set {name} is damaged ({first}); push the set anew.") from None


def _unpack_row(row: dict[str, Any], out: Path, name: str, seen: set[str], labels: list[dict[str, Any]]) -> str:
    """Write a clip's files; its id."""
    one, motion = row["id"], row["motion"]
    where = f"The clip {str(one)[:100]!r} of the data set {name}"
    if not isinstance(one, str) or not _ID.fullmatch(one) or one.startswith(".") or len(one.encode()) > 200:
        raise MotionLLMError(f"{where} has an id that cannot be the name of a file; push the set anew.")
    if motion.ndim != 2 or motion.shape[1] not in (HUMANML3D_263.dim, KIT_251.dim) or not len(motion):
        raise MotionLLMError(f"{where} has motion of shape {motion.shape}; (frames, 263) or (frames, 251) are read.")
    motion = motion.astype(np.float32)
    if not np.isfinite(motion).all():
        raise MotionLLMError(f"{where} holds NaN or infinity; push the set anew.")
    if one in seen:  # a clip may be in two splits, as in the field's sets
        return one
    seen.add(one)
    np.save(out / "new_joint_vecs" / f"{one}.npy", motion)
    captions = row.get("captions") or []
    lines = [_line(c, where) for c in ([captions] if isinstance(captions, str) else captions)]
    write_file(out / "texts" / f"{one}.txt", "".join(f"{line}\n" for line in lines))
    if row.get("labels"):
        values = parse_json(row["labels"], f"labels of {where}") if isinstance(row["labels"], str) else row["labels"]
        if not isinstance(values, dict):
            raise MotionLLMError(f"{where} has labels that are no JSON object; push the set anew.")
        labels.append({"id": one, **{key: value for key, value in values.items() if key != "id"}})
    return one


def _line(caption: Any, where: str) -> str:
    """A caption as a line of HumanML3D's texts."""
    given = caption if isinstance(caption, dict) else {"text": caption}
    text = given.get("text")
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise MotionLLMError(f"{where} has a caption that is no text of up to {LONGEST_TEXT} characters.")
    try:
        start, end = sources.span(given.get("start"), given.get("end"))
    except ValueError as error:
        raise MotionLLMError(f"{where} has a caption that cannot be used: {error}.") from None
    text, tokens = (" ".join(str(part or "").replace("#", " ").split()) for part in (text, given.get("tokens")))
    return f"{text}#{tokens}#{start}#{end}"
