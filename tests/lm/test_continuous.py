"""Continuous batching: motions and texts are those of a batch, whatever the number of slots and who is beside whom."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from motionllm.lm import continuous, decoding, slots
from motionllm.lm.decoding import Request
from motionllm.lm.model import MotionLM
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.lm.spelling import notations
from motionllm.motion import grammar

HOT = Sampling(temperature=1.5, top_p=0.9)


@pytest.fixture(scope="module")
def lm(trained_run: tuple[Path, Path]) -> MotionLM:
    return MotionLM.load(trained_run[0])


@pytest.fixture
def model(lm: MotionLM) -> Any:
    """The model without its layers for CPUs, and without slots of other tests."""
    plain = copy.deepcopy(lm.model)
    return plain.to("cuda") if torch.cuda.is_available() else plain


def prompt_of(lm: MotionLM, text: str) -> list[int]:
    return lm.renderer([{"role": "user", "content": text}], reply=True).ids


def motions(model: Any, lm: MotionLM, requests: list[Request], sampling: Sampling, **more: Any) -> list[list[int]]:
    codes = [list(request.given) for request in requests]
    for place in continuous.places(model, lm.vocab, requests, sampling, **more):
        for own, gained in zip(codes, place, strict=True):
            own.extend(gained)
    return codes


def requests_of(lm: MotionLM) -> list[Request]:
    words = ["a person walks", "he waves with both hands and then sits", "jump", "a man kicks with the left foot twice"]
    made = [Request(prompt_of(lm, words[i % 4]), 1 + i % 3, 2 + i) for i in range(9)]
    made[3] = Request(made[3].prompt, 4, 6, given=decoding.motions(lm.model, lm.vocab, made[:1], GREEDY)[0][:2])
    return made


@pytest.mark.parametrize("width", [1, 3, 512])
@pytest.mark.parametrize("sampling", [GREEDY, HOT])
def test_motions_are_those_of_a_batch(width: int, sampling: Sampling, lm: MotionLM, model: Any) -> None:
    requests = requests_of(lm)
    expected = decoding.motions(model, lm.vocab, requests, sampling, seed=4)
    assert motions(model, lm, requests, sampling, seed=4, width=width) == expected
    assert len({len(codes) for codes in expected}) > 3


def test_guided_motions_take_two_slots_each(lm: MotionLM, model: Any) -> None:
    requests = [Request(r.prompt, r.min_steps, r.max_steps, unconditional=prompt_of(lm, "")) for r in requests_of(lm)]
    guided = Sampling(temperature=1.0, top_p=1.0, guidance=2.5)
    expected = decoding.motions(model, lm.vocab, requests, guided, seed=1)
    assert motions(model, lm, requests, guided, seed=1, width=5) == expected


def test_each_motion_slides_by_itself(lm: MotionLM, model: Any) -> None:
    requests = [Request(prompt_of(lm, "walk"), size, size) for size in (23, 5, 19, 40)]
    alone = [decoding.motions(model, lm.vocab, [request], GREEDY, window=16)[0] for request in requests]
    assert motions(model, lm, requests, GREEDY, window=16, width=2) == alone


def test_texts_are_those_of_a_batch(lm: MotionLM, model: Any) -> None:
    prompts = [prompt_of(lm, text) for text in ("a", "what is it, and how does it go on?", "say it", "why", "who")]
    for sampling in (GREEDY, HOT):
        given = {"stop": lm._stop, "sampling": sampling, "max_tokens": 12, "seed": 2}
        expected = decoding.texts(model, lm.vocab, prompts, **given)  # type: ignore[arg-type]
        assert continuous.texts(model, lm.vocab, prompts, width=2, **given) == expected  # type: ignore[arg-type]


def test_notations_are_those_of_a_batch_however_long(lm: MotionLM, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuous, "ROOM", 4)  # they outgrow what they are given first
    spelling, begun = lm.backend.spelling, [grammar.begin(0.4, high, 3) for high in (1.0, 2.0, 0.6, 3.0)]  # type: ignore[attr-defined]
    prompts = [[*prompt_of(lm, text), lm.vocab.start_id] for text in ("a", "he walks and then sits", "say", "why")]
    given = (model, lm.vocab, spelling, prompts, begun, HOT)
    expected = drained(notations(*given, seed=3))
    assert drained(continuous.notations(*given, seed=3, width=2)) == expected
    assert len({len(text) for text in expected}) > 1


def test_a_motion_that_ends_makes_room_for_another(lm: MotionLM, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    real = slots.Slots.step
    monkeypatch.setattr(
        slots.Slots, "step", lambda self, some, ids: (steps.append(len(some)), real(self, some, ids))[1]
    )
    prompt = prompt_of(lm, "walk")
    requests = [Request(prompt, size, size) for size in (12, 2, 2, 2, 2, 2, 2)]
    motions(model, lm, requests, GREEDY, width=2)
    assert len(steps) <= 12 * lm.vocab.parts and max(steps) == 2  # in fixed pairs it would take 18 steps of time


def test_slots_serve_the_next_call_and_grow(lm: MotionLM, model: Any) -> None:
    body, short = slots.body_of(model), [Request(prompt_of(lm, "walk"), 2, 2)] * 3
    motions(model, lm, short, GREEDY)
    first = body.__dict__[slots._NAME]
    motions(model, lm, short[:1], GREEDY)
    assert body.__dict__[slots._NAME] is first
    with torch.inference_mode():
        first.admit([0], [prompt_of(lm, "walk")], more=200)  # as after a plan longer than was foreseen
    assert first.room >= 200 and first.cache.keys[0].shape[2] == first.seen.shape[1] == first.room
    assert motions(model, lm, short, GREEDY) == decoding.motions(model, lm.vocab, short, GREEDY)
    assert body.__dict__[slots._NAME] is first
    closed = continuous.places(model, lm.vocab, short, GREEDY)
    next(closed)
    closed.close()  # what was interrupted is not handed on
    assert slots._NAME not in body.__dict__
    assert copy.deepcopy(model) is not None


def test_recording_a_step_takes_none(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, with a graph that runs the step again; while it is recorded the step runs, too."""
    if torch.cuda.is_available():
        pytest.skip("a GPU has graphs of its own")
    replays: list[slots.Slots] = []
    stream = SimpleNamespace(wait_stream=lambda _: None)
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: stream)
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: nullcontext())
    real = slots.Slots.__init__

    def recording(self: slots.Slots, *given: Any) -> None:
        real(self, *given)
        graph = SimpleNamespace(replay=lambda: (replays.append(self), self._step()))
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
        self.records = True

    monkeypatch.setattr(slots.Slots, "__init__", recording)
    assert slots.difference(model) < 1e-3 and len(replays) == 3

    def fails(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", fails)
    assert slots.difference(model) < 1e-3 and len(replays) == 3  # it goes without


def test_slots_are_for_gpus_and_for_weights_that_stay(model: Any, trained_run: tuple[Path, Path]) -> None:
    assert slots.suits(model) and slots.fits(model) == torch.cuda.is_available()
    assert slots.difference(model) < 5e-2 / 50  # where it is too large, decoding goes without them
    assert not slots.suits(MotionLM.load(trained_run[0], merge=False).model)  # an adapter may be switched off
    next(model.parameters()).requires_grad_()
    assert not slots.suits(model)
    model.requires_grad_(False)
    slots.body_of(model).config.layer_types = ["sliding_attention", "full_attention"]
    assert not slots.suits(model)
