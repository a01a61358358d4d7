"""The one exception a user sees: what is wrong, where, and what to do about it.

Everything that can go wrong because of the user's input raises `MotionLLMError` (or
a subclass) with one sentence; the command line prints that sentence without a
traceback and exits with status 2. Any other exception is a defect of ours (status 1).
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class MotionLLMError(Exception):
    """Bad input: the message names what is wrong, where, and what to do."""


class MotionFileError(MotionLLMError):
    """A motion file that is missing, truncated or not what its suffix says."""


class WriteError(MotionFileError):
    """A file that cannot be written: the disk is full, or the place is not ours to write to."""

    def __str__(self) -> str:
        return str(self.args[0])


class RecipeError(MotionLLMError):
    """A recipe with an unknown key, a wrong type, or settings that contradict."""


class GoneError(MotionLLMError):
    """What was to answer no longer does: a fault of no request, and of all that follow."""


@contextmanager
def about(path: Path | str) -> Iterator[None]:
    """Errors inside name the file they are about, or its line."""
    try:
        yield
    except MotionLLMError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from None


def each(call: Callable[..., Sequence[T]], *columns: Sequence[Any]) -> list[T | MotionLLMError]:
    """call(*columns), one result per row. A batch that is refused is done row by row: one that fails gives its error,
    and takes no other with it. Raises GoneError where nobody answers any more.
    """
    try:
        return list(call(*columns))
    except GoneError:
        raise
    except MotionLLMError as error:
        if len(columns[0]) == 1:
            return [error]
        return [each(call, *([value] for value in row))[0] for row in zip(*columns, strict=True)]


def lacking(package: str) -> str | None:
    """Why a package cannot be used: it is not installed, or is and cannot be imported; None where it can be."""
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    try:
        importlib.import_module(package)
    except Exception as error:  # a library that it needs in turn raises what it likes
        reason = (str(error).strip().splitlines() or [""])[0].rstrip(".")[:200] or type(error).__name__
        return f"{package} is installed and cannot be imported ({reason}): install it anew"
    return None


def check_text(text: str, what: str) -> None:
    """Raise MotionLLMError where a text, as a terminal or a pipe gave it, is not made of characters."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MotionLLMError(f"{what} is not UTF-8 text; write it in that encoding.")


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """ "no judge is called 'fact'; did you mean 'facts'?", or all there are where none is near."""
    shown = str(name) if len(str(name)) <= 100 else f"{str(name)[:97]}..."
    return f"no {what} is called {shown!r}; {hint(name, known)}"


def hint(name: object, known: Iterable[str]) -> str:
    """ "did you mean 'facts'?" for a name that is not among the known ones, or all of these where none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name)[:100], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {listed(known)}" if known else "there are none"


def listed(names: Sequence[str], most: int = 60) -> str:
    """Names for a message: some of a crowd's, and nothing in them that a terminal would obey."""
    shown = ", ".join(name[:40] for name in names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "".join(c if c.isprintable() else "?" for c in shown) + more
