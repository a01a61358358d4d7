"""The motion rows of the vocabulary as they are trained: beside the embedding matrix, and looked up there."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def look_up_rows(model: Any) -> None:
    """Let a PEFT model with trained rows look up input embeddings in two places: the frozen matrix, and the rows.

    PEFT copies the whole matrix with the rows put into it, at every call, and so computes a gradient as large: for
    SmolLM2 56 MB of each to train 1 % of them. Embeddings are equal; gradients of the rows are summed in the rows' own
    float32, and not in the type of the matrix.
    """
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    for layer in model.modules():
        # An Embedding is renormalised in place where max_norm is set; a Linear is the output matrix, which `loss`
        # reads.
        if isinstance(layer, TrainableTokensLayer) and isinstance(layer.base_layer, torch.nn.Embedding):
            if layer.base_layer.max_norm is not None or len(layer.token_indices) != 1:
                continue
            (ids,) = layer.token_indices.values()
            row_of = torch.full((len(layer.base_layer.weight),), -1)
            row_of[torch.tensor(ids)] = torch.arange(len(ids))
            layer.row_of = row_of  # no buffer: several processes would send it to each other at every step
            layer.forward_adapters = MethodType(_embed, layer)  # type: ignore[method-assign]


def _embed(layer: Any, ids: Tensor, active: Sequence[str], *args: Any, **kwargs: Any) -> Tensor:
    """Embeddings (…, d) of token ids (…)."""
    if layer.disable_adapters or layer.merged or not active:
        return type(layer).forward_adapters(layer, ids, active, *args, **kwargs)  # type: ignore[no-any-return]
    embedded = layer.base_layer(ids)
    if layer.row_of.device != ids.device:
        layer.row_of = layer.row_of.to(ids.device)
    row = layer.row_of[ids]
    trained = F.embedding(row.clamp(min=0), layer.trainable_tokens_delta[active[0]]).to(embedded.dtype)
    if (scale := layer._get_embed_scale()) is not None:  # Gemma 3 scales in its embedding layer
        trained = trained * scale.to(trained.dtype)
    return torch.where((row >= 0)[..., None], trained, embedded)
