"""Windows of clips, drawn at random: what a motion tokenizer is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Augmentation, TokenizerTraining
from motionllm.tokenizer.augment import Augment
from motionllm.tokenizer.tokenizer import MotionTokenizer


class Windows:
    """Draws windows of clips at random, normalised, and changed as the recipe's augmentation says.

    clips: (T, dim) each, none shorter than the window. weights: how often each is drawn, relative; by default by its
    length.
    """

    def __init__(
        self,
        settings: TokenizerTraining,
        tokenizer: MotionTokenizer,
        clips: Sequence[np.ndarray],
        weights: np.ndarray | None,
    ) -> None:
        self.random = np.random.default_rng(settings.seed)
        self.length = settings.window
        self.mean, self.std = torch.from_numpy(tokenizer.mean), torch.from_numpy(tokenizer.std)
        self.clips = [torch.from_numpy((clip - tokenizer.mean) / tokenizer.std) for clip in clips]
        self.codes: dict[int, Tensor] = {}
        self.starts = np.array([len(c) - self.length + 1 for c in self.clips])
        augmented = settings.augment != Augmentation()
        self.augment = Augment(settings.augment, tokenizer.representation, self.length) if augmented else None
        share = self.starts * (1.0 if weights is None else weights)
        self.share = share / share.sum()

    def coded(self, count: int, encode: Callable[[Tensor], Tensor], down: int) -> tuple[Tensor, Tensor]:
        """(count, window, dim) beginning with a step of `down` frames, and their codes (count, n): for an encoder that
        does not change, so that clips are encoded once, as a whole, when they are first drawn. Nothing is augmented.
        """
        windows, codes = [], []
        for i in self.random.choice(len(self.clips), count, p=self.share):
            clip = self.clips[i]
            steps, wanted = len(clip) // down, self.length // down
            if i not in self.codes:
                self.codes[i] = encode(clip[None, : steps * down])[0].reshape(steps, -1)
            first = int(self.random.integers(steps - wanted + 1))
            windows.append(clip[first * down :][: self.length])
            codes.append(self.codes[i][first : first + wanted].flatten())
        return torch.stack(windows), torch.stack(codes)

    def draw(self, count: int) -> Tensor:
        """(count, window, dim)."""
        numbers = self.random.choice(len(self.clips), count, p=self.share)
        picked = [(i, self.random.integers(self.starts[i])) for i in numbers]
        if self.augment is None:
            return torch.stack([self.clips[i][s : s + self.length] for i, s in picked])
        longer = torch.stack([_stretch(self.clips[i], s, self.augment.frames) for i, s in picked])
        return (self.augment(longer * self.std + self.mean, self.random) - self.mean) / self.std


def _stretch(clip: Tensor, start: int, frames: int) -> Tensor:
    """(frames, dim) of a clip from about `start` on, the last frame held where the clip is too short."""
    piece = clip[max(0, min(start, len(clip) - frames)) :][:frames]
    return torch.cat([piece, piece[-1:].expand(frames - len(piece), -1)])
