"""A performance as GLB: the character's own file, mesh and skin kept, with one animation; and as VRMA, for any VRM."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.motion.characters.body_turns import tpose
from motionllm.motion.characters.bvh_saving import take
from motionllm.motion.characters.character import Character
from motionllm.motion.characters.performance import Performance
from motionllm.motion.characters.retargeting import performed
from motionllm.motion.formats import rigs
from motionllm.motion.formats.glb import glb_bytes, quaternions
from motionllm.motion.formats.gltf_file import Gltf

_VRM_PARENT = {  # of each humanoid bone; where a character lacks it, the next one up
    "spine": "hips",
    "chest": "spine",
    "upperChest": "chest",
    "neck": "upperChest",
    "head": "neck",
} | {
    f"{side}{bone}": above if above in ("hips", "upperChest") else f"{side}{above}"
    for side in ("left", "right")
    for bone, above in (
        ("UpperLeg", "hips"),
        ("LowerLeg", "UpperLeg"),
        ("Foot", "LowerLeg"),
        ("Toes", "Foot"),
        ("Shoulder", "upperChest"),
        ("UpperArm", "Shoulder"),
        ("LowerArm", "UpperArm"),
        ("Hand", "LowerArm"),
    )
}


def animated(performance: Performance, name: str) -> Gltf:
    """The character's document with the performance as its only animation, a key on each frame; a stick body where the
    character has no mesh of its own (BVH).
    """
    character = performance.character
    if character.gltf is None:
        return Gltf.parse(glb_bytes(take(performance), name))
    gltf = Gltf(copy.deepcopy(character.gltf.doc), character.gltf.data)
    rows: list[tuple[int, str, np.ndarray]] = []
    for joint in performance.moving:
        rows.append((character.nodes[joint], "rotation", quaternions(performance.local(joint))))
    for joint in {character.hub, performance.carrier} - {-1}:
        rows.append((character.nodes[joint], "translation", performance.translation(joint)))
    for node in {row[0] for row in rows}:  # an animated node has its place, rotation and scale, no matrix
        _unpack(gltf, node)
    animate(gltf, rows, performance.fps, name)
    return gltf


def _unpack(gltf: Gltf, node: int) -> None:
    if "matrix" not in gltf.doc["nodes"][node]:
        return
    places, turns, scales = (values[node] for values in gltf.locals())
    kept = {key: value for key, value in gltf.doc["nodes"][node].items() if key != "matrix"}
    rotation = Rotation.from_matrix(turns).as_quat().tolist()
    gltf.doc["nodes"][node] = {**kept, "translation": places.tolist(), "rotation": rotation, "scale": scales.tolist()}


def animate(gltf: Gltf, rows: list[tuple[int, str, np.ndarray]], fps: float, name: str) -> None:
    """Make (node, path, values) the document's only animation, a key on each frame."""
    times = gltf.add((np.arange(len(rows[0][2])) / fps).astype(np.float32)[:, None], bounds=True)
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []
    for node, path, values in rows:
        samplers.append({"input": times, "output": gltf.add(values), "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
    gltf.doc["animations"] = [{"name": name, "samplers": samplers, "channels": channels}]


# -- VRMA ---------------------------------------------------------------------------------------------------


def vrma(performance: Performance, name: str) -> Gltf:
    """The humanoid bones alone, in a T-pose facing +Z, metres, and the animation: the extension VRMC_vrm_animation 1.0.

    Any VRM plays it. Raises MotionLLMError for a path on a root of its own: VRMA moves the hips.
    """
    if performance.carrier >= 0:
        raise MotionLLMError("VRMA keeps the path on the hips; use --root-motion hips or in-place.")
    character = performance.character
    bones = _bones(character)
    places, stood = _tpose(character, list(bones.values()))
    stands = {bone: places[joint] * character.unit for bone, joint in bones.items()}
    floor = np.array([0.0, character.floor * character.unit, 0.0])
    turned = {bone: performance.turned[j] @ stood[j].T for bone, j in bones.items()}
    doc: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "motionllm"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [],
        "extensionsUsed": ["VRMC_vrm_animation"],
    }
    gltf, rows = Gltf(doc), []
    for node, bone in enumerate(bones):
        above = _bone_above(bone, bones)
        place = stands[bone] - (stands[above] if above else floor)
        doc["nodes"].append({"name": bone, "translation": place.tolist()})
        local = turned[bone]
        if above:
            doc["nodes"][list(bones).index(above)].setdefault("children", []).append(node)
            local = turned[above].transpose(0, 2, 1) @ local
        rows.append((node, "rotation", quaternions(np.broadcast_to(local, (len(performance), 3, 3)))))
    # Where the hips' bone stands, for it need not be the joint that carries the body.
    place = np.broadcast_to(performance.positions[bones["hips"]], (len(performance), 3))
    rows.append((0, "translation", place * character.unit - floor))
    human = {bone: {"node": node} for node, bone in enumerate(bones)}
    doc["extensions"] = {"VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": human}}}
    animate(gltf, rows, performance.fps, name)
    return gltf


def _tpose(character: Character, joints: list[int]) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Where joints stand (3,) in the T-pose that faces +Z, and how they turn to it (3, 3) from the rest pose. The rest
    pose of a VRM is its T-pose.
    """
    if character.gltf is not None and {"VRM", "VRMC_vrm"} & set(character.gltf.doc.get("extensions") or {}):
        stood = character.facing.T
        return {j: stood @ character.rest[j] for j in joints}, {j: stood for j in joints}
    still = performed(tpose(), character, 20.0)
    return {j: still.positions[j][0] for j in joints}, {j: still.turned[j][0] for j in joints}


def _bones(character: Character) -> dict[str, int]:
    """The VRM bones of a character, parents first. Its spine joints are the spine, the chest and the upper chest."""
    places = dict(character.places)
    top = places.get("neck", places.get("head", -1))
    spine = [places.pop(place) for place in ("spine1", "spine2", "spine3") if place in places]
    if not spine and top >= 0:
        spine = _spread(character.between(character.hub, top))
    places |= dict(zip(("spine1", "spine2", "spine3"), spine, strict=False))  # an upper chest needs a chest
    places["pelvis"] = character.hub
    return {bone: places[place] for bone, place in rigs.VRM.items() if place in places}


def _spread(spine: list[int]) -> list[int]:
    """Three joints of a chain: its first, its middle and its last; all where there are no more."""
    return spine if len(spine) <= 3 else [spine[0], spine[len(spine) // 2], spine[-1]]


def _bone_above(bone: str, bones: dict[str, int]) -> str:
    """The nearest bone above one that the character has; "" for the hips."""
    above = _VRM_PARENT.get(bone, "")
    while above and above not in bones:
        above = _VRM_PARENT.get(above, "")
    return above
