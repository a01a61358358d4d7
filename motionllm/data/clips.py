"""A source's clips, encoded once: one row a clip in an Arrow file (or one of each shard), memory-mapped to be read.

The file is named by a fingerprint of all that its content hangs on: the source's settings, the content of its files,
the code that makes clips and questions of them, and the motion tokenizer. Phrasings and the base's tokens are not part
of it: they are drawn anew each time a clip is seen, at a thousandth of a training step's cost, so that other templates
or another base need no new encoding. Beside it, a JSON file keeps what was left out of the source, for later reports.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

import motionllm.corpus
import motionllm.data
import motionllm.motion
from motionllm.config import Source
from motionllm.data import shards, sources
from motionllm.data.asked import contradiction
from motionllm.data.content import code_of, fingerprint, joined, shard_fingerprints
from motionllm.data.questions import Balance, fact_questions, label_questions, label_values, labels_asked
from motionllm.data.shards import WHOLE, Shard
from motionllm.data.sources import counted, shortened
from motionllm.data.tasks import TASKS, editing
from motionllm.data.variants import varied
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import cache_folder, make_folder, read_json, whole, write_json
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import measure_with_facts
from motionllm.motion.representation import HUMANML3D_263
from motionllm.samples import Question, Sample
from motionllm.tokenizer import MotionTokenizer

log = logging.getLogger(__name__)

VERSION = 2  # raise it when what is written for the same clip changes, or which clips serve a task


@dataclass
class Clip:
    """A sample with its motion codes (n,); edits: the codes of its mirrored, faster, slower form, where wanted;
    notation: the text of what is measured on it, where wanted.

    The motion parts of a conversation's messages hold their codes.
    """

    sample: Sample
    codes: np.ndarray
    edits: dict[str, np.ndarray] = field(default_factory=dict)
    notation: str = ""


class Clips(Sequence[Clip]):
    """The rows of Arrow files as clips, those of the first file first. The files are memory-mapped, and only the rows
    asked for are read. Without a file there are none.

    content: the fingerprint of what they were made of; "none" where the source has no such split. Raises
    MotionFileError for a damaged file.
    """

    def __init__(self, paths: Sequence[Path] = (), content: str = "none") -> None:
        import pyarrow

        self.paths, self.content = tuple(paths), content
        tables = [_table(path) for path in paths]
        self.table = pyarrow.concat_tables(tables) if tables else _columns().arrow_schema.empty_table()
        self.columns = dict(zip(self.table.column_names, self.table.columns, strict=True))

    def __reduce__(self) -> tuple[type[Clips], tuple[tuple[Path, ...], str]]:
        return Clips, (self.paths, self.content)  # another process maps the files itself

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        cells = {name: column[index] for name, column in self.columns.items()}
        sample = Sample(
            id=cells["id"].as_py(),
            captions=cells["captions"].as_py(),
            questions=[Question(**q) for q in cells["questions"].as_py()],
            labels=json.loads(cells["labels"].as_py()),
            messages=json.loads(cells["messages"].as_py()),
        )
        edits = {name: _codes(cells[name]) for name in editing() if len(cells[name])}
        return Clip(sample, _codes(cells["codes"]), edits, cells["notation"].as_py())

    def count(self, column: str) -> int:
        """Items of all the lists of a column ("codes", "captions", "questions")."""
        from pyarrow import compute

        return compute.sum(compute.list_value_length(self.columns[column])).as_py() or 0

    def noted(self, count: int) -> list[tuple[str, str]]:
        """(its first caption or "", its notation) of those of the first `count` rows that have a notation."""
        captions, notations = (self.columns[name][:count].to_pylist() for name in ("captions", "notation"))
        return [(c[0] if c else "", n) for c, n in zip(captions, notations, strict=True) if n]

    def serving(self, task: str) -> np.ndarray | range:
        """(n,) the rows that have what the task needs; a range where all have."""
        from pyarrow import compute

        rows, first = [np.zeros(0, np.int32)], 0
        for part in self.columns["serves"].chunks:  # lists of names, without a Python list of them all
            of_row = compute.list_parent_indices(part).to_numpy(zero_copy_only=False)
            serves = compute.equal(part.flatten(), task).to_numpy(zero_copy_only=False)
            rows.append((first + of_row[serves]).astype(np.int32))
            first += len(part)
        serving = np.concatenate(rows)
        return range(len(self)) if len(serving) == len(self) else serving


def _table(path: Path) -> Any:
    import pyarrow

    try:
        return pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise MotionFileError(f"{path} is damaged ({first}); remove it, and its clips are encoded anew.") from None


def _codes(cell: Any) -> np.ndarray:
    """Codes (n,) of a cell of an Arrow table."""
    return np.array(cell.values, np.int64)


def encode(
    source: Source,
    split: str,
    tokenizer: MotionTokenizer,
    tasks: Sequence[str] = (),
    progress: Callable[..., None] | None = None,
    noted: bool = False,
) -> Clips:
    """The clips of a source with their codes, from the cache where the same data met the same tokenizer before.

    tasks: those of them that ask for edited motion have it encoded too. noted: with the notation of each clip. A split
    that was dealt to shards (`data encode --shard`), or is too large to be encoded as one, has the clips of each shard
    in turn; shards that are missing or damaged are encoded. Clips shorter than one step are left out; MotionLLMError
    where none is left, or where the cache cannot be written.
    """
    work = Work(source, split, tokenizer, tasks, noted)
    of = shards.count(*sources.listing(source, split))
    files, content = work.files(of)
    todo = [number for number, file in enumerate(files, 1) if not shards.is_whole(file)]
    if todo and (len(todo) < of or any(file.is_file() for file in files)):
        log.warning("%s; they are encoded now.", shards.lacking(source, split, files, todo))
    for done, number in enumerate(todo):
        work.encode(Shard(number, of), progress and partial(within, progress, done, len(todo)))
    for file in files:
        if (beside := file.with_suffix(".json")).is_file():
            sources.say(read_json(beside)["left_out"])
    return Clips(files, content)


def within(progress: Callable[..., None], done: int, of: int, share: float, **numbers: Any) -> None:
    """Call the `progress` of `of` things for the one after `done` of them, of which this share is done."""
    progress((done + share) / of, **numbers)


@dataclass
class Work:
    """What is to be encoded of a split of a source, and how; see `encode`."""

    source: Source
    split: str
    tokenizer: MotionTokenizer
    tasks: Sequence[str]
    noted: bool

    def __post_init__(self) -> None:
        self.edits = {n: change for n in editing() if n in self.tasks and (change := TASKS[n].edited)}

    def file(self, shard: Shard) -> Path:
        """The Arrow file of a shard, which is named by all that its content hangs on."""
        return self._file(shard, fingerprint(self.source, self.split, shard))

    def files(self, of: int) -> tuple[list[Path], str]:
        """The files of all `of` shards, and the fingerprint of what they are made of."""
        parts = shard_fingerprints(self.source, self.split, of)
        return [self._file(Shard(number, of), part) for number, part in enumerate(parts, 1)], joined(parts)

    def _file(self, shard: Shard, content: str) -> Path:
        return cache_folder() / "clips" / f"{_key(self, shard, content)}.arrow"

    def encode(self, shard: Shard, progress: Callable[..., None] | None = None) -> Path:
        """Encode a shard into its file, in the place of any that is there. Raises MotionLLMError as `encode` does."""
        from datasets.arrow_writer import ArrowWriter

        path, source = self.file(shard), self.source
        samples, notes = sources.read_noted(source, self.split, shard)
        if source.more and self.split == "train":
            more = shards.share(source.more, shard)
            samples = [*samples, *varied(samples, more, source.seed + 1_000_003 * (shard.number - 1))]
        try:
            make_folder(path.parent)
            with whole(path) as part:
                with ArrowWriter(features=_columns(), path=str(part)) as writer:
                    for row in _rows(self, shard, samples, notes, progress):
                        writer.write(row)
                    written, _ = writer.finalize()
                if not written:
                    raise MotionLLMError(f"No clip of {source.path or source.kind} can be used: {' '.join(notes)}")
                write_json(path.with_suffix(".json"), {"left_out": notes, **shards.record(part)})
        except (OSError, MotionFileError) as error:
            raise MotionLLMError(
                f"The encoded clips cannot be kept: {error} Make room, or set MOTIONLLM_CACHE to another folder."
            ) from None
        return path


def _columns() -> Any:
    from datasets import Features, List, Value

    codes, text = List(Value("int32")), Value("string")
    return Features(
        {
            "id": text,
            "captions": List(text),
            "labels": text,
            "notation": text,
            "messages": text,
            "serves": List(text),
            "codes": codes,
            "questions": List({"text": text, "answer": text, "kind": text}),
            **{name: codes for name in editing()},
        }
    )


def _rows(
    work: Work,
    shard: Shard,
    samples: Sequence[Sample],
    notes: list[str],
    progress: Callable[..., None] | None,
) -> Iterator[dict[str, Any]]:
    """A row for each sample; what is left out is appended to `notes` when all have been tried."""
    source, tokenizer, noted = work.source, work.tokenizer, work.noted
    bad: list[str] = []
    short: list[str] = []
    wrong: list[str] = []
    captioned: set[str] = set()
    own_ids = {sample.id for sample in samples}
    labels, skipped, values = _labels(work, shard, samples)
    random = np.random.default_rng(source.seed if shard == WHOLE else [source.seed, 5, *shard])
    balance = Balance()
    # In random order: sorted by label, a set's first clips would use up what the balance of answers lets through.
    parquet = sources.in_parquet(source)
    block = max(group.rows for group in parquet.groups(source, work.split)) if parquet else 0
    order = parquet.near(len(samples), random, block) if parquet else random.permutation(len(samples)).tolist()
    for number, i in enumerate(order, 1):
        sample, codes = samples[i], np.zeros(0, np.int64)
        edited: dict[str, np.ndarray] = {}
        questions, notation = list(sample.questions), ""
        if progress:
            progress(number / len(samples), clips=number)
        try:
            messages = [_encoded(m, tokenizer) for m in sample.messages]
            features = np.zeros((0, 0)) if messages else sample.load()
        except MotionLLMError as error:
            bad.append(str(error).rstrip("."))
            continue
        if not messages:
            if len(features) < tokenizer.frames_per_step:
                short.append(sample.id)
                continue
            codes = tokenizer.encode(features)
            for name, change in work.edits.items():
                if len(changed := change(features)) >= tokenizer.frames_per_step:
                    edited[name] = tokenizer.encode(changed)
            if _measured(source, noted) and features.shape[1] != HUMANML3D_263.dim:
                leave = (
                    "take `facts` out of `ask`"
                    if "facts" in source.ask
                    else "leave `data.notation` out"
                    if noted
                    else "leave `captions: [notation]` and `check` out"
                )
                raise MotionLLMError(f"Motion is measured on 22 joints, {source.path} has KIT-ML's 21; {leave}.")
            untold = "notation" in source.captions and not sample.captions
            if (noted or untold or source.check or "facts" in source.ask) and len(features) >= 5:
                measured, facts = measure_with_facts(features_to_joints(features))
                notation = str(measured) if noted else ""
                if source.check:
                    against = {c: why for c in sample.captions if (why := contradiction(c, measured))}
                    wrong += [f"{sample.id}: {c!r}: {why}" for c, why in against.items()]
                    sample.captions = [c for c in sample.captions if c not in against]
                if "notation" in source.captions and not sample.captions:
                    stem = sample.id.partition("~")[0]  # of a version with another beginning or pace
                    twin = source.mirror and stem.startswith("M") and stem[1:] in own_ids
                    captioned.add(stem[1:] if twin else stem)
                    sample.captions, sample.labels = measured.sentences(), {**sample.labels, "captions": "notation"}
                if "facts" in source.ask:
                    questions += fact_questions(facts, measured, random)
            if labels:
                questions += label_questions(labels[i], values, random)
        clip = Clip(replace(sample, questions=balance(questions), messages=messages), codes, edited, notation)
        yield {
            "id": sample.id,
            "captions": sample.captions,
            "questions": [asdict(q) for q in clip.sample.questions],
            "labels": json.dumps(sample.labels),
            "messages": json.dumps(messages),
            "notation": notation,
            "serves": [task.name for task in TASKS.values() if task.serves(clip, tokenizer.parts)],
            "codes": codes,
            **{name: edited.get(name, ()) for name in editing()},
        }
    where = source.path or source.kind
    if skipped:
        notes.append(
            f"{where}: labels asked about: {', '.join(values) or 'none'}; not asked about: {', '.join(skipped)} (of "
            "people, files or codes). The source's `labels` chooses others."
        )
    if bad:
        notes.append(f"{where}: {counted(len(bad), 'clip')} left out: {shortened(bad)}.")
    if captioned:
        notes.append(f"{where}: {counted(len(captioned), 'clip')} captioned from what is measured, having no caption.")
    if wrong:
        notes.append(f"{where}: {counted(len(wrong), 'caption')} left out, the motion shows other: {shortened(wrong)}.")
    if short:
        notes.append(f"{where}: {counted(len(short), 'clip')} shorter than one code and left out: {shortened(short)}.")


def _labels(
    work: Work, shard: Shard, samples: Sequence[Sample]
) -> tuple[list[dict[str, str]], list[str], dict[str, list[str]]]:
    """The labels of each sample that are asked about, in words; the keys that are not; every value, by key."""
    source, train, rows = work.source, work.split == "train", [s.labels for s in samples]
    if "labels" not in source.ask:
        return [], [], {}
    if shard == WHOLE:
        labels, skipped = labels_asked(rows, source.labels, whole=train)
        return labels, skipped, label_values(labels)
    # What is asked about, and with which answers, is the same in all shards.
    words, skipped = labels_asked(sources.labels_in_short(source, work.split), source.labels, whole=train)
    values = label_values(words)
    chosen = {key: {} for key in values} if source.labels is None else source.labels
    return labels_asked(rows, chosen, whole=False)[0], skipped, values


def _encoded(message: dict[str, Any], tokenizer: MotionTokenizer) -> dict[str, Any]:
    parts = [
        {"type": "motion", "codes": tokenizer.encode(Motion.load(part["motion"])).tolist()}
        if part["type"] == "motion"
        else part
        for part in message["content"]
    ]
    return {"role": message["role"], "content": parts}


def _measured(source: Source, noted: bool) -> bool:
    return noted or bool(source.check) or "notation" in source.captions or "facts" in source.ask


def _key(work: Work, shard: Shard, content: str) -> str:
    source, tokenizer = work.source, work.tokenizer
    # Whole packages: which of their modules a clip hangs on is more than a list of them would remember.
    code = code_of(motionllm.motion, motionllm.corpus, motionllm.data)
    settings = source.model_dump_json(exclude={"weight", "path"})
    # The rows say which tasks they serve: another task needs other rows.
    made_by = (
        f"{VERSION} {tokenizer.hash} {code} {settings} {content} {work.split} {[*work.edits]}"
        f"{work.noted * ' noted'} {[*TASKS]}{'' if shard == WHOLE else f' shard {shard}'}"
    )
    return hashlib.sha256(made_by.encode()).hexdigest()[:32]
