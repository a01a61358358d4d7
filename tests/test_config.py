"""Recipes: every mistake named at once, overrides, and the shipped files themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from motionllm import shipped
from motionllm.config import (
    SCHEMAS,
    EmbedderRecipe,
    Improvement,
    Recipe,
    Suite,
    TokenizerRecipe,
    check_recipe,
    dump_recipe,
    find_recipe,
    load_recipe,
    place,
    placed,
)
from motionllm.config.loading import _section_in
from motionllm.config.reference import reference
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
        (MINIMAL + "train: {stps: 5, lr: fast}\n", ["train.stps", "did you mean 'steps'", "train.lr", "'fast'"]),
        (MINIMAL + "trian: {steps: 5}\n", ["`trian`", "'train'"]),
        ("name: x\n", ["`data` is missing"]),
        ("data: {sources: []}\n", ["data.sources", "at least 1"]),
        ("data: {sources: [{kind: humanml3d}]}\n", ["`path`"]),
        ("data: {sources: [{kind: builtin, clip: 3}]}\n", ["data.sources.0.clip", "'clips'"]),
        ("a: [1\n", ["not valid YAML"]),
        ("", ["holds no keys"]),
        ("[1]", ["holds no keys"]),
        (MINIMAL + "train: {lr: .inf}\n", ["`train.lr` should be a finite number"]),
        (MINIMAL + "train: {seed: -1}\n", ["`train.seed` should be greater than or equal to 0"]),
        (MINIMAL + "train: {seed: 1208925819614629174706176}\n", ["`train.seed` should be less than 4294967296"]),
        (MINIMAL + "adapter: {rank: 10000000}\n", ["`adapter.rank` should be less than or equal to 8192"]),
        (MINIMAL + "adapter: {targets: []}\n", ["`adapter.targets` should have at least 1 item"]),
        (MINIMAL + "adapter: {targets: 3}\n", ["`adapter.targets` should be a valid string or be a valid list, not 3"]),
        (MINIMAL + "train: {micro_batch: 0}\n", ["`train.micro_batch` should be 'auto' or be greater than 0, not 0."]),
        (MINIMAL + "train: {compile: 3}\n", ["`train.compile` should be 'auto' or be a valid boolean, not 3."]),
        (MINIMAL + "name: ../../evil\n", ["`name`: ", "without a path"]),
        (MINIMAL + 'model: {base: "a\\0b"}\n', ["`model.base`: ", "no control character"]),
        (MINIMAL + "train: {steps: yes}\n", ["`train.steps`: give a number, not True"]),
        (MINIMAL + "train: {minutes: off}\n", ["`train.minutes`: give a number, not False"]),
        (MINIMAL + "name: 5\n", ["`name` should be a valid string, not 5"]),
        ("data: {sources: [{kind: builtin, path: x}]}\n", ["has no `path`"]),
        ("data: {sources: [{kind: builtin}], tasks: {caption: .nan}}\n", ["`data.tasks.caption`", "finite"]),
        ("name: a\nname: b\n" + MINIMAL, ["line 2", "given twice"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    "word",
    [
        "train.steps",
        "=3",
        "data.sources.9.clips=1",
        "name.deep=1",
        "train.steps=[1",
        "data.sources.²=1",
        "name=a\0b",
        f"train.steps={'9' * 5000}",
        f"name={'[' * 3000}",
        f"{'a.' * 3000}b=1",
        f"{'x' * 9000}=1",
        "train..steps=1",
        f"data.sources.{'9' * 5000}=1",
        "train.steps=!!python/name:os.system",
        "data.sources=5",
        "data.tasks.1=nan",
        "train.lr=1e999",
        "train.lr=inf",
        "train=5",
        "train.steps.=1",
        "name=2020-01-01",
        "train.minutes=-1e3",
    ],
)
def test_wrong_overrides_are_named(tmp_path: Path, word: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, MINIMAL), [word])
    assert len(str(caught.value)) < 800 and "\n" not in str(caught.value)


def test_relative_paths_of_sources_lie_in_the_folder_that_is_given_once(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "name: r\ndata: {folder: sets, sources: [{kind: builtin}, {kind: humanml3d, path: cmu}, "
        "{kind: humanml3d, path: /elsewhere/own}]}\n"
    )
    recipe = load_recipe(file)
    assert [s.path for s in recipe.data.sources] == [None, str(Path("sets/cmu")), "/elsewhere/own"]
    file.write_text(dump_recipe(recipe))
    assert load_recipe(file) == recipe
    assert load_recipe(file, ["data.folder=other"]).data.sources[1].path == str(Path("other/sets/cmu"))


def test_an_override_fills_a_section_that_is_left_empty(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, MINIMAL + "train:\n"), ["train.steps=3"]).train.steps == 3


def sections(schema: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The schema and all sections within it."""
    yield schema
    for field in schema.model_fields.values():
        if inner := _section_in(field.annotation):
            yield from sections(inner)


def test_every_number_has_an_end_and_every_key_its_words() -> None:
    found = {section for schema in SCHEMAS.values() for section in sections(schema)}
    assert len(found) == 21
    for section in found:
        assert section.__doc__
        schema = section.model_json_schema()
        for name, field in schema["properties"].items():
            kinds = [field, *field.get("anyOf", [])]
            assert "description" in field or any("$ref" in str(kind) for kind in kinds), (section, name)
            for kind in kinds:
                if kind.get("type") in ("integer", "number") and "enum" not in kind:
                    assert kind.keys() & {"maximum", "exclusiveMaximum"}, (section, name)
                    assert kind.keys() & {"minimum", "exclusiveMinimum"}, (section, name)


def test_the_reference_page_is_current() -> None:
    page = Path(__file__).parents[1] / "docs" / "recipes.md"
    assert page.read_text("utf-8") == reference(SCHEMAS), "motionllm recipes --reference > docs/recipes.md"


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "../a", "/a", "a\\b", "a\0b", "a\nb", "x" * 101, "C:a"])
@pytest.mark.parametrize("schema", [Recipe, Improvement, TokenizerRecipe, Suite, EmbedderRecipe])
def test_a_name_does_not_lead_out_of_its_folder(name: str, schema: type[Recipe]) -> None:
    with pytest.raises(RecipeError, match="`name`"):
        check_recipe({"name": name}, schema, "test")


@pytest.mark.parametrize(
    ("kind", "name", "schema", "key"),
    [
        ("recipes", "default", Recipe, "data.folder"),
        ("recipes", "cmu", Recipe, "data.sources.0.path"),
        ("recipes", "improve-bandai", Improvement, "sources.0.path"),
        ("eval", "captioning-cmu", Suite, "data.path"),
        ("embedders", "bandai", EmbedderRecipe, "sources.0.path"),
    ],
)
def test_a_placeholder_is_answered_with_the_override(
    kind: Any, name: str, schema: Any, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=f"{key}=FOLDER"):
        find_recipe(kind, name, (), schema)
    (tmp_path / "DATASET").mkdir()  # as the documentation calls it
    assert find_recipe(kind, name, (), schema)


def test_nothing_that_ships_names_a_folder_of_one_machine() -> None:
    files = [f for kind in ("recipes", "tokenizer", "eval") for f in (shipped.root() / kind).rglob("*")]
    texts = [f for f in files if f.suffix in (".yaml", ".json", ".md")]
    assert len(texts) > 50
    assert not [f for f in texts if re.search(r"path\"?: \"?(\.\./|/)", f.read_text(encoding="utf-8"))]


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("kind", ["recipes", "tokenizer"])
def test_every_shipped_recipe_is_valid(kind: str) -> None:
    files = sorted((shipped.root() / kind).glob("*.yaml"))
    assert files
    for path in files:
        schema: type = Recipe if kind == "recipes" else TokenizerRecipe
        schema = Improvement if path.stem.startswith("improve-") else schema
        recipe = load_recipe(path, (), schema)
        assert recipe.name == path.stem
        assert path.read_text().startswith("# ")


def test_a_saved_recipe_of_another_version_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Retired keys at any depth are passed over with one warning, in what was saved alone."""
    tree = {
        "name": "old",
        "retired": 1,
        "data": {"sources": [{"kind": "builtin", "clips": 5, "shade": [1]}], "colour": None},
        "train": {"steps": 7, "retired": {"a": 1}},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(tree))
    recipe = load_recipe(path, saved=True)
    assert (recipe.name, recipe.train.steps, recipe.data.sources[0].clips) == ("old", 7, 5)
    (record,) = caplog.records
    assert all(key in record.getMessage() for key in ("retired", "data.sources.0.shade", "train.retired"))
    with pytest.raises(RecipeError, match="unknown key `retired`"):
        load_recipe(path)
    path.write_text(json.dumps(tree | {"adapter": {"method": "full"}, "model": {"quantization": "4bit"}}))
    with pytest.raises(RecipeError, match="freezes the weights"):
        load_recipe(path, saved=True)
    path.write_text(json.dumps(tree))
    with pytest.raises(RecipeError, match=r"unknown key `train\.stepz`"):
        load_recipe(path, ["train.stepz=3"], saved=True)


def _places(section: BaseModel, before: str = "") -> Iterator[tuple[BaseModel, str]]:
    """The keys of a recipe that name a folder or a file, by the reference's word for them."""
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                yield from _places(item)
        if "_path" in repr(field) or "AfterValidator" in repr(field.annotation):
            yield section, key


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_folder_that_a_recipe_names_is_saved_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree: dict[str, Any] = {"sources": [{"kind": "humanml3d", "path": "set"}]}
    tree |= {"name": "a", "task": "captioning", "data": tree["sources"][0]} if kind == "suite" else {}
    recipe = check_recipe(
        {"data": tree, "train": {"steps": 1}}
        if kind == "train"
        else {key: value for key, value in tree.items() if kind != "suite" or key != "sources"},
        SCHEMAS[kind],
        "test",
    )
    keys = [(section, key) for section, key in _places(recipe) if key != "folder"]
    assert len(keys) >= {"train": 6, "improve": 5, "tokenizer": 2, "embedder": 2, "suite": 2}[kind]
    for number, (section, key) in enumerate(keys):
        named = f"{key}{number}"
        (tmp_path / named).write_text("") if key == "templates" else (tmp_path / named).mkdir()
        setattr(section, key, named)
    whole = [getattr(section, key) for section, key in _places(placed(recipe)) if key != "folder"]
    assert whole == [str(tmp_path / f"{key}{n}") for n, (_, key) in enumerate(keys)]
    assert [getattr(section, key) for section, key in keys] == [f"{key}{n}" for n, (_, key) in enumerate(keys)]
    monkeypatch.chdir("/")
    assert placed(placed(recipe)) == placed(recipe)  # a name of nothing that is here stays
    assert not any(getattr(s, k).startswith("/") for s, k in _places(placed(recipe)) if k != "folder")


def test_a_place_is_of_the_kind_that_its_key_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    (tmp_path / "demo").write_text("")
    assert place("default", "templates") == "default" and place("demo", "start") == "demo"
    assert place("default", "tokenizer") == str(tmp_path / "default")
    assert place("default:1", "tokenizer") == f"{tmp_path / 'default'}:1"
    assert place("standard:default", "embedder") == f"standard:{tmp_path / 'default'}"
    assert place("owner/name@v1", "base") == "owner/name@v1" and place("a" * 5000) == "a" * 5000
