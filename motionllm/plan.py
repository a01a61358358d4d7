"""What a run will take, before it takes it: parameters, rows, steps, tokens an epoch, memory by term.

Parameters and tokens are counted, on the base's own architecture without its weights and on the encoded clips.
Memory is computed: exact for weights, gradients and optimizer, an estimate for activations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from motionllm import bases
from motionllm.adapters import lora_config
from motionllm.bases import fast_dtype
from motionllm.config import Recipe
from motionllm.data.mixture import mixture, statistics
from motionllm.data.templates import Templates
from motionllm.loss import CHUNK, CHUNK_ON_CPU
from motionllm.train import clips_of, motion_tokenizer_of
from motionllm.vocab import MotionVocab

GIB = 2**30
# Bytes a weight of a linear layer takes: NF4 has a scale of 8 bits for every 64 weights, and one for 256 scales.
QUANTIZED = {"4bit": 0.5 + 1 / 64 + 4 / (64 * 256), "8bit": 1.0}


def plan(recipe: Recipe, run: Path) -> dict[str, Any]:
    """{"parameters": {"base", "trained", "rows"}, "steps", "examples", "epochs", "data": `statistics`,
    "memory_gib": {"weights", "trained", "gradients", "optimizer", "activations", "logits", "total"}}.

    Clips are encoded, as the run itself would. Raises MotionLLMError for whatever the run would refuse, and where the
    recipe trains a motion tokenizer first and has not yet.
    """
    templates = Templates.load(recipe.data.templates)
    templates.check(recipe.data.tasks)
    motion_tokenizer = motion_tokenizer_of(recipe, run, fit=False)
    mix = mixture(recipe, motion_tokenizer, clips_of(recipe, "train", motion_tokenizer))
    data = statistics(mix)
    model, counts = outline(recipe, mix.vocab)
    settings = recipe.train
    supervised = sum(task["share"] * task["supervised"] for task in data["tasks"]) * settings.batch
    longest = recipe.data.max_length
    tokens = sum(t["share"] * min(t["tokens"], longest) for t in data["tasks"]) * settings.batch
    rows = -(-tokens // longest) if recipe.data.packing else settings.batch
    share = min(1.0, settings.micro_batch / rows)  # of a step's rows, in one micro-batch
    motion = sum(t["supervised_share"] for t in data["tasks"] if t["task"] not in ("caption", "question", "length"))
    places = share * supervised * motion, share * supervised * (1 - motion)
    chunk = CHUNK if torch.cuda.is_available() else CHUNK_ON_CPU
    terms = memory(recipe, model.config, counts, mix.vocab, share * tokens, places, chunk)
    return {
        "parameters": {"base": counts["base"], "trained": counts["trained"], "rows": len(mix.vocab.ids)},
        "steps": settings.steps,
        "examples": settings.steps * settings.batch,
        "epochs": settings.steps * settings.batch / data["epoch"]["examples"],
        "data": data,
        "memory_gib": {term: size / GIB for term, size in terms.items()},
    }


def memory(
    recipe: Recipe,
    config: Any,
    counts: dict[str, Any],
    vocab: MotionVocab,
    tokens: float,
    places: tuple[float, float],
    chunk: int,
) -> dict[str, float]:
    """Bytes by term, and "total", of a process that trains by a recipe.

    config: of the base. counts: as `outline` gives them. tokens: of a micro-batch; places: how many of them are learned
    as motion and as text. chunk: places of text whose logits are in memory at once.
    """
    words = vocab.text_size
    # Logits in float32, their softmax and its gradient: at motion positions over the motion rows alone, at those of
    # text in chunks.
    width = vocab.size if recipe.train.motion_loss == "rows" else words
    terms = {
        "weights": counts["weight_bytes"],
        "trained": 0.0 if recipe.adapter.method == "full" else 4.0 * counts["trained"],
        "gradients": 4.0 * counts["trained"],
        "optimizer": 8.0 * counts["trained"],
        "activations": _activations(config, recipe, tokens),
        "logits": 3 * 4 * (places[0] * width + min(places[1], chunk) * words),
    }
    return terms | {"total": sum(terms.values())}


def outline(recipe: Recipe, vocab: MotionVocab) -> tuple[Any, dict[str, Any]]:
    """The model without its weights, and its counts: base, trained, weight_bytes."""
    from peft import get_peft_model

    _, base = bases.outline(recipe.model.base)
    with torch.device("meta"):
        if base.get_input_embeddings().weight.shape[0] < max(vocab.ids) + 1:
            base.resize_token_embeddings(max(vocab.ids) + 1, mean_resizing=False)
        full = recipe.adapter.method == "full"
        count = sum(p.numel() for p in base.parameters())
        dtype = fast_dtype() if recipe.model.dtype == "auto" else recipe.model.dtype
        each = 4 if full or dtype == "float32" else 2
        weight_bytes = float(each * count)
        if recipe.model.quantization:
            head = base.get_output_embeddings()
            linear = sum(m.weight.numel() for m in base.modules() if isinstance(m, torch.nn.Linear) and m is not head)
            weight_bytes += (QUANTIZED[recipe.model.quantization] - each) * linear
        if not full:
            get_peft_model(base, lora_config(recipe.adapter, vocab, base))
        trained = sum(p.numel() for p in base.parameters() if p.requires_grad)
    return base, {"base": count, "trained": trained, "weight_bytes": weight_bytes}


def _activations(config: Any, recipe: Recipe, tokens: float) -> float:
    """Bytes kept for the backward pass of a micro-batch of so many tokens: RMS norms, attention, a gated MLP.

    Of every layer and token: both norms' inputs in float32 and their outputs; queries, keys, values (these two
    repeated for every query's head) and the attention's output; gate, up, the activation and their product.
    Checkpointing keeps a layer's input alone, and one layer whole.
    """
    text = config.get_text_config()
    precision = fast_dtype() if recipe.train.precision == "auto" else recipe.train.precision
    size = 2 if precision == "bfloat16" else 4
    hidden, heads = text.hidden_size, text.num_attention_heads
    wide = heads * (getattr(text, "head_dim", None) or hidden // heads)
    layer = tokens * (size * (2 * hidden + 4 * wide + 4 * text.intermediate_size) + 4 * 2 * hidden)
    layers = text.num_hidden_layers
    return layers * tokens * size * hidden + layer if recipe.train.checkpointing else layers * layer
