"""Memory and processor time of the verbs that read a data set, by its number of clips.

    python tests/benchmarks/scale.py --clips 10000 100000        encode in 8 shards, stats, the first step of training
    python tests/benchmarks/scale.py --clips 100000 --parquet    the same, read from Parquet files
    python tests/benchmarks/scale.py --clips 10000 --shards 1    encoded in one piece, as `train` alone does
    python tests/benchmarks/scale.py --clips 1000000 --encode 1  one of the 8 shards encoded, the others copies of it

The clips are pieces of 1.2 to 2 s of the CMU sample in tests/data, tiled by hard links (or by rows of Parquet files),
so that a million takes a minute to make and little room. The motion tokenizer is tiny, so that what is measured is what
is done with the data; the base is the smallest that ships. Times are processor time, so that other work on the machine
counts little, that of the shards together; `seconds` are by the clock. Memory is the peak of the largest process, with
what it has mapped of files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.data.sources import read_captions
from motionllm.files import cache_folder
from motionllm.motion import Motion
from motionllm.motion.representation import HUMANML3D_263

CMU = Path(__file__).parents[1] / "data" / "cmu"
COMMAND = "import sys; from motionllm.cli import main; sys.exit(main(sys.argv[1:]))"
# Started by a process that is small itself: Linux counts the memory of whoever starts a process to that one's peak.
SMALL = """
import json, os, sys
process = os.posix_spawn(sys.executable, [sys.executable, "-c", *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(process, 0)
code = os.waitstatus_to_exitcode(status)
print("\\n" + json.dumps([code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]), file=sys.stderr)
"""
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
    """Processor seconds of `motionllm …` and its processes, seconds, and peak GiB of the largest of these."""
    environment = os.environ | {"MOTIONLLM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    begun = time.monotonic()
    command = [sys.executable, "-S", "-c", SMALL, COMMAND, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    *told, last = done.stderr.splitlines()
    status, cpu, kib = json.loads(last)
    if status:
        told = " ".join(told).split("error: ")[-1].strip()
        raise SystemExit(f"motionllm {' '.join(map(str, words))} ended with exit status {status}: {told}")
    return {"cpu": round(cpu, 1), "seconds": round(time.monotonic() - begun, 1), "gib": round(kib / 2**20, 2)}


def packed(folder: Path, count: int) -> Path:
    """The same as Parquet files of some 10,000 rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir(parents=True)
    originals = pieces()
    kind = pa.list_(pa.list_(pa.float32()))
    motions = pa.array([features.tolist() for features, _ in originals], kind)
    captions = pa.array([texts for _, texts in originals], pa.list_(pa.string()))
    size = 80 * len(originals)  # rows of a file, so that all files have the same ones but for their ids
    which = pa.array(np.arange(size) % len(originals))
    columns = pa.table({"motion": motions.take(which), "captions": captions.take(which)})
    files = -(-count // size)
    for file in range(files):
        rows = range(file * size, min(count, (file + 1) * size))
        table = columns.slice(0, len(rows)).add_column(0, "id", pa.array([f"{row:07d}" for row in rows]))
        name = folder / "data" / f"train-{file:05d}-of-{files:05d}.parquet"
        pq.write_table(table, name, row_group_size=500, compression="zstd", use_dictionary=False)
    return folder


def tokenizer(folder: Path) -> Path:
    """The folder of a tiny motion tokenizer."""
    from motionllm.config import Network, Source, TokenizerRecipe, TokenizerTraining
    from motionllm.data.prepare import train_tokenizer

    recipe = TokenizerRecipe(
        name="tiny",
        sources=[Source(kind="builtin", clips=20)],
        network=Network(width=16, blocks=1, quantizer="fsq", codes=64, code_dim=8),
        train=TokenizerTraining(steps=40, autoencode=20, batch=8, window=32),
    )
    train_tokenizer(recipe, folder)
    return folder


def copied(recipe: Path, cache: Path, numbers: range, shards: int) -> None:
    """Put the first shard in the place of these others, which are as large."""
    from motionllm.config import find_recipe
    from motionllm.data.encoding import Encoding

    os.environ["MOTIONLLM_CACHE"] = str(cache)
    ((work, dealt),) = Encoding(find_recipe("recipes", str(recipe), []), recipe.parent, shards).works
    files, _ = work.files(dealt)
    for number in numbers:
        for suffix in (".arrow", ".json"):
            shutil.copy(files[0].with_suffix(suffix), files[number - 1].with_suffix(suffix))


def measure(
    folder: Path,
    count: int,
    shards: int,
    motion_tokenizer: Path,
    base: str,
    parquet: bool = False,
    encode: int | None = None,
) -> dict[str, dict[str, float]]:
    """The figures of a set of `count` clips, by verb. encode: so many of the shards are encoded; None: all."""
    place = folder / f"{count}"
    make = packed if parquet else tile
    data = place if place.exists() else make(place, count)
    recipe, cache = folder / "recipe.yaml", folder / f"cache{count}"
    text = RECIPE.replace("BASE", base).replace("TOKENIZER", str(motion_tokenizer)).replace("FOLDER", str(data))
    recipe.write_text(text)
    shutil.rmtree(cache, ignore_errors=True)
    if (bases := cache_folder() / "bases").is_dir():  # else each measurement would convert a base of the package
        cache.mkdir()
        (cache / "bases").symlink_to(bases)
    first = range(1, (encode or shards) + 1)
    each = [measured("data", "encode", recipe, "--shard", f"{number}/{shards}", cache=cache) for number in first]
    copied(recipe, cache, range(first.stop, shards + 1), shards)
    figures = {
        "shards": {
            "encoded": len(each),
            "cpu": round(sum(one["cpu"] for one in each) * shards / len(each), 1),
            "seconds": round(sum(one["seconds"] for one in each), 1),
            "gib": max(one["gib"] for one in each),
        },
        "check": measured("data", "encode", recipe, "--check", cache=cache),
        "stats": measured("data", "stats", recipe, cache=cache),
        "first_step": measured("train", recipe, "--out", folder / f"run{count}", cache=cache),
    }
    shutil.rmtree(folder / f"run{count}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000])
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--encode", type=int, help="shards that are encoded; the others are copies of the first")
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--base", default="builtin:smollm2-135m-instruct")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small = tokenizer(folder / "tokenizer")
        for count in options.clips:
            more = options.parquet, options.encode
            figures = measure(folder, count, options.shards, small, options.base, *more)
            print(json.dumps({"clips": count, **figures}), flush=True)


if __name__ == "__main__":
    main()
