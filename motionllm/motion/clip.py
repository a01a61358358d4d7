"""A clip of motion: joint positions over time, and every file it comes from or goes to.

The rotations of a BVH file stay with the clip as long as its joints are the file's, so a
take that is loaded, cut or resampled keeps its twists when it is saved as BVH again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError, listed
from motionllm.files import whole_stream
from motionllm.motion import budget, features, feet, pictures, plausible, rigs
from motionllm.motion.amass import AMASS, amass_joints, is_amass
from motionllm.motion.arrays import npz_keys, number, read_npy, read_npz
from motionllm.motion.bvh import BVH, read_bvh, sample_times, solve_bvh, write_bvh
from motionllm.motion.c3d_file import read_c3d
from motionllm.motion.glb import write_glb
from motionllm.motion.page import write_page
from motionllm.motion.rigs import Rig, RigMap
from motionllm.motion.skeleton import HUMANML3D, KIT, Skeleton

READ = (".bvh", ".npy", ".npz", ".c3d")  # suffixes
WRITTEN = (".bvh", ".glb", ".html", ".npy", ".npz", ".png", ".gif", ".mp4")

_METRES = {"cm": 0.01, "m": 1.0}  # per unit


@dataclass(frozen=True, eq=False)
class Motion:
    """A clip of one body.

    joints: (T, J, 3) float32, metres, Y up. fps: frames a second. skeleton: HUMANML3D (22 joints), KIT
    (21) or the file's own Rig. name: what the clip is called. notes: what was decided on reading (units,
    up axis, frames dropped; "mended: …" and "check: …" where the body was not as a body is).
    bvh, places: the BVH file the joints come from and its map to the 22 joints.
    Raises MotionLLMError for joints of a wrong shape, without frames, or not finite.
    """

    joints: np.ndarray
    fps: float = HUMANML3D.fps
    skeleton: Skeleton | Rig = HUMANML3D
    name: str = ""
    notes: tuple[str, ...] = ()
    bvh: BVH | None = None
    places: RigMap | None = None

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            joints = np.asarray(self.joints).astype(np.float32)
        expected = (len(self.skeleton.joints), 3)
        if joints.ndim != 3 or joints.shape[1:] != expected or len(joints) == 0:
            raise MotionLLMError(
                f"Joints have shape {joints.shape}, but {self.skeleton.name} motion is (frames, {expected[0]}, 3)."
            )
        bad = ~np.isfinite(joints)
        if bad.any():
            frame, joint, _ = np.argwhere(bad)[0]
            raise MotionLLMError(
                f"Joint positions contain NaN or infinity (first at frame {frame}, {self.skeleton.joints[joint]}); "
                "repair or cut the clip."
            )
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise MotionLLMError(f"fps is {self.fps}; frames a second above 0 are needed.")
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "fps", float(self.fps))

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def duration(self) -> float:
        """Seconds: frames / fps."""
        return len(self) / self.fps

    @staticmethod
    def load(path: str | os.PathLike[str], rig: Mapping[str, Any] | str | os.PathLike[str] | None = None) -> Motion:
        """Read .bvh, .npy, .npz or .c3d.

        .npy: joints (T, 22, 3), (T, 66) or (T, 52, 3) at 20 fps, KIT-ML's (T, 21, 3) at 12.5 fps (millimetres,
        or metres where the body is that small), features (T, 263) or (T, 251). .npz: `joints`, and `fps`; or an
        AMASS file, whose poses are put on the target skeleton. .c3d: joint centres, by name (`c3d_file`).
        rig: for a BVH whose joints are not recognised, HumanML3D joint → joint in the file (`rigs.load_rig`).
        Raises MotionFileError, naming the file, for whatever is missing, cut short or not finite.
        """
        path = Path(path)
        readers: dict[str, Callable[[], Motion]] = {
            ".bvh": lambda: _load_bvh(path, rigs.load_rig(rig)),
            ".npy": lambda: _load_npy(path),
            ".npz": lambda: _load_npz(path),
            ".c3d": lambda: _load_c3d(path),
        }
        if path.suffix.lower() not in readers:
            raise MotionFileError(f"{path}: motion is read from .bvh, .npy, .npz and .c3d, not '{path.suffix}'.")
        try:
            if not path.is_file():
                raise MotionFileError(
                    f"{path}: is a folder; give one file." if path.is_dir() else f"{path}: no such file."
                )
            return readers[path.suffix.lower()]()
        except MotionFileError:
            raise
        except OSError as error:  # a name too long for the file system, a folder that may not be entered
            raise MotionFileError(f"{path}: cannot be read ({error.strerror or error}).") from None
        except MotionLLMError as error:
            raise MotionFileError(f"{path}: {error}") from None

    def save(self, path: str | os.PathLike[str], units: str | None = None) -> None:
        """Write by suffix: .bvh (centimetres), .glb (skinned body, metres), .html (a page that plays it),
        .npy (joints), .npz (joints, fps), .png, .gif, .mp4 (pictures).

        .npy keeps no fps and no names: it takes the 22 joints at 20 fps or KIT-ML's 21 at 12.5 fps, in the data
        set's own unit. A clip still as its BVH file had it is saved with that file's rotations, units and axes;
        units "cm" or "m" saves it as BVH in these and Y up, the rig kept, where other programs take it so.
        Raises MotionFileError for another suffix or a folder that cannot be written.
        """
        path = Path(path)
        if units is not None and (units not in _METRES or path.suffix.lower() != ".bvh"):
            raise MotionLLMError(f"units are {' or '.join(_METRES)}, for .bvh; not '{units}' for '{path.suffix}'.")
        writers: dict[str, Callable[[], None]] = {
            ".bvh": lambda: write_bvh(
                self._as_bvh() if units is None else self._as_bvh().standing(_METRES[units]), path
            ),
            ".glb": lambda: write_glb(self._as_bvh(), path, self.name or path.stem),
            ".html": lambda: write_page([self], path, [self.name or path.stem]),
            ".npy": lambda: self._save_npy(path),
            ".npz": lambda: self._save_npz(path),
            ".png": lambda: pictures.strip(self, path),
            ".gif": lambda: pictures.animate(self, path),
            ".mp4": lambda: pictures.animate(self, path),
        }
        if path.suffix.lower() not in writers:
            raise MotionFileError(f"{path}: motion is saved as {', '.join(WRITTEN)}, not '{path.suffix}'.")
        try:
            writers[path.suffix.lower()]()
        except MotionFileError:
            raise
        except MotionLLMError as error:
            raise MotionFileError(f"{path}: {error}") from None

    def resample(self, fps: float) -> Motion:
        """The clip at another rate, from its first frame on; the duration is kept to a frame.

        Positions are interpolated linearly (rotations spherically where the BVH file's are kept), without a
        low-pass filter, as the field's data sets do: from 120 to 20 fps every sixth frame is taken as it is.
        What a body does above 10 Hz (impacts, marker jitter) then aliases: 0.5 to 2 mm on average on CMU takes.
        """
        if not (np.isfinite(fps) and fps > 0):
            raise MotionLLMError(f"fps is {fps}; frames a second above 0 are needed.")
        if abs(fps - self.fps) < 1e-6 * self.fps:
            return self
        if fps > self.fps:  # more frames than there are: as many as could be read
            budget.check_clip(int(min(self.duration * fps, 1e12)), self.joints.shape[1], fps)
        bvh = self._own_bvh()
        if bvh is not None:
            bvh = bvh.resample(fps)
            return replace(self, joints=_joints_of(bvh, self.skeleton), fps=fps, bvh=bvh)
        times = sample_times(len(self), self.fps, fps) * self.fps
        low = np.minimum(np.floor(times + 1e-9).astype(int), len(self) - 1)
        high = np.minimum(low + 1, len(self) - 1)
        weight = np.clip(times - low, 0, 1)[:, None, None]
        joints = self.joints[low] * (1 - weight) + self.joints[high] * weight
        return replace(self, joints=joints, fps=fps, bvh=None)

    def body(self) -> Motion:
        """The same clip as HumanML3D's 22 joints, with the body's own bone lengths, place and fps.

        Raises MotionLLMError where the rig's joints are not recognised.
        """
        if self.skeleton is HUMANML3D:
            return replace(self, bvh=None, places=None)
        if self.skeleton is KIT:
            joints = rigs.kit_to_humanml3d(self.joints.astype(np.float64))
        else:
            positions, bvh, places = self.joints.astype(np.float64), self._own_bvh(), self.places
            ends = {} if bvh is None else bvh.end_sites()
            try:
                if places is None:
                    lengths = np.zeros(positions.shape[1])
                    for j, parent in enumerate(self.skeleton.parents):
                        if parent >= 0:
                            lengths[j] = np.median(np.linalg.norm(positions[:, j] - positions[:, parent], axis=-1))
                    places = rigs.map_rig(self.skeleton.joints, self.skeleton.parents, lengths, tuple(ends), {})
                joints = rigs.to_humanml3d(positions, ends, places)
            except MotionLLMError as error:
                raise MotionLLMError(f"{self.name}: {error}" if self.name else str(error)) from None
        return replace(self, joints=joints, skeleton=HUMANML3D, bvh=None, places=None)

    def canonical(self) -> Motion:
        """22 joints at 20 fps on the target skeleton, lowest point at y = 0, first root at the XZ origin facing +Z."""
        clip = self.body().resample(HUMANML3D.fps)
        try:
            return replace(clip, joints=features.canonical(clip.joints))
        except MotionLLMError as error:
            raise MotionLLMError(f"{self.name}: {error}" if self.name else str(error)) from None

    def lock_feet(self) -> Motion:
        """The clip as 22 joints whose standing feet do not slide (`feet.lock_feet`), at its own fps."""
        clip = self.body()
        return replace(clip, joints=feet.lock_feet(clip.joints, clip.fps))

    @property
    def leg(self) -> float:
        """Metres of thigh and shin together, the median over the clip; the body's size is kept as this."""
        joints = self.body().joints
        bones = (np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) for a, b in ((2, 5), (5, 8)))
        return float(sum(np.median(bone) for bone in bones))

    def scaled(self, leg: float) -> Motion:
        """The clip with a body whose thigh and shin together are `leg` metres long; the path is scaled alike.

        Raises MotionLLMError for a length not within 0.1 to 3 m.
        """
        if not 0.1 <= leg <= 3:
            raise MotionLLMError(f"A leg of {leg:g} m was asked for; thigh and shin are 0.1 to 3 m long.")
        clip = self.body()
        return replace(clip, joints=clip.joints * (leg / max(clip.leg, 1e-6)))

    def features(self) -> np.ndarray:
        """HumanML3D's features (T − 1, 263) float32 of the clip at 20 fps (`features.joints_to_features`).

        Raises MotionLLMError for a clip of fewer than 2 frames at 20 fps.
        """
        joints = features.check_joints(self.body().resample(HUMANML3D.fps).joints, least=2)
        return features.joints_to_features(joints)

    def _own_bvh(self) -> BVH | None:
        """The BVH this clip comes from, if its joints are still the file's."""
        if self.bvh is None or len(self.bvh) != len(self) or abs(self.bvh.fps - self.fps) > 1e-6 * self.fps:
            return None
        same = np.abs(_joints_of(self.bvh, self.skeleton) - self.joints) <= 1e-5
        return self.bvh if same.all() else None

    def _as_bvh(self) -> BVH:
        own = self._own_bvh()
        if own is not None:
            return own
        skeleton = self.skeleton
        rest = skeleton.offsets if isinstance(skeleton, Rig) else rest_pose(skeleton, self.joints)
        hinges = rigs.hinges(skeleton.joints, self.places)
        return solve_bvh(self.joints, skeleton.joints, skeleton.parents, rest, self.fps, hinges=hinges)

    def _save_npy(self, path: Path) -> None:
        skeleton = self.skeleton
        if not isinstance(skeleton, Skeleton):
            raise MotionLLMError(".npy holds no joint names; save .canonical() or .body(), or use .npz or .bvh.")
        if abs(self.fps - skeleton.fps) > 1e-6:
            raise MotionLLMError(
                f".npy holds no fps and {skeleton.name} means {skeleton.fps:g}; "
                f"save .resample({skeleton.fps:g}), or .npz."
            )
        joints = (self.joints / skeleton.unit).astype(np.float32)
        with whole_stream(path) as stream:
            np.save(stream, joints, allow_pickle=False)

    def _save_npz(self, path: Path) -> None:
        content: dict[str, Any] = {"joints": self.joints, "fps": self.fps, "names": np.array(self.skeleton.joints)}
        content["parents"] = np.array(self.skeleton.parents)
        if isinstance(self.skeleton, Rig):
            content["offsets"] = self.skeleton.offsets
        with whole_stream(path) as stream:
            np.savez_compressed(stream, **content)


def rest_pose(skeleton: Skeleton, joints: np.ndarray) -> np.ndarray:
    """(J, 3) bone directions of a T-pose facing +Z: arms out, legs down, feet ahead.

    Bones that share a parent (hips, collars, the spine between them) point as they do on average over
    the clip `joints` (T, J, 3), so that a body whose bones are rigid there is exact.
    """
    axes, parents = skeleton.axes, skeleton.parents
    # KIT-ML names the sides of its skeleton the other way round; a rest axis of +x is then the body's right.
    mirror = 1.0 if axes[skeleton.face[1]][0] > 0 else -1.0
    rest = axes * [mirror, 1.0, 1.0]
    for chain in skeleton.chains:
        if chain[0] != 0:  # an arm: everything after the collar goes on as the collar does
            rest[list(chain[2:])] = rest[chain[1]]
    for j in range(len(parents)):
        children = [k for k, parent in enumerate(parents) if parent == j]
        if len(children) < 2:
            continue
        bones = {k: joints[:, k].astype(np.float64) - joints[:, j] for k in children}
        left = next(k for k in children if rest[k][0] > 0)
        right = next(k for k in children if rest[k][0] < 0)
        rise = next(k for k in children if rest[k][1] > 0)
        x = _unit(bones[left] - bones[right])
        y = _unit(bones[rise] - (bones[rise] * x).sum(-1, keepdims=True) * x)
        frame = np.stack([x, y, np.cross(x, y)], axis=-2)
        for k in children:
            rest[k] = np.einsum("tab,tb->ta", frame, _unit(bones[k])).mean(0)
    return rest


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _joints_of(bvh: BVH, skeleton: Skeleton | Rig) -> np.ndarray:
    """The file's joints, those of `skeleton` in its order where the file has helpers beside them."""
    positions = bvh.positions()
    if skeleton.joints == bvh.joints:
        return positions
    return positions[:, [bvh.joints.index(name) for name in skeleton.joints]]


def _load_bvh(path: Path, rig: dict[str, Any]) -> Motion:
    bvh, places, notes = rigs.calibrate(read_bvh(path), rig)
    skeleton: Skeleton | Rig | None = rigs.saved_skeleton(bvh.joints)
    if skeleton is None:
        skeleton = Rig(path.stem, bvh.joints, bvh.parents, bvh.rest())
    else:
        places = None
    return Motion(_joints_of(bvh, skeleton), bvh.fps, skeleton, path.stem, (*bvh.notes, *notes), bvh, places)


def _load_c3d(path: Path) -> Motion:
    joints, rate = read_c3d(path)
    return _seen(joints, rate, HUMANML3D, path.stem)


def _seen(
    joints: np.ndarray, fps: float, skeleton: Skeleton | Rig, name: str, units: bool = False, up: str | None = None
) -> Motion:
    """A clip read from arrays whose body was looked at, and mended where that is certain (`plausible.inspect`)."""
    clip = Motion(joints, fps, skeleton, name)
    try:
        body = clip.body().joints
    except MotionLLMError:
        return clip  # a rig whose joints are not recognised has no body yet
    # As read, before float32: an array far from the origin keeps its bones.
    seen = np.asarray(joints, np.float64) if skeleton is HUMANML3D else body
    findings = plausible.inspect(seen, clip.fps, units, up)
    if not findings.notes:
        return clip
    return replace(clip, joints=findings.apply(np.asarray(joints, np.float64)), notes=findings.notes)


def _load_npy(path: Path) -> Motion:
    array = read_npy(path)
    joints, skeleton = _joints_from(array, None)
    return _seen(joints, skeleton.fps, skeleton, path.stem, units=array.ndim == 3 or array.shape[1] == 66)


def _joints_from(array: np.ndarray, fps: float | None) -> tuple[np.ndarray, Skeleton]:
    """Joints in metres and their skeleton, told by the array's shape. fps: None for the skeleton's own rate."""
    shape = array.shape
    if array.dtype.kind not in "fiu":
        raise MotionLLMError(f"holds {array.dtype} values; joints or features are numbers: save them as a float array.")
    if len(shape) == 2 and shape[1] in (HUMANML3D.dim, KIT.dim):
        skeleton = features.skeleton_of_dim(shape[1])
        budget.check_clip(len(array), len(skeleton.joints), fps or skeleton.fps)
        bad = ~np.isfinite(array)
        if bad.any():
            raise MotionLLMError(
                f"features contain NaN or infinity (first at frame {np.argwhere(bad)[0][0]}); repair or drop it."
            )
        if np.abs(array).max() > budget.LARGEST:
            raise MotionLLMError("features hold numbers too large to be metres; repair or drop the clip.")
        return _metres(features.features_to_joints(array), skeleton), skeleton
    if shape[1:] in ((22, 3), (66,)):
        joints, skeleton = array.reshape(len(array), 22, 3), HUMANML3D
    elif shape[1:] == (52, 3):  # SMPL-H: the body's 22, then the fingers
        joints, skeleton = array[:, :22], HUMANML3D
    elif shape[1:] == (21, 3):
        joints, skeleton = _metres(array, KIT), KIT
    else:
        raise MotionLLMError(
            f"has shape {shape}, but motion is joints (T, 22, 3), (T, 66), (T, 52, 3) or KIT-ML's (T, 21, 3), "
            "or features (T, 263) or (T, 251); save it as one of them."
        )
    budget.check_clip(len(array), len(skeleton.joints), fps or skeleton.fps)
    return joints, skeleton


def _metres(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Joints in metres: KIT-ML's files count in millimetres, and no body is 20 m high."""
    with np.errstate(invalid="ignore"):
        extent = np.ptp(joints.astype(np.float64), axis=1)
    return joints * skeleton.unit if extent.max(where=np.isfinite(extent), initial=0) > 20 else joints


def _load_npz(path: Path) -> Motion:
    keys = npz_keys(path)
    if is_amass(keys):
        joints, rate = amass_joints(read_npz(path, AMASS))
        return _seen(joints, rate, HUMANML3D, path.stem)
    if "joints" not in keys:
        has = listed(keys, 20) or "nothing"
        raise MotionFileError(
            f"{path}: has no 'joints' array (nor AMASS's 'poses' and 'trans'), only {has:.300}; "
            "save the joints under that name."
        )
    content = read_npz(path, ("joints", "fps", "names", "parents", "offsets"))
    fps = number(content["fps"], "fps") if "fps" in content else None
    if fps is not None:
        budget.check_rate(fps)
    joints, skeleton = _skeleton_of(content, fps, path.stem)
    if fps is None:
        if isinstance(skeleton, Rig):
            raise MotionLLMError("has no 'fps', the frames per second; save it beside the joints.")
        fps = skeleton.fps
    budget.check_clip(len(joints), joints.shape[1], fps)
    return _seen(joints, fps, skeleton, path.stem, units=True)


def _skeleton_of(content: Mapping[str, np.ndarray], fps: float | None, name: str) -> tuple[np.ndarray, Skeleton | Rig]:
    """The joints of an archive in metres, and their skeleton: one of the field's, or the file's own."""
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
            return joints, known
    missing = [key for key in ("parents", "offsets") if key not in content]
    if missing:
        raise MotionLLMError(f"has joint names of its own but no {' and no '.join(missing)}; save them too.")
    offsets = content["offsets"]
    if offsets.dtype.kind not in "fiu" or offsets.shape != (count, 3) or not np.isfinite(offsets).all():
        raise MotionLLMError(f"'offsets' is not finite numbers of shape ({count}, 3), one row a joint; correct them.")
    if np.abs(offsets).max() > budget.LARGEST:
        raise MotionLLMError("'offsets' hold numbers too large to be metres; correct them.")
    return joints, Rig(name, names, _parents(content["parents"], count), offsets)


def _names(values: np.ndarray, count: int) -> tuple[str, ...]:
    if values.dtype.kind not in "US" or values.shape != (count,):
        raise MotionLLMError(
            f"'names' is {values.dtype} of shape {values.shape}, not the texts of {count} joints; correct them."
        )
    try:
        texts = np.ascontiguousarray(values.astype("=U"))  # of bytes that are not ASCII: UnicodeError
        points = texts.view(np.uint32)
        if (points > 0x10FFFF).any() or ((points >= 0xD800) & (points < 0xE000)).any():  # Python's text has no such
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
    """Each joint's parent, which stands before it; the root's is -1. A cycle cannot be told otherwise."""
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
