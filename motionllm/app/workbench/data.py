"""The room `data`: browse a data set with moving figures, what is doubtful first; a page a clip; statistics."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from motionllm.app.workbench.frame import Bench, Refusal, answers, page, shown
from motionllm.data.motion_set import SPLITS, UNLISTED
from motionllm.data.set_statistics import statistics
from motionllm.data.survey import Survey
from motionllm.motion.notation import Notation
from motionllm.motion.show.page import stored

ROOM = "/data"
ON_PAGE = 24  # clips
ORDERS = {"doubts": "suspects first", "set": "as listed", "long": "longest first", "short": "shortest first"}
STATES = {"": "all", "doubts": "with doubts", "open": "without caption", "captioned": "with caption"}
# What the page of a clip lists of its facts, with the unit.
FACTS = (
    ("distance", "Distance", "m"),
    ("top_speed", "Top speed", "m/s"),
    ("turn", "Turn", "°"),
    ("steps", "Steps", ""),
    ("jumps", "Jumps", ""),
    ("direction", "Direction", ""),
    ("start_posture", "Begins", ""),
    ("end_posture", "Ends", ""),
    ("busiest", "Busiest", ""),
)


def survey_of(bench: Bench) -> Survey:
    """The survey of the set that is open, for every room. Raises Refusal where none is."""
    if bench.survey is None:
        raise Refusal("No data set is open; start the page with `motionllm web --data FOLDER`.", 404)
    bench.survey.start()
    return bench.survey


def routes(bench: Bench) -> list[BaseRoute]:
    """The pages and answers of the room."""

    def browse(request: Request) -> Response:
        survey = survey_of(bench)
        query = {key: request.query_params.get(key, "")[:200] for key in ("text", "split", "state", "verb", "order")}
        query["order"] = query["order"] if query["order"] in ORDERS else "doubts"
        rows = chosen(survey, query)
        pages = max(1, math.ceil(len(rows) / ON_PAGE))
        number = min(max(_whole(request.query_params.get("page", "1")), 1), pages)
        here = {clip.split for clip in survey.data.clips.values()}
        return page(
            bench,
            "data.html",
            ROOM,
            survey.data.folder.name,
            clips=rows[(number - 1) * ON_PAGE : number * ON_PAGE],
            count=len(rows),
            total=len(survey.data.clips),
            measured=survey.measured,
            splits=[split for split in (*SPLITS, UNLISTED) if split in here],
            verbs=sorted({verb for row in list(survey.rows.values()) for verb in verbs(row)}),
            states=STATES,
            orders=ORDERS,
            query=query,
            number=number,
            pages=pages,
        )

    def clip(request: Request) -> Response:
        survey = survey_of(bench)
        name = request.path_params["id"]
        row = survey.row(name)
        names = list(survey.data.clips)
        at = names.index(name)
        return page(
            bench,
            "clip.html",
            ROOM,
            name,
            clip=survey.data[name],
            row=row,
            captions=survey.data.captions(name),
            lines=Notation.parse(row["notation"]).lines if "notation" in row else (),
            facts=[(label, value_of(row["facts"][key], unit)) for key, label, unit in FACTS if row.get("facts")],
            doubts=[text for _, text in survey.doubts([name])[name]],
            before=names[at - 1] if at else None,
            after=names[at + 1] if at + 1 < len(names) else None,
        )

    def figures(request: Request) -> Response:
        survey = survey_of(bench)
        total = len(survey.data.clips)
        return page(
            bench, "statistics.html", ROOM, "Statistics", total=total, measured=survey.measured, **statistics(survey)
        )

    def joints(request: Request) -> dict[str, Any]:
        motion = survey_of(bench).data.motion(request.path_params["id"])
        return stored(motion.joints, motion.fps)

    def progress(request: Request) -> dict[str, Any]:
        survey = survey_of(bench)
        return {"measured": survey.measured, "total": len(survey.data.clips)}

    return [
        Route(ROOM, shown(bench, ROOM, browse)),
        Route(f"{ROOM}/statistics", shown(bench, ROOM, figures)),
        Route(f"{ROOM}/progress", answers(progress)),
        Route(f"{ROOM}/clip/{{id}}", shown(bench, ROOM, clip)),
        Route(f"{ROOM}/joints/{{id}}", answers(joints)),
    ]


def chosen(survey: Survey, query: dict[str, str]) -> list[dict[str, Any]]:
    """The clips that a query asks for, in its order: id, split, captions, seconds, doubts as sentences."""
    rows = []
    doubts = survey.doubts(survey.data.clips)
    for name, clip in survey.data.clips.items():
        measured = survey.rows.get(name, {})
        row: dict[str, Any] = {
            "id": name,
            "split": clip.split,
            "captions": [caption.text for caption in survey.data.captions(name)],
            "seconds": measured.get("seconds"),
            "gravity": [gravity for gravity, _ in doubts[name]],
            "doubts": [text for _, text in doubts[name]],
        }
        state = {"": True, "doubts": row["doubts"], "open": not row["captions"], "captioned": row["captions"]}
        if (
            (not query["split"] or clip.split == query["split"])
            and state.get(query["state"], True)
            and (not query["verb"] or query["verb"] in verbs(measured))
            and matches([name, *row["captions"], *measured.get("sentences", ())], query["text"])
        ):
            rows.append(row)
    if query["order"] == "doubts":
        rows.sort(key=lambda row: (not row["doubts"], min(row["gravity"], default=9), -len(row["doubts"])))
    elif query["order"] in ("long", "short"):
        rows.sort(key=lambda row: row["seconds"] or 0.0, reverse=query["order"] == "long")
    return rows


def verbs(row: dict[str, Any]) -> set[str]:
    """The verbs of a measured clip."""
    return {verb for verb, _ in row.get("events", ())}


def matches(texts: list[str], wanted: str) -> bool:
    """Whether every word of a search is in some text."""
    whole = " ".join(texts).lower()
    return all(word in whole for word in wanted.lower().split())


def value_of(value: Any, unit: str) -> str:
    """A fact for the eye."""
    if isinstance(value, float):
        value = f"{value:.0f}" if unit == "°" else f"{value:.2f}"
        return f"{value}{unit}" if unit == "°" else f"{value} {unit}"
    return str(value) or "–"


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else 1
