"""The visitors of the page: a conversation, a folder and uploads each. Uploads are read within limits."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionllm.app.chat import Chat, failure
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.lm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.confined import load_confined
from motionllm.motion.formats import READERS

LONGEST_CLIP = 600.0  # seconds; the longest clip that can be uploaded
UPLOADS = 50  # of one visitor
IDLE = 3600.0  # seconds after which a conversation is forgotten


@dataclass
class Visitor:
    """State of one visitor: a conversation, what it shows, and a folder for downloads.

    lines: said, and not yet answered; None once they were cleared, since each has its turn all the same. read: uploaded
    clips and their names, not yet captioned. clips: number of clips shown.
    """

    chat: Chat
    folder: Path
    shown: list[dict[str, Any]] = field(default_factory=list)
    lines: deque[str | None] = field(default_factory=deque)
    read: deque[tuple[Motion, str]] = field(default_factory=deque)
    uploads: int = 0
    clips: int = 0
    seen: float = field(default_factory=time.monotonic)

    def say(self, text: str, who: str = "assistant", title: str = "") -> None:
        """Show a text. title: a heading under which it is folded away."""
        message: dict[str, Any] = {"role": who, "content": text}
        self.shown.append(message | ({"metadata": {"title": title, "status": "done"}} if title else {}))

    def clear(self) -> None:
        """Begin a new conversation. A turn that is at work still has the old `chat`, by which it can tell."""
        self.chat, self.shown = Chat(self.chat.lm), []
        self.lines = deque(None for _ in self.lines)
        self.read.clear()

    def excuse(self, error: Exception, path: Path, name: str) -> None:
        """An error as a sentence of the conversation, without the server's folder of the file."""
        self.say(failure(error).text.replace(str(path), name).replace(str(path.parent), ""))

    def leave(self) -> None:
        """Remove their files."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Visitors:
    """Visitors by the session of their page; those idle for IDLE seconds are forgotten."""

    def __init__(self, lm: MotionLM, work: Path) -> None:
        self.lm, self.work = lm, work
        self.there: dict[str, Visitor] = {}
        self.lock = threading.Lock()

    def __getitem__(self, session: str | None) -> Visitor:
        now = time.monotonic()
        with self.lock:
            for idle in [name for name, one in self.there.items() if now - one.seen > IDLE]:
                self.there.pop(idle).leave()
            who = self.there.get(session or "")
            if who is None:
                who = Visitor(Chat(self.lm), self.work / secrets.token_hex(8))
                if session:  # a request without a session starts a new visitor
                    self.there[session] = who
            who.seen = now
            return who

    def left(self, session: str | None) -> None:
        """Called when a page closes. The conversation is kept, in case only the connection was lost."""
        with self.lock:
            who = self.there.get(session or "")
        if who is not None:
            who.leave()


def read_upload(path: Path, megabytes: float, uploads: int) -> Motion:
    """Read an uploaded clip. Raises MotionLLMError for too many, too large or too long clips, and for files without
    motion.
    """
    if uploads > UPLOADS:
        raise MotionLLMError(f"{UPLOADS} clips were given; reload the page for more.")
    if path.suffix.lower() not in READERS:
        raise MotionFileError(f"{path.name}: motion is read from {', '.join(READERS)}.")
    if path.stat().st_size > megabytes * 1e6:
        raise MotionFileError(f"{path.name}: is {path.stat().st_size / 1e6:.0f} MB; {megabytes:g} are read.")
    motion = load_confined(path)
    if motion.duration > LONGEST_CLIP:
        raise MotionFileError(f"{path.name}: is {motion.duration:.0f} s long; {LONGEST_CLIP:g} are read. Cut it.")
    return motion
