"""Motion on robots: limits, feet, targets, files, movies and refusals, on a small robot and on the built-in ones."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import Motion, cli, corpus
from motionllm.errors import MotionLLMError

mujoco = pytest.importorskip("mujoco", reason="pip install 'motionllm[robot]'")
pytest.importorskip("daqp", reason="pip install 'motionllm[robot]'")

from motionllm.robots.playback import save_movie  # noqa: E402
from motionllm.robots.report import report  # noqa: E402
from motionllm.robots.retarget import retarget  # noqa: E402
from motionllm.robots.robot import PAIRED, Robot, load_robot  # noqa: E402
from motionllm.robots.saving import save_csv, save_npz  # noqa: E402
from motionllm.robots.solving import solve  # noqa: E402
from motionllm.robots.targets import targets  # noqa: E402

models = pytest.mark.skipif(
    importlib.util.find_spec("holosoma_retargeting") is None, reason="pip install --no-deps holosoma-retargeting"
)
PROMPTS = """a person walks forward
a person walks in a circle to the left
a person walks backward
a person runs forward
a person jumps up
a person jumps forward
a person kicks with the right leg
a person kicks with the left leg
a person waves with the left hand
a person waves with the right hand
a person sits down
a person squats twice
a person raises both arms
a person turns around
a person punches with the right hand
a person side steps to the right
a person does jumping jacks
a person bends down and picks something up
a person kneels down
a person throws something with the right hand""".splitlines()
SHARED = Path(__file__).parents[3] / "shared" / "data"


def joint(name: str, axis: str, low: float, high: float) -> str:
    return f'<joint name="{name}" axis="{axis}" range="{low} {high}"/>'


def limbs(side: str, sign: int) -> tuple[str, str]:
    """MJCF of an arm and a leg."""
    leg = f"""<body name="{side}_thigh" pos="0 {sign * 0.1} -0.05">
      {joint(f"{side}_hip_yaw", "0 0 1", -1, 1)}{joint(f"{side}_hip_roll", "1 0 0", -1, 1)}
      {joint(f"{side}_hip_pitch", "0 1 0", -2.4, 1.5)}
      <geom type="capsule" fromto="0 0 -0.08 0 0 -0.32" size="0.05"/>
      <body name="{side}_shin" pos="0 0 -0.4">{joint(f"{side}_knee", "0 1 0", 0, 2.5)}
        <geom type="capsule" fromto="0 0 -0.08 0 0 -0.32" size="0.04"/>
        <body name="{side}_sole" pos="0 0 -0.4">
          {joint(f"{side}_ankle_pitch", "0 1 0", -0.9, 0.7)}{joint(f"{side}_ankle_roll", "1 0 0", -0.5, 0.5)}
          <geom type="box" pos="0.05 0 -0.04" size="0.1 0.04 0.02"/>
          <site name="{side}_ball" pos="0.1 0 -0.06"/>
        </body></body></body>"""
    roll = sorted((-sign * 0.5, sign * 2.8))
    arm = f"""<body name="{side}_upper" pos="0 {sign * 0.2} 0.4">
      {joint(f"{side}_shoulder_pitch", "0 1 0", -3.1, 2)}{joint(f"{side}_shoulder_roll", "1 0 0", *roll)}
      {joint(f"{side}_shoulder_yaw", "0 0 1", -2, 2)}
      <geom type="capsule" fromto="0 0 -0.05 0 0 -0.22" size="0.03"/>
      <body name="{side}_lower" pos="0 0 -0.27">{joint(f"{side}_elbow", "0 1 0", -2.4, 0)}
        <geom type="capsule" fromto="0 0 -0.05 0 0 -0.25" size="0.03"/>
        <site name="{side}_hand" pos="0 0 -0.27"/>
      </body></body>"""
    return arm, leg


def describe(folder: Path, **changes: Any) -> Path:
    """The YAML of a small robot in `folder`, beside its model; keys of the description may be changed or dropped."""
    (left_arm, left_leg), (right_arm, right_leg) = limbs("left", 1), limbs("right", -1)
    (folder / "small.xml").write_text(f"""<mujoco><compiler angle="radian"/><worldbody><body name="hips">
      <geom type="box" size="0.08 0.12 0.04"/>{left_leg}{right_leg}
      <body name="chest" pos="0 0 0.1">{joint("waist", "0 0 1", -1.5, 1.5)}
      <geom type="box" pos="0 0 0.2" size="0.08 0.12 0.2"/>{left_arm}{right_arm}</body></body></worldbody></mujoco>""")
    parts = {"hip": "thigh", "knee": "shin", "ankle": "sole", "foot": "ball", "shoulder": "upper", "elbow": "lower"}
    parts["wrist"] = "hand"
    pairs = {name: f"{name.split('_')[0]}_{parts[name.split('_')[1]]}" for name in PAIRED}
    description = {"model": "small.xml", "pairs": pairs, "velocity": 20, **changes}
    path = folder / "small.yaml"
    path.write_text(json.dumps({key: value for key, value in description.items() if value is not None}))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Robot:
    return load_robot(str(describe(tmp_path_factory.mktemp("robot"))))


def clip(action: str, frames: int = 50, **part: Any) -> Motion:
    return Motion(corpus.joints(corpus.Spec((corpus.Part(action, **part),)), 1)[:frames])


@pytest.mark.parametrize("action", ["walk", "kick", "wave"])
def test_limits_feet_and_targets(small: Robot, action: str) -> None:
    side = {} if action == "walk" else {"side": "right"}
    qpos, figures = retarget(clip(action, **(side or {"direction": "forward"})), small)
    assert figures["limits_broken"] == 0 and figures["contacts"] > 0
    assert figures["slip_max_cm"] < 1 and figures["under_floor_mm"] < 5
    assert figures["feet_p95_cm"] < 3 and figures["hands_p95_cm"] < 6
    # Counted here anew, from the definitions.
    assert (qpos[:, 7:] >= small.low).all() and (qpos[:, 7:] <= small.high).all()
    assert (np.abs(np.diff(qpos[:, 7:], axis=0)) * 30 <= small.velocity).all()


def test_a_frame_far_from_the_one_before_is_solved_to_its_end(tmp_path: Path) -> None:
    robot = load_robot(str(describe(tmp_path, velocity=1000)))
    wave = clip("wave", 80, side="right").joints
    low, high = (int(extreme(wave[:, 21, 1])) for extreme in (np.argmin, np.argmax))
    goal = targets(Motion(wave[[low] * 10 + [high] * 10]), robot, 20.0)
    away = np.linalg.norm(robot.points(solve(robot, goal)) - goal.points, axis=-1)
    assert away[:, PAIRED.index("right_wrist")].max() < 0.02


def test_a_target_out_of_reach_is_told_from_one_that_is_reached_late(tmp_path: Path) -> None:
    wave = clip("wave", 60, side="right")
    slow = retarget(wave, load_robot(str(describe(tmp_path, velocity=1))))[1]
    assert slow["hands_max_cm"] > 10 and slow["hands_held_cm"] < 3
    path = describe(tmp_path)
    model = tmp_path / "small.xml"
    model.write_text(model.read_text().replace('range="-2.4 0"', 'range="-0.2 0"'))
    stiff = retarget(wave, load_robot(str(path)))[1]
    assert stiff["hands_held_cm"] > 5 and stiff["hands_held_cm"] == pytest.approx(stiff["hands_max_cm"], abs=3)


def test_the_side_is_the_human_one(small: Robot) -> None:
    points = small.points(retarget(clip("wave", 80, side="right"), small)[0])
    left, right = (points[:, PAIRED.index(f"{side}_wrist"), 2] for side in ("left", "right"))
    assert right.max() > left.max() + 0.2


def test_the_report_sees_each_fault(small: Robot) -> None:
    motion = clip("walk", direction="forward")
    goal = targets(motion, small, 30.0)
    qpos, good = retarget(motion, small)

    def changed(joint: str, frames: slice, value: float) -> dict[str, Any]:
        wrong = qpos.copy()
        wrong[frames, 7 + small.joints.index(joint)] = value
        return report(small, wrong, goal)

    assert changed("left_knee", slice(None), -0.1)["joint_limits_broken"] == len(qpos)
    assert changed("waist", slice(10, 11), 1.4)["velocity_limits_broken"] == 2
    crossed = qpos.copy()
    crossed[20:25, 7:] = 0
    crossed[20:25, [7 + small.joints.index(f"{side}_hip_roll") for side in ("left", "right")]] = -0.5, 0.5
    collided = report(small, crossed, goal)
    assert good["self_collisions"] == 0 and collided["self_collisions"] == 5 and collided["self_collision_mm"] > 5
    standing = int(np.flatnonzero(goal.standing[:, 0])[2])
    slid = qpos.copy()
    slid[standing, 0] += 0.1
    assert report(small, slid, goal)["slip_max_cm"] == pytest.approx(10, abs=1)
    sunk = qpos.copy()
    sunk[:, 2] -= 0.05
    assert report(small, sunk, goal)["under_floor_mm"] == pytest.approx(50, abs=5)
    assert report(small, sunk, goal)["feet_mean_cm"] == pytest.approx(5, abs=1)


def test_csv_in_both_forms(small: Robot, tmp_path: Path) -> None:
    qpos, figures = retarget(clip("kick", side="left"), small)
    for layout, order in (("lafan1", "xyzw"), ("mujoco", "wxyz")):
        path = tmp_path / f"{layout}.csv"
        save_csv(small, qpos, 30.0, path, layout, figures)
        rows = np.loadtxt(path, delimiter=",")
        about = json.loads((tmp_path / f"{layout}.csv.json").read_text("utf-8"))
        assert about["quaternion"] == order and about["columns"][7:] == list(small.joints) and about["fps"] == 30
        quaternion = rows[:, [about["columns"].index(f"root_q{axis}") for axis in "wxyz"]]
        np.testing.assert_allclose(np.concatenate([rows[:, :3], quaternion, rows[:, 7:]], axis=1), qpos, atol=1e-6)


def test_npz_has_velocities_of_joints_and_links(small: Robot, tmp_path: Path) -> None:
    turn = np.tile(small.rest, (30, 1))
    angle = np.arange(30) / 30 * 2.0  # 2 radians per second about z
    turn[:, 3], turn[:, 6] = np.cos(angle / 2), np.sin(angle / 2)
    turn[:, 0] = np.arange(30) / 30 * 0.5
    turn[:, 7] = np.arange(30) / 30 * 0.3
    save_npz(small, turn, 30.0, tmp_path / "m.npz", {})
    saved = np.load(tmp_path / "m.npz")
    about = json.loads((tmp_path / "m.npz.json").read_text("utf-8"))
    assert list(saved["joint_names"]) == list(small.joints) and list(saved["body_names"]) == about["bodies"]
    np.testing.assert_allclose(saved["joint_vel"][:, 0], 0.3, atol=1e-3)
    np.testing.assert_allclose(saved["body_lin_vel_w"][:, 0], np.tile([0.5, 0, 0], (30, 1)), atol=1e-3)
    np.testing.assert_allclose(saved["body_ang_vel_w"][:, 0], np.tile([0, 0, 2.0], (30, 1)), atol=1e-3)


def test_movies_with_and_without_opengl(
    small: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    qpos = np.tile(small.rest, (8, 1))
    qpos[:, 2] = 0.91
    save_movie(small, qpos, 30.0, tmp_path / "seen.gif")
    assert (tmp_path / "seen.gif").stat().st_size > 1000

    def without(*_: Any) -> None:
        raise RuntimeError("no OpenGL")

    monkeypatch.setattr("motionllm.robots.playback._rendered", without)
    with caplog.at_level(logging.WARNING):
        save_movie(small, qpos, 30.0, tmp_path / "drawn.mp4")
    assert (tmp_path / "drawn.mp4").stat().st_size > 1000 and "cannot render here" in caplog.text
    with pytest.raises(MotionLLMError, match="a movie is"):
        save_movie(small, qpos, 30.0, tmp_path / "a.avi")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": {"left_hip": "left_thigh"}}, "'pairs' names no frame for right_hip"),
        ({"model": "other.xml"}, "there is no model"),
        ({"model": None}, "'model' is the path"),
        ({"velocity": None}, "'velocity' gives no limit above 0 for left_hip_yaw"),
        ({"velocity": -1}, "'velocity' gives no limit above 0"),
        ({"rest": {"left_kne": 0.1}}, "no joint 'left_kne'; did you mean 'left_knee'"),
        ({"limits": 3}, "no key is called 'limits'"),
    ],
)
def test_descriptions_that_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MotionLLMError, match=message):
        load_robot(str(describe(tmp_path, **changes)))


def test_a_frame_that_the_model_lacks(tmp_path: Path) -> None:
    path = describe(tmp_path)
    path.write_text(path.read_text().replace('"left_knee": "left_shin"', '"left_knee": "left_shn"'))
    with pytest.raises(MotionLLMError, match="no frame 'left_shn' for left_knee; did you mean 'left_shin'"):
        load_robot(str(path))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    robot, motion, short = str(describe(tmp_path)), tmp_path / "kick.npy", tmp_path / "short.npy"
    clip("kick", side="left").save(motion)
    clip("kick", 3, side="left").save(short)
    words = ["data", "robot", str(motion), "--out", str(tmp_path / "kick.csv"), "--to"]
    assert cli.main([*words, robot, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["limits_broken"] == 0 and (tmp_path / "kick.csv.json").is_file()
    for wrong, message in (
        ([*words, "g7"], "no robot is called 'g7'"),
        ([*words, robot, "--format", "ros"], "--format is lafan1 or mujoco"),
        (["data", "robot", str(short), "--to", robot, "--out", str(tmp_path / "s.csv")], "the motion lasts"),
        (["data", "robot", str(motion), "--to", robot, "--out", str(tmp_path / "s.txt")], "is saved as .csv"),
    ):
        assert cli.main(wrong) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error
    assert not (tmp_path / "s.csv").exists()
    for package in ("mujoco", "daqp"):  # there, and broken

        def imported(name: str, broken: str = package) -> object:
            if name == broken:
                raise ImportError("lib of its core: no such file")
            return object()

        with monkeypatch.context() as patch:
            patch.setattr(importlib, "import_module", imported)
            with pytest.raises(
                MotionLLMError, match=rf"{package} is installed and cannot be imported \(lib of its core"
            ):
                load_robot("g1")
    real = importlib.util.find_spec
    for package, message in (
        ("mujoco", "motionllm\\[robot\\]"),
        ("holosoma_retargeting", "--no-deps holosoma-retarget"),
    ):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, lost=package: None if name == lost else real(name)
        )
        with pytest.raises(MotionLLMError, match=f"pip install .*{message}"):
            load_robot("g1")


@models
def test_booster_t1_is_read_by_its_own_mjcf(tmp_path: Path) -> None:
    from motionllm.robots.robot import models_folder

    robot = load_robot("t1")
    qpos, figures = retarget(clip("kick", 40, side="right"), robot)
    assert len(robot.joints) == 23 and figures["limits_broken"] == 0 and figures["slip_max_cm"] < 3
    save_csv(robot, qpos, 30.0, tmp_path / "t1.csv", "mujoco", figures)
    model = mujoco.MjModel.from_xml_path(str(models_folder() / "t1" / "t1_23dof.xml"))
    assert [model.joint(j).name for j in range(1, model.njnt)] == list(robot.joints)
    data, hand = mujoco.MjData(model), PAIRED.index("right_wrist")
    points = robot.points(qpos)
    for row, point in zip(np.loadtxt(tmp_path / "t1.csv", delimiter=","), points, strict=True):
        data.qpos[:] = row
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(data.body("right_hand_sphere_link").xpos, point[hand], atol=1e-4)


@models
@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "cmu").is_dir(), reason="../shared/data/cmu is not there")
def test_a_hundred_clips_on_unitree_g1(tmp_path: Path) -> None:
    from motionllm import MotionLM
    from motionllm.robots.robot import models_folder

    robot = load_robot("g1")
    files = sorted((SHARED / "cmu" / "new_joints").glob("*.npy"))[::3][:80]
    lm = MotionLM.load("default")
    clips = [Motion.load(file) for file in files] + [lm.generate(prompt, seed=1) for prompt in PROMPTS]
    figures = [retarget(motion, robot)[1] for motion in clips]
    assert len(figures) == 100
    assert sum(each["limits_broken"] for each in figures) == 0
    assert all((each["slip_max_cm"] or 0) <= 3 and each["under_floor_mm"] <= 3 for each in figures)
    assert all(each["hands_p95_cm"] <= 6 and each["feet_p95_cm"] <= 6 for each in figures)
    assert sum(max(each["hands_max_cm"], each["feet_max_cm"]) <= 6 for each in figures) >= 95  # acrobatics are not
    assert sum(each["frames"] for each in figures) / sum(each["frames"] / each["solved_fps"] for each in figures) >= 60
    qpos, last = retarget(clips[0], robot)
    save_csv(robot, qpos, 30.0, tmp_path / "g1.csv", "mujoco", last)
    model = mujoco.MjModel.from_xml_path(str(models_folder() / "g1" / "g1_29dof.xml"))
    assert [model.joint(j).name for j in range(1, model.njnt)] == list(robot.joints)
    data, hand = mujoco.MjData(model), PAIRED.index("left_wrist")
    for row, point in zip(np.loadtxt(tmp_path / "g1.csv", delimiter=","), robot.points(qpos), strict=True):
        data.qpos[:] = row
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(data.body("left_wrist_yaw_link").xpos, point[hand], atol=1e-4)
        assert (row[7:] >= model.jnt_range[1:, 0]).all() and (row[7:] <= model.jnt_range[1:, 1]).all()
