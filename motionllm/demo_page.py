"""The demo's page: one self-contained HTML file made from plain values; knows no model.

Tables and texts are written here, so that the page reads without JavaScript; moving figures are drawn by
`motion/player.js`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.motion.page import box, fill, player, stored

Clip = tuple[np.ndarray, float]  # joints (T, 22, 3) in metres, frames a second

_FOLD = 80  # characters of a long answer that are shown at first
_SCORES = (
    ("motions", "motions show the action"),
    ("details", "motions are right in every detail"),
    ("captions", "captions name the action"),
    ("answers", "answers are right"),
)


def page(content: dict[str, Any], clips: dict[str, Any], log: Sequence[dict[str, Any]]) -> str:
    """The page as HTML.

    content: what `demo.json` holds (see `motionllm.demo.publish`). clips: "made", a list of Clip for each model,
    and "true", the Clip of each captioned one. log: the training log's rows with "step", "seconds" and "loss".
    """
    store: list[dict[str, Any]] = []
    template = Path(__file__).with_name("demo_page.html").read_text(encoding="utf-8")
    last = len(content["models"]) - 1
    training = content["training"]
    parts = {
        "facts": _facts(content),
        "scores": _scores(content),
        "shipped_motions": _text(_said(content, last, "motions")),
        "gallery": "".join(
            _motion(prompt, last, store, clips["made"][last][i]) for i, prompt in enumerate(content["prompts"])
        ),
        "shipped_captions": _text(_said(content, last, "captions")),
        "captions": "".join(_caption(clip, last, store, clips["true"][i]) for i, clip in enumerate(content["clips"])),
        "shipped_answers": _text(_said(content, last, "answers")),
        "questions": _questions(content),
        "names": ", then ".join(f"<b>{_text(m['name'])}</b> ({_text(m['about'])})" for m in content["models"]),
        "before_after": _before_after(content, clips["made"], store),
        "captions_table": _captions_table(content),
        "curve": _curve(log),
        "training": _text(
            f"{training['steps']} steps on {training['examples']} examples in {training['train_seconds'] / 60:.1f} "
            f"minutes, {_speed(log)}"
        ),
        "validation": _text(
            f", validation loss {training['best_validation_loss']:.2f} at the end"
            if training.get("best_validation_loss") is not None
            else ""
        ),
        "run": _text(training["run"]),
        "timing": "".join(
            f"<tr><th scope=row>{_text(what)}</th><td class=number>{seconds:.1f} s</td></tr>"
            for what, seconds in [*content["seconds"].items(), ("in all", content["total_seconds"])]
        ),
        "clips": json.dumps(store, separators=(",", ":")),
        **player(),
    }
    return fill(template, parts)


def _text(value: object) -> str:
    """Whatever a model said, as text: never as markup."""
    return html.escape(str(value))


def _said(content: dict[str, Any], model: int, what: str) -> str:
    k, n = content["models"][model]["scores"][what]
    return f"{k} of {n} {dict(_SCORES)[what]}"


def _facts(content: dict[str, Any]) -> str:
    facts = {
        "base model": content["base"].removeprefix("builtin:"),
        "machine": content["machine"],
        "made": content["made"],
        "time in all": f"{content['total_seconds'] / 60:.1f} minutes",
        "motionllm": content["version"],
    }
    return "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items())


def _scores(content: dict[str, Any]) -> str:
    models = content["models"]
    head = "".join(f"<th scope=col>{_text(m['name'])}<small>{_text(m['about'])}</small></th>" for m in models)
    rows = ""
    for what, label in _SCORES:
        cells = ""
        for model in models:
            k, n = model["scores"][what]
            share = 100 * k / n if n else 0
            cells += (
                f'<td><span class=of>{k} of {n}</span><span class=bar><i style="width:{share:.0f}%"></i></span></td>'
            )
        rows += f"<tr><th scope=row>{label}</th>{cells}</tr>"
    return f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody>"


def _player(clip: Clip, label: str, store: list[dict[str, Any]]) -> str:
    store.append(stored(*clip))
    return box(len(store) - 1, label)


def _mark(right: bool, label: str) -> str:
    return f"<span class={'right' if right else 'wrong'}>{'✓' if right else '✗'} {_text(label)}</span>"


def _checks(made: dict[str, Any]) -> str:
    return "<p class=checks>" + "".join(_mark(right, what) for what, right in made["checks"].items()) + "</p>"


def _motion(prompt: dict[str, Any], model: int, store: list[dict[str, Any]], clip: Clip) -> str:
    made = prompt["made"][model]
    kind = "free wording" if prompt["free"] else "held-out caption"
    file = _text(prompt["file"])
    return (
        f"<figure class=card>{_player(clip, prompt['text'], store)}<figcaption>"
        f"<p class=quote>{_text(prompt['text'])}</p>{_checks(made)}"
        f"<p class=note>{kind} · {made['seconds']:.1f} s · <a href='{file}' download>BVH</a></p>"
        "</figcaption></figure>"
    )


def _caption(clip: dict[str, Any], model: int, store: list[dict[str, Any]], joints: Clip) -> str:
    said = clip["said"][model]
    return (
        f"<figure class=card>{_player(joints, clip['truth'], store)}<figcaption><dl>"
        f"<dt>true</dt><dd>{_text(clip['truth'])}</dd>"
        f"<dt>{_mark(said['right'], 'said')}</dt><dd>{_text(said['text'])}</dd></dl></figcaption></figure>"
    )


def _cell(said: dict[str, Any], name: str) -> str:
    mark = "right" if said["right"] else "wrong"
    text = _text(said["text"]) or "<i>nothing</i>"
    if len(said["text"]) > _FOLD * 1.5:  # an untrained model rambles: its first words, and the rest on demand
        cut = said["text"].rfind(" ", 0, _FOLD) + 1 or _FOLD
        first, rest = _text(said["text"][:cut].rstrip()), _text(said["text"][cut:])
        text = f"<details><summary>{first}</summary>{rest}</details>"
    return (
        f"<td data-label='{_text(name)}' class=said><span class={mark} role=img aria-label={mark}>"
        f"{'✓' if said['right'] else '✗'}</span><div>{text}</div></td>"
    )


def _table(content: dict[str, Any], first: str, rows: str) -> str:
    head = "".join(f"<th scope=col>{_text(m['name'])}</th>" for m in content["models"])
    return f"<table class=answers><thead><tr>{first}{head}</tr></thead><tbody>{rows}</tbody></table>"


def _questions(content: dict[str, Any]) -> str:
    names = [m["name"] for m in content["models"]]
    rows = "".join(
        f"<tr><th scope=row>{_text(q['question'])}</th><td data-label=true>{_text(q['truth'])}</td>"
        + "".join(_cell(said, name) for said, name in zip(q["said"], names, strict=True))
        + "</tr>"
        for q in content["questions"]
    )
    return _table(content, "<th scope=col>question</th><th scope=col>true answer</th>", rows)


def _captions_table(content: dict[str, Any]) -> str:
    names = [m["name"] for m in content["models"]]
    rows = "".join(
        f"<tr><th scope=row>{_text(clip['truth'])}</th>"
        + "".join(_cell(said, name) for said, name in zip(clip["said"], names, strict=True))
        + "</tr>"
        for clip in content["clips"]
    )
    return _table(content, "<th scope=col>the clip’s own caption</th>", rows)


def _before_after(content: dict[str, Any], made: list[list[Clip]], store: list[dict[str, Any]]) -> str:
    """The first two held-out prompts and the first free one, every model's motion side by side."""
    prompts = content["prompts"]
    held_out = [i for i, prompt in enumerate(prompts) if not prompt["free"]]
    free = [i for i, prompt in enumerate(prompts) if prompt["free"]]
    rows = ""
    for i in [*held_out[:2], *free[:1]]:
        text, figures = prompts[i]["text"], ""
        for model, clips, result in zip(content["models"], made, prompts[i]["made"], strict=True):
            figures += f"<figure class=card>{_player(clips[i], model['name'] + ': ' + text, store)}<figcaption>"
            figures += f"<p class=who>{_text(model['name'])}</p>{_checks(result)}</figcaption></figure>"
        rows += f"<div class=row><p class=quote>{_text(text)}</p><div class=three>{figures}</div></div>"
    return rows


def _speed(log: Sequence[dict[str, Any]]) -> str:
    seconds = log[-1]["seconds"] if log else 0
    return f"{sum(row.get('tokens', 0) for row in log) / seconds:.0f} tokens a second" if seconds else "no step"


def _curve(log: Sequence[dict[str, Any]]) -> str:
    """Loss over minutes as SVG: every step faint, their running mean strong."""
    if not log:
        return "<p>No step was made.</p>"
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

    grid = ""
    for k in range(int(most_y / step_y + 1e-9) + 1):
        y = at(0, k * step_y)[1]
        grid += (
            f"<path d='M{left} {y:.1f}H{width - right}' class=grid /><text x={left - 8} y={y + 4:.1f} text-anchor=end>"
        )
        grid += f"{k * step_y:g}</text>"
    for k in range(int(most_x / step_x + 1e-9) + 1):
        grid += f"<text x={at(k * step_x, 0)[0]:.1f} y={height - bottom + 18} text-anchor=middle>{k * step_x:g}</text>"
    x, y = at(minutes[-1], mean[-1])
    label = f"Loss from {loss[0]:.2f} to {mean[-1]:.2f} in {most_x:.1f} minutes"
    return (
        f"<svg class=curve viewBox='0 0 {width} {height}' role=img aria-label='{label}'>{grid}"
        f"<text x={(width + left) / 2} y={height - 4} text-anchor=middle>minutes</text>"
        f"<polyline class=raw points='{line(loss)}' /><polyline class=mean points='{line(mean)}' />"
        f"<circle cx={x:.1f} cy={y:.1f} r=3.5 /><text class=end x={x - 8:.1f} y={y - 10:.1f} text-anchor=end>"
        f"{mean[-1]:.2f}</text></svg>"
    )


def _step(most: float) -> float:
    """A round distance between at most six ticks from 0 to `most`."""
    for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50):
        if most / step <= 6:
            return step
    return most
