"""Decoders that draw, and the discriminator: the same codes, frames by seed and step, and trainings that end well."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from motionllm import corpus as builtin
from motionllm.config import Network, Source, TokenizerRecipe, TokenizerTraining
from motionllm.errors import MotionLLMError
from motionllm.motion.representation import HUMANML3D_263
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer import train as training
from motionllm.tokenizer.adversary import Adversary
from motionllm.tokenizer.decoders import Generative, noise
from motionllm.tokenizer.losses import Losses
from motionllm.tokenizer.network import MotionAutoencoder
from motionllm.tokenizer.train import CHECKPOINT, fit
from motionllm.tokenizer.windows import Windows

Kind = Literal["plain", "flow", "diffusion"]
DRAWING: tuple[Kind, ...] = ("flow", "diffusion")


def tokenizer(decoder: Kind, causal: bool = False, steps: int = 2, noise: float = 1.0) -> MotionTokenizer:
    torch.manual_seed(0)
    config = Network(
        width=16,
        blocks=2,
        split="body",
        codes=32,
        code_dim=8,
        causal=causal,
        decoder=decoder,
        decoder_steps=steps,
        decoder_noise=noise,
        decoder_width=24,
    )
    network = MotionAutoencoder(HUMANML3D_263, config)
    network.start_codebooks(torch.randn(16, 32, 263))
    if isinstance(network.decoder, Generative):  # untrained it draws nothing
        torch.nn.init.normal_(network.decoder.outward.weight, std=0.1)
    return MotionTokenizer(config, np.zeros(263, np.float32), np.full(263, 0.1, np.float32), network)


def codes_of(tokenizer: MotionTokenizer, steps: int) -> np.ndarray:
    each = tokenizer.size // tokenizer.parts
    drawn = np.random.default_rng(0).integers(each, size=(steps, tokenizer.parts))
    return (drawn + np.arange(tokenizer.parts) * each).flatten()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", DRAWING)
def test_streamed_is_decoded_whatever_is_drawn(kind: Kind, causal: bool) -> None:
    one = tokenizer(kind, causal)
    codes = codes_of(one, 100)  # longer than the receptive field, and than a block of noise
    whole, again, other = (one.decode(codes, seed).joints for seed in (3, 3, 4))
    stream = one.stream(3)
    pieces = [stream.push(codes[i : i + 6]) for i in range(0, len(codes), 6)]
    assert np.abs(np.concatenate([*pieces, stream.finish()]) - whole).max() < 1e-4
    assert np.array_equal(whole, again) and not np.allclose(whole, other, atol=1e-3)
    assert one.stream().ahead == (0 if causal else one.ahead) and one.behind > tokenizer("plain", causal).behind


@pytest.mark.parametrize("kind", DRAWING)
def test_less_noise_draws_less_and_none_draws_one_motion(kind: Kind) -> None:
    codes, spread = codes_of(tokenizer(kind), 100), []
    for noise_scale in (0.0, 0.3, 1.0):
        one = tokenizer(kind, noise=noise_scale)
        assert one.codes_hash == tokenizer(kind).codes_hash
        first, second = (one.decode_features(codes, seed) for seed in (3, 4))
        spread.append(np.abs(first - second).mean())
        stream = one.stream(3)
        pieces = [stream.push(codes[i : i + 6]) for i in range(0, len(codes), 6)]
        assert np.abs(np.concatenate([*pieces, stream.finish()]) - one.decode(codes, 3).joints).max() < 1e-4
    assert spread[0] == 0 and 0 < spread[1] < 0.5 * spread[2]


@pytest.mark.parametrize("causal", [False, True])
def test_the_stated_receptive_field_is_the_true_one(causal: bool) -> None:
    one = tokenizer("flow", causal)
    codes = torch.from_numpy(codes_of(one, 100)).unflatten(0, (-1, one.parts))
    changed = codes.clone()
    changed[50] = (changed[50] + 1) % 32 + torch.arange(one.parts) * 32
    with torch.no_grad():
        first, second = (one.network.decode(c.flatten()[None])[0] for c in (codes, changed))
    moved = (first != second).any(-1).unflatten(0, (-1, 4)).any(-1).nonzero().flatten()
    assert 50 - moved.min() <= one.ahead and moved.max() - 50 <= one.behind
    assert 50 - moved.min() >= one.ahead - 2 and moved.max() - 50 >= one.behind - 2  # the rest drowns in rounding


def test_noise_belongs_to_a_seed_and_a_step() -> None:
    whole = noise(5, 0, 200, 7)
    assert whole.shape == (200, 7) and abs(whole.std() - 1) < 0.05
    for first, steps in ((0, 1), (63, 2), (64, 64), (130, 70)):
        assert np.array_equal(noise(5, first, steps, 7), whole[first : first + steps])
    assert not np.allclose(noise(6, 0, 64, 7), whole[:64]) and not np.allclose(whole[:64], whole[64:128])


@pytest.mark.parametrize("kind", DRAWING)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_network_that_knows_the_residual_is_followed(kind: Kind, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder: Any = tokenizer(kind, steps=steps).network.decoder
    residual = torch.randn(1, 10, decoder.size)
    monkeypatch.setattr(decoder, "_residual", lambda *_: residual)
    z = torch.randn(1, 10, 16)
    added = (decoder(z) - decoder.base(z))[..., decoder.columns].reshape(1, 10, -1)
    assert torch.allclose(added, residual, atol=1e-4)


@pytest.mark.parametrize("kind", DRAWING)
def test_what_codes_leave_open_is_drawn_and_not_averaged(kind: Kind) -> None:
    """Motion that is at +1 or −1 under one and the same code: the plain decoder's best is 0."""
    torch.manual_seed(0)
    network = Network(width=8, blocks=1, codes=16, code_dim=4, decoder=kind, decoder_steps=8, decoder_width=32, down=2)
    decoder = Generative(network, 4, 3, np.array([0, 2]))
    with torch.no_grad():
        decoder.base[-1].product.weight.zero_()
        decoder.base[-1].product.bias.zero_()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=5e-3)
    z = torch.zeros(64, 4, 4)
    for _ in range(200):
        truth = torch.randn(64, 1, 1).sign().expand(-1, 8, 3)
        loss = (decoder.predicted(z, truth) - truth)[..., decoder.columns].pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        drawn = torch.cat([decoder.eval()(z[:1], seed) for seed in range(40)])
    mean = drawn[..., [0, 2]].mean((1, 2))
    assert drawn[..., 1].abs().max() == 0  # not a column that is drawn
    assert (mean.abs() - 1).abs().median() < 0.2 and 8 <= (mean > 0).sum() <= 32


def recipe(start: Path | None, decoder: Kind, **settings: Any) -> TokenizerRecipe:
    network = MotionTokenizer.load(start).config if start else Network(width=16, blocks=1, codes=16, code_dim=8)
    network = network.model_copy(update={"decoder": decoder, "decoder_steps": 2, "decoder_width": 24})
    given = {"steps": 30, "batch": 4, "window": 32, "autoencode": 10, "validate_every": 10} | settings
    return TokenizerRecipe(
        start=start and str(start),
        sources=[Source(kind="builtin")],
        network=network,
        train=TokenizerTraining.model_validate(given),
    )


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [builtin.sample(i).load()[:100] for i in range(6)]


def log(folder: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_windows_of_frozen_codes_are_encoded_once(tiny_tokenizer: Path, clips: list[np.ndarray]) -> None:
    one = MotionTokenizer.load(tiny_tokenizer)
    windows = Windows(TokenizerTraining(window=32), one, clips, None)
    asked: list[int] = []

    def encode(clip: torch.Tensor) -> torch.Tensor:
        asked.append(clip.shape[1])
        return one.network.encode(clip)

    for _ in range(4):
        drawn, codes = windows.coded(8, encode, one.frames_per_step)
        for window, own in zip(drawn, codes, strict=True):
            frames = window.numpy() * one.std + one.mean
            (place,) = [  # where it was cut
                (i, s)
                for i, clip in enumerate(clips)
                for s in range(0, len(clip) - 31, 4)
                if np.allclose(clip[s : s + 32], frames, atol=1e-4)
            ]
            whole = one.encode(clips[place[0]])
            assert np.array_equal(whole[place[1] // 2 :][:16], own)
    assert len(asked) <= len(clips)


@pytest.mark.parametrize("kind", DRAWING)
def test_a_decoder_that_draws_learns_on_frozen_codes(
    kind: Kind, tiny_tokenizer: Path, tmp_path: Path, clips: list[np.ndarray]
) -> None:
    before = MotionTokenizer.load(tiny_tokenizer)
    after = fit(recipe(tiny_tokenizer, kind, encoder_lr=0, steps=60, lr=5e-3), clips, clips[:1], tmp_path / "t")
    losses = log(tmp_path / "t", "generative")
    assert losses[-1] < losses[0]
    assert after.codes_hash == before.codes_hash and after.hash != before.hash
    decoder: Any = after.network.decoder
    own, old = decoder.base.state_dict(), before.network.decoder.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(own[name], old[name]) for name in old)
    loaded = MotionTokenizer.load(tmp_path / "t")
    codes = loaded.encode(clips[0])
    assert np.array_equal(loaded.decode(codes, 1).joints, after.decode(codes, 1).joints)
    # And back: the plain decoder that it draws upon, as it was.
    back = fit(recipe(tmp_path / "t", "plain", encoder_lr=0, steps=1, lr=1e-12), clips, clips[:1], tmp_path / "b")
    assert np.allclose(back.decode(codes).joints, before.decode(codes).joints, atol=1e-3)


@pytest.mark.parametrize(("kind", "adversarial"), [("plain", 0.1), ("flow", 0.1)])
def test_codes_and_decoder_are_trained_together_and_resumed_exactly(
    kind: Kind, adversarial: float, tmp_path: Path, clips: list[np.ndarray]
) -> None:
    given = recipe(None, kind, adversarial=adversarial, cycle=0.1)
    whole = fit(given, clips, clips[:1], tmp_path / "whole")

    class Killed(Exception):
        pass

    def stop(done: float, **numbers: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        fit(given, clips, clips[:1], tmp_path / "parts", progress=stop)
    assert fit(given, clips, clips[:1], tmp_path / "parts").hash == whole.hash
    assert all(math.isfinite(loss) for loss in log(tmp_path / "whole", "loss"))
    assert ("adversarial" in (tmp_path / "whole" / "log.jsonl").read_text()) == (adversarial > 0)


def test_a_discriminator_tells_smooth_from_real_and_says_how_to_mend_it(clips: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    mean, std = np.zeros(263, np.float32), np.ones(263, np.float32)
    losses = Losses(TokenizerTraining(), HUMANML3D_263, mean, std, torch.device("cpu"))
    real = torch.from_numpy(np.stack([clip[:40] for clip in clips]))
    smooth = torch.nn.functional.avg_pool1d(real.transpose(1, 2), 9, 1, 4, count_include_pad=False).transpose(1, 2)
    adversary = Adversary(losses.movements, real)
    for _ in range(120):
        adversary.learn(smooth, real)
    given = smooth.clone().requires_grad_()
    blamed, pardoned = (adversary.judge(one, real, matching=0) for one in (given, real))
    assert blamed > 2 * pardoned
    assert adversary.judge(real, real, matching=5).item() == pytest.approx(pardoned.item(), rel=0.1)
    (slope,) = torch.autograd.grad(blamed, given)
    assert adversary.judge(given - 1e-3 * slope / slope.norm(), real, 0) < blamed


@pytest.mark.parametrize("fault", ["nan", "diverging", "collapse"])
def test_a_training_that_fails_says_so_and_keeps_its_last_good_weights(
    fault: str, tiny_tokenizer: Path, tmp_path: Path, clips: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Kind = "plain" if fault == "collapse" else "flow"
    given = recipe(tiny_tokenizer, kind, encoder_lr=0, adversarial=float(fault == "collapse"))
    with monkeypatch.context() as bad:
        if fault == "nan":
            true = Losses.drawn
            calls = iter(range(100))
            bad.setattr(Losses, "drawn", lambda *x: true(*x) * (math.nan if next(calls) > 14 else 1))
        elif fault == "diverging":
            measured, times = training._error, iter([1, 1, *[10] * 100])  # what rates do is the processor's to say
            bad.setattr(training, "_error", lambda *x: measured(*x) * next(times))
        else:
            true_learn = Adversary.learn

            def learn(self: Adversary, *given: Any) -> None:
                true_learn(self, *given)
                self.loss *= 0.85  # as of one that is never wrong

            bad.setattr(Adversary, "learn", learn)
        words = {"nan": "has diverged. Lower train.lr", "diverging": "mm before", "collapse": "without fail"}[fault]
        with pytest.raises(MotionLLMError, match=words) as raised:
            fit(given, clips, clips[:1], tmp_path / "t")
    assert f"go on from its last good weights: motionllm tokenizer train --resume {tmp_path / 't'}" in str(raised.value)
    state = torch.load(tmp_path / "t" / CHECKPOINT, weights_only=True)
    assert state["step"] >= 10 and all(p.isfinite().all() for p in state["network"].values())
    assert not (tmp_path / "t" / "model.safetensors").exists()
    again = fit(given, clips, clips[:1], tmp_path / "t")
    assert np.isfinite(again.decode(again.encode(clips[0])).joints).all()


def test_the_tables_are_of_the_measurements_and_seeds_are_one_row() -> None:
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("decoders", root / "dev" / "decoders.py")
    assert spec and spec.loader
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    readme, results = root / "tokenizer" / "README.md", root / "tokenizer" / "results" / "decoders.json"
    wanted = dev.tables(json.loads(results.read_text("utf-8")))
    assert wanted in readme.read_text("utf-8"), "python dev/decoders.py table tokenizer/results/decoders.json"

    def result(jerk: float) -> dict[str, Any]:
        return {"parameters": 500_000, "sets": {"cmu": {"real": {"jerk": 9}, "reconstruction": {"jerk": jerk}}}}

    found = {"flow.0@2~0.5": result(10), "flow.1@2~0.5": result(14), "a~0.5": result(7), "b.3": result(5)}
    assert {name: len(ones) for name, ones in dev.by_seed(found).items()} == {"flow@2~0.5": 2, "a~0.5": 1, "b": 1}
    rows = dev.table(found, "cmu", "reconstruction").splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["real", "`flow@2~0.5`, 2 seeds", "`a~0.5`", "`b`"]
    assert "| 12 ± 3 |" in rows[1] and "| 1.0 |" in rows[1] and "| 7 |" in rows[2]
