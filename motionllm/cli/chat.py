"""`motionllm chat`: a conversation in the terminal, or over a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionllm.cli import emit, read_clip

if TYPE_CHECKING:
    from motionllm.motion import Motion


def chat(
    clip: Annotated[Path | None, typer.Argument(help="A motion file to talk about.")] = None,
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    tokenizer: Annotated[
        str | None, typer.Option(help="Another motion tokenizer of the same codes: `causal` shows frames at once.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where /save writes, and /load looks.")] = Path("."),
    seconds: Annotated[
        str | None, typer.Option(help="How long motions are: 4, or 2-4; default: the model decides.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same motion.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="0 is greedy; default: the adapter's own, else 0.8.")
    ] = None,
    best_of: Annotated[
        int | None,
        typer.Option(
            help="Motions made, of which the model keeps the one that fits best; default: the adapter's own, else 8."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each reply as a line of JSON.")] = False,
) -> None:
    """Say what a person does, watch it, ask about it, change it. Over a pipe, exit status 2 where a line failed."""
    import io
    import sys

    from motionllm.app.chat import Chat, Reply
    from motionllm.errors import about
    from motionllm.lm.model import MotionLM
    from motionllm.lm.planning import parse_seconds

    wanted = None if seconds is None else parse_seconds(seconds)
    motion = None if clip is None else read_clip(clip)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a line that is not UTF-8 fails, but the chat continues
    live = sys.stdin.isatty()
    lm = MotionLM.load(model, tokenizer=tokenizer)
    talk = Chat(lm, folder, wanted, seed, sampling=lm.sampling.but(temperature=temperature, best_of=best_of))

    def show(reply: Reply) -> None:
        if as_json:
            motion = {} if reply.motion is None else {"seconds": reply.motion.duration}
            emit({"text": reply.text, **motion, "failed": reply.failed}, True)
        elif reply.play and reply.motion is not None:
            _play(reply.motion)
        elif reply.text:
            print(reply.text, flush=True)

    if motion is not None and clip is not None:
        with about(clip):
            show(talk.hold(motion, clip.name))
    if live:
        import readline  # noqa: F401 - arrow keys and history in input()

        print("Say what a person does, or /help.")
    failed = False
    while True:
        try:
            line = input("› ") if live else next(sys.stdin, None)
        except EOFError:
            line = None
        except KeyboardInterrupt:
            print()
            continue
        if line is None:
            break
        if not line.strip():
            continue
        try:
            reply = talk.say(line)
            show(reply)
        except KeyboardInterrupt:
            print("\nstopped")
            continue
        failed |= reply.failed
        if reply.over:
            break
    if failed and not live:
        raise typer.Exit(2)


def _play(motion: Motion) -> None:
    """An animated figure in the terminal; over a pipe one drawing, of the middle frame."""
    import shutil
    import sys
    import time

    from motionllm.motion.show.terminal import drawings

    size = shutil.get_terminal_size((80, 24))
    frames = drawings(motion, 10.0, min(size.columns - 1, 72), max(8, min(size.lines - 2, 24)))
    if not sys.stdout.isatty():
        print(frames[len(frames) // 2], flush=True)
        return
    try:
        for number, frame in enumerate(frames):
            print(f"\x1b[{frame.count(chr(10)) + 1}A" * (number > 0) + frame, flush=True)
            time.sleep(0.1)
    except KeyboardInterrupt:
        print()
