"""Questions about a specification, with exact short answers."""

from __future__ import annotations

import numpy as np

from motionllm.corpus.action import Part
from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.spec import Spec
from motionllm.corpus.words import choice
from motionllm.numerals import NUMBERS
from motionllm.samples import Question

_MOVES = (
    "Does the person move from the spot?",
    "Does the person leave their place?",
    "Does the person travel through the room?",
)
_IS_IT = (
    "Does the person {do}?",
    "Is the person {doing}?",
    "Do you see the person {do}?",
    "Is there any {doing} in this motion?",
)
_SIDE = (
    "Which {limb} does the person {do} with?",
    "With which {limb} does the person {do}?",
    "The person uses which {limb} to {do}?",
)
_COUNT = (
    "How many times does the person {do}?",
    "How often does the person {do}?",
    "Count the times the person is {doing}.",
)
_DIRECTION = (
    "In which direction does the person {do}?",
    "Which way does the person {do}?",
    "What is the direction when they {do}?",
)
_CIRCLE = (
    "Which way around does the person walk in the circle?",
    "In which direction does the circle go?",
    "Is the circle clockwise or counterclockwise?",
)
_SPEED = (
    "Is the {doing} slow or fast?",
    "Does the person {do} slowly or quickly?",
    "At what speed does the person {do}?",
)
_ONE = (
    "What does the person do?",
    "What is the person doing?",
    "Which action is this?",
    "What action is performed?",
    "Name the action.",
    "What happens in this motion?",
)
_UPPER = (
    "What does the person do while {doing}?",
    "What else does the person do while {doing}?",
    "What do the arms or the head do while the person is {doing}?",
)
_LEGS = ("What do the legs do while the person is {doing}?", "What does the person do while {doing}?")
_FIRST = (
    "What does the person do first?",
    "What comes first?",
    "Which action happens first?",
    "What does the person begin with?",
)
_SECOND = (
    "What does the person do second?",
    "What happens last?",
    "What comes second?",
    "What does the person do at the end?",
    "What is the second action?",
)
_DURATION = (
    "How long does the motion last, in whole seconds?",
    "How many seconds long is the motion?",
    "How many seconds does it take?",
)


def _filled(rng: np.random.Generator, texts: tuple[str, ...], action: str, limb: str = "") -> str:
    """One of the texts, with the action filled in as infinitive or gerund."""
    do, doing = ACTIONS[action].asked
    return choice(rng, texts).format(do=do, doing=doing, limb=limb)


def _ask_side(part: Part, rng: np.random.Generator) -> Question:
    action, limb = ACTIONS[part.action], choice(rng, ("hand", "arm"))
    text = _filled(rng, action.ask_side or _SIDE, part.action, action.limb or limb)
    return Question(text, part.side, "side")


def _ask_count(part: Part, rng: np.random.Generator) -> Question:
    text = _filled(rng, ACTIONS[part.action].ask_count or _COUNT, part.action)
    return Question(text, NUMBERS[part.count], "count")


def _ask_direction(part: Part, rng: np.random.Generator) -> Question:
    circle = part.direction in ("clockwise", "counterclockwise")
    texts = _CIRCLE if circle else ACTIONS[part.action].ask_direction or _DIRECTION
    return Question(_filled(rng, texts, part.action), part.direction, "direction")


def _ask_speed(part: Part, rng: np.random.Generator) -> Question:
    return Question(_filled(rng, _SPEED, part.action), "slow" if part.speed == "slowly" else "fast", "speed")


def _yes_no(spec: Spec, rng: np.random.Generator) -> Question:
    present = [part.action for part in spec.parts]
    kind = rng.random()
    if kind < 0.2:
        travels = [ACTIONS[name].travels for name in present]
        if any(travels) or None not in travels:
            return Question(choice(rng, _MOVES), "yes" if any(travels) else "no", "yesno")
    if kind < 0.4:
        sided = [part for part in spec.parts if part.side in ("left", "right")]
        if sided:
            part = sided[int(rng.integers(len(sided)))]
            guess, action = choice(rng, ("left", "right")), ACTIONS[part.action]
            text = action.ask_whether or "Is it the {side} {limb} that the person uses to {do}?"
            text = text.format(side=guess, limb=action.limb or "hand", do=action.asked[0])
            return Question(text, "yes" if guess == part.side else "no", "yesno")
    if rng.random() < 0.5:
        name, answer = choice(rng, present), "yes"
    else:
        kinds = {kind for name in present for kind in ACTIONS[name].alike}
        others = [
            name
            for name, action in ACTIONS.items()
            if name not in (*present, "stand") and not kinds.intersection(action.alike)
        ]
        name, answer = choice(rng, others), "no"
    return Question(_filled(rng, _IS_IT, name), answer, "yesno")


def _about_actions(spec: Spec, rng: np.random.Generator) -> list[Question]:
    """Questions about what is done: the only action, the simultaneous ones, or the first and the last."""
    first, last = spec.parts[0].action, spec.parts[-1].action
    names = {name: ACTIONS[name].answer for name in (first, last)}
    if not spec.relation:
        return [Question(choice(rng, _ONE), names[first], "action")]
    if spec.relation == "while":
        return [
            Question(_filled(rng, _UPPER, first), names[last], "action"),
            Question(_filled(rng, _LEGS, last), names[first], "action"),
        ]
    result = [
        Question(choice(rng, _FIRST), names[first], "order"),
        Question(choice(rng, _SECOND), names[last], "order"),
    ]
    if first != last:
        after = rng.random() < 0.5
        text = f"What does the person do {'after' if after else 'before'} {ACTIONS[first if after else last].asked[1]}?"
        result.append(Question(text, names[last if after else first], "order"))
    return result


def questions(spec: Spec, rng: np.random.Generator) -> list[Question]:
    """Four to eight questions with exact short answers, of the kinds that the specification allows."""
    result = _about_actions(spec, rng)
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
    result += [asked[k] for k in sorted(keep)]
    if rng.random() < 0.4:
        result.append(Question(choice(rng, _DURATION), NUMBERS[int(spec.seconds + 0.5)], "duration"))
    while len(result) < 4 or (len(result) < 8 and rng.random() < 0.4):
        question = _yes_no(spec, rng)
        if question.text not in [q.text for q in result]:
            result.append(question)
    return result
