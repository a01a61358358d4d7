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

from motionllm.app.workbench import data, frame
from motionllm.app.workbench.serving import application
from motionllm.data.motion_set import MotionSet
from motionllm.data.set_statistics import statistics
from motionllm.data.survey import Survey, outliers, spread

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


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def client() -> Callable[[Path | None], Any]:
    def make(data: Path | None) -> TestClient:
        return TestClient(application(frame.Bench(data=data)), base_url="http://127.0.0.1", follow_redirects=False)

    return make


def test_the_set_is_shown_and_what_it_holds_is_escaped(client: Any, dataset: Path) -> None:
    rooms = client(dataset)
    assert rooms.get("/").headers["location"] == "/data"
    assert client(None).get("/").headers["location"] == "/train"
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


def everything(survey: Survey) -> dict[str, str]:
    """What is doubtful about each clip, as one text, in the order of the room."""
    query = dict.fromkeys(("text", "split", "state", "verb"), "") | {"order": "doubts"}
    return {row["id"]: " ".join(row["doubts"]) for row in data.chosen(survey, query)}


def test_suspects_come_first_with_the_reason(dataset: Path, recorded: dict[str, np.ndarray]) -> None:
    np.save(dataset / "new_joints" / "double.npy", recorded["jump"])
    np.save(dataset / "new_joints" / "brief.npy", recorded["jump"][:6])
    np.save(dataset / "new_joints" / "giant.npy", recorded["wave"] * 1.9)
    (dataset / "new_joints" / "damaged.npy").write_bytes(b"no array")
    (dataset / "texts" / "wave.txt").write_text("a person waves with the right hand##0.0#0.0\na#b#5#1\n")
    (dataset / "texts" / "squat.txt").write_text("a person does a cartwheel\n")
    survey = Survey(MotionSet(dataset))
    survey.wait()
    rows = everything(survey)
    assert list(rows)[:2] == ["brief", "damaged"] or list(rows)[:2] == ["damaged", "brief"]
    assert "0.30 s long" in rows["brief"] and "array" in rows["damaged"] and str(dataset) not in rows["damaged"]
    assert "the motion is the same as that of double" in rows["jump"].lower() and not rows["double"]
    assert (
        "it says wave with the right, and the motion shows the left hand" in rows["wave"]
        and "line 2: it begins at 5 s" in rows["wave"]
    )
    assert "cartwheel; nothing of that is measured" in rows["squat"]
    assert "leg" in rows["giant"].lower() or "metres" in rows["giant"]
    assert not rows["kick"] and list(rows)[-1] in ("kick", "double")


def test_a_survey_is_kept_until_a_clip_changes(
    dataset: Path, recorded: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from motionllm.data import survey as module

    first = Survey(MotionSet(dataset))
    first.wait()
    np.save(dataset / "new_joints" / "kick.npy", recorded["jump"])
    measured = []
    measure = module.measure_clip
    monkeypatch.setattr(module, "measure_clip", lambda data, name: measured.append(name) or measure(data, name))
    second = Survey(MotionSet(dataset))
    second.wait()
    assert measured == ["kick"]
    assert second.rows["wave"]["notation"] == first.rows["wave"]["notation"]
    assert second.rows["kick"]["digest"] == first.rows["jump"]["digest"]
    second.wait()
    assert measured == ["kick"]
    np.save(dataset / "new_joints" / "added.npy", recorded["jump"])
    second.wait()
    assert measured == ["kick", "added"]


def test_an_outlier_is_far_from_the_others_of_its_set_alone() -> None:
    rows = [{"seconds": 2 + 0.05 * k, "fastest": 3.0 + 0.1 * k, "distance": 1.0} for k in range(30)]
    middle = spread(rows)
    assert not any(outliers(row, middle) for row in rows)
    assert "lasts 30.0 s" in outliers(rows[0] | {"seconds": 30.0}, middle)[0][1]
    assert "up to 40.0 m/s" in outliers(rows[0] | {"fastest": 40.0}, middle)[0][1]
    assert spread(rows[:10]) == {}


def test_statistics_count_what_is_there(dataset: Path) -> None:
    survey = Survey(MotionSet(dataset))
    survey.wait()
    counts = statistics(survey)
    assert [(s, n, c) for s, n, _, c in counts["splits"]] == [("train", 2, 2), ("val", 1, 0), ("unlisted", 1, 0)]
    assert sum(n for _, n in counts["lengths"]) == 4
    sides = {verb: (clips, left, right) for verb, clips, left, right, _ in counts["verbs"]}
    assert sides["wave"][0] == 1 and sides["wave"][1] > 0 and sides["wave"][2] == 0 and sides["kick"][1] > 0
    assert ("squats", 1) in counts["words"] and "person" not in dict(counts["words"])


def test_pages_of_a_clip_and_of_statistics(client: Any, dataset: Path) -> None:
    (dataset / "new_joints" / "damaged.npy").write_bytes(b"no array")
    rooms = client(dataset)
    page = rooms.get("/data/clip/wave").text
    assert "wave left hand" in page and "standing to standing" in page and "<b>waves" not in page
    assert rooms.get("/data/clip/damaged").status_code == 200
    assert rooms.get("/data/clip/none").status_code == 400
    assert "With caption" in rooms.get("/data/statistics").text
    assert rooms.get("/data/progress").json()["total"] == 5
