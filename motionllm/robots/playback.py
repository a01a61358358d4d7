"""Movies of a robot's motion: MuJoCo renders its model; without OpenGL a figure of its links is drawn instead."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from motionllm.errors import MotionFileError
from motionllm.motion.clip import Motion
from motionllm.motion.show import pictures
from motionllm.motion.skeleton import HUMANML3D
from motionllm.robots.robot import PAIRED, Robot

log = logging.getLogger(__name__)

SIZE = (480, 480)  # pixels
MOST_FPS = {".gif": 20.0, ".mp4": 30.0}


def save_movie(robot: Robot, qpos: np.ndarray, fps: float, path: Path) -> None:
    """Write the motion qpos (T, 7 + N) as MP4 or GIF, by the suffix; the camera follows the robot.

    Raises MotionFileError for another suffix or a place that cannot be written.
    """
    most = MOST_FPS.get(path.suffix.lower())
    if most is None:
        raise MotionFileError(f"{path}: a movie is .gif or .mp4, not '{path.suffix}'.")
    every = int(np.ceil(fps / most))
    qpos, fps = qpos[::every], fps / every
    try:
        images = _rendered(robot, qpos, fps)
    except Exception as error:  # of the driver, of many kinds
        log.warning("MuJoCo cannot render here (%s); the movie shows the robot's links.", str(error)[:120] or "OpenGL")
        pictures.animate(links(robot, qpos, fps), path, title=robot.name)
        return
    pictures.write_movie(images, path, fps)


def _rendered(robot: Robot, qpos: np.ndarray, fps: float) -> list[np.ndarray]:
    """Images (height, width, 3) uint8, one a frame."""
    import mujoco

    model = _seen(robot.model)
    data, camera = mujoco.MjData(model), mujoco.MjvCamera()
    height = float(robot.points(qpos[:1])[0][PAIRED.index("left_shoulder"), 2])
    camera.distance, camera.elevation = 1.9 * max(height, 0.3) + 0.4, -14
    camera.azimuth = 180 + 35 + np.degrees(_heading(qpos))
    path = gaussian_filter1d(qpos[:, :2], 0.4 * fps, axis=0, mode="nearest")
    context = _context()
    try:
        scene, option, view = mujoco.MjvScene(model, 10_000), mujoco.MjvOption(), mujoco.MjrRect(0, 0, *SIZE)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            scene.flags[flag] = False  # without a graphics card they take most of the time
        drawn = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, drawn)
        images = []
        for posture, place in zip(qpos, path, strict=True):
            data.qpos[:] = posture
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            camera.lookat[:] = [*place, 0.6 * height]
            everything = mujoco.mjtCatBit.mjCAT_ALL.value
            mujoco.mjv_updateScene(model, data, option, None, camera, everything, scene)
            mujoco.mjr_render(view, scene, drawn)
            image = np.empty((*SIZE[::-1], 3), np.uint8)
            mujoco.mjr_readPixels(image, None, view, drawn)
            images.append(image[::-1])
        return images
    finally:
        context.free()


def _context() -> Any:
    """An OpenGL context, current. On Linux by EGL, which needs no display: MuJoCo itself would choose by an environment
    variable, and could not be imported at all where that names what is not there.
    """
    import mujoco

    if sys.platform.startswith("linux"):
        from mujoco.egl import GLContext
    else:
        GLContext = mujoco.GLContext
    context = GLContext(*SIZE)
    context.make_current()
    return context


def _seen(model: Any) -> Any:
    """A copy of a model in which links are drawn once, by the shapes that are meant to be seen where there are such."""
    model = copy.copy(model)
    collides = (model.geom_contype | model.geom_conaffinity) > 0
    shown = np.isin(model.geom_bodyid, model.geom_bodyid[~collides])
    model.geom_rgba[collides & shown, 3] = 0.0
    return model


def _heading(qpos: np.ndarray) -> float:
    """Radians: where the robot faces in the middle of its motion."""
    w, x, y, z = qpos[len(qpos) // 2, 3:7]
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def links(robot: Robot, qpos: np.ndarray, fps: float) -> Motion:
    """The robot's points as a motion of the 22 joints; the spine and the head are where its trunk puts them."""
    points = dict(zip(PAIRED, robot.points(qpos).transpose(1, 0, 2)[..., [1, 2, 0]], strict=True))  # → Y up, facing +Z
    hips = (points["left_hip"] + points["right_hip"]) / 2
    chest = (points["left_shoulder"] + points["right_shoulder"]) / 2
    along = {"pelvis": 0.0, "spine1": 0.25, "spine2": 0.5, "spine3": 0.75, "neck": 1.1, "head": 1.35}
    joints = {name: hips + share * (chest - hips) for name, share in along.items()}
    for side in ("left", "right"):
        joints[f"{side}_collar"] = chest + 0.3 * (points[f"{side}_shoulder"] - chest)
    joints |= points
    return Motion(np.stack([joints[name] for name in HUMANML3D.joints], axis=1), fps, name=robot.name)
