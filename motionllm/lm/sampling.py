"""How tokens are drawn: one set of numbers, checked in one place, from the caller down to the decoder or the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from motionllm import arguments
from motionllm.errors import MotionLLMError

BEST_OF = 8  # candidates per returned motion
MOST = 1000


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """temperature: 0 is greedy. top_p: draw from the most likely tokens that make up this share. top_k: draw from this
    many of the most likely; 0 is all. guidance: weight of classifier-free guidance for motions (Ho and Salimans 2022);
    1 is none, above it motions follow their text more closely. best_of: candidates per returned motion; None is BEST_OF
    where they can be ranked, else 1. library: where the adapter's motion library has a clip of what the text says, it
    is taken in place of what the model would make.

    The seed is not part of it: an adapter's recipe keeps its sampling, and each call has another seed. Raises
    MotionLLMError for a number out of bounds.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 0
    guidance: float = 1.0
    best_of: int | None = None
    library: bool = True

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "guidance"):
            object.__setattr__(self, name, arguments.number(getattr(self, name), name))
        object.__setattr__(self, "top_k", arguments.whole_number(self.top_k, "top_k"))
        if self.best_of is not None:
            object.__setattr__(self, "best_of", arguments.whole_number(self.best_of, "best_of"))
        object.__setattr__(self, "library", arguments.truth(self.library, "library"))
        if not 0 <= self.temperature <= 100 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise MotionLLMError(
                f"temperature {self.temperature} must be within 0 to 100, top_p {self.top_p} within 0 to 1, and top_k "
                f"{self.top_k} at least 0, which keeps all."
            )
        if not 0 <= self.guidance <= 20:
            raise MotionLLMError(f"guidance {self.guidance:g} must be within 0 to 20; 1 is none.")
        if self.best_of is not None and not 1 <= self.best_of <= MOST:
            raise MotionLLMError(
                f"best_of is {arguments.shown(self.best_of)}; 1 to {MOST} motions are made for each that is given."
            )

    def but(self, **options: object) -> Sampling:
        """A copy with those options that are not None. Raises MotionLLMError for a number out of bounds."""
        changed = {name: value for name, value in options.items() if value is not None}
        return replace(self, **changed) if changed else self  # type: ignore[arg-type]


GREEDY = Sampling(temperature=0.0, top_p=1.0)
