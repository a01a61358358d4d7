"""A file's unit, up axis and rest pose, found by the body that its joints make."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion import plausible
from motionllm.motion.formats.bvh import BVH, rest_places
from motionllm.motion.formats.rig_body import kit_to_humanml3d, to_humanml3d
from motionllm.motion.formats.rigs import RigMap, map_rig, saved_skeleton
from motionllm.motion.formats.schemes import written
from motionllm.motion.skeleton import KIT

# Metres per unit, tried in this order: a body whose stature falls within the range decides. CMU's
# mocap counts in inches / 0.45. No two ranges overlap: below 0.84 m in centimetres a body is an adult's in inches.
_UNITS = (
    ("centimetres", 0.01, 0.84, 2.6),
    ("metres", 1.0, 0.5, 2.6),
    ("CMU units", 0.0254 / 0.45, 1.4, 2.1),
    ("inches", 0.0254, 1.4, 2.1),
    ("decimetres", 0.1, 1.4, 2.1),
    ("millimetres", 0.001, 0.5, 2.6),
    ("feet", 0.3048, 1.4, 2.1),
)
_POSSIBLE = (0.5, 3.4)  # metres: statures that a file is believed whose unit it states
_KNEES = ("left_knee", "right_knee")
_STATURE_PER_LEG = 2.06  # stature over thigh + shin, on the HumanML3D target skeleton
_STATURE = 1.70  # metres, for rigs in units of their own


def calibrate(bvh: BVH, rig: dict[str, Any], own: bool = False) -> tuple[BVH, RigMap | None, list[str]]:
    """Set a file's unit and up axis, drop a T-pose put before the motion, map its rig and look at the body.

    Returns the file, its map (None where its joints are not recognised and `rig` names none), and one line about each
    decision. The unit is the one that the file states, else the one in which thigh + shin make a person; a rig in units
    of its own is scaled to 1.70 m. Up is the axis along which the body stands. A file seen in a mirror is mirrored
    back. own: the file says that this package wrote it. Raises MotionLLMError where the joints are no body
    (`plausible.inspect`).
    """
    notes: list[str] = []
    positions = bvh.positions()
    distance = np.zeros(len(bvh.joints))
    for j, parent in enumerate(bvh.parents):
        if parent >= 0:
            distance[j] = np.median(np.linalg.norm(positions[:, j] - positions[:, parent], axis=-1))
    mapping = None if set(rig) - {"unit", "up"} else written(bvh.joints, bvh.parents, None if own else bvh.offsets)
    try:
        long = tuple(j for j, end in bvh.ends.items() if np.any(end))
        mapping = mapping or map_rig(bvh.joints, bvh.parents, distance, long, rig)
    except MotionLLMError:
        if set(rig) - {"unit", "up"}:
            raise
        mapping = None
    stature = _stature(positions, distance, bvh.parents, mapping)
    if "unit" in rig:
        unit = float(rig["unit"])
    elif bvh.stated is not None and _POSSIBLE[0] <= stature * bvh.stated <= _POSSIBLE[1]:
        unit = bvh.stated
    else:
        unit, name = _unit_of(stature)
        notes.append(f"units taken for {name}")
    body = None
    if saved_skeleton(bvh.joints) is KIT:
        body = kit_to_humanml3d(positions[:, [bvh.joints.index(name) for name in KIT.joints]] * unit)
    elif mapping is not None:
        ends = {j: point * unit for j, point in bvh.end_sites().items()}
        with contextlib.suppress(MotionLLMError):  # `Motion.body` will say it
            body = to_humanml3d(positions * unit, ends, mapping)
    up = rig.get("up", "y" if own else "")
    if not up and body is not None and mapping is not None:
        up, up_notes = plausible.up_axis(body, _rest_axis(bvh, mapping))
        notes += up_notes
    bvh = bvh.measured(unit, up or "y")
    dropped = _rest_frames(bvh)
    if dropped:
        bvh = bvh.cut(dropped)
        notes.append(f"{dropped} frame(s) of rest pose before the motion dropped")
    if body is not None:
        findings = plausible.inspect(body[dropped:], bvh.fps, up=bvh.up)
        notes += findings.notes
        if findings.mirrored:
            bvh = bvh.mirrored()
    return bvh, mapping, notes


def _stature(positions: np.ndarray, distance: np.ndarray, parents: Sequence[int], mapping: RigMap | None) -> float:
    """How tall a body is, in the file's unit."""
    if mapping is not None and {"left_hip", "left_knee", "left_ankle"} <= set(mapping.places):
        hip, knee, ankle = (positions[:, mapping.places[f"left_{p}"]] for p in ("hip", "knee", "ankle"))
        leg = np.median(np.linalg.norm(hip - knee, axis=-1)) + np.median(np.linalg.norm(knee - ankle, axis=-1))
        return float(leg) * _STATURE_PER_LEG
    # No names to go by: from the root, the two farthest limbs (arm and leg) reach about 1.3 statures.
    reach = np.zeros(len(parents))
    for j, parent in enumerate(parents):
        if parent >= 0:
            reach[j] = reach[parent] + distance[j]
    return float(reach.max()) * 1.6


def _unit_of(stature: float) -> tuple[float, str]:
    """Metres per file unit of a body this tall, and what to call it."""
    for name, unit, least, most in _UNITS:
        if least <= stature * unit <= most:
            return unit, name
    if stature <= 0:
        return 1.0, "metres (the body has no size)"
    return _STATURE / stature, f"{_STATURE / stature:.4g} m, which makes the body {_STATURE:.2f} m tall"


def _rest_axis(bvh: BVH, mapping: RigMap) -> str:
    """The axis along which the rest pose stands, "" where the offsets make none: all bones along one line, say."""
    places = mapping.places
    rest = rest_places(bvh.offsets, bvh.parents)
    upwards = rest[places.get("neck", places.get("head", 0))] - rest[[places[p] for p in _KNEES]].mean(0)
    hips, shoulders = (rest[places[f"left_{p}"]] - rest[places[f"right_{p}"]] for p in ("hip", "shoulder"))
    size = 0.03 * float(np.linalg.norm(upwards))
    if np.linalg.norm(hips) < size or np.linalg.norm(shoulders) < size:
        return ""
    return plausible.lean(upwards)


def _rest_frames(bvh: BVH) -> int:
    """How many frames at the start are a rest pose put before the motion, and the way out of it.

    A rest frame turns few joints and none by much; the motion starts after a jump of the joints, relative
    to the root, far above the steps that follow. Some converters spread that jump over a few frames.
    """
    if len(bvh) < 24:
        return 0
    head = bvh.cut(0, 24)
    turned = np.arccos(np.clip((np.trace(head.local()[1], axis1=-2, axis2=-1) - 1) / 2, -1, 1))
    resting = (np.mean(turned < np.radians(3), axis=1) > 0.7) & (turned.max(1) < np.radians(30))
    positions = head.positions()
    steps = np.linalg.norm(np.diff(positions - positions[:, :1], axis=0), axis=-1).max(-1)
    jump = steps > max(0.03, 3 * float(np.median(steps[10:])))
    last = int(np.argmin(resting)) - 1 if not resting.all() else -1
    if last < 0 or steps[last] < 0.1 or not jump[last]:
        return 0
    return last + 1 + int(np.argmin(jump[last + 1 :]))
