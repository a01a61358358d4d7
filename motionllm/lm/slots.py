"""Slots: rows of a static key-value cache on a GPU, each with its own prompt, all read one token on by one CUDA graph.

A slot that has ended takes another prompt while the others go on. Shapes are fixed, so that a step is recorded once and
replayed, and its hundreds of kernels are launched by one call. On other devices the same step runs without a graph.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from motionllm.language.bases import takes_positions
from motionllm.lm.cached import CachedModel, CausalLM, body_of

log = logging.getLogger(__name__)

MOST = 512  # slots; more take memory and are hardly faster
SHARE = 0.5  # of the free memory of a GPU that keys and values may take
STEP = 64  # columns by which the room is rounded up
_NAME = "_motionllm_slots"  # attribute of the decoder that keeps its slots for the next call
_TRIED = "_motionllm_slots_fit"  # attribute of the decoder: whether slots compute what it does


def fits(model: CausalLM) -> bool:
    """Whether decoding with this model goes by slots: on a GPU, where they compute what the model does. Elsewhere a
    batch that shrinks is faster.
    """
    if next(iter(model.parameters())).device.type != "cuda" or not suits(model):
        return False
    kept = body_of(model).__dict__
    if _TRIED not in kept:
        try:
            kept[_TRIED] = difference(model) <= 5e-2
        except Exception as error:  # a kind of model whose attention or cache follows another interface
            log.info("Decoding goes without slots: %s", str(error).splitlines()[:1])
            kept[_TRIED] = False
    return bool(kept[_TRIED])


def suits(model: CausalLM) -> bool:
    """Whether attention sees all that came before, and a recorded step stays right: no weight is trained, and no
    adapter switched off and on.
    """
    body = body_of(model)
    config = body.config
    kinds = getattr(config, "layer_types", None)
    full = all(kind == "full_attention" for kind in kinds) if kinds else not getattr(config, "sliding_window", None)
    fixed = not any(p.requires_grad for p in model.parameters())
    return full and fixed and takes_positions(body) and not any(hasattr(m, "_disable_adapters") for m in body.modules())


@torch.inference_mode()
def difference(model: CausalLM) -> float:
    """The largest difference of hidden states between slots and a batch in three steps, as a share of the largest."""
    prompts, ids = [[1, 2, 3], [4, 5, 6, 7, 8]], torch.tensor([2, 3])
    slots, batch, apart = Slots(model, 3, STEP), CachedModel(model, prompts), 0.0
    batch.start()
    slots.admit([2, 0], prompts, more=4)
    for _ in range(3):
        slots.step(torch.tensor([2, 0]), ids)
        expected, own = batch.step(ids).float(), slots.hidden[[2, 0]].float()
        apart = max(apart, float((own - expected).abs().max() / expected.abs().max()))
    return apart


@contextmanager
def slots_of(model: CausalLM, count: int, room: int) -> Iterator[Slots]:
    """At least one and at most `count` slots of `room` columns; those of an earlier call where they do. One caller at a
    time has them.
    """
    body = body_of(model)
    slots: Slots | None = body.__dict__.pop(_NAME, None)
    if slots is None or slots.asked < count or slots.room < room or slots.weights != _weights(body):
        slots = None  # frees its memory first
        slots = Slots(model, count, -(-room // STEP) * STEP)
    yield slots
    body.__dict__[_NAME] = slots


def _weights(body: Any) -> int:
    """Where the weights lie: a graph reads them there, also after the model was moved or cast."""
    return int(next(body.parameters()).data_ptr())


class _Cache:
    """Keys and values, each layer's (slots, heads, room, head width), as transformers' layers write and read them."""

    def __init__(self, keys: list[Tensor], values: list[Tensor], column: Tensor) -> None:
        self.keys, self.values, self.column = keys, values, column
        self.is_compileable = False

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        index = self.column[:, None, None, None].expand(keys.shape)
        self.keys[layer].scatter_(2, index, keys)
        self.values[layer].scatter_(2, index, values)
        return self.keys[layer], self.values[layer]

    def get_seq_length(self, layer: int = 0) -> int:
        return 0


class Slots:
    """Slots of a model. hidden (n, d): of the last token that each has read.

    column, position (n,): where the next token's keys go, and its position in its own sequence; they differ by padding.
    seen (n, room): the columns that hold a token.
    """

    def __init__(self, model: CausalLM, count: int, room: int) -> None:
        self.model, self.body, self.room = model, body_of(model), room
        self.device = next(iter(model.parameters())).device
        self.weights = _weights(self.body)
        self.asked, self.count = count, min(count, MOST, self._most(room))
        self.ids, self.column, self.position, self.moving = (
            torch.zeros(self.count, dtype=torch.long, device=self.device) for _ in range(4)
        )
        self.seen = torch.zeros(self.count, room, dtype=torch.bool, device=self.device)
        self.seen[:, 0] = True  # a slot without a prompt reads something: no row of the mask is empty
        self.hidden = torch.zeros(0, device=self.device)
        self.cache = _Cache([], [], self.column)
        self.furthest = 0  # no slot's next column is beyond; counted here, because asking would wait for the device
        self.graph: Any = None
        self.records = self.device.type == "cuda"

    def _most(self, room: int) -> int:
        """The number of slots whose keys and values fit the memory."""
        if self.device.type != "cuda":
            return MOST
        config = self.body.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        each = 2 * config.num_hidden_layers * heads * width * room * next(iter(self.model.parameters())).element_size()
        return max(1, int(SHARE * torch.cuda.mem_get_info(self.device)[0] / each))

    def __deepcopy__(self, memo: Any) -> None:
        return None  # a copy of the decoder has weights of its own

    def admit(self, slots: Sequence[int], prompts: Sequence[Sequence[int]], more: int) -> None:
        """Put prompts into slots, in place of what they had. more: the number of tokens that will follow at most."""
        read = CachedModel(self.model, prompts)
        hidden = read.start()
        layers, where = read.cache.layers, torch.tensor(slots, device=self.device)
        width = layers[0].keys.shape[2]
        if width + more >= self.room:
            self._grow(width + more + 1)
        self.furthest = max(self.furthest, width)
        if not len(self.hidden):
            self.cache.keys += [self._empty(layer.keys) for layer in layers]
            self.cache.values += [self._empty(layer.values) for layer in layers]
            self.hidden = hidden.new_zeros(self.count, hidden.shape[1])
        for own, layer in zip(self.cache.keys, layers, strict=True):
            own[where, :, :width] = layer.keys
        for own, layer in zip(self.cache.values, layers, strict=True):
            own[where, :, :width] = layer.values
        self.seen[where] = False
        self.seen[where, :width] = read.mask.bool()
        self.column[where], self.position[where] = width, read.position
        self.hidden[where] = hidden

    def _empty(self, states: Tensor) -> Tensor:
        """Room for states of all slots. Zeros, because what no mask lets through must still be a number."""
        return states.new_zeros(self.count, states.shape[1], self.room, states.shape[3])

    def _grow(self, room: int) -> None:
        """Make room for so many columns."""
        columns = -(-room // STEP) * STEP - self.room
        self.room, self.graph = self.room + columns, None
        self.seen = F.pad(self.seen, (0, columns))
        self.cache.keys = [F.pad(keys, (0, 0, 0, columns)) for keys in self.cache.keys]
        self.cache.values = [F.pad(values, (0, 0, 0, columns)) for values in self.cache.values]

    def step(self, slots: Tensor, ids: Tensor) -> None:
        """Read one more token (k,) in each of these slots (k,); both on the CPU."""
        if self.furthest >= self.room:
            self.furthest = int(self.column[slots.to(self.device)].max())
            if self.furthest >= self.room:
                self._grow(self.room + 1)
        self.furthest += 1
        some = torch.zeros(2, self.count, dtype=torch.long)
        some[0, slots], some[1, slots] = ids, 1
        if self.device.type == "cuda":
            some = some.pin_memory()
        self.ids.copy_(some[0], non_blocking=True)
        self.moving.copy_(some[1], non_blocking=True)
        if self.records and self.graph is None:
            self._record()
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()

    def _record(self) -> None:
        """Record a step, without taking one: no slot moves meanwhile, and what is written is written again."""
        moving = self.moving.clone()
        self.moving.zero_()
        try:
            aside = torch.cuda.Stream(self.device)
            aside.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(aside):
                for _ in range(2):
                    self._step()  # libraries allocate at their first use
            torch.cuda.current_stream(self.device).wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step()
            self.graph = graph
        except RuntimeError as error:  # a model that waits for the device within a step
            log.info("A step of this model cannot be recorded as a CUDA graph: %s", str(error).splitlines()[0])
            self.records = False
        self.moving.copy_(moving)

    def _step(self) -> None:
        self.cache.column = self.column.clamp(max=self.room - 1)  # of slots that are full, and do not move
        self.seen.scatter_(1, self.cache.column[:, None], True)
        out = self.body(
            input_ids=self.ids[:, None],
            attention_mask=self.seen[:, None, None],
            position_ids=self.position[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        # Slots that do not move keep what they have, also the hidden state of a prompt that was just read.
        moves = self.moving.bool()[:, None]
        self.hidden.copy_(torch.where(moves, out.last_hidden_state[:, -1], self.hidden))
        self.column.add_(self.moving)
        self.position.add_(self.moving)
