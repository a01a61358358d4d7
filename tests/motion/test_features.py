"""The feature representation against the data set's own published clip, and against itself."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from motionllm.errors import MotionLLMError
from motionllm.motion import features as F
from motionllm.motion.skeleton import HUMANML3D, KIT

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "humanml3d_sample"
needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason="../shared/data/humanml3d_sample is not there")


@pytest.fixture(scope="module")
def published() -> tuple[np.ndarray, np.ndarray]:
    return np.load(SAMPLE / "012314_joints.npy"), np.load(SAMPLE / "012314_features.npy")


def _errors(made: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    off = np.abs(made - truth).max(0)
    rest = max(off[:4].max(), off[193:].max())
    return float(off[4:67].max()), float(off[67:193].max()), float(rest)


@needs_sample
def test_joints_of_the_published_features(published: tuple[np.ndarray, np.ndarray]) -> None:
    joints, features = published
    assert np.abs(F.features_to_joints(features) - joints).max() <= 1e-5


@needs_sample
def test_published_joints_give_the_published_features(published: tuple[np.ndarray, np.ndarray]) -> None:
    joints, features = published
    made = F.joints_to_features(joints)
    positions, rotations, rest = _errors(made, features[: len(made)])
    assert positions <= 0.0067
    assert rotations <= 0.0132
    assert rest <= 0.0005


@needs_sample
def test_without_the_uniform_step_only_the_lost_last_frame_differs(published: tuple[np.ndarray, np.ndarray]) -> None:
    # N joints give N−1 features, so the published joints lack the frame after the last; the smoothed heading
    # near the end depends on it. With that frame put back from the last feature's velocities all agrees.
    joints, features = published
    made = F.joints_to_features(joints, uniform=False)
    assert np.abs(made[:100] - features[:100])[:, :67].max() <= 1e-5
    yaw = features[:-1, 0].sum(dtype=np.float64)
    velocity = features[-1, 193:259].reshape(22, 3)
    cos, sin = np.cos(2 * yaw), np.sin(2 * yaw)
    turned = np.stack(
        [cos * velocity[:, 0] - sin * velocity[:, 2], velocity[:, 1], sin * velocity[:, 0] + cos * velocity[:, 2]], -1
    )
    whole = np.stack([*joints, joints[-1] + turned])
    assert np.abs(F.joints_to_features(whole, uniform=False) - features)[:, :67].max() <= 1e-4


@needs_sample
def test_bone_lengths_are_the_target_skeletons() -> None:
    target = np.load(SAMPLE / "target_skeleton_000021.npy")[0, :22]
    for joint, parent in enumerate(HUMANML3D.parents):
        if parent >= 0:
            assert HUMANML3D.lengths is not None
            assert np.linalg.norm(target[joint] - target[parent]) == pytest.approx(HUMANML3D.lengths[joint], abs=1e-6)


def test_there_and_back(walk: np.ndarray) -> None:
    truth = F.canonical(walk)
    back = F.features_to_joints(F.joints_to_features(walk))
    assert back.shape == (59, 22, 3)
    # The first heading of the features is smoothed: the whole clip may be turned a little about Y.
    a, b = truth[:59] - truth[:59, :1], back - back[:, :1]
    assert np.abs(np.linalg.norm(a, axis=-1) - np.linalg.norm(b, axis=-1)).max() < 1e-4
    assert np.abs(truth[:59, :, 1] - back[:, :, 1]).max() < 1e-5


def test_features_do_not_depend_on_place_heading_or_size(walk: np.ndarray) -> None:
    angle = 1.1
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    moved = 1.7 * walk @ turn.T + [3.0, 0.4, -2.0]
    assert np.abs(F.joints_to_features(moved) - F.joints_to_features(walk)).max() < 1e-4


def test_feet_that_rest_are_in_contact(tpose: np.ndarray) -> None:
    still = np.repeat(tpose[None], 10, axis=0)
    assert (F.joints_to_features(still)[:, -4:] == 1).all()


def test_kit_is_251_wide() -> None:
    rng = np.random.default_rng(0)
    joints = np.cumsum(rng.normal(size=(30, 21, 3)), axis=1) + np.array([0, 900, 0])
    features = F.joints_to_features(joints, uniform=False, skeleton=KIT)
    assert features.shape == (29, 251)
    assert F.features_to_joints(features).shape == (29, 21, 3)


@pytest.mark.parametrize(
    ("joints", "words"),
    [
        (np.zeros((10, 21, 3)), "(10, 21, 3)"),
        (np.zeros((1, 22, 3)), "1 frame"),
        (np.full((5, 22, 3), np.nan), "NaN"),
    ],
)
def test_unusable_joints_are_refused(joints: np.ndarray, words: str) -> None:
    with pytest.raises(MotionLLMError) as caught:
        F.joints_to_features(joints)
    assert words in str(caught.value)


def test_other_widths_are_refused() -> None:
    with pytest.raises(MotionLLMError, match="263"):
        F.features_to_joints(np.zeros((5, 100)))


@pytest.mark.slow
def test_speed_of_conversion(walk: np.ndarray) -> None:
    joints = np.tile(walk, (200, 1, 1))  # 12,000 frames
    rates = []
    for _ in range(5):
        begun = time.process_time()
        F.joints_to_features(joints)
        rates.append(len(joints) / (time.process_time() - begun))
    assert max(rates) > 100_000
