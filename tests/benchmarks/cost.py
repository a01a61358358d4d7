"""What fine-tuning costs by the shape of the base alone: memory by the terms of --dry-run, hours by a formula.

    python tests/benchmarks/cost.py                       # a row for each of the shapes below, as Markdown
    python tests/benchmarks/cost.py --tokens 1e9 --tflops 312 --share 0.3
    python tests/benchmarks/cost.py --config FOLDER       # another base: a folder with its config.json

No weights are needed, and no hub: the shapes are those that the models' authors published. Hours are
tokens × operations / (GPUs × peak × share): 4 operations a token and weight of the body where these are frozen (2
forward, 2 for the gradients of what is between), 6 where they are trained; checkpointing adds 2. The output matrix
counts at the learned places alone. Several GPUs are taken to wait for nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from motionllm.config import Recipe, check_recipe
from motionllm.language.vocab import MotionVocab
from motionllm.lm.loss import CHUNK
from motionllm.training.plan import GIB, memory, outline

CODES = 512
LEARNED = 0.30, 0.08  # of HumanML3D's tokens, half the examples text-to-motion, half captions: as motion, as text
GPUS = (1, 8, 64)


def shapes() -> dict[str, Any]:
    """The published shapes, as configurations of transformers."""
    from transformers import Gemma2Config, LlamaConfig, Qwen2Config

    def of(kind: Any, words: int, hidden: int, inner: int, layers: int, heads: int, shared: int, **more: Any) -> Any:
        return kind(
            vocab_size=words,
            hidden_size=hidden,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=shared,
            **more,
        )

    tied, apart = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}
    return {
        "SmolLM2-135M": of(LlamaConfig, 49152, 576, 1536, 30, 9, 3, **tied),
        "Qwen2.5-0.5B": of(Qwen2Config, 151936, 896, 4864, 24, 14, 2, **tied),
        "Qwen2.5-1.5B": of(Qwen2Config, 151936, 1536, 8960, 28, 12, 2, **tied),
        "Gemma-2-2B": of(Gemma2Config, 256000, 2304, 9216, 26, 8, 4, head_dim=256, **tied),
        "Qwen2.5-3B": of(Qwen2Config, 151936, 2048, 11008, 36, 16, 2, **tied),
        "Qwen2.5-7B": of(Qwen2Config, 152064, 3584, 18944, 28, 28, 4, **apart),
        "Llama-3.1-8B": of(LlamaConfig, 128256, 4096, 14336, 32, 32, 8, **apart),
        "Gemma-2-9B": of(Gemma2Config, 256000, 3584, 14336, 42, 16, 8, head_dim=256, **tied),
    }


def recipe_of(base: str, method: str, small: bool) -> Recipe:
    """A recipe for a GPU; small: in 4 bits, or for method full in shards, and checkpointed."""
    return check_recipe(
        {
            "model": {"base": base}
            if method == "full"
            else {"base": base, "dtype": "bfloat16", "quantization": "4bit" if small else None},
            "adapter": {"method": method, "rank": 32, "alpha": 64},
            "data": {"sources": [{"kind": "builtin"}]},
            "train": {"precision": "bfloat16", "checkpointing": small},
        },
        Recipe,
        base,
    )


def row(name: str, config: Any, tokens: float, micro: int, rate: float) -> list[str]:
    """Cells of a base: parameters, memory of three ways in GiB, hours of LoRA on each number of GPUs.

    tokens: of the run. micro: tokens of a micro-batch. rate: operations a second of a GPU.
    """
    words = config.get_text_config().vocab_size
    vocab = MotionVocab(words + 2, CODES, words, words + 1, "", words, parts=2)
    places = (LEARNED[0] * micro, LEARNED[1] * micro)
    totals: dict[tuple[str, bool], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        for method, small in (("lora", False), ("lora", True), ("full", True)):
            recipe = recipe_of(folder, method, small)
            model, counts = outline(recipe, vocab)
            totals[method, small] = memory(recipe, model.config, counts, vocab, micro, places, CHUNK)
    head = words * config.get_text_config().hidden_size
    tied = config.get_text_config().tie_word_embeddings
    whole = counts["base"]
    body = whole - (1 if tied else 2) * head
    operations = 4 * tokens * (body + sum(LEARNED) * head)
    full = totals["full", True]
    # FSDP2 divides what belongs to weights by the processes, and gathers one layer at a time.
    kept = full["activations"] + full["logits"]
    shard = (full["total"] - kept) / 8 + kept
    lora = totals["lora", False]
    memories = [
        f"{lora['weights'] / GIB:.1f}, {lora['total'] / GIB:.1f}",
        f"{totals['lora', True]['total'] / GIB:.1f}",
        f"{shard / GIB:.1f}",
    ]
    hours = [f"{operations / (gpus * rate) / 3600:.2g}" for gpus in GPUS]
    return [name, f"{whole / 1e9:.2f} B", *memories, *hours]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=float, default=384e6, help="of the whole run")
    parser.add_argument("--micro", type=int, default=2048, help="tokens of a micro-batch")
    parser.add_argument("--tflops", type=float, default=989, help="peak of a GPU in bfloat16")
    parser.add_argument("--share", type=float, default=0.35, help="of the peak that training reaches")
    parser.add_argument("--config", type=Path, help="a folder with the config.json of another base")
    given = parser.parse_args()
    bases = shapes()
    if given.config:
        from transformers import AutoConfig

        bases = {given.config.name: AutoConfig.from_pretrained(given.config)}
    head = [
        "base",
        "parameters",
        "LoRA: weights, total GiB",
        "4 bits, checkpointed",
        "full, each of 8",
        *(f"hours, {gpus} GPU{'s' if gpus > 1 else ''}" for gpus in GPUS),
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, config in bases.items():
        print("| " + " | ".join(row(name, config, given.tokens, given.micro, given.tflops * 1e12 * given.share)) + " |")


if __name__ == "__main__":
    main()
