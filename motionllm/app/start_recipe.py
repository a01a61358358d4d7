"""The recipe of a project of `motionllm start`: its sizes follow the clips and the machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionllm.config import Recipe, Source, load_recipe
from motionllm.data.content import fingerprint
from motionllm.files import read_text, write_file, write_json

MANY = 2000  # clips: of so many, no further ones are derived
PASSES = 12  # over the training clips, mirrored and cut ones included: about where a few hundred clips overfit
MINUTES = 60.0  # the longest training that is proposed where nobody says how long
HEADROOM = 2.0  # a process takes up to twice the memory that is computed of its tensors (docs/training.md)

RECIPE = """\
# {clips} clips of your own, {train} of them to train on. Written by `motionllm start`; once you change it, it is kept.
#   motionllm train {path}
name: {name}
adapter:
  start: default # the shipped adapter: few clips are enough
  rows_lr: 2
data:
  sources:
    - kind: humanml3d
      path: {set}
      mirror: true
      ask: [facts]
      captions: [notation] # of clips that have no text: what is measured on them
      more: {{cuts: {cuts}}} # of each clip, begun elsewhere, shorter, slower or faster
    - {{kind: builtin, clips: {builtin}, weight: {weight}, ask: [facts]}} # keeps what the adapter can do already
  tasks: {{text_to_motion: 1.0, caption: 1.0, question: 0.3}}
  system: ""
  # The shipped adapter reads what is measured, and plans: the model keeps that. told 0: captions in your words.
  notation: {{read: 0.75, alone: 0.1, told: 0, plan: 0.4, first: false}}
  drop_text: 0.1
  max_length: 352 # as of the shipped adapter: a motion and its notation
train:
  steps: {steps}
  minutes: {minutes}
  batch: {batch}
  micro_batch: {micro}
  checkpointing: {checkpointing}
  lr: 5.0e-4
  validate_every: {every}
  validate_examples: 64
  patience: 5 # a small set overfits
"""


@dataclass
class Project:
    """The folder of a project, and what earlier calls wrote there."""

    folder: Path
    takes: Path
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def set(self) -> Path:
        return self.folder / "set"

    @property
    def table(self) -> Path:
        return self.folder / "captions.csv"

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def keep(self, **values: Any) -> None:
        self.state |= values
        write_json(self.folder / "start.json", self.state)


def write_recipe(project: Project, report: dict[str, Any]) -> bool:
    """Write the recipe where data, machine or wishes ask for another; True where a person changed it: it is kept."""
    state, there = project.state, read_text(project.recipe, "recipe") if project.recipe.is_file() else ""
    if there and _digest(there) not in state.get("written", ()):
        return True
    wanted = [report["clips"], state.get("minutes"), state.get("overrides")]
    if there and state.get("sized") == wanted:
        return False
    sizes = _sizes(report["clips"]["train"])
    values = {
        "clips": sum(report["clips"].values()),
        "train": report["clips"]["train"],
        "path": project.recipe,
        "name": json.dumps(state["name"]),
        "set": json.dumps(str(project.set.resolve())),
    }
    while True:
        _write(project, RECIPE.format(**values, **sizes))
        plan = plan_of(project)
        if plan["memory_gib"] * HEADROOM <= _free_memory() or sizes["checkpointing"] == "true":
            break
        if sizes["micro"] > 1:
            sizes["micro"] //= 2
        else:
            sizes["checkpointing"] = "true"
    natural = sizes["steps"] * plan["pace"] / 60 if plan["pace"] else MINUTES
    # A quarter more than is estimated, so that a machine in use ends at the same step.
    limit = state.get("minutes") or min(MINUTES, max(1.0, natural * 1.25))
    _write(project, RECIPE.format(**values, **sizes | {"minutes": float(f"{limit:.2g}")}))
    project.keep(sized=wanted)
    return False


def _write(project: Project, text: str) -> None:
    """Write the recipe; a text that is not among those written is a person's."""
    project.keep(written=[*project.state.get("written", ()), _digest(text)])
    write_file(project.recipe, text)


def _sizes(train: int) -> dict[str, Any]:
    """Values of the recipe by the number of training clips; see PASSES."""
    import torch

    cuts = 3 if train < 200 else 1 if train < MANY else 0
    batch = 32 if torch.cuda.is_available() else 8
    steps = max(50, -(-PASSES * train * 2 * (1 + cuts) // batch))
    return {
        "cuts": cuts,
        "builtin": 300 if train < MANY else 2000,
        "weight": 0.25,
        "steps": steps,
        "minutes": MINUTES,
        "batch": batch,
        "micro": batch,
        "checkpointing": "false",
        "every": max(10, min(steps // 8, 200)),
    }


def _free_memory() -> float:
    """GiB that a run may take: of the GPU, else of the machine, whose half is taken to be free in the end."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else max(memory.available, memory.total / 2)
    return float(free) / 2**30


def _recipe_of(project: Project) -> Recipe:
    return load_recipe(project.recipe, project.state.get("overrides") or ())


def run_of(project: Project) -> Path:
    """The folder that the recipe trains into."""
    return Path("runs") / _recipe_of(project).name


def plan_of(project: Project) -> dict[str, Any]:
    """{"steps", "minutes" (None: not estimated), "passes", "memory_gib", "pace"} of the recipe as it stands.

    passes: how often each clip, mirrored and cut ones included, is seen. pace: seconds per step. Measured anew where
    anything but the minutes has changed since the call before.
    """
    recipe = _recipe_of(project)
    source = Source(kind="humanml3d", path=str(project.set), captions=["notation"])
    key = _digest(f"{recipe.model_dump_json(exclude={'train': {'minutes'}})} {fingerprint(source, 'train')}")
    kept = project.state.get("planned", {})
    if kept.get("key") != key:
        from motionllm.training.plan import plan

        unhurried = recipe.model_copy(update={"train": recipe.train.model_copy(update={"minutes": None})})
        whole = plan(unhurried, run_of(project))
        own = whole["data"]["sources"][0]
        kept = {"key": key, "pace": whole["seconds_per_step"], "memory_gib": whole["memory_gib"]["total"]}
        kept |= {"share": own["share"], "variants": own["clips"]}
        project.keep(planned=kept)
    steps, pace = recipe.train.steps, kept["pace"]
    if pace and recipe.train.minutes:
        steps = max(1, min(steps, int(60 * recipe.train.minutes / pace)))
    return {
        "steps": steps,
        "minutes": pace and steps * pace / 60,
        "passes": steps * recipe.train.batch * kept["share"] / max(kept["variants"], 1),
        "memory_gib": kept["memory_gib"],
        "pace": pace,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
