"""The hinge between motion and language: codes become token ids of one LLM.

Order matters and is kept by `MotionVocab.attach`: add tokens → grow the matrix → initialise every new
row → only then PEFT. All work is in ids (`code = id − first_id`); nothing parses token strings.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionllm.errors import MotionLLMError

FILE = "motion_vocab.json"


@dataclass(frozen=True)
class MotionVocab:
    """Where the motion tokens of one motion tokenizer lie in one LLM's vocabulary.

    first_id: id of code 0; codes are contiguous. size: number of codes. start_id, end_id: the delimiters.
    tokenizer_hash: content hash of the motion tokenizer. text_size: ids below it are the base's own. parts: codes a
    step; those of a step follow one another, and code c is of part c // (size / parts).
    """

    first_id: int
    size: int
    start_id: int
    end_id: int
    tokenizer_hash: str
    text_size: int
    parts: int = 1

    @property
    def ids(self) -> list[int]:
        """Every motion id: start, end, then the codes."""
        return [self.start_id, self.end_id, *range(self.first_id, self.first_id + self.size)]

    def encode(self, codes: np.ndarray) -> list[int]:
        """Codes (n,) → start, n ids, end. Raises MotionLLMError for codes out of range."""
        if len(codes) and (codes.min() < 0 or codes.max() >= self.size):
            raise MotionLLMError(f"Motion code {codes.max()} is outside this vocabulary's {self.size} codes.")
        return [self.start_id, *(codes + self.first_id).tolist(), self.end_id]

    def decode(self, ids: list[int] | np.ndarray) -> np.ndarray:
        """Ids of codes alone → codes (n,). Raises MotionLLMError where any id is no code."""
        codes = np.asarray(ids, np.int64) - self.first_id
        if len(codes) and (codes.min() < 0 or codes.max() >= self.size):
            raise MotionLLMError("A sequence of motion ids contains an id that is no motion code.")
        return codes

    def allowed(self, place: int) -> Tensor:
        """(1 + size,) bool: what the grammar lets follow after `place` codes, of the end and every code: a code of
        the part whose turn it is, and between steps the end.
        """
        part, each = place % self.parts, self.size // self.parts
        allowed = torch.zeros(1 + self.size, dtype=torch.bool)
        allowed[1 + part * each : 1 + (part + 1) * each] = True
        allowed[0] = part == 0
        return allowed

    @classmethod
    def add(cls, tokenizer: Any, size: int, tokenizer_hash: str, parts: int = 1) -> MotionVocab:
        """Add delimiters and `size` codes to a Hugging Face tokenizer.

        The tokens are not special: skipping special tokens would delete the motion from decoded text.
        Raises MotionLLMError where the tokenizer has such tokens already.
        """
        text_size = len(tokenizer)
        names = ["<motion>", "</motion>", *(f"<motion_{i}>" for i in range(size))]
        if tokenizer.add_tokens(names, special_tokens=False) != len(names):
            raise MotionLLMError("The base model's tokenizer has motion tokens already; give the base without them.")
        first = int(tokenizer.convert_tokens_to_ids(names[2]))
        start, end = (int(i) for i in tokenizer.convert_tokens_to_ids(names[:2]))
        return cls(first, size, start, end, tokenizer_hash, text_size, parts)

    def attach(
        self,
        model: Any,
        init: str = "noise",
        seed: int = 0,
        codebook: Tensor | None = None,
        words: tuple[list[int], Tensor] | None = None,
    ) -> None:
        """Grow the model's embedding (and output) matrix to hold the motion ids and initialise their rows.

        The matrix never shrinks: some bases have spare rows. `noise`: mean of the old rows plus Gaussian noise
        at their per-dimension spread, which keeps codes apart. `codebook` (codes, code_dim): the noise of a code is
        for the most part a random projection of its codebook vector, so that codes of like poses start as
        neighbours. `words` (token ids [W], association (codes, W)): a code leans towards the rows of the words that
        the training captions use where it occurs, so that the pretrained model reads a motion as hints at its words
        from the first step; the rest is codebook and noise. `mean`: the bare mean, near-identical codes.
        """
        rows = model.get_input_embeddings().weight.shape[0]
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
                if init in ("codebook", "words") and codebook is not None:
                    # Each part by a projection of its own: a like vector of the other part means another thing.
                    for part, vectors in enumerate(codebook.float().cpu().chunk(self.parts)):
                        vectors = vectors - vectors.mean(0)
                        vectors = vectors / vectors.pow(2).sum(1).mean().sqrt()
                        project = torch.randn(vectors.shape[1], weight.shape[1], generator=generator)
                        rows = slice(2 + part * len(vectors), 2 + (part + 1) * len(vectors))
                        noise[rows] = 0.8 * vectors @ project + 0.6 * noise[rows]  # 0.8² + 0.6² = 1: the same spread
                if init == "words" and words is not None and words[0]:
                    lean = words[1].float() @ ((old[words[0]] - mean) / spread).cpu()
                    lean = lean / lean.pow(2).mean(1, keepdim=True).sqrt().clamp(min=1e-12)
                    noise[2:] = 0.7 * lean + 0.7 * noise[2:]
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
        beside = folder / f".{FILE}"
        beside.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        os.replace(beside, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> MotionVocab:
        """Raises MotionLLMError where the folder holds no readable motion vocabulary."""
        path = folder / FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise MotionLLMError(
                f"{folder} is no motionllm adapter: {FILE} is missing; give the folder `motionllm train` wrote."
            ) from None
        except (ValueError, TypeError):
            raise MotionLLMError(f"{path} is damaged; copy the adapter anew.") from None


def tied(model: nn.Module) -> bool:
    """Whether input and output embeddings are one matrix (decided from the weights, not from a flag)."""
    output = model.get_output_embeddings()  # type: ignore[operator]
    return output is not None and output.weight is model.get_input_embeddings().weight  # type: ignore[operator]
