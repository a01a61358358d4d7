"""`motionllm data retarget MOTION --to CHARACTER --out FILE`: motion on the user's own character."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit, read_clip


def retarget(
    clip: Annotated[Path, typer.Argument(help="A motion file.")],
    to: Annotated[Path, typer.Option(help="The character: .glb, .vrm or .bvh.")],
    out: Annotated[Path, typer.Option(help="What to write: .glb .vrma .bvh .usd .usda .usdc .fbx.")],
    mapping: Annotated[
        Path | None,
        typer.Option("--map", help="YAML that names the character's joints, where they are not recognised."),
    ] = None,
    rig: Annotated[Path | None, typer.Option(help="The same for the motion's rig.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second, 30, 60 or 120 say; by default the clip's.")
    ] = None,
    root_motion: Annotated[
        str, typer.Option(help="The path on the hips, on the root above them, or left out: hips, root or in-place.")
    ] = "hips",
    loop: Annotated[
        bool, typer.Option("--loop", help="The stretch that repeats, its end led to its beginning.")
    ] = False,
    lock_feet: Annotated[bool, typer.Option("--lock-feet", help="Standing feet do not slide.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put a motion on a character of your own: proportions kept, feet on the floor, knees and elbows as hinges."""
    from motionllm.errors import MotionLLMError, about, unknown
    from motionllm.motion.characters import ROOT_MOTIONS, read_character, save, with_root
    from motionllm.motion.characters import retarget as put

    if root_motion not in ROOT_MOTIONS:
        raise MotionLLMError(unknown("root motion", root_motion, ROOT_MOTIONS))
    character = read_character(to, mapping)
    character = with_root(character) if root_motion == "root" else character
    with about(clip):
        motion = read_clip(clip, rig)
        performance = put(motion.lock_feet() if lock_feet else motion, character, fps, loop).rooted(root_motion)
    save(performance, out, clip.stem)
    values = {"out": out, "frames": len(performance), "fps": performance.fps, "joints": len(performance.moving)}
    emit({**values, "seconds": len(performance) / performance.fps}, as_json, str(out))
