"""Motion vocabulary: maps motion codes to token ids of one LLM.

The order matters: add tokens, grow the matrix and initialise every new row (`MotionVocab.attach`), and only then apply
PEFT. Everything works on ids (`code = id − first_id`); token strings are never parsed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionllm.errors import MotionLLMError
from motionllm.files import check_format, read_json, write_file, write_json
from motionllm.tokenizer.bpe import MotionBPE

log = logging.getLogger(__name__)

FILE = "motion_vocab.json"
BPE_FILE = "motion_bpe.model"
FORMAT = 1  # format number of adapter and merged-model folders, stored in this file
LARGEST = 1 << 20  # codes
LARGEST_BPE = 64 << 20  # bytes


@dataclass(frozen=True)
class MotionVocab:
    """Position of one motion tokenizer's tokens in one LLM's vocabulary.

    first_id: id of code 0; codes are contiguous. size: number of codes. start_id, end_id: the delimiters.
    tokenizer_hash: content hash of the motion tokenizer. text_size: ids below it are the base's own. parts: codes per
    step, which follow one another; code c belongs to part c // (size / parts). bpe: merges of frequent code sequences
    into pieces, additional tokens after the codes. base: fingerprint of the LLM's weights; None if not recorded.
    """

    first_id: int
    size: int
    start_id: int
    end_id: int
    tokenizer_hash: str
    text_size: int
    parts: int = 1
    bpe: MotionBPE | None = field(default=None, compare=False)
    base: str | None = field(default=None, compare=False)

    @cached_property
    def pieces(self) -> list[tuple[int, ...]]:
        """The codes of every motion token: single codes, then what the BPE merged."""
        return self.bpe.pieces if self.bpe else [(c,) for c in range(self.size)]

    @property
    def ids(self) -> list[int]:
        """Every motion id: start, end, then the pieces."""
        return [self.start_id, self.end_id, *range(self.first_id, self.first_id + len(self.pieces))]

    @cached_property
    def begins(self) -> Tensor:
        """(pieces,) the part that each piece begins with."""
        return torch.tensor([codes[0] for codes in self.pieces]) // (self.size // self.parts)

    @cached_property
    def lengths(self) -> Tensor:
        """(pieces,) the number of codes in each piece."""
        return torch.tensor([len(codes) for codes in self.pieces])

    def encode(self, codes: np.ndarray) -> list[int]:
        """Codes (n,) → start, one id per piece, end. Raises MotionLLMError for codes out of range."""
        if len(codes) and (codes.min() < 0 or codes.max() >= self.size):
            wrong = codes.min() if codes.min() < 0 else codes.max()
            raise MotionLLMError(f"Motion code {wrong} is outside this vocabulary's {self.size} codes.")
        pieces = self.bpe.encode(codes) if self.bpe else codes
        return [self.start_id, *(pieces + self.first_id).tolist(), self.end_id]

    def decode(self, ids: list[int] | np.ndarray) -> np.ndarray:
        """Ids of pieces, without start and end → codes (n,). Raises MotionLLMError where an id is not a motion code."""
        pieces = np.asarray(ids, np.int64) - self.first_id
        if len(pieces) and (pieces.min() < 0 or pieces.max() >= len(self.pieces)):
            raise MotionLLMError("A sequence of motion ids contains an id that is no motion code.")
        return self.bpe.decode(pieces) if self.bpe else pieces

    def allowed(self, place: int) -> Tensor:
        """(1 + pieces,) bool for the end and every piece: whether the grammar allows it after `place` codes. Pieces
        must begin with the part whose turn it is; the end is allowed between steps.
        """
        part = place % self.parts
        return torch.cat([torch.tensor([part == 0]), self.begins == part])

    @classmethod
    def add(
        cls, tokenizer: Any, size: int, tokenizer_hash: str, parts: int = 1, bpe: MotionBPE | None = None
    ) -> MotionVocab:
        """Add delimiters, `size` codes and the merged pieces to a Hugging Face tokenizer.

        The tokens are not special: skipping special tokens would delete the motion from decoded text.
        Raises MotionLLMError where the tokenizer has such tokens already.
        """
        text_size = len(tokenizer)
        count = len(bpe.pieces) if bpe else size
        names = ["<motion>", "</motion>", *(f"<motion_{i}>" for i in range(count))]
        if tokenizer.add_tokens(names, special_tokens=False) != len(names):
            raise MotionLLMError("The base model's tokenizer has motion tokens already; give the base without them.")
        first = int(tokenizer.convert_tokens_to_ids(names[2]))
        start, end = (int(i) for i in tokenizer.convert_tokens_to_ids(names[:2]))
        return cls(first, size, start, end, tokenizer_hash, text_size, parts, bpe)

    def attach(
        self,
        model: Any,
        init: str = "noise",
        seed: int = 0,
        codebook: Tensor | None = None,
        words: tuple[list[int], Tensor] | None = None,
    ) -> None:
        """Grow the model's embedding (and output) matrix by the motion ids and initialise their rows.

        The matrix never shrinks: some bases have spare rows. `noise`: mean of the old rows plus Gaussian noise with
        their per-dimension standard deviation, which keeps codes distinct. `codebook` (codes, code_dim): most of a
        code's noise is a random projection of its codebook vector, so that codes of similar poses start close together.
        `words` (token ids [W], association (codes, W)): a code starts near the rows of the words that training captions
        use where it occurs, so that the pretrained model associates motion with words from the first step; the rest is
        codebook and noise. `mean`: the plain mean, nearly identical codes. A merged piece starts as the sum of its
        codes, scaled to the deviation of one.
        """
        rows = model.get_input_embeddings().weight.shape[0]
        if max(self.ids) >= max(rows, self.text_size) + len(self.ids):  # new tokens get ids after the base's own
            raise MotionLLMError(
                f"The motion vocabulary has ids up to {max(self.ids)}, which do not follow the base's {rows} rows; "
                "it is damaged, or of another base."
            )
        if rows < max(self.ids) + 1:
            model.resize_token_embeddings(max(self.ids) + 1, mean_resizing=False)
        generator = torch.Generator().manual_seed(seed)
        matrices = [model.get_input_embeddings().weight]
        if not tied(model):
            matrices.append(model.get_output_embeddings().weight)
        with torch.no_grad():
            for weight in matrices:
                old = weight[: self.text_size].float()
                mean, spread = old.mean(0), old.std(0)
                noise = torch.randn(len(self.ids), weight.shape[1], generator=generator)
                codes = slice(2, 2 + self.size)
                if init in ("codebook", "words") and codebook is not None:
                    # Each part has its own projection: similar vectors of different parts mean different things.
                    for part, vectors in enumerate(codebook.float().cpu().chunk(self.parts)):
                        vectors = vectors - vectors.mean(0)
                        vectors = vectors / vectors.pow(2).sum(1).mean().sqrt()
                        project = torch.randn(vectors.shape[1], weight.shape[1], generator=generator)
                        rows = slice(2 + part * len(vectors), 2 + (part + 1) * len(vectors))
                        noise[rows] = 0.8 * vectors @ project + 0.6 * noise[rows]  # 0.8² + 0.6² = 1: same variance
                if init == "words" and words is not None and words[0]:
                    lean = words[1].float() @ ((old[words[0]] - mean) / spread).cpu()
                    lean = lean / lean.pow(2).mean(1, keepdim=True).sqrt().clamp(min=1e-12)
                    noise[codes] = 0.7 * lean + 0.7 * noise[codes]
                for row, piece in enumerate(self.pieces[self.size :], 2 + self.size):
                    noise[row] = noise[[2 + c for c in piece]].sum(0) / len(piece) ** 0.5
                new = mean + noise.to(mean.device) * spread * (init != "mean")
                weight[self.ids] = new.to(weight)

    def trainable(self, model: Any) -> list[int] | dict[str, list[int]]:
        """PEFT's `trainable_token_indices` for the motion rows: the list form for tied embeddings, a dict naming
        both matrices for untied ones (the list form would leave the output rows untrained).
        """
        if tied(model):
            return self.ids
        names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
        return {
            names[id(model.get_input_embeddings())]: self.ids,
            names[id(model.get_output_embeddings())]: self.ids,
        }

    def save(self, folder: Path) -> None:
        """Write `motion_vocab.json`, and `motion_bpe.model` where there is one."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("base", "bpe")}
        if self.base:
            plain["base"] = self.base
        if self.bpe:
            write_file(folder / BPE_FILE, self.bpe.proto)
        write_json(folder / FILE, {"format": FORMAT, **plain})

    @classmethod
    def load(cls, folder: Path) -> MotionVocab:
        """Read the vocabulary in a folder. Raises MotionLLMError where there is none, or a damaged one."""
        path, merged = folder / FILE, folder / BPE_FILE
        if not path.is_file():
            raise MotionLLMError(
                f"{folder} is no motionllm adapter: {FILE} is missing; give the folder `motionllm train` wrote."
            )
        try:
            plain = read_json(path, "motion vocabulary")
        except MotionLLMError as error:
            raise MotionLLMError(f"{path} is damaged ({error}); copy the adapter anew.") from None
        check_format(plain.pop("format", None), FORMAT, path)
        names = [f.name for f in fields(cls) if f.name != "bpe"]
        if other := sorted(plain.keys() - set(names)):
            log.warning("%s: keys of another version are passed over: %s", path, ", ".join(other)[:200])
        given = {name: plain[name] for name in names if name in plain}
        if wrong := _wrong(given):
            raise MotionLLMError(f"{path} is damaged: {wrong}; copy the adapter anew.")
        bpe = None
        if merged.is_file():
            if merged.stat().st_size > LARGEST_BPE:
                raise MotionLLMError(f"{merged} is damaged: it is larger than any motion BPE; copy the adapter anew.")
            bpe = MotionBPE(merged.read_bytes(), given["size"])
            if not all(0 <= code < bpe.size for codes in bpe.pieces for code in codes):
                raise MotionLLMError(f"{merged} is damaged: it has codes that {FILE} has not; copy the adapter anew.")
        return cls(**given, bpe=bpe)


def _wrong(given: dict[str, Any]) -> str | None:
    """Describe what is wrong with the fields of a stored vocabulary; None if nothing is."""
    for name in ("first_id", "size", "start_id", "end_id", "text_size"):
        if type(given.get(name)) is not int or not 0 <= given[name] < 1 << 31:
            return f"{name} is {str(given.get(name))[:50]!r}, which is no count of tokens"
    size, parts = given["size"], given.get("parts", 1)
    if type(parts) is not int or not 1 <= parts <= size <= LARGEST or size % parts:
        return f"{str(size)[:50]} codes do not divide into {str(parts)[:50]} parts"
    if any(given[name] < given["text_size"] for name in ("first_id", "start_id", "end_id")):
        return "motion tokens have ids of the base's own"
    if given["start_id"] == given["end_id"] or any(
        given["first_id"] <= given[name] < given["first_id"] + size for name in ("start_id", "end_id")
    ):
        return "two motion tokens have one id"
    if not isinstance(given.get("tokenizer_hash"), str) or not isinstance(given.get("base"), str | None):
        return "it names no motion tokenizer"
    return None


def tied(model: nn.Module) -> bool:
    """Whether input and output embeddings are one matrix (decided from the weights, not from a flag)."""
    output = model.get_output_embeddings()  # type: ignore[operator]
    return output is not None and output.weight is model.get_input_embeddings().weight  # type: ignore[operator]
