"""MotionTokenizer: network, quantizer and normalisation in one folder with a content hash."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from motionllm import arguments, shipped, weights
from motionllm.config import Network, drop_unknown
from motionllm.errors import MotionLLMError
from motionllm.files import Kind, check_format, read_json, whole_folder, write_json
from motionllm.motion import Motion
from motionllm.motion.representation import REPRESENTATIONS, Representation, named, of_width
from motionllm.motion.skeleton import Skeleton
from motionllm.tokenizer.decoders import SETTINGS
from motionllm.tokenizer.network import MotionAutoencoder
from motionllm.tokenizer.quantizers import QUANTIZERS
from motionllm.tokenizer.search import Search
from motionllm.tokenizer.streaming import Stream

log = logging.getLogger(__name__)

FORMAT = 1  # version of a tokenizer's folder
KIND = Kind("motion tokenizer", "config.json", ("network", "shipped"), ("config.json", "model.safetensors"))


def _alone() -> torch.autocast:
    """Keeps this network's own number types, also within the autocast of a language model that is being trained."""
    return torch.autocast("cpu", enabled=False)


class MotionTokenizer:
    """Motion ↔ codes.

    config: the network's settings. mean, std: (dim,) of the training features; they are stored with the weights, so
    that codes never depend on other files. representation: of the features; None takes the one with as many dimensions
    as the mean.
    """

    def __init__(
        self,
        config: Network,
        mean: np.ndarray,
        std: np.ndarray,
        network: MotionAutoencoder | None = None,
        representation: Representation | None = None,
    ) -> None:
        self.config = config
        self.mean = np.asarray(mean, np.float32)
        self.std = np.asarray(std, np.float32)
        self.representation = representation or of_width(len(self.mean))
        self.network = (network or MotionAutoencoder(self.representation, config)).eval()

    @property
    def skeleton(self) -> Skeleton:
        return self.representation.skeleton

    @property
    def fps(self) -> float:
        """Frames per second of the motion that is encoded and decoded."""
        return self.representation.fps

    @property
    def size(self) -> int:
        """Number of codes over all parts; each part has its own sub-vocabulary."""
        return self.config.codes * self.parts

    @property
    def parts(self) -> int:
        """Codes per step: halves of the body × groups × residual levels. Code c belongs to part c // (size / parts)."""
        return self.network.parts

    @property
    def codebook(self) -> torch.Tensor:
        """(size, code_dim) the quantizers' vectors."""
        return self.network.codebook

    @property
    def frames_per_step(self) -> int:
        return self.config.down

    @property
    def steps_per_second(self) -> float:
        return self.fps / self.config.down

    def steps(self, seconds: float) -> int:
        """Whole steps within this many seconds, rounded to frames."""
        return round(seconds * self.fps) // self.config.down

    @property
    def codes_per_second(self) -> float:
        return self.steps_per_second * self.parts

    @property
    def hash(self) -> str:
        """16 hex digits of the SHA-256 of configuration, normalisation and weights."""
        return self._digest(self.config, self._tensors())

    @property
    def codes_hash(self) -> str:
        """Like `hash` without the decoder: tokenizers with equal values give the same codes for the same motion."""
        own = {name: tensor for name, tensor in self._tensors().items() if not name.startswith("decoder.")}
        return self._digest(self.config.model_copy(update=SETTINGS), own)

    @staticmethod
    def _digest(config: Network, tensors: dict[str, torch.Tensor]) -> str:
        # Settings at their defaults are left out, so that a new setting changes no hash.
        digest = hashlib.sha256(config.model_dump_json(exclude_defaults=True).encode())
        for name, tensor in sorted(tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def features(self, motion: Motion | np.ndarray) -> np.ndarray:
        """Features (T, dim) of a Motion, of joints (T, J, 3) in metres at `fps`, or of features in any representation
        of the skeleton.

        Raises MotionLLMError for another skeleton, too short a clip, NaN or infinity, and a path.
        """
        if isinstance(motion, Motion):
            return self.representation.encode(motion)
        if isinstance(motion, str | os.PathLike):
            raise MotionLLMError(f"A motion is wanted, not the path of one; give Motion.load({os.fspath(motion)!r}).")
        array = arguments.array(motion, "The motion")
        if array.ndim == 3:
            return self.representation.encode(array)
        if array.ndim == 2 and array.shape[1] in (other.dim for other in REPRESENTATIONS.values()):
            array = self.representation.read(array)
        else:
            raise MotionLLMError(
                f"Features have shape {array.shape}, but this motion tokenizer reads (frames, {len(self.mean)})."
            )
        if not np.isfinite(array).all():
            raise MotionLLMError("Features contain NaN or infinity; repair or cut the clip.")
        return array.astype(np.float32)

    @torch.inference_mode()
    def encode(self, motion: Motion | np.ndarray, search: int = 0) -> np.ndarray:
        """Codes (n,) int64 of a Motion, joints (T, J, 3) or features (T, dim); the last T mod down frames are dropped.

        n is a multiple of `parts`: the codes of a step are adjacent. Each is the nearest to the encoder's output; with
        `search`, these are the start for at most that many sweeps that look for codes which decode nearer to the clip:
        a fifth to a quarter less error, in a few hundred times the time (see `Search`). Raises MotionLLMError where the
        clip is shorter than one step or unusable (see `features`).
        """
        features = self.features(motion)
        usable = len(features) // self.config.down * self.config.down
        if not usable:
            raise MotionLLMError(
                f"The clip has {len(features)} feature frame(s); one step of motion needs {self.config.down}."
            )
        x = torch.from_numpy((features[:usable] - self.mean) / self.std)
        with _alone():
            codes = self.network.encode(x[None])
        if search:
            tensors = torch.from_numpy(self.mean), torch.from_numpy(self.std)
            codes = Search(self.network, self.representation, x[None], *tensors)(codes, search)
        return codes[0].numpy()

    @torch.inference_mode()
    def decode_features(self, codes: Sequence[int] | np.ndarray, seed: int = 0, first: int = 0) -> np.ndarray:
        """Codes (n,) → features (n / parts · down, dim), un-normalised. seed, first: for stochastic decoders; see
        `decoders.Decoder`.

        Raises MotionLLMError for codes out of range, or not in the order of the parts.
        """
        with _alone():
            x = self.network.decode(torch.from_numpy(self.check(codes))[None], seed, first)[0].numpy()
        return x * self.std + self.mean

    def check(self, codes: Sequence[int] | np.ndarray, whole: bool = True) -> np.ndarray:
        """Codes (n,) as int64. whole: the last step must be complete. Raises MotionLLMError: see `decode_features`."""
        codes = arguments.array(codes, "Codes")
        if codes.size and codes.dtype.kind not in "iu":
            raise MotionLLMError(
                f"Codes are whole numbers, not {codes.dtype}; give those that a motion tokenizer wrote."
            )
        codes = codes.astype(np.int64)
        if codes.ndim != 1 or not len(codes):
            raise MotionLLMError(f"Codes have shape {codes.shape}; a clip is a sequence (n,) of at least one code.")
        if codes.min() < 0 or codes.max() >= self.size:
            raise MotionLLMError(
                f"Codes run from {codes.min()} to {codes.max()}, but this motion tokenizer has 0 to {self.size - 1}; "
                "they were made by another tokenizer."
            )
        order = codes // self.config.codes == np.arange(len(codes)) % self.parts
        if (whole and len(codes) % self.parts) or not order.all():
            raise MotionLLMError(f"Codes must come in steps of {self.parts}, one of each part, in order.")
        return codes

    def decode(self, codes: Sequence[int] | np.ndarray, seed: int = 0) -> Motion:
        """Codes (n,) → Motion of n / parts · down frames. seed: for stochastic decoders; codes and seed determine the
        motion. Raises what `decode_features` raises.
        """
        return self.representation.motion(self.decode_features(codes, seed))

    @property
    def behind(self) -> int:
        """Number of preceding steps that the frames of a step depend on."""
        return self.network.decoder.behind

    @property
    def ahead(self) -> int:
        """Number of following steps that the frames of a step depend on; 0 where frames can be shown with their codes
        (`causal`).
        """
        return self.network.decoder.ahead

    def stream(self, seed: int = 0) -> Stream:
        """A stream that takes codes as they arrive and returns joints as soon as they are final: together what `decode`
        gives.
        """
        return Stream(self, seed)

    def coarse(self, levels: int) -> MotionTokenizer:
        """The tokenizer of the first residual levels of nested codes. Its codes are these levels' codes here, numbered
        anew; it shares no weights. Raises MotionLLMError where the codes are not nested, or have no more levels.
        """
        if levels == self.config.levels:
            return self
        if not self.config.nested or not 1 <= levels < self.config.levels:
            has = f"{self.config.levels} nested levels" if self.config.nested else "no nested levels"
            raise MotionLLMError(f"The first {levels} levels were asked of a motion tokenizer that has {has}.")
        config = self.config.model_copy(update={"levels": levels, "nested": levels > 1})
        tokenizer = MotionTokenizer(config, self.mean, self.std, representation=self.representation)
        kept = {}
        for name, tensor in self.network.state_dict().items():
            if match := re.fullmatch(r"(quantizers\.\d+)\.layers\.(\d+)\.(.+)", name):
                if int(match[2]) >= levels:
                    continue
                name = name if levels > 1 else f"{match[1]}.{match[3]}"
            kept[name] = tensor
        tokenizer.network.load_state_dict(kept)
        return tokenizer

    def save(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors` (half precision: see `round`). Replaces an older folder in one
        step; raises MotionFileError where another model is there.
        """
        with whole_folder(folder, keep=True, replaces=KIND) as beside:
            save_file(self._tensors(), beside / "model.safetensors")
            config = {
                "format": FORMAT,
                "network": self.config.model_dump(),
                "representation": self.representation.name,
                "dim": len(self.mean),
                "hash": self.hash,
            }
            write_json(beside / "config.json", config)

    @classmethod
    def load(cls, name: str | Path) -> MotionTokenizer:
        """Load a folder, or a shipped tokenizer by name ("default"); with ":1" behind it, the first level of its nested
        codes (`coarse`). A folder whose config.json says `{"shipped": NAME, "hash": HASH}` stands for the shipped one,
        so that its weights are on disk once.

        Raises MotionLLMError where the folder is no tokenizer, is damaged, was altered, has a newer version, or has not
        these levels.
        """
        whole, levels = shipped.levels(shipped.called("tokenizer", name))
        if levels is not None:
            return cls.load(whole).coarse(levels)
        folder = shipped.find("tokenizer", str(name))
        weights.within(folder)
        config = _config(folder)
        if (other := config.get("shipped")) is not None:
            stem, first = shipped.levels(other) if isinstance(other, str) else ("", None)
            if stem not in shipped.names("tokenizer") or stem.endswith(".yaml"):
                raise MotionLLMError(
                    f"{folder} stands for the shipped motion tokenizer {str(other)[:100]!r}, and there is none of that "
                    "name; put the tokenizer's own files there."
                )
            place = shipped.root() / "tokenizer" / stem
            if config.get("hash") != _config(place).get("hash"):
                raise MotionLLMError(
                    f"{folder} stands for the shipped motion tokenizer {other} of hash {str(config.get('hash'))[:50]}, "
                    "and the one shipped with this version is another; put the tokenizer's own files there."
                )
            stood = cls.load(place)
            return stood if first is None else stood.coarse(first)
        tokenizer = cls._read(folder, config)
        if tokenizer.hash != config.get("hash"):
            raise MotionLLMError(f"The weights in {folder} do not match their hash; copy or train the tokenizer anew.")
        return tokenizer

    @classmethod
    def _read(cls, folder: Path, config: dict[str, Any]) -> MotionTokenizer:
        network = _network(folder, config)
        file = folder / "model.safetensors"
        if not file.is_file():
            raise MotionLLMError(f"{folder} is no motion tokenizer: {file.name} is missing.")
        shapes = {name: stored.shape for name, stored in weights.header(file).items()}
        try:
            mean = shapes.get("mean", ())
            if len(mean) != 1 or mean != shapes.get("std"):
                raise MotionLLMError("it has no normalisation")
            name = config.get("representation")  # older folders have no name: it follows from the width
            representation = of_width(mean[0]) if name is None else named(name)
            if representation.dim != mean[0]:
                raise MotionLLMError(f"its weights are {mean[0]} wide, and {name} has {representation.dim} numbers")
            _check_sizes(network, shapes)
            tensors = weights.read(file)
            if not (tensors["std"] > 0).all():
                raise MotionLLMError("its normalisation divides by 0")
            model = MotionAutoencoder(representation, network)
            model.load_state_dict(
                {
                    key: value.float() if value.is_floating_point() else value
                    for key, value in tensors.items()
                    if key not in ("mean", "std")
                }
            )
            return cls(network, tensors["mean"].numpy(), tensors["std"].numpy(), model, representation)
        except Exception as error:  # torch can raise anything for settings and weights of other origin
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise MotionLLMError(f"The motion tokenizer in {folder} is damaged ({first}); train it anew.") from None

    def round(self) -> None:
        """Round the convolutions to half precision, in which they are stored, so that the measured model is the shipped
        one.
        """
        for module in (self.network.encoders, self.network.decoder):
            module.to(torch.float16).to(torch.float32)

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, Any] = {"mean": torch.from_numpy(self.mean), "std": torch.from_numpy(self.std)}
        for name, value in self.network.state_dict().items():
            half = name.startswith(("encoders.", "decoder."))
            tensors[name] = value.detach().to(torch.float16 if half else value.dtype).contiguous()
        return tensors


def _config(folder: Path) -> dict[str, Any]:
    """A tokenizer's config.json. Raises MotionLLMError where it is missing, damaged, or of a newer version."""
    path = folder / "config.json"
    if not path.is_file():
        raise MotionLLMError(f"{folder} is no motion tokenizer, but {shipped.kind_of(folder)}: {path.name} is missing.")
    try:
        config = read_json(path, "configuration")
    except MotionLLMError as error:
        raise MotionLLMError(f"The motion tokenizer in {folder} is damaged ({error}); train it anew.") from None
    if "network" not in config and "shipped" not in config:
        raise MotionLLMError(
            f"{folder} is no motion tokenizer, but {shipped.kind_of(folder)}; give the folder that "
            "`motionllm tokenizer train` wrote."
        )
    check_format(config.get("format"), FORMAT, path)
    return config


def _network(folder: Path, config: dict[str, Any]) -> Network:
    """The network's settings; unknown keys, of another version, are skipped with a warning."""
    tree = config.get("network")
    if isinstance(tree, dict) and (passed := drop_unknown(tree, Network)):
        log.warning("%s: keys of another version are passed over: %s", folder / "config.json", ", ".join(passed)[:200])
    try:
        return Network.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["network", *map(str, first["loc"])])
        raise MotionLLMError(
            f"The motion tokenizer in {folder} is damaged ({where}: {first['msg'][:200]}); train it anew."
        ) from None


def _check_sizes(network: Network, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise MotionLLMError where the settings ask for more than the weights hold, before memory is allocated."""
    # Compare with the first encoder, because there may be other decoders.
    blocks = sum(name.startswith("encoders.0.") and name.endswith(".mix.weight") for name in shapes)
    code_dim, width = shapes.get(f"encoders.0.{blocks + 1}.weight", (0, 0))
    stored = {"width": width, "code_dim": code_dim, "blocks": blocks}
    for key, value in stored.items():
        if getattr(network, key) != value:
            raise MotionLLMError(f"network.{key} is {str(getattr(network, key))[:50]}, and its weights give {value}")
    total = sum(math.prod(shape) for shape in shapes.values())
    most = {"codes": total if QUANTIZERS[network.quantizer].codebook else 1 << 16, "groups": 64, "levels": 64}
    for key, value in most.items():
        if getattr(network, key) > value:
            raise MotionLLMError(f"network.{key} is {str(getattr(network, key))[:50]}, which its weights do not hold")
