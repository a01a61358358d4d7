"""Motion on the user's own characters: a rig is read, a clip is retargeted onto it, and written as animators open it.

`read_character` reads GLB, VRM and BVH, `retarget` moves the character as a clip's body moves, `save` writes GLB, VRMA,
BVH, USD and FBX by the suffix.
"""

from motionllm.motion.characters.character import Character
from motionllm.motion.characters.performance import ROOT_MOTIONS, Performance
from motionllm.motion.characters.reading import read_character, with_root
from motionllm.motion.characters.retargeting import retarget
from motionllm.motion.characters.saving import SUFFIXES, save

__all__ = ["ROOT_MOTIONS", "SUFFIXES", "Character", "Performance", "read_character", "retarget", "save", "with_root"]
