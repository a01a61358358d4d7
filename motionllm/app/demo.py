"""`motionllm demo`: what the toolkit does, computed on this machine within minutes, as one page.

Three models are given the same held-out tasks: the base before any training, the base fine-tuned here for some minutes,
and the shipped adapter. Tasks are chosen by rule from the built-in corpus' test split, never by how well they turn out,
and everything the page says is computed in the run.
"""

from __future__ import annotations

import logging
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from motionllm import __version__
from motionllm import corpus as builtin
from motionllm.app import demo_page
from motionllm.config import Recipe
from motionllm.corpus import Part, Sample, Spec
from motionllm.errors import MotionLLMError
from motionllm.files import lock, make_folder, tidy, write_file, write_json
from motionllm.motion import Motion
from motionllm.motion.representation import HUMANML3D_263
from motionllm.runs.cores import cores
from motionllm.runs.run import Stopped, logged, on_full_disk
from motionllm.samples import Question

log = logging.getLogger(__name__)

SEED = 0
MADE = ("index.html", "demo.json", "motions", "run")  # contents of an output folder; nothing else is ever replaced
# Texts that the corpus' grammar does not produce, each with what a motion must show to be right.
FREE = (
    (
        "a person walks forward and waves with the right hand",
        Spec((Part("walk", direction="forward"), Part("wave", side="right")), "while"),
    ),
    (
        "she makes a turn to her left, then gives a kick with her right leg",
        Spec((Part("turn", direction="left"), Part("kick", side="right")), "then"),
    ),
    ("two jumps for joy", Spec((Part("jump", count=2),))),
)
KINDS = ("side", "count", "direction", "order", "yesno", "action", "speed", "side")


class Model(Protocol):
    """The part of MotionLM that the demo uses."""

    def generate_batch(self, texts: Sequence[str], *, seed: int | None = None) -> list[Motion]: ...
    def caption_batch(self, motions: Sequence[np.ndarray]) -> list[str]: ...
    def ask_batch(self, motions: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]: ...


@dataclass(frozen=True)
class Prompt:
    """A text to generate from. spec: what the motion must show. free: not worded by the corpus."""

    text: str
    spec: Spec
    free: bool


@dataclass(frozen=True)
class Tasks:
    """What every model is given: texts to generate from, clips to caption, questions about clips."""

    prompts: list[Prompt]
    clips: list[Sample]
    questions: list[tuple[Sample, Question]]


@dataclass(frozen=True)
class Attempt:
    """One model's results for the tasks, in their order. checks: what was measured on each motion."""

    name: str
    about: str
    motions: list[Motion]
    checks: list[dict[str, bool]]
    captions: list[str]
    answers: list[str]
    seconds: dict[str, float] = field(default_factory=dict)


def draw(prompts: int = 3, clips: int = 6, questions: int = 8, seed: int = SEED) -> Tasks:
    """Tasks from the test split: its first clips, each with other actions than those before, dealt out in turn.

    Raises MotionLLMError where more are asked for than the split's first 400 clips offer.
    """
    chosen: list[Sample] = []
    seen_actions: set[str] = set()
    wanted = list(KINDS[i % len(KINDS)] for i in range(questions))
    pairs: list[tuple[Sample, Question]] = []
    for index in range(400):
        sample = builtin.sample(index, seed, "test")
        actions = {part.action for part in _spec(sample).parts}
        if len(chosen) < prompts + clips:
            if not actions & seen_actions:
                chosen.append(sample)
                seen_actions |= actions
            elif len(seen_actions) > len(builtin.ACTIONS) * 2 // 3:
                seen_actions = set()  # most actions occurred already
        elif len(pairs) < questions:
            # One question per clip, each kind in turn.
            kind = wanted[len(pairs)]
            question = next((q for q in sample.questions if q.kind == kind), None)
            if question:
                pairs.append((sample, question))
        else:
            break
    if len(chosen) < prompts + clips or len(pairs) < questions:
        raise MotionLLMError("The test split's first 400 clips do not offer that many tasks; ask for fewer.")
    held_out = [Prompt(s.captions[0], _spec(s), free=False) for s in chosen[:prompts]]
    return Tasks(held_out + [Prompt(text, spec, free=True) for text, spec in FREE], chosen[prompts:], pairs)


def attempt(name: str, about: str, load: Callable[[], Model], tasks: Tasks) -> Attempt:
    """Run the tasks with one model. load: returns the model, so that only one at a time is in memory."""
    clock = _Clock()
    lm = load()
    clock.lap("load")
    motions = lm.generate_batch([prompt.text for prompt in tasks.prompts], seed=SEED)
    clock.lap("generate")
    captions = lm.caption_batch([sample.load() for sample in tasks.clips])
    clock.lap("caption")
    answers = lm.ask_batch([s.load() for s, _ in tasks.questions], [q.text for _, q in tasks.questions])
    clock.lap("answer")
    checks = [builtin.check(prompt.spec, m.joints) for prompt, m in zip(tasks.prompts, motions, strict=True)]
    done = Attempt(name, about, motions, checks, captions, answers, clock.laps)
    log.info("%s: %s", name, ", ".join(f"{k} of {n} {what}" for what, (k, n) in score(done, tasks).items()))
    return done


def score(made: Attempt, tasks: Tasks) -> dict[str, tuple[int, int]]:
    """{"motions": (right, total) that show the action, "details": that also show every detail, "captions": that name
    exactly the clip's actions, "answers": that mean the true one}.
    """
    named = [builtin.names_action(text, _spec(sample)) for text, sample in zip(made.captions, tasks.clips, strict=True)]
    right = [builtin.right_answer(q, text) for text, (_, q) in zip(made.answers, tasks.questions, strict=True)]
    return {
        "motions": (sum(c["action"] for c in made.checks), len(made.checks)),
        "details": (sum(all(c.values()) for c in made.checks), len(made.checks)),
        "captions": (sum(named), len(named)),
        "answers": (sum(right), len(right)),
    }


def run(recipe: Recipe, out: Path, adapter: str = "default") -> dict[str, Any]:
    """The whole demo into the folder `out`, replacing an earlier demo there; returns paths, scores and seconds.

    Raises MotionLLMError, before anything is computed, where the adapter is missing or `out` holds other things.
    """
    from motionllm.lm.adapters import find_adapter

    find_adapter(adapter)
    again = "the demo begins anew when it is started again"
    with lock(out), on_full_disk(lambda: f"Make room; {again}."):
        try:
            return _run(recipe, out, adapter)
        except Stopped as stop:  # raised by the training
            raise Stopped(stop.number, f"Stopped; {again}") from None


def _run(recipe: Recipe, out: Path, adapter: str) -> dict[str, Any]:
    from motionllm.lm.model import MotionLM
    from motionllm.training.train import train

    clear(out)
    clock = _Clock()
    tasks = draw()
    clock.lap("draw the tasks")
    log.info("1 of 4: the shipped adapter moves, captions and answers")
    shipped = attempt("shipped", "the shipped adapter", lambda: MotionLM.load(adapter), tasks)
    clock.lap("shipped adapter: load, generate, caption, answer")
    log.info("2 of 4: the base does the same, untrained")
    untrained = attempt("untrained", "the base before any training", lambda: MotionLM.untrained(adapter), tasks)
    clock.lap("untrained base: the same")
    log.info("3 of 4: the base is fine-tuned for %g minutes", recipe.train.minutes or 0)
    training = train(recipe, out / "run")
    clock.lap(f"fine-tune: {training['prepare_seconds']:.0f} s to encode clips, then {training['steps']} steps")
    log.info("4 of 4: the base fine-tuned here does the same")
    about = f"the base after {training['train_seconds'] / 60:.1f} minutes here"
    tuned = attempt("fine-tuned", about, lambda: MotionLM.load(out / "run"), tasks)
    clock.lap("fine-tuned here: the same")
    return publish(out, tasks, [untrained, tuned, shipped], training, clock.laps, recipe)


def publish(
    out: Path,
    tasks: Tasks,
    attempts: Sequence[Attempt],
    training: dict[str, Any],
    seconds: dict[str, float],
    recipe: Recipe,
) -> dict[str, Any]:
    """Write `index.html`, `motions/` (those of the last attempt) and `demo.json`; returns what `demo.json` holds.

    attempts: in the page's order. training: what `train` returned; its log is read from `out/run/log.jsonl`.
    """
    clock = _Clock()
    make_folder(out / "motions")
    files = [f"motions/{number:02d}.bvh" for number in range(1, len(tasks.prompts) + 1)]
    for file, motion in zip(files, attempts[-1].motions, strict=True):
        motion.save(out / file)
        motion.save((out / file).with_suffix(".png"))
    clock.lap("save motions and pictures")
    seconds = seconds | clock.laps
    content = {
        "version": __version__,
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "machine": f"{cores()} CPU cores, {platform.system()} {platform.machine()}",
        "base": recipe.model.base,
        "models": [
            {"name": a.name, "about": a.about, "scores": score(a, tasks), "seconds": a.seconds} for a in attempts
        ],
        "prompts": [
            {
                "text": prompt.text,
                "free": prompt.free,
                "file": files[i],
                "made": [{"checks": a.checks[i], "seconds": a.motions[i].duration} for a in attempts],
            }
            for i, prompt in enumerate(tasks.prompts)
        ],
        "clips": [
            {
                "id": sample.id,
                "truth": sample.captions[0],
                "said": [
                    {"text": a.captions[i], "right": builtin.names_action(a.captions[i], _spec(sample))}
                    for a in attempts
                ],
            }
            for i, sample in enumerate(tasks.clips)
        ],
        "questions": [
            {
                "id": sample.id,
                "question": question.text,
                "kind": question.kind,
                "truth": question.answer,
                "said": [
                    {"text": a.answers[i], "right": builtin.right_answer(question, a.answers[i])} for a in attempts
                ],
            }
            for i, (sample, question) in enumerate(tasks.questions)
        ],
        "training": training,
        "seconds": {what: round(spent, 1) for what, spent in seconds.items()},
        "total_seconds": round(sum(seconds.values()), 1),
    }
    rows = [row for _, row in logged(out / "run" / "log.jsonl")]
    clips = {
        "made": [[(m.joints, m.fps) for m in a.motions] for a in attempts],
        "true": [(HUMANML3D_263.decode(sample.load()), HUMANML3D_263.fps) for sample in tasks.clips],
    }
    write_file(out / "index.html", demo_page.page(content, clips, [row for row in rows if "loss" in row]))
    write_json(out / "demo.json", content)
    return {"page": out / "index.html", **content}


def clear(out: Path) -> None:
    """Prepare the folder: remove what an earlier demo left there, and nothing else.

    Raises MotionLLMError where the folder holds something and no `demo.json` says that a demo wrote it.
    """
    if out.exists() and not out.is_dir():
        raise MotionLLMError(f"{out} is a file; give a folder for the demo with --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / "demo.json").is_file():
        raise MotionLLMError(f"{out} holds files that no demo wrote; give another folder with --out.")
    tidy(out)
    for name in MADE:
        place = out / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    make_folder(out)
    write_file(out / "demo.json", '{"unfinished": true}\n')  # so that an interrupted demo can be replaced


class _Clock:
    """Seconds of wall time between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self.last = now - self.last, now


def _spec(sample: Sample) -> Spec:
    return Spec.of(sample.labels["spec"])
