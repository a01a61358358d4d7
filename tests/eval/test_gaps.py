"""Prediction and in-between: what is given, the baselines by hand, and whole runs of the two suites."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import cli
from motionllm import corpus as builtin
from motionllm.config import Suite, check_recipe
from motionllm.errors import MotionLLMError
from motionllm.eval import gaps, suite_tasks, suites
from motionllm.eval.gaps import Gap
from motionllm.eval.suites import run_suite
from motionllm.motion.features import features_to_joints
from motionllm.motion.splicing import rotated

TASKS = ("prediction", "in_between")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    every = (sample.load() for sample in builtin.corpus(24, 1, "test"))
    return [clip for clip in every if len(clip) >= 64]


def test_what_is_given_is_a_share_in_whole_units(clips: list[np.ndarray]) -> None:
    features = clips[0][:60]
    first = gaps.gap(features, "prediction", 0.2, "x")
    assert (first.first, first.last) == (12, 60) and first.fps == 20
    both = gaps.gap(features, "in_between", 0.5, "x")
    assert (both.first, both.last) == (12, 48)
    assert (gaps.gap(features[:16], "prediction", 0.01, "x").first) == 4
    assert (gaps.gap(features[:16], "prediction", 0.99, "x").first) == 12
    most = gaps.gap(features[:16], "in_between", 0.99, "x")
    assert (most.first, most.last) == (4, 12)
    for gap in (first, both):
        asked = slice(gap.first, gap.last)
        assert np.isnan(gap.features[asked]).all() and np.isnan(gap.joints[asked]).all()
        assert np.array_equal(gap.features[: gap.first], features[: gap.first])
        assert np.array_equal(gap.joints[gap.last :], features_to_joints(features)[gap.last :])
    assert np.isfinite(features).all()


def test_baselines_by_hand(clips: list[np.ndarray]) -> None:
    features = clips[2][:60]
    true = features_to_joints(features)
    gap = gaps.gap(features, "in_between", 0.5, "x")
    held, line = gaps.hold(gap), gaps.linear(gap)
    assert np.array_equal(held[12:48], np.broadcast_to(true[11], (36, 22, 3)))
    assert line[12] == pytest.approx(true[11] + (true[48] - true[11]) / 37)
    assert np.diff(line[11:49], axis=0) == pytest.approx(
        np.broadcast_to((true[48] - true[11]) / 37, (37, 22, 3)), abs=1e-5
    )
    for filled in (held, line, gaps.from_clip(gap, clips[2])):
        assert np.array_equal(filled[:12], true[:12]) and np.array_equal(filled[48:], true[48:])
        assert gaps.filled(gap, filled)[0].shape == (59, 263)
    with pytest.raises(MotionLLMError, match="a pose on either side"):
        gaps.linear(gaps.gap(features, "prediction", 0.2, "x"))
    assert np.abs(gaps.from_clip(gap, clips[2]) - true).max() < 1e-5
    train = gaps.Clips(clips)
    for number, clip in enumerate(train.clips):
        noisy = clip[:60] + 1e-3 * np.random.default_rng(number).normal(size=(60, 263)).astype(np.float32)
        assert train.nearest(gaps.gap(noisy, "in_between", 0.5, "x")) is clip
    with pytest.raises(MotionLLMError, match="No training clip is as long as 400 frames"):
        train.nearest(gaps.gap(np.zeros((400, 263), np.float32), "prediction", 0.2, "x"))


def test_measures_are_of_the_frames_asked_for(clips: list[np.ndarray]) -> None:
    features = clips[3][:60]
    true = features_to_joints(features).astype(np.float64)
    gap = gaps.gap(features, "prediction", 0.2, "x")
    nothing = gaps.measures(gap, rotated(true, np.array(2.0)) + np.array([3, 0, 1]), true)
    assert nothing["ade"] < 1e-5 and nothing["fde"] < 1e-5 and nothing["root_aligned_mpjpe_mm"] < 0.01
    wrong = true.copy()
    wrong[:11] += 5.0  # given, and before the frame that is laid on
    wrong[12:36] += [0.3, 0.0, 0.4]
    wrong[-1, :, 1] += 0.25
    found = gaps.measures(gap, wrong, true)
    assert found["ade"] == pytest.approx((24 * 0.5 + 0.25) / 48) and found["fde"] == pytest.approx(0.25)
    assert found["root_aligned_mpjpe_mm"] == pytest.approx(0, abs=1e-6)
    still = gaps.measures(gap, np.broadcast_to(true[11], true.shape), true)
    assert still["jerk"] == 0 and gaps.measures(gap, gaps.hold(gap), true)["jerk"] > 0  # the seam


# -- runs ------------------------------------------------------------------------------------------------------

CASES, SEED = 24, 1


def suite(embedder: Path, task: str, **changed: Any) -> Suite:
    tree = {
        "name": "small",
        "task": task,
        "data": {"kind": "builtin", "clips": 60, "seed": SEED},
        "cases": CASES,
        "embedder": str(embedder),
        "group": 8,
        "pairs": 16,
        "replications": 2,
        "batch": 10,
        "captions": "none",
        "given": 0.2 if task == "prediction" else 0.5,
    }
    return Suite(**(tree | changed))


class Knowing:
    """Puts back what was there, a little noisy; dies after some batches, or makes some too short."""

    name, about = "knowing", {"model": "knowing", "adapter": "0" * 16}

    def __init__(self, dies_after: int = 10**9, short: Sequence[int] = ()) -> None:
        every = [sample.load() for sample in builtin.corpus(CASES, SEED, "test")]
        self.clips = [clip[: len(clip) // 4 * 4] for clip in every]
        self.left, self.short, self.batches, self.texts = dies_after, short, 0, set[str]()

    def fillings(self, asked: Sequence[Gap], seed: int) -> list[Any]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left, self.batches = self.left - 1, self.batches + 1
        random, made = np.random.default_rng(seed), []
        for gap in asked:
            self.texts.add(gap.text)
            number = next(
                i
                for i, clip in enumerate(self.clips)
                if len(clip) == len(gap.features) and np.array_equal(clip[: gap.first], gap.features[: gap.first])
            )
            features = self.clips[number] + 1e-4 * random.normal(size=self.clips[number].shape).astype(np.float32)
            features = features[:-4] if number in self.short else features
            made.append((features, features_to_joints(features)))
        return made


@pytest.fixture
def enters(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets who is measured."""
    return lambda one: monkeypatch.setattr(suites, "contestant", lambda name, suite, engine: one)


@pytest.mark.parametrize("task", TASKS)
def test_the_truth_has_no_error(task: str, tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(knowing := Knowing())
    result = run_suite(suite(tiny_embedder, task), "knowing", tmp_path / "a")
    made, real = result["made"], result["real"]
    assert max(real["ade"]["mean"], real["fde"]["mean"]) < 1e-12 and real["fid"]["mean"] < 1e-6
    assert made["ade"]["mean"] < 0.02 and made["fid"]["mean"] < 0.01 and result["failures"] == 0
    assert made["jerk"]["mean"] == pytest.approx(real["jerk"]["mean"], rel=0.2)
    assert knowing.texts == {suite_tasks.WORDLESS} and result["protocol"]["captions"] == "none"
    enters(told := Knowing())
    first = run_suite(suite(tiny_embedder, task, captions="first"), "knowing", tmp_path / "b")
    assert len(told.texts) > 20 and first["protocol"] != result["protocol"]


def test_one_seed_one_file_and_a_killed_run_goes_on_to_it(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        enters(Knowing())
        run_suite(suite(tiny_embedder, "in_between"), "knowing", tmp_path / name)
        files.append((tmp_path / name / "result.json").read_bytes())
    enters(Knowing(dies_after=4))
    with pytest.raises(KeyboardInterrupt):
        run_suite(suite(tiny_embedder, "in_between"), "knowing", tmp_path / "c")
    assert not (tmp_path / "c" / "result.json").exists()
    enters(resumed := Knowing())
    run_suite(suite(tiny_embedder, "in_between"), "knowing", tmp_path / "c")
    assert resumed.batches == 2  # of 2 × 3
    assert files[0] == files[1] == (tmp_path / "c" / "result.json").read_bytes()


def test_a_result_of_another_model_or_suite_is_not_replaced(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(Knowing())
    run_suite(suite(tiny_embedder, "in_between"), "knowing", tmp_path)
    was = (tmp_path / "result.json").read_bytes()
    for task, model in (("in_between", "another"), ("prediction", "knowing")):
        with pytest.raises(MotionLLMError, match=r"is of the model knowing in the suite .+; give another --out"):
            run_suite(suite(tiny_embedder, task), model, tmp_path)
    assert (tmp_path / "result.json").read_bytes() == was
    run_suite(suite(tiny_embedder, "in_between"), "knowing", tmp_path)  # made anew


def test_a_clip_of_another_length_is_a_failure(tiny_embedder: Path, enters: Any, tmp_path: Path) -> None:
    enters(Knowing(short=[0, 5]))
    result = run_suite(suite(tiny_embedder, "prediction"), "knowing", tmp_path / "a")
    assert result["failures"] == 2 * 2 and result["made"]["ade"]["mean"] < 0.02
    enters(Knowing(short=range(20)))
    with pytest.raises(MotionLLMError, match="Only 4 of 24 clips could be filled"):
        run_suite(suite(tiny_embedder, "prediction"), "knowing", tmp_path / "b")


def test_baselines_stand_as_they_must(tiny_embedder: Path, tmp_path: Path) -> None:
    ade = {}
    for name in ("hold", "linear", "nearest"):
        found = run_suite(suite(tiny_embedder, "in_between", replications=1), f"baseline:{name}", tmp_path / name)
        ade[name] = found["made"]["ade"]["mean"]
        assert found["failures"] == 0 and found["made"]["fid"]["mean"] > 0
    assert 0 < ade["linear"] < ade["hold"]
    with pytest.raises(MotionLLMError, match="no baseline:linear of prediction; baselines are baseline:hold, base"):
        run_suite(suite(tiny_embedder, "prediction"), "baseline:linear", tmp_path / "x")
    with pytest.raises(MotionLLMError, match="`captions: none` is of prediction and in_between"):
        check_recipe(suite(tiny_embedder, "prediction").model_dump() | {"task": "text_to_motion"}, Suite, "s")


@pytest.mark.parametrize("name", ["prediction", "in-between"])
def test_a_trained_run_by_command_line(
    name: str, trained_run: tuple[Path, Path], tiny_embedder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        f"embedder={tiny_embedder}",
        "cases=6",
        "group=5",
        "pairs=4",
        "replications=1",
        "expect={}",
        "batch=4",
        "data.clips=40",
    ]
    for model in (str(trained_run[0]), "baseline:hold"):
        out = tmp_path / Path(model).name.replace(":", "-")
        assert cli.main(["eval", name, *words, "--model", model, "--out", str(out), "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["failures"] == 0 and result["made"]["ade"]["mean"] > 0.01
    assert cli.main(["eval", "report", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "|ADE m ↓|FDE m ↓|" in shown and shown.count("### ") == 1 and "no caption" in shown
    share = "20 % of each clip, its beginning" if name == "prediction" else "50 % of each clip, its two ends"
    assert share in shown and "| real data | 0.000 | 0.000 | 0.0 | 0.000 |" in shown
