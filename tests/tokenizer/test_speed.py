"""Encoding and decoding speed beside a plain convolutional VQ of T2M-GPT's size, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from motionllm.tokenizer import MotionTokenizer


class Block(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        near = nn.Conv1d(512, 512, 3, padding=dilation, dilation=dilation)
        self.layers = nn.Sequential(nn.ReLU(), near, nn.ReLU(), nn.Conv1d(512, 512, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PlainVQ(nn.Module):
    """As Zhang et al., "T2M-GPT" (2023), describe theirs: width and codes of 512, two halvings in time, three dilated
    residual blocks at each.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks = [[Block(d) for d in (9, 3, 1)] for _ in range(4)]
        down = [nn.Sequential(nn.Conv1d(512, 512, 4, 2, 1), *blocks[i]) for i in range(2)]
        up = [
            nn.Sequential(*blocks[2 + i], nn.Upsample(scale_factor=2), nn.Conv1d(512, 512, 3, 1, 1)) for i in range(2)
        ]
        self.encoder = nn.Sequential(nn.Conv1d(263, 512, 3, 1, 1), nn.ReLU(), *down, nn.Conv1d(512, 512, 3, 1, 1))
        first, last = nn.Conv1d(512, 512, 3, 1, 1), nn.Conv1d(512, 263, 3, 1, 1)
        self.decoder = nn.Sequential(first, nn.ReLU(), *up, nn.Conv1d(512, 512, 3, 1, 1), nn.ReLU(), last)
        self.quantizer = VectorQuantize(512, 512).eval()

    def encode(self, x: Tensor) -> Tensor:
        return self.quantizer(self.encoder(x.mT).mT)[1]

    def decode(self, codes: Tensor) -> Tensor:
        return self.decoder(self.quantizer.get_output_from_indices(codes).mT).mT


def speed(work: Callable[[], object], frames: int) -> float:
    """Frames a second, the median of 7 after one to warm up."""
    work()
    spent = []
    for _ in range(7):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return frames / float(np.median(spent))


@pytest.mark.slow
@torch.inference_mode()
def test_as_fast_as_a_plain_vq(capsys: pytest.CaptureFixture[str]) -> None:
    ours, plain = MotionTokenizer.load("default"), PlainVQ().eval()
    features = np.random.default_rng(0).normal(size=(196, 263)).astype(np.float32) * ours.std + ours.mean
    x = torch.from_numpy((features - ours.mean) / ours.std)[None]
    codes, plain_codes = ours.encode(features), plain.encode(x)
    assert plain.decode(plain_codes).shape == x.shape
    found = {
        "encode": (speed(lambda: ours.encode(features), 196), speed(lambda: plain.encode(x), 196)),
        "decode": (speed(lambda: ours.decode_features(codes), 196), speed(lambda: plain.decode(plain_codes), 196)),
    }
    with capsys.disabled():
        for verb, (one, other) in found.items():
            print(f"\n{verb}: {one:,.0f} frames a second, plain VQ {other:,.0f}: {one / other:.1f} times")
    assert all(one > other for one, other in found.values())
