"""Temporal convolutions that encoders and decoders are built of. Shapes are (batch, time, channels)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution(nn.Module):
    """1-D convolution over (B, T, C) as one matrix product, zero-padded to keep T / stride frames.

    causal: all padding stands before, so that no output sees a later input. At these sizes a CPU runs the product half
    as fast again as its convolution kernels.
    """

    def __init__(
        self, inward: int, outward: int, width: int, dilation: int = 1, stride: int = 1, causal: bool = False
    ) -> None:
        super().__init__()
        self.span, self.dilation, self.stride = dilation * (width - 1) + 1, dilation, stride
        margin = self.span - stride
        self.before = margin if causal else margin // 2
        self.after = margin - self.before
        self.product = nn.Linear(width * inward, outward)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, self.before, self.after))
        length = (x.shape[1] - self.span) // self.stride + 1
        taps = [x[:, i : i + self.stride * (length - 1) + 1 : self.stride] for i in range(0, self.span, self.dilation)]
        return self.product(torch.cat(taps, dim=-1))


class ResidualBlock(nn.Module):
    """x + mix(relu(conv3(relu(x)))), dilated."""

    def __init__(self, width: int, dilation: int, causal: bool = False) -> None:
        super().__init__()
        self.near = Convolution(width, width, 3, dilation, causal=causal)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(torch.relu(self.near(torch.relu(x))))
