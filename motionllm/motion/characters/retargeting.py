"""Retargeting: a clip's body moves a character, whose proportions are kept.

The trunk turns as the clip's does, arms and head point where its do, and the path is scaled by the length of the legs.
Feet are placed on the floor where the clip's stand, and the legs are solved by two-bone inverse kinematics about the
hinge of the knee, so that nothing is stretched and no knee or elbow bends backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.characters.body_turns import Body, Foot, Limb, between, body_of
from motionllm.motion.characters.character import SIDES, Character
from motionllm.motion.characters.cycles import find_cycle, repeated
from motionllm.motion.characters.performance import Performance
from motionllm.motion.formats.bvh import sample_times
from motionllm.motion.formats.bvh_writer import swing

_REACH = 0.9995  # share of a leg's length, so that a knee is never locked
_BENT_REST = 0.17  # the sine of a bend, 10 degrees, from which on a rest pose tells the hinge itself
_SETTLE = 0.06  # seconds over which the body is lowered where a leg is too short


def retarget(motion: Motion, character: Character, fps: float | None = None, loop: bool = False) -> Performance:
    """Put a clip on a character.

    fps: frames per second of the result, by default the clip's. loop: the stretch of the clip that repeats, alone,
    its last frame like its first but for the path. Raises MotionLLMError for a rate outside 5 to 500, where the clip's
    rig is not recognised, and where there is no cycle to loop.
    """
    if fps is not None and not 5 <= fps <= 500:
        raise MotionLLMError(f"{fps:g} frames per second were asked for; 5 to 500 are possible.")
    clip = motion.body()
    joints, rate = at_rate(clip, clip.fps if fps is None else fps)
    if not loop:
        return performed(body_of(joints, rate), character, rate)
    cycle = find_cycle(joints, rate)
    # Three rounds are put on the character and the middle one kept, so that both its ends are solved alike.
    whole = performed(body_of(repeated(cycle, 3), rate), character, rate)
    return part(whole, len(cycle) - 1, 2 * len(cycle) - 1)


def at_rate(clip: Motion, fps: float) -> tuple[np.ndarray, float]:
    """A body's joints (T, 22, 3), metres, at `fps` frames per second: above its own rate on smooth curves, so that a
    body at 20 moves evenly at 60.
    """
    if fps <= clip.fps * (1 + 1e-6) or len(clip) < 3:
        clip = clip.resample(fps)
        return clip.joints.astype(np.float64), clip.fps
    clip_times = np.arange(len(clip)) / clip.fps
    times = sample_times(len(clip), clip.fps, fps)
    joints = CubicSpline(clip_times, clip.joints.astype(np.float64))(np.minimum(times, clip_times[-1]))
    return np.asarray(joints), float(fps)


def part(whole: Performance, start: int, stop: int) -> Performance:
    """The frames [start, stop), the path from where the first one stands."""
    hub = whole.hub[start:stop]
    character = whole.character
    shift = (hub[0] - character.rest[character.hub]) * [1.0, 0.0, 1.0]
    return Performance(character, whole.fps, {j: t[start:stop] for j, t in whole.turns.items()}, hub - shift)


def performed(body: Body, character: Character, fps: float) -> Performance:
    """A measured body on a character: see `retarget`."""
    scale = character.leg / max(body.leg, 1e-9)
    stood = character.facing.T  # from the rest pose to one that faces +Z
    turns = _trunk(body, character, stood)
    for side, name in enumerate(SIDES):
        collar = character.places.get(f"{name}_collar")
        if collar is not None and character.places[f"{name}_shoulder"] != collar:
            turns[collar] = body.collars[side] @ stood
        limb, rest = body.arms[side], _rest_limb(character, name, ("shoulder", "elbow", "wrist"))
        upper = _turned(limb.upper, limb.hinge, rest.upper, rest.hinge)
        turns[character.places[f"{name}_shoulder"]] = upper
        turns[character.places[f"{name}_elbow"]] = swing(upper @ rest.lower, limb.lower) @ upper
    soles = [_Sole.of(character, name) for name in SIDES]
    ankles = [_ankle(foot, sole, scale, character.floor) for foot, sole in zip(body.feet, soles, strict=True)]
    rise = float(np.mean([sole.height for sole in soles])) - body.ankle * scale
    middle = body.hips * scale + [0.0, rise + character.floor, 0.0]
    pelvis = body.pelvis @ stood
    hips = [character.at(f"{name}_hip") for name in SIDES]
    offsets = [pelvis @ (hip - (hips[0] + hips[1]) / 2) for hip in hips]
    middle = _lowered(middle, offsets, ankles, body.feet, character, fps)
    for side, name in enumerate(SIDES):
        _leg(character, name, body.legs[side], middle + offsets[side], ankles[side], turns)
        ankle, toe = character.places.get(f"{name}_ankle"), character.places.get(f"{name}_foot")
        sole = soles[side]
        if ankle is not None:
            turns[ankle] = body.feet[side].turned @ sole.turned.T
        if toe is not None and ankle is not None and ankle in character.above(toe):
            turns[toe] = _toes(body.feet[side], sole)
    hub = middle - pelvis @ ((hips[0] + hips[1]) / 2 - character.rest[character.hub])
    return Performance(character, fps, turns, hub)


def _trunk(body: Body, character: Character, stood: np.ndarray) -> dict[int, np.ndarray]:
    """Turns of the joints from the hub to the head. The bend of the spine is shared evenly among its joints."""
    places, hub = character.places, character.hub
    top = places.get("neck", places.get("head"))
    shoulders = [places.get(f"{name}_collar", places[f"{name}_shoulder"]) for name in SIDES]
    chains = [[joint, *character.above(joint)] for joint in shoulders]
    chest = next(joint for joint in chains[0][1:] if joint in chains[1])  # from which the arms part
    turns = {hub: body.pelvis}
    spine = [*character.between(hub, chest), chest] if chest != hub else []
    for k, joint in enumerate(spine):
        turns[joint] = between(body.pelvis, body.chest, (k + 1) / len(spine))
    if top is not None:
        head = places.get("head", top)
        start = next((joint for joint in character.above(head) if joint in turns), hub)
        neck = [joint for joint in [*character.between(start, head), head]]
        for k, joint in enumerate(neck):
            turns[joint] = between(body.chest, body.head, (k + 1) / len(neck))
    return {joint: turn @ stood for joint, turn in turns.items()}


# -- limbs --------------------------------------------------------------------------------------------------


def _rest_limb(character: Character, side: str, parts: tuple[str, str, str]) -> Limb:
    """The bones and the hinge (3,) of a limb in the rest pose. Where that is about straight, an elbow bends its forearm
    ahead and a knee its shin back.
    """
    a, b, c = (character.at(f"{side}_{part}") for part in parts)
    upper, lower = _unit(b - a), _unit(c - b)
    way = character.facing[:, 2] * (1.0 if parts[0] == "shoulder" else -1.0)
    if abs(upper @ way) > 0.8:  # an arm that points ahead bends upwards
        way = np.array([0.0, 1.0, 0.0])
    usual = _unit(np.cross(upper, way))
    bend = np.cross(upper, lower)
    if np.linalg.norm(bend) > _BENT_REST and _unit(bend) @ usual > 0.5:
        usual = _unit(bend)
    return Limb(upper, lower, usual)


def _turned(along: np.ndarray, axis: np.ndarray, rest_along: np.ndarray, rest_axis: np.ndarray) -> np.ndarray:
    """(T, 3, 3) the turns that bring a bone and its hinge at rest (3,) to `along` and `axis` (T, 3)."""
    rest = np.stack([rest_along, rest_axis, np.cross(rest_along, rest_axis)], axis=-1)
    axis = _unit(axis - (axis * along).sum(-1, keepdims=True) * along)
    return np.stack([along, axis, np.cross(along, axis)], axis=-1) @ rest.T


def _leg(
    character: Character, side: str, limb: Limb, hip: np.ndarray, ankle: np.ndarray, turns: dict[int, np.ndarray]
) -> None:
    """Set the turns of thigh and shin, so that the ankle comes to `ankle` (T, 3) and the knee bends about its hinge."""
    rest = _rest_limb(character, side, ("hip", "knee", "ankle"))
    a, b, c = (character.at(f"{side}_{part}") for part in ("hip", "knee", "ankle"))
    thigh, shin = float(np.linalg.norm(b - a)), float(np.linalg.norm(c - b))
    along = ankle - hip
    reach = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / np.maximum(reach, 1e-9)
    reach = np.clip(reach, abs(thigh - shin) + 1e-3 * thigh, _REACH * (thigh + shin))
    hinge = limb.hinge - (limb.hinge * along).sum(-1, keepdims=True) * along
    hinge = _unit(hinge)
    ahead = (thigh**2 - shin**2 + reach**2) / (2 * reach)
    aside = np.sqrt(np.maximum(thigh**2 - ahead**2, 0.0))
    knee = along * ahead + np.cross(along, hinge) * aside
    upper, lower = _unit(knee), _unit(along * reach - knee)
    turned = _turned(upper, hinge, rest.upper, rest.hinge)
    turns[character.places[f"{side}_hip"]] = turned
    turns[character.places[f"{side}_knee"]] = swing(turned @ rest.lower, lower) @ turned


# -- feet and floor -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sole:
    """A character's foot in the rest pose, where it stands flat. turned: (3, 3) its left, up and ahead as columns.
    height: of the ankle over the floor. ball: (3,) from the ankle to the point on the floor under the toes' start, and
    heel: to the one under the ankle.
    """

    turned: np.ndarray
    height: float
    ball: np.ndarray
    heel: np.ndarray

    @staticmethod
    def of(character: Character, side: str) -> _Sole:
        ankle, toe = character.at(f"{side}_ankle"), character.at(f"{side}_foot")
        ahead = _unit((toe - ankle) * [1.0, 0.0, 1.0])
        if ahead @ character.facing[:, 2] < 0.3:
            ahead = character.facing[:, 2]
        up = np.array([0.0, 1.0, 0.0])
        height = max(float(ankle[1] - character.floor), 0.0)
        ball = np.array([toe[0] - ankle[0], -height, toe[2] - ankle[2]])
        return _Sole(np.stack([np.cross(up, ahead), up, ahead], axis=-1), height, ball, np.array([0.0, -height, 0.0]))


def _ankle(foot: Foot, sole: _Sole, scale: float, floor: float) -> np.ndarray:
    """Where an ankle (T, 3) goes: over the clip's where the foot is flat, else so that it rolls over its own ball; the
    sole's lowest point as high as the clip's.
    """
    turn = foot.turned @ sole.turned.T
    ball, heel = turn @ sole.ball, turn @ sole.heel
    way = foot.turned[:, :, 2] * [1.0, 0.0, 1.0]
    way = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 0.5)
    longer = float(np.linalg.norm(sole.ball[[0, 2]])) - foot.reach * scale
    ankle = foot.ball * scale + way * longer - ball
    ankle[:, 1] = foot.low * scale + floor - np.minimum(ball[:, 1], heel[:, 1])
    return np.asarray(ankle)


def _lowered(
    middle: np.ndarray,
    offsets: list[np.ndarray],
    ankles: list[np.ndarray],
    feet: tuple[Foot, Foot],
    character: Character,
    fps: float,
) -> np.ndarray:
    """The middle of the hips (T, 3), lowered where a standing leg would not reach its foot."""
    drop = np.zeros(len(middle))
    for side, name in enumerate(SIDES):
        a, b, c = (character.at(f"{name}_{part}") for part in ("hip", "knee", "ankle"))
        length = _REACH * float(np.linalg.norm(b - a) + np.linalg.norm(c - b))
        away = middle + offsets[side] - ankles[side]
        wide = (away[:, [0, 2]] ** 2).sum(-1)
        need = away[:, 1] - np.sqrt(np.maximum(length**2 - wide, 0.0))
        drop = np.maximum(drop, np.where(wide < length**2, need, 0.0) * feet[side].stands)
    if len(drop) > 1 and drop.any():
        width = max(1, round(2 * _SETTLE * fps))
        drop = gaussian_filter1d(maximum_filter1d(drop, 2 * width + 1, mode="nearest"), _SETTLE * fps, mode="nearest")
    return np.asarray(middle - np.stack([0 * drop, drop, 0 * drop], axis=-1))


def _toes(foot: Foot, sole: _Sole) -> np.ndarray:
    """Turns of the toes: with the foot in the air, flat on the floor where only the heel is lifted."""
    share, left = foot.flat, foot.turned[:, :, 0]
    level = np.cross(left, [0.0, 1.0, 0.0])
    level = _unit(level - (level * left).sum(-1, keepdims=True) * left)
    ahead = _unit((1 - share)[:, None] * foot.turned[:, :, 2] + share[:, None] * level)
    frame = np.stack([left, np.cross(ahead, left), ahead], axis=-1)
    return np.asarray(frame @ sole.turned.T)


def _unit(v: np.ndarray) -> np.ndarray:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12))
