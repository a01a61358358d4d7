"""A round of an improvement: prompts are answered, the replies judged and kept, and turned into units to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from motionllm.config import Improvement
from motionllm.errors import MotionLLMError
from motionllm.feedback import objectives
from motionllm.feedback.judges import Panel, Scores
from motionllm.feedback.learner import snapshot
from motionllm.feedback.sampling import Prompt, planned, replies, result
from motionllm.files import (
    read_json,
    read_jsonl,
    write_jsonl,
)
from motionllm.language.conversations import Tokens
from motionllm.lm.model import MotionLM
from motionllm.lm.results import adapter_hash
from motionllm.lm.sampling import Sampling
from motionllm.runs.progress import Bar
from motionllm.runs.run import Log, Signals, Stopped, logged


@dataclass
class Unit:
    """What one gradient is computed from: a sequence and its advantage, or for DPO the chosen and the rejected one."""

    sequences: list[Tokens]
    advantage: float = 1.0
    old: list[Tensor] = field(default_factory=list)
    reference: list[Tensor] = field(default_factory=list)


def resuming(run: Path) -> str:
    return f"motionllm improve --resume {run}"


def sampled(
    recipe: Improvement,
    lm: MotionLM,
    panel: Panel,
    prompts: list[Prompt],
    number: int,
    run: Path,
    bar: Bar,
    signals: Signals,
) -> list[dict[str, Any]]:
    """One group per prompt: {"task", "clip", "asked", "plan", "replies", "scores", "rewards"}; a reward is None where
    no judge scored.

    All replies to a prompt follow one plan, which the prompt then has too, so that they differ in how well they follow
    it. Groups are written line by line to `rounds/NNN.jsonl`; those already there are reused.
    """
    sampling = recipe.sampling
    path = run / "rounds" / f"{number:03d}.jsonl"
    groups = [group for _, group in logged(path)]
    each = max(1, sampling.batch // sampling.samples)  # groups decoded at once
    if len(groups) < len(prompts):
        groups = groups[: len(groups) // each * each]
    _follow(prompts, groups)
    if len(groups) < len(prompts):
        reused = _given(recipe, prompts) if sampling.replies and number == 0 else None
        if reused:
            _follow(prompts, reused)
        policy = lm if reused else snapshot(lm)
        write_jsonl(path, groups)
        lines = Log(path)
        for first in range(len(groups), len(prompts), each):
            seed = ((recipe.train.seed * 7_919 + number) * 1_000_003 + first) % 2**31
            drawing = Sampling(temperature=sampling.temperature, top_p=sampling.top_p, library=False)
            if not reused:
                prompts[first : first + each] = planned(
                    policy, prompts[first : first + each], drawing, batch=sampling.batch, seed=seed
                )
            mine = prompts[first : first + each]
            many = [prompt for prompt in mine for _ in range(sampling.samples)]
            if reused:
                answers = [reply for group in reused[first : first + each] for reply in group["replies"]]
            else:
                answers = replies(policy, many, drawing, batch=sampling.batch, seed=seed)
            scores = panel([result(policy, prompt, reply) for prompt, reply in zip(many, answers, strict=True)])
            for i, prompt in enumerate(mine):
                own = slice(i * sampling.samples, (i + 1) * sampling.samples)
                group = {
                    "task": prompt.task,
                    "clip": prompt.samples[0].id,
                    "asked": prompt.asked,
                    **({"plan": prompt.plan} if prompt.plan else {}),
                    "replies": answers[own],
                    "scores": scores[own],
                    "rewards": [panel.reward(score) for score in scores[own]],
                }
                groups.append(group)
                lines.write(group)
            means = summary(groups, panel)
            by_judge = {name: value for name, value in means["judges"].items() if value is not None}
            bar.update(
                number / max(recipe.train.rounds, 1),
                round=number + 1,
                sampled=f"{len(groups)}/{len(prompts)}",
                reward=means["reward"],
                **by_judge,
            )
            if signals.asked:
                raise Stopped(
                    signals.asked,
                    f"Stopped after {len(groups)} of {len(prompts)} prompts of round "
                    f"{number + 1}, all kept; go on with {resuming(run)}",
                )
        lines.close()
    return groups


def _follow(prompts: list[Prompt], groups: Sequence[dict[str, Any]]) -> None:
    """Give the prompts of existing groups the plans that their replies follow."""
    for i, group in enumerate(groups):
        prompts[i] = replace(prompts[i], plan=group.get("plan", ""))


def _given(recipe: Improvement, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """The first round's groups from the run `sampling.replies`, one per prompt."""
    run = Path(recipe.sampling.replies or "")
    try:
        sampler = read_json(run / "before.json")["adapter"]
        groups = [group for _, group in read_jsonl(run / "rounds" / "000.jsonl")]
    except (MotionLLMError, KeyError) as error:
        raise MotionLLMError(
            f"{run} has no first round to judge again ({error}); give a run that has sampled."
        ) from None
    theirs = [(group["task"], group["clip"], group["asked"], len(group["replies"])) for group in groups]
    ours = [(prompt.task, prompt.samples[0].id, prompt.asked, recipe.sampling.samples) for prompt in prompts]
    if theirs != ours or sampler != adapter_hash(recipe.start or ""):
        raise MotionLLMError(
            f"The replies in {run} are of another adapter or of other prompts; keep its start, sources, tasks, sampling"
            " and seed."
        )
    return groups


def summary(groups: Sequence[dict[str, Any]], panel: Panel) -> dict[str, Any]:
    """{"reward": mean over all replies, "best": mean of each group's best, "judges": {name: mean}}."""
    judged = [[r for r in group["rewards"] if r is not None] for group in groups]
    judged = [rewards for rewards in judged if rewards]
    scores: list[Scores] = [score for group in groups for score in group["scores"]]
    means: dict[str, float | None] = {}
    for name in panel.judges:
        values = [value for score in scores if (value := score.get(name)) is not None]
        means[name] = float(np.mean(values)) if values else None
    return {
        "reward": float(np.mean([r for rewards in judged for r in rewards])) if judged else 0.0,
        "best": float(np.mean([max(rewards) for rewards in judged])) if judged else 0.0,
        "judges": means,
    }


def units_of(
    recipe: Improvement, lm: MotionLM, prompts: Sequence[Prompt], groups: Sequence[dict[str, Any]], number: int
) -> list[Unit]:
    """The training units from the groups, by the recipe's method; no more than the steps of the round will use."""
    settings, units = recipe.train, []
    for prompt, group in zip(prompts, groups, strict=True):
        spoken = [i for i, reward in enumerate(group["rewards"]) if reward is not None and group["replies"][i]]
        rewards = [group["rewards"][i] for i in spoken]
        if not rewards:
            continue
        sequences = [prompt.tokens(lm, group["replies"][i]) for i in spoken]
        if recipe.method == "rejection":
            units += [Unit([sequences[i]]) for i in objectives.best(rewards, settings.keep, settings.least)]
        elif recipe.method == "dpo":
            for top, low in objectives.pairs(rewards, settings.keep, settings.margin):
                units.append(Unit([sequences[top], sequences[low]]))
        else:
            gains = objectives.advantages(rewards)
            units += [Unit([s], float(gain)) for s, gain in zip(sequences, gains, strict=True) if gain]
    if len(units) > (seen := settings.steps * settings.batch):
        random = np.random.default_rng([settings.seed, number, 5])
        units = [units[i] for i in sorted(random.choice(len(units), seen, replace=False).tolist())]
    return units
