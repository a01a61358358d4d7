"""The vocabulary of notations: verbs with the parts, ways and numbers they allow, and the words of the first line."""

from __future__ import annotations

from dataclasses import dataclass

POSTURES = ("standing", "crouching", "sitting", "kneeling", "lying")
WAYS = ("forward", "backward", "left", "right")
LIMBS = ("left arm", "right arm", "both arms", "left leg", "right leg")
AXES = ("up and down", "sideways", "back and forth")
HANDS = ("left hand", "right hand", "both hands")
LEGS = ("left leg", "right leg", "both legs")
FEET = ("left foot", "right foot")
PACES = ("slowly", "quickly")


@dataclass(frozen=True)
class Verb:
    """What a line with a verb may contain. parts, ways: words for the body part and the direction. size, speed: their
    units.

    usual: below the first it is done "slowly", above the second "quickly": peak speed of what moves (`facts`), m/s; for
    a turn or bow degrees per second, for those in RATES times per second. None: no pace is written.
    """

    parts: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    size: str = ""  # "m", "degrees" (written without a unit)
    speed: bool = False  # m/s
    usual: tuple[float, float] | None = None
    words: tuple[str, str] = ("", "")  # third person and what comes after it in a sentence, {part} and {way} filled in


VERBS: dict[str, Verb] = {
    "walk": Verb(ways=WAYS, size="degrees", speed=True, words=("walks", "{way}")),
    "run": Verb(ways=WAYS, size="degrees", speed=True, words=("runs", "{way}")),
    "creep": Verb(ways=WAYS, size="degrees", speed=True, words=("walks crouched", "{way}")),
    "crawl": Verb(ways=WAYS, size="degrees", speed=True, words=("crawls", "on hands and knees {way}")),
    "climb": Verb(ways=("up", "down"), size="m", words=("climbs", "{way}")),
    "step": Verb(parts=FEET, ways=WAYS, usual=(2.13, 2.8), words=("steps", "{way} with the {part}")),
    "turn": Verb(ways=("left", "right"), size="degrees", usual=(63, 92), words=("turns", "to the {way}")),
    "jump": Verb(ways=WAYS, size="m", words=("jumps", "{way}")),
    "hop": Verb(parts=LEGS[:2], words=("hops", "on the {part}")),
    "dance": Verb(words=("dances", "")),
    "jumping jack": Verb(usual=(0.68, 0.83), words=("does jumping jacks", "")),
    "cartwheel": Verb(words=("does a cartwheel", "")),
    "flip": Verb(words=("does a flip", "")),
    "roll": Verb(words=("does a roll on the floor", "")),
    "squat": Verb(usual=(0.95, 1.42), words=("squats", "")),
    "lunge": Verb(parts=LEGS[:2], usual=(0.9, 1.31), words=("lunges", "with the {part} in front")),
    "kneel": Verb(parts=LEGS, usual=(0.48, 0.79), words=("kneels down", "")),
    "sit": Verb(usual=(0.9, 1.4), words=("sits down", "")),
    "lie": Verb(usual=(1.42, 1.94), words=("lies down on the floor", "")),
    "stand up": Verb(usual=(1.14, 1.73), words=("stands up", "")),
    "bend down": Verb(
        parts=HANDS, usual=(1.15, 1.78), words=("bends down", "and reaches to the floor with the {part}")
    ),
    "bow": Verb(size="degrees", usual=(34, 58), words=("bends forward", "")),
    "lean": Verb(ways=WAYS, size="degrees", words=("leans", "{way}")),
    "twist": Verb(words=("twists the upper body from side to side", "")),
    "look": Verb(ways=("left", "right"), words=("looks", "to the {way}")),
    "wave": Verb(parts=HANDS, usual=(1.36, 2.2), words=("waves", "with the {part}")),
    "throw": Verb(parts=HANDS, usual=(2.86, 3.56), words=("throws something", "with the {part}")),
    "punch": Verb(parts=HANDS, usual=(1.55, 1.89), words=("punches", "with the {part}")),
    "clap": Verb(usual=(2.6, 3.57), words=("claps", "")),
    "hands on hips": Verb(words=("puts the hands on the hips", "")),
    "hand to head": Verb(parts=HANDS, words=("touches the head", "with the {part}")),
    "kick": Verb(parts=LEGS[:2], usual=(3.69, 4.65), words=("kicks", "with the {part}")),
    "stand on": Verb(parts=LEGS[:2], words=("balances", "on the {part}")),
    "march": Verb(usual=(1.94, 2.8), words=("marches on the spot", "")),
    "lift": Verb(parts=LEGS, words=("lifts", "the {part}")),
    "reach up": Verb(parts=HANDS, usual=(2.56, 3.69), words=("raises", "the {part}")),
    "raise": Verb(parts=LIMBS, words=("raises", "the {part}")),
    "lower": Verb(parts=LIMBS, words=("lowers", "the {part}")),
    "stretch": Verb(
        parts=LIMBS, ways=("forward", "out"), usual=(1.22, 1.85), words=("reaches", "{way} with the {part}")
    ),
    "bend": Verb(parts=LIMBS, words=("bends", "the {part}")),
    "swing": Verb(parts=LIMBS, ways=AXES, words=("moves", "the {part} {way}")),
    "circle": Verb(parts=LIMBS, ways=WAYS[:2], words=("rotates", "the {part} {way}")),
    "hold": Verb(parts=LIMBS, ways=("up", "forward", "out"), words=("holds", "the {part} {way}")),
}


TRAVEL = tuple(verb for verb, spec in VERBS.items() if spec.speed)
GAITS = ("walk", "run", "creep")  # travel on the feet
CURVED, CIRCLE = 45.0, 270.0  # degrees; who turns by less on the way goes straight, who turns by more in a circle
RATES = ("march", "step", "wave", "clap", "jumping jack")  # paced by times per second
SMALL = ("raise", "lower", "stretch", "bend", "swing", "hold", "lean", "lift", "step", "look")  # named last
LEADS_TO = {"sit": "sitting", "kneel": "kneeling", "lie": "lying", "stand up": "standing"}  # postures
BY_LENGTH = sorted(VERBS, key=len, reverse=True)
