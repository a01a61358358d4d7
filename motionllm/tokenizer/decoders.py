"""Decoders of the motion tokenizer: from the vectors of codes to frames. Several may stand under the same codes.

A new decoder is a class here, a setting in `config.tokenizer.Network` that chooses it in `build`, and that setting's
default in `SETTINGS`, so that it changes no hash of codes. Its weights are named `decoder.…` in a tokenizer's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from motionllm.config import Network
from motionllm.tokenizer.convolutions import Convolution, ResidualBlock

# Settings of the network that are the decoder's alone, at their defaults: no code depends on them.
SETTINGS: dict[str, Any] = {"causal": False}


class Decoder(Protocol):
    """Vectors (B, steps, channels) → normalised features (B, steps · down, dim); an nn.Module.

    behind, ahead: frames of a step depend on the vectors of so many steps before and after it, and on no others, so
    that a stream is decoded by windows.
    """

    behind: int
    ahead: int

    def __call__(self, z: Tensor, seed: int = 0, first: int = 0) -> Tensor:
        """seed: of what a decoder draws; the same one gives the same frames, whatever window they are decoded in.
        first: the number of the first step in its clip, by which noise is drawn.
        """

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def to(self, dtype: torch.dtype) -> Any: ...


class Convolutions(nn.Sequential):
    """Dilated convolutions at the rate of steps, of which the last unfolds each into its frames. Draws nothing.

    causal: frames of a step come from it and those before, so that they can be shown while codes arrive.
    """

    def __init__(self, network: Network, inward: int, dim: int, causal: bool = False) -> None:
        width = network.width
        dilations = [3 ** (i % 3) for i in range(network.blocks)]
        super().__init__(
            Convolution(inward, width, 3, causal=causal),
            *(ResidualBlock(width, d, causal) for d in reversed(dilations)),
            nn.ReLU(),
            Convolution(width, network.down * dim, 3, causal=causal),
        )
        self.dim = dim
        convolutions = [m for m in self.modules() if isinstance(m, Convolution)]
        self.behind, self.ahead = sum(c.before for c in convolutions), sum(c.after for c in convolutions)

    def forward(self, z: Tensor, seed: int = 0, first: int = 0) -> Tensor:
        return super().forward(z).reshape(z.shape[0], -1, self.dim)


def build(network: Network, inward: int, dim: int) -> Decoder:
    """The decoder that the settings choose. inward: channels of the vectors; dim: of the features."""
    return Convolutions(network, inward, dim, causal=network.causal)
