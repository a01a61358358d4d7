"""Readers of data sets: folders laid out as HumanML3D or KIT-ML, the same from the hub, the built-in corpus, files of
conversations.

Sets of thousands of clips have a few that are damaged: those are left out and named, and the set is used without them;
it is refused where nothing usable is left, or where most of what it lists is not there.
"""

from __future__ import annotations

import logging
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from motionllm import hub
from motionllm.config import Source
from motionllm.data import chats
from motionllm.data.phrasing import is_label, sentences_of
from motionllm.data.shards import WHOLE, Shard
from motionllm.errors import MotionFileError, MotionLLMError, about
from motionllm.files import read_text, stream_jsonl
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints, joints_to_features, mirror
from motionllm.motion.representation import HUMANML3D_263, KIT_251, of_width
from motionllm.motion.skeleton import HUMANML3D, KIT, Skeleton
from motionllm.samples import Sample

log = logging.getLogger(__name__)

OFTEN = 128  # more of a label's value say no more: a label of up to 64 values then has each twice on average


@dataclass(frozen=True)
class Caption:
    """A sentence about a clip from `start` to `end` seconds: 0 and 0 is the whole clip, an `end` of 0 its end.

    where: the file and line it stands in, for messages. tokens: its words as "word/POS …", where the line has them.
    """

    text: str
    start: float = 0.0
    end: float = 0.0
    where: str = ""
    tokens: str = ""


def read(source: Source, split: str) -> list[Sample]:
    """The samples of one split ("train", "val", "test"). What is left out of it is logged.

    Raises MotionLLMError where folder or split file are missing or empty, or nothing in them can be used.
    """
    samples, notes = read_noted(source, split)
    say(notes)
    return samples


def read_noted(source: Source, split: str, shard: Shard = WHOLE) -> tuple[list[Sample], list[str]]:
    """What `read` returns, of a shard, and a sentence for each kind of clip or caption that is left out."""
    if source.kind == "builtin":
        from motionllm import corpus as builtin

        return [builtin.sample(index, source.seed, split) for index in shard.own(range(_drawn(source, split)))], []
    assert source.path
    if source.kind == "captions":
        from motionllm import corpus as builtin

        heard = builtin.heard_corpus(Path(source.path), _drawn(source, split), source.seed, split)
        return list(shard.own(heard)), []
    left_out = set(source.exclude)
    if source.kind in chats.KINDS:
        rows = chats.conversations(Path(source.path), source.kind, split, shard)
        return [s for s in rows if s.id not in left_out], []
    parquet = in_parquet(source)
    if parquet:
        samples, notes = parquet.read(source, split, shard)
    else:
        samples, notes = _humanml3d(Path(source.path), split, "notation" in source.captions, shard)
    if "labels" in source.captions:
        for sample in samples:
            sample.captions = said(sample.captions)
    samples = [s for s in samples if s.id.split("#")[0] not in left_out]
    return samples + [_mirrored(s) for s in samples] if source.mirror and split == "train" else samples, notes


def in_parquet(source: Source) -> ModuleType | None:
    """The module that reads a source, where that is Parquet files."""
    from motionllm.data import parquet

    return parquet if parquet.is_set(source) else None


def _drawn(source: Source, split: str) -> int:
    """Clips of a split of the built-in corpus."""
    return source.clips if split == "train" else max(source.clips // 20, 1)


def listing(source: Source, split: str) -> tuple[str, int, int]:
    """What a split lists, as a text that tells it from others; how many clips, and how many pieces it can be dealt in.
    ("", 0, 0) where there is no such split.
    """
    if source.kind in ("builtin", "captions"):
        size = _drawn(source, split)
        return f"{source.kind} {source.seed} {split} {source.clips}", size, size
    assert source.path
    if not has_split(source, split):
        return "", 0, 0
    if source.kind in chats.KINDS:
        file = chats.file_of(Path(source.path), split)
        assert file
        size = chats.count(file)
        return f"{source.kind} {split} {file.name} {file.stat().st_size}", size, size
    if parquet := in_parquet(source):
        groups = parquet.groups(source, split)
        text = " ".join(f"{Path(group.file).name} {group.number} {group.rows}" for group in groups)
        return f"{split} {text}", sum(group.rows for group in groups), len(groups)
    ids, _ = ids_of(folder_of(source.path), split)
    return f"{split} {' '.join(ids)}", len(ids), len(ids)


def say(notes: Iterable[str]) -> None:
    """Log each sentence, once a process: several parts of a run read the same set."""
    for note in notes:
        _say(note)


@cache
def _say(note: str) -> None:
    log.warning("%s", note)


def loaded(samples: Iterable[Sample]) -> Iterator[tuple[Sample, np.ndarray]]:
    """(sample, features) of those whose file can be read; the others are named when all have been tried."""
    bad: list[str] = []
    for sample in samples:
        try:
            features = sample.load()
        except MotionLLMError as error:
            bad.append(str(error))
            continue
        yield sample, features
    if bad:
        say([f"{counted(len(bad), 'clip')} cannot be used and left out: {shortened(bad)}"])


def counted(number: int, what: str) -> str:
    """ "1 clip is" or "3 clips are"."""
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"


def shortened(names: Sequence[str], most: int = 3) -> str:
    """The first of several names or sentences, and how many there are more."""
    more = f" (and {len(names) - most} more)" if len(names) > most else ""
    first = [name if len(name) <= 300 else f"{name[:297]}..." for name in names[:most]]
    return ("; " if any(" " in name for name in first) else ", ").join(first) + more


def has_split(source: Source, split: str) -> bool:
    """Whether a source has this split at all; the built-in corpus has every one."""
    if source.kind == "builtin":
        return True
    assert source.path
    if source.kind in chats.KINDS:
        return chats.file_of(Path(source.path), split) is not None
    if source.kind == "captions":
        return any(row.get("split", "train") == split for _, row in stream_jsonl(source.path, "file of captions"))
    if parquet := in_parquet(source):
        return bool(parquet.files(source, split))
    return (folder_of(source.path) / f"{split}.txt").is_file()


def humanml3d(folder: Path, split: str) -> list[Sample]:
    """Samples of a folder laid out as HumanML3D or KIT-ML. What is left out of it is logged.

    `new_joint_vecs/ID.npy` (features) is preferred to `new_joints/ID.npy` (joints, which are put on the
    uniform skeleton). A caption with from/to seconds other than 0 describes a sub-clip, an item of its own.
    `labels.jsonl`, where there is one, adds labels by id.
    """
    samples, notes = _humanml3d(folder, split)
    say(notes)
    return samples


def _humanml3d(folder: Path, split: str, mute: bool = False, shard: Shard = WHOLE) -> tuple[list[Sample], list[str]]:
    folder = folder_of(folder)
    listed, notes = files_of(folder, split, shard)
    labels = labels_of(folder / "labels.jsonl", {name for name, _ in listed})
    samples: list[Sample] = []
    silent: list[str] = []
    wrong: list[str] = []
    for name, file in listed:
        text = folder / "texts" / f"{name}.txt"
        try:
            captions, doubts = read_captions(text)
        except MotionFileError as error:
            if not mute:
                silent.append(str(error).rstrip("."))
                continue
            captions, doubts = [], []
        wrong += doubts
        own = list(spans(name, captions, partial(features_of, file), labels.get(name, {}), mute))
        if not own:
            silent.append(doubts[0] if doubts else f"{text}: is empty")
        samples += own
    if not samples:
        raise MotionLLMError(
            f"No clip of {folder / f'{split}.txt'} has a usable caption: {shortened(silent)}. "
            "Each needs texts/ID.txt with at least one line 'caption#tokens#from#to'."
        )
    if silent:
        notes.append(
            f"{folder}: {counted(len(silent), 'clip')} without a usable caption in {split} and left out: "
            f"{shortened(silent)}."
        )
    if wrong := [line for line in wrong if line not in silent]:
        notes.append(f"{folder}: {counted(len(wrong), 'caption line')} not used in {split}: {shortened(wrong)}.")
    return samples, notes


def spans(
    name: str, captions: Sequence[Caption], load: Callable[..., np.ndarray], labels: dict[str, Any], mute: bool
) -> Iterator[Sample]:
    """The samples of a clip: one for each stretch that captions are of. load(start, end): its features there. mute:
    a clip without a caption is a sample too.
    """
    if not captions and mute:
        yield Sample(id=name, load=partial(load, 0, 0), labels=labels)
    stretches: dict[tuple[float, float], list[str]] = {}
    # The whole clip first, whose id has no number.
    for caption in sorted(captions, key=lambda c: (c.start, c.end) != (0.0, 0.0)):
        stretches.setdefault((caption.start, caption.end), []).append(caption.text)
    for number, ((start, end), sentences) in enumerate(stretches.items()):
        one = f"{name}#{number}" if number else name
        yield Sample(id=one, load=partial(load, start, end), captions=sentences, labels=labels)


def folder_of(path: str | Path) -> Path:
    """The folder of a set that is named by its path, or by its name on the hub (`owner/name@revision`): that one is
    fetched, and unpacked into the cache once. Raises MotionLLMError where it is neither.
    """
    if not hub.is_name(str(path)):
        return Path(path)
    from motionllm.data.hub_sets import fetched

    try:
        return fetched(str(path))
    except MotionLLMError as error:
        raise MotionLLMError(f"The data set folder {path} does not exist, and is not on the hub: {error}") from None


def ids_of(folder: Path, split: str, shard: Shard = WHOLE) -> tuple[list[str], int]:
    """The ids of a shard of a split's list, each once, and how many lines repeat one of the whole list.

    Raises MotionLLMError where the list is missing or empty.
    """
    listing = folder / f"{split}.txt"
    if not folder.is_dir():
        raise MotionLLMError(f"The data set folder {folder} does not exist; give its path as the source's `path`.")
    if not listing.is_file():
        raise MotionLLMError(f"{listing} is missing; it lists the ids of the {split} split, one a line.")
    lines = [name for line in read_text(listing, "list of ids").split("\n") if (name := line.strip())]
    if any(" " in name for name in lines):
        # An id may hold spaces; a line of several ids is one of a list that was written so.
        lines = [
            one for name in lines for one in ([name] if " " not in name or motion_file(folder, name) else name.split())
        ]
    ids = dict.fromkeys(lines)
    if not ids:
        raise MotionLLMError(f"{listing} is empty; it must list at least one id.")
    return list(shard.own(ids)), len(lines) - len(ids)


def motion_file(folder: Path, name: str) -> tuple[str, str, os.stat_result] | None:
    """(the folder's name, path, size and times) of the motion file of an id; None where it has none."""
    for kind in ("new_joint_vecs", "new_joints"):
        file = f"{folder}{os.sep}{kind}{os.sep}{name}.npy"
        try:
            state = os.stat(file)
        except (OSError, ValueError):  # longer than a file name may be, or not one at all: the list is something else
            continue
        if stat.S_ISREG(state.st_mode):
            return kind, file, state
    return None


def files_of(folder: Path, split: str, shard: Shard = WHOLE) -> tuple[list[tuple[str, Path]], list[str]]:
    """(id, motion file) of the ids of a split that have one, and what is to be said of the others.

    Raises MotionLLMError where the list is missing or empty, or most of its ids have no file.
    """
    listing = folder / f"{split}.txt"
    ids, repeated = ids_of(folder, split, shard)
    files: list[tuple[str, Path]] = []
    lost: list[str] = []
    for name in ids:
        if there := motion_file(folder, name):
            files.append((name, Path(there[1])))
        else:
            lost.append(name)
    of_them = f"{len(ids)} ids in {listing}" if shard.of == 1 else f"{len(ids)} ids of shard {shard} of {listing}"
    if len(lost) == len(ids):
        raise MotionLLMError(
            f"None of the {of_them} has a file in new_joint_vecs/ or new_joints/; the first is {lost[0][:100]!r}."
        )
    have = "has" if len(lost) == 1 else "have"
    told = f"{len(lost)} of the {of_them} {have} no file in new_joint_vecs/ or new_joints/"
    if 2 * len(lost) > len(ids):
        raise MotionLLMError(f"{told}: {shortened(lost)}; copy the set whole, or take them out of the list.")
    notes = [f"{told} and {'is' if len(lost) == 1 else 'are'} left out: {shortened(lost)}."] if lost else []
    if repeated and shard.number == 1:
        notes.append(f"{listing}: {repeated} ids stand there more than once and are taken once.")
    trained = split != "train" and (folder / "train.txt").is_file() and shard.number == 1
    if both := sorted({*ids} & {*ids_of(folder, "train")[0]}) if trained else []:
        notes.append(
            f"{listing}: train.txt lists {len(both)} of its ids, too ({shortened(both)}): what is measured on clips "
            "that were trained on says little."
        )
    return files, notes


def said(captions: Iterable[str]) -> list[str]:
    """Captions as they are, and sentences in the place of those that are labels."""
    return [text for c in captions for text in (sentences_of(c) if is_label(c) else [c])]


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
    skeleton = of_width(features.shape[1]).skeleton
    return from_joints(mirror(features_to_joints(features), skeleton), skeleton)


def at_pace(features: np.ndarray, pace: float) -> np.ndarray:
    """Features (T, D) → (about T / pace, D) of the same motion `pace` times as fast; joints between frames lie on the
    line between theirs, so that bones may shorten by a millimetre or two.
    """
    joints = features_to_joints(features)
    places = np.arange(0, len(joints) - 1 + 1e-6, pace)
    low = np.minimum(places.astype(int), len(joints) - 2)
    share = (places - low)[:, None, None]
    return from_joints((1 - share) * joints[low] + share * joints[low + 1], of_width(features.shape[1]).skeleton)


def from_joints(joints: np.ndarray, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """Features (T, D) of joints (T, J, 3) that came from features: those of T frames need a frame more, which goes on
    as the last two did.
    """
    more = np.concatenate([joints, 2 * joints[-1:] - joints[-2:-1]]).astype(np.float32)
    return joints_to_features(more, uniform=False, skeleton=skeleton)


def read_captions(path: Path) -> tuple[list[Caption], list[str]]:
    """The captions of a text file, a line each, and, naming file and line, what is wrong with the others.

    A line is a plain sentence or HumanML3D's `caption#tokens#from#to`, of which all but the caption may be left out.
    Raises MotionFileError where the file cannot be read as text.
    """
    captions: list[Caption] = []
    doubts: list[str] = []
    for number, line in enumerate(read_text(path, "caption file").split("\n"), 1):
        text, *rest = line.strip().split("#")
        if rest and len(rest) < 3 and " " in rest[0] and not all("/" in token for token in rest[0].split()):
            text, rest = " ".join(line.split("#")), []  # a sentence in which a # stands
        where = f"{path}, line {number}"
        if not (text := text.strip()):
            if rest:
                doubts.append(f"{where}: has no caption before the #")
            continue
        try:
            start, end = span(*(rest[-2:] if len(rest) > 3 else (*rest[1:3], "", "")[:2]))
        except ValueError as error:
            doubts.append(f"{where}: {error}")
        else:
            captions.append(Caption(text, start, end, where, rest[0] if rest else ""))
    return captions, doubts


def span(start: Any, end: Any) -> tuple[float, float]:
    """Seconds from and to of a caption, as numbers or text; what is not given, or NaN, is 0.

    Raises ValueError, with the reason, for seconds that are no numbers, negative, infinite or swapped.
    """
    try:
        a, b = (float(x) if x not in (None, "") else 0.0 for x in (start, end))
    except (TypeError, ValueError):
        raise ValueError(f"its seconds {str(start)[:20]!r} and {str(end)[:20]!r} are no numbers") from None
    a, b = (0.0 if math.isnan(x) else x for x in (a, b))  # as HumanML3D's own lines have it where there is no time
    if not (0 <= a < math.inf and 0 <= b < math.inf):
        raise ValueError(f"its seconds {a:g} and {b:g} are not within a clip")
    if a and b and b <= a:
        raise ValueError(f"it begins at {a:g} s and ends at {b:g} s")
    return a, b


def labels_of(path: Path, ids: Container[str] | None = None) -> dict[str, dict[str, Any]]:
    """The labels of labels.jsonl by id, of these or of all; none where there is no such file."""
    if not path.is_file():
        return {}
    labels = {}
    for number, row in stream_jsonl(path, "file of labels"):
        if not isinstance(row.get("id"), str):
            raise MotionLLMError(f"{path} line {number}: has no `id`; each line is one JSON object with an `id`.")
        if ids is None or row["id"] in ids:
            labels[row["id"]] = {k: v for k, v in row.items() if k not in ("id", "split")}
    return labels


def labels_in_short(source: Source, split: str) -> list[dict[str, str]]:
    """Rows of one label each, from which the same follows on what a set's labels are as from the labels of all of it:
    every value of each key, as often as it occurs or often.
    """
    if source.kind != "humanml3d":
        return []
    counts: Counter[tuple[str, str]] = Counter()
    for row in _labels_of_all(source, split):
        counts.update((k, v) for k, v in row.items() if k not in ("id", "split") and isinstance(v, str) and v)
    return [{key: value} for (key, value), count in counts.items() for _ in range(min(count, OFTEN))]


def _labels_of_all(source: Source, split: str) -> Iterator[dict[str, Any]]:
    assert source.path
    if parquet := in_parquet(source):
        yield from parquet.labels(source, split)
        return
    folder = folder_of(source.path)
    ids = set(ids_of(folder, split)[0])
    if (file := folder / "labels.jsonl").is_file():
        yield from (row for _, row in stream_jsonl(file, "file of labels") if row.get("id") in ids)


def features_of(path: Path, start: float = 0.0, end: float = 0.0) -> np.ndarray:
    """Features (T, dim) float32 of a file of features or joints, from `start` to `end` seconds. Raises MotionFileError
    where it cannot be read or is not finite.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except Exception:  # whatever NumPy raises for bytes that are no array
        raise MotionFileError(f"{path} cannot be read as a NumPy array; copy or convert it anew.") from None
    if isinstance(array, np.ndarray) and array.ndim == 2 and array.shape[1] in (HUMANML3D_263.dim, KIT_251.dim):
        features = np.array(array, np.float32)
        bad = ~np.isfinite(features).all(axis=1)
        if not len(features) or bad.any():
            what = f"NaN or infinity (first in frame {bad.argmax()})" if len(features) else "no frame"
            raise MotionFileError(f"{path}: holds {what}; convert the clip anew, or take it off the list.")
    else:
        motion = Motion.load(path)
        with about(path):
            representation = KIT_251 if motion.skeleton is KIT else HUMANML3D_263
            features = representation.encode(motion.resample(representation.fps).joints)
    return cut(features, start, end)


def cut(features: np.ndarray, start: float, end: float) -> np.ndarray:
    """Features (T, dim) from `start` to `end` seconds; an `end` of 0 is theirs."""
    fps = of_width(features.shape[1]).fps
    return features[int(start * fps) : int(end * fps) or None] if start or end else features
