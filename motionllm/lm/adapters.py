"""Adapters on disk: checks an adapter's folder against its recipe and vocabulary, and loads it onto its base.

The recipe beside the weights defines the adapter; `adapter_config.json` must agree, and the weights must have the right
shapes. The adapted layers are read from the weights' names, so that PEFT never acts on settings of a folder.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionllm import shipped, weights
from motionllm.config import Adapter, Recipe, load_recipe
from motionllm.errors import MotionLLMError
from motionllm.files import read_json
from motionllm.language.bases import base_fingerprint
from motionllm.language.vocab import MotionVocab
from motionllm.lm.sampling import Sampling

log = logging.getLogger(__name__)

FILE, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LARGEST = 1e6  # largest alpha and largest absolute weight accepted: no training produces more
_NAME = re.compile(r"base_model\.model\.([\w.]+)\.(lora_[AB]\.weight|lora_magnitude_vector|token_adapter\.\w+)")
# PEFT settings without effect when an adapter is loaded.
_IDLE = {
    "task_type",
    "fan_in_fan_out",  # PEFT sets it itself, for GPT-2's kind of layer
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "auto_mapping",
    "inference_mode",
    "init_lora_weights",
    "lora_dropout",
    "target_modules",
    "megatron_core",
    "qalora_group_size",
}


def lora_config(settings: Adapter, vocab: MotionVocab, base: Any) -> Any:
    """PEFT's configuration for an adapter with motion rows, on a base that has these rows."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=settings.method == "rslora",
        use_dora=settings.method == "dora",
        lora_dropout=settings.dropout,
        target_modules=settings.targets,
        trainable_token_indices=vocab.trainable(base),
        task_type="CAUSAL_LM",
    )


def adapted(base: Any, config: Any) -> Any:
    """A PEFT model of a base, without what PEFT and transformers have to say to each other."""
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT reads a name that transformers calls deprecated
        return get_peft_model(base, config)


def fresh_adapter(settings: Adapter, vocab: MotionVocab, base: Any) -> Any:
    """A PEFT model: `base`, which has the rows of `vocab`, with an untrained adapter.

    Raises MotionLLMError where adapter.targets matches no linear layer, or also other modules.
    """
    from transformers.pytorch_utils import Conv1D

    linear = torch.nn.Linear | Conv1D
    if settings.targets != "all-linear":
        head = base.get_output_embeddings()
        modules = {name: module for name, module in base.named_modules() if name}
        chosen = _chosen(settings.targets, list(modules))
        other = [name for name in chosen if not isinstance(modules[name], linear) or modules[name] is head]
        if not chosen or other:
            fits = f"{other[0]}, which is no linear layer of the body" if other else "no layer of the base"
            ends = {
                name.rpartition(".")[2]
                for name, module in modules.items()
                if isinstance(module, linear) and module is not head
            }
            raise MotionLLMError(
                f"adapter.targets {_short(settings.targets)} fits {fits}; give all-linear or some of "
                f"{', '.join(sorted(ends)[:20])}."
            )
    return adapted(base, lora_config(settings, vocab, base))


# In a separate process, since a match cannot be interrupted: (.*.*)*x takes exponential time.
_MATCH = "import json, re, sys; p, n = json.load(sys.stdin); print(json.dumps([bool(re.fullmatch(p, x)) for x in n]))"
_SECONDS = 4


def _chosen(targets: str | list[str], names: list[str]) -> list[str]:
    """The modules that PEFT would adapt: by the suffix of their name, or by a regular expression on all of it."""
    if not isinstance(targets, str):
        return [name for name in names if any(name == end or name.endswith(f".{end}") for end in targets)]
    try:
        re.compile(targets)
        done = subprocess.run(
            [sys.executable, "-I", "-c", _MATCH],
            input=json.dumps([targets, names]),
            text=True,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (re.error, OverflowError, RecursionError) as error:
        raise MotionLLMError(
            f"adapter.targets {_short(targets)} is no regular expression ({error}); give all-linear, a list of names, "
            "or an expression that fits whole names."
        ) from None
    except subprocess.SubprocessError:
        raise MotionLLMError(
            f"adapter.targets {_short(targets)} cannot be matched within {_SECONDS} seconds; give a list of names, "
            "or an expression without repetitions within repetitions."
        ) from None
    return [name for name, fits in zip(names, json.loads(done.stdout), strict=True) if fits]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def load_adapter(
    folder: Path, tensors: dict[str, Any], settings: Adapter, vocab: MotionVocab, base: Any, name: str
) -> Any:
    """A PEFT model: `base`, which has the rows of `vocab`, with the adapter in `folder`.

    tensors: the result of `read_adapter`. settings: the adapter section of the folder's recipe. name: recorded as the
    base's name. Raises MotionLLMError where the adapter belongs to another base.
    """
    config = lora_config(settings, vocab, base)
    matrices = config.trainable_token_indices if isinstance(config.trainable_token_indices, dict) else [None]
    if sum(name.endswith("trainable_tokens_delta") for name in tensors) != len(matrices):
        raise MotionLLMError(
            f"The adapter in {folder} does not fit its base: input and output embeddings are one matrix in one of the "
            "two alone; give the base it was trained on."
        )
    config.target_modules = _layers(folder, tensors, base)
    config.inference_mode = True
    with _damaged(folder):
        model = adapted(base, config)
        config.base_model_name_or_path = name
        put(model, tensors)
    return model


def read_adapter(folder: Path, settings: Adapter, vocab: MotionVocab) -> dict[str, Any]:
    """The adapter's tensors, in float32. Raises MotionLLMError where the folder is damaged, or does not match these
    settings and this vocabulary.
    """
    _check_config(folder, settings, vocab)
    if not (folder / WEIGHTS).is_file():
        raise MotionLLMError(f"The adapter in {folder} is damaged: {WEIGHTS} is missing; copy it anew.")
    halves: dict[str, set[str]] = {}
    for name, stored in weights.header(folder / WEIGHTS).items():
        match = _NAME.fullmatch(name)
        if not match or len(stored.shape) not in (1, 2) or not stored.dtype.startswith(("F", "BF")):
            raise MotionLLMError(
                f"The adapter in {folder} is damaged: {WEIGHTS} holds {name[:200]} of {stored.dtype} "
                f"{list(stored.shape)}, which is no weight of an adapter of motionllm; copy or train it anew."
            )
        layer, part = match.groups()
        rank = {"lora_A.weight": 0, "lora_B.weight": 1}.get(part)
        if rank is not None and stored.shape[rank:][:1] != (settings.rank,):
            raise MotionLLMError(
                f"The adapter in {folder} is damaged: {name[:200]} is {list(stored.shape)}, but its recipe gives rank "
                f"{settings.rank}; copy or train it anew."
            )
        if part.startswith("token_adapter") and stored.shape[0] != len(vocab.ids):
            raise MotionLLMError(
                f"The adapter in {folder} is damaged: it has {stored.shape[0]} motion rows, but {len(vocab.ids)} "
                "motion tokens; copy or train it anew."
            )
        halves.setdefault(layer, set()).add(part)
    needed = {"lora_A.weight", "lora_B.weight"} | ({"lora_magnitude_vector"} if settings.method == "dora" else set())
    rows = {"token_adapter.trainable_tokens_delta"}
    for layer, parts in halves.items():
        if parts not in (needed, rows):
            raise MotionLLMError(f"The adapter in {folder} is damaged: {layer[:200]} is not complete; copy it anew.")
    if rows not in halves.values():
        raise MotionLLMError(f"The adapter in {folder} is damaged: it has no motion rows; copy it anew.")
    tensors = {name: tensor.float() for name, tensor in weights.read(folder / WEIGHTS).items()}
    for name, tensor in tensors.items():
        if tensor.numel() and tensor.abs().max() > LARGEST:
            raise MotionLLMError(f"The adapter in {folder} is damaged: {name[:200]} has values beyond {LARGEST:g}.")
    return tensors


def put(model: Any, tensors: dict[str, Any]) -> None:
    """Load adapter weights into a PEFT model. Raises MotionLLMError where their names do not match."""
    from peft import set_peft_model_state_dict

    result: Any = set_peft_model_state_dict(model, tensors)
    # Motion rows of tied matrices are one parameter under two names, and the header check covered them.
    missing = [name for name in result.missing_keys if ".lora_" in name]
    if other := [*result.unexpected_keys, *missing]:
        raise MotionLLMError(f"{other[0]} is in one of the two alone")


def _check_config(folder: Path, settings: Adapter, vocab: MotionVocab) -> None:
    from peft import LoraConfig

    config = read_json(folder / FILE, "adapter configuration")
    wanted: dict[str, Any] = {
        "peft_type": "LORA",
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "use_rslora": settings.method == "rslora",
        "use_dora": settings.method == "dora",
    }
    for key, value in wanted.items():
        stored = config.get(key, False if value is False else None)
        if stored != value or isinstance(stored, bool) != isinstance(value, bool):
            raise MotionLLMError(
                f"The adapter in {folder} is damaged: {FILE} gives {key} as {str(stored)[:50]}, and the recipe beside "
                f"it {value}; copy or train it anew."
            )
    if settings.alpha > LARGEST:
        raise MotionLLMError(f"The adapter in {folder} is damaged: its alpha is {settings.alpha}; train it anew.")
    rows = config.get("trainable_token_indices")
    if any(ids != vocab.ids for ids in (rows.values() if isinstance(rows, dict) and rows else [rows])):
        raise MotionLLMError(
            f"The adapter in {folder} is damaged: the rows that {FILE} names are not those of motion_vocab.json; "
            "copy or train it anew."
        )
    known = {field.name: field for field in dataclasses.fields(LoraConfig)}
    for key, value in config.items():
        if not value or value == "none" or key in wanted or key in _IDLE or key == "trainable_token_indices":
            continue
        if key in known:
            raise MotionLLMError(
                f"The adapter in {folder} sets {key[:50]}, which motionllm neither writes nor reads; "
                "train it with motionllm."
            )
        log.warning("%s: %s is not known to this version of PEFT and is passed over", folder / FILE, key[:50])


def _layers(folder: Path, tensors: dict[str, Any], base: Any) -> list[str]:
    """Full names of the layers of `base` that the tensors belong to."""
    modules = dict(base.named_modules())
    names = []
    for name, tensor in tensors.items():
        layer, part = _NAME.fullmatch(name).groups()  # type: ignore[union-attr]
        weight = getattr(modules.get(layer), "weight", None)
        wide = getattr(modules.get(layer), "in_features", None), getattr(modules.get(layer), "out_features", None)
        side = {"lora_A.weight": (wide[0], 1), "lora_B.weight": (wide[1], 0)}.get(part)
        if weight is None or (side and side[0] is not None and tensor.shape[side[1]] != side[0]):
            raise MotionLLMError(
                f"The adapter in {folder} does not fit its base: {layer[:200]} is "
                f"{'missing there' if weight is None else f'of another width than {list(tensor.shape)}'}; "
                "give the base it was trained on."
            )
        if part == "lora_A.weight":
            names.append(layer)
    return names


@contextmanager
def _damaged(folder: Path) -> Iterator[None]:
    """Turn any exception that PEFT raises over an adapter's files into a MotionLLMError of one sentence."""
    try:
        yield
    except Exception as error:  # PEFT can raise anything for files it did not write
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise MotionLLMError(f"The adapter in {folder} does not fit its base or is damaged: {first}") from None


def share_inputs(model: Any) -> None:
    """Let LoRA layers read their input uncast, for training in autocast, which casts the adapter's weights instead.

    PEFT casts the input to the adapter's float32, and autocast casts it back: each layer then keeps its own copy for
    the backward pass where queries, keys and values could share one. The loss is equal to the last bit (without
    dropout); gradients are equal up to the order in which bfloat16 adds them. DoRA layers are left alone: they compute
    norms in the input's type.
    """
    from peft.tuners.lora import LoraLayer

    for layer in model.modules():
        if isinstance(layer, LoraLayer) and not any(layer.use_dora.values()):
            layer.cast_input_dtype_enabled = False


def bare(model: Any) -> Any:
    """The causal LLM within a PEFT model; any other model is returned itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


Translate = Callable[[Tensor, Tensor], Tensor | None]


def go_on_from(
    folder: Path, model: Any, vocab: MotionVocab, recipe: Recipe, translate: Translate | None = None
) -> bool:
    """Load a trained adapter's weights into a fresh one; whether its motion tokens go on as well. Where the motion
    tokenizer is another, they mean something else there: `translate` makes the rows of its codes from the fresh ones
    (codes, d) and the trained ones (others, d); where it gives None they begin anew, as do merges of codes, and a
    warning says how they begin. Without it, whether the two fit is only tried. Raises MotionLLMError where base, rank,
    alpha, method or layers differ.
    """
    from peft import get_peft_model_state_dict

    weights.within(folder)
    stored = MotionVocab.load(folder)
    check_base(folder, stored.base, recipe.model.base)
    own = load_recipe(folder / "recipe.yaml", saved=True).adapter
    for key in ("method", "rank", "alpha"):
        has, wanted = getattr(own, key), getattr(recipe.adapter, key)
        if has != wanted:
            raise MotionLLMError(
                f"The adapter in {folder} has {key} {has}, and the recipe {wanted}; set adapter.{key} to its own."
            )
    tensors = read_adapter(folder, own, stored)
    if stored != vocab:
        fresh, how = get_peft_model_state_dict(model), "anew"
        for name in [name for name in tensors if ".lora_" not in name]:
            begun, rows = fresh[name].float(), tensors[name]
            made = None
            if translate and not vocab.bpe:
                made = translate(begun[2:], rows[2 : 2 + stored.size])
            if made is not None:
                how = "near its tokens of the same times"
            tensors[name] = begun if made is None else torch.cat([rows[:2], made])
        if translate:
            log.warning("the motion tokens of %s are another tokenizer's and begin %s; its layers go on", folder, how)
    try:
        put(model, tensors)
    except (MotionLLMError, RuntimeError, KeyError) as error:  # RuntimeError, KeyError: PEFT, for other layers
        first = str(error).strip().splitlines()[0]
        raise MotionLLMError(
            f"The adapter in {folder} is on other layers than the recipe's ({first}); set adapter.targets to its own."
        ) from None
    return stored == vocab


def check_base(folder: Path, wanted: str | None, base: str) -> None:
    """Raise MotionLLMError where the adapter recorded a fingerprint of its base's weights, and `base` has another."""
    fingerprint = base_fingerprint(base) if wanted else None
    if wanted and fingerprint and wanted != fingerprint:
        raise MotionLLMError(
            f"The adapter in {folder} was trained on a base whose weights are {wanted}, but those of {base} are "
            f"{fingerprint}: another revision or another model of the same shape; give the base it was trained on."
        )


def find_adapter(name: str | Path) -> Path:
    """The adapter folder for a path (an adapter or a run) or for a shipped adapter's name. Raises MotionLLMError where
    there is none.
    """
    folder = shipped.find("adapter", name)
    if (folder / "adapter").is_dir():
        return folder / "adapter"
    if not (folder / "motion_vocab.json").is_file():
        raise MotionLLMError(
            f"{folder} is no motionllm adapter, but {shipped.kind_of(folder)} (motion_vocab.json is missing); give a "
            "run of `motionllm train`, or the adapter in it."
        )
    return folder


def own_sampling(name: str | Path) -> Sampling:
    """The default sampling of an adapter (a folder, a run or a shipped name), read from its recipe without loading it.

    Raises MotionLLMError where there is no such adapter.
    """
    return sampling_of(load_recipe(find_adapter(name) / "recipe.yaml", saved=True))


def sampling_of(recipe: Recipe) -> Sampling:
    return Sampling().but(**recipe.sampling.model_dump()) if recipe.sampling else Sampling()
