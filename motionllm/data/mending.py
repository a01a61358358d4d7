"""Motions mended by what their text says plainly: the side, way, count, degrees, pace, seconds and metres of what they
show, what is to be done at the same time, and what is missing put in.

A generated motion is measured, compared with what its text asks for (`asked`), and changed as a person would ask for it
(`remaking`). A change is kept only where the motion, measured again, has more of what is asked than before. Measured is
the motion as it is returned: with the bones of a body, on the floor (`built`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from motionllm.data.acts import acts, alone
from motionllm.data.asked import Asked, at_once, line_of, named, pace_of, plainly, shown
from motionllm.data.asked import share as share_in
from motionllm.data.changes import changed
from motionllm.data.heeding import number_of, unheeded
from motionllm.data.remaking import reach, remade
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion, splicing
from motionllm.motion.notation import PACES, VERBS, Notation, measure
from motionllm.motion.notation.verbs import GAITS
from motionllm.motion.representation import HUMANML3D_263

ROUNDS = 6  # most changes of one motion
PACES_TRIED = ((0.8, 0.65, 0.5, 0.4), (1.25, 1.5, 2.0, 2.5))  # of an act that is to be slow, and quick
VAGUE = ("raise", "lower", "stretch", "bend", "swing", "hold", "step")  # verbs that by themselves ask for no motion
# Metres, mean over the joints, between the poses at a seam: above the first the body is led from one to the other, as
# someone who stands gets down on hands and knees (0.8), and above the second, as from a walk to lying (1.1), it is not.
FAR, FARTHEST = 0.35, 0.9
REWORDED = ("sidestep",)  # acts that a model does by `sentence`, if not by the words of a text
POINTING = ("point", "point up")
ACTED = (*POINTING, "kneel")  # acts that are made by rule (`data.acted`)
GOES = 1.8  # seconds of a gait before or after something else, where it lasts less than a second or so (BRIEF)
BRIEF = 1.5
IDLE, LONG_IDLE = 0.7, 1.5  # seconds at either end in which nothing is done that are left, and that are too long
STILL = 0.1  # m/s, mean over the joints: a body that does nothing stays below, and one that dances in place does not
_REST = r"\b(?:still|stay|stops?\b|wait|paus|rest(?:s|ed|ing)?\b|freez|idl|motionless|seconds?)"
BESIDES = 0.2  # of what is asked for: what a motion is worth that shows nothing else, as in ranking candidates
HURRY = (0.6, 1.6)  # least and most pace at which a motion of a fixed duration is played to have it again


def mended(poses: np.ndarray, wanted: Sequence[Asked], fixed: bool = False) -> np.ndarray:
    """Poses (T, 67) of a motion → those with as much of what is asked as can be set right on it, or as they are.

    fixed: the duration stays.
    """
    wanted = list(wanted)
    frames, notation = len(poses), measured(poses)
    best = share_in(wanted, notation) if notation else 1.0
    for _ in range(ROUNDS):
        if best >= 1 or notation is None:
            break
        changes = [change for i in range(len(wanted)) for change in _changes(notation, wanted, i)]
        changes += _reordered(notation, wanted)
        made = [remade(poses, notation, change) for change in changes if _can_be_made(notation, change)]
        made += [one for thing in wanted for one in _at_its_pace(poses, notation, thing)]
        tries = [_fitted(one, frames if fixed else 0) for one in made if one is not None]
        scored = [(share_in(wanted, one[1]), -i) for i, one in enumerate(tries) if one]  # the first of equals
        if not scored or max(scored)[0] <= best:
            break
        best, i = max(scored)
        poses, notation = tries[-i]  # type: ignore[misc]
    return poses


def brisk(poses: np.ndarray, text: str, wanted: Sequence[Asked]) -> np.ndarray:
    """The motion without the time before and after all that is done in it, but for IDLE seconds, where a text asks for
    an act and not for rest. What no event describes is done as well: the body must be still.
    """
    notation = measured(poses) if any(map(plain, wanted)) and not re.search(_REST, text.lower()) else None
    if notation is None or not notation.lines:
        return poses
    moves = np.flatnonzero(splicing.speeds(poses) > STILL) / splicing.FPS
    starts = min([*(x.start for x in notation.lines), *moves[:1]])
    ends = max([*(x.end for x in notation.lines), *moves[-1:]])
    first = round((starts - IDLE) * splicing.FPS) if starts > LONG_IDLE else 0
    last = round((ends + IDLE) * splicing.FPS) if ends < notation.seconds - LONG_IDLE else len(poses)
    cut = poses[first:last]
    cut = built(cut) if len(cut) < len(poses) else cut
    new = measured(cut) if len(cut) < len(poses) else None
    return cut if new and share_in(list(wanted), new) >= share_in(list(wanted), notation) else poses


def missing(poses: np.ndarray, wanted: Sequence[Asked], made: bool | None = None) -> list[int]:
    """Which of the things asked for a motion does not show as it is asked for, of those that a sentence can ask for:
    not arms that move somehow. made: of those alone that are made (ACTED), or of the others alone.
    """
    notation = measured(poses)
    if notation is None:
        return []
    return [
        i
        for i, one in enumerate(wanted)
        if plain(one)
        and made in (None, one.action in ACTED)
        and not (plainly(one, notation) and _when_asked(notation, wanted, i) and _again(notation, wanted, i))
    ]


def _when_asked(notation: Notation, wanted: Sequence[Asked], index: int) -> bool:
    """Whether a thing is done at the same time as the one before it, where that is asked for."""
    one, before = wanted[index], wanted[max(0, index - 1)]
    return not one.meanwhile or not shown(before, notation) or at_once(before, one, notation)


def _again(notation: Notation, wanted: Sequence[Asked], index: int) -> bool:
    """Whether who is to go on after something else does: "runs, turns around and runs back"."""
    one, before = wanted[index], wanted[max(0, index - 1)]
    if (
        one.verbs[0] not in GAITS
        or one.meanwhile
        or all(one.verbs[0] != other.verbs[0] for other in wanted[: max(0, index - 1)])
    ):
        return True
    done = [x.start for x in notation.lines if x.verb in before.verbs and not VERBS[x.verb].speed]
    return not done or any(x.start > min(done) for x in notation.lines if x.verb in one.verbs and x.verb in GAITS)


def lacking(poses: np.ndarray, wanted: Sequence[Asked]) -> list[str]:
    """Sentences of what is asked for and not measured so on a motion, of those things that are asked for plainly."""
    notation = measured(poses)
    if notation is None:
        return []
    asked_for = [
        _in_full(one)
        for i, one in enumerate(wanted)
        if plain(one) and not (plainly(one, notation) and _again(notation, wanted, i))
    ]
    apart = [i for i in range(len(wanted)) if shown(wanted[i], notation) and not _when_asked(notation, wanted, i)]
    asked_for += [f"{sentence(wanted[i])} at the same time" for i in apart]
    return asked_for + _reordered(notation, wanted)


def ample(poses: np.ndarray, wanted: Sequence[Asked]) -> np.ndarray:
    """The motion with its gaits as long as one sees them, where they last a step or two beside something else and the
    text does not say how long: "runs and then jumps".
    """
    for one in wanted:
        notation = measured(poses)
        if (
            notation is None
            or len(wanted) < 2
            or one.verbs[0] not in GAITS
            or one.seconds
            or one.metres
            or one.meanwhile
        ):
            continue
        lines = [line for line in notation.lines if line.verb in GAITS]
        if len(lines) != 1 or lines[0].verb != one.verbs[0] or lines[0].end - lines[0].start >= BRIEF:
            continue
        longer = remade(poses, notation, f"{one.verbs[0]} {GOES:.1f} s")
        made = _fitted(longer, 0) if longer is not None else None
        if made and share_in(list(wanted), made[1]) >= share_in(list(wanted), notation):
            poses = made[0]
    return poses


def sentence(one: Asked) -> str:
    """One thing that is asked for, as a text of its own: "a person waves with the right hand three times"."""
    return Notation(1.0, ("standing", "standing"), (line_of(one),)).sentence()


def _in_full(one: Asked) -> str:
    """`sentence` with how long and how far, which a model's captions do not say."""
    if one.action in POINTING:
        return f"a person points{' up' * (one.action != 'point')}{f' with the {one.side} hand' * bool(one.side)}"
    lasts, far = f" for {one.seconds:g} seconds" * bool(one.seconds), f" {one.metres:.2g} metres" * bool(one.metres)
    return f"{sentence(one)}{far}{lasts}"


def put_in(
    poses: np.ndarray, wanted: Sequence[Asked], index: int, options: Sequence[np.ndarray], fixed: bool = False
) -> tuple[np.ndarray, int | None]:
    """The motion with one of the `options`, motions of the thing `index` that it lacks or does otherwise: in the place
    of that, or after what comes before it in the text; and the number of the option. As it was and None, where with
    none it has more of what is asked. Of several the one is taken with the most of it and the least besides, and of
    such as are equal in both the one whose poses fit best to its own.

    fixed: the duration stays.
    """
    notation, wanted = measured(poses), list(wanted)
    if notation is None:
        return poses, None
    whole, frames, taken = poses, len(poses) if fixed else 0, None
    shows, best = share_in(wanted, notation), (_worth(wanted, notation), -np.inf)
    for number, more in enumerate(options):
        ways = [(_at_the_same_time(whole, notation, wanted, index, more), 0.0)]
        ways += [_led_to(whole[:first], more, whole[last:]) for first, last in _places(whole, notation, wanted, index)]
        for way, apart in ways:
            made = _fitted(way, frames) if way is not None and apart <= FARTHEST else None
            score = (_worth(wanted, made[1]), -apart) if made else (0.0, 0.0)
            if made and share_in(wanted, made[1]) > shows and score > best:
                poses, best, taken = made[0], score, number
    return poses, taken


def _worth(wanted: Sequence[Asked], notation: Notation) -> float:
    """How good a motion is by what is measured on it: what is asked for, and that little else is done. To 1 %."""
    return round(share_in(list(wanted), notation) + BESIDES * named(list(wanted), notation), 2)


def _at_the_same_time(
    poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int, more: np.ndarray
) -> np.ndarray | None:
    """The motion with what it lacks done at the same time as something else, the arms of one on the legs of the other;
    None where that is not asked for, or cannot be made.
    """
    if not any(one.meanwhile for one in wanted[index : index + 2]):
        return None
    if VERBS[wanted[index].verbs[0]].speed:
        legs, arms = more, poses
    else:
        without = [act.main.verb for act in acts(notation) if act.main.verb in wanted[index].verbs][:1]
        cut = remade(poses, notation, f"no {without[0]}") if without and len(acts(notation)) > 1 else None
        legs, arms = poses if cut is None else cut, more
    below = measured(legs)
    return remade(legs, below, "meanwhile a person moves", arms) if below else None


def _led_to(*pieces: np.ndarray) -> tuple[np.ndarray, float]:
    """The pieces one after another, the body led from each to the next where their poses are FAR apart; and the
    greatest distance of these, in metres.
    """
    there = [piece for piece in pieces if len(piece)]
    whole, farthest = there[0], 0.0
    for piece in there[1:]:
        apart = splicing.apart(whole[-1], piece[0])
        way = splicing.between(whole[-1], piece[0]) if apart > FAR else piece[:0]
        whole, farthest = splicing.joined([whole, way, piece]), max(farthest, apart)
    return whole, farthest


def _places(poses: np.ndarray, notation: Notation, wanted: Sequence[Asked], index: int) -> list[tuple[int, int]]:
    """Where one thing that is asked for may be put in a motion: (first, last) frame of what makes room for it."""
    one = wanted[index]
    if len(wanted) == 1:
        return [(0, len(poses))]
    every = acts(notation)
    if shown(one, notation) and _again(notation, wanted, index):
        gait = one.verbs[0] != "turn"
        same = [act for act in every if act.main.verb in one.verbs and (gait or not VERBS[act.main.verb].speed)]
        if same:  # a turn may be shown by a gait that turns alone, which stays
            return [reach(poses, notation, act) for act in same if alone(act, every)]
    places = [act.main.end for act in every if any(act.main.verb in one.verbs for one in wanted[:index])]
    later = [act.main.start for act in every if any(act.main.verb in one.verbs for one in wanted[index + 1 :])]
    at = max(places, default=0.0) if index else 0.0
    if not any(start >= at - 0.25 for start in later):
        at = notation.seconds if index or not later else 0.0
    frame = min(len(poses), round(at * splicing.FPS))
    around = {one.verbs[0] for one in wanted[max(0, index - 1) : index]} & {
        one.verbs[0] for one in wanted[index + 1 :][:1]
    }
    split = [act for act in every if act.main.verb in around & {*GAITS}]
    if len(split) == 1:  # "runs, turns around and runs back", of one run
        middle = round((split[0].main.start + split[0].main.end) / 2 * splicing.FPS)
        return [(frame, frame), (middle, middle)]
    return [(frame, frame)]


def plain(one: Asked) -> bool:
    """Whether a thing that is asked for has a sentence of its own: not arms that move somehow."""
    return (one.verbs[0] not in VAGUE or one.action in (*REWORDED, *POINTING)) and one.action != "move"


def _changes(notation: Notation, wanted: Sequence[Asked], index: int) -> list[str]:
    """The changes by which a motion may have more of one thing that is asked for."""
    changes = unheeded(notation, wanted[index], number_of(wanted, index))
    # Repeated, quick strokes may melt into one: the count that is then measured decides.
    counts = [re.fullmatch(r"(.+ x)(\d+)", change) for change in changes]
    return changes + [f"{m[1]}{int(m[2]) + more}" for m in counts if m for more in (1, -1) if int(m[2]) + more > 0]


def _at_its_pace(poses: np.ndarray, notation: Notation, one: Asked) -> list[np.ndarray]:
    """The motion with an act slower or quicker, where the text states its pace and it is another; the mildest first."""
    shows = [act for act in acts(notation) if act.main.verb in one.verbs]
    if not one.pace or not shows or any(pace_of(act.main) == one.pace for act in shows):
        return []
    first, last = reach(poses, notation, shows[0])
    return [splicing.paced(poses, pace, first, last) for pace in PACES_TRIED[one.pace == PACES[1]]]


def _reordered(notation: Notation, wanted: Sequence[Asked]) -> list[str]:
    """The changes of order by which things are done in that of the text."""
    done = [(one, [act.main for act in acts(notation) if act.main.verb in one.verbs]) for one in wanted]
    return [
        f"{a[0].verb} before {b[0].verb}"
        for (_, a), (then, b) in pairwise(done)
        if a and b and not then.meanwhile and a[0].start > b[0].start + 0.3
    ]


def _can_be_made(notation: Notation, change: str) -> bool:
    try:
        return changed(notation, change, lambda _: notation) != notation
    except MotionLLMError:
        return False


def _fitted(poses: np.ndarray, frames: int) -> tuple[np.ndarray, Notation] | None:
    """Poses and what is measured on them; None where that cannot be, or they cannot be played in so many frames (0: any
    number).
    """
    if frames and len(poses) != frames:
        pace = len(poses) / frames
        if not HURRY[0] <= pace <= HURRY[1]:
            return None
        poses = splicing.paced(poses, pace)
    poses = built(poses)
    new = measured(poses)
    return (poses, new) if new else None


def built(poses: np.ndarray) -> np.ndarray:
    """The poses with constant bones, on the floor: as a file gets them."""
    if not len(poses) or not np.isfinite(poses).all():
        return poses
    motion = HUMANML3D_263.finished(Motion(splicing.joints_of(poses), splicing.FPS))
    return splicing.poses_of(motion.joints)


def measured(poses: np.ndarray) -> Notation | None:
    """The notation of poses (T, 67); None of those under 5 frames, or not finite."""
    try:
        return measure(splicing.joints_of(poses))
    except MotionLLMError:
        return None
