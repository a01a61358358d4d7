"""A performance as USD: a UsdSkel skeleton with its animation and the character's meshes bound to it, metres, Y up.

Textures are left out: meshes have the base colours of their materials.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.motion.characters.gltf_saving import animated
from motionllm.motion.characters.meshes import Mesh, meshes
from motionllm.motion.characters.performance import Performance


def write_usd(performance: Performance, path: Path, name: str) -> None:
    """Write .usd, .usda or .usdc. Raises MotionLLMError where the extra `usd` is not installed."""
    try:
        from pxr import Gf, Tf, Usd, UsdGeom, UsdSkel, Vt
    except ImportError:
        raise MotionLLMError("USD is written by usd-core: pip install 'motionllm[usd]'.") from None
    character, frames = performance.character, len(performance)
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(performance.fps)
    stage.SetFramesPerSecond(performance.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(frames - 1)
    root = UsdSkel.Root.Define(stage, "/Character")
    stage.SetDefaultPrim(root.GetPrim())
    skeleton = UsdSkel.Skeleton.Define(stage, "/Character/Skeleton")
    paths: list[str] = []
    for joint, parent in zip(character.joints, character.parents, strict=True):
        own = Tf.MakeValidIdentifier(joint)
        own = own if parent < 0 else f"{paths[parent]}/{own}"
        paths.append(own if own not in paths else f"{own}_{len(paths)}")
    skeleton.CreateJointsAttr(paths)
    rest = character.rest * character.unit
    skeleton.CreateBindTransformsAttr(
        [_matrix(Gf, turn, place) for turn, place in zip(character.turned, rest, strict=True)]
    )
    places, turns = _locals(performance, rest)
    still = [_matrix(Gf, *_local(character.turned, rest, character.parents, j)) for j in range(len(paths))]
    skeleton.CreateRestTransformsAttr(still)
    animation = UsdSkel.Animation.Define(stage, f"/Character/{Tf.MakeValidIdentifier(name)}")
    animation.CreateJointsAttr(paths)
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * len(paths)))
    moved, turned = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    for t in range(frames):
        moved.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(places[t], np.float32)), t)
        turned.Set(Vt.QuatfArray([Gf.Quatf(float(w), float(x), float(y), float(z)) for x, y, z, w in turns[t]]), t)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    gltf = animated(performance, name)
    joint_of = {node: j for j, node in enumerate(character.nodes)}
    if character.gltf is None:
        joint_of = {
            n: character.joints.index(node["name"]) for n, node in enumerate(gltf.doc["nodes"]) if "mesh" not in node
        }
    for mesh in meshes(character, gltf, joint_of):
        at = stage.GetPrimAtPath("/Character").GetPath().AppendChild(Tf.MakeValidIdentifier(mesh.name))
        _bind(stage, at, mesh, skeleton, UsdGeom, UsdSkel, Vt)
    stage.Save()


def _bind(stage: Any, path: Any, mesh: Mesh, skeleton: Any, UsdGeom: Any, UsdSkel: Any, Vt: Any) -> None:
    shape = UsdGeom.Mesh.Define(stage, path)
    shape.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(mesh.points, np.float32)))
    shape.CreateFaceVertexCountsAttr([3] * len(mesh.faces))
    shape.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(mesh.faces.reshape(-1), np.int32)))
    shape.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    shape.CreateDisplayColorAttr([tuple(float(c) for c in mesh.colour)])
    binding = UsdSkel.BindingAPI.Apply(shape.GetPrim())
    joints = Vt.IntArray.FromNumpy(np.ascontiguousarray(mesh.joints.reshape(-1), np.int32))
    binding.CreateJointIndicesPrimvar(False, mesh.joints.shape[1]).Set(joints)
    weights = Vt.FloatArray.FromNumpy(np.ascontiguousarray(mesh.weights.reshape(-1), np.float32))
    binding.CreateJointWeightsPrimvar(False, mesh.weights.shape[1]).Set(weights)
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])


def _locals(performance: Performance, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Translations (T, J, 3), metres, and rotations (T, J, 4) as x, y, z, w, relative to the parents, without scale."""
    character, frames = performance.character, len(performance)
    places, turns = np.empty((frames, len(character.joints), 3)), np.empty((frames, len(character.joints), 4))
    moving = {character.hub, performance.carrier}
    for j, parent in enumerate(character.parents):
        local, place = _local(character.turned, rest, character.parents, j)
        places[:, j], turns[:, j] = place, Rotation.from_matrix(local).as_quat()
        if j in moving:
            scale = character.scales[parent] if parent >= 0 else 1.0
            places[:, j] = performance.translation(j) * scale * character.unit
        if j in performance.moving:
            turns[:, j] = Rotation.from_matrix(performance.local(j)).as_quat()
    return places, turns


def _local(turned: np.ndarray, rest: np.ndarray, parents: tuple[int, ...], j: int) -> tuple[np.ndarray, np.ndarray]:
    """A joint's rotation (3, 3) and place (3,) relative to its parent in the rest pose."""
    parent = parents[j]
    if parent < 0:
        return turned[j], rest[j]
    return turned[parent].T @ turned[j], turned[parent].T @ (rest[j] - rest[parent])


def _matrix(Gf: Any, turn: np.ndarray, place: np.ndarray) -> Any:
    """A USD matrix, whose rows are the axes."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[3, :3] = turn.T, place
    return Gf.Matrix4d(*matrix.reshape(-1).tolist())
