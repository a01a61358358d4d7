"""The definition of an action of the built-in corpus: one record, used to draw, move, word, read and measure it.

A new action is a function that moves an `Actor` and an `Action` next to it, in a file of `actions/`.
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
    """One action of a clip. "" and 0 mean that the attribute is not specified."""

    action: str
    side: str = ""
    direction: str = ""
    count: int = 0
    speed: str = ""


@dataclass(frozen=True, kw_only=True)
class Action:
    """Everything specific to an action."""

    name: str
    # move(actor, part) writes it into the actor's score, from the actor's current time on; an action of the upper body
    # also takes until=seconds, the time at which it ends.
    move: Callable[..., None]
    begin: Callable[..., None] | None = None  # begin(actor): sets the posture where a clip begins with it

    # Values that a part may have; empty: it has no such attribute.
    side: tuple[str, ...] = ()
    direction: tuple[str, ...] = ()
    count: tuple[int, ...] = ()
    speed: tuple[str, ...] = ()

    # How it is drawn. These, and the order of the actions, determine what a seed draws.
    weight: float = 1.0
    carries: bool = False  # leaves the arms free for another action, like walking
    upper: int = 0  # above 0: only arms or head, so it can be combined with walking, drawn in this order
    repeats: bool = False  # may follow itself, with another side or direction
    last: bool = False  # nothing follows it
    then: tuple[str, ...] = ()  # the only actions that may follow, besides standing up

    # Captions: [verb], {their}, {side}, {way}, {noun}, {n} for "twice", {slow} for an adverb. The keys are directions,
    # or "both"; "" for all others. right goes as left, counterclockwise as clockwise, backward as forward.
    phrases: Mapping[str, tuple[str, ...]]
    noun: tuple[str, str] = ("", "")  # values of {noun}: the bare word, and the one used without a count
    synonyms: Mapping[str, tuple[str, ...]] | None = None  # {speed: synonyms of its verb}
    # Questions and answers.
    answer: str  # the short answer that names it
    asked: tuple[str, str]  # what the person does (infinitive), and what the person is doing (gerund)
    limb: str = ""  # limb named in questions about the side; "": hand or arm
    ask_side: tuple[str, ...] = ()  # instead of the common questions; {limb}
    ask_count: tuple[str, ...] = ()
    ask_direction: tuple[str, ...] = ()
    ask_whether: str = ""  # text that asks whether it is done with a {side}
    alike: tuple[str, ...] = ()  # groups; "no" would be arguable for an action of the same group, so it is not asked
    travels: bool | None = None  # whether the body leaves its place; None: arguable

    # Reading: regular expressions for free text that names it (`patterns`), searched in the order of `reading`. Matches
    # are removed from the text, so that "turns around" is not also read as "turns".
    patterns: tuple[str, ...]
    reading: int = 0
    broader: tuple[str, ...] = ()  # actions whose words also name it: "turn" for turning around
    shown: tuple[str, ...] = ()  # verbs of the notation: its own, then others that it may be measured as

    # Measuring: the events of `facts` that may show it, which of them count, and how often and how fast (`evidence`).
    events: tuple[str, ...] = ()
    evidence: Callable[[list[Event], Facts], list[Event]] = whatever
    times: Callable[[Part, list[Event]], int] = repetitions
    speed_of: Callable[[list[Event]], float] = peak_speed
    usual: tuple[float, float] | None = (
        None  # slow up to the first, quick from the second; chosen between the corpus' medians
    )
