"""A clip of motion: joint positions over time, with conversions and the files it is read from and written to.

The rotations of a BVH file stay with the clip as long as its joints are the file's, so that a take that is loaded, cut
or resampled keeps its bone twist when it is saved as BVH again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motionllm import arguments
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import reading
from motionllm.motion import budget, features, feet
from motionllm.motion.formats import READERS, WRITERS, imported, rigs
from motionllm.motion.formats.bvh import BVH, sample_times
from motionllm.motion.formats.bvh_writer import solve_bvh
from motionllm.motion.formats.rig_body import kit_to_humanml3d, to_humanml3d
from motionllm.motion.formats.rigs import Rig, RigMap
from motionllm.motion.formats.schemes import written
from motionllm.motion.skeleton import HUMANML3D, KIT, Skeleton

METRES = {"cm": 0.01, "m": 1.0}  # per unit


@dataclass(frozen=True, eq=False)
class Motion:
    """A clip of one body.

    joints: (T, J, 3) float32, metres, Y up. fps: frames per second. skeleton: HUMANML3D (22 joints), KIT (21) or the
    file's own Rig. name: the clip's name. notes: decisions made on reading (units, up axis, dropped frames; "mended: …"
    and "check: …" where the body was implausible). bvh, places: the BVH file the joints come from and its map to the 22
    joints. Raises MotionLLMError for joints of a wrong shape, without frames, or not finite.
    """

    joints: np.ndarray
    fps: float = HUMANML3D.fps
    skeleton: Skeleton | Rig = HUMANML3D
    name: str = ""
    notes: tuple[str, ...] = ()
    bvh: BVH | None = None
    places: RigMap | None = None

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite, and are refused
            joints = arguments.array(self.joints, "Joints").astype(np.float32)
        if not isinstance(self.skeleton, Skeleton | Rig):
            raise MotionLLMError(f"skeleton is {arguments.shown(self.skeleton)}; give HUMANML3D, KIT or a Rig.")
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
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "fps", _rate(self.fps))

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def duration(self) -> float:
        """Seconds: frames / fps."""
        return len(self) / self.fps

    @staticmethod
    def load(path: str | os.PathLike[str], rig: Mapping[str, Any] | str | os.PathLike[str] | None = None) -> Motion:
        """Read .bvh, .glb, .gltf, .vrma, .npy, .npz or .c3d.

        .npy: joints (T, 22, 3), (T, 66) or (T, 52, 3) at 20 fps, KIT-ML's (T, 21, 3) at 12.5 fps (millimetres, or
        metres if the body is that small), features (T, 263), (T, 251) or, at 30 fps, (T, 272). .npz: `joints`, and
        `fps`; or an AMASS file, whose poses are put on the target skeleton. .c3d: joint centres, by name (`c3d_file`).
        glTF: the first animation. rig: for a BVH or glTF whose joints are not recognised, HumanML3D joint → joint in
        the file (`rigs.load_rig`). Raises MotionFileError, naming the file, for anything missing, truncated or not
        finite.
        """
        path = arguments.path(path, "The file to load")
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            *most, last = READERS
            what = "a folder" if path.is_dir() else f"{path.suffix!r}"
            raise MotionFileError(f"{path}: motion is read from {', '.join(most)} and {last}, not {what}.")
        with reading(path):
            if not path.is_file():
                raise MotionFileError(
                    f"{path}: is a folder; give one file." if path.is_dir() else f"{path}: no such file."
                )
            clip: Motion = imported(reader)(path, rig)
            return clip

    def save(self, path: str | os.PathLike[str], units: str | None = None) -> None:
        """Write by suffix: .bvh (centimetres), .glb (skinned body, metres), .html (a page that plays it),
        .npy (joints), .npz (joints, fps), .png, .gif, .mp4 (pictures).

        .npy keeps no fps and no names: it takes the 22 joints at 20 fps or KIT-ML's 21 at 12.5 fps, in the data set's
        own unit. A clip that is unchanged since it was loaded from BVH is saved with that file's rotations, units and
        axes. units "cm" or "m" saves BVH in that unit and Y up, keeping the rig, for programs that expect these. Raises
        MotionFileError for another suffix or a folder that cannot be written.
        """
        path = arguments.path(path, "The file to save")
        if units is not None and (units not in METRES or path.suffix.lower() != ".bvh"):
            raise MotionLLMError(f"units are {' or '.join(METRES)}, for .bvh; not '{units}' for '{path.suffix}'.")
        writer = WRITERS.get(path.suffix.lower())
        if writer is None:
            raise MotionFileError(f"{path}: motion is saved as {', '.join(WRITERS)}, not '{path.suffix}'.")
        try:
            imported(writer)(self, path, units)
        except MotionFileError:
            raise
        except MotionLLMError as error:
            raise MotionFileError(f"{path}: {error}") from None

    def resample(self, fps: float) -> Motion:
        """The clip at another frame rate, from its first frame; the duration is preserved to within a new frame.

        Positions are interpolated linearly (rotations spherically where the BVH file's are kept), without a low-pass
        filter, as the field's data sets do: from 120 to 20 fps every sixth frame is kept unchanged. Movement above 10
        Hz (impacts, marker jitter) then aliases: 0.5 to 2 mm on average on CMU takes. A higher rate ends with the last
        pose, and the clip has all its frames when it is resampled back.
        """
        fps = _rate(fps)
        if abs(fps - self.fps) < 1e-6 * self.fps:
            return self
        if fps > self.fps:  # upsampling: within the limits of files
            budget.check_clip(int(min(self.duration * fps, 1e12)), self.joints.shape[1], fps)
        bvh = self._own_bvh()
        if bvh is not None:
            bvh = bvh.resample(fps)
            return replace(self, joints=joints_of(bvh, self.skeleton), fps=fps, bvh=bvh)
        times = sample_times(len(self), self.fps, fps) * self.fps
        low = np.minimum(np.floor(times + 1e-9).astype(int), len(self) - 1)
        high = np.minimum(low + 1, len(self) - 1)
        weight = np.clip(times - low, 0, 1)[:, None, None]
        joints = self.joints[low] * (1 - weight) + self.joints[high] * weight
        return replace(self, joints=joints, fps=fps, bvh=None)

    def cut(self, start: int, stop: int | None = None) -> Motion:
        """The frames [start, stop), counted as Python does: from the end where negative. Raises MotionLLMError where
        none are left.
        """
        start = arguments.whole_number(start, "start")
        stop = None if stop is None else arguments.whole_number(stop, "stop")
        if not range(len(self))[start:stop]:
            end = "the end" if stop is None else f"frame {stop}"
            raise MotionLLMError(f"There is no frame from frame {start} to {end}: the clip has {len(self)}, from 0 on.")
        bvh = self._own_bvh()
        return replace(self, joints=self.joints[start:stop], bvh=bvh.cut(start, stop) if bvh else None)

    def body(self) -> Motion:
        """The same clip as HumanML3D's 22 joints, with the body's own bone lengths, place and fps.

        Raises MotionLLMError where the rig's joints are not recognised.
        """
        if self.skeleton is HUMANML3D:
            return replace(self, bvh=None, places=None)
        if self.skeleton is KIT:
            joints = kit_to_humanml3d(self.joints.astype(np.float64))
        else:
            positions, bvh, places = self.joints.astype(np.float64), self._own_bvh(), self.places
            ends = {} if bvh is None else bvh.end_sites()
            long = tuple(j for j in ends if bvh is not None and np.any(bvh.ends[j]))
            try:
                if places is None and isinstance(self.skeleton, Rig):
                    places = written(self.skeleton.joints, self.skeleton.parents, self.skeleton.offsets)
                if places is None:
                    lengths = np.zeros(positions.shape[1])
                    for j, parent in enumerate(self.skeleton.parents):
                        if parent >= 0:
                            lengths[j] = np.median(np.linalg.norm(positions[:, j] - positions[:, parent], axis=-1))
                    places = rigs.map_rig(self.skeleton.joints, self.skeleton.parents, lengths, long, {})
                joints = to_humanml3d(positions, ends, places)
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
        """Length of thigh and shin together, in metres, median over the clip: the measure of body size."""
        joints = self.body().joints
        bones = (np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) for a, b in ((2, 5), (5, 8)))
        return float(sum(np.median(bone) for bone in bones))

    def scaled(self, leg: float) -> Motion:
        """The clip with a body whose thigh and shin together are `leg` metres long; the path is scaled alike.

        Raises MotionLLMError for a length not within 0.1 to 3 m.
        """
        leg = arguments.number(leg, "leg")
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
        same = np.abs(joints_of(self.bvh, self.skeleton) - self.joints) <= 1e-5
        return self.bvh if same.all() else None

    def as_bvh(self) -> BVH:
        own = self._own_bvh()
        if own is not None:
            return own
        skeleton = self.skeleton
        rest = skeleton.offsets if isinstance(skeleton, Rig) else rest_pose(skeleton, self.joints)
        hinges = rigs.hinges(skeleton.joints, self.places)
        return solve_bvh(self.joints, skeleton.joints, skeleton.parents, rest, self.fps, hinges=hinges)


def _rate(fps: Any) -> float:
    """Frames per second as they were given. Raises MotionLLMError for what is none."""
    try:
        rate = arguments.number(fps, "fps")
    except MotionLLMError:
        rate = 0.0
    if rate <= 0:
        raise MotionLLMError(f"fps is {arguments.shown(fps)}; frames a second above 0 are needed, as a number.")
    return rate


def joints_of(bvh: BVH, skeleton: Skeleton | Rig) -> np.ndarray:
    """Positions of a BVH's joints; only those of `skeleton`, in its order, where the file has additional ones."""
    positions = bvh.positions()
    if skeleton.joints == bvh.joints:
        return positions
    return positions[:, [bvh.joints.index(name) for name in skeleton.joints]]


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
        if chain[0] != 0:  # an arm: everything after the collar continues in its direction
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
