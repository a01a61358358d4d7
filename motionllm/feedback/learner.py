"""The adapter that an improvement trains: loading it, the merged copy that samples, and its log-probabilities."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from motionllm.config import load_recipe
from motionllm.data.examples import collate
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.language.bases import takes_positions
from motionllm.language.conversations import Tokens
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import find_adapter
from motionllm.lm.loss import token_losses
from motionllm.lm.model import MotionLM
from motionllm.lm.rows import look_up_rows
from motionllm.lm.stepping import pack
from motionllm.runs.precision import fast_dtype
from motionllm.tokenizer import MotionTokenizer


def learner(name: str) -> MotionLM:
    """An adapter to train further, with its weights trainable. See `MotionLM.create`."""
    folder = find_adapter(name)
    settings = load_recipe(folder / "recipe.yaml", saved=True)
    if settings.adapter.method == "full":
        raise MotionLLMError(
            f"{folder} holds a whole model; feedback goes on from an adapter: train one (method lora)."
        )
    settings.adapter.start = str(folder)
    tokenizer, templates = MotionTokenizer.load(folder / "tokenizer"), Templates.load_saved(folder / "templates.yaml")
    lm = MotionLM.create(settings, tokenizer, templates, bpe=MotionVocab.load(folder).bpe)
    look_up_rows(lm.model)
    if torch.cuda.is_available():
        lm.model.to("cuda")
    return lm


def snapshot(lm: MotionLM) -> MotionLM:
    """The model as it is, merged as `MotionLM.load` would, so that the sampling model is the one that would be
    published.
    """
    if lm.recipe.model.quantization:  # cannot be merged in place
        lm.model.eval()
        return lm
    merged = copy.deepcopy(lm.model).float().merge_and_unload().eval()
    dtype = fast_dtype() if lm.recipe.model.dtype == "auto" else lm.recipe.model.dtype
    merged = merged.to(getattr(torch, dtype))
    pack(merged.get_decoder())
    return lm.with_model(merged)


def log_probs(lm: MotionLM, sequences: Sequence[Tokens]) -> list[Tensor]:
    """(n,) log-probabilities in nats of each sequence's supervised tokens, over the rows that the grammar allows."""
    # The longest is paired with the shortest in one row, and so on: otherwise a quarter would be padding.
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i].ids))
    rows = [list(dict.fromkeys((order[i], order[-1 - i]))) for i in range((len(order) + 1) // 2)]
    if not lm.recipe.data.packing:  # for bases whose packed examples would attend to each other
        rows = [[i] for i in order]
    batch = collate([[sequences[i] for i in row] for row in rows], lm.tokenizer.pad_token_id or 0)
    base = lm.model.get_base_model()
    device = base.device
    body = base.get_decoder()
    places = {"position_ids": batch.positions.to(device)} if takes_positions(body) else {}
    hidden = body(input_ids=batch.ids.to(device), **places, use_cache=False).last_hidden_state
    losses, _ = token_losses(hidden, batch.targets, base, lm.vocab)
    placed = [i for row in rows for i in row]
    by_row = (-losses).split([sum(sequences[i].supervised[1:]) for i in placed])
    return [one for _, one in sorted(zip(placed, by_row, strict=True), key=lambda pair: pair[0])]
