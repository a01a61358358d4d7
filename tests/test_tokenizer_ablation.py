"""The ablation of motion tokenizers: rows on one budget, kept where they are, and a table of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import check_recipe, load_recipe
from motionllm.errors import RecipeError
from motionllm.tokenizer import MotionTokenizer

FILE = Path(__file__).parents[1] / "dev" / "tokenizer_ablation.py"
SPEC = importlib.util.spec_from_file_location("tokenizer_ablation", FILE)
assert SPEC and SPEC.loader
ablation: Any = importlib.util.module_from_spec(SPEC)
sys.modules["tokenizer_ablation"] = ablation  # pydantic looks up the names in annotations there
SPEC.loader.exec_module(ablation)

PLAN = """
tokenizer:
  sources: [{kind: builtin, clips: 12}]
  train: {steps: 30, autoencode: 10, batch: 4, window: 32, validate_every: 30}
llm: {layers: 1, width: 64, steps: 10, batch: 4, seconds: 2}
rows:
  - {name: one, network: {width: 16, blocks: 1, codes: 16, code_dim: 8}}
  - {name: two, network: {width: 16, blocks: 1, codes: 16, code_dim: 8, split: body}, train: {limbs: false, lr: 5.0e-4}}
  - {name: merged, network: {width: 16, blocks: 1, codes: 16, code_dim: 8, split: body}, bpe: 12, like: two}
"""


def test_rows_are_made_once_and_set_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    call = [str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "out")]
    assert ablation.main([*call, "--only", "two"]) == 0
    before = (tmp_path / "out" / "two.json").stat().st_mtime_ns
    capsys.readouterr()
    assert ablation.main(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == ["one", "two", "merged"]
    assert "(100 %)" in lines[2]
    assert (tmp_path / "out" / "two.json").stat().st_mtime_ns == before
    one, two, merged = (json.loads((tmp_path / "out" / f"{n}.json").read_text()) for n in ("one", "two", "merged"))
    assert (one["llm"]["tokens_a_second"], two["llm"]["tokens_a_second"]) == (5, 10)
    assert merged["llm"]["tokens_a_second"] < 10
    assert (one["train"]["steps"], two["train"]["steps"]) == (30, 30)
    assert not two["train"]["limbs"] and "limbs" not in one["train"]
    assert merged["val"]["builtin"]["codes_per_second"] == two["val"]["builtin"]["codes_per_second"] == 10
    assert ablation.main([*call, "--only", "three"]) == 2


def test_a_language_model_learns_what_repeats(tiny_tokenizer: Path) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)  # two parts of 16 codes
    step = np.tile([3, 17, 5, 21], 60)
    rng = np.random.default_rng(0)
    noise = [(rng.integers(16, size=(120, 2)) + np.array([0, 16])).flatten() for _ in range(20)]
    settings = ablation.SmallLLM(layers=1, width=64, steps=80, batch=4, seconds=4, lr=5e-3)
    # 10 codes a second of ln 16 nats each, when nothing can be known beforehand.
    known = ablation.likelihood(tokenizer, {"train": [step] * 4, "val": [step]}, settings)["nats_a_second"]
    unknown = ablation.likelihood(tokenizer, {"train": noise, "val": noise[:3]}, settings)["nats_a_second"]
    assert known < 0.3 * 10 * np.log(16)
    assert 0.9 * 10 * np.log(16) < unknown < 1.3 * 10 * np.log(16)


def test_poses_that_are_kept_are_at_no_distance(tiny_tokenizer: Path) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    clips = [builtin.sample(i).load() for i in range(3)]
    reachable = [tokenizer.decode_features(tokenizer.encode(clip)) for clip in clips]

    class Perfect(MotionTokenizer):
        def decode_features(self, codes: np.ndarray) -> np.ndarray:  # type: ignore[override]
            return next(kept)

    kept = iter(reachable)
    perfect = Perfect(tokenizer.config, tokenizer.mean, tokenizer.std, tokenizer.network)
    assert ablation.frechet_pose(perfect, reachable) == pytest.approx(0, abs=1e-6)
    assert ablation.frechet_pose(tokenizer, clips) > 0.1


def test_the_plan_that_ships_is_sound() -> None:
    plan = load_recipe(FILE.with_suffix(".yaml"), schema=ablation.Ablation)
    assert plan.rows[0].network.codes == 512 and plan.rows[0].network.split == "none"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": [{"name": "a", "network": {}}, {"name": "a", "network": {}}]}, "one name"),
        ({"rows": [{"name": "a", "network": {}, "like": "b"}]}, "no row before"),
        ({"rows": [{"name": "a", "network": {"codez": 3}}]}, "did you mean 'codes'"),
        ({"rows": [{"name": "a", "network": {}, "train": {"steps": 3}}]}, "row a sets steps"),
        ({"rows": [{"name": "a", "network": {}, "train": {"velocityy": 3}}]}, "row a: train: unknown key `velocityy`"),
    ],
)
def test_unsound_plans_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_recipe({"tokenizer": {"sources": [{"kind": "builtin"}]}, **change}, ablation.Ablation, "plan")
