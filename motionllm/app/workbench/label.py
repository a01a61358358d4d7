"""The room `label`: captions for the clips of a set, drafted from the notation, accepted and edited by keyboard.

Several people may label one set: each browser has a name in a cookie, for its drafts; a clip that another person has
open is passed over, and a text that is another by now is never overwritten (`data.labelling`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from motionllm.app.workbench.data import survey_of
from motionllm.app.workbench.frame import Bench, Refusal, answers, page, shown, takes, text_of
from motionllm.data.labelling import LONGEST, Stale, Texts, hints, phrases, words_used
from motionllm.data.survey import Survey
from motionllm.motion.notation import Notation
from motionllm.motion.show.page import stored

ROOM = "/label"
COOKIE = "labelling"
QUEUES = {"open": "clips without caption", "all": "all clips", "doubts": "clips with doubts"}
HELD = 120.0  # seconds for which a clip that a person has opened, or typed in, is theirs
STAMP = 1 << 53  # milliseconds; times of browsers are below


class Desk:
    """Who has which clip open, and what comes next for whom."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.texts = Texts(survey.data)
        self._held: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def hold(self, name: str, person: str) -> None:
        """The person works on this clip now, and on no other."""
        with self._lock:
            mine = [held for held, (who, _) in self._held.items() if who == person]
            for held in mine:
                del self._held[held]
            if not self.elsewhere(name, person):
                self._held[name] = (person, time.monotonic())

    def elsewhere(self, name: str, person: str) -> bool:
        """Whether another person works on a clip."""
        who, since = self._held.get(name, (person, 0.0))
        return who != person and time.monotonic() - since < HELD

    def after(self, name: str, queue: str, person: str) -> str | None:
        """The next clip of a queue, round and round, that no other person has open; None where none is left."""
        names = list(self.survey.data.clips)
        at = names.index(name) + 1 if name in self.survey.data.clips else 0
        return next(self._in(queue, [*names[at:], *names[: max(at - 1, 0)]], person), None)

    def _in(self, queue: str, names: list[str], person: str) -> Iterator[str]:
        doubts = self.survey.doubts(names) if queue == "doubts" else {}
        for name in names:
            wanted = {"open": lambda n: not self.survey.data.captions(n), "doubts": lambda n: bool(doubts[n])}
            if wanted.get(queue, lambda n: True)(name) and not self.elsewhere(name, person):
                yield name

    def left(self) -> int:
        """Clips without a caption."""
        data = self.survey.data
        return sum(not data.captions(name) for name in data.clips)

    def clip(self, name: str, person: str) -> dict[str, Any]:
        """All that the page shows of a clip."""
        data = self.survey.data
        row, names = self.survey.row(name), list(data.clips)
        at = names.index(name)
        shown: dict[str, Any] = {"sentences": [], "used": {}, "exchanged": [], "phrases": [], "lines": [], "clip": None}
        if "digest" in row:
            motion = data.motion(name)
            shown["clip"] = stored(motion.joints, motion.fps)
        state = self.texts.state(name, person)
        if "notation" in row:
            notation = Notation.parse(row["notation"])
            lines = [{"start": x.start, "end": x.end, "text": str(x).split(" ", 1)[1]} for x in notation.lines]
            used = words_used(row["notation"], self._captioned(name))
            # Captions that are another clip's with left and right exchanged.
            exchanged = [words for words, of in used.items() if words not in {c.text for c in data.captions(of)}]
            shown |= {
                "sentences": [*dict.fromkeys([*used, *row["sentences"]])],
                "used": used,
                "exchanged": exchanged,
                "phrases": phrases(notation),
                "lines": lines,
            }
        return {
            "id": name,
            "split": data[name].split,
            "seconds": row["seconds"],
            "number": at + 1,
            "total": len(names),
            "left": self.left(),
            "before": names[at - 1] if at else None,
            # What is doubtful about the captions is said by `hints`, with what to do about it.
            "doubts": [text for _, text in self.survey.doubts([name])[name] if "aption" not in text],
            "elsewhere": self.elsewhere(name, person),
            **vars(state),
            **shown,
        }

    def _captioned(self, but: str) -> Iterator[tuple[str, str, str]]:
        """(clip, its notation, a caption of the whole clip) of the measured clips besides one."""
        clips = self.survey.data.clips
        for name, row in list(self.survey.rows.items()):
            if name != but and "notation" in row and name in clips:
                for caption in self.survey.data.captions(name):
                    if not (caption.start or caption.end):
                        yield name, row["notation"], caption.text

    def hints(self, name: str, text: str) -> list[dict[str, str]]:
        """What could be better about a text."""
        row = self.survey.row(name)
        return hints(text, Notation.parse(row["notation"])) if "notation" in row else []


def routes(bench: Bench) -> list[BaseRoute]:
    """The page and the answers of the room."""
    desk = Desk(bench.survey) if bench.survey is not None else None

    def there() -> Desk:
        survey_of(bench)  # refuses where no set is open
        assert desk is not None
        return desk

    def room(request: Request) -> Response:
        data = there().survey.data
        place = hashlib.sha256(str(data.folder.resolve()).encode()).hexdigest()[:12]
        reply = page(bench, "label.html", ROOM, "Label", folder=data.folder.name, place=place, queues=QUEUES)
        if not _known(request):
            reply.set_cookie(
                COOKIE, secrets.token_hex(8), max_age=400 * 86400, path=ROOM, httponly=True, samesite="strict"
            )
        return reply

    def clip(request: Request) -> dict[str, Any]:
        person, name = _person(request), request.path_params["id"]
        reply = there().clip(name, person)
        there().hold(name, person)
        return reply

    def following(request: Request) -> dict[str, Any]:
        name, queue = request.query_params.get("after", ""), request.query_params.get("queue", "open")
        return {"id": there().after(name, queue, _person(request)), "left": there().left()}

    def keep(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        person, name, text, version, at = _given(request, body)
        there().texts.keep(name, person, text, version, at)
        there().hold(name, person)
        return {"hints": there().hints(name, text)}

    def save(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        person, name, text, version, at = _given(request, body)
        try:
            version = there().texts.save(name, person, text, version, at)
        except Stale as stale:
            raise Refusal(str(stale), 409, text=stale.text, version=stale.version) from None
        queue = text_of(body, "queue", 20, "open")
        return {"version": version, "next": there().after(name, queue, person), "left": there().left()}

    def look(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return {"hints": there().hints(text_of(body, "id", 300), text_of(body, "text", 4 * LONGEST))}

    def discard(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        person, name, _, _, at = _given(request, body)
        there().texts.discard(name, person, at)
        return {}

    return [
        Route(ROOM, shown(bench, ROOM, room)),
        Route(f"{ROOM}/clip/{{id}}", answers(clip)),
        Route(f"{ROOM}/next", answers(following)),
        Route(f"{ROOM}/keep", takes(keep), methods=["POST"]),
        Route(f"{ROOM}/hints", takes(look), methods=["POST"]),
        Route(f"{ROOM}/save", takes(save), methods=["POST"]),
        Route(f"{ROOM}/discard", takes(discard), methods=["POST"]),
    ]


def _known(request: Request) -> str:
    person = request.cookies.get(COOKIE, "")
    return person if re.fullmatch(r"[0-9a-f]{16}", person) else ""


def _person(request: Request) -> str:
    """The name of the person's drafts. Raises Refusal where the browser brings none."""
    if not (person := _known(request)):
        raise Refusal("Open the page /label first; it needs its cookie to keep your drafts apart from others'.", 403)
    return person


def _given(request: Request, body: dict[str, Any]) -> tuple[str, str, str, str, int]:
    """Person, clip, text, version and time of typing of a request."""
    at = body.get("at")
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < STAMP:
        raise Refusal("The request's 'at' must be the milliseconds at which the text was typed.", 400)
    text = text_of(body, "text", 4 * LONGEST)
    return _person(request), text_of(body, "id", 300), text.replace("\r\n", "\n"), text_of(body, "version", 64), at
