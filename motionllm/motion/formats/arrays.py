"""Reads NumPy files within limits: headers are checked first, only needed arrays are unpacked, nothing is unpickled.

`numpy.load` allocates whatever a header states, and unpacks a member before it can be inspected.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import reading
from motionllm.motion import budget

_MAGIC = b"\x93NUMPY"
_HEADER = 10_000  # bytes of an array's header
_DIRECTORY = 1 << 20  # bytes of an archive's central directory


def read_npy(path: Path) -> np.ndarray:
    """Read the array of a .npy file. Raises MotionFileError where it is not one, is truncated, or holds pickled
    objects.
    """
    with reading(path), open(path, "rb") as stream:
        size = path.stat().st_size
        budget.check_bytes(size)
        if stream.read(2) == b"PK":
            raise MotionLLMError("is a .npz archive; give it that suffix.")
        stream.seek(0)
        return _array(stream, size)


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in a .npz file. Raises MotionFileError where it is not an archive, or a truncated one."""
    return list(_members(path))


def read_npz(path: Path, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Read the arrays named in `keys` that a .npz file has, ignoring all others. Raises MotionFileError where it is not
    an archive, where an array is damaged or holds pickled objects, or where they are too large together.
    """
    members = _members(path)
    content: dict[str, np.ndarray] = {}
    total = 0
    for key in keys:
        if key not in members:
            continue
        info = members[key]
        total += info.file_size
        try:
            budget.check_bytes(total, f"with '{key}' what is needed of it")
            # On damaged bytes zipfile and its decompressors (zlib, bz2, lzma) can raise anything.
            try:
                with zipfile.ZipFile(path) as archive, archive.open(info) as stream:
                    content[key] = _array(stream, info.file_size)
            except (MotionLLMError, MemoryError):
                raise
            except Exception as error:
                raise MotionLLMError(f"is damaged ({_reason(error)}); copy or export the file again.") from None
        except MotionLLMError as error:
            raise MotionFileError(f"{path}: array '{key}' {error}") from None
    return content


def number(value: np.ndarray, key: str) -> float:
    """The single number in an array. Raises MotionLLMError where it holds anything else."""
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise MotionLLMError(f"'{key}' is one number, not {value.dtype} of shape {value.shape}; correct what wrote it.")
    return float(value.reshape(()))


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    with reading(path):
        size = path.stat().st_size
        with open(path, "rb") as stream:
            start = stream.read(len(_MAGIC))
            stream.seek(max(0, size - (1 << 16) - 22))
            end = stream.read()
        if start == _MAGIC:
            raise MotionFileError(f"{path}: is a single NumPy array; give it the suffix .npy.")
        budget.check_bytes(size)
        # zipfile reads the whole central directory at once; the records at the end of the file state its length.
        for record in re.finditer(rb"PK\x05\x06", end):
            if int.from_bytes(end[record.start() + 12 : record.start() + 16], "little") > _DIRECTORY:
                raise MotionFileError(f"{path}: lists more arrays than a motion file has; save joints and fps alone.")
        try:
            with zipfile.ZipFile(path) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except MemoryError:
            raise
        except Exception as error:  # on damaged bytes zipfile can raise anything
            raise MotionFileError(
                f"{path}: is cut short or no NumPy archive ({_reason(error)}); copy or export it again."
            ) from None
        budget.check_bytes(sum(info.file_size for info in members.values()), "unpacked, the file")
        return members


def _reason(error: Exception) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error) or type(error).__name__)[:200]


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    """Read the array in `stream`, which has `size` bytes. The header is parsed with regular expressions, never
    evaluated.
    """
    start = stream.read(8)
    if start[:6] != _MAGIC:
        what = "is empty" if not start else "is no NumPy array"
        raise MotionLLMError(f"{what}, or is cut short; save it with numpy.save or numpy.savez, without pickling.")
    field = 2 if start[6:7] == b"\x01" else 4
    length = int.from_bytes(stream.read(field), "little")
    if len(start) < 8 or start[6] not in (1, 2, 3) or length > _HEADER:
        raise MotionLLMError("has a damaged header; copy or export the file again.")
    header = stream.read(length)
    if len(header) < length:
        raise MotionLLMError("is cut short inside its header; copy or export the file again.")
    text = header.decode("latin-1")
    kind = re.search(r"""['"]descr['"] *: *(\[|['"]([<>|=]?[A-Za-z]\d{0,6})['"])""", text)
    order = re.search(r"""['"]fortran_order['"] *: *(True|False)""", text)
    extent = re.search(r"""['"]shape['"] *: *\( *((?:\d{1,18}L? *(?:, *\d{1,18}L? *){0,7},? *)?)\)""", text)
    if kind and (not kind[2] or kind[2].strip("<>|=")[0] not in "fiubcSU"):
        if "O" in (kind[2] or text):
            raise MotionLLMError("holds pickled Python objects, which are not read; save a plain float array.")
        raise MotionLLMError(f"holds {(kind[2] or 'records')!r} values; save a plain float array.")
    try:
        if kind is None or order is None or extent is None:
            raise TypeError
        dtype = np.dtype(kind[2])
    except TypeError:
        raise MotionLLMError("has a damaged header; copy or export the file again.") from None
    shape = tuple(int(part.strip(" L")) for part in extent[1].split(",") if part.strip())
    needed, there = math.prod(shape) * dtype.itemsize, size - 8 - field - length
    budget.check_bytes(needed, f"the array {_short(shape)}")
    if needed != there:
        what = "is cut short" if there < needed else "has bytes left over"
        raise MotionLLMError(
            f"{what}: its header says {_short(shape)} of {dtype}, {needed:,} bytes, and {max(there, 0):,} are there; "
            "copy or export the file again."
        )
    if not needed:
        raise MotionLLMError(f"holds no values: its shape is {_short(shape)}; export the take again.")
    content = stream.read(needed)
    if len(content) < needed:
        raise MotionLLMError("is cut short; copy or export the file again.")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if order[1] == "True" else "C")


def _short(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
