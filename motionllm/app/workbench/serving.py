"""Serves the rooms of the workbench without a conversation, and so without a model."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from motionllm.app.guard import LOOPBACK, Guard, not_bound, reached
from motionllm.app.workbench.frame import Bench, routes


class Rooms:
    """A running server of the rooms."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        self.listening = listening
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
            self.server.run(sockets=[self.listening])

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.listening.close()


def application(bench: Bench, host: str = LOOPBACK, names: Sequence[str] = ()) -> Starlette:
    """The rooms as an ASGI application, guarded as the conversation is."""
    return Starlette(routes=routes(bench), middleware=[Middleware(Guard, host=host, names=names)])


def serve_rooms(
    host: str = LOOPBACK,
    port: int = 7860,
    wait: bool = True,
    names: Sequence[str] = (),
    data: Path | None = None,
    runs: Path = Path("runs"),
    recipes: Sequence[str] = (),
) -> Rooms:
    """Serve the rooms until interrupted; wait=False returns the running server, for `close()`.

    names, data, runs, recipes: as for `motionllm.app.web.serve`. Raises MotionLLMError where the address cannot be
    bound, or `data` holds no set.
    """
    bench = Bench(data=data, runs=runs, recipes=recipes, network=reached(host, names))
    app = application(bench, host, names)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise not_bound(host, port, error) from None
    rooms = Rooms(app, listening)
    if wait:
        rooms.run()
    else:
        rooms.thread.start()
    return rooms
