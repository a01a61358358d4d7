"""C3D files with joint centres, written here by the library itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion
from motionllm import corpus as builtin
from motionllm.errors import MotionFileError
from motionllm.motion.skeleton import HUMANML3D

c3d = pytest.importorskip("c3d", reason="the package c3d is not installed (pip install 'motionllm[c3d]')")
PARTS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
NAMES = {
    "centres": dict(zip(PARTS, ("{}HJC", "{}KJC", "{}AJC", "{}SJC", "{}EJC", "{}WJC"), strict=True)),
    "gait": dict(zip(PARTS, ("{}FEP", "{}FEO", "{}TIO", "{}CLO", "{}HUO", "{}RAO"), strict=True)),
    "words": {part: f"{{}}_{part}" for part in PARTS},
}
HEAD = {"centres": "Head", "gait": "HEDO", "words": "head"}


def write(path: Path, joints: np.ndarray, kind: str = "centres", hidden: slice | None = None, drop: str = "") -> Path:
    """Joints (T, 22, 3), metres, Y up, as the points of a Z-up C3D in millimetres."""
    labels, columns = [], []
    for part, name in NAMES[kind].items():
        for side in ("left", "right"):
            label = name.format(side if kind == "words" else side[0].upper())
            if label != drop:
                labels.append(label)
                columns.append(HUMANML3D.joints.index(f"{side}_{part}"))
    labels += [HEAD[kind], "LASI"]
    columns += [HUMANML3D.joints.index("head"), 0]
    points = np.zeros((len(joints), len(labels), 5), np.float32)
    points[..., :3] = np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1)[:, columns] * 1000
    if hidden:
        points[hidden, 0, 3] = -1
        points[hidden, 0, :3] = 0
    writer = c3d.Writer(point_rate=60.0, analog_rate=0.0)
    writer.set_point_labels(labels)
    writer.add_frames([(frame, np.zeros((0, 0))) for frame in points])
    with open(path, "wb") as stream:
        writer.write(stream)
    return path


def kick() -> np.ndarray:
    return builtin.joints(builtin.Spec((builtin.Part("kick", side="left"),)), 1)


@pytest.mark.parametrize("kind", list(NAMES))
def test_joint_centres_are_read_by_name(kind: str, tmp_path: Path) -> None:
    joints = kick()
    motion = Motion.load(write(tmp_path / "take.c3d", joints, kind))
    assert motion.skeleton is HUMANML3D and motion.fps == 60
    for name in ("left_hip", "right_knee", "left_ankle", "right_wrist", "head"):
        j = HUMANML3D.joints.index(name)
        assert np.abs(motion.joints[:, j] - joints[:, j]).max() < 1e-3
    assert motion.canonical().joints[..., 1].min() == pytest.approx(0, abs=1e-6)


def test_a_rig_description_is_refused_where_the_file_says_it(tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match="has its own unit"):
        Motion.load(write(tmp_path / "take.c3d", kick()), rig={"up": "z"})


def test_short_gaps_are_bridged_and_long_ones_refused(tmp_path: Path) -> None:
    joints = kick()
    motion = Motion.load(write(tmp_path / "take.c3d", joints, hidden=slice(10, 14)))
    assert np.abs(motion.joints[:, 1] - joints[:, 1]).max() < 0.05
    with pytest.raises(MotionFileError, match="LHJC is hidden"):
        Motion.load(write(tmp_path / "take.c3d", np.repeat(joints, 2, axis=0), hidden=slice(5, 60)))


def test_a_file_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "take.c3d", kick())
    whole = path.read_bytes()
    frame = 14 * 4 * 4  # 14 points, of four numbers of four bytes
    start = len(whole) - len(kick()) * frame
    for end in (start + 5 * frame, start + 20 * frame + 7, start + (len(kick()) - 5) * frame):
        path.write_bytes(whole[:end])
        with pytest.raises(
            MotionFileError, match=rf"cut short: its header says {len(kick())} frames and \d+ are there"
        ):
            Motion.load(path)


def test_markers_alone_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match="joint centre for left_knee"):
        Motion.load(write(tmp_path / "take.c3d", kick(), drop="LKJC"))
    (tmp_path / "bad.c3d").write_bytes(b"no such file")
    with pytest.raises(MotionFileError, match="C3D"):
        Motion.load(tmp_path / "bad.c3d")
