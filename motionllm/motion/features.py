"""HumanML3D's 263-d motion features and KIT-ML's 251-d: from joint positions and back.

The representation is that of Guo et al., "Generating Diverse and Natural 3D Human Motions
from Text" (CVPR 2022), as its public data set is computed. Quaternions are (w, x, y, z).
All functions take any number of frames at once; nothing loops over frames.

Layout for J joints (12 J − 1 numbers a frame):
    0                     root yaw velocity, arcsin(q_y) of the frame-to-frame rotation: the HALF angle
    1:3                   root velocity x, z in the heading frame, metres a frame
    3                     root height, metres
    4 : 3J+1              positions of joints 1…J−1, root-relative in x and z, heading-aligned
    3J+1 : 9J−5           6-D rotations of joints 1…J−1 (Zhou et al. 2019), from positions
    9J−5 : 12J−5          velocities of all joints in the heading frame, metres a frame
    12J−5 : 12J−1         foot contacts: left ankle, left toe, right ankle, right toe
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from motionllm.errors import MotionLLMError
from motionllm.motion.skeleton import HUMANML3D, SKELETONS, Skeleton

_UP = np.array([0.0, 1.0, 0.0])
_AHEAD = np.array([0.0, 0.0, 1.0])


def skeleton_of_dim(dim: int) -> Skeleton:
    """The skeleton whose feature frames are `dim` wide (263 or 251).

    Raises MotionLLMError for any other width.
    """
    for skeleton in SKELETONS.values():
        if skeleton.dim == dim:
            return skeleton
    known = " or ".join(f"{s.dim} ({s.name})" for s in SKELETONS.values())
    raise MotionLLMError(f"Features are {dim} wide, but a feature frame has {known} numbers.")


def check_joints(joints: np.ndarray, skeleton: Skeleton = HUMANML3D, least: int = 2) -> np.ndarray:
    """`joints` as float64, or MotionLLMError when shape, length or numbers are unusable."""
    joints = np.asarray(joints)
    expected = (len(skeleton.joints), 3)
    if joints.ndim != 3 or joints.shape[1:] != expected:
        raise MotionLLMError(
            f"Joints have shape {joints.shape}, but {skeleton.name} motion is (frames, {expected[0]}, 3)."
        )
    if len(joints) < least:
        raise MotionLLMError(f"The clip has {len(joints)} frame(s); at least {least} are needed for velocities.")
    bad = ~np.isfinite(joints)
    if bad.any():
        frame, joint, _ = np.argwhere(bad)[0]
        raise MotionLLMError(
            f"Joint positions contain NaN or infinity (first at frame {frame}, {skeleton.joints[joint]}); "
            "repair or cut the clip."
        )
    return joints.astype(np.float64)


def joints_to_features(joints: np.ndarray, uniform: bool = True, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """Joint positions (T, J, 3), metres, Y up, at the skeleton's fps → features (T−1, 12 J − 1) float32.

    uniform: first give the body the target skeleton's bone lengths, scaling the root path by leg
    length, as the data sets do. The clip is then put on the floor, at the origin, facing +Z.
    Raises MotionLLMError for wrong shapes, fewer than 2 frames, NaN or infinity.
    """
    positions = canonical(check_joints(joints, skeleton), uniform=uniform, skeleton=skeleton)
    contacts = _contacts(positions, skeleton)
    rotations = _inverse_kinematics(positions, skeleton)
    heading = rotations[:, 0]
    step = _multiply(heading[1:], _inverse(heading[:-1]))
    velocity = _rotate(heading[1:], positions[1:, 0] - positions[:-1, 0])
    local = positions.copy()
    local[..., 0] -= positions[:, :1, 0]
    local[..., 2] -= positions[:, :1, 2]
    local = _rotate(heading[:, None], local)
    joint_velocity = _rotate(heading[:-1, None], positions[1:] - positions[:-1])
    frames = len(positions) - 1
    return np.concatenate(
        [
            np.arcsin(np.clip(step[:, 2:3], -1, 1)),
            velocity[:, [0, 2]],
            positions[:-1, 0, 1:2],
            local[:-1, 1:].reshape(frames, -1),
            _six_d(rotations[:-1, 1:]).reshape(frames, -1),
            joint_velocity.reshape(frames, -1),
            contacts,
        ],
        axis=1,
    ).astype(np.float32)


def features_to_joints(features: np.ndarray) -> np.ndarray:
    """Features (T, 263) or (T, 251) → joint positions (T, J, 3) float32, metres, from the `ric` dims.

    The first frame stands at the XZ origin facing +Z. Rotations (dims 67–192) are not used.
    Raises MotionLLMError for other widths.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2:
        raise MotionLLMError(f"Features have shape {features.shape}, but (frames, 263) or (frames, 251) is needed.")
    skeleton = skeleton_of_dim(features.shape[-1])
    count = len(skeleton.joints)
    # A step's yaw and displacement belong to the frame after it.
    yaw = np.concatenate([[0.0], np.cumsum(features[:-1, 0])])
    heading = np.zeros((len(features), 4))
    heading[:, 0], heading[:, 2] = np.cos(yaw), np.sin(yaw)
    back = _inverse(heading)
    step = np.zeros((len(features), 3))
    step[1:, [0, 2]] = features[:-1, 1:3]
    root = np.cumsum(_rotate(back, step), axis=0)
    root[:, 1] = features[:, 3]
    local = features[:, 4 : 3 * count + 1].reshape(len(features), count - 1, 3)
    joints = _rotate(back[:, None], local)
    joints[..., 0] += root[:, None, 0]
    joints[..., 2] += root[:, None, 2]
    return np.concatenate([root[:, None], joints], axis=1).astype(np.float32)


def canonical(joints: np.ndarray, uniform: bool = True, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """Joints (T, J, 3) on the target skeleton (if `uniform`), lowest point at y = 0, first root at the
    XZ origin, first pose facing +Z; float64. One frame suffices.
    """
    positions = check_joints(joints, skeleton, least=1)
    if uniform:
        positions = uniform_skeleton(positions, skeleton)
    positions = positions.copy()
    positions[..., 1] -= positions[..., 1].min()
    positions -= positions[0, 0] * [1, 0, 1]
    turn = _between(_unit(_forward(positions[:1], skeleton)), _AHEAD[None])
    return _rotate(turn[:, None], positions)


def mirror(joints: np.ndarray, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """The same motion with left and right exchanged: (T, J, 3) → (T, J, 3)."""
    swapped = [n.replace("left", "\0").replace("right", "left").replace("\0", "right") for n in skeleton.joints]
    return joints[:, [skeleton.joints.index(n) for n in swapped]] * [-1, 1, 1]


def uniform_skeleton(joints: np.ndarray, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """The same bone directions on the target skeleton's lengths, the root path scaled by leg length.

    (T, J, 3) → (T, J, 3). Raises MotionLLMError where the skeleton's target lengths are not known
    (KIT-ML: its files are uniform already) or a bone has no length.
    """
    if skeleton.lengths is None:
        raise MotionLLMError(f"No target bone lengths are known for {skeleton.name}; use uniform=False.")
    parents = np.array(skeleton.parents)
    bones = joints[:, 1:] - joints[:, parents[1:]]
    norm = np.linalg.norm(bones, axis=-1, keepdims=True)
    leg = norm[0, [i - 1 for i in skeleton.leg], 0].sum()
    if not leg > 1e-6:
        raise MotionLLMError("The right leg has no length in the first frame; the body cannot be scaled.")
    # A bone of no length (two joints on one place) has no direction: it takes its rest axis.
    direction = np.where(norm > 1e-8, bones / np.maximum(norm, 1e-8), skeleton.axes[1:])
    scale = skeleton.lengths[list(skeleton.leg)].sum() / leg
    result = np.empty_like(joints)
    result[:, 0] = joints[:, 0] * scale
    for chain in skeleton.chains:
        for a, b in pairwise(chain):
            result[:, b] = result[:, a] + direction[:, b - 1] * skeleton.lengths[b]
    return result


def _contacts(positions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    feet = positions[:, [j for side in skeleton.feet for j in side]]
    moved = ((feet[1:] - feet[:-1]) ** 2).sum(-1)
    return (moved < skeleton.contact).astype(np.float64)


def _forward(positions: np.ndarray, skeleton: Skeleton, hips: float = 1.0) -> np.ndarray:
    """(T, 3) heading: up × (left to right across hips and shoulders); shorter than 1 in a leaning body."""
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face
    across = hips * (positions[:, right_hip] - positions[:, left_hip])
    across = across + positions[:, right_shoulder] - positions[:, left_shoulder]
    return np.cross(_UP, _unit(across))


def _inverse_kinematics(positions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(T, J, 4) local rotations whose bones point as `positions` do; the root's is the smoothed heading."""
    # Two peculiarities of the published features, kept because every model of the field reads them so:
    # the hips enter with the opposite sign to the shoulders, and the heading is smoothed over 20 frames.
    forward = _forward(positions, skeleton, hips=-1.0)
    forward = _unit(gaussian_filter1d(forward, 20, axis=0, mode="nearest"))
    root = _between(forward, np.broadcast_to(_AHEAD, forward.shape))
    root[0] = [1, 0, 0, 0]  # the reference pipeline takes the first pose to face +Z exactly
    rotations = np.zeros((*positions.shape[:2], 4))
    rotations[:, 0] = root
    for chain in skeleton.chains:
        parent = root  # every chain starts from the root's rotation, also the arms'
        for a, b in pairwise(chain):
            bone = _unit(positions[:, b] - positions[:, a])
            world = _between(np.broadcast_to(skeleton.axes[b], bone.shape), bone)
            rotations[:, b] = _multiply(_inverse(parent), world)
            parent = world
    return rotations


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shortest rotation from direction a to direction b, (…, 4)."""
    w = np.sqrt((a**2).sum(-1) * (b**2).sum(-1)) + (a * b).sum(-1)
    return _unit(np.concatenate([w[..., None], np.cross(a, b)], axis=-1))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def _inverse(q: np.ndarray) -> np.ndarray:
    return q * [1, -1, -1, -1]


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    aw, av = a[..., :1], a[..., 1:]
    bw, bv = b[..., :1], b[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdims=True)
    return np.concatenate([w, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def _rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    axis = np.broadcast_to(q[..., 1:], v.shape)
    t = 2 * np.cross(axis, v)
    return v + q[..., :1] * t + np.cross(axis, t)


def _six_d(q: np.ndarray) -> np.ndarray:
    """(…, 4) → (…, 6): the first two columns of the rotation matrix."""
    x = _rotate(q, np.broadcast_to([1.0, 0.0, 0.0], (*q.shape[:-1], 3)))
    y = _rotate(q, np.broadcast_to([0.0, 1.0, 0.0], (*q.shape[:-1], 3)))
    return np.concatenate([x, y], axis=-1)
