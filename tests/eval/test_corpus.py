"""The built-in evaluation: the truth scores 1, other clips' motion and words little, failures count as wrong."""

from __future__ import annotations

import hashlib
import inspect
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motionllm import cli
from motionllm import corpus as builtin
from motionllm.config import Suite, find_recipe
from motionllm.corpus import Part, Spec
from motionllm.errors import MotionLLMError
from motionllm.eval import corpus
from motionllm.eval.contestants import Model
from motionllm.eval.suites import run_suite
from motionllm.files import write_json
from motionllm.lm.generation import Judge
from motionllm.lm.model import MotionLM
from motionllm.lm.results import adapter_hash
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.skeleton import HUMANML3D

CASES = 24


class Truthful:
    """Knows the corpus by heart, and gives what belongs to the clip `shift` places further on."""

    recipe = SimpleNamespace(model=SimpleNamespace(base="none"))
    shown = "codes"
    sampling = Sampling()

    def __init__(self, shift: int = 0, cases: int = CASES) -> None:
        self.samples = builtin.corpus(cases, 0, "test")
        self.place = {s.load().tobytes(): i for i, s in enumerate(self.samples)}
        self.prompts = {s.captions[0]: i for i, s in enumerate(self.samples)}
        self.shift = shift
        self.batches: list[int] = []
        self.motion_tokenizer = SimpleNamespace(
            hash="h",
            skeleton=HUMANML3D,
            features=lambda motion: np.zeros((len(motion), 263)),
            encode=lambda features: features,
            decode=lambda features: Motion(features_to_joints(features)),
        )

    def of(self, index: int) -> builtin.Sample:
        return self.samples[(index + self.shift) % len(self.samples)]

    def generate_batch(
        self,
        texts: Sequence[str],
        seconds: None,
        seed: int,
        *,
        sampling: Sampling,
        judge: Judge | None = None,
        plan: Any = None,
    ) -> list[Motion]:
        self.batches.append(len(texts))
        if judge:
            judge(texts, [[0]] * len(texts))
        found = [self.of(self.prompts[text]).labels for text in texts]
        return [Motion(builtin.joints(Spec.of(labels["spec"]), labels["seed"])) for labels in found]

    def caption_batch(self, motions: Sequence[np.ndarray]) -> list[str]:
        return [self.of(self.place[m.tobytes()]).captions[-1] for m in motions]

    def ask_batch(self, motions: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        answers = []
        for motion, text in zip(motions, questions, strict=True):
            known = {q.text: q.answer for q in self.of(self.place[motion.tobytes()]).questions}
            answers.append(known.get(text, "I do not know"))
        return answers


def evaluate(lm: Any, cases: int, batch: int = 32, progress: Any = None, judge: Judge | None = None) -> dict[str, Any]:
    suite = find_recipe("eval", "builtin", [f"cases={cases}", f"batch={batch}"], Suite)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(MotionLM, "untrained", classmethod(lambda cls, name: lm))
        model = Model("untrained:one", suite)
        model.judge = judge
        return run_suite(suite, model, Path(folder), progress)


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return evaluate(Truthful(), CASES, batch=10)


def test_a_judge_sees_prompts_alone() -> None:
    seen: list[str] = []

    def judge(texts: Sequence[str], made: Sequence[Sequence[int]]) -> list[float]:
        seen.extend(texts)
        return [0.0] * len(texts)

    model = Truthful(cases=4)
    evaluate(model, 4, batch=3, judge=judge)  # type: ignore[arg-type]
    assert seen == [sample.captions[0] for sample in model.samples]


@pytest.mark.parametrize("method", ["generate_batch", "caption_batch", "ask_batch"])
def test_the_stand_in_is_called_as_a_model_is(method: str) -> None:
    def parameters(of: type) -> list[str]:
        return list(inspect.signature(getattr(of, method)).parameters)

    # A model may take more than an evaluation asks for, by keyword.
    assert set(parameters(Truthful)) <= set(parameters(MotionLM))
    assert parameters(Truthful)[:3] == parameters(MotionLM)[:3]


def test_the_truth_scores_1(truth: dict[str, Any]) -> None:
    made, said, answers = truth["generation"], truth["captions"], truth["answers"]
    assert {made[k] for k in ("action", "side", "direction", "count", "order", "asked", "all_of")} == {1.0}
    assert {said[k] for k in ("action", "side", "direction", "all_of", "everything")} == {1.0}
    assert said["text"]["raw"]["bleu4"] == pytest.approx(1.0)
    assert answers["right"] == 1.0 and {kind["right"] for kind in answers["kinds"].values()} == {1.0}
    assert answers["questions"] == sum(kind["questions"] for kind in answers["kinds"].values())
    assert truth["failures"] == {"generation": 0, "captions": 0, "answers": 0}
    assert made["bounds"]["true"] == {k: v for k, v in made.items() if k != "bounds"}
    # Features hold one frame less, so a count or an order on the edge may go.
    assert made["bounds"]["tokenized"]["all_of"] > 0.9


def test_another_clips_motion_and_words_score_little(truth: dict[str, Any]) -> None:
    wrong = evaluate(Truthful(shift=1), CASES, batch=10)
    assert wrong["generation"]["all_of"] < 0.3 and wrong["captions"]["all_of"] < 0.2
    assert wrong["answers"]["right"] < 0.2
    # The bound "shuffled" is this very model's score, turned the other way round.
    assert truth["captions"]["bounds"]["shuffled"] == {
        k: v for k, v in wrong["captions"].items() if k not in ("bounds", "text")
    }
    assert wrong["protocol"]["cases_hash"] == truth["protocol"]["cases_hash"]
    assert wrong["generation"]["cases"] == truth["generation"]["cases"]


def test_the_majority_is_what_always_the_same_answer_scores(truth: dict[str, Any]) -> None:
    yes_no = truth["answers"]["kinds"]["yesno"]
    lm = Truthful()
    lm.ask_batch = lambda motions, questions: [yes_no["majority_answer"]] * len(questions)  # type: ignore[method-assign]
    found = evaluate(lm, CASES)["answers"]
    assert found["kinds"]["yesno"]["right"] == yes_no["majority"] >= 0.5
    assert found["right"] == pytest.approx(yes_no["majority"] * yes_no["questions"] / found["questions"])


def test_failures_are_counted_and_wrong(truth: dict[str, Any]) -> None:
    class Refusing(Truthful):
        def generate_batch(self, texts: Sequence[str], *rest: Any, **more: Any) -> list[Motion]:  # type: ignore[override]
            if self.samples[3].captions[0] in texts:
                raise MotionLLMError("no")
            motions = super().generate_batch(texts, *rest, **more)
            # Two codes or fewer: a motion too short to be measured.
            return [
                Motion(m.joints[:4]) if t == self.samples[5].captions[0] else m
                for t, m in zip(texts, motions, strict=True)
            ]

        def caption_batch(self, motions: Sequence[np.ndarray]) -> list[str]:
            raise MotionLLMError("no")

    lm = Refusing()
    shown: list[float] = []
    result = evaluate(lm, CASES, batch=10, progress=lambda done, **numbers: shown.append(done))
    assert shown == sorted(shown) and shown[-1] == 1.0
    assert result["failures"] == {"generation": 2, "captions": CASES, "answers": 0}
    assert result["generation"]["action"] == pytest.approx((CASES - 2) / CASES)
    assert result["generation"]["cases"] == truth["generation"]["cases"]
    assert result["captions"]["action"] == 0.0 == result["captions"]["text"]["raw"]["rouge_l"]
    assert lm.batches == [1] * 9 + [10, 4]  # the refused batch was done again, one by one
    assert result["examples"][3]["generated"] is None and result["examples"][5]["generated"]["has"] is None


def test_a_case_fails_all_of_by_side_or_direction_alone() -> None:
    specs = [
        Spec((Part("wave", "left", count=2),)),
        Spec((Part("walk", direction="forward"),)),
        Spec((Part("stand"),)),
        Spec((Part("turn", direction="left"), Part("clap")), "then"),
    ]
    shares = corpus.shares(
        specs,
        [
            {"action": True, "side": False, "count": True},
            {"action": True, "direction": True},
            {"action": True},
            None,
        ],
    )
    assert shares == {
        "action": 0.75,
        "side": 0.0,
        "direction": 0.5,
        "count": 1.0,
        "order": 0.0,
        "asked": 4 / 7,
        "facts": 5 / 9,
        "all_of": 0.5,
        "everything": 0.5,
        "cases": {"action": 4, "side": 1, "direction": 2, "count": 1, "order": 1},
    }


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a person waves the left hand while walking forward", (True, True, True)),
        ("a person walks forward and waves their left hand", (True, True, True)),
        ("a person walks backward waving their right hand", (True, False, False)),
        ("a person walks forward", (False, False, True)),
        ("a person waves", (False, False, False)),
        ("", (False, False, False)),
    ],
)
def test_what_a_caption_names(text: str, right: tuple[bool, bool, bool]) -> None:
    spec = Spec((Part("walk", direction="forward"), Part("wave", "left")), "while")
    named = corpus.names_rightly(spec, text)
    assert named == dict(zip(("action", "side", "direction"), right, strict=True))


def test_a_result_is_json_and_says_what_was_measured(truth: dict[str, Any], tmp_path: Path) -> None:
    assert json.loads(json.dumps(truth, allow_nan=False)) == truth
    assert truth["versions"]["motionllm"] and truth["protocol"]["seed"] == 0 and truth["protocol"]["cases"] == CASES
    first = truth["examples"][0]
    assert first["prompt"] in first["true_captions"] and first["answers"] and all(a["right"] for a in first["answers"])
    write_json(tmp_path / "new" / "r.json", truth)
    assert json.loads((tmp_path / "new" / "r.json").read_text(encoding="utf-8")) == truth
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["r.json"]
    with pytest.raises(MotionLLMError, match="cannot be written"):
        write_json(tmp_path / "new", truth)
    assert [p.name for p in tmp_path.iterdir()] == ["new"]


def test_seed_and_cases_decide_what_is_asked() -> None:
    a, b = (corpus.draw_questions(builtin.corpus(6, seed, "test"), seed) for seed in (0, 0))
    assert a == b and a != corpus.draw_questions(builtin.corpus(6, 1, "test"), 1)
    assert len({(clip, q.kind) for clip, q in a}) == len(a)
    with pytest.raises(MotionLLMError, match="and 1 fit"):
        evaluate(Truthful(cases=2), 1)


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(MotionLM, "load", classmethod(lambda cls, name: Truthful(cases=6)))
    monkeypatch.setattr(MotionLM, "untrained", classmethod(lambda cls, name: Truthful(shift=1, cases=6)))
    adapter, out = tmp_path / "adapter", tmp_path / "result.json"
    adapter.mkdir()
    argv = ["eval", "builtin", "--model", str(adapter), "--cases", "6"]
    assert cli.main(argv) == 2
    assert "is no motionllm adapter" in capsys.readouterr().err
    assert cli.main([*argv, "--out", str(adapter)]) == 2
    assert "is a folder" in capsys.readouterr().err
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (adapter / "motion_vocab.json").write_text('{"tokenizer_hash": "of one"}')
    assert cli.main([*argv, "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert (result["model"], result["untrained"], result["generation"]["asked"]) == (str(adapter), False, 1.0)
    assert result["adapter"] == adapter_hash(adapter) and len(result["adapter"]) == 16
    assert cli.main([*argv, "--untrained", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["untrained"] and result["adapter"] is None and result["generation"]["asked"] < 1.0
    assert cli.main(argv) == 0
    assert "everything" in capsys.readouterr().out


def test_a_whole_model_is_told_by_its_weights_too(tmp_path: Path) -> None:
    (tmp_path / "motion_vocab.json").write_text('{"tokenizer_hash": "of one"}')
    for name, weights in (
        ("model-00001-of-00002.safetensors", b"first"),
        ("model-00002-of-00002.safetensors", b"second"),
    ):
        (tmp_path / name).write_bytes(weights)
    assert adapter_hash(tmp_path) == hashlib.sha256(b"firstsecond").hexdigest()[:16]
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"third")
    assert adapter_hash(tmp_path) == hashlib.sha256(b"firstthird").hexdigest()[:16]
    with pytest.raises(MotionLLMError, match="is no motionllm adapter"):
        adapter_hash(tmp_path.parent)
