"""The scripts in benchmarks/: their plans are valid and their tables say what was found. Running them takes minutes."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch
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


def test_the_gpu_benchmark_names_what_was_not_measured_and_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = script("gpu")
    absent = {"trl": None}
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: absent[name] if name in absent else find(name))
    assert "trl is not installed" in gpu.measured("135M trl", True, 3600.0, tmp_path, False)["skipped"]
    assert "no time is left" in gpu.measured("draw", True, 3.0, tmp_path, False)["skipped"]
    monkeypatch.setattr(gpu, "__file__", "/nowhere/gpu.py")
    assert "it failed" in gpu.measured("draw", True, 3600.0, tmp_path, False)["skipped"]
    results = {
        "135M ours": {"tokens_per_second": 300.0, "peak_gib": 2.0},
        "135M trl": {"tokens_per_second": 50.0, "peak_gib": 4.0},
        "135M trl compiled": {"tokens_per_second": 100.0, "peak_gib": 5.0},
        "1.5B ours": {"tokens_per_second": 7.0, "peak_gib": 1.0},
        "1.5B trl": {"skipped": "it failed"},
    }
    summary = gpu.summary(results)
    assert summary["train 135M"] == {"ours": 300.0, "theirs": 100.0, "times_as_fast": 3.0, "of_its_memory": 0.4}
    assert summary["train 1.5B"] == {"ours": 7.0, "theirs": None, "times_as_fast": None, "of_its_memory": None}
    assert summary["decode"]["ours"] is None


@pytest.mark.parametrize("end", ["failing", "late"])
def test_the_gpu_benchmark_keeps_what_a_job_measured_before_it_ended(
    end: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpu = script("gpu")
    # A job that leaves a process of its own behind, which holds on to what it writes to.
    code = (
        f"import subprocess, sys, time\nprint('warming up')\nprint({gpu.MARK!r} + '{{\"speed\": 1}}')\n"
        f"print({gpu.MARK!r} + '{{\"speed\": 2}}', flush=True)\nsubprocess.Popen(['sleep', '600'])\n"
    )
    code += "raise SystemExit('out of memory')" if end == "failing" else "time.sleep(600)"
    (tmp_path / "job.py").write_text(code)
    monkeypatch.setattr(gpu, "__file__", str(tmp_path / "job.py"))
    monkeypatch.setattr(gpu, "LEAST", 0)
    begun = time.monotonic()
    found = gpu.measured("draw", True, 60.0 if end == "failing" else 1.5, tmp_path, False)
    assert found["speed"] == 2 and time.monotonic() - begun < 30
    assert ("out of memory" if end == "failing" else "did not end within 2 seconds") in found["skipped"]


def test_the_gpu_benchmark_has_the_shapes_it_names() -> None:
    gpu, sizes = script("gpu"), {"0.5B": 0.49e9, "1.5B": 1.54e9}
    from transformers import Qwen2Config, Qwen2Model

    for shape, size in sizes.items():
        with torch.device("meta"):
            model = Qwen2Model(Qwen2Config(**gpu.SHAPES[shape]))
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(size, rel=0.02)
