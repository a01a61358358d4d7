"""Every verb killed at random moments goes on to what it would have made, and leaves no corrupt file meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motionllm.config import Recipe, dump_recipe

VERBS = ["train", "tokenizer", "improve", "embedder", "suite", "caption", "generate"]

# Starts command lines in forks, which spares them the imports. The first of a verb runs to its end; the next are
# killed at some moment, checked, and gone on with; where one comes to its end, all it made is compared.
KILLING = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
import accelerate, datasets, numpy, peft, psutil, torch, transformers
from safetensors.torch import load_file
from motionllm import cli
from motionllm.app import captioning, prompts
from motionllm.training import train
from motionllm.eval import embedder, suites
from motionllm.feedback import improve

plan, kills, seed = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]), int(sys.argv[3])
chance, killed, ended, early = random.Random(seed), 0, 0, []

def command(verb, out):
    words = plan[verb]
    if verb in ("train", "tokenizer") and (out / "checkpoint.pt").is_file() or verb == "improve" and (
        out / "recipe.yaml").is_file():
        return {"train": ["train"], "tokenizer": ["tokenizer", "train"], "improve": ["improve"]}[verb] + [
            "--resume", str(out)]
    return [*words, "--out", str(out / "captions.jsonl" if verb == "caption" else out)]

def start(words):
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        code = 70
        try:
            code = cli.main(words)
        finally:
            os._exit(code)
    return child

def loaded(file):
    if file.suffix == ".pt":
        return torch.load(file, weights_only=True)
    if file.suffix == ".safetensors":
        return load_file(file)
    if file.suffix == ".npz":
        with numpy.load(file) as arrays:
            return {name: arrays[name] for name in arrays}
    if file.suffix == ".json":
        return json.loads(file.read_text())
    if file.suffix == ".bvh":
        text = file.read_text()
        frames = int(text.split("Frames:")[1].split()[0])
        assert len(text.rstrip().splitlines()) == text[: text.index("Frame Time")].count("\\n") + 1 + frames
        return text

TIMES = {"seconds", "tokens_per_second", "train_seconds", "prepare_seconds", "run"}
def plain(value):
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items() if key not in TIMES and "per_second" not in key}
    return [plain(v) for v in value] if isinstance(value, list) else value

def made(out):
    found = {}
    for file in sorted(out.rglob("*")):
        name = str(file.relative_to(out))
        if file.suffix == ".safetensors":
            found[name] = {key: value.numpy().tobytes() for key, value in loaded(file).items()}
        elif file.suffix == ".jsonl":
            found[name] = [plain(json.loads(line)) for line in file.read_text().splitlines()]
        elif file.name in ("report.json", "result.json", "config.json"):
            found[name] = plain(loaded(file))
        elif file.suffix == ".bvh":
            found[name] = file.read_text()
        else:
            found[name] = None
    assert found
    return found

root = Path(sys.argv[4])
log = str(root / "stderr")
whole, spent = {}, {}
for verb in plan:
    begun, out = time.monotonic(), root / "whole" / verb
    child = start(command(verb, out))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, (verb, code, Path(log).read_text()[-3000:])
    whole[verb], spent[verb] = made(out), time.monotonic() - begun
verbs, count = list(plan), dict.fromkeys(plan, 0)
while killed < kills:
    verb = verbs[ended % len(verbs)]
    out, mine = root / "killed" / verb, 0
    shutil.rmtree(out, ignore_errors=True)
    while True:
        child = start(command(verb, out))
        pause, begun, done = chance.uniform(0, 0.6 * spent[verb]), time.monotonic(), 0
        while mine < 8 and killed < kills and not done and time.monotonic() - begun < pause:
            time.sleep(0.003)
            done, status = os.waitpid(child, os.WNOHANG)
        if mine < 8 and killed < kills and not done:
            os.kill(child, signal.SIGKILL)
        if not done:
            status = os.waitpid(child, 0)[1]
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, -signal.SIGKILL), (verb, code, Path(log).read_text()[-3000:])
        if code == 0:
            break
        killed, mine, count[verb] = killed + 1, mine + 1, count[verb] + 1
        for file in out.rglob("*") if out.is_dir() else ():
            if file.is_file() and ".part" not in file.name and ".aside" not in str(file):
                loaded(file)
    ended += 1
    now = made(out)
    assert now.keys() == whole[verb].keys(), (verb, sorted(now.keys() ^ whole[verb].keys()))
    for name, value in now.items():
        assert value == whole[verb][name], (verb, name)
    left = [str(p) for p in (root / "killed").rglob(".*") if p.name != ".gitignore"]
    assert not left, (verb, left)
print(json.dumps({"killed": killed, "by": count, "ended": ended}))
"""


@pytest.fixture
def plan(tmp_path: Path, tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe]) -> dict[str, Any]:
    """{verb: the words of its command line, without --out}."""
    from motionllm import corpus as builtin
    from motionllm.motion.features import features_to_joints
    from motionllm.training.train import train

    start = tmp_path / "start"
    train(tiny_recipe(tiny_base, tiny_tokenizer, steps=2), start)
    steps = {"steps": 30, "save_every": 3, "keep": 2, "validate_every": 10}
    recipe = tiny_recipe(tiny_base, tiny_tokenizer, **steps)
    (tmp_path / "train.yaml").write_text(dump_recipe(recipe))
    source = [{"kind": "builtin", "clips": 20}]
    trees: dict[str, Any] = {
        "tokenizer": {
            "sources": source,
            "network": {"width": 16, "blocks": 1, "split": "body", "codes": 16, "code_dim": 8},
            "train": {"steps": 60, "autoencode": 8, "batch": 4, "window": 32, "validate_every": 5},
        },
        "improve": {
            "judges": {"physics": 1.0},
            "sources": source,
            "method": "grpo",
            "sampling": {"prompts": 4, "samples": 2, "batch": 4},
            "train": {"rounds": 2, "steps": 6, "batch": 4, "save_every": 2, "lr": 1e-3, "precision": "float32"},
            "guards": {"cases": 2, "stop": False},
        },
        "embedder": {
            "sources": [{"kind": "builtin", "clips": 40}],
            "base": str(tiny_base),
            "width": 16,
            "dim": 8,
            "train": {"steps": 6, "batch": 16},
        },
    }
    for name, tree in trees.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"name": name} | tree))
    clips = tmp_path / "clips"
    clips.mkdir()
    for i in range(8):
        np.save(clips / f"{i}.npy", features_to_joints(builtin.sample(i, split="test").load()))
    (tmp_path / "prompts.txt").write_text("\n".join(f"a person walks {n} steps" for n in range(6)))
    model = ["--model", str(start)]
    return {
        "train": ["train", str(tmp_path / "train.yaml"), "adapter.dropout=0.1"],
        "tokenizer": ["tokenizer", "train", str(tmp_path / "tokenizer.yaml")],
        "improve": ["improve", str(start), str(tmp_path / "improve.yaml")],
        "embedder": ["eval", "train-embedder", str(tmp_path / "embedder.yaml")],
        "suite": ["eval", "suite", "questions", "cases=6", "batch=2", "data.clips=100", *model],
        "caption": ["caption", str(clips), "--batch", "1", *model],
        "generate": [
            "generate",
            "--prompts",
            str(tmp_path / "prompts.txt"),
            "--best-of",
            "1",
            "--batch",
            "1",
            "--seed",
            "0",
            *model,
        ],
    }


def kill(plan: dict[str, Any], count: int, seed: int, folder: Path) -> dict[str, Any]:
    (folder / "plan.json").write_text(json.dumps(plan))
    done = subprocess.run(
        [sys.executable, "-c", KILLING, str(folder / "plan.json"), str(count), str(seed), str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # a fork has no other threads
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_some_kills(plan: dict[str, Any], tmp_path: Path) -> None:
    few = {verb: plan[verb] for verb in ("tokenizer", "caption")}
    assert kill(few, 6, 1, tmp_path)["killed"] == 6


@pytest.mark.slow
def test_three_hundred_kills_over_all_verbs(plan: dict[str, Any], tmp_path: Path) -> None:
    found = kill(plan, int(os.environ.get("KILLS", "300")), int(os.environ.get("SEED", "0")), tmp_path)
    print(found)
