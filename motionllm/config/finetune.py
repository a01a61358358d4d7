"""Recipes of fine-tuning: `motionllm train RECIPE`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motionllm.config.base import (
    NUMBER,
    Batch,
    Count,
    Decay,
    Dropout,
    Factor,
    Fraction,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Sources,
    Steps,
    Text,
    Warmup,
    Weight,
    Weights,
    Where,
)


class Model(Section):
    """The base and what it is taught motion with."""

    base: Where = "builtin:smollm2-135m-instruct"
    """A causal LLM with a chat template: a hub name, a folder, or `builtin:…`."""
    tokenizer: Where = "default"
    """A shipped motion tokenizer's name, a folder, or a tokenizer recipe (`.yaml`), which is then trained first, inside
    the run."""
    bpe: Count | None = None
    """Merge frequent code sequences into so many further motion tokens, learned from the training clips."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the base's weights; `auto` is bfloat16 where the machine computes in it, else float32."""
    quantization: Literal["4bit", "8bit"] | None = None
    """Hold the base in 4 or 8 bits by bitsandbytes (QLoRA); the adapter then merges into the dense base."""


class Adapter(Section):
    """What is trained: LoRA on the linear layers and the motion tokens' rows, or every weight."""

    start: Where | None = None
    """An adapter of the same base, motion tokenizer and shape to go on from: a folder, a run or a shipped name
    (`default`). Fewer clips and steps are enough then."""
    method: Literal["lora", "rslora", "dora", "full"] = "lora"
    """`lora`; `rslora` (scaled by alpha / √rank, Kalajdzievski 2023: for ranks from 64 on); `dora` (magnitude apart
    from direction, Liu et al. 2024: a third slower); `full`, every weight, whose run holds a whole model in the
    adapter's place."""
    rank: Annotated[int, Field(gt=0, le=8192), NUMBER] = 16
    """Of LoRA's matrices; beyond the width of the base's layers it adds nothing."""
    alpha: Annotated[int, Field(gt=0, le=1_000_000), NUMBER] = 32
    """LoRA's output is scaled by alpha / rank."""
    dropout: Dropout = 0.0
    """Share of LoRA's inputs that is dropped in training."""
    targets: Text | Annotated[list[Text], Field(min_length=1, max_length=1000)] = "all-linear"
    """The layers that get LoRA: `all-linear`, a list of the ends of their names ([q_proj, v_proj]), or a regular
    expression that fits their whole names."""
    rows_init: Literal["noise", "codebook", "words", "mean"] = "words"
    """What new rows start from: noise at the old rows' spread; that and the code's vector; besides, the words of the
    captions where the code occurs; or the mean of all old rows."""
    rows_lr: Factor = 4.0
    """Multiplies the learning rate for the motion tokens' rows."""
    rows_first: Warmup = 0
    """Steps at the start in which the rows learn alone."""

    @model_validator(mode="after")
    def _what_full_leaves_out(self) -> Adapter:
        if self.method == "full" and (self.start or self.rows_first):
            key = "start" if self.start else "rows_first"
            raise ValueError(f"`{key}` is of adapters; leave it out with method full")
        return self


class Notes(Section):
    """How often motions carry their notation (docs/files.md), which is measured on the clip. Shares of the examples: of
    the rest the model learns to work without.
    """

    read: Fraction = 0.75
    """Of the motions that are given (captions, questions), those that carry it."""
    alone: Fraction = 0.25
    """Of the motions that carry it, those that carry nothing else: their codes are left out."""
    told: Fraction = 0.0
    """Of the captions, those in whose place the notation's own sentences stand (`Notation.sentences`): the model learns
    to say what is measured, where people's captions leave out, guess and err."""
    plan: Fraction = 0.75
    """Of the motions that are written for a text, those that begin with it, as a plan that the codes follow."""
    first: bool = True
    """Whether the trained model plans whenever it makes motion; false: only where a plan is asked for (`plan=True`,
    `--show-plan`) or given, as may serve until planning has been trained long enough."""
    sketch: Fraction = 0.0
    """Of the plans, those that no codes follow: half the tokens, so that planning is learned from more clips."""


class Data(Section):
    """What is learned from, and how it is put."""

    sources: Sources
    """Data sets."""
    tasks: Weights = {
        "text_to_motion": 1.0,
        "caption": 1.0,
        "question": 1.0,
    }
    """{task: weight}: how often each is drawn."""
    templates: Where = "default"
    """A YAML file of phrasings, or the name of one in recipes/templates/."""
    system: Annotated[str, Field(max_length=20_000)] | None = None
    """The system message of every conversation; null leaves it to the base's chat template."""
    max_length: Annotated[int, Field(ge=8, le=1_000_000), NUMBER] = 256
    """Tokens of a packed row; a longer example is cut at its end."""
    packing: bool = True
    """Several examples a row; without it a row an example, those of like length side by side."""
    notation: Notes | None = None
    """Conversations with the notation of their motions, of 22 joints; null, the default, is codes alone."""
    drop_text: Dropout = 0.0
    """Share of the text_to_motion examples whose text is left out, which is what guidance needs when motion is
    generated."""
    corrupt: Dropout = 0.0
    """Share of the codes of written motions that the model is shown as others while it learns to write on (T2M-GPT,
    Zhang et al. 2023: in generation its own codes are not those of the data either)."""


class Training(Section):
    """How an adapter is trained: `steps`, or `minutes` of wall time, whichever ends first; the schedule follows
    whichever is nearer its end.
    """

    steps: Steps = 1000
    """Optimizer steps at most."""
    minutes: Minutes | None = None
    """Wall time of training after which it ends; null trains all steps."""
    batch: Batch = 16
    """Examples a step, over all processes."""
    micro_batch: Batch = 16
    """Rows that one process computes at once; it changes memory and speed alone."""
    lr: Rate = 5e-4
    """The learning rate after `warmup`."""
    warmup: Warmup = 20
    """Steps in which the rate rises; with `minutes`, a tenth of them at most."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after that, down to `min_lr`."""
    min_lr: Fraction = 0.05
    """The rate's end, as a share of `lr`."""
    weight_decay: Decay = 0.01
    """AdamW's; the motion rows have none."""
    clip: Weight = 1.0
    """The gradient's norm is cut to this."""
    motion_loss: Literal["rows", "vocabulary"] = "rows"
    """Softmax at motion places over the motion `rows` that the grammar allows there, or the whole `vocabulary`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the computation; what is trained and the optimizer are float32 in any case."""
    checkpointing: bool = False
    """Compute activations anew in the backward pass: a third slower, and much less memory."""
    shard: bool = False
    """Each of several processes holds its share of weights, gradients and optimizer (FSDP2)."""
    validate_every: Count = 200
    """Steps between validations; the adapter with the best loss is kept."""
    validate_minutes: Minutes | None = None
    """Minutes after which it is validated at the latest; null counts steps alone."""
    validate_examples: Annotated[int, Field(ge=0, le=100_000), NUMBER] = 128
    """Held-out examples, the same every time; 0 keeps the newest adapter."""
    patience: Count | None = None
    """Validations without a better loss after which training ends; null trains to the end."""
    samples: Annotated[list[Text], Field(max_length=1000)] = []
    """Texts whose motion is generated at every validation, into RUN/samples/."""
    save_every: Count = 100
    """Steps between checkpoints."""
    save_minutes: Minutes | None = 10.0
    """Minutes after which a checkpoint is saved at the latest; null counts steps alone."""
    keep: Annotated[int, Field(gt=0, le=1000), NUMBER] = 1
    """The newest checkpoints that stay."""
    store: Literal["float32", "bfloat16"] = "float32"
    """Type of the adapter's file at the end; bfloat16 halves it."""
    seed: Seed = 0
    """Of the adapter's start, the examples' order and dropout."""
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """A tracker that loss and speed are logged to, besides log.jsonl."""


class Recipe(Section):
    """A fine-tuning run: `motionllm train RECIPE`."""

    name: Name = "run"
    """The default folder is runs/NAME."""
    model: Model = Model()
    adapter: Adapter = Adapter()
    data: Data
    train: Training = Training()

    @model_validator(mode="after")
    def _what_goes_together(self) -> Recipe:
        if self.adapter.method == "full" and self.model.quantization:
            raise ValueError("`model.quantization` freezes the weights that `adapter.method: full` is to train")
        if self.adapter.method == "full" and self.model.dtype == "bfloat16":
            raise ValueError("`adapter.method: full` trains in float32; set `model.dtype` to auto, not bfloat16")
        if self.train.shard and (self.model.quantization or self.train.samples):
            key = "model.quantization" if self.model.quantization else "train.samples"
            raise ValueError(f"`train.shard` takes weights apart, and `{key}` needs them whole; leave one of them out")
        return self
