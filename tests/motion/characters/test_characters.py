"""Characters of many tools: recognised, moved as the clip's body moves, and written as other programs read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm import Motion
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion.characters import Character, Performance, read_character, retarget, save, with_root
from motionllm.motion.characters.fbx_saving import blender, check
from motionllm.motion.characters.gltf_saving import animated
from motionllm.motion.feet import contacts
from motionllm.motion.formats.bvh import UPRIGHT
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.bvh_writer import write_bvh
from motionllm.motion.formats.gltf_file import Gltf
from motionllm.motion.skeleton import HUMANML3D

NAMES = [
    "mixamo",
    "mixamo a-pose",
    "unreal",
    "unreal metres",
    "unity",
    "vrm0",
    "vrm1",
    "vrm of any names",
    "rigify",
    "makehuman",
    "daz",
    "child",
]
LIMBS = [("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")]
Make = Callable[..., Path]


def played(gltf: Gltf) -> dict[str, np.ndarray]:
    """World positions (T, 3) of the nodes as any reader of glTF computes them, with scales."""
    doc, above = gltf.doc, gltf.parents()
    animation = doc["animations"][0]
    moved = {}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        moved[channel["target"]["node"], channel["target"]["path"]] = gltf.array(sampler["output"])
    frames = len(next(iter(moved.values())))
    places, turns, scales = gltf.locals()
    world: dict[int, np.ndarray] = {}

    def matrix(node: int) -> np.ndarray:
        if node not in world:
            local = np.tile(np.eye(4), (frames, 1, 1))
            turn = moved.get((node, "rotation"))
            own = turns[node][None] if turn is None else Rotation.from_quat(turn).as_matrix()
            local[:, :3, :3] = own * scales[node]
            local[:, :3, 3] = moved.get((node, "translation"), places[node])
            world[node] = matrix(above[node]) @ local if above[node] >= 0 else local
        return world[node]

    return {node.get("name", str(n)): matrix(n)[:, :3, 3] for n, node in enumerate(doc["nodes"])}


def limb(character: Character, joints: np.ndarray, side: str, parts: tuple[str, ...]) -> list[np.ndarray]:
    return [joints[:, character.places[f"{side}_{part}"]] for part in parts]


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def bones_keep_their_length(performance: Performance, joints: np.ndarray) -> None:
    character = performance.character
    for j, parent in enumerate(character.parents):
        if parent >= 0 and j != character.hub and parent != performance.carrier:
            lengths = np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1)
            rest = np.linalg.norm(character.rest[j] - character.rest[parent]) * character.unit
            np.testing.assert_allclose(lengths, rest, atol=1e-5)


def joints_bend_to_their_own_side(performance: Performance, joints: np.ndarray, stray: float = 15.0) -> None:
    """The axis of each elbow and knee is fixed in the upper bone, and the joint never turns backwards about it."""
    character = performance.character
    for side in ("left", "right"):
        for parts in LIMBS:
            a, b, c = limb(character, joints, side, parts)
            turn = performance.turned[character.places[f"{side}_{parts[0]}"]]
            bend = np.einsum("tba,tb->ta", turn, np.cross(b - a, c - b))
            sine = np.linalg.norm(bend, axis=-1) / np.linalg.norm(b - a, axis=-1) / np.linalg.norm(c - b, axis=-1)
            up, low = (character.at(f"{side}_{parts[k + 1]}") - character.at(f"{side}_{parts[k]}") for k in (0, 1))
            way = character.facing[:, 2] * (-1 if parts[0] == "hip" else 1)
            usual = np.cross(up, way) if np.linalg.norm(np.cross(up, low)) < 0.1 * up @ up else np.cross(up, low)
            away = angle(bend, usual[None])[sine > 0.2]
            assert away.size == 0 or np.percentile(away, 95) <= stray, (side, parts, np.percentile(away, 95))
            assert away.size == 0 or away.max() < 90


def feet_stand(character: Character, joints: np.ndarray, motion: Motion) -> None:
    """While the clip's foot stands, the character's is on the floor within 2 cm, and it is never below by more."""
    standing = contacts(motion.joints, motion.fps)
    assert standing.any()
    for side, name in enumerate(("left", "right")):
        feet = [character.places[f"{name}_{part}"] for part in ("ankle", "foot")]
        height = joints[:, feet, 1] - character.rest[feet, 1] * character.unit
        lowest = height.min(1)
        assert np.abs(lowest[standing[:, side]]).max() < 0.02
        assert lowest.min() > -0.02


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_moves_every_character(name: str, character: Make, clips: dict[str, Motion]) -> None:
    rig = read_character(character(name))
    for clip, motion in clips.items():
        performance = retarget(motion, rig)
        positions = played(animated(performance, clip))
        joints = np.stack([positions[joint] for joint in rig.joints], axis=1) * rig.unit
        np.testing.assert_allclose(joints, performance.joints(), atol=1e-3 * rig.unit + 1e-5)
        bones_keep_their_length(performance, joints)
        joints_bend_to_their_own_side(performance, joints)
        feet_stand(rig, joints, motion)
        scale = rig.leg * rig.unit / motion.leg
        for side in ("left", "right"):  # arms point where the clip's do
            for k in (0, 1):
                ours = [rig.places[f"{side}_{part}"] for part in LIMBS[1][k : k + 2]]
                theirs = [HUMANML3D.joints.index(f"{side}_{part}") for part in LIMBS[1][k : k + 2]]
                away = angle(*(p[:, i[1]] - p[:, i[0]] for p, i in ((joints, ours), (motion.joints, theirs))))
                assert away.max() < 5
        hips = joints[:, [rig.places["left_hip"], rig.places["right_hip"]]].mean(1)
        theirs = motion.joints[:, [1, 2]].mean(1)
        way, expected = (hips - hips[0])[:, [0, 2]], scale * (theirs - theirs[0])[:, [0, 2]]
        np.testing.assert_allclose(way, expected, atol=0.01, rtol=0.01)
        ankles = {side: joints[:, rig.places[f"{side}_ankle"], 1].max() for side in ("left", "right")}
        wrists = {side: joints[:, rig.places[f"{side}_wrist"], 1].max() for side in ("left", "right")}
        if clip == "kick":
            assert ankles["right"] > ankles["left"] + 0.2 * scale
        if clip == "wave":
            assert wrists["left"] > wrists["right"] + 0.3 * scale


@pytest.mark.parametrize("name", NAMES)
def test_places_are_where_the_rig_has_them(name: str, character: Make) -> None:
    rig = read_character(character(name))
    at = {place: rig.at(place) for place in HUMANML3D.joints if not place.startswith("spine")}
    facing = rig.facing
    for place, point in at.items():
        if place.startswith(("left_", "right_")):
            assert ((point - at["pelvis"]) @ facing[:, 0] > 0) == place.startswith("left_")
    legs = {side: [at[f"{side}_{part}"][1] for part in (*LIMBS[0], "foot")] for side in ("left", "right")}
    assert all(np.all(np.diff(heights) < 0) for heights in legs.values())
    assert at["head"][1] > at["neck"][1] > at["left_shoulder"][1] > at["pelvis"][1] > at["left_hip"][1]
    assert (at["left_foot"] - at["left_ankle"]) @ facing[:, 2] > 0
    assert np.linalg.norm(at["left_wrist"] - at["left_elbow"]) == pytest.approx(
        np.linalg.norm(at["right_wrist"] - at["right_elbow"]), rel=1e-3
    )
    assert rig.floor == 0.0


def test_a_file_that_stands_in_another_pose_is_moved_from_its_bind_pose(
    character: Make, clips: dict[str, Motion]
) -> None:
    expected = retarget(clips["kick"], read_character(character("mixamo a-pose"))).joints()
    rig = read_character(character("mixamo a-pose", posed=True))
    positions = played(animated(retarget(clips["kick"], rig), "kick"))
    ends = [j for j, joint in enumerate(rig.joints) if j in rig.places.values()]
    for j in ends:
        np.testing.assert_allclose(positions[rig.joints[j]], expected[:, j], atol=1e-3)


def test_everything_else_in_the_file_is_kept(character: Make, clips: dict[str, Motion], tmp_path: Path) -> None:
    path = character("vrm1")
    before = Gltf.read(path)
    save(retarget(clips["wave"], read_character(path), fps=60), tmp_path / "out.glb", "wave")
    after = Gltf.read(tmp_path / "out.glb")
    assert {k: v for k, v in after.doc.items() if k in ("nodes", "meshes", "skins", "materials", "extensions")} == {
        k: v for k, v in before.doc.items() if k in ("nodes", "meshes", "skins", "materials", "extensions")
    }
    assert after.data.startswith(before.data)
    times = after.array(after.doc["animations"][0]["samplers"][0]["input"])
    assert np.abs(times * 60 - np.arange(len(times))).max() < 1e-3


# -- other formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mixamo", "unreal", "vrm0", "daz", "makehuman"])
@pytest.mark.parametrize("root_motion", ["hips", "root"])
def test_bvh_is_the_rig_in_centimetres(
    name: str, root_motion: str, character: Make, clips: dict[str, Motion], tmp_path: Path
) -> None:
    rig = read_character(character(name))
    rig = with_root(rig) if root_motion == "root" else rig
    performance = retarget(clips["kick"], rig).rooted(root_motion)
    save(performance, tmp_path / "out.bvh")
    bvh = read_bvh(tmp_path / "out.bvh")
    assert set(bvh.joints) <= {joint.replace(" ", "_") for joint in rig.joints}
    joints, points = performance.joints() * 100, bvh.positions()
    for k, joint in enumerate(bvh.joints):
        np.testing.assert_allclose(points[:, k], joints[:, rig.joints.index(joint)], atol=0.01)
    assert bvh.offsets[bvh.joints.index(rig.joints[rig.places["left_knee"]])][1] < -20


def test_a_bvh_rig_is_a_character_too(rig_bvh: Make, clips: dict[str, Motion], tmp_path: Path) -> None:
    rig = read_character(rig_bvh("unreal", 0.9, 100.0, 40.0))
    performance = retarget(clips["kick"], rig)
    joints = performance.joints()
    bones_keep_their_length(performance, joints)
    feet_stand(rig, joints, clips["kick"])
    save(performance, tmp_path / "out.bvh")
    bvh = read_bvh(tmp_path / "out.bvh")
    assert bvh.joints == rig.joints
    np.testing.assert_allclose(bvh.positions() / 100, joints, atol=1e-4)
    save(performance, tmp_path / "out.glb", "kick")
    positions = played(Gltf.read(tmp_path / "out.glb"))
    for j, joint in enumerate(rig.joints):
        np.testing.assert_allclose(positions[joint], joints[:, j], atol=1e-3)


@pytest.mark.parametrize("rest", ["line", "wild", "y"])
def test_a_bvh_without_a_rest_pose_is_moved_from_its_motion(
    rest: str, walk: np.ndarray, tools: SimpleNamespace, clips: dict[str, Motion], tmp_path: Path
) -> None:
    """Bones all in one line, or turned at random: the frame is taken in which the body stands most like at rest."""
    bvh = tools.disguised(tools.solved(walk, tools.named("mixamo")), UPRIGHT["z"].T, rest)
    write_bvh(bvh, tmp_path / "rig.bvh")
    rig = read_character(tmp_path / "rig.bvh")
    performance = retarget(clips["kick"], rig)
    joints = performance.joints()
    feet_stand(rig, joints, clips["kick"])
    bones_keep_their_length(performance, joints)
    ankles = [joints[:, rig.places[f"{side}_ankle"], 1].max() for side in ("left", "right")]
    assert ankles[1] > ankles[0] + 0.2
    save(performance, tmp_path / "out.bvh")
    written = read_bvh(tmp_path / "out.bvh")
    assert set(written.joints) == set(rig.joints)
    for k, joint in enumerate(written.joints):
        np.testing.assert_allclose(written.positions()[:, k] / 100, joints[:, rig.joints.index(joint)], atol=1e-3)


@pytest.mark.parametrize("name", ["vrm0", "vrm1", "unreal", "rigify"])
def test_vrma_is_a_t_pose_and_turns_from_it(
    name: str, character: Make, clips: dict[str, Motion], tmp_path: Path
) -> None:
    rig = read_character(character(name))
    performance = retarget(clips["kick"], rig)
    save(performance, tmp_path / "out.vrma")
    file = Gltf.read(tmp_path / "out.vrma")
    extension = file.doc["extensions"]["VRMC_vrm_animation"]
    bones = {bone: row["node"] for bone, row in extension["humanoid"]["humanBones"].items()}
    assert extension["specVersion"] == "1.0" and "VRMC_vrm_animation" in file.doc["extensionsUsed"]
    assert {"hips", "spine", "chest", "head", "leftUpperLeg", "rightFoot", "leftHand", "rightLowerArm"} <= set(bones)
    still = {bone: Gltf({**file.doc, "animations": []}, file.data) for bone in ("hips",)}["hips"]
    places = np.array([node.get("translation", [0, 0, 0]) for node in still.doc["nodes"]])
    above = file.parents()
    stands = {}
    for bone, node in bones.items():
        stands[bone] = places[node] + (
            stands[next(b for b, n in bones.items() if n == above[node])] if above[node] >= 0 else 0
        )
    for side, out in (("left", 1.0), ("right", -1.0)):
        for upper, lower in (("UpperArm", "LowerArm"), ("LowerArm", "Hand")):
            arm = stands[f"{side}{lower}"] - stands[f"{side}{upper}"]
            assert arm[0] * out > 0.99 * np.linalg.norm(arm)
        leg = stands[f"{side}Foot"] - stands[f"{side}UpperLeg"]
        assert -leg[1] > 0.97 * np.linalg.norm(leg)
    positions = played(file)
    joints = performance.joints()
    for a, b in (
        ("hips", "head"),
        ("leftUpperArm", "leftHand"),
        ("rightUpperLeg", "rightFoot"),
        ("leftLowerLeg", "leftFoot"),
    ):
        ours = joints[:, _joint(rig, b)] - joints[:, _joint(rig, a)]
        assert angle(positions[b] - positions[a], ours).max() < 1.5


def _joint(rig: Character, bone: str) -> int:
    from motionllm.motion.formats.rigs import VRM

    return rig.hub if bone == "hips" else rig.places[VRM[bone]]


def test_usd_skins_the_character(character: Make, clips: dict[str, Motion], tmp_path: Path) -> None:
    pytest.importorskip("pxr", reason="usd-core is not installed")
    from pxr import Usd, UsdGeom, UsdSkel

    rig = read_character(character("mixamo"))
    performance = retarget(clips["kick"], rig, fps=30)
    save(performance, tmp_path / "out.usda", "kick")
    stage = Usd.Stage.Open(str(tmp_path / "out.usda"))
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert (stage.GetFramesPerSecond(), stage.GetEndTimeCode()) == (30, len(performance) - 1)
    cache = UsdSkel.Cache()
    root = UsdSkel.Root(stage.GetDefaultPrim())
    cache.Populate(root, Usd.TraverseInstanceProxies())
    query = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath("/Character/Skeleton")))
    expected = performance.joints()
    for frame in range(0, len(performance), 10):
        world = np.array(query.ComputeJointSkelTransforms(frame))[:, 3, :3]
        np.testing.assert_allclose(world, expected[frame], atol=1e-4)
    bindings = cache.ComputeSkelBindings(root, Usd.TraverseInstanceProxies())
    target = bindings[0].GetSkinningTargets()[0]
    points = UsdGeom.Mesh(target.GetPrim()).GetPointsAttr().Get()
    frame = len(performance) // 2
    target.ComputeSkinnedPoints(query.ComputeSkinningTransforms(frame), points, frame)
    away = np.linalg.norm(np.array(points)[:, None] - expected[frame][None], axis=-1).min(-1)
    assert away.max() < 0.3 and np.ptp(np.array(points)[:, 1]) > 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_blender_has_the_joints_where_ours_are(
    name: str, character: Make, clips: dict[str, Motion], tmp_path: Path
) -> None:
    try:
        blender()
    except MotionLLMError as error:
        pytest.skip(str(error))
    rig = read_character(character(name))
    performance = retarget(clips["kick"], rig, fps=30)
    save(performance, tmp_path / "out.fbx", "kick")  # which compares what Blender reads back
    save(performance, tmp_path / "out.glb", "kick")
    from motionllm.motion.characters.fbx_saving import SCRIPT

    script = tmp_path / "poses.py"
    script.write_text(
        f"import sys, json\nsys.path.insert(0, {str(SCRIPT.parent)!r})\nimport bpy\nimport blender_script as b\n"
        f"b.empty_scene(30, {len(performance)})\nbpy.ops.import_scene.gltf(filepath={str(tmp_path / 'out.glb')!r})\n"
        f"json.dump(b.poses({len(performance)}, b.first_frame()), open({str(tmp_path / 'poses.json')!r}, 'w'))\n"
    )
    subprocess.run([*blender(), str(script)], check=True, capture_output=True)
    poses = json.loads((tmp_path / "poses.json").read_text())
    assert check(performance, {bone: np.array(places) for bone, places in poses.items()}) < 1e-3


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds three.js and its loaders of VRM."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed, by which three.js comes")
    folder = tmp_path_factory.mktemp("three")
    packages = ["three", "@pixiv/three-vrm", "@pixiv/three-vrm-animation"]
    subprocess.run(
        ["npm", "install", "--no-fund", "--no-audit", *packages], cwd=folder, check=True, capture_output=True
    )
    shutil.copy(Path(__file__).with_name("three_player.mjs"), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_three_js_has_the_joints_where_ours_are(
    name: str, three: Path, character: Make, clips: dict[str, Motion], tmp_path: Path
) -> None:
    path = character(name)
    rig = read_character(path)
    performance = retarget(clips["kick"], rig, fps=30)
    save(performance, tmp_path / "out.glb")
    save(performance, tmp_path / "out.vrma")
    files = [[tmp_path / "out.glb"]] + ([[path, tmp_path / "out.vrma"]] if name.startswith("vrm") else [])
    joints = performance.joints() / rig.unit
    for given in files:
        words = ["node", "three_player.mjs", "30", str(len(performance)), *map(str, given)]
        done = subprocess.run(words, cwd=three, capture_output=True, text=True, check=True)
        poses = {re.sub(r"[\[\].:/]", "", joint.replace(" ", "_")): at for joint, at in json.loads(done.stdout).items()}
        for j in rig.places.values() if len(given) == 2 else range(len(rig.joints)):
            place = np.array(poses[re.sub(r"[\[\].:/]", "", rig.joints[j].replace(" ", "_"))])
            np.testing.assert_allclose(place * rig.unit, joints[:, j] * rig.unit, atol=1e-3)


# -- paths, rates and loops ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unreal", "mixamo", "vrm0", "daz"])
def test_the_path_is_where_it_is_asked_for(name: str, character: Make, clips: dict[str, Motion]) -> None:
    rig = with_root(read_character(character(name)))
    whole = retarget(clips["walk"], rig)
    joints = whole.joints()
    root = whole.rooted("root")
    np.testing.assert_allclose(
        root.joints()[:, list(rig.places.values())], joints[:, list(rig.places.values())], atol=1e-6
    )
    carrier = root.joints()[:, root.carrier]
    hips = joints[:, rig.hub]
    assert np.linalg.norm((carrier[-1] - carrier[0] - hips[-1] + hips[0])[[0, 2]]) < 0.15
    assert np.ptp(carrier[:, 1]) < 1e-6
    still = whole.rooted("in-place").joints()
    assert np.abs(still[:, rig.hub][:, [0, 2]]).max() < 0.12
    np.testing.assert_allclose(still[:, rig.hub, 1], hips[:, 1], atol=1e-6)
    positions = played(animated(root, "walk"))
    for j in rig.places.values():
        np.testing.assert_allclose(positions[rig.joints[j]] * rig.unit, joints[:, j], atol=1e-3)


def test_a_root_is_added_where_none_is(character: Make) -> None:
    rig = read_character(character("unity"))
    assert rig.parents[rig.hub] < 0
    other = with_root(rig)
    assert other.joints[other.parents[other.hub]] == "root" and with_root(other) is other
    for place in rig.places:
        np.testing.assert_allclose(other.at(place), rig.at(place), atol=1e-6)


def test_rates_are_those_asked_for_and_motion_stays_even(character: Make, clips: dict[str, Motion]) -> None:
    rig = read_character(character("mixamo"))
    motion = clips["walk"]
    for fps in (30, 60, 120):
        performance = retarget(motion, rig, fps)
        assert performance.fps == fps and abs((len(performance) - 1) / fps - (len(motion) - 1) / motion.fps) < 1 / fps
        joints = performance.joints()
        feet_stand(rig, joints, Motion(_at(motion, fps, len(joints)), fps))
        ankle = joints[:, rig.places["left_ankle"]]
        jerks = np.linalg.norm(np.diff(ankle, 2, axis=0), axis=-1) * fps**2
        assert jerks.max() < 90  # metres per second squared; steps between held frames would be hundreds


def _at(motion: Motion, fps: float, frames: int) -> np.ndarray:
    return motion.resample(fps).joints[:frames]


def test_a_loop_ends_as_it_begins(character: Make, clips: dict[str, Motion]) -> None:
    rig = read_character(character("unreal"))
    performance = retarget(clips["walk"], rig, 30, loop=True).rooted("in-place")
    assert 0.5 < (len(performance) - 1) / 30 < clips["walk"].duration
    for joint in performance.moving:
        local = performance.local(joint)
        assert np.degrees(Rotation.from_matrix(local[0].T @ local[-1]).magnitude()) < 0.5
    joints = performance.joints()
    np.testing.assert_allclose(joints[0], joints[-1], atol=0.03)
    first, last = (joints[k + 1] - joints[k] for k in (0, -2))
    assert np.linalg.norm(first - last, axis=-1).max() * 30 < 1.5
    bones_keep_their_length(performance, joints)


@pytest.mark.parametrize("fps", [0, -30, 1, 100_000, float("nan")])
def test_rates_that_no_character_plays_at_are_refused(fps: float, character: Make, clips: dict[str, Motion]) -> None:
    with pytest.raises(MotionLLMError, match="5 to 500 are possible"):
        retarget(clips["walk"], read_character(character("unity")), fps)


def test_what_does_not_repeat_is_not_looped(character: Make, clips: dict[str, Motion]) -> None:
    rig = read_character(character("mixamo"))
    fall = clips["walk"].joints.copy()
    fall[..., 1] += np.linspace(0, 5, len(fall))[:, None]  # goes up all the time
    with pytest.raises(MotionLLMError, match=r"no cycle to loop: the two most alike are [0-9]+ cm apart"):
        retarget(Motion(fall), rig, loop=True)
    with pytest.raises(MotionLLMError, match="too short"):
        retarget(clips["walk"].cut(0, 6), rig, loop=True)


# -- faults -------------------------------------------------------------------------------------------------


def test_knees_and_elbows_bent_backwards_are_laid_straight(character: Make, clips: dict[str, Motion]) -> None:
    rig = read_character(character("mixamo"))
    motion = clips["wave"].joints.copy()
    for hip, knee, ankle, toe in ((1, 4, 7, 10), (2, 5, 8, 11)):  # knees bent forwards by 20 degrees
        shift = np.array([0, 0, 0.12])
        motion[10:40, [ankle, toe]] += shift + (motion[10:40, [knee]] - motion[10:40, [ankle]]) * [0, 0.03, 0]
        motion[10:40, [ankle, toe]] += (motion[10:40, [hip]] - motion[10:40, [hip]]) * 0
    performance = retarget(Motion(motion), rig)
    joints = performance.joints()
    ahead = rig.facing[:, 2]
    for side in ("left", "right"):
        a, b, c = limb(rig, joints, side, LIMBS[0])
        turn = performance.turned[rig.hub]
        bulge = np.einsum("tb,tb->t", b - (a + c) / 2, turn @ ahead)
        assert bulge.min() > -0.005
    bones_keep_their_length(performance, joints)


def test_a_rig_that_is_not_recognised_names_what_is_missing(
    character: Make, tmp_path: Path, clips: dict[str, Motion]
) -> None:
    path = character("vrm of any names", vrm="")
    with pytest.raises(MotionFileError, match=r"No joint found for .*left_knee.* YAML .* --map"):
        read_character(path)
    lines = ["pelvis: b00", "spine1: b01", "spine2: b02", "neck: b03", "head: b04"]
    parts = {"u": ("hip", "knee", "ankle", "foot"), "o": ("collar", "shoulder", "elbow", "wrist")}
    for side in ("left", "right"):
        for letter, places in parts.items():
            lines += [f"{side}_{place}: {letter}{side[0].upper()}{k}" for k, place in enumerate(places)]
    (tmp_path / "map.yaml").write_text("\n".join(lines))
    rig = read_character(path, tmp_path / "map.yaml")
    feet_stand(rig, retarget(clips["kick"], rig).joints(), clips["kick"])
    (tmp_path / "wrong.yaml").write_text("\n".join(lines).replace("left_knee: uL1", "left_knee: uR1"))
    with pytest.raises(MotionFileError, match=r"left_knee .uR1. does not hang below left_hip"):
        read_character(path, tmp_path / "wrong.yaml")


def test_files_that_are_no_character_are_refused_in_a_sentence(character: Make, tmp_path: Path) -> None:
    whole = character("unity").read_bytes()
    doc = Gltf.parse(whole)
    cases = {
        "cut.glb": (whole[: len(whole) // 2], "cut short"),
        "text.glb": (b"hello, this is no binary file", "not a GLB"),
        "bare.glb": (Gltf({"asset": {"version": "2.0"}, "nodes": [{"name": "box"}]}).to_bytes(), "no skeleton"),
        "lying.glb": (_lying(doc).to_bytes(), "does not stand along Y"),
        "round.glb": (_round(doc).to_bytes(), "no hierarchy"),
        "character.fbx": (b"Kaydara", "export it as glTF binary"),
        "character.txt": (b"", "export it as glTF binary"),
    }
    for name, (content, says) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MotionFileError, match=says) as caught:
            read_character(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(MotionFileError, match="no such file"):
        read_character(tmp_path / "none.glb")


def _lying(gltf: Gltf) -> Gltf:
    doc = json.loads(json.dumps(gltf.doc))
    doc["nodes"].append({"name": "over", "rotation": [0.7071068, 0, 0, 0.7071068], "children": [0]})
    doc.pop("skins")
    doc["nodes"] = [{k: v for k, v in node.items() if k != "skin"} for node in doc["nodes"]]
    return Gltf(doc, gltf.data)


def _round(gltf: Gltf) -> Gltf:
    doc = json.loads(json.dumps(gltf.doc))
    doc["nodes"][5]["children"] = [0]
    return Gltf(doc, gltf.data)


def test_what_is_missing_is_said_in_a_sentence(
    character: Make, clips: dict[str, Motion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    performance = retarget(clips["wave"], read_character(character("unity")))
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MotionFileError, match=r"pip install 'motionllm\[usd\]'"):
        save(performance, tmp_path / "out.usda")
    monkeypatch.setenv("MOTIONLLM_BLENDER", str(tmp_path / "nowhere"))
    with pytest.raises(MotionFileError, match=r"no program: pip install 'motionllm\[bpy\]'"):
        save(performance, tmp_path / "out.fbx")
    with pytest.raises(MotionFileError, match=r"a character is saved as \.glb, \.vrma"):
        save(performance, tmp_path / "out.dae")
    with pytest.raises(MotionLLMError, match="no root motion is called 'feet'"):
        performance.rooted("feet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unity.glb"]


# -- and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_read_again(name: str, character: Make, clips: dict[str, Motion], tmp_path: Path) -> None:
    """GLB, VRMA and BVH of a character come back where it moved, in its size, without a guess."""
    rig = read_character(character(name))
    performance = retarget(clips["kick"], rig, fps=30)
    joints = performance.joints()
    sizes = []
    for suffix in (".glb", ".bvh"):
        written = [joint.replace(" ", "_") if suffix == ".bvh" else joint for joint in rig.joints]
        given = {place: written[j] for place, j in rig.places.items()}
        save(performance, tmp_path / f"out{suffix}", "kick")
        motion = Motion.load(tmp_path / f"out{suffix}", given)
        assert motion.fps == 30 and len(motion) == len(performance)
        assert not [note for note in motion.notes if "m tall" in note or ("units" in note and rig.unit == 1)]
        for k, joint in enumerate(motion.skeleton.joints):
            if joint in written:
                np.testing.assert_allclose(motion.joints[:, k], joints[:, written.index(joint)], atol=1e-3)
        assert set(given.values()) <= set(motion.skeleton.joints)
        sizes.append(motion.leg)
    save(performance, tmp_path / "out.vrma", "kick")
    sizes.append(Motion.load(tmp_path / "out.vrma").leg)
    np.testing.assert_allclose(sizes, rig.leg * rig.unit, rtol=2e-3)
