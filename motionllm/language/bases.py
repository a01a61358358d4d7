"""Base models: loads the pretrained causal LLM and tokenizer that motion tokens are added to.

A base is a Hugging Face hub name (`owner/model` or `owner/model@revision`), a local folder, or
`builtin:smollm2-135m-instruct`, which needs no model hub (`builtin_bases`).
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from motionllm import hub
from motionllm.errors import MotionLLMError, lacking
from motionllm.files import read_json
from motionllm.hub import split
from motionllm.language.builtin_bases import builtin_folder
from motionllm.runs.precision import fast_dtype
from motionllm.weights import fingerprint, of_folder, within

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

DEFAULT_BASE = "builtin:smollm2-135m-instruct"


def load_base(
    name_or_folder: str | Path = DEFAULT_BASE,
    dtype: Literal["auto", "float32", "bfloat16"] = "float32",
    quantization: Literal["4bit", "8bit"] | None = None,
    tried: bool = True,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LLM and its tokenizer, in evaluation mode, on the CPU (quantised: where bitsandbytes puts it).

    name_or_folder: `builtin:NAME`, a folder in Hugging Face's layout, or a hub name.
    dtype: type of the weights, or of the computation if they are quantised. "auto": see `fast_dtype`.
    tried: run two tokens through it, to detect a model whose output is not finite (see `probe`).
    quantization: "4bit" is NF4 with double quantisation (QLoRA, Dettmers et al. 2023), "8bit" is LLM.int8().

    The tokenizer has a chat template and a pad token (its end-of-sequence token if it had none: mask labels by length,
    never by `labels == pad`).

    Raises MotionLLMError where the model cannot be loaded, is not a causal LLM, or has no chat template.
    """
    import torch

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "auto": getattr(torch, fast_dtype())}
    if dtype not in dtypes:
        raise MotionLLMError(f"dtype {dtype!r} of a base model is not known: use 'auto', 'float32' or 'bfloat16'")
    options: dict[str, Any] = {"dtype": dtypes[dtype]}
    if quantization is not None:
        options["quantization_config"] = _bitsandbytes(quantization, dtypes[dtype])
    tokenizer = load_base_tokenizer(name_or_folder)
    start = time.perf_counter()
    model = load_model(name_or_folder, **options)
    # Recorded as the base by adapters trained on it: never a folder of this machine's cache.
    model.name_or_path = model.config.name_or_path = str(name_or_folder)
    log.info("base model %s loaded in %.1f s", name_or_folder, time.perf_counter() - start)
    model.eval()
    if quantization == "4bit":
        _unpacked(model)
    if tried:
        probe(model, [0, 1], f"base model {str(name_or_folder)!r}", quantization)
    return model, tokenizer


def probe(model: Any, ids: list[int], what: str, quantization: str | None = None) -> None:
    """Compute the logits of a few tokens. Raises MotionLLMError, naming `what`, where that fails or they are not
    finite: a configuration and weights that load may still not match, or be damaged; or bitsandbytes may not be able to
    compute with them in this quantisation.
    """
    import torch

    try:
        with torch.inference_mode():
            logits = model(torch.tensor([ids], device=model.device)).logits
            rows = model.get_input_embeddings().weight
            finite = torch.isfinite(logits).all() and torch.isfinite(rows.sum(dtype=torch.float32))
    except Exception as error:  # with a foreign configuration any error can occur
        if quantization:
            raise MotionLLMError(
                f"{what} cannot be computed with in {quantization} ({_first(error)}); leave model.quantization out, or "
                "use a base whose layers have a multiple of 64 inputs"
            ) from error
        raise MotionLLMError(f"{what} is damaged: it cannot compute ({_first(error)}); copy it anew") from error
    if not finite and quantization:
        raise MotionLLMError(f"{what} computes NaN or infinity in {quantization}; leave model.quantization out")
    if not finite:
        raise MotionLLMError(f"{what} is damaged: it computes NaN or infinity; copy it anew")


def load_base_tokenizer(name_or_folder: str | Path = DEFAULT_BASE) -> PreTrainedTokenizerBase:
    """Load only the tokenizer of a base; same errors as `load_base`."""
    tokenizer = load_tokenizer(name_or_folder)
    if not tokenizer.chat_template:
        raise MotionLLMError(
            f"base model {str(name_or_folder)!r} has no chat template: choose the instruct version of the model, "
            "or put a chat_template.jinja into a local folder of it"
        )
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise MotionLLMError(
                f"the tokenizer of base model {str(name_or_folder)!r} has neither an end-of-sequence "
                "nor a pad token: name one in its tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def base_source(name_or_folder: str | Path) -> str:
    """The folder or hub name, with its revision, from which a base is loaded; fetches and converts a built-in base if
    needed.

    Raises MotionLLMError for an unknown built-in, a missing folder, or an adapter in place of a base.
    """
    name = str(name_or_folder)
    if name.startswith("builtin:"):
        return str(builtin_folder(name.removeprefix("builtin:")))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
            raise MotionLLMError(f"{name} is an adapter, not a base model: give it where an adapter is asked for")
        return str(folder)
    if isinstance(name_or_folder, Path) or split(name)[0].count("/") != 1 or name.startswith((".", "~", "/", "\\")):
        raise MotionLLMError(
            f"base model {name!r}: there is no such folder; give a folder, a hub name as owner/model, or {DEFAULT_BASE}"
        )
    return name


def packs(model: Any) -> bool:
    """Whether examples packed into one row do not see each other, given that positions restart with each and there is
    no mask: true of models that derive their mask from the positions, not of OPT, Falcon or BLOOM.

    Two rows that differ in their first example must give the second one equal hidden states, close to those in a row of
    its own. The model must be in evaluation mode.
    """
    import torch

    body = model.get_decoder()
    if not takes_positions(body):
        return False
    ids = torch.arange(1, 6, device=model.device).expand(2, 5).clone()
    ids[1, :2] += 7
    places = torch.tensor([[0, 1, 0, 1, 2]], device=model.device)
    with torch.inference_mode():
        first, other = body(input_ids=ids, position_ids=places.expand(2, 5), use_cache=False).last_hidden_state[:, 2:]
        alone = body(input_ids=ids[:1, 2:], position_ids=places[:, 2:], use_cache=False).last_hidden_state[0]
    size = float(alone.float().abs().max())
    # Rows of equal shape are summed in the same order; a row of another shape is not, hence the tolerance.
    exact, close = (1e-5, 1e-4) if alone.dtype == torch.float32 else (1e-3, 5e-2)
    return float((first - other).abs().max()) <= exact * size and float((first - alone).abs().max()) <= close * size


def takes_positions(body: Any) -> bool:
    """Whether a decoder takes position ids; one with ALiBi, such as BLOOM's, does not."""
    return "position_ids" in inspect.signature(body.forward).parameters


# -- the only readers of model folders: they run no code, open no pickle and read nothing outside the folder --


def load_config(name_or_folder: str | Path) -> Any:
    """Load a model's configuration. Raises MotionLLMError where it is damaged or requires custom code."""
    from transformers import AutoConfig

    source = _checked(name_or_folder)
    with _one_sentence(name_or_folder):
        config = AutoConfig.from_pretrained(**_place(source), trust_remote_code=False)
    return config


def load_tokenizer(name_or_folder: str | Path) -> Any:
    """Load a model's tokenizer. Raises MotionLLMError where it is damaged or requires custom code."""
    from transformers import AutoTokenizer

    source = _checked(name_or_folder)
    with _one_sentence(name_or_folder):
        tokenizer = AutoTokenizer.from_pretrained(**_place(source), trust_remote_code=False)
        len(tokenizer)
    return tokenizer


def load_model(name_or_folder: str | Path, kind: Literal["causal", "encoder"] = "causal", **options: Any) -> Any:
    """Load a model from safetensors only. kind: the Auto class: causal LLM, or the body of any model. options: passed
    on to transformers.

    Raises MotionLLMError where files are damaged or missing, do not fit the configuration, or require custom code.
    """
    from transformers import AutoModel, AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # loading takes a second; its progress bar would fill logs
    source = _checked(name_or_folder)
    if (folder := Path(source)).is_dir():
        _sizes(folder, name_or_folder)
    auto: Any = AutoModelForCausalLM if kind == "causal" else AutoModel
    with _one_sentence(name_or_folder, quantised="quantization_config" in options):
        loaded: Any = auto.from_pretrained(
            **_place(source), trust_remote_code=False, use_safetensors=True, output_loading_info=True, **options
        )
    model, report = loaded
    if missing := sorted(report["missing_keys"]) if kind == "causal" else []:
        # transformers would continue with random weights in their place.
        raise MotionLLMError(
            f"base model {str(name_or_folder)!r} lacks {len(missing)} of its weights ({missing[0]} …): "
            "its files are incomplete, fetch or save them again"
        )
    return model


def outline(name_or_folder: str | Path) -> tuple[Any, Any]:
    """(configuration, model without its weights) of a causal LLM. Raises MotionLLMError as `load_model` does."""
    import torch
    from transformers import AutoModelForCausalLM

    config = load_config(name_or_folder)
    if (folder := Path(base_source(name_or_folder))).is_dir():
        _sizes(folder, name_or_folder)
    with _one_sentence(name_or_folder), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return config, model


def layers(config: Any, count: int) -> Any:
    """A model of that configuration cut to a few decoder layers, with random weights and a tiny vocabulary, to time its
    layers.
    """
    from transformers import AutoModel

    text = copy.deepcopy(config.get_text_config())
    text.num_hidden_layers, text.vocab_size, text.pad_token_id = count, 8, None
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:count]
    return AutoModel.from_config(text, trust_remote_code=False)


def base_fingerprint(name_or_folder: str | Path) -> str | None:
    """A hash that distinguishes a base's weights from others of equal shape; None where no safetensors files are
    found.
    """
    source = base_source(name_or_folder)
    if Path(source).is_dir():
        return fingerprint(Path(source))
    from transformers.utils import cached_file

    repository, revision = split(source)
    with _one_sentence(name_or_folder):
        config = cached_file(
            repository,
            "config.json",
            revision=revision,
            local_files_only=True,
            _raise_exceptions_for_missing_entries=False,
        )
    return fingerprint(Path(config).parent) if config else None


def _place(source: str) -> dict[str, Any]:
    """The arguments of `from_pretrained` that say where a base is."""
    if Path(source).is_dir():
        return {"pretrained_model_name_or_path": source}
    repository, revision = split(source)
    return {"pretrained_model_name_or_path": repository, "revision": revision or "main"}


def _checked(name_or_folder: str | Path) -> str:
    """`base_source`, after the checks of a folder that are possible before transformers reads it."""
    source = base_source(name_or_folder)
    folder = Path(source)
    if not folder.is_dir():
        try:
            hub.check_there(source)  # transformers would ask again and again, for each file
        except MotionLLMError as error:
            raise MotionLLMError(
                f"base model {str(name_or_folder)!r} is no folder here, and cannot be loaded "
                f"({str(error).rstrip('.')}): check the name and the network, or use a local folder or {DEFAULT_BASE}"
            ) from None
        return source
    within(folder)
    if (folder / "adapter_config.json").exists():
        raise MotionLLMError(
            f"{source} is an adapter as well as a model, and which of the two is meant is not clear; "
            "give a folder that holds the model alone"
        )
    if (folder / "config.json").is_file():
        # Neither transformers nor this package writes such values: a name with a slash is code on a model hub.
        for key, value in _entries(read_json(folder / "config.json", "model configuration")):
            if key.strip("_") in ("attn_implementation", "experts_implementation") and "/" in str(value):
                raise MotionLLMError(f"{folder / 'config.json'} asks for code of its own ({key}), which is not run")
    return source


def _entries(tree: Any) -> Iterator[tuple[str, Any]]:
    """All (key, value) pairs in a tree of plain values."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield str(key), value
        yield from _entries(value)


def _sizes(folder: Path, name_or_folder: str | Path) -> None:
    """Raise MotionLLMError where a configuration asks for larger tensors than its folder's weights, before anything is
    allocated.
    """
    stored = of_folder(folder)
    if stored is None:
        return
    config = read_json(folder / "config.json", "model configuration")
    most = {"num_hidden_layers": len(stored), "n_layer": len(stored), "num_layers": len(stored)}
    total = sum(one.count for _, one in stored.values())
    sizes = (
        "hidden_size",
        "intermediate_size",
        "vocab_size",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "n_embd",
        "n_head",
        "n_inner",
    )
    for key, value in _entries(config):
        if key in most or key in sizes:
            if value is None or isinstance(value, list):  # layer by layer
                continue
            if type(value) is not int or not 1 <= value <= most.get(key, total):
                raise MotionLLMError(
                    f"base model {str(name_or_folder)!r} is damaged: its config.json gives {key} as "
                    f"{str(value)[:50]}, which its weights do not bear out; copy it anew"
                )


def _unpacked(model: Any) -> None:
    """Keep the weights of linear layers in NF4 as they are: on some CPUs bitsandbytes packs them at the first pass
    without gradients into a form that has no backward pass, and cannot be trained through.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _bitsandbytes(quantization: str, compute: Any) -> Any:
    from transformers import BitsAndBytesConfig

    if quantization not in ("4bit", "8bit"):
        raise MotionLLMError(f"quantization {quantization!r} of a base model is not known: use '4bit', '8bit' or none")
    if why := lacking("bitsandbytes"):
        raise MotionLLMError(f"quantization {quantization!r} needs bitsandbytes, and {why}; pip install bitsandbytes")
    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


@contextlib.contextmanager
def _one_sentence(name_or_folder: str | Path, quantised: bool = False) -> Iterator[None]:
    """Turn any exception that transformers raises over a model's files into a MotionLLMError of one sentence.
    quantised: bitsandbytes has its part in it, which raises where the files are whole.
    """
    from transformers.utils import logging as theirs

    level = theirs.get_verbosity()
    theirs.set_verbosity_error()  # suppresses tables of mismatches: the error says it in a sentence
    try:
        yield
    except MotionLLMError:
        raise
    except Exception as error:  # foreign files in a foreign library can raise anything
        reason = _first(error)
        if "trust_remote_code" in str(error):
            reason, todo = (
                "it needs code of its own, which is never run",
                "use a base of a kind that transformers knows",
            )
        elif quantised and not isinstance(error, OSError):
            todo = "it is to be quantised; leave model.quantization out to see whether the base itself can be loaded"
        elif Path(name_or_folder).expanduser().is_dir():
            todo = "the folder must hold config.json, the weights as safetensors and the tokenizer of a causal LLM"
            if not isinstance(error, OSError | ValueError):
                reason = f"damaged: {reason}"
        else:
            todo = f"check the name and the network, or use a local folder or {DEFAULT_BASE}"
        raise MotionLLMError(f"base model {str(name_or_folder)!r} cannot be loaded ({reason}): {todo}") from error
    finally:
        theirs.set_verbosity(level)


def _first(error: Exception) -> str:
    """The first line of an exception's message."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
    ends = (":", ",", " or", " and")  # of lines of a list
    first = 1 + next((n for n, line in enumerate(lines) if not line.endswith(ends)), len(lines))
    return " ".join(lines[:first])[:300] if lines else type(error).__name__
