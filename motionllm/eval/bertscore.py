"""BERTScore (Zhang et al. 2020) with an encoder that the user has as a folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_model, load_tokenizer


@torch.inference_mode()
def bert_score(
    said: Sequence[str], true: Sequence[Sequence[str]], folder: Path, layer: int, baseline: float | None = None
) -> dict[str, float]:
    """{"bertscore_precision", "bertscore_recall", "bertscore_f1"}: means over the captions, each the best over its
    references.

    Tokens are weighted by their rarity in the references (idf), special tokens by 0, as is usual. folder: an encoder in
    Hugging Face's layout. layer: the layer whose hidden states are compared. baseline: F1 of unrelated texts with this
    encoder; if given, F1 is rescaled to (F1 − b) / (1 − b), precision and recall are not. Raises MotionLLMError where
    the folder holds no encoder, or one with fewer layers.
    """
    if not folder.is_dir():
        raise MotionLLMError(
            f"--bertscore {folder}: there is no such folder; give one of an encoder and its tokenizer."
        )
    try:
        tokenizer, model = load_tokenizer(folder), load_model(folder, "encoder").eval()
    except MotionLLMError as error:
        raise MotionLLMError(f"--bertscore {folder} holds no encoder with its tokenizer: {error}") from None
    if not 1 <= layer <= model.config.num_hidden_layers:
        raise MotionLLMError(
            f"Layer {layer} is not among the {model.config.num_hidden_layers} of {folder}; set --layer."
        )
    every = sorted({*said, *(reference for references in true for reference in references)})
    ids = {text: tokenizer.encode(text.strip(), truncation=True) for text in every}
    flat = [reference for references in true for reference in references]
    documents = Counter(token for reference in flat for token in set(ids[reference]))
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}
    states: dict[str, tuple[Tensor, Tensor]] = {}
    for text in every:
        hidden = model(torch.tensor([ids[text]]), output_hidden_states=True).hidden_states[layer][0]
        weights = [0.0 if t in special else math.log((len(flat) + 1) / (documents[t] + 1)) for t in ids[text]]
        states[text] = F.normalize(hidden, dim=-1), torch.tensor(weights)
    best: list[list[float]] = []
    for caption, references in zip(said, true, strict=True):
        rows = [_match(states[caption], states[reference]) for reference in references]
        best.append([max(column) for column in zip(*rows, strict=True)])
    precision, recall, f1 = (sum(column) / len(best) for column in zip(*best, strict=True))
    if baseline is not None:
        f1 = (f1 - baseline) / (1 - baseline)
    return {"bertscore_precision": precision, "bertscore_recall": recall, "bertscore_f1": f1}


def _match(caption: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> tuple[float, float, float]:
    """(precision, recall, F1) of greedily matched tokens."""
    similar = caption[0] @ reference[0].T
    precision, recall = (_mean(similar.amax(1), caption[1]), _mean(similar.amax(0), reference[1]))
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _mean(values: Tensor, weights: Tensor) -> Any:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total > 0 else 0.0
