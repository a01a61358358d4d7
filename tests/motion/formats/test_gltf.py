"""Animations of glTF files: they move as another computation has it; names, rates, and what is refused."""

from __future__ import annotations

import base64
import copy
import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.clip import rest_pose
from motionllm.motion.formats.bvh_writer import solve
from motionllm.motion.formats.gltf_file import Gltf
from motionllm.motion.formats.gltf_reader import Track, _rate, read_gltf
from motionllm.motion.formats.schemes import NAMES
from motionllm.motion.skeleton import HUMANML3D

MIXAMO = [NAMES["mixamo"][joint] for joint in HUMANML3D.joints]


def animated(
    walk: np.ndarray,
    names: list[str] | None = None,
    times: np.ndarray | None = None,
    wrap: dict[str, Any] | None = None,
    turn: np.ndarray | None = None,
) -> Gltf:
    """A walk as nodes with rotations and the hips' places, as an exporter writes it: bones rolled at random, so that no
    rest rotation is none, and, with `wrap`, below an armature, turned by `turn` in it. Its body is not that which this
    package writes."""
    turn = np.eye(3) if turn is None else turn
    random = np.random.default_rng(5)
    solved = solve(walk, names or MIXAMO, HUMANML3D.parents, rest_pose(HUMANML3D, walk), 20.0, exact=1.0)
    roll = Rotation.random(len(solved.names), random_state=1).as_matrix()
    doc: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "some tool"},
        "nodes": [],
        "scenes": [{"nodes": [0]}],
    }
    gltf, rows = Gltf(doc), []
    frames = times if times is not None else np.arange(len(walk)) / 20
    for j, (name, parent) in enumerate(zip(solved.names, solved.parents, strict=True)):
        above = roll[parent] if parent >= 0 else turn.T
        place = solved.offsets[j] + (random.normal(0, 0.01, 3) if parent >= 0 else [0.0, 0.9, 0.0])
        node = {"name": name, "translation": (above.T @ place).tolist()}
        node["rotation"] = Rotation.from_matrix(above.T @ roll[j]).as_quat().tolist()
        doc["nodes"].append(node)
        if parent >= 0:
            doc["nodes"][parent].setdefault("children", []).append(j)
        rows.append((j, "rotation", Rotation.from_matrix(above.T @ solved.local[j] @ roll[j]).as_quat()))
    rows.append((0, "translation", walk[:, 0] @ turn.T))
    if wrap is not None:
        doc["nodes"].append({"name": "Armature", "children": [0], **wrap})
        doc["scenes"][0]["nodes"] = [len(doc["nodes"]) - 1]
    keys = gltf.add(frames[: len(walk)])
    animation: dict[str, Any] = {"name": "walk", "samplers": [], "channels": []}
    for node, path, values in rows:
        animation["samplers"].append({"input": keys, "output": gltf.add(values), "interpolation": "LINEAR"})
        target = {"node": node, "path": path}
        animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})
    doc["animations"] = [animation]
    return gltf


def value(gltf: Gltf, animation: dict[str, Any], node: int, path: str, own: Any, t: float) -> np.ndarray:
    """A node's translation, rotation (x, y, z, w) or scale at a time, by SciPy."""
    for channel in animation["channels"]:
        if (channel["target"].get("node"), channel["target"]["path"]) != (node, path):
            continue
        sampler = animation["samplers"][channel["sampler"]]
        keys, values = gltf.array(sampler["input"]).astype(float), gltf.array(sampler["output"]).astype(float)
        t = min(max(t, keys[0]), keys[-1])
        if sampler.get("interpolation") == "STEP":
            return values[np.flatnonzero(keys <= t + 1e-6)[-1]]
        if sampler.get("interpolation") == "CUBICSPLINE":
            into, at, out = values[0::3], values[1::3], values[2::3]
            k = min(int(np.searchsorted(keys, t, side="right")) - 1, len(keys) - 2)
            piece = CubicHermiteSpline(keys[k : k + 2], at[k : k + 2], [out[k], into[k + 1]])
            return piece(t)
        if path == "rotation":
            return Slerp(keys, Rotation.from_quat(values))(t).as_quat()
        return np.array([np.interp(t, keys, values[:, axis]) for axis in range(3)])
    return np.array(own, float)


def expected(gltf: Gltf, times: np.ndarray) -> dict[str, np.ndarray]:
    """Where the nodes stand (T, 3) in the world, matrix by matrix."""
    nodes, above, animation = gltf.doc["nodes"], gltf.parents(), gltf.doc["animations"][0]

    def world(n: int, t: float) -> np.ndarray:
        node, matrix = nodes[n], np.eye(4)
        if "matrix" in node:
            matrix = np.array(node["matrix"]).reshape(4, 4).T
        else:
            turn = value(gltf, animation, n, "rotation", node.get("rotation", [0, 0, 0, 1]), t)
            scale = value(gltf, animation, n, "scale", node.get("scale", [1, 1, 1]), t)
            matrix[:3, :3] = Rotation.from_quat(turn).as_matrix() @ np.diag(scale)
            matrix[:3, 3] = value(gltf, animation, n, "translation", node.get("translation", [0, 0, 0]), t)
        return world(above[n], t) @ matrix if above[n] >= 0 else matrix

    return {node["name"]: np.array([world(n, t)[:3, 3] for t in times]) for n, node in enumerate(nodes)}


def moves_alike(path: Path, gltf: Gltf, most: float = 1e-4) -> Motion:
    """The file's joints move as another computation has them; the clip that was read."""
    motion = Motion.load(path)
    start = min(float(gltf.array(s["input"]).min()) for s in gltf.doc["animations"][0]["samplers"])
    end = max(float(gltf.array(s["input"]).max()) for s in gltf.doc["animations"][0]["samplers"])
    times = np.minimum(start + np.arange(len(motion)) / motion.fps, end)
    assert abs((len(motion) - 1) / motion.fps - (end - start)) < 1 / motion.fps
    every = max(7, len(motion) // 10)
    places = expected(gltf, times[::every])
    for j, joint in enumerate(motion.skeleton.joints):
        np.testing.assert_allclose(motion.joints[::every, j], places[joint] * motion.bvh.unit, atol=most)
    return motion


def written(path: Path, gltf: Gltf) -> Path:
    path.write_bytes(gltf.to_bytes())
    return path


ARMATURES: dict[str, dict[str, Any]] = {
    "blender": {"rotation": Rotation.from_euler("x", -90, degrees=True).as_quat().tolist()},
    "centimetres": {"scale": [0.01, 0.01, 0.01]},
    "placed": {"translation": [3.0, 0.0, -2.0], "rotation": [0.0, 0.6, 0.0, 0.8], "scale": [1.1, 1.1, 1.1]},
    "matrix": {"matrix": (np.diag([1.2, 1.2, 1.2, 1.0])).T.ravel().tolist()},
}


@pytest.mark.parametrize("wrap", [None, *ARMATURES])
def test_nodes_move_as_they_do_in_the_world(walk: np.ndarray, tmp_path: Path, wrap: str | None) -> None:
    given = None if wrap is None else ARMATURES[wrap]
    over = Rotation.from_euler("x", 90, degrees=True).as_matrix()  # Z up within the armature
    size = 100 if wrap == "centimetres" else 1
    gltf = animated(walk * size, wrap=given, turn=over if wrap == "blender" else None)
    motion = moves_alike(written(tmp_path / "clip.glb", gltf), gltf)
    assert motion.fps == 20 and len(motion) == len(walk) and set(motion.skeleton.joints) == set(MIXAMO)
    if wrap is None:
        assert np.abs(motion.body().joints - walk).max() < 0.08  # bones were changed by centimetres
        assert not motion.notes
    motion.save(tmp_path / "again.bvh")
    again = Motion.load(tmp_path / "again.bvh")
    np.testing.assert_allclose(again.joints, motion.joints, atol=1e-3)
    rise = motion.bvh.rest()[motion.skeleton.joints.index("mixamorig:LeftLeg")]
    assert abs(rise[1]) > 0.3  # the zero pose is the nodes' own, and stands


@pytest.mark.parametrize("mode", ["STEP", "CUBICSPLINE"])
def test_every_interpolation(walk: np.ndarray, tmp_path: Path, mode: str) -> None:
    gltf, random = animated(walk[::3], times=np.arange(20) * 0.15), np.random.default_rng(2)
    doc = gltf.doc
    for sampler in doc["animations"][0]["samplers"]:
        sampler["interpolation"] = mode
        if mode == "CUBICSPLINE":
            values = gltf.array(sampler["output"])
            tangents = random.normal(0, 0.3, (2, *values.shape))
            sampler["output"] = gltf.add(np.stack([tangents[0], values, tangents[1]], 1).reshape(-1, values.shape[1]))
    motion = moves_alike(written(tmp_path / "clip.glb", gltf), gltf, 2e-4)
    assert motion.fps == 20 and not motion.notes


def test_scales_move_too_and_keys_need_not_be_shared(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk, wrap={})
    animation = gltf.doc["animations"][0]
    for node, axes in ((len(gltf.doc["nodes"]) - 1, [1, 1.2, 0.9]), (3, [1.3, 1.1, 1.0])):
        scales = gltf.add(np.stack([np.ones(3), axes]))
        animation["samplers"].append({"input": gltf.add(np.array([0.5, 2.0])), "output": scales})
        target = {"node": node, "path": "scale"}
        animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})
    moves_alike(written(tmp_path / "clip.glb", gltf), gltf)


@pytest.mark.parametrize(
    ("times", "fps"),
    [
        (np.arange(60) / 29.97, 29.97),
        (2.5 + np.arange(60) / 24, 24),
        (np.arange(60) / 12.5, 12.5),
        (np.sort(np.random.default_rng(0).choice(200, 60, False)) / 30, 30),
        (np.sort(np.random.default_rng(0).choice(200, 60, False)) / 24, 24),
        (np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 60)), 30),
        (np.arange(60) * 0.5, 20),
    ],
)
def test_the_rate_is_that_of_the_keys(walk: np.ndarray, tmp_path: Path, times: np.ndarray, fps: float) -> None:
    gltf = animated(walk, times=times)
    motion = moves_alike(written(tmp_path / "clip.glb", gltf), gltf)
    assert motion.fps == pytest.approx(fps, rel=1e-4)
    uneven = np.abs(np.diff(times) * 120 - np.rint(np.diff(times) * 120)).max() > 0.2 and fps == 30
    assert ("keys beside the frames" in "".join(motion.notes)) == uneven


def test_one_key_is_a_pose(walk: np.ndarray, tmp_path: Path) -> None:
    assert len(Motion.load(written(tmp_path / "pose.glb", animated(walk[:1])))) == 1
    assert _rate([np.array([1.0]), np.array([1.0])]) == (1.0, 30.0, 1, [])


def test_a_key_that_a_rounded_time_just_misses_is_hit() -> None:
    track = Track(np.array([0.0, 0.1, 0.2]), np.array([[0.0], [1.0], [2.0]]), "STEP")
    assert track.at(np.array([0.0, 0.0999999, 0.15, 0.2]), 1e-3)[:, 0].tolist() == [0, 1, 1, 2]


def test_the_first_animation_is_read_and_the_others_named(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk)
    doc = gltf.doc
    face = {"name": "smile", "samplers": doc["animations"][0]["samplers"], "channels": []}
    face["channels"] = [{"sampler": 0, "target": {"node": 0, "path": "weights"}}]
    second, third = copy.deepcopy(doc["animations"][0]), copy.deepcopy(doc["animations"][0])
    second["name"] = "run\x1b[31m"
    del third["name"]
    doc["animations"] = [face, doc["animations"][0], second, third]
    motion = Motion.load(written(tmp_path / "clip.glb", gltf))
    assert "animation walk read; the file has run?[31m, number 4 besides" in motion.notes


def test_the_moved_body_is_read_among_others(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk, wrap={})
    doc = gltf.doc
    first = len(doc["nodes"])
    doc["nodes"] += [
        {"name": "Camera", "camera": 0},
        {"name": "Prop", "mesh": 0, "children": [first + 2]},
        {"name": "Lid"},
    ]
    doc["nodes"][first - 1]["children"] += [first]
    still = copy.deepcopy(doc["nodes"][: len(MIXAMO)])  # another body that stands
    for node in still:
        node["children"] = [child + len(doc["nodes"]) for child in node.get("children", [])]
    doc["nodes"] += still
    doc["nodes"][0].setdefault("children", []).append(len(doc["nodes"]))
    doc["nodes"].append({"name": "Body", "mesh": 0, "skin": 0})
    motion = Motion.load(written(tmp_path / "clip.glb", gltf))
    assert set(motion.skeleton.joints) == set(MIXAMO) and np.ptp(motion.joints[:, 0], axis=0).max() > 0.5


def test_every_conventions_names(walk: np.ndarray, tools: Any, tmp_path: Path) -> None:
    for name in ("unreal", "metarig", "daz", "vrm", "character creator", "xsens"):
        names = tools.named(name)
        gltf = animated(walk, [names[joint] for joint in HUMANML3D.joints])
        motion = Motion.load(written(tmp_path / f"{name}.glb", gltf))
        assert np.abs(motion.body().joints - walk).max() < 0.1, name


def test_bones_that_vrm_names_and_a_rig_description(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk, [f"b{j}" for j in range(22)])
    path = written(tmp_path / "clip.glb", gltf)
    with pytest.raises(MotionLLMError, match="No joint found"):
        Motion.load(path).body()
    given = Motion.load(path, {joint: f"b{j}" for j, joint in enumerate(HUMANML3D.joints)})
    assert np.abs(given.body().joints - walk).max() < 0.1
    from motionllm.motion.formats.rigs import VRM

    at = {node["name"]: n for n, node in enumerate(gltf.doc["nodes"])}
    bones = {bone: {"node": at[f"b{HUMANML3D.joints.index(place)}"]} for bone, place in VRM.items()}
    gltf.doc["extensions"] = {"VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": bones}}}
    gltf.doc["nodes"].append({"name": "more"})
    vrma = Motion.load(written(tmp_path / "clip.vrma", gltf))
    np.testing.assert_allclose(vrma.body().joints, given.body().joints, atol=1e-5)
    with pytest.raises(MotionFileError, match="leave fps out"):
        Motion.load(path, {"fps": 30})


@pytest.mark.parametrize("name", ["cmu_cgspeed_07_12", "cmu_daz_02_01", "cmu_lawrennd"])
def test_a_takes_own_rig_comes_back(name: str, tmp_path: Path, take: Callable[[str], Path]) -> None:
    """Its End Sites too, which stand for toes and hands that a rig has no joints for."""
    motion = Motion.load(take(name))
    motion.save(tmp_path / "clip.glb")
    again = Motion.load(tmp_path / "clip.glb")
    assert set(again.skeleton.joints) == set(motion.skeleton.joints)
    assert again.fps == pytest.approx(motion.fps, rel=1e-3)
    np.testing.assert_allclose(again.body().joints, motion.body().joints, atol=1e-3)
    assert not any("units" in note for note in again.notes)


# -- where the data lies --------------------------------------------------------------------------------------


def text(path: Path, gltf: Gltf, pieces: list[tuple[int, int, str]]) -> Path:
    """A document whose data lies in pieces (start, end, address); views go to the piece that holds them."""
    doc = copy.deepcopy(gltf.doc)
    doc["buffers"] = [{"byteLength": end - start, "uri": uri} for start, end, uri in pieces]
    for view in doc["bufferViews"]:
        n = next(n for n, (start, end, _) in enumerate(pieces) if start <= view["byteOffset"] < end)
        view["buffer"], view["byteOffset"] = n, view["byteOffset"] - pieces[n][0]
    path.write_text(json.dumps(doc), encoding="utf-8")
    return path


def embedded(data: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(data).decode()


def test_data_in_the_text_and_in_files_beside_it(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk)
    data, cut = bytes(gltf.data), gltf.doc["bufferViews"][7]["byteOffset"]
    whole = Motion.load(written(tmp_path / "clip.glb", gltf)).joints
    (tmp_path / "sub folder").mkdir()
    (tmp_path / "sub folder" / "a.bin").write_bytes(data[:cut])
    pieces = [(0, cut, "sub%20folder/a.bin"), (cut, len(data), embedded(data[cut:]))]
    np.testing.assert_array_equal(Motion.load(text(tmp_path / "two.gltf", gltf, pieces)).joints, whole)
    (tmp_path / "marked.gltf").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "two.gltf").read_bytes())
    np.testing.assert_array_equal(Motion.load(tmp_path / "marked.gltf").joints, whole)
    short = [(0, cut, "sub%20folder/a.bin"), (cut, len(data), embedded(data[cut:-8]))]
    with pytest.raises(MotionFileError, match="reach beyond their file"):
        Motion.load(text(tmp_path / "short.gltf", gltf, short))


@pytest.mark.parametrize(
    "address",
    [
        "../secret.bin",
        "%2e%2e/secret.bin",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://localhost/a.bin",
        "link.bin",
        "a\0b",
    ],
)
def test_no_data_from_outside_of_the_folder(walk: np.ndarray, tmp_path: Path, address: str) -> None:
    gltf = animated(walk)
    (tmp_path / "secret.bin").write_bytes(bytes(gltf.data))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = text(tmp_path / "in" / "clip.gltf", gltf, [(0, len(gltf.data), address)])
    with pytest.raises(MotionFileError, match="outside of its folder"):
        Motion.load(path)


def test_a_missing_file_is_named(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk)
    path = text(tmp_path / "clip.gltf", gltf, [(0, len(gltf.data), "clip.bin")])
    with pytest.raises(MotionFileError, match=r"'clip\.bin' is not beside it"):
        Motion.load(path)


def test_sparse_and_normalized_arrays(walk: np.ndarray, tmp_path: Path) -> None:
    gltf = animated(walk)
    path = written(tmp_path / "clip.glb", gltf)
    whole = Motion.load(path).joints
    doc, sampler = gltf.doc, gltf.doc["animations"][0]["samplers"]
    values = gltf.array(sampler[4]["output"])  # as shorts
    doc["bufferViews"].append({"buffer": 0, "byteOffset": len(gltf.data), "byteLength": values.size * 2})
    gltf.data.extend(np.round(values * 32767).astype(np.int16).tobytes())
    row = {"bufferView": len(doc["bufferViews"]) - 1, "componentType": 5122, "count": len(values), "type": "VEC4"}
    doc["accessors"].append({**row, "normalized": True})
    sampler[4]["output"] = len(doc["accessors"]) - 1
    places = gltf.array(sampler[-1]["output"])  # the hips': only what differs from none
    indices = gltf.add(np.zeros(len(places)))
    view = doc["bufferViews"][doc["accessors"][indices]["bufferView"]]
    at = view["byteOffset"]
    gltf.data[at : at + 4 * len(places)] = np.arange(len(places), dtype=np.uint32).tobytes()
    kept = doc["accessors"][gltf.add(places)]["bufferView"]
    sparse = {"count": len(places), "indices": {"bufferView": len(doc["bufferViews"]) - 2, "componentType": 5125}}
    sparse["values"] = {"bufferView": kept}
    doc["accessors"].append({"componentType": 5126, "count": len(places), "type": "VEC3", "sparse": sparse})
    sampler[-1]["output"] = len(doc["accessors"]) - 1
    np.testing.assert_allclose(Motion.load(written(path, gltf)).joints, whole, atol=1e-3)


# -- what is refused ------------------------------------------------------------------------------------------


def key(row: int, path: str = "input") -> Callable[[Gltf], dict[str, Any]]:
    return lambda gltf: gltf.doc["accessors"][gltf.doc["animations"][0]["samplers"][row][path]]


def poked(at: int, value: float) -> Callable[[Gltf], None]:
    """A number of a sampler's output is changed."""

    def change(gltf: Gltf) -> None:
        view = gltf.doc["bufferViews"][key(3, "output")(gltf)["bufferView"]]
        struct.pack_into("<f", gltf.data, view["byteOffset"] + 4 * at, value)

    return change


REFUSED: dict[str, tuple[Callable[[Gltf], Any], str]] = {
    "no animation": (lambda g: g.doc.pop("animations"), "holds no animation; export it with its animation"),
    "an empty one": (lambda g: g.doc["animations"][0].update(channels=[]), "holds no animation"),
    "NaN": (poked(0, np.nan), "numbers that are none"),
    "infinity": (poked(5, np.inf), "numbers that are none"),
    "too large": (poked(5, 1e30), "numbers that are none"),
    "no rotation": (lambda g: [poked(n, 0.0)(g) for n in range(4)], "rotations that are none"),
    "a circle": (lambda g: g.doc["nodes"][5].update(children=[2]), "no hierarchy"),
    "its own child": (lambda g: g.doc["nodes"][0].update(children=[0]), "no hierarchy"),
    "two parents": (lambda g: g.doc["nodes"][0]["children"].append(9), "no hierarchy"),
    "no such child": (lambda g: g.doc["nodes"][0]["children"].append(99), "no hierarchy"),
    "no accessor": (lambda g: g.doc.pop("accessors"), "accessor 0 is not as glTF"),
    "missing accessors": (lambda g: g.doc.update(accessors=g.doc["accessors"][:9]), "accessor 9 is not as glTF"),
    "an odd accessor": (lambda g: key(3)(g).update(componentType=7), "accessor 0 is not as glTF"),
    "too many keys": (lambda g: key(3)(g).update(count=10**9), "has 1e+09 rows"),
    "more keys": (lambda g: key(3, "output")(g).update(count=1_000_000), "reaches beyond the file"),
    "fewer values": (lambda g: key(3, "output")(g).update(count=7), "animation is not as glTF"),
    "another width": (lambda g: key(3, "output")(g).update(type="VEC3"), "animation is not as glTF"),
    "before the data": (lambda g: key(3, "output")(g).update(byteOffset=-(10**9)), "reaches beyond the file"),
    "an odd offset": (lambda g: key(3, "output")(g).update(byteOffset="x"), "not as glTF"),
    "a small stride": (lambda g: g.doc["bufferViews"][0].update(byteStride=1), "reaches beyond the file"),
    "no view": (lambda g: key(3)(g).pop("bufferView"), "compressed"),
    "meshopt": (
        lambda g: g.doc["bufferViews"][0].update(extensions={"EXT_meshopt_compression": {}}),
        "export it without compression",
    ),
    "another buffer": (lambda g: g.doc["bufferViews"][0].update(buffer=3), "another file"),
    "no such node": (lambda g: g.doc["animations"][0]["channels"][2]["target"].update(node=99), "animation is not as"),
    "no such sampler": (lambda g: g.doc["animations"][0]["channels"][2].update(sampler=99), "animation is not as"),
    "no way to go on": (lambda g: g.doc["animations"][0]["samplers"][2].update(interpolation="?"), "animation is not"),
    "channels that are none": (lambda g: g.doc["animations"][0].update(channels=7), "animation is not as"),
    "animations that are none": (lambda g: g.doc.update(animations={"a": 1}), "animations are not as"),
    "nodes that are none": (lambda g: g.doc["nodes"].append(3), "no hierarchy"),
    "a rotation of text": (lambda g: g.doc["nodes"][3].update(rotation="x"), "rotation is not as glTF"),
    "a place that is none": (lambda g: g.doc["nodes"][3].update(translation=[1, 2, float("nan")]), "not finite"),
    "a huge place": (lambda g: g.doc["nodes"][3].update(translation=[0, 0, 10**400]), "rotation is not as glTF"),
    "a far place": (lambda g: g.doc["nodes"][3].update(translation=[0, 0, 1e30]), "too far apart"),
    "a skin of nothing": (lambda g: g.doc.update(skins=[{"joints": [99]}]), "skin's joints"),
    "a deep chain": (lambda g: deep(g), "a chain of"),
    "a crowd": (lambda g: crowd(g), "joints and up to 2,000"),
}


def deep(gltf: Gltf) -> None:
    nodes = gltf.doc["nodes"]
    for _ in range(300):
        nodes.append({"name": "tail"})
        nodes[len(nodes) - 2 if len(nodes) > 23 else 11].setdefault("children", []).append(len(nodes) - 1)


def crowd(gltf: Gltf) -> None:
    nodes = gltf.doc["nodes"]
    nodes[0]["children"] += range(len(nodes), len(nodes) + 30_000)
    nodes += [{"name": "same"} for _ in range(30_000)]


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_animation_is_refused_in_a_sentence(walk: np.ndarray, tmp_path: Path, what: str) -> None:
    change, says = REFUSED[what]
    gltf = animated(walk)
    change(gltf)
    path = written(tmp_path / "clip.glb", gltf)
    start = time.monotonic()
    with pytest.raises(MotionFileError) as caught:
        Motion.load(path)
    said = str(caught.value)
    assert says in said and said.startswith(str(path)) and said.count(str(path)) == 1 and "\n" not in said
    assert time.monotonic() - start < 10


def test_times_that_fall_are_refused(walk: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match="do not rise"):
        Motion.load(written(tmp_path / "clip.glb", animated(walk, times=np.arange(60)[::-1] / 20)))
    with pytest.raises(MotionFileError, match="frames and up to 500,000"):
        Motion.load(written(tmp_path / "long.glb", animated(walk, times=np.arange(60) * 1e5)))


def test_a_file_cut_anywhere_is_refused(walk: np.ndarray, tmp_path: Path) -> None:
    whole = animated(walk).to_bytes()
    for length in [0, 3, 11, 15, 19, 25, 400, *range(1000, len(whole), 7919), len(whole) - 1]:
        (tmp_path / "cut.glb").write_bytes(whole[:length])
        with pytest.raises(MotionFileError, match=r"cut short|not a GLB"):
            Motion.load(tmp_path / "cut.glb")
    for content in (b"{", b"[" * 100_000, b'{"nodes": 3}', b"{}", b'{"nodes": []}', b'{"a":' * 100_000, b"\xff{"):
        (tmp_path / "odd.gltf").write_bytes(content)
        with pytest.raises(MotionFileError):
            Motion.load(tmp_path / "odd.gltf")


def test_shared_arrays_are_read_once(walk: np.ndarray, tmp_path: Path) -> None:
    """Many channels of one large array ask for no more memory than one."""
    gltf = animated(walk)
    times, many = gltf.add(np.sort(np.random.default_rng(0).uniform(0, 3, 300_000))), []
    values = gltf.add(np.tile([0.0, 0.0, 0.0, 1.0], (300_000, 1)))
    for node in range(len(gltf.doc["nodes"]), len(gltf.doc["nodes"]) + 500):
        gltf.doc["nodes"].append({"name": "finger"})
        gltf.doc["nodes"][0]["children"].append(node)
        many.append(node)
    for node in many:
        animation = gltf.doc["animations"][0]
        animation["samplers"].append({"input": times, "output": values})
        animation["channels"].append(
            {"sampler": len(animation["samplers"]) - 1, "target": {"node": node, "path": "rotation"}}
        )
    start = time.monotonic()
    bvh, _, _ = read_gltf(written(tmp_path / "clip.glb", gltf))
    assert len(bvh.joints) == 522 and len(set(bvh.joints)) == 522 and time.monotonic() - start < 20
