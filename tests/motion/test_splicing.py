"""Poses are joints without a place; what is cut, joined, paced, turned or mirrored changes that and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.motion import splicing
from motionllm.motion.features import canonical, features_to_joints, mirror


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Joints of 12 clips of the built-in corpus."""
    return [features_to_joints(sample.load()) for sample in builtin.corpus(12, seed=4)]


def placed(joints: np.ndarray) -> np.ndarray:
    return canonical(joints, uniform=False)


def test_poses_are_joints_wherever_they_are(clips: list[np.ndarray]) -> None:
    for joints in clips:
        poses = splicing.poses_of(joints)
        assert poses.shape == (len(joints), splicing.WIDTH)
        assert np.abs(placed(splicing.joints_of(poses)) - placed(joints)).max() < 1e-3
        turned = joints[..., [2, 1, 0]] * [1, 1, -1] + [3.0, 0, -2.0]
        assert np.abs(splicing.poses_of(turned) - poses).max() < 1e-3


def test_a_full_turn_is_in_the_poses() -> None:
    angle = np.linspace(0, 2 * np.pi, 40)
    still = features_to_joints(builtin.corpus(1, seed=4)[0].load())[:1]
    x, z = still[..., 0] - still[:, :1, 0], still[..., 2] - still[:, :1, 2]
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    joints = np.stack([cosine * x + sine * z, np.repeat(still[..., 1], 40, axis=0), cosine * z - sine * x], -1)
    poses = splicing.poses_of(joints)
    assert abs(poses[:-1, 0].sum()) == pytest.approx(2 * np.pi, abs=0.3)
    half = splicing.turning(poses, 0.5, 0, len(poses))
    assert half[:-1, 0].sum() == pytest.approx(poses[:-1, 0].sum() / 2)
    assert np.array_equal(half[:, 1:], poses[:, 1:])


def test_a_mirror_image_is_that_of_the_joints(clips: list[np.ndarray]) -> None:
    for joints in clips:
        poses = splicing.poses_of(joints)
        mirrored = splicing.mirrored(poses)
        assert np.allclose(splicing.mirrored(mirrored), poses)
        assert np.abs(placed(splicing.joints_of(mirrored)) - placed(mirror(joints))).max() < 2e-3


def test_a_seam_is_smooth_and_the_rest_as_it_was(clips: list[np.ndarray]) -> None:
    for before, after in pairwise(clips):
        a, b = splicing.poses_of(before), splicing.poses_of(after)
        whole = splicing.joined([a, b[:0], b])
        assert len(whole) == len(a) + len(b)
        most = splicing.BLEND[1]
        assert np.array_equal(whole[: len(a) - most], a[:-most])
        assert np.array_equal(whole[len(a) + most :], b[most:])
        if np.abs(a[-1, 3:] - b[0, 3:]).max() > 0.5:  # who lies does not stand in a moment
            continue
        fastest = max(np.linalg.norm(np.diff(one, axis=0), axis=-1).max() for one in (before, after))
        joints = splicing.joints_of(whole)
        step = np.linalg.norm(np.diff(joints, axis=0), axis=-1)[len(a) - most : len(a) + most]
        assert (
            step.max() <= max(fastest, 0.25) + 1e-6
        )  # metres per frame: a hand that comes down in a quarter of a second


def test_a_joint_is_not_thrown_from_one_clip_to_the_next(clips: list[np.ndarray]) -> None:
    """A body that walks and then stands, and an arm that hangs and then is up: in so many frames as that takes."""
    still = splicing.held(splicing.poses_of(clips[0])[0], 40)
    going = still.copy()
    going[:, 2] = 0.08  # 1.6 m/s
    up = still.copy()
    up[:, 4 + 3 * 20 + 1] += 0.8
    for before, after, distance in ((going, still, 40 * 0.08), (still, up, 0.0), (still, still, 0.0)):
        joints = splicing.joints_of(splicing.joined([before, after]))
        bent = np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max()
        assert bent < 1.3 * splicing.SOFT
        assert joints[-1, 0, 2] == pytest.approx(distance, abs=0.02)
    arms = splicing.with_arms(still, up, 15, 30, ["right"])
    bent = np.linalg.norm(np.diff(splicing.joints_of(arms), 2, axis=0), axis=-1).max()
    assert bent < 3 * splicing.SOFT  # turned about the shoulder and the elbow, which is a longer way


@pytest.mark.parametrize("pace", [0.5, 0.8, 1.5, 2.0])
def test_a_pace_keeps_the_way(clips: list[np.ndarray], pace: float) -> None:
    for joints in clips:
        poses = splicing.poses_of(joints)
        paced = splicing.paced(poses, pace)
        assert len(paced) == pytest.approx(len(poses) / pace, abs=1)
        ends = [splicing.joints_of(one)[-1, 0, [0, 2]] for one in (poses, paced)]
        assert np.linalg.norm(ends[1] - ends[0]) < 0.05 + 0.06 * np.linalg.norm(ends[0])
        part = splicing.paced(poses, pace, 10, 20)
        assert np.array_equal(part[:10], poses[:10]) and np.array_equal(part[-(len(poses) - 20) :], poses[20:])


def test_frames_are_repeated_and_left_out(clips: list[np.ndarray]) -> None:
    for joints in clips:
        poses = splicing.poses_of(joints)
        for frames in (3, 10, 40, 100):
            longer = splicing.lengthened(poses, frames, 5, len(poses) - 5)
            assert len(longer) - len(poses) == pytest.approx(frames, rel=0.15, abs=2)
        shorter = splicing.shortened(poses, 10, 5, len(poses) - 5)
        assert len(poses) - len(shorter) == pytest.approx(10, abs=1)
        assert len(splicing.shortened(poses, 0, 5, 20)) == len(poses)


def test_played_backward_the_frames_are_those_of_the_clip_whatever_its_turns(clips: list[np.ndarray]) -> None:
    circle = np.zeros((80, splicing.WIDTH))
    circle[:, 0], circle[:, 2], circle[:, 3] = 0.08, 0.05, 0.9
    circle[:, 4:] = splicing.poses_of(clips[0])[:1, 4:]
    for joints in (*clips, splicing.joints_of(circle)):
        back = splicing.joints_of(splicing.backward(splicing.poses_of(joints)))
        truth = splicing.joints_of(splicing.poses_of(joints[::-1]))  # from the origin, facing +Z
        assert np.abs(back - truth).max() < 1e-4
    assert len(splicing.backward(circle[:1])) == 1


def test_arms_are_those_of_another_and_the_rest_stays(clips: list[np.ndarray]) -> None:
    poses, other = splicing.poses_of(clips[0]), splicing.poses_of(clips[1])
    both = splicing.with_arms(poses, other, 10, 30, ["left"])
    arm = [joint - 1 for joint in splicing.ARMS["left"]]
    points = [one[:, 4:].reshape(len(one), 21, 3) for one in (poses, both, other)]
    rest = [joint for joint in range(21) if joint not in arm]
    assert np.array_equal(points[0][:, rest], points[1][:, rest])
    most = splicing._LONG_RAMP - splicing._RAMP  # where an arm has far to go it sets out before
    assert np.array_equal(both[: 10 - most], poses[: 10 - most])
    assert np.array_equal(both[30 + most :], poses[30 + most :])
    chest = splicing.CHEST - 1
    assert np.allclose(points[1][20, arm] - points[1][20, chest], points[2][10, arm] - points[2][10, chest])


def test_a_jump_is_higher_and_a_bow_deeper(clips: list[np.ndarray]) -> None:
    poses = splicing.poses_of(clips[0])
    jump = poses.copy()
    jump[10:30, 3] += 0.3 * np.sin(np.linspace(0, np.pi, 20))
    higher = splicing.rising(jump, 0.2, 10, 30)
    assert higher[:, 3].max() == pytest.approx(jump[:, 3].max() + 0.2, abs=0.02)
    assert np.array_equal(higher[:10], jump[:10]) and np.array_equal(higher[30:], jump[30:])
    bow = splicing.bending(poses, 0.0, 5, 25)
    assert np.allclose(bow, poses)
    leaning = splicing.bending(splicing.bending(poses, 40, 5, 25), 40, 5, 25)
    lengths = [
        np.linalg.norm(np.diff(splicing.joints_of(one)[:, [0, 3, 6, 9, 12]], axis=1), axis=-1)
        for one in (poses, leaning)
    ]
    assert np.allclose(*lengths, atol=1e-3)


def test_a_body_is_led_to_a_pose_that_is_far_away_with_its_feet_where_they_are() -> None:
    lying = splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part("sit"),)), 1))[-1]
    standing = splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part("sit"),)), 1))[0]
    way = splicing.between(standing, lying)
    assert len(way) == round(splicing.apart(standing, lying) / splicing.SLOWLY)
    joints = splicing.joints_of(np.stack([standing, *way, lying]))
    feet = joints[1:-1, [10, 11]].mean(1)[:, [0, 2]]
    assert np.abs(feet - feet[0]).max() < 0.02
    assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(1).max() < 2 * splicing.SLOWLY
    assert len(splicing.between(standing, standing)) == 0
