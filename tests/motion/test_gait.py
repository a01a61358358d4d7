"""Gait: on a walker whose steps are known, figures and events come out; other clips are refused in one sentence."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from motionllm import cli
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.gait import FIGURES, Gait, Stride, gait
from motionllm.motion.gait_norms import band, norms
from motionllm.motion.show.gait_page import usual_of, write_gait_page

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MARKS = json.loads(Path(__file__).with_name("gait_marks.json").read_text(encoding="utf-8"))
THIGH, SHANK, WIDTH, ANKLE_HEIGHT = 0.42, 0.42, 0.1, 0.08


def walker(
    speed: float = 1.25,
    stride: float = 1.1,
    stance: float = 0.62,
    seconds: float = 6.0,
    fps: float = 50.0,
    late: float = 0.0,
    heading: float = 0.0,
) -> tuple[np.ndarray, list[tuple[float, str, str]]]:
    """((T, 22, 3) joints, the events of the middle of the clip). late: seconds by which the right foot's steps are."""
    t = np.arange(0, seconds, 1 / fps)
    joints = np.zeros((len(t), 22, 3))
    joints[:, 0] = np.stack([np.zeros_like(t), np.full_like(t, 0.86), speed * t], 1)
    for j, y in {3: 0.1, 6: 0.2, 9: 0.3, 12: 0.5, 15: 0.65}.items():
        joints[:, j] = joints[:, 0] + (0, y, 0)
    for j, (x, y) in {13: (0.07, 0.42), 16: (0.17, 0.42), 18: (0.18, 0.16), 20: (0.18, -0.08)}.items():
        joints[:, j], joints[:, j + 1] = joints[:, 0] + (x, y, 0), joints[:, 0] + (-x, y, 0)
    events = []
    for k, (side, sign) in enumerate((("left", 1), ("right", -1))):
        begin = (0.5 * stride + late) * k  # a heel strike; every stride later another
        n, phase = np.divmod((t - begin) / stride, 1.0)
        swing = np.clip((phase - stance) / (1 - stance), 0, 1)
        travelled = n + swing**2 * (3 - 2 * swing)
        ahead = 0.5 * stance * speed * stride + speed * begin
        ankle = np.stack(
            [
                np.full_like(t, sign * WIDTH / 2),
                ANKLE_HEIGHT + 0.1 * np.sin(np.pi * swing) ** 2,
                ahead + speed * stride * travelled,
            ],
            1,
        )
        hip = joints[:, 0] + (sign * 0.09, -0.05, 0)
        span = ankle - hip
        reach = np.linalg.norm(span, axis=1, keepdims=True).clip(1e-6, THIGH + SHANK)
        bend = np.sqrt(np.maximum(THIGH**2 - (reach / 2) ** 2, 0))
        along = span / np.linalg.norm(span, axis=1, keepdims=True)
        forward = np.cross(np.tile([1.0, 0, 0], (len(t), 1)), along) * -1
        joints[:, 1 + k], joints[:, 7 + k], joints[:, 10 + k] = hip, ankle, ankle + np.array([0, -0.05, 0.14])
        joints[:, 4 + k] = hip + along * reach / 2 + forward * bend
        events += [(begin + i * stride, side, "heel strike") for i in range(-1, 9)]
        events += [(begin + (i + stance) * stride, side, "toe-off") for i in range(-1, 9)]
    c, s = np.cos(heading), np.sin(heading)
    turned = joints @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return turned, sorted(e for e in events if 1.2 < e[0] < seconds - 1.2)


@pytest.mark.parametrize("frozen", [("left",), ("right",), ("left", "right"), ()])
def test_an_ankle_that_does_not_move_has_no_range(
    frozen: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joints, _ = walker()
    for k, side in enumerate(("left", "right")):
        if side in frozen:  # the foot turns with the shin
            shin = joints[:, 7 + k] - joints[:, 4 + k]
            shin /= np.linalg.norm(shin, axis=1, keepdims=True)
            joints[:, 10 + k] = joints[:, 7 + k] + 0.05 * shin + 0.14 * np.cross(shin, [-1.0, 0, 0])
    result = gait(joints, 50.0)
    assert result.still == tuple(f"{side} ankle" for side in frozen)
    values = result.json()
    json.dumps(values, allow_nan=False)
    for side in ("left", "right"):
        known = side not in frozen
        assert (values["figures"]["ankle_range"][side] is not None) == known == (side in values["curves"]["ankle"])
        assert (result.curve("ankle", side) is not None) == known and result.curve("knee", side) is not None
    np.savez(tmp_path / "walk.npz", joints=joints.astype(np.float32), fps=50.0)
    page = tmp_path / "walk.html"
    assert cli.main(["data", "gait", str(tmp_path / "walk.npz"), "--report", str(page)]) == 0
    out, row = (text := capsys.readouterr().out), next(line for line in text.splitlines() if "ankle range" in line)
    for side in ("left", "right"):
        said = f"The {side} ankle does not move in the file"
        assert (said in out) == (said in page.read_text(encoding="utf-8")) == (side in frozen)
    assert row.split().count("–") == (len(frozen) + 1 if frozen else 0) and "nan" not in page.read_text().lower()


@pytest.mark.parametrize(("speed", "stride", "stance"), [(1.25, 1.1, 0.62), (0.8, 1.3, 0.66), (1.6, 1.0, 0.6)])
@pytest.mark.parametrize("fps", [20.0, 50.0, 120.0])
def test_the_figures_of_a_walker_that_is_known(speed: float, stride: float, stance: float, fps: float) -> None:
    joints, events = walker(speed, stride, stance, fps=fps, heading=0.7)
    result = gait(joints, fps)
    assert result.mean("speed") == pytest.approx(speed, rel=0.02)
    assert result.mean("cadence") == pytest.approx(120 / stride, rel=0.02)
    assert result.mean("stride_length") == pytest.approx(speed * stride, rel=0.02)
    assert result.mean("step_length") == pytest.approx(speed * stride / 2, rel=0.03)
    assert result.mean("step_width") == pytest.approx(WIDTH, abs=0.01)
    assert result.mean("stance") == pytest.approx(100 * stance, abs=5)
    assert result.mean("stance") + result.mean("swing") == pytest.approx(100)
    assert result.mean("single_support") + result.mean("double_support") == pytest.approx(result.mean("stance"), abs=1)
    assert result.asymmetry < 2 and result.variability < 1
    for seconds, side, name in events:
        near = [t for t, s, n in result.events if (s, n) == (side, name)]
        assert min(abs(t - seconds) for t in near) <= 0.05, f"{side} {name} at {seconds:.2f} s"


def test_a_late_foot_is_an_asymmetry_and_changes_no_stride() -> None:
    even, limping = (gait(walker(late=late)[0], 50.0) for late in (0.0, 0.08))
    assert even.asymmetry < 2
    assert limping.asymmetry == pytest.approx(200 * 0.16 / 1.1, abs=3)
    assert limping.mean("stride_time") == pytest.approx(1.1, rel=0.02)


def test_left_and_right_are_exchanged_in_a_mirrored_walk() -> None:
    joints, _ = walker(late=0.08)
    mirror = joints * (-1, 1, 1)
    mirror[:, [1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 18, 19, 20, 21]] = mirror[
        :, [2, 1, 5, 4, 8, 7, 11, 10, 14, 13, 17, 16, 19, 18, 21, 20]
    ]
    one, other = gait(joints, 50.0), gait(mirror, 50.0)
    for name in FIGURES:
        assert one.mean(name, "left") == pytest.approx(other.mean(name, "right"), rel=1e-6), name


def test_what_is_no_walk_is_refused() -> None:
    joints, _ = walker()
    still = np.repeat(joints[:1], 200, axis=0)
    for clip, said in ((still, "No stride"), (joints[::-1].copy(), "No stride"), (joints[:20], "holds no stride")):
        with pytest.raises(MotionLLMError, match=said):
            gait(clip, 50.0)
    with pytest.raises(MotionLLMError, match="shape"):
        gait(joints[:, :21], 50.0)


def test_why_no_stride_is_measured_is_said() -> None:
    joints, _ = walker()
    treadmill = joints - joints[:, :1] * [1, 0, 1]
    far = walker(seconds=12.0)[0]
    for clip, fps, said in (
        (treadmill, 50.0, "treadmill"),
        (joints[::-1].copy(), 50.0, "does not face where it goes"),
        (far, 20.0, "strides last 2.8 s and more, and up to 2.5 s are measured"),
    ):
        with pytest.raises(MotionLLMError, match=said):
            gait(clip, fps)


def test_a_step_that_ends_the_walk_is_no_stride() -> None:
    joints, _ = walker(seconds=6.0)
    stop = np.repeat(joints[-1:], 150, axis=0)
    stop[:, :, 2] += 0.35 * (1 - np.exp(-np.arange(150) / 25))[:, None]  # the body comes to rest
    walked, stopped = gait(joints, 50.0), gait(np.concatenate([joints, stop]), 50.0)
    for name in ("speed", "stride_length", "cadence"):
        assert stopped.mean(name) == pytest.approx(walked.mean(name), rel=0.05)


def test_usual_speeds_go_by_age_and_sex() -> None:
    assert norms(75, "female")["speed"][0] < norms(25, "female")["speed"][0]
    for age, sex, said in ((75, None, "both"), (12, "male", "20 to 99"), (40, "other", "female and male")):
        with pytest.raises(MotionLLMError, match=said):
            norms(age, sex)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joints, _ = walker(fps=20.0)
    Motion(joints.astype(np.float32), 20.0).save(tmp_path / "walk.npy")
    words = ["data", "gait", str(tmp_path / "walk.npy"), "--report", str(tmp_path / "gait.html"), "--json"]
    assert cli.main(words) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["note"] == "For research; not a medical device."
    assert values["figures"]["cadence"]["both"] == pytest.approx(109, abs=2)
    page = (tmp_path / "gait.html").read_text(encoding="utf-8")
    assert "not a medical device" in page and page.count("<figure>") == 3 and "<script" not in page
    assert cli.main([*words, "--age", "30"]) == 2
    assert "give both, or neither" in capsys.readouterr().err
    assert cli.main(["data", "gait", str(tmp_path / "walk.npy"), "--report", str(tmp_path / "gait.pdf")]) == 2
    assert "written as .html" in capsys.readouterr().err and not (tmp_path / "gait.pdf").exists()
    assert cli.main(words[:3]) == 0
    assert "step time asymmetry" in capsys.readouterr().out
    assert usual_of(72, "female").endswith("(speed: women of 72 years; other figures: adults of any age).")


def test_each_side_is_marked_by_itself(tmp_path: Path) -> None:
    """A figure may be out of its range on one side alone, or on both to opposite ends, whatever their mean is."""
    curves = {name: np.zeros(101) for name in ("hip", "knee", "ankle")}
    knees = {"left": 40.0, "right": 80.0}
    sides = {side: dict.fromkeys(FIGURES, 1.0) | {"knee_range": knee} for side, knee in knees.items()}
    walk = Gait((), tuple(Stride(side, 0.0, 1.1, 0.7, values, curves) for side, values in sides.items()), 0)
    write_gait_page(walk, tmp_path / "gait.html", "walk")
    row = next(line for line in (tmp_path / "gait.html").read_text().splitlines() if "knee range" in line)
    assert row.count("outside the usual range") == 2 and ">60<" in row


def test_the_usual_bands_are_those_of_the_source_and_tell_a_stiff_knee() -> None:
    knee, spread = band("knee")
    assert (knee.argmax(), round(knee.max(), 1), spread[0]) == (72, 61.4, 4.9)
    assert band("hip")[0].argmin() == 52
    assert band("ankle", mean=10.0)[0].mean() == pytest.approx(10)
    usual = {joint: band(joint)[0] for joint in ("hip", "knee", "ankle")}
    stiff = {**usual, "knee": np.zeros(101)}
    for curves, low, high in ((usual, 100, 100), (stiff, 25, 45)):
        walk = Gait((), (Stride("left", 0.0, 1.1, 0.7, dict.fromkeys(FIGURES, 1.0), curves),), 0)
        assert low <= walk.within("knee", "left") <= high and np.isnan(walk.within("knee", "right"))
        told = walk.json()["curves"]["knee"]
        assert told["usual"]["mean"] == usual["knee"].round(1).tolist() and len(told["left"]["mean"]) == 101


@pytest.mark.parametrize("name", list(MARKS))
def test_events_are_where_a_person_sees_them(name: str) -> None:
    """Frames marked by eye on pictures of the feet from the side, before any event was computed: a heel strike where
    the ankle, with the toes up, comes to its place, a toe-off where the ball of the foot leaves its own."""
    if not (DATA / name).is_file():
        pytest.skip(f"shared/data/{name} is not here")
    body, marks = Motion.load(DATA / name).body(), MARKS[name]
    result = gait(body.joints, body.fps)
    away = []
    for side in ("left", "right"):
        for event, frames in marks[side].items():
            near = [t for t, s, e in result.events if (s, e) == (side, event)]
            away += [min(abs(t - frame / marks["fps"]) for t in near) for frame in frames]
    assert len(away) >= 7
    assert max(away) <= 0.05


WALKS = ("02_01", "06_01", "07_01", "07_03", "08_01", "08_02", "08_04", "10_04", "12_01", "16_15")
WALKS += ("16_31", "16_47", "35_01", "35_05", "35_29", "49_01")
MORE_WALKS = ("38_02", "39_01", "39_07", "55_04")


def ways(joints: np.ndarray, fps: float, start: float, end: float) -> tuple[float, float, float]:
    """Cadence, speed and stride length between two seconds without any event of a foot: from where the ankles pass each
    other along the path of the pelvis."""
    t = np.arange(len(joints)) / fps
    flat = joints[..., [0, 2]]
    kernel = np.ones(11) / 11
    way = np.stack([np.convolve(np.gradient(flat[:, 0, k]), kernel, "same") for k in (0, 1)], 1)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    apart = ((flat[:, 7] - flat[:, 8]) * way).sum(1)
    where = [i for i in range(len(t) - 1) if start <= t[i] < end and apart[i] * apart[i + 1] < 0]
    passes = np.array([t[i] - apart[i] * (t[i + 1] - t[i]) / (apart[i + 1] - apart[i]) for i in where])
    places = np.stack([np.interp(passes, t, flat[:, 0, k]) for k in (0, 1)], 1)
    cadence = 60 * (len(passes) - 1) / (passes[-1] - passes[0])
    speed = float(np.linalg.norm(places[-1] - places[0])) / (passes[-1] - passes[0])
    return cadence, speed, 120 * speed / cadence


def test_twenty_real_walks_agree_with_where_the_ankles_pass_each_other() -> None:
    files = [DATA / "cmu_trials" / "new_joints" / f"{name}.npy" for name in WALKS]
    files += [DATA / "cmu2_trials" / "new_joints" / f"{name}.npy" for name in MORE_WALKS]
    if not all(file.is_file() for file in files):
        pytest.skip("shared/data/cmu_trials is not here")
    assert len(files) == 20
    for file in files:
        joints = np.load(file)
        result = gait(joints, 20.0)
        span = min(s.start for s in result.strides), max(s.end for s in result.strides)
        measured = [result.mean(name) for name in ("cadence", "speed", "stride_length")]
        np.testing.assert_allclose(measured, ways(joints, 20.0, *span), rtol=0.05, err_msg=file.stem)


def test_real_walks_agree_with_feet_that_rest() -> None:
    """Independent of the pelvis: a stride is from one landing of an ankle, slower than 0.5 m/s from then on, to the
    next."""
    if not (DATA / "cmu_trials").is_dir():
        pytest.skip("shared/data/cmu_trials is not here")
    errors = []
    for name in ("02_01", "06_01", "07_01", "07_03", "07_06", "07_07", "08_01", "08_02", "08_03", "08_04"):
        joints = np.load(DATA / "cmu_trials" / "new_joints" / f"{name}.npy")
        result = gait(joints, 20.0)
        for k, side in enumerate(("left", "right")):
            place = joints[:, 7 + k][:, [0, 2]]
            slow = np.linalg.norm(np.gradient(place, axis=0), axis=1) * 20 < 0.5
            first = [i for i in range(1, len(slow) - 1) if slow[i] and slow[i + 1] and not slow[i - 1]]
            rests = [np.median(place[i : i + 3], axis=0) for i in first]
            lengths = [float(np.linalg.norm(b - a)) for a, b in pairwise(rests)]
            times = np.diff(first) / 20
            if len(lengths) and result.of(side):
                errors.append(
                    (
                        result.mean("stride_length", side) / np.mean(lengths) - 1,
                        result.mean("stride_time", side) / np.mean(times) - 1,
                    )
                )
    assert len(errors) >= 15
    assert np.abs(np.array(errors)).mean(0).max() < 0.05
