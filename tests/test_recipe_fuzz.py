"""Recipes that are wrong in ways drawn by a seed: each is answered with one sentence, never a traceback or a hang.

MOTIONLLM_FUZZ_SEED and MOTIONLLM_FUZZ_COUNT choose other cases and more of them.
"""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motionllm import cli
from motionllm.config import SCHEMAS

SEED = int(os.environ.get("MOTIONLLM_FUZZ_SEED", "0"))
COUNT = int(os.environ.get("MOTIONLLM_FUZZ_COUNT", "0"))
LONGEST = 20  # seconds of the processor; of the clock, where all of it is waiting, six times as many

VALUES: list[Any] = [
    *(-1, 0, 1, 3, 2**31, 2**63, 2**80, -(2**63), 10**12, 1e12, 1e-300, -1e-9, 1e308),
    *(float("inf"), -float("inf"), float("nan")),
    *("", " ", ".", "..", "../../evil", "/etc", "/nowhere/x", "a\0b", "a/b", "~nobody/x", "x" * 300, "x/" * 3000),
    *("walk " * 5000, "1e-4", "²", "nan", "yes", "(.*.*.*.*)*x", "[a", "naïve\n", "\ud7ff"),
    *("tokenizer/none.yaml", "builtin:none", "owner/none", "standard:nowhere"),
    *(True, None, [], {}, [[]], [None], {"a": {"b": 1}}, ["x"] * 5, [1e400], {"fly": 1}, ["q_prjo"]),
    {"text_to_motion": float("inf")},
]

Texts = Callable[[str, np.random.Generator], str | bytes]


def _lines(text: str, random: np.random.Generator) -> str:
    lines = text.splitlines()
    place = int(random.integers(len(lines)))
    what = [
        lines[place],
        "  " + lines[place],
        "\t" + lines[place],
        "{",
        "- x",
        "&a [*a]",
        "a: *nowhere",
        "<<: 3",
        "? [x]",
    ]
    return "\n".join([*lines[:place], what[random.integers(len(what))], *lines[place:]])


def _bytes(text: str, random: np.random.Generator) -> bytes:
    content = np.frombuffer(text.encode(), np.uint8).copy()
    content[random.integers(len(content), size=5)] = random.integers(256, size=5)
    return content.tobytes()


def _laughs(text: str, random: np.random.Generator) -> str:
    nine = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}' if i else 'x'] * 9)}]" for i in range(9)]
    return "\n".join([*nine, text])


TEXTS: list[Texts] = [
    _lines,
    _bytes,
    _laughs,
    lambda text, random: text[: random.integers(len(text))],
    lambda text, random: text + "a: " + "[" * int(random.integers(60, 10_000)),
    lambda text, random: text + "a: " + "{a: " * int(random.integers(60, 10_000)),
    lambda text, random: text + text.splitlines()[0],  # a key given twice
    lambda text, random: random.bytes(300),
    lambda text, random: text.encode("utf-16-be"),
    lambda text, random: text + "when: 2020-02-30\n",
    lambda text, random: text + "x: !!python/object/apply:os.system [touch evil]\n",
    lambda text, random: text + f"train: {{steps: {'9' * 5000}}}\n",
    lambda text, random: "",
    lambda text, random: "---\n".join([text, text]),
]


def _leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _leaves(value, (*path, key))


def _defaults(kind: str) -> list[tuple[str, ...]]:
    """Keys that a recipe may leave out, as paths."""
    found = []
    for name, field in SCHEMAS[kind].model_fields.items():
        inner = field.default
        found += [(name, key) for key in type(inner).model_fields] if hasattr(inner, "model_dump") else [(name,)]
    return found


def _put(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {}) if isinstance(tree, dict) else tree[key]
    tree[path[-1]] = value


def broken(kind: str, tree: dict[str, Any], random: np.random.Generator) -> tuple[str | bytes, list[str]]:
    """(a recipe's file, override words), of which one thing is wrong or odd."""
    tree = copy.deepcopy(tree)
    way = random.choice(["value", "value", "value", "text", "override", "key"])
    paths = [*_leaves(tree), *_defaults(kind)]
    path = paths[random.integers(len(paths))]
    value = VALUES[random.integers(len(VALUES))]
    text = yaml.safe_dump(tree)
    if way == "text":
        return TEXTS[random.integers(len(TEXTS))](text, random), []
    if way == "override":
        odd = ["=", "x", "a.b.c=1", f"{'a.' * 2000}b=1", "train.=1", ".=1", "name=[[[[" + "[" * 3000, "name=a: b: c"]
        word = f"{'.'.join(map(str, path))}={yaml.safe_dump(value).removesuffix('...').strip()}"
        return text, [str(random.choice([*odd, word, word, word, word, word, word, word, word]))]
    if way == "key":
        named = [p for p in paths if isinstance(p[-1], str)]
        path = named[random.integers(len(named))]
        odd = [path[-1] + "s", path[-1][:-1], "²", 5, True, "x" * 3000]
        _put(tree, (*path[:-1], odd[random.integers(len(odd))]), value)
    else:
        _put(tree, path, value)
    return yaml.safe_dump(tree), []


@pytest.fixture(scope="module")
def recipes(tiny_base: Path, tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Recipes of seconds, of every kind."""
    source = {"kind": "builtin", "clips": 20}
    network = {"width": 16, "blocks": 1, "codes": 16, "code_dim": 8}
    fit = {"steps": 4, "batch": 4, "window": 16, "autoencode": 2}
    return {
        "train": {
            "name": "a",
            "model": {"base": str(tiny_base), "tokenizer": str(tiny_tokenizer)},
            "adapter": {"rank": 4},
            "data": {"sources": [source]},
            "train": {"steps": 2, "batch": 2, "validate_examples": 2},
        },
        "tokenizer": {"name": "a", "sources": [source], "network": network, "train": fit},
        "embedder": {
            "name": "a",
            "sources": [{"kind": "builtin", "clips": 96}],
            "base": str(tiny_base),
            "width": 8,
            "dim": 8,
            "train": {"steps": 4, "batch": 8},
        },
        "suite": {
            "name": "a",
            "task": "tokenizer",
            "data": {"kind": "builtin", "clips": 100},
            "cases": 4,
            "group": 4,
            "pairs": 2,
        },
        "improve": {
            "name": "a",
            "judges": {"physics": 1.0},
            "sources": [source],
            "method": "dpo",
            "sampling": {"prompts": 2, "samples": 2, "batch": 4},
            "train": {"steps": 1, "batch": 1, "micro_batch": 1, "rehearsal": 0.0, "margin": 0.0, "least": 0.0},
            "guards": {"cases": 2, "stop": False},
        },
    }


def _command(kind: str, file: Path, words: list[str], run: Path | None) -> list[str]:
    return {
        "train": ["train", str(file), *words, "--dry-run"],
        "tokenizer": ["tokenizer", "train", str(file), *words],
        "embedder": ["eval", "train-embedder", str(file), *words],
        "suite": ["eval", str(file), *words, "--model", str(run)],
        "improve": ["improve", str(run), str(file), *words],
    }[kind]


def _too_long(*_: Any) -> None:
    raise TimeoutError


def _fuzz(
    recipes: dict[str, Any], kinds: list[str], count: int, run: Path | None, folder: Path, capsys: Any, seed: int
) -> None:
    wrong, refused = [], 0
    for number in range(count):
        random = np.random.default_rng([seed, number])
        kind = kinds[number % len(kinds)]
        place = folder / "in" / str(number)
        place.mkdir(parents=True)
        os.chdir(place)
        content, words = broken(kind, recipes[kind], random)
        file = place / "recipe.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        for what, timer, seconds in (
            (signal.SIGALRM, signal.ITIMER_REAL, 6 * LONGEST),
            (signal.SIGPROF, signal.ITIMER_PROF, LONGEST),
        ):
            signal.signal(what, _too_long)
            signal.setitimer(timer, seconds)
        try:
            status = cli.main(_command(kind, file, words, run))
            said = capsys.readouterr().err.strip()
            last = said.splitlines()[-1] if said else ""
            fine = status == 0 or (status == 2 and last.startswith("motionllm: error: ") and len(last) < 1500)
            refused += status == 2
        except BaseException as error:
            fine, last = False, f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        if not fine:
            wrong.append(f"{kind} {number}: {last[:300]}\n{str(content)[:1500]} {[w[:100] for w in words]}")
        beside = {p.name for p in place.iterdir()} - {"recipe.yaml", "runs"}
        if beside or {p.name for p in folder.iterdir()} != {"in"}:
            wrong.append(f"{kind} {number}: wrote {beside or sorted(folder.iterdir())}")
    assert not wrong, f"{len(wrong)} of {count}\n" + "\n".join(wrong)
    assert refused > count / 2  # most of them are wrong indeed


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.getcwd())  # to come back to


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm on this system")
def test_broken_recipes(
    recipes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading of all kinds, and --dry-run; what other verbs would run is left out."""
    from motionllm.data import prepare
    from motionllm.eval import embedder, suites
    from motionllm.feedback import improve

    def stop(*_: Any, **__: Any) -> None:
        raise SystemExit(0)

    for module, name in (
        (prepare, "train_tokenizer"),
        (embedder, "train_embedder"),
        (suites, "run_suite"),
        (improve, "improve"),
    ):
        monkeypatch.setattr(module, name, stop)
    kinds = ["train", "train", "tokenizer", "embedder", "suite", "improve"]
    _fuzz(recipes, kinds, COUNT or 70, tmp_path / "run", tmp_path, capsys, SEED)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm on this system")
@pytest.mark.parametrize("kind", list(SCHEMAS))
def test_broken_recipes_that_are_run(
    kind: str,
    recipes: dict[str, Any],
    tiny_base: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Any],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from motionllm.training.train import train

    home = tmp_path_factory.mktemp("home")
    run = home / "run"
    if kind in ("suite", "improve"):
        train(tiny_recipe(tiny_base, tiny_tokenizer), run)
    if kind == "suite":
        recipe = home / "embedder.yaml"
        recipe.write_text(yaml.safe_dump(recipes["embedder"]))
        assert cli.main(["eval", "train-embedder", str(recipe), "--out", str(home / "embedder")]) == 0
        recipes = recipes | {"suite": recipes["suite"] | {"embedder": str(home / "embedder")}}
    _fuzz(recipes, [kind], COUNT or 84, run, tmp_path, capsys, SEED + 1)
