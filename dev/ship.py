"""Train what ships, from nothing: motion tokenizer, text adapter, adapter, motion library; then measure it. Each stage
resumes.

python dev/ship.py --folder DATA --out OUT                       a night and more on 2 CPU cores
python dev/ship.py --folder DATA --out OUT --minutes 12 --gpu    on one H100: the minutes are shared among the stages
python dev/ship.py --folder DATA --out OUT --steps 2             a trial of every stage

DATA holds the sets that recipes/default.yaml names. Run again, it goes on where it was stopped; a stage that is done is
not done again. OUT then has `tokenizer/`, `text/` and `adapter/`, which are runs, `eval/`, and `log.jsonl` with the
seconds of each stage. `--keep-tokenizer NAME` takes a trained tokenizer instead of the first stage.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Shares of the minutes, and what fits a GPU of 80 GB: large batches, few of them, at rates that these allow.
SHARES = {"tokenizer": 0.25, "text": 0.1, "adapter": 0.45}
TERMS = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF "
    "EIA-0196217. Captions: HumanML3D (MIT). Climbing and crawling clips: holosoma (Apache-2.0)."
)
GPU = {
    "tokenizer": ["train.batch=512", "train.lr=1.0e-3"],
    "text": ["train.batch=192", "train.micro_batch=48"],
    "adapter": ["train.batch=192", "train.micro_batch=48"],
}
# Of a suite in a trial: as few cases as its retrieval takes.
TRIAL = {"text-to-motion": ["cases=32", "pairs=16", "replications=1"], "captioning": ["cases=32", "pairs=16"]}


@dataclass(frozen=True)
class Stage:
    """name: of its folder. words: its command line. done: a file that is there once it has ended."""

    name: str
    words: list[str]
    done: Path


def stages(args: argparse.Namespace) -> list[Stage]:
    """The stages that the arguments ask for, in order."""
    out = args.out
    tokenizer = args.keep_tokenizer or f"{out / 'tokenizer'}:1"  # the language model speaks its first level
    runs: dict[str, list[str]] = {}
    if not args.keep_tokenizer:
        runs["tokenizer"] = ["tokenizer", "train", "tokenizer/real.yaml", f"folder={args.folder}"]
    runs["text"] = ["train", "text", f"model.tokenizer={tokenizer}"]
    data = [f"data.folder={args.folder}", f"adapter.text={out / 'text'}"]
    runs["adapter"] = ["train", "default", f"model.tokenizer={tokenizer}", *data]
    planned = []
    for name, words in runs.items():
        own = [f"train.steps={args.steps}"] if args.steps else []
        own += [f"train.minutes={args.minutes * SHARES[name]:g}"] if args.minutes else []
        own += GPU[name] if args.gpu else []
        begun = (out / name / "checkpoint.pt").is_file()
        command = [*words[: 2 if name == "tokenizer" else 1], "--resume", str(out / name)] if begun else words
        planned.append(
            Stage(name, [*command, *([] if begun else [*own, "--out", str(out / name)])], out / name / "done")
        )
    words = ["data", "library", "--model", str(out / "adapter"), "--terms", TERMS]
    words += ["--search", "0"] if args.gpu or args.steps else []  # a tenth of a second a second of motion, at leisure
    planned.append(Stage("library", words, out / "adapter" / "library.done"))
    for suite in args.suites:
        words = ["eval", suite, "--model", str(out / "adapter"), "--out", str(out / "eval" / suite)]
        words += TRIAL.get(suite, ["cases=4"]) if args.steps else []
        planned.append(Stage(f"eval/{suite}", words, out / "eval" / suite / "result.json"))
    return planned


def run(stage: Stage, log: Path) -> None:
    """Run a stage in a process of its own and note its seconds. Exits with its status where it fails."""
    began = time.time()
    print(f"ship: {stage.name}: motionllm {' '.join(stage.words)}", flush=True)
    code = "import sys; from motionllm.cli import main; sys.exit(main())"
    status = subprocess.run([sys.executable, "-c", code, *stage.words]).returncode
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps({"stage": stage.name, "status": status, "seconds": round(time.time() - began, 1)}) + "\n")
    if status:
        sys.exit(
            f"ship: {stage.name} ended with status {status}; run the same again to go on from its last checkpoint."
        )
    stage.done.touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="folder with the data sets of recipes/default.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="in all; without it, the recipes' own")
    parser.add_argument("--steps", type=int, help="of each stage, for a trial")
    parser.add_argument("--gpu", action="store_true", help="batches for a GPU of 80 GB")
    parser.add_argument("--keep-tokenizer", metavar="NAME", help="a trained tokenizer; its stage is left out")
    parser.add_argument("--suites", nargs="*", default=["text-to-motion", "captioning"])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for stage in stages(args):
        if not stage.done.is_file():
            run(stage, args.out / "log.jsonl")


if __name__ == "__main__":
    main()
