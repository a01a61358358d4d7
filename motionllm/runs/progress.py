"""Progress of a verb: a progress bar on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Bar:
    """A progress bar with named numbers and the remaining time; without a terminal, a plain line from time to time.

    `update(done, **numbers)`: done is the finished fraction.
    """

    def __init__(self, what: str, plain_every: float = 20.0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self.what, self.plain_every = what, plain_every
        console = Console(stderr=True)
        self.live = console.is_terminal
        # Timed from the first update (loading is not progress) and from its value (a resumed run does not start at 0).
        self.begun = self.printed = self.first = 0.0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=console, transient=False, disable=not self.live)
        self.task = self.progress.add_task(what, total=1.0, numbers="")

    def update(self, done: float, **numbers: Any) -> None:
        done = min(done, 1.0)
        text = "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in numbers.items()
        )
        if self.live:
            self.progress.update(self.task, completed=done, numbers=text)
            return
        now = time.monotonic()
        if not self.begun or done == self.first:
            self.begun, self.first = now, done
        if now - self.printed > self.plain_every or done >= 1:
            self.printed = now
            left = ""  # no pace before the first progress
            if done > self.first:
                left = f"  {(now - self.begun) * (1 - done) / (done - self.first) / 60:.1f} min left"
            print(f"{self.what} {100 * done:5.1f} %  {text}{left}", file=sys.stderr, flush=True)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.progress.stop()
