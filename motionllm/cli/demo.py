"""`motionllm demo`: everything once, in minutes, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier demo in it is replaced.")] = Path("demo"),
    minutes: Annotated[float | None, typer.Option(help="Minutes of fine-tuning; default: the recipe's 4.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Generate, caption and answer before and after a short fine-tuning, and write a page about it."""
    from motionllm import shipped
    from motionllm.app.demo import run
    from motionllm.config import load_recipe

    overrides = [] if minutes is None else [f"train.minutes={minutes}"]
    result = run(load_recipe(shipped.find("recipes", "demo"), overrides), out)
    spent = "\n".join(f"{seconds:7.1f} s  {what}" for what, seconds in result["seconds"].items())
    emit(result, as_json, f"{spent}\n{result['total_seconds']:7.1f} s  in all\n{result['page'].resolve()}")
