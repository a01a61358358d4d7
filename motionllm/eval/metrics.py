"""The field's metrics as pure functions of arrays: retrieval, distributions, poses, physics, durations, answers.

Embeddings are (N, D) float; row i of text and of motion belong together. Joints are (T, J, 3) metres, Y up, the floor
at height 0. Nothing here reads a file or knows a model, and random draws come only from a generator passed in.
"""

from __future__ import annotations

import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError

GROUP = 32  # pairs per group in which R-Precision ranks
LOW, SLIDING = (
    0.05,
    0.5,
)  # metres above the floor, metres per second: a foot below LOW that is faster than SLIDING skates


# -- embeddings ------------------------------------------------------------------------------------------------


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) Euclidean distances of rows (N, D) and (M, D)."""
    return np.linalg.norm(a[:, None].astype(np.float64) - b[None].astype(np.float64), axis=-1)


def r_precision(query: np.ndarray, found: np.ndarray, top: int = 3, group: int = GROUP) -> np.ndarray:
    """(top,) R@1 … R@top (Guo et al. 2022): how often a row of `query` (N, D) has its own row of `found` among the
    nearest.

    Ranked within groups of `group` rows in the given order; rows that fill no group are left out, as is usual. Ties are
    shared equally: an embedder that maps everything to one point scores 1/group. Raises MotionLLMError for fewer rows
    than one group.
    """
    query, found = _pairs(query, found)
    if len(query) < group or group <= top:
        raise MotionLLMError(f"R@{top} ranks among {group} pairs, and there are {len(query)}; set `group` lower.")
    hits = np.zeros(top)
    groups = len(query) // group
    for start in range(0, groups * group, group):
        apart = distances(query[start : start + group], found[start : start + group])
        own = np.diag(apart)[:, None]
        nearer, equal = (apart < own).sum(1), (apart == own).sum(1)
        hits += np.clip((np.arange(1, top + 1)[:, None] - nearer) / equal, 0, 1).sum(1)
    return hits / (groups * group)


def mm_dist(text: np.ndarray, motion: np.ndarray) -> float:
    """Mean Euclidean distance of matching text and motion embeddings, (N, D) each."""
    text, motion = _pairs(text, motion)
    return float(np.linalg.norm(text.astype(np.float64) - motion, axis=-1).mean())


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """FID (Heusel et al. 2017) of two sets of embeddings (N, D), (M, D): |μ₁−μ₂|² + tr(C₁ + C₂ − 2 (C₁C₂)^½).

    The root's trace is computed as the sum of the singular values of √C₁ √C₂, which needs no root of a non-symmetric
    matrix and stays real where a covariance is singular. Raises MotionLLMError for a set of fewer than 2.
    """
    if min(len(a), len(b)) < 2:
        raise MotionLLMError(f"FID compares sets of at least 2 motions, not of {len(a)} and {len(b)}.")
    a, b = a.astype(np.float64), b.astype(np.float64)
    covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
    cross = np.linalg.svd(_root(covariances[0]) @ _root(covariances[1]), compute_uv=False).sum()
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    # A squared distance: negative values are rounding errors.
    return max(0.0, float(apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross))


def diversity(motion: np.ndarray, random: np.random.Generator, pairs: int = 300) -> float:
    """Mean distance of `pairs` random pairs of embeddings (N, D); each side is drawn without replacement.

    Raises MotionLLMError for fewer than `pairs` rows.
    """
    if len(motion) < pairs:
        raise MotionLLMError(f"Diversity of {pairs} pairs needs as many motions, not {len(motion)}; set `pairs` lower.")
    one, other = (motion[random.choice(len(motion), pairs, replace=False)].astype(np.float64) for _ in range(2))
    return float(np.linalg.norm(one - other, axis=-1).mean())


def multimodality(motion: np.ndarray, random: np.random.Generator, pairs: int = 10) -> float:
    """Mean distance of motions generated for the same text: embeddings (texts, repeats, D), `pairs` pairs of repeats
    each.

    Raises MotionLLMError for too few repeats.
    """
    if motion.shape[1] < pairs:
        raise MotionLLMError(f"MultiModality of {pairs} pairs needs as many motions a text, not {motion.shape[1]}.")
    one, other = (motion[:, random.choice(motion.shape[1], pairs, replace=False)].astype(np.float64) for _ in range(2))
    return float(np.linalg.norm(one - other, axis=-1).mean())


def interval(values: Sequence[float]) -> dict[str, float]:
    """{"mean", "ci95"} of replications: mean ± 1.96 · std / √n, with the population std (over n), as is usual here."""
    array = np.asarray(values, np.float64)
    return {"mean": float(array.mean()), "ci95": float(1.96 * array.std() / np.sqrt(len(array)))}


def _pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if a.shape != b.shape or a.ndim != 2:
        raise MotionLLMError(f"Embeddings of pairs must be two arrays (N, D) alike, not {a.shape} and {b.shape}.")
    return a, b


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


# -- poses -----------------------------------------------------------------------------------------------------


def mpjpe(made: np.ndarray, true: np.ndarray) -> float:
    """Mean per-joint position error of joints (T, J, 3), metres, in the clips' own frame ("global")."""
    return float(_errors(made, true).mean())


def root_aligned_mpjpe(made: np.ndarray, true: np.ndarray) -> float:
    """MPJPE, metres, with the roots (joint 0) aligned in every frame; no rotation."""
    return mpjpe(made - made[:, :1], true - true[:, :1])


def pa_mpjpe(made: np.ndarray, true: np.ndarray) -> float:
    """MPJPE, metres, after the best similarity transform (rotation, translation, scale) of every frame: Procrustes
    (Umeyama 1991).
    """
    made, true = (x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64) for x in (made, true))
    u, s, vt = np.linalg.svd(made.transpose(0, 2, 1) @ true)
    # No reflections: where the best orthogonal matrix is one, the direction of the smallest singular value is flipped.
    sign = np.ones_like(s)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None]) @ vt
    size = (made**2).sum((1, 2))
    scale = (s * sign).sum(1) / np.where(size > 0, size, 1)
    return mpjpe(scale[:, None, None] * made @ turn, true)


def acceleration_error(made: np.ndarray, true: np.ndarray, fps: float) -> float:
    """Mean difference of the joints' accelerations (second differences), m/s²; joints (T, J, 3) with T at least 3."""
    return float(_errors(*(_differences(x, 2, fps) for x in (made, true))).mean())


def ade(made: np.ndarray, true: np.ndarray) -> float:
    """Average displacement error of a predicted future: mean joint error over its frames and joints, metres."""
    return mpjpe(made, true)


def fde(made: np.ndarray, true: np.ndarray) -> float:
    """Final displacement error: mean joint error of the last frame, metres."""
    return mpjpe(made[-1:], true[-1:])


def _errors(made: np.ndarray, true: np.ndarray) -> np.ndarray:
    if made.shape != true.shape or made.ndim != 3 or not made.size:
        raise MotionLLMError(
            f"Joints to compare must be two arrays (T, J, 3) alike, not {made.shape} and {true.shape}."
        )
    return np.linalg.norm(made.astype(np.float64) - true, axis=-1)


def _differences(joints: np.ndarray, order: int, fps: float) -> np.ndarray:
    if len(joints) <= order:
        raise MotionLLMError(f"A clip of {len(joints)} frame(s) is too short: at least {order + 1} are needed.")
    return np.diff(joints.astype(np.float64), order, axis=0) * fps**order


# -- physics ---------------------------------------------------------------------------------------------------


def foot_skating(joints: np.ndarray, fps: float, feet: Sequence[int] = (10, 11)) -> float:
    """Share of the frames in which a foot near the floor slides (Karunratanakul et al. 2023).

    A foot skates from one frame to the next where its joint is under 5 cm in both and moves over the floor faster than
    0.5 m/s, 2.5 cm per frame at 20 fps. feet: joint indices; by default the toes of HumanML3D's body.
    """
    toes = joints[:, list(feet)].astype(np.float64)
    over = np.linalg.norm(_differences(toes[..., [0, 2]], 1, fps), axis=-1)
    low = toes[..., 1] < LOW
    return float((low[1:] & low[:-1] & (over > SLIDING)).any(1).mean())


def floor_penetration(joints: np.ndarray) -> float:
    """Mean depth in metres of the lowest joint below the floor over all frames (Yuan et al. 2023)."""
    return float(np.maximum(-joints[..., 1].min(1), 0).mean())


def floating(joints: np.ndarray) -> float:
    """Mean height of the lowest joint above the floor over all frames, metres; jumps count, as in real motion."""
    return float(np.maximum(joints[..., 1].min(1), 0).mean())


def jerk(joints: np.ndarray, fps: float) -> float:
    """Mean norm of the joints' third derivative, m/s³; joints (T, J, 3) with T at least 4."""
    return float(np.linalg.norm(_differences(joints, 3, fps), axis=-1).mean())


def bone_length_drift(joints: np.ndarray, parents: Sequence[int]) -> float:
    """Mean over the bones of std / mean of the bone's length over time: 0 for a rigid body."""
    bones = [(j, p) for j, p in enumerate(parents) if p >= 0]
    child, parent = (list(x) for x in zip(*bones, strict=True))
    lengths = np.linalg.norm(joints[:, child].astype(np.float64) - joints[:, parent], axis=-1)
    return float((lengths.std(0) / lengths.mean(0)).mean())


def duration_error(made: Sequence[float], asked: Sequence[float]) -> dict[str, float]:
    """{"mean_s", "mean_abs_s", "worst_s"} of realised against requested durations, seconds."""
    errors = np.asarray(made, np.float64) - np.asarray(asked, np.float64)
    return {
        "mean_s": float(errors.mean()),
        "mean_abs_s": float(np.abs(errors).mean()),
        "worst_s": float(np.abs(errors).max()),
    }


# -- codes -----------------------------------------------------------------------------------------------------


# -- answers ---------------------------------------------------------------------------------------------------

ARTICLES = {"a", "an", "the"}


def normalised_answer(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces (Rajpurkar et al. 2016)."""
    words = "".join(" " if c in string.punctuation else c for c in text.lower()).split()
    return " ".join(word for word in words if word not in ARTICLES)


def answer_scores(answers: Sequence[str | None], true: Sequence[str], kinds: Sequence[str]) -> dict[str, Any]:
    """Shares of right answers: {"questions", "exact", "normalised", "majority", "kinds": {kind: the same}}.

    None is a missing answer, and wrong. "majority": what always giving the kind's most common true answer would score;
    for a kind "majority_answer" is that answer.
    """
    rows = defaultdict(list)
    for answer, truth, kind in zip(answers, true, kinds, strict=True):
        text = answer or ""
        rows[kind].append((text == truth, normalised_answer(text) == normalised_answer(truth), truth))
    if not rows:
        raise MotionLLMError("There are no questions to score answers of.")
    by_kind, always = {}, 0
    for kind, mine in sorted(rows.items()):
        common, often = Counter(truth for *_, truth in mine).most_common(1)[0]
        always += often
        by_kind[kind] = {
            "questions": len(mine),
            "exact": sum(row[0] for row in mine) / len(mine),
            "normalised": sum(row[1] for row in mine) / len(mine),
            "majority": often / len(mine),
            "majority_answer": common,
        }
    every = [row for mine in rows.values() for row in mine]
    return {
        "questions": len(every),
        "exact": sum(row[0] for row in every) / len(every),
        "normalised": sum(row[1] for row in every) / len(every),
        "majority": always / len(every),
        "kinds": by_kind,
    }


def text_only_answers(train: Sequence[tuple[str, str, str]], questions: Sequence[tuple[str, str]]) -> list[str | None]:
    """Answers to (question, kind) without any motion: the most common one for the same question in training, else for
    its kind.

    train: (question, answer, kind). A model must beat this score to have read the motion. None: no such kind.
    """
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for text, answer, kind in train:
        by_text[text][answer] += 1
        by_kind[kind][answer] += 1
    known = (by_text.get(text) or by_kind.get(kind) for text, kind in questions)
    return [counts.most_common(1)[0][0] if counts else None for counts in known]
