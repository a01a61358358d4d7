"""Writes clips to motion files: BVH, glTF, pages, arrays, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.files import whole_stream
from motionllm.motion.clip import METRES, Motion
from motionllm.motion.formats.bvh_writer import write_bvh
from motionllm.motion.formats.glb import write_glb
from motionllm.motion.formats.rigs import Rig
from motionllm.motion.show import pictures
from motionllm.motion.show.page import write_page
from motionllm.motion.skeleton import Skeleton


def save_bvh(motion: Motion, path: Path, units: str | None) -> None:
    """The file's own rotations, units and axes where the clip is still as its BVH had it, else solved rotations.

    units: "cm" or "m" for these units and Y up, the rig kept.
    """
    bvh = motion.as_bvh()
    write_bvh(bvh if units is None else bvh.standing(METRES[units]), path)


def save_glb(motion: Motion, path: Path, units: str | None) -> None:
    """A skinned body, in metres."""
    write_glb(motion.as_bvh(), path, motion.name or path.stem)


def save_page(motion: Motion, path: Path, units: str | None) -> None:
    """A self-contained page that plays the clip."""
    write_page([motion], path, [motion.name or path.stem])


def save_strip(motion: Motion, path: Path, units: str | None) -> None:
    """A picture of moments side by side."""
    pictures.strip(motion, path)


def save_animation(motion: Motion, path: Path, units: str | None) -> None:
    """A GIF or a video, by the suffix."""
    pictures.animate(motion, path)


def save_npy(motion: Motion, path: Path, units: str | None) -> None:
    """Joints alone, in the data set's unit; the skeleton and its rate are told by the shape."""
    skeleton = motion.skeleton
    if not isinstance(skeleton, Skeleton):
        raise MotionLLMError(".npy holds no joint names; save .canonical() or .body(), or use .npz or .bvh.")
    if abs(motion.fps - skeleton.fps) > 1e-6:
        raise MotionLLMError(
            f".npy holds no fps and {skeleton.name} means {skeleton.fps:g}; save .resample({skeleton.fps:g}), or .npz."
        )
    joints = (motion.joints / skeleton.unit).astype(np.float32)
    with whole_stream(path) as stream:
        np.save(stream, joints, allow_pickle=False)


def save_npz(motion: Motion, path: Path, units: str | None) -> None:
    """Joints in metres with their rate, names and hierarchy."""
    content: dict[str, Any] = {"joints": motion.joints, "fps": motion.fps, "names": np.array(motion.skeleton.joints)}
    content["parents"] = np.array(motion.skeleton.parents)
    if isinstance(motion.skeleton, Rig):
        content["offsets"] = motion.skeleton.offsets
    with whole_stream(path) as stream:
        np.savez_compressed(stream, **content)
