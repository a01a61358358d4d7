"""A data set as it lies in its folder: every clip of it, with or without a text or a place in a list."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from motionllm.data.sources import Caption, read_captions
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import read_text
from motionllm.motion import Motion

SPLITS = ("train", "val", "test")
UNLISTED = "unlisted"  # the split of a clip that is in no list
KINDS = ("new_joint_vecs", "new_joints")  # as training prefers them
KEPT = 64  # clips in memory


@dataclass(frozen=True)
class SetClip:
    """A clip of a set: its id, its file of motion, the split whose list names it, and the file of its text."""

    id: str
    file: Path
    split: str
    text: Path


class MotionSet:
    """The clips of a folder, by id: those of the lists in their order, then the unlisted ones by name.

    Raises MotionLLMError where the folder holds no clip in `new_joint_vecs/` or `new_joints/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._state: tuple[float, ...] = ()
        self._clips: dict[str, SetClip] = {}
        self._loaded: OrderedDict[str, Motion] = OrderedDict()
        self._texts: dict[str, tuple[tuple[int, ...], list[Caption], list[str]]] = {}
        if not folder.is_dir():
            raise MotionLLMError(f"The data set folder {folder} does not exist; give its path with --data.")
        if not self.clips:
            raise MotionLLMError(
                f"{folder} holds no clip in {' or '.join(f'{kind}/' for kind in KINDS)}; make a data set of your files "
                "with `motionllm data import`."
            )

    @property
    def clips(self) -> dict[str, SetClip]:
        """All clips as they are now: the folder is read again when files were added or lists changed."""
        lists = [self.folder / f"{split}.txt" for split in SPLITS]
        state = tuple(_changed(path) for path in [*(self.folder / kind for kind in KINDS), *lists])
        with self._lock:
            if state != self._state:
                self._clips, self._state = self._read(), state
            return self._clips

    def _read(self) -> dict[str, SetClip]:
        files: dict[str, Path] = {}
        for kind in reversed(KINDS):
            files |= {path.stem: path for path in (self.folder / kind).glob("*.npy")}
        splits: dict[str, str] = {}
        for split in SPLITS:
            if (listing := self.folder / f"{split}.txt").is_file():
                names = (line.strip() for line in read_text(listing, "list of ids").split("\n"))
                splits |= {name: split for name in names if name in files and name not in splits}
        splits |= {name: UNLISTED for name in sorted(files.keys() - splits.keys())}
        texts = self.folder / "texts"
        return {name: SetClip(name, files[name], split, texts / f"{name}.txt") for name, split in splits.items()}

    def __getitem__(self, name: str) -> SetClip:
        """The clip of an id. Raises MotionLLMError where there is none."""
        try:
            return self.clips[name]
        except KeyError:
            raise MotionLLMError(f"{self.folder} has no clip {name[:100]!r}.") from None

    def motion(self, name: str) -> Motion:
        """A clip on 22 joints at 20 fps, as models see it. Raises MotionLLMError where it cannot be read."""
        clip = self[name]
        with self._lock:
            if name in self._loaded:
                self._loaded.move_to_end(name)
                return self._loaded[name]
        motion = Motion.load(clip.file).canonical()
        with self._lock:
            self._loaded[name] = motion
            if len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
        return motion

    def captions(self, name: str) -> list[Caption]:
        """The captions of a clip; none where it has no text, or one that cannot be read."""
        return self.text(name)[0]

    def text(self, name: str) -> tuple[list[Caption], list[str]]:
        """The captions of a clip, and what is wrong with other lines of its text."""
        path = self[name].text
        try:
            stat = path.stat()
        except OSError:
            return [], []
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        with self._lock:
            kept = self._texts.get(name)
        if kept is None or kept[0] != state:
            try:
                captions, doubts = read_captions(path)
            except MotionFileError as error:
                captions, doubts = [], [str(error).rstrip(".")]
            kept = self._texts[name] = (state, captions, [doubt.replace(f"{path}, ", "") for doubt in doubts])
        return kept[1], kept[2]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
