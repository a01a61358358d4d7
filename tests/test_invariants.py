"""Equalities of whole runs, through the command line: what may change speed and nothing else."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from motionllm import cli, shipped
from motionllm.config import Recipe, dump_recipe
from motionllm.lm.model import MotionLM
from motionllm.runs import checkpoint

BASES = ["tiny_base", "tiny_base_untied", "tiny_base_pieces"]
# Each on another base; the other pairs are among the slow tests.
METHODS = {"rslora": "tiny_base", "dora": "tiny_base_untied", "full": "tiny_base_pieces"}
LEARNING = ["train.steps=16", "train.validate_every=1", "train.lr=1e-2", "train.schedule=constant"]
MAIN = "from motionllm.cli import main; raise SystemExit(main())"


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def write(tmp_path: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe]) -> Callable[[Path], Path]:
    """(base) → the file of a recipe of six steps of eight examples."""

    def write(base: Path) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(dump_recipe(tiny_recipe(base, tiny_tokenizer, batch=8, micro_batch=8, validate_every=100)))
        return path

    return write


def run(recipe: Path, out: Path, *words: str) -> list[float]:
    """The losses of a run's steps."""
    assert cli.main(["train", str(recipe), *words, "--out", str(out)]) == 0
    return losses(out)


def losses(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "loss" in r] == list(range(1, len([r for r in rows if "loss" in r]) + 1))
    return [r["loss"] for r in rows if "loss" in r]


def validated(out: Path) -> list[float]:
    """The validation losses of a run."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [r["validation"]["all"] for r in rows if "validation" in r]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter" / "adapter_model.safetensors")


def test_batches_packing_and_accumulation_change_nothing(
    base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(base)
    whole = run(recipe, tmp_path / "a", "data.packing=false", "train.micro_batch=8")
    for name, words in {
        "1": ["data.packing=false", "train.micro_batch=1"],
        "4": ["data.packing=false", "train.micro_batch=4"],
        "packed": [],
    }.items():
        assert run(recipe, tmp_path / name, *words) == pytest.approx(whole, rel=2e-5), name


def test_checkpointing_changes_nothing_but_memory(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(tiny_base)
    plain = run(recipe, tmp_path / "a")
    assert run(recipe, tmp_path / "b", "train.checkpointing=true") == pytest.approx(plain, rel=1e-6)


def test_resumed_is_uninterrupted_to_the_bit_with_dropout(
    base: Path, write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write(base)
    words = ["adapter.dropout=0.2", "train.save_every=2", "train.batch=3", "train.validate_every=2"]
    whole = run(recipe, tmp_path / "whole", *words)
    assert whole != run(recipe, tmp_path / "dry", *words, "adapter.dropout=0.0")  # dropout takes part
    real = checkpoint.save

    def stop_after_saving(*given: object) -> None:  # 6 examples of the 20 clips: in the middle of an epoch
        real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stop_after_saving)
        assert cli.main(["train", str(recipe), *words, "--out", str(tmp_path / "cut")]) == 130
    torch.manual_seed(99)  # whatever the process did before
    assert cli.main(["train", "--resume", str(tmp_path / "cut")]) == 0
    assert losses(tmp_path / "cut") == whole
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(first[name], second[name]) for name in first)


def launched(
    processes: int, words: list[str], *how: str, script: str = MAIN, **more: str
) -> subprocess.CompletedProcess[str]:
    """The command line in several processes of a launcher. Gloo's processes now and then wait for each other without
    end while they connect, or give up: then they are ended, and it is launched once more.
    """
    count = ["--nproc_per_node", str(processes), "--no-python", sys.executable, "-c", script]
    command = [sys.executable, "-m", "torch.distributed.run", *how, *count, *words]
    env = os.environ | {"ACCELERATE_USE_CPU": "true"} | more
    out = Path(words[words.index("--out") + 1])
    before = out.exists()
    for patience in (150, 600):
        with subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
                if not before:
                    shutil.rmtree(out, ignore_errors=True)
                continue
        if process.returncode and "connectFullMesh failed" in stderr and patience == 150 and not before:
            shutil.rmtree(out, ignore_errors=True)
            continue
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    raise AssertionError(f"{command} does not end.")


@pytest.mark.parametrize(
    "words",
    [
        [],
        pytest.param(["data.packing=false", "train.batch=5", "train.micro_batch=2"], marks=pytest.mark.slow),
        ["train.shard=true", "train.save_every=3", "train.keep=2", "train.micro_batch=1"],
        pytest.param(["train.shard=true", "adapter.method=full", "train.checkpointing=true"], marks=pytest.mark.slow),
    ],
    ids=["packed", "unpacked", "sharded", "sharded-full"],
)
def test_two_processes_are_one(
    words: list[str], tiny_base_untied: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(tiny_base_untied)
    alone = run(recipe, tmp_path / "one", *words)
    done = launched(2, ["train", str(recipe), *words, "--json", "--out", str(tmp_path / "two")], "--standalone")
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert result["processes"] == 2 and json.loads(done.stdout) == result  # one speaks
    assert ("its share of the weights" in done.stderr) == ("train.shard=true" in words)
    assert losses(tmp_path / "two") == pytest.approx(alone, rel=2e-5)
    one = json.loads((tmp_path / "one" / "result.json").read_text())
    assert result["best_validation_loss"] == pytest.approx(one["best_validation_loss"], rel=2e-5)
    texts = [{"role": "user", "content": "a person walks"}]
    scores = []
    for out in ("one", "two"):
        lm = MotionLM.load(tmp_path / out)
        with torch.no_grad():
            scores.append(lm.model(torch.tensor([lm.renderer(texts, reply=True).ids])).logits)
    assert torch.allclose(*scores, atol=1e-3)
    if "train.save_every=3" in words:  # and what two have begun, one goes on with
        (tmp_path / "two" / "checkpoint-3.pt").replace(tmp_path / "two" / "checkpoint.pt")
        assert cli.main(["train", "--resume", str(tmp_path / "two"), "train.shard=false"]) == 0
        assert losses(tmp_path / "two") == pytest.approx(alone, rel=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["train.shard=true"]], ids=["whole", "sharded"])
def test_two_compiled_processes_are_an_eager_one(
    words: list[str], tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(tiny_base)
    alone = run(recipe, tmp_path / "one", "train.steps=3")
    words = [*words, "train.steps=3", "train.compile=true", "--out", str(tmp_path / "two")]
    done = launched(2, ["train", str(recipe), *words], "--standalone")
    assert done.returncode == 0 and "compiled" in done.stderr, done.stderr[-3000:]
    assert losses(tmp_path / "two") == pytest.approx(alone, rel=1e-4)


# As if a machine failed: the first process is gone after the first checkpoint, unless it was started again.
LOST = """
import os
from motionllm.runs import checkpoint
from motionllm.cli import main
real = checkpoint.save
def save(*given):
    real(*given)
    if not int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)):
        os._exit(9)
checkpoint.save = save
raise SystemExit(main())
"""


@pytest.mark.slow  # beside other tests the launcher takes up to three minutes to start the two again
def test_a_run_whose_process_was_lost_goes_on_when_the_launcher_starts_it_again(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe, words = write(tiny_base), ["train.save_every=3", "train.shard=true"]
    alone = run(recipe, tmp_path / "one")
    how = ["--standalone", "--max-restarts", "3", "--monitor-interval", "0.1"]
    done = launched(2, ["train", str(recipe), *words, "--out", str(tmp_path / "two")], *how, script=LOST)
    assert done.returncode == 0 and "started this run again" in done.stderr, done.stderr[-3000:]
    assert losses(tmp_path / "two") == pytest.approx(alone, rel=2e-5)
    refused = subprocess.run(
        [sys.executable, "-c", MAIN, "train", str(recipe), "--out", str(tmp_path / "two")],
        env=os.environ | {"TORCHELASTIC_RUN_ID": "another"},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2 and "holds an earlier run" in refused.stderr


@pytest.mark.slow
def test_a_launch_goes_on_with_more_processes_than_it_began_with(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe, out = write(tiny_base), tmp_path / "run"
    alone = run(recipe, tmp_path / "one")
    command = ["train", str(recipe), "train.save_every=3", "--out", str(out)]
    begun = subprocess.run(
        [sys.executable, "-c", LOST, *command], env=os.environ | {"TORCHELASTIC_RUN_ID": "job"}, capture_output=True
    )
    assert begun.returncode == 9 and len(losses(out)) == 3
    how = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--rdzv-id", "job"]
    done = launched(2, command, *how)
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(out) == pytest.approx(alone, rel=2e-5)
    assert json.loads((out / "result.json").read_text())["processes"] == 2


@pytest.mark.parametrize("name", ["ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP"])
def test_a_sharding_that_is_not_ours_is_refused_before_anything_is_written(
    name: str,
    tiny_base: Path,
    write: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, "true")
    assert cli.main(["train", str(write(tiny_base)), "--out", str(tmp_path / "run")]) == 2
    assert "train.shard=true" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["ddp", "fsdp2"])
def test_the_launchers_configurations_are_read(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(shipped.find("recipes", f"accelerate/{name}")))
    assert config.distributed_type == "MULTI_GPU" and config.mixed_precision == "bf16"
    assert config.num_processes >= 2 and not getattr(config, "fsdp_config", None)


@pytest.mark.parametrize(
    ("method", "base"),
    [
        pytest.param(method, base, marks=() if METHODS[method] == base else pytest.mark.slow)
        for method in METHODS
        for base in BASES
    ],
    indirect=["base"],
)
def test_methods_train_save_load_and_merge(
    method: str, base: Path, write: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write(base)
    out = tmp_path / "run"
    run(recipe, out, f"adapter.method={method}", *LEARNING)
    assert validated(out)[-1] < validated(out)[0] - 0.02
    lm = MotionLM.load(out)
    assert len(lm.generate("a person walks", 1.0, seed=0, best_of=1)) == 20  # type: ignore[arg-type]
    capsys.readouterr()
    assert cli.main(["merge", str(out), "--out", str(tmp_path / "merged"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["logits_differ"] < 1e-4 and said["same_choice"] == 1.0


def test_full_trains_every_weight_and_keeps_its_size_when_rounded(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(tiny_base)
    run(recipe, tmp_path / "run", "adapter.method=full", "train.store=bfloat16", "train.validate_examples=0")
    before = {name: p.clone() for name, p in MotionLM.untrained(tmp_path / "run").model.named_parameters()}
    after = dict(MotionLM.load(tmp_path / "run").model.named_parameters())
    assert all(not torch.equal(before[name], after[name]) for name in before)
    stored = load_file(tmp_path / "run" / "adapter" / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.bfloat16}


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_qlora_learns_and_its_adapter_goes_on_the_dense_base(
    bits: str, tiny_base_wide: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(tiny_base_wide)
    run(recipe, tmp_path / "run", f"model.quantization={bits}", *LEARNING)
    assert validated(tmp_path / "run")[-1] < validated(tmp_path / "run")[0] - 0.02
    lm = MotionLM.load(tmp_path / "run")
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}
    assert len(lm.generate("a person walks", 1.0, seed=0, best_of=1)) == 20  # type: ignore[arg-type]


def test_rows_learn_alone_at_first(tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path) -> None:
    recipe = write(tiny_base)
    run(recipe, tmp_path / "a", "adapter.rows_first=2", "train.steps=2", "train.save_every=2")
    stored = weights(tmp_path / "a")
    assert all((value == 0).all() for name, value in stored.items() if "lora_B" in name)
    fresh = MotionLM.untrained(tmp_path / "a")
    rows = next(value for name, value in stored.items() if "trainable_tokens" in name)
    assert not torch.equal(rows, fresh.model.get_input_embeddings().weight[fresh.vocab.ids])
    run(recipe, tmp_path / "b", "adapter.rows_first=2", "train.steps=4")
    assert any((value != 0).any() for name, value in weights(tmp_path / "b").items() if "lora_B" in name)


def test_patience_ends_a_run_and_the_best_stays(tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path) -> None:
    recipe = write(tiny_base)
    words = ["train.steps=60", "train.validate_every=1", "train.patience=2", "train.lr=0.5", "train.warmup=0"]
    run(recipe, tmp_path / "run", *words)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    found = validated(tmp_path / "run")
    assert result["steps"] == len(found) < 60
    assert min(found) == result["best_validation_loss"] == found[-3]


def test_schedules_fall_as_they_say(tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path) -> None:
    recipe = write(tiny_base)
    rates = {}
    for schedule in ("cosine", "linear", "constant"):
        words = [f"train.schedule={schedule}", "train.steps=5", "train.warmup=0", "train.min_lr=0", "train.lr=1"]
        run(recipe, tmp_path / schedule, *words)
        rows = [json.loads(line) for line in (tmp_path / schedule / "log.jsonl").read_text().splitlines()]
        rates[schedule] = [r["lr"] for r in rows if "lr" in r]
    assert rates["constant"] == [1.0] * 5
    assert rates["linear"] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert rates["cosine"] == pytest.approx([1.0, 0.9045, 0.6545, 0.3455, 0.0955], abs=1e-4)


def test_the_newest_checkpoints_stay_and_an_older_one_is_gone_on_from(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe, out = write(tiny_base), tmp_path / "run"
    whole = run(recipe, out, "train.save_every=1", "train.keep=3")
    assert sorted(p.name for p in out.glob("*.pt")) == ["checkpoint-4.pt", "checkpoint-5.pt", "checkpoint.pt"]
    (out / "checkpoint-4.pt").replace(out / "checkpoint.pt")
    assert cli.main(["train", "--resume", str(out)]) == 0
    assert losses(out) == whole


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_samples_are_generated_while_it_trains(
    precision: str, tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recipe = write(tiny_base)
    words = ["train.samples=[a person walks, a person waves]", "train.validate_every=3"]
    words += [f"train.precision={precision}"]
    sampled = run(recipe, tmp_path / "run", *words)
    assert sampled == run(recipe, tmp_path / "plain", words[-1])  # and change nothing in it
    names = ["000003_1.bvh", "000003_2.bvh", "000006_1.bvh", "000006_2.bvh"]
    assert sorted(p.name for p in (tmp_path / "run" / "samples").iterdir()) == names
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [name for row in rows for name in row.get("samples", [])] == names


def test_a_full_disk_is_said_and_the_last_checkpoint_is_whole(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = write(tiny_base), tmp_path / "run"
    whole = run(recipe, tmp_path / "whole", "train.save_every=2")
    # A process that may write no file over 60 kB, from its second checkpoint on.
    script = (
        "import resource\nfrom motionllm import cli\nfrom motionllm.runs import checkpoint\nreal = checkpoint.save\n"
        "def save(run, *given):\n"
        "    if (run / checkpoint.FILE).is_file():\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "    real(run, *given)\n"
        "checkpoint.save = save\nraise SystemExit(cli.main())"
    )
    words = ["train", str(recipe), "train.save_every=2", "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("motionllm: error:") and str(out) in last and "--resume" in last
    assert os.strerror(errno.EFBIG) in last
    assert not list(out.glob(".*.part"))
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 2
    assert cli.main(["train", "--resume", str(out)]) == 0
    assert losses(out) == whole


def test_a_damaged_checkpoint_is_said(
    tiny_base: Path, write: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = write(tiny_base), tmp_path / "run"
    run(recipe, out, "train.steps=2")
    content = (out / "checkpoint.pt").read_bytes()
    (out / "checkpoint.pt").write_bytes(content[: len(content) // 2])
    assert cli.main(["train", "--resume", str(out)]) == 2
    assert "checkpoint.pt is damaged" in capsys.readouterr().err
