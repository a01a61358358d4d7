"""A discriminator that decoders are trained against: it tells decoded from real movement by windows of a second."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from motionllm.tokenizer.convolutions import Convolution

WIDTH = 128
RATE = 3e-4
RAMP = 0.1  # share of the training over which its weight rises: at first it knows nothing
CERTAIN = 0.02  # its loss, of 0.5 for guesses, under which it tells all apart …
STEPS = 300  # … and steps over which the loss is averaged


class Discriminator(nn.Module):
    """Movements (B, T, channels) → what each layer sees of them, the last a judgement (B, T / 4, 1): 1 real, 0 decoded.

    A judgement sees 18 frames. Spectral normalisation (Miyato et al. 2018) keeps its gradients bounded.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [
            Convolution(channels, WIDTH, 4, stride=2),
            Convolution(WIDTH, WIDTH, 4, stride=2),
            Convolution(WIDTH, WIDTH, 3),
            Convolution(WIDTH, 1, 1),
        ]
        for layer in layers:
            spectral_norm(layer.product)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        seen: list[Tensor] = []
        for layer in self.layers:
            x = layer(F.leaky_relu(x, 0.2) if seen else x)
            seen.append(x)
        return seen


class Adversary:
    """The discriminator in training, by least squares (Mao et al. 2017).

    movements: features (B, T, dim), normalised, → (B, T', channels), its view of them. real: windows, by which that
    view is normalised.
    """

    def __init__(self, movements: Callable[[Tensor], Tensor], real: Tensor) -> None:
        self.movements = movements
        view = movements(real)
        self.scale = view.flatten(0, 1).std(0).clamp(min=1e-6)
        self.network = Discriminator(view.shape[-1]).to(real.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=RATE, betas=(0.5, 0.9))
        self.loss = 0.5
        """A moving average of its loss."""

    def judge(self, decoded: Tensor, real: Tensor, matching: float) -> Tensor:
        """The decoder's loss: how far decoded frames (B, T, dim) are judged from real, and `matching` times the
        distance of what the layers see of them from what they see of the real ones.
        """
        self.network.eval()  # the normalisation's estimates move in training
        with torch.no_grad():
            wanted = self._seen(real)
        *seen, verdict = self._seen(decoded)
        apart = torch.stack([F.l1_loss(a, b) for a, b in zip(seen, wanted, strict=False)])
        return (verdict - 1).pow(2).mean() + matching * apart.mean()

    def learn(self, decoded: Tensor, real: Tensor) -> None:
        """A step of the discriminator's optimizer."""
        self.network.train()
        seen = self._seen(torch.cat([real, decoded.detach()]))[-1]
        of_real, of_decoded = seen.chunk(2)
        loss = (of_real - 1).pow(2).mean() + of_decoded.pow(2).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.loss += (float(loss.detach()) - self.loss) / STEPS

    def state(self) -> dict[str, object]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scale": self.scale,
            "loss": self.loss,
        }

    def restore(self, state: dict[str, object]) -> None:
        self.network.load_state_dict(state["network"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.scale, self.loss = state["scale"], state["loss"]  # type: ignore[assignment]

    def _seen(self, features: Tensor) -> list[Tensor]:
        return self.network(self.movements(features) / self.scale)
