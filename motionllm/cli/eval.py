"""`motionllm eval captions | labels | builtin`: measure what a model says and makes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import CONTEXT, emit

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure captions, labels, motion and answers.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("captions", context_settings=CONTEXT)
def captions(
    predictions: Annotated[Path, typer.Option(help="JSONL of {id, caption}.")],
    references: Annotated[Path, typer.Option(help="JSONL of {id, captions}, the same ids.")],
    as_json: Json = False,
) -> None:
    """BLEU-1..4, ROUGE-L and CIDEr of captions against references, on raw and on normalised text."""
    from motionllm.eval.text import caption_scores, read_predictions, read_references

    result = caption_scores(read_predictions(predictions), read_references(references))
    rows = [f"{'':12}{'raw':>8}{'normalised':>12}"]
    rows += [f"{name:12}{value:8.4f}{result['normalised'][name]:12.4f}" for name, value in result["raw"].items()]
    emit(result, as_json, text="\n".join(rows))


@app.command("labels", context_settings=CONTEXT)
def labels(
    predictions: Annotated[Path, typer.Option(help="JSONL of {id, caption}, as `motionllm caption FOLDER` writes.")],
    data: Annotated[Path, typer.Option(help="A data set in HumanML3D's layout with labels.jsonl.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    as_json: Json = False,
) -> None:
    """How often captions name the labels (content, style …) of a split's clips."""
    from motionllm.eval.labels import labels_of_folder
    from motionllm.eval.text import read_predictions

    result = labels_of_folder(read_predictions(predictions), data, split)
    rows = [
        f"{result['clips']} clips, {result['missing']} without a prediction, {result['exact']:.3f} said to the letter"
    ]
    rows += [
        f"{key:12} accuracy {found['accuracy']:.3f}  strict {found['strict']:.3f}  chance {found['chance']:.3f}"
        for key, found in result["labels"].items()
    ]
    emit(result, as_json, text="\n".join([*rows, f"{'all at once':12} accuracy {result['all']:.3f}"]))
