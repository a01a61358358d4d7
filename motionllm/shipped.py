"""Finds what ships beside the code: recipes, tokenizers, evaluation suites and the trained adapter.

The files lie in the folders recipes/, tokenizer/ and eval/ of the repository; a wheel carries
the same folders as motionllm/_shipped/. A name is looked for in that order: as a path the
user gave, in the wheel, in the clone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from motionllm.errors import MotionLLMError, hint

Kind = Literal["recipes", "tokenizer", "eval", "adapter", "templates", "embedders"]

_FOLDER: dict[Kind, str] = {
    "recipes": "recipes",
    "tokenizer": "tokenizer",
    "eval": "eval",
    "adapter": "recipes/adapters",  # beside the recipes they were trained with
    "templates": "recipes/templates",
    "embedders": "eval/embedders",
}
_CALLED: dict[Kind, str] = {
    "recipes": "recipe",
    "tokenizer": "motion tokenizer",
    "eval": "evaluation suite",
    "adapter": "adapter",
    "templates": "file of task templates",
    "embedders": "recipe of an embedder",
}


def find(kind: Kind, name: str | Path) -> Path:
    """The file or folder called `name`: a path, else a shipped one ("demo", "demo.yaml" and "recipes/demo.yaml" alike).

    Recipes and suites are files, with or without their suffix, adapters folders. A tokenizer's name is its
    folder of weights; with .yaml ("default.yaml") it is the recipe that made it.
    Raises MotionLLMError, naming what there is, where nothing is called so.
    """
    shown = name if len(name := str(name)) <= 200 else f"{name[:197]}..."
    if "\0" in name or any(len(part.encode("utf-8", "replace")) > 255 for part in name.split("/")):
        raise MotionLLMError(f"no {_CALLED[kind]} can be called {shown!r}: give a path or the name of a shipped one.")
    try:
        given = Path(name).expanduser()
        if _fits(kind, given):
            return given
    except (OSError, RuntimeError) as error:  # a path of 5,000 bytes, a link to itself, the home of nobody
        raise MotionLLMError(f"{shown}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    inside = given.relative_to(_FOLDER[kind]) if given.is_relative_to(_FOLDER[kind]) else given
    if not inside.is_absolute() and ".." not in inside.parts and inside.parts:
        endings = ("", ".yaml") if kind not in ("tokenizer", "adapter") else ("",)
        for shipped in (root() / _FOLDER[kind] / f"{inside}{ending}" for ending in endings):
            if _fits(kind, shipped):
                return shipped
    near = hint(inside.name.removesuffix(".yaml"), names(kind))
    raise MotionLLMError(f"no {_CALLED[kind]} {shown!r}, neither as a path nor shipped; {near}")


def names(kind: Kind) -> list[str]:
    """The shipped names of a kind, sorted: stems of YAML files, and folders of weights (for a tokenizer both)."""
    folder = root() / _FOLDER[kind]
    if not folder.is_dir():
        return []
    weights = {path.name for path in folder.iterdir() if any(path.glob("*.safetensors"))}
    recipes = {path.name if kind == "tokenizer" else path.stem for path in folder.glob("*.yaml")}
    return sorted(weights | recipes if kind == "tokenizer" else weights if kind == "adapter" else recipes)


def root() -> Path:
    """The folder that holds recipes/, tokenizer/ and eval/: motionllm/_shipped in a wheel, else the clone."""
    package = Path(__file__).resolve().parent
    wheel = package / "_shipped"
    return wheel if wheel.is_dir() else package.parent


def _fits(kind: Kind, path: Path) -> bool:
    # By kind, so that a folder which merely is called as a recipe is (demo/ of `make demo`) does not hide it.
    if kind == "tokenizer":
        return path.is_dir() or (path.suffix in (".yaml", ".yml") and path.is_file())
    return path.is_dir() if kind == "adapter" else path.is_file()
