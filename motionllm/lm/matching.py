"""Motion matching: where in recorded clips a body stands and moves as it does where another clip ends, or begins.

After Clavet, "Motion Matching and The Road to Next-Gen Animation" (GDC 2016), on steps of codes in the place of frames:
what is taken goes on in codes, and the decoder of the motion tokenizer joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """Steps `first` to `last` of clip `clip`. apart: mean squared distance of the steps before and after from those
    given, in standard deviations of the clips.
    """

    apart: float
    clip: int
    first: int
    last: int


class Matcher:
    """clips: (T, D) features of each clip, whole steps of `down` frames; see `places`."""

    def __init__(self, clips: Iterable[np.ndarray], down: int) -> None:
        self.down = down
        steps = [clip[: len(clip) // down * down].reshape(-1, down * clip.shape[1]) for clip in clips]
        every = np.concatenate(steps)
        self.spread = every.std(0) + 1e-3
        self.clips = [clip / self.spread for clip in steps]

    def _given(self, features: np.ndarray) -> np.ndarray:
        whole = len(features) // self.down * self.down
        return features[:whole].reshape(-1, len(self.spread)) / self.spread

    def places(self, before: np.ndarray, after: np.ndarray, clips: Sequence[int], least: int, most: int) -> list[Place]:
        """For each of some clips the place of `least` to `most` steps, as many as it has, that fits best between the
        frames `before` (T, D) and `after` (T, D; none: between `before` and anything); the best first.
        """
        start, end = self._given(before), self._given(after)
        found = []
        for number in clips:
            clip = self.clips[number]
            first = np.arange(len(start), len(clip) - least - len(end) + 1)
            if not len(first):
                continue
            apart = np.zeros(len(first))
            for step, wanted in enumerate(start):
                apart += ((clip[first - len(start) + step] - wanted) ** 2).mean(1) / len(start)
            for step, wanted in enumerate(end):  # of an exact length, so that `least` is where it ends
                apart += ((clip[first + least + step] - wanted) ** 2).mean(1) / len(end)
            best = int(apart.argmin())
            last = first[best] + least if len(end) else min(first[best] + most, len(clip))
            found.append(Place(float(apart[best]), number, int(first[best]), int(last)))
        return sorted(found, key=lambda place: place.apart)
