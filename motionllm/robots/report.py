"""What a robot's motion came to: limits kept or broken, feet that slip, and how near it is to its targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import label

from motionllm.robots.robot import FLOOR, PAIRED, Robot, points_of
from motionllm.robots.targets import SIDES, Targets

OVERLAP = 1e-3  # metres; a shallower touch of two links is none
PARTS = {"hands": ("wrist",), "feet": ("ankle", "foot"), "knees": ("knee",), "elbows": ("elbow",)}


def report(robot: Robot, qpos: np.ndarray, goal: Targets) -> dict[str, Any]:
    """The figures of a motion qpos (T, 7 + N) at goal.fps, as plain values (docs/robots.md says what each means)."""
    points, overlaps, deepest, under = _posed(robot, qpos)
    joints = qpos[:, 7:]
    beyond = np.maximum(robot.low - joints, joints - robot.high)
    speed = np.abs(np.diff(joints, axis=0)) * goal.fps / robot.velocity
    fastest = int(speed.max(0).argmax())
    slips = slip(points, goal.standing)
    return {
        "robot": robot.name,
        "frames": len(qpos),
        "fps": goal.fps,
        "joint_limits_broken": int((beyond > 1e-9).sum()),
        "velocity_limits_broken": int((speed > 1).sum()),
        "self_collisions": len(overlaps),
        "limits_broken": int((beyond > 1e-9).sum()) + int((speed > 1).sum()) + len(overlaps),
        "self_collision_frames": overlaps[:20],
        "self_collision_mm": deepest * 1000,
        "fastest_joint": robot.joints[fastest],
        "fastest_share": float(speed.max()),
        "under_floor_mm": under * 1000,
        "contacts": len(slips),
        "slip_mean_cm": float(np.mean(slips)) if slips else None,
        "slip_max_cm": float(np.max(slips)) if slips else None,
        **tracking(points, goal),
        "pinning_max_cm": float(np.linalg.norm(goal.pinned, axis=-1).max() * 100),
    }


def slip(points: np.ndarray, standing: np.ndarray) -> list[float]:
    """Centimetres for each contact: the farthest the ball of the foot gets, on the floor, from its median place in it.

    points (T, P, 3), standing (T, 2): see `Targets`.
    """
    slips = []
    for n, side in enumerate(SIDES):
        runs, count = label(standing[:, n])
        foot = points[:, PAIRED.index(f"{side}_foot"), :2]
        for run in range(1, count + 1):
            place = foot[runs == run]
            slips.append(float(np.linalg.norm(place - np.median(place, axis=0), axis=-1).max()) * 100)
    return slips


def tracking(points: np.ndarray, goal: Targets) -> dict[str, float | int]:
    """Centimetres from points (T, P, 3) to their targets: the mean, 95 % of frames, the most and its frame,
    of hands, feet, knees and elbows."""
    away = np.linalg.norm(points - goal.points, axis=-1) * 100
    figures: dict[str, float | int] = {}
    for name, parts in PARTS.items():
        own = away[:, [p for p, paired in enumerate(PAIRED) if paired.split("_")[1] in parts]]
        figures[f"{name}_mean_cm"] = float(own.mean())
        figures[f"{name}_p95_cm"] = float(np.percentile(own, 95))
        figures[f"{name}_max_cm"] = float(own.max())
        figures[f"{name}_max_frame"] = int(own.max(1).argmax())
    return figures


def _posed(robot: Robot, qpos: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]], float, float]:
    """Points (T, P, 3), frames with links that overlap, the deepest overlap and the deepest place under the floor."""
    import mujoco

    model, data = robot.model, mujoco.MjData(robot.model)
    floor = model.geom(FLOOR).id
    points, overlaps, deepest, under = np.empty((len(qpos), len(PAIRED), 3)), [], 0.0, 0.0
    for t, posture in enumerate(qpos):
        data.qpos[:] = posture
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        points[t] = points_of(robot, data)
        on_floor = (data.contact.geom == floor).any(1)
        under = max(under, float(-data.contact.dist[on_floor].min(initial=0.0)))
        between = np.where(on_floor, np.inf, data.contact.dist)
        if between.min(initial=0.0) < -OVERLAP:
            pair = data.contact.geom[between.argmin()]
            names = sorted(model.body(model.geom_bodyid[geom]).name for geom in pair)
            overlaps.append({"frame": t, "links": names, "mm": float(-between.min() * 1000)})
            deepest = max(deepest, float(-between.min()))
    return points, overlaps, deepest, under
