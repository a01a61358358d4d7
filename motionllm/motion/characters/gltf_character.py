"""The character in a glTF document: the nodes that a skin moves, and those above them.

The rest pose is the skin's bind pose, in which the mesh was modelled, in whatever pose the nodes stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion import budget
from motionllm.motion.characters.character import Character
from motionllm.motion.formats import rigs
from motionllm.motion.formats.gltf_file import Gltf, names_of, vrm_places

_TALL = 5.0  # a leg longer than this, in the file's units, is in centimetres


def character_of(gltf: Gltf, name: str, given: dict[str, Any]) -> Character:
    """The character in a glTF document."""
    order, skinned = _skeleton(gltf)
    index = {node: j for j, node in enumerate(order)}
    above = gltf.parents()
    parents = tuple(index.get(above[node], -1) for node in order)
    budget.check_joints(len(order))
    joints = names_of(gltf, order)
    _, turns, scales = gltf.locals()
    uneven = [
        j for j, node in enumerate(order) if np.ptp(scales[node]) > 0.02 * scales[node].max() or scales[node].min() <= 0
    ]
    if uneven:
        raise MotionLLMError(f"{joints[uneven[0]]} is scaled unevenly or mirrored; apply scales, and export it again.")
    given = {**vrm_places(gltf, index, joints), **given}
    poses = [_rest_pose(gltf, order, parents, turns[list(order)])]
    posed = _bind_turns(gltf, order, index, parents)
    if posed is not None:
        poses = [_rest_pose(gltf, order, parents, turns) for turns in posed] + poses
    places = placed(joints, parents, poses[0][0], (), given)
    # The bind pose where it stands, for that is how the mesh was modelled, else the nodes as they are.
    rest, turned, sizes = max(poses[:-1] or poses, key=lambda pose: _upright(pose[0], places))
    if _upright(rest, places) < 0.9 and _upright(poses[-1][0], places) > _upright(rest, places):
        rest, turned, sizes = poses[-1]
    leg = float(np.linalg.norm(rest[places["left_hip"]] - rest[places["left_knee"]])) * 2
    unit = 0.01 if leg > _TALL else 1.0
    return Character(
        name,
        joints,
        parents,
        rest,
        turned,
        sizes,
        places,
        {},
        unit,
        frozenset(index[node] for node in skinned),
        gltf,
        tuple(order),
    )


def _upright(rest: np.ndarray, places: Mapping[str, int]) -> float:
    """How much of the way from the knees to the shoulders is upwards, and of that from the knees to the hips."""
    rise, thigh = (
        sum(rest[places[f"{side}_{high}"]] - rest[places[f"{side}_knee"]] for side in ("left", "right"))
        for high in ("shoulder", "hip")
    )
    return min(float(way[1] / max(float(np.linalg.norm(way)), 1e-9)) for way in (rise, thigh))


def standing(rest: np.ndarray, places: Mapping[str, int]) -> bool:
    """Whether a rest pose (J, 3) stands along Y."""
    return _upright(rest, places) > 0.7


def _skeleton(gltf: Gltf) -> tuple[list[int], set[int]]:
    """The nodes of the skeleton, parents first, and those that a skin moves; all nodes without a mesh where none is."""
    doc, above = gltf.doc, gltf.parents()
    try:
        skinned = {int(joint) for skin in doc.get("skins", []) for joint in skin["joints"]}
        if not all(0 <= node < len(above) for node in skinned):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise MotionLLMError("a skin's joints are not as glTF has them; export the file again.") from None
    skinned = skinned or {n for n, node in enumerate(doc["nodes"]) if not {"mesh", "camera"} & set(node)}
    kept = set(skinned)
    for node in skinned:
        while (node := above[node]) >= 0 and node not in kept:
            kept.add(node)
    order: list[int] = []
    stack = [node for node in sorted(kept, reverse=True) if above[node] < 0]
    while stack:
        node = stack.pop()
        order.append(node)
        stack += [child for child in reversed(doc["nodes"][node].get("children", [])) if child in kept]
    if len(order) < 10:
        raise MotionLLMError("holds no skeleton; export the character with its armature and skin.")
    return order, skinned


def _bind_turns(
    gltf: Gltf, order: list[int], index: Mapping[int, int], parents: tuple[int, ...]
) -> list[np.ndarray] | None:
    """Rotations (J, 3, 3) of the joints relative to their parents in the bind pose, as the skins' inverse bind matrices
    tell them: the skin's top turned as its mesh has it, and as its node has it. None where they are the nodes' own.
    """
    _, own, _ = gltf.locals()
    turns = own[order].copy()
    tops: dict[int, np.ndarray] = {}
    for skin in gltf.doc.get("skins", []):
        if "inverseBindMatrices" not in skin:
            continue
        matrices = gltf.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)
        if len(matrices) < len(skin["joints"]) or (np.abs(np.linalg.det(matrices[:, :3, :3])) < 1e-12).any():
            raise MotionLLMError("a skin's inverse bind matrices are none; export the file again.")
        u, _, v = np.linalg.svd(np.linalg.inv(matrices)[:, :3, :3])
        world = {index[node]: turn for node, turn in zip(skin["joints"], u @ v, strict=False)}
        for j, turn in world.items():
            if parents[j] in world:
                turns[j] = world[parents[j]].T @ turn
            else:
                tops[j] = turn
    if np.abs(turns - own[order]).max() < 0.02:
        return None
    modelled = turns.copy()
    world_turns = np.zeros_like(turns)
    for j, parent in enumerate(parents):
        above = world_turns[parent] if parent >= 0 else np.eye(3)
        if j in tops:
            modelled[j] = above.T @ tops[j]
        world_turns[j] = above @ modelled[j]
    return [modelled, turns]


def _rest_pose(
    gltf: Gltf, order: list[int], parents: tuple[int, ...], turns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where joints stand (J, 3), are turned (J, 3, 3) and scaled (J,) in the world, given their own rotations."""
    translations, _, scales = gltf.locals()
    rest, turned, sizes = np.zeros((len(order), 3)), np.zeros((len(order), 3, 3)), np.ones(len(order))
    for j, (node, parent) in enumerate(zip(order, parents, strict=True)):
        size = float(scales[node].mean())
        if parent < 0:
            rest[j], turned[j], sizes[j] = translations[node], turns[j], size
        else:
            rest[j] = rest[parent] + sizes[parent] * (turned[parent] @ translations[node])
            turned[j], sizes[j] = turned[parent] @ turns[j], sizes[parent] * size
    return rest, turned, sizes


def placed(
    joints: tuple[str, ...], parents: tuple[int, ...], rest: np.ndarray, ends: tuple[int, ...], given: dict[str, Any]
) -> dict[str, int]:
    """The joints of the body by place. Raises MotionLLMError naming what is missing, and the remedy."""
    lengths = np.array([np.linalg.norm(rest[j] - rest[p]) if p >= 0 else 0.0 for j, p in enumerate(parents)])
    remedy = "name them in a YAML file of lines 'left_hip: <joint of the character>', and give it with --map"
    return dict(rigs.map_rig(joints, parents, lengths, ends, given, remedy).places)
