"""`motionllm start`: from a folder of motion files to a recipe that fits, and what to do next, at each stage of it.

It imports the folder, drafts captions of the clips that have none, writes a recipe of sizes that fit data and machine,
and reads how far the run is. Each call brings all of that up to date; what a person changed is kept.
"""

from __future__ import annotations

import csv
import io
import logging
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.app.start_recipe import MANY, PASSES, Project, plan_of, run_of, write_recipe
from motionllm.data.import_captions import delimiter_of, rows_of
from motionllm.data.import_files import find_files, ids_of, takes_of
from motionllm.data.importing import import_folder, imported, place_of
from motionllm.errors import MotionLLMError
from motionllm.files import lock, make_folder, read_json, read_jsonl, read_text, write_file
from motionllm.motion.notation import measure
from motionllm.motion.skeleton import HUMANML3D

log = logging.getLogger(__name__)

LEAST = 20  # clips: of fewer, too few can be held out to see whether anything was learned
FEW = 100  # clips
COLUMNS = ("file", "from", "to", "caption", "draft")


def start(
    takes: Path,
    folder: Path | None = None,
    captions: Path | str | None = None,
    rig: Path | None = None,
    minutes: float | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Bring the project of a folder of takes up to date, and say what comes next.

    folder: default NAME-project here. captions, rig: as of `import_folder`. minutes: of training, at most. overrides:
    `key=value` words for the recipe. What is not given is as it was in the call before.

    Returns {"project", "import": as `import_folder` reports, "clips", "captioned": how many have a text, "drafted",
    "drafts": {clip: sentence} of three, "recipe", "edited": whether a person changed it, "plan": see `plan_of`, "run",
    "stage": "label", "train", "resume" or "try", "expect": sentences, "said": [(clip, its text, the model's)] of the
    held-out clips once the model captioned them, "next": command lines, "web": that of the workbench}.

    Raises MotionLLMError where the takes give fewer than 20 clips, and for whatever the import and the recipe refuse.
    """
    if not takes.is_dir():
        raise MotionLLMError(f"{takes} is not a folder; give the folder that holds the motion files.")
    name = _plain_name(takes)
    folder = folder or Path(f"{name}-project")
    if folder.resolve().is_relative_to(takes.resolve()):
        raise MotionLLMError(
            f"The project {folder} would lie within {takes}, and what is written there would be taken for takes; give "
            "another folder with --out."
        )
    make_folder(folder)
    with lock(folder / "start"):
        project = Project(folder, takes)
        if (folder / "start.json").is_file():
            project.state = read_json(folder / "start.json", "state of the project")
        if (earlier := project.state.get("takes", str(takes.resolve()))) != str(takes.resolve()):
            raise MotionLLMError(f"{folder} is the project of {earlier}; give another folder with --out.")
        project.state.setdefault("name", _free_name(name))
        given: dict[str, Any] = {"captions": str(captions) if captions else None, "rig": str(rig) if rig else None}
        given |= {"minutes": minutes, "overrides": list(overrides) or None}
        project.keep(
            takes=str(takes.resolve()),
            **{key: value for key, value in given.items() if value is not None},
        )
        report = _import(project, workers, progress)
        clips = sum(report["clips"].values())
        if clips < LEAST:
            raise MotionLLMError(
                f"{takes} gives {clips} clips, and {LEAST} are the least to fine-tune on and still hold some out; "
                "add takes and give the same command again, or use the shipped adapter: `motionllm caption "
                f"{takes} --out captions.jsonl`."
            )
        drafts, without = _draft(project)
        edited = write_recipe(project, report)
        plan = plan_of(project)
        result = {
            "project": folder,
            "import": report,
            "clips": clips,
            "captioned": clips - len(without),
            "drafted": len(without),
            "drafts": drafts,
            "recipe": project.recipe,
            "edited": edited,
            "plan": plan,
            "web": _line("motionllm", "web", "--data", project.set, "--recipe", project.recipe, "--no-model"),
        }
        return result | _next(project, report, plan, clips - len(without))


def _free_name(name: str) -> str:
    """The name of a run that is not there yet."""
    return next(n for n in (name, *(f"{name}-{k}" for k in range(2, 10_000))) if not Path("runs", n).exists())


# -- the data set -------------------------------------------------------------------------------------------


def _import(project: Project, workers: int | None, progress: Callable[..., None] | None) -> dict[str, Any]:
    """Import the takes, about a tenth of them held out for validation and a tenth for testing, three at least."""
    state = project.state
    if "val" not in state:  # from then on it stays, so that no take changes its split
        ids = ids_of(project.takes, find_files(project.takes, project.set)[0])
        places = sorted(map(place_of, {*takes_of(project.takes, ids).values()}))
        count = min(max(3, round(len(places) / 10)), len(places) // 3)
        first, second = (_between(places, count), _between(places, 2 * count))
        project.keep(val=first, test=second - first)
    table = [project.table] if project.table.is_file() else []
    rig = Path(state["rig"]) if "rig" in state else None
    return import_folder(
        project.takes,
        project.set,
        [state.get("captions"), *table],
        rig,
        state["val"],
        state["test"],
        workers=workers,
        progress=progress,
        uncaptioned=True,
    )


def _between(places: Sequence[float], count: int) -> float:
    """A number above `count` of the sorted places and below the others."""
    if not count:
        return 0.0
    return (places[count - 1] + (places[count] if count < len(places) else 1.0)) / 2


def _without_text(project: Project) -> list[tuple[str, dict[str, Any], int]]:
    """(clip, its take's row, which of its pieces it is) of the clips that have no text."""
    return [
        (clip, row, number)
        for row in imported(project.set).values()
        for number, clip in enumerate(row["clips"])
        if not (text := project.set / "texts" / f"{clip}.txt").is_file() or not read_text(text, "text").strip()
    ]


def _seconds(cell: Any) -> float:
    """The seconds in a cell of the table, as whatever a spreadsheet wrote them: 7.50, 7.5 or 7,5; 0 of any other."""
    try:
        return round(float(str(cell or 0).replace(",", ".")), 2)
    except ValueError:
        return 0.0


def _draft(project: Project) -> tuple[dict[str, str], list[str]]:
    """Add a row with a draft to the table for each clip without a text that has none; three drafts, and those clips."""
    there: dict[tuple[str, float], str] = {}
    text = read_text(project.table, "file of captions") if project.table.is_file() else ",".join(COLUMNS) + "\n"
    if project.table.is_file():
        for _, row in rows_of(project.table):
            there[str(row.get("file", "")), _seconds(row.get("from"))] = str(row.get("draft") or "")
    header = text.split("\n", 1)[0]
    columns = [word.strip().strip('"').lstrip("\ufeff").lower() for word in header.split(delimiter_of(text))]
    added = io.StringIO()
    writer = csv.DictWriter(added, columns, extrasaction="ignore", delimiter=delimiter_of(text), lineterminator="\n")
    drafts: dict[str, str] = {}
    without = _without_text(project)
    for clip, row, number in without:
        source, span = row["source"].replace("\\", "/"), ("", "")
        if len(row["clips"]) > 1:
            edges = [sum(row["frames"][:k]) / HUMANML3D.fps for k in (number, number + 1)]
            span = (f"{edges[0]:.2f}", f"{edges[1]:.2f}")
        sentence = there.get((source, _seconds(span[0])))
        if sentence is None:
            sentence = measure(np.load(project.set / "new_joints" / f"{clip}.npy")).sentence()
            writer.writerow({"file": source, "from": span[0], "to": span[1], "caption": "", "draft": sentence})
        if len(drafts) < 3:
            drafts[clip] = sentence
    if added.getvalue():
        write_file(project.table, f"{text.rstrip(chr(10))}\n{added.getvalue()}")
    return drafts, [clip for clip, *_ in without]


# -- what comes next ----------------------------------------------------------------------------------------


def _next(project: Project, report: dict[str, Any], plan: dict[str, Any], captioned: int) -> dict[str, Any]:
    """{"run", "stage", "expect", "said", "next"}, see `start`."""
    run, clips = run_of(project), sum(report["clips"].values())
    words = project.state.get("overrides") or []
    here, train = _line("motionllm", "start", project.takes), _line("motionllm", "train", project.recipe, *words)
    if project.folder != Path(f"{_plain_name(project.takes)}-project"):
        here += f" --out {shlex.quote(str(project.folder))}"
    held_out = next(
        (project.set / f"{s}.txt" for s in ("test", "val") if report["clips"][s]), project.set / "train.txt"
    )
    said_in = project.folder / "captions-by-model.jsonl"
    texts = _texts(project, held_out)
    if (run / "result.json").is_file():
        stage = "try"
        asked = next(iter(texts.values()), "a person walks forward")
        lines = [
            _line("motionllm", "caption", project.set, "--ids", held_out, "--model", run, "--out", said_in),
            here,
            _line("motionllm", "data", "library", "--model", run, "--exact"),
            _line("motionllm", "generate", asked, "--model", run, "--out", project.folder / "first.html"),
            _line("motionllm", "chat", "--model", run),
        ]
    elif (run / "checkpoint.pt").is_file():
        stage, lines = "resume", [_line("motionllm", "train", "--resume", run), here]
    elif captioned < clips / 2 and not run.exists():
        stage, lines = "label", [here, train]
    else:
        stage, lines = "train", [train, here]
    rows = {str(row.get("id")): str(row.get("caption")) for _, row in read_jsonl(said_in)} if said_in.is_file() else {}
    said = [(clip, text, rows[clip]) for clip, text in texts.items() if clip in rows]
    expect = expectations(report["clips"], captioned, plan["passes"])
    return {"run": run, "stage": stage, "expect": expect, "said": said, "next": lines}


def _plain_name(takes: Path) -> str:
    return re.sub(r"\W+", "-", takes.resolve().name).strip("-").lower() or "own"


def _line(*words: str | Path) -> str:
    return " ".join(shlex.quote(str(word)) for word in words)


def _texts(project: Project, listing: Path) -> dict[str, str]:
    """{clip: its first text, else its draft} of the clips of a list."""
    texts = {}
    for clip in read_text(listing, "list of ids").split():
        file = project.set / "texts" / f"{clip}.txt"
        own = read_text(file, "text").split("#")[0].split("\n")[0].strip() if file.is_file() else ""
        texts[clip] = own or measure(np.load(project.set / "new_joints" / f"{clip}.npy")).sentence()
    return texts


def expectations(clips: dict[str, int], captioned: int, passes: float) -> list[str]:
    """What may be hoped for of so many clips, in sentences. clips: of each split; captioned: how many have a text."""
    total, held_out = sum(clips.values()), clips["test"] or clips["val"]
    lines = []
    if not captioned:
        lines.append(
            "No clip has words of yours. Trained so, the model says what is measured (a person bends down, raises an "
            "arm), which the shipped adapter does already. What you call things it learns from captions alone."
        )
    elif captioned < total:
        lines.append(
            f"{total - captioned} clips have only a draft; the model learns your words from the other {captioned}."
        )
    if total < FEW:
        lines.append(
            f"{total} clips are few. Captions can take your words for what occurs about five times and more; new "
            "motions stay near what the shipped adapter makes. Several takes of each action, by several people, help."
        )
    elif total < MANY:
        lines.append(
            f"{total} clips are enough for your words, and for motions in the manner of your takes, of what is common."
        )
    else:
        lines.append(
            f"{total} clips can carry a motion tokenizer of their own, which keeps more of their detail: "
            "adapter.start=null model.tokenizer=tokenizer/bandai.yaml."
        )
    if held_out:
        lines.append(f"{held_out} held-out clips judge it: one of them is {100 / held_out:.0f} % of a score.")
    else:
        lines.append("Too few takes to hold any out: nothing will say when it begins to learn by heart.")
    if passes < PASSES / 3:
        lines.append(f"Each clip is seen {passes:.1f} times; {PASSES} do it more good: give more with --minutes.")
    return lines
