"""What a MotionLM consists of; conversations and motions to prompts, and replies back to motions."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from typing_extensions import Self

from motionllm import arguments
from motionllm.config import Recipe
from motionllm.data.templates import Templates, conversation
from motionllm.errors import MotionLLMError, check_text
from motionllm.language.conversations import Message, Renderer
from motionllm.language.vocab import MotionVocab
from motionllm.lm import decoding
from motionllm.lm.adapters import sampling_of
from motionllm.lm.backend import Backend, Local
from motionllm.lm.library import Library
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.lm.text_adapter import TextAdapter
from motionllm.motion import Motion, plausible
from motionllm.motion.facts import facts
from motionllm.motion.notation import Notation, measure
from motionllm.motion.representation import REPRESENTATIONS, of_width
from motionllm.motion.skeleton import HUMANML3D
from motionllm.tokenizer import MotionTokenizer

log = logging.getLogger(__name__)

Shown = Literal["codes", "notation", "both"]
T = TypeVar("T")


def drained(steps: Generator[None, None, T]) -> T:
    """Run a generator to its end and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            returned: T = end.value
            return returned


class Prompting:
    """backend: what decodes. tokenizer: the base's own.

    shown: what captions and answers are given of a motion: its codes, its measured notation, or both. It may be set; an
    adapter that was trained without notation reads codes alone. text: the second adapter, for tasks of text alone.
    library: the motion library that motions are looked up in.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Any,
        vocab: MotionVocab,
        motion_tokenizer: MotionTokenizer,
        templates: Templates,
        recipe: Recipe,
        text: TextAdapter | None = None,
        library: Library | None = None,
    ) -> None:
        self.backend, self.tokenizer, self.vocab = backend, tokenizer, vocab
        self.motion_tokenizer, self.templates, self.recipe = motion_tokenizer, templates, recipe
        self.text, self.library = text, library
        self.renderer = Renderer(tokenizer, vocab, recipe.data.system)
        self.shown = "both" if recipe.data.notation and recipe.data.notation.read else "codes"
        self.sampling = sampling_of(recipe)  # defaults where a call gives none

    @property
    def shown(self) -> Shown:
        """What captions and answers are given of a motion. Raises MotionLLMError where it is set to anything else."""
        return self._reads

    @shown.setter
    def shown(self, what: Shown) -> None:
        if what not in (known := get_args(Shown)):
            raise MotionLLMError(f"shown is {arguments.shown(what)}; give one of {', '.join(known)}.")
        self._reads: Shown = what

    @property
    def model(self) -> Any:
        """A PEFT model while training, a plain causal LLM once merged. Raises MotionLLMError on an engine."""
        return self.backend.model

    def drawing(self, sampling: Sampling | None, **options: object) -> Sampling:
        """The sampling of a call: what it gives, else the adapter's own, with those options that are not None. Raises
        MotionLLMError for what is none.
        """
        if not isinstance(sampling, Sampling | None):
            raise MotionLLMError(
                f"sampling is {arguments.shown(sampling)}; give a Sampling, or temperature, top_p … by their names."
            )
        return (self.sampling if sampling is None else sampling).but(**options)

    def learned(self, task: str) -> bool:
        """Whether a task of text alone was trained, in the second adapter or in this one."""
        own = self.recipe.data.tasks.get(task, 0) > 0 and bool(self.templates.tasks.get(task))
        return own or bool(self.text and self.text.learned(task))

    def doing(self, task: str) -> Prompting:
        """What does a task of text alone: the second adapter where it was trained to, else this model."""
        return self.writer if self.text and self.text.learned(task) else self

    @cached_property
    def writer(self) -> Self:
        """The base with the second adapter, loaded at its first use; this model where there is none.

        Raises MotionLLMError where the second adapter does not fit the base.
        """
        if self.text is None or not isinstance(self.backend, Local):
            return self
        base, dtype = self.backend.base, self.recipe.model.dtype
        model = self.text.model(base, self.vocab, dtype, self.model.device)
        backend = Local(model, self.tokenizer, self.vocab, base, dtype)
        parts = self.tokenizer, self.vocab, self.motion_tokenizer
        return type(self)(backend, *parts, self.text.templates, self.text.recipe)

    @property
    def window(self) -> float:
        """Duration in seconds of the longest motion that fits the model's context as trained: the recipe's, or that of
        its features' data.
        """
        return self.recipe.data.window or self.motion_tokenizer.representation.longest

    def notation(self, motion: Motion | np.ndarray) -> Notation:
        """The notation measured on a motion. Raises MotionLLMError for one of under 5 frames, or without 22 joints."""
        features = self.motion_tokenizer.features(checked(motion))
        if self.motion_tokenizer.skeleton is not HUMANML3D:
            raise MotionLLMError("Motion is measured on 22 joints, and this adapter's has KIT-ML's 21.")
        return measure(self.motion_tokenizer.representation.decode(features), self.motion_tokenizer.fps)

    def steps(self, motion: Motion | np.ndarray) -> list[str]:
        """The feet, "left" or "right", of the steps in a motion of 22 joints, in walks and singly, in order, as `facts`
        measures them.
        """
        features = self.motion_tokenizer.features(checked(motion))
        measured = facts(self.motion_tokenizer.representation.decode(features), self.motion_tokenizer.fps)
        return [event.side for event in measured.events if event.name == "step"]

    @property
    def _stop(self) -> int:
        return self.renderer.stop

    @property
    def _window(self) -> int:
        """Steps of `window`."""
        return self.motion_tokenizer.steps(self.window)

    def asking(self, task: str, **values: Any) -> list[Message]:
        """The question of a task, in its first phrasing. values: for the phrasing's placeholders, by name."""
        return conversation(self.templates.phrasings(task)[0], values, answered=False)

    def _prompt(self, messages: Sequence[Message], steps: int = 0, renderer: Renderer | None = None) -> list[int]:
        """Token ids that open the assistant's turn. steps: length of the motion in the reply, which must also fit.

        Raises MotionLLMError where both exceed the base model's context.
        """
        for text in _texts(messages):
            check_text(text, "What was said")
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

    def _codes(
        self, motion: Motion | np.ndarray, whole: bool = True, tokenizer: MotionTokenizer | None = None
    ) -> np.ndarray:
        """The codes (n,) of a motion; codes are returned as they are. whole: warn if it is far longer than the motions
        the model was trained on. tokenizer: another one to give the codes of. Raises MotionLLMError for invalid codes.
        """
        motion = checked(motion)
        given = motion if isinstance(motion, np.ndarray) and motion.ndim == 1 and motion.dtype.kind in "iu" else None
        if tokenizer:
            return tokenizer.encode(motion if given is None else self.motion_tokenizer.decode_features(given))
        if given is None:
            return self._encode(self.motion_tokenizer.features(motion), whole)
        self.motion_tokenizer.decode_features(given[: self.vocab.parts])  # raises for invalid codes
        return self._told_if_long(given, whole)

    def _encode(self, features: np.ndarray, whole: bool = True) -> np.ndarray:
        """The codes (n,) of features (T, D) of this model's tokenizer."""
        return self._told_if_long(self.motion_tokenizer.encode(features), whole)

    def _told_if_long(self, codes: np.ndarray, whole: bool) -> np.ndarray:
        seconds = len(codes) / self.motion_tokenizer.codes_per_second
        if whole and seconds > 2 * self.window:
            log.warning("The clip is %.0f s long, more than twice what the model has seen.", seconds)
        return codes

    def motion_part(self, motion: Motion | np.ndarray) -> dict[str, Any]:
        """The content of a motion part of a message, for a motion."""
        features = self.motion_tokenizer.features(checked(motion))
        return self._part(self._encode(features), features)

    def _part(self, codes: np.ndarray, features: np.ndarray) -> dict[str, Any]:
        """codes (n,), features (T, D) of one motion → {"codes", "notation"}, whichever are `shown`."""
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
        """Codes of motions, including the given ones; yields after each step of decoding."""
        motions = [list(request.given) for request in requests]
        for place in self.backend.places(requests, sampling, seed=seed, window=self._window):
            for codes, gained in zip(motions, place, strict=True):
                codes.extend(gained)
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
        """A text reply to each conversation. Raises MotionLLMError where one exceeds the base model's context."""
        if not conversations:
            return []
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


def _texts(messages: Sequence[Message]) -> Iterator[str]:
    """What is said in messages."""
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content if isinstance(part.get("text"), str))


def checked(motion: Any) -> Any:
    """A motion that a caller made, checked and set right as one that is read from a file is (`plausible.inspect`), with
    what was noticed as warnings: joints (T, 22, 3), features of these, or a Motion that no file and no model gave. Any
    other is returned as it is, and lists and tensors as arrays.

    Raises MotionLLMError for an array that no body can have. A Motion like that is doubted: a model may have made it.
    """
    if isinstance(motion, str | os.PathLike):
        return motion  # refused by the tokenizer, with what to do
    if isinstance(motion, Motion):
        if motion.skeleton is not HUMANML3D or motion.name or motion.notes or motion.bvh is not None:
            return motion
        try:
            findings = plausible.inspect(motion.joints, motion.fps, units=True)
        except MotionLLMError as error:
            log.warning("The motion is doubtful: %s", error)
            return motion
        if mended := [note for note in findings.notes if note.startswith(plausible.MENDED)]:
            _tell(mended)
            return replace(motion, joints=findings.apply(motion.joints.astype(np.float64)), notes=tuple(mended))
        return motion
    array = arguments.array(motion, "The motion")
    if not array.size or not np.isfinite(array).all():
        return array  # refused by the tokenizer
    features = array.ndim == 2 and array.shape[1] in (r.dim for r in REPRESENTATIONS.values())
    if features:
        representation = of_width(array.shape[1])
        if representation.skeleton is not HUMANML3D:
            return array
        joints, fps = representation.decode(array.astype(np.float32)), representation.fps
    elif array.shape[1:] == (22, 3):
        joints, fps = array.astype(np.float64), HUMANML3D.fps
    else:
        return array
    try:
        findings = plausible.inspect(joints, fps, units=not features)
    except MotionLLMError as error:
        raise MotionLLMError(f"The motion is refused: {error}") from None
    _tell(findings.notes)
    if not any(note.startswith(plausible.MENDED) for note in findings.notes):
        return array
    return Motion(findings.apply(joints.astype(np.float64)), fps, notes=findings.notes)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        log.warning("The motion: %s", note)


def loaded(part: Message) -> Motion | np.ndarray:
    motion = part.get("motion")
    return motion if isinstance(motion, Motion | np.ndarray) else Motion.load(motion)  # type: ignore[arg-type]
