"""What the shipped weights give and a short training run loses, as short digests: a change of form leaves them equal.

    python dev/outputs.py --write before.json      before the change
    python dev/outputs.py --check before.json      after it: lists what differs, exit status 1 if anything does

Digests depend on the processor and on torch, so both calls belong on one machine with one number of threads, and none
are kept in the repository. Everything goes through the command line and the public names: files may move in between.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import Motion, MotionTokenizer

RECIPE = """
name: golden
model: {base: "builtin:smollm2-135m-instruct", tokenizer: default}
adapter: {rank: 4, dropout: 0.1, rows_init: words}
data:
  sources: [{kind: builtin, clips: 30, seed: 5}]
  tasks: {text_to_motion: 1, caption: 1, question: 1, prediction: 0.5, inbetween: 0.5}
  notation: {read: 0.8, alone: 0.3, told: 0.2, plan: 0.5}
  drop_text: 0.1
train: {steps: 5, batch: 4, micro_batch: 2, validate_examples: 8}
"""
PROMPTS = ("a person kicks with the right leg twice", "someone walks forward, then waves with the left hand", "jump")


def run(*words: str) -> str:
    command = [sys.executable, "-c", "from motionllm.cli import main; raise SystemExit(main())", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"motionllm {' '.join(words)}: {done.stderr[-2000:]}")
    return done.stdout


def digest(value: bytes | np.ndarray | str) -> str:
    plain = value.encode() if isinstance(value, str) else np.ascontiguousarray(value).tobytes()
    return hashlib.sha256(plain).hexdigest()[:16]


def outputs(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {}
    tokenizer = MotionTokenizer.load("default")
    for seed, prompt in enumerate(PROMPTS):
        clip = folder / f"{seed}.npy"
        run("generate", prompt, "--seed", str(seed), "--best-of", "2", "--out", str(clip))
        results[f"motion {seed}"] = digest(np.load(clip))
        results[f"codes {seed}"] = digest(tokenizer.encode(Motion.load(clip)).astype(np.int64))
        results[f"caption {seed}"] = run("caption", str(clip)).strip()
        results[f"answer {seed}"] = run("ask", str(clip), "How many times does the person kick?").strip()
        results[f"notation {seed}"] = digest(run("data", "notate", str(clip)))
        for suffix in ("bvh", "glb", "html"):
            out = folder / f"{seed}.{suffix}"
            run("data", "convert", str(clip), str(out))
            results[f"{suffix} {seed}"] = digest(out.read_bytes())
    (folder / "golden.yaml").write_text(RECIPE, encoding="utf-8")
    run("train", str(folder / "golden.yaml"), "--out", str(folder / "run"))
    rows = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    results["losses"] = [row.get("loss", row.get("validation")) for row in rows]
    run("eval", "suite", "tokenizer", "cases=40", "pairs=20", "data.clips=60", "--out", str(folder / "suite"))
    text = (folder / "suite" / "result.json").read_text(encoding="utf-8")
    results["suite"] = re.sub(r'"(seconds|date|versions|motionllm|commit)[^,}]*[,}]', "", text)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--check", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = outputs(Path(folder))
    if options.write:
        options.write.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if options.check:
        before = json.loads(options.check.read_text(encoding="utf-8"))
        differing = [name for name in before | results if before.get(name) != results.get(name)]
        for name in differing:
            print(f"{name}\n  before {before.get(name)}\n  now    {results.get(name)}")
        print(f"{len(differing)} of {len(before)} outputs differ.")
        return bool(differing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
