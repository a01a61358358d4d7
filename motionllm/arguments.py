"""Arguments of the Python API: what a caller gave as a number, a path, a text or an array, or one sentence that says
what was given in its place.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionllm.errors import MotionLLMError, check_text

if TYPE_CHECKING:
    import numpy as np


def shown(value: object) -> str:
    """A value for a message: short, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def whole_number(value: Any, what: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number of Python's or NumPy's. Raises MotionLLMError for anything else, and out of bounds."""
    try:
        if _truth(value):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise MotionLLMError(f"{what} is {shown(value)}; give a whole number{_within(least, most)}.") from None
    return _bounded(number, what, least, most, "a whole number")


def number(value: Any, what: str, least: float | None = None, most: float | None = None) -> float:
    """A finite number of Python's or NumPy's. Raises MotionLLMError for anything else, and out of bounds."""
    try:
        if _truth(value) or isinstance(value, str | bytes):
            raise TypeError
        given = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last of tensors
        given = math.nan
    if not math.isfinite(given):
        raise MotionLLMError(f"{what} is {shown(value)}; give a number{_within(least, most)}.")
    return _bounded(given, what, least, most, "a number")


def path(value: Any, what: str) -> Path:
    """A path, or text that is one. Raises MotionLLMError for anything else."""
    if not isinstance(value, str | os.PathLike) or isinstance(given := os.fspath(value), bytes) or "\0" in given:
        raise MotionLLMError(f"{what} is {shown(value)}; give the path as text or a Path.")
    return Path(given)


def text(value: Any, what: str) -> str:
    """Text of characters. Raises MotionLLMError for anything else, and for halves of characters (surrogates)."""
    if not isinstance(value, str):
        raise MotionLLMError(f"{what} is {shown(value)}; give text.")
    check_text(value, what)
    return value


def texts(value: Any, what: str) -> list[str]:
    """A list of texts, from any iterable. Raises MotionLLMError for one text, whose letters would be taken for texts,
    and where one of them is none.
    """
    return [text(one, f"{what}[{n}]") for n, one in enumerate(items(value, what))]


def items(value: Any, what: str, count: int | None = None, of: str = "") -> list[Any]:
    """The items of any iterable but a text. count: how many there must be, one for each `of`. Raises MotionLLMError
    where it is none.
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        given = list(value)
    except TypeError:
        raise MotionLLMError(f"{what} is {shown(value)}; give a list, one for each.") from None
    if count is not None and len(given) != count:
        needed = "1 is" if count == 1 else f"{count} are"
        raise MotionLLMError(f"{what} has {len(given)}, where {needed} needed: one for each{of and ' '}{of}.")
    return given


def motions(value: Any, what: str, count: int | None = None, of: str = "") -> list[Any]:
    """The motions of a list, as `items`. Raises MotionLLMError for a single one, whose frames would be taken for
    motions.
    """
    shape: Any = getattr(value, "shape", ())
    alone = hasattr(value, "joints") or len(shape) == 2 or (len(shape) == 3 and shape[-1] == 3)
    if alone or isinstance(value, os.PathLike):
        raise MotionLLMError(f"{what} is a single motion; give a list of them, also of one, as [motion].")
    return items(value, what, count, of)


def truth(value: Any, what: str) -> bool:
    """True or False, also NumPy's. Raises MotionLLMError for anything else."""
    if not _truth(value):
        raise MotionLLMError(f"{what} is {shown(value)}; give True or False.")
    return bool(value)


def seed(value: Any, rows: int | None = None) -> int | list[int] | None:
    """A seed: a whole number from 0 on, or None. rows: for a call that makes so many, which may have a seed each."""
    if value is None:
        return None
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", None) != 0
    if rows is None or not several:
        return whole_number(value, "seed", 0)
    return [whole_number(one, f"seed[{n}]", 0) for n, one in enumerate(items(value, "seed", rows, "text"))]


def scores(value: Any, what: str, count: int) -> list[float]:
    """So many numbers, also infinite ones. Raises MotionLLMError for anything else, also NaN, which ranks nothing."""
    given = []
    for n, one in enumerate(items(value, what, count)):
        try:
            given.append(math.nan if isinstance(one, str | bytes) else float(one))
        except (TypeError, ValueError, RuntimeError):
            given.append(math.nan)
        if math.isnan(given[-1]):
            raise MotionLLMError(f"{what}: number {n} is {shown(one)}; give a number for each motion.")
    return given


def array(value: Any, what: str) -> np.ndarray:
    """Numbers as a NumPy array: also a tensor's, of any type and on any device. Raises MotionLLMError for anything
    else.
    """
    import numpy as np  # not for `motionllm --help`

    try:
        if hasattr(value, "detach"):  # a tensor: NumPy has no bfloat16, and takes none that is on a device or trained
            value = value.detach().cpu()
            value = value.float() if value.is_floating_point() else value
        given = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # rows of different lengths
        raise MotionLLMError(f"{what}: {shown(value)} is no array; give one of numbers.") from None
    if given.dtype.kind not in "iuf":
        raise MotionLLMError(f"{what}: an array of {given.dtype} is given; give one of numbers.")
    return given


def _truth(value: Any) -> bool:
    """Whether it is True or False, NumPy's too, which count as numbers."""
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _bounded(value: Any, what: str, least: float | None, most: float | None, kind: str) -> Any:
    if (least is not None and value < least) or (most is not None and value > most):
        raise MotionLLMError(f"{what} is {shown(value)}; give {kind}{_within(least, most)}.")
    return value


def _within(least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f" of at most {most:g}"
    return f" of at least {least:g}" if most is None else f" from {least:g} to {most:g}"
