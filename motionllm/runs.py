"""What every long run has: it is stopped without loss, says what a full disk left, and logs each line once."""

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

from motionllm.errors import WriteError
from motionllm.files import json_line, write_file, writing

WARM = 0.1  # of the minutes of a run; a longer warm-up would leave a short one below its rate


class Stopped(SystemExit):
    """A run that was asked to stop by a signal, and has kept what it had. message: how to go on; code: 128 + signal."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(128 + number)
        self.number, self.message = number, message


class Signals:
    """Ctrl-C (SIGINT) and SIGTERM, which clusters send, for as long as the block lasts.

    Outside `finishing` they raise `Stopped` at once, saying `message`. Inside, the first is noted as `asked`, so that
    the work in hand is finished and kept; a second Ctrl-C then ends the process at once.
    """

    def __init__(self, message: str) -> None:
        self.message, self.asked, self.since, self.waits = message, 0, 0.0, False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):  # also where a script's `&` has had Ctrl-C ignored
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
            if int(os.environ.get("RANK", 0)) == 0:  # of several processes one speaks
                # Not by print: the signal may have come while something was being printed.
                os.write(2, b"\nmotionllm: finishing this step, then saving; Ctrl-C stops at once\n")
        # A launcher hands on to its processes the Ctrl-C that the terminal has given them already.
        elif number == signal.SIGINT and ("RANK" not in os.environ or time.monotonic() - self.since > 1):
            raise KeyboardInterrupt


def rate(
    step: int, warmup: int, done: float = 0.0, spent: float = 0.0, least: float = 0.0, schedule: str = "cosine"
) -> float:
    """The learning rate of a step (from 0) as a share of the highest: it warms up, and falls to `least` by `schedule`.

    warmup: steps that warming up takes at most. done: the share of the run that is over. spent: the share that is over
    of the minutes it may take; 0 where it may take any.
    """
    fall = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[schedule]
    warm = min(1.0, max((step + 1) / max(warmup, 1), spent / WARM))
    return warm * (least + (1 - least) * fall)


@contextmanager
def on_full_disk(left: Callable[[], str]) -> Iterator[None]:
    """A disk that is full also says what is left of the run and how to go on."""
    try:
        yield
    except WriteError as error:
        what = error.args[-1]  # without what a run inside this one has said of itself
        raise WriteError(f"{what} {left()}", what) from None


class Log:
    """A JSONL file, one object a line, each written at once and whole.

    keep(row): which rows of an earlier process still hold; what a killed one left of a line goes too. By default all
    stay as they are. Raises WriteError where the disk is full.
    """

    def __init__(self, path: Path, keep: Callable[[dict[str, Any]], bool] | None = None) -> None:
        self.path = path
        if keep:
            write_file(path, "".join(line for line, row in logged(path) if keep(row)))
        with writing(path):
            self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - open as long as the run

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
    """(line, row) of a log, or nothing where there is none. Lines that were cut are passed over."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
            try:
                row = json.loads(line)
            except ValueError:  # a version before wrote lines that a kill could cut
                continue
            if isinstance(row, dict):
                yield f"{line}\n", row


def losses(path: Path) -> dict[int, float]:
    """{step: loss} of a log."""
    return {row["step"]: row["loss"] for _, row in logged(path) if "loss" in row and "step" in row}
