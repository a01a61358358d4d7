"""Reads the animation of a glTF file as a take: the nodes of a body, as they move in the world, with a rest pose.

A take starts at the node under which the body hangs; what is above it (an armature that is turned and scaled) is in its
root. Scales become places, which BVH can hold. The zero pose is the one in which the nodes stand, so that the take is
written as a BVH that other programs can use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError, listed
from motionllm.motion import budget
from motionllm.motion.formats.bvh import BVH, euler
from motionllm.motion.formats.bvh_reader import USUAL_RATES
from motionllm.motion.formats.glb import END
from motionllm.motion.formats.gltf_file import Gltf, names_of, vrm_places

_PATHS = {"translation": 3, "rotation": 4, "scale": 3}
_RATE = 30.0  # frames per second of an animation whose keys lie on no frames of a usual rate
_LEAST = 10.0  # of evenly spaced keys that are taken for frames; fewer are those of a few poses
_ON_FRAME = 0.05  # of a frame, within which a key lies on it
_WRONG = "its animation is not as glTF has it; export the file again."
_PLACE = ("Xposition", "Yposition", "Zposition")


@dataclass(frozen=True, eq=False)
class Track:
    """What a channel says. times: (K,) seconds, rising. values: (K, 3) or (K, 4); for CUBICSPLINE three times as many
    rows, each key's tangents around it. mode: how it goes on between keys.
    """

    times: np.ndarray
    values: np.ndarray
    mode: str

    def at(self, times: np.ndarray, near: float) -> np.ndarray:
        """(T, 3) or (T, 4) at times; a key within `near` seconds counts as hit. Rotations are of any length."""
        keys, values = self.times, self.values
        k = np.clip(np.searchsorted(keys, times + near, side="right") - 1, 0, len(keys) - 1)
        if self.mode == "STEP":
            return values[k]
        n = np.minimum(k + 1, len(keys) - 1)
        span = keys[n] - keys[k]
        u = np.clip((times - keys[k]) / np.where(span > 0, span, 1.0), 0.0, 1.0)[:, None] * (span > 0)[:, None]
        if self.mode == "LINEAR":
            a, b = values[k], values[n]
            return _slerp(a, b, u) if values.shape[1] == 4 else a + u * (b - a)
        # Hermite's cubic, as glTF 2.0 states it in appendix C: tangents are per second.
        a, out, into, b = values[3 * k + 1], values[3 * k + 2], values[3 * n], values[3 * n + 1]
        step = span[:, None]
        return (
            (2 * u**3 - 3 * u**2 + 1) * a
            + step * (u**3 - 2 * u**2 + u) * out
            + (-2 * u**3 + 3 * u**2) * b
            + step * (u**3 - u**2) * into
        )


Tracks = dict[tuple[int, str], Track]  # by node and path


def _slerp(a: np.ndarray, b: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Quaternions (T, 4) between others, the short way round; u: (T, 1)."""
    a, b = (q / np.linalg.norm(q, axis=-1, keepdims=True) for q in (a, b))
    cosine = (a * b).sum(-1, keepdims=True)
    b, cosine = np.where(cosine < 0, -b, b), np.abs(cosine)
    angle = np.arccos(np.minimum(cosine, 1.0))
    sine = np.sin(angle)
    close = sine < 1e-4
    sine = np.where(close, 1.0, sine)
    return np.where(close, a + u * (b - a), (np.sin((1 - u) * angle) * a + np.sin(u * angle) * b) / sine)


def read_gltf(path: Path) -> tuple[BVH, dict[str, str], bool]:
    """The take that a file's first animation makes, at the rate of its keys, in metres, Y up, as glTF states.

    Returns it with HumanML3D place → joint as far as the file names them (VRM), and whether this package wrote the
    file. Raises MotionLLMError for a file that is none, is damaged, or holds no animation.
    """
    gltf = Gltf.read(path)
    nodes = gltf.doc["nodes"]
    above = gltf.parents()
    tracks, notes = _first_animation(gltf)
    top, joints = _body(gltf, above, {node for node, _ in tracks})
    budget.check_joints(len(joints), _depth(joints, above))
    start, fps, frames, said = _rate([track.times for track in tracks.values()])
    budget.check_clip(frames, len(joints), fps, 6 * len(joints))
    times = np.minimum(start + np.arange(frames) / fps, max(track.times[-1] for track in tracks.values()))
    bvh = _take(gltf, above, tracks, top, joints, times, fps)
    given = vrm_places(gltf, {node: j for j, node in enumerate(joints)}, bvh.joints)
    asset = gltf.doc.get("asset")
    own = isinstance(asset, dict) and asset.get("generator") == "motionllm" and len(nodes) <= len(joints) + 1
    return replace(bvh, notes=(*notes, *said)), given, own


def _first_animation(gltf: Gltf) -> tuple[Tracks, list[str]]:
    """The channels of the first animation that moves nodes, and a note where there are others."""
    animations = gltf.doc.get("animations") or []
    found: list[tuple[str, list[tuple[int, str, dict[str, Any]]]]] = []
    try:
        for n, animation in enumerate(animations):
            rows = []
            for channel in animation["channels"]:
                node, way = channel["target"].get("node"), channel["target"]["path"]
                if node is None or way not in _PATHS:  # the weights of a mesh, or what an extension moves
                    continue
                if not isinstance(node, int) or not 0 <= node < len(gltf.doc["nodes"]):
                    raise ValueError
                rows.append((node, way, animation["samplers"][channel["sampler"]]))
            if rows:
                found.append((str(animation.get("name") or f"number {n + 1}"), rows))
        if not found:
            raise MotionLLMError(
                "holds no animation; export it with its animation, or put a motion on it with "
                "`motionllm data retarget --to`."
            )
        tracks = _tracks(gltf, found[0][1])
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise MotionLLMError(_WRONG) from None
    names = [name for name, _ in found]
    others = f"animation {listed(names[:1])} read; the file has {listed(names[1:], 8)} besides"
    return tracks, [others] if len(names) > 1 else []


def _tracks(gltf: Gltf, rows: Sequence[tuple[int, str, dict[str, Any]]]) -> Tracks:
    arrays: dict[int, np.ndarray] = {}  # read once, however many channels share them

    def array(index: int, times: bool) -> np.ndarray:
        if index not in arrays:
            values = gltf.array(index).astype(np.float64)
            arrays[index] = values
            budget.check_bytes(sum(a.nbytes for a in arrays.values()), "its animation")
            if not (np.isfinite(values).all() and np.abs(values).max() <= budget.LARGEST):
                raise MotionLLMError("its animation holds numbers that are none; repair or export it again.")
            if times and (values.ndim != 1 or (np.diff(values) < 0).any()):
                raise MotionLLMError("the times of its keys do not rise; export it again.")
        return arrays[index]

    tracks: Tracks = {}
    turning: set[tuple[int, str]] = set()  # what was looked at
    for node, way, sampler in rows:
        mode = sampler.get("interpolation", "LINEAR")
        times, values = array(sampler["input"], True), array(sampler["output"], False)
        rows_a_key = 3 if mode == "CUBICSPLINE" else 1
        fits = times.ndim == 1 and values.shape == (len(times) * rows_a_key, _PATHS[way])
        if mode not in ("LINEAR", "STEP", "CUBICSPLINE") or not fits:
            raise MotionLLMError(_WRONG)
        if way == "rotation" and (sampler["output"], mode) not in turning:
            turning.add((sampler["output"], mode))
            if (np.linalg.norm(values[rows_a_key // 2 :: rows_a_key], axis=-1) < 1e-6).any():
                raise MotionLLMError("its animation holds rotations that are none; export it again.")
        tracks[node, way] = Track(times, values, mode)
    return tracks


def _rate(keys: Sequence[np.ndarray]) -> tuple[float, float, int, list[str]]:
    """When frames start, their rate, how many there are, and a note where keys lie beside them.

    The rate is that of the keys, where they are even, else the least usual one (20 or more) with a frame on each key.
    """
    few = list({id(times): times for times in keys}.values())
    start, end = min(times[0] for times in few), max(times[-1] for times in few)
    longest = max(few, key=len)

    def on_frames(fps: float) -> bool:
        at = [(times - longest[0]) * fps for times in few]
        return all(float(np.abs(times - np.rint(times)).max()) < _ON_FRAME for times in at)

    rates: list[float] = []
    if len(longest) > 1 and longest[-1] > longest[0]:
        own = float((len(longest) - 1) / (longest[-1] - longest[0]))
        nearest = min(USUAL_RATES, key=lambda rate: abs(rate / own - 1))
        own = nearest if abs(nearest / own - 1) < 5e-4 else own
        rates = [own] * int(own >= _LEAST) + [rate for rate in USUAL_RATES if rate >= 20]
    fps = next((float(rate) for rate in rates if on_frames(rate)), 0.0)
    said = [] if fps or not rates else [f"keys beside the frames of any rate: read at {_RATE:g} frames per second"]
    fps = fps or _RATE
    return float(start), fps, int(min(np.ceil((end - start) * fps - _ON_FRAME), 1e12)) + 1, said


def _depth(joints: Sequence[int], above: Sequence[int]) -> int:
    depth: dict[int, int] = {}
    for node in joints:
        depth[node] = depth.get(above[node], 0) + 1
    return max(depth.values())


def _body(gltf: Gltf, above: Sequence[int], animated: set[int]) -> tuple[int, list[int]]:
    """The node under which the body hangs, and the nodes of the body, parents first: those that a skin moves, or, where
    there is none, those that the animation moves, in the tree that has most of them moved; and what hangs below them.
    """
    nodes = gltf.doc["nodes"]
    try:
        skinned = {int(joint) for skin in gltf.doc.get("skins", []) for joint in skin["joints"]}
        if not all(0 <= node < len(above) for node in skinned):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise MotionLLMError("a skin's joints are not as glTF has them; export the file again.") from None
    order = [n for n, parent in enumerate(above) if parent < 0]
    tree = {node: node for node in order}
    for node in order:  # grows as it goes
        for child in nodes[node].get("children", []):
            tree[child] = tree[node]
            order.append(child)
    body = skinned if skinned & animated else animated
    most: dict[int, int] = {}
    for node in order:
        most[tree[node]] = most.get(tree[node], 0) + (node in body and node in animated)
    chosen = max(most, key=lambda top: most[top])
    body = {node for node in body if tree[node] == chosen}
    within = dict.fromkeys(range(len(nodes)), 0)  # how many of the body hang below a node, itself too
    for node in reversed(order):
        within[node] += node in body
        if above[node] >= 0:
            within[above[node]] += within[node]
    top = chosen
    while top not in body and (below := [c for c in nodes[top].get("children", []) if within[c] == len(body)]):
        top = below[0]
    joints, stack = [], [top]
    while stack:
        node = stack.pop()
        joints.append(node)
        beside = [c for c in nodes[node].get("children", []) if within[c] or not {"mesh", "camera"} & set(nodes[c])]
        stack += reversed(beside)
    return top, joints


def _take(
    gltf: Gltf,
    above: Sequence[int],
    tracks: Tracks,
    top: int,
    joints: Sequence[int],
    times: np.ndarray,
    fps: float,
) -> BVH:
    places, turns, scales = gltf.locals()
    if max(np.abs(places).max(), np.abs(scales).max()) > budget.LARGEST:
        raise MotionLLMError("its nodes stand too far apart to be a body; repair or export it again.")
    near = 0.5 * _ON_FRAME / fps
    chain = [top]
    while above[chain[-1]] >= 0:
        chain.append(above[chain[-1]])
    still, moving = (_World(above, places, turns, scales, moved, times, near) for moved in ({}, tracks))
    for node in [*reversed(chain[1:]), *joints]:
        still.add(node)
    rest = np.array([still.place[node][0] for node in joints])
    small = 1e-5 * max(float(np.ptp(rest, axis=0).max()), 1e-9)
    index = {node: j for j, node in enumerate(joints)}
    left = {node: sum(c in index for c in gltf.doc["nodes"][node].get("children", [])) for node in joints}
    for node in reversed(chain[1:]):
        moving.add(node)
    parents = [index.get(above[node], -1) if node != top else -1 for node in joints]
    low = {parent: j for j, parent in reversed(list(enumerate(parents)))}  # the first child of each
    turned: dict[int, np.ndarray] = {}
    offsets, ends, channels, columns = np.zeros((len(joints), 3)), {}, [], []
    for j, node in enumerate(joints):
        moving.add(node)
        turned[j] = moving.turn[node] @ still.turn[node].transpose(0, 2, 1)  # from the rest pose, in the world
        place, turn, moves = moving.place[node], turned[j], True
        if parents[j] >= 0:
            back = turned[parents[j]].transpose(0, 2, 1)
            place = np.einsum("tab,tb->ta", *_even(back, place - moving.place[above[node]]))
            turn = back @ turn
            moves = bool(np.ptp(place, axis=0).max() > small)
            offsets[j] = np.median(place, axis=0)
        else:
            offsets[j] = rest[j]
        # The middle angle of an order must stay away from 90 degrees: about Y for bones that hang or stand, else X.
        bone = rest[low[j]] - rest[j] if j in low else np.zeros(3)
        upright = j > 0 and abs(bone[1]) >= max(abs(bone[0]), abs(bone[2]))
        order = "ZYX" if upright else "ZXY"
        if moves:
            columns.append(np.broadcast_to(place, (len(times), 3)))
        columns.append(np.broadcast_to(euler(turn, order), (len(times), 3)))
        channels.append((*(_PLACE if moves else ()), *(f"{axis}rotation" for axis in order)))
        if j not in low:
            ends[j] = still.turn[node][0] @ _end(gltf.doc["nodes"][node])
        for done in (node, above[node]):  # what nothing hangs from any more is let go
            if done in left:
                left[done] -= done != node
                if not left[done]:
                    moving.drop(done)
                    turned.pop(index[done], None)
    values = np.concatenate(columns, axis=1)
    if not np.isfinite(values).all() or np.abs(values).max() > budget.LARGEST:
        raise MotionLLMError("its animation moves nodes beyond all measure; repair or export it again.")
    return BVH(names_of(gltf, joints), tuple(parents), offsets, ends, tuple(channels), values, fps, stated=1.0)


def _end(node: dict[str, Any]) -> np.ndarray:
    """Where a node's bone ends, in its axes, as `glb.glb_bytes` notes it; on the node itself in other files."""
    extras = node.get("extras")
    said = extras.get(END) if isinstance(extras, dict) else None
    if (
        isinstance(said, list)
        and len(said) == 3
        and all(isinstance(x, float) and abs(x) < budget.LARGEST for x in said)
    ):
        return np.array(said)
    return np.zeros(3)


def _even(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of as many frames, one of which may have a single one."""
    frames = max(len(a), len(b))
    return np.broadcast_to(a, (frames, *a.shape[1:])), np.broadcast_to(b, (frames, *b.shape[1:]))


class _World:
    """Nodes in the world, added parents first. place: (T, 3), turn: (T, 3, 3) without scales, by node; T is 1 for what
    does not move.
    """

    def __init__(
        self,
        above: Sequence[int],
        places: np.ndarray,
        turns: np.ndarray,
        scales: np.ndarray,
        tracks: Tracks,
        times: np.ndarray,
        near: float,
    ) -> None:
        self.above, self.places, self.turns, self.scales = above, places, turns, scales
        self.tracks, self.times, self.near = tracks, times, near
        self.place: dict[int, np.ndarray] = {}
        self.turn: dict[int, np.ndarray] = {}
        self._linear: dict[int, np.ndarray] = {}  # turns and scales together

    def add(self, node: int) -> None:
        place = self._at(node, "translation", self.places[node])
        scale = self._at(node, "scale", self.scales[node])
        turn = self.turns[node][None]
        if (node, "rotation") in self.tracks:
            quaternions = self.tracks[node, "rotation"].at(self.times, self.near)
            lost = np.linalg.norm(quaternions, axis=-1) < 1e-9  # a cubic may go through none
            turn = Rotation.from_quat(np.where(lost[:, None], [0.0, 0.0, 0.0, 1.0], quaternions)).as_matrix()
        linear = turn * scale[:, None, :]
        parent = self.above[node]
        if parent >= 0:
            place = self.place[parent] + np.einsum("tab,tb->ta", *_even(self._linear[parent], place))
            linear, turn = self._linear[parent] @ linear, self.turn[parent] @ turn
        self.place[node], self.turn[node], self._linear[node] = place, turn, linear

    def drop(self, node: int) -> None:
        for kept in (self.place, self.turn, self._linear):
            kept.pop(node, None)

    def _at(self, node: int, way: str, own: np.ndarray) -> np.ndarray:
        track = self.tracks.get((node, way))
        return own[None] if track is None else track.at(self.times, self.near)
