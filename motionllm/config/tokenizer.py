"""Recipes of motion tokenizers, and of their comparison."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from motionllm.config.base import (
    NUMBER,
    Batch,
    Count,
    Fraction,
    Loss,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Sources,
    Steps,
    Warmup,
    Where,
    Width,
)
from motionllm.config.loading import explain

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
            first = explain(error.errors()[0], TokenizerTraining)
            raise ValueError(f"row {row.name}: train: {first}") from None
        if train.window % row.network.down:
            raise ValueError(f"row {row.name}: `tokenizer.train.window` must be a multiple of its network's `down`")
        return self.tokenizer.model_copy(update={"network": row.network, "train": train})
