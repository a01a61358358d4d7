"""Frames while codes arrive: the same as decoding the whole, and as early as the receptive field allows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motionllm.config import Network
from motionllm.errors import MotionLLMError
from motionllm.motion.representation import HUMANML3D_263
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.decoders import Convolutions
from motionllm.tokenizer.network import MotionAutoencoder


def tokenizer(causal: bool, split: str = "body", levels: int = 1, blocks: int = 3) -> MotionTokenizer:
    torch.manual_seed(0)
    config = Network(width=16, blocks=blocks, split=split, levels=levels, codes=32, code_dim=8, causal=causal)
    network = MotionAutoencoder(HUMANML3D_263, config)
    network.start_codebooks(torch.randn(16, 32, 263))
    return MotionTokenizer(config, np.zeros(263, np.float32), np.full(263, 0.1, np.float32), network)


def codes_of(tokenizer: MotionTokenizer, steps: int) -> np.ndarray:
    each = tokenizer.size // tokenizer.parts
    drawn = np.random.default_rng(0).integers(each, size=(steps, tokenizer.parts))
    return (drawn + np.arange(tokenizer.parts) * each).flatten()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("split", "levels"), [("none", 1), ("body", 2)])
def test_streamed_is_decoded(causal: bool, split: str, levels: int) -> None:
    one = tokenizer(causal, split, levels)
    codes = codes_of(one, 70)  # longer than the receptive field
    stream = one.stream()
    pieces = [stream.push(codes[i : i + 1]) for i in range(len(codes))]
    pieces.append(stream.finish())
    assert np.abs(np.concatenate(pieces) - one.decode(codes).joints).max() < 1e-5
    assert len(stream.push(codes[:0])) == 0


def test_a_causal_tokenizer_gives_frames_with_the_first_step() -> None:
    one = tokenizer(True)
    stream = one.stream()
    codes = codes_of(one, 3)
    assert stream.ahead == 0
    assert len(stream.push(codes[:1])) == 0  # half a step
    assert stream.push(codes[1:2]).shape == (4, 22, 3)
    assert stream.push(codes[2:6]).shape == (8, 22, 3)
    assert len(stream.finish()) == 0


def test_the_stated_receptive_field_is_the_true_one() -> None:
    for causal in (True, False):
        one = tokenizer(causal)
        network = one.network
        codes = torch.from_numpy(codes_of(one, 90)).unflatten(0, (-1, one.parts))
        changed = codes.clone()
        changed[45] = (changed[45] + 1) % 32 + torch.arange(one.parts) * 32
        with torch.no_grad():
            first, second = (network.decode(c.flatten()[None])[0] for c in (codes, changed))
        moved = (first != second).any(-1).unflatten(0, (-1, 4)).any(-1).nonzero().flatten()
        assert (45 - moved.min(), moved.max() - 45) == (one.ahead, one.behind)


def test_a_decoder_that_draws_is_a_class_under_the_same_codes() -> None:
    """Noise by seed and step: whole and streamed are one motion, another seed another, and codes are as they were."""

    class Drawn(Convolutions):
        def forward(self, z: torch.Tensor, seed: int = 0, first: int = 0) -> torch.Tensor:
            steps = [np.random.default_rng([seed, first + i]).normal(size=4 * 263) for i in range(z.shape[1])]
            noise = torch.from_numpy(np.stack(steps)).float().reshape(1, -1, 263)
            return super().forward(z) + 0.1 * noise

    plain, one = tokenizer(True), tokenizer(True)
    one.network.decoder = Drawn(one.config, plain.network.decoder[0].product.in_features // 3, 263, causal=True)
    one.network.decoder.load_state_dict(plain.network.decoder.state_dict())
    codes = codes_of(one, 40)
    whole, again, other = (one.decode(codes, seed).joints for seed in (3, 3, 4))
    stream = one.stream(3)
    pieces = [stream.push(codes[i : i + 6]) for i in range(0, len(codes), 6)]
    assert np.abs(np.concatenate([*pieces, stream.finish()]) - whole).max() < 1e-4
    assert np.array_equal(whole, again) and not np.allclose(whole, other, atol=1e-3)
    assert one.codes_hash == plain.codes_hash and np.array_equal(plain.encode(whole), one.encode(whole))


def test_a_step_waits_for_the_steps_it_looks_at() -> None:
    one = tokenizer(False, blocks=1)
    stream = one.stream()
    assert stream.ahead == 3
    codes = codes_of(one, 10)
    got = [len(stream.push(codes[2 * i : 2 * i + 2])) for i in range(10)]
    assert got == [0, 0, 0, *[4] * 7]
    assert len(stream.finish()) == 12


def test_a_wrong_code_leaves_the_stream_as_it_was() -> None:
    one = tokenizer(True)
    stream = one.stream()
    codes = codes_of(one, 4)
    made = [stream.push(codes[:4])]
    with pytest.raises(MotionLLMError, match="in order"):
        stream.push(codes[5:6])
    with pytest.raises(MotionLLMError, match="another tokenizer"):
        stream.push([9999])
    made.append(stream.push(codes[4:7]))
    with pytest.raises(MotionLLMError, match="in steps of 2"):
        stream.finish()
    made.append(stream.push(codes[7:]))
    assert np.abs(np.concatenate(made) - one.decode(codes).joints).max() < 1e-5
