"""Recipes by which an adapter learns from its own judged results: `motionllm improve RUN RECIPE`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from motionllm.config.base import (
    NUMBER,
    Batch,
    Count,
    Factor,
    Fraction,
    Loss,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Sources,
    Steps,
    TopP,
    Warmup,
    Weight,
    Weights,
    Where,
)


class Sampling(Section):
    """What is made to be judged."""

    prompts: Count = 64
    """Prompts a round."""
    samples: Annotated[int, Field(ge=2, le=1000), NUMBER] = 8
    """Results for each of them."""
    replies: Where | None = None
    """A run from the same adapter, with the same prompts, whose first round's results are judged again in place of new
    ones, so that judges and methods can be set side by side for one sampling."""
    temperature: Annotated[float, Field(ge=0.01, le=100), NUMBER] = 1.0
    """Of sampling."""
    top_p: TopP = 1.0
    """Sample from the likeliest tokens that make up this share."""
    batch: Batch = 32
    """Results made side by side."""
    seconds: Fraction = 0.0
    """Share of motion prompts that state a duration, which the model's own stop is then judged by."""


class Learning(Section):
    """How an adapter learns from its judged results: rounds of sampling, then steps on what was sampled."""

    rounds: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 1
    """Rounds of sampling and learning; 0 measures alone."""
    steps: Steps = 50
    """Optimizer steps a round."""
    minutes: Minutes | None = None
    """Wall time, sampling included, after which the run ends with the step it is in."""
    batch: Batch = 16
    """Units a step: a result; for `dpo` a pair."""
    micro_batch: Batch = 8
    """Units computed at once; it changes memory and speed alone."""
    keep: Annotated[int, Field(gt=0, le=1000), NUMBER] = 1
    """`rejection`: the best of a group, where better than the group's mean. `dpo`: pairs of a group, best with worst,
    second best with second worst."""
    least: Fraction = 0.5
    """`rejection`: the least reward of what is learned from."""
    margin: Fraction = 0.1
    """`dpo`: by how much reward the two of a pair must differ."""
    beta: Weight = 0.1
    """`dpo`: how much the margin between chosen and rejected counts."""
    clip_ratio: Factor = 0.2
    """`grpo`: how far the ratio to the sampling policy counts."""
    kl: Loss = 0.02
    """Weight of the divergence from the adapter that was started from, per token."""
    truth: Fraction = 0.25
    """True examples beside the judged ones, as a share of the batch."""
    rehearsal: Fraction = 0.25
    """Texts that the base itself writes, likewise, so that plain language stays."""
    lr: Rate = 1e-4
    """The learning rate after `warmup`."""
    rows_lr: Factor = 1.0
    """Factor on the motion rows' rate."""
    warmup: Warmup = 5
    """Steps in which the rate rises; with `minutes`, a tenth of them at most."""
    min_lr: Fraction = 0.1
    """The rate's end, as a share of `lr`."""
    clip: Weight = 1.0
    """The gradient's norm is cut to this."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the computation; what is trained and the optimizer are float32 in any case."""
    store: Literal["float32", "bfloat16"] = "float32"
    """Type of the adapter's file at the end; bfloat16 halves it."""
    save_every: Count = 10
    """Steps between checkpoints."""
    save_minutes: Minutes | None = 10.0
    """Minutes after which a checkpoint is saved at the latest; null counts steps alone."""
    seed: Seed = 0
    """Of prompts, sampling and batches."""


class Guards(Section):
    """What is measured beside the reward, before and after, on prompts of the val split, and how much may be lost."""

    embedder: Where | None = None
    """The embedder that reports FID and diversity; never the one that judges."""
    cases: Annotated[int, Field(ge=2, le=1_000_000), NUMBER] = 100
    """Prompts."""
    every: Count = 1
    """Rounds between measurements."""
    fid: Loss = 0.05
    """How much of FID may be gained, as a share."""
    diversity: Fraction = 0.10
    """How much of diversity may be lost, as a share."""
    unseen: Fraction = 0.05
    """How much a judge that training never saw may lose, as a share of its range."""
    plain: Loss = 0.05
    """How much plain text's log-likelihood may lose, in nats per token."""
    stop: bool = True
    """End the run where a limit is passed; the adapter kept is then the one before."""


class Improvement(Section):
    """An adapter that goes on from its own judged results: `motionllm improve RUN RECIPE`."""

    name: Name = "improve"
    """The default folder is runs/NAME."""
    start: Where | None = None
    """The adapter to go on from: a run, a folder or a shipped name. The command line gives it."""
    method: Literal["rejection", "dpo", "grpo"] = "rejection"
    """Learn the best; pairs of better and worse; or all, by their advantage."""
    judges: Weights = {"agreement": 1.0}
    """{judge: weight} of the judges that reward; by default how well motion keeps, event by event, to the plan that the
    adapter writes, or where it writes none, to the notation of the real clip, which any data set of 22 joints has."""
    embedder: Where | None = None
    """A text–motion embedder trained for the judges that need one."""
    sources: Sources
    """Data sets whose train split the prompts are of."""
    tasks: Weights = {"text_to_motion": 1.0}
    """{task: weight} of the prompts."""
    sampling: Sampling = Sampling()
    train: Learning = Learning()
    guards: Guards = Guards()
