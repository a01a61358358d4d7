"""Decoding while codes arrive: frames as soon as no later code can change them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from motionllm.motion.features import Root

if TYPE_CHECKING:
    from motionllm.tokenizer.tokenizer import MotionTokenizer


class Stream:
    """Codes in, joints out, in pieces that together equal what `MotionTokenizer.decode` makes of all codes (to 1e-5 m).

    ahead: steps that must follow a step before its frames are final; 0 for a causal tokenizer.

    Frames of a step depend on `behind` steps before it and `ahead` after it, so a window of that many codes is decoded
    again at each push. That is exact: within the receptive field the window is complete, and where it starts at the
    beginning of the clip its padding is the clip's own.
    """

    def __init__(self, tokenizer: MotionTokenizer, seed: int = 0) -> None:
        self.tokenizer, self.seed = tokenizer, seed
        self.behind, self.ahead = tokenizer.behind, tokenizer.ahead
        self.codes: list[int] = []
        self.given = 0  # number of steps whose frames were returned
        self.root = Root()

    def push(self, codes: Sequence[int] | np.ndarray) -> np.ndarray:
        """Joints (k, J, 3), metres, of the frames that became final; k may be 0. A step may arrive in several pushes.

        Raises MotionLLMError for codes out of range or out of order; the stream is then unchanged.
        """
        self.tokenizer.check([*self.codes, *codes], whole=False)
        self.codes.extend(int(c) for c in codes)
        return self._give(len(self.codes) // self.tokenizer.parts - self.ahead)

    def finish(self) -> np.ndarray:
        """The remaining frames, (k, J, 3), metres. Raises MotionLLMError where the last step lacks codes."""
        if self.codes:
            self.tokenizer.check(self.codes)
        return self._give(len(self.codes) // self.tokenizer.parts)

    def _give(self, until: int) -> np.ndarray:
        """Joints of the steps from the last returned up to `until`."""
        parts, down = self.tokenizer.parts, self.tokenizer.frames_per_step
        if until <= self.given:
            return np.zeros((0, len(self.tokenizer.skeleton.joints), 3), np.float32)
        first = max(0, self.given - self.behind)
        window = np.array(self.codes[first * parts : (until + self.ahead) * parts])
        window = window[: len(window) // parts * parts]
        features = self.tokenizer.decode_features(window, self.seed, first)
        features = features[(self.given - first) * down : (until - first) * down]
        self.given = until
        return self.tokenizer.representation.decode(features, self.root)
