"""What decodes for a MotionLM: the `Backend` protocol, and `Local`, with the weights in this process. `engines` has the
remote one.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol

from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_base
from motionllm.language.vocab import MotionVocab
from motionllm.lm import continuous, decoding, slots, spelling
from motionllm.lm.cached import CausalLM
from motionllm.lm.decoding import Request, Seed
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.lm.spelling import Spelling
from motionllm.motion.grammar import Writing

Dtype = Literal["auto", "float32", "bfloat16"]
Ability = Literal["likelihoods", "guidance", "plans", "base"]


class Backend(Protocol):
    """What a `MotionLM` decodes with. The ability `base` means answering as the base model, without the adapter."""

    @property
    def model(self) -> Any:
        """The loaded model. Raises MotionLLMError where there is none in this process."""

    @property
    def limit(self) -> int:
        """Context length in tokens."""

    def can(self, ability: Ability) -> bool: ...

    def require(self, ability: Ability) -> None:
        """Raise MotionLLMError where it lacks the ability."""

    def check(self, ids: Sequence[int], motions: Sequence[Sequence[int]]) -> None:
        """Raise MotionLLMError where the engine would not read the prompt's ids unchanged. motions: the codes of the
        motions in it.
        """

    def places(
        self, requests: Sequence[Request], sampling: Sampling, *, seed: Seed = None, window: int | None = None
    ) -> Iterator[list[tuple[int, ...]]]:
        """See `decoding.places`."""

    def texts(
        self,
        prompts: Sequence[Sequence[int]],
        stop: int,
        sampling: Sampling = GREEDY,
        *,
        max_tokens: int = 64,
        seed: Seed = None,
    ) -> list[str]:
        """Like `decoding.texts`, but returns text."""

    def starts_motion(self, prompt: Sequence[int], stop: int) -> bool:
        """Whether the likeliest opening of a reply is a motion's."""

    def notations(
        self, prompts: Sequence[Sequence[int]], begun: Sequence[Writing], sampling: Sampling, *, seed: Seed = None
    ) -> Generator[None, None, list[str]]:
        """See `spelling.notations`."""

    def likelihoods(self, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> list[float]:
        """See `decoding.likelihoods`."""

    def motion_likelihoods(self, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> list[float]:
        """See `decoding.motion_likelihoods`."""

    def without_adapter(self) -> AbstractContextManager[Local]:
        """The base model itself, to decode with."""


class Local:
    """A model in this process. tokenizer: the base's own. base: path or name to load the base model from. dtype: of the
    base's weights where it is loaded a second time.
    """

    def __init__(self, model: CausalLM, tokenizer: Any, vocab: MotionVocab, base: str, dtype: Dtype) -> None:
        self.model, self.tokenizer, self.vocab, self.base, self.dtype = model, tokenizer, vocab, base, dtype
        self.base_model: Any = None  # loaded when `without_adapter` needs it beside the merged one
        self._spelling: Spelling | None = None

    @property
    def limit(self) -> int:
        return longest(self.model.config)

    @property
    def spelling(self) -> Spelling:
        if self._spelling is None:
            self._spelling = Spelling(self.tokenizer, self.vocab.text_size)
        return self._spelling

    def can(self, ability: Ability) -> bool:
        return True

    def require(self, ability: Ability) -> None:
        return None

    def check(self, ids: Sequence[int], motions: Sequence[Sequence[int]]) -> None:
        rows = self.model.get_input_embeddings().weight.shape[0]
        if not ids or max(ids) >= rows:
            raise MotionLLMError(
                f"The tokenizer or the chat template of {self.base} is damaged: it gives "
                + (f"token {max(ids)}, and the model has {rows}." if ids else "no tokens for a prompt.")
            )

    def places(
        self, requests: Sequence[Request], sampling: Sampling, *, seed: Seed = None, window: int | None = None
    ) -> Iterator[list[tuple[int, ...]]]:
        way = continuous if slots.fits(self.model) else decoding
        return way.places(self.model, self.vocab, requests, sampling, seed=seed, window=window)

    def texts(
        self,
        prompts: Sequence[Sequence[int]],
        stop: int,
        sampling: Sampling = GREEDY,
        *,
        max_tokens: int = 64,
        seed: Seed = None,
    ) -> list[str]:
        way = continuous if slots.fits(self.model) else decoding
        replies = way.texts(self.model, self.vocab, prompts, stop, sampling, max_tokens=max_tokens, seed=seed)
        return [str(self.tokenizer.decode(ids, skip_special_tokens=True)) for ids in replies]

    def starts_motion(self, prompt: Sequence[int], stop: int) -> bool:
        return decoding.starts_motion(self.model, self.vocab, prompt)

    def notations(
        self, prompts: Sequence[Sequence[int]], begun: Sequence[Writing], sampling: Sampling, *, seed: Seed = None
    ) -> Generator[None, None, list[str]]:
        way = continuous if slots.fits(self.model) else spelling
        return way.notations(self.model, self.vocab, self.spelling, prompts, begun, sampling, seed=seed)

    def likelihoods(self, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> list[float]:
        return decoding.likelihoods(self.model, self.vocab, prompts, replies)

    def motion_likelihoods(self, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> list[float]:
        return decoding.motion_likelihoods(self.model, self.vocab, prompts, replies)

    @contextmanager
    def without_adapter(self) -> Iterator[Local]:
        from peft import PeftModel

        if isinstance(self.model, PeftModel):
            with self.model.disable_adapter():
                yield self
            return
        if self.base_model is None:
            self.base_model, _ = load_base(self.base, self.dtype)
            self.vocab.attach(self.base_model)  # never sampled, but decoding looks up these rows
            self.base_model.to(next(iter(self.model.parameters())).device)
        yield Local(self.base_model, self.tokenizer, self.vocab, self.base, self.dtype)


def longest(config: Any) -> int:
    """Context length in tokens for this configuration; infinite for models without position limits, like BLOOM."""
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize)
