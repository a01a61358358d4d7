"""Codes chosen by what they decode to, in place of the nearest ones: analysis by synthesis."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from motionllm.motion.representation import Representation
from motionllm.tokenizer.network import MotionAutoencoder, decoded_joints, moves

APART = 8  # steps between codes that are tried at once: what a code does to frames further off hardly counts
REACH = 3  # steps to each side by which a code is judged
DRIFT = 0.05  # weight of root and heading: at 0 they are given up for the pose, at 1 the pose for them
LEVER = 0.3  # metres: how far joints are from the axis that a heading turns about


class Search:
    """Coordinate descent over the codes of one clip (Schroeder and Atal, "Code-excited linear prediction", 1985).

    x: (1, T, dim) normalised features. mean, std: (dim,). Each step's code of each part is
    tried against the `candidates` whose vectors are nearest to what the encoder says, and the one whose decoded frames
    are nearest to the clip's stays. Error, metres: the joints' distance with roots and headings moved together, and, by
    DRIFT, how far root and heading have gone astray since the window began.
    """

    def __init__(
        self,
        network: MotionAutoencoder,
        representation: Representation,
        x: Tensor,
        mean: Tensor,
        std: Tensor,
        candidates: int = 8,
    ) -> None:
        self.network, self.mean, self.std, self.candidates = network, mean, std, candidates
        self.representation = representation
        self.encodings = network.encodings(x)
        self.truth = self._placed(x)

    def __call__(self, codes: Tensor, sweeps: int) -> Tensor:
        """Codes (1, n) after at most so many visits to every code; fewer where a visit of all changes nothing."""
        codes = codes.clone()
        parts, steps = self.network.parts, codes.shape[1] // self.network.parts
        for _ in range(sweeps):
            before = codes.clone()
            for part in range(parts):
                for first in range(min(APART, steps)):
                    at = torch.arange(first, steps, APART)
                    places = at * parts + part
                    near = self._candidates(codes, part)[at]
                    tried = codes.repeat(1 + near.shape[1], 1)
                    tried[1:, places] = near.T
                    best = self._errors(tried)[:, at].argmin(0)  # of equals the first: the code that is there
                    codes[0, places] = tried[best, places]
            if torch.equal(codes, before):
                break
        return codes

    def _candidates(self, codes: Tensor, part: int) -> Tensor:
        """(steps, candidates) codes of a part whose vectors are nearest to what the other levels leave over."""
        network = self.network
        quantizer, level = divmod(part, network.levels)
        own = codes[0].unflatten(0, (-1, network.parts))
        left = self.encodings[quantizer][0].float()
        vectors = network.codebook.unflatten(0, (network.parts, -1))
        for other in range(network.levels):
            if other != level:
                place = quantizer * network.levels + other
                left = left - vectors[place, own[:, place] - place * network.codes]
        near = torch.cdist(left, vectors[part]).topk(min(self.candidates, network.codes), largest=False).indices
        return near + part * network.codes

    def _placed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (B, T, J − 1, 3) from the root in the heading frame; yaw and travel (B, steps, 3) of each step."""
        plain = x * self.std + self.mean
        joints = decoded_joints(self.representation, plain)
        height = F.pad(plain[..., self.representation.height, None], (1, 1))[..., None, :]
        # The change of heading is given as half the angle.
        way = moves(self.representation, plain) * torch.tensor([2 * LEVER, 1.0, 1.0])
        return joints - height, way.unflatten(1, (-1, self.network.down)).sum(2)

    def _errors(self, codes: Tensor) -> Tensor:
        """(B, steps) error of the window around each step."""
        joints, way = self._placed(self.network.decode(codes))
        down, width = self.network.down, 2 * REACH + 1
        pose = (joints - self.truth[0]).norm(dim=-1).mean(-1).unflatten(1, (-1, down)).mean(-1)
        pose = F.avg_pool1d(pose[:, None], width, 1, REACH, count_include_pad=False)[:, 0]
        missed = F.pad((way - self.truth[1]).transpose(1, 2), (REACH, REACH)).unfold(2, width, 1)
        return pose + DRIFT * missed.cumsum(-1).norm(dim=1).mean(-1)
