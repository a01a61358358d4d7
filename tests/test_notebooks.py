"""The notebooks of examples/ run from the first cell to the last, on the small sample, and are kept without outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SAMPLE = Path(__file__).parent / "data" / "cmu"


def executed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **values: object) -> str:
    """Run a notebook in a folder, its settings replaced by `values`; the text that it printed."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package, reason="the notebooks need pip install 'motionllm[docs]'")
    import nbformat
    from nbclient import NotebookClient

    command = folder / "bin" / "motionllm"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nimport sys\nfrom motionllm.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", 4)
    settings = next(cell for cell in notebook.cells if cell.cell_type == "code")
    for key, value in values.items():
        settings.source, changed = re.subn(rf"^{key} = .*$", f"{key} = {value!r}", settings.source, flags=re.MULTILINE)
        assert changed == 1, key
    try:
        NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
        text = "".join(str(out.get("text", out.get("data", {}).get("text/markdown", ""))) for out in outputs)
        print(text)
    return text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 5 and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
def test_first_motion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = SAMPLE / "bvh" / "cmu_cgspeed_07_12.bvh"
    text = executed("first_motion", tmp_path, monkeypatch, CLIP=str(clip), BEST_OF=1)
    assert "walk forward" in text and "agreement" in text and "3.0 s became 5.0 s" in text
    assert {"wave.gif", "wave.bvh", "wave.glb", "longer.bvh"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.slow
def test_own_mocap(tiny_base_wide: Path, tiny_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "takes").mkdir()
    for file in (SAMPLE / "new_joints").glob("*.npy"):
        joints = np.load(file)
        for number in range(4):  # each begun a little later
            Motion(joints[2 * number :]).save(tmp_path / "takes" / f"{file.stem}_{number}.bvh")
    words = (
        f"model.base={tiny_base_wide} model.tokenizer={tiny_tokenizer} adapter.start=null data.sources.1.clips=20 "
        "data.sources.0.more.cuts=1 train.steps=3"
    )
    text = executed("own_mocap", tmp_path, monkeypatch, WORDS=words)
    assert "24 clips" in text and "24 of 24 clips have a text" in text and "3 steps, loss" in text
    assert text.count("5 held out") == 3 and (tmp_path / "mine.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("trained_run", ["tied"], indirect=True)
def test_evaluate_and_improve(trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = tmp_path / "sample"
    shutil.copytree(SAMPLE, sample)
    ids = [file.stem for file in (sample / "texts").iterdir()]
    (sample / "val.txt").write_text("\n".join(ids))  # a suite ranks among four at least
    text = executed(
        "evaluate_and_improve",
        tmp_path,
        monkeypatch,
        MODEL=str(trained_run[0]),
        DATA=str(sample),
        SUITE=f"cases={len(ids)} group=4 pairs=4 'expect={{}}' batch=4",
        IMPROVE="sources.0.clips=40 sampling.prompts=2 sampling.samples=2 train.steps=1 train.batch=1 train.least=0 "
        "train.rehearsal=0 guards.cases=2",
    )
    assert "baseline:nearest" in text and '"judged"' in text
    assert (tmp_path / "runs" / "improved" / "report.md").is_file()  # a tiny model leaves nothing to learn from
