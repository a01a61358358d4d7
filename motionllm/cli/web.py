"""`motionllm web`: a page to talk to a model in, and the rooms of the workbench beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import check_used


def web(
    ctx: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="A data set to look at and label: HumanML3D's layout, as `data import` writes.")
    ] = None,
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
    runs: Annotated[Path, typer.Option(help="Folder of training runs: watched, and written to.")] = Path("runs"),
    recipe: Annotated[
        list[str] | None, typer.Option(help="A recipe of your own to train by, besides the shipped ones; repeatable.")
    ] = None,
    megabytes: Annotated[float, typer.Option(min=0.001, max=100_000, help="Largest clip that may be uploaded.")] = 20.0,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="The workbench alone, without a conversation: starts at once.")
    ] = False,
) -> None:
    """Serve a web page: talk to a model, watch its motions; browse and label a data set; train and compare models."""
    import signal
    import sys

    from motionllm import shipped
    from motionllm.config import load_recipe
    from motionllm.data.motion_set import MotionSet
    from motionllm.errors import MotionLLMError

    if no_model:
        check_used(ctx, "model tokenizer megabytes", "with --no-model: there is no conversation")
    # What is missing is said before a model is loaded. SIGTERM ends as Ctrl-C does: visitors' files are removed.
    if data is not None:
        MotionSet(data)
    for name in recipe or ():
        load_recipe(shipped.find("recipes", name))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = f"http://{host}:{port}  (stop with Ctrl-C)"
    if no_model:
        try:
            from motionllm.app.workbench.serving import serve_rooms
        except ImportError:
            raise MotionLLMError("The workbench needs Starlette: run `pip install 'motionllm[web]'`.") from None
        print(address, file=sys.stderr, flush=True)
        serve_rooms(host, port, names=allow_host or (), data=data, runs=runs, recipes=recipe or ())
        return
    from motionllm.app.web import gradio, serve
    from motionllm.lm.model import MotionLM

    gradio()
    lm = MotionLM.load(model, tokenizer=tokenizer)
    print(address, file=sys.stderr, flush=True)
    serve(
        lm,
        host,
        port,
        megabytes,
        names=allow_host or (),
        data=data,
        runs=runs,
        recipes=recipe or (),
        models=[] if model in shipped.names("adapter") else [model],
    )
