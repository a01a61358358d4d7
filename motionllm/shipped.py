"""Finds the files that ship beside the code: recipes, tokenizers, evaluation suites and the trained adapter.

They are in the folders recipes/, tokenizer/ and eval/ of the repository; a wheel has the same folders in
motionllm/_shipped/. A name is looked up in this order: as a path, in the wheel, in the clone, and, for weights, on the
hub (`owner/name`). Weights that ship have a version, that of the first release with them, in their file VERSION:
`default@0.2` names these or, if newer ones ship as `default`, the folder `default@0.2` beside them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

from motionllm import __version__, arguments, hub
from motionllm.errors import MotionLLMError, hint, listed
from motionllm.files import read_json

Kind = Literal["recipes", "tokenizer", "eval", "adapter", "templates", "embedders"]

_FOLDER: dict[Kind, str] = {
    "recipes": "recipes",
    "tokenizer": "tokenizer",
    "eval": "eval",
    "adapter": "recipes/adapters",  # next to the recipes they were trained with
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

_VOCABULARY = "motion_vocab.json"  # of adapters and merged models
_CONFIGURED = {  # by a key of their config.json
    "network": "a motion tokenizer",
    "shipped": "a motion tokenizer",
    "recipe": "an embedder",
    "model_type": "a language model",
    "architectures": "a language model",
}
_WEIGHTS: tuple[Kind, ...] = ("tokenizer", "adapter")  # these have versions, and may be on the hub


def find(kind: Kind, name: str | Path) -> Path:
    """The file or folder called `name`: a path, else a shipped one ("demo", "demo.yaml" and "recipes/demo.yaml" alike).

    Recipes and suites are files, with or without suffix; adapters are folders. A tokenizer's name is its folder of
    weights; with .yaml ("default.yaml") the recipe it was trained by. Adapters and tokenizers may be named with their
    version, and may be repositories of the hub (`owner/name@revision`), which are fetched. Raises MotionLLMError,
    listing the known names, where there is nothing of that name.
    """
    name = called(kind, name)
    shown = name if len(name) <= 200 else f"{name[:197]}..."
    if (here := _here(kind, name, shown)) is not None:
        return here
    if kind in _WEIGHTS:
        if hub.is_name(name):
            try:
                return hub.fetch(name)
            except MotionLLMError as error:
                raise MotionLLMError(f"no {_CALLED[kind]} {shown!r}, neither as a path nor shipped: {error}") from None
        stem, _, wanted = name.partition("@")
        if wanted and stem in names(kind):
            return _of_version(kind, stem, wanted)
    near = hint(Path(name).name.removesuffix(".yaml"), names(kind))
    raise MotionLLMError(f"no {_CALLED[kind]} {shown!r}, neither as a path nor shipped; {near}")


def called(kind: Kind, name: object) -> str:
    """A name as text. Raises MotionLLMError for what is neither text nor a path."""
    if not isinstance(name, str | Path):
        raise MotionLLMError(f"The {_CALLED[kind]} is {arguments.shown(name)}; give its path, or the name of one.")
    return str(name)


def kind_of(folder: Path) -> str:
    """What a folder is, for an error where it is not what is needed: "a motion tokenizer"."""
    if (folder / "adapter" / _VOCABULARY).is_file():
        return "a run of `motionllm train`"
    if (folder / _VOCABULARY).is_file():
        return "a merged model" if (folder / "config.json").is_file() else "an adapter"
    with suppress(MotionLLMError):
        config = read_json(folder / "config.json")
        for key, kind in _CONFIGURED.items():
            if key in config:
                return kind
    if (folder / "adapter_config.json").is_file():
        return "an adapter of another program"
    if (folder / "new_joint_vecs").is_dir() or (folder / "new_joints").is_dir():
        return "a data set"
    if (folder / "recipe.yaml").is_file():
        return "a run that has not written its model yet"
    try:
        return "another folder" if any(folder.iterdir()) else "an empty folder"
    except OSError:
        return "a folder that cannot be read"


def levels(name: str) -> tuple[str, int | None]:
    """The name of a motion tokenizer, and how many residual levels of it; None: all. "real:1" is ("real", 1)."""
    match = re.fullmatch(r"(.+):(\d{1,2})", name)
    return (match[1], int(match[2])) if match and not Path(name).is_dir() else (name, None)


def pinned(kind: Kind, name: str) -> str:
    """The name of weights with its commit where it is one of the hub, else as it is. Raises MotionLLMError where the
    hub has none of that name.
    """
    whole, first = levels(name) if kind == "tokenizer" else (name, None)
    if first is not None:
        return f"{pinned(kind, whole)}:{first}"
    return name if _here(kind, name, name[:200]) is not None else hub.pinned(name)


def _here(kind: Kind, name: str, shown: str) -> Path | None:
    """The path or shipped file of that name, if there is one."""
    if "\0" in name or any(len(part.encode("utf-8", "replace")) > 255 for part in name.split("/")):
        raise MotionLLMError(f"no {_CALLED[kind]} can be called {shown!r}: give a path or the name of a shipped one.")
    try:
        given = Path(name).expanduser()
        if _fits(kind, given):
            return given
    except (OSError, RuntimeError) as error:  # a path of 5,000 bytes, a link to itself, ~ of an unknown user
        raise MotionLLMError(f"{shown}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    inside = given.relative_to(_FOLDER[kind]) if given.is_relative_to(_FOLDER[kind]) else given
    if not inside.is_absolute() and ".." not in inside.parts and inside.parts:
        endings = ("", ".yaml") if kind not in _WEIGHTS else ("",)
        for shipped in (root() / _FOLDER[kind] / f"{inside}{ending}" for ending in endings):
            if _fits(kind, shipped):
                return shipped
    return None


def names(kind: Kind) -> list[str]:
    """Sorted names of a kind that ship: stems of YAML files, and folders of weights (for tokenizers both)."""
    folder = root() / _FOLDER[kind]
    if not folder.is_dir():
        return []
    weights = {path.name for path in folder.iterdir() if any(path.glob("*.safetensors"))}
    recipes = {path.name if kind == "tokenizer" else path.stem for path in folder.glob("*.yaml")}
    return sorted(weights | recipes if kind == "tokenizer" else weights if kind == "adapter" else recipes)


def version(folder: Path) -> str | None:
    """The version of weights that ship; None where their folder has none."""
    file = folder / "VERSION"
    return file.read_text("utf-8").strip() if file.is_file() else None


def _of_version(kind: Kind, name: str, wanted: str) -> Path:
    """The shipped weights `name` of a version, where there is no folder `name@version`."""
    folder = root() / _FOLDER[kind] / name
    current = version(folder)
    if wanted == current:
        return folder
    older = [other.partition("@")[2] for other in names(kind) if other.startswith(f"{name}@")]
    there = listed([*older, *([current] if current else [])]) or "none with a version"
    raise MotionLLMError(
        f"version {wanted[:50]} of the {_CALLED[kind]} {name!r} does not ship with motionllm {__version__}; there is "
        f"{there}: leave the version out, or install the motionllm that it shipped with."
    )


def root() -> Path:
    """The folder with recipes/, tokenizer/ and eval/: motionllm/_shipped in a wheel, else the clone."""
    package = Path(__file__).resolve().parent
    wheel = package / "_shipped"
    return wheel if wheel.is_dir() else package.parent


def _fits(kind: Kind, path: Path) -> bool:
    # By kind, so that a folder with a recipe's name (demo/ of `make demo`) does not hide the recipe.
    if kind == "tokenizer":
        return path.is_dir() or (path.suffix in (".yaml", ".yml") and path.is_file())
    return path.is_dir() if kind == "adapter" else path.is_file()
