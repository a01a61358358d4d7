"""The loss: cross-entropy at supervised positions, each over the tokens that are possible there.

Unsupervised positions are dropped before the output projection. Logits of text positions, as wide as the vocabulary,
are computed in chunks; over frozen rows each chunk's gradient is computed beside its loss, so that the logits are
needed once. At motion positions the softmax runs over the motion rows that the grammar allows there (codes of the part
whose turn it is, and the end between steps), as in decoding; elsewhere it runs over the base's own rows and the motion
start. Nothing here waits for the device where the targets are on the CPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from motionllm.language.vocab import MotionVocab

# Number of text positions whose full-vocabulary logits are in memory at once. Few on a CPU: less memory in the same
# time. More on a GPU, which needs large products.
CHUNK_ON_CPU, CHUNK = 64, 1024
_MIXED = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 8)  # torch.mm(…, out_dtype=…)


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
    return _logits(hidden.float(), rows, config, hidden.dtype)


def _logits(hidden: Tensor, rows: Tensor, config: Any, dtype: torch.dtype) -> Tensor:
    """`logits` of hidden states in float32; dtype: the type that they were computed in."""
    with torch.autocast(hidden.device.type, enabled=False):
        plain = rows.dtype == torch.float32 or rows.requires_grad
        out = hidden @ rows.float().T if plain else _Projection.apply(hidden, rows, dtype)
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
    SmolLM2 and 3.4 GiB for Gemma-2-9B. On a GPU nothing is cast where the hidden states were computed in the rows'
    type: products of bfloat16 are exact there, and summed in float32, at many times the speed of float32.
    """

    BLOCK = 8192

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.narrow = hidden.device.type == "cuda" and dtype == rows.dtype and _MIXED
        if ctx.narrow:
            return torch.mm(hidden.to(dtype), rows.T, out_dtype=torch.float32)
        out = hidden.new_empty(len(hidden), len(rows))
        for columns, block in zip(out.split(_Projection.BLOCK, 1), rows.split(_Projection.BLOCK), strict=True):
            torch.mm(hidden, block.float().T, out=columns)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        if ctx.narrow:
            return torch.mm(gradient.to(rows.dtype), rows, out_dtype=torch.float32), None, None
        hidden_gradient = gradient.new_zeros(len(gradient), rows.shape[1])
        for columns, block in zip(gradient.split(_Projection.BLOCK, 1), rows.split(_Projection.BLOCK), strict=True):
            hidden_gradient.addmm_(columns, block.float())
        return hidden_gradient, None, None


class _Places(NamedTuple):
    """The supervised places of a flattened batch. motion (m,): where a motion token is to be predicted. pieces (m,):
    which of the motion rows, without the start. text (t,), words (t,): likewise for text; the start's word is the text
    size.
    """

    motion: Tensor
    pieces: Tensor
    text: Tensor
    words: Tensor

    @classmethod
    def of(cls, targets: Tensor, vocab: MotionVocab) -> _Places:
        flat = targets.flatten()
        place = (flat >= 0).nonzero()[:, 0]
        ids = flat[place]
        at_motion = (ids == vocab.end_id) | ((ids >= vocab.first_id) & (ids < vocab.first_id + len(vocab.pieces)))
        moving, speaking = ids[at_motion], ids[~at_motion]
        # Order of the motion rows without the start: end 0, piece p at 1 + p.
        pieces = torch.where(moving == vocab.end_id, 0, moving - vocab.first_id + 1)
        words = torch.where(speaking == vocab.start_id, vocab.text_size, speaking)
        return cls(place[at_motion], pieces, place[~at_motion], words)


def cross_entropy(
    hidden: Tensor, targets: Tensor, model: Any, vocab: MotionVocab, motion: str = "rows"
) -> tuple[Tensor, Tensor]:
    """(sum of motion losses, sum of text losses), in nats. See `token_losses`. motion: "rows" normalises motion
    positions over the motion rows that the grammar allows, "vocabulary" over all rows.
    """
    moving, speaking = _losses(hidden, _Places.of(targets, vocab), model, vocab, motion)
    return moving.sum(), speaking.sum()


def token_losses(hidden: Tensor, targets: Tensor, model: Any, vocab: MotionVocab) -> tuple[Tensor, Tensor]:
    """(losses (n,) in nats at the n supervised positions, in order; (n,) bool: which of these are motion).

    hidden (…, d): last hidden states. targets (…): the id to predict there, −1 where unsupervised; on the CPU, or
    beside the hidden states.
    """
    places = _Places.of(targets, vocab)
    losses = torch.cat(_losses(hidden, places, model, vocab, "rows"))
    order = torch.cat([places.motion, places.text]).argsort()
    return losses[_moved(order, losses.device)], _moved(order < len(places.motion), losses.device)


def _losses(hidden: Tensor, places: _Places, model: Any, vocab: MotionVocab, motion: str) -> tuple[Tensor, Tensor]:
    """Losses (m,) at motion places and (t,) at text places."""
    hidden = hidden.flatten(0, -2)
    at_motion, pieces, at_text, words = (_moved(tensor, hidden.device) for tensor in places)
    text_rows, motion_rows = output_rows(model, vocab)
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    # index_select: the gradient of hidden[places] would sort the places first.
    moving_states, speaking_states = hidden.index_select(0, at_motion), hidden.index_select(0, at_text)
    if motion == "rows":
        scores = logits(moving_states, motion_rows[1:], config)
        # The end is allowed where a step can begin: it counts as a piece that begins with part 0.
        part = torch.cat([torch.tensor([0]), vocab.begins])[places.pieces.cpu()]
        allowed = torch.stack([vocab.allowed(p) for p in range(vocab.parts)])[part]
        scores = scores.masked_fill(~_moved(allowed, scores.device), -torch.inf)
        moving = F.cross_entropy(scores, pieces, reduction="none")
    else:
        every = torch.cat([text_rows, motion_rows])
        scores = logits(moving_states, every, config)
        moving = F.cross_entropy(scores, pieces + 1 + vocab.text_size, reduction="none")
    return moving, _speaking(speaking_states, words, text_rows, motion_rows[:1], config)


def _speaking(hidden: Tensor, targets: Tensor, rows: Tensor, start: Tensor, config: Any) -> Tensor:
    """(n,) losses at text positions: over the base's own rows (V, d) and the motion start (1, d), whose target is V."""
    if not rows.requires_grad:
        return _FrozenRows.apply(hidden, start, targets, rows, config)  # type: ignore[no-any-return]
    chunk = chunk_on(hidden.device)
    parts = zip(hidden.split(chunk), targets.split(chunk), strict=True)
    losses = [
        checkpoint(_chunk, *part, rows, start, config, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    return torch.cat(losses)


def _chunk(hidden: Tensor, targets: Tensor, rows: Tensor, start: Tensor, config: Any) -> Tensor:
    """`_speaking` of one chunk."""
    # The start's column is appended to the logits: torch.cat of the rows would copy all 49,000.
    scores = torch.cat([logits(hidden, rows, config), logits(hidden, start, config)], dim=1)
    return F.cross_entropy(scores, targets, reduction="none")


class _FrozenRows(torch.autograd.Function):
    """`_speaking` over frozen rows. Each place has a loss of its own, so that the gradient of its hidden state can be
    computed with it, while its logits are in memory: they are computed once, and not again for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, start: Tensor, targets: Tensor, rows: Tensor, config: Any) -> Tensor:
        learns = any(ctx.needs_input_grad)
        losses, gradients, starts = [], [], []
        chunk = chunk_on(hidden.device)
        for part, words in zip(hidden.split(chunk), targets.split(chunk), strict=True):
            with torch.set_grad_enabled(learns):
                states = part.detach().float().requires_grad_(learns)
                column = _logits(states, start.detach(), config, part.dtype)
                scores = torch.cat([_logits(states, rows, config, part.dtype), column], dim=1)
                loss = F.cross_entropy(scores, words, reduction="none")
                if learns:
                    gradient, of_start = torch.autograd.grad(loss.sum(), (states, column))
                    gradients.append(gradient)
                    starts.append(of_start)
            losses.append(loss.detach())
        if learns:
            ctx.save_for_backward(hidden, start, torch.cat(gradients), torch.cat(starts))
            ctx.config = config
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:  # type: ignore[override]
        hidden, start, gradient, of_start = ctx.saved_tensors
        start_gradient = None
        if ctx.needs_input_grad[1]:
            with torch.enable_grad():
                start = start.detach().requires_grad_()
                column = logits(hidden.detach(), start, ctx.config)
            (start_gradient,) = torch.autograd.grad(column, start, weights[:, None] * of_start)
        return (weights[:, None] * gradient).to(hidden.dtype), start_gradient, None, None, None


def chunk_on(device: torch.device) -> int:
    """The number of text positions whose logits are in memory at once on a device."""
    return CHUNK_ON_CPU if device.type == "cpu" else CHUNK


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; a GPU copies it while the process goes on."""
    if tensor.device == device:
        return tensor
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
