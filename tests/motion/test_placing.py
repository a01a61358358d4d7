"""Motions laid on each other, and how far apart they are."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.motion.placing import apart, laid_on
from motionllm.motion.splicing import rotated


def joints_of(act: builtin.Part, seed: int) -> np.ndarray:
    return builtin.joints(builtin.Spec((act,)), seed).astype(np.float64)


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    return joints_of(builtin.Part("walk", direction="forward"), 1)


def moved(joints: np.ndarray, angle: float, shift: tuple[float, float, float]) -> np.ndarray:
    return rotated(joints, np.array(angle)) + np.array(shift)


def test_laying_on_undoes_a_turn_and_a_shift_over_the_floor(walk: np.ndarray) -> None:
    for angle in (-3.0, -0.4, 0.0, 1.0, 2.5):
        other = moved(walk, angle, (1.5, 0.0, -2.0))
        for frame in (0, 17, len(walk) - 1):
            assert np.abs(laid_on(other, walk, frame) - walk).max() < 1e-5
    # Heights stay, and no turn is better: a check by trying others.
    other = joints_of(builtin.Part("kick", side="left"), 2)[: len(walk)]
    laid = laid_on(moved(other, 0.7, (1, 0.5, 1)), walk[: len(other)], 10)
    assert np.abs(laid[..., 1] - other[..., 1] - 0.5).max() < 1e-6

    def error(joints: np.ndarray) -> float:
        return float(((joints[10] - walk[10])[:, [0, 2]] ** 2).sum())

    for angle, shift in ((0.02, (0, 0, 0)), (-0.02, (0, 0, 0)), (0, (0.01, 0, 0)), (0, (0, 0, -0.01))):
        centre = laid[10].mean(0) * [1, 0, 1]
        assert error(moved(laid - centre, angle, shift) + centre) > error(laid)


def test_where_a_motion_is_and_which_way_it_faces_puts_none_apart(walk: np.ndarray) -> None:
    assert apart([moved(walk, 2.0, (3, 0, -1))], [walk], 10)[0, 0] < 1e-5
    assert apart([moved(walk, 0.0, (0, 0.1, 0))], [walk], 10)[0, 0] == pytest.approx(0.1, abs=1e-5)


def test_frames_before_the_first_do_not_count(walk: np.ndarray) -> None:
    other = walk.copy()
    other[:9, :, 1] += 1.0
    assert apart([other], [walk], 10)[0, 0] < 1e-6
    assert apart([other], [walk], 8)[0, 0] > 1e-3


def test_the_shorter_one_stays_in_its_last_pose(walk: np.ndarray) -> None:
    held = np.concatenate([walk[:20], np.repeat(walk[19:20], len(walk) - 20, axis=0)])
    table = apart([walk[:20], walk], [held, walk], 10)
    assert table[0, 0] < 1e-6 and table[1, 1] < 1e-6
    assert table[0, 1] == pytest.approx(table[1, 0]) and table[0, 1] > 0.2  # a body that stands and one that walks
