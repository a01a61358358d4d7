"""Suites: real data first, failures counted, the same file twice, and a killed run that goes on."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motionllm import cli
from motionllm import corpus as builtin
from motionllm.config import Suite
from motionllm.data.tasks import TASKS
from motionllm.errors import MotionLLMError
from motionllm.eval import contestants, suites
from motionllm.eval.classifier import Classifier
from motionllm.eval.report import tables
from motionllm.eval.suite_tasks import SUITE_TASKS
from motionllm.eval.suites import run_suite
from motionllm.lm.model import MotionLM
from motionllm.motion.features import features_to_joints

CASES, SEED = 24, 1  # a corpus whose first captions are 24 different ones


def suite(embedder: Path, **changed: Any) -> Suite:
    tree = {
        "name": "small",
        "task": "text_to_motion",
        "data": {"kind": "builtin", "clips": 60, "seed": SEED},
        "cases": CASES,
        "embedder": str(embedder),
        "group": 8,
        "pairs": 16,
        "replications": 2,
        "batch": 10,
    }
    return Suite(**(tree | changed))


class Truthful:
    """Makes what is true of the clip that a text or its features belong to."""

    name, about = "truthful", {"model": "truthful", "adapter": "0" * 16}

    def __init__(self, refuses: Sequence[int] = (), dies_after: int = 10**9) -> None:
        self.samples = builtin.corpus(CASES, SEED, "test")
        self.place = {s.captions[0]: i for i, s in enumerate(self.samples)}
        self.refuses, self.left, self.batches = set(refuses), dies_after, 0

    def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Any]:
        if any(self.place[text] in self.refuses for text in texts):
            raise MotionLLMError("no")
        if self.left == 0:
            raise KeyboardInterrupt
        self.left, self.batches = self.left - 1, self.batches + 1
        noise = np.random.default_rng(seed)
        made = []
        for text in texts:
            features = self.samples[self.place[text]].load()
            features = features + 1e-3 * noise.normal(size=features.shape).astype(np.float32)
            made.append((features, features_to_joints(features)))
        return made

    def of(self, features: np.ndarray) -> builtin.Sample:
        return next(s for s in self.samples if np.array_equal(s.load(), features))

    def captions(self, features: Sequence[np.ndarray]) -> list[str]:
        return [self.of(f).captions[0] for f in features]

    def answers(self, features: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        return [
            {q.text: q.answer for q in self.of(f).questions}[text] for f, text in zip(features, questions, strict=True)
        ]


@pytest.fixture
def enters(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets who is measured."""
    return lambda one: monkeypatch.setattr(suites, "contestant", lambda name, suite, engine: one)


def test_the_truth_scores_as_real_data_does(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(Truthful())
    shown: list[float] = []
    result = run_suite(suite(tiny_embedder), "truthful", tmp_path / "out", lambda done, **now: shown.append(done))
    assert shown == sorted(shown) and shown[-1] == 1.0
    real, made = result["real"], result["made"]
    assert made["fid"]["mean"] < 0.01 and real["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    for key in ("r1", "r2", "r3", "mm_dist", "diversity"):
        assert made[key]["mean"] == pytest.approx(real[key]["mean"], abs=0.05)
    assert made["asked"]["mean"] > 0.9 and result["failures"] == 0
    assert real["agreement"]["mean"] == 1 and made["agreement"]["mean"] > 0.98
    assert made["duration"]["mean_abs_s"] == 0
    assert made["r1"]["ci95"] > 0  # replications group and shuffle anew
    assert result == json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    with np.load(tmp_path / "out" / "samples.npz") as samples:
        assert samples["real0"].shape == samples["made0"].shape and samples["fps"] == 20


def test_one_seed_gives_one_file_and_a_killed_run_goes_on_to_it(
    tiny_embedder: Path, enters: Any, tmp_path: Path
) -> None:
    files = []
    for name in ("a", "b"):
        enters(Truthful())
        run_suite(suite(tiny_embedder), "truthful", tmp_path / name)
        files.append((tmp_path / name / "result.json").read_bytes())
    assert files[0] == files[1]
    enters(killed := Truthful(dies_after=4))
    with pytest.raises(KeyboardInterrupt):
        run_suite(suite(tiny_embedder), "truthful", tmp_path / "c")
    assert not (tmp_path / "c" / "result.json").exists() and killed.batches == 4
    enters(resumed := Truthful())
    run_suite(suite(tiny_embedder), "truthful", tmp_path / "c")
    assert resumed.batches == 2  # of 2 × 3
    assert (tmp_path / "c" / "result.json").read_bytes() == files[0]
    enters(other := Truthful())
    run_suite(suite(tiny_embedder, seed=1), "truthful", tmp_path / "c")
    assert other.batches == 6  # another seed's parts are not these
    assert (tmp_path / "c" / "result.json").read_bytes() != files[0]


def test_failures_are_counted_and_are_misses(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(Truthful())
    whole = run_suite(suite(tiny_embedder), "truthful", tmp_path / "a")
    enters(Truthful(refuses=range(0, 8)))
    some = run_suite(suite(tiny_embedder), "truthful", tmp_path / "b")
    assert some["failures"] == 2 * 8
    assert some["made"]["r3"]["mean"] <= 2 / 3
    assert some["made"]["asked"]["mean"] < whole["made"]["asked"]["mean"]
    assert some["protocol"] == whole["protocol"]
    enters(Truthful(refuses=range(0, 20)))
    with pytest.raises(MotionLLMError, match="Only 4 of 24 motions could be measured"):
        run_suite(suite(tiny_embedder), "truthful", tmp_path / "c")


def test_real_data_that_fails_stops_the_suite(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(nobody := Truthful())
    strict = suite(tiny_embedder, expect={"fid": (0.0, 1e-3), "diversity": (5.0, 9.0)})
    with pytest.raises(MotionLLMError, match=r"self-check of suite small failed: real data scores diversity"):
        run_suite(strict, "truthful", tmp_path / "out")
    assert nobody.batches == 0 and not (tmp_path / "out").exists()
    with pytest.raises(MotionLLMError, match="expects 'r9'"):
        run_suite(suite(tiny_embedder, expect={"r9": (0.0, 1.0)}), "truthful", tmp_path / "out")
    with pytest.raises(MotionLLMError, match="24 clips of the test split, and 0 fit"):
        run_suite(suite(tiny_embedder, frames=(500, 600)), "truthful", tmp_path / "out")


def test_length_mode_and_multimodality(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    class Short(Truthful):
        def motions(self, texts: Sequence[str], seconds: Sequence[float] | None, seed: int) -> list[Any]:
            assert seconds is not None and len(seconds) == len(texts)
            every = super().motions(texts, seconds, seed)
            assert [len(f) / 20 for f, _ in every] == pytest.approx(list(seconds))
            return [(features[:-4], joints[:-4]) for features, joints in every]

    enters(Short())
    more = {"texts": 5, "repeats": 4, "pairs": 3}
    result = run_suite(suite(tiny_embedder, length="given", multimodality=more), "truthful", tmp_path / "out")
    assert result["made"]["duration"]["mean_s"] == pytest.approx(-0.2)
    assert 0 < result["made"]["multimodality"] < 0.2 < result["made"]["diversity"]["mean"]
    assert result["protocol"]["length"] == "given" and result["protocol"]["multimodality"]["repeats"] == 4


def test_captions_and_questions(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(Truthful())
    said = run_suite(suite(tiny_embedder, task="captioning"), "truthful", tmp_path / "a")
    assert said["text"]["raw"]["bleu4"] == pytest.approx(1.0) and said["made"] == said["real"]
    answers = run_suite(suite(tiny_embedder, task="questions"), "truthful", tmp_path / "b")
    assert answers["answers"]["exact"] == answers["answers"]["understood"] == 1.0
    assert 0 < answers["text_only"]["exact"] < 1 and answers["protocol"]["embedder"] is None

    class Silent(Truthful):
        def captions(self, features: Sequence[np.ndarray]) -> list[str]:
            raise MotionLLMError("no")

    enters(Silent())
    none = run_suite(suite(tiny_embedder, task="captioning"), "silent", tmp_path / "c")
    assert none["failures"] == CASES and none["text"]["raw"]["rouge_l"] == 0


def test_every_record_names_a_measure() -> None:
    assert {task.suite for task in TASKS.values()} - {""} <= set(SUITE_TASKS)


def test_other_tasks_in_words_are_compared_with_the_truth(
    trained_run: tuple[Path, Path], tiny_embedder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "2.4 seconds"
    monkeypatch.setattr(MotionLM, "say", lambda lm, questions: [said] * len(questions))
    name, tokenizer = str(trained_run[0]), MotionLM.load(trained_run[0]).motion_tokenizer
    found = run_suite(suite(tiny_embedder, task="length"), name, tmp_path / "a")
    codes = [tokenizer.encode(sample.load()) for sample in builtin.corpus(CASES, SEED, "test")]
    seconds = [f"{len(c) / tokenizer.codes_per_second:.1f} seconds" for c in codes]
    assert found["answers"]["exact"] == seconds.count(said) / CASES > 0
    assert found["answers"]["majority"] == max(map(seconds.count, seconds)) / CASES
    (table,) = tables([found])
    assert table["rows"][0][0] == "always the commonest answer"
    said = "a person waves"
    found = run_suite(suite(tiny_embedder, task="forecast", cases=4), name, tmp_path / "b")
    assert 0 < found["text"]["raw"]["rouge_l"] < 1 and found["answers"]["questions"] == 4
    for task, words in (("caption", "task: captioning"), ("lenght", "did you mean 'length'"), ("mirror", "there are")):
        with pytest.raises(MotionLLMError, match=words):
            run_suite(suite(tiny_embedder, task=task), name, tmp_path / "c")


def test_baselines_are_training_clips(tiny_embedder: Path, tmp_path: Path) -> None:
    settings = suite(tiny_embedder, replications=1)
    train = builtin.corpus(60, SEED, "train")
    nearest = contestants.Baseline("baseline:nearest", settings)
    texts = [train[i].captions[-1] for i in (3, 11)]
    for text, (features, joints) in zip(texts, nearest.motions(texts, None, 0), strict=True):
        assert any(text in s.captions and np.array_equal(s.load(), features) for s in train)
        assert len(joints) == len(features)
    assert nearest.captions([train[7].load()]) == [train[7].captions[0]]
    anyone = contestants.Baseline("baseline:random", settings)
    clips = [sample.load() for sample in train[:12]]
    said = anyone.captions(clips)
    assert anyone.captions(clips[5:]) == said[5:] and len(set(said)) > 6  # by the clip, whatever came before
    rows = {name: run_suite(settings, name, tmp_path / name[9:]) for name in ("baseline:random", "baseline:nearest")}
    for key in ("asked", "agreement"):
        assert rows["baseline:nearest"]["made"][key]["mean"] > rows["baseline:random"]["made"][key]["mean"]
    with pytest.raises(MotionLLMError, match="baselines are baseline:random, baseline:nearest"):
        contestants.Baseline("baseline:best", settings)
    with pytest.raises(MotionLLMError, match="give a model"):
        nearest.answers([], [])


def test_tokenizer_suite(tiny_embedder: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    result = run_suite(suite(tiny_embedder, task="tokenizer"), str(tiny_tokenizer), tmp_path / "out")
    made = result["made"]
    assert made["codes"] == 32 and 0 <= made["dead"] < 32 and 1 <= made["perplexity"] <= 32
    assert 0 < made["pa_mpjpe_mm"] < made["root_aligned_mpjpe_mm"] < made["mpjpe_mm"]
    assert made["fid"] > 0 and result["failures"] == 0


def test_a_classifier_reads_labels_off_embeddings() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(3, 6))
    labels = [["walk", "run", "bow"][i % 3] for i in range(90)]
    found = np.stack([centres[i % 3] for i in range(90)]) + 0.1 * draw.normal(size=(90, 6))
    classifier = Classifier.fit(found, labels)
    assert classifier.accuracy == 1.0 and classifier.classes == ["bow", "run", "walk"]
    assert classifier(centres) == ["walk", "run", "bow"]
    shuffled = [labels[i] for i in draw.permutation(90)]
    assert Classifier.fit(found, shuffled).accuracy < 0.7
    with pytest.raises(MotionLLMError, match="two classes"):
        Classifier.fit(found, ["walk"] * 90)


def labelled(place: Path) -> Path:
    """A set of 16 train and 16 test clips in HumanML3D's layout, whose label is the action."""
    for part in ("new_joint_vecs", "texts"):
        (place / part).mkdir(parents=True)
    rows, listed = [], {"train": [], "test": []}  # type: ignore[var-annotated]
    for number in range(32):
        action, split = ("wave", "jump")[number % 2], ("train", "test")[number // 16]
        name = f"{number:06d}"
        joints = builtin.joints(builtin.Spec((builtin.Part(action, side="left" if action == "wave" else ""),)), number)
        from motionllm.motion.features import joints_to_features

        np.save(place / "new_joint_vecs" / f"{name}.npy", joints_to_features(joints))
        tagged = f"someone {action}s {number}.#someone/PRON {action}/VERB#0.0#0.0"
        (place / "texts" / f"{name}.txt").write_text(tagged + "\n", encoding="utf-8")
        rows.append(json.dumps({"id": name, "content": action}))
        listed[split].append(name)
    for split, names in listed.items():
        (place / f"{split}.txt").write_text("\n".join(names), encoding="utf-8")
    (place / "labels.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return place


def test_labels_and_the_standard_evaluator_on_a_set(tiny_embedder: Path, tmp_path: Path) -> None:
    place = labelled(tmp_path / "set")
    data = {"kind": "humanml3d", "path": str(place)}
    settings = {"data": data, "cases": None, "group": 8, "pairs": 16, "labels": ["content"], "captions": "drawn"}
    own = run_suite(suite(tiny_embedder, **settings), "baseline:nearest", tmp_path / "own")
    assert own["real"]["label_content"]["mean"] > 0.9
    assert own["made"]["label_content"]["mean"] > 0.9  # "jumps" is nearest to "jumps"
    assert own["classifiers"]["content"] == {"classes": 2, "train": 1.0}
    assert "asked" not in own["made"]

    evaluator = _test_evaluator().save(tmp_path / "evaluator")
    standard = suite(tiny_embedder, **settings).model_copy(update={"embedder": f"standard:{evaluator}"})
    found = run_suite(standard, "baseline:random", tmp_path / "standard")
    assert found["protocol"]["embedder"]["kind"] == "standard" and found["made"]["fid"]["mean"] > 0
    said = run_suite(standard.model_copy(update={"task": "captioning"}), "baseline:random", tmp_path / "said")
    assert said["real"] and 0 < said["text"]["raw"]["bleu1"] < 1
    noted = run_suite(standard.model_copy(update={"task": "captioning"}), "baseline:notation", tmp_path / "noted")
    assert noted["failures"] == 0 and noted["text"]["raw"]["rouge_l"] > 0.2
    assert all(row["said"].startswith("a person ") for row in noted["examples"])


def _test_evaluator() -> SimpleNamespace:
    import importlib.util

    spec = importlib.util.spec_from_file_location("layout", Path(__file__).with_name("test_evaluator.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return SimpleNamespace(save=module.save)


def test_a_trained_run_by_command_line(
    trained_run: tuple[Path, Path], tiny_embedder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"embedder={tiny_embedder}", "cases=10", "group=5", "pairs=8", "replications=1", "expect={}", "batch=4"]
    argv = ["eval", "text-to-motion", *words, "--model", str(trained_run[0]), "--out", str(tmp_path / "a"), "--json"]
    assert cli.main(argv) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["protocol"]["cases"] == 10 and len(result["adapter"]) == 16
    argv = [
        "eval",
        "text-to-motion",
        *words,
        "length=given",
        "--model",
        str(trained_run[0]),
        "--out",
        str(tmp_path / "c"),
    ]
    assert cli.main([*argv, "--json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["made"]["duration"]["worst_s"] == pytest.approx(0, abs=1e-9)
    assert given["made"]["seconds"]["mean"] == pytest.approx(given["real"]["seconds"]["mean"])
    assert cli.main(["eval", "text-to-motoin", "--model", "x"]) == 2
    assert "did you mean 'text-to-motion'" in capsys.readouterr().err
    assert cli.main(["eval", "questions", "grup=3"]) == 2
    assert "did you mean 'group'" in capsys.readouterr().err
    argv = ["eval", "captioning", *words, "--model", str(trained_run[0]), "--out", str(tmp_path / "b")]
    assert cli.main(argv) == 0
    assert "| R@1 ↑|" in capsys.readouterr().out.replace("|R@1", "| R@1")


def test_commands_of_the_page_run(
    trained_run: tuple[Path, Path],
    tiny_base: Path,
    tiny_embedder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """docs/evaluation.md as it stands there, with settings of seconds behind each command."""
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    lines = re.findall(r"^motionllm eval (.*)$", page, re.MULTILINE)
    place = labelled(tmp_path / "set")
    (place / "val.txt").write_text((place / "test.txt").read_text())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "default").symlink_to(trained_run[0])
    small = ["cases=8", "group=4", "pairs=4", "replications=1", "expect={}", "batch=4", "data.clips=40"]
    for line in lines:
        words = shlex.split(line.replace("FOLDER", str(place)))
        if words[0] == "train-embedder":
            words += ["sources.0.clips=80", f"base={tiny_base}", "layer=1", "width=16", "train.steps=3"]
        elif words[0] != "report":
            words += small if "embedder=" in line else [*small, f"embedder={tiny_embedder}"]
        assert cli.main(["eval", *words]) == 0, line
    assert len(lines) == 10 and (tmp_path / "results.html").stat().st_size > 1000
    assert (tmp_path / "results.md").read_text().count("### ") >= 6
