"""Any rig to HumanML3D's 22 joints: who is the left knee in this file?

Joints are recognised by name where names differ least (knee, forearm, hand …) and by
their place in the hierarchy where the same word means two things: "Shoulder" is the collar
bone in one rig and the shoulder joint in the next. What a rig lacks (toes, collars, a third
spine joint) is placed from structure. What stays unclear is refused with the joints' names.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError, listed, unknown
from motionllm.files import read_yaml
from motionllm.motion import plausible
from motionllm.motion.bvh import BVH, UPRIGHT, rest_places
from motionllm.motion.skeleton import HUMANML3D, KIT, Skeleton

# Words for each place, most telling first. "leg", "arm", "foot", "hand" and "shoulder" mean different
# joints in different rigs and are settled in `map_rig`.
_WORDS = {
    "hip": ("upleg", "upperleg", "legupper", "thigh", "femur", "uleg", "hip", "hips", "hipjoint", "buttock"),
    "knee": ("knee", "shin", "calf", "tibia", "lowerleg", "lowleg", "loleg", "leglower", "downleg"),
    "ankle": ("ankle",),
    "toe": ("toebase", "toe", "toes", "ball", "forefoot", "toeball"),
    "collar": ("clavicle", "collar", "collarbone", "clav", "shoulderjoint", "scapula"),
    "shoulder": ("upperarm", "uparm", "armupper", "humerus", "shldr", "uarm", "bicep"),
    "elbow": ("elbow", "forearm", "lowerarm", "lowarm", "loarm", "armlower", "radius", "ulna", "farm"),
    "wrist": ("wrist",),
    "neck": ("neck", "lowerneck", "necklower", "necktwist", "upperneck", "neckupper"),
    "head": ("head", "skull"),
}
_LOOSE = ("leg", "arm", "foot", "hand", "palm", "shoulder")
_KNOWN = {word for words in _WORDS.values() for word in words} | set(_LOOSE)
_LEFT, _RIGHT = ("left", "lft", "lt", "l"), ("right", "rgt", "rt", "r")
_NOISE = {"base", "bone", "joint", "jnt", "jt", "bip", "cc", "def", "org", "character", "mixamorig", "mixamo", "bend"}
# Joints that stand beside the skeleton: controls, twist and cloth bones.
_HELPERS = {"ik", "pole", "roll", "share", "ctrl", "control", "target", "end", "nub", "site", "prop", "weapon", "gun",
            "skirt", "cloth", "coat", "cape", "dress", "sleeve", "hair", "tail", "breast", "corrective", "muscle",
            "jiggle", "dyn", "physics", "sec", "mch", "tweak", "helper", "aim", "attach", "socket"}  # fmt: skip
_LEG, _ARM = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
_PER_SIDE = {"hip": "hip", "knee": "knee", "ankle": "ankle", "foot": "toe", "collar": "collar",
             "shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist"}  # fmt: skip
# Metres per unit, tried in this order: a body whose stature falls within the range decides. CMU's
# mocap counts in inches / 0.45. Ranges overlap nowhere for an adult.
_UNITS = (
    ("centimetres", 0.01, 1.0, 2.6), ("metres", 1.0, 1.0, 2.6), ("CMU units", 0.0254 / 0.45, 1.4, 2.1),
    ("inches", 0.0254, 1.4, 2.1), ("decimetres", 0.1, 1.4, 2.1), ("millimetres", 0.001, 1.0, 2.6),
    ("feet", 0.3048, 1.4, 2.1),
)  # fmt: skip
_SIDES = ("left", "right")
_LENGTHS = HUMANML3D.lengths if HUMANML3D.lengths is not None else np.zeros(22)
_UPWARDS = np.cumsum(_LENGTHS[[3, 6, 9, 12]])  # pelvis to spine1, spine2, spine3 and neck
_SPINE = ((0.08, 0.45), (0.2, 0.75), (0.4, 0.9))  # where rigs have spine1 to spine3 on the way from pelvis to neck
_BROADER = 1.08
_KNEES = ("left_knee", "right_knee")
_STATURE_PER_LEG = 2.06  # stature over thigh + shin, on the HumanML3D target skeleton
_STATURE = 1.70  # metres, for rigs in units of their own


@dataclass(frozen=True, eq=False)
class Rig:
    """A skeleton as a file has it: joint names, parents (-1: root), rest offsets (J, 3) metres, Y up."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray


@dataclass(frozen=True)
class RigMap:
    """Which joint of a rig stands at each of the 22 places; spine: the joints between pelvis and neck.

    A place that is absent from `places` is filled by `to_humanml3d` from structure. lost_thorax: neck
    and arms start one spine bone too low (`map_rig`).
    """

    places: dict[str, int]
    spine: tuple[int, ...]
    lost_thorax: bool = False


def load_rig(rig: Mapping[str, Any] | str | os.PathLike[str] | None) -> dict[str, Any]:
    """A rig description as a dict: HumanML3D joint name → joint name in the file, all optional.

    The keys `unit` (metres per file unit) and `up` ("y", "z", "x", "-y" …) may be added. Given as a dict or as a
    YAML file. Raises MotionFileError (file) or MotionLLMError (keys).
    """
    if rig is None:
        return {}
    if not isinstance(rig, Mapping):
        loaded = read_yaml(rig, "rig description")
        if not isinstance(loaded, dict):
            raise MotionFileError(f"{rig}: a rig description is a mapping like 'left_hip: LeftUpLeg'.")
        rig = loaded
    known = {*HUMANML3D.joints, "unit", "up"}
    for key in rig:
        if key not in known:
            raise MotionLLMError(f"Rig description: {unknown('place', key, known)}")
        if key != "unit" and not isinstance(rig[key], str):
            raise MotionLLMError(f"Rig description: {key} is a name in the file, not '{str(rig[key])[:40]}'.")
    if rig.get("up", "y") not in UPRIGHT:
        raise MotionLLMError(f"Rig description: up is one of {', '.join(UPRIGHT)}, not '{rig['up'][:40]}'.")
    unit = rig.get("unit", 1.0)
    if isinstance(unit, bool) or not isinstance(unit, int | float) or not 1e-6 <= unit <= 1e6:
        raise MotionLLMError(f"Rig description: unit is metres per file unit, above 0, not '{str(unit)[:40]}'.")
    return dict(rig)


def side_and_part(name: str) -> tuple[str, str]:
    """("left" | "right" | "", the body part's word or ""): mixamorig:LeftUpLeg → ("left", "upleg")."""
    tokens = _tokens(name)
    if _HELPERS & set(tokens) or ("twist" in tokens and "neck" not in tokens):
        return "", ""
    side, rest = "", []
    for token in tokens:
        if token in _LEFT or token in _RIGHT:
            side = side or ("left" if token in _LEFT else "right")
        else:
            rest.append(token)
    # Word for word from the end, so that an unknown prefix (Avatar_LeftUpLeg) does no harm.
    for start in range(len(rest)):
        raw = "".join(rest[start:])
        part = "".join(t for t in rest[start:] if t not in _NOISE)
        for word in (raw, part):
            if word in _KNOWN:
                return side, word
        if not side:
            for mark, words in (("left", _LEFT), ("right", _RIGHT)):
                for letter in words:
                    if part.startswith(letter) and part[len(letter) :] in _KNOWN:
                        return mark, part[len(letter) :]
                    if len(letter) > 2 and part.endswith(letter) and part[: -len(letter)] in _KNOWN:
                        return mark, part[: -len(letter)]
    return side, ""


def _tokens(name: str) -> list[str]:
    """The words of a joint's name, lower case, without what stands before a colon."""
    text = re.split(r"[:|]", name)[-1]
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text)
    text = re.sub(r"([A-Z])([A-Z][a-z])", r"\1 \2", text)
    return re.findall(r"[a-z]+", text.lower())


def map_rig(
    names: Sequence[str], parents: Sequence[int], lengths: np.ndarray, ends: Sequence[int], rig: dict[str, Any]
) -> RigMap:
    """Find the 22 places among a rig's joints.

    lengths: (J,) distance of each joint from its parent, any unit. ends: joints that carry an End Site.
    rig: places known beforehand (`load_rig`). Raises MotionLLMError naming the places it could not find.
    """
    index = {name: j for j, name in reversed(list(enumerate(names)))}
    given: dict[str, int] = {}
    for place in HUMANML3D.joints:
        if place in rig:
            if rig[place] not in index:
                raise MotionLLMError(f"Rig description: {place}: {unknown('joint of the file', rig[place], names)}")
            given[place] = index[rig[place]]
    if all(place in index for place in HUMANML3D.joints):
        given = {place: index[place] for place in HUMANML3D.joints} | given
    above = [_ancestors(j, parents) for j in range(len(names))]
    small = 1e-3 * max(float(np.sum(lengths)) / 10, 1e-9)
    words: dict[tuple[str, str], list[int]] = {}
    for j in sorted(range(len(names)), key=lambda j: len(above[j])):
        words.setdefault(side_and_part(names[j]), []).append(j)

    def called(side: str, place: str, *more: str) -> list[int]:
        """The joints whose names say the place, the most telling word first, of one word those with a length first."""
        found: list[int] = []
        for word in (*_WORDS.get(place, ()), *more):
            found += sorted(words.get((side, word), []), key=lambda j: bool(lengths[j] <= small))
        return found

    places: dict[str, int] = {}
    for side in ("left", "right"):
        found: dict[str, int | None] = {}
        for parts, loose in ((_LEG, ("leg", "leg", "foot")), (_ARM, ("arm", "arm", "hand"))):
            lists = [called(side, part, word) for part, word in zip(parts, loose, strict=True)]
            if parts == _ARM:
                lists[0] += words.get((side, "shoulder"), [])
                lists[2] += words.get((side, "palm"), [])
            if not lists[2] and not called(side, parts[0]):  # "shoulder, arm" alone are no upper arm and forearm
                lists[1] = called(side, parts[1])
            found |= zip(parts, _limb(lists, above), strict=True)
        ankle, shoulder = found["ankle"], found["shoulder"]
        toes = called(side, "toe") or [j for j in words.get((side, "foot"), []) if ankle in above[j]]
        collars = called(side, "collar") or [
            j for j in words.get((side, "shoulder"), []) if shoulder is not None and j in above[shoulder]
        ]
        found["toe"], found["collar"] = next(iter(toes), None), next(iter(collars), None)
        for place, part in _PER_SIDE.items():
            joint = given.get(f"{side}_{place}", found[part])
            if joint is not None:
                places[f"{side}_{place}"] = joint
        for upper, middle, lower in (_LEG, _ARM):
            a, b = places.get(f"{side}_{upper}"), places.get(f"{side}_{lower}")
            if f"{side}_{middle}" not in places and a is not None and b is not None and a in above[b]:
                between = [j for j in above[b] if a in above[j] and lengths[j] > small]
                if len(between) == 1:
                    places[f"{side}_{middle}"] = between[0]
    for place in ("pelvis", "neck", "head"):
        if place in given:
            places[place] = given[place]
    hips = [places[f"{side}_hip"] for side in ("left", "right") if f"{side}_hip" in places]
    if "pelvis" not in places and len(hips) == 2:
        common = [j for j in above[hips[0]] if j in above[hips[1]]]
        if common:
            places["pelvis"] = common[0]
    # The lowest neck joint that has a length; CMU rigs put one on top of the chest.
    necks = [j for word in _WORDS["neck"] for j in words.get(("", word), [])]
    if "neck" not in places and necks:
        necks.sort(key=lambda j: len(above[j]))
        places["neck"] = next((j for j in necks if lengths[j] > small), necks[0])
    heads = called("", "head")
    if "head" not in places and heads:
        places["head"] = heads[0]
    if not {"neck", "head"} & set(places) and {"left_shoulder", "right_shoulder"} <= set(places):
        rise = _rise(names, parents, lengths > small, [above[places[f"{side}_shoulder"]] for side in ("left", "right")])
        places |= zip(("neck", "head")[-len(rise) :], (rise[0], rise[-1])[-len(rise) :], strict=True) if rise else ()
    missing = [p for p in HUMANML3D.joints if p not in places and p not in ("spine1", "spine2", "spine3")]
    placeable = {"left_collar", "right_collar", "left_foot", "right_foot"}
    for place, carrier in (("left_wrist", "left_elbow"), ("right_wrist", "right_elbow"), ("left_ankle", "left_knee"),
                           ("right_ankle", "right_knee"), ("head", "neck")):  # fmt: skip
        if carrier in places and places[carrier] in ends:
            placeable.add(place)
    if "head" in places:
        placeable.add("neck")
    missing = [p for p in missing if p not in placeable]
    if missing:
        raise MotionLLMError(
            f"No joint found for {', '.join(missing)} among {listed(names)}; "
            f"name them with rig={{'{missing[0]}': '<joint in the file>', …}} or a YAML file of such lines."
        )
    top = places["neck"] if "neck" in places else places["head"]
    pelvis = places["pelvis"]
    spine = [given[f"spine{n}"] for n in (1, 2, 3) if f"spine{n}" in given]
    if not spine:
        # Distances along the chain, so that a run of joints on one place counts once.
        chain = [j for j in reversed(above[top]) if j != pelvis and j not in above[pelvis]]
        spine = [j for j in chain if lengths[j] > small]
        if "neck" in places and lengths[top] <= small and spine:
            spine.pop()
    # The common BVH conversion of CMU's mocap (cgspeed) lost the thorax bone: neck and collars start with joints
    # of no length on the chest's last joint, where in the original another bone as long as the one below comes first.
    collars = [places.get(f"{side}_collar", -1) for side in ("left", "right")]
    merged = [j for j in necks if lengths[j] <= small and j in above[top]]
    lost = bool(merged) and all(c >= 0 and lengths[c] <= small and parents[c] == parents[merged[0]] for c in collars)
    return RigMap(places, tuple(spine), lost)


def _limb(lists: Sequence[list[int]], above: Sequence[list[int]]) -> list[int | None]:
    """One joint of each list, each below the one before it: the hierarchy outranks names, which helper joints share.

    Of the choices that leave the fewest places open, the one that comes first in the lists. Where no two joints lie
    below each other (a flat file), the first of each list.
    """

    def cost(choice: Iterable[int | None]) -> int:
        return sum(100 if j is None else found.index(j) for j, found in zip(choice, lists, strict=True))

    choices = [c for c in itertools.product(*([*found[:6], None] for found in lists))
               if all(a in above[b] for a, b in itertools.pairwise([j for j in c if j is not None]))]  # fmt: skip
    best = list(min(choices, key=cost))
    if sum(j is not None for j in best) < 2:
        return [next(iter(found), None) for found in lists]
    return best


def _rise(names: Sequence[str], parents: Sequence[int], long: np.ndarray, arms: Sequence[list[int]]) -> list[int]:
    """The joints from the neck to the head, by structure: what goes on upwards from where the arms part (`arms`: the
    joints above each shoulder), named alike (Rigify's spine.004 to spine.006) where several do."""
    part = next((j for j in arms[0] if j in arms[1]), None)
    rise: list[int] = []
    while part is not None:
        stem = re.sub(r"[^a-z]", "", names[part].lower())
        on = [j for j, parent in enumerate(parents) if parent == part and j not in arms[0] + arms[1]]
        on = [j for j in on if not side_and_part(names[j])[0] and not _HELPERS & set(_tokens(names[j]))]
        alike = [j for j in on if re.sub(r"[^a-z]", "", names[j].lower()) == stem]
        part = alike[0] if alike else on[0] if len(on) == 1 and len(rise) < 2 else None
        if part is not None and long[part]:
            rise.append(part)
    return rise


def _ancestors(j: int, parents: Sequence[int]) -> list[int]:
    """Parent first, root last."""
    found = []
    while parents[j] >= 0:
        j = parents[j]
        found.append(j)
    return found


def to_humanml3d(positions: np.ndarray, ends: Mapping[int, np.ndarray], mapping: RigMap) -> np.ndarray:
    """Joint positions (T, J, 3) of a rig → (T, 22, 3), same units, Y up.

    ends: End Site positions (T, 3) by joint. Placed from structure where the rig has none: toes (the
    End Site of the foot, else ahead of the ankle, square to the shin), collars (0.4 of the way from neck
    to shoulder, where CMU's clavicles have their middle), wrists, ankles and head (End Sites), the neck
    (between the shoulders), the spine joints (along the chain from pelvis to neck).
    """
    places = mapping.places
    body: dict[str, np.ndarray] = {place: positions[:, j] for place, j in places.items()}

    def end(place: str) -> np.ndarray | None:
        """The End Site of the joint at `place`, unless it lies on the joint itself."""
        point = ends.get(places[place]) if place in places else None
        if point is None or np.median(np.linalg.norm(point - body[place], axis=-1)) < 1e-3:
            return None
        return point

    for place, carrier in (("left_wrist", "left_elbow"), ("right_wrist", "right_elbow"), ("left_ankle", "left_knee"),
                           ("right_ankle", "right_knee"), ("head", "neck")):  # fmt: skip
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
    bones = [_length_of(body, f"{s}_{a}", f"{s}_{b}") for s in _SIDES for a, b in itertools.pairwise(_LEG)]
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
    lengths = {side: _LENGTHS[[HUMANML3D.joints.index(f"{side}_{p}") for p in ("collar", "shoulder")]] * scale
               for side in _SIDES}  # fmt: skip
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


def hinges(joints: Sequence[str], places: RigMap | None) -> set[int]:
    """The joints at the upper end of an upper arm or thigh, whose twist the bent elbow or knee tells."""
    if places is not None:
        return {j for place, j in places.places.items() if place.endswith(("_hip", "_shoulder"))}
    return {j for j, name in enumerate(joints) if name.endswith(("_hip", "_shoulder"))}


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


def saved_skeleton(joints: Sequence[str]) -> Skeleton | None:
    """The skeleton whose clips `Motion.save` writes with these joints: its own, and helpers of no length between."""
    for known in (HUMANML3D, KIT):
        if set(known.joints) <= set(joints) and all(n.removesuffix("_base") in known.joints for n in joints):
            return known
    return None


def calibrate(bvh: BVH, rig: dict[str, Any]) -> tuple[BVH, RigMap | None, list[str]]:
    """Set a file's unit and up axis, drop a T-pose put before the motion, map its rig and look at the body.

    Returns the file, its map (None where its joints are not recognised and `rig` names none), and one
    line about each decision. The unit is the one in which thigh + shin make an adult; a rig in units
    of its own is scaled to 1.70 m. Up is the axis along which the body stands. A file seen in a mirror
    is mirrored back. Raises MotionLLMError where the joints are no body (`plausible.inspect`).
    """
    notes: list[str] = []
    positions = bvh.positions()
    distance = np.zeros(len(bvh.joints))
    for j, parent in enumerate(bvh.parents):
        if parent >= 0:
            distance[j] = np.median(np.linalg.norm(positions[:, j] - positions[:, parent], axis=-1))
    try:
        mapping: RigMap | None = map_rig(bvh.joints, bvh.parents, distance, tuple(bvh.ends), rig)
    except MotionLLMError:
        if set(rig) - {"unit", "up"}:
            raise
        mapping = None
    if "unit" in rig:
        unit = float(rig["unit"])
    else:
        unit, name = _unit_of(positions, distance, bvh.parents, mapping)
        notes.append(f"units taken for {name}")
    body = None
    if saved_skeleton(bvh.joints) is KIT:
        body = kit_to_humanml3d(positions[:, [bvh.joints.index(name) for name in KIT.joints]] * unit)
    elif mapping is not None:
        ends = {j: point * unit for j, point in bvh.end_sites().items()}
        with contextlib.suppress(MotionLLMError):  # `Motion.body` will say it
            body = to_humanml3d(positions * unit, ends, mapping)
    up = rig.get("up", "")
    if not up and body is not None and mapping is not None:
        up, said = plausible.up_axis(body, _rest_axis(bvh, mapping))
        notes += said
    bvh = bvh.measured(unit, up or "y")
    dropped = _rest_frames(bvh)
    if dropped:
        bvh = bvh.cut(dropped)
        notes.append(f"{dropped} frame(s) of rest pose before the motion dropped")
    if body is not None:
        findings = plausible.inspect(body[dropped:], bvh.fps, up=bvh.up)
        notes += findings.notes
        if findings.mirrored:
            bvh = bvh.mirrored()
    return bvh, mapping, notes


def _unit_of(
    positions: np.ndarray, distance: np.ndarray, parents: Sequence[int], mapping: RigMap | None
) -> tuple[float, str]:
    """Metres per file unit, and what to call it."""
    if mapping is not None and {"left_hip", "left_knee", "left_ankle"} <= set(mapping.places):
        hip, knee, ankle = (positions[:, mapping.places[f"left_{p}"]] for p in ("hip", "knee", "ankle"))
        leg = np.median(np.linalg.norm(hip - knee, axis=-1)) + np.median(np.linalg.norm(knee - ankle, axis=-1))
        stature = float(leg) * _STATURE_PER_LEG
    else:
        # No names to go by: from the root, the two farthest limbs (arm and leg) reach about 1.3 statures.
        reach = np.zeros(len(parents))
        for j, parent in enumerate(parents):
            if parent >= 0:
                reach[j] = reach[parent] + distance[j]
        stature = float(reach.max()) * 1.6
    for name, unit, least, most in _UNITS:
        if least <= stature * unit <= most:
            return unit, name
    if stature <= 0:
        return 1.0, "metres (the body has no size)"
    return _STATURE / stature, f"{_STATURE / stature:.4g} m, which makes the body {_STATURE:.2f} m tall"


def _rest_axis(bvh: BVH, mapping: RigMap) -> str:
    """The axis along which the rest pose stands, "" where the offsets make none: all bones along one line, say."""
    places = mapping.places
    rest = rest_places(bvh.offsets, bvh.parents)
    upwards = rest[places.get("neck", places.get("head", 0))] - rest[[places[p] for p in _KNEES]].mean(0)
    hips, shoulders = (rest[places[f"left_{p}"]] - rest[places[f"right_{p}"]] for p in ("hip", "shoulder"))
    size = 0.03 * float(np.linalg.norm(upwards))
    if np.linalg.norm(hips) < size or np.linalg.norm(shoulders) < size:
        return ""
    return plausible.lean(upwards)


def _rest_frames(bvh: BVH) -> int:
    """How many frames at the start are a rest pose put before the motion, and the way out of it.

    A rest frame turns few joints and none by much; the motion starts after a jump of the joints, relative
    to the root, far above the steps that follow. Some converters spread that jump over a few frames.
    """
    if len(bvh) < 24:
        return 0
    head = bvh.cut(0, 24)
    turned = np.arccos(np.clip((np.trace(head.local()[1], axis1=-2, axis2=-1) - 1) / 2, -1, 1))
    resting = (np.mean(turned < np.radians(3), axis=1) > 0.7) & (turned.max(1) < np.radians(30))
    positions = head.positions()
    steps = np.linalg.norm(np.diff(positions - positions[:, :1], axis=0), axis=-1).max(-1)
    jump = steps > max(0.03, 3 * float(np.median(steps[10:])))
    last = int(np.argmin(resting)) - 1 if not resting.all() else -1
    if last < 0 or steps[last] < 0.1 or not jump[last]:
        return 0
    return last + 1 + int(np.argmin(jump[last + 1 :]))
