"""Validation of a run: held-out examples, always the same, and samples of the motions that the model makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionllm.config import Recipe, Training
from motionllm.data.clips import Clips
from motionllm.data.examples import Examples
from motionllm.data.templates import Templates
from motionllm.lm.adapters import bare
from motionllm.lm.model import MotionLM
from motionllm.training.learner import as_for_decoding


def held_out(
    clips: Sequence[Clips], recipe: Recipe, templates: Templates, lm: MotionLM, rate: float
) -> dict[str, list[Any]]:
    """The same validation examples every time, by task; tasks that no validation clip serves are left out."""
    examples: dict[str, list[Any]] = {}
    served = {
        task: weight for task, weight in recipe.data.tasks.items() if any(len(source.serving(task)) for source in clips)
    }
    if not served or not recipe.train.validate_examples:
        return examples
    data = recipe.data.model_copy(update={"tasks": served, "corrupt": 0.0})
    stream = Examples(clips, data, templates, lm.renderer, rate, seed=0)
    for _ in range(recipe.train.validate_examples):
        task, tokens = stream.draw()
        examples.setdefault(task, []).append(tokens)
    return examples


def sample(lm: MotionLM, settings: Training, folder: Path, step: int) -> list[str]:
    """Files of the motions that the model makes of `train.samples` by now."""
    folder.mkdir(exist_ok=True)
    view = lm.with_model(bare(lm.model))
    files = []
    with as_for_decoding(lm.model):
        motions = view.generate_batch(settings.samples, seed=settings.seed, best_of=1, library=False)
    for number, motion in enumerate(motions, 1):
        files.append(folder / f"{step:06d}_{number}.bvh")
        motion.save(files[-1])
    return [file.name for file in files]
