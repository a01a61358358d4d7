"""MotionStreamer's 272-d features: rotations beside positions, so that decoded motion needs no inverse kinematics.

The representation is that of Xiao et al., "MotionStreamer: Streaming Motion Generation via Diffusion-based
Autoregressive Model in Causal Latent Space" (ICCV 2025): 22 joints of SMPL at 30 frames per second, in a heading frame
that the root's rotation gives (where its z axis points), without a filter.

Layout (a rotation is the first two rows of its matrix):
    0:2      way of the root along x and z since the frame before, in that one's heading frame, metres
    2:8      rotation about y from the heading frame before to this one
    8:74     positions of the joints in the heading frame, x and z from the root, heights from the floor, metres
    74:140   how far these are from those of the frame before, metres
    140:272  rotations of the joints relative to their parents, the root's in the heading frame
Nothing is before the first frame: it has no way, no turn and no velocities.

Clips of joints have no rotations. They are solved as for BVH files (`bvh_writer.solve`), on SMPL's rest pose with the
target skeleton's bone lengths. Bones that meet in one joint (hips, collars) and change their angles there point as the
best fit has them, and what is encoded is the body that results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from motionllm.motion.features import Root, blocks, canonical
from motionllm.motion.formats.bvh import BVH
from motionllm.motion.formats.bvh_writer import bvh_of, solve
from motionllm.motion.skeleton import HUMANML3D, SMPL_BONES

FPS = 30.0
_HINGES = [j for j, name in enumerate(HUMANML3D.joints) if name.endswith(("_hip", "_shoulder"))]


def layout() -> dict[str, slice]:
    """The columns of each block, as above."""
    return blocks(path=2, turn=6, positions=66, velocities=66, rotations=132)


def joints_to_features(joints: np.ndarray) -> np.ndarray:
    """Joints (T, 22, 3), metres, Y up, at 30 fps → features (T, 272) float32.

    Raises MotionLLMError for a wrong shape, NaN or infinity.
    """
    joints = canonical(joints)
    names, parents = HUMANML3D.joints, HUMANML3D.parents
    solved = solve(joints, names, parents, SMPL_BONES, FPS, exact=np.inf, hinges=_HINGES)
    local = np.stack([solved.local[solved.names.index(name)] for name in names], axis=1)
    return rotations_to_features(joints[:, 0], local)


def rotations_to_features(root: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Places of the root (T, 3), metres, and rotations relative to the parents (T, 22, 3, 3) → features (T, 272)."""
    columns, frames = layout(), len(root)
    heading = np.arctan2(local[:, 0, 0, 2], local[:, 0, 2, 2])
    away = _about_y(-heading)
    local = np.concatenate([(away @ local[:, 0])[:, None], local[:, 1:]], axis=1)
    rotations = local[..., :2, :].reshape(frames, -1, 6)
    positions = placed(rotations)
    heights = positions[..., 1] + root[:, None, 1]
    positions[..., 1] = heights - heights.min()
    features = np.zeros((frames, columns["rotations"].stop), np.float32)
    features[1:, columns["path"]] = (away[:-1] @ np.diff(root, axis=0)[..., None])[:, [0, 2], 0]
    features[:, columns["turn"]] = _about_y(-np.diff(heading, prepend=heading[0]))[:, :2].reshape(frames, 6)
    features[:, columns["positions"]] = positions.reshape(frames, -1)
    features[1:, columns["velocities"]] = np.diff(positions, axis=0).reshape(frames - 1, -1)
    features[:, columns["rotations"]] = rotations.reshape(frames, -1)
    return features


def features_to_rotations(features: np.ndarray, start: Root | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, 272) → places of the root (T, 3), metres, and rotations relative to the parents (T, 22, 3, 3).

    start: where the frame before the first stands, which is moved on; by default at the XZ origin, facing +Z.
    """
    columns, start = layout(), start or Root()
    features = np.asarray(features, np.float64)
    turn, way = features[:, columns["turn"]], features[:, columns["path"]]
    away = np.cumsum(np.append(2 * start.yaw, np.arctan2(turn[:, 2], turn[:, 0])))  # of frame −1, and on
    step = _about_y(-away[:-1]) @ np.stack([way[:, 0], np.zeros(len(way)), way[:, 1]], axis=-1)[..., None]
    root = np.cumsum(step[..., 0], axis=0) + np.array([start.x, 0, start.z])
    root[:, 1] = features[:, columns["positions"].start + 1]
    if len(root):
        start.yaw, start.x, start.z = float(away[-1]) / 2, float(root[-1, 0]), float(root[-1, 2])
    local = matrices(features[:, columns["rotations"]].reshape(len(features), len(HUMANML3D.joints), 6))
    local[:, 0] = _about_y(-away[1:]) @ local[:, 0]
    return root, local


def features_to_joints(features: np.ndarray, start: Root | None = None) -> np.ndarray:
    """Features (T, 272) → joints (T, 22, 3) float32, metres, by the rotations. start: see `features_to_rotations`."""
    root, local = features_to_rotations(features, start)
    return (placed(local[..., :2, :].reshape(*local.shape[:2], 6)) + root[:, None]).astype(np.float32)


def features_to_bvh(features: np.ndarray) -> BVH:
    """The decoded clip with its own rotations."""
    root, local = features_to_rotations(features)
    order: list[int] = []  # a file's joints follow their branches

    def visit(joint: int) -> None:
        order.append(joint)
        for child in np.flatnonzero(np.array(HUMANML3D.parents) == joint):
            visit(int(child))

    visit(0)
    ends = {order.index(j): SMPL_BONES[j] / 2 for j in order if j not in HUMANML3D.parents}
    return bvh_of(
        [HUMANML3D.joints[j] for j in order],
        [order.index(HUMANML3D.parents[j]) if j else -1 for j in order],
        SMPL_BONES[order],
        ends,
        root,
        [local[:, j] for j in order],
        FPS,
    )


def placed(rotations: Any, bones: Any = SMPL_BONES, stack: Callable[..., Any] = np.stack) -> Any:
    """Joints (…, 22, 3) relative to the root, metres, of rotations (…, 22, 6), by forward kinematics.

    Of arrays, or, with `bones` a tensor and `stack=torch.stack`, of tensors.
    """
    local = matrices(rotations, stack)
    world, joints = [local[..., 0, :, :]], [0 * rotations[..., 0, :3]]
    for j, parent in enumerate(HUMANML3D.parents[1:], 1):
        joints.append(joints[parent] + world[parent] @ bones[j])
        world.append(world[parent] @ local[..., j, :, :])
    return stack(joints, -2)


def matrices(six: Any, stack: Callable[..., Any] = np.stack) -> Any:
    """(…, 6) → rotation matrices (…, 3, 3) whose first two rows these are, made orthonormal (Zhou et al. 2019)."""
    first, second = six[..., :3], six[..., 3:]
    first = first / (first**2).sum(-1)[..., None] ** 0.5
    second = second - (first * second).sum(-1)[..., None] * first
    second = second / (second**2).sum(-1)[..., None] ** 0.5
    (a, b, c), (d, e, f) = ([v[..., i] for i in range(3)] for v in (first, second))
    return stack([first, second, stack([b * f - c * e, c * d - a * f, a * e - b * d], -1)], -2)


def _about_y(angles: np.ndarray) -> np.ndarray:
    """(T,) radians → (T, 3, 3)."""
    result = np.zeros((len(angles), 3, 3))
    result[:, 0, 0] = result[:, 2, 2] = np.cos(angles)
    result[:, 0, 2], result[:, 2, 0], result[:, 1, 1] = np.sin(angles), -np.sin(angles), 1
    return result
