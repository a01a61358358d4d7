"""What all rooms share: their list, what they work on, pages from templates, and JSON in and out within limits.

Pages are rendered on the server (Jinja, everything escaped) and work under a content security policy that allows
scripts of this server alone; `web.Guard` refuses requests of other sites before any room sees them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from motionllm.data.motion_set import MotionSet
from motionllm.data.survey import Survey
from motionllm.errors import MotionLLMError
from motionllm.files import parse_json
from motionllm.motion.show import page as show

if TYPE_CHECKING:
    from motionllm.lm.model import MotionLM

HERE = Path(__file__).parent
LARGEST = 256 << 10  # bytes of a request's body
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"

# Path, title, module of this package; in the order of the navigation.
ROOMS = (
    ("/data", "Data", "data"),
    ("/label", "Label", "label"),
    ("/train", "Train", "train"),
    ("/compare", "Compare", "compare"),
)
CONVERSATION = ("/", "Conversation")


@dataclass
class Bench:
    """What the rooms work on.

    data: folder of the data set, where one was given. runs: folder of training runs. recipes, models: recipes and
    adapters besides the shipped ones. network: whether others than this machine reach the page; they start no process.
    lm: the model of the conversation, which is used by one request at a time (`model`); None where only the rooms are
    served. survey: of the data set. Raises MotionLLMError where `data` holds no set.
    """

    data: Path | None = None
    runs: Path = Path("runs")
    recipes: Sequence[str] = ()
    models: Sequence[str] = ()
    network: bool = False
    lm: MotionLM | None = None
    model: Lock = field(default_factory=Lock)
    survey: Survey | None = None

    def __post_init__(self) -> None:
        if self.data is not None:
            self.survey = Survey(MotionSet(self.data))


class Refusal(MotionLLMError):
    """A request that is refused with a status of its own; `more` goes into the JSON of the answer."""

    def __init__(self, message: str, status: int, **more: Any) -> None:
        super().__init__(message)
        self.status, self.more = status, more


def routes(bench: Bench) -> list[BaseRoute]:
    """The routes of all rooms, of scripts and styles, and, where there is no conversation, of the first page."""
    listed: list[BaseRoute] = []
    for _, _, name in ROOMS:
        listed += import_module(f"{__package__}.{name}").routes(bench)
    for name in ("player.js", "player.css"):
        listed.append(Route(f"/workbench/{name}", _file(Path(show.__file__).with_name(name))))
    listed.append(Mount("/workbench", StaticFiles(directory=HERE / "static")))
    if bench.lm is None:
        first = "/data" if bench.data else "/train"  # which needs no data set
        listed.append(Route("/", lambda _: RedirectResponse(first)))
    return listed


def _file(path: Path) -> Callable[[Request], Response]:
    return lambda _: FileResponse(path)


def navigation(bench: Bench) -> str:
    """The links to all rooms for the conversation's page, as HTML with its style."""
    style = (HERE / "static" / "conversation.css").read_text(encoding="utf-8")
    links = _templates().get_template("navigation.html").render(rooms=_rooms(bench), room=CONVERSATION[0])
    return f"<style>{style}</style>{links}"


def _rooms(bench: Bench) -> list[tuple[str, str]]:
    return [*([CONVERSATION] if bench.lm is not None else []), *((path, title) for path, title, _ in ROOMS)]


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([HERE / "templates", Path(show.__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(bench: Bench, template: str, room: str, title: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of a room from a template that extends `layout.html`. room: its path in the navigation."""
    values |= {"rooms": _rooms(bench), "room": room, "title": title}
    content = _templates().get_template(template).render(values)
    headers = {"content-security-policy": POLICY, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return HTMLResponse(content, status, headers)


def shown(bench: Bench, room: str, call: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """An endpoint that shows a page; an error of the user's becomes a page that says it."""

    @wraps(call)
    def endpoint(request: Request) -> Response:
        try:
            return call(request)
        except MotionLLMError as error:
            status = error.status if isinstance(error, Refusal) else 400
            return page(bench, "error.html", room, "Not shown", status, message=str(error))

    return endpoint


def answers(call: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """An endpoint that answers a GET with JSON; an error of the user's is {"error": its sentence}."""

    @wraps(call)
    def endpoint(request: Request) -> Response:
        return _answer(call, request)

    return endpoint


def takes(call: Callable[[Request, dict[str, Any]], Any]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers a POST of a JSON object with JSON, as `answers` does."""

    @wraps(call)
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
        except MotionLLMError as error:
            return _refused(error)
        except ClientDisconnect:
            return Response(status_code=400)
        return await run_in_threadpool(_answer, call, request, body)

    return endpoint


def works(bench: Bench, call: Callable[[Request, dict[str, Any]], Any]) -> Callable[[Request], Awaitable[Response]]:
    """As `takes`, for what starts or ends a process: refused where others than this machine reach the page."""

    @wraps(call)
    def here(request: Request, body: dict[str, Any]) -> Any:
        if bench.network:
            raise Refusal("This page is open to the network, so it starts and stops nothing; use a terminal.", 403)
        return call(request, body)

    return takes(here)


def _answer(call: Callable[..., Any], *given: Any) -> Response:
    try:
        return JSONResponse(call(*given), headers={"cache-control": "no-store"})
    except MotionLLMError as error:
        return _refused(error)


def _refused(error: MotionLLMError) -> JSONResponse:
    status, more = (error.status, error.more) if isinstance(error, Refusal) else (400, {})
    return JSONResponse({"error": str(error), **more}, status)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises Refusal where it is too large or something else."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        # Forms of other sites cannot send this type without being asked first.
        raise Refusal("The request is not JSON.", 415)
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > LARGEST:
            raise Refusal(f"The request is larger than {LARGEST >> 10} kB.", 413)
    value = parse_json(content.decode("utf-8", "replace"), "the request")
    if not isinstance(value, dict):
        raise Refusal("The request is no JSON object.", 400)
    return value


def text_of(body: dict[str, Any], key: str, longest: int, default: str | None = None) -> str:
    """A text of a request's body. Raises Refusal where it is missing, no text, or longer."""
    value = body.get(key, default)
    if not isinstance(value, str) or len(value) > longest:
        raise Refusal(f"The request's {key!r} must be a text of up to {longest} characters.", 400)
    return value
