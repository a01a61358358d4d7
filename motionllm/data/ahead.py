"""Examples drawn ahead of training by processes of their own, in the order in which one process would draw them.

A thread for each process sends it the next jobs of the stream and waits for their examples. An example depends on its
job alone (`examples.Filler`), so the number of processes changes nothing, and what a killed process held is drawn again
by another. A process is a command of its own, neither a fork, which could inherit a lock that is held, nor one that
imports the main script again; it ends when its input ends, however the training process does.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from motionllm.data.examples import Examples, Job
from motionllm.errors import MotionLLMError
from motionllm.language.conversations import Tokens

log = logging.getLogger(__name__)

CHUNK = 16  # examples that are sent for at once
TRIES = 3  # processes that may die over the same examples
COMMAND = "from motionllm.data.ahead import work; work()"


class Ahead:
    """Draws a stream's examples with `workers` processes, at least `count` examples ahead.

    The stream's own `order` counts what was handed out, so that its state is where a resumed run goes on. Close it at
    the end. Raises MotionLLMError where drawing does, and where processes die over and over.
    """

    def __init__(self, stream: Examples, workers: int, count: int) -> None:
        self.stream, self.planned = stream, stream.order.copy()
        self.filler = pickle.dumps(stream.filler)
        self.depth = max(2 * workers, -(-count // CHUNK) + workers)
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="examples")
        self.mine = threading.local()  # the process of each thread
        self.closed = False
        self.processes: list[subprocess.Popen[bytes]] = []
        self.waiting: deque[tuple[list[Job], Future[list[Tokens]]]] = deque()
        self.ready: deque[tuple[Job, Tokens]] = deque()
        self.begin()

    def begin(self) -> None:
        """Send for as many examples as are to be ready."""
        while len(self.waiting) < self.depth:
            jobs = [self.planned.next() for _ in range(CHUNK)]
            self.waiting.append((jobs, self.pool.submit(self._drawn, jobs)))

    def draw(self) -> tuple[str, Tokens]:
        """(task, tokens) of the next example."""
        if not self.ready:
            jobs, drawn = self.waiting.popleft()
            self.ready.extend(zip(jobs, drawn.result(), strict=True))
            self.begin()
        job, tokens = self.ready.popleft()
        self.stream.order.advance(job)
        return job.task, tokens

    def close(self) -> None:
        """End the processes."""
        self.closed = True
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self.processes):
            process.kill()
        self.pool.shutdown()
        for process in self.processes:  # a thread may have started one meanwhile
            _end(process)

    def _drawn(self, jobs: Sequence[Job]) -> list[Tokens]:
        """The examples of jobs, from this thread's process."""
        for _ in range(TRIES):
            process = getattr(self.mine, "process", None) or self._start()
            try:
                assert process.stdin and process.stdout
                if not self.mine.ready:
                    process.stdin.write(self.filler)
                    self.mine.ready = True
                _send(process.stdin, jobs)
                reply = pickle.load(process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                self.mine.process = None
                self.processes.remove(process)
                status = _end(process)
                if self.closed:
                    return []
                how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
                log.warning("A process that draws examples %s; another draws them again.", how)
                continue
            if isinstance(reply, Exception):
                raise reply
            return list(reply)
        raise MotionLLMError(
            f"{TRIES} processes ended while they drew the same {len(jobs)} examples (the last one {how}); "
            "train.workers=0 draws in the training process and needs no other."
        )

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "CUDA_VISIBLE_DEVICES": "",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is the training process's, which then saves a checkpoint
        )
        self.processes.append(process)
        self.mine.process, self.mine.ready = process, False  # ready: has its filler
        return process


def _end(process: subprocess.Popen[bytes]) -> int:
    """Kill a process, if it still runs, and return its exit status."""
    process.kill()
    with suppress(OSError):  # what it can no longer be sent
        process.stdin.close()  # type: ignore[union-attr]
    return process.wait()


def _send(stream: Any, value: object) -> None:
    pickle.dump(value, stream)
    stream.flush()


def work() -> None:
    """Such a process: reads a filler and then jobs from its input, and writes their examples to its output."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the examples
    filler = pickle.load(sys.stdin.buffer)
    while True:
        try:
            jobs = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply: object = [filler(job) for job in jobs]
        except MotionLLMError as error:
            reply = MotionLLMError(str(error))
        except Exception:
            reply = RuntimeError(f"A process that draws examples failed:\n{traceback.format_exc()}")
        _send(replies, reply)
