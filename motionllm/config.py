"""Recipes: the only schema of what can be set. YAML in, checked objects out, every mistake named at once.

A recipe is one YAML file; `key=value` words after it on the command line override single keys by
their dotted path (`train.steps=200`). Unknown keys are refused with the nearest known one. Each key is documented
below it; `motionllm recipes --schema` prints the same as a JSON Schema for editors.

Every number has an end: counts beyond it are typing errors that would take days or all memory to fail.
"""

from __future__ import annotations

import difflib
import json
import logging
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import TypeVar

from motionllm.errors import MotionFileError, RecipeError
from motionllm.files import parse_yaml, read_yaml

log = logging.getLogger(__name__)

PLACEHOLDER = "DATASET"  # stands in shipped recipes where the user's own folder goes


def _name(text: str) -> str:
    if not text.strip() or text in (".", "..") or re.search(r'[\x00-\x1f/\\:*?"<>|]', text) or len(text.encode()) > 100:
        raise ValueError("a name becomes a folder's: give 1 to 100 letters, digits, - or _, without a path")
    return text


def _path(text: str) -> str:
    if (
        not text.strip()
        or "\0" in text
        or len(text.encode()) > 2000
        or any(len(p.encode()) > 255 for p in _PARTS(text))
    ):
        raise ValueError("give a path or a name: not empty, no part longer than 255 bytes, no control character")
    return text


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # YAML's `yes` and `on` too
        raise ValueError("give a number")
    return value


def _temperature(value: float) -> float:
    if 0 < value < 0.01:
        raise ValueError("give 0, the likeliest token always, or 0.01 and more")
    return value


_PARTS = re.compile(r"[/\\]").split
NUMBER = BeforeValidator(_number)
Name = Annotated[str, AfterValidator(_name)]
Where = Annotated[str, AfterValidator(_path)]
Text = Annotated[str, Field(max_length=2000)]
Seed = Annotated[int, Field(ge=0, lt=2**32), NUMBER]  # torch multiplies seeds of steps from it, within 64 bits
Count = Annotated[int, Field(gt=0, le=1_000_000), NUMBER]
Steps = Annotated[int, Field(gt=0, le=100_000_000), NUMBER]
Warmup = Annotated[int, Field(ge=0, le=1_000_000), NUMBER]
Batch = Annotated[int, Field(gt=0, le=65_536), NUMBER]
Minutes = Annotated[float, Field(gt=0, le=1_000_000), NUMBER]
Rate = Annotated[float, Field(gt=0, le=10), NUMBER]
Weight = Annotated[float, Field(gt=0, le=1_000_000), NUMBER]
Loss = Annotated[float, Field(ge=0, le=10_000), NUMBER]
Decay = Annotated[float, Field(ge=0, le=10), NUMBER]
Dropout = Annotated[float, Field(ge=0, lt=1), NUMBER]
Fraction = Annotated[float, Field(ge=0, le=1), NUMBER]
TopP = Annotated[float, Field(gt=0, le=1), NUMBER]
Factor = Annotated[float, Field(gt=0, le=1000), NUMBER]
Width = Annotated[int, Field(gt=0, le=8192), NUMBER]
Weights = Annotated[dict[str, Weight], Field(min_length=1, max_length=100)]


class Section(BaseModel):
    """A part of a recipe. Numbers are finite; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class More(Section):
    """Training clips made of those that a set has."""

    cuts: Annotated[int, Field(ge=0, le=100), NUMBER] = 0
    """Further versions of every clip: begun at another frame, so that its codes are others, cut and at another pace."""
    crop: Annotated[float, Field(ge=0, le=0.4), NUMBER] = 0.08
    """Share of a version that is cut off at either end, at most."""
    pace: Annotated[float, Field(ge=0, le=0.5), NUMBER] = 0.15
    """Share by which a version is faster or slower, at most."""
    joined: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    """Pairs of clips of which the second goes on from the first, with "then" between their captions."""
    stacked: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    """Pairs of a clip in which only the legs do something, and the trunk and arms of one in which only the arms do."""


class Source(Section):
    """One data set."""

    kind: Literal["builtin", "captions", "humanml3d", "messages", "sharegpt", "alpaca"]
    """`builtin`: procedural clips, computed on the spot. `captions`: captions without motion, JSON lines of {"id",
    "split", "captions"}: those that name what the built-in corpus knows get a motion of it. `humanml3d`: a folder laid
    out as HumanML3D or KIT-ML (`new_joints/` or `new_joint_vecs/`, `texts/`, `train.txt` …), as `motionllm data import`
    writes it. `messages`, `sharegpt`, `alpaca`: conversations, a JSONL or JSON file, or a folder with train.jsonl and
    val.jsonl."""
    path: Where | None = None
    """Folder or file of the data set; of every kind but `builtin`."""
    clips: Count = 20_000
    """How many clips of the built-in corpus or for captions; validation and test have a twentieth more of their own."""
    seed: Seed = 0
    """Of the built-in corpus: another seed gives other clips."""
    weight: Weight = 1.0
    """How often its clips are drawn against the other sources'."""
    exclude: list[str] = []
    """Ids that are left out."""
    mirror: bool = False
    """Add every training clip with left and right exchanged, in motion and words."""
    more: More | None = None
    """Further training clips, made of these."""
    ask: list[Literal["facts", "labels"]] = []
    """For the task `question`: make questions of what is measured on a clip (`facts`) or of its `labels`."""
    captions: list[Literal["labels", "notation"]] = []
    """Make sentences: of captions that are mere labels (`labels`: "salsa dance" becomes "a person dances salsa"), and,
    for clips without any caption, of what is measured on them (`notation`; their label `captions` says so)."""
    check: list[Literal["side"]] = []
    """Leave out captions that the motion contradicts: that name one side where it shows the other alone (`side`), as
    captions of mirrored clips do that were not mirrored with them."""
    labels: dict[str, dict[str, Annotated[str, Field(min_length=1)]]] | None = None
    """Which keys of labels.jsonl are asked about, each with words for its values (`{action: {hopBothLegs1hops: hop}}`);
    a value without words is split into its own. Without it: every key but those of people, files and codes."""

    @model_validator(mode="after")
    def _path_where_needed(self) -> Source:
        if self.kind != "builtin" and not self.path:
            raise ValueError(f"a source of kind {self.kind} needs `path`, the folder or file of the data set")
        if (self.captions or self.check) and self.kind != "humanml3d":
            raise ValueError(
                "`captions` and `check` are for captions of kind humanml3d; leave them out of other sources"
            )
        if self.labels is not None and "labels" not in self.ask:
            raise ValueError("`labels` says which labels are asked about; write `ask: [labels]` too")
        if self.kind == "builtin" and self.path:
            raise ValueError("a source of kind builtin is computed and has no `path`; leave it out, or give its kind")
        return self


Sources = Annotated[list[Source], Field(min_length=1, max_length=1000)]

# Finite scalar quantization: steps of each latent dimension, whose product is the number of codes.
FSQ_LEVELS = {64: (8, 8), 256: (8, 8, 4), 512: (8, 8, 8), 1024: (8, 8, 4, 4), 2048: (8, 8, 8, 4), 4096: (8, 8, 8, 8)}
LARGEST_NETWORK = 1_000_000_000  # parameters: 16 GB with gradients and optimizer, beyond any published tokenizer


class Network(Section):
    """A motion tokenizer's network. A step of `down` frames becomes `split` × `groups` × `levels` codes."""

    width: Width = 256
    """Channels of the convolutions."""
    blocks: Annotated[int, Field(gt=0, le=256), NUMBER] = 4
    """Residual blocks on each side of the quantizer."""
    quantizer: Literal["vq", "fsq", "lfq"] = "vq"
    """`vq` (learned codebook), `fsq` (finite scalar quantization) or `lfq` (look-up free)."""
    split: Literal["none", "body"] = "none"
    """One encoder for the whole body (`none`), or one for each half (`body`), with a code each."""
    groups: Annotated[int, Field(gt=0, le=64), NUMBER] = 1
    """Groups of channels, each with a quantizer of its own."""
    levels: Annotated[int, Field(gt=0, le=64), NUMBER] = 1
    """Residual quantizers: each quantizes what the one before left over."""
    causal: bool = False
    """The decoder sees no later code, so that frames can be had while codes are being written."""
    codes: Annotated[int, Field(ge=2, le=262_144), NUMBER] = 512
    """Entries of each codebook. All of them become rows of the language model."""
    code_dim: Annotated[int, Field(gt=0, le=8192), NUMBER] = 64
    """Channels that are quantized."""
    down: Literal[2, 4, 8] = 4
    """Frames a step."""

    @model_validator(mode="after")
    def _fits_the_quantizer(self) -> Network:
        if self.quantizer == "fsq" and self.codes not in FSQ_LEVELS:
            raise ValueError(f"codes of an fsq quantizer are one of {', '.join(map(str, FSQ_LEVELS))}")
        if self.quantizer == "lfq" and self.codes & (self.codes - 1):
            raise ValueError("codes of an lfq quantizer are a power of 2")
        if self.code_dim % self.groups:
            raise ValueError("code_dim must divide into the groups")
        halves = 2 if self.split == "body" else 1
        parameters = 4 * (halves + 1) * (self.blocks + 2) * self.width**2
        parameters += halves * self.levels * self.codes * self.code_dim if self.quantizer == "vq" else 0
        if parameters > LARGEST_NETWORK:
            raise ValueError(
                f"width, blocks, codes and code_dim together make about {parameters:.1e} parameters; "
                f"{LARGEST_NETWORK:.0e} is the most"
            )
        if halves * self.groups * self.levels * self.codes > 1_000_000:
            raise ValueError("split × groups × levels × codes is over 1,000,000, each a row of the language model")
        return self


class Augmentation(Section):
    """How windows are changed each time they are drawn; 0 leaves a change out."""

    pace: Annotated[float, Field(ge=0, le=0.5), NUMBER] = 0.0
    """Share by which a window runs faster or slower at most."""
    tilt: Annotated[float, Field(ge=0, le=45), NUMBER] = 0.0
    """Degrees (root mean square) by which each bone is turned, the same way through the window, as suits, marker sets
    and solvers set them; of the legs half."""
    halves: Fraction = 0.0
    """Share of the windows whose trunk, arms and head are another window's."""
    noise: Annotated[float, Field(ge=0, le=100), NUMBER] = 0.0
    """Millimetres of noise at most, on every position."""


class TokenizerTraining(Section):
    """How a motion tokenizer is trained: the losses and their weights, each with its reason."""

    steps: Steps = 2000
    """Optimizer steps at most."""
    minutes: Minutes | None = None
    """Wall time after which training ends; null trains all steps."""
    batch: Batch = 64
    """Windows a step."""
    window: Annotated[int, Field(ge=16, le=2000), NUMBER] = 64
    """Frames of a window, a multiple of `network.down`. Shorter clips are left out."""
    lr: Rate = 1e-3
    """The learning rate after `warmup`; it falls along a cosine."""
    warmup: Warmup = 50
    """Steps in which the rate rises; with `minutes`, a tenth of them at most."""
    autoencode: Warmup = 400
    """Steps before the codebook starts: started at once it collapses to a handful of codes."""
    encoder_lr: Fraction = 0.4
    """Factor on the encoder's rate after that; 0, with `start`, keeps encoder and codebook as they are, and with them
    every code, and trains the decoder alone."""
    features: Loss = 1.0
    """All features, normalised."""
    limbs: bool = True
    """Within `features`, count what is kept and shown for more: positions, of them hands and feet, and the root."""
    velocity: Loss = 0.5
    """Differences of the pose between frames, against jitter."""
    joints: Loss = 0.0
    """Positions in metres, the error that reports measure."""
    path: Loss = 0.5
    """Yaw and travel added up along the window, since a turn is a sum of small numbers."""
    contact: Loss = 0.0
    """Movement of feet that stand."""
    commitment: Loss = 1.0
    """Encodings are drawn to their codes."""
    cycle: Loss = 0.0
    """What is decoded encodes to the same codes again."""
    augment: Augmentation = Augmentation()
    """More from each window."""
    validate_every: Count = 1000
    """Steps between validations, each of which saves a checkpoint; the best tokenizer is kept."""
    save_minutes: Minutes | None = 10.0
    """Minutes after which a checkpoint is saved at the latest; null leaves it to validations."""
    patience: Count | None = None
    """Validations without gain after which training stops; null trains to the end."""
    seed: Seed = 0
    """Of weights and windows."""


class TokenizerRecipe(Section):
    """A motion tokenizer: `motionllm tokenizer train RECIPE`."""

    name: Name = "tokenizer"
    """The default folder is runs/NAME."""
    start: Where | None = None
    """A tokenizer of the same network, causal or not, to go on from: a folder or a shipped name. Its normalisation is
    kept and no autoencoder phase is run."""
    sources: Sources
    """Data sets whose train splits are learned from, and whose val splits are measured on."""
    network: Network = Network()
    train: TokenizerTraining = TokenizerTraining()

    @model_validator(mode="after")
    def _whole_steps(self) -> TokenizerRecipe:
        if self.train.window % self.network.down:
            raise ValueError(f"`train.window` must be a multiple of `network.down`, {self.network.down}")
        return self


class SmallLLM(Section):
    """A Llama trained from scratch on motion tokens."""

    layers: Annotated[int, Field(gt=0, le=200), NUMBER] = 4
    """Decoder layers."""
    width: Annotated[int, Field(gt=0, le=8192, multiple_of=64), NUMBER] = 192
    """Channels."""
    steps: Steps = 240
    """Optimizer steps."""
    batch: Batch = 16
    """Windows a step."""
    seconds: Annotated[float, Field(ge=0.5, le=600), NUMBER] = 8.0
    """Of motion, in a window."""
    lr: Rate = 1.5e-3
    """Learning rate."""
    seed: Seed = 0
    """Of weights and windows."""


class AblationRow(Section):
    """A motion tokenizer to compare."""

    name: Name
    """Of the row, and of its folder and result."""
    network: Network
    train: dict[str, Any] = {}
    """Keys of a tokenizer's training that differ from the shared ones."""
    bpe: Count | None = None
    """Merges of a motion BPE for the LLM."""
    search: Annotated[int, Field(ge=0, le=100), NUMBER] = 0
    """Sweeps in which codes are searched for."""
    like: str | None = None
    """The row before that has the same tokenizer, which is then not trained again."""


class Ablation(Section):
    """Motion tokenizers compared on one budget: `motionllm tokenizer ablation PLAN`."""

    name: Name = "ablation"
    """Of the comparison."""
    tokenizer: TokenizerRecipe
    """Data and training of every row."""
    llm: SmallLLM = SmallLLM()
    rows: Annotated[list[AblationRow], Field(min_length=1, max_length=1000)]
    """The tokenizers; the first is the one that the others are set beside."""

    @model_validator(mode="after")
    def _rows_are_told_apart(self) -> Ablation:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError("two rows have one name")
        for row in self.rows:
            if row.like and row.like not in names[: names.index(row.name)]:
                raise ValueError(f"row {row.name} is like {row.like}, which is no row before it")
            if fixed := row.train.keys() & {"steps", "minutes", "batch", "window"}:
                raise ValueError(f"row {row.name} sets {', '.join(sorted(fixed))}: the budget is one for all rows")
            self.recipe(row)
        return self

    def recipe(self, row: AblationRow) -> TokenizerRecipe:
        """The row's tokenizer, with its own network and training."""
        try:
            train = TokenizerTraining.model_validate(self.tokenizer.train.model_dump() | row.train)
        except ValidationError as error:
            first = _explain(error.errors()[0], TokenizerTraining)
            raise ValueError(f"row {row.name}: train: {first}") from None
        if train.window % row.network.down:
            raise ValueError(f"row {row.name}: `tokenizer.train.window` must be a multiple of its network's `down`")
        return self.tokenizer.model_copy(update={"network": row.network, "train": train})


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


SCHEMAS: dict[str, type[Section]] = {
    "train": Recipe,
    "improve": Improvement,
    "tokenizer": TokenizerRecipe,
    "ablation": Ablation,
    "suite": Suite,
    "embedder": EmbedderRecipe,
}
R = TypeVar("R", bound=Section, default=Recipe)


def load_recipe(
    path: Path,
    overrides: Sequence[str] = (),
    schema: type[R] = Recipe,  # type: ignore[assignment]
    saved: bool = False,
) -> R:
    """Read and check a recipe. overrides: `dotted.key=value` words, values in YAML. saved: the recipe was saved with an
    artefact, maybe by another version: keys that this one does not know are passed over with a warning.

    Raises RecipeError that lists every unknown key and wrong value, before anything else is loaded.
    """
    try:
        tree = read_yaml(path, "recipe")
    except MotionFileError as error:
        raise RecipeError(f"Recipe {error}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"Recipe {path} holds no keys; it needs at least `{_required(schema)}`.")
    if saved and (passed := drop_unknown(tree, schema)):
        log.warning("%s: keys of another version are passed over: %s", path, ", ".join(passed)[:300])
    for word in overrides:
        _override(tree, word)
    return check_recipe(tree, schema, str(path))


def find_recipe(
    kind: Literal["recipes", "tokenizer", "eval", "embedders"],
    name: str | Path,
    overrides: Sequence[str] = (),
    schema: type[R] = Recipe,  # type: ignore[assignment]
) -> R:
    """The recipe called `name` on a command line, a file or a shipped one, as `load_recipe` reads it.

    Raises RecipeError also where a source's path is still the placeholder of the shipped recipes.
    """
    from motionllm import shipped

    recipe = load_recipe(shipped.find(kind, name), overrides, schema)
    if unset := list(_placeholders(recipe)):
        given = " ".join(f"{key}=FOLDER" for key in unset)
        raise RecipeError(
            f"Recipe {name}: {PLACEHOLDER} stands where the folder of your data set goes, and no folder here is called "
            f"so; add {given}."
        )
    return recipe


def _placeholders(value: Any, key: str = "") -> Iterator[str]:
    """The dotted keys of the sources whose path is the placeholder."""
    if isinstance(value, Source):
        if value.path == PLACEHOLDER and not Path(PLACEHOLDER).exists():
            yield f"{key}path"
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _placeholders(getattr(value, name), f"{key}{name}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _placeholders(item, f"{key}{number}.")


def drop_unknown(tree: dict[str, Any], schema: type[BaseModel]) -> list[str]:
    """Delete the keys of a tree that a schema does not know; their dotted paths."""
    passed: list[str] = []
    try:
        schema.model_validate(tree)
    except ValidationError as error:
        for item in error.errors():
            if item["type"] != "extra_forbidden":
                continue
            *parents, last = item["loc"]
            node: Any = tree
            for part in parents:
                if isinstance(node, dict):
                    node = node.get(part)
                else:
                    node = node[part] if isinstance(node, list) and isinstance(part, int) else None
            if isinstance(node, dict) and node.pop(last, None) is not None:
                passed.append(".".join(map(str, item["loc"])))
    return passed


def check_recipe(tree: dict[str, Any], schema: type[R], where: str) -> R:
    """A checked recipe from a tree of plain values; `where` names it in errors (RecipeError)."""
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        wrong: dict[str, str] = {}
        for item in error.errors():
            place = _place(item)
            if place not in wrong or not item["type"].endswith("_type"):  # else the other kind that a union takes
                wrong[place] = _explain(item, schema)
        found = list(wrong.values())
        more = f"; and {len(found) - 10} more" if len(found) > 10 else ""
        raise RecipeError(f"Recipe {where}: {'; '.join(found[:10])}{more}.") from None


def dump_recipe(recipe: Section) -> str:
    """The resolved recipe as YAML, every key written out."""
    import yaml

    return yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True)


def json_schema(kind: str) -> str:
    """The JSON Schema of a kind of recipe (a key of SCHEMAS), for editors that check and complete YAML."""
    return json.dumps(
        {"$schema": "https://json-schema.org/draft/2020-12/schema"} | SCHEMAS[kind].model_json_schema(), indent=2
    )


def _override(tree: dict[str, Any], word: str) -> None:
    key, sign, text = word.partition("=")
    shown = word if len(word) <= 100 else f"{word[:97]}..."
    if not sign or not key:
        raise RecipeError(f"'{shown}' is not an override; write key=value, for example train.steps=200.")
    try:
        value = parse_yaml(text, f"The value of '{key[:100]}='")
    except MotionFileError as error:
        raise RecipeError(f"{str(error).rstrip('.')}; quote it to have it as text.") from None
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d{1,3}", value):
        value = float(value)  # YAML 1.1 reads 1e-4 as text: people write learning rates so
    *parents, last = key.split(".")
    node: Any = tree
    for part in parents:
        if isinstance(node, dict) and node.get(part) is None:
            node[part] = {}  # a section that the recipe leaves out, or leaves empty
        node = node[int(part)] if isinstance(node, list) and _index(part, node) else (
            node[part] if isinstance(node, dict) else None
        )  # fmt: skip
        if not isinstance(node, dict | list):
            raise RecipeError(f"'{shown}': `{part}` is not a section of the recipe.")
    if isinstance(node, list):
        if not _index(last, node):
            raise RecipeError(f"'{shown}': the list has {len(node)} of them, numbered from 0.")
        node[int(last)] = value
    else:
        node[last] = value


def _index(part: str, items: list[Any]) -> bool:
    return re.fullmatch(r"[0-9]{1,6}", part) is not None and int(part) < len(items)


def _place(item: Any) -> str:
    """The dotted key that an error is about."""
    keys = [p for p in item["loc"] if not re.fullmatch(r"(constrained-)?str|list\[.*\]", str(p))]  # a union's are none
    return _short(".".join(map(str, keys)), 200)


def _short(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _explain(item: Any, schema: type[BaseModel]) -> str:
    place = _place(item)
    if item["type"] == "extra_forbidden":
        known = _keys_at(schema, item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1])[:100], known, 1, 0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"unknown key `{place}` ({hint})"
    if item["type"] == "missing":
        return f"`{place}` is missing"
    given = "" if isinstance(item["input"], dict | list) else f", not {_short(repr(item['input']))}"
    message = item["msg"].removeprefix("Value error, ")
    if "should" in message:  # "Input should be a finite number", "List should have at least 1 item"
        return f"`{place}` should{message.partition('should')[2]}{given}"
    return f"`{place}`: {message[0].lower()}{message[1:]}{given}" if place else message


def _keys_at(schema: Any, loc: Sequence[Any]) -> list[str]:
    for part in loc:
        if isinstance(part, int):
            continue
        field = getattr(schema, "model_fields", {}).get(part)
        if field is None:
            return []
        schema = _section_in(field.annotation)
    return list(getattr(schema, "model_fields", {}))


def _section_in(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (list, Annotated, types.UnionType, typing.Union):
        for inner in typing.get_args(annotation):
            found = _section_in(inner)
            if found is not None:
                return found
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _required(schema: type[BaseModel]) -> str:
    return "`, `".join(name for name, field in schema.model_fields.items() if field.is_required())
