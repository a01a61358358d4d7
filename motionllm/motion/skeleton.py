"""The two skeletons of the field: joint names, parents, kinematic chains, target bone lengths.

HumanML3D uses the first 22 joints of SMPL (metres, 20 fps), KIT-ML 21 joints
(millimetres in its files, 12.5 fps). Both are Y up. The bone lengths are those of the
clip each data set's authors chose as the target of their uniform-skeleton step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Skeleton:
    """A body of fixed topology.

    joints: names, root first. chains: kinematic chains as joint indices; the first
    joint of a chain is where it starts. axes: (J, 3) unit direction of each bone in
    the rest pose of the feature representation. lengths: (J,) metres, root 0; None where unknown.
    face: (right hip, left hip, right shoulder, left shoulder), which give the heading.
    feet: ((left ankle, left toe), (right ankle, right toe)). leg: the two bones whose
    length sets the scale between two bodies. fps: frames per second of the data set's files.
    contact: squared displacement per frame (metres²) under which a foot is in contact.
    unit: metres per unit of the data set's own files.
    """

    name: str
    joints: tuple[str, ...]
    chains: tuple[tuple[int, ...], ...]
    axes: np.ndarray
    lengths: np.ndarray | None
    face: tuple[int, int, int, int]
    feet: tuple[tuple[int, int], tuple[int, int]]
    leg: tuple[int, int]
    fps: float
    contact: float
    unit: float

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of each joint's parent; -1 for the root."""
        parents = [-1] * len(self.joints)
        for chain in self.chains:
            for a, b in pairwise(chain):
                parents[b] = a
        return tuple(parents)


def _axes(rows: str) -> np.ndarray:
    unit = {"0": (0, 0, 0), "+x": (1, 0, 0), "-x": (-1, 0, 0), "+y": (0, 1, 0), "-y": (0, -1, 0), "+z": (0, 0, 1)}
    return np.array([unit[r] for r in rows.split()], np.float64)


HUMANML3D = Skeleton(
    name="humanml3d",
    joints=(
        "pelvis",
        "left_hip",
        "right_hip",
        "spine1",
        "left_knee",
        "right_knee",
        "spine2",
        "left_ankle",
        "right_ankle",
        "spine3",
        "left_foot",
        "right_foot",
        "neck",
        "left_collar",
        "right_collar",
        "head",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
    ),
    chains=((0, 2, 5, 8, 11), (0, 1, 4, 7, 10), (0, 3, 6, 9, 12, 15), (9, 14, 17, 19, 21), (9, 13, 16, 18, 20)),
    axes=_axes("0 +x -x +y -y -y +y -y -y +y +z +z +y +x -x +z -y -y -y -y -y -y"),
    lengths=np.array(
        [
            0.0,
            0.1031002,
            0.1098677,
            0.1316027,
            0.3935892,
            0.3901261,
            0.1431638,
            0.4322149,
            0.4257075,
            0.0573621,
            0.1433811,
            0.1495409,
            0.2193494,
            0.1374501,
            0.1433608,
            0.1031087,
            0.1315577,
            0.1230033,
            0.2569246,
            0.2631323,
            0.2660105,
            0.2697176,
        ]
    ),
    face=(2, 1, 17, 16),
    feet=((7, 10), (8, 11)),
    leg=(5, 8),
    fps=20.0,
    contact=0.002,
    unit=1.0,
)

# KIT-ML names its joints by the Master Motor Map. In its files the joints that stand first in
# `face` lie on the body's right although their rest axis is +x: the data set's own convention.
KIT = Skeleton(
    name="kit",
    joints=(
        "root",
        "belly",
        "chest",
        "neck",
        "head",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_hip",
        "left_knee",
        "left_ankle",
        "left_heel",
        "left_foot",
        "right_hip",
        "right_knee",
        "right_ankle",
        "right_heel",
        "right_foot",
    ),
    chains=((0, 11, 12, 13, 14, 15), (0, 16, 17, 18, 19, 20), (0, 1, 2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10)),
    axes=_axes("0 +y +y +y +y +x -y -y -x -y -y +x -y -y +z +z -x -y -y +z +z"),
    lengths=None,
    face=(11, 16, 5, 8),
    feet=((19, 20), (14, 15)),
    leg=(17, 18),
    fps=12.5,
    contact=0.05,
    unit=0.001,
)

SKELETONS = {skeleton.name: skeleton for skeleton in (HUMANML3D, KIT)}

# Bone directions of SMPL's rest pose (a T-pose facing +Z, Y up, left at +X), of the mean body, to two decimals.
_REST = np.array(
    [
        (0, 0, 0),
        (0.60, -0.80, -0.06),
        (-0.61, -0.79, -0.04),
        (-0.02, 0.97, -0.24),
        (0.09, -1.0, -0.01),
        (-0.10, -0.99, -0.02),
        (0.04, 1.0, 0.01),
        (-0.03, -0.99, -0.11),
        (0.04, -0.99, -0.11),
        (0.02, 0.90, 0.43),
        (0.20, -0.42, 0.89),
        (-0.19, -0.36, 0.91),
        (-0.01, 0.98, -0.20),
        (0.54, 0.80, -0.22),
        (-0.53, 0.80, -0.26),
        (0.06, 0.78, 0.62),
        (0.95, 0.32, -0.09),
        (-0.95, 0.32, -0.09),
        (0.99, -0.05, -0.11),
        (-1.0, -0.05, -0.08),
        (1.0, 0.04, 0.0),
        (-1.0, 0.03, -0.02),
    ]
)
assert HUMANML3D.lengths is not None
# (22, 3) metres: the same with the target skeleton's bone lengths.
SMPL_BONES = _REST / np.maximum(np.linalg.norm(_REST, axis=-1, keepdims=True), 1e-9) * HUMANML3D.lengths[:, None]
