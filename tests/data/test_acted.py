"""Pointing and kneeling are made as they are asked for: with the limb, and to the side, that a text names."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm.data.acted import acted, pointing
from motionllm.data.asked import as_asked, asked, plainly
from motionllm.data.mending import built, lacking, measured, missing, put_in
from motionllm.motion import splicing

WHERE = ["", " at something", " forward", " to the {side}", " up at the sky", " down at the floor"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("side", ["left", "right"])
def test_who_points_is_measured_so(side: str, where: str) -> None:
    (one,) = asked(f"a person points{where.format(side=side)} with the {side} hand")
    poses = built(pointing(one))
    notation = measured(poses)
    assert notation is not None and as_asked(one, notation) and one.side == side
    assert all(side in line.part for line in notation.lines)
    wrist = splicing.joints_of(poses)[len(poses) // 2, splicing.ARMS[side][3]]
    shoulder = splicing.joints_of(poses)[len(poses) // 2, splicing.ARMS[side][1]]
    far = wrist - shoulder
    assert np.linalg.norm(far) > 0.4
    if "up" in where:
        assert far[1] > 0.3
    elif "to the" in where:
        assert abs(far[0]) > abs(far[1]) and (far[0] > 0) == (side == "left")
    else:
        assert far[2] > 0.3


def test_a_side_to_point_to_is_that_of_the_arm() -> None:
    (one,) = asked("a person points to the left")
    assert one.side == "left"
    (one,) = asked("a person points to the left with the right hand")
    assert (one.side, one.way) == ("right", "left")
    assert [one.action for one in asked("a dancer stands and points her feet")] == []


def test_it_is_put_in_where_it_is_missing() -> None:
    wanted = asked("a person points to the left")
    stands = splicing.held(pointing(wanted[0])[0], 60)
    assert (
        missing(stands, wanted) == missing(stands, wanted, made=True) == [0]
        and missing(stands, wanted, made=False) == []
    )
    assert lacking(stands, wanted) == ["a person points with the left hand"]
    new, taken = put_in(stands, wanted, 0, [pointing(wanted[0])])
    assert taken == 0 and lacking(new, wanted) == []


@pytest.mark.parametrize("how", ["", " slowly", " quickly"])
@pytest.mark.parametrize("knee", ["", " on both knees", " on the left knee", " on the right knee"])
def test_who_kneels_is_on_the_knees_that_are_named(knee: str, how: str) -> None:
    text = f"a person kneels down{knee}{how}"
    (one,) = asked(text)
    notation = measured(built(acted(one)))
    assert notation is not None and plainly(one, notation) and notation.postures[1] == "kneeling", text
    stands = splicing.held(pointing(asked("a person points")[0])[0], 60)
    assert missing(stands, [one], made=True) == [0]
    new, taken = put_in(stands, [one], 0, [acted(one)])
    assert taken == 0 and lacking(new, [one]) == [], text
