"""Data made ready for training: the motion tokenizer of a run, trained where need be, and its encoded clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import shipped
from motionllm.config import Recipe, TokenizerRecipe, load_recipe, placed
from motionllm.data.clips import Clips, encode
from motionllm.data.sources import has_split, loaded, read
from motionllm.errors import MotionLLMError
from motionllm.files import read_json
from motionllm.runs.progress import Bar
from motionllm.runs.run import Stopped
from motionllm.tokenizer import MotionTokenizer


def train_tokenizer(
    recipe: TokenizerRecipe, folder: Path, progress: Callable[..., None] | None = None
) -> dict[str, Any]:
    """Train the tokenizer of a recipe into `folder`; its report. progress(done, **numbers) is called as it goes on."""
    from motionllm.tokenizer.train import fit

    recipe = placed(recipe)
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


def motion_tokenizer_of(recipe: Recipe, run: Path, fit: bool = True) -> MotionTokenizer:
    """The shipped or given motion tokenizer, or one trained first by its recipe, inside the run.

    fit=False: raise MotionLLMError where that one is not trained yet.
    """
    name = recipe.model.tokenizer
    if not name.endswith((".yaml", ".yml")):
        return MotionTokenizer.load(name)
    folder = run / "tokenizer"
    if not (folder / "report.json").is_file():
        settings = load_recipe(shipped.find("tokenizer", name), (), TokenizerRecipe)
        if not fit:
            raise MotionLLMError(
                f"model.tokenizer {name} is a recipe that the run would train first, into {folder}; until then say "
                "model.tokenizer=default, or the folder of another one."
            )
        if len(settings.sources) == 1 and settings.sources[0].kind == recipe.data.sources[0].kind:
            # A tokenizer recipe with one source follows the run's data, wherever that was said to be.
            settings.sources[0].path = recipe.data.sources[0].path
        try:
            with Bar(f"tokenizer {settings.name}") as bar:
                train_tokenizer(settings, folder, bar.update)
        except Stopped as stop:
            how = "Stopped while the motion tokenizer was trained; the same command again goes on with it"
            raise Stopped(stop.number, how) from None
    return MotionTokenizer.load(folder)


def clips_of(recipe: Recipe, split: str, motion_tokenizer: MotionTokenizer) -> list[Clips]:
    """The encoded clips of every source; none for validation of one that has no such split: it still trains."""
    clips = []
    for source in recipe.data.sources:
        if split == "val" and not has_split(source, split):
            clips.append(Clips())
            continue
        with Bar(f"encode {source.path or source.kind} {split}") as bar:
            clips.append(
                encode(
                    source,
                    split,
                    motion_tokenizer,
                    list(recipe.data.tasks),
                    bar.update,
                    recipe.data.notation is not None,
                )
            )
    return clips
