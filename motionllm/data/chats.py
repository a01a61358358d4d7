"""Readers of conversations: JSON or JSONL of messages in the parts format, of ShareGPT, and of Alpaca.

All become messages of text and motion parts, as `language/conversations.py` expects. ShareGPT and Alpaca have no
parts: `<motion>` in a text stands for the next file of the line's `motion` (a path, or a list of paths). Paths are
relative to the file they are in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from motionllm.data.shards import WHOLE, Shard
from motionllm.errors import MotionLLMError
from motionllm.files import parse_json, read_text, stream_jsonl
from motionllm.samples import Sample

PLACE = "<motion>"
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}

Row = dict[str, Any]


def file_of(path: Path, split: str) -> Path | None:
    """The file with a split: SPLIT.jsonl or SPLIT.json in a folder; a single file is the training split."""
    if path.is_dir():
        return next((f for f in (path / f"{split}.jsonl", path / f"{split}.json") if f.is_file()), None)
    return path if split == "train" and path.is_file() else None


def conversations(path: Path, kind: str, split: str, shard: Shard = WHOLE) -> Iterator[Sample]:
    """The conversations of a file or folder, or of a shard of it. kind: "messages", "sharegpt" or "alpaca". Raises
    MotionLLMError, naming file and line, for rows of another kind, missing motion files, and conversations without an
    assistant's message.
    """
    file = file_of(path, split)
    if file is None:
        raise MotionLLMError(
            f"{path} has no {split} split; give a file, or a folder with {split}.jsonl, as the source's `path`."
        )
    empty = True
    for number, row in shard.own(_rows(file)):
        where = f"{file} line {number}"
        try:
            messages = [_resolved(m, file.parent) for m in _READERS[kind](row)]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f": {error}" if isinstance(error, ValueError) else ""
            raise MotionLLMError(f"{where} is not {_FORM[kind]}{reason}.") from None
        except MotionLLMError as error:
            raise MotionLLMError(f"{where}: {error}") from None
        if not any(m["role"] == "assistant" and m["content"] for m in messages):
            raise MotionLLMError(f"{where}: the assistant says nothing, so there is nothing to learn; leave it out.")
        empty = False
        yield Sample(id=str(row.get("id", f"{file.stem}-{number}")), messages=messages)
    if empty:
        raise MotionLLMError(f"{file} is empty; it needs at least one conversation.")


def count(file: Path) -> int:
    """How many conversations a file has, at most: those of JSON lines are counted as lines."""
    if _is_list(file):
        return sum(1 for _ in _rows(file))
    with open(file, "rb") as lines:
        return sum(1 for line in lines if line.strip())


def _rows(file: Path) -> Iterable[tuple[int, Row]]:
    if not _is_list(file):
        return stream_jsonl(file, "file of conversations")
    text = read_text(file, "file of conversations")
    rows = list(enumerate(parse_json(text, str(file)), 1))  # a single list, as in most ShareGPT and Alpaca files
    for number, row in rows:
        if not isinstance(row, dict):
            raise MotionLLMError(f"{file} entry {number} is not one JSON object.")
    return rows


def _is_list(file: Path) -> bool:
    """Whether a file is a single JSON list, and no JSON lines."""
    try:
        with open(file, "rb") as stream:
            return stream.read(64).lstrip(b"\xef\xbb\xbf\xff\xfe\0 \r\n\t").startswith(b"[")
    except OSError as error:
        raise MotionLLMError(f"{file}: cannot be read ({error.strerror or error}).") from None


def _messages(row: Row) -> list[Row]:
    messages = []
    for message in row["messages"]:
        if message["role"] not in ("system", "user", "assistant"):
            raise ValueError(f"role {message['role']!r} is none of system, user, assistant")
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        for part in parts:
            if part.get("type") not in ("text", "motion") or not isinstance(part.get(part["type"]), str):
                raise ValueError('a part is {"type": "text", "text": …} or {"type": "motion", "motion": PATH}')
        messages.append({"role": message["role"], "content": parts})
    return messages


def _sharegpt(row: Row) -> list[Row]:
    turns = [(_ROLES[turn["from"]], turn["value"]) for turn in row["conversations"]]
    if row.get("system"):
        turns.insert(0, ("system", row["system"]))
    return _placed(turns, row)


def _alpaca(row: Row) -> list[Row]:
    asked = "\n\n".join(text for text in (row["instruction"], row.get("input", "")) if text)
    system = [("system", row["system"])] if row.get("system") else []
    return _placed([*system, ("user", asked), ("assistant", row["output"])], row)


def _placed(turns: list[tuple[str, str]], row: Row) -> list[Row]:
    """Messages from texts in which PLACE stands for the row's motions, in order."""
    given = row.get("motion", [])
    motions = [given] if isinstance(given, str) else list(given)
    places = sum(text.count(PLACE) for _, text in turns)
    if places != len(motions):
        raise ValueError(f"it has {places} times {PLACE} and {len(motions)} motions")
    rest = iter(motions)
    messages = []
    for role, text in turns:
        parts: list[Row] = []
        for number, piece in enumerate(text.split(PLACE)):
            if number:
                parts.append({"type": "motion", "motion": next(rest)})
            if piece:
                parts.append({"type": "text", "text": piece})
        messages.append({"role": role, "content": parts})
    return messages


def _resolved(message: Row, folder: Path) -> Row:
    parts = []
    for part in message["content"]:
        if part["type"] == "motion":
            path = (folder / part["motion"]).resolve()
            if not path.is_file():
                raise MotionLLMError(f"the motion file {path} does not exist; paths are relative to {folder}.")
            part = {"type": "motion", "motion": str(path)}
        parts.append(part)
    return {"role": message["role"], "content": parts}


_READERS: dict[str, Callable[[Row], list[Row]]] = {"messages": _messages, "sharegpt": _sharegpt, "alpaca": _alpaca}
_FORM = {
    "messages": '{"messages": [{"role": …, "content": …}, …]}',
    "sharegpt": '{"conversations": [{"from": "human" or "gpt", "value": …}, …]}',
    "alpaca": '{"instruction": …, "input": …, "output": …}',
}
KINDS = tuple(_READERS)
