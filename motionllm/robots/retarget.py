"""A clip on a robot, from the targets to the report."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from motionllm.motion.clip import Motion
from motionllm.robots.report import report, tracking
from motionllm.robots.robot import Robot
from motionllm.robots.solving import solve
from motionllm.robots.targets import targets


def retarget(motion: Motion, robot: Robot, fps: float = 30.0) -> tuple[np.ndarray, dict[str, Any]]:
    """qpos (T, 7 + N) of a robot that follows a clip at `fps`, and the report (`motionllm.robots.report`).

    qpos: root position (metres, z up), root quaternion (w, x, y, z), joints (radians). Raises MotionLLMError for a
    motion that is too short or has no legs or arms.
    """
    goal = targets(motion, robot, fps)
    start = time.process_time()
    qpos = solve(robot, goal)
    seconds = max(time.process_time() - start, 1e-6)
    figures = report(robot, qpos, goal)
    for name in ("hands", "feet"):
        # The posture of the worst frame, held: no limit of velocity keeps the robot from it.
        worst = goal.at(figures[f"{name}_max_frame"])
        figures[f"{name}_held_cm"] = tracking(robot.points(solve(robot, worst)), worst)[f"{name}_max_cm"]
    return qpos, {**figures, "solved_fps": len(qpos) / seconds}
