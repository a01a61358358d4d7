"""Reads recipes: YAML and overrides in, checked objects out, every mistake named at once."""

from __future__ import annotations

import json
import logging
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError
from typing_extensions import TypeVar

from motionllm.config.base import PLACEHOLDER, Section, Source
from motionllm.config.finetune import Recipe
from motionllm.errors import MotionFileError, RecipeError, hint
from motionllm.files import parse_yaml, read_yaml

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Section, default=Recipe)


def load_recipe(
    path: Path,
    overrides: Sequence[str] = (),
    schema: type[R] = Recipe,  # type: ignore[assignment]
    saved: bool = False,
) -> R:
    """Read and check a recipe. overrides: `dotted.key=value` words, values in YAML. saved: the recipe was saved with an
    artefact, maybe by another version: keys that this one does not know are passed over with a warning.

    Raises RecipeError that lists every unknown key and wrong value, before anything else is loaded.
    """
    try:
        tree = read_yaml(path, "recipe")
    except MotionFileError as error:
        raise RecipeError(f"Recipe {error}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"Recipe {path} holds no keys; it needs at least `{_required(schema)}`.")
    if saved:
        _check_kind(tree, schema, path)
    if saved and (passed := drop_unknown(tree, schema)):
        log.warning("%s: keys of another version are passed over: %s", path, ", ".join(passed)[:300])
    for word in overrides:
        _override(tree, word)
    return check_recipe(tree, schema, str(path))


def find_recipe(
    kind: Literal["recipes", "tokenizer", "eval", "embedders"],
    name: str | Path,
    overrides: Sequence[str] = (),
    schema: type[R] = Recipe,  # type: ignore[assignment]
) -> R:
    """The recipe called `name` on a command line, a file or a shipped one, as `load_recipe` reads it.

    Raises RecipeError also where a source's path is still the placeholder of the shipped recipes.
    """
    from motionllm import shipped

    recipe = load_recipe(shipped.find(kind, name), overrides, schema)
    if unset := list(placeholders(recipe)):
        given = " ".join(f"{key}=FOLDER" for key in unset)
        raise RecipeError(
            f"Recipe {name}: {PLACEHOLDER} stands where the folder of your data set goes, and no folder here is called "
            f"so; add {given}."
        )
    return recipe


# By a key that no other kind has.
_KINDS = {
    "adapter": "a fine-tuning run",
    "network": "a motion tokenizer's training",
    "judges": "an improvement",
    "layer": "an embedder's training",
}


def _check_kind(tree: Mapping[str, Any], schema: type[Section], path: Path) -> None:
    """Raise RecipeError, naming both, for the saved recipe of another kind of run than the schema's."""
    wanted = next((kind for key, kind in _KINDS.items() if key in schema.model_fields), None)
    others = [kind for key, kind in _KINDS.items() if key in tree and key not in schema.model_fields]
    if wanted and others and not any(key in tree for key in _KINDS if key in schema.model_fields):
        raise RecipeError(f"Recipe {path} is that of {others[0]}, and {wanted} is asked for; give a run of that kind.")


def placeholders(value: Any, key: str = "") -> Iterator[str]:
    """The dotted keys of the folders and of the sources' paths that are the placeholder."""
    if isinstance(value, Source):
        if value.path == PLACEHOLDER and not Path(PLACEHOLDER).exists():
            yield f"{key}path"
    elif isinstance(value, Section):
        if getattr(value, "folder", None) == PLACEHOLDER:
            yield f"{key}folder"
        for name in type(value).model_fields:
            yield from placeholders(getattr(value, name), f"{key}{name}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from placeholders(item, f"{key}{number}.")


def drop_unknown(tree: dict[str, Any], schema: type[BaseModel]) -> list[str]:
    """Delete the keys of a tree that a schema does not know; their dotted paths."""
    passed: list[str] = []
    try:
        schema.model_validate(tree)
    except ValidationError as error:
        for item in error.errors():
            if item["type"] != "extra_forbidden":
                continue
            *parents, last = item["loc"]
            node: Any = tree
            for part in parents:
                if isinstance(node, dict):
                    node = node.get(part)
                else:
                    node = node[part] if isinstance(node, list) and isinstance(part, int) else None
            if isinstance(node, dict) and node.pop(last, None) is not None:
                passed.append(".".join(map(str, item["loc"])))
    return passed


def check_recipe(tree: dict[str, Any], schema: type[R], where: str) -> R:
    """A checked recipe from a tree of plain values; `where` names it in errors (RecipeError)."""
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        wrong: dict[str, list[Any]] = {}
        for item in error.errors():
            wrong.setdefault(_place(item), []).append(item)
        problems = [_one_of(items, schema) for items in wrong.values()]
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise RecipeError(f"Recipe {where}: {'; '.join(problems[:10])}{more}.") from None


def dump_recipe(recipe: Section) -> str:
    """The resolved recipe as YAML, every key written out."""
    import yaml

    return yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True)


def json_schema(schema: type[Section]) -> str:
    """The JSON Schema of a kind of recipe, for editors that check and complete YAML."""
    return json.dumps(
        {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema.model_json_schema(), indent=2
    )


def _override(tree: dict[str, Any], word: str) -> None:
    key, sign, text = word.partition("=")
    shown = word if len(word) <= 100 else f"{word[:97]}..."
    if not sign or not key:
        raise RecipeError(f"'{shown}' is not an override; write key=value, for example train.steps=200.")
    try:
        value = parse_yaml(text, f"The value of '{key[:100]}='")
    except MotionFileError as error:
        raise RecipeError(f"{str(error).rstrip('.')}; quote it to have it as text.") from None
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d{1,3}", value):
        value = float(value)  # YAML 1.1 reads 1e-4 as text: people write learning rates so
    *parents, last = key.split(".")
    node: Any = tree
    for part in parents:
        if isinstance(node, dict) and node.get(part) is None:
            node[part] = {}  # a section that the recipe leaves out, or leaves empty
        index = int(part) if isinstance(node, list) and _index(part, node) else part
        node = node[index] if isinstance(node, dict) or isinstance(index, int) else None
        if not isinstance(node, dict | list):
            raise RecipeError(f"'{shown}': `{part}` is not a section of the recipe.")
    if isinstance(node, list):
        if not _index(last, node):
            raise RecipeError(f"'{shown}': the list has {len(node)} of them, numbered from 0.")
        node[int(last)] = value
    else:
        node[last] = value


def _index(part: str, items: list[Any]) -> bool:
    return re.fullmatch(r"[0-9]{1,6}", part) is not None and int(part) < len(items)


# Parts of an error's place that are no keys, and name the kind of a union that was tried.
_OF_A_UNION = re.compile(r"(constrained-)?(str|int|float|bool)|none|[a-z-]+\[.*\]").fullmatch


def _one_of(items: Sequence[Any], schema: type[BaseModel]) -> str:
    """What is wrong at one place; with each kind that a union takes, where none of them fits."""
    fits = [item for item in items if not item["type"].endswith("_type")]  # of the kind given, and out of bounds
    if all(item["type"] == "literal_error" for item in fits):
        fits = list(items)
    told = dict.fromkeys(explain(item, schema) for item in fits)
    begins = f"`{_place(items[0])}` should "
    if len(told) == 1 or not all(one.startswith(begins) for one in told):
        return next(iter(told))
    given = _not(items[0])
    kinds = [one.removeprefix(begins).removesuffix(given) for one in told]
    return f"{begins}{' or '.join(kinds)}{given}"


def _place(item: Any) -> str:
    """The dotted key that an error is about."""
    keys = [p for p in item["loc"] if not _OF_A_UNION(str(p))]
    return _short(".".join(map(str, keys)), 200)


def _short(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def explain(item: Any, schema: type[BaseModel]) -> str:
    place = _place(item)
    if item["type"] == "extra_forbidden":
        known = _keys_at(schema, item["loc"][:-1])
        return f"unknown key `{place}` ({hint(item['loc'][-1], known)})"
    if item["type"] == "missing":
        return f"`{place}` is missing"
    given = _not(item)
    message = item["msg"].removeprefix("Value error, ")
    if "should" in message:  # "Input should be a finite number", "List should have at least 1 item"
        return f"`{place}` should{message.partition('should')[2]}{given}"
    return f"`{place}`: {message[0].lower()}{message[1:]}{given}" if place else message


def _not(item: Any) -> str:
    return "" if isinstance(item["input"], dict | list) else f", not {_short(repr(item['input']))}"


def _keys_at(schema: Any, loc: Sequence[Any]) -> list[str]:
    for part in loc:
        if isinstance(part, int):
            continue
        field = getattr(schema, "model_fields", {}).get(part)
        if field is None:
            return []
        schema = _section_in(field.annotation)
    return list(getattr(schema, "model_fields", {}))


def _section_in(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (list, Annotated, types.UnionType, typing.Union):
        for inner in typing.get_args(annotation):
            section = _section_in(inner)
            if section is not None:
                return section
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _required(schema: type[BaseModel]) -> str:
    return "`, `".join(name for name, field in schema.model_fields.items() if field.is_required())
