"""The meshes of a character in its rest pose, in metres, with what binds them to its joints: what USD is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionllm.motion.characters.character import Character
from motionllm.motion.formats.gltf_file import Gltf

_TRIANGLES = 4  # glTF's mode of a primitive


@dataclass(frozen=True)
class Mesh:
    """points: (V, 3) metres, the rest pose. faces: (F, 3) indices. joints, weights: (V, 4). colour: (3,), of 0 to 1."""

    name: str
    points: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    colour: np.ndarray


def meshes(character: Character, gltf: Gltf, joint_of: dict[int, int]) -> list[Mesh]:
    """The skinned triangles of a document. joint_of: node → joint of the character."""
    doc, result = gltf.doc, []
    rest = np.tile(np.eye(4), (len(character.joints), 1, 1))
    rest[:, :3, :3] = character.turned * character.scales[:, None, None]
    rest[:, :3, 3] = character.rest
    if character.gltf is None:  # a stick body, which is made in metres
        rest[:, :3, 3] *= character.unit
    for node in doc["nodes"]:
        if "mesh" not in node or "skin" not in node:
            continue
        skin, mesh = doc["skins"][node["skin"]], doc["meshes"][node["mesh"]]
        joints = np.array([joint_of[n] for n in skin["joints"]])
        binds = np.tile(np.eye(4), (len(joints), 1, 1))
        if "inverseBindMatrices" in skin:
            binds = gltf.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)[: len(joints)]
        moved = rest[joints] @ binds
        for k, primitive in enumerate(mesh["primitives"]):
            attributes = primitive["attributes"]
            if primitive.get("mode", _TRIANGLES) != _TRIANGLES or "JOINTS_0" not in attributes:
                continue
            points = gltf.array(attributes["POSITION"]).astype(np.float64)
            bound = gltf.array(attributes["JOINTS_0"]).astype(int)
            weights = gltf.array(attributes["WEIGHTS_0"]).astype(np.float64)
            weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-9)
            placed = np.einsum("vkab,vb->vka", moved[bound][..., :3, :3], points) + moved[bound][..., :3, 3]
            flat = gltf.array(primitive["indices"]) if "indices" in primitive else np.arange(len(points))
            material = doc["materials"][primitive["material"]] if "material" in primitive else {}
            colour = material.get("pbrMetallicRoughness", {}).get("baseColorFactor", [0.8, 0.8, 0.8, 1.0])[:3]
            name = f"{mesh.get('name', 'mesh')}_{k}"
            scale = 1.0 if character.gltf is None else character.unit
            points = (placed * weights[..., None]).sum(1) * scale
            faces = flat.reshape(-1, 3).astype(int)
            result.append(Mesh(name, points, faces, joints[bound], weights, np.array(colour)))
    return result
