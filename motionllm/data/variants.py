"""Training clips derived from those of a data set: trimmed at another frame and pace, one clip after another, and the
arms of one with the legs of another.

A derived clip is encoded like any other, with its own codes, notation and questions. Random numbers come from the
source's seed, so that a cache of encoded clips stays valid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from motionllm.config import More
from motionllm.data.sources import at_pace, from_joints, loaded
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import VERBS, Notation, measure
from motionllm.motion.representation import HUMANML3D_263
from motionllm.motion.splicing import TRUNK, rotated, yaw_of
from motionllm.samples import Sample

LONGEST = round(HUMANML3D_263.longest * HUMANML3D_263.fps)  # frames; the longest clip made from two
BLEND = 10  # frames over which one clip blends into the next
NEAR = 0.15  # metres, mean over the joints: largest distance of poses that are blended
TRIES = 12  # candidates tried for the continuation of a clip
_SUBJECT = re.compile(
    r"^(?:(?:an?|the|this|one)\s+(?:\w+\s+)?(?:person|man|woman|human|figure|character|individual|subject|guy|boy|girl)"
    r"|someone|somebody|he|she|they|it)\s+(?:(?:is|are)\s+(?=\w+ing\b))?",
    re.IGNORECASE,
)
# Verbs of the legs or trunk, and of the arms: two clips are combined if each has lines of one kind only.
_ARMS = {verb for verb, spec in VERBS.items() if spec.parts and all("arm" in p or "hand" in p for p in spec.parts)}
_ARMS = _ARMS - {"bend down"} | {"clap", "hands on hips"}
_LEGS = {"walk", "run", "step", "turn", "march", "kick", "squat", "lunge", "hop", "stand on", "lift"}


def varied(samples: Sequence[Sample], more: More, seed: int) -> list[Sample]:
    """Samples derived from those that have captions: `more.cuts` of each, `more.joined` and `more.stacked` in total,
    fewer where not enough clips match.
    """
    random = np.random.default_rng([seed, 3])
    told = [sample for sample in samples if sample.captions]
    made = [
        replace(sample, id=f"{sample.id}~{n}", load=partial(_cut, sample, more, [seed, i, n]), questions=[])
        for i, sample in enumerate(told)
        for n in range(1, more.cuts + 1)
    ]
    if not (more.joined or more.stacked):
        return made
    clips = [
        (sample, features)
        for sample, features in loaded(told)
        if features.shape[1] == HUMANML3D_263.dim and len(features) > 20
    ]
    if len(clips) > 1 and more.joined:
        made += _joined(clips, more.joined, random)
    if len(clips) > 1 and more.stacked:
        made += _stacked(clips, more.stacked, random)
    return made


def _cut(sample: Sample, more: More, seed: Sequence[int]) -> np.ndarray:
    """The sample's features at another pace, trimmed at either end by at most `more.crop` of their length."""
    random = np.random.default_rng(seed)
    features = sample.load()
    if more.pace and len(features) > 2:
        features = at_pace(features, 1 + more.pace * (2 * random.random() - 1))
    cut = (random.random(2) * more.crop * len(features)).astype(int)
    first = max(int(cut[0]), int(random.integers(4)))  # within a step: other codes, same motion
    return features[first : len(features) - int(cut[1])] if len(features) - first - cut[1] >= 8 else features


def _joined(clips: Sequence[tuple[Sample, np.ndarray]], count: int, random: np.random.Generator) -> list[Sample]:
    """Pairs of clips of which the second starts close to the pose in which the first ends."""
    ends = np.stack([_pose(features[-BLEND // 2]) for _, features in clips])
    begins = np.stack([_pose(features[BLEND // 2]) for _, features in clips])
    lengths = np.array([len(features) for _, features in clips])
    made: list[Sample] = []
    for _ in range(4 * count):
        first = int(random.integers(len(clips)))
        seconds = random.permutation(len(clips))[:TRIES]
        seconds = seconds[(seconds != first) & (lengths[seconds] + lengths[first] - BLEND <= LONGEST)]
        if not len(seconds):
            continue
        apart = np.linalg.norm(ends[first] - begins[seconds], axis=-1).mean(-1)
        if apart.min() > NEAR:
            continue
        (a, before), (b, after) = clips[first], clips[int(seconds[apart.argmin()])]
        captions = [_linked(one, _THEN, other, random) for one, other in zip(a.captions, b.captions, strict=False)]
        name = f"{a.id}+{b.id}"
        made.append(Sample(name, partial(joined, before, after), captions))
        if len(made) == count:
            break
    return made


def joined(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Features (A, 263), (B, 263) → (A + B − BLEND, 263): the second continues from the position and heading in which
    the first ends, with joints interpolated over the blend.
    """
    a, b = features_to_joints(before), features_to_joints(after)
    place, seam = a[-BLEND:], b[:BLEND]
    b = rotated(b, yaw_of(place[BLEND // 2]) - yaw_of(seam[BLEND // 2]))
    offset = place[BLEND // 2, 0] - b[BLEND // 2, 0]
    b = b + np.array([offset[0], 0, offset[2]])
    share = (np.arange(1, BLEND + 1) / (BLEND + 1))[:, None, None]
    share = share * share * (3 - 2 * share)  # without a jump of speed at either end
    return from_joints(np.concatenate([a[:-BLEND], (1 - share) * a[-BLEND:] + share * b[:BLEND], b[BLEND:]]))


def _stacked(clips: Sequence[tuple[Sample, np.ndarray]], count: int, random: np.random.Generator) -> list[Sample]:
    """Clips in which only the legs do something, with the trunk, arms and head of clips in which only the arms do."""
    legs, arms = [], []
    for sample, features in clips:
        notation = measure(features_to_joints(features))
        if does_only(notation, _LEGS):
            legs.append((sample, features))
        elif does_only(notation, _ARMS):
            arms.append((sample, features))
    made: list[Sample] = []
    for _ in range(count if legs and arms else 0):
        (a, below), (b, above) = legs[random.integers(len(legs))], arms[random.integers(len(arms))]
        captions = [_linked(one, _MEANWHILE, other, random) for one, other in zip(a.captions, b.captions, strict=False)]
        made.append(Sample(f"{a.id}&{b.id}", partial(stacked, below, above), captions))
    return made


def stacked(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Features (A, 263), (B, 263) → (min(A, B), 263): pelvis and legs of one, trunk and arms of the other."""
    length = min(len(below), len(above))
    a, b = (features_to_joints(x[:length]) for x in (below, above))
    made = a.copy()
    made[:, list(TRUNK)] = rotated(b[:, list(TRUNK)] - b[:, :1], yaw_of(a) - yaw_of(b)) + a[:, :1]
    return from_joints(made)


def does_only(notation: Notation, verbs: set[str]) -> bool:
    """Whether a body that starts and ends standing does only these verbs, and at least one."""
    lines = notation.lines
    return notation.postures == ("standing", "standing") and bool(lines) and all(line.verb in verbs for line in lines)


def _linked(first: str, links: Sequence[str], second: str, random: np.random.Generator) -> str:
    return f"{first.strip().rstrip('.,;')}{links[int(random.integers(len(links)))]}{_without_subject(second)}"


_THEN = (", then ", " and then ", ", and after that ")
_MEANWHILE = (" and meanwhile ", " and at the same time ", " while the person ")


def _without_subject(caption: str) -> str:
    """ "A person waves." → "waves": what follows "and then"."""
    return _SUBJECT.sub("", caption.strip()).rstrip(" .") or caption.strip()


def _pose(features: np.ndarray) -> np.ndarray:
    """(22, 3) of one frame's features: joints about the root, in its heading."""
    root = np.array([0.0, features[3], 0.0])
    return np.concatenate([root[None], features[HUMANML3D_263.blocks["positions"]].reshape(21, 3)])
