"""Decoders of the motion tokenizer: from the vectors of codes to frames. Several may stand under the same codes.

A new decoder is a class here, a setting in `config.tokenizer.Network` that chooses it in `build`, and that setting's
default in `SETTINGS`, so that it changes no hash of codes. Its weights are named `decoder.…` in a tokenizer's folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from motionllm.config import Network
from motionllm.tokenizer.convolutions import Convolution, ResidualBlock

# Settings of the network that are the decoder's alone, at their defaults: no code depends on them.
SETTINGS: dict[str, Any] = {
    "causal": False,
    "decoder": "plain",
    "decoder_steps": 4,
    "decoder_noise": 1.0,
    "decoder_width": 192,
}
DILATIONS = (1, 3, 1)  # of the network that draws
PHASES = 8  # sines, and as many cosines, that tell it how far frames are from noise
BLOCK = 64  # steps whose noise is drawn at once: a generator for each step would take as long as decoding


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
        self.behind, self.ahead = _reach(self)

    def forward(self, z: Tensor, seed: int = 0, first: int = 0) -> Tensor:
        return self.frames(self.hidden(z))

    def hidden(self, z: Tensor) -> Tensor:
        """(B, steps, width): what the frames are made of."""
        for layer in list(self)[:-1]:
            z = layer(z)
        return z

    def frames(self, hidden: Tensor) -> Tensor:
        """(B, steps · down, dim)."""
        return self[-1](hidden).reshape(hidden.shape[0], -1, self.dim)


class Generative(nn.Module):
    """The plain decoder's frames and a residual that a network draws: a flow or a diffusion over frames.

    The network predicts the residual r from x = signal · r + noise · ε, and sampling goes from ε to r in
    `decoder_steps` evaluations. A flow has signal t and noise 1 − t (rectified flow, Liu et al. 2022) and is sampled by
    Euler steps; a diffusion has the sine and cosine of a quarter turn and is sampled by DDIM (Song et al. 2020). Both
    predict r itself: the noise of a step's frames does not fit through layers that are narrower, and motion does.

    columns: the features that are drawn; the others are the plain decoder's. scale: (columns,) their residuals'
    standard deviation in training, stored with the weights.
    """

    scale: Tensor

    def __init__(self, network: Network, inward: int, dim: int, columns: np.ndarray) -> None:
        super().__init__()
        self.base = Convolutions(network, inward, dim, network.causal)
        self.diffusion, self.steps, self.down = network.decoder == "diffusion", network.decoder_steps, network.down
        self.noise = network.decoder_noise
        self.columns = torch.from_numpy(columns)
        self.size, width = network.down * len(columns), network.decoder_width
        self.register_buffer("scale", torch.ones(len(columns)))
        self.condition = nn.Linear(network.width + self.size, width)
        self.inward = nn.Linear(self.size + 2 * PHASES, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, d, network.causal) for d in DILATIONS), nn.ReLU())
        self.outward = nn.Linear(width, self.size)
        nn.init.zeros_(self.outward.weight)  # untrained, it is the plain decoder
        nn.init.zeros_(self.outward.bias)
        behind, ahead = _reach(self.blocks)
        # Each evaluation reads what the one before it wrote for the steps around.
        self.behind, self.ahead = self.base.behind + self.steps * behind, self.base.ahead + self.steps * ahead

    def forward(self, z: Tensor, seed: int = 0, first: int = 0) -> Tensor:
        drawn = torch.from_numpy(noise(seed, first, z.shape[1], self.size)).to(z)
        return self.sample(z, self.noise * drawn.expand(len(z), -1, -1))

    def sample(self, z: Tensor, x: Tensor) -> Tensor:
        """Frames from noise x (B, steps, down · columns)."""
        frames, condition = self._plain(z)
        for number in range(self.steps):
            now, later = (torch.full((1, 1, 1), n / self.steps, device=x.device) for n in (number, number + 1))
            residual = self._residual(x, condition, now)
            (signal, dirt), (signal_later, dirt_later) = self._shares(now), self._shares(later)
            x = signal_later * residual + dirt_later / dirt * (x - signal * residual)
        return self._added(frames, x)

    def predicted(self, z: Tensor, truth: Tensor) -> Tensor:
        """Frames (B, T, dim) predicted from those of the truth, noised to a random degree, to be trained."""
        frames, condition = self._plain(z)
        left = (truth - frames.detach())[..., self.columns].float()
        with torch.no_grad():
            self.scale.lerp_(left.flatten(0, 1).std(0).clamp(min=1e-3), 0.01)
        residual = (left / self.scale).reshape(len(z), -1, self.size)
        way = torch.rand(len(z), 1, 1, device=z.device)
        signal, dirt = self._shares(way)
        return self._added(
            frames.detach(), self._residual(signal * residual + dirt * torch.randn_like(residual), condition, way)
        )

    def _plain(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The plain decoder's frames, and what the network is given of them, (B, steps, width)."""
        hidden = self.base.hidden(z)
        frames = self.base.frames(hidden)
        folded = frames[..., self.columns].reshape(len(z), -1, self.size)
        return frames, self.condition(torch.cat([hidden, folded], dim=-1))

    def _residual(self, x: Tensor, condition: Tensor, way: Tensor) -> Tensor:
        angles = way * math.pi * 2.0 ** torch.arange(-1, PHASES - 1, device=x.device)
        phases = torch.cat([angles.sin(), angles.cos()], dim=-1).expand(len(x), x.shape[1], -1)
        return self.outward(self.blocks(condition + self.inward(torch.cat([x, phases], dim=-1))))

    def _shares(self, way: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of signal and noise at a share of the way from noise to motion."""
        turn = way * (math.pi / 2)
        return (turn.sin(), turn.cos()) if self.diffusion else (way, 1 - way)

    def _added(self, frames: Tensor, residual: Tensor) -> Tensor:
        moved = residual.reshape(len(residual), -1, len(self.columns)) * self.scale
        return frames.index_add(-1, self.columns.to(frames.device), moved.to(frames.dtype))


def noise(seed: int, first: int, steps: int, size: int) -> np.ndarray:
    """(steps, size) float32, standard normal, of the steps from `first` on: a step's is the same in every window."""
    blocks = [
        np.random.default_rng([seed, block]).standard_normal((BLOCK, size), np.float32)
        for block in range(first // BLOCK, (first + steps - 1) // BLOCK + 1)
    ]
    return np.concatenate(blocks)[first % BLOCK :][:steps]


def build(network: Network, inward: int, dim: int, columns: np.ndarray) -> Decoder:
    """The decoder that the settings choose. inward: channels of the vectors; dim: of the features; columns: those of
    them that a decoder may draw.
    """
    if network.decoder == "plain":
        return Convolutions(network, inward, dim, causal=network.causal)
    return Generative(network, inward, dim, columns)


def plain(decoder: Decoder) -> Decoder:
    """The decoder without what it draws."""
    return decoder.base if isinstance(decoder, Generative) else decoder


def _reach(module: nn.Module) -> tuple[int, int]:
    """Steps before and after each step that the convolutions of a module see."""
    convolutions = [m for m in module.modules() if isinstance(m, Convolution)]
    return sum(c.before for c in convolutions), sum(c.after for c in convolutions)
