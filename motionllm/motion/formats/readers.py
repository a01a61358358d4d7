"""Reads motion files into clips: BVH and glTF takes, arrays of joints or features, AMASS, C3D.

Everything that an array leaves open (skeleton, rate, unit) is decided here by its shape, or refused in one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError, listed
from motionllm.motion import budget, plausible
from motionllm.motion.clip import Motion, joints_of
from motionllm.motion.formats import rigs
from motionllm.motion.formats.amass import AMASS, RATES, amass_joints, is_amass
from motionllm.motion.formats.arrays import npz_keys, number, read_npy, read_npz
from motionllm.motion.formats.bvh import BVH
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.c3d_file import read_c3d
from motionllm.motion.formats.calibration import calibrate
from motionllm.motion.formats.gltf_reader import read_gltf
from motionllm.motion.formats.rigs import Rig, RigMap
from motionllm.motion.representation import REPRESENTATIONS, of_width
from motionllm.motion.skeleton import HUMANML3D, KIT, Skeleton


def load_bvh(path: Path, rig: Any) -> Motion:
    """A take with its rotations, on its own rig, or on HumanML3D's or KIT's skeleton where this package saved it.

    rig: HumanML3D joint → joint in the file, or a file that holds this, for a rig that is not recognised.
    """
    stated = rigs.load_rig(rig)
    if "fps" in stated:
        raise MotionLLMError("The rig description states fps, and a BVH has its own frame time; leave fps out.")
    return _clip_of(*calibrate(read_bvh(path), stated), path.stem)


def load_gltf(path: Path, rig: Any) -> Motion:
    """The first animation of a glTF file, on its own rig, or on HumanML3D's or KIT's skeleton. rig: as for BVH."""
    stated = rigs.load_rig(rig)
    if "fps" in stated:
        raise MotionLLMError("The rig description states fps, and a glTF animation has its own times; leave fps out.")
    bvh, given, own = read_gltf(path)
    clip = _clip_of(*calibrate(bvh, {**given, **stated}, own), path.stem)
    # On a skeleton that is known, joints say all: a BVH of them is solved, as those of other clips are.
    return replace(clip, bvh=None) if isinstance(clip.skeleton, Skeleton) else clip


def _clip_of(bvh: BVH, places: RigMap | None, notes: Sequence[str], name: str) -> Motion:
    """A take as a clip. places: its map to the 22 joints, if known."""
    skeleton: Skeleton | Rig | None = rigs.saved_skeleton(bvh.joints)
    if skeleton is None:
        skeleton = Rig(name, bvh.joints, bvh.parents, bvh.rest())
    else:
        places = None
    return Motion(joints_of(bvh, skeleton), bvh.fps, skeleton, name, (*bvh.notes, *notes), bvh, places)


def load_c3d(path: Path, rig: Any) -> Motion:
    """Joint centres, by their names."""
    _states_itself(rig, "A C3D file")
    joints, rate = read_c3d(path)
    return _seen(joints, rate, HUMANML3D, path.stem)


def _states_itself(rig: Any, file: str) -> None:
    """Refuse a rig description where it would be passed over."""
    if rigs.load_rig(rig):
        raise MotionLLMError(f"{file} has its own unit, axes and rate; leave the rig description out.")


def _seen(
    joints: np.ndarray, fps: float, skeleton: Skeleton | Rig, name: str, units: bool = False, up: str | None = None
) -> Motion:
    """A clip from arrays, after its body was checked, and corrected where that is certain (`plausible.inspect`)."""
    clip = Motion(joints, fps, skeleton, name)
    try:
        body = clip.body().joints
    except MotionLLMError:
        return clip  # the joints of this rig are not recognised: no body to check
    # As read, before float32: an array far from the origin keeps its bone lengths.
    seen = np.asarray(joints, np.float64) if skeleton is HUMANML3D else body
    findings = plausible.inspect(seen, clip.fps, units, up)
    if not findings.notes and not up:
        return clip
    return replace(clip, joints=findings.apply(np.asarray(joints, np.float64)), notes=findings.notes)


def load_npy(path: Path, rig: Any) -> Motion:
    """Joints or features; the shape says which, and of which skeleton."""
    unit, up, rate = rigs.about_array(rig)
    array = read_npy(path)
    joints, skeleton, fps = _joints_from(array, rate)
    return _seen(_scaled(joints, unit), fps, skeleton, path.stem, units=array.ndim == 3 or array.shape[1] == 66, up=up)


def _scaled(joints: np.ndarray, unit: float) -> np.ndarray:
    return joints if unit == 1 else joints * unit


def _joints_from(array: np.ndarray, fps: float | None) -> tuple[np.ndarray, Skeleton, float]:
    """Joints in metres, their skeleton and rate, recognised by the array's shape. fps: the rate, where it is known."""
    shape = array.shape
    if array.dtype.kind not in "fiu":
        raise MotionLLMError(f"holds {array.dtype} values; joints or features are numbers: save them as a float array.")
    if len(shape) == 2 and shape[1] in (r.dim for r in REPRESENTATIONS.values()):
        representation = of_width(shape[1])
        skeleton, fps = representation.skeleton, fps or representation.fps
        budget.check_clip(len(array), len(skeleton.joints), fps)
        bad = ~np.isfinite(array)
        if bad.any():
            raise MotionLLMError(
                f"features contain NaN or infinity (first at frame {np.argwhere(bad)[0][0]}); repair or drop it."
            )
        if np.abs(array).max() > budget.LARGEST:
            raise MotionLLMError("features hold numbers too large to be metres; repair or drop the clip.")
        return _metres(representation.decode(array), skeleton), skeleton, fps
    if shape[1:] in ((22, 3), (66,)):
        joints, skeleton = array.reshape(len(array), 22, 3), HUMANML3D
    elif shape[1:] == (52, 3):  # SMPL-H: the body's 22, then the fingers
        joints, skeleton = array[:, :22], HUMANML3D
    elif shape[1:] == (21, 3):
        joints, skeleton = _metres(array, KIT), KIT
    else:
        raise MotionLLMError(
            f"has shape {shape}, but motion is joints (T, 22, 3), (T, 66), (T, 52, 3) or KIT-ML's (T, 21, 3), "
            f"or features (T, {'), (T, '.join(str(r.dim) for r in REPRESENTATIONS.values())}); save it as one of them."
        )
    fps = fps or skeleton.fps
    budget.check_clip(len(array), len(skeleton.joints), fps)
    return joints, skeleton, fps


def _metres(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Joints in metres: KIT-ML's files are in millimetres, recognised because no body is 20 m high."""
    with np.errstate(invalid="ignore"):
        extent = np.ptp(joints.astype(np.float64), axis=1)
    return joints * skeleton.unit if extent.max(where=np.isfinite(extent), initial=0) > 20 else joints


def load_npz(path: Path, rig: Any) -> Motion:
    """Joints with their rate, names and hierarchy, or an AMASS file."""
    keys = npz_keys(path)
    if is_amass(keys):
        _states_itself(rig, "An AMASS file")
        return _seen(*amass_joints(read_npz(path, AMASS)), HUMANML3D, path.stem)
    unit, up, rate = rigs.about_array(rig)
    if "joints" not in keys:
        has = listed(keys, 20) or "nothing"
        raise MotionFileError(
            f"{path}: has no 'joints' array (nor AMASS's 'poses' and 'trans'), only {has:.300}; "
            "save the joints under that name."
        )
    content = read_npz(path, ("joints", "fps", *RATES, "names", "parents", "offsets"))
    fps = rate or next((number(content[key], key) for key in ("fps", *RATES) if key in content), None)
    if fps is not None:
        budget.check_rate(fps)
    stated = fps is not None
    joints, skeleton, fps = _skeleton_of(content, fps, path.stem)
    if fps is None:
        if isinstance(skeleton, Rig):
            raise MotionLLMError("has no 'fps', the frames per second; save it beside the joints.")
        fps = skeleton.fps
    budget.check_clip(len(joints), joints.shape[1], fps)
    clip = _seen(_scaled(joints, unit), fps, skeleton, path.stem, units=True, up=up)
    if stated:
        return clip
    return replace(
        clip, notes=(*clip.notes, f"{plausible.CHECK}it does not say its frame rate (fps), and is read at {fps:g}")
    )


def _skeleton_of(
    content: Mapping[str, np.ndarray], fps: float | None, name: str
) -> tuple[np.ndarray, Skeleton | Rig, float | None]:
    """The joints of an archive, in metres, their skeleton (a known one, or the file's own), and the rate if known."""
    joints = content["joints"]
    if "names" not in content:
        return _joints_from(joints, fps)
    if joints.dtype.kind not in "fiu" or joints.ndim != 3 or joints.shape[2] != 3:
        raise MotionLLMError(
            f"'joints' is {joints.dtype} of shape {joints.shape}, not numbers (frames, joints, 3); correct them."
        )
    count = joints.shape[1]
    budget.check_joints(count)
    names = _names(content["names"], count)
    for known in (HUMANML3D, KIT):
        if names == known.joints:
            return joints, known, fps
    missing = [key for key in ("parents", "offsets") if key not in content]
    if missing:
        raise MotionLLMError(f"has joint names of its own but no {' and no '.join(missing)}; save them too.")
    offsets = content["offsets"]
    if offsets.dtype.kind not in "fiu" or offsets.shape != (count, 3) or not np.isfinite(offsets).all():
        raise MotionLLMError(f"'offsets' is not finite numbers of shape ({count}, 3), one row a joint; correct them.")
    if np.abs(offsets).max() > budget.LARGEST:
        raise MotionLLMError("'offsets' hold numbers too large to be metres; correct them.")
    return joints, Rig(name, names, _parents(content["parents"], count), offsets), fps


def _names(values: np.ndarray, count: int) -> tuple[str, ...]:
    if values.dtype.kind not in "US" or values.shape != (count,):
        raise MotionLLMError(
            f"'names' is {values.dtype} of shape {values.shape}, not the texts of {count} joints; correct them."
        )
    try:
        texts = np.ascontiguousarray(values.astype("=U"))  # raises UnicodeError for bytes that are not ASCII
        points = texts.view(np.uint32)
        if (points > 0x10FFFF).any() or ((points >= 0xD800) & (points < 0xE000)).any():  # not valid in a Python string
            raise ValueError
        names = texts.tolist()
    except ValueError:
        raise MotionLLMError("'names' holds what is no text; save the names as NumPy text.") from None
    if len(set(names)) < count or not all(0 < len(name) <= 200 for name in names):
        raise MotionLLMError(
            "'names' gives a joint no name, one of over 200 characters, or two joints the same; correct them."
        )
    return tuple(names)


def _parents(values: np.ndarray, count: int) -> tuple[int, ...]:
    """Each joint's parent, which must precede it (this also rules out cycles); -1 for the root."""
    if values.dtype.kind not in "fiu" or values.shape != (count,):
        raise MotionLLMError(
            f"'parents' is {values.dtype} of shape {values.shape}, not one index a joint, of {count}; correct it."
        )
    depth = [0] * count
    parents = []
    for j, value in enumerate(values.tolist()):
        if not (value == -1 or 0 <= value < j) or value != int(value):
            raise MotionLLMError(
                f"'parents' gives joint {j} the parent {value:g}; it is an earlier joint's index, or -1 for the root. "
                "Put the joints in the order of their hierarchy."
            )
        parents.append(int(value))
        depth[j] = depth[parents[j]] + 1 if value >= 0 else 1
    budget.check_joints(count, max(depth))
    return tuple(parents)
