"""Which words occur with which codes: the initial values of a vocabulary's motion rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.data.clips import Clip


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
