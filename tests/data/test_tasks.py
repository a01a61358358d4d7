"""Task records: a new task is trained, planned and saved by its record and its phrasings alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from motionllm import corpus as builtin
from motionllm.config import Notes, Recipe
from motionllm.data.clips import Clip, encode
from motionllm.data.mixture import mixture, statistics
from motionllm.data.tasks import TASKS, Draw, Task, Values, phrased
from motionllm.errors import MotionLLMError
from motionllm.lm.model import MotionLM
from motionllm.shipped import find
from motionllm.tokenizer import MotionTokenizer
from motionllm.training.train import train


def count(clip: Clip, draw: Draw) -> list[Values]:
    return [{"motion": clip.codes, "steps": str(len(clip.codes) // draw.parts)}]


@pytest.fixture
def recipe(
    tiny_recipe: Callable[..., Recipe],
    tiny_base: Path,
    tiny_tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Recipe:
    """A recipe with a task that is not the project's: how many steps a motion has."""
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    record = Task(name="count", given=("motion",), answer="steps", serves=lambda clip, parts: True, fill=count)
    monkeypatch.setitem(TASKS, "count", record)
    templates = yaml.safe_load(find("templates", "default").read_text(encoding="utf-8"))
    templates["count"] = [{"user": "{motion} How many steps?", "assistant": "{steps} steps"}]
    (tmp_path / "templates.yaml").write_text(yaml.safe_dump(templates), encoding="utf-8")
    recipe = tiny_recipe(tiny_base, tiny_tokenizer, steps=2, batch=2, validate_examples=2)
    recipe.data.templates, recipe.data.tasks = str(tmp_path / "templates.yaml"), {"count": 1.0}
    recipe.data.sources[0].clips = 8
    return recipe


def test_a_new_task_is_one_record_and_its_phrasings(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run")
    lm = MotionLM.load(tmp_path / "run")
    assert lm.recipe.data.tasks == {"count": 1.0} and len(lm.templates.phrasings("count")) == 1
    motion = builtin.sample(0).load()
    assert isinstance(lm.answer("count", motion=motion), str)
    for task, given, words in (("cuont", {}, "did you mean 'count'"), ("count", {"clip": motion}, "is given motion")):
        with pytest.raises(MotionLLMError, match=words):
            lm.answer(task, **given)


def test_plans_count_as_motion_what_is_answered_by_motion(recipe: Recipe) -> None:
    recipe.data.tasks, recipe.data.notation = dict.fromkeys(phrased(), 1.0), Notes(plan=0.0)
    tokenizer = MotionTokenizer.load(recipe.model.tokenizer)
    clips = [encode(recipe.data.sources[0], "train", tokenizer, phrased(), noted=True)]
    shares = {row["task"]: row["motion_share"] for row in statistics(mixture(recipe, tokenizer, clips))["tasks"]}
    assert shares.keys() == set(phrased())
    for name, share in shares.items():
        assert share > 0.8 if TASKS[name].moves else share == 0, name
