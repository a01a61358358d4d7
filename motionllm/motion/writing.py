"""Files written whole or not at all: beside, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motionllm.errors import MotionFileError


def write_file(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write bytes, or text as UTF-8. Raises MotionFileError where the folder cannot be written."""
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MotionFileError(f"{target}: cannot be written ({error.strerror or error}).") from None


@contextmanager
def write_folder(folder: Path) -> Iterator[Path]:
    """A folder beside to write into; what is in it at the end takes the place of the files of `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield beside
        folder.mkdir(exist_ok=True)
        for file in beside.iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
