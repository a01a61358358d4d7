"""`motionllm caption CLIP…`: say what a person in a motion does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit


def caption(
    clip: Annotated[Path, typer.Argument(help="A motion file (.bvh .npy .npz .c3d), or a folder of them.")],
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    out: Annotated[Path | None, typer.Option(help="JSONL of {id, caption}, for a folder or a list.")] = None,
    ids: Annotated[Path | None, typer.Option(help="For a folder: a list of the ids to caption, as val.txt.")] = None,
    batch: Annotated[int, typer.Option(help="Clips decoded side by side.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Captions a clip, or every clip of a folder."""
    from motionllm.captioning import caption_files, motion_files
    from motionllm.errors import about
    from motionllm.model import MotionLM
    from motionllm.motion import Motion

    if clip.is_dir():
        files = motion_files(clip, ids)
        emit(caption_files(MotionLM.load(model), files, out or Path("captions.jsonl"), batch), as_json)
        return
    motion = Motion.load(clip)
    lm = MotionLM.load(model)
    with about(clip):
        said = lm.caption(motion)
    emit({"clip": clip, "caption": said, "seconds": motion.duration}, as_json, text=said)
