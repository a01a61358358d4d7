"""A kinematic body of 22 joints: keyed channels in, joint positions out.

A `Score` holds keys (second, value) of named scalar channels. Between two keys a channel follows the minimum-jerk
polynomial (Flash and Hogan 1985), or a straight line where the keys are dense samples of a path. Legs and arms are
solved by two-bone inverse kinematics, so bones keep their length, and a planted foot stays exactly in place: where a
leg would be too short, the pelvis is lowered.

Channels, for a side s of 0 (left) and 1 (right), metres and radians:
  x z y yaw pitch roll   pelvis: floor position, height above standing, heading (+ = left), lean
  sway fore              pelvis relative to that path, to the left and forward
  bend lean twist        spine: forward, to the left, to the left; nod look: neck, the same
  fl ab ext              arm: raised forward from hanging, raised sideways, reach / arm length
  px py pz               where the elbow points (outward, up, forward)
  free                   how much of the gait's arm swing the arm takes part in; swing: that swing
  fx fz fy fyaw fpitch   foot: floor position, lift, direction, toes down (+) or up (-)
  kout kup               knee: outward, upward beside forward
"""

from __future__ import annotations

import numpy as np

from motionllm.motion.skeleton import HUMANML3D

FPS = 20
SIGN = (1.0, -1.0)  # left is +X
LENGTH = np.asarray(HUMANML3D.lengths)

# Directions of the bones of a standing person, (outward, up, forward); rounded from anatomy.
_BONES = {
    "hip": (0.55, -0.82, -0.05),
    "spine1": (0, 0.97, -0.22),
    "spine2": (0, 0.99, 0.12),
    "spine3": (0, 1, 0.05),
    "neck": (0, 0.985, -0.12),
    "collar": (0.56, 0.82, -0.10),
    "shoulder": (0.98, 0.15, -0.12),
    "head": (0, 0.72, 0.68),
    "foot": (0.18, -0.40, 0.90),
}
_UNIT = {name: np.array(v) / np.linalg.norm(v) for name, v in _BONES.items()}
_LEGS = ((1, 4, 7, 10), (2, 5, 8, 11))
_ARMS = ((13, 16, 18, 20), (14, 17, 19, 21))
THIGH, SHIN, FOOT = (tuple(float(LENGTH[leg[i]]) for leg in _LEGS) for i in (1, 2, 3))
UPPER, FORE = (tuple(float(LENGTH[arm[i]]) for arm in _ARMS) for i in (2, 3))
ANKLE = tuple(-float(_UNIT["foot"][1]) * f for f in FOOT)  # height of the ankle over a toe on the floor
HIP = tuple(-float(_UNIT["hip"][1]) * float(LENGTH[leg[0]]) for leg in _LEGS)
REACH = 0.9985  # share of the leg's length, so that a knee is never locked
STAND = min(ANKLE[s] + HIP[s] + 0.996 * (THIGH[s] + SHIN[s]) for s in (0, 1))
SHOULDER = tuple(
    float(_UNIT["collar"][0] * LENGTH[arm[0]] + _UNIT["shoulder"][0] * LENGTH[arm[1]]) for arm in _ARMS
)  # distance of the shoulder from the middle


def aim(side: int, out: float, up: float, forward: float) -> dict[str, float]:
    """Arm channels that put the hand at a position in the chest's frame, metres from the shoulder."""
    r = float(np.sqrt(out * out + up * up + forward * forward))
    return {
        "ab": float(np.arcsin(np.clip(out / r, -1, 1))),
        "fl": float(np.arctan2(forward, -up)),
        "ext": min(r / (UPPER[side] + FORE[side]), 0.985),
    }


class Score:
    """Keys of all channels, and the swings of the feet. Times are seconds from the clip's start."""

    def __init__(self) -> None:
        self.keys: dict[str, list[tuple[float, float, bool]]] = {}
        self.swings: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        self.idle: list[tuple[str, float, float, float]] = []  # channel, size, hertz, phase of a slow drift
        self.end = 0.0

    def last(self, channel: str) -> float:
        """The last value that a channel was given (0 if none)."""
        keys = self.keys.get(channel)
        return keys[-1][1] if keys else 0.0

    def set(self, **values: float) -> None:
        """Set values at second 0."""
        for channel, value in values.items():
            self.keys[channel] = [(0.0, float(value), False)]

    def move(self, start: float, stop: float, **values: float) -> None:
        """Move channels from their current to new values between two times."""
        for channel, value in values.items():
            keys = self.keys.setdefault(channel, [(0.0, 0.0, False)])
            start_ = max(start, keys[-1][0])
            if start_ > keys[-1][0]:
                keys.append((start_, keys[-1][1], False))
            keys.append((max(stop, start_ + 0.05), float(value), False))
        self.end = max(self.end, stop)

    def dense(self, channel: str, times: np.ndarray, values: np.ndarray) -> None:
        """Follow samples of a path in straight lines."""
        keys = self.keys.setdefault(channel, [(0.0, float(values[0]), False)])
        if times[0] > keys[-1][0]:
            keys.append((float(times[0]), keys[-1][1], False))
        keys.extend((t, v, True) for t, v in zip(times.tolist(), values.tolist(), strict=True) if t > keys[-1][0])
        self.end = max(self.end, float(times[-1]))

    def warp(self, seconds: float) -> None:
        """Stretch or compress everything so that the clip lasts `seconds`."""
        k = seconds / self.end
        self.keys = {c: [(t * k, v, d) for t, v, d in keys] for c, keys in self.keys.items()}
        self.swings = tuple([(a * k, b * k) for a, b in swings] for swings in self.swings)  # type: ignore[assignment]
        self.end = seconds

    def sample(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Every channel at these times, (T,) each."""
        out = {}
        for channel, keys in self.keys.items():
            t, v, dense = (np.array(column) for column in zip(*keys, strict=True))
            if len(t) == 1:
                out[channel] = np.full(len(times), v[0])
                continue
            i = np.clip(np.searchsorted(t, times, side="right"), 1, len(t) - 1)
            u = np.clip((times - t[i - 1]) / (t[i] - t[i - 1]), 0.0, 1.0)
            u = np.where(dense[i], u, u * u * u * (10 - 15 * u + 6 * u * u))
            out[channel] = v[i - 1] + u * (v[i] - v[i - 1])
        for channel, size, hertz, phase in self.idle:
            out[channel] = out.get(channel, 0.0) + size * np.sin(2 * np.pi * hertz * times + phase)
        return out


def rotation(axis: str, angle: np.ndarray) -> np.ndarray:
    """(T,) radians -> (T, 3, 3): right-handed rotation about x, y or z."""
    c, s = np.cos(angle), np.sin(angle)
    m = np.zeros((*np.shape(angle), 3, 3))
    a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    k = "xyz".index(axis)
    m[..., k, k] = 1
    m[..., a, a] = m[..., b, b] = c
    m[..., a, b], m[..., b, a] = -s, s
    return m


def _turn(m: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.einsum("tij,...j->ti", m, v) if v.ndim == 1 else np.einsum("tij,tj->ti", m, v)


def _two_bones(root: np.ndarray, tip: np.ndarray, pole: np.ndarray, a: float, b: float) -> tuple[np.ndarray, ...]:
    """Middle joint and tip of two bones from `root` towards `tip`, bending towards `pole`; all (T, 3)."""
    d = tip - root
    r = np.linalg.norm(d, axis=1, keepdims=True)
    u = d / np.maximum(r, 1e-6)
    r = np.clip(r, abs(a - b) + 0.05, (a + b) * 0.9995)
    side = pole - (pole * u).sum(1, keepdims=True) * u
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    along = (a * a - b * b + r * r) / (2 * r)
    return root + along * u + np.sqrt(np.maximum(a * a - along * along, 0.0)) * side, root + r * u


def _lower_envelope(values: np.ndarray, width: int = 2) -> np.ndarray:
    """A smooth curve nowhere above the (T,) values: running minimum, then running mean of the same width."""
    pad = np.pad(values, 2 * width, mode="edge")
    low = np.lib.stride_tricks.sliding_window_view(pad, 2 * width + 1).min(1)
    return np.lib.stride_tricks.sliding_window_view(low, 2 * width + 1).mean(1)


def planted(score: Score, frames: int) -> np.ndarray:
    """(T, 2) bool: whether the left and the right foot stand still."""
    t = np.arange(frames) / FPS
    out = np.ones((frames, 2), bool)
    for s in (0, 1):
        for start, stop in score.swings[s]:
            out[(t > start + 1e-6) & (t < stop - 1e-6), s] = False
    return out


def joints(score: Score, frames: int) -> np.ndarray:
    """(T, 22, 3) float32 joint positions of the first `frames` frames of a score."""
    times = np.arange(frames) / FPS
    ch = score.sample(times)
    zero = np.zeros(frames)

    def get(name: str) -> np.ndarray:
        return ch.get(name, zero)

    stands = planted(score, frames)
    yaw, pitch = get("yaw"), get("pitch")
    heading = rotation("y", yaw)
    hips = heading @ rotation("y", get("hipyaw")) @ rotation("x", pitch) @ rotation("z", -get("roll"))
    pelvis = np.stack([get("x"), STAND + get("y"), get("z")], 1)
    pelvis += _turn(heading, np.stack([get("sway"), zero, get("fore")], 1))
    out = np.zeros((frames, 22, 3))

    ankle: list[np.ndarray] = []
    toe_vector: list[np.ndarray] = []
    hip: list[np.ndarray] = []
    forward: list[np.ndarray] = []
    room = np.full(frames, np.inf)
    for s in (0, 1):
        foot_yaw, fp = get(f"fyaw{s}"), get(f"fpitch{s}")
        turn = rotation("y", foot_yaw)
        flat = _UNIT["foot"] * FOOT[s] * (SIGN[s], 1, 1)
        vector = _turn(turn @ rotation("x", fp), flat)
        base = np.stack([get(f"fx{s}"), ANKLE[s] + get(f"fy{s}"), get(f"fz{s}")], 1)
        # Toes down rotates the foot about its toe, toes up about its ankle, so that it never goes through the floor.
        base += np.where(fp[:, None] > 0, _turn(turn, flat) - vector, 0.0)
        h = _turn(hips, _UNIT["hip"] * LENGTH[_LEGS[s][0]] * (SIGN[s], 1, 1))
        flat_distance = np.linalg.norm((base - pelvis - h)[:, [0, 2]], axis=1)
        most = np.sqrt(np.maximum((REACH * (THIGH[s] + SHIN[s])) ** 2 - flat_distance**2, 0.01))
        limit = base[:, 1] + most - h[:, 1] - pelvis[:, 1]
        room = np.minimum(room, np.where(stands[:, s], limit, np.inf))
        for target, values in ((ankle, base), (toe_vector, vector), (hip, h), (forward, turn[:, :, 2])):
            target.append(values)
    pelvis[:, 1] += _lower_envelope(np.minimum(room, 0.0))

    out[:, 0] = pelvis
    for s, (hip_, knee_, ankle_, toe_) in enumerate(_LEGS):
        out[:, hip_] = pelvis + hip[s]
        pole = forward[s] + hips[:, :, 2] + hips[:, :, 0] * (SIGN[s] * get(f"kout{s}"))[:, None]
        pole[:, 1] += 0.7 * (1 + get(f"kup{s}"))
        out[:, knee_], out[:, ankle_] = _two_bones(out[:, hip_], ankle[s], pole, THIGH[s], SHIN[s])
        out[:, toe_] = out[:, ankle_] + toe_vector[s]

    third = rotation("y", (get("twist") + get("gaittwist")) / 3) @ rotation("x", get("bend") / 3)
    third = third @ rotation("z", -get("lean") / 3)
    frame, at = hips, pelvis
    for joint, name in ((3, "spine1"), (6, "spine2"), (9, "spine3")):
        at = at + _turn(frame, _UNIT[name] * LENGTH[joint])
        out[:, joint] = at
        frame = frame @ third
    chest = frame
    out[:, 12] = at + _turn(chest, _UNIT["neck"] * LENGTH[12])
    neck = chest @ rotation("y", get("look")) @ rotation("x", get("nod"))
    out[:, 15] = out[:, 12] + _turn(neck, _UNIT["head"] * LENGTH[15])
    for s, (collar, shoulder, elbow, wrist) in enumerate(_ARMS):
        sign = np.array([SIGN[s], 1, 1])
        fl, ab = get(f"fl{s}") + get(f"free{s}") * get(f"swing{s}"), get(f"ab{s}")
        d = np.stack([np.sin(ab), -np.cos(ab) * np.cos(fl), np.cos(ab) * np.sin(fl)], 1) * sign
        # The shoulder blade rises with the arm: about 20 degrees at the top.
        shrug = rotation("z", SIGN[s] * 0.35 * np.clip(d[:, 1] + 0.2, 0, 1.2) / 1.2)
        out[:, collar] = at + _turn(chest, _UNIT["collar"] * LENGTH[collar] * sign)
        out[:, shoulder] = out[:, collar] + _turn(chest @ shrug, _UNIT["shoulder"] * LENGTH[shoulder] * sign)
        hand = out[:, shoulder] + _turn(chest, d * (get(f"ext{s}") * (UPPER[s] + FORE[s]))[:, None])
        hand[:, 1] = np.maximum(hand[:, 1], 0.04)
        pole = _turn(chest, np.stack([get(f"px{s}"), get(f"py{s}"), get(f"pz{s}")], 1) * sign)
        out[:, elbow], out[:, wrist] = _two_bones(out[:, shoulder], hand, pole, UPPER[s], FORE[s])
    out[:, :, [0, 2]] -= out[0, 0, [0, 2]]
    return out.astype(np.float32)
