"""The tokenizer's network: temporal convolutions around a quantizer, for the whole body or for its two halves.

Shapes are (batch, time, channels) throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from motionllm.config import Network
from motionllm.motion.motionstreamer import placed
from motionllm.motion.representation import Representation
from motionllm.tokenizer.convolutions import Convolution, ResidualBlock
from motionllm.tokenizer.decoders import build, plain
from motionllm.tokenizer.quantizers import QUANTIZERS


class MotionAutoencoder(nn.Module):
    """Features (B, T, dim), normalised, T a multiple of `down` → codes (B, n) → features.

    A step of `down` frames becomes `parts` codes, n = T/down · parts: those of a step are adjacent, the codes of part p
    numbered from p · codes. Parts are, in this order, the halves of the body (`split`), each with an encoder that sees
    only that half, so that a code describes the arms independently of the legs; the `groups` of channels of an
    encoding; the residual `levels` of a group. One decoder sees them all.

    The design follows van den Oord et al., "Neural Discrete Representation Learning" (2017). quantizer "vq": a codebook
    kept by exponential moving averages and initialised by k-means; "fsq": finite scalar quantization (Mentzer et al.,
    2023), where codes are the cells of a grid and none can die; "lfq": look-up free quantization (Yu et al., 2023), one
    bit per dimension. Residual levels follow Zeghidour et al., "SoundStream" (2021). Frames are folded into steps by
    one strided convolution and unfolded by one product, so that every block works at the code rate, where a window
    costs `down` times less.
    """

    def __init__(self, representation: Representation, network: Network) -> None:
        super().__init__()
        dim = representation.dim
        width, self.down, self.dim, self.codes = network.width, network.down, dim, network.codes
        self.groups, self.levels, self.nested = network.groups, network.levels, network.nested
        dilations = [3 ** (i % 3) for i in range(network.blocks)]
        lower, upper = body_parts(representation)
        whole = sorted([*lower, *upper])
        self.seen = [lower, upper] if network.split == "body" else [whole]
        self.encoders = nn.ModuleList(
            nn.Sequential(
                Convolution(len(dims), width, 2 * self.down, stride=self.down),
                *(ResidualBlock(width, d) for d in dilations),
                nn.Linear(width, network.code_dim),
            )
            for dims in self.seen
        )
        self.decoder = build(network, len(self.seen) * network.code_dim, dim, np.array(whole))
        self.kind, channels = QUANTIZERS[network.quantizer], network.code_dim // network.groups
        self.quantizers = nn.ModuleList(self.kind.build(network, channels) for _ in range(len(self.seen) * self.groups))

    @property
    def parts(self) -> int:
        """Codes per step."""
        return len(self.quantizers) * self.levels

    @property
    def codebook(self) -> Tensor:
        """(parts · codes, code_dim / groups): the vector of every code; for a residual level, what it adds."""
        return torch.cat([self._level(quantizer, n) for quantizer in self.quantizers for n in range(self.levels)])

    def quantized(self, x: Tensor, quantize: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """The vectors (B, T/down, channels) that the decoder is given, codes (B, n), commitment loss (0 for FSQ).

        quantize=False trains encoder and decoder as a plain autoencoder; its codes are all 0.
        """
        z = self.encodings(x)
        if not quantize:
            none = torch.zeros(z[0].shape[:2], dtype=torch.long, device=x.device)
            return torch.cat(z, dim=-1), none, x.new_zeros(())
        quantized, codes, commitment = [], [], x.new_zeros(())
        options: dict[str, Any] = {}
        if self.nested and self.training:  # all halves and groups leave out the same levels
            options = {"rand_quantize_dropout_fixed_seed": int(torch.randint(1 << 31, ()))}
        for quantizer, part in zip(self.quantizers, z, strict=True):
            with torch.autocast(x.device.type, enabled=False):  # moving averages of codes need full precision
                vector, code, *loss = quantizer(part.float(), **options)
            quantized.append(vector)
            codes.append(code.clamp(min=0))  # −1 where a level is left out
            commitment = commitment + sum(one.sum() for one in loss)
        return torch.cat(quantized, dim=-1), self._flat(codes), commitment

    def confusion(self, codes: Tensor) -> Tensor:
        """How likely (B, n) codes, once decoded, are to encode to other codes: a scalar with gradients only to what
        decodes.

        For a learned codebook this is the cross-entropy of the code under a softmax over squared distances to all
        codes, at a temperature of a twentieth of the codebook's spread: unambiguous codes contribute nothing. For a
        grid it is the mean squared distance to the code's vector, divided by the vectors' mean square.

        The encoder gets no gradient, neither for reading nor for writing: trained for stable codes, it distinguishes
        less (two levels of 1024, 2,000 steps: 26 mm of error on Bandai-Namco instead of 23).
        """
        x = plain(self.decoder)(self.vectors(codes))
        each = codes.unflatten(1, (-1, self.parts)) - torch.arange(self.parts, device=codes.device) * self.codes
        losses = []
        for place, (quantizer, z) in enumerate(zip(self.quantizers, self.encodings(x, learn=False), strict=True)):
            left, share = z.float(), each[..., place * self.levels : (place + 1) * self.levels]
            if not self.kind.codebook:
                wanted = self.kind.vectors(quantizer, share).detach()
                losses.append(F.mse_loss(left, wanted) / wanted.pow(2).mean().clamp(min=1e-6))
                continue
            for level in range(self.levels):
                vectors = self._level(quantizer, level)
                spread = vectors.var(0).sum().clamp(min=1e-6)
                scores = -torch.cdist(left, vectors[None]).pow(2) / (0.05 * spread)
                losses.append(F.cross_entropy(scores.flatten(0, 1), share[..., level].flatten()))
                left = left - vectors[share[..., level]]
        return torch.stack(losses).mean()

    @torch.no_grad()
    def start_codebooks(self, windows: Tensor) -> None:
        """Initialise the codes by k-means on the encodings of windows (N, T, dim)."""
        encodings = [self.encodings(x) for x in windows.split(64)]
        for quantizer, *parts in zip(self.quantizers, *encodings, strict=True):
            module: Any = quantizer
            if self.nested:
                module.quantize_dropout = False  # all levels are placed
            module(torch.cat(parts).reshape(1, -1, parts[0].shape[-1]))
            if self.nested:
                module.quantize_dropout = True

    def encode(self, x: Tensor) -> Tensor:
        """(B, T, dim) → codes (B, n)."""
        frozen = {"freeze_codebook": True} if self.kind.codebook else {}
        return self._flat([q(z, **frozen)[1] for q, z in zip(self.quantizers, self.encodings(x), strict=True)])

    def decode(self, codes: Tensor, seed: int = 0, first: int = 0) -> Tensor:
        """(B, n) codes → (B, n / parts · down, dim). seed, first: see `decoders.Decoder`."""
        return self.decoder(self.vectors(codes), seed, first)

    def vectors(self, codes: Tensor, levels: int | None = None) -> Tensor:
        """(B, n) codes → (B, n / parts, channels), what the decoder is given; of the first residual levels alone."""
        each = codes.unflatten(1, (-1, self.parts)) - torch.arange(self.parts, device=codes.device) * self.codes
        shares = each.split(self.levels, dim=-1)
        if levels is not None:
            left_out = torch.arange(self.levels, device=codes.device) >= levels
            shares = tuple(share.masked_fill(left_out, -1) for share in shares)
        pairs = zip(self.quantizers, shares, strict=True)
        return torch.cat([self.kind.vectors(quantizer, share) for quantizer, share in pairs], dim=-1)

    def encodings(self, x: Tensor, learn: bool = True) -> list[Tensor]:
        """The encoding for each quantizer, (B, T/down, code_dim / groups). learn=False: gradients flow to x only."""
        whole = []
        for encoder, dims in zip(self.encoders, self.seen, strict=True):
            fixed = {} if learn else {name: weight.detach() for name, weight in encoder.named_parameters()}
            whole.append(functional_call(encoder, fixed, (x[..., dims],)) if fixed else encoder(x[..., dims]))
        return [group for z in whole for group in z.chunk(self.groups, dim=-1)]

    def _flat(self, codes: list[Tensor]) -> Tensor:
        # A quantizer with one level gives (B, T), one with several (B, T, levels).
        each = torch.cat([c.long().reshape(*c.shape[:2], self.levels) for c in codes], dim=-1)
        return (each + torch.arange(self.parts, device=each.device) * self.codes).flatten(1)

    def _level(self, quantizer: nn.Module, level: int) -> Tensor:
        """(codes, code_dim / groups): the vectors of one level, without gradients."""
        indices = torch.full((1, self.codes, self.levels), -1, device=next(self.parameters()).device)
        indices[0, :, level] = torch.arange(self.codes)
        return self.kind.vectors(quantizer, indices)[0].detach()


def body_parts(representation: Representation) -> list[list[int]]:
    """The feature dims of the lower body, with root and contacts, and of the upper body, for an encoder each.

    Rotations that are not decoded are left out: they follow from the positions and add only noise.
    """
    blocks = ("positions", "velocities", *({"rotations"} & set(representation.decoded)))
    lower = {*representation.root.tolist(), *representation.columns("contacts").tolist()}
    upper: set[int] = set()
    for number, name in enumerate(representation.skeleton.joints):
        below = number == 0 or any(word in name for word in ("hip", "knee", "ankle", "heel", "foot"))
        for block in blocks:
            (lower if below else upper).update(representation.of_joint(block, number))
    return [sorted(lower), sorted(upper)]


def moves(representation: Representation, features: Tensor) -> Tensor:
    """(…, 3) from features (…, dim), un-normalised: half the change of heading, radians, and the root's displacement
    along x and z in the heading frame, metres per frame.
    """
    turn, path = (features[..., representation.blocks[name]] for name in ("turn", "path"))
    if turn.shape[-1] == 6:  # a rotation about y: its first row is (cosine, 0, sine)
        turn = torch.atan2(turn[..., 2:3], turn[..., :1]) / 2
    return torch.cat([turn, path], dim=-1)


def decoded_joints(representation: Representation, features: Tensor) -> Tensor:
    """(…, K, 3) joints in metres that features (…, dim), un-normalised, decode to: in the heading frame, x and z from
    the root, heights from the floor; without the root where it is not among the features.
    """
    if "rotations" not in representation.decoded:
        return features[..., representation.blocks["positions"]].unflatten(-1, (-1, 3))
    rotations = features[..., representation.blocks["rotations"]].unflatten(-1, (-1, 6))
    joints = placed(rotations, torch.from_numpy(representation.bones).to(features), torch.stack)
    return joints + F.pad(features[..., representation.height, None], (1, 1))[..., None, :]
