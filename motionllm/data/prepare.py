"""Samples made ready for training: features for a tokenizer, codes for the language model, cached on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.config import TokenizerRecipe
from motionllm.data.sources import read
from motionllm.errors import MotionLLMError


def train_tokenizer(
    recipe: TokenizerRecipe, folder: Path, progress: Callable[..., None] | None = None
) -> dict[str, Any]:
    """Train the tokenizer of a recipe into `folder`; its report. progress(done, **numbers) is called as it goes on."""
    from motionllm.tokenizer.train import fit

    features: dict[str, list[np.ndarray]] = {"train": [], "val": []}
    weights: list[float] = []
    for source in recipe.sources:
        samples = read(source, "train")
        for sample in samples:
            features["train"].append(sample.load())
            weights.append(source.weight)
        try:
            held_out = read(source, "val")
        except MotionLLMError:  # a set without a validation split still trains
            held_out = []
        features["val"] += [sample.load() for sample in held_out]
    if not features["val"]:
        raise MotionLLMError("No source of the recipe has a val split (val.txt); the tokenizer would go unmeasured.")
    fit(recipe, features["train"], features["val"], folder, weights, progress)
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))
