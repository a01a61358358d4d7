"""GLB: a clip as an animated, skinned stick body that Blender, Unity, three.js and viewers open.

One node per joint, whose rotations (and translations, where they vary) form a glTF 2.0 animation; nodes stand in the
rest pose, on the floor. One mesh of eight-sided spindles, one per bone, each bound rigidly to the bone's parent joint.
Metres, Y up, as glTF requires.
"""

from __future__ import annotations

import os
import re

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.files import write_file
from motionllm.motion.formats.bvh import BVH, UPRIGHT, rest_places

_COLOURS = {"left": (0.90, 0.47, 0.19), "right": (0.17, 0.42, 0.72), "": (0.24, 0.27, 0.31)}  # as in the pictures
_SIDES = 8
END = "end_site"  # of a node's extras: where its bone ends, in its own axes
_ARRAY, _INDEX = 34962, 34963  # glTF's buffer view targets
_FLOAT, _USHORT, _UINT = 5126, 5123, 5125  # glTF's component types


def write_glb(bvh: BVH, path: str | os.PathLike[str], name: str = "motion") -> None:
    """Write a take as GLB: joint nodes, skin, mesh and one animation.

    Raises MotionFileError where the folder cannot be written.
    """
    write_file(path, glb_bytes(bvh, name))


def glb_bytes(bvh: BVH, name: str = "motion") -> bytes:
    """The content of a GLB file of a take."""
    import pygltflib as gl

    translations, rotations = bvh.local()
    translations = translations * bvh.unit
    upright = UPRIGHT[bvh.up]  # only the root is in the file's axes; everything below it is relative
    translations[:, 0], rotations[:, 0] = translations[:, 0] @ upright.T, upright @ rotations[:, 0]
    world, turned = _bind_pose(bvh)
    bones = _bones_of(bvh, world, turned)
    names, parents, kept, translations, rotations = _without_helpers(bvh, translations, rotations)
    world, turned = world[kept], turned[kept]
    bones = [(kept.index(_carrier(bvh, owner)), start, end, name) for owner, start, end, name in bones]
    joints, frames = len(names), len(bvh)

    data = bytearray()
    file = gl.GLTF2(asset=gl.Asset(version="2.0", generator="motionllm"), scene=0, scenes=[gl.Scene(nodes=[0, joints])])

    def accessor(array: np.ndarray, kind: str, component: int, target: int | None = None, bounds: bool = False) -> int:
        data.extend(b"\0" * (-len(data) % 4))
        raw = np.ascontiguousarray(array).tobytes()
        file.bufferViews.append(gl.BufferView(buffer=0, byteOffset=len(data), byteLength=len(raw), target=target))
        data.extend(raw)
        flat = array.reshape(len(array), -1)
        file.accessors.append(
            gl.Accessor(
                bufferView=len(file.bufferViews) - 1,
                componentType=component,
                count=len(array),
                type=kind,
                min=flat.min(0).tolist() if bounds else None,
                max=flat.max(0).tolist() if bounds else None,
            )
        )
        return len(file.accessors) - 1

    still = np.array([world[j] if p < 0 else turned[p].T @ (world[j] - world[p]) for j, p in enumerate(parents)])
    for j, parent in enumerate(parents):  # nodes stand in the bind pose, which engines take for the rest pose
        children = [k for k, above in enumerate(parents) if above == j]
        node = gl.Node(name=names[j], children=children, translation=still[j].tolist())
        own = turned[j] if parent < 0 else turned[parent].T @ turned[j]
        node.rotation = quaternions(own[None])[0].tolist()
        if kept[j] in bvh.ends:  # as what glTF leaves to applications, for a node of its own would be a bone to them
            node.extras = {END: (bvh.ends[kept[j]] * bvh.unit).tolist()}
        file.nodes.append(node)
    file.nodes.append(gl.Node(name=name, mesh=0, skin=0))

    binds = np.tile(np.eye(4, dtype=np.float32), (joints, 1, 1))
    binds[:, :3, :3] = turned  # column-major: the transpose of the inverse, as stored in memory
    binds[:, 3, :3] = -np.einsum("jba,jb->ja", turned, world)
    inverse = accessor(binds.reshape(joints, 16), "MAT4", _FLOAT)
    file.skins.append(gl.Skin(joints=list(range(joints)), inverseBindMatrices=inverse, skeleton=0))

    file.meshes.append(gl.Mesh(name="stick body", primitives=[]))
    for side, colour in _COLOURS.items():
        points, normals, owners = _spindles(bones, float(np.ptp(world, axis=0).max()), side)
        if not len(points):
            continue
        bound = np.zeros((len(points), 4), np.uint16)
        bound[:, 0] = owners
        weights = np.tile(np.array([1, 0, 0, 0], np.float32), (len(points), 1))
        file.materials.append(
            gl.Material(
                name=side or "trunk",
                pbrMetallicRoughness=gl.PbrMetallicRoughness(
                    baseColorFactor=[*colour, 1.0], metallicFactor=0.0, roughnessFactor=0.8
                ),
            )
        )
        attributes = gl.Attributes(
            POSITION=accessor(points, "VEC3", _FLOAT, _ARRAY, bounds=True),
            NORMAL=accessor(normals, "VEC3", _FLOAT, _ARRAY),
            JOINTS_0=accessor(bound, "VEC4", _USHORT, _ARRAY),
            WEIGHTS_0=accessor(weights, "VEC4", _FLOAT, _ARRAY),
        )
        indices = accessor(np.arange(len(points), dtype=np.uint32), "SCALAR", _UINT, _INDEX)
        file.meshes[0].primitives.append(
            gl.Primitive(attributes=attributes, indices=indices, material=len(file.materials) - 1)
        )

    times = accessor((np.arange(frames) / bvh.fps).astype(np.float32)[:, None], "SCALAR", _FLOAT, bounds=True)
    animation = gl.Animation(name=name)

    def channel(node: int, path: str, values: np.ndarray, kind: str) -> None:
        output = accessor(values.astype(np.float32), kind, _FLOAT)
        animation.samplers.append(gl.AnimationSampler(input=times, output=output, interpolation="LINEAR"))
        target = gl.AnimationChannelTarget(node=node, path=path)
        animation.channels.append(gl.AnimationChannel(sampler=len(animation.samplers) - 1, target=target))

    for j in range(joints):
        if j == 0 or np.abs(translations[:, j] - still[j]).max() > 1e-6:
            channel(j, "translation", translations[:, j], "VEC3")
        channel(j, "rotation", quaternions(rotations[:, j]), "VEC4")
    file.animations.append(animation)
    data.extend(b"\0" * (-len(data) % 4))
    file.buffers.append(gl.Buffer(byteLength=len(data)))
    file.set_binary_blob(bytes(data))

    return b"".join(file.save_to_bytes())


def _bind_pose(bvh: BVH) -> tuple[np.ndarray, np.ndarray]:
    """Positions (J, 3), metres, and rotations (J, 3, 3) of the joints in the bind pose, from which engines build their
    avatar: the rest pose, upright, or, where the file has none (no offsets, all bones in one line), the first frame; on
    the floor above the origin.
    """
    up = bvh.rest_up()
    if up:
        world = rest_places(bvh.offsets, bvh.parents) @ UPRIGHT[up].T * bvh.unit
        turned = np.tile(UPRIGHT[up], (len(world), 1, 1))
    else:
        world, turned = (first[0] for first in bvh.cut(0, 1).world())
    return world - [world[0, 0], world[:, 1].min(), world[0, 2]], turned


def _carrier(bvh: BVH, joint: int) -> int:
    """The joint itself, or that above a helper."""
    while _helper(bvh, joint):
        joint = bvh.parents[joint]
    return joint


def _helper(bvh: BVH, joint: int) -> bool:
    """Whether a joint is one of no length that solving put before another (`bvh_writer.solve`)."""
    name, below = bvh.joints[joint], [k for k, parent in enumerate(bvh.parents) if parent == joint]
    return len(below) == 1 and name == f"{bvh.joints[below[0]]}_base" and not np.any(bvh.offsets[joint])


def _without_helpers(
    bvh: BVH, translations: np.ndarray, rotations: np.ndarray
) -> tuple[list[str], list[int], list[int], np.ndarray, np.ndarray]:
    """Names, parents, indices in the take, translations and rotations of the joints without the helpers, whose rotation
    is taken over by the joint below: that moves a little about the joint above.
    """
    kept = [j for j in range(len(bvh.joints)) if not _helper(bvh, j)]
    parents = [kept.index(_carrier(bvh, p)) if (p := bvh.parents[j]) >= 0 else -1 for j in kept]
    for j in kept:
        above = bvh.parents[j]
        if above >= 0 and _helper(bvh, above):
            translations[:, j] = np.einsum("tab,tb->ta", rotations[:, above], translations[:, j])
            rotations[:, j] = rotations[:, above] @ rotations[:, j]
    return [bvh.joints[j] for j in kept], parents, kept, translations[:, kept], rotations[:, kept]


def quaternions(matrices: np.ndarray) -> np.ndarray:
    """(T, 3, 3) → (T, 4) as x, y, z, w, each with the sign closest to the previous one, so that interpolation takes the
    short way.
    """
    quaternions = Rotation.from_matrix(matrices).as_quat()
    flips = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    signs = np.concatenate([[1.0], np.where(np.cumsum(flips) % 2 == 1, -1.0, 1.0)])
    return quaternions * signs[:, None]


def _side(name: str) -> str:
    """The side of the body named in a joint's name ("left_hip", "mixamorig:LeftArm", "lFoot", "hand.R"), or ""."""
    bare = name.rpartition(":")[2]
    for side in ("left", "right"):
        if side in bare.lower() or re.match(f"{side[0]}[A-Z_.]|{side[0].upper()}[A-Z_.]", bare):
            return side
        if re.search(f"[_.]{side[0]}($|[_.])", bare, re.IGNORECASE):
            return side
    return ""


Bone = tuple[int, np.ndarray, np.ndarray, str]  # the joint that turns it, where it starts and ends, and a name


def _bones_of(bvh: BVH, world: np.ndarray, turned: np.ndarray) -> list[Bone]:
    """The bones of the bind pose that are long enough to be seen, End Sites too."""
    spans = [(parent, world[parent], world[j], bvh.joints[j]) for j, parent in enumerate(bvh.parents) if parent >= 0]
    spans += [(j, world[j], world[j] + turned[j] @ offset * bvh.unit, bvh.joints[j]) for j, offset in bvh.ends.items()]
    stature = max(float(np.ptp(world, axis=0).max()), 1e-3)
    spans = [span for span in spans if np.linalg.norm(span[2] - span[1]) >= 0.01 * stature]
    return spans or [(0, world[0], world[0] + [0.0, 0.1, 0.0], "")]  # a mesh needs a face: a mark at the root


def _spindles(bones: list[Bone], stature: float, side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles of one side's bones in the bind pose: points (V, 3), normals (V, 3), joint index of each point (V,)."""
    pieces = []
    for owner, start, end, name in bones:
        if _side(name) == side:
            width = min(0.16 * float(np.linalg.norm(end - start)), 0.03 * max(stature, 1e-3))
            pieces.append((owner, _spindle(start, end, width)))
    if not pieces:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.uint16)
    points = np.concatenate([triangles.reshape(-1, 3) for _, triangles in pieces])
    faces = points.reshape(-1, 3, 3)
    normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    owners = np.concatenate([np.full(triangles.size // 3, owner) for owner, triangles in pieces])
    return points.astype(np.float32), np.repeat(normals, 3, axis=0).astype(np.float32), owners.astype(np.uint16)


def _spindle(start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    """(F, 3, 3) outward-facing triangles of a bone: a tip at either end, two rings of `_SIDES` corners between them."""
    along = (end - start) / np.linalg.norm(end - start)
    square = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    square /= np.linalg.norm(square)
    other = np.cross(along, square)
    angles = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.cos(angles)[:, None] * square + np.sin(angles)[:, None] * other
    length = np.linalg.norm(end - start)
    low = start + along * 0.12 * length + ring * width
    high = start + along * 0.88 * length + ring * width * 0.7
    faces = []
    for i in range(_SIDES):
        k = (i + 1) % _SIDES
        faces += [
            (start, low[k], low[i]),
            (low[i], low[k], high[k]),
            (low[i], high[k], high[i]),
            (high[i], high[k], end),
        ]
    return np.array(faces)
