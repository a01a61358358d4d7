"""The demo's page: one self-contained HTML file rendered from plain values; knows no model.

Tables and texts are in `demo_page.html`, so that the page reads without JavaScript; moving figures are drawn by
`motion/show/player.js`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.motion.show.page import render, stored

Clip = tuple[np.ndarray, float]  # joints (T, 22, 3) in metres, frames per second

FOLD = 80  # characters of a long answer shown before it is unfolded
SCORES = {
    "motions": "motions show the action",
    "details": "motions are right in every detail",
    "captions": "captions name the action",
    "answers": "answers are right",
}


def page(content: dict[str, Any], clips: dict[str, Any], log: Sequence[dict[str, Any]]) -> str:
    """The page as HTML.

    content: what `demo.json` holds (see `motionllm.app.demo.publish`). clips: {"made": a list of Clip for each model,
    "true": the Clip of each captioned one}. log: the training log's rows with "step", "seconds" and "loss".
    """
    store: list[dict[str, Any]] = []

    def number(clip: Clip) -> int:
        store.append(stored(*clip))
        return len(store) - 1

    models, prompts, clips_by_model = content["models"], content["prompts"], clips["made"]
    gallery = [(p, p["made"][-1], number(clip)) for p, clip in zip(prompts, clips_by_model[-1], strict=True)]
    captions = [(c, c["said"][-1], number(clip)) for c, clip in zip(content["clips"], clips["true"], strict=True)]
    # The first two held-out prompts and the first free one, every model's motion side by side.
    held_out, free = ([i for i, prompt in enumerate(prompts) if prompt["free"] == kind] for kind in (False, True))
    compared = [
        (
            prompts[i]["text"],
            [(m, r, number(own[i])) for m, r, own in zip(models, prompts[i]["made"], clips_by_model, strict=True)],
        )
        for i in [*held_out[:2], *free[:1]]
    ]
    return render(
        Path(__file__).with_name("demo_page.html"),
        store,
        models=models,
        scores=SCORES,
        facts={
            "base model": content["base"].removeprefix("builtin:"),
            "machine": content["machine"],
            "made": content["made"],
            "time in all": f"{content['total_seconds'] / 60:.1f} minutes",
            "motionllm": content["version"],
        },
        gallery=gallery,
        captions=captions,
        compared=compared,
        questions=[(q["question"], q["truth"], [fold(answer) for answer in q["said"]]) for q in content["questions"]],
        captioned=[(c["truth"], None, [fold(answer) for answer in c["said"]]) for c in content["clips"]],
        training={"best_validation_loss": None, **content["training"]},
        speed=_speed(log),
        curve=curve(log),
        timing=[*content["seconds"].items(), ("in all", content["total_seconds"])],
    )


def fold(said: dict[str, Any]) -> dict[str, Any]:
    """A model's answer with its text split into "first" and "rest": an untrained model rambles, so the page shows the
    first words of a long text, and the rest on demand.
    """
    text = said["text"]
    if len(text) <= FOLD * 1.5:
        return said | {"first": text, "rest": ""}
    cut = text.rfind(" ", 0, FOLD) + 1 or FOLD
    return said | {"first": text[:cut].rstrip(), "rest": text[cut:]}


def _speed(log: Sequence[dict[str, Any]]) -> str:
    seconds = log[-1]["seconds"] if log else 0
    return f"{sum(row.get('tokens', 0) for row in log) / seconds:.0f} tokens a second" if seconds else "no step"


def curve(log: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The values for an SVG of the loss over minutes: each step faint, their running mean strong. Empty if there were
    no steps.
    """
    if not log:
        return {}
    width, height, left, right, top, bottom = 720, 280, 44, 16, 16, 40
    minutes = np.array([row["seconds"] for row in log]) / 60
    loss = np.array([row["loss"] for row in log])
    wide = max(len(loss) // 20, 1)
    mean = np.array([loss[max(i - wide + 1, 0) : i + 1].mean() for i in range(len(loss))])
    most_x, most_y = max(float(minutes[-1]), 1e-3), float(np.ceil(loss.max()))
    step_x, step_y = _step(most_x), _step(most_y)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x / most_x * (width - left - right), height - bottom - y / most_y * (height - top - bottom)

    def line(values: np.ndarray) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*xy) for xy in zip(minutes, values, strict=True)))

    return {
        "width": width,
        "height": height,
        "left": left,
        "right": width - right,
        "bottom": height - bottom,
        "middle": (width + left) / 2,
        "label": f"Loss from {loss[0]:.2f} to {mean[-1]:.2f} in {most_x:.1f} minutes",
        "rows": [(at(0, k * step_y)[1], k * step_y) for k in range(int(most_y / step_y + 1e-9) + 1)],
        "columns": [(at(k * step_x, 0)[0], k * step_x) for k in range(int(most_x / step_x + 1e-9) + 1)],
        "loss": line(loss),
        "mean": line(mean),
        "end": at(minutes[-1], mean[-1]),
        "final": mean[-1],
    }


def _step(most: float) -> float:
    """A round distance between at most six ticks from 0 to `most`."""
    for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50):
        if most / step <= 6:
            return step
    return most
