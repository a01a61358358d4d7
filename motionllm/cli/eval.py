"""`motionllm eval captions | labels | builtin`: measure what a model says and makes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import CONTEXT, emit
from motionllm.errors import MotionLLMError

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


@app.command("builtin", context_settings=CONTEXT)
def builtin(
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    cases: Annotated[int, typer.Option(help="Held-out clips of the built-in corpus.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the corpus, the questions drawn and the sampling.")] = 0,
    best_of: Annotated[int, typer.Option(help="Motions made for each prompt; the model keeps one.")] = 8,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Measure the adapter's base without it: the baseline.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the whole result to.")] = None,
    as_json: Json = False,
) -> None:
    """Generation, captions and answers on held-out clips of the built-in corpus, each measured."""
    from motionllm.eval.corpus import adapter_hash, evaluate, save_result
    from motionllm.model import MotionLM
    from motionllm.tracking import Bar

    if out and out.is_dir():
        raise MotionLLMError(f"--out {out} is a folder; name the file to write.")
    adapter = None if untrained else adapter_hash(model)
    lm = MotionLM.untrained(model) if untrained else MotionLM.load(model)
    with Bar("eval builtin") as bar:
        measured = evaluate(lm, cases, seed, progress=bar.update, best_of=best_of)
    result = {"model": model, "untrained": untrained, "adapter": adapter, **measured}
    emit(result, as_json, text=_summary(result))
    if out:
        save_result(result, out)


def _summary(result: dict[str, Any]) -> str:
    made, said, answers = result["generation"], result["captions"], result["answers"]
    bounds = made["bounds"]
    rows = [f"{'motion has':16}{'model':>8}{'true':>8}{'tokens':>8}{'chance':>8}{'cases':>8}"]
    for kind, count in [
        *made["cases"].items(),
        ("asked", result["cases"]),
        ("all_of", result["cases"]),
        ("everything", result["cases"]),
    ]:
        shares = (made[kind], *(bounds[name].get(kind, 0.0) for name in ("true", "tokenized", "shuffled")))
        rows.append(f"{kind:16}" + "".join(f"{share:8.3f}" for share in shares) + f"{count:8}")
    rows += ["", f"{'caption names':16}{'model':>8}{'chance':>8}{'cases':>8}"]
    for kind, count in [*said["cases"].items(), ("all_of", result["cases"])]:
        rows.append(f"{kind:16}{said[kind]:8.3f}{said['bounds']['shuffled'].get(kind, 0.0):8.3f}{count:8}")
    rows += ["", f"{'answers right':16}{'model':>8}{'common':>8}{'cases':>8}"]
    for kind, found in [*answers["kinds"].items(), ("all", answers)]:
        rows.append(f"{kind:16}{found['right']:8.3f}{found['majority']:8.3f}{found['questions']:8}")
    rows += ["", f"failures {result['failures']}, seconds {result['seconds']}"]
    return "\n".join(rows)
