"""The ablation behind the defaults of fine-tuning: short runs that differ in one thing, on two data sets, as one table.

    python tests/benchmarks/ablation.py                # make the rows that have no result yet, then print the table
    python tests/benchmarks/ablation.py --at-most 0    # the table alone

The plan is ablation.yaml, a row's result a JSON in ablation/, and a row that has one is not made again. All rows are
measured alike: nats a supervised token on the same held-out examples, at motion positions over the rows that the
grammar allows there, as in decoding, whatever the row was trained by. Weights are not kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RESULTS = HERE / "ablation"
WORK = HERE.parents[1] / "build" / "ablation"  # of runs that go on where they were stopped; emptied when they are done


def _named(row: dict[str, Any]) -> str:
    return str(row["name"]).replace(",", "").replace(" ", "-")


def rows_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """(data set, row, file of its result) of every row, in the plan's order."""
    for row in plan["rows"]:
        for name in row.get("sets", plan["sets"]):
            yield name, row, RESULTS / name / f"{_named(row)}.json"


def recipe_of(plan: dict[str, Any], name: str, row: dict[str, Any], base: str | None) -> Any:
    """The recipe of a row: the plan's, on the set's data, with the row's changes; base: another than its own."""
    from motionllm.config import Recipe, check_recipe

    tree = json.loads(json.dumps(plan["recipe"])) | {"name": "ablation", "data": plan["sets"][name]}
    for key, value in row.get("change", {}).items():
        section, _, last = key.partition(".")
        tree.setdefault(section, {})[last] = value
    if base:
        tree["model"]["base"] = base
    return check_recipe(tree, Recipe, f"{name}, {row['name']}")


def random_base(base: str, folder: Path) -> str:
    """The network of a base with random weights, and its tokenizer, in a folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from motionllm.language.bases import base_source, load_base_tokenizer

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base_source(base)), dtype=torch.float32)
    model.save_pretrained(folder)
    load_base_tokenizer(base).save_pretrained(folder)
    return str(folder)


def held_out_loss(lm: Any, recipe: Any) -> dict[str, float]:
    """Nats a supervised token by task, and over all, of the recipe's held-out examples."""
    import torch

    from motionllm.data.examples import collate, pack
    from motionllm.data.prepare import clips_of
    from motionllm.runs.precision import fast_dtype
    from motionllm.training.learner import Learner
    from motionllm.training.validation import held_out

    rate = lm.motion_tokenizer.codes_per_second
    clips = clips_of(recipe, "val", lm.motion_tokenizer)
    examples = held_out(clips, recipe, lm.templates, lm, rate)
    learner = Learner(lm, "rows").eval()
    losses, every = {}, [0.0, 0]
    for task, tokens in examples.items():
        total, count = 0.0, 0
        packed = pack(tokens, recipe.data.max_length, 1, True)
        for first in range(0, len(packed), 8):
            batch = collate(packed[first : first + 8], lm.tokenizer.pad_token_id or 0)
            with (
                torch.inference_mode(),
                torch.autocast(lm.model.device.type, torch.bfloat16, enabled=fast_dtype() == "bfloat16"),
            ):
                total += float(sum(learner(batch)))
            count += batch.supervised
        losses[task] = total / count
        every = [every[0] + total, every[1] + count]
    return losses | {"all": every[0] / every[1]}


def caption_scores(lm: Any, recipe: Any, count: int) -> dict[str, float]:
    """Shares of free-running captions of held-out clips that name the action, or the set's labels, rightly."""
    from motionllm.corpus import Spec
    from motionllm.data.sources import read
    from motionllm.eval.corpus import names_rightly
    from motionllm.eval.labels import label_scores

    source = recipe.data.sources[0]
    samples = read(source, "val")
    samples = samples[:: max(1, len(samples) // count)][:count]  # a folder's clips are sorted by what they show
    said = lm.caption_batch([sample.load() for sample in samples])
    if source.kind == "builtin":
        right = [
            names_rightly(Spec.of(s.labels["spec"]), text)["action"] for s, text in zip(samples, said, strict=True)
        ]
        return {"clips": len(samples), "action": sum(right) / len(right)}
    predictions = {s.id: text for s, text in zip(samples, said, strict=True)}
    scores = label_scores(predictions, read(source, "train"), samples)
    return {"clips": len(samples)} | {key: value["accuracy"] for key, value in scores["labels"].items()}


def make(plan: dict[str, Any], name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Train and measure a row."""
    from motionllm.language.bases import DEFAULT_BASE
    from motionllm.lm.model import MotionLM
    from motionllm.training.train import train

    work = WORK / name / _named(row)
    base = random_base(DEFAULT_BASE, work / "base") if row.get("random") else None
    recipe = recipe_of(plan, name, row, base)
    # The loss is measured once, by this script; the run itself need not.
    quiet = recipe.model_copy(update={"train": recipe.train.model_copy(update={"validate_examples": 0})})
    trained = train(quiet, work / "run", resume=(work / "run" / "checkpoint.pt").is_file())
    log = [json.loads(line) for line in (work / "run" / "log.jsonl").read_text("utf-8").splitlines()]
    lm = MotionLM.load(work / "run")
    result = {
        "set": name,
        "name": row["name"],
        "change": row.get("change", {}),
        "random": bool(row.get("random")),
        "steps": trained["steps"],
        "examples": trained["examples"],
        "train_seconds": trained["train_seconds"],
        "first_loss": next(line["loss"] for line in log if "loss" in line),
        "loss": held_out_loss(lm, recipe),
    }
    if row.get("captions"):
        result["captions"] = caption_scores(lm, recipe, row["captions"])
    shutil.rmtree(work)
    return result


def table(plan: dict[str, Any]) -> str:
    """Markdown: a row's held-out loss on each set and what it differs by from the first row's."""
    names = list(plan["sets"])
    found = {
        (name, row["name"]): json.loads(file.read_text("utf-8")) for name, row, file in rows_of(plan) if file.is_file()
    }
    lines = [
        "| | " + " | ".join(f"{name}: held-out loss | captions | motion" for name in names) + " |",
        "|---|" + "---|" * 3 * len(names),
    ]
    for row in plan["rows"]:
        cells = []
        for name in names:
            if not (result := found.get((name, row["name"]))):
                cells += ["", "", ""]
                continue
            loss, first = result["loss"], found.get((name, plan["rows"][0]["name"]), result)["loss"]
            differs = f" ({loss['all'] - first['all']:+.2f})" if first is not loss else ""
            cells += [f"{loss['all']:.2f}{differs}", f"{loss['caption']:.2f}", f"{loss['text_to_motion']:.2f}"]
        if any(cells):
            lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    for (name, row_name), result in found.items():
        if scores := result.get("captions"):
            shares = ", ".join(f"{key} {100 * value:.0f} %" for key, value in scores.items() if key != "clips")
            lines.append(f"\n{name}, {row_name}: {shares} of {scores['clips']} captions")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--at-most", type=int, default=10**6, help="make so many rows at most")
    given = parser.parse_args()
    plan = yaml.safe_load((HERE / "ablation.yaml").read_text(encoding="utf-8"))
    todo = [(name, row, file) for name, row, file in rows_of(plan) if not file.is_file()]
    for name, row, file in todo[: given.at_most]:
        print(f"{name}: {row['name']}", file=sys.stderr, flush=True)
        result = make(plan, name, row)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(plan))


if __name__ == "__main__":
    main()
