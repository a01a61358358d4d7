"""A conversation about motion: say it, watch it, ask about it, change it. What it shows on is not its matter.

An adapter is trained on conversations of one question and one answer, so a turn is put to the model as one of these,
by rules that a person can foresee:

1. `/…` is a command.
2. A line that begins as a change does (“now”, “slower”, “and then” …), after a motion made from text, makes a new
   motion from the old text with the change worked in (`changed`); the reply says from which text.
3. A line that the model itself would answer by a motion, and that could be a caption (`MotionLM.moves`), makes one.
4. Any other line is a question: about the clip at hand, or, where there is none, to the base model.
"""

from __future__ import annotations

import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motionllm.errors import MotionLLMError, check_text, unknown
from motionllm.model import BEST_OF, LONGEST, MotionLM, Seconds, parse_seconds
from motionllm.motion import Motion
from motionllm.motion.skeleton import HUMANML3D

log = logging.getLogger(__name__)

LONGEST_LINE = 30_000  # characters, of which the base models take no more than a part
REMEMBERED = 200  # turns, and messages to the base model a tenth of that

# What a change of tempo adds to the text, and what it makes of the duration.
TEMPO = {
    "slower": ("slowly", 1.4), "slowly": ("slowly", 1.4), "faster": ("quickly", 1 / 1.4),
    "quicker": ("quickly", 1 / 1.4), "quickly": ("quickly", 1 / 1.4), "longer": ("", 1.5), "shorter": ("", 1 / 1.5),
}  # fmt: skip
_OPENS = re.compile(
    rf"^(now|again|but|and|then|also|instead|once more|the same|do it|do that|make it|this time|a (bit|little)|much|"
    rf"{'|'.join(TEMPO)})\b[\s,]*(please\b[\s,]*)?",
    re.IGNORECASE,
)
_ADDS = re.compile(r"^(with|to|in|on|at|by|for|from|over|twice|once|\w+ times|(for|back)wards?|left|right|up|down)\b")
_LASTS = re.compile(r"\b(?:for|in|lasting)?\s*(\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds?)\b", re.IGNORECASE)
THEN = 2.0  # seconds more for each thing that is done after


@dataclass(frozen=True)
class Reply:
    """What a turn came to. motion: made or loaded in it. play, over: a command to the one who shows it."""

    text: str
    motion: Motion | None = None
    failed: bool = False
    play: bool = False
    over: bool = False


class Chat:
    """One person's conversation. lm may be shared by many; all that is remembered is here.

    folder: where /save writes and /load looks first; None offers neither. best_of 1 gives pieces of a motion while
    it is written.
    """

    def __init__(
        self,
        lm: MotionLM,
        folder: Path | None = None,
        seconds: Seconds = None,
        seed: int | None = None,
        temperature: float = 0.8,
        best_of: int = BEST_OF,
    ) -> None:
        self.lm, self.folder, self.seconds, self.seed = lm, folder, seconds, seed
        self.temperature, self.best_of = temperature, best_of
        self.motion: Motion | None = None
        self.text: str | None = None  # what the motion was made from; None for a clip that was loaded
        self.turns: deque[tuple[str, Reply]] = deque(maxlen=REMEMBERED)
        self.talked: deque[dict[str, str]] = deque(maxlen=REMEMBERED // 10)

    @property
    def commands(self) -> dict[str, Callable[[str], Reply]]:
        every = {"load": self._load, "save": self._save, "play": self._play, "seconds": self._seconds,
                 "seed": self._seed, "move": self._move, "say": self._say, "history": self._history, "new": self._new,
                 "help": self._help, "quit": self._quit}  # fmt: skip
        return (
            every
            if self.folder is not None
            else {n: c for n, c in every.items() if n not in ("load", "save", "play", "quit")}
        )

    def say(self, line: str) -> Reply:
        """The reply to a line. Raises nothing: an error is a reply that says so, and the conversation goes on."""
        reply = Reply("")
        for event in self.turn(line):
            if isinstance(event, Reply):
                reply = event
        return reply

    def turn(self, line: str) -> Iterator[np.ndarray | Reply | None]:
        """The same with pieces of joints (k, J, 3) on the way, where a motion is written piece by piece, and None after
        each step where several are made at once. Closed between two of these, the turn ends.
        """
        line = line.strip()
        try:
            _check(line)
            for event in self._answer(line):
                if isinstance(event, Reply):
                    self.turns.append((line, replace(event, motion=None)))  # to be read again, not seen
                yield event
        except Exception as error:  # a defect of ours ends a command, never a conversation
            reply = failure(error)
            self.turns.append((line[:LONGEST_LINE].encode(errors="replace").decode(), reply))
            yield reply

    def hold(self, motion: Motion, name: str) -> Reply:
        """Take a clip as the one the conversation is about. Raises MotionLLMError for one the model cannot read."""
        self.lm.motion_tokenizer.encode(motion)
        self.motion, self.text = motion, None
        return Reply(f"{name}: {motion.duration:.1f} s at {motion.fps:g} fps. Ask about it.", motion)

    def _answer(self, line: str) -> Iterator[np.ndarray | Reply | None]:
        if not line:
            raise MotionLLMError("Nothing was said; write what a person does, a question, or /help.")
        if line.startswith("/"):
            name, _, rest = line[1:].partition(" ")
            command = self.commands.get(name.lower())
            if command is None:
                raise MotionLLMError(unknown("command", f"/{name}", [f"/{known}" for known in self.commands]) + ".")
            if command == self._move:
                yield from self._make(rest.strip(), self.seconds)
            else:
                yield command(rest.strip())
        elif self.text is not None and self.motion is not None and _OPENS.match(line):
            text, seconds = changed(self.text, self.motion.duration, line)
            yield from self._make(text, self.seconds if seconds is None else seconds)
        elif self.lm.moves([{"role": "user", "content": line}]):
            yield from self._make(line, self.seconds)
        elif self.motion is not None:
            yield Reply(self.lm.ask(self.motion, line))
        else:
            yield self._say(line)

    def _make(self, text: str, seconds: Seconds) -> Iterator[np.ndarray | Reply | None]:
        if self.best_of > 1:
            made = yield from self.lm.generating(text, seconds, self.seed, self.temperature, self.best_of)
        else:
            pieces = []
            for joints in self.lm.stream(text, seconds, self.seed, self.temperature):
                pieces.append(joints)
                yield joints
            made = self.motion_of(pieces)
            made = made.canonical() if made.skeleton is HUMANML3D else made
        self.motion, self.text = made, text
        yield Reply(f"{text} ({made.duration:.1f} s)", made)

    def motion_of(self, pieces: Sequence[np.ndarray]) -> Motion:
        """The motion that pieces of a turn are together."""
        skeleton = self.lm.motion_tokenizer.skeleton
        return Motion(np.concatenate(pieces), skeleton.fps, skeleton)

    def _load(self, name: str) -> Reply:
        """/load CLIP: a motion file to talk about"""
        assert self.folder is not None
        path = self.folder / _path(name, "/load clip.bvh", home=True)
        return self.hold(Motion.load(path), path.name)

    def _save(self, name: str) -> Reply:
        """/save NAME: the last motion, as .bvh .glb .html .npy .npz .png .gif .mp4, in the folder of the chat"""
        assert self.folder is not None
        if self.motion is None:
            raise MotionLLMError("There is no motion yet; say what a person does, or /load a clip.")
        path = self.folder / _path(name, "/save wave.bvh")
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            raise MotionLLMError(
                f"{name} lies outside the chat's folder {self.folder}; save within, or start it elsewhere."
            )
        self.motion.save(path)
        return Reply(f"saved {path}")

    def _play(self, _: str) -> Reply:
        """/play: the last motion as a moving figure"""
        if self.motion is None:
            raise MotionLLMError("There is no motion yet; say what a person does, or /load a clip.")
        return Reply(f"{self.motion.duration:.1f} s", self.motion, play=True)

    def _seconds(self, text: str) -> Reply:
        """/seconds 4, /seconds 2-4, /seconds off: how long motions are"""
        wanted = None if text in ("", "off") else parse_seconds(text)
        low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        if low is not None and high is not None and not 0.2 <= low <= high <= LONGEST:
            raise MotionLLMError(f"A motion can be 0.2 to {LONGEST:g} seconds long, not {text}.")
        self.seconds = wanted
        return Reply("as long as the model likes" if wanted is None else f"{text} seconds")

    def _seed(self, text: str) -> Reply:
        """/seed 7, /seed off: with a seed, the same line makes the same motion"""
        if text not in ("", "off") and not re.fullmatch(r"\d{1,18}", text):
            raise MotionLLMError(f"A seed is a whole number from 0 on, or off, not {text!r}.")
        self.seed = None if text in ("", "off") else int(text)
        return Reply("a new motion each time" if self.seed is None else f"seed {self.seed}")

    def _move(self, text: str) -> Reply:
        """/move TEXT: a motion of this text, whatever the model would reply"""
        raise AssertionError("made piece by piece, in _answer")

    def _say(self, text: str) -> Reply:
        """/say TEXT: to the base model, as text, whatever is at hand"""
        if not text:
            raise MotionLLMError("Nothing was said; write a question.")
        message = {"role": "user", "content": text}
        answer = self.lm.talk([*self.talked, message], self.seed)
        self.talked.extend([message, {"role": "assistant", "content": answer}])
        return Reply(answer)

    def _history(self, _: str) -> Reply:
        """/history: what was said"""
        return Reply("\n".join(f"› {line}\n{reply.text}" for line, reply in self.turns) or "nothing was said yet")

    def _new(self, _: str) -> Reply:
        """/new: forget clip and history; duration and seed stay"""
        self.motion = self.text = None
        self.turns.clear()
        self.talked.clear()
        return Reply("a new conversation")

    def _help(self, _: str) -> Reply:
        """/help: this"""
        listed = "\n".join(str(command.__doc__) for command in self.commands.values())
        return Reply(
            "Say what a person does, and it is made; ask about it; change it (“now slower, and wave at the end”).\n"
            + listed
        )

    def _quit(self, _: str) -> Reply:
        """/quit: as does the end of the input"""
        return Reply("", over=True)


def failure(error: Exception) -> Reply:
    """An error as a reply. A defect of ours says so, and its traceback goes to the log."""
    if isinstance(error, MotionLLMError):
        return Reply(str(error), failed=True)
    log.error("a turn failed", exc_info=error)
    first = (str(error).splitlines() or [""])[0][:200]
    said = f"That failed by a defect of ours ({type(error).__name__}: {first}); go on."
    return Reply(said.encode(errors="replace").decode(), failed=True)


def _check(line: str) -> None:
    """Raise MotionLLMError for a line that is no text to say."""
    if len(line) > LONGEST_LINE:
        raise MotionLLMError(f"The line is {len(line):,} characters long; {LONGEST_LINE:,} are read.")
    check_text(line, "The line")
    if odd := next((character for character in line if character < " " and character not in "\t\n\r"), None):
        raise MotionLLMError(f"The line holds a control character ({ord(odd):#04x}); say it in plain text.")


def _path(name: str, example: str, home: bool = False) -> Path:
    """The path that a command names; home: "~" is the user's. Raises MotionLLMError for what is none."""
    if not name:
        raise MotionLLMError(f"Name the file: {example}")
    if any(len(os.fsencode(part)) > 200 for part in Path(name).parts) or len(os.fsencode(name)) > 2000:
        raise MotionLLMError(f"A file cannot have so long a name ({len(name):,} characters): {name[:40]}...")
    try:
        return Path(name).expanduser() if home else Path(name)
    except RuntimeError:
        raise MotionLLMError(f"{name}: there is no such user here.") from None


def changed(text: str, duration: float, change: str) -> tuple[str, float | None]:
    """The text and the seconds of a motion that is changed; None: as long as it comes.

    A word of tempo goes into the text and stretches the duration; "4 seconds" is one; what begins by a preposition is
    put on; anything else is done after. "a person walks" and "now slower, and wave at the end" are "a person walks
    slowly, then they wave".
    """
    text, seconds, after = text.rstrip(" ."), None, 0
    clauses = [clause.strip(" .!") for clause in re.split(r",|\band\b|\bthen\b", _opened(change))]
    if lasts := _LASTS.search(change):
        clauses = [_LASTS.sub("", clause).strip() for clause in clauses]
    for clause in sorted(clauses, key=lambda clause: not TEMPO.keys() & clause.lower().split()):
        clause = _opened(re.sub(r"\b(at the end|instead|please|again|after (that|it))\b", "", clause)).strip()
        words = clause.lower().split()
        tempo = next((word for word in words if word in TEMPO), None)
        if tempo:
            adverb, factor = TEMPO[tempo]
            opposite = {"slowly": "quickly", "quickly": "slowly"}.get(adverb, "")
            text = re.sub(rf"\s*\b({adverb}|{opposite})\b", "", text) if adverb else text
            text = f"{text} {adverb}".strip()
            seconds = duration * factor
            words = [
                word for word in words if word != tempo and word not in ("a", "bit", "little", "much", "but", "it")
            ]
            clause = " ".join(words)
        if not clause:
            continue
        clause = clause[0].lower() + clause[1:]
        after += not _ADDS.match(clause)
        text += f" {clause}" if _ADDS.match(clause) else f", then they {clause}"
    if lasts:
        return text, float(lasts[1])
    return text, None if seconds is None else round(min(LONGEST, max(0.2, seconds + THEN * after)), 1)


def _opened(line: str) -> str:
    """A change without the words that only say that it is one; words of tempo stay."""
    while (found := _OPENS.match(line)) and found[1].lower() not in TEMPO:
        line = line[found.end() :]
    return line
