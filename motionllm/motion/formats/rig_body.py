"""HumanML3D's 22 joints placed on a body whose own joints are known: what a rig lacks is placed from structure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.formats.rigs import ENDS, RigMap
from motionllm.motion.skeleton import HUMANML3D, KIT

_SIDES = ("left", "right")
_LENGTHS = HUMANML3D.lengths if HUMANML3D.lengths is not None else np.zeros(22)
_UPWARDS = np.cumsum(_LENGTHS[[3, 6, 9, 12]])  # pelvis to spine1, spine2, spine3 and neck
_SPINE = ((0.08, 0.45), (0.2, 0.75), (0.4, 0.9))  # where rigs have spine1 to spine3 on the way from pelvis to neck
_BROADER = 1.08


def to_humanml3d(positions: np.ndarray, ends: Mapping[int, np.ndarray], mapping: RigMap) -> np.ndarray:
    """Joint positions (T, J, 3) of a rig → (T, 22, 3), same units, Y up.

    ends: End Site positions (T, 3) by joint. Placed from structure where the rig has none: toes (the
    End Site of the foot, else ahead of the ankle, square to the shin), collars (0.4 of the way from neck
    to shoulder, where CMU's clavicles have their middle), wrists, ankles and head (End Sites), the neck
    (between the shoulders), the spine joints (along the chain from pelvis to neck).
    """
    places = mapping.places
    if mapping.whole:
        return positions[:, [places[name] for name in HUMANML3D.joints]]
    body: dict[str, np.ndarray] = {place: positions[:, j] for place, j in places.items()}

    def end(place: str) -> np.ndarray | None:
        """The End Site of the joint at `place`, unless it lies on the joint itself."""
        point = ends.get(places[place]) if place in places else None
        if point is None or np.median(np.linalg.norm(point - body[place], axis=-1)) < 1e-3:
            return None
        return point

    for place, carrier in ENDS.items():
        if place not in body:
            point = end(carrier)
            if point is None:
                raise MotionLLMError(f"The rig has no {place} and no End Site that could stand for it.")
            body[place] = point
    if mapping.lost_thorax:
        chest = positions[:, mapping.spine[-1]]
        thorax = chest - (positions[:, mapping.spine[-2]] if len(mapping.spine) > 1 else body["pelvis"])
        moved = ["head", *(f"{side}_{p}" for side in ("left", "right") for p in ("shoulder", "elbow", "wrist"))]
        body |= {"neck": chest + thorax} | {place: body[place] + thorax for place in moved}
    if "neck" not in body:
        body["neck"] = (body["left_shoulder"] + body["right_shoulder"]) / 2
    _place_spine(body, [positions[:, j] for j in mapping.spine])
    across = body["left_hip"] - body["right_hip"] + body["left_shoulder"] - body["right_shoulder"]
    known = True
    for side in ("left", "right"):
        body[f"{side}_foot"] = _toe(body, side, across, [end(f"{side}_foot"), end(f"{side}_ankle")])
        collar, shoulder = body.get(f"{side}_collar"), body[f"{side}_shoulder"]
        width = np.linalg.norm(body["left_shoulder"] - body["right_shoulder"], axis=-1)
        # Clavicles that start at the spine would give the collar no side of its own.
        if collar is None or np.median(_lateral(collar - body["neck"], across) / np.maximum(width, 1e-9)) < 0.12:
            known = False
            collar = body["neck"] + 0.4 * (shoulder - body["neck"])
        body[f"{side}_collar"] = collar
    _keep_shoulders(body, known)
    return np.stack([body[name] for name in HUMANML3D.joints], axis=1)


def _length_of(body: Mapping[str, np.ndarray], a: str, b: str) -> float:
    return float(np.median(np.linalg.norm(body[a] - body[b], axis=-1)))


def _scale(body: Mapping[str, np.ndarray]) -> float:
    """How much longer the legs are than the target skeleton's."""
    bones = [
        _length_of(body, f"{s}_{a}", f"{s}_{b}")
        for s in _SIDES
        for a, b in itertools.pairwise(("hip", "knee", "ankle"))
    ]
    return sum(bones) / 2 / float(_LENGTHS[list(HUMANML3D.leg)].sum())


def _toe(
    body: Mapping[str, np.ndarray], side: str, across: np.ndarray, ends: Sequence[np.ndarray | None]
) -> np.ndarray:
    """The toe: the rig's joint, or an End Site of the foot, unless it lies on the ankle or straight down the shin."""
    ankle = body[f"{side}_ankle"]
    shin = ankle - body[f"{side}_knee"]
    length = np.linalg.norm(shin, axis=-1)
    for toe in (body.get(f"{side}_foot"), *ends):
        if toe is None:
            continue
        reach = np.linalg.norm(toe - ankle, axis=-1)
        along = ((toe - ankle) * shin).sum(-1) / np.maximum(reach * length, 1e-9)
        if np.median(reach) > 0.12 * np.median(length) and np.median(along) < 0.95:
            return toe
    ahead = np.cross(across, -shin)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-9)
    return ankle + ahead * 0.34 * length[:, None]


def _place_spine(body: dict[str, np.ndarray], spine: Sequence[np.ndarray]) -> None:
    """Set spine1 to spine3 (and a pelvis that is none) from the joints of a rig between pelvis and neck.

    A joint counts by its height between hips and neck. Where a rig's joints stand about where SMPL's do they are
    taken; else the three are put along the line through them.
    """
    hips = (body["left_hip"] + body["right_hip"]) / 2
    trunk = body["neck"] - hips
    size = np.maximum((trunk**2).sum(-1), 1e-12)

    def height(point: np.ndarray) -> float:
        return float(np.median(((point - hips) * trunk).sum(-1) / size))

    # A root below the hips (Daz), or at the waist, is no pelvis: it goes where CMU's stands.
    rise = spine[0] - hips if spine else trunk
    if spine and np.median(((body["pelvis"] - hips) * rise).sum(-1)) < -0.01 * np.median((rise**2).sum(-1)):
        body["pelvis"] = hips + 0.46 * rise
    elif height(body["pelvis"]) > 0.31:
        body["pelvis"] = hips + 0.1 * trunk
    low, kept = height(body["pelvis"]), [body["pelvis"]]
    marks: list[float] = []
    for point in spine:
        mark = (height(point) - low) / max(1 - low, 1e-6)
        if (marks[-1] if marks else 0.0) + 0.04 < mark < 0.96:
            kept.append(point)
            marks.append(mark)
    chain = [*kept, body["neck"]]
    if len(marks) == 2:  # the third of SMPL stands between the upper one and the neck
        chain.insert(3, (chain[2] + chain[3]) / 2)
        marks.append((marks[1] + 1) / 2)
    usual = len(marks) == 3 and all(a <= m <= b for m, (a, b) in zip(marks, _SPINE, strict=True))
    body["spine1"], body["spine2"], body["spine3"] = chain[1:4] if usual else _along(chain, _UPWARDS / _UPWARDS[-1])


def _keep_shoulders(body: dict[str, np.ndarray], known: bool) -> None:
    """Set the collars anew where they are not `known`, or would give the target too broad or narrow shoulders.

    There the collar bones have lengths of their own: flat ones broaden the body, steep ones narrow it. Each collar is
    put where two bones of its lengths meet; spine3, where the shoulders were wrong, as far below the neck as the
    target's.
    """
    scale = _scale(body)
    width = _length_of(body, "left_shoulder", "right_shoulder")
    if not (scale > 0 and width > 0):
        return
    lengths = {
        side: _LENGTHS[[HUMANML3D.joints.index(f"{side}_{p}") for p in ("collar", "shoulder")]] * scale
        for side in _SIDES
    }
    reached = []
    for side, (inner, outer) in lengths.items():
        collar, shoulder = body[f"{side}_collar"], body[f"{side}_shoulder"]
        reached.append(inner * _unit(collar - body["spine3"]) + outer * _unit(shoulder - collar))
    ratio = float(np.median(np.linalg.norm(reached[0] - reached[1], axis=-1))) / width
    if known and 1 / _BROADER <= ratio <= _BROADER:
        return

    def reach(spine3: np.ndarray) -> float:
        spans = {s: float(np.median(np.linalg.norm(body[f"{s}_shoulder"] - spine3, axis=-1))) for s in _SIDES}
        return max(spans[s] / sum(lengths[s]) for s in _SIDES)

    if known or reach(body["spine3"]) > 0.98:
        _lower_spine(body, scale, reach)
    for side, (inner, outer) in lengths.items():
        span = body[f"{side}_shoulder"] - body["spine3"]
        distance = np.linalg.norm(span, axis=-1, keepdims=True)
        along = _unit(span)
        # Where the bones are too long or too short to meet, they lie in one line.
        foot = np.clip((distance**2 + inner**2 - outer**2) / np.maximum(2 * distance, 1e-9), -inner, inner)
        up = body["neck"] - body["spine3"]
        square = _unit(up - (up * along).sum(-1, keepdims=True) * along)
        body[f"{side}_collar"] = body["spine3"] + foot * along + np.sqrt(inner**2 - foot**2) * square


def _lower_spine(body: dict[str, np.ndarray], scale: float, reach: Callable[[np.ndarray], float]) -> None:
    """Set the spine joints so that spine3 is as far below the neck as the target's, or as high as it takes for the
    collar bones to reach the shoulders bent (`reach` below 1)."""
    chain = [body[p] for p in ("pelvis", "spine1", "spine2", "spine3", "neck")]
    steps = [float(np.linalg.norm(b - a, axis=-1).mean()) for a, b in itertools.pairwise(chain)]
    whole = max(sum(steps), 1e-9)
    lowest = max(1 - float(_LENGTHS[12]) * scale / whole, 0.3)
    for third in np.linspace(lowest, max(sum(steps[:3]) / whole, lowest), 8):
        spine = _along(chain, np.array([*_UPWARDS[:3] / _UPWARDS[2] * third, 1]))
        if reach(spine[2]) < 0.95:
            break
    body["spine1"], body["spine2"], body["spine3"] = spine


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _lateral(offset: np.ndarray, across: np.ndarray) -> np.ndarray:
    unit = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    return np.abs((offset * unit).sum(-1))


def _along(chain: list[np.ndarray], marks: np.ndarray) -> list[np.ndarray]:
    """Points on a polyline of (T, 3) nodes at the fractions marks[:-1] of its mean length."""
    steps = [float(np.linalg.norm(b - a, axis=-1).mean()) for a, b in itertools.pairwise(chain)]
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    points = []
    for mark in marks[:-1] * reached[-1]:
        i = min(int(np.searchsorted(reached, mark, side="right")) - 1, len(steps) - 1)
        weight = (mark - reached[i]) / max(steps[i], 1e-9)
        points.append(chain[i] + weight * (chain[i + 1] - chain[i]))
    return points


def kit_to_humanml3d(joints: np.ndarray) -> np.ndarray:
    """KIT-ML joints (T, 21, 3) → (T, 22, 3). `KIT.face` says which side of the body its joints lie on."""
    at = {name: j for j, name in enumerate(KIT.joints)}
    # The joint that stands first in `face` is the body's right hip, whatever its name.
    named_right = KIT.joints[KIT.face[0]].split("_")[0]
    sides = {"right": named_right, "left": "left" if named_right == "right" else "right"}
    places = {"pelvis": at["root"], "neck": at["neck"], "head": at["head"]}
    for side, named in sides.items():
        for place in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist"):
            places[f"{side}_{place}"] = at[f"{named}_{place}"]
    return to_humanml3d(joints, {}, RigMap(places, (at["belly"], at["chest"])))
