"""Inquiries: how people ask what a query answers (`queries`), as pairs to learn from.

    "tell me how often she kicks"      count kick

The texts of the questions on facts are among them (`questions.TEXTS`); people ask more freely (`inquiry_texts`). Some
texts, names and beginnings are held out of training, for tests. No clip is needed: what is learned is which query a
question is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from motionllm.data.edit_words import WORDINGS
from motionllm.data.inquiry_texts import NEVER, PHRASINGS, SYNONYMS
from motionllm.data.queries import NAMED, labelled
from motionllm.data.questions import CLASSES, LIMBS, TEXTS, side_key
from motionllm.inflection import gerund, plural, third
from motionllm.motion.notation import POSTURES, VERBS
from motionllm.numerals import times


@dataclass(frozen=True)
class Inquiry:
    """kind: of KINDS; text: the question; query: the text of its query."""

    kind: str
    text: str
    query: str


@dataclass(frozen=True)
class Kind:
    """How something is asked. query: its text, with places; verbs: those it is asked about, empty: any; known, held:
    phrasings that training sees, and those that it does not.
    """

    query: str
    verbs: tuple[str, ...]
    known: tuple[str, ...]
    held: tuple[str, ...]


def _split(text: str) -> tuple[str, ...]:
    return tuple(" ".join(piece.split()) for piece in text.split("|") if piece.strip())


@cache
def _both(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pieces of a text of `inquiry_texts` that training sees, and those that it does not."""
    known, held = text.split("//")
    return _split(known), _split(held)


_ALL = tuple(NAMED)
_TRAVEL = tuple(verb for verb in _ALL if VERBS[verb].speed)
_ON = ("hop", "stand on")
_LIMBS = LIMBS | {"lift": "leg", "swing": "arm", "circle": "arm"}
_SIDED = tuple(verb for verb in _LIMBS if side_key(verb) == "side")
_OWN_COUNT = ("step", "march", "jumping jack")
_PACED = tuple(verb for verb in _ALL if VERBS[verb].usual)

# Kind of question → its query, with places, and the verbs that it is asked about (none: any, or that it names none).
_QUERIES: dict[str, tuple[str, Sequence[str]]] = {
    "does": ("does {verb}", _ALL),
    "does with": ("does {verb} {part}", _SIDED),
    "does on": ("does {verb} {part}", _ON),
    "does way": ("does {verb} {way}", tuple(verb for verb in _ALL if VERBS[verb].ways)),
    "does times": ("does {verb} x{count}", tuple(v for v in _ALL if v not in _OWN_COUNT)),
    "is": ("is {a}", ()),
    "which": ("which {a} or {b}", ()),
    "what": ("what", ()),
    "count": ("count {verb}", tuple(v for v in _ALL if v not in _OWN_COUNT)),
    "count step": ("count step", ("step",)),
    "count march": ("count march", ("march",)),
    "count jumping jack": ("count jumping jack", ("jumping jack",)),
    "side": ("side {verb}", _SIDED),
    "side on": ("side {verb}", _ON),
    "side lunge": ("side lunge", ("lunge",)),
    "side reach up": ("side reach up", ("reach up",)),
    "way": ("way {verb}", tuple(v for v in _ALL if VERBS[v].ways and v not in ("turn", "look", "climb"))),
    "way to": ("way {verb}", ("turn", "look")),
    "way climb": ("way climb", ("climb",)),
    "pace": ("pace {verb}", (*_PACED, "walk", "run")),
    "pace how": ("pace {verb}", tuple(v for v in _PACED if not VERBS[v].speed)),
    "speed": ("speed {verb}", _TRAVEL),
    "curve": ("curve {verb}", _TRAVEL),
    "circle": ("circle", ()),
    "degrees": ("degrees {verb}", ("turn", "bow", "lean")),
    "height": ("height {verb}", ("jump", "climb")),
    "when": ("when {verb}", _ALL),
    "span": ("span {verb}", _ALL),
    "seconds of": ("seconds {verb}", _ALL),
    "whole seconds of": ("whole seconds {verb}", _ALL),
    "first": ("first", ()),
    "last": ("last", ()),
    "after": ("after {verb}", _ALL),
    "before": ("before {verb}", _ALL),
    "first of": ("first {verb} or {verb2}", _ALL),
    "is before": ("is {verb} before {verb2}", _ALL),
    "at": ("at {time}", ()),
    "seconds": ("seconds", ()),
    "whole seconds": ("whole seconds", ()),
    "posture at start": ("posture at start", ()),
    "posture at end": ("posture at end", ()),
    "is at start": ("is {posture} at start", ()),
    "is at end": ("is {posture} at end", ()),
    "metres": ("metres", ()),
    "stay or move": ("stay or move", ()),
    "does move": ("does move", ()),
    "does stay": ("does stay", ()),
    "where": ("where", ()),
    "turned": ("turned", ()),
    "degrees turned": ("degrees turned", ()),
    "none": ("none", ()),
}


def _kind(kind: str, query: str, verbs: Sequence[str]) -> Kind:
    known, held = _both(PHRASINGS[kind])
    return Kind(query, tuple(verbs), (*TEXTS.get("label" if kind == "none" else kind, ()), *known), held)


KINDS = {kind: _kind(kind, query, verbs) for kind, (query, verbs) in _QUERIES.items()}
_WEIGHTS = {
    "none": 6.0,
    "does": 3.0,
    "count": 3.0,
    "side": 2.0,
    "when": 2.0,
    "what": 1.5,
    "seconds of": 1.5,
    "way": 1.5,
}

_KINDS = tuple(KINDS)
_SHARES = np.array([_WEIGHTS.get(kind, 1.0) for kind in _KINDS])
_SHARES /= _SHARES.sum()

# -- how it is said -------------------------------------------------------------------------------------------

_WHO = _split(
    """the person | the person | the person | he | she | he | she | they | this person | someone | the figure
    | the character | the man | the woman | he or she | the actor | it | the guy"""
)
_WHO_HELD = _split("the person | she | he | they | the girl | the dancer | this guy | the body")
_AS_OBJECT = {"he": "him", "she": "her"}
_BEFORE = (
    "tell me: ",
    "please tell me: ",
    "quick question: ",
    "hi, ",
    "so, ",
    "and ",
    "ok, ",
    "in this clip, ",
    "now, ",
    "can you tell me: ",
    "please, ",
    "in the motion, ",
    "question: ",
    "hey, ",
    "could you say: ",
    "um, ",
    "well, ",
    "here, ",
)
_BEFORE_HELD = ("just one thing: ", "hello, ", "in this animation, ", "let me ask: ", "now tell me, ", "in the video, ")
_AFTER = (
    " here",
    " in this clip",
    " in the clip",
    ", please",
    " in this motion",
    " please",
    " in it",
    ", do you know",
    " in the video",
)
_AFTER_HELD = (" in this animation", ", can you tell", " in this recording", " then")
_MAY_BE_NEVER = ("does", "count", "side", "when", "seconds of", "pace how")  # asked of what no verb stands for too


def draw(random: np.random.Generator, held_out: bool = False, kind: str | None = None) -> Inquiry:
    """A question and its query. held_out: in words that training never sees. kind: of KINDS; None: any."""
    if kind is None:
        kind = _KINDS[random.choice(len(_KINDS), p=_SHARES)]
    asked, never = KINDS[kind], kind in _MAY_BE_NEVER and random.random() < 0.07
    words = _words(asked, random, held_out)
    if never:
        do = _one(_both(NEVER)[held_out], random)
        words |= {"do": do, "does": third(do), "doing": gerund(do)}
    texts = [text for text in (asked.held if held_out else asked.known) if not (never and "noun" in text)]
    text = _said(_one(texts, random).format(**words), random, held_out)
    return Inquiry("none" if never else kind, text, "none" if never else asked.query.format(**words))


def _one(options: Sequence[str], random: np.random.Generator) -> str:
    return options[int(random.integers(len(options)))]


def _words(asked: Kind, random: np.random.Generator, held_out: bool) -> dict[str, str]:
    """What may fill the places of a text and of its query."""
    count = int(random.integers(1, 13 if random.random() < 0.3 else 6))
    words = {
        "name": _one(CLASSES if asked.query != "none" else (*CLASSES, "style", "content", "emotion"), random),
        "posture": _one(POSTURES, random),
        "time": f"{random.integers(1, 100) / 10:.1f}" if random.random() < 0.6 else str(random.integers(1, 10)),
        "count": str(count),
        "times": times(count),
    }
    for n, verbs in (("", asked.verbs or _ALL), ("2", _ALL)):
        verb = _one([verb for verb in verbs if verb != words.get("verb")], random)
        words |= {f"verb{n}": verb} | {f"{k}{n}": v for k, v in _called(verb, random, held_out).items()}
    verb, other = words["verb"], words["verb2"]
    same = verb if VERBS[verb].parts and random.random() < 0.3 else other
    words |= {"x": words["doing"], "y": words["doing2"], "verbs": third(verb), "verbing": gerund(verb)}
    words |= {"a": _label(verb, random), "b": _label(same, random), "limb": _limb(verb, random)}
    if words["a"] == words["b"]:
        words["b"] = _label(other, random)
    spec = VERBS[verb]
    if one_side := [part for part in spec.parts if not part.startswith("both")]:
        words["part"] = _one(one_side, random)
        words["side"] = words["part"].split(" ")[0]
    if spec.ways:
        way = words["way"] = _one(spec.ways, random)
        words["to way"] = f"to the {way}" if way in ("left", "right") and random.random() < 0.5 else way
    return words


def _limb(verb: str, random: np.random.Generator) -> str:
    """What a verb is done with: of the questions on facts, or another word for it."""
    limb = _LIMBS.get(verb, "hand")
    return {"hand": "arm", "arm": "hand", "leg": "foot", "foot": "leg"}[limb] if random.random() < 0.2 else limb


def _label(verb: str, random: np.random.Generator) -> str:
    """A label of a verb, as the questions on facts have them."""
    spec = VERBS[verb]
    part = _one(spec.parts, random) if spec.parts and random.random() < 0.9 else ""
    way = _one(spec.ways, random) if spec.ways and not (part and random.random() < 0.7) else ""
    turn = (90.0, -90.0, 0.0, 0.0)[int(random.integers(4))] if way and spec.speed else 0.0
    return labelled(verb, part, way, turn)


def _called(verb: str, random: np.random.Generator, held_out: bool) -> dict[str, str]:
    """A verb in a person's words."""
    infinitives, gerunds, _ = NAMED[verb]
    synonyms = _both(SYNONYMS[verb])[held_out]
    do = _one((*infinitives, *infinitives, *synonyms), random)
    doing = _one(gerunds, random) if do in infinitives else gerund(do)
    nouns = WORDINGS[verb].nouns
    noun = _one(nouns if len(nouns) < 3 else nouns[-1:] if held_out else nouns[:-1], random)
    bare = "hop" if verb == "hop" else _one(("stand", "balance"), random)
    several = noun.endswith(("ing", "s")) or "hand" in noun
    return {
        "do": do,
        "does": third(do),
        "doing": doing,
        "noun": noun,
        "nouns": plural(noun),
        "a noun": noun if several else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}",
        "bare": bare,
        "bares": third(bare),
        "baring": gerund(bare),
    }


def _said(text: str, random: np.random.Generator, held_out: bool) -> str:
    """The text of somebody, with words before and after it, small letters or no question mark, now and then."""
    who = _one(_WHO_HELD if held_out else _WHO, random)
    if who == "they":
        text = re.sub(r"\b(does|is|has|was) the person\b", _with_they, text, flags=re.IGNORECASE)
        who = "the person"
    if who in _AS_OBJECT:
        text = re.sub(r"\b(see|with) the person\b(?!')", rf"\1 {_AS_OBJECT[who]}", text)
    if who not in ("he", "she", "it", "he or she"):
        text = text.replace("the person's", f"{who}'s")
    text = re.sub(r"the person\b(?!')", who, text, flags=re.IGNORECASE)
    asks = text.endswith("?")
    if asks and random.random() < 0.15:
        text = text[:-1] + _one(_AFTER_HELD if held_out else _AFTER, random) + "?"
    small = text[0].lower() + text[1:]
    if random.random() < 0.2 and not small.startswith(("tell", "say", "please", "can you", "could you")):
        text = _one(_BEFORE_HELD if held_out else _BEFORE, random) + small
    letters = random.random()
    if letters < 0.35:
        text = text.lower() if random.random() < 0.5 else small
    elif letters < 0.8:
        text = text[0].upper() + text[1:]
    if asks and random.random() < 0.25:
        return text[:-1]
    return text if asks or text.endswith(".") or random.random() > 0.3 else f"{text}."


def _with_they(match: re.Match[str]) -> str:
    plural = {"does": "do", "is": "are", "has": "have", "was": "were"}
    return f"{plural[match[1].lower()]} they"
