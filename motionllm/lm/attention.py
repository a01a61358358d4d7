"""Attention over packed rows: examples in one row do not see each other, by the fastest kernels that the machine has.

`sdpa` masks all pairs of a row and runs everywhere. The others skip pairs of different examples: `varlen`
(torch.nn.attention.varlen, CUDA), `flash_attention_2` (the package flash-attn) and `flex_attention` (CUDA). Which of
them a model can use is found by trying: hidden states must be those of `sdpa`, to rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MASKED = "sdpa"
VARLEN = "motionllm_varlen"
BOUNDED = (VARLEN, "flash_attention_2")  # kinds that read where each example begins, and no mask


def kinds(device: torch.device) -> list[str]:
    """The kinds to try on a device, the fastest first."""
    return [VARLEN, "flash_attention_2", "flex_attention", MASKED] if device.type == "cuda" else [MASKED]


def arguments(kind: str, bounds: Tensor, length: int) -> dict[str, Any]:
    """What the model's body takes besides ids and positions. bounds (n + 1,) int32: the first place of each example in
    the flattened batch, and the end of the last. length: of a row.
    """
    if kind not in BOUNDED:
        return {}
    return {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": length, "max_length_k": length}


def choose(body: Any, candidates: Sequence[str]) -> str:
    """The first kind of `candidates`, whose last is `sdpa`, that gives the hidden states and gradients of `sdpa`; which
    is tried on `body`, the decoder layers of a model, in evaluation mode.
    """
    if getattr(body.config, "attention_dropout", 0.0):
        return MASKED
    for kind in candidates[:-1]:
        try:
            difference = compare(body, kind)
        except Exception as error:  # a missing package or kernel, a head too wide, an unknown argument …
            log.debug("attention by %s cannot be used: %s", kind, error)
            continue
        if difference <= 5e-2:
            return kind
        log.debug("attention by %s gives other hidden states or gradients than %s", kind, MASKED)
    return MASKED


def compare(body: Any, kind: str, learns: bool = True) -> float:
    """The largest difference of hidden states between a kind and `sdpa`, as a share of the largest hidden state; or,
    learns, that of the gradients of the embeddings, where it is larger: there are kernels that cannot go backwards.
    """
    embeddings = body.get_input_embeddings().weight
    device = next(body.parameters()).device
    sizes = ((3, 12, 17), (20, 5, 7))
    ids = (torch.arange(64, device=device) * 5 % 7).view(2, 32)
    positions = torch.cat([torch.arange(size) for row in sizes for size in row]).view(2, 32).to(device)
    bounds = torch.tensor([0, *(size for row in sizes for size in row)]).cumsum(0).to(device, torch.int32)
    computed = []
    for one in (MASKED, kind):
        set_kind(body, one)
        more = arguments(one, bounds, 32)
        with torch.set_grad_enabled(learns):
            out = body(input_ids=ids, position_ids=positions, use_cache=False, **more).last_hidden_state.float()
        # Weighted, because the norm of what comes out of the last layer is fixed.
        weighted = out * torch.linspace(-1, 1, out.numel(), device=device).view_as(out)
        gradients = torch.autograd.grad(weighted.sum(), embeddings) if learns else ()
        computed.append([states.detach().float() for states in (out, *gradients)])
    pairs = zip(*computed, strict=True)
    return max(float((masked - own).abs().max() / masked.abs().max()) for masked, own in pairs)


def set_kind(model: Any, kind: str) -> None:
    """Let the model attend by a kind."""
    if kind == VARLEN:
        from transformers import AttentionInterface

        AttentionInterface.register(VARLEN, varlen)
    model.set_attn_implementation(kind)


@contextmanager
def masked(model: Any) -> Iterator[None]:
    """The model with `sdpa` within the context, as decoding needs it."""
    kind = model.config._attn_implementation
    if kind not in BOUNDED:
        yield
        return
    set_kind(model, MASKED)
    try:
        yield
    finally:
        set_kind(model, kind)


def varlen(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each example, in the form of transformers' attention functions: query (R, H, L, D), key
    and value (R, H', L, D) → (R, L, H, D). Raises ValueError for scores that are capped or have sinks.

    It computes in the type of the values: in autocast, the rotation of float32 hidden states widens the others.
    """
    from torch.nn.attention.varlen import varlen_attn

    if softcap is not None or s_aux is not None:
        raise ValueError("these kernels have no capped scores and no sinks")
    rows, heads, length, width = query.shape
    flat_query, flat_key, flat_value = (
        states.transpose(1, 2).reshape(rows * length, -1, width).to(value.dtype) for states in (query, key, value)
    )
    attended: Any = varlen_attn(
        flat_query,
        flat_key,
        flat_value,
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        enable_gqa=key.shape[1] != heads,
    )
    return attended.view(rows, length, heads, width), None
