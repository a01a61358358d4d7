"""Turns labels of data sets into sentences: "salsa dance" becomes "a person dances salsa".

Data sets often have labels in place of captions: a verb ("turn around"), a noun ("cartwheel"), a list ("run, leap"), a
topic and a list ("soccer - kick ball"). A model trained on them writes labels. Sentences are left unchanged.
"""

from __future__ import annotations

import re

from motionllm.inflection import third

# Base forms of what people do: a word of these may begin a clause.
_VERBS_TEXT = """
    walk run jog step sidestep march stride stroll creep crawl sneak tiptoe limp stagger stumble skip hop jump leap
    dive roll flip vault climb descend ascend mount balance turn spin twirl rotate pivot twist bend bow lean stoop
    crouch squat kneel sit lie rise stand get fall trip slip stop start go come move travel approach leave enter
    follow chase flee duck dodge veer curve circle pace wander sway swing rock shake tremble stretch reach raise
    lift lower hold hang dangle pull push drag carry pick place put set drop throw toss catch pitch shoot dribble
    bounce hit strike punch jab slap chop kick stomp box fight block parry fence wave clap point gesture signal
    beckon salute nod look glance stare watch search listen touch rub scratch wipe wash clean sweep mop scrub brush
    comb shave dry pour drink eat bite chew stir cook cut saw hammer dig screw unscrew open close lock knock ring
    type write read draw paint play perform dance pose act imitate mime pretend laugh cry cough sneeze yawn sing
    talk shout whisper greet hug kiss bump fold unfold curl roll wrap tie grab grasp release swim row paddle ride
    drive steer ski skate surf bowl bat golf serve exercise warm rest sleep wake navigate direct use scoop squeeze
    press crank wind sharpen load unload stack sort tap snap flap flutter glide float bring
"""
_VERBS = frozenset(_VERBS_TEXT.split())
_ADVERBS = {
    "slow": "slowly",
    "quick": "quickly",
    "rapid": "rapidly",
    "careful": "carefully",
    "sudden": "suddenly",
    "angry": "angrily",
    "happy": "happily",
    "sad": "sadly",
    "proud": "proudly",
    "light": "lightly",
    "heavy": "heavily",
    "gentle": "gently",
    "soft": "softly",
    "normal": "normally",
    "casual": "casually",
}
_WAYS_TEXT = """
    forward forwards backward backwards left right sideways high low fast hard up down around over under underneath
    back away in out aside ahead straight twice once stealthily
"""
_WAYS = frozenset(_WAYS_TEXT.split())
_NO_ARTICLE_TEXT = """
    for to of at with by off against across through after on onto into from traffic water food music air weight
    something someone everything themselves
"""
_NO_ARTICLE = frozenset(_NO_ARTICLE_TEXT.split())
_TAKES_TEXT = """
    bounce carry catch close cut drag draw drive drop grab grasp hit hold kick lift lower open paint pick place play
    pour pull push put raise read ride ring set swing throw toss use wash wipe
"""
_TAKES = frozenset(_TAKES_TEXT.split())  # an object: the word after is no verb
_BODY = re.compile(r"\b(?:arms?|hands?|legs?|foot|feet|head|knees?|elbows?|ankles?|shoulders?|hips?|body|eyes?)\b")
_PEOPLE = re.compile(
    r"\b(?:person|people|man|men|woman|women|human|someone|somebody|he|she|they|it|figure|guy|girl|boy|character|subject"
    r"|actor|dancer|player|individual|i|we|you|this|that)\b"
)
_DOES = re.compile(r"\b(?:is|are|was|has|does|do|then)\b")
SUBJECTS = ("a person", "someone", "a man", "the person")


def is_label(text: str) -> bool:
    """Whether a caption is a label rather than a sentence: it names nobody who does something."""
    plain = re.sub(r"\(.*?\)|\".*?\"", "", text.lower())
    words = plain.split()
    if len(words) > 3 and _third_already(words[1]) and "," not in plain:
        return False  # "everybody walks around slowly"
    return (
        bool(words)
        and words[0] not in ("a", "an", "the", "his", "her", "their", "both")
        and not (_PEOPLE.search(plain) or _DOES.search(plain) or len(words) > 20)
    )


def sentences_of(label: str) -> list[str]:
    """Distinct sentences that express a label; the first is the plainest."""
    text = re.sub(r"\s+", " ", label.strip().rstrip(".")).strip()
    inner = re.search(r"\((.*?)\)", text)
    text = re.sub(r"\s*\(.*?\)", "", text)
    if text[1:] != text[1:].lower() and not any(w.isupper() for w in text.split()):
        text = text.lower()
    words = text.lower().split(" ")
    if _third_already(words[0]) and "," not in text:
        return [f"{subject} {text}" for subject in SUBJECTS[:3]]
    if _gerund(text.lower().split(",")[0]):
        return [f"{subject} is {text}" for subject in SUBJECTS[:3]]
    text = re.sub(r"\bside[ -]step", "sidestep", re.sub(r"\bself\b", "themselves", text), flags=re.IGNORECASE)
    topic, _, rest = (part.strip() for part in text.partition(" - "))
    if not rest:
        topic, rest = "", topic
    if inner and _PEOPLE.search(inner[1].lower()) and not _begins(rest):  # "bear (human subject)": a person plays one
        noun = _with_article(rest.lower())
        return [f"a person acts like {noun}", f"someone imitates {noun}", f"the person moves like {noun}"]
    clauses: list[str] = []
    others: list[str] = []
    for item in re.split(rf",|;|&|\band\b(?= (?:{'|'.join(sorted(_VERBS))})\b)", rest):
        if item.strip():
            first, *more = [_clauses(option.strip()) for option in _options(item.strip())]
            clauses += first
            others += more[0] if more else first
    said = [[c for i, c in enumerate(these) if i == 0 or c != these[i - 1]] for these in (clauses, others)]
    if topic and _inflected(topic.lower()):
        said = [[_third(topic.lower()), *these] for these in said]
        topic = ""
    if not said[0]:
        return [label]
    wholes = [
        f"{SUBJECTS[0]} {_joined(said[0], ', ', ' and ')}",
        f"{SUBJECTS[1]} {_joined(said[1], ', then ', ' and then ')}",
        f"{SUBJECTS[2]} {_joined(said[1], ', ', ' and ')}",
    ]
    if topic:
        wholes[1] += f", as in {topic}"
    return list(dict.fromkeys(wholes))


def _options(item: str) -> list[str]:
    """ "run/jog" names one thing in two words."""
    words = item.split(" ")
    slashed = [w for w in words if re.fullmatch(r"[A-Za-z]+/[A-Za-z]+", w)]
    if not slashed:
        return [item]
    return [" ".join(w.split("/")[k] if w in slashed else w for w in words) for k in (0, 1)]


def _clauses(item: str) -> list[str]:
    """The clauses of one item of a list, in the third person."""
    words = item.lower().split(" ")
    first = words[0]
    if _third_already(first) or set(words) <= _WAYS:
        return [item]
    if _gerund(item.lower()):
        return [f"is {item}"]
    verbs = [
        i
        for i, word in enumerate(words)
        if _inflected(word) and not (i and (words[i - 1].isdigit() or words[i - 1] in _TAKES))
    ]
    if _BODY.search(item.lower()) and (not verbs or (verbs[0] > 0 and not _plural(words[verbs[0]]))) and len(words) > 1:
        return [f"with {item}"]  # "hand on chin", "arms held high"
    if not verbs or (len(verbs) == 1 and _plural(words[verbs[0]]) and verbs[0] > 0):
        return [_does(item, words)]
    if len(verbs) == 1 and verbs[0] == len(words) - 1:  # "slow walk", "salsa dance", "90-degree left turn"
        return [_modified(item, words)]
    if verbs[0] == 0 and words[1:2] == ["to"] and len(verbs) == 2:  # "walk to run"
        return [_third(words[0]), *_clauses(" ".join(words[2:]))]
    clauses: list[list[str]] = []
    before: list[str] = []
    for i, word in enumerate(words):
        purpose = i > 0 and words[i - 1] in ("to", "a", "the", "for", "of", "with", "in", "on", "from")
        if word in _VERBS and not purpose and not (i and words[i - 1] in _TAKES) and not (i and _plural(word)):
            clauses.append([_third(word), *(_ADVERBS.get(w, w) for w in before)])
            before = []
        elif clauses and (word not in _ADVERBS or i == len(words) - 1):
            clauses[-1].append(word)
        else:
            before.append(word)
    if before and clauses:
        clauses[-1] += before
    return [" ".join(_articled(clause)) for clause in clauses]


def _modified(item: str, words: list[str]) -> str:
    """ "slow walk" → "walks slowly", "salsa dance" → "dances salsa", "90-degree left turn" → "turns left 90 degrees",
    "front kick" → "does a front kick".
    """
    verb, after = _third(words[-1]), []
    known = all(word in _ADVERBS or word in _WAYS or re.fullmatch(r"\d+[- ]?degrees?", word) for word in words[:-1])
    if not known and words[-1] != "dance":
        return _does(item, words)
    for word in words[:-1]:
        degrees = re.fullmatch(r"(\d+)[- ]?degrees?", word)
        after.append(f"{degrees[1]} degrees" if degrees else _ADVERBS.get(word, word))
    after.sort(key=lambda w: w[0].isdigit())
    return " ".join([verb, *after])


def _does(item: str, words: list[str]) -> str:
    """A noun: "cartwheel" → "does a cartwheel", "jumping jacks" → "does jumping jacks"."""
    name = item if item.startswith(('"', "'")) else item.lower()
    if _plural(words[-1]) or re.search(r"(play|ness|ism|tion|ing|ics|ball)$", words[-1]) or words[0] in ("a", "the"):
        return f"does {name}"
    return f"does {_with_article(name)}"


def _with_article(noun: str) -> str:
    if noun.split(" ")[0] in ("a", "an", "the") or _plural(noun.split(" ")[-1]) or noun[:1] in "\"'":
        return noun
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _articled(clause: list[str]) -> list[str]:
    """ "kicks ball" → "kicks a ball": a single noun that follows a verb alone."""
    if len(clause) != 2 or not clause[1].isalpha() or _plural(clause[1]):
        return clause
    word = clause[1]
    if (
        word in _WAYS
        or word in _NO_ARTICLE
        or word in _ADVERBS
        or word.endswith(("ly", "self", "ing", "ward", "wards"))
    ):
        return clause
    return [clause[0], _with_article(word)]


def _begins(text: str) -> bool:
    return _inflected(text.lower().split(" ")[0])


def _inflected(word: str) -> bool:
    """Whether a word is a verb's base form, or its plural as a noun ("jumps")."""
    return word in _VERBS or (word.endswith("s") and (word[:-1] in _VERBS or word[:-2] in _VERBS))


def _gerund(item: str) -> bool:
    """Whether an item says what is being done ("walking in a line"), and names no exercise ("jumping jacks")."""
    first, *rest = item.split(" ")
    return (
        bool(re.search(r"[aeiouy].*ing$", first)) and first not in _VERBS and not (len(rest) == 1 and _plural(rest[0]))
    )


def _third_already(word: str) -> bool:
    return word not in _VERBS and _inflected(word)


def _plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is"))


def _third(verb: str) -> str:
    return third(verb) if verb in _VERBS else verb


def _joined(clauses: list[str], between: str, last: str) -> str:
    """Clauses as a list; those that tell how ("with arms held high") go with the one before."""
    done: list[str] = []
    for clause in clauses:
        if done and clause.startswith("with "):
            done[-1] += f" {clause}" if " with " not in done[-1] else f" and {clause.removeprefix('with ')}"
        else:
            done.append(clause)
    return done[0] if len(done) == 1 else between.join(done[:-1]) + last + done[-1]
