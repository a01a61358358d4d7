"""Names of acts in requests: verbs, nouns and counts as users say them. The last noun of three or more is held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionllm.data.changes import Act

Words = dict[str, str]  # placeholder of a request → its value
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
TIMES = ("", "once", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times")


@dataclass(frozen=True)
class Wording:
    """An act in a user's words: do it, doing it, and nouns for it, of which the last of three or more is held out."""

    do: str
    doing: str
    nouns: tuple[str, ...]


WORDINGS: dict[str, Wording] = {
    "walk": Wording("walk", "walking", ("walk", "walking", "stroll")),
    "run": Wording("run", "running", ("run", "jog", "running", "sprint")),
    "creep": Wording("sneak", "sneaking", ("sneaking", "creeping", "crouched walk")),
    "crawl": Wording("crawl", "crawling", ("crawl", "crawling")),
    "climb": Wording("climb", "climbing", ("climb", "climbing", "step up")),
    "step": Wording("take a step", "stepping", ("step", "stepping")),
    "turn": Wording("turn", "turning", ("turn", "turning", "rotation")),
    "jump": Wording("jump", "jumping", ("jump", "jumping", "leap")),
    "hop": Wording("hop", "hopping", ("hop", "hopping", "bounce on one leg")),
    "jumping jack": Wording("do jumping jacks", "doing jumping jacks", ("jumping jacks", "star jumps")),
    "cartwheel": Wording("do a cartwheel", "doing a cartwheel", ("cartwheel",)),
    "flip": Wording("do a flip", "doing a flip", ("flip", "somersault")),
    "roll": Wording("roll on the floor", "rolling", ("roll", "rolling")),
    "squat": Wording("squat", "squatting", ("squat", "squatting", "knee bend")),
    "lunge": Wording("lunge", "lunging", ("lunge", "lunging")),
    "kneel": Wording("kneel down", "kneeling", ("kneeling", "kneeling down")),
    "sit": Wording("sit down", "sitting down", ("sitting", "sitting down")),
    "lie": Wording("lie down", "lying down", ("lying down",)),
    "stand up": Wording("stand up", "standing up", ("standing up", "getting up")),
    "bend down": Wording(
        "reach down to the floor", "reaching down", ("reach to the floor", "bending down", "picking up")
    ),
    "bow": Wording("bow", "bowing", ("bow", "bowing", "bend forward")),
    "lean": Wording("lean", "leaning", ("lean", "leaning", "tilt")),
    "twist": Wording("twist the upper body", "twisting", ("twist", "twisting")),
    "look": Wording("look", "looking", ("look", "glance")),
    "wave": Wording("wave", "waving", ("wave", "waving", "greeting", "hello")),
    "throw": Wording("throw something", "throwing", ("throw", "throwing", "toss")),
    "punch": Wording("punch", "punching", ("punch", "punching", "blow")),
    "clap": Wording("clap", "clapping", ("clapping", "claps", "applause")),
    "hands on hips": Wording("put the hands on the hips", "putting the hands on the hips", ("hands on the hips",)),
    "hand to head": Wording("touch the head", "touching the head", ("hand at the head", "touching of the head")),
    "kick": Wording("kick", "kicking", ("kick", "kicking", "high kick")),
    "stand on": Wording("stand on one leg", "standing on one leg", ("balance", "balancing", "stand on one leg")),
    "dance": Wording("dance", "dancing", ("dance", "dancing")),
    "march": Wording("march on the spot", "marching", ("marching", "march")),
    "lift": Wording("lift a leg", "lifting the leg", ("leg lift", "lifting of the leg")),
    "reach up": Wording("reach up", "reaching up", ("reach up", "raised hand", "reaching up")),
    "raise": Wording("raise an arm", "raising the arm", ("raised arm", "arm raise")),
    "lower": Wording("lower an arm", "lowering the arm", ("lowering of the arm",)),
    "stretch": Wording("stretch an arm", "stretching the arm", ("stretch", "stretched arm")),
    "bend": Wording("bend an arm", "bending the arm", ("bent arm", "bending of the arm")),
    "swing": Wording("swing an arm", "swinging the arms", ("swing", "arm swing", "swinging")),
    "circle": Wording("circle an arm", "circling the arm", ("arm circle", "circling of the arm")),
    "hold": Wording("hold an arm still", "holding the arm still", ("hold", "held arm")),
}


_LIMBS = {verb: f"{verb} the {{}}" for verb in ("raise", "lower", "lift", "stretch", "bend", "swing", "circle")}
_LIMBS["hold"] = "hold the {} still"


def act_words(act: Act) -> Words:
    """The verb of an act, and {do} with the limb where one does it."""
    words = {"verb": act.main.verb}
    if act.main.part and act.main.verb in _LIMBS:
        words["do"] = _LIMBS[act.main.verb].format(act.main.part).replace("the both", "both")
    return words


def worded(words: Words, random: np.random.Generator, held_out: bool) -> Words:
    """The words with names for the verbs: {do} {doing} {noun} and {it}, which is one of the latter two; {do2} … for the
    second verb.
    """
    for n in ("", "2"):
        if verb := words.get(f"verb{n}"):
            wording = WORDINGS[verb]
            has_held_out = len(wording.nouns) > 2
            nouns = (
                wording.nouns[-1:]
                if held_out and has_held_out
                else wording.nouns[:-1]
                if has_held_out
                else wording.nouns
            )
            doing = words.get(f"doing{n}", wording.doing)
            noun = f"the {nouns[random.integers(len(nouns))]}"
            it = doing if random.random() < 0.4 and not held_out else noun
            words = {
                f"do{n}": wording.do,
                f"doing{n}": doing,
                f"noun{n}": noun,
                f"it{n}": it,
                f"bare{n}": noun.removeprefix("the "),
            } | words
    return words


def times_words(count: int, random: np.random.Generator) -> str:
    """3 → "three times", "3x" …: a count of up to 8 as a user may say it."""
    if count == 1:
        return ("once", "one time", "a single time")[random.integers(3)]
    written = (TIMES[count], f"{_NUMBERS[count]} times", f"{count} times", f"{count}x")
    return written[random.integers(len(written))]
