"""The room `compare`: two adapters, or one drawn in two ways, judged blind on the same prompts and seeds."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from motionllm.app.workbench.comparisons import Comparisons, Contest, Vote
from motionllm.app.workbench.frame import Bench, answers, page, shown, takes, text_of, works
from motionllm.app.workbench.orders import Orders, checked

ROOM = "/compare"
PROMPTS = (
    "a person waves with the left hand",
    "a person walks forward and turns around",
    "a person jumps twice",
    "a person kicks with the right foot",
    "a person sits down",
    "a person walks in a circle to the left",
)


def routes(bench: Bench) -> list[BaseRoute]:
    """The pages and answers of the room."""
    orders = Orders(bench.runs, models=bench.models)
    comparisons = Comparisons(bench.runs / "comparisons", orders)

    def name(request: Request) -> str:
        return str(request.path_params["name"])

    def listed(_: Request) -> Response:
        states = comparisons.states()
        return page(
            bench,
            "compare.html",
            ROOM,
            "Compare",
            comparisons=states,
            adapters=list(orders.adapters()),
            prompts=PROMPTS,
        )

    def vote_on(request: Request) -> Response:
        state = comparisons.state(comparisons[name(request)])
        return page(bench, "compare_vote.html", ROOM, name(request), comparison=state)

    def ballot(request: Request) -> dict[str, Any]:
        comparison = comparisons[name(request)]
        return comparison.ballot(request.query_params.get("voter", "")) | {"state": comparisons.state(comparison)}

    def motion(request: Request) -> dict[str, Any]:
        at = request.path_params
        return comparisons[name(request)].motion(at["voter"], at["pair"], at["place"])

    def vote(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return comparisons.vote(name(request), checked(Vote, body))

    def result(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return comparisons[name(request)].result(text_of(body, "voter", 40), body.get("end") is True)

    one = f"{ROOM}/of/{{name}}"
    return [
        Route(ROOM, shown(bench, ROOM, listed)),
        Route(
            f"{ROOM}/start", works(bench, lambda _, body: comparisons.create(checked(Contest, body))), methods=["POST"]
        ),
        Route(one, shown(bench, ROOM, vote_on)),
        Route(f"{one}/go-on", works(bench, lambda request, _: comparisons.go_on(name(request))), methods=["POST"]),
        Route(f"{one}/ballot", answers(ballot)),
        Route(f"{one}/motion/{{voter}}/{{pair}}/{{place}}", answers(motion)),
        Route(f"{one}/vote", takes(vote), methods=["POST"]),
        Route(f"{one}/result", takes(result), methods=["POST"]),
    ]
