"""The language of changes: what a user's words for a change of a motion are translated to (`changes`), and reading it.

    4.2 s: walk forward; wave right hand x3         the motion, as `acts.summary` writes it
    wave other side                                 a change of it; others: wave x5, no wave, slower, mirror, 6.0 s,
    then a person sits down                         walk faster, wave before walk, wait 2 s before wave, only wave,
                                                    after wave a person bows, no 2nd jump, walk 3.0 m, reversed,
                                                    every jump more, repeat x2 …
    wave other side; slower                         several changes, one after the other

What is added is the text after `then`, `first`, `meanwhile`, `becomes`, or `after` and `before` with a verb.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from motionllm.data.acts import ORDINALS, acts
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import VERBS, Notation
from motionllm.motion.notation.verbs import BY_LENGTH

PACE = 1.5  # factor of slower and faster without a number
PACED = {
    "slower": 1 / PACE,
    "much slower": 0.5,
    "a bit slower": 0.8,
    "faster": PACE,
    "much faster": 2.0,
    "a bit faster": 1.25,
}
LASTING = {
    "longer": 1.5,
    "shorter": 1 / 1.5,
    "a bit longer": 1.2,
    "a bit shorter": 1 / 1.2,
    "twice as long": 2.0,
    "half as long": 0.5,
}
# Lines that are no change: another motion, a question about it, the motion before the last change, what no change can
# do (a mood, a camera, things and other people), anything else.
OTHERWISE = ("new", "question", "undo", "cannot", "talk")
EVERY = "every "  # before a verb: each of its acts
BETWEEN = "; "  # several changes of one request
PATHS = {"straight": 0.0, "circle left": 360.0, "circle right": -360.0}  # degrees turned on the way, + to the left

# The forms of the language but for the words of PACED and LASTING, "mirror", "reversed" and what is done with one act
# (`addressed`): name → pattern.
_ACT = f"(?:(?:{'|'.join(ORDINALS)}) )?(?:{'|'.join(BY_LENGTH)})"
_FORMS = {
    "seconds": re.compile(r"(?P<value>\d{1,2}\.\d) s"),
    "part": re.compile(r"(?P<start>\d{1,3}\.\d)-(?P<end>\d{1,3}\.\d) s"),  # what is kept
    "then": re.compile(r"then (?P<text>.+)"),
    "first": re.compile(r"first (?P<text>.+)"),
    "meanwhile": re.compile(r"meanwhile (?P<text>.+)"),
    "after": re.compile(f"after (?P<act>{_ACT}) (?P<text>.+)"),
    "before": re.compile(f"before (?P<act>{_ACT}) (?P<text>.+)"),
    "repeat": re.compile(r"repeat x(?P<value>[2-9])"),  # the whole motion, so often in all
    "wait": re.compile(r"wait (?P<value>\d) s (?P<where>at the end|first|before (?P<act>.+))"),
    "becomes": re.compile(r"(?P<act>.+?) becomes (?P<text>.+)"),
    "order": re.compile(r"(?P<act>.+) before (?P<other>.+)"),
    "no": re.compile(r"no (?P<act>.+)"),
    "only": re.compile(r"only (?P<act>.+)"),
}


@dataclass(frozen=True)
class Change:
    """A change that was read. form: "pace", "mirror", "reversed", "lasting", a key of _FORMS, or "act" for what is done
    with one act. act, other: names of acts (`act_of`). text: what is added, "" if nothing. where: of a rest, "at the
    end", "first" or "before …". value: a factor, or seconds. span: seconds from and to.
    """

    form: str
    act: str = ""
    other: str = ""
    text: str = ""
    where: str = ""
    value: float = 0.0
    span: tuple[float, float] = (0.0, 0.0)


def parse(change: str) -> Change:
    """Read a change; one of no other form is of one act."""
    change = " ".join(change.split())
    if change in PACED:
        return Change("pace", value=PACED[change])
    if change in LASTING:
        return Change("lasting", value=LASTING[change])
    if change in ("mirror", "reversed"):
        return Change(change)
    for form, pattern in _FORMS.items():
        if match := pattern.fullmatch(change):
            words = defaultdict(str, {name: said for name, said in match.groupdict().items() if said})
            value = max(float(words["value"] or 0), 0.2 if form == "seconds" else 0.0)
            span = float(words["start"] or 0), float(words["end"] or 0)
            return Change(form, words["act"], words["other"], words["text"], words["where"], value, span)
    return Change("act")


def parts(change: str) -> list[str]:
    """The changes that are to be made one after the other."""
    return [one for part in change.split(BETWEEN) if (one := " ".join(part.split()))]


def each(old: Notation, change: str) -> list[str]:
    """The changes of single acts that make one of `every` act of a verb, or of a verb and a limb, for the acts that
    this plan has; the last one first, so that the numbers of those before hold.

    Raises MotionLLMError for more acts than have a number.
    """
    match = re.fullmatch(f"(no |){EVERY}(.+)", change)
    if not match:
        return [change]
    verb = next((verb for verb in BY_LENGTH if f"{match[2]} ".startswith(f"{verb} ")), "")
    parts_of = VERBS[verb].parts if verb else ()
    part = next((part for part in parts_of if f"{match[2]} ".startswith(f"{verb} {part} ")), "")
    of_part = [act for act in acts(old) if act.main.verb == verb and act.main.part == part and part]
    number = len(of_part) or sum(act.main.verb == verb for act in acts(old))
    if number < 2:
        return [match[1] + match[2]]
    if match[1]:
        return [f"no last {match[2]}"] * (number - 1) + [f"no {match[2]}"]
    if number > len(ORDINALS):
        raise MotionLLMError(f"{verb!r} is done at {number} times; up to {len(ORDINALS)} can be changed at once.")
    left = "" if " becomes " in match[2] else f"{ORDINALS[0]} "  # of acts that go, the last one has no number
    return [*(f"{ORDINALS[i]} {match[2]}" for i in reversed(range(1, number))), left + match[2]]


def added(change: str) -> str:
    """The text that a change adds, which needs a plan; "" if it adds none."""
    return parse(change).text
