"""The loss: cross-entropy at supervised positions, each over the tokens that are possible there.

Unsupervised positions are dropped before the output projection. Logits of text positions, as wide as the vocabulary,
are computed in chunks, once for the loss and once for its gradient. At motion positions the softmax runs over the
motion rows that the grammar allows there (codes of the part whose turn it is, and the end between steps), as in
decoding; elsewhere it runs over the base's own rows and the motion start.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from motionllm.language.vocab import MotionVocab

# Number of text positions whose full-vocabulary logits are in memory at once. Few on a CPU: less memory in the same
# time. More on a GPU, where each chunk casts the output matrix again.
CHUNK_ON_CPU, CHUNK = 64, 1024


def output_rows(model: Any, vocab: MotionVocab) -> tuple[Tensor, Tensor]:
    """(text rows (text_size, d), motion rows (2 + pieces, d) in the order of `vocab.ids`) of the output matrix.

    PEFT keeps the trained rows beside the matrix, as values and not as differences; they replace the stored ones.
    """
    head = model.get_output_embeddings()
    adapter = getattr(head, "token_adapter", None)
    weight = head.weight if adapter is None else adapter.get_base_layer().weight
    text = weight[: vocab.text_size]
    if adapter is None:
        return text, weight[vocab.ids]
    name = adapter.active_adapters[0]
    rows = adapter.trainable_tokens_delta[name]
    indices = adapter.token_indices[name]
    if list(indices) == vocab.ids:
        return text, rows
    place = {token: i for i, token in enumerate(indices)}
    return text, rows[[place[i] for i in vocab.ids]]


def logits(hidden: Tensor, rows: Tensor, config: Any) -> Tensor:
    """(n, d) × (V, d) → (n, V) float32, with the scaling and capping that some architectures apply after the output
    projection.

    Always in float32: bfloat16 would round a logit of 20 to eighths.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        plain = rows.dtype == torch.float32 or rows.requires_grad
        out = hidden.float() @ rows.float().T if plain else _Projection.apply(hidden.float(), rows)
    if scale := getattr(config, "logit_scale", None):  # Cohere multiplies
        out = out * scale
    if scale := getattr(config, "logits_scaling", None):  # Granite divides
        out = out / scale
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma caps
        out = cap * torch.tanh(out / cap)
    return out


class _Projection(torch.autograd.Function):
    """hidden (n, d) float32 × frozen rows (V, d) of a narrower type → (n, V) float32.

    The rows are cast block by block: otherwise autograd would keep a float32 copy of the output matrix, 0.1 GiB for
    SmolLM2 and 3.4 GiB for Gemma-2-9B.
    """

    BLOCK = 8192

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        out = hidden.new_empty(len(hidden), len(rows))
        for columns, block in zip(out.split(_Projection.BLOCK, 1), rows.split(_Projection.BLOCK), strict=True):
            torch.mm(hidden, block.float().T, out=columns)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        hidden_gradient = gradient.new_zeros(len(gradient), rows.shape[1])
        for columns, block in zip(gradient.split(_Projection.BLOCK, 1), rows.split(_Projection.BLOCK), strict=True):
            hidden_gradient.addmm_(columns, block.float())
        return hidden_gradient, None


def cross_entropy(
    hidden: Tensor, targets: Tensor, model: Any, vocab: MotionVocab, motion: str = "rows"
) -> tuple[Tensor, Tensor]:
    """(sum of motion losses, sum of text losses), in nats. See `token_losses`."""
    losses, at_motion = token_losses(hidden, targets, model, vocab, motion)
    return losses[at_motion].sum(), losses[~at_motion].sum()


def token_losses(
    hidden: Tensor, targets: Tensor, model: Any, vocab: MotionVocab, motion: str = "rows"
) -> tuple[Tensor, Tensor]:
    """(losses (n,) in nats at the n supervised positions, in order; (n,) bool: which of these are motion).

    hidden (…, d): last hidden states. targets (…): the id to predict there, −1 where unsupervised. motion: "rows"
    normalises motion positions over the motion rows that the grammar allows, "vocabulary" over all rows.
    """
    keep = targets >= 0
    hidden, targets = hidden[keep], targets[keep]
    text_rows, motion_rows = output_rows(model, vocab)
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    at_motion = (targets == vocab.end_id) | (
        (targets >= vocab.first_id) & (targets < vocab.first_id + len(vocab.pieces))
    )
    # Order of the motion rows: start 0, end 1, piece p at 2 + p.
    place = torch.where(targets == vocab.end_id, 1, targets - vocab.first_id + 2)[at_motion]
    text_targets = torch.where(targets == vocab.start_id, vocab.text_size, targets)[~at_motion]
    if motion == "rows":
        scores = logits(hidden[at_motion], motion_rows[1:], config)
        # The end is allowed where a step can begin: it counts as a piece that begins with part 0.
        part = torch.cat([torch.tensor([0]), vocab.begins]).to(place.device)[place - 1]
        allowed = torch.stack([vocab.allowed(p) for p in range(vocab.parts)]).to(scores.device)
        moving = F.cross_entropy(scores.masked_fill(~allowed[part], -torch.inf), place - 1, reduction="none")
    else:
        every = torch.cat([text_rows, motion_rows])
        moving = F.cross_entropy(logits(hidden[at_motion], every, config), place + vocab.text_size, reduction="none")
    chunk = CHUNK_ON_CPU if hidden.device.type == "cpu" else CHUNK
    parts = zip(hidden[~at_motion].split(chunk), text_targets.split(chunk), strict=True)
    speaking = torch.cat(
        [
            checkpoint(
                _speaking, *part, text_rows, motion_rows[:1], config, use_reentrant=False, preserve_rng_state=False
            )
            for part in parts
        ]
    )
    losses = moving.new_zeros(len(targets)).masked_scatter(at_motion, moving).masked_scatter(~at_motion, speaking)
    return losses, at_motion


def _speaking(hidden: Tensor, targets: Tensor, rows: Tensor, start: Tensor, config: Any) -> Tensor:
    """(n,) losses at text positions: over the base's own rows (V, d) and the motion start (1, d), whose target is V."""
    # The start's column is appended to the logits: torch.cat of the rows would copy all 49,000.
    scores = torch.cat([logits(hidden, rows, config), logits(hidden, start, config)], dim=1)
    return F.cross_entropy(scores, targets, reduction="none")
