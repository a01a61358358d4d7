"""Windows drawn anew: each change is the motion it says, with positions, speeds and the root in step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motionllm import corpus as builtin
from motionllm.config import Augmentation
from motionllm.motion.features import features_to_joints
from motionllm.motion.representation import HUMANML3D_263
from motionllm.motion.skeleton import HUMANML3D
from motionllm.tokenizer.augment import Augment
from motionllm.tokenizer.network import body_parts

WINDOW = 48
SPEED, POSE = slice(193, 259), slice(4, 67)


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    clips = [builtin.sample(i, split="val").load() for i in range(30)]
    return torch.from_numpy(np.stack([clip[:60] for clip in clips if len(clip) >= 60]))


def changed(windows: torch.Tensor, seed: int = 0, **settings: float) -> torch.Tensor:
    return Augment(Augmentation(**settings), HUMANML3D_263, WINDOW)(windows, np.random.default_rng(seed))


def speeds(features: torch.Tensor) -> np.ndarray:
    """(B, T − 1, J, 3) what the joints of a window move by, turned into each frame's heading as the data set has it."""
    found = []
    for one in features:
        joints = features_to_joints(one.numpy())
        yaw = np.concatenate([[0.0], np.cumsum(one[:-1, 0].numpy())])[: len(joints) - 1]
        cosine, sine = np.cos(2 * yaw)[:, None], np.sin(2 * yaw)[:, None]
        moved = np.diff(joints, axis=0)
        x, y, z = moved[..., 0], moved[..., 1], moved[..., 2]
        pair = [np.stack([cosine * x + s * sine * z, y, cosine * z - s * sine * x], -1) for s in (1, -1)]
        wanted = one[: len(moved), SPEED].unflatten(-1, (-1, 3)).numpy()
        found.append(min((p - wanted for p in pair), key=lambda e: float(np.abs(e).mean())))
    return np.stack(found)


@pytest.mark.parametrize("settings", [{"pace": 0.2}, {"tilt": 8}, {"halves": 1.0}, {"noise": 4}, {}])
def test_speeds_follow_the_positions(windows: torch.Tensor, settings: dict[str, float]) -> None:
    before, after = speeds(windows[:, :WINDOW]), speeds(changed(windows, **settings))
    assert np.abs(after).mean() < 1.5 * np.abs(before).mean() + 1e-3  # metres a frame


def test_nothing_asked_for_changes_nothing(windows: torch.Tensor) -> None:
    assert torch.equal(changed(windows), windows[:, :WINDOW])


def test_a_pace_is_the_same_motion_at_other_times(windows: torch.Tensor) -> None:
    maker = Augment(Augmentation(pace=0.5), HUMANML3D_263, WINDOW)
    out = maker._at_pace(windows, torch.full((len(windows),), 0.5))
    assert torch.allclose(out[:, ::2][..., POSE], windows[:, : WINDOW // 2][..., POSE], atol=1e-6)
    assert torch.allclose(out[:, ::2][..., SPEED], windows[:, : WINDOW // 2][..., SPEED] / 2, atol=1e-6)
    assert set(out[..., 259:].unique().tolist()) <= set(windows[..., 259:].unique().tolist())


def test_tilted_bones_keep_their_lengths_and_their_angle(windows: torch.Tensor) -> None:
    out = changed(windows, tilt=8)
    parents = [max(p, 0) for p in HUMANML3D.parents]
    turned = []
    for before, after in zip(windows[:, :WINDOW], out, strict=True):
        a, b = (features_to_joints(x.numpy()) for x in (before, after))
        a, b = a - a[:, parents], b - b[:, parents]
        assert np.allclose(np.linalg.norm(a, axis=-1), np.linalg.norm(b, axis=-1), atol=1e-4)
        cosine = (a * b).sum(-1)[:, 1:] / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))[:, 1:]
        turned.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean(0))
        floor = [x[..., 4:67].unflatten(-1, (-1, 3))[..., 1].amin(-1).mean() for x in (before, after)]
        assert abs(floor[0] - floor[1]) < 0.01
    arms, legs = np.mean(turned, 0)[15:], np.mean(turned, 0)[[3, 4, 6, 7]]
    assert 3 < arms.mean() < 9 and 1.5 < legs.mean() < 5


def test_halves_come_from_two_clips(windows: torch.Tensor) -> None:
    lower, upper = body_parts(HUMANML3D_263)
    out, whole = changed(windows, halves=1.0), windows[:, :WINDOW]
    assert torch.equal(out[..., lower], whole[..., lower])
    other = whole.roll(1, 0)
    names = HUMANML3D_263.skeleton.joints
    wrist, height = 4 + 3 * (names.index("left_wrist") - 1), 3
    assert torch.allclose(out[..., wrist], other[..., wrist])
    assert torch.allclose(out[..., wrist + 1] - out[..., height], other[..., wrist + 1] - other[..., height], atol=1e-6)
    some = changed(windows, halves=0.5)
    same = [torch.equal(a, b) for a, b in zip(some[..., upper], whole[..., upper], strict=True)]
    assert 0 < sum(same) < len(same)


def test_a_seed_draws_the_same(windows: torch.Tensor) -> None:
    every = {"pace": 0.2, "tilt": 8, "halves": 0.3, "noise": 4}
    assert torch.equal(changed(windows, 3, **every), changed(windows, 3, **every))
    assert not torch.equal(changed(windows, 3, **every), changed(windows, 4, **every))
