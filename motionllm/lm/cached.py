"""The body of a causal LLM with its key-value cache over a batch of prompts: hidden states, one step after another."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from os.path import commonprefix
from typing import Any, Protocol

import torch
from torch import Tensor

from motionllm.language.bases import takes_positions
from motionllm.lm.stepping import Past, packed

SIDE_BY_SIDE = 32  # prompts that the packed decoder reads at once, sorted by length to pad little


class CausalLM(Protocol):
    """The part of a transformers model with a language-modelling head that decoding uses."""

    config: Any

    def get_input_embeddings(self) -> Any: ...

    def get_output_embeddings(self) -> Any: ...

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...


def body_of(model: Any) -> Any:
    """The model without its head: token ids in, hidden states out."""
    return model.get_decoder() if hasattr(model, "get_decoder") else model.model


class CachedModel:
    """The body of `model` with its cache over prompts (token ids).

    Each prompt is read once, however many replies are drawn for it, and the prefix that all share (the template's) once
    for all. Shorter prompts are padded between that prefix and the rest.
    """

    def __init__(self, model: CausalLM, prompts: Sequence[Sequence[int]]) -> None:
        self.body = body_of(model)
        self.device = next(model.parameters()).device
        self.packed, self.takes_positions = packed(self.body), takes_positions(self.body)
        self.prompts = sorted({tuple(prompt) for prompt in prompts}, key=lambda prompt: (len(prompt), prompt))
        number = {prompt: n for n, prompt in enumerate(self.prompts)}
        self.rows = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=self.device)
        # commonprefix takes any sequences, not only paths. The last token of each prompt is never shared: decoding
        # starts from its hidden state.
        shared = commonprefix([prompt[:-1] for prompt in self.prompts]) if len(self.prompts) > 1 else ()  # noqa: RUF071
        self.shared: Sequence[int] = shared
        self.position, self.mask = self._layout([len(prompt) for prompt in prompts])
        self.cache: Any = None

    def start(self) -> Tensor:
        """Read the prompts. Returns hidden states (n, d) at the last token of each."""
        begin = None
        if self.shared:
            ids = torch.tensor([self.shared], device=self.device)
            begin = self.body(input_ids=ids, use_cache=True).past_key_values
        n_each = SIDE_BY_SIDE if self.packed else len(self.prompts)
        hidden, caches = [], []
        for first in range(0, len(self.prompts), n_each):
            prompts = self.prompts[first : first + n_each]
            longest, n_shared = len(prompts[-1]), len(self.shared)
            padded = [[0] * (longest - len(prompt)) + [*prompt[n_shared:]] for prompt in prompts]
            _, mask = self._layout([len(prompt) for prompt in prompts])
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, n_shared:]
            cache = copy.deepcopy(begin)
            if cache is not None:
                cache.batch_repeat_interleave(len(prompts))
            out = self._forward(torch.tensor(padded, device=self.device), mask, positions, cache)
            hidden.append(out.last_hidden_state[:, -1])
            caches.append(out.past_key_values)
        if self.packed:
            self.cache = Past(caches, self.rows, len(self.shared))
        else:
            self.cache = caches[0]
            self.cache.batch_select_indices(self.rows)
        return torch.cat(hidden)[self.rows]

    def step(self, ids: Tensor, real: Tensor | None = None) -> Tensor:
        """Read one more token (n,) per row, or several (n, k). real (n, k): 1 for tokens, which stand at the end of
        each row, and 0 for padding. Returns hidden states (n, d) at the last token of each row.
        """
        ids = ids.reshape(len(ids), -1).to(self.device)
        real = torch.ones_like(ids) if real is None else real.to(ids)
        self.mask = torch.cat([self.mask, real], dim=1)
        positions = (self.position[:, None] + real.cumsum(1) - 1).clamp(min=0)
        if self.packed:
            mask = None if self.mask.all() else self.mask
            hidden = self.packed.step(ids, positions, self.cache, mask)
        else:
            out = self._forward(ids, self.mask, positions, self.cache)
            self.cache, hidden = out.past_key_values, out.last_hidden_state[:, -1]
        self.position = self.position + real.sum(1)
        return hidden

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows (k,)."""
        rows = rows.to(self.device)
        self.mask, self.position = self.mask[rows], self.position[rows]
        if self.packed:
            self.cache.keep(rows)
        else:
            self.cache.batch_select_indices(rows)

    def _layout(self, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """For prompts of these lengths, the position (n,) that follows each, and the mask (n, longest) of the columns
        that hold a token.
        """
        position = torch.tensor(lengths, device=self.device)
        column = torch.arange(max(lengths), device=self.device)
        padding = max(lengths) - position
        return position, ((column < len(self.shared)) | (column >= len(self.shared) + padding[:, None])).long()

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Any:
        return self.body(
            input_ids=ids,
            # Without padding the mask is None, so that attention takes its fast causal path.
            attention_mask=None if mask.all() else mask,
            **({"position_ids": positions} if self.takes_positions else {}),
            past_key_values=cache,
            use_cache=True,
        )
