"""A folder of motion files of any rig → a data set in HumanML3D's layout, which every recipe reads.

Each file becomes `new_joints/ID.npy` (22 joints, 20 fps, canonical) and `texts/ID.txt`; `train.txt`, `val.txt` and
`test.txt` list the ids; `labels.jsonl` keeps what the canonical form drops (the body's own leg length, the source);
`import.json` says what was taken, what was noted, and what was refused, and why; `contact.png` shows a pose of each
clip. What is already there from the same file is not done again; a file that was refused is tried again.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import motion as reading
from motionllm.data.content import code_of
from motionllm.data.import_captions import CaptionTable, collect, lines_of, one_line
from motionllm.data.import_files import digest, find_files, ids_of, prefixes_of, shown, takes_of
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import (
    lock,
    make_folder,
    read_json,
    read_text,
    write_file,
    write_json,
    write_jsonl,
    writing,
)
from motionllm.motion import Motion
from motionllm.motion.features import check_joints
from motionllm.motion.formats import READERS
from motionllm.motion.formats.rigs import load_rig
from motionllm.motion.show.pictures import contact_sheet
from motionllm.motion.skeleton import HUMANML3D
from motionllm.runs.cores import cores
from motionllm.runs.run import Log, logged

LEAST = 10  # feature frames: half a second
SHOWN = 60  # clips on the contact sheet
ALIKE = "check: other files here have its name with another suffix, and all are taken, into one split"
TEXTS = ".texts.json"  # digests of the texts that the last import wrote: another text there is a person's

Job = tuple[str, str, str, str, "str | None", float]  # file, id, what its pieces' ids begin with, out, rig, longest


@dataclass(frozen=True)
class Taken:
    """The result of importing a file: its clips, their frames and what is kept with them, or why it was refused."""

    id: str
    clips: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()
    leg: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


def import_folder(
    folder: Path,
    out: Path,
    captions: Path | str | Sequence[Path | str | None] | None = None,
    rig: Path | None = None,
    val: float = 0.05,
    test: float = 0.05,
    longest: float = 9.8,
    workers: int | None = None,
    progress: Callable[..., None] | None = None,
    uncaptioned: bool = False,
) -> dict[str, Any]:
    """Import every motion file under `folder` into the data set `out`; returns what `import.json` holds.

    captions: a CSV or JSONL with a caption (and from, to seconds) by file, "names" to take the file names as text;
    None reads `NAME.txt` beside each file; a list takes several of these. uncaptioned: take files that have none, too;
    a text that stands in the set already is then theirs. A text that was edited in the set is kept. rig: a mapping
    YAML for rigs that are not recognised. val, test: shares of clips, dealt by hash of the id, so that a clip stays in
    its split when others are added. longest: seconds; a longer take is cut into even pieces. A file that cannot be
    read, has no caption or is under half a second is refused with its reason, and the others go on.

    Raises MotionLLMError where the folder is a data set already, there is no motion file, no caption at all, shares
    leave nothing to train on, or another process is importing into `out`; MotionFileError where `out` cannot be
    written: what was done until then is kept, and the same call goes on from there.
    """
    if not folder.is_dir():
        raise MotionLLMError(f"{folder} is not a folder; give the folder that holds the motion files.")
    if out.exists() and (not out.is_dir() or out.samefile(folder)):
        raise MotionLLMError(f"The data set cannot be written to {out}; give another folder with --out.")
    if (folder / "train.txt").is_file() and (folder / "texts").is_dir():  # its captions and split would be lost
        raise MotionLLMError(
            f"{folder} is a data set already, with train.txt and texts/; use it as it is: `motionllm train own "
            f"data.sources.0.path={folder}`, or give new_joints/ in it and its captions as a table."
        )
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise MotionLLMError(f"val {val} and test {test} leave no clip to train on; give shares that add up below 1.")
    if not longest >= 1:
        raise MotionLLMError(f"longest is {longest} seconds; pieces of at least 1 second are needed.")
    load_rig(rig)
    files, refused = find_files(folder, out)
    if not files:
        why = "".join(f"; {name} {reason}" for name, reason in itertools.islice(refused.items(), 3))
        raise MotionLLMError(f"{folder} holds no motion file that can be read ({', '.join(READERS)}){why}")
    ids = ids_of(folder, files, {row["source"]: name for name, row in imported(out).items()})
    places = [captions] if captions is None or isinstance(captions, str | Path) else captions
    table = collect(places, folder, ids, uncaptioned)
    if not table.captions and not uncaptioned:
        doubts = [*itertools.chain(*table.doubts.values()), *table.unused]
        raise MotionLLMError(
            f"No file of {folder} has a caption{f' ({doubts[0]})' if doubts else ''}; give --captions FILE (CSV or "
            "JSONL), --captions names, a NAME.txt beside each file, or --uncaptioned to take them without."
        )
    with lock(out):
        for name in ("", "new_joints", "texts"):
            make_folder(out / name)
        try:
            rows = _convert_all(folder, ids, out, rig, longest, workers, progress)
            return _write(folder, ids, rows, table, refused, out, (val, test), uncaptioned)
        except MotionFileError as error:
            raise MotionFileError(
                f"{error} What was imported until then is kept: make room, and give the same command again."
            ) from None


# -- the files ----------------------------------------------------------------------------------------------


def place_of(name: str) -> float:
    """A number in [0, 1) by the hash of a take's id, by which it is dealt to a split."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _split(name: str, val: float, test: float) -> str:
    share = place_of(name)
    return "val" if share < val else "test" if share < val + test else "train"


# -- from files to clips ------------------------------------------------------------------------------------


def _convert_all(
    folder: Path,
    ids: Mapping[Path, str],
    out: Path,
    rig: Path | None,
    longest: float,
    workers: int | None,
    progress: Callable[..., None] | None,
) -> dict[str, dict[str, Any]]:
    """What each file gave, by id; files that were converted before in the same way are not read again."""
    journal = out / ".import.jsonl"
    earlier = _earlier(journal)
    prefixes = prefixes_of(ids)
    how = f"{read_text(rig) if rig else ''} {longest} {code_of(reading)}"
    rows: dict[str, dict[str, Any]] = {}
    todo: list[tuple[str, str, Job]] = []
    for file, name in ids.items():
        source = shown(folder, file)
        mark = digest(f"{source} {prefixes[file]} {_state(file)} {how}")[:16]
        row = earlier.get(name)
        if row and row["mark"] == mark and all((out / "new_joints" / f"{i}.npy").is_file() for i in row["clips"]):
            rows[name] = row
        else:
            job = (str(file), name, prefixes[file], str(out), str(rig) if rig else None, longest)
            todo.append((source, mark, job))
    done = len(rows)
    with closing(Log(journal, lambda row: True)) as lines:
        for (source, mark, _), taken in zip(todo, _taken([job for *_, job in todo], workers), strict=True):
            row = {"id": taken.id, "source": source, "mark": mark, "clips": list(taken.clips)}
            row |= {"frames": list(taken.frames), "leg": round(taken.leg, 4), "notes": list(taken.notes)}
            rows[taken.id] = row | {"error": taken.error}
            if not taken.error:  # what is refused is tried again: the reason may have been a full memory
                lines.write(row)
            done += 1
            if progress:
                progress(done / len(ids), clips=sum(len(r["clips"]) for r in rows.values()))
    write_jsonl(journal, (row for row in rows.values() if not row.get("error")))
    return rows


def _state(file: Path) -> str:
    """Changes when the file does, its size and time of change set back included."""
    try:
        stat = file.stat()
    except OSError:  # it is gone since the folder was read, which converting it will say
        return "gone"
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def imported(out: Path) -> dict[str, dict[str, Any]]:
    """{id: {"source": file, "clips": ids of its pieces, "frames": of each piece, …}} of the takes of a data set that
    `import_folder` wrote, in its order.
    """
    return _earlier(out / ".import.jsonl")


def _earlier(journal: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for _, row in logged(journal):
        if {"id", "mark", "clips", "frames", "leg", "notes", "source"} <= row.keys():
            rows[row["id"]] = row | {"error": ""}
    return rows


def _taken(jobs: list[Job], workers: int | None) -> Iterator[Taken]:
    count = min(workers or cores(), len(jobs))
    if count <= 1:
        yield from map(_convert, jobs)
        return
    done = 0
    try:
        with ProcessPoolExecutor(count) as pool:
            for taken in pool.map(_convert, jobs, chunksize=4):
                yield taken
                done += 1
        return
    except BrokenProcessPool:
        pass
    for job in jobs[done:]:  # one of them ended its process, for want of memory as a rule; alone, it is found
        try:
            with ProcessPoolExecutor(1) as pool:
                yield pool.submit(_convert, job).result()
        except BrokenProcessPool:
            yield Taken(job[1], error="cannot be read: the process that read it was ended, as when memory runs out.")


def _convert(job: Job) -> Taken:
    """One file to its clips on disk. Whatever is wrong with the file is returned, never raised.

    Raises MotionFileError where the clips cannot be written: no fault of the file.
    """
    file, name, prefix, out, rig, longest = job
    try:
        motion = Motion.load(file, rig)
        body = motion.body()
        check_joints(body.joints)
        clip = body.canonical()
        if len(clip) < LEAST + 1:
            raise MotionLLMError(f"is {len(clip) / clip.fps:.2f} s long; half a second is the least.")
        count = max(1, int(np.ceil(len(clip) / (longest * clip.fps))))
        edges = np.linspace(0, len(clip), count + 1).round().astype(int)
        pieces = [Motion(clip.joints[a:b]).canonical() for a, b in itertools.pairwise(edges)]
    except MotionLLMError as error:
        return Taken(name, error=one_line(str(error).removeprefix(f"{file}: ")))
    except Exception as error:  # one file, whatever it holds, must not end the import of the others
        return Taken(name, error=one_line(f"cannot be read ({type(error).__name__}: {error})."))
    clips = (name,) if count == 1 else tuple(f"{prefix}{n}" for n in range(1, count + 1))
    for clip_name, piece in zip(clips, pieces, strict=True):
        piece.save(Path(out) / "new_joints" / f"{clip_name}.npy")
    notes = tuple(one_line(note) for note in motion.notes)
    return Taken(name, clips, tuple(len(piece) for piece in pieces), body.leg, notes)


# -- the data set -------------------------------------------------------------------------------------------


def _write(
    folder: Path,
    ids: Mapping[Path, str],
    rows: Mapping[str, dict[str, Any]],
    table: CaptionTable,
    refused: dict[str, str],
    out: Path,
    shares: tuple[float, float],
    uncaptioned: bool,
) -> dict[str, Any]:
    """Write texts, lists, labels, report and contact sheet; returns the report."""
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    labels = []
    notes: dict[str, list[str]] = {}
    suspects: list[tuple[int, str]] = []
    seconds = 0.0
    earlier = read_json(out / TEXTS) if (out / TEXTS).is_file() else None
    written: dict[str, str] = {}
    takes = takes_of(folder, ids)
    alike = Counter(takes.values())
    for file, name in ids.items():
        row = rows[name]
        source = row["source"]
        if row["error"]:
            refused[source] = row["error"]
            continue
        texts, doubts = lines_of(table.captions.get(name, ()), row["frames"], uncaptioned)
        doubts = [*table.doubts.get(name, ()), *doubts]
        if not any(texts) and not uncaptioned:
            refused[source] = f"has no caption that can be used: {'; '.join(doubts)}." if doubts else "has no caption."
            continue
        split = _split(takes[file], *shares)
        if alike[takes[file]] > 1:
            doubts.append(f"{ALIKE}; leave all but one out where they are the same take")
        for clip, text, frames in zip(row["clips"], texts, row["frames"], strict=True):
            if text:
                written[clip] = digest(text)
                ours = earlier.get(clip, "") if earlier is not None else None
                if _keep(out / "texts" / f"{clip}.txt", text, ours):
                    doubts.append(f"texts/{clip}.txt was edited in the data set and is kept")
                    written[clip] = ours or ""
            if text or uncaptioned:
                listed[split].append(clip)
                labels.append({"id": clip, "split": split, "source": source, "leg": row["leg"]})
                suspects.append((min(map(_doubt, row["notes"]), default=2), clip))
                seconds += frames / HUMANML3D.fps
        if all_notes := [*row["notes"], *doubts]:
            notes[source] = all_notes
    if not any(listed.values()):
        first = next(iter(refused.items()))
        raise MotionLLMError(f"None of the {len(ids)} files could be imported; the first, {first[0]}: {first[1]}")
    if not listed["train"]:  # a handful of clips: hash splits may leave none to train on
        spare = "val" if listed["val"] else "test"
        listed["train"], listed[spare] = listed[spare], []
    for split, names in listed.items():
        if names:
            write_file(out / f"{split}.txt", "".join(f"{name}\n" for name in names))
        else:  # no list, rather than an empty one, is a set without this split
            (out / f"{split}.txt").unlink(missing_ok=True)
    write_jsonl(out / "labels.jsonl", labels)
    write_json(out / TEXTS, written)
    report = {
        "dataset": str(out),
        "files": len(ids),
        "clips": {split: len(names) for split, names in listed.items()},
        "seconds": round(seconds, 1),
        "refused": refused,
        "notes": notes,
        "unused": table.unused,
    }
    write_json(out / "import.json", report)
    clips = [(title, Motion.load(out / "new_joints" / f"{name}.npy")) for title, name in _chosen(suspects)]
    contact_sheet(clips, out / "contact.png")
    return report


def _keep(path: Path, text: str, ours: str | None) -> bool:
    """Write the text of a clip where it is another than there was; True where a person's edit is there and kept.

    ours: digest of what the last import wrote, "" where it wrote none, None where that is not known: it is then taken
    for the import's. Without waiting for the disk, as `write_file` does: there are as many as clips, no list names
    them before all are written, and the next import mends one that is cut.
    """
    content = text.encode()
    with writing(path):
        there = path.read_bytes() if path.is_file() else b""
        edited = bool(there) and ours is not None and hashlib.sha256(there).hexdigest() != ours
        if there != content and not edited:
            path.write_bytes(content)
    return edited and there != content


def _doubt(note: str) -> int:
    """-1 for a note of a caption that is lost, 0 of what should be looked at, 1 of what was put right, 2 of what was
    merely decided.
    """
    if re.match(r"\S.*, line \d+: ", note):  # of the table of captions
        return -1
    return 0 if note.startswith("check:") else 1 if note.startswith("mended:") else 2


def _chosen(clips: Sequence[tuple[int, str]]) -> list[tuple[str, str]]:
    """(title, clip) for the contact sheet of (doubt, clip): those in doubt first, "?" before their names, and of the
    others as many as there is room for, evenly spread.
    """
    doubtful = [(f"? {name}", name) for _, name in sorted((c for c in clips if c[0] < 2), key=lambda c: c[0])][:SHOWN]
    others = [(name, name) for doubt, name in clips if doubt == 2]
    room = SHOWN - len(doubtful)
    return doubtful + (others[:: -(-len(others) // room) or 1] if room else [])


def summary(said: Mapping[str, Sequence[str]], most: int = 12) -> list[str]:
    """A line for each kind of note, the commonest of each gravity first: how many files it is of, and the first three.

    said: notes by file. Notes that differ in numbers and names alone are of one kind.
    """
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for source, notes in said.items():
        for note in notes:
            kind = re.sub(r"'[^']*'|\S+, line \d+|\d[\w.,+-]*", "…", note)
            kinds[kind].setdefault(source, note)
    order = sorted(kinds.values(), key=lambda of: (min(map(_doubt, of.values())), -len(of)))
    lines = []
    for of in order[:most]:
        first = list(of)[:3]
        more = f" and {len(of) - 3} more" if len(of) > 3 else ""
        lines.append(f"{len(of)} {'file' if len(of) == 1 else 'files'}: {of[first[0]]} ({', '.join(first)}{more})")
    if len(order) > most:
        lines.append(f"and {len(order) - most} more kinds of note")
    return lines
