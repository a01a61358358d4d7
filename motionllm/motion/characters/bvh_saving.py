"""A performance as BVH: Y up, centimetres, the character's own hierarchy and rest pose."""

from __future__ import annotations

import numpy as np

from motionllm.motion.characters.performance import Performance
from motionllm.motion.formats.bvh import BVH, euler

_PLACE = ("Xposition", "Yposition", "Zposition")


def take(performance: Performance) -> BVH:
    """The performance as a BVH take. The zero pose is the rest pose; that of a BVH character is the file's own.

    The hierarchy begins at the highest joint above the hips that a skin moves, or that carries the path.
    """
    character = performance.character
    chain = [character.hub, *character.above(character.hub)]
    top = max(
        (j for j in chain if j in character.skinned or j == performance.carrier), key=chain.index, default=chain[0]
    )
    joints = _below(top, character.parents)
    index = {j: k for k, j in enumerate(joints)}
    parents = [index.get(character.parents[j], -1) for j in joints]
    own = character.turned if character.gltf is None else np.tile(np.eye(3), (len(character.joints), 1, 1))
    frames, scale = len(performance), character.unit * 100.0
    offsets, ends, channels, columns = np.zeros((len(joints), 3)), {}, [], []
    for k, j in enumerate(joints):
        above = character.parents[j] if k else -1
        turned = np.broadcast_to(performance.turned[j] @ own[j], (frames, 3, 3))
        if k:
            offsets[k] = own[above].T @ (character.rest[j] - character.rest[above]) * scale
            turned = (performance.turned[above] @ own[above]).transpose(0, 2, 1) @ turned
        if not k or j == character.hub:
            columns.append(_places(performance, own, j, above) * scale)
        # The middle angle of an order must stay away from 90 degrees: about Y for bones that hang or stand, else X.
        low = next((character.rest[m] - character.rest[j] for m in joints if character.parents[m] == j), np.zeros(3))
        upright = k > 0 and abs(low[1]) >= max(abs(low[0]), abs(low[2]))
        order = "ZYX" if upright else "ZXY"
        columns.append(euler(turned, order))
        channels.append((*(_PLACE if not k or j == character.hub else ()), *(f"{axis}rotation" for axis in order)))
        if k not in parents[k + 1 :]:
            end = character.ends.get(j)
            reach = end - character.rest[j] if end is not None else (character.rest[j] - character.rest[above]) * 0.3
            ends[k] = own[j].T @ reach * scale
    offsets[0] = character.rest[top] * scale
    names = tuple(character.joints[j].replace(" ", "_") for j in joints)
    values = np.concatenate(columns, axis=1)
    return BVH(names, tuple(parents), offsets, ends, tuple(channels), values, performance.fps, unit=0.01)


def _places(performance: Performance, own: np.ndarray, joint: int, above: int) -> np.ndarray:
    """(T, 3) where a joint stands, seen from the one above it (-1: in the world)."""
    place = performance.positions[joint]
    if above >= 0:
        turned = np.broadcast_to(performance.turned[above] @ own[above], (len(performance), 3, 3))
        place = np.einsum("tba,tb->ta", turned, place - performance.positions[above])
    return np.broadcast_to(place, (len(performance), 3))


def _below(top: int, parents: tuple[int, ...]) -> list[int]:
    """A joint and all below it, depth first."""
    order, stack = [], [top]
    while stack:
        joint = stack.pop()
        order.append(joint)
        stack += [j for j in range(len(parents) - 1, -1, -1) if parents[j] == joint]
    return order
