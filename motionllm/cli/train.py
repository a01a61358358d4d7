"""`motionllm train RECIPE key=value …`: fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import check_resumed, check_used, emit


def train(
    ctx: typer.Context,
    recipe: Annotated[str | None, typer.Argument(help="A recipe: a file, or the name of a shipped one.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. train.minutes=10.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run from its checkpoint.")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="With --resume: go on though data, base or tokenizer have changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would take: parameters, steps, tokens, memory.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fine-tune a base model on motion and text; the adapter is written to RUN/adapter."""
    from motionllm.config import find_recipe, load_recipe
    from motionllm.errors import MotionLLMError

    if resume and recipe and "=" in recipe:  # an override: the run has its recipe
        overrides, recipe = [recipe, *(overrides or [])], None
    if (recipe is None) == (resume is None):
        raise MotionLLMError("Give a recipe to start a run, or --resume RUN to go on with one.")
    check_resumed(resume, out, changed)
    words = overrides or []
    settings = (
        load_recipe(resume / "recipe.yaml", words, saved=True)
        if resume
        else find_recipe("recipes", recipe or "", words)
    )
    run = resume or out or Path("runs") / settings.name
    if dry_run:
        check_used(ctx, "changed", "with --dry-run")
        from motionllm.training.plan import plan

        result = plan(settings, run)
        emit(result, as_json, _lines(result))
        return
    from accelerate import PartialState

    from motionllm.training.train import train as run_training

    result = run_training(settings, run, resume=resume is not None, changed=changed)
    if PartialState().is_main_process:  # only one of several processes prints
        emit(result, as_json)


def _lines(result: dict[str, Any]) -> str:
    from motionllm.cli.data import mixture_lines

    counts, epoch = result["parameters"], result["data"]["epoch"]
    memory = "\n".join(f"  {term:<12} {size:8.2f} GiB" for term, size in result["memory_gib"].items())
    pace = result["seconds_per_step"]
    time = "not estimated"
    if pace is not None:
        minutes = f"about {result['minutes']:.1f} minutes here"
        time = f"{minutes}, {pace:.2g} seconds per step (estimated from two of the layers)"
    return (
        f"{mixture_lines(result['data'])}\n"
        f"parameters: {counts['base'] / 1e6:.1f} M in the base; {counts['trained'] / 1e6:.2f} M are trained, with "
        f"{counts['rows']} motion rows\n"
        f"steps: at most {result['steps']}, {result['examples']} examples, {result['epochs']:.1f} epochs of "
        f"{epoch['tokens']} tokens\ntime: {time}\nmemory of each process (activations estimated):\n{memory}"
    )
