"""How fast the shipped adapter writes motion: side by side, beside plain `generate`, and until the first frames."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from motionllm import MotionLM
from motionllm import generate as decoding

TEXT, SECONDS = "a person walks forward and waves with the left hand", 6.0


def clock(work: Callable[[], object], times: int = 2) -> float:
    """Seconds of one call, the mean of `times` after one to warm up."""
    work()
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


@pytest.mark.slow
def test_motion_seconds_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    lm = MotionLM.load("default", tokenizer="causal")
    one = clock(lambda: lm.generate(TEXT, SECONDS, seed=1, best_of=1))
    sixteen = clock(lambda: lm.generate_batch([TEXT] * 16, [SECONDS] * 16, 1, best_of=1))
    codes = int(SECONDS * lm.motion_tokenizer.codes_per_second)
    order = lm._order(TEXT, SECONDS, [], [])
    bounds = ([order.prompt], [order.least], [order.most])
    ours = clock(lambda: decoding.motions(lm.model, lm.vocab, *bounds, 0.8, 0.95, seed=1))
    ids = torch.tensor([[*order.prompt, lm.vocab.start_id]])
    length = {"min_new_tokens": codes, "max_new_tokens": codes}
    plain = clock(lambda: lm.model.generate(ids, do_sample=True, temperature=0.8, top_p=0.95, pad_token_id=0, **length))
    first = {}
    for name in ("default", "causal"):
        streaming = lm if name == "causal" else MotionLM.load("default")
        first[name] = clock(lambda lm=streaming: next(lm.stream(TEXT, SECONDS, seed=1)))  # type: ignore[misc]
    with capsys.disabled():
        print(f"\nseconds of motion a second: {SECONDS / one:.2f} alone, {16 * SECONDS / sixteen:.1f} in a batch of 16")
        print(f"the same number of tokens: {ours:.2f} s, plain generate {plain:.2f} s")
        print("first frames after " + ", ".join(f"{seconds:.2f} s ({name})" for name, seconds in first.items()))
    assert SECONDS / one >= 4
    assert 16 * one / sixteen >= 5
    assert ours < plain
    assert first["causal"] < 1
