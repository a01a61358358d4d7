"""`motionllm generate TEXT`: motion from text, to a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit


def generate(
    text: Annotated[str, typer.Argument(help="What the person does.")],
    seconds: Annotated[float | None, typer.Option(help="Exact duration; default: the model decides.")] = None,
    out: Annotated[Path, typer.Option(help="File to write: .bvh .glb .html .npy .npz .png .gif .mp4.")] = Path(
        "motion.bvh"
    ),
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same motion.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.8,
    best_of: Annotated[
        int, typer.Option(help="Motions made, of which the one that the model describes best by the text is kept.")
    ] = 8,
    judge: Annotated[
        str | None, typer.Option(help="Keep the best by these judges instead, with weights: facts,physics=0.2 …")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder of the judge `similarity`: a folder or a shipped name.")
    ] = None,
    lock_feet: Annotated[bool, typer.Option("--lock-feet", help="Standing feet do not slide.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Generates a motion that does what the text says."""
    from motionllm.errors import MotionFileError
    from motionllm.model import MotionLM
    from motionllm.motion.clip import WRITTEN

    if out.suffix.lower() not in WRITTEN:  # said before a model is loaded
        raise MotionFileError(f"{out}: a motion is written as {', '.join(WRITTEN)}; choose one of these suffixes.")
    lm, ranking, begun = MotionLM.load(model), None, time.monotonic()
    if judge:
        from motionllm.eval.embedder import Embedder
        from motionllm.feedback.judges import Panel, parse_weights
        from motionllm.feedback.ranking import Ranking

        ranking = Ranking(lm, Panel(parse_weights(judge), Embedder.load(embedder) if embedder else None))
    motion = lm.generate(text, seconds=seconds, seed=seed, temperature=temperature, best_of=best_of, judge=ranking)
    assert not isinstance(motion, list)
    result = {"out": out, "seconds": motion.duration, "frames": len(motion), "text": text, "seed": seed}
    if ranking:
        result["judged"] = {"generation_seconds": round(time.monotonic() - begun, 2), **ranking.told(best_of)}
    motion = motion.lock_feet() if lock_feet else motion
    motion.save(out)
    emit(result, as_json)
