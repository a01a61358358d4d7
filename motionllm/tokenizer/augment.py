"""Augmented windows of motion: other speeds, other default poses, one half of the body combined with another's.

Augmentation works on features (B, T, dim), HumanML3D's or KIT's, not normalised; positions, velocities and the root are
kept consistent. Rotations are left unchanged: no encoder sees them and no joint is recovered from them.

On lab motion that a tokenizer never saw, seven eighths of its error are constant through a clip (HDM05: 56 of 76 mm;
Bandai-Namco: 59 of 67): suits, marker sets and solvers place the bones at other angles, and codes learned from one lab
cannot express that. `tilt` gives each window such angles of its own.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Augmentation
from motionllm.errors import MotionLLMError
from motionllm.motion.representation import Representation
from motionllm.tokenizer.network import body_parts


class Augment:
    """Draws augmented windows. frames: the length an input window needs so that one of `window` frames can be made from
    it.
    """

    def __init__(self, settings: Augmentation, representation: Representation, window: int) -> None:
        if "contacts" not in representation.blocks:
            raise MotionLLMError(f"{representation.name} features cannot be augmented yet; leave train.augment out.")
        self.settings, self.window = settings, window
        self.skeleton = representation.skeleton
        self.joints = len(self.skeleton.joints)
        self.frames = math.ceil((window - 1) * (1 + settings.pace)) + 1
        self.pose = representation.blocks["positions"]  # (J − 1, 3), heights absolute, x and z relative to the root
        self.speed = representation.blocks["velocities"]  # (J, 3)
        self.contact = representation.blocks["contacts"]
        self.upper = torch.tensor(body_parts(representation)[1])
        still = [not any(word in name for word in ("knee", "ankle", "foot", "heel")) for name in self.skeleton.joints]
        self.share = torch.tensor([1.0 if free else 0.5 for free in still])  # less for legs, so that feet stay planted

    def __call__(self, x: Tensor, random: np.random.Generator) -> Tensor:
        """(B, frames, dim) → (B, window, dim)."""
        uniform = random.random((3, len(x)))
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        if self.settings.pace:
            x = self._at_pace(x, torch.from_numpy(1 + self.settings.pace * (2 * uniform[0] - 1)).to(x))
        x = x[:, : self.window]
        if self.settings.halves:
            x = self._other_half(x, torch.from_numpy(uniform[1] < self.settings.halves))
        if self.settings.tilt:
            x = self._tilted(x, generator)
        if self.settings.noise:
            x = self._jittered(x, generator)
        return x

    def _at_pace(self, x: Tensor, pace: Tensor) -> Tensor:
        """Window `i` played `pace[i]` times as fast: interpolated between frames, its velocities times the pace."""
        at = torch.arange(self.window).to(x) * pace[:, None]
        low = at.floor().long().clamp(max=x.shape[1] - 2)
        part = (at - low)[..., None]
        rows = torch.arange(len(x))[:, None]
        out = x[rows, low] * (1 - part) + x[rows, low + 1] * part
        out[..., self.contact] = x[rows, (at + 0.5).long().clamp(max=x.shape[1] - 1)][..., self.contact]
        out[..., :3] *= pace[:, None, None]
        out[..., self.speed] *= pace[:, None, None]
        return out

    def _other_half(self, x: Tensor, which: Tensor) -> Tensor:
        """Where `which`, put the trunk, arms and head of the previous window on this one's pelvis and legs."""
        out, other = x.clone(), x.roll(1, 0)
        heights = self.upper[(self.upper < self.pose.stop) & ((self.upper - 4) % 3 == 1)]
        moves = self.upper[self.upper >= self.speed.start]
        other[..., heights] += (x - other)[..., 3:4]
        root = (x - other)[..., self.speed.start : self.speed.start + 3]
        other[..., moves] += root[..., (moves - self.speed.start) % 3]
        out[..., self.upper] = torch.where(which[:, None, None], other[..., self.upper], x[..., self.upper])
        return out

    def _tilted(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Every bone rotated by its own angle, constant through the window; feet stay at their height."""
        batch, frames = x.shape[:2]
        axis = torch.randn(batch, self.joints, 3, generator=generator)
        angle = axis * (math.radians(self.settings.tilt) / math.sqrt(3)) * self.share[:, None]
        turn = _rotation(angle)[:, None]  # (B, 1, J, 3, 3)
        pose, speed = (x[..., part].unflatten(-1, (-1, 3)) for part in (self.pose, self.speed))
        root = torch.zeros(batch, frames, 1, 3)
        root[..., 0, 1] = x[..., 3]
        joints = torch.cat([root, pose], 2)
        parents = torch.tensor([max(p, 0) for p in self.skeleton.parents])
        moved, pace = [joints[..., 0, :]], [speed[..., 0, :]]
        bones, drifts = joints - joints[..., parents, :], speed - speed[..., parents, :]
        bones, drifts = ((turn @ v[..., None])[..., 0] for v in (bones, drifts))
        for joint in range(1, self.joints):
            moved.append(moved[parents[joint]] + bones[..., joint, :])
            pace.append(pace[parents[joint]] + drifts[..., joint, :])
        tilted = torch.stack(moved, 2)
        low = joints[..., 1].amin(2).mean(1) - tilted[..., 1].amin(2).mean(1)
        tilted[..., 1] += low[:, None, None]
        out = x.clone()
        out[..., 3] = tilted[..., 0, 1]
        out[..., self.pose] = tilted[..., 1:, :].flatten(-2)
        out[..., self.speed] = torch.stack(pace, 2).flatten(-2)
        return out

    def _jittered(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Noise of motion-capture markers on positions, smoothed over three frames, and its differences on the
        velocities.
        """
        batch, frames = x.shape[:2]
        size = self.settings.noise / 1000 * torch.rand(batch, 1, 1, 1, generator=generator)
        noise = torch.randn(batch, frames + 3, self.joints, 3, generator=generator) * size
        noise = (noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]) / math.sqrt(3)
        noise[:, :, 0] = 0
        out = x.clone()
        out[..., self.pose] += noise[:, :-1, 1:].flatten(-2)
        out[..., self.speed] += (noise[:, 1:] - noise[:, :-1]).flatten(-2)
        return out


def _rotation(vector: Tensor) -> Tensor:
    """(…, 3) axis times angle in radians → (…, 3, 3), by Rodrigues' formula."""
    angle = vector.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    x, y, z = (vector / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    angle = angle[..., None]
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * cross @ cross
