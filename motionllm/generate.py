"""Decoding under the motion grammar: batched, cached, projecting only on the rows that may follow.

Inside a motion only codes may follow, of the part of the body whose turn it is, and between steps, after the least
length, its end; outside, no code may. Nothing is
repaired afterwards: what cannot be had raises an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from motionllm.errors import MotionLLMError
from motionllm.loss import logits, output_rows
from motionllm.vocab import MotionVocab


@torch.inference_mode()
def motions(
    model: Any,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    least: Sequence[int],
    most: Sequence[int],
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> list[list[int]]:
    """Codes of one motion for each prompt (ids that open the assistant's turn).

    least, most: bounds of the number of steps; equal bounds give an exact length, also where tokens are pieces of
    several codes. temperature 0 is greedy.
    """
    if any(a < 1 or b < a for a, b in zip(least, most, strict=True)):
        raise MotionLLMError("A motion needs at least one step, and its longest length not below its shortest.")
    generator = torch.Generator().manual_seed(seed) if seed is not None else None
    rows = output_rows(model, vocab)[1][1:].float()  # the end, then the pieces
    config = model.config.get_text_config()
    decoder = _Decoder(model, [[*p, vocab.start_id] for p in prompts])
    made: list[list[int]] = [[] for _ in prompts]
    open_ = [True] * len(prompts)
    low, high = (torch.tensor(bound) * vocab.parts for bound in (least, most))
    allowed = torch.stack([vocab.allowed(part) for part in range(vocab.parts)])
    hidden = decoder.start()
    while True:
        length = torch.tensor([len(codes) for codes in made])
        scores = logits(hidden, rows, config).cpu().masked_fill(~allowed[length % vocab.parts], -torch.inf)
        scores[length < low, 0] = -torch.inf
        scores[:, 1:].masked_fill_(length[:, None] + vocab.lengths > high[:, None], -torch.inf)
        chosen = _draw(scores, temperature, top_p, generator)
        for i, c in enumerate(chosen.tolist()):
            if open_[i] and c:
                made[i].extend(vocab.pieces[c - 1])
            else:
                open_[i] = False
        if not any(open_):
            return made
        # A finished row keeps stepping beside the others; what it draws is ignored.
        hidden = decoder.step(torch.where(chosen > 0, chosen - 1 + vocab.first_id, vocab.end_id))


@torch.inference_mode()
def texts(
    model: Any,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    stop: int,
    longest: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> list[list[int]]:
    """Ids of a text reply for each prompt, without the `stop` id that ends the turn; no motion id can occur."""
    generator = torch.Generator().manual_seed(seed) if seed is not None else None
    rows = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    decoder = _Decoder(model, prompts)
    made: list[list[int]] = [[] for _ in prompts]
    open_ = [True] * len(prompts)
    hidden = decoder.start()
    for _ in range(longest):
        chosen = _draw(logits(hidden, rows, config), temperature, top_p, generator)
        for i, c in enumerate(chosen.tolist()):
            if open_[i] and c != stop:
                made[i].append(c)
            else:
                open_[i] = False
        if not any(open_):
            break
        hidden = decoder.step(chosen)
    return made


@torch.inference_mode()
def likelihoods(
    model: Any, vocab: MotionVocab, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], batch: int = 32
) -> list[float]:
    """Log-likelihood in nats of each text reply (ids) after its prompt."""
    rows = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    body = model.get_decoder() if hasattr(model, "get_decoder") else model.model
    device = next(model.parameters()).device
    found = []
    for start in range(0, len(prompts), batch):
        pairs = list(zip(prompts[start : start + batch], replies[start : start + batch], strict=True))
        length = max(len(p) + len(r) for p, r in pairs)
        ids = torch.zeros((len(pairs), length), dtype=torch.long, device=device)
        for i, (prompt, reply) in enumerate(pairs):
            ids[i, : len(prompt) + len(reply)] = torch.tensor([*prompt, *reply])
        # Padding stands at the end, where a causal model cannot see it from before.
        hidden = body(input_ids=ids, use_cache=False).last_hidden_state
        for i, (prompt, reply) in enumerate(pairs):
            scores = logits(hidden[i, len(prompt) - 1 : len(prompt) + len(reply) - 1], rows, config)
            picked = torch.log_softmax(scores, dim=-1).gather(1, torch.tensor(reply, device=device)[:, None])
            found.append(float(picked.sum()))
    return found


class _Decoder:
    """The body of the model with its cache over left-padded prompts: hidden states of the last place."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self.body = model.get_decoder() if hasattr(model, "get_decoder") else model.model
        device = next(model.parameters()).device
        length = max(len(p) for p in prompts)
        self.ids = torch.zeros((len(prompts), length), dtype=torch.long, device=device)
        self.mask = torch.zeros((len(prompts), length), dtype=torch.long, device=device)
        for i, prompt in enumerate(prompts):
            self.ids[i, length - len(prompt) :] = torch.tensor(prompt)
            self.mask[i, length - len(prompt) :] = 1
        self.position = self.mask.sum(1)
        self.cache: Any = None

    def start(self) -> Tensor:
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        return self._run(self.ids, positions)

    def step(self, ids: Tensor) -> Tensor:
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(ids), 1)], dim=1)
        hidden = self._run(ids[:, None].to(self.ids.device), self.position[:, None])
        self.position = self.position + 1
        return hidden

    def _run(self, ids: Tensor, positions: Tensor) -> Tensor:
        # One prompt has no padding: without a mask attention takes its fast causal path.
        mask = None if len(ids) == 1 else self.mask
        out = self.body(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=self.cache, use_cache=True
        )
        self.cache = out.past_key_values
        return out.last_hidden_state[:, -1]


def _draw(scores: Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> Tensor:
    """One index a row of (n, V) scores, on the CPU so that a seed gives the same draw on every device."""
    scores = scores.cpu()
    if temperature == 0:
        return scores.argmax(-1)
    shares = torch.softmax(scores / temperature, dim=-1)
    if top_p < 1:
        ordered, index = shares.sort(dim=-1, descending=True)
        ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
        shares = torch.zeros_like(shares).scatter(-1, index, ordered)
    return torch.multinomial(shares, 1, generator=generator)[:, 0]


@torch.inference_mode()
def starts_motion(model: Any, vocab: MotionVocab, prompt: Sequence[int]) -> bool:
    """Whether the model would open its reply with a motion rather than with its likeliest word."""
    text_rows, motion_rows = output_rows(model, vocab)
    config = model.config.get_text_config()
    hidden = _Decoder(model, [prompt]).start()
    return bool(logits(hidden, motion_rows[:1], config)[0, 0] > logits(hidden, text_rows, config).max())
