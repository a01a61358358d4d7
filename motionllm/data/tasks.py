"""Tasks, one record each, in TASKS: what is given, what is answered, which clips it needs, how an example is filled.

Templates, encoded clips, training, plans, `improve` and the suites read these records. A new task is a record here, its
phrasings in recipes/templates/default.yaml, and a test; CONTRIBUTING.md shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from motionllm.config import Notes
from motionllm.data import edits, inquiries
from motionllm.data.acts import summary
from motionllm.data.change_language import PACE
from motionllm.data.edit_kinds import Donors
from motionllm.data.sources import at_pace, mirrored
from motionllm.motion.notation import Notation

if TYPE_CHECKING:
    from motionllm.data.clips import Clip, Clips

QUESTIONS = 6  # most questions per example, all about one motion
REQUESTS = 6  # most change requests per example, each for the unchanged motion
LENDING = 2000  # clips per source that edits may take acts from

# Values of a phrasing's placeholders: texts, numbers, and motions: codes (n,), or {"codes", "notation"}, one or both.
Values = dict[str, Any]


@dataclass
class Draw:
    """The inputs of `Task.fill` besides the clip.

    random: source of every random number, in the order in which `fill` asks for them; another order gives other
    examples. parts: codes per step. notes: how often motions carry their notation. clips: the sources, from which
    `donors` are taken. bare: leave the text out of this example, for guidance.
    """

    random: np.random.Generator
    codes_per_second: float
    parts: int = 1
    notes: Notes | None = None
    clips: Sequence[Clips] = ()
    bare: bool = False

    @cached_property
    def donors(self) -> Donors:
        """The clips from which an edit of another clip may take an act."""
        return Donors.of(pair for source in self.clips for pair in source.noted(LENDING))


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a model learns to do.

    given, optional: placeholders that the first question of a phrasing must contain, and may contain. answer: the
    placeholder that its first answer contains. moves: whether the answer is motion. serves(clip, parts): whether a clip
    has what the task needs; parts: codes per step. fill(clip, draw): the values of one example: the first fill a
    phrasing; further ones ask again about the same motion, by the placeholder `again`, and are answered by `answer`.
    None: the clip's own conversation. edited: computes the answer from the clip's features (T, dim); its codes are then
    `Clip.edits[name]`. noted: whether it needs the clips' notation (`data.notation` in the recipe). suite: the task of
    the suites (`motionllm eval`) that measures it; "" if none does.
    """

    name: str
    given: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    answer: str = ""
    moves: bool = False
    serves: Callable[[Clip, int], bool]
    fill: Callable[[Clip, Draw], list[Values]] | None = None
    again: str = ""
    edited: Callable[[np.ndarray], np.ndarray] | None = None
    noted: bool = False
    suite: str = ""


def _plain(clip: Clip, draw: Draw, planned: bool = False) -> Values:
    """The whole motion, its duration in seconds, and one of its captions, if it has any.

    planned: the motion is the answer, and its notation a plan that precedes it.
    """
    values: Values = {"motion": _motion(clip, draw, planned) if draw.notes and not draw.bare else clip.codes}
    if captions := clip.sample.captions:
        values["caption"] = "" if draw.bare else captions[draw.random.integers(len(captions))]
    return values | {"seconds": len(clip.codes) / draw.codes_per_second}


def _motion(clip: Clip, draw: Draw, planned: bool) -> Values:
    """Codes, notation, or both, as often as the recipe's `data.notation` says."""
    assert draw.notes
    notes, (carries, alone) = draw.notes, draw.random.random(2)
    if not clip.notation or carries >= (notes.plan if planned else notes.read):
        return {"codes": clip.codes}
    if alone < (notes.sketch if planned else notes.alone):
        return {"notation": clip.notation}
    return {"codes": clip.codes, "notation": clip.notation}


def _answered(name: str, codes: np.ndarray, draw: Draw) -> Values:
    return {name: codes, "seconds": len(codes) / draw.codes_per_second}


def _text_to_motion(clip: Clip, draw: Draw) -> list[Values]:
    return [_plain(clip, draw, planned=True)]


def _caption(clip: Clip, draw: Draw) -> list[Values]:
    """A person's caption, or a sentence of the notation instead (with probability `data.notation.told`)."""
    values = _plain(clip, draw)
    if draw.notes and draw.notes.told and clip.notation and draw.random.random() < draw.notes.told:
        sentences = Notation.parse(clip.notation).sentences()
        values["caption"] = sentences[draw.random.integers(len(sentences))]
    return [values]


def _question(clip: Clip, draw: Draw) -> list[Values]:
    """Several questions about one motion, which share its tokens: up to six answers for one motion."""
    values, questions = _plain(clip, draw), clip.sample.questions
    chosen = (questions[i] for i in draw.random.permutation(len(questions))[:QUESTIONS].tolist())
    return [values | {"question": one.text, "answer": one.answer} for one in chosen]


def _prediction(clip: Clip, draw: Draw) -> list[Values]:
    """The rest of a clip, after its first quarter to three quarters."""
    values, steps = _plain(clip, draw), len(clip.codes) // draw.parts
    cut = int(draw.random.integers(max(1, steps // 4), steps - steps // 4)) * draw.parts
    return [values | {"beginning": clip.codes[:cut]} | _answered("rest", clip.codes[cut:], draw)]


def _forecast(clip: Clip, draw: Draw) -> list[Values]:
    """The caption of the whole clip, from its first quarter to three quarters."""
    values, steps = _plain(clip, draw), len(clip.codes) // draw.parts
    seen = int(draw.random.integers(max(1, steps // 4), steps - steps // 4)) * draw.parts
    return [values | {"beginning": clip.codes[:seen]}]


def _inbetween(clip: Clip, draw: Draw) -> list[Values]:
    """The middle of a clip, between a sixth to a third of it at either end."""
    values, steps = _plain(clip, draw), len(clip.codes) // draw.parts
    start = int(draw.random.integers(max(1, steps // 6), steps // 3 + 1)) * draw.parts
    stop = int(draw.random.integers(steps - steps // 3, steps - max(1, steps // 6) + 1)) * draw.parts
    ends = {"beginning": clip.codes[:start], "end": clip.codes[stop:]}
    return [values | ends | _answered("middle", clip.codes[start:stop], draw)]


def _length(clip: Clip, draw: Draw) -> list[Values]:
    return [_plain(clip, draw)]


def _edit(clip: Clip, draw: Draw) -> list[Values]:
    """Several change requests for one plan, each with the change it asks for."""
    old = Notation.parse(clip.notation)
    plan = summary(old)
    return [{"plan": plan, **_request(clip, old, draw)} for _ in range(REQUESTS)]


def _request(clip: Clip, old: Notation, draw: Draw) -> Values:
    edit = None
    while edit is None:  # every clip that serves has one, but a single draw may not apply
        edit = edits.draw(old, draw.random, draw.donors)
    request, questions = edit.request, clip.sample.questions
    if edit.kind == "question" and questions and draw.random.random() < 0.6:
        request = questions[draw.random.integers(len(questions))].text
    return {"request": request, "change": edit.change}


def _query(clip: Clip, draw: Draw) -> list[Values]:
    """Several questions, each with its query. A clip is only needed for questions about its labels."""
    pairs = []
    labels = [question.text for question in clip.sample.questions if question.kind.startswith("label ")]
    for _ in range(QUESTIONS):
        asked = inquiries.draw(draw.random)
        text = labels[draw.random.integers(len(labels))] if labels and asked.query == "none" else asked.text
        pairs.append({"question": text, "query": asked.query})
    return pairs


def _changed(name: str, edited: Callable[[np.ndarray], np.ndarray], *optional: str) -> Task:
    """A task whose answer is the clip's features changed by `edited`."""

    def fill(clip: Clip, draw: Draw) -> list[Values]:
        return [_plain(clip, draw) | _answered("edited", clip.edits[name], draw)]

    return Task(
        name=name,
        given=("motion",),
        optional=optional,
        answer="edited",
        moves=True,
        serves=lambda clip, parts: name in clip.edits,
        fill=fill,
        edited=edited,
    )


def _captioned(clip: Clip, parts: int) -> bool:
    return bool(clip.sample.captions)


def _motion_parts(clip: Clip) -> int:
    return sum(part["type"] == "motion" for message in clip.sample.messages for part in message["content"])


_RECORDS = (
    Task(
        name="text_to_motion",
        given=("caption",),
        optional=("seconds",),
        answer="motion",
        moves=True,
        serves=_captioned,
        fill=_text_to_motion,
        suite="text_to_motion",
    ),
    Task(
        name="caption",
        given=("motion",),
        optional=("seconds",),
        answer="caption",
        serves=_captioned,
        fill=_caption,
        suite="captioning",
    ),
    Task(
        name="question",
        given=("motion", "question"),
        answer="answer",
        again="question",
        serves=lambda clip, parts: bool(clip.sample.questions),
        fill=_question,
        suite="questions",
    ),
    Task(
        name="prediction",
        given=("beginning",),
        optional=("seconds", "caption"),
        answer="rest",
        moves=True,
        serves=lambda clip, parts: len(clip.codes) >= 4 * parts,
        fill=_prediction,
        suite="prediction",
    ),
    Task(
        name="inbetween",
        given=("beginning", "end"),
        optional=("seconds", "caption"),
        answer="middle",
        moves=True,
        serves=lambda clip, parts: len(clip.codes) >= 6 * parts,
        fill=_inbetween,
        suite="in_between",
    ),
    Task(
        name="forecast",
        given=("beginning",),
        answer="caption",
        serves=lambda clip, parts: _captioned(clip, parts) and len(clip.codes) >= 4 * parts,
        fill=_forecast,
    ),
    Task(name="length", given=("caption",), answer="seconds", serves=_captioned, fill=_length),
    _changed("mirror", mirrored),
    _changed("faster", lambda features: at_pace(features, PACE), "seconds"),
    _changed("slower", lambda features: at_pace(features, 1 / PACE), "seconds"),
    Task(
        name="edit",
        given=("plan", "request"),
        answer="change",
        again="request",
        serves=lambda clip, parts: edits.editable(clip.notation),
        fill=_edit,
        noted=True,
    ),
    Task(
        name="query",
        given=("question",),
        answer="query",
        again="question",
        serves=lambda clip, parts: bool(clip.notation),
        fill=_query,
        noted=True,
    ),
    # Conversations of the user's own, with motion and without.
    Task(name="conversation", serves=lambda clip, parts: _motion_parts(clip) > 0),
    Task(name="text", serves=lambda clip, parts: bool(clip.sample.messages) and not _motion_parts(clip)),
)
TASKS = {task.name: task for task in _RECORDS}


def phrased() -> list[str]:
    """The tasks that templates word: all except users' own conversations."""
    return [task.name for task in TASKS.values() if task.fill]


def editing() -> list[str]:
    """The tasks whose answer is a changed version of the clip's motion, which is encoded beside the clip."""
    return [task.name for task in TASKS.values() if task.edited]
