"""Motions looked up: clips of the adapter's motion library (`lm.library`) that show what a text asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from motionllm.corpus.actions import ACTIONS
from motionllm.data.asked import Asked, asked, named, share, shares_of
from motionllm.lm.decoding import generators
from motionllm.lm.excerpts import Excerpts
from motionllm.lm.library import Entry, Library, says_no_more, says_nothing
from motionllm.lm.matching import Matcher, Place
from motionllm.lm.planning import Clips, Order, Planning
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation
from motionllm.motion.placing import apart
from motionllm.motion.skeleton import HUMANML3D
from motionllm.tokenizer import MotionTokenizer

# Nats that all that a text asks for is worth in ranking. Of eight candidates for each of 48 held-out prompts of the
# built-in corpus, 2 to 20 keep the same share with all that is asked (.48; 0: .42, any of the eight: .52).
ASKED = 10.0

MOSTLY, PARTLY = 0.75, 0.25  # least share of what a clip shows that is asked for, of an act that the model makes itself
CLIPS = 8  # most clips that are looked at for a text
SHOWN = 0.5  # least share of what a text asks for that is measured on a clip
LONG = 0.5  # least share of the duration asked for that a clip has; the model continues it
ABOUT = 2.0  # nats below the best clip's at which another is drawn as well: of one text come several motions
MATCHED = 4  # steps of a clip given that a place in the library is compared with
# Mean squared standard deviations at which a place is too far from a clip to go on from it. Between two clips none is:
# of held-out clips whose middle half is asked for, the nearest place is 0.44 m from the truth on CMU and 0.35 on HDM05;
# where those far from the ends are left to the model, 0.51 and 0.45 (on the built-in corpus 0.36 and 0.30).
FAR = 0.3
NEARLY = (2.0, 1.05)  # how much farther than the nearest place others that are looked at may be; between two clips
PLACES = 8  # most places that are looked at
TYPICAL = 2  # of these, ones from which the rest differ least, of which one is drawn
LEAST = 1.0  # seconds that a clip goes on at least where no duration is asked for
DRAWING = 2  # added to a motion's seed for its clip, so that the two draw different numbers


@dataclass(frozen=True)
class Found:
    """A motion that was looked up. entry: the clip. codes: its codes in the adapter's motion tokenizer, with those
    given before it. features: (T, dim) what it shows where the library keeps more of it than the codes, by its own
    frames or by another motion tokenizer; None: what the codes decode to. shows: the share of what is asked for that
    is measured on the clip.
    """

    entry: Entry
    codes: list[int]
    features: np.ndarray | None = None
    shows: float = 0.0


@dataclass(frozen=True)
class Way:
    """How a motion goes on. codes: of the tokenizer that is `_spoken`, with those that it begins with."""

    place: Place
    codes: list[int]


class Lookup(Planning):
    """The part of MotionLM that finds motions in its library."""

    _matched: tuple[Library, Matcher] | None = None
    _cut_out: Excerpts | None = None
    _respelled: tuple[Library, dict[tuple[int, ...], tuple[int, ...]]] | None = None

    def found(
        self,
        orders: Sequence[Order],
        free: Sequence[bool],
        ends: Sequence[Sequence[int]],
        seed: int | Sequence[int] | None,
        sampling: Sampling,
        start: Clips = None,
        end: Clips = None,
    ) -> list[Found | None]:
        """For each order that is free of plans, a clip of the library that shows its text, cut to the longest duration
        asked for; None where there is none. ends: codes of the clip that each motion ends with. start, end: the clips
        that are given, of which a library of another motion tokenizer keeps more than their codes do.

        Of the clips whose captions fit, one is drawn by the seed among those that show most of what the text asks for
        (`data.asked`) and of which the model most likely says the text; none twice for equal texts.
        """
        taken: list[Found | None] = [None] * len(orders)
        if self.library is None or not sampling.library:
            return taken
        rows: list[tuple[int, Found]] = []
        heard = [self._clips(clip, len(orders), self._spoken) for clip in (start, end)] if self._finer else None
        for i, order in enumerate(orders):
            if free[i] and (order.given or ends[i]):
                before, after = (heard[0][i], heard[1][i]) if heard else (order.given, ends[i])
                taken[i] = self._between(order, before, after, self._draw(seed, i, 0), sampling)
                continue
            fitting, wanted = self.library.fitting(order.text) if free[i] else [], asked(order.text)
            if len(fitting) > CLIPS:
                chosen = np.sort(self._draw(seed, i, 0).choice(len(fitting), CLIPS, replace=False))
                fitting = [fitting[k] for k in chosen]
            for entry in fitting:
                spelled = self._spelled(entry)
                codes = list(spelled[: order.max_steps * self.vocab.parts])
                if len(codes) < LONG * order.min_steps * self.vocab.parts:
                    continue
                clip = Found(entry, codes)
                if entry.notation and len(codes) == len(spelled):
                    notation = Notation.parse(entry.notation)
                    shows, only = share(wanted, notation), named(wanted, notation)
                else:
                    clip = self._shown(clip)
                    shows, only = self._shows(wanted, self._looked_up(clip, None))
                if _enough(wanted, order.text, entry, shows, only):
                    rows.append((i, replace(clip, shows=shows)))
        if not rows:
            return taken
        nats = self._says([orders[i] for i, _ in rows], [clip.codes for _, clip in rows])
        scored: dict[int, list[tuple[float, Found]]] = {}
        for (i, clip), one in zip(rows, nats, strict=True):
            scored.setdefault(i, []).append((ASKED * clip.shows + one, clip))
        used: set[tuple[str, tuple[int, ...]]] = set()
        for i, clips in scored.items():
            text = orders[i].text
            left = [(score, clip) for score, clip in clips if (text, clip.entry.codes) not in used]
            if not left:
                continue
            best = max(score for score, _ in left)
            near = [clip for score, clip in left if score >= best - (ABOUT if sampling.temperature else 0)]
            clip = near[int(self._draw(seed, i, 1).integers(len(near))) if sampling.temperature else 0]
            used.add((text, clip.entry.codes))
            taken[i] = self._shown(clip)
        return taken

    def _between(
        self,
        order: Order,
        before: Sequence[int],
        after: Sequence[int],
        random: np.random.Generator,
        sampling: Sampling,
    ) -> Found | None:
        """A part of a clip that goes on from what the motion begins with (`before`), and where it ends with a clip
        (`after`) leads to it, both codes of the tokenizer that is `_spoken`. Of the clips that fit the text, or of all
        where it says nothing, one of the nearest: the most typical, which is the likeliest to be right where nothing
        says how it goes on.
        """
        begun = self._frames(order.given)
        near: list[tuple[Way, np.ndarray]] = []
        limit = np.inf if len(after) else FAR
        for way in self._ways(order, before, after):
            if way.place.apart > limit or len(near) == PLACES:
                break
            motion = self._spoken.representation.motion(self._spoken.decode_features(way.codes))
            if says_nothing(order.text) or self._shows(asked(order.text), motion.cut(begun))[0] >= SHOWN:
                limit = min(limit, way.place.apart * NEARLY[bool(len(after))])
                near.append((way, motion.joints))
        if not near:
            return None
        joints = [one for _, one in near]
        typical = np.argsort(apart(joints, joints, begun).mean(1), kind="stable")
        typical = typical[: TYPICAL if sampling.temperature else 1]
        return self.taken(order, near[typical[int(random.integers(len(typical)))]][0], after)

    def onward(self, order: Order, before: Sequence[int], after: Sequence[int]) -> list[tuple[Way, np.ndarray, bool]]:
        """How up to PLACES clips of the library go on (see `_between`), the nearest first; with joints (T, J, 3) to
        where `after` begins, and whether the place is one of the near ones.
        """
        ways = list(islice(self._ways(order, before, after), PLACES))
        limit = min([np.inf if len(after) else FAR, *(way.place.apart * NEARLY[bool(len(after))] for way in ways[:1])])
        found = []
        for way in ways:
            joints = self._spoken.representation.motion(self._spoken.decode_features([*way.codes, *after])).joints
            frames = len(way.codes) // self._spoken.parts * self._spoken.frames_per_step
            found.append((way, joints[:frames], way.place.apart <= limit))
        return found

    def _frames(self, codes: Sequence[int]) -> int:
        """How many frames codes of the adapter's motion tokenizer are."""
        return len(codes) // self.vocab.parts * self.motion_tokenizer.frames_per_step

    def _ways(self, order: Order, before: Sequence[int], after: Sequence[int]) -> Iterator[Way]:
        """How clips of the library, those that fit the text or all where it says nothing, go on from `before` and lead
        to `after`: of each clip the nearest place, the nearest first.
        """
        assert self.library is not None
        entries = self.library.entries if says_nothing(order.text) else self.library.fitting(order.text)
        if not order.given or not entries:
            return
        parts, begun = self._spoken.parts, len(order.given) // self.vocab.parts
        numbers = {entry.codes: number for number, entry in enumerate(self.library.entries)}  # ids may be there twice
        least = order.min_steps - begun if order.min_steps == order.max_steps else self.motion_tokenizer.steps(LEAST)
        frames = MATCHED * self._matcher.down
        places = self._matcher.places(
            self._moves(before)[-frames:],
            self._moves(after)[:frames],
            [numbers[entry.codes] for entry in entries],
            max(1, least),
            order.max_steps - begun,
        )
        for place in places:
            entry = self.library.entries[place.clip]
            spelled = entry.codes if self._finer else self._spelled(entry)
            yield Way(place, [*before, *spelled[place.first * parts : place.last * parts]])

    def taken(self, order: Order, way: Way, after: Sequence[int]) -> Found:
        """The motion of an order that goes on so, to where `after` begins."""
        assert self.library is not None
        entry, own = self.library.entries[way.place.clip], self.vocab.parts
        written = [*order.given, *self._spelled(entry)[way.place.first * own : way.place.last * own]]
        return Found(entry, written, self._spoken.decode_features([*way.codes, *after]) if self._finer else None)

    @property
    def _finer(self) -> bool:
        """Whether the library is of another motion tokenizer than the adapter, whose clips are shown by that one."""
        return self.library is not None and bool(self.library.name)

    @property
    def _spoken(self) -> MotionTokenizer:
        """The motion tokenizer that decodes what is looked up."""
        other = self.library.motion_tokenizer if self.library and self._finer else None
        return other or self.motion_tokenizer

    @property
    def _matcher(self) -> Matcher:
        """Of the library as it is, which may have been exchanged."""
        assert self.library is not None
        if self._matched is None or self._matched[0] is not self.library:
            clips = [self._kept(self.library.features(entry)) for entry in self.library.entries]
            self._matched = self.library, Matcher(clips, self.motion_tokenizer.frames_per_step)
        return self._matched[1]

    @property
    def _excerpts(self) -> Excerpts:
        """Of the library as it is, which may have been exchanged."""
        assert self.library is not None
        if self._cut_out is None or self._cut_out.library is not self.library:
            self._cut_out = Excerpts(self.library)
        return self._cut_out

    def _moves(self, codes: Sequence[int]) -> np.ndarray:
        """(T, D) features of a motion (codes of the tokenizer that is `_spoken`) as `_kept` gives them."""
        if not len(codes):
            return self._kept(np.zeros((0, self.motion_tokenizer.representation.dim), np.float32))
        return self._kept(self._spoken.decode_features(codes))

    def _kept(self, features: np.ndarray) -> np.ndarray:
        """(T, D) of features (T, dim) those that tell poses and how they move, in the body's own frame."""
        kept = self.motion_tokenizer.representation.columns("turn", "path", "height", "positions", "velocities")
        return features[:, kept]

    def _spelled(self, entry: Entry) -> tuple[int, ...]:
        """A clip's codes in the adapter's motion tokenizer, each encoded once where the library's is another."""
        library = self.library
        assert library is not None
        if not self._finer:
            return entry.codes
        if self._respelled is None or self._respelled[0] is not library:
            self._respelled = library, {}
        known = self._respelled[1]
        if entry.codes not in known:
            known[entry.codes] = tuple(self.motion_tokenizer.encode(library.features(entry)).tolist())
        return known[entry.codes]

    def _shows(self, wanted: Sequence[Asked], motion: Motion) -> tuple[float, float]:
        """The share of what is asked for that is measured on a motion, and of what is measured that is asked for; 1
        where nothing known is asked for.
        """
        if not wanted or self.motion_tokenizer.skeleton is not HUMANML3D:
            return 1.0, 1.0
        return shares_of(wanted, motion.joints, motion.fps)

    def _shown(self, clip: Found) -> Found:
        """A clip of the library with what it shows in the time of its codes, where that is more than they decode to."""
        if self.library is None or clip.features is not None or not (self._finer or clip.entry.frames):
            return clip
        frames = self._frames(clip.codes)
        return replace(clip, features=self.library.features(clip.entry)[:frames])

    def _looked_up(self, clip: Found, frames: int | None) -> Motion:
        """The motion of a clip, cut to so many frames."""
        if clip.features is None:
            return self._motion(clip.codes, frames)
        representation = self.motion_tokenizer.representation
        return representation.finished(representation.motion(clip.features).cut(0, frames))

    def _says(self, orders: Sequence[Order], motions: Sequence[Sequence[int]]) -> list[float]:
        """Log-likelihood in nats that the model describes each motion (codes) by its order's text; 0 for all on an
        engine, which gives none.
        """
        if not self.backend.can("likelihoods"):
            return [0.0] * len(orders)
        prompts = [self._prompt(self.asking("caption", motion=np.array(codes))) for codes in motions]
        replies = [
            self.tokenizer.encode(order.text, add_special_tokens=False, split_special_tokens=True) for order in orders
        ]
        return self.backend.likelihoods(prompts, replies)

    @staticmethod
    def _draw(seed: int | Sequence[int] | None, row: int, number: int) -> np.random.Generator:
        """As every draw, from the seed alone where each text has its own, else also from the row."""
        if seed is None:
            return np.random.default_rng()
        own = (seed[row], 0) if isinstance(seed, Sequence) else (seed, row)
        return generators([(*own, DRAWING, number)], 1)[0]


def _enough(wanted: Sequence[Asked], text: str, entry: Entry, shows: float, only: float) -> bool:
    """Whether a clip that fits a text shows enough of it, and of an act that the model makes by itself little else:
    "a person starts, hops and stops" is more than "a person hops", and four jumps more than "a person jumps".
    """
    if not wanted or any(one.action not in ACTIONS for one in wanted):
        return shows >= SHOWN
    if not says_no_more(entry.captions[0], text):
        return shows == 1 and only >= MOSTLY
    return shows >= SHOWN and (only >= PARTLY or not _single(wanted))


def _single(wanted: Sequence[Asked]) -> bool:
    """Whether one thing is asked for, and once."""
    return len(wanted) == 1 and (wanted[0].single or wanted[0].count == 1)
