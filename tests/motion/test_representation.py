"""Representations: their blocks, and MotionStreamer's features against the published definition."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motionllm import corpus as builtin
from motionllm.config import Augmentation, TokenizerTraining
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion, motionstreamer
from motionllm.motion.features import Root, features_to_joints
from motionllm.motion.representation import (
    HUMANML3D_263,
    KIT_251,
    MOTIONSTREAMER_272,
    REPRESENTATIONS,
    Representation,
    named,
    of_width,
)
from motionllm.motion.skeleton import HUMANML3D, SMPL_BONES
from motionllm.tokenizer.augment import Augment
from motionllm.tokenizer.losses import Losses
from motionllm.tokenizer.network import body_parts, decoded_joints, moves


@pytest.mark.parametrize("representation", REPRESENTATIONS.values(), ids=REPRESENTATIONS)
def test_blocks_lie_side_by_side(representation: Representation) -> None:
    assert representation.columns(*representation.blocks).tolist() == list(range(representation.dim))
    assert named(representation.name) is of_width(representation.dim) is representation
    joints = range(len(representation.skeleton.joints))
    for block in {"positions", "velocities", "rotations"} & set(representation.blocks):
        parts = [column for joint in joints for column in representation.of_joint(block, joint)]
        assert parts == representation.columns(block).tolist()
    lower, upper = body_parts(representation)
    assert not set(lower) & set(upper)


def test_blocks_are_where_they_are_published() -> None:
    columns = HUMANML3D_263.columns
    assert columns("turn", "path", "height").tolist() == [0, 1, 2, 3] == HUMANML3D_263.root.tolist()
    assert columns("rotations")[[0, -1]].tolist() == [67, 192]
    assert columns("velocities", "contacts")[[0, -1]].tolist() == [193, 262]
    assert list(HUMANML3D_263.of_joint("positions", 1)) == [4, 5, 6] and not HUMANML3D_263.of_joint("rotations", 0)
    assert list(HUMANML3D_263.of_joint("velocities", 0)) == [193, 194, 195]
    assert KIT_251.columns("contacts").tolist() == [247, 248, 249, 250]
    assert {name: (b.start, b.stop) for name, b in MOTIONSTREAMER_272.blocks.items()} == {
        "path": (0, 2),
        "turn": (2, 8),
        "positions": (8, 74),
        "velocities": (74, 140),
        "rotations": (140, 272),
    }
    assert MOTIONSTREAMER_272.root.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    with pytest.raises(MotionLLMError, match="did you mean 'motionstreamer'"):
        named("motionstreamr")
    with pytest.raises(MotionLLMError, match=r"264 wide.*263 \(humanml3d\) or 251 \(kit\) or 272"):
        of_width(264)


@pytest.fixture
def take() -> tuple[np.ndarray, np.ndarray]:
    """(root (T, 3), rotations relative to the parents (T, 22, 3, 3)) of a body that turns more than once around."""
    rng, frames = np.random.default_rng(0), 50
    angles = np.cumsum(rng.normal(0, 0.03, (frames, 22, 3)), axis=0) + rng.normal(0, 0.3, (1, 22, 3))
    local = Rotation.from_rotvec(angles.reshape(-1, 3)).as_matrix().reshape(frames, 22, 3, 3)
    local[:, 0] = Rotation.from_euler("y", np.linspace(0.5, 9, frames)[:, None]).as_matrix() @ local[:, 0]
    return np.array([2, 1, -1]) + np.cumsum(rng.normal(0, 0.02, (frames, 3)), axis=0), local


def standing(root: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Joints (T, 22, 3), frame by frame."""
    joints = np.zeros((len(root), 22, 3))
    for t in range(len(root)):
        world = [local[t, 0]]
        joints[t, 0] = root[t]
        for j, parent in enumerate(HUMANML3D.parents[1:], 1):
            joints[t, j] = joints[t, parent] + world[parent] @ SMPL_BONES[j]
            world.append(world[parent] @ local[t, j])
    return joints


def test_each_block_of_motionstreamer_is_as_defined(take: tuple[np.ndarray, np.ndarray]) -> None:
    root, local = take
    features = motionstreamer.rotations_to_features(root, local)
    block = {name: features[:, columns] for name, columns in MOTIONSTREAMER_272.blocks.items()}
    joints = standing(root, local)
    joints[..., 1] -= joints[..., 1].min()
    ahead = local[:, 0] @ [0, 0, 1]
    away = Rotation.from_euler("y", -np.arctan2(ahead[:, 0], ahead[:, 2])[:, None])
    below = joints[:, :1] * [1, 0, 1]
    positions = np.einsum("tab,tjb->tja", away.as_matrix(), joints - below)
    np.testing.assert_allclose(block["positions"].reshape(-1, 22, 3), positions, atol=1e-5)
    np.testing.assert_allclose(block["velocities"][1:].reshape(-1, 22, 3), np.diff(positions, axis=0), atol=1e-5)
    np.testing.assert_allclose(block["path"][1:], away[:-1].apply(np.diff(root, axis=0))[:, [0, 2]], atol=1e-6)
    turn = (away[1:] * away[:-1].inv()).as_matrix()[:, :2].reshape(-1, 6)
    np.testing.assert_allclose(block["turn"][1:], turn, atol=1e-6)
    rotations = local.copy()
    rotations[:, 0] = away.as_matrix() @ local[:, 0]
    np.testing.assert_allclose(block["rotations"].reshape(-1, 22, 2, 3), rotations[:, :, :2], atol=1e-6)
    assert not block["path"][0].any() and not block["velocities"][0].any()
    assert block["turn"][0].tolist() == [1, 0, 0, 0, 1, 0]


def test_what_was_encoded_is_decoded(take: tuple[np.ndarray, np.ndarray]) -> None:
    features = motionstreamer.rotations_to_features(*take)
    joints = MOTIONSTREAMER_272.decode(features)
    root, local = motionstreamer.features_to_rotations(features)
    np.testing.assert_allclose(joints, standing(root, local), atol=1e-5)
    np.testing.assert_allclose(np.diff(root[:, 1]), np.diff(take[0][:, 1]), atol=1e-5)
    apart = [np.linalg.norm(places[:1] - places, axis=-1) for places in (root[:, [0, 2]], take[0][:, [0, 2]])]
    np.testing.assert_allclose(*apart, atol=1e-4)
    np.testing.assert_allclose(MOTIONSTREAMER_272.decode(MOTIONSTREAMER_272.encode(joints)), joints, atol=1e-4)
    np.testing.assert_allclose(
        MOTIONSTREAMER_272.pose(features), features[:, 8:74].reshape(-1, 22, 3) - [0, 1, 0] * joints[:, :1], atol=1e-5
    )


def test_pieces_are_those_of_the_whole(take: tuple[np.ndarray, np.ndarray]) -> None:
    features, start = motionstreamer.rotations_to_features(*take), Root()
    pieces = [MOTIONSTREAMER_272.decode(features[a:b], start) for a, b in ((0, 7), (7, 7), (7, 30), (30, 50))]
    np.testing.assert_allclose(np.concatenate(pieces), MOTIONSTREAMER_272.decode(features), atol=1e-5)


def test_its_rotations_are_the_files(take: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    features = motionstreamer.rotations_to_features(*take)
    motion = MOTIONSTREAMER_272.finished(MOTIONSTREAMER_272.motion(features)).cut(0, 40)
    motion.save(tmp_path / "x.bvh")
    again = Motion.load(tmp_path / "x.bvh")
    assert again.skeleton is HUMANML3D and again.fps == pytest.approx(30) and again.bvh is not None
    np.testing.assert_allclose(again.joints, MOTIONSTREAMER_272.decode(features)[:40], atol=1e-3)
    wrist = again.bvh.joints.index("left_wrist")  # no inverse kinematics could tell how the hand is turned
    np.testing.assert_allclose(again.bvh.local()[1][:, wrist], take[1][:40, 20], atol=1e-4)
    np.save(tmp_path / "x.npy", features)
    np.testing.assert_allclose(Motion.load(tmp_path / "x.npy").joints, MOTIONSTREAMER_272.decode(features), atol=1e-5)


def test_clips_of_other_features_are_converted() -> None:
    clip = builtin.sample(3).load()
    features = MOTIONSTREAMER_272.read(clip)
    assert MOTIONSTREAMER_272.read(features) is features
    assert len(features) / 30 == pytest.approx(len(clip) / 20, abs=0.06)
    there, back = HUMANML3D_263.pose(clip), HUMANML3D_263.pose(HUMANML3D_263.read(features))
    assert np.linalg.norm(there[: len(back)] - back, axis=-1).mean() < 0.01
    with pytest.raises(MotionLLMError, match="21 joints of kit, and motionstreamer has 22"):
        MOTIONSTREAMER_272.read(np.zeros((8, 251), np.float32))


@pytest.mark.parametrize("representation", [HUMANML3D_263, MOTIONSTREAMER_272], ids=lambda r: r.name)
def test_losses_see_what_is_decoded(representation: Representation, take: tuple[np.ndarray, np.ndarray]) -> None:
    features = representation.encode(standing(*take))
    x = torch.from_numpy(features).double()
    joints, height = decoded_joints(representation, x).numpy(), features[:, representation.height, None]
    joints[..., 1] -= height
    np.testing.assert_allclose(joints, representation.pose(features)[:, -joints.shape[1] :], atol=1e-5)
    half, root = moves(representation, x)[:, 0].numpy(), Root()
    representation.decode(features, root)
    assert half.sum() == pytest.approx(root.yaw, abs=1e-4) and abs(root.yaw) > 0.5


def test_what_needs_contacts_is_refused_without_them() -> None:
    zeros = np.zeros(272, np.float32)
    with pytest.raises(MotionLLMError, match=r"motionstreamer features .*set train\.contact to 0"):
        Losses(TokenizerTraining(contact=1.0), MOTIONSTREAMER_272, zeros, zeros + 1, torch.device("cpu"))
    with pytest.raises(MotionLLMError, match=r"leave train\.augment out"):
        Augment(Augmentation(noise=4.0), MOTIONSTREAMER_272, 32)


def test_a_body_whose_bones_were_too_short_is_finished_on_the_floor_it_was_on() -> None:
    (sample,) = builtin.corpus(1, 3)
    joints = features_to_joints(sample.load())
    size = np.linspace(0.75, 1.0, len(joints))[:, None]
    short = joints.copy()
    for chain in HUMANML3D.chains:  # legs and arms grow to their length
        for a, b in pairwise(chain):
            short[:, b] = short[:, a] + size * (joints[:, b] - joints[:, a])
    short[..., 1] -= short[..., 1].min(1)[:, None]  # on the floor all the time
    made = HUMANML3D_263.finished(Motion(short, 20.0))
    lowest = made.joints[..., 1].min(1)
    assert np.ptp(Motion(short, 20.0).canonical().joints[..., 1].min(1)) > 0.15 > 0.05 > lowest.max()
    bones = np.linalg.norm(made.joints[:, 1:] - made.joints[:, list(HUMANML3D.parents[1:])], axis=-1)
    assert np.allclose(bones, HUMANML3D.lengths[1:], atol=1e-3)
    # Where they are too short for a moment, the rest of the time is not in the air.
    size = 1 - 0.5 * np.exp(-(((np.arange(len(joints)) - 20) / 3) ** 2))[:, None]
    for chain in HUMANML3D.chains:
        for a, b in pairwise(chain):
            short[:, b] = short[:, a] + size * (joints[:, b] - joints[:, a])
    short[..., 1] -= short[..., 1].min(1)[:, None]
    assert np.median(Motion(short, 20.0).canonical().joints[..., 1].min(1)) > 0.3
    assert np.median(HUMANML3D_263.finished(Motion(short, 20.0)).joints[..., 1].min(1)) < 0.05
    # Whose bones are right is as `canonical` has it.
    walk = Motion(joints, 20.0)
    assert np.array_equal(HUMANML3D_263.finished(walk).joints, walk.canonical().joints)
