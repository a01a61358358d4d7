"""Recipes: every mistake named at once, overrides, and the shipped files themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionllm import shipped
from motionllm.config import Ablation, Improvement, Recipe, TokenizerRecipe, dump_recipe, load_recipe
from motionllm.errors import RecipeError

MINIMAL = "data: {sources: [{kind: builtin}]}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_overrides_reach_every_depth(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    recipe = load_recipe(path, ["train.lr=1e-4", "data.sources.0.clips=7", "data.tasks.caption=3", "name=x"])
    assert recipe.train.lr == 1e-4
    assert recipe.data.sources[0].clips == 7
    assert recipe.data.tasks["caption"] == 3
    assert recipe.name == "x"


def test_a_dumped_recipe_reads_back_the_same(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL), ["train.minutes=3"])
    again = load_recipe(write(tmp_path, dump_recipe(recipe)))
    assert again == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINIMAL + "train: {stps: 5, lr: fast}\n", ["train.stps", "did you mean `steps`", "train.lr", "'fast'"]),
        (MINIMAL + "trian: {steps: 5}\n", ["`trian`", "`train`"]),
        ("name: x\n", ["`data` is missing"]),
        ("data: {sources: []}\n", ["data.sources", "at least 1"]),
        ("data: {sources: [{kind: humanml3d}]}\n", ["`path`"]),
        ("data: {sources: [{kind: builtin, clip: 3}]}\n", ["data.sources.0.clip", "`clips`"]),
        ("a: [1\n", ["not valid YAML"]),
        ("", ["holds no keys"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("word", ["train.steps", "=3", "data.sources.9.clips=1", "name.deep=1", "train.steps=[1"])
def test_wrong_overrides_are_named(tmp_path: Path, word: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe(write(tmp_path, MINIMAL), [word])


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("kind", ["recipes", "tokenizer"])
def test_every_shipped_recipe_is_valid(kind: str) -> None:
    files = sorted((shipped.root() / kind).glob("*.yaml"))
    assert files
    for path in files:
        schema: type = Ablation if path.stem == "ablation" else Recipe if kind == "recipes" else TokenizerRecipe
        schema = Improvement if path.stem.startswith("improve-") else schema
        recipe = load_recipe(path, (), schema)
        assert recipe.name == path.stem
        assert path.read_text().startswith("# ")
