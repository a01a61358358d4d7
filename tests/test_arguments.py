"""Arguments of the Python API: whatever a caller gives in the place of a number, a path or a text is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motionllm import arguments, corpus
from motionllm.errors import MotionLLMError
from motionllm.lm import decoding
from motionllm.lm.model import MotionLM
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation

# Values of every kind that a caller may have at hand; each check takes some of them and refuses the others.
ANYTHING: list[Any] = [
    *(None, True, 0, 3, -1, 10**400, 1.5, float("nan"), float("inf"), "hot", "3", "", b"x", "\ud800", "a\0b"),
    *([], [1], [1, [2]], {}, {"a": 1}, object(), Path("a"), lambda: 1, iter("ab"), (x for x in (1, 2))),
    *(np.int64(3), np.float32(1.5), np.bool_(True), np.array(3), np.array([1, 2]), np.array(["a"]), np.array(None)),
    *(torch.tensor(3), torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(2, 22, 3, dtype=torch.bfloat16)),
    *(torch.ones(2, device="meta"), np.ones((2, 22, 3))),
]
JOINTS = features_to_joints(corpus.sample(0, split="val").load()[:60])
PLAN = Notation(2.0, ("standing", "standing"))
CHECKS: dict[str, Any] = {
    "whole_number": lambda x: arguments.whole_number(x, "n", 0, 5),
    "number": lambda x: arguments.number(x, "n", -5, 5),
    "path": lambda x: arguments.path(x, "file"),
    "text": lambda x: arguments.text(x, "text"),
    "texts": lambda x: arguments.texts(x, "texts"),
    "items": lambda x: arguments.items(x, "items", 2),
    "seed": arguments.seed,
    "seeds": lambda x: arguments.seed(x, 2),
    "scores": lambda x: arguments.scores(x, "scores", 2),
    "array": lambda x: arguments.array(x, "array"),
    "temperature": lambda x: Sampling(temperature=x),
    "top_k": lambda x: Sampling(top_k=x),
    "best_of": lambda x: Sampling(best_of=x),
    "guidance": lambda x: Sampling(guidance=x),
    "generators": lambda x: decoding.generators(x, 2),
    "joints": Motion,
    "fps": lambda x: Motion(np.ones((2, 22, 3)), fps=x),
    "resample": lambda x: Motion(np.ones((2, 22, 3))).resample(x),
    "cut": lambda x: Motion(np.ones((2, 22, 3))).cut(x),
    "cut to": lambda x: Motion(np.ones((2, 22, 3))).cut(0, x),
    "scaled": lambda x: Motion(np.ones((2, 22, 3))).scaled(x),
    "load": Motion.load,
    "save": lambda x: Motion(np.ones((2, 22, 3))).save(x),
}


@pytest.fixture(scope="module")
def model(trained_run: tuple[Path, Path]) -> MotionLM:
    return MotionLM.load(trained_run[0])


@pytest.mark.parametrize("check", CHECKS)
def test_anything_is_taken_or_refused_in_one_sentence(check: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ANYTHING:
        try:
            CHECKS[check](value)
        except MotionLLMError as error:
            assert "\n" not in str(error) and str(error).rstrip().endswith((".", ";", "]"))


def test_numbers_of_numpy_are_numbers() -> None:
    assert arguments.whole_number(np.int64(3), "n") == 3 and type(arguments.whole_number(np.uint8(3), "n")) is int
    assert arguments.number(np.float32(0.5), "x") == 0.5
    assert arguments.seed(np.int32(7)) == 7 and arguments.seed(np.array([1, 2]), 2) == [1, 2]
    assert arguments.texts((word for word in ("a", "b")), "texts") == ["a", "b"]
    first, second = (decoding.generators(seed, 2)[1].random() for seed in (7, np.int64(7)))
    assert first == second


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: arguments.whole_number(1.5, "n", 1), "n is 1.5; give a whole number of at least 1."),
        (lambda: arguments.whole_number(0, "n", 1), "n is 0; give a whole number of at least 1."),
        (lambda: arguments.number("hot", "temperature"), "temperature is 'hot'; give a number."),
        (lambda: arguments.seed(-1), "seed is -1; give a whole number of at least 0."),
        (lambda: arguments.seed([1], 2), "seed has 1, where 2 are needed: one for each text."),
        (lambda: arguments.texts("walk", "texts"), "texts is 'walk'; give a list, one for each."),
        (
            lambda: Motion(np.ones((5, 22, 3))).cut(7),
            "There is no frame from frame 7 to the end: the clip has 5, from 0",
        ),
        (
            lambda: Motion(np.ones((5, 22, 3)), fps="20"),
            "fps is '20'; frames a second above 0 are needed, as a number.",
        ),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_said(wrong: Any, says: str) -> None:
    with pytest.raises(MotionLLMError) as caught:
        wrong()
    assert str(caught.value).startswith(says)


def test_tensors_are_arrays() -> None:
    joints = torch.rand(4, 22, 3, requires_grad=True)
    assert np.array_equal(Motion(joints).joints, joints.detach().numpy())  # type: ignore[arg-type]
    assert len(Motion(joints.bfloat16())) == 4  # type: ignore[arg-type]


# A call of each method of a model with arguments that it takes; each of them is replaced by anything, one at a time.
TAKEN: dict[str, dict[str, Any]] = {
    "generate": dict(text="a person waves", seconds=1.0, n=1, seed=0, best_of=1, temperature=1.0, top_p=0.9, top_k=3)
    | dict.fromkeys(("guidance", "library", "sampling", "start", "end", "judge", "plan")),
    "generate_batch": dict(texts=["a person waves"], seconds=[1.0], seed=[0], best_of=1)
    | dict.fromkeys(("sampling", "start", "end", "judge", "plan")),
    "stream": dict(text="a person waves", seconds=1.0, seed=0) | dict.fromkeys(("sampling", "start", "plan", "codes")),
    "caption": dict(motion=JOINTS),
    "captions": dict(motion=JOINTS, n=2, seed=0, temperature=0.7, top_p=0.9, top_k=0),
    "caption_batch": dict(motions=[JOINTS]),
    "timeline": dict(motion=JOINTS, every=1.0, window=2.0, batch=2),
    "ask": dict(motion=JOINTS, question="what?"),
    "ask_batch": dict(motions=[JOINTS], questions=["what?"]),
    "answer": dict(task="caption", motion=JOINTS),
    "notation": dict(motion=JOINTS),
    "edit": dict(motion=JOINTS, request="slower", seed=0, best_of=1, sampling=None),
    "changes": dict(plans=[PLAN], requests=["slower"]),
    "replan": dict(plan=PLAN, change="slower", seed=0, sampling=None),
    "queried": dict(questions=["what?"]),
    "chat": dict(messages=[{"role": "user", "content": "hello"}], seconds=1.0, seed=0, sampling=None, plan=None),
    "talk": dict(messages=[{"role": "user", "content": "hello"}], seed=0, longest=2, sampling=None),
    "moves": dict(messages=[{"role": "user", "content": "hello"}]),
    "bodily": dict(line="hello"),
}
MESSAGES: list[Any] = [
    *(["a"], [{}], [{"role": "user"}], [{"content": "a"}], [{"role": "x", "content": "a"}]),
    *([{"role": "user", "content": one}] for one in (3, None, ["a"], [{}], [{"type": "text"}], [{"type": "motion"}])),
    [{"role": "user", "content": [{"type": "motion", "codes": "x"}, {"type": "text", "text": "what?"}]}],
    [{"role": "user", "content": [{"type": "motion", "codes": [1.5]}, {"type": "text", "text": "what?"}]}],
]
SPANS: list[Any] = [(float("nan"), 2), (2, float("nan")), (None, 3), (3, 2), (1, 2, 3), "12", ("1", "2"), (0.0, 1)]


@pytest.mark.parametrize("method", TAKEN)
def test_a_model_takes_anything_or_refuses_it_in_one_sentence(method: str, model: MotionLM) -> None:
    for name in TAKEN[method]:
        more = {"messages": MESSAGES, "seconds": SPANS}.get(name, [])
        for value in [*ANYTHING, *more, [JOINTS, JOINTS], Motion(JOINTS)]:
            value = [*value] if isinstance(value, list) else value  # which `stream` appends to
            try:
                made = getattr(model, method)(**{**TAKEN[method], name: value})
                list(made) if method == "stream" else None
            except MotionLLMError as error:
                assert "\n" not in str(error), (name, value, error)
            except Exception as error:
                raise AssertionError(f"{method}({name}={value!r}): {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("span", [span for span in SPANS] + [float("nan"), float("inf"), True, "3", -1])
def test_no_length_is_made_of_what_is_none(span: Any, model: MotionLM) -> None:
    with pytest.raises(MotionLLMError, match="seconds"):
        model.order("a person waves", span, [], [])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda lm: lm.caption_batch(JOINTS), r"motions is a single motion; give a list of them.*\[motion\]"),
        (lambda lm: lm.caption_batch(Motion(JOINTS)), "motions is a single motion"),
        (lambda lm: lm.ask_batch([JOINTS], ["a?", "b?"]), "questions has 2, where 1 is needed: one for each motion."),
        (lambda lm: lm.generate_batch(["a", "b"], start=[JOINTS]), "start has 1, where 2 are needed: one for each"),
        (lambda lm: lm.generate("a", plan=3), "plan is 3; give a Notation, the text of one"),
        (lambda lm: lm.timeline(JOINTS, batch=0), "batch is 0; give a whole number of at least 1"),
        (lambda lm: lm.generate("a", sampling={"top_p": 1}), "sampling is .*; give a Sampling"),
        (lambda lm: lm.generate("a", library="mine.jsonl"), "library is 'mine.jsonl'; give True or False"),
        (lambda lm: lm.chat([]), "There is no message to reply to"),
        (lambda lm: lm.motion_tokenizer.decode([1.5, 2]), "Codes are whole numbers, not float64"),
        (lambda lm: setattr(lm, "shown", "all"), "shown is 'all'; give one of codes, notation, both"),
        (lambda lm: Motion(JOINTS, skeleton="smpl"), "skeleton is 'smpl'; give HUMANML3D"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_with_a_call_is_said(call: Any, says: str, model: MotionLM) -> None:
    with pytest.raises(MotionLLMError, match=says):
        call(model)
