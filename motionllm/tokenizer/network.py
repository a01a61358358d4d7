"""The tokenizer's network: temporal convolutions around a quantizer, for the whole body or for its two halves.

Shapes are (batch, time, channels) throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import FSQ, VectorQuantize

from motionllm.config import FSQ_LEVELS, Network
from motionllm.motion.features import skeleton_of_dim


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


class MotionAutoencoder(nn.Module):
    """Features (B, T, dim), normalised, T a multiple of `down` → codes (B, n) → features.

    A step of `down` frames becomes one code, or one for each half of the body: n = T/down · `parts`, the codes of
    a step side by side, those of part p numbered from p · codes. Each half has an encoder that sees that half
    alone, so that a code says what the arms do whatever the legs do meanwhile; one decoder sees both.

    The design follows van den Oord et al., "Neural Discrete Representation Learning" (2017). quantizer "vq": a
    codebook kept by exponential moving averages with k-means start; "fsq": finite scalar quantization (Mentzer et
    al., 2023), where codes are the cells of a grid and none can die. Frames are folded into steps by one strided
    convolution and unfolded by one product, so that every block works at the code rate, where a window costs
    `down` times less.
    """

    def __init__(self, dim: int, network: Network) -> None:
        super().__init__()
        width, self.down, self.dim, self.codes = network.width, network.down, dim, network.codes
        dilations = [3 ** (i % 3) for i in range(network.blocks)]
        lower, upper = body_parts(dim)
        self.seen = [lower, upper] if network.split == "body" else [sorted([*lower, *upper])]
        self.encoders = nn.ModuleList(
            nn.Sequential(
                Convolution(len(dims), width, 2 * self.down, stride=self.down),
                *(ResidualBlock(width, d) for d in dilations),
                nn.Linear(width, network.code_dim),
            )
            for dims in self.seen
        )
        self.decoder = nn.Sequential(
            Convolution(self.parts * network.code_dim, width, 3),
            *(ResidualBlock(width, d) for d in reversed(dilations)),
            nn.ReLU(),
            Convolution(width, self.down * dim, 3),
        )
        self.quantizers = nn.ModuleList(_quantizer(network) for _ in self.seen)

    @property
    def parts(self) -> int:
        """Codes a step."""
        return len(self.seen)

    @property
    def codebook(self) -> Tensor:
        """(parts · codes, code_dim): the vector of every code."""
        each = torch.arange(self.codes, device=next(self.parameters()).device)[None]
        vectors: list[Tensor] = []
        for quantizer in self.quantizers:
            if isinstance(quantizer, VectorQuantize):
                vectors.append(quantizer.get_output_from_indices(each)[0])
            else:
                vectors.append(quantizer.indices_to_codes(each)[0])  # type: ignore[operator]
        return torch.cat(vectors).detach()

    def forward(self, x: Tensor, quantize: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction (B, T, dim), codes (B, n), commitment loss (scalar; 0 for FSQ).

        quantize=False trains encoder and decoder as a plain autoencoder; its codes are all 0.
        """
        z = self._encodings(x)
        if not quantize:
            return self._unfold(z), torch.zeros(z[0].shape[:2], dtype=torch.long), x.new_zeros(())
        quantized, codes, commitment = [], [], x.new_zeros(())
        for quantizer, part in zip(self.quantizers, z, strict=True):
            with torch.autocast(x.device.type, enabled=False):  # averages of codes need every digit
                vector, code, *loss = quantizer(part.float())
            quantized.append(vector)
            codes.append(code)
            commitment = commitment + sum(one.sum() for one in loss)
        return self._unfold(quantized), self._flat(codes), commitment

    @torch.no_grad()
    def start_codebooks(self, windows: Tensor) -> None:
        """Place the codes by k-means on the encodings of (N, T, dim)."""
        encodings = [self._encodings(x) for x in windows.split(64)]
        for quantizer, *parts in zip(self.quantizers, *encodings, strict=True):
            quantizer(torch.cat(parts).reshape(1, -1, parts[0].shape[-1]))

    def encode(self, x: Tensor) -> Tensor:
        """(B, T, dim) → codes (B, n)."""
        frozen = [{"freeze_codebook": True} if isinstance(q, VectorQuantize) else {} for q in self.quantizers]
        return self._flat([
            q(z, **options)[1] for q, z, options in zip(self.quantizers, self._encodings(x), frozen, strict=True)
        ])  # fmt: skip

    def decode(self, codes: Tensor) -> Tensor:
        """(B, n) codes → (B, n / parts · down, dim)."""
        vectors = self.codebook[codes].unflatten(1, (-1, self.parts))
        return self._unfold(list(vectors.unbind(2)))

    def _encodings(self, x: Tensor) -> list[Tensor]:
        return [encoder(x[..., dims]) for encoder, dims in zip(self.encoders, self.seen, strict=True)]

    def _flat(self, codes: list[Tensor]) -> Tensor:
        return torch.stack([c.long() + part * self.codes for part, c in enumerate(codes)], dim=-1).flatten(1)

    def _unfold(self, z: list[Tensor]) -> Tensor:
        return self.decoder(torch.cat(z, dim=-1)).reshape(z[0].shape[0], -1, self.dim)


def _quantizer(network: Network) -> nn.Module:
    if network.quantizer == "fsq":
        return FSQ(FSQ_LEVELS[network.codes], dim=network.code_dim)
    return VectorQuantize(
        dim=network.code_dim,
        codebook_size=network.codes,
        decay=0.95,
        kmeans_init=True,
        kmeans_iters=10,
        threshold_ema_dead_code=0.3,  # codes a batch; a code below it is dead and restarts at a sample
        commitment_weight=1.0,  # weighted by the recipe, in the loss
    )


def body_parts(dim: int) -> list[list[int]]:
    """The feature dims an encoder sees, of the lower body with root and contacts, and of the upper body.

    Rotations are left out: they follow from the positions and add only their own noise (PROTOCOL: unreliable).
    """
    joints = skeleton_of_dim(dim).joints
    count = len(joints)
    lower: list[int] = [0, 1, 2, 3]
    upper: list[int] = []
    for number, name in enumerate(joints):
        below = number == 0 or any(word in name for word in ("hip", "knee", "ankle", "heel", "foot"))
        positions = range(4 + 3 * (number - 1), 4 + 3 * number) if number else ()
        velocity = 9 * count - 5 + 3 * number
        (lower if below else upper).extend([*positions, *range(velocity, velocity + 3)])
    return [sorted([*lower, *range(12 * count - 5, 12 * count - 1)]), sorted(upper)]
