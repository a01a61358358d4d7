"""Formats of motion files: the table that loading, saving, help texts and error messages read.

A format is a row here and the function it names: a reader `(path, rig) → Motion`, or a writer `(motion, path, units)`;
`Motion.load` and `Motion.save` say what they are given. Functions are named, not imported, so that `motionllm --help`
loads no NumPy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

READERS = {
    ".bvh": "motionllm.motion.formats.readers:load_bvh",
    ".npy": "motionllm.motion.formats.readers:load_npy",
    ".npz": "motionllm.motion.formats.readers:load_npz",
    ".c3d": "motionllm.motion.formats.readers:load_c3d",
    ".glb": "motionllm.motion.formats.readers:load_gltf",
    ".gltf": "motionllm.motion.formats.readers:load_gltf",
    ".vrma": "motionllm.motion.formats.readers:load_gltf",
}
WRITERS = {
    ".bvh": "motionllm.motion.formats.writers:save_bvh",
    ".glb": "motionllm.motion.formats.writers:save_glb",
    ".html": "motionllm.motion.formats.writers:save_page",
    ".npy": "motionllm.motion.formats.writers:save_npy",
    ".npz": "motionllm.motion.formats.writers:save_npz",
    ".png": "motionllm.motion.formats.writers:save_strip",
    ".gif": "motionllm.motion.formats.writers:save_animation",
    ".mp4": "motionllm.motion.formats.writers:save_animation",
}


def imported(name: str) -> Callable[..., Any]:
    """The function that a row names as "module:function"."""
    module, _, function = name.partition(":")
    named: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return named
