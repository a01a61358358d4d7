"""`motionllm data robot MOTION --to ROBOT --out FILE`: a motion for a humanoid robot, within its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import emit, read_clip

FAR = 3.0  # cm from a target: then it is said where, and whether the target can be reached at all


def robot(
    motion: Annotated[Path, typer.Argument(help="A motion file.")],
    to: Annotated[str, typer.Option(help="g1, h1, t1, or the YAML of a robot of your own.")],
    out: Annotated[
        list[Path], typer.Option(help="What to write: .csv, .npz, .mp4 or .gif; may be given several times.")
    ],
    layout: Annotated[
        str, typer.Option("--format", help="Of a CSV: lafan1 (quaternion x y z w) or mujoco (w x y z).")
    ] = "lafan1",
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 30.0,
    rig: Annotated[
        Path | None, typer.Option(help="YAML that names the joints of a rig that is not recognised.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put a motion on a humanoid robot: joint, velocity and collision limits kept, feet still where they stand."""
    from motionllm.errors import MotionLLMError, about
    from motionllm.files import check_place
    from motionllm.robots.robot import load_robot

    kinds = (".csv", ".npz", ".mp4", ".gif")
    for place in out:
        if place.suffix.lower() not in kinds:
            raise MotionLLMError(f"{place}: a robot's motion is saved as {', '.join(kinds)}, not '{place.suffix}'.")
        check_place(place)
    if not 5 <= fps <= 500:
        raise MotionLLMError(f"--fps is {fps:g}; 5 to 500 frames per second are possible.")
    with about(motion):
        clip = read_clip(motion, rig)
    machine = load_robot(to)
    from motionllm.robots.playback import save_movie
    from motionllm.robots.retarget import retarget
    from motionllm.robots.saving import check_format, save_csv, save_npz

    check_format(layout)
    if layout != "lafan1" and not any(place.suffix.lower() == ".csv" for place in out):
        raise MotionLLMError(f"--format {layout} would do nothing: it is of a CSV, and none is written; leave it out.")
    with about(motion):
        qpos, report = retarget(clip, machine, fps)
    for place in out:
        if place.suffix.lower() == ".csv":
            save_csv(machine, qpos, fps, place, layout, report)
        elif place.suffix.lower() == ".npz":
            save_npz(machine, qpos, fps, place, report)
        else:
            save_movie(machine, qpos, fps, place)
    emit({"out": out, **report}, as_json, _text(report, out))


def _text(report: dict[str, Any], out: list[Path]) -> str:
    """The report in lines."""
    lines = [
        f"{report['robot']}: {report['frames']} frames at {report['fps']:g} fps in {', '.join(map(str, out))}",
        f"limits broken  {report['limits_broken']} (joints {report['joint_limits_broken']}, velocities "
        f"{report['velocity_limits_broken']}, links that overlap in {report['self_collisions']} frames); "
        f"fastest: {report['fastest_joint']} at {report['fastest_share']:.0%} of its velocity",
    ]
    if report["contacts"]:
        lines.append(
            f"feet slip      {report['slip_mean_cm']:.1f} cm on average, {report['slip_max_cm']:.1f} cm at most, "
            f"in {report['contacts']} contacts"
        )
    for name in ("hands", "feet"):
        mean, most, worst, held = (report[f"{name}_{kind}_cm"] for kind in ("mean", "p95", "max", "held"))
        frame = report[f"{name}_max_frame"]
        far = f" (frame {frame}; {held:.1f} cm if that posture is held)" if worst > FAR else ""
        lines.append(
            f"{name:<15}{mean:.1f} cm from their targets on average, {most:.1f} cm in 95 % of frames, "
            f"{worst:.1f} cm at most{far}"
        )
    lines.append(f"floor          {report['under_floor_mm']:.0f} mm under it at most")
    lines.append(f"solved at      {report['solved_fps']:.0f} frames per second")
    return "\n".join(lines)
