"""What a split of a source is: fingerprints of its content, of all of it or of a shard.

Hashing a million files takes minutes. A fingerprint is therefore kept in the cache with the sizes and times of the
files that it is of, and taken from there while these are the same, as git does.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType

from motionllm.config import Source, place
from motionllm.data import chats, sources
from motionllm.data.shards import WHOLE, Group, Shard, digest
from motionllm.errors import MotionLLMError
from motionllm.files import cache_folder, read_json, write_json

SETTLED = 2.0  # seconds; a file may change again within the tick of the clock that its time has, and look the same
AHEAD = 4096  # files that are read and hashed beside one another
_TIMES = struct.Struct("<qqq").pack

# What a file, or a row group of one, is called in the set, where it is, and the file's size and times.
File = tuple[str, "str | Group", "os.stat_result | None"]


def fingerprint(source: Source, split: str, shard: Shard = WHOLE) -> str:
    """32 hexadecimal digits that change whenever the content of a split of a source does, and with nothing else:
    its list, clips, texts and labels, wherever they lie, or the code that makes the built-in corpus.

    Raises MotionLLMError where the list is missing or empty; a split that a source does not have is "none".
    """
    return _of_shards(source, split, [shard])[0]


def shard_fingerprints(source: Source, split: str, of: int) -> list[str]:
    """The fingerprints of all `of` shards of a split."""
    return _of_shards(source, split, [Shard(number, of) for number in range(1, of + 1)])


def joined(parts: Sequence[str]) -> str:
    """The fingerprint of a split from those of its shards; dealt to another number of them it has another order."""
    return parts[0] if len(parts) == 1 else _digest(" ".join(parts))


def _of_shards(source: Source, split: str, shards: Sequence[Shard]) -> list[str]:
    if source.kind == "builtin":
        from motionllm import corpus as builtin

        return _parts(_digest(f"{source.clips} {source.seed} {split} {code_of(builtin)}"), shards)
    assert source.path
    if not sources.has_split(source, split):
        return ["none" for _ in shards]
    path = Path(source.path)
    if source.kind == "captions":
        from motionllm import corpus as builtin

        made_by = f"{source.clips} {source.seed} {split} {_content(source.path)} {code_of(builtin)}"
        return _parts(_digest(made_by), shards)
    if source.kind in chats.KINDS:
        file = chats.file_of(path, split)
        assert file
        parts = (p for s in chats.conversations(path, source.kind, split) for m in s.messages for p in m["content"])
        motions = dict.fromkeys(part["motion"] for part in parts if part["type"] == "motion")
        named = [("", str(file)), *((str(n), motion) for n, motion in enumerate(motions))]
        return _parts(_hashed(named), shards)
    if parquet := sources.in_parquet(source):
        groups = parquet.groups(source, split)
        if groups and groups[0].file.startswith("hf://"):  # whose name is the commit's
            return [_digest(" ".join(f"{g.file} {g.number}" for g in shard.own(groups))) for shard in shards]
        place = Path(source.path)
        return [_kept(place, split, shard, partial(_groups, list(shard.own(groups)))) for shard in shards]
    folder = sources.folder_of(path)
    ids, _ = sources.ids_of(folder, split)
    return [_kept(folder, split, shard, partial(_files, folder, list(shard.own(ids)))) for shard in shards]


def fingerprints(recipe: Sequence[Source]) -> dict[str, str]:
    """The fingerprints of the train and val splits of several sources, by what they are called in messages."""
    return {called(source, split): fingerprint(source, split) for source in recipe for split in ("train", "val")}


def called(source: Source, split: str) -> str:
    """What a split is called in messages."""
    return f"the {split} split of {source.path or source.kind}"


def called_whole(name: str) -> str:
    """What a part of a run is called, where it was begun with a relative path, as earlier versions recorded it."""
    split, of, path = name.partition(" split of ")
    return f"{split}{of}{place(path)}" if of and path != "builtin" else name


def code_of(*modules: ModuleType) -> str:
    """A digest of the source code of modules; of a package, of all the files in it.

    Raises RuntimeError where there is none: what is kept would then not know what it was made by.
    """
    digest = hashlib.sha256()
    for module in modules:
        files = [f for folder in getattr(module, "__path__", ()) for f in sorted(Path(folder).rglob("*.py"))]
        files = files or [Path(getattr(module, "__file__", None) or "")]
        if not all(file.is_file() and file.suffix == ".py" for file in files):
            raise RuntimeError(f"The source code of {module.__name__} is not found.")
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _kept(folder: Path, split: str, shard: Shard, files: Callable[[], Iterable[File]]) -> str:
    """The fingerprint of a shard, which has these files, from the cache where they look as they did then."""
    state, newest = _state(files())  # before the content is read: a change meanwhile will show
    kept = cache_folder() / "fingerprints" / f"{_digest(f'{os.path.abspath(folder)} {split} {shard}')}.json"
    with suppress(MotionLLMError):  # none yet, or damaged
        before = read_json(kept)
        if before.get("state") == state and isinstance(before.get("fingerprint"), str):
            return str(before["fingerprint"])
    value = _hashed((name, file) for name, file, _ in files())
    if newest < time.time() - SETTLED:
        with suppress(MotionLLMError):  # a cache that cannot be written costs time alone
            write_json(kept, {"state": state, "fingerprint": value})
    return value


def _files(folder: Path, ids: Sequence[str]) -> Iterator[File]:
    """What each file of these clips is called, its path, and its size and times where it is there."""
    labels = str(folder / "labels.jsonl")
    yield "labels", labels, _stat(labels)
    texts = f"{folder}{os.sep}texts{os.sep}"
    for name in ids:
        if there := sources.motion_file(folder, name):
            kind, file, state = there
            yield f"{kind}/{name}", file, state
            text = f"{texts}{name}.txt"
            yield f"texts/{name}", text, _stat(text)


def _groups(groups: Sequence[Group]) -> Iterator[File]:
    """The same of row groups of Parquet files."""
    for group in groups:
        yield f"{os.path.basename(group.file)} {group.number}", group, _stat(group.file)


def _state(files: Iterable[File]) -> tuple[str, float]:
    """A digest of names, sizes and times of files, and the newest of the times."""
    digest, newest = hashlib.sha256(), 0
    for name, _, stat in files:
        digest.update(name.encode(errors="surrogateescape"))
        if stat:
            # Whoever sets the time of a file back does not set back when its state changed.
            digest.update(_TIMES(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
            newest = max(newest, stat.st_mtime_ns, stat.st_ctime_ns)
    return digest.hexdigest(), newest / 1e9


def _hashed(named: Iterable[tuple[str, str | Group]]) -> str:
    digest, rest = hashlib.sha256(), iter(named)
    with ThreadPoolExecutor() as pool:  # reading and hashing both run beside one another
        while some := list(islice(rest, AHEAD)):
            for (name, _), content in zip(some, pool.map(_content, [file for _, file in some]), strict=True):
                digest.update(f"{name} {content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _content(file: str | Group) -> str:
    try:
        return digest(file) if isinstance(file, str) else file.digest()
    except OSError:  # a set may lack labels or the text of a clip; whoever reads it says so
        return "none"


def _stat(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)
    except (OSError, ValueError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _parts(whole: str, shards: Sequence[Shard]) -> list[str]:
    """The fingerprints of shards of what is computed, or is read whole."""
    return [whole if shard == WHOLE else _digest(f"{whole} {shard}") for shard in shards]
