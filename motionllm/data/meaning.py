"""Which words occur with which codes: the initial values of a vocabulary's motion rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.data.clips import Clip
from motionllm.tokenizer.tokenizer import MotionTokenizer

HEARD = 4000  # clips that two motion tokenizers both encode; it takes a minute or two


def associations(clips: Sequence[Clip], tokenizer: Any, size: int) -> tuple[list[int], Tensor]:
    """(text token ids [W], association (size, W) of every motion code with each of them).

    Over the clips with captions, n(c, w) counts code c together with token w, each clip once (a code by its share of
    the clip, a token by its share of the clip's captions). The association is the standardised residual of that table,
    (p(c, w) − p(c) p(w)) / √(p(c) p(w)), as in correspondence analysis (Greenacre, 2017): 0 where they are independent,
    and small where either is rare.
    """
    captioned = [clip for clip in clips if clip.sample.captions]
    words: dict[int, int] = {}
    rows, columns, counts = [], [], []
    for number, clip in enumerate(captioned):
        for caption in clip.sample.captions:
            # With a leading space, like the words within a sentence.
            for token in set(tokenizer.encode(" " + caption.strip(), add_special_tokens=False)):
                rows.append(number)
                columns.append(words.setdefault(token, len(words)))
                counts.append(1 / len(clip.sample.captions))
    if not captioned:
        return [], torch.zeros(size, 0)
    word_counts = np.zeros((len(captioned), len(words)), np.float32)
    np.add.at(word_counts, (rows, columns), counts)
    code_shares = [np.bincount(clip.codes, minlength=size) / len(clip.codes) for clip in captioned]
    shares = np.stack(code_shares).astype(np.float32)
    table = shares.T @ word_counts
    table /= table.sum()
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True)
    residual = (table - expected) / np.sqrt(np.maximum(expected, 1e-12))
    return list(words), torch.from_numpy(residual)


def same_times(
    clips: Sequence[Clip], tokenizer: MotionTokenizer, other: MotionTokenizer, limit: int = HEARD
) -> Tensor | None:
    """(tokenizer.size, other.size) how often each code of the clips, at most `limit` of them, evenly chosen, occurs at
    the time of each of the other motion tokenizer's; None where the two represent motion differently. Codes of
    tokenizers with equally many parts meet within their part alone.

    The other one encodes what the codes decode to, so that no motion but the codes is needed.
    """
    if tokenizer.representation is not other.representation:
        return None
    table = torch.zeros(tokenizer.size, other.size)
    alike = tokenizer.parts == other.parts
    for clip in clips[:: -(-len(clips) // limit) or 1]:
        own = np.asarray(clip.codes, np.int64)
        features = tokenizer.decode_features(own)
        if len(features) < other.frames_per_step:
            continue
        own = own.reshape(-1, tokenizer.parts)
        heard = other.encode(features).reshape(-1, other.parts)
        # The step of the other at the middle of each step.
        at = ((np.arange(len(own)) + 0.5) * other.steps_per_second / tokenizer.steps_per_second).astype(int)
        heard = heard[at.clip(max=len(heard) - 1)]
        for part in range(tokenizer.parts):
            for fellow in [part] if alike else range(other.parts):
                pairs = torch.from_numpy(own[:, part]), torch.from_numpy(heard[:, fellow])
                table.index_put_(pairs, torch.ones(len(own)), accumulate=True)
    return table


def carried(begun: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Rows (codes, d) for codes that begin as `begun` (codes, d), from another tokenizer's trained rows (others, d) and
    the table of `same_times` (codes, others).

    A code's row is the mean of the rows it occurs with, stretched to their spread; a third of its own beginning keeps
    codes of one company apart. A code that never occurs keeps its beginning.
    """
    middle, spread = rows.mean(0), rows.std(0)
    seen = table.sum(1, keepdim=True)
    lean = table @ (rows - middle) / seen.clamp(min=1)
    lean = lean / spread
    lean = lean / lean.pow(2).mean(1, keepdim=True).sqrt().clamp(min=1e-12)
    own = begun - begun.mean(0)
    own = own / own.std(0).clamp(min=1e-12)
    return torch.where(seen > 0, middle + (0.94 * lean + 0.33 * own) * spread, begun)
