"""An HTML page that plays motion: one self-contained file with figures to rotate, play and scrub; works offline.

The drawing itself is `player.js`, shared with the demo's page; joints stand in the page as whole millimetres.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import write_file

if TYPE_CHECKING:
    from motionllm.motion.clip import Motion

MOST = 4  # figures side by side


def write_page(motions: Sequence[Motion], path: str | os.PathLike[str], titles: Sequence[str] | None = None) -> None:
    """Write clips, side by side under one clock, as a page.

    titles: the heading of each; by default the clip's name. Raises MotionLLMError for none or more than 4 clips or a
    rig whose joints are not recognised, MotionFileError for another suffix than .html, or where the folder cannot be
    written.
    """
    check_page(path)
    if not 1 <= len(motions) <= MOST:
        raise MotionLLMError(f"{len(motions)} clips were given; a page shows 1 to {MOST} side by side.")
    names = list(titles) if titles is not None else [m.name or "motion" for m in motions]
    bodies = [motion.body() for motion in motions]
    text = render(
        Path(__file__).with_name("page.html"),
        title=" · ".join(names),
        figures=list(zip(names, bodies, strict=True)),
        clips=[stored(body.joints, body.fps) for body in bodies],
    )
    write_file(path, text)


def check_page(path: str | os.PathLike[str]) -> None:
    """Raises MotionFileError for a file whose name does not say that it is a page."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise MotionFileError(f"{path}: a page is written as .html; give a name that ends so.")


def stored(joints: np.ndarray, fps: float) -> dict[str, Any]:
    """Encode (T, 22, 3) metres as the player reads it."""
    return {"fps": fps, "joints": np.round(np.asarray(joints, np.float64).reshape(-1) * 1000).astype(int).tolist()}


def render(template: Path, clips: Sequence[dict[str, Any]], **values: Any) -> str:
    """The page of a Jinja template, which finds in it `clips` (see `stored`), the player's script and style, the macro
    `box` of player.html and the layout single.html. Values are text: whatever a model wrote is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([template.parent, folder]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(
        values,
        clips=json.dumps(clips, separators=(",", ":")),
        player_script=(folder / "player.js").read_text(encoding="utf-8"),
        player_style=(folder / "player.css").read_text(encoding="utf-8"),
    )
