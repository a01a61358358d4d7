"""`motionllm improve RUN RECIPE key=value …`: trains an adapter on its own judged results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import check_resumed, check_used, emit


def improve(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(help="The adapter to go on from: a run, a folder, a shipped name.")
    ] = None,
    recipe: Annotated[str | None, typer.Argument(help="A recipe: a file, or a shipped name: improve-builtin …")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. method=dpo.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run from where it was killed.")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="With --resume: go on though the adapter or data have changed.")
    ] = False,
    compare: Annotated[list[Path] | None, typer.Option(help="Print a table of finished runs, one a --compare.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Sample, judge and train, and measure beside the reward what training never saw; see RUN/report.md."""
    from motionllm.config import Improvement, check_recipe, find_recipe, load_recipe
    from motionllm.errors import MotionLLMError

    if compare:
        check_used(ctx, "run recipe overrides out resume changed", "with --compare: finished runs are compared")
        from motionllm.feedback.report import compare as table
        from motionllm.files import read_json

        results = [read_json(folder / "result.json", "result of `motionllm improve`") for folder in compare]
        for folder, result in zip(compare, results, strict=True):
            if not {"name", "method", "weights", "before", "after", "gamed", "holds"} <= result.keys():
                raise MotionLLMError(f"{folder / 'result.json'} is no result of `motionllm improve`; name such runs.")
        emit({"results": results}, as_json, text=table(results))
        return
    if resume and (run or recipe):
        raise MotionLLMError("--resume RUN goes on with a run by its own recipe; give nothing else.")
    if not resume and not (run and recipe):
        raise MotionLLMError("Give the adapter to go on from and a recipe, or --resume RUN.")
    check_resumed(resume, out, changed)
    words = overrides or []
    settings = (
        load_recipe(resume / "recipe.yaml", words, Improvement, saved=True)
        if resume
        else find_recipe("recipes", recipe or "", words, Improvement)
    )
    from motionllm.feedback.improve import improve as run_improvement

    if not resume:
        settings = check_recipe(settings.model_dump() | {"start": run}, Improvement, recipe or "")
    folder = resume or out or Path("runs") / settings.name
    result = run_improvement(settings, folder, resume=resume is not None, changed=changed)
    emit(result, as_json, text=f"{result['verdict']}\n{result['run']}/report.md")
