"""Names of other tools for the package's own 22 joints: a clip is exported as Mixamo or Unreal call its joints."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError, unknown
from motionllm.motion.clip import METRES, Motion
from motionllm.motion.formats.bvh import BVH
from motionllm.motion.formats.bvh_writer import write_bvh
from motionllm.motion.formats.glb import write_glb
from motionllm.motion.formats.schemes import NAMES, ROOT
from motionllm.motion.skeleton import HUMANML3D


def save_named(motion: Motion, path: str | os.PathLike[str], scheme: str, units: str | None = None) -> None:
    """Write a clip of the 22 joints as .bvh or .glb with the names of a scheme: see `named`, and `Motion.save`."""
    path = Path(path)
    if path.suffix.lower() not in (".bvh", ".glb"):
        raise MotionFileError(f"{path}: --names is for .bvh and .glb, not '{path.suffix}'.")
    if units is not None and (units not in METRES or path.suffix.lower() != ".bvh"):
        raise MotionLLMError(f"units are {' or '.join(METRES)}, for .bvh; not '{units}' for '{path.suffix}'.")
    if motion.places is not None and motion.places.whole:  # the 22 joints under other names: they take these
        motion = motion.body()
    bvh = named(motion.as_bvh(), scheme)
    if path.suffix.lower() == ".glb":
        write_glb(bvh, path, motion.name or path.stem)
    else:
        write_bvh(bvh if units is None else bvh.standing(METRES[units]), path)


def named(bvh: BVH, scheme: str) -> BVH:
    """A take of the 22 joints with the names of a scheme. Unreal's has a joint `root` on the floor above the pelvis.

    Raises MotionLLMError for a scheme that is not in NAMES, or joints that are not HumanML3D's.
    """
    if scheme not in NAMES:
        raise MotionLLMError(unknown("naming", scheme, NAMES))
    names = NAMES[scheme]
    if not set(HUMANML3D.joints) <= set(bvh.joints):
        raise MotionLLMError(
            "names are given to the 22 joints of HumanML3D, and this rig has its own; add --canonical, "
            "or put the motion on a character with `motionllm data retarget`."
        )
    helper = {f"{place}_base": f"{name}_base" for place, name in names.items()}
    renamed = replace(bvh, joints=tuple({**names, **helper}.get(joint, joint) for joint in bvh.joints))
    if scheme != "unreal":
        return renamed
    channels = ("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation")
    return replace(
        renamed,
        joints=(ROOT, *renamed.joints),
        parents=(-1, *(parent + 1 for parent in renamed.parents)),
        offsets=np.concatenate([np.zeros((1, 3)), renamed.offsets]),
        ends={joint + 1: end for joint, end in renamed.ends.items()},
        channels=(channels, *renamed.channels),
        values=np.concatenate([np.zeros((len(bvh), 6)), renamed.values], axis=1),
    )
