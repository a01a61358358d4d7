"""Captions of the files of a folder that is imported: from texts beside them, a table of rows, or their names."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motionllm.data.sources import Caption, read_captions, span
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import (
    parse_json,
    read_jsonl,
    read_text,
)
from motionllm.motion.skeleton import HUMANML3D


@dataclass
class CaptionTable:
    """Captions by id of the file they are of, and what is wrong: with those of a file, and with others."""

    captions: dict[str, list[Caption]]
    doubts: dict[str, list[str]]
    unused: list[str]


def one_line(text: str) -> str:
    """One line of valid UTF-8: file names and the messages of libraries may be neither."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())[:500]


def collect(
    places: Sequence[Path | str | None], folder: Path, ids: Mapping[Path, str], uncaptioned: bool = False
) -> CaptionTable:
    """Captions from the places named, as `import_folder` takes them. uncaptioned: a row may leave its caption empty."""
    table = CaptionTable({}, defaultdict(list), [])
    for place in places:
        _collect(table, place, folder, ids, uncaptioned)
    return table


def _collect(
    table: CaptionTable, given: Path | str | None, folder: Path, ids: Mapping[Path, str], uncaptioned: bool
) -> None:
    if given is None:
        for file, name in ids.items():
            if (beside := file.with_suffix(".txt")).is_file():
                try:
                    lines, doubts = read_captions(beside)
                except MotionFileError as error:
                    table.doubts[name].append(one_line(str(error).rstrip(".")))
                    continue
                table.doubts[name] += doubts
                _tell(table, name, lines)
    elif str(given) == "names":
        for file, name in ids.items():
            _tell(table, name, [Caption(_words(file.stem))])
    else:
        _from_rows(table, Path(given), folder, ids, uncaptioned)


def _tell(table: CaptionTable, name: str, captions: Iterable[Caption]) -> None:
    cleaned = [replace(c, text=text) for c in captions if (text := _clean(c.text))]
    if cleaned:
        table.captions.setdefault(name, []).extend(cleaned)


def _from_rows(table: CaptionTable, path: Path, folder: Path, ids: Mapping[Path, str], uncaptioned: bool) -> None:
    if not path.is_file():
        raise MotionLLMError(f"There is no file of captions {path}; give a CSV or JSONL file, or `names`.")
    # What a row may call a file by, in the order in which it is looked for.
    ways: list[Callable[[Path], str]] = [
        lambda f: f.relative_to(folder).as_posix(),
        lambda f: f.relative_to(folder).with_suffix("").as_posix(),
        lambda f: f.name,
        lambda f: f.stem,
        lambda f: ids[f],
    ]
    tables: list[dict[str, list[Path]]] = []
    for way in ways:
        tables.append(defaultdict(list))
        for file in ids:
            tables[-1][unicodedata.normalize("NFC", way(file))].append(file)
    exact = {ways[0](file): [file] for file in ids}
    for number, row in rows_of(path):
        where = f"{path}, line {number}"
        named = [k for k in ("file", "id", "clip", "name", "path") if k in row]
        spoken = [k for k in ("captions", "caption", "text") if k in row]
        if not named or not spoken:
            where = (
                where if path.suffix.lower() in (".jsonl", ".json") else f"{path}, line 1"
            )  # which names a CSV's columns
            raise MotionLLMError(f"{where}: needs `file` and `caption`, has {', '.join(map(str, row)) or 'nothing'}.")
        called = next((str(row[k]).strip() for k in named if row[k]), "")
        key = called.replace("\\", "/").removeprefix("./")
        composed = unicodedata.normalize("NFC", key)  # an accent may be a character of its own on one side alone
        matches = exact.get(key) or next((named[composed] for named in tables if composed in named), [])
        if not matches:
            table.unused.append(f"{where}: {called[:100]!r} is no file of {folder}" if called else f"{where}: no file")
            continue
        if len(matches) > 1:
            a, b = (f.relative_to(folder).as_posix() for f in matches[:2])
            raise MotionLLMError(f"{where}: {called!r} may be {a} or {b}; write which, with its folder and suffix.")
        name = ids[matches[0]]
        if "" in row:
            table.doubts[name].append(f"{where}: has more fields than the first line; quote what holds a comma")
            continue
        try:
            start, end = span(row.get("from"), row.get("to"))
        except ValueError as error:
            table.doubts[name].append(f"{where}: {error}")
            continue
        texts = next((row[k] for k in spoken if row[k]), "")
        texts = texts if isinstance(texts, list) else [texts]
        if not any(_clean(str(text)) for text in texts):
            if uncaptioned:
                continue
            table.doubts[name].append(f"{where}: has no caption")
        _tell(table, name, [Caption(str(text), start, end, where) for text in texts])


def delimiter_of(text: str) -> str:
    """What separates the columns of a CSV file: spreadsheets write ; where a comma is the decimal point."""
    header = text.split("\n", 1)[0]
    return next((d for d in ",;\t" if d in header), ",")


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, values by column) of a CSV, JSONL or JSON file; what a CSV row has too many is under ""."""
    text = read_text(path, "file of captions")
    if path.suffix.lower() in (".jsonl", ".json"):
        whole = parse_json(text, str(path)) if text.lstrip().startswith("[") else None
        rows = read_jsonl(path, "file of captions") if whole is None else list(enumerate(whole, 1))
        for number, row in rows:
            if not isinstance(row, dict):
                raise MotionLLMError(f"{path}, entry {number}: expected a JSON object with `file` and `caption`.")
            yield number, row
        return
    reader = csv.DictReader(io.StringIO(text), restkey="", delimiter=delimiter_of(text))
    try:
        if not reader.fieldnames:
            raise MotionLLMError(f"The captions {path} are empty; the first line names the columns, file,caption.")
        for row in reader:
            yield reader.line_num, {(key or "").strip().lower(): value for key, value in row.items()}
    except csv.Error as error:
        raise MotionLLMError(f"{path}, line {reader.line_num}: is not CSV ({error}).") from None


def lines_of(
    captions: Iterable[Caption], frames: Sequence[int], uncaptioned: bool = False
) -> tuple[list[str], list[str]]:
    """The captions of each piece in HumanML3D's lines, their seconds moved into the piece; what cannot be used.

    A caption of a whole piece has no seconds. uncaptioned: pieces without any are not left out.
    """
    lengths = [count / HUMANML3D.fps for count in frames]
    begun = [sum(lengths[:k]) for k in range(len(lengths))]
    total = sum(lengths)
    lines: list[list[str]] = [[] for _ in frames]
    doubts = []
    for caption in captions:
        if not caption.start and not caption.end:
            for piece in lines:
                piece.append(f"{caption.text}##0.0#0.0")
            continue
        start, end = caption.start, caption.end or total
        where = f"{caption.where}: " if caption.where else ""
        if start >= total:
            doubts.append(f"{where}it begins at {start:g} s, the clip ends at {total:g} s")
            continue
        if end > total + 0.5:
            doubts.append(f"{where}it ends at {end:g} s, the clip at {total:g} s: taken to the clip's end")
        parts = [(max(start - b, 0.0), min(end - b, length)) for b, length in zip(begun, lengths, strict=True)]
        if all(b - a <= 0.5 for a, b in parts):
            doubts.append(f"{where}it is of {min(end, total) - start:.2f} s; half a second is the least")
        for piece, (a, b), length in zip(lines, parts, lengths, strict=True):
            if length - (b - a) < 0.02:  # seconds are written with two decimals
                piece.append(f"{caption.text}##0.0#0.0")
            elif b - a > 0.5:
                piece.append(f"{caption.text}##{a:.2f}#{b:.2f}")
    mute = 0 if uncaptioned else sum(not piece for piece in lines)
    if 0 < mute < len(lines):
        doubts.append(f"{mute} of {len(lines)} pieces without a caption left out")
    return ["".join(f"{line}\n" for line in piece) for piece in lines], doubts


def _clean(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().replace("#", " ").split())


def _words(stem: str) -> str:
    """A file's name as words: `WalkTurn_left-01` → "walk turn left"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[\W_]+", " ", stem))
    return " ".join(word for word in spaced.lower().split() if not any(c.isdigit() for c in word))
