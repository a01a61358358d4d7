"""Plans that say what a text says plainly: side, way, count, degrees, and whether it is a walk or a run."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm.data.asked import asked, share
from motionllm.data.heeding import heeding
from motionllm.motion.notation import VERBS, Line, Notation

TEXTS = {  # with {side}, {n}, {way}, {gait} → verb, and its limb
    "a person waves with the {side} hand {n}": ("wave", "hand"),
    "someone kicks {n} with the {side} foot": ("kick", "leg"),
    "a person turns to the {way} to face the other way": ("turn", ""),
    "the man turns all the way around to the {way}": ("turn", ""),
    "a person {gait}s forward curving to the {way}": ("", ""),
}
NUMBERS = {2: "twice", 3: "three times", 5: "five times"}


@pytest.mark.parametrize("seed", range(60))
def test_what_a_text_says_plainly_stands_in_its_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides, gaits = rng.permutation(["left", "right"]).tolist(), rng.permutation(["walk", "run"]).tolist()
    number = int(rng.choice(list(NUMBERS)))
    text = str(rng.choice(list(TEXTS)))
    verb, limb = TEXTS[text]
    text = text.format(side=sides[0], way=sides[0], n=NUMBERS[number], gait=gaits[0])
    wrong = verb or gaits[1]
    line = Line(1.0, 2.5, wrong, f"{sides[1]} {limb}" if limb else "", count=number + 1 if limb else 1)
    if wrong == "turn":
        line = Line(1.0, 2.5, wrong, way=sides[1], size=float(rng.integers(2, 7) * 15))
    elif VERBS[wrong].speed:
        line = Line(1.0, 2.5, wrong, way="forward", size=90.0 if sides[1] == "left" else -90.0, speed=1.4)
    plan = Notation(4.0, ("standing", "standing"), (line, Line(3.0, 3.6, "clap")))
    wanted = asked(text)
    new = heeding(plan, wanted)
    assert share(wanted, plan) < 1 == share(wanted, new), str(new)
    assert heeding(new, wanted) == new
    assert any(one.verb == "clap" for one in new.lines) and len(new.lines) == 2
    assert heeding(plan, wanted, fixed=True).seconds == 4.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a person walks 5.5 meters, turns around, and walks 3 meters back", ["walk 5.5", "turn", "walk 3.0"]),
        ("a person walks for 3 seconds, turns around and walks for 5 seconds", ["walk 3.6", "turn", "walk 6.0"]),
        ("a person runs 10 meters", ["run 10.0"]),
        ("a person runs 4 meters", ["run 4.0"]),
        ("a person walks 99 meters", ["walk 6.0"]),  # more than a plan may last
    ],
)
def test_each_act_of_a_verb_goes_as_far_as_is_said_of_it(text: str, wanted: list[str]) -> None:
    lines = [Line(0.0, 5.0, "walk", way="forward", speed=1.2)]
    if "turn" in text:
        lines += [Line(5.2, 6.0, "turn", way="left", size=180.0), Line(6.2, 7.4, "walk", way="forward", speed=1.2)]
    plan = Notation(8.0, ("standing", "standing"), tuple(lines))
    new = heeding(plan, asked(text))
    far = [f"{line.verb} {(line.end - line.start) * line.speed:.1f}" for line in new.lines]
    for has, said in zip(far, wanted, strict=True):
        assert has.split(" ")[0] == said.split(" ")[0], far
        if "turn" not in said:
            assert float(has.split(" ")[1]) == pytest.approx(float(said.split(" ")[1]), rel=0.25), far


def test_what_a_text_leaves_open_stays() -> None:
    plan = Notation.parse("4.0 s, standing to standing\n0.2-2.4 walk forward 1.0 m/s\n2.6-3.8 wave left hand x3")
    for text in (
        "a person walks and waves",
        "someone waves",
        "nothing that anyone knows",
        "a person jumps three times",
    ):
        assert heeding(plan, asked(text)) == plan
