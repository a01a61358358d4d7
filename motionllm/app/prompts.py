"""Generation for a file of prompts: batched, with progress, resumable, with a report that names failures."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from motionllm.errors import MotionLLMError, about, check_text, each
from motionllm.files import parse_json, read_text
from motionllm.lm.model import MotionLM
from motionllm.lm.planning import Plan, Seconds
from motionllm.lm.results import results
from motionllm.lm.sampling import BEST_OF, Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation
from motionllm.runs.progress import Bar

REPORT = "report.jsonl"
_NAME = re.compile(r"[^\W_][\w.-]*")  # a valid file name: no folder, no leading dot


@dataclass(frozen=True)
class Prompt:
    """One motion to generate.

    id: file name without suffix. seconds: duration; None leaves it to the model. seed: None draws one, which the report
    records. plan: notation that the motion must follow; None lets the model write one, if it plans.
    """

    id: str
    text: str
    seconds: Seconds = None
    seed: int | None = None
    plan: str | None = None


def read_prompts(path: Path, seconds: Seconds = None, seed: int | None = None) -> list[Prompt]:
    """Read prompts from a text file, one per line, or from JSONL with "text" and, optionally, "id", "seconds", "seed"
    and "plan".

    seconds: default duration. seed: default for the first prompt, counted up for the next ones. Ids default to line
    numbers. Raises MotionLLMError, naming the line, for anything that is not a prompt.
    """
    prompts = []
    for number, line in enumerate(read_text(path, "file of prompts").split("\n"), 1):
        if not line.strip():
            continue
        row: Any = {"text": line.strip()}
        if path.suffix.lower() == ".jsonl":
            row = parse_json(line, f"{path}, line {number}")
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or row.keys() - Prompt.__annotations__:
            raise MotionLLMError(
                f'{path}, line {number}: a prompt is JSON as {{"text": "a person waves"}}, with "id", "seconds", '
                '"seed" and "plan" where wanted.'
            )
        fields = {"id": f"{number:04}", "seconds": seconds, "seed": None if seed is None else seed + number - 1, **row}
        if not isinstance(fields["id"], str) or not _NAME.fullmatch(fields["id"]) or len(fields["id"].encode()) > 200:
            raise MotionLLMError(
                f"{path}, line {number}: the id {str(fields['id'])[:100]!r} is no name for a file; use letters."
            )
        if isinstance(fields["seconds"], list):
            fields["seconds"] = tuple(fields["seconds"])
        if not _is_duration(fields["seconds"]) or not _is_seed(fields["seed"]):
            raise MotionLLMError(
                f'{path}, line {number}: "seconds" is a number or two, "seed" a whole number from 0 on.'
            )
        check_text(fields["text"], f"{path}, line {number}: the prompt")
        if (plan := fields.get("plan")) is not None:
            with about(f"{path}, line {number}"):
                if not isinstance(plan, str):
                    raise MotionLLMError('"plan" is the text of a notation, its lines with \\n between them.')
                Notation.parse(plan)
        prompts.append(Prompt(**fields))
    if not prompts:
        raise MotionLLMError(f"{path} has no prompt; write one on each line.")
    common, times = Counter(p.id.casefold() for p in prompts).most_common(1)[0]  # some file systems ignore case
    if times > 1:
        raise MotionLLMError(f"{path} has the id {common} {times} times; each names a file of its own.")
    return prompts


def generate_files(
    load: Callable[[], MotionLM],
    made_by: Mapping[str, Any],
    prompts: list[Prompt],
    folder: Path,
    sampling: Sampling,
    *,
    suffix: str = ".bvh",
    batch: int = 8,
    lock_feet: bool = False,
    plan: Literal[False] | None = None,
) -> dict[str, Any]:
    """Generate `ID.suffix` in the folder for each prompt, and one line of report.jsonl: the prompt with its seed, and
    the file and its seconds, or the error.

    Motions are kept if the report has them for the same prompt, model and settings, and the file exists. Equal seeds
    give equal motions, as with `MotionLM.generate`.

    load: returns the model; called only after the input was checked, and not if there is nothing to do. made_by: see
    `results.made_by`. batch: prompts decoded at once. plan: for prompts that have none of their own, as in
    `MotionLM.generate`. Returns {"out", "made", "seconds": of the new motions, "kept", "failed": {id: error}}. Raises
    MotionLLMError where the folder is in use, cannot be written, or holds another model's motions.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise MotionLLMError(f"{folder} is a file; many prompts need the name of a folder as --out.")
    failed: dict[str, str] = {}
    seconds = 0.0
    by = {**made_by, **asdict(sampling), "best_of": sampling.best_of or BEST_OF, "lock_feet": lock_feet}
    if plan is False:
        by["plan"] = False
    with results(folder / REPORT, by) as report, Bar("generate") as bar:
        todo = [p for p in prompts if not _kept(p, report.rows.get(p.id), folder, suffix)]
        lm = load() if todo else None
        for start in range(0, len(todo), batch):
            assert lm is not None
            batch_prompts = [
                p if p.seed is not None else replace(p, seed=secrets.randbelow(2**31))
                for p in todo[start : start + batch]
            ]
            motions = partial(_generate, lm, sampling=sampling, plan=plan)
            for prompt, motion in zip(batch_prompts, each(motions, batch_prompts), strict=True):
                row: dict[str, Any] = {key: value for key, value in asdict(prompt).items() if key != "plan" or value}
                try:
                    if isinstance(motion, MotionLLMError):
                        raise motion
                    motion = motion.lock_feet() if lock_feet else motion
                    motion.save(folder / f"{prompt.id}{suffix}")
                    row |= {"file": f"{prompt.id}{suffix}", "made": motion.duration}
                    row |= {"notes": list(motion.notes)} if motion.notes else {}
                    seconds += motion.duration
                except MotionLLMError as error:
                    failed[prompt.id] = row["error"] = str(error)
                report.write(row)
            bar.update(min(1.0, (start + batch) / len(todo)), motions=min(start + batch, len(todo)) - len(failed))
    return {
        "out": folder,
        "made": len(todo) - len(failed),
        "seconds": seconds,
        "kept": len(prompts) - len(todo),
        "failed": failed,
    }


def _generate(lm: MotionLM, prompts: Sequence[Prompt], sampling: Sampling, plan: Literal[False] | None) -> list[Motion]:
    seeds = [p.seed for p in prompts if p.seed is not None]
    plans: list[Plan] = [p.plan if p.plan is not None else plan for p in prompts]
    seconds = [p.seconds for p in prompts]
    return lm.generate_batch([p.text for p in prompts], seconds, seeds, sampling=sampling, plan=plans)


def _kept(prompt: Prompt, row: dict[str, Any] | None, folder: Path, suffix: str) -> bool:
    """Whether the report's last row with this id is a success for this very prompt."""
    if row is None or row.get("file") != f"{prompt.id}{suffix}" or not (folder / row["file"]).is_file():
        return False
    seconds = tuple(row["seconds"]) if isinstance(row.get("seconds"), list) else row.get("seconds")
    asked = row.get("text"), seconds, row.get("plan")
    return asked == (prompt.text, prompt.seconds, prompt.plan) and prompt.seed in (None, row.get("seed"))


def _is_duration(value: Any) -> bool:
    numbers = value if isinstance(value, tuple) and len(value) == 2 else (value,)
    return value is None or all(type(number) in (int, float) for number in numbers)


def _is_seed(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)
