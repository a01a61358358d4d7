"""Motions changed by what a person asks for: as far as possible the motion itself, else made anew from the new plan."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from motionllm import arguments
from motionllm.data.acts import acts
from motionllm.data.asked import asked, share, tells
from motionllm.data.beyond import why_not
from motionllm.data.change_fit import outline
from motionllm.data.change_language import OTHERWISE, added, each, parts
from motionllm.data.changes import changed
from motionllm.data.remaking import rightness, ways
from motionllm.errors import MotionLLMError
from motionllm.lm.generation import TAKEN, Generation
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion, splicing
from motionllm.motion.agreement import agreement
from motionllm.motion.notation import SMALL, Notation, measure
from motionllm.motion.representation import HUMANML3D_263

ANEW = "this change was not made to the frames that were given: the motion was generated anew"
TRIES = 3  # motions made of what is added, as long as something is not measured on them
_OPEN = {"time", "size", "speed", "order"}  # attributes that may come out a little otherwise
PLAINLY = 0.1  # how much more of each other the model's motion and its text must tell than a clip of the library and it


class Editing(Generation):
    """The part of MotionLM that changes motions."""

    def edit(
        self,
        motion: Motion | np.ndarray,
        request: str,
        seed: int | None = None,
        *,
        best_of: int | None = None,
        sampling: Sampling | None = None,
    ) -> Motion:
        """The motion (a Motion, joints or features) after a change that a person asks for: "slower", "the other hand",
        "three times", "then sit down".

        What stays is left as it was, on the 22 joints of the motion tokenizer and at its frame rate; what is added is
        generated, by seed and sampling as in `generate`. `notes` begin with the change that the request was understood
        as (`data.change_language`). Raises MotionLLMError where the adapter was not trained to
        change motions (`edits`), the request is no change or cannot be made of this motion.
        """
        arguments.text(request, "request")
        plan = self.notation(motion)
        change = self.changes([plan], [request])[0]
        if change == "cannot":
            raise MotionLLMError(f"{request.strip()[:60]!r} cannot be done. {why_not(request)}")
        if change in OTHERWISE:
            raise MotionLLMError(
                f"{request.strip()[:60]!r} was understood as no change of the motion; say it in other words."
            )
        sampling = self.drawing(sampling, best_of=best_of)
        made = drained(self.editing(motion, plan, change, seed, sampling=sampling))[0]
        return replace(made, notes=(f"understood as: {change}", *made.notes))

    def editing(
        self,
        motion: Motion | np.ndarray,
        old: Notation,
        change: str,
        seed: int | None = None,
        *,
        sampling: Sampling | None = None,
        codes: np.ndarray | None = None,
    ) -> Generator[None, None, tuple[Motion, np.ndarray, Notation]]:
        """Interruptible: the motion after a change (`data.change_language`), its codes (n,) and its plan. Yields after
        each step of decoding; closing the generator cancels it.

        old: the plan of the motion, or what is measured on it. codes: of the motion, if known. The change is made to
        the frames where that can be done (`data.remaking`); else the new plan is generated between the codes that it
        leaves alone (`kept`). Several changes are made one after the other. `notes` of the motion say what was asked
        for and is not measured on it. Raises MotionLLMError for a change that is none, or cannot be made of this plan;
        then none is made.
        """
        changed(old, change, outline)  # refused as a whole before the first is made
        plan = old
        for part in parts(change):
            for one in each(plan, part):
                motion, codes, plan = yield from self._edited(motion, plan, one, seed, self.drawing(sampling), codes)
        if not isinstance(motion, Motion) or codes is None:
            raise MotionLLMError("The change is empty; say what is to be changed.")
        notes = (*motion.notes, *_unreached(old, plan, self.notation(motion), change))
        return replace(motion, notes=notes), codes, plan

    def _edited(
        self,
        motion: Motion | np.ndarray,
        old: Notation,
        change: str,
        seed: int | None,
        sampling: Sampling,
        codes: np.ndarray | None,
    ) -> Generator[None, None, tuple[Motion, np.ndarray, Notation]]:
        """`editing` of a single change of at most one act."""
        direct = yield from self.remaking(motion, old, change, seed, sampling=sampling)
        if direct is not None:
            return direct
        new = yield from self.replanning(old, change, seed, sampling=sampling)
        if new == old:
            raise MotionLLMError(f"{change!r} cannot be made of this motion: its plan says nothing of that.")
        start, end = self.kept(old, new, self.motion_tokenizer.encode(motion) if codes is None else codes)
        seconds = new.seconds if end is not None else None
        made, made_codes = yield from self.generating(
            new.sentence(), seconds, seed, sampling=sampling, start=start, end=end, plan=new
        )
        ends = [name for name, clip in (("beginning", start), ("end", end)) if clip is not None]
        notes = (f"{ANEW}, but for its {' and its '.join(ends)}" if ends else ANEW,)
        return replace(made, notes=(*made.notes, *notes)), made_codes, new

    def remaking(
        self,
        motion: Motion | np.ndarray,
        old: Notation,
        change: str,
        seed: int | None = None,
        *,
        sampling: Sampling | None = None,
    ) -> Generator[None, None, tuple[Motion, np.ndarray, Notation] | None]:
        """`editing` of a single change as far as it can be made to the frames themselves; None where it cannot."""
        tokenizer, text = self.motion_tokenizer, added(change)
        nothing = Notation(0.2, ("standing", "standing"))
        changed(old, change, lambda _: old)  # what is no change is refused before anything is generated
        if tokenizer.representation is not HUMANML3D_263:
            return None
        joints = tokenizer.representation.decode(tokenizer.features(motion))
        timed = _timed(old, measure(joints, tokenizer.fps), change)
        if timed is None:
            return None
        poses, best = splicing.poses_of(joints), (-1.0, np.zeros(0), nothing)
        for number in range(TRIES if text else 1):
            more, plan = None, nothing
            if text:
                clip = yield from self._added(text, seed, number, sampling)
                more, plan = splicing.poses_of(clip.joints), self.notation(clip)
                if not _fits(timed, change, plan):
                    continue
            wanted = _with(timed, change, plan)
            shown = share(asked(text), plan) if text else 1.0
            for way in ways(poses, timed, change, more):
                right = rightness(wanted, splicing.joints_of(way), tokenizer.fps, timed)
                best = max(best, (shown + right, way, wanted), key=lambda one: one[0])
                if right == 1:
                    break
            if best[0] == 2:
                break
        if best[0] < 0:
            return None
        _, way, wanted = best
        made = tokenizer.representation.finished(Motion(splicing.joints_of(way), tokenizer.fps, tokenizer.skeleton))
        return made, tokenizer.encode(made), wanted

    def _added(
        self, text: str, seed: int | None, number: int, sampling: Sampling | None
    ) -> Generator[None, None, Motion]:
        """A motion of what is added, the first or another. Clips of the library do much besides: the model's own is
        taken where it keeps plainly better to the text, and in place of one that was not right.
        """
        alone = self.drawing(sampling, library=False)
        if number:
            other = None if seed is None else (seed + number) % 2**32
            return (yield from self.generating(text, None, other, sampling=alone))[0]
        clip, _ = yield from self.generating(text, None, seed, sampling=sampling)
        if not any(note.startswith(TAKEN) for note in clip.notes):
            return clip
        own, _ = yield from self.generating(text, None, seed, sampling=alone)
        better = tells(text, self.notation(own)) - tells(text, self.notation(clip))
        return own if better > PLAINLY else clip


def _unreached(old: Notation, plan: Notation, measured: Notation, change: str) -> list[str]:
    """What a change was to make of a motion and is not measured on it, and what it left as it was, as notes."""
    if plan == old and not any(one.endswith((" more", " less")) for one in parts(change)):
        return ["that is how the motion was"]
    named = {verb for part in parts(change) for one in asked(added(part)) for verb in one.verbs}
    lacking = []
    for was, row in zip(agreement(plan, old).rows, agreement(plan, measured).rows, strict=False):
        if row.planned is None or row.planned.verb in SMALL:
            continue
        new = {"missing", "verb"} & {*was.wrong}
        wrong = {*row.wrong} - _OPEN if new else {*row.wrong} & {*was.wrong} - _OPEN
        if wrong and not (new and named and row.planned.verb not in named):
            lacking.append(row.planned.words)
    gone = {line.verb for line in old.lines} - {line.verb for line in plan.lines} - {*SMALL}
    left = [verb for verb in sorted(gone) if any(line.verb == verb for line in measured.lines)]
    return [f"asked for and not measured on it: {', '.join(lacking)}"] * bool(lacking) + [
        f"still measured on it: {', '.join(left)}"
    ] * bool(left)


def _with(old: Notation, change: str, more: Notation) -> Notation:
    """The plan after a change; what it adds has the plan `more`."""
    return changed(old, change, lambda _: more)


def _timed(plan: Notation, measured: Notation, change: str) -> Notation | None:
    """The plan with the times at which its events are measured, where they are. None where the change is one of an act
    that the motion does not show.
    """
    if plan == measured:
        return plan
    rows = [(row.planned, row) for row in agreement(plan, measured).rows if row.planned]
    shown = {line.verb for line, row in rows if row.found and row.agrees["verb"] == 1}
    about = f" {change.removesuffix(added(change))} "
    if any(f" {act.main.verb} " in about for act in acts(plan) if act.main.verb not in shown):
        return None
    lines = [replace(line, start=row.found.start, end=row.found.end) if row.found else line for line, row in rows]
    return replace(measured, lines=tuple(sorted(lines, key=lambda line: (line.start, line.end))))


def _fits(old: Notation, change: str, more: Notation) -> bool:
    """Whether what is added begins, or ends, in the posture in which the motion ends, or begins."""
    if change.startswith("then "):
        return more.postures[0] == old.postures[1]
    return not change.startswith("first ") or more.postures[1] == old.postures[0]
