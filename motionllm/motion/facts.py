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

from motionllm.motion.signals import (
    ANKLE,
    BENT,
    HEAD,
    KNEE,
    NECK,
    SIDES,
    WRIST,
    Signals,
    coverage,
    minima,
    odd_frames,
    posture,
    running_mean,
    stretches_where,
)  # fmt: skip


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


def _event(s: Signals, name: str, a: int, b: int, **values: Any) -> Event:
    """The event of the frames [a, b)."""
    return Event(name, round(float(a / s.fps), 3), round(float(b / s.fps), 3), **values)


def _way(left: float, forward: float) -> str:
    """The nearest of the four directions of a vector in the heading frame."""
    if abs(left) > abs(forward):
        return "left" if left > 0 else "right"
    return "forward" if forward >= 0 else "backward"


def _flights(s: Signals) -> list[Event]:
    """Jumps and hops: flights in which the pelvis has risen at over 0.4 m/s.

    jump: both feet over 4.5 cm for 0.1 s (at most 5 cm or more), leaving within 0.16 s and landing within 0.2 s of
    each other; size: rise of the lower foot, m; direction: of flights over 0.2 m; speed: metres flown.
    hop: one foot does so within 0.7 s, while the other has been in the air for 0.2 s and stays there 0.05 s longer.
    """
    up = s.foot > 0.045
    runs = [stretches_where(up[:, k], s.frames(0.08), 2) for k in (0, 1)]
    both = stretches_where(up.all(1), s.frames(0.1))
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
                _event(s, "jump", a, b, direction=_way(left, forward) if far > 0.2 else "", size=height, speed=far)
            )
            continue
        for k in (0, 1):
            (a0, b0), (a1, b1) = own[k], own[1 - k]
            if a0 - a1 >= s.frames(0.2) and b1 - b0 >= s.frames(0.05) and b0 - a0 <= s.frames(0.7):
                found.append(_event(s, "hop", a, b, side=SIDES[k], size=height))
    return found


def _steps(s: Signals, flights: list[Event]) -> list[Event]:
    """Steps and lifts: a foot moves faster than 0.45 m/s or its ankle is 17 cm up, 0.1 s long, in no jump.

    step: it comes to rest over 0.12 m from where it was; size: that length, m; direction: in the body's frame.
    lift: it comes back, having risen over 0.1 m, to within 0.35 m of it after 0.4 m; size: that height, m.
    """
    found = []
    for k in (0, 1):
        moving = (s.foot_speed[:, k] > 0.45) | (s.lift[:, k] > 0.17)
        for a, b in stretches_where(moving, s.frames(0.1), s.frames(0.12)):
            if any(e.start - 0.05 <= b / s.fps and e.end + 0.05 >= a / s.fps for e in flights):
                continue
            c, d = max(0, a - 1), min(len(s.p) - 1, b)
            way, yaw = s.feet[d, k] - s.feet[c, k], s.yaw[(c + d) // 2]
            left, forward = way[0] * np.cos(yaw) - way[1] * np.sin(yaw), way[0] * np.sin(yaw) + way[1] * np.cos(yaw)
            length, high = float(np.hypot(left, forward)), float(s.lift[a:b, k].max())
            if length > (0.35 if high > 0.4 else 0.12) and high > 0.015:
                found.append(_event(s, "step", a, b, side=SIDES[k], direction=_way(left, forward), size=length))
            elif high > 0.1:
                found.append(_event(s, "lift", a, b, side=SIDES[k], size=high))
    return sorted(found, key=lambda e: e.start)


def _stretches(s: Signals, a: int, b: int) -> list[tuple[int, int]]:
    """Cut travel where it all but stops (a dip by half the median speed) and where it turns sideways or back."""
    cuts = {a + i for i in minima(s.root_speed[a:b], 0.55 * float(np.median(s.root_speed[a:b])))}
    left, forward = running_mean(s.root_velocity, odd_frames(0.5 * s.fps))[a:b].T
    kind = np.where(np.abs(left) > 1.2 * np.abs(forward), np.sign(left) * 2, np.sign(forward))
    held = kind[0]
    for i in range(1, len(kind)):
        if kind[i] != held and i + s.frames(0.4) <= len(kind) and (kind[i : i + s.frames(0.4)] == kind[i]).all():
            cuts.add(a + i)
            held = kind[i]
    edges = sorted({a, b, *cuts})
    return [(c, d) for c, d in pairwise(edges) if d - c >= s.frames(0.3)]


def _travel(s: Signals, flights: list[Event]) -> tuple[list[Event], list[tuple[int, int]]]:
    """Walks, runs and crouched walks, and the frames of each.

    The pelvis (mean of 0.5 s) goes faster than 0.2 m/s, the middle of the feet over 0.45 m in all and either foot over
    0.25 m; cut where the body all but stops or changes direction. run: faster than 2.6 m/s; or both knees are bent by
    42 degrees at once and the ankles rise 16 cm at over 1.9 m/s, or at over 1.1 m/s with both feet 2.5 cm up in 5 % of
    the frames. crouch walk: under 1.7 m/s, the pelvis under 0.885 of standing and both knees bent by BENT degrees in
    most frames. direction: of the mean velocity in the body's frame; size: degrees turned on the way, + to the left;
    speed: m/s, mean of the middle half.
    """
    jumping = np.zeros(len(s.p), bool)
    for e in flights:
        jumping[max(0, int((e.start - 0.25) * s.fps)) : int((e.end + 0.25) * s.fps)] = True
    found, spans = [], []
    moving = (s.root_speed > 0.2) & ~jumping
    stretches = [
        piece for a, b in stretches_where(moving, s.frames(0.3), s.frames(0.25)) for piece in _stretches(s, a, b)
    ]
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
        name = "walk"
        high = float(np.percentile(s.lift[core].max(1), 75))
        springy = float(s.flex[core].min(1).max()) > 42  # in walking one knee is always nearly straight
        aloft_too = (s.foot[core].min(1) > 0.025).mean() > 0.05
        if speed > 2.6 or (high > 0.16 and springy and (speed > 1.9 or (speed > 1.1 and aloft_too))):
            name = "run"
        elif speed < 1.7 and np.median(s.pelvis[core]) < 0.885 and np.median(s.flex[core].min(1)) > BENT:
            name = "crouch walk"
        found.append(_event(s, name, a, b, direction=_way(*way), size=turn, speed=speed))
        spans.append((a, b))
    return found, spans


def _turns(s: Signals, travel: list[tuple[int, int]]) -> list[Event]:
    """Turns in place: the heading (mean of 0.3 s) turns one way at over 22 degrees/s and over 40 degrees in all.

    The hips must turn over 30 degrees with it, and the body must not travel: where the feet's middle gets 0.45 m away
    or goes 1.2 m, the turn is one of the way. size: degrees, + to the left; speed: degrees a second.
    """
    rate = np.degrees(np.gradient(running_mean(s.yaw, odd_frames(0.3 * s.fps)))) * s.fps
    going = np.zeros(len(rate), bool)
    for a, b in travel:
        if np.linalg.norm(s.middle[b - 1] - s.middle[a]) > 0.45 or s.speed[a:b].sum() / s.fps > 1.2:
            going[a:b] = True
    found = []
    for sign in (1, -1):
        for a, b in stretches_where((sign * rate > 22) & ~going, s.frames(0.25), s.frames(0.45)):
            c, d = max(0, a - s.frames(0.15)), min(len(rate) - 1, b + s.frames(0.15))
            angle = float(np.degrees(s.yaw[d] - s.yaw[c]))
            # A twist of the trunk alone (a throw) is no turn: the hips must come along.
            if sign * angle > 40 and sign * np.degrees(s.hip_yaw[d] - s.hip_yaw[c]) > 30:
                found.append(_event(s, "turn", a, b, direction="left" if sign > 0 else "right", size=angle))
    return found


def _postures(s: Signals, travel: list[Event], flights: list[Event]) -> list[Event]:
    """What every stretch of 0.2 s with the pelvis under 0.9 of standing is, and the bows.

    lie: trunk over 60 degrees from upright and pelvis under 0.35, for 0.25 s. kneel: a knee under 0.17 m, pelvis
    over 0.35, at rest for 0.35 s (side: that knee, "both"). sit: pelvis under 0.68 and 0.27 m behind the ankles, knees
    over 0.25 m, trunk within 40 degrees, at rest for 0.5 s; or pelvis under 0.35 (0.4 for 0.6 s), the trunk upright.
    lunge: ankles over 0.5 m apart fore and aft (side: the front foot). reach down: a wrist under 0.5 m (side: the
    lower one, "both" within 0.08 m). squat: pelvis under 0.8 otherwise (0.65 about a jump). bow: trunk over 28 degrees
    forward, pelvis over 0.8; size: degrees. Of all others size is the pelvis' lowest share of standing; count: the
    minima. stand up: the end of a sit, kneel or lie that ends; a sit that lasts from the first frame on is "seated".
    """
    found: list[Event] = []
    leaps = [(int((e.start - 0.5) * s.fps), int((e.end + 0.6) * s.fps)) for e in flights]
    crouched = [(int(e.start * s.fps), int(e.end * s.fps)) for e in travel if e.name == "crouch walk"]
    running = [(int(e.start * s.fps), int(e.end * s.fps)) for e in travel if e.name == "run"]
    p, n = s.p, len(s.p)
    hand_low = p[:, WRIST, 1].min(1)
    bent = (s.bend > 25) & (s.pelvis > 0.8)
    for a, b in crouched:
        bent[a:b] = False
    low_runs = stretches_where(s.pelvis < 0.9, s.frames(0.2), s.frames(0.15))
    for a, b in low_runs:
        if coverage(a, b, crouched) > 0.4 or coverage(a, b, running) > 0.7:
            continue
        low = s.pelvis[a:b]
        at = a + int(low.argmin())
        least = float(low.min())
        deep = slice(a, b)
        still = np.abs(running_mean(s.rise, 3)) < 0.15
        knees = p[:, KNEE, 1]
        apart = s.local[:, ANKLE[0], 2] - s.local[:, ANKLE[1], 2]
        lying = stretches_where((s.tilt > 60)[deep] & (s.pelvis < 0.35)[deep], s.frames(0.25))
        kneeling = [
            stretches_where(((knees[:, k] < 0.17) & (s.pelvis > 0.35) & (s.tilt < 55) & still)[deep], s.frames(0.35))
            for k in (0, 1)
        ]
        behind = 0.5 * (s.local[:, 7, 2] + s.local[:, 8, 2])
        sitting = stretches_where(
            ((s.pelvis < 0.68) & (knees.min(1) > 0.25) & (s.tilt < 40) & still & (behind > 0.27))[deep], s.frames(0.5)
        )
        begun, done = s.pelvis[a] < 0.9 and a == 0, b < n - 1
        event: Event | None = None
        if lying:
            event = _event(s, "lie", a, b, size=least)
        elif kneeling[0] or kneeling[1]:
            sides = [k for k in (0, 1) if kneeling[k]]
            event = _event(s, "kneel", a, b, side="both" if len(sides) == 2 else SIDES[sides[0]], size=least)
        elif sitting or (least < 0.35 and s.tilt[at] < 50 and (low < 0.4).sum() > s.frames(0.6)):
            event = _event(s, "sit", a, b, size=least)
        elif np.abs(apart[deep][low < least + 0.08]).max(initial=0) > 0.5 and least < 0.88:
            front = int(np.sign(np.median(apart[deep][low < least + 0.06])) < 0)
            count = len(minima(np.concatenate([[1.0], low, [1.0]]), 0.1))
            event = _event(s, "lunge", a, b, side=SIDES[front], count=max(1, count), size=least)
        elif least < 0.86 and hand_low[deep].min() < 0.5 and s.tilt[a:b].max() > 30:
            event = _event(
                s,
                "reach down",
                a,
                b,
                side=_lower_hand(p[a:b]),
                size=least,
                count=max(1, len(minima(np.concatenate([[1.0], hand_low[deep], [1.0]]), 0.3))),
            )
        elif least < (0.65 if coverage(a, b, leaps) > 0.5 else 0.8) and s.flex[at].min() > BENT:
            event = _event(
                s, "squat", a, b, size=least, count=max(1, len(minima(np.concatenate([[1.0], low, [1.0]]), 0.1)))
            )
        if event:
            found.append(event)
            if event.name in ("sit", "kneel", "lie"):
                # The event lasts until the body is down for good; getting up is its own.
                down = np.flatnonzero(low < least + 0.06)
                event.end = round((a + int(down[-1])) / s.fps, 3)
                if done:
                    found.append(_event(s, "stand up", a + int(down[-1]), b, size=least))
                if begun and low[0] < least + 0.1:
                    event.start, event.name = 0.0, "seated" if event.name == "sit" else event.name
    for a, b in stretches_where(bent, s.frames(0.2), s.frames(0.1)):
        if coverage(a, b, [(int(e.start * s.fps), int(e.end * s.fps)) for e in found + travel]) > 0.5:
            continue
        most = float(s.bend[a:b].max())
        if hand_low[a:b].min() < 0.5 and most > 70:
            count = len(minima(np.concatenate([[1.0], hand_low[a:b], [1.0]]), 0.3))
            side, least = _lower_hand(p[a:b]), float(s.pelvis[a:b].min())
            found.append(_event(s, "reach down", a, b, side=side, size=least, count=max(1, count)))
        elif most > 28:
            found.append(_event(s, "bow", a, b, size=most, count=max(1, len(minima(-s.bend[a:b], 12)))))
    return found


def _lower_hand(p: np.ndarray) -> str:
    """Which hand is lower by 0.08 m, where either is at its lowest in frames (T, 22, 3); "both" where neither is."""
    left, right = p[int(p[:, WRIST, 1].min(1).argmin()), WRIST, 1]
    return "both" if abs(left - right) < 0.08 else SIDES[int(right < left)]


def _swings_of_hand(s: Signals, k: int, a: int, b: int) -> tuple[int, int]:
    """How often a raised hand goes inward and out again, and outward and in again, by 8 cm."""
    x = s.hand[a:b, k, 0] - 0.5 * s.elbow[a:b, k, 0]
    return len(minima(x, 0.08)), len(minima(-x, 0.08))


def _arms(s: Signals) -> list[Event]:
    """What the hands do, relative to their shoulders.

    hand up: higher than 0.15 m below for 0.4 s, in a clip where it also hangs (0.35 m below); size: how high, m;
    whatever else it does meanwhile.
    raise: 0.2 m above for 0.25 s; size: how high, m. wave: 0.1 m above, going in and out by 8 cm at least twice and
    once in 2 s; or lower, to 0.25 m below, but 0.12 m above the elbow for 0.6 s, twice each way and 0.7 times per
    second, or four times (count: the inward ones). throw: from above and behind to 0.42 m further forward within 0.5 s
    of being there, faster than 1.8 m/s. punch: from a bent arm (reach under 0.38 m) to 0.41 m before the shoulder, at
    its height within 0.2 m, and back to bent, each within 0.6 s. arms out: both 0.4 m outward, at the shoulders' height
    within 0.26 m, for 0.3 s. hands on hips: both within 0.4 m of the pelvis, elbows 0.1 m outward, arms bent, for
    0.35 s. hand at mouth: within 0.25 m of the head, not over it, for 0.3 s. clap: the wrists come within 0.2 m
    from 6 cm further apart, before the chest, at least twice at most 0.9 s apart; count: those.
    """
    found: list[Event] = []
    n = len(s.p)
    up = s.hand[..., 1]
    for k in (0, 1):
        if up[:, k].min() < -0.35:
            for a, b in stretches_where(up[:, k] > -0.15, s.frames(0.4), s.frames(0.2)):
                found.append(_event(s, "hand up", a, b, side=SIDES[k], size=float(up[a:b, k].max())))
    thrown: list[list[tuple[int, int]]] = [[], []]
    for k in (0, 1):
        forward = s.hand[:, k, 2]
        cocked = (up[:, k] > -0.02) & (forward < 0.08)
        speed = np.gradient(forward) * s.fps
        fast = speed > 1.8
        for a, b in stretches_where(fast, 1, s.frames(0.1)):
            before = slice(max(0, a - s.frames(0.5)), a + 1)
            gain = forward[min(n - 1, b)] - forward[before].min()
            if cocked[before].any() and gain > 0.42 and up[min(n - 1, b), k] > -0.35:
                c = np.flatnonzero(cocked[before])[0] + before.start
                if not thrown[k]:
                    thrown[k].append((c, min(n, b + s.frames(0.4))))
                    found.append(_event(s, "throw", c, b, side=SIDES[k], speed=float(speed[a:b].max())))
    raised: list[list[tuple[int, int]]] = [[], []]
    for k in (0, 1):
        for a, b in stretches_where(up[:, k] > 0.1, s.frames(0.25), s.frames(0.15)):
            if coverage(a, b, thrown[k]) > 0.3:
                continue
            inward, outward = _swings_of_hand(s, k, a, b)
            if max(inward, outward) >= 2 and max(inward, outward) > 0.5 * (b - a) / s.fps and up[a:b, k].max() > 0.15:
                found.append(_event(s, "wave", a, b, side=SIDES[k], count=inward))
                raised[k].append((a, b))
                continue
            for c, d in stretches_where(up[a:b, k] > 0.2, s.frames(0.25), s.frames(0.15)):
                found.append(_event(s, "raise", a + c, a + d, side=SIDES[k], size=float(up[a:b, k].max())))
                raised[k].append((a, b))
    for k in (0, 1):
        pointing = (up[:, k] - s.elbow[:, k, 1] > 0.12) & (up[:, k] > -0.25)
        for a, b in stretches_where(pointing, s.frames(0.6), s.frames(0.15)):
            if any(coverage(a, b, spans) > 0 for spans in (raised[k], thrown[k])):
                continue
            inward, outward = _swings_of_hand(s, k, a, b)
            if min(inward, outward) >= (2 if max(inward, outward) > 0.7 * (b - a) / s.fps else 4):
                found.append(_event(s, "wave", a, b, side=SIDES[k], count=inward))
                raised[k].append((a, b))
    for k in (0, 1):
        forward = s.hand[:, k, 2]
        out = (forward > 0.41) & (np.abs(up[:, k]) < 0.2)
        for a, b in stretches_where(out, 1, 2):
            before = slice(max(0, a - s.frames(0.6)), a + 1)
            after = slice(b - 1, min(n, b + s.frames(0.6)))
            bent_before, bent_after = s.reach[before, k].min() < 0.38, s.reach[after, k].min() < 0.40
            if (
                bent_before
                and bent_after
                and b - a < s.frames(0.8)
                and not any(coverage(a, b, spans) > 0 for spans in (raised[k], thrown[k]))
            ):
                found.append(_event(s, "punch", a, b, side=SIDES[k], size=float(forward[a:b].max())))
    span = (s.hand[..., 0] > 0.4).all(1) & (np.abs(up) < 0.26).all(1)
    for a, b in stretches_where(span, s.frames(0.3), 2):
        found.append(_event(s, "arms out", a, b, side="both"))
    near = np.linalg.norm(s.p[:, WRIST] - s.p[:, :1], axis=2)
    akimbo = (near < 0.40) & (s.elbow[..., 0] > 0.10) & (s.reach < 0.46) & (s.hand[..., 2] < 0.22) & (up < -0.22)
    for a, b in stretches_where(akimbo.all(1), s.frames(0.35), s.frames(0.15)):
        found.append(_event(s, "hands on hips", a, b, side="both"))
    head = np.linalg.norm(s.p[:, WRIST] - s.p[:, None, HEAD], axis=2)
    for k in (0, 1):
        mouth = (head[:, k] < 0.25) & (s.p[:, WRIST[k], 1] < s.p[:, HEAD, 1] + 0.12) & (s.hand[:, k, 0] < 0.05)
        for a, b in stretches_where(mouth, s.frames(0.3), s.frames(0.15)):
            found.append(_event(s, "hand at mouth", a, b, side=SIDES[k]))
    apart = s.hands_apart
    front = (s.hand[..., 2] > 0.1).all(1) & (up > -0.45).all(1)
    meets = [i for i in minima(apart, 0.06) if apart[i] < 0.2 and front[i]]
    for group in _groups(meets, s.frames(0.9)):
        if len(group) >= 2:
            found.append(_event(s, "clap", group[0], group[-1] + 1, side="both", count=len(group)))
    return found


def _groups(frames: list[int], gap: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for i in frames:
        if groups and i - groups[-1][-1] <= gap:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _legs(s: Signals, travel: list[tuple[int, int]], flights: list[Event]) -> list[Event]:
    """Kicks, a leg held up, and marching.

    kick: an ankle 0.38 m before the pelvis and 0.24 m high, or 0.61 m high, for under 1 s, the knee stretched to
    85 degrees, the other foot standing; not on the way, unless 0.46 m high.
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
        ahead = (s.local[:, ANKLE[k], 2] > 0.38) & (s.lift[:, k] > 0.18)
        kicked = (ahead | (s.lift[:, k] > 0.55)) & other & (s.pelvis > 0.7)
        for a, b in stretches_where(kicked, 1, s.frames(0.2)):
            size = float(s.lift[a:b, k].max())
            straight = float(s.flex[a:b, k].min()) < 85  # a knee that is drawn up is no kick
            if b - a < s.frames(1.0) and straight and (size > 0.4 or going[a:b].mean() < 0.5):
                found.append(_event(s, "kick", a, b, side=SIDES[k], size=size))
    kicks = [(int(e.start * s.fps), int(e.end * s.fps)) for e in found]
    for k in (0, 1):
        for a, b in stretches_where((s.lift[:, k] > 0.1) & (s.pelvis > 0.8), s.frames(0.9), 2):
            if coverage(a, b, hops) == 0 and coverage(a, b, kicks) == 0 and s.lift[a:b, 1 - k].max() < 0.12:
                found.append(_event(s, "leg raised", a, b, side=SIDES[1 - k], size=float(s.lift[a:b, k].max())))
    lifts = []
    for k in (0, 1):
        for a, b in stretches_where((s.lift[:, k] > 0.09) & ~going, s.frames(0.1), 2):
            if b - a < s.frames(1.0) and coverage(a, b, hops) == 0 and coverage(a, b, kicks) == 0:
                lifts.append(((a + b) // 2, k, float(s.lift[a:b, k].max())))
    lifts.sort()
    row: list[tuple[int, int, float]] = []
    for lift in [*lifts, (10**9, 0, 0.0)]:
        if row and (lift[0] - row[-1][0] > s.frames(1.3) or lift[1] == row[-1][1]):
            if len(row) >= 3 and np.median([h for _, _, h in row]) > 0.13:
                found.append(_event(s, "march", row[0][0], row[-1][0], count=len(row)))
            row = []
        row.append(lift)
    return found


def _looks(s: Signals, busy: list[tuple[int, int]]) -> list[Event]:
    """look: the head 35 degrees and the shoulders 12 degrees from the hips, the same way, for 0.35 s.

    Means of 0.3 s; not while something is thrown, punched, kicked or turned. size: degrees, + to the left.
    """
    look, twist = running_mean(s.look, odd_frames(0.3 * s.fps)), running_mean(s.twist, odd_frames(0.3 * s.fps))
    found = []
    for sign in (1, -1):
        for a, b in stretches_where((sign * look > 35) & (sign * twist > 12), s.frames(0.35), s.frames(0.2)):
            if coverage(a, b, busy) < 0.5:
                size = float(look[a:b].mean())
                found.append(_event(s, "look", a, b, direction="left" if sign > 0 else "right", size=size))
    return found


def _jacks(s: Signals, events: list[Event]) -> list[Event]:
    """Jumping jacks, in place of the jumps, raises and other events they are made of.

    Both wrists over the shoulders by 0.1 m while the ankles are 0.3 m apart, with a jump into it, at least twice.
    count: those.
    """
    apart = np.abs(s.local[:, 7, 0] - s.local[:, 8, 0])
    high = s.hand[..., 1].min(1)
    opened = stretches_where((high > 0.1) & (apart > 0.3), 1, s.frames(0.15))
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
        out.append(_event(s, "jumping jack", max(0, a), min(len(s.p), b), count=len(group)))
    return out


_ARM_EVENTS = ("raise", "wave", "throw", "punch", "clap", "arms out", "hands on hips", "hand at mouth", "jumping jack")
_LEG_EVENTS = ("kick", "leg raised", "march", "lift", "step", "hop")


def _event_speed(s: Signals, e: Event) -> float:
    """Peak speed of an event, from 0.5 s before it to 0.5 s after (mean of 0.25 s; kick 0.15 s, look 0.4 s).

    Of the hand about the pelvis, of the foot, or for the whole body of the neck, m/s; of a look or a turn, degrees/s.
    """
    if e.name == "turn":
        return abs(e.size) / max(e.end - e.start, 1 / s.fps)
    a, b = max(0, int((e.start - 0.5) * s.fps)), min(len(s.p), int((e.end + 0.5) * s.fps) + 1)
    sides = [SIDES.index(e.side)] if e.side in SIDES else [0, 1]
    if e.name == "look":
        pace = np.abs(np.gradient(running_mean(s.look, 3)))[:, None] * s.fps
    elif e.name in _ARM_EVENTS:
        pace = s.hand_speed[:, sides]
    elif e.name in _LEG_EVENTS:
        pace = s.foot_speed[:, [1 - k for k in sides] if e.name == "leg raised" else sides]
        pace = np.hypot(pace, np.abs(np.gradient(s.lift, axis=0))[:, sides] * s.fps)
    else:
        pace = np.linalg.norm(np.gradient(s.p[:, NECK], axis=0), axis=1)[:, None] * s.fps
    seconds = 0.15 if e.name == "kick" else 0.4 if e.name == "look" else 0.25
    return float(running_mean(pace, odd_frames(seconds * s.fps))[a:b].max(initial=0.0))


def events_of(s: Signals) -> list[Event]:
    """All events of a clip, with their speeds, by their start."""
    flights = _flights(s)
    travel, spans = _travel(s, flights)
    steps = _steps(s, flights)
    turns = _turns(s, spans)
    low = _postures(s, travel, flights)
    arms = _arms(s)
    legs = _legs(s, spans, flights)
    busy = [
        (int((e.start - 0.3) * s.fps), int((e.end + 0.3) * s.fps))
        for e in (*turns, *arms, *legs)
        if e.name in ("turn", "throw", "punch", "kick")
    ]
    events = _jacks(s, [*flights, *travel, *steps, *turns, *low, *arms, *legs, *_looks(s, busy)])
    for e in events:
        e.speed = e.speed or _event_speed(s, e)
    events.sort(key=lambda e: (e.start, e.end))
    return events


def facts(joints: np.ndarray, fps: float = 20.0) -> Facts:
    """Measure a clip: (T, 22, 3) metres, Y up, the canonical joint order -> Facts.

    The events are named walk, run, crouch walk, step, lift, turn, jump, hop, jumping jack, squat, bow, lunge,
    reach down, sit, seated (from the first frame on), kneel, lie, stand up, hand up, raise, wave, throw, punch, clap,
    arms out, hands on hips, hand at mouth, kick, leg raised, march and look; sorted by start.
    direction: of all travel, in the frame of the first heading ("" under 0.3 m); turn: net, degrees, + to the
    left; busiest: the limb whose end travels most about the pelvis. Raises MotionLLMError for another shape,
    under 5 frames, or values that are not finite.
    """
    s = Signals(joints, fps)
    return facts_of(s, events_of(s), np.asarray(joints))


def facts_of(s: Signals, events: list[Event], joints: np.ndarray) -> Facts:
    """`facts` of a clip whose signals and events are known."""
    fps = s.fps
    root = joints[:, 0][:, [0, 2]].astype(np.float64)
    smooth_root = running_mean(root, odd_frames(0.3 * fps))
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
        start_posture=posture(s, 0),
        end_posture=posture(s, len(joints) - 1),
        busiest=("left arm", "right arm", "left leg", "right leg")[int(ends.argmax())],
        events=events,
    )
