"""Speed and memory on one GPU: training beside TRL's SFTTrainer, decoding beside transformers' generate, drawing.

    python tests/benchmarks/gpu.py --out gpu.json      # under 10 minutes on one H100; needs trl for its half
    python tests/benchmarks/gpu.py --tiny              # two steps of tiny shapes, also on a CPU: does it run?

Each contestant runs in a process of its own, one after another, on the same device; what fails, is missing or no longer
fits the time is in the JSON with its reason. Training: LoRA of rank 16 and the motion rows in bfloat16, on the built-in
corpus, 135M with its weights, 0.5B and 1.5B with the shapes of Qwen2.5 and random weights. TRL packs the same examples,
with a fused optimizer, flash attention and Liger's loss where their packages are there, and the largest batch that
fits; compiled and not, the faster counts. Decoding: motions of an exact length, sampled, against `generate` with its
static cache on the same merged model and as many tokens.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
BASE = "builtin:smollm2-135m-instruct"
QWEN = {"num_key_value_heads": 2, "vocab_size": 151_936}
SHAPES: dict[str, dict[str, int]] = {  # of Qwen2.5, with random weights; 135M is a base with its own
    "135M": {},
    "0.5B": QWEN | {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5B": QWEN | {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 49_664,
    },
}
LARGER = ("0.5B ours", "0.5B trl", "1.5B ours", "1.5B trl")
JOBS = ("135M ours", "135M trl", "decode ours", "decode generate", *LARGER, "135M trl compiled", "draw")
LONGEST = 110.0  # seconds of a job, so that one which compiles for minutes does not take the others' time
EXAMPLES = {"135M": 384, "0.5B": 192, "1.5B": 96, "tiny": 4}  # per step
WARM = 4  # steps that are not timed: kernels are compiled and chosen in them
SECONDS = 6.0  # of each decoded motion


def base_of(shape: str, folder: Path) -> str:
    """A base of a shape: its name, or a folder with random weights and a tokenizer."""
    if not SHAPES[shape]:
        return BASE
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from motionllm.language.bases import load_base_tokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = Qwen2Config(tie_word_embeddings=True, dtype=torch.bfloat16, **SHAPES[shape])
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    load_base_tokenizer(BASE).save_pretrained(folder)
    return str(folder)


def recipe_of(base: str, shape: str, steps: int, compiled: bool) -> Any:
    import sft

    recipe = sft.recipe(base, steps * EXAMPLES[shape], EXAMPLES[shape], Path())
    small = {"micro_batch": "auto", "compile": compiled, "steps": steps}
    sources = [source.model_copy(update={"clips": 40}) for source in recipe.data.sources]
    tiny = {"data": recipe.data.model_copy(update={"sources": sources, "max_length": 192})} if shape == "tiny" else {}
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=small), **tiny})


def peak_gib() -> float:
    """The largest memory that this process has held: of the GPU, else of the machine."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def train_ours(shape: str, steps: int, work: Path) -> dict[str, Any]:
    """Tokens per second of our trainer, from the run's own log."""
    from motionllm.training.train import train

    run = work / "run"
    compiled = importlib.util.find_spec("triton") is not None or shape == "tiny"
    train(recipe_of(base_of(shape, work / "base"), shape, steps, compiled), run)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    timed = [row for row in rows if "loss" in row]
    sized = [row for row in rows if "micro_batch" in row]
    first = min(WARM, len(timed) - 1)
    seconds = sum(row["tokens"] / row["tokens_per_second"] for row in timed[first:])
    return {
        "tokens_per_second": sum(row["tokens"] for row in timed[first:]) / seconds,
        "first_step_seconds": timed[0]["tokens"] / timed[0]["tokens_per_second"],
        "micro_batch": sized[0]["micro_batch"] if sized else None,
        "losses": [timed[0]["loss"], timed[-1]["loss"]],
    }


def train_trl(shape: str, steps: int, work: Path, compiled: bool) -> dict[str, Any]:
    """Tokens per second of SFTTrainer, on as many examples a step, in as few micro-batches as fit."""
    import torch
    from sft import theirs

    parts = 1
    flash = importlib.util.find_spec("flash_attn") is not None
    more = {
        "optim": "adamw_torch_fused",
        "torch_compile": compiled,
        "use_liger_kernel": importlib.util.find_spec("liger_kernel") is not None,
        "dataloader_num_workers": 2 if torch.cuda.is_available() else 0,
    }
    while True:
        try:
            settings = recipe_of(base_of(shape, work / "base"), shape, steps, False)
            found = theirs(settings, steps * EXAMPLES[shape], work, True, WARM, more, parts, flash)
            break
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            parts *= 2
            if parts > 64:
                raise
    settings = {"flash_attention": flash, "liger": more["use_liger_kernel"], "compiled": compiled, "parts": parts}
    return {"tokens_per_second": found["tokens_per_second"], "settings": settings}


def merged(work: Path, shape: str) -> Any:
    """A MotionLM to decode with: an untrained adapter, merged into its base."""
    import torch

    from motionllm.data.templates import Templates
    from motionllm.feedback.learner import snapshot
    from motionllm.lm.model import MotionLM
    from motionllm.tokenizer import MotionTokenizer

    recipe = recipe_of(base_of(shape, work / "base"), shape, 1, False)
    lm = MotionLM.create(recipe, MotionTokenizer.load("default"), Templates.load("default"))
    if torch.cuda.is_available():
        lm.model.to("cuda")
    return snapshot(lm)


def orders_of(lm: Any, count: int, seconds: float) -> list[Any]:
    return [lm.order(f"a person walks {n} steps forward and waves", seconds, [], []) for n in range(count)]


def decode_ours(lm: Any, count: int, seconds: float) -> float:
    """Seconds in which `count` motions are decoded, as codes."""
    from motionllm.lm.sampling import Sampling

    orders = orders_of(lm, count, seconds)
    begun = time.perf_counter()
    places = lm.backend.places(orders, Sampling(temperature=0.8, top_p=0.95), seed=0)
    written = sum(len(codes) for place in places for codes in place)
    assert written == count * orders[0].max_steps * lm.vocab.parts
    return time.perf_counter() - begun


def frames(lm: Any, seconds: float) -> float:
    """Seconds of motion that a second turns from codes into joints, on the CPU."""
    order = orders_of(lm, 1, seconds)[0]
    each = lm.vocab.size // lm.vocab.parts
    codes = [n % lm.vocab.parts * each + n % each for n in range(order.max_steps * lm.vocab.parts)]
    lm._motion(codes, order.frames)
    begun = time.perf_counter()
    for _ in range(8):
        lm._motion(codes, order.frames)
    return 8 * seconds / (time.perf_counter() - begun)


def decode_generate(lm: Any, count: int, seconds: float) -> float:
    """Seconds in which transformers' `generate` writes as many tokens for prompts as long."""
    import torch

    device = lm.model.device
    orders = orders_of(lm, count, seconds)
    longest = max(len(order.prompt) for order in orders)
    ids = torch.tensor([[0] * (longest - len(o.prompt)) + [*o.prompt] for o in orders], device=device)
    mask = torch.tensor([[0] * (longest - len(o.prompt)) + [1] * len(o.prompt) for o in orders], device=device)
    new = orders[0].max_steps * lm.vocab.parts
    more = {"cache_implementation": "static"} if device.type == "cuda" else {}
    begun = time.perf_counter()
    with torch.inference_mode():
        written = lm.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=True,
            temperature=0.8,
            top_p=0.95,
            pad_token_id=0,
            **more,
        )
        _ = written.cpu()
    return time.perf_counter() - begun


def decode(name: str, tiny: bool, work: Path) -> dict[str, Any]:
    lm = merged(work, "tiny" if tiny else "135M")
    way = decode_ours if name == "ours" else decode_generate
    count, seconds = (3, 0.6) if tiny else (512, SECONDS)
    first = way(lm, count, seconds)  # compiles, and captures graphs
    took = way(lm, count, seconds)
    return {
        "motions": count,
        "seconds_of_motion_per_second": count * seconds / took,
        "tokens_per_second": count * seconds * lm.motion_tokenizer.codes_per_second / took,
        "first_call_seconds": first,
        "frames_seconds_per_second": frames(lm, seconds) if name == "ours" else None,
    }


def draw(tiny: bool) -> dict[str, Any]:
    """Examples per second by this machine's processes."""
    workers = max(1, min(4, (os.cpu_count() or 2) - 1))
    command = [sys.executable, str(HERE / "drawing.py"), "--workers", str(workers)]
    more = ["--examples", "40", "--tasks", "caption"] if tiny else ["--examples", "2000"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def one(job: str, tiny: bool) -> dict[str, Any]:
    """What a job measures."""
    import torch

    part, _, who = job.partition(" ")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if part == "draw":
            return draw(tiny)
        if part == "decode":
            found = decode(who, tiny, work)
        else:
            shape = "tiny" if tiny else part
            steps = 2 if tiny else 24
            found = (
                train_ours(shape, steps, work) if who == "ours" else train_trl(shape, steps, work, "compiled" in who)
            )
    return found | {"peak_gib": peak_gib(), "torch": torch.__version__}


def measured(job: str, tiny: bool, left: float) -> dict[str, Any]:
    """A job in a process of its own; or {"skipped": the reason}."""
    if "trl" in job and importlib.util.find_spec("trl") is None:
        return {"skipped": "the package trl is not installed; `make bench` shows how to bring it along."}
    if left < 20:
        return {"skipped": "no time is left; raise --minutes."}
    command = [sys.executable, __file__, "--job", job, *["--tiny"] * tiny]
    begun = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        return {"skipped": f"it did not end within {left:.0f} seconds."}
    took = {"job_seconds": round(time.monotonic() - begun, 1)}
    if done.returncode:
        return {"skipped": "it failed: " + "\n".join(done.stderr.strip().splitlines()[-12:])} | took
    return dict(json.loads(done.stdout.strip().splitlines()[-1])) | took


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Ours beside theirs, where both were measured: how many times as fast, and the share of memory."""
    rows: dict[str, Any] = {}
    for shape in ("135M", "0.5B", "1.5B"):
        ours = results.get(f"{shape} ours", {})
        trl = [results.get(f"{shape} trl", {}), results.get(f"{shape} trl compiled", {})]
        best = max(trl, key=lambda row: row.get("tokens_per_second", 0.0))
        rows[f"train {shape}"] = ratio(ours, best, "tokens_per_second")
    both = results.get("decode ours", {}), results.get("decode generate", {})
    return rows | {"decode": ratio(*both, "seconds_of_motion_per_second")}


def ratio(ours: dict[str, Any], theirs: dict[str, Any], key: str) -> dict[str, float | None]:
    speed, other = ours.get(key), theirs.get(key)
    return {
        "ours": speed,
        "theirs": other,
        "times_as_fast": speed / other if speed and other else None,
        "of_its_memory": ours["peak_gib"] / theirs["peak_gib"] if speed and other else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file; also printed")
    parser.add_argument("--minutes", type=float, default=9.5, help="of all jobs together")
    parser.add_argument("--tiny", action="store_true", help="two steps of tiny shapes, to see that it runs")
    parser.add_argument("--only", action="append", choices=JOBS, help="of these jobs alone")
    parser.add_argument("--job", help=argparse.SUPPRESS)  # one job, in this process, as JSON
    given = parser.parse_args()
    if given.job:
        print(json.dumps(one(given.job, given.tiny)))
        return
    import torch

    if not given.tiny and not torch.cuda.is_available():
        raise SystemExit("No GPU is here: `--tiny` tries the script on the CPU; its figures say nothing of a GPU.")
    ends = time.monotonic() + 60 * given.minutes
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    results: dict[str, Any] = {}
    for job in given.only or [job for job in JOBS if not (given.tiny and job in LARGER)]:
        results[job] = measured(job, given.tiny, 3600.0 if given.tiny else min(LONGEST, ends - time.monotonic()))
        print(f"{job}: {results[job]}", file=sys.stderr, flush=True)
        report = {"device": device, "tiny": given.tiny, "summary": summary(results), "jobs": results}
        if given.out:
            given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
