"""What all long runs share: stopping without loss, advice when the disk is full, learning rates, and logs without
duplicate lines.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motionllm.errors import MotionLLMError, WriteError
from motionllm.files import json_line, write_file, writing

WARM = 0.1  # share of `minutes`; a longer warm-up would keep a short run below its learning rate


class Stopped(SystemExit):
    """A run stopped by a signal after saving its state. message: how to resume. code: 128 + signal number."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(128 + number)
        self.number, self.message = number, message


class Signals:
    """Handle Ctrl-C (SIGINT) and SIGTERM, which clusters send, within the block.

    Outside `finishing` they raise `Stopped` with `message` at once. Inside, the first one is noted in `asked`, so that
    the current step can be finished and saved; a second Ctrl-C then ends the process at once.
    """

    def __init__(self, message: str) -> None:
        self.message, self.asked, self.since, self.waits = message, 0, 0.0, False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # other threads may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):  # even where the shell ignores Ctrl-C for a background job
                self.before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set by Python

    @contextmanager
    def finishing(self) -> Iterator[None]:
        self.waits = True
        try:
            yield
        finally:
            self.waits = False

    def _take(self, number: int, _: Any) -> None:
        if not self.waits:
            raise Stopped(number, self.message)
        if not self.asked:
            self.asked, self.since = number, time.monotonic()
            if int(os.environ.get("RANK", 0)) == 0:  # only one of several processes prints
                # Not by print: the signal may have come while something was being printed.
                os.write(2, b"\nmotionllm: finishing this step, then saving; Ctrl-C stops at once\n")
        # A launcher forwards Ctrl-C to processes that have already received it from the terminal.
        elif number == signal.SIGINT and ("RANK" not in os.environ or time.monotonic() - self.since > 1):
            raise KeyboardInterrupt


def rate(
    step: int, warmup: int, done: float = 0.0, spent: float = 0.0, least: float = 0.0, schedule: str = "cosine"
) -> float:
    """Learning rate at a step (from 0) as a share of the peak: linear warm-up, then decay to `least` by `schedule`.

    warmup: the largest number of warm-up steps. done: finished share of the run. spent: used share of the run's
    minutes, which also bounds the warm-up; 0 without a time limit.
    """
    fall = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[schedule]
    warm = min(1.0, max((step + 1) / max(warmup, 1), spent / WARM))
    return warm * (least + (1 - least) * fall)


def check_made_of(run: Path, began: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise MotionLLMError where a run began with other data or weights than there are now. began, now: hashes by what
    they are of.
    """
    others = [name for name, value in began.items() if now.get(name) != value]
    if others:
        raise MotionLLMError(
            f"{' and '.join(others)} changed since {run} began, so that it would not go on as the same run; start a "
            "new one, or go on all the same with --changed."
        )


@contextmanager
def on_full_disk(left: Callable[[], str]) -> Iterator[None]:
    """Add to a full disk's WriteError what is left of the run and how to resume it."""
    try:
        yield
    except WriteError as error:
        what = error.args[-1]  # without what an inner run has added
        raise WriteError(f"{what} {left()}", what) from None


class Log:
    """A JSONL file to which one complete line is appended at a time.

    keep(row): whether a row of an earlier process is still valid; others, and a line cut off by a kill, are removed. By
    default all rows are kept. Raises WriteError where the disk is full.
    """

    def __init__(self, path: Path, keep: Callable[[dict[str, Any]], bool] | None = None) -> None:
        self.path = path
        if keep:
            write_file(path, "".join(line for line, row in logged(path) if keep(row)))
        with writing(path):
            self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - open until the run ends

    def write(self, row: Mapping[str, Any]) -> None:
        line = memoryview(json_line(row).encode())
        with writing(self.path):
            size = os.fstat(self.file.fileno()).st_size
            try:
                while line:
                    line = line[self.file.write(line) :]
            except OSError:
                self.file.truncate(size)
                raise

    def close(self) -> None:
        self.file.close()


def logged(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(line, row) pairs of a log, none where there is no file. Incomplete lines are skipped."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
            try:
                row = json.loads(line)
            except ValueError:  # in earlier versions a kill could cut lines short
                continue
            if isinstance(row, dict):
                yield f"{line}\n", row


def losses(path: Path) -> dict[int, float]:
    """{step: loss} of a log."""
    return {row["step"]: row["loss"] for _, row in logged(path) if "loss" in row and "step" in row}
