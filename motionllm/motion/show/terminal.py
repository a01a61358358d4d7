"""A figure drawn as text: braille characters of two by four dots, seen from the front of the first pose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from motionllm.motion.clip import Motion

# The dot at (column, row) of a character is this bit of U+2800.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def drawings(motion: Motion, fps: float = 10.0, width: int = 48, height: int = 20) -> list[str]:
    """One drawing of `height` lines per frame at this frame rate, the body's left on the right. The view follows the
    body sideways; the floor is a line.

    Raises MotionLLMError for a rig whose joints are not recognised.
    """
    clip = motion.body().resample(fps)
    joints = clip.joints.astype(np.float64)
    across = joints[0, 1] - joints[0, 2]
    turn = np.arctan2(across[2], across[0]) + 0.35  # slightly from the side, so that limbs in front are visible
    x = joints[..., 0] * np.cos(turn) + joints[..., 2] * np.sin(turn)
    y = joints[..., 1] - joints[..., 1].min()
    columns, rows = 2 * width, 4 * height - 2
    scale = rows / max(2.0, float(y.max()) + 0.1)  # dots per metre
    middle = x[:, 0].copy()
    if np.ptp(x) * scale < columns - 4:
        middle[:] = (x.max() + x.min()) / 2  # the whole path fits: keep the view still
    texts = []
    for sideways, upward, centre in zip(x, y, middle, strict=True):
        dots = np.zeros((4 * height, columns), bool)
        dots[-1, ::2] = True
        place = np.stack([(sideways - centre) * scale + columns / 2, rows - 1 - upward * scale], axis=-1)
        for joint, parent in enumerate(clip.skeleton.parents):
            if parent >= 0:
                _line(dots, place[parent], place[joint])
        _disc(dots, place[15], 0.11 * scale)
        texts.append(_text(dots))
    return texts


def _line(dots: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    count = int(np.ceil(np.abs(b - a).max())) + 1
    points = np.round(a + (b - a) * np.linspace(0, 1, count)[:, None]).astype(int)
    _set(dots, points)


def _disc(dots: np.ndarray, centre: np.ndarray, radius: float) -> None:
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    _set(dots, np.round(centre).astype(int) + offsets[(offsets**2).sum(-1) <= radius**2])


def _set(dots: np.ndarray, points: np.ndarray) -> None:
    inside = (points >= 0).all(-1) & (points[:, 0] < dots.shape[1]) & (points[:, 1] < dots.shape[0])
    dots[points[inside, 1], points[inside, 0]] = True


def _text(dots: np.ndarray) -> str:
    cells = dots.reshape(dots.shape[0] // 4, 4, dots.shape[1] // 2, 2)
    codes = 0x2800 + np.einsum("arbc,rc->ab", cells.astype(int), _BITS)
    return "\n".join("".join(map(chr, row)) for row in codes.tolist())
