"""Motion: every file in and out, rates, the canonical form, and one clear sentence for whatever is wrong."""

from __future__ import annotations

import io
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import motionllm
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion, budget, features
from motionllm.motion.formats import arrays
from motionllm.motion.formats.bvh_writer import solve_bvh, write_bvh
from motionllm.motion.formats.rigs import Rig
from motionllm.motion.skeleton import HUMANML3D, KIT

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def kit_walk(walk: np.ndarray) -> np.ndarray:
    """(T, 21, 3) metres: the made-up walk in KIT-ML's joints, whose named sides are the body's other ones."""
    joints, at = walk, {name: j for j, name in enumerate(HUMANML3D.joints)}
    other = {"left": "right", "right": "left"}
    source = {"root": "pelvis", "belly": "spine1", "chest": "spine2", "neck": "neck", "head": "head"}
    columns = []
    for name in KIT.joints:
        side, _, part = name.partition("_")
        if name in source:
            columns.append(joints[:, at[source[name]]])
        elif part == "heel":
            columns.append((joints[:, at[f"{other[side]}_ankle"]] * 2 + joints[:, at[f"{other[side]}_foot"]]) / 3)
        else:
            columns.append(joints[:, at[f"{other[side]}_{part}"]])
    return np.stack(columns, axis=1)


def test_public_name_and_basics(walk):
    clip = motionllm.Motion(walk, name="walk")
    assert len(clip) == 60 and clip.duration == 3.0 and clip.joints.dtype == np.float32 and clip.fps == 20.0


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".bvh"])
def test_saved_and_loaded_is_the_same_clip(tmp_path, suffix, walk):
    clip = Motion(walk, name="clip").canonical()
    clip.save(tmp_path / f"clip{suffix}")
    again = Motion.load(tmp_path / f"clip{suffix}")
    assert again.skeleton is HUMANML3D and again.fps == 20 and again.name == "clip"
    np.testing.assert_allclose(again.joints, clip.joints, atol=0 if suffix != ".bvh" else 1e-4)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".bvh"])
def test_kit_clips_keep_their_skeleton_rate_and_unit(tmp_path, suffix, kit_walk):
    clip = Motion(kit_walk, KIT.fps, KIT)
    clip.save(tmp_path / f"clip{suffix}")
    if suffix == ".npy":
        assert np.load(tmp_path / "clip.npy").max() > 1000  # millimetres, as the data set's files
    again = Motion.load(tmp_path / f"clip{suffix}")
    assert again.skeleton is KIT and again.fps == 12.5
    np.testing.assert_allclose(again.joints, clip.joints, atol=5e-3 if suffix == ".bvh" else 1e-6)


def test_kit_body_has_its_left_on_the_left(kit_walk, walk):
    body = Motion(kit_walk, KIT.fps, KIT).body()
    for name in ("pelvis", "left_hip", "left_wrist", "right_foot", "right_elbow", "head"):
        j = HUMANML3D.joints.index(name)
        np.testing.assert_allclose(body.joints[:, j], walk[:, j], atol=1e-6)


def test_arrays_are_told_by_their_shape(tmp_path, walk):
    joints = walk
    wide = np.concatenate([joints, np.ones((len(joints), 30, 3))], axis=1)
    for name, array in (("flat", joints.reshape(-1, 66)), ("smplh", wide), ("double", joints.astype(np.float64))):
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(Motion.load(tmp_path / f"{name}.npy").joints, joints)
    vectors = features.joints_to_features(joints)
    np.save(tmp_path / "features.npy", vectors)
    clip = Motion.load(tmp_path / "features.npy")
    np.testing.assert_array_equal(clip.joints, features.features_to_joints(vectors))
    assert clip.fps == 20 and len(clip) == len(joints) - 1
    np.savez(tmp_path / "joints.npz", joints=joints, fps=30)
    assert Motion.load(tmp_path / "joints.npz").fps == 30
    np.savez(tmp_path / "bare.npz", joints=joints)
    assert Motion.load(tmp_path / "bare.npz").fps == 20


def test_the_published_clip_reads_from_joints_and_features():
    folder = DATA / "humanml3d_sample"
    if not folder.is_dir():
        pytest.skip("shared/data/humanml3d_sample is absent")
    joints, vectors = Motion.load(folder / "012314_joints.npy"), Motion.load(folder / "012314_features.npy")
    assert len(joints) == len(vectors) == 170
    np.testing.assert_allclose(joints.joints, vectors.joints, atol=1e-5)
    assert Motion.load(folder / "target_skeleton_000021.npy").joints.shape[1] == 22


def test_a_rig_of_its_own_survives_npz_and_bvh(tmp_path, walk):
    lafan1 = (
        "Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToe RightToe Neck "
        "LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand"
    )
    joints, ordered = walk, tuple(lafan1.split())
    write_bvh(
        solve_bvh(joints, ordered, HUMANML3D.parents, joints[0] - joints[0, list(HUMANML3D.parents)], 20),
        tmp_path / "a.bvh",
    )
    clip = Motion.load(tmp_path / "a.bvh")
    assert isinstance(clip.skeleton, Rig)
    clip.save(tmp_path / "a.npz")
    again = Motion.load(tmp_path / "a.npz")
    assert again.skeleton.joints == clip.skeleton.joints and again.skeleton.parents == clip.skeleton.parents
    np.testing.assert_array_equal(again.joints, clip.joints)
    np.testing.assert_allclose(again.body().joints, clip.body().joints, atol=1e-5)
    again.save(tmp_path / "b.bvh")  # rotations are solved anew: the archive holds none
    np.testing.assert_allclose(Motion.load(tmp_path / "b.bvh").body().joints, joints, atol=1e-3)
    with pytest.raises(MotionFileError, match="no joint names"):
        clip.save(tmp_path / "a.npy")


def test_changed_joints_are_not_saved_with_the_files_old_rotations(tmp_path, walk):
    Motion(walk).canonical().save(tmp_path / "a.bvh")
    clip = Motion.load(tmp_path / "a.bvh")
    turn = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    moved = Motion(clip.joints @ turn.T, clip.fps, clip.skeleton, bvh=clip.bvh, places=clip.places)
    moved.save(tmp_path / "b.bvh")
    np.testing.assert_allclose(Motion.load(tmp_path / "b.bvh").joints, moved.joints, atol=1e-4)


@pytest.mark.parametrize("fps", [10, 20, 25, 30, 60, 12.5])
def test_resampling_keeps_the_duration_to_a_frame_and_the_ends(fps, walk):
    clip = Motion(walk)
    other = clip.resample(fps)
    assert other.fps == fps and abs(other.duration - clip.duration) <= max(1 / fps, 1 / 20) + 1e-9
    np.testing.assert_array_equal(other.joints[0], clip.joints[0])
    if fps in (20, 60):
        np.testing.assert_allclose(other.joints[:: int(fps // 20)], clip.joints, atol=1e-6)
    if fps == 10:
        np.testing.assert_array_equal(other.joints, clip.joints[::2])


def test_resampled_bvh_keeps_bone_lengths_and_rotations(tmp_path, walk):
    Motion(walk).save(tmp_path / "a.bvh")
    clip = Motion.load(tmp_path / "a.bvh")
    other = clip.resample(33)
    assert other.bvh is not None and len(other.bvh) == len(other)
    parents = list(HUMANML3D.parents)
    for motion in (clip, other):
        lengths = np.linalg.norm(motion.joints[:, 1:] - motion.joints[:, parents[1:]], axis=-1)
        np.testing.assert_allclose(lengths, HUMANML3D.lengths[None, 1:].repeat(len(motion), 0), atol=1e-5)


def test_canonical_is_20_fps_on_the_floor_at_the_origin_facing_z(walk):
    turn = Rotation.from_euler("y", 130, degrees=True).as_matrix()
    clip = Motion((walk * 1.2) @ turn.T + [3, 1, -2]).resample(60)
    canonical = clip.canonical()
    assert canonical.fps == 20 and len(canonical) == 60
    assert canonical.joints[..., 1].min() == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(canonical.joints[0, 0, [0, 2]], 0, atol=1e-6)
    np.testing.assert_allclose(canonical.joints, Motion(walk).canonical().joints, atol=2e-3)
    lengths = np.linalg.norm(canonical.joints[:, 1:] - canonical.joints[:, list(HUMANML3D.parents)[1:]], axis=-1)
    np.testing.assert_allclose(lengths, HUMANML3D.lengths[None, 1:].repeat(60, 0), atol=1e-5)
    np.testing.assert_array_equal(clip.features(), features.joints_to_features(clip.resample(20).joints))


def test_one_frame_is_a_clip_but_has_no_features(tmp_path, walk):
    clip = Motion(walk[:1])
    for suffix in (".npy", ".npz", ".bvh"):
        clip.save(tmp_path / f"one{suffix}")
        assert len(Motion.load(tmp_path / f"one{suffix}").canonical()) == 1
    assert len(clip.resample(30)) == 1
    with pytest.raises(MotionLLMError, match="at least 2"):
        clip.features()


def broken(path: Path, kind: str, walk: np.ndarray) -> Path:
    """A file with one thing wrong with it."""
    joints = walk
    if kind == "nan":
        joints[5, 3, 1] = np.nan
    if kind == "inf":
        joints[5, 3, 1] = np.inf
    content = {
        "nan": joints,
        "inf": joints,
        "empty": joints[:0],
        "shape": np.zeros((4, 23, 3)),
        "scalar": np.array(1.0),
        "text": np.array([["a"] * 66]),
        "nan features": np.full((4, 263), np.nan),
        "no joints": np.zeros((4, 0, 3)),
    }
    if kind in content:
        np.save(path, content[kind])
    elif kind == "pickle":
        np.save(path, np.array([{"joints": 1}], dtype=object), allow_pickle=True)
    elif kind == "cut":
        np.save(path, joints)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "nothing":
        path.write_bytes(b"")
    elif kind == "not numpy":
        path.write_bytes(b"hello world, this is text")
    elif kind == "archive":
        np.savez(path.with_suffix(".npz"), joints=joints)
        path.with_suffix(".npz").rename(path)
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("nan", "NaN or infinity \\(first at frame 5, spine1\\)"),
        ("inf", "NaN or infinity"),
        ("empty", "no values: its shape is \\(0, 22, 3\\)"),
        ("shape", "\\(4, 23, 3\\)"),
        ("scalar", "has shape"),
        ("text", "numbers"),
        ("nan features", "features contain NaN"),
        ("no joints", "no values"),
        ("pickle", "pickled"),
        ("cut", "cut short"),
        ("nothing", "cut short"),
        ("not numpy", "pickled|no NumPy"),
        ("archive", "archive"),
        ("missing", "no such file"),
    ],
)
def test_a_bad_array_is_refused_in_one_sentence_that_names_the_file(tmp_path, walk, kind, says):
    path = broken(tmp_path / "bad.npy", kind, walk)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MotionFileError, match=says) as caught:
            Motion.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_bad_archive_is_refused(tmp_path, walk):
    np.savez(tmp_path / "a.npz", poses=np.zeros(3))
    with pytest.raises(MotionFileError, match=r"no .joints. array .*only poses"):
        Motion.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", joints=walk, fps=[1, 2])
    with pytest.raises(MotionFileError, match="'fps' is one number"):
        Motion.load(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", joints=walk, fps=0)
    with pytest.raises(MotionFileError, match="0 frames per second"):
        Motion.load(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", joints=walk)
    (tmp_path / "d.npz").write_bytes((tmp_path / "d.npz").read_bytes()[:500])
    with pytest.raises(MotionFileError, match="cut short"):
        Motion.load(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", joints=walk, names=list("abcdefghijklmnopqrstuv"))
    with pytest.raises(MotionFileError, match="no parents"):
        Motion.load(tmp_path / "e.npz")


def archive_of(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy_bytes(array: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(array), allow_pickle=True)
    return out.getvalue()


def header(shape: str, dtype: str = "<f8") -> bytes:
    """The head of a .npy file that promises what is not there."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_arrays_are_read_by_their_headers_alone_where_they_are_too_large(tmp_path, walk, how, monkeypatch):
    monkeypatch.setattr(budget, "BYTES", 30 << 20)
    big = header("(10000000, 22, 3)")
    path = tmp_path / "big.npy"
    path.write_bytes(big)
    with pytest.raises(MotionFileError, match=r"\(10000000, 22, 3\) has 5,035 MB and up to 30 MB are read; cut"):
        Motion.load(path)
    zeros = bytes(20 << 20)
    members = {"joints.npy": npy_bytes(walk), "fps.npy": npy_bytes(20.0)}
    more = {f"other{i}.npy": zeros for i in range(2 if how == zipfile.ZIP_DEFLATED else 1)}
    path = archive_of(tmp_path / "more.npz", members | more, how)
    tracemalloc.start()
    try:
        if len(more) > 1:
            with pytest.raises(MotionFileError, match="unpacked, the file has 40 MB and up to 30 MB are read"):
                Motion.load(path)
        else:  # what nobody needs is not unpacked
            np.testing.assert_array_equal(Motion.load(path).joints, walk.astype(np.float32))
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(Motion.load(archive_of(tmp_path / "own.npz", members, how)).joints[0, 0], walk[0, 0])


def test_what_is_damaged_in_an_archive_is_named(tmp_path, walk, monkeypatch):
    good = npy_bytes(walk)
    for content, says in (
        (good[:-40], "array 'joints' is cut short: its header says"),
        (good + b"more", "array 'joints' has bytes left over"),
        (b"text", "array 'joints' is no NumPy array"),
        (npy_bytes([{"a": 1}]), "array 'joints' holds pickled Python objects, which are not read"),
        (npy_bytes(np.zeros(3, [("a", "f4")])), "array 'joints' holds 'records' values"),
        (header("(" * 5000), "array 'joints' has a damaged header"),
        (header("(60, 22, 3)", "<f7") + bytes(60 * 66 * 7), "array 'joints' has a damaged header"),
    ):
        with pytest.raises(MotionFileError, match=says):
            Motion.load(archive_of(tmp_path / "a.npz", {"joints.npy": content}))
    path = archive_of(tmp_path / "b.npz", {"joints.npy": good}, zipfile.ZIP_STORED)
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(MotionFileError, match=r"array 'joints' is damaged .*CRC"):
        Motion.load(path)
    (tmp_path / "c.npz").write_bytes(good)
    with pytest.raises(MotionFileError, match=r"a single NumPy array; give it the suffix \.npy"):
        Motion.load(tmp_path / "c.npz")
    many = {f"{i}.npy": b"" for i in range(500)}
    monkeypatch.setattr(arrays, "_DIRECTORY", 1 << 14)
    with pytest.raises(MotionFileError, match="lists more arrays than a motion file has"):
        Motion.load(archive_of(tmp_path / "d.npz", many, zipfile.ZIP_STORED))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("parents", [1, 0, 1, 2], "joint 0 the parent 1; it is an earlier joint's index, or -1"),  # a cycle
        ("parents", [-1, 1, 1, 2], "joint 1 the parent 1;"),  # itself
        ("parents", [-1, 2, 0, 2], "joint 1 the parent 2;"),  # a later one
        ("parents", [-1, 0, 0.5, 2], "joint 2 the parent 0.5;"),
        ("parents", [-1, 0, np.nan, 2], "joint 2 the parent nan;"),
        ("parents", [-1, 0, 2**62, 2], "joint 2 the parent 4.6"),
        ("parents", [-1, 0, 1], "'parents' is int64 of shape"),
        ("parents", "x", "'parents' is <U1"),
        ("names", "abcd", "'names' is <U4 of shape"),
        ("names", ["a", "b", "b", "c"], "two joints the same"),
        ("names", [b"a", b"b", b"\xff", b"c"], "'names' holds what is no text"),
        ("names", np.array([97, 98, 0x110000, 99], "<u4").view("<U1"), "'names' holds what is no text"),
        ("offsets", np.zeros((4, 2)), "'offsets' is not finite numbers of shape"),
        ("offsets", np.full((4, 3), np.inf), "'offsets' is not finite"),
        ("fps", 1j, "'fps' is one number, not complex128"),
        ("fps", "20", "'fps' is one number, not <U2"),
        ("fps", 0.001, "0.001 frames per second; motion has 1 to 10,000. Correct"),
        ("fps", np.nan, "nan frames per second"),
        ("joints", np.zeros((4, 4)), "'joints' is float64 of shape"),
        ("joints", np.zeros((600_000, 4, 3), np.float16), "600,000 frames and up to 500,000 are read; cut the take"),
    ],
)
def test_a_rig_of_its_own_is_a_tree_of_named_joints(tmp_path, key, value, says):
    content = {
        "joints": np.zeros((5, 4, 3)),
        "fps": 20.0,
        "names": list("abcd"),
        "parents": [-1, 0, 1, 1],
        "offsets": np.zeros((4, 3)),
    }
    np.savez(tmp_path / "a.npz", **content)
    assert Motion.load(tmp_path / "a.npz").skeleton.parents == (-1, 0, 1, 1)
    np.savez_compressed(tmp_path / "b.npz", **content | {key: value})
    with pytest.raises(MotionFileError) as caught:
        Motion.load(tmp_path / "b.npz")
    assert says in str(caught.value) and str(tmp_path / "b.npz") in str(caught.value)


def test_unknown_suffixes_and_places_are_refused(tmp_path, walk):
    with pytest.raises(MotionFileError, match=r"read from \.bvh"):
        Motion.load(tmp_path / "clip.fbx")
    for name in ("clip.fbx", "clip", "clip.txt"):
        with pytest.raises(MotionFileError, match=r"saved as \.bvh"):
            Motion(walk).save(tmp_path / name)
    for suffix in (".bvh", ".glb", ".html", ".npy", ".npz", ".png"):
        with pytest.raises(MotionFileError, match="nowhere"):
            Motion(walk).save(tmp_path / "nowhere" / f"clip{suffix}")
    with pytest.raises(MotionFileError, match=r"save \.resample\(20\)"):
        Motion(walk, fps=30).save(tmp_path / "clip.npy")


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_impossible_rates_are_refused(fps, walk):
    with pytest.raises(MotionLLMError, match="above 0"):
        Motion(walk, fps)
    with pytest.raises(MotionLLMError, match="above 0"):
        Motion(walk).resample(fps)


@pytest.mark.parametrize(("fps", "says"), [(1e9, "1e.09 frames per second"), (9000, "cut the take"), (1e300, "1e.300")])
def test_more_frames_than_there_is_room_for_are_not_made(fps, says, walk):
    with pytest.raises(MotionLLMError, match=says):
        Motion(np.repeat(walk, 20, axis=0)).resample(fps)


def test_wrong_shapes_are_refused():
    for shape in ((4, 21, 3), (4, 22), (4, 22, 2), (0, 22, 3)):
        with pytest.raises(MotionLLMError, match=r"humanml3d motion is \(frames, 22, 3\)"):
            Motion(np.zeros(shape))
