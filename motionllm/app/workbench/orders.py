"""What a page may ask of fine-tuning: which recipe, with which settings, and what it would cost.

Pages name recipes, data sets and adapters by the names listed here, never by a path.
"""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from motionllm import shipped
from motionllm.app.workbench import jobs
from motionllm.config import Recipe, find_recipe, load_recipe
from motionllm.config.base import Count, Minutes, Name, Rate, Section, Seed, Steps, Text, Where, Width
from motionllm.config.loading import explain, placeholders
from motionllm.errors import MotionLLMError, unknown
from motionllm.files import read_json, read_text

S = TypeVar("S", bound=Section)
T = TypeVar("T")


class Settings(Section):
    """What a page may set of a run. What it does not give is as the recipe has it; null is a value, as "no limit"."""

    minutes: Minutes | None = None
    steps: Steps | None = None
    lr: Rate | None = None
    seed: Seed | None = None
    validate_every: Count | None = None
    validate_minutes: Minutes | None = None
    samples: Annotated[list[Text], Field(max_length=8)] | None = None

    def words(self) -> list[str]:
        """As overrides of a recipe, `key=value`."""
        chosen = self.model_dump(include=set(Settings.model_fields), exclude_unset=True)
        return [f"train.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in chosen.items()]


class Order(Settings):
    """A run to be started. data: name of the folder that goes where the recipe has none. start: name of the adapter to
    go on from.
    """

    recipe: Where
    name: Name
    rank: Width | None = None
    data: Where | None = None
    start: Where | None = None


def checked(schema: type[S], body: Mapping[str, Any]) -> S:
    """What a page sent as an object of a schema. Raises MotionLLMError for the first thing in it that does not fit."""
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise MotionLLMError(f"{explain(error.errors()[0], schema)}.") from None


def named(known: Mapping[str, T], name: str, what: str) -> T:
    """What is listed under a name. Raises MotionLLMError where nothing is."""
    if name not in known:
        raise MotionLLMError(f"{unknown(what, name, known)}.")
    return known[name]


def shell(words: Sequence[str]) -> str:
    """A command as it is typed."""
    return shlex.join(["motionllm", *words])


class Orders:
    """Recipes, data sets and adapters that runs in the folder `runs` may be made of.

    recipes: names or files of recipes besides the shipped ones. data: folders of data sets. models: adapters besides
    the shipped ones and those of the runs. Raises MotionLLMError where one of the recipes is wrong.
    """

    def __init__(
        self, runs: Path, recipes: Sequence[str] = (), data: Sequence[Path] = (), models: Sequence[str] = ()
    ) -> None:
        self.runs, self.models = runs, models
        own: dict[str, str] = {}
        for word in recipes:  # by the name that its runs have; `motionllm start` calls every file recipe.yaml
            recipe = load_recipe(shipped.find("recipes", word))
            name = recipe.name if "name" in recipe.model_fields_set else Path(word).stem
            own[word if name in own else name] = word
        self.words = own | {name: name for name in shipped.names("recipes") if name not in own}
        self.data = {path.name or str(path): path for path in data}
        self.lock = threading.Lock()
        self.work: tempfile.TemporaryDirectory[str] | None = None
        self.planning: subprocess.Popen[bytes] | None = None

    def recipes(self) -> list[dict[str, Any]]:
        """The recipes of fine-tuning, the user's own first: name, what it is for and what it needs, its text, the keys
        of data sets that are not here, and what it has of what a page may set.
        """
        listed = []
        for name, word in self.words.items():
            path = shipped.find("recipes", word)
            try:
                recipe = load_recipe(path)
            except MotionLLMError:
                continue  # of `motionllm improve`, or wrong
            text = read_text(path, "recipe")
            listed.append(
                {
                    "name": name,
                    **about_recipe(text),
                    "text": text,
                    "unset": unset(recipe),
                    "settings": {key: getattr(recipe.train, key) for key in Settings.model_fields}
                    | {"rank": recipe.adapter.rank},
                }
            )
        return listed

    def adapters(self) -> dict[str, str]:
        """{name: what the command line calls it} of all adapters, those of the newest runs first."""
        runs = list(self.runs.iterdir()) if self.runs.is_dir() else []
        trained = sorted((run for run in runs if (run / "adapter").is_dir()), key=lambda r: -r.stat().st_mtime)
        return (
            {run.name: str(run) for run in trained}
            | {name: name for name in shipped.names("adapter")}
            | {Path(model).name: model for model in self.models}
        )

    def command(self, order: Order) -> list[str]:
        """The words of the command line that starts a run. Raises MotionLLMError where its recipe is wrong, or it names
        something that is not listed.
        """
        word = named(self.words, order.recipe, "recipe")
        overrides = order.words()
        if "rank" in order.model_fields_set:
            overrides.append(f"adapter.rank={json.dumps(order.rank)}")
        if order.start is not None:
            overrides.append(f"adapter.start={json.dumps(named(self.adapters(), order.start, 'adapter'))}")
        keys = unset(load_recipe(shipped.find("recipes", word)))
        if keys and order.data is None:
            raise MotionLLMError(
                f"Recipe {order.recipe} needs a data set; start the page with `motionllm web --data FOLDER`."
            )
        if keys and order.data is not None:
            folder = named(self.data, order.data, "data set")
            overrides += [f"{key}={json.dumps(str(folder), ensure_ascii=False)}" for key in keys]
        find_recipe("recipes", word, overrides)
        return ["train", word, *overrides, "--out", str(self.runs / order.name)]

    def plan(self, order: Order) -> dict[str, Any]:
        """Begin to compute what a run would take; `planned` has the result. Ends an earlier computation."""
        words = self.command(order)
        with self.lock:
            if self.planning is not None and self.planning.poll() is None:
                self.planning.kill()
                self.planning.wait()
            self.work = self.work or tempfile.TemporaryDirectory(prefix="motionllm-plan-")
            with open(Path(self.work.name) / "plan.json", "wb") as output:
                self.planning = jobs.start([[*words, "--dry-run", "--json"]], Path(self.work.name), output)
        return {"command": shell(words)}

    def planned(self) -> dict[str, Any]:
        """{"plan": the result of `motionllm.training.plan.plan`, None until it is there; "doing": what is computed at
        the moment}. Raises MotionLLMError where the run would be refused.
        """
        with self.lock:
            if self.planning is None or self.work is None:
                raise MotionLLMError("No plan was asked for.")
            work = Path(self.work.name)
            if self.planning.poll() is None:
                return {"plan": None, "doing": (jobs.printed(work) or [""])[-1]}
            if self.planning.returncode:
                raise MotionLLMError(jobs.last_words(work) or "The plan was interrupted; ask for it again.")
            return {"plan": read_json(work / "plan.json", "plan"), "doing": ""}


def unset(recipe: Recipe) -> list[str]:
    """The keys of a recipe where the folder of a data set goes: placeholders, and folders that do not exist."""
    sources = enumerate(recipe.data.sources)
    missing = [f"data.sources.{i}.path" for i, one in sources if one.path and not Path(one.path).exists()]
    return list(placeholders(recipe)) or missing


def about_recipe(text: str) -> dict[str, str]:
    """ "about" and "needs" of the comment on top of a recipe: its first sentences, and those from `Needs: ` on."""
    comment = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.lstrip("# ").rstrip() for line in comment]
    begin = next((k for k, line in enumerate(lines) if line.startswith("Needs: ")), len(lines))
    return {
        "about": _sentences(lines[:begin]),
        "needs": _sentences(lines[begin:]).removeprefix("Needs: "),
    }


def _sentences(lines: Sequence[str]) -> str:
    """Lines of a comment up to the first empty one or command, as one text."""
    begun = itertools.dropwhile(lambda line: not line, lines)
    plain = itertools.takewhile(lambda line: line and not line.startswith(("motionllm ", "accelerate ")), begun)
    return " ".join(plain).replace("`", "")
