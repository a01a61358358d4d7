"""The release: wheel and sdist are built, installed where nothing else is, and do what the README says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from motionllm import __version__

REPOSITORY = Path(__file__).parents[1]
MINORS = range(10, 15)  # of the Pythons that are supported


def pythons() -> list[str]:
    """One interpreter of each supported version that is on this machine, this one first."""
    found = {sys.version_info.minor: sys.executable}
    for minor in MINORS:
        path = shutil.which(f"python3.{minor}")
        # A version manager's command may stand there without its Python.
        if path and minor not in found and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            found[minor] = path
    return list(found.values())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and, built from it, the wheel."""
    for name in ("build", "hatchling"):
        pytest.importorskip(name, reason=f"pip install {name}")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


def installed(python: str, built: Path, folder: Path) -> Path:
    """The interpreter of a fresh environment with the wheel alone. Nothing is fetched."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wheel = next(built.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", str(own), "install", "--no-deps", "--no-index", "-q", str(wheel)]
    subprocess.run(pip, check=True)
    return own


def run(python: Path, code: str, folder: Path) -> str:
    """What code prints in another folder, with an empty home and none of this process's settings."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "LANG", "TMPDIR")}
    env = kept | {"HOME": str(home), "USERPROFILE": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(python), "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_wheel_and_sdist_hold_what_they_should(built: Path) -> None:
    wheel, sdist = next(built.glob("*.whl")), next(built.glob("*.tar.gz"))
    assert {wheel.name.split("-")[1], sdist.name.removesuffix(".tar.gz").split("-")[1]} == {__version__}
    inside = set(zipfile.ZipFile(wheel).namelist())
    shipped = "motionllm/_shipped"
    assert {
        "motionllm/cli/__init__.py",
        "motionllm/motion/show/page.html",
        f"{shipped}/constraints.txt",
        f"{shipped}/recipes/demo.yaml",
        f"{shipped}/recipes/adapters/default/adapter_model.safetensors",
        f"{shipped}/recipes/adapters/default/VERSION",
        f"{shipped}/tokenizer/default/model.safetensors",
        f"{shipped}/eval/builtin.yaml",
    } <= inside
    tops = {name.split("/")[0] for name in inside}
    assert tops == {"motionllm", f"motionllm-{__version__}.dist-info"}
    assert not [name for name in inside if name.endswith((".pyc", ".part"))]
    assert wheel.stat().st_size < 60e6
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "tests/conftest.py",
        "docs/DESIGN.md",
        "recipes/demo.yaml",
    } <= names


@pytest.mark.slow
@pytest.mark.parametrize("python", pythons(), ids=lambda path: Path(path).name)
def test_the_wheel_installs_on_each_python_here(built: Path, tmp_path: Path, python: str) -> None:
    own = installed(python, built, tmp_path / "environment")
    code = (
        "import motionllm\nfrom motionllm import shipped\n"
        "print(motionllm.__version__, motionllm.__file__)\n"
        "print(shipped.find('adapter', f\"default@{shipped.version(shipped.find('adapter', 'default'))}\"))"
    )
    version, adapter = run(own, code, tmp_path / "elsewhere").strip().splitlines()
    assert version.startswith(f"{__version__} {tmp_path}")
    assert adapter.startswith(str(tmp_path)) and Path(adapter, "adapter_model.safetensors").is_file()


@pytest.mark.slow
def test_the_readme_s_lines_run_from_the_wheel_with_an_empty_home(built: Path, tmp_path: Path) -> None:
    own = installed(sys.executable, built, tmp_path / "environment")
    # The dependencies, as they are here: their folder is added to the path, its own .pth files (this clone) are not.
    site = run(own, "import sysconfig; print(sysconfig.get_paths()['purelib'])", tmp_path).strip()
    Path(site, "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text("utf-8"), re.DOTALL)
    assert any('MotionLM.load("default")' in block for block in blocks)
    check = "import motionllm\nprint(motionllm.__file__)\n"
    printed = run(own, check + "\n".join(blocks), tmp_path / "elsewhere").splitlines()
    assert printed[0].startswith(str(tmp_path / "environment"))
    assert len(printed) >= 2 and "wave" in printed[1]  # a caption and an answer
    assert (tmp_path / "elsewhere" / "wave.bvh").is_file()
    main = "import sys\nfrom motionllm.cli import main\nsys.exit(main(['doctor', '--json']))"
    assert '"ok": true' in run(own, main, tmp_path / "elsewhere")


def test_the_workflow_that_publishes_is_trusted_and_tested() -> None:
    import yaml

    text = (REPOSITORY / ".github" / "workflows" / "publish.yml").read_text("utf-8")
    flow: dict[Any, Any] = yaml.safe_load(text)
    jobs = flow["jobs"]
    assert flow[True] == {"release": {"types": ["published"]}}  # YAML reads `on` as true
    assert flow["permissions"] == {"contents": "read"}
    assert jobs["publish"]["permissions"] == {"id-token": "write"} and jobs["publish"]["needs"] == "build"
    assert "permissions" not in jobs["build"]
    assert any("tests/test_release.py" in step.get("run", "") for step in jobs["build"]["steps"])
    assert not re.search(r"secrets\.|password|(?<!id-)token:", text)
