"""The second adapter, for tasks of text alone: it is stored beside the first, carried on, and used for these alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionllm import corpus as builtin
from motionllm.config import Notes, Recipe, load_recipe
from motionllm.errors import MotionLLMError
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import WEIGHTS, read_adapter
from motionllm.lm.model import MotionLM
from motionllm.lm.results import adapter_hash
from motionllm.lm.text_adapter import FOLDER, TextAdapter
from motionllm.training.train import train

QUESTIONS = ["Does she kick?", "how many steps are there", "what happens first?"]


@pytest.fixture(scope="module")
def text_run(
    tiny_base: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer, steps=8, lr=2e-2)
    recipe.data.tasks, recipe.data.notation = {"query": 1.0, "edit": 1.0}, Notes()
    run = tmp_path_factory.mktemp("runs") / "text"
    train(recipe, run)
    return run


@pytest.fixture(scope="module")
def both(
    text_run: Path,
    tiny_base: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """Two runs of one recipe, without and with a second adapter."""
    runs = []
    for name, text in (("alone", None), ("both", str(text_run))):
        recipe = tiny_recipe(tiny_base, tiny_tokenizer, steps=2, store="bfloat16")
        recipe.data.notation, recipe.adapter.text = Notes(), text
        runs.append(tmp_path_factory.mktemp("runs") / name)
        train(recipe, runs[-1])
    return runs[0], runs[1]


def test_it_does_the_tasks_of_text_and_no_others(both: tuple[Path, Path], text_run: Path) -> None:
    alone, lm, text = (MotionLM.load(run) for run in (*both, text_run))
    assert not alone.queries and lm.queries and lm.edits
    expected = text.say([text.asking("query", question=q) for q in QUESTIONS])
    prompts = [lm.writer.asking("query", question=q) for q in QUESTIONS]
    assert lm.writer.say(prompts) == expected != alone.say(prompts)
    assert lm.queried(QUESTIONS) == text.queried(QUESTIONS)
    clip = builtin.sample(0, split="val").load()
    assert lm.caption(clip) == alone.caption(clip)
    assert len({adapter_hash(run) for run in (*both, text_run)}) == 3
    ours, theirs = (one.generate("a person walks", 1.0, seed=3) for one in (lm, alone))
    assert np.array_equal(ours.joints, theirs.joints)  # type: ignore[union-attr]


def test_a_task_that_only_the_first_learned_stays_with_it(both: tuple[Path, Path]) -> None:
    lm = MotionLM.load(both[1])
    assert lm.text is not None and lm.doing("query") is lm.writer is not lm
    del lm.text.recipe.data.tasks["edit"]
    assert not lm.edits
    lm.recipe.data.tasks["edit"] = 1.0
    assert lm.edits and lm.doing("edit") is lm and lm.doing("query") is lm.writer


def test_a_run_that_starts_from_it_keeps_it(
    both: tuple[Path, Path],
    tiny_base: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
) -> None:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer, steps=1, store="bfloat16")
    recipe.adapter.start = str(both[1])
    train(recipe, tmp_path / "run")
    for file in (both[1] / "adapter" / FOLDER).iterdir():
        assert (tmp_path / "run" / "adapter" / FOLDER / file.name).read_bytes() == file.read_bytes(), file.name


def test_of_the_motion_rows_it_has_the_delimiters(both: tuple[Path, Path], text_run: Path) -> None:
    folder, vocab = both[1] / "adapter" / FOLDER, MotionVocab.load(both[1] / "adapter")
    rows = json.loads((folder / "adapter_config.json").read_text())["trainable_token_indices"]
    assert rows == [vocab.start_id, vocab.end_id]
    stored, trained = TextAdapter.load(folder, vocab).tensors, TextAdapter.of(text_run, "unused", vocab.base).tensors
    assert stored.keys() == trained.keys() and any("token_adapter" in name for name in stored)
    assert all(torch.equal(stored[name], trained[name].bfloat16().float()) for name in stored)
    whole = read_adapter(text_run / "adapter", load_recipe(text_run / "recipe.yaml").adapter, vocab)
    for name, rows in whole.items():
        assert torch.equal(trained[name], rows[:2] if "token_adapter" in name else rows), name


def test_plans_are_written_by_it_where_it_learned_to(both: tuple[Path, Path], text_run: Path) -> None:
    lm, text = MotionLM.load(both[1]), MotionLM.load(text_run)

    def plans(one: MotionLM) -> list[str]:
        return [str(one.plan("a person walks", 8.0, seed, temperature=2.0, top_p=1.0)) for seed in range(6)]

    assert lm.text is not None and not lm.text.plans and plans(lm) != plans(text)
    lm.text.recipe.data.tasks["text_to_motion"] = 1.0
    assert lm.text.plans and plans(lm) == plans(text)


@pytest.mark.parametrize("harm", ["cut short", "no recipe", "rows", "rank", "link"])
def test_a_damaged_one_is_refused(both: tuple[Path, Path], tmp_path: Path, harm: str) -> None:
    copied = tmp_path / "adapter"
    shutil.copytree(both[1] / "adapter", copied)
    folder = copied / FOLDER
    if harm == "cut short":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-10])
    elif harm == "no recipe":
        (folder / "recipe.yaml").unlink()
    elif harm == "rows":  # the first adapter's weights, which hold motion rows
        shutil.copy(copied / WEIGHTS, folder / WEIGHTS)
    elif harm == "rank":
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 2}))
    else:
        outside = tmp_path / "outside.safetensors"
        shutil.move(folder / WEIGHTS, outside)
        (folder / WEIGHTS).symlink_to(outside)
    with pytest.raises(MotionLLMError, match=str(copied)):
        MotionLM.load(copied)


def test_one_of_another_base_is_refused(
    text_run: Path, tiny_base_untied: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe(tiny_base_untied, tiny_tokenizer, steps=1)
    recipe.adapter.text = str(text_run)
    with pytest.raises(MotionLLMError, match="was trained on a base"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "adapter").exists()
