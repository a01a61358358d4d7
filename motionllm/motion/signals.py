"""Signals that the rules over joint positions use: heading, speed, height of pelvis, feet and hands, knees, bend.

`Signals` computes them once for a clip of the canonical 22 joints, on a body scaled to legs of LEG; `facts` and
`notation` read them. The functions beside it are the few operations on (T,) signals that rules consist of.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from motionllm.errors import MotionLLMError

LEG = 0.826  # metres; thigh + shin of the body that the rules are written for
BENT = 50.0  # degrees of both knees; with less, a low pelvis belongs to another body, not to a crouch
STAND = 0.96  # metres; height of that body's pelvis over its toes when it stands
SIDES = ("left", "right")
ANKLE, TOE, KNEE, HIP = (7, 8), (10, 11), (4, 5), (1, 2)
WRIST, ELBOW, SHOULDER = (20, 21), (18, 19), (16, 17)
NECK, HEAD = 12, 15


def gaussian_mean(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over frames along axis 0, edges held; sigma in frames."""
    return gaussian_filter1d(x, sigma, axis=0, mode="nearest", truncate=3.0) if sigma >= 0.3 else x


def running_mean(x: np.ndarray, width: int) -> np.ndarray:
    """Running mean over an odd number of frames along axis 0, edges held."""
    return uniform_filter1d(x, width, axis=0, mode="nearest")


def stretches_where(mask: np.ndarray, shortest: int = 1, gap: int = 0) -> list[tuple[int, int]]:
    """Stretches [a, b) in which a (T,) mask holds, at least `shortest` frames long; breaks shorter than `gap` frames
    are bridged first.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    joined: list[list[int]] = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and a - joined[-1][1] < gap:
            joined[-1][1] = b
        else:
            joined.append([a, b])
    return [(a, b) for a, b in joined if b - a >= shortest]


def minima(x: np.ndarray, depth: float) -> list[int]:
    """Frames of the minima of (T,) x from which it rises by `depth` on both sides."""
    frames, low, high, at, falling = [], np.inf, -np.inf, 0, False
    for i, v in enumerate(x.tolist()):
        if v > high and not falling:
            high = v
        if not falling and v < high - depth:
            falling, low, at = True, v, i
        elif falling:
            if v < low:
                low, at = v, i
            elif v > low + depth:
                frames.append(at)
                falling, high = False, v
    return frames


GROUND_SECONDS, GROUND = 1.5, 0.08  # s, m; both feet this far over the floor for this long stand on something
GROUND_TILT, GROUND_PELVIS = 60.0, 0.4  # degrees of the trunk; share of standing, of the pelvis over it


class Signals:
    """Everything the rules look at, computed once on a body scaled to LEG; (T, 2) arrays are of the left and the right.

    p: joints (T, 22, 3), m over the floor; local: about the pelvis, in the heading frame (left, up, forward);
    yaw, hip_yaw, feet_yaw: heading, radians; twist, look: of shoulders and head on the hips, degrees;
    tilt, bend: of the trunk from upright, degrees, any way and forward, below 0 backward, 0 where it leans to a side;
    flex: (T, 2) of the knees, degrees;
    ground: m over the floor of what the feet stand on; pelvis: height over it, share of standing; rise: m/s;
    foot, lift: (T, 2) m of the lower of toe and heel, and of the ankle, over where they stand;
    feet: (T, 2, 2) floor places (x, z), m; foot_speed: (T, 2) m/s; middle, speed: of both feet, mean of 0.6 s;
    root_speed, root_velocity: m/s of the pelvis, and (left, forward) in the heading frame, mean of 0.5 s;
    hand, elbow: (T, 2, 3) m from the shoulder, outward, up, forward; reach: of the hand; hand_speed: about the pelvis.
    """

    def __init__(self, joints: np.ndarray, fps: float) -> None:
        joints = np.asarray(joints)
        if joints.ndim != 3 or joints.shape[1:] != (22, 3) or len(joints) < 5:
            raise MotionLLMError(f"Motion of shape {joints.shape} cannot be measured: give (T, 22, 3), T at least 5.")
        if not np.isfinite(joints).all():
            raise MotionLLMError("Motion with NaN or infinite joints cannot be measured: repair or drop the clip.")
        self.fps = fps
        legs = [
            np.linalg.norm(joints[:, HIP[s]] - joints[:, KNEE[s]], axis=1)
            + np.linalg.norm(joints[:, KNEE[s]] - joints[:, ANKLE[s]], axis=1)
            for s in (0, 1)
        ]
        self.scale = float(np.median(legs)) / LEG
        p = gaussian_mean(_settled(joints.astype(np.float64), fps) / self.scale, 0.04 * fps)
        self.floor = float(np.percentile(p[:, TOE, 1].min(1), 5))
        p[..., 1] -= self.floor
        self.p = p
        across = p[:, 1] - p[:, 2] + p[:, 16] - p[:, 17]
        trunk = p[:, NECK] - p[:, 0]
        flat = np.linalg.norm(across[:, [0, 2]], axis=1)
        # Forward is across × up; (left +X, up +Y) give forward +Z.
        yaw = np.arctan2(-across[:, 2], across[:, 0])
        for i in range(1, len(yaw)):  # lying on a side has no heading: the last one holds
            if flat[i] < 0.15:
                yaw[i] = yaw[i - 1]
        self.yaw = gaussian_mean(np.unwrap(yaw), 0.06 * fps)
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        rel = p - p[:, :1]
        self.local = np.stack(
            [
                rel[..., 0] * c[:, None] - rel[..., 2] * s[:, None],
                p[..., 1],
                rel[..., 0] * s[:, None] + rel[..., 2] * c[:, None],
            ],
            -1,
        )
        hips = p[:, 1] - p[:, 2]
        # Hips are narrow, so noise rotates them: their heading is a mean over 0.4 s.
        self.hip_yaw = running_mean(np.unwrap(np.arctan2(-hips[:, 2], hips[:, 0])), odd_frames(0.4 * fps))
        toes = p[:, TOE] - p[:, ANKLE]
        toes = (toes / np.maximum(np.linalg.norm(toes[..., [0, 2]], axis=-1, keepdims=True), 1e-9)).sum(1)
        self.feet_yaw = running_mean(np.unwrap(np.arctan2(toes[:, 0], toes[:, 2])), odd_frames(0.2 * fps))
        shoulders = p[:, 16] - p[:, 17]
        self.twist = np.degrees(
            gaussian_mean(np.unwrap(np.arctan2(-shoulders[:, 2], shoulders[:, 0])) - self.hip_yaw, 0.06 * fps)
        )
        self.twist -= 360 * np.round(np.median(self.twist) / 360)
        gaze = gaussian_mean(p[:, HEAD] - p[:, NECK], 0.08 * fps)
        look = np.unwrap(np.arctan2(gaze[:, 0], gaze[:, 2])) - self.hip_yaw
        self.look = np.degrees(np.arctan2(np.sin(look), np.cos(look)))
        thigh, shin = p[:, HIP] - p[:, KNEE], p[:, ANKLE] - p[:, KNEE]
        cosine = (thigh * shin).sum(-1) / np.maximum(
            np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shin, axis=-1), 1e-9
        )
        self.flex = 180 - np.degrees(np.arccos(cosine.clip(-1, 1)))  # (T, 2) degrees; 0 is a straight knee
        self.tilt = np.degrees(np.arctan2(np.linalg.norm(trunk[:, [0, 2]], axis=1), trunk[:, 1]))
        forward = trunk[:, 0] * s + trunk[:, 2] * c
        self.bend = np.degrees(np.arctan2(forward, trunk[:, 1]))
        self.ground = self._ground()
        self.pelvis = (p[:, 0, 1] - self.ground) / STAND
        toe, ankle = p[:, TOE, 1] - self.ground[:, None], p[:, ANKLE, 1] - self.ground[:, None]
        self.foot = np.minimum(toe - np.percentile(toe, 10, axis=0).clip(0, 0.04), np.maximum(ankle - 0.06, 0))
        self.lift = np.maximum(ankle - 0.06, 0)
        feet = 0.5 * (p[:, ANKLE] + p[:, TOE])[:, :, [0, 2]]
        self.feet = feet
        self.foot_speed = np.linalg.norm(np.gradient(feet, axis=0), axis=2) * fps
        middle = running_mean(feet.mean(1), odd_frames(0.6 * fps))
        self.speed = np.linalg.norm(np.gradient(middle, axis=0), axis=1) * fps
        self.middle = middle
        root = running_mean(running_mean(p[:, 0][:, [0, 2]], odd_frames(0.4 * fps)), odd_frames(0.25 * fps))
        drift = np.gradient(root, axis=0) * fps
        self.root_speed = np.linalg.norm(drift, axis=1)
        self.root_velocity = np.stack([drift[:, 0] * c - drift[:, 1] * s, drift[:, 0] * s + drift[:, 1] * c], 1)
        self.rise = np.gradient(p[:, 0, 1]) * fps
        # Hands, relative to the shoulder: outward, up, forward.
        hand = self.local[:, WRIST] - self.local[:, SHOULDER]
        hand[:, 1, 0] *= -1
        elbow = self.local[:, ELBOW] - self.local[:, SHOULDER]
        elbow[:, 1, 0] *= -1
        self.hand, self.elbow = hand, elbow
        self.hand_speed = np.linalg.norm(np.gradient(rel[:, WRIST], axis=0), axis=2) * fps
        self.reach = np.linalg.norm(hand, axis=2)
        self.hands_apart = np.linalg.norm(p[:, 20] - p[:, 21], axis=1)

    def _ground(self) -> np.ndarray:
        """(T,) height in metres over the floor of what the feet stand on: a step, a box, or a take that drifts upward.

        No body is in the air for longer than 1.5 s, so a height that neither foot goes below for that long is what they
        stand on. 0 where it is hardly above the floor, where the body is not upright, or where its pelvis is not over
        the feet as in standing or squatting.
        """
        r = self.frames(GROUND_SECONDS / 2)
        low = np.pad(self.p[:, TOE, 1].min(1), r, mode="edge")
        least = np.lib.stride_tricks.sliding_window_view(low, 2 * r + 1).min(1)
        tilt = np.lib.stride_tricks.sliding_window_view(np.pad(self.tilt, r, mode="edge"), 2 * r + 1).max(1)
        over = self.p[:, 0, 1] - least > GROUND_PELVIS * STAND
        stood_on = (least > GROUND) & (tilt < GROUND_TILT) & over
        return running_mean(np.where(stood_on, least, 0.0), odd_frames(0.5 * self.fps))

    def frames(self, seconds: float) -> int:
        return max(1, round(seconds * self.fps))


def _settled(joints: np.ndarray, fps: float) -> np.ndarray:
    """The clip with its first frame replaced by the second if no body could have moved that fast (a T-pose put before a
    take).
    """
    leap = float(np.linalg.norm(joints[1] - joints[0], axis=-1).max())
    if leap * fps < 15 or leap < 6 * float(np.linalg.norm(joints[2] - joints[1], axis=-1).max()):
        return joints
    return np.concatenate([joints[1:2], joints[1:]])


def odd_frames(frames: float) -> int:
    return 2 * max(0, round((frames - 1) / 2)) + 1


def coverage(a: int, b: int, spans: list[tuple[int, int]]) -> float:
    """Share of [a, b) covered by spans."""
    return sum(max(0, min(b, d) - max(a, c)) for c, d in spans) / max(1, b - a)
