"""The embedder: it learns, is the same twice, travels in a folder, and looks at a clip and at nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import EmbedderRecipe
from motionllm.errors import MotionLLMError
from motionllm.eval.embedder import Embedder, Sentences, retrieval, train_embedder


def test_it_learns_what_it_is_shown(tiny_embedder: Path) -> None:
    found = retrieval(Embedder.load(tiny_embedder), builtin.corpus(96, 0, "train"), group=16)
    assert found["clips"] == 96 and found["group"] == 16
    for way in ("text_to_motion", "motion_to_text"):
        assert found[way][0] > 4 / 16 and found[way] == sorted(found[way])  # chance is 1/16


def test_the_same_recipe_gives_the_same_embedder(
    tiny_embedder: Path, tiny_embedder_recipe: Callable[..., EmbedderRecipe], tiny_base: Path, tmp_path: Path
) -> None:
    again = train_embedder(tiny_embedder_recipe(tiny_base), tmp_path / "again")
    first = Embedder.load(tiny_embedder)
    assert again.id == first.id and again.scores == first.scores
    assert first.scores["steps"] == 60 and first.scores["0: builtin"]["clips"] == 4
    other = train_embedder(tiny_embedder_recipe(tiny_base, steps=2), tmp_path / "other")
    assert other.id != first.id


def test_embeddings_are_on_the_sphere_and_of_the_clip_alone(tiny_embedder: Path) -> None:
    embedder = Embedder.load(tiny_embedder)
    clips = [sample.load() for sample in builtin.corpus(6, 0, "test")]
    together = embedder.embed_motions(clips)
    assert together.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for clip, row in zip(clips, together, strict=True):
        np.testing.assert_allclose(embedder.embed_motions([clip])[0], row, atol=1e-5)
    # Rotations and contacts are not looked at, the last frames of a clip are.
    turned, late = clips[0].copy(), clips[0].copy()
    turned[:, 67:193] += 1
    turned[:, 259:] += 1
    late[-8:, 4:67] += 1
    found = embedder.embed_motions([turned, late])
    np.testing.assert_allclose(found[0], together[0], atol=1e-6)
    assert np.abs(found[1] - together[0]).max() > 1e-3
    captions = ["a person walks", "a person waves with the left hand and then sits down"]
    both = embedder.embed_texts(captions)
    np.testing.assert_allclose(embedder.embed_texts(captions[:1])[0], both[0], atol=1e-5)
    assert embedder.embed_motions([]).shape == (0, 16)
    with pytest.raises(MotionLLMError, match="4 frames or more"):
        embedder.embed_motions([clips[0][:3]])


def test_sentence_features_are_means_of_hidden_states(tiny_base: Path) -> None:
    import torch

    from motionllm.language.bases import load_base

    model, tokenizer = load_base(tiny_base)
    ids = [tokenizer.bos_token_id, *tokenizer.encode(" someone jumps", add_special_tokens=False)]
    with torch.inference_mode():
        for layer in (0, 1, 2):
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0, 1:]
            found = Sentences(str(tiny_base), layer)(["someone jumps", "a longer sentence", "someone jumps"])
            tilted = sum(w * row for w, row in zip(torch.linspace(-1, 1, len(states)), states, strict=True)) / len(
                states
            )
            torch.testing.assert_close(found[0], torch.cat([states.mean(0), tilted]))
            torch.testing.assert_close(found[2], found[0])
    with pytest.raises(MotionLLMError, match="layer 3 is not among the 2"):
        Sentences(str(tiny_base), 3)


def test_folders_that_are_no_embedder(tiny_embedder: Path, tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match="no embedder 'none-such'"):
        Embedder.load("none-such")
    with pytest.raises(MotionLLMError, match=r"config\.json is missing"):
        Embedder.load(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_embedder / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id"] == Embedder.load(tmp_path).id
    config["recipe"]["version"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MotionLLMError, match="do not match their hash"):
        Embedder.load(tmp_path)
    # Saved by another version: a key that this one has not, and one that only it has.
    config["recipe"]["train"] |= {"retired": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Embedder.load(tmp_path).id == config["id"]
    del config["recipe"]["train"]["retired"], config["recipe"]["train"]["seed"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Embedder.load(tmp_path).id == config["id"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 2}))
    with pytest.raises(MotionLLMError, match=r"written by a newer motionllm .* upgrade"):
        Embedder.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(MotionLLMError, match="is damaged"):
        Embedder.load(tmp_path)


def test_the_shipped_embedder_loads_and_says_what_it_was_trained_on() -> None:
    embedder = Embedder.load("default")
    assert embedder.recipe.name == "default" and len(embedder.id) == 16
    assert {source.kind for source in embedder.recipe.sources} == {"builtin", "humanml3d"}
    clip = builtin.sample(0, split="test").load()
    assert np.linalg.norm(embedder.embed_motions([clip])[0]) == pytest.approx(1, abs=1e-5)
    # Its own scores are far above chance, which is 1/32.
    assert embedder.scores["0: builtin"]["text_to_motion"][0] > 0.25
