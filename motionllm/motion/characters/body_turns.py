"""How the parts of a body are turned, from its 22 joint positions: what retargeting takes from a clip.

Rotations are those from a T-pose (standing upright, facing +Z, left at +X, palms down) to the pose. Directions of bones
are exact; a limb's twist is told by its elbow or knee, which are hinges, and goes on smoothly where they are straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import distance_transform_edt, gaussian_filter1d
from scipy.spatial.transform import Rotation

from motionllm.motion.feet import LEGS, contacts
from motionllm.motion.formats.bvh import rest_places
from motionllm.motion.formats.bvh_writer import swing
from motionllm.motion.skeleton import HUMANML3D, SMPL_BONES

ARMS = ((13, 16, 18, 20), (14, 17, 19, 21))  # collar, shoulder, elbow, wrist
_HIPS, _SPINE2, _NECK, _HEAD = (1, 2), 6, 12, 15
_SHOULDERS = (16, 17)
_TPOSE = rest_places(SMPL_BONES, HUMANML3D.parents)
_UPRIGHT = np.cos(np.radians(25))  # a trunk nearer than this to the vertical shows how the spine is curved at rest
_BENT, _STRAIGHT = 0.2, 0.03  # sines of bends: 12 degrees, where an elbow or knee tells its axis; 2, where it does not
_MOST_LEG_TWIST = np.radians(75)  # a knee that seems turned further is bent backwards, and tells nothing
_BLEND, _LEVEL = 0.08, 0.3  # seconds: how gently a foot comes to stand, and how gently a floor rises


@dataclass(frozen=True)
class Foot:
    """turned: (T, 3, 3) the sole's left, up and ahead as columns. ball: (T, 3) the point on the floor under the toes'
    start; reach: how far it is ahead of the heel; low: (T,) the height of the lower of both over the floor, metres.
    stands: (T,) 0 to 1. flat: (T,) 0 to 1, how much the toes lie on the floor while the heel is lifted.
    """

    turned: np.ndarray
    ball: np.ndarray
    reach: float
    low: np.ndarray
    stands: np.ndarray
    flat: np.ndarray


@dataclass(frozen=True)
class Limb:
    """upper, lower, hinge: (T, 3) unit vectors: both bones, and the axis about which the lower one turns as the joint
    between them bends (right-hand rule).
    """

    upper: np.ndarray
    lower: np.ndarray
    hinge: np.ndarray


@dataclass(frozen=True)
class Body:
    """A clip, ready to be put on a character. Rotations (T, 3, 3) from the T-pose. hips: (T, 3) the middle of the hips,
    metres over the floor. ankle: the ankle's height over the floor when the foot stands. leg: thigh and shin, metres.
    """

    pelvis: np.ndarray
    chest: np.ndarray
    head: np.ndarray
    collars: tuple[np.ndarray, np.ndarray]
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]
    feet: tuple[Foot, Foot]
    hips: np.ndarray
    ankle: float
    leg: float


def body_of(joints: np.ndarray, fps: float) -> Body:
    """Measure joints (T, 22, 3), metres, Y up."""
    joints = np.asarray(joints, np.float64)
    trunk = _frames(joints)
    pelvis, chest = _trunk(joints, trunk)
    neck = _relative(joints[:, _HEAD] - joints[:, _NECK], chest)
    rest = _usual(neck, trunk, _unit(_TPOSE[_HEAD] - _TPOSE[_NECK]))
    head = chest @ swing(np.broadcast_to(rest, neck.shape), neck)
    collars, arms, legs = [], [], []
    for side, (collar, shoulder, elbow, wrist) in enumerate(ARMS):
        clavicle = _relative(joints[:, shoulder] - joints[:, collar], chest)
        rest = _usual(clavicle, trunk, _unit(_TPOSE[shoulder] - _TPOSE[collar]))
        collars.append(chest @ swing(np.broadcast_to(rest, clavicle.shape), clavicle))
        out = np.array([1.0 if side == 0 else -1.0, 0.0, 0.0])
        arms.append(_limb(joints[:, [shoulder, elbow, wrist]], chest, out, np.cross(out, [0.0, 0.0, 1.0]), fps, np.pi))
    for hip, knee, ankle, _ in LEGS:
        down, axis = np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
        legs.append(_limb(joints[:, [hip, knee, ankle]], pelvis, down, axis, fps, _MOST_LEG_TWIST))
    feet, floor, height = _feet(joints, legs, fps)
    hips = joints[:, _HIPS].mean(1) - floor
    bones = [np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) for leg in LEGS for a, b in (leg[:2], leg[1:3])]
    length = float(sum(np.median(bone) for bone in bones)) / 2
    return Body(
        pelvis,
        chest,
        head,
        (collars[0], collars[1]),
        (arms[0], arms[1]),
        (legs[0], legs[1]),
        feet,
        hips,
        height,
        length,
    )


def tpose() -> Body:
    """The body of one frame of the T-pose itself."""
    joints = _TPOSE.copy()
    for hip, knee, ankle, toe in LEGS:
        for a, b, way in ((hip, knee, (0, -1, 0)), (knee, ankle, (0, -1, 0))):
            joints[b] = joints[a] + np.array(way) * np.linalg.norm(SMPL_BONES[b])
        joints[toe] = joints[ankle] + np.linalg.norm(SMPL_BONES[toe]) * _unit(np.array([0.0, -0.42, 0.9]))
    for side, (_, shoulder, elbow, wrist) in enumerate(ARMS):
        out = np.array([1.0 if side == 0 else -1.0, 0.0, 0.0])
        joints[elbow] = joints[shoulder] + out * np.linalg.norm(SMPL_BONES[elbow])
        joints[wrist] = joints[elbow] + out * np.linalg.norm(SMPL_BONES[wrist])
    return body_of(np.tile(joints, (3, 1, 1)), HUMANML3D.fps)


# -- trunk --------------------------------------------------------------------------------------------------


def _frames(joints: np.ndarray) -> np.ndarray:
    """(T, 3, 3) the trunk's left, up and ahead as columns: up from the hips to the neck."""
    left = joints[:, _HIPS[0]] - joints[:, _HIPS[1]] + joints[:, _SHOULDERS[0]] - joints[:, _SHOULDERS[1]]
    return frame(joints[:, _NECK] - joints[:, _HIPS].mean(1), left)


def frame(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    """(T, 3, 3) left, up and ahead as columns: `up` (T, 3) exactly, `left` (T, 3) as near as can be."""
    y = _unit(up)
    x = _unit(left - (left * y).sum(-1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _trunk(joints: np.ndarray, trunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of pelvis and chest: of the spine's lower and upper half, without its curve at rest."""
    hips, turns = joints[:, _HIPS].mean(1), []
    still = frame((_TPOSE[_NECK] - _TPOSE[list(_HIPS)].mean(0))[None], np.array([[1.0, 0.0, 0.0]]))[0]
    for low, high, sides in ((hips, joints[:, _SPINE2], _HIPS), (joints[:, _SPINE2], joints[:, _NECK], _SHOULDERS)):
        up, left = high - low, joints[:, sides[0]] - joints[:, sides[1]]
        local = _relative(up, trunk)
        pitch = np.arctan2(local[:, 2], local[:, 1])
        steep = trunk[:, 1, 1] > _UPRIGHT
        rest = float(np.median(pitch[steep])) if steep.sum() >= 3 else 0.0
        curve = Rotation.from_rotvec([np.clip(rest, -0.5, 0.5), 0, 0]).as_matrix()
        y = _unit(up)
        if sides == _HIPS:  # the hips are rigid, so their line is exact
            x = _unit(left)
            y = _unit(y - (y * x).sum(-1, keepdims=True) * x)
            turned = np.stack([x, y, np.cross(x, y)], axis=-1)
        else:
            turned = frame(y, left)
        turns.append(turned @ curve.T @ still.T)
    return turns[0], turns[1]


def _usual(local: np.ndarray, trunk: np.ndarray, default: np.ndarray) -> np.ndarray:
    """(3,) the direction that a bone (T, 3), seen from the chest, usually has while the trunk is upright."""
    steep = trunk[:, 1, 1] > _UPRIGHT
    if steep.sum() < 3:
        return default
    usual = _unit(np.median(local[steep], axis=0))
    return usual if usual @ default > np.cos(np.radians(60)) else default


def _relative(vectors: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Unit vectors (T, 3) in the frames (T, 3, 3)."""
    return np.einsum("tba,tb->ta", turns, _unit(vectors))


# -- limbs --------------------------------------------------------------------------------------------------


def _limb(points: np.ndarray, above: np.ndarray, along: np.ndarray, axis: np.ndarray, fps: float, most: float) -> Limb:
    """A limb from its joints (T, 3, 3). above: the rotation it hangs on. along, axis: the direction of the upper bone
    and the axis of the hinge in the T-pose. most: the greatest turn about the bone that is believed, radians.
    """
    upper, lower = _unit(points[:, 1] - points[:, 0]), _unit(points[:, 2] - points[:, 1])
    base = swing(above @ along, upper) @ above
    zero = base @ axis  # where the hinge is if nothing tells it
    other = np.cross(upper, zero)
    bend = np.cross(upper, lower)
    sine = np.linalg.norm(bend, axis=-1)
    angle = np.arctan2((bend * other).sum(-1), (bend * zero).sum(-1))
    angle = _smooth(angle, np.where(np.abs(angle) <= most, sine, 0.0), fps)
    hinge = np.cos(angle)[:, None] * zero + np.sin(angle)[:, None] * other
    ahead = np.cross(hinge, upper)
    # Never bent backwards: what leaves the upper bone on the wrong side is laid straight.
    wrong = np.minimum((lower * ahead).sum(-1, keepdims=True), 0.0)
    return Limb(upper, _unit(lower - wrong * ahead), hinge)


def _smooth(angle: np.ndarray, sine: np.ndarray, fps: float) -> np.ndarray:
    """Angles (T,) near those that are seen, the more the joint is bent (`sine`), else near 0, that change little from
    frame to frame: the least squares of all three. What lies on the other side is a joint stretched beyond straight.
    """
    sure, course = np.flatnonzero(sine > _BENT), np.zeros(len(angle))
    if len(sure):
        course = np.interp(np.arange(len(angle)), sure, np.unwrap(angle[sure]))
        course -= np.round(np.average(course[sure], weights=sine[sure]) / (2 * np.pi)) * 2 * np.pi
        angle = course + np.mod(angle - course + np.pi, 2 * np.pi) - np.pi
    seen = (np.maximum(sine - _STRAIGHT, 0) / 0.2) ** 2 * np.maximum(np.cos(angle - course), 0)
    if len(angle) < 2:
        return angle * seen / (seen + 1e-3)
    smooth = (fps / 60.0) ** 2
    bands = np.zeros((2, len(angle)))
    bands[0, 1:] = -smooth
    bands[1] = seen + 1e-3
    bands[1, 1:] += smooth
    bands[1, :-1] += smooth
    return np.asarray(solveh_banded(bands, seen * angle))


# -- feet ---------------------------------------------------------------------------------------------------


def _feet(joints: np.ndarray, legs: list[Limb], fps: float) -> tuple[tuple[Foot, Foot], np.ndarray, float]:
    """Both feet, the floor (T, 3), and the height of the ankle over it when a foot stands."""
    standing = contacts(joints, fps)
    toes = joints[:, [leg[3] for leg in LEGS]]
    floor = _floor(toes[..., 1], standing, fps)[:, None] * [0.0, 1.0, 0.0]
    rises = joints[:, [leg[2] for leg in LEGS], 1] - toes[..., 1]
    lengths = np.linalg.norm(joints[:, [leg[2] for leg in LEGS]] - toes, axis=-1)
    usual = float(np.median(lengths)) * 0.42  # SMPL's foot at rest
    # Feet that stand are flat for much of the time, and never lower than flat.
    rise = float(np.percentile(rises[standing], 25)) if standing.sum() > 0.3 * fps else usual
    rise = float(np.clip(rise, 0.0, 2 * usual))
    feet = []
    for side, (_, _, ankle, toe) in enumerate(LEGS):
        along = joints[:, toe] - joints[:, ankle]
        ahead, left = _unit(along), legs[side].hinge
        left = _unit(left - (left * ahead).sum(-1, keepdims=True) * ahead)
        length = float(np.median(lengths[:, side]))
        slope = np.arcsin(np.clip(rise / max(length, 1e-9), 0, 0.9))
        ahead = np.cos(slope) * ahead + np.sin(slope) * np.cross(ahead, left)
        stands = _eased(standing[:, side].astype(float), fps)
        level = np.cross([0.0, 1.0, 0.0], ahead)
        flat = np.linalg.norm(level, axis=-1, keepdims=True)
        weight = stands[:, None] * np.clip(flat, 0, 1)
        left = _unit((1 - weight) * left + weight * level / np.maximum(flat, 1e-9))
        left = _unit(left - (left * ahead).sum(-1, keepdims=True) * ahead)
        turned = np.stack([left, np.cross(ahead, left), ahead], axis=-1)
        ball = joints[:, toe] - floor
        heel = joints[:, ankle] - floor - rise * turned[:, :, 1]
        low = np.maximum(np.minimum(ball[:, 1], heel[:, 1]), 0.0)
        low = low * (1 - stands * (1 - np.clip((low - 0.09) / 0.03, 0, 1)))
        feet.append(Foot(turned, ball, length * float(np.cos(slope)), low, stands, _flat(turned, low, fps)))
    return (feet[0], feet[1]), floor, rise


def _floor(toes: np.ndarray, standing: np.ndarray, fps: float) -> np.ndarray:
    """(T,) the height of the floor under toes (T, 2): where they stand, for takes whose floor is tilted or that drift
    upwards, and that of the whole clip where none has stood for long.
    """
    frames, floor = np.flatnonzero(standing.any(1)), np.full(len(toes), np.percentile(toes.min(1), 1))
    if len(frames):
        heights = np.where(standing, toes, np.inf).min(1)[frames]
        away = distance_transform_edt(~standing.any(1)) / fps
        share = np.clip((1.5 * _LEVEL - away) / _LEVEL, 0, 1)
        floor += share * (np.interp(np.arange(len(toes)), frames, heights) - floor)
    return np.asarray(gaussian_filter1d(floor, _LEVEL * fps, mode="nearest") if len(floor) > 1 else floor)


def _flat(turned: np.ndarray, low: np.ndarray, fps: float) -> np.ndarray:
    """How much (T,) the toes lie on the floor: where the foot points down on it, but not straight down."""
    pitch = np.arcsin(np.clip(turned[:, 1, 2], -1, 1))  # above the horizontal
    flat = (1 - np.clip((low - 0.01) / 0.05, 0, 1)) * (pitch < 0) * np.clip((pitch + 1.2) / 0.4, 0, 1)
    return np.asarray(gaussian_filter1d(flat, _BLEND / 2 * fps, mode="nearest") if len(flat) > 1 else flat)


def _eased(flags: np.ndarray, fps: float) -> np.ndarray:
    """Weights (T,) that are 1 where `flags` are and fade out around them."""
    blurred = gaussian_filter1d(flags, _BLEND * fps, mode="nearest") if len(flags) > 1 else flags
    return np.asarray(np.where(flags > 0, 1.0, np.clip(2 * blurred, 0, 1)))


def between(first: np.ndarray, last: np.ndarray, share: float) -> np.ndarray:
    """Rotations (T, 3, 3) `share` of the way from `first` to `last`, the short way."""
    turn = Rotation.from_matrix(first.transpose(0, 2, 1) @ last).as_rotvec()
    return np.asarray(first @ Rotation.from_rotvec(share * turn).as_matrix())


def _unit(v: np.ndarray) -> np.ndarray:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12))
