"""Checkpoints of a run: what training needs to go on as if it had never stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from motionllm.errors import MotionLLMError

FILE = "checkpoint.pt"


def save(run: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Trained parameters, optimizer, random state and `state` (plain values), written beside and renamed."""
    trained = {name: p.detach().cpu() for name, p in model.named_parameters() if p.requires_grad}
    beside = run / f".{FILE}"
    torch.save({"model": trained, "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), **state}, beside)
    os.replace(beside, run / FILE)


def load(run: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore the newest checkpoint into model and optimizer; the plain values saved with it.

    Raises MotionLLMError where there is none, or it belongs to another model.
    """
    path = run / FILE
    if not path.is_file():
        raise MotionLLMError(f"{run} has no checkpoint to resume from; start the run without --resume.")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != stored["model"].keys():
        raise MotionLLMError(f"The checkpoint in {run} belongs to another recipe; resume with the run's own.")
    with torch.no_grad():
        for name, value in stored.pop("model").items():
            parameters[name].copy_(value)
    optimizer.load_state_dict(stored.pop("optimizer"))
    torch.set_rng_state(stored.pop("rng"))
    return stored
