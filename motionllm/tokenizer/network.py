"""The tokenizer's network: temporal convolutions around a vector quantizer.

Shapes are (batch, time, channels) throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize

from motionllm.config import Network


class Convolution(nn.Module):
    """1-D convolution over (B, T, C) as one matrix product, zero-padded to keep T / stride frames.

    At these sizes a CPU runs the product half as fast again as its convolution kernels.
    """

    def __init__(self, inward: int, outward: int, width: int, dilation: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.span, self.dilation, self.stride = dilation * (width - 1) + 1, dilation, stride
        self.product = nn.Linear(width * inward, outward)

    def forward(self, x: Tensor) -> Tensor:
        before = (self.span - self.stride) // 2
        x = F.pad(x, (0, 0, before, self.span - self.stride - before))
        length = (x.shape[1] - self.span) // self.stride + 1
        taps = [x[:, i : i + self.stride * (length - 1) + 1 : self.stride] for i in range(0, self.span, self.dilation)]
        return self.product(torch.cat(taps, dim=-1))


class ResidualBlock(nn.Module):
    """x + mix(relu(conv3(relu(x)))), dilated."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.near = Convolution(width, width, 3, dilation)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(torch.relu(self.near(torch.relu(x))))


class VQVAE(nn.Module):
    """Features (B, T, dim), normalised, T a multiple of `down` → codes (B, T/down) → features.

    The design follows van den Oord et al., "Neural Discrete Representation Learning" (2017), with the
    codebook kept by exponential moving averages and k-means start (vector-quantize-pytorch). Frames are
    folded into the code rate by one strided convolution and unfolded by one product, so that every block
    works at the code rate, where a window costs `down` times less.
    """

    def __init__(self, dim: int, network: Network) -> None:
        super().__init__()
        width, self.down, self.dim = network.width, network.down, dim
        dilations = [3 ** (i % 3) for i in range(network.blocks)]
        self.encoder = nn.Sequential(
            Convolution(dim, width, 2 * self.down, stride=self.down),
            *(ResidualBlock(width, d) for d in dilations),
            nn.Linear(width, network.code_dim),
        )
        self.decoder = nn.Sequential(
            Convolution(network.code_dim, width, 3),
            *(ResidualBlock(width, d) for d in reversed(dilations)),
            nn.ReLU(),
            Convolution(width, self.down * dim, 3),
        )
        self.quantizer = VectorQuantize(
            dim=network.code_dim,
            codebook_size=network.codes,
            decay=0.95,
            kmeans_init=True,
            kmeans_iters=10,
            threshold_ema_dead_code=0.3,  # codes a batch; a code below it is dead and restarts at a sample
            commitment_weight=1.0,  # weighted by the recipe, in the loss
        )

    def forward(self, x: Tensor, quantize: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction (B, T, dim), codes (B, T/down), commitment loss (scalar).

        quantize=False trains encoder and decoder as a plain autoencoder; its codes are all 0.
        """
        z = self.encoder(x)
        if not quantize:
            return self._unfold(z), torch.zeros(z.shape[:2], dtype=torch.long), z.new_zeros(())
        quantized, codes, commitment = self.quantizer(z)
        return self._unfold(quantized), codes, commitment.sum()

    @torch.no_grad()
    def start_codebook(self, windows: Tensor) -> None:
        """Place the codes by k-means on the encodings of (N, T, dim)."""
        z = torch.cat([self.encoder(x) for x in windows.split(64)])
        self.quantizer(z.reshape(1, -1, z.shape[-1]))

    def encode(self, x: Tensor) -> Tensor:
        """(B, T, dim) → codes (B, T/down)."""
        return self.quantizer(self.encoder(x), freeze_codebook=True)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """(B, n) codes → (B, n·down, dim)."""
        return self._unfold(self.quantizer.get_output_from_indices(codes))

    def _unfold(self, z: Tensor) -> Tensor:
        return self.decoder(z).reshape(z.shape[0], -1, self.dim)
