"""Cost of a run before it starts: parameters, rows, steps, tokens per epoch, memory by term.

Parameters and tokens are counted, on the base's architecture without weights and on the encoded clips. Memory is
computed: exactly for weights, gradients and optimizer, estimated for activations. Time is measured on two of the base's
layers and extrapolated.
"""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from motionllm.config import Recipe, Training
from motionllm.data.examples import Examples, check_length
from motionllm.data.mixture import mixture, statistics
from motionllm.data.prepare import clips_of, motion_tokenizer_of
from motionllm.language import bases
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import adapted, find_adapter, fresh_adapter, go_on_from
from motionllm.lm.loss import CHUNK, CHUNK_ON_CPU
from motionllm.runs.precision import fast_dtype
from motionllm.training.checks import check
from motionllm.training.microbatches import SHARE

log = logging.getLogger(__name__)

GIB = 2**30
LARGEST_ON_CPU = 3_000_000_000  # parameters; beyond it, timing two layers takes a minute
# Bytes per weight of a linear layer: NF4 has an 8-bit scale per 64 weights, and a second scale per 256 of these.
QUANTIZED = {"4bit": 0.5 + 1 / 64 + 4 / (64 * 256), "8bit": 1.0}


def plan(recipe: Recipe, run: Path) -> dict[str, Any]:
    """{"parameters": {"base", "trained", "rows"}, "steps", "examples", "epochs", "seconds_per_step", "minutes", "data":
    `statistics`, "memory_gib": {"weights", "trained", "gradients", "optimizer", "activations", "logits", "total"}}.

    steps: limited by `train.minutes` where that is fewer. seconds_per_step, minutes: estimates, None where
    `seconds_per_step` gives none. Encodes the clips, as the run would. Raises MotionLLMError for everything the run
    would refuse, and where the recipe's motion tokenizer is still to be trained.
    """
    check(recipe)
    motion_tokenizer = motion_tokenizer_of(recipe, run, fit=False)
    words = copy.deepcopy(bases.load_base_tokenizer(recipe.model.base))
    vocab = MotionVocab.add(words, motion_tokenizer.size, motion_tokenizer.hash, motion_tokenizer.parts)
    if not recipe.model.bpe:  # its pieces are learned from the clips
        outline(recipe, vocab)  # refuses before the clips are encoded
    log.info(
        "Tokens are counted on the encoded clips: each clip is encoded once, kept in the cache, and read from there by "
        "the run."
    )
    clips = {split: clips_of(recipe, split, motion_tokenizer) for split in ("train", "val")}
    mix = mixture(recipe, motion_tokenizer, clips["train"])
    filler, rate = mix.examples.filler, motion_tokenizer.codes_per_second
    again = Examples(clips["train"], recipe.data, filler.templates, filler.renderer, rate, recipe.train.seed)
    vocab = mix.vocab
    model, counts = outline(recipe, vocab)
    if cut := check_length(again, recipe.data):
        log.warning("%s", cut)
    data = statistics(mix)
    settings = recipe.train
    supervised = sum(task["share"] * task["supervised"] for task in data["tasks"]) * settings.batch
    longest = recipe.data.max_length
    tokens = sum(t["share"] * min(t["tokens"], longest) for t in data["tasks"]) * settings.batch
    rows = -(-tokens // longest) if recipe.data.packing else settings.batch
    motion = sum(t["supervised_share"] * t["motion_share"] for t in data["tasks"])
    chunk = CHUNK if torch.cuda.is_available() else CHUNK_ON_CPU

    def terms_of(at_once: float) -> dict[str, float]:
        """Memory where a micro-batch has so many rows."""
        share = min(1.0, at_once / rows)
        places = share * supervised * motion, share * supervised * (1 - motion)
        return memory(recipe, model.config, counts, vocab, share * tokens, places, chunk)

    terms = terms_of(_at_once(settings, rows, lambda at_once: terms_of(at_once)["total"]))
    pace = seconds_per_step(recipe, model.config, counts["base"], tokens, rows, supervised * (1 - motion))
    steps = settings.steps
    if pace and settings.minutes:
        steps = max(1, min(steps, int(60 * settings.minutes / pace)))
    return {
        "parameters": {"base": counts["base"], "trained": counts["trained"], "rows": len(vocab.ids)},
        "steps": steps,
        "examples": steps * settings.batch,
        "epochs": steps * settings.batch / data["epoch"]["examples"],
        "seconds_per_step": pace,
        "minutes": pace and steps * pace / 60,
        "data": data,
        "memory_gib": {term: size / GIB for term, size in terms.items()},
    }


def _at_once(settings: Training, rows: float, total: Callable[[float], float]) -> float:
    """Rows of a micro-batch. total: bytes of the process by these rows; on a GPU `auto` takes as many as fit it."""
    if settings.micro_batch != "auto" or not torch.cuda.is_available():
        return settings.rows_on_cpu
    one, each = total(1), (total(rows) - total(1)) / max(rows - 1, 1.0)
    room = SHARE * torch.cuda.get_device_properties(0).total_memory
    return min(rows, max(1.0, 1 + (room - one) / max(each, 1.0)))


def seconds_per_step(
    recipe: Recipe, config: Any, parameters: int, tokens: float, rows: float, texts: float
) -> float | None:
    """Seconds per step on this machine, extrapolated from two of the base's layers with LoRA.

    parameters: number in the base. tokens, rows: per step. texts: supervised text tokens, whose logits are as wide as
    the vocabulary. Assumes one process, an otherwise idle machine and an unquantised base. None where layers of the
    base cannot be built alone, or timing them would take too long.
    """
    from peft import LoraConfig

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and parameters > LARGEST_ON_CPU:
        return None
    text = config.get_text_config()
    half = recipe.train.precision == "bfloat16" or (recipe.train.precision == "auto" and fast_dtype() == "bfloat16")
    layers, length = text.num_hidden_layers, max(8, round(tokens / rows))
    together = (
        max(1, round(rows if (most := recipe.train.micro_batch) == "auto" else min(most, rows)))
        if device.type == "cuda"
        else 1  # equally fast on a CPU
    )
    try:
        model, rank = bases.layers(config, 2), recipe.adapter.rank
        if recipe.adapter.method != "full":
            dora = recipe.adapter.method == "dora"
            model = adapted(model, LoraConfig(r=rank, target_modules="all-linear", use_dora=dora))
        model = model.to(device, torch.bfloat16 if half else torch.float32)
        inputs = torch.randn(together, length, text.hidden_size, device=device, dtype=next(model.parameters()).dtype)
        inputs.requires_grad_(True)

        def layer() -> None:
            model(inputs_embeds=inputs, use_cache=False).last_hidden_state.float().sum().backward()

        body = _seconds(layer, device) / 2 * layers * (4 / 3 if recipe.train.checkpointing else 1)
    except Exception:  # an architecture whose layers do not follow the usual interface
        log.info("No time is estimated: two layers of the base cannot be run alone.")
        return None
    some = min(64, max(1, round(texts)))
    hidden = torch.randn(some, text.hidden_size, device=device, requires_grad=True)
    matrix = torch.randn(text.vocab_size, text.hidden_size, device=device)
    head = _seconds(lambda: torch.logsumexp(hidden @ matrix.T, 1).sum().backward(), device) / some
    return rows / together * body + texts * head


def _seconds(run: Any, device: torch.device) -> float:
    """The fastest of two runs, after one to warm up."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


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

    config: the base's configuration. counts: from `outline`. tokens: per micro-batch. places: how many of them are
    supervised as motion and as text. chunk: text positions whose logits are in memory at once.
    """
    words = vocab.text_size
    # Logits in float32, their softmax and its gradient: at motion positions over the motion rows only, at text
    # positions in chunks.
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
    """The model without its weights, and its counts: base, trained, weight_bytes. Raises MotionLLMError where the
    recipe's adapter, or the one that it starts from, does not fit the base.
    """
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
            model = fresh_adapter(recipe.adapter, vocab, base)
            if recipe.adapter.start:
                # Compares names and shapes; on the meta device nothing is copied, and torch warns of it for each
                # tensor.
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
                    go_on_from(find_adapter(recipe.adapter.start), model, vocab, recipe)
        trained = sum(p.numel() for p in base.parameters() if p.requires_grad)
    return base, {"base": count, "trained": trained, "weight_bytes": weight_bytes}


def _activations(config: Any, recipe: Recipe, tokens: float) -> float:
    """Bytes kept for the backward pass of a micro-batch of `tokens` tokens: RMS norms, attention, a gated MLP.

    Per layer and token: both norms' inputs in float32 and their outputs; queries, keys and values (the latter two
    repeated per query head) and the attention's output; gate, up, activation and their product. With checkpointing only
    each layer's input, and one complete layer.
    """
    text = config.get_text_config()
    precision = fast_dtype() if recipe.train.precision == "auto" else recipe.train.precision
    size = 2 if precision == "bfloat16" else 4
    hidden, heads = text.hidden_size, text.num_attention_heads
    wide = heads * (getattr(text, "head_dim", None) or hidden // heads)
    inner = getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * hidden
    layer = tokens * (size * (2 * hidden + 4 * wide + 4 * inner) + 4 * 2 * hidden)
    layers = text.num_hidden_layers
    return layers * tokens * size * hidden + layer if recipe.train.checkpointing else layers * layer
