"""Reads characters: any rig of GLB, VRM and BVH, whose joints are recognised by their names or named by the user."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionFileError, MotionLLMError, about
from motionllm.motion.characters.character import SIDES, Character
from motionllm.motion.characters.gltf_character import character_of, placed, standing
from motionllm.motion.formats import rigs
from motionllm.motion.formats.bvh import rest_places
from motionllm.motion.formats.bvh_reader import read_bvh
from motionllm.motion.formats.calibration import calibrate
from motionllm.motion.formats.gltf_file import Gltf

READS = (".glb", ".vrm", ".bvh")
_CHAINS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))


def read_character(
    path: str | os.PathLike[str], mapping: Mapping[str, Any] | str | os.PathLike[str] | None = None
) -> Character:
    """Read a rig from .glb, .vrm (0.x and 1.0) or .bvh.

    mapping: HumanML3D place → joint in the file, as a dict or a YAML file, for a rig that is not recognised. Raises
    MotionFileError where the file is none of these, or its body cannot be placed; the missing bones are named.
    """
    path = Path(path)
    if path.suffix.lower() not in READS:
        raise MotionFileError(
            f"{path}: characters are read from {', '.join(READS)}, not '{path.suffix}'; "
            "export it as glTF binary (.glb)."
        )
    if not path.is_file():
        raise MotionFileError(f"{path}: is a folder; give one file." if path.is_dir() else f"{path}: no such file.")
    given = rigs.load_rig(mapping)
    try:
        with about(path):
            character = (
                _from_bvh(path, given)
                if path.suffix.lower() == ".bvh"
                else character_of(Gltf.read(path), path.stem, given)
            )
            _check(character)
    except MotionFileError:
        raise
    except MotionLLMError as error:
        raise MotionFileError(str(error)) from None
    return character


def _check(character: Character) -> None:
    """Raise MotionLLMError where the joints that were found make no body that can be moved."""
    for side in SIDES:
        for chain in _CHAINS:
            for high, low in pairwise(chain):
                a, b = character.places.get(f"{side}_{high}"), character.places.get(f"{side}_{low}")
                if a is None:
                    raise MotionLLMError(f"no joint stands for {side}_{high}; name it in a YAML file given with --map.")
                if b is not None and a not in character.above(b):
                    raise MotionLLMError(
                        f"{side}_{low} ({character.joints[b]}) does not hang below {side}_{high} "
                        f"({character.joints[a]}); name the joints of one chain in a YAML file given with --map."
                    )
                if np.linalg.norm(character.at(f"{side}_{low}") - character.at(f"{side}_{high}")) < 1e-6:
                    raise MotionLLMError(
                        f"{side}_{low} stands on {side}_{high} in the rest pose; export the character in a T-pose."
                    )
    if not standing(character.rest, character.places):
        raise MotionLLMError(
            "the rest pose does not stand along Y; export the character standing, in a T-pose or A-pose, with Y up."
        )


def _from_bvh(path: Path, given: dict[str, Any]) -> Character:
    bvh, _, _ = calibrate(read_bvh(path), given)
    bvh = bvh.standing(0.01)
    rest, turned = rest_places(bvh.offsets, bvh.parents), np.tile(np.eye(3), (len(bvh.joints), 1, 1))
    places = placed(bvh.joints, bvh.parents, bvh.positions()[0] / bvh.unit, tuple(bvh.ends), given)
    if not (bvh.rest_up() and standing(rest, places)):  # the offsets make no pose: the motion shows one
        frame = _calmest(bvh.positions() / bvh.unit, places)
        points, turns = bvh.cut(frame, frame + 1).world()
        rest, turned = points[0] / bvh.unit, turns[0]
    ends = {j: rest[j] + turned[j] @ offset for j, offset in bvh.ends.items()}
    feet = [rest[j, 1] for place, j in places.items() if place.endswith(("_ankle", "_foot"))]
    feet += [end[1] for j, end in ends.items() if j in places.values()]
    floor = np.array([0.0, min(feet, default=0.0), 0.0])  # of the file's rest pose, whose root may be anywhere
    return Character(
        path.stem,
        bvh.joints,
        bvh.parents,
        rest - floor,
        turned,
        np.ones(len(bvh.joints)),
        places,
        {j: end - floor for j, end in ends.items()},
        bvh.unit,
        frozenset(range(len(bvh.joints))),
    )


def _calmest(points: np.ndarray, places: Mapping[str, int]) -> int:
    """The frame of (T, J, 3) in which a body stands most like in a rest pose: legs straight, both feet equally low."""
    legs = {side: [points[:, places[f"{side}_{part}"]] for part in ("hip", "knee")] for side in SIDES}
    bent = sum(hip[:, 1] - knee[:, 1] for hip, knee in legs.values())
    feet = [
        [points[:, places[f"{side}_{part}"], 1] for side in SIDES]
        for part in ("knee", "ankle", "foot")
        if {f"left_{part}", f"right_{part}"} <= set(places)
    ]
    uneven = sum(np.abs(left - right) for left, right in feet)
    return int(np.argmin(uneven - bent))


def with_root(character: Character) -> Character:
    """The same with a joint "root" on the floor below the hips, where nothing stands above them to carry the path."""
    hub, floor = character.hub, character.floor
    if character.parents[hub] >= 0:
        return character
    place = np.array([character.rest[hub, 0], floor, character.rest[hub, 2]])
    places = {place: character.joints[joint] for place, joint in character.places.items()}
    if character.gltf is not None:
        doc = copy.deepcopy(character.gltf.doc)
        node, new = character.nodes[hub], len(doc["nodes"])
        doc["nodes"].append({"name": "root", "translation": place.tolist(), "children": [node]})
        turn = Rotation.from_matrix(character.turned[hub]).as_quat()
        kept = {
            key: value for key, value in doc["nodes"][node].items() if key not in ("matrix", "translation", "rotation")
        }
        below = (character.rest[hub] - place).tolist()
        doc["nodes"][node] = {**kept, "translation": below, "rotation": turn.tolist()}
        if "matrix" in character.gltf.doc["nodes"][node]:
            doc["nodes"][node]["scale"] = [float(character.scales[hub])] * 3
        for scene in doc.get("scenes", []):
            scene["nodes"] = [new if n == node else n for n in scene.get("nodes", [])]
        return character_of(Gltf(doc, character.gltf.data), character.name, places)
    return replace(
        character,
        joints=("root", *character.joints),
        parents=(-1, *(parent + 1 for parent in character.parents)),
        rest=np.concatenate([place[None], character.rest]),
        turned=np.concatenate([np.eye(3)[None], character.turned]),
        scales=np.concatenate([np.ones(1), character.scales]),
        places={place: joint + 1 for place, joint in character.places.items()},
        ends={joint + 1: end for joint, end in character.ends.items()},
        skinned=frozenset(range(len(character.joints) + 1)),
    )
