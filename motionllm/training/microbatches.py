"""Micro-batches sized by the memory of a GPU: how many rows fit, and how many of them divide a step best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from motionllm.config import Recipe
from motionllm.data.examples import Examples, collate, pack
from motionllm.errors import MotionLLMError
from motionllm.language.conversations import Tokens

SHARE = 0.85  # of the free memory; the rest is for what the allocator cannot use, and for longer logits
STEPS, EXAMPLES = 64, 256  # steps that are looked at to divide them, and examples that these are made of
# Tokens that a device computes in the time that a micro-batch takes besides: smaller ones cost as much. On a GPU its
# kernels are launched in it.
BESIDE = {"cuda": 4096, "cpu": 64}


def some_examples(stream: Examples) -> list[Tokens]:
    """The first examples of a stream."""
    return [stream.draw()[1] for _ in range(EXAMPLES)]


def by_memory(
    recipe: Recipe, learner: Any, examples: Sequence[Tokens], accelerator: Any, optimizer: Any
) -> tuple[int, dict[str, float]]:
    """The number of rows that fit the GPU of this process, by forward and backward passes of one row and of two; and
    what was measured, in GiB: free memory, a row, and what is needed beside the rows.

    Raises MotionLLMError where not even one row fits.
    """
    length, device = recipe.data.max_length, accelerator.device
    row = max(pack(examples, length, packing=recipe.data.packing), key=lambda row: sum(sum(t.supervised) for t in row))
    batches = {n: collate([row] * n, 0, (n, length)).to(device) for n in (1, 2)}

    def peak(rows: int) -> int:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        with torch.compiler.set_stance("force_eager"), accelerator.autocast():
            sum(learner(batches[rows])).backward()
        return int(torch.cuda.max_memory_allocated(device)) - before

    learner.train()
    try:
        peak(1)  # libraries allocate at their first use
        learner.zero_grad(set_to_none=True)
        one = peak(1)
        learner.zero_grad(set_to_none=True)
        two = peak(2)
    except torch.OutOfMemoryError:
        raise MotionLLMError(
            f"Not one row of {length} tokens fits the memory of {torch.cuda.get_device_name(device)}; set "
            "train.checkpointing=true, model.quantization=4bit, or a smaller data.max_length."
        ) from None
    finally:
        learner.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info(device)[0]
    state = sum(8 * p.numel() for group in optimizer.param_groups for p in group["params"])
    gib = {"free_gib": free, "row_gib": two - one, "beside_gib": 2 * one - two}
    return fitting(one, two, SHARE * free - state), {name: round(size / 2**30, 3) for name, size in gib.items()}


def fitting(one: int, two: int, room: float) -> int:
    """The number of rows that fit `room` bytes, where one row takes `one` and two take `two`; at least 1."""
    each = max(two - one, 1)
    return max(1, int((room - (one - each)) / each))


def steps_of(examples: Sequence[Tokens], recipe: Recipe, processes: int) -> np.ndarray:
    """(STEPS,) rows of one process in steps of a recipe whose examples are like these."""
    batch, length = recipe.train.batch, recipe.data.max_length
    if not recipe.data.packing:
        return np.full(STEPS, math.ceil(batch / processes))
    lengths = np.array([min(len(t.ids), length) for t in examples])
    tokens = np.random.default_rng(0).choice(lengths, (STEPS, batch)).sum(axis=1)
    return np.ceil(np.ceil(tokens / length) / processes).astype(int)


def dividing(steps: np.ndarray, most: int, length: int, device: str) -> int:
    """The rows of a micro-batch, up to `most`, with which steps of so many rows of `length` tokens take least: all
    micro-batches are of that size, the last one of a step padded, and each takes as long as its rows and BESIDE.
    """
    sizes = np.arange(1, min(most, int(steps.max())) + 1)
    cost = np.ceil(steps[:, None] / sizes).mean(axis=0) * (sizes + BESIDE[device] / length)
    return int(sizes[cost.argmin()])
