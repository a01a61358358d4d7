"""The motion files of a folder that is imported, and an id for each."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from motionllm.motion.formats import READERS


def find_files(folder: Path, out: Path) -> tuple[list[Path], dict[str, str]]:
    """The motion files under `folder`, links to folders followed once, and what cannot be read, with the reason."""
    files: list[Path] = []
    refused: dict[str, str] = {}

    def unreadable(error: OSError) -> None:
        refused[shown(folder, Path(error.filename))] = f"cannot be read ({error.strerror})."

    seen = {_place(out)} if out.is_dir() else set()
    for here, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        place = _place(Path(here))
        if place in seen:  # a link to a folder above it, or the data set itself
            folders.clear()
            continue
        seen.add(place)
        folders.sort()
        for path in (Path(here, name) for name in names):
            if path.suffix.lower() in READERS:
                if why := _unfit(path):
                    refused[shown(folder, path)] = why
                else:
                    files.append(path)
    return sorted(files), refused


def _place(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _unfit(path: Path) -> str:
    """Why a path is no file that can be opened; nothing is opened, as that would wait for a FIFO's other end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        where = " (it is a link that leads nowhere)" if path.is_symlink() else ""
        return f"cannot be read: {error.strerror}{where}."
    return "" if stat.S_ISREG(mode) else "is not a regular file."


def shown(folder: Path, path: Path) -> str:
    """A path below the folder in a form that every file and terminal takes: one line, valid UTF-8."""
    name = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def ids_of(folder: Path, files: Sequence[Path], kept: Mapping[str, str] | None = None) -> dict[Path, str]:
    """An id for each file: its name, with its folders before it where names repeat, and its suffix where those do too.
    kept: ids of an earlier import by file (`shown`), which stay when others are added: texts and splits hang on them.

    Where ids meet even so (`walk 1`, `walk_1`), all but one get a digest of their path. Ids that differ in case alone
    meet as well: on many disks they are one file.
    """
    named = {}
    for file in files:
        inside = file.relative_to(folder)
        named[file] = [_id(file.stem), _id(str(inside.with_suffix(""))), _id(str(inside))]
    counts = [Counter(_folded(names[k]) for names in named.values()) for k in range(3)]
    chosen = {f: next((n[k] for k in range(3) if counts[k][_folded(n[k])] == 1), n[1]) for f, n in named.items()}
    kept = kept or {}
    ids = {file: kept[name] for file in files if (name := shown(folder, file)) in kept}
    used = {_folded(name) for name in ids.values()}
    left = [file for file in files if file not in ids]
    for file in sorted(left, key=lambda f: (chosen[f] != f.stem, f)):  # who is called so keeps the name
        name = chosen[file]
        while _folded(name) in used:
            name = f"{chosen[file]}-{digest(f'{os.fsencode(file.relative_to(folder))!r} {name}')[:8]}"
        used.add(_folded(name))
        ids[file] = name
    return {file: ids[file] for file in files}


def takes_of(folder: Path, ids: Mapping[Path, str]) -> dict[Path, str]:
    """What each file is dealt to a split by: its id; of files of one name in one folder, which may be one take in
    several formats, the same: the shortest of their ids.
    """
    alike: dict[str, list[str]] = {}
    for file, name in ids.items():
        alike.setdefault(_folded(str(file.relative_to(folder).with_suffix(""))), []).append(name)
    return {
        file: min(alike[_folded(str(file.relative_to(folder).with_suffix("")))], key=lambda name: (len(name), name))
        for file in ids
    }


def _id(name: str) -> str:
    """A name as it can stand in a list, and as a file on any disk."""
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip(".") or "_"
    if len(plain.encode()) > 120:
        plain = f"{plain.encode()[:100].decode(errors='ignore')}-{digest(plain)[:8]}"
    return plain


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def prefixes_of(ids: Mapping[Path, str]) -> dict[Path, str]:
    """What the ids of a file's pieces begin with, before their number: no piece is called as a file or another's is."""
    numbered = {match[1] for name in ids.values() if (match := re.fullmatch(r"(.*?)\d+", _folded(name)))}
    prefixes: dict[Path, str] = {}
    for file, name in ids.items():
        prefix = f"{name}_"
        while _folded(prefix) in numbered:
            prefix += "_"
        numbered.add(_folded(prefix))
        prefixes[file] = prefix
    return prefixes
