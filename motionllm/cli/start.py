"""`motionllm start FOLDER`: from a folder of motion files of one's own to a model, a stage a call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import emit

MOST = 5  # lines of each kind


def start(
    takes: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of motion files; sub-folders too.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words for the recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="The project's folder; default NAME-project.")] = None,
    captions: Annotated[
        str | None, typer.Option(help="CSV or JSONL of file, caption (from, to); `names` for file names.")
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(help="YAML that names the joints of a rig that is not recognised.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Minutes of training, at most.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes that import; default one a core.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import a folder, draft captions, write a recipe that fits, and say what to do next; call it again at any time."""
    from motionllm.app.start import start as begin
    from motionllm.runs.progress import Bar

    with Bar(f"import {takes.name}") as bar:
        result = begin(takes, out, captions, rig, minutes, overrides or [], workers, bar.update)
    emit(result, as_json, "\n".join(lines(result)))


def lines(result: dict[str, Any]) -> list[str]:
    """The report for the terminal: a numbered line for each stage, what to expect, and the next commands."""
    from motionllm.cli.data import lost
    from motionllm.data.importing import summary

    report, plan, project, clips = result["import"], result["plan"], result["project"], result["clips"]
    refused = report["refused"]
    minutes = f"about {plan['minutes']:.0f} minutes here" if plan["minutes"] else "time not estimated"
    shown = [
        f"1 import    {clips} clips of {report['seconds'] / 60:.1f} minutes in {project / 'set'}: "
        + ", ".join(f"{count} {split}" for split, count in report["clips"].items()),
        f"            look at {project / 'set' / 'contact.png'}",
        *(f"            {line}" for line in lost(report["unused"], MOST)),
        *(f"            noted in {line}" for line in summary(report["notes"], MOST)),
        *(f"            refused {name}: {why}" for name, why in list(refused.items())[:MOST]),
        *([f"            refused: {len(refused) - MOST} more, in import.json"] if len(refused) > MOST else []),
        f"2 captions  {result['captioned']} of {clips} clips have a text, {result['drafted']} a draft (by measurement)"
        + (f" in {project / 'captions.csv'}" if result["drafted"] else ""),
        *(f"            {clip}: {sentence}" for clip, sentence in result["drafts"].items()),
        f"3 recipe    {result['recipe']}{' (changed by you, kept)' if result['edited'] else ''}: "
        f"{plan['steps']} steps, "
        f"{minutes}, each clip seen {plan['passes']:.0f} times, {plan['memory_gib']:.1f} GiB",
        {
            "label": "4 training  not begun",
            "train": "4 training  not begun",
            "resume": f"4 training  begun in {result['run']}",
            "try": f"4 training  done: {result['run']}",
        }[result["stage"]],
    ]
    for clip, text, said in result["said"]:
        shown += [f"5 held out  {clip}: {text}", f"     model:  {said}"]
    return [*shown, "", *(f"Expect: {line}" for line in result["expect"]), "", *_next(result)]


def _next(result: dict[str, Any]) -> list[str]:
    table, commands = result["project"] / "captions.csv", result["next"]
    if result["stage"] == "label":
        return [
            "Next: say what each clip shows, by keyboard on a page, where you can also train and compare,",
            f"  {result['web']}",
            f"or in the column `caption` of {table} (a spreadsheet will do); then",
            f"  {commands[0]}",
            "or train with the drafts as they are:",
            f"  {commands[1]}",
        ]
    return ["Next:", *(f"  {command}" for command in commands)]
