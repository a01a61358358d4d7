"""A tiny embedder, trained in seconds on the tiny base's sentence features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motionllm.config import EmbedderRecipe, EmbedderTraining, Source
from motionllm.eval.embedder import train_embedder


def recipe(base: Path, **train: object) -> EmbedderRecipe:
    settings = {"steps": 60, "batch": 32, "warmup": 5, "lr": 3e-3} | train
    return EmbedderRecipe(
        name="tiny",
        sources=[Source(kind="builtin", clips=96)],
        base=str(base),
        layer=1,
        width=24,
        dim=16,
        train=EmbedderTraining(**settings),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="session")
def tiny_embedder_recipe() -> Callable[..., EmbedderRecipe]:
    """(base folder, **train settings) → an embedder's recipe of seconds."""
    return recipe


@pytest.fixture(scope="session")
def tiny_embedder(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedder") / "tiny"
    train_embedder(recipe(tiny_base), folder)
    return folder
