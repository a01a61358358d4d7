"""Gaits on a zigzag, an S and a figure eight: read from texts, made, and told from straight ways and circles."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.data.asked import asked, share
from motionllm.data.mending import measured
from motionllm.data.winding import LASTS, unwound, wound
from motionllm.motion import splicing

TEXTS = {
    "zigzag": ["{goes} in a zigzag", "{goes} in a zig-zag pattern", "{goes} zigzagging forward"],
    "wave": ["{goes} in an S shape", "{goes} in a serpentine path", "{goes} weaving between cones", "{goes} in an S"],
    "eight": ["{goes} in a figure eight", "{goes} in a figure 8", "{goes} a figure of eight"],
}


def going(gait: str, way: str = "forward", seed: int = 1) -> np.ndarray:
    spec = builtin.Spec((builtin.Part(gait, direction=way),))
    return splicing.poses_of(builtin.joints(spec, seed))


@pytest.mark.parametrize("path", TEXTS)
@pytest.mark.parametrize("gait", ["walk", "run"])
def test_a_path_that_is_asked_for_is_gone(gait: str, path: str) -> None:
    for seed, text in enumerate(TEXTS[path]):
        wanted = asked(f"a person {text.format(goes=gait + 's')} and then waves")
        assert [one.path for one in wanted] == [path, ""] and wanted[0].verbs[0] == gait
        wanted, motion = wanted[:1], going(gait, seed=seed)
        assert len(unwound(motion, wanted)) == 1
        new = wound(motion, wanted)
        notation = measured(new)
        assert notation is not None and share(wanted, notation) == 1
        assert unwound(new, wanted) == [] and len(new) >= LASTS[path] * 0.7 * splicing.FPS
        assert wound(new, wanted) is new


def test_no_other_path_is_taken_for_one() -> None:
    for path, texts in TEXTS.items():
        wanted = asked(f"a person {texts[0].format(goes='walks')}")
        for way in ("forward", "left", "right", "backward"):
            assert unwound(going("walk", way), wanted), (path, way)
        circle = splicing.on_path(going("walk"), 360.0, 10, 90)
        assert unwound(circle, wanted)
    assert unwound(circle, asked("a person walks in a circle")) == []
    straight = going("walk")
    assert wound(straight, asked("a person walks")) is straight


def test_a_fixed_duration_is_kept() -> None:
    motion, wanted = going("walk"), asked("a person walks in a zigzag")
    assert len(wound(motion, wanted, fixed=True)) == len(motion)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a person zigzags forward", "zigzag"),
        ("someone slaloms between cones", "wave"),
        ("a man weaves through the crowd", "wave"),
        ("a person weaves from side to side while walking", "wave"),
        ("a person meanders", "wave"),
    ],
)
def test_verbs_that_name_a_path_are_walks(text: str, path: str) -> None:
    (one,) = asked(text)
    assert (one.verbs[0], one.path) == ("walk", path)
