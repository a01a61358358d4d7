"""A page of a walk's figures, with the joints' course over the stride: one HTML file without scripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.files import write_file
from motionllm.motion.gait import FIGURES, LIMITS, NOT_A_DEVICE, SIDES, SUMMARY, Gait, table
from motionllm.motion.gait_norms import BAND_NOTE, band, norms
from motionllm.motion.show.page import check_page, render

JOINTS = ("hip", "knee", "ankle")
LEFT, RIGHT, TOP, BOTTOM = 35, 290, 10, 160  # of a plot's frame, in the template's units


def write_gait_page(
    gait: Gait, path: str | os.PathLike[str], title: str, age: float | None = None, sex: str | None = None
) -> None:
    """Write the report. Raises MotionFileError for another suffix than .html or a folder that cannot be written."""
    check_page(path)
    rows = [
        dict(zip(("name", "both", "left", "right", "unit", "usual"), cells, strict=True))
        | {"definition": FIGURES[name][1], "out": out}
        for name, cells, out in zip(FIGURES, table(gait, age, sex), outliers(gait, age, sex), strict=True)
    ]
    text = render(
        Path(__file__).with_name("gait_page.html"),
        (),  # no clip is played
        title=title,
        note=NOT_A_DEVICE,
        strides=len(gait.strides),
        left_out=gait.left_out,
        asymmetry=_percent(gait.asymmetry),
        variability=_percent(gait.variability),
        rows=rows,
        usual=usual_of(age, sex),
        plots=[_plot(gait, joint) for joint in JOINTS],
        limits=[*gait.unmeasured, *LIMITS],
        summary=SUMMARY,
        band_note=BAND_NOTE,
    )
    write_file(path, text)


def outliers(gait: Gait, age: float | None = None, sex: str | None = None) -> list[list[str]]:
    """For each figure, which of "both", "left" and "right" are outside the usual range."""
    usual = norms(age, sex)
    listed = []
    for name in FIGURES:
        low, high = usual.get(name, (-np.inf, np.inf))
        values = {"both": gait.mean(name)} | {side: gait.mean(name, side) for side in SIDES}
        listed.append([column for column, value in values.items() if value < low or value > high])
    return listed


def usual_of(age: float | None = None, sex: str | None = None) -> str:
    """What an asterisk says: whose usual range a figure is outside of."""
    whose = "adults of any age"
    if age is not None and sex:
        whose = f"speed: {'women' if sex == 'female' else 'men'} of {age:g} years; other figures: {whose}"
    return f"* outside the usual range of healthy people at their own pace ({whose})."


def _percent(value: float) -> str:
    return "a share that so few strides do not tell" if np.isnan(value) else f"{value:.1f} %"


def _plot(gait: Gait, joint: str) -> dict[str, Any]:
    """What the template draws of a joint: ticks, and for each side a line and a band as SVG paths."""
    curves = {side: curve for side in SIDES if (curve := gait.curve(joint, side)) is not None}
    usual = band(joint, float(np.mean([mean for mean, _ in curves.values()])) if curves else None)
    drawn = [*curves.values(), usual]
    lows = [float((mean - spread).min()) for mean, spread in drawn]
    highs = [float((mean + spread).max()) for mean, spread in drawn]
    low, high = 10 * np.floor(min(lows) / 10), 10 * np.ceil(max(highs) / 10)

    def y(value: Any) -> Any:
        return np.round(BOTTOM - (value - low) / max(high - low, 1.0) * (BOTTOM - TOP), 1)

    x = np.round(np.linspace(LEFT, RIGHT, 101), 1)

    def path(values: np.ndarray, xs: np.ndarray = x) -> str:
        return "L".join(f"{a:g} {b:g}" for a, b in zip(xs, y(values), strict=True))

    def area(mean: np.ndarray, spread: np.ndarray) -> str:
        return f"M{path(mean + spread)}L{path((mean - spread)[::-1], x[::-1])}Z"

    sides = [(side, f"M{path(mean)}", area(mean, spread)) for side, (mean, spread) in curves.items()]
    step = 10 if high - low <= 50 else 20
    spans = "; ".join(
        f"{side} {mean.min():.0f} to {mean.max():.0f}, usual (within 2 standard deviations) for "
        f"{gait.within(joint, side):.0f} % of the stride"
        for side, (mean, _) in curves.items()
    )
    return {
        "name": joint,
        "told": spans,
        "usual": area(*usual),
        "ticks": [{"value": int(v), "y": float(y(v))} for v in np.arange(low, high + 1, step)],
        "sides": sides,
    }
