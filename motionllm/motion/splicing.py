"""Clips changed as they are: cut, joined, repeated, paced, turned and mirrored, and the arms of one put on another.

All work on *poses* (T, 67): the body's turn and its step to the next frame, in its heading (radians, metres), the
root's height, and the joints about the root in that heading. Nothing in them says where a body is or which way it
faces, so the frames of one clip may follow those of another. HumanML3D's features are much the same, but their heading
is smoothed over a second, so that a quick turn of the body is no turn in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d, uniform_filter1d

from motionllm.motion.skeleton import HUMANML3D

WIDTH = 67
FPS = 20.0
_STEADY = 2.0  # frames; standard deviation of the smoothing of the heading, which hips and shoulders shake
BLEND = (2, 16)  # least and most frames on either side of a seam over which the difference of the poses fades
FADING = 0.025  # metres of that difference, mean over the joints, for each frame, for up to 8 frames
SOFT = 0.04  # metres a frame, each frame (16 m/s²): most by which a seam speeds up or slows down a joint
SLOWLY = 0.03  # metres that the joints move from frame to frame, on the mean, on the way to a pose that is far away
CHEST = 9
MOST_BENT = 2.3  # radians of the trunk's lean
ARMS = {"left": (13, 16, 18, 20), "right": (14, 17, 19, 21)}  # collar to wrist
# Chains of joints whose bones are turned to make an act of a limb larger or smaller.
LIMBS = {f"{side} arm": ARMS[side][1:] for side in ARMS} | {"left leg": (1, 4, 7, 10), "right leg": (2, 5, 8, 11)}
_FREE = 0.5  # radians from rest up to which a bone's turn is enlarged by degrees: a leg that is stood on stays
MOST_TURNED = 2.9  # radians from rest of a bone whose turn is enlarged
_TREND = 10.0  # frames; standard deviation of the smoothing that leaves of turns the direction of a path
_GROUNDED = 24  # frames in which a body touches the floor
_RAMP, _LONG_RAMP = 6, 14  # least and most frames in which arms pass from one clip to the other
_SLACK = 0.1  # a cut may be longer or shorter by this share, or some frames, to find poses that match
_FRAMES = 4
TRUNK = (3, 6, 9, *range(12, 22))  # spine, neck, head, collars and arms
_OTHER = [
    HUMANML3D.joints.index(name.replace("left", "\0").replace("right", "left").replace("\0", "right")) - 1
    for name in HUMANML3D.joints[1:]
]


def poses_of(joints: np.ndarray) -> np.ndarray:
    """Joints (T, 22, 3), in metres, Y up → poses (T, 67) float64. The last frame goes on as the one before."""
    joints = np.asarray(joints, np.float64)
    yaw = gaussian_filter1d(np.unwrap(yaw_of(joints)), _STEADY, mode="nearest")
    local = joints[:, 1:] - joints[:, :1] * [1, 0, 1]
    result = np.zeros((len(joints), WIDTH))
    result[:, 3] = joints[:, 0, 1]
    result[:, 4:] = rotated(local, -yaw).reshape(len(joints), 63)
    if len(joints) > 1:
        steps = rotated(np.diff(joints[:, :1], axis=0), -yaw[:-1])[:, 0]
        result[:-1, :3] = np.column_stack([np.diff(yaw), steps[:, 0], steps[:, 2]])
        result[-1, :3] = result[-2, :3]
    return result


def joints_of(poses: np.ndarray) -> np.ndarray:
    """Poses (T, 67) → joints (T, 22, 3) in metres, float32, from the origin, facing +Z. Where poses were blended,
    bones are a little too short, which `Representation.finished` mends.
    """
    yaw = np.concatenate([[0.0], np.cumsum(poses[:-1, 0])])
    steps = np.zeros((len(poses), 1, 3))
    steps[1:, 0, 0], steps[1:, 0, 2] = poses[:-1, 1], poses[:-1, 2]
    steps[1:] = rotated(steps[1:], yaw[:-1])
    root = np.cumsum(steps, axis=0)
    root[:, 0, 1] = poses[:, 3]
    local = rotated(poses[:, 4:].reshape(len(poses), 21, 3), yaw)
    return np.concatenate([root, local + root * [1, 0, 1]], axis=1).astype(np.float32)


def yaw_of(joints: np.ndarray) -> np.ndarray:
    """The heading of poses (…, 22, 3) about the vertical, by hips and shoulders, in radians."""
    across = joints[..., 1, :] - joints[..., 2, :] + joints[..., 16, :] - joints[..., 17, :]
    return np.arctan2(-across[..., 2], across[..., 0])


def rotated(points: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Points (T, n, 3) turned about the vertical by an angle in radians, one for all or one per frame (T,)."""
    cosine, sine = np.cos(yaw)[..., None], np.sin(yaw)[..., None]
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], -1)


def joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """The pieces one after another. The differences of the poses and of their speeds at a seam are shared by both sides
    and fade away from it, the longer the farther a joint has to go (SOFT); empty pieces are left out.
    """
    pieces = [piece.copy() for piece in pieces if len(piece)]
    for before, after in pairwise(pieces):
        beside = (before[-3:], after[:3])  # one step alone may be a jerk
        speeds = [(side[-1] - side[0]) / (len(side) - 1) if len(side) > 1 else np.zeros(WIDTH) for side in beside]
        faster = speeds[1] - speeds[0]
        apart = after[0] - before[-1] - (speeds[0] + speeds[1]) / 2  # as the seam is between two frames
        faster[:3], apart[:3] = after[0, :3] - before[-1, :3], 0.0
        most = _frames_to_fade(apart, faster)
        for piece, ends in ((before, True), (after, False)):
            frames = min(most, -(-len(piece) // 2))  # the other half is the next seam's
            place = (np.arange(frames) + 0.5) / frames
            offset = (1 - place * place * (3 - 2 * place))[:, None] * apart / 2 * (1 if ends else -1)
            offset -= (frames * place * (1 - place) ** 2)[:, None] * faster / 2
            # Of the root its speed is stored.
            offset[:, :3] = ((1 - place) * (1 - 3 * place))[:, None] * faster[:3] / 2 * (1 if ends else -1)
            if ends:
                piece[-frames:] += offset[::-1]
            else:
                piece[:frames] += offset
    return np.concatenate(pieces)


def _frames_to_fade(apart: np.ndarray, faster: np.ndarray) -> int:
    """How many frames on either side of a seam a difference of poses and of speeds (67,) takes to fade."""
    moved = faster[3:].copy()
    moved[1:] += np.tile([faster[1], 0.0, faster[2]], 21)  # with the root
    far, quick = (float(np.linalg.norm(one[1:].reshape(21, 3), axis=-1).max()) for one in (apart[3:], moved))
    # 3 d / n² and 2 v / n are the most that the two curves by which these fade bend.
    soft = (quick + (quick * quick + 3 * far * SOFT) ** 0.5) / SOFT
    return int(min(max(BLEND[0], round(soft), min(8, round(_length(apart[3:]) / FADING))), BLEND[1]))


def levelled(poses: np.ndarray) -> np.ndarray:
    """The poses on a level floor at height 0, of a body that moves on a slope or on something: the lowest joint of each
    second or so is on it. Leaps are lower by that by which they are longer than a second.
    """
    lowest = poses[:, 4:].reshape(len(poses), 21, 3)[..., 1].min(1)
    floor = gaussian_filter1d(minimum_filter1d(lowest, _GROUNDED, mode="nearest"), _GROUNDED / 4, mode="nearest")
    result = poses.copy()
    result[:, 3] -= floor
    result[:, 5::3] -= floor[:, None]
    return result


def between(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Poses (n, 67), n from 0, by which a body comes from one pose (67,) to another that is far from it, as in getting
    down on the floor; the feet stay where they are, on the mean.
    """
    frames = round(apart(before, after) / SLOWLY)
    share = (np.arange(frames + 2) / (frames + 1))[:, None]
    way = before + share * share * (3 - 2 * share) * (after - before)
    feet = way[:, 4:].reshape(len(way), 21, 3)[:, [9, 10]].mean(1)
    way[:, 0] = 0.0
    way[:-1, 1:3] = -np.diff(feet, axis=0)[:, [0, 2]]
    return way[1:-1]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of two poses (67,) in metres, mean over the joints."""
    return _length(one[3:] - other[3:])


def _length(difference: np.ndarray) -> float:
    return float(np.linalg.norm(difference[1:].reshape(21, 3), axis=-1).mean())


def speeds(poses: np.ndarray) -> np.ndarray:
    """(T,) m/s of the joints, mean over all of them and over five frames."""
    moved = np.linalg.norm(np.gradient(joints_of(poses), axis=0), axis=-1).mean(1) if len(poses) > 1 else np.zeros(1)
    return uniform_filter1d(moved * FPS, 5, mode="nearest")


def mirrored(poses: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    result = poses.copy()
    result[:, :2] *= -1
    points = poses[:, 4:].reshape(len(poses), 21, 3)[:, _OTHER] * [-1, 1, 1]
    result[:, 4:] = points.reshape(len(poses), 63)
    return result


def backward(poses: np.ndarray) -> np.ndarray:
    """The frames in the opposite order: who walked forward walks backward."""
    result = poses[::-1].copy()
    if not len(poses):
        return result
    turns, steps = -poses[:-1, 0][::-1], np.zeros((len(poses) - 1, 1, 3))
    steps[:, 0, [0, 2]] = -poses[:-1, 1:3][::-1]
    # A step is stored in the heading of the frame that it leaves, which was the one that it came to.
    moved = np.column_stack([turns, rotated(steps, turns)[:, 0, [0, 2]]])
    result[:, :3] = np.concatenate([moved, moved[-1:]]) if len(moved) else 0.0
    return result


def paced(poses: np.ndarray, pace: float, first: int = 0, last: int | None = None) -> np.ndarray:
    """The frames from `first` to before `last` at `pace` times their speed."""
    last = len(poses) if last is None else last
    count = last - first
    if count < 2:
        return poses.copy()
    frames = max(2, round(count / pace))
    places = np.linspace(first, last - 1, frames)
    low = np.minimum(places.astype(int), len(poses) - 2)
    share = (places - low)[:, None]
    part = (1 - share) * poses[low] + share * poses[low + 1]
    part[:, :3] *= count / frames
    return np.concatenate([poses[:first], part, poses[last:]])


def held(pose: np.ndarray, frames: int) -> np.ndarray:
    """A pose (67,) without movement for so many frames."""
    result = np.repeat(pose[None], frames, axis=0)
    result[:, :3] = 0.0
    return result


def lengthened(poses: np.ndarray, frames: int, first: int, last: int) -> np.ndarray:
    """About so many frames more between `first` and `last`: frames there are repeated, from a pose to one like it."""
    while frames > 1:
        span = last - first
        length = frames if frames <= span else -(-frames // -(-frames // max(1, int(span * 0.8))))
        a, b = _cut(poses, length, first, last)
        if b <= a:
            break
        poses = joined([poses[:b], poses[a:]])
        frames -= b - a
        last += b - a
    return poses


def repeated(poses: np.ndarray, times: int, frames: int, first: int, last: int) -> np.ndarray:
    """A stretch of about so many frames between `first` and `last`, one of several strokes, so many times more."""
    a, b = _cut(poses, frames, first, last)
    return joined([poses[:b], *[poses[a:b]] * times, poses[b:]]) if b > a else poses


def alike(poses: np.ndarray, a: tuple[int, int], b: tuple[int, int], length: int) -> tuple[int, int]:
    """A frame of the range `a` and one of the range `b`, bounds included, about `length` apart, of like poses: what is
    between them can be cut out.
    """
    state = _states(poses)
    pairs = [
        (i, j)
        for i in range(a[0], a[1] + 1)
        for j in range(max(i + 1, b[0], i + length - _FRAMES), min(b[1], len(poses), i + length + _FRAMES) + 1)
    ]
    if not pairs:
        return a[1], max(a[1], b[0])

    last = len(poses) - 1
    return min(pairs, key=lambda pair: float(np.abs(state[min(pair[0], last)] - state[min(pair[1], last)]).mean()))


def nearest(poses: np.ndarray, ranges: Sequence[tuple[int, int]], most: int = 12) -> list[int]:
    """A frame of each range, bounds included, such that the poses are alike; of up to `most` frames of each."""
    state = np.concatenate([_states(poses), _states(poses)[-1:]])
    options = [np.unique(np.linspace(a, b, min(most, b - a + 1)).astype(int)) for a, b in ranges]
    best, chosen = np.inf, [int(one[0]) for one in options]
    for frames in product(*options):
        apart = float(np.ptp(state[list(frames)], axis=0).mean())
        if apart < best:
            best, chosen = apart, [int(frame) for frame in frames]
    return chosen


def lowest_arms(poses: np.ndarray, among: Sequence[int], sides: Sequence[str] = ("left", "right")) -> int:
    """Of these frames the one with the wrists farthest below the chest."""
    points = poses[:, 4:].reshape(len(poses), 21, 3)[..., 1]
    heights = points[:, [ARMS[side][3] - 1 for side in sides]].mean(1) - points[:, CHEST - 1]
    return min(among, key=lambda frame: float(heights[frame]))


def limbs_of(part: str) -> list[str]:
    """The LIMBS that a notation's words for a part of the body name ("both hands"); both legs for none."""
    side, _, limb = (part.replace("hand", "arm").replace("foot", "leg") or "both legs").partition(" ")
    return [f"{one} {limb.rstrip('s')}" for one in (("left", "right") if side == "both" else (side,))]


def straightest_leg(poses: np.ndarray, side: str) -> int:
    """The frame with a foot farthest below its hip."""
    points = poses[:, 4:].reshape(len(poses), 21, 3)[..., 1]
    hip, *_, toe = LIMBS[f"{side} leg"]
    return int(np.argmin(points[:, toe - 1] - points[:, hip - 1]))


def most_even(poses: np.ndarray, among: Sequence[int]) -> int:
    """Of these frames the one whose pose is most like its mirror image."""
    apart = np.abs(poses[:, 3:] - mirrored(poses)[:, 3:]).mean(1)
    return min(among, key=lambda frame: float(apart[min(frame, len(poses) - 1)]))


def _states(poses: np.ndarray) -> np.ndarray:
    """(T, n): poses and how they move, in numbers whose distances say how well one frame goes on from another."""
    moving = np.gradient(poses[:, 3:], axis=0) if len(poses) > 1 else np.zeros_like(poses[:, 3:])
    return np.concatenate([poses[:, 3:], 4 * moving, 8 * poses[:, :3]], axis=1)


def shortened(poses: np.ndarray, frames: int, first: int, last: int) -> np.ndarray:
    """About so many frames fewer between `first` and `last`, taken out where the poses before and after are alike."""
    if frames < 1:
        return poses
    a, b = _cut(poses, min(frames, last - first), first, last)
    return joined([poses[:a], poses[b:]]) if b > a else poses


def _cut(poses: np.ndarray, length: int, first: int, last: int) -> tuple[int, int]:
    """Two frames from `first` to `last`, about `length` apart, whose poses and movements are most alike."""
    first, last = max(0, first), min(len(poses), last)
    least, most = (max(1, round(length * (1 + sign * _SLACK))) for sign in (-1, 1))
    state = _states(poses)
    best, place = np.inf, (first, first)
    for a in range(first, last):
        for b in range(a + least, min(a + most, last - 1) + 1):
            apart = float(np.abs(state[a] - state[b]).mean()) + 0.05 * abs(b - a - length) / length
            if apart < best:
                best, place = apart, (a, b)
    return place


def with_arms(
    poses: np.ndarray, arms: np.ndarray, first: int, last: int, sides: Sequence[str] = ("left", "right")
) -> np.ndarray:
    """The poses with the arms of others (n, 67), on the chest, from `first` to before `last`, eased in and out; where
    they are far from the own arms that begins before and ends after these frames.
    """
    result = poses.copy()
    first, last = max(0, first), min(last, len(poses), first + len(arms))
    if last <= first:
        return result
    theirs = arms[: last - first, 4:].reshape(last - first, 21, 3)
    own = result[:, 4:].reshape(len(result), 21, 3)
    group = [joint - 1 for side in sides for joint in ARMS[side]]
    ramps = []
    for mine, their in ((first, theirs[0]), (last - 1, theirs[-1])):
        apart = own[mine, group] - own[mine, CHEST - 1] - their[group] + their[CHEST - 1]
        ramps.append(ramp(apart))
    # At the very ends of the clip there is nothing to pass over from.
    before = min(ramps[0] - _RAMP, first)
    after = min(ramps[1] - _RAMP, len(poses) - last)
    place = np.arange(before + last - first + after)
    start = (place + 1) / (before + _RAMP + 1) if first > 0 else np.ones(len(place))
    end = (place[::-1] + 1) / (after + _RAMP + 1) if last < len(poses) else np.ones(len(place))
    share = np.minimum(1.0, np.minimum(start, end))
    own = own[first - before : last + after]
    turn_arms(own, theirs[np.clip(place - before, 0, len(theirs) - 1)], share * share * (3 - 2 * share), sides)
    result[first - before : last + after, 4:] = own.reshape(len(own), 63)
    return result


def ramp(apart: np.ndarray) -> int:
    """How many frames arms take over a distance: that of each joint (n, 3), in metres."""
    far = np.linalg.norm(apart, axis=-1).max()
    return int(np.clip(round((6 * far / SOFT) ** 0.5), _RAMP, _LONG_RAMP))


def turn_arms(own: np.ndarray, theirs: np.ndarray, share: np.ndarray, sides: Sequence[str] = ("left", "right")) -> None:
    """Turn the bones of the arms of `own` (T, 21, 3), in place, by a share (T,) of the way to those of `theirs`: on a
    straight line a forearm that is to hang would pass through its elbow.
    """
    for side in sides:
        chain = [CHEST - 1, *(joint - 1 for joint in ARMS[side])]
        bones, others = np.diff(own[:, chain], axis=1), np.diff(theirs[:, chain], axis=1)
        lengths, other_lengths = (np.linalg.norm(one, axis=-1) for one in (bones, others))
        across = np.cross(bones, others)
        sine = np.linalg.norm(across, axis=-1)
        angle = np.arctan2(sine, (bones * others).sum(-1))
        axis = across / np.maximum(sine, 1e-9)[..., None]
        part = share[:, None]
        longer = ((1 - part) * lengths + part * other_lengths) / np.maximum(lengths, 1e-9)
        place = own[:, chain[0]]
        for i, joint in enumerate(chain[1:]):
            turned = _turned(bones[:, i : i + 1], axis[:, i], angle[:, i] * share)[:, 0]
            place = place + turned * longer[:, i : i + 1]
            own[:, joint] = place


def beside_trunk(poses: np.ndarray, rest: np.ndarray, first: int, last: int, side: str) -> np.ndarray:
    """The poses with an arm as it is beside the trunk in the pose `rest` (67,), leaning as that leans, from `first` to
    before `last`, eased in and out.
    """
    arms = poses[first:last].copy()
    points, own = arms[:, 4:].reshape(len(arms), 21, 3), rest[4:].reshape(21, 3)
    now, then = points[:, CHEST - 1] - [0, 1, 0] * arms[:, 3:4], own[CHEST - 1] - [0, rest[3], 0]
    now /= np.maximum(np.linalg.norm(now, axis=-1, keepdims=True), 1e-6)
    then /= max(float(np.linalg.norm(then)), 1e-6)
    axis = np.cross(then, now)
    across = np.linalg.norm(axis, axis=-1)
    angle = np.arctan2(across, now @ then)
    group = [joint - 1 for joint in ARMS[side]]
    arm = np.repeat((own[group] - own[CHEST - 1])[None], len(arms), axis=0)
    points[:, group] = points[:, [CHEST - 1]] + _turned(arm, axis / np.maximum(across, 1e-6)[:, None], angle)
    arms[:, 4:] = points.reshape(len(arms), 63)
    return with_arms(poses, arms, first, last, [side])


def _turned(points: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points (T, n, 3) turned about axes (T, 3) of length 1 by angles (T,) in radians: Rodrigues' formula."""
    sine, cosine, about = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None], axis[:, None]
    along = (about * points).sum(-1, keepdims=True)
    return points * cosine + np.cross(about, points) * sine + about * along * (1 - cosine)


def turning(poses: np.ndarray, ratio: float, first: int, last: int) -> np.ndarray:
    """Turns of the body from `first` to before `last` times `ratio`."""
    result = poses.copy()
    result[first:last, 0] *= ratio
    return result


def on_path(poses: np.ndarray, degrees: float, first: int, last: int) -> np.ndarray:
    """The body turning evenly by so many degrees, + to the left, on its way from `first` to before `last`: 0 is a
    straight path. How it sways and swings about its path is as it was.
    """
    result = poses.copy()
    turns = result[first:last, 0]
    if len(turns):
        turns += np.radians(degrees) / len(turns) - gaussian_filter1d(turns, _TREND, mode="nearest")
    return result


def enlarged(poses: np.ndarray, limb: str, ratio: float, rest: np.ndarray, first: int, last: int) -> np.ndarray:
    """A limb's bones (LIMBS) turned `ratio` times as far from their directions in the pose `rest` (67,), from `first`
    to before `last`, eased in and out.
    """
    result = poses.copy()
    chain = [joint - 1 for joint in LIMBS[limb]]
    points = result[:, 4:].reshape(len(result), 21, 3)
    bones = np.diff(points[first:last, chain], axis=1)
    lengths = np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-6)
    now = bones / lengths
    at_rest = np.diff(rest[4:].reshape(21, 3)[chain], axis=0)
    at_rest /= np.maximum(np.linalg.norm(at_rest, axis=-1, keepdims=True), 1e-6)
    angle = np.arccos(np.clip((now * at_rest).sum(-1), -1, 1))
    place = np.arange(last - first) + 1.0
    ease = np.minimum(1.0, np.minimum(place, place[::-1]) / _RAMP)
    free = np.clip(angle / _FREE, 0, 1) if "leg" in limb else np.ones_like(angle)
    more = (ratio - 1) * ease[:, None] * free * free * (3 - 2 * free)
    wanted = np.clip(angle * (1 + more), 0, np.maximum(angle, MOST_TURNED))
    axis = np.cross(at_rest, now)
    across = np.linalg.norm(axis, axis=-1, keepdims=True)
    axis /= np.maximum(across, 1e-6)
    turn = np.where(across[..., 0] > 1e-3, wanted - angle, 0.0)[..., None]
    turned = now * np.cos(turn) + np.cross(axis, now) * np.sin(turn)  # Rodrigues' formula, across the axis
    points[first:last, chain[1:]] = points[first:last, [chain[0]]] + np.cumsum(turned * lengths, axis=1)
    result[:, 4:] = points.reshape(len(result), 63)
    return result


def rising(poses: np.ndarray, metres: float, first: int, last: int) -> np.ndarray:
    """The highest point from `first` to before `last` so much higher, or lower, and all above both ends with it: a
    higher or lower jump.
    """
    result = poses.copy()
    height = poses[first:last, 3]
    if not len(height):
        return result
    ground = np.linspace(height[0], height[-1], len(height))
    above = np.maximum(0.0, height - ground)
    more = metres * above / max(above.max(), 1e-6)
    result[first:last, 3] += more
    result[first:last, 5::3] += more[:, None]
    return result


def bending(poses: np.ndarray, degrees: float, first: int, last: int) -> np.ndarray:
    """The trunk leaning so much further, or less far, where it leans most from `first` to before `last`, and less
    beside it: pelvis and legs stay.
    """
    result = poses.copy()
    points = result[first:last, 4:].reshape(last - first, 21, 3)
    root = np.zeros((last - first, 3))
    root[:, 1] = poses[first:last, 3]
    spine = points[:, CHEST - 1] - root
    flat = np.linalg.norm(spine[:, [0, 2]], axis=-1)
    lean = np.arctan2(flat, spine[:, 1])
    bent = np.maximum(0.0, lean - np.linspace(lean[0], lean[-1], len(lean))) if len(lean) else lean
    angle = np.radians(degrees) * bent / max(float(bent.max(initial=0.0)), 1e-6)
    angle = np.clip(angle, -lean, max(0.0, MOST_BENT - float(lean.max(initial=0.0))))
    # About the horizontal axis across the direction of the lean.
    axis = np.stack([spine[:, 2], np.zeros(len(flat)), -spine[:, 0]], -1) / np.maximum(flat, 1e-6)[:, None]
    group = [joint - 1 for joint in TRUNK]
    points[:, group] = root[:, None] + _turned(points[:, group] - root[:, None], axis, angle)
    result[first:last, 4:] = points.reshape(last - first, 63)
    return result
