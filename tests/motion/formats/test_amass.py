"""AMASS files: poses become joints, on made-up poses whose joints are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm import Motion
from motionllm.errors import MotionFileError
from motionllm.motion.skeleton import HUMANML3D

UP = Rotation.from_euler("x", 90, degrees=True)  # stands SMPL's Y-up rest pose up in a Z-up world


def take(poses: np.ndarray, folder: Path, **more: object) -> Path:
    """An AMASS file of (T, 22, 3) axis-angle poses of a body that stands upright at 1 m."""
    poses = poses.copy()
    poses[:, 0] = (UP * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    content = {"poses": np.pad(poses.reshape(len(poses), 66), ((0, 0), (0, 90))), "mocap_framerate": 60.0}
    content |= {"trans": np.tile([0.0, 0.0, 1.0], (len(poses), 1)), "betas": np.zeros(16), "gender": "male"}
    np.savez(folder / "take.npz", **content | more)  # type: ignore[arg-type]
    return folder / "take.npz"


def test_the_rest_pose_is_a_standing_t(tmp_path: Path) -> None:
    motion = Motion.load(take(np.zeros((60, 22, 3)), tmp_path))
    assert (motion.skeleton, motion.fps, len(motion)) == (HUMANML3D, 60.0, 60)
    joints = motion.canonical().joints[0]
    at = dict(zip(HUMANML3D.joints, joints, strict=True))
    assert at["left_wrist"][0] > 0.6 and at["right_wrist"][0] < -0.6
    assert abs(at["left_wrist"][1] - at["left_shoulder"][1]) < 0.05
    assert at["head"][1] > 1.45 and at["left_foot"][1] < 0.03 and at["left_foot"][2] > at["left_ankle"][2] + 0.08


def test_joints_turn_what_hangs_from_them(tmp_path: Path) -> None:
    poses = np.zeros((60, 22, 3))
    poses[:, 16] = [0, 0, np.pi / 2]  # the left arm up
    poses[:, 5] = [np.pi / 2, 0, 0]  # the right shin back
    joints = Motion.load(take(poses, tmp_path)).canonical().joints[-1]
    at = dict(zip(HUMANML3D.joints, joints, strict=True))
    assert at["left_wrist"][1] - at["left_shoulder"][1] > 0.5
    assert abs(at["right_wrist"][1] - at["right_shoulder"][1]) < 0.05
    shin = at["right_ankle"] - at["right_knee"]
    assert shin[2] < -0.35 and abs(shin[1]) < 0.1


def test_bones_have_the_target_lengths(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    joints = Motion.load(take(rng.normal(0, 0.4, (20, 22, 3)), tmp_path)).joints
    parents = list(HUMANML3D.parents)
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, parents[1:]], axis=-1)
    assert np.abs(lengths - HUMANML3D.lengths[1:]).max() < 1e-5  # type: ignore[index]


def test_arrays_beside_a_pickled_one_are_read_and_the_pickle_is_not(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return open, (str(tmp_path / "run"), "w")  # type: ignore[return-value]

    pickled = np.array({"latent": Bomb()}, dtype=object)
    path = take(np.zeros((60, 22, 3)), tmp_path, markers_latent_vids=pickled)
    assert len(Motion.load(path)) == 60 and not (tmp_path / "run").exists()
    with pytest.raises(MotionFileError, match="'trans' holds pickled Python objects, which are not read"):
        Motion.load(take(np.zeros((60, 22, 3)), tmp_path, trans=pickled))
    assert not (tmp_path / "run").exists()


def test_a_long_take_is_turned_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = take(np.random.default_rng(0).normal(0, 0.4, (50, 22, 3)), tmp_path)
    whole = Motion.load(path).joints
    monkeypatch.setattr("motionllm.motion.formats.amass._BLOCK", 16)
    np.testing.assert_array_equal(Motion.load(path).joints, whole)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"mocap_framerate": np.zeros(0)}, "holds no values"),
        ({"mocap_framerate": "x"}, "'mocap_framerate' is one number"),
        ({"mocap_framerate": 0.001}, "0.001 frames per second"),
        ({"trans": "x"}, "trans"),
        ({"trans": np.zeros((60, 3), complex)}, "both are numbers"),
        ({"trans": np.full((60, 3), 1e30)}, "too large"),
        ({"mocap_framerate": 0.0}, "mocap_framerate"),
        ({"trans": np.zeros((3, 3))}, "trans"),
        ({"trans": np.full((60, 3), np.nan)}, "NaN"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, more: dict[str, object], words: str) -> None:
    with pytest.raises(MotionFileError, match=words):
        Motion.load(take(np.zeros((60, 22, 3)), tmp_path, **more))
