"""Codes searched for: less error, whatever the quantizer, and what was decoded is found again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionllm import corpus as builtin
from motionllm.cli import main
from motionllm.config import Network
from motionllm.motion import Motion
from motionllm.motion.representation import HUMANML3D_263
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.network import MotionAutoencoder
from motionllm.tokenizer.report import report
from motionllm.tokenizer.search import Search
from motionllm.tokenizer.start import normalisation


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [builtin.sample(i, split="val").load() for i in range(4)]


def test_the_shipped_tokenizer_loses_less(clips: list[np.ndarray]) -> None:
    tokenizer = MotionTokenizer.load("default")
    nearest, searched = report(tokenizer, clips), report(tokenizer, clips, search=2)
    assert searched["mpjpe_root_mm"] < 0.9 * nearest["mpjpe_root_mm"]
    assert searched["mpjpe_mm"] < 0.9 * nearest["mpjpe_mm"]  # root and heading are not given up for the pose
    assert searched["stable"] > 0.9
    assert (tokenizer.encode(clips[0], search=0) == tokenizer.encode(clips[0])).all()


@pytest.mark.parametrize(
    "config",
    [
        Network(width=16, blocks=1, codes=16, code_dim=8, split="body"),
        Network(width=16, blocks=1, codes=16, code_dim=8, levels=3),
        Network(width=16, blocks=1, codes=64, code_dim=8, quantizer="fsq", groups=2),
        Network(width=16, blocks=1, codes=4, code_dim=8, quantizer="lfq", causal=True),
    ],
    ids=["body", "residual", "fsq", "lfq"],
)
def test_searched_codes_decode_nearer(config: Network, clips: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    network = MotionAutoencoder(HUMANML3D_263, config)
    if config.quantizer == "vq":
        network.start_codebooks(torch.randn(40, 32, 263))
    tokenizer = MotionTokenizer(config, *normalisation(clips, HUMANML3D_263), network)
    rng = np.random.default_rng(0)
    codes = (rng.integers(config.codes, size=(15, network.parts)) + np.arange(network.parts) * config.codes).flatten()
    motion = tokenizer.decode_features(codes)  # an untrained encoder cannot read it
    errors = []
    for found in (tokenizer.encode(motion), tokenizer.encode(motion, search=2)):
        assert (tokenizer.check(found) == found).all() and found.shape == codes.shape
        errors.append(np.abs((tokenizer.decode_features(found) - motion)[:, :67] / tokenizer.std[:67]).mean())
    assert errors[1] < 0.9 * errors[0]


def test_what_was_decoded_is_found_again() -> None:
    torch.manual_seed(0)
    config = Network(width=16, blocks=1, codes=32, code_dim=8, split="body")
    network = MotionAutoencoder(HUMANML3D_263, config)
    network.start_codebooks(torch.randn(40, 32, 263))
    clips = [builtin.sample(i).load() for i in range(4)]
    tokenizer = MotionTokenizer(config, *normalisation(clips, HUMANML3D_263), network)
    truth = tokenizer.encode(clips[0][:16])
    x = network.decode(torch.from_numpy(truth)[None])
    search = Search(
        network, HUMANML3D_263, x, torch.from_numpy(tokenizer.mean), torch.from_numpy(tokenizer.std), candidates=32
    )
    wrong = truth.copy()
    wrong[2] = (truth[2] + 5) % 32  # legs of the second step
    with torch.inference_mode():
        assert (search(torch.from_numpy(wrong)[None], 4)[0].numpy() == truth).all()
        assert (search(torch.from_numpy(truth)[None], 4)[0].numpy() == truth).all()


@pytest.mark.parametrize("frames", [4, 7, 40])
def test_short_clips_are_searched_too(tiny_tokenizer: Path, clips: list[np.ndarray], frames: int) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    assert len(tokenizer.encode(clips[0][:frames], search=3)) == frames // 4 * 2


def test_the_verbs_search(tiny_tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    joints = builtin.joints(builtin.Spec.of((sample := builtin.sample(3)).labels["spec"]), sample.labels["seed"])
    np.save(tmp_path / "clip.npy", joints)
    call = ["tokenizer", "encode", str(tiny_tokenizer), str(tmp_path / "clip.npy")]
    assert main([*call, "--search", "1"]) == 0
    codes = json.loads(capsys.readouterr().out)["codes"]
    motion = Motion.load(tmp_path / "clip.npy")
    assert codes == tokenizer.encode(motion, search=1).tolist() != tokenizer.encode(motion).tolist()
    assert main([*call, "--search", "-1"]) == 2
    assert "search" in capsys.readouterr().err
