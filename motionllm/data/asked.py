"""What a free text asks of a motion: verbs of the notation with side, way, count, pace, seconds and metres, in the
order named or at the same time.

`asked` reads a text, `share` measures how much of it a notation has, `named` how much of the notation it asks for, and
`contradiction` whether the two name opposite sides. It covers the words that people use, not only those of the built-in
corpus: `reading.named` finds the corpus' actions, the patterns here the rest.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from motionllm.corpus.actions import ACTIONS
from motionllm.corpus.reading import CONNECTOR, PATTERNS
from motionllm.data.acts import COUNTED, REPEATED
from motionllm.data.rests import Named, Rest, rests, without
from motionllm.data.timeline import LONG
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import PACES, SMALL, VERBS, Line, Notation, measure
from motionllm.motion.notation.verbs import CIRCLE, GAITS, LEADS_TO
from motionllm.numerals import COUNTS, OFTEN

WINDING = (  # what names a path and how a body moves at once
    r"\bzig[ -]?zag(?:s|ged|ging)\b(?! (?:pattern|path|line))|\bslalom(?:s|ed|ing)\b|\bmeander(?:s|ed|ing)\b"
    r"|\bweav(?:es|ing) (?=through|between|around|from side|in and out|back and forth|along|forward)"
    r"|\bsnak(?:es|ing) (?=through|between|around|along|forward)"
)
# Patterns without an action in the built-in corpus, searched in this order before its own.
_MORE: tuple[tuple[str, str], ...] = (
    ("flip", r"\b(?:back|front)[ -]?flips?\b|\bflips?\b(?! (?:the|a|his|her|something))|\bsomersault\w*"),
    ("cartwheel", r"\bcart[ -]?wheel\w*"),
    ("roll", r"\broll(?:s|ed|ing)?\b(?= (?:over|on|forward|to|across|back))|\b(?:forward|dive|action|shoulder) roll"),
    ("crawl", r"\bcrawl\w*|\bon (?:\w+ )?hands and knees\b|\bon all fours\b"),
    ("climb", r"\bclimb\w*|\b(?:up|down|upstairs|downstairs)(?: \w+)? (?:stairs|steps|ladder)\b|\bstairs\b"),
    ("dance", r"\bdanc(?:e|es|ed|ing)\b|\b(?:salsa|waltz|ballet|tango)\w*"),
    ("circle", r"\b(?:rotat|circl|windmill)\w*(?: \w+){0,3}? (?:arms?|shoulders?)\b|\barm circles?\b"),
    ("lift", r"\b(?:lift|rais)\w*(?: \w+){0,3}? (?:legs?|knees?|foot|feet)\b|\bknees? (?:up|to)\b"),
    ("twist", r"\btwist\w*"),
    ("lean", r"\blean(?:s|ed|ing)?\b"),
    ("lift", r"\belbows? to (?:\w+ ){0,2}knees?\b"),
    ("pick", r"\b(?:put|plac|set|deposit)\w*(?: \w+){0,4}? (?:down|(?:on|to) (?:the )?(?:floor|ground))\b"),
    ("pick", r"\blay(?!\w* (?:back )?down)\w*(?: \w+){1,4}? (?:down|(?:on|to) (?:the )?(?:floor|ground))\b"),
    ("run", r"\bdash(?:es|ed|ing)?\b"),
    ("punch", r"\buppercuts?\b"),
    (
        "sidestep",
        r"\b(?:walk|mov|go|shuffl|travel|tiptoe)\w* (?:\w+ )?sideways\b|\bsideways (?:walk|shuffl|mov)\w*"
        r"|\bstraf(?:e|es|ed|ing)\b|\bsidl(?:e|es|ed|ing)\b|\bside[ -](?:shuffl|walk|straf)\w*"
        r"|\b(?:walk|step|mov|shuffl)\w* to (?:the|one|his|her|their|its) side\b",
    ),
    ("point", r"\bpoint(?:s|ed|ing)\b(?! (?:\w+ )?(?:toes?|foot|feet))"),
    ("wave", r"\bwav\w* (?:\w+ )?(?:good ?)?bye\b|\bsay\w* (?:good ?)?bye\b"),
    ("squat", r"\bcrouch(?:es|ed|ing)?\b(?! and walk)|\bduck(?:s|ed|ing)?\b"),
    ("raise", r"\b(?:rais|reach)(?:e|es|ed|ing)\b(?=(?: up)?[ .!]*$)"),  # an arm, if nothing else is named
)
_LAST: tuple[tuple[str, str], ...] = (  # searched after the corpus' own
    ("walk", r"\b(?:pac(?:e|es|ed|ing)|strid(?:e|es|ing)|strode|stumbl\w*|stagger\w*|limp\w*|wander\w*|tiptoe\w*)\b"),
    ("walk", WINDING),
    ("walk", r"\bmov(?:e|es|ed|ing) (?:straight )?(?:forward|backward|sideways|ahead|to the|around|in a)"),
    ("touch", r"\b(?:touch|scratch|rub|hold|cover|put|bring|rais|lift)\w*(?: \w+){0,5}? (?:face|head|mouth|nose|chin)"),
    ("touch", r"\b(?:eat|eats|eating|smok\w*|phone|telephone)\b"),
    ("pick", r"\b(?:bend(?:s|ing)?|bent) down\b"),
    ("reach", r"\breach\w*|\bgrab\w*|\bpoint\b|\bpush\w*|\bpull\w*"),
    ("move", r"\b(?:mov|swing|shak|flap|wiggl|stir|wip|wash|scrub|clean|strum|play|dribbl|bounc)\w*"),
)
# {action: verbs of the notation that show it}: its own, then others that it may be measured as.
_SHOWN: dict[str, tuple[str, ...]] = {name: action.shown for name, action in ACTIONS.items() if action.shown} | {
    "flip": ("flip", "roll", "cartwheel"),
    "roll": ("roll", "flip"),
    "cartwheel": ("cartwheel", "flip"),
    "crawl": ("crawl",),
    "climb": ("climb", "step"),
    "dance": ("dance", "turn", "step"),
    "circle": ("circle", "swing"),
    "lift": ("lift", "stand on", "kick", "march"),
    "twist": ("twist", "turn"),
    "lean": ("lean", "bow"),
    "point": ("stretch", "hold"),
    "point up": ("reach up", "hold"),
    "touch": ("hand to head", "reach up", "raise", "hold", "wave"),
    "reach": ("stretch", "reach up", "bend down", "raise", "swing", "hold", "throw", "punch"),
    "move": ("swing", "wave", "circle", "raise", "reach up", "stretch", "bend", "lower", "hold", "throw", "punch"),
}
# Of these no other act will do, where a motion is set right and where it is told what it lacks. A captioner who says
# "walks", "turns", "reaches" or "picks something up" may mean much of what is measured otherwise.
_ITSELF = frozenset(
    (
        "kneel",
        "flip",
        "roll",
        "cartwheel",
        "hop",
        "jumping jack",
        "clap",
        "kick",
        "throw",
        "stand on",
        "lean",
        "lunge",
        "hand to head",
    )
)
_LEGS = {"left": "right", "right": "left"}
_ON_THE_FLOOR = ("crawl", "roll", "sit", "kneel", "lie")  # after which one who stands has got up
_RISES = ("squat", "bend down", "bow", "lunge")  # whose end is standing again, which is no act of its own
# A count: by itself, of times or steps ("three more times"), or of the act, whose words are put in ("two low kicks").
_OF = r"(?:(?!people|persons?|m[ea]n|wom[ea]n|hands?|arms?|legs?|foot|feet|fists?|knees?|sec|met|m |s )\w+ )?"
_TIMES = (
    rf"\b(?P<often>{'|'.join(OFTEN)})\b"
    rf"|\b(?P<count>{'|'.join(COUNTS)}) {_OF}(?:times?\b|(?P<steps>steps?\b)|(?:%s))"
)
_EXACT_DEGREES = r"\b(\d{2,3}) ?(?:degrees?\b|deg\b|°)"
_COUNTED = rf"\b(?:{'|'.join(COUNTS)}) {_OF}$"
# More than once, however often: of times, of the act, whose words are put in, or of all that is said.
_MANY = r"(?:several|few|many|multiple|various|numerous|countless|some|(?:series|bunch|number|lot|set)s? of)"
_SEVERAL = (
    rf"\b{_MANY} (?:more )?{_OF}(?:times\b|(?:%s)s?\b)"
    r"|\b(?:repeated(?:ly)?|repetitively|over and over|again and again)\b"
    r"|\b(?:keeps?|kept|keeping)(?: on)? (?:%s)\b"
    r"|\b(?:do|perform|practic|practis|throw|mak|execut)\w* (?:\w+ )?(?:%s)(?<=[a-z]{2}s)(?<!ss)\b"
)
_STROKES = r"(?:kick|jump|leap|hop|squat|lunge|bow|throw|toss|punch|clap|cart[ -]?wheel|jumping jack)"
_SINGLE = (  # not "in a squat"
    rf"(?<!\bin )(?<!\binto )(?<!\bfrom )\b(?:an?|one|single|another) (?:(?!few|single)\w+ )?{_STROKES}\b"
    r"(?! (?:position|pose|stance|rope|shot|exercise))"
)
# What is named without a count and may well be done more than once: "is kicking", "jumps up and down".
_OPEN = (
    r"\bup and down\b|\bback and forth\b|\bside to side\b|\b(?:around|about|along|rope|everywhere|balls)\b"
    rf"|\b{_MANY}\b|\b(?:{'|'.join(word for word, number in COUNTS.items() if number > 1)})\b"
)
# How long an act is to last, and how far to go; the metres of each unit.
_NUMBER = rf"(?<![\d.-])(?P<number>\d{{1,2}}(?:\.\d+)?|{'|'.join(COUNTS)})"
_SECONDS = rf"\bfor (?:about |around |roughly |exactly |another )?{_NUMBER} ?(?:more |full )?(?:seconds?|secs?|s)\b"
_METRES = (  # not "on two feet", "one foot after the other", nor metres a second
    rf"(?<!\bon )(?<!\bwith )(?<!\bat )(?<!\bboth )\b{_NUMBER} ?(?P<unit>m|met(?:er|re)s?|yards?|ft|feet)\b"
    r"(?!/| ?per| (?:an? second|tall|high|away|from|apart|together))"
)
# Paths that no line of a notation tells (`data.winding`), and verbs by which a body goes on them.
PATHS = (
    ("zigzag", r"\bzig[ -]?zag\w*"),
    ("eight", r"\bfigure (?:of )?(?:eight|8)\b|\bin an (?:eight|8)\b"),
    (
        "wave",
        r"\bserpentine\b|\bslalom\w*|\bweav(?:e|es|ing)\b|\bmeander\w*|\bs[ -](?:shaped?|curves?|patterns?|paths?)\b"
        r"|\bin an s\b|\bwinding\b|\bsnak(?:es|ing)\b|\bwavy\b",
    ),
)
_RESTING = r"\b(?:paus|wait|stand|still|stay|rest|stop|hold|freez|remain|linger)"  # whose the seconds then are
SIDEWAYS = 4  # steps of who walks sideways, if no number is stated
_UNITS = {"m": 1.0, "y": 0.9144, "f": 0.3048}
LONGER = (0.4, 0.25)  # seconds or metres, and the share of what is asked for, by which there may be more or less
# What ends a pose that was held, and words before it; and acts after which who waits is still down: "crouches, waits".
_UNDONE = (
    r"(?:,| |and\b|then\b|before\b|s?he\b|they\b|it\b|the person\b|slowly\b|finally\b|after that\b)*"
    r"(?:lower|drop|put\w* (?:\w+ ){0,3}down|releas|straighten|ris(?:e|es|ing)\b|com\w* (?:back )?up|return|go\w* back"
    r"|bring\w* (?:\w+ ){1,3}down|let\w* (?:\w+ )?go|stand|get\w* (?:back )?up|relax)"
)
WINDS = ("zigzag", "slalom", "meander", "weave", "weav", "strafe", "straf", "sidle", "serpentine")  # words, as stems
_OVERHEAD = r"\bup(?:wards?)?\b|\b(?:sky|ceiling|above|overhead|stars?|moon|sun|clouds?)\b"
_STAYS_DOWN = r"crouch|duck"
# Verbs whose seconds are those in which their pose is held: "squats for four seconds".
_DOWN = tuple(verb for verb in LEADS_TO if verb != "stand up")
_HELD = (*_RISES, *_DOWN, "reach up", "raise", "lift", "stretch", "hand to head")
_NEXT = r"\bthen\b|\bbefore\b|\bafter(?:wards?)?\b|\.(?!\d)|;"
_TOGETHER = r"\b(?:simultaneously|at the same time|at once)\b"
_AT_ONCE = rf"\b(?:while|whilst|meanwhile|as (?:s?he|they|it|the \w+)\b)|{_TOGETHER}"
EXACTLY = 45.0  # degrees by which a turn of so many may be more or less
# Blows that are thrown, and their sides: "a left hook" is a punch with the left hand, "steps left, kicks" no left kick.
_BLOWS, _BLOW_BEFORE = r"(?:punch|jab|hook|uppercut|cross)", rf"((?:{'|'.join(COUNTS)}|several|some|does|throws|of) )"
_SPELLED = (  # how counts are written short, and blows
    (r"\b(\d{1,2}) ?x\b", r"\1 times"),
    (r"\bx ?(\d{1,2})\b", r"\1 times"),
    (r"\b(around,? (?:and )?(?:then )?)(?:com|go|head)(?:es|s|ing) back\b(?! up| down)", r"\1walks back"),
    (r"\ba couple (?:of )?(?=\w)", "two "),
    (rf"(?:{WINDING})((?:(?! and\b| then\b)[^,.;])*?) while (walk|runn|jogg)ing", r"\2ing weaving \1"),
    (rf"\b(left|right)(?:[ -]handed)? ((?:(?!and|then)\w+ )?){_BLOWS}\b", r"\2punch with the \1 hand"),
    (r"\b(left|right)(?:[ -]legged)? ((?:(?!and|then|leg\b)\w+ )?)kick\b", r"\2kick with the \1 leg"),
    (rf"\b{_BLOW_BEFORE}(left|right) {_BLOWS}e?s\b", r"\1punches with the \2 hand"),
    (rf"\b{_BLOW_BEFORE}(left|right) kicks\b", r"\1kicks with the \2 leg"),
    (
        rf"\bthrow(\w*)(?= (?:left and right |(?!and\b|then\b)\w+ ){{0,4}}?(?:{_BLOWS}|kick)(?:e?s)?\b)",
        r"perform\1",
    ),
)
_LIMB = r"(?:hands?|arms?|legs?|foot|feet|knees?|fists?|elbows?)\b(?! side)"
_SIDE = rf"\b(left|right|both)(?: \w+)? {_LIMB}|\bwith (?:the|his|her|their|its) (left|right)\b(?! {_LIMB})"
_TO = rf"\b(?:to|towards?) (?:the|his|her|their|its)? ?(left|right)\b|\b(left|right)(?:ward)?s?\b(?! {_LIMB})"
# A limb, and "it" where nothing else is named in between that could be meant.
_THING = r"\b(?:left|right|both|something|object|balls?|box|an?|some|head|face|body)\b"
_IT = rf"\b((?:left|right) {_LIMB})((?:(?!{_THING})[^.])*?)\bit\b"
# A limb that is named once for one side and then the other: "lifts the left and then the right knee".
_SHARED = (
    r"\b(left|right)(,? (?:and )?then |, )((?:(?:with|on) )?(?:(?:the|his|her|their|its) )?(?:left|right))"
    rf" ({_LIMB})"
)
# One side or way and then another one.
_WAYS = r"left|right|forwards?|backwards?"
_OTHER = (
    rf"\b(?P<one>{_WAYS})\b(?P<limb> {_LIMB})?(?P<more>(?: (?!and\b|then\b)\w+){{0,2}}?)"
    r"(?P<join>,? (?:and )?then|,? followed by|, and|,| and)(?: back)?(?: with| on| to| using| towards?)?"
    rf"(?: the| his| her| their| its)?(?: other)? (?P<other>{_WAYS})\b(?P<limb2> {_LIMB})?(?! side)"
)
_ONCE = tuple(verb for verb in COUNTED if verb not in REPEATED)  # that are meant once without a count
_ONE_LEG = ("kick", "hop", "lunge", "step")
# Where something else begins, known or not: "raises the left hand, then makes a cross with both hands".
_APART = r"\b(?:and )?(?:then|before|afterwards|while|whilst)\b|\.(?!\d)|;"
# Words that name no act: what is not done, how someone was before, what others do to him, what he steps or sits on, a
# box not boxed.
_NO_ACT = (
    r"\b(?:(?:do|does|did|is|are|was|were)(?:n't| not)|without|never|instead of|not) (?:with )?"
    r"(?:\w+ (?:left|right) \w+|\w+)"
    r"|\bright (?:after|before|now|away|as|when|behind|next|there)\b|\bhip[ -]?hop\b|\bon (?:\w+ )?(?:tip[ -]?)?toes\b"
    r"|\bfrom (?:an?|the|his|her|their)? ?(?:\w+ )?(?:\w+ed|bent|crouch|(?:sitt|squatt?|kneel|crouch|ly|lay)ing)"
    r"(?: down| over)?(?: position| pose| posture| stance)?\b"
    r"|\b(?:is|are|was|were|be|been|being|gets?|got|getting) (?:\w+ly )?(?:pushed|pulled|grabbed|kicked|hit|punched)\b"
    r"|\b(?:on|onto|off|from|over) (?:an?|the|some|his|her|their) (?:\w+ )?steps?\b"
    r"|\b(?:looks?|looked|looking|seems?|appears?) (?:like|as (?:if|though)|to be)\b"
    r"|\breach\w* (?:the|their|his|her|its|an?) (?:\w+ )?(?:destination|end|sides?|edge|point|spot|place|start)\b"
    r"|\b(?:put|plac|set)\w* (?:\w+ ){0,2}(?:feet|foot|legs?|knees?)\b"
    r"|\b(?:put|plac|hold)\w* (?:\w+ )?(?:left |right )?hand on (?:\w+ )?(?:hip|waist)\b"
    r"|\b(?:an?|the|his|her|their|on|onto|off|over) (?:\w+ )?box\b"
    r"|\b(?!(?:s?he|they|who|person|people|m[ae]n|wom[ae]n|\w+body|someone|figure|boxer|boy|girl|guy|and|then)\b)"
    r"\w+ boxes\b"
    r"|, all that (?:twice|\w+ times)\b"
    r"|\b(?:push|pull|sit|press|chin)[ -]?ups\b|\b(?:an?|one) (?:push|pull|sit|press|chin)[ -]?up\b"
)
_ARCHERY, _BOW = r"\b(?:arrow|archer)\w*", r"\bbows?\b"
# {how a turn is named: (least, most) degrees}; the first that is found holds.
_DEGREES = (
    (
        r"\b(?:all the way|full(?:y)?) around\b|\bfull (?:circle|turn|spin)\b|\b360\b|\b(?:spin|pirouett)\w*",
        (270.0, 1e9),
    ),
    (r"\baround\b|\bthe other way\b|\bopposite\b|\babout[ -]face\b|\b180\b", (135.0, 225.0)),
)
_BACK = (
    r"\b(?:walk|step|stagger|jump|leap|hop|stumbl|shuffl)\w*(?: \w+ steps?)? back\b"
    r"(?! (?:and|to|toward\w*|the|where|home|again|around|in|into|across)\b)"
)
_TURNING = ("turn", "turn_around", "spin")
_DIRECTED = ("lean", *(name for name, action in ACTIONS.items() if action.direction))


@dataclass(frozen=True)
class Asked:
    """One thing that a text asks for: verbs of the notation that would show it, the best first. "" and 0: not stated.

    side: of the limb, "left", "right" or "both". way: "forward", "backward", "left" or "right". pace: of PACES.
    degrees: the least and the most of a turn; (0, 0) if not stated. seconds: it is to last. metres: to go. meanwhile:
    at the same time as what is asked for before it. several: more than once, however often. single: no count is
    stated, and who says it means once, as "a person kicks". path: a name of PATHS. rests: in which nothing is done
    before or after it, or its pose is held.
    """

    action: str
    verbs: tuple[str, ...]
    side: str = ""
    way: str = ""
    count: int = 0
    pace: str = ""
    degrees: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    metres: float = 0.0
    meanwhile: bool = False
    several: bool = False
    single: bool = False
    path: str = ""
    rests: tuple[Rest, ...] = ()


def asked(text: str) -> list[Asked]:
    """What a text asks for, in the order in which it should happen. Empty where nothing is recognized."""
    whole = " " + re.sub(r"\s+", " ", text.lower().strip()) + " "
    for pattern, words in _SPELLED:
        whole = re.sub(pattern, words, whole)
    while (named_before := re.sub(_IT, r"\1\2\1", whole)) != whole:
        whole = named_before
    whole = re.sub(_SHARED, r"\1 \4\2\3 \4", whole)
    spoken = whole
    whole = re.sub(_NO_ACT, lambda m: "#" * len(m[0]), whole)
    if re.search(_ARCHERY, whole):
        whole = re.sub(_BOW, lambda m: "#" * len(m[0]), whole)
    pauses = rests(whole)
    hits = _hits(without(whole, pauses))
    if any(one.rest.where == "held" and one.end <= min([len(whole), *(start for start, *_ in hits)]) for one in pauses):
        pauses = [one for one in pauses if one.rest.where != "held"]  # "stays in a squat" and nothing before is a squat
        hits = _hits(without(whole, pauses))
    whole = without(whole, pauses)
    bounds = [0]
    for (_, end, _), (start, _, _) in pairwise(hits):
        between = list(re.finditer(CONNECTOR, whole[end:start]))
        counted = re.search(_COUNTED, whole[end:start])  # "walks three steps"
        bounds.append(end + (between[-1].start() if between else counted.start() if counted else start - end))
    bounds.append(len(whole))
    parts: list[Asked] = []
    owners: list[int] = []  # of each part, its hit
    reverse = meanwhile = False
    for k, (start, end, action) in enumerate(hits):
        reverse |= bool(k and re.search(r"\bafter\b(?!wards)", whole[bounds[k] : start]))
        returns = any(part.action in _TURNING for part in parts)
        link, rest = whole[hits[k - 1][1] if k else 0 : start], whole[end : bounds[k + 1]]
        link = re.split(_NEXT, link)[-1]
        at_once = bool(re.search(_AT_ONCE, link) or (k and re.search(_TOGETHER, rest)))
        meanwhile = (meanwhile and not (k and re.search(_NEXT, whole[hits[k - 1][1] : start]))) or (at_once and not k)
        for clause in _one_by_one(action, whole[bounds[k] : bounds[k + 1]]):
            part = _part(action, whole[start:end], _own(clause, start - bounds[k]), returns)
            parts.append(replace(part, meanwhile=bool(parts) and (at_once or meanwhile)))
            owners.append(k)
            meanwhile, at_once = meanwhile and len(parts) < 2, False
    for pause in pauses:
        _rest_in(parts, owners, hits, pause, spoken)
    things: list[Asked] = []
    for part in reversed(parts) if reverse else parts:
        rises = part.action == "stand_up" and things and things[-1].verbs[0] in _RISES
        if things and replace(part, single=things[-1].single) == things[-1]:  # "squats …, squatting"
            both = part.single and things[-1].single
            again = re.search(rf"\b{part.verbs[0]}\w*(?: \w+)? again\b", whole)
            things[-1] = replace(part, single=both and not again, several=bool(again))
        elif not rises:
            things.append(part)
        elif part.rests:  # who waits before rising waits down there
            held = tuple(replace(rest, where="held") for rest in part.rests if rest.where == "before")
            held += tuple(rest for rest in part.rests if rest.where == "after")
            things[-1] = replace(things[-1], rests=things[-1].rests + held)
    # What is named by itself shows no other thing that it might be measured as: "runs, then walks". But a turn on the
    # way of a walk is a turn.
    own = Counter(thing.verbs[0] for thing in things)
    return [
        one
        if one.action in _TURNING
        else replace(
            one,
            verbs=tuple(verb for verb in one.verbs if verb == one.verbs[0] or verb not in own),
            single=one.single and own[one.verbs[0]] == 1,
        )
        for one in things
    ]


def _hits(text: str) -> list[tuple[int, int, str]]:
    """(first letter, the one after the last, action) of each act that a text names, in its order."""
    left, hits, winding = text, [], set[int]()
    for action, pattern in (*_MORE, *PATTERNS, *_LAST):
        # "down and then back up" describes a hand, not a walk
        found_here = [m for m in re.finditer(pattern, left) if m[0] != "back up"]
        hits += [(m.start(), m.end(), action) for m in found_here if action in _SHOWN]
        winding |= {m.start() for m in found_here if pattern == WINDING}
        left = re.sub(pattern, lambda m: "#" * len(m[0]), left)
    hits.sort()
    return (
        hits[:1]
        + [  # "walks weaving between cones" is one walk
            hit
            for before, hit in pairwise(hits)
            if hit[0] not in winding
            or not VERBS[_SHOWN[before[2]][0]].speed
            or re.search(CONNECTOR, text[before[1] : hit[0]])
        ]
    )


def _rest_in(
    parts: list[Asked], owners: Sequence[int], hits: Sequence[tuple[int, int, str]], pause: Named, text: str
) -> None:
    """Put a rest that a text names to the one of `parts` that it belongs to. owners: of each part its act in `hits`."""
    before = [i for i, k in enumerate(owners) if hits[k][1] <= pause.start]
    after = [i for i, k in enumerate(owners) if hits[k][0] >= pause.end]
    rest = pause.rest
    if before and rest.where != "held" and not pause.late:
        word = text[slice(*hits[owners[before[-1]]][:2])].strip()
        if re.match(_UNDONE, text[pause.end :]) or re.match(_STAYS_DOWN, word):
            rest = replace(rest, where="held")
    if before and (rest.where == "held" or pause.late or not after):
        own = before[-1]
        if pause.late:  # before the first of those that are done to one side and the other
            own = owners.index(owners[own])
        elif rest.where != "held":
            rest = replace(rest, where="after")
    elif after:
        own, rest = after[0], replace(rest, where="before")
    else:
        return
    parts[own] = replace(parts[own], rests=(*parts[own].rests, rest))


def _one_by_one(action: str, clause: str) -> list[str]:
    """A clause of which an act is done to one side and then to the other, "kicks with the left leg and then the right",
    as a clause for each. By "and" alone, where both are not done at once.
    """
    for match in re.finditer(_OTHER, clause):
        sides = [match[name] in ("left", "right") for name in ("one", "other")]
        at_once = sides[0] != sides[1] or action not in (*_DIRECTED, *_ONE_LEG)  # diagonally, or with both hands
        of_a_limb = not sides[1] and (match["limb"] or action not in _DIRECTED)  # "the right leg forward and back"
        if of_a_limb or (at_once and match["join"] == " and"):
            continue
        limb = match["limb"] or match["limb2"] or ""
        rest = f"{match['other']}{limb}{clause[match.end() :]}"
        first = clause[: match.start("join")] if match["limb"] else f"{clause[: match.end('one')]}{limb}{match['more']}"
        return [first, *_one_by_one(action, f"{clause[: match.start('one')]}{rest}")]
    return [clause]


def _own(clause: str, at: int) -> str:
    """The part of a clause in which the verb at a place is, without what is done before and after it."""
    cuts = [match.start() for match in re.finditer(_APART, clause)]
    first = max([0, *(cut for cut in cuts if cut <= at)])
    return clause[first : min([len(clause), *(cut for cut in cuts if cut > at)])]


def _part(action: str, act: str, clause: str, returns: bool) -> Asked:
    """act: the words that name the action. returns: whether someone who walks back has turned before, and walks
    forward.
    """
    if action == "point" and re.search(_OVERHEAD, clause):
        action = "point up"
    if action == "sidestep" and act.startswith("shuffl") and not re.search(r"\bside|\b(?:left|right)\b", clause):
        action = "step"
    # What is brought to a knee is no part of what lifts it.
    limbs = re.sub(r"\b(?:left|right|both) (?:elbow|hand)s?\b", "", clause) if action == "lift" else clause
    sides = {m[1] or m[2] for m in re.finditer(_SIDE, limbs)}
    side = "both" if "both" in sides or len(sides) == 2 else sides.pop() if sides else ""
    if action == "jump" and side in ("left", "right"):  # on one leg
        action = "hop"
    if action == "hop" and side == "both":
        action, side = "jump", ""
    if not VERBS[_SHOWN[action][0]].parts:  # "walks forward, steadying himself with the right hand"
        side = ""
    way = ""
    if action.startswith("point"):
        to = re.search(_TO, re.sub(_SIDE, "", clause))
        way = to[1] or to[2] if to else "down" if re.search(r"\b(?:down|floor|ground|feet)\b", clause) else ""
        side = "" if side == "both" else side or (way if to else "")  # by the arm on that side
    if action in _DIRECTED:
        ways = {m[1] or m[2] for m in re.finditer(_TO, re.sub(_SIDE, "", clause))}
        if len(ways) == 1:
            way = ways.pop()
        elif re.search(r"\bbackwards?\b|\bin reverse\b", clause) or (not returns and re.search(_BACK, clause)):
            way = "backward"
        elif not ways and re.search(r"\bforwards?\b|\bahead\b", clause):
            way = "forward"
        if action in _TURNING and way in ("forward", "backward"):
            way = ""
        if re.search(r"(?:counter|anti)[ -]?clock[ -]?wise", clause):
            way = "left"
        elif re.search(r"\bclock[ -]?wise\b", clause):
            way = "right"
    slow, quick = re.search(r"\bslow(?:ly)?\b", clause), re.search(r"\b(?:quick(?:ly)?|fast|rapid(?:ly)?)\b", clause)
    number, several = _count(action, act, clause)
    if action == "sidestep" and not number and not re.search(r"step", act):  # "walks sideways"
        several = True
    pace = PACES[0] if slow else PACES[1] if quick else ""
    far = next((d for pattern, d in _DEGREES if re.search(pattern, clause)), (0.0, 0.0))
    if exact := re.search(_EXACT_DEGREES, clause):
        around = float(exact[1])
        far = around - EXACTLY, around + EXACTLY if around < 360 else math.inf
    verb = VERBS[_SHOWN[action][0]]
    if action not in _TURNING:
        circle = verb.speed and re.search(r"\bin (?:an? |the )?(?:\w+ )?circles?\b", clause)
        far = (CIRCLE, math.inf) if circle else (0.0, 0.0)
    lasts, goes = re.search(_SECONDS, clause), re.search(_METRES, clause) if verb.speed else None
    if lasts and re.search(_RESTING, clause[clause.find(act) + len(act) : lasts.start()]):
        lasts = None
    held = lasts and _SHOWN[action][0] in _HELD and number < 2 and not several
    besides = clause.replace(lasts[0], "") if held and lasts else clause
    single = _SHOWN[action][0] in _ONCE and not (
        number or several or act.split()[0].endswith("ing") or re.search(_OPEN, besides)
    )
    return Asked(
        action,
        _SHOWN[action],
        side,
        way,
        number,
        pace,
        far,
        seconds=_said(lasts) if lasts and _SHOWN[action][0] in LONG else 0.0,
        metres=_said(goes) * _UNITS[goes["unit"][0]] if goes else 0.0,
        several=several,
        single=single,
        path=next((name for name, pattern in PATHS if verb.speed and re.search(pattern, clause)), ""),
        rests=(Rest(_said(lasts), "held", stated=True),) if held and lasts else (),
    )


def line_of(one: Asked, usual: bool = False) -> Line:
    """The event that shows a thing as it is asked for. usual: with a limb, size, way and speed where none is stated."""
    verb, spec = one.verbs[0], VERBS[one.verbs[0]]
    part = next((p for p in spec.parts if one.side and one.side in p), spec.parts[0] if usual and spec.parts else "")
    way = one.way if one.way in spec.ways else ""
    count = one.count or (SIDEWAYS if one.action == "sidestep" and one.several else 1)
    if one.action == "sidestep":
        way = way or "left"
    size = float(np.clip(sum(one.degrees) / 2, 90, 360)) if one.degrees[1] else 0.0
    if usual:
        size = size or {"turn": 90.0, "jump": 0.3, "climb": 0.3, "bow": 45.0, "lean": 30.0}.get(verb, 0.0)
        way = way or ("forward" if spec.speed else spec.ways[0] if spec.ways and verb != "jump" else "")
    if spec.speed and size:  # a circle: the way is the side that it turns to
        way, size = "forward", -size if one.way == "right" else size
    speed = {"walk": 1.2, "run": 2.5}.get(verb, 0.6) if usual and spec.speed else 0.0
    return Line(0.0, 1.0, verb, part, way, size, speed, count, one.pace if spec.usual else "")


def _said(number: re.Match[str]) -> float:
    return float(COUNTS.get(number["number"]) or number["number"])


def _count(action: str, act: str, clause: str) -> tuple[int, bool]:
    """How often an act is to be done, 0 if not stated; and whether it is more than once, however often."""
    verb, words = VERBS[_SHOWN[action][0]], re.escape(act.split()[-1])  # "throws a punch" is a punch
    count = re.search(_TIMES % re.escape(act), clause)
    if count and (not verb.speed or count["steps"]):  # not rounds of a walk
        return (OFTEN[count["often"]] if count["often"] else COUNTS[count["count"]]), False
    if re.search(r"\ba single time\b", clause):
        return 1, False
    if _SHOWN[action][0] not in COUNTED or action == "move":
        return 0, False
    if re.search(_SEVERAL.replace("%s", words), clause):
        return 0, True
    return int(bool(re.search(_SINGLE, clause) and re.search(_STROKES, act))), False


def share(wanted: Sequence[Asked], notation: Notation) -> float:
    """How much of what is asked a notation has, in [0, 1]: each thing, its side, way, count and pace, and their order.

    1 where nothing is asked.
    """
    points = total = 0.0
    done: list[tuple[Asked, list[Line]]] = []
    for one in wanted:
        lines = _lines(one, notation)
        total += 2
        if not lines:
            stated = (one.side, one.way, one.count, one.several, one.pace, one.degrees[1], one.seconds, one.metres)
            total += sum(map(bool, stated))
            continue
        own = any(x.verb == one.verbs[0] or (one.verbs[0] == "turn" and VERBS[x.verb].speed) for x in lines)
        points += 2 if own else 1.5  # a curve is a turn
        done.append((one, lines))
        for detail, right in _details(one, lines):
            total += bool(detail)
            points += bool(detail) and right
    if len(done) > 1:
        total += 1
        points += all(
            _overlap(before, lines, notation) if one.meanwhile else before[0].start <= lines[0].start + 0.3
            for (_, before), (one, lines) in pairwise(_in_turn(done))
        )
    return points / total if total else 1.0


def _in_turn(done: Sequence[tuple[Asked, list[Line]]]) -> list[tuple[Asked, list[Line]]]:
    """What is done with its lines, of what is asked for again those after what is between: "walks, turns, walks"."""
    result: list[tuple[Asked, list[Line]]] = []
    for one, lines in done:
        again = any(one.verbs[0] == other.verbs[0] for other, _ in result)
        later = [x for x in lines if again and x.start > result[-1][1][0].start]
        later = [x for x in later if x.verb in GAITS] if one.verbs[0] in GAITS else later
        result.append((one, later or lines))
    return result


def shown(one: Asked, notation: Notation) -> bool:
    """Whether a notation has one thing that is asked for, however it is done; arms that swing along are no gesture."""
    small = one.verbs[0] in SMALL
    return any(small or line.verb not in SMALL for line in _lines(one, notation))


def as_asked(one: Asked, notation: Notation) -> bool:
    """Whether a notation has one thing that is asked for with all that is stated of it."""
    lines = _lines(one, notation)
    return shown(one, notation) and all(right for stated, right in _details(one, lines) if stated)


def plainly(one: Asked, notation: Notation) -> bool:
    """`as_asked`, where an act that cannot be mistaken is there itself: a squat is not enough where a person kneels."""
    itself = one.verbs[0] not in _ITSELF or any(line.verb == one.verbs[0] for line in _lines(one, notation))
    return itself and as_asked(one, notation)


def at_once(one: Asked, other: Asked, notation: Notation) -> bool:
    """Whether a notation has two things that are asked for at the same time."""
    return _overlap(_lines(one, notation), _lines(other, notation), notation)


def _overlap(some: list[Line], others: list[Line], notation: Notation) -> bool:
    """Whether some lines are at the time of others; who has sat down sits until standing up."""

    def end(line: Line) -> float:
        if line.verb not in LEADS_TO or line.verb == "stand up":
            return line.end
        return min(
            [notation.seconds, *(x.start for x in notation.lines if x.verb == "stand up" and x.start > line.end)]
        )

    return any(min(end(a), end(b)) - max(a.start, b.start) > 0.3 for a in some for b in others)


def shares_of(wanted: Sequence[Asked], joints: np.ndarray, fps: float = 20.0) -> tuple[float, float]:
    """`share` and `named` of a motion, joints (T, 22, 3) in metres; 0 of one that cannot be measured."""
    try:
        notation = measure(joints, fps)
    except MotionLLMError:  # under 5 frames, or not finite
        return 0.0, 0.0
    return share(wanted, notation), named(wanted, notation)


def named(wanted: Sequence[Asked], notation: Notation) -> float:
    """How much of what a notation has is asked for, in [0, 1], by time; small limb movements count a third, and of what
    is meant once and done k times 1 / k is asked for. 1 where nothing is done.
    """
    often = Counter[str]()
    for x in notation.lines:
        often[x.verb] += x.count
    shares = dict.fromkeys((verb for one in wanted for verb in one.verbs), 1.0)
    shares |= {one.verbs[0]: 1 / max(1, often[one.verbs[0]]) for one in wanted if one.single}
    weights = [(x.end - x.start + 0.5) * (1 / 3 if x.verb in SMALL else 1.0) for x in notation.lines]
    if not weights:
        return 1.0
    return sum(w * shares.get(x.verb, 0.0) for w, x in zip(weights, notation.lines, strict=True)) / sum(weights)


def once(wanted: Sequence[Asked]) -> list[Asked]:
    """What is asked for, with a count of one for what is meant once."""
    return [replace(one, count=1) if one.single else one for one in wanted]


def tells(text: str, notation: Notation) -> float:
    """How well a text describes a notation, in [0, 1]: the harmonic mean of precision (`share`: how much of the text is
    in the notation) and recall (`named`: how much of the notation the text names).

    0 where the text says nothing that is recognized, or names the other side; 1 where there is nothing to describe.
    """
    wanted = asked(text)
    if not notation.lines:
        return 1.0
    if not wanted or contradiction(text, notation):
        return 0.0
    right, told = share(wanted, notation), named(wanted, notation)
    return 2 * right * told / (right + told) if right + told else 0.0


def contradiction(text: str, notation: Notation) -> str:
    """What a text says is done on one side and a motion shows only on the other, as a short phrase; "" if nothing.

    Both must name it plainly: a limb of a verb that has sides, or the way of turns and of curves of over 60 degrees.
    """
    for one in asked(text):
        if one.side in ("left", "right") and one.verbs[0] != "step":
            lines = [x for x in notation.lines if x.verb == one.verbs[0] and x.part]
            if lines and not any(one.side in x.part or x.part.startswith("both") for x in lines):
                act = one.action.replace("_", " ")
                return f"it says {act} with the {one.side}, and the motion shows the {lines[0].part}"
        if one.way in ("left", "right") and one.action in _TURNING:
            ways = {x.curve or x.way for x in notation.lines if x.verb == "turn" or (x.curve and abs(x.size) >= 60)}
            if ways and one.way not in ways:
                act, other = one.action.replace("_", " "), "left" if "left" in ways else "right"
                return f"it says {act} to the {one.way}, and the motion shows the {other}"
    return ""


def _details(one: Asked, lines: list[Line]) -> tuple[tuple[object, bool], ...]:
    """(what is stated, whether the lines that show the thing have it): side, way, count, pace, degrees, seconds and
    metres.

    Counted is the likest of the verbs that are there: of a kick its kicks, not the lifted leg that begins before it.
    """
    likest = min((x.verb for x in lines), key=one.verbs.index)
    often = sum(x.count for x in lines if x.verb == likest)
    return (
        (one.side, any(_side(one, x) for x in lines)),
        (
            one.way and not one.action.startswith("point"),
            any(one.way == x.way or (one.way == x.curve and one.action != "sidestep") for x in lines),
        ),
        (one.count, one.count == often),
        (one.several, often > 1 or any(VERBS[x.verb].speed for x in lines)),
        (one.pace, any(pace_of(x) == one.pace for x in lines)),
        (one.degrees[1], any(one.degrees[0] <= abs(x.size) <= one.degrees[1] for x in lines)),
        (one.seconds, any(near(x.end - x.start, one.seconds) for x in lines)),
        (one.metres, any(near((x.end - x.start) * x.speed, one.metres) for x in lines)),
    )


def _side(one: Asked, line: Line) -> bool:
    """Whether a line is of the side that is asked for; who stands on one leg lifts the other."""
    if {line.verb, one.verbs[0]} == {"stand on", "lift"} and one.side in _LEGS:
        return _LEGS[one.side] in line.part
    return one.side in line.part


def near(has: float, wanted: float) -> bool:
    """Whether seconds or metres are about as many as are asked for."""
    return abs(has - wanted) <= max(LONGER[0], LONGER[1] * wanted)


def _lines(one: Asked, notation: Notation) -> list[Line]:
    """The lines that show what is asked; only travel that turns, where a turn is asked for. Who is down throughout
    shows the going down: "sits and claps" of someone seated.
    """
    turning = one.action in (*_TURNING, "twist", "look")
    lines = [x for x in notation.lines if x.verb in one.verbs and not (turning and VERBS[x.verb].speed and not x.curve)]
    if one.action.startswith("point"):
        return [x for x in lines if not x.part.startswith("both")]
    if one.action == "sidestep":
        return [x for x in lines if x.way in ("left", "right")]
    if one.verbs[0] == "stand up" and not lines and notation.postures[1] == "standing":
        ends = [x.end for x in notation.lines if x.verb in _ON_THE_FLOOR]
        return [Line(max(ends), notation.seconds, "stand up")] if ends else []
    down = one.verbs[0] != "stand up" and {LEADS_TO.get(one.verbs[0])} == {*notation.postures}
    return [Line(0.0, notation.seconds, one.verbs[0])] if down and not lines else lines


def pace_of(line: Line) -> str:
    """The pace of a line; for travel from its speed."""
    if line.verb in ("walk", "run", "creep"):
        slow, quick = {"walk": (0.85, 1.4), "run": (2.1, 3.1), "creep": (0.6, 0.95)}[line.verb]
        return PACES[0] if line.speed <= slow else PACES[1] if line.speed >= quick else ""
    return line.pace
