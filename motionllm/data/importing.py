"""A folder of motion files of any rig → a data set in HumanML3D's layout, which every recipe reads.

Each file becomes `new_joints/ID.npy` (22 joints, 20 fps, canonical) and `texts/ID.txt`; `train.txt`, `val.txt` and
`test.txt` list the ids; `labels.jsonl` keeps what the canonical form drops (the body's own leg length, the source);
`import.json` says what was taken and what was refused, and why; `contact.png` shows a pose of each clip. What is
already there from the same file is not done again.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.files import write_file
from motionllm.motion import Motion
from motionllm.motion.clip import READ
from motionllm.motion.features import check_joints
from motionllm.motion.pictures import contact_sheet
from motionllm.motion.skeleton import HUMANML3D

LEAST = 10  # feature frames: half a second

Caption = tuple[str, float, float]  # text, from, to: seconds, 0 and 0 for the whole clip


@dataclass(frozen=True)
class Taken:
    """What importing a file gave: its pieces' frames and what is kept beside them, or why it was refused."""

    id: str
    pieces: tuple[int, ...] = ()
    leg: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


def import_folder(
    folder: Path,
    out: Path,
    captions: Path | str | None = None,
    rig: Path | None = None,
    val: float = 0.05,
    test: float = 0.05,
    longest: float = 9.8,
    workers: int | None = None,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Import every motion file under `folder` into the data set `out`; returns what `import.json` holds.

    captions: a CSV or JSONL with a caption (and from, to seconds) by file, "names" to take the file names as text;
    None reads `NAME.txt` beside each file. rig: a mapping YAML for rigs that are not recognised. val, test: shares of
    clips, dealt by hash of the id, so that a clip stays in its split when others are added. longest: seconds; a
    longer take is cut into even pieces. A file that cannot be read, has no caption or is under half a second is
    refused with its reason, and the others go on.

    Raises MotionLLMError where there is no motion file, no caption at all, or shares that leave nothing to train on.
    """
    if not folder.is_dir():
        raise MotionLLMError(f"{folder} is no folder; give the folder that holds the motion files.")
    if val < 0 or test < 0 or val + test >= 1:
        raise MotionLLMError(f"val {val} and test {test} leave no clip to train on; give shares that add up below 1.")
    if not longest >= 1:
        raise MotionLLMError(f"longest is {longest} seconds; pieces of at least 1 second are needed.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READ and out not in p.parents)
    if not files:
        raise MotionLLMError(f"{folder} holds no motion file ({', '.join(READ)}).")
    ids = _ids(folder, files)
    told = _captions(captions, folder, files, ids)
    if not told:
        raise MotionLLMError(
            f"No file of {folder} has a caption; give --captions FILE (CSV or JSONL), --captions names, or a NAME.txt "
            "beside each file."
        )
    for name in ("new_joints", "texts"):
        (out / name).mkdir(parents=True, exist_ok=True)
    state = _earlier(out)
    rows: dict[str, dict[str, Any]] = {}
    todo: list[tuple[Path, str, str]] = []
    for file in files:
        mark = _mark(file, rig, longest)
        earlier = state.get(ids[file])
        if (
            earlier
            and earlier["mark"] == mark
            and all((out / "new_joints" / f"{i}.npy").is_file() for i in earlier["clips"])
        ):
            rows[ids[file]] = earlier
        else:
            todo.append((file, ids[file], mark))
    done = len(rows)
    journal = out / ".import.jsonl"
    with open(journal, "a", encoding="utf-8") as lines:
        for (file, name, mark), taken in zip(todo, _convert_all(todo, out, rig, longest, workers), strict=True):
            row: dict[str, Any] = {"id": name, "source": str(file.relative_to(folder)), "mark": mark}
            row |= {
                "clips": _names(taken),
                "frames": list(taken.pieces),
                "leg": round(taken.leg, 4),
                "notes": list(taken.notes),
            }
            row |= {"error": taken.error}
            rows[name] = row
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            done += 1
            if progress:
                progress(done / len(files), clips=sum(len(r["clips"]) for r in rows.values()))
    refused = {r["source"]: r["error"] for r in rows.values() if r["error"]}
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    labels = []
    for file in files:
        row = rows[ids[file]]
        if row["error"]:
            continue
        if ids[file] not in told:
            refused[row["source"]] = "has no caption."
            continue
        split = _split(ids[file], val, test)
        for clip, text in zip(row["clips"], _texts(told[ids[file]], row["frames"]), strict=True):
            if not text:
                continue
            write_file(out / "texts" / f"{clip}.txt", text)
            listed[split].append(clip)
            labels.append({"id": clip, "split": split, "source": row["source"], "leg": row["leg"]})
    if not any(listed.values()):
        first = next(iter(refused.items()))
        raise MotionLLMError(f"None of the {len(files)} files could be imported; the first, {first[0]}: {first[1]}")
    if not listed["train"]:  # a handful of clips: hash splits may leave none to train on
        spare = "val" if listed["val"] else "test"
        listed["train"], listed[spare] = listed[spare], []
    for split, names in listed.items():
        if names:
            write_file(out / f"{split}.txt", "".join(f"{name}\n" for name in names))
        else:  # no list, rather than an empty one, is a set without this split
            (out / f"{split}.txt").unlink(missing_ok=True)
    write_file(out / "labels.jsonl", "".join(json.dumps(row) + "\n" for row in labels))
    report = {
        "dataset": str(out),
        "files": len(files),
        "clips": {split: len(names) for split, names in listed.items()},
        "seconds": round(sum(sum(r["frames"]) for r in rows.values() if not r["error"]) / HUMANML3D.fps, 1),
        "refused": refused,
        "notes": {r["source"]: r["notes"] for r in rows.values() if r["notes"]},
    }
    write_file(out / "import.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    shown = [clip for names in listed.values() for clip in names]
    step = max(1, -(-len(shown) // 60))
    contact_sheet(
        [(name, Motion.load(out / "new_joints" / f"{name}.npy")) for name in shown[::step]], out / "contact.png"
    )
    return report


def _convert_all(
    todo: list[tuple[Path, str, str]], out: Path, rig: Path | None, longest: float, workers: int | None
) -> Iterable[Taken]:
    jobs = [(str(file), name, str(out), str(rig) if rig else None, longest) for file, name, _ in todo]
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1:
        yield from map(_convert, jobs)
        return
    with ProcessPoolExecutor(count) as pool:
        yield from pool.map(_convert, jobs, chunksize=4)


def _convert(job: tuple[str, str, str, str | None, float]) -> Taken:
    """One file to its pieces on disk; whatever is wrong with it is returned, never raised."""
    file, name, out, rig, longest = job
    try:
        motion = Motion.load(file, rig)
        body = motion.body()
        check_joints(body.joints)
        clip = body.canonical()
        if len(clip) < LEAST + 1:
            raise MotionLLMError(f"is {len(clip) / clip.fps:.2f} s long; half a second is the least.")
        count = max(1, int(np.ceil(len(clip) / (longest * clip.fps))))
        edges = np.linspace(0, len(clip), count + 1).round().astype(int)
        pieces = [clip.joints[a:b] for a, b in itertools.pairwise(edges)]
        taken = Taken(name, tuple(len(p) for p in pieces), body.leg, motion.notes)
        for clip_name, joints in zip(_names(taken), pieces, strict=True):
            Motion(joints).canonical().save(Path(out) / "new_joints" / f"{clip_name}.npy")
        return taken
    except MotionLLMError as error:
        return Taken(name, error=str(error).removeprefix(f"{file}: "))
    except Exception as error:  # one file must not end the import of the others
        return Taken(
            name, error=f"cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})."
        )


def _names(taken: Taken) -> list[str]:
    return [taken.id] if len(taken.pieces) == 1 else [f"{taken.id}_{n}" for n in range(1, len(taken.pieces) + 1)]


def _ids(folder: Path, files: list[Path]) -> dict[Path, str]:
    """An id a file: its name, with its folders before it where names repeat, and its suffix where those do too."""
    named = [(f.stem, str(f.relative_to(folder).with_suffix("")), str(f.relative_to(folder))) for f in files]
    counts = [Counter(names[k] for names in named) for k in range(2)]
    chosen = [next((n[k] for k in range(2) if counts[k][n[k]] == 1), n[2]) for n in named]
    return {file: re.sub(r"[^\w.-]+", "_", name) for file, name in zip(files, chosen, strict=True)}


def _split(name: str, val: float, test: float) -> str:
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "val" if share < val else "test" if share < val + test else "train"


def _mark(file: Path, rig: Path | None, longest: float) -> str:
    """Changes when the file or what is done to it does."""
    stat = file.stat()
    rigged = rig.read_text(encoding="utf-8") if rig and rig.is_file() else ""
    return hashlib.sha256(f"{file.name} {stat.st_size} {stat.st_mtime_ns} {rigged} {longest}".encode()).hexdigest()[:16]


def _earlier(out: Path) -> dict[str, dict[str, Any]]:
    journal = out / ".import.jsonl"
    rows: dict[str, dict[str, Any]] = {}
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                rows[row["id"]] = row
            except (ValueError, KeyError):  # a line cut short when the import was killed: that file is done again
                continue
    return rows


def _texts(captions: list[Caption], frames: list[int]) -> list[str]:
    """The captions of each piece in HumanML3D's lines, their seconds moved into the piece."""
    texts, begun = [], 0.0
    for count in frames:
        length, lines = count / HUMANML3D.fps, []
        for text, start, end in captions:
            if not start and not end:
                lines.append(f"{text}##0.0#0.0")
            elif (a := max(start - begun, 0.0)) < (b := min(end - begun, length)) and b - a > 0.5:
                lines.append(f"{text}##{a:.2f}#{b:.2f}")
        begun += length
        texts.append("\n".join(lines) + "\n" if lines else "")
    return texts


def _captions(
    given: Path | str | None, folder: Path, files: list[Path], ids: Mapping[Path, str]
) -> dict[str, list[Caption]]:
    """Captions by id, from whichever source was named."""
    if given is None:
        beside = {f: f.with_suffix(".txt") for f in files}
        return {ids[f]: lines for f, t in beside.items() if t.is_file() and (lines := _text_file(t))}
    if str(given) == "names":
        return {ids[f]: [(_words(f.stem), 0.0, 0.0)] for f in files if _words(f.stem)}
    path = Path(given)
    if not path.is_file():
        raise MotionLLMError(f"The captions {path} do not exist; give a CSV or JSONL file, or `names`.")
    by_name: dict[str, str] = {}
    for file in files:
        for key in (ids[file], file.name, file.stem, str(file.relative_to(folder))):
            by_name.setdefault(key, ids[file])
    found: dict[str, list[Caption]] = {}
    for number, row in _rows(path):
        name = next((str(row[k]) for k in ("file", "id", "clip", "name", "path") if row.get(k)), None)
        texts = row.get("captions") or row.get("caption") or row.get("text")
        if name is None or not texts:
            raise MotionLLMError(f"{path} line {number}: needs `file` and `caption`, has {', '.join(map(str, row))}.")
        try:
            span = tuple(float(row.get(key) or 0) for key in ("from", "to"))
        except (TypeError, ValueError):
            raise MotionLLMError(f"{path} line {number}: `from` and `to` are seconds.") from None
        if name in by_name:
            for text in texts if isinstance(texts, list) else [texts]:
                if clean := _clean(str(text)):
                    found.setdefault(by_name[name], []).append((clean, span[0], span[1]))
    if not found:
        raise MotionLLMError(
            f"None of the names in {path} is a file of {folder}; `file` is a name like {files[0].name}."
        )
    return found


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise MotionLLMError(f"The captions {path} are not UTF-8 text; save them so.") from None
    if path.suffix.lower() in (".jsonl", ".json"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict):
                    raise MotionLLMError(f"{path} line {number}: expected one JSON object a line.")
                yield number, row
        return
    reader = csv.DictReader(text.splitlines())
    if not reader.fieldnames:
        raise MotionLLMError(f"The captions {path} are empty; the first line names the columns, file,caption.")
    for number, row in enumerate(reader, 2):
        yield number, {(k or "").strip().lower(): v for k, v in row.items() if k is not None}


def _text_file(path: Path) -> list[Caption]:
    """Lines of plain sentences, or of HumanML3D's `caption#tokens#from#to`."""
    found: list[Caption] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text, *rest = line.strip().split("#")
        try:
            start, end = (float(x) if x and x != "nan" else 0.0 for x in rest[1:3]) if len(rest) >= 3 else (0.0, 0.0)
        except ValueError:
            start = end = 0.0
        if clean := _clean(text):
            found.append((clean, start, end))
    return found


def _clean(text: str) -> str:
    return " ".join(text.replace("#", " ").split())


def _words(stem: str) -> str:
    """A file's name as words: `WalkTurn_left-01` → "walk turn left"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[\W_]+", " ", stem))
    return " ".join(word for word in spaced.lower().split() if not any(c.isdigit() for c in word))
