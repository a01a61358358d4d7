"""What a run trains: model and loss as one module, its parameter groups, compiled layers, and shares of the weights."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from motionllm.config import Adapter, Recipe, Training
from motionllm.data.examples import Batch
from motionllm.language.bases import layers, takes_positions
from motionllm.lm import attention
from motionllm.lm.adapters import bare
from motionllm.lm.loss import cross_entropy
from motionllm.lm.model import MotionLM

COMPILED_STEPS, COMPILED_MINUTES = 200, 5  # at least; compiling takes up to a minute


class Learner(torch.nn.Module):
    """Model and loss as one module, so that wrappers for several processes see the whole forward pass."""

    def __init__(self, lm: MotionLM, motion_loss: str) -> None:
        super().__init__()
        self.model, self.vocab, self.motion_loss = lm.model, lm.vocab, motion_loss

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums of the motion and the text losses of a packed batch."""
        base = bare(self.model)
        device = base.device
        # use_cache=False, positions that restart and no mask: packed examples do not see each other.
        body = base.get_decoder()
        places = {"position_ids": batch.positions.to(device)} if takes_positions(body) else {}
        kind = base.config._attn_implementation
        if kind in attention.BOUNDED:
            places |= attention.arguments(kind, batch.bounds.to(device), batch.ids.shape[1])
        hidden = body(input_ids=batch.ids.to(device), **places, use_cache=False).last_hidden_state
        return cross_entropy(hidden, batch.targets, base, self.vocab, self.motion_loss)


def attend_fast(model: Any, device: torch.device, precision: str) -> str:
    """Let the model attend over packed rows by the fastest kernels of the device that give its hidden states; the kind.
    It is tried on two layers of its configuration, because the weights themselves may be shared out, in the number
    types of the run.
    """
    base, candidates = bare(model), attention.kinds(device)
    if len(candidates) == 1 or base.config._attn_implementation != attention.MASKED:
        return str(base.config._attn_implementation)
    with torch.random.fork_rng():
        two = layers(base.config, 2).to(device, base.get_input_embeddings().weight.dtype).eval()
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        kind = attention.choose(two, candidates)
    attention.set_kind(base, kind)
    return kind


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether a run's layers are compiled; `auto`: on a GPU, in a run that is long enough for it to pay."""
    settings = recipe.train
    if settings.compile != "auto":
        return settings.compile
    long = settings.steps >= COMPILED_STEPS and (settings.minutes or math.inf) >= COMPILED_MINUTES
    plain = recipe.data.packing and not recipe.model.quantization
    return device.type == "cuda" and long and plain and compiler(device.type) is None


def compiler(device: str) -> str | None:
    """What torch.compile lacks on a kind of device; None where it lacks nothing."""
    if device == "cpu":
        wanted = (os.environ.get("CXX", "c++"), "g++", "clang++")
        return None if any(map(shutil.which, wanted)) else "a C++ compiler (g++, which the package manager has)"
    return None if importlib.util.find_spec("triton") else "the package triton (pip install triton)"


def compile_layers(model: Any) -> None:
    """Compile each decoder layer of a model. They share one graph, so that 30 take as long to compile as one, and one
    layer is also what `shard` takes apart. Shapes are fixed (`collate`): nothing is compiled again.
    """
    for layer in bare(model).get_decoder().layers:
        layer.forward = torch.compile(layer.forward, dynamic=False)


@contextmanager
def as_for_decoding(model: Any) -> Iterator[None]:
    """The model within the context as decoding needs it: uncompiled, for shapes of any size, and with masks."""
    with torch.compiler.set_stance("force_eager"), attention.masked(bare(model)):
        yield


def shard(learner: Learner, accelerator: Any) -> None:
    """Take the weights apart over the processes: each decoder layer a unit, the rest another (FSDP2)."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for layer in bare(learner.model).get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(learner, mesh=mesh)


def parameter_groups(lm: MotionLM, adapter: Adapter, settings: Training) -> list[dict[str, Any]]:
    """The optimizer's parameter groups; that of the motion rows is the last where they are apart."""
    trained = [(name, p) for name, p in lm.model.named_parameters() if p.requires_grad]
    if adapter.method == "full":
        # As is usual, what scales or stands for a token does not decay.
        spared = {id(m.weight) for m in lm.model.modules() if isinstance(m, torch.nn.Embedding)}
        spared |= {id(p) for _, p in trained if p.ndim < 2}
        decayed = [p for _, p in trained if id(p) not in spared]
        return [
            {"params": decayed, "factor": 1.0, "weight_decay": settings.weight_decay},
            {"params": [p for _, p in trained if id(p) in spared], "factor": 1.0, "weight_decay": 0.0},
        ]
    # Rows are absolute values, not differences: decay would pull them to zero.
    return [
        {
            "params": [p for name, p in trained if "trainable_tokens" not in name],
            "factor": 1.0,
            "weight_decay": settings.weight_decay,
        },
        {
            "params": [p for name, p in trained if "trainable_tokens" in name],
            "factor": adapter.rows_lr,
            "weight_decay": 0.0,
        },
    ]
