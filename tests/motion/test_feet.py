"""Foot lock: a sliding foot stands still, bones keep their lengths, and what moves on purpose goes on moving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion, cli
from motionllm import corpus as builtin
from motionllm.motion.feet import LEGS, contacts, lock_feet
from motionllm.motion.skeleton import HUMANML3D


def walk(seed: int = 0) -> np.ndarray:
    return builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),)), seed)


def lengths(joints: np.ndarray) -> np.ndarray:
    parents = list(HUMANML3D.parents)
    return np.linalg.norm(joints[:, 1:] - joints[:, parents[1:]], axis=-1)


def slide(joints: np.ndarray, standing: np.ndarray) -> float:
    """Metres that toes slide over the floor while they stand, a second of standing."""
    toes = joints[:, [leg[3] for leg in LEGS]][..., [0, 2]]
    both = standing[1:] & standing[:-1]
    return float(np.linalg.norm(np.diff(toes, axis=0), axis=-1)[both].sum() / max(both.sum(), 1) * 20)


def sliding(seed: int = 0) -> np.ndarray:
    """A walk carried along over the floor, as a badly decoded one is."""
    joints = walk(seed).astype(np.float64)
    joints[..., 2] += 0.2 * np.sin(np.arange(len(joints)) / 7)[:, None]
    return joints


def test_walking_feet_take_turns_in_standing() -> None:
    standing = contacts(walk(), 20)
    assert standing.any(1).mean() > 0.9
    assert 0.3 < standing[:, 0].mean() < 0.95
    assert (standing[:, 0] != standing[:, 1]).mean() > 0.2


def test_a_flying_body_has_no_contact() -> None:
    joints = walk()
    jump = joints.copy()
    jump[20:30, :, 1] += 0.4
    assert not contacts(jump, 20)[21:29].any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_standing_feet_stand_still(seed: int) -> None:
    joints = sliding(seed)
    standing = contacts(joints, 20)
    locked = lock_feet(joints, 20)
    assert slide(joints, standing) > 0.1
    assert slide(locked, standing) < 0.2 * slide(joints, standing)
    assert np.abs(lengths(locked) - lengths(joints)).max() < 1e-4
    above = [j for j in range(22) if j not in {j for leg in LEGS for j in leg[1:]}]
    moved = locked[:, above] - joints[:, above]
    assert np.abs(moved - moved[:, :1]).max() < 1e-5 and np.abs(moved[..., [0, 2]]).max() < 1e-5  # as one, down
    assert moved[..., 1].min() > -0.041 and moved[..., 1].max() < 1e-5
    knees = [LEGS[0][1], LEGS[1][1]]
    assert np.linalg.norm(np.diff(locked[:, knees], axis=0), axis=-1).max() < 0.25  # nothing snaps


def test_a_walk_whose_feet_stand_is_left_alone() -> None:
    joints = walk()
    moved = np.linalg.norm(lock_feet(joints, 20) - joints, axis=-1)
    assert moved.mean() < 0.02 and moved.max() < 0.07


def test_the_pelvis_comes_down_where_a_leg_would_be_stretched() -> None:
    joints = np.repeat(walk()[:1].astype(np.float64), 80, axis=0)
    joints[..., 1] += 0.03 * np.sin(np.arange(80) / 8)[:, None]  # the feet rise and sink with the body, and slide
    joints[..., 2] += 0.06 * np.sin(np.arange(80) / 8)[:, None]
    standing = contacts(joints, 20)
    assert standing.all() and slide(joints, standing) > 0.05
    locked = lock_feet(joints, 20)
    assert slide(locked, standing) < 0.01
    drop = joints[:, 0, 1] - locked[:, 0, 1]
    assert 0.005 < drop.max() < 0.041 and drop.min() > -1e-6 and np.abs(np.diff(drop)).max() < 0.01
    for before, after in ((stretch(joints, leg), stretch(locked, leg)) for leg in LEGS):
        assert after.max() < max(0.991, before.max() + 1e-3)


def stretch(joints: np.ndarray, leg: tuple[int, ...]) -> np.ndarray:
    """How far a leg is stretched, of its length."""
    hip, knee, ankle = (joints[:, joint] for joint in leg[:3])
    length = np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - ankle, axis=-1)
    return np.linalg.norm(hip - ankle, axis=-1) / length


def test_convert_locks_scales_and_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Motion(sliding()).save(tmp_path / "in.bvh")
    assert (
        cli.main(
            ["data", "convert", str(tmp_path / "in.bvh"), str(tmp_path / "out.npz"), "--lock-feet", "--leg", "0.9"]
        )
        == 0
    )
    made = Motion.load(tmp_path / "out.npz")
    leg = np.linalg.norm(made.joints[:, 2] - made.joints[:, 5], axis=-1) + np.linalg.norm(
        made.joints[:, 5] - made.joints[:, 8], axis=-1
    )
    assert np.median(leg) == pytest.approx(0.9, abs=1e-3)
    assert cli.main(["data", "convert", str(tmp_path / "in.bvh"), str(tmp_path / "out.npz"), "--leg", "9"]) == 2
    assert "0.1 to 3" in capsys.readouterr().err
    assert cli.main(["data", "convert", str(tmp_path / "in.bvh"), str(tmp_path / "same.bvh")]) == 0
    assert np.abs(Motion.load(tmp_path / "same.bvh").joints - Motion.load(tmp_path / "in.bvh").joints).max() < 1e-4
