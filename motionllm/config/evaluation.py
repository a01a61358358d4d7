"""Recipes of evaluation: suites, and the embedders that they measure with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from motionllm.config.base import (
    NUMBER,
    Batch,
    Count,
    Decay,
    Dropout,
    Fraction,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Source,
    Sources,
    Steps,
    Text,
    TopP,
    Warmup,
    Where,
    Width,
)


def _temperature(value: float) -> float:
    if 0 < value < 0.01:
        raise ValueError("give 0, the likeliest token always, or 0.01 and more")
    return value


class EmbedderTraining(Section):
    """How an embedder is trained: InfoNCE both ways within the batch."""

    steps: Steps = 3000
    """Optimizer steps at most."""
    minutes: Minutes | None = None
    """Wall time after which training ends; null trains all steps."""
    batch: Batch = 128
    """Clips a step, each a contrast to the others."""
    lr: Rate = 1e-3
    """The learning rate after `warmup`."""
    warmup: Warmup = 50
    """Steps in which the rate rises; with `minutes`, a tenth of them at most."""
    weight_decay: Decay = 0.05
    """AdamW's."""
    dropout: Dropout = 0.1
    """In both networks."""
    temperature: Annotated[float, Field(ge=0.001, le=10), NUMBER] = 0.07
    """The contrast's start; it is learned."""
    crop: Fraction = 0.1
    """Share of a clip that may be cut off in training."""
    seed: Seed = 0
    """Of weights and batches."""


class EmbedderRecipe(Section):
    """A text–motion embedder to measure with: `motionllm eval train-embedder RECIPE`."""

    name: Name = "embedder"
    """The default folder is runs/embedders/NAME."""
    version: Count = 1
    """Raise it with every change that moves its numbers."""
    sources: Sources
    """Data sets with captions."""
    base: Where = "builtin:smollm2-135m-instruct"
    """The causal LLM whose hidden states make a caption's features."""
    layer: Annotated[int, Field(ge=0, le=1000), NUMBER] = 0
    """The states after so many layers; 0 takes its token embeddings, which cost nothing."""
    width: Width = 192
    """Channels of the motion network."""
    dim: Width = 128
    """Of the embeddings."""
    train: EmbedderTraining = EmbedderTraining()


class MultiModality(Section):
    """How different the motions for one text are: texts × repeats motions more."""

    texts: Count = 100
    """Texts that are drawn."""
    repeats: Annotated[int, Field(ge=2, le=10_000), NUMBER] = 30
    """Motions of each."""
    pairs: Count = 10
    """Pairs compared for each text."""


class Suite(Section):
    """What is measured, on what, how: `motionllm eval SUITE --model RUN`."""

    name: Name
    """The default folder is runs/eval/NAME/MODEL."""
    version: Count = 1
    """Raise it with every change that moves its numbers."""
    task: Literal["text_to_motion", "captioning", "questions", "prediction", "in_between", "tokenizer"]
    """What the model does."""
    data: Source
    """The data set that it is measured on."""
    split: Literal["train", "val", "test"] = "test"
    """The split whose clips are the cases."""
    cases: Count | None = None
    """Clips of the split, from its start; null takes all."""
    frames: tuple[Annotated[int, Field(ge=0), NUMBER], Annotated[int, Field(gt=0), NUMBER]] | None = None
    """Shortest and longest clips that count."""
    captions: Literal["first", "drawn", "none"] = "first"
    """Of a clip's captions the first, or one drawn in each replication; for prediction and in_between also none."""
    length: Literal["own", "given"] = "own"
    """Of a motion: the model's own stop, or the true clip's duration is given."""
    shown: Literal["codes", "notation", "both"] | None = None
    """Of captioning and questions: what the model is given of a clip; null is all that it was trained to read."""
    given: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.2
    """The share of a clip that prediction and in_between start from."""
    embedder: Where = "default"
    """A folder, a shipped name, or `standard:FOLDER`, where the standard evaluator lies."""
    group: Annotated[int, Field(ge=4, le=100_000), NUMBER] = 32
    """Clips that R-Precision looks for the right one among."""
    pairs: Count = 300
    """Pairs of motions whose mean distance is Diversity."""
    replications: Annotated[int, Field(gt=0, le=10_000), NUMBER] = 1
    """How often all is measured, for an interval."""
    multimodality: MultiModality | None = None
    labels: Annotated[list[Text], Field(max_length=100)] = []
    """Keys of labels.jsonl that a classifier trained on real train clips reads off motions."""
    temperature: Annotated[float, Field(ge=0, le=100), NUMBER, AfterValidator(_temperature)] = 0.8
    """Of sampling; 0 takes the likeliest token."""
    top_p: TopP = 0.95
    """Sample from the likeliest tokens that make up this share."""
    guidance: Annotated[float, Field(ge=0, le=20), NUMBER] = 1.0
    """Of text_to_motion, away from what the model does without the text; for adapters trained with `data.drop_text`."""
    plan: bool = True
    """Of text_to_motion: an adapter that plans writes its plan first; false: no adapter does."""
    best_of: Annotated[int, Field(gt=0, le=1000), NUMBER] = 1
    """Motions made for each prompt; the model keeps one."""
    batch: Batch = 64
    """Prompts side by side."""
    seed: Seed = 0
    """Of everything that is drawn."""
    expect: dict[str, tuple[float, float]] = {}
    """{measure: [least, most]}: what real data must score, or the suite stops."""
    benchmark: Text | None = None
    """The name under which others' numbers are published, where this is that benchmark."""

    @model_validator(mode="after")
    def _what_goes_together(self) -> Suite:
        if self.captions == "none" and self.task not in ("prediction", "in_between"):
            raise ValueError("`captions: none` is of prediction and in_between; give first or drawn")
        if self.frames and self.frames[0] > self.frames[1]:
            raise ValueError("`frames` are the shortest and the longest clips that count, in this order")
        return self
