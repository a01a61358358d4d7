"""Verbs of the command line as processes of their own: they go on when the server that started them ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from motionllm.files import writing

OUTPUT = "output.log"  # what the job prints, in the folder that it writes to
TAIL = 64_000  # bytes of it that are looked at
_BEGUN = "$ motionllm "

# Several verbs share a process, one after another; a signal ends all of them.
_CODE = """
import json, sys
from motionllm.cli import main
status = 0
for words in json.loads(sys.argv.pop()):
    sys.argv = ["motionllm", *words]
    last = main(words)
    status = max(status, last)
    if last >= 128:
        break
sys.exit(status)
"""


def start(verbs: Sequence[Sequence[str]], folder: Path, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run `motionllm WORDS` for each list of words, detached from this process and its terminal.

    folder: gets `output.log`, to which everything is appended that the verbs print. output: a file for their standard
    output instead. Raises WriteError where the folder cannot be written.
    """
    with writing(folder / OUTPUT):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / OUTPUT, "ab", buffering=0) as log:
            log.write(f"{_BEGUN}{' && '.join(' '.join(words) for words in verbs)}\n".encode("utf-8", "replace"))
            return subprocess.Popen(
                [sys.executable, "-c", _CODE, json.dumps([list(words) for words in verbs])],
                stdin=subprocess.DEVNULL,
                stdout=output or log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the server's terminal is not meant for it
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )


def printed(folder: Path) -> list[str]:
    """The last lines that the last job of a folder printed, without blank ones; none where it ran in a terminal."""
    try:
        with open(folder / OUTPUT, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    begun = max((number for number, line in enumerate(lines, 1) if line.startswith(_BEGUN)), default=0)
    return lines[begun:]


def last_words(folder: Path) -> str | None:
    """One sentence on why the last job of a folder ended before its work was done; None where it was stopped as by
    Ctrl-C. The job must have ended.
    """
    lines = printed(folder)
    last = lines[-1] if lines else ""
    if last.startswith("motionllm: error: "):
        return last.removeprefix("motionllm: error: ")
    if last.startswith("motionllm: "):
        return None
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return f"It ended by a defect ({last[:300]}); {folder / OUTPUT} has the whole message."
    return "It ended without a message, as a process does that is killed, for example for want of memory."
