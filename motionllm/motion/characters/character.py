"""A character: the user's own rig as its file has it, its rest pose in the world, and which joints are its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.formats.gltf_file import Gltf

SIDES = ("left", "right")
_TOE_PER_SHIN = 0.34  # how far ahead of the ankle the toes start, where a rig has none


@dataclass(frozen=True, eq=False)
class Character:
    """A rig and its rest pose, in its own units, Y up.

    joints, parents: parents come first; -1 for those without. rest: (J, 3) where the joints stand, turned: (J, 3, 3)
    their rotations in the world, scales: (J,) and scales. places: HumanML3D place → joint. ends: (3,) by joint, where
    its End Site stands. unit: metres per own unit. skinned: the joints that a skin moves (all of a BVH). gltf, nodes:
    the file and the node of each joint; none for a BVH.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rest: np.ndarray
    turned: np.ndarray
    scales: np.ndarray
    places: Mapping[str, int]
    ends: Mapping[int, np.ndarray]
    unit: float
    skinned: frozenset[int]
    gltf: Gltf | None = None
    nodes: tuple[int, ...] = ()

    def above(self, joint: int) -> list[int]:
        """The joints above one, its parent first."""
        chain = []
        while (joint := self.parents[joint]) >= 0:
            chain.append(joint)
        return chain

    @cached_property
    def hub(self) -> int:
        """The joint from which legs and trunk part: what carries the body."""
        tops = [self.places[f"{side}_{part}"] for side in SIDES for part in ("hip", "shoulder")]
        chains = [[top, *self.above(top)] for top in tops]
        return next(joint for joint in chains[0] if all(joint in chain for chain in chains))

    def between(self, high: int, low: int) -> list[int]:
        """The joints on the way from `high` down to `low`, without both."""
        chain = self.above(low)
        return chain[: chain.index(high)][::-1]

    def at(self, place: str) -> np.ndarray:
        """Where a place stands in the rest pose (3,): its joint, else the End Site that stands for it."""
        if place in self.places:
            return self.rest[self.places[place]]
        side, _, part = place.rpartition("_")
        carrier = {"wrist": f"{side}_elbow", "ankle": f"{side}_knee", "head": "neck"}.get(part)
        if carrier is not None and self.places.get(carrier) in self.ends:
            return self.ends[self.places[carrier]]
        if part == "foot":
            return self._toe(side)
        raise MotionLLMError(f"the character has no {place}; name its joint in a YAML file, and give it with --map.")

    def _toe(self, side: str) -> np.ndarray:
        """Where the toes start on a foot without a joint for them: its End Site, or ahead of the ankle on the floor."""
        ankle, knee = self.at(f"{side}_ankle"), self.at(f"{side}_knee")
        shin = float(np.linalg.norm(ankle - knee))
        end = self.ends.get(self.places.get(f"{side}_ankle", -1))
        if end is not None and np.linalg.norm((end - ankle)[[0, 2]]) > 0.12 * shin:
            return end
        return ankle + self.facing[:, 2] * _TOE_PER_SHIN * shin - [0.0, min(ankle[1] - self.floor, 0.2 * shin), 0.0]

    @cached_property
    def facing(self) -> np.ndarray:
        """(3, 3) the rest pose's left, up and ahead as columns: up is Y."""
        left = sum(
            self.rest[self.places[f"left_{p}"]] - self.rest[self.places[f"right_{p}"]] for p in ("hip", "shoulder")
        )
        left = np.array([left[0], 0.0, left[2]])
        left /= max(float(np.linalg.norm(left)), 1e-12)
        return np.stack([left, [0.0, 1.0, 0.0], np.cross(left, [0.0, 1.0, 0.0])], axis=1)

    @cached_property
    def leg(self) -> float:
        """Thigh and shin together, the mean of both sides, in own units."""
        bones = [
            np.linalg.norm(self.at(f"{side}_{a}") - self.at(f"{side}_{b}"))
            for side in SIDES
            for a, b in (("hip", "knee"), ("knee", "ankle"))
        ]
        return float(sum(bones)) / 2

    @cached_property
    def floor(self) -> float:
        """The height of the floor under the rest pose: 0 where the feet stand about there, else the lowest joint."""
        feet = [self.places[p] for p in self.places if p.endswith(("_ankle", "_foot"))]
        heights = [*self.rest[feet, 1], *(end[1] for joint, end in self.ends.items() if joint in feet)]
        lowest = float(min(heights))
        return 0.0 if -0.03 * self.leg < lowest < 0.15 * self.leg else lowest
