"""Words that are exactly true of a specification: captions, questions and their answers.

Captions follow the manner of HumanML3D's annotators: many subjects, synonyms, adverbs before or after,
present tense or gerund. A template marks its verb in brackets, `{their}` is the subject's possessive,
`{side}` and `{way}` the part's words, `{n}` where "twice" may stand, `{slow}` where an adverb may.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from motionllm.data.builtin.spec import CHOICES, Part, Spec
from motionllm.data.samples import Question

_SUBJECTS = (
    ("a person", "their"),
    ("a person", "their"),
    ("a person", "their"),
    ("the person", "their"),
    ("person", "their"),
    ("someone", "their"),
    ("a man", "his"),
    ("the man", "his"),
    ("a woman", "her"),
    ("the figure", "its"),
    ("he", "his"),
    ("a figure", "its"),
    ("this person", "their"),
    ("somebody", "their"),
)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TIMES = {1: ("once", "one time"), 2: ("twice", "two times"), 3: ("three times",), 4: ("four times", "4 times")}
_SPEED_WORDS = {"slowly": ("slowly", "slowly", "at a slow speed"), "quickly": ("quickly", "quickly", "fast", "rapidly")}
_BEFORE = {"slowly": ("slowly",), "quickly": ("quickly", "rapidly")}

# The arm or leg of a part's side: the second form for both of them.
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "walk/forward": (
        "[walk] forward{slow}",
        "[walk]{slow} forward",
        "[walk] forwards{slow}",
        "[walk] straight ahead{slow}",
        "[walk] in a straight line{slow}",
        "[walk]{slow} straight forward",
        "[stroll] forward",
        "[take] a walk forward{slow}",
        "[walk] ahead{slow}",
    ),
    "walk/backward": (
        "[walk] backward{slow}",
        "[walk]{slow} backwards",
        "[walk] backwards{slow}",
        "[back] up{slow}",
        "[walk] back in reverse{slow}",
        "[walk]{slow} backward in a straight line",
    ),
    "walk/left": (
        "[walk] in a curve to the {way}{slow}",
        "[walk] forward curving to the {way}{slow}",
        "[walk]{slow} along a curve to {their} {way}",
        "[walk]{slow} in an arc to the {way}",
        "[walk] forward{slow}, veering to the {way}",
    ),
    "walk/clockwise": (
        "[walk] in a {way} circle{slow}",
        "[walk]{slow} in a {way} circle",
        "[walk] {way} in a circle{slow}",
        "[walk]{slow} around in a {way} circle",
        "[walk] in a circle, {way}{slow}",
    ),
    "run/forward": ("[run] forward{slow}", "[run] straight ahead{slow}", "[run] forwards{slow}", "[run]{slow} ahead"),
    "run/left": (
        "[run] in a curve to the {way}{slow}",
        "[run] forward curving to the {way}{slow}",
        "[run]{slow} in an arc to {their} {way}",
    ),
    "crouch_walk": (
        "[walk] forward in a crouch{slow}",
        "[sneak] forward{slow}",
        "[walk]{slow} crouched down",
        "[crouch] and [walk] forward{slow}",
        "[walk] forward{slow} while crouching",
        "[sneak] ahead{slow}, bent low",
    ),
    "march": ("[march] in place{slow}", "[march] on the spot{slow}", "[walk] in place{slow}", "[march]{slow} in place"),
    "step": (
        "[take] {steps} {way}{slow}",
        "[step] {way}{n}{slow}",
        "[take] {steps} {way}{slow}",
        "[step]{slow} {way}{n}",
    ),
    "sidestep": (
        "[step] to the {way}{n}{slow}",
        "[sidestep] to the {way}{n}{slow}",
        "[take] {sidesteps} to the {way}{slow}",
        "[step] sideways to {their} {way}{n}{slow}",
        "[side step] to the {way}{n}{slow}",
    ),
    "turn": (
        "[turn] to the {way}{slow}",
        "[turn] {way}{slow}",
        "[turn]{slow} to {their} {way}",
        "[rotate] to the {way}{slow}",
        "[make] a {way} turn{slow}",
        "[turn] 90 degrees to the {way}{slow}",
        "[do] a quarter turn to the {way}{slow}",
    ),
    "turn_around": (
        "[turn] around to the {way}{slow}",
        "[turn] around over {their} {way} shoulder{slow}",
        "[turn] 180 degrees to the {way}{slow}",
        "[turn]{slow} around to {their} {way}",
        "[do] a half turn to the {way}{slow}",
    ),
    "spin": (
        "[spin] around to the {way}{slow}",
        "[turn] a full circle to the {way}{slow}",
        "[spin] 360 degrees to the {way}{slow}",
        "[spin]{slow} in a full circle to {their} {way}",
        "[do] a full turn to the {way}{slow}",
    ),
    "jump": (
        "[jump] up and down{n}",
        "[jump]{n}",
        "[jump] in place{n}",
        "[do] {jumps}",
        "[jump] on the spot{n}",
        "[jump] up{n}",
        "[leap] into the air{n}",
    ),
    "jump/forward": (
        "[jump] {way}{n}",
        "[leap] {way}{n}",
        "[do] {jumps} {way}",
        "[jump] {way}s{n}",
        "[make] {jumps} {way}",
    ),
    "jump/left": (
        "[jump] to the {way}{n}",
        "[jump] sideways to the {way}{n}",
        "[do] {jumps} to the {way}",
        "[leap] to {their} {way}{n}",
    ),
    "hop": (
        "[hop] on {their} {side} leg{n}",
        "[hop] on {their} {side} foot{n}",
        "[hop] on the {side} leg{n}",
        "[jump] on {their} {side} leg{n}",
        "[hop]{n} on one leg, the {side} one",
    ),
    "squat": (
        "[squat]{n}{slow}",
        "[squat] down and [stand] back up{n}{slow}",
        "[do] {squats}{slow}",
        "[perform] {squats}{slow}",
        "[squat] down{n}{slow}",
    ),
    "lunge": (
        "[lunge] forward with {their} {side} leg{n}{slow}",
        "[do] {lunges} with the {side} leg{slow}",
        "[lunge] with the {side} foot forward{n}{slow}",
        "[perform] {lunges} with {their} {side} leg{slow}",
    ),
    "bow": (
        "[bow]{n}{slow}",
        "[take] {bows}{slow}",
        "[bow] forward{n}{slow}",
        "[bow] politely{n}{slow}",
        "[bow] down{n}{slow}",
    ),
    "touch_toes": (
        "[touch] {their} toes{n}{slow}",
        "[bend] down and [touch] {their} toes{n}{slow}",
        "[bend] over to touch {their} toes{n}{slow}",
        "[reach] down to {their} toes{n}{slow}",
    ),
    "pick": (
        "[pick] something up with {their} {side} hand{slow}",
        "[pick] up something from the floor with the {side} hand{slow}",
        "[bend] down and [pick] something up with {their} {side} hand{slow}",
        "[pick] an object up off the ground with {their} {side} hand{slow}",
    ),
    "wave": (
        "[wave] {their} {side} hand{n}{slow}",
        "[wave] with {their} {side} hand{n}{slow}",
        "[wave] {their} {side} arm{n}{slow}",
        "[wave]{n}{slow} with the {side} hand",
        "[wave] the {side} hand{n}{slow}",
        "[wave] hello with {their} {side} hand{n}{slow}",
    ),
    "wave/both": (
        "[wave] both hands{n}{slow}",
        "[wave] with both hands{n}{slow}",
        "[wave] both arms{n}{slow}",
        "[wave] {their} hands{n}{slow}",
        "[wave]{n}{slow} with both arms",
    ),
    "raise": (
        "[raise] {their} {side} hand{slow}",
        "[raise] {their} {side} arm{slow}",
        "[lift] {their} {side} arm up{slow}",
        "[put] {their} {side} hand up{slow}",
        "[raise] the {side} hand above {their} head{slow}",
        "[lift] {their} {side} hand over {their} head{slow}",
    ),
    "raise/both": (
        "[raise] both hands{slow}",
        "[raise] both arms{slow}",
        "[lift] both arms up{slow}",
        "[put] both hands up{slow}",
        "[raise] both hands above {their} head{slow}",
        "[raise] {their} arms{slow}",
    ),
    "punch": (
        "[punch] with {their} {side} hand{n}{slow}",
        "[punch] with the {side} fist{n}{slow}",
        "[throw] {punches} with {their} {side} hand{slow}",
        "[punch] forward with {their} {side} arm{n}{slow}",
        "[punch]{n}{slow} with the {side} arm",
    ),
    "clap": (
        "[clap]{n}{slow}",
        "[clap] {their} hands{n}{slow}",
        "[clap] {their} hands together{n}{slow}",
        "[clap]{slow} with both hands{n}",
    ),
    "stretch": (
        "[stretch] {their} arms out to the sides{slow}",
        "[hold] {their} arms out to the sides{slow}",
        "[extend] both arms sideways{slow}",
        "[spread] {their} arms out{slow}",
        "[make] a T pose{slow}",
        "[stretch] both arms out{slow}",
    ),
    "hips": (
        "[put] {their} hands on {their} hips",
        "[place] both hands on {their} hips",
        "[rest] {their} hands on {their} hips",
    ),
    "drink": (
        "[drink] with {their} {side} hand",
        "[take] a drink with {their} {side} hand",
        "[bring] {their} {side} hand to {their} mouth to drink",
        "[drink] something with the {side} hand",
    ),
    "look": (
        "[look] to the {way}{slow}",
        "[look] {way}{slow}",
        "[look]{slow} to {their} {way}",
        "[turn] {their} head to the {way}{slow}",
        "[look] over to the {way}{slow}",
    ),
    "throw": (
        "[throw] something with {their} {side} hand{slow}",
        "[throw] a ball with {their} {side} arm{slow}",
        "[throw] an object with the {side} hand{slow}",
        "[throw] something forward with {their} {side} arm{slow}",
    ),
    "kick": (
        "[kick] with {their} {side} leg{n}{slow}",
        "[kick] with the {side} foot{n}{slow}",
        "[kick] {their} {side} leg forward{n}{slow}",
        "[do] {kicks} with {their} {side} leg{slow}",
        "[kick]{n}{slow} with {their} {side} foot",
    ),
    "balance": (
        "[stand] on {their} {side} leg",
        "[balance] on {their} {side} leg",
        "[balance] on the {side} foot",
        "[stand] on one leg, the {side} one",
        "[stand] on the {side} foot",
    ),
    "sit": (
        "[sit] down{slow}",
        "[sit] down on a chair{slow}",
        "[take] a seat{slow}",
        "[sit]{slow} on a chair",
        "[sit]{slow} down",
    ),
    "stand_up": (
        "[stand] up{slow}",
        "[get] up from a chair{slow}",
        "[stand] up from a chair{slow}",
        "[rise] from a seat{slow}",
        "[stand]{slow} up from sitting",
    ),
    "kneel": (
        "[kneel] down on {their} {side} knee{slow}",
        "[kneel] on the {side} knee{slow}",
        "[go] down on {their} {side} knee{slow}",
        "[drop] to {their} {side} knee{slow}",
    ),
    "kneel/both": (
        "[kneel] down on both knees{slow}",
        "[kneel] on both knees{slow}",
        "[go] down on {their} knees{slow}",
        "[drop] to both knees{slow}",
    ),
    "lie": (
        "[lie] down on {their} back{slow}",
        "[lie] down{slow}",
        "[lie] down on the floor{slow}",
        "[lie]{slow} down on the ground",
    ),
    "jumping_jacks": ("[do] {jacks}{slow}", "[perform] {jacks}{slow}", "[do] {jacks}{slow}"),
    "stand": (
        "[stand] still",
        "[stand] in place",
        "[stand] without moving",
        "[remain] standing",
        "[stand] there motionless",
    ),
}
_NOUNS = {
    "steps": "step",
    "sidesteps": "side step",
    "jumps": "jump",
    "squats": "squat",
    "lunges": "lunge",
    "bows": "bow",
    "punches": "punch",
    "kicks": "kick",
    "jacks": "jumping jack",
}
_GERUND = {
    "sit": "sitting",
    "put": "putting",
    "run": "running",
    "spin": "spinning",
    "hop": "hopping",
    "squat": "squatting",
    "clap": "clapping",
    "lie": "lying",
    "get": "getting",
    "jog": "jogging",
    "side step": "side stepping",
    "drop": "dropping",
    "step": "stepping",
    "sidestep": "sidestepping",
}


def _inflect(verb: str, form: str) -> str:
    """A verb in the third person ("s"), as a gerund ("ing") or bare ("")."""
    if form == "ing":
        return _GERUND.get(verb) or (verb[:-1] if verb.endswith("e") else verb) + "ing"
    if form == "s":
        if verb.endswith(("ch", "sh", "s", "x", "o")):
            return verb + "es"
        return verb[:-1] + "ies" if re.search("[^aeiou]y$", verb) else verb + "s"
    return verb


def _choice(rng: np.random.Generator, options: tuple[Any, ...]) -> Any:
    return options[int(rng.integers(len(options)))]


def _template(part: Part, rng: np.random.Generator) -> str:
    key = part.side if part.side == "both" else part.direction
    key = {"right": "left", "counterclockwise": "clockwise"}.get(key, key)
    if part.action == "jump" and key == "backward":
        key = "forward"
    options = _TEMPLATES.get(f"{part.action}/{key}") or _TEMPLATES[part.action]
    if part.speed:
        options = tuple(o for o in options if "{slow}" in o)
    if part.count:
        nouns = tuple("{" + n + "}" for n in _NOUNS)
        options = tuple(o for o in options if "{n}" in o or any(n in o for n in nouns))
    return _choice(rng, options)


def phrase(part: Part, rng: np.random.Generator, form: str, their: str = "their") -> str:
    """A verb phrase for a part: "walks slowly forward" (form "s"), "walking …" ("ing"), "walk …" ("")."""
    text = _template(part, rng)
    if part.action == "run":
        verb = _choice(
            rng, {"slowly": ("run", "jog"), "quickly": ("run", "sprint"), "": ("run", "run", "jog")}[part.speed]
        )
        text = text.replace("[run]", f"[{verb}]")
    way = part.direction
    if way == "counterclockwise":
        way = _choice(rng, ("counterclockwise", "counterclockwise", "counter clockwise", "anticlockwise"))
    count = part.count or 1
    for slot, noun in _NOUNS.items():
        if "{" + slot + "}" in text:
            plural = noun + ("es" if noun.endswith("ch") else "s")
            if part.count == 1:
                noun = _choice(rng, ("a " + noun, "one " + noun))
            elif part.count:
                noun = f"{NUMBERS[count]} {plural}"
            elif part.action in ("jumping_jacks", "punch"):
                noun = plural
            else:
                noun = "a " + noun
            text = text.replace("{" + slot + "}", noun)
    adverb, front = "", ""
    if part.speed:
        if rng.random() < 0.35:
            front = _choice(rng, _BEFORE[part.speed]) + " "
        else:
            adverb = " " + _choice(rng, _SPEED_WORDS[part.speed])
    text = text.replace("{slow}", adverb)
    text = text.replace("{n}", " " + _choice(rng, _TIMES[count]) if part.count else "")
    text = text.replace("{their}", their).replace("{side}", part.side).replace("{way}", way)
    text = text.replace(" a anti", " an anti")
    return front + re.sub(r"\[(.+?)\]", lambda m: _inflect(m[1], form), text)


def _sentence(text: str, rng: np.random.Generator) -> str:
    return text + ("." if rng.random() < 0.75 else "")


def _pronoun(subject: str) -> str:
    return {"a man": "he", "the man": "he", "he": "he", "a woman": "she"}.get(
        subject, "it" if "figure" in subject else "they"
    )


def caption(spec: Spec, rng: np.random.Generator) -> str:
    """One sentence that describes the whole specification."""
    subject, their = _choice(rng, _SUBJECTS)

    def say(k: int, form: str) -> str:
        return phrase(spec.parts[k], rng, form, their)

    if not spec.relation:
        form = int(rng.integers(8))
        if form == 0:
            return _sentence(f"{subject} is {say(0, 'ing')}", rng)
        if form == 1 and subject not in ("he", "person"):
            return _sentence(f"{subject} {say(0, 'ing')}", rng)
        return _sentence(f"{subject} {say(0, 's')}", rng)
    form = int(rng.integers(8))
    if spec.relation == "then":
        first, second = say(0, "s"), say(1, "s")
        if form < 2:
            text = f"{subject} {first}, then {second}"
        elif form < 4:
            text = f"{subject} {first} and then {second}"
        elif form == 4:
            text = f"{subject} {first} before {say(1, 'ing')}"
        elif form == 5:
            text = f"after {say(0, 'ing')}, {subject} {second}"
        elif form == 6:
            text = f"{subject} first {first}, and afterwards {second}"
        else:
            text = f"{subject} {first}. then {_pronoun(subject)} {phrase(spec.parts[1], rng, _agree(subject), their)}"
        return _sentence(text, rng)
    if form < 3:
        text = f"{subject} {say(0, 's')} while {say(1, 'ing')}"
    elif form < 5:
        text = f"{subject} {say(1, 's')} while {say(0, 'ing')}"
    elif form == 5:
        text = f"while {say(0, 'ing')}, {subject} {say(1, 's')}"
    elif form == 6:
        text = f"{subject} {say(0, 's')} and {say(1, 's')} at the same time"
    else:
        text = f"{subject} is {say(0, 'ing')} and {say(1, 'ing')} at the same time"
    return _sentence(text, rng)


def _agree(subject: str) -> str:
    return "" if _pronoun(subject) == "they" else "s"


def captions(spec: Spec, rng: np.random.Generator, n: int = 3) -> list[str]:
    """n sentences, different where the language allows."""
    found: list[str] = []
    for _ in range(4 * n):
        text = caption(spec, rng)
        if text not in found:
            found.append(text)
        if len(found) == n:
            break
    return found


NAMES = {
    "walk": "walk",
    "run": "run",
    "crouch_walk": "sneak",
    "march": "march",
    "step": "step",
    "sidestep": "sidestep",
    "turn": "turn",
    "turn_around": "turn around",
    "spin": "spin",
    "jump": "jump",
    "hop": "hop",
    "squat": "squat",
    "lunge": "lunge",
    "bow": "bow",
    "touch_toes": "touch toes",
    "pick": "pick something up",
    "wave": "wave",
    "raise": "raise hand",
    "punch": "punch",
    "clap": "clap",
    "stretch": "stretch arms",
    "hips": "hands on hips",
    "drink": "drink",
    "look": "look aside",
    "throw": "throw",
    "kick": "kick",
    "balance": "stand on one leg",
    "sit": "sit down",
    "stand_up": "stand up",
    "kneel": "kneel",
    "lie": "lie down",
    "jumping_jacks": "jumping jacks",
    "stand": "stand still",
}
# How a question names an action: (third person's infinitive, gerund).
_ASKED = {
    "walk": ("walk", "walking"),
    "run": ("run", "running"),
    "crouch_walk": ("sneak", "sneaking"),
    "march": ("march in place", "marching in place"),
    "step": ("take single steps", "taking steps"),
    "sidestep": ("step sideways", "stepping sideways"),
    "turn": ("turn", "turning"),
    "turn_around": ("turn around", "turning around"),
    "spin": ("spin around", "spinning around"),
    "jump": ("jump", "jumping"),
    "hop": ("hop on one leg", "hopping"),
    "squat": ("squat", "squatting"),
    "lunge": ("lunge", "lunging"),
    "bow": ("bow", "bowing"),
    "touch_toes": ("touch their toes", "touching their toes"),
    "pick": ("pick something up", "picking something up"),
    "wave": ("wave", "waving"),
    "raise": ("raise a hand", "raising a hand"),
    "punch": ("punch", "punching"),
    "clap": ("clap", "clapping"),
    "stretch": ("stretch the arms out", "stretching the arms out"),
    "hips": ("put the hands on the hips", "putting the hands on the hips"),
    "drink": ("drink", "drinking"),
    "look": ("look to one side", "looking to one side"),
    "throw": ("throw something", "throwing something"),
    "kick": ("kick", "kicking"),
    "balance": ("stand on one leg", "standing on one leg"),
    "sit": ("sit down", "sitting down"),
    "stand_up": ("stand up", "standing up"),
    "kneel": ("kneel down", "kneeling down"),
    "lie": ("lie down", "lying down"),
    "jumping_jacks": ("do jumping jacks", "doing jumping jacks"),
    "stand": ("stand still", "standing still"),
}
# Within a group a "no" would be arguable, so it is not asked.
_ALIKE = (
    {"walk", "run", "crouch_walk", "march", "step", "sidestep"},
    {"turn", "turn_around", "spin", "walk", "run", "look"},
    {"jump", "hop", "jumping_jacks"},
    {"squat", "sit", "kneel", "lunge", "pick", "lie", "crouch_walk", "stand_up", "touch_toes", "bow"},
    {"wave", "raise", "stretch", "jumping_jacks", "throw", "punch", "drink", "clap", "squat", "hips"},
    {"kick", "balance", "hop", "march", "lunge", "step"},
)
_TRAVELS = {"walk", "run", "crouch_walk", "step", "sidestep"}
_STAYS = {
    "wave",
    "raise",
    "clap",
    "stretch",
    "hips",
    "drink",
    "look",
    "bow",
    "touch_toes",
    "stand",
    "march",
    "squat",
    "balance",
    "pick",
    "turn",
    "turn_around",
    "spin",
    "punch",
    "stand_up",
}
_LIMB = {"kick": "leg", "hop": "leg", "balance": "leg", "lunge": "leg", "kneel": "knee"}
_WHO = ("the person", "the person", "he or she", "the figure")


def _ask_side(part: Part, rng: np.random.Generator) -> Question:
    limb, (do, _) = _LIMB.get(part.action, _choice(rng, ("hand", "arm"))), _ASKED[part.action]
    if part.action == "balance":
        text = _choice(rng, ("Which leg does the person stand on?", "On which leg does the person balance?"))
    elif part.action == "hop":
        text = _choice(rng, ("Which leg does the person hop on?", "On which leg does the person hop?"))
    elif part.action == "kneel":
        text = _choice(rng, ("Which knee does the person kneel on?", "On which knee does the person kneel down?"))
    elif part.action == "raise":
        text = _choice(rng, (f"Which {limb} does the person raise?", f"Which {limb} goes up?"))
    else:
        text = _choice(
            rng,
            (
                f"Which {limb} does the person {do} with?",
                f"With which {limb} does the person {do}?",
                f"The person uses which {limb} to {do}?",
            ),
        )
    return Question(text, part.side, "side")


def _ask_count(part: Part, rng: np.random.Generator) -> Question:
    if part.action == "step":
        text = _choice(rng, ("How many steps does the person take?", "How many steps are taken?"))
    elif part.action == "sidestep":
        text = _choice(
            rng, ("How many side steps does the person take?", "How many times does the person step sideways?")
        )
    else:
        do, doing = _ASKED[part.action]
        if part.action == "jumping_jacks":
            text = _choice(rng, ("How many jumping jacks does the person do?", "What is the number of jumping jacks?"))
        else:
            text = _choice(
                rng,
                (
                    f"How many times does the person {do}?",
                    f"How often does the person {do}?",
                    f"Count the times the person is {doing}.",
                ),
            )
    return Question(text, NUMBERS[part.count], "count")


def _ask_direction(part: Part, rng: np.random.Generator) -> Question:
    do = _ASKED[part.action][0]
    if part.direction in ("clockwise", "counterclockwise"):
        text = _choice(
            rng,
            (
                "Which way around does the person walk in the circle?",
                "In which direction does the circle go?",
                "Is the circle clockwise or counterclockwise?",
            ),
        )
    elif part.action == "look":
        text = _choice(rng, ("Which way does the person look?", "To which side does the person look?"))
    else:
        text = _choice(
            rng,
            (
                f"In which direction does the person {do}?",
                f"Which way does the person {do}?",
                f"What is the direction when they {do}?",
            ),
        )
    return Question(text, part.direction, "direction")


def _ask_speed(part: Part, rng: np.random.Generator) -> Question:
    do, doing = _ASKED[part.action]
    text = _choice(
        rng,
        (
            f"Is the {doing} slow or fast?",
            f"Does the person {do} slowly or quickly?",
            f"At what speed does the person {do}?",
        ),
    )
    return Question(text, "slow" if part.speed == "slowly" else "fast", "speed")


def _yes_no(spec: Spec, rng: np.random.Generator) -> Question:
    present = [part.action for part in spec.parts]
    kind = rng.random()
    if kind < 0.2:
        moves = any(a in _TRAVELS for a in present)
        if moves or all(a in _STAYS for a in present):
            text = _choice(
                rng,
                (
                    "Does the person move from the spot?",
                    "Does the person leave their place?",
                    "Does the person travel through the room?",
                ),
            )
            return Question(text, "yes" if moves else "no", "yesno")
    if kind < 0.4:
        sided = [part for part in spec.parts if part.side in ("left", "right")]
        if sided:
            part = sided[int(rng.integers(len(sided)))]
            guess, do = _choice(rng, ("left", "right")), _ASKED[part.action][0]
            limb = _LIMB.get(part.action, "hand")
            text = (
                f"Does the person stand on the {guess} leg?"
                if part.action == "balance"
                else f"Is it the {guess} {limb} that the person uses to {do}?"
            )
            return Question(text, "yes" if guess == part.side else "no", "yesno")
    if rng.random() < 0.5:
        action, answer = _choice(rng, tuple(present)), "yes"
    else:
        banned = set(present).union(*(group for group in _ALIKE if group & set(present)))
        action, answer = _choice(rng, tuple(a for a in CHOICES if a not in banned and a != "stand")), "no"
    do, doing = _ASKED[action]
    return Question(
        _choice(
            rng,
            (
                f"Does the person {do}?",
                f"Is the person {doing}?",
                f"Do you see the person {do}?",
                f"Is there any {doing} in this motion?",
            ),
        ),
        answer,
        "yesno",
    )


def questions(spec: Spec, rng: np.random.Generator) -> list[Question]:
    """Four to eight questions with exact short answers, of the kinds the specification allows."""
    found: list[Question] = []
    first, last = spec.parts[0], spec.parts[-1]
    if not spec.relation:
        found.append(
            Question(
                _choice(
                    rng,
                    (
                        "What does the person do?",
                        "What is the person doing?",
                        "Which action is this?",
                        "What action is performed?",
                        "Name the action.",
                        "What happens in this motion?",
                    ),
                ),
                NAMES[first.action],
                "action",
            )
        )
    elif spec.relation == "while":
        doing = _ASKED[first.action][1]
        found.append(
            Question(
                _choice(
                    rng,
                    (
                        f"What does the person do while {doing}?",
                        f"What else does the person do while {doing}?",
                        f"What do the arms or the head do while the person is {doing}?",
                    ),
                ),
                NAMES[last.action],
                "action",
            )
        )
        doing = _ASKED[last.action][1]
        found.append(
            Question(
                _choice(
                    rng,
                    (f"What do the legs do while the person is {doing}?", f"What does the person do while {doing}?"),
                ),
                NAMES[first.action],
                "action",
            )
        )
    else:
        ask_first = _choice(
            rng,
            (
                "What does the person do first?",
                "What comes first?",
                "Which action happens first?",
                "What does the person begin with?",
            ),
        )
        ask_last = _choice(
            rng,
            (
                "What does the person do second?",
                "What happens last?",
                "What comes second?",
                "What does the person do at the end?",
                "What is the second action?",
            ),
        )
        found += [Question(ask_first, NAMES[first.action], "order"), Question(ask_last, NAMES[last.action], "order")]
        if first.action != last.action:
            found.append(
                Question(f"What does the person do after {_ASKED[first.action][1]}?", NAMES[last.action], "order")
                if rng.random() < 0.5
                else Question(f"What does the person do before {_ASKED[last.action][1]}?", NAMES[first.action], "order")
            )
    asked: list[Question] = []
    for k, part in enumerate(spec.parts):
        if len(spec.parts) == 2 and part.action == spec.parts[1 - k].action:
            continue  # "which hand does the person wave with" would have two answers
        if part.side:
            asked.append(_ask_side(part, rng))
        if part.count:
            asked.append(_ask_count(part, rng))
        if part.direction:
            asked.append(_ask_direction(part, rng))
        if part.speed and all(p.speed in ("", part.speed) for p in spec.parts):
            asked.append(_ask_speed(part, rng))
    keep = rng.permutation(len(asked))[:4]
    found += [asked[k] for k in sorted(keep)]
    if rng.random() < 0.4:
        found.append(
            Question(
                _choice(
                    rng,
                    (
                        "How long does the motion last, in whole seconds?",
                        "How many seconds long is the motion?",
                        "How many seconds does it take?",
                    ),
                ),
                NUMBERS[int(spec.seconds + 0.5)],
                "duration",
            )
        )
    while len(found) < 4 or (len(found) < 8 and rng.random() < 0.4):
        question = _yes_no(spec, rng)
        if question.text not in [q.text for q in found]:
            found.append(question)
    return found
