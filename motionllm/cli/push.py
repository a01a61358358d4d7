"""`motionllm push RUN NAME`: a run, adapter, motion tokenizer or data set to the Hugging Face hub, with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import check_used, emit


def push(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="RUN|FOLDER", help="Run, adapter, merged model, motion tokenizer or set.")
    ],
    name: Annotated[str, typer.Argument(help="owner/name on the hub.")],
    data: Annotated[bool, typer.Option("--data", help="FOLDER is a data set in HumanML3D's layout.")] = False,
    private: Annotated[bool, typer.Option("--private", help="A repository that is created is private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to push to; default main.")] = None,
    base: Annotated[str | None, typer.Option(help="The base's name on the hub, where it is a folder here.")] = None,
    terms: Annotated[str | None, typer.Option(help="Terms of the data, for the card; default its TERMS.md.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help="As the hub abbreviates it: apache-2.0, cc-by-4.0 …")
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Results of suites for the card; default those in runs/eval; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this new folder instead, to look at it first.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Push to the hub: the files that readers need and a card made from results. `--out` only writes them."""
    import tempfile

    from motionllm import hub
    from motionllm.errors import MotionLLMError
    from motionllm.files import whole_folder

    if out is not None:
        check_used(ctx, "private revision", "with --out: nothing is pushed")
    if data:
        check_used(ctx, "base results", "with --data: they are of models")
    repository, there = hub.checked(name)
    if there and revision:
        raise MotionLLMError(f"{name} has a revision, and --revision is given; leave one of them out.")
    branch = revision or there
    if out is None:
        hub.check_push()
    elif out.exists():
        raise MotionLLMError(f"{out} is there already; give a folder that does not exist yet.")
    from motionllm.app.sharing import Wish, stage, stage_data
    from motionllm.runs.progress import Bar

    wish = Wish(repository, base, terms, licence, results or ())

    def write(folder: Path) -> str:
        if not data:
            return stage(what, folder, wish)
        with Bar(f"pack {Path(what).name}") as bar:
            stage_data(Path(what), folder, wish, bar.update)
        return "data set"

    kind: hub.Kind = "dataset" if data else "model"
    if out is not None:
        with whole_folder(out) as folder:
            called = write(folder)
        emit({"kind": called, "out": out, **_size(out)}, as_json)
        return
    with tempfile.TemporaryDirectory(prefix="motionllm-push-") as work:
        called = write(Path(work))
        commit = hub.push(Path(work), repository, kind, private, branch, f"Push {called}")
        size = _size(Path(work))
    result = {"kind": called, "name": f"{repository}@{commit}", "page": hub.address(repository, kind), **size}
    emit(result, as_json)


def _size(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {"files": len(files), "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1)}
