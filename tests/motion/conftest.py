"""A made-up walk for the tests of motion, which needs no data and has the target skeleton's bone lengths, and the same
motion as other tools write it: other names, axes, rest poses, units, and joints beside the body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm.motion.clip import rest_pose
from motionllm.motion.formats.bvh import BVH, euler
from motionllm.motion.formats.bvh_writer import solve_bvh
from motionllm.motion.skeleton import HUMANML3D

# The 22 places as tools name them; {} stands for the side.
CONVENTIONS = {
    "mixamo": (
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck mixamorig:Head",
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "mixamorig:{}%s",
        ("Left", "Right"),
    ),
    "unreal": (
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh calf foot ball clavicle upperarm lowerarm hand",
        "%s_{}",
        ("l", "r"),
    ),
    "metarig": (
        "spine spine.001 spine.002 spine.003 spine.004 spine.006",
        "thigh shin foot toe shoulder upper_arm forearm hand",
        "%s.{}",
        ("L", "R"),
    ),
    "daz": (
        "hip abdomenLower abdomenUpper chestLower neckLower head",
        "ThighBend Shin Foot Toe Collar ShldrBend ForearmBend Hand",
        "{}%s",
        ("l", "r"),
    ),
    "character creator": (
        "CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02 CC_Base_NeckTwist01 CC_Base_Head",
        "Thigh Calf Foot ToeBase Clavicle Upperarm Forearm Hand",
        "CC_Base_{}_%s",
        ("L", "R"),
    ),
    "vrm": (
        "J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head",
        "UpperLeg LowerLeg Foot ToeBase Shoulder UpperArm LowerArm Hand",
        "J_Bip_{}_%s",
        ("L", "R"),
    ),
    "xsens": (
        "Pelvis L5 L3 T12 Neck Head",
        "UpperLeg LowerLeg Foot Toe Shoulder UpperArm ForeArm Hand",
        "{}%s",
        ("Left", "Right"),
    ),
    "rokoko": (
        "Hips Spine Spine1 Spine2 Neck Head",
        "Thigh Shin Foot Toe Shoulder Arm ForeArm Hand",
        "{}%s",
        ("Left", "Right"),
    ),
}
# Joints that stand beside a body; their parents as places. {} is the side, as the convention writes it.
HELPERS = [
    ("calf_correctiveRoot_{}", "knee"),
    ("calf_knee_{}", "knee"),
    ("ankle_fwd_{}", "ankle"),
    ("wrist_inner_{}", "wrist"),
    ("thigh_twist_01_{}", "hip"),
    ("upperarm_bicep_{}", "shoulder"),
    ("lowerarm_twist_02_{}", "elbow"),
    ("SkirtFront_{}_UpLeg", "pelvis"),
    ("{}_SkirtKnee", "pelvis"),
    ("J_Sec_{}_CoatUpperLeg", "hip"),
    ("index_01_{}", "wrist"),
    ("{}_HandThumb1", "wrist"),
    ("ik_foot_{}", "pelvis"),
    ("ik_hand_{}", "pelvis"),
    ("{}_ElbowShareBone", "elbow"),
    ("{}_KneeShareBone", "knee"),
    ("{}ArmRoll", "shoulder"),
    ("{}_toe_tip_end", "foot"),
]


def named(convention: str) -> dict[str, str]:
    middle, limbs, pattern, sides = CONVENTIONS[convention]
    names = dict(zip(("pelvis", "spine1", "spine2", "spine3", "neck", "head"), middle.split(), strict=True))
    places = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
    for side, written in zip(("left", "right"), sides, strict=True):
        for place, part in zip(places, limbs.split(), strict=True):
            names[f"{side}_{place}"] = (pattern % part).format(written)
    return names


def solved(joints: np.ndarray, names: dict[str, str] | None = None) -> BVH:
    """Joints (T, 22, 3) at 20 fps as BVH: centimetres, Y up."""
    called = [names[p] for p in HUMANML3D.joints] if names else HUMANML3D.joints
    return solve_bvh(joints, called, HUMANML3D.parents, rest_pose(HUMANML3D, joints), 20, exact=1e-3)


def with_helper(bvh: BVH, name: str, parent: int, offset: np.ndarray, rng: np.random.Generator) -> BVH:
    """One joint more, the first child of `parent`, turning at random."""
    at, before = parent + 1, sum(len(c) for c in bvh.channels[: parent + 1])
    turns = rng.normal(0, 20, (len(bvh), 3))
    parents = [p if p < at else p + 1 for p in bvh.parents]
    return BVH(
        (*bvh.joints[:at], name, *bvh.joints[at:]),
        (*parents[:at], parent, *parents[at:]),
        np.insert(bvh.offsets, at, offset, axis=0),
        {j if j < at else j + 1: o for j, o in bvh.ends.items()},
        (*bvh.channels[:at], ("Zrotation", "Xrotation", "Yrotation"), *bvh.channels[at:]),
        np.concatenate([bvh.values[:, :before], turns, bvh.values[:, before:]], axis=1),
        bvh.fps,
        bvh.unit,
    )


def disguised(
    bvh: BVH,
    axes: np.ndarray | None = None,
    rest: str = "file",
    scale: float = 100.0,
    mirrored: bool = False,
    positions: str = "root",
    order: str = "ZXY",
    rng: np.random.Generator | None = None,
) -> BVH:
    """The same motion from another tool.

    axes: (3, 3) from Y up to the file's axes. rest: "file" (stands in the file's axes), "y" (Y up, the root turns),
    "wild" (every joint turned at random), "line" (every bone along z). scale: file units in a metre. mirrored: x
    negated, names kept. positions: channels below the root: "root" (none), "full", "zero", "noise", "none" (offsets 0).
    """
    axes, rng = np.eye(3) if axes is None else axes, rng or np.random.default_rng(0)
    mirror = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    points, turns = bvh.world()
    points, turns = points @ mirror, mirror @ turns @ mirror
    offsets = bvh.offsets * bvh.unit @ mirror
    ends = {j: o * bvh.unit @ mirror for j, o in bvh.ends.items()}
    count = len(bvh.joints)
    if rest == "wild":
        own = Rotation.random(count, random_state=int(rng.integers(1e6))).as_matrix()
    elif rest == "line":
        own = np.stack([np.eye(3)] * count)
        for j in range(count):
            child = next((offsets[k] for k in range(count) if bvh.parents[k] == j), ends.get(j, np.zeros(3)))
            if np.linalg.norm(child) > 1e-9:
                own[j] = Rotation.align_vectors([child], [[0, 0, 1]])[0].as_matrix()
    else:
        own = np.stack([axes.T if rest == "file" else np.eye(3)] * count)
    world = axes @ turns @ own
    made, columns, channels = np.zeros_like(offsets), [], []
    for j, parent in enumerate(bvh.parents):
        if parent >= 0:
            made[j] = own[parent].T @ offsets[j] * scale
        local = world[:, j] if parent < 0 else world[:, parent].transpose(0, 2, 1) @ world[:, j]
        where = {
            "full": np.tile(made[j], (len(bvh), 1)),
            "none": np.tile(made[j], (len(bvh), 1)),
            "zero": np.zeros((len(bvh), 3)),
            "noise": rng.normal(0, 1e-6 * scale, (len(bvh), 3)),
        }
        place = points[:, 0] @ axes.T * scale if parent < 0 else where.get(positions)
        columns += [euler(local, order)] if place is None else [place, euler(local, order)]
        moved = () if place is None else ("Xposition", "Yposition", "Zposition")
        channels.append((*moved, *(f"{axis}rotation" for axis in order)))
    made = np.zeros_like(made) if positions == "none" else made
    ends = {j: own[j].T @ o * scale for j, o in ends.items()}
    return BVH(bvh.joints, bvh.parents, made, ends, tuple(channels), np.concatenate(columns, axis=1), bvh.fps)


@pytest.fixture
def tools() -> SimpleNamespace:
    """What makes one tool's file of a motion: CONVENTIONS, HELPERS, named, solved, with_helper, disguised."""
    return SimpleNamespace(
        conventions=CONVENTIONS,
        helpers=HELPERS,
        named=named,
        solved=solved,
        with_helper=with_helper,
        disguised=disguised,
    )


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


@pytest.fixture(scope="session")
def take() -> Callable[[str], Path]:
    """A real BVH file by its name: of the sample beside the tests, else of ../shared/data, where that is there."""

    def find(name: str) -> Path:
        repository = Path(__file__).parents[2]
        for folder in (repository / "tests" / "data" / "cmu", repository.parent / "shared" / "data"):
            if (path := folder / "bvh" / f"{name}.bvh").is_file():
                return path
        pytest.skip(f"{name}.bvh is not in the sample, and ../shared/data/bvh is not there")

    return find
