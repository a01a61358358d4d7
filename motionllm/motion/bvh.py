"""BVH files: our own reader, a writer, and rotations solved from joint positions.

The reader takes what real files hold (position channels on every joint, any channel and
Euler order per joint, End Sites, names with spaces, tabs, CRLF) and refuses what is cut
short. The writer's rotations are solved from positions alone: bone directions come back
exactly; upper arms and thighs turn about themselves as elbows and knees, which are hinges,
tell; any other twist about a bone is the smallest one, for positions do not hold it.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation, Slerp

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import write_file
from motionllm.motion import budget

_POSITION = {"xposition": 0, "yposition": 1, "zposition": 2}
_ROTATION = {"xrotation": "X", "yrotation": "Y", "zrotation": "Z"}
_HEAD = 4 << 20  # bytes within which a hierarchy ends
_CHUNK = 1 << 24  # bytes of values looked through at a time
_BLOCK = 1024  # frames of forward kinematics at a time
_MOTION = re.compile(rb"(?:\A|[\r\n])[ \t}]*MOTION(?=[\s:]|\Z)", re.IGNORECASE)
_NUMBER = re.compile(rb"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(rb"(?<!\S)(?!" + _NUMBER.pattern + rb"(?!\S))\S+")
_USUAL = (10, 12.5, 15, 20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 144, 150, 180, 200, 240, 300, 500, 1000)
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
    notes: what was decided on reading.
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
            at = {_POSITION[name]: column + i for i, name in enumerate(names) if name in _POSITION}
            # Some exporters give every joint position channels and leave them zero: the offset holds then. Others
            # write how far a joint is from its offset, most often rounding: no bone is a small part of its OFFSET long.
            below = self.parents[j] >= 0
            held = below and (shares.get(j, 1.0) < 0.1 if displaced else not np.any(self.values[:, list(at.values())]))
            for axis, c in at.items() if not held else ():
                place[axis] = (place[axis][0] if displaced and below else 0.0, c)
            turns = [i for i, name in enumerate(names) if name in _ROTATION]
            columns.append((place, "".join(_ROTATION[names[i]] for i in turns), [column + i for i in turns]))
            column += len(names)
        return columns

    def _moved(self) -> dict[int, float]:
        """How long the position channels of each joint below the root are (median), as a share of its OFFSET."""
        shares, column = {}, 0
        for j, channels in enumerate(self.channels):
            at = [column + i for i, c in enumerate(channels) if c.lower() in _POSITION]
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
            at = [i for i, name in enumerate(renamed) if name.lower() in _POSITION]
            order = sorted(at, key=lambda i: renamed[i])
            first = column - len(renamed)
            values[:, [first + i for i in at]] = values[:, [first + i for i in order]]
            for i, name in zip(at, [renamed[k] for k in order], strict=True):
                renamed[i] = name
            channels.append(tuple(renamed))
        if rest != self.up:  # the root's own rotation turns the rest pose over: it is solved anew
            translations, rotations = self.local()
            root = [c.lower() for c in channels[0]]
            turns = [i for i, c in enumerate(root) if c in _ROTATION]
            values[:, turns] = euler(turn @ rotations[:, 0] @ basis.T, "".join(_ROTATION[root[i]] for i in turns))
            for i, c in enumerate(root):
                if c in _POSITION:
                    values[:, i] = (translations[:, 0] @ turn.T)[:, _POSITION[c]] * scale
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
            turns = [i for i, c in enumerate(names) if c in _ROTATION]
            if turns:
                order = "".join(_ROTATION[names[i]] for i in turns)
                turned = Slerp(old, Rotation.from_matrix(rotations[:, j]))(times) if len(self) > 1 else None
                matrices = rotations[:1, j] if turned is None else turned.as_matrix()
                values[:, [column + i for i in turns]] = euler(matrices, order)
            for i, c in enumerate(names):
                if c in _POSITION:
                    values[:, column + i] = np.interp(times, old, translations[:, j, _POSITION[c]])
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
    """Times in seconds, `1 / target` apart, that lie within a clip of `frames` frames at `fps`."""
    # The tolerance keeps a last frame that rounding alone would push out of the clip.
    return np.arange(int(np.floor((frames - 1) * target / fps + 1e-3)) + 1) / target


def read_bvh(path: str | os.PathLike[str]) -> BVH:
    """Parse a BVH file; unit and up axis are left at their defaults (see `rigs.calibrate`).

    Raises MotionFileError, with the line, for a file that is missing, not BVH, cut short, or larger than is read
    (`budget`), which its hierarchy and its number of frames tell before the values are read.
    """
    path = Path(path)
    try:
        budget.check_bytes(path.stat().st_size)
        with open(path, "rb") as file:
            stream = _utf8(file)
            begin = stream.tell()
            start = stream.read(_HEAD)
            motion = _MOTION.search(start)
            lines = _decoded(start[: motion.end()] if motion else start).split("\n")
            joints, parents, offsets, ends, channels = _hierarchy(lines, motion is None)
            assert motion is not None  # `_hierarchy` refuses what has none
            stream.seek(begin + motion.end())
            frames, frame_time, used = _motion_header(stream.read(1 << 16), len(lines))
            rate, width = _frame_rate(frame_time), sum(len(c) for c in channels)
            budget.check_clip(frames, len(joints), rate, width)
            stream.seek(begin + motion.end())
            values = _motion_values(stream.read(), used, len(lines), frames, width)
    except OSError as error:
        raise MotionFileError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except MotionLLMError as error:
        raise MotionFileError(f"{path}: {error}") from None
    notes: tuple[str, ...] = ()
    if abs(rate * float(frame_time) - 1) > 2e-3:
        notes = (f"Frame Time {frame_time:.40} taken for {rate:g} frames per second",)
    return BVH(joints, parents, offsets, ends, channels, values, rate, notes=notes)


def _utf8(file: IO[bytes]) -> IO[bytes]:
    """The file at the first byte of its text; as UTF-8 where it is UTF-16, told by its mark or its zero bytes."""
    start = file.read(64)
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(start[:2], "")
    mark = 2 if encoding else 3 if start.startswith(codecs.BOM_UTF8) else 0
    if not encoding and len(start) >= 4:
        encoding = "" if all(start[:4]) else "utf-16-le" if not any(start[1:4:2]) else "utf-16-be"
    file.seek(mark)
    if not encoding:
        return file
    try:
        return io.BytesIO(file.read().decode(encoding).encode("utf-8"))
    except UnicodeError:
        raise MotionLLMError("is not a text file, so not BVH; export the motion as BVH again.") from None


def _decoded(content: bytes) -> str:
    """The text of a hierarchy, line ends as "\\n". Names in another encoding are named, for they cannot be guessed."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        ends = [content.find(end, error.start) for end in (b"\n", b"\r")]
        line = content[: min([end for end in ends if end >= 0], default=len(content))].splitlines()[-1]
        guess = _encoding(line)
        if not guess or b"\0" in content:
            raise MotionLLMError("is not a text file, so not BVH; export the motion as BVH again.") from None
        number = len(content[: error.start].splitlines())
        raise MotionLLMError(
            f"line {number}: '{_shown(line.decode(guess[0]))}' is not UTF-8 (it may be {guess[1]}); save the file as "
            "UTF-8 with an editor, or export it again with joint names in plain letters."
        ) from None
    if "\0" in text:
        raise MotionLLMError("is not a text file, so not BVH; export the motion as BVH again.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(line: bytes) -> tuple[str, str] | None:
    """The codec that a line's bytes are likely in, and what it is called; None where they are no text."""
    if not re.search(rb"[\x80-\xff]{2}|[\x80-\xbf]", line):  # accented letters between plain ones
        return "cp1252", "Windows-1252"
    for codec, name, likely in (
        ("cp932", "Shift-JIS", "[\u3040-\u30ff\u4e00-\u9fff]"),
        ("gbk", "GBK", "[\u4e00-\u9fff]"),
        ("cp1252", "Windows-1252", "."),
        ("latin-1", "a code page", "."),
    ):
        with contextlib.suppress(UnicodeDecodeError):
            text = line.decode(codec)
            odd = re.sub("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]|[ -~\t\xa0-\u017f\u2010-\u2122]", "", text)
            foreign = re.sub(r"[\x00-\x7f]", "", text)
            if not odd and len(re.findall(likely, foreign)) >= len(foreign) / 2:
                return codec, name
    return None


def _shown(text: str, most: int = 40) -> str:
    """What a message quotes of a file: short, and nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text.strip()[:most])


Hierarchy = tuple[
    tuple[str, ...], tuple[int, ...], np.ndarray, dict[int, np.ndarray], tuple[tuple[str, ...], ...]
]  # joints, parents, offsets, ends and channels of a BVH


def _hierarchy(lines: list[str], ends_here: bool) -> Hierarchy:
    """The hierarchy in a BVH file's lines, the last of which is MOTION unless the file `ends_here`."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[np.ndarray | None] = []
    channels: list[tuple[str, ...]] = []
    ends: dict[int, np.ndarray] = {}
    stack: list[int] = []  # open joints; an open End Site is -1 - its joint
    opening: int | None = None  # a joint whose '{' has not come yet
    last = max((n for n, line in enumerate(lines) if line.strip()), default=0)

    def fail(number: int, what: str) -> MotionLLMError:
        if names and number == last and ends_here:
            what = f"the file ends inside HIERARCHY, at '{_shown(lines[number])}'; copy or export it again."
        remedy = "" if "again" in what else "; export the motion again"
        return MotionLLMError(f"line {number + 1}: {what.rstrip('.')}{remedy}.")

    for number, line in enumerate(lines):
        for piece in re.split("([{}])", line):
            head, _, tail = " ".join(piece.split()).partition(" ")
            if not names and head.lower() == "hierarchy":
                head, _, tail = tail.partition(" ")
            word, shown = head.lower(), _shown(f"{head} {tail}")
            if not head:
                continue
            if not names and word != "root":
                raise fail(number, f"'{shown}' stands where HIERARCHY and ROOT are expected; this is not BVH.")
            if head == "{":
                if opening is None:
                    raise fail(number, "'{' without a joint before it.")
                stack.append(opening)
                opening = None
                budget.check_joints(len(names), len(stack))
            elif head == "}":
                if not stack or opening is not None:
                    raise fail(number, "'}' closes nothing.")
                closed = stack.pop()
                if closed >= 0 and offsets[closed] is None:
                    raise fail(number, f"joint {_shown(names[closed])} has no OFFSET.")
            elif opening is not None:
                raise fail(number, f"'{{' is missing before '{shown}'.")
            elif word in ("root", "joint"):
                if not tail or len(tail) > 200:
                    raise fail(number, f"{word.upper()} with a name of {len(tail)} characters; a short one is needed.")
                if (word == "root") != (not names):
                    raise fail(number, "a second ROOT; export the bodies again, each in a file of its own.")
                if word == "joint" and (not stack or stack[-1] < 0):
                    raise fail(number, f"JOINT {_shown(tail)} stands outside every joint.")
                parents.append(stack[-1] if stack else -1)
                names.append(tail)
                offsets.append(None)
                channels.append(())
                opening = len(names) - 1
            elif word == "end":
                if not stack or stack[-1] < 0:
                    raise fail(number, "an End Site outside every joint.")
                opening = -1 - stack[-1]
            elif word == "offset":
                if not stack:
                    raise fail(number, "OFFSET outside every joint.")
                value = _numbers(tail)
                if value is None or len(value) != 3:
                    raise fail(number, f"OFFSET needs three numbers, found '{_shown(tail)}'{_remedy(tail.encode())}.")
                if stack[-1] >= 0:
                    offsets[stack[-1]] = value
                else:
                    ends[-1 - stack[-1]] = value
            elif word == "channels":
                if not stack or stack[-1] < 0:
                    raise fail(number, "CHANNELS outside every joint.")
                words = tail.split()
                if not words or not re.fullmatch("[0-9]{1,3}", words[0]) or int(words[0]) != len(words) - 1:
                    raise fail(number, f"CHANNELS needs its count and as many names, found '{_shown(tail, 60)}'.")
                unknown = [w for w in words[1:] if w.lower() not in _POSITION and w.lower() not in _ROTATION]
                if unknown or len({w.lower() for w in words[1:]}) < len(words) - 1:
                    raise fail(number, f"CHANNELS '{_shown(tail, 60)}' names an unknown channel or one twice.")
                channels[stack[-1]] = tuple(words[1:])
            elif word == "motion" and not ends_here:
                if stack:
                    name = _shown(names[max(stack[-1], 0)])
                    raise fail(number, f"MOTION begins while {name} is still open: a '}}' is missing.")
            else:
                raise fail(number, f"'{shown}' is no word of a BVH hierarchy.")
    if not names:
        raise MotionLLMError("holds no ROOT joint; it is empty or not BVH: copy or export it again.")
    if ends_here:
        where = "inside HIERARCHY" if stack or opening is not None else "before MOTION"
        raise MotionLLMError(f"line {last + 1}: the file ends {where}; copy or export it again.")
    if not any(channels):
        raise MotionLLMError("has no CHANNELS in any joint, so nothing moves; export the motion with its channels.")
    return tuple(names), tuple(parents), np.array(offsets, np.float64), ends, tuple(channels)


def _numbers(text: str) -> np.ndarray | None:
    if not all(_NUMBER.fullmatch(word) for word in text.encode().split()):
        return None
    values = np.array(text.split(), np.float64)
    return values if (np.abs(values) <= budget.LARGEST).all() else None


def _remedy(token: bytes) -> str:
    """What to do about a word that should be a number, as the end of a sentence."""
    if re.search(rb"\d,\d", token):
        return "; BVH has decimal points: replace the commas, or export again with English number formats"
    if re.search(rb"[\d.][-+]\.?\d", token) or token.count(b".") > 1:
        return ": numbers grown together; put blanks between them, or export the motion again"
    return "; repair the file, or export the motion again"


def _motion_header(content: bytes, line: int) -> tuple[int, str, int]:
    """The frame count, the frame time as written, and the bytes of `content` before the values.

    content: what follows the word MOTION in `line`.
    """
    found: dict[str, str] = {}
    for row in re.finditer(rb"([^\r\n]*)(?:\r\n|\r|\n|$)", content):
        text = row[1].decode("utf-8", "replace").strip()
        match = re.match(r"(frames|frame\s*time)\s*:?\s*(\S{1,5000})$", text, re.IGNORECASE)
        if match:
            found["frames" if match[1].lower() == "frames" else "time"] = match[2]
        elif text:
            raise MotionLLMError(
                f"line {line}: 'Frames: N' and 'Frame Time: seconds' are expected after MOTION, "
                f"found '{_shown(text)}'; export the motion again."
            )
        if len(found) == 2:
            count, time = found["frames"], found["time"]
            if not re.fullmatch("[0-9]{1,12}", count) or int(count) < 1:
                raise MotionLLMError(
                    f"says 'Frames: {_shown(count)}'; a number of frames, 1 or more, is needed: export the file again."
                )
            if not _NUMBER.fullmatch(time.encode()) or not 1 / budget.MOST_FPS <= float(time) <= 1 / budget.LEAST_FPS:
                raise MotionLLMError(
                    f"says 'Frame Time: {_shown(time)}'; the seconds from frame to frame are needed, with a decimal "
                    "point, at most 1: write 0.033333 for 30 frames per second."
                )
            return int(count), time, row.end()
        line += 1
    missing = "'Frame Time'" if "frames" in found else "'Frames'"
    raise MotionLLMError(f"line {line - 1}: the file ends before {missing}; copy or export it again.")


def _motion_values(content: bytes, first: int, line: int, frames: int, width: int) -> np.ndarray:
    """The (frames, width) channel values in `content` from byte `first` on; it begins in `line` of the file."""
    words, other, white = 0, False, True
    for start in range(first, len(content), _CHUNK):
        chunk = content[start : start + _CHUNK]
        other = other or bool(chunk.translate(None, b"0123456789+-.eE \t\n\r\v\f"))
        black = np.frombuffer(chunk, np.uint8) > 32
        words += int(np.count_nonzero(black[1:] & ~black[:-1])) + int(white and black[0])
        white = not black[-1]
    if words == frames * width and not other:
        try:
            values = np.fromstring(content[first:], np.float64, sep=" ")
        except (ValueError, DeprecationWarning):  # which of them depends on numpy's version
            values = np.empty(0)
        if len(values) == words and (np.abs(values) <= budget.LARGEST).all():
            return values.reshape(frames, width)
    end = len(content.rstrip())

    def at(byte: int) -> str:
        ends = content.count(b"\n", 0, byte) or content.count(b"\r", 0, byte)
        return f"line {line + ends}"

    bad = _NO_NUMBER.search(content, first)
    begun = bad and bad.end() == end and re.fullmatch(rb"[-+]?[0-9]*\.?[0-9]*(?:[eE][-+]?)?", bad[0])  # cut within
    if bad and not (begun and words <= frames * width):
        what = f"'{_shown(bad[0].decode('utf-8', 'replace'))}' is not a finite number{_remedy(bad[0])}"
    elif words != frames * width:
        more = "fewer" if words < frames * width else "more"
        whole = words // width
        fix = f"write 'Frames: {whole}' if they belong to the take, or " if words % width == 0 < whole else ""
        raise MotionLLMError(
            f"{at(end)}: the motion ends after {words} values, {more} than {frames} frames × {width} channels = "
            f"{frames * width} ({whole} whole frames); {fix}copy or export the file again."
        )
    else:
        for bad in re.finditer(rb"\S+", content[first:]):
            if not bad or not _NUMBER.fullmatch(bad[0]) or not abs(float(bad[0])) <= budget.LARGEST:
                break
        assert bad is not None
        what = f"'{_shown(bad[0].decode('latin-1'))}' is no position or angle; repair the file, or export it again"
        raise MotionLLMError(f"{at(first + bad.start())}: {what}.")
    raise MotionLLMError(f"{at(bad.start())}: {what}.")


def _frame_rate(frame_time: str) -> float:
    """Frames per second. A frame time has few digits, rounded or cut off (.0083333, .008): a usual rate that would be
    written so is meant, else a whole one."""
    seconds = float(frame_time)
    mantissa, _, exponent = frame_time.lower().partition("e")
    digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    usual = [fps for fps in _USUAL if seconds - digit / 2 <= 1 / fps < seconds + digit]
    if usual:
        return min(usual, key=lambda fps: abs(1 / fps - seconds))
    rate, whole = 1 / seconds, round(1 / seconds)
    return float(whole) if seconds - digit / 2 <= 1 / whole <= seconds + digit / 2 else rate


def write_bvh(bvh: BVH, path: str | os.PathLike[str]) -> None:
    """Write a BVH file (beside and renamed). Raises MotionFileError where the folder cannot be written."""
    children: list[list[int]] = [[] for _ in bvh.joints]
    for j, parent in enumerate(bvh.parents):
        if parent >= 0:
            children[parent].append(j)
    lines = ["HIERARCHY"]

    def joint(j: int, indent: str) -> None:
        lines.append(f"{indent}{'ROOT' if bvh.parents[j] < 0 else 'JOINT'} {bvh.joints[j]}")
        lines.append(indent + "{")
        lines.append(f"{indent}\tOFFSET {_triple(bvh.offsets[j])}")
        lines.append(f"{indent}\tCHANNELS {len(bvh.channels[j])} {' '.join(bvh.channels[j])}".rstrip())
        for child in children[j]:
            joint(child, indent + "\t")
        if j in bvh.ends:
            lines.append(f"{indent}\tEnd Site")
            lines.append(indent + "\t{")
            lines.append(f"{indent}\t\tOFFSET {_triple(bvh.ends[j])}")
            lines.append(indent + "\t}")
        lines.append(indent + "}")

    # Files write joints depth first, and `values` follows the order of `joints`: both come from the same walk.
    joint(0, "")
    lines += ["MOTION", f"Frames: {len(bvh)}", f"Frame Time: {1 / bvh.fps:.9f}"]
    template = " ".join(["%.6f"] * bvh.values.shape[1])
    lines += [template % tuple(row) for row in bvh.values]
    write_file(path, "\n".join(lines) + "\n")


def _triple(vector: np.ndarray) -> str:
    return " ".join(f"{value + 0.0:.6f}" for value in vector)


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


def swing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotations (T, 3, 3) that turn unit vectors a (T, 3) into b (T, 3) (Rodrigues' formula)."""
    axis, cosine = np.cross(a, b), (a * b).sum(-1)
    opposite = cosine < -1 + 1e-9
    x, y, z = axis.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    result = np.eye(3) + cross + cross @ cross / (1 + np.where(opposite, 0.0, cosine))[:, None, None]
    for t in np.flatnonzero(opposite):  # half a turn about any axis square to a
        square = np.cross(a[t], np.eye(3)[np.argmin(np.abs(a[t]))])
        square /= np.linalg.norm(square)
        result[t] = 2 * np.outer(square, square) - np.eye(3)
    return result


_SURE = 0.3  # the sine of a bend, 17 degrees, from which on a joint's side is known


def _hinged(turned: np.ndarray, along: np.ndarray, lower: np.ndarray, fps: float) -> np.ndarray:
    """Turns (T, 3, 3) about a bone, which lies along the unit vector `along` (3,) of frames `turned` (T, 3, 3), after
    which the next bone, `lower` (T, 3) in the world, leaves it to one side always: elbows and knees are hinges.

    The straighter the joint, the less its side is known; there the turn goes on smoothly from frame to frame.
    """
    square = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    square /= np.linalg.norm(square)
    local = np.einsum("tba,tb->ta", turned, lower / np.maximum(np.linalg.norm(lower, axis=-1, keepdims=True), 1e-9))
    x, y = local @ square, local @ np.cross(along, square)
    bent = np.hypot(x, y)  # the sine of the angle between the bones
    sure = bent > _SURE
    if not sure.any() or len(bent) < 2:
        return np.broadcast_to(np.eye(3), turned.shape)
    angle, frames = np.arctan2(y, x), np.arange(len(bent))
    course = np.interp(frames, frames[sure], np.unwrap(angle[sure]))
    angle = course + np.mod(angle - course + np.pi, 2 * np.pi) - np.pi
    # Least squares: near what is seen, the more the joint is bent, and little change between neighbours.
    seen, smooth = (np.maximum(bent - 0.75 * _SURE, 0) / 0.2) ** 2, (fps / 60.0) ** 2
    bands = np.zeros((2, len(bent)))
    bands[0, 1:] = -smooth
    bands[1] = seen + 1e-9
    bands[1, 1:] += smooth
    bands[1, :-1] += smooth
    angle = solveh_banded(bands, seen * angle + 1e-9 * course)
    middle = np.arctan2((bent * np.sin(angle)).sum(), (bent * np.cos(angle)).sum())
    return Rotation.from_rotvec((angle - middle)[:, None] * along).as_matrix()


def solve_bvh(
    joints: np.ndarray,
    names: Sequence[str],
    parents: Sequence[int],
    rest: np.ndarray,
    fps: float,
    exact: float = 1e-4,
    hinges: Collection[int] = (),
) -> BVH:
    """A BVH, in centimetres, whose joints move as `joints` (T, J, 3) metres, Y up, do.

    rest: (J, 3) directions of the bones in the rest pose (any length, zero for none). Bone lengths are
    the medians over the clip. A joint with one child turns by the smallest rotation relative to its
    parent that points its bone at the child; one with several by the best fit over its children (Kabsch
    1976). Where that leaves a child more than `exact` metres off (the angle between the bones changes,
    as at hips and collars), a joint of no length named CHILD_base is put before the child, as CMU's own
    files do with LHipJoint, and makes it exact. Lengths that change within the clip cannot be
    kept; each bone then points from where its joint came to stand, so that no error adds to the next.
    hinges: joints with one child that has one child (upper arm, thigh): these turn about their own bone too, so that
    the joint below (elbow, knee) bends about one axis of them.
    """
    joints = np.asarray(joints, np.float64)
    frames = len(joints)
    children: list[list[int]] = [[] for _ in names]
    for j, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(j)
    if list(parents).count(-1) != 1:
        raise MotionLLMError("BVH holds one body: the skeleton needs exactly one root.")
    lengths = np.zeros(len(names))
    for j, parent in enumerate(parents):
        if parent >= 0:
            lengths[j] = np.median(np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1))
    norm = np.linalg.norm(rest, axis=-1, keepdims=True)
    rest = np.where(norm > 1e-9, rest / np.maximum(norm, 1e-9), [0.0, 1.0, 0.0])

    out_names: list[str] = []
    out_parents: list[int] = []
    out_offsets: list[np.ndarray] = []
    out_local: list[np.ndarray] = []
    ends: dict[int, np.ndarray] = {}

    def add(name: str, parent: int, offset: np.ndarray, local: np.ndarray) -> int:
        out_names.append(name)
        out_parents.append(parent)
        out_offsets.append(offset * 100.0)
        out_local.append(local)
        return len(out_names) - 1

    def visit(j: int, parent: int, world: np.ndarray, place: np.ndarray) -> None:
        """Append joint j, which stands at `place` (T, 3), under `parent`, whose world rotation is `world` (T, 3, 3)."""
        bones = [k for k in children[j] if lengths[k] > 1e-6]
        aims = {k: joints[:, k] - place for k in bones}
        aims = {k: aim / np.maximum(np.linalg.norm(aim, axis=-1, keepdims=True), 1e-9) for k, aim in aims.items()}
        turned = world
        if len(bones) == 1:
            turned = swing(world @ rest[bones[0]], aims[bones[0]]) @ world
            below = [m for m in children[bones[0]] if lengths[m] > 1e-6]
            if j in hinges and len(below) == 1:
                turned = turned @ _hinged(turned, rest[bones[0]], joints[:, below[0]] - joints[:, bones[0]], fps)
        elif bones:
            # The parent's rotation enters with a tiny weight: it settles what collinear bones leave open.
            fit = sum((aims[k][:, :, None] * rest[k] for k in bones), start=1e-6 * world)
            u, _, v = np.linalg.svd(fit)
            u[..., -1] *= np.linalg.det(u @ v)[:, None]
            turned = u @ v
        offset = rest[j] * lengths[j] if parent >= 0 else np.zeros(3)
        index = add(names[j], parent, offset, world.transpose(0, 2, 1) @ turned)
        if not children[j]:
            ends[index] = rest[j] * max(lengths[j], 0.02) * 50.0
        for k in children[j]:
            own, above = turned, index
            if k in aims and lengths[k] * np.linalg.norm(turned @ rest[k] - aims[k], axis=-1).max() > exact:
                own = swing(turned @ rest[k], aims[k]) @ turned
                above = add(f"{names[k]}_base", index, np.zeros(3), turned.transpose(0, 2, 1) @ own)
            visit(k, above, own, place + own @ rest[k] * lengths[k])

    root = list(parents).index(-1)
    visit(root, -1, np.broadcast_to(np.eye(3), (frames, 3, 3)), joints[:, root])
    columns, channels = [joints[:, root] * 100.0], []
    for index, local in enumerate(out_local):
        # The middle angle of an order must stay away from ±90 degrees: about Y for bones that hang or stand (a knee
        # and a hip bend by more about X), about X for the root, which may face anywhere, and for arms, rest along X.
        along = out_offsets[index + 1] if index + 1 < len(out_offsets) else out_offsets[index]
        upright = index > 0 and abs(along[1]) >= max(abs(along[0]), abs(along[2]))
        order = "ZYX" if upright else "ZXY"
        columns.append(euler(local, order))
        place = ("Xposition", "Yposition", "Zposition") if index == 0 else ()
        channels.append((*place, *(f"{axis}rotation" for axis in order)))
    return BVH(
        tuple(out_names),
        tuple(out_parents),
        np.array(out_offsets),
        ends,
        tuple(channels),
        np.concatenate(columns, axis=1),
        float(fps),
        unit=0.01,
    )
