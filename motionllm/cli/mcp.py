"""`motionllm mcp`: tools for agents over the Model Context Protocol, on standard input and output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from motionllm.lm.model import MotionLM


def mcp(
    folder: Annotated[Path, typer.Option(help="The folder within which agents read and write files.")],
    model: Annotated[str, typer.Option(help="Adapter or run, a shipped adapter's name, or owner/name.")] = "default",
    megabytes: Annotated[float, typer.Option(min=0.001, max=100_000, help="Largest file that is read.")] = 20.0,
) -> None:
    """Serve tools to an agent: generate, caption, notate, convert and judge motion within a folder."""
    from motionllm import shipped
    from motionllm.agents import Desk, serve

    if not Path(model).is_dir():
        shipped.find("adapter", model)  # a wrong name is said now; the weights are read when they are first needed

    def load() -> MotionLM:
        from motionllm.lm.model import MotionLM

        return MotionLM.load(model)

    serve(Desk(folder, load, megabytes))
