"""A performance as FBX, by Blender: a GLB is written, Blender makes FBX of it, reads that back, and it is compared."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.files import parse_json, whole
from motionllm.motion.characters.gltf_saving import animated
from motionllm.motion.characters.performance import Performance

SCRIPT = Path(__file__).with_name("blender_script.py")
NEAR = 0.001  # metres: how far a joint of the FBX may be from ours
_SECONDS = 1800


def blender() -> list[str]:
    """The command that runs a script in Blender: $MOTIONLLM_BLENDER (Blender, or a Python with bpy), this Python where
    it has the package bpy, else `blender` on the path. Raises MotionLLMError where there is none.
    """
    given = os.environ.get("MOTIONLLM_BLENDER", "")
    if not given and importlib.util.find_spec("bpy"):
        return [sys.executable]
    program = shutil.which(given or "blender")
    if program is None:
        missing = f"MOTIONLLM_BLENDER is '{given}', which is no program" if given else "FBX is written by Blender"
        raise MotionLLMError(
            f"{missing}: pip install 'motionllm[bpy]', or set MOTIONLLM_BLENDER to Blender or to a Python with bpy."
        )
    if "python" in Path(program).name:
        return [program]
    return [program, "--background", "--factory-startup", "--python"]


def write_fbx(performance: Performance, path: Path, name: str) -> None:
    """Write .fbx. Raises MotionLLMError where Blender is missing or fails, or its joints are not where ours are."""
    command = blender()
    with tempfile.TemporaryDirectory() as folder, whole(path) as part:
        source, report = Path(folder) / "character.glb", Path(folder) / "poses.json"
        source.write_bytes(animated(performance, name).to_bytes())
        words = [*command, str(SCRIPT), "--", str(source), str(part), str(report)]
        words += [f"{performance.fps:.9g}", str(len(performance))]
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MotionLLMError(f"Blender did not write FBX ({str(error)[:200]}).") from None
        if done.returncode or not report.is_file():
            last = ([line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["no message"])[-1]
            raise MotionLLMError(f"Blender did not write FBX ({last.strip()[:200]}).")
        poses = parse_json(report.read_text(encoding="utf-8"), "Blender's report")
        check(performance, {bone: np.array(places) for bone, places in poses.items()})


def check(performance: Performance, poses: dict[str, np.ndarray]) -> float:
    """How far the joints are at most from ours, metres. Raises MotionLLMError where they are not there, or too far."""
    ours, unit = performance.joints(), performance.character.unit
    at = {joint.replace(":", "_")[:60]: j for j, joint in enumerate(performance.character.joints)}
    shared = {bone: at[key] for bone in poses if (key := bone.replace(":", "_")[:60]) in at}
    if len(shared) < len(performance.moving):
        raise MotionLLMError(
            f"the FBX that Blender wrote holds {len(shared)} of the character's joints; update Blender."
        )
    far = max(float(np.linalg.norm(poses[bone] * unit - ours[:, j], axis=-1).max()) for bone, j in shared.items())
    if far > NEAR:
        raise MotionLLMError(f"the FBX that Blender wrote has joints {100 * far:.1f} cm from where they belong.")
    return far
