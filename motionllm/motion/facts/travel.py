"""Rules of `facts` for locomotion: flights, steps, walks and runs, turns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from motionllm.motion.facts.events import Event, Span, direction_of, event, in_frame
from motionllm.motion.signals import BENT, SIDES, Signals, minima, odd_frames, running_mean, stretches_where

UP = 0.045  # m, a foot in the air
ALOFT_SECONDS = 0.1  # both feet in the air
JUMP_HEIGHT = 0.05  # m, of the lower foot
TAKE_OFF = 0.4  # m/s, the pelvis goes up
LEAVE_APART, LAND_APART = 0.16, 0.2  # s, between the two feet of a jump
# Share of standing that the pelvis reaches in a flight: at least 0.91 in jumps and hops, at most 0.70 where the feet
# only rock at the bottom of a squat or go over a body on the floor.
FLIGHT_PELVIS = 0.8
JUMP_WAY = 0.2  # m: a jump that has a direction
# A leap from one foot to the other: s aloft and m of the lower foot, more than in a run, and m/s² of the body, which
# falls freely where one who climbs does not.
LEAP_SECONDS, LEAP_HEIGHT, LEAP_FALL = (0.28, 0.9), 0.12, (-14.0, -6.0)
HOP_SECONDS = 0.7  # the longest
HOP_HEIGHT = 0.3  # m of the lower foot: hops have up to 0.11, jumps over something on one leg from 0.5 on
HOP_BEFORE, HOP_AFTER = 0.2, 0.05  # s that the other foot is in the air before and after a hop


def flights(s: Signals) -> list[Event]:
    """Jumps and hops: flights that the pelvis rises into, of a body that is not crouching.

    jump: both feet leave and land together, or one leaves and the other lands after a leap longer and higher than a
    runner's, or the same one lands after a flight higher than any hop (side: of the one that leaves); size: rise of
    the lower foot, m; direction: where it goes somewhere; speed: metres flown. hop: one foot leaves and lands, while
    the other is in the air before and after.
    """
    up = s.foot > UP
    runs = [stretches_where(up[:, k], s.frames(0.08), 2) for k in (0, 1)]
    both = stretches_where(up.all(1), s.frames(ALOFT_SECONDS))
    events = []
    for a, b in both:
        own = [next((r for r in runs[k] if r[0] <= a and r[1] >= b), (a, b)) for k in (0, 1)]
        vault = s.rise[max(0, a - s.frames(0.15)) : a + s.frames(0.15)].max(initial=0)
        height = float(s.foot[a:b].min(1).max())
        if vault < TAKE_OFF or height < JUMP_HEIGHT or float(s.pelvis[a:b].max()) < FLIGHT_PELVIS:
            continue
        starts, ends = abs(own[0][0] - own[1][0]), abs(own[0][1] - own[1][1])
        together = starts <= s.frames(LEAVE_APART) and ends <= s.frames(LAND_APART)
        from_foot_to_foot = (own[0][0] < own[1][0]) == (own[0][1] < own[1][1])
        high = height > (LEAP_HEIGHT if from_foot_to_foot else HOP_HEIGHT)
        leaps = not together and high and _falls_freely(s, a, b)
        if leaps or together:
            c, d = max(0, a - s.frames(0.1)), min(len(s.p) - 1, b + s.frames(0.1))
            left, forward = in_frame(s.feet[d].mean(0) - s.feet[c].mean(0), s.yaw[c])
            far = np.hypot(left, forward)
            direction = direction_of(left, forward) if far > JUMP_WAY else ""
            side = SIDES[int(own[0][0] < own[1][0])] if leaps else ""  # it leaves last
            events.append(event(s, "jump", a, b, side=side, direction=direction, size=height, speed=far))
            continue
        for k in (0, 1):
            (a0, b0), (a1, b1) = own[k], own[1 - k]
            short = b0 - a0 <= s.frames(HOP_SECONDS)
            if short and a0 - a1 >= s.frames(HOP_BEFORE) and b1 - b0 >= s.frames(HOP_AFTER):
                events.append(event(s, "hop", a, b, side=SIDES[k], size=height))
    return events


def _falls_freely(s: Signals, a: int, b: int) -> bool:
    """Whether the body is in free fall over [a, b) for as long as a leap takes."""
    if not s.frames(LEAP_SECONDS[0]) <= b - a <= s.frames(LEAP_SECONDS[1]):
        return False
    height = s.p[a:b, :, 1].mean(1)
    fall = 2 * s.scale * float(np.polyfit(np.arange(b - a) / s.fps, height, 2)[0])
    return LEAP_FALL[0] < fall < LEAP_FALL[1]


FOOT_SPEED = 0.45  # m/s, of a foot that moves
FOOT_UP = 0.17  # m, of an ankle: so high, it moves
STEP_LENGTH = 0.12  # m
STEP_PELVIS = 0.45  # share of standing
HIGH_STEP, HIGH_STEP_LENGTH = 0.4, 0.35  # m: a foot that went so high has kicked, unless it gets so far
STEP_HEIGHT = 0.015  # m: a foot that slides takes no step
LIFT_HEIGHT = 0.1  # m
# Share of its highest speed that a foot has in a clip's last frame, from which it is still on its way: 0.61 to 0.96
# where people begin one step more, at most 0.45 where they set the foot down.
ON_ITS_WAY = 0.5


def steps(s: Signals, flights: list[Event]) -> list[Event]:
    """Steps and lifts: a foot moves for 0.1 s, outside jumps.

    step: it comes to rest elsewhere; size: distance, m; direction: in the body's frame. lift: it comes back; size:
    height, m. A step that the clip's end cuts off is none: a clip of four steps often shows how the fifth begins.
    """
    events = []
    for k in (0, 1):
        moving = (s.foot_speed[:, k] > FOOT_SPEED) | (s.lift[:, k] > FOOT_UP)
        for a, b in stretches_where(moving, s.frames(0.1), s.frames(0.12)):
            if any(e.start - 0.05 <= b / s.fps and e.end + 0.05 >= a / s.fps for e in flights):
                continue
            if float(s.pelvis[a:b].max()) < STEP_PELVIS:  # who is on the floor draws the feet along
                continue
            c, d = max(0, a - 1), min(len(s.p) - 1, b)
            left, forward = in_frame(s.feet[d, k] - s.feet[c, k], s.yaw[(c + d) // 2])
            length, high = float(np.hypot(left, forward)), float(s.lift[a:b, k].max())
            if length > (HIGH_STEP_LENGTH if high > HIGH_STEP else STEP_LENGTH) and high > STEP_HEIGHT:
                speed = s.foot_speed[a:b, k]
                if b == len(s.p) and speed[-1] > ON_ITS_WAY * speed.max():
                    continue
                direction = direction_of(left, forward)
                events.append(event(s, "step", a, b, side=SIDES[k], direction=direction, size=length))
            elif high > LIFT_HEIGHT:
                events.append(event(s, "lift", a, b, side=SIDES[k], size=high))
    return sorted(events, key=lambda e: e.start)


TRAVEL_SPEED = 0.2  # m/s of the pelvis, mean of 0.5 s
TRAVEL_WAY, TRAVEL_FOOT_WAY = 0.45, 0.25  # m, of the middle of the feet and of either foot
TRAVEL_NET, TRAVEL_TURN = 0.25, 150.0  # m from where it began; or degrees turned on the way
DIP = 0.55  # share of the median speed by which travel all but stops: it is cut there
SIDEWAYS = 1.2  # times as fast to a side as ahead
HELD_SECONDS = 0.4  # s; a new direction must last this long
RUN_SPEED = 2.6  # m/s: always a run
RUN_LIFT = 0.16  # m, of the ankles: below it no other run
SPRINGY = 42.0  # degrees of both knees at once: in walking one knee is always nearly straight
JOG_SPEED, SLOW_JOG_SPEED = 1.9, 1.1  # m/s of springy runs: all of them, and those in which both feet leave the floor
ALOFT, ALOFT_SHARE = 0.025, 0.05  # m of both feet, in this share of the frames
SHUFFLE_BENT, SHUFFLE_SPEED = 42.0, 1.3  # degrees of both knees in most frames, m/s: a run of tired or old people
STRIDE_SECONDS = 0.6  # about one step: what changes more slowly is no bounce
BOUNCE, VAULT = 0.3, -0.5  # `_bounce` of runs, and of walks
# Of a walk and a run in one travel: the least seconds and metres of each, and how many times as fast the run is.
GAIT_SECONDS, GAIT_WAY, GAIT_SPEEDS = 0.8, 0.9, 2.0
CREEP_SPEED, CREEP_PELVIS = 1.7, 0.885  # m/s and share of standing: crouched walks stay below


def _cut(s: Signals, a: int, b: int) -> list[Span]:
    """Travel cut where it nearly stops and where it turns sideways or back."""
    cuts = {a + i for i in minima(s.root_speed[a:b], DIP * float(np.median(s.root_speed[a:b])))}
    left, forward = running_mean(s.root_velocity, odd_frames(0.5 * s.fps))[a:b].T
    kind = np.where(np.abs(left) > SIDEWAYS * np.abs(forward), np.sign(left) * 2, np.sign(forward))
    lasting = s.frames(HELD_SECONDS)
    current = kind[0]
    for i in range(1, len(kind)):
        if kind[i] != current and i + lasting <= len(kind) and (kind[i : i + lasting] == kind[i]).all():
            cuts.add(a + i)
            current = kind[i]
    edges = sorted({a, b, *cuts})
    return [(c, d) for c, d in pairwise(edges) if d - c >= s.frames(0.3)]


def _at_gaits(s: Signals, speeds: np.ndarray, a: int, b: int) -> list[Span]:
    """Travel cut where a walk becomes a run, or a run a walk: into the two parts that are most alike in speed in
    themselves, where one is at least twice as fast. Who only gets going, or slows down, goes less far meanwhile.
    speeds: (T,) m/s, smoothed.
    """
    least = s.frames(GAIT_SECONDS)
    if b - a < 2 * least:
        return [(a, b)]
    speed = speeds[a:b]
    n, total, squares = np.arange(1, b - a), speed.cumsum(), (speed**2).cumsum()
    before, after = total[:-1] / n, (total[-1] - total[:-1]) / n[::-1]
    spread = squares[-1] - n * before**2 - n[::-1] * after**2
    at = least + int(np.argmin(spread[least - 1 : b - a - least]))
    slow, fast = sorted((before[at - 1], after[at - 1]))
    way = min(before[at - 1] * at, after[at - 1] * (b - a - at)) / s.fps
    gaits = {_gait_of(s, a, a + at), _gait_of(s, a + at, b)}
    if gaits != {"walk", "run"} or fast < max(JOG_SPEED, GAIT_SPEEDS * slow) or way < GAIT_WAY:
        return [(a, b)]
    return [*_at_gaits(s, speeds, a, a + at), *_at_gaits(s, speeds, a + at, b)]


def travels(s: Signals, flights: list[Event]) -> tuple[list[Event], list[Span]]:
    """Walks, runs and crouched walks, and their frames.

    Pelvis and both feet move away; cut where the body nearly stops or changes direction or gait. run: fast; or
    bouncing; or, where it does not vault over its legs, less fast with both knees bent at once and the ankles high, or
    slow like that with both feet in the air at times, or with both knees bent in most frames. crouch walk: the pelvis
    low and both knees bent in most frames. direction: of the mean velocity in the body's frame; size: degrees turned
    meanwhile, + to the left (`told_once`); speed: m/s, mean of the middle half.
    """
    jumping = np.zeros(len(s.p), bool)
    for e in flights:
        jumping[max(0, int((e.start - 0.25) * s.fps)) : int((e.end + 0.25) * s.fps)] = True
    moving = (s.root_speed > TRAVEL_SPEED) & ~jumping
    moved = stretches_where(moving, s.frames(0.3), s.frames(0.25))
    speeds = running_mean(s.root_speed, odd_frames(0.5 * s.fps))
    pieces = [piece for a, b in moved for c, d in _cut(s, a, b) for piece in _at_gaits(s, speeds, c, d)]
    events, spans = [], []
    for a, b in pieces:
        own = (s.foot_speed[a:b].sum(0) / s.fps).min()
        if float(s.speed[a:b].sum() / s.fps) < TRAVEL_WAY or own < TRAVEL_FOOT_WAY:
            continue
        net = float(np.linalg.norm(s.middle[b - 1] - s.middle[a]))
        turn = float(np.degrees(s.yaw[b - 1] - s.yaw[a]))
        if net < TRAVEL_NET and abs(turn) < TRAVEL_TURN:
            continue
        speed = float(s.root_speed[_core(a, b)].mean())
        direction = direction_of(*s.root_velocity[a:b].mean(0))
        events.append(event(s, _gait_of(s, a, b), a, b, direction=direction, size=turn, speed=speed))
        spans.append((a, b))
    return events, spans


def _bounce(s: Signals, a: int, b: int) -> float:
    """Correlation over [a, b) of the pelvis' height with the distance of the feet: -1 to 1.

    A walking body vaults over a straight leg, highest where the feet pass each other; a running one bounces, and is
    lowest there (Cavagna, Heglund and Taylor 1977, American Journal of Physiology 233).
    """
    apart = np.linalg.norm((s.feet[a:b, 0] - s.feet[a:b, 1]), axis=1)
    x, y = (v - running_mean(v, odd_frames(STRIDE_SECONDS * s.fps)) for v in (apart, s.p[a:b, 0, 1]))
    return float((x * y).sum() / max(np.sqrt((x**2).sum() * (y**2).sum()), 1e-9))


def _core(a: int, b: int) -> slice:
    """The middle half."""
    return slice(a + (b - a) // 4, b - (b - a) // 4)


def _gait_of(s: Signals, a: int, b: int) -> str:
    """The kind of gait over [a, b), from the frames of its middle half."""
    core, bounce = _core(a, b), _bounce(s, a, b)
    speed = float(s.root_speed[core].mean())
    high = float(np.percentile(s.lift[core].max(1), 75)) > RUN_LIFT
    springy = float(s.flex[core].min(1).max()) > SPRINGY
    aloft = (s.foot[core].min(1) > ALOFT).mean() > ALOFT_SHARE
    light = high and springy and (speed > JOG_SPEED or (speed > SLOW_JOG_SPEED and aloft))
    if speed > RUN_SPEED or (bounce > BOUNCE and speed > SLOW_JOG_SPEED) or (bounce > VAULT and light):
        return "run"
    bent = float(np.median(s.flex[core].min(1)))
    if speed < CREEP_SPEED and np.median(s.pelvis[core]) < CREEP_PELVIS and bent > BENT:
        return "crouch walk"
    return "run" if bounce > VAULT and bent > SHUFFLE_BENT and speed > SHUFFLE_SPEED else "walk"


TURN_RATE = 22.0  # degrees/s of the heading, mean of 0.3 s
TURN_ANGLE, HIP_ANGLE = 40.0, 30.0  # degrees in all, of the heading and of the hips
FEET_SHARE = 0.35  # of the heading's: 0.03 to 0.2 in twists, from 0.6 on in turns
TURN_PELVIS = 0.3  # share of standing: a turn that ends so low is how the body gets down to the floor
TURN_NET, TURN_WAY = 0.45, 1.2  # m that the feet's middle gets away, or goes: then it is a turn of the way


def turns(s: Signals, travel: list[Span]) -> list[Event]:
    """Turns in place, one way at a time, but for that of a body on its way to the floor. size: degrees, + to the left;
    speed: degrees per second.
    """
    rate = np.degrees(np.gradient(running_mean(s.yaw, odd_frames(0.3 * s.fps)))) * s.fps
    going = np.zeros(len(rate), bool)
    for a, b in travel:
        if np.linalg.norm(s.middle[b - 1] - s.middle[a]) > TURN_NET or s.speed[a:b].sum() / s.fps > TURN_WAY:
            going[a:b] = True
    events = []
    for sign in (1, -1):
        for a, b in stretches_where((sign * rate > TURN_RATE) & ~going, s.frames(0.25), s.frames(0.45)):
            c, d = max(0, a - s.frames(0.15)), min(len(rate) - 1, b + s.frames(0.15))
            angle = float(np.degrees(s.yaw[d] - s.yaw[c]))
            # A twist of the trunk (as in a throw) is no turn: hips and feet must turn too.
            with_feet = sign * np.degrees(s.feet_yaw[d] - s.feet_yaw[c]) > FEET_SHARE * sign * angle
            if s.pelvis[b - 1] < TURN_PELVIS and s.pelvis[a] > TURN_PELVIS:
                continue
            if sign * angle > TURN_ANGLE and with_feet and sign * np.degrees(s.hip_yaw[d] - s.hip_yaw[c]) > HIP_ANGLE:
                events.append(event(s, "turn", a, b, direction="left" if sign > 0 else "right", size=angle))
    return events


def told_once(s: Signals, travel: list[Event], turned: list[Event]) -> list[Event]:
    """The travel without what it turns in the turns in place: a slow way may be both, and its turn is told once."""
    for way in travel:
        left = way.size
        for e in turned:
            a, b = round(max(way.start, e.start) * s.fps), round(min(way.end, e.end) * s.fps) - 1
            if a < b and e.size * way.size > 0:
                left -= float(np.degrees(s.yaw[b] - s.yaw[a]))
        way.size = left if left * way.size > 0 else 0.0
    return travel
