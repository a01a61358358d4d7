"""Names of other tools in exported files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.characters import read_character
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.gltf_file import Gltf
from motionllm.motion.formats.naming import NAMES, named, save_named
from motionllm.motion.formats.rigs import Rig, helpers, map_rig
from motionllm.motion.formats.schemes import written
from motionllm.motion.skeleton import HUMANML3D


@pytest.mark.parametrize("scheme", sorted(NAMES))
def test_the_22_joints_have_the_names_of_the_tool(scheme: str, walk: np.ndarray, tmp_path: Path) -> None:
    motion = Motion(walk)
    save_named(motion, tmp_path / "out.bvh", scheme, "m")
    bvh = read_bvh(tmp_path / "out.bvh")
    points = bvh.positions()
    for j, place in enumerate(HUMANML3D.joints):
        np.testing.assert_allclose(points[:, bvh.joints.index(NAMES[scheme][place])], walk[:, j], atol=1e-3)
    assert (bvh.joints[0] == "root") == (scheme == "unreal")
    again = Motion.load(tmp_path / "out.bvh").body().joints
    for j in (4, 5, 7, 8, 18, 19, 20, 21):
        np.testing.assert_allclose(again[:, j], walk[:, j], atol=2e-3)
    save_named(motion, tmp_path / "out.glb", scheme)
    rig = read_character(tmp_path / "out.glb")
    assert {rig.joints[j] for j in rig.places.values()} <= set(NAMES[scheme].values())
    assert not any("base" in joint for joint in rig.joints if joint not in NAMES[scheme].values())


def body(walk: np.ndarray, seed: int) -> np.ndarray:
    """Joints (T, 22, 3) of a body of its own proportions, hips high above the pelvis or below it, that moves its own
    way: a walk whose bones and angles are changed at random."""
    random = np.random.default_rng(seed)
    bvh = Motion(walk).as_bvh()
    lengths = np.linalg.norm(bvh.offsets, axis=-1, keepdims=True)
    offsets = bvh.offsets * random.uniform(0.8, 1.25, lengths.shape)
    offsets += random.normal(0, 0.15, offsets.shape) * lengths * (random.random() < 0.7)
    offsets[[bvh.joints.index(f"{side}_hip") for side in ("left", "right")], 1] = random.uniform(-12, 8)
    times = np.arange(len(walk))[:, None] / 20
    phase, size = random.uniform(0, 6, (2, bvh.values.shape[1]))
    turned = bvh.values + 3 * size * np.sin(times * random.uniform(1, 3) + phase)
    turned[:, :3] = bvh.values[:, :3]
    other = replace(bvh, offsets=offsets, values=turned)
    joints = other.positions()[:, [other.joints.index(joint) for joint in HUMANML3D.joints]]
    if seed % 2:  # hips and collars that move against each other: helpers are written before them
        for j, below in ((1, (1, 4, 7, 10)), (12, (12, 15)), (13, (13, 16, 18, 20)), (14, (14, 17, 19, 21))):
            bone = joints[:, j] - joints[:, HUMANML3D.parents[j]]
            turns = Rotation.from_rotvec(0.2 * np.sin(times * random.uniform(1, 3)) * random.normal(0, 1, 3))
            joints[:, below] += (turns.apply(bone) - bone)[:, None]
    return joints


@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
@pytest.mark.parametrize("scheme", [None, *sorted(NAMES)])
def test_every_name_set_comes_back(scheme: str | None, suffix: str, walk: np.ndarray, tmp_path: Path) -> None:
    for seed in range(8):
        motion, path = Motion(body(walk, seed)), tmp_path / f"{seed}{suffix}"
        motion.save(path) if scheme is None else save_named(motion, path, scheme)
        again = Motion.load(path)
        np.testing.assert_allclose(again.body().joints, motion.joints, atol=2e-4)
        np.testing.assert_allclose(again.canonical().joints, motion.canonical().joints, atol=5e-4)
        assert not any("units" in note for note in again.notes)
        again.save(tmp_path / "again.npz")
        np.testing.assert_allclose(Motion.load(tmp_path / "again.npz").body().joints, motion.joints, atol=2e-4)


def test_a_written_rig_takes_other_names(walk: np.ndarray, tmp_path: Path) -> None:
    save_named(Motion(body(walk, 1)), tmp_path / "a.glb", "mixamo")
    save_named(Motion.load(tmp_path / "a.glb"), tmp_path / "b.bvh", "unreal")
    again = Motion.load(tmp_path / "b.bvh")
    assert again.skeleton.joints[:2] == ("root", "pelvis")
    np.testing.assert_allclose(again.body().joints, body(walk, 1), atol=3e-4)


def test_a_tools_own_rig_with_these_names_is_no_written_one(walk: np.ndarray) -> None:
    bvh = named(Motion(walk).as_bvh(), "mixamo")
    assert written(bvh.joints, bvh.parents, bvh.offsets) is not None
    leaning = bvh.offsets + np.random.default_rng(0).normal(0, 0.1, bvh.offsets.shape)
    assert written(bvh.joints, bvh.parents, leaning) is None
    more = (*bvh.joints, "mixamorig:HeadTop_End"), (*bvh.parents, bvh.joints.index("mixamorig:Head"))
    assert written(*more, np.concatenate([bvh.offsets, [[0.0, 10, 0]]])) is None
    moved = list(bvh.parents)
    moved[bvh.joints.index("mixamorig:Neck")] = 0
    assert written(bvh.joints, moved, bvh.offsets) is None


def test_helpers_stand_for_no_place(walk: np.ndarray) -> None:
    """A file that is not recognised as written here keeps its collars and neck, too."""
    bvh = named(Motion(body(walk, 3)).as_bvh(), "mixamo")
    bases = {joint for joint in bvh.joints if joint.endswith("_base")}
    assert {bvh.joints[j] for j in helpers(bvh.joints, bvh.parents)} == bases and bases
    lengths = np.linalg.norm(bvh.offsets, axis=-1)
    mapping = map_rig(bvh.joints, bvh.parents, lengths, tuple(bvh.ends), {})
    assert not mapping.lost_thorax
    assert {place: bvh.joints[j] for place, j in mapping.places.items()}.items() <= NAMES["mixamo"].items()


def test_a_glb_rests_on_the_floor_without_helpers(walk: np.ndarray, tmp_path: Path) -> None:
    Motion(walk).save(tmp_path / "out.glb")
    gltf = Gltf.read(tmp_path / "out.glb")
    assert sorted(node["name"] for node in gltf.doc["nodes"] if "mesh" not in node) == sorted(HUMANML3D.joints)
    rig = read_character(tmp_path / "out.glb")
    nodes, binds = rig.rest, gltf.array(gltf.doc["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4)
    bound = np.linalg.inv(binds.transpose(0, 2, 1))[:, :3, 3]
    np.testing.assert_allclose(nodes, bound[[rig.nodes[j] for j in range(len(nodes))]], atol=1e-5)
    assert nodes[:, 1].min() == pytest.approx(0, abs=1e-6) and np.abs(nodes[rig.hub][[0, 2]]).max() < 1e-6


def test_what_has_no_such_names_is_refused(walk: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match="no naming is called 'maya'"):
        save_named(Motion(walk), tmp_path / "out.bvh", "maya")
    with pytest.raises(MotionFileError, match=r"for \.bvh and \.glb, not '\.npz'"):
        save_named(Motion(walk), tmp_path / "out.npz", "unreal")
    other = Rig("own", ("a", "b"), (-1, 0), np.array([[0.0, 0, 0], [0, 1, 0]]))
    with pytest.raises(MotionLLMError, match="22 joints of HumanML3D"):
        save_named(Motion(walk[:, :2], skeleton=other), tmp_path / "out.bvh", "unreal")
