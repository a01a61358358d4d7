"""The choreography of a clip: its actions written into a score, one after another or simultaneously."""

from __future__ import annotations

import numpy as np

from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.actor import Actor
from motionllm.corpus.body import FPS, Score
from motionllm.corpus.spec import Spec

LONGEST_FRAMES = 196  # frames; HumanML3D's longest clip


def choreograph(spec: Spec, seed: int) -> tuple[Score, int]:
    """The score of a specification, and its length in frames."""
    rng = np.random.default_rng([seed, 7])
    a = Actor(rng, short=len(spec.parts) == 2 and spec.relation == "then")
    if begin := ACTIONS[spec.parts[0].action].begin:
        begin(a)
    if spec.relation == "while":
        carried, upper = spec.parts
        start = a.now
        ACTIONS[carried.action].move(a, carried)
        stop, a.now = a.now, start + a.between(0.1, 0.4)
        ACTIONS[upper.action].move(a, upper, until=stop)
        a.now = max(stop, a.now)
    else:
        for k, part in enumerate(spec.parts):
            if k:
                a.now += a.between(0.05, 0.3)
            ACTIONS[part.action].move(a, part)
    s = a.score
    s.end = max(a.now, 2.15) + a.between(0.1, 0.35)
    if spec.seconds:
        s.warp(s.end * float(np.clip(spec.seconds / s.end, 0.75, 1.35)))
    frames = round(spec.seconds * FPS) if spec.seconds else min(round(s.end * FPS), LONGEST_FRAMES)
    _sway(s, rng)
    return s, frames


def _sway(score: Score, rng: np.random.Generator) -> None:
    """A slow drift of a few millimetres and degrees, as nobody stands perfectly still."""
    score.idle = [
        (channel, size * rng.uniform(0.5, 1.3), rng.uniform(0.15, 0.5), rng.uniform(0, 2 * np.pi))
        for channel, size in (
            ("sway", 0.006),
            ("fore", 0.006),
            ("bend", 0.015),
            ("lean", 0.015),
            ("twist", 0.02),
            ("look", 0.05),
            ("nod", 0.03),
            ("fl0", 0.03),
            ("fl1", 0.03),
            ("ab0", 0.02),
            ("ab1", 0.02),
        )
    ]
