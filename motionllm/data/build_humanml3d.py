"""HumanML3D built from AMASS: the data set's own index says which frames of which take become which clip.

Facts of the published build, kept exactly: takes are thinned to 20 fps by whole steps (`int(fps / 20)`); five of
AMASS's sets begin with a calibration pose of 0.5 to 3 s that is cut before the index's frames are counted; every clip
is mirrored too, as `M…`. Joints come from the body model where `smplx` and its files are there (as the authors had
them), else from the poses on the target skeleton (see `motion/formats/amass.py`), which changes directions by a few
degrees; `check` says how far the result is from a published clip.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.files import make_folder, read_text, whole_stream, write_json
from motionllm.motion.features import canonical, features_to_joints, joints_to_features, mirror
from motionllm.motion.formats.amass import AMASS, amass_joints, frame_rate, is_amass
from motionllm.motion.formats.arrays import read_npy, read_npz
from motionllm.motion.formats.bvh import Z_UP

# {set: seconds at the start of each take that are calibration, not motion}
CALIBRATION = {
    "Eyes_Japan_Dataset": 3.0,
    "MPI_HDM05": 3.0,
    "TotalCapture": 1.0,
    "MPI_Limits": 1.0,
    "Transitions_mocap": 0.5,
}
FPS = 20
COLUMNS = ("source_path", "start_frame", "end_frame", "new_name")


def build(
    amass: Path,
    index: Path,
    out: Path,
    body_models: Path | None = None,
    check: Path | None = None,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Write `new_joints/` and `new_joint_vecs/` of every clip of the index, and its mirrored twin, into `out`.

    amass: the folder that holds AMASS's sets (`KIT/3/….npz`), and HumanAct12's joints (`humanact12/….npy`) where the
    user has them. index: the data set's index.csv (source_path, start_frame, end_frame, new_name). body_models: the
    folder of SMPL-H models for `smplx`. check: a folder with published `new_joints/` or `new_joint_vecs/`, compared
    with what was built. Clips that are there already are kept.

    Returns {"clips", "built", "kept", "missing": {source: why}, "check": {id: millimetres}}.
    Raises MotionLLMError for an index without its columns, or where no clip could be built; MotionFileError where a
    clip cannot be written: those built until then are kept by the next call.
    """
    rows = _index(index)
    if not amass.is_dir():
        raise MotionLLMError(f"{amass} is no folder; give the one that holds AMASS's sets.")
    for name in ("new_joints", "new_joint_vecs"):
        make_folder(out / name)
    missing: dict[str, str] = {}
    built = kept = 0
    for number, row in enumerate(rows):
        name = row["new_name"].removesuffix(".npy")
        twins = (name, f"M{name}")
        if all((out / kind / f"{twin}.npy").is_file() for kind in ("new_joints", "new_joint_vecs") for twin in twins):
            kept += 1
        else:
            try:
                joints = _clip(amass, row, body_models)
                both_features = [joints_to_features(body) for body in (joints, mirror(joints))]
            except MotionLLMError as error:
                missing[row["source_path"]] = str(error)
            else:  # what cannot be written ends the build: the takes are not at fault
                for twin, features in zip(twins, both_features, strict=True):
                    _save(out / "new_joint_vecs" / f"{twin}.npy", features)
                    _save(out / "new_joints" / f"{twin}.npy", features_to_joints(features))
                built += 1
        if progress:
            progress((number + 1) / len(rows), clips=built + kept)
    if not built + kept:
        source, why = next(iter(missing.items()))
        raise MotionLLMError(f"None of the {len(rows)} clips of {index} could be built; the first, {source}: {why}")
    report = {"clips": len(rows), "built": built, "kept": kept, "missing": missing}
    if check:
        report["check"] = _compare(out, check)
    write_json(out / "build.json", report)
    return report


def _index(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, "index")), restval=""))
    except csv.Error as error:
        raise MotionLLMError(f"The index {path} is not CSV ({error}); HumanML3D's index.csv is needed.") from None
    absent = [c for c in COLUMNS if not rows or c not in rows[0]]
    if absent:
        raise MotionLLMError(f"The index {path} has no column {', '.join(absent)}; HumanML3D's index.csv is needed.")
    for number, row in enumerate(rows, 2):
        if not row["new_name"] or Path(row["new_name"]).name != row["new_name"]:
            raise MotionLLMError(f"The index {path}, line {number}: {row['new_name']!r} is no name of a clip.")
    return rows


def _clip(amass: Path, row: Mapping[str, str], body_models: Path | None) -> np.ndarray:
    """Joints (T, 22, 3) of a row of the index, metres, Y up, 20 fps."""
    inside = row["source_path"].replace("\\", "/").removeprefix("./").removeprefix("pose_data/")
    first = inside.split("/", 1)[0]
    if first == "humanact12":
        path = amass / inside
        if not path.is_file():
            raise MotionLLMError("is not there; HumanAct12 comes beside AMASS, as joints.")
        joints = read_npy(path).astype(np.float64)[:, :22]
    else:
        path = amass / Path(inside).with_suffix(".npz")
        if not path.is_file():
            raise MotionLLMError("is not there; AMASS may have renamed or withdrawn it.")
        content = read_npz(path, (*AMASS, "betas", "gender") if body_models else AMASS)
        if not is_amass(content):
            raise MotionLLMError("holds no poses; it is no AMASS file.")
        step = max(1, int(frame_rate(content) / FPS))
        thinned = content | {key: np.asarray(content[key])[::step] for key in ("poses", "trans")}
        joints = _body_model(thinned, body_models) if body_models else amass_joints(thinned)[0]
        joints = joints[round(CALIBRATION.get(first, 0.0) * FPS) :]
    try:
        start, end = int(row["start_frame"]), int(row["end_frame"])
    except ValueError:
        raise MotionLLMError("has a start_frame or end_frame that is no number.") from None
    joints = joints[start : end if end >= 0 else None]
    if len(joints) < 3:
        raise MotionLLMError(f"has {len(joints)} frames from {start} to {end}; at least 3 are needed.")
    return joints


def _body_model(content: Mapping[str, np.ndarray], folder: Path) -> np.ndarray:
    """Joints of the fitted body by `smplx` (SMPL-H), as the data set's authors computed them; Y up."""
    try:
        import smplx
    except ImportError:
        raise MotionLLMError("--body-models needs the package smplx: pip install smplx.") from None
    import torch

    gender = str(np.asarray(content.get("gender", "neutral")).reshape(-1)[0]).strip("b'\"")
    poses = torch.from_numpy(np.asarray(content["poses"], np.float32))
    try:
        model = smplx.create(
            str(folder),
            model_type="smplh",
            gender=gender,
            num_betas=16,
            use_pca=False,
            flat_hand_mean=True,
            batch_size=len(poses),
            ext="npz",
        )
    except (OSError, AssertionError, ValueError, KeyError) as error:
        raise MotionLLMError(f"the {gender} SMPL-H model cannot be loaded from {folder}: {error}") from None
    betas = np.zeros((1, 16), np.float32)
    own_betas = np.asarray(content.get("betas", betas[0]), np.float32).reshape(-1)[:16]
    betas[0, : len(own_betas)] = own_betas
    with torch.no_grad():
        output = model(
            global_orient=poses[:, :3],
            body_pose=poses[:, 3:66],
            left_hand_pose=poses[:, 66:111],
            right_hand_pose=poses[:, 111:156],
            betas=torch.from_numpy(betas).expand(len(poses), -1),
            transl=torch.from_numpy(np.asarray(content["trans"], np.float32)),
        )
    joints = output.joints[:, :22].numpy().astype(np.float64)
    return joints @ Z_UP.T


def _compare(out: Path, published: Path) -> dict[str, float]:
    """Mean distance of built and published joints in millimetres, both with the root at the origin, by clip id."""
    differences = {}
    for kind in ("new_joints", "new_joint_vecs"):
        for file in sorted((published / kind).glob("*.npy")):
            ours = out / "new_joints" / file.name
            if file.stem in differences or not ours.is_file():
                continue
            theirs = np.load(file)
            theirs = features_to_joints(theirs) if theirs.ndim == 2 else theirs
            pair = [
                canonical(j[: min(len(theirs), len(np.load(ours)))], uniform=False) for j in (np.load(ours), theirs)
            ]
            local = [j - j[:, :1] for j in pair]
            differences[file.stem] = float(np.linalg.norm(local[0] - local[1], axis=-1).mean() * 1000)
    if not differences:
        raise MotionLLMError(
            f"{published} holds no published clip that was built; give new_joints/ or new_joint_vecs/."
        )
    return differences


def _save(path: Path, array: np.ndarray) -> None:
    with whole_stream(path) as stream:
        np.save(stream, array.astype(np.float32), allow_pickle=False)
