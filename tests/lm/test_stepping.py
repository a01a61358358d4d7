"""The fast way through a decoder gives what transformers' own layers give, and is taken only where it fits."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from motionllm.language.bases import load_base
from motionllm.lm import cached, decoding, stepping

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


@pytest.fixture(params=["tied", "untied"])
def model(request: pytest.FixtureRequest, tiny_base: Path, tiny_base_untied: Path) -> Iterator[Any]:
    """A tiny Llama, and a tiny Qwen2, whose queries have biases."""
    yield load_base(tiny_base if request.param == "tied" else tiny_base_untied)[0]


def hidden(model: Any, prompts: list[list[int]], ids: list[list[int]]) -> torch.Tensor:
    """(steps, n, d) after the prompts and after each id put behind them."""
    with torch.inference_mode():
        decoder = decoding.CachedModel(model, prompts)
        return torch.stack([decoder.start(), *(decoder.step(torch.tensor(step)) for step in ids)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_are_those_of_the_layers(model: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16, where oneDNN's layers do without it")
    monkeypatch.setattr(stepping, "ROOM", 3)  # the buffers grow several times
    model.to(dtype)
    prompts, ids = [[5, 6, 7], [9], [4, 5]], [[10 + i, 20 + i, 30 + i] for i in range(8)]
    for some in (slice(0, 3), slice(1, 2)):  # padded, and alone
        slow = hidden(model, prompts[some], [step[some] for step in ids])
        stepping.pack(model.get_decoder())
        assert stepping.packed(model.get_decoder())
        fast = hidden(model, prompts[some], [step[some] for step in ids])
        del model.get_decoder()._motionllm_packed
        tolerance = 1e-5 if dtype == torch.float32 else 0.06
        torch.testing.assert_close(fast, slow, rtol=tolerance, atol=tolerance)
        assert not torch.equal(fast, torch.zeros_like(fast))


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_several_tokens_at_once_are_those_one_by_one(
    model: Any, fast: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "ROOM", 3)
    if fast:
        stepping.pack(model.get_decoder())
    prompts, more = [[5, 6, 7], [9], [4, 5]][:rows], [[[10, 11, 12], [20], [30, 31]], [[13], [21], [32, 33]]]
    with torch.inference_mode():
        together = decoding.CachedModel(model, prompts)
        together.start()
        for step in more:
            most = max(len(ids) for ids in step[:rows])
            ids = torch.tensor([[0] * (most - len(one)) + one for one in step[:rows]])
            hidden_ = together.step(
                ids, torch.tensor([[0] * (most - len(one)) + [1] * len(one) for one in step[:rows]])
            )
            for row in range(rows):
                before = [one for earlier in more[: more.index(step)] for one in earlier[row]]
                alone = decoding.CachedModel(model, [prompts[row]])
                expected = [alone.start(), *(alone.step(torch.tensor([one])) for one in [*before, *step[row]])][-1]
                torch.testing.assert_close(hidden_[row], expected[0], rtol=1e-5, atol=1e-5)


def test_rows_may_leave(model: Any) -> None:
    prompts, steps = [[5, 6, 7], [9], [4, 5]], [[10, 20, 30], [11, 21, 31]]
    both = []
    for fast in (False, True):
        if fast:
            stepping.pack(model.get_decoder())
        with torch.inference_mode():
            decoder = decoding.CachedModel(model, prompts)
            decoder.start()
            decoder.step(torch.tensor(steps[0]))
            decoder.keep(torch.tensor([0, 2]))
            both.append(decoder.step(torch.tensor(steps[1])[[0, 2]]))
    del model.get_decoder()._motionllm_packed
    torch.testing.assert_close(both[1], both[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both[0], hidden(model, prompts, steps)[-1][[0, 2]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fast", [False, True])
def test_what_prompts_share_is_read_once(model: Any, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "SIDE_BY_SIDE", 2)  # the packed decoder reads them in parts
    steps = [[10, 20, 30, 40], [11, 21, 31, 41], [12, 22, 32, 42]]
    for shared, read, prompts in (
        (2, 4, [[5, 6, 7, 8], [5, 6, 8, 9, 10, 11], [5, 6, 7], [5, 6, 9]]),
        (0, 1, [[5, 6, 7, 8]] * 4),
        (1, 3, [[5, 6, 7], [5, 8], [5, 6, 7], [5, 8, 9, 9, 9]]),
        (0, 3, [[5, 6], [5, 6, 7, 8], [5], [5, 6]]),
    ):
        alone = torch.stack(
            [hidden(model, [prompt], [[step[i]] for step in steps])[:, 0] for i, prompt in enumerate(prompts)], dim=1
        )
        if fast:
            stepping.pack(model.get_decoder())
        decoder = decoding.CachedModel(model, prompts)
        assert (len(decoder.shared), len(decoder.prompts)) == (shared, read)
        torch.testing.assert_close(hidden(model, prompts, steps), alone, rtol=1e-5, atol=1e-5)
        if fast:
            del model.get_decoder()._motionllm_packed


def test_rows_that_end_leave_their_places_to_the_last() -> None:
    open_ = torch.tensor([True, False, True, True, False, True])
    assert decoding.front_rows(open_).tolist() == [0, 5, 2, 3]
    assert decoding.front_rows(~open_).tolist() == [4, 1]
    assert decoding.front_rows(open_ | True).tolist() == list(range(6))


def test_without_the_operators_the_layers_serve(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")

    stepping._works.cache_clear()
    monkeypatch.setattr(stepping._Linear, "__init__", other)
    stepping.pack(model.get_decoder())
    assert stepping.packed(model.get_decoder()) is None
    stepping._works.cache_clear()


def test_a_copy_is_not_packed(model: Any) -> None:
    stepping.pack(model.get_decoder())
    assert stepping.packed(copy.deepcopy(model).get_decoder()) is None
    assert stepping.packed(model.get_decoder())
