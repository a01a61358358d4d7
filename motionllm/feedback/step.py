"""A step of an improvement: which units it uses, what stays fixed within a round, and its gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Improvement
from motionllm.feedback import objectives
from motionllm.feedback.learner import log_probs
from motionllm.feedback.rounds import Unit
from motionllm.feedback.sampling import Prompt
from motionllm.files import (
    whole_stream,
)
from motionllm.language.conversations import Tokens
from motionllm.lm.model import MotionLM
from motionllm.runs.precision import fast_dtype


def remember(recipe: Improvement, lm: MotionLM, units: Sequence[Unit], start: dict[str, Tensor], file: Path) -> None:
    """Fill in the log-probabilities that stay fixed within a round: those under the sampling policy, and those under
    the adapter that training started from. Kept as a file, because a resumed run has another policy by then.
    """
    needs_old = recipe.method == "grpo"
    needs_reference = recipe.method == "dpo" or recipe.train.kl > 0
    if file.is_file():
        stored = torch.load(file, map_location="cpu", weights_only=True)
    else:
        lm.model.eval()
        stored = {"old": _frozen(recipe, lm, units) if needs_old else []}
        with _weights(lm.model, start):
            stored["reference"] = _frozen(recipe, lm, units) if needs_reference else []
        with whole_stream(file) as stream:
            torch.save(stored, stream)
    for name, log_probabilities in stored.items():
        for unit, these in zip(units, log_probabilities, strict=False):
            setattr(unit, name, these)


@torch.no_grad()
def _frozen(recipe: Improvement, lm: MotionLM, units: Sequence[Unit]) -> list[list[Tensor]]:
    log_probabilities: list[list[Tensor]] = []
    for i in range(0, len(units), recipe.train.micro_batch):
        some = units[i : i + recipe.train.micro_batch]
        with _autocast(recipe, lm):
            rows = iter(log_probs(lm, [tokens for unit in some for tokens in unit.sequences]))
        log_probabilities += [[next(rows).cpu() for _ in unit.sequences] for unit in some]
    return log_probabilities


def draw(
    recipe: Improvement,
    lm: MotionLM,
    units: Sequence[Unit],
    prompts: Sequence[Prompt],
    texts: Sequence[Tokens],
    number: int,
    step: int,
) -> tuple[list[Unit], list[tuple[float, list[Tokens]]]]:
    """The units of a step, and what is added to them with its weight: true examples, and texts to rehearse. Every unit
    is used once before any twice; seed, round and step alone decide.
    """
    settings = recipe.train
    count = min(settings.batch, len(units))
    chosen = []
    for place in range(step * count, (step + 1) * count):
        turn, at = divmod(place, len(units))
        order = np.random.default_rng([settings.seed, number, 3, turn]).permutation(len(units))
        chosen.append(units[order[at]])
    random = np.random.default_rng([settings.seed, number, 4, step])
    picked = random.choice(len(prompts), min(round(settings.truth * settings.batch), len(prompts)), replace=False)
    truths = [prompts[i].tokens(lm, prompts[i].truth) for i in picked]
    share = min(round(settings.rehearsal * settings.batch), len(texts))
    rehearsed = [texts[i] for i in random.choice(len(texts), share, replace=False)] if share else []
    return chosen, [(settings.truth, truths), (settings.rehearsal, rehearsed)]


def backward(
    recipe: Improvement, lm: MotionLM, units: list[Unit], beside: list[tuple[float, list[Tokens]]]
) -> tuple[float, float]:
    """Gradients of one step. Returns (loss, divergence from the start in nats per token, where it was computed).

    Token losses are averaged over the whole step, pair losses over its pairs; never per micro-batch.
    """
    settings = recipe.train
    units = sorted(units, key=lambda unit: -len(unit.sequences[0].ids))  # similar lengths together: little is padded
    tokens = sum(sum(t.supervised[1:]) for unit in units for t in unit.sequences)
    total = apart = 0.0
    for i in range(0, len(units), settings.micro_batch):
        some = units[i : i + settings.micro_batch]
        with _autocast(recipe, lm):
            rows = iter(log_probs(lm, [t for unit in some for t in unit.sequences]))
        loss = drift = torch.zeros((), device=lm.model.device)
        for unit in some:
            new = [next(rows) for _ in unit.sequences]
            reference = [r.to(new[0].device) for r in unit.reference]
            if recipe.method == "dpo":
                pair = objectives.dpo((new[0], new[1]), (reference[0], reference[1]), settings.beta)
                loss = loss + pair / len(units)
            elif recipe.method == "grpo":
                old = unit.old[0].to(new[0].device)
                loss = loss + objectives.clipped(new[0], old, unit.advantage, settings.clip_ratio) / tokens
            else:
                loss = loss - new[0].sum() / tokens
            for n, r in zip(new, reference, strict=False):
                drift = drift + objectives.divergence(n, r) / tokens
        loss = loss + settings.kl * drift
        loss.backward()
        total, apart = total + float(loss.detach()), apart + float(drift.detach())
    for weight, sequences in beside:
        supervised = sum(sum(t.supervised[1:]) for t in sequences)
        for i in range(0, len(sequences), settings.micro_batch):
            with _autocast(recipe, lm):
                rows_ = log_probs(lm, sequences[i : i + settings.micro_batch])
            loss = -weight * torch.cat(rows_).sum() / supervised
            loss.backward()
            total += float(loss.detach())
    return total, apart


@contextmanager
def _weights(model: Any, weights: dict[str, Tensor]) -> Iterator[None]:
    """Exchange the trained parameters for others of the same names within the context."""
    parameters = {name: p for name, p in model.named_parameters() if name in weights}
    own = {name: p.data for name, p in parameters.items()}
    try:
        for name, p in parameters.items():
            p.data = weights[name]
        yield
    finally:
        for name, p in parameters.items():
            p.data = own[name]


def _autocast(recipe: Improvement, lm: MotionLM) -> Any:
    precision = fast_dtype() if recipe.train.precision == "auto" else recipe.train.precision
    return torch.autocast(lm.model.device.type, torch.bfloat16, enabled=precision == "bfloat16")
