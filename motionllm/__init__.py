"""Human motion as a language. The public names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Motion", "MotionLM", "MotionTokenizer", "__version__"]

if TYPE_CHECKING:
    from motionllm.lm.model import MotionLM
    from motionllm.motion import Motion
    from motionllm.tokenizer import MotionTokenizer

_WHERE = {"Motion": "motionllm.motion", "MotionTokenizer": "motionllm.tokenizer", "MotionLM": "motionllm.lm.model"}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'motionllm' has no attribute {name!r}")
