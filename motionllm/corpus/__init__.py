"""The built-in corpus: procedural motion of a 22-joint body with captions that are exactly true of it.

It needs no download and no licence: every clip is computed from (seed, split, index) alone. Some 33 actions, with side,
direction, count and speed, alone, one after another, or one of the arms during one of the legs. Captions follow the
style of HumanML3D's annotators; questions have exact short answers. A tenth of the specifications (by hash) never occur
in training: val and test consist only of these.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from motionllm.corpus import body
from motionllm.corpus.action import Part
from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.asking import questions
from motionllm.corpus.checking import check
from motionllm.corpus.choreography import choreograph
from motionllm.corpus.heard import heard, spec_of
from motionllm.corpus.reading import named, names_action, right_answer
from motionllm.corpus.spec import Spec, draw
from motionllm.corpus.words import captions
from motionllm.errors import MotionLLMError
from motionllm.samples import Sample

__all__ = [
    "ACTIONS",
    "Part",
    "Sample",
    "Spec",
    "captions",
    "check",
    "corpus",
    "heard_corpus",
    "joints",
    "named",
    "names_action",
    "questions",
    "right_answer",
    "sample",
]

SPLITS = ("train", "val", "test")
_LONGEST_DRAWN = 8.6  # seconds; longest clip that `sample` draws


def joints(spec: Spec, seed: int = 0) -> np.ndarray:
    """The motion of a specification: (T, 22, 3) float32 metres, 20 fps, Y up, initially facing +Z.

    The seed decides the style: pace, reach, posture, which foot starts. T is 20 × spec.seconds where that is given.
    Raises MotionLLMError where the corpus cannot produce the motion.
    """
    spec.validate()
    return body.joints(*choreograph(spec, seed))


def _features(spec: Spec, seed: int) -> np.ndarray:
    from motionllm.motion.features import joints_to_features

    return joints_to_features(joints(spec, seed), uniform=True)


def sample(index: int, seed: int = 0, split: str = "train") -> Sample:
    """Clip number `index` of a split, the same in every process; its features are computed by `load`."""
    if split not in SPLITS:
        raise MotionLLMError(f"No split '{split}' in the built-in corpus: take one of {', '.join(SPLITS)}.")
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    clip = int(rng.integers(2**31))
    while True:
        spec = draw(rng, split)
        score, frames = choreograph(spec, clip)
        if score.end <= _LONGEST_DRAWN:
            break
    spec = replace(spec, seconds=frames / body.FPS)
    return Sample(
        id=f"builtin-{split}-{index:06d}",
        load=partial(_features, spec, clip),
        captions=captions(spec, rng),
        questions=questions(spec, rng),
        labels={"spec": spec.json(), "seed": clip},
    )


def heard_corpus(path: Path, n: int, seed: int = 0, split: str = "train") -> list[Sample]:
    """n clips for captions without motion (JSON lines of {"id", "split", "captions"}): each caption that is understood
    gets a motion that does what it says, in turn and a different one each time. Raises MotionLLMError where none is
    understood.
    """
    captions = heard(path, split)
    if not captions:
        raise MotionLLMError(f"{path}: no caption of the {split} split names actions that the built-in corpus knows.")
    samples: list[Sample] = []
    order: list[int] = []
    for index in range(n):
        rng = np.random.default_rng([seed, 4 + SPLITS.index(split), index])
        lap, place = divmod(index, len(captions))
        if not place:
            order = np.random.default_rng([seed, 9, lap]).permutation(len(captions)).tolist()
        name, caption = captions[order[place]]
        clip = int(rng.integers(2**31))
        for _ in range(20):
            spec = spec_of(caption, rng)
            assert spec
            score, frames = choreograph(spec, clip)
            if score.end <= _LONGEST_DRAWN:
                break
        else:
            continue
        spec = replace(spec, seconds=frames / body.FPS)
        samples.append(
            Sample(
                f"{name}-{index:06d}",
                partial(_features, spec, clip),
                [caption],
                questions(spec, rng),
                {"spec": spec.json(), "seed": clip},
            )
        )
    return samples


def corpus(n: int, seed: int = 0, split: str = "train") -> list[Sample]:
    """The first n clips of a split."""
    return [sample(index, seed, split) for index in range(n)]
