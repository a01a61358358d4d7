"""Checkpoints of a run: what training needs to go on as if it had never stopped.

`checkpoint.pt` is the newest; with `keep` over 1 the ones before it stay as `checkpoint-STEP.pt`. To go on from an
older one, copy it to `checkpoint.pt`.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from motionllm.errors import MotionLLMError

FILE = "checkpoint.pt"


def gather(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Trained parameters and optimizer state, on the CPU; sharded ones whole. Every process must call it."""
    trained = {name: whole(p).detach().cpu() for name, p in model.named_parameters() if p.requires_grad}
    state = optimizer.state_dict()
    state["state"] = {i: {key: whole(v) for key, v in values.items()} for i, values in state["state"].items()}
    return {"model": trained, "optimizer": state}


def whole(value: Any) -> Any:
    """A sharded tensor put together from all processes; anything else as it is."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def save(run: Path, state: dict[str, Any], keep: int = 1) -> None:
    """What `gather` gave and plain values, written beside and renamed; the `keep` newest checkpoints stay.

    Raises OSError where the disk is full; the checkpoint before is untouched then.
    """
    beside = run / f".{FILE}.part"
    try:
        with open(beside, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before what was written
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        # torch says so in an error of its own, where its last write is the one that fails.
        raise error if isinstance(error, OSError) else OSError(f"writing the checkpoint failed: {error}") from None
    if keep > 1 and (run / FILE).is_file():
        previous = torch.load(run / FILE, map_location="cpu", weights_only=True, mmap=True)["step"]
        _link(run / FILE, run / f"checkpoint-{previous}.pt")  # at no moment is there none
    os.replace(beside, run / FILE)
    older = {int(match[1]): path for path in run.glob("checkpoint-*.pt")
             if (match := re.fullmatch(r"checkpoint-(\d+)\.pt", path.name))}  # fmt: skip
    for step in sorted(older, reverse=True)[keep - 1 :]:
        older[step].unlink()


def _link(path: Path, other: Path) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def load(run: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore the newest checkpoint into model and optimizer; the plain values saved with it.

    Raises MotionLLMError where there is none, it cannot be read, or it belongs to another model or an older version.
    """
    path = run / FILE
    if not path.is_file():
        raise MotionLLMError(f"{run} has no checkpoint to resume from; start the run without --resume.")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever its zip and pickle readers do
        raise MotionLLMError(f"{path} is damaged; copy an older checkpoint-STEP.pt to its place.") from None
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if "stream" not in stored:
        raise MotionLLMError(f"{path} was written by an older version; start the run anew, or from its adapter.")
    if {n: p.shape for n, p in parameters.items()} != {n: v.shape for n, v in stored["model"].items()}:
        raise MotionLLMError(f"The checkpoint in {run} belongs to another recipe; resume with the run's own.")
    with torch.no_grad():
        for name, value in stored.pop("model").items():
            parameters[name].copy_(_as(value, parameters[name]))
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    state = stored.pop("optimizer")
    state["state"] = {
        i: {key: _as(v, trained[i]) if v.shape == trained[i].shape else v for key, v in values.items()}
        for i, values in state["state"].items()
    }
    optimizer.load_state_dict(state)
    return stored


def _as(value: torch.Tensor, parameter: Any) -> torch.Tensor:
    """A whole tensor, sharded as the parameter is."""
    if not hasattr(parameter, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
