"""Results appended to a JSONL file so that a verb can resume: each line has its "id" and what it was made by.

Lines of another model, or of other settings, are never reused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motionllm.errors import MotionLLMError
from motionllm.files import lock
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import WEIGHTS, find_adapter
from motionllm.lm.library import FILE as LIBRARY
from motionllm.lm.text_adapter import FOLDER as TEXT
from motionllm.runs.run import Log, on_full_disk


class Results:
    """rows: {id: its last line} of the results in the file. See `results`."""

    def __init__(self, path: Path, made_by: Mapping[str, Any]) -> None:
        self.path, self.made_by = path, dict(made_by)
        self.rows = {row["id"]: row for row in _read(path)}
        for row in self.rows.values():
            theirs = row.get("made_by")
            if not isinstance(theirs, dict):
                raise MotionLLMError(
                    f"{path} does not say by which model it was made, so it cannot be gone on with; "
                    "give another --out, or move it away."
                )
            for key in sorted({*theirs, *made_by}):
                if theirs.get(key) != self.made_by.get(key):
                    raise MotionLLMError(
                        f"{path} was made by another model or with other settings ({key}: {theirs.get(key)!r} there, "
                        f"{self.made_by.get(key)!r} now); give another --out, or move it away."
                    )
        self.log = Log(path, lambda row: True)

    def drop(self, ids: set[str]) -> None:
        """Remove the lines of these ids from the file."""
        if not ids & self.rows.keys():
            return
        self.rows = {name: row for name, row in self.rows.items() if name not in ids}
        self.log.close()
        self.log = Log(self.path, lambda row: row["id"] not in ids)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a result; `made_by` is added. Raises WriteError where the disk is full."""
        self.log.write({**row, "made_by": self.made_by})


@contextmanager
def results(path: Path, made_by: Mapping[str, Any]) -> Iterator[Results]:
    """Lock `path` for this process and read the results it already has.

    made_by: everything that determines the results, as plain JSON values. Raises MotionLLMError where `path` is a
    folder, is in use, cannot be written, is not such a file, or was made by another model or settings.
    """
    if os.path.isdir(path):  # Path.is_dir raises for names that are too long
        raise MotionLLMError(f"{path} is a folder; give --out the name of a file, as {path / 'captions.jsonl'}.")
    with lock(path), on_full_disk(lambda: "Make room and give the same command again: what is there is kept."):
        kept = Results(path, made_by)
        try:
            yield kept
        finally:
            kept.log.close()


def made_by(model: str | Path, **settings: Any) -> dict[str, Any]:
    """What determines results: hashes of the adapter's weights and the motion tokenizer, and settings. Loads no
    model.
    """
    tokenizer = MotionVocab.load(find_adapter(model)).tokenizer_hash
    return {"adapter": adapter_hash(model), "tokenizer": tokenizer, **settings}


def adapter_hash(name: str | Path) -> str:
    """Identifies an adapter's weights, with those of its second adapter and its motion library, or a whole model's: the
    first 16 digits of the SHA-256 of its files.
    """
    folder = find_adapter(name)
    files = [folder / WEIGHTS, *folder.glob(f"{TEXT}/{WEIGHTS}"), *folder.glob(LIBRARY)]
    if not files[0].is_file():  # a run with method full holds a whole model
        files = sorted(folder.glob("model*.safetensors")) or files
    try:
        return content_hash(*files)
    except OSError as error:
        raise MotionLLMError(f"The adapter's weights {error.filename} cannot be read: {error.strerror}.") from None


def content_hash(*files: Path) -> str:
    """The first 16 digits of the SHA-256 of the files' concatenated content. Raises OSError where one cannot be
    read.
    """
    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()[:16]


def _read(path: Path) -> list[dict[str, Any]]:
    """The objects in the file, without an incomplete last line left by a killed process."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    try:
        lines = content[: content.rfind(b"\n") + 1].decode("utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        if not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
            raise ValueError
    except (ValueError, RecursionError):
        raise MotionLLMError(
            f"{path} is no list of results to go on with; move it away or give another name."
        ) from None
    return rows
