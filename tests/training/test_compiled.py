"""A step of fixed shapes: compiled is eager, padded is unpadded, every attention is the masked one."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from motionllm.config import Recipe
from motionllm.data.examples import SHORT, collate, pack
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.language.bases import layers, load_config
from motionllm.language.conversations import Tokens
from motionllm.lm import attention, loss
from motionllm.lm.model import MotionLM
from motionllm.lm.rows import look_up_rows
from motionllm.tokenizer import MotionTokenizer
from motionllm.training import checks, learner, microbatches
from motionllm.training.learner import Learner, compiler
from motionllm.training.train import train

Recipes = Callable[..., Recipe]


@pytest.fixture
def lm(tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path) -> MotionLM:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    return MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))


def examples(lm: MotionLM, count: int = 8) -> list[Tokens]:
    """Examples of a motion and of text, each of another length."""
    each = lm.vocab.size // lm.vocab.parts
    made = []
    for steps in range(2, 2 + count):
        codes = np.arange(steps * lm.vocab.parts) % each + np.arange(steps * lm.vocab.parts) % lm.vocab.parts * each
        answer = {"role": "assistant", "content": [{"type": "motion", "codes": codes}]}
        more = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "A person walks."}]
        made.append(lm.renderer([{"role": "user", "content": "Show it."}, answer, *more]))
    return made


def test_padding_rows_to_one_shape_changes_nothing(lm: MotionLM) -> None:
    one, rows = Learner(lm, "rows").eval(), pack(examples(lm), 128)
    plain, padded = collate(rows, 0), collate(rows, 0, (len(rows) + 3, 160))
    assert padded.ids.shape == padded.positions.shape == padded.targets.shape == (len(rows) + 3, 160)
    assert (padded.tokens, padded.supervised) == (plain.tokens, plain.supervised)
    with torch.no_grad():
        assert torch.allclose(torch.stack(one(plain)), torch.stack(one(padded)), rtol=1e-5)


def test_bounds_are_where_examples_begin_and_their_number_is_fixed(lm: MotionLM) -> None:
    sizes = set()
    for count in (3, 5, 8):
        rows = pack(examples(lm, count), 128)
        batch = collate(rows, 0, (4, 128))
        begins = [r * 128 + sum(len(t.ids) for t in row[:i]) for r, row in enumerate(rows) for i in range(len(row))]
        ends = [r * 128 + sum(len(t.ids) for t in row) for r, row in enumerate(rows)]
        others = [at for at in range(len(rows) * 128, 4 * 128, 128)]
        expected = {*begins, *(end for end in ends if end % 128), *others, 4 * 128}
        assert set(batch.bounds.tolist()) == expected
        assert (batch.bounds.diff() >= 0).all() and batch.bounds.dtype == torch.int32
        sizes.add(len(batch.bounds))
    assert sizes == {4 * (128 // SHORT) + 1}


def reference(query: Tensor, key: Tensor, value: Tensor, cu_seq_q: Tensor, *given: Any, **more: Any) -> Tensor:
    """What `torch.nn.attention.varlen.varlen_attn` computes, example by example; it runs on GPUs alone."""
    assert query.dtype == key.dtype == value.dtype
    out = torch.empty_like(query)
    window, end = more["window_size"]
    assert end == 0 and more["enable_gqa"] == (query.shape[1] != key.shape[1])
    for first, last in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        q, k, v = (states[first:last].transpose(0, 1)[None] for states in (query, key, value))
        far = torch.arange(last - first)[:, None] - torch.arange(last - first)
        seen = (far >= 0) & (far <= window) if window >= 0 else far >= 0
        some = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=seen, scale=more["scale"], enable_gqa=more["enable_gqa"]
        )
        out[first:last] = some[0].transpose(0, 1)
    return out


def body_of(base: Path, device: str = "cpu") -> Any:
    body = layers(load_config(base), 2).eval().to(device)
    return body.to(torch.bfloat16) if device == "cuda" else body


@pytest.mark.parametrize("kind", ["tiny_base", "tiny_base_untied"])
def test_varlen_is_the_masked_attention(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", reference)
    body = body_of(request.getfixturevalue(kind))
    assert attention.compare(body, attention.VARLEN) < 1e-5
    with torch.autocast("cpu", torch.bfloat16):  # rotated queries are float32, values are not
        assert attention.choose(body, [attention.VARLEN, attention.MASKED]) == attention.VARLEN


@pytest.mark.slow  # FlexAttention is compiled; on a CPU it runs forward alone, so that no run takes it there
def test_every_attention_of_the_machine_is_the_masked_one(tiny_base: Path) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kinds = attention.kinds(torch.device(device))[:-1] or ["flex_attention"]
    if importlib.util.find_spec("flash_attn") is None:
        kinds = [kind for kind in kinds if kind != "flash_attention_2"]
    body = body_of(tiny_base, device)
    compared = {kind: attention.compare(body, kind, learns=device == "cuda") for kind in kinds}
    assert compared and max(compared.values()) < (5e-2 if device == "cuda" else 1e-5), compared


def test_an_attention_that_fails_or_differs_is_not_chosen(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = body_of(tiny_base)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", lambda query, *_, **__: query * 0.5)
    assert attention.compare(body, attention.VARLEN) > 0.05
    assert attention.choose(body, [attention.VARLEN, attention.MASKED]) == attention.MASKED
    monkeypatch.setattr(
        "torch.nn.attention.varlen.varlen_attn", lambda *given, **more: reference(*given, **more).detach()
    )
    assert attention.compare(body, attention.VARLEN, learns=False) < 1e-5 < attention.compare(body, attention.VARLEN)
    assert attention.choose(body, [attention.VARLEN, attention.MASKED]) == attention.MASKED
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", lambda *_, **__: 1 / 0)
    assert attention.choose(body, [attention.VARLEN, "flash_attention_9", attention.MASKED]) == attention.MASKED


def test_packed_is_unpacked_where_attention_reads_bounds(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", reference)
    one, tokens = Learner(lm, "rows").eval(), examples(lm)
    with torch.no_grad():
        alone = sum(torch.stack(one(collate([[t]], 0))) for t in tokens)
        base = lm.model.get_base_model()
        attention.set_kind(base, attention.VARLEN)
        rows = pack(tokens, 128)
        for shape in (None, (len(rows) + 1, 160)):
            assert torch.allclose(torch.stack(one(collate(rows, 0, shape))), alone, rtol=1e-5)
        with learner.as_for_decoding(lm.model):  # a cache has no bounds
            assert base.config._attn_implementation == attention.MASKED
        assert base.config._attn_implementation == attention.VARLEN


@pytest.mark.parametrize("kind", ["tiny_base", "tiny_base_untied"])
def test_rows_are_looked_up_as_peft_puts_them_into_the_matrix(
    kind: str, tiny_recipe: Recipes, tiny_tokenizer: Path, request: pytest.FixtureRequest
) -> None:
    recipe = tiny_recipe(request.getfixturevalue(kind), tiny_tokenizer)
    lm = MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))
    embed = lm.model.get_input_embeddings()
    trained = next(p for name, p in lm.model.named_parameters() if "trainable_tokens_delta" in name)
    with torch.no_grad():
        trained += torch.randn_like(trained)  # other than what the matrix holds
    ids = torch.tensor([[1, 5, *lm.vocab.ids[:7], 3], [lm.vocab.ids[-1], *lm.vocab.ids[2:10], 2]])
    weights, results = torch.randn(2, 10, trained.shape[1]), []
    for _ in range(2):
        trained.grad = None
        out = embed(ids)
        (out * weights).sum().backward()
        results.append((out.detach(), trained.grad.clone()))
        look_up_rows(lm.model)
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])
    sizes: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        embed(ids)
    assert max(sizes) < trained.numel() < embed.weight.numel()  # nothing as large as the matrix is kept


def test_logits_over_frozen_rows_are_computed_once(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    one, batch = Learner(lm, "rows"), collate(pack(examples(lm), 256), 0)
    widths: list[int] = []
    real = loss._logits

    def counted(hidden: Tensor, rows: Tensor, *given: Any) -> Tensor:
        widths.append(len(rows))
        return real(hidden, rows, *given)

    monkeypatch.setattr(loss, "_logits", counted)
    sum(one(batch)).backward()
    texts = int(sum(((batch.targets >= 0) & (batch.targets < lm.vocab.text_size)).flatten().tolist()))
    assert widths.count(lm.vocab.text_size) == -(-(texts + 8) // loss.CHUNK_ON_CPU)  # and 8 starts of motions


def test_as_many_rows_as_fit_divide_a_step_best(tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path) -> None:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    assert microbatches.fitting(one=30, two=50, room=200) == 9  # 10 beside, 20 a row
    assert microbatches.fitting(one=30, two=50, room=5) == 1
    steps = np.array([30, 31, 32, 33])
    assert microbatches.dividing(steps, 100, 256, "cuda") == 33  # one micro-batch, hardly padded
    assert microbatches.dividing(steps, 20, 256, "cuda") == 17  # two even ones, and not 20 and a rest
    assert microbatches.dividing(np.array([1, 1]), 100, 256, "cuda") == 1  # a small step is not padded to what fits
    recipe.train.batch, recipe.data.max_length = 32, 256
    examples = [Tokens([1] * 100, [True] * 100)] * 9
    assert set(microbatches.steps_of(examples, recipe, processes=2).tolist()) == {7}
    recipe.train.batch, recipe.data.packing = 7, False
    assert set(microbatches.steps_of(examples, recipe, processes=2).tolist()) == {4}


def test_rows_are_sized_by_what_one_and_two_take(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    one, rows, free = Learner(lm, "rows"), [0], 10**9
    one.register_forward_pre_hook(lambda _, given: rows.append(len(given[0].ids)))
    optimizer = torch.optim.AdamW([p for p in one.parameters() if p.requires_grad])
    state = sum(8 * p.numel() for group in optimizer.param_groups for p in group["params"])
    for name in ("synchronize", "reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda *_: 5000)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 5000 + 7000 + 10**6 * rows[-1])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (free, free))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a GPU")
    accelerator = SimpleNamespace(device=torch.device("cpu"), autocast=nullcontext)
    fit, measured = microbatches.by_memory(lm.recipe, one, examples(lm), accelerator, optimizer)
    assert fit == int((microbatches.SHARE * free - state - 7000) / 10**6)
    assert measured["row_gib"] == pytest.approx(10**6 / 2**30, abs=1e-3)
    assert rows[1:] == [1, 1, 2] and all(p.grad is None for p in one.parameters())

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    one.register_forward_pre_hook(full)
    with pytest.raises(MotionLLMError, match=r"Not one row of \d+ tokens fits the memory of a GPU"):
        microbatches.by_memory(lm.recipe, one, examples(lm), accelerator, optimizer)


def test_compile_needs_a_compiler(
    tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path, monkeypatch: Any
) -> None:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    recipe.train.compile = True
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MotionLLMError, match=r"train.compile=true needs a C\+\+ compiler"):
        checks.check(recipe)
    assert compiler("cuda") is None or "triton" in str(compiler("cuda"))
    recipe.train.compile = "auto"
    checks.check(recipe)
    assert not learner.compiles(recipe, torch.device("cpu"))


@pytest.mark.slow
def test_compiled_is_eager_and_compiles_once(
    tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    if compiler("cpu"):
        pytest.skip("no C++ compiler is here")
    losses, out = {}, tmp_path / "True"
    for compiled in (False, True):
        recipe = tiny_recipe(tiny_base, tiny_tokenizer, batch=8, validate_every=3, save_every=3, keep=2)
        recipe.train.compile = compiled
        # Two graphs at most: one to learn by and one to validate, for both layers and all steps.
        with torch._dynamo.config.patch(recompile_limit=2, fail_on_recompile_limit_hit=True):
            train(recipe, tmp_path / str(compiled))
        rows = [json.loads(line) for line in (tmp_path / str(compiled) / "log.jsonl").read_text().splitlines()]
        losses[compiled] = [r.get("loss") or r["validation"]["all"] for r in rows if "lr" in r or "validation" in r]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)
    whole = load_file(out / "adapter" / "adapter_model.safetensors")
    (out / "checkpoint-3.pt").replace(out / "checkpoint.pt")
    train(recipe, out, resume=True)
    again = load_file(out / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
