"""What a frame of features is: named blocks of numbers over a skeleton at a frame rate, from motion and back.

A motion tokenizer stores its representation by name. To add one, derive a class with `encode`, `decode` and `pose`, and
list an instance in REPRESENTATIONS (CONTRIBUTING.md): everything else asks for blocks by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from motionllm.errors import MotionLLMError, unknown
from motionllm.motion import features as guo
from motionllm.motion import motionstreamer
from motionllm.motion.clip import Motion, joints_of
from motionllm.motion.features import Root
from motionllm.motion.skeleton import HUMANML3D, KIT, SMPL_BONES, Skeleton

# A motion is put back on the floor where new bones move it off by more metres; smoothed by so many seconds, the first
# that leave less: bones that are too short for a moment only, as in a quick turn, made all else float.
_OFF_FLOOR, _SETTLING = 0.05, (0.3, 0.1, 0.05)
_SIZES = {"positions": 3, "velocities": 3, "rotations": 6}  # numbers per joint of the blocks that have a part per joint


@dataclass(frozen=True, eq=False)
class Representation(ABC):
    """The layout of a feature frame.

    name: what a tokenizer's config.json calls it. fps: frames per second. longest: seconds of the longest clips that
    models of the field are trained on in it. blocks: the columns of each block, side by side from 0. Every one has
        turn        change of heading per frame: 1 number, half the angle in radians, or 6, a rotation (its first two
                    rows)
        path        velocity of the root along x and z in the heading frame, metres per frame
        positions   joints in the heading frame, x and z from the root, heights from the floor, metres
    and may have
        height      of the root, metres; else it stands in the root's position
        rotations   6-D (Zhou et al. 2019); where they are decoded, of joints relative to their parents, of a rest pose
                    whose bones are `bones`, (J, 3) metres, and the root's in the heading frame
        velocities  of joints in the heading frame, metres per frame
        contacts    whether ankles and toes stand, in the order of `Skeleton.feet`
    A block without a part for the root has one for each other joint. decoded: the blocks that `decode` reads; of a
    tokenizer's losses they weigh most.
    """

    name: str
    skeleton: Skeleton
    fps: float
    longest: float
    blocks: Mapping[str, slice]
    decoded: tuple[str, ...] = ("turn", "path", "height", "positions")
    bones: np.ndarray | None = None

    @abstractmethod
    def encode(self, motion: Motion | np.ndarray) -> np.ndarray:
        """Features (T, dim) float32 of a Motion, resampled to `fps`, or of joints (T, J, 3) at it.

        Raises MotionLLMError for another body, too short a clip, NaN or infinity.
        """

    @abstractmethod
    def decode(self, features: np.ndarray, start: Root | None = None) -> np.ndarray:
        """Features (T, dim) → joints (T, J, 3) float32, metres. The first frame stands at the XZ origin facing +Z, or
        where `start` says, which is moved on, so that pieces given in order with one `Root` are pieces of the whole.
        """

    @abstractmethod
    def pose(self, features: np.ndarray) -> np.ndarray:
        """(T, J, 3) joints relative to the root, in the heading frame, metres."""

    def motion(self, features: np.ndarray) -> Motion:
        """The decoded clip."""
        return Motion(self.decode(features), self.fps, self.skeleton)

    def finished(self, motion: Motion) -> Motion:
        """A decoded clip, or the first frames of one, as files want it: with constant bones, on the floor."""
        return motion

    def read(self, features: np.ndarray) -> np.ndarray:
        """Features of any representation of this skeleton as this one's; its own as they are.

        Raises MotionLLMError for another skeleton's, or a width that no representation has.
        """
        other = of_width(features.shape[1])
        if other is self:
            return features
        if other.skeleton is not self.skeleton:
            raise MotionLLMError(
                f"The clip has the {len(other.skeleton.joints)} joints of {other.name}, and {self.name} has "
                f"{len(self.skeleton.joints)}; give clips of one skeleton."
            )
        return self.encode(other.motion(features))

    @property
    def dim(self) -> int:
        """Numbers per frame."""
        return max(block.stop for block in self.blocks.values())

    @property
    def height(self) -> int:
        """The column of the root's height."""
        return self.blocks["height"].start if "height" in self.blocks else self.blocks["positions"].start + 1

    @property
    def root(self) -> np.ndarray:
        """The columns of heading, path and height."""
        return np.sort(np.append(self.columns("turn", "path"), self.height))

    def columns(self, *names: str) -> np.ndarray:
        """The columns of some blocks, in the layout's order; of blocks that it lacks there are none."""
        every = np.arange(self.dim)
        return np.sort(np.concatenate([every[:0], *(every[self.blocks[n]] for n in names if n in self.blocks)]))

    def of_joint(self, name: str, joint: int) -> range:
        """The columns of one joint in a block; none where the block has no part for the joint, or there is no block."""
        if name not in self.blocks:
            return range(0)
        block, size = self.blocks[name], _SIZES[name]
        first = len(self.skeleton.joints) - (block.stop - block.start) // size  # 1 where the root has no part
        start = block.start + size * (joint - first)
        return range(start, start + size) if joint >= first else range(0)

    def check(self, features: np.ndarray) -> np.ndarray:
        """`features` as they are. Raises MotionLLMError for another shape."""
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise MotionLLMError(f"Features have shape {features.shape}, but {self.name} has (frames, {self.dim}).")
        return features


@dataclass(frozen=True, eq=False)
class Guo(Representation):
    """The features of HumanML3D (263-d) and KIT-ML (251-d): see `motion.features`."""

    @classmethod
    def of(cls, skeleton: Skeleton) -> Guo:
        # The field takes clips of up to 196 frames from both data sets.
        layout = guo.layout(len(skeleton.joints))
        return cls(skeleton.name, skeleton, skeleton.fps, longest=196 / skeleton.fps, blocks=layout)

    def encode(self, motion: Motion | np.ndarray) -> np.ndarray:
        uniform = self.skeleton.lengths is not None
        if isinstance(motion, np.ndarray):
            return guo.joints_to_features(motion, uniform=uniform, skeleton=self.skeleton)
        if len(motion) < 2:
            raise MotionLLMError("The clip has 1 frame; motion needs at least 2.")
        # In canonical form twice, at float32 in between: codes of shipped adapters were made so, to the last bit.
        joints = motion.canonical().joints if uniform else motion.resample(self.fps).joints
        return guo.joints_to_features(joints, uniform=uniform, skeleton=self.skeleton)

    def decode(self, features: np.ndarray, start: Root | None = None) -> np.ndarray:
        return guo.features_to_joints(self.check(features), start)

    def pose(self, features: np.ndarray) -> np.ndarray:
        pose = features[:, self.blocks["positions"]].reshape(len(features), -1, 3).copy()
        pose[..., 1] -= features[:, self.blocks["height"]]
        return np.concatenate([np.zeros_like(pose[:, :1]), pose], axis=1)

    def finished(self, motion: Motion) -> Motion:
        # Decoded bones breathe by millimetres. KIT-ML's target lengths are not known.
        return _as_high(motion.canonical(), motion) if self.skeleton.lengths is not None else motion


def _as_high(made: Motion, was: Motion) -> Motion:
    """A motion whose bones were given other lengths, as high over the floor as before: where bones were far too short,
    as of a body that is decoded crawling, it may hang above the floor or below it.
    """
    lowest = made.joints[..., 1].min(1) - was.joints[..., 1].min(1)
    lifts = [gaussian_filter1d(lowest, seconds * made.fps, mode="nearest") for seconds in _SETTLING]
    if np.ptp(lifts[0]) <= _OFF_FLOOR:
        return made
    lift = next((one for one in lifts if np.ptp(lowest - one) <= _OFF_FLOOR), lifts[-1])
    joints = made.joints - lift[:, None, None] * [0, 1, 0]
    return replace(made, joints=(joints - [0, joints[..., 1].min(), 0]).astype(made.joints.dtype))


@dataclass(frozen=True, eq=False)
class MotionStreamer(Representation):
    """The 272-d features of MotionStreamer, at 30 fps: see `motion.motionstreamer`. Bones are constant as decoded."""

    def encode(self, motion: Motion | np.ndarray) -> np.ndarray:
        joints = motion if isinstance(motion, np.ndarray) else motion.body().resample(self.fps).joints
        return motionstreamer.joints_to_features(joints)

    def decode(self, features: np.ndarray, start: Root | None = None) -> np.ndarray:
        return motionstreamer.features_to_joints(self.check(features), start)

    def pose(self, features: np.ndarray) -> np.ndarray:
        return motionstreamer.placed(features[:, self.blocks["rotations"]].reshape(len(features), -1, 6))

    def motion(self, features: np.ndarray) -> Motion:
        bvh = motionstreamer.features_to_bvh(self.check(features))
        return Motion(joints_of(bvh, self.skeleton), self.fps, self.skeleton, bvh=bvh)

    def finished(self, motion: Motion) -> Motion:
        low, bvh = float(motion.joints[..., 1].min()), motion.bvh
        if bvh is not None:
            values = bvh.values.copy()
            values[:, 1] -= low / bvh.unit  # the root's Yposition
            bvh = replace(bvh, values=values)
        return replace(motion, joints=motion.joints - [0, low, 0], bvh=bvh)


HUMANML3D_263, KIT_251 = Guo.of(HUMANML3D), Guo.of(KIT)
MOTIONSTREAMER_272 = MotionStreamer(
    "motionstreamer",
    HUMANML3D,
    motionstreamer.FPS,
    longest=9.8,
    blocks=motionstreamer.layout(),
    decoded=("turn", "path", "rotations"),
    bones=SMPL_BONES,
)
REPRESENTATIONS: dict[str, Representation] = {r.name: r for r in (HUMANML3D_263, KIT_251, MOTIONSTREAMER_272)}


def of_data(skeleton: Skeleton) -> Representation:
    """The representation that data sets and evaluators of a skeleton come in: HumanML3D's or KIT-ML's."""
    return KIT_251 if skeleton is KIT else HUMANML3D_263


def named(name: str) -> Representation:
    """The representation of a name. Raises MotionLLMError where there is none."""
    if name not in REPRESENTATIONS:
        raise MotionLLMError(unknown("representation", name, REPRESENTATIONS))
    return REPRESENTATIONS[name]


def of_width(dim: int) -> Representation:
    """The representation whose frames are `dim` wide: what arrays, and tokenizers saved without a name, go by.

    Raises MotionLLMError for a width that none has.
    """
    for representation in REPRESENTATIONS.values():
        if representation.dim == dim:
            return representation
    known = " or ".join(f"{r.dim} ({r.name})" for r in REPRESENTATIONS.values())
    raise MotionLLMError(f"Features are {dim} wide, but a feature frame has {known} numbers.")
