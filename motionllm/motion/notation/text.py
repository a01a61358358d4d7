"""The text of a notation: `Line` and `Notation`, written and read back exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from motionllm.errors import MotionLLMError, unknown
from motionllm.motion.notation.sentence import sentence_of
from motionllm.motion.notation.verbs import BY_LENGTH, CURVED, LEADS_TO, PACES, POSTURES, SMALL, VERBS

_HEAD_LINE = re.compile(rf"(\d{{1,4}}\.\d) s, ({'|'.join(POSTURES)}) to ({'|'.join(POSTURES)})")
_TIMES = re.compile(r"(\d{1,4}\.\d)-(\d{1,4}\.\d) (.+)")
_COUNT, _SPEED = re.compile(r"(.*?) ?x(-?\d{1,4})"), re.compile(r"(.*?) ?(\d{1,3}\.\d) m/s")
_CURVE = re.compile(r"(.*?) ?turning (left|right) (\d{1,4})")
_METRES, _DEGREES = re.compile(r"(.*?) ?(\d{1,3}\.\d) m"), re.compile(r"(.*?) ?(\d{1,4})")


@dataclass(frozen=True)
class Line:
    """One event: seconds and verb, and the attributes that its verb allows: part, way, size (metres, or degrees to be
    turned, for travel + to the left), speed (m/s), count, and pace: "slowly" or "quickly" if it is not usual and no
    speed says so.
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

    @property
    def weight(self) -> tuple[bool, float]:
        """Sort key for which lines to keep where there is not room for all: events before limb movements, then by
        length and count; a raise before swings, and movements of legs and head before those of arms.
        """
        first = {"lift": 3, "raise": 2, "step": 2, "look": 1}.get(self.verb, 0)
        return self.verb not in SMALL, (self.end - self.start) + 0.5 * self.count + first

    @property
    def curve(self) -> str:
        """The side that travel curves to; "" where it goes straight."""
        curved = VERBS[self.verb].speed and abs(self.size) >= CURVED
        return ("left" if self.size > 0 else "right") if curved else ""

    @property
    def words(self) -> str:
        """The line without its times."""
        spec = VERBS[self.verb]
        words = [self.verb, self.part, self.way]
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

    def __str__(self) -> str:
        return f"{self.start:.1f}-{self.end:.1f} {self.words}"


@dataclass(frozen=True)
class Notation:
    """A clip as text. `str(notation)` is that text, and `Notation.parse(str(notation)) == notation`."""

    seconds: float
    postures: tuple[str, str]
    lines: tuple[Line, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.seconds:.1f} s, {self.postures[0]} to {self.postures[1]}", *map(str, self.lines)])

    @staticmethod
    def parse(text: str) -> Notation:
        """The notation of a text. Raises MotionLLMError, naming the line and what it should contain."""
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
        """The clip in one plain English sentence, from its longest and most important events."""
        return sentence_of(self)

    def sentences(self) -> list[str]:
        """The clip in one to three different sentences: `sentence`, one that states the order of its events, and the
        main ones.
        """
        return list(
            dict.fromkeys(
                (
                    sentence_of(self),
                    sentence_of(self, subject="someone", between=", then ", last=" and then "),
                    sentence_of(self, clauses=2, subject="the person", between=", then ", last=" and then "),
                )
            )
        )

    def between(self, start: float, end: float) -> Notation:
        """The notation of the part of the clip from `start` to `end` seconds, with times from its beginning.

        For an event that is cut, count and turn are divided in proportion to time. The postures are those of the ends,
        or what the last event before the cut has led to.
        """
        duration = round(min(end, self.seconds) - start, 1)
        lines = []
        for x in self.lines:
            a, b = max(x.start, start), min(x.end, end)
            if b < a or (b == a and x.end > x.start):
                continue
            left = (b - a) / (x.end - x.start) if x.end > x.start else 1.0
            turns = VERBS[x.verb].size == "degrees" and (VERBS[x.verb].speed or x.verb == "turn")
            size = 15.0 * round(x.size * left / 15) if turns and left < 1 else x.size
            begun, over = (min(max(round(t - start, 1), 0.0), duration) for t in (a, b))
            lines.append(replace(x, start=begun, end=over, size=size, count=max(1, round(x.count * left))))
        postures = tuple(self._posture(t) for t in (start, end))
        return Notation(duration, (postures[0], postures[1]), tuple(sorted(lines, key=lambda x: (x.start, x.end))))

    def _posture(self, at: float) -> str:
        if at >= self.seconds:
            return self.postures[1]
        led = [LEADS_TO[x.verb] for x in self.lines if x.verb in LEADS_TO and x.end <= at + 0.05]
        return led[-1] if led else self.postures[0]


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
    verb = next((v for v in BY_LENGTH if rest == v or rest.startswith(v + " ")), None)
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
