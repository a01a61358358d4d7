"""Names of other tools in exported files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.characters import read_character
from motionllm.motion.characters.gltf_file import Gltf
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.naming import NAMES, save_named
from motionllm.motion.formats.rigs import Rig
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
