"""The language model that speaks motion: decoding, loss, adapters, engines, and `MotionLM`."""
