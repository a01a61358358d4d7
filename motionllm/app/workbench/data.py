"""The room `data`: browse a data set, clip by clip, with moving figures."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from motionllm.app.workbench.frame import Bench, Refusal, answers, page, shown
from motionllm.data.motion_set import SPLITS, UNLISTED, MotionSet
from motionllm.motion.show.page import stored

ROOM = "/data"
ON_PAGE = 24  # clips


def routes(bench: Bench) -> list[BaseRoute]:
    """The pages and answers of the room."""
    data = MotionSet(bench.data) if bench.data is not None else None

    def there() -> MotionSet:
        if data is None:
            raise Refusal("No data set is open; start the page with `motionllm web --data FOLDER`.", 404)
        return data

    def browse(request: Request) -> Response:
        clips = there().clips
        wanted, split = request.query_params.get("text", ""), request.query_params.get("split", "")
        rows = [
            {"id": clip.id, "split": clip.split, "captions": [c.text for c in there().captions(clip.id)]}
            for clip in clips.values()
            if not split or clip.split == split
        ]
        rows = [row for row in rows if matches(row, wanted)]
        pages = max(1, math.ceil(len(rows) / ON_PAGE))
        number = min(max(_whole(request.query_params.get("page", "1")), 1), pages)
        return page(
            bench,
            "data.html",
            ROOM,
            there().folder.name,
            clips=rows[(number - 1) * ON_PAGE : number * ON_PAGE],
            count=len(rows),
            total=len(clips),
            splits=[s for s in (*SPLITS, UNLISTED) if any(clip.split == s for clip in clips.values())],
            query={"text": wanted, "split": split},
            number=number,
            pages=pages,
        )

    def joints(request: Request) -> dict[str, Any]:
        motion = there().motion(request.path_params["id"])
        return stored(motion.joints, motion.fps)

    return [
        Route(ROOM, shown(bench, ROOM, browse)),
        Route(f"{ROOM}/joints/{{id}}", answers(joints)),
    ]


def matches(row: dict[str, Any], wanted: str) -> bool:
    """Whether every word of a search is in the id or the captions of a clip."""
    text = " ".join([row["id"], *row["captions"]]).lower()
    return all(word in text for word in wanted.lower().split())


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else 1
