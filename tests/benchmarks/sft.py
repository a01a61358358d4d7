"""Training speed and memory beside TRL's SFTTrainer: same base, LoRA, precision, examples and supervised tokens.

    python tests/benchmarks/sft.py                 # needs trl: pip install trl, in an environment of its own
    make bench

Each contestant runs in a process of its own, one after another, several rounds in turn, and the medians are compared.
All train the same examples of the built-in corpus, made beforehand. TRL takes them tokenized, with a mask of what is
supervised; new tokens are trained as its own code sets them up (rows of the input matrix by
`trainable_token_indices`, the output matrix by `modules_to_save=["lm_head"]`), and for comparison once more with the
rows of both matrices alone, as here (`rows`). The first two steps of each are warm-up and not timed.
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

WARM = 2  # steps
CONTESTANTS = ("ours", "trl packed", "trl unpacked", "trl packed rows", "trl unpacked rows")


def recipe(base: str, examples: int, batch: int, run: Path) -> Any:
    from motionllm.config import Recipe, check_recipe

    return check_recipe({
        "name": "bench",
        "model": {"base": base},
        "adapter": {"rows_init": "noise", "rank": 16, "alpha": 32, "rows_lr": 1.0},
        "data": {"sources": [{"kind": "builtin", "clips": 400}], "system": "", "max_length": 256},
        "train": {"steps": examples // batch, "batch": batch, "micro_batch": 64, "validate_examples": 0, "lr": 5e-4,
                  "save_every": 10**6, "schedule": "constant"},
    }, Recipe, "bench")  # fmt: skip


def ours(base: str, examples: int, batch: int, work: Path) -> dict[str, float]:
    from motionllm.train import train

    train(recipe(base, examples, batch, work), work / "run")
    rows = [json.loads(line) for line in (work / "run" / "log.jsonl").read_text().splitlines()]
    rows = [r for r in rows if "loss" in r]
    seconds = rows[-1]["seconds"] - rows[WARM - 1]["seconds"]
    return {"examples_per_second": (len(rows) - WARM) * batch / seconds, "steps": len(rows)}


def theirs(base: str, examples: int, batch: int, work: Path, packing: bool, rows_alone: bool) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from motionllm.bases import fast_dtype, load_base
    from motionllm.data.clips import encode
    from motionllm.data.mixture import mixture
    from motionllm.tokenizer import MotionTokenizer

    settings = recipe(base, examples, batch, work)
    motion = MotionTokenizer.load("default")
    mix = mixture(settings, motion, [encode(settings.data.sources[0], "train", motion)])
    drawn = [mix.examples.draw()[1] for _ in range(examples)]
    longest = settings.data.max_length
    data = Dataset.from_dict({
        "input_ids": [t.ids[:longest] for t in drawn],
        "assistant_masks": [[int(s) for s in t.supervised[:longest]] for t in drawn],
    })  # fmt: skip
    model, tokenizer = load_base(base, fast_dtype())
    mix.vocab.attach(model, "noise")
    new: Any = mix.vocab.trainable(model) if rows_alone else {"embed_tokens": mix.vocab.ids}
    lora = LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
        trainable_token_indices=new, modules_to_save=None if rows_alone else ["lm_head"],
    )  # fmt: skip
    total = sum(len(t.ids[:longest]) for t in drawn)
    rows = max(1, round(batch * total / examples / longest)) if packing else batch  # as many examples a step as ours
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *given: Any, **more: Any) -> None:
            times.append(time.monotonic())

    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=data,
        peft_config=lora,
        callbacks=[Clock()],
        args=SFTConfig(
            output_dir=str(work / "trl"), per_device_train_batch_size=rows, packing=packing, max_length=longest,
            num_train_epochs=1, learning_rate=5e-4, lr_scheduler_type="constant", gradient_checkpointing=False,
            bf16=fast_dtype() == "bfloat16", use_cpu=not torch.cuda.is_available(), report_to="none",
            save_strategy="no", logging_strategy="no", optim="adamw_torch", disable_tqdm=True,
        ),
    )  # fmt: skip
    each = examples / len(trainer.train_dataset) * rows
    trainer.train()
    timed = times[WARM - 1 : -1]  # the last batch may not be full
    return {"examples_per_second": (len(timed) - 1) * each / (timed[-1] - timed[0]), "steps": len(times)}


def contest(name: str, base: str, examples: int, batch: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        if name == "ours":
            found = ours(base, examples, batch, Path(folder))
        else:
            found = theirs(base, examples, batch, Path(folder), " packed" in name, name.endswith("rows"))
    return found | {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default="builtin:smollm2-135m-instruct")
    parser.add_argument("--examples", type=int, default=160)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CONTESTANTS, action="append", help="of these alone")
    parser.add_argument("--alone", choices=CONTESTANTS, help=argparse.SUPPRESS)  # one run, as JSON
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(contest(given.alone, given.base, given.examples, given.batch)))
        return
    names = given.only or list(CONTESTANTS)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(given.rounds):
        for name in names:
            command = [sys.executable, __file__, "--alone", name, "--base", given.base, "--examples",
                       str(given.examples), "--batch", str(given.batch)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
            found[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(f"round {number + 1}: {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()
    }
    print(f"{'':<20}{'examples/s':>12}{'peak GiB':>10}{'ours / it':>11}{'memory':>9}")
    for name, row in medians.items():
        line = f"{name:<20}{row['examples_per_second']:>12.2f}{row['peak_gib']:>10.2f}"
        if "ours" in medians:
            speed = medians["ours"]["examples_per_second"] / row["examples_per_second"]
            line += f"{speed:>11.2f}{medians['ours']['peak_gib'] / row['peak_gib']:>9.2f}"
        print(line)


if __name__ == "__main__":
    main()
