"""Merging: folds adapter and motion rows into the base and writes an ordinary model folder that other engines load.

The folder holds the merged weights, the tokenizer with its motion tokens, `motion_vocab.json` (which ids are motion),
and the motion tokenizer in `tokenizer/`. It is read back and compared with the adapter before it is renamed to its
final name.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from motionllm.config import dump_recipe
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import whole_folder, write_file
from motionllm.language.bases import load_model, load_tokenizer
from motionllm.language.vocab import MotionVocab, tied
from motionllm.lm.library import FILE as LIBRARY
from motionllm.lm.model import MotionLM

# Largest accepted difference of logits; bfloat16 rounds a logit of 20 to eighths, and rounds in every layer.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.6}


def merge(name: str | Path, out: Path, dtype: str = "float32", base: str | None = None) -> dict[str, Any]:
    """Write the merged model of an adapter (a folder, a run, a shipped name) into the new folder `out`.

    dtype: "float32" or "bfloat16", the type of the stored weights; merging is in float32 in either case. base: another
    location of the same base model. Returns {"out", "dtype", "tied", "tokens", "logits_differ": the largest difference
    of logits from the adapter's on a text with a motion, "same_choice": share of positions with the same most likely
    token}. Raises MotionLLMError where `out` exists or cannot be written, or where the written model does not answer as
    the adapter does; it is then removed.
    """
    if dtype not in TOLERANCE:
        raise MotionLLMError(f"dtype {dtype!r} is not known: use float32 or bfloat16.")
    if out.exists():
        raise MotionLLMError(f"{out} is there already; give a folder that does not exist yet.")
    apart = MotionLM.load(name, base, merge=False)
    apart.model.float()
    # Untied bases have their rows trained in both matrices, by name (`MotionVocab.trainable`).
    adapter = getattr(apart.model, "peft_config", None)
    was_tied = not isinstance(adapter["default"].trainable_token_indices, dict) if adapter else tied(apart.model)
    ids = _probe(apart)
    with torch.inference_mode():
        expected = apart.model(ids.to(apart.model.device)).logits.float().cpu()
    merged = (apart.model.merge_and_unload() if adapter else apart.model).cpu()
    vocab, tokenizer = apart.vocab, copy.deepcopy(apart.tokenizer)
    added = MotionVocab.add(tokenizer, vocab.size, vocab.tokenizer_hash, vocab.parts, vocab.bpe)
    if added != vocab:
        raise MotionLLMError(f"The base's tokenizer gives motion other ids than {name} has; the base is another one.")
    size = sum(p.numel() for p in merged.parameters()) * (4 if dtype == "float32" else 2) / 2**30
    try:
        with whole_folder(out) as beside:
            merged.config.name_or_path = str(apart.recipe.model.base)
            merged.generation_config = _plainly(merged.generation_config, apart)
            merged.to(getattr(torch, dtype)).save_pretrained(beside)
            tokenizer.save_pretrained(beside)
            vocab.save(beside)
            apart.motion_tokenizer.save(beside / "tokenizer")
            apart.templates.save(beside / "templates.yaml")
            if apart.library:
                apart.library.save(beside / LIBRARY)
            write_file(beside / "recipe.yaml", dump_recipe(apart.recipe))
            again = load_model(beside, dtype=torch.float32).eval()
            with torch.inference_mode():
                read_back = again(ids).logits.float()
            width = min(expected.shape[-1], read_back.shape[-1])
            differ = float((expected[..., :width] - read_back[..., :width]).abs().max())
            same = float((expected[..., :width].argmax(-1) == read_back[..., :width].argmax(-1)).float().mean())
            stored = load_tokenizer(beside)
            wrong = [
                what
                for what, right in (
                    (f"logits differ by {differ:.3g}", differ <= TOLERANCE[dtype]),
                    ("input and output embeddings are tied otherwise", tied(again) == was_tied),
                    ("motion tokens got other ids", stored.convert_tokens_to_ids("<motion_0>") == vocab.first_id),
                )
                if not right
            ]
            if wrong:
                raise MotionLLMError(f"The merged model is not the adapter's: {'; '.join(wrong)}. Nothing was written.")
    except MotionFileError as error:
        raise MotionFileError(f"{error} The merged model takes {size:.1f} GiB.") from None
    return {
        "out": out,
        "dtype": dtype,
        "tied": was_tied,
        "tokens": len(tokenizer),
        "logits_differ": differ,
        "same_choice": same,
    }


def _plainly(config: Any, lm: MotionLM) -> Any:
    """A generation config with the begin, end and pad ids only, without the base's sampling defaults: engines would
    apply a repetition penalty, for example, to every request, and motion repeats itself.
    """
    from transformers import GenerationConfig

    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    kept = {name: getattr(config, name) for name in ("bos_token_id", "pad_token_id")}
    return GenerationConfig(eos_token_id=sorted({lm.renderer.stop, *ends} - {None}), **kept)


def _probe(lm: MotionLM) -> torch.Tensor:
    """(1, L) ids of a conversation with text and a motion that steps through every tenth code."""
    each = lm.vocab.size // lm.vocab.parts
    codes = torch.arange(0, each, max(1, each // 10))
    steps = torch.stack([codes + part * each for part in range(lm.vocab.parts)], dim=-1).flatten().numpy()
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "motion", "codes": steps}, {"type": "text", "text": "What is this?"}]},
        {"role": "assistant", "content": "A person walks forward and waves."},
    ]
    return torch.tensor([lm.renderer(messages).ids])
