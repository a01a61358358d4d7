"""A source's clips, encoded once: one row a clip in an Arrow file, memory-mapped by Hugging Face `datasets`.

The file is named by a fingerprint of all that its content hangs on: the source's settings and files (names, sizes,
times of change), the code that makes clips and questions of them, and the motion tokenizer. Phrasings and the base's
tokens are no part of it: they are drawn anew each time a clip is seen, at a thousandth of a training step's cost, so
that other templates or another base need no new encoding.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from motionllm.bases import cache_folder
from motionllm.config import Source
from motionllm.data import chats
from motionllm.data.questions import Balance, fact_questions, label_questions, label_values
from motionllm.data.samples import Question, Sample
from motionllm.data.sources import at_pace, mirrored, read
from motionllm.data.templates import EDITS, TASKS
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.facts import facts
from motionllm.motion.features import features_to_joints
from motionllm.tokenizer import MotionTokenizer

PACE = 1.5  # of the tasks `faster` and, the other way round, `slower`
VERSION = 1  # raise it when what is written for the same clip changes


@dataclass
class Clip:
    """A sample with its motion codes (n,); edits: the codes of its mirrored, faster, slower form, where wanted.

    The motion parts of a conversation's messages hold their codes.
    """

    sample: Sample
    codes: np.ndarray
    edits: dict[str, np.ndarray] = field(default_factory=dict)


class Clips(Sequence[Clip]):
    """The rows of an Arrow file as clips, of which only those asked for are read. Without a file there are none."""

    def __init__(self, path: Path | None = None) -> None:
        from datasets import Dataset

        self.rows = Dataset.from_file(str(path)) if path else Dataset.from_dict({name: [] for name in _columns()})

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.rows[index]
        sample = Sample(
            id=row["id"],
            captions=row["captions"],
            questions=[Question(**q) for q in row["questions"]],
            labels=json.loads(row["labels"]),
            messages=json.loads(row["messages"]),
        )
        edits = {name: np.array(row[name]) for name in EDITS if row[name]}
        return Clip(sample, np.array(row["codes"], np.int64), edits)

    def count(self, column: str) -> int:
        """Items of all the lists of a column ("codes", "captions", "questions")."""
        from pyarrow import compute

        return compute.sum(compute.list_value_length(self.rows.data.column(column))).as_py() or 0

    def serving(self, task: str) -> np.ndarray:
        """(n,) the rows that have what the task needs."""
        return np.flatnonzero([task in tasks for tasks in self.rows["serves"]])


def encode(
    source: Source,
    split: str,
    tokenizer: MotionTokenizer,
    tasks: Sequence[str] = (),
    progress: Callable[..., None] | None = None,
) -> Clips:
    """The clips of a source with their codes, from the cache where the same data met the same tokenizer before.

    tasks: those of them that ask for edited motion have it encoded too. Clips shorter than one step are left out;
    MotionLLMError where none is left, or where the cache cannot be written.
    """
    edits = [name for name in EDITS if name in tasks]
    path = cache_folder() / "clips" / f"{_fingerprint(source, split, tokenizer, edits)}.arrow"
    if not path.is_file():
        from datasets.arrow_writer import ArrowWriter

        beside = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ArrowWriter(features=_columns(), path=str(beside)) as writer:
                for row in _rows(source, split, tokenizer, edits, progress):
                    writer.write(row)
                written, _ = writer.finalize()
            if not written:
                raise MotionLLMError(f"No clip of {source.path or source.kind} is as long as one motion code.")
            os.replace(beside, path)
        except OSError as error:
            raise MotionLLMError(
                f"The encoded clips cannot be written to {path.parent} ({error.strerror or error}); make room, or "
                "set MOTIONLLM_CACHE to another folder."
            ) from None
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
    return Clips(path)


def _columns() -> Any:
    from datasets import Features, List, Value

    codes, text = List(Value("int32")), Value("string")
    return Features({
        "id": text, "captions": List(text), "labels": text, "messages": text, "serves": List(text), "codes": codes,
        "questions": List({"text": text, "answer": text, "kind": text}), **{name: codes for name in EDITS},
    })  # fmt: skip


def _rows(
    source: Source, split: str, tokenizer: MotionTokenizer, edits: Sequence[str], progress: Callable[..., None] | None
) -> Iterator[dict[str, Any]]:
    samples = read(source, split)
    values = label_values(s.labels for s in samples) if "labels" in source.ask else {}
    random = np.random.default_rng(source.seed)
    balance = Balance()
    # In random order: sorted by label, a set's first clips would use up what the balance of answers lets through.
    for number, i in enumerate(random.permutation(len(samples)).tolist(), 1):
        sample = samples[i]
        codes = {name: np.zeros(0, np.int64) for name in ("codes", *EDITS)}
        questions = list(sample.questions)
        messages = [_encoded(m, tokenizer) for m in sample.messages]
        if progress:
            progress(number / len(samples), clips=number)
        if not messages:
            features = sample.load()
            if len(features) < tokenizer.frames_per_step:
                continue
            codes["codes"] = tokenizer.encode(features)
            for name in edits:
                changed = mirrored(features) if name == "mirror" else at_pace(
                    features, PACE if name == "faster" else 1 / PACE)  # fmt: skip
                if len(changed) >= tokenizer.frames_per_step:
                    codes[name] = tokenizer.encode(changed)
            if "facts" in source.ask:
                if features.shape[1] != 263:
                    raise MotionLLMError(
                        f"Facts are measured on 22 joints, {source.path} has KIT-ML's 21; take `facts` out of `ask`."
                    )
                questions += fact_questions(facts(features_to_joints(features)), random)
            questions += label_questions(sample.labels, values, random)
        questions = balance(questions)
        steps = len(codes["codes"]) // tokenizer.parts
        serves = {
            "text_to_motion": bool(sample.captions), "caption": bool(sample.captions), "length": bool(sample.captions),
            "question": bool(questions), "prediction": steps >= 4, "inbetween": steps >= 6,
            **{name: len(codes[name]) > 0 for name in EDITS},
        } if not messages else {
            "conversation": any(p["type"] == "motion" for m in messages for p in m["content"]),
            "text": all(p["type"] == "text" for m in messages for p in m["content"]),
        }  # fmt: skip
        yield {
            "id": sample.id,
            "captions": sample.captions,
            "questions": [asdict(q) for q in questions],
            "labels": json.dumps(sample.labels),
            "messages": json.dumps(messages),
            "serves": [task for task in TASKS if serves.get(task)],
            **codes,
        }


def _encoded(message: dict[str, Any], tokenizer: MotionTokenizer) -> dict[str, Any]:
    parts = [
        {"type": "motion", "codes": tokenizer.encode(Motion.load(part["motion"])).tolist()}
        if part["type"] == "motion"
        else part
        for part in message["content"]
    ]
    return {"role": message["role"], "content": parts}


def _fingerprint(source: Source, split: str, tokenizer: MotionTokenizer, edits: Sequence[str]) -> str:
    digest = hashlib.sha256(
        f"{VERSION} {tokenizer.hash} {source.model_dump_json(exclude={'weight'})} {split} {edits}".encode()
    )
    package = Path(__file__).parent
    makers = [package / "questions.py", package.parent / "motion" / "facts.py"]
    if source.kind == "builtin":
        makers += sorted((package / "builtin").glob("*.py"))
    else:
        assert source.path
        digest.update(str(Path(source.path).resolve()).encode())
        for file in _files(source, split):
            stat = file.stat()
            digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    for file in makers:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _files(source: Source, split: str) -> Iterator[Path]:
    """Every file that a source's clips come from."""
    assert source.path
    path = Path(source.path)
    if source.kind in chats.KINDS:
        if file := chats.file_of(path, split):
            yield file
        parts = (part for s in read(source, split) for message in s.messages for part in message["content"])
        yield from sorted({Path(part["motion"]) for part in parts if part["type"] == "motion"})
        return
    for folder in (path, *(path / kind for kind in ("new_joint_vecs", "new_joints", "texts"))):
        if folder.is_dir():
            yield from (file for file in sorted(folder.iterdir()) if file.is_file())
