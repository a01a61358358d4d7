"""Speed and memory on one GPU: training beside TRL's SFTTrainer, decoding beside transformers' generate, drawing.

    python tests/benchmarks/gpu.py --out gpu.json      # under 10 minutes on one H100; needs trl for its half
    python tests/benchmarks/gpu.py --tiny              # two steps of tiny shapes, also on a CPU: does it run?

Each contestant runs in a process of its own, one after another, on the same device. What fails, is missing or no longer
fits the time is in the JSON with its reason, beside what it had measured until then. Training: LoRA of rank 16 and the
motion rows in bfloat16, on the built-in corpus, 135M with its weights, 0.5B and 1.5B with the shapes of Qwen2.5 and
random weights. TRL packs the same examples, with a fused optimizer, flash attention and Liger's loss where their
packages are there, and the largest batch that fits; compiled and not, the faster counts, and so it is with ours.
Decoding: motions of an exact length, sampled, against `generate` on the same merged model and as many tokens, with its
growing cache and with its static one, for which it compiles.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
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
LONGEST = 130.0  # seconds of a job, so that one which compiles for minutes does not take the others' time
LEAST = 20.0  # seconds in which a job can be worth its start
EXAMPLES = {"135M": 384, "0.5B": 192, "1.5B": 96, "tiny": 4}  # per step
WARM = 4  # steps that are not timed: kernels are compiled and chosen in them
SECONDS = 6.0  # of each decoded motion
MARK = "measured: "  # begins a line of what a job has measured so far


def base_of(shape: str, folder: Path) -> str:
    """A base of a shape: its name, or a folder with random weights and a tokenizer, where they are not there yet."""
    if not SHAPES[shape]:
        return BASE
    if (folder / "done").exists():
        return str(folder)
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
    (folder / "done").touch()
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


def fresh() -> None:
    """Give back what an earlier try holds of the GPU, and forget its peak."""
    import torch

    gc.collect()
    torch._dynamo.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def train_ours(base: str, shape: str, steps: int, work: Path, eager: bool) -> Iterator[dict[str, Any]]:
    """Tokens per second of our trainer, uncompiled and compiled: what is known so far, the faster of the two."""
    compilable = importlib.util.find_spec("triton") is not None or shape == "tiny"
    # Compiling a larger model takes half of its time; whether it pays was seen on the smallest.
    ways = [False] if eager or not compilable else [False, True] if shape in ("135M", "tiny") else [True, False]
    best: dict[str, Any] = {}
    speeds, failed = dict[str, float](), dict[str, str]()
    for compiled in ways:
        if best and shape not in ("135M", "tiny"):
            return
        way = "compiled" if compiled else "uncompiled"
        try:
            found = trained(recipe_of(base, shape, steps, compiled), work / way) | {"compiled": compiled}
            speeds[way] = found["tokens_per_second"]
            best = max(best, found, key=lambda row: row.get("tokens_per_second", 0.0))
        except Exception as error:  # the other way may work
            failed[way] = f"{type(error).__name__}: {str(error)[-600:]}"
        yield best | {"ways": speeds, "failed": failed}
        fresh()


def trained(recipe: Any, run: Path) -> dict[str, Any]:
    """The figures of a run of our trainer, from its own log."""
    from motionllm.training.train import train

    train(recipe, run)
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
        "peak_gib": peak_gib(),
    }


def train_trl(base: str, shape: str, steps: int, work: Path, compiled: bool) -> dict[str, Any]:
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
        fresh()
        try:
            recipe = recipe_of(base, shape, steps, False)
            found = theirs(recipe, steps * EXAMPLES[shape], work, True, WARM, more, parts, flash)
            break
        except torch.OutOfMemoryError:
            parts *= 2  # its memory is given back when the error is gone
            if parts > 64:
                raise
    settings = {"flash_attention": flash, "liger": more["use_liger_kernel"], "compiled": compiled, "parts": parts}
    return {"tokens_per_second": found["tokens_per_second"], "settings": settings, "peak_gib": peak_gib()}


def merged(base: str, shape: str) -> Any:
    """A MotionLM to decode with: an untrained adapter, merged into its base."""
    import torch

    from motionllm.data.templates import Templates
    from motionllm.feedback.learner import snapshot
    from motionllm.lm.model import MotionLM
    from motionllm.tokenizer import MotionTokenizer

    recipe = recipe_of(base, shape, 1, False)
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


def decode_generate(lm: Any, count: int, seconds: float, static: bool) -> float:
    """Seconds in which transformers' `generate` writes as many tokens for prompts as long."""
    import torch

    device = lm.model.device
    orders = orders_of(lm, count, seconds)
    longest = max(len(order.prompt) for order in orders)
    ids = torch.tensor([[0] * (longest - len(o.prompt)) + [*o.prompt] for o in orders], device=device)
    mask = torch.tensor([[0] * (longest - len(o.prompt)) + [1] * len(o.prompt) for o in orders], device=device)
    new = orders[0].max_steps * lm.vocab.parts
    more = {"cache_implementation": "static"} if static else {}
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


def decode(name: str, tiny: bool, base: str) -> Iterator[dict[str, Any]]:
    """Seconds of motion per second: what is known so far, the fastest way of each contestant."""
    import torch

    lm = merged(base, "tiny" if tiny else "135M")
    count, seconds = (3, 0.6) if tiny else (512, SECONDS)
    statics = [False, True] if name == "generate" and torch.cuda.is_available() else [False]
    best: dict[str, Any] = {"seconds_of_motion_per_second": 0.0}
    for static in statics:
        fresh()
        took = []
        for _ in range(2):  # the first compiles, and captures graphs
            more = () if name == "ours" else (static,)
            took.append((decode_ours if name == "ours" else decode_generate)(lm, count, seconds, *more))
        found = {
            "motions": count,
            "seconds_of_motion_per_second": count * seconds / took[1],
            "tokens_per_second": count * seconds * lm.motion_tokenizer.codes_per_second / took[1],
            "first_call_seconds": took[0],
            "peak_gib": peak_gib(),
        }
        found |= {"static_cache": static} if name == "generate" else graph_of(lm)
        best = max(best, found, key=lambda row: row["seconds_of_motion_per_second"])
        yield best
    if name == "ours":
        yield best | {"frames_seconds_per_second": frames(lm, seconds)}


def graph_of(lm: Any) -> dict[str, Any]:
    """How ours decoded: in how many slots, and whether a step is a recorded graph; nothing where it has no slots."""
    from motionllm.lm import slots
    from motionllm.lm.cached import body_of

    kept = body_of(lm.model).__dict__.get(slots._NAME)
    return {"slots": kept.count if kept else 0, "graph": bool(kept and kept.graph)}


def draw(tiny: bool) -> dict[str, Any]:
    """Examples per second by this machine's processes."""
    workers = max(1, min(4, (os.cpu_count() or 2) - 1))
    command = [sys.executable, str(HERE / "drawing.py"), "--workers", str(workers)]
    more = ["--examples", "40", "--tasks", "caption"] if tiny else ["--examples", "2000"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def one(job: str, tiny: bool, bases: Path, eager: bool) -> Iterator[dict[str, Any]]:
    """What a job measures, as far as it is by then: the last is all."""
    import torch

    part, _, who = job.partition(" ")
    shape = "tiny" if tiny else "135M" if part == "decode" else part
    steps = 2 if tiny else 24
    about = {"torch": torch.__version__}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if part == "draw":
            yield draw(tiny)
        elif part == "decode":
            yield from (about | found for found in decode(who, tiny, base_of(shape, bases / shape)))
        elif who == "ours":
            yield from (about | f for f in train_ours(base_of(shape, bases / shape), shape, steps, work, eager))
        else:
            yield about | train_trl(base_of(shape, bases / shape), shape, steps, work, "compiled" in who)


def measured(job: str, tiny: bool, left: float, bases: Path, eager: bool) -> dict[str, Any]:
    """A job in a process of its own: what it measured, and where it did not end well, the reason as `skipped`."""
    if "trl" in job and importlib.util.find_spec("trl") is None:
        return {"skipped": "the package trl is not installed; `make bench` shows how to bring it along."}
    if left < LEAST:
        return {"skipped": "no time is left; raise --minutes."}
    command = [sys.executable, __file__, "--job", job, "--bases", str(bases), *["--tiny"] * tiny, *["--eager"] * eager]
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as told:
        process, reason = subprocess.Popen(command, stdout=out, stderr=told, start_new_session=True), ""
        try:
            if process.wait(left):
                told.seek(0)
                reason = "it failed: " + "\n".join(told.read().strip().splitlines()[-12:])
        except subprocess.TimeoutExpired:
            reason = f"it did not end within {left:.0f} seconds."
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with processes that draw, or compile
            process.wait()
        out.seek(0)
        lines = [line for line in out if line.startswith(MARK)]
    found = json.loads(lines[-1].removeprefix(MARK)) if lines else {}
    took = {"job_seconds": round(time.monotonic() - begun, 1)}
    return dict(found) | ({"skipped": reason} if reason else {}) | took


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
    parser.add_argument("--job", help=argparse.SUPPRESS)  # one job, in this process, as lines of JSON
    parser.add_argument("--bases", type=Path, help=argparse.SUPPRESS)  # where jobs share random weights
    parser.add_argument("--eager", action="store_true", help=argparse.SUPPRESS)  # ours is not compiled
    given = parser.parse_args()
    if given.job:
        for found in one(given.job, given.tiny, given.bases, given.eager):
            print(MARK + json.dumps(found), flush=True)
        return
    import torch

    if not given.tiny and not torch.cuda.is_available():
        raise SystemExit("No GPU is here: `--tiny` tries the script on the CPU; its figures say nothing of a GPU.")
    ends = time.monotonic() + 60 * given.minutes
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as bases:
        for job in given.only or [job for job in JOBS if not (given.tiny and job in LARGER)]:
            left = 3600.0 if given.tiny else min(LONGEST, ends - time.monotonic())
            eager = results.get("135M ours", {}).get("compiled") is False
            results[job] = measured(job, given.tiny, left, Path(bases), eager)
            print(f"{job}: {results[job]}", file=sys.stderr, flush=True)
            report = {"device": device, "tiny": given.tiny, "summary": summary(results), "jobs": results}
            if given.out:
                given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
