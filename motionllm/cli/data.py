"""`motionllm data import | build-humanml3d | convert | facts | view`: motion files in and out, and what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import CONTEXT, emit

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Import motion files, measure them, look at them.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Rig = Annotated[Path | None, typer.Option(help="YAML that names the joints of a rig that is not recognised.")]


@app.command("import", context_settings=CONTEXT)
def import_(
    folder: Annotated[Path, typer.Argument(help="A folder of .bvh, .npy or .npz files; sub-folders too.")],
    out: Annotated[Path, typer.Option(help="The data set's folder, in HumanML3D's layout.")],
    captions: Annotated[
        str | None,
        typer.Option(help="CSV or JSONL of file, caption (from, to); `names` for file names; default NAME.txt files."),
    ] = None,
    rig: Rig = None,
    val: Annotated[float, typer.Option(help="Share of the clips held out for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share held out for testing.")] = 0.05,
    longest: Annotated[float, typer.Option(help="Seconds; longer takes are cut into even pieces.")] = 9.8,
    workers: Annotated[int | None, typer.Option(help="Processes; default one a core.")] = None,
    as_json: Json = False,
) -> None:
    """Turns a folder of mocap of any rig into a data set that recipes read. Exit status 2 where files were refused."""
    from motionllm.data.importing import import_folder
    from motionllm.tracking import Bar

    with Bar(f"import {folder.name}") as bar:
        report = import_folder(folder, out, captions, rig, val, test, longest, workers, bar.update)
    refused = report["refused"]
    lines = [f"{sum(report['clips'].values())} clips of {report['seconds'] / 60:.1f} minutes in {out}: "
             + ", ".join(f"{n} {split}" for split, n in report["clips"].items()),
             *(f"refused {name}: {why}" for name, why in refused.items()),
             f"look at {out / 'contact.png'}"]  # fmt: skip
    emit(report, as_json, "\n".join(lines))
    if refused:
        raise typer.Exit(2)


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
    """Builds HumanML3D's motion from AMASS, mirrored clips included. Exit status 2 where takes are missing."""
    from motionllm.data.build_humanml3d import build
    from motionllm.tracking import Bar

    with Bar("build HumanML3D") as bar:
        report = build(amass, index, out, body_models, check, bar.update)
    missing = report["missing"]
    lines = [f"{report['built']} clips built, {report['kept']} kept, {len(missing)} missing, in {out}",
             *(f"missing {source}: {why}" for source, why in list(missing.items())[:20]),
             *(f"check {name}: {error:.1f} mm from the published clip" for name, error in report.get("check", {}).items())]  # fmt: skip  # noqa: E501
    emit(report, as_json, "\n".join(lines))
    if missing:
        raise typer.Exit(2)


@app.command(context_settings=CONTEXT)
def convert(
    clip: Annotated[Path, typer.Argument(help="A motion file.")],
    out: Annotated[Path, typer.Argument(help="What to write: .bvh .glb .html .npy .npz .png .gif .mp4.")],
    rig: Rig = None,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="As models see it: 22 joints, 20 fps, target skeleton, facing +Z.")
    ] = False,
    lock_feet: Annotated[bool, typer.Option("--lock-feet", help="Standing feet do not slide; 22 joints.")] = False,
    leg: Annotated[float | None, typer.Option(help="Thigh + shin in metres: gives the body this size.")] = None,
    as_json: Json = False,
) -> None:
    """Converts a motion file; untouched, a BVH's own rotations are kept."""
    from motionllm.errors import about
    from motionllm.motion import Motion

    with about(clip):
        motion = Motion.load(clip, rig)
        motion = motion.canonical() if canonical else motion
        motion = motion.lock_feet() if lock_feet else motion
        motion = motion.scaled(leg) if leg is not None else motion
    motion.save(out)
    emit({"out": out, "seconds": motion.duration, "fps": motion.fps, "frames": len(motion)}, as_json, str(out))


@app.command(context_settings=CONTEXT)
def facts(clip: Annotated[Path, typer.Argument(help="A motion file.")], rig: Rig = None, as_json: Json = False) -> None:
    """Measures what a clip shows: distance, turns, steps, jumps, waves … with their times."""
    from motionllm.errors import about
    from motionllm.motion import Motion
    from motionllm.motion.facts import facts as measure

    with about(clip):
        found = measure(Motion.load(clip, rig).canonical().joints)
    values = found.json()
    lines = [f"{name.replace('_', ' '):<15} {value:.2f}" if isinstance(value, float) else
             f"{name.replace('_', ' '):<15} {value}" for name, value in values.items() if name != "events"]  # fmt: skip
    for event in found.events:
        details = [event.side, event.direction, f"{event.count} times" if event.count > 1 else ""]
        said = ", ".join(detail for detail in details if detail)
        lines.append(f"{event.start:5.1f} – {event.end:4.1f} s  {event.name}{f' ({said})' if said else ''}")
    emit({"clip": clip, **values}, as_json, "\n".join(lines))


@app.command(context_settings=CONTEXT)
def view(
    clips: Annotated[list[Path], typer.Argument(help="One to four motion files, shown side by side.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("motion.html"),
    rig: Rig = None,
    as_json: Json = False,
) -> None:
    """Writes an interactive page: turn, scrub, play speed, clips side by side. It works offline."""
    from motionllm.motion import Motion
    from motionllm.motion.page import write_page

    write_page([Motion.load(clip, rig) for clip in clips], out, [clip.stem for clip in clips])
    emit({"page": out}, as_json, str(out))
