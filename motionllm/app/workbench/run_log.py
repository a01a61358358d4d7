"""A run's `log.jsonl` read as it grows: its curve in a few hundred points, its validations and its samples."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 300  # of a curve; a longer log is averaged
COLUMNS = ("step", "seconds", "loss", "tokens_per_second", "lr")


class RunLog:
    """Reads only what was appended since the last `read`, and everything again where a resumed run wrote the file
    anew.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.Lock()
        self._clear(0)

    def _clear(self, file: int) -> None:
        self.file, self.offset = file, 0
        self.rows: list[tuple[float, ...]] = []  # of COLUMNS, one a step
        self.validations: list[dict[str, Any]] = []  # {"step", "losses": {task: loss, "all": loss}}
        self.samples: list[dict[str, Any]] = []  # {"step", "files"}

    def read(self) -> RunLog:
        with self.lock:
            try:
                with open(self.path, "rb") as stream:
                    status = os.fstat(stream.fileno())
                    if status.st_ino != self.file or status.st_size < self.offset:
                        self._clear(status.st_ino)
                    stream.seek(self.offset)
                    text = stream.read()
            except OSError:  # not begun yet
                self._clear(0)
                return self
            complete = text[: text.rfind(b"\n") + 1]
            self.offset += len(complete)
            for line in complete.splitlines():
                self._take(line)
        return self

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            step = int(row["step"])
        except (ValueError, TypeError, KeyError):  # cut by a kill
            return
        if "loss" in row:
            values = tuple(float(row.get(name) or 0) for name in COLUMNS)
            if all(map(math.isfinite, values)):
                self.rows.append(values)
        elif isinstance(row.get("validation"), dict):
            losses = {str(task): loss for task, loss in row["validation"].items() if math.isfinite(loss)}
            self.validations.append({"step": step, "losses": losses})
        elif isinstance(row.get("samples"), list):
            self.samples.append({"step": step, "files": [str(name) for name in row["samples"]]})

    def curve(self) -> dict[str, list[float]]:
        """{column: values} of COLUMNS, at most POINTS each: means of equally many steps, at the last one of them."""
        with self.lock:
            rows = np.array(self.rows, np.float64).reshape(-1, len(COLUMNS))
        if not len(rows):
            return {name: [] for name in COLUMNS}
        size = math.ceil(len(rows) / POINTS)
        begins = np.arange(0, len(rows), size)
        counts = np.diff(np.append(begins, len(rows)))
        means = np.add.reduceat(rows, begins) / counts[:, None]
        means[:, :2] = rows[begins + counts - 1, :2]
        return {name: [float(f"{v:.6g}") for v in means[:, k]] for k, name in enumerate(COLUMNS)}
