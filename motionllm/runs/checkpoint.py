"""Checkpoints of a run: all state that training needs to continue as if it had never stopped.

`checkpoint.pt` is the newest; with `keep` over 1, earlier ones are kept as `checkpoint-STEP.pt`. To resume from one of
these, copy it to `checkpoint.pt`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from motionllm import files
from motionllm.errors import MotionLLMError
from motionllm.runs.run import losses

FILE = "checkpoint.pt"
FORMAT = 1


def gather(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Trained parameters and optimizer state, gathered on the CPU, sharded ones in full. Every process must call it."""
    trained = {name: whole(p).detach().cpu() for name, p in model.named_parameters() if p.requires_grad}
    state = optimizer.state_dict()
    state["state"] = {i: {key: whole(v) for key, v in values.items()} for i, values in state["state"].items()}
    return {"model": trained, "optimizer": state}


def frozen(model: torch.nn.Module) -> str:
    """16 hex digits that identify the frozen weights, by pieces of them in bfloat16, so that a base in another
    precision has the same digits. With full fine-tuning, call it before training.
    """
    fixed = [(name, p) for name, p in model.named_parameters() if not p.requires_grad]
    digest = hashlib.sha256()
    for name, p in fixed or model.named_parameters():
        if p.is_floating_point():  # quantised tensors are packed differently per machine
            begun = p.detach().flatten()[: (p.numel() + 1) // 2]  # without the motion rows, which are last
            piece = begun[:: max(1, len(begun) // 256)].to(torch.bfloat16).cpu()
            digest.update(name.encode())
            digest.update(piece.view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]


def whole(value: Any) -> Any:
    """A sharded tensor, gathered from all processes; any other value unchanged."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def save(run: Path, state: dict[str, Any], keep: int = 1) -> None:
    """Save the output of `gather` and plain values; keep the `keep` newest checkpoints.

    Raises WriteError where the disk is full; the previous checkpoint is then untouched.
    """
    with files.whole_stream(run / FILE) as stream:
        torch.save(state | {"format": FORMAT}, stream)
        if keep > 1 and (run / FILE).is_file():
            previous = torch.load(run / FILE, map_location="cpu", weights_only=True, mmap=True)["step"]
            _link(run / FILE, run / f"checkpoint-{previous}.pt")  # there is a complete checkpoint at every moment
    for path in list(_older(run).values())[keep - 1 :]:
        path.unlink()


def peek(run: Path) -> dict[str, Any]:
    """The newest checkpoint as it lies there, its tensors read when they are used; {} where it cannot be read."""
    try:
        stored = torch.load(run / FILE, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # torch raises whatever its zip and pickle readers do
        return {}
    return stored if isinstance(stored, dict) else {}


def _older(run: Path) -> dict[int, Path]:
    """{step: file} of the checkpoints older than the newest, latest first."""
    older = {
        int(match[1]): path
        for path in run.glob("checkpoint-*.pt")
        if (match := re.fullmatch(r"checkpoint-(\d+)\.pt", path.name))
    }
    return dict(sorted(older.items(), reverse=True))


def advice(run: Path, by_step: dict[int, float], command: str) -> str:
    """How to resume a run whose loss has diverged, from the newest checkpoint before it did.

    by_step: {step: loss}, the last one included. A loss over 1.5 times the first has diverged; the loss of a step is
    computed with the weights of the step before. command: resumes the run.
    """
    first = by_step[min(by_step)] if by_step else math.inf
    there = _older(run)
    if (run / FILE).is_file():
        newest = torch.load(run / FILE, map_location="cpu", weights_only=True, mmap=True)["step"]
        there = {newest: run / FILE} | there
    for step, path in sorted(there.items(), reverse=True):
        if (loss := by_step.get(step + 1, math.nan)) <= 1.5 * first and math.isfinite(loss):
            if path.name == FILE:
                return f"go on from step {step} with `{command}`"
            newer = "the checkpoints after it have diverged already"
            return f"copy {path.name} to {FILE} in {run} ({newer}) and go on from step {step} with `{command}`"
    return "start anew with another --out" + (": its checkpoints have diverged already" if there else "")


def check_finite(run: Path, step: int, loss: float, norm: float, said: str, remedy: str, command: str) -> None:
    """Raise MotionLLMError, with `advice`, where a step's loss or gradient norm is not finite: the step would spoil
    every weight. said: which of them, and its value. command: resumes the run.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    how = advice(run, losses(run / "log.jsonl") | {step: loss}, command)
    raise MotionLLMError(f"The {said} at step {step}: training has diverged. {remedy}; then {how}.")


def _link(path: Path, other: Path) -> None:
    """A hard link to a file, or a copy where the file system has no hard links."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def load(run: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore the newest checkpoint into model and optimizer; returns the plain values saved with it.

    Raises MotionLLMError where there is none, it cannot be read, or it is from another model or an older version.
    """
    path = run / FILE
    if not path.is_file():
        raise MotionLLMError(f"{run} has no checkpoint to resume from; start the run without --resume.")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever its zip and pickle readers do
        raise MotionLLMError(f"{path} is damaged; copy an older checkpoint-STEP.pt to its place.") from None
    if not isinstance(stored, dict):
        raise MotionLLMError(f"{path} is no checkpoint; copy an older checkpoint-STEP.pt to its place.")
    files.check_format(stored.pop("format", None), FORMAT, path)
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
    for group in state["param_groups"]:  # the run may have begun on another kind of device
        group["fused"] = optimizer.defaults.get("fused")
    optimizer.load_state_dict(state)
    return stored


def _as(value: torch.Tensor, parameter: Any) -> torch.Tensor:
    """A full tensor, sharded like the parameter."""
    if not hasattr(parameter, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
