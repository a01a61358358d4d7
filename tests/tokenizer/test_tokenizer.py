"""The motion tokenizer: saved is loaded, a hash that notices, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionllm.config import Network, Source, TokenizerRecipe, TokenizerTraining
from motionllm.data import builtin
from motionllm.data.prepare import train_tokenizer
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.network import MotionAutoencoder, body_parts
from motionllm.tokenizer.train import report


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return builtin.sample(0, split="val").load()


def test_encode_and_decode(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    codes = tokenizer.encode(clip)
    assert codes.shape == (len(clip) // 4 * 2,)
    assert (codes // 16 == np.arange(len(codes)) % 2).all()  # legs, arms, legs, arms …
    assert codes.dtype == np.int64
    motion = tokenizer.decode(codes)
    assert isinstance(motion, Motion)
    assert (len(motion), motion.fps) == (len(codes) * 2, 20)


def test_motion_joints_and_features_give_the_same_codes(tiny_tokenizer: Path) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    sample = builtin.sample(3, split="val")
    features = sample.load()
    joints = builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])
    assert (tokenizer.encode(joints) == tokenizer.encode(features)).all()
    assert (tokenizer.encode(Motion(joints)) == tokenizer.encode(features)).all()


def test_saved_and_loaded_is_the_same(tiny_tokenizer: Path, clip: np.ndarray, tmp_path: Path) -> None:
    first = MotionTokenizer.load(tiny_tokenizer)
    first.save(tmp_path / "copy")
    second = MotionTokenizer.load(tmp_path / "copy")
    assert second.hash == first.hash
    assert (second.encode(clip) == first.encode(clip)).all()
    assert (second.decode_features(first.encode(clip)) == first.decode_features(first.encode(clip))).all()
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["config.json", "model.safetensors"]


def test_the_hash_notices_weights_and_normalisation(tiny_tokenizer: Path) -> None:
    first, second, third = (MotionTokenizer.load(tiny_tokenizer) for _ in range(3))
    second.std[0] *= 1.5
    next(iter(third.network.decoder.parameters())).data[0] += 1
    assert len({first.hash, second.hash, third.hash}) == 3


def test_training_learns_and_reports(tmp_path: Path) -> None:
    def error(steps: int) -> float:
        recipe = TokenizerRecipe(
            sources=[Source(kind="builtin", clips=12)],
            network=Network(width=32, blocks=1, codes=64, code_dim=16),
            train=TokenizerTraining(steps=steps, autoencode=steps // 2, batch=8, window=32, lr=2e-3),
        )
        result = train_tokenizer(recipe, tmp_path / str(steps))
        assert (tmp_path / str(steps) / "recipe.yaml").is_file()
        assert result["steps"] == steps
        return result["val"]["mpjpe_root_mm"]

    assert error(150) < 0.8 * error(2)


def test_the_report_of_a_perfect_tokenizer_is_zero(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    reachable = tokenizer.decode_features(tokenizer.encode(clip))

    class Perfect(MotionTokenizer):
        def decode_features(self, codes: np.ndarray) -> np.ndarray:
            return reachable

    perfect = Perfect(tokenizer.config, tokenizer.mean, tokenizer.std, tokenizer.network)
    result = report(perfect, [reachable])
    assert result["mpjpe_root_mm"] == pytest.approx(0, abs=1e-3)
    assert result["mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert result["dead_codes"] == tokenizer.size - round(result["codes_used"] * tokenizer.size)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((3, 263)), "3 feature frame"),
        (np.zeros((50, 100)), "(50, 100)"),
        (np.full((20, 263), np.inf), "NaN or infinity"),
    ],
)
def test_unusable_motion_is_refused(tiny_tokenizer: Path, given: np.ndarray, words: str) -> None:
    with pytest.raises(MotionLLMError) as caught:
        MotionTokenizer.load(tiny_tokenizer).encode(given)
    assert words in str(caught.value)


def test_codes_of_another_tokenizer_are_refused(tiny_tokenizer: Path) -> None:
    with pytest.raises(MotionLLMError, match="another tokenizer"):
        MotionTokenizer.load(tiny_tokenizer).decode(np.array([0, 32]))


@pytest.mark.parametrize("codes", [[0, 16, 1], [16, 0], [0, 1]])
def test_codes_out_of_order_are_refused(tiny_tokenizer: Path, codes: list[int]) -> None:
    with pytest.raises(MotionLLMError, match="in order"):
        MotionTokenizer.load(tiny_tokenizer).decode(np.array(codes))


def test_a_code_tells_of_its_half_of_the_body_alone(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    lower, upper = body_parts(263)
    assert not set(lower) & set(upper)
    other = clip.copy()
    other[:, upper] = np.random.default_rng(0).normal(size=(len(clip), len(upper))) * tokenizer.std[upper] * 3
    before, after = tokenizer.encode(clip), tokenizer.encode(other)
    assert (before[0::2] == after[0::2]).all()
    assert (before[1::2] != after[1::2]).any()


@pytest.mark.parametrize("quantizer", ["vq", "fsq"])
@pytest.mark.parametrize("split", ["none", "body"])
def test_every_quantizer_decodes_what_it_quantized(quantizer: str, split: str) -> None:
    torch.manual_seed(0)
    network = MotionAutoencoder(
        263, Network(width=16, blocks=1, quantizer=quantizer, split=split, codes=64, code_dim=8)
    )
    x = torch.randn(2, 32, 263)
    if quantizer == "vq":
        network.start_codebooks(torch.randn(40, 32, 263))
    network.eval()
    with torch.no_grad():
        output, codes, _ = network(x)
        assert codes.shape == (2, 8 * network.parts)
        assert torch.equal(codes, network.encode(x))
        assert torch.allclose(network.decode(codes), output, atol=1e-5)
        assert network.codebook.shape == (64 * network.parts, 8)


def test_fsq_needs_a_number_of_codes_it_can_make() -> None:
    with pytest.raises(ValueError, match="fsq"):
        Network(quantizer="fsq", codes=500)


def test_damaged_folders_are_refused(tiny_tokenizer: Path, tmp_path: Path) -> None:
    MotionTokenizer.load(tiny_tokenizer).save(tmp_path / "t")
    config = json.loads((tmp_path / "t" / "config.json").read_text())
    (tmp_path / "t" / "config.json").write_text(json.dumps(config | {"hash": "0" * 16}))
    with pytest.raises(MotionLLMError, match="hash"):
        MotionTokenizer.load(tmp_path / "t")
    (tmp_path / "t" / "model.safetensors").write_bytes(b"short")
    with pytest.raises(MotionLLMError, match="damaged") as caught:
        MotionTokenizer.load(tmp_path / "t")
    assert "\n" not in str(caught.value)


def test_clips_shorter_than_the_window_cannot_train(tmp_path: Path) -> None:
    recipe = TokenizerRecipe(sources=[Source(kind="builtin", clips=3)], train=TokenizerTraining(window=640))
    with pytest.raises(MotionLLMError, match="640 frames"):
        train_tokenizer(recipe, tmp_path / "t")


def test_training_goes_on_from_an_earlier_tokenizer(tiny_tokenizer: Path, tmp_path: Path) -> None:
    network = MotionTokenizer.load(tiny_tokenizer).config
    recipe = TokenizerRecipe(
        start=str(tiny_tokenizer),
        sources=[Source(kind="builtin", clips=12)],
        network=network,
        train=TokenizerTraining(steps=60, batch=8, window=32, lr=2e-3),
    )
    before = report(MotionTokenizer.load(tiny_tokenizer), [builtin.sample(i, split="val").load() for i in range(6)])
    train_tokenizer(recipe, tmp_path / "more")
    more = MotionTokenizer.load(tmp_path / "more")
    assert (more.mean == MotionTokenizer.load(tiny_tokenizer).mean).all()
    after = report(more, [builtin.sample(i, split="val").load() for i in range(6)])
    assert after["mpjpe_root_mm"] < before["mpjpe_root_mm"]
    recipe.network = Network(width=24, blocks=1, codes=32, code_dim=8)
    with pytest.raises(MotionLLMError, match="another network"):
        train_tokenizer(recipe, tmp_path / "other")
