"""Objectives against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from motionllm.feedback import objectives


def test_best_are_above_the_mean_and_good_enough() -> None:
    assert objectives.best([0.1, 0.9, 0.5, 0.8], keep=2, least=0.5) == [1, 3]
    assert objectives.best([0.1, 0.9, 0.5, 0.8], keep=4, least=0.85) == [1]
    assert objectives.best([0.7, 0.7, 0.7], keep=2, least=0.0) == []  # of equals none is best
    assert objectives.best([0.0, 0.2], keep=1, least=0.5) == []


def test_pairs_are_the_best_with_the_worst() -> None:
    assert objectives.pairs([0.5, 0.1, 0.9], keep=1, margin=0.5) == [(2, 1)]
    assert objectives.pairs([0.5, 0.1, 0.9, 0.3, 0.45], keep=9, margin=0.1) == [(2, 1), (0, 3)]
    assert objectives.pairs([0.5, 0.1, 0.9, 0.3], keep=9, margin=0.3) == [(2, 1)]
    assert objectives.pairs([0.5, 0.4], keep=1, margin=0.5) == []
    assert objectives.pairs([0.5, 0.5], keep=1, margin=0.0) == []


def test_advantages_have_mean_0_and_spread_1() -> None:
    found = objectives.advantages([0.0, 1.0, 1.0, 0.0])
    assert found.tolist() == [-1.0, 1.0, 1.0, -1.0]
    assert not np.any(objectives.advantages([0.3, 0.3, 0.3]))


def test_dpo_of_a_model_that_is_its_reference_is_log_2() -> None:
    a, b = torch.tensor([-1.0, -2.0]), torch.tensor([-3.0])
    assert objectives.dpo((a, b), (a, b), 0.1).item() == pytest.approx(math.log(2))
    # Chosen gains 2 nats, rejected loses 1: β · 3.
    moved = objectives.dpo((a + 1, b - 1), (a, b), 0.5).item()
    assert moved == pytest.approx(-math.log(1 / (1 + math.exp(-1.5))))


def test_clipping_takes_the_gradient_where_the_ratio_went_far_enough() -> None:
    for advantage, shift in ((1.0, 0.5), (-1.0, -0.5)):  # already moved its way
        new = torch.tensor([shift], requires_grad=True)
        objectives.clipped(new, torch.zeros(1), advantage, 0.2).backward()
        assert new.grad is not None and new.grad.item() == 0
    new = torch.zeros(2, requires_grad=True)
    objectives.clipped(new, torch.zeros(2), 2.0, 0.2).backward()  # at ratio 1: the policy gradient, −A a token
    assert new.grad is not None and new.grad.tolist() == [-2.0, -2.0]


def test_divergence_estimates_kl() -> None:
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    assert objectives.divergence(p.log(), p.log()).item() == 0
    assert (torch.tensor([objectives.divergence(p.log()[i : i + 1], q.log()[i : i + 1]) for i in range(3)]) >= 0).all()
    expected = sum(p[i] * objectives.divergence(p.log()[i : i + 1], q.log()[i : i + 1]) for i in range(3))
    assert expected.item() == pytest.approx((p * (p / q).log()).sum().item())
