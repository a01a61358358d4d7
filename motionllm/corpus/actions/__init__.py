"""The actions of the built-in corpus, in the order in which they are drawn.

Every action is a function of an `Actor` (a body with its own style) and a `Part` (what is asked for): it writes keys
into the actor's score and leaves the actor standing, or seated, kneeling or lying. Human dimensions (stride, tempo,
flight time) are rounded from gait textbooks and from free fall.
"""

from motionllm.corpus.actions.arms import ARMS
from motionllm.corpus.actions.bends import BENDS
from motionllm.corpus.actions.gaits import GAITS
from motionllm.corpus.actions.postures import POSTURES
from motionllm.corpus.actions.turns_jumps import TURNS_JUMPS

ACTIONS = {action.name: action for action in (*GAITS, *TURNS_JUMPS, *BENDS, *ARMS, *POSTURES)}
