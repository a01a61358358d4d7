"""The scripts in benchmarks/: their plans are valid and their tables say what was found. Running them takes minutes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml

HERE = Path(__file__).parent / "benchmarks"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", HERE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_of_the_ablation_is_a_recipe_that_differs_as_it_says() -> None:
    ablation, plan = script("ablation"), yaml.safe_load((HERE / "ablation.yaml").read_text("utf-8"))
    seen = set()
    for name, row, file in ablation.rows_of(plan):
        first = ablation.recipe_of(plan, name, plan["rows"][0], None).model_dump()
        recipe = ablation.recipe_of(plan, name, row, None).model_dump()
        changed = {
            f"{section}.{key}"
            for section in ("model", "adapter", "train")
            for key in recipe[section]
            if recipe[section][key] != first[section][key]
        }
        assert changed == set(row.get("change", {}))
        assert recipe["data"] == first["data"]
        assert file not in seen
        seen.add(file)


def test_the_ablations_table_sets_rows_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation, plan = script("ablation"), yaml.safe_load((HERE / "ablation.yaml").read_text("utf-8"))
    monkeypatch.setattr(ablation, "RESULTS", tmp_path)
    for (name, row, file), loss in zip(ablation.rows_of(plan), (2.0, 3.0, 2.5), strict=False):
        result = {"set": name, "loss": {"all": loss, "caption": 1.0, "text_to_motion": 4.0}}
        if row.get("captions"):
            result["captions"] = {"clips": 30, "action": 0.5}
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(result))
    lines = ablation.table(plan).splitlines()
    assert lines[2] == "| defaults | 2.00 | 1.00 | 4.00 | 3.00 | 1.00 | 4.00 |"
    assert lines[3] == "| random weights | 2.50 (+0.50) | 1.00 | 4.00 |  |  |  |"
    assert "builtin, random weights: action 50 % of 30 captions" in lines


def test_cost_counts_a_base_by_its_shape() -> None:
    cost = script("cost")
    cells = cost.row("SmolLM2-135M", cost.shapes()["SmolLM2-135M"], 384e6, 2048, 350e12)
    assert cells[1] == "0.13 B"
    whole, four_bits = float(cells[2].split(", ")[1]), float(cells[3])
    assert 0.3 < four_bits < whole < 3
    one, eight = float(cells[5]), float(cells[6])
    # 106 M weights of the body and 28 M of the head, at 38 % of the places
    assert one == pytest.approx(4 * 384e6 * (106e6 + 0.38 * 28.3e6) / 350e12 / 3600, rel=0.02)
    assert eight == pytest.approx(one / 8, rel=0.05)
