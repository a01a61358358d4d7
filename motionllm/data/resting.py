"""Rests put into a motion where its text asks for them (`data.rests`), as long as it says, and measured there.

A rest is a stretch in which no joint moves faster than CALM. One that a text asks for between two acts is put where the
body is calmest between them; who walks comes to a stand first. A pose is held at the farthest point of its act, as the
lowest of a squat. What is put in is kept only where all else that is asked for is still measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d

from motionllm import corpus
from motionllm.data.asked import Asked, near, share
from motionllm.data.heeding import number_of
from motionllm.data.mending import HURRY, built, measured
from motionllm.data.remaking import remade
from motionllm.data.rests import Rest
from motionllm.motion import splicing
from motionllm.motion.notation import Line, Notation
from motionllm.motion.notation.verbs import LEADS_TO, TRAVEL

CALM = 0.25  # m/s of the fastest joint, mean over five frames; a waving hand is faster but for a moment
BESIDE = 0.3  # seconds before and after an act in which the rest beside it may begin and end
BRIEF = 0.4  # seconds
LONGEST = 30.0  # seconds of a rest
LONGEST_WHOLE = 60.0  # seconds of a motion
PART = 1.6  # seconds that one of several acts has at least which a rest divides, as "walks, stops and walks on"
SETTLING = (0, 16, 30)  # frames more of a stand between two walks, which its seams take
POSED = 0.1  # metres, mean over the joints: farther from standing a pose is one that is held
Span = tuple[float, float]


@lru_cache(1)
def upright() -> np.ndarray:
    """A pose (67,) of someone who stands with hanging arms."""
    pose: np.ndarray = splicing.poses_of(corpus.joints(corpus.Spec((corpus.Part("squat"),)), 1))[0]
    return pose


def rested(poses: np.ndarray, wanted: Sequence[Asked], fixed: bool = False) -> np.ndarray:
    """Poses (T, 67) of a motion → those with the rests that are asked for, as long as they are to be, or as they are
    where these are there, or cannot be put in. fixed: the duration stays.
    """
    for index, one in enumerate(wanted):
        for rest in one.rests:
            notation = measured(poses)
            if notation is None or _has(poses, notation, wanted, index, rest) or rest.seconds > LONGEST:
                continue
            poses = _with_rest(poses, notation, wanted, index, rest, fixed)
    return poses


def _with_rest(
    poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int, rest: Rest, fixed: bool
) -> np.ndarray:
    """The poses with a rest by the mildest change that has it, of those by which a walk on is a walk of its own."""
    shows, verb = share(wanted, notation), wanted[index].verbs[0]
    apart = sum(one.verbs[0] == verb for one in wanted) if verb in TRAVEL else 0
    best, most = poses, -1
    for way in _ways(poses, notation, wanted, index, rest, fixed):
        made = built(way)
        new = measured(made) if len(made) <= LONGEST_WHOLE * splicing.FPS else None
        right = new is not None and (rest.where == "held" or share(wanted, new) >= shows)
        if new is None or not right or not _has(made, new, wanted, index, rest):
            continue
        found = min(apart, sum(line.verb == verb for line in new.lines))
        if found > most:
            best, most = made, found
        if most >= apart:
            break
    return best


def unrested(poses: np.ndarray, wanted: Sequence[Asked], say: Sequence[str]) -> list[str]:
    """The rests that are asked for and not there, in words. say: a sentence of each thing that is asked for."""
    notation = measured(poses) if any(one.rests for one in wanted) else None
    if notation is None:
        return []
    return [
        f"{_length(rest)} {'in' if rest.where == 'held' else rest.where}: {say[i]}"
        for i, one in enumerate(wanted)
        for rest in one.rests
        if not _has(poses, notation, wanted, i, rest)
    ]


def without_rests(poses: np.ndarray) -> np.ndarray:
    """The motion with BRIEF seconds of each stretch in which the body rests: what is done between rests, as acts that
    are held long are no acts of the notation.
    """
    keep, half = np.ones(len(poses), bool), round(BRIEF * splicing.FPS / 2)
    for first, last in _calm(poses, (0.0, len(poses) / splicing.FPS)):
        keep[first + half : max(first + half, last - half)] = False
    return poses[keep]


def _length(rest: Rest) -> str:
    seconds = f"{rest.seconds:g} second{'s' * (rest.seconds != 1)}"
    return f"a rest of {seconds}" if rest.stated else f"a rest of about {seconds}"


def spans(wanted: Sequence[Asked], notation: Notation) -> list[Span | None]:
    """From and to which second each thing that is asked for is done, in their order; None where it is not. Of two of a
    kind that are done as one, as who walks on and on, each has its share.
    """
    found: list[list[Line]] = []
    at = -BESIDE
    for one in wanted:
        lines = [x for x in notation.lines if x.verb == one.verbs[0]]
        lines = lines or [x for x in notation.lines if x.verb in one.verbs]
        after = [x for x in lines if x.start > at]
        found.append(after or lines[-1:])
        at = min((x.start for x in after), default=at)
    result: list[Span | None] = []
    for i, lines in enumerate(found):
        if not lines:
            result.append(None)
            continue
        first = min(lines, key=lambda x: x.start)
        sharing = [j for j, others in enumerate(found) if others and min(others, key=lambda x: x.start) == first]
        later = [min(x.start for x in others) for others in found[i + 1 :] if others]
        end = max(x.end for x in lines if x is first or x.start < min(later, default=np.inf))
        part = (end - first.start) / len(sharing)
        place = sharing.index(i)
        result.append((first.start + place * part, first.start + (place + 1) * part) if part else (first.start, end))
    return result


def _window(notation: Notation, wanted: Sequence[Asked], index: int, rest: Rest) -> Span | None:
    """Between which seconds a rest belongs; None where its act is not done."""
    places = spans(wanted, notation)
    own = places[index]
    if own is None:
        return None
    before = [place[1] for place in places[:index] if place]
    after = [place[0] for place in places[index + 1 :] if place]
    if rest.where == "before":
        last = before[-1] if before else 0.0
        if before and last == own[0]:  # within what is done as one
            shorter = min(own[1] - own[0], last - next(place[0] for place in reversed(places[:index]) if place))
            return last - shorter / 2, last + shorter / 2
        return min(last, own[0]), own[0]
    if rest.where == "held" and wanted[index].verbs[0] not in LEADS_TO:
        return own
    rises = [x.start for x in notation.lines if x.verb == "stand up" and x.end > own[1]]
    first = own[0] if rest.where == "held" else own[1]  # who has sat down early is seated for a while in that line
    return first, max(own[1], min([*after, *rises], default=notation.seconds))


def _has(poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int, rest: Rest) -> bool:
    window = _window(notation, wanted, index, rest)
    if window is not None:
        lasts = [max((last - first for first, last in _calm(poses, window)), default=0)]
    elif rest.where == "held":  # who squats for long stands so, and no act is measured
        stretches = _calm(poses, (0.0, notation.seconds))
        stand = upright()
        lasts = [b - a for a, b in stretches if splicing.apart(poses[(a + b) // 2], stand) > POSED]
    else:
        return False
    seconds = [frames / splicing.FPS for frames in lasts]
    return any(near(one, rest.seconds) if rest.stated else one >= rest.least for one in seconds)


def _calm(poses: np.ndarray, window: Span) -> list[tuple[int, int]]:
    """(first, last) frame of each stretch of a window in which the body rests."""
    a, b = (max(0, round(second * splicing.FPS)) for second in (window[0] - BESIDE, window[1] + BESIDE))
    calm = np.concatenate([[False], fastest(poses)[a:b] <= CALM, [False]])
    begins, ends = np.flatnonzero(calm[1:] & ~calm[:-1]), np.flatnonzero(calm[:-1] & ~calm[1:])
    return [(a + int(first), a + int(last)) for first, last in zip(begins, ends, strict=True)]


def _longest(poses: np.ndarray, window: Span) -> tuple[int, int]:
    """(first, last) frame of the longest stretch of a window in which the body rests."""
    at = max(0, round(window[0] * splicing.FPS))
    return max(_calm(poses, window), key=lambda stretch: stretch[1] - stretch[0], default=(at, at))


def fastest(poses: np.ndarray) -> np.ndarray:
    """(T,) m/s of the fastest joint, mean over five frames."""
    if len(poses) < 2:
        return np.zeros(len(poses))
    moved = np.linalg.norm(np.gradient(splicing.joints_of(poses), axis=0), axis=-1).max(1)
    result: np.ndarray = uniform_filter1d(moved * splicing.FPS, 5, mode="nearest")
    return result


def _ways(
    poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int, rest: Rest, fixed: bool
) -> Iterator[np.ndarray]:
    """Motions with a rest that is too short, too long or missing, the mildest change first."""
    window = _window(notation, wanted, index, rest)
    if window is None:
        return
    first, last = _longest(poses, window)
    more = round(rest.seconds * splicing.FPS) - (last - first)
    if fixed:
        paced = _hurried(poses, len(poses) - more)
        if paced is None:
            return
        pace = len(poses) / len(paced)
        poses, window = paced, (window[0] / pace, window[1] / pace)
        first, last = _longest(poses, window)
    if more < 0:
        at = (first + last + more) // 2
        yield splicing.joined([poses[:at], poses[at - more :]])
        return
    for at in _places(poses, notation, wanted, index, rest, window, (first, last)):
        pose = poses[min(at, len(poses) - 1)]
        yield splicing.joined([poses[:at], splicing.held(pose, more), poses[at:]])
    if rest.where != "held":
        yield from _coming_to_a_stand(poses, notation, wanted, index, window, round(rest.seconds * splicing.FPS))


def _places(
    poses: np.ndarray,
    notation: Notation,
    wanted: Sequence[Asked],
    index: int,
    rest: Rest,
    window: Span,
    calm: tuple[int, int],
) -> Iterator[int]:
    """Frames at which a body may stay as it is, the best first."""
    a, b = (min(len(poses) - 1, max(0, round(second * splicing.FPS))) for second in window)
    if rest.where == "held" and wanted[index].verbs[0] not in LEADS_TO:
        ends = (poses[max(0, a - 4)] + poses[min(len(poses) - 1, b + 4)]) / 2
        farthest = a + int(np.argmax([splicing.apart(pose, ends) for pose in poses[a : b + 1]]))
        yield farthest
        return
    if calm[1] - calm[0] > 3:
        yield (calm[0] + calm[1]) // 2
    if not _gone(wanted, index) or fastest(poses)[a : b + 1].min() < 2 * CALM:
        a, b = max(0, a - 4), min(len(poses) - 1, b + 4)
        yield a + int(np.argmin(fastest(poses)[a : b + 1]))


def _gone(wanted: Sequence[Asked], index: int) -> bool:
    """Whether a body is on its way where one thing begins."""
    return any(one.verbs[0] in TRAVEL for one in wanted[max(0, index - 1) : index + 1])


def _coming_to_a_stand(
    poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int, window: Span, frames: int
) -> Iterator[np.ndarray]:
    """Motions in which the body comes to a stand, rests, and goes on."""
    verb = wanted[index].verbs[0]
    same = [line for line in notation.lines if line.verb == verb]
    if number_of(wanted, index) is not None and len(same) == 1 and verb in TRAVEL:
        often = sum(one.verbs[0] == verb for one in wanted)
        if same[0].end - same[0].start < PART * often:
            longer = remade(poses, notation, f"{verb} {PART * often:.1f} s")
            new = measured(longer) if longer is not None else None
            places = spans(wanted, new)[index] if new else None
            if longer is not None and places:
                poses, window = longer, (places[0], places[0])
    a, b = (round(second * splicing.FPS) for second in window)
    a, b = max(1, min(a, b - 1) - 8), min(len(poses) - 1, b + 8)
    stand = upright()
    near_it = sorted(range(a, b), key=lambda frame: splicing.apart(poses[frame], stand))
    tried: list[int] = []
    for at in near_it:
        if all(abs(at - other) > 4 for other in tried):
            tried.append(at)
            before, after = poses[at - 1], poses[at]
            for more in SETTLING:
                still = splicing.held(stand, frames + more)
                way = [splicing.between(before, stand), still, splicing.between(stand, after)]
                yield splicing.joined([poses[:at], np.concatenate(way), poses[at:]])
        if len(tried) == 3:
            break


def _hurried(poses: np.ndarray, frames: int) -> np.ndarray | None:
    """The poses in so many frames; None where they would be too quick or too slow."""
    pace = len(poses) / max(1, frames)
    return splicing.paced(poses, pace) if HURRY[0] <= pace <= HURRY[1] else None
