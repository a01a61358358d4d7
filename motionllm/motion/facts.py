"""What a clip of motion shows, measured: rules over joint positions, no learning, no corpus.

`facts` works on any clip of the canonical 22 joints (mocap, procedural, decoded from codes): it
reports duration, distance, speed, turning, posture and a list of events (jumps, steps, waves, claps,
kicks …) with their times. Every rule stands in the docstring of the function that applies it. All
lengths in rules are those of a body with legs of 0.826 m (HumanML3D's target skeleton); another body
is scaled to it first. A rule asks for a margin over what a few centimetres of noise can do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError

LEG = 0.826  # metres, thigh + shin of the body the rules are written for
STAND = 0.96  # metres, height of its pelvis over its toes when it stands
_SIDES = ("left", "right")
_ANKLE, _TOE, _KNEE, _HIP = (7, 8), (10, 11), (4, 5), (1, 2)
_WRIST, _ELBOW, _SHOULDER = (20, 21), (18, 19), (16, 17)
_NECK, _HEAD = 12, 15


@dataclass
class Event:
    """Something that happens between two seconds.

    name: what (see `facts`); side: "left", "right", "both" or ""; direction: of travel, turn or jump;
    count: repetitions within it; size: its measure in the unit of its rule (metres, degrees).
    """

    name: str
    start: float
    end: float
    side: str = ""
    direction: str = ""
    count: int = 1
    size: float = 0.0
    speed: float = 0.0


@dataclass
class Facts:
    """The measurements of a clip; seconds, metres of the clip's own body, degrees (+ = to the left)."""

    duration: float
    distance: float
    displacement: float
    mean_speed: float
    top_speed: float
    direction: str
    turn: float
    turn_side: str
    jumps: int
    jump_height: float
    steps: int
    start_posture: str
    end_posture: str
    busiest: str
    events: list[Event] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers."""
        return asdict(self)

    def of(self, *names: str) -> list[Event]:
        """The events of these names, in time."""
        return [e for e in self.events if e.name in names]


def _smooth(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over frames along axis 0, edges held; sigma in frames."""
    if sigma < 0.3:
        return x
    r = max(1, round(3 * sigma))
    k = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    k /= k.sum()
    pad = np.concatenate([np.repeat(x[:1], r, 0), x, np.repeat(x[-1:], r, 0)])
    return sum(w * pad[i : i + len(x)] for i, w in enumerate(k))


def _box(x: np.ndarray, width: int) -> np.ndarray:
    """Running mean over an odd number of frames along axis 0, edges held."""
    r = max(0, width // 2)
    pad = np.concatenate([np.repeat(x[:1], r, 0), x, np.repeat(x[-1:], r, 0)])
    total = np.cumsum(np.concatenate([np.zeros_like(pad[:1]), pad]), 0)
    return (total[2 * r + 1 :] - total[: -(2 * r + 1)]) / (2 * r + 1)


def _runs(mask: np.ndarray, shortest: int = 1, gap: int = 0) -> list[tuple[int, int]]:
    """Stretches [a, b) where a (T,) mask holds; shorter breaks than `gap` frames are bridged first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    found: list[list[int]] = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if found and a - found[-1][1] < gap:
            found[-1][1] = b
        else:
            found.append([a, b])
    return [(a, b) for a, b in found if b - a >= shortest]


def _dips(x: np.ndarray, depth: float) -> list[int]:
    """Frames of the minima of (T,) x from which it rises by `depth` on both sides."""
    found, low, high, at, falling = [], np.inf, -np.inf, 0, False
    for i, v in enumerate(x.tolist()):
        if v > high and not falling:
            high = v
        if not falling and v < high - depth:
            falling, low, at = True, v, i
        elif falling:
            if v < low:
                low, at = v, i
            elif v > low + depth:
                found.append(at)
                falling, high = False, v
    return found


class _Signals:
    """Everything the rules look at, computed once: (T,) or (T, 2) arrays, the body scaled to LEG."""

    def __init__(self, joints: np.ndarray, fps: float) -> None:
        self.fps = fps
        legs = [
            np.linalg.norm(joints[:, _HIP[s]] - joints[:, _KNEE[s]], axis=1)
            + np.linalg.norm(joints[:, _KNEE[s]] - joints[:, _ANKLE[s]], axis=1)
            for s in (0, 1)
        ]
        self.scale = float(np.median(legs)) / LEG
        p = _smooth(joints.astype(np.float64) / self.scale, 0.04 * fps)
        self.floor = float(np.percentile(p[:, _TOE, 1].min(1), 5))
        p[..., 1] -= self.floor
        self.p = p
        across = p[:, 1] - p[:, 2] + p[:, 16] - p[:, 17]
        trunk = p[:, _NECK] - p[:, 0]
        flat = np.linalg.norm(across[:, [0, 2]], axis=1)
        # Forward is across × up; (left +X, up +Y) give forward +Z.
        yaw = np.arctan2(-across[:, 2], across[:, 0])
        for i in range(1, len(yaw)):  # lying on a side has no heading: the last one holds
            if flat[i] < 0.15:
                yaw[i] = yaw[i - 1]
        self.yaw = _smooth(np.unwrap(yaw), 0.06 * fps)
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
        # Hips are narrow, so noise turns them: their heading is a mean of 0.4 s.
        self.hip_yaw = _box(np.unwrap(np.arctan2(-hips[:, 2], hips[:, 0])), _odd(0.4 * fps))
        shoulders = p[:, 16] - p[:, 17]
        self.twist = np.degrees(
            _smooth(np.unwrap(np.arctan2(-shoulders[:, 2], shoulders[:, 0])) - self.hip_yaw, 0.06 * fps)
        )
        self.twist -= 360 * np.round(np.median(self.twist) / 360)
        gaze = _smooth(p[:, _HEAD] - p[:, _NECK], 0.08 * fps)
        look = np.unwrap(np.arctan2(gaze[:, 0], gaze[:, 2])) - self.hip_yaw
        self.look = np.degrees(np.arctan2(np.sin(look), np.cos(look)))
        self.pelvis = p[:, 0, 1] / STAND
        self.tilt = np.degrees(np.arctan2(np.linalg.norm(trunk[:, [0, 2]], axis=1), trunk[:, 1]))
        forward = trunk[:, 0] * s + trunk[:, 2] * c
        self.bend = self.tilt * np.sign(forward)
        toe, ankle = p[:, _TOE, 1], p[:, _ANKLE, 1]
        self.foot = np.minimum(toe - np.percentile(toe, 10, axis=0).clip(0, 0.04), np.maximum(ankle - 0.06, 0))
        self.lift = np.maximum(ankle - 0.06, 0)
        feet = 0.5 * (p[:, _ANKLE] + p[:, _TOE])[:, :, [0, 2]]
        self.feet = feet
        self.foot_speed = np.linalg.norm(np.gradient(feet, axis=0), axis=2) * fps
        middle = _box(feet.mean(1), _odd(0.6 * fps))
        self.speed = np.linalg.norm(np.gradient(middle, axis=0), axis=1) * fps
        self.middle = middle
        root = _box(_box(p[:, 0][:, [0, 2]], _odd(0.4 * fps)), _odd(0.25 * fps))
        drift = np.gradient(root, axis=0) * fps
        self.root_speed = np.linalg.norm(drift, axis=1)
        self.root_velocity = np.stack([drift[:, 0] * c - drift[:, 1] * s, drift[:, 0] * s + drift[:, 1] * c], 1)
        self.rise = np.gradient(p[:, 0, 1]) * fps
        # Hands, relative to the shoulder: outward, up, forward.
        hand = self.local[:, _WRIST] - self.local[:, _SHOULDER]
        hand[:, 1, 0] *= -1
        elbow = self.local[:, _ELBOW] - self.local[:, _SHOULDER]
        elbow[:, 1, 0] *= -1
        self.hand, self.elbow = hand, elbow
        self.hand_speed = np.linalg.norm(np.gradient(rel[:, _WRIST], axis=0), axis=2) * fps
        self.reach = np.linalg.norm(hand, axis=2)
        self.hands_apart = np.linalg.norm(p[:, 20] - p[:, 21], axis=1)

    def frames(self, seconds: float) -> int:
        return max(1, round(seconds * self.fps))

    def event(self, name: str, a: int, b: int, **values: Any) -> Event:
        return Event(name, round(float(a / self.fps), 3), round(float(b / self.fps), 3), **values)


def _odd(frames: float) -> int:
    return 2 * max(0, round((frames - 1) / 2)) + 1


def _way(left: float, forward: float) -> str:
    """The nearest of the four directions of a vector in the heading frame."""
    if abs(left) > abs(forward):
        return "left" if left > 0 else "right"
    return "forward" if forward >= 0 else "backward"


def _overlap(a: int, b: int, spans: list[tuple[int, int]]) -> float:
    """Share of [a, b) covered by spans."""
    return sum(max(0, min(b, d) - max(a, c)) for c, d in spans) / max(1, b - a)


def _flights(s: _Signals) -> list[Event]:
    """Jumps and hops: flights in which the pelvis has risen at over 0.4 m/s.

    jump: both feet over 4.5 cm for 0.1 s (at most 5 cm or more), leaving within 0.16 s and landing within 0.2 s of
    each other; size: rise of the lower foot, m; direction: of flights over 0.2 m; speed: metres flown.
    hop: one foot does so within 0.7 s, while the other has been in the air for 0.2 s and stays there 0.05 s longer.
    """
    up = s.foot > 0.045
    runs = [_runs(up[:, k], s.frames(0.08), 2) for k in (0, 1)]
    both = _runs(up.all(1), s.frames(0.1))
    found = []
    for a, b in both:
        own = [next((r for r in runs[k] if r[0] <= a and r[1] >= b), (a, b)) for k in (0, 1)]
        vault = s.rise[max(0, a - s.frames(0.15)) : a + s.frames(0.15)].max(initial=0)
        height = float(s.foot[a:b].min(1).max())
        if vault < 0.4 or height < 0.05:
            continue
        starts, ends = abs(own[0][0] - own[1][0]), abs(own[0][1] - own[1][1])
        if starts <= s.frames(0.16) and ends <= s.frames(0.2):
            c, d = max(0, a - s.frames(0.1)), min(len(s.p) - 1, b + s.frames(0.1))
            way = s.feet[d].mean(0) - s.feet[c].mean(0)
            yaw = s.yaw[c]
            left, forward = way[0] * np.cos(yaw) - way[1] * np.sin(yaw), way[0] * np.sin(yaw) + way[1] * np.cos(yaw)
            far = np.hypot(left, forward)
            found.append(
                s.event("jump", a, b, direction=_way(left, forward) if far > 0.2 else "", size=height, speed=far)
            )
            continue
        for k in (0, 1):
            (a0, b0), (a1, b1) = own[k], own[1 - k]
            if a0 - a1 >= s.frames(0.2) and b1 - b0 >= s.frames(0.05) and b0 - a0 <= s.frames(0.7):
                found.append(s.event("hop", a, b, side=_SIDES[k], size=height))
    return found


def _steps(s: _Signals, flights: list[Event]) -> list[Event]:
    """Steps and lifts: a foot moves faster than 0.45 m/s or its ankle is 17 cm up, 0.1 s long, in no jump.

    step: it comes to rest over 0.12 m from where it was; size: that length, m; direction: in the body's frame.
    lift: it comes back, having risen over 0.1 m; size: that height, m.
    """
    found = []
    for k in (0, 1):
        moving = (s.foot_speed[:, k] > 0.45) | (s.lift[:, k] > 0.17)
        for a, b in _runs(moving, s.frames(0.1), s.frames(0.12)):
            if any(e.start - 0.05 <= b / s.fps and e.end + 0.05 >= a / s.fps for e in flights):
                continue
            c, d = max(0, a - 1), min(len(s.p) - 1, b)
            way, yaw = s.feet[d, k] - s.feet[c, k], s.yaw[(c + d) // 2]
            left, forward = way[0] * np.cos(yaw) - way[1] * np.sin(yaw), way[0] * np.sin(yaw) + way[1] * np.cos(yaw)
            length, high = float(np.hypot(left, forward)), float(s.lift[a:b, k].max())
            if length > 0.12 and high > 0.015:
                found.append(s.event("step", a, b, side=_SIDES[k], direction=_way(left, forward), size=length))
            elif high > 0.1:
                found.append(s.event("lift", a, b, side=_SIDES[k], size=high))
    return sorted(found, key=lambda e: e.start)


def _stretches(s: _Signals, a: int, b: int) -> list[tuple[int, int]]:
    """Cut travel where it all but stops (a dip by half the median speed) and where it turns sideways or back."""
    cuts = {a + i for i in _dips(s.root_speed[a:b], 0.55 * float(np.median(s.root_speed[a:b])))}
    left, forward = _box(s.root_velocity, _odd(0.5 * s.fps))[a:b].T
    kind = np.where(np.abs(left) > 1.2 * np.abs(forward), np.sign(left) * 2, np.sign(forward))
    held = kind[0]
    for i in range(1, len(kind)):
        if kind[i] != held and i + s.frames(0.4) <= len(kind) and (kind[i : i + s.frames(0.4)] == kind[i]).all():
            cuts.add(a + i)
            held = kind[i]
    edges = sorted({a, b, *cuts})
    return [(c, d) for c, d in pairwise(edges) if d - c >= s.frames(0.3)]


def _travel(s: _Signals, flights: list[Event]) -> tuple[list[Event], list[tuple[int, int]]]:
    """Walks, runs and crouched walks, and the frames of each.

    The pelvis (mean of 0.5 s) goes faster than 0.2 m/s, the middle of the feet over 0.45 m in all and either foot over
    0.25 m; cut where the body all but stops or changes direction. run: faster than 2.6 m/s; or the ankles rise
    16 cm at over 1.9 m/s, or at over 1.1 m/s with both feet 2.5 cm up in 5 % of the frames. crouch walk: the pelvis
    under 0.885 of standing in most frames. direction: of the mean velocity in the body's frame; size: degrees turned
    on the way, + to the left; speed: m/s, mean of the middle half.
    """
    jumping = np.zeros(len(s.p), bool)
    for e in flights:
        jumping[max(0, int((e.start - 0.25) * s.fps)) : int((e.end + 0.25) * s.fps)] = True
    found, spans = [], []
    moving = (s.root_speed > 0.2) & ~jumping
    stretches = [piece for a, b in _runs(moving, s.frames(0.3), s.frames(0.25)) for piece in _stretches(s, a, b)]
    for a, b in stretches:
        way = s.root_velocity[a:b].mean(0)
        path = float(s.speed[a:b].sum() / s.fps)
        net = float(np.linalg.norm(s.middle[b - 1] - s.middle[a]))
        own = (s.foot_speed[a:b].sum(0) / s.fps).min()
        if path < 0.45 or own < 0.25:
            continue
        turn = float(np.degrees(s.yaw[b - 1] - s.yaw[a]))
        if net < 0.25 and abs(turn) < 150:
            continue
        core = slice(a + (b - a) // 4, b - (b - a) // 4)
        speed = float(s.root_speed[core].mean())
        aloft = s.foot[core].min(1)
        name = "walk"
        high = float(np.percentile(s.lift[core].max(1), 75))
        if speed > 2.6 or (high > 0.16 and (speed > 1.9 or (speed > 1.1 and (aloft > 0.025).mean() > 0.05))):
            name = "run"
        elif np.median(s.pelvis[core]) < 0.885:
            name = "crouch walk"
        found.append(s.event(name, a, b, direction=_way(*way), size=turn, speed=speed))
        spans.append((a, b))
    return found, spans


def _turns(s: _Signals, travel: list[tuple[int, int]]) -> list[Event]:
    """Turns in place: the heading (mean of 0.3 s) turns one way at over 22 degrees/s and over 40 degrees in all.

    The hips must turn over 30 degrees with it, and the body must not travel: where the feet's middle gets 0.45 m away
    or goes 1.2 m, the turn is one of the way. size: degrees, + to the left; speed: degrees a second.
    """
    rate = np.degrees(np.gradient(_box(s.yaw, _odd(0.3 * s.fps)))) * s.fps
    going = np.zeros(len(rate), bool)
    for a, b in travel:
        if np.linalg.norm(s.middle[b - 1] - s.middle[a]) > 0.45 or s.speed[a:b].sum() / s.fps > 1.2:
            going[a:b] = True
    found = []
    for sign in (1, -1):
        for a, b in _runs((sign * rate > 22) & ~going, s.frames(0.25), s.frames(0.45)):
            c, d = max(0, a - s.frames(0.15)), min(len(rate) - 1, b + s.frames(0.15))
            angle = float(np.degrees(s.yaw[d] - s.yaw[c]))
            # A twist of the trunk alone (a throw) is no turn: the hips must come along.
            if sign * angle > 40 and sign * np.degrees(s.hip_yaw[d] - s.hip_yaw[c]) > 30:
                found.append(s.event("turn", a, b, direction="left" if sign > 0 else "right", size=angle))
    return found


def _postures(s: _Signals, travel: list[Event], flights: list[Event]) -> list[Event]:
    """What every stretch of 0.2 s with the pelvis under 0.9 of standing is, and the bows.

    lie: trunk over 60 degrees from upright and pelvis under 0.35, for 0.25 s. kneel: a knee under 0.17 m, pelvis
    over 0.35, at rest for 0.35 s (side: that knee, "both"). sit: pelvis under 0.68 and 0.27 m behind the ankles, knees
    over 0.25 m, trunk within 40 degrees, at rest for 0.3 s; or pelvis under 0.35 and the trunk upright. lunge: ankles
    over 0.5 m apart fore and aft (side: the front foot). reach down: a wrist under 0.5 m (side: the lower one, "both"
    within 0.12 m). squat: pelvis under 0.8 otherwise (0.65 about a jump). bow: trunk over 28 degrees forward, pelvis
    over 0.8; size: degrees. Of all others size is the pelvis' lowest share of standing; count: the minima.
    stand up: the end of a sit, kneel or lie that ends; a sit that lasts from the first frame on is "seated".
    """
    found: list[Event] = []
    leaps = [(int((e.start - 0.5) * s.fps), int((e.end + 0.6) * s.fps)) for e in flights]
    crouched = [(int(e.start * s.fps), int(e.end * s.fps)) for e in travel if e.name == "crouch walk"]
    running = [(int(e.start * s.fps), int(e.end * s.fps)) for e in travel if e.name == "run"]
    p, n = s.p, len(s.p)
    hand_low = p[:, _WRIST, 1].min(1)
    bent = (s.bend > 25) & (s.pelvis > 0.8)
    for a, b in crouched:
        bent[a:b] = False
    low_runs = _runs(s.pelvis < 0.9, s.frames(0.2), s.frames(0.15))
    for a, b in low_runs:
        if _overlap(a, b, crouched) > 0.4 or _overlap(a, b, running) > 0.7:
            continue
        low = s.pelvis[a:b]
        at = a + int(low.argmin())
        least = float(low.min())
        deep = slice(a, b)
        still = np.abs(_box(s.rise, 3)) < 0.15
        knees = p[:, _KNEE, 1]
        apart = s.local[:, _ANKLE[0], 2] - s.local[:, _ANKLE[1], 2]
        lying = _runs((s.tilt > 60)[deep] & (s.pelvis < 0.35)[deep], s.frames(0.25))
        kneeling = [
            _runs(((knees[:, k] < 0.17) & (s.pelvis > 0.35) & (s.tilt < 55) & still)[deep], s.frames(0.35))
            for k in (0, 1)
        ]
        behind = 0.5 * (s.local[:, 7, 2] + s.local[:, 8, 2])
        sitting = _runs(
            ((s.pelvis < 0.68) & (knees.min(1) > 0.25) & (s.tilt < 40) & still & (behind > 0.27))[deep], s.frames(0.3)
        )
        begun, done = s.pelvis[a] < 0.9 and a == 0, b < n - 1
        event: Event | None = None
        if lying:
            event = s.event("lie", a, b, size=least)
        elif kneeling[0] or kneeling[1]:
            sides = [k for k in (0, 1) if kneeling[k]]
            event = s.event("kneel", a, b, side="both" if len(sides) == 2 else _SIDES[sides[0]], size=least)
        elif sitting or (least < 0.35 and s.tilt[at] < 50):
            event = s.event("sit", a, b, size=least)
        elif np.abs(apart[deep][low < least + 0.08]).max(initial=0) > 0.5 and least < 0.88:
            front = int(np.sign(np.median(apart[deep][low < least + 0.06])) < 0)
            count = len(_dips(np.concatenate([[1.0], low, [1.0]]), 0.1))
            event = s.event("lunge", a, b, side=_SIDES[front], count=max(1, count), size=least)
        elif least < 0.86 and hand_low[deep].min() < 0.5 and s.tilt[a:b].max() > 30:
            j = a + int(hand_low[deep].argmin())
            left, right = p[j, 20, 1], p[j, 21, 1]
            side = "both" if abs(left - right) < 0.12 else _SIDES[int(right < left)]
            event = s.event(
                "reach down",
                a,
                b,
                side=side,
                size=least,
                count=max(1, len(_dips(np.concatenate([[1.0], hand_low[deep], [1.0]]), 0.3))),
            )
        elif least < (0.65 if _overlap(a, b, leaps) > 0.5 else 0.8):
            event = s.event(
                "squat", a, b, size=least, count=max(1, len(_dips(np.concatenate([[1.0], low, [1.0]]), 0.1)))
            )
        if event:
            found.append(event)
            if event.name in ("sit", "kneel", "lie"):
                # The event lasts until the body is down for good; getting up is its own.
                down = np.flatnonzero(low < least + 0.06)
                event.end = round((a + int(down[-1])) / s.fps, 3)
                if done:
                    found.append(s.event("stand up", a + int(down[-1]), b, size=least))
                if begun and low[0] < least + 0.1:
                    event.start, event.name = 0.0, "seated" if event.name == "sit" else event.name
    for a, b in _runs(bent, s.frames(0.2), s.frames(0.1)):
        if _overlap(a, b, [(int(e.start * s.fps), int(e.end * s.fps)) for e in found + travel]) > 0.5:
            continue
        most = float(s.bend[a:b].max())
        if hand_low[a:b].min() < 0.5 and most > 70:
            count = len(_dips(np.concatenate([[1.0], hand_low[a:b], [1.0]]), 0.3))
            found.append(s.event("reach down", a, b, side="both", size=float(s.pelvis[a:b].min()), count=max(1, count)))
        elif most > 28:
            found.append(s.event("bow", a, b, size=most, count=max(1, len(_dips(-s.bend[a:b], 12)))))
    return found


def _swings_of_hand(s: _Signals, k: int, a: int, b: int) -> tuple[int, int]:
    """How often a raised hand goes inward and out again, and outward and in again, by 8 cm."""
    x = s.hand[a:b, k, 0] - 0.5 * s.elbow[a:b, k, 0]
    return len(_dips(x, 0.08)), len(_dips(-x, 0.08))


def _arms(s: _Signals) -> list[Event]:
    """What the hands do, relative to their shoulders.

    hand up: higher than 0.15 m below for 0.4 s, in a clip where it also hangs (0.35 m below); size: how high, m;
    whatever else it does meanwhile.
    raise: 0.2 m above for 0.25 s; size: how high, m. wave: 0.1 m above, going in and out by 8 cm at least twice and
    once in 2 s (count: the inward ones). throw: from above and behind to 0.42 m further forward within 0.5 s of
    being there, faster than 1.8 m/s. punch: from a bent arm (reach under 0.38 m) to 0.41 m before the shoulder, at its
    height within 0.2 m, and back to bent, each within 0.6 s. arms out: both 0.4 m outward, at the shoulders' height
    within 0.26 m, for 0.3 s. hands on hips: both within 0.4 m of the pelvis, elbows 0.1 m outward, arms bent, for
    0.35 s. hand at mouth: within 0.25 m of the head, not over it, for 0.3 s. clap: the wrists come within 0.2 m
    from 6 cm further apart, before the chest, at least twice at most 0.9 s apart; count: those.
    """
    found: list[Event] = []
    n = len(s.p)
    up = s.hand[..., 1]
    for k in (0, 1):
        if up[:, k].min() < -0.35:
            for a, b in _runs(up[:, k] > -0.15, s.frames(0.4), s.frames(0.2)):
                found.append(s.event("hand up", a, b, side=_SIDES[k], size=float(up[a:b, k].max())))
    thrown: list[list[tuple[int, int]]] = [[], []]
    for k in (0, 1):
        forward = s.hand[:, k, 2]
        cocked = (up[:, k] > -0.02) & (forward < 0.08)
        speed = np.gradient(forward) * s.fps
        fast = speed > 1.8
        for a, b in _runs(fast, 1, s.frames(0.1)):
            before = slice(max(0, a - s.frames(0.5)), a + 1)
            gain = forward[min(n - 1, b)] - forward[before].min()
            if cocked[before].any() and gain > 0.42 and up[min(n - 1, b), k] > -0.35:
                c = np.flatnonzero(cocked[before])[0] + before.start
                if not thrown[k]:
                    thrown[k].append((c, min(n, b + s.frames(0.4))))
                    found.append(s.event("throw", c, b, side=_SIDES[k], speed=float(speed[a:b].max())))
    raised: list[list[tuple[int, int]]] = [[], []]
    for k in (0, 1):
        for a, b in _runs(up[:, k] > 0.1, s.frames(0.25), s.frames(0.15)):
            if _overlap(a, b, thrown[k]) > 0.3:
                continue
            inward, outward = _swings_of_hand(s, k, a, b)
            if max(inward, outward) >= 2 and max(inward, outward) > 0.5 * (b - a) / s.fps and up[a:b, k].max() > 0.15:
                found.append(s.event("wave", a, b, side=_SIDES[k], count=inward))
                raised[k].append((a, b))
                continue
            for c, d in _runs(up[a:b, k] > 0.2, s.frames(0.25), s.frames(0.15)):
                found.append(s.event("raise", a + c, a + d, side=_SIDES[k], size=float(up[a:b, k].max())))
                raised[k].append((a, b))
    for k in (0, 1):
        forward = s.hand[:, k, 2]
        out = (forward > 0.41) & (np.abs(up[:, k]) < 0.2)
        for a, b in _runs(out, 1, 2):
            before = slice(max(0, a - s.frames(0.6)), a + 1)
            after = slice(b - 1, min(n, b + s.frames(0.6)))
            bent_before, bent_after = s.reach[before, k].min() < 0.38, s.reach[after, k].min() < 0.40
            if (
                bent_before
                and bent_after
                and b - a < s.frames(0.8)
                and not any(_overlap(a, b, spans) > 0 for spans in (raised[k], thrown[k]))
            ):
                found.append(s.event("punch", a, b, side=_SIDES[k], size=float(forward[a:b].max())))
    span = (s.hand[..., 0] > 0.4).all(1) & (np.abs(up) < 0.26).all(1)
    for a, b in _runs(span, s.frames(0.3), 2):
        found.append(s.event("arms out", a, b, side="both"))
    near = np.linalg.norm(s.p[:, _WRIST] - s.p[:, :1], axis=2)
    akimbo = (near < 0.40) & (s.elbow[..., 0] > 0.10) & (s.reach < 0.46) & (s.hand[..., 2] < 0.22) & (up < -0.22)
    for a, b in _runs(akimbo.all(1), s.frames(0.35), s.frames(0.15)):
        found.append(s.event("hands on hips", a, b, side="both"))
    head = np.linalg.norm(s.p[:, _WRIST] - s.p[:, None, _HEAD], axis=2)
    for k in (0, 1):
        mouth = (head[:, k] < 0.25) & (s.p[:, _WRIST[k], 1] < s.p[:, _HEAD, 1] + 0.12) & (s.hand[:, k, 0] < 0.05)
        for a, b in _runs(mouth, s.frames(0.3), s.frames(0.15)):
            found.append(s.event("hand at mouth", a, b, side=_SIDES[k]))
    apart = s.hands_apart
    front = (s.hand[..., 2] > 0.1).all(1) & (up > -0.45).all(1)
    meets = [i for i in _dips(apart, 0.06) if apart[i] < 0.2 and front[i]]
    for group in _groups(meets, s.frames(0.9)):
        if len(group) >= 2:
            found.append(s.event("clap", group[0], group[-1] + 1, side="both", count=len(group)))
    return found


def _groups(frames: list[int], gap: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for i in frames:
        if groups and i - groups[-1][-1] <= gap:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _legs(s: _Signals, travel: list[tuple[int, int]], flights: list[Event]) -> list[Event]:
    """Kicks, a leg held up, and marching.

    kick: an ankle 0.38 m before the pelvis and 0.24 m high for under 1 s, the other foot standing; not on the way,
    unless 0.46 m high.
    leg raised: an ankle 0.16 m high for 0.9 s without hop or kick; side is the STANDING leg. march: at least three
    lifts of an ankle over 0.15 m (most over 0.19 m), the feet in turn, in place; count: those.
    """
    found: list[Event] = []
    going = np.zeros(len(s.p), bool)
    for a, b in travel:
        going[a:b] = True
    hops = [(int(e.start * s.fps), int(e.end * s.fps)) for e in flights]
    for k in (0, 1):
        other = s.lift[:, 1 - k] < 0.12
        kicked = (s.local[:, _ANKLE[k], 2] > 0.38) & (s.lift[:, k] > 0.18) & other
        for a, b in _runs(kicked, 1, s.frames(0.2)):
            size = float(s.lift[a:b, k].max())
            if b - a < s.frames(1.0) and (size > 0.4 or going[a:b].mean() < 0.5):
                found.append(s.event("kick", a, b, side=_SIDES[k], size=size))
    kicks = [(int(e.start * s.fps), int(e.end * s.fps)) for e in found]
    for k in (0, 1):
        for a, b in _runs((s.lift[:, k] > 0.1) & (s.pelvis > 0.8), s.frames(0.9), 2):
            if _overlap(a, b, hops) == 0 and _overlap(a, b, kicks) == 0 and s.lift[a:b, 1 - k].max() < 0.12:
                found.append(s.event("leg raised", a, b, side=_SIDES[1 - k], size=float(s.lift[a:b, k].max())))
    lifts = []
    for k in (0, 1):
        for a, b in _runs((s.lift[:, k] > 0.09) & ~going, s.frames(0.1), 2):
            if b - a < s.frames(1.0) and _overlap(a, b, hops) == 0 and _overlap(a, b, kicks) == 0:
                lifts.append(((a + b) // 2, k, float(s.lift[a:b, k].max())))
    lifts.sort()
    row: list[tuple[int, int, float]] = []
    for lift in [*lifts, (10**9, 0, 0.0)]:
        if row and (lift[0] - row[-1][0] > s.frames(1.3) or lift[1] == row[-1][1]):
            if len(row) >= 3 and np.median([h for _, _, h in row]) > 0.13:
                found.append(s.event("march", row[0][0], row[-1][0], count=len(row)))
            row = []
        row.append(lift)
    return found


def _looks(s: _Signals, busy: list[tuple[int, int]]) -> list[Event]:
    """look: the head 35 degrees and the shoulders 12 degrees from the hips, the same way, for 0.35 s.

    Means of 0.3 s; not while something is thrown, punched, kicked or turned. size: degrees, + to the left.
    """
    look, twist = _box(s.look, _odd(0.3 * s.fps)), _box(s.twist, _odd(0.3 * s.fps))
    found = []
    for sign in (1, -1):
        for a, b in _runs((sign * look > 35) & (sign * twist > 12), s.frames(0.35), s.frames(0.2)):
            if _overlap(a, b, busy) < 0.5:
                size = float(look[a:b].mean())
                found.append(s.event("look", a, b, direction="left" if sign > 0 else "right", size=size))
    return found


def _jacks(s: _Signals, events: list[Event]) -> list[Event]:
    """Jumping jacks, in place of the jumps, raises and other events they are made of.

    Both wrists over the shoulders by 0.1 m while the ankles are 0.3 m apart, with a jump into it, at least twice.
    count: those.
    """
    apart = np.abs(s.local[:, 7, 0] - s.local[:, 8, 0])
    high = s.hand[..., 1].min(1)
    opened = _runs((high > 0.1) & (apart > 0.3), 1, s.frames(0.15))
    opened = [
        (a, b)
        for a, b in opened
        if any(e.name == "jump" and e.start < b / s.fps + 0.1 and e.end > a / s.fps - 0.7 for e in events)
    ]
    if not opened:
        return events
    groups = [g for g in _groups([(a + b) // 2 for a, b in opened], s.frames(2.5)) if len(g) > 1]
    out = list(events)
    for group in groups:
        a, b = group[0] - s.frames(0.6), group[-1] + s.frames(0.7)
        out = [
            e
            for e in out
            if not (
                e.name in ("jump", "raise", "wave", "arms out", "throw", "march", "clap", "squat")
                and e.start * s.fps > a - 0.25 * s.fps
                and e.end * s.fps < b + 0.5 * s.fps
            )
        ]
        out.append(s.event("jumping jack", max(0, a), min(len(s.p), b), count=len(group)))
    return out


_ARM_EVENTS = ("raise", "wave", "throw", "punch", "clap", "arms out", "hands on hips", "hand at mouth", "jumping jack")
_LEG_EVENTS = ("kick", "leg raised", "march", "lift", "step", "hop")


def _event_speed(s: _Signals, e: Event) -> float:
    """Peak speed of an event, from 0.5 s before it to 0.5 s after (mean of 0.25 s; kick 0.15 s, look 0.4 s).

    Of the hand about the pelvis, of the foot, or for the whole body of the neck, m/s; of a look or a turn, degrees/s.
    """
    if e.name == "turn":
        return abs(e.size) / max(e.end - e.start, 1 / s.fps)
    a, b = max(0, int((e.start - 0.5) * s.fps)), min(len(s.p), int((e.end + 0.5) * s.fps) + 1)
    sides = [_SIDES.index(e.side)] if e.side in _SIDES else [0, 1]
    if e.name == "look":
        pace = np.abs(np.gradient(_box(s.look, 3)))[:, None] * s.fps
    elif e.name in _ARM_EVENTS:
        pace = s.hand_speed[:, sides]
    elif e.name in _LEG_EVENTS:
        pace = s.foot_speed[:, [1 - k for k in sides] if e.name == "leg raised" else sides]
        pace = np.hypot(pace, np.abs(np.gradient(s.lift, axis=0))[:, sides] * s.fps)
    else:
        pace = np.linalg.norm(np.gradient(s.p[:, _NECK], axis=0), axis=1)[:, None] * s.fps
    seconds = 0.15 if e.name == "kick" else 0.4 if e.name == "look" else 0.25
    return float(_box(pace, _odd(seconds * s.fps))[a:b].max(initial=0.0))


def _posture(s: _Signals, frame: int) -> str:
    low = s.pelvis[frame]
    if low < 0.4 and s.tilt[frame] > 55:
        return "lying"
    if low < 0.72:
        return "kneeling" if s.p[frame, _KNEE, 1].min() < 0.17 else "sitting" if s.tilt[frame] < 45 else "crouching"
    return "standing" if low > 0.86 else "crouching"


def facts(joints: np.ndarray, fps: float = 20.0) -> Facts:
    """Measure a clip: (T, 22, 3) metres, Y up, the canonical joint order -> Facts.

    The events are named walk, run, crouch walk, step, lift, turn, jump, hop, jumping jack, squat, bow, lunge,
    reach down, sit, seated (from the first frame on), kneel, lie, stand up, hand up, raise, wave, throw, punch, clap,
    arms out, hands on hips, hand at mouth, kick, leg raised, march and look; sorted by start.
    direction: of all travel, in the frame of the first heading ("" under 0.3 m); turn: net, degrees, + to the
    left; busiest: the limb whose end travels most about the pelvis. Raises MotionLLMError for another shape,
    under 5 frames, or values that are not finite.
    """
    joints = np.asarray(joints)
    if joints.ndim != 3 or joints.shape[1:] != (22, 3) or len(joints) < 5:
        raise MotionLLMError(f"Motion of shape {joints.shape} cannot be measured: give (T, 22, 3), T at least 5.")
    if not np.isfinite(joints).all():
        raise MotionLLMError("Motion with NaN or infinite joints cannot be measured: repair or drop the clip.")
    s = _Signals(joints, fps)
    flights = _flights(s)
    travel, spans = _travel(s, flights)
    steps = _steps(s, flights)
    turns = _turns(s, spans)
    low = _postures(s, travel, flights)
    arms = _arms(s)
    legs = _legs(s, spans, flights)
    busy = [
        (int((e.start - 0.3) * fps), int((e.end + 0.3) * fps))
        for e in (*turns, *arms, *legs)
        if e.name in ("turn", "throw", "punch", "kick")
    ]
    events = _jacks(s, [*flights, *travel, *steps, *turns, *low, *arms, *legs, *_looks(s, busy)])
    for e in events:
        e.speed = e.speed or _event_speed(s, e)
    events.sort(key=lambda e: (e.start, e.end))
    root = joints[:, 0][:, [0, 2]].astype(np.float64)
    smooth_root = _box(root, _odd(0.3 * fps))
    pace = np.linalg.norm(np.diff(smooth_root, axis=0), axis=1) * fps
    net = root[-1] - root[0]
    yaw = s.yaw[0]
    away = float(np.hypot(*net))
    ends = np.linalg.norm(np.diff(s.local[:, [20, 21, 7, 8]], axis=0), axis=2).sum(0)
    jumps = [e for e in events if e.name in ("jump", "hop")]
    turn = float(np.degrees(s.yaw[-1] - s.yaw[0]))
    return Facts(
        duration=round(len(joints) / fps, 3),
        distance=float(pace.sum() / fps),
        displacement=away,
        mean_speed=float(pace.mean()),
        top_speed=float(pace.max()),
        direction=_way(net[0] * np.cos(yaw) - net[1] * np.sin(yaw), net[0] * np.sin(yaw) + net[1] * np.cos(yaw))
        if away > 0.3
        else "",
        turn=turn,
        turn_side="left" if turn > 30 else "right" if turn < -30 else "",
        jumps=len(jumps),
        jump_height=max((e.size for e in jumps), default=0.0) * s.scale,
        steps=sum(e.name == "step" for e in events),
        start_posture=_posture(s, 0),
        end_posture=_posture(s, len(joints) - 1),
        busiest=("left arm", "right arm", "left leg", "right leg")[int(ends.argmax())],
        events=events,
    )
