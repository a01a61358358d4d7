"""`motionllm edit CLIP REQUEST…`: change a motion by what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit, read_clip
from motionllm.motion.formats import READERS, WRITERS


def edit(
    clip: Annotated[Path, typer.Argument(help=f"A motion file: {' '.join(READERS)}.")],
    requests: Annotated[
        list[str], typer.Argument(help='Changes, one after the other: "the other hand", "then sit down".')
    ],
    out: Annotated[Path, typer.Option(help=f"File to write: {' '.join(WRITERS)}.")] = Path("edited.bvh"),
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same motion; default: one is drawn, and printed.")
    ] = None,
    best_of: Annotated[
        int | None, typer.Option(help="Motions made of what is added, of which one is kept; default: 8.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Change a motion by what is said of it; what is not to change stays. On 22 joints, at 20 frames per second."""
    import secrets

    from motionllm.errors import MotionFileError, about
    from motionllm.files import check_place
    from motionllm.lm.model import MotionLM

    if out.suffix.lower() not in WRITERS:
        raise MotionFileError(f"{out}: a motion is written as {', '.join(WRITERS)}; choose one of these suffixes.")
    check_place(out)
    motion = read_clip(clip)
    lm = MotionLM.load(model)
    notes, seed = [], secrets.randbelow(2**31) if seed is None else seed
    with about(clip):
        for request in requests:
            motion = lm.edit(motion, request, seed, best_of=best_of)
            notes += [f"{request}: {note}" for note in motion.notes]
    motion.save(out)
    told = str(lm.notation(motion))
    result: dict[str, object] = {"file": str(out), "seconds": round(motion.duration, 2), "seed": seed, "notation": told}
    if notes:
        result["notes"] = notes
    emit(result, as_json, text="\n".join([told, *notes, f"seed: {seed}", str(out)]))
