"""MotionStreamer's features through every verb: a tokenizer, an adapter, a BVH file, and the page."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from motionllm import MotionLM, MotionTokenizer
from motionllm.app import web
from motionllm.cli import main
from motionllm.config import Recipe, dump_recipe
from motionllm.motion import Motion

if TYPE_CHECKING:
    from conftest import Guest

pytest.importorskip("gradio", reason="gradio is not installed (pip install 'motionllm[web]')")


def test_from_the_tokenizer_to_the_page(
    tiny_base: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path, guests: type[Guest]
) -> None:

    recipe = {
        "representation": "motionstreamer",
        "sources": [{"kind": "builtin", "clips": 6}],
        "network": {"width": 16, "blocks": 1, "split": "body", "codes": 16, "code_dim": 8},
        "train": {"steps": 12, "autoencode": 6, "batch": 4, "window": 32, "joints": 0.5},
    }
    (tmp_path / "tokenizer.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["tokenizer", "train", str(tmp_path / "tokenizer.yaml"), "--out", str(tmp_path / "tokenizer")]) == 0
    tokenizer = MotionTokenizer.load(tmp_path / "tokenizer")
    assert json.loads((tmp_path / "tokenizer" / "config.json").read_text())["representation"] == "motionstreamer"
    assert (tokenizer.fps, tokenizer.steps_per_second, len(tokenizer.mean)) == (30, 7.5, 272)
    settings = tiny_recipe(tiny_base, tmp_path / "tokenizer", steps=2, validate_every=2)
    settings.data.sources[0].clips = 6
    (tmp_path / "recipe.yaml").write_text(dump_recipe(settings))
    assert main(["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]) == 0
    out = tmp_path / "x.bvh"
    model = ["--model", str(tmp_path / "run"), "--seconds", "2", "--seed", "1"]
    assert main(["generate", "a person waves", *model, "--out", str(out)]) == 0
    lm = MotionLM.load(tmp_path / "run")
    motion: Any = lm.generate("a person waves", 2.0, seed=1)
    made = Motion.load(out)
    assert len(made) == len(motion) == 60 and made.fps == pytest.approx(30)
    np.testing.assert_allclose(made.joints, motion.joints, atol=1e-3)
    assert not any(name.endswith("_base") for name in made.bvh.joints)  # type: ignore[union-attr]  # as solving adds
    assert motion.joints[..., 1].min() == pytest.approx(0, abs=1e-5)
    assert lm.window == 9.8 and lm.motion_tokenizer.steps(lm.window) == 73
    with socket.socket() as free:
        free.bind((web.LOOPBACK, 0))
        port = free.getsockname()[1]
    lm.moves = lambda _: True  # type: ignore[method-assign]
    page = web.serve(lm, port=port, wait=False)
    try:
        guest = guests(port)
        guest.answer("said", "a person bows")
        guest.ask("turn", "2", "3", 1)
        with guest.hear() as said:
            messages = json.dumps([one for one in said if one["msg"].startswith("process_")])
        assert "a person bows (2.0 s)" in messages and '\\"fps\\":30.0' in messages
    finally:
        page.close()
        page.work.close()
