"""Names that other tools give the 22 joints, and the rigs that this package wrote with them.

Such a rig is HumanML3D's own body: its joints are taken as they are when it is read, where those of another tool's rig
are placed anew as far as its collars, spine or pelvis stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionllm.motion.formats.rigs import RigMap, helpers
from motionllm.motion.skeleton import HUMANML3D

ROOT = "root"  # the joint that Unreal has above the pelvis
_LIMBS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
_MIDDLE = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")


def _table(middle: str, limbs: str, pattern: str, sides: tuple[str, str]) -> dict[str, str]:
    names = dict(zip(_MIDDLE, middle.split(), strict=True))
    for side, written in zip(("left", "right"), sides, strict=True):
        parts = zip(_LIMBS, limbs.split(), strict=True)
        names |= {f"{side}_{place}": pattern.format(side=written, part=part) for place, part in parts}
    return names


NAMES = {
    "mixamo": _table(
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck mixamorig:Head",
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "mixamorig:{side}{part}",
        ("Left", "Right"),
    ),
    "unreal": _table(
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh calf foot ball clavicle upperarm lowerarm hand",
        "{part}_{side}",
        ("l", "r"),
    ),
}
# The joints whose bones lie along an axis in the rest pose that is written (`clip.rest_pose`): those of the legs, the
# trunk and the head that share their parent with no other. Bones of rigs that people make lean a little.
_STRAIGHT = [j for j in range(1, 16) if HUMANML3D.parents.count(HUMANML3D.parents[j]) == 1]


def written(joints: Sequence[str], parents: Sequence[int], rest: np.ndarray | None) -> RigMap | None:
    """The map of a rig that this package wrote with the names of a scheme; None for any other rig.

    rest: (J, 3) offsets, any unit, Y up, which tell it from that tool's own; None where the file says who wrote it.
    """
    scheme = next((names for names in NAMES.values() if set(names.values()) <= set(joints)), None)
    if scheme is None:
        return None
    added = helpers(joints, parents)
    where = [list(joints).index(scheme[place]) for place in HUMANML3D.joints]
    others = set(range(len(joints))) - set(where) - added
    if any(parents[j] >= 0 or joints[j] != ROOT for j in others):
        return None
    for j, above in zip(where[1:], HUMANML3D.parents[1:], strict=True):
        parent = parents[j]
        while parent in added:
            parent = parents[parent]
        if parent != where[above]:
            return None
    if rest is not None:
        bones = np.asarray(rest, np.float64)[[where[j] for j in _STRAIGHT]]
        lengths = np.linalg.norm(bones, axis=-1, keepdims=True)
        lean = np.abs(bones - HUMANML3D.axes[_STRAIGHT] * lengths).max()
        if lean > 1e-5 * lengths.max() or not lengths.all():
            return None
    places = dict(zip(HUMANML3D.joints, where, strict=True))
    return RigMap(places, tuple(places[f"spine{n}"] for n in (1, 2, 3)), whole=True)
