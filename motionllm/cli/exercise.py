"""`motionllm data exercise CLIP`: repetitions counted, rises from a seat and the up-and-go test timed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit, read_clip


def exercise(
    clip: Annotated[Path, typer.Argument(help="A motion file.")],
    kind: Annotated[
        str | None, typer.Option(help="Count this one alone: squat, 'knee raise', 'sit to stand', 'timed up and go' …")
    ] = None,
    age: Annotated[float | None, typer.Option(help="Years; for the usual times of rising and of up-and-go.")] = None,
    rig: Annotated[
        Path | None, typer.Option(help="YAML that names the joints of a rig that is not recognised.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count repetitions, with tempo and range; time rises from a seat and up-and-go. For research, not medical use."""
    from motionllm.errors import about
    from motionllm.motion.exercise_report import report, table

    with about(clip):
        motion = read_clip(clip, rig)
        body = motion.body()
        result = report(body.joints, body.fps, kind, age)
    emit({"clip": clip, **result}, as_json, "\n".join(table(result)))
