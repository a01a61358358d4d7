"""Where a robot's points should be: the human motion scaled to its legs, trunk and arms, with standing feet pinned.

The world of robots: x ahead, y to the left, z up, metres, the floor at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import label

from motionllm.errors import MotionLLMError
from motionllm.motion.clip import Motion
from motionllm.motion.feet import contacts
from motionllm.motion.skeleton import HUMANML3D
from motionllm.robots.robot import PAIRED, Robot

LEAST = 0.2  # seconds of motion
FADE = 0.2  # seconds before and after a contact within which the foot comes to, and leaves, its place
_J = {name: j for j, name in enumerate(HUMANML3D.joints)}
_P = {name: p for p, name in enumerate(PAIRED)}
SIDES = ("left", "right")


@dataclass(frozen=True, eq=False)
class Targets:
    """points (T, P, 3): where the points of `PAIRED` should be. edges (T, 2, 3): a point beside each foot's, by which
    the sole lies flat. standing (T, 2) bool: whether the left and the right foot stand. pinned (T, 2, 3): how
    far contacts moved each foot's target. turn (T,): radians, the way
    the hips face. fps: frames per second."""

    points: np.ndarray
    edges: np.ndarray
    standing: np.ndarray
    pinned: np.ndarray
    turn: np.ndarray
    fps: float

    def __len__(self) -> int:
        return len(self.points)

    def at(self, frame: int) -> Targets:
        """One frame of them."""
        points, edges, standing, pinned, turn = (
            values[frame : frame + 1] for values in (self.points, self.edges, self.standing, self.pinned, self.turn)
        )
        return Targets(points, edges, standing, pinned, turn, self.fps)


def targets(motion: Motion, robot: Robot, fps: float) -> Targets:
    """Targets of a robot for a clip, at `fps`.

    The path and the legs are scaled by the ratio of the legs (thigh and shin), arms by that of the arms, each from its
    shoulder; the shoulders stand over the hips at the robot's own distance, in the direction of the human trunk. Feet
    are as far apart as the robot's wider or narrower hips have them; a foot that stands is pinned to its median place
    on the floor. Raises MotionLLMError for a motion that is too short, or has no legs or arms.
    """
    joints = _human(motion, fps)
    standing = contacts(joints, fps)
    human = joints[..., [2, 0, 1]].astype(np.float64)  # facing +Z, Y up → facing +x, z up
    body = {name: human[:, j] for name, j in _J.items()}
    own = _Proportions(robot)
    leg = own.leg / _length(body, "hip", "knee", "ankle")
    arm = own.arm / _length(body, "shoulder", "elbow", "wrist")
    hips = (body["left_hip"] + body["right_hip"]) / 2
    across = _unit(body["left_hip"] - body["right_hip"])
    widen = own.hips / 2 - leg * np.median(np.linalg.norm(body["left_hip"] - body["right_hip"], axis=-1)) / 2
    flat = _flat(body, standing)
    lift = np.array([0.0, 0.0, own.ankle - leg * flat.ankle])
    points = np.zeros((len(human), len(PAIRED), 3))
    edges, pinned = np.zeros((2, len(human), 2, 3))
    centre = leg * hips + lift
    trunk = _unit((body["left_shoulder"] + body["right_shoulder"]) / 2 - hips)
    chest = centre + own.trunk * trunk
    shoulders = _unit(body["left_shoulder"] - body["right_shoulder"])
    for n, (side, sign) in enumerate(zip(SIDES, (1, -1), strict=True)):
        hip = centre + sign * own.hips / 2 * across
        shoulder = chest + sign * own.shoulders / 2 * shoulders
        points[:, _P[f"{side}_hip"]], points[:, _P[f"{side}_shoulder"]] = hip, shoulder
        points[:, _P[f"{side}_knee"]] = hip + leg * (body[f"{side}_knee"] - body[f"{side}_hip"])
        for part in ("elbow", "wrist"):
            points[:, _P[f"{side}_{part}"]] = shoulder + arm * (body[f"{side}_{part}"] - body[f"{side}_shoulder"])
        ankle = leg * body[f"{side}_ankle"] + lift + sign * widen * across * [1, 1, 0]
        turned = _foot(body, side, flat.slope[n], standing[:, n])
        toe = ankle + turned @ own.toe[n]
        pinned[:, n] = _pinned(toe, standing[:, n], fps)
        toe = toe + pinned[:, n]
        # A foot that would go through the floor is lifted out of it.
        ankle = toe - turned @ own.toe[n]
        lowest = (ankle[:, None] + np.einsum("tij,cj->tci", turned, own.soles[n]))[..., 2].min(1)
        rise = np.maximum(-lowest, 0)[:, None] * [0, 0, 1]
        points[:, _P[f"{side}_ankle"]], points[:, _P[f"{side}_foot"]] = ankle + rise, toe + rise
        edges[:, n] = toe + turned @ own.edge[n] + rise
    return Targets(points, edges, standing, pinned, np.arctan2(-across[:, 0], across[:, 1]), fps)


def _human(motion: Motion, fps: float) -> np.ndarray:
    """(T, 22, 3) joints of a clip at `fps`; a cubic spline through the frames where there are fewer in the clip."""
    clip = motion.body()
    if clip.duration < LEAST:
        raise MotionLLMError(f"the motion lasts {clip.duration:.2f} s; a robot needs at least {LEAST} s.")
    if fps <= clip.fps or len(clip) < 4:
        return clip.resample(fps).joints
    times = np.arange(round((len(clip) - 1) / clip.fps * fps) + 1) / fps
    times = np.minimum(times, (len(clip) - 1) / clip.fps)
    joints: np.ndarray = CubicSpline(np.arange(len(clip)) / clip.fps, clip.joints.astype(np.float64))(times)
    return joints


class _Proportions:
    """Lengths of a robot, in metres, in its posture of rest: standing, facing +x, soles flat."""

    def __init__(self, robot: Robot) -> None:
        zero = robot.rest.copy()
        zero[7:] = np.clip(0.0, robot.low, robot.high)
        at = dict(zip(PAIRED, robot.points(zero[None])[0], strict=True))
        self.leg = _length({name: p[None] for name, p in at.items()}, "hip", "knee", "ankle")
        self.arm = _length({name: p[None] for name, p in at.items()}, "shoulder", "elbow", "wrist")
        self.hips = float(np.linalg.norm(at["left_hip"] - at["right_hip"]))
        self.shoulders = float(np.linalg.norm(at["left_shoulder"] - at["right_shoulder"]))
        self.trunk = float(
            np.linalg.norm(at["left_shoulder"] + at["right_shoulder"] - at["left_hip"] - at["right_hip"]) / 2
        )
        self.toe = np.stack([at[f"{side}_foot"] - at[f"{side}_ankle"] for side in SIDES])
        self.ankle = float(-self.toe[:, 2].mean())  # above the sole
        if self.leg < 0.05 or self.arm < 0.05 or self.ankle < 0 or (self.toe[:, 0] <= 0).any():
            raise MotionLLMError(
                f"{robot.name}: in its zero posture it does not stand facing +x: leg {self.leg:.2f} m, arm "
                f"{self.arm:.2f} m, ankle {self.ankle:.2f} m above the sole, ball of the foot {self.toe[0, 0]:.2f} m "
                "ahead; check 'pairs'."
            )
        self.edge = np.array([[0.0, 0.04, 0.0], [0.0, -0.04, 0.0]])  # beside the ball of the foot, outwards
        self.soles = [_sole(robot, zero, side) - at[f"{side}_ankle"] for side in SIDES]


def _sole(robot: Robot, zero: np.ndarray, side: str) -> np.ndarray:
    """(4, 3): the corners of the box around a foot's geoms at its bottom, in the posture `zero`."""
    import mujoco

    model, data = robot.model, mujoco.MjData(robot.model)
    data.qpos[:] = zero
    mujoco.mj_kinematics(model, data)
    foot = model.body_weldid[robot.bodies[_P[f"{side}_foot"]]]
    corners = [robot.points(zero[None])[0, _P[f"{side}_foot"]][None]]
    for geom in np.flatnonzero(model.body_weldid[model.geom_bodyid] == foot):
        if model.geom_type[geom] == int(mujoco.mjtGeom.mjGEOM_MESH):
            mesh = model.geom_dataid[geom]
            first = model.mesh_vertadr[mesh]
            local = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
        else:
            centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
            local = centre + half * np.array(list(product((-1, 1), repeat=3)))
        corners.append(local @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom])
    low, high = np.concatenate(corners).min(0), np.concatenate(corners).max(0)
    return np.array([[x, y, low[2]] for x in (low[0], high[0]) for y in (low[1], high[1])])


def edge_points(robot: Robot) -> np.ndarray:
    """(2, 3): in the axes of each foot's body, the point beside the ball of the foot that `Targets.edges` is for."""
    import mujoco

    data = mujoco.MjData(robot.model)
    data.qpos[:7] = robot.rest[:7]
    data.qpos[7:] = np.clip(0.0, robot.low, robot.high)
    mujoco.mj_kinematics(robot.model, data)
    offsets = _Proportions(robot).edge
    local = []
    for n, side in enumerate(SIDES):
        p = _P[f"{side}_foot"]
        local.append(robot.local[p] + data.xmat[robot.bodies[p]].reshape(3, 3).T @ offsets[n])
    return np.array(local)


@dataclass(frozen=True)
class _Flat:
    """A human foot flat on the floor. ankle: metres of the ankle above the clip's zero. slope (2,): radians that the
    line from the ankle to the toe falls, left and right."""

    ankle: float
    slope: np.ndarray


def _flat(body: dict[str, np.ndarray], standing: np.ndarray) -> _Flat:
    """From the frames in which a foot stands with its heel down; from all frames where none stands."""
    slopes, ankles = [], []
    for n, side in enumerate(SIDES):
        frames = standing[:, n] if standing[:, n].any() else np.ones(len(standing), bool)
        slope = _slope(body, side)[frames]
        slopes.append(np.percentile(slope, 20))
        down = slope <= np.percentile(slope, 40)
        height = body[f"{side}_ankle"][frames][down, 2]
        ankles.append(np.median(height) if standing[:, n].any() else np.percentile(height, 5))
    stood = np.asarray(standing.any(axis=0))
    ankle = np.mean([a for a, s in zip(ankles, stood, strict=True) if s]) if stood.any() else min(ankles)
    return _Flat(float(ankle), np.array(slopes))


def _slope(body: dict[str, np.ndarray], side: str) -> np.ndarray:
    """(T,) radians that the line from the ankle to the toe falls."""
    line = body[f"{side}_foot"] - body[f"{side}_ankle"]
    slope: np.ndarray = np.arctan2(-line[:, 2], np.linalg.norm(line[:, :2], axis=-1))
    return slope


def _foot(body: dict[str, np.ndarray], side: str, flat: float, standing: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations of a foot, whose columns are its ahead, left and up; the heel of a standing foot is not below
    its toe."""
    line = body[f"{side}_foot"] - body[f"{side}_ankle"]
    shin = _unit(body[f"{side}_knee"] - body[f"{side}_ankle"])
    level = np.linalg.norm(line[:, :2], axis=-1, keepdims=True) / np.maximum(
        np.linalg.norm(line, axis=-1, keepdims=True), 1e-9
    )
    # A foot that points down says little about its heading: there the shin tells what is in front of it.
    trust = np.clip((level - 0.2) / 0.4, 0, 1)
    left = _unit(np.cross(np.array([0.0, 0.0, 1.0]) * trust + shin * (1 - trust), line))
    up = _unit(np.cross(_unit(line), left))
    ahead = np.cross(left, up)
    # So far it turns with the line to the toe; flat is where that line falls by `flat`.
    angle = np.full(len(line), flat)
    pitch = _slope(body, side) - flat
    angle = np.where(standing & (pitch < 0), flat - pitch, angle)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([ahead * c + up * s, left, up * c - ahead * s], axis=-1)


def _pinned(toe: np.ndarray, standing: np.ndarray, fps: float) -> np.ndarray:
    """(T, 3) shifts that keep a standing foot at its median place on the floor, fading in and out around it."""
    runs, count = label(standing)
    frames = np.arange(len(toe))
    shift, weight = np.zeros((len(toe), 3)), np.zeros(len(toe))
    for run in range(1, count + 1):
        inside = np.flatnonzero(runs == run)
        place = np.median(toe[inside], axis=0) * [1, 1, 0]
        nearest = np.clip(frames, inside[0], inside[-1])
        away = np.minimum(np.abs(frames - nearest) / (FADE * fps + 1), 1.0)
        near = 1 - 3 * away**2 + 2 * away**3
        better = near > weight
        shift[better] = (near[:, None] * (place - toe[nearest]))[better]
        weight = np.maximum(weight, near)
    return shift


def _length(body: dict[str, np.ndarray], *chain: str) -> float:
    """Metres of a limb, mean of left and right, median over the frames."""
    total = 0.0
    for side in SIDES:
        for a, b in pairwise(chain):
            total += float(np.median(np.linalg.norm(body[f"{side}_{a}"] - body[f"{side}_{b}"], axis=-1))) / 2
    if total < 1e-3:
        raise MotionLLMError(f"{', '.join(chain)} are in one place, so there is no limb to follow.")
    return total


def _unit(v: np.ndarray) -> np.ndarray:
    unit: np.ndarray = v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
    return unit
