"""`motionllm data encode`: a recipe's clips encoded before it trains, by shards on many machines or processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import check_used, emit


def encode(
    ctx: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe: a file, or the name of a shipped one.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, as for `train`.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="3/64: the third of 64 shards alone, as a job of a cluster's array.")
    ] = None,
    shards: Annotated[int | None, typer.Option(min=1, max=4096, help="All of so many shards, on this machine.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Processes, each with a shard at a time.")] = 1,
    check: Annotated[
        bool, typer.Option("--check", help="Encode nothing; exit status 2 where shards are missing or damaged.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Run folder of a recipe whose motion tokenizer was trained.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Encode the clips that a recipe trains on, ahead of `train` and by shards. What is encoded is not done again."""
    from motionllm.config import find_recipe
    from motionllm.errors import MotionLLMError

    if sum((shard is not None, shards is not None, check)) > 1:
        raise MotionLLMError("--shard is one of many, --shards all of them, --check none; give one of the three.")
    if shard is not None or check:
        check_used(ctx, "workers", "with --shard or --check: one process does that")
    settings = find_recipe("recipes", recipe, overrides or [])
    from motionllm.data.encoding import Encoding
    from motionllm.data.shards import Shard
    from motionllm.runs.progress import Bar

    own = Shard.parse(shard) if shard is not None else None
    encoding = Encoding(settings, out or Path("runs") / settings.name, own.of if own else shards)
    if own:
        with Bar(f"encode shard {own}") as bar:
            rows = encoding.one(own.number, bar.update)
    else:
        if check:
            encoding.check()
        else:
            with Bar("encode") as bar:
                encoding.all(workers, bar.update)
        rows = encoding.report()
    emit({"splits": rows}, as_json, "\n".join(map(_line, rows)) or "no split has so many shards: nothing to do")


def _line(row: dict[str, Any]) -> str:
    of = f"shard {row['shard']}/{row['shards']}" if "shard" in row else f"shards 1 to {row['shards']}"
    return f"{row['source']} {row['split']}, {of}: {row['clips']} clips"
