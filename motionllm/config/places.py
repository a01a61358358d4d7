"""Whole paths in recipes: what a recipe names here is found again from any other working directory."""

from __future__ import annotations

import os
import re
import typing
from pathlib import Path
from typing import Any, TypeVar

from motionllm.config.base import Section, Where

S = TypeVar("S", bound=Section)

STANDARD = "standard:"  # before the folder of the field's own evaluator
_CHECK = typing.get_args(Where)[1]


def placed(recipe: S) -> S:
    """The recipe with the whole path of each folder and file that it names and that is here; names of what ships or is
    on the hub stay. A saved recipe then goes on from wherever it is read.
    """
    recipe = recipe.model_copy(deep=True)
    _place(recipe)
    return recipe


def place(name: str, key: str = "path") -> str:
    """The whole path of a folder or file that is here; any other name as it is. key: of the recipe, as a folder called
    `default` is no file of templates, and a file of that name no adapter. Of a motion tokenizer, the residual levels
    behind its name stay.
    """
    kind, name = (STANDARD, name.removeprefix(STANDARD)) if name.startswith(STANDARD) else ("", name)
    levels = match[0] if key in ("tokenizer", "start") and (match := re.search(r":\d{1,2}$", name)) else ""
    for end in dict.fromkeys(("", levels)):  # a folder may be called so
        try:
            given = Path(name.removesuffix(end)).expanduser()
            if _is_there(given, key):
                return f"{kind}{os.path.abspath(given)}{end}"
        except (OSError, RuntimeError, ValueError):  # too long, ~ of an unknown user: refused where it is looked for
            break
    return f"{kind}{name}"


def _is_there(path: Path, key: str) -> bool:
    if key == "path":
        return path.exists()
    if key == "templates":
        return path.is_file()
    return path.is_dir() or (path.suffix in (".yaml", ".yml") and path.is_file())


def _place(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _place(item)
    elif isinstance(value, dict):
        _place([*value.values()])
    elif isinstance(value, Section):
        for key, field in type(value).model_fields.items():
            given = getattr(value, key)
            if isinstance(given, str) and _names_a_place(field.annotation, field.metadata):
                setattr(value, key, place(given, key))
            else:
                _place(given)


def _names_a_place(annotation: Any, metadata: Any = ()) -> bool:
    """Whether a key's type is `Where`."""
    inner = typing.get_args(annotation)
    own = getattr(annotation, "__metadata__", ())
    return any(isinstance(one, type(_CHECK)) and one.func is _CHECK.func for one in (*metadata, *own)) or any(
        _names_a_place(one) for one in inner if one is not annotation
    )
