"""The workbench's frame and its room `data`, at its routes: what they show, what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.errors import MotionLLMError

pytest.importorskip("httpx", reason="httpx is not installed (pip install 'motionllm[web]')")
pytest.importorskip("starlette", reason="starlette is not installed (pip install 'motionllm[web]')")
from starlette.routing import Route
from starlette.testclient import TestClient

from motionllm.app.workbench import frame
from motionllm.app.workbench.serving import application

LEFT = {"wave", "kick"}  # done with the left limb
ACTIONS = ("wave", "squat", "kick", "jump")


@pytest.fixture(scope="session")
def recorded() -> dict[str, np.ndarray]:
    """Joints of a clip of each of ACTIONS."""
    parts = {name: builtin.Part(name, side="left" if name in LEFT else "") for name in ACTIONS}
    return {name: builtin.joints(builtin.Spec((part,))) for name, part in parts.items()}


@pytest.fixture
def dataset(recorded: dict[str, np.ndarray], tmp_path: Path) -> Path:
    """A set of which two clips have captions, one is held out and one in no list."""
    folder = tmp_path / "takes"
    for kind in ("new_joints", "texts"):
        (folder / kind).mkdir(parents=True)
    for name, joints in recorded.items():
        np.save(folder / "new_joints" / f"{name}.npy", joints)
    (folder / "texts" / "wave.txt").write_text("a person <b>waves</b> & smiles##0.0#0.0\n")
    (folder / "texts" / "squat.txt").write_text("a person squats down##0.0#0.0\n")
    (folder / "train.txt").write_text("wave\nsquat\n")
    (folder / "val.txt").write_text("kick\n")
    return folder


@pytest.fixture
def client() -> Callable[[Path | None], Any]:
    def make(data: Path | None) -> TestClient:
        return TestClient(application(frame.Bench(data=data)), base_url="http://127.0.0.1", follow_redirects=False)

    return make


def test_the_set_is_shown_and_what_it_holds_is_escaped(client: Any, dataset: Path) -> None:
    rooms = client(dataset)
    assert rooms.get("/").headers["location"] == "/data"
    page = rooms.get("/data")
    assert page.status_code == 200
    assert "a person &lt;b&gt;waves&lt;/b&gt; &amp; smiles" in page.text and "<b>waves" not in page.text
    for name in ACTIONS:
        assert f'data-source="/data/joints/{name}"' in page.text
    assert "script" not in page.headers["content-security-policy"].split("style-src")[0].replace("default-src", "")
    for name in ("player.js", "player.css", "workbench.js", "workbench.css"):
        assert rooms.get(f"/workbench/{name}").status_code == 200


def test_a_clip_comes_as_the_player_reads_it(client: Any, dataset: Path, recorded: dict[str, np.ndarray]) -> None:
    reply = client(dataset).get("/data/joints/squat").json()
    assert reply["fps"] == 20.0 and len(reply["joints"]) == recorded["squat"].size


@pytest.mark.parametrize(
    ("query", "shown"), [("text=PERSON+squat", {"squat"}), ("split=val", {"kick"}), ("text=no", set())]
)
def test_filters(client: Any, dataset: Path, query: str, shown: set[str]) -> None:
    page = client(dataset).get(f"/data?{query}").text
    assert {name for name in ACTIONS if f"/data/joints/{name}" in page} == shown


def test_a_clip_that_is_added_is_there_at_the_next_look(client: Any, dataset: Path) -> None:
    rooms = client(dataset)
    assert "/data/joints/new" not in rooms.get("/data").text
    (dataset / "new_joints" / "jump.npy").rename(dataset / "new_joints" / "new.npy")
    page = rooms.get("/data").text
    assert "/data/joints/new" in page and "/data/joints/jump" not in page


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "nothing", "..%5Cwave", "wave.npy"])
def test_only_clips_of_the_set_are_read(client: Any, dataset: Path, name: str) -> None:
    reply = client(dataset).get(f"/data/joints/{name}")
    assert reply.status_code in (400, 404) and "joints" not in reply.text.replace("/joints", "")


def test_no_set_is_said_on_the_page_and_a_wrong_one_at_the_start(client: Any, tmp_path: Path) -> None:
    page = client(None).get("/data")
    assert page.status_code == 404 and "motionllm web --data FOLDER" in page.text
    with pytest.raises(MotionLLMError, match="does not exist"):
        client(tmp_path / "none")
    with pytest.raises(MotionLLMError, match="holds no clip"):
        client(tmp_path)


def test_other_sites_are_refused(client: Any, dataset: Path) -> None:
    rooms = client(dataset)
    assert rooms.get("/data", headers={"host": "elsewhere.example"}).status_code == 403
    assert rooms.get("/data", headers={"origin": "http://elsewhere.example"}).status_code == 403


def test_what_a_post_may_bring() -> None:
    from starlette.applications import Starlette

    def echo(request: Any, body: dict[str, Any]) -> dict[str, Any]:
        return {"text": frame.text_of(body, "text", 10)}

    posts = TestClient(Starlette(routes=[Route("/echo", frame.takes(echo), methods=["POST"])]))
    assert posts.post("/echo", json={"text": "hello"}).json() == {"text": "hello"}
    for status, kind, content in (
        (415, "text/plain", '{"text": "a form of another site"}'),
        (415, "application/x-www-form-urlencoded", "text=a"),
        (413, "application/json", '{"text": "' + "x" * frame.LARGEST + '"}'),
        (400, "application/json", "[1]"),
        (400, "application/json", "{"),
        (400, "application/json", '{"text": 1}'),
        (400, "application/json", '{"text": "longer than ten"}'),
    ):
        reply = posts.post("/echo", content=content, headers={"content-type": kind})
        assert (reply.status_code, list(reply.json())) == (status, ["error"]), content[:40]
