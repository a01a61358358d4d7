"""Imports go one way: a module imports from its own layer or an earlier one, inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "motionllm"
LAYERS = [
    {"errors", "arguments", "numerals", "inflection"},
    {"files"},
    {"hub", "shipped", "weights", "runs", "samples"},
    {"config"},
    {"motion"},
    {"robots"},
    {"corpus"},
    {"tokenizer"},
    {"language"},
    {"data"},
    {"lm"},
    {"training"},
    {"eval", "app"},
    {"feedback"},
    {"agents"},
    {"cli"},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
PUBLIC = {"Motion": "motion", "MotionTokenizer": "tokenizer", "MotionLM": "lm"}  # what motionllm/__init__ offers


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, module or name) of every import of motionllm; relative ones resolved against `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")
                base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)


def wrong_ways(source: str, module: str, package: str) -> list[str]:
    """What a module must not import, as "module:line imports what"."""
    wrong = []
    own = LAYER[module.split(".")[1]]
    for line, name in imported(ast.parse(source), package):
        parts = name.split(".")
        if parts[0] != "motionllm" or parts[1:] in ([], ["__version__"]):
            continue
        if LAYER[PUBLIC.get(parts[1], parts[1])] > own:
            wrong.append(f"{module}:{line} imports {name}")
    return wrong


def test_every_module_has_a_layer() -> None:
    inside = [path for path in PACKAGE.iterdir() if not path.name.startswith("_") and path.name != "py.typed"]
    there = {path.stem if path.is_file() else path.name for path in inside}
    assert there <= set(LAYER), f"name the layer of {sorted(there - set(LAYER))} here and in the design"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    if parts == ("motionllm", "__init__"):
        pytest.skip("the package itself offers names of several layers, imported when first used")
    module = ".".join(part for part in parts if part != "__init__")
    package = module if parts[-1] == "__init__" else module.rpartition(".")[0]
    assert wrong_ways(path.read_text("utf-8"), module, package) == []


def test_the_test_sees_every_form_of_import() -> None:
    source = (
        "import motionllm.cli\n"
        "from motionllm import training, errors, __version__, MotionLM\n"
        "from motionllm.corpus.spec import Spec\n"
        "def late():\n"
        "    from ..app import chat\n"
        "    from . import skeleton\n"
        "    from ..errors import MotionLLMError\n"
    )
    assert wrong_ways(source, "motionllm.motion.features", "motionllm.motion") == [
        "motionllm.motion.features:1 imports motionllm.cli",
        "motionllm.motion.features:2 imports motionllm.training",
        "motionllm.motion.features:2 imports motionllm.MotionLM",
        "motionllm.motion.features:3 imports motionllm.corpus.spec.Spec",
        "motionllm.motion.features:5 imports motionllm.app.chat",
    ]


def test_no_python_where_recipes_weights_and_results_are() -> None:
    # A module there would be importable twice: from the clone and from motionllm/_shipped.
    assert [str(path) for name in ("recipes", "tokenizer", "eval") for path in (REPOSITORY / name).rglob("*.py")] == []
