"""The tokenizer that a training begins with: a fresh one, or an earlier one, whose decoder may be another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from motionllm.config import TokenizerRecipe
from motionllm.errors import MotionLLMError
from motionllm.motion.representation import Representation, named, of_width
from motionllm.tokenizer.decoders import SETTINGS
from motionllm.tokenizer.tokenizer import MotionTokenizer


def normalisation(features: Sequence[np.ndarray], representation: Representation) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (dim,) over all frames; std averaged within each block, so that a joint that hardly moves is not
    blown up to the weight of one that does.
    """
    stacked = np.concatenate(features).astype(np.float64)
    mean, std = stacked.mean(0), stacked.std(0)
    for block in representation.blocks.values():
        std[block] = max(std[block].mean(), 1e-4)
    return mean.astype(np.float32), std.astype(np.float32)


def representation_of(recipe: TokenizerRecipe, start: MotionTokenizer | None, width: int) -> Representation:
    """The recipe's representation, else that of the tokenizer it goes on from, else the one of so many features."""
    representation = start.representation if start else of_width(width)
    if recipe.representation and (wanted := named(recipe.representation)) is not representation:
        if start:
            raise MotionLLMError(
                f"The tokenizer {recipe.start} has the representation {representation.name} and the recipe "
                f"{wanted.name}; leave the key out."
            )
        representation = wanted
    return representation


def first_tokenizer(
    recipe: TokenizerRecipe, start: MotionTokenizer | None, representation: Representation, train: Sequence[np.ndarray]
) -> MotionTokenizer:
    """The tokenizer to be trained: a fresh one, or `start`, with another decoder where the recipe has one."""
    if start is None:
        mean, std = normalisation(train, representation)
        return MotionTokenizer(recipe.network, mean, std, representation=representation)
    alike = {name: getattr(start.config, name) for name in SETTINGS}
    if start.config != recipe.network.model_copy(update=alike):
        raise MotionLLMError(f"The tokenizer {recipe.start} has another network than the recipe; give its own.")
    if start.config == recipe.network:
        return start
    tokenizer = MotionTokenizer(recipe.network, start.mean, start.std, representation=representation)
    tokenizer.network.load_state_dict(_taken(start.network.state_dict(), tokenizer.network.state_dict()))
    return tokenizer


def _taken(stored: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """`own` weights with those of `stored` in their places; where a decoder draws, the plain one is its `base`."""
    taken = dict(own)
    for name, tensor in own.items():
        plainly = name.replace("decoder.base.", "decoder.")
        for other in (name, plainly, plainly.replace("decoder.", "decoder.base.")):
            if other in stored and stored[other].shape == tensor.shape:
                taken[name] = stored[other]
                break
    return taken
