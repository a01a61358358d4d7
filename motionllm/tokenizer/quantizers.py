"""Quantizers of the motion tokenizer: one record per kind, which the network and its training read.

A new quantizer is a record here and its name in `config.tokenizer.Network.quantizer`. All come from the package
vector-quantize-pytorch, which has separate classes for quantizers with and without residual levels, and is imported
where it is used: with its own imports it takes as long as torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from motionllm.config import FSQ_LEVELS, Network


@dataclass(frozen=True)
class Quantizer:
    """A kind of quantizer.

    build: (settings, channels) → a module that maps (B, T, channels) to the quantized vectors, indices (B, T) or (B, T,
    levels) and, optionally, a commitment loss. vectors: (module, indices (B, T, levels), −1 where a level adds nothing)
    → (B, T, channels). codebook: whether its vectors are learned: k-means initialises them, moving averages follow the
    encoder, and `freeze_codebook` keeps them fixed; otherwise they are the cells of a fixed grid.
    """

    build: Callable[[Network, int], nn.Module]
    vectors: Callable[[Any, Tensor], Tensor]
    codebook: bool = False


def _vq(network: Network, channels: int) -> nn.Module:
    from vector_quantize_pytorch import ResidualVQ, VectorQuantize

    options: dict[str, Any] = {
        "dim": channels,
        "codebook_size": network.codes,
        "decay": 0.95,
        "kmeans_init": True,
        "kmeans_iters": 10,
        "threshold_ema_dead_code": 0.3,  # uses per batch; a code used less is dead and restarts at a sample
        "commitment_weight": 1.0,  # weighted by the recipe, in the loss
    }
    if network.levels == 1:
        return VectorQuantize(**options)
    return ResidualVQ(num_quantizers=network.levels, quantize_dropout=network.nested, **options)


def _fsq(network: Network, channels: int) -> nn.Module:
    from vector_quantize_pytorch import FSQ, ResidualFSQ

    grid = list(FSQ_LEVELS[network.codes])
    if network.levels == 1:
        return FSQ(grid, dim=channels)
    return ResidualFSQ(levels=grid, num_quantizers=network.levels, dim=channels)


def _lfq(network: Network, channels: int) -> nn.Module:
    from vector_quantize_pytorch import LFQ, ResidualLFQ

    options: dict[str, Any] = {
        "codebook_size": network.codes,
        "dim": channels,
        "entropy_loss_weight": 0.1,
        "commitment_loss_weight": 0.25,
    }
    return LFQ(**options) if network.levels == 1 else ResidualLFQ(num_quantizers=network.levels, **options)


def _codebook_vectors(quantizer: Any, indices: Tensor) -> Tensor:
    from vector_quantize_pytorch import VectorQuantize

    single = isinstance(quantizer, VectorQuantize)
    vectors: Tensor = quantizer.get_output_from_indices(indices[..., 0] if single else indices)
    return vectors


def _grid_vectors(quantizer: Any, indices: Tensor) -> Tensor:
    from vector_quantize_pytorch import FSQ, LFQ

    single = isinstance(quantizer, FSQ | LFQ)
    return quantizer.indices_to_codes(indices[..., 0]) if single else quantizer.get_output_from_indices(indices)


QUANTIZERS = {
    "vq": Quantizer(_vq, _codebook_vectors, codebook=True),  # van den Oord et al. 2017
    "fsq": Quantizer(_fsq, _grid_vectors),  # finite scalar quantization, Mentzer et al. 2023
    "lfq": Quantizer(_lfq, _grid_vectors),  # look-up free quantization, Yu et al. 2023
}
