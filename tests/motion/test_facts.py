"""The measurement of motion, on bodies whose motion is written down here joint by joint."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion
from motionllm import corpus as builtin
from motionllm.errors import MotionLLMError
from motionllm.motion import splicing
from motionllm.motion.facts import arms, facts, legs, lowering, travel
from motionllm.motion.signals import WRIST
from motionllm.motion.skeleton import HUMANML3D

DATA = Path(__file__).parents[2].parent / "shared" / "data"
FPS = 20.0
WAYS = [((0, 1), "forward"), ((0, -1), "backward"), ((1, 0), "left"), ((-1, 0), "right")]
# A person standing: metres, left is +X, forward +Z.
STANDING = np.array(
    [
        (0, 0.96, 0),
        (0.06, 0.88, 0),
        (-0.06, 0.88, 0),
        (0, 1.09, -0.02),
        (0.07, 0.47, 0.01),
        (-0.07, 0.47, 0.01),
        (0, 1.23, 0),
        (0.08, 0.06, 0),
        (-0.08, 0.06, 0),
        (0, 1.29, 0),
        (0.1, 0, 0.13),
        (-0.1, 0, 0.13),
        (0, 1.50, -0.03),
        (0.08, 1.40, -0.02),
        (-0.08, 1.40, -0.02),
        (0, 1.58, 0.03),
        (0.2, 1.42, -0.03),
        (-0.2, 1.42, -0.03),
        (0.24, 1.17, -0.05),
        (-0.24, 1.17, -0.05),
        (0.25, 0.91, -0.02),
        (-0.25, 0.91, -0.02),
    ]
)
LEFT_ARM, RIGHT_ARM = (18, 20), (19, 21)


def still(frames: int = 60) -> np.ndarray:
    return np.repeat(STANDING[None], frames, 0)


def turned(joints: np.ndarray, radians: np.ndarray) -> np.ndarray:
    c, s = np.cos(radians)[:, None], np.sin(radians)[:, None]
    x, z = joints[..., 0], joints[..., 2]
    return np.stack([c * x + s * z, joints[..., 1], -s * x + c * z], -1)


def mirrored(joints: np.ndarray) -> np.ndarray:
    swap = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]
    return joints[:, swap] * (-1, 1, 1)


def wave_right(cycles: int) -> np.ndarray:
    """The right hand above the head's height, going in and out, one cycle in half a second."""
    frames = 30 + 10 * cycles
    joints = still(frames)
    t = np.clip((np.arange(frames) - 15) / 10, 0, cycles)
    up = (np.arange(frames) > 8) & (np.arange(frames) < frames - 8)
    joints[up, 19] = (-0.42, 1.45, 0.05)
    joints[up, 21] = np.stack([-0.45 + 0.12 * (1 - np.cos(2 * np.pi * t)), 0 * t + 1.68, 0 * t + 0.1], 1)[up]
    return joints


def test_standing_still_shows_nothing() -> None:
    f = facts(still())
    assert f.events == [] and f.steps == 0 and f.jumps == 0 and f.direction == "" and f.turn_side == ""
    assert f.duration == 3.0 and f.distance == pytest.approx(0, abs=1e-9)
    assert (f.start_posture, f.end_posture) == ("standing", "standing")


@pytest.mark.parametrize("cycles", [2, 3, 4])
def test_waves_are_counted_and_sided(cycles: int) -> None:
    waves = facts(wave_right(cycles)).of("wave")
    assert [e.side for e in waves] == ["right"]
    assert abs(waves[0].count - cycles) <= 1
    assert [e.side for e in facts(mirrored(wave_right(cycles))).of("wave")] == ["left"]


def test_a_jump_has_its_height_and_time() -> None:
    frames = np.arange(60)
    flight = np.clip(frames - 20, 0, 9) / 9  # 0.45 s in the air
    joints = still()
    joints[:, :, 1] += (4 * 0.25 * flight * (1 - flight))[:, None]
    f = facts(joints)
    assert f.jumps == 1 and f.jump_height == pytest.approx(0.25, abs=0.03)
    assert f.of("jump")[0].start == pytest.approx(1.05, abs=0.11)
    assert f.of("jump")[0].direction == ""


@pytest.mark.parametrize(("degrees", "side"), [(90, "left"), (-90, "right"), (180, "left"), (-360, "right")])
def test_turns_have_their_angle_and_side(degrees: float, side: str) -> None:
    u = np.clip((np.arange(80) - 10) / 60, 0, 1)
    f = facts(turned(still(80), np.radians(degrees) * u * u * (3 - 2 * u)))
    assert f.turn == pytest.approx(degrees, abs=2) and f.turn_side == side
    assert [e.direction for e in f.of("turn")] == [side]
    assert f.of("turn")[0].size == pytest.approx(degrees, rel=0.12)


@pytest.mark.parametrize("degrees", [0, 90, 200])
@pytest.mark.parametrize(
    ("way", "name"), [((0, 1), "forward"), ((0, -1), "backward"), ((1, 0), "left"), ((-1, 0), "right")]
)
def test_direction_of_travel_is_of_the_first_heading(way: tuple[int, int], name: str, degrees: float) -> None:
    joints = still(80)
    joints[..., 0] += way[0] * np.linspace(0, 2, 80)[:, None]
    joints[..., 2] += way[1] * np.linspace(0, 2, 80)[:, None]
    f = facts(turned(joints, np.full(80, np.radians(degrees))))
    assert f.direction == name
    assert f.displacement == pytest.approx(2, abs=1e-6) and f.distance == pytest.approx(2, rel=0.15)
    assert f.mean_speed == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize(("width", "up", "claps"), [(0.14, 0.0, [4]), (0.05, 0.0, []), (0.14, 0.2, [])])
def test_claps_are_counted(width: float, up: float, claps: list[int]) -> None:
    """The hands come together four times: fast; slowly; up and down besides."""
    joints = still(80)
    apart = 0.06 + width * (1 + np.cos(2 * np.pi * np.clip(np.arange(80) - 20, 0, 40) / 10))
    high = 1.3 + up / 2 * np.sin(2 * np.pi * np.arange(80) / 40)
    for (elbow, wrist), sign in ((LEFT_ARM, 1), (RIGHT_ARM, -1)):
        joints[:, elbow] = (sign * 0.25, 1.2, 0.1)
        joints[:, wrist] = np.stack([sign * apart / 2, high, 0 * apart + 0.3], 1)
    assert [e.count for e in facts(joints).of("clap")] == claps


def test_a_raised_hand_is_a_raise_of_its_side_and_size() -> None:
    joints = still()
    joints[20:45, 18], joints[20:45, 20] = (0.22, 1.68, 0), (0.22, 1.92, 0.05)
    (raised,) = facts(joints).of("raise")
    assert raised.side == "left" and raised.size == pytest.approx(0.5, abs=0.03)
    assert raised.start == pytest.approx(1.0, abs=0.11) and raised.end == pytest.approx(2.25, abs=0.11)
    assert facts(joints).busiest == "left arm"


def counts(joints: np.ndarray) -> dict[str, int]:
    f = facts(joints)
    return {name: sum(e.count for e in f.of(name)) for name in ("bow", "squat")}


def test_bows_and_squats_are_counted() -> None:
    bend = np.radians(50) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(80) / 40))  # two bows
    joints = still(80)
    upper = [3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
    y, z = joints[:, upper, 1] - 0.96, joints[:, upper, 2].copy()
    c, s = np.cos(bend)[:, None], np.sin(bend)[:, None]
    joints[:, upper, 1], joints[:, upper, 2] = 0.96 + c * y - s * z, s * y + c * z
    assert counts(joints) == {"bow": 2, "squat": 0}

    down = 0.35 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(80) / 40))
    joints = still(80)
    joints[:, [0, 1, 2, *upper], 1] -= down[:, None]
    knee = np.sqrt(np.maximum(0.41**2 - ((0.82 - down) / 2) ** 2, 0))
    for j in (4, 5):
        joints[:, j, 1], joints[:, j, 2] = 0.06 + (0.82 - down) / 2, knee
    assert counts(joints) == {"bow": 0, "squat": 2}


def test_facts_do_not_depend_on_place_heading_or_body_size() -> None:
    joints = wave_right(3)
    moved = turned(joints, np.full(len(joints), 2.0)) * 0.8 + (5, 1, -3)
    a, b = facts(joints), facts(moved)
    assert [(e.name, e.side, e.count, e.start) for e in a.events] == [
        (e.name, e.side, e.count, e.start) for e in b.events
    ]


def test_json_is_plain_and_bad_input_is_refused() -> None:
    json.dumps(facts(wave_right(2)).json())
    with pytest.raises(MotionLLMError, match="shape"):
        facts(np.zeros((10, 21, 3)))
    broken = still()
    broken[3, 4, 1] = np.nan
    with pytest.raises(MotionLLMError, match="NaN"):
        facts(broken)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_at_the_shoulder_is_up_and_no_raise(side: str) -> None:
    joints = still(80)
    wrist, elbow = (20, 18) if side == "left" else (21, 19)
    joints[20:60, elbow] = STANDING[elbow] + [0, 0.05, 0.2]
    joints[20:60, wrist] = STANDING[wrist] * [1, 0, 1] + [0, 1.40, 0.3]
    measured = facts(joints)
    (event,) = measured.of("hand up")
    assert event.side == side and abs(event.start - 1.0) < 0.15 and abs(event.end - 3.0) < 0.15
    assert not measured.of("raise", "wave")


def test_hands_and_turns_of_labelled_mocap_have_their_side() -> None:
    labels = DATA / "bandai" / "labels.jsonl"
    if not labels.is_file():
        pytest.skip("the Bandai-Namco set is not beside the repository (../shared/data)")
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    right: dict[str, list[bool]] = {"hand": [], "turn": []}
    for kind, contents in {
        "hand": ("raise-up-left-hand", "raise-up-right-hand", "wave-left-hand", "wave-right-hand"),
        "turn": ("walk-turn-left", "walk-turn-right"),
    }.items():
        for content in contents:
            for row in [r for r in rows if r["content"] == content][::7][:25]:
                side = "left" if "left" in content else "right"
                clip = Motion.load(DATA / "bandai" / "new_joints" / f"{row['id']}.npy").canonical()
                measured = facts(clip.joints)
                sides = {e.side for e in measured.of("hand up")} if kind == "hand" else {measured.turn_side}
                right[kind].append(sides == {side})
    assert len(right["hand"]) == 100 and len(right["turn"]) == 50
    for kind, found in right.items():
        assert np.mean(found) >= 0.95, kind


def posed(**joints: tuple | np.ndarray) -> np.ndarray:
    """A body that stands for a second, has joints elsewhere for 1.5 s, and stands again."""
    clip = still(70)
    for name, place in joints.items():
        clip[20:50, HUMANML3D.joints.index(name)] = place
    return clip


def sliding(speed: float) -> np.ndarray:
    clip = still(60)
    clip[..., 2] += np.arange(60)[:, None] / FPS * speed
    return clip


def shuffling(speed: float, degrees: float = travel.SHUFFLE_BENT + 4) -> np.ndarray:
    """A body that goes with both knees bent by so much."""
    clip, half = sliding(speed), np.radians(degrees / 2)
    down = 2 * 0.41 * (1 - np.cos(half))
    clip[:, [*range(4), 6, 9, *range(12, 22)], 1] -= down
    for k, hip in ((4, 1), (5, 2)):
        clip[:, k] = 0.5 * (clip[:, hip] + clip[:, k + 3]) + [0, 0, 0.41 * np.sin(half)]
    return clip


def bent(degrees: float, aside: float = 0.0) -> np.ndarray:
    """A body whose trunk is bent forward for a second, or so many degrees away from forward, the arms with it."""
    clip, upper = still(60), [3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
    angle = np.radians(degrees) * np.clip(np.minimum(np.arange(60) - 15, 45 - np.arange(60)) / 5, 0, 1)
    y, z = clip[:, upper, 1] - 0.96, clip[:, upper, 2].copy()
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    clip[:, upper, 1], clip[:, upper, 2] = 0.96 + c * y - s * z, s * y + c * z
    way, lean = np.radians(aside), clip[:, upper] - STANDING[upper]
    x, z = lean[..., 0] * np.cos(way) + lean[..., 2] * np.sin(way), lean[..., 2] * np.cos(way)
    clip[:, upper, 0], clip[:, upper, 2] = STANDING[upper, 0] + x, STANDING[upper, 2] + z
    return clip


def turning(degrees: float) -> np.ndarray:
    u = np.clip((np.arange(40) - 10) / 20, 0, 1)
    return turned(still(40), np.radians(degrees) * u)


def hands_at(out: float, up: float, forward: float) -> np.ndarray:
    """Both hands so far from their shoulders, the elbows half-way."""
    sides = (("left", 1), ("right", -1))
    elbows = {f"{side}_elbow": (s * (0.2 + out / 2), 1.42 + up / 2, -0.03 + forward / 2) for side, s in sides}
    return posed(**elbows, **{f"{side}_wrist": (s * (0.2 + out), 1.42 + up, -0.03 + forward) for side, s in sides})


def hand_by_head(far: float) -> np.ndarray:
    return posed(left_elbow=(0.24, 1.25, 0.2), left_wrist=(0, 1.58, 0.03 + far))


def left_foot_up(lift: float, ahead: float = 0.0) -> np.ndarray:
    """The left ankle over its place by so much, or so far ahead of the pelvis, the knee between ankle and hip."""
    ankle, hip = np.array([0.08, 0.06 + lift, ahead]), STANDING[1]
    return posed(left_knee=(ankle + hip) / 2, left_ankle=ankle, left_foot=ankle + np.array([0, -0.05, 0.13]))


@pytest.mark.parametrize(
    ("name", "clip_of", "threshold", "margin"),
    [
        ("run", sliding, travel.RUN_SPEED, 0.1),
        ("walk", sliding, travel.TRAVEL_SPEED, 0.1),
        ("run", shuffling, travel.SHUFFLE_SPEED, 0.1),
        ("run", lambda degrees: shuffling(2.0, degrees), travel.SHUFFLE_BENT, 3),
        ("turn", turning, travel.TURN_ANGLE, 6),
        ("bow", lambda degrees: bent(degrees + 3.2), lowering.BOW_SIZE, 2),
        ("arms out", lambda out: hands_at(out, 0, 0), arms.OUTWARD, 0.03),
        ("hand up", lambda up: hands_at(0.1, up, 0.2), arms.HAND_UP, 0.03),
        ("raise", lambda up: hands_at(0.1, up, 0.1), arms.OVER, 0.03),
        ("lift", left_foot_up, travel.FOOT_UP, 0.03),
        ("leg raised", left_foot_up, legs.LEG_UP, 0.03),
    ],
)
def test_a_rule_holds_from_its_threshold_on(name: str, clip_of: Callable, threshold: float, margin: float) -> None:
    assert facts(clip_of(threshold + margin)).of(name)
    assert not facts(clip_of(threshold - margin)).of(name)


def test_a_hand_is_at_the_mouth_within_a_distance() -> None:
    assert facts(hand_by_head(arms.MOUTH_NEAR - 0.03)).of("hand at mouth")
    assert not facts(hand_by_head(arms.MOUTH_NEAR + 0.03)).of("hand at mouth")


def test_a_foot_ahead_kicks_only_where_it_is_up() -> None:
    def kick(lift: float, ahead: float) -> list:
        clip = left_foot_up(lift, ahead)
        return facts(np.concatenate([clip[:30], clip[50:]])).of("kick")

    assert [e.side for e in kick(legs.KICK_UP + 0.1, legs.KICK_AHEAD + 0.1)] == ["left"]
    assert not kick(legs.KICK_UP - 0.05, legs.KICK_AHEAD + 0.1) and not kick(legs.KICK_UP + 0.1, legs.KICK_AHEAD - 0.1)


def swinging(up: float, depth: float, width: float, hertz: float, seconds: float = 6.0) -> np.ndarray:
    """The right hand swings in and out about a place over its elbow, and dips by `depth` where it is outside."""
    clip = still(int(seconds * FPS) + 40)
    phase = np.cos(2 * np.pi * hertz * np.arange(len(clip) - 40) / FPS)
    clip[20:-20, 19] = (-0.35, 1.42 + up - 0.2, 0.05)
    places = np.stack([-0.4 + width / 2 * phase, 1.42 + up + depth * (np.maximum(phase, 0) - 1), 0 * phase + 0.1], 1)
    clip[20:-20, 21] = places
    return clip


@pytest.mark.parametrize(
    ("clip", "waves"),
    [
        (swinging(0.35, 0.35, 0.4, 0.7), 1),  # so wide that the hand comes down to the shoulder each time
        (swinging(0.0, 0.0, 0.3, 0.6), 1),  # low and slow, but wide
        (swinging(0.0, 0.0, 0.09, 0.6), 0),
        (swinging(0.0, 0.0, 0.3, 0.2), 0),
    ],
)
def test_wide_and_slow_waves(clip: np.ndarray, waves: int) -> None:
    measured = facts(clip)
    assert len(measured.of("wave")) == waves
    assert not (waves and measured.of("raise"))


def bouncing(joints: np.ndarray, metres: float) -> np.ndarray:
    """A gait whose trunk is higher by up to so much the farther the feet are from each other, or, below 0, lower."""
    apart = np.linalg.norm((joints[:, 7] - joints[:, 8])[:, [0, 2]], axis=1)
    moved = joints.copy()
    moved[:, [j for j in range(22) if j not in (4, 5, 7, 8, 10, 11)], 1] += (metres * apart / apart.max())[:, None]
    return moved


def test_a_run_bounces_and_a_walk_vaults() -> None:
    for seed in range(5):
        walking = builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward", speed="quickly"),)), seed)
        quick = walking[np.arange(0, len(walking), 1.3).astype(int)]
        for metres, gait in ((0.0, "walk"), (0.12, "run")):
            assert {e.name for e in facts(bouncing(quick, metres)).events} & {"walk", "run"} == {gait}
        running = builtin.joints(builtin.Spec((builtin.Part("run", direction="forward", speed="slowly"),)), seed)
        for metres, gait in ((0.0, "run"), (-0.2, "walk")):
            assert gait in {e.name for e in facts(bouncing(running, metres)).events}


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_people_walk_fast_and_run_slowly() -> None:
    walks = [("cmu_trials", take) for take in ("02_02", "07_09", "07_10", "07_11")]
    runs = [("hdm05", f"HDM_bk_jogLeftCircle4StepsRstart_{n}_120") for n in ("005", "006")]
    for (place, name), gait in [*((w, "walk") for w in walks), *((r, "run") for r in runs)]:
        events = facts(np.load(DATA / place / "new_joints" / f"{name}.npy")).events
        assert {e.name for e in events} & {"walk", "run"} == {gait}, name


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_a_leap_from_one_foot_to_the_other_is_a_jump() -> None:
    leaps = [("49_04", ""), ("49_05", ""), ("127_21", "left"), ("127_28", ""), ("05_20", "")]
    for take, foot in leaps:  # "run, leap", "leaps off of their left foot", "jete"
        jumps = [
            e for e in facts(np.load(DATA / "cmu_trials" / "new_joints" / f"{take}.npy")).events if e.name == "jump"
        ]
        assert len(jumps) == 1 and jumps[0].side and foot in ("", jumps[0].side) and jumps[0].size > 0.2, take
    for take in (
        "03_03",
        "13_36",
        "14_34",
        "01_14",
        "127_33",
        "127_03",
        "16_35",
    ):  # stairs, a ladder, a run over a hump, runs
        events = facts(np.load(DATA / "cmu_trials" / "new_joints" / f"{take}.npy")).events
        assert not any(e.name == "jump" and e.side for e in events), take


def test_who_leaps_falls_freely() -> None:
    """A body that is lifted as high and as long from one foot to the other, at another pace than gravity's, climbs."""
    run = builtin.joints(builtin.Spec((builtin.Part("run", direction="forward"),)), 0)
    middle, frames = len(run) // 2, 10
    for seconds, leaps in ((0.45, True), (1.4, False)):
        n = round(seconds * FPS) + 1
        t = np.linspace(0, seconds, n)
        arc = (9.81 * 0.45**2 / 2) * (t / seconds) * (1 - t / seconds)  # as high, whatever it lasts
        before, after = run[middle - frames : middle], run[middle : middle + frames]
        aloft = run[[middle]].repeat(n, 0) + np.stack([0 * t, 0.02 + arc, 3.0 * t], 1)[:, None]
        after = after + (aloft[-1, 0] - run[middle, 0]) * [1, 0, 1]
        aloft[:, [7, 10], 1] += 0.15  # one foot behind is higher, and lands first
        whole = np.concatenate([before, aloft, after])
        names = [e.name for e in facts(whole).events]
        assert ("jump" in names) == leaps, (seconds, names)


@pytest.mark.parametrize("order", [("walk", "run"), ("run", "walk"), ("walk", "walk"), ("run", "run")])
def test_a_walk_that_becomes_a_run_is_both(order: tuple[str, str]) -> None:
    parts = [builtin.Part(name, direction="forward", speed="slowly" if name == "walk" else "quickly") for name in order]
    poses = [splicing.poses_of(builtin.joints(builtin.Spec((part,)), seed)) for seed, part in enumerate(parts)]
    going = [whole[len(whole) // 4 : -len(whole) // 4] for whole in poses]  # neither starts nor stops
    found = [e for e in facts(splicing.joints_of(splicing.joined(going))).events if e.name in ("walk", "run")]
    assert [e.name for e in found] == list(order[: 1 + (order[0] != order[1])])
    if len(found) > 1:
        assert found[0].end == pytest.approx(len(going[0]) / FPS, abs=0.6) and found[0].end == found[1].start


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_people_who_get_going_do_not_walk_first() -> None:
    for place, name, gaits in (
        ("cmu_trials", "127_04", ["walk", "run"]),  # "walk to run"
        ("cmu_trials", "127_03", ["run"]),  # "run"
        ("hdm05", "HDM_tr_jogLeftCircle4StepsRstart_015_120", ["run"]),
    ):
        events = facts(np.load(DATA / place / "new_joints" / f"{name}.npy")).events
        assert [e.name for e in events if e.name in ("walk", "run")] == gaits, name


def test_who_stays_down_does_not_squat() -> None:
    squats = builtin.joints(builtin.Spec((builtin.Part("squat"),)), 0)
    lowest = squats[[int(squats[:, 0, 1].argmin())]].repeat(40, 0)
    assert "squat" in {e.name for e in facts(squats).events}
    held = facts(lowest)
    assert held.start_posture == "crouching" and "squat" not in {e.name for e in held.events}


@pytest.mark.parametrize("pace", [0.67, 1.0, 1.5, 2.0])
def test_jumping_jacks_played_at_another_pace_are_jumping_jacks(pace: float) -> None:
    for seed in range(4):
        poses = splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part("jumping_jacks", count=4),)), seed))
        found = facts(splicing.joints_of(splicing.paced(poses, pace))).of("jumping jack")
        assert [one.count for one in found] == [4]


@pytest.mark.parametrize("seed", range(4))
def test_a_step_that_the_clips_end_cuts_off_is_none(seed: int) -> None:
    clip = builtin.joints(builtin.Spec((builtin.Part("step", direction="forward", count=3),)), seed)
    steps = facts(clip).of("step")
    last = steps[-1]
    middle, end = round((last.start + last.end) / 2 * FPS) + 1, round(last.end * FPS) + 1
    assert len(facts(clip[:middle]).of("step")) == len(steps) - 1
    assert len(facts(clip[:end]).of("step")) == len(steps)  # it is over, though nothing follows


def test_feet_that_leave_the_floor_at_the_bottom_of_a_squat_are_no_jump() -> None:
    squat = builtin.joints(builtin.Spec((builtin.Part("squat", count=1),)), 0)
    lowest = int(squat[:, 0, 1].argmin())
    flight = np.clip(np.arange(24) - 8, 0, 8) / 8  # 0.4 s in the air
    arc = np.stack([0 * flight, 4 * 0.12 * flight * (1 - flight), 0 * flight], 1)[:, None]
    for at, jumps in ((0, 1), (lowest, 0)):
        whole = np.concatenate([squat[:at], squat[[at]].repeat(24, 0) + arc, squat[at:]])
        assert facts(whole).jumps == jumps and facts(whole).of("squat")


def reaching(frames: int, knees_bent: slice, hands: np.ndarray) -> np.ndarray:
    """A trunk bent by 80 degrees for so many frames, the pelvis lower for some of them, the hands at a height (m)."""
    clip = np.concatenate([bent(80)[:30], bent(80)[[30]].repeat(frames, 0), bent(80)[30:]])
    clip[30 : 30 + frames, WRIST, 1] = hands[:, None]
    clip[30 : 30 + frames][knees_bent][:, [*range(4), 6, 9, *range(12, 20)], 1] -= 0.2
    return clip


@pytest.mark.parametrize("knees_bent", [slice(18, 28), slice(0, 40), slice(4, 44), slice(0, 0)])
def test_one_reach_down_is_told_once_though_the_knees_bend_meanwhile(knees_bent: slice) -> None:
    for hands, count in ((0.1, 1), (0.3 - 0.2 * np.cos(2 * np.pi * np.arange(48) / 24), 3)):
        (reach,) = facts(reaching(48, knees_bent, np.broadcast_to(hands, 48))).of("reach down")
        assert reach.count == count and reach.side == "both"


@pytest.mark.parametrize("knees_bent", [slice(10, 38), slice(0, 0)])
def test_hands_at_the_knees_do_not_reach_to_the_floor(knees_bent: slice) -> None:
    for height, name in ((lowering.HAND_LOW - 0.03, "reach down"), (lowering.HAND_LOW + 0.03, "bow")):
        clip = reaching(48, knees_bent, np.full(48, height))
        assert {e.name for e in facts(clip).events} & {"reach down", "bow"} == {name}


@pytest.mark.parametrize(("frames", "kicks"), [(4, 1), (10, 0)])
def test_a_foot_that_is_raised_slowly_does_not_kick(frames: int, kicks: int) -> None:
    """The left foot goes 0.5 m ahead and 0.3 m up in so many frames, and back."""
    clip = still(60)
    share = np.interp(np.arange(60), [20, 20 + frames, 22 + frames, 22 + 2 * frames], [0, 1, 1, 0])
    clip[:, [7, 10]] += np.stack([0 * share, 0.3 * share, 0.5 * share], 1)[:, None]
    clip[:, 4] = 0.5 * (clip[:, 1] + clip[:, 7])
    assert [kick.side for kick in facts(clip).of("kick")] == ["left"] * kicks


@pytest.mark.parametrize(("frames", "going", "kicks"), [(3, 0.0, 1), (3, 1.5, 1), (3, 4.0, 0), (8, 0.0, 0)])
def test_a_low_foot_that_swings_far_ahead_kicks_a_ball(frames: int, going: float, kicks: int) -> None:
    """The left foot goes from behind the body to ahead of it in so many frames, the body at so many m/s."""
    clip = still(60)
    ahead = np.interp(np.arange(60), [20, 20 + frames, 24 + frames, 30 + frames], [-0.5, 0.62, 0.62, 0.0])
    up = np.interp(np.arange(60), [18, 20, 24 + frames, 30 + frames], [0, 0.16, 0.16, 0])
    clip[:, [7, 10]] += np.stack([0 * up, up, ahead * (up > 0)], 1)[:, None]
    clip[:, 4] = 0.5 * (clip[:, 1] + clip[:, 7])
    clip[..., 2] += np.arange(60)[:, None] / FPS * going
    assert [kick.side for kick in facts(clip).of("kick")] == ["left"] * kicks


def boxing(left: float, right: float, frames: int = 4) -> np.ndarray:
    """Fists that go from the waist so far ahead of their shoulders (m) in so many frames, and back; arms of 0.5 m."""
    clip = still(60)
    way = np.interp(np.arange(60), [20, 20 + frames, 23 + frames, 23 + 2 * frames], [0, 1, 1, 0])
    for shoulder, far, outward in ((16, left, 1), (17, right, -1)):
        hand = np.stack([0 * way, -0.25 * (1 - way), (far + 0.2) * way - 0.2], 1)
        elbow = np.sqrt(np.maximum(0.25**2 - (hand**2).sum(1) / 4, 0))
        clip[:, shoulder + 4] = STANDING[shoulder] + hand
        clip[:, shoulder + 2] = STANDING[shoulder] + hand / 2 + np.stack([outward * elbow, 0 * way, 0 * way], 1)
    return clip


def test_a_punch_is_of_one_arm_that_is_stretched_or_fast() -> None:
    assert [e.side for e in facts(boxing(0.49, -0.1)).of("punch")] == ["left"]
    assert [e.side for e in facts(boxing(-0.1, 0.49)).of("punch")] == ["right"]
    assert not facts(boxing(0.49, 0.46)).of("punch")  # both hands go out: to grab, to dance
    assert not facts(boxing(0.44, -0.1, 9)).of("punch")
    assert facts(boxing(0.44, -0.1, 4)).of("punch")


@pytest.mark.parametrize(("margin", "jacks"), [(0.04, [3]), (-0.04, [])])
def test_the_feet_are_far_apart_in_jumping_jacks(margin: float, jacks: list[int]) -> None:
    for seed in range(3):
        clip = builtin.joints(builtin.Spec((builtin.Part("jumping_jacks", count=3),)), seed)
        apart = np.abs(clip[:, 7, 0] - clip[:, 8, 0]).max()
        clip[:, [4, 5, 7, 8, 10, 11], 0] *= (legs.JACK_WIDE + margin) / apart
        assert [e.count for e in facts(clip).of("jumping jack")] == jacks


@pytest.mark.parametrize(("aside", "bows"), [(0, 1), (30, 1), (75, 0), (-75, 0), (95, 0)])
def test_who_leans_to_a_side_does_not_bow(aside: float, bows: int) -> None:
    assert len(facts(bent(50, aside)).of("bow")) == bows


@pytest.mark.parametrize("degrees", [-120, 120])
def test_a_body_that_turns_on_its_way_to_the_floor_lies_down(degrees: float) -> None:
    clip = builtin.joints(builtin.Spec((builtin.Part("lie"),)), 0).astype(float)
    low = np.flatnonzero(clip[:, 0, 1] < 0.2)[0]
    turn = np.radians(degrees) * np.clip((np.arange(len(clip)) - low + 14) / 18, 0, 1)
    clip -= clip[:1, :1] * (1, 0, 1)
    names = {e.name for e in facts(turned(clip, turn)).events}
    assert "lie" in names and "turn" not in names
    stood = np.concatenate([clip[:1].repeat(30, 0), clip])
    first = np.concatenate(
        [np.radians(degrees) * np.clip((np.arange(30) - 4) / 18, 0, 1), 0 * turn + np.radians(degrees)]
    )
    assert {"lie", "turn"} <= {e.name for e in facts(turned(stood, first)).events}


def test_a_turn_on_a_slow_way_is_told_once() -> None:
    """A body turns by 150 degrees while it goes half way round a circle of 0.2 m, and then 1.5 m ahead."""
    frames, round_frames = 100, 36
    share = np.clip((np.arange(frames) - 10) / round_frames, 0, 1)
    ahead = np.clip((np.arange(frames) - 56) / FPS, 0, 1.5)
    clip = turned(still(frames), np.radians(150) * share)
    clip[..., 0] += (0.2 * (1 - np.cos(np.pi * share)) + np.sin(np.radians(150)) * ahead)[:, None]
    clip[..., 2] += (0.2 * np.sin(np.pi * share) + np.cos(np.radians(150)) * ahead)[:, None]
    measured = facts(clip)
    (turn,) = measured.of("turn")
    ways = measured.of("walk")
    assert turn.size == pytest.approx(150, abs=15) and ways and ways[0].start < turn.end - 1.0
    assert turn.size + sum(way.size for way in ways) == pytest.approx(150, abs=15)


@pytest.mark.parametrize(("seconds", "name"), [(0.3, "hop"), (0.6, "jump")])
def test_a_high_jump_on_one_leg_is_no_hop(seconds: float, name: str) -> None:
    """The right foot is up while the left one leaves the floor for so long, and lands again."""
    clip, n = still(60), round(seconds * FPS)
    u = np.clip((np.arange(60) - 25) / n, 0, 1)
    clip[:, :, 1] += (9.81 * seconds**2 / 2 * u * (1 - u))[:, None]
    lifted = np.interp(np.arange(60), [10, 16, 30 + n, 36 + n], [0, 0.25, 0.25, 0])
    clip[:, [8, 11], 1] += lifted[:, None]
    clip[:, 5] = 0.5 * (clip[:, 2] + clip[:, 8]) + np.stack([0 * lifted, 0 * lifted, lifted], 1)
    found = [e for e in facts(clip).events if e.name in ("hop", "jump")]
    assert [(e.name, e.side) for e in found] == [(name, "left")]
