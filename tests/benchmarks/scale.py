"""Memory and processor time of every verb that reads a data set, by its number of clips.

    python tests/benchmarks/scale.py --clips 10000 100000              encode in 8 shards, stats, the first step
    python tests/benchmarks/scale.py --clips 1000000 --folder /scratch   there, and the set is kept
    python tests/benchmarks/scale.py --clips 100000 --parquet          the same, read from Parquet files
    python tests/benchmarks/scale.py --clips 10000 --whole             encode in one piece, as `train` alone does

The clips are pieces of 1.2 to 2 s of the CMU sample in tests/data, tiled by hard links (or by rows of Parquet files),
so that a million takes a minute to make and little room. Times are processor time, so that other work on the machine
counts little; the first step's is by the clock. Memory is the peak of the process, with what it has mapped of files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.data.sources import read_captions
from motionllm.motion import Motion
from motionllm.motion.representation import HUMANML3D_263

CMU = Path(__file__).parents[1] / "data" / "cmu"
COMMAND = "import sys; from motionllm.cli import main; sys.exit(main(sys.argv[1:]))"
RECIPE = """
name: scale
model: {base: BASE, tokenizer: TOKENIZER}
data:
  sources: [{kind: humanml3d, path: FOLDER}]
  tasks: {text_to_motion: 2.0, caption: 1.0, prediction: 0.5}
  max_length: 256
train: {steps: 1, batch: 4, micro_batch: 4, validate_examples: 0, workers: 0}
"""


def pieces() -> list[tuple[np.ndarray, list[str]]]:
    """(features (24 to 40, 263), captions) of some hundred pieces of the CMU sample."""
    found = []
    for file in sorted((CMU / "new_joints").glob("*.npy")):
        captions = [c.text for c in read_captions(CMU / "texts" / f"{file.stem}.txt")[0]]
        features = HUMANML3D_263.encode(Motion.load(file).resample(HUMANML3D_263.fps).joints).astype(np.float32)
        for size in (24, 32, 40):
            found += [(features[at : at + size], captions) for at in range(0, len(features) - size + 1, 3)]
    return found


def tile(folder: Path, count: int) -> Path:
    """A set in HumanML3D's layout of `count` clips, which are hard links to the pieces."""
    for kind in ("new_joint_vecs", "texts"):
        (folder / kind).mkdir(parents=True)
    originals = pieces()
    for number, (features, captions) in enumerate(originals):
        np.save(folder / f"{number}.npy", features)
        (folder / f"{number}.txt").write_text("".join(f"{caption}#\n" for caption in captions))
    for clip in range(count):
        original = clip % len(originals)
        os.link(folder / f"{original}.npy", folder / "new_joint_vecs" / f"{clip:07d}.npy")
        os.link(folder / f"{original}.txt", folder / "texts" / f"{clip:07d}.txt")
    (folder / "train.txt").write_text("".join(f"{clip:07d}\n" for clip in range(count)))
    return folder


def measured(*words: object, cache: Path) -> dict[str, Any]:
    """Processor seconds, seconds and peak GiB of `motionllm …`, and what it printed as JSON."""
    environment = os.environ | {"MOTIONLLM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, words)], stdout=out, env=environment, stdin=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"motionllm {' '.join(map(str, words))} ended with exit status {process.returncode}")
        out.seek(0)
        said = out.read().decode()
    return {
        "cpu": round(usage.ru_utime + usage.ru_stime, 1),
        "seconds": round(time.monotonic() - begun, 1),
        "gib": round(usage.ru_maxrss / 2**20, 2),
        "said": said,
    }
