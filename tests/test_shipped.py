"""Shipped files: found as a path, in a wheel and in a clone; a wrong name is answered with the right one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from motionllm import shipped
from motionllm.errors import MotionLLMError

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with its three folders; the working directory is an empty one elsewhere."""
    root = tmp_path / "site-packages" / "motionllm" / "_shipped"
    for file in (
        "recipes/README.md",
        "recipes/demo.yaml",
        "recipes/large.yaml",
        "recipes/templates/captions.yaml",
        "recipes/adapters/default/adapter_model.safetensors",
        "tokenizer/default.yaml",
        "tokenizer/default/model.safetensors",
        "eval/small.yaml",
        "eval/results/one.json",
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)
    monkeypatch.setattr(shipped, "__file__", str(root.parent / "shipped.py"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return root


def test_root_is_the_clone_here_and_shipped_in_a_wheel(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped.root() == tree
    monkeypatch.undo()
    assert shipped.root() == REPOSITORY


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("recipes", "demo", "recipes/demo.yaml"),
        ("recipes", "demo.yaml", "recipes/demo.yaml"),
        ("recipes", "recipes/demo.yaml", "recipes/demo.yaml"),
        ("recipes", "templates/captions", "recipes/templates/captions.yaml"),
        ("eval", "small", "eval/small.yaml"),
        ("tokenizer", "default", "tokenizer/default"),
        ("tokenizer", "default.yaml", "tokenizer/default.yaml"),
        ("tokenizer", "tokenizer/default.yaml", "tokenizer/default.yaml"),
        ("adapter", "default", "recipes/adapters/default"),
    ],
)
def test_shipped_names(tree: Path, kind: shipped.Kind, name: str, file: str) -> None:
    assert shipped.find(kind, name) == tree / file


def test_a_path_goes_before_a_shipped_name(tree: Path) -> None:
    Path("demo.yaml").write_text("mine")
    assert shipped.find("recipes", "demo.yaml").read_text() == "mine"
    Path("demo").mkdir()  # what a run writes: a folder is no recipe
    assert shipped.find("recipes", "demo") == tree / "recipes/demo.yaml"
    Path("default").mkdir()
    assert shipped.find("adapter", "default") == Path("default")


def test_names(tree: Path) -> None:
    assert shipped.names("recipes") == ["demo", "large"]
    assert shipped.names("tokenizer") == ["default", "default.yaml"]
    assert shipped.names("eval") == ["small"]
    assert shipped.names("adapter") == ["default"]


def test_wrong_name_is_answered_with_near_matches_and_the_list(tree: Path) -> None:
    with pytest.raises(MotionLLMError) as caught:
        shipped.find("recipes", "deno.yaml")
    assert str(caught.value) == ("no recipe 'deno.yaml', neither as a path nor shipped; did you mean 'demo'?")
    with pytest.raises(MotionLLMError, match="no adapter 'zzz', neither as a path nor shipped; there are default"):
        shipped.find("adapter", "zzz")


def test_a_tokenizer_without_weights_is_not_its_recipe(tree: Path) -> None:
    (tree / "tokenizer/default/model.safetensors").unlink()
    (tree / "tokenizer/default").rmdir()
    with pytest.raises(MotionLLMError, match=r"did you mean 'default\.yaml'\?"):
        shipped.find("tokenizer", "default")


@pytest.mark.parametrize("name", ["../tokenizer/default", "", ".", "recipes", "/demo"])
def test_names_do_not_lead_out_of_their_folder(tree: Path, name: str) -> None:
    with pytest.raises(MotionLLMError):
        shipped.find("recipes", name)


@pytest.mark.parametrize("kind", ["adapter", "tokenizer"])
def test_weights_are_found_by_version(tree: Path, kind: shipped.Kind) -> None:
    folder = shipped.find(kind, "default")
    (folder / "VERSION").write_text("0.2\n")
    assert shipped.find(kind, "default@0.2") == folder
    with pytest.raises(MotionLLMError, match=r"version 0\.1 of the .* 'default' does not ship .*; there is 0\.2:"):
        shipped.find(kind, "default@0.1")
    older = folder.with_name("default@0.1")
    older.mkdir()
    (older / "model.safetensors").write_text("older")
    assert shipped.find(kind, "default@0.1") == older
    with pytest.raises(MotionLLMError, match=r"there is 0\.1, 0\.2: leave the version out"):
        shipped.find(kind, "default@9")
    with pytest.raises(MotionLLMError, match="neither as a path nor shipped"):
        shipped.find(kind, "unknown@0.2")


@pytest.mark.parametrize("kind", ["adapter", "tokenizer"])
def test_all_weights_that_ship_have_a_version(kind: shipped.Kind) -> None:
    for name in shipped.names(kind):
        if not name.endswith(".yaml"):
            assert re.fullmatch(r"\d+\.\d+", shipped.version(shipped.find(kind, name)) or ""), name
