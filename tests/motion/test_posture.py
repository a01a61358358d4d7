"""Postures: seats of any height told from squats, by whether the body could hold itself."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm.corpus.body import FPS, Score, joints
from motionllm.motion.notation import measure


def lowered(by: float, back: float, bend: float, seconds: float = 1.5) -> np.ndarray:
    """Joints of a body that stands, lowers its pelvis, puts it back (m), bends (radians), and stays."""
    score = Score()
    score.move(0.5, 1.3, y=-by, fore=-back, bend=bend)
    score.move(1.3 + seconds, 1.4 + seconds, y=-by)
    for side, out in ((0, 0.1), (1, -0.1)):
        score.set(**{f"fx{side}": out})
    return joints(score, round(score.end * FPS))


@pytest.mark.parametrize("by", [0.15, 0.2, 0.25, 0.3, 0.4, 0.45])
def test_a_seat_of_any_height_is_where_no_body_could_stand(by: float) -> None:
    sits = measure(lowered(by, 0.3, 0.0), FPS)
    assert sits.postures == ("standing", "sitting")
    assert "sit" in {line.verb for line in sits.lines}
    held = measure(lowered(by, 0.05, 0.6), FPS)  # its weight is over its feet
    assert "sitting" not in held.postures and "sit" not in {line.verb for line in held.lines}


def test_who_squats_as_deep_as_one_can_does_not_sit_on_the_floor() -> None:
    for back, sits in ((0.0, False), (0.35, True)):
        found = measure(lowered(0.65, back, 0.2), FPS)
        assert ("sit" in {line.verb for line in found.lines}) == sits


def test_a_body_that_stands_with_bent_knees_sits_and_stands_up() -> None:
    score = Score()
    score.move(0.0, 0.1, y=-0.12)
    score.move(2.5, 3.3, y=-0.3, fore=-0.3)
    score.move(5.3, 6.1, y=-0.12, fore=0.0)
    for side, out in ((0, 0.1), (1, -0.1)):
        score.set(**{f"fx{side}": out})
    found = measure(joints(score, 9 * FPS)[4:], FPS)
    assert [line.verb for line in found.lines] == ["sit", "stand up"] and found.postures == ("standing", "standing")
    assert 2.0 < found.lines[0].start < 3.2 and 5.0 < found.lines[1].start < 6.0
