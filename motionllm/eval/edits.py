"""Whether changes that a user asks for are made, and everything else is kept: in the plan, and in the motion.

Requests are drawn by `data.edits` on held-out clips, in phrasings and names that training never sees; their own change
is the expected result. What the old plan and the expected one have in common must be kept; where they differ is the
change. A new plan, and the notation measured on the motion generated from it, are compared with both, event by event
(`motion.agreement`). Only events of the whole body and gestures count, not arms that swing along.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from motionllm import corpus as builtin
from motionllm.config import Source
from motionllm.data.asked import asked as asked_in
from motionllm.data.changes import added
from motionllm.data.edit_kinds import CHANGING, Donors
from motionllm.data.edits import Edit, edited
from motionllm.data.sources import loaded, read
from motionllm.errors import MotionLLMError
from motionllm.lm.model import MotionLM
from motionllm.lm.sampling import Sampling
from motionllm.motion.agreement import RIGHT, Agreement, Row, agreement
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import SMALL, VERBS, Notation, measure
from motionllm.motion.representation import HUMANML3D_263

LONGEST = 10.0  # seconds; longer clips are not edited
# Attributes that a request may leave open for an act that it adds, and the words that state them.
_FREE = {
    "side": re.compile(r"\b(left|right|both)\b"),
    "way": re.compile(r"\b(left|right|forwards?|backwards?|up|down|sideways|out)\b"),
    "count": re.compile(r"\b(once|twice|times?|\d+x|one|two|three|four|five|six|single)\b"),
    "size": re.compile(r"\b(degrees|around|circle)\b"),
}
# Where these change, a motion must only come nearer to the expected value, because measuring a real clip played at
# another speed gives other values too. Likewise a slow run that is kept may be measured as a walk.
_SOFT = {"time", "size", "speed"}


@dataclass(frozen=True)
class Verdict:
    """change: it was made. rest: everything else was kept."""

    change: bool
    rest: bool

    @property
    def right(self) -> bool:
        return self.change and self.rest


def judged(edit: Edit, got: Notation, measured: bool = False) -> Verdict:
    """Judge a notation that should be `edit.new`. measured: it was measured on a motion, which has more events than a
    plan.
    """
    asked, achieved = agreement(edit.new, edit.old), agreement(edit.new, got)
    number = len(edit.new.lines)
    main = [i for i, row in enumerate(asked.rows[:number]) if row.planned and row.planned.verb not in SMALL]
    change = rest = True
    differs = False
    for i in main or range(number):
        before, after = _wrong(asked.rows[i]), _wrong(achieved.rows[i])
        differs |= bool(before)
        if "missing" in before and not _named(edit, asked.rows[i]):
            continue
        if "missing" in before or "verb" in before:
            change &= not after - _free(edit, asked.rows[i])
        elif measured:
            then, now = asked.rows[i].agrees, achieved.rows[i].agrees
            change &= not (before - _SOFT) & after and ("missing" not in after or before <= _SOFT)
            change &= not now or all(now[name] > then[name] for name in before & _SOFT)
            both = (achieved.rows[i].planned, achieved.rows[i].found)
            travels = all(line and VERBS[line.verb].speed for line in both)
            rest &= not after - before - _SOFT - ({"verb"} if travels else set())
        else:
            late = {"time"} if _lends(edit) else set()  # what follows comes as late as what is added lasts
            change &= not (before - late) & after and "missing" not in after
            rest &= not after - before
    gone = _extra(asked) - {row.planned.verb for row in asked.rows[:number] if row.planned}
    differs |= bool(gone)
    change &= not gone & {line.verb for line in got.lines}
    rest &= measured or not _extra(achieved) - gone  # a motion has more events than its plan
    # The duration must be nearer to the expected one, and within a tenth of it; how long what is added lasts is open.
    apart, was = abs(got.seconds - edit.new.seconds), abs(edit.old.seconds - edit.new.seconds)
    near = apart <= max(0.3, 0.1 * edit.new.seconds)
    if was > 0.15:
        differs = True
        change &= (near and apart < was) or (_lends(edit) and _lasts(edit, got.seconds))
    else:
        rest &= near
    for end in (0, 1):
        same = got.postures[end] == edit.new.postures[end]
        if edit.old.postures[end] != edit.new.postures[end]:
            differs, change = True, change and same
        else:
            rest &= same
    if not differs:  # too small a change for single events: compare the scores
        change &= achieved.score > asked.score
    return Verdict(change, rest)


def _lends(edit: Edit) -> bool:
    return edit.kind in ("append", "prepend", "insert", "replace", "while")


def _named(edit: Edit, row: Row) -> bool:
    """Whether the request names an event of what is added, which happens to be a clip of it with more in it."""
    verbs = {verb for one in asked_in(added(edit.change)) for verb in one.verbs}
    return not _lends(edit) or not verbs or bool(row.planned and row.planned.verb in verbs)


def _lasts(edit: Edit, seconds: float) -> bool:
    """Whether a motion with something added lasts as it may: longer, where it was added before or after the rest; where
    it takes an act's place, that long is open.
    """
    return edit.kind not in ("append", "prepend", "insert") or seconds > edit.old.seconds


def _wrong(row: Row) -> set[str]:
    if not row.planned or not row.found:
        return {"missing"}
    return {name for name, value in row.agrees.items() if value < RIGHT[name]}


def _free(edit: Edit, row: Row) -> set[str]:
    """Which attributes of an added event the request leaves open."""
    if not _lends(edit):
        return set()
    stated = {name for name, words in _FREE.items() if words.search(added(edit.change).lower())}
    free = {"time", "speed", "side", "way", "count", "size"} - stated
    if row.planned and row.planned.way == "forward":
        free.discard("way")
    return free


def _extra(one: Agreement) -> set[str]:
    return {row.found.verb for row in one.rows if row.found and not row.planned and row.found.verb not in SMALL}


def requests(
    clips: Sequence[tuple[str, Notation]], count: int, seed: int = 0, kinds: Sequence[str] = CHANGING
) -> list[Edit]:
    """`count` edits of the kinds in turn, each on a clip that it applies to, in phrasings held out of training.

    clips: (caption, notation). Raises MotionLLMError where none of the clips can be edited.
    """
    random = np.random.default_rng(seed)
    lent = [(s.captions[0], str(measure(features_to_joints(s.load())))) for s in builtin.corpus(120, seed, "test")]
    donors = Donors.of(lent)
    drawn: list[Edit] = []
    tried = 0
    while len(drawn) < count:
        kind = kinds[len(drawn) % len(kinds)]
        for i in random.permutation(len(clips)).tolist():
            if edit := edited(kind, clips[i][1], random, donors, held_out=True):
                drawn.append(edit)
                break
        else:
            kinds = [other for other in kinds if other != kind]
            tried += 1
        if not kinds:
            raise MotionLLMError("None of the clips has anything that could be edited.")
    return drawn


def clips_of(source: Source, split: str, count: int = 1000) -> list[tuple[str, Notation]]:
    """(caption, measured notation) of up to `count` clips of a split that last 1 to LONGEST seconds."""
    clips = []
    for sample, features in loaded(read(source, split)[:count]):
        if features.shape[1] != HUMANML3D_263.dim:
            raise MotionLLMError(f"Motion is measured on 22 joints, {source.path} has KIT-ML's 21; give another set.")
        if 1 <= len(features) / HUMANML3D_263.fps <= LONGEST:
            notation = measure(features_to_joints(features))
            if notation.lines:
                clips.append((sample.captions[0] if sample.captions else "", notation))
    return clips


def evaluate(
    lm: MotionLM,
    edits: Sequence[Edit],
    seed: int = 0,
    motions: bool = True,
    sampling: Sampling | None = None,
    batch: int = 16,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Shares of correct edits by kind: in the plan, and measured on the motion generated from it.

    motions: False judges plans only. sampling: None takes motionllm's own, with one motion per plan. Returns
    {"sampling", "kinds": {kind: {"requests", "plan": {"change", "rest", "right"}, "motion": the same}}, "all": the
    same, "cases": each with its input and result}. Raises MotionLLMError where the adapter cannot change a plan.
    """
    sampling = sampling or Sampling(best_of=1)
    cases: list[dict[str, Any]] = []
    for start in range(0, len(edits), batch):
        some = edits[start : start + batch]
        changes = lm.changes([e.old for e in some], [e.request for e in some])
        plans = [_planned(lm, e.old, change, seed, sampling) for e, change in zip(some, changes, strict=True)]
        notations: list[Notation | None] = [None] * len(some)
        if motions:
            clips = lm.generate_batch([p.sentence() for p in plans], None, seed, sampling=sampling, plan=plans)
            notations = [measure(clip.joints, clip.fps) if len(clip) >= 5 else None for clip in clips]
        for edit, change, plan, motion in zip(some, changes, plans, notations, strict=True):
            case: dict[str, Any] = {
                "kind": edit.kind,
                "request": edit.request,
                "old": str(edit.old),
                "wanted": str(edit.new),
                "asked": edit.change,
                "change": change,
                "plan": str(plan),
                "plan_right": vars(judged(edit, plan)),
            }
            if motion is not None:
                case |= {"motion": str(motion), "motion_right": vars(judged(edit, motion, measured=True))}
            cases.append(case)
        if progress:
            progress(len(cases) / len(edits), edits=len(cases))
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        kinds[case["kind"]].append(case)
    return {
        "sampling": asdict(sampling),
        "all": _shares(cases),
        "kinds": {kind: _shares(some) for kind, some in kinds.items()},
        "cases": cases,
    }


def _planned(lm: MotionLM, old: Notation, change: str, seed: int, sampling: Sampling) -> Notation:
    """The plan after a change; the old one, which counts as wrong, where the change cannot be applied."""
    try:
        return lm.replan(old, change, seed, sampling=sampling)
    except MotionLLMError:
        return old


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
