"""Fast decoding steps for Llama-like decoders on the CPU, in two thirds of the time of transformers' own layers.

A step of one row reads every weight once and computes little, so its time depends on the memory layout of the weights
and on the number of calls. `pack` lays out the weights of each layer as oneDNN prefers them, with queries, keys and
values as one matrix and gate and up as another, and keeps past keys and values in buffers that are written in place.
The arithmetic is that of the layers, but for the order of sums: hidden states differ by rounding. The price is a second
copy of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

# Decoders whose layers are what `Packed.step` computes: norms before, rotated queries and keys, a gated MLP.
KNOWN = ("LlamaModel", "MistralModel", "Qwen2Model")
LARGEST = 4e9  # bytes; larger decoders are not packed, as that needs a second copy of the weights
ROWS = 16  # batch size that oneDNN optimises the layout for; it also serves one row
ROOM = 128  # positions by which the buffers of keys and values grow
_NAME = "_motionllm_packed"  # name of the attribute on the decoder


def pack(body: Any) -> None:
    """Let decoding with this decoder take the fast path from now on, if its kind and device have one.

    Only for decoders whose weights no longer change: the packed copy, kept on the decoder, would not follow.
    """
    if _fits(body) and _works(body.get_input_embeddings().weight.dtype):
        setattr(body, _NAME, Packed(body))


def packed(body: Any) -> Packed | None:
    """The packed copy of a decoder; None where there is none, or the decoder has been moved or cast since."""
    copy = getattr(body, _NAME, None)
    weight = body.get_input_embeddings().weight
    return copy if copy and (weight.dtype, weight.device.type) == (copy.dtype, "cpu") else None


def _fits(body: Any) -> bool:
    config = body.config
    if type(body).__name__ not in KNOWN or not torch.backends.mkldnn.is_available():
        return False
    weights = [p for layer in body.layers for p in layer.parameters()]
    linear = [m for layer in body.layers for m in layer.modules() if isinstance(m, nn.Linear)]
    return (
        all(type(m) is nn.Linear for m in linear)  # neither quantised nor with an adapter
        and len(linear) == 7 * len(body.layers)
        and all(p.device.type == "cpu" and p.dtype == weights[0].dtype for p in weights)
        and weights[0].dtype in (torch.float32, torch.bfloat16)
        and sum(p.nbytes for p in weights) <= LARGEST
        and all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or [])
        and (getattr(config, "layer_types", None) is not None or getattr(config, "sliding_window", None) is None)
    )


@cache
def _works(dtype: torch.dtype) -> bool:
    """Whether this build of torch has the (private) operators, and they compute the right product."""
    try:
        layer = nn.Linear(32, 64, dtype=dtype)
        x = torch.linspace(-1, 1, 64, dtype=dtype).view(2, 32)
        with torch.inference_mode():
            return torch.allclose(_Linear(layer)(x), layer(x), rtol=0.05, atol=0.05)
    except Exception:  # another version may lack them, or take other arguments: transformers' layers serve then
        return False


class _Linear:
    """One or several linear layers of the same input as one product."""

    def __init__(self, *layers: nn.Linear) -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        self.bias = None if layers[0].bias is None else torch.cat([layer.bias.detach() for layer in layers])

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")  # type: ignore[no-any-return]


@dataclass
class _Layer:
    before: nn.Module
    qkv: _Linear
    out: _Linear
    between: nn.Module
    gate_up: _Linear
    down: _Linear


class Past:
    """Keys and values of the `length` positions so far, each layer's (rows, heads, room, head width)."""

    def __init__(self, caches: Sequence[Any], rows: Tensor, shared: int) -> None:
        """Gather rows (n,) from several caches, numbered as if they were stacked.

        Shorter ones are padded after the `shared` first positions.
        """
        self.length = max(int(cache.layers[0].keys.shape[2]) for cache in caches)
        layers = list(zip(*(cache.layers for cache in caches), strict=True))
        self.keys = [self._roomy(self._joined([one.keys for one in layer], shared)[rows]) for layer in layers]
        self.values = [self._roomy(self._joined([one.values for one in layer], shared)[rows]) for layer in layers]

    def grow(self, places: int) -> None:
        """Make room for `places` more positions."""
        while self.length + places > self.keys[0].shape[2]:
            self.keys = [self._roomy(keys) for keys in self.keys]
            self.values = [self._roomy(values) for values in self.values]

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows (k,); rows that stay in place, and unused room, are not copied."""
        moved = (rows != torch.arange(len(rows))).nonzero()[:, 0]
        for buffers in (self.keys, self.values):
            for n, buffer in enumerate(buffers):
                buffer[moved, :, : self.length] = buffer[rows[moved], :, : self.length]
                buffers[n] = buffer[: len(rows)]

    def _joined(self, parts: Sequence[Tensor], shared: int) -> Tensor:
        padded = []
        for part in parts:
            rows, heads, length, width = part.shape
            # Zeros, because what no mask lets through must still be a number.
            middle = part.new_zeros(rows, heads, self.length - length, width)
            padded.append(torch.cat([part[:, :, :shared], middle, part[:, :, shared:]], dim=2))
        return torch.cat(padded)

    @staticmethod
    def _roomy(states: Tensor) -> Tensor:
        rows, heads, length, width = states.shape
        buffer = states.new_empty(rows, heads, length + ROOM, width)
        buffer[:, :, :length] = states
        return buffer


class Packed:
    """The weights of a decoder, laid out for single steps."""

    def __deepcopy__(self, memo: Any) -> None:
        return None  # a copy of the decoder may be trained, moved or cast

    def __init__(self, body: Any) -> None:
        self.embed, self.rotary, self.norm = body.get_input_embeddings(), body.rotary_emb, body.norm
        self.dtype = self.embed.weight.dtype
        first = body.layers[0]
        self.width = int(first.self_attn.head_dim)
        self.query_heads = first.self_attn.q_proj.out_features // self.width
        self.heads = first.self_attn.k_proj.out_features // self.width
        self.act, self.inner = first.mlp.act_fn, first.mlp.gate_proj.out_features
        self.layers = [
            _Layer(
                layer.input_layernorm,
                _Linear(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                _Linear(layer.self_attn.o_proj),
                layer.post_attention_layernorm,
                _Linear(layer.mlp.gate_proj, layer.mlp.up_proj),
                _Linear(layer.mlp.down_proj),
            )
            for layer in body.layers
        ]

    def step(self, ids: Tensor, positions: Tensor, past: Past, mask: Tensor | None) -> Tensor:
        """Hidden states (n, d) of the last of k tokens per row, ids (n, k), after `past`, to which they are appended.

        positions (n, k): position of each token in its own row. mask (n, past + k): 0 where a row has padding; None
        where none has any.
        """
        (rows, k), turned = ids.shape, self.query_heads + self.heads
        past.grow(k)
        at, end = past.length, past.length + k
        group = self.query_heads // self.heads  # queries that share a key
        bias = None
        if mask is not None or k > 1:  # as floats: a boolean mask would be converted in every layer
            barred = torch.ones(k, end, dtype=torch.bool).triu(at + 1).expand(rows, k, end)
            barred = barred if mask is None else barred | (mask == 0)[:, None]
            bias = torch.zeros(rows, k, end, dtype=self.dtype).masked_fill(barred, -torch.inf)
            bias = bias[:, None, None].expand(-1, self.heads, group, -1, -1).reshape(rows, self.heads, group * k, end)
        x = self.embed(ids)
        cos, sin = (turn.reshape(rows * k, 1, self.width) for turn in self.rotary(x, positions))
        x = x.view(rows * k, -1)
        half = self.width // 2
        sin = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)  # the sign of the rotation, once for all layers
        for layer, keys, values in zip(self.layers, past.keys, past.values, strict=True):
            heads = layer.qkv(layer.before(x)).view(rows * k, -1, self.width)
            qk, v = heads[:, :turned], heads[:, turned:]
            qk = qk * cos + torch.cat([qk[..., half:], qk[..., :half]], dim=-1) * sin
            for buffer, new in ((keys, qk[:, self.query_heads :]), (values, v)):
                buffer[:, :, at:end] = new.view(rows, k, self.heads, self.width).transpose(1, 2)
            # Queries that share a key become further positions of one head, with the same mask.
            query = qk[:, : self.query_heads].view(rows, k, self.heads, group, self.width).permute(0, 2, 3, 1, 4)
            attended = nn.functional.scaled_dot_product_attention(
                query.reshape(rows, self.heads, group * k, self.width),
                keys[:, :, :end],
                values[:, :, :end],
                attn_mask=bias,
            )
            attended = attended.view(rows, self.heads, group, k, self.width).permute(0, 3, 1, 2, 4)
            x = x + layer.out(attended.reshape(rows * k, -1))
            gate, up = layer.gate_up(layer.between(x)).split(self.inner, dim=-1)
            x = x + layer.down(self.act(gate) * up)
        past.length = end
        return self.norm(x.view(rows, k, -1)[:, -1])  # type: ignore[no-any-return]
