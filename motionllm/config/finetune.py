"""Recipes of fine-tuning: `motionllm train RECIPE`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from motionllm.config.base import (
    NUMBER,
    Batch,
    BestOf,
    Count,
    Decay,
    Dropout,
    Factor,
    Fraction,
    Guidance,
    InFolder,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Sources,
    Steps,
    Temperature,
    Text,
    TopP,
    Warmup,
    Weight,
    Weights,
    Where,
)


class Model(Section):
    """The base model and the motion tokens added to it."""

    base: Where = "builtin:smollm2-135m-instruct"
    """A causal LLM with a chat template: a hub name, a folder, or `builtin:…`."""
    tokenizer: Where = "default"
    """A motion tokenizer: a shipped name, a folder, or a tokenizer recipe (`.yaml`), which the run then trains first.
    """
    bpe: Count | None = None
    """Merge this many frequent code sequences, learned from the training clips, into additional motion tokens; null
    merges none."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the base's weights; `auto` is bfloat16 where the hardware computes in it, else float32."""
    quantization: Literal["4bit", "8bit"] | None = None
    """Hold the base in 4 or 8 bits by bitsandbytes (QLoRA); merging then uses the unquantized base. null does not
    quantize."""


class Adapter(Section):
    """What is trained: LoRA on linear layers and the rows of the motion tokens, or all weights."""

    start: Where | None = None
    """An adapter to continue from (folder, run or shipped name such as `default`) with the same base and shape; it
    needs fewer clips and steps. With another motion tokenizer its layers go on, and each motion token begins near those
    of the old one that it shares its time with. null starts a new one."""
    text: Where | None = None
    """A second adapter of the same base, for the tasks of text alone (`query`, `edit`): a folder or run whose LoRA is
    stored beside the trained one, in `text/`. Such tasks and motion hinder each other in one small LoRA. null: that of
    `start`, if it has one."""
    method: Literal["lora", "rslora", "dora", "full"] = "lora"
    """`lora`; `rslora`, scaled by alpha / √rank (Kalajdzievski 2023), for ranks of 64 and more; `dora`, magnitude apart
    from direction (Liu et al. 2024), a third slower; `full` trains all weights, and the run holds a whole model in
    place of an adapter."""
    rank: Annotated[int, Field(gt=0, le=8192), NUMBER] = 16
    """Rank of the LoRA matrices; a rank beyond the layers' width adds nothing."""
    alpha: Annotated[int, Field(gt=0, le=1_000_000), NUMBER] = 32
    """LoRA's output is scaled by alpha / rank."""
    dropout: Dropout = 0.0
    """Dropout on LoRA's inputs."""
    targets: Text | Annotated[list[Text], Field(min_length=1, max_length=1000)] = "all-linear"
    """The layers that get LoRA: `all-linear`, a list of suffixes of layer names ([q_proj, v_proj]), or a regular
    expression that must match the whole name."""
    rows_init: Literal["noise", "codebook", "words", "mean"] = "words"
    """Initial values of the motion tokens' rows. `noise`: noise with the spread of the existing rows. `codebook`: that
    plus a projection of the code's vector. `words`: in addition, the mean of the words in captions of clips where the
    code occurs. `mean`: the mean of all existing rows."""
    rows_lr: Factor = 4.0
    """Factor on the learning rate for the motion tokens' rows."""
    rows_first: Warmup = 0
    """Steps at the start in which only the rows are trained."""

    @model_validator(mode="after")
    def _what_full_leaves_out(self) -> Adapter:
        if self.method == "full" and (self.start or self.text or self.rows_first):
            key = "start" if self.start else "text" if self.text else "rows_first"
            raise ValueError(f"`{key}` is of adapters; leave it out with method full")
        return self


class Notes(Section):
    """How often conversations carry the notation of a motion, text measured on the clip (docs/files.md). All values are
    shares of examples; on the rest the model learns to do without it."""

    read: Fraction = 0.75
    """Share of the motions in prompts (to caption or ask about) that come with their notation."""
    alone: Fraction = 0.25
    """Share of those that come as notation only, without codes."""
    told: Fraction = 0.0
    """Share of captions replaced by sentences from the notation, which say what is measured, where captions by people
    are incomplete or wrong."""
    plan: Fraction = 0.75
    """Share of generated motions preceded by their notation, as a plan that the codes follow."""
    first: bool = True
    """Whether the trained model plans by default whenever it generates motion; false: only on request (`plan=True`,
    `--show-plan`) or when given a plan, which may serve until planning is trained long enough."""
    sketch: Fraction = 0.0
    """Share of those plans without codes after them: half the tokens, so that planning is learned from more clips."""


class Data(InFolder):
    """What is trained on, and how it is presented."""

    sources: Sources
    """Data sets."""
    tasks: Weights = {
        "text_to_motion": 1.0,
        "caption": 1.0,
        "question": 1.0,
    }
    """{task: weight}: how often each task is drawn, relative to the others."""
    templates: Where = "default"
    """Phrasings of the tasks: a YAML file, or the name of one in recipes/templates/."""
    system: Annotated[str, Field(max_length=20_000)] | None = None
    """System message of every conversation; null leaves it to the base's chat template."""
    max_length: Annotated[int, Field(ge=8, le=1_000_000), NUMBER] = 256
    """Tokens per packed row; longer examples are truncated at the end."""
    window: Annotated[float, Field(ge=1, le=600), NUMBER] | None = None
    """Seconds of the longest motions that the model sees at once; longer ones are generated in windows of this length.
    null: 9.8, the longest clips of HumanML3D (15.7 with KIT-ML's features). Set it where training clips are longer."""
    packing: bool = True
    """Pack several examples into a row; off: one example per row, grouped by length."""
    notation: Notes | None = None
    """How often motions carry their notation (22-joint data only); null uses codes alone."""
    drop_text: Dropout = 0.0
    """Share of generation examples without the text, as classifier-free guidance needs."""
    corrupt: Dropout = 0.0
    """Share of the codes of motions to be generated that are replaced at random in the model's input (not in its
    targets), so that it learns to continue after its own mistakes (T2M-GPT, Zhang et al. 2023)."""


class Training(Section):
    """How an adapter is trained. Training ends after `steps` or after `minutes` of wall-clock time, whichever comes
    first; the learning rate follows whichever is nearer its end."""

    steps: Steps = 1000
    """The largest number of optimizer steps."""
    minutes: Minutes | None = None
    """Wall-clock minutes of training after which it ends; null trains all steps."""
    batch: Batch = 16
    """Examples per step, over all processes."""
    micro_batch: Literal["auto"] | Batch = "auto"
    """Rows that one process computes at once; affects memory and speed only. `auto`: 8 on a CPU; on a GPU as many as
    its memory takes and divide a step well, measured when the run begins and written into its log.
    """
    compile: Literal["auto"] | StrictBool = "auto"
    """Compile the decoder layers (torch.compile), with rows padded to `max_length` and micro-batches to one size, so
    that nothing is compiled twice; affects speed only. `auto`: on a GPU, in packed runs of 200 steps and 5 minutes."""
    workers: Annotated[int, Field(ge=0, le=256), NUMBER] | None = None
    """Processes that draw examples ahead, for each process that trains; 0 draws them between steps. null: 0 on a CPU,
    where a step takes a hundred times as long as its examples, and up to 4 beside a GPU, as cores allow. Their number
    changes speed alone."""
    lr: Rate = 5e-4
    """Peak learning rate, reached after `warmup`."""
    warmup: Warmup = 20
    """Steps over which the learning rate rises; with `minutes`, a tenth of that time at most."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate decays after that, down to `min_lr`."""
    min_lr: Fraction = 0.05
    """Final learning rate, as a share of `lr`."""
    weight_decay: Decay = 0.01
    """Weight decay of AdamW; the motion tokens' rows have none."""
    clip: Weight = 1.0
    """Largest norm of the gradient; larger ones are scaled down."""
    motion_loss: Literal["rows", "vocabulary"] = "rows"
    """Softmax at motion positions over the motion tokens that the grammar allows there (`rows`), as in decoding, or
    over the whole `vocabulary`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the computation; `auto` is bfloat16 where the hardware computes in it, else float32. Trained weights and
    the optimizer are float32 in either case."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: a third slower, far less memory."""
    shard: bool = False
    """With several processes, each holds a share of weights, gradients and optimizer state (FSDP2)."""
    validate_every: Count = 200
    """Steps between validations; the adapter with the lowest loss is kept."""
    validate_minutes: Minutes | None = None
    """Validate at least this often, in minutes; null counts steps alone."""
    validate_examples: Annotated[int, Field(ge=0, le=100_000), NUMBER] = 128
    """Held-out examples per validation, always the same; 0 validates nothing and keeps the last adapter."""
    patience: Count | None = None
    """Validations without a lower loss after which training stops; null never stops early."""
    samples: Annotated[list[Text], Field(max_length=1000)] = []
    """Texts to generate motion for at every validation, into RUN/samples/."""
    save_every: Count = 100
    """Steps between checkpoints."""
    save_minutes: Minutes | None = 10.0
    """Save a checkpoint at least this often, in minutes; null counts steps alone."""
    keep: Annotated[int, Field(gt=0, le=1000), NUMBER] = 1
    """Number of latest checkpoints to keep."""
    store: Literal["float32", "bfloat16"] = "float32"
    """Type of the saved adapter's weights; bfloat16 halves the file."""
    seed: Seed = 0
    """Seed of initial weights, example order and dropout."""
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """A tracker to log loss and speed to, in addition to log.jsonl."""

    @property
    def rows_on_cpu(self) -> int:
        """Rows of a micro-batch on a CPU, where larger ones take memory and are no faster."""
        return 8 if self.micro_batch == "auto" else self.micro_batch


class SamplingDefaults(Section):
    """How the adapter's motions are sampled wherever the caller does not say; saved with the adapter."""

    temperature: Temperature | None = None
    """Sampling temperature; 0 always takes the most likely token; null is 0.8."""
    top_p: TopP | None = None
    """Sample from the most likely tokens that make up this share of the probability; null is 0.95."""
    guidance: Guidance | None = None
    """Scale of classifier-free guidance; needs `data.drop_text`; null is 1, which switches it off."""
    best_of: BestOf | None = None
    """Motions generated for each one that is kept; null is 8."""


class Recipe(Section):
    """A fine-tuning run: `motionllm train RECIPE`."""

    name: Name = "run"
    """Name of the run; its default folder is runs/NAME."""
    model: Model = Model()
    adapter: Adapter = Adapter()
    data: Data
    train: Training = Training()
    sampling: SamplingDefaults | None = None
    """Defaults of sampling; null leaves motionllm's own."""

    @model_validator(mode="after")
    def _what_goes_together(self) -> Recipe:
        if self.sampling and self.sampling.guidance not in (None, 1) and not self.data.drop_text:
            raise ValueError(
                "`sampling.guidance` needs an adapter that learns motion without text: `data.drop_text: 0.1`"
            )
        if self.adapter.method == "full" and self.model.quantization:
            raise ValueError("`model.quantization` freezes the weights that `adapter.method: full` is to train")
        if self.adapter.method == "full" and self.model.dtype == "bfloat16":
            raise ValueError("`adapter.method: full` trains in float32; set `model.dtype` to auto, not bfloat16")
        if self.train.shard and (self.model.quantization or self.train.samples):
            key = "model.quantization" if self.model.quantization else "train.samples"
            raise ValueError(f"`train.shard` takes weights apart, and `{key}` needs them whole; leave one of them out")
        return self
