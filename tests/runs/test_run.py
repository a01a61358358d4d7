"""Runs that nobody loses: one process a folder, full disks, signals, divergence, what a run is made of."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from motionllm import cli
from motionllm.config import Recipe, dump_recipe
from motionllm.data import sources
from motionllm.data.examples import Examples
from motionllm.errors import WriteError
from motionllm.feedback import improve, rounds
from motionllm.files import lock
from motionllm.runs import checkpoint
from motionllm.runs.run import Log, Signals, Stopped, losses, on_full_disk, rate
from motionllm.training import learner, train

LONG = 1_000_000  # steps


@contextmanager
def full_from(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, which fails as a full disk does: in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- the pieces ----------------------------------------------------------------------------------------------------


def test_a_signal_is_noted_while_a_step_is_finished_and_the_second_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="143") as stopped, Signals("kept") as signals:
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.message == "kept" and signals.asked == 0
    with Signals("") as signals, signals.finishing():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # a launcher's comes twice
        assert signals.asked == signal.SIGTERM
    with pytest.raises(KeyboardInterrupt), Signals("") as signals, signals.finishing():
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.asked == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script's `&` leaves it
    try:
        with pytest.raises(Stopped, match="130"), Signals(""):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before[0])


def test_a_launchers_echo_of_ctrl_c_is_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with Signals("") as signals, signals.finishing():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.asked == signal.SIGINT


def test_warming_up_takes_its_steps_and_of_minutes_a_tenth_at_most() -> None:
    assert [rate(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rate(0, 0) == 1.0 and rate(9, 20, spent=0.01) == 0.5
    assert rate(2, 20, spent=0.1) == 1.0 and rate(2, 20, spent=0.05) == pytest.approx(0.5)
    assert [rate(9, 1, done, least=0.2) for done in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])
    assert [rate(9, 1, 0.75, 0.0, 0.2, kind) for kind in ("linear", "constant")] == pytest.approx([0.4, 1.0])


def test_a_log_has_each_line_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.0}\n{"step": 3, "lo')
    log = Log(path, lambda row: row["step"] <= 1)
    log.write({"step": 2, "loss": 1.5})
    with full_from(path.stat().st_size + 5), pytest.raises(WriteError, match="cannot be written"):
        log.write({"step": 3, "loss": 1.0})
    log.write({"step": 3, "loss": 0.5})
    log.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert losses(path) == {1: 2.5, 2: 1.5, 3: 0.5}


def test_the_outer_run_says_what_a_full_disk_left() -> None:
    with pytest.raises(WriteError) as error, on_full_disk(lambda: "outer"), on_full_disk(lambda: "inner"):
        raise WriteError("full.")
    assert str(error.value) == "full. outer"


def test_advice_after_divergence_is_a_checkpoint_from_before_it(tmp_path: Path) -> None:
    def advice(losses: list[float], saved: list[int]) -> str:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "run").mkdir()
        for step in saved:
            checkpoint.save(tmp_path / "run", {"step": step}, keep=9)
        return checkpoint.advice(tmp_path / "run", dict(enumerate(losses, 1)), "RESUME")

    assert advice([4, 3, 2, math.nan], [1, 2]) == "go on from step 2 with `RESUME`"
    said = advice([4, 3, 2, 90, math.nan], [1, 2, 3, 4])  # what step 3 left gives 90, what step 4 left nan
    assert said.startswith("copy checkpoint-2.pt to checkpoint.pt") and said.endswith("from step 2 with `RESUME`")
    assert "RESUME" not in advice([4, math.inf], [1]) and "start anew" in advice([4, math.inf], [1])
    assert advice([math.nan], []) == "start anew with another --out"


# -- the verbs -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Any) -> Path:
    """A folder with a recipe of each verb: small.yaml's steps are so many that it never ends by itself."""
    folder = tmp_path_factory.mktemp("kept")
    train.train(tiny_recipe(tiny_base, tiny_tokenizer, steps=2), folder / "start")
    (folder / "train.yaml").write_text(dump_recipe(tiny_recipe(tiny_base, tiny_tokenizer, steps=12, save_every=3)))
    network = {"width": 16, "blocks": 1, "split": "body", "codes": 16, "code_dim": 8}
    training = {"steps": 30, "autoencode": 8, "batch": 4, "window": 32, "validate_every": 10}
    trees: dict[str, Any] = {
        "tokenizer": {"sources": [{"kind": "builtin", "clips": 20}], "network": network, "train": training},
        "improve": {
            "judges": {"physics": 1.0},
            "sources": [{"kind": "builtin", "clips": 20}],
            "method": "grpo",
            "sampling": {"prompts": 4, "samples": 2, "batch": 4},
            "train": {"rounds": 2, "steps": 4, "batch": 4, "save_every": 3, "lr": 1e-3, "precision": "float32"},
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
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name} | tree))
    return folder


def words(verb: str, kept: Path) -> list[str]:
    """The command line of a verb, without --out."""
    return {
        "train": ["train", str(kept / "train.yaml")],
        "tokenizer": ["tokenizer", "train", str(kept / "tokenizer.yaml")],
        "improve": ["improve", str(kept / "start"), str(kept / "improve.yaml")],
        "embedder": ["eval", "train-embedder", str(kept / "embedder.yaml")],
        "suite": ["eval", "suite", "questions", "cases=4", "data.clips=100", "--model", str(kept / "start")],
        "demo": ["demo"],
    }[verb]


def rows(log: Path) -> list[dict[str, Any]]:
    return [{**json.loads(line), "seconds": 0, "tokens_per_second": 0} for line in log.read_text().splitlines()]


def weights(out: Path) -> dict[str, torch.Tensor]:
    found = [*out.glob("adapter/adapter_model.safetensors"), *out.glob("model.safetensors")]
    return load_file(found[0])


@pytest.mark.parametrize("verb", ["train", "tokenizer", "improve", "embedder", "suite", "demo"])
def test_a_second_process_in_a_folder_is_refused(
    verb: str, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock(tmp_path / "out"):
        assert cli.main([*words(verb, kept), "--out", str(tmp_path / "out")]) == 2
    assert f"is in use by process {os.getpid()} on" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []  # nothing was written, and the lock is gone


@pytest.fixture(scope="module")
def whole(kept: Path) -> Callable[[str], Path]:
    """(verb) → the folder of its uninterrupted run."""

    def made(verb: str) -> Path:
        out = kept / f"whole-{verb}"
        if not out.exists():
            assert cli.main([*words(verb, kept), "--out", str(out)]) == 0
        return out

    return made


# Where the signal comes: what is patched, and at which of its calls.
MOMENTS = {
    "train": [(Examples, "draw_from", 300), (checkpoint, "save", 1)],  # 256 are drawn before the first step
    "tokenizer": [(torch.optim.Adam, "step", 4), (torch.optim.Adam, "step", 17)],
    "improve": [(rounds, "replies", 1), (improve, "backward", 2), (improve, "backward", 7)],
}


@pytest.mark.parametrize(("verb", "moment"), [(verb, i) for verb, all_ in MOMENTS.items() for i in range(len(all_))])
def test_ctrl_c_and_sigterm_lose_no_step(
    verb: str,
    moment: int,
    kept: Path,
    whole: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected, out = whole(verb), tmp_path / "out"
    (owner, name, call), number = MOMENTS[verb][moment], (signal.SIGINT, signal.SIGTERM)[moment % 2]
    real, calls = getattr(owner, name), [0]

    def signalled(*given: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), number)
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, signalled)
        assert cli.main([*words(verb, kept), "--out", str(out)]) == 128 + number
    said = capsys.readouterr().err.strip().splitlines()[-1]
    again = ["tokenizer", "train"] if verb == "tokenizer" else [verb]
    assert said.startswith("motionllm: Stopped after ") and f"motionllm {' '.join(again)} --resume {out}" in said
    steps = [row["step"] for row in rows(out / "log.jsonl") if "step" in row] if "step" in said.split(",")[0] else []
    if steps and verb != "tokenizer":  # whose log has every twentieth
        assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == max(steps)
    assert not [path for path in tmp_path.rglob(".*")]  # neither a lock nor a part
    assert cli.main([*again, "--resume", str(out)]) == 0
    assert rows(out / "log.jsonl") == rows(expected / "log.jsonl")
    first, second = weights(expected), weights(out)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("verb", ["train", "tokenizer", "improve", "embedder", "suite"])
def test_a_full_disk_is_one_sentence_wherever_it_fills(
    verb: str, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = np.random.default_rng(0).integers(10, 2000, 1).tolist() + {"train": [20_000, 60_000], "suite": []}.get(
        verb, [9_000]
    )
    for number, limit in enumerate(limits):
        out = tmp_path / str(number) / "out"
        out.parent.mkdir()
        with full_from(limit):
            code = cli.main([*words(verb, kept), "--out", str(out)])
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert code == 2 and last.startswith("motionllm: error: ") and "File too large" in last, (limit, last)
        assert (verb == "embedder") or "ake room" in last, last
        there = (out / "checkpoint.pt").is_file()
        if verb in ("train", "tokenizer"):
            assert ("--resume" in last) == there == ("last checkpoint, which is whole" in last), last
        if there:
            torch.load(out / "checkpoint.pt", weights_only=True)
        assert not [path for path in out.parent.rglob(".*")]
        for file in out.rglob("*.json*"):
            for line in file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]:
                json.loads(line)


def test_a_diverged_run_is_not_gone_on_from(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, factors = learner.cross_entropy, [1.0]

    def rising(*given: Any) -> Any:
        motion, text = real(*given)
        return motion * factors[0], text * factors.pop(0)

    monkeypatch.setattr(learner, "cross_entropy", rising)
    given = [*words("train", kept), "train.save_every=1", "train.keep=20", "train.validate_examples=0"]
    for name, rise, says in {
        ("last", (1, 1, 1, math.nan), "then copy checkpoint-2.pt to checkpoint.pt"),
        ("gradient", (1, 1, 1, 1e30), "The gradient's norm is inf at step 4"),
        ("older", (1, 1, 40, 9e9, math.inf), "then copy checkpoint-1.pt to checkpoint.pt"),
        ("none", (1, 40, math.nan), "then start anew with another --out"),
    }:
        factors[:] = rise
        assert cli.main([*given, "--out", str(tmp_path / name)]) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert "training has diverged" in last and says in last and ("--resume" in last) == (name != "none"), last
        state = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        assert state["step"] == len(rise) - 1 and all(p.isfinite().all() for p in state["model"].values())


def test_a_diverged_tokenizer_is_not_saved(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from motionllm.tokenizer import train as training

    monkeypatch.setattr(training, "rate", lambda step, *_, **__: math.inf if step == 12 else 1.0)
    assert cli.main([*words("tokenizer", kept), "--out", str(tmp_path / "out")]) == 2
    assert "training has diverged" in capsys.readouterr().err
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 10 and all(p.isfinite().all() for p in state["network"].values())
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_checkpoints_and_validations_also_come_by_the_clock(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], Path]
) -> None:
    saves, real = [], checkpoint.save

    def counted(run: Path, state: dict[str, Any], keep: int = 1) -> None:
        saves.append(state["step"])
        real(run, state, keep)

    monkeypatch.setattr(checkpoint, "save", counted)
    never = ["train.save_every=100", "train.validate_every=100", "train.save_minutes=1e-9"]
    assert cli.main([*words("train", kept), *never, "--out", str(tmp_path / "a")]) == 0
    assert saves == list(range(1, 13))
    assert [row["loss"] for row in rows(tmp_path / "a" / "log.jsonl") if "loss" in row] == [
        row["loss"] for row in rows(whole("train") / "log.jsonl") if "loss" in row
    ]
    saves.clear()
    words_ = [*words("train", kept), "train.save_every=100", "train.validate_minutes=1e-9", "train.steps=3"]
    assert cli.main([*words_, "--out", str(tmp_path / "b")]) == 0
    assert saves == [3] and sum("validation" in row for row in rows(tmp_path / "b" / "log.jsonl")) == 3


def test_a_length_that_cuts_every_reply_is_refused(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    given = [*words("train", kept), "data.tasks={caption: 1.0}", "train.steps=1"]
    assert cli.main([*given, "data.max_length=12", "--out", str(tmp_path / "a")]) == 2
    said = capsys.readouterr().err
    assert "data.max_length 12 cuts off every reply" in said
    least = int(said.split("Set it to ")[1].split()[0])
    assert cli.main([*given, f"data.max_length={least - 1}", "--out", str(tmp_path / "b")]) == 2
    assert cli.main([*given, f"data.max_length={least}", "--out", str(tmp_path / "c")]) == 0
    assert (
        f"data.max_length {least} cuts 256 of 256 examples, and of " in caplog.text
        and "of task caption)" in caplog.text
    )
    assert json.loads((tmp_path / "c" / "result.json").read_text())["best_validation_loss"] != 0
    caplog.clear()
    assert cli.main([*given, "data.max_length=512", "--out", str(tmp_path / "d")]) == 0
    assert "max_length" not in caplog.text


def test_a_run_made_of_something_else_is_not_resumed_unless_told(
    kept: Path,
    tmp_path: Path,
    tiny_base: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    capsys: pytest.CaptureFixture[str],
) -> None:
    from transformers import AutoModelForCausalLM

    data, base = tmp_path / "data", shutil.copytree(tiny_base, tmp_path / "base")
    for kind in ("new_joint_vecs", "texts"):
        (data / kind).mkdir(parents=True)
    for number, sample in enumerate(sources.read(tiny_recipe(base, tiny_tokenizer).data.sources[0], "train")[:6]):
        np.save(data / "new_joint_vecs" / f"{number}.npy", sample.load())
        (data / "texts" / f"{number}.txt").write_text(f"a person walks {number}#x#0.0#0.0\n")
    (data / "train.txt").write_text("\n".join(map(str, range(5))))
    (data / "val.txt").write_text("5")
    recipe = tiny_recipe(base, tiny_tokenizer, steps=4, save_every=2, keep=2).model_dump()
    recipe["data"] |= {"sources": [{"kind": "humanml3d", "path": str(data)}], "tasks": {"caption": 1.0}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run = tmp_path / "run"
    assert cli.main(["train", str(tmp_path / "recipe.yaml"), "--out", str(run)]) == 0
    shutil.move(run / "checkpoint-2.pt", run / "checkpoint.pt")
    saved = {file: file.read_bytes() for file in (run / "checkpoint.pt", data / "texts" / "2.txt")}

    def refused(what: str) -> None:
        capsys.readouterr()
        assert cli.main(["train", "--resume", str(run)]) == 2
        assert what in (said := capsys.readouterr().err) and "--changed" in said, said
        assert (run / "checkpoint.pt").read_bytes() == saved[run / "checkpoint.pt"]

    (data / "texts" / "2.txt").write_text("a person runs 2#x#0.0#0.0\n")
    refused(f"the train split of {data}")
    (data / "texts" / "2.txt").write_bytes(saved[data / "texts" / "2.txt"])
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.get_decoder().layers[1].mlp.up_proj.weight.normal_()
    model.save_pretrained(base)
    refused("the weights of the base")
    assert cli.main(["train", "--resume", str(run), "--changed"]) == 0
