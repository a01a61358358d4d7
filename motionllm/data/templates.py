"""Task templates: how a sample becomes a conversation. Read from YAML and checked when read.

A phrasing is one turn `{user: …, assistant: …}`, or several as `turns: [{user: …, assistant: …}, …]`; `weight` says
how often it is drawn against the task's others (1 where it is not given).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from motionllm import shipped
from motionllm.data.tasks import TASKS, Values, phrased
from motionllm.errors import MotionFileError, RecipeError, unknown
from motionllm.files import read_yaml, write_file
from motionllm.language.conversations import Message

log = logging.getLogger(__name__)

_PLACE = re.compile(r"\{(\w+)\}")

Turn = dict[str, str]  # {"user": …, "assistant": …}


@dataclass(frozen=True)
class Template:
    """One phrasing of a task."""

    turns: tuple[Turn, ...]
    weight: float = 1.0

    def needs(self) -> set[str]:
        """The placeholders it holds."""
        return {name for turn in self.turns for text in turn.values() for name in _PLACE.findall(text)}


class Templates:
    """tasks: {task: phrasings}. `conversation` fills one. Raises RecipeError for a wrong task or placeholder."""

    def __init__(self, tree: Any, where: str) -> None:
        if not isinstance(tree, dict):
            raise RecipeError(
                f"Templates {where}: expected tasks ({', '.join(phrased())}), each with a list of phrasings."
            )
        self.tree, self.where = tree, where
        self.tasks: dict[str, list[Template]] = {}
        for task, phrasings in tree.items():
            if task not in phrased():
                raise RecipeError(f"Templates {where}: unknown task '{task}'; known are {', '.join(phrased())}.")
            if not isinstance(phrasings, list):
                raise RecipeError(f"Templates {where}: {task} needs a list of phrasings.")
            self.tasks[task] = [
                _checked(phrasing, task, f"Templates {where}: {task}, phrasing {number}")
                for number, phrasing in enumerate(phrasings, 1)
            ]

    @classmethod
    def load(cls, name: str | Path) -> Templates:
        """A file, or the name of one in recipes/templates/."""
        path = shipped.find("templates", name)
        try:
            return cls(read_yaml(path, "file of task templates"), str(path))
        except MotionFileError as error:
            raise RecipeError(f"Templates {error}") from None

    @classmethod
    def load_saved(cls, path: Path) -> Templates:
        """The templates saved with an artefact: tasks this version does not know are passed over with a warning."""
        if not path.is_file():
            raise RecipeError(f"Templates {path} are missing; copy the folder that they belong to anew.")
        tree = read_yaml(path, "file of templates")
        if isinstance(tree, dict) and (other := sorted(tree.keys() - {*phrased()})):
            log.warning("%s: tasks of another version are passed over: %s", path, ", ".join(other)[:200])
            tree = {task: phrasings for task, phrasings in tree.items() if task in phrased()}
        return cls(tree, str(path))

    def save(self, path: Path) -> None:
        write_file(path, yaml.safe_dump(self.tree, sort_keys=False, allow_unicode=True))

    def check(self, tasks: Iterable[str]) -> None:
        """Raise RecipeError for a task that is unknown, or for which there is no phrasing."""
        for task in tasks:
            if task not in TASKS:
                raise RecipeError(f"data.tasks: {unknown('task', task, TASKS)}")
            if TASKS[task].fill:
                self.phrasings(task)

    def phrasings(self, task: str, seconds: bool | None = None) -> list[Template]:
        """The phrasings of a task; seconds: only those whose first turn does, or does not, state the duration."""
        if not self.tasks.get(task):
            raise RecipeError(f"The templates {self.where} have no phrasing for the task '{task}'; add one.")
        return [t for t in self.tasks[task] if seconds is None or ("{seconds}" in t.turns[0]["user"]) == seconds]

    def draw(self, task: str, random: np.random.Generator) -> Template:
        """A phrasing of the task, by weight."""
        phrasings = self.phrasings(task)
        weights = np.array([t.weight for t in phrasings])
        return phrasings[random.choice(len(phrasings), p=weights / weights.sum())]


def _checked(phrasing: Any, task: str, where: str) -> Template:
    turns = phrasing.get("turns", [phrasing]) if isinstance(phrasing, dict) else None
    if not isinstance(turns, list) or not turns or set(phrasing) - {"turns", "weight", "user", "assistant"}:
        raise RecipeError(f"{where} needs `user` and `assistant`, or `turns` of them, and may have a `weight`.")
    if any(not isinstance(turn, dict) or set(turn) - {"weight"} != {"user", "assistant"} for turn in turns):
        raise RecipeError(f"{where}: every turn needs `user` and `assistant`, and nothing else.")
    if any(not isinstance(turn[role], str) for turn in turns for role in ("user", "assistant")):
        raise RecipeError(f"{where}: `user` and `assistant` are texts; quote numbers and empty ones.")
    weight = phrasing.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1_000_000:
        raise RecipeError(f"{where}: weight must be a number over 0 and up to 1,000,000, not {weight!r}.")
    given, optional, answer = ({*TASKS[task].given}, {*TASKS[task].optional}, {TASKS[task].answer})
    known: set[str] = set()  # placeholders of the turns before
    # The answer stands in the first turn: what follows may ask for what is known by then, or for the rest of it.
    for number, turn in enumerate(turns):
        first = number == 0
        for role, may, must in (
            ("user", given | optional if first else known, given if first else set()),
            ("assistant", answer if first else given | optional | answer, answer if first else set()),
        ):
            present = set(_PLACE.findall(turn[role]))
            if present - may or must - present:
                holds = f"needs {_braced(must)} and " if must else ""
                raise RecipeError(f"{where}, turn {number + 1}, {role}: {holds}may hold {_braced(may)} only.")
            known |= present
    return Template(tuple({role: turn[role] for role in ("user", "assistant")} for turn in turns), float(weight))


def _braced(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "no placeholder"


def conversation(template: Template, values: Values, answered: bool = True) -> list[Message]:
    """The messages of a phrasing: text parts, and motion parts. answered=False: the first question alone.

    A motion's value is its codes (n,), or what its part holds: {"codes", "notation"}, either or both.
    """
    if not answered:
        return [{"role": "user", "content": _parts(template.turns[0]["user"], values)}]
    return [
        {"role": role, "content": _parts(turn[role], values)}
        for turn in template.turns
        for role in ("user", "assistant")
    ]


def _parts(text: str, values: Values) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    written = ""
    for place, piece in enumerate(_PLACE.split(text)):
        if place % 2 == 0:
            written += piece
        elif isinstance(value := values[piece], str | int | float):
            written += f"{value:.1f}" if isinstance(value, float) else str(value)
        else:
            if written:
                parts.append({"type": "text", "text": written})
            parts.append({"type": "motion", **(value if isinstance(value, Mapping) else {"codes": value})})
            written = ""
    if written:
        parts.append({"type": "text", "text": written})
    return parts
