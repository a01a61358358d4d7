"""HumanML3D from AMASS, on made-up takes: frames, calibration, mirroring, the body model's place, the check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motionllm import cli
from motionllm.data.build_humanml3d import build
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion.features import mirror
from motionllm.motion.formats.amass import amass_joints

RATE = 100


@pytest.fixture
def amass(tmp_path: Path) -> Path:
    """Two takes of 10 s at 100 Hz: a body that rises by 1 cm a second with its left arm swinging."""
    seconds = np.arange(10 * RATE) / RATE
    poses = np.zeros((len(seconds), 156))
    poses[:, :3] = Rotation.from_euler("x", 90, degrees=True).as_rotvec()
    poses[:, 3 * 16 + 2] = np.sin(seconds)
    trans = np.stack([0 * seconds, -0.3 * seconds, 1 + 0.01 * seconds], axis=-1)
    for name in ("KIT/3/walk_poses.npz", "MPI_HDM05/bk/run_poses.npz"):
        (tmp_path / "amass" / name).parent.mkdir(parents=True)
        np.savez(
            tmp_path / "amass" / name, poses=poses, trans=trans, mocap_framerate=RATE, gender="male", betas=np.zeros(16)
        )
    return tmp_path / "amass"


def index(folder: Path, *rows: str) -> Path:
    path = folder / "index.csv"
    path.write_text("source_path,start_frame,end_frame,new_name\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_frames_are_those_of_the_index(amass: Path, tmp_path: Path) -> None:
    rows = index(
        tmp_path,
        "./pose_data/KIT/3/walk_poses.npy,20,80,000001.npy",
        "./pose_data/MPI_HDM05/bk/run_poses.npy,0,60,000002.npy",
    )
    report = build(amass, rows, tmp_path / "out")
    assert (report["clips"], report["built"], report["missing"]) == (2, 2, {})
    walk, run = (np.load(tmp_path / "out" / "new_joints" / f"00000{n}.npy") for n in (1, 2))
    assert walk.shape == (59, 22, 3)  # one frame fewer than joints, as the published files
    # HDM05's first three seconds are cut before frames are counted: both begin somewhere else in the swing.
    angle = [np.arctan2(*(j[0, 20] - j[0, 16])[[1, 0]]) for j in (walk, run)]
    assert angle[0] == pytest.approx(np.sin(1.0), abs=0.06) and angle[1] == pytest.approx(np.sin(3.0), abs=0.06)
    assert walk[-1, 0, 2] == pytest.approx(0.3 * 58 / 20, abs=0.02)  # ahead, at 20 frames a second
    twin = np.load(tmp_path / "out" / "new_joints" / "M000001.npy")
    assert np.abs(twin - mirror(walk)).max() < 0.03  # the target skeleton's sides differ by millimetres
    assert np.load(tmp_path / "out" / "new_joint_vecs" / "000001.npy").shape == (59, 263)


def test_missing_takes_are_named_and_the_check_measures(
    amass: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = index(
        tmp_path, "./pose_data/KIT/3/walk_poses.npy,20,80,000001.npy", "./pose_data/KIT/3/lost.npy,0,9,000002.npy"
    )
    words = ["data", "build-humanml3d", "--amass", str(amass), "--index", str(rows), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert "is not there" in report["missing"]["./pose_data/KIT/3/lost.npy"]
    published = tmp_path / "published" / "new_joints"
    published.mkdir(parents=True)
    joints = np.load(tmp_path / "out" / "new_joints" / "000001.npy")
    joints[:, 21, 1] += 0.22
    np.save(published / "000001.npy", joints)
    report = build(amass, rows, tmp_path / "out", check=tmp_path / "published")
    assert report["kept"] == 1 and report["check"]["000001"] == pytest.approx(10, abs=0.1)  # 220 mm on one joint of 22


def test_the_body_model_is_asked_where_it_is_there(
    amass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def create(folder: str, **options: object) -> object:
        asked.update(options)

        def body(**inputs: torch.Tensor) -> object:
            poses = torch.cat([inputs["global_orient"], inputs["body_pose"]], dim=1).numpy()
            joints, _ = amass_joints(
                {"poses": poses, "trans": inputs["transl"].numpy(), "mocap_framerate": np.array(20)}
            )
            z_up = np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1)
            return SimpleNamespace(joints=torch.from_numpy(np.concatenate([z_up, z_up[:, :5]], axis=1)))

        return body

    monkeypatch.setitem(sys.modules, "smplx", SimpleNamespace(create=create))
    rows = index(tmp_path, "./pose_data/KIT/3/walk_poses.npy,20,80,000001.npy")
    build(amass, rows, tmp_path / "by_model", body_models=tmp_path)
    build(amass, rows, tmp_path / "by_poses")
    assert (asked["model_type"], asked["gender"], asked["batch_size"]) == ("smplh", "male", 200)
    one, other = (np.load(tmp_path / name / "new_joints" / "000001.npy") for name in ("by_model", "by_poses"))
    assert np.abs(one - other).max() < 1e-4


@pytest.mark.parametrize(("text", "words"), [("a,b\n1,2\n", "source_path"), ("", "source_path")])
def test_another_table_is_refused(amass: Path, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(MotionLLMError, match=words):
        build(amass, tmp_path / "index.csv", tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil.npy", "/tmp/evil.npy", "a/b.npy", ""])
def test_clips_stay_in_their_folder(name: str, amass: Path, tmp_path: Path) -> None:
    rows = index(tmp_path, f"./pose_data/KIT/3/walk_poses.npy,20,80,{name}")
    with pytest.raises(MotionLLMError, match=r"index.csv, line 2: .* is no name"):
        build(amass, rows, tmp_path / "out")


def test_a_full_disk_is_no_missing_take(amass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from motionllm.data import build_humanml3d

    rows = index(tmp_path, "./pose_data/KIT/3/walk_poses.npy,20,80,000001.npy")
    rows.write_bytes(rows.read_text().encode("utf-16"))

    def full(path: Path) -> None:
        raise MotionFileError(f"{path}: cannot be written (No space left on device); nothing was changed.")

    with monkeypatch.context() as patch:
        patch.setattr(build_humanml3d, "whole_stream", full)
        with pytest.raises(MotionFileError, match="No space left"):
            build(amass, rows, tmp_path / "out")
    assert build(amass, rows, tmp_path / "out")["built"] == 1
