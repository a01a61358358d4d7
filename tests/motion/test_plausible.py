"""Plausible bodies: what is certainly wrong is mended and said, what is doubtful noted, what is no body refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion, features, plausible
from motionllm.motion.formats.bvh import UPRIGHT
from motionllm.motion.skeleton import HUMANML3D

AT = {name: j for j, name in enumerate(HUMANML3D.joints)}


def loaded(path: Path, joints: np.ndarray) -> Motion:
    np.save(path / "clip.npy", joints.astype(np.float32))
    return Motion.load(path / "clip.npy")


def standing_clips(walk: np.ndarray) -> dict[str, np.ndarray]:
    """What real people do: none of it is to be altered or noted."""
    still = walk - walk[:, :1] * [1, 0, 1] + np.array([0.3, 0, 2])
    rest = still[:1] + np.sin(np.arange(len(walk)))[:, None, None] * 0.005
    on_back = rest @ UPRIGHT["z"] + np.array([0, 0, 1.5])  # head along z, face up
    on_back[..., 1] -= on_back[..., 1].min()
    prone = on_back * [-1, -1, 1]
    prone[..., 1] -= prone[..., 1].min()
    overhead = walk.copy()
    for side in ("left", "right"):
        for joint in ("elbow", "wrist"):
            overhead[:, AT[f"{side}_{joint}"]] *= [1, -1, 1]
            overhead[:, AT[f"{side}_{joint}"], 1] += 2 * walk[:, AT[f"{side}_shoulder"], 1]
    handstand = overhead * [-1, -1, 1]
    handstand[..., 1] -= handstand[..., 1].min()
    angle = np.linspace(0, 2 * np.pi, len(walk))
    wheel = still.copy()
    wheel[..., 0] = (
        np.cos(angle)[:, None] * still[..., 0] - np.sin(angle)[:, None] * (still[..., 1] - 1) + angle[:, None]
    )
    wheel[..., 1] = np.sin(angle)[:, None] * still[..., 0] + np.cos(angle)[:, None] * (still[..., 1] - 1) + 1
    down = np.clip(np.linspace(-0.5, 2.0, len(walk)), 0, np.pi / 2)[:, None]  # from standing to the floor
    falls = still.copy()
    falls[..., 1] = np.cos(down) * still[..., 1] - np.sin(down) * still[..., 2]
    falls[..., 2] = np.sin(down) * still[..., 1] + np.cos(down) * still[..., 2]
    return {
        "walk": walk,
        "on the back": on_back,
        "prone": prone,
        "handstand": handstand,
        "cartwheel": wheel,
        "falls": falls,
        "raised": walk + np.array([3, 40, 5]),
        "child": walk * 0.6,
    }


def test_what_people_do_is_neither_altered_nor_noted(walk, tmp_path):
    for name, joints in standing_clips(walk).items():
        clip = loaded(tmp_path, joints)
        assert clip.notes == (), name
        np.testing.assert_array_equal(clip.joints, joints.astype(np.float32), err_msg=name)


@pytest.mark.parametrize("axis", [a for a in UPRIGHT if a != "y"])
@pytest.mark.parametrize("heading", [0, 65, 90, 180, 270])
def test_another_axis_up_is_turned_up_and_left_stays_left(walk, tmp_path, axis, heading):
    angle = np.radians(heading)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    clip = loaded(tmp_path, walk @ turn.T @ UPRIGHT[axis])
    assert any(n.startswith("mended: turned upright") for n in clip.notes)
    np.testing.assert_allclose(clip.canonical().joints, Motion(walk).canonical().joints, atol=1e-4)


def test_standing_on_a_floor_at_zero_is_told_from_lying(walk, tmp_path):
    still = (walk - walk[:, :1] * [1, 0, 1])[:1].repeat(40, axis=0)
    ahead, aside = still + np.array([0, 0, 2]), still[..., [2, 1, 0]] * [1, 1, -1] + np.array([0, 0, 2])
    assert loaded(tmp_path, aside @ UPRIGHT["z"]).notes == ("mended: turned upright (Z is up in the file)",)
    # As flat over z as one who lies there: both may be meant.
    assert loaded(tmp_path, ahead @ UPRIGHT["z"]).notes[0].startswith("check: the body lies along z")


def test_a_mirrored_file_is_mirrored_back(walk, tmp_path):
    for joints in (walk * [-1, 1, 1], walk * [1, 1, -1], (walk * [-1, 1, 1]) @ UPRIGHT["z"]):
        clip = loaded(tmp_path, joints)
        assert any("mirrored back" in n for n in clip.notes)
        np.testing.assert_allclose(clip.canonical().joints, Motion(walk).canonical().joints, atol=1e-4)


def test_exchanged_arms_are_noted(walk, tmp_path):
    arms = [AT[f"{s}_{p}"] for s in ("left", "right") for p in ("collar", "shoulder", "elbow", "wrist")]
    joints = walk.copy()
    joints[:, arms] = walk[:, arms[4:] + arms[:4]]
    assert plausible.doubts(loaded(tmp_path, joints).notes) == [
        "check: left and right are exchanged between hips and shoulders"
    ]


def test_feet_that_point_nowhere_are_noted(walk, tmp_path):
    down, back = walk.copy(), walk.copy()
    for side in ("left", "right"):
        ankle, foot, knee = (AT[f"{side}_{p}"] for p in ("ankle", "foot", "knee"))
        down[:, foot] = walk[:, ankle] + 0.3 * (walk[:, ankle] - walk[:, knee])
        back[:, foot] = 2 * walk[:, ankle] - walk[:, foot]
    assert "straight down" in " ".join(loaded(tmp_path, down).notes)
    assert "backwards" in " ".join(loaded(tmp_path, back).notes)


@pytest.mark.parametrize(("factor", "name"), [(100, "centimetres"), (1000, "millimetres"), (1 / 0.0254, "inches")])
def test_units_are_mended_for_joints(walk, tmp_path, factor, name):
    clip = loaded(tmp_path, walk * factor)
    assert name in clip.notes[0] and clip.leg == pytest.approx(Motion(walk).leg, abs=1e-4)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 0.1, 5, 1e4, 1e12, 1e30])
def test_no_persons_size_is_refused_with_the_length(walk, tmp_path, factor):
    with pytest.raises(MotionFileError, match=r"clip\.npy: the (legs .* are \S+ m long|body stands \S+ m from)"):
        loaded(tmp_path, walk * factor)


def test_features_that_are_scaled_or_normalised_are_refused(walk, tmp_path):
    made = features.joints_to_features(walk)
    normalised = (made - made.mean(0)) / (made.std(0) + 1e-3)
    for array in (made * 1000, made * 0.001, made * 100, normalised):
        with pytest.raises(MotionFileError, match=r"normalised|m/s|bones do not"):
            loaded(tmp_path, array)
    assert loaded(tmp_path, made).notes == ()


def test_speed_is_noted_then_refused_with_the_frame(walk, tmp_path):
    jump = walk.copy()
    jump[30:] += [5, 0, 0]
    assert "moves 100 m/s after frame 29" in loaded(tmp_path, jump).notes[0]
    jump[40, AT["left_wrist"]] += 1e6
    with pytest.raises(MotionFileError, match=r"left wrist moves \S+ m/s after frame (39|40)"):
        loaded(tmp_path, jump)
    jump[40:] += 1e8
    with pytest.raises(MotionFileError, match="first at frame 40"):
        loaded(tmp_path, jump)


def test_no_order_of_joints_but_the_right_one_passes_without_a_word(walk):
    rng = np.random.default_rng(7)
    for _ in range(60):
        order = rng.permutation(22)
        try:
            notes = plausible.inspect(walk[:, order], 20).notes
        except MotionLLMError:
            continue
        assert notes, order
    for _ in range(20):
        with pytest.raises(MotionLLMError):
            plausible.inspect(rng.normal(0, rng.uniform(0.1, 2), (50, 22, 3)), 20)


def test_a_rig_of_its_own_in_npz_is_looked_at(walk, tmp_path):
    content = {
        "joints": walk @ UPRIGHT["x"] * [1, 1, -1],
        "fps": 20,
        "parents": np.array(HUMANML3D.parents),
        "names": np.array([f"My_{n}" for n in HUMANML3D.joints]),
        "offsets": np.zeros((22, 3)),
    }
    np.savez(tmp_path / "clip.npz", **content)
    clip = Motion.load(tmp_path / "clip.npz")
    assert len(clip.notes) == 2
    np.testing.assert_allclose(clip.canonical().joints, Motion(walk).canonical().joints, atol=1e-4)


def test_what_an_array_leaves_open_may_be_stated(walk, tmp_path):
    """Of joints in an array: the unit, the axis that is up, and the frame rate; names there are none."""
    raw = walk @ UPRIGHT["z"] * 100
    np.save(tmp_path / "clip.npy", raw.astype(np.float32))
    np.savez(tmp_path / "clip.npz", joints=raw.astype(np.float32), mocap_framerate=120)
    rig = {"up": "z", "unit": 0.01}
    for name, stated, fps in (("clip.npy", rig, 20), ("clip.npz", rig, 120), ("clip.npz", rig | {"fps": 60}, 60)):
        clip = Motion.load(tmp_path / name, stated)
        assert clip.fps == fps
        np.testing.assert_allclose(clip.canonical().joints, Motion(walk, fps).canonical().joints, atol=1e-3)
    refused = [({"left_hip": "hip"}, "have no names"), ({"fps": "fast"}, "frames per second"), ({"fps": -1}, "")]
    for wrong, said in refused:
        with pytest.raises(MotionFileError, match=said):
            Motion.load(tmp_path / "clip.npy", wrong)
    np.savez(tmp_path / "silent.npz", joints=walk.astype(np.float32))
    assert any("does not say its frame rate" in note for note in Motion.load(tmp_path / "silent.npz").notes)
