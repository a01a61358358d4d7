"""Every recipe that ships, two steps on a tiny model and data set; and what shows a recipe before it runs."""

from __future__ import annotations

import importlib.util
import json
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from motionllm import cli, shipped
from motionllm import corpus as builtin
from motionllm.config import load_recipe
from motionllm.data.clips import encode
from motionllm.lm import adapters
from motionllm.lm.model import MotionLM
from motionllm.training.plan import plan
from motionllm.training.train import train

NAMES = [name for name in shipped.names("recipes") if not name.startswith("improve-")]  # these go on from a run


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips in HumanML3D's layout, with labels."""
    folder = tmp_path_factory.mktemp("dataset")
    for kind in ("new_joints", "texts"):
        (folder / kind).mkdir()
    labels = []
    for i in range(10):
        sample = builtin.sample(i)
        joints = builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])
        np.save(folder / "new_joints" / f"{i:03d}.npy", joints)
        (folder / "texts" / f"{i:03d}.txt").write_text("".join(f"{c}#x#0.0#0.0\n" for c in sample.captions))
        labels.append(json.dumps({"id": f"{i:03d}", "style": "proud" if i % 2 else "old"}))
    (folder / "labels.jsonl").write_text("\n".join(labels) + "\n")
    rows = [
        {"id": f"{i}", "split": "val" if i > 20 else "train", "captions": [f"a person {verb} {times} times."]}
        for i, (verb, times) in enumerate(product(("kicks", "waves", "jumps", "squats"), range(2, 9)))
    ]
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "train.txt").write_text("".join(f"{i:03d}\n" for i in range(8)))
    (folder / "val.txt").write_text("008\n009\n")
    return folder


@pytest.fixture
def words(tiny_base_wide: Path, tiny_tokenizer: Path, dataset: Path):  # type: ignore[no-untyped-def]
    """(recipe's name) → the overrides that make it tiny."""

    def words(name: str) -> list[str]:
        sources = load_recipe(shipped.find("recipes", name)).data.sources
        data = []
        for i, source in enumerate(sources):
            if source.kind in ("builtin", "captions"):
                data.append(f"data.sources.{i}.clips=20")
            if source.kind != "builtin":
                path = dataset / "captions.jsonl" if source.kind == "captions" else dataset
                data.append(f"data.sources.{i}.path={path}")
        # What starts from the shipped adapter has its base; the tiny one starts anew.
        return [
            *data,
            "adapter.start=null",
            f"model.base={tiny_base_wide}",
            f"model.tokenizer={tiny_tokenizer}",
            "train.steps=2",
            "train.minutes=null",
            "train.batch=4",
            "train.micro_batch=2",
            "train.validate_examples=6",
        ]

    return words


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_of_every_recipe(name: str, words, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["train", name, *words(name), "--out", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["steps"] == 2 and np.isfinite(result["best_validation_loss"])
    assert isinstance(MotionLM.load(tmp_path / "run").caption(builtin.sample(0).load()), str)


@pytest.mark.parametrize(
    "file", sorted((shipped.root() / "recipes" / "accelerate").glob("*.yaml")), ids=lambda f: f.stem
)
def test_configurations_of_accelerate_are_read(file: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    assert load_config_from_file(str(file)).num_processes >= 1


def test_stats_are_those_of_what_is_trained_on(words, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", "stats", "own", *words("own"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    recipe = load_recipe(shipped.find("recipes", "own"), words("own"))
    from motionllm.tokenizer import MotionTokenizer

    tokenizer = MotionTokenizer.load(recipe.model.tokenizer)
    clips = encode(recipe.data.sources[0], "train", tokenizer, list(recipe.data.tasks))
    source = said["sources"][0]
    assert source["clips"] == len(clips) == said["epoch"]["examples"] == 16  # eight, and mirrored
    assert source["seconds"] == pytest.approx(sum(len(c.codes) for c in clips) / tokenizer.codes_per_second, abs=0.1)
    assert source["captions"] == sum(len(c.sample.captions) for c in clips)
    assert source["questions"] == sum(len(c.sample.questions) for c in clips) > 0
    assert {t["task"] for t in said["tasks"]} == set(recipe.data.tasks)
    assert sum(t["share"] for t in said["tasks"]) == pytest.approx(1)
    assert sum(t["supervised_share"] for t in said["tasks"]) == pytest.approx(1)
    motion = {t["task"]: t["motion_share"] for t in said["tasks"]}
    assert {task for task, share in motion.items() if share > 0.3} == set(motion) - {"caption", "question", "length"}
    assert all(motion[task] == 0 for task in ("caption", "question", "length"))
    assert cli.main(["data", "stats", "own", *words("own")]) == 0
    assert "an epoch: 16 examples" in capsys.readouterr().out


def test_preview_marks_what_is_learned(words, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    given = ["data", "preview", "builtin", *words("builtin"), "-n", "2", "--task", "caption"]
    assert cli.main([*given, "--json"]) == 0
    for example in json.loads(capsys.readouterr().out)["examples"]:
        learned = [text for text, supervised in example["stretches"] if supervised]
        assert example["task"] == "caption" and len(learned) == 1 and learned[0].endswith("<|im_end|>")
        shown = "".join(text for text, supervised in example["stretches"] if not supervised)
        assert "<motion> " in shown and "</motion>" in shown and learned[0] not in shown
    assert cli.main(given) == 0
    assert capsys.readouterr().out.count("⟦") == 2
    assert cli.main([*given, "--colour"]) == 0
    assert capsys.readouterr().out.count("\033[32m") == 2


def test_nothing_is_trained_to_show_data(words, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    given = [*words("bandai"), "model.tokenizer=tokenizer/bandai.yaml", "--out", str(tmp_path / "run")]
    for command in (["data", "stats"], ["data", "preview"], ["train", "--dry-run"]):
        assert cli.main([*command, "bandai", *given]) == 2
        assert "would train first" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
def test_a_dry_run_counts_what_the_run_trains(
    method: str,
    words,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[no-untyped-def]
) -> None:
    given = [*words("builtin"), f"adapter.method={method}"]
    assert cli.main(["train", "builtin", *given, "--out", str(tmp_path / "run"), "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "run").exists()
    recipe = load_recipe(shipped.find("recipes", "builtin"), given)
    train(recipe, tmp_path / "run")
    from motionllm.data.templates import Templates
    from motionllm.tokenizer import MotionTokenizer

    lm = MotionLM.create(recipe, MotionTokenizer.load(recipe.model.tokenizer), Templates.load("default"))
    trained = sum(p.numel() for p in lm.model.parameters() if p.requires_grad)
    assert said["parameters"]["trained"] == trained
    assert said["memory_gib"]["optimizer"] == pytest.approx(8 * trained / 2**30)
    assert said["memory_gib"]["total"] == pytest.approx(sum(v for k, v in said["memory_gib"].items() if k != "total"))
    assert (said["steps"], said["examples"], said["epochs"]) == (2, 8, pytest.approx(8 / 20))
    assert cli.main(["train", "builtin", *given, "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    assert "optimizer" in capsys.readouterr().out


def test_tasks_that_answer_in_text_are_counted_as_text(words, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    chats = tmp_path / "chats.jsonl"
    turn = {"messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day to you."}]}
    chats.write_text(f"{json.dumps(turn)}\n" * 4)
    source = f"data.sources=[{{kind: messages, path: {chats}}}]"
    base, tokenizer = words("builtin")[2:4]
    recipe = load_recipe(shipped.find("recipes", "builtin"), [source, "data.tasks={text: 1}", base, tokenizer])
    found = plan(recipe, tmp_path / "run")
    assert [task["motion_share"] for task in found["data"]["tasks"]] == [0]
    # Logits of text are as wide as the vocabulary: counted as motion's they would be a tenth of it.
    places = min(64, 16 * found["data"]["tasks"][0]["supervised"])
    assert found["memory_gib"]["logits"] * 2**30 == pytest.approx(12 * places * 400, rel=0.2)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("train.report_to=trackio", "trackio"),
        ("data.templates=defalut", "did you mean 'default'"),
        ("data.tasks={captoin: 1}", "did you mean 'caption'"),
        ("adapter.start=nowhere", "adapter.start: no adapter 'nowhere'"),
        ("adapter.start=default", "another model of the same shape"),
        ("adapter.targets=[q_prjo]", "fits no layer of the base; give all-linear or some of down_proj"),
        ("adapter.targets=(.*.*.*.*.*.*)*x", "cannot be matched"),
        ("adapter.targets=.*(", "is no regular expression"),
        ("adapter.targets=[lm_head]", "fits lm_head, which is no linear layer of the body"),
        ("adapter.targets=.*norm", "norm, which is no linear layer of the body"),
        ("model.tokenizer=tokenizer/nome.yaml", "no motion tokenizer"),
        ("model.base=/nowhere", "there is no such folder"),
        ("data.max_length=16", "data.max_length 16 cuts off every reply"),
    ],
)
def test_the_dry_run_refuses_what_the_run_refuses(
    word: str, says: str, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(adapters, "_SECONDS", 2)
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "trackio" else there(name, *rest)
    )
    given = ["train", "builtin", *words("builtin"), word, "--out", str(tmp_path / "run")]
    for more in ([], ["--dry-run"]):
        assert cli.main([*given, *more]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert says in said, said
        assert not (tmp_path / "run" / "adapter").exists()


def test_a_dry_run_ends_with_the_minutes(  # type: ignore[no-untyped-def]
    words, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "motionllm")
    given = ["train", "builtin", *words("builtin"), "train.steps=1000000", "train.minutes=0.5", "--dry-run", "--json"]
    assert cli.main(given) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["steps"] < 1_000_000 and result["minutes"] <= 0.5
    assert result["examples"] == 4 * result["steps"]
    assert "each clip is encoded once" in caplog.text  # what takes minutes on a large set


def test_pieces_of_motion_are_learned_whatever_rows_start_from(  # type: ignore[no-untyped-def]
    words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["builtin", *words("builtin"), "model.bpe=6", "adapter.rows_init=noise"]
    assert cli.main(["train", *given, "--out", str(tmp_path / "run"), "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["parameters"]
    assert cli.main(["train", *given, "--out", str(tmp_path / "run")]) == 0
    assert planned["rows"] == len(MotionLM.load(tmp_path / "run").vocab.ids) == 2 * 16 + 2 + 6
    assert cli.main(["data", "preview", *given, "-n", "2", "--task", "caption"]) == 0
    shown = capsys.readouterr().out
    codes = re.search(r"<motion> ([\d ]+) </motion>", shown)
    assert codes and all(0 <= int(code) < 32 for code in codes[1].split())
