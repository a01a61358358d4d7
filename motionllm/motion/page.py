"""A page to look at motion: one self-contained HTML file with figures that turn, play and scrub; works offline.

The drawing itself is `player.js`, shared with the demo's page; joints stand in the page as whole millimetres.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.files import write_file

if TYPE_CHECKING:
    from motionllm.motion.clip import Motion

MOST = 4  # figures side by side


def write_page(motions: Sequence[Motion], path: str | os.PathLike[str], titles: Sequence[str] | None = None) -> None:
    """Write clips, side by side under one clock, as a page.

    titles: what stands above each; by default the clip's name. Raises MotionLLMError for none or more than 4 clips or
    a rig whose joints are not recognised, MotionFileError where the folder cannot be written.
    """
    if not 1 <= len(motions) <= MOST:
        raise MotionLLMError(f"{len(motions)} clips were given; a page shows 1 to {MOST} side by side.")
    names = list(titles) if titles is not None else [m.name or "motion" for m in motions]
    bodies = [motion.body() for motion in motions]
    figures = "".join(
        f"<figure><figcaption>{html.escape(name)}<small>{body.duration:.1f} s, {len(body)} frames</small></figcaption>"
        f"{box(number, name)}</figure>"
        for number, (name, body) in enumerate(zip(names, bodies, strict=True))
    )
    text = fill(
        Path(__file__).with_name("page.html").read_text(encoding="utf-8"),
        {
            "title": html.escape(" · ".join(names)),
            "figures": figures,
            "clips": json.dumps([stored(body.joints, body.fps) for body in bodies], separators=(",", ":")),
            **player(),
        },
    )
    write_file(path, text)


def stored(joints: np.ndarray, fps: float) -> dict[str, Any]:
    """(T, 22, 3) metres as the player reads it."""
    return {"fps": fps, "joints": np.round(np.asarray(joints, np.float64).reshape(-1) * 1000).astype(int).tolist()}


def player() -> dict[str, str]:
    """The player's script and style, for a page's places of these names."""
    folder = Path(__file__).parent
    return {
        "player_script": (folder / "player.js").read_text(encoding="utf-8"),
        "player_style": (folder / "player.css").read_text(encoding="utf-8"),
    }


def fill(template: str, parts: dict[str, str]) -> str:
    """The template with each part in the place `<!--name-->`, of which there is exactly one."""
    for name, value in parts.items():
        mark = f"<!--{name}-->"
        if template.count(mark) != 1:
            raise AssertionError(f"the page's template has {template.count(mark)} places for {name}")
        template = template.replace(mark, value)
    return template


def box(number: int, label: str) -> str:
    """The place in a page where the clip of this number plays; label: what it shows, for who cannot see it."""
    return (
        f'<div class=player data-clip={number}><canvas tabindex=0 role=img aria-label="{html.escape(label)}: moving '
        f'figure; arrow keys turn it, space pauses"></canvas><button type=button aria-label="pause">'
        f"<svg viewBox='0 0 16 16' aria-hidden=true><path class=pause d='M4 3h3v10H4zM9 3h3v10H9z'/>"
        f"<path class=play d='M5 3l8 5-8 5z'/></svg></button><span class=time></span></div>"
    )
