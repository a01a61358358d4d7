"""What every data source yields: a clip of motion with what is known about it in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError


@dataclass(frozen=True)
class Question:
    """A question about a clip, its true answer, and its kind ("side", "count", "action" …)."""

    text: str
    answer: str
    kind: str


def no_motion() -> np.ndarray:
    """What `load` of a conversation does: raises MotionLLMError."""
    raise MotionLLMError("A source of conversations has no clips of its own; name a data set of motion here.")


@dataclass
class Sample:
    """One clip. `load` returns its features (T, dim), un-normalised; nothing is read before that. Their representation
    is HumanML3D's or KIT-ML's, by their width.

    captions: sentences that describe the whole clip. questions: with exact answers.
    labels: whatever else the source knows (content, style, the corpus' own specification).
    messages: a conversation in the parts format in a clip's place, its motion parts with absolute paths.
    """

    id: str
    load: Callable[[], np.ndarray] = no_motion
    captions: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
