"""Readers of data sets: folders laid out as HumanML3D or KIT-ML, the built-in corpus, files of conversations."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np

from motionllm.config import Source
from motionllm.data import chats
from motionllm.data.samples import Sample
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints, joints_to_features, mirror, skeleton_of_dim


def read(source: Source, split: str) -> list[Sample]:
    """The samples of one split ("train", "val", "test").

    Raises MotionLLMError where folder, split file or captions are missing or empty.
    """
    if source.kind == "builtin":
        from motionllm.data import builtin

        count = source.clips if split == "train" else max(source.clips // 20, 1)
        return builtin.corpus(count, seed=source.seed, split=split)
    assert source.path
    left_out = set(source.exclude)
    if source.kind in chats.KINDS:
        return [s for s in chats.read_conversations(Path(source.path), source.kind, split) if s.id not in left_out]
    samples = [s for s in humanml3d(Path(source.path), split) if s.id.split("#")[0] not in left_out]
    return samples + [_mirrored(s) for s in samples] if source.mirror and split == "train" else samples


def has_split(source: Source, split: str) -> bool:
    """Whether a source has this split at all; the built-in corpus has every one."""
    if source.kind == "builtin":
        return True
    assert source.path
    if source.kind in chats.KINDS:
        return chats.file_of(Path(source.path), split) is not None
    return (Path(source.path) / f"{split}.txt").is_file()


def humanml3d(folder: Path, split: str) -> list[Sample]:
    """Samples of a folder laid out as HumanML3D or KIT-ML.

    `new_joint_vecs/ID.npy` (features) is preferred to `new_joints/ID.npy` (joints, which are put on the
    uniform skeleton). A caption with from/to seconds other than 0 describes a sub-clip, an item of its own.
    `labels.jsonl`, where there is one, adds labels by id.
    """
    listing = folder / f"{split}.txt"
    if not folder.is_dir():
        raise MotionLLMError(f"The data set folder {folder} does not exist; give its path as the source's `path`.")
    if not listing.is_file():
        raise MotionLLMError(f"{listing} is missing; it lists the ids of the {split} split, one a line.")
    ids = listing.read_text(encoding="utf-8").split()
    if not ids:
        raise MotionLLMError(f"{listing} is empty; it must list at least one id.")
    labels = _labels(folder / "labels.jsonl")
    samples: list[Sample] = []
    for name in ids:
        files = [folder / kind / f"{name}.npy" for kind in ("new_joint_vecs", "new_joints")]
        file = next((f for f in files if f.is_file()), None)
        if file is None:
            # HumanML3D's own lists name clips that its build leaves out; a wholly empty folder is caught below.
            continue
        spans = _captions(folder / "texts" / f"{name}.txt")
        for number, ((start, end), captions) in enumerate(spans.items()):
            samples.append(
                Sample(
                    id=name if number == 0 else f"{name}#{number}",
                    load=partial(_features, file, start, end),
                    captions=captions,
                    labels=labels.get(name, {}),
                )
            )
    if not samples:
        raise MotionLLMError(f"None of the {len(ids)} ids in {listing} has a file in new_joint_vecs/ or new_joints/.")
    return samples


_EXCHANGED = {"left": "right", "leftward": "rightward", "leftwards": "rightwards", "clockwise": "counterclockwise"}
_EXCHANGED |= {b: a for a, b in _EXCHANGED.items()} | {"anticlockwise": "clockwise", "counter-clockwise": "clockwise"}
_SIDES = re.compile(rf"\b(counter clockwise|{'|'.join(sorted(_EXCHANGED, key=len, reverse=True))})\b", re.IGNORECASE)


def mirror_text(text: str) -> str:
    """The sentence with left and right, clockwise and counterclockwise exchanged; capitals are kept."""

    def exchanged(match: re.Match[str]) -> str:
        word = match[0]
        other = _EXCHANGED.get(word.lower(), "clockwise")
        return other.capitalize() if word[0].isupper() else other

    return _SIDES.sub(exchanged, text)


def _mirrored(sample: Sample) -> Sample:
    # As in the data sets of the field, a mirrored clip's id begins with M. Labels may name sides: not kept.
    captions = [mirror_text(c) for c in sample.captions]
    return Sample(id=f"M{sample.id}", load=lambda: mirrored(sample.load()), captions=captions)


def mirrored(features: np.ndarray) -> np.ndarray:
    """Features (T, D) of the motion with left and right exchanged."""
    return _again(mirror(features_to_joints(features), skeleton_of_dim(features.shape[1])))


def at_pace(features: np.ndarray, pace: float) -> np.ndarray:
    """Features (T, D) → (about T / pace, D) of the same motion `pace` times as fast; joints between frames lie on the
    line between theirs, so that bones may shorten by a millimetre or two.
    """
    joints = features_to_joints(features)
    places = np.arange(0, len(joints) - 1 + 1e-6, pace)
    low = np.minimum(places.astype(int), len(joints) - 2)
    share = (places - low)[:, None, None]
    return _again((1 - share) * joints[low] + share * joints[low + 1])


def _again(joints: np.ndarray) -> np.ndarray:
    """Features (T, D) of joints (T, J, 3) that came from features: those of T frames need a frame more, which goes on
    as the last two did.
    """
    more = np.concatenate([joints, 2 * joints[-1:] - joints[-2:-1]]).astype(np.float32)
    skeleton = skeleton_of_dim(263 if joints.shape[1] == 22 else 251)
    return joints_to_features(more, uniform=False, skeleton=skeleton)


def _captions(path: Path) -> dict[tuple[float, float], list[str]]:
    """{(from, to) seconds: captions} of a text file `caption#tokens#from#to`; (0, 0) is the whole clip, first."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise MotionLLMError(f"The caption file {path} is missing or unreadable; every clip needs one.") from None
    spans: dict[tuple[float, float], list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        caption, *rest = line.strip().split("#")
        try:
            start, end = (float(x) if x and x != "nan" else 0.0 for x in (rest[1:3] if rest else ("0", "0")))
        except ValueError:
            raise MotionLLMError(f"{path} line {number}: expected 'caption#tokens#from#to', got {line!r}.") from None
        if caption.strip():
            spans.setdefault((start, end), []).append(caption.strip())
    if not spans:
        raise MotionLLMError(f"The caption file {path} is empty; write at least one line 'caption#tokens#from#to'.")
    return dict(sorted(spans.items(), key=lambda item: item[0] != (0.0, 0.0)))


def _labels(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    labels = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
                labels[row["id"]] = {k: v for k, v in row.items() if k not in ("id", "split")}
            except (ValueError, TypeError, KeyError):
                raise MotionLLMError(f"{path} line {number}: expected one JSON object with an `id` a line.") from None
    return labels


def _features(path: Path, start: float, end: float) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        raise MotionLLMError(f"{path} cannot be read as a NumPy array; copy or convert it anew.") from None
    if array.ndim == 2 and array.shape[1] in (251, 263):
        features = np.array(array, np.float32)
    else:
        motion = Motion.load(path)
        human = motion.skeleton.name == "humanml3d"
        features = joints_to_features(motion.joints, uniform=human, skeleton=skeleton_of_dim(263 if human else 251))
    if start or end:
        fps = skeleton_of_dim(features.shape[1]).fps
        features = features[int(start * fps) : int(end * fps) or None]
    return features
