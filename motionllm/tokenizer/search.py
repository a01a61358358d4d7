"""Codes chosen by their decoded motion rather than by nearest vector: analysis by synthesis."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from motionllm.motion.representation import Representation
from motionllm.tokenizer.network import MotionAutoencoder, decoded_joints, moves

APART = 8  # steps between codes that are tried at once; a code hardly affects frames further away
REACH = 3  # steps to either side over which a code's error is summed
DRIFT = 0.05  # weight of root and heading errors: at 0 they are sacrificed for the pose, at 1 the pose for them
LEVER = 0.3  # metres; typical distance of joints from the vertical axis, to express heading errors in metres


class Search:
    """Coordinate descent over the codes of one clip (Schroeder and Atal, "Code-excited linear prediction", 1985).

    x: (1, T, dim) normalised features. mean, std: (dim,). For each step and part, the `candidates` whose vectors are
    nearest to the encoding are tried, and the code whose decoded frames are nearest to the clip's is kept. Error,
    metres: the distance of the joints with roots and headings aligned, plus DRIFT times the drift of root and heading
    since the window began.
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
        """Codes (1, n) after at most `sweeps` visits to every code; fewer where a sweep changes nothing."""
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
                    best = self._errors(tried)[:, at].argmin(0)  # the first of equals, which is the current code
                    codes[0, places] = tried[best, places]
            if torch.equal(codes, before):
                break
        return codes

    def _candidates(self, codes: Tensor, part: int) -> Tensor:
        """(steps, candidates) codes of a part whose vectors are nearest to the encoding minus the other levels."""
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
        # The features hold half the angle of the heading's change.
        way = moves(self.representation, plain) * plain.new_tensor([2 * LEVER, 1.0, 1.0])
        return joints - height, way.unflatten(1, (-1, self.network.down)).sum(2)

    def _errors(self, codes: Tensor) -> Tensor:
        """(B, steps) error of the window around each step."""
        joints, way = self._placed(self.network.decode(codes))
        down, width = self.network.down, 2 * REACH + 1
        pose = (joints - self.truth[0]).norm(dim=-1).mean(-1).unflatten(1, (-1, down)).mean(-1)
        pose = F.avg_pool1d(pose[:, None], width, 1, REACH, count_include_pad=False)[:, 0]
        missed = F.pad((way - self.truth[1]).transpose(1, 2), (REACH, REACH)).unfold(2, width, 1)
        return pose + DRIFT * missed.cumsum(-1).norm(dim=1).mean(-1)
