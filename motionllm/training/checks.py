"""Checks of a fine-tuning recipe before anything is loaded or encoded, for the run and for `--dry-run`; and the commits
of what it names on the hub, and the whole paths of what it names here.
"""

from __future__ import annotations

from typing import Any

import torch

from motionllm import hub, shipped
from motionllm.config import Recipe, placed
from motionllm.data.clips import Clips
from motionllm.data.content import called
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError, lacking
from motionllm.lm.adapters import find_adapter
from motionllm.lm.backend import longest
from motionllm.lm.model import MotionLM
from motionllm.runs import checkpoint
from motionllm.training.learner import compiler


def pinned(recipe: Recipe) -> Recipe:
    """The recipe with the commit of each name of the hub (base, motion tokenizer, adapter to start from, data sets) and
    the whole path of each folder and file, so that a saved one stays with what was trained, wherever it is read. Names
    of what ships stay. Raises MotionLLMError where a name cannot be found on the hub.
    """
    recipe = placed(recipe)
    recipe.model.base = hub.pinned(recipe.model.base)
    recipe.model.tokenizer = shipped.pinned("tokenizer", recipe.model.tokenizer)
    for key in ("start", "text"):
        if name := getattr(recipe.adapter, key):
            setattr(recipe.adapter, key, shipped.pinned("adapter", name))
    for source in recipe.data.sources:
        if source.path:
            source.path = hub.pinned(source.path, "dataset") if source.kind == "humanml3d" else source.path
    return recipe


def check(recipe: Recipe) -> None:
    """Raise MotionLLMError for a recipe that needs something missing: a package, a file, a task without a phrasing."""
    tracker, quantization = recipe.train.report_to, recipe.model.quantization
    if tracker != "none" and (why := lacking(tracker)):
        raise MotionLLMError(
            f"train.report_to={tracker} needs the package {tracker}, and {why}; run `pip install "
            f"{tracker}`, or leave the key out; the run's log.jsonl holds the same figures."
        )
    if quantization and (why := lacking("bitsandbytes")):
        raise MotionLLMError(
            f"model.quantization={quantization} needs the package bitsandbytes, and {why}; run "
            "`pip install bitsandbytes`, or leave the key out."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if recipe.train.compile is True and (missing := compiler(device)):
        raise MotionLLMError(
            f"train.compile=true needs {missing}, which is not here; install it, or leave the key out: the run is then "
            "the same, not compiled."
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


def check_context(recipe: Recipe, config: Any) -> None:
    """Raises MotionLLMError where examples may be longer than the base reads (its configuration)."""
    if recipe.data.max_length > (most := longest(config)):
        raise MotionLLMError(
            f"data.max_length is {recipe.data.max_length}, and {recipe.model.base} reads {most} tokens; set "
            f"data.max_length={most} or less."
        )


def made_of(recipe: Recipe, lm: MotionLM, clips: dict[str, list[Clips]]) -> dict[str, str]:
    """What a run is made of besides its recipe, by name: the same run needs the same. clips: by split, each source."""
    probe = [{"role": "user", "content": "A person walks."}, {"role": "assistant", "content": "It walks."}]
    content = {
        called(source, split): own.content
        for split in clips
        for source, own in zip(recipe.data.sources, clips[split], strict=True)
    }
    return content | {
        "the weights of the base": checkpoint.frozen(lm.model),
        "the motion tokenizer": lm.vocab.tokenizer_hash,
        "the base's tokenizer or chat template": str(lm.renderer(probe).ids),
    }
