"""Files and folders: written completely or not at all, read within limits, locked by one process at a time.

Output is first written beside its target, as `.NAME.THREAD.HOST.PID.part`, and renamed when complete. A killed process
leaves such a part behind; `tidy` removes the parts of processes that no longer run. Machines may share a folder:
whether a process of another one runs is not known here, so its parts are removed a day after the last write.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import shutil
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

from motionllm import arguments
from motionllm.errors import MotionFileError, MotionLLMError, WriteError

LARGEST_TEXT = 256 << 20  # bytes; the largest text file (captions, prompts, conversations, JSON) that is read at once
_PART = re.compile(r"\..*?(?:\.(h[0-9a-f]{8}))?\.(\d+)\.part(\.\w+)?")
_PARTS = re.compile(r"[^\s'\"]*\.part(\.\w+)?\b[^\s'\"]*")  # of paths, within what libraries say
_HOST = f"h{zlib.crc32(socket.gethostname().encode()):08x}"
_FOREIGN = 24 * 3600.0  # seconds after which what another machine's process was writing counts as left behind
_ASIDE = ".aside"


# -- writing ------------------------------------------------------------------------------------------------


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix, to write to. It replaces `path` at the end of the block; if
    the block fails it is removed, and `path` is as before.

    Raises WriteError where the disk is full, or `path` cannot be written.
    """
    target = Path(path)
    part = _part(target, target.suffix)
    try:
        with writing(target):
            yield part
            with open(part, "rb+") as file:
                os.fsync(file.fileno())  # a rename may reach the disk before the data does
            os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_file(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write bytes, or text as UTF-8. Raises WriteError where it cannot be written."""
    with whole(path) as part:
        part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def whole_stream(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Like `whole`, but an open binary file: given a path, NumPy would add a suffix, and torch would end the process if
    its last write fails.
    """
    with whole(path) as part, open(part, "wb") as stream:
        yield stream


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as indented JSON, creating its folder if needed. Raises WriteError where it cannot be written,
    ValueError for NaN and infinity, which JSON does not have.
    """
    with writing(Path(path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def json_line(row: Mapping[str, Any]) -> str:
    """An object as a line of a JSON lines file."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def write_jsonl(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write objects, one per line. Raises WriteError where they cannot be written."""
    write_file(path, "".join(map(json_line, rows)))


def check_place(path: str | os.PathLike[str]) -> None:
    """Raise MotionFileError where no file can be written to `path`, before work is spent on its content."""
    path = Path(path)
    if os.path.isdir(path):
        raise MotionFileError(f"{path} is a folder; give the name of a file.")
    if not os.path.isdir(path.parent):
        raise MotionFileError(f"{path}: its folder does not exist.")
    with writing(path):
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)  # raises for a name that is too long
        part = _part(path)
        part.touch()
        part.unlink()


@dataclass(frozen=True)
class Kind:
    """A kind of folder that a newer one may replace. name: as it is called in errors. mark: the JSON file by which it
    is known, as it holds one of `keys`. owns: patterns of what is written into it; anything else that is there is
    somebody's own, and is kept.
    """

    name: str
    mark: str
    keys: tuple[str, ...]
    owns: tuple[str, ...]

    def holds(self, folder: Path) -> bool:
        """Whether a folder is of this kind."""
        try:
            return not {*self.keys}.isdisjoint(read_json(folder / self.mark))
        except MotionFileError:
            return False


@contextmanager
def whole_folder(folder: str | os.PathLike[str], keep: bool = False, replaces: Kind | None = None) -> Iterator[Path]:
    """A temporary folder beside `folder` to write into. It becomes `folder` at the end of the block; if the block
    fails it is removed, and `folder` is as before.

    replaces: what may be there already; None: `folder` must be empty or not there. keep: `folder` may be any other that
    holds no file of the kind's names, and the files that are not written again stay. Raises MotionFileError where
    something else is there, before anything is written, and WriteError as `whole` does.
    """
    target = Path(os.path.realpath(arguments.path(folder, "The folder to write")))  # not a link in its place
    kept = _kept(target, folder, keep, replaces)
    part, aside = _part(target), target.with_name(f".{target.name}{_ASIDE}")
    try:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            yield part
            for file in part.rglob("*"):
                if file.is_file():
                    with open(file, "rb+") as stream:
                        os.fsync(stream.fileno())
            if keep and target.is_dir():
                for file in part.iterdir():
                    os.replace(file, target / file.name)
            else:
                for name in kept:
                    _copy(target / name, part / name)
                restore(target)
                if target.exists():
                    target.rename(aside)  # the old folder, complete, until the new one is in place
                part.rename(target)
                shutil.rmtree(aside, ignore_errors=True)
    except WriteError as error:  # of a file in it
        raise WriteError(*(str(one).replace(str(part), str(target)) for one in error.args)) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _kept(target: Path, shown: str | os.PathLike[str], keep: bool, replaces: Kind | None) -> list[str]:
    """Names in `target` that its replacement takes over. Raises MotionFileError where it may not be replaced."""
    with writing(target):
        if os.path.lexists(target) and not target.is_dir():
            raise MotionFileError(f"{shown} is a file; give a folder that does not exist yet.")
        there = sorted(os.listdir(target)) if target.is_dir() else []
    own = [name for name in there if replaces and any(fnmatch(name, pattern) for pattern in replaces.owns)]
    if (there and not keep) or own:
        if replaces is None:
            raise MotionFileError(f"{shown} is there already (with {there[0]}); give a folder that does not exist yet.")
        if not replaces.holds(target):
            raise MotionFileError(
                f"{shown} is there already, and is no {replaces.name} (it holds {(own or there)[0]}); give a folder "
                "that does not exist yet."
            )
    return [] if keep else [name for name in there if name not in own]


def _copy(old: Path, new: Path) -> None:
    if old.is_dir() and not old.is_symlink():
        shutil.copytree(old, new, symlinks=True)
    else:
        shutil.copy2(old, new, follow_symlinks=False)


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Create a folder to write into, or clean an existing one of parts left by killed processes (see `tidy`). Raises
    WriteError where it cannot be created.
    """
    with writing(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    tidy(Path(folder))


def cache_folder() -> Path:
    """The folder for converted bases and encoded clips: $MOTIONLLM_CACHE, else ~/.cache/motionllm."""
    return Path(os.environ.get("MOTIONLLM_CACHE") or "~/.cache/motionllm").expanduser()


def restore(folder: Path) -> None:
    """Restore the old folder that a process set aside and, killed while replacing `folder`, did not remove; delete it
    if `folder` exists.
    """
    aside = folder.with_name(f".{folder.name}{_ASIDE}")
    if aside.is_dir() and not folder.exists():
        aside.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Remove parts that killed processes left in `folder` and beside it, and restore folders they had set aside."""
    folder = Path(os.path.abspath(folder))
    restore(folder)
    of_it = re.compile(rf"\.{re.escape(folder.name)}(\.[0-9a-f]+)?(\.h[0-9a-f]{{8}})?\.\d+\.part")
    beside = [path for path in folder.parent.glob(".*") if of_it.fullmatch(path.name)]
    for path in [*beside, *(folder.iterdir() if folder.is_dir() else ())]:
        if path.parent == folder and path.name.startswith(".") and path.name.endswith(_ASIDE):
            restore(folder / path.name[1 : -len(_ASIDE)])
        elif (match := _PART.fullmatch(path.name)) and _left_behind(path, match[1], int(match[2])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _left_behind(part: Path, host: str | None, process: int) -> bool:
    """Whether nobody writes to this part any more. host: None in those of earlier versions."""
    if host in (None, _HOST):
        return not _alive(process)
    with contextlib.suppress(OSError):  # renamed or removed meanwhile
        return time.time() - part.stat().st_mtime > _FOREIGN
    return False


def _part(target: Path, suffix: str = "") -> Path:
    name = target.name.encode()[:150].decode(errors="ignore")  # file systems allow 255 bytes
    suffix = suffix if re.fullmatch(r"\.\w+", suffix) else ""
    writer = (
        f"{threading.get_ident():x}.{_HOST}.{os.getpid()}"  # two threads may write the same path: the later one wins
    )
    return target.with_name(f".{name}.{writer}.part{suffix}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error of reading `path`, the system's or a sentence that does not name it, into a MotionFileError that
    does.
    """
    try:
        yield
    except OSError as error:  # as of a name too long for the file system, a folder without access
        raise MotionFileError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except MotionFileError:
        raise
    except MotionLLMError as error:
        raise MotionFileError(f"{path}: {error}") from None


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn any error of writing to `target`, by Python, torch or safetensors, into a WriteError of one sentence."""
    try:
        yield
    except MotionLLMError:
        raise
    except Exception as error:
        disk = isinstance(error, OSError) or type(error).__name__ == "SafetensorError"
        if not disk:  # torch raises a RuntimeError of its own when a write or close fails
            if not isinstance(error, RuntimeError) or not re.search("PytorchStreamWriter|inline_container", str(error)):
                raise
            error = error.__context__ if isinstance(error.__context__, OSError) else error
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:200]
        if re.search(r"requested and \d+ written", reason):  # NumPy does not pass the reason on
            reason = f"no space left, or a quota is reached: {reason}"
        reason = _PARTS.sub("", reason)
        raise WriteError(f"{target}: cannot be written ({reason}); nothing was changed.") from None


# -- reading ------------------------------------------------------------------------------------------------


def read_text(path: str | os.PathLike[str], what: str = "file", limit: int = LARGEST_TEXT) -> str:
    """The text of a UTF-8 file (with or without a byte order mark) or a UTF-16 one (with), line ends as "\\n".

    what: what the file is, for errors. limit: bytes that may be read. Raises MotionFileError where the file cannot be
    read, is larger, or is not in one of these encodings.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise MotionFileError(f"{path}: is a folder; a {what} is needed.")
        with open(path, "rb") as file:
            if (size := os.fstat(file.fileno()).st_size) > limit:
                raise MotionFileError(f"{path}: has {size >> 20} MB; a {what} of up to {limit >> 20} MB is read.")
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise MotionFileError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MotionFileError(
            f"{path}: is not UTF-8 text (line {line}, byte {content[error.start] if content else 0:#04x}); "
            f"save the {what} as UTF-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str, where: str) -> Any:
    """Parse JSON; `where` names its origin in errors. Raises MotionFileError where it is not JSON.

    Nesting deeper than Python's stack, and the constants NaN and Infinity, which are not JSON, are refused too.
    """

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(text, parse_constant=constant)
    except RecursionError:
        raise MotionFileError(f"{where}: is nested too deeply to be read.") from None
    except ValueError as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) and error.lineno > 1 else ""
        raise MotionFileError(f"{where}{line}: is not valid JSON ({getattr(error, 'msg', error)}).") from None


def read_json(path: str | os.PathLike[str], what: str = "file") -> dict[str, Any]:
    """Read a file that holds one JSON object. Raises MotionFileError where it does not."""
    value = parse_json(read_text(path, what), str(path))
    if not isinstance(value, dict):
        raise MotionFileError(f"{path}: is no {what}; it holds {type(value).__name__} where an object is needed.")
    return value


def read_jsonl(path: str | os.PathLike[str], what: str = "JSON lines file") -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) for each line of a JSON lines file that is not blank.

    Raises MotionFileError, naming the line, where one is not a JSON object.
    """
    return list(_objects(enumerate(read_text(path, what).split("\n"), 1), path))


def stream_jsonl(path: str | os.PathLike[str], what: str = "JSON lines file") -> Iterator[tuple[int, dict[str, Any]]]:
    """What `read_jsonl` returns, a line at a time, of a file of any size."""
    path = Path(path)
    if not path.is_file() or path.stat().st_size <= LARGEST_TEXT // 16:
        yield from read_jsonl(path, what)
        return
    yield from _objects(_lines(path, what), path)


def _objects(lines: Iterable[tuple[int, str]], path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines:
        if line.strip():
            value = parse_json(line, f"{path}, line {number}")
            if not isinstance(value, dict):
                raise MotionFileError(f"{path}, line {number}: is no JSON object.")
            yield number, value


def _lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """(number, line) of a large UTF-8 file."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise MotionFileError(
            f"{path}: is not UTF-8 text (line {number}, byte {error.object[error.start]:#04x}); "
            f"save the {what} as UTF-8."
        ) from None
    except OSError as error:
        raise MotionFileError(f"{path}: cannot be read ({error.strerror or error}).") from None


# -- YAML ---------------------------------------------------------------------------------------------------

LARGEST_YAML = 4 << 20  # bytes; the pure Python reader takes seconds per megabyte
DEEPEST_YAML, MOST_YAML = 50, 100_000  # levels, and values with every alias written out
_YAML_KINDS = (str, int, float, bool, type(None))


def read_yaml(path: str | os.PathLike[str], what: str = "YAML file") -> Any:
    """The plain value a YAML file holds; None where it is empty. Raises MotionFileError as `parse_yaml` does."""
    return parse_yaml(read_text(path, what, LARGEST_YAML), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML into dicts with text keys, lists, text, numbers, booleans and None; `where` names its origin in
    errors.

    Raises MotionFileError where it is not YAML, repeats a key, holds other types (a date, a Python tag), or is deeper
    or larger, with aliases expanded, than any real recipe.
    """
    import yaml

    try:
        value = yaml.load(text, Loader=_yaml_loader())
    except RecursionError:
        raise MotionFileError(f"{where}: is nested too deeply to be read; {DEEPEST_YAML} levels are.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise MotionFileError(
            f"{where}, line {line}: is not YAML text (it holds the character {error.character:#04x})."
        ) from None
    except Exception as error:  # on invalid text PyYAML raises KeyError, TypeError and others besides its own errors
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = f", line {mark.line + 1}" if mark and "\n" in text.strip() else ""
        details = [getattr(error, "context", None), getattr(error, "problem", None)]
        reason = ", ".join(filter(None, details)) or (error if isinstance(error, ValueError) else "a tag does not fit")
        raise MotionFileError(f"{where}{at}: is not valid YAML ({_short(reason)}).") from None
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(value, ())]
    seen = 0
    while waiting:
        node, place = waiting.pop()
        seen += 1
        at = f"`{_short('.'.join(map(str, place)))}` " if place else ""
        if len(place) > DEEPEST_YAML:
            raise MotionFileError(f"{where}: is nested too deeply to be read; {DEEPEST_YAML} levels are.")
        if seen > MOST_YAML:
            raise MotionFileError(f"{where}: holds more than {MOST_YAML} values, with aliases written out.")
        if isinstance(node, dict):
            for key in node:
                if not isinstance(key, str):
                    raise MotionFileError(f"{where}: {at}has the key {_short(key)}, which is no text; quote it.")
            waiting += [(item, (*place, key)) for key, item in node.items()]
        elif isinstance(node, list):
            waiting += [(item, (*place, number)) for number, item in enumerate(node)]
        elif not isinstance(node, _YAML_KINDS):
            kind = type(node).__name__
            raise MotionFileError(f"{where}: {at}is of the YAML type {kind}; quote it to have it as text.")
    return value


def _yaml_loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses deep nesting early, and repeated keys, of which YAML would keep the last."""

        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth += 1
            if self.depth > DEEPEST_YAML + 2:  # its scanner takes seconds for a few thousand brackets
                raise RecursionError
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            keys = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if (key.tag, key.value) in keys:
                        raise yaml.MarkedYAMLError(
                            problem=f"the key {_short(key.value)} is given twice", problem_mark=key.start_mark
                        )
                    keys.add((key.tag, key.value))
            return node

    return Loader


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def check_format(stored: Any, newest: int, where: str | os.PathLike[str]) -> None:
    """Raise MotionLLMError where an artefact's format is newer than `newest`, the one this version writes.

    stored: the artefact's `format` value; artefacts of the first version have none, which means 1.
    """
    if stored is None:
        return
    if type(stored) is not int or stored < 1:
        raise MotionFileError(f"{where} is damaged: its format is {str(stored)[:50]!r}; copy it anew.")
    if stored > newest:
        raise MotionLLMError(
            f"{where} was written by a newer motionllm (format {stored}, and this version reads up to {newest}); "
            "upgrade motionllm to read it."
        )


# -- one process at a time ----------------------------------------------------------------------------------


@contextmanager
def lock(path: str | os.PathLike[str]) -> Iterator[None]:
    """Lock `path`, a run's folder (created if needed) or an output file, for this process.

    The operating system releases the lock when the process ends, however it ends. Raises MotionLLMError, naming the
    holder, where another process holds it, and WriteError where `path` cannot be written.
    """
    target = Path(os.path.abspath(path))
    file = target.with_name(f".{target.name}.lock")
    if os.path.isdir(target) and not os.access(target.parent, os.W_OK):  # a volume mounted over a system folder
        file = target / ".lock"
    with writing(Path(path)):
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = _locked(file, Path(path))
    try:
        yield
    finally:
        if stream is not None:
            with contextlib.suppress(OSError):
                file.unlink()
            stream.close()


def holder(path: str | os.PathLike[str]) -> tuple[int, str] | None:
    """(process id, host) of the process that holds the lock of `path`; None where none does."""
    target = Path(os.path.abspath(path))
    for file in (target.with_name(f".{target.name}.lock"), target / ".lock"):
        try:
            with open(file, "r+", encoding="utf-8") as stream:
                match = re.match(r"process (\d+) on (\S+)", stream.read())
                if match is None or (match[2] == socket.gethostname() and not _alive(int(match[1]))):
                    continue  # killed: what it left behind
                _try_lock(stream.fileno())  # held for a moment, where the number is another process's by now
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return (int(match[1]), match[2]) if match else None
    return None


def _locked(file: Path, target: Path) -> Any:
    while True:
        stream = open(file, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as the lock is held
        try:
            _try_lock(stream.fileno())
        except OSError as error:
            if not isinstance(error, PermissionError | BlockingIOError):  # the file system has no locks
                stream.close()
                return None
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            stream.close()
            raise MotionLLMError(
                f"{target} is in use by {holder}; wait until it ends, or give another place."
            ) from None
        try:
            same = os.path.samestat(os.stat(file), os.fstat(stream.fileno()))
        except FileNotFoundError:  # its holder removed the file after we opened it and before we locked it
            same = False
        if same:
            break
        stream.close()
    stream.truncate(0)
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:3]])[:80]
    stream.write(f"process {os.getpid()} on {socket.gethostname()} ({command}, since {time.strftime('%F %T')})")
    stream.flush()
    return stream


def _try_lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _alive(process: int) -> bool:
    import psutil  # os.kill(…, 0), the usual check, would end the process on Windows

    return psutil.pid_exists(process)
