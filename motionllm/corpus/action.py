"""What an action of the built-in corpus is: one record, read by all that draws, moves, words, reads and measures it.

A new action is a function that moves an `Actor` and an `Action` beside it, in one file of `actions/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from motionllm.corpus.evidence import peak_speed, repetitions, whatever
from motionllm.motion.facts import Event, Facts

SIDES, BOTH = ("left", "right"), ("left", "right", "both")
SPEEDS = ("slowly", "quickly")


@dataclass(frozen=True)
class Part:
    """One action of a clip. "" and 0 mean: not asked for, nothing said about it."""

    action: str
    side: str = ""
    direction: str = ""
    count: int = 0
    speed: str = ""


@dataclass(frozen=True, kw_only=True)
class Action:
    """All that is particular to an action."""

    name: str
    # move(actor, part) writes it into the actor's score, from the actor's present time on; an action of the upper body
    # also takes until=seconds, the time until which it goes on.
    move: Callable[..., None]
    begin: Callable[..., None] | None = None  # begin(actor): its posture, where a clip begins with it

    # What a part may ask for; nothing: it has none.
    side: tuple[str, ...] = ()
    direction: tuple[str, ...] = ()
    count: tuple[int, ...] = ()
    speed: tuple[str, ...] = ()

    # How it is drawn. The order of the actions, and these, fix what a seed draws.
    weight: float = 1.0
    carries: bool = False  # walking, and what else leaves the arms free for another action
    upper: int = 0  # of arms or head alone: can be done on the way, and is drawn then in this order; 0: no
    repeats: bool = False  # may follow itself, with another side or direction
    last: bool = False  # nothing follows it
    then: tuple[str, ...] = ()  # the only actions that may follow, beside standing up

    # Captions: [verb], {their}, {side}, {way}, {noun}, {n} for "twice", {slow} for an adverb. The keys are directions,
    # or "both"; "" for all others. right goes as left, counterclockwise as clockwise, backward as forward.
    phrases: Mapping[str, tuple[str, ...]]
    noun: tuple[str, str] = ("", "")  # of {noun}: the bare word, and what is said without a count
    synonyms: Mapping[str, tuple[str, ...]] | None = None  # of its verb, by speed
    # Questions and answers.
    answer: str  # the short answer that names it
    asked: tuple[str, str]  # what the person does (infinitive), and what the person is doing (gerund)
    limb: str = ""  # whose side is asked; "": hand or arm
    ask_side: tuple[str, ...] = ()  # in the place of the common questions; {limb}
    ask_count: tuple[str, ...] = ()
    ask_direction: tuple[str, ...] = ()
    ask_whether: str = ""  # whether it is done with one {side}
    alike: tuple[str, ...] = ()  # kinds: of an action that shares one, "no" would be arguable, so it is not asked
    travels: bool | None = None  # leaves its place; None: that is arguable

    # Reading: the regular expressions of free text that names it (`patterns`). What matched is taken out of the text,
    # so that "turns around" is not read as "turns": lower numbers are looked for first.
    patterns: tuple[str, ...]
    reading: int = 0
    broader: tuple[str, ...] = ()  # actions whose words name it too: to turn around is to turn
    shown: tuple[str, ...] = ()  # verbs of the notation: the first is its own, the others may be how it was measured

    # Measuring: the events of `facts` that are evidence of it, which of them count, and what they say (`evidence`).
    events: tuple[str, ...] = ()
    evidence: Callable[[list[Event], Facts], list[Event]] = whatever
    times: Callable[[Part, list[Event]], int] = repetitions
    speed_of: Callable[[list[Event]], float] = peak_speed
    usual: tuple[float, float] | None = None  # slow up to the first, quick from the second; between the corpus' medians
