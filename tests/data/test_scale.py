"""Memory does not grow with the number of clips, time in proportion: up to 100,000, through the command line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "scale.py"
SHARDS = 8


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_memory_is_constant_and_time_linear(tmp_path: Path, tiny_base: Path) -> None:
    scale = script()
    counts, small = (10_000, 50_000, 100_000), scale.tokenizer(tmp_path / "tokenizer")
    figures = [scale.measure(tmp_path, n, SHARDS, small, str(tiny_base), parquet=True, encode=2) for n in counts]
    least, some, most = (f["shards"]["cpu"] for f in figures)
    # A clip's share, without what each process takes to start.
    pace = (some - least) / (counts[1] - counts[0]), (most - some) / (counts[2] - counts[1])
    assert pace[1] <= 1.1 * pace[0], pace
    assert max(verb["gib"] for f in figures for verb in f.values()) <= 1.5, figures
    assert figures[2]["shards"]["gib"] <= figures[0]["shards"]["gib"] + 0.2, figures
    assert figures[2]["first_step"]["cpu"] <= 20, figures


@pytest.mark.parametrize("parquet", [False, True])
def test_a_tiled_set_is_read(parquet: bool, tmp_path: Path) -> None:
    from motionllm.config import Source
    from motionllm.data.sources import read

    scale = script()
    folder = (scale.packed if parquet else scale.tile)(tmp_path / "set", 300)
    samples = read(Source(kind="humanml3d", path=str(folder)), "train")
    pieces = scale.pieces()
    assert len(samples) == 300 > len(pieces)
    for number in (0, 1, 299):
        features, captions = pieces[number % len(pieces)]
        assert (samples[number].load() == features).all() and samples[number].captions == captions
