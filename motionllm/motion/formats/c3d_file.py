"""C3D files with joint centres: maps their points to the 22 joints by name (`pip install motionllm[c3d]`).

Most C3D files hold markers on the skin, from which joints follow only with a body model: those are refused, naming the
joints for which there is no point.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError, listed
from motionllm.motion import budget
from motionllm.motion.formats.bvh import Z_UP
from motionllm.motion.formats.rig_body import to_humanml3d
from motionllm.motion.formats.rigs import RigMap, side_and_part

_CENTRES = {"h": "hip", "k": "knee", "a": "ankle", "s": "shoulder", "e": "elbow", "w": "wrist"}  # LHJC, R_KJC …
# Origins of the segments that Plug-in Gait writes beside the markers.
_SEGMENTS = {"fep": "hip", "feo": "knee", "tio": "ankle", "clo": "shoulder", "huo": "elbow", "rao": "wrist"}
_PARTS = {
    "upleg": "hip",
    "thigh": "hip",
    "hip": "hip",
    "hips": "hip",
    "knee": "knee",
    "shin": "knee",
    "ankle": "ankle",
    "foot": "ankle",
    "toe": "foot",
    "toebase": "foot",
    "shoulder": "shoulder",
    "upperarm": "shoulder",
    "elbow": "elbow",
    "forearm": "elbow",
    "wrist": "wrist",
    "hand": "wrist",
}
_NEEDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_UNITS = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}
_LONGEST_GAP = 0.5  # seconds; longest gap of an occluded point that is interpolated


def read_c3d(path: Path) -> tuple[np.ndarray, float]:
    """Joints (T, 22, 3), metres, Y up, and frames per second.

    Raises MotionLLMError where the library is not installed, the file is damaged, a joint has no point, or a point is
    occluded for more than half a second.
    """
    try:
        import c3d
    except ImportError:
        raise MotionLLMError("reading .c3d needs the package c3d: pip install 'motionllm[c3d]'.") from None
    size = path.stat().st_size
    budget.check_bytes(size)
    try:
        with open(path, "rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of every missing parameter
            reader = c3d.Reader(stream)
            labels = [label.strip() for label in reader.point_labels]
            rate = float(reader.point_rate)
            unit = reader.get("POINT:UNITS")
            word = unit.string_value.strip().lower() if unit is not None else "mm"
            frames = int(reader.last_frame) - int(reader.first_frame) + 1
            places = _needed(labels)
            _check_size(reader, frames, rate, size)
            columns = list(places.values())
            points = np.empty((frames, len(columns), 5))
            read = 0
            for _, frame, _ in reader.read_frames(copy=False, analog_transform=False):
                points[read] = frame[columns]
                read += 1
    except (MotionLLMError, MemoryError):
        raise
    except OSError as error:
        raise MotionLLMError(f"cannot be read ({error.strerror or error}).") from None
    except Exception as error:  # on damaged bytes the library can raise anything
        reason = "".join(c if c.isprintable() else "?" for c in f"{type(error).__name__}: {error}")[:200]
        raise MotionLLMError(f"is damaged or no C3D file ({reason}); export it again.") from None
    if read < frames:
        raise MotionLLMError(f"is cut short: its header says {frames} frames and {read} are there; copy it again.")
    if max(-points[..., :3].min(), points[..., :3].max()) > budget.LARGEST:
        raise MotionLLMError("holds points farther off than any unit makes sense of; export it again.")
    used = {place: _bridged(points[:, k], labels[j], rate) for k, (place, j) in enumerate(places.items())}
    if "pelvis" not in used:
        used["pelvis"] = (used["left_hip"] + used["right_hip"]) / 2
    names = list(used)
    positions = np.stack(list(used.values()), axis=1) * _UNITS.get(word, 0.001)
    knees = [names.index("left_knee"), names.index("right_knee")]
    rise = (positions[:, names.index("head")] - positions[:, knees].mean(1)).mean(0)
    if abs(rise[2]) > abs(rise[1]):
        positions = positions @ Z_UP.T
    return to_humanml3d(positions, {}, RigMap({name: j for j, name in enumerate(names)}, ())), rate


def _needed(labels: list[str]) -> dict[str, int]:
    """The point for each joint; raises where a required one is missing."""
    places = _places(labels)
    missing = [f"{side}_{part}" for part in _NEEDED for side in ("left", "right") if f"{side}_{part}" not in places]
    if "head" not in places:
        missing.append("head")
    if missing:
        raise MotionLLMError(
            f"has no joint centre for {', '.join(missing)} among its points ({listed(labels, 12)}); "
            "markers on the skin are not enough, export joint centres or a skeleton as BVH."
        )
    return places


def _check_size(reader: Any, frames: int, rate: float, size: int) -> None:
    """Check, before reading them, that the frames stated in the header are present and within limits."""
    points, analog = int(reader.point_used), int(reader.analog_used)
    if frames < 1 or points < 1 or not rate > 0:
        raise MotionLLMError(
            f"holds no frame of points: its header says {frames} of {points} at {rate:g} per second; export it again."
        )
    budget.check_clip(frames, points, rate)
    bytes_each = (4 * points + analog * int(reader.analog_per_frame)) * (4 if reader.point_scale < 0 else 2)
    there = max(0, size - (int(reader.header.data_block) - 1) * 512) // bytes_each
    if there < frames:
        raise MotionLLMError(f"is cut short: its header says {frames} frames and {there} are there; copy it again.")


def _places(labels: list[str]) -> dict[str, int]:
    """The point for each joint; of several points with one name, the first."""
    places: dict[str, int] = {}
    for j, label in enumerate(labels):
        bare = label.rpartition(":")[2]
        short = re.sub(r"[^a-z]", "", bare.lower())
        side, part = {"l": "left", "r": "right"}.get(short[:1], ""), ""
        if match := re.fullmatch(r"[lr]([hkasew])(?:jc|jointcentre|jointcenter)", short):
            part = _CENTRES[match[1]]
        elif short[1:] in _SEGMENTS:
            part = _SEGMENTS[short[1:]]
        else:
            side, word = side_and_part(re.sub(r"(?i)[_ ]*(jc|joint)?[_ ]*(cent(re|er))?$", "", bare))
            part = _PARTS.get(word, "")
            if word in ("head", "neck") or short in ("hedo", "pelo", "pelvis", "midhip"):
                side, part = "", {"head": "head", "neck": "neck", "hedo": "head"}.get(word or short, "pelvis")
        if part and (side or part in ("head", "neck", "pelvis")):
            places.setdefault(f"{side}_{part}" if side else part, j)
    return places


def _bridged(point: np.ndarray, label: str, rate: float) -> np.ndarray:
    """(T, 3) positions of a point (T, 5) whose fourth value is below 0 where it was occluded; short gaps are
    interpolated.
    """
    seen = point[:, 3] >= 0
    if not seen.any():
        raise MotionLLMError(f"point {listed([label])} is never seen; fill it in the capture software.")
    frames = np.arange(len(point))
    edges = np.flatnonzero(seen)
    gap = max(int(np.diff(edges, prepend=-1).max()), len(point) - int(edges[-1])) - 1
    if gap > _LONGEST_GAP * rate:
        raise MotionLLMError(
            f"point {listed([label])} is hidden for {gap / rate:.1f} s; fill the gap in the capture software."
        )
    return np.stack([np.interp(frames, frames[seen], point[seen, k]) for k in range(3)], axis=-1)
