"""Checks of a fine-tuning recipe before anything is loaded or encoded, for the run and for `--dry-run`."""

from __future__ import annotations

import importlib.util

from motionllm import shipped
from motionllm.config import Recipe
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.lm.adapters import find_adapter


def check(recipe: Recipe) -> None:
    """Raise MotionLLMError for a recipe that needs something missing: a package, a file, a task without a phrasing."""
    tracker, quantization = recipe.train.report_to, recipe.model.quantization
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        raise MotionLLMError(
            f"train.report_to={tracker} needs the package {tracker}, which is not installed: run `pip install "
            f"{tracker}`, or leave the key out; the run's log.jsonl holds the same figures."
        )
    if quantization and importlib.util.find_spec("bitsandbytes") is None:
        raise MotionLLMError(
            f"model.quantization={quantization} needs the package bitsandbytes, which is not installed: run "
            "`pip install bitsandbytes`, or leave the key out."
        )
    Templates.load(recipe.data.templates).check(recipe.data.tasks)
    if recipe.model.tokenizer.endswith((".yaml", ".yml")):
        shipped.find("tokenizer", recipe.model.tokenizer)
    for key in ("start", "text"):
        if name := getattr(recipe.adapter, key):
            try:
                find_adapter(name)
            except MotionLLMError as error:
                raise MotionLLMError(f"adapter.{key}: {error}") from None
