"""Tools for agents, by the SDK's own client: in this process, and over standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import Motion, agents, cli
from motionllm import corpus as builtin
from motionllm.errors import MotionLLMError
from motionllm.motion.features import mirror
from motionllm.motion.notation import Notation, measure

mcp = pytest.importorskip("mcp", reason="pip install 'motionllm[mcp]'")
PART = builtin.Part
KICK = builtin.Spec((PART("kick", side="left"),))


class FakeLM:
    """Generates a kick, and remembers with which options."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def generate(self, text: str, seconds: float | None, **options: Any) -> Motion:
        self.options = {"text": text, "seconds": seconds, **options}
        return Motion(builtin.joints(KICK, 1))

    def edit(self, motion: Motion, request: str, seed: int) -> Motion:
        self.options = {"request": request, "seed": seed}
        return Motion(mirror(motion.canonical().joints))

    def caption(self, motion: Motion) -> str:
        return f"a person moves for {motion.duration:.1f} s"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "clips"
    place.mkdir()
    Motion(builtin.joints(KICK, 1)).save(place / "kick.bvh")
    return place


def talk(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The results of calls: a dict, or the text of an error."""

    async def session() -> list[Any]:
        async with mcp.Client(server, read_timeout_seconds=300) as client:
            results = []
            for name, values in calls:
                result = await client.call_tool(name, values)
                results.append(result.content[0].text if result.is_error else result.structured_content)
            return results

    return asyncio.run(session())


@pytest.fixture
def ask(folder: Path) -> Callable[..., Any]:
    """(tool, **values) → its result, in this process."""
    lm = FakeLM()
    server = agents.server(agents.Desk(folder, lambda: lm))  # type: ignore[arg-type,return-value]

    def call(tool: str, **values: Any) -> Any:
        return talk(server, (tool, values))[0]

    call.lm = lm  # type: ignore[attr-defined]
    return call


def test_each_tool_says_what_it_takes(folder: Path) -> None:
    async def tools() -> list[Any]:
        async with mcp.Client(agents.server(agents.Desk(folder, FakeLM))) as client:  # type: ignore[arg-type]
            return list((await client.list_tools()).tools)

    by_name = {tool.name: tool for tool in asyncio.run(tools())}
    assert set(by_name) == {"generate", "edit", "caption", "notate", "convert", "judge", "clips"}
    assert set(by_name["generate"].input_schema["required"]) == {"text", "file"}
    assert "0.2 to 60" in by_name["generate"].description
    assert by_name["notate"].annotations.read_only_hint and not by_name["convert"].annotations.read_only_hint


def test_a_motion_is_generated_judged_and_converted(ask: Any, folder: Path) -> None:
    made = ask("generate", text="a person kicks with the left leg", file="out/one.bvh", seconds=3, seed=7)
    assert ask.lm.options == {
        "text": "a person kicks with the left leg",
        "seconds": 3,
        "seed": 7,
        "best_of": 4,
        "plan": None,
    }
    assert made["file"] == "out/one.bvh" and made["seed"] == 7
    there = Motion.load(folder / "out" / "one.bvh")
    assert made["notation"] == str(measure(Motion(builtin.joints(KICK, 1)).canonical().joints))
    assert made["seconds"] == pytest.approx(there.duration, abs=0.06)
    right = ask("judge", file="out/one.bvh", text="a person kicks with the left leg", plan=made["notation"])
    wrong = ask("judge", file="out/one.bvh", text="a person waves with the right hand")
    assert right["scores"]["facts"] == 1 and right["has"]["side"]
    assert right["scores"]["agreement"] > 0.9 and "kick" in right["events"]
    assert wrong["scores"]["facts"] < 0.5 and not wrong["has"]["action"]
    assert 0 <= right["scores"]["physics"] <= 1
    assert ask("judge", file="kick.bvh", text="happiness")["scores"]["facts"] is None
    assert ask("convert", file="out/one.bvh", to="one.glb", canonical=True)["fps"] == 20
    assert (folder / "one.glb").read_bytes()[:4] == b"glTF"
    assert set(ask("clips")["files"]) == {"out/one.bvh", "kick.bvh"}


def test_a_motion_is_edited_into_a_new_file(ask: Any, folder: Path) -> None:
    made = ask("edit", file="kick.bvh", request="the other leg", to="other.glb", seed=3)
    assert ask.lm.options == {"request": "the other leg", "seed": 3}
    assert made["file"] == "other.glb" and made["seed"] == 3 and (folder / "other.glb").is_file()
    assert "kick right leg" in ask("notate", file="kick.bvh")["notation"].replace("left", "right")
    assert made["notation"] != ask("notate", file="kick.bvh")["notation"]


def test_a_seed_is_drawn_and_returned(ask: Any) -> None:
    seeds = {ask("generate", text="a person kicks", file=f"{i}.npy")["seed"] for i in range(3)}
    assert len(seeds) == 3 and ask.lm.options["seed"] in seeds


def test_notation_and_caption(ask: Any) -> None:
    result = ask("notate", file="kick.bvh")
    assert "kick" in result["notation"] and "kick" in result["sentence"]
    assert Notation.parse(result["notation"]).seconds == pytest.approx(result["seconds"], abs=0.11)
    assert ask("caption", file="kick.bvh")["caption"].startswith("a person moves")


@pytest.mark.parametrize("name", ["../secret.bvh", "/etc/passwd", "a/../../secret.bvh", "out.bvh", "to/secret.bvh"])
def test_nothing_outside_the_folder_is_read_or_written(ask: Any, folder: Path, tmp_path: Path, name: str) -> None:
    Motion(builtin.joints(KICK, 2)).save(tmp_path / "secret.bvh")
    (folder / "out.bvh").symlink_to(tmp_path / "secret.bvh")
    (folder / "to").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for tool, values in (
        ("notate", {"file": name}),
        ("judge", {"file": name}),
        ("convert", {"file": name, "to": "copy.glb"}),
        ("convert", {"file": "kick.bvh", "to": name.replace("passwd", "passwd.bvh")}),
        ("generate", {"text": "a person kicks", "file": name}),
    ):
        assert "outside the folder of this server" in ask(tool, **values), tool
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("tool", "values", "said"),
    [
        ("generate", {"text": " ", "file": "a.bvh"}, "The text is empty"),
        ("generate", {"text": "x" * 2001, "file": "a.bvh"}, "2,000 are read"),
        ("generate", {"text": "walk", "file": "a.bvh", "seconds": 61}, "0.2 to 60 can be made"),
        ("generate", {"text": "walk", "file": "a.bvh", "seconds": 0}, "0.2 to 60 can be made"),
        ("generate", {"text": "walk", "file": "a.bvh", "candidates": 9}, "1 to 8 can be made"),
        ("generate", {"text": "walk", "file": "a.bvh", "seed": -1}, "seed is -1"),
        ("generate", {"text": "walk", "file": "a.bvh", "plan": "x" * 20_001}, "20,000 are read"),
        ("generate", {"text": "walk", "file": "a.exe"}, "a motion is written as"),
        ("generate", {"text": "walk", "file": ""}, "can be no file's name"),
        ("generate", {"text": "walk", "file": "a\0.bvh"}, "can be no file's name"),
        ("generate", {"text": "walk", "file": "kick.bvh"}, "is there already"),
        ("convert", {"file": "kick.bvh", "to": "kick.bvh"}, "is there already"),
        ("edit", {"file": "kick.bvh", "request": "", "to": "a.bvh"}, "The request is empty"),
        ("edit", {"file": "kick.bvh", "request": "slower", "to": "kick.bvh"}, "is there already"),
        ("edit", {"file": "kick.bvh", "request": "slower", "to": "a.bvh", "seed": -1}, "seed is -1"),
        ("edit", {"file": "kik.bvh", "request": "slower", "to": "a.bvh"}, "no such file"),
        ("convert", {"file": "kick.bvh", "to": "a.bvh", "fps": -1}, "fps is -1"),
        ("notate", {"file": "kik.bvh"}, "no such file; did you mean 'kick.bvh'?"),
        ("notate", {"file": "notes.txt"}, "motion is read from"),
        ("notate", {"file": "broken.bvh"}, "broken.bvh"),
        ("notate", {"file": "large.npy"}, "is 21 MB; 20 are read"),
        ("notate", {"file": "long.npz"}, "601 s long; 600 are read"),
        ("judge", {"file": "kick.bvh", "plan": "no plan"}, "line 1"),
        ("judge", {"file": "kick.bvh", "text": ""}, "The text is empty"),
    ],
)
def test_a_mistake_is_a_sentence(ask: Any, folder: Path, tool: str, values: dict[str, Any], said: str) -> None:
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT")
    (folder / "large.npy").write_bytes(bytes(21_000_000))
    if "long" in values["file"]:
        still = np.repeat(builtin.joints(KICK, 1)[:1], 601, axis=0)
        np.savez(folder / "long.npz", joints=still, fps=1.0)
    answer = ask(tool, **values)
    assert said in answer and str(folder) not in answer and "\n" not in answer.strip()


def test_no_more_files_than_are_allowed(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "WRITTEN", 2)
    answers = [ask("convert", file="kick.bvh", to=f"{i}.npy") for i in range(3)]
    assert [isinstance(a, dict) for a in answers] == [True, True, False]
    assert "restart the server" in answers[2]


def test_the_limits_are_those_of_the_page() -> None:
    from motionllm.app import visitors, web
    from motionllm.lm import planning

    assert (agents.LONGEST_CLIP, agents.LINE) == (visitors.LONGEST_CLIP, web.LINE)
    assert planning.LONGEST == agents.LONGEST_MOTION


def test_what_is_missing_is_said_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mcp", "--folder", str(tmp_path / "none")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert cli.main(["mcp", "--folder", str(tmp_path), "--model", "deflaut"]) == 2
    assert "did you mean 'default'?" in capsys.readouterr().err


def test_without_the_sdk_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(MotionLLMError, match=r"pip install 'motionllm\[mcp\]'"):
        agents.server(agents.Desk(tmp_path, FakeLM))  # type: ignore[arg-type]


def over_stdio(folder: Path, model: Path | str) -> Any:
    """The verb as a client starts it."""
    code = "from motionllm.cli import main; raise SystemExit(main())"
    return mcp.StdioServerParameters(
        command=sys.executable,
        args=["-c", code, "mcp", "--folder", str(folder), "--model", str(model)],
        env={**os.environ, "PYTHONPATH": str(Path(agents.__file__).parents[1])},
    )


def test_over_standard_input_and_output(folder: Path) -> None:
    notation, converted, outside = talk(
        over_stdio(folder, "default"),
        ("notate", {"file": "kick.bvh"}),
        ("convert", {"file": "kick.bvh", "to": "kick.npy"}),
        ("notate", {"file": "../x.bvh"}),
    )
    assert "kick" in notation["notation"]
    assert len(np.load(folder / "kick.npy")) == converted["frames"]
    assert "outside the folder" in outside


@pytest.mark.slow
def test_a_model_answers_over_standard_input_and_output(trained_adapter: Path, folder: Path) -> None:
    made, again, caption = talk(
        over_stdio(folder, trained_adapter),
        ("generate", {"text": "a person walks", "file": "a.npy", "seconds": 2, "seed": 3, "candidates": 1}),
        ("generate", {"text": "a person walks", "file": "b.npy", "seconds": 2, "seed": 3, "candidates": 1}),
        ("caption", {"file": "kick.bvh"}),
    )
    assert made["notation"] == again["notation"] and made["seconds"] == 2
    np.testing.assert_array_equal(np.load(folder / "a.npy"), np.load(folder / "b.npy"))
    assert isinstance(caption["caption"], str)


@pytest.fixture(scope="module")
def trained_adapter(
    tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An adapter as it is before training, saved."""
    from motionllm import MotionLM, MotionTokenizer
    from motionllm.data.templates import Templates

    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    folder = tmp_path_factory.mktemp("adapter") / "tiny"
    MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default")).save(folder)
    return folder
