"""What happens and when, for listeners: cues from a notation, as WebVTT, SubRip or plain lines.

Cues do not overlap, and each lasts as long as it takes to speak, where the motion allows. Slow repetitions are counted
along: those of an exercise when they are done, others at even intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from motionllm.motion.exercise_kinds import MARCH, PUNCH
from motionllm.motion.notation import Line, Notation
from motionllm.motion.notation.exercises import JOG, MOSTLY, fills, within
from motionllm.motion.repetitions import Set
from motionllm.numerals import NUMBERS, in_words, times

PACE, FASTEST = 18.0, 30.0  # characters per second, for speech and for reading; more is cut off
SHORTEST = 1.0  # seconds; least duration of a cue
TOGETHER = 0.6  # seconds; events that begin within this time share a cue
COUNTED = 0.8  # seconds; slower repetitions are counted along
# How exercises are told; those of the notation have words of their own.
TOLD = {
    "squat": "squats",
    "jumping jack": "does jumping jacks",
    "toe touch": "bends down toward the toes",
    "knee raise": "raises the knees",
    "side bend": "bends to the side",
    MARCH: "marches in place",
    "twist": "twists from side to side",
    "arm circle": "circles the arms",
    PUNCH: "punches",
    "sit to stand": "stands up from a seat",
}
# Acts that are said beside an exercise, since it does not consist of them.
BESIDE = {"wave", "throw", "punch", "clap", "hands on hips", "hand to head"}
# What the arms do besides in these, told if it is done in more than half of the repetitions.
ARMED = {"squat", "toe touch", "side bend", "knee raise"}
REACHES = {"bend down": "reaching down", "reach up": "reaching up", "stretch": "reaching out", "hold": "reaching out"}
# m/s: below the first a body goes slowly, above the second quickly.
USUAL = {"walk": (0.7, 1.7), "run": (2.0, 4.0), "creep": (0.6, 1.2), "crawl": (0.3, 0.8)}
ON_HIPS = "hands on hips"


@dataclass(frozen=True)
class Cue:
    """Text spoken from start to end (seconds)."""

    start: float
    end: float
    text: str


def narrate(notation: Notation, sets: Sequence[Set] = ()) -> list[Cue]:
    """The cues of a clip, in order and without overlap; the first begins at 0, the last ends with the clip.

    notation: without sets (`measure(…, sets=False)`), so that what the arms do besides can be said. sets: exercises of
    the clip (`exercise.exercises`), told with their count and tempo in place of the events that they consist of.
    """
    start, end = notation.postures
    sets = [
        one for one in sets if one.repetitions and one.exercise in TOLD and fills(one, notation.lines, notation.seconds)
    ]
    lines = [line for line in notation.lines if not any(_part_of(line, one) for one in sets)]
    whole = notation.sentence()
    if not (sets or lines) or (whole.endswith("still") and not sets):
        return [Cue(0.0, notation.seconds, _sentence(whole))]
    entries = [entry for group in _groups(_without_hips(lines)) for entry in _told(group, lines, notation)]
    entries += [entry for one in sets for entry in _exercise(one, notation)]
    entries.sort(key=lambda entry: entry[0])
    if entries[0][0] <= TOGETHER:  # posture and first event in one sentence
        entries[0] = 0.0, f"A {start} person {entries[0][1][0].lower()}{entries[0][1][1:]}"
    else:
        entries.insert(0, (0.0, f"A person is {start}."))
    if start != end:
        entries.append((max([line.end for line in lines] + [one.end for one in sets]), f"Now {end}."))
    return _spoken(entries, notation.seconds)


def _part_of(line: Line, one: Set) -> bool:
    """Whether an exercise consists of a line, so that it is not said beside it."""
    return within(line, one) and (line.verb not in BESIDE or line.verb == one.exercise)


def _exercise(one: Set, notation: Notation) -> list[tuple[float, str]]:
    """(seconds, text) of an exercise: what, how often and how fast, and its count at each repetition's peak."""
    pace = f", {one.tempo:.0f} per minute" if one.count > 2 else ""
    begin, text = one.start, _sentence(f"{_what(one)} {times(one.count)}{pace}{_arms(one, notation)}")
    if one.count < 2 or one.count >= len(NUMBERS) or 60 / one.tempo < COUNTED:
        return [(begin, text)]
    counts = [(rep.peak, f"{in_words(n).capitalize()}.") for n, rep in enumerate(one.repetitions, 1)]
    # The first count is said with the sentence: it is done while that is heard.
    return [(begin, f"{text} {counts[0][1]}"), *counts[1:]]


def _what(one: Set) -> str:
    """An exercise in words: a fast march is a jog, and punches with both hands are boxing."""
    sides = {rep.side for rep in one.repetitions}
    if one.exercise == MARCH and one.tempo > JOG:
        return "jogs in place"
    if one.exercise == PUNCH:
        return "boxes with both hands," if len(sides) > 1 else f"punches with the {sides.pop()} hand"
    return TOLD[one.exercise]


def _arms(one: Set, notation: Notation) -> str:
    """What the hands do at the repetitions of an exercise that has no words for it."""
    done: dict[str, list[Line]] = {}
    for line in notation.lines if one.exercise in ARMED else ():
        reaches = line.verb in ("bend down", "reach up") or (line.verb in REACHES and line.way == "out")
        if reaches and line.part and within(line, one):
            done.setdefault(REACHES[line.verb], []).append(line)
    phrases = []
    for verb, lines in done.items():
        sides = {line.part.split()[0] for line in lines}
        hands = (
            "both hands" if "both" in sides else "one hand at a time" if len(sides) > 1 else f"the {sides.pop()} hand"
        )
        if sum(line.count for line in lines) > 0.5 * one.count:
            phrases.append(f"{verb} with {hands}")
    return f", {' and '.join(phrases)}" if phrases else ""


def _groups(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines grouped by their start."""
    groups: list[list[Line]] = []
    for line in lines:
        if groups and line.start - groups[-1][0].start <= TOGETHER:
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _told(group: Sequence[Line], lines: Sequence[Line], notation: Notation) -> list[tuple[float, str]]:
    """(seconds, text) of a group; the repetitions of a line that is alone and slow are counted."""
    first = group[0]
    part = Notation(notation.seconds, ("standing", "standing"), tuple(group))
    text = part.sentence().removeprefix("a person ")
    if len(group) == 1 and (pace := _pace(first)):
        text = f"{text} {pace}"
    if any(_carried(hips, line) for hips in lines for line in group):
        text = f"{text}, with the hands on the hips"
    each = (first.end - first.start) / first.count
    if len(group) > 1 or first.count < 2 or first.count >= len(NUMBERS) or each < COUNTED:
        return [(first.start, _sentence(text))]
    counts = [(first.start + k * each, f"{in_words(k + 1).capitalize()}.") for k in range(1, first.count)]
    return [(first.start, f"{_sentence(text)} One."), *counts]


def _pace(line: Line) -> str:
    """Slowly, quickly, or nothing where it is usual or the words have it."""
    if line.verb in USUAL and line.speed:
        slow, quick = USUAL[line.verb]
        return "slowly" if line.speed < slow else "quickly" if line.speed > quick else ""
    return "" if line.verb == "march" else line.pace


def _carried(hips: Line, line: Line) -> bool:
    """Whether the hands are on the hips while the body goes its way: that is no event of its own."""
    shared = min(hips.end, line.end) - max(hips.start, line.start)
    return hips.verb == ON_HIPS and line.verb in USUAL and shared > MOSTLY * (line.end - line.start)


def _without_hips(lines: Sequence[Line]) -> list[Line]:
    return [hips for hips in lines if not any(_carried(hips, line) for line in lines)]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _spoken(entries: Sequence[tuple[float, str]], seconds: float) -> list[Cue]:
    """Consecutive cues: a sentence that has no time of its own is joined to the one before, and a count that would cut
    one off is left out.
    """
    joined: list[tuple[float, str]] = []
    for at, text in entries:
        time, said = at - joined[-1][0] if joined else math.inf, len(joined[-1][1]) if joined else 0
        if len(text.split()) == 1:
            if time > said / FASTEST:
                joined.append((at, text))
        elif time < max(SHORTEST, said / PACE):
            joined[-1] = joined[-1][0], f"{joined[-1][1]} {text}"
        else:
            joined.append((at, text))
    ends = [at for at, _ in joined[1:]] + [max(seconds, joined[-1][0] + SHORTEST)]
    return [Cue(at, end, text) for (at, text), end in zip(joined, ends, strict=True)]


def web_vtt(cues: Sequence[Cue]) -> str:
    """A WebVTT file: https://www.w3.org/TR/webvtt1/."""
    blocks = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{cue.text}" for cue in cues]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def sub_rip(cues: Sequence[Cue]) -> str:
    """A SubRip (.srt) file."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}"
        for number, cue in enumerate(cues, 1)
    ]
    return "\n\n".join(blocks) + "\n"


def lines(cues: Sequence[Cue]) -> str:
    return "\n".join(f"{cue.start:.1f} s: {cue.text}" for cue in cues) + "\n"


WRITERS = {".vtt": web_vtt, ".srt": sub_rip, ".txt": lines}


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
