"""BVH: what the reader takes and refuses, forward kinematics, Euler angles, rotations solved from positions."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion.formats.bvh import BVH, euler, sample_times
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.bvh_writer import solve_bvh, swing, write_bvh

TWO_BONES = """HIERARCHY
ROOT Hips
{
\tOFFSET 0 0 0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Left Leg
\t{
\t\tOFFSET 0 -10 0
\t\tCHANNELS 3 Yrotation Xrotation Zrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 -5 0
\t\t}
\t}
}
MOTION
Frames: 2
Frame Time: 0.0333333
1 2 3 90 0 0 0 0 0
1e0 2.0 3 0 0 0 0 90 0
"""


def written(tmp_path: Path, text: str, name: str = "clip.bvh") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def chain(frames: int = 40, seed: int = 0) -> tuple[np.ndarray, list[str], list[int], np.ndarray]:
    """A tree of six joints with rigid bones, turning at random but smoothly: joints, names, parents, rest."""
    generator = np.random.default_rng(seed)
    rest = np.array([[0, 0, 0], [0.3, 0.2, 0], [-0.3, 0.2, 0], [0, 0.5, 0.1], [0.4, 0, 0], [0, 0.2, 0]], float)
    parents = [-1, 0, 0, 0, 1, 3]
    turns = np.cumsum(generator.normal(0, 0.05, (frames, 6, 3)), axis=0)
    local = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(frames, 6, 3, 3)
    world, joints = local.copy(), np.zeros((frames, 6, 3))
    joints[:, 0] = np.cumsum(generator.normal(0, 0.01, (frames, 3)), axis=0)
    for j in range(1, 6):
        joints[:, j] = joints[:, parents[j]] + world[:, parents[j]] @ rest[j]
        world[:, j] = world[:, parents[j]] @ local[:, j]
    return joints, ["root", "a", "b", "c", "d", "e"], parents, rest


def test_reads_names_with_spaces_tabs_and_forward_kinematics(tmp_path):
    bvh = read_bvh(written(tmp_path, TWO_BONES))
    assert bvh.joints == ("Hips", "Left Leg") and bvh.parents == (-1, 0) and bvh.fps == 30.0
    positions, _ = bvh.world()
    # Frame 0: 90° about Z turns −y into +x. Frame 1: the joint's own 90° about X moves only its End Site.
    np.testing.assert_allclose(positions, [[[1, 2, 3], [11, 2, 3]], [[1, 2, 3], [1, -8, 3]]], atol=1e-12)
    np.testing.assert_allclose(bvh.end_sites()[1], [[16, 2, 3], [1, -8, -2]], atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        lambda t: t.replace("Frames: 2", "Frames:\t2").replace("Frame Time:", "Frame Time:\t"),
        lambda t: t.replace("ROOT Hips\n{", "ROOT Hips {").replace("End Site", "end site"),
        lambda t: t.replace("\t", "   "),
        lambda t: t + "\n\n",
    ],
)
def test_spellings_of_one_file_read_alike(tmp_path, change):
    plain, other = read_bvh(written(tmp_path, TWO_BONES)), read_bvh(written(tmp_path, change(TWO_BONES), "other.bvh"))
    assert plain.joints == other.joints and plain.channels == other.channels and plain.fps == other.fps
    np.testing.assert_array_equal(plain.values, other.values)


def test_position_channels_of_a_joint_replace_its_offset_unless_all_zero(tmp_path):
    text = TWO_BONES.replace("CHANNELS 3 Yrot", "CHANNELS 6 Xposition Yposition Zposition Yrot")
    rows = "1 2 3 0 0 0 7 8 9 0 0 0\n1 2 3 0 0 0 7 8 9 0 0 0\n"
    head = text[: text.index("1 2 3 90")]
    assert read_bvh(written(tmp_path, head + rows)).world()[0][0, 1].tolist() == [8, 10, 12]
    zeros = rows.replace("7 8 9", "0 0 0")
    assert read_bvh(written(tmp_path, head + zeros)).world()[0][0, 1].tolist() == [1, -8, 3]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: "", "no ROOT"),
        (lambda t: "hello world", "not BVH"),
        (lambda t: t[: t.index("End Site")], "inside HIERARCHY"),
        (lambda t: t[: t.index("ANNELS 3")], "line 9: the file ends inside HIERARCHY, at 'CH'"),
        (lambda t: t[: t.index("MOTION")], "before MOTION"),
        (lambda t: t[: t.index("Frames")], "before 'Frames'"),
        (lambda t: t[: t.index("Frame Time")], "before 'Frame Time'"),
        (lambda t: t[: t.rindex("1e0")], "line 19: the motion ends after 9 values, fewer than 2 frames"),
        (lambda t: t[: t.rindex(" 90 0")], "after 16 values, fewer"),
        (lambda t: t + "1 2 3\n", "after 21 values, more"),
        (lambda t: t.replace("1e0", "nan"), "line 20: 'nan' is not a finite number"),
        (lambda t: t.replace("1e0", "x"), "line 20: 'x' is not a finite number"),
        (lambda t: t.replace("Frames: 2", "Frames: 0"), "Frames: 0"),
        (lambda t: t.replace("0.0333333", "0"), "Frame Time: 0"),
        (lambda t: t.replace("OFFSET 0 -10 0", "OFFSET 0 -10"), "line 8: OFFSET needs three"),
        (lambda t: t.replace("CHANNELS 3", "CHANNELS 4"), "line 9: CHANNELS"),
        (lambda t: t.replace("CHANNELS 3 Yrotation", "CHANNELS 3 Wrotation"), "unknown channel"),
        (lambda t: t.replace("\t\tOFFSET 0 -10 0\n", ""), "no OFFSET"),
        (lambda t: t.replace("}\nMOTION", "MOTION"), "'}' is missing"),
        (lambda t: t.replace("MOTION", "ROOT Two\n{\nOFFSET 0 0 0\nCHANNELS 0\n}\nMOTION"), "second ROOT"),
    ],
)
def test_refuses_with_file_and_place(tmp_path, change, says):
    path = written(tmp_path, change(TWO_BONES))
    with pytest.raises(MotionFileError) as caught:
        read_bvh(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("-10", "-10,5"), "line 8: OFFSET needs three numbers, found '0 -10,5 0'; BVH has"),
        (lambda t: t.replace("2.0 3 0", "2,0 3 0"), "line 20: '2,0' is not a finite number; BVH has decimal points"),
        (lambda t: t.replace("3 90 0", "3 90-0"), "line 19: '90-0' is not a finite number: numbers grown together"),
        (lambda t: t.replace("0 90 0\n", "0 90.5.0\n"), "line 20: '90.5.0' is not a finite number: numbers grown"),
        (lambda t: t[: t.rindex("0 0 90 0")] + "0 -", "line 20: the motion ends after 16 values, fewer"),
        (lambda t: t.replace("3 90 0", "3 9e9 0"), "line 19: '9e9' is no position or angle"),
        (lambda t: t.replace("Frames: 2", "Frames: 1"), "2 whole frames); write 'Frames: 2' if they belong"),
        (lambda t: t.replace("Frames: 2", "Frames: ²"), "'Frames: ²'"),
        (lambda t: t.replace("Frames: 2", "Frames: " + "9" * 5000), "a number of frames"),
        (lambda t: t.replace("0.0333333", "33.3333"), "the seconds from frame to frame"),
        (lambda t: t.replace("0.0333333", "1e-320"), "the seconds from frame to frame"),
        (lambda t: t.replace("0.0333333", "0,0333"), "with a decimal point"),
        (lambda t: t.replace("Frames: 2", "\x1b[2J"), "'?[2J'"),
        (lambda t: t.replace("CHANNELS 3 Y", "CHANNELS ² Y"), "line 9: CHANNELS needs its count"),
        (lambda t: t.replace("Left Leg", "L" * 300), "JOINT with a name of 300 characters"),
        (lambda t: re.sub("CHANNELS .*", "CHANNELS 0", t), "has no CHANNELS in any joint"),
    ],
)
def test_numbers_that_are_none_are_named_with_what_to_do(tmp_path, change, says):
    path = written(tmp_path, change(TWO_BONES))
    with pytest.raises(MotionFileError) as caught:
        read_bvh(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_unicode_is_read_in_each_of_its_encodings(tmp_path, codec, end):
    text = TWO_BONES.replace("Left Leg", "左足 Épaule")
    path = tmp_path / "clip.bvh"
    path.write_bytes(text.replace("\n", end).encode(codec))
    bvh = read_bvh(path)
    assert bvh.joints == ("Hips", "左足 Épaule")
    np.testing.assert_array_equal(bvh.values, read_bvh(written(tmp_path, TWO_BONES, "plain.bvh")).values)


@pytest.mark.parametrize(
    ("codec", "name", "called"),
    [("shift_jis", "左足ボーン", "Shift-JIS"), ("gbk", "左脚骨骼", "GBK"), ("cp1252", "Épaule", "Windows-1252")],
)
def test_another_encoding_is_named_with_the_line(tmp_path, codec, name, called):
    path = tmp_path / "clip.bvh"
    path.write_bytes(TWO_BONES.replace("Left Leg", name).encode(codec))
    with pytest.raises(MotionFileError, match=f"line 6: .* is not UTF-8 .*{called}.* save the file as UTF-8"):
        read_bvh(path)


def test_what_a_file_asks_for_is_told_from_its_head(tmp_path):
    """Refused before the values are read: there are none here."""
    head = TWO_BONES[: TWO_BONES.index("1 2 3 90")]
    deep = "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\n" for i in range(300))
    wide = "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\n}}\n" for i in range(1500))
    for text, says in (
        (head.replace("Frames: 2", "Frames: 999999999999"), "999,999,999,999 frames and up to 500,000 are read; cut"),
        (
            head.replace("0.0333333", "1").replace("Frames: 2", "Frames: 4000"),
            "lasts 4,000 s .* correct the rate, or cut",
        ),
        (
            head.replace("\tJOINT", f"{wide}\tJOINT").replace("Frames: 2", "Frames: 9000"),
            "1,502 joints and up to 5,326 fr",
        ),
        (head.replace("\tJOINT", f"{wide}{wide}\tJOINT"), "joints and up to 2,000 are read; export the body without"),
        (head.replace("\tJOINT", f"{deep}{'}' * 300}\tJOINT"), "a chain of 201 joints"),
    ):
        start = time.process_time()
        with pytest.raises(MotionFileError, match=says):
            read_bvh(written(tmp_path, text))
        assert time.process_time() - start < 2


def test_refuses_missing_and_binary_files(tmp_path):
    with pytest.raises(MotionFileError, match="cannot be read"):
        read_bvh(tmp_path / "none.bvh")
    path = tmp_path / "binary.bvh"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(MotionFileError, match="not a text file"):
        read_bvh(path)


@pytest.mark.parametrize(
    ("printed", "fps"),
    [
        ("0.0333333", 30),
        (".0083333", 120),
        ("0.016667", 60),
        ("0.010000", 100),
        ("8.333333e-3", 120),
        ("0.08", 12.5),
        ("0.05", 20),
        ("0.033", 30),
        ("0.0333667", 1 / 0.0333667),
        ("0.008", 120),
        ("0.017", 60),
        ("0.016", 60),
        ("0.042", 24),
        ("0.0080", 125),
        ("0.011", 90),
        ("0.1", 10),
        ("0.02", 50),
        ("0.0417083", 1 / 0.0417083),
    ],
)
def test_frame_rate_from_rounded_frame_time(tmp_path, printed, fps):
    bvh = read_bvh(written(tmp_path, TWO_BONES.replace("0.0333333", printed)))
    assert bvh.fps == pytest.approx(fps, abs=1e-12)
    assert bool(bvh.notes) == (abs(float(printed) * fps - 1) > 2e-3)  # what was made of few digits is said


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("XYZ")])
def test_euler_angles_give_the_rotation_back_without_jumps(order):
    # A walk through all angles, middle one past ±90 degrees included.
    angles = np.cumsum(np.random.default_rng(0).normal(0, 6, (600, 3)), axis=0)
    matrices = Rotation.from_euler(order, angles, degrees=True).as_matrix()
    found = euler(matrices, order)
    np.testing.assert_allclose(Rotation.from_euler(order, found, degrees=True).as_matrix(), matrices, atol=1e-9)
    assert np.abs(np.diff(found, axis=0)).max() < np.abs(np.diff(angles, axis=0)).max() + 1e-6


def test_swing_is_the_smallest_rotation_also_for_opposite_vectors():
    a = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    b = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 0, 1]])
    matrices = swing(a, b)
    np.testing.assert_allclose(np.einsum("tab,tb->ta", matrices, a), b, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-12)
    np.testing.assert_allclose(np.trace(matrices, axis1=1, axis2=2), [-1, 1, 3], atol=1e-12)


def test_solved_rotations_give_rigid_bones_back_without_helpers(tmp_path):
    joints, names, parents, rest = chain()
    write_bvh(solve_bvh(joints, names, parents, rest, 30), tmp_path / "solved.bvh")
    bvh = read_bvh(tmp_path / "solved.bvh")
    assert sorted(bvh.joints) == sorted(names)
    order = [bvh.joints.index(name) for name in names]
    np.testing.assert_allclose(bvh.world()[0][:, order] / 100, joints, atol=1e-6)


def test_a_changing_angle_between_two_children_is_kept_exactly_by_helpers():
    joints, names, parents, rest = chain()
    turn = Rotation.from_euler("x", np.linspace(0, 40, len(joints))[:, None], degrees=True).as_matrix()
    moved = joints[:, 0] + np.einsum("tab,tb->ta", turn, joints[:, 1] - joints[:, 0])
    joints[:, 4] += moved - joints[:, 1]
    joints[:, 1] = moved
    bvh = solve_bvh(joints, names, parents, rest, 30)
    assert {"a_base", "b_base", "c_base"} <= set(bvh.joints)
    order = [bvh.joints.index(name) for name in names]
    np.testing.assert_allclose(bvh.world()[0][:, order], joints, atol=1e-6)


def test_changing_bone_lengths_do_not_add_up():
    joints, names, parents, rest = chain()
    noisy = joints + np.random.default_rng(1).normal(0, 0.005, joints.shape)
    bvh = solve_bvh(noisy, names, parents, rest, 30)
    order = [bvh.joints.index(name) for name in names]
    error = np.linalg.norm(bvh.world()[0][:, order] - noisy, axis=-1)
    assert error[:, 0].max() < 1e-9 and error.mean() < 0.008


def test_written_file_reads_back_the_same(tmp_path):
    first = read_bvh(written(tmp_path, TWO_BONES))
    write_bvh(first, tmp_path / "again.bvh")
    again = read_bvh(tmp_path / "again.bvh")
    assert (first.joints, first.parents, first.channels, first.fps) == (
        again.joints,
        again.parents,
        again.channels,
        again.fps,
    )
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.ends[1], again.ends[1])
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
    with pytest.raises(MotionFileError, match="cannot be written"):
        write_bvh(first, tmp_path / "no_folder" / "x.bvh")


def test_forward_kinematics_agree_with_rotations_multiplied_one_by_one(monkeypatch):
    joints, names, parents, rest = chain(50)
    plain = solve_bvh(joints, names, parents, rest, 30)
    monkeypatch.setattr("motionllm.motion.formats.bvh._BLOCK", 16)
    bvh = BVH(**{f.name: getattr(plain, f.name) for f in dataclasses.fields(plain)})
    column, world = 0, {}
    for j, channels in enumerate(bvh.channels):
        turns = [column + i for i, c in enumerate(channels) if "rotation" in c]
        order = "".join(c[0] for c in channels if "rotation" in c)
        local = Rotation.from_euler(order, bvh.values[:, turns], degrees=True)
        world[j] = world[bvh.parents[j]] * local if j else local
        column += len(channels)
        np.testing.assert_allclose(bvh.world()[1][:, j], world[j].as_matrix(), atol=1e-12)
        np.testing.assert_allclose(bvh.local()[1][:, j], local.as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(bvh.positions(), plain.positions())
    np.testing.assert_array_equal(bvh.cut(7, 20).positions(), bvh.positions()[7:20])
    np.testing.assert_allclose(bvh.measured(0.02, "z").positions()[..., 1], bvh.positions()[..., 2] * 2, atol=1e-12)


def test_resampling_to_a_divisor_takes_every_nth_frame():
    joints, names, parents, rest = chain(61)
    bvh = solve_bvh(joints, names, parents, rest, 120)
    low = bvh.resample(20)
    assert len(low) == 11 and low.fps == 20
    np.testing.assert_allclose(low.world()[0], bvh.world()[0][::6], atol=1e-9)


@pytest.mark.parametrize(
    ("frames", "fps", "target", "count"), [(195, 30, 20, 130), (344, 120, 20, 58), (1, 30, 20, 1), (20, 20, 30, 30)]
)
def test_sample_times_stay_within_the_clip(frames, fps, target, count):
    times = sample_times(frames, fps, target)
    assert len(times) == count and times[-1] <= (frames - 1) / fps + 1e-3 / target


@pytest.mark.parametrize(
    ("fps", "target"), [(20, 24), (20, 30), (24, 25), (12.5, 20), (20, 29.97), (30, 100), (20, 60)]
)
def test_a_clip_comes_back_from_a_higher_rate_with_all_its_frames_and_its_last_pose(fps, target):
    for frames in range(1, 200):
        times = sample_times(frames, fps, target)
        assert abs(times[-1] - (frames - 1) / fps) < 1e-3 / fps and len(times) / target < frames / fps + 1 / target
        assert len(sample_times(len(times), target, fps)) == frames


def test_two_thousand_frames_of_31_joints_take_less_than_a_second(tmp_path):
    names = [f"j{i}" for i in range(31)]
    values = np.random.default_rng(0).uniform(-90, 90, (2000, 96))
    turns = ("Zrotation", "Xrotation", "Yrotation")
    places = ("Xposition", "Yposition", "Zposition")
    channels = ((*places, *turns), *[turns] * 30)
    bvh = BVH(tuple(names), (-1, *range(30)), np.ones((31, 3)), {}, channels, values, 120.0)
    write_bvh(bvh, tmp_path / "long.bvh")
    start = time.process_time()
    positions, _ = read_bvh(tmp_path / "long.bvh").world()
    assert positions.shape == (2000, 31, 3) and time.process_time() - start < 1.0


def test_a_root_that_stands_while_the_body_goes_is_left_out_and_other_loose_bones_are_refused(tmp_path: Path) -> None:
    joints, names, parents, rest = chain()
    going = joints + np.linspace(0, 4, len(joints))[:, None, None] * [1, 0, 0]
    still = np.concatenate([np.zeros((len(going), 1, 3)), going], axis=1)
    more = ["ground", *names], [-1, *(p + 1 for p in parents)], np.concatenate([np.zeros((1, 3)), rest])
    bvh = solve_bvh(still, *more, 20.0)
    assert "ground" not in bvh.joints
    path = tmp_path / "clip.bvh"
    write_bvh(bvh, path)
    read = read_bvh(path)
    places = read.positions()[:, [read.joints.index(name) for name in names]] / 100
    assert np.abs(places - going).max() < 2e-3
    loose = going.copy()
    loose[:, 5] += np.linspace(0, 2, len(joints))[:, None]
    with pytest.raises(MotionLLMError, match="bones of a BVH have one length"):
        solve_bvh(loose, names, parents, rest, 20.0)
