"""`motionllm tokenizer train | report`: motion tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import CONTEXT, emit

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train a motion tokenizer, or report on one.")


@app.command("train", context_settings=CONTEXT)
def train(
    recipe: Annotated[str, typer.Argument(help="A tokenizer recipe: a file, or the name of a shipped one.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. train.minutes=10.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default runs/NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Trains a motion tokenizer and reports on it."""
    from motionllm import shipped
    from motionllm.config import TokenizerRecipe, load_recipe
    from motionllm.data.prepare import train_tokenizer
    from motionllm.tracking import Bar

    settings = load_recipe(shipped.find("tokenizer", recipe), overrides or [], TokenizerRecipe)
    folder = out or Path("runs") / settings.name
    with Bar(f"tokenizer {settings.name}") as bar:
        result = train_tokenizer(settings, folder, bar.update)
    emit({"tokenizer": folder, **result}, as_json)


@app.command("report", context_settings=CONTEXT)
def report(
    tokenizer: Annotated[str, typer.Argument(help="A tokenizer's folder, or the name of a shipped one.")],
    data: Annotated[Path, typer.Option(help="A data set in HumanML3D's layout.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures reconstruction error (MPJPE), perplexity and dead codes on a data set."""
    from motionllm.data.sources import humanml3d
    from motionllm.tokenizer import MotionTokenizer
    from motionllm.tokenizer.train import report as measure

    loaded = MotionTokenizer.load(tokenizer)
    emit(measure(loaded, [sample.load() for sample in humanml3d(data, split)]), as_json)
