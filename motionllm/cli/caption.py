"""`motionllm caption CLIP…`: say what a person in a motion does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit
from motionllm.motion.formats import READERS


def caption(
    clip: Annotated[Path, typer.Argument(help=f"A motion file ({' '.join(READERS)}), or a folder of them.")],
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    out: Annotated[
        Path | None, typer.Option(help="For a folder: JSONL of {id, caption}, gone on with if it is there.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="For a folder: a list of the ids to caption, as val.txt.")] = None,
    n: Annotated[int, typer.Option("-n", help="Captions of each clip: the likeliest first, the others drawn.")] = 1,
    every: Annotated[
        float | None, typer.Option(help="Seconds: what is done when, told at each of so many; for clips of any length.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Clips decoded side by side.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Captions a clip, or every clip of a folder. Exit status 2 where clips of a folder could not be used."""
    import os

    from motionllm.captioning import caption_files, motion_files
    from motionllm.errors import MotionLLMError, about
    from motionllm.model import MotionLM
    from motionllm.motion import Motion
    from motionllm.results import made_by

    if n < 1 or batch < 1:
        raise MotionLLMError(f"-n {n} and --batch {batch} must be at least 1.")
    if os.path.isdir(clip):
        files = motion_files(clip, ids)
        target = out or Path("captions.jsonl")
        report = caption_files(lambda: MotionLM.load(model), made_by(model), files, target, batch, n, every)
        emit(report, as_json)
        if report["failed"]:
            raise typer.Exit(2)
        return
    motion = Motion.load(clip)
    lm = MotionLM.load(model)
    with about(clip):
        if every is not None:
            entries = lm.timeline(motion, every, max(every, 4.0))
            lines = [f"{a:5.1f} – {b:5.1f} s  {said}" for a, b, said in entries]
            emit({"clip": clip, "timeline": entries, "seconds": motion.duration}, as_json, "\n".join(lines))
            return
        captions = lm.captions(motion, n, seed=0)
    several = {"captions": captions} if n > 1 else {}
    result = {"clip": clip, "caption": captions[0], **several, "seconds": motion.duration}
    emit(result, as_json, text="\n".join(captions))
