"""Reads untrusted motion files in a separate process with limits on memory and time.

One helper process imports the readers once and forks a child per file, within milliseconds; without fork (Windows) each
file gets a new process that imports them again. A child sets its own limits before it opens the file, and returns plain
arrays: nothing it sends is unpickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionFileError
from motionllm.motion.clip import Motion
from motionllm.motion.formats.bvh import BVH
from motionllm.motion.formats.rigs import Rig, RigMap, load_rig
from motionllm.motion.skeleton import SKELETONS

FORKS = hasattr(os, "fork") and hasattr(socket, "send_fds")
_DONE = b"whole"  # a child's last bytes: if they are missing, it was killed
_LIBRARY = "import sys; sys.path.insert(0, sys.argv[1]); from motionllm.motion import confined; confined.{}()"


def load_confined(
    path: str | os.PathLike[str],
    rig: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    seconds: float = 20.0,
    megabytes: int = 2048,
) -> Motion:
    """`Motion.load` in a separate process, limited to `seconds` and (on Unix) to `megabytes` of memory.

    Raises MotionFileError as `Motion.load` does, and where the file needs more than that.
    """
    job = {"path": os.fspath(path), "rig": load_rig(rig), "seconds": seconds, "megabytes": megabytes}
    request = json.dumps(job | {"folder": os.getcwd()}).encode()
    answer = _forked(request, seconds) if FORKS else _started(request, seconds)
    if not answer.endswith(_DONE):
        raise MotionFileError(
            f"{path}: cannot be read within {seconds:g} s and {megabytes:,} MB of memory; "
            "cut the take into shorter ones, or export it again."
        )
    with np.load(io.BytesIO(answer[: -len(_DONE)]), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    reply = json.loads(arrays.pop("reply").tobytes())
    if "error" in reply:
        raise MotionFileError(reply["error"])
    if "defect" in reply:
        raise RuntimeError(f"Reading {path} failed:\n{reply['defect']}")
    return _unpacked(reply, arrays)


# -- asking -------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_helper: tuple[int, subprocess.Popen[bytes], socket.socket] | None = None  # owner's id, helper, our socket


def _forked(request: bytes, seconds: float) -> bytes:
    """The answer of a child of the helper, complete or as much as arrived."""
    reading, writing = os.pipe()
    try:
        try:
            with _lock:
                for attempt in (1, 2):
                    try:
                        _send(request, writing)
                        break
                    except OSError:  # the helper was killed: start another
                        _stop()
                        if attempt == 2:
                            raise
        finally:
            os.close(writing)
        end = time.monotonic() + seconds + 5  # the child's own timer ends it earlier
        parts = []
        while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
            parts.append(os.read(reading, 1 << 20))
            if not parts[-1]:
                break
        return b"".join(parts)
    finally:
        os.close(reading)


def _send(request: bytes, writing: int) -> None:
    global _helper
    if _helper is None or _helper[0] != os.getpid():  # a fork of this process has no helper of its own yet
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [*_command("serve"), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the parent; the helper ends when our end of the socket closes
            )
        _helper = os.getpid(), process, ours
    ours = _helper[2]
    socket.send_fds(ours, [struct.pack("<I", len(request))], [writing])
    ours.sendall(request)
    if not ours.recv(1):
        raise ConnectionError


def _stop() -> None:
    global _helper
    if _helper is not None:
        _helper[2].close()
        _helper[1].kill()
        _helper[1].wait()
        _helper = None


def _started(request: bytes, seconds: float) -> bytes:
    """The answer of a new process started for this file."""
    command = _command("answer")
    with contextlib.suppress(subprocess.TimeoutExpired):
        started = subprocess.run(
            command, input=request, stdout=subprocess.PIPE, env=_environment(), timeout=seconds + 20
        )
        return started.stdout
    return b""


def _command(entry: str) -> list[str]:
    return [sys.executable, "-c", _LIBRARY.format(entry), str(Path(__file__).parents[2])]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


# -- answering ----------------------------------------------------------------------------------------------


def serve() -> None:
    """The helper's loop: fork a child per request on the socket until its other end is closed."""
    requests = socket.socket(fileno=int(sys.argv[2]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped automatically
    while True:
        head, descriptors, _, _ = socket.recv_fds(requests, 4, 1)
        if not head:
            return
        request = b""
        while len(request) < struct.unpack("<I", head)[0]:
            request += requests.recv(1 << 16)
        if os.fork() == 0:
            requests.close()
            with contextlib.suppress(BaseException), open(descriptors[0], "wb") as out:
                _answer(request, out)
            os._exit(0)
        os.close(descriptors[0])
        requests.sendall(b".")


def answer() -> None:
    """Serve one request on the standard streams."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr
    with out:
        _answer(sys.stdin.buffer.read(), out)


def _answer(request: bytes, out: Any) -> None:
    job = json.loads(request)
    os.chdir(job["folder"])
    _limit(job["seconds"], job["megabytes"])
    arrays: dict[str, Any] = {}
    try:
        reply, arrays = _packed(Motion.load(job["path"], job["rig"]))
    except MotionFileError as error:
        reply = {"error": str(error)}
    except MemoryError:
        return  # the same exit as when the system kills the process for it
    except BaseException:
        reply = {"defect": traceback.format_exc()[-4000:]}
    buffer = io.BytesIO()
    np.savez(buffer, reply=np.frombuffer(json.dumps(reply).encode(), np.uint8), **arrays)
    out.write(buffer.getbuffer())
    out.write(_DONE)


def _limit(seconds: float, megabytes: int) -> None:
    """Limit this process: exit after `seconds`, allocate at most `megabytes`."""
    try:
        import resource
    except ImportError:  # Windows: the parent's timer
        return

    def limit(what: int, most: int) -> None:
        with contextlib.suppress(OSError, ValueError):  # a stricter limit is already set
            resource.setrlimit(what, (most, most))

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    limit(resource.RLIMIT_CPU, int(seconds) + 1)
    limit(resource.RLIMIT_AS, megabytes << 20)
    limit(resource.RLIMIT_FSIZE, 0)  # readers write no files
    limit(resource.RLIMIT_CORE, 0)


# -- a clip as plain arrays ---------------------------------------------------------------------------------


def _packed(motion: Motion) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    reply: dict[str, Any] = {"fps": motion.fps, "name": motion.name, "notes": motion.notes}
    arrays = {"joints": motion.joints}
    skeleton, bvh, places = motion.skeleton, motion.bvh, motion.places
    if isinstance(skeleton, Rig):
        reply["rig"] = {"name": skeleton.name, "joints": skeleton.joints, "parents": skeleton.parents}
        arrays["rig_offsets"] = skeleton.offsets
    else:
        reply["skeleton"] = skeleton.name
    if bvh is not None:
        take = {field.name: getattr(bvh, field.name) for field in dataclasses.fields(bvh)}
        arrays |= {f"bvh_{name}": take.pop(name) for name in ("offsets", "values")}
        reply["bvh"] = take | {"ends": [[j, *offset.tolist()] for j, offset in take["ends"].items()]}
    if places is not None:
        reply["places"] = dataclasses.asdict(places)
    return reply, arrays


def _unpacked(reply: dict[str, Any], arrays: dict[str, np.ndarray]) -> Motion:
    bvh, places, rig = reply.get("bvh"), reply.get("places"), reply.get("rig")
    return Motion(
        arrays["joints"],
        reply["fps"],
        SKELETONS[reply["skeleton"]] if rig is None else Rig(**_tuples(rig), offsets=arrays["rig_offsets"]),
        reply["name"],
        tuple(reply["notes"]),
        None
        if bvh is None
        else BVH(
            **_tuples(bvh)
            | {"ends": {j: np.array(offset) for j, *offset in bvh["ends"]}}
            | {name: arrays[f"bvh_{name}"] for name in ("offsets", "values")}
        ),
        None if places is None else RigMap(**_tuples(places)),
    )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Lists to tuples, recursively: JSON has only lists, the dataclass fields hold tuples."""

    def tupled(value: Any) -> Any:
        return tuple(tupled(v) for v in value) if isinstance(value, list) else value

    return {key: tupled(value) for key, value in values.items()}
