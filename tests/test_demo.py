"""The demo on made-up models: its tasks, scores, folder and page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import demo, demo_page
from motionllm.config import load_recipe
from motionllm.data import builtin
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion

RECIPE = Path(__file__).parents[1] / "recipes" / "demo.yaml"
EVIL = "</script><script>alert(1)</script>"


def true_motion(spec: builtin.Spec) -> np.ndarray:
    """The corpus' first motion of a specification that shows all of it; measuring is not without error."""
    takes = (builtin.joints(spec, seed) for seed in range(10))
    return next(joints for joints in takes if all(builtin.check(spec, joints).values()))


class Knowing:
    """A model that knows the truth about the tasks."""

    def __init__(self, tasks: demo.Tasks) -> None:
        self.tasks = tasks

    def generate_batch(self, texts: Sequence[str], *, seed: int | None = None) -> list[Motion]:
        return [Motion(true_motion(prompt.spec)) for prompt in self.tasks.prompts]

    def caption_batch(self, motions: Sequence[np.ndarray]) -> list[str]:
        return [sample.captions[0] for sample in self.tasks.clips]

    def ask_batch(self, motions: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        return [question.answer for _, question in self.tasks.questions]


class Ignorant:
    """A model that stands still for a second and says one thing, markup."""

    def generate_batch(self, texts: Sequence[str], *, seed: int | None = None) -> list[Motion]:
        return [Motion(np.repeat(builtin.joints(builtin.Spec((builtin.Part("stand"),)))[:1], 20, 0)) for _ in texts]

    def caption_batch(self, motions: Sequence[np.ndarray]) -> list[str]:
        return [EVIL for _ in motions]

    def ask_batch(self, motions: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        return [EVIL for _ in motions]


@pytest.fixture(scope="module")
def tasks() -> demo.Tasks:
    return demo.draw()


@pytest.fixture(scope="module")
def attempts(tasks: demo.Tasks) -> list[demo.Attempt]:
    return [
        demo.attempt("untrained", "blind", Ignorant, tasks),
        demo.attempt("shipped", "knows", lambda: Knowing(tasks), tasks),
    ]


@pytest.fixture(scope="module")
def published(
    tasks: demo.Tasks, attempts: list[demo.Attempt], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("demo")
    demo.clear(out)
    (out / "run").mkdir()
    rows = [{"step": i, "seconds": 2.0 * i, "loss": 6 / i + 1, "tokens": 800} for i in range(1, 121)]
    rows.append({"step": 120, "seconds": 240.0, "validation": {"all": 1.5}})
    (out / "run" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    training = {"steps": 120, "examples": 1920, "train_seconds": 240.0, "best_validation_loss": 1.5}
    return out, demo.publish(out, tasks, attempts, training, {"fine-tune": 240.0}, load_recipe(RECIPE))


def test_tasks_are_held_out_and_never_the_same_clip_twice(tasks: demo.Tasks) -> None:
    specs = [p.spec for p in tasks.prompts if not p.free] + [demo._spec(s) for s in tasks.clips]
    specs += [demo._spec(s) for s, _ in tasks.questions]
    assert len(specs) == 3 + 6 + 8
    assert {spec.fold() for spec in specs} == {"test"}
    assert len({spec.json().__repr__() for spec in specs}) == len(specs)
    assert [q.kind for _, q in tasks.questions] == list(demo.KINDS)


def test_free_prompts_ask_for_motion_that_the_corpus_knows() -> None:
    for text, spec in demo.FREE:
        spec.validate()
        assert len(true_motion(spec)), text


def test_scores_tell_the_knowing_from_the_ignorant(tasks: demo.Tasks, attempts: list[demo.Attempt]) -> None:
    ignorant, knowing = (demo.score(a, tasks) for a in attempts)
    assert knowing == {"motions": (6, 6), "details": (6, 6), "captions": (6, 6), "answers": (8, 8)}
    assert ignorant == {"motions": (0, 6), "details": (0, 6), "captions": (0, 6), "answers": (0, 8)}


def test_folder_holds_page_motions_and_results(published: tuple[Path, dict[str, Any]]) -> None:
    out, result = published
    assert {path.name for path in out.iterdir()} == set(demo.MADE)
    assert sorted(path.name for path in (out / "motions").iterdir()) == sorted(
        f"{n:02d}{suffix}" for n in range(1, 7) for suffix in (".bvh", ".png")
    )
    assert len(Motion.load(out / "motions" / "01.bvh")) == round(20 * result["prompts"][0]["made"][1]["seconds"])
    stored = json.loads((out / "demo.json").read_text())
    assert stored["questions"] == result["questions"]
    assert stored["models"][1]["scores"]["captions"] == [6, 6]


class _Parser(HTMLParser):
    """Elements opened, the address of whatever a browser would fetch, and text by script."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.scripts: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.fetched += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "poster")]
        self.fetched += [value or "" for name, value in attrs if tag == "link" and name == "href"]
        if tag == "script":
            self.scripts.append("")
        if tag not in ("meta", "link", "path", "polyline", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def test_page_is_well_formed_self_contained_and_safe(published: tuple[Path, dict[str, Any]]) -> None:
    text = (published[0] / "index.html").read_text(encoding="utf-8")
    parser = _Parser()
    parser.feed(text)
    assert parser.open == []
    assert parser.fetched == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", text)
    assert "<!--" not in text
    assert len(parser.scripts) == 2  # what the model said has become none
    assert text.count("&lt;/script&gt;&lt;script&gt;alert(1)") == 6 + 8


def test_page_holds_every_joint_to_a_millimetre(
    published: tuple[Path, dict[str, Any]], attempts: list[demo.Attempt]
) -> None:
    parser = _Parser()
    parser.feed((published[0] / "index.html").read_text(encoding="utf-8"))
    clips = json.loads(parser.scripts[0])
    assert len(clips) == parser.count["canvas"] == 6 + 6 + 3 * 2
    for clip, motion in zip(clips, attempts[1].motions, strict=False):
        assert clip["fps"] == 20.0
        assert np.abs(np.reshape(clip["joints"], (-1, 22, 3)) / 1000 - motion.joints).max() < 0.00051


def test_page_says_the_scores_that_were_computed(published: tuple[Path, dict[str, Any]]) -> None:
    text = (published[0] / "index.html").read_text(encoding="utf-8")
    for said in ("6 of 6 motions show the action", "6 of 6 captions name the action", "8 of 8 answers are right"):
        assert said in text
    assert text.count("<span class=of>0 of") == 4
    assert "120 steps on 1920 examples in 4.0 minutes, 400 tokens a second, validation loss 1.50 at the end" in text


def test_curve_ends_at_the_mean_of_the_last_steps() -> None:
    log = [{"step": i, "seconds": i * 1.0, "loss": float(loss)} for i, loss in enumerate([4, 4, 2, 2] * 10, 1)]
    assert ">2.00</text>" in demo_page._curve(log)
    assert demo_page._curve([]) == "<p>No step was made.</p>"


def test_an_earlier_demo_is_replaced_and_nothing_else_is_touched(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo.clear(out)
    (out / "run").mkdir()
    (out / "run" / "checkpoint.pt").write_text("old")
    (out / "notes.txt").write_text("mine")
    demo.clear(out)
    assert sorted(path.name for path in out.iterdir()) == ["demo.json", "notes.txt"]
    (out / "demo.json").unlink()
    with pytest.raises(MotionLLMError, match="no demo wrote"):
        demo.clear(out)
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(MotionLLMError, match="is a file"):
        demo.clear(out / "notes.txt")


def test_more_tasks_than_there_are_is_said() -> None:
    with pytest.raises(MotionLLMError, match="ask for fewer"):
        demo.draw(prompts=600)


def test_recipe_fits_the_time() -> None:
    recipe = load_recipe(RECIPE, ["train.minutes=1.5"])
    assert recipe.train.minutes == 1.5
    assert load_recipe(RECIPE).train.minutes == 4
