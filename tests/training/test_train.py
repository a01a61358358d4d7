"""Fine-tuning as equalities: what changed and what did not, packed = unpacked, resumed = uninterrupted …"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from motionllm.config import Network, Recipe, load_recipe
from motionllm.data.clips import encode
from motionllm.data.examples import collate, pack
from motionllm.data.prepare import clips_of
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_base
from motionllm.language.conversations import Tokens
from motionllm.language.vocab import MotionVocab
from motionllm.lm import loss
from motionllm.lm.adapters import share_inputs
from motionllm.lm.loss import cross_entropy, logits, output_rows
from motionllm.lm.model import MotionLM
from motionllm.runs import checkpoint
from motionllm.tokenizer import MotionTokenizer
from motionllm.training.learner import Learner
from motionllm.training.train import train

Recipes = Callable[..., Recipe]


def test_every_used_motion_row_changed_and_no_text_row(trained_run: tuple[Path, Path]) -> None:
    run, base = trained_run
    trained = MotionLM.load(run)
    fresh = load_base(base)[0]
    trained.vocab.attach(fresh, "noise", trained.recipe.train.seed)
    used = np.unique(
        np.concatenate([c.codes for c in encode(trained.recipe.data.sources[0], "train", trained.motion_tokenizer)])
    )
    ids = torch.tensor([trained.vocab.end_id, *(used + trained.vocab.first_id)])
    size = trained.vocab.text_size
    for get in ("get_input_embeddings", "get_output_embeddings"):
        before, after = getattr(fresh, get)().weight, getattr(trained.model, get)().weight
        assert torch.equal(before[:size], after[:size])
        assert (before[ids] != after[ids]).any(dim=1).float().mean() > 0.9  # a few codes were in no batch


def test_the_run_folder_holds_what_it_promises(trained_run: tuple[Path, Path]) -> None:
    run, _ = trained_run
    assert {"recipe.yaml", "log.jsonl", "checkpoint.pt", "adapter", "result.json"} <= {p.name for p in run.iterdir()}
    assert not [p for p in run.rglob(".*") if p.name != ".gitignore"]
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "loss" in r] == list(range(1, 7))
    assert set(rows[-1]["validation"]) == {"text_to_motion", "caption", "question", "all"}
    assert load_recipe(run / "recipe.yaml").train.steps == 6
    # PEFT would store the whole matrix without save_embedding_layers=False
    stored = load_file(run / "adapter" / "adapter_model.safetensors")
    assert max(t.shape[0] for t in stored.values() if t.ndim == 2) <= 64


def test_loaded_in_fresh_processes_the_logits_are_identical(trained_run: tuple[Path, Path]) -> None:
    script = (
        "import sys, hashlib, torch\n"
        "torch.manual_seed(int(sys.argv[2]))\n"
        "from motionllm import MotionLM\n"
        "lm = MotionLM.load(sys.argv[1])\n"
        "ids = torch.tensor([[1, 5, lm.vocab.start_id, lm.vocab.first_id, lm.vocab.end_id, 7]])\n"
        "print(hashlib.sha256(lm.model(ids).logits.detach().numpy().tobytes()).hexdigest())\n"
    )
    command = [sys.executable, "-c", script, str(trained_run[0])]
    said = [subprocess.run([*command, seed], capture_output=True, text=True, check=True).stdout for seed in ("1", "2")]
    assert said[0] == said[1] != ""


def test_saved_is_loaded_and_merged_is_the_adapter(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    apart = MotionLM.load(trained_run[0], merge=False)
    merged = MotionLM.load(trained_run[0])
    apart.save(tmp_path / "copy")
    again = MotionLM.load(tmp_path / "copy", merge=False)
    ids = torch.tensor([[1, 5, apart.vocab.start_id, *apart.vocab.ids[2:9], apart.vocab.end_id, 7]])
    with torch.no_grad():
        first, second, third = (m.model(ids).logits for m in (apart, again, merged))
    assert torch.equal(first, second)
    assert (first - third).abs().max() < 1e-4


def test_a_bfloat16_adapter_is_what_is_in_memory(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    lm = MotionLM.load(trained_run[0], merge=False)
    for parameter in lm.model.parameters():
        parameter.requires_grad_(parameter.ndim == 2 and parameter.shape[0] < 64)
    lm.save(tmp_path / "half", dtype="bfloat16")
    stored = load_file(tmp_path / "half" / "adapter_model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.bfloat16}


def _fresh(tiny_recipe: Recipes, base: Path, tokenizer: Path) -> MotionLM:
    return MotionLM.create(tiny_recipe(base, tokenizer), MotionTokenizer.load(tokenizer), Templates.load("default"))


def in_order(codes: np.ndarray, vocab: MotionVocab) -> np.ndarray:
    """Any codes, moved to the part whose turn it is."""
    each = vocab.size // vocab.parts
    return codes % each + np.arange(len(codes)) % vocab.parts * each


def _examples(lm: MotionLM, count: int = 8) -> list[Tokens]:
    rng = np.random.default_rng(0)
    made = []
    for steps in rng.integers(2, 6, count):
        codes = in_order(rng.integers(0, lm.vocab.size, steps * lm.vocab.parts), lm.vocab)
        made.append(
            lm.renderer(
                [
                    {"role": "user", "content": "Show it."},
                    {"role": "assistant", "content": [{"type": "motion", "codes": codes}]},
                    {"role": "user", "content": "What is it?"},
                    {"role": "assistant", "content": "A person walks."},
                ]
            )
        )
    return made


@pytest.mark.parametrize("kind", ["tiny_base", "tiny_base_untied"])
def test_packed_is_unpacked(
    kind: str, tiny_tokenizer: Path, tiny_recipe: Recipes, request: pytest.FixtureRequest
) -> None:
    lm = _fresh(tiny_recipe, request.getfixturevalue(kind), tiny_tokenizer)
    learner, examples = Learner(lm, "rows").eval(), _examples(lm)
    packed = torch.stack(learner(collate(pack(examples, 512), 0)))
    alone = sum(torch.stack(learner(collate([[t]], 0))) for t in examples)
    assert torch.allclose(packed, alone, rtol=1e-5)
    assert packed.min() > 0


def test_frozen_rows_are_projected_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss._Projection, "BLOCK", 7)
    rows = torch.randn(40, 16).to(torch.bfloat16)
    hidden = torch.randn(5, 16, requires_grad=True)
    found, expected = logits(hidden, rows, object()), hidden @ rows.float().T
    torch.testing.assert_close(found, expected)
    weights = torch.randn(5, 40)
    gradients = [torch.autograd.grad((out * weights).sum(), hidden)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_chunks_change_memory_alone(
    tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = _fresh(tiny_recipe, tiny_base, tiny_tokenizer)
    learner, batch = Learner(lm, "rows"), collate(pack(_examples(lm), 512, 1), 0)
    found = []
    for chunk in (10**6, 7):
        monkeypatch.setattr(loss, "CHUNK_ON_CPU", chunk)
        learner.zero_grad()
        motion, text = learner(batch)
        (motion + text).backward()
        found.append([motion.detach(), text.detach(), *(p.grad for p in learner.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 10
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_shared_inputs_change_memory_alone(tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path) -> None:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    recipe.model.dtype = "bfloat16"
    lm = MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))
    learner, batch = Learner(lm, "rows"), collate(pack(_examples(lm), 512, 1), 0)
    learner.train()
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)  # from zero on, nothing would reach the other matrix

    def step() -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        kept: dict[int, int] = {}
        held = []  # else a freed tensor's address could be another's

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            held.append(tensor)
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), torch.autocast("cpu", torch.bfloat16):
            loss = sum(learner(batch))
        learner.zero_grad()
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in learner.named_parameters() if p.grad is not None}
        return loss.detach(), gradients, sum(kept.values())

    loss, gradients, bytes_ = step()
    share_inputs(lm.model)
    again, same, fewer = step()
    assert torch.equal(loss, again)
    assert gradients.keys() == same.keys()
    for name, gradient in gradients.items():  # sums of three in bfloat16, in another order
        assert (gradient - same[name]).norm() < 0.02 * gradient.norm(), name
    assert fewer < 0.95 * bytes_


@pytest.mark.parametrize("kind", ["tiny_base", "tiny_base_untied"])
def test_the_loss_over_the_vocabulary_is_the_models_own(
    kind: str, tiny_tokenizer: Path, tiny_recipe: Recipes, request: pytest.FixtureRequest
) -> None:
    lm = _fresh(tiny_recipe, request.getfixturevalue(kind), tiny_tokenizer)
    batch = collate([[t] for t in _examples(lm, 2)], 0)
    with torch.no_grad():
        motion, _ = Learner(lm, "vocabulary")(batch)
        scores = lm.model(batch.ids, position_ids=batch.positions, use_cache=False).logits
        spare = torch.ones(scores.shape[-1], dtype=torch.bool)
        spare[: lm.vocab.text_size] = False
        spare[lm.vocab.ids] = False
        scores[..., spare] = -torch.inf  # a base's spare rows are no tokens
        at_motion = (batch.targets == lm.vocab.end_id) | (batch.targets >= lm.vocab.first_id)
        own = torch.nn.functional.cross_entropy(scores[at_motion], batch.targets[at_motion], reduction="sum")
        rows, _ = Learner(lm, "rows")(batch)
        # Restricted is full, masked to what the grammar allows: the codes of the target's part, or a step's start.
        each, first = lm.vocab.size // lm.vocab.parts, lm.vocab.first_id
        masked = torch.full_like(scores[at_motion], -torch.inf)
        for row, target in enumerate(batch.targets[at_motion].tolist()):
            part = 0 if target == lm.vocab.end_id else (target - first) // each
            ids = [*range(first + part * each, first + (part + 1) * each), *([lm.vocab.end_id] if part == 0 else [])]
            masked[row, ids] = scores[at_motion][row, ids]
        allowed = torch.nn.functional.cross_entropy(masked, batch.targets[at_motion], reduction="sum")
    assert motion == pytest.approx(own.item(), rel=1e-4)
    assert rows == pytest.approx(allowed.item(), rel=1e-4)
    assert rows < motion  # fewer rivals


def test_softcapping_is_applied() -> None:
    class Config:
        final_logit_softcapping = 2.0

    hidden, rows = torch.full((1, 4), 10.0), torch.ones(3, 4)
    assert logits(hidden, rows, Config()).max() <= 2.0


def test_rows_of_the_output_are_the_trained_ones(trained_run: tuple[Path, Path]) -> None:
    apart, merged = MotionLM.load(trained_run[0], merge=False), MotionLM.load(trained_run[0])
    a, b = output_rows(apart.model.get_base_model(), apart.vocab), output_rows(merged.model, merged.vocab)
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    hidden = torch.randn(3, a[1].shape[1])
    targets = torch.tensor([apart.vocab.end_id, apart.vocab.first_id, 3])
    assert cross_entropy(hidden, targets, merged.model, merged.vocab)[1] > 0


@pytest.mark.slow  # without processes that draw: tests/test_invariants.py
def test_resumed_is_uninterrupted_and_processes_that_draw_change_nothing(
    tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    # Same steps and schedule; the second run stops after three steps as if it had been killed.
    whole = tiny_recipe(tiny_base, tiny_tokenizer, save_every=3, validate_every=100)
    train(whole, tmp_path / "whole")
    whole.train.workers = 2
    real, saves = checkpoint.save, []

    def stop_after_saving(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        saves.append(1)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", stop_after_saving)
        train(whole, tmp_path / "cut")
    assert len(saves) == 1
    train(load_recipe(tmp_path / "cut" / "recipe.yaml"), tmp_path / "cut", resume=True)
    first, second = (load_file(tmp_path / r / "adapter" / "adapter_model.safetensors") for r in ("whole", "cut"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_is_not_overwritten_and_needs_a_checkpoint_to_resume(
    trained_run: tuple[Path, Path], tmp_path: Path
) -> None:
    recipe = load_recipe(trained_run[0] / "recipe.yaml")
    with pytest.raises(MotionLLMError, match="--resume"):
        train(recipe, trained_run[0])
    with pytest.raises(MotionLLMError, match="no checkpoint"):
        train(recipe, tmp_path / "empty", resume=True)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_run_that_ends_without_a_validation_still_has_one(
    steps: int, tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    recipe = tiny_recipe(tiny_base, tiny_tokenizer, validate_every=100, save_every=1)
    if steps:
        real = checkpoint.save

        def killed(run: Path, state: dict[str, Any], keep: int = 1) -> None:
            real(run, state, keep)
            if state["step"] == steps:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkpoint, "save", killed)
            train(recipe, run)
    recipe.train.minutes = 1e-9
    first = train(recipe, run, resume=bool(steps))
    assert first["steps"] == steps and np.isfinite(first["best_validation_loss"])
    assert MotionLM.load(run).vocab.size
    before = {p.name: p.read_bytes() for p in (run / "adapter").iterdir() if p.is_file()}
    said = (run / "recipe.yaml").read_text()
    recipe.name = "another"  # nothing that a run at its end is given changes what it was trained by
    again = train(recipe, run, resume=True)
    assert (again["steps"], again["best_validation_loss"]) == (steps, first["best_validation_loss"])
    assert {p.name: p.read_bytes() for p in (run / "adapter").iterdir() if p.is_file()} == before
    assert not steps or (run / "recipe.yaml").read_text() == said


def test_a_saved_recipe_holds_whole_paths_and_is_used_from_anywhere(
    tiny_recipe: Recipes, tiny_base: Path, tiny_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(tiny_base, tmp_path / "here" / "base")
    shutil.copytree(tiny_tokenizer, tmp_path / "here" / "tokens")
    monkeypatch.chdir(tmp_path / "here")
    recipe = tiny_recipe(Path("base"), "tokens", steps=1, save_every=1)
    train(recipe, Path("runs/a"))
    for place in ("runs/a", "runs/a/adapter"):
        saved = load_recipe(Path(place) / "recipe.yaml")
        assert (saved.model.base, saved.model.tokenizer) == (
            str(Path("base").absolute()),
            str(Path("tokens").absolute()),
        )
        assert (saved.data.templates, saved.data.sources[0].path) == ("default", None)
    assert str(tmp_path) not in (Path("runs/a/adapter") / "README.md").read_text()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert MotionLM.load(tmp_path / "here" / "runs" / "a").vocab.size
    saved.train.steps = 2
    assert train(saved, tmp_path / "here" / "runs" / "a", resume=True)["steps"] == 2


def test_a_refused_run_leaves_no_folder(tiny_recipe: Recipes, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match="no motion tokenizer"):
        train(tiny_recipe(tiny_base, "nowhere"), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_recipe_is_trained_inside_the_run(tiny_recipe: Recipes, tiny_base: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.yaml"
    path.write_text(
        "sources: [{kind: builtin, clips: 10}]\nnetwork: {width: 16, blocks: 1, codes: 16, code_dim: 8}\n"
        "train: {steps: 4, autoencode: 2, batch: 4, window: 32}\n"
    )
    recipe = tiny_recipe(tiny_base, path, steps=1)
    train(recipe, tmp_path / "run")
    lm = MotionLM.load(tmp_path / "run")
    assert lm.vocab.tokenizer_hash == MotionTokenizer.load(tmp_path / "run" / "tokenizer").hash


def test_training_goes_on_from_an_adapter(
    trained_run: tuple[Path, Path], tiny_recipe: Recipes, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    run, base = trained_run
    recipe = tiny_recipe(base, tiny_tokenizer)
    recipe.adapter.start = str(run)
    begun = MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))
    stored = load_file(run / "adapter" / "adapter_model.safetensors")
    mine = {n: p for n, p in begun.model.named_parameters() if p.requires_grad}
    assert len(stored) == len(mine)
    for name, value in stored.items():
        own = next(p for n, p in mine.items() if n.replace(".default", "") == name)
        assert torch.equal(own, value.to(own.dtype)), name
    assert train(recipe, tmp_path / "more")["steps"] == 6
    recipe.adapter.rank = 2
    with pytest.raises(MotionLLMError, match="rank 4"):
        MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))


def test_layers_go_on_where_the_motion_tokenizer_is_another(
    trained_run: tuple[Path, Path], tiny_recipe: Recipes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, base = trained_run
    torch.manual_seed(3)
    network = Network(width=16, blocks=1, codes=24, code_dim=8, split="body")
    codes = MotionTokenizer(network, np.zeros(263, np.float32), np.ones(263, np.float32))
    codes.network.train().start_codebooks(torch.randn(40, 32, 263))
    codes.save(tmp_path / "codes")
    recipe = tiny_recipe(base, tmp_path / "codes")
    fresh = MotionLM.create(recipe, MotionTokenizer.load(tmp_path / "codes"), Templates.load("default"))
    recipe.adapter.start = str(run)
    begun = MotionLM.create(recipe, MotionTokenizer.load(tmp_path / "codes"), Templates.load("default"))
    assert "begin anew" in caplog.text and begun.library is None
    stored = load_file(run / "adapter" / "adapter_model.safetensors")
    mine = {n.replace(".default", ""): p for n, p in begun.model.named_parameters() if p.requires_grad}
    rows = {n.replace(".default", ""): p for n, p in fresh.model.named_parameters() if "token" in n and p.requires_grad}
    assert rows and all(torch.equal(mine[name], value) for name, value in rows.items())
    layers = {name: value for name, value in stored.items() if ".lora_" in name}
    assert layers and all(torch.equal(mine[name], value.to(mine[name].dtype)) for name, value in layers.items())
    # With clips to compare the two motion tokenizers by, start and end go on, and codes near those of their times.
    motion_tokenizer = MotionTokenizer.load(tmp_path / "codes")
    clips = list(clips_of(recipe, "train", motion_tokenizer)[0])[:8]
    begun = MotionLM.create(recipe, motion_tokenizer, Templates.load("default"), clips)
    assert "begin near its tokens of the same times" in caplog.text
    mine = {n.replace(".default", ""): p for n, p in begun.model.named_parameters() if "token" in n and p.requires_grad}
    (name, made), *_ = mine.items()
    assert torch.equal(made[:2], stored[name][:2].float()) and made.shape == rows[name].shape
    assert not torch.allclose(made[2:], rows[name][2:])
    assert train(recipe, tmp_path / "more")["steps"] == 6
    assert len(MotionLM.load(tmp_path / "more").generate("a person walks", 1.0, seed=0)) == 20  # type: ignore[arg-type]
