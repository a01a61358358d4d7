"""Walks and runs on the paths that texts name and no line of a notation tells: a zigzag, an S, a figure eight.

The path is made of the body's turns on its way (`splicing.on_path`), and told by how the direction of travel goes to
and fro. A gait that is too short for its path goes on for longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from motionllm.data.asked import Asked, share
from motionllm.data.mending import built, measured, sentence
from motionllm.data.remaking import remade
from motionllm.data.resting import spans
from motionllm.motion import splicing
from motionllm.motion.notation import Notation

LASTS = {"zigzag": 5.0, "wave": 6.0, "eight": 9.0}  # seconds of a gait that has room for its path
CORNER, LEG = 75.0, 4  # degrees that a zigzag turns at a corner, and its straight legs
BEND, BENDS = 60.0, 2  # degrees to either side that an S goes, and how many there are
TURNED = 10  # frames in which a corner is turned
SWING, LOOP = 40.0, 270.0  # least degrees of a bend to the other side, and of each loop of an eight
NAMES = {"zigzag": "in a zigzag", "wave": "in an S", "eight": "in a figure eight"}
_STEADY = 6.0  # frames; standard deviation of the smoothing of the path, which a body sways about


def wound(poses: np.ndarray, wanted: Sequence[Asked], fixed: bool = False) -> np.ndarray:
    """Poses (T, 67) of a motion → those whose gaits go on the paths that are asked for, or as they are. fixed: the
    duration stays.
    """
    for index, one in enumerate(wanted):
        notation = measured(poses) if one.path else None
        if notation is None or _has(poses, notation, wanted, index):
            continue
        verb, shows = one.verbs[0], share(wanted, notation)
        place = spans(wanted, notation)[index]
        longer: np.ndarray | None = poses
        if not (fixed or one.seconds or one.metres) and place and place[1] - place[0] < LASTS[one.path]:
            longer = remade(poses, notation, f"{verb} {LASTS[one.path]:.1f} s")
        new = measured(longer) if longer is not None else None
        place = spans(wanted, new)[index] if new else None
        if longer is None or place is None:
            continue
        first, last = (min(len(longer), round(second * splicing.FPS)) for second in place)
        if last - first < 2 * TURNED:
            continue
        way = built(_on(longer, one.path, first, last))
        made = measured(way)
        if made and share(wanted, made) >= shows and _has(way, made, wanted, index):
            poses = way
    return poses


def unwound(poses: np.ndarray, wanted: Sequence[Asked]) -> list[str]:
    """What goes on a path that it is not to go on, in words."""
    notation = measured(poses) if any(one.path for one in wanted) else None
    if notation is None:
        return []
    missing = [i for i, one in enumerate(wanted) if one.path and not _has(poses, notation, wanted, i)]
    return [f"{sentence(wanted[i])} {NAMES[wanted[i].path]}" for i in missing]


def _on(poses: np.ndarray, path: str, first: int, last: int) -> np.ndarray:
    result = splicing.on_path(poses, 0.0, first, last)
    share_of = np.linspace(0, 1, last - first + 1)
    if path == "eight":
        heading = 360 * (1 - np.abs(2 * share_of - 1))
    elif path == "wave":
        heading = BEND * np.sin(2 * np.pi * BENDS * share_of)
    else:
        legs = np.minimum(LEG - 1, (share_of * LEG).astype(int)) % 2
        heading = gaussian_filter1d(CORNER / 2 * (1 - 2.0 * legs), TURNED / 4, mode="nearest")
        heading -= heading[0]
    result[first:last, 0] += np.radians(np.diff(heading))
    return result


def _has(poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int) -> bool:
    """Whether the gait that is asked for goes on its path."""
    place = spans(wanted, notation)[index]
    if place is None:
        return False
    first, last = (round(second * splicing.FPS) for second in place)
    root = splicing.joints_of(poses)[first:last, 0][:, [0, 2]]
    if len(root) < 2 * TURNED:
        return False
    moved = np.gradient(gaussian_filter1d(root, _STEADY, axis=0, mode="nearest"), axis=0)
    bends = _bends(np.degrees(np.unwrap(np.arctan2(moved[:, 0], moved[:, 1]))))
    if wanted[index].path == "eight":
        return min(bends, default=0.0) <= -LOOP and max(bends, default=0.0) >= LOOP
    return len(bends) >= 2


def _bends(heading: np.ndarray) -> list[float]:
    """How far a heading (T,), in degrees, turns to one side and then to the other, where that is SWING or more."""
    bends: list[float] = []
    start = extreme = float(heading[0])
    for angle in map(float, heading):
        side = np.sign(extreme - start) or np.sign(angle - start)
        if (angle - extreme) * side > 0 or extreme == start:
            extreme = angle
        elif abs(angle - extreme) >= SWING:
            if abs(extreme - start) >= SWING / 2:
                bends.append(extreme - start)
            start, extreme = extreme, angle
    return [*bends, extreme - start] if abs(extreme - start) >= SWING else bends
