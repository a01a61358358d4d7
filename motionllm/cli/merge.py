"""`motionllm merge RUN`: adapter and base as one model folder, for engines that do not support adapters with added
tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit


def merge(
    model: Annotated[str, typer.Argument(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    out: Annotated[Path, typer.Option(help="The folder to write; it must not exist.")] = Path("merged"),
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16, of the stored weights.")] = "float32",
    base: Annotated[str | None, typer.Option(help="Another place of the same base model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Merge an adapter into its base, read the result back and check that it answers the same."""
    from motionllm.lm.merging import merge as merge_adapter

    emit(merge_adapter(model, out, dtype, base), as_json)
