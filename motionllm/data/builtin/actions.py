"""The choreography: what each action of the built-in corpus does with the body, in time.

Every action is a function of an `Actor` (a body with its own style) and a `Part` (what
is asked); it writes keys into the actor's score from the actor's present time on and
leaves the actor standing, or seated, kneeling or lying. Human numbers (stride, tempo,
flight time) are rounded from textbooks of gait and from free-fall.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from motionllm.data.builtin.body import ANKLE, FPS, SHOULDER, SIGN, STAND, Score, aim
from motionllm.data.builtin.spec import Part, Spec

GRAVITY = 9.81
DEG = np.pi / 180
MOST = 196  # frames: the longest clip of the field


class Actor:
    """A body of its own habits, at a time and a place, in a score."""

    def __init__(self, rng: np.random.Generator, short: bool) -> None:
        self.rng, self.short = rng, short
        self.score = Score()
        self.now = float(rng.uniform(0.05, 0.3))
        self.x = self.z = self.yaw = 0.0
        self.tempo = rng.uniform(0.9, 1.12)  # longer or shorter than the average person
        self.size = rng.uniform(0.9, 1.12)  # larger or smaller movements
        self.width = rng.uniform(0.075, 0.115)  # of the stance, from the middle
        self.toe_out = rng.uniform(2, 12) * DEG
        self.first = int(rng.integers(2))  # the foot that starts
        self.posture = rng.uniform(-3, 6) * DEG
        self.hang = [
            dict(fl=rng.uniform(-0.02, 0.14), ab=rng.uniform(0.10, 0.24), ext=rng.uniform(0.95, 0.982),
                 px=rng.uniform(0.2, 0.7), py=0.0, pz=-1.0)
            for _ in (0, 1)
        ]  # fmt: skip
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
        """How much longer than normal things take."""
        return self.tempo * {"slowly": 1.8, "": 1.0, "quickly": 0.6}[part.speed]

    def place(
        self, side: int, x: float | None = None, z: float | None = None, yaw: float | None = None
    ) -> tuple[float, float, float]:
        """Where a foot stands under the body: x, z, direction."""
        x, z = self.x if x is None else x, self.z if z is None else z
        yaw = self.yaw if yaw is None else yaw
        out = SIGN[side] * self.width
        return x + out * np.cos(yaw), z - out * np.sin(yaw), yaw + SIGN[side] * self.toe_out

    def ahead(self, forward: float, left: float = 0.0) -> tuple[float, float]:
        """The floor point that lies so far ahead and to the left of the body."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return self.x + forward * s + left * c, self.z + forward * c - left * s

    def move(self, start: float, stop: float, **values: float) -> None:
        self.score.move(start, stop, **values)

    def arm(self, side: int, start: float, stop: float, **pose: float) -> None:
        """An arm to a pose; it leaves the gait's swing for it."""
        self.move(start, stop, **{f"{c}{side}": v for c, v in pose.items()}, **{f"free{side}": 0.0})

    def rest_arm(self, side: int, start: float, stop: float) -> None:
        self.move(start, stop, **{f"{c}{side}": v for c, v in self.rest[side].items()}, **{f"free{side}": 1.0})

    def foot(
        self, side: int, start: float, stop: float, x: float, z: float, yaw: float, lift: float = 0.07,
        off: float = 0.0, land: float = 0.0, heel: float = 0.2,
    ) -> None:  # fmt: skip
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
    """Share of the way gone at times u in [0, duration]: smooth start, even speed, smooth stop."""
    ramp = min(ramp, duration / 2)
    up = np.clip(u / ramp, 0, 1)
    down = np.clip((duration - u) / ramp, 0, 1)

    def area(a: np.ndarray) -> np.ndarray:  # of the smoothstep 3a² − 2a³
        return a**3 - a**4 / 2

    gone = np.minimum(u, duration - ramp) - np.minimum(u, ramp) + ramp * area(up) + ramp * (0.5 - area(down))
    return gone / (duration - ramp)


def gait(
    a: Actor, duration: float, path: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
    step: float, swing: float, lift: float = 0.07, off: float = 0.5, land: float = 0.2, arms: float = 0.35,
    bob: float = 0.0, ahead: float = 0.42, ramp: float = 0.5, sway: float = 0.022,
) -> None:  # fmt: skip
    """Walk, run or shuffle along a path for some seconds, and stop with the feet together.

    path: share of the way (N,) -> x, z, heading, (N,) each. step: seconds from one foot's lift to the
    other's; swing: seconds a foot is in the air (longer than `step`: a run). A foot lands where the
    pelvis will be once `ahead` of its stance is over, which is what keeps any path in balance.
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
        a.foot(side, lifted, landed, *where, lift, off if begun else 0.3 * off, land if k < count - 2 else 0.0,
               heel=0.3 * step)  # fmt: skip
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


def _straight(a: Actor, forward: float, left: float = 0.0, turn: float = 0.0) -> Callable:
    x0, z0, yaw0 = a.x, a.z, a.yaw
    x1, z1 = a.ahead(forward, left)
    return lambda u: (x0 + u * (x1 - x0), z0 + u * (z1 - z0), yaw0 + u * turn)


def _arc(a: Actor, length: float, turn: float) -> Callable:
    """A path of constant curvature: positive `turn` (radians) to the left."""
    x0, z0, yaw0, r = a.x, a.z, a.yaw, length / turn

    def path(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        h = yaw0 + u * turn
        return x0 - r * (np.cos(h) - np.cos(yaw0)), z0 + r * (np.sin(h) - np.sin(yaw0)), h

    return path


def _way(a: Actor, part: Part, length: float) -> Callable:
    if part.direction in ("left", "right"):
        return _arc(a, length, (1 if part.direction == "left" else -1) * a.between(75, 120) * DEG)
    if part.direction in ("clockwise", "counterclockwise"):
        return _arc(a, length, (-1 if part.direction == "clockwise" else 1) * a.between(330, 370) * DEG)
    return _straight(a, -length if part.direction == "backward" else length)


def _seconds(a: Actor, part: Part, low: float, high: float) -> float:
    """How long something lasts that could last for ever."""
    return a.between(low, high) * (0.72 if a.short else 1.0) * (1.15 if part.speed == "slowly" else 1.0)


def walk(a: Actor, part: Part) -> None:
    circle = part.direction in ("clockwise", "counterclockwise")
    back = part.direction == "backward"
    speed = a.size * a.between(1.05, 1.25) * {"slowly": 0.5, "": 1.0, "quickly": 1.55}[part.speed]
    speed *= 0.62 if back else 0.85 if circle else 1.0
    step = 0.53 * (speed / (0.75 if back else 1.15)) ** -0.42
    duration = _seconds(a, part, 4.6, 6.6) if circle else _seconds(a, part, 2.8, 5.2)
    length = speed * (duration - 0.5)
    gait(a, duration, _way(a, part, length), step, 0.76 * step, lift=0.05 + 0.02 * a.size, off=0.15 if back else 0.85,
         land=0.0 if back else 0.28, arms=min(0.7, (0.12 + 0.22 * speed) * a.size) * (0.6 if back else 1.0),
         ahead=0.56 if back else 0.42)  # fmt: skip


def run(a: Actor, part: Part) -> None:
    speed = a.size * a.between(2.4, 2.8) * {"slowly": 0.62, "": 1.0, "quickly": 1.42}[part.speed]
    step = 0.36 * (speed / 2.6) ** -0.25
    duration = _seconds(a, part, 2.4, 3.8)
    t = a.now
    a.move(t, t + 0.3, bend=a.posture + 0.16 + 0.03 * speed, nod=-0.15)
    for side in (0, 1):
        a.move(t, t + 0.35, **{f"ext{side}": 0.70, f"fl{side}": 0.35, f"px{side}": 0.35, f"py{side}": -0.3})
    gait(a, duration, _way(a, part, speed * (duration - 0.6)), step, 1.36 * step, lift=0.10 + 0.06 * speed, off=0.7,
         land=0.0, arms=min(1.0, 0.35 + 0.17 * speed), bob=0.035, ramp=0.6, sway=0.012)  # fmt: skip
    t = a.now
    a.move(t - 0.3, t + 0.25, bend=a.posture, nod=-0.5 * a.posture)
    for side in (0, 1):
        a.rest_arm(side, t - 0.35, t + 0.25)
    a.now = t + 0.2


def crouch_walk(a: Actor, part: Part) -> None:
    t, duration = a.now, _seconds(a, part, 3.0, 5.0)
    low = a.between(0.2, 0.3)
    a.move(t, t + 0.6, y=-low, bend=a.between(0.5, 0.8), fore=-0.1, nod=-0.5)
    for side in (0, 1):
        a.move(t, t + 0.6, **{f"fl{side}": 0.7, f"ext{side}": 0.75, f"px{side}": 0.5})
    a.now = t + 0.45
    speed = a.size * 0.75 * {"slowly": 0.6, "": 1.0, "quickly": 1.6}[part.speed]
    gait(a, duration, _way(a, part, speed * (duration - 0.5)), 0.6 * (speed / 0.75) ** -0.4,
         0.46 * (speed / 0.75) ** -0.4, lift=0.10, off=0.35, arms=0.2, ahead=0.5)  # fmt: skip
    t = a.now
    a.move(t - 0.1, t + 0.5, y=0, bend=a.posture, fore=0, nod=0)
    for side in (0, 1):
        a.rest_arm(side, t - 0.1, t + 0.5)
    a.now = t + 0.5


def march(a: Actor, part: Part) -> None:
    step = 0.5 * a.pace(part) ** 0.8
    count = max(4, round(_seconds(a, part, 2.6, 4.2) / step))
    t0, lift = a.now, a.between(0.22, 0.34)
    for k in range(count):
        side, t = (a.first + k) % 2, t0 + k * step
        x, z, _ = a.place(side)
        fx, fz = a.ahead(0.10, SIGN[side] * a.width)
        other = 1 - side
        d = 0.92 * step
        a.move(t, t + d / 2, **{f"fx{side}": fx, f"fz{side}": fz, f"fy{side}": lift, f"fpitch{side}": 0.35})
        a.move(t + d / 2, t + d, **{f"fx{side}": x, f"fz{side}": z, f"fy{side}": 0, f"fpitch{side}": 0})
        a.air(side, t, t + d)
        a.move(t - 0.1, t + d / 2, sway=-SIGN[side] * 0.045)
        a.move(t, t + d / 2, **{f"swing{other}": 0.65 * a.size, f"swing{side}": -0.35 * a.size})
    t = t0 + count * step
    a.move(t - 0.05, t + 0.25, sway=0, swing0=0, swing1=0)
    a.first, a.now = (a.first + count) % 2, t + 0.15


def step(a: Actor, part: Part) -> None:
    """Single steps forward or backward; the feet stay where the last step leaves them."""
    pace, way = a.pace(part), 1 if part.direction == "forward" else -1
    length = a.between(0.42, 0.58) * a.size * (1 if way > 0 else 0.8)
    t, travelled = a.now, 0.0
    x0, z0 = a.x, a.z
    for k in range(part.count or 1):
        side, d = (a.first + k) % 2, 0.62 * pace
        travelled = length * (k + 1)
        fx, fz = a.ahead(way * travelled, SIGN[side] * a.width)
        a.foot(side, t, t + d, fx, fz, a.yaw + SIGN[side] * a.toe_out, 0.08, off=0.35 if k and way > 0 else 0.0,
               land=0.15 if way > 0 else 0.0)  # fmt: skip
        px, pz = a.ahead(way * (travelled - length / 2))
        a.move(t, t + d + 0.1 * pace, x=px, z=pz)
        for arm in (0, 1):
            a.move(t, t + d, **{f"swing{arm}": (0.3 if arm != side else -0.25) * way})
        t += d + 0.16 * pace
    a.move(t, t + 0.3, swing0=0, swing1=0)
    last = travelled - length / 2
    a.x, a.z = x0 + way * last * np.sin(a.yaw), z0 + way * last * np.cos(a.yaw)
    a.first, a.now = (a.first + (part.count or 1)) % 2, t + 0.2


def sidestep(a: Actor, part: Part) -> None:
    pace, lead = a.pace(part), 0 if part.direction == "left" else 1
    sign, t = SIGN[lead], a.now
    for _ in range(part.count or 1):
        length, d = a.between(0.32, 0.46) * a.size, 0.46 * pace
        a.move(t - 0.1, t + d, sway=-sign * 0.02)
        middle = a.ahead(0, sign * 0.55 * length)
        a.x, a.z = a.ahead(0, sign * length)
        a.foot(lead, t, t + d, *a.place(lead), 0.07)
        a.move(t, t + d, x=middle[0], z=middle[1])
        a.move(t + d, t + 2 * d, x=a.x, z=a.z, sway=0)
        for arm in (0, 1):
            a.move(t, t + d, **{f"ab{arm}": a.hang[arm]["ab"] + 0.12})
            a.move(t + d, t + 2 * d, **{f"ab{arm}": a.hang[arm]["ab"]})
        a.foot(1 - lead, t + d + 0.06, t + 2 * d + 0.02, *a.place(1 - lead), 0.06)
        t += 2 * d + 0.14 * pace
    a.now = t


def _turn_in_place(a: Actor, part: Part, degrees: float, seconds: float, step: float) -> None:
    sign = 1 if part.direction == "left" else -1
    seconds *= a.pace(part)
    angle = sign * degrees * DEG
    t = a.now
    a.first = 0 if sign > 0 else 1
    a.move(t - 0.1, t + 0.3 * seconds, look=sign * 0.4, twist=sign * 0.15)
    a.move(t + 0.6 * seconds, t + seconds, look=0, twist=0)
    gait(a, seconds, _straight(a, 0, 0, angle), step * a.pace(part), 0.72 * step * a.pace(part), lift=0.06, off=0.1,
         land=0.0, arms=0.12, ahead=0.5, ramp=0.35 * seconds, sway=0.03)  # fmt: skip
    a.now += 0.1


def turn(a: Actor, part: Part) -> None:
    _turn_in_place(a, part, a.between(80, 100), 1.35, 0.42)


def turn_around(a: Actor, part: Part) -> None:
    _turn_in_place(a, part, a.between(170, 190), 1.9, 0.4)


def spin(a: Actor, part: Part) -> None:
    _turn_in_place(a, part, a.between(348, 372), 3.0, 0.42)


def _leap(
    a: Actor, t: float, crouch: float, height: float, feet: tuple[int, ...], to: tuple[float, float], pace: float,
    arms: bool = True, dip: float = 0.3, pitch: float = 0.45, push: float = 0.17,
) -> float:  # fmt: skip
    """Crouch, take off, fly (a parabola), land on the given feet; returns the time of landing."""
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


def jump(a: Actor, part: Part) -> None:
    length = {"": 0.0, "forward": 0.7, "backward": -0.4, "left": 0.4, "right": -0.4}[part.direction]
    t, height, crouch = a.now, a.between(0.14, 0.3) * a.size, a.between(0.16, 0.26)
    for k in range(part.count or 1):
        reach = length * a.size * a.between(0.85, 1.15)
        to = a.ahead(0, reach) if part.direction in ("left", "right") else a.ahead(reach)
        land = _leap(a, t, crouch, height, (0, 1), to, a.tempo if k == 0 else 0.7 * a.tempo)
        a.move(land, land + 0.2, y=-0.6 * crouch, bend=a.posture + crouch)
        t = land + 0.2
    a.move(t, t + 0.4 * a.tempo, y=0, bend=a.posture, fore=0)
    for arm in (0, 1):
        a.rest_arm(arm, t - 0.1, t + 0.3)
    a.now = t + 0.35 * a.tempo


def hop(a: Actor, part: Part) -> None:
    side = 0 if part.side == "left" else 1
    free, t = 1 - side, a.now
    fx, fz = a.ahead(-0.18, SIGN[free] * a.width)
    a.move(t, t + 0.45, sway=SIGN[side] * (a.width - 0.01))
    a.move(t + 0.2, t + 0.6, **{f"fx{free}": fx, f"fz{free}": fz, f"fy{free}": 0.28, f"fpitch{free}": 0.5})
    begin = t + 0.2
    for arm in (0, 1):
        a.arm(arm, t, t + 0.5, ab=0.6, ext=0.85)
    t += 0.6
    height = a.between(0.06, 0.11)
    for _ in range(part.count or int(a.rng.integers(2, 5))):
        onward = a.between(0.0, 0.06)
        to = a.ahead(onward)
        land = _leap(a, t, 0.1, height, (side,), to, 0.75 * a.tempo, arms=False, pitch=0.5)
        lifted = a.score.last(f"fy{free}")
        fx, fz = a.ahead(-0.18, SIGN[free] * a.width)
        up = t + 0.3 * 0.75 * a.tempo
        a.move(up + 0.1, up + 0.35, **{f"fy{free}": lifted + height, f"fx{free}": fx, f"fz{free}": fz})
        a.move(up + 0.35, land + 0.1, **{f"fy{free}": lifted})
        a.move(land, land + 0.12, y=-0.07)
        t = land + 0.12
    x, z, _ = a.place(free)
    a.move(t + 0.1, t + 0.55, **{f"fx{free}": x, f"fz{free}": z, f"fy{free}": 0, f"fpitch{free}": 0}, y=0, fore=0)
    a.air(free, begin, t + 0.55)
    a.move(t + 0.2, t + 0.7, sway=0, bend=a.posture)
    for arm in (0, 1):
        a.rest_arm(arm, t + 0.1, t + 0.7)
    a.now = t + 0.65


def squat(a: Actor, part: Part) -> None:
    pace, t, low = a.pace(part), a.now, a.between(0.34, 0.46)
    for _ in range(part.count or 1):
        down = t + 0.8 * pace
        a.move(t, down, y=-low, bend=0.55, pitch=0.35, fore=-0.16, nod=-0.5, kout0=0.35, kout1=0.35)
        for arm in (0, 1):
            a.arm(arm, t, down, fl=1.9, ab=0.05, ext=0.93)
        up = down + (0.12 + 0.75) * pace
        a.move(down + 0.12 * pace, up, y=0, bend=a.posture, pitch=0, fore=0, nod=0, kout0=0, kout1=0)
        for arm in (0, 1):
            a.rest_arm(arm, down + 0.12 * pace, up)
        t = up + 0.12 * pace
    a.now = t


def lunge(a: Actor, part: Part) -> None:
    pace, t, side = a.pace(part), a.now, 0 if part.side == "left" else 1
    back = 1 - side
    for _ in range(part.count or 1):
        length = a.between(0.68, 0.85)
        x, z = a.ahead(length, SIGN[side] * a.width)
        land = t + 0.5 * pace
        a.foot(side, t, land, x, z, a.yaw + SIGN[side] * 0.05, 0.12, land=0.15)
        down = land + 0.4 * pace
        a.move(t + 0.1, down, fore=0.52 * length, y=-a.between(0.24, 0.31), bend=0.05)
        a.move(land - 0.1, down, **{f"fpitch{back}": 0.9})
        up = down + 0.15 * pace
        a.move(up, up + 0.5 * pace, fore=0.12, y=-0.05)
        a.move(up, up + 0.5 * pace, **{f"fpitch{back}": 0.0})
        a.move(up + 0.5 * pace, up + 0.8 * pace, fore=0, y=0)
        x, z, yaw = a.place(side)
        a.foot(side, up + 0.25 * pace, up + 0.75 * pace, x, z, yaw, 0.1)
        t = up + 0.95 * pace
    a.now = t


def bow(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    for _ in range(part.count or 1):
        deep = a.between(0.65, 1.0)
        down = t + 0.8 * pace
        a.move(t, down, pitch=0.55 * deep, bend=0.75 * deep, nod=0.25, fore=-0.10 * deep)
        for arm in (0, 1):
            a.arm(arm, t, down, **{**a.hang[arm], "fl": 0.45 * deep})
        up = down + (0.25 + 0.8) * pace
        a.move(down + 0.25 * pace, up, pitch=0, bend=a.posture, nod=0, fore=0)
        for arm in (0, 1):
            a.rest_arm(arm, down + 0.25 * pace, up)
        t = up + 0.15 * pace
    a.now = t


def touch_toes(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    for _ in range(part.count or 1):
        down = t + 1.0 * pace
        a.move(t, down, pitch=1.5, bend=1.25, nod=0.2, fore=-0.26, y=-0.08)
        for arm in (0, 1):
            a.arm(arm, t, down, fl=2.6, ab=-0.05, ext=0.985)
        up = down + (0.25 + 0.9) * pace
        a.move(down + 0.25 * pace, up, pitch=0, bend=a.posture, nod=0, fore=0, y=0)
        for arm in (0, 1):
            a.rest_arm(arm, down + 0.25 * pace, up)
        t = up + 0.1 * pace
    a.now = t


def pick(a: Actor, part: Part) -> None:
    pace, t, side = a.pace(part), a.now, 0 if part.side == "left" else 1
    down = t + 0.9 * pace
    a.move(t, down, y=-0.42, pitch=0.55, bend=0.75, fore=-0.1, kout0=0.3, kout1=0.3, twist=-SIGN[side] * 0.15)
    a.arm(side, t + 0.1, down, fl=1.35, ab=0.0, ext=0.97)
    a.arm(1 - side, t, down, fl=0.9, ab=0.25, ext=0.6)
    up = down + 0.2 * pace
    a.move(up, up + 0.9 * pace, y=0, pitch=0, bend=a.posture, fore=0, kout0=0, kout1=0, twist=0)
    a.arm(side, up, up + 0.9 * pace, fl=0.95, ab=0.05, ext=0.62, px=0.3, py=-1.0, pz=-0.6)
    a.rest_arm(1 - side, up, up + 0.9 * pace)
    a.now = up + 1.2 * pace
    a.rest[side] = dict(fl=0.95, ab=0.05, ext=0.62, px=0.3, py=-1.0, pz=-0.6)


def _sides(part: Part) -> tuple[int, ...]:
    return {"left": (0,), "right": (1,), "both": (0, 1)}[part.side]


def wave(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    half = 0.23 * pace**0.8
    up = t + 0.55 * pace**0.7
    cycles = part.count or max(3, round(_seconds(a, part, 1.4, 2.4) / (2 * half)))
    if until is not None and not part.count:
        cycles = max(2, int((until - up - 0.5) / (2 * half)))
    high, wide = a.between(2.5, 2.95), a.between(0.42, 0.55)
    for side in _sides(part):
        a.arm(side, t, up, fl=high, ab=0.62 + wide / 2, ext=0.74, px=0.9, py=-0.7, pz=-0.15)
        s = up
        for _ in range(cycles):
            a.move(s, s + half, **{f"ab{side}": 0.5 - wide / 2})
            a.move(s + half, s + 2 * half, **{f"ab{side}": 0.62 + wide / 2})
            s += 2 * half
        a.rest_arm(side, s + 0.05, s + 0.6 * pace**0.7)
    a.now = up + 2 * half * cycles + 0.6 * pace**0.7


def raise_arm(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    up = t + 0.75 * pace
    hold = a.between(0.5, 1.3) * (0.6 if a.short else 1.0)
    down = max(up + hold, until - 0.7 * pace) if until is not None else up + hold
    fl, ab = a.between(2.75, 3.0), a.between(0.0, 0.2)
    for side in _sides(part):
        a.arm(side, t, up, fl=fl, ab=ab, ext=0.97, px=0.9, py=0.0, pz=0.3)
        a.rest_arm(side, down, down + 0.75 * pace)
    a.now = down + 0.8 * pace


def punch(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    guard = dict(fl=1.25, ab=-0.1, ext=0.42, px=0.5, py=-1.0, pz=-0.1)
    for arm in (0, 1):
        a.arm(arm, t, t + 0.4 * pace, **guard)
    a.move(t, t + 0.4, y=-0.04, bend=a.posture + 0.08)
    t += 0.4 * pace + 0.05
    count = part.count or int(a.rng.integers(1, 4))
    if until is not None and not part.count:
        count = max(2, int((until - t - 0.5) / (0.62 * pace)))
    for k in range(count):
        side = (_sides(part)[0] + (k if part.side == "both" else 0)) % 2
        a.arm(side, t, t + 0.22 * pace, fl=1.58, ab=-0.12, ext=0.985, px=0.8, py=-0.6, pz=0.0)
        a.move(t, t + 0.22 * pace, twist=-SIGN[side] * 0.42, fore=0.05)
        a.arm(side, t + 0.26 * pace, t + 0.52 * pace, **guard)
        a.move(t + 0.26 * pace, t + 0.52 * pace, twist=0, fore=0)
        t += 0.62 * pace
    a.move(t, t + 0.4, y=0, bend=a.posture)
    for arm in (0, 1):
        a.rest_arm(arm, t + 0.05, t + 0.5)
    a.now = t + 0.5


def clap(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    half = 0.2 * pace**0.75
    up, forward = a.between(-0.22, -0.05), a.between(0.28, 0.36)
    count = part.count or max(3, round(_seconds(a, part, 1.4, 2.6) / (2 * half)))
    if until is not None and not part.count:
        count = max(2, int((until - t - 1.0) / (2 * half)))
    poses = [[aim(s, out - SHOULDER[s], up, forward) for s in (0, 1)] for out in (0.035, a.between(0.15, 0.21))]
    for side in (0, 1):
        s = t + 0.5
        a.arm(side, t, s, **poses[1][side], px=0.9, py=-0.8, pz=-0.2)
        for _ in range(count):
            a.move(s, s + half, **{f"{c}{side}": v for c, v in poses[0][side].items()})
            a.move(s + half, s + 2 * half, **{f"{c}{side}": v for c, v in poses[1][side].items()})
            s += 2 * half
        a.rest_arm(side, s, s + 0.5)
    a.now = t + 0.5 + 2 * half * count + 0.5


def stretch(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    up = t + 0.8 * pace
    hold = a.between(0.6, 1.6) * (0.6 if a.short else 1.0)
    down = max(up + hold, until - 0.75 * pace) if until is not None else up + hold
    for side in (0, 1):
        a.arm(side, t, up, fl=0.3, ab=a.between(1.45, 1.6), ext=0.985, px=0.0, py=-0.3, pz=-1.0)
        a.rest_arm(side, down, down + 0.8 * pace)
    a.now = down + 0.85 * pace


def hips(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t = a.pace(part), a.now
    up = t + 0.7 * pace
    hold = a.between(0.8, 1.8) * (0.6 if a.short else 1.0)
    down = max(up + hold, until - 0.65 * pace) if until is not None else up + hold
    for side in (0, 1):
        a.arm(side, t, up, **aim(side, -0.0, -0.36, 0.08), px=1.0, py=0.0, pz=-0.35)
        a.rest_arm(side, down, down + 0.7 * pace)
    a.now = down + 0.7 * pace


def drink(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t, side = a.pace(part), a.now, _sides(part)[0]
    mouth = aim(side, 0.03 - SHOULDER[side], 0.10, 0.20)
    a.arm(side, t, t + 0.7 * pace, **mouth, px=0.6, py=-1.0, pz=0.1)
    stop = t + (0.7 + a.between(0.5, 1.0)) * pace
    if until is not None:
        stop = max(stop, until - 0.7 * pace)
    a.move(t + 0.5 * pace, t + 0.9 * pace, nod=-0.35)
    a.move(stop - 0.2, stop + 0.3 * pace, nod=-0.5 * a.posture)
    a.rest_arm(side, stop, stop + 0.7 * pace)
    a.now = stop + 0.75 * pace


def look(a: Actor, part: Part, until: float | None = None) -> None:
    pace, t, sign = a.pace(part), a.now, 1 if part.direction == "left" else -1
    stop = t + (0.7 + a.between(0.5, 1.1)) * pace
    if until is not None:
        stop = max(stop, until - 0.7 * pace)
    a.move(t, t + 0.7 * pace, look=sign * a.between(0.8, 1.1), twist=sign * a.between(0.45, 0.65))
    a.move(stop, stop + 0.7 * pace, look=0, twist=0)
    a.now = stop + 0.75 * pace


def throw(a: Actor, part: Part) -> None:
    pace, t, side = max(0.75, a.pace(part)), a.now, _sides(part)[0]
    other, sign = 1 - side, SIGN[side]
    cock = t + 0.65 * pace
    x, z = a.ahead(0.32, SIGN[other] * a.width)
    a.arm(side, t, cock, fl=3.5, ab=0.55, ext=0.55, px=1.0, py=0.1, pz=-0.3)
    a.arm(other, t, cock, fl=1.2, ab=0.2, ext=0.85)
    a.move(t, cock, twist=sign * 0.55, bend=a.posture - 0.1, fore=-0.05)
    a.foot(other, cock - 0.3 * pace, cock, x, z, a.yaw + SIGN[other] * a.toe_out, 0.09)
    release = cock + 0.34 * pace
    a.arm(side, cock, release, fl=1.75, ab=-0.1, ext=0.98, px=1.0, py=0.0, pz=0.0)
    a.move(cock, release, twist=-sign * 0.5, bend=0.3, fore=0.18)
    a.rest_arm(other, cock, release + 0.2)
    follow = release + 0.25 * pace
    a.arm(side, release, follow, fl=0.6, ab=-0.35, ext=0.95, px=0.5, py=0.0, pz=-1.0)
    done = follow + 0.6 * pace
    a.move(follow, done, twist=0, bend=a.posture, fore=0)
    a.rest_arm(side, follow, done)
    a.under(follow + 0.1, done, other)
    a.now = done


def kick(a: Actor, part: Part) -> None:
    pace, t, side = a.pace(part), a.now, _sides(part)[0]
    sign = SIGN[side]
    x0, z0, _ = a.place(side)
    a.move(t, t + 0.35 * pace, sway=-sign * a.width, y=-0.03)
    for arm in (0, 1):
        a.arm(arm, t, t + 0.4 * pace, ab=0.5, ext=0.9)
    t += 0.25 * pace
    for _ in range(part.count or 1):
        begin = t
        x, z = a.ahead(-0.2, sign * 0.09)
        a.move(t, t + 0.3 * pace, **{f"fx{side}": x, f"fz{side}": z, f"fy{side}": 0.2, f"fpitch{side}": 0.5})
        t += 0.3 * pace
        x, z = a.ahead(a.between(0.62, 0.8), sign * 0.03)
        a.move(t, t + 0.28 * pace, **{f"fx{side}": x, f"fz{side}": z, f"fpitch{side}": 0.2}, pitch=-0.16, bend=0.15)
        a.move(t, t + 0.28 * pace, **{f"fy{side}": a.between(0.42, 0.62) * a.size})
        a.arm(1 - side, t, t + 0.28 * pace, fl=0.8)
        a.arm(side, t, t + 0.28 * pace, fl=-0.5)
        t += 0.33 * pace
        a.move(t, t + 0.5 * pace, **{f"fx{side}": x0, f"fz{side}": z0, f"fy{side}": 0, f"fpitch{side}": 0})
        a.move(t, t + 0.5 * pace, pitch=0, bend=a.posture)
        a.arm(1 - side, t, t + 0.5 * pace, fl=0.1)
        a.arm(side, t, t + 0.5 * pace, fl=0.1)
        t += 0.5 * pace
        a.air(side, begin, t)
        t += 0.12 * pace
    a.move(t, t + 0.4, sway=0, y=0)
    for arm in (0, 1):
        a.rest_arm(arm, t - 0.1, t + 0.4)
    a.now = t + 0.4


def balance(a: Actor, part: Part) -> None:
    """Stand on the named leg, the other knee up."""
    t, side = a.now, _sides(part)[0]
    free, hold = 1 - side, a.between(1.4, 2.6) * (0.7 if a.short else 1.0)
    a.move(t, t + 0.6, sway=SIGN[side] * (a.width + 0.005))
    x, z = a.ahead(0.16, SIGN[free] * a.width)
    x0, z0, _ = a.place(free)
    lift = a.between(0.28, 0.42)
    a.move(t + 0.4, t + 1.1, **{f"fx{free}": x, f"fz{free}": z, f"fy{free}": lift, f"fpitch{free}": 0.4})
    for arm in (0, 1):
        a.arm(arm, t + 0.2, t + 1.1, ab=a.between(0.7, 1.3), ext=0.94)
    down = t + 1.1 + hold
    a.move(down, down + 0.6, **{f"fx{free}": x0, f"fz{free}": z0, f"fy{free}": 0, f"fpitch{free}": 0})
    a.air(free, t + 0.4, down + 0.6)
    a.move(down + 0.3, down + 0.9, sway=0)
    for arm in (0, 1):
        a.rest_arm(arm, down, down + 0.9)
    a.now = down + 0.9


_SEAT = dict(y=0.50 - STAND, fore=-0.42, pitch=-0.08, bend=0.12)


def _lap(a: Actor) -> None:
    for side in (0, 1):
        a.rest[side] = {**aim(side, -0.03, -0.30, 0.26), "px": 0.8, "py": -0.4, "pz": -0.6}


def sit(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    down = t + 1.4 * pace
    a.move(t, t + 0.75 * pace, pitch=0.4, bend=0.45, fore=-0.2)
    a.move(t + 0.75 * pace, down + 0.25 * pace, pitch=_SEAT["pitch"], bend=_SEAT["bend"])
    a.move(t + 0.75 * pace, down, fore=_SEAT["fore"])
    a.move(t + 0.1 * pace, down, y=_SEAT["y"])
    _lap(a)
    for side in (0, 1):
        a.rest_arm(side, t + 0.3 * pace, down + 0.2 * pace)
    a.now = down + 0.25 * pace + a.between(0.3, 1.0)


def seated(a: Actor) -> None:
    """Begin on a chair."""
    a.score.set(**_SEAT)
    _lap(a)
    for side in (0, 1):
        a.score.set(**{f"{c}{side}": v for c, v in a.rest[side].items()})
    a.now += a.between(0.3, 0.8)


def stand_up(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    a.move(t, t + 0.6 * pace, pitch=0.55, bend=0.5, fore=_SEAT["fore"] + 0.12)
    a.move(t + 0.4 * pace, t + 1.5 * pace, y=0)
    a.move(t + 0.6 * pace, t + 1.4 * pace, fore=0)
    a.move(t + 0.7 * pace, t + 1.6 * pace, pitch=0, bend=a.posture)
    for side in (0, 1):
        a.rest[side] = dict(a.hang[side])
        a.rest_arm(side, t + 0.5 * pace, t + 1.5 * pace)
    a.now = t + 1.6 * pace


def kneel(a: Actor, part: Part) -> None:
    """Down on the named knee, or on both."""
    pace, t = a.pace(part), a.now
    side = _sides(part)[0]
    back = a.between(0.36, 0.42)
    land = t + 0.6 * pace
    if part.side == "both":
        x, z = a.ahead(-back, SIGN[side] * a.width)
        a.foot(side, t, land, x, z, a.yaw, 0.06)
        a.move(t, land, y=-0.12, bend=0.25)
        down = land + 0.8 * pace
        a.move(land - 0.1, down, y=0.53 - STAND, bend=0.15, fore=0.02)
        a.move(land - 0.1, down, **{f"fpitch{side}": 1.35})
        x, z = a.ahead(-back, SIGN[1 - side] * a.width)
        a.move(down - 0.3 * pace, down + 0.5 * pace, **{f"fx{1 - side}": x, f"fz{1 - side}": z})
        a.move(down - 0.3 * pace, down + 0.4 * pace, **{f"fpitch{1 - side}": 1.35})
        a.air(1 - side, down - 0.3 * pace, down + 0.5 * pace)
        down += 0.5 * pace
    else:
        front = 1 - side
        x, z = a.ahead(0.42, SIGN[front] * a.width)
        a.foot(front, t, land, x, z, a.yaw + SIGN[front] * 0.05, 0.09)
        down = land + 0.8 * pace
        a.move(t + 0.1, down, y=0.53 - STAND, bend=0.12, fore=0.04)
        x, z = a.ahead(-back, SIGN[side] * a.width)
        a.move(land - 0.2 * pace, down, **{f"fx{side}": x, f"fz{side}": z, f"fpitch{side}": 1.25})
        a.air(side, land - 0.2 * pace, down)
    for arm in (0, 1):
        a.rest[arm] = {**a.hang[arm], "fl": 0.3}
        a.rest_arm(arm, t, down)
    a.now = down + a.between(0.4, 1.0)


def lie(a: Actor, part: Part) -> None:
    """Squat, sit on the floor, lean back, stretch the legs: on the back, head behind."""
    pace, t = 0.85 * a.pace(part), a.now
    low = t + 1.1 * pace
    a.move(t, low, y=-0.55, fore=-0.3, pitch=0.2, bend=0.5, kup0=1, kup1=1)
    for arm in (0, 1):
        a.arm(arm, t + 0.3 * pace, low + 0.3 * pace, fl=-0.45, ab=0.35, ext=0.85)
    sat = low + 0.6 * pace
    a.move(low - 0.2 * pace, sat, y=0.14 - STAND, fore=-0.52, pitch=-0.35, bend=0.4)
    down = sat + 1.2 * pace
    a.move(sat, down, pitch=-1.5, bend=0.0, y=0.11 - STAND, fore=-0.6, nod=0.25)
    for side in (0, 1):
        x, z = a.ahead(0.27, SIGN[side] * (a.width + 0.03))
        a.move(sat + 0.5 * pace, down + 0.2 * pace, **{f"fx{side}": x, f"fz{side}": z, f"fpitch{side}": -0.9})
        a.move(sat + 0.5 * pace, down + 0.2 * pace, **{f"fy{side}": 0.10 - ANKLE[side]})
        a.air(side, sat + 0.5 * pace, 1e3)
        a.rest[side] = {**a.hang[side], "fl": 0.1, "ab": 0.3, "px": 1.0, "pz": 0.0}
        a.rest_arm(side, sat + 0.5 * pace, down)
    a.now = down + 0.3 * pace + a.between(0.2, 0.6)


def jumping_jacks(a: Actor, part: Part) -> None:
    pace, t = a.pace(part), a.now
    wide, narrow, height = a.between(0.24, 0.32), a.width, 0.065
    for k in range(2 * (part.count or 3)):
        opens = k % 2 == 0
        a.width = wide if opens else narrow
        arms = dict(ab=2.75, ext=0.96, px=0.4, py=0.0, pz=-1.0) if opens else dict(a.hang[0], px=0.4)
        dip = 0.16 * pace
        land = _leap(
            a,
            t,
            0.07,
            height,
            (0, 1),
            (a.x, a.z),
            dip / 0.3,
            arms=False,
            pitch=0.4,
            push=0.17 * min(max(pace, 0.65), 1.4),
        )
        for arm in (0, 1):
            a.arm(arm, t + 0.03, land + 0.05, **{**arms, "fl": 0.05})
        a.move(land, land + 0.1 * pace, y=-0.05)
        t = land + 0.1 * pace
    a.width = narrow
    a.move(t, t + 0.3, y=0, fore=0, bend=a.posture)
    for arm in (0, 1):
        a.rest_arm(arm, t, t + 0.35)
    a.now = t + 0.35


def stand(a: Actor, part: Part) -> None:
    t, d = a.now, _seconds(a, part, 2.2, 4.5)
    a.move(t + 0.3 * d, t + 0.6 * d, sway=a.between(-0.02, 0.02), look=a.between(-0.12, 0.12))
    a.now = t + d


ACTIONS: dict[str, Callable[..., None]] = {
    "walk": walk, "run": run, "crouch_walk": crouch_walk, "march": march, "step": step, "sidestep": sidestep,
    "turn": turn, "turn_around": turn_around, "spin": spin, "jump": jump, "hop": hop, "squat": squat,
    "lunge": lunge, "bow": bow, "touch_toes": touch_toes, "pick": pick, "wave": wave, "raise": raise_arm,
    "punch": punch, "clap": clap, "stretch": stretch, "hips": hips, "drink": drink, "look": look, "throw": throw,
    "kick": kick, "balance": balance, "sit": sit, "stand_up": stand_up, "kneel": kneel, "lie": lie,
    "jumping_jacks": jumping_jacks, "stand": stand,
}  # fmt: skip


def choreograph(spec: Spec, seed: int) -> tuple[Score, int]:
    """The score of a specification and its length in frames."""
    rng = np.random.default_rng([seed, 7])
    a = Actor(rng, short=len(spec.parts) == 2 and spec.relation == "then")
    if spec.parts[0].action == "stand_up":
        seated(a)
    if spec.relation == "while":
        carried, upper = spec.parts
        start = a.now
        ACTIONS[carried.action](a, carried)
        stop, a.now = a.now, start + a.between(0.1, 0.4)
        ACTIONS[upper.action](a, upper, until=stop)
        a.now = max(stop, a.now)
    else:
        for k, part in enumerate(spec.parts):
            if k:
                a.now += a.between(0.05, 0.3)
            ACTIONS[part.action](a, part)
    s = a.score
    s.end = max(a.now, 2.15) + a.between(0.1, 0.35)
    if spec.seconds:
        s.warp(s.end * float(np.clip(spec.seconds / s.end, 0.75, 1.35)))
    frames = round(spec.seconds * FPS) if spec.seconds else min(round(s.end * FPS), MOST)
    _sway(s, rng)
    return s, frames


def _sway(score: Score, rng: np.random.Generator) -> None:
    """Nobody stands like a statue: a slow drift of a few millimetres and degrees."""
    score.idle = [
        (channel, size * rng.uniform(0.5, 1.3), rng.uniform(0.15, 0.5), rng.uniform(0, 2 * np.pi))
        for channel, size in (
            ("sway", 0.006), ("fore", 0.006), ("bend", 0.015), ("lean", 0.015), ("twist", 0.02), ("look", 0.05),
            ("nod", 0.03), ("fl0", 0.03), ("fl1", 0.03), ("ab0", 0.02), ("ab1", 0.02),
        )
    ]  # fmt: skip
