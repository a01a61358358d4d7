"""Recipes of motion tokenizers, and of their comparison."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motionllm.config.base import (
    NUMBER,
    Batch,
    Count,
    Fraction,
    InFolder,
    Loss,
    Minutes,
    Name,
    Rate,
    Section,
    Seed,
    Sources,
    Steps,
    Text,
    Warmup,
    Where,
    Width,
)

# Finite scalar quantization: steps of each latent dimension, whose product is the number of codes.
FSQ_LEVELS = {64: (8, 8), 256: (8, 8, 4), 512: (8, 8, 8), 1024: (8, 8, 4, 4), 2048: (8, 8, 8, 4), 4096: (8, 8, 8, 8)}
LARGEST_NETWORK = 1_000_000_000  # parameters: 16 GB with gradients and optimizer, beyond any published tokenizer


class Network(Section):
    """A motion tokenizer's network. Each step of `down` frames becomes `split` × `groups` × `levels` codes."""

    width: Width = 256
    """Channels of the convolutions."""
    blocks: Annotated[int, Field(gt=0, le=256), NUMBER] = 4
    """Residual blocks in the encoder, and as many in the decoder."""
    quantizer: Literal["vq", "fsq", "lfq"] = "vq"
    """`vq` (a learned codebook), `fsq` (finite scalar quantization) or `lfq` (look-up free quantization)."""
    split: Literal["none", "body"] = "none"
    """`none`: one encoder for the whole body. `body`: one for legs and root and one for trunk and arms, each with a
    code of its own."""
    groups: Annotated[int, Field(gt=0, le=64), NUMBER] = 1
    """Split the latent channels into this many groups, each quantized separately."""
    levels: Annotated[int, Field(gt=0, le=64), NUMBER] = 1
    """Residual quantizers: each quantizes what the previous one left over."""
    nested: bool = False
    """`vq` with `levels` above 1: training leaves out later levels at random, so that the first ones decode by
    themselves too. `NAME:1` is then the tokenizer of the first level: coarse codes, for a language model, of which the
    later levels are refinements."""
    causal: bool = False
    """The decoder sees no later codes, so that frames can be shown while codes are still being generated."""
    decoder: Literal["plain", "flow", "diffusion"] = "plain"
    """`plain`: one motion for a sequence of codes. `flow` and `diffusion` add to it what the codes leave open, drawn by
    a second network: one motion for each seed."""
    decoder_steps: Annotated[int, Field(gt=0, le=1000), NUMBER] = 4
    """`flow`, `diffusion`: evaluations of the second network in decoding; training does not depend on them."""
    decoder_noise: Annotated[float, Field(ge=0, le=2), NUMBER] = 1.0
    """`flow`, `diffusion`: scale of the noise that decoding starts from. Less is calmer, nearer to the average of what
    the codes allow and more alike for all seeds; training does not depend on it."""
    decoder_width: Width = 192
    """`flow`, `diffusion`: channels of the second network."""
    codes: Annotated[int, Field(ge=2, le=262_144), NUMBER] = 512
    """Entries of each codebook; each becomes a row of the language model. fsq: one of FSQ_LEVELS; lfq: a power of 2."""
    code_dim: Annotated[int, Field(gt=0, le=8192), NUMBER] = 64
    """Channels of the latent that is quantized."""
    down: Literal[2, 4, 8] = 4
    """Frames per step."""

    @model_validator(mode="after")
    def _fits_the_quantizer(self) -> Network:
        if self.quantizer == "fsq" and self.codes not in FSQ_LEVELS:
            raise ValueError(f"codes of an fsq quantizer are one of {', '.join(map(str, FSQ_LEVELS))}")
        if self.quantizer == "lfq" and self.codes & (self.codes - 1):
            raise ValueError("codes of an lfq quantizer are a power of 2")
        if self.nested and (self.levels == 1 or self.quantizer != "vq"):
            raise ValueError("nested codes need `levels` above 1 and the quantizer vq")
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
    """Random changes of training windows, drawn anew each time; 0 switches a change off."""

    pace: Annotated[float, Field(ge=0, le=0.5), NUMBER] = 0.0
    """The largest relative change of a window's speed: 0.2 is up to 20 % slower or faster."""
    tilt: Annotated[float, Field(ge=0, le=45), NUMBER] = 0.0
    """Rotate every bone by an angle that is constant within the window, as different suits, marker sets and solvers do:
    its root mean square in degrees, half as much for the legs."""
    halves: Fraction = 0.0
    """Share of windows whose trunk, arms and head are taken from another window."""
    noise: Annotated[float, Field(ge=0, le=100), NUMBER] = 0.0
    """Noise on joint positions, in millimetres: its standard deviation is drawn between 0 and this for each window."""


class TokenizerTraining(Section):
    """How a motion tokenizer is trained. Keys that name a loss are its weight; 0 switches it off."""

    steps: Steps = 2000
    """The largest number of optimizer steps."""
    minutes: Minutes | None = None
    """Wall-clock minutes after which training ends; null trains all steps."""
    batch: Batch = 64
    """Windows per step."""
    window: Annotated[int, Field(ge=16, le=2000), NUMBER] = 64
    """Frames per window, a multiple of `network.down`. Shorter clips are not trained on."""
    lr: Rate = 1e-3
    """Peak learning rate, reached after `warmup`; it then decays along a cosine to 5 %."""
    warmup: Warmup = 50
    """Steps over which the learning rate rises; with `minutes`, a tenth of that time at most."""
    autoencode: Warmup = 400
    """`vq`: steps before quantization starts. With a codebook from the first step, all poses collapse to a handful of
    codes."""
    encoder_lr: Fraction = 0.4
    """Factor on the encoder's learning rate once quantization has started; the codebook's moving averages cannot follow
    a faster encoder. 0 together with `start` freezes encoder and codebook, hence every code, and trains the decoder
    alone."""
    features: Loss = 1.0
    """Weight of the reconstruction error of all normalised features (smooth L1)."""
    limbs: bool = True
    """Within `features` and `velocity`, weight what is visible: positions, wrists and elbows above all, and the root.
    Off: all features weigh the same."""
    velocity: Loss = 0.5
    """Weight of the error of pose changes from frame to frame, against jitter."""
    joints: Loss = 0.0
    """Weight of the mean error of joint positions in metres, the error that reports measure."""
    path: Loss = 0.5
    """Weight of the error of yaw and travel summed along the window: a turn is a sum of small values."""
    contact: Loss = 0.0
    """Weight of the movement, in metres per frame, of feet that stand in the data."""
    commitment: Loss = 1.0
    """Weight that pulls encodings towards their codes."""
    cycle: Loss = 0.0
    """Weight of the cross-entropy that decoded motion encodes to the same codes again, so that a model reads its own
    motion as it wrote it."""
    generative: Loss = 1.0
    """`flow` and `diffusion` decoders: weight of the error of what they predict from noised motion. With `start` and
    `encoder_lr: 0` it is the only loss, and the plain decoder below stays as it is."""
    adversarial: Loss = 0.0
    """Weight of the judgement of a discriminator, which is trained to tell decoded from real movement. The weights of
    the last validation are kept in place of those with the lowest error, as with decoders that draw."""
    matching: Loss = 10.0
    """`adversarial`: weight, within it, of the distance between what the discriminator's layers see of decoded and of
    real movement."""
    augment: Augmentation = Augmentation()
    """Random changes of the windows."""
    validate_every: Count = 1000
    """Steps between validations. Each saves a checkpoint; the tokenizer with the lowest error is kept."""
    save_minutes: Minutes | None = 10.0
    """Save a checkpoint at least this often, in minutes; null saves only at validations."""
    patience: Count | None = None
    """Validations without improvement after which training stops; null never stops early."""
    seed: Seed = 0
    """Seed of initial weights and window order."""


class TokenizerRecipe(InFolder):
    """Training of a motion tokenizer: `motionllm tokenizer train RECIPE`."""

    name: Name = "tokenizer"
    """Name of the run; its default folder is runs/NAME."""
    start: Where | None = None
    """A tokenizer to continue from (folder or shipped name) with the same network; the settings of its
    decoder may differ. Its normalisation is kept and `autoencode` is skipped. null starts from random weights."""
    sources: Sources
    """Data sets: their train splits are trained on, their val splits measured on."""
    representation: Text | None = None
    """What a frame of features is: humanml3d, kit, or motionstreamer (272 numbers at 30 fps, with rotations), to which
    clips are resampled and converted. null: as the data sets have it."""
    network: Network = Network()
    train: TokenizerTraining = TokenizerTraining()

    @model_validator(mode="after")
    def _whole_steps(self) -> TokenizerRecipe:
        if self.train.window % self.network.down:
            raise ValueError(f"`train.window` must be a multiple of `network.down`, {self.network.down}")
        return self
