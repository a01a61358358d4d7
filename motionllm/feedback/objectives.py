"""What is learned from judged results, as pure functions of rewards and of log-probabilities per token.

new, old, reference: (n,) log-probabilities in nats of one sequence's tokens under the model being trained, the one that
sampled, and the adapter that training started from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def best(rewards: Sequence[float], keep: int, least: float) -> list[int]:
    """Rejection sampling: indices of the `keep` best of a group that are above its mean and reach `least`; none if all
    are equal.
    """
    mean = float(np.mean(rewards))
    order = sorted(range(len(rewards)), key=lambda i: -rewards[i])
    return [i for i in order[:keep] if rewards[i] > mean + 1e-9 and rewards[i] >= least]


def pairs(rewards: Sequence[float], keep: int, margin: float) -> list[tuple[int, int]]:
    """(better, worse) indices: the best of a group with its worst, the second best with the second worst, up to `keep`;
    pairs that are equal or less than `margin` apart are dropped.
    """
    order = sorted(range(len(rewards)), key=lambda i: -rewards[i])
    facing = zip(order[: min(keep, len(order) // 2)], order[::-1], strict=False)
    return [(top, low) for top, low in facing if rewards[top] - rewards[low] >= max(margin, 1e-9)]


def advantages(rewards: Sequence[float]) -> np.ndarray:
    """(N,) rewards minus their mean, divided by their std (Shao et al. 2024, GRPO); zeros for a group of equals."""
    array = np.asarray(rewards, np.float64)
    spread = array.std()
    return np.zeros(len(array)) if spread < 1e-9 else (array - array.mean()) / spread


def dpo(new: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor], beta: float) -> Tensor:
    """−log σ(β (Δ chosen − Δ rejected)), Δ the log-ratio of a sequence to the reference (Rafailov et al. 2023)."""
    chosen, rejected = ((n.sum() - r.sum()) for n, r in zip(new, reference, strict=True))
    return -F.logsigmoid(beta * (chosen - rejected))


def clipped(new: Tensor, old: Tensor, advantage: float, ratio: float) -> Tensor:
    """Sum over the tokens of −min(r A, clip(r, 1 ± ratio) A), r = exp(new − old) (Schulman et al. 2017)."""
    r = (new - old).exp()
    return -torch.minimum(r * advantage, r.clamp(1 - ratio, 1 + ratio) * advantage).sum()


def divergence(new: Tensor, reference: Tensor) -> Tensor:
    """Sum over the tokens of exp(ref − new) − (ref − new) − 1: a non-negative estimate of KL(new ‖ reference) (Schulman
    2020, "k3").
    """
    apart = reference - new
    return (apart.exp() - apart - 1).sum()
