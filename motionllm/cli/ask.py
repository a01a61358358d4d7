"""`motionllm ask CLIP QUESTION`: a question about a motion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit, read_clip
from motionllm.motion.formats import READERS


def ask(
    clip: Annotated[Path, typer.Argument(help=f"A motion file: {' '.join(READERS)}.")],
    question: Annotated[str, typer.Argument(help='For example "Which hand is raised?"')],
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Answer a question about a motion."""
    from motionllm.errors import about, check_text
    from motionllm.lm.model import MotionLM

    check_text(question, "The question")
    motion = read_clip(clip)
    lm = MotionLM.load(model)
    with about(clip):
        answer = lm.ask(motion, question)
    emit({"clip": clip, "question": question, "answer": answer}, as_json, text=answer)
