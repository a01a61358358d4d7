"""Motion tokenizers: frames to codes and back."""

from motionllm.tokenizer.tokenizer import MotionTokenizer

__all__ = ["MotionTokenizer"]
