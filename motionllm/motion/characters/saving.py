"""Writes performances to files: the table of suffixes that `save` and the command line read."""

from __future__ import annotations

import os
from pathlib import Path

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import check_place, whole, write_file
from motionllm.motion.characters.bvh_saving import take
from motionllm.motion.characters.gltf_saving import animated, vrma
from motionllm.motion.characters.performance import Performance
from motionllm.motion.formats.bvh_writer import write_bvh

SUFFIXES = (".glb", ".vrma", ".bvh", ".usd", ".usda", ".usdc", ".fbx")


def save(performance: Performance, path: str | os.PathLike[str], name: str = "motion") -> None:
    """Write a performance by suffix: .glb (the character, animated), .vrma (VRM animation), .bvh (Y up, centimetres),
    .usd, .usda, .usdc (UsdSkel; extra `usd`), .fbx (by Blender; extra `bpy`).

    Raises MotionFileError for another suffix, where an extra is missing, or where the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MotionFileError(f"{path}: a character is saved as {', '.join(SUFFIXES)}, not '{path.suffix}'.")
    check_place(path)
    try:
        if suffix == ".bvh":
            write_bvh(take(performance), path)
        elif suffix in (".glb", ".vrma"):
            content = animated(performance, name) if suffix == ".glb" else vrma(performance, name)
            write_file(path, content.to_bytes())
        elif suffix == ".fbx":
            from motionllm.motion.characters.fbx_saving import write_fbx

            write_fbx(performance, path, name)
        else:
            from motionllm.motion.characters.usd_saving import write_usd

            with whole(path) as part:
                write_usd(performance, part, name)
    except MotionFileError:
        raise
    except MotionLLMError as error:
        raise MotionFileError(f"{path}: {error}") from None
