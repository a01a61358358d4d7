"""HumanML3D's 263-d motion features and KIT-ML's 251-d: from joint positions and back.

The representation is that of Guo et al., "Generating Diverse and Natural 3D Human Motions
from Text" (CVPR 2022), as its public data set is computed. Quaternions are (w, x, y, z).
All functions take any number of frames at once and work through them in blocks that stay in a core's cache,
which is twice as fast as whole arrays.

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

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from motionllm.errors import MotionLLMError
from motionllm.motion.skeleton import HUMANML3D, SKELETONS, Skeleton

_UP = np.array([0.0, 1.0, 0.0])
_AHEAD = np.array([0.0, 0.0, 1.0])


def layout(joints: int) -> dict[str, slice]:
    """The columns of each block of a frame of so many joints, as above."""
    j = joints
    return blocks(turn=1, path=2, height=1, positions=3 * (j - 1), rotations=6 * (j - 1), velocities=3 * j, contacts=4)


def blocks(**widths: int) -> dict[str, slice]:
    """Columns side by side from 0, for blocks of such widths."""
    stops = accumulate(widths.values())
    return {name: slice(stop - width, stop) for (name, width), stop in zip(widths.items(), stops, strict=True)}


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
    heading = _headings(positions, skeleton)
    features = np.empty((len(positions) - 1, layout(len(skeleton.joints))["contacts"].stop), np.float32)
    for a in range(0, len(features), _BLOCK):
        b = min(a + _BLOCK, len(features))
        _block(positions[a : b + 1], heading[a : b + 1], skeleton, features[a:b])
    return features


_BLOCK = 256  # frames


def _block(positions: np.ndarray, heading: np.ndarray, skeleton: Skeleton, features: np.ndarray) -> None:
    """Write the features (n, 12 J − 1) of joints (n + 1, J, 3) whose headings (n + 1, 4) are known."""
    frames, columns = len(features), layout(len(skeleton.joints))
    here = positions[:-1]
    moved = positions[1:] - here
    step = _multiply(heading[1:], _inverse(heading[:-1]))
    local = here[:, 1:].copy()
    local[..., 0] -= here[:, :1, 0]
    local[..., 2] -= here[:, :1, 2]
    features[:, columns["turn"]] = np.arcsin(np.clip(step[:, 2:3], -1, 1))
    features[:, columns["path"]] = _rotate(heading[1:], moved[:, 0])[:, [0, 2]]
    features[:, columns["height"]] = here[:, 0, 1:2]
    features[:, columns["positions"]] = _turn(heading[:-1], local).reshape(frames, -1)
    rotations = _inverse_kinematics(here, heading[:-1], skeleton)
    features[:, columns["rotations"]] = _six_d(rotations[:, 1:]).reshape(frames, -1)
    features[:, columns["velocities"]] = _turn(heading[:-1], moved).reshape(frames, -1)
    feet = moved[:, [j for side in skeleton.feet for j in side]]
    features[:, columns["contacts"]] = (feet**2).sum(-1) < skeleton.contact


def features_to_joints(features: np.ndarray, start: Root | None = None) -> np.ndarray:
    """Features (T, 263) or (T, 251) → joint positions (T, J, 3) float32, metres, from the `ric` dims.

    The first frame stands at the XZ origin facing +Z, or where `start` says, which is moved on: pieces given in order
    with one `Root` are the pieces of the whole. Rotations (dims 67–192) are not used.
    Raises MotionLLMError for other widths.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2:
        raise MotionLLMError(f"Features have shape {features.shape}, but (frames, 263) or (frames, 251) is needed.")
    counts = [len(skeleton.joints) for skeleton in SKELETONS.values()]
    count = next((n for n in counts if layout(n)["contacts"].stop == features.shape[1]), 0)
    if not count:
        raise MotionLLMError(f"Features are {features.shape[1]} wide, but (frames, 263) or (frames, 251) is needed.")
    start = start or Root()
    # A step's yaw and displacement belong to the frame after it.
    yaw = start.yaw + np.concatenate([[0.0], np.cumsum(features[:, 0])])
    heading = np.zeros((len(yaw), 4))
    heading[:, 0], heading[:, 2] = np.cos(yaw), np.sin(yaw)
    back = _inverse(heading)
    step = np.zeros((len(yaw), 3))
    step[0, [0, 2]] = start.x, start.z
    step[1:] = _rotate(back[1:], np.stack([features[:, 1], np.zeros(len(features)), features[:, 2]], axis=-1))
    path = np.cumsum(step, axis=0)
    start.yaw, start.x, start.z = float(yaw[-1]), float(path[-1, 0]), float(path[-1, 2])
    root = path[:-1]
    root[:, 1] = features[:, 3]
    local = features[:, layout(count)["positions"]].reshape(len(features), count - 1, 3)
    joints = _turn(back[:-1], local)
    joints[..., 0] += root[:, None, 0]
    joints[..., 2] += root[:, None, 2]
    return np.concatenate([root[:, None], joints], axis=1).astype(np.float32)


@dataclass
class Root:
    """Where features begin: yaw (half angle, radians) and place on the floor (metres)."""

    yaw: float = 0.0
    x: float = 0.0
    z: float = 0.0


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
    leg = sum(float(np.linalg.norm(joints[0, b] - joints[0, parents[b]])) for b in skeleton.leg)
    if not leg > 1e-6:
        raise MotionLLMError(
            "The right leg has no length in the first frame, so the body cannot be scaled; cut that frame."
        )
    scale = skeleton.lengths[list(skeleton.leg)].sum() / leg
    result = np.empty_like(joints)
    for start in range(0, len(joints), _BLOCK):
        block, scaled = joints[start : start + _BLOCK], result[start : start + _BLOCK]
        bones = block[:, 1:] - block[:, parents[1:]]
        norm = _norm(bones)
        # A bone of no length (two joints on one place) has no direction: it takes its rest axis.
        bones *= (skeleton.lengths[1:] / np.maximum(norm, 1e-8))[..., None]
        if (none := norm <= 1e-8).any():
            bones[none] = np.broadcast_to(skeleton.axes[1:] * skeleton.lengths[1:, None], bones.shape)[none]
        scaled[:, 0] = block[:, 0] * scale
        for chain in skeleton.chains:
            for a, b in pairwise(chain):
                np.add(scaled[:, a], bones[:, b - 1], out=scaled[:, b])
    return result


def _forward(positions: np.ndarray, skeleton: Skeleton, hips: float = 1.0) -> np.ndarray:
    """(T, 3) heading: up × (left to right across hips and shoulders); shorter than 1 in a leaning body."""
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face
    across = hips * (positions[:, right_hip] - positions[:, left_hip])
    across = across + positions[:, right_shoulder] - positions[:, left_shoulder]
    return _cross(np.broadcast_to(_UP, across.shape), _unit(across))


def _headings(positions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(T, 4) rotations that turn the smoothed heading to +Z."""
    # Two peculiarities of the published features, kept because every model of the field reads them so:
    # the hips enter with the opposite sign to the shoulders, and the heading is smoothed over 20 frames.
    forward = _forward(positions, skeleton, hips=-1.0)
    forward = _unit(gaussian_filter1d(forward, 20, axis=0, mode="nearest"))
    root = _between(forward, np.broadcast_to(_AHEAD, forward.shape))
    root[0] = [1, 0, 0, 0]  # the reference pipeline takes the first pose to face +Z exactly
    return root


def _inverse_kinematics(positions: np.ndarray, heading: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(T, J, 4) local rotations whose bones point as `positions` do; the root's is the heading."""
    pairs = [(a, b, a == chain[0]) for chain in skeleton.chains for a, b in pairwise(chain)]
    starts, ends = [a for a, _, _ in pairs], [b for _, b, _ in pairs]
    bones = _unit(positions[:, ends] - positions[:, starts])
    world = np.empty((*positions.shape[:2], 4))
    world[:, 0] = heading
    world[:, ends] = _between(skeleton.axes[ends][None], bones)
    # Every chain starts from the root's rotation, also the arms'.
    above = world[:, [0 if first else a for a, _, first in pairs]]
    rotations = np.empty_like(world)
    rotations[:, 0] = heading
    rotations[:, ends] = _multiply(_inverse(above), world[:, ends])
    return rotations


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shortest rotation from direction a to direction b, (…, 4)."""
    result = np.empty((*np.broadcast_shapes(a.shape, b.shape)[:-1], 4))
    result[..., 0] = np.sqrt(_dot(a, a) * _dot(b, b)) + _dot(np.broadcast_to(a, b.shape), b)
    result[..., 1:] = _cross(a, b)
    return _unit(result)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)


def _norm(v: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(v, v))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(_norm(v), 1e-12)[..., None]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # A third of the time of np.cross, which moves axes about.
    result = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        result[..., i] = a[..., j] * b[..., k] - a[..., k] * b[..., j]
    return result


def _inverse(q: np.ndarray) -> np.ndarray:
    return q * [1, -1, -1, -1]


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    p, q = ([v[..., i] for i in range(4)] for v in (a, b))
    parts = [
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3],
        p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1],
        p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    ]
    return np.stack(parts, axis=-1)


def _rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    axis = np.broadcast_to(q[..., 1:], v.shape)
    t = 2 * _cross(axis, v)
    return v + q[..., :1] * t + _cross(axis, t)


def _turn(heading: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vectors (T, J, 3) turned about Y by headings (T, 4), whose x and z are 0."""
    w, y = heading[:, 0, None], heading[:, 2, None]
    cosine, sine = 1 - 2 * y * y, 2 * w * y
    result = np.empty_like(v)
    result[..., 0] = cosine * v[..., 0] + sine * v[..., 2]
    result[..., 1] = v[..., 1]
    result[..., 2] = cosine * v[..., 2] - sine * v[..., 0]
    return result


def _six_d(q: np.ndarray) -> np.ndarray:
    """(…, 4) → (…, 6): the first two columns of the rotation matrix."""
    w, x, y, z = (q[..., i] for i in range(4))
    columns = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        *(2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
    ]
    return np.stack(columns, axis=-1)
