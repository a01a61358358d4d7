"""Characters for the tests: skinned GLB and VRM files of many naming schemes, rest poses, bone axes and units, and the
same rigs as BVH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionllm import Motion
from motionllm import corpus as builtin
from motionllm.motion.formats.bvh import BVH
from motionllm.motion.formats.bvh_writer import write_bvh
from motionllm.motion.formats.glb import _spindle
from motionllm.motion.formats.gltf_file import Gltf

# The joints of a rig, "name < parent @ where": where is a place of the body below, or two with a share of the way.
MIDDLE_SIDE = {
    "mixamo": """
        mixamorig:Hips < - @ pelvis
        mixamorig:Spine < mixamorig:Hips @ spine1
        mixamorig:Spine1 < mixamorig:Spine @ spine2
        mixamorig:Spine2 < mixamorig:Spine1 @ spine3
        mixamorig:Neck < mixamorig:Spine2 @ neck
        mixamorig:Head < mixamorig:Neck @ head
        mixamorig:HeadTop_End < mixamorig:Head @ top
        mixamorig:{S}UpLeg < mixamorig:Hips @ hip
        mixamorig:{S}Leg < mixamorig:{S}UpLeg @ knee
        mixamorig:{S}Foot < mixamorig:{S}Leg @ ankle
        mixamorig:{S}ToeBase < mixamorig:{S}Foot @ foot
        mixamorig:{S}Toe_End < mixamorig:{S}ToeBase @ tip
        mixamorig:{S}Shoulder < mixamorig:Spine2 @ collar
        mixamorig:{S}Arm < mixamorig:{S}Shoulder @ shoulder
        mixamorig:{S}ForeArm < mixamorig:{S}Arm @ elbow
        mixamorig:{S}Hand < mixamorig:{S}ForeArm @ wrist
        mixamorig:{S}HandIndex1 < mixamorig:{S}Hand @ finger""",
    "unreal": """
        root < - @ floor
        pelvis < root @ pelvis
        spine_01 < pelvis @ spine1
        spine_02 < spine_01 @ spine2
        spine_03 < spine_02 @ spine2 spine3 0.4
        spine_04 < spine_03 @ spine3
        spine_05 < spine_04 @ spine3 neck 0.3
        neck_01 < spine_05 @ neck
        neck_02 < neck_01 @ neck head 0.5
        head < neck_02 @ head
        thigh_{s} < pelvis @ hip
        thigh_twist_01_{s} < thigh_{s} @ hip knee 0.4
        calf_{s} < thigh_{s} @ knee
        calf_twist_01_{s} < calf_{s} @ knee ankle 0.5
        foot_{s} < calf_{s} @ ankle
        ball_{s} < foot_{s} @ foot
        clavicle_{s} < spine_05 @ collar
        upperarm_{s} < clavicle_{s} @ shoulder
        upperarm_twist_01_{s} < upperarm_{s} @ shoulder elbow 0.5
        lowerarm_{s} < upperarm_{s} @ elbow
        lowerarm_twist_01_{s} < lowerarm_{s} @ elbow wrist 0.5
        hand_{s} < lowerarm_{s} @ wrist
        index_01_{s} < hand_{s} @ finger
        ik_foot_root < root @ floor
        ik_foot_{s} < ik_foot_root @ ankle""",
    "unity": """
        Hips < - @ pelvis
        Spine < Hips @ spine1
        Chest < Spine @ spine2
        UpperChest < Chest @ spine3
        Neck < UpperChest @ neck
        Head < Neck @ head
        {S}UpperLeg < Hips @ hip
        {S}LowerLeg < {S}UpperLeg @ knee
        {S}Foot < {S}LowerLeg @ ankle
        {S}Toes < {S}Foot @ foot
        {S}Shoulder < UpperChest @ collar
        {S}UpperArm < {S}Shoulder @ shoulder
        {S}LowerArm < {S}UpperArm @ elbow
        {S}Hand < {S}LowerArm @ wrist""",
    "vrm": """
        J_Bip_C_Hips < - @ pelvis
        J_Bip_C_Spine < J_Bip_C_Hips @ spine1
        J_Bip_C_Chest < J_Bip_C_Spine @ spine2
        J_Bip_C_UpperChest < J_Bip_C_Chest @ spine3
        J_Bip_C_Neck < J_Bip_C_UpperChest @ neck
        J_Bip_C_Head < J_Bip_C_Neck @ head
        J_Sec_Hair1 < J_Bip_C_Head @ top
        J_Bip_{i}_UpperLeg < J_Bip_C_Hips @ hip
        J_Bip_{i}_LowerLeg < J_Bip_{i}_UpperLeg @ knee
        J_Bip_{i}_Foot < J_Bip_{i}_LowerLeg @ ankle
        J_Bip_{i}_ToeBase < J_Bip_{i}_Foot @ foot
        J_Bip_{i}_Shoulder < J_Bip_C_UpperChest @ collar
        J_Bip_{i}_UpperArm < J_Bip_{i}_Shoulder @ shoulder
        J_Bip_{i}_LowerArm < J_Bip_{i}_UpperArm @ elbow
        J_Bip_{i}_Hand < J_Bip_{i}_LowerArm @ wrist""",
    "odd": """
        b00 < - @ pelvis
        b01 < b00 @ spine1
        b02 < b01 @ spine2
        b03 < b02 @ neck
        b04 < b03 @ head
        u{i}0 < b00 @ hip
        u{i}1 < u{i}0 @ knee
        u{i}2 < u{i}1 @ ankle
        u{i}3 < u{i}2 @ foot
        o{i}0 < b02 @ collar
        o{i}1 < o{i}0 @ shoulder
        o{i}2 < o{i}1 @ elbow
        o{i}3 < o{i}2 @ wrist""",
    "rigify": """
        spine < - @ pelvis
        spine.001 < spine @ spine1
        spine.002 < spine.001 @ spine2
        spine.003 < spine.002 @ spine3
        spine.004 < spine.003 @ neck
        spine.005 < spine.004 @ neck head 0.5
        spine.006 < spine.005 @ head
        pelvis.{i} < spine @ pelvis
        thigh.{i} < spine @ hip
        shin.{i} < thigh.{i} @ knee
        foot.{i} < shin.{i} @ ankle
        toe.{i} < foot.{i} @ foot
        heel.02.{i} < foot.{i} @ ankle
        shoulder.{i} < spine.003 @ collar
        upper_arm.{i} < shoulder.{i} @ shoulder
        forearm.{i} < upper_arm.{i} @ elbow
        hand.{i} < forearm.{i} @ wrist
        palm.01.{i} < hand.{i} @ finger""",
    "makehuman": """
        root < - @ pelvis
        spine05 < root @ pelvis
        spine04 < spine05 @ spine1
        spine03 < spine04 @ spine2
        spine02 < spine03 @ spine2 spine3 0.5
        spine01 < spine02 @ spine3
        neck01 < spine01 @ neck
        neck02 < neck01 @ neck head 0.4
        neck03 < neck02 @ neck head 0.7
        head < neck03 @ head
        pelvis.{i} < root @ pelvis
        upperleg01.{i} < pelvis.{i} @ hip
        upperleg02.{i} < upperleg01.{i} @ hip knee 0.5
        lowerleg01.{i} < upperleg02.{i} @ knee
        lowerleg02.{i} < lowerleg01.{i} @ knee ankle 0.5
        foot.{i} < lowerleg02.{i} @ ankle
        toe1-1.{i} < foot.{i} @ foot
        clavicle.{i} < spine01 @ collar
        shoulder01.{i} < clavicle.{i} @ collar shoulder 0.6
        upperarm01.{i} < shoulder01.{i} @ shoulder
        upperarm02.{i} < upperarm01.{i} @ shoulder elbow 0.5
        lowerarm01.{i} < upperarm02.{i} @ elbow
        lowerarm02.{i} < lowerarm01.{i} @ elbow wrist 0.5
        wrist.{i} < lowerarm02.{i} @ wrist
        finger2-1.{i} < wrist.{i} @ finger""",
    "daz": """
        hip < - @ pelvis
        pelvis < hip @ pelvis
        {d}ThighBend < pelvis @ hip
        {d}ThighTwist < {d}ThighBend @ hip knee 0.5
        {d}Shin < {d}ThighTwist @ knee
        {d}Foot < {d}Shin @ ankle
        {d}Toe < {d}Foot @ foot
        abdomenLower < hip @ spine1
        abdomenUpper < abdomenLower @ spine2
        chestLower < abdomenUpper @ spine3
        chestUpper < chestLower @ spine3 neck 0.4
        neckLower < chestUpper @ neck
        neckUpper < neckLower @ neck head 0.5
        head < neckUpper @ head
        {d}Collar < chestUpper @ collar
        {d}ShldrBend < {d}Collar @ shoulder
        {d}ShldrTwist < {d}ShldrBend @ shoulder elbow 0.5
        {d}ForearmBend < {d}ShldrTwist @ elbow
        {d}ForearmTwist < {d}ForearmBend @ elbow wrist 0.5
        {d}Hand < {d}ForearmTwist @ wrist""",
}
# scheme, arms down by degrees, bone axes, metres of the leg, arms' length, facing, units in a metre, armature
CHARACTERS: dict[str, dict[str, Any]] = {
    "mixamo": dict(scheme="mixamo", axes="y", leg=0.85, scale=100.0, armature=(0.01, -90.0)),
    "mixamo a-pose": dict(scheme="mixamo", down=45.0, axes="random", leg=0.95, arms=1.1),
    "unreal": dict(scheme="unreal", down=50.0, axes="x", leg=0.88, scale=100.0),
    "unreal metres": dict(scheme="unreal", down=50.0, axes="x", leg=0.70, arms=0.85, apart=0.05),
    "unity": dict(scheme="unity", leg=0.78),
    "vrm0": dict(scheme="vrm", vrm="0", facing=180.0, leg=0.72, arms=0.85),
    "vrm1": dict(scheme="vrm", vrm="1", leg=0.80, axes="random"),
    "vrm of any names": dict(scheme="odd", vrm="1", leg=0.80, down=10.0),
    "rigify": dict(scheme="rigify", down=35.0, axes="y", leg=0.92, bent=15.0),
    "makehuman": dict(scheme="makehuman", down=40.0, axes="y", leg=0.86, scale=10.0, armature=(0.1, 0.0)),
    "daz": dict(scheme="daz", leg=0.90, scale=100.0, facing=90.0, arms=1.05),
    "child": dict(scheme="mixamo", leg=0.42, arms=0.9, axes="random"),
}


def body(leg: float, down: float, arms: float, apart: float, bent: float) -> dict[str, np.ndarray]:
    """A standing body, metres, left at +X, facing +Z: places of the middle, and of the left side."""
    s = leg / 0.82
    places = {
        "floor": (0, 0, 0),
        "pelvis": (0, 0.98, 0),
        "spine1": (0, 1.07, -0.01),
        "spine2": (0, 1.2, -0.02),
        "spine3": (0, 1.33, -0.03),
        "neck": (0, 1.48, -0.04),
        "head": (0, 1.58, 0),
        "top": (0, 1.76, 0),
        "hip": (0.09, 0.9, 0),
        "collar": (0.03, 1.43, -0.03),
        "shoulder": (0.18, 1.42, -0.04),
    }
    placed = {name: np.array(place) * s for name, place in places.items()}
    spread = np.array([apart, 0.0, 0.0]) * s
    placed["knee"] = placed["hip"] + np.array([0.0, -0.42, 0.01]) * s + spread
    placed["ankle"] = placed["knee"] + np.array([0.0, -0.40, -0.02]) * s + spread
    placed["ankle"][1] = 0.08 * s
    placed["foot"] = placed["ankle"] + np.array([0.02, -0.06, 0.13]) * s
    placed["tip"] = placed["foot"] + np.array([0.0, 0.0, 0.06]) * s
    angle = np.radians(down)
    out = np.array([np.cos(angle), -np.sin(angle), 0.0])
    fore = Rotation.from_rotvec(np.cross(out, [0, 0, 1]) * np.radians(bent)).apply(out)
    placed["elbow"] = placed["shoulder"] + out * 0.27 * s * arms
    placed["wrist"] = placed["elbow"] + fore * 0.25 * s * arms
    placed["finger"] = placed["wrist"] + fore * 0.09 * s * arms
    return placed


def rig(scheme: str, placed: dict[str, np.ndarray]) -> tuple[list[str], list[int], np.ndarray]:
    """Names, parents and places of a scheme's joints, parents first."""
    names: list[str] = []
    parents: list[int] = []
    points: list[np.ndarray] = []
    rows = [row.strip() for row in MIDDLE_SIDE[scheme].strip().splitlines()]
    sides = (("left", 1.0), ("right", -1.0))
    for row in sorted(rows, key=lambda row: "{" in row):
        for side, sign in sides if "{" in row else sides[:1]:
            text = row.format(S=side.title(), s=side[0], i=side[0].upper(), d=side[0])
            name, _, rest = text.partition(" < ")
            parent, _, where = rest.partition(" @ ")
            words = where.split()
            point = placed[words[0]]
            if len(words) == 3:
                point = point + float(words[2]) * (placed[words[1]] - point)
            names.append(name)
            parents.append(names.index(parent) if parent != "-" else -1)
            points.append(point * [sign, 1, 1])
    return names, parents, np.array(points)


def axes_of(kind: str, parents: list[int], points: np.ndarray) -> np.ndarray:
    """(J, 3, 3) how the joints' own axes are turned in the world: "y" and "x" lie along the bone."""
    turned = np.tile(np.eye(3), (len(parents), 1, 1))
    if kind == "random":
        return Rotation.random(len(parents), random_state=3).as_matrix()
    for j in range(len(parents)):
        child = next((k for k, parent in enumerate(parents) if parent == j), None)
        along = points[child] - points[j] if child is not None else points[j] - points[parents[j]]
        if kind in "xy" and np.linalg.norm(along) > 1e-6:
            turned[j] = Rotation.align_vectors([along], [[0.0, 1.0, 0.0] if kind == "y" else [1.0, 0.0, 0.0]])[
                0
            ].as_matrix()
    return turned


def made(
    path: Path,
    scheme: str,
    leg: float,
    down: float = 0.0,
    axes: str = "world",
    arms: float = 1.0,
    facing: float = 0.0,
    scale: float = 1.0,
    armature: tuple[float, float] | None = None,
    vrm: str = "",
    apart: float = 0.0,
    bent: float = 0.0,
    posed: bool = False,
) -> Path:
    """Write a skinned character.

    leg: metres of thigh and shin. down: degrees by which the arms hang. axes: of the joints. scale: units in a metre.
    armature: (scale, degrees about X) of a node above the skeleton, which undoes the units and axes below it. vrm: "0"
    or "1" for the extension. posed: the nodes stand in another pose than the bind pose.
    """
    names, parents, points = rig(scheme, body(leg, down, arms, apart, bent))
    turn = Rotation.from_euler("y", facing, degrees=True).as_matrix()
    points = points @ turn.T * scale
    turned = axes_of(axes, parents, points)
    factor, lean = armature or (1.0, 0.0)
    above = Rotation.from_euler("x", lean, degrees=True).as_matrix() * factor if armature else np.eye(3)
    gltf = Gltf({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": []}], "nodes": []})
    doc = gltf.doc
    rng = np.random.default_rng(5)
    for j, name in enumerate(names):
        parent = parents[j]
        place, own = points[j], turned[j]
        if parent >= 0:
            place, own = turned[parent].T @ (place - points[parent]), turned[parent].T @ own
        elif armature:  # the armature's rotation and scale are undone below it, so that the body stands in metres
            place, own = (
                np.linalg.inv(above) @ (place * factor),
                Rotation.from_matrix(above / factor).inv().as_matrix() @ own,
            )
        if posed:
            own = own @ Rotation.from_rotvec(rng.normal(0, 0.2, 3) * (parent >= 0)).as_matrix()
        children = [k for k, p in enumerate(parents) if p == j]
        node = {"name": name, "translation": place.tolist(), "rotation": Rotation.from_matrix(own).as_quat().tolist()}
        doc["nodes"].append({**node, **({"children": children} if children else {})})
    roots = [j for j, parent in enumerate(parents) if parent < 0]
    doc["nodes"].append({"name": "body", "mesh": 0, "skin": 0})
    doc["scenes"][0]["nodes"] = [*roots, len(names)]
    world = points * (factor if armature else 1.0)
    if armature:
        doc["nodes"].append(
            {
                "name": "Armature",
                "children": roots,
                "scale": [factor] * 3,
                "rotation": Rotation.from_euler("x", lean, degrees=True).as_quat().tolist(),
            }
        )
        doc["scenes"][0]["nodes"] = [len(names) + 1, len(names)]
    _skin(gltf, parents, world, turned * (factor if armature else 1.0))
    if vrm:
        _humanoid(doc, scheme, names, vrm)
    path.write_bytes(gltf.to_bytes())
    return path


def _skin(gltf: Gltf, parents: list[int], world: np.ndarray, turned: np.ndarray) -> None:
    binds = np.tile(np.eye(4), (len(parents), 1, 1))
    binds[:, :3, :3] = turned
    binds[:, :3, 3] = world
    inverse = gltf.add(np.linalg.inv(binds).transpose(0, 2, 1).reshape(-1, 16))
    gltf.doc["skins"] = [{"joints": list(range(len(parents))), "inverseBindMatrices": inverse}]
    pieces, owners = [], []
    size = np.ptp(world[:, 1])
    for j, parent in enumerate(parents):
        if parent >= 0 and parents[parent] >= 0 and (length := np.linalg.norm(world[j] - world[parent])) > 0.02 * size:
            pieces.append(_spindle(world[parent], world[j], min(0.2 * length, 0.05 * size)).reshape(-1, 3))
            owners += [parent] * len(pieces[-1])
    points = np.concatenate(pieces)
    weights = np.tile([1.0, 0.0, 0.0, 0.0], (len(points), 1))
    joints = np.zeros((len(points), 4), np.uint16)
    joints[:, 0] = owners
    gltf.data.extend(b"\0" * (-len(gltf.data) % 4))
    gltf.doc["bufferViews"].append({"buffer": 0, "byteOffset": len(gltf.data), "byteLength": joints.nbytes})
    gltf.data.extend(joints.tobytes())
    gltf.doc["accessors"].append(
        {"bufferView": len(gltf.doc["bufferViews"]) - 1, "componentType": 5123, "count": len(joints), "type": "VEC4"}
    )
    bound = len(gltf.doc["accessors"]) - 1
    attributes = {"POSITION": gltf.add(points, bounds=True), "JOINTS_0": bound, "WEIGHTS_0": gltf.add(weights)}
    gltf.doc["materials"] = [
        {"name": "skin", "extras": {"kept": True}, "pbrMetallicRoughness": {"baseColorFactor": [0.8, 0.5, 0.3, 1.0]}}
    ]
    gltf.doc["meshes"] = [{"name": "body", "primitives": [{"attributes": attributes, "material": 0}]}]


_VRM_OF = {
    "pelvis": "hips",
    "spine1": "spine",
    "spine2": "chest",
    "spine3": "upperChest",
    "neck": "neck",
    "head": "head",
    "hip": "UpperLeg",
    "knee": "LowerLeg",
    "ankle": "Foot",
    "foot": "Toes",
    "collar": "Shoulder",
    "shoulder": "UpperArm",
    "elbow": "LowerArm",
    "wrist": "Hand",
}


def _humanoid(doc: dict[str, Any], scheme: str, names: list[str], version: str) -> None:
    bones: dict[str, int] = {}
    for row in MIDDLE_SIDE[scheme].strip().splitlines():
        name, _, rest = row.strip().partition(" < ")
        place = rest.partition(" @ ")[2]
        for side in ("left", "right") if "{" in name else ("",):
            bone = f"{side}{_VRM_OF[place]}" if place in _VRM_OF else ""
            if bone:
                written = name.format(S=side.title(), s=side[:1], i=side[:1].upper(), d=side[:1])
                bones[bone] = names.index(written)
    if version == "0":
        rows = [{"bone": bone, "node": node} for bone, node in bones.items()]
        doc["extensions"] = {"VRM": {"meta": {"title": "test"}, "humanoid": {"humanBones": rows}}}
    else:
        rows = {bone: {"node": node} for bone, node in bones.items()}
        meta = {"name": "test", "authors": ["test"], "licenseUrl": "https://vrm.dev/licenses/1.0/"}
        doc["extensions"] = {"VRMC_vrm": {"specVersion": "1.0", "meta": meta, "humanoid": {"humanBones": rows}}}
    doc["extensionsUsed"] = list(doc["extensions"])


def made_bvh(path: Path, scheme: str, leg: float, scale: float, down: float) -> Path:
    """The same rig as BVH of one frame in its rest pose, the hips at their height in the motion."""
    names, parents, points = rig(scheme, body(leg, down, 1.0, 0.0, 0.0))
    order: list[int] = []
    stack = [0]
    while stack:
        j = stack.pop()
        order.append(j)
        stack += [k for k in range(len(parents) - 1, -1, -1) if parents[k] == j]
    offsets = np.array([points[j] - (points[parents[j]] if parents[j] >= 0 else points[j]) for j in order]) * scale
    channels = [("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation")]
    channels += [("Zrotation", "Xrotation", "Yrotation")] * (len(order) - 1)
    values = np.zeros((2, 3 + 3 * len(order)))
    values[:, :3] = points[0] * scale
    ends = {k: np.array([0.0, 0.0, 0.03]) * scale for k, j in enumerate(order) if j not in parents}
    above = tuple(order.index(parents[j]) if parents[j] >= 0 else -1 for j in order)
    write_bvh(BVH(tuple(names[j] for j in order), above, offsets, ends, tuple(channels), values, 30.0), path)
    return path


@pytest.fixture
def character(tmp_path: Path) -> Callable[..., Path]:
    """A character's file by its name in CHARACTERS, what is given besides changing it."""

    def write(name: str, **changes: Any) -> Path:
        settings = {**CHARACTERS[name], **changes}
        suffix = ".vrm" if settings.get("vrm") else ".glb"
        return made(tmp_path / f"{name.replace(' ', '_')}{suffix}", **settings)

    return write


@pytest.fixture
def rig_bvh(tmp_path: Path) -> Callable[..., Path]:
    """A rig's BVH file by its scheme, leg, units in a metre, and degrees by which the arms hang."""
    return lambda scheme, *settings: made_bvh(tmp_path / f"{scheme}.bvh", scheme, *settings)


@pytest.fixture(scope="session")
def clips() -> dict[str, Motion]:
    """A walk, a kick with the right leg and a wave of the left hand."""
    parts = {
        "walk": builtin.Part("walk", direction="forward"),
        "kick": builtin.Part("kick", side="right"),
        "wave": builtin.Part("wave", side="left"),
    }
    return {name: Motion(builtin.joints(builtin.Spec((part,)), 3), name=name) for name, part in parts.items()}
