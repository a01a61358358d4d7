"""Excerpts: single acts cut from the clips of a motion library, for motions that lack what their text asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from motionllm.corpus import body
from motionllm.data.acts import Act, acts, alone
from motionllm.data.asked import Asked, as_asked, asked
from motionllm.data.remaking import gaps
from motionllm.errors import MotionLLMError
from motionllm.lm.library import Entry, Library
from motionllm.motion import splicing
from motionllm.motion.notation import SMALL, Notation, measure

TRIED = 12  # most acts that are cut out and measured for one thing that is asked for
LONGEST = 6.0  # seconds of an act
USUAL = 2.5  # seconds; of equal acts those are taken that last about as long
BESIDE = 30  # most frames before and after an act in which it begins and ends: at the most upright of them
KNOWN = 256  # things asked for whose acts are kept
MORE = 0.3  # seconds that an act may have more of other events than another
STANDING = ("standing", "standing")


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
        self._known: dict[Asked, list[Excerpt]] = {}

    def showing(self, one: Asked) -> list[Excerpt]:
        """Acts that show a thing as it is asked for, and as little else as there is."""
        if one not in self._known:
            made = [self._cut(*row, one) for row in self._candidates(one)[:TRIED]]
            found = [(_besides(excerpt.notation, one), excerpt) for excerpt in made if excerpt is not None]
            least = min((besides for besides, _ in found), default=0.0)
            self._known[one] = [excerpt for besides, excerpt in found if besides <= least + MORE]
            if len(self._known) > KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[one]

    def _candidates(self, one: Asked) -> list[tuple[Entry, Notation, Act]]:
        """Acts measured as what is asked for: those first whose clip's caption says so, that nothing else is done
        beside, and that are neither short nor long.
        """
        rows: list[tuple[tuple[int, bool, bool, float], int, tuple[Entry, Notation, Act]]] = []
        for entry, notation, every in self._measured:
            for act in every:
                lines = tuple(notation.lines[i] for i in act.rows)
                if act.main.verb not in one.verbs or act.end - act.start > LONGEST:
                    continue
                if as_asked(one, Notation(notation.seconds, STANDING, lines)):
                    said = any(one.action == other.action for caption in entry.captions for other in asked(caption))
                    rank = (
                        one.verbs.index(act.main.verb),
                        not said,
                        not alone(act, every),
                        abs(math.log((act.end - act.start + 0.1) / USUAL)),
                    )
                    rows.append((rank, len(rows), (entry, notation, act)))
        return [row for *_, row in sorted(rows)]

    def _cut(self, entry: Entry, notation: Notation, act: Act, one: Asked) -> Excerpt | None:
        """The act from where the body stands before it to where it stands again, or nearly so; None where it is not
        measured so by itself.
        """
        tokenizer = self.library.motion_tokenizer
        assert tokenizer is not None
        poses = splicing.poses_of(tokenizer.representation.motion(self.library.features(entry)).joints)
        (a, b), (c, d) = gaps(poses, notation, act)
        away = [splicing.apart(pose, self._upright) for pose in poses]
        first = min(range(max(a, b - BESIDE), b + 1), key=lambda frame: away[min(frame, len(away) - 1)])
        last = min(range(c, min(d, c + BESIDE) + 1), key=lambda frame: away[min(frame, len(away)) - 1])
        poses = poses[first:last] if act.main.verb == "climb" else splicing.levelled(poses[first:last])
        try:
            own = measure(splicing.joints_of(poses))
        except MotionLLMError:  # under 5 frames
            return None
        return Excerpt(entry, poses, own) if as_asked(one, own) else None

    @cached_property
    def _upright(self) -> np.ndarray:
        """A pose (67,) of someone who stands with hanging arms."""
        pose: np.ndarray = splicing.poses_of(body.joints(body.Score(), 2))[0]
        return pose

    @cached_property
    def _measured(self) -> list[tuple[Entry, Notation, tuple[Act, ...]]]:
        notations = [(entry, Notation.parse(entry.notation)) for entry in self.library.entries if entry.notation]
        return [(entry, notation, acts(notation)) for entry, notation in notations]


def _besides(notation: Notation, one: Asked) -> float:
    """Seconds of events that are not what is asked for; small ones count a third."""
    return sum((x.end - x.start) * (1 / 3 if x.verb in SMALL else 1) for x in notation.lines if x.verb not in one.verbs)
