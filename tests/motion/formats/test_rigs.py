"""Rigs: names of many tools to the same 22 joints, structure where names fail, units, up axis, rest poses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion, features
from motionllm.motion.clip import rest_pose
from motionllm.motion.formats.bvh import UPRIGHT, rest_places
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.bvh_writer import solve_bvh, write_bvh
from motionllm.motion.formats.rig_body import to_humanml3d
from motionllm.motion.formats.rigs import RigMap, load_rig, map_rig, side_and_part
from motionllm.motion.skeleton import HUMANML3D

DATA = Path(__file__).parents[3].parent / "shared" / "data"
AMC = Path(__file__).parents[2] / "data" / "cmu" / "amc_02_01.npy"
FILES = [
    "bandai1_walk_normal",
    "bandai2_wave_left",
    "cmu_cgspeed_07_12",
    "cmu_cgspeed_49_02",
    "cmu_daz_02_01",
    "cmu_daz_run",
    "cmu_iclone",
    "cmu_lawrennd",
    "fair1_dab",
    "rokoko_dance",
]

# The 22 places in HumanML3D's order, as tools name them; L and R are put in for the side.
MIDDLE = ["pelvis", "spine1", "spine2", "spine3", "neck", "head"]
LIMBS = ["hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist"]
RIGS = {
    "mixamo": (
        "mixamorig:Hips Spine Spine1 Spine2 Neck Head",
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "mixamorig:{side}{part}",
        ("Left", "Right"),
    ),
    "lafan1": (
        "Hips Spine Spine1 Spine2 Neck Head",
        "UpLeg Leg Foot Toe Shoulder Arm ForeArm Hand",
        "{side}{part}",
        ("Left", "Right"),
    ),
    "xsens": (
        "Hips Chest Chest2 Chest3 Neck Head",
        "Hip Knee Ankle Toe Collar Shoulder Elbow Wrist",
        "{side}{part}",
        ("Left", "Right"),
    ),
    "mvn": (
        "Pelvis L5 L3 T12 Neck Head",
        "UpperLeg LowerLeg Foot Toe Shoulder UpperArm ForeArm Hand",
        "{side}{part}",
        ("Left", "Right"),
    ),
    "unreal": (
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh calf foot ball clavicle upperarm lowerarm hand",
        "{part}_{side}",
        ("l", "r"),
    ),
    "rigify": (
        "DEF-hips DEF-spine DEF-spine.001 DEF-spine.002 DEF-neck DEF-head",
        "thigh shin foot toe shoulder upper_arm forearm hand",
        "DEF-{part}.{side}",
        ("L", "R"),
    ),
    "biped": (
        "Bip01 Spine Spine1 Spine2 Neck Head",
        "Thigh Calf Foot Toe0 Clavicle UpperArm Forearm Hand",
        "Bip01 {side} {part}",
        ("L", "R"),
    ),
    "smpl": (
        "Pelvis Spine1 Spine2 Spine3 Neck Head",
        "Hip Knee Ankle Foot Collar Shoulder Elbow Wrist",
        "{side}_{part}",
        ("L", "R"),
    ),
    "vroid": (
        "J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head",
        "UpperLeg LowerLeg Foot ToeBase Shoulder UpperArm LowerArm Hand",
        "J_Bip_{side}_{part}",
        ("L", "R"),
    ),
    "asf": (
        "root lowerback upperback thorax lowerneck head",
        "femur tibia foot toes clavicle humerus radius wrist",
        "{side}{part}",
        ("l", "r"),
    ),
    "optitrack": (
        "Hip Ab Chest UChest Neck Head",
        "Thigh Shin Foot Toe Shoulder UArm FArm Hand",
        "{side}{part}",
        ("L", "R"),
    ),
    "beat": (
        "Hips Spine Spine1 Spine2 Neck Head",
        "UpLeg Leg Foot ForeFoot Shoulder Arm Arm1 Hand",
        "{side}{part}",
        ("Left", "Right"),
    ),
    "kinect": (
        "SpineBase SpineMid SpineUpper SpineShoulder Neck Head",
        "Hip Knee Ankle Foot Clavicle Shoulder Elbow Wrist",
        "{part}{side}",
        ("Left", "Right"),
    ),
    "unknown prefix": (
        "Ava_Hips Ava_Spine Ava_Spine1 Ava_Spine2 Ava_Neck Ava_Head",
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "Ava_{side}{part}",
        ("Left", "Right"),
    ),
    "snake": (
        "hips spine chest upper_chest neck head",
        "upper_leg lower_leg foot toes shoulder upper_arm lower_arm hand",
        "{side}_{part}",
        ("left", "right"),
    ),
}


def named(rig: str) -> dict[str, str]:
    middle, limbs, pattern, sides = RIGS[rig]
    names = dict(zip(MIDDLE, middle.split(" "), strict=True))
    for side, written in zip(("left", "right"), sides, strict=True):
        for place, part in zip(LIMBS, limbs.split(" "), strict=True):
            names[f"{side}_{place}"] = pattern.format(side=written, part=part)
    return names


def save_as(path: Path, names: dict[str, str], joints: np.ndarray, scale: float = 1.0, turn: np.ndarray | None = None):
    """Write joints (T, 22, 3) as BVH under other names, in other units (which are not stated), turned by a matrix."""
    turned = joints if turn is None else joints @ turn.T
    rest = rest_pose(HUMANML3D, joints) if turn is None else rest_pose(HUMANML3D, joints) @ turn.T
    bvh = solve_bvh(
        turned * scale, [names[p] for p in HUMANML3D.joints], HUMANML3D.parents, rest, 20, exact=1e-3 * scale
    )
    write_bvh(replace(bvh, unit=0.0), path)


@pytest.mark.parametrize("rig", RIGS)
def test_every_tools_names_reach_the_same_22_joints(tmp_path, rig, walk):
    save_as(tmp_path / "clip.bvh", named(rig), walk)
    clip = Motion.load(tmp_path / "clip.bvh")
    assert len(clip.skeleton.joints) == 22 and clip.skeleton is not HUMANML3D
    # Collars right at the neck would be moved; these are not.
    np.testing.assert_allclose(clip.body().joints, walk, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "side", "part"),
    [
        ("mixamorig:LeftUpLeg", "left", "upleg"),
        ("lShldr", "left", "shldr"),
        ("RHipJoint", "right", "hipjoint"),
        ("CC_Base_L_Upperarm", "left", "upperarm"),
        ("CC_Base_L_UpperarmTwist01", "", ""),
        ("CC_Base_NeckTwist01", "", "necktwist"),
        ("lowerback", "", ""),
        ("radius", "", "radius"),
        ("rradius", "right", "radius"),
        ("upper_arm.R", "right", "upperarm"),
        ("LeftHandIndex1", "left", ""),
        ("lForearmBend", "left", "forearm"),
        ("ik_hand_l", "", ""),
        ("Bip01 L Calf", "left", "calf"),
        ("ltoes", "left", "toes"),
    ],
)
def test_a_name_is_a_side_and_a_part(name, side, part):
    assert side_and_part(name) == (side, part)


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(0.01, 1.0), (1.0, 0.01), (10.0, 0.001), (0.01 / 0.0254, 0.0254), (0.01 / 0.0254 * 0.45, 0.0254 / 0.45)],
)
def test_units_are_told_by_body_size(tmp_path, scale, unit, walk):
    save_as(tmp_path / "clip.bvh", named("lafan1"), walk, scale)
    clip = Motion.load(tmp_path / "clip.bvh")
    assert clip.bvh.unit == unit
    # Metres are printed with six digits: a micrometre here and there adds up along a chain.
    np.testing.assert_allclose(clip.body().joints, walk, atol=1e-3)


def test_units_of_their_own_are_scaled_to_an_adult_and_said(tmp_path, walk):
    save_as(tmp_path / "clip.bvh", named("lafan1"), walk, 0.27)
    clip = Motion.load(tmp_path / "clip.bvh")
    assert "1.70 m tall" in clip.notes[0]
    np.testing.assert_allclose(clip.canonical().joints, Motion(walk).canonical().joints, atol=1e-3)
    given = Motion.load(tmp_path / "clip.bvh", rig={"unit": 0.01 / 0.27})
    np.testing.assert_allclose(given.body().joints, walk, atol=1e-4)


Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) → (x, −z, y)


def test_z_up_files_stand_up_and_keep_left_left(tmp_path, walk):
    save_as(tmp_path / "clip.bvh", named("lafan1"), walk, turn=Z_UP)
    clip = Motion.load(tmp_path / "clip.bvh")
    assert clip.bvh.up == "z"
    np.testing.assert_allclose(clip.body().joints, walk, atol=1e-4)


def test_z_up_motion_with_a_y_up_rest_pose_stands_up(tmp_path, walk):
    save_turned(tmp_path / "clip.bvh", walk, walk)
    clip = Motion.load(tmp_path / "clip.bvh")
    assert clip.bvh.up == "z"
    np.testing.assert_allclose(clip.body().joints, walk, atol=1e-4)


def test_lying_along_z_is_not_standing_in_a_z_up_file(tmp_path, walk):
    still = walk - walk[:, :1]
    still[..., 2] -= still[..., 2].min()  # turned, this is the height: the back lies on the floor
    save_turned(tmp_path / "clip.bvh", still * [1, 1, -1], walk)
    assert Motion.load(tmp_path / "clip.bvh").bvh.up == "y"


def save_turned(path: Path, joints: np.ndarray, standing: np.ndarray) -> None:
    """A BVH whose rest pose is Y up and whose joints are turned so that y becomes z."""
    names = [named("lafan1")[p] for p in HUMANML3D.joints]
    write_bvh(solve_bvh(joints @ Z_UP.T, names, HUMANML3D.parents, rest_pose(HUMANML3D, standing), 20), path)


def test_a_rest_pose_before_the_motion_is_dropped_and_said(tmp_path, tpose, walk):
    joints = walk
    first = np.concatenate([(tpose + joints[0, 0])[None], joints])
    save_as(tmp_path / "clip.bvh", named("lafan1"), first)
    clip = Motion.load(tmp_path / "clip.bvh")
    assert len(clip) == len(joints) and any("rest pose" in note for note in clip.notes)
    save_as(tmp_path / "plain.bvh", named("lafan1"), joints)
    assert len(Motion.load(tmp_path / "plain.bvh")) == len(joints)


def test_missing_toes_and_collars_are_placed_from_structure(walk):
    clip, joints = Motion(walk), walk.astype(np.float64)
    keep = [j for j, name in enumerate(HUMANML3D.joints) if "foot" not in name and "collar" not in name]
    names = [HUMANML3D.joints[j] for j in keep]
    up = {j: p for j, p in enumerate(HUMANML3D.parents)}
    parents = []
    for j in keep:
        parent = up[j]
        while parent >= 0 and parent not in keep:
            parent = up[parent]
        parents.append(keep.index(parent) if parent >= 0 else -1)
    mapping = map_rig(names, parents, np.ones(len(names)), (), {})
    body = to_humanml3d(joints[:, keep], {}, mapping)
    toes = body[:, [10, 11]] - body[:, [7, 8]]
    assert (toes[..., 2] > 0.05).all()
    assert (body[:, 13, 0] > body[:, 14, 0] + 0.05).all()
    assert len(clip) == len(body)


def test_what_cannot_be_placed_is_named_and_can_be_given(tmp_path, walk):
    names = named("lafan1") | {"left_knee": "Quux", "left_ankle": "Zorg", "right_elbow": "Blub", "right_wrist": "Flub"}
    save_as(tmp_path / "clip.bvh", names, walk)
    clip = Motion.load(tmp_path / "clip.bvh")  # its own joints are fine; only the 22 are not known
    with pytest.raises(MotionLLMError, match=r"clip: No joint found for left_knee, .*left_ankle") as caught:
        clip.canonical()
    assert "right_elbow" in str(caught.value) and "Quux" in str(caught.value)
    rig = {place: names[place] for place in ("left_knee", "left_ankle", "right_elbow", "right_wrist")}
    np.testing.assert_allclose(Motion.load(tmp_path / "clip.bvh", rig=rig).body().joints, walk, atol=1e-4)
    (tmp_path / "rig.yaml").write_text("\n".join(f"{k}: {v}" for k, v in rig.items()))
    np.testing.assert_allclose(
        Motion.load(tmp_path / "clip.bvh", rig=tmp_path / "rig.yaml").body().joints, walk, atol=1e-4
    )
    with pytest.raises(MotionFileError, match="no joint of the file is called"):
        Motion.load(tmp_path / "clip.bvh", rig={"left_knee": "LeftLegg", "left_ankle": "Zorg"})


@pytest.mark.parametrize(
    ("rig", "says"),
    [({"left_kneee": "x"}, "did you mean 'left_knee'"), ({"up": "w"}, "one of y, -y"), ({"unit": -1}, "above 0")],
)
def test_rig_descriptions_are_checked(rig, says):
    with pytest.raises(MotionLLMError, match=says):
        load_rig(rig)


def test_rig_file_that_is_no_mapping(tmp_path):
    (tmp_path / "rig.yaml").write_text("- a\n")
    with pytest.raises(MotionFileError, match="is a mapping"):
        load_rig(tmp_path / "rig.yaml")


@pytest.mark.parametrize("name", FILES)
def test_real_files_give_plausible_bodies(name, take):
    clip = Motion.load(take(name))
    body = clip.body().joints.astype(np.float64)
    # Stature from bone lengths, whatever the pose: legs, spine, neck, plus about 0.12 m of foot height and crown.
    lengths = [np.median(np.linalg.norm(body[:, j] - body[:, HUMANML3D.parents[j]], axis=-1)) for j in range(1, 22)]
    stature = sum(lengths[j - 1] for j in (4, 7, 3, 6, 9, 12, 15)) + 0.2
    assert 1.4 < stature < 2.0
    canonical = clip.canonical()
    joints = canonical.joints
    assert canonical.fps == 20 and joints.shape[1:] == (22, 3) and abs(len(joints) / 20 - clip.duration) <= 0.05
    assert joints[..., 1].min() == pytest.approx(0, abs=1e-6) and np.abs(joints[0, 0, [0, 2]]).max() < 1e-6
    across = joints[0, 1] - joints[0, 2] + joints[0, 16] - joints[0, 17]
    assert across[0] > 0.2 and abs(across[2]) < 1e-4  # left is +x where the body faces +Z
    ahead = np.cross(joints[:, 1] - joints[:, 2], [0.0, 1.0, 0.0])
    toes = joints[:, 10] - joints[:, 7] + joints[:, 11] - joints[:, 8]
    assert ((ahead * toes).sum(-1) > 0).mean() > 0.9  # toes point ahead: left and right are not swapped
    if "walk" in name or "02_01" in name or "run" in name or "07_12" in name:
        assert joints[-1, 0, 2] > 1.5 and joints[-1, 0, 2] > 3 * abs(joints[-1, 0, 0])


def test_bandai_walk_equals_the_published_conversion_of_the_same_take():
    path, reference = DATA / "bvh/bandai1_walk_normal.bvh", DATA / "bandai/new_joints/dataset-1_walk_normal_001.npy"
    if not (path.is_file() and reference.is_file()):
        pytest.skip("shared/data is absent")
    body = Motion.load(path).body().resample(20).joints
    # But for the spine and the collars, which are the rig's own there and twice as broad on the target skeleton.
    kept = [j for j, name in enumerate(HUMANML3D.joints) if "spine" not in name and "collar" not in name]
    np.testing.assert_allclose(body[:, kept], np.load(reference)[:, kept], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "reference", "millimetres"),
    [("cmu_cgspeed_49_02", DATA / "cmu_trials/new_joints/49_02.npy", 15), ("cmu_daz_02_01", AMC, 60)],
)
def test_cmu_takes_agree_with_the_amc_of_the_same_take(name, reference, millimetres, take):
    path = take(name)
    places = {name: j for j, name in enumerate(HUMANML3D.joints) if "collar" not in name}
    published = to_humanml3d(np.load(reference).astype(np.float64), {}, RigMap(places, (3, 6, 9)))
    ours, theirs = Motion.load(path).canonical().joints, features.canonical(published)
    count = min(len(ours), len(theirs))
    ours, theirs = ours[:count], theirs[len(theirs) - count :]
    error = np.linalg.norm((ours - ours[:, :1]) - (theirs - theirs[:, :1]), axis=-1).mean() * 1000
    assert error < millimetres


def loaded(path: Path, bvh) -> Motion:
    write_bvh(bvh, path / "clip.bvh")
    return Motion.load(path / "clip.bvh")


AXES = {
    "y": np.eye(3),
    "z": UPRIGHT["z"].T,
    "x": UPRIGHT["x"].T,
    "-y": UPRIGHT["-y"].T,
    "-z": UPRIGHT["-z"].T,
    "-x": UPRIGHT["-x"].T,
    "camera": np.diag([1.0, -1.0, -1.0]),
}


def off(got: np.ndarray, wanted: np.ndarray) -> float:
    """Metres by which the joint that is farthest off is off, on average over the clip."""
    assert len(got) == len(wanted)
    return float(np.linalg.norm(got - wanted, axis=-1).mean(0).max())


@pytest.mark.parametrize("seed", range(40))
def test_any_tools_file_gives_the_same_motion(tmp_path, walk, tools, seed):
    rng = np.random.default_rng(seed)
    names = tools.named(list(tools.conventions)[seed % len(tools.conventions)])
    bvh = tools.solved(walk, names)
    for name, place in rng.permutation(np.array(tools.helpers))[:8]:
        side = "left" if rng.random() < 0.5 else "right"
        written = names[f"{side}_knee"].replace(names["left_knee"], "L").replace(names["right_knee"], "R")
        parent = bvh.joints.index(names[place if place == "pelvis" else f"{side}_{place}"])
        bvh = tools.with_helper(bvh, str(name).format(written), parent, rng.normal(0, 5, 3), rng)
    axes, mirrored = str(rng.choice(list(AXES))), rng.random() < 0.25
    angle = Rotation.from_euler("y", rng.uniform(0, 360), degrees=True).as_matrix()
    positions = str(rng.choice(["root", "full", "zero", "noise"]))
    rest, order = str(rng.choice(["file", "y", "wild", "line"])), str(rng.choice(["ZXY", "XYZ", "YXZ", "ZYX"]))
    scale = float(rng.choice([1, 10, 39.37, 100, 1000]))
    other = tools.disguised(bvh, AXES[axes] @ angle, rest, scale, mirrored, positions, order, rng)
    clip = loaded(tmp_path, other)
    assert off(clip.canonical().joints, Motion(walk).canonical().joints) < 3e-3, (axes, mirrored, clip.notes)
    assert any("mirrored back" in note for note in clip.notes) == mirrored


def test_offsets_of_nothing_and_lengths_in_position_channels(tmp_path, walk, tools):
    clip = loaded(tmp_path, tools.disguised(tools.solved(walk, tools.named("mixamo")), positions="none"))
    assert off(clip.canonical().joints, Motion(walk).canonical().joints) < 1e-3


def moved(joints: np.ndarray, places: dict[str, tuple[float, float]]) -> np.ndarray:
    """Joints of the middle put elsewhere: so far from hips to neck (1), so many metres ahead."""
    at = {name: j for j, name in enumerate(HUMANML3D.joints)}
    joints = joints.astype(np.float64).copy()
    hips = joints[:, [1, 2]].mean(1)
    up = joints[:, 12] - hips
    ahead = np.cross(joints[:, 1] - joints[:, 2], up)
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    for place, (height, front) in places.items():
        joints[:, at[place]] = hips + height * up + front * ahead
    return joints


@pytest.mark.parametrize(
    "places",
    [
        {"spine1": (0.11, -0.012)},
        {"spine1": (0.03, -0.05)},
        {"spine1": (0.0, -0.1)},
        {"spine1": (0.15, 0.0), "spine2": (0.2, 0.01), "spine3": (0.25, 0.0)},
        {"spine1": (0.6, 0.0), "spine2": (0.75, 0.0), "spine3": (0.93, 0.0)},
        {"spine3": (0.96, 0.01)},
        {"pelvis": (0.4, 0.0), "spine1": (0.5, 0.0)},
        {"pelvis": (-0.4, 0.0)},
    ],
)
def test_spine_joints_count_by_their_height(tmp_path, walk, tools, places):
    body = loaded(tmp_path, tools.solved(moved(walk, places), tools.named("xsens"))).canonical().joints
    wanted = Motion(walk).canonical().joints
    # The torso is neither bent nor shortened, and the shoulders are as broad as they were.
    assert np.median(body[:, 12, 1] - body[:, 0, 1]) > 0.95 * np.median(wanted[:, 12, 1] - wanted[:, 0, 1])
    broad = [np.median(np.linalg.norm(b[:, 16] - b[:, 17], axis=-1)) for b in (body, wanted)]
    assert broad[0] == pytest.approx(broad[1], rel=0.1)


@pytest.mark.parametrize("inwards", [-0.06, 0.0, 0.05, 0.09])
@pytest.mark.parametrize("collars", ["spine", "neck", "shoulder", "none"])
def test_shoulders_are_as_broad_as_the_body_has_them(tmp_path, walk, tools, inwards, collars):
    joints = walk.astype(np.float64).copy()
    across = joints[:, 16] - joints[:, 17]
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    for side, sign in ((16, 1), (17, -1)):
        for j in (side, side + 2, side + 4):
            joints[:, j] -= sign * inwards * across
        share = {"spine": 0.0, "neck": 0.05, "shoulder": 0.95, "none": 0.5}[collars]
        base = joints[:, 9 if collars == "spine" else 12]
        joints[:, side - 3] = base + share * (joints[:, side] - base)
    names = tools.named("rokoko")
    if collars == "none":
        names |= {"left_collar": "Bone7", "right_collar": "Bone9"}
    clip = loaded(tmp_path, tools.solved(joints, names))
    own, given = clip.body(), clip.canonical()
    broad = [float(np.median(np.linalg.norm(c.joints[:, 16] - c.joints[:, 17], axis=-1))) / c.leg for c in (own, given)]
    assert broad[1] == pytest.approx(broad[0], rel=0.12)


@pytest.mark.parametrize("reach", [0.0, 0.01, 0.12])
def test_toes_that_are_none_are_put_ahead(tmp_path, walk, tools, reach):
    joints = walk.astype(np.float64).copy()
    for knee, ankle, toe in ((4, 7, 10), (5, 8, 11)):
        shin = joints[:, ankle] - joints[:, knee]
        joints[:, toe] = joints[:, ankle] + reach * shin / np.linalg.norm(shin, axis=-1, keepdims=True)
    clip = loaded(tmp_path, tools.solved(joints, tools.named("character creator")))
    assert off(clip.canonical().joints[:, [10, 11]], Motion(walk).canonical().joints[:, [10, 11]]) < 0.06
    assert not clip.notes[1:]


HINGES = [
    [f"{side}_{part}" for part in limb]
    for limb in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
    for side in ("left", "right")
]


def hinged(tpose, bend):
    """(T, 22, 3) of a body whose elbows and knees are bent by `bend` (T,) radians about one axis each, while hips and
    shoulders wander about all three."""
    rng, frames = np.random.default_rng(5), len(bend)
    rest = rest_pose(HUMANML3D, tpose[None])
    rest /= np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), 1e-9)
    t = np.arange(frames) / 20
    joints, world = np.zeros((frames, 22, 3)), {0: np.broadcast_to(np.eye(3), (frames, 3, 3))}
    for j in range(1, 22):
        parent = HUMANML3D.parents[j]
        joints[:, j] = joints[:, parent] + world[parent] @ rest[j] * HUMANML3D.lengths[j]
        turn = {4: (1, 0, 0), 5: (1, 0, 0), 18: (0, -1, 0), 19: (0, 1, 0)}
        angles = np.zeros((frames, 3))
        if j in turn:
            angles = bend[:, None] * turn[j]
        elif j in (1, 2, 16, 17):
            angles = np.stack(
                [rng.uniform(0.5, 1) * np.sin(rng.uniform(0.5, 2) * t + rng.uniform(0, 6)) for _ in range(3)], 1
            )
        world[j] = world[parent] @ Rotation.from_rotvec(angles).as_matrix()
    return joints


def axes_of(bvh, limb):
    """Of an elbow or knee in solved rotations, seen from the upper bone: the axis about which it bends (T, 3), its
    length the sine of the bend; how far the lower bone leaves the plane of the hinge, (T,) degrees; and how far the
    upper bone turns about itself from frame to frame, (T - 1,) degrees."""
    points, turns = bvh.world()
    u, m, low = (bvh.joints.index(name) for name in limb)
    a, b = points[:, m] - points[:, u], points[:, low] - points[:, m]
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    axis = np.einsum("tba,tb->ta", turns[:, u], np.cross(a, b))
    along = np.einsum("tba,tb->ta", turns[:, u], a)[0]
    hinge = axis.sum(0) / np.linalg.norm(axis.sum(0))
    plane = np.degrees(np.arcsin(np.abs(np.einsum("tba,tb,a->t", turns[:, u], b, hinge))))
    step = Rotation.from_matrix(turns[:-1, u].transpose(0, 2, 1) @ turns[1:, u]).as_rotvec() @ along
    return axis, plane, np.degrees(np.abs(step))


def strays(axis, least):
    """Degrees (N,) from their mean of the axes of frames bent by `least` degrees or more."""
    sine = np.linalg.norm(axis, axis=-1)
    axis = (axis / np.maximum(sine, 1e-9)[:, None])[sine > np.sin(np.radians(least))]
    mean = axis.mean(0) / np.linalg.norm(axis.mean(0))
    return np.degrees(np.arccos(np.clip(axis @ mean, -1, 1)))


@pytest.mark.parametrize(("middle", "swing"), [(62, 27), (9, 5), (30, 30), (20, 26)])
def test_elbows_and_knees_of_solved_rotations_are_hinges(tpose, middle, swing):
    """Well bent; nearly straight all the time; straight at times; and stretched beyond straight by 6 degrees."""
    bend = np.radians(middle + swing * np.sin(np.arange(120) / 10))
    joints = hinged(tpose, bend)
    bvh = Motion(joints).as_bvh()
    names = [bvh.joints.index(n) for n in HUMANML3D.joints]
    np.testing.assert_allclose(bvh.world()[0][:, names], joints, atol=1e-4)
    for limb in HINGES:
        axis, plane, _ = axes_of(bvh, limb)
        assert np.percentile(strays(axis, 4 if middle == 9 else 7), 95) < 5 and plane.max() < 2.5


def test_straight_elbows_and_knees_do_not_flip(walk, tpose):
    """Neither those of a walk, nor joints whose side is noise."""
    local = Motion(walk).as_bvh().local()[1]
    steps = local[1:].transpose(0, 1, 3, 2) @ local[:-1]
    assert np.degrees(np.arccos(np.clip((np.trace(steps, axis1=-2, axis2=-1) - 1) / 2, -1, 1))).max() < 25
    noisy = hinged(tpose, np.zeros(120)) + np.random.default_rng(0).normal(0, 0.003, (120, 22, 3))
    bvh = Motion(noisy).as_bvh()
    for limb in HINGES:
        assert axes_of(bvh, limb)[2].max() < 12


@pytest.mark.parametrize("name", FILES)
def test_elbows_and_knees_of_real_files_are_hinges_in_solved_rotations(name, take):
    """Where a joint is bent by 10 degrees or more, its axis strays by under 15 in the upper bone (95th percentile); and
    bent, straight or stretched beyond it, the lower bone leaves the plane of the hinge by under 3. An elbow that the
    file itself stretches beyond straight bends about the same axis, to its other side."""
    bvh = Motion.load(take(name)).body().as_bvh()
    for limb in HINGES:
        axis, plane, _ = axes_of(bvh, limb)
        away = strays(axis, 10)
        assert np.percentile(np.minimum(away, 180 - away), 95) < 15 and np.percentile(plane, 95) < 3


@pytest.mark.parametrize("units", ["cm", "m"])
def test_a_rig_is_kept_in_other_units_and_y_up(tmp_path, walk, tools, units):
    for k, axes in enumerate(AXES.values()):
        for rest in ("file", "y", "wild"):
            bvh = tools.disguised(tools.solved(walk, tools.named("unreal")), axes, rest, [1, 27, 1000][k % 3])
            clip = loaded(tmp_path, bvh)
            clip.save(tmp_path / "other.bvh", units=units)
            again = read_bvh(tmp_path / "other.bvh")
            assert again.joints == clip.bvh.joints
            np.testing.assert_allclose(again.world()[0] * (0.01 if units == "cm" else 1.0), clip.joints, atol=2e-4)
            if rest != "wild":
                places = rest_places(again.offsets, again.parents)
                up = places[again.joints.index("head")] - places[again.joints.index("foot_l")]
                assert up[1] > 0.9 * np.linalg.norm(up)
    with pytest.raises(MotionLLMError, match="cm or m"):
        clip.save(tmp_path / "other.bvh", units="inch")


def test_own_rotations_survive_loading_and_saving(tmp_path, take):
    clip = Motion.load(take("cmu_lawrennd"))
    clip.save(tmp_path / "again.bvh")
    np.testing.assert_allclose(read_bvh(tmp_path / "again.bvh").values, clip.bvh.values, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000,
        "&a [*a, *a]",
        "left_hip: [1, 2]",
        "up: [y]",
        "up: q",
        "unit: .inf",
        "unit: .nan",
        "unit: true",
        "unit: -1",
        "left_hip: 1",
        "left_hip: a\nleft_hip: b",
        "hello",
        "!!python/object/apply:os.getcwd []",
        "x" * 5000,
    ],
)
def test_a_rig_description_that_is_none_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    with pytest.raises(MotionLLMError) as caught:
        load_rig(path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("stature", [0.55, 0.7, 0.866, 1.1, 1.7, 2.5, 3.2])
@pytest.mark.parametrize("unit", [0.01, 1.0])
def test_a_written_file_keeps_its_size(walk, tools, tmp_path, stature, unit):
    joints = walk * (stature / 1.7)
    bvh = tools.solved(joints, tools.named("mixamo")).standing(unit)
    write_bvh(bvh, tmp_path / "clip.bvh")
    motion = Motion.load(tmp_path / "clip.bvh")
    assert motion.bvh.unit == unit and not any("unit" in note for note in motion.notes)
    assert motion.leg == pytest.approx(Motion(joints).leg, rel=1e-3)
    motion.save(tmp_path / "again.bvh")
    assert Motion.load(tmp_path / "again.bvh").leg == pytest.approx(motion.leg, rel=1e-3)


@pytest.mark.parametrize(
    ("stature", "unit", "read"),
    [(0.9, 0.01, 0.01), (2.5, 0.01, 0.01), (0.6, 1.0, 1.0), (0.6, 0.001, 0.001), (1.7, 0.0254, 0.0254), (2.4, 1, 1)],
)
def test_a_persons_size_is_taken_as_it_is_where_no_unit_is_stated(walk, tools, tmp_path, stature, unit, read):
    bvh = replace(tools.solved(walk * (stature / 1.7), tools.named("mixamo")).standing(unit), unit=0.0)
    write_bvh(bvh, tmp_path / "clip.bvh")
    assert Motion.load(tmp_path / "clip.bvh").bvh.unit == read


def test_a_stated_unit_that_makes_no_person_is_not_believed(walk, tools, tmp_path):
    bvh = replace(tools.solved(walk, tools.named("mixamo")).standing(0.001), unit=1.0)
    write_bvh(bvh, tmp_path / "clip.bvh")
    motion = Motion.load(tmp_path / "clip.bvh")
    assert motion.bvh.unit == 0.001 and "units taken for millimetres" in motion.notes


def test_the_mark_of_the_unit_is_blank(walk, tools, tmp_path):
    bvh = tools.solved(walk, tools.named("mixamo"))
    write_bvh(bvh, tmp_path / "clip.bvh")
    text = (tmp_path / "clip.bvh").read_text()
    line = next(line for line in text.split("\n") if line.startswith("Frame Time"))
    assert line.split() == ["Frame", "Time:", "0.050000000"] and line != line.rstrip()
    (tmp_path / "plain.bvh").write_text(text.replace(line, line.rstrip()))
    assert read_bvh(tmp_path / "clip.bvh").stated == 0.01 and read_bvh(tmp_path / "plain.bvh").stated is None
    (tmp_path / "dos.bvh").write_bytes(text.replace("\n", "\r\n").encode("utf-16"))
    assert read_bvh(tmp_path / "dos.bvh").stated == 0.01
