"""AMASS files: SMPL poses applied to the target skeleton by forward kinematics, without a body model.

An AMASS `.npz` holds `poses` (T, 66 or more; axis-angle, pelvis first), `trans` (T, 3; metres, Z up) and
`mocap_framerate`. The body shape (`betas`) is not used: every clip gets HumanML3D's target bone lengths, as the
uniform-skeleton step would give it anyway. Compared with joints of the fitted body, bone directions differ by a few
degrees.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.motion import budget
from motionllm.motion.formats.arrays import number
from motionllm.motion.formats.bvh import Z_UP
from motionllm.motion.skeleton import HUMANML3D, SMPL_BONES

RATES = ("mocap_framerate", "mocap_frame_rate")
AMASS = ("poses", "trans", *RATES)  # the arrays that are read
_BLOCK = 10_000  # frames rotated at a time


def is_amass(keys: Collection[str]) -> bool:
    """Whether the arrays of an .npz are those of an AMASS file."""
    return "poses" in keys and "trans" in keys


def frame_rate(content: Mapping[str, np.ndarray]) -> float:
    """Frames per second of an AMASS file's arrays. Raises MotionLLMError where they do not state it."""
    rate = next((number(np.asarray(content[key]), key) for key in RATES if key in content), 0.0)
    if not rate > 0:
        raise MotionLLMError(f"has no {RATES[0]}; an AMASS file says its frames per second: add the array.")
    budget.check_rate(rate)
    return rate


def amass_joints(content: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Joints (T, 22, 3), metres, Y up, and frames per second, from an AMASS file's arrays. Raises MotionLLMError where
    an array is missing, of a wrong shape, not finite, or too long.
    """
    poses, trans = (np.asarray(content[key]) for key in ("poses", "trans"))
    rate = frame_rate(content)
    if poses.ndim != 2 or poses.shape[1] < 66 or trans.shape != (len(poses), 3) or not len(poses):
        raise MotionLLMError(
            f"poses {poses.shape} and trans {trans.shape} are not (T, 66 or more) and (T, 3); export the take again."
        )
    if poses.dtype.kind not in "fiu" or trans.dtype.kind not in "fiu":
        raise MotionLLMError(
            f"poses are {poses.dtype} and trans {trans.dtype}; both are numbers: export the take again."
        )
    budget.check_clip(len(poses), 22, rate)
    poses = poses[:, :66]
    if not (np.isfinite(poses).all() and np.isfinite(trans).all()):
        raise MotionLLMError("poses or trans contain NaN or infinity; repair or drop the take.")
    if max(np.abs(poses).max(), np.abs(trans).max()) > budget.LARGEST:
        raise MotionLLMError("poses or trans hold numbers too large to be angles or metres; repair or drop the take.")
    joints = np.empty((len(poses), 22, 3))
    for start in range(0, len(poses), _BLOCK):
        block = slice(start, start + _BLOCK)
        angles = poses[block].astype(np.float64).reshape(-1, 3)
        turns = Rotation.from_rotvec(angles).as_matrix().reshape(-1, 22, 3, 3)
        world, placed = np.empty_like(turns), joints[block]
        for j, parent in enumerate(HUMANML3D.parents):
            if parent < 0:
                world[:, j], placed[:, j] = turns[:, j], trans[block]
            else:
                world[:, j] = world[:, parent] @ turns[:, j]
                placed[:, j] = placed[:, parent] + world[:, parent] @ SMPL_BONES[j]
    return joints @ Z_UP.T, rate
