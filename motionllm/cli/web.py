"""`motionllm web`: a page to talk to a model in."""

from __future__ import annotations

from typing import Annotated

import typer


def web(
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    tokenizer: Annotated[
        str | None, typer.Option(help="Another motion tokenizer of the same codes: `causal` shows frames at once.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind to; 0.0.0.0 opens the page to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 7860,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name that the page is reached by besides this machine's own, as behind a proxy; repeatable."
        ),
    ] = None,
    megabytes: Annotated[float, typer.Option(help="Largest clip that may be uploaded.")] = 20.0,
) -> None:
    """Serve a web page: describe a motion and watch it being generated, ask, change, upload and download clips."""
    import signal
    import sys

    from motionllm.app.web import gradio, serve
    from motionllm.lm.model import MotionLM

    gradio()  # checked before a model is loaded
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as on Ctrl-C: visitors' files are removed
    lm = MotionLM.load(model, tokenizer=tokenizer)
    print(f"http://{host}:{port}  (stop with Ctrl-C)", file=sys.stderr, flush=True)
    serve(lm, host, port, megabytes, names=allow_host or ())
