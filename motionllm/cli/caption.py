"""`motionllm caption CLIP…`: say what a person in a motion does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import Engine, check_used, emit, read_clip
from motionllm.motion.formats import READERS


def caption(
    ctx: typer.Context,
    clip: Annotated[Path, typer.Argument(help=f"A motion file ({' '.join(READERS)}), or a folder of them.")],
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    engine: Engine = None,
    out: Annotated[
        Path | None,
        typer.Option(help="JSONL of {id, caption}, resumed if it is there. Narrated: .vtt .srt .txt."),
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="For a folder: a list of the ids to caption, as val.txt.")] = None,
    n: Annotated[int, typer.Option("-n", help="Captions of each clip: the likeliest first, the others drawn.")] = 1,
    every: Annotated[
        float | None, typer.Option(help="Seconds: what is done when, told at each of so many; for clips of any length.")
    ] = None,
    narrate: Annotated[
        bool, typer.Option("--narrate", help="Say what happens and when, from the notation; no model is loaded.")
    ] = False,
    batch: Annotated[int, typer.Option(help="Clips decoded side by side.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Caption a clip, or every clip of a folder. Exit status 2 where clips of a folder could not be used."""
    import os

    from motionllm.app.captioning import caption_files, motion_files
    from motionllm.errors import MotionLLMError, about
    from motionllm.lm.model import MotionLM
    from motionllm.lm.results import made_by

    def load() -> MotionLM:
        return MotionLM.connect(engine, model) if engine else MotionLM.load(model)

    if n < 1 or batch < 1:
        raise MotionLLMError(f"-n {n} and --batch {batch} must be at least 1.")
    unused = {"--ids": ids is not None and (narrate or not os.path.isdir(clip)), "-n": n > 1 and (narrate or every)}
    unused["--every"] = narrate and every is not None
    if wrong := [name for name, given in unused.items() if given]:
        where = "with --narrate" if narrate else "with --every" if wrong == ["-n"] else f"for {clip}, which is a file"
        raise MotionLLMError(f"{' and '.join(wrong)} would do nothing {where}; leave it out.")
    if narrate:
        check_used(ctx, "model engine batch", "with --narrate: no model is loaded")
        _narrate(clip, out, as_json)
        return
    if os.path.isdir(clip) or out is not None:
        if not os.path.isdir(clip):
            read_clip(clip)  # what it says of the file, and that there is one
        files = motion_files(clip, ids) if os.path.isdir(clip) else {clip.stem: clip}
        target = out or Path("captions.jsonl")
        report = caption_files(load, made_by(model), files, target, batch, n, every)
        emit(report, as_json)
        if report["failed"]:
            raise typer.Exit(2)
        return
    if every is None:
        check_used(ctx, "batch", f"for {clip}, which is one clip")
    motion = read_clip(clip)
    lm = load()
    with about(clip):
        if every is not None:
            entries = lm.timeline(motion, every, max(every, 4.0), batch)
            lines = [f"{a:5.1f} – {b:5.1f} s  {text}" for a, b, text in entries]
            emit({"clip": clip, "timeline": entries, "seconds": motion.duration}, as_json, "\n".join(lines))
            return
        captions = lm.captions(motion, n, seed=0)
    several = {"captions": captions} if n > 1 else {}
    result = {"clip": clip, "caption": captions[0], **several, "seconds": motion.duration}
    emit(result, as_json, text="\n".join(captions))


def _narrate(clip: Path, out: Path | None, as_json: bool) -> None:
    from motionllm.errors import MotionLLMError, about
    from motionllm.files import write_file
    from motionllm.motion.exercise import repeated
    from motionllm.motion.narration import WRITERS, lines, narrate
    from motionllm.motion.notation import measure

    if clip.is_dir():
        raise MotionLLMError(f"--narrate tells one clip at a time, and {clip} is a folder; give a file of it.")
    if out is not None and out.suffix.lower() not in WRITERS:
        raise MotionLLMError(f"A narration is written as {', '.join(WRITERS)}, not as '{out.suffix}' ({out}).")
    with about(clip):
        motion = read_clip(clip)
        body = motion.body()  # counted as `data exercise` counts
        cues = narrate(measure(motion.canonical().joints, sets=False), repeated(body.joints, body.fps))
    if out is not None:
        write_file(out, WRITERS[out.suffix.lower()](cues))
    result = {"clip": clip, "cues": [{"start": c.start, "end": c.end, "text": c.text} for c in cues], "out": out}
    emit(result, as_json, lines(cues).rstrip() if out is None else str(out))
