"""Notation: what a body does, measured from its joints and written as text that a person or any LLM can read.

    3.2 s, standing to standing
    0.0-1.4 run forward 3.4 m/s
    1.5-2.0 turn left 90
    1.8-2.6 wave right hand x3

The first line holds the duration and the postures at both ends, each further line one event: its seconds, what is
done, with which part, which way, how far, how fast and how often. `measure` computes it, `Notation.parse` reads it back
exactly, `Notation.sentence` says it in plain English. Numbers are rounded once, when they are measured.

Whatever `facts` names is written by its name. Movement that no event explains is written as what the limbs and the
trunk do: raise, lower, stretch, bend, swing, hold, lean, twist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.facts import Event, Facts, events_of, facts_of
from motionllm.motion.signals import (
    ANKLE,
    SIDES,
    WRIST,
    Signals,
    coverage,
    minima,
    odd_frames,
    posture,
    running_mean,
    stretches_where,
)

DENSITY = 0.45  # lines per second
VERSION = 1  # raised when the same joints would be written another way

POSTURES = ("standing", "crouching", "sitting", "kneeling", "lying")
_WAYS = ("forward", "backward", "left", "right")
_LIMBS = ("left arm", "right arm", "both arms", "left leg", "right leg")
_AXES = ("up and down", "sideways", "back and forth")
_HANDS = ("left hand", "right hand", "both hands")
_LEGS = ("left leg", "right leg", "both legs")
_FEET = ("left foot", "right foot")
PACES = ("slowly", "quickly")


@dataclass(frozen=True)
class Verb:
    """What a line of a verb may hold. parts, ways: words for the part and the direction; size, speed: their units.

    usual: below the first it is done "slowly", above the second "quickly": peak speed of what moves (`facts`), m/s; of
    a turn or bow degrees per second, of those in _RATES times per second. None: no pace is told.
    """

    parts: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    size: str = ""  # "m", "degrees" (written without a unit)
    speed: bool = False  # m/s
    usual: tuple[float, float] | None = None
    words: tuple[str, str] = ("", "")  # third person and what comes after it in a sentence, {part} and {way} filled in


VERBS: dict[str, Verb] = {
    "walk": Verb(ways=_WAYS, size="degrees", speed=True, words=("walks", "{way}")),
    "run": Verb(ways=_WAYS, size="degrees", speed=True, words=("runs", "{way}")),
    "creep": Verb(ways=_WAYS, size="degrees", speed=True, words=("walks crouched", "{way}")),
    "crawl": Verb(ways=_WAYS, size="degrees", speed=True, words=("crawls", "on hands and knees {way}")),
    "climb": Verb(ways=("up", "down"), size="m", words=("climbs", "{way}")),
    "step": Verb(parts=_FEET, ways=_WAYS, usual=(2.13, 2.8), words=("steps", "{way} with the {part}")),
    "turn": Verb(ways=("left", "right"), size="degrees", usual=(63, 92), words=("turns", "to the {way}")),
    "jump": Verb(ways=_WAYS, size="m", words=("jumps", "{way}")),
    "hop": Verb(parts=_LEGS[:2], words=("hops", "on the {part}")),
    "dance": Verb(words=("dances", "")),
    "jumping jack": Verb(usual=(0.68, 0.83), words=("does jumping jacks", "")),
    "cartwheel": Verb(words=("does a cartwheel", "")),
    "flip": Verb(words=("does a flip", "")),
    "roll": Verb(words=("does a roll on the floor", "")),
    "squat": Verb(usual=(0.95, 1.42), words=("squats", "")),
    "lunge": Verb(parts=_LEGS[:2], usual=(0.9, 1.31), words=("lunges", "with the {part} in front")),
    "kneel": Verb(parts=_LEGS, usual=(0.48, 0.79), words=("kneels down", "")),
    "sit": Verb(usual=(0.9, 1.4), words=("sits down", "")),
    "lie": Verb(usual=(1.42, 1.94), words=("lies down on the floor", "")),
    "stand up": Verb(usual=(1.14, 1.73), words=("stands up", "")),
    "bend down": Verb(
        parts=_HANDS, usual=(1.15, 1.78), words=("bends down", "and reaches to the floor with the {part}")
    ),
    "bow": Verb(size="degrees", usual=(34, 58), words=("bends forward", "")),
    "lean": Verb(ways=_WAYS, size="degrees", words=("leans", "{way}")),
    "twist": Verb(words=("twists the upper body from side to side", "")),
    "look": Verb(ways=("left", "right"), words=("looks", "to the {way}")),
    "wave": Verb(parts=_HANDS, usual=(1.36, 2.2), words=("waves", "with the {part}")),
    "throw": Verb(parts=_HANDS, usual=(2.86, 3.56), words=("throws something", "with the {part}")),
    "punch": Verb(parts=_HANDS, usual=(1.55, 1.89), words=("punches", "with the {part}")),
    "clap": Verb(usual=(2.6, 3.57), words=("claps", "")),
    "hands on hips": Verb(words=("puts the hands on the hips", "")),
    "hand to head": Verb(parts=_HANDS, words=("touches the head", "with the {part}")),
    "kick": Verb(parts=_LEGS[:2], usual=(3.69, 4.65), words=("kicks", "with the {part}")),
    "stand on": Verb(parts=_LEGS[:2], words=("balances", "on the {part}")),
    "march": Verb(usual=(1.94, 2.8), words=("marches on the spot", "")),
    "lift": Verb(parts=_LEGS, words=("lifts", "the {part}")),
    "reach up": Verb(parts=_HANDS, usual=(2.56, 3.69), words=("raises", "the {part}")),
    "raise": Verb(parts=_LIMBS, words=("raises", "the {part}")),
    "lower": Verb(parts=_LIMBS, words=("lowers", "the {part}")),
    "stretch": Verb(
        parts=_LIMBS, ways=("forward", "out"), usual=(1.22, 1.85), words=("reaches", "{way} with the {part}")
    ),
    "bend": Verb(parts=_LIMBS, words=("bends", "the {part}")),
    "swing": Verb(parts=_LIMBS, ways=_AXES, words=("moves", "the {part} {way}")),
    "circle": Verb(parts=_LIMBS, ways=_WAYS[:2], words=("rotates", "the {part} {way}")),
    "hold": Verb(parts=_LIMBS, ways=("up", "forward", "out"), words=("holds", "the {part} {way}")),
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One event: seconds, verb, and what its verb allows of part, way, size (metres, or degrees to be turned, on the
    way + to the left), speed (m/s), count, and pace: "slowly" or "quickly" where it is neither usual nor told by a
    speed.
    """

    start: float
    end: float
    verb: str
    part: str = ""
    way: str = ""
    size: float = 0.0
    speed: float = 0.0
    count: int = 1
    pace: str = ""

    def __str__(self) -> str:
        spec = VERBS[self.verb]
        words = [f"{self.start:.1f}-{self.end:.1f}", self.verb, self.part, self.way]
        if spec.speed and self.size:
            words.append(f"turning {'left' if self.size > 0 else 'right'} {abs(self.size):.0f}")
        elif self.size:
            words.append(f"{self.size:.1f} m" if spec.size == "m" else f"{self.size:.0f}")
        if self.speed:
            words.append(f"{self.speed:.1f} m/s")
        if self.count > 1:
            words.append(f"x{self.count}")
        words.append(self.pace)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Notation:
    """A clip in writing. `str(notation)` is its text; `Notation.parse(str(notation)) == notation`."""

    seconds: float
    postures: tuple[str, str]
    lines: tuple[Line, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.seconds:.1f} s, {self.postures[0]} to {self.postures[1]}", *map(str, self.lines)])

    @staticmethod
    def parse(text: str) -> Notation:
        """The notation of a text. Raises MotionLLMError, naming the line and what it should hold."""
        rows = [row.strip() for row in text.strip().splitlines()]
        head = _HEAD_LINE.fullmatch(rows[0]) if rows else None
        if not head:
            raise MotionLLMError(
                "Notation, line 1: begin with duration and postures, as '3.2 s, standing to sitting' "
                f"(postures: {', '.join(POSTURES)})."
            )
        seconds = float(head[1])
        lines: list[Line] = []
        for number, row in enumerate(rows[1:], 2):
            try:
                line = _parse_line(row)
                if line.end < line.start:
                    raise MotionLLMError("it ends before it starts; write the earlier time first")
                if lines and line.start < lines[-1].start:
                    raise MotionLLMError(
                        f"it starts before the line above ({lines[-1].start:.1f}); sort lines by start"
                    )
                if line.end > seconds + 0.05:
                    raise MotionLLMError(f"it ends after the clip, which is {seconds:.1f} s long; write a longer clip")
            except MotionLLMError as error:
                raise MotionLLMError(f"Notation, line {number} ({row[:60]!r}): {error}.") from None
            lines.append(line)
        return Notation(seconds, (head[2], head[3]), tuple(lines))

    def sentence(self) -> str:
        """The clip in one plain English sentence, from its longest and most telling events."""
        return _sentence(self)

    def sentences(self) -> list[str]:
        """The clip in one to three different sentences: `sentence`, the order of its events told, and the main ones."""
        return list(dict.fromkeys((
            _sentence(self),
            _sentence(self, subject="someone", between=", then ", last=" and then "),
            _sentence(self, clauses=2, subject="the person", between=", then ", last=" and then "),
        )))  # fmt: skip

    def between(self, start: float, end: float) -> Notation:
        """The notation of a part of the clip: what is done from `start` to `end` seconds, told from its beginning.

        Of an event that is cut, count and turn go on as evenly as it lasts. The postures are those of the ends, or what
        the last event before the cut has led to.
        """
        shown = round(min(end, self.seconds) - start, 1)
        lines = []
        for x in self.lines:
            a, b = max(x.start, start), min(x.end, end)
            if b < a or (b == a and x.end > x.start):
                continue
            left = (b - a) / (x.end - x.start) if x.end > x.start else 1.0
            turns = VERBS[x.verb].size == "degrees" and (VERBS[x.verb].speed or x.verb == "turn")
            size = 15.0 * round(x.size * left / 15) if turns and left < 1 else x.size
            begun, over = (min(max(round(t - start, 1), 0.0), shown) for t in (a, b))
            lines.append(replace(x, start=begun, end=over, size=size, count=max(1, round(x.count * left))))
        postures = tuple(self._posture(t) for t in (start, end))
        return Notation(shown, (postures[0], postures[1]), tuple(sorted(lines, key=lambda x: (x.start, x.end))))

    def _posture(self, at: float) -> str:
        if at >= self.seconds:
            return self.postures[1]
        led = [_LEADS_TO[x.verb] for x in self.lines if x.verb in _LEADS_TO and x.end <= at + 0.05]
        return led[-1] if led else self.postures[0]


_LEADS_TO = {"sit": "sitting", "kneel": "kneeling", "lie": "lying", "stand up": "standing"}
_HEAD_LINE = re.compile(rf"(\d{{1,4}}\.\d) s, ({'|'.join(POSTURES)}) to ({'|'.join(POSTURES)})")
_TIMES = re.compile(r"(\d{1,4}\.\d)-(\d{1,4}\.\d) (.+)")
_COUNT, _SPEED = re.compile(r"(.*?) ?x(-?\d{1,4})"), re.compile(r"(.*?) ?(\d{1,3}\.\d) m/s")
_CURVE = re.compile(r"(.*?) ?turning (left|right) (\d{1,4})")
_METRES, _DEGREES = re.compile(r"(.*?) ?(\d{1,3}\.\d) m"), re.compile(r"(.*?) ?(\d{1,4})")


def _parse_line(row: str) -> Line:
    times = _TIMES.fullmatch(row)
    if not times:
        raise MotionLLMError("write seconds and what is done, as '0.5-1.4 walk forward 1.2 m/s'")
    rest = times[3]
    size, speed, count = 0.0, 0.0, 1
    pace = next((word for word in PACES if rest.endswith(f" {word}")), "")
    rest = rest.removesuffix(pace).rstrip() if pace else rest
    if match := _COUNT.fullmatch(rest):
        rest, count = match[1], int(match[2])
        if count < 2:
            raise MotionLLMError(f"x{count} is no count; write x2 or more, or leave it out")
    if match := _SPEED.fullmatch(rest):
        rest, speed = match[1], float(match[2])
    if match := _CURVE.fullmatch(rest):
        rest, size = match[1], float(match[3]) * (1 if match[2] == "left" else -1)
    elif match := _METRES.fullmatch(rest) or _DEGREES.fullmatch(rest):
        rest, size = match[1], float(match[2])
    verb = next((v for v in _BY_LENGTH if rest == v or rest.startswith(v + " ")), None)
    if verb is None:
        first = rest.split(" ")[0]
        raise MotionLLMError(unknown("verb", first, VERBS))
    spec, words = VERBS[verb], rest[len(verb) :].strip()
    part = next((p for p in spec.parts if words == p or words.startswith(p + " ")), "")
    way = words[len(part) :].strip()
    if way and way not in spec.ways:
        known = [*spec.parts, *spec.ways]
        raise MotionLLMError(f"{verb!r} takes {', '.join(known) if known else 'nothing after it'}, not {way!r}")
    line = Line(float(times[1]), float(times[2]), verb, part, way, size, speed, count, pace)
    if str(line) != row or (size and not spec.size) or (speed and not spec.speed) or (pace and not spec.usual):
        raise MotionLLMError(
            f"{verb!r} does not take these numbers; write it as {str(Line(line.start, line.end, verb))!r}"
        )
    return line


_RATES = ("march", "step", "wave", "clap", "jumping jack")
_BY_LENGTH = sorted(VERBS, key=len, reverse=True)


# -- measuring ----------------------------------------------------------------------------------------------


def measure(joints: np.ndarray, fps: float = 20.0, density: float = DENSITY) -> Notation:
    """The notation of a clip: joints (T, 22, 3) metres, Y up, the canonical order.

    density: so many lines per second are written at most, and three more; the most telling stay. Raises MotionLLMError
    for another shape, under 5 frames, or values that are not finite.
    """
    s = Signals(joints, fps)
    return _notation(s, events_of(s), density)


def measure_with_facts(joints: np.ndarray, fps: float = 20.0) -> tuple[Notation, Facts]:
    """`measure` and `facts` of a clip, whose events are then found once."""
    s = Signals(joints, fps)
    events = events_of(s)
    return _notation(s, events, DENSITY), facts_of(s, events, np.asarray(joints))


def _notation(s: Signals, events: list[Event], density: float) -> Notation:
    lines = [*_whole_body(s, events), *_limbs(s, events)]
    lines = _merged(lines)
    room = 3 + int(density * len(s.p) / s.fps)
    kept = sorted(sorted(lines, key=_weight, reverse=True)[:room], key=lambda line: (line.start, line.end, line.verb))
    kept = [replace(line, pace=_pace(line, events)) for line in kept]
    seconds = round(len(s.p) / s.fps, 1)
    return Notation(seconds, (posture(s, 0), posture(s, len(s.p) - 1)), tuple(_rounded(kept, seconds)))


_NAMES = {
    "walk": "walk", "run": "run", "crouch walk": "creep", "turn": "turn", "jump": "jump", "hop": "hop",
    "jumping jack": "jumping jack", "squat": "squat", "lunge": "lunge", "kneel": "kneel", "sit": "sit", "lie": "lie",
    "stand up": "stand up", "reach down": "bend down", "bow": "bow", "look": "look", "raise": "reach up",
    "wave": "wave",
    "throw": "throw", "punch": "punch", "clap": "clap", "arms out": "stretch", "hands on hips": "hands on hips",
    "hand at mouth": "hand to head", "kick": "kick", "leg raised": "stand on", "march": "march", "step": "step",
    "lift": "lift",
}  # fmt: skip
_TRAVEL = ("walk", "run", "creep", "crawl")
_ARMS = ("wave", "throw", "punch", "clap", "hands on hips", "hand to head", "reach up", "stretch", "jumping jack")
_HELD = ("hold", "lean", "hands on hips", "hand to head", "stand on", "lift")  # an interruption is no second time
SMALL = ("raise", "lower", "stretch", "bend", "swing", "hold", "lean", "twist", "lift", "step", "look")  # told last


def _spans(s: Signals, lines: Iterable[Line], *verbs: str) -> list[tuple[int, int]]:
    return [(int(x.start * s.fps), int(x.end * s.fps) + 1) for x in lines if x.verb in verbs]


def _whole_body(s: Signals, events: Sequence[Event]) -> list[Line]:
    """The events of `facts` as lines, and those that it has no rule for: flips, crawling, climbing, two-handed throws.

    On real motion some rules of `facts` fire too easily; the limbs then tell what is left out here: a punch under
    1.8 m/s (1.3 with a straight arm); a throw under 2.1 m/s, with both hands at once, or under 3 m/s while going or
    with the other hand as busy (0.8 of its speed); a low kick of under 0.15 s and 3.2 m/s; turns of under 50 degrees; a
    look of over 90 degrees; a hand at the head for under 0.8 s; bows of under 0.4 s, or on the way to a squat, seat or
    jump; lifts of under 0.2 m; two claps on the way; steps, lifts, lunges and low kicks while travelling, marching
    or on one leg; what an arm does that circles; arms within a flip; and a squat or lunge of over 4 s, which is how the
    body stands.
    """
    going = [(int(e.start * s.fps), int(e.end * s.fps)) for e in events if e.name in ("walk", "run", "crouch walk")]
    climbs = _climbs(s)
    lines = [*_flips(s), *_crawls(s), *climbs, *_pushes(s, climbs, going), *_dances(s, events)]
    over, low = _spans(s, lines, "cartwheel", "flip", "roll"), _spans(s, lines, "crawl")
    pushed = _spans(s, lines, "throw")
    thrown = [e for e in events if e.name == "throw"]
    marching = [
        (int(e.start * s.fps) - s.frames(0.2), int(e.end * s.fps) + s.frames(0.2))
        for e in events
        if e.name in ("march", "leg raised")
    ]
    springing = [  # the trunk bends on the way down to a squat or a jump and up again
        (int((e.start - 0.8) * s.fps), int((e.end + 0.5) * s.fps))
        for e in events
        if e.name in ("jump", "squat", "sit", "seated", "kneel", "lie")
    ]
    wound = {side: [x for x in _circles(s) if x.part.startswith(side)] for side in SIDES}
    for e in events:
        verb = _NAMES.get(e.name)
        a, b = int(e.start * s.fps), max(int(e.end * s.fps), int(e.start * s.fps) + 1)
        around = (a - s.frames(0.3), b + s.frames(0.3))
        if verb is None or coverage(*around, over) > 0.3 or coverage(a, b, low) > 0.5:
            continue
        if verb in _ARMS and e.side in SIDES and coverage(a, b, _spans(s, wound[e.side], "circle")) > 0.5:
            continue
        if verb in ("throw", "punch") and coverage(*around, pushed) > 0:
            continue
        size = speed = 0.0
        part, way = "", e.direction if e.direction in VERBS[verb].ways else ""
        if verb == "walk" and (steps := _few_steps(e, events)):
            lines.append(Line(e.start, e.end, "step", "", e.direction, count=steps))
            continue
        if verb == "step" and e.direction in SIDES and e.side != e.direction and _follows(e, events):
            continue
        if verb in _TRAVEL:
            size, speed = e.size, e.speed
        elif verb in ("turn", "bow"):
            size = abs(e.size)
        elif verb == "jump":
            size = e.size * s.scale
        sides = VERBS[verb].parts
        if sides and e.side:
            part = next((p for p in sides if p.startswith(e.side)), "")
        if verb == "punch" and e.speed < (1.3 if e.size > 0.45 else 1.8):
            verb, part, way = "stretch", f"{e.side} arm", "forward"
        elif verb == "throw" and (e.speed < 2.1 or _with_the_other(e, thrown) or (e.speed < 3 and _busy(s, e, going))):
            verb, part, way = "swing", f"{e.side} arm", _AXES[2]
        elif verb == "stretch":
            part, way = "both arms", "out"
        elif verb == "bow" and (e.end - e.start < 0.4 or coverage(a, b, springing) > 0):
            continue
        elif verb == "bow" and (e.end - e.start > 4 or (size < 35 and not _from_upright(s, a, b))):
            verb, way = "lean", "forward"
        if (
            verb in ("squat", "lunge") and e.end - e.start > 4 and e.count < (3 if verb == "squat" else 9)
        ):  # how the body stands all along
            continue
        if verb == "stand on" and e.end - e.start < 1.5:
            verb, part = "lift", "right leg" if e.side == "left" else "left leg"
        if (verb == "lift" and e.size < 0.2) or (verb == "turn" and abs(e.size) < 50):
            continue
        if verb == "kick" and e.end - e.start < 0.15 and e.size < 0.5 and e.speed < 3.2:
            continue
        if verb == "clap" and e.count < 3 and coverage(a, b, going) > 0.5:
            continue
        step_on_way = e.name in ("step", "lift", "lunge") or (verb == "kick" and e.size < 0.4)
        step_on_way = step_on_way and coverage(a, b, going + marching) > 0.3
        if (verb == "look" and abs(e.size) > 90) or (verb == "hand to head" and e.end - e.start < 0.8) or step_on_way:
            continue
        lines.append(Line(e.start, e.end, verb, part, way, size, speed, max(1, e.count)))
    return lines


def _few_steps(walk: Event, events: Sequence[Event]) -> int:
    """The steps of a walk that is no more than some single ones: straight on or back up to four at under 0.65 m/s,
    to the side, where the foot of that side leads and is counted, at under 0.9 m/s. 0 for any other walk.
    """
    aside = walk.direction in SIDES
    if walk.speed > (0.9 if aside else 0.65) or abs(walk.size) > 45:
        return 0
    steps = [e for e in events if e.name == "step" and min(e.end, walk.end) - max(e.start, walk.start) > 0.1]
    steps = [e for e in steps if e.direction == walk.direction and (not aside or e.side == walk.direction)]
    return len(steps) if len(steps) <= 4 else 0


def _follows(step: Event, events: Sequence[Event]) -> bool:
    """Whether the other foot went the same way within 1.5 s before a step: then this one brings the feet together."""
    return any(
        e.name == "step" and e.side != step.side and e.direction == step.direction and 0 <= step.start - e.start < 1.5
        for e in events
    )


def _with_the_other(event: Event, events: Sequence[Event]) -> bool:
    """Whether the other side does the same within 0.4 s."""
    return any(other.side != event.side and abs(other.start - event.start) < 0.4 for other in events)


def _busy(s: Signals, event: Event, going: list[tuple[int, int]]) -> bool:
    """Whether the body travels during an event of one hand, or the other hand goes 0.8 as fast as that one."""
    a, b = int(event.start * s.fps), int(event.end * s.fps) + 1
    k = SIDES.index(event.side)
    own, other = s.hand_speed[a:b, k].max(), s.hand_speed[a:b, 1 - k].max()
    return coverage(a, b, going) > 0.3 or bool(other > 0.8 * own)


def _from_upright(s: Signals, a: int, b: int) -> bool:
    """Whether the trunk is within 15 degrees of upright within 0.8 s before a stretch and after it."""
    near = s.frames(0.8)
    before, after = s.bend[max(0, a - near) : a], s.bend[b : b + near]
    return bool(np.abs(before).min(initial=90) < 15 and np.abs(after).min(initial=90) < 15)


def _flips(s: Signals) -> list[Line]:
    """The trunk points down (over 115 degrees from upright) for 0.1 s, with the ankles over 0.35 m high or the pelvis
    under 0.45 of standing. roll: the pelvis stays under 0.75 of standing, or the ankles under 1.55 m; cartwheel: a
    wrist comes under 0.3 m; flip otherwise.
    """
    legs = (s.p[:, ANKLE, 1].mean(1) > 0.35) | (s.pelvis < 0.45)
    lines = []
    for a, b in stretches_where((s.tilt > 115) & legs, s.frames(0.1), s.frames(0.3)):
        c, d = max(0, a - s.frames(0.5)), min(len(s.p), b + s.frames(0.5))
        flat = s.pelvis[a:b].max() < 0.75 or s.p[c:d][:, ANKLE, 1].max() < 1.55
        on_hands = s.p[a:b][:, WRIST, 1].min() < 0.3
        lines.append(Line(c / s.fps, d / s.fps, "roll" if flat else "cartwheel" if on_hands else "flip"))
    return lines


def _pushes(s: Signals, climbs: Sequence[Line], going: list[tuple[int, int]]) -> list[Line]:
    """throw with both hands: above the shoulders and before them (0.1 m) the arms stretch by 0.07 m within 0.35 s, on
    the mean of both, the trunk within 40 degrees of upright. The hands are within 0.55 m of each other and 0.22 m of
    one height, end 0.12 m over the shoulders with arms stretched to 0.36 m, and hang (0.3 m below) within a second.
    Not while travelling or in a clip with climbing, where hands hold on to something.
    """
    if climbs:
        return []
    reach, window = s.reach.mean(1), s.frames(0.35)
    least = np.array([reach[max(0, i - window) : i + 1].min() for i in range(len(reach))])
    high = s.hand[..., 1]
    ahead = (high.mean(1) > 0) & (s.hand[..., 2].mean(1) > 0.1) & (high > -0.1).all(1)
    lines = []
    for c, b in stretches_where((reach - least > 0.07) & ahead & (s.tilt < 40), 2, s.frames(0.5)):
        a, near = max(0, c - window), slice(max(0, c - s.frames(0.9)), b + s.frames(1.0))
        out = a + int(reach[a:b].argmax())
        together = s.hands_apart[a:b].max() < 0.55 and np.abs(high[a:b, 0] - high[a:b, 1]).max() < 0.22
        stretched = high[out].min() > 0.12 and s.reach[out].min() > 0.36
        if together and stretched and high[near].min() < -0.3 and coverage(a, b, going) < 0.3:
            lines.append(Line(a / s.fps, b / s.fps, "throw", "both hands"))
    return lines


def _dances(s: Signals, events: Sequence[Event]) -> list[Line]:
    """dance: at least 4 s of one to 2.4 steps per second that lead nowhere: the pelvis goes 0.25 to 0.85 m/s and ends
    within 0.4 of that way from where it began, its path turns by over 50 degrees per second to both sides, the body by
    over 25, the hands are above the hips in over 0.72 of the frames, and hardly anything is kicked or punched hard.
    Or six kicks of both legs and more, one in 2 s, without a punch.
    """
    steps, seconds = [e for e in events if e.name == "step"], len(s.p) / s.fps
    kicks = [e for e in events if e.name == "kick"]
    if len(kicks) >= max(6, 0.5 * seconds) and min(sum(e.side == side for e in kicks) for side in SIDES) > 1:
        return [] if any(e.name == "punch" for e in events) else [Line(kicks[0].start, kicks[-1].end, "dance")]
    fights = sum(e.name == "kick" or (e.name == "punch" and e.speed > 1.8) for e in events)
    if seconds < 4 or not 1 < len(steps) / seconds < 2.4 or fights > max(1, seconds / 10):
        return []
    root = running_mean(s.p[:, 0][:, [0, 2]], odd_frames(0.45 * s.fps))
    drift = np.gradient(root, axis=0)
    pace = np.linalg.norm(drift, axis=1)
    gone, far = float(pace.sum()), float(np.linalg.norm(root[-1] - root[0]))
    course = np.degrees(np.diff(np.unwrap(np.arctan2(drift[:, 0], drift[:, 1]))))[pace[1:] * s.fps > 0.15]
    turned = float(np.degrees(np.abs(np.diff(s.yaw))).sum())
    about = 0.25 < gone / seconds < 0.85 and far < 0.4 * gone
    winding = np.abs(course).sum() > max(50 * seconds, 1.7 * abs(course.sum())) and turned / seconds > 25
    if about and winding and (s.hand[..., 1] > -0.35).mean() > 0.72:
        return [Line(steps[0].start, steps[-1].end, "dance")]
    return []


def _crawls(s: Signals) -> list[Line]:
    """Both wrists under 0.35 m and the pelvis between 0.25 and 0.75 of standing for 0.8 s, over 0.4 m of way."""
    low = (s.p[:, (20, 21), 1].max(1) < 0.35) & (s.pelvis < 0.75) & (s.pelvis > 0.25)
    lines = []
    for a, b in stretches_where(low, s.frames(0.8), s.frames(0.3)):
        way = s.p[b - 1, 0] - s.p[a, 0]
        far = float(np.hypot(way[0], way[2]))
        if far > 0.4:
            lines.append(Line(a / s.fps, b / s.fps, "crawl", "", "forward", 0.0, far * s.fps / (b - a)))
    return lines


def _climbs(s: Signals) -> list[Line]:
    """The lower foot comes to rest over 0.15 m higher, or lower, than it rested, and stays there for 0.6 s.

    size: that height, m.
    """
    lower = s.p[:, (10, 11), 1].min(1)
    resting = s.foot_speed.min(1) < 0.3
    held = running_mean(lower, odd_frames(0.6 * s.fps))
    lines: list[Line] = []
    level, since = None, 0
    for a, b in stretches_where(resting & (np.abs(lower - held) < 0.05), s.frames(0.4)):
        height = float(np.median(lower[a:b]))
        if level is not None and abs(height - level) > 0.15:
            lines.append(
                Line(since / s.fps, a / s.fps, "climb", "", "up" if height > level else "down", abs(height - level))
            )
        level, since = height, b
    return lines


def _limbs(s: Signals, events: Sequence[Event]) -> list[Line]:
    """What the arms, the trunk and the legs do where no event says more: strokes, swings, holds, leans and twists."""
    circles = _circles(s)
    return [*circles, *_strokes(s, events, circles), *_leans(s, events)]


def _circles(s: Signals) -> list[Line]:
    """An arm goes round its shoulder, as seen from the side, by 270 degrees at over 120 degrees per second, 0.2 m
    before it and 0.1 m behind it at the shoulder's height.

    count: whole rounds, at least one.
    """
    lines = []
    for k, side in enumerate(SIDES):
        for a, b in stretches_where(_hand_pace(s, k) > 0.5, s.frames(0.3), s.frames(0.4)):
            wound = _winding(s.hand[a:b, k])
            level = s.hand[a:b, k, 2][np.abs(s.hand[a:b, k, 1]) < 0.15]
            fast = abs(wound) * s.fps > 120 * (b - a)
            if abs(wound) > 270 and fast and level.max(initial=0) > 0.2 and level.min(initial=0) < -0.1:
                way, count = "backward" if wound > 0 else "forward", max(1, round(abs(wound) / 360))
                lines.append(Line(a / s.fps, b / s.fps, "circle", f"{side} arm", way, count=count))
    return lines


def _hand_pace(s: Signals, k: int) -> np.ndarray:
    """(T,) m/s of a hand about its shoulder: means of 0.2 s of places, of 0.3 s of speeds."""
    hand = running_mean(s.hand[:, k], odd_frames(0.2 * s.fps))
    return running_mean(np.linalg.norm(np.gradient(hand, axis=0), axis=1) * s.fps, odd_frames(0.3 * s.fps))


def _strokes(s: Signals, events: Sequence[Event], circles: Sequence[Line]) -> list[Line]:
    """Arms: stretches in which a hand moves about its shoulder at over 0.5 m/s, and those in which it is held up.

    One that goes to and fro at least twice by 0.12 m along its longest axis swings along it (count: those); else it is
    raised or lowered (0.25 m; "reach up" where it ends over the shoulder), stretched or bent (0.15 m of its distance
    from the shoulder); all over 0.3 m. Held: over 1.5 s under 0.35 m/s above the belly. Swings while travelling are
    those of walking and are left out, unless the hand is above the belly.
    """
    going = [
        (int(e.start * s.fps), int(e.end * s.fps)) for e in events if e.name in ("walk", "run", "crouch walk", "jump")
    ]
    lines: list[Line] = []
    for k, side in enumerate(SIDES):
        told = [
            (int((e.start - 0.3) * s.fps), int((e.end + 0.3) * s.fps))
            for e in events
            if _NAMES.get(e.name) in _ARMS and e.side in (side, "both", "")
        ]
        told += [(int(x.start * s.fps), int(x.end * s.fps)) for x in circles if x.part.startswith(side)]
        hand, pace, part = running_mean(s.hand[:, k], odd_frames(0.2 * s.fps)), _hand_pace(s, k), f"{side} arm"
        for a, b in stretches_where(pace > 0.5, s.frames(0.3), s.frames(0.4)):
            if coverage(a, b, told) > 0.4:
                continue
            piece, reach = hand[a:b], s.reach[a:b, k]
            axis = int(np.ptp(piece, axis=0).argmax())
            wide = float(np.ptp(piece[:, axis]))
            count = len(minima(piece[:, axis], max(0.12, 0.4 * wide)))
            on_the_way = coverage(a, b, going) > 0.5 and np.percentile(piece[:, 1], 90) < -0.2
            if on_the_way or wide < 0.3:
                continue
            axes = (_AXES[1], _AXES[0], _AXES[2])
            rise, longer = float(piece[-1, 1] - piece[0, 1]), float(reach[-1] - reach[0])
            span = (a / s.fps, b / s.fps)
            if count >= 2:
                lines.append(Line(*span, "swing", part, axes[axis], 0.0, 0.0, count))
            elif rise > 0.25 and piece[-1, 1] > 0.03:
                lines.append(Line(*span, "reach up", f"{side} hand"))
            elif rise > 0.25:
                lines.append(Line(*span, "raise", part))
            elif rise < -0.25:
                lines.append(Line(*span, "lower", part))
            elif longer > 0.15:
                lines.append(Line(*span, "stretch", part, "out" if piece[-1, 0] > piece[-1, 2] else "forward"))
            elif longer < -0.15:
                lines.append(Line(*span, "bend", part))
            else:
                lines.append(Line(*span, "swing", part, axes[axis]))
        still = (pace < 0.35) & (hand[:, 1] > -0.25) & (s.reach[:, k] > 0.3)
        for a, b in stretches_where(still, s.frames(1.5), s.frames(0.3)):
            if coverage(a, b, told) < 0.4:
                out, up, forward = np.median(hand[a:b], axis=0)
                way = "up" if up > 0.15 else "out" if out > forward else "forward"
                lines.append(Line(a / s.fps, b / s.fps, "hold", part, way))
    return lines


def _winding(hand: np.ndarray) -> float:
    """Degrees that a hand (T, 3: outward, up, forward) goes round its shoulder, + where it rises in front."""
    angle = np.degrees(np.unwrap(np.arctan2(hand[:, 1], hand[:, 2])))
    return float(angle[-1] - angle[0])


def _leans(s: Signals, events: Sequence[Event]) -> list[Line]:
    """lean: the trunk over 20 degrees backward, left or right of upright for 0.4 s. twist: the shoulders turn on the
    hips to and fro by 35 degrees at least twice (count: those).
    """
    busy = [
        (int(e.start * s.fps), int(e.end * s.fps)) for e in events if e.name in ("lie", "reach down", "sit", "throw")
    ]
    trunk = s.local[:, 12] - s.local[:, 0]
    side = np.degrees(np.arctan2(trunk[:, 0], np.maximum(trunk[:, 1], 0.1)))
    back = -np.degrees(np.arctan2(trunk[:, 2], np.maximum(trunk[:, 1], 0.1)))
    lines = []
    for way, angle in (("left", side), ("right", -side), ("backward", back)):
        for a, b in stretches_where((angle > 20) & (s.tilt < 80), s.frames(0.4), s.frames(0.3)):
            if coverage(a, b, busy) < 0.3:
                lines.append(Line(a / s.fps, b / s.fps, "lean", "", way, float(angle[a:b].max())))
    turns = minima(running_mean(s.twist, odd_frames(0.2 * s.fps)), 35)
    if len(turns) >= 2:
        lines.append(Line(turns[0] / s.fps, turns[-1] / s.fps, "twist", count=len(turns)))
    return lines


def _merged(lines: Iterable[Line]) -> list[Line]:
    """Lines in time: both sides at once as one, repetitions within 1.5 s counted, travel the same way joined."""
    result: list[Line] = []
    for line in _both(sorted(lines, key=lambda x: (x.start, x.end, x.verb, x.part, x.way))):
        same = [
            i
            for i, x in enumerate(result)
            if x.verb == line.verb and x.way == line.way and (x.part == line.part or line.verb == "step")
            if line.start - x.end < 1.5 and line.verb not in ("turn", "sit", "lie", "climb")
        ]
        if not same:
            result.append(line)
            continue
        old = result[same[-1]]
        part = old.part if old.part == line.part else ""
        size, speed, count = max(old.size, line.size, key=abs), old.speed, old.count + line.count
        if line.verb in _TRAVEL:
            lengths = old.end - old.start, line.end - line.start
            size, count = old.size + line.size, 1
            speed = (old.speed * lengths[0] + line.speed * lengths[1]) / max(sum(lengths), 1e-6)
        elif (
            line.verb in ("hold", "lean", "hands on hips", "hand to head", "stand on", "lift")
            and line.start - old.end < 0.5
        ):
            count = old.count
        end = max(old.end, line.end)
        result[same[-1]] = replace(old, end=end, part=part, size=size, speed=speed, count=count)
    return result


def _pace(line: Line, events: Iterable[Event]) -> str:
    """Whether a line is done slowly or quickly, by the events of `facts` that it stands for."""
    usual = VERBS[line.verb].usual
    if not usual:
        return ""
    own = [
        e
        for e in events
        if _NAMES.get(e.name) == line.verb and e.start >= line.start - 0.01 and e.end <= line.end + 0.01
        if not e.side or not line.part or e.side in line.part or line.part.startswith("both")
    ]
    if not own:
        return ""
    slow, quick = usual
    if line.verb in _RATES:
        value = sum(e.count for e in own) / max(sum(e.end - e.start for e in own), 0.1)
    elif line.verb == "bow":
        value = float(np.median([e.size * e.count / max(e.end - e.start, 0.05) for e in own]))
    else:
        value = float(np.median([e.speed for e in own]))
    if line.verb == "step" and line.way in SIDES:
        slow, quick = 2.67, 3.5
    if line.verb == "bend down" and float(np.median([e.size for e in own])) > 0.78:  # with straight legs
        slow, quick = 1.9, 2.84
    if line.verb == "turn":  # a whole turn goes faster than a quarter
        slow, quick = (limit + (abs(line.size) - 90) / 90 * more for limit, more in ((slow, 18), (quick, 30)))
    return "slowly" if value <= slow else "quickly" if value >= quick else ""


def _both(lines: Sequence[Line]) -> list[Line]:
    """Lines of the left and of the right side that do the same over most of their time, as one of both."""
    result: list[Line] = []
    for line in lines:
        words = line.part.split(" ")
        plural = f"both {words[-1]}s"
        for i, x in enumerate(result):
            shared = min(x.end, line.end) - max(x.start, line.start)
            if (
                plural in VERBS[line.verb].parts
                and x.verb == line.verb
                and x.way == line.way
                and {x.part, line.part} == {f"left {words[-1]}", f"right {words[-1]}"}
                and shared > 0.5 * max(x.end - x.start, line.end - line.start, 0.1)
            ):
                count = max(x.count, line.count)
                result[i] = Line(
                    min(x.start, line.start), max(x.end, line.end), x.verb, plural, x.way, x.size, x.speed, count
                )
                break
        else:
            result.append(line)
    return result


def _weight(line: Line) -> tuple[bool, float]:
    """Which lines stay where there is no room for all: events before what limbs do, then by length and count; a raise
    before swings, and what a leg does or where the head turns before what the arms do.
    """
    first = {"lift": 3, "raise": 2, "step": 2, "look": 1}.get(line.verb, 0)
    return line.verb not in SMALL, (line.end - line.start) + 0.5 * line.count + first


def _rounded(lines: Iterable[Line], seconds: float) -> list[Line]:
    """Times and speeds to 0.1, heights to 0.1 m, angles to 15 degrees (under 30 degrees a way is straight)."""
    result = []
    for x in lines:
        size = round(x.size, 1)
        if VERBS[x.verb].size == "degrees":
            size = 15.0 * round(x.size / 15) if abs(x.size) >= (30 if x.verb in _TRAVEL else 8) else 0.0
        start = min(round(x.start, 1), seconds)
        end = min(max(round(x.end, 1), start), seconds)
        speed = round(x.speed, 1) if VERBS[x.verb].speed else 0.0
        result.append(replace(x, start=start, end=end, size=size if VERBS[x.verb].size else 0.0, speed=speed))
    return sorted(result, key=lambda line: (line.start, line.end))


# -- in plain English ---------------------------------------------------------------------------------------

_TIMES_WORDS = ("", "", "twice", "three times", "four times", "five times", "six times")


def _sentence(
    notation: Notation,
    clauses: int = 4,
    subject: str = "a person",
    between: str = ", ",
    last: str = ", and ",
) -> str:
    """A sentence of at most so many clauses."""
    lines = _told(notation)
    best = sorted(lines, key=_weight, reverse=True)[:clauses]

    def order(line: Line) -> tuple[bool, float, float]:
        return line.verb != "dance", line.start, line.end

    said = [clause for clause, _ in groupby(_clause(line) for line in sorted(best, key=order))]
    start, end = notation.postures
    verb = {"standing": "stands", "sitting": "sits", "kneeling": "kneels", "lying": "lies", "crouching": "crouches"}
    if not said:
        return f"{subject} {verb[start]} still" if start == end else f"{subject} goes from {start} to {end}"
    if start == end and start in ("sitting", "kneeling", "lying") and not any(x.verb in _MOVES for x in best):
        said = [verb[start], *said]
    if len(said) == 1:
        return f"{subject} {said[0]}"
    return f"{subject} {between.join(said[:-1])}{' and then ' if len(said) == 2 else last}{said[-1]}"


_MOVES = ("sit", "kneel", "lie", "stand up", "walk", "run", "crawl", "roll", "squat", "bend down")  # out of a posture


def _told(notation: Notation) -> list[Line]:
    """The lines a sentence is made of: without what is part of another event and, beside events, what limbs do."""
    lines = [x for x in notation.lines if x.verb not in SMALL or x.verb == "lift"] or list(notation.lines)
    if any(x.verb == "dance" for x in lines):  # its steps and turns are not told one by one
        lines = [x for x in lines if x.verb not in ("turn", "kick", "lift", *_TRAVEL)]
    return [x for x in lines if not any(x.verb in _PARTS_OF.get(y.verb, ()) and _beside(x, y) for y in lines)]


_PARTS_OF = {"throw": ("reach up",), "lift": ("bow",), "kick": ("lift",), "march": ("lift",), "stand on": ("lift",)}


def _beside(a: Line, b: Line) -> bool:
    """Whether two lines share time, or lie within 0.5 s of each other."""
    return a.start < b.end + 0.5 and b.start < a.end + 0.5


def _clause(line: Line) -> str:
    verb, after = VERBS[line.verb].words
    if line.verb == "stretch" and line.way == "out":
        verb, after = "stretches", "the {part} out to the side" + ("s" if line.part.startswith("both") else "")
    if line.verb == "march" and line.pace:
        verb, after = ("jogs in place", "") if line.pace == PACES[1] else ("raises the knees one after the other", "")
    way = line.way
    part = line.part.replace("leg", "knee") if line.verb == "lift" else line.part
    if line.verb in ("walk", "run", "creep") and line.way in ("left", "right"):
        way = f"sideways to the {line.way}"
    said = f"{verb} {after if _filled(after, line) else ''}".format(part=part, way=way)
    words = [said.replace("the both", "both").strip()]
    if line.verb == "turn" and line.size >= 150:
        words.append("all the way around" if line.size >= 270 else "to face the other way")
    if line.verb in _TRAVEL and abs(line.size) >= 45:
        words.append(
            "in a circle" if abs(line.size) >= 270 else f"curving to the {'left' if line.size > 0 else 'right'}"
        )
    if line.count > 1 and line.verb not in ("step", "jumping jack", "twist", "march"):
        words.append(_TIMES_WORDS[line.count] if line.count < len(_TIMES_WORDS) else "several times")
    return " ".join(word for word in words if word)


def _filled(words: str, line: Line) -> bool:
    """Whether the line has what the words stand around."""
    return ("{part}" not in words or bool(line.part)) and ("{way}" not in words or bool(line.way))
