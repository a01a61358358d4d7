"""Training speed and memory beside TRL's SFTTrainer: same base, LoRA, precision, examples and supervised tokens.

    python tests/benchmarks/sft.py                 # needs trl: pip install trl, in an environment of its own
    make bench

Each contestant runs in a process of its own, one after another, several rounds in turn, and the medians are compared.
All train the same examples of the built-in corpus, made beforehand. TRL takes them tokenized, with a mask of what is
supervised. The first step of each is warm-up and not timed.

New tokens: PEFT's documentation advises to train their rows alone (`trainable_token_indices`), as motionllm does, and
TRL does for the embedding of tokens that it adds itself. Its loss reads the output matrix, though: it refuses rows
that are trained beside it, and with tied embeddings the input's rows are the output's. What runs is TRL's other advice,
`modules_to_save`, of both matrices, with `ensure_weight_tying` so that they stay the one matrix that the base has:
the leanest of its ways.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM = 1  # steps
CONTESTANTS = ("ours", "trl packed", "trl unpacked")


def recipe(base: str, examples: int, batch: int, run: Path) -> Any:
    from motionllm.config import Recipe, check_recipe

    return check_recipe(
        {
            "name": "bench",
            "model": {"base": base},
            "adapter": {"rows_init": "noise", "rank": 16, "alpha": 32, "rows_lr": 1.0},
            "data": {"sources": [{"kind": "builtin", "clips": 400}], "system": "", "max_length": 256},
            "train": {
                "steps": examples // batch,
                "batch": batch,
                "micro_batch": 64,
                "validate_examples": 0,
                "lr": 5e-4,
                "save_every": 10**6,
                "schedule": "constant",
            },
        },
        Recipe,
        "bench",
    )


def ours(base: str, examples: int, batch: int, work: Path) -> dict[str, float]:
    from motionllm.training import trainer as engine
    from motionllm.training.train import train

    times: list[tuple[float, float]] = []

    class Clock(engine.Log):
        def write(self, row: Any) -> None:
            super().write(row)
            if "loss" in row:
                times.append(now())

    engine.Log = Clock  # type: ignore[misc]
    train(recipe(base, examples, batch, work), work / "run")
    return pace(times, batch)


def now() -> tuple[float, float]:
    """Seconds of the wall clock, and of this process on a processor: the latter also where others are at work."""
    return time.monotonic(), time.process_time()


def pace(times: list[tuple[float, float]], examples: float, warm: int = WARM) -> dict[str, float]:
    """Of the times at which steps of so many examples ended; the last may have had fewer."""
    timed = times[min(warm, max(1, len(times) - 2)) - 1 : -1]
    wall, processor = (timed[-1][i] - timed[0][i] for i in (0, 1))
    done = (len(timed) - 1) * examples
    return {
        "examples_per_second": done / wall if done else 0.0,
        "examples_per_cpu_second": done / processor if done else 0.0,
        "steps": len(times),
    }


def theirs(
    settings: Any,
    examples: int,
    work: Path,
    packing: bool,
    warm: int = WARM,
    more: dict[str, Any] | None = None,
    parts: int = 1,
    flash: bool = False,
) -> dict[str, float]:
    """SFTTrainer by our recipe, on its first `examples` examples. more: further settings of SFTConfig. parts:
    micro-batches of a step. flash: with the package flash-attn.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from motionllm.data.clips import encode
    from motionllm.data.mixture import mixture
    from motionllm.language.bases import load_base
    from motionllm.runs.precision import fast_dtype
    from motionllm.tokenizer import MotionTokenizer

    base, batch = settings.model.base, settings.train.batch
    motion = MotionTokenizer.load("default")
    mix = mixture(settings, motion, [encode(settings.data.sources[0], "train", motion)])
    drawn = [mix.examples.draw()[1] for _ in range(examples)]
    longest = settings.data.max_length
    data = Dataset.from_dict(
        {
            "input_ids": [t.ids[:longest] for t in drawn],
            "assistant_masks": [[int(s) for s in t.supervised[:longest]] for t in drawn],
        }
    )
    model, tokenizer = load_base(base, fast_dtype())
    if flash:
        model.set_attn_implementation("flash_attention_2")
    mix.vocab.attach(model, "noise")
    lora = LoraConfig(
        r=16,
        lora_alpha=32,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        modules_to_save=["embed_tokens", "lm_head"],
        ensure_weight_tying=True,
    )
    total = sum(len(t.ids[:longest]) for t in drawn)
    rows = max(1, round(batch * total / examples / longest)) if packing else batch  # as many examples a step as ours
    times: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, *given: Any, **others: Any) -> None:
            # The first and the last step that are timed: elsewhere waiting would cost it speed.
            if torch.cuda.is_available() and state.global_step in (warm, state.max_steps - 1):
                torch.cuda.synchronize()
            times.append(now())

    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=data,
        peft_config=lora,
        callbacks=[Clock()],
        args=SFTConfig(
            **{
                "output_dir": str(work / "trl"),
                "per_device_train_batch_size": -(-rows // parts),
                "gradient_accumulation_steps": parts,
                "packing": packing,
                "max_length": longest,
                "num_train_epochs": 1,
                "learning_rate": 5e-4,
                "lr_scheduler_type": "constant",
                "gradient_checkpointing": False,
                "bf16": fast_dtype() == "bfloat16",
                "use_cpu": not torch.cuda.is_available(),
                "report_to": "none",
                "save_strategy": "no",
                "logging_strategy": "no",
                "optim": "adamw_torch",
                "disable_tqdm": True,
            }
            | (more or {})
        ),
    )
    each = examples / len(trainer.train_dataset) * -(-rows // parts) * parts
    trainer.train()
    timed = pace(times, each, warm)
    return timed | {"tokens_per_second": timed["examples_per_second"] * total / examples}


def contest(name: str, base: str, examples: int, batch: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        if name == "ours":
            found = ours(base, examples, batch, Path(folder))
        else:
            settings = recipe(base, examples, batch, Path(folder))
            found = theirs(settings, examples, Path(folder), name == "trl packed")
    return found | {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default="builtin:smollm2-135m-instruct")
    parser.add_argument("--examples", type=int, default=80)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", type=Path, help="JSONL of runs: added to, and all in it count")
    parser.add_argument("--only", choices=CONTESTANTS, action="append", help="of these alone")
    parser.add_argument("--alone", choices=CONTESTANTS, help=argparse.SUPPRESS)  # one run, as JSON
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(contest(given.alone, given.base, given.examples, given.batch)))
        return
    names = given.only or list(CONTESTANTS)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    if given.record and given.record.is_file():
        for line in given.record.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.setdefault(row.pop("name"), []).append(row)
    for number in range(given.rounds):
        for name in names:
            command = [
                sys.executable,
                __file__,
                "--alone",
                name,
                "--base",
                given.base,
                "--examples",
                str(given.examples),
                "--batch",
                str(given.batch),
            ]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
            found[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(f"round {number + 1}: {name}: {found[name][-1]}", file=sys.stderr, flush=True)
            if given.record:
                with open(given.record, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"name": name} | found[name][-1]) + "\n")
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()
    }
    print(f"medians of {min(map(len, found.values()))} rounds")
    print(f"{'':<20}{'examples/s':>12}{'a CPU s':>10}{'peak GiB':>10}{'ours / it':>11}{'a CPU s':>10}{'memory':>9}")
    for name, row in medians.items():
        line = f"{name:<20}{row['examples_per_second']:>12.2f}{row['examples_per_cpu_second']:>10.2f}"
        line += f"{row['peak_gib']:>10.2f}"
        if "ours" in medians:
            wall, processor, memory = (
                medians["ours"][key] / row[key]
                for key in ("examples_per_second", "examples_per_cpu_second", "peak_gib")
            )
            line += f"{wall:>11.2f}{processor:>10.2f}{memory:>9.2f}"
        print(line)


if __name__ == "__main__":
    main()
