"""The field's standard evaluator (text_mot_match, Guo et al. 2022): the networks that published numbers come from.

The user supplies its files: `finest.tar`, the GloVe vectors `our_vab_*`, and the evaluator's own `mean.npy` and
`std.npy`. Names and shapes are those of the checkpoint, which therefore loads strictly; no code in it is run. Lengths
are divided by 4 once, where a clip becomes movement snippets: dividing again would score only its first quarter.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from motionllm.data.sources import read_captions
from motionllm.errors import MotionLLMError

TAGS = (
    "VERB",
    "NOUN",
    "DET",
    "ADP",
    "NUM",
    "AUX",
    "PRON",
    "ADJ",
    "ADV",
    "Loc_VIP",
    "Body_VIP",
    "Obj_VIP",
    "Act_VIP",
    "Desc_VIP",
    "OTHER",
)
VIP = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble dance stop sit lift lower "
    "raise wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
CLASS = {word: tag for tag, words in VIP.items() for word in words.split()}
WORDS, FRAMES, SNIPPET = 20, 196, 4  # most words per text, most frames per clip; frames per movement snippet
LEAST = 4  # fewest frames per clip
WIDTH = 512  # dimension of movements and of both embeddings
NETWORKS = ("movement_encoder", "text_encoder", "motion_encoder")


class MovementEncoder(nn.Module):
    """Features without contacts (B, T, dim − 4) → movement snippets (B, T // 4, 512)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv1d(dim, WIDTH, 4, 2, 1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(WIDTH, WIDTH, 4, 2, 1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(WIDTH, WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        return self.out_net(self.main(features.transpose(1, 2)).transpose(1, 2))


class _Sequence(nn.Module):
    """A sequence → one vector (512): linear layer, bidirectional GRU with a learned initial state, and its final
    states.
    """

    def __init__(self, dim: int, hidden: int, middle: int) -> None:
        super().__init__()
        self.input_emb = nn.Linear(dim, middle)
        self.gru = nn.GRU(middle, hidden, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, WIDTH)
        )
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.input_emb(inputs), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed, self.hidden.repeat(1, len(inputs), 1))
        return self.output_net(torch.cat([last[0], last[1]], dim=-1))


class TextEncoder(_Sequence):
    """Word vectors (B, L, 300), tags (B, L, 15) one-hot, lengths (B,) → (B, 512)."""

    def __init__(self) -> None:
        super().__init__(300, WIDTH, WIDTH)
        self.pos_emb = nn.Linear(len(TAGS), 300)

    def forward(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(words + self.pos_emb(tags), lengths)


class MotionEncoder(_Sequence):
    """Movement snippets (B, L, 512), lengths (B,) in snippets → (B, 512)."""

    def __init__(self) -> None:
        super().__init__(WIDTH, 2 * WIDTH, 2 * WIDTH)


class StandardEvaluator:
    """Texts and motions → embeddings (N, 512) of the standard evaluator.

    mean, std: (dim,) the evaluator's own, not the data set's (its std is divided by 25 for the root and the contacts).
    vectors: (V, 300) GloVe. index: word → row. tagged: {caption: its words with part of speech}, in which `embed_texts`
    looks captions up.
    """

    kind = "standard"

    def __init__(
        self,
        mean: np.ndarray,
        std: np.ndarray,
        vectors: np.ndarray,
        index: dict[str, int],
        tagged: dict[str, list[str]],
    ) -> None:
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        self.vectors, self.index, self.tagged = np.asarray(vectors, np.float32), index, tagged
        self.movement_encoder = MovementEncoder(len(self.mean) - 4).eval()
        self.text_encoder, self.motion_encoder = TextEncoder().eval(), MotionEncoder().eval()
        self.id = "untrained"

    @classmethod
    def load(cls, folder: str | Path, texts: str | Path | None = None) -> StandardEvaluator:
        """Load the evaluator from a folder, in which the files may be at any depth. texts: a data set's `texts/`, for
        `tagged`.

        Needs one `finest.tar`, one `mean.npy` and `std.npy`, one `our_vab_data.npy` and `our_vab_idx.pkl`. Raises
        MotionLLMError where one is missing or duplicated, damaged, or belongs to another network.
        """
        place = Path(folder).expanduser()
        if not place.is_dir():
            raise MotionLLMError(f"The standard evaluator's folder {folder} does not exist; give the one it lies in.")
        checkpoint = _only(place, "finest.tar")
        mean, std = (_array(_only(place, name), 1) for name in ("mean.npy", "std.npy"))
        vectors = _array(_only(place, "our_vab_data.npy"), 2)
        index = _plain_pickle(_only(place, "our_vab_idx.pkl"))
        if mean.shape != std.shape or len(mean) < 5 or not (std > 0).all():
            raise MotionLLMError(f"mean.npy and std.npy in {place} do not belong together: {mean.shape}, {std.shape}.")
        if not isinstance(index, dict) or vectors.shape[1] != 300 or not {"unk", "sos", "eos"} <= index.keys():
            raise MotionLLMError(
                f"The our_vab_* files in {place} are not the evaluator's GloVe vectors of 300 numbers."
            )
        if not all(isinstance(row, int) and 0 <= row < len(vectors) for row in index.values()):
            raise MotionLLMError(f"our_vab_idx.pkl in {place} names rows that our_vab_data.npy has not.")
        evaluator = cls(mean, std, vectors, index, read_tagged(Path(texts)) if texts else {})
        try:
            stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
            for name in NETWORKS:
                getattr(evaluator, name).load_state_dict(stored[name])
        except Exception as error:  # not a checkpoint, code inside, other names, other shapes
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MotionLLMError(f"{checkpoint} is no checkpoint of the standard evaluator ({first}).") from None
        evaluator.id = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]
        return evaluator

    @torch.inference_mode()
    def embed_motions(self, features: Sequence[np.ndarray], batch: int = 64) -> np.ndarray:
        """(N, 512) embeddings of clips [(T, dim)], un-normalised; T is cut to a multiple of 4 and to 196.

        Raises MotionLLMError for a clip under 4 frames or with another dimension.
        """
        for clip in features:
            if clip.ndim != 2 or clip.shape[1] != len(self.mean) or len(clip) < LEAST:
                raise MotionLLMError(
                    f"The evaluator reads features (frames, {len(self.mean)}) of {LEAST} frames or more, "
                    f"not {clip.shape}."
                )
        rows = []
        for start in range(0, len(features), batch):
            clips = [f[: min(len(f), FRAMES) // SNIPPET * SNIPPET] for f in features[start : start + batch]]
            # Always padded to FRAMES: convolutions read past a clip's end, and must find there the zeros that the
            # evaluator was trained with, whatever else is in the batch.
            padded = np.zeros((len(clips), FRAMES, len(self.mean) - 4), np.float32)
            for i, clip in enumerate(clips):
                padded[i, : len(clip)] = ((clip - self.mean) / self.std)[:, :-4]
            snippets = torch.tensor([len(clip) // SNIPPET for clip in clips])  # divided once
            rows.append(self.motion_encoder(self.movement_encoder(torch.from_numpy(padded)), snippets).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, WIDTH), np.float32)

    @torch.inference_mode()
    def embed_texts(self, captions: Sequence[str], batch: int = 64) -> np.ndarray:
        """(N, 512) embeddings of captions. Raises MotionLLMError for one that `tagged` does not have."""
        unknown = [caption for caption in captions if caption not in self.tagged]
        if unknown:
            raise MotionLLMError(
                f"The standard evaluator needs parts of speech, and {len(unknown)} of {len(captions)} captions have "
                f"none in the data set's texts/, first {unknown[0]!r}; use another embedder for these."
            )
        return self.embed_tagged([self.tagged[caption] for caption in captions], batch)

    @torch.inference_mode()
    def embed_tagged(self, texts: Sequence[Sequence[str]], batch: int = 64) -> np.ndarray:
        """(N, 512) embeddings of texts as words with part of speech, ["a/DET", "person/NOUN" …], cut at 20 words."""
        rows = []
        for start in range(0, len(texts), batch):
            cut = [["sos/OTHER", *text[:WORDS], "eos/OTHER"] for text in texts[start : start + batch]]
            lengths = torch.tensor([len(text) for text in cut])
            words = torch.zeros(len(cut), int(lengths.max()), 300)
            tags = torch.zeros(len(cut), int(lengths.max()), len(TAGS))
            for i, text in enumerate(cut):
                for j, token in enumerate(text):
                    vector, tag = self._word(token)
                    words[i, j], tags[i, j, tag] = torch.from_numpy(vector), 1.0
            rows.append(self.text_encoder(words, tags, lengths).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, WIDTH), np.float32)

    def _word(self, token: str) -> tuple[np.ndarray, int]:
        """A token `word/POS` → its vector (300,) and its tag's index."""
        word, _, tag = token.rpartition("/")
        if word not in self.index:
            return self.vectors[self.index["unk"]], TAGS.index("OTHER")
        tag = CLASS.get(word, tag)
        return self.vectors[self.index[word]], TAGS.index(tag if tag in TAGS else "OTHER")


def read_tagged(texts: Path) -> dict[str, list[str]]:
    """{caption: ["word/POS" …]} from a data set's `texts/`, lines of `caption#word/POS word/POS …#from#to`."""
    if not texts.is_dir():
        raise MotionLLMError(
            f"There is no folder {texts}; the standard evaluator reads captions' parts of speech there."
        )
    captions = (caption for file in sorted(texts.glob("*.txt")) for caption in read_captions(file)[0])
    return {caption.text: caption.tokens.split() for caption in captions if caption.tokens.strip()}


def _only(folder: Path, name: str) -> Path:
    paths = sorted(path for path in folder.rglob("*") if path.name.lower() == name)
    if len(paths) != 1:
        raise MotionLLMError(
            f"The standard evaluator needs one {name} below {folder}, and there are {len(paths)}"
            + (f" ({paths[0]}, {paths[1]} …); keep the evaluator's own." if paths else "; put it there.")
        )
    return paths[0]


def _array(path: Path, dimensions: int) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        raise MotionLLMError(f"{path} cannot be read as a NumPy array; fetch it anew.") from None
    if array.ndim != dimensions or not np.isfinite(array).all():
        raise MotionLLMError(f"{path} holds an array of shape {array.shape}, not the evaluator's.")
    return array


class _NoCode(pickle.Unpickler):
    """An unpickler for plain values only: anything that would import or call is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it would run {module}.{name}")


def _plain_pickle(path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            return _NoCode(file).load()
    except Exception as error:  # pickle can raise anything for a damaged file
        raise MotionLLMError(f"{path} is refused or damaged ({error}); it must hold words and numbers alone.") from None
