"""Weights on disk: safetensors files are checked by their headers before any tensor is read.

A header states names, types and shapes. It is checked against the file's size, so that a damaged or hostile file is
refused with one sentence and never allocates more memory than its size. Links and index files that lead out of a
model's or adapter's folder are refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import read_json

LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library too
SAMPLES, EACH = 8, 128  # a fingerprint reads this many pieces per tensor, of this many values each
_BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
}


@dataclass(frozen=True)
class Stored:
    """One tensor of a file: its type as safetensors names it, its shape, and its byte range (from, to)."""

    dtype: str
    shape: tuple[int, ...]
    place: tuple[int, int]

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def header(path: Path) -> dict[str, Stored]:
    """The entries of a safetensors header by tensor name, without reading the tensors.

    Raises MotionFileError where the file is missing, a Git LFS pointer, truncated, or not a safetensors file.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            if start.startswith(b"version "):
                raise MotionFileError(
                    f"{path} is a Git LFS pointer in the place of the weights; run `git lfs pull`, or copy them anew."
                )
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if not 2 <= length <= min(size - 8, LARGEST_HEADER):
                raise MotionFileError(f"{path} is damaged: it is no whole safetensors file; copy it anew.")
            text = file.read(length)
    except OSError as error:
        raise MotionFileError(f"{path}: cannot be read ({error.strerror}).") from None
    tensors = {}
    try:
        for name, entry in json.loads(text).items():
            if name != "__metadata__":
                shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
                whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
                one = Stored(entry["dtype"], shape, (8 + length + begin, 8 + length + end))
                known = _BYTES.get(one.dtype)  # sub-byte types are left to the library
                if not whole or end < begin or (known and end - begin != one.count * known):
                    raise ValueError(f"{name} is of {entry['dtype']} {list(shape)} in {end - begin} bytes")
                if one.place[1] > size:
                    raise ValueError("it is cut short")
                tensors[name] = one
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = str(error)[:100] if isinstance(error, ValueError) and "JSON" not in type(error).__name__ else "header"
        raise MotionFileError(f"{path} is damaged ({reason}); copy it anew.") from None
    return tensors


def read(path: Path, finite: bool = True) -> dict[str, Any]:
    """The tensors of a safetensors file, on the CPU.

    Raises MotionFileError as `header` does, and, with `finite`, where one of them holds NaN or infinity.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:  # what the checks of the header above leave to the library
        raise MotionFileError(f"{path} is damaged ({_first(error)}); copy it anew.") from None
    for name, tensor in tensors.items() if finite else ():
        # A float32 sum of trained weights never overflows, and checking every value takes several times as long.
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum(dtype=torch.float32)):
            raise MotionFileError(
                f"{path} is damaged: {name[:200]} holds NaN or infinity; copy it anew, or train anew."
            )
    return tensors


def of_folder(folder: Path) -> dict[str, tuple[Path, Stored]] | None:
    """Tensors of a model folder by name, each with its file; None where the folder has no safetensors files.

    Raises MotionFileError for damaged files, and for an index that names files outside the folder.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        files = [single]
    elif index.is_file():
        listed = read_json(index, "index of weights").get("weight_map")
        if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
            raise MotionFileError(f"{index} is damaged: it has no `weight_map` of names; copy the model anew.")
        for name in set(listed.values()):
            if not re.fullmatch(r"[\w.-]+\.safetensors", name):
                raise MotionFileError(f"{index} names {name[:100]!r}, which is no file of its folder; it is not read.")
        files = [folder / name for name in sorted(set(listed.values()))]
    else:
        return None
    return {name: (file, stored) for file in files for name, stored in header(file).items()}


def within(folder: Path) -> None:
    """Raise MotionLLMError where a model or adapter folder holds a link that leads out of it.

    Links from a hub cache's snapshot into the repository's own `blobs` are allowed.
    """
    home = folder.resolve()
    snapshot = next((p for p in (home, home.parent) if p.parent.name == "snapshots"), None)  # or a folder within one
    repository = snapshot.parent.parent if snapshot else home
    try:
        entries = list(_files(folder)) if folder.is_dir() else []
    except OSError as error:
        raise MotionFileError(f"{folder}: cannot be read ({error.strerror}).") from None
    for path in entries:
        if path.is_symlink():
            try:
                target = path.resolve(strict=True)
            except (OSError, RuntimeError):  # dangling, or a cycle
                raise MotionLLMError(f"{path} is a link that leads nowhere; copy the folder with its files.") from None
            if not target.is_relative_to(repository):
                raise MotionLLMError(
                    f"{path} is a link to {target}, outside its folder, and is not read; copy the file there."
                )


def _files(folder: Path) -> Iterable[Path]:
    """Entries of a folder and of its direct sub-folders: models and adapters nest no deeper."""
    for path in folder.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from path.iterdir()


def fingerprint(folder: Path) -> str | None:
    """16 hex digits that identify a model's weights; None where the folder has no safetensors files.

    Hashes each tensor's name, shape and a few pieces as bfloat16, so that copies in another precision or sharding count
    as the same model. An output matrix tied to the input matrix is left out, since only some copies store it.
    """
    import torch

    types = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    stored = of_folder(folder)
    if stored is None:
        return None
    lines = []
    streams = {file: open(file, "rb") for file, _ in stored.values()}  # noqa: SIM115 - closed below
    try:
        for name, (file, one) in stored.items():
            if name.endswith("lm_head.weight"):
                continue
            width = _BYTES.get(one.dtype, 1)
            count = min(one.count, EACH)
            digest = hashlib.sha256(f"{name} {list(one.shape)}".encode())
            for piece in range(SAMPLES if one.count > count else 1):
                first = piece * (one.count - count) // max(1, SAMPLES - 1)
                streams[file].seek(one.place[0] + first * width)
                content = streams[file].read(count * width)
                if one.dtype in types and content:
                    values = torch.frombuffer(bytearray(content), dtype=types[one.dtype]).to(torch.bfloat16)
                    content = values.view(torch.int16).numpy().tobytes()
                digest.update(content)
            lines.append(digest.digest())
    finally:
        for stream in streams.values():
            stream.close()
    return hashlib.sha256(b"".join(sorted(lines))).hexdigest()[:16]


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
