"""`motionllm eval SUITE`, `eval report | train-embedder | captions | labels | builtin | edits | queries`: figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from motionllm.cli import CONTEXT, Engine, check_used, emit
from motionllm.errors import MotionLLMError, unknown


class _Suites(typer.core.TyperGroup):
    """A first word that is not a verb is a suite: `motionllm eval captioning` is `motionllm eval suite captioning`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = ["suite", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Suites,
    add_completion=False,
    no_args_is_help=True,
    help="Measure a model by a suite (`motionllm eval SUITE --model RUN`), or captions, labels, motion and answers.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("suite", context_settings=CONTEXT)
def suite(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SUITE", help="A suite: a file, or the name of one in eval/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. data.path=FOLDER.")] = None,
    model: Annotated[
        str, typer.Option(help="Adapter or run, untrained:NAME, baseline:random or baseline:nearest.")
    ] = "default",
    engine: Engine = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default runs/eval/SUITE/MODEL.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a model by a suite; run again, a killed run resumes."""
    from motionllm.config import Suite, find_recipe

    settings = find_recipe("eval", name, overrides or [], Suite)  # before torch, which takes seconds to load
    if model.startswith(("baseline:", "untrained:")) or settings.task == "tokenizer":
        check_used(ctx, "engine", f"for {'this task' if settings.task == 'tokenizer' else model}: no model is served")
    from motionllm.eval.report import markdown, tables
    from motionllm.eval.suites import run_suite
    from motionllm.runs.progress import Bar

    # abspath: the name of "." or of "runs/mine/.." is that of a folder, and never leads out of runs/eval.
    folder = out or Path("runs", "eval", settings.name, Path(os.path.abspath(model)).name.replace(":", "-") or "model")
    with Bar(f"eval {settings.name}") as bar:
        result = run_suite(settings, model, folder, bar.update, engine or ())
    emit({"out": folder, **result}, as_json, text=f"{markdown(tables([result]))}\n{folder / 'result.json'}")


@app.command("report", context_settings=CONTEXT)
def report(
    results: Annotated[list[Path], typer.Argument(help="Results of suites, or folders of them.")],
    into: Annotated[
        Path | None, typer.Option(help="Markdown file to write; a page with the marks keeps what is around them.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="HTML file to write, with sample motions.")] = None,
    published: Annotated[Path | None, typer.Option(help="YAML of others' numbers; default the shipped one.")] = None,
    as_json: Json = False,
) -> None:
    """One table of results: rows that can be compared, published numbers beside them."""
    from motionllm.eval import report as reporting

    rows = reporting.read_results(results)
    tables = reporting.tables([result for _, result in rows], reporting.published(published))
    text = reporting.markdown(tables)
    if into:
        reporting.write_markdown(text, into)
    if page:
        reporting.write_html(tables, [file for file, _ in rows], page)
    emit({"results": len(rows), "tables": tables}, as_json, text=text)


@app.command("train-embedder", context_settings=CONTEXT)
def train_embedder(
    recipe: Annotated[str, typer.Argument(help="An embedder's recipe: a file, or the name of one in eval/embedders/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. train.minutes=5.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default runs/embedders/NAME.")] = None,
    as_json: Json = False,
) -> None:
    """Train a text–motion embedder to measure with; its own retrieval scores come first."""
    from motionllm.config import EmbedderRecipe, find_recipe

    name = recipe if Path(recipe).is_file() else recipe.removeprefix("embedders/")
    settings = find_recipe("embedders", name, overrides or [], EmbedderRecipe)
    from motionllm.eval import embedder as embedding
    from motionllm.runs.progress import Bar

    folder = out or Path("runs", "embedders", settings.name)
    with Bar(f"embedder {settings.name}") as bar:
        embedder = embedding.train_embedder(settings, folder, bar.update)
    scores = {name: score for name, score in embedder.scores.items() if isinstance(score, dict)}
    rows = [f"{'held out':24}{'clips':>6}{'among':>6}  text to motion R@1 R@2 R@3  motion to text R@1 R@2 R@3"]
    rows += [
        f"{name:24}{score['clips']:6}{score['group']:6}"
        + "".join(
            f"  {'':14}" + " ".join(f"{r:.2f}" for r in score[way]) for way in ("text_to_motion", "motion_to_text")
        )
        for name, score in scores.items()
    ]
    result = {"embedder": folder, "id": embedder.id, "version": settings.version, "scores": embedder.scores}
    emit(result, as_json, text="\n".join([*rows, f"{folder}, version {settings.version}, {embedder.id}"]))


@app.command("captions", context_settings=CONTEXT)
def captions(
    ctx: typer.Context,
    predictions: Annotated[Path, typer.Option(help="JSONL of {id, caption}, or JSON of {id: caption}.")],
    references: Annotated[Path, typer.Option(help="JSONL of {id, captions}, or JSON of {id: captions}; the same ids.")],
    bertscore: Annotated[
        Path | None, typer.Option(help="Folder of an encoder (roberta-large …): BERTScore too.")
    ] = None,
    layer: Annotated[
        int, typer.Option(min=0, max=1000, help="Of the encoder, for BERTScore; 17 is roberta-large's.")
    ] = 17,
    similarity: Annotated[
        Path | None,
        typer.Option(help="Folder of a sentence encoder: similarity in meaning by it, not by the packaged one."),
    ] = None,
    baseline: Annotated[
        float | None, typer.Option(help="BERTScore F of unrelated texts, to rescale by; 0.83122575 for roberta-large.")
    ] = None,
    as_json: Json = False,
) -> None:
    """BLEU-1..4, ROUGE-L and CIDEr of captions against references, on raw and on normalised text."""
    from motionllm.eval.text import caption_scores, read_predictions, read_references

    if bertscore is None:
        check_used(ctx, "layer baseline", "without --bertscore")
    predicted, true = read_predictions(predictions), read_references(references)
    result = caption_scores(predicted, true, similarity)
    columns = [column for column in ("raw", "normalised", "lemmatised") if column in result]
    rows = [f"{'':12}" + "".join(f"{column:>12}" for column in columns)]
    rows += [f"{name:12}" + "".join(f"{result[c][name]:12.4f}" for c in columns) for name in result["raw"]]
    rows += [f"{name:12}{value:12.4f}" for name, value in result.get("meteor", {}).items()]
    rows += [f"{name:12}{value:12.4f}" for name, value in result.get("similarity", {}).items()]
    if bertscore:
        from motionllm.eval.bertscore import bert_score

        result["bertscore"] = bert_score([predicted[n] for n in true], list(true.values()), bertscore, layer, baseline)
        rows += ["", *(f"{name:12}{value:12.4f}" for name, value in result["bertscore"].items())]
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
        f"{key:12} accuracy {row['accuracy']:.3f}  strict {row['strict']:.3f}  chance {row['chance']:.3f}  "
        f"of {row['clips']} clips, {len(row['classes'])} classes"
        for key, row in result["labels"].items()
    ]
    rows += [f"{key:12} not judged: {why}" for key, why in result.get("unjudged", {}).items()]
    emit(result, as_json, text="\n".join([*rows, f"{'all at once':12} accuracy {result['all']:.3f}"]))


@app.command("builtin", context_settings=CONTEXT)
def builtin(
    ctx: typer.Context,
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    cases: Annotated[int, typer.Option(min=1, max=1_000_000, help="Held-out clips of the built-in corpus.")] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the corpus, the questions drawn and the sampling.")
    ] = 0,
    best_of: Annotated[
        int, typer.Option(min=1, max=1000, help="Motions made for each prompt; the model keeps one.")
    ] = 8,
    judge: Annotated[
        str | None, typer.Option(help="Keep the best by these judges instead, with weights: facts,physics=0.2 …")
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Measure the adapter's base without it: the baseline.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the whole result to.")] = None,
    as_json: Json = False,
) -> None:
    """Generation, captions and answers on held-out clips of the built-in corpus, each measured."""
    import tempfile

    from motionllm.config import Suite, find_recipe
    from motionllm.eval.contestants import Model
    from motionllm.eval.suites import run_suite
    from motionllm.files import check_place, read_json, write_json
    from motionllm.runs.progress import Bar

    if out:  # said now, not after hours
        check_place(out)
    if best_of == 1:
        check_used(ctx, "judge", "with --best-of 1: it chooses among several motions")
    words = [f"cases={cases}", f"seed={seed}", f"data.seed={seed}", f"best_of={best_of}"]
    settings = find_recipe("eval", Path("builtin"), words, Suite)
    entered = Model(f"untrained:{model}" if untrained else model, settings)
    entered.sampling = entered.lm.sampling.but(best_of=best_of)  # as the adapter is used
    ranking = None
    if judge:
        from motionllm.feedback.ranking import Ranking

        entered.judge = ranking = Ranking.of(entered.lm, judge)
    with tempfile.TemporaryDirectory() as folder, Bar("eval builtin") as bar:
        measured = run_suite(settings, entered, Path(folder), bar.update)
        seconds = read_json(Path(folder) / "time.json")
    result = {"model": model, "untrained": untrained, "adapter": measured["adapter"], "judges": judge}
    protocol = ("suite", "split", "cases", "cases_hash", "seed", "batch")
    result |= {name: measured["protocol"][name] for name in protocol}
    own = ("decoding", "base", "motion_tokenizer", "versions", "failures", "generation", "captions", "answers")
    result |= {name: measured[name] for name in own} | {"seconds": seconds, "examples": measured["examples"]}
    if ranking:
        result["judged"] = ranking.told(best_of)
    emit(result, as_json, text=_summary(result))
    if out:
        write_json(out, result)


@app.command("edits", context_settings=CONTEXT)
def edits(
    ctx: typer.Context,
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    data: Annotated[
        Path | None, typer.Option(help="A data set in HumanML3D's layout; default: the built-in corpus' test split.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of the data set: train, val or test.")] = "val",
    cases: Annotated[int, typer.Option(min=1, max=100_000, help="Requests, of all kinds in turn.")] = 200,
    requests: Annotated[
        Path | None,
        typer.Option(help="JSONL of requests in free words, in place of drawn ones: see eval/requests."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the requests and the sampling.")] = 0,
    best_of: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Motions made of what is generated, of which one is kept.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only changes of this kind, as a result names it; again for another.")
    ] = None,
    plans: Annotated[bool, typer.Option("--plans", help="The plans alone: no motion is made.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the whole result to, each case with it.")] = None,
    as_json: Json = False,
) -> None:
    """Changes of held-out motions asked for in words: made or not, and all else kept or not."""
    from motionllm.config import Source
    from motionllm.eval import edits as editing
    from motionllm.files import check_place, write_json
    from motionllm.lm.model import MotionLM
    from motionllm.lm.results import adapter_hash
    from motionllm.runs.progress import Bar

    if out:  # said now, not after hours
        check_place(out)
    if data is None:
        check_used(ctx, "split", "without --data: the built-in corpus' test split is measured on")
    if plans:
        check_used(ctx, "best_of", "with --plans: no motion is made")
    if requests:
        for option in ("cases", "kind"):
            check_used(ctx, option, "with --requests: these are made")
    many = Source(kind="builtin").clips if requests else 20 * max(cases, 100)
    source = Source(kind="humanml3d", path=str(data)) if data else Source(kind="builtin", clips=many)
    for one in kind or ():
        if one not in editing.JUDGED:
            raise MotionLLMError(unknown("kind of change", one, editing.JUDGED))
    clips = editing.clips_of(source, split if data else "test")
    asked = (
        editing.written(requests, clips) if requests else editing.requests(clips, cases, seed, kind or editing.JUDGED)
    )
    lm = MotionLM.load(model)
    with Bar("eval edits") as bar:
        measured = editing.evaluate(lm, asked, seed, not plans, lm.sampling.but(best_of=best_of), progress=bar.update)
    result = {"model": model, "adapter": adapter_hash(model), "data": str(data or "builtin"), "seed": seed, **measured}
    figures = {name: value for name, value in result.items() if name != "cases"}
    emit(figures, as_json, text=editing.table(result))
    if out:
        write_json(out, result)


@app.command("queries", context_settings=CONTEXT)
def queries(
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    cases: Annotated[int, typer.Option(min=1, max=100_000, help="Questions, of all kinds in turn.")] = 500,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the questions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the whole result to, each case with it.")] = None,
    as_json: Json = False,
) -> None:
    """Questions in words that training never saw: whether the model writes the query that answers them."""
    from motionllm.eval import queries as querying
    from motionllm.files import check_place, write_json
    from motionllm.lm.model import MotionLM
    from motionllm.lm.results import adapter_hash
    from motionllm.runs.progress import Bar

    if out:  # said now, not after hours
        check_place(out)
    lm = MotionLM.load(model)
    with Bar("eval queries") as bar:
        measured = querying.evaluate(lm, querying.questions(cases, seed), progress=bar.update)
    result = {"model": model, "adapter": adapter_hash(model), "seed": seed, **measured}
    emit({name: value for name, value in result.items() if name != "cases"}, as_json, text=querying.table(result))
    if out:
        write_json(out, result)


def _summary(result: dict[str, Any]) -> str:
    generation, captions, answers = result["generation"], result["captions"], result["answers"]
    bounds = generation["bounds"]
    rows = [f"{'motion has':16}{'model':>8}{'true':>8}{'tokens':>8}{'chance':>8}{'cases':>8}"]
    for kind, count in [
        *generation["cases"].items(),
        ("asked", result["cases"]),
        ("facts", result["cases"]),
        ("all_of", result["cases"]),
        ("everything", result["cases"]),
    ]:
        shares = (generation[kind], *(bounds[name].get(kind, 0.0) for name in ("true", "tokenized", "shuffled")))
        rows.append(f"{kind:16}" + "".join(f"{share:8.3f}" for share in shares) + f"{count:8}")
    rows += ["", f"{'caption names':16}{'model':>8}{'chance':>8}{'cases':>8}"]
    for kind, count in [*captions["cases"].items(), ("all_of", result["cases"])]:
        rows.append(f"{kind:16}{captions[kind]:8.3f}{captions['bounds']['shuffled'].get(kind, 0.0):8.3f}{count:8}")
    rows += ["", f"{'answers right':16}{'model':>8}{'common':>8}{'cases':>8}"]
    for kind, row in [*answers["kinds"].items(), ("all", answers)]:
        rows.append(f"{kind:16}{row['right']:8.3f}{row['majority']:8.3f}{row['questions']:8}")
    rows += ["", f"failures {result['failures']}, seconds {result['seconds']}"]
    return "\n".join(rows)
