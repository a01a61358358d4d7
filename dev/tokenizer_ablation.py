"""Motion tokenizers compared on one budget: reconstruction, cost in tokens, and what a small LLM reaches on them.

    python dev/tokenizer_ablation.py dev/tokenizer_ablation.yaml --out tokenizer/results

Makes the rows that have no result in the folder yet, then prints the table of all. `key=value` words override the plan.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor
from torch.nn import functional as F

from motionllm.config import Network, TokenizerRecipe, TokenizerTraining, load_recipe
from motionllm.config.base import NUMBER, Batch, Count, Name, Rate, Section, Seed, Steps
from motionllm.config.loading import explain
from motionllm.data.sources import read
from motionllm.errors import MotionLLMError
from motionllm.eval.metrics import frechet_distance
from motionllm.files import lock, make_folder, read_json, write_json
from motionllm.runs.progress import Bar
from motionllm.runs.run import on_full_disk, rate
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.bpe import MotionBPE
from motionllm.tokenizer.report import report
from motionllm.tokenizer.train import fit

Progress = Callable[..., None]


class SmallLLM(Section):
    """A small Llama trained from scratch on motion tokens, to compare tokenizers by."""

    layers: Annotated[int, Field(gt=0, le=200), NUMBER] = 4
    """Decoder layers."""
    width: Annotated[int, Field(gt=0, le=8192, multiple_of=64), NUMBER] = 192
    """Hidden size, a multiple of 64."""
    steps: Steps = 240
    """Optimizer steps."""
    batch: Batch = 16
    """Windows per step."""
    seconds: Annotated[float, Field(ge=0.5, le=600), NUMBER] = 8.0
    """Length of a window, in seconds of motion."""
    lr: Rate = 1.5e-3
    """Learning rate."""
    seed: Seed = 0
    """Seed of initial weights and windows."""


class AblationRow(Section):
    """A motion tokenizer to compare."""

    name: Name
    """Name of the row, of its folder and of its result."""
    network: Network
    train: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the shared training settings; steps, minutes, batch and window cannot be overridden."""
    bpe: Count | None = None
    """Number of motion BPE merges for the language model; null uses codes as they are."""
    search: Annotated[int, Field(ge=0, le=100), NUMBER] = 0
    """Sweeps of code search when encoding; 0 takes the encoder's codes."""
    like: str | None = None
    """Name of an earlier row whose tokenizer is reused instead of training one; null trains one."""


class Ablation(Section):
    """Comparison of motion tokenizers on one budget: a plan is a recipe of this schema."""

    name: Name = "ablation"
    """Name of the comparison."""
    tokenizer: TokenizerRecipe
    """Data and training shared by all rows."""
    llm: SmallLLM = SmallLLM()
    rows: Annotated[list[AblationRow], Field(min_length=1, max_length=1000)]
    """The tokenizers; the first is the baseline."""

    @model_validator(mode="after")
    def _rows_are_told_apart(self) -> Ablation:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError("two rows have one name")
        for row in self.rows:
            if row.like and row.like not in names[: names.index(row.name)]:
                raise ValueError(f"row {row.name} is like {row.like}, which is no row before it")
            if fixed := row.train.keys() & {"steps", "minutes", "batch", "window"}:
                raise ValueError(f"row {row.name} sets {', '.join(sorted(fixed))}: the budget is one for all rows")
            self.recipe(row)
        return self

    def recipe(self, row: AblationRow) -> TokenizerRecipe:
        """The row's tokenizer, with its own network and training."""
        try:
            train = TokenizerTraining.model_validate(self.tokenizer.train.model_dump() | row.train)
        except ValidationError as error:
            first = explain(error.errors()[0], TokenizerTraining)
            raise ValueError(f"row {row.name}: train: {first}") from None
        if train.window % row.network.down:
            raise ValueError(f"row {row.name}: `tokenizer.train.window` must be a multiple of its network's `down`")
        return self.tokenizer.model_copy(update={"network": row.network, "train": train})


def run(
    plan: Ablation, folder: Path, only: str | None = None, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Make every row (or `only` one) that has no file in `folder` yet; the results that are there, in their order.

    A row's JSON: its network, training seconds, the tokenizer's report on the held-out clips of each data set, and
    under "llm" the small LLM's held-out negative log-likelihood in nats a second of motion.
    """
    with lock(folder), on_full_disk(lambda: "Make room and run it again: the rows that are there are kept."):
        return _run(plan, folder, only, progress)


def _run(plan: Ablation, folder: Path, only: str | None, progress: Progress | None) -> list[dict[str, Any]]:
    make_folder(folder)
    sources = plan.tokenizer.sources
    names = [Path(source.path).name if source.path else source.kind for source in sources]
    features: dict[str, list[list[np.ndarray]]] = {}
    wanted = [row for row in plan.rows if only in (None, row.name) and not (folder / f"{row.name}.json").is_file()]
    for split in ("train", "val") if wanted else ():
        features[split] = [[sample.load() for sample in read(source, split)] for source in sources]
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[str, MotionTokenizer] = {}
        for number, row in enumerate(wanted):

            def tell(done: float, **numbers: Any) -> None:
                if progress:
                    progress((number + done) / len(wanted), row=row.name, **numbers)  # noqa: B023

            begun = time.monotonic()
            origin = row.like or row.name
            if origin not in made:
                weights = [s.weight for s, clips in zip(sources, features["train"], strict=True) for _ in clips]
                made[origin] = fit(
                    plan.recipe(row),
                    [clip for clips in features["train"] for clip in clips],
                    [clip for clips in features["val"] for clip in clips],
                    Path(scratch) / origin,
                    weights,
                    lambda done, **numbers: tell(done / 2, **numbers),
                )
            tokenizer = made[origin]
            result = {
                "name": row.name,
                "network": row.network.model_dump(exclude_defaults=True)
                | ({"bpe": row.bpe} if row.bpe else {})
                | ({"search": row.search} if row.search else {}),
                "train": plan.recipe(row).train.model_dump(exclude_defaults=True),
                "parameters": sum(p.numel() for p in tokenizer.network.parameters()),
                "tokenizer_seconds": round(time.monotonic() - begun, 1),
                "steps": plan.tokenizer.train.steps,
                "val": {
                    name: report(tokenizer, clips, row.search)
                    | {"frechet_pose": frechet_pose(tokenizer, clips, row.search)}
                    for name, clips in zip(names, features["val"], strict=True)
                },
            }
            codes = {
                split: [tokenizer.encode(clip, row.search) for clips in sets for clip in clips if len(clip) >= 8]
                for split, sets in features.items()
            }
            result["llm"] = likelihood(tokenizer, codes, plan.llm, row.bpe, lambda done: tell(0.5 + done / 2))
            write_json(folder / f"{row.name}.json", result)
    there = [folder / f"{row.name}.json" for row in plan.rows]
    return [read_json(path) for path in there if path.is_file()]


def frechet_pose(tokenizer: MotionTokenizer, features: Sequence[np.ndarray], search: int = 0) -> float:
    """Fréchet distance between poses of clips [(T, dim)] and of what is decoded of them.

    A pose is joints relative to the root in the heading frame, metres, and their velocities, metres a second: no
    embedder is in the way, so the numbers of all data sets are of one kind, and none is the evaluator's FID.
    """
    representation = tokenizer.representation
    poses: list[list[np.ndarray]] = [[], []]
    for clip in map(representation.read, features):
        made = tokenizer.decode_features(tokenizer.encode(clip, search))
        for found, of in zip(poses, (clip[: len(made)], made), strict=True):
            pose = representation.pose(of)[:, 1:].reshape(len(of), -1)
            found.append(np.concatenate([pose, np.gradient(pose, axis=0) * representation.fps], axis=1))
    return frechet_distance(*(np.concatenate(p) for p in poses))


def likelihood(
    tokenizer: MotionTokenizer,
    codes: dict[str, list[np.ndarray]],
    settings: SmallLLM,
    merges: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train a small Llama on "train" code sequences; its negative log-likelihood of the "val" ones.

    nats_a_second: summed over the tokens of the held-out clips, by their seconds; the best of the validations.
    tokens_a_second: what a second of motion costs, pieces of a motion BPE (`merges`) counted as one.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    bpe = MotionBPE.train(codes["train"], tokenizer.size, merges) if merges else None
    start = len(bpe.pieces) if bpe else tokenizer.size
    random = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    window = round(settings.seconds * tokenizer.steps_per_second) * tokenizer.parts
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=start + 1,
            hidden_size=settings.width,
            intermediate_size=settings.width * 8 // 3 // 8 * 8,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.width // 64,
            max_position_embeddings=2 * window + 1,
            tie_word_embeddings=True,
        )
    )

    def rows(pieces: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Padded ids with the start before them, and targets, −1 on padding."""
        longest = max(map(len, pieces))
        ids, targets = torch.zeros(len(pieces), longest, dtype=torch.long), torch.full((len(pieces), longest), -1)
        for i, piece in enumerate(pieces):
            targets[i, : len(piece)] = torch.from_numpy(piece)
            ids[i, 1 : len(piece)] = targets[i, : len(piece) - 1]
        ids[:, 0] = start
        return ids, targets

    def loss(pieces: Sequence[np.ndarray], reduction: str) -> Tensor:
        ids, targets = rows(pieces)
        logits = model(input_ids=ids, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-1, reduction=reduction)

    def cut(sequence: np.ndarray, first: int) -> np.ndarray:
        part = sequence[first : first + window]
        return bpe.encode(part) if bpe else part

    held_out = [cut(c, i) for c in codes["val"] for i in range(0, len(c), window)]
    seconds = sum(map(len, codes["val"])) / tokenizer.codes_per_second
    shares = np.array([len(c) for c in codes["train"]], float)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, betas=(0.9, 0.95), weight_decay=0.1)
    best, spent, seen = math.inf, 0.0, 0
    for step in range(1, settings.steps + 1):
        begun = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * rate(step - 1, 20, step / settings.steps)
        batch = []
        for i in random.choice(len(shares), settings.batch, p=shares / shares.sum()):
            steps = max(len(codes["train"][i]) - window, 0) // tokenizer.parts
            batch.append(cut(codes["train"][i], int(random.integers(steps + 1)) * tokenizer.parts))
        seen += sum(map(len, batch))
        optimizer.zero_grad(set_to_none=True)
        loss(batch, "mean").backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        spent += time.monotonic() - begun
        if step % 40 == 0 or step == settings.steps:
            model.eval()
            with torch.inference_mode():
                total = sum(float(loss(held_out[i : i + 16], "sum")) for i in range(0, len(held_out), 16))
            best = min(best, total / seconds)
            model.train()
        if progress:
            progress(step / settings.steps)
    return {
        "nats_a_second": best,
        "tokens_a_second": sum(map(len, held_out)) / seconds,
        "train_seconds": round(spent, 1),
        "trained_tokens": seen,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown of the rows: tokens and nats a second, error and its ratio to the first row's on each data set."""
    sets = list(results[0]["val"])
    head = [
        "tokenizer",
        "tokens/s",
        *(f"MPJPE {name}, mm" for name in sets),
        *(f"Fréchet {name}" for name in sets),
        "perplexity",
        "stable",
        "frames/s in, out",
        "LLM nats/s",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for result in results:
        val = [result["val"][name] for name in sets]
        errors = [
            f"{v['mpjpe_root_mm']:.1f} ({100 * v['mpjpe_root_mm'] / f['mpjpe_root_mm']:.0f} %)"
            for v, f in zip(val, results[0]["val"].values(), strict=True)
        ]
        cells = [
            f"`{result['name']}`",
            f"{result['llm']['tokens_a_second']:.3g}",
            *errors,
            *(f"{v['frechet_pose']:.2f}" for v in val),
            f"{val[-1]['perplexity']:.0f} of {val[-1]['codes']}",
            f"{100 * val[-1]['stable']:.0f} %",
            ", ".join(
                f"{n:.0f} k" if (n := val[-1][f"{way}_frames_per_second"] / 1000) >= 1 else f"{n:.2g} k"
                for way in ("encoded", "decoded")
            ),
            f"{result['llm']['nats_a_second']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="data, budget, and the networks to compare")
    parser.add_argument("overrides", nargs="*", help="key=value words, e.g. llm.steps=100")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder of results, one JSON per row")
    parser.add_argument("--only", help="make this row alone")
    options = parser.parse_args(words)
    try:
        plan = load_recipe(options.plan, options.overrides, Ablation)
        if options.only and options.only not in (names := [row.name for row in plan.rows]):
            raise MotionLLMError(f"{options.plan} has no row {options.only}; it has {', '.join(names)}.")
        with Bar(plan.name) as bar:
            print(table(run(plan, options.out, options.only, bar.update)))
    except MotionLLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
