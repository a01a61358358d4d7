"""Recipes: the only schema of what can be set. YAML in, checked objects out, every mistake named at once.

A recipe is one YAML file; `key=value` words after it on the command line override single keys by
their dotted path (`train.steps=200`). Unknown keys are refused with the nearest known one.
"""

from __future__ import annotations

import contextlib
import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motionllm.errors import RecipeError

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Source(Section):
    """One data set. kind `builtin`: `clips` procedural clips. kind `humanml3d`: a folder laid out as
    HumanML3D or KIT-ML (`new_joints/` or `new_joint_vecs/`, `texts/`, `train.txt` …). kinds `messages`, `sharegpt`,
    `alpaca`: conversations, a JSONL or JSON file, or a folder with train.jsonl and val.jsonl. weight: how often
    its clips are drawn against the other sources'. exclude: ids left out. mirror: add every training clip with
    left and right exchanged, in motion and words. ask: make questions of the clips' measured `facts`, of their
    `labels`, for the task `question`.
    """

    kind: Literal["builtin", "humanml3d", "messages", "sharegpt", "alpaca"]
    path: str | None = None
    clips: Count = 20_000
    seed: int = 0
    weight: Positive = 1.0
    exclude: list[str] = []
    mirror: bool = False
    ask: list[Literal["facts", "labels"]] = []

    @model_validator(mode="after")
    def _path_where_needed(self) -> Source:
        if self.kind != "builtin" and not self.path:
            raise ValueError(f"a source of kind {self.kind} needs `path`, the folder or file of the data set")
        return self


# Finite scalar quantization: steps of each latent dimension, whose product is the number of codes.
FSQ_LEVELS = {64: (8, 8), 256: (8, 8, 4), 512: (8, 8, 8), 1024: (8, 8, 4, 4), 2048: (8, 8, 8, 4), 4096: (8, 8, 8, 8)}


class Network(Section):
    """The tokenizer's network: widths in channels, `blocks` residual blocks on each side of the quantizer.

    down: frames a step. quantizer: `vq` (learned codebook), `fsq` (finite scalar quantization) or `lfq` (look-up
    free). Codes a step: split (one for the whole body, `none`, or one for each half, `body`) × groups (of channels,
    each with a quantizer) × levels (each quantizes what the one before left over). codes: of each codebook. causal: the
    decoder sees no later code, so that frames can be had while codes are being written.
    """

    width: Count = 256
    blocks: Count = 4
    quantizer: Literal["vq", "fsq", "lfq"] = "vq"
    split: Literal["none", "body"] = "none"
    groups: Count = 1
    levels: Count = 1
    causal: bool = False
    codes: Annotated[int, Field(ge=2)] = 512
    code_dim: Count = 64
    down: Literal[2, 4, 8] = 4

    @model_validator(mode="after")
    def _fits_the_quantizer(self) -> Network:
        if self.quantizer == "fsq" and self.codes not in FSQ_LEVELS:
            raise ValueError(f"codes of an fsq quantizer are one of {', '.join(map(str, FSQ_LEVELS))}")
        if self.quantizer == "lfq" and self.codes & (self.codes - 1):
            raise ValueError("codes of an lfq quantizer are a power of 2")
        if self.code_dim % self.groups:
            raise ValueError("code_dim must divide into the groups")
        return self


class TokenizerTraining(Section):
    """autoencode: steps before the codebook starts. encoder_lr: factor on the encoder's rate after it; 0 keeps encoder
    and codebook as they are, and with them every code, and trains the decoder alone.

    The weights of the losses, each with its reason. `features`: all dims, normalised; `limbs` counts what is kept and
    shown for more: positions, of them those of hands and feet, and the root. `velocity`: differences of the
    pose between frames, against jitter. `joints`: positions in metres, the error that reports measure. `path`: yaw and
    travel added up along the window, since a turn is a sum of small numbers. `contact`: movement of feet that stand.
    `commitment` of encodings to their codes. `cycle`: what is decoded encodes to the same codes again.

    validate_every: steps between validations; the best tokenizer is kept. patience: validations without gain after
    which training stops.
    """

    steps: Count = 2000
    minutes: Positive | None = None
    batch: Count = 64
    window: Count = 64
    lr: Positive = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 50
    autoencode: Annotated[int, Field(ge=0)] = 400
    encoder_lr: Annotated[float, Field(ge=0)] = 0.4
    features: Annotated[float, Field(ge=0)] = 1.0
    limbs: bool = True
    velocity: Annotated[float, Field(ge=0)] = 0.5
    joints: Annotated[float, Field(ge=0)] = 0.0
    path: Annotated[float, Field(ge=0)] = 0.5
    contact: Annotated[float, Field(ge=0)] = 0.0
    commitment: Annotated[float, Field(ge=0)] = 1.0
    cycle: Annotated[float, Field(ge=0)] = 0.0
    validate_every: Count = 1000
    patience: Count | None = None
    seed: int = 0


class TokenizerRecipe(Section):
    """A motion tokenizer: data, network, training. start: one of the same network, causal or not, to go on from,
    a folder or a shipped name; its normalisation is kept and no autoencoder phase is run.
    """

    name: str = "tokenizer"
    start: str | None = None
    sources: Annotated[list[Source], Field(min_length=1)]
    network: Network = Network()
    train: TokenizerTraining = TokenizerTraining()


class SmallLLM(Section):
    """A Llama trained from scratch on motion tokens: layers, width in channels, optimizer steps of `batch` windows of
    `seconds` of motion.
    """

    layers: Count = 4
    width: Annotated[int, Field(gt=0, multiple_of=64)] = 192
    steps: Count = 240
    batch: Count = 16
    seconds: Positive = 8.0
    lr: Positive = 1.5e-3
    seed: int = 0


class AblationRow(Section):
    """A motion tokenizer to compare. train: what of the training is its own. bpe: merges of a motion BPE for the LLM.
    search: sweeps in which codes are searched for. like: the row with the same tokenizer.
    """

    name: str
    network: Network
    train: dict[str, Any] = {}
    bpe: Count | None = None
    search: Annotated[int, Field(ge=0)] = 0
    like: str | None = None


class Ablation(Section):
    """Motion tokenizers on one budget: `tokenizer` gives data and training, each row its network."""

    name: str = "ablation"
    tokenizer: TokenizerRecipe
    llm: SmallLLM = SmallLLM()
    rows: Annotated[list[AblationRow], Field(min_length=1)]

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
            first = error.errors()[0]
            raise ValueError(f"row {row.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return self.tokenizer.model_copy(update={"network": row.network, "train": train})


class Model(Section):
    """base: a causal LLM by hub name, folder, or `builtin:…`. tokenizer: a shipped motion tokenizer's
    name, a folder, or a tokenizer recipe (`.yaml`), which is then trained first, inside the run.
    quantization: the base in 4 or 8 bits by bitsandbytes (QLoRA); the adapter then merges into the dense base.
    bpe: frequent code sequences merged into so many further motion tokens, learned from the training clips.
    dtype: of the base's weights; `auto` is bfloat16 where the machine computes in it, else float32.
    """

    base: str = "builtin:smollm2-135m-instruct"
    tokenizer: str = "default"
    bpe: Count | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quantization: Literal["4bit", "8bit"] | None = None


class Adapter(Section):
    """What is trained. method: `lora`; `rslora` (scaled by alpha / √rank, Kalajdzievski 2023: for ranks from 64 on);
    `dora` (magnitude apart from direction, Liu et al. 2024: a third slower); `full`, every weight, whose run holds a
    whole model in the adapter's place. rank to targets: of LoRA, on the linear layers. rows_init: what new rows start
    from (`MotionVocab.attach`). rows_lr multiplies the learning rate for the rows. rows_first: steps at the start in
    which the rows learn alone. start: an adapter of the same base, motion tokenizer and shape to go on from, a folder,
    a run or a shipped name.
    """

    start: str | None = None
    method: Literal["lora", "rslora", "dora", "full"] = "lora"
    rank: Count = 16
    alpha: Count = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: str | list[str] = "all-linear"
    rows_init: Literal["noise", "codebook", "words", "mean"] = "words"
    rows_lr: Positive = 4.0
    rows_first: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _what_full_leaves_out(self) -> Adapter:
        if self.method == "full" and (self.start or self.rows_first):
            key = "start" if self.start else "rows_first"
            raise ValueError(f"`{key}` is of adapters; leave it out with method full")
        return self


class Data(Section):
    """tasks: weights. templates: a YAML of phrasings, or the name of one in recipes/templates/. system: the system
    message of every conversation; null leaves it to the base's chat template. max_length: tokens of a packed row.
    packing: several examples a row; without it a row an example, those of like length side by side. drop_text: share
    of the text_to_motion examples whose text is left out, which is what guidance needs when motion is generated.
    """

    sources: Annotated[list[Source], Field(min_length=1)]
    tasks: Annotated[dict[str, Positive], Field(min_length=1)] = {
        "text_to_motion": 1.0,
        "caption": 1.0,
        "question": 1.0,
    }
    templates: str = "default"
    system: str | None = None
    max_length: Count = 256
    packing: bool = True
    drop_text: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Training(Section):
    """Steps of `batch` examples at most, or `minutes` of wall time, whichever ends first; the schedule
    follows whichever is nearer its end. schedule: of the learning rate after `warmup` steps, down to `min_lr` of it:
    `cosine`, `linear`, or `constant`. motion_loss: over the motion `rows` the grammar allows, or the
    whole `vocabulary`. precision: of the computation; what is trained and the optimizer are float32 in any case.
    patience: validations without a better loss after which training ends; null trains to the end. keep: the newest
    checkpoints that stay. shard: each of several processes holds its share of weights, gradients and optimizer
    (FSDP2). samples: texts whose motion is generated at every validation, into RUN/samples/.
    """

    steps: Count = 1000
    minutes: Positive | None = None
    batch: Count = 16
    micro_batch: Count = 16
    lr: Positive = 5e-4
    warmup: Annotated[int, Field(ge=0)] = 20
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    min_lr: Fraction = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 1.0
    motion_loss: Literal["rows", "vocabulary"] = "rows"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpointing: bool = False
    shard: bool = False
    validate_every: Count = 200
    validate_examples: Annotated[int, Field(ge=0)] = 128
    patience: Count | None = None
    samples: list[str] = []
    save_every: Count = 100
    keep: Count = 1
    store: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = "none"


class Recipe(Section):
    """A fine-tuning run."""

    name: str = "run"
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
    """temperature: the contrast's start; it is learned. crop: share of a clip that may be cut off for training."""

    steps: Count = 3000
    minutes: Positive | None = None
    batch: Count = 128
    lr: Positive = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 50
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    temperature: Positive = 0.07
    crop: Fraction = 0.1
    seed: int = 0


class EmbedderRecipe(Section):
    """A text–motion embedder to measure with. version: raised with every change that moves its numbers.
    base: the causal LLM whose hidden states after `layer` layers (0: its token embeddings) make a caption's features.
    width: of the motion network. dim: of the embeddings.
    """

    name: str = "embedder"
    version: Count = 1
    sources: Annotated[list[Source], Field(min_length=1)]
    base: str = "builtin:smollm2-135m-instruct"
    layer: Annotated[int, Field(ge=0)] = 0
    width: Count = 192
    dim: Count = 128
    train: EmbedderTraining = EmbedderTraining()


class MultiModality(Section):
    """texts × repeats motions more, compared in `pairs` pairs a text."""

    texts: Count = 100
    repeats: Count = 30
    pairs: Count = 10


class Suite(Section):
    """What is measured, on what, how. version: raised with every change that moves its numbers.

    cases: clips of the split, from its start; null takes all. frames: shortest and longest clips that count.
    captions: of a clip's captions the `first`, or one `drawn` in each replication; for prediction and in-between also
    `none`. length: of a motion, the model's `own` stop, or the true clip's duration `given`. given: the share of a clip
    that prediction and in-between start from. embedder: a folder, a shipped name, or `standard:FOLDER`, where the
    standard evaluator lies. group, pairs: of R-Precision and Diversity. labels: what a classifier trained on real train
    clips reads off motions. expect: what real data must score, {measure: [least, most]}, or the suite stops.
    benchmark: the name under which others' numbers are published, where this is that benchmark.
    """

    name: str
    version: Count = 1
    task: Literal["text_to_motion", "captioning", "questions", "prediction", "in_between", "tokenizer"]
    data: Source
    split: Literal["train", "val", "test"] = "test"
    cases: Count | None = None
    frames: tuple[int, int] | None = None
    captions: Literal["first", "drawn", "none"] = "first"
    length: Literal["own", "given"] = "own"
    given: Annotated[float, Field(gt=0, lt=1)] = 0.2
    embedder: str = "default"
    group: Annotated[int, Field(ge=4)] = 32
    pairs: Count = 300
    replications: Count = 1
    multimodality: MultiModality | None = None
    labels: list[str] = []
    temperature: Annotated[float, Field(ge=0)] = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    best_of: Count = 1
    batch: Count = 64
    seed: int = 0
    expect: dict[str, tuple[float, float]] = {}
    benchmark: str | None = None

    @model_validator(mode="after")
    def _words_where_they_are_needed(self) -> Suite:
        if self.captions == "none" and self.task not in ("prediction", "in_between"):
            raise ValueError("`captions: none` is of prediction and in_between; give first or drawn")
        return self


class Sampling(Section):
    """What is made to be judged: `samples` results for each of `prompts` prompts a round, `batch` side by side.
    seconds: share of motion prompts that state a duration, which the model's own stop is then judged by. replies: a run
    from the same adapter, with the same prompts, whose first round's results are judged again in place of new ones, so
    that judges and methods can be set side by side for one sampling.
    """

    prompts: Count = 64
    samples: Annotated[int, Field(ge=2)] = 8
    replies: str | None = None
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    batch: Count = 32
    seconds: Fraction = 0.0


class Learning(Section):
    """Rounds of sampling, then `steps` optimizer steps of `batch` units (a result; for `dpo` a pair).

    rejection: the `keep` best of a group, where better than the group's mean and rewarded with at least `least`.
    dpo: best with worst, second best with second worst, up to `keep` pairs that are `margin` of reward apart; beta.
    grpo: all, by their advantage; clip_ratio bounds how far the ratio to the sampling policy counts. kl: weight of the
    divergence from the adapter that was started from, a token. truth: true examples beside the judged ones, as a share
    of the batch. rehearsal: texts that the base itself writes, likewise, so that plain language stays. rows_lr: factor
    on the motion rows' rate. minutes: wall time after which the run ends with the step it is in, sampling included.
    """

    rounds: Annotated[int, Field(ge=0)] = 1
    steps: Count = 50
    minutes: Positive | None = None
    batch: Count = 16
    micro_batch: Count = 8
    keep: Count = 1
    least: Fraction = 0.5
    margin: Fraction = 0.1
    beta: Positive = 0.1
    clip_ratio: Positive = 0.2
    kl: Annotated[float, Field(ge=0)] = 0.02
    truth: Fraction = 0.25
    rehearsal: Fraction = 0.25
    lr: Positive = 1e-4
    rows_lr: Positive = 1.0
    warmup: Annotated[int, Field(ge=0)] = 5
    min_lr: Fraction = 0.1
    clip: Positive = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    store: Literal["float32", "bfloat16"] = "float32"
    save_every: Count = 10
    seed: int = 0


class Guards(Section):
    """What is measured beside the reward, before and after each `every` rounds, on `cases` prompts of the val split.

    embedder: the one that reports FID and diversity; never the one that judges. The limits: how much of FID may be
    gained and of diversity lost (shares), of a judge that training never saw (share of its range), of plain text's
    log-likelihood (nats a token). stop: end the run where one is passed; the adapter kept is then the one before.
    """

    embedder: str | None = None
    cases: Annotated[int, Field(ge=2)] = 100
    every: Count = 1
    fid: Annotated[float, Field(ge=0)] = 0.05
    diversity: Fraction = 0.10
    unseen: Fraction = 0.05
    plain: Annotated[float, Field(ge=0)] = 0.05
    stop: bool = True


class Improvement(Section):
    """A run that goes on from an adapter (`start`: a run, a folder or a shipped name) by its own judged results.

    judges: weights of the judges that reward. embedder: a text–motion embedder trained for the judges that need one.
    sources: whose train split the prompts are of. tasks: their weights.
    """

    name: str = "improve"
    start: str | None = None
    method: Literal["rejection", "dpo", "grpo"] = "rejection"
    judges: Annotated[dict[str, Positive], Field(min_length=1)]
    embedder: str | None = None
    sources: Annotated[list[Source], Field(min_length=1)]
    tasks: Annotated[dict[str, Positive], Field(min_length=1)] = {"text_to_motion": 1.0}
    sampling: Sampling = Sampling()
    train: Learning = Learning()
    guards: Guards = Guards()


R = TypeVar("R", Recipe, TokenizerRecipe, Ablation, EmbedderRecipe, Suite, Improvement)


def load_recipe(path: Path, overrides: Sequence[str] = (), schema: type[R] = Recipe) -> R:  # type: ignore[assignment]
    """Read and check a recipe. overrides: `dotted.key=value` words, values in YAML.

    Raises RecipeError that lists every unknown key and wrong type, before anything else is loaded.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"Recipe {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        raise RecipeError(
            f"Recipe {path} is not valid YAML{f' at line {where.line + 1}' if where else ''}; check indentation."
        ) from None
    if not isinstance(tree, dict):
        raise RecipeError(f"Recipe {path} holds no keys; it needs at least `{_required(schema)}`.")
    for word in overrides:
        _override(tree, word)
    return check_recipe(tree, schema, str(path))


def check_recipe(tree: dict[str, Any], schema: type[R], where: str) -> R:
    """A checked recipe from a tree of plain values; `where` names it in errors (RecipeError)."""
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        found = [_explain(item, schema) for item in error.errors()]
        raise RecipeError(f"Recipe {where}: " + "; ".join(dict.fromkeys(found)) + ".") from None


def dump_recipe(recipe: Section) -> str:
    """The resolved recipe as YAML, every key written out."""
    return yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True)


def _override(tree: dict[str, Any], word: str) -> None:
    key, sign, text = word.partition("=")
    if not sign or not key:
        raise RecipeError(f"'{word}' is not an override; write key=value, for example train.steps=200.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"The value in '{word}' is not valid YAML; quote it.") from None
    if isinstance(value, str):
        # YAML 1.1 reads 1e-4 as a string: people write learning rates so.
        with contextlib.suppress(ValueError):
            value = float(value)
    *parents, last = key.split(".")
    node: Any = tree
    for part in parents:
        node = node[int(part)] if isinstance(node, list) and part.isdigit() and int(part) < len(node) else (
            node.setdefault(part, {}) if isinstance(node, dict) else None
        )  # fmt: skip
        if not isinstance(node, dict | list):
            raise RecipeError(f"'{word}': `{part}` is not a section of the recipe.")
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            raise RecipeError(f"'{word}': the list has {len(node)} items, numbered from 0.")
        node[int(last)] = value
    else:
        node[last] = value


def _explain(item: Any, schema: type[BaseModel]) -> str:
    path = ".".join(str(p) for p in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _keys_at(schema, item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, 1, 0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"unknown key `{path}` ({hint})"
    if item["type"] == "missing":
        return f"`{path}` is missing"
    message = item["msg"].removeprefix("Value error, ")
    given = "" if isinstance(item["input"], dict | list) else f", not {item['input']!r}"
    return f"`{path}`: {message[0].lower()}{message[1:]}{given}" if path else message


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
