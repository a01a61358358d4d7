"""Captions for many files: batched, with progress, written line by line and resumable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from motionllm.errors import MotionLLMError
from motionllm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.clip import READ
from motionllm.tracking import Bar


def motion_files(folder: Path, ids: Path | None = None) -> list[Path]:
    """The motion files of a folder, sorted; with `ids`, a list one a line, those alone and in that order.

    A data set's folder stands for its `new_joints/` or `new_joint_vecs/`. Raises MotionLLMError where there is no
    file, or one of the ids has none.
    """
    inner = next((folder / n for n in ("new_joints", "new_joint_vecs") if (folder / n).is_dir()), folder)
    if ids is None:
        files = sorted(p for p in inner.iterdir() if p.suffix.lower() in READ)
        if not files:
            raise MotionLLMError(f"{inner} holds no motion file ({', '.join(READ)}).")
        return files
    try:
        names = ids.read_text(encoding="utf-8").split()
    except OSError as error:
        raise MotionLLMError(f"The list {ids} cannot be read: {error.strerror}.") from None
    found = [next((inner / f"{n}{s}" for s in READ if (inner / f"{n}{s}").is_file()), None) for n in names]
    missing = [n for n, f in zip(names, found, strict=True) if f is None]
    if missing or not names:
        raise MotionLLMError(
            f"{len(missing)} of {len(names)} ids in {ids} have no file in {inner}"
            + (f", first {missing[0]}." if missing else ".")
        )
    return [f for f in found if f]


def caption_files(lm: MotionLM, files: list[Path], out: Path, batch: int = 32) -> dict[str, Any]:
    """Caption files into a JSONL of {"id", "caption"}; ids already there are kept, unreadable files are reported."""
    done = set()
    if out.is_file():
        done = {json.loads(line)["id"] for line in out.read_text(encoding="utf-8").splitlines() if line.strip()}
    todo = [f for f in files if f.stem not in done]
    failed: dict[str, str] = {}
    written = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with Bar("caption") as bar, open(out, "a", encoding="utf-8") as lines:
        for start in range(0, len(todo), batch):
            motions = []
            for file in todo[start : start + batch]:
                try:
                    motions.append((file.stem, lm.motion_tokenizer.features(Motion.load(file))))
                except MotionLLMError as error:
                    failed[file.stem] = str(error)
            for (name, _), said in zip(
                motions, lm.caption_batch([m for _, m in motions]) if motions else [], strict=True
            ):
                lines.write(json.dumps({"id": name, "caption": said}, ensure_ascii=False) + "\n")
                written += 1
            lines.flush()
            bar.update(min(1.0, (start + batch) / len(todo)), clips=written)
    return {"out": out, "captioned": written, "kept": len(done), "failed": failed}
