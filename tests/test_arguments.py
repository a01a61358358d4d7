"""Arguments of the Python API: whatever a caller gives in the place of a number, a path or a text is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motionllm import arguments
from motionllm.errors import MotionLLMError
from motionllm.lm import decoding
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion

# Values of every kind that a caller may have at hand; each check takes some of them and refuses the others.
ANYTHING: list[Any] = [
    *(None, True, 0, 3, -1, 10**400, 1.5, float("nan"), float("inf"), "hot", "3", "", b"x", "\ud800", "a\0b"),
    *([], [1], [1, [2]], {}, {"a": 1}, object(), Path("a"), lambda: 1, iter("ab"), (x for x in (1, 2))),
    *(np.int64(3), np.float32(1.5), np.bool_(True), np.array(3), np.array([1, 2]), np.array(["a"]), np.array(None)),
    *(torch.tensor(3), torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(2, 22, 3, dtype=torch.bfloat16)),
    *(torch.ones(2, device="meta"), np.ones((2, 22, 3))),
]
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
        (lambda: arguments.seed([1], 2), "seed has 1, where 2 are needed: one for each."),
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
