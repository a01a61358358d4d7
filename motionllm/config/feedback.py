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
    """Which results are generated to be judged."""

    prompts: Count = 64
    """Prompts per round."""
    samples: Annotated[int, Field(ge=2, le=1000), NUMBER] = 8
    """Results per prompt."""
    replies: Where | None = None
    """A run with the same adapter and prompts whose first round is judged again instead of generating results, to
    compare judges and methods on equal samples; null generates."""
    temperature: Annotated[float, Field(ge=0.01, le=100), NUMBER] = 1.0
    """Sampling temperature."""
    top_p: TopP = 1.0
    """Nucleus sampling: sample from the most likely tokens that make up this probability."""
    batch: Batch = 32
    """Results generated at once."""
    seconds: Fraction = 0.0
    """Share of motion prompts that state a duration, against which the end chosen by the model is judged."""


class Learning(Section):
    """How an adapter learns from judged results: rounds of sampling, each followed by optimizer steps on what was
    sampled. A result is a unit of training; for `dpo`, a pair of results."""

    rounds: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 1
    """Rounds of sampling and training; 0 only measures."""
    steps: Steps = 50
    """Optimizer steps per round."""
    minutes: Minutes | None = None
    """Wall-clock minutes, sampling included, after which the run ends with its current step; null runs all rounds."""
    batch: Batch = 16
    """Units per step."""
    micro_batch: Batch = 8
    """Units computed at once; affects memory and speed only."""
    keep: Annotated[int, Field(gt=0, le=1000), NUMBER] = 1
    """`rejection`: results learned from per prompt, the best ones, if better than the mean of the prompt's results.
    `dpo`: pairs per prompt, best with worst, second best with second worst and so on."""
    least: Fraction = 0.5
    """`rejection`: lowest reward of a result that is learned from."""
    margin: Fraction = 0.1
    """`dpo`: smallest difference in reward within a pair."""
    beta: Weight = 0.1
    """`dpo`: scale of the log-ratio to the initial adapter; lower values allow it to move further away."""
    clip_ratio: Factor = 0.2
    """`grpo`: clip the probability ratio to the sampling policy to 1 ± this."""
    kl: Loss = 0.02
    """Weight of the divergence from the initial adapter, per token."""
    truth: Fraction = 0.25
    """Real examples added to each step, as a share of the batch; also their weight in the loss."""
    rehearsal: Fraction = 0.25
    """Texts written by the base model added to each step, as a share of the batch and weight in the loss, so that it
    keeps its plain language."""
    lr: Rate = 1e-4
    """Peak learning rate, reached after `warmup`."""
    rows_lr: Factor = 1.0
    """Factor on the learning rate for the motion tokens' rows."""
    warmup: Warmup = 5
    """Steps over which the learning rate rises; with `minutes`, a tenth of that time at most."""
    min_lr: Fraction = 0.1
    """Final learning rate, as a share of `lr`."""
    clip: Weight = 1.0
    """Largest norm of the gradient; larger ones are scaled down."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the computation; `auto` is bfloat16 where the hardware computes in it, else float32. Trained weights and
    the optimizer are float32 in either case."""
    store: Literal["float32", "bfloat16"] = "float32"
    """Type of the saved adapter's weights; bfloat16 halves the file."""
    save_every: Count = 10
    """Steps between checkpoints."""
    save_minutes: Minutes | None = 10.0
    """Save a checkpoint at least this often, in minutes; null counts steps alone."""
    seed: Seed = 0
    """Seed of prompts, sampling and batches."""


class Guards(Section):
    """Limits on what may get worse while the reward rises, measured on prompts of the val split before and after
    training."""

    embedder: Where | None = None
    """The embedder that FID and diversity are measured with, which must differ from the one that judges; null measures
    neither."""
    cases: Annotated[int, Field(ge=2, le=1_000_000), NUMBER] = 100
    """Number of prompts."""
    every: Count = 1
    """Rounds between measurements."""
    fid: Loss = 0.05
    """Largest relative rise of FID."""
    diversity: Fraction = 0.10
    """Largest relative fall of Diversity."""
    unseen: Fraction = 0.05
    """Largest fall of a judge that is not part of the reward, as a share of its range."""
    plain: Loss = 0.05
    """Largest fall of the log-likelihood of plain text, in nats per token."""
    stop: bool = True
    """End the run when a limit is passed; the adapter kept is the best one within the limits."""


class Improvement(Section):
    """An adapter trained on its own judged results: `motionllm improve RUN RECIPE`."""

    name: Name = "improve"
    """Name of the run; its default folder is runs/NAME."""
    start: Where | None = None
    """The adapter to start from (run, folder or shipped name); the command line sets it."""
    method: Literal["rejection", "dpo", "grpo"] = "rejection"
    """`rejection`: train on the best results. `dpo`: on pairs of a better and a worse result. `grpo`: on all results,
    weighted by their advantage."""
    judges: Weights = {"agreement": 1.0}
    """{judge: weight}: the judges whose weighted mean is the reward; `module:function` names one's own
    (docs/feedback.md). The default, `agreement`, is how well motion keeps, event by event, to the plan that the adapter
    wrote, or, where it writes none, to the notation of the real clip, which any 22-joint data set has."""
    embedder: Where | None = None
    """A text–motion embedder for judges that need one; null where none does."""
    sources: Sources
    """Data sets whose train splits give the prompts."""
    tasks: Weights = {"text_to_motion": 1.0}
    """{task: weight}: shares of the prompts."""
    sampling: Sampling = Sampling()
    train: Learning = Learning()
    guards: Guards = Guards()
