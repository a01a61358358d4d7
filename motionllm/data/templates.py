"""Task templates: how a sample becomes a conversation. Read from YAML and checked when read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from motionllm import shipped
from motionllm.data.conversations import Message
from motionllm.errors import RecipeError

Template = dict[str, str]  # {"user": …, "assistant": …}

# What each task is given, and what its answer must hold.
_GIVEN = {
    "text_to_motion": ({"caption", "seconds"}, {"motion"}),
    "caption": ({"motion"}, {"caption"}),
    "question": ({"motion", "question"}, {"answer"}),
}
TASKS = tuple(_GIVEN)
_PLACE = re.compile(r"\{(\w+)\}")


class Templates:
    """tasks: {task: phrasings}. `conversation` fills one."""

    def __init__(self, tree: Any, where: str) -> None:
        if not isinstance(tree, dict):
            raise RecipeError(f"Templates {where}: expected tasks ({', '.join(TASKS)}), each with a list of phrasings.")
        self.tree = tree
        self.tasks: dict[str, list[Template]] = {}
        for task, phrasings in tree.items():
            if task not in _GIVEN:
                raise RecipeError(f"Templates {where}: unknown task '{task}'; known are {', '.join(TASKS)}.")
            given, answered = _GIVEN[task]
            for number, phrasing in enumerate(phrasings or [], 1):
                if not isinstance(phrasing, dict) or set(phrasing) != {"user", "assistant"}:
                    raise RecipeError(f"Templates {where}: {task}, phrasing {number} needs `user` and `assistant`.")
                for role, allowed, must in (("user", given, given - {"seconds"}), ("assistant", answered, answered)):
                    found = set(_PLACE.findall(phrasing[role]))
                    if found - allowed or must - found:
                        raise RecipeError(
                            f"Templates {where}: {task}, phrasing {number}, {role}: needs "
                            f"{{{'}, {'.join(sorted(must))}}} and may hold {{{'}, {'.join(sorted(allowed))}}} only."
                        )
            self.tasks[task] = phrasings or []

    @classmethod
    def load(cls, name: str | Path) -> Templates:
        """A file, or the name of one in recipes/templates/. Raises RecipeError for a wrong task or placeholder."""
        path = Path(name)
        if not path.is_file():
            path = shipped.find("recipes", f"templates/{name}.yaml")
        try:
            return cls(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
        except yaml.YAMLError:
            raise RecipeError(f"Templates {path} are not valid YAML; check indentation and quotes.") from None

    def save(self, path: Path) -> None:
        path.write_text(yaml.safe_dump(self.tree, sort_keys=False, allow_unicode=True), encoding="utf-8")

    def phrasings(self, task: str, seconds: bool | None = None) -> list[Template]:
        """The phrasings of a task; seconds: only those that do, or do not, state the duration."""
        if not self.tasks.get(task):
            raise RecipeError(f"The templates have no phrasing for the task '{task}'; add one.")
        return [t for t in self.tasks[task] if seconds is None or ("{seconds}" in t["user"]) == seconds]


def conversation(template: Template, values: Mapping[str, Any], answered: bool = True) -> list[Message]:
    """The messages of a phrasing: text parts, and motion parts with codes. answered=False leaves the reply out."""
    roles = ("user", "assistant") if answered else ("user",)
    return [{"role": role, "content": _parts(template[role], values)} for role in roles]


def _parts(text: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    written = ""
    for place, piece in enumerate(_PLACE.split(text)):
        if place % 2 == 0:
            written += piece
        elif piece == "motion":
            if written:
                parts.append({"type": "text", "text": written})
            parts.append({"type": "motion", "codes": values["motion"]})
            written = ""
        else:
            value = values[piece]
            written += f"{value:.1f}" if isinstance(value, float) else str(value)
    if written:
        parts.append({"type": "text", "text": written})
    return parts
