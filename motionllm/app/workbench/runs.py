"""Fine-tuning runs of a folder, whoever started them: listed, watched, started, stopped and resumed.

A run is a process of its own (`jobs`). What it does is read from its folder: `recipe.yaml`, `log.jsonl`, `result.json`,
the lock that its process holds, and, where the workbench started it, what it printed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from motionllm.app.workbench import jobs
from motionllm.app.workbench.orders import Order, Orders, Settings, named, shell
from motionllm.app.workbench.run_log import RunLog
from motionllm.config import Recipe, load_recipe
from motionllm.errors import MotionLLMError
from motionllm.files import holder, read_json, read_yaml
from motionllm.motion import Motion
from motionllm.motion.show.page import stored
from motionllm.runs import checkpoint

MOST = 500  # validations and samples of a run that are sent, the last ones
_SAMPLE = re.compile(r"\d{6,9}_\d{1,4}\.bvh")


class Runs:
    """The runs in a folder; a page names them by the folder's name."""

    def __init__(self, folder: Path, orders: Orders) -> None:
        self.folder, self.orders = folder, orders
        self.logs: dict[str, RunLog] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}  # those that were started here
        self.stopping: dict[str, int] = {}  # process ids that were asked to stop
        self.lock = threading.Lock()

    def folders(self) -> list[Path]:
        """The folders of runs of fine-tuning, the latest first."""
        if not self.folder.is_dir():
            return []
        folders = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return sorted((path for path in folders if self._is_run(path)), key=_touched, reverse=True)

    def _is_run(self, run: Path) -> bool:
        if (run / "recipe.yaml").is_file():
            return _recipe(run) is not None
        # One that has not begun to train.
        return run.name in self.processes or (run / jobs.OUTPUT).is_file() or holder(run) is not None

    def __getitem__(self, name: str) -> Path:
        """The folder of a run. Raises MotionLLMError where none is called so."""
        return named({run.name: run for run in self.folders()}, name, "run")

    def names(self) -> list[str]:
        """The names that a new run cannot have."""
        return [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []

    def states(self) -> list[dict[str, Any]]:
        return [self.state(run) for run in self.folders()]

    def state(self, run: Path) -> dict[str, Any]:
        """What a run is doing: "state" (preparing, running, stopping, finished, stopped, failed), "why" it failed, how
        far it is, and whether it can be resumed.
        """
        log, process, recipe = self._log(run), self._process(run), _recipe(run)
        step, seconds, loss = log.rows[-1][:3] if log.rows else (0, 0.0, None)
        why = None
        if process is not None:
            stopping = self.stopping.get(run.name) == process[0]
            state = "stopping" if stopping else "running" if self._writes(run, process) else "preparing"
        elif _finished(run, step):
            state = "finished"
        else:
            # What the workbench's process printed is of an earlier time if a terminal's has written the log since.
            ours = (run / jobs.OUTPUT).is_file() and _written(run / jobs.OUTPUT) >= _written(run / "log.jsonl")
            why = jobs.last_words(run) if ours else None
            state = "failed" if why else "stopped"
        done = 0.0
        if recipe:
            done = min(1.0, max(step / recipe.train.steps, seconds / (60 * (recipe.train.minutes or 1e9))))
        validations = [row["losses"]["all"] for row in log.validations if "all" in row["losses"]]
        return {
            "name": run.name,
            "state": state,
            "why": why,
            "host": process[1] if process and process[1] != socket.gethostname() else None,
            "resumable": process is None and (run / checkpoint.FILE).is_file(),
            "step": int(step),
            "steps": recipe.train.steps if recipe else None,
            "minutes": recipe.train.minutes if recipe else None,
            "seconds": seconds,
            "done": 1.0 if state == "finished" else done,
            "loss": loss,
            "validation": min(validations) if validations else None,
            "adapter": (run / "adapter").is_dir(),
            "touched": _touched(run),
        }

    def watched(self, name: str) -> dict[str, Any]:
        """A run's state with its curve, validations and samples, and the last lines that it printed."""
        run = self[name]
        state, log, recipe = self.state(run), self._log(run), _recipe(run)
        return {
            **state,
            "curve": log.curve(),
            "validations": log.validations[-MOST:],
            "samples": log.samples[-MOST:],
            "texts": recipe.train.samples if recipe else [],
            "printed": jobs.printed(run)[-12:],
        }

    def sample(self, name: str, file: str) -> dict[str, Any]:
        """A motion that a run generated on its way, as the player reads it."""
        path = self[name] / "samples" / file
        if not _SAMPLE.fullmatch(file) or not path.is_file():
            raise MotionLLMError(f"{name} has no sample {file[:50]!r}.")
        body = Motion.load(path).body()
        return stored(body.joints, body.fps)

    def start(self, order: Order) -> dict[str, Any]:
        """Start a run. Raises MotionLLMError where another one is at work, or its folder holds an earlier one."""
        words, run = self.orders.command(order), self.folder / order.name
        with self._alone():
            if (run / checkpoint.FILE).is_file():
                raise MotionLLMError(f"There is a run called {order.name} already; resume it, or choose another name.")
            if run.exists() and not self._is_run(run):
                raise MotionLLMError(f"There is another folder called {order.name} already; choose another name.")
            self.processes[order.name] = jobs.start([words], run)
        return {"name": order.name, "command": shell(words)}

    def resume(self, name: str, settings: Settings) -> dict[str, Any]:
        """Go on with a run from its checkpoint. Raises MotionLLMError where it has none, or another one is at work."""
        run = self[name]
        words = ["train", "--resume", str(run), *settings.words()]
        with self._alone():
            if not (run / checkpoint.FILE).is_file():
                raise MotionLLMError(f"{name} has no checkpoint to go on from; start it again.")
            load_recipe(run / "recipe.yaml", settings.words(), saved=True)
            self.processes[name] = jobs.start([words], run)
        return {"name": name, "command": shell(words)}

    def stop(self, name: str) -> dict[str, Any]:
        """Ask a run to end as Ctrl-C does: it finishes its step and saves. Raises MotionLLMError where it is not at
        work on this machine.
        """
        process = self._process(self[name])
        if process is None:
            raise MotionLLMError(f"{name} is not training.")
        if process[1] != socket.gethostname():
            raise MotionLLMError(f"{name} is trained on {process[1]}; stop it there.")
        try:
            os.kill(process[0], signal.SIGTERM)  # unlike an interrupt, it is not ignored in a shell's background
        except OSError as error:
            raise MotionLLMError(f"{name} cannot be stopped from here ({error.strerror}).") from None
        self.stopping[name] = process[0]
        return {"name": name}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no run is at work. Raises MotionLLMError where one is: two would share the machine."""
        with self.lock:
            for run in self.folders():
                if self._process(run) is not None:
                    raise MotionLLMError(f"{run.name} is training; stop it, or wait until it ends.")
            yield

    def _writes(self, run: Path, process: tuple[int, str]) -> bool:
        """Whether the process of a run has begun to train: the log of a run that is resumed is older."""
        try:
            begun = psutil.Process(process[0]).create_time() if process[1] == socket.gethostname() else 0.0
        except psutil.Error:
            begun = 0.0
        return bool(self._log(run).rows) and _written(run / "log.jsonl") > begun

    def _log(self, run: Path) -> RunLog:
        return self.logs.setdefault(run.name, RunLog(run / "log.jsonl")).read()

    def _process(self, run: Path) -> tuple[int, str] | None:
        """(process id, host) of the process that trains a run; None where none does."""
        process = self.processes.get(run.name)
        if process is not None and process.poll() is None:  # before it holds the lock, too
            return process.pid, socket.gethostname()
        return holder(run)


def _recipe(run: Path) -> Recipe | None:
    """What a run is trained by; None where it has not begun to train, or is of another verb."""
    return _recipe_of(run / "recipe.yaml", _written(run / "recipe.yaml"))


@lru_cache(1000)
def _recipe_of(path: Path, written: float) -> Recipe | None:
    """Pages ask for it every other second, and reading YAML takes a hundredth of one."""
    try:
        if not {"model", "adapter", "data", "train"} <= set(read_yaml(path, "recipe") or ()):
            return None
        return load_recipe(path, saved=True)
    except (MotionLLMError, TypeError):
        return None


def _finished(run: Path, step: float) -> bool:
    """Whether a run is at its end: it may have gone on since it was."""
    try:
        return int(read_json(run / "result.json", "result")["steps"]) >= step
    except (MotionLLMError, KeyError, ValueError, TypeError):
        return False


def _written(path: Path) -> float:
    """When a file was last written; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _touched(run: Path) -> float:
    return max(_written(run), _written(run / "log.jsonl"))
