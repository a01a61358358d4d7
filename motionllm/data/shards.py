"""A source's split dealt to shards, which are encoded apart and read as one: how many, and which clips each has.

Shard 3 of 64 has the third clip of the list and every 64th after it. The number of shards is kept in the cache by what
the split lists, and not by its path, so that all machines that share the cache deal it alike.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from motionllm.config import More, Source
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import cache_folder, read_json, write_json

LARGEST = 1 << 17  # clips that are encoded as one, with their captions in memory; a larger split is dealt to shards
LEAST = 500  # clips; a split that would have shards smaller than this has fewer of them
_MOST = 4096
_CHUNK = 1 << 22  # bytes of a file in memory

T = TypeVar("T")


class Shard(NamedTuple):
    """Shard `number` (from 1) of `of`."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Of "3/64". Raises MotionLLMError where it is no such thing."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]) <= _MOST:
            raise MotionLLMError(
                f"--shard {text[:40]}: write 3/64 for the third of 64 shards; the first is 1/64, and {_MOST} the most."
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def own(self, items: Iterable[T]) -> Iterator[T]:
        """Those of all items of a list that are this shard's."""
        return islice(items, self.number - 1, None, self.of)


WHOLE = Shard()


class Group(NamedTuple):
    """A row group of a Parquet file of a set: the bytes from `begin` to `end` hold its columns."""

    file: str
    number: int
    rows: int
    begin: int
    end: int

    def digest(self) -> str:
        """The SHA-256 of these bytes."""
        return digest(self.file, self.begin, self.end)


def digest(file: str | Path, begin: int = 0, end: int | None = None) -> str:
    """The SHA-256 of a file's bytes from `begin` to `end`. Raises OSError where it cannot be read."""
    content = hashlib.sha256()
    with open(file, "rb") as stream:
        stream.seek(begin)
        left = os.fstat(stream.fileno()).st_size if end is None else end - begin
        while left > 0 and (some := stream.read(min(left, _CHUNK))):
            content.update(some)
            left -= len(some)
    return content.hexdigest()


def record(file: Path) -> dict[str, Any]:
    """What `is_whole` knows an encoded shard by, once it is written; kept in the JSON file beside it."""
    return {"bytes": file.stat().st_size, "sha256": digest(file)}


def is_whole(file: Path, read: bool = False) -> bool:
    """Whether a shard is encoded, and its file as large as it was written. read: and of the same content.

    Earlier versions wrote nothing to know it by: theirs is whole where it is there.
    """
    if not file.is_file():
        return False
    beside = file.with_suffix(".json")
    if not beside.is_file():
        return True
    try:
        written = read_json(beside)
        if written.get("bytes", size := file.stat().st_size) != size:
            return False
        return not read or written.get("sha256", content := digest(file)) == content
    except (MotionFileError, OSError):
        return False


def fitting(size: int, pieces: int, of: int) -> int:
    """How many shards a split of `size` clips in `pieces` has where `of` are asked for."""
    return max(1, min(of, size // LEAST, pieces))


def count(listing: str, size: int, pieces: int) -> int:
    """How many shards a split is dealt to: as `deal` said last, or else as many as its size asks for."""
    file = cache_folder() / "shards" / f"{_name(listing)}.json"
    if file.is_file():
        of = read_json(file).get("shards")
        if isinstance(of, int) and 1 <= of <= _MOST:
            return of
    return max(1, min(-(-size // LARGEST), pieces))


def deal(listing: str, size: int, pieces: int, of: int) -> int:
    """Keep that a split is dealt to `of` shards, or to fewer where it is small; how many these are."""
    of = fitting(size, pieces, of)
    if count(listing, size, pieces) != of:
        write_json(cache_folder() / "shards" / f"{_name(listing)}.json", {"shards": of})
    return of


def lacking(source: Source, split: str, files: Sequence[Path], numbers: Sequence[int]) -> str:
    """A sentence, without its end, on the shards that are not encoded, or not whole."""
    there = [files[number - 1].is_file() for number in numbers]
    how = "damaged" if all(there) else "missing or damaged" if any(there) else "missing"
    called = f"the {split} split of {source.path or source.kind}"
    if len(files) == 1:
        return f"The encoded clips of {called} are {how}"
    some = ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
    are = "is" if len(numbers) == 1 else "are"
    return f"{len(numbers)} of the {len(files)} encoded shards of {called} {are} {how} (number {some})"


def share(more: More, shard: Shard) -> More:
    """What a shard derives of a source's further clips, so that all together derive as many as asked for."""
    joined, stacked = ((n + shard.of - shard.number) // shard.of for n in (more.joined, more.stacked))
    return more.model_copy(update={"joined": joined, "stacked": stacked})


def _name(listing: str) -> str:
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()[:32]
