"""A motion library: clips as codes with their captions, in which the motion of a text is looked up.

A small model learns common motions and forgets rare ones, which a library keeps: published work on few data draws on
the nearest clips too (ReMoDiffuse, arXiv 2304.01116). It is the file `library.jsonl` of an adapter's folder: a line
about itself, then one for each clip.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import snowballstemmer

from motionllm import shipped
from motionllm.data.acts import REPEATED
from motionllm.data.asked import Asked, asked
from motionllm.data.misspelled import words_of
from motionllm.data.sources import loaded
from motionllm.errors import MotionLLMError, hint
from motionllm.files import check_format, stream_jsonl, write_jsonl
from motionllm.motion import splicing
from motionllm.motion.notation import Notation, measure
from motionllm.motion.representation import HUMANML3D_263
from motionllm.motion.skeleton import HUMANML3D, Skeleton
from motionllm.samples import Sample
from motionllm.tokenizer import MotionTokenizer

FILE = "library.jsonl"
FORMAT = 1
ALIKE = 0.7  # least similarity of a caption to the text for its clip to be taken
COVERED = 0.5  # the same where the caption has every word of the text: "karate" of "a karate kata"
NEAR = 0.05  # how much less similar than the nearest caption's a clip may be
MOST = 24  # clips of one first caption
SWEEPS = 2  # that look for codes with less error: 57.5 -> 44.0 mm on CMU, a tenth of a second a second of motion
EVERYWHERE = """a an the and then is are was be being do does doing did perform performs performing performed act acts
acting move moves moving moved like it its he she they his her him himself herself self their them themselves who that
this someone somebody person people human figure man woman guy boy girl subject actor of to in on at with for as by from
while"""
_EVERYWHERE = frozenset(EVERYWHERE.split())
_WAYS = {"left", "right", "leftward", "rightward", "forward", "backward", "clockwis", "counterclockwis", "sideway"}
_stemmer = snowballstemmer.stemmer("english")


@dataclass(frozen=True)
class Entry:
    """A clip. id: its name. captions: what it shows. codes: of the library's motion tokenizer. notation: measured on
    the clip itself, of which codes lose what is quick and small; "" if it was not. frames: its joints to a tenth of a
    millimetre (`_frames`), which it is then shown by; empty: by its codes.
    """

    id: str
    captions: tuple[str, ...]
    codes: tuple[int, ...]
    notation: str = ""
    frames: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return f"{self.id}, {self.captions[0]!r}"


@dataclass(frozen=True)
class Library:
    """entries: its clips. tokenizer: the `codes_hash` of the motion tokenizer that wrote their codes. terms: what the
    clips' owner asks of those who use them. name: of that tokenizer among those that ship, where it is not the
    adapter's: no model writes a library's codes, so they may be of a tokenizer that keeps more of the motion.
    """

    entries: tuple[Entry, ...]
    tokenizer: str
    terms: str = ""
    name: str = ""
    motion_tokenizer: MotionTokenizer | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        motion_tokenizer: MotionTokenizer,
        longest: float,
        terms: str = "",
        most: int = MOST,
        search: int = SWEEPS,
        progress: Callable[[float], None] | None = None,
        name: str = "",
        exact: bool = False,
    ) -> Library:
        """The clips of a data set, those without a caption left out. Of captions that differ in words without weight
        ("a man walks", "someone walks") the first is kept. longest: seconds from the beginning of a clip that are kept.
        most: clips of one first caption that are kept, the first ones. search: as of `MotionTokenizer.encode`; no model
        writes these codes, so they need not be easy to foretell. progress: called with the share that is done. name:
        see `Library`. exact: keep the clips' own frames as well.

        Raises MotionLLMError where none is left, or the motion tokenizer reads other features than the set has, or has
        more codes than a file can hold.
        """
        if motion_tokenizer.size > 2**16:
            raise MotionLLMError(
                f"A library holds codes up to {2**16}, and this motion tokenizer has {motion_tokenizer.size}."
            )

        longest_frames = int(longest * motion_tokenizer.fps)
        entries, alike, chosen = [], Counter[str](), []
        for sample in samples:
            if sample.captions and alike[sample.captions[0]] < most:
                alike[sample.captions[0]] += 1
                chosen.append(sample)
        for number, (sample, features) in enumerate(loaded(chosen), 1):
            features = features if exact else on_the_floor(features, sample.captions, motion_tokenizer)
            codes = motion_tokenizer.encode(features[:longest_frames], search)
            if progress:
                progress(number / len(chosen))
            if len(codes):
                said = {frozenset(Counter(_words(caption)).items()): caption for caption in reversed(sample.captions)}
                captions = tuple(caption for caption in sample.captions if caption in said.values())
                whole = features[: len(codes) // motion_tokenizer.parts * motion_tokenizer.frames_per_step]
                frames = _frames(motion_tokenizer.representation.decode(whole)) if exact else b""
                notation = _measured(whole, motion_tokenizer)
                entries.append(Entry(sample.id, captions, tuple(codes.tolist()), notation, frames))
        if not entries:
            raise MotionLLMError("No clip has a caption to be found by; a library needs clips with captions.")
        return cls(tuple(entries), motion_tokenizer.codes_hash, terms, name, motion_tokenizer)

    @classmethod
    def load(cls, path: Path, motion_tokenizer: MotionTokenizer) -> Library:
        """motion_tokenizer: the adapter's. Raises MotionLLMError where the file is damaged, or is of the codes of a
        motion tokenizer that is neither this nor one that ships.
        """
        rows = stream_jsonl(path, "motion library")
        _, about = next(rows, (0, {}))
        if not isinstance(about.get("motion_tokenizer"), str):
            raise MotionLLMError(f"{path}, line 1: is no motion library; make it with `motionllm data library`.")
        check_format(about.get("format"), FORMAT, path)
        name, own = "", motion_tokenizer.codes_hash
        if about["motion_tokenizer"] != own and (name := about.get("name", "")):
            try:
                motion_tokenizer = shipped_beside(name, motion_tokenizer)
            except MotionLLMError as error:
                raise MotionLLMError(f"{path}, line 1: {error}") from None
            own = motion_tokenizer.codes_hash
        if about["motion_tokenizer"] != own:
            raise MotionLLMError(
                f"{path} has the codes of motion tokenizer {about['motion_tokenizer']}, and "
                f"{f'{name} that ships has' if name else 'the adapter speaks'} those of {own}; make it anew with "
                "`motionllm data library`."
            )
        entries = tuple(_entry(row, f"{path}, line {number}", motion_tokenizer) for number, row in rows)
        if not entries:
            raise MotionLLMError(f"{path} has no clip; make it anew with `motionllm data library`.")
        return cls(entries, about["motion_tokenizer"], str(about.get("terms", "")), name, motion_tokenizer)

    @classmethod
    def within(cls, folder: Path, motion_tokenizer: MotionTokenizer) -> Library | None:
        """That of an adapter's folder; None where it has none. Raises what `load` raises."""
        return cls.load(folder / FILE, motion_tokenizer) if (folder / FILE).is_file() else None

    def save(self, path: Path) -> None:
        about = {"format": FORMAT, "motion_tokenizer": self.tokenizer, "terms": self.terms}
        if self.name:
            about["name"] = self.name
        rows = [
            {"id": e.id, "captions": e.captions, "codes": _packed(e.codes)}
            | ({"notation": e.notation} if e.notation else {})
            | ({"frames": base64.b64encode(e.frames).decode("ascii")} if e.frames else {})
            for e in self.entries
        ]
        write_jsonl(path, [about, *rows])

    def features(self, entry: Entry) -> np.ndarray:
        """(T, dim) features of a clip: of its own frames, or decoded from its codes by the library's own motion
        tokenizer.
        """
        assert self.motion_tokenizer is not None
        if entry.frames:
            joints = _joints(entry.frames, self.motion_tokenizer.skeleton)
            return self.motion_tokenizer.representation.encode(
                np.concatenate([joints, 2 * joints[-1:] - joints[-2:-1]])
            )
        return self.motion_tokenizer.decode_features(entry.codes)

    def fitting(self, text: str) -> list[Entry]:
        """The clips whose captions say what the text does, the nearest first: of cosine ALIKE at least over words in
        base form, weighed by how rare they are in the library (TF-IDF), or COVERED where the caption has all the text's
        words; of the same acts (`data.asked`), as often as the text says, and of no other side or way than its. A word
        that no caption has counts as the rarest. The caption that fits is each clip's first here.
        """
        words = Counter(_words(text))
        norm = math.sqrt(sum((n * self._weight(word)) ** 2 for word, n in words.items()))
        if not norm:
            return []
        similar, there = np.zeros(len(self._captions)), np.zeros(len(self._captions))
        for word, n in words.items():
            rows, shares = self._index.get(word, ((), ()))
            similar[list(rows)] += np.array(shares) * n * self._weight(word) / norm
            there[list(rows)] += 1
        similar[similar < np.where(there == len(words), COVERED, ALIKE)] = 0
        acts, ways = _acts(words), _WAYS & words.keys()
        for row in np.flatnonzero(similar):
            own = self._bags[row]
            if _acts(own) != acts or (ways and not _WAYS & own.keys() <= ways):
                similar[row] = 0
        wanted = asked(text)
        for row in np.flatnonzero(similar):
            if _counts_otherwise(self._captions[row][0], wanted):
                similar[row] = 0
        near = np.flatnonzero(similar > max(0.0, similar.max() - NEAR))
        order = near[np.argsort(-similar[near], kind="stable")]
        fits: dict[int, tuple[str, ...]] = {}
        for caption, numbers in (self._captions[row] for row in order):
            for number in numbers:
                fits.setdefault(number, (caption, *(c for c in self.entries[number].captions if c != caption)))
        return [replace(self.entries[number], captions=captions) for number, captions in fits.items()]

    def _weight(self, word: str) -> float:
        there = len(self._index[word][0]) if word in self._index else 0
        return math.log((1 + len(self._captions)) / (1 + there)) + 1

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of its captions."""
        return frozenset(word for caption, _ in self._captions for word in words_of(caption))

    @cached_property
    def _captions(self) -> list[tuple[str, list[int]]]:
        """Each caption, once, with the numbers of the entries that have it."""
        captions: dict[str, list[int]] = {}
        for number, entry in enumerate(self.entries):
            for caption in entry.captions:
                captions.setdefault(caption, []).append(number)
        return list(captions.items())

    @cached_property
    def _bags(self) -> list[Counter[str]]:
        return [Counter(_words(caption)) for caption, _ in self._captions]

    @cached_property
    def _index(self) -> dict[str, tuple[list[int], list[float]]]:
        """{word: the captions that have it, and its share in the length of each}."""
        counts = Counter(word for words in self._bags for word in words)
        weight = {word: math.log((1 + len(self._bags)) / (1 + n)) + 1 for word, n in counts.items()}
        index: dict[str, tuple[list[int], list[float]]] = {word: ([], []) for word in counts}
        for row, words in enumerate(self._bags):
            norm = math.sqrt(sum((n * weight[word]) ** 2 for word, n in words.items()))
            for word, n in words.items():
                index[word][0].append(row)
                index[word][1].append(n * weight[word] / norm)
        return index


def shipped_beside(name: object, own: MotionTokenizer) -> MotionTokenizer:
    """The motion tokenizer of that name, for the library of an adapter whose own is `own`. Raises MotionLLMError where
    none of that name ships, or it is of another representation or other steps.
    """
    known = [other for other in shipped.names("tokenizer") if not other.endswith(".yaml")]
    if not isinstance(name, str) or shipped.levels(name)[0] not in known:
        raise MotionLLMError(f"no motion tokenizer {str(name)[:100]!r} ships; {hint(str(name)[:100], known)}")
    tokenizer = MotionTokenizer.load(name)
    if tokenizer.representation is not own.representation or tokenizer.frames_per_step != own.frames_per_step:
        wanted, has = ((one.representation.name, one.frames_per_step) for one in (own, tokenizer))
        raise MotionLLMError(
            f"The motion tokenizer {name} writes {has[0]} in steps of {has[1]} frames, and the adapter's {wanted[0]} "
            f"in steps of {wanted[1]}; take one like it."
        )
    return tokenizer


def _words(text: str) -> Iterator[str]:
    """The words of a text in base form, without those that every caption may have, and the acts that it names."""
    for word in re.findall(r"[a-z0-9]+", text.lower()):
        if word not in _EVERYWHERE:
            yield _stemmer.stemWord(word)
    for one in asked(text):
        if one.action != "move":  # of "play", "dribble" …, which the words say better
            yield f"<{one.verbs[0]}>"


def says_nothing(text: str) -> bool:
    """Whether a text has only words that every caption may have, as "a person moves"."""
    return not any(_words(text))


def says_no_more(caption: str, text: str) -> bool:
    """Whether a caption has no words but those of a text, and what every caption may have."""
    return set(_words(caption)) <= set(_words(text))


def _counts_otherwise(caption: str, wanted: Sequence[Asked]) -> bool:
    """Whether a caption says of an act another count than a text, or several times what a text asks for without one:
    who is to kick kicks once. What is repeated by its nature, as waving, may be so often.
    """
    said: dict[str, list[Asked]] = {}
    for one in asked(caption):
        said.setdefault(one.verbs[0], []).append(one)
    return not all(_counts_alike(one, said.get(one.verbs[0], [])) for one in wanted)


def _counts_alike(one: Asked, said: Sequence[Asked]) -> bool:
    """Whether something of what is said of a thing is as often done as it is asked for; where neither says, it is."""
    if not said or not (one.count or one.several or one.verbs[0] not in REPEATED):
        return True
    if one.several:
        return any(other.count != 1 for other in said)
    alike = (0, one.count or 1)
    return any(other.count in alike and not (other.several and (one.count == 1 or one.single)) for other in said)


def _acts(words: Iterable[str]) -> set[str]:
    return {word for word in words if word.startswith("<")}


def on_the_floor(features: np.ndarray, captions: Sequence[str], motion_tokenizer: MotionTokenizer) -> np.ndarray:
    """The features (T, dim) of a clip; of one whose captions say that it crawls and climbs nothing, on a level floor,
    whatever slope it was recorded on.
    """
    verbs = {one.verbs[0] for caption in captions for one in asked(caption)}
    if "crawl" not in verbs or "climb" in verbs or motion_tokenizer.representation is not HUMANML3D_263:
        return features
    joints = splicing.joints_of(splicing.levelled(splicing.poses_of(motion_tokenizer.representation.decode(features))))
    return motion_tokenizer.representation.encode(np.concatenate([joints, 2 * joints[-1:] - joints[-2:-1]]))


def _packed(codes: Sequence[int]) -> str:
    """Codes as base64 of 16 bits each, the lower byte first: half as long as numbers are in JSON."""
    return base64.b64encode(np.asarray(codes, "<u2").tobytes()).decode("ascii")


def _entry(row: dict[str, object], where: str, motion_tokenizer: MotionTokenizer) -> Entry:
    name, captions, packed = row.get("id"), row.get("captions"), row.get("codes")
    notation, own = row.get("notation", ""), row.get("frames", "")
    try:
        if not isinstance(captions, list) or not captions or not all(isinstance(text, str) for text in captions):
            raise ValueError
        if not isinstance(name, str) or not isinstance(packed, str):
            raise ValueError
        if not isinstance(notation, str) or not isinstance(own, str):
            raise ValueError
        frames = base64.b64decode(own, validate=True)
        if frames and len(_joints(frames, motion_tokenizer.skeleton)) < 2:
            raise ValueError
        codes = np.frombuffer(base64.b64decode(packed, validate=True), "<u2").astype(np.int64)
    except ValueError:  # of base64 too, and for half a code
        raise MotionLLMError(f"{where}: is no clip of a motion library; copy the file anew.") from None
    try:
        motion_tokenizer.check(codes)
        if notation:
            Notation.parse(notation)
    except MotionLLMError as error:
        raise MotionLLMError(f"{where}: {error}") from None
    return Entry(name, tuple(captions), tuple(codes.tolist()), notation, frames)


def _frames(joints: np.ndarray) -> bytes:
    """Joints (T, J, 3) in metres as bytes: by frame the root's place on the floor (float32)
    and the joints from there in tenths of a millimetre (int16).
    """
    place = joints[:, 0, [0, 2]].astype("<f4")
    local = joints - np.insert(place, 1, 0.0, axis=1)[:, None]
    return place.tobytes() + np.round(local * 1e4).astype("<i2").tobytes()


def _joints(frames: bytes, skeleton: Skeleton) -> np.ndarray:
    """The joints (T, J, 3) of `_frames`. Raises ValueError for bytes that are none."""
    each = 8 + 6 * len(skeleton.joints)
    if len(frames) % each:
        raise ValueError
    count = len(frames) // each
    place = np.frombuffer(frames[: 8 * count], "<f4").reshape(count, 2)
    local = np.frombuffer(frames[8 * count :], "<i2").reshape(count, -1, 3) / 1e4
    joints: np.ndarray = (local + np.insert(place, 1, 0.0, axis=1)[:, None]).astype(np.float32)
    if not np.isfinite(joints).all():
        raise ValueError
    return joints


def _measured(features: np.ndarray, motion_tokenizer: MotionTokenizer) -> str:
    if motion_tokenizer.skeleton is not HUMANML3D or len(features) < 5:
        return ""
    return str(measure(motion_tokenizer.representation.decode(features), motion_tokenizer.fps))
