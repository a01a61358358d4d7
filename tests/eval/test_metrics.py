"""Metrics against formulae written out anew (scipy, plain loops), and on cases whose result is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.eval import metrics
from motionllm.tokenizer.report import code_use

PARENTS = (-1, 0, 0, 1, 2)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


# -- embeddings ------------------------------------------------------------------------------------------------


def test_r_precision_is_the_rank_of_the_diagonal(rng: np.random.Generator) -> None:
    text = rng.normal(size=(100, 8))
    motion = text + rng.normal(size=text.shape)
    hits = np.zeros(3)
    for start in (0, 32, 64):
        apart = scipy.spatial.distance.cdist(text[start : start + 32], motion[start : start + 32])
        for i, row in enumerate(apart):
            rank = list(np.argsort(row)).index(i)
            hits += [rank < k for k in (1, 2, 3)]
    assert metrics.r_precision(text, motion) == pytest.approx(hits / 96, abs=1e-12)
    assert 0.2 < hits[0] / 96 < 0.9  # the case is neither trivial nor hopeless


def test_r_precision_of_known_cases(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3200, 16))
    assert metrics.r_precision(x, x) == pytest.approx([1, 1, 1])
    shuffled = metrics.r_precision(x, x[rng.permutation(len(x))])
    assert shuffled == pytest.approx([1 / 32, 2 / 32, 3 / 32], abs=4 * math.sqrt(3 / 32 / 3200))
    one_place = np.ones((64, 4))
    assert metrics.r_precision(one_place, one_place) == pytest.approx([1 / 32, 2 / 32, 3 / 32])
    with pytest.raises(MotionLLMError, match="there are 31"):
        metrics.r_precision(x[:31], x[:31])
    with pytest.raises(MotionLLMError, match="alike"):
        metrics.r_precision(x[:32], x[:33])


def test_equal_captions_share_their_hits() -> None:
    # Motion 0 finds its text with rank 1 or 2; to motion 1 all four texts are as far.
    motion = np.eye(4)
    text = motion[[0, 0, 2, 3]]
    assert metrics.r_precision(motion, text, top=2, group=4)[0] == pytest.approx((1 / 2 + 1 / 4 + 1 + 1) / 4)


def test_mm_dist(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 20, 6))
    assert metrics.mm_dist(a, b) == pytest.approx(sum(math.dist(x, y) for x, y in zip(a, b, strict=True)) / 20)


@pytest.mark.parametrize("count", [400, 12])  # 12 in 24 dimensions: singular covariances
def test_fid_agrees_with_scipy(rng: np.random.Generator, count: int) -> None:
    a = rng.normal(size=(count, 24)) @ rng.normal(size=(24, 24))
    b = rng.normal(size=(count + 5, 24)) * 2 + 1
    ca, cb = np.cov(a.T), np.cov(b.T)
    ridge = 0.0 if count > 24 else 1e-13  # scipy's root needs one where the matrices are singular
    root = scipy.linalg.sqrtm((ca + ridge * np.eye(24)) @ (cb + ridge * np.eye(24)))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * np.real(root))
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6 if count > 24 else 1e-4)
    assert metrics.frechet_distance(a, b) == pytest.approx(metrics.frechet_distance(b, a))


def test_fid_of_known_cases(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 16)).astype(np.float32)
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(x, x + 3) == pytest.approx(9 * 16, rel=1e-5)  # a shift alone
    one = rng.normal(size=(50, 1))
    deviation = one.std(ddof=1)
    assert metrics.frechet_distance(one, 3 * one) == pytest.approx((2 * deviation) ** 2 + (2 * one.mean()) ** 2)
    with pytest.raises(MotionLLMError, match="at least 2"):
        metrics.frechet_distance(x[:1], x)


def test_diversity_and_multimodality_are_mean_distances(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 5))
    draw = np.random.default_rng(3)
    one, other = draw.choice(400, 300, replace=False), draw.choice(400, 300, replace=False)
    expected = np.mean([math.dist(x[i], x[j]) for i, j in zip(one, other, strict=True)])
    assert metrics.diversity(x, np.random.default_rng(3)) == pytest.approx(expected)
    every = scipy.spatial.distance.cdist(x, x).mean()
    assert expected == pytest.approx(every, rel=0.05)
    with pytest.raises(MotionLLMError, match="300 pairs"):
        metrics.diversity(x[:299], rng)
    made = rng.normal(size=(7, 30, 5))
    draw = np.random.default_rng(4)
    one, other = draw.choice(30, 10, replace=False), draw.choice(30, 10, replace=False)
    expected = np.mean([math.dist(t[i], t[j]) for t in made for i, j in zip(one, other, strict=True)])
    assert metrics.multimodality(made, np.random.default_rng(4)) == pytest.approx(expected)
    same = np.repeat(made[:, :1], 30, axis=1)
    assert metrics.multimodality(same, rng) == 0
    with pytest.raises(MotionLLMError, match="10 pairs"):
        metrics.multimodality(made[:, :9], rng)


def test_interval() -> None:
    found = metrics.interval([1.0, 2.0, 3.0, 6.0])
    assert found == pytest.approx({"mean": 3.0, "ci95": 1.96 * math.sqrt((4 + 1 + 0 + 9) / 4) / 2})


# -- poses -----------------------------------------------------------------------------------------------------


def clip(rng: np.random.Generator, frames: int = 12) -> np.ndarray:
    return rng.normal(size=(frames, 5, 3)).cumsum(0) * 0.05 + rng.normal(size=(5, 3))


def test_mpjpe_family(rng: np.random.Generator) -> None:
    true, made = clip(rng), clip(rng)
    frames, joints = true.shape[:2]
    pairs = [(t, j) for t in range(frames) for j in range(joints)]
    assert metrics.mpjpe(made, true) == pytest.approx(np.mean([math.dist(made[p], true[p]) for p in pairs]))
    by_root = [math.dist(made[t, j] - made[t, 0], true[t, j] - true[t, 0]) for t, j in pairs]
    assert metrics.root_aligned_mpjpe(made, true) == pytest.approx(np.mean(by_root))
    assert metrics.ade(made, true) == metrics.mpjpe(made, true)
    assert metrics.fde(made, true) == pytest.approx(
        np.mean([math.dist(*p) for p in zip(made[-1], true[-1], strict=True)])
    )
    with pytest.raises(MotionLLMError, match="alike"):
        metrics.mpjpe(made[:-1], true)


def test_pa_mpjpe_agrees_with_scipy_and_forgives_similarities(rng: np.random.Generator) -> None:
    true, made = clip(rng), clip(rng)
    expected = []
    for a, b in zip(made, true, strict=True):
        a, b = a - a.mean(0), b - b.mean(0)
        turn, _ = Rotation.align_vectors(b, a)  # proper rotations only
        turned = turn.apply(a)
        expected.append(np.linalg.norm((turned * b).sum() / (a**2).sum() * turned - b, axis=-1).mean())
    assert metrics.pa_mpjpe(made, true) == pytest.approx(np.mean(expected), abs=1e-9)
    turn = Rotation.random(len(true), random_state=1).as_matrix()
    moved = 1.7 * true @ turn + rng.normal(size=(len(true), 1, 3))
    assert metrics.pa_mpjpe(moved, true) == pytest.approx(0, abs=1e-9)
    assert metrics.mpjpe(moved, true) > 0.1
    mirrored = true * [-1, 1, 1]
    assert metrics.pa_mpjpe(mirrored, true) > 0.01
    assert np.isfinite(metrics.pa_mpjpe(np.zeros_like(true), true))


def test_acceleration_and_jerk_of_known_curves(rng: np.random.Generator) -> None:
    fps = 20.0
    t = np.arange(40)[:, None, None] / fps
    way = np.ones((1, 5, 3)) / math.sqrt(3)
    still, fall, whip = 0 * t * way, 4.9 * t**2 * way, t**3 * way
    assert metrics.acceleration_error(fall, still, fps) == pytest.approx(9.8)
    assert metrics.acceleration_error(fall, fall + t, fps) == pytest.approx(0, abs=1e-9)
    assert metrics.jerk(whip, fps) == pytest.approx(6.0)
    assert metrics.jerk(fall, fps) == pytest.approx(0, abs=1e-6)
    with pytest.raises(MotionLLMError, match="too short: at least 4"):
        metrics.jerk(whip[:3], fps)


# -- physics ---------------------------------------------------------------------------------------------------


def standing(frames: int = 41) -> np.ndarray:
    joints = np.ones((frames, 22, 3))
    joints[:, [10, 11], 1] = 0.0
    return joints


def test_skating_counts_frames_where_a_low_foot_slides() -> None:
    joints = standing()
    assert metrics.foot_skating(joints, 20) == 0
    joints[10:21, 10, 0] += 0.03 * np.arange(11)  # 10 steps of 3 cm on the floor
    joints[20:, 10, 0] = joints[20, 10, 0]
    assert metrics.foot_skating(joints, 20) == pytest.approx(10 / 40)
    joints[:, 11, 2] += 0.02 * np.arange(41)  # 2 cm a frame is under the limit at 20 fps, and over it at 30
    assert metrics.foot_skating(joints, 20) == pytest.approx(10 / 40)
    assert metrics.foot_skating(joints, 30) == 1
    joints[:, [10, 11], 1] = 0.06
    assert metrics.foot_skating(joints, 30) == 0


def test_floor() -> None:
    joints = standing(4)
    joints[:, 10, 1] = [-0.02, 0.0, 0.03, -0.06]
    joints[2, 11, 1] = 0.04
    assert metrics.floor_penetration(joints) == pytest.approx(0.02)
    assert metrics.floating(joints) == pytest.approx(0.03 / 4)


def test_bone_length_drift() -> None:
    joints = np.zeros((2, 3, 3))
    joints[:, 1, 0], joints[:, 2, 1] = [1.0, 3.0], [2.0, 2.0]
    assert metrics.bone_length_drift(joints, (-1, 0, 0)) == pytest.approx((1 / 2 + 0) / 2)


def test_durations_and_codes() -> None:
    found = metrics.duration_error([2.0, 4.5, 3.0], [2.0, 4.0, 4.0])
    assert found == pytest.approx({"mean_s": -0.5 / 3, "mean_abs_s": 0.5, "worst_s": 1.0})
    assert code_use(np.array([0, 1, 2, 3] * 5), 6) == pytest.approx({"perplexity": 4.0, "dead": 2})
    assert code_use(np.array([3, 3, 3]), 4) == pytest.approx({"perplexity": 1.0, "dead": 3})


# -- answers ---------------------------------------------------------------------------------------------------


def test_answers() -> None:
    answers = ["the left hand", "Twice.", None, "no", "no"]
    true = ["Left hand", "twice", "left", "no", "yes"]
    found = metrics.answer_scores(answers, true, ["side", "count", "side", "yesno", "yesno"])
    assert (found["questions"], found["exact"], found["normalised"]) == (5, 1 / 5, 3 / 5)
    assert found["kinds"]["side"] == {
        "questions": 2,
        "exact": 0.0,
        "normalised": 0.5,
        "majority": 0.5,
        "majority_answer": "Left hand",
    }
    assert found["majority"] == 3 / 5  # one of two sides, one of one count, one of two
    with pytest.raises(MotionLLMError, match="no questions"):
        metrics.answer_scores([], [], [])


def test_text_only_answers() -> None:
    train = [
        ("Which hand?", "left", "side"),
        ("Which hand?", "left", "side"),
        ("Which foot?", "right", "side"),
        ("How often?", "twice", "count"),
    ]
    asked = [("Which hand?", "side"), ("Which foot?", "side"), ("Which arm?", "side"), ("Where?", "place")]
    assert metrics.text_only_answers(train, asked) == ["left", "right", "left", None]
