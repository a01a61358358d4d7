"""`motionllm data …`: motion files in and out, what they show, and what a recipe makes of its data.

import, build-humanml3d, convert, retarget, robot, facts, notate, gait, exercise, view; encode, preview and stats of a
recipe; the library of an adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import CONTEXT, emit, read_clip
from motionllm.cli.encode import encode
from motionllm.cli.exercise import exercise
from motionllm.cli.library import library
from motionllm.cli.retarget import retarget
from motionllm.cli.robot import robot
from motionllm.motion.formats import READERS, WRITERS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Import motion files, measure and look at them; show a recipe's data.",
)

MOST = 20  # refused files listed one by one; if there are more, one line per kind of reason

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Rig = Annotated[Path | None, typer.Option(help="YAML that names the joints of a rig that is not recognised.")]


@app.command("import", context_settings=CONTEXT)
def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            help=f"A folder of motion files ({' '.join(READERS)}), sub-folders too; or owner/name on the hub."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The data set's folder, in HumanML3D's layout.")],
    captions: Annotated[
        str | None,
        typer.Option(help="CSV or JSONL of file, caption (from, to); `names` for file names; default NAME.txt files."),
    ] = None,
    rig: Rig = None,
    val: Annotated[float, typer.Option(help="Share of the clips held out for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share held out for testing.")] = 0.05,
    longest: Annotated[float, typer.Option(help="Seconds; longer takes are cut into even pieces.")] = 9.8,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes; default one a core.")] = None,
    uncaptioned: Annotated[
        bool, typer.Option("--uncaptioned", help="Take files without a caption too, for `captions: [notation]`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import a folder of mocap of any rig as a data set for recipes. Exit status 2 where files were refused."""
    from motionllm import hub
    from motionllm.errors import MotionLLMError

    if hub.is_name(str(folder)) or any((folder / "data").glob("*.parquet")):
        own: dict[str, Any] = {
            "--captions": captions,
            "--rig": rig,
            "--workers": workers,
            "--uncaptioned": uncaptioned or None,
        }
        own |= {"--longest": longest if longest != 9.8 else None}
        own |= {"--val": val if val != 0.05 else None, "--test": test if test != 0.05 else None}
        if wrong := [name for name, given in own.items() if given is not None]:
            raise MotionLLMError(
                f"{', '.join(wrong)} would do nothing: {folder} is a data set with captions and splits of its own; "
                "leave it out."
            )
        from motionllm.data.hub_sets import import_set

        result = import_set(str(folder), out)
        clips = ", ".join(f"{n} {split}" for split, n in result["clips"].items())
        emit(result, as_json, f"{sum(result['clips'].values())} clips of {result['from']} in {out}: {clips}")
        return
    from motionllm.data.importing import import_folder, summary
    from motionllm.runs.progress import Bar

    with Bar(f"import {folder.name}") as bar:
        report = import_folder(folder, out, captions, rig, val, test, longest, workers, bar.update, uncaptioned)
    refused = report["refused"]
    lines = [
        f"{sum(report['clips'].values())} clips of {report['seconds'] / 60:.1f} minutes in {out}: "
        + ", ".join(f"{n} {split}" for split, n in report["clips"].items()),
        *lost(report["unused"]),
        *(f"noted in {line}" for line in summary(report["notes"])),
        *(f"refused {name}: {why}" for name, why in list(refused.items())[:MOST]),
        *(f"refused {line}" for line in summary({name: [why] for name, why in list(refused.items())[MOST:]})),
        f"look at {out / 'contact.png'}; {out / 'import.json'} holds every note",
    ]
    emit(report, as_json, "\n".join(lines))
    if refused:
        raise typer.Exit(2)


def lost(unused: Sequence[str], most: int = MOST) -> list[str]:
    """Captions that are in no clip, as lines for the terminal: what somebody wrote and would not miss."""
    lines = [f"caption not used: {line}" for line in unused[:most]]
    return [*lines, *([f"captions not used: {len(unused) - most} more, in import.json"] if len(unused) > most else [])]


@app.command("build-humanml3d", context_settings=CONTEXT)
def build_humanml3d(
    amass: Annotated[Path, typer.Option(help="The folder that holds AMASS's sets, unpacked.")],
    index: Annotated[Path, typer.Option(help="HumanML3D's index.csv.")],
    out: Annotated[Path, typer.Option(help="The data set's folder; put its texts/ and split lists there too.")],
    body_models: Annotated[Path | None, typer.Option(help="SMPL-H models for smplx: joints as the authors'.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Published new_joints/ or new_joint_vecs/ to compare with.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build HumanML3D's motion from AMASS, mirrored clips included. Exit status 2 where takes are missing."""
    from motionllm.data.build_humanml3d import build
    from motionllm.runs.progress import Bar

    with Bar("build HumanML3D") as bar:
        report = build(amass, index, out, body_models, check, bar.update)
    missing = report["missing"]
    lines = [
        f"{report['built']} clips built, {report['kept']} kept, {len(missing)} missing, in {out}",
        *(f"missing {source}: {why}" for source, why in list(missing.items())[:20]),
        *(f"check {name}: {error:.1f} mm from the published clip" for name, error in report.get("check", {}).items()),
    ]
    emit(report, as_json, "\n".join(lines))
    if missing:
        raise typer.Exit(2)


@app.command(context_settings=CONTEXT)
def convert(
    clip: Annotated[Path, typer.Argument(help="A motion file.")],
    out: Annotated[Path, typer.Argument(help=f"What to write: {' '.join(WRITERS)}.")],
    rig: Rig = None,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="As models see it: 22 joints, 20 fps, target skeleton, facing +Z.")
    ] = False,
    lock_feet: Annotated[bool, typer.Option("--lock-feet", help="Standing feet do not slide; 22 joints.")] = False,
    leg: Annotated[float | None, typer.Option(help="Thigh + shin in metres: gives the body this size.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second; 24 puts a key on every frame in Blender.")
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="cm or m: BVH in these and Y up, the rig kept, whatever the file has.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="mixamo or unreal: BVH or GLB of the 22 joints with these names.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a motion file; an unchanged BVH keeps its own rotations."""
    from motionllm.errors import about

    with about(clip):
        motion = read_clip(clip, rig)
        motion = motion.canonical() if canonical else motion
        motion = motion.lock_feet() if lock_feet else motion
        motion = motion.scaled(leg) if leg is not None else motion
        motion = motion.resample(fps) if fps is not None else motion
    if names is not None:
        from motionllm.motion.formats.naming import save_named

        save_named(motion, out, names, units)
    else:
        motion.save(out, units)
    emit({"out": out, "seconds": motion.duration, "fps": motion.fps, "frames": len(motion)}, as_json, str(out))


@app.command(context_settings=CONTEXT)
def facts(clip: Annotated[Path, typer.Argument(help="A motion file.")], rig: Rig = None, as_json: Json = False) -> None:
    """Measure what a clip shows: distance, turns, steps, jumps, waves … with their times."""
    from motionllm.errors import about
    from motionllm.motion.facts import facts as measure

    with about(clip):
        motion = read_clip(clip, rig)
        measured = measure(motion.canonical().joints)
    values = measured.json()
    units = dict(duration="s", distance="m", displacement="m", mean_speed="m/s", top_speed="m/s", jump_height="m")
    units |= {"turn": "degrees"}
    lines = []
    for name, value in values.items():
        if name != "events" and value != "":
            shown = f"{value:.2f}" if isinstance(value, float) else value
            lines.append(f"{name.replace('_', ' '):<15} {shown} {units.get(name, '')}".rstrip())
    for event in measured.events:
        details = [event.side, event.direction, f"{event.count} times" if event.count > 1 else ""]
        text = ", ".join(detail for detail in details if detail)
        lines.append(f"{event.start:5.1f} – {event.end:4.1f} s  {event.name}{f' ({text})' if text else ''}")
    emit({"clip": clip, **values}, as_json, "\n".join(lines))


@app.command(context_settings=CONTEXT)
def notate(
    clip: Annotated[Path, typer.Argument(help="A motion file, or a folder of them.")],
    out: Annotated[Path | None, typer.Option(help="JSON lines to write, one a clip: id, notation, sentence.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="A notation in a file: how well the clip keeps to it, event by event.")
    ] = None,
    rig: Rig = None,
    as_json: Json = False,
) -> None:
    """Write down what a clip's body does, one line per event, and in one sentence; needs no model."""

    from motionllm.errors import MotionLLMError, about
    from motionllm.files import check_place, read_text, write_jsonl
    from motionllm.motion.notation import Notation, measure

    if out is not None:
        check_place(out)

    def notation(path: Path) -> Notation:
        with about(path):
            motion = read_clip(path, rig)
            return measure(motion.canonical().joints)

    plan = None
    if against is not None:
        if clip.is_dir():
            raise MotionLLMError(f"--against compares one clip with a plan, and {clip} is a folder; give a file of it.")
        with about(against):
            plan = Notation.parse(read_text(against, "notation"))
    if not clip.is_dir():
        measured = notation(clip)
        row: dict[str, Any] = {"clip": clip, "notation": str(measured), "sentence": measured.sentence()}
        text = f"{measured}\n{measured.sentence()}"
        if plan is not None:
            from motionllm.motion.agreement import agreement

            comparison = agreement(plan, measured)
            row |= {
                "agreement": comparison.score,
                "ends": dict(comparison.ends),
                "events": [
                    {
                        "planned": event.planned and str(event.planned),
                        "measured": event.found and str(event.found),
                        "agrees": dict(event.agrees),
                        "score": event.score,
                        "wrong": event.wrong,
                    }
                    for event in comparison.rows
                ],
            }
            text = str(comparison)
        if out is not None:
            write_jsonl(out, [{**row, "clip": str(clip)}])
        emit(row, as_json, text)
        return
    from motionllm.app.captioning import motion_files

    rows, failed = [], {}
    for name, path in motion_files(clip).items():
        try:
            measured = notation(path)
        except MotionLLMError as error:
            failed[name] = str(error)
            continue
        rows.append({"id": name, "notation": str(measured), "sentence": measured.sentence()})
    if out is not None:
        write_jsonl(out, rows)
    text = "\n\n".join(f"{row['id']}\n{row['notation']}\n{row['sentence']}" for row in rows)
    text = f"{len(rows)} clips in {out}" if out is not None else text
    result = {"clips": len(rows), "failed": failed, **({"out": out} if out is not None else {"rows": rows})}
    emit(result, as_json, "\n".join([text, *(f"failed: {error}" for error in failed.values())]))
    if failed:
        raise typer.Exit(2)


@app.command(context_settings=CONTEXT)
def gait(
    clip: Annotated[Path, typer.Argument(help="A motion file of a walk.")],
    report: Annotated[
        Path | None, typer.Option(help="A page to write: figures, and the joints over the stride.")
    ] = None,
    age: Annotated[float | None, typer.Option(help="Years; with --sex, the usual speed is that of this age.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male.")] = None,
    rig: Rig = None,
    as_json: Json = False,
) -> None:
    """Measure a walk: cadence, speed, steps, phases, symmetry, joint ranges. For research; not a medical device."""
    from motionllm.errors import about
    from motionllm.motion.gait import LIMITS, NOT_A_DEVICE, summary, table
    from motionllm.motion.gait import gait as measure
    from motionllm.motion.show.gait_page import outliers, usual_of, write_gait_page

    with about(clip):
        motion = read_clip(clip, rig)
        body = motion.body()
        result = measure(body.joints, body.fps)
        values = {"clip": clip, **result.json(age, sex)}
    if report is not None:
        write_gait_page(result, report, clip.stem, age, sex)
        values["report"] = report
    head = ("", "both", "left", "right", "unit", "usual")
    outside = [[name in outlying for name in ("both", "left", "right")] for outlying in outliers(result, age, sex)]
    lines = [f"{head[0]:<16}{head[1]:>8}{head[2]:>8}{head[3]:>8}  {head[4]:<10}{head[5]}"]
    for row, marked in zip(table(result, age, sex), outside, strict=True):
        cells = "".join(f"{cell:>8}{'*' if mark else ' '}"[1:] for cell, mark in zip(row[1:4], marked, strict=True))
        lines.append(f"{row[0]:<17}{cells} {row[4]:<10}{row[5]}")
    if any(map(any, outside)):
        lines.append(usual_of(age, sex))
    lines += [f"{row[0]:<40}{row[1]}" for row in summary(result)]
    lines += [f"{len(result.strides)} strides, {result.left_out} left out", *result.unmeasured, *LIMITS, NOT_A_DEVICE]
    emit(values, as_json, "\n".join(lines))


app.command(context_settings=CONTEXT)(exercise)
app.command(context_settings=CONTEXT)(retarget)
app.command(context_settings=CONTEXT)(robot)


@app.command(context_settings=CONTEXT)
def view(
    clips: Annotated[list[Path], typer.Argument(help="One to four motion files, shown side by side.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("motion.html"),
    rig: Rig = None,
    as_json: Json = False,
) -> None:
    """Write an interactive page: rotate, scrub, play speed, clips side by side. It works offline."""
    from motionllm.motion.show.page import write_page

    write_page([read_clip(clip, rig) for clip in clips], out, [clip.stem for clip in clips])
    emit({"page": out}, as_json, str(out))


app.command(context_settings=CONTEXT)(encode)
app.command(context_settings=CONTEXT)(library)


Recipe = Annotated[str, typer.Argument(help="A recipe: a file, or the name of a shipped one.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value words, as for `train`.")]
Run = Annotated[Path | None, typer.Option(help="Run folder of a recipe that trains its motion tokenizer first.")]


@app.command(context_settings=CONTEXT)
def preview(
    recipe: Recipe,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="Examples to show.")] = 5,
    task: Annotated[str | None, typer.Option(help="Of this task alone.")] = None,
    out: Run = None,
    colour: Annotated[
        bool | None, typer.Option("--colour/--no-colour", help="Supervised text in green, or within ⟦ ⟧.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show training examples as the model sees them, in training order, with supervised text marked."""
    import sys

    words = [*(overrides or []), *([f"data.tasks={{{task}: 1}}"] if task else [])]
    mix = _mixture(recipe, words, out)
    from motionllm.data.mixture import name_of, stretches

    green = sys.stdout.isatty() if colour is None else colour
    opened, closed = ("\033[32m", "\033[0m") if green else ("⟦", "⟧")
    examples, lines = [], []
    for _ in range(count):
        name, number, tokens = mix.examples.draw_from()
        source = mix.recipe.data.sources[number]
        pieces = stretches(tokens, mix)
        learned = sum(tokens.supervised[1:])
        examples.append(
            {
                "task": name,
                "source": name_of(source.kind, source.path),
                "tokens": len(tokens.ids),
                "supervised": learned,
                "stretches": pieces,
            }
        )
        text = "".join(f"{opened}{piece}{closed}" if supervised else piece for piece, supervised in pieces)
        lines.append(f"— {name}, {examples[-1]['source']}: {len(tokens.ids)} tokens, {learned} supervised\n{text}")
    emit({"examples": examples}, as_json, "\n".join(lines))


@app.command(context_settings=CONTEXT)
def stats(recipe: Recipe, overrides: Overrides = None, out: Run = None, as_json: Json = False) -> None:
    """Count what a recipe trains on: clips, seconds, tokens, by source and by task. Encodes the clips once."""
    mix = _mixture(recipe, overrides or [], out)
    from motionllm.data.mixture import statistics

    result = statistics(mix)
    emit(result, as_json, mixture_lines(result))


def mixture_lines(result: dict[str, Any]) -> str:
    """The tables of `statistics`."""
    lines = [f"{'source':<24}{'clips':>9}{'minutes':>9}{'captions':>10}{'questions':>11}{'examples':>10}"]
    lines += [
        f"{s['source']:<24}{s['clips']:>9}{s['seconds'] / 60:>9.1f}{s['captions']:>10}{s['questions']:>11}"
        f"{s['share']:>10.0%}"
        for s in result["sources"]
    ]
    lines += ["", f"{'task':<24}{'examples':>9}{'tokens':>9}{'learned':>10}{'of all':>11}{'cut':>10}"]
    lines += [
        f"{t['task']:<24}{t['share']:>9.0%}{t['tokens']:>9.1f}{t['supervised']:>10.1f}"
        f"{t['supervised_share']:>11.0%}{t['cut']:>10.0%}"
        for t in result["tasks"]
    ]
    epoch = result["epoch"]
    padding = "" if result["padding"] is None else f"; {result['padding']:.1%} of the rows is padding"
    return "\n".join(
        [
            *lines,
            "",
            f"an epoch: {epoch['examples']} examples, {epoch['tokens']} tokens, "
            f"{epoch['supervised']} of them learned{padding}",
        ]
    )


def _mixture(recipe: str, overrides: list[str], out: Path | None) -> Any:
    from motionllm.config import find_recipe

    settings = find_recipe("recipes", recipe, overrides)
    from motionllm.data.mixture import mixture
    from motionllm.data.prepare import clips_of, motion_tokenizer_of

    motion_tokenizer = motion_tokenizer_of(settings, out or Path("runs") / settings.name, fit=False)
    return mixture(settings, motion_tokenizer, clips_of(settings, "train", motion_tokenizer))
