"""Adapter folders damaged at random: whatever is wrong with one is said in one sentence, soon and in little memory.

Every file of an adapter's folder and of its base's is damaged as bytes, as the JSON, YAML or safetensors it is, and as
an entry of the folder. Either the damage is one that changes nothing, or the verb ends with status 2 and says so.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import struct
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motionllm import cli
from motionllm import corpus as builtin

SLOWEST = 20.0  # seconds
MOST = 2 << 30  # bytes
BAD: list[Any] = [
    0,
    -1,
    3,
    2.5,
    10**9,
    2**80,
    -(2**63),
    1e300,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    "x",
    "../x",
    "/etc/passwd",
    "\0",
    "é" * 300,
    [],
    [[]],
    {},
    {"a": {}},
    [0],
    [-1, "x"],
    ["(a+)+$"] * 3,
    "(.*)*$",
    "someone/kernel",
    "__import__('os')",
    {"x": None},
    [1e9] * 50,
]
TEMPLATES = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 'x' * 999999999 }}",
    "{% set x = namespace(v='x') %}{% for i in range(99) %}{% set x.v = x.v + x.v %}{% endfor %}{{ x.v }}",
    "{{ messages.append(1) }}",
    "{{ messages.__class__.__mro__ }}",
    "{{ ''.__class__.__base__.__subclasses__() }}",
    "{{ raise_exception('no') }}",
    "{% if %}",
    "{{ nothing.at.all }}",
    "{{ 1 / 0 }}",
    "{{ messages[7] }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "",
    "{# nothing #}",
    "{{ messages | tojson(indent=999999) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ 9 ** 9 ** 9 }}",
]


def damaged_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """A file that was cut, overwritten, mixed up or replaced."""
    place = int(random.integers(len(content) + 1))
    kind = random.integers(9)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return b""
    if kind == 2:
        noise = bytearray(content)
        for at in random.integers(len(content), size=min(20, len(content))) if content else ():
            noise[at] = random.integers(256)
        return bytes(noise)
    if kind == 3:
        return random.bytes(int(random.integers(1, 3000)))
    if kind == 4:
        return content[:place] + b"\0" * 7 + content[place:]
    if kind == 5:
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n"
    if kind == 6:
        return b"[" * 100_000
    if kind == 7:
        return content + content[:place]
    return struct.pack("<Q", [0, 1, 7, 2**31, 2**62, 2**64 - 1][random.integers(6)]) + content[8:]


def damaged_tree(tree: Any, random: np.random.Generator) -> Any:
    """A tree of plain values with one value replaced, removed, added or nested."""
    node, places = tree, []
    while isinstance(node, dict | list) and node and (not places or random.random() < 0.8):
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        places.append((node, keys[random.integers(len(keys))]))
        node = node[places[-1][1]]
    if not places:
        return BAD[random.integers(len(BAD))]
    parent, key = places[-1]
    kind = random.integers(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent["unheard_of"] = BAD[random.integers(len(BAD))]
    elif kind == 2 and isinstance(node, int | float) and not isinstance(node, bool):
        parent[key] = [node * 1000, -node, node + 1, node * 10**9, float(node), str(node)][random.integers(6)]
    else:
        parent[key] = BAD[random.integers(len(BAD))]
    return tree


def damaged_weights(content: bytes, random: np.random.Generator) -> bytes:
    """A safetensors file whose header or numbers are others."""
    size = struct.unpack("<Q", content[:8])[0]
    head, body = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    kind = random.integers(4)
    names = [name for name in head if name != "__metadata__"]
    name = names[random.integers(len(names))]
    if kind == 0:
        begin, end = head[name]["data_offsets"]
        pattern = [b"\xff\xff", b"\x80\x7f", b"\x00\x7f"][random.integers(3)]
        body[begin:end] = (pattern * (end - begin))[: end - begin]
    elif kind == 1:
        head[["other", name + "x", "base_model.model.lm_head.weight"][random.integers(3)]] = head.pop(name)
    elif kind == 2:
        head[name]["shape"] = [[10**9, 10**9], [], [-1], head[name]["shape"][::-1], [0]][random.integers(5)]
    else:
        head = damaged_tree(head, random)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


def damage(folder: Path, random: np.random.Generator) -> str:
    """Damages one file of an adapter's folder or of its base's; what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[random.integers(len(files))]
    content, said = path.read_bytes(), str(path.relative_to(folder))
    kind = random.integers(10)
    if path.suffix == ".jinja" and kind < 8:
        template = TEMPLATES[random.integers(len(TEMPLATES))]
        path.write_text(template)
        return f"{said}: {template}"
    if kind == 0:
        entry = random.integers(5)
        path.unlink()
        if entry == 1:
            path.mkdir()
        elif entry == 2:
            path.symlink_to(folder / "nowhere")
        elif entry == 3:
            path.symlink_to(path)
        elif entry == 4:
            (folder.parent / "outside").write_bytes(content)
            path.symlink_to(folder.parent / "outside")
        return f"{said}: entry {entry}"
    if kind < 4:
        path.write_bytes(damaged_bytes(content, random))
        return f"{said}: bytes"
    if path.suffix == ".json":
        path.write_text(json.dumps(damaged_tree(json.loads(content), random)))
    elif path.suffix == ".yaml":
        path.write_text(yaml.safe_dump(damaged_tree(yaml.safe_load(content), random)))
    elif path.suffix == ".safetensors":
        path.write_bytes(damaged_weights(content, random))
    else:
        path.write_bytes(damaged_bytes(content, random))
    return f"{said}: {path.suffix}"


@pytest.fixture(scope="module")
def folder(trained_run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an adapter and its base side by side."""
    place = tmp_path_factory.mktemp("whole")
    run, base = trained_run
    shutil.copytree(run / "adapter", place / "adapter")
    shutil.copytree(base, place / "base")
    return place


@pytest.fixture
def say(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """(function of a copy of the folder, words of a command line) → exit status and what was said last."""
    np.save(tmp_path / "clip.npy", builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),)), seed=0))

    def run(change: Callable[[Path], Any], *words: str) -> tuple[int, str]:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        recipe = copy / "adapter" / "recipe.yaml"
        recipe.write_text(re.sub(r"base: .*", f"base: {copy / 'base'}", recipe.read_text(), count=1))
        change(copy)
        capsys.readouterr()
        status = cli.main([*(words or ("caption", str(tmp_path / "clip.npy"))), "--model", str(copy / "adapter")])
        return status, capsys.readouterr().err.strip()

    return run


def check(say: Callable[..., tuple[int, str]], seeds: range) -> None:
    assert say(lambda copy: None)[0] == 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused, wrong = 0, []
    for seed in seeds:
        random, done = np.random.default_rng(seed), []
        begun = time.monotonic()
        try:
            status, said = say(lambda copy: done.append(damage(copy, random)))  # noqa: B023 - called at once
        except Exception as error:  # a traceback, where the verb ran by itself
            wrong.append(f"seed {seed}, {done}: {error!r} at {traceback.extract_tb(error.__traceback__)[-1]}")
            continue
        spent = time.monotonic() - begun
        last = said.splitlines()[-1] if said else ""
        sentence = last.startswith("motionllm: error: ") if status else True
        if status not in (0, 2) or not sentence or spent > SLOWEST:
            wrong.append(f"seed {seed}, {done}: status {status} after {spent:.0f} s: {last}")
        refused += status == 2
    assert not wrong, "\n".join(wrong)
    assert refused > len(seeds) / 2
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST


def test_damaged_folders_are_refused_in_a_sentence(say: Callable[..., tuple[int, str]]) -> None:
    check(say, range(15))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1200, 50))
def test_many_damaged_folders(say: Callable[..., tuple[int, str]], first: int) -> None:
    check(say, range(first, first + 50))
