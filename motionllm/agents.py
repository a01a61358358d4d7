"""Tools for agents over the Model Context Protocol: generate, edit, caption, notate, convert and judge motion.

Built with the official SDK (extra `mcp`). Files are read and written within one folder, named when the server starts,
and read in a separate process; the limits are those of the web page. The model is loaded at the first call that needs
it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionllm import __version__
from motionllm.errors import MotionFileError, MotionLLMError, about, check_text, hint
from motionllm.motion.formats import READERS, WRITERS
from motionllm.motion.skeleton import HUMANML3D

if TYPE_CHECKING:
    from motionllm.lm.model import MotionLM
    from motionllm.motion import Motion

LONGEST_CLIP = 600.0  # seconds of a clip that is read, as on the page
LONGEST_MOTION = 60.0  # seconds of a motion that is generated
LINE = 2000  # characters of a text, as on the page
PLAN = 20_000  # characters of a plan
CANDIDATES = 8  # motions made, of which one is kept, as on the page
WRITTEN = 200  # files of one session
LISTED = 200  # files named by `clips`
INSTRUCTIONS = (
    "Human motion as a language. File names are relative to the folder of this server. A motion's notation has a line "
    "for each event: seconds from and to, verb, side, way, count, pace; it is measured on the motion, not guessed. "
    "To meet a request: generate, judge against the text, `edit` what is wrong, or generate again with another seed. "
    "`convert` gives bvh, glb, html, mp4 and others of the same motion."
)


class Desk:
    """What the tools do: the folder, the model once it is loaded, and the limits.

    folder: where all files are. load: returns the model. megabytes: of a file that is read. Raises MotionLLMError where
    the folder does not exist.
    """

    def __init__(self, folder: Path, load: Callable[[], MotionLM], megabytes: float = 20.0) -> None:
        if not folder.is_dir():
            raise MotionLLMError(f"There is no folder {folder}; give one that exists: agents read and write within it.")
        self.folder, self.megabytes = folder.resolve(), megabytes
        self._load = load
        self._lm: MotionLM | None = None
        self._busy = threading.Lock()  # the model answers one call at a time
        self._written = 0

    def generate(
        self,
        text: str,
        file: str,
        seconds: float | None = None,
        seed: int | None = None,
        candidates: int = 4,
        plan: str | None = None,
    ) -> dict[str, Any]:
        """Generate a motion of one person from a text and write it to a new file (.glb, .bvh, .html, .mp4, .npy …).

        seconds: exact duration, 0.2 to 60; left out, the model decides. seed: the same seed gives the same motion; the
        one used is returned. candidates: 1 to 8 motions made, of which the best is kept. plan: a notation to follow,
        which also sets the duration (adapters trained with plans only). Returns the file, seconds, seed, and the
        notation and sentence measured on the motion.
        """
        text = _text(text, "text", LINE)
        out = self._out(file)
        if not 1 <= candidates <= CANDIDATES:
            raise MotionLLMError(f"candidates is {candidates}; 1 to {CANDIDATES} can be made.")
        if seconds is not None and not 0.2 <= seconds <= LONGEST_MOTION:
            raise MotionLLMError(f"seconds is {seconds:g}; 0.2 to {LONGEST_MOTION:g} can be made.")
        seed = _seed(seed)
        wanted = None if plan is None else _text(plan, "plan", PLAN)
        with self._busy:
            motion = self._model().generate(text, seconds, seed=seed, best_of=candidates, plan=wanted)
        assert not isinstance(motion, list)
        self._save(motion, out)
        return {"file": self._name(out), "seconds": round(motion.duration, 2), "seed": seed, **_measured(motion)}

    def edit(self, file: str, request: str, to: str, seed: int | None = None) -> dict[str, Any]:
        """Change a motion file by a short request in words and write the result to a new file: "slower", "the other
        hand", "kick three times", "without the turn", "then sit down", "after the jump, bow", "mirror it", "5 seconds".

        Several changes may be asked for in one call; what is not to change stays as it is. `notes` begins with what was
        understood, and says what was asked for and is not measured on the result. The result has 22 joints at 20 frames
        per second.
        seed: of what is added; the one used is returned. Returns the file, seconds, seed, and the notation and sentence
        measured on the motion.
        """
        request, out = _text(request, "request", LINE), self._out(to)
        seed = _seed(seed)
        motion = self._read(file)
        with self._busy, about(file):
            motion = self._model().edit(motion, request, seed)
        self._save(motion, out)
        told = {"file": self._name(out), "seconds": round(motion.duration, 2), "seed": seed, **_measured(motion)}
        return told | ({"notes": list(motion.notes)} if motion.notes else {})

    def caption(self, file: str) -> dict[str, Any]:
        """Describe in a sentence what the person in a motion file does, in the model's words."""
        motion = self._read(file)
        with self._busy:
            return {"caption": self._model().caption(motion)}

    def notate(self, file: str) -> dict[str, Any]:
        """Measure what the body in a motion file does: its notation, a line for each event with seconds, side, way,
        count and pace, and the same in a sentence. Needs no model. `notes` says what was doubtful or mended on reading.
        """
        motion = self._read(file)
        return {"seconds": round(motion.duration, 2), **_measured(motion), "notes": list(motion.notes)}

    def convert(
        self,
        file: str,
        to: str,
        canonical: bool = False,
        lock_feet: bool = False,
        fps: float | None = None,
    ) -> dict[str, Any]:
        """Convert a motion file to another format, by the suffix of the new file `to`: .bvh, .glb, .html (a page that
        plays it), .mp4, .gif, .png (a strip of poses), .npy, .npz.

        canonical: as the model sees it, 22 joints at 20 fps. lock_feet: standing feet do not slide. fps: frames per
        second.
        """
        out = self._out(to)
        motion = self._read(file)
        with about(file):
            motion = motion.canonical() if canonical else motion
            motion = motion.lock_feet() if lock_feet else motion
            motion = motion.resample(fps) if fps is not None else motion
        self._save(motion, out)
        return {"file": self._name(out), "seconds": round(motion.duration, 2), "fps": motion.fps, "frames": len(motion)}

    def judge(self, file: str, text: str | None = None, plan: str | None = None) -> dict[str, Any]:
        """Judge a motion file against what was asked, a text or a plan (a notation); needs no model.

        `physics`: 0 to 1, and its parts (sliding, sinking and floating feet, jerk, bones), 1 where no worse than most
        real clips. With a text, `facts`: the share of what it asks for that is measured in the motion, and `has`: each
        of action, side, direction, count, speed and order. With a plan, `agreement` and a table, event by event.
        """
        from motionllm.eval.corpus import checked
        from motionllm.feedback import judges
        from motionllm.motion.agreement import agreement_of
        from motionllm.motion.notation import Notation

        motion = self._read(file)
        with about(file):
            body = motion.body().resample(HUMANML3D.fps)  # at which the limits of real clips were measured
            joints = body.joints - [0.0, body.joints[..., 1].min(), 0.0]
            body = replace(body, joints=joints)
            found = judges.Result("text_to_motion", text or "", joints=body.joints, motion=body)
        panel = judges.Panel({"physics": 1.0, **dict.fromkeys(judges.LIMITS, 1.0)})
        result: dict[str, Any] = {"scores": {name: round(v or 0.0, 3) for name, v in panel([found])[0].items()}}
        if text is not None:
            spec = judges.asked(_text(text, "text", LINE))
            has = checked(spec, body) if spec else None
            result["has"] = has
            result["scores"]["facts"] = round(sum(has.values()) / len(has), 3) if has else None
            if has is None:
                result["note"] = (
                    "The text names no action that is measured here; look at the notation instead (notate)."
                )
        if plan is not None:
            agreement = agreement_of(Notation.parse(_text(plan, "plan", PLAN)), body.joints, body.fps)
            result["scores"]["agreement"], result["events"] = round(agreement.score, 3), str(agreement)
        return result

    def clips(self) -> dict[str, Any]:
        """List the motion files in the folder of this server that can be read, newest first."""
        files = [path for path in self.folder.rglob("*") if path.suffix.lower() in READERS and path.is_file()]
        files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        names = [self._name(path) for path in files[:LISTED]]
        return {"files": names, "not_listed": len(files) - len(names)}

    # -- files and the model ---------------------------------------------------------------------------------

    def _model(self) -> MotionLM:
        if self._lm is None:
            self._lm = self._load()
        return self._lm

    def _place(self, name: str) -> Path:
        """The path of a file's name. Raises MotionLLMError where it is not within the folder."""
        check_text(name, "the file's name")
        try:
            if not name.strip() or "\0" in name or len(name) > 500:
                raise ValueError
            path = (self.folder / name).resolve()
        except (ValueError, OSError, RuntimeError):
            raise MotionLLMError(f"{name[:100]!r} can be no file's name.") from None
        if not path.is_relative_to(self.folder):
            raise MotionLLMError(f"{name[:100]!r} is outside the folder of this server; give a name within it.")
        return path

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _read(self, name: str) -> Motion:
        from motionllm.motion.confined import load_confined

        path = self._place(name)
        if path.suffix.lower() not in READERS:
            raise MotionFileError(f"{name}: motion is read from {', '.join(READERS)}.")
        if not path.is_file():
            there = [self._name(one) for one in path.parent.glob("*") if one.is_file()] if path.parent.is_dir() else []
            raise MotionFileError(f"{name}: no such file; {hint(name, there[:LISTED])}.")
        if (size := path.stat().st_size) > self.megabytes * 1e6:
            raise MotionFileError(f"{name}: is {size / 1e6:.0f} MB; {self.megabytes:g} are read.")
        motion = load_confined(path)
        if motion.duration > LONGEST_CLIP:
            raise MotionFileError(f"{name}: is {motion.duration:.0f} s long; {LONGEST_CLIP:g} are read. Cut it.")
        return motion

    def _out(self, name: str) -> Path:
        """Where a new file goes. Raises MotionLLMError where there is one, or none can be written."""
        path = self._place(name)
        if path.suffix.lower() not in WRITERS:
            raise MotionFileError(f"{name}: a motion is written as {', '.join(WRITERS)}.")
        if path.exists():
            raise MotionFileError(f"{name}: is there already, and files are not replaced; give another name.")
        if self._written >= WRITTEN:
            raise MotionLLMError(f"{WRITTEN} files were written; restart the server for more.")
        return path

    def _save(self, motion: Motion, out: Path) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        (motion.canonical() if out.suffix.lower() == ".npy" else motion).save(out)
        self._written += 1


def serve(desk: Desk) -> None:
    """Serve the tools on standard input and output until the client leaves."""
    server(desk).run("stdio")


def server(desk: Desk) -> Any:
    """The tools as an MCPServer. Raises MotionLLMError where the SDK is not installed."""
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ImportError:
        raise MotionLLMError("Tools for agents need the SDK mcp: run `pip install 'motionllm[mcp]'`.") from None

    def told(tool: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """A mistake as a sentence that the agent reads, without the folder's path; anything else is a defect."""

        @wraps(tool)
        def call(*args: Any, **values: Any) -> dict[str, Any]:
            try:
                return tool(*args, **values)
            except MotionLLMError as error:
                raise ToolError(str(error).replace(f"{desk.folder}/", "")) from None

        return call

    result: Any = MCPServer("motionllm", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    writes = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    for tool in (desk.generate, desk.edit, desk.caption, desk.notate, desk.convert, desk.judge, desk.clips):
        kind = writes if tool.__name__ in ("generate", "edit", "convert") else reads
        result.add_tool(told(tool), name=tool.__name__, description=_description(tool), annotations=kind)
    return result


def _description(tool: Callable[..., Any]) -> str:
    return "\n".join(line.strip() for line in (tool.__doc__ or "").strip().splitlines())


def _seed(seed: int | None) -> int:
    """The seed that is given, or one drawn."""
    if seed is None:
        return secrets.randbelow(2**31)
    if not 0 <= seed < 2**32:
        raise MotionLLMError(f"seed is {seed}; give 0 to 4294967295.")
    return seed


def _text(text: str, what: str, most: int) -> str:
    check_text(text, f"the {what}")
    if not text.strip():
        raise MotionLLMError(f"The {what} is empty.")
    if len(text) > most:
        raise MotionLLMError(f"The {what} has {len(text):,} characters; {most:,} are read.")
    return text


def _measured(motion: Motion) -> dict[str, Any]:
    from motionllm.motion.notation import measure

    notation = measure(motion.canonical().joints)
    return {"notation": str(notation), "sentence": notation.sentence()}
