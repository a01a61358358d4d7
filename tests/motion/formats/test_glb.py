"""GLB out: what any reader of glTF computes from the file moves as the clip does."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation

from motionllm import Motion
from motionllm import corpus as builtin
from motionllm.motion.formats.bvh import UPRIGHT
from motionllm.motion.formats.bvh_writer import write_bvh
from motionllm.motion.formats.glb import _side, write_glb

_COMPONENTS = {5126: np.float32, 5123: np.uint16, 5125: np.uint32}
_WIDTH = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def array(file: pygltflib.GLTF2, index: int) -> np.ndarray:
    accessor = file.accessors[index]
    view = file.bufferViews[accessor.bufferView]
    raw = file.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.frombuffer(raw, _COMPONENTS[accessor.componentType]).reshape(accessor.count, _WIDTH[accessor.type])


def played(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """World positions (T, 3) of every joint node, the mesh's skinned points (T, V, 3), and the times (T,)."""
    file = pygltflib.GLTF2().load(str(path))
    animation = file.animations[0]
    moved = {
        (c.target.node, c.target.path): array(file, animation.samplers[c.sampler].output) for c in animation.channels
    }
    times = array(file, animation.samplers[0].input)[:, 0]
    world: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def visit(node: int, above: tuple[np.ndarray, np.ndarray]) -> None:
        place = moved.get((node, "translation"), np.tile(file.nodes[node].translation, (len(times), 1)))
        turn = Rotation.from_quat(moved[node, "rotation"]).as_matrix()
        world[node] = (above[0] + np.einsum("tab,tb->ta", above[1], place), above[1] @ turn)
        for child in file.nodes[node].children:
            visit(child, world[node])

    visit(0, (np.zeros((len(times), 3)), np.tile(np.eye(3), (len(times), 1, 1))))
    binds = array(file, file.skins[0].inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    skinned = []
    for primitive in file.meshes[0].primitives:
        points = array(file, primitive.attributes.POSITION)
        owners = array(file, primitive.attributes.JOINTS_0)[:, 0]
        local = np.einsum("vab,vb->va", binds[owners, :3, :3], points) + binds[owners, :3, 3]
        turns = np.stack([world[j][1] for j in range(len(binds))], axis=1)
        places = np.stack([world[j][0] for j in range(len(binds))], axis=1)
        skinned.append(np.einsum("tvab,vb->tva", turns[:, owners], local) + places[:, owners])
    names = {file.nodes[node].name: position for node, (position, _) in world.items()}
    return names, np.concatenate(skinned, axis=1), times


def clip() -> Motion:
    spec = builtin.Spec((builtin.Part("walk", direction="left"), builtin.Part("wave", side="right")), "while")
    return Motion(builtin.joints(spec, 3))


def test_the_animation_moves_the_joints(tmp_path: Path) -> None:
    motion = clip()
    motion.save(tmp_path / "clip.glb")
    names, points, times = played(tmp_path / "clip.glb")
    for j, joint in enumerate(motion.skeleton.joints):
        assert np.linalg.norm(names[joint] - motion.joints[:, j], axis=-1).max() < 1e-3
    assert times == pytest.approx(np.arange(len(motion)) / 20)
    # The skin is where the body is: near some joint, all of it, and as far up as the head.
    away = np.linalg.norm(points[:, :, None] - motion.joints[:, None], axis=-1).min(-1)
    assert away.max() < 0.35
    assert abs(points[..., 1].max() - motion.joints[..., 1].max()) < 0.2


@pytest.mark.parametrize("name", ["cmu_cgspeed_07_12", "cmu_daz_02_01", "bandai2_wave_left", "rokoko_dance"])
def test_a_files_own_rig_is_kept(name: str, tmp_path: Path, take: Callable[[str], Path]) -> None:
    motion = Motion.load(take(name))
    motion.save(tmp_path / "clip.glb")
    names, _, _ = played(tmp_path / "clip.glb")
    for j, joint in enumerate(motion.skeleton.joints):
        assert np.linalg.norm(names[joint] - motion.joints[:, j], axis=-1).max() < 1e-3


def bind_pose(path: Path) -> dict[str, np.ndarray]:
    file = pygltflib.GLTF2().load(str(path))
    binds = array(file, file.skins[0].inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    placed = np.linalg.inv(binds)[:, :3, 3]
    return {file.nodes[node].name: placed[k] for k, node in enumerate(file.skins[0].joints)}


@pytest.mark.parametrize("up", list(UPRIGHT))
@pytest.mark.parametrize("rest", ["file", "y", "line"])
def test_the_bind_pose_stands_in_metres_whatever_the_files_axes(tmp_path, walk, tools, up, rest) -> None:
    bvh = tools.disguised(tools.solved(walk, tools.named("mixamo")), UPRIGHT[up].T, rest, 1000.0)
    write_bvh(bvh, tmp_path / "clip.bvh")
    motion = Motion.load(tmp_path / "clip.bvh")
    motion.save(tmp_path / "clip.glb")
    bind = bind_pose(tmp_path / "clip.glb")
    rise = bind["mixamorig:Head"] - bind["mixamorig:LeftFoot"]
    assert 1.2 < rise[1] < 1.6 and abs(rise[[0, 2]]).max() < 0.5
    names, points, _ = played(tmp_path / "clip.glb")
    for j, joint in enumerate(motion.skeleton.joints):
        assert np.linalg.norm(names[joint] - motion.joints[:, j], axis=-1).max() < 1e-3
    away = np.linalg.norm(points[::10, :, None] - motion.joints[::10, None], axis=-1).min(-1)
    assert away.max() < 0.35


@pytest.mark.parametrize("lengths", ["none", "one joint", "no length at all"])
def test_a_mesh_has_faces_whatever_the_offsets(tmp_path, walk, tools, lengths) -> None:
    bvh = tools.disguised(tools.solved(walk, tools.named("mixamo")), positions="none")
    if lengths != "none":  # position channels left out
        width = sum(len(c) for c in bvh.channels[:1])
        bvh = replace(
            bvh,
            joints=bvh.joints[:1],
            parents=(-1,),
            offsets=np.zeros((1, 3)),
            ends={},
            channels=bvh.channels[:1],
            values=bvh.values[:, :width] * (lengths == "one joint"),
        )
    write_glb(replace(bvh, unit=0.01), tmp_path / "clip.glb")
    file = pygltflib.GLTF2().load(str(tmp_path / "clip.glb"))
    assert all(array(file, p.attributes.POSITION).size for p in file.meshes[0].primitives) and file.meshes[0].primitives
    if lengths == "none":
        bind = np.stack(list(bind_pose(tmp_path / "clip.glb").values()))
        assert 1.2 < np.ptp(bind[:, 1]) < 1.8


def test_keys_fall_on_the_frames_of_a_scene(tmp_path) -> None:
    clip().resample(24).save(tmp_path / "clip.glb")
    _, _, times = played(tmp_path / "clip.glb")
    assert np.abs(times * 24 - np.arange(len(times))).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("left_hip", "left"),
        ("mixamorig:RightArm", "right"),
        ("lFoot", "left"),
        ("RShldr", "right"),
        ("hand.L", "left"),
        ("Spine1", ""),
        ("Root", ""),
        ("head", ""),
        ("CC_Base_R_Hand", "right"),
        ("lowerback", ""),
    ],
)
def test_sides_are_read_from_names(name: str, side: str) -> None:
    assert _side(name) == side


@pytest.mark.slow
def test_the_khronos_validator_finds_no_error(tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: the Khronos glTF validator is its package gltf-validator")
    subprocess.run(["npm", "install", "--prefix", str(tmp_path), "gltf-validator"], check=True, capture_output=True)
    clip().save(tmp_path / "clip.glb")
    script = (
        f"require('{tmp_path / 'node_modules' / 'gltf-validator'}')"
        f".validateBytes(new Uint8Array(require('fs').readFileSync('{tmp_path / 'clip.glb'}')))"
        ".then(r => console.log(JSON.stringify(r.issues)))"
    )
    issues = json.loads(subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
