"""Cycles: the stretch of a clip that repeats, blended so that its end meets its beginning."""

from __future__ import annotations

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.features import check_joints

_SHORTEST, _LONGEST = 0.5, 120.0  # seconds: of a cycle, and of the clip that it is looked for in
_RATE = 20  # frames per second at which the seam is looked for
_NEAR = 1.25  # of seams about as good as the best, the one with the longest cycle is taken
_MOST = 0.15  # metres, root mean square over the joints: poses further apart make no loop
_PACE = 0.1  # seconds: how much the speed of the joints counts beside where they are
_BLEND = 0.3  # seconds before the seam over which the end is led to the beginning
_STRAIGHT = np.radians(30)  # a cycle that turns by less is made to turn by nothing


def find_cycle(joints: np.ndarray, fps: float) -> np.ndarray:
    """The cycle (N, 22, 3) in a clip's joints (T, 22, 3): its last frame is its first, moved along the path.

    The pair of moments is taken that are most alike in pose and pace; of pairs about as good, the one furthest apart.
    Raises MotionLLMError where no two moments half a second apart are alike.
    """
    joints = check_joints(joints, least=3).astype(np.float64)
    if len(joints) > _LONGEST * fps:
        raise MotionLLMError(
            f"a cycle is looked for in up to {_LONGEST:g} s, and the clip lasts {len(joints) / fps:.0f} s; cut it."
        )
    step = max(1, round(fps / _RATE))
    poses = _poses(joints)[::step]
    pace = np.gradient(poses, axis=0) * (fps / step)
    features = np.concatenate([poses, _PACE * pace], axis=1).reshape(len(poses), -1)
    squares = (features**2).sum(-1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * features @ features.T, 0) / joints.shape[1])
    apart = np.arange(len(poses))[None] - np.arange(len(poses))[:, None]
    distance[apart * step < _SHORTEST * fps] = np.inf
    best = float(distance.min())
    if not best <= _MOST:
        near = f"the two most alike are {100 * best:.0f} cm apart" if np.isfinite(best) else "it is too short"
        raise MotionLLMError(f"no cycle to loop: {near}; give a clip that repeats, or leave --loop out.")
    starts, ends = np.nonzero(distance <= max(_NEAR * best, 0.02))
    k = int(np.argmax(ends - starts))
    return _closed(joints[starts[k] * step : ends[k] * step + 1], fps)


def repeated(cycle: np.ndarray, times: int) -> np.ndarray:
    """A cycle (N, 22, 3) gone through several times on its way: ((N - 1) · times + 1, 22, 3)."""
    rounds, turn, shift = [cycle], np.eye(3), np.zeros(3)
    over = _between(cycle[0], cycle[-1])
    for _ in range(times - 1):
        turn, shift = over[0] @ turn, over[0] @ shift + over[1]
        rounds.append(cycle[1:] @ turn.T + shift)
    return np.concatenate(rounds)


def _closed(stretch: np.ndarray, fps: float) -> np.ndarray:
    """A stretch whose last frame is led to its first one's pose, height and, if it turns little, heading."""
    turn, _ = _between(stretch[0], stretch[-1])
    angle = float(np.arctan2(turn[0, 2], turn[2, 2]))
    if abs(angle) < _STRAIGHT:  # spread over the cycle
        share = np.arange(len(stretch)) / (len(stretch) - 1)
        origin = stretch[:1, :1] * [1, 0, 1]
        path = stretch[:, :1] * [1, 0, 1]
        steps = np.diff(path[:, 0], axis=0, prepend=path[:1, 0])
        steps = np.einsum("tab,tb->ta", _yaws(-angle * share), steps)
        stretch = np.einsum("tab,tjb->tja", _yaws(-angle * share), stretch - path)
        stretch = stretch + (origin[0, 0] + np.cumsum(steps, axis=0))[:, None]
    turn, shift = _between(stretch[0], stretch[-1])
    ramp = np.clip(1 - np.arange(len(stretch))[::-1] / max(1.0, min(_BLEND * fps, len(stretch) / 2)), 0, 1)
    ramp = 3 * ramp**2 - 2 * ramp**3
    return stretch + ramp[:, None, None] * (stretch[0] @ turn.T + shift - stretch[-1])


def _poses(joints: np.ndarray) -> np.ndarray:
    """Joints (T, 22, 3) above the point of the floor under the root, the body turned to +Z."""
    return np.einsum("tba,tjb->tja", _headings(joints), joints - joints[:, :1] * [1, 0, 1])


def _between(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The turn (3, 3) about Y and the shift (3,) over the floor that bring one pose's place to another's."""
    a, b = _headings(np.stack([first, last]))
    turn = b @ a.T
    return turn, (last[0] - turn @ first[0]) * [1, 0, 1]


def _headings(joints: np.ndarray) -> np.ndarray:
    """(T, 3, 3) turns about Y by which bodies (T, 22, 3) face away from +Z."""
    left = joints[:, 1] - joints[:, 2] + joints[:, 16] - joints[:, 17]
    return _yaws(np.arctan2(-left[:, 2], left[:, 0]))


def _yaws(angles: np.ndarray) -> np.ndarray:
    """Turns (T, 3, 3) about Y."""
    c, s, zero = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    return np.stack([c, zero, s, zero, zero + 1, zero, -s, zero, c], axis=-1).reshape(-1, 3, 3)
