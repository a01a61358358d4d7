"""The tokenizer's network: temporal convolutions around a vector quantizer.

Frames are halved `log2(down)` times; the residual blocks then work at the code rate, where a window
costs a quarter of what full-rate blocks cost and one dilation step spans four frames.
Shapes are (batch, channels, time) inside, (batch, time, channels) at the border.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from motionllm.config import Network


class ResidualBlock(nn.Module):
    """x + conv1(relu(conv3(relu(x)))), dilated."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.near = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(torch.relu(self.near(torch.relu(x))))


class VQVAE(nn.Module):
    """Features (B, T, dim), normalised, T a multiple of `down` → codes (B, T/down) → features.

    The design follows van den Oord et al., "Neural Discrete Representation Learning" (2017), with the
    codebook kept by exponential moving averages and k-means start (vector-quantize-pytorch).
    """

    def __init__(self, dim: int, network: Network) -> None:
        super().__init__()
        width, halvings = network.width, int(math.log2(network.down))
        dilations = [3 ** (i % 3) for i in range(network.blocks)]
        encoder: list[nn.Module] = []
        for i in range(halvings):
            encoder += [nn.Conv1d(width if i else dim, width, 4, stride=2, padding=1), nn.ReLU()]
        encoder += [] if halvings else [nn.Conv1d(dim, width, 3, padding=1), nn.ReLU()]
        encoder += [ResidualBlock(width, d) for d in dilations]
        encoder += [nn.Conv1d(width, network.code_dim, 1)]
        decoder: list[nn.Module] = [nn.Conv1d(network.code_dim, width, 3, padding=1)]
        decoder += [ResidualBlock(width, d) for d in reversed(dilations)]
        for i in range(halvings):
            decoder += [ResidualBlock(width, 1)] if i else []
            decoder += [nn.ReLU(), nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)]
        decoder += [nn.ReLU(), nn.Conv1d(width, dim, 3, padding=1)]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)
        self.quantizer = VectorQuantize(
            dim=network.code_dim,
            codebook_size=network.codes,
            decay=0.98,
            kmeans_init=True,
            kmeans_iters=10,
            threshold_ema_dead_code=0.3,  # codes a batch; a code below it is dead and restarts at a sample
            commitment_weight=1.0,  # weighted by the recipe, in the loss
        )

    def forward(self, x: Tensor, quantize: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction (B, T, dim), codes (B, T/down), commitment loss (scalar).

        quantize=False trains encoder and decoder as a plain autoencoder; its codes are all 0.
        """
        z = self.encoder(x.transpose(1, 2)).transpose(1, 2)
        if not quantize:
            decoded = self.decoder(z.transpose(1, 2)).transpose(1, 2)
            return decoded, torch.zeros(z.shape[:2], dtype=torch.long), z.new_zeros(())
        quantized, codes, commitment = self.quantizer(z)
        return self.decoder(quantized.transpose(1, 2)).transpose(1, 2), codes, commitment.sum()

    @torch.no_grad()
    def start_codebook(self, batches: Tensor) -> None:
        """Place the codes by k-means on the encodings of (N, T, dim)."""
        z = torch.cat([self.encoder(x.transpose(1, 2)).transpose(1, 2) for x in batches.split(64)])
        self.quantizer(z.reshape(1, -1, z.shape[-1]))

    def encode(self, x: Tensor) -> Tensor:
        """(B, T, dim) → codes (B, T/down)."""
        z = self.encoder(x.transpose(1, 2)).transpose(1, 2)
        return self.quantizer(z, freeze_codebook=True)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """(B, n) codes → (B, n·down, dim)."""
        quantized = self.quantizer.get_output_from_indices(codes)
        return self.decoder(quantized.transpose(1, 2)).transpose(1, 2)
