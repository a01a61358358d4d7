"""The reconstruction loss that a motion tokenizer is trained with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motionllm.config import TokenizerTraining
from motionllm.errors import MotionLLMError
from motionllm.motion.representation import Representation
from motionllm.tokenizer.network import decoded_joints, moves

# Weights of joints. Hands and feet move furthest and carry the meaning: which hand waves, which foot steps.
_LIMBS = {
    f"{side}_{part}": weight
    for side in ("left", "right")
    for part, weight in (("wrist", 3.0), ("elbow", 2.0), ("ankle", 1.3), ("foot", 1.3))
}

_MOVING = 5.0  # weight of squared errors of differences, which are smaller, beside those of poses
_SLIP = 0.02  # metres per frame: an error of a foot's movement of this size counts like one of a standard deviation


def _dim_weights(representation: Representation) -> Tensor:
    """Weight of each feature in the reconstruction loss, mean 1.

    Root and positions are what is shown. Velocities and contacts follow from them, and rotations that are not decoded
    get just enough weight for the metrics that read all features.
    """
    weights = torch.ones(representation.dim)
    for name, weight in {"rotations": 0.03, "velocities": 0.1, "contacts": 0.1}.items():
        if name not in representation.decoded:
            weights[representation.columns(name)] = weight
    for name, weight in _LIMBS.items():
        if name in representation.skeleton.joints:
            weights[list(representation.of_joint("positions", representation.skeleton.joints.index(name)))] = weight
    weights[representation.root] = 4.0
    return weights / weights.mean()


class Losses:
    """The terms of the reconstruction loss, each a mean: see `TokenizerTraining` for their weights and reasons."""

    def __init__(
        self,
        settings: TokenizerTraining,
        representation: Representation,
        mean: np.ndarray,
        std: np.ndarray,
        device: torch.device,
    ) -> None:
        if settings.contact and "contacts" not in representation.blocks:
            raise MotionLLMError(f"{representation.name} features say nothing of contacts; set train.contact to 0.")
        self.settings, self.representation = settings, representation
        self.mean, self.std = torch.from_numpy(mean).to(device), torch.from_numpy(std).to(device)
        self.dims = (_dim_weights(representation) if settings.limbs else torch.ones(len(mean))).to(device)
        self.positions = representation.blocks["positions"]
        # The root's height is a feature of its own or one of the positions.
        self.pose = slice(min(representation.height, self.positions.start), self.positions.stop)
        skeleton = representation.skeleton
        self.feet = [j for side in skeleton.feet for j in side]

    def __call__(self, output: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """{term: scalar} for output, truth (B, T, dim), normalised."""
        pose = self.pose
        # Nearly L1: squared errors would spend the codes on rare acrobatics and blur ordinary hand movements.
        terms = {"features": (F.smooth_l1_loss(output, truth, reduction="none", beta=0.1) * self.dims).mean()}
        decoded, wanted = (x[:, 1:, pose] - x[:, :-1, pose] for x in (output, truth))
        velocity = F.smooth_l1_loss(decoded, wanted, reduction="none", beta=0.1)
        terms["velocity"] = (velocity * self.dims[pose]).mean()
        plain, true = (x * self.std + self.mean for x in (output, truth))
        decoded, wanted = (moves(self.representation, x).cumsum(1) for x in (plain, true))
        terms["path"] = F.smooth_l1_loss(decoded, wanted, beta=0.05)
        if self.settings.joints:
            decoded, wanted = (decoded_joints(self.representation, x) for x in (plain, true))
            terms["joints"] = (decoded - wanted).norm(dim=-1).mean()
        if self.settings.contact:
            standing = true[:, :-1, self.representation.blocks["contacts"]] > 0.5
            terms["contact"] = (self._foot_moves(plain).norm(dim=-1) * standing).sum() / standing.sum().clamp(min=1)
        return terms

    def drawn(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """The error of frames (B, T, dim) that are predicted from noised ones, a scalar. All is squared, so that what
        is learned is the mean over the frames that the noised ones may have been, as flows and diffusions ask for.
        """
        moved = (x[:, 1:, self.pose] - x[:, :-1, self.pose] for x in (predicted, truth))
        error = ((predicted - truth).pow(2) * self.dims).mean()
        error = error + self.settings.velocity * _MOVING * (torch.sub(*moved).pow(2) * self.dims[self.pose]).mean()
        if self.settings.contact:
            feet = torch.sub(*(self._foot_moves(x * self.std + self.mean) for x in (predicted, truth)))
            error = error + self.settings.contact * (feet / _SLIP).pow(2).sum(-1).mean()
        return error

    def movements(self, features: Tensor) -> Tensor:
        """(B, T − 2, channels) what a discriminator sees of features (B, T, dim): how the root moves, velocities and
        accelerations of root and pose, heights of ankles and feet and how they move over the floor.
        """
        root = features[..., : self.pose.stop]
        plain = features * self.std + self.mean
        feet = self._foot_moves(plain)
        heights = plain[..., self.positions].unflatten(-1, (-1, 3))[..., [j - 1 for j in self.feet], 1]
        once = root[:, 1:] - root[:, :-1]
        twice = once[:, 1:] - once[:, :-1]
        moves = root[:, 1:-1, : self.pose.start]
        return torch.cat([moves, once[:, 1:], twice, heights[:, 1:-1], feet[:, 1:].flatten(-2)], dim=-1)

    def _foot_moves(self, features: Tensor) -> Tensor:
        """(B, T − 1, 4, 3) displacement in metres of ankles and feet from frame to frame, in the heading frame of the
        later one.
        """
        places = features[..., self.positions].unflatten(-1, (-1, 3))[..., [j - 1 for j in self.feet], :]
        now, then = places[:, :-1], places[:, 1:]
        half, right, ahead = moves(self.representation, features)[:, :-1, :, None].unbind(-2)
        cosine, sine = torch.cos(2 * half), torch.sin(2 * half)
        x = then[..., 0] + right - (cosine * now[..., 0] + sine * now[..., 2])
        z = then[..., 2] + ahead - (cosine * now[..., 2] - sine * now[..., 0])
        return torch.stack([x, then[..., 1] - now[..., 1], z], dim=-1)
