"""A made-up walk for the tests of motion: it needs no data and has the target skeleton's bone lengths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm.motion.clip import rest_pose
from motionllm.motion.skeleton import HUMANML3D


@pytest.fixture
def walk(tpose: np.ndarray) -> np.ndarray:
    """A made-up walk (60, 22, 3) at 20 fps on the target skeleton, facing +Z: arms and legs swing, the trunk bends."""
    skeleton, frames = HUMANML3D, 60
    rest = np.array(rest_pose(skeleton, tpose[None]))
    rest /= np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), 1e-9)
    phase = np.linspace(0, 4 * np.pi, frames)
    joints = np.zeros((frames, 22, 3))
    joints[:, 0] = np.stack([0 * phase, 0.95 + 0.02 * np.cos(2 * phase), np.linspace(0, 2.4, frames)], axis=-1)
    world = {0: np.broadcast_to(np.eye(3), (frames, 3, 3))}
    bend = {1: 0.5 * np.sin(phase), 2: -0.5 * np.sin(phase), 4: 0.4 + 0.3 * np.cos(phase), 5: 0.4 - 0.3 * np.cos(phase)}
    drop = {16: -1.2 + 0 * phase, 17: 1.2 + 0 * phase}
    for j in range(1, 22):
        parent = skeleton.parents[j]
        joints[:, j] = joints[:, parent] + world[parent] @ rest[j] * skeleton.lengths[j]
        angles = np.stack(
            [bend.get(j, 0.05 * np.sin(phase + j)), 0.04 * np.cos(phase), drop.get(j, 0 * phase)], axis=-1
        )
        world[j] = world[parent] @ Rotation.from_rotvec(angles).as_matrix()
    joints[..., 1] -= joints[..., 1].min()
    return joints.astype(np.float32)


@pytest.fixture
def tpose() -> np.ndarray:
    """(22, 3) a standing body with arms out, the target skeleton's lengths, hips below the pelvis."""
    direction = HUMANML3D.axes.copy()
    for j, x in ((16, 1), (18, 1), (20, 1), (17, -1), (19, -1), (21, -1)):
        direction[j] = [x, 0, 0]
    direction[[1, 2]] = [[0.65, -0.76, 0], [-0.65, -0.76, 0]]
    direction[[13, 14]] = [[0.5, 0.86, 0], [-0.5, 0.86, 0]]
    joints = np.zeros((22, 3))
    for j in range(1, 22):
        joints[j] = joints[HUMANML3D.parents[j]] + direction[j] / np.linalg.norm(direction[j]) * HUMANML3D.lengths[j]
    return joints
