"""Notation: what a body does, measured from its joints and written as text that a person or any LLM can read.

    3.2 s, standing to standing
    0.0-1.4 run forward 3.4 m/s
    1.5-2.0 turn left 90
    1.8-2.6 wave right hand x3

The first line has the duration and the postures at both ends, each further line one event: its seconds, verb, body
part, direction, size, speed and count. `measure` computes it, `Notation.parse` reads it back exactly,
`Notation.sentence` puts it in plain English. Numbers are rounded once, when they are measured.

Events that `facts` names keep their name (`events`). Movement that no event explains is written as movement of the
limbs and the trunk (`limbs`): raise, lower, stretch, bend, swing, hold, lean, twist. Rules for the whole body that
`facts` lacks are in `body`. A clip that is about one exercise has it as one line (`exercises`).
"""

from motionllm.motion.notation.measuring import DENSITY, joined, lines_of, measure, measure_with_facts
from motionllm.motion.notation.text import Line, Notation
from motionllm.motion.notation.verbs import PACES, POSTURES, SMALL, VERBS, Verb

__all__ = [
    "DENSITY",
    "PACES",
    "POSTURES",
    "SMALL",
    "VERBS",
    "Line",
    "Notation",
    "Verb",
    "joined",
    "lines_of",
    "measure",
    "measure_with_facts",
]
