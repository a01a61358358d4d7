"""Foot locking: detects foot contacts in a clip, and solves its legs again so that standing feet do not slide."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, maximum_filter1d, uniform_filter1d

from motionllm.motion.features import check_joints

LEGS = ((1, 4, 7, 10), (2, 5, 8, 11))  # hip, knee, ankle, foot of the left leg and the right leg
SLOW, LOW = 0.3, 0.09  # metres per second, metres above the floor: a foot below both stands
STRAIGHT = 0.99  # share of its length that a leg may be stretched to where it was not before: no knee snaps straight
DEEPEST = 0.04  # metres by which the pelvis may be lowered


def contacts(joints: np.ndarray, fps: float) -> np.ndarray:
    """(T, 2) bool of joints (T, 22, 3), metres, Y up: whether the left and the right foot stand.

    A foot stands where its toe joint moves over the floor by less than 0.3 m/s and is less than 0.09 m above the
    clip's floor (the 5th percentile of the lower toe), for at least 0.15 s; breaks under 0.1 s are bridged.
    """
    toes = joints[:, [leg[3] for leg in LEGS]].astype(np.float64)
    floor = np.percentile(toes[..., 1].min(1), 5)
    speed = (
        np.linalg.norm(np.gradient(toes[..., [0, 2]], axis=0), axis=-1) * fps if len(joints) > 1 else np.zeros((1, 2))
    )
    standing = (speed < SLOW) & (toes[..., 1] - floor < LOW)
    for side in range(2):
        # Edges are padded with their own value, so that a contact cut off by the clip's end counts.
        padded = np.pad(standing[:, side], (round(fps),) * 2, mode="edge")
        padded = binary_closing(padded, np.ones(max(1, round(0.1 * fps))))
        padded = binary_opening(padded, np.ones(max(1, round(0.15 * fps))))
        standing[:, side] = padded[round(fps) : round(fps) + len(joints)]
    return standing


def lock_feet(joints: np.ndarray, fps: float, blend: float = 0.15) -> np.ndarray:
    """Joints (T, 22, 3) whose standing feet keep their place, float32; bone lengths stay.

    Each contact is pinned at the median position of its toe; the shift fades in and out over `blend` seconds. The knee
    follows by two-bone inverse kinematics in its bending plane. Where a leg would have to be stretched to reach its
    pin, the pelvis and all above it are lowered by what it lacks, at most 4 cm, gently over `blend` before and after;
    where that is not enough, the foot comes as close as it can. Raises MotionLLMError for joints of a wrong shape or
    not finite.
    """
    moved = check_joints(joints, least=1).copy()
    standing = contacts(moved, fps)
    ramp = max(1, round(blend * fps))
    shifts = [_shift(moved[:, leg[3]], standing[:, side], ramp) for side, leg in enumerate(LEGS)]
    legs = [joint for leg in LEGS for joint in leg[1:]]
    before = moved.copy()
    lacking = [_lacking(before, leg, shift) for leg, shift in zip(LEGS, shifts, strict=True)]
    drop = uniform_filter1d(maximum_filter1d(np.max(lacking, axis=0), 2 * ramp + 1), 2 * ramp + 1, mode="nearest")
    moved[:, [j for j in range(moved.shape[1]) if j not in legs], 1] -= drop[:, None]
    for (hip, knee, ankle, toe), shift in zip(LEGS, shifts, strict=True):
        bend = before[:, knee] - [0, 1, 0] * drop[:, None]
        target = before[:, ankle] + shift
        moved[:, knee], moved[:, ankle] = _two_bones(moved[:, hip], bend, before[:, [hip, knee, ankle]], target)
        moved[:, toe] = moved[:, ankle] + before[:, toe] - before[:, ankle]
    return moved.astype(np.float32)


def _shift(toe: np.ndarray, standing: np.ndarray, ramp: int) -> np.ndarray:
    """(T, 3) metres by which a foot moves, so that its toe (T, 3) keeps its place; it fades over `ramp` frames."""
    shift, weight = np.zeros((len(toe), 3)), np.zeros(len(toe))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], standing.astype(int), [0]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        pin = np.median(toe[a:b], axis=0)
        for t in range(max(0, a - ramp), min(len(toe), b + ramp)):
            away = max(a - t, t - b + 1, 0) / (ramp + 1)
            near = 1 - (3 * away**2 - 2 * away**3)
            if near > weight[t]:
                # Outside a contact the shift of its nearest frame fades out.
                weight[t], shift[t] = near, near * (pin - toe[min(max(t, a), b - 1)])
    return shift


def _lacking(joints: np.ndarray, leg: tuple[int, int, int, int], shift: np.ndarray) -> np.ndarray:
    """(T,) metres by which the hip must come down for the ankle to reach its place with a bent knee."""
    hip, knee, ankle = (joints[:, joint] for joint in leg[:3])
    length = np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - ankle, axis=-1)
    reach = np.maximum(STRAIGHT * length, np.linalg.norm(hip - ankle, axis=-1))
    across = hip - (ankle + shift)
    lowest = np.sqrt(np.maximum(reach**2 - (across[:, [0, 2]] ** 2).sum(-1), 0.0))
    return np.clip(across[:, 1] - lowest, 0.0, DEEPEST)


def _two_bones(
    hip: np.ndarray, knee: np.ndarray, bones: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle (T, 3) that bring the ankle to the target, with the lengths between `bones` (T, 3 joints, 3) and
    the bending plane of hip and knee.
    """
    upper, lower = (np.linalg.norm(bones[:, a] - bones[:, a + 1], axis=-1, keepdims=True) for a in (0, 1))
    along = target - hip
    reach = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / np.maximum(reach, 1e-9)
    reach = np.clip(reach, np.abs(upper - lower) + 1e-6, upper + lower - 1e-6)
    bend = knee - hip
    bend = bend - (bend * along).sum(-1, keepdims=True) * along
    bend = bend / np.maximum(np.linalg.norm(bend, axis=-1, keepdims=True), 1e-9)
    ahead = (upper**2 - lower**2 + reach**2) / (2 * reach)
    aside = np.sqrt(np.maximum(upper**2 - ahead**2, 0.0))
    return hip + along * ahead + bend * aside, hip + along * reach
