"""The processes of a launch: what they may be asked for, the run's folder that they share, and values of the first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from motionllm.errors import MotionLLMError
from motionllm.files import lock
from motionllm.runs import checkpoint
from motionllm.runs.cores import cores


@contextmanager
def held(run: Path, accelerator: Any) -> Iterator[None]:
    """The run's folder for this launch alone: its main process locks it, and all are refused where that is. A run that
    is refused leaves no empty folder behind.
    """
    with ExitStack() as stack:
        if accelerator.is_main_process and not run.exists():
            stack.callback(_remove_empty, run)
        refused: list[str | None] = [None]
        if accelerator.is_main_process:
            try:
                stack.enter_context(lock(run))
            except MotionLLMError as error:
                refused = [str(error)]
        if broadcast(refused)[0]:
            accelerator.end_training()
            if accelerator.is_main_process:
                raise MotionLLMError(refused[0])
            raise SystemExit(2)
        yield


def _remove_empty(run: Path) -> None:
    with suppress(OSError):  # there is something in it, or it was never made
        run.rmdir()


def broadcast(values: list[Any]) -> list[Any]:
    """The main process's values, in every process."""
    from accelerate.utils import broadcast_object_list

    broadcast_object_list(values)
    return values


def launch() -> str | None:
    """What identifies the launch that these processes belong to, also when its launcher starts them again."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if name == "none" else name


def restarted(run: Path) -> bool:
    """Whether a launcher has started the processes of a run again, after one was lost or with another number of them
    (`torchrun --max-restarts`, `--nnodes 1:4`): the run then goes on from its checkpoint without being asked to.
    """
    if not (run / checkpoint.FILE).is_file():
        return False
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)):
        return True
    return bool(name := launch()) and checkpoint.peek(run).get("launch") == name


def drawers(wanted: int | None, accelerator: Any) -> int:
    """The number of processes that draw examples for each that trains."""
    if wanted is not None or accelerator.device.type == "cpu":
        return wanted or 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))
    return min(4, max(0, cores() // here - 1))


def check_launch() -> None:
    """Raises MotionLLMError where the launch asks for a sharding that is not this loop's own.

    DeepSpeed's engine would take over accumulation, clipping, the step and the form of checkpoints, and with them what
    is promised of each; and on a CPU Accelerate would silently run neither it nor its own FSDP.
    """
    for name, said in (("DEEPSPEED", "DeepSpeed"), ("FSDP", "Accelerate's FSDP")):
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true":
            raise MotionLLMError(
                f"This launch asks for {said}; weights, gradients and optimizer are shared out by train.shard=true "
                "(FSDP2): launch with recipes/accelerate/fsdp2.yaml and that key."
            )
