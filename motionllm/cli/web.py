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
    megabytes: Annotated[float, typer.Option(help="Largest clip that may be uploaded.")] = 20.0,
) -> None:
    """Serves a page: say what a person does and watch it being written, ask, change, bring clips and take them."""
    import sys

    from motionllm.model import MotionLM
    from motionllm.serve.web import gradio, serve

    gradio()  # said before a model is loaded
    lm = MotionLM.load(model, tokenizer=tokenizer)
    print(f"http://{host}:{port}  (stop with Ctrl-C)", file=sys.stderr, flush=True)
    serve(lm, host, port, megabytes)
