"""Samples made ready for training: features for a tokenizer, codes for the language model, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.config import TokenizerRecipe
from motionllm.data.sources import has_split, loaded, read
from motionllm.errors import MotionLLMError
from motionllm.files import read_json


def train_tokenizer(
    recipe: TokenizerRecipe, folder: Path, progress: Callable[..., None] | None = None
) -> dict[str, Any]:
    """Train the tokenizer of a recipe into `folder`; its report. progress(done, **numbers) is called as it goes on."""
    from motionllm.tokenizer.train import fit

    features: dict[str, list[np.ndarray]] = {"train": [], "val": []}
    weights: list[float] = []
    for source in recipe.sources:
        for _, clip in loaded(read(source, "train")):
            features["train"].append(clip)
            weights.append(source.weight)
        if has_split(source, "val"):  # a set without a validation split still trains
            features["val"] += [clip for _, clip in loaded(read(source, "val"))]
    if not features["train"]:
        raise MotionLLMError("No clip of the recipe's sources can be used; the tokenizer has nothing to learn from.")
    if not features["val"]:
        raise MotionLLMError("No source of the recipe has a val split (val.txt); the tokenizer would go unmeasured.")
    fit(recipe, features["train"], features["val"], folder, weights, progress)
    return read_json(folder / "report.json")
