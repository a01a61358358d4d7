"""What a MotionLM is made of, and how conversations and motions become prompts and come back."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from motionllm.config import Recipe
from motionllm.data.templates import Templates, conversation
from motionllm.errors import MotionLLMError
from motionllm.language.conversations import Message, Renderer
from motionllm.language.vocab import MotionVocab
from motionllm.lm import decoding
from motionllm.lm.adapters import sampling_of
from motionllm.lm.backend import Backend
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation, measure
from motionllm.motion.skeleton import HUMANML3D
from motionllm.tokenizer import MotionTokenizer

log = logging.getLogger(__name__)

Shown = Literal["codes", "notation", "both"]
T = TypeVar("T")


def drained(steps: Generator[None, None, T]) -> T:
    """What a generator returns, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            returned: T = end.value
            return returned


class Prompting:
    """backend: what decodes. tokenizer: the base's own.

    shown: what captions and answers are given of a motion: its codes, its measured notation, or both. It may be set; an
    adapter that was trained without notation reads codes alone.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Any,
        vocab: MotionVocab,
        motion_tokenizer: MotionTokenizer,
        templates: Templates,
        recipe: Recipe,
    ) -> None:
        self.backend, self.tokenizer, self.vocab = backend, tokenizer, vocab
        self.motion_tokenizer, self.templates, self.recipe = motion_tokenizer, templates, recipe
        self.renderer = Renderer(tokenizer, vocab, recipe.data.system)
        self.shown: Shown = "both" if recipe.data.notation and recipe.data.notation.read else "codes"
        self.sampling = sampling_of(recipe)  # where a caller says nothing

    @property
    def model(self) -> Any:
        """A PEFT model while training, a plain causal LLM once merged. Raises MotionLLMError on an engine."""
        return self.backend.model

    @property
    def window(self) -> float:
        """Seconds of the longest motion that the model sees at once: its recipe's, or those of its features' data."""
        return self.recipe.data.window or self.motion_tokenizer.representation.longest

    def notation(self, motion: Motion | np.ndarray) -> Notation:
        """What is measured on a motion. Raises MotionLLMError for one of under 5 frames, or without 22 joints."""
        features = self.motion_tokenizer.features(motion)
        if self.motion_tokenizer.skeleton is not HUMANML3D:
            raise MotionLLMError("Motion is measured on 22 joints, and this adapter's has KIT-ML's 21.")
        return measure(self.motion_tokenizer.representation.decode(features), self.motion_tokenizer.fps)

    @property
    def _stop(self) -> int:
        return self.renderer.stop

    @property
    def _window(self) -> int:
        """Steps of `window`."""
        return self.motion_tokenizer.steps(self.window)

    def _asking(self, task: str, **values: Any) -> list[Message]:
        """The question of a task, in its first phrasing. values: by placeholder, those that the phrasing holds."""
        return conversation(self.templates.phrasings(task)[0], values, answered=False)

    def _prompt(self, messages: Sequence[Message], steps: int = 0, renderer: Renderer | None = None) -> list[int]:
        """Ids that open the assistant's turn, with room for a reply of `steps` of motion.

        Raises MotionLLMError where the base model cannot take so much.
        """
        ids = (renderer or self.renderer)(messages, reply=True).ids
        motions = [
            part.get("codes", ())
            for m in messages
            if not isinstance(m["content"], str)
            for part in m["content"]
            if part.get("type") == "motion"
        ]
        self.backend.check(ids, motions)
        if len(ids) + 2 + steps * self.vocab.parts > self.backend.limit:
            raise MotionLLMError(
                f"What was given is {len(ids)} tokens long, but the base model takes {self.backend.limit}; shorten it."
            )
        return ids

    def _codes(self, motion: Motion | np.ndarray, whole: bool = True) -> np.ndarray:
        """motion: codes are taken as they are. whole: the model is to see them all at once."""
        if isinstance(motion, np.ndarray) and motion.ndim == 1 and motion.dtype.kind in "iu":
            codes = motion
            self.motion_tokenizer.decode_features(codes[: self.vocab.parts])  # raises for what is none
        else:
            codes = self.motion_tokenizer.encode(motion)
        seconds = len(codes) / self.motion_tokenizer.codes_per_second
        if whole and seconds > 2 * self.window:
            log.warning("The clip is %.0f s long, more than twice what the model has seen.", seconds)
        return codes

    def motion_part(self, motion: Motion | np.ndarray) -> dict[str, Any]:
        """What a motion part holds of a motion that is given."""
        features = self.motion_tokenizer.features(motion)
        return self._part(self._codes(features), features)

    def _part(self, codes: np.ndarray, features: np.ndarray) -> dict[str, Any]:
        """codes (n,), features (T, dim) of one motion → {"codes", "notation"} as far as they are `shown`."""
        if self.shown == "codes":
            return {"codes": codes}
        if not self.recipe.data.notation:
            raise MotionLLMError("This adapter was trained without notation and reads codes alone; train with it.")
        if len(features) <= 5:  # too short to be measured
            return {"codes": codes}
        notation = str(measure(self.motion_tokenizer.representation.decode(features), self.motion_tokenizer.fps))
        return {"notation": notation} | ({"codes": codes} if self.shown == "both" else {})

    def _motion(self, codes: list[int], frames: int | None) -> Motion:
        motion = self.motion_tokenizer.decode(np.array(codes))
        return self.motion_tokenizer.representation.finished(motion.cut(0, frames))

    def _write(
        self, requests: Sequence[decoding.Request], sampling: Sampling, *, seed: decoding.Seed = None
    ) -> Generator[None, None, list[list[int]]]:
        """Codes of motions, the given ones included; yields after each step of decoding."""
        motions = [list(request.given) for request in requests]
        for place in self.backend.places(requests, sampling, seed=seed, window=self._window):
            for codes, drawn in zip(motions, place, strict=True):
                codes.extend(drawn)
            yield
        return motions

    def say(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling = GREEDY,
        *,
        seed: decoding.Seed = None,
        max_tokens: int = 64,
    ) -> list[str]:
        """A text reply to each conversation."""
        prompts = [self._prompt(c) for c in conversations]
        replies = self.backend.texts(prompts, self._stop, sampling, max_tokens=max_tokens, seed=seed)
        return [text.strip() for text in replies]

    def _encoded(self, message: Message) -> Message:
        if isinstance(message.get("content"), str):
            return message
        parts = []
        for part in message.get("content", []):
            if part.get("type") == "motion" and not part.keys() & {"codes", "notation"}:
                part = {"type": "motion", **self.motion_part(loaded(part))}
            parts.append(part)
        return {**message, "content": parts}


def loaded(part: Message) -> Motion | np.ndarray:
    motion = part.get("motion")
    return motion if isinstance(motion, Motion | np.ndarray) else Motion.load(motion)  # type: ignore[arg-type]
