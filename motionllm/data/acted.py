"""Acts that are made by rule, as the codes of the motion tokenizer, and the clips, have none: pointing and kneeling.

Few clips point, and those of the model raise a hand at most; its codes leave a knee that should be on the floor 20 cm
above it. What is made here is put in where a text asks for it and the motion does not show it (`mending.put_in`).
"""

from __future__ import annotations

import numpy as np

from motionllm import corpus
from motionllm.data.asked import Asked
from motionllm.motion import splicing

RISES, STAYS, WAITS = 14, 36, 8  # frames in which the arm rises and sinks, points, and hangs before and after
# Where an arm points, in the body's heading: to the left (of the left arm), up, forward.
TOWARDS = {"side": (0.9, 0.05, 0.4), "up": (0.15, 0.85, 0.5), "down": (0.05, -0.3, 0.95), "": (0.1, 0.05, 1.0)}


def acted(one: Asked) -> np.ndarray:
    """Poses (T, 67) of someone who does one of `mending.ACTED` as it is asked for."""
    return pointing(one) if one.action.startswith("point") else kneeling(one)


def kneeling(one: Asked) -> np.ndarray:
    """Poses (T, 67) of someone who kneels down as the built-in corpus does; on both knees where no side is stated."""
    side = one.side or "both"
    return splicing.poses_of(corpus.joints(corpus.Spec((corpus.Part("kneel", side=side, speed=one.pace),)), 1))


def pointing(one: Asked) -> np.ndarray:
    """Poses (T, 67) of someone who points as it is asked for; with the right arm where no side is stated."""
    side = one.side if one.side in splicing.ARMS else "right"
    spec = corpus.Spec((corpus.Part("stand"),), seconds=(2 * (RISES + WAITS) + STAYS) / splicing.FPS)
    result = splicing.poses_of(corpus.joints(spec, 1))
    towards = "up" if one.action == "point up" else "side" if one.way in splicing.ARMS else one.way
    direction = np.array(TOWARDS.get(towards, TOWARDS[""])) * [1 if side == "left" else -1, 1, 1]
    direction /= np.linalg.norm(direction)
    points = result[:, 4:].reshape(len(result), 21, 3)
    target = points.copy()
    _, *chain = (joint - 1 for joint in splicing.ARMS[side])
    lengths = np.linalg.norm(np.diff(points[:, chain], axis=1), axis=-1)
    target[:, chain[1:]] = points[:, chain[:1]] + np.cumsum(lengths[..., None] * direction, axis=1)
    place = np.clip(np.minimum(np.arange(len(points)), np.arange(len(points))[::-1]) - WAITS, 0, RISES) / RISES
    splicing.turn_arms(points, target, place * place * (3 - 2 * place))
    return result
