"""Motion BPE: frequent sequences of codes merged into single pieces, losslessly.

Byte-pair encoding (Sennrich et al., 2016) by sentencepiece, over codes written as private-use characters. Merges cross
the parts of a step: a piece may begin and end anywhere in it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from motionllm.errors import MotionLLMError

_FIRST = 0xF0000  # Unicode's supplementary private-use plane: 65,534 characters


class MotionBPE:
    """Codes ↔ pieces.

    proto: a sentencepiece model. size: number of codes. Pieces 0 … size − 1 are the codes themselves; the merged ones
    follow, most frequent first.
    """

    def __init__(self, proto: bytes, size: int) -> None:
        from sentencepiece import SentencePieceProcessor

        self.proto, self.size = proto, size
        try:
            self.processor = SentencePieceProcessor(model_proto=proto)
            whole = self.processor.get_piece_size() > size
        except RuntimeError:
            whole = False
        if not whole:
            raise MotionLLMError("The motion BPE is damaged; train or copy it anew.")

    @classmethod
    def train(cls, sequences: Sequence[np.ndarray], size: int, merges: int) -> MotionBPE:
        """Learn at most `merges` pieces from code sequences [(n,)].

        Raises MotionLLMError where the sequences hold fewer merges worth making.
        """
        from sentencepiece import SentencePieceTrainer

        if size + 2 > 65_534:
            raise MotionLLMError(f"Motion BPE can take 65,532 codes, not {size}.")
        model = io.BytesIO()
        # Each code once by itself, so that a code in no sequence is a piece too.
        written = [*map(_written, sequences), *(chr(_FIRST + c) for c in range(size))]
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(written),
                model_writer=model,
                model_type="bpe",
                vocab_size=1 + size + merges,  # the first is the unknown piece, which sentencepiece requires
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                character_coverage=1.0,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                split_by_unicode_script=False,
                split_by_number=False,
                split_by_whitespace=False,
                max_sentence_length=1 << 22,
                max_sentencepiece_length=32,
                minloglevel=2,
            )
        except RuntimeError:
            raise MotionLLMError(
                f"{len(sequences)} code sequences do not hold {merges} merges; ask for fewer, or bring more motion."
            ) from None
        return cls(model.getvalue(), size)

    @cached_property
    def pieces(self) -> list[tuple[int, ...]]:
        """The codes of every piece."""
        return [*((c,) for c in range(self.size)), *(codes for codes in self._stored.values() if len(codes) > 1)]

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n,) → pieces (m,), m ≤ n, int64. Raises MotionLLMError for codes out of range."""
        codes = np.asarray(codes, np.int64)
        if len(codes) and (codes.min() < 0 or codes.max() >= self.size):
            raise MotionLLMError(f"Motion code {codes.max()} is outside this motion BPE's {self.size} codes.")
        pieces = self.processor.encode(_written(codes))
        return np.array([self._place[self._stored[i]] for i in pieces], np.int64)

    def decode(self, pieces: np.ndarray) -> np.ndarray:
        """Pieces (m,) → codes (n,), int64."""
        return np.array([c for p in pieces for c in self.pieces[p]], np.int64)

    @cached_property
    def _stored(self) -> dict[int, tuple[int, ...]]:
        """{sentencepiece's id: codes of the piece}."""
        written = {i: self.processor.id_to_piece(i) for i in range(1, self.processor.get_piece_size())}
        return {i: tuple(ord(c) - _FIRST for c in text) for i, text in written.items()}

    @cached_property
    def _place(self) -> dict[tuple[int, ...], int]:
        return {codes: i for i, codes in enumerate(self.pieces)}


def _written(codes: np.ndarray) -> str:
    return "".join(chr(_FIRST + int(c)) for c in codes)
