"""Best of several by judges: candidates are decoded and scored, and the best one kept; with cost and gain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.eval.embedder import Embedder
from motionllm.feedback.judges import Panel, Result, parse_weights
from motionllm.feedback.sampling import look
from motionllm.lm.model import MotionLM
from motionllm.motion.notation import Notation


class Ranking:
    """A `judge` for `MotionLM.generate_batch`: the reward of each motion. The first of equals is kept.

    plan: the plan that all motions follow, for the judge `agreement`. `told()` afterwards reports the scores. Raises
    MotionLLMError, when called, where no judge can score a text, because then there is nothing to choose by.
    """

    def __init__(self, lm: MotionLM, panel: Panel) -> None:
        needs = [name for name, judge in panel.judges.items() if judge.task != "text_to_motion"]
        if needs:
            raise MotionLLMError(f"{needs[0]!r} judges words; motions are judged by facts, physics or similarity.")
        self.lm, self.panel = lm, panel
        self.plan: Notation | None = None
        self.seconds = 0.0
        self.scores: list[dict[str, float | None]] = []
        self.rewards: list[float] = []

    @classmethod
    def of(cls, lm: MotionLM, judges: str, embedder: str | None = None) -> Ranking:
        """From judges written as `facts,physics=0.2`. embedder: a folder or a shipped name, for `similarity`."""
        return cls(lm, Panel(parse_weights(judges), Embedder.load(embedder) if embedder else None))

    def __call__(self, texts: Sequence[str], made: Sequence[Sequence[int]]) -> list[float]:
        begun = time.monotonic()
        plans = [self.plan] if self.plan else []
        results = [
            look(self.lm, Result("text_to_motion", text, plans=plans), codes)
            for text, codes in zip(texts, made, strict=True)
        ]
        scores = self.panel(results)
        rewards = [self.panel.reward(score) for score in scores]
        silent = next((text for text, reward in zip(texts, rewards, strict=True) if reward is None), None)
        if silent is not None:
            planless = "agreement" in self.panel.judges and not plans
            remedy = "give a plan, " if planless else "name an action that can be measured, "
            raise MotionLLMError(
                f"The judges {', '.join(self.panel.judges)} have nothing to say of {silent!r}; {remedy}or add physics "
                "or similarity."
            )
        self.scores += scores
        self.rewards += [reward for reward in rewards if reward is not None]
        self.seconds += time.monotonic() - begun
        return self.rewards[-len(texts) :]

    def told(self, best_of: int) -> dict[str, Any]:
        """{"made", "judging_seconds", "reward", JUDGE: {"mean": over all candidates, "kept": over those kept}}.

        best_of: number of candidates per motion kept. Empty where nothing was judged.
        """
        if not self.rewards:
            return {}
        groups = [range(first, first + best_of) for first in range(0, len(self.rewards), best_of)]
        kept = [max(group, key=self.rewards.__getitem__) for group in groups]
        report: dict[str, Any] = {"made": len(self.rewards), "judging_seconds": round(self.seconds, 2)}
        report["reward"] = {
            "mean": float(np.mean(self.rewards)),
            "kept": float(np.mean([self.rewards[i] for i in kept])),
        }
        for name in self.panel.judges:
            values = [score[name] for score in self.scores]
            best = [values[i] for i in kept]
            report[name] = {
                "mean": _mean([v for v in values if v is not None]),
                "kept": _mean([v for v in best if v is not None]),
            }
        return report


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
