"""A survey of a data set: what every clip shows, and what a person should look at: damaged clips, implausible bodies,
outliers, captions that the motion contradicts, doubles.

Clips are measured in a thread, once: what is measured is kept in the cache folder by the state of the file and of the
code that measures. Captions are compared whenever they are asked for, as they change while a set is labelled.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import motion as measuring
from motionllm.data.asked import asked, contradiction, share
from motionllm.data.content import code_of
from motionllm.data.motion_set import MotionSet, SetClip
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import cache_folder, make_folder, read_json, read_jsonl
from motionllm.motion.notation import SMALL, Line, Notation, measure_with_facts
from motionllm.motion.plausible import CHECK, MENDED
from motionllm.runs.run import Log, logged

SHORTEST = 0.5  # seconds; shorter clips hold no code
FAR = 6.0  # robust standard deviations from the set's middle beyond which a clip is an outlier
ENOUGH = 20  # clips; the spread of fewer says nothing
# What clips are compared by: a measured value, how a sentence names it, its unit, the least spread that is taken (in
# logarithms), so that sets of near-equal clips have no outliers by centimetres.
COMPARED = (
    ("seconds", "lasts", "s", 0.15),
    ("fastest", "moves a joint at up to", "m/s", 0.15),
    ("distance", "travels", "m", 0.4),
)
GRAVE, DOUBTFUL, ODD = 0, 1, 2  # gravities of a doubt

Doubt = tuple[int, str]  # gravity, sentence


class Survey:
    """Measures the clips of a set in a thread, and says what is doubtful about them."""

    def __init__(self, data: MotionSet) -> None:
        self.data = data
        self.rows: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun: dict[str, SetClip] | None = None
        self._notes, self._labels = _import_notes(data.folder)

    @property
    def measured(self) -> int:
        """Clips that are measured now."""
        return len(self.rows)

    def start(self) -> None:
        """Measure what is not measured yet, in a thread that ends when all is; again where clips have come or gone."""
        clips = self.data.clips  # the same object until then
        with self._lock:
            if clips is not self._begun and (self._thread is None or not self._thread.is_alive()):
                self._begun = clips
                self._thread = threading.Thread(target=self._measure_all, name="survey", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until all clips are measured."""
        self.start()
        assert self._thread is not None
        self._thread.join()

    def row(self, name: str) -> dict[str, Any]:
        """The measurements of a clip, at once: see `measure_clip`."""
        mark = _mark(self.data[name].file)
        row = self.rows.get(name)
        if row is None or row["mark"] != mark:
            row = self.rows[name] = {"id": name, "mark": mark, **measure_clip(self.data, name)}
        return row

    def _measure_all(self) -> None:
        journal = _journal(self.data.folder)
        earlier = {row["id"]: row for _, row in logged(journal) if "mark" in row} if journal else {}
        with contextlib.ExitStack() as files:
            lines = files.enter_context(contextlib.closing(Log(journal, lambda row: True))) if journal else None
            for name in list(self.data.clips):
                try:
                    mark = _mark(self.data[name].file)
                    if name in earlier and earlier[name]["mark"] == mark:
                        self.rows[name] = earlier[name]
                        continue
                    row = self.row(name)
                except MotionLLMError:  # the clip was taken away
                    continue
                if lines is not None:
                    with contextlib.suppress(MotionLLMError):  # the disk is full: it is measured again next time
                        lines.write(row)
                time.sleep(0.002)  # requests are answered in between
        for name in self.rows.keys() - self.data.clips.keys():
            self.rows.pop(name, None)

    def doubts(self, names: Iterable[str]) -> dict[str, list[Doubt]]:
        """What is doubtful about each of some clips, the gravest first; clips that are not measured have no doubts."""
        rows = dict(self.rows)
        middle = spread(rows.values())
        first: dict[str, str] = {}
        for name in self.data.clips:
            if (digest := rows.get(name, {}).get("digest")) and digest not in first:
                first[digest] = name
        result = {}
        for name in names:
            if row := rows.get(name):
                doubts = [*self._of_clip(name, row), *outliers(row, middle)]
                if row.get("digest") and first[row["digest"]] != name:
                    doubts.append((DOUBTFUL, f"The motion is the same as that of {first[row['digest']]}."))
                result[name] = sorted(dict.fromkeys(doubts))
            else:
                result[name] = []
        return result

    def _of_clip(self, name: str, row: Mapping[str, Any]) -> list[Doubt]:
        doubts: list[Doubt] = []
        if row.get("error"):
            doubts.append((GRAVE, row["error"]))
        elif row["seconds"] < SHORTEST:
            doubts.append((GRAVE, f"The clip is {row['seconds']:.2f} s long; half a second is the least."))
        for note in [*row.get("notes", ()), *self._notes.get(self._labels.get(name, ""), ())]:
            if note.startswith(CHECK):
                doubts.append((DOUBTFUL, note.removeprefix(CHECK).capitalize()))
            elif note.startswith(MENDED):
                doubts.append((ODD, f"Mended: {note.removeprefix(MENDED)}"))
        captions, wrong = self.data.text(name)
        doubts += [(DOUBTFUL, f"{line}.") for line in wrong]
        for caption in captions:
            if row.get("notation") and not (caption.start or caption.end):
                doubts += against(caption.text, row["notation"])
        return doubts


def measure_clip(data: MotionSet, name: str) -> dict[str, Any]:
    """The measurements of a clip as plain values: seconds, fastest (m/s of the fastest joint, its 99th percentile),
    distance (metres), facts, notation, sentences, events (pairs of verb and side; no limb movements), notes of its
    reading, digest (equal for equal motions).

    Where it cannot be read: error, and seconds 0.
    """
    try:
        motion = data.motion(name)
        joints = motion.joints
        row: dict[str, Any] = {"seconds": motion.duration, "notes": list(motion.notes)}
        row["digest"] = hashlib.sha256(np.round(joints * 1000).astype(np.int32).tobytes()).hexdigest()[:16]
        if len(joints) < SHORTEST * motion.fps:
            return row
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(axis=1) * motion.fps
        notation, facts = measure_with_facts(joints)
    except MotionLLMError as error:
        return {"error": str(error).replace(f"{data[name].file}: ", "").replace(f"{data.folder}/", ""), "seconds": 0.0}
    values = {key: value for key, value in facts.json().items() if key != "events"}
    row |= {"fastest": float(np.percentile(speed, 99)), "distance": values["distance"], "facts": values}
    row |= {"events": [(line.verb, side_of(line)) for line in notation.lines if line.verb not in SMALL]}
    return row | {"notation": str(notation), "sentences": notation.sentences()}


def side_of(line: Line) -> str:
    """ "left" or "right", of the limb or the way of a line; "" for both and neither."""
    return next((side for side in ("left", "right") if side in line.part.split() or side == line.way), "")


def spread(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """{value of COMPARED: (median, robust standard deviation)} in logarithms, where there are ENOUGH clips."""
    good = [row for row in rows if "fastest" in row]
    result = {}
    for key, _, _, least in COMPARED:
        values = np.log([max(row[key], 0.05) for row in good])
        if len(values) >= ENOUGH:
            middle = float(np.median(values))
            result[key] = (middle, max(1.4826 * float(np.median(np.abs(values - middle))), least))
    return result


def outliers(row: Mapping[str, Any], middle: Mapping[str, tuple[float, float]]) -> list[Doubt]:
    """The values by which a clip is far from the others of its set."""
    doubts = []
    for key, words, unit, _ in COMPARED:
        if key in row and key in middle:
            centre, deviation = middle[key]
            if abs(np.log(max(row[key], 0.05)) - centre) > FAR * deviation:
                usual = float(np.exp(centre))
                doubts.append((ODD, f"It {words} {row[key]:.1f} {unit}; the set's median is {usual:.1f} {unit}."))
    return doubts


@lru_cache(maxsize=65536)
def against(caption: str, notation: str) -> list[Doubt]:
    """What a caption says that the motion contradicts, or that none of it is measured."""
    measured = Notation.parse(notation)
    if why := contradiction(caption, measured):
        return [(DOUBTFUL, f"Caption and motion disagree: {why}.")]
    wanted = asked(caption)
    if wanted and not share(wanted, measured):
        names = " and ".join(dict.fromkeys(one.action.replace("_", " ") for one in wanted))
        return [(ODD, f"The caption says {names}; nothing of that is measured.")]
    return []


def _import_notes(folder: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """({source file: notes of its import}, {id: source file}) of a set that was imported."""
    try:
        notes = read_json(folder / "import.json").get("notes", {})
        labels = {row["id"]: row["source"] for _, row in read_jsonl(folder / "labels.jsonl") if "source" in row}
        return {source: [str(note) for note in of] for source, of in notes.items()}, labels
    except (MotionFileError, AttributeError, KeyError, TypeError):
        return {}, {}


def _journal(folder: Path) -> Path | None:
    """The file that measurements are kept in; None where the cache folder cannot be written."""
    name = hashlib.sha256(f"{folder.resolve()} {code_of(measuring, sys.modules[__name__])}".encode()).hexdigest()[:24]
    path = cache_folder() / "surveys" / f"{name}.jsonl"
    try:
        make_folder(path.parent)
    except MotionLLMError:
        return None
    return path


def _mark(file: Path) -> str:
    try:
        stat = file.stat()
    except OSError:
        raise MotionFileError(f"{file}: no such file.") from None
    return f"{stat.st_size} {stat.st_mtime_ns}"
