"""Bodies and frames: clips, skeletons, files and features; knows no token and no LLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionllm.motion.clip import Motion

__all__ = ["Motion"]


def __getattr__(name: str) -> Any:
    if name == "Motion":  # imported when first used, so that the table of formats costs no NumPy
        from motionllm.motion.clip import Motion

        return Motion
    raise AttributeError(f"module 'motionllm.motion' has no attribute {name!r}")
