"""Recipes of evaluation: suites, and the embedders that they measure with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motionllm.config.base import (
    NUMBER,
    Batch,
    BestOf,
    Count,
    Decay,
    Dropout,
    Fraction,
    Guidance,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Source,
    Sources,
    Steps,
    Temperature,
    Text,
    TopP,
    Warmup,
    Where,
    Width,
)


class EmbedderTraining(Section):
    """How an embedder is trained: InfoNCE in both directions within the batch."""

    steps: Steps = 3000
    """The largest number of optimizer steps."""
    minutes: Minutes | None = None
    """Wall-clock minutes after which training ends; null trains all steps."""
    batch: Batch = 128
    """Clips per step; each is a negative for all others."""
    lr: Rate = 1e-3
    """Peak learning rate, reached after `warmup`."""
    warmup: Warmup = 50
    """Steps over which the learning rate rises; with `minutes`, a tenth of that time at most."""
    weight_decay: Decay = 0.05
    """Weight decay of AdamW."""
    dropout: Dropout = 0.1
    """Dropout in the text and the motion network."""
    temperature: Annotated[float, Field(ge=0.001, le=10), NUMBER] = 0.07
    """Initial temperature of the contrastive loss; it is learned."""
    crop: Fraction = 0.1
    """The largest share of a clip that is randomly cropped in training."""
    seed: Seed = 0
    """Seed of initial weights and batches."""


class EmbedderRecipe(Section):
    """Training of a text–motion embedder to measure with: `motionllm eval train-embedder RECIPE`."""

    name: Name = "embedder"
    """Name of the embedder; its default folder is runs/embedders/NAME."""
    version: Count = 1
    """Raise it with every change that affects its embeddings: results of different versions do not compare."""
    sources: Sources
    """Data sets with captions."""
    base: Where = "builtin:smollm2-135m-instruct"
    """The causal LLM whose hidden states represent captions."""
    layer: Annotated[int, Field(ge=0, le=1000), NUMBER] = 0
    """Take the hidden states after this many layers; 0 takes the token embeddings, which cost no forward pass."""
    width: Width = 192
    """Channels of the motion network."""
    dim: Width = 128
    """Dimensions of the embedding."""
    train: EmbedderTraining = EmbedderTraining()


class MultiModality(Section):
    """How diverse the motions for one text are. Costs texts × repeats additional motions."""

    texts: Count = 100
    """Number of texts, drawn from the cases."""
    repeats: Annotated[int, Field(ge=2, le=10_000), NUMBER] = 30
    """Motions generated per text."""
    pairs: Count = 10
    """Pairs of motions compared per text."""


class Suite(Section):
    """What is measured, on which data, and how: `motionllm eval SUITE --model RUN`."""

    name: Name
    """Name of the suite; results go to runs/eval/NAME/MODEL by default."""
    version: Count = 1
    """Raise it with every change that affects its results: results of different versions do not compare."""
    task: Name
    """What the model is asked to do: `text_to_motion`, `captioning`, `questions`, `prediction`, `in_between`,
    `tokenizer`, `builtin` (motions, captions and answers on the built-in corpus), or another task of fine-tuning that
    is answered in words (`length`, `forecast` …), whose answers are compared with the true ones."""
    data: Source
    """The data set measured on."""
    split: Literal["train", "val", "test"] = "test"
    """The split measured on."""
    cases: Count | None = None
    """Number of clips, from the start of the split; null takes all."""
    frames: tuple[Annotated[int, Field(ge=0), NUMBER], Annotated[int, Field(gt=0), NUMBER]] | None = None
    """[shortest, longest]: only clips within these lengths count; null is [4, no limit]."""
    captions: Literal["first", "drawn", "none"] = "first"
    """Use the `first` caption of a clip, or a random one per replication (`drawn`); `none`, for prediction and
    in_between, gives no text."""
    length: Literal["own", "given"] = "own"
    """Length of generated motion: `own`, where the model stops, or `given`, the duration of the true clip."""
    shown: Literal["codes", "notation", "both"] | None = None
    """For captioning and questions: what the model sees of a clip; null is everything it was trained to read."""
    given: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.2
    """For prediction and in_between: share of the clip that the model starts from."""
    embedder: Where = "default"
    """Embedder to measure with: a folder, a shipped name, or `standard:FOLDER` with the field's standard evaluator."""
    group: Annotated[int, Field(ge=4, le=100_000), NUMBER] = 32
    """Group size of R-Precision: the right clip is looked for among this many."""
    pairs: Count = 300
    """Pairs of motions whose mean distance is the Diversity."""
    replications: Annotated[int, Field(gt=0, le=10_000), NUMBER] = 1
    """Number of repetitions with different seeds, for confidence intervals."""
    multimodality: MultiModality | None = None
    """Measure how diverse the motions for one text are; null does not."""
    labels: Annotated[list[Text], Field(max_length=100)] = []
    """Keys of labels.jsonl that a classifier, trained on real train clips, predicts from generated motion."""
    temperature: Temperature = 0.8
    """Sampling temperature; 0 always takes the most likely token."""
    top_p: TopP = 0.95
    """Nucleus sampling: sample from the most likely tokens that make up this probability."""
    guidance: Guidance = 1.0
    """For text_to_motion: scale of classifier-free guidance, for adapters trained with `data.drop_text`; 1 switches it
    off."""
    plan: bool = True
    """For text_to_motion: whether adapters that were trained to plan write a plan first."""
    best_of: BestOf = 1
    """Motions generated per prompt, of which the model picks one."""
    batch: Batch = 64
    """Prompts processed at once; affects memory and speed, and which random numbers a prompt gets."""
    seed: Seed = 0
    """Seed of everything random."""
    expect: dict[str, tuple[float, float]] = {}
    """{measure: [lowest, highest]}: what real data must score, or the suite stops before measuring."""
    benchmark: Text | None = None
    """Name under which results on this benchmark are published elsewhere; null if it is none."""

    @model_validator(mode="after")
    def _what_goes_together(self) -> Suite:
        if self.captions == "none" and self.task not in ("prediction", "in_between"):
            raise ValueError("`captions: none` is of prediction and in_between; give first or drawn")
        if self.frames and self.frames[0] > self.frames[1]:
            raise ValueError("`frames` are the shortest and the longest clips that count, in this order")
        return self
