"""Bodies and frames: clips, skeletons, files and features; knows no token and no LLM."""

from motionllm.motion.clip import Motion

__all__ = ["Motion"]
