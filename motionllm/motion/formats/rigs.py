"""Any rig to HumanML3D's 22 joints: who is the left knee in this file?

Joints are recognised by name where names differ least (knee, forearm, hand …) and by
their place in the hierarchy where the same word means two things: "Shoulder" is the collar
bone in one rig and the shoulder joint in the next. What a rig lacks (toes, collars, a third
spine joint) is placed from structure. What stays unclear is refused with the joints' names.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motionllm.errors import MotionFileError, MotionLLMError, listed, unknown
from motionllm.files import read_yaml
from motionllm.motion import budget
from motionllm.motion.formats.bvh import UPRIGHT
from motionllm.motion.skeleton import HUMANML3D, KIT, Skeleton

ABOUT_ARRAYS = ("unit", "up", "fps")  # what a rig description may state of an array of joints
ENDS = {  # place → the one whose End Site stands for it in a rig that lacks it
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "head": "neck",
}
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
# The humanoid bones that VRM names in a file, and Unity in an avatar.
VRM = {
    "hips": "pelvis",
    "spine": "spine1",
    "chest": "spine2",
    "upperChest": "spine3",
    "neck": "neck",
    "head": "head",
} | {
    f"{side}{bone}": f"{side}_{place}"
    for side in ("left", "right")
    for bone, place in (
        ("UpperLeg", "hip"),
        ("LowerLeg", "knee"),
        ("Foot", "ankle"),
        ("Toes", "foot"),
        ("Shoulder", "collar"),
        ("UpperArm", "shoulder"),
        ("LowerArm", "elbow"),
        ("Hand", "wrist"),
    )
}
_LOOSE = ("leg", "arm", "foot", "hand", "palm", "shoulder")
_KNOWN = {word for words in _WORDS.values() for word in words} | set(_LOOSE)
_LEFT, _RIGHT = ("left", "lft", "lt", "l"), ("right", "rgt", "rt", "r")
_NOISE = {"base", "bone", "joint", "jnt", "jt", "bip", "cc", "def", "org", "character", "mixamorig", "mixamo", "bend"}
# Joints that stand beside the skeleton: controls, twist and cloth bones.
_HELPERS = {
    "ik",
    "pole",
    "roll",
    "share",
    "ctrl",
    "control",
    "target",
    "end",
    "nub",
    "site",
    "prop",
    "weapon",
    "gun",
    "skirt",
    "cloth",
    "coat",
    "cape",
    "dress",
    "sleeve",
    "hair",
    "tail",
    "breast",
    "corrective",
    "muscle",
    "jiggle",
    "dyn",
    "physics",
    "sec",
    "mch",
    "tweak",
    "helper",
    "aim",
    "attach",
    "socket",
}
_LEG, _ARM = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
_PER_SIDE = {
    "hip": "hip",
    "knee": "knee",
    "ankle": "ankle",
    "foot": "toe",
    "collar": "collar",
    "shoulder": "shoulder",
    "elbow": "elbow",
    "wrist": "wrist",
}


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
    and arms start one spine bone too low (`map_rig`). whole: the rig is HumanML3D's under other names, and its joints
    are taken as they are (`schemes.written`).
    """

    places: dict[str, int]
    spine: tuple[int, ...]
    lost_thorax: bool = False
    whole: bool = False


def load_rig(rig: Mapping[str, Any] | str | os.PathLike[str] | None) -> dict[str, Any]:
    """A rig description as a dict: HumanML3D joint name → joint name in the file, all optional.

    The keys `unit` (metres per file unit), `up` ("y", "z", "x", "-y" …) and, for arrays that do not say it, `fps` may
    be added. Given as a dict or as a YAML file. Raises MotionFileError (file) or MotionLLMError (keys).
    """
    if rig is None:
        return {}
    if not isinstance(rig, Mapping):
        loaded = read_yaml(rig, "rig description")
        if not isinstance(loaded, dict):
            raise MotionFileError(f"{rig}: a rig description is a mapping like 'left_hip: LeftUpLeg'.")
        rig = loaded
    known = {*HUMANML3D.joints, *ABOUT_ARRAYS}
    for key in rig:
        if key not in known:
            raise MotionLLMError(f"Rig description: {unknown('place', key, known)}")
        if key not in ("unit", "fps") and not isinstance(rig[key], str):
            raise MotionLLMError(f"Rig description: {key} is a name in the file, not '{str(rig[key])[:40]}'.")
    if rig.get("up", "y") not in UPRIGHT:
        raise MotionLLMError(f"Rig description: up is one of {', '.join(UPRIGHT)}, not '{rig['up'][:40]}'.")
    unit = rig.get("unit", 1.0)
    if isinstance(unit, bool) or not isinstance(unit, int | float) or not 1e-6 <= unit <= 1e6:
        raise MotionLLMError(f"Rig description: unit is metres per file unit, above 0, not '{str(unit)[:40]}'.")
    if "fps" in rig:
        rate = rig["fps"]
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise MotionLLMError(f"Rig description: fps is frames per second, not '{str(rate)[:40]}'.")
        budget.check_rate(float(rate))
    return dict(rig)


def about_array(rig: Mapping[str, Any] | str | os.PathLike[str] | None) -> tuple[float, str | None, float | None]:
    """(metres per unit, the up axis, frames per second) that a rig description states of an array of joints; 1 and None
    where it does not. Raises MotionLLMError for one that names joints, whose order in an array is fixed.
    """
    stated = load_rig(rig)
    if named := [key for key in stated if key not in ABOUT_ARRAYS]:
        raise MotionLLMError(
            f"The rig description names {named[0]}, and these joints have no names to choose from; of them it states "
            f"{', '.join(ABOUT_ARRAYS)}."
        )
    rate = stated.get("fps")
    return float(stated.get("unit", 1.0)), stated.get("up"), None if rate is None else float(rate)


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
    names: Sequence[str],
    parents: Sequence[int],
    lengths: np.ndarray,
    ends: Sequence[int],
    rig: dict[str, Any],
    remedy: str = "",
) -> RigMap:
    """Find the 22 places among a rig's joints.

    lengths: (J,) distance of each joint from its parent, any unit. ends: joints that carry an End Site.
    rig: places known beforehand (`load_rig`). Raises MotionLLMError naming the places not there, and the remedy.
    """
    index = {name: j for j, name in reversed(list(enumerate(names)))}
    named: dict[str, int] = {}
    for place in HUMANML3D.joints:
        if place in rig:
            if rig[place] not in index:
                raise MotionLLMError(f"Rig description: {place}: {unknown('joint of the file', rig[place], names)}")
            named[place] = index[rig[place]]
    if all(place in index for place in HUMANML3D.joints):
        named = {place: index[place] for place in HUMANML3D.joints} | named
    above = [_ancestors(j, parents) for j in range(len(names))]
    small = 1e-3 * max(float(np.sum(lengths)) / 10, 1e-9)
    words: dict[tuple[str, str], list[int]] = {}
    for j in sorted(set(range(len(names))) - helpers(names, parents), key=lambda j: len(above[j])):
        words.setdefault(side_and_part(names[j]), []).append(j)

    def called(side: str, place: str, *more: str) -> list[int]:
        """The joints whose names say the place, the most telling word first, of one word those with a length first."""
        matches: list[int] = []
        for word in (*_WORDS.get(place, ()), *more):
            matches += sorted(words.get((side, word), []), key=lambda j: bool(lengths[j] <= small))
        return matches

    places: dict[str, int] = {}
    for side in ("left", "right"):
        joint_of: dict[str, int | None] = {}
        for parts, loose in ((_LEG, ("leg", "leg", "foot")), (_ARM, ("arm", "arm", "hand"))):
            lists = [called(side, part, word) for part, word in zip(parts, loose, strict=True)]
            if parts == _ARM:
                lists[0] += words.get((side, "shoulder"), [])
                lists[2] += words.get((side, "palm"), [])
            if not lists[2] and not called(side, parts[0]):  # "shoulder, arm" alone are no upper arm and forearm
                lists[1] = called(side, parts[1])
            joint_of |= zip(parts, _limb(lists, above), strict=True)
        ankle, shoulder = joint_of["ankle"], joint_of["shoulder"]
        toes = called(side, "toe") or [j for j in words.get((side, "foot"), []) if ankle in above[j]]
        collars = called(side, "collar") or [
            j for j in words.get((side, "shoulder"), []) if shoulder is not None and j in above[shoulder]
        ]
        joint_of["toe"], joint_of["collar"] = next(iter(toes), None), next(iter(collars), None)
        for place, part in _PER_SIDE.items():
            joint = named.get(f"{side}_{place}", joint_of[part])
            if joint is not None:
                places[f"{side}_{place}"] = joint
        for upper, middle, lower in (_LEG, _ARM):
            a, b = places.get(f"{side}_{upper}"), places.get(f"{side}_{lower}")
            if f"{side}_{middle}" not in places and a is not None and b is not None and a in above[b]:
                between = [j for j in above[b] if a in above[j] and lengths[j] > small]
                if len(between) == 1:
                    places[f"{side}_{middle}"] = between[0]
    for place in ("pelvis", "neck", "head"):
        if place in named:
            places[place] = named[place]
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
    placeable |= {place for place, carrier in ENDS.items() if places.get(carrier) in ends}
    if "head" in places:
        placeable.add("neck")
    missing = [p for p in missing if p not in placeable]
    if missing:
        remedy = (
            remedy or f"name them with rig={{'{missing[0]}': '<joint in the file>', …}} or a YAML file of such lines"
        )
        raise MotionLLMError(f"No joint found for {', '.join(missing)} among {listed(names)}; {remedy}.")
    top = places["neck"] if "neck" in places else places["head"]
    pelvis = places["pelvis"]
    spine = [named[f"spine{n}"] for n in (1, 2, 3) if f"spine{n}" in named]
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
        return sum(100 if j is None else candidates.index(j) for j, candidates in zip(choice, lists, strict=True))

    choices = [
        c
        for c in itertools.product(*([*candidates[:6], None] for candidates in lists))
        if all(a in above[b] for a, b in itertools.pairwise([j for j in c if j is not None]))
    ]
    best = list(min(choices, key=cost))
    if sum(j is not None for j in best) < 2:
        return [next(iter(candidates), None) for candidates in lists]
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
    ancestors = []
    while parents[j] >= 0:
        j = parents[j]
        ancestors.append(j)
    return ancestors


def hinges(joints: Sequence[str], places: RigMap | None) -> set[int]:
    """The joints at the upper end of an upper arm or thigh, whose twist the bent elbow or knee tells."""
    if places is not None:
        return {j for place, j in places.places.items() if place.endswith(("_hip", "_shoulder"))}
    return {j for j, name in enumerate(joints) if name.endswith(("_hip", "_shoulder"))}


def saved_skeleton(joints: Sequence[str]) -> Skeleton | None:
    """The skeleton whose clips `Motion.save` writes with these joints: its own, and helpers of no length between."""
    for known in (HUMANML3D, KIT):
        if set(known.joints) <= set(joints) and all(n.removesuffix("_base") in known.joints for n in joints):
            return known
    return None


def helpers(joints: Sequence[str], parents: Sequence[int]) -> set[int]:
    """The joints of no length that solving put before others (`bvh_writer.solve`): CHILD_base, whose only child is
    CHILD. They stand for no place, whatever words their names hold."""
    below: dict[int, list[int]] = {}
    for j, parent in enumerate(parents):
        below.setdefault(parent, []).append(j)
    return {p for p, children in below.items() if p >= 0 and [joints[p]] == [f"{joints[j]}_base" for j in children]}
