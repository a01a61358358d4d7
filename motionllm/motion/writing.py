"""Files written whole or not at all: beside, then renamed."""

from __future__ import annotations

import os
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
