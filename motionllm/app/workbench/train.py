"""The room `train`: choose a recipe, see what it takes, start it; watch, stop and resume runs."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from motionllm.app.workbench.frame import Bench, answers, page, shown, works
from motionllm.app.workbench.orders import Order, Orders, Settings, checked
from motionllm.app.workbench.runs import Runs

ROOM = "/train"


def routes(bench: Bench) -> list[BaseRoute]:
    """The pages and answers of the room."""
    orders = Orders(bench.runs, bench.recipes, [bench.data] if bench.data else [], bench.models)
    runs = Runs(bench.runs, orders)

    def listed(_: Request) -> Response:
        return page(bench, "train.html", ROOM, "Training", runs=runs.states(), folder=bench.runs)

    def new(_: Request) -> Response:
        return page(
            bench,
            "train_new.html",
            ROOM,
            "New run",
            recipes=orders.recipes(),
            adapters=list(orders.adapters()),
            data=list(orders.data),
            taken=runs.names(),
        )

    def run(request: Request) -> Response:
        name = request.path_params["name"]
        return page(bench, "train_run.html", ROOM, name, run=runs.watched(name), folder=runs[name])

    def name(request: Request) -> str:
        return str(request.path_params["name"])

    def resume(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return runs.resume(name(request), checked(Settings, body))

    def sample(request: Request) -> dict[str, Any]:
        return runs.sample(name(request), request.path_params["file"])

    one = f"{ROOM}/run/{{name}}"
    return [
        Route(ROOM, shown(bench, ROOM, listed)),
        Route(f"{ROOM}/new", shown(bench, ROOM, new)),
        Route(f"{ROOM}/runs", answers(lambda _: runs.states())),
        Route(f"{ROOM}/plan", answers(lambda _: orders.planned())),
        Route(f"{ROOM}/plan", works(bench, lambda _, body: orders.plan(checked(Order, body))), methods=["POST"]),
        Route(f"{ROOM}/start", works(bench, lambda _, body: runs.start(checked(Order, body))), methods=["POST"]),
        Route(one, shown(bench, ROOM, run)),
        Route(f"{one}/state", answers(lambda request: runs.watched(name(request)))),
        Route(f"{one}/stop", works(bench, lambda request, _: runs.stop(name(request))), methods=["POST"]),
        Route(f"{one}/resume", works(bench, resume), methods=["POST"]),
        Route(f"{one}/sample/{{file}}", answers(sample)),
    ]
