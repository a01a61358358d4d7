"""Guards: quantities measured beside the reward, on held-out prompts, that training never optimises.

A reward that can be gamed rises while something else falls: motion becomes unlike real motion (FID), all alike
(diversity), a judge that is not rewarded scores less, or plain language is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from motionllm.config import Guards
from motionllm.data.tasks import TASKS
from motionllm.eval import metrics
from motionllm.eval.embedder import Embedder
from motionllm.feedback.judges import JUDGES, Judge, Panel, Result, Scores, agreed
from motionllm.feedback.sampling import Prompt, planned, replies, result
from motionllm.lm import decoding
from motionllm.lm.model import MotionLM
from motionllm.lm.sampling import Sampling
from motionllm.motion.agreement import tally

# Plain language that is not about motion: a model trained only on motion forgets it first.
PLAIN = (
    "The old library at the end of the street was closed for the winter, and nobody knew when it would open again.",
    "To make bread you need flour, water, salt and yeast, and above all a good deal of patience.",
    "The committee published its report in March; most of the newspapers did not mention it until June.",
    "Water boils at a lower temperature on a mountain because the air presses on it less.",
    "My sister wrote to say that the train had been late and that the letters were lost somewhere on the way.",
    "In the eighteenth century the price of salt decided the fate of many small towns along the coast.",
    "If the number is even, divide it by two; otherwise multiply it by three and add one.",
    "He bought three apples and two pears, paid with a large note, and forgot to wait for the change.",
    "The moon has no air, so its sky is black in the middle of the day and its shadows have sharp edges.",
    "A good question is often worth more than a long answer, especially early in the morning.",
)


def plain_language(lm: MotionLM) -> float:
    """Mean log-likelihood of PLAIN, nats per token; the first token of each text is given."""
    ids = [lm.tokenizer.encode(text, add_special_tokens=False) for text in PLAIN]
    likelihoods = decoding.likelihoods(lm.model, lm.vocab, [i[:1] for i in ids], [i[1:] for i in ids])
    return sum(likelihoods) / sum(len(i) - 1 for i in ids)


class Watch:
    """Held-out prompts and their real clips, measured repeatedly with one seed.

    panel: the judges that reward. embedder: the one that reports; with None neither FID nor diversity are measured.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        panel: Panel,
        embedder: Embedder | None,
        sampling: Sampling,
        *,
        batch: int,
        seed: int,
    ) -> None:
        self.prompts, self.panel, self.embedder = prompts, panel, embedder
        self.sampling, self.batch, self.seed = sampling, batch, seed
        tasks = {prompt.task for prompt in prompts}
        unseen = [j for j in JUDGES.values() if j.task in tasks and (j.name not in panel.weights or j.embeds)]
        self.unseen = Panel({j.name: 1.0 for j in unseen if embedder or not j.embeds}, embedder, panel.failed)
        moving = [prompt for prompt in prompts if prompt.moves]
        self.real = embedder.embed_motions([p.samples[0].load() for p in moving]) if embedder and moving else None

    def measure(self, lm: MotionLM) -> tuple[dict[str, Any], list[tuple[Result, Scores]]]:
        """A model's scores, and each result with the scores of all judges.

        {"reward", "judges": {name: mean}, "unseen": {name: mean}, "fid", "diversity", "mm_dist", "plain", "seconds",
        "events"}; seconds: mean duration of the motions; events: which kinds of event fail (`motion.agreement.tally`).
        """
        prompts = planned(lm, self.prompts, self.sampling, batch=self.batch, seed=self.seed)
        generated = replies(lm, prompts, self.sampling, batch=self.batch, seed=self.seed)
        results = [result(lm, prompt, reply) for prompt, reply in zip(prompts, generated, strict=True)]
        scores, others = self.panel(results), self.unseen(results)
        rewards = [reward for score in scores if (reward := self.panel.reward(score)) is not None]
        measured: dict[str, Any] = {
            "reward": float(np.mean(rewards)) if rewards else 0.0,
            "judges": _means(scores, self.panel.judges.values()),
            "unseen": _means(others, self.unseen.judges.values()),
            "plain": plain_language(lm),
        }
        moving = [one for one in results if TASKS[one.task].moves]
        if moving:
            measured["seconds"] = float(np.mean([one.motion.duration for one in moving if one.motion]))
            measured["events"] = tally(one for result in moving if (one := agreed(result)))
        if self.embedder and self.real is not None and len(moving) > 1:
            embedded = self.embedder.embed_motions([one.features for one in moving if one.features is not None])
            texts = self.embedder.embed_texts([one.asked for one in moving])
            measured |= {
                "fid": metrics.frechet_distance(embedded, self.real),
                "diversity": metrics.diversity(embedded, np.random.default_rng([self.seed, 1]), len(embedded)),
                "mm_dist": metrics.mm_dist(texts, embedded),
            }
        every = [
            {**{f"{name} (reporting)": value for name, value in other.items()}, **score}
            for score, other in zip(scores, others, strict=True)
        ]
        return measured, list(zip(results, every, strict=True))


def fallen(before: dict[str, Any], after: dict[str, Any], limits: Guards) -> list[str]:
    """A clause, with both figures, for each guard that passed its limit; empty where the guards hold."""
    clauses = []
    if "fid" in before:
        # The ratio of two FIDs near 0 means nothing: 0.01 is left to chance.
        if after["fid"] > before["fid"] * (1 + limits.fid) + 0.01:
            clauses.append(f"FID rose from {before['fid']:.3f} to {after['fid']:.3f}")
        if after["diversity"] < before["diversity"] * (1 - limits.diversity):
            clauses.append(f"diversity fell from {before['diversity']:.3f} to {after['diversity']:.3f}")
    for name, value in before["unseen"].items():
        now = after["unseen"].get(name)
        if (
            value is not None
            and now is not None
            and JUDGES[name].share(value) - JUDGES[name].share(now) > limits.unseen
        ):
            clauses.append(f"{name}, which training never saw, fell from {value:.3f} to {now:.3f}")
    if after["plain"] < before["plain"] - limits.plain:
        clauses.append(f"plain text fell from {before['plain']:.3f} to {after['plain']:.3f} nats a token")
    return clauses


def verdict(before: dict[str, Any], after: dict[str, Any], limits: Guards) -> str:
    """One sentence: whether the reward rose, and what fell meanwhile."""
    rose = after["reward"] > before["reward"]
    falls = fallen(before, after, limits)
    reward = f"The reward {'rose' if rose else 'did not rise'} ({before['reward']:.3f} to {after['reward']:.3f})"
    if not falls:
        return f"{reward} and the guards hold."
    return f"{'GAMED: ' if rose else ''}{reward}{' while' if rose else ', and'} {', '.join(falls)}."


def _means(scores: Sequence[Scores], judges: Any) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    judge: Judge
    for judge in judges:
        values = [value for score in scores if (value := score.get(judge.name)) is not None]
        means[judge.name] = float(np.mean(values)) if values else None
    return means
