"""Captions for many files: batched, with progress, written line by line and resumable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from motionllm.errors import MotionLLMError
from motionllm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.clip import READ
from motionllm.tracking import Bar, read_rows


def motion_files(folder: Path, ids: Path | None = None) -> dict[str, Path]:
    """{id: motion file} of a folder and its sub-folders, sorted; an id is the path within, without suffix.

    With `ids`, a list one a line, those alone and in that order. A data set's folder stands for its `new_joints/` or
    `new_joint_vecs/`. Raises MotionLLMError where there is no file, one of the ids has none, or two files have one id.
    """
    inner = next((folder / n for n in ("new_joints", "new_joint_vecs") if (folder / n).is_dir()), folder)
    if ids is None:
        files = sorted(p for p in inner.rglob("*") if p.suffix.lower() in READ and p.is_file())
        named = {p.relative_to(inner).with_suffix("").as_posix(): p for p in files}
        if not files:
            raise MotionLLMError(f"{inner} holds no motion file ({', '.join(READ)}).")
        if len(named) < len(files):
            twice = next(p for p in files if p not in named.values())
            raise MotionLLMError(f"{twice} differs from another file by its suffix alone; keep one of the two.")
        return named
    try:
        names = ids.read_text(encoding="utf-8").split()
    except OSError as error:
        raise MotionLLMError(f"The list {ids} cannot be read: {error.strerror}.") from None
    found = {n: next((inner / f"{n}{s}" for s in READ if (inner / f"{n}{s}").is_file()), None) for n in names}
    missing = [n for n, f in found.items() if f is None]
    if missing or not names:
        raise MotionLLMError(
            f"{len(missing)} of {len(names)} ids in {ids} have no file in {inner}"
            + (f", first {missing[0]}." if missing else ".")
        )
    return {n: f for n, f in found.items() if f}


def caption_files(
    lm: MotionLM, files: dict[str, Path], out: Path, batch: int = 32, n: int = 1, every: float | None = None
) -> dict[str, Any]:
    """Caption {id: file} into a JSONL of {"id", "caption"}; ids already there are kept, unusable files are reported.

    n > 1 adds "captions", that many of each clip, the first the same. every: seconds; "timeline" then takes the
    place of the one caption: [from, to, caption] over the clip, of any length.
    """
    done = {row["id"] for row in read_rows(out)}
    todo = [(name, file) for name, file in files.items() if name not in done]
    failed: dict[str, str] = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    with Bar("caption") as bar, open(out, "a", encoding="utf-8") as lines:
        for start in range(0, len(todo), batch):
            clips = {}
            for name, file in todo[start : start + batch]:
                try:
                    clips[name] = lm.motion_tokenizer.features(Motion.load(file))
                except MotionLLMError as error:
                    failed[name] = str(error)
            for name, said in _said(lm, clips, n, every).items():
                if isinstance(said, MotionLLMError):
                    failed[name] = str(said)
                else:
                    lines.write(json.dumps({"id": name, **said}, ensure_ascii=False) + "\n")
            lines.flush()
            seen = min(start + batch, len(todo))
            bar.update(seen / len(todo), clips=seen - len(failed), failed=len(failed))
    return {"out": out, "captioned": len(todo) - len(failed), "kept": len(files) - len(todo), "failed": failed}


def _said(
    lm: MotionLM, clips: dict[str, Any], n: int, every: float | None
) -> dict[str, dict[str, Any] | MotionLLMError]:
    """What is written of each clip (features), or why nothing can be; one that fails takes no other with it."""
    if not clips:
        return {}
    try:
        if every is not None:
            return {name: {"timeline": lm.timeline(clip, every, max(every, 4.0))} for name, clip in clips.items()}
        if n > 1:
            several = {name: lm.captions(clip, n, seed=0) for name, clip in clips.items()}
            return {name: {"caption": said[0], "captions": said} for name, said in several.items()}
        captions = lm.caption_batch(list(clips.values()))
        return {name: {"caption": said} for name, said in zip(clips, captions, strict=True)}
    except MotionLLMError as error:
        if len(clips) == 1:
            return dict.fromkeys(clips, error)
        return {name: said for one, clip in clips.items() for name, said in _said(lm, {one: clip}, n, every).items()}
