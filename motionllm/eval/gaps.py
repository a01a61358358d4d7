"""Prediction and in-between: which frames of a clip are given, baselines that fill the rest, and the error of the
result.

A gap is frames `first` to `last` of a clip; the frames before it are given, and for in-between also those after it.
Whoever fills it knows its length, and sees nothing of the true frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.eval import metrics
from motionllm.motion.features import features_to_joints, joints_to_features
from motionllm.motion.placing import laid_on
from motionllm.motion.representation import of_width

UNIT = 4  # frames; clips and given parts are cut to multiples of it, so that no motion tokenizer drops frames
SHORTEST = 4 * UNIT  # frames; shorter clips are not used
SEAM = 3  # frames on either side included in the physics measures, so that a jump into or out of the gap counts


@dataclass(frozen=True)
class Gap:
    """features (T, dim) and joints (T, J, 3), metres, of a clip; NaN in the frames `first` to `last`, which are to be
    filled. text: a caption of the clip, or neutral words.
    """

    text: str
    features: np.ndarray
    joints: np.ndarray
    first: int
    last: int

    @property
    def fps(self) -> float:
        return of_width(self.features.shape[1]).fps


def gap(features: np.ndarray, task: str, given: float, text: str) -> Gap:
    """The gap of a clip (T, dim), T a multiple of UNIT.

    given: the given share of the clip: its beginning for "prediction", half of it at either end for "in_between";
    rounded to whole units, at least one of which remains to be filled.
    """
    total, ends = len(features) // UNIT, 1 if task == "prediction" else 2
    whole = min(max(1, int(round(given * total / ends, 6))), (total - 1) // ends)
    first, last = whole * UNIT, (total if ends == 1 else total - whole) * UNIT
    joints, known = features_to_joints(features), features.astype(np.float32)
    known[first:last], joints[first:last] = np.nan, np.nan
    return Gap(text, known, joints, first, last)


# -- baselines -------------------------------------------------------------------------------------------------


def hold(gap: Gap) -> np.ndarray:
    """Joints (T, J, 3): the last pose before the gap, throughout it."""
    joints = gap.joints.copy()
    joints[gap.first : gap.last] = joints[gap.first - 1]
    return joints


def linear(gap: Gap) -> np.ndarray:
    """Joints (T, J, 3): every joint on a straight line from the pose before the gap to the one after it.

    Raises MotionLLMError where there is no frame after it.
    """
    if gap.last == len(gap.joints):
        raise MotionLLMError("baseline:linear needs a pose on either side; for prediction there is baseline:hold.")
    joints = gap.joints.copy()
    share = np.arange(1, gap.last - gap.first + 1) / (gap.last - gap.first + 1)
    joints[gap.first : gap.last] = joints[gap.first - 1] + share[:, None, None] * (
        joints[gap.last] - joints[gap.first - 1]
    )
    return joints


def from_clip(gap: Gap, clip: np.ndarray) -> np.ndarray:
    """Joints (T, J, 3): the same frames of another clip's features (T or more, dim), aligned to the last pose before
    the gap.
    """
    joints, other = gap.joints.copy(), features_to_joints(clip[: len(gap.joints)])
    laid = laid_on(other, joints, gap.first - 1)
    joints[gap.first : gap.last] = laid[gap.first : gap.last]
    return joints


class Clips:
    """Training clips [(T, dim)], searched for the nearest to the given frames."""

    def __init__(self, clips: Sequence[np.ndarray]) -> None:
        self.clips = clips
        self.kept = of_width(clips[0].shape[1]).columns("turn", "path", "height", "positions", "velocities")
        self.std = np.concatenate([clip[:, self.kept] for clip in clips]).std(0) + 1e-3

    def nearest(self, gap: Gap) -> np.ndarray:
        """The clip, at least as long as the gap's, whose frames are nearest to those given, frame by frame.

        Raises MotionLLMError where none is that long.
        """
        given_frames = np.r_[0 : gap.first, gap.last : len(gap.features)]
        known = gap.features[given_frames][:, self.kept]
        nearest, least = None, np.inf
        for clip in self.clips:
            if len(clip) >= len(gap.features):
                apart = float((((clip[given_frames][:, self.kept] - known) / self.std) ** 2).mean())
                nearest, least = (clip, apart) if apart < least else (nearest, least)
        if nearest is None:
            raise MotionLLMError(f"No training clip is as long as {len(gap.features)} frames.")
        return nearest


def filled(gap: Gap, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(features, joints) of a clip whose gap was filled with `joints` (T, J, 3)."""
    skeleton = of_width(gap.features.shape[1]).skeleton
    return joints_to_features(joints, uniform=False, skeleton=skeleton), joints


# -- measures --------------------------------------------------------------------------------------------------


def measures(gap: Gap, made: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Errors of a filled clip: joints (T, J, 3) against the true ones.

    "ade", "fde" in metres over the filled frames, after aligning the clip to the true one at the last frame before
    them; "root_aligned_mpjpe_mm" over the same frames, with the roots aligned in each; skating, floating and jerk over
    them and SEAM frames on either side.
    """
    laid, asked = laid_on(made, true, gap.first - 1), slice(gap.first, gap.last)
    around = made[max(0, gap.first - SEAM) : gap.last + SEAM]
    skeleton = of_width(gap.features.shape[1]).skeleton
    return {
        "ade": metrics.ade(laid[asked], true[asked]),
        "fde": metrics.fde(laid[asked], true[asked]),
        "root_aligned_mpjpe_mm": 1000 * metrics.root_aligned_mpjpe(laid[asked], true[asked]),
        "skating": metrics.foot_skating(around, gap.fps, [foot for _, foot in skeleton.feet]),
        "floating_mm": 1000 * metrics.floating(around),
        "jerk": metrics.jerk(around, gap.fps),
    }
