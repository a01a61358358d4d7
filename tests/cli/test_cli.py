"""The command line's frame: what it imports, what it prints where, and with which status it ends."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from motionllm import cli, shipped
from motionllm.errors import MotionLLMError


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from motionllm.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["recipes"], ["doctor"]])
def test_light_verbs_import_no_heavy_library(argv: list[str]) -> None:
    code = (
        "import sys; from motionllm.cli import main; status = main(sys.argv[1:])\n"
        "heavy = {'torch', 'transformers', 'peft', 'datasets', 'numpy', 'scipy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_lists_the_verbs_that_there_are() -> None:
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    from motionllm.cli import data

    of_data = {
        command.callback.__name__ for command in data.app.registered_commands if command.callback
    }  # verbs of a group, in files of their own
    there = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {"__init__"} - of_data
    assert there <= set(cli.VERBS)
    assert all(f"│ {verb} " in done.stdout for verb in there)


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        (["--version"], 0, ""),
        (["recipse"], 2, "motionllm: error: no verb is called 'recipse'; did you mean 'recipes'?\n"),
        (["recipes", "--nonsense"], 2, "--nonsense"),
        (["recipes", "show", "no-such-recipe"], 2, "motionllm: error: no recipe 'no-such-recipe'"),
    ],
)
def test_status_and_standard_error(argv: list[str], status: int, says: str) -> None:
    done = run(*argv)
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout != "") == (status == 0)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch):
    """Puts a function in the place of the module of the verb "merge"."""

    def put(function) -> None:
        module = types.ModuleType("motionllm.cli.merge")
        module.merge = function
        monkeypatch.setitem(sys.modules, "motionllm.cli.merge", module)
        monkeypatch.setattr(cli._Verbs, "list_commands", lambda self, ctx: ["merge"])

    return put


def test_users_error_is_one_line_and_status_2(verb, capsys: pytest.CaptureFixture[str]) -> None:
    def merge(overrides: list[str]) -> None:
        """Merge."""
        raise MotionLLMError(f"bad {overrides}")

    verb(merge)
    assert cli.main(["merge", "a=1", "b.c=2"]) == 2
    assert capsys.readouterr() == ("", "motionllm: error: bad ['a=1', 'b.c=2']\n")


def test_interruption_is_130_and_a_defect_is_raised(verb) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    def defect() -> None:
        raise ZeroDivisionError

    verb(interrupted)
    assert cli.main(["merge"]) == 130
    verb(defect)
    with pytest.raises(ZeroDivisionError):
        cli.main(["merge"])


def test_emit_writes_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"path": Path("a") / "b", "n": np.int64(3), "loss": float("nan"), "x": [np.float32(0.5), True, None, "é"]}
    cli.emit(result, as_json=True)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"path": str(Path("a") / "b"), "n": 3, "loss": None, "x": [0.5, True, None, "é"]}
    assert out.count("\n") == 1 and err == ""
    cli.emit({"a": 1, "b": "c"}, as_json=False)
    assert capsys.readouterr().out == "a: 1\nb: c\n"
    with pytest.raises(TypeError, match="ndarray"):
        cli.emit({"a": np.zeros(3)}, as_json=True)


def test_recipes_lists_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (tmp_path / "recipes").mkdir()
    text = "#\n# A small run of two minutes.\n# motionllm train recipes/small.yaml\nseed: 1\n"
    (tmp_path / "recipes" / "small.yaml").write_text(text)
    monkeypatch.setattr(shipped, "root", lambda: tmp_path)
    assert cli.main(["recipes"]) == 0
    assert capsys.readouterr().out == "small  A small run of two minutes.\n"
    assert cli.main(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == {"recipes": [{"name": "small", "about": "A small run of two minutes."}]}
    assert cli.main(["recipes", "show", "small"]) == 0
    assert capsys.readouterr().out == text
    assert cli.main(["recipes", "show", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == text


def test_doctor_reports_every_part_and_fails_for_what_is_missing(monkeypatch, tmp_path: Path, capsys) -> None:
    from importlib import metadata

    from motionllm.cli import doctor

    (tmp_path / "constraints.txt").write_text('# tried\ntyper==0.0.1 ; python_version >= "3.10"\n')
    monkeypatch.setattr(shipped, "root", lambda: tmp_path)
    known = metadata.version

    def version(name: str) -> str:
        if name == "peft":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "accelerate" else known(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    monkeypatch.setattr(doctor, "_gpus", lambda: ["H200, 143771 MiB"])
    monkeypatch.setattr(doctor, "_cpu_build", lambda: True)
    assert cli.main(["doctor", "--json"]) == 2
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["ok"] is False
    found = {(check["name"], check["state"]): check["found"] for check in report["checks"]}
    assert "peft is missing" in found["packages", "fail"]
    assert "accelerate 0.1 is not >=" in found["packages", "fail"]
    assert "typer" in found["packages", "note"] and "(tried with 0.0.1)" in found["packages", "note"]
    assert "there are none" in found["shipped tokenizer", "fail"]
    assert "CPU build" in found["gpu", "note"]
    assert {"python", "base model", "cores"} <= {check["name"] for check in report["checks"]}
    assert "3 of" in err and err.startswith("motionllm: error: ")


def test_doctor_finds_weights_that_are_cut_short(monkeypatch, tmp_path: Path, capsys) -> None:
    import shutil

    for kind, folder in (("tokenizer", "tokenizer"), ("adapter", "recipes/adapters")):
        shutil.copytree(shipped.find(kind, "default"), tmp_path / folder / "default")
    monkeypatch.setattr(shipped, "root", lambda: tmp_path)
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))

    def states() -> dict[str, tuple[str, str]]:
        cli.main(["doctor", "--json"])
        report = json.loads(capsys.readouterr().out)
        return {check["name"]: (check["state"], check["found"]) for check in report["checks"]}

    assert {states()[name][0] for name in ("shipped tokenizer", "shipped adapter", "cache")} == {"ok"}
    weights = tmp_path / "tokenizer" / "default" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (tmp_path / "recipes" / "adapters" / "default" / "adapter_model.safetensors").write_bytes(b"not these")
    found = states()
    assert found["shipped tokenizer"][0] == "fail" and "is cut short" in found["shipped tokenizer"][1]
    assert found["shipped adapter"][0] == "fail" and "is damaged" in found["shipped adapter"][1]
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "file" / "cache"))
    assert states()["cache"][0] == "fail"


@pytest.mark.slow
def test_doctor_tries_it_all(capsys) -> None:
    assert cli.main(["doctor", "--run", "--json"]) == 0
    (trial,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["name"] == "trial"]
    assert trial["state"] == "ok" and "2 s of motion" in trial["found"]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_that_lacks_characters_ends_no_verb(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, stream in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=encoding))
    assert cli.main(["wörd⟦\udcff"]) == 2
    cli.emit({"clip": "歩く⟦"}, as_json=True)
    cli.emit({}, as_json=False, text="⟦歩く⟧\udcff")
    sys.stdout.flush()
    sys.stderr.flush()
    first, second = raw["stdout"].getvalue().decode(encoding).splitlines()
    assert json.loads(first) == {"clip": "歩く⟦"}  # what is read by programs is exact in every encoding
    assert second == ("⟦歩く⟧?" if encoding == "utf-8" else "?????")
    assert "no verb is called" in raw["stderr"].getvalue().decode(encoding)


@pytest.mark.parametrize("kind", ["train", "improve", "tokenizer", "suite", "embedder"])
def test_the_schema_of_recipes_explains_every_key(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipes", "--schema", "--kind", kind]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/") and schema["additionalProperties"] is False
    for section in (schema, *schema.get("$defs", {}).values()):
        for name, field in section["properties"].items():
            assert field.get("description") or "$ref" in str(field), name


def test_what_is_no_recipe_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_bytes(bytes(range(128, 256)))
    for words in (["show", str(tmp_path / "a.yaml")], ["show", "x/" * 3000], ["--schema", "--kind", "trian"]):
        assert cli.main(["recipes", *words]) == 2
        assert capsys.readouterr().err.startswith("motionllm: error: ")


def test_what_is_imported_is_declared() -> None:
    """Each package that the code imports is a dependency or in an extra, and no dependency is without an import."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    of = {"pil": "pillow", "yaml": "pyyaml", "imageio_ffmpeg": "imageio-ffmpeg", "pxr": "usd-core"}
    by_name = {"bitsandbytes", "gguf"}  # that transformers imports for us

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for text in requirements}

    found = set()
    for file in Path(cli.__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            found |= {m.split(".")[0].lower() for m in modules}
    found -= {name.lower() for name in sys.stdlib_module_names} | {"motionllm"}
    found = {of.get(name, name).replace("_", "-") for name in found}
    direct = names(project["dependencies"])
    extras = {name for kind, more in project["optional-dependencies"].items() if kind != "dev" for name in names(more)}
    assert not found - direct - extras
    assert direct == (found & direct) | by_name


def test_doctor_says_what_each_extra_brings() -> None:
    from motionllm.cli.doctor import EXTRAS

    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - {"dev"} == set(EXTRAS)
