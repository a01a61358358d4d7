"""Robot motion in files for controllers: CSV, npz, and beside each a JSON that says what its columns are.

CSV has no header: root x, y, z (metres), root quaternion, joints (radians), a row per frame. "lafan1" has the
quaternion as x, y, z, w, like the LAFAN1 motions retargeted to Unitree's robots; "mujoco" as w, x, y, z, like MuJoCo's
qpos. An npz has the arrays that whole-body tracking reads: positions and velocities of joints and links.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.files import whole_stream, write_file, write_json
from motionllm.robots.robot import Robot

FORMATS = ("lafan1", "mujoco")
AXES = "x ahead, y to the left, z up, metres; the floor is z = 0, and the place is the clip's"


def check_format(layout: str) -> None:
    """Raise MotionLLMError for a layout of CSV that there is not."""
    if layout not in FORMATS:
        raise MotionLLMError(f"--format is {' or '.join(FORMATS)}, not '{layout}'.")


def save_csv(robot: Robot, qpos: np.ndarray, fps: float, path: Path, layout: str, report: dict[str, Any]) -> None:
    """Write qpos (T, 7 + N) as CSV in a layout of FORMATS, and PATH.json. Raises WriteError, or MotionLLMError for
    another layout.
    """
    check_format(layout)
    order = "xyzw" if layout == "lafan1" else "wxyz"
    root = qpos[:, 3:7] if order == "wxyz" else qpos[:, [4, 5, 6, 3]]
    rows = np.concatenate([qpos[:, :3], root, qpos[:, 7:]], axis=1)
    write_file(path, "".join(",".join(f"{value:.6f}" for value in row) + "\n" for row in rows))
    columns = [*(f"root_{axis}" for axis in "xyz"), *(f"root_q{axis}" for axis in order), *robot.joints]
    about = {"format": layout, "header": False, "quaternion": order, "columns": columns}
    write_json(_beside(path), {**_about(robot, qpos, fps), **about, "report": report})


def save_npz(robot: Robot, qpos: np.ndarray, fps: float, path: Path, report: dict[str, Any]) -> None:
    """Write positions and velocities of joints and moving links as npz, and PATH.json. Raises WriteError."""
    import mujoco

    model, data = robot.model, mujoco.MjData(robot.model)
    moving = np.flatnonzero(model.body_dofnum > 0)
    positions, quaternions = np.empty((len(qpos), len(moving), 3)), np.empty((len(qpos), len(moving), 4))
    for t, posture in enumerate(qpos):
        data.qpos[:] = posture
        mujoco.mj_kinematics(model, data)
        positions[t], quaternions[t] = data.xpos[moving], data.xquat[moving]
    content = {
        "fps": np.array([fps]),
        "joint_pos": qpos[:, 7:],
        "joint_vel": np.gradient(qpos[:, 7:], 1 / fps, axis=0),
        "body_pos_w": positions,
        "body_quat_w": quaternions,
        "body_lin_vel_w": np.gradient(positions, 1 / fps, axis=0),
        "body_ang_vel_w": _turning(quaternions, fps),
    }
    content = {name: array.astype(np.float32) for name, array in content.items()}
    bodies = [model.body(b).name for b in moving]
    with whole_stream(path) as stream:
        np.savez_compressed(stream, **content, joint_names=np.array(robot.joints), body_names=np.array(bodies))
    about = {
        "format": "npz",
        "quaternion": "wxyz",
        "arrays": {name: list(array.shape) for name, array in content.items()},
        "bodies": bodies,
    }
    write_json(_beside(path), {**_about(robot, qpos, fps), **about, "report": report})


def _turning(quaternions: np.ndarray, fps: float) -> np.ndarray:
    """(T, B, 3) radians per second in the world's axes, by central differences of (T, B, 4) quaternions w, x, y, z."""
    frames, bodies = quaternions.shape[:2]
    ahead, behind = np.minimum(np.arange(frames) + 1, frames - 1), np.maximum(np.arange(frames) - 1, 0)
    turned = Rotation.from_quat(quaternions[ahead].reshape(-1, 4), scalar_first=True)
    turned = turned * Rotation.from_quat(quaternions[behind].reshape(-1, 4), scalar_first=True).inv()
    vectors = turned.as_rotvec().reshape(frames, bodies, 3)
    rates: np.ndarray = vectors * fps / np.maximum(ahead - behind, 1)[:, None, None]
    return rates


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _about(robot: Robot, qpos: np.ndarray, fps: float) -> dict[str, Any]:
    return {"robot": robot.name, "fps": fps, "frames": len(qpos), "axes": AXES, "joints": list(robot.joints)}
