"""A performance: how a character moves, frame by frame, as rotations of its joints and places of its body.

Rotations are kept as turns from the rest pose in the world, which do not depend on how a rig's bones are rolled; local
rotations, positions and the root's share of the path follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.characters.character import Character

ROOT_MOTIONS = ("hips", "root", "in-place")
_CALM = 0.25  # seconds: the root's path is the hips', without their sway within a step


@dataclass(frozen=True, eq=False)
class Performance:
    """character: who moves. fps: frames per second. turns: joint → (T, 3, 3), how it is turned in the world from the
    rest pose; joints without follow the one above. hub: (T, 3) where the character's `hub` stands, own units. carrier:
    the joint that carries the path (-1: none); path, heading: (T, 3) and (T, 3, 3), its way and turn from its rest.
    """

    character: Character
    fps: float
    turns: Mapping[int, np.ndarray]
    hub: np.ndarray
    carrier: int = -1
    path: np.ndarray | None = None
    heading: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.hub)

    @cached_property
    def turned(self) -> list[np.ndarray]:
        """Per joint (T, 3, 3) or (1, 3, 3): how it is turned in the world from the rest pose."""
        turned: list[np.ndarray] = []
        for j, parent in enumerate(self.character.parents):
            own = self.turns.get(j)
            if j == self.carrier:
                own = self.heading
            turned.append(own if own is not None else turned[parent] if parent >= 0 else np.eye(3)[None])
        return turned

    @cached_property
    def positions(self) -> list[np.ndarray]:
        """Per joint (T, 3) or (1, 3): where it stands in the world, own units."""
        rest = self.character.rest
        positions: list[np.ndarray] = []
        for j, parent in enumerate(self.character.parents):
            if j == self.character.hub:
                place = self.hub
            elif j == self.carrier and self.path is not None:
                place = rest[j] + self.path
            elif parent < 0:
                place = rest[j][None]
            else:
                place = positions[parent] + self.turned[parent] @ (rest[j] - rest[parent])
            positions.append(place)
        return positions

    def joints(self) -> np.ndarray:
        """(T, J, 3) where the joints stand, metres."""
        shape = (len(self), 3)
        return np.stack([np.broadcast_to(p, shape) for p in self.positions], axis=1) * self.character.unit

    @property
    def moving(self) -> list[int]:
        """The joints whose rotation relative to their parent changes."""
        heading = {self.carrier} if self.carrier >= 0 else set()
        return sorted({*self.turns, *heading})

    def local(self, joint: int) -> np.ndarray:
        """(T, 3, 3) the joint's rotation relative to its parent."""
        character, parent = self.character, self.character.parents[joint]
        own = self.turned[joint] @ character.turned[joint]
        if parent >= 0:
            own = (self.turned[parent] @ character.turned[parent]).transpose(0, 2, 1) @ own
        return np.broadcast_to(own, (len(self), 3, 3))

    def translation(self, joint: int) -> np.ndarray:
        """(T, 3) the joint's place relative to its parent, in the parent's axes and scale."""
        character, parent, place = self.character, self.character.parents[joint], self.positions[joint]
        if parent >= 0:
            above = self.turned[parent] @ character.turned[parent]
            place = np.einsum("tba,tb->ta", np.broadcast_to(above, (len(self), 3, 3)), place - self.positions[parent])
            place = place / character.scales[parent]
        return np.broadcast_to(place, (len(self), 3))

    def rooted(self, mode: str) -> Performance:
        """The same with the path on the hips ("hips"), on the joint above them ("root"), or left out ("in-place").

        The path is where the hips go over the floor, and which way they face, without their sway. Raises MotionLLMError
        for another mode, or where "root" is asked and no joint stands above the hips.
        """
        if mode not in ROOT_MOTIONS:
            raise MotionLLMError(unknown("root motion", mode, ROOT_MOTIONS))
        if mode == "hips":
            return self
        character = self.character
        start = character.rest[character.hub] * [1.0, 0.0, 1.0]
        path = gaussian_filter1d(self.hub * [1.0, 0.0, 1.0] - start, _CALM * self.fps, axis=0, mode="nearest")
        if mode == "in-place":
            return replace(self, hub=self.hub - path)
        if character.parents[character.hub] < 0:
            raise MotionLLMError("the character has no joint above its hips that could carry the path.")
        ahead = self.turned[character.hub] @ character.facing[:, 2]
        yaw = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2]))
        rest = np.arctan2(character.facing[0, 2], character.facing[2, 2])
        calm = gaussian_filter1d(yaw, _CALM * self.fps, mode="nearest") - rest
        heading = Rotation.from_rotvec(calm[:, None] * [0.0, 1.0, 0.0]).as_matrix()
        return replace(self, carrier=character.parents[character.hub], path=path, heading=heading)
