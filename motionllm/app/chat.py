"""A conversation about motion: generate it, watch it, ask about it, change it. Independent of the front end (terminal
or web page).

An adapter is trained on conversations of one question and one answer, so each turn is put to the model as one of these,
by rules that a user can predict:

1. `/…` is a command.
2. With a current motion, an adapter trained on the task `edit` (`MotionLM.edits`) reads what the motion does and the
   line, and classifies the line: a new motion, a question, talk, going back, what no change can do, or a change in a
   few words (`data.change_language`). A change is made to the frames where that can be done; else it turns the old
   plan into a new one, and the motion is generated from that, keeping the old codes where both plans agree.
3. Otherwise, a line that the model itself would answer with a motion, and that could be a caption (`MotionLM.moves`),
   generates one.
4. Any other line is a question: about the current clip or, if there is none, to the base model.
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

from motionllm.data.beyond import why_not
from motionllm.errors import MotionLLMError, about, check_text, unknown
from motionllm.files import read_text
from motionllm.lm.model import MotionLM
from motionllm.lm.planning import LONGEST, Seconds, parse_seconds
from motionllm.lm.sampling import BEST_OF, Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation

log = logging.getLogger(__name__)

LONGEST_LINE = 30_000  # characters; more than the base models' context holds
REMEMBERED = 200  # turns kept in the history; the base model sees the last tenth as many messages
STEPS_BACK = 20  # motions that /undo can bring back

ANEW = "a new motion, because this adapter was not trained to change one"


@dataclass(frozen=True)
class Reply:
    """The result of a turn. motion: generated or loaded in it, or None. failed: `text` is an error. play, over: tell
    the front end to play the motion, or to end.
    """

    text: str
    motion: Motion | None = None
    failed: bool = False
    play: bool = False
    over: bool = False


_UNDO = re.compile(
    r"(?:no,? |please |ok,? )?(?:undo|revert|take back)(?: (?:that|it|the last (?:change|one|step)))?(?:,? please)?"
    r"|(?:please )?(?:go|step) back(?: (?:one|a) step| to the (?:previous|last) (?:one|motion))?(?:,? please)?"
)


class Chat:
    """One user's conversation. lm may be shared by several; all state is here.

    folder: where /save writes and /load looks first; None offers neither. seconds, seed: initial values of /seconds and
    /seed. sampling: how motions are drawn; None takes the adapter's own. With best_of 1, `turn` yields pieces of a
    motion as they are decoded.
    """

    def __init__(
        self,
        lm: MotionLM,
        folder: Path | None = None,
        seconds: Seconds = None,
        seed: int | None = None,
        *,
        sampling: Sampling | None = None,
    ) -> None:
        self.lm, self.folder, self.seconds, self.seed = lm, folder, seconds, seed
        self.sampling = sampling or lm.sampling
        self.motion: Motion | None = None
        # The plan that the motion follows; if it follows none, what was measured on it, once needed.
        self.plan: Notation | None = None
        self.codes: np.ndarray | None = None  # (n,) codes of the motion, if it was generated here
        self.made = False  # whether the motion was generated from a text or a plan, not loaded
        # What /undo goes back to: motion, plan, codes and made, as they were before each change of them.
        self.past: deque[tuple[Motion | None, Notation | None, np.ndarray | None, bool]] = deque(maxlen=STEPS_BACK)
        self.turns: deque[tuple[str, Reply]] = deque(maxlen=REMEMBERED)
        self.talked: deque[dict[str, str]] = deque(maxlen=REMEMBERED // 10)

    @property
    def commands(self) -> dict[str, Callable[[str], Reply]]:
        every = {
            "load": self._load,
            "save": self._save,
            "play": self._play,
            "plan": self._plan,
            "undo": self._undo,
            "seconds": self._seconds,
            "seed": self._seed,
            "move": self._move,
            "say": self._say,
            "history": self._history,
            "new": self._new,
            "help": self._help,
            "quit": self._quit,
        }
        return (
            every
            if self.folder is not None
            else {n: c for n, c in every.items() if n not in ("load", "save", "play", "quit")}
        )

    def say(self, line: str) -> Reply:
        """The reply to a line. Never raises: an error becomes a reply with `failed` set, and the conversation
        continues.
        """
        reply = Reply("")
        for event in self.turn(line):
            if isinstance(event, Reply):
                reply = event
        return reply

    def turn(self, line: str) -> Iterator[np.ndarray | Notation | Reply | None]:
        """Like `say`, with intermediate results: the plan of a motion, if it has one; then joints (k, J, 3) in metres
        where the motion is decoded piece by piece, or None after each step where several candidates are decoded at
        once. Closing the iterator cancels the turn.
        """
        line = line.strip()
        try:
            _check(line)
            if _UNDO.fullmatch(line.lower().rstrip(" .!")):
                line = "/undo"
            for event in self._answer(line):
                if isinstance(event, Reply):
                    self.turns.append((line, replace(event, motion=None)))  # the history shows text only
                yield event
        except Exception as error:  # a bug ends the command, never the conversation
            reply = failure(error)
            self.turns.append((line[:LONGEST_LINE].encode(errors="replace").decode(), reply))
            yield reply

    def hold(self, motion: Motion, name: str) -> Reply:
        """Make a clip the current motion. Raises MotionLLMError for one that the model cannot read."""
        self.lm.motion_tokenizer.encode(motion)
        self._take(motion, None, None, made=False)
        return Reply(f"{name}: {motion.duration:.1f} s at {motion.fps:g} fps. Ask about it.", motion)

    def _take(self, motion: Motion, plan: Notation | None, codes: np.ndarray | None, made: bool) -> None:
        """Make a motion the current one; /undo goes back to the one before."""
        self.past.append((self.motion, self.plan, self.codes, self.made))
        self.motion, self.plan, self.codes, self.made = motion, plan, codes, made

    def _answer(self, line: str) -> Iterator[np.ndarray | Notation | Reply | None]:
        if not line:
            raise MotionLLMError("Nothing was said; write what a person does, a question, or /help.")
        if line.startswith("/"):
            name, _, rest = line[1:].partition(" ")
            command = self.commands.get(name.lower())
            if command is None:
                raise MotionLLMError(unknown("command", f"/{name}", [f"/{known}" for known in self.commands]) + ".")
            if command == self._move:
                yield from self._make(rest.strip(), self.seconds)
            elif command == self._plan and rest.strip():
                plan = self._read(rest.strip())
                yield from self._make(plan.sentence(), None, plan)
            else:
                yield command(rest.strip())
        elif self.motion is not None and self.lm.edits:
            plan = self._present()
            change = self.lm.changes([plan], [line])[0]
            if change == "new":
                yield from self._make(line, self.seconds)
            elif change == "question":
                yield Reply(self.lm.ask(self.motion, line))
            elif change == "undo":
                yield self._undo("")
            elif change == "cannot":
                yield Reply(why_not(line))
            elif change == "talk":
                yield self._say(line)
            else:
                yield from self._change(plan, change)
        elif self.lm.moves([{"role": "user", "content": line}]):
            yield from self._make(line, self.seconds, anew=self.made)
        elif self.motion is not None:
            yield Reply(self.lm.ask(self.motion, line))
        else:
            yield self._say(line)

    def _change(self, old: Notation, change: str) -> Iterator[np.ndarray | Notation | Reply | None]:
        """Change the motion itself where that can be done; else what is generated from the changed plan, with the codes
        of the parts that did not change.
        """
        assert self.motion is not None
        motion, codes, plan = yield from self.lm.editing(
            self.motion, old, change, self.seed, sampling=self.sampling, codes=self.codes
        )
        self._take(motion, plan, codes, made=True)
        yield plan
        told = [f"{motion.duration:.1f} s", *motion.notes]
        yield Reply(f"{plan.sentence()} ({'; '.join(told)})", motion)

    def _make(
        self,
        text: str,
        seconds: Seconds,
        plan: Notation | None = None,
        anew: bool = False,
    ) -> Iterator[np.ndarray | Notation | Reply | None]:
        """Generate the motion of a text or a plan. anew: the reply is to say that it is no change of the old motion."""
        if plan is None and self.lm.plans_first:
            plan = yield from self.lm.planning(text, seconds, self.seed, sampling=self.sampling)
        if plan is not None:
            yield plan
        if (self.sampling.best_of or BEST_OF) > 1:
            motion, codes = yield from self.lm.generating(text, seconds, self.seed, sampling=self.sampling, plan=plan)
        else:
            pieces: list[np.ndarray] = []
            drawn_codes: list[int] = []
            for joints in self.lm.stream(
                text, seconds, self.seed, sampling=self.sampling, plan=plan, codes=drawn_codes
            ):
                pieces.append(joints)
                yield joints
            motion, codes = (
                self.lm.motion_tokenizer.representation.finished(self.motion_of(pieces)),
                np.array(drawn_codes),
            )
        self._take(motion, plan, codes, made=True)
        told = [f"{motion.duration:.1f} s{f', {ANEW}' if anew else ''}", *motion.notes]
        yield Reply(f"{text} ({'; '.join(told)})", motion)

    def _present(self) -> Notation:
        """The plan of the current motion, or what is measured on it. Raises MotionLLMError if there is no motion."""
        if self.motion is None:
            raise MotionLLMError("There is no motion yet; say what a person does, or /load a clip.")
        if self.plan is None:
            self.plan = self.lm.notation(self.motion)
        return self.plan

    def _read(self, name: str) -> Notation:
        """The plan in a file that the user names. Raises MotionLLMError where it cannot be read."""
        if self.folder is None:
            raise MotionLLMError("/plan shows the plan; one of your own is taken from a file by `motionllm chat`.")
        path = self.folder / _path(name, "/plan jump.txt", home=True)
        text = read_text(path, "plan")
        with about(path):
            return Notation.parse(text)

    def motion_of(self, pieces: Sequence[np.ndarray]) -> Motion:
        """The motion made of the pieces, joints (k, J, 3) in metres, that a turn yielded."""
        representation = self.lm.motion_tokenizer.representation
        return Motion(np.concatenate(pieces), representation.fps, representation.skeleton)

    def _load(self, name: str) -> Reply:
        """/load CLIP: a motion file to talk about"""
        assert self.folder is not None
        path = self.folder / _path(name, "/load clip.bvh", home=True)
        return self.hold(Motion.load(path), path.name)

    def _save(self, name: str) -> Reply:
        """/save NAME: the last motion, as a motion file (wave.bvh, wave.glb, wave.html …) in the folder of the chat"""
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

    def _plan(self, _: str) -> Reply:
        """/plan: what the motion does, in writing"""
        return Reply(str(self._present()))

    def _undo(self, _: str) -> Reply:
        """/undo: the motion as it was before the last change; “undo that” and “go back” say the same"""
        if not self.past:
            raise MotionLLMError("There is nothing to go back to: no motion was made or changed before.")
        self.motion, self.plan, self.codes, self.made = self.past.pop()
        if self.motion is None:
            return Reply("as it was: there is no motion")
        return Reply(f"as it was: {self._present().sentence()} ({self.motion.duration:.1f} s)", self.motion)

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
        self.motion = self.plan = self.codes = None
        self.made = False
        self.past.clear()
        self.turns.clear()
        self.talked.clear()
        return Reply("a new conversation")

    def _help(self, _: str) -> Reply:
        """/help: this"""
        listed = "\n".join(str(command.__doc__) for command in self.commands.values())
        if self.folder is not None:
            listed += "\n/plan FILE: a motion by a plan of your own"
        return Reply(
            "Say what a person does, and it is made; ask about it"
            + ("; change it (“now slower”, “then wave”, “the other hand”)" if self.lm.edits else "")
            + f".\n{listed}"
        )

    def _quit(self, _: str) -> Reply:
        """/quit: as does the end of the input"""
        return Reply("", over=True)


def failure(error: Exception) -> Reply:
    """An error as a reply. For an unexpected exception it says that this is a bug, and the traceback is logged."""
    if isinstance(error, MotionLLMError):
        return Reply(str(error), failed=True)
    log.error("a turn failed", exc_info=error)
    first = (str(error).splitlines() or [""])[0][:200]
    message = f"That failed by a defect of ours ({type(error).__name__}: {first}); go on."
    return Reply(message.encode(errors="replace").decode(), failed=True)


def _check(line: str) -> None:
    """Raise MotionLLMError for a line that is too long or not plain text."""
    if len(line) > LONGEST_LINE:
        raise MotionLLMError(f"The line is {len(line):,} characters long; {LONGEST_LINE:,} are read.")
    check_text(line, "The line")
    if odd := next((character for character in line if character < " " and character not in "\t\n\r"), None):
        raise MotionLLMError(f"The line holds a control character ({ord(odd):#04x}); say it in plain text.")


def _path(name: str, example: str, home: bool = False) -> Path:
    """The path that a command names. example: shown in the error if the name is missing. home: expand "~". Raises
    MotionLLMError for an invalid path.
    """
    if not name:
        raise MotionLLMError(f"Name the file: {example}")
    if any(len(os.fsencode(part)) > 200 for part in Path(name).parts) or len(os.fsencode(name)) > 2000:
        raise MotionLLMError(f"A file cannot have so long a name ({len(name):,} characters): {name[:40]}...")
    try:
        return Path(name).expanduser() if home else Path(name)
    except RuntimeError:
        raise MotionLLMError(f"{name}: there is no such user here.") from None
