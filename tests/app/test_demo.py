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

from motionllm import cli
from motionllm import corpus as builtin
from motionllm.app import demo, demo_page
from motionllm.config import Network, Recipe, load_recipe
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.tokenizer import MotionTokenizer

RECIPE = Path(__file__).parents[2] / "recipes" / "demo.yaml"
EVIL = "</script><script>alert(1)</script>"
LONG = EVIL + " and so on" * 20


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
        return [LONG for _ in motions]


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
    training = {"run": "demo/run", "steps": 120, "examples": 1920, "train_seconds": 240.0, "best_validation_loss": 1.5}
    return out, demo.publish(out, tasks, attempts, training, {"fine-tune": 240.0}, load_recipe(RECIPE))


def test_tasks_are_held_out_and_never_the_same_clip_twice(tasks: demo.Tasks) -> None:
    specs = [p.spec for p in tasks.prompts if not p.free] + [demo._spec(s) for s in tasks.clips]
    specs += [demo._spec(s) for s, _ in tasks.questions]
    assert len(specs) == 3 + 6 + 8
    assert {spec.fold() for spec in specs} == {"test"}
    asked = [*tasks.clips, *(sample for sample, _ in tasks.questions)]
    assert len({sample.id for sample in asked}) == 6 + 8
    assert not {p.text for p in tasks.prompts} & {caption for sample in asked for caption in sample.captions}
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
    assert demo_page.curve(log)["final"] == pytest.approx(2.0) and demo_page.curve([]) == {}


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


def test_the_page_names_verbs_and_recipes_that_there_are(published: tuple[Path, dict[str, Any]]) -> None:
    text = (published[0] / "index.html").read_text(encoding="utf-8")
    commands = text[text.index("<pre>") : text.index("</pre>")]
    assert set(re.findall(r"motionllm (\w+)", commands)) <= set(cli.VERBS)
    assert all((RECIPE.parents[1] / path).is_file() for path in re.findall(r"recipes/\w+\.yaml", commands))
    assert "--model <i>demo/run</i>" in commands


@pytest.fixture
def tiny(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of two steps on a tiny base with an untrained motion tokenizer."""
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    features = np.concatenate([builtin.sample(i).load() for i in range(6)])
    MotionTokenizer(Network(width=16, blocks=1, codes=16, code_dim=8), features.mean(0), features.std(0) + 0.05).save(
        tmp_path / "tokenizer"
    )
    return load_recipe(
        RECIPE,
        [
            f"model.base={tiny_base}",
            f"model.tokenizer={tmp_path / 'tokenizer'}",
            "data.sources.0.clips=20",
            "train.steps=2",
            "train.batch=4",
            "train.validate_examples=4",
        ],
    )


def test_the_whole_demo_on_a_tiny_model(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from motionllm.lm import decoding
    from motionllm.training.train import train

    # An untrained model loops; kept from it, it takes second choices, which are so near that merging decides them.
    monkeypatch.setattr(decoding, "repeating", lambda ids: [])

    train(tiny, tmp_path / "adapter")
    out = tmp_path / "demo"
    result = demo.run(tiny, out, adapter=str(tmp_path / "adapter"))
    assert result["page"] == out / "index.html" and result["training"]["steps"] == 2
    assert [m["name"] for m in result["models"]] == ["untrained", "fine-tuned", "shipped"]
    assert result["total_seconds"] == pytest.approx(sum(result["seconds"].values()), abs=0.5)
    # The same adapter twice over: what was trained here is what was shipped, so both say the same.
    assert [q["said"][1] for q in result["questions"]] == [q["said"][2] for q in result["questions"]]
    assert [c["said"][1] for c in result["clips"]] == [c["said"][2] for c in result["clips"]]


def test_a_missing_adapter_is_said_before_an_earlier_demo_is_touched(tiny: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo.clear(out)
    (out / "index.html").write_text("old")
    with pytest.raises(MotionLLMError, match="no adapter 'nowhere'"):
        demo.run(tiny, out, adapter="nowhere")
    assert (out / "index.html").read_text() == "old"


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_the_verb_prints_path_and_times(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def run(recipe: Recipe, out: Path) -> dict[str, Any]:
        asked.extend([recipe.train.minutes, out])
        return {"page": out / "index.html", "seconds": {"fine-tune": 60.0}, "total_seconds": 61.0}

    monkeypatch.setattr(demo, "run", run)
    assert cli.main(["demo", "--out", str(tmp_path), "--minutes", "1.5", *words]) == 0
    assert asked == [1.5, tmp_path]
    said = capsys.readouterr().out
    if words:
        assert json.loads(said)["page"] == str(tmp_path / "index.html")
    else:
        assert said.splitlines() == ["   60.0 s  fine-tune", "   61.0 s  in all", str(tmp_path / "index.html")]


def test_a_long_answer_folds_between_words_and_stays_whole() -> None:
    said = demo_page.fold({"text": LONG, "right": False})
    assert said["rest"] and len(said["first"]) <= 80 and f"{said['first']} {said['rest']}" == LONG
    assert demo_page.fold({"text": "short", "right": True})["rest"] == ""
