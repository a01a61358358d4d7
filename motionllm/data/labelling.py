"""Captions of a data set as people write them: drafts kept as typed, texts written whole, no text lost to another's.

A clip's text is edited as plain lines, one caption each; `1.0-2.5: ` before one says which seconds it is of. It is
written to `texts/ID.txt` in HumanML3D's format. A version, a digest of the text that a person saw, goes with a write:
where the text is another by now, the write is refused and what was written is kept as that person's draft. Drafts and
the history of every text lie in the set's folder `.labelling`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from motionllm.data.asked import asked, contradiction
from motionllm.data.motion_set import MotionSet
from motionllm.data.sources import mirror_text, span
from motionllm.data.survey import side_of
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import lock, make_folder, read_json, read_text, write_file, write_json
from motionllm.motion.notation import SMALL, VERBS, Notation
from motionllm.runs.run import Log

FOLDER = ".labelling"
LONGEST = 4000  # characters of a clip's text
ALIKE = 0.5  # how alike clips must be for the caption of one to be a draft for the other
PATIENCE = 5.0  # seconds that a write waits for another process that writes to the set
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*[-–]\s*(\d+(?:\.\d+)?)?\s*s?\s*:\s*(.*)")


class Stale(MotionLLMError):
    """A text that was not written: it is another by now. text, version: what stands there."""

    def __init__(self, message: str, text: str, version: str) -> None:
        super().__init__(message)
        self.text, self.version = text, version


@dataclass(frozen=True)
class State:
    """A clip's text as it stands, and a person's draft of it.

    text: its captions as lines. version: of the text. draft: what the person typed last and did not save; None if
    nothing. draft_version: of the text that the draft began with. at: milliseconds, when it was typed.
    """

    text: str
    version: str
    draft: str | None = None
    draft_version: str = ""
    at: int = 0


class Texts:
    """The texts of a set, for several people at once. A person is a name for the folder of their drafts."""

    def __init__(self, data: MotionSet) -> None:
        self.data = data
        self.folder = data.folder / FOLDER
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], int] = {}  # (person, clip): when what was last kept or saved was typed

    def state(self, name: str, person: str) -> State:
        """The text of a clip, and the person's draft of it where it says something else."""
        content = self._content(name)
        text, version = editable(content), version_of(content)
        kept = self._kept(name, person)
        if kept is None or kept["text"].strip() == text.strip():
            return State(text, version)
        return State(text, version, kept["text"], kept["version"], kept["at"])

    def keep(self, name: str, person: str, text: str, version: str, at: int) -> None:
        """Keep what a person has typed so far; what was typed earlier than what is kept is passed over.

        Raises MotionLLMError for a text that is too long, WriteError where it cannot be written.
        """
        _check(text)
        path = self._draft(self.data[name].id, person)
        with self._lock:
            if at <= self._last.get((person, name), -1):
                return
            write_json(path, {"text": text, "version": version, "at": at})
            self._last[person, name] = at

    def save(self, name: str, person: str, text: str, version: str, at: int) -> str:
        """Write the captions of a clip; returns the new version. The draft is done with.

        Raises Stale where the clip's text is not of this version any more, and MotionLLMError for lines that are no
        captions; the draft is kept then.
        """
        content = written(text, self._content(name), self.data[name].text)
        path = self.data[name].text
        with self._lock, self._alone():
            before = self._content(name)
            if before != content:
                if version_of(before) != version:
                    write_json(self._draft(name, person), {"text": text, "version": version, "at": at})
                    raise Stale(
                        "Another text was saved for this clip since it was opened; it stands below yours, and both are "
                        "kept.",
                        editable(before),
                        version_of(before),
                    )
                self._remember({"clip": name, "person": person, "before": before, "after": content})
                make_folder(path.parent)
                write_file(path, content)
            self._last[person, name] = max(at, self._last.get((person, name), -1))
            self._draft(name, person).unlink(missing_ok=True)
        return version_of(content)

    def discard(self, name: str, person: str, at: int) -> None:
        """Forget a person's draft of a clip."""
        path = self._draft(self.data[name].id, person)
        with self._lock:
            self._last[person, name] = max(at, self._last.get((person, name), -1))
            path.unlink(missing_ok=True)

    def _content(self, name: str) -> str:
        path = self.data[name].text
        return read_text(path, "caption file") if path.is_file() else ""

    def _draft(self, name: str, person: str) -> Path:
        assert re.fullmatch(r"[0-9a-f]{8,64}", person) and name in self.data.clips
        return self.folder / "drafts" / person / f"{name}.json"

    def _kept(self, name: str, person: str) -> dict[str, Any] | None:
        try:
            kept = read_json(self._draft(name, person), "draft")
            return {"text": str(kept["text"]), "version": str(kept["version"]), "at": int(kept["at"])}
        except (MotionFileError, KeyError, ValueError, TypeError):
            return None

    def _remember(self, change: dict[str, Any]) -> None:
        """Append a change to the history before it is made."""
        make_folder(self.folder)
        with contextlib.closing(Log(self.folder / "history.jsonl")) as history:
            history.write({"time": time.strftime("%F %T"), **change})

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Waits for other processes that write to the set; raises their MotionLLMError after PATIENCE seconds."""
        end = time.monotonic() + PATIENCE
        with contextlib.ExitStack() as held:
            while True:
                try:
                    held.enter_context(lock(self.data.folder))
                    break
                except MotionLLMError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.05)
            yield


def version_of(content: str) -> str:
    """A digest of a clip's text file; "" of an empty or missing one."""
    return hashlib.sha256(content.encode()).hexdigest()[:16] if content.strip() else ""


def editable(content: str) -> str:
    """The captions of a text file as lines to edit; a line of another form than HumanML3D's stays as it is."""
    return "\n".join(_editable(line) for line in content.split("\n") if line.strip())


def _editable(line: str) -> str:
    text, *rest = line.strip().split("#")
    if len(rest) != 3:
        return line.strip()
    try:
        start, end = span(*rest[1:])
    except ValueError:
        return line.strip()
    return f"{start:g}-{f'{end:g}' if end else ''}: {text.strip()}" if start or end else text.strip()


def written(text: str, before: str, path: Path) -> str:
    """The text file of edited lines, in HumanML3D's format; lines that are unchanged stand as they stood `before`.

    Raises MotionLLMError, naming the line, for seconds that are no span, for `#`, and where there is no caption.
    """
    _check(text)
    stood = {" ".join(_editable(line).split()): line.strip() for line in before.split("\n")}
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        line = " ".join(line.split())
        if not line:
            continue
        if line in stood:
            lines.append(stood[line])
            continue
        where = f"Line {number} ({line[:40]!r})"
        if "#" in line:
            raise MotionLLMError(f"{where}: a caption has no '#', which ends it in the file; write it in words.")
        match = _SPAN.fullmatch(line)
        start, end, caption = (match[1], match[2] or 0, match[3]) if match else (0, 0, line)
        try:
            a, b = span(start, end)
        except ValueError as error:
            raise MotionLLMError(f"{where}: {error}; write it as '1.0-2.5: caption'.") from None
        if not caption:
            raise MotionLLMError(f"{where}: has seconds and no caption.")
        lines.append(f"{caption}##{a}#{b}")
    if not lines:
        raise MotionLLMError(f"There is no caption to save for {path.stem}; write one, or go on to the next clip.")
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def phrases(notation: Notation) -> list[dict[str, Any]]:
    """What a clip shows, event by event, as phrases for a caption: text, verb, start, end (seconds)."""
    result: dict[str, dict[str, Any]] = {}
    lines = [line for line in notation.lines if line.verb not in SMALL] or list(notation.lines)
    for line in lines:
        alone = Notation(notation.seconds, notation.postures, (line,)).sentence().removeprefix("a person ")
        result.setdefault(alone, {"text": alone, "verb": line.verb, "start": line.start, "end": line.end})
    return list(result.values())


def words_used(notation: str, others: Iterable[tuple[str, str, str]], most: int = 3) -> dict[str, str]:
    """{caption: clip that has it}: what clips that show about the same are called already, the most alike first.

    notation: of the clip to caption. others: (clip, its notation, its caption). Where a clip shows the same with the
    other side, its caption has left and right exchanged. Alike is the time that both spend on the same, as a share of
    what either does (`_content`), ALIKE at least.
    """
    mine = _content(notation)
    alike: dict[str, tuple[float, str]] = {}
    for name, other, caption in others:
        theirs = _content(other)
        straight, mirrored = _likeness(mine, theirs), _likeness(mine, _mirrored(theirs))
        words = caption if straight >= mirrored else mirror_text(caption)
        if (most_alike := max(straight, mirrored)) >= max(ALIKE, alike.get(words, (0.0, ""))[0]):
            alike[words] = (most_alike, name)
    best = sorted(alike.items(), key=lambda item: -item[1][0])
    return {words: name for words, (_, name) in best[:most]}


@lru_cache(maxsize=65536)
def _content(notation: str) -> Mapping[tuple[str, str, int], float]:
    """{(verb, side, count): seconds and half a second for each line} of a notation; small limb movements weigh a third.

    Travel and small movements are not told apart by their count.
    """
    content: dict[tuple[str, str, int], float] = defaultdict(float)
    for x in Notation.parse(notation).lines:
        small = x.verb in SMALL
        count = 1 if small or VERBS[x.verb].speed else x.count
        content[x.verb, side_of(x), count] += (x.end - x.start + 0.5) * (1 / 3 if small else 1.0)
    return content


def _mirrored(content: Mapping[tuple[str, str, int], float]) -> dict[tuple[str, str, int], float]:
    other = {"left": "right", "right": "left"}
    return {(verb, other.get(side, side), count): weight for (verb, side, count), weight in content.items()}


def _likeness(one: Mapping[tuple[str, str, int], float], other: Mapping[tuple[str, str, int], float]) -> float:
    """What both contain as a share of what either does (weighted Jaccard), in [0, 1]."""
    both = sum(min(weight, other[key]) for key, weight in one.items() if key in other)
    return both / max(sum(one.values()) + sum(other.values()) - both, 1e-9)


def hints(text: str, notation: Notation) -> list[dict[str, str]]:
    """What could be better about captions, each with a replacement of the text: message, label, text."""
    result: list[dict[str, str]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = _SPAN.fullmatch(line.strip())
        caption = match[3] if match else line
        measured = notation
        if match:
            start, end = float(match[1]), float(match[2] or notation.seconds)
            if not start < end <= notation.seconds + 0.5:
                continue
            measured = notation.between(start, end)
        for message, label, better in _better(caption, measured):
            changed = [*lines[:number], line.replace(caption, better) if caption else line, *lines[number + 1 :]]
            result.append({"message": message, "label": label, "text": "\n".join(changed)})
    return result[:4]


def _better(caption: str, notation: Notation) -> Iterator[tuple[str, str, str]]:
    """(message, label, better caption) for a side that the motion contradicts, or that is not named."""
    if why := contradiction(caption, notation):
        yield f"Left and right: {why}.", "Exchange left and right", mirror_text(caption)
        return
    for one in asked(caption):
        parts = {line.part for line in notation.lines if line.verb == one.verbs[0]}
        side = parts.pop() if len(parts) == 1 else ""
        if not one.side and side.startswith(("left ", "right ")) and one.verbs[0] not in ("step", *SMALL):
            action = one.action.replace("_", " ")
            end = "." if caption.rstrip().endswith(".") else ""
            better = f"{caption.rstrip().rstrip('.')} with the {side}{end}"
            yield f"The side of {action!r} is not named; it is the {side}.", f"Add “with the {side}”", better
            return


def _check(text: str) -> None:
    if len(text) > LONGEST:
        raise MotionLLMError(f"The text has {len(text)} characters; {LONGEST} are kept. Shorten it.")
