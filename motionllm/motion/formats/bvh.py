"""What a BVH file holds: a hierarchy, channel values, and what follows from them (positions, other rates and axes)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

POSITION = {"xposition": 0, "yposition": 1, "zposition": 2}
ROTATION = {"xrotation": "X", "yrotation": "Y", "zrotation": "Z"}
# Metres per unit, as blanks at the end of the Frame Time line: BVH has no field for its unit and no comments, and
# readers pass over these blanks (Blender and three.js split the line at blanks, others read a number after the colon).
UNIT_MARKS = {0.01: " \t", 1.0: "\t "}
_BLOCK = 1024  # frames of forward kinematics at a time
# Z up to Y up: (x, y, z) -> (x, z, -y), a rotation about X, so left stays left.
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
# The rotation that stands a body up whose file has this axis for up.
UPRIGHT = {
    "y": np.eye(3),
    "-y": np.diag([-1.0, -1.0, 1.0]),
    "z": Z_UP,
    "-z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "x": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}


@dataclass(frozen=True, eq=False)
class BVH:
    """A BVH file's content, in the file's own units and axes.

    joints: names in file order, root first. parents: index of each joint's parent, -1 for
    the root. offsets: (J, 3). ends: End Site offset (3,) by joint index. channels: channel
    names of each joint, as written. values: (T, C) channel values, degrees and file units.
    fps: frames per second. unit: metres per file unit. up: the file's axis that points up, a key of `UPRIGHT`.
    notes: what was decided on reading. stated: metres per file unit where the file says it, else None.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    ends: dict[int, np.ndarray]
    channels: tuple[tuple[str, ...], ...]
    values: np.ndarray
    fps: float
    unit: float = 1.0
    up: str = "y"
    notes: tuple[str, ...] = ()
    stated: float | None = None

    def __len__(self) -> int:
        return len(self.values)

    def local(self) -> tuple[np.ndarray, np.ndarray]:
        """Translations (T, J, 3) in file units and rotation matrices (T, J, 3, 3), both relative to the parent."""
        frames, joints = len(self.values), len(self.joints)
        translations, rotations = np.empty((frames, joints, 3)), np.empty((frames, joints, 3, 3))
        for j, (place, order, turns) in enumerate(self._columns):
            for axis, (offset, column) in enumerate(place):
                translations[:, j, axis] = offset if column < 0 else offset + self.values[:, column]
            angles = np.radians(self.values[:, turns].T)
            rotations[:, j] = _turned(np.eye(3)[:, :, None], order, np.cos(angles), np.sin(angles)).transpose(2, 0, 1)
        return translations, rotations

    @cached_property
    def _columns(self) -> list[tuple[list[tuple[float, int]], str, list[int]]]:
        """For each joint what its x, y and z are (a constant, and the column of `values` added to it, or -1), the order
        of its turns, and their columns."""
        columns, column, shares = [], 0, self._moved()
        displaced = bool(shares) and float(np.median(list(shares.values()))) < 0.25
        for j, channels in enumerate(self.channels):
            names = [c.lower() for c in channels]
            place = [(float(offset), -1) for offset in self.offsets[j]]
            at = {POSITION[name]: column + i for i, name in enumerate(names) if name in POSITION}
            # Some exporters give every joint position channels and leave them zero: the offset holds then. Others
            # write how far a joint is from its offset, most often rounding: no bone is a small part of its OFFSET long.
            below = self.parents[j] >= 0
            held = below and (shares.get(j, 1.0) < 0.1 if displaced else not np.any(self.values[:, list(at.values())]))
            for axis, c in at.items() if not held else ():
                place[axis] = (place[axis][0] if displaced and below else 0.0, c)
            turns = [i for i, name in enumerate(names) if name in ROTATION]
            columns.append((place, "".join(ROTATION[names[i]] for i in turns), [column + i for i in turns]))
            column += len(names)
        return columns

    def _moved(self) -> dict[int, float]:
        """How long the position channels of each joint below the root are (median), as a share of its OFFSET."""
        shares, column = {}, 0
        for j, channels in enumerate(self.channels):
            at = [column + i for i, c in enumerate(channels) if c.lower() in POSITION]
            column += len(channels)
            length = float(np.linalg.norm(self.offsets[j]))
            if len(at) == 3 and self.parents[j] >= 0 and length > 0 and np.any(self.values[:, at]):
                shares[j] = float(np.median(np.linalg.norm(self.values[:, at], axis=-1))) / length
        return shares

    def positions(self) -> np.ndarray:
        """Joint positions (T, J, 3) in metres, Y up: forward kinematics."""
        return self._positions

    def world(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions (T, J, 3) in metres, Y up, and joint rotations (T, J, 3, 3): forward kinematics."""
        rotations = np.empty((len(self), len(self.joints), 3, 3))
        for block, _, turned in self._blocks():
            rotations[block] = turned.transpose(3, 0, 1, 2)
        return self._positions, rotations if self.up == "y" else UPRIGHT[self.up] @ rotations

    def end_sites(self) -> dict[int, np.ndarray]:
        """Positions (T, 3) of the End Sites in metres, Y up, by the index of the joint that carries them."""
        return {j: self._upright(points) for j, points in self._placed[1].items()}

    @cached_property
    def _positions(self) -> np.ndarray:
        return self._upright(self._placed[0])

    def _upright(self, points: np.ndarray) -> np.ndarray:
        return (points if self.up == "y" else points @ UPRIGHT[self.up].T) * self.unit

    @cached_property
    def _placed(self) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Positions of the joints (T, J, 3) and of the End Sites (T, 3) by joint, in the file's own units and axes."""
        joints = np.empty((len(self), len(self.joints), 3))
        ends = {j: np.empty((len(self), 3)) for j in self.ends}
        for block, placed, turned in self._blocks():
            joints[block] = placed.transpose(2, 0, 1)
            for j, offset in self.ends.items():
                ends[j][block] = (placed[j] + np.einsum("abt,b->at", turned[j], offset)).T
        return joints, ends

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Positions (J, 3, t) and rotations (J, 3, 3, t) in file units and axes, some frames at a time.

        The frames come last, for they are the long axis, and are few, so that they stay in the processor's cache.
        """
        for start in range(0, len(self), _BLOCK):
            block = slice(start, min(start + _BLOCK, len(self)))
            values = np.ascontiguousarray(self.values[block].T)
            cosines, sines = np.cos(np.radians(values)), np.sin(np.radians(values))
            frames = values.shape[1]
            placed, turned = np.empty((len(self.joints), 3, frames)), np.empty((len(self.joints), 3, 3, frames))
            for j, (place, order, turns) in enumerate(self._columns):
                parent = self.parents[j]
                moved = [offset if column < 0 else offset + values[column] for offset, column in place]
                if parent < 0:
                    for axis in range(3):
                        placed[j, axis] = moved[axis]
                    above = np.broadcast_to(np.eye(3)[:, :, None], (3, 3, frames))
                else:
                    above = turned[parent]
                    placed[j] = placed[parent]
                    for axis in range(3):
                        placed[j] += above[:, axis] * moved[axis]
                turned[j] = _turned(above, order, cosines[turns], sines[turns])
            yield block, placed, turned

    def measured(self, unit: float, up: str) -> BVH:
        """The same take with another unit and up axis; what forward kinematics found is kept."""
        other = replace(self, unit=unit, up=up)
        other.__dict__["_placed"] = self._placed
        return other

    def rest(self) -> np.ndarray:
        """The offsets (J, 3) in metres, Y up."""
        return self.offsets @ UPRIGHT[self.up].T * self.unit

    def cut(self, start: int, stop: int | None = None) -> BVH:
        """The frames [start, stop)."""
        other = replace(self, values=self.values[start:stop])
        if "_placed" in self.__dict__:
            joints, ends = self._placed
            other.__dict__["_placed"] = joints[start:stop], {j: points[start:stop] for j, points in ends.items()}
        return other

    def mirrored(self) -> BVH:
        """The take seen in a mirror that stands upright, the names kept: one axis of the floor is negated."""
        axis = "z" if self.up[-1] == "x" else "x"
        flip = np.where(np.array(list("xyz")) == axis, -1.0, 1.0)
        turned = {f"{axis}position", *(f"{a}rotation" for a in "xyz" if a != axis)}  # what changes its sign
        signs = [-1.0 if c.lower() in turned else 1.0 for channels in self.channels for c in channels]
        ends = {j: offset * flip for j, offset in self.ends.items()}
        return replace(self, offsets=self.offsets * flip, ends=ends, values=self.values * np.array(signs))

    def rest_up(self) -> str:
        """The file's axis along which the rest pose stands: the one by which its joints are as high as in the motion.

        Files differ in this: the rest pose stands as the motion does, or the root turns a Y-up rest pose over. "" where
        it stands along none (no offsets, bones all in one line); `up` where the motion does not stand itself.
        """
        places, height = rest_places(self.offsets, self.parents), self.positions()[..., 1].mean(0)

        def alike(axis: str) -> float:
            a, b = (places @ UPRIGHT[axis].T)[:, 1], height - height.mean()
            a = a - a.mean()
            return float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)

        if np.ptp(height) < 0.5 * float(np.ptp(places, axis=0).max()) * self.unit:
            return self.up
        best = max(UPRIGHT, key=alike)
        if best == f"-{self.up}":  # a handstand
            return self.up
        return best if alike(best) > 0.8 else ""

    def standing(self, unit: float) -> BVH:
        """The same take, rig and rotations with Y up and `unit` metres per unit, the rest pose standing too."""
        rest, turn = self.rest_up() or self.up, UPRIGHT[self.up]
        basis, scale = UPRIGHT[rest], self.unit / unit
        axes = {a: int(np.argmax(np.abs(basis[:, k]))) for k, a in enumerate("xyz")}  # where x, y and z of the file go
        signs = {a: float(basis[axes[a], k]) for k, a in enumerate("xyz")}
        values, column = self.values.copy(), 0
        channels: list[tuple[str, ...]] = []
        for names in self.channels:
            renamed = []
            for name in names:
                axis, what = name[0].lower(), name[1:]
                values[:, column] *= signs[axis] * (scale if what.lower() == "position" else 1.0)
                renamed.append("XYZ"[axes[axis]] + what)
                column += 1
            # Positions in the order x, y, z again, which is all that some programs read.
            at = [i for i, name in enumerate(renamed) if name.lower() in POSITION]
            order = sorted(at, key=lambda i: renamed[i])
            first = column - len(renamed)
            values[:, [first + i for i in at]] = values[:, [first + i for i in order]]
            for i, name in zip(at, [renamed[k] for k in order], strict=True):
                renamed[i] = name
            channels.append(tuple(renamed))
        if rest != self.up:  # the root's own rotation turns the rest pose over: it is solved anew
            translations, rotations = self.local()
            root = [c.lower() for c in channels[0]]
            turns = [i for i, c in enumerate(root) if c in ROTATION]
            values[:, turns] = euler(turn @ rotations[:, 0] @ basis.T, "".join(ROTATION[root[i]] for i in turns))
            for i, c in enumerate(root):
                if c in POSITION:
                    values[:, i] = (translations[:, 0] @ turn.T)[:, POSITION[c]] * scale
        ends = {j: basis @ offset * scale for j, offset in self.ends.items()}
        offsets = self.offsets @ basis.T * scale
        return replace(self, offsets=offsets, ends=ends, channels=tuple(channels), values=values, unit=unit, up="y")

    def resample(self, fps: float) -> BVH:
        """The same take at another rate: rotations by spherical, translations by linear interpolation."""
        translations, rotations = self.local()
        times, old = sample_times(len(self), self.fps, fps), np.arange(len(self)) / self.fps
        values = np.empty((len(times), self.values.shape[1]))
        column = 0
        for j, channels in enumerate(self.channels):
            names = [c.lower() for c in channels]
            turns = [i for i, c in enumerate(names) if c in ROTATION]
            if turns:
                order = "".join(ROTATION[names[i]] for i in turns)
                turned = Slerp(old, Rotation.from_matrix(rotations[:, j]))(times) if len(self) > 1 else None
                matrices = rotations[:1, j] if turned is None else turned.as_matrix()
                values[:, [column + i for i in turns]] = euler(matrices, order)
            for i, c in enumerate(names):
                if c in POSITION:
                    values[:, column + i] = np.interp(times, old, translations[:, j, POSITION[c]])
            column += len(names)
        return replace(self, values=values, fps=float(fps))


def _turned(matrices: np.ndarray, order: str, cosines: np.ndarray, sines: np.ndarray) -> np.ndarray:
    """Matrices (3, 3, T) turned further about their own axes, one after the other: "ZXY" gives M Rz Rx Ry.

    cosines, sines: of the angles, (len(order), T).
    """
    result = np.array(np.broadcast_to(matrices, (3, 3, max(matrices.shape[2], cosines.shape[-1]))))
    for axis, c, s in zip(order, cosines, sines, strict=True):
        i = "XYZ".index(axis)
        a, b = result[:, (i + 1) % 3].copy(), result[:, (i + 2) % 3]
        result[:, (i + 1) % 3] = a * c + b * s
        result[:, (i + 2) % 3] = b * c - a * s
    return result


def rest_places(offsets: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """Where the joints (J, 3) stand in the rest pose: offsets added along the hierarchy."""
    places = offsets.astype(np.float64).copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            places[j] += places[parent]
    return places


def sample_times(frames: int, fps: float, target: float) -> np.ndarray:
    """Times in seconds at which a clip of `frames` frames at `fps` is looked at to have it at `target`.

    They are `1 / target` apart and lie within the clip. A higher rate has one more where the clip ends between two of
    them, at its very end: its last pose is kept, and a clip that comes back from a higher rate has all its frames.
    """
    # The tolerance keeps a last frame that rounding alone would push out of the clip, or add.
    last = (frames - 1) * target / fps
    count = np.ceil(last - 1e-3) if target > fps else np.floor(last + 1e-3)
    return np.minimum(np.arange(int(count) + 1) / target, (frames - 1) / fps)


def euler(matrices: np.ndarray, order: str) -> np.ndarray:
    """Intrinsic Euler angles in degrees of rotation matrices (T, 3, 3), without jumps between frames.

    order: one to three different axes, "ZXY" meaning R = Rz Rx Ry; returns (T, len(order)). Of the two
    equivalent triples (a, b, c) and (a + 180, 180 − b, c + 180) each frame takes the one nearer to the
    frame before, and full turns are unwrapped.
    """
    i, j, k = ("XYZ".index(axis) for axis in order + "".join(a for a in "XYZ" if a not in order))
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    first = np.arctan2(-sign * matrices[:, j, k], matrices[:, k, k])
    # The other two are read from what is left after the first turn: exact also where b is ±90 degrees.
    left = Rotation.from_euler("XYZ"[i], -first[:, None]).as_matrix() @ matrices
    second = np.arctan2(sign * left[:, i, k], left[:, k, k])
    third = np.arctan2(sign * left[:, j, i], left[:, j, j])
    angles = np.stack([first, second, third], axis=1)
    other = np.stack([first + np.pi, np.pi - second, third + np.pi], axis=1)

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ((np.mod(a - b + np.pi, 2 * np.pi) - np.pi) ** 2).sum(-1)

    # Both triples move alike, so a frame changes its triple where the other one continues the last frame's better.
    change = distance(other[1:], angles[:-1]) < distance(angles[1:], angles[:-1])
    flipped = np.concatenate([[False], np.cumsum(change) % 2 == 1])
    angles = np.where(flipped[:, None], other, angles)
    return np.degrees(np.unwrap(angles, axis=0))[:, : len(order)]
