"""One motion laid on another over the floor, and how far apart the two then are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def laid_on(made: np.ndarray, true: np.ndarray, frame: int) -> np.ndarray:
    """`made` (T, J, 3), rotated about the vertical and moved over the floor as a whole, so that its pose in one frame
    fits that of `true` best (least squares over the joints); heights stay.
    """
    a, b = (x[frame].astype(np.float64)[:, [0, 2]] for x in (made, true))
    centre, target = a.mean(0), b.mean(0)
    a, b = a - centre, b - target
    # The angle that maximises Σ b · R a; (x, z) turn by it as (cos, sin; −sin, cos).
    angle = np.arctan2((a[:, 1] * b[:, 0] - a[:, 0] * b[:, 1]).sum(), (a * b).sum())
    cos, sin = np.cos(angle), np.sin(angle)
    result = made.astype(np.float64)
    x, z = result[..., 0] - centre[0], result[..., 2] - centre[1]
    result[..., 0] = cos * x + sin * z + target[0]
    result[..., 2] = cos * z - sin * x + target[1]
    return result


def apart(some: Sequence[np.ndarray], others: Sequence[np.ndarray], first: int) -> np.ndarray:
    """(n, m) metres between motions, joints (T, J, 3) of any length above `first`, which is above 0: mean over joints
    and the frames from `first` to the end of the longer one, with one laid on the other in the frame before. The
    shorter one stays in its last pose.
    """
    result = np.zeros((len(some), len(others)))
    for i, one in enumerate(some):
        for j, other in enumerate(others):
            laid, last = laid_on(one, other, first - 1), max(len(one), len(other))
            a, b = (np.concatenate([x, np.repeat(x[-1:], last - len(x), axis=0)])[first:] for x in (laid, other))
            result[i, j] = np.linalg.norm(a - b, axis=-1).mean()
    return result
