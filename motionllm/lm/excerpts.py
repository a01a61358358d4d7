"""Excerpts: single acts cut from the clips of a motion library, for motions that lack what their text asks for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from motionllm.data.acts import Act, acts, alone
from motionllm.data.asked import Asked, asked, named, plainly
from motionllm.data.mending import built, measured, mended
from motionllm.data.remaking import gaps
from motionllm.data.resting import upright
from motionllm.lm.library import Entry, Library
from motionllm.motion import splicing
from motionllm.motion.notation import SMALL, Notation
from motionllm.motion.notation.verbs import LEADS_TO

TRIED = 12  # most acts that are cut out and measured for one thing that is asked for
LONGEST = 6.0  # seconds of an act
USUAL = 2.5  # seconds; of equal acts those are taken that last about as long
SHORT = 1.5  # seconds; an excerpt that lasts less is a fragment
BESIDE = 30  # most frames before and after an act in which it begins and ends: at the most upright of them
PAUSE = 1.2  # seconds between two acts of one kind that are taken as one, where no number is asked for
SOON = 0.002  # metres farther from upright that an end is which a frame less is worth
KNOWN = 256  # things asked for whose acts are kept
MORE = 0.3  # seconds that an act may have more of other events than another
MOSTLY = 0.5  # least share of what an excerpt shows that is asked for
RESTING = 0.15  # metres, mean over the arms: farther from hanging they are let down at the ends of an excerpt
APART = 3.0  # seconds of other events that a metre of the ends' distance from standing is as bad as
ROUGH = 1.5  # faults of the best act from which on others are tried, to be repeated
AMISS = 0.25  # what it is worth that a caption says something else
ALOFT = 0.08  # metres over the floor at which a body does not stand
UNEVEN = 0.1  # metres by which one foot is higher than the other in a step
STANDING = ("standing", "standing")
_ON_THE_FLOOR = ("crawl", "roll")  # acts that begin and end where they are done
REST = 4  # frames in which they then hang
SEVERAL = ("punch", "climb", "jump", "hop", "clap", "wave", "jumping jack", "march")  # acts that are done in series
_ON_WHAT = r"\b(stair|ladder|steps\b|rope|box\b|ball)"  # what a body is on or has, by which acts of one kind differ


@dataclass(frozen=True)
class Excerpt:
    """An act of a clip. poses: (T, 67), of `splicing`. notation: measured on it."""

    entry: Entry
    poses: np.ndarray
    notation: Notation


class Excerpts:
    """The acts of a library of HumanML3D's 22 joints, by what they show."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._known: dict[tuple[Asked, frozenset[str]], list[Excerpt]] = {}

    def showing(self, one: Asked, text: str = "") -> list[Excerpt]:
        """Acts that show a thing as it is asked for, and as little else as there is; where none does, such as do when
        they are repeated (`mended`). text: the whole in which it is asked for; "stairs" are better than a ladder.
        """
        thing = _on_what(text)
        if (one, thing) not in self._known:
            found = self._made(one, one, thing)
            if (one.count or one.several) and min((faults for faults, _ in found), default=ROUGH) >= ROUGH:
                found += self._made(replace(one, count=0, several=False), one, thing)
            least = min((faults for faults, _ in found), default=0.0)
            self._known[one, thing] = [excerpt for faults, excerpt in found if faults <= least + MORE]
            if len(self._known) > KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[one, thing]

    def _made(self, one: Asked, wanted: Asked, thing: frozenset[str]) -> list[tuple[float, Excerpt]]:
        """Excerpts of acts that are as `one`, set right where `wanted` is another, with their faults."""
        made = [self._cut(*row, one, wanted) for row in self._candidates(one, thing)[:TRIED]]
        return [(self._faults(excerpt, wanted, thing), excerpt) for excerpt in made if excerpt is not None]

    def _faults(self, excerpt: Excerpt, one: Asked, thing: frozenset[str]) -> float:
        """Seconds of events that are not asked for, and what it is worth that an excerpt is short, begins or ends in
        the middle of something, or that its clip's caption says something else.
        """
        verb = one.verbs[0]
        ends = [
            (0, verb in ("stand up", *_ON_THE_FLOOR)),
            (-1, verb in (*LEADS_TO, *_ON_THE_FLOOR) and verb != "stand up"),
        ]
        apart = sum(splicing.apart(excerpt.poses[end], upright()) for end, down in ends if not down)
        wrong = int(not _says(excerpt.entry, one)) + 4 * int(
            bool(thing) and not thing & _on_what(*excerpt.entry.captions)
        )
        short = max(0.0, SHORT - excerpt.notation.seconds)
        return _besides(excerpt.notation, one) + short + APART * apart + AMISS * wrong

    def _candidates(self, one: Asked, thing: frozenset[str]) -> list[tuple[Entry, Notation, Act]]:
        """Acts measured as what is asked for: those first whose clip's caption says so, and on what, that nothing else
        is done beside, and that are neither short nor long.
        """
        rows: list[tuple[tuple[int, bool, bool, bool, float], int, tuple[Entry, Notation, Act]]] = []
        for entry, notation, every in self._measured:
            for act in self._whole(every, one):
                lines = tuple(notation.lines[i] for i in act.rows)
                if act.main.verb not in one.verbs or act.end - act.start > LONGEST:
                    continue
                if plainly(one, Notation(notation.seconds, STANDING, lines)):
                    rank = (
                        one.verbs.index(act.main.verb),
                        bool(thing) and not thing & _on_what(*entry.captions),
                        not _says(entry, one),
                        not alone(act, [other for other in every if other.main.verb not in one.verbs]),
                        abs(math.log((act.end - act.start + 0.1) / USUAL)),
                    )
                    rows.append((rank, len(rows), (entry, notation, act)))
        return [row for *_, row in sorted(rows)]

    def _whole(self, every: tuple[Act, ...], one: Asked) -> list[Act]:
        """The acts, those of one kind that follow one another as one where it is asked for without a number."""
        if one.count or one.single or one.verbs[0] not in SEVERAL:
            return list(every)
        result: list[Act] = []
        for act in sorted((act for act in every if act.main.verb == one.verbs[0]), key=lambda act: act.start):
            last = result[-1] if result else act
            close = act.start - last.end <= PAUSE and act.end - last.start <= LONGEST
            if last is not act and close and act.main.way == last.main.way:
                result[-1] = replace(last, rows=(*last.rows, *act.rows), end=max(last.end, act.end))
            else:
                result.append(act)
        return result + [act for act in every if act.main.verb != one.verbs[0]]

    def _cut(self, entry: Entry, notation: Notation, act: Act, one: Asked, wanted: Asked) -> Excerpt | None:
        """The act from where the body stands before it to where it stands again, or nearly so; None where it is not
        measured so by itself, or shows more of other things.
        """
        tokenizer = self.library.motion_tokenizer
        assert tokenizer is not None
        poses = splicing.poses_of(tokenizer.representation.motion(self.library.features(entry)).joints)
        # What might be measured as the act as well is no other act: the steps of a climb.
        lines = [i for i, line in enumerate(notation.lines) if i in act.rows or line.verb not in one.verbs]
        rows = tuple(lines.index(i) for i in act.rows)
        by_itself = replace(notation, lines=tuple(notation.lines[i] for i in lines))
        climbs = act.main.verb == "climb"
        (a, b), (c, d) = gaps(poses, by_itself if climbs else notation, replace(act, rows=rows) if climbs else act)
        standing = poses if climbs else splicing.levelled(poses)
        away = np.array([splicing.apart(pose, upright()) for pose in poses])
        off = _unevenness(poses) if climbs else _lowest(standing)
        away += off
        early, late = range(max(a, b - BESIDE), b + 1), list(range(c, min(d, c + BESIDE) + 1))
        if climbs:  # not with a foot in the air, nor on a ladder
            late = [frame for frame in late if frame and off[frame - 1] <= UNEVEN]
        if not late:
            return None
        first = min(early, key=lambda frame: away[min(frame, len(away) - 1)] + SOON * (b - frame))
        last = min(late, key=lambda frame: away[min(frame, len(away)) - 1] + SOON * (frame - c))
        poses = built(standing[first:last])
        if not climbs and len(poses) and max(_lowest(poses)[[0, -1]]) > ALOFT:
            return None
        own = measured(poses)
        if own is None or not plainly(one, own) or named([one], own) < MOSTLY:
            return None
        # Repeated it is from where the arms hang, or nothing tells one from the next.
        poses = self._from_rest(poses, own.postures)
        poses = poses if one == wanted else mended(poses, [wanted])
        own = measured(poses)
        if own is None or not plainly(wanted, own) or named([wanted], own) < MOSTLY:
            return None
        # A fragment of something else is no act.
        return Excerpt(entry, poses, own) if own.seconds >= SHORT or _says(entry, wanted) else None

    def _from_rest(self, poses: np.ndarray, postures: tuple[str, str]) -> np.ndarray:
        """The poses of someone who stands with the arms let down at both ends, where they are not."""
        before, after = (
            self._lowered(pose) if posture == "standing" else poses[:0]
            for pose, posture in zip((poses[0], poses[-1]), postures, strict=True)
        )
        return built(splicing.joined([before[::-1], poses, after])) if len(before) + len(after) else poses

    def _lowered(self, pose: np.ndarray) -> np.ndarray:
        """Poses (n, 67) in which the arms come down from a pose (67,): none where they hang."""
        group = [joint - 1 for side in splicing.ARMS.values() for joint in side]
        points, stand = (one[4:].reshape(21, 3) for one in (pose, upright()))
        hanging = stand[group] - stand[splicing.CHEST - 1] + points[splicing.CHEST - 1]
        far = np.linalg.norm(hanging - points[group], axis=-1)
        if far.mean() <= RESTING:
            return np.zeros((0, splicing.WIDTH))
        frames = splicing.ramp(hanging - points[group])
        result = splicing.held(pose, frames + REST)
        share = np.minimum(1.0, np.arange(1, frames + REST + 1) / frames)
        arms = result[:, 4:].reshape(len(result), 21, 3)
        splicing.turn_arms(arms, np.repeat(stand[None], len(arms), axis=0), share * share * (3 - 2 * share))
        return result

    @cached_property
    def _measured(self) -> list[tuple[Entry, Notation, tuple[Act, ...]]]:
        notations = [(entry, Notation.parse(entry.notation)) for entry in self.library.entries if entry.notation]
        return [(entry, notation, acts(notation)) for entry, notation in notations]


def _lowest(poses: np.ndarray) -> np.ndarray:
    """(T,) metres of the lowest joint over the floor."""
    result: np.ndarray = poses[:, 4:].reshape(len(poses), 21, 3)[..., 1].min(1)
    return result


def _on_what(*texts: str) -> frozenset[str]:
    """What texts name that a body is on or has; steps are stairs."""
    found = {word for text in texts for word in re.findall(_ON_WHAT, text.lower())}
    return frozenset(word.replace("steps", "stair") for word in found)


def _says(entry: Entry, one: Asked) -> bool:
    return any(one.action == other.action for caption in entry.captions for other in asked(caption))


def _unevenness(poses: np.ndarray) -> np.ndarray:
    """(T,) metres by which one ankle is higher than the other."""
    ankles = poses[:, 4:].reshape(len(poses), 21, 3)[:, [6, 7], 1]
    result: np.ndarray = np.abs(ankles[:, 0] - ankles[:, 1])
    return result


def _besides(notation: Notation, one: Asked) -> float:
    """Seconds of events that are not what is asked for; small ones count a third."""
    return sum((x.end - x.start) * (1 / 3 if x.verb in SMALL else 1) for x in notation.lines if x.verb not in one.verbs)
