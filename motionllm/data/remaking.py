"""Changes of a motion made to the motion itself: its frames are cut, joined, repeated, paced, turned or mirrored.

What can be done so is done exactly, and all else stays as it was; no model is asked but for what is added. `changes`
says what such a change makes of the plan; here is what it makes of the poses (`motion.splicing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from motionllm.data.acts import AMPLE, CHANGES_POSTURE, Act, act_of, acts, alone, besides, edge, unrolled
from motionllm.data.change_language import PACED, PATHS, Change, parse
from motionllm.data.changes import addressed, count_after, lasting_after, longer_for, size_after, without
from motionllm.data.timeline import BACKWARD, heading
from motionllm.errors import MotionLLMError
from motionllm.motion import splicing
from motionllm.motion.agreement import agreement
from motionllm.motion.notation import SMALL, VERBS, Notation, measure
from motionllm.motion.notation.verbs import GAITS, TRAVEL

FPS = splicing.FPS
LEAST = 4  # frames that must be left
_MARGIN = 0.2  # seconds before and after an act in which it begins and fades
BRIEF = 8  # frames; arms rest rather than so few be cut out
_ALTERNATING = ("march",)  # each of whose strokes is the other side's
_MOVED = ((0.0, 0.0), (0.15, 0.15), (-0.1, -0.1), (0.15, -0.1), (-0.1, 0.15), (0.3, 0.3), (0.6, 0.3))  # seconds
HIGHER = 1.15  # times as far from rest
ENLARGED = {"more": 1.3, "less": 0.75}
_LEAVING = 10  # frames before and after an act of the arms in which they leave and come back


def remade(poses: np.ndarray, old: Notation, change: str, more: np.ndarray | None = None) -> np.ndarray | None:
    """Poses (T, 67) of a motion that `old` was measured on → those after a change; None where it cannot be made so.

    change: a single one (`change_language.parts`), of at most one act (`each`), that `changed` can make of `old`. more:
    poses of what it adds (`added`).
    """
    change = " ".join(change.split())
    result = _remade(poses, unrolled(old, change), change, more)
    return result if result is not None and len(result) >= LEAST and np.isfinite(result).all() else None


def ways(poses: np.ndarray, old: Notation, change: str, more: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The ways in which a change can be made (`remade`), the plain one first: with the acts that it names beginning and
    ending some tenths of a second from where they are measured, because where an act begins is no matter of one frame.
    """
    old = unrolled(old, change)
    named = [line for line in old.lines if f" {line.verb} " in f" {change} "]
    for before, after in _MOVED if named else _MOVED[:1]:
        moved = {
            line: replace(line, start=max(0.0, line.start - before), end=min(old.seconds, line.end + after))
            for line in named
        }
        if all(line.start < line.end for line in moved.values()):
            lines = tuple(moved.get(line, line) for line in old.lines)
            made = remade(poses, replace(old, lines=lines), change, more)
            if made is not None:
                yield made


def rightness(plan: Notation, joints: np.ndarray, fps: float = FPS, old: Notation | None = None) -> float:
    """How much of a plan is measured on joints (T, 22, 3), in [0, 1]: 1 where every event that has a name is right, and
    none is left of what only the `old` plan has.
    """
    try:
        one = agreement(plan, measure(joints, fps))
    except MotionLLMError:  # under 5 frames
        return 0.0
    wrong = [bool(row.wrong) for row in one.rows if row.planned and row.planned.verb not in SMALL]
    gone = {line.verb for line in old.lines} - {line.verb for line in plan.lines} - {*SMALL} if old else set()
    wrong += [True for row in one.rows if row.found and not row.planned and row.found.verb in gone]
    return 1.0 if not any(wrong) else float(1 - np.mean(wrong) + one.score) / 2


def _remade(poses: np.ndarray, old: Notation, change: str, more: np.ndarray | None) -> np.ndarray | None:
    one = parse(change)
    match one.form:
        case "pace":
            return splicing.paced(poses, one.value)
        case "mirror":
            return splicing.mirrored(poses)
        case "reversed":
            return splicing.backward(poses)
        case "lasting":
            return splicing.paced(poses, 1 / one.value)
        case "seconds":
            return splicing.paced(poses, len(poses) / FPS / one.value)
        case "part":
            return poses[_frame(poses, one.span[0]) : _frame(poses, one.span[1])]
        case "repeat":
            return splicing.joined([poses] * round(one.value))
        case "wait":
            return _waiting(poses, old, one)
        case "then" | "first" | "meanwhile":
            return None if more is None else _with_more(poses, old, one.form, more)
        case "after" | "before":
            at = round(edge(old, act_of(old, one.act), one.form) * FPS)
            return None if more is None else splicing.joined([poses[:at], more, poses[at:]])
        case "becomes":
            act = act_of(old, one.act)
            if more is None or not alone(act, acts(old)):
                return None
            later = any(o.start >= act.end - 0.25 for o in acts(old) if o != act)
            rest = poses[_frame(poses, act.end) :] if later else poses[:0]
            return splicing.joined([poses[: _frame(poses, act.start)], more, rest])
        case "order":
            return _exchanged(poses, old, act_of(old, one.other), act_of(old, one.act))
        case "no":
            return _without(poses, old, act_of(old, one.act))
        case "only":
            return _only(poses, old, one.act)
    addressee, how = addressed(old, change)
    return None if addressee is None else _of_act(poses, old, addressee, how)


def _frame(poses: np.ndarray, seconds: float) -> int:
    return min(len(poses), max(0, round(seconds * FPS)))


def gaps(poses: np.ndarray, old: Notation, act: Act) -> tuple[tuple[int, int], tuple[int, int]]:
    """The frames, from and to, between the act before and this one, and between this one and the act after; for an act
    of the arms beside others, acts of the arms.
    """
    others = [o for o in acts(old) if o != act and (_of_arms(o) or not _of_arms(act) or alone(act, acts(old)))]
    start = max([0.0, *(min(o.end, act.start) for o in others if o.start < act.start)])
    end = min([old.seconds, *(max(o.start, act.end) for o in others if o.end > act.end)])
    last = len(poses) if end > old.seconds - 0.15 else _frame(poses, end)
    return (_frame(poses, start), _frame(poses, act.start)), (_frame(poses, act.end), last)


def _span(poses: np.ndarray, old: Notation, act: Act) -> tuple[int, int]:
    """(first, last) frame of an act and of what leads to it and from it, as far as no other act is there."""
    (a, b), (c, d) = gaps(poses, old, act)
    margin = round(_MARGIN * FPS)
    return max(a, b - margin), min(d, c + margin)


def reach(poses: np.ndarray, old: Notation, act: Act) -> tuple[int, int]:
    """(first, last) frame of an act with the half second before and after it in which it begins and ends."""
    (a, b), (c, d) = gaps(poses, old, act)
    return max(a, b - _LEAVING), min(d, c + _LEAVING)


def _around(poses: np.ndarray, old: Notation, act: Act) -> tuple[int, int]:
    """The stretch of an act that can be mirrored: to the ends of the clip, or to an even pose beside it."""
    (a, b), (c, d) = gaps(poses, old, act)
    first = 0 if a == 0 else splicing.most_even(poses, range(a, b + 1))
    return first, len(poses) if d >= len(poses) else splicing.most_even(poses, range(c, d + 1))


def _arms_beside(old: Notation, act: Act) -> list[Act] | None:
    """The acts at the same time as this one; None where some are not of the arms alone."""
    one = act.main
    others = [o for o in acts(old) if o != act]
    beside = [o for o in others if min(o.main.end, one.end) - max(o.main.start, one.start) >= 0.25]
    return beside if all(_of_arms(o) for o in beside) else None


def _waiting(poses: np.ndarray, old: Notation, one: Change) -> np.ndarray:
    at = len(poses) if one.where == "at the end" else _frame(poses, act_of(old, one.act).start) if one.act else 0
    still = splicing.held(poses[max(0, min(at, len(poses) - 1))], round(one.value * FPS))
    return splicing.joined([poses[:at], still, poses[at:]])


def _with_more(poses: np.ndarray, old: Notation, how: str, more: np.ndarray) -> np.ndarray | None:
    if how != "meanwhile":
        return splicing.joined([poses, more] if how == "then" else [more, poses])
    every = acts(old)
    if not every:
        return more
    act = max(every, key=lambda a: (a.main.verb in TRAVEL, a.main.end - a.main.start))
    first, last = _frame(poses, act.main.start), _frame(poses, act.main.end)
    if len(more) > last - first:
        more = splicing.paced(more, min(5.0, len(more) / max(2, last - first)))
    first += max(0, min(round(0.5 * FPS), (last - first - len(more)) // 2))
    return splicing.with_arms(poses, more, first, last)


def _exchanged(poses: np.ndarray, old: Notation, before: Act, after: Act) -> np.ndarray | None:
    """Two acts in the other order, cut where the poses between them, before and after are most alike."""
    every = acts(old)
    if not (alone(before, every) and alone(after, every)) or after.start < before.end - 0.1:
        return None
    (a, b), (_, d) = gaps(poses, old, before)[0], gaps(poses, old, after)[1]
    between = (_frame(poses, before.end), max(_frame(poses, before.end), _frame(poses, after.start)))
    x, y, z = splicing.nearest(poses, [(a, b), between, (_frame(poses, after.end), d)])
    return splicing.joined([poses[:x], poses[y:z], poses[x:y], poses[z:]])


def _without(poses: np.ndarray, old: Notation, act: Act) -> np.ndarray | None:
    """An act cut out; where something else is done at the same time, the arms rest, or the legs stand still."""
    every = acts(old)
    gap, after = gaps(poses, old, act)
    new = without(old, act)
    frames = round((old.seconds - new.seconds) * FPS)
    if _of_arms(act) and (frames < BRIEF or not alone(act, every)):
        return _at_rest(poses, old, act)
    if not alone(act, every):
        beside = _arms_beside(old, act)
        if beside is None or act.main.verb in CHANGES_POSTURE:
            return None
        first, last = _span(poses, old, act)
        still = splicing.held(poses[first], last - first)
        return _with_own_arms(splicing.joined([poses[:first], still, poses[last:]]), poses, old, beside)
    if new.postures[1] != old.postures[1]:  # who did not sit down stands at the end
        kept = poses[: gap[0] + 1]
        return splicing.joined([kept, splicing.held(kept[-1], max(0, len(poses) - frames - len(kept)))])
    if new.postures[0] != old.postures[0]:
        return poses[after[0] :]
    if len(every) < 2:
        return None
    a, b = splicing.alike(poses, gap, after, frames)
    return splicing.joined([poses[:a], poses[b:]])


def _at_rest(poses: np.ndarray, old: Notation, act: Act, sides: Sequence[str] = ("left", "right")) -> np.ndarray:
    """The arms, during an act of theirs, as they hang before or after it."""
    first, last = reach(poses, old, act)
    rest = splicing.held(_hanging(poses, old, act), last - first)
    return splicing.with_arms(poses, rest, first, last, sides)


def _hanging(poses: np.ndarray, old: Notation, act: Act, sides: Sequence[str] = ("left", "right")) -> np.ndarray:
    """The pose (67,) before or after an act in which the arms of these sides hang lowest."""
    gap, after = gaps(poses, old, act)
    beside = [f for a, b in (gap, after) for f in range(a, b + 1) if f < len(poses)]
    return poses[splicing.lowest_arms(poses, beside or [gap[0]], sides)]


def _only(poses: np.ndarray, old: Notation, name: str) -> np.ndarray | None:
    """One act, all others cut out, but for what is done at the same time as it and cannot be taken from it, as the body
    that bends down before a high jump.
    """
    act = act_of(old, name)
    kept = [one.main for one in acts(old) if one.main.verb == act.main.verb]
    other, name = besides(old, name)
    while other:
        cut = _without(poses, old, other)
        if cut is None and not any(o.start < other.main.end and o.end > other.main.start for o in kept):
            return None
        poses, old = poses if cut is None else cut, without(old, other)
        other, name = besides(old, name)
    return poses


def _of_arms(act: Act) -> bool:
    """Whether an act is one of the arms alone."""
    verb, part = act.main.verb, act.main.part
    return verb in ("clap", "hands on hips") or (("arm" in part or "hand" in part) and verb != "bend down")


def _of_act(poses: np.ndarray, old: Notation, act: Act, how: str) -> np.ndarray | None:
    """A side, way, count, size, pace or duration of one act."""
    main, spec = act.main, VERBS[act.main.verb]
    by_itself = alone(act, acts(old))
    if how == "other side" or how in spec.parts:
        return _other_limb(poses, old, act, how)
    if how in ("other way", "left", "right", "forward", "backward"):
        return _other_way(poses, old, act, how)
    first, last = _frame(poses, main.start), _frame(poses, main.end)
    count = count_after(main, how)
    if count:
        return _repeated(poses, old, act, count)
    if factor := lasting_after(main, how):
        return _lasting(poses, old, act, factor)
    if how in ("faster", "slower"):
        return splicing.paced(poses, PACED[how], first, last)
    if how in PATHS:
        more = round(longer_for(main, PATHS[how]) * FPS)
        longer = splicing.lengthened(poses, more, first, last)
        return splicing.on_path(longer, PATHS[how], first, last + len(longer) - len(poses))
    if how in ("more", "less") and main.verb in AMPLE:
        return _enlarged(poses, old, act, how)
    size = size_after(main, how)
    if size and (by_itself or (main.verb != "turn" and _arms_beside(old, act) is not None)):
        return _sized(poses, old, act, size)
    return None


def _lasting(poses: np.ndarray, old: Notation, act: Act, factor: float) -> np.ndarray | None:
    """An act that lasts so many times as long, or is repeated as often: a path is as much of a curve as it was."""
    main = act.main
    if main.count > 1 and main.verb not in TRAVEL:
        return _repeated(poses, old, act, max(1, round(main.count * factor)))
    first, last = _frame(poses, main.start), _frame(poses, main.end)
    more = round((factor - 1) * (last - first))
    if more > 0:
        longer = splicing.lengthened(poses, more, *_by_itself(poses, old, act))
    else:
        longer = splicing.shortened(poses, -more, first, last)
    if not main.curve:
        return longer
    end = last + len(longer) - len(poses)
    turned = float(longer[first:end, 0].sum())
    ratio = float(poses[first:last, 0].sum()) / turned if turned else 1.0
    return splicing.turning(longer, ratio, first, end)


def _by_itself(poses: np.ndarray, old: Notation, act: Act) -> tuple[int, int]:
    """(first, last) frame of the longest stretch of an act in which no other is done, so that it can be repeated
    without that; of the whole act where there is no second of it.
    """
    main, others = act.main, [o for o in acts(old) if o != act]
    at = [t for o in others for t in (o.start, o.end) if main.start < t < main.end]
    edges = pairwise(sorted({main.start, *at, main.end}))
    free = [(b - a, a, b) for a, b in edges if b - a >= 1 and not any(o.start < b and o.end > a for o in others)]
    _, start, end = max(free, default=(0.0, main.start, main.end))
    return _frame(poses, start), _frame(poses, end)


def _other_limb(poses: np.ndarray, old: Notation, act: Act, how: str) -> np.ndarray | None:
    """An act with the other limb, with both, or with one of both."""
    was, now = act.main.part.split(" ")[0], how.split(" ")[0]
    first, last = _span(poses, old, act)
    if first >= last or not was:
        return None
    part = poses[first:last]
    if how == "other side" or (now in ("left", "right") and was != "both"):
        if _of_arms(act):
            return splicing.with_arms(poses, splicing.mirrored(part), first, last)
        return _mirrored(poses, old, act)
    bends = act.main.verb == "bend down"
    if not (_of_arms(act) or bends):
        return None
    if now == "both" and was in ("left", "right"):
        other = "right" if was == "left" else "left"
        return splicing.with_arms(poses, splicing.mirrored(part), first, last, [other])
    if was == "both" and now in ("left", "right"):
        other = "right" if now == "left" else "left"
        if bends:
            return splicing.beside_trunk(poses, _hanging(poses, old, act, [other]), first, last, other)
        return _at_rest(poses, old, act, [other])
    return None


def _other_way(poses: np.ndarray, old: Notation, act: Act, how: str) -> np.ndarray | None:
    """A turn or curve to the other side, a walk backward in place of forward."""
    main, way = act.main, heading(act.main)
    along = way in ("forward", "backward") and how in ("other way", "forward", "backward")
    if along:
        if main.verb not in (*GAITS, "step", "jump"):
            return None
        beside = _arms_beside(old, act)
        if beside is None:
            return None
        first, last = _frame(poses, act.start), _frame(poses, act.end)
        if last - first < LEAST:
            return None
        pace = 1.0 if main.verb == "jump" else BACKWARD if way == "forward" else 1 / BACKWARD
        part = splicing.paced(splicing.backward(poses[first:last]), pace)
        more = last - first - len(part)
        part = (splicing.lengthened if more > 0 else splicing.shortened)(part, abs(more), 0, len(part))
        return _with_own_arms(splicing.joined([poses[:first], part, poses[last:]]), poses, old, beside)
    if way in ("left", "right") and how in ("other way", "left", "right"):
        return _mirrored(poses, old, act)
    return None


def _mirrored(poses: np.ndarray, old: Notation, act: Act) -> np.ndarray | None:
    """An act mirrored; what the arms do at the same time stays."""
    beside = _arms_beside(old, act)
    if beside is None:
        return None
    first, last = _around(poses, old, act)
    return _with_own_arms(
        splicing.joined([poses[:first], splicing.mirrored(poses[first:last]), poses[last:]]), poses, old, beside
    )


def _with_own_arms(result: np.ndarray, poses: np.ndarray, old: Notation, beside: Sequence[Act]) -> np.ndarray:
    """The result with the arms that the poses have during these acts."""
    for act in beside:
        first, last = _span(poses, old, act)
        result = splicing.with_arms(result, poses[first:last], first, last)
    return result


def _repeated(poses: np.ndarray, old: Notation, act: Act, count: int) -> np.ndarray | None:
    """An act done so many times, by repeating or leaving out whole executions."""
    main = act.main
    if main.verb in TRAVEL or main.verb in CHANGES_POSTURE:
        return None
    first, last = _frame(poses, main.start), _frame(poses, main.end)
    if main.count == count:
        return poses
    stroke = (last - first) / main.count
    if main.count > 1 and count < main.count:
        return splicing.shortened(poses, round((main.count - count) * stroke), first, last)
    if main.count > 1:
        times, strokes = count - main.count, 1
        if main.verb in _ALTERNATING:  # the left leg and the right one
            times, strokes = max(1, round(times / 2)), 2
        return splicing.repeated(poses, times, round(strokes * stroke), first, last)
    a, b = _span(poses, old, act)
    a, b = max(0, first - _LEAVING, min(a, first)), min(len(poses), last + _LEAVING, max(b, last))
    return splicing.joined([poses[:b], *[poses[a:b]] * (count - 1), poses[b:]])


def _enlarged(poses: np.ndarray, old: Notation, act: Act, how: str) -> np.ndarray:
    """A gesture larger or smaller: the limbs that make it turned further from where they are at rest, or less far; in
    one to and fro, from its middle, and a wave is higher as well.
    """
    first, last = reach(poses, old, act)
    for limb in splicing.limbs_of(act.main.part):
        one = limb.split(" ")[0]
        if "arm" in limb:
            rest = poses[splicing.lowest_arms(poses, range(len(poses)), [one])]
        else:
            rest = poses[splicing.straightest_leg(poses, one)]
        ratio = ENLARGED[how]
        if act.main.verb in ("wave", "swing", "circle"):
            if act.main.verb == "wave" and how == "more":
                poses = splicing.enlarged(poses, limb, HIGHER, rest, first, last)
            rest = poses[_frame(poses, act.main.start) : _frame(poses, act.main.end)].mean(0)
        poses = splicing.enlarged(poses, limb, ratio, rest, first, last)
    return poses


def _sized(poses: np.ndarray, old: Notation, act: Act, size: float) -> np.ndarray | None:
    """A turn, jump or bow of another size."""
    verb, was = act.main.verb, act.main.size
    first, last = _span(poses, old, act)
    if verb == "turn":
        first, last = _frame(poses, act.main.start), _frame(poses, act.main.end)
        longer = min(3.0, max(0.5, size / was))  # at about the same speed
        count = len(poses)
        poses = splicing.paced(poses, 1 / longer, first, last)
        return splicing.turning(poses, size / was, first, last + len(poses) - count)
    if verb in ("jump", "hop"):
        return splicing.rising(poses, size - was, first, last)
    if verb in ("bow", "lean"):
        return splicing.bending(poses, size - was, first, last)
    return None
