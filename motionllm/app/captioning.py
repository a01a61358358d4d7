"""Captions for many files: batched, with progress, resumable, written line by line."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError, each
from motionllm.files import read_text
from motionllm.lm.model import MotionLM
from motionllm.lm.results import content_hash, results
from motionllm.motion import Motion
from motionllm.motion.formats import READERS
from motionllm.runs.progress import Bar

log = logging.getLogger(__name__)


def motion_files(folder: Path, ids: Path | None = None) -> dict[str, Path]:
    """{id: motion file} of a folder and its sub-folders, sorted; the id is the relative path without suffix.

    ids: a file with one id per line; if given, only these, in this order. For a data set's folder, its `new_joints/` or
    `new_joint_vecs/` is read. Raises MotionLLMError where there are no files, an id has none, or two files have the
    same id.
    """
    inner = next((folder / n for n in ("new_joints", "new_joint_vecs") if (folder / n).is_dir()), folder)
    if ids is None:
        # A dangling link counts as a file that cannot be read, so that the user hears of it.
        files = sorted(p for p in inner.rglob("*") if p.suffix.lower() in READERS and not os.path.isdir(p))
        named = {_id(p.relative_to(inner).with_suffix("")): p for p in files}
        if not files:
            raise MotionLLMError(f"{inner} holds no motion file ({', '.join(READERS)}).")
        if len(named) < len(files):
            twice = next(p for p in files if p not in named.values())
            raise MotionLLMError(f"{twice} differs from another file by its suffix alone; keep one of the two.")
        return named
    names = [line.strip() for line in read_text(ids, "list of ids").split("\n") if line.strip()]
    candidates = {name: [inner / f"{name}{suffix}" for suffix in READERS] for name in names}
    id_files = {name: next((p for p in paths if os.path.isfile(p)), None) for name, paths in candidates.items()}
    missing = [name for name, file in id_files.items() if file is None]
    if missing or not names:
        raise MotionLLMError(
            f"{len(missing)} of {len(names)} ids in {ids} have no file in {inner}"
            + (f", first {missing[0][:200]}." if missing else ".")
        )
    return {name: file for name, file in id_files.items() if file}


def _id(path: Path) -> str:
    """A path as text; bytes that are not UTF-8 are written as \\xe9."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def caption_files(
    load: Callable[[], MotionLM],
    made_by: Mapping[str, Any],
    files: Mapping[str, Path],
    out: Path,
    batch: int = 32,
    n: int = 1,
    every: float | None = None,
) -> dict[str, Any]:
    """Caption {id: file} into a JSONL of {"id", "caption", "clip", "made_by"}; unusable files are reported.

    Existing captions by the same model and settings, for the same content (`clip`, a hash of the file), are kept.

    load: returns the model; called only after the input was checked, and not if there is nothing to do. made_by: see
    `results.made_by`. n: above 1, add "captions", a list of n captions for each clip whose first is "caption". every:
    seconds; if given, "timeline" replaces "caption": [from, to, caption] entries over a clip of any length. Returns
    {"out", "captioned", "kept", "failed": {id: error}}. Raises MotionLLMError where `out` is in use, cannot be written,
    or holds another model's captions.
    """
    failed: dict[str, str] = {}
    with results(out, {**made_by, "n": n, "every": every}) as kept, Bar("caption") as bar:
        # Files are hashed only where there is a caption that may be outdated.
        there = files.keys() & kept.rows.keys()
        kept.drop({name for name in there if kept.rows[name].get("clip") != _hash(files[name])})
        todo = [name for name in files if name not in kept.rows]
        lm = load() if todo else None
        for start in range(0, len(todo), batch):
            assert lm is not None
            clips, hashes = {}, {}
            for name in todo[start : start + batch]:
                try:
                    hashes[name] = _hash(files[name])
                    clips[name] = lm.motion_tokenizer.features(Motion.load(files[name]))
                except MotionLLMError as error:
                    failed[name] = str(error)
                except (
                    Exception
                ) as error:  # libraries raise anything for a broken file, which must not affect the others
                    log.debug("%s", files[name], exc_info=True)
                    failed[name] = f"{files[name]}: cannot be read ({type(error).__name__}: {str(error)[:200]})"
            texts = each(partial(_describe, lm, n=n, every=every), list(clips.values())) if clips else []
            for name, row in zip(clips, texts, strict=True):
                if isinstance(row, MotionLLMError):
                    failed[name] = str(row)
                else:
                    kept.write({"id": name, **row, "clip": hashes[name]})
            done = min(start + batch, len(todo))
            bar.update(done / len(todo), clips=done - len(failed), failed=len(failed))
    return {"out": out, "captioned": len(todo) - len(failed), "kept": len(files) - len(todo), "failed": failed}


def _hash(file: Path) -> str | None:
    """Hash of a file's content; None where it cannot be read, which reading the motion will report."""
    try:
        return content_hash(file)
    except OSError:
        return None


def _describe(lm: MotionLM, clips: Sequence[np.ndarray], n: int, every: float | None) -> list[dict[str, Any]]:
    """The row of results for each clip, given as features (T, D)."""
    if every is not None:
        return [{"timeline": lm.timeline(clip, every, max(every, 4.0))} for clip in clips]
    if n > 1:
        several = [lm.captions(clip, n, seed=0) for clip in clips]
        return [{"caption": captions[0], "captions": captions} for captions in several]
    return [{"caption": caption} for caption in lm.caption_batch(clips)]
