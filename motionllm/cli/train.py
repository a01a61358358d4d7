"""`motionllm train RECIPE key=value …`: fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit


def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe: a file, or the name of a shipped one.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. train.minutes=10.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run from its checkpoint.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fine-tunes a base model on motion and text; the adapter is then in RUN/adapter."""
    from motionllm import shipped
    from motionllm.config import load_recipe
    from motionllm.errors import MotionLLMError
    from motionllm.train import train as run_training

    if resume and recipe and "=" in recipe:  # an override: the run has its recipe
        overrides, recipe = [recipe, *(overrides or [])], None
    if (recipe is None) == (resume is None):
        raise MotionLLMError("Give a recipe to start a run, or --resume RUN to go on with one.")
    path = resume / "recipe.yaml" if resume else shipped.find("recipes", recipe or "")
    settings = load_recipe(path, overrides or [])
    emit(run_training(settings, resume or out or Path("runs") / settings.name, resume=resume is not None), as_json)
