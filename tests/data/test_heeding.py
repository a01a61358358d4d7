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


def test_what_a_text_leaves_open_stays() -> None:
    plan = Notation.parse("4.0 s, standing to standing\n0.2-2.4 walk forward 1.0 m/s\n2.6-3.8 wave left hand x3")
    for text in (
        "a person walks and waves",
        "someone waves",
        "nothing that anyone knows",
        "a person jumps three times",
    ):
        assert heeding(plan, asked(text)) == plan
