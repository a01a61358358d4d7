"""A body with its own habits, and what actions share: gaits along a path, leaps, durations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from motionllm.corpus.action import Part
from motionllm.corpus.body import SIGN, Score

GRAVITY = 9.81  # m/s²
DEG = np.pi / 180
Way = Callable[
    [np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]
]  # share of the path (n,) → x, z in metres, yaw in radians


class Actor:
    """A body with its own habits, at a time and a place in a score."""

    def __init__(self, rng: np.random.Generator, short: bool) -> None:
        self.rng, self.short = rng, short
        self.score = Score()
        self.now = float(rng.uniform(0.05, 0.3))
        self.x = self.z = self.yaw = 0.0
        self.tempo = rng.uniform(0.9, 1.12)  # factor on durations, 1 is average
        self.size = rng.uniform(0.9, 1.12)  # factor on the extent of movements
        self.width = rng.uniform(0.075, 0.115)  # metres from the middle to either foot
        self.toe_out = rng.uniform(2, 12) * DEG
        self.first = int(rng.integers(2))  # the foot that starts
        self.posture = rng.uniform(-3, 6) * DEG
        self.hang = [
            dict(
                fl=rng.uniform(-0.02, 0.14),
                ab=rng.uniform(0.10, 0.24),
                ext=rng.uniform(0.95, 0.982),
                px=rng.uniform(0.2, 0.7),
                py=0.0,
                pz=-1.0,
            )
            for _ in (0, 1)
        ]
        self.rest = [dict(pose) for pose in self.hang]
        s = self.score
        s.set(y=-rng.uniform(0.0, 0.006), bend=self.posture, nod=-0.5 * self.posture, free0=1, free1=1)
        for side in (0, 1):
            s.set(**{f"{c}{side}": v for c, v in self.hang[side].items()})
            fx, fz, fyaw = self.place(side)
            s.set(**{f"fx{side}": fx, f"fz{side}": fz, f"fyaw{side}": fyaw})

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pace(self, part: Part) -> float:
        """Factor on the duration of a part."""
        return self.tempo * {"slowly": 1.8, "": 1.0, "quickly": 0.6}[part.speed]

    def place(
        self, side: int, x: float | None = None, z: float | None = None, yaw: float | None = None
    ) -> tuple[float, float, float]:
        """Position (x, z) and direction of a foot under the body."""
        x, z = self.x if x is None else x, self.z if z is None else z
        yaw = self.yaw if yaw is None else yaw
        out = SIGN[side] * self.width
        return x + out * np.cos(yaw), z - out * np.sin(yaw), yaw + SIGN[side] * self.toe_out

    def ahead(self, forward: float, left: float = 0.0) -> tuple[float, float]:
        """The floor point that many metres ahead and to the left of the body."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return self.x + forward * s + left * c, self.z + forward * c - left * s

    def move(self, start: float, stop: float, **values: float) -> None:
        self.score.move(start, stop, **values)

    def arm(self, side: int, start: float, stop: float, **pose: float) -> None:
        """Move an arm to a pose, suspending its gait swing."""
        self.move(start, stop, **{f"{c}{side}": v for c, v in pose.items()}, **{f"free{side}": 0.0})

    def rest_arm(self, side: int, start: float, stop: float) -> None:
        self.move(start, stop, **{f"{c}{side}": v for c, v in self.rest[side].items()}, **{f"free{side}": 1.0})

    def foot(
        self,
        side: int,
        start: float,
        stop: float,
        x: float,
        z: float,
        yaw: float,
        lift: float = 0.07,
        off: float = 0.0,
        land: float = 0.0,
        heel: float = 0.2,
    ) -> None:
        """One swing of a foot to a new place: heel off, through the air, heel first, flat."""
        s, d = self.score, stop - start
        if off:
            s.move(start - heel, start, **{f"fpitch{side}": off})
        s.move(start, stop, **{f"fx{side}": x, f"fz{side}": z, f"fyaw{side}": yaw, f"fpitch{side}": -land})
        s.move(start, start + 0.45 * d, **{f"fy{side}": lift})
        s.move(start + 0.45 * d, stop, **{f"fy{side}": 0.0})
        if land:
            s.move(stop, stop + 0.1, **{f"fpitch{side}": 0.0})
        s.swings[side].append((start, stop))

    def air(self, side: int, start: float, stop: float) -> None:
        self.score.swings[side].append((start, stop))

    def under(self, start: float, stop: float, side: int) -> None:
        """Bring a foot back under the body."""
        x, z, yaw = self.place(side)
        self.foot(side, start, stop, x, z, yaw, 0.05)


def _profile(u: np.ndarray, duration: float, ramp: float) -> np.ndarray:
    """Share of the way covered at times u in [0, duration]: smooth start, constant speed, smooth stop."""
    ramp = min(ramp, duration / 2)
    up = np.clip(u / ramp, 0, 1)
    down = np.clip((duration - u) / ramp, 0, 1)

    def area(a: np.ndarray) -> np.ndarray:  # integral of the smoothstep 3a² − 2a³
        return a**3 - a**4 / 2

    gone = np.minimum(u, duration - ramp) - np.minimum(u, ramp) + ramp * area(up) + ramp * (0.5 - area(down))
    return gone / (duration - ramp)


def gait(
    a: Actor,
    duration: float,
    path: Way,
    step: float,
    swing: float,
    lift: float = 0.07,
    off: float = 0.5,
    land: float = 0.2,
    arms: float = 0.35,
    bob: float = 0.0,
    ahead: float = 0.42,
    ramp: float = 0.5,
    sway: float = 0.022,
) -> None:
    """Walk, run or shuffle along a path for some seconds, and stop with the feet together.

    path: share of the way (N,) -> x, z, heading, (N,) each. step: seconds between the lift of one foot and that of the
    other. swing: seconds that a foot is in the air (longer than `step`: a run). A foot lands where the pelvis will be
    when `ahead` of its stance is over, which keeps the body balanced on any path.
    """
    start, first = a.now, a.first
    count = max(2, round((duration - swing) / step) + 1)
    step = (duration - swing) / (count - 1)
    t = np.arange(start, start + duration + 0.0125, 0.025)
    t[-1] = start + duration
    x, z, yaw = path(_profile(t - start, duration, ramp))
    s = a.score
    for channel, values in (("x", x), ("z", z), ("yaw", yaw)):
        s.dense(channel, t, values)
    a.x, a.z, a.yaw = float(x[-1]), float(z[-1]), float(yaw[-1])
    for k in range(count):
        side = (first + k) % 2
        lifted = start + k * step
        landed = lifted + swing
        middle = landed + ahead * (2 * step - swing) if k < count - 2 else start + duration
        where = a.place(side, *(float(np.interp(middle, t, v)) for v in (x, z, yaw)))
        begun = k > 0
        a.foot(
            side,
            lifted,
            landed,
            *where,
            lift,
            off if begun else 0.3 * off,
            land if k < count - 2 else 0.0,
            heel=0.3 * step,
        )
    phase = np.pi * (t - start - swing) / step
    envelope = np.clip(np.minimum((t - start) / 0.5, (start + duration - t) / 0.4), 0, 1)
    envelope = envelope * envelope * (3 - 2 * envelope)
    to_first = SIGN[first]
    wave = np.cos(phase) * envelope
    for side in (0, 1):
        own = -1.0 if side == first else 1.0
        s.dense(f"swing{side}", t, own * arms * wave + 0.1 * arms * envelope)
    s.dense("hipyaw", t, -to_first * 0.28 * min(arms, 0.4) * wave)
    s.dense("gaittwist", t, to_first * 0.5 * min(arms, 0.5) * wave)
    s.dense("sway", t, to_first * sway * np.sin(phase) * envelope)
    s.dense("roll", t, to_first * -0.05 * np.sin(phase) * envelope)
    if bob:
        middle = start + swing + (2 * step - swing) / 2
        s.dense("y", t, s.last("y") - envelope * bob * (0.9 + np.cos(2 * np.pi * (t - middle) / step)))
    a.first = (first + count) % 2
    a.now = start + duration


def straight(a: Actor, forward: float, left: float = 0.0, turn: float = 0.0) -> Way:
    x0, z0, yaw0 = a.x, a.z, a.yaw
    x1, z1 = a.ahead(forward, left)
    return lambda u: (x0 + u * (x1 - x0), z0 + u * (z1 - z0), yaw0 + u * turn)


def arc(a: Actor, length: float, turn: float) -> Way:
    """A path of constant curvature; positive `turn` (radians) is to the left."""
    x0, z0, yaw0, r = a.x, a.z, a.yaw, length / turn

    def path(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        h = yaw0 + u * turn
        return x0 - r * (np.cos(h) - np.cos(yaw0)), z0 + r * (np.sin(h) - np.sin(yaw0)), h

    return path


def lasting(a: Actor, part: Part, low: float, high: float) -> float:
    """Duration of an action that has no natural end, between low and high seconds."""
    return a.between(low, high) * (0.72 if a.short else 1.0) * (1.15 if part.speed == "slowly" else 1.0)


def leap(
    a: Actor,
    t: float,
    crouch: float,
    height: float,
    feet: tuple[int, ...],
    to: tuple[float, float],
    pace: float,
    arms: bool = True,
    dip: float = 0.3,
    pitch: float = 0.45,
    push: float = 0.17,
) -> float:
    """Crouch, take off, fly (a parabola), land on the given feet. Returns the time of landing."""
    flight = 2 * np.sqrt(2 * height / GRAVITY)
    up = t + dip * pace
    leave = up + push
    land = leave + flight
    forward = 0.04
    a.move(t, up, y=-crouch, bend=a.posture + 1.6 * crouch, fore=-0.35 * crouch)
    a.move(up, leave, y=0.03, bend=a.posture, fore=forward)
    ts = np.linspace(leave, land, 24)
    u = ts - leave
    arc = u * (flight - u) * GRAVITY / 2
    s = a.score
    s.dense("y", ts, 0.03 + arc - 0.07 * u / flight)
    for side in feet:
        a.move(up, leave, **{f"fpitch{side}": pitch})
        fx0, fz0 = s.last(f"fx{side}"), s.last(f"fz{side}")
        base = s.last(f"fy{side}") if len(feet) == 2 else 0.0
        s.dense(f"fy{side}", ts, base + arc * 1.12)
        fx, fz, _ = a.place(side, *to)
        s.dense(f"fx{side}", ts, fx0 + (fx - fx0) * u / flight)
        s.dense(f"fz{side}", ts, fz0 + (fz - fz0) * u / flight)
        a.move(leave + 0.3 * flight, land, **{f"fpitch{side}": 0.0})
        a.air(side, leave, land)
    a.move(leave - 0.05, land + 0.1, x=to[0], z=to[1])
    a.x, a.z = to
    if arms:
        for arm in (0, 1):
            a.arm(arm, t, up, fl=-0.7, ext=0.93)
            a.arm(arm, up, leave + 0.1, fl=1.5 * a.size, ext=0.85)
            a.arm(arm, leave + 0.5 * flight, land + 0.25, **a.rest[arm])
    return land


def sides_of(part: Part) -> tuple[int, ...]:
    """The indices of a part's side or sides: 0 left, 1 right."""
    return {"left": (0,), "right": (1,), "both": (0, 1)}[part.side]
