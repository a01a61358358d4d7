"""Postures: standing, crouching, sitting, kneeling or lying, and the times at which a body rests on a seat.

A seat is not seen. It is where the pelvis rests behind the ankles, over bent knees and below an upright trunk, and the
body's weight is behind them too, where no standing body can hold it: that tells a seat, of any height, from a squat.
"""

from __future__ import annotations

import numpy as np

from motionllm.motion.signals import ANKLE, BENT, HIP, KNEE, Signals, odd_frames, running_mean, stretches_where

LOW_PELVIS, CROUCH_PELVIS = 0.72, 0.86  # shares of standing
LIE_PELVIS, LIE_TILT = 0.4, 55.0  # degrees from upright
KNEEL_KNEE = 0.17  # m over the ground
SIT_TILT, FLOOR_PELVIS = 45.0, 0.35  # so low, an upright body sits on the floor
ABOUT = 0.25  # seconds before and after a frame in which most frames are as low

SEAT_LOW, SEAT_HIGH = 0.42, 0.74  # share of the standing height, of a pelvis on a chair
SEAT_BEHIND = 0.15  # m, the pelvis behind the ankles
UNHELD = 0.02  # m of the centre of mass behind the ankles: on real seats 0.05 to 0.40, in squats -0.15 to -0.02
GLIDE = 0.35  # m/s of the pelvis over the floor, mean of half a second; faster is a crouched walk
REST, REST_SECONDS = 0.15, 0.2  # m/s, the pelvis rises or sinks by less; least duration
# On a stool the pelvis is higher and the weight is behind both ankles: a fighter's may be over the foot behind.
STOOL_HIGH, STOOL_THIGH, STOOL_SECONDS = 0.92, 30.0, 0.4  # share of standing; degrees of both thighs from upright
# Segments of the body: from and to which joint, where between them their centre of mass is, and their share of the mass
# (Winter 2009, Biomechanics and Motor Control of Human Movement, table 4.1; both sides of limbs).
_SEGMENTS = (
    *((0, 12, 0.5, 0.497), (12, 15, 1.0, 0.081)),
    *((16, 18, 0.436, 0.028), (17, 19, 0.436, 0.028), (18, 20, 0.682, 0.022), (19, 21, 0.682, 0.022)),
    *((1, 4, 0.433, 0.1), (2, 5, 0.433, 0.1), (4, 7, 0.433, 0.0465), (5, 8, 0.433, 0.0465)),
    *((7, 10, 0.5, 0.0145), (8, 11, 0.5, 0.0145)),
)


def seats(s: Signals) -> list[tuple[int, int]]:
    """Frames [a, b) of each rest on a chair or a stool."""
    if s.pelvis.min() >= STOOL_HIGH:
        return []
    still = (np.abs(running_mean(s.rise, odd_frames(0.2 * s.fps))) < REST) & (s.root_speed < GLIDE)
    ahead = s.local[..., 2]
    mass = sum(share * (ahead[:, a] + where * (ahead[:, b] - ahead[:, a])) for a, b, where, share in _SEGMENTS)
    ankles = ahead[:, ANKLE]
    upright = still & (s.tilt < SIT_TILT) & (s.pelvis > SEAT_LOW)
    chair = (ankles.mean(1) > SEAT_BEHIND) & (ankles.mean(1) - mass > UNHELD) & (s.flex.min(1) > BENT)
    thigh = s.p[:, HIP] - s.p[:, KNEE]
    raised = np.degrees(np.arctan2(np.linalg.norm(thigh[..., [0, 2]], axis=-1), thigh[..., 1])).min(1) > STOOL_THIGH
    hangs = s.hand[..., 1].min(1) > 0  # both hands over the shoulders
    stool = raised & (running_mean(ankles.min(1) - mass, odd_frames(0.2 * s.fps)) > UNHELD) & ~hangs
    found = stretches_where(upright & chair & (s.pelvis < SEAT_HIGH), s.frames(REST_SECONDS), s.frames(0.4))
    high = stretches_where(upright & stool & (s.pelvis < STOOL_HIGH), s.frames(STOOL_SECONDS), s.frames(0.4))
    rests = np.zeros(len(s.p), bool)
    for a, b in (*found, *high):
        rests[a:b] = True
    return stretches_where(rests, 1, s.frames(0.4))


def postures(s: Signals) -> tuple[str, str]:
    """The postures at the first and at the last frame: standing, crouching, sitting, kneeling or lying.

    A crouch is any other posture with both knees bent and a low pelvis.
    """
    rests = seats(s)
    return _posture(s, 0, rests), _posture(s, len(s.p) - 1, rests)


def _posture(s: Signals, frame: int, rests: list[tuple[int, int]]) -> str:
    about = slice(max(0, frame - s.frames(ABOUT)), frame + s.frames(ABOUT) + 1)  # a runner's stride is no crouch
    low, bent = float(np.median(s.pelvis[about])), float(np.median(s.flex[about].min(1)))
    if s.pelvis[frame] < LIE_PELVIS and s.tilt[frame] > LIE_TILT:
        return "lying"
    if any(a <= frame < b for a, b in rests):
        return "sitting"
    if low > LOW_PELVIS and bent < BENT:
        return "standing"
    if low < LOW_PELVIS:
        knee = s.p[frame, KNEE, 1].min() - s.ground[frame]
        sits = s.tilt[frame] < SIT_TILT and low < FLOOR_PELVIS
        return "kneeling" if knee < KNEEL_KNEE else "sitting" if sits else "crouching"
    return "standing" if low > CROUCH_PELVIS else "crouching"
