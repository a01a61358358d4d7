"""Notation: measured from bodies whose motion is known, written, read back, and said in plain English."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion
from motionllm.cli import main
from motionllm.corpus import Part, Spec, corpus, joints
from motionllm.data.asked import asked
from motionllm.errors import MotionLLMError
from motionllm.motion.features import features_to_joints, mirror
from motionllm.motion.notation import PACES, POSTURES, VERBS, Line, Notation, measure
from motionllm.motion.notation.sentence import REPEATS, repeats

SEEDS = range(40)


def drawn(seed: int, verbs: Sequence[str] = tuple(VERBS)) -> Notation:
    """Any notation that can be written with these verbs: verbs, parts, ways and numbers by chance."""
    rng = np.random.default_rng(seed)
    lines = []
    for start in np.sort(rng.uniform(0, 9, rng.integers(0, 9))).round(1).tolist():
        verb = str(rng.choice(verbs))
        spec = VERBS[verb]
        size = {"": 0.0, "m": round(float(rng.uniform(0.1, 2)), 1), "degrees": 15.0 * int(rng.integers(2, 30))}[
            spec.size
        ]
        if spec.speed:
            size *= int(rng.choice([-1, 0, 1]))
        lines.append(
            Line(
                start,
                round(start + float(rng.uniform(0, 0.9)), 1),
                verb,
                str(rng.choice(["", *spec.parts])),
                str(rng.choice(["", *spec.ways])),
                size,
                round(float(rng.uniform(0.1, 5)), 1) if spec.speed else 0.0,
                int(rng.integers(1, 5)),
                str(rng.choice(["", *PACES])) if spec.usual else "",
            )
        )
    start, end = rng.choice(POSTURES, 2).tolist()
    return Notation(10.0, (start, end), tuple(lines))


@pytest.mark.parametrize("rounds", [2, 3])
def test_what_is_done_as_a_whole_several_times_is_said_once(rounds: int) -> None:
    once = ((0.3, 5.0, "wave", "left hand", 8), (6.0, 8.0, "kick", "left leg", 2), (8.5, 9.5, "bow", "", 1))
    lines = [
        Line(10.0 * n + a, 10.0 * n + b, verb, part, count=count)
        for n in range(rounds)
        for a, b, verb, part, count in once
    ]
    whole = Notation(10.0 * rounds, ("standing", "standing"), tuple(lines))
    first = Notation(10.0, whole.postures, tuple(lines[:3]))
    assert whole.sentence() == f"{first.sentence()}, all that {'twice' if rounds == 2 else 'three times'}"
    assert [one.count for one in asked(whole.sentence())] == [one.count for one in asked(first.sentence())]
    other = replace(whole, lines=(*lines[:-1], replace(lines[-1], verb="jump")))
    assert "all that" not in other.sentence()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_written_is_read_back(seed: int) -> None:
    notation = drawn(seed)
    assert Notation.parse(str(notation)) == notation
    sentence = notation.sentence()
    assert (
        sentence.startswith("a person ") and "{" not in sentence and "  " not in sentence and len(sentence.split()) < 60
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0.0-1.0 fly forward", "no verb is called 'fly'"),
        ("0.0-1.0 wavee right hand", "did you mean 'wave'"),
        ("0.0-1.0 wave right hand x-2", "x-2 is no count"),
        ("0.0-1.0 wave right foot", "'wave' takes left hand, right hand, both hands, not 'right foot'"),
        ("1.0-0.5 squat", "it ends before it starts"),
        ("0.2-0.5 squat", "it starts before the line above"),
        ("3.0-5.0 squat", "it ends after the clip"),
        ("0.5 squat", "write seconds and what is done"),
        ("1.0-1.5 clap 90", "'clap' does not take these numbers"),
        ("1.0-1.5 walk forward quickly", "'walk' does not take these numbers"),
        ("1.0-1.5 turn left 3.0 m/s", "'turn' does not take these numbers"),
    ],
)
def test_what_cannot_be_read_names_the_line(line: str, says: str) -> None:
    with pytest.raises(MotionLLMError, match=r"line 3 \(.+\): .*" + re.escape(says)):
        Notation.parse(f"4.0 s, standing to standing\n0.5-1.0 jump\n{line}")


@pytest.mark.parametrize("text", ["", "\n", "4 seconds of walking", "4.0 s, standing to flying"])
def test_a_first_line_that_cannot_be_read(text: str) -> None:
    with pytest.raises(MotionLLMError, match="Notation, line 1: begin with duration and postures"):
        Notation.parse(text)


PACED = {
    "wave": "wave",
    "squat": "squat",
    "turn": "turn",
    "raise": "reach up",
    "throw": "throw",
    "bow": "bow",
    "clap": "clap",
    "punch": "punch",
    "march": "march",
    "pick": "bend down",
    "sit": "sit",
}


def test_what_is_done_slowly_or_quickly_says_so() -> None:
    right = total = 0
    for sample in corpus(400, seed=21):
        spec = Spec.of(sample.labels["spec"])
        if len(spec.parts) == 1 and spec.parts[0].action in PACED and spec.parts[0].speed:
            part = spec.parts[0]
            lines = measure(joints(spec, sample.labels["seed"])).lines
            total += 1
            right += any(x.verb == PACED[part.action] and x.pace == part.speed for x in lines)
    assert total >= 20 and right >= 0.9 * total


@pytest.mark.parametrize("count", [1, 2, 3])
def test_steps_to_a_side_are_counted_by_the_foot_that_leads(count: int) -> None:
    spec = Spec((Part("sidestep", direction="left", count=count),))
    lines = [x for seed in range(3) for x in measure(joints(spec, seed)).lines if x.verb == "step"]
    assert [(x.way, x.count) for x in lines] == [("left", count)] * 3


def swung(seconds: float, rounds: float, walk: np.ndarray) -> np.ndarray:
    """A standing body whose right arm goes round its shoulder backward, as seen from the side."""
    frames = int(seconds * 20)
    clip = np.repeat(walk[:1], frames, 0).astype(np.float64)
    angle = np.linspace(-np.pi / 2, -np.pi / 2 + 2 * np.pi * rounds, frames)
    for joint, far in ((19, 0.25), (21, 0.5)):
        clip[:, joint] = clip[:, 17] + far * np.stack([0 * angle, np.sin(angle), np.cos(angle)], 1)
    return clip


@pytest.mark.parametrize(("seconds", "rounds"), [(1.0, 1), (2.0, 2), (2.4, 3)])
def test_an_arm_that_goes_round_circles(seconds: float, rounds: int, walk: np.ndarray) -> None:
    lines = [x for x in measure(swung(seconds, rounds, walk)).lines if x.verb == "circle"]
    assert [(x.part, x.way, x.count) for x in lines] == [("right arm", "backward", rounds)]


def test_an_arm_that_is_raised_and_lowered_does_not_circle(walk: np.ndarray) -> None:
    up = swung(1.0, 0.5, walk)
    assert not [x for x in measure(np.concatenate([up, up[::-1]])).lines if x.verb == "circle"]


def test_an_arm_that_is_up_and_down_again_is_raised(walk: np.ndarray) -> None:
    up = swung(0.5, 0.3, walk)
    still = up[:1].repeat(20, 0)
    lines = measure(np.concatenate([still, up, up[::-1], still])).lines
    assert [(x.verb, x.part) for x in lines] == [("raise", "right arm")]


@pytest.mark.parametrize("action", ["kick", "squat", "march", "hop"])
@pytest.mark.parametrize("height", [0.15, 0.6])
def test_what_is_done_on_a_box_is_what_is_done_on_the_floor(action: str, height: float) -> None:
    part = Part(action, side="left") if action in ("kick", "hop") else Part(action)
    clip = joints(Spec((part,)), 4).astype(np.float64)
    first, last = clip[:1].repeat(40, 0), clip[-1:].repeat(40, 0)  # from the floor onto the box, as a cut would do it
    raised = np.array([0, height, 0])
    on_box = np.concatenate([first, first + raised, clip + raised, last + raised])
    verbs = [x.verb for x in measure(clip).lines]
    assert verbs and set(verbs) <= {x.verb for x in measure(on_box).lines}


def test_whoever_lies_down_lifts_the_feet_and_climbs_nothing() -> None:
    verbs: list[set[str]] = []
    for seed in range(30):
        for then in (Part("lie"), Part("sit"), Part("kneel", side="both")):
            spec = Spec((Part("walk", direction="forward"), then), "then")
            verbs.append({line.verb for line in measure(joints(spec, seed)).lines})
    assert sum("lie" in some for some in verbs) > 20
    assert not any("climb" in some for some in verbs)


@pytest.mark.parametrize("step", [0.2, -0.2])
def test_a_body_that_is_carried_higher_or_lower_climbs(step: float) -> None:
    clip = joints(Spec((Part("wave", side="left", count=4),)), 0)
    middle = len(clip) // 2
    for part, first, last in (((4, 7, 10), -8, -4), ((5, 8, 11), 4, 8), ((0, 1, 2, 3, 6, *range(12, 22)), -12, 12)):
        up = np.interp(np.arange(len(clip)) - middle, [first, last], [max(0.0, -step), max(0.0, step)])
        clip[:, part, 1] += up[:, None]  # one leg after the other
    (line,) = (line for line in measure(clip).lines if line.verb == "climb")
    assert line.way == ("up" if step > 0 else "down")
    assert line.size == pytest.approx(abs(step), abs=0.06)


def test_walks_round_and_about_are_no_dance() -> None:
    assert not [x for s in corpus(60, seed=2) for x in measure(features_to_joints(s.load())).lines if x.verb == "dance"]


@pytest.mark.parametrize("index", range(0, 30, 2))
def test_left_and_right_are_exchanged_by_a_mirror(index: int) -> None:
    features = corpus(30, seed=11)[index].load()
    clip = features_to_joints(features).astype(np.float64)
    swapped = {"left": "right", "right": "left"}
    text = re.sub(r"\b(left|right)\b", lambda m: swapped[m[0]], str(measure(clip)))
    assert sorted(str(measure(mirror(clip))).splitlines()) == sorted(text.splitlines())


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("0.1-1.1 lift left leg\n0.3-0.9 bow 45", "lifts the left knee"),
        ("0.2-1.0 reach up right hand\n0.9-1.5 throw both hands", "throws something with both hands"),
        ("0.1-3.8 march quickly", "jogs in place"),
        ("0.1-3.8 march x12 quickly", "takes twelve jogging steps in place"),
        ("0.1-3.8 march x8", "takes eight steps in place"),
        ("0.1-3.8 march x6 slowly", "raises the knees alternately six times"),
        ("0.1-3.8 jumping jack x3", "does three jumping jacks"),
        ("0.1-3.8 twist x2", "twists the upper body from side to side twice"),
        (
            "0.1-0.6 reach up left hand\n0.8-1.3 reach up both hands\n1.5-2.0 reach up left hand x2",
            "raises the hands four times",
        ),
        ("0.1-3.8 lean x3\n0.2-1.0 reach up left hand", "leans to the side three times and then raises the left hand"),
        ("0.1-3.8 bend down x3", "bends down to the floor three times"),
        (
            "0.0-1.9 walk turning left 90 0.8 m/s\n2.0-3.9 walk forward turning left 60 0.9 m/s",
            "walks forward curving to the left",
        ),
        ("0.5-2.0 stretch both arms out", "stretches both arms out to the sides"),
        ("0.1-0.9 reach up left hand x3\n2.0-3.0 reach up left hand", "raises the left hand four times"),
        ("0.1-0.9 walk forward 1.1 m/s\n2.8-3.9 walk forward 0.9 m/s", "walks forward"),
        ("0.1-2.3 step forward x3 slowly", "takes three steps forward"),
        ("0.1-0.9 turn left 90\n0.2-3.9 dance\n2.0-3.0 clap x4", "dances and then claps four times"),
        (
            "0.1-0.8 step forward x2\n1.2-1.5 step right foot forward\n2.2-2.7 step left foot forward",
            "takes four steps forward",
        ),
        (
            "0.1-0.8 turn left 90\n1.0-1.8 turn right 90\n2.0-2.9 turn left 90\n3.0-3.9 turn right 90",
            "turns to the left, to the right, to the left, and to the right",
        ),
        (
            "0.1-0.8 raise right arm\n1.0-1.8 hold right arm forward\n2.0-2.9 lower right arm",
            "raises the right arm, holds it forward, and lowers it",
        ),
        (
            "0.1-1.8 walk left turning left 60 1.1 m/s\n2.0-2.8 turn left 90\n3.0-3.9 walk backward 1.0 m/s",
            "walks sideways to the left curving to the left, turns left, and walks backward",
        ),
    ],
)
def test_a_sentence_tells_what_matters(lines: str, sentence: str) -> None:
    assert Notation.parse(f"4.0 s, standing to standing\n{lines}").sentence() == f"a person {sentence}"


@pytest.mark.parametrize("seed", range(8))
def test_no_sentence_says_the_same_again_and_again(seed: int) -> None:
    """Of notations made by chance of few verbs and limbs: none has three words in a row three times."""
    for number in range(100):
        verbs = np.random.default_rng([seed, number]).choice(list(VERBS), 2).tolist()
        for text in drawn(number, verbs).sentences():
            assert repeats(text) < REPEATS, text


def test_what_is_done_sitting_is_said_so() -> None:
    clapping = Notation.parse("4.0 s, sitting to sitting\n0.5-2.0 clap x4")
    assert clapping.sentence() == "a person sits and claps four times"


def test_size_place_and_heading_of_the_body_do_not_matter(walk: np.ndarray) -> None:
    clip = walk.astype(np.float64)
    turned = np.stack([clip[..., 2] + 3, clip[..., 1], -clip[..., 0] - 2], -1)
    first = measure(clip)
    assert [line.verb for line in first.lines][:1] == ["walk"]
    assert measure(turned) == first
    larger = measure(clip * 1.2)
    assert [str(line).split(" ")[1:3] for line in larger.lines] == [str(line).split(" ")[1:3] for line in first.lines]


def test_a_t_pose_before_the_take_is_no_motion(walk: np.ndarray, tpose: np.ndarray) -> None:
    clip = np.concatenate([tpose[None] + (1.0, 0.0, 2.0), walk[1:]])
    said, plain = measure(clip), measure(np.concatenate([walk[1:2], walk[1:]]))
    assert said == plain and said.postures == ("standing", "standing")


def test_a_clip_and_a_folder_from_the_command_line(
    walk: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        Motion(walk).save(tmp_path / f"{name}.npz")
    assert main(["data", "notate", str(tmp_path / "a.npz"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert str(Notation.parse(row["notation"])) == row["notation"] and row["sentence"].startswith(
        "a person walks forward"
    )
    (tmp_path / "broken.npz").write_bytes(b"x")
    assert main(["data", "notate", str(tmp_path), "--out", str(tmp_path / "said.jsonl")]) == 2
    rows = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [r["id"] for r in rows] == ["a", "b"] and rows[0]["notation"] == row["notation"]
    assert "broken.npz" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_a_twist_leaves_the_feet_where_they_stand(share: float, tpose: np.ndarray) -> None:
    """The shoulders go to and fro by 140 degrees, the hips by half of that, the feet by a share of it."""
    shares = np.ones(22)
    shares[[0, 1, 2]], shares[[4, 5]] = max(0.5, share), max(0.25, share)
    shares[[7, 8, 10, 11]] = share
    angle = np.radians(70) * np.sin(2 * np.pi * np.arange(120) / 40)[:, None] * shares
    x, y, z = (tpose[None, :, k] for k in range(3))
    joints = np.stack(
        [np.cos(angle) * x + np.sin(angle) * z, y.repeat(120, 0), -np.sin(angle) * x + np.cos(angle) * z], -1
    )
    verbs = {line.verb for line in measure(joints).lines}
    assert ("turn" in verbs, "twist" in verbs) == (share == 1, share < 1)


@pytest.mark.parametrize(("rise", "throws"), [(0.15, 1), (0.0, 0)])
def test_a_throw_with_both_hands_comes_from_the_legs(rise: float, throws: int, walk: np.ndarray) -> None:
    """Both arms, hanging, go up bent and stretch forward over the head while the pelvis rises by so much (m)."""
    clip = walk[:1].repeat(70, 0).astype(np.float64)
    times = [15, 25, 32, 38, 45, 55]
    up = np.interp(np.arange(70), times, [-0.45, 0.1, 0.1, 0.3, 0.3, -0.45])
    ahead = np.interp(np.arange(70), times, [0.0, 0.2, 0.2, 0.36, 0.36, 0.0])
    clip[:, [*range(4), 6, 9, *range(12, 20)], 1] -= np.interp(np.arange(70), [15, 25, 32, 38], [0, rise, rise, 0])[
        :, None
    ]
    forward = np.cross(clip[0, 16] - clip[0, 17], (0.0, 1.0, 0.0))
    forward /= np.linalg.norm(forward)
    for shoulder in (16, 17):
        clip[:, shoulder + 4] = clip[:, shoulder] + up[:, None] * (0, 1, 0) + ahead[:, None] * forward
        clip[:, shoulder + 2] = 0.5 * (clip[:, shoulder] + clip[:, shoulder + 4])
    lines = [line for line in measure(clip).lines if line.verb == "throw" and line.part == "both hands"]
    assert len(lines) == throws


@pytest.mark.parametrize("speed", ["", "slowly", "quickly"])
def test_no_arm_is_raised_on_the_way_to_the_floor(speed: str) -> None:
    for seed in range(8):
        lines = measure(joints(Spec((Part("lie", speed=speed),)), seed)).lines
        assert "lie" in {line.verb for line in lines} and not {"raise", "reach up"} & {line.verb for line in lines}
