"""Whether changes that a user asks for are made, and everything else is kept: in the plan, and in the motion.

Requests are drawn by `data.edits` on held-out clips, in phrasings and names that training never sees, or read from a
file of freely worded ones (`written`); their own change is the expected result. What the old plan and the expected
one have in common must be kept; where they differ is the change. A new plan, and the notation measured on what the clip
becomes (`lm.editing`), are compared with both, event by event (`motion.agreement`). Only events of the whole body and
gestures count, not arms that swing along.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from motionllm import corpus as builtin
from motionllm.config import Source
from motionllm.data.acts import act_of, unrolled
from motionllm.data.asked import asked as asked_in
from motionllm.data.change_language import added, parts
from motionllm.data.changes import changed
from motionllm.data.edit_kinds import CHANGING, Donors
from motionllm.data.edits import SEVERAL, Edit, edited
from motionllm.data.remaking import BRIEF, FPS
from motionllm.data.sources import loaded, read
from motionllm.errors import MotionLLMError
from motionllm.files import read_jsonl
from motionllm.lm.model import MotionLM
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import Sampling
from motionllm.motion.agreement import RIGHT, Agreement, Row, agreement
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import SMALL, VERBS, Notation, measure
from motionllm.motion.notation.verbs import LEADS_TO
from motionllm.motion.representation import HUMANML3D_263
from motionllm.motion.splicing import LIMBS, limbs_of

JUDGED = (*CHANGING, SEVERAL)
LONGEST = 10.0  # seconds; longer clips are not edited
LARGER = 1.05  # least factor by which a gesture that is to be larger is
LONGER = 0.15  # seconds by which an edit changes the duration, which must then be nearer to the expected one
# Attributes that a request may leave open for an act that it adds, and the words that state them.
_FREE = {
    "side": re.compile(r"\b(left|right|both)\b"),
    "way": re.compile(r"\b(left|right|forwards?|backwards?|up|down|sideways|out)\b"),
    "count": re.compile(r"\b(once|twice|times?|\d+x|one|two|three|four|five|six|single)\b"),
    "size": re.compile(r"\b(degrees|around|circle|other way)\b"),
}
# Where these change, a motion must only come nearer to the expected value, because measuring a real clip played at
# another speed gives other values too. Likewise a slow run that is kept may be measured as a walk.
_SOFT = {"time", "size", "speed"}


@dataclass(frozen=True)
class Clip:
    """id: in its set. caption: one of its captions, or "". notation: measured on it. features: (T, 263)."""

    id: str
    caption: str
    notation: Notation
    features: np.ndarray = field(compare=False, repr=False)


@dataclass(frozen=True)
class Request:
    """An edit of a clip, and the clip's features (T, 263)."""

    edit: Edit
    features: np.ndarray = field(compare=False, repr=False)


@dataclass(frozen=True)
class Verdict:
    """change: it was made. rest: everything else was kept."""

    change: bool
    rest: bool

    @property
    def right(self) -> bool:
        return self.change and self.rest


def judged(edit: Edit, got: Notation, measured: bool = False, larger: bool = True) -> Verdict:
    """Judge a notation that should be `edit.new`. measured: it was measured on a motion, which has more events than a
    plan. larger: whether a gesture, of whose size no notation tells, is as large or small as asked (`enlarged`).
    """
    asked, achieved = agreement(edit.new, edit.old), agreement(edit.new, got)
    number = len(edit.new.lines)
    main = [i for i, row in enumerate(asked.rows[:number]) if row.planned and row.planned.verb not in SMALL]
    change = rest = True
    differs = False
    # How often an act is done that is to last longer is the body's to say.
    soft = _SOFT | ({"count"} if _does(edit, "act duration", "duration") else set())
    # In the place of a brief gesture that is left out the arms may rest.
    longer = abs(edit.old.seconds - edit.new.seconds) > (BRIEF / FPS if _does(edit, "remove", "keep") else LONGER)
    for i in main or range(number):
        before, after = _wrong(asked.rows[i]), _wrong(achieved.rows[i])
        late = {"time"} if _whenever(edit, asked.rows[i]) else set()
        differs |= bool(before)
        if "missing" in before and not _named(edit, asked.rows[i]):
            continue
        if "missing" in before or "verb" in before:
            change &= not after - _free(edit, asked.rows[i])
        elif measured:
            then, now = asked.rows[i].agrees, achieved.rows[i].agrees
            often = _as_often(edit, asked.rows[i])
            change &= not (before - soft - often) & after and ("missing" not in after or before <= soft)
            words = {"speed"} if longer and not edit.new.lines[i].speed else set()  # "quickly" changes by steps
            change &= not now or all(
                now[name] > then[name] or (name in words and now[name] == then[name])
                for name in before & soft - late - often
            )
            both = (achieved.rows[i].planned, achieved.rows[i].found)
            travels = all(line and VERBS[line.verb].speed for line in both)
            rest &= not after - before - _SOFT - ({"verb"} if travels else set()) - often
        else:
            change &= not (before - late) & after and "missing" not in after
            rest &= not after - before
    gone = _extra(asked) - {row.planned.verb for row in asked.rows[:number] if row.planned}
    gone -= {verb for verb, posture in LEADS_TO.items() if posture == got.postures[0] == edit.new.postures[0]}
    differs |= bool(gone)
    change &= not gone & {line.verb for line in got.lines}
    rest &= measured or not _extra(achieved) - gone  # a motion has more events than its plan
    # The duration must be nearer to the expected one, and within a tenth of it; how long what is added lasts is open.
    apart, was = abs(got.seconds - edit.new.seconds), abs(edit.old.seconds - edit.new.seconds)
    counts = _does(edit, "count", "repeat")  # how long each execution lasts is the body's to say
    near = apart <= max(0.3, 0.1 * edit.new.seconds)
    if longer:
        differs = True
        change &= (near and apart < was) or (_lasts(edit, got.seconds) and (_lends(edit) or (measured and counts)))
    else:
        rest &= near
    for end in (0, 1):
        same = got.postures[end] == edit.new.postures[end]
        if edit.old.postures[end] != edit.new.postures[end]:
            differs, change = True, change and same
        else:
            rest &= same
    if edit.kind == "gesture":
        return Verdict(change and larger, rest)
    if not differs:  # too small a change to be wrong without it: what differs must be nearer
        near_by = [
            achieved.rows[i].agrees.get(name, 0.0) > value
            for i in main or range(number)
            for name, value in asked.rows[i].agrees.items()
            if value < 1
        ]
        change &= all(near_by) if near_by else achieved.score > asked.score
    return Verdict(change, rest)


def enlarged(edit: Edit, before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a gesture is larger, or smaller, than it was, as an edit asks: how far its limb's end is spread about its
    mean, seen from where the limb begins, in both motions' joints (T, 22, 3).
    """
    name, _, how = edit.change.rpartition(" ")
    act = act_of(unrolled(edit.old, edit.change), name)
    limbs = limbs_of(act.main.part)
    first, last = (max(0, round(at * HUMANML3D_263.fps)) for at in (act.start - 0.3, act.end + 0.3))

    def spread(joints: np.ndarray) -> float:
        ways = [joints[first:last, LIMBS[limb][2]] - joints[first:last, LIMBS[limb][0]] for limb in limbs]
        return float(np.mean([np.sqrt(way.var(0).sum()) for way in ways]))

    ratio = spread(after) / max(spread(before), 1e-6)
    return ratio > LARGER if how == "more" else ratio < 1 / LARGER


def _does(edit: Edit, *kinds: str) -> bool:
    return any(kind in kinds for kind in edit.several or (edit.kind,))


def _text(edit: Edit) -> str:
    """What an edit adds."""
    return " and ".join(text for part in parts(edit.change) if (text := added(part)))


def _lends(edit: Edit) -> bool:
    return _does(edit, "append", "prepend", "insert", "replace", "while")


def _named(edit: Edit, row: Row) -> bool:
    """Whether the request names an event of what is added, which happens to be a clip of it with more in it."""
    verbs = {verb for one in asked_in(_text(edit)) for verb in one.verbs}
    return not _lends(edit) or not verbs or bool(row.planned and row.planned.verb in verbs)


def _lasts(edit: Edit, seconds: float) -> bool:
    """Whether a motion with something added lasts as it may: longer, where it was added before or after the rest; where
    it takes an act's place, that long is open.
    """
    if edit.kind == "count":
        return (seconds > edit.old.seconds) == (edit.new.seconds > edit.old.seconds)
    return not _does(edit, "append", "prepend", "insert") or edit.kind == SEVERAL or seconds > edit.old.seconds


def _wrong(row: Row) -> set[str]:
    if not row.planned or not row.found:
        return {"missing"}
    return {name for name, value in row.agrees.items() if value < RIGHT[name]}


def _as_often(edit: Edit, row: Row) -> set[str]:
    """{"count"} of an event that goes on for longer, or less long, while another is done more or less often or long: of
    how many steps that is, no plan tells.
    """
    lasts = [line.end - line.start for line in (row.planned, row.found) if line]
    stretched = _does(edit, "count", "act duration", "path") and abs(lasts[0] - lasts[-1]) > LONGER
    return {"count"} if stretched and row.planned and row.planned.verb not in edit.change else set()


def _whenever(edit: Edit, row: Row) -> bool:
    """Whether it is open when an event of the plan is done: what follows something that is added comes as late as that
    lasts, and what is done during an act that is to last longer or shorter may be done at any time of it.
    """
    stretched = _does(edit, "act duration", "path")
    return _lends(edit) or bool(stretched and row.planned and row.planned.verb not in edit.change)


def _free(edit: Edit, row: Row) -> set[str]:
    """Which attributes of an added event the request leaves open."""
    if not _lends(edit):  # of someone who sits and then gets up no plan tells how long each takes
        rises = row.planned and row.planned.verb in LEADS_TO
        return {"time", "speed"} if _does(edit, "reversed") and rises else set()
    stated = {name for name, words in _FREE.items() if words.search(_text(edit).lower())}
    free = {"time", "speed", "side", "way", "count", "size"} - stated
    if row.planned and row.planned.way == "forward" and VERBS[row.planned.verb].speed:  # who walks goes forward
        free.discard("way")
    return free


def _extra(one: Agreement) -> set[str]:
    return {row.found.verb for row in one.rows if row.found and not row.planned and row.found.verb not in SMALL}


def requests(clips: Sequence[Clip], count: int, seed: int = 0, kinds: Sequence[str] = JUDGED) -> list[Request]:
    """`count` edits of the kinds in turn, each on a clip that it applies to, in phrasings held out of training.

    Raises MotionLLMError where none of the clips can be edited.
    """
    random = np.random.default_rng(seed)
    lent = [(s.captions[0], str(measure(features_to_joints(s.load())))) for s in builtin.corpus(120, seed, "test")]
    donors = Donors.of(lent)
    drawn: list[Request] = []
    while len(drawn) < count:
        kind = kinds[len(drawn) % len(kinds)]
        for i in random.permutation(len(clips)).tolist():
            if edit := edited(kind, clips[i].notation, random, donors, held_out=True):
                drawn.append(Request(edit, clips[i].features))
                break
        else:
            kinds = [other for other in kinds if other != kind]
        if not kinds:
            raise MotionLLMError("None of the clips has anything that could be edited.")
    return drawn


def written(path: str | os.PathLike[str], clips: Sequence[Clip]) -> list[Request]:
    """The requests of a JSONL file, in its order, on these clips. A line is {"clip": id, "request", "change"}, with
    "kind", "kinds" of several changes, and "adds": {text that the change adds: its plan} where they apply.

    Raises MotionLLMError for a line that lacks one of the first three, names no clip, or whose change cannot be made.
    """
    by_id, drawn = {clip.id: clip for clip in clips}, []
    for number, row in read_jsonl(path, "file of requests"):
        clip, request, change = (row.get(key) for key in ("clip", "request", "change"))
        where = f"{path}: line {number}"
        if not (isinstance(request, str) and request.strip() and isinstance(change, str) and change.strip()):
            raise MotionLLMError(f'{where} needs "clip", "request" and "change", each a text.')
        if clip not in by_id:
            raise MotionLLMError(
                f"{where}: there is no clip {clip!r} of 1 to {LONGEST:g} seconds; give the set with --data."
            )
        old, adds = by_id[clip].notation, row.get("adds", {})
        if missing := [text for part in parts(change) if (text := added(part)) and text not in adds]:
            raise MotionLLMError(f'{where}: "adds" has no plan of {missing[0]!r}; give the notation of such a motion.')
        plans = {text: Notation.parse(plan) for text, plan in adds.items()}
        try:
            new = changed(old, change, plans.__getitem__)
        except MotionLLMError as error:
            raise MotionLLMError(f"{where}: {error}") from None
        kind = row.get("kind", SEVERAL if len(parts(change)) > 1 else "written")
        edit = Edit(kind, kind, old, request, change, new, tuple(row.get("kinds", ())))
        drawn.append(Request(edit, by_id[clip].features))
    if not drawn:
        raise MotionLLMError(f"{path} has no requests.")
    return drawn


def clips_of(source: Source, split: str, count: int = 1000) -> list[Clip]:
    """Up to `count` clips of a split that last 1 to LONGEST seconds."""
    clips = []
    for sample, features in loaded(read(source, split)[:count]):
        if features.shape[1] != HUMANML3D_263.dim:
            raise MotionLLMError(f"Motion is measured on 22 joints, {source.path} has KIT-ML's 21; give another set.")
        if 1 <= len(features) / HUMANML3D_263.fps <= LONGEST:
            notation = measure(features_to_joints(features))
            if notation.lines:
                clips.append(Clip(sample.id, sample.captions[0] if sample.captions else "", notation, features))
    return clips


def evaluate(
    lm: MotionLM,
    asked: Sequence[Request],
    seed: int = 0,
    motions: bool = True,
    sampling: Sampling | None = None,
    batch: int = 16,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Shares of correct edits by kind: in the plan, and measured on the motion that the clip becomes.

    motions: False judges plans only. sampling: of what is generated; None takes the adapter's own. Returns
    {"sampling", "kinds": {kind: {"requests", "plan": {"change", "rest", "right"}, "motion": the same}}, "all": the
    same, "cases": each with its input and result}. Raises MotionLLMError where the adapter cannot change a plan.
    """
    sampling = sampling or lm.sampling
    cases: list[dict[str, Any]] = []
    for start in range(0, len(asked), batch):
        some = asked[start : start + batch]
        changes = lm.changes([one.edit.old for one in some], [one.edit.request for one in some])
        for one, change in zip(some, changes, strict=True):
            edit, case, joints = one.edit, _case(one.edit, change), features_to_joints(one.features)
            was = joints
            try:
                if motions:
                    clip, _, plan = drained(lm.editing(one.features, edit.old, change, seed, sampling=sampling))
                    joints = clip.joints
                    motion = measure(joints, clip.fps) if len(clip) >= 5 else Notation(0.2, edit.old.postures)
                else:
                    plan = lm.replan(edit.old, change, seed, sampling=sampling)
            except MotionLLMError:  # as it was, which counts as wrong
                plan = motion = edit.old
            said = edit.kind != "gesture" or change == edit.change
            case |= {"plan": str(plan), "plan_right": vars(judged(edit, plan, larger=said))}
            if motions:
                larger = edit.kind != "gesture" or enlarged(edit, was, joints)
                case |= {"motion": str(motion), "motion_right": vars(judged(edit, motion, True, larger))}
            cases.append(case)
            if progress:
                progress(len(cases) / len(asked), edits=len(cases))
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        kinds[case["kind"]].append(case)
    return {
        "sampling": asdict(sampling),
        "all": _shares(cases),
        "kinds": {kind: _shares(some) for kind, some in kinds.items()},
        "cases": cases,
    }


def _case(edit: Edit, change: str) -> dict[str, Any]:
    """What is written down of an edit and of the change as which it was understood."""
    return {
        "kind": edit.kind,
        "request": edit.request,
        "old": str(edit.old),
        "wanted": str(edit.new),
        "asked": edit.change,
        "change": change,
    }


def _shares(cases: Iterable[dict[str, Any]]) -> dict[str, Any]:
    cases = list(cases)
    result: dict[str, Any] = {"requests": len(cases)}
    for what in ("plan", "motion"):
        judged_cases = [case[f"{what}_right"] for case in cases if f"{what}_right" in case]
        if judged_cases:
            result[what] = {
                "change": sum(f["change"] for f in judged_cases) / len(judged_cases),
                "rest": sum(f["rest"] for f in judged_cases) / len(judged_cases),
                "right": sum(f["change"] and f["rest"] for f in judged_cases) / len(judged_cases),
            }
    return result


def table(result: dict[str, Any]) -> str:
    """The shares as text, one row per kind."""
    heads = [(what, share) for what in ("plan", "motion") if what in result["all"] for share in result["all"][what]]
    rows = [f"{'':14}{'requests':>9}" + "".join(f"{f'{what} {share}':>15}" for what, share in heads)]
    for kind, shares in [*result["kinds"].items(), ("all", result["all"])]:
        cells = "".join(f"{shares[what][share]:15.3f}" for what, share in heads)
        rows.append(f"{kind:14}{shares['requests']:9}{cells}")
    return "\n".join(rows)
