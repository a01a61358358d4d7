"""The room `train`, at its routes and without a model: recipes, orders, runs of any origin, what is refused."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motionllm import corpus as builtin
from motionllm.config import Recipe, dump_recipe, find_recipe
from motionllm.errors import MotionLLMError
from motionllm.files import holder, lock
from motionllm.motion import Motion

pytest.importorskip("httpx", reason="httpx is not installed (pip install 'motionllm[web]')")
pytest.importorskip("starlette", reason="starlette is not installed (pip install 'motionllm[web]')")
from starlette.testclient import TestClient

from motionllm.app.workbench import frame, jobs
from motionllm.app.workbench.orders import Order, Orders
from motionllm.app.workbench.run_log import POINTS, RunLog
from motionllm.app.workbench.runs import Runs
from motionllm.app.workbench.serving import application

# What a process of `motionllm train` is, seen from outside: a lock, a log that grows, an end after SIGTERM.
TRAINS = """
import signal, sys, time
from pathlib import Path
from motionllm.files import lock
run = Path(sys.argv[1])
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
with lock(run), open(run / "log.jsonl", "a") as log:
    step = 0
    while not asked:
        step += 1
        log.write('{"step": %d, "seconds": %d, "loss": 2.5, "tokens_per_second": 100, "lr": 0.001}\\n' % (step, step))
        log.flush()
        time.sleep(0.05)
(run / "checkpoint.pt").touch()
"""


def rows(first: int, last: int) -> str:
    return "".join(
        json.dumps({"step": n, "seconds": 0.5 * n, "loss": 10.0 / n, "tokens_per_second": n, "lr": 0.1}) + "\n"
        for n in range(first, last + 1)
    )


def saved(folder: Path, name: str, log: str = "", **train: Any) -> Path:
    """A run's folder as `motionllm train` leaves it."""
    run = folder / name
    run.mkdir(parents=True)
    recipe = find_recipe("recipes", "demo", [f"train.{key}={json.dumps(value)}" for key, value in train.items()])
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    (run / "log.jsonl").write_text(log)
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs", Orders(tmp_path / "runs"))


@pytest.fixture
def client(tmp_path: Path) -> Callable[..., Any]:
    def make(**bench: Any) -> TestClient:
        asgi = application(frame.Bench(runs=tmp_path / "runs", **bench))
        return TestClient(asgi, base_url="http://127.0.0.1", follow_redirects=False)

    return make


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """Starts a stand-in of `motionllm train` as a terminal does."""
    begun = []

    def start(run: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", TRAINS, str(run)])
        begun.append(process)
        wait(lambda: holder(run) is not None and (run / "log.jsonl").stat().st_size > 0)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()


def wait(true: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# -- the log


def test_a_log_is_read_as_it_grows_and_anew_where_a_resumed_run_wrote_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    assert log.read().curve()["step"] == []
    path.write_text(rows(1, 3) + '{"step": 4, "los')
    assert log.read().curve()["step"] == [1, 2, 3]
    with open(path, "a") as file:
        file.write(
            's": 9.0}\n{"step": 4, "validation": {"caption": 3.0, "all": 2.5}}\n{"step": 4, "samples": ["a.bvh"]}\n'
        )
    log.read()
    assert log.curve()["loss"][3] == 9.0
    assert log.validations == [{"step": 4, "losses": {"caption": 3.0, "all": 2.5}}]
    assert log.samples == [{"step": 4, "files": ["a.bvh"]}]
    other = tmp_path / "other"
    other.write_text(rows(1, 2))
    os.replace(other, path)
    assert log.read().curve()["step"] == [1, 2] and log.validations == []


def test_a_long_log_is_averaged_and_ends_where_it_ends(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(rows(1, 1001) + "no row\n[1]\n" + '{"step": 1002, "loss": NaN}\n')
    curve = RunLog(tmp_path / "log.jsonl").read().curve()
    assert POINTS / 2 < len(curve["step"]) <= POINTS and curve["step"][-1] == 1001 and curve["seconds"][-1] == 500.5
    assert curve["tokens_per_second"][0] == pytest.approx((1 + 2 + 3 + 4) / 4)
    assert curve["loss"][0] == pytest.approx(10 * (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, abs=1e-4)


# -- who holds a folder


def test_the_holder_of_a_lock_is_known_and_one_that_was_killed_is_none(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert holder(run) is None
    with lock(run):
        assert holder(run) == (os.getpid(), socket.gethostname())
    assert holder(run) is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for number in (ended.pid, os.getpid()):  # killed; and its number is another process's by now
        (tmp_path / ".run.lock").write_text(f"process {number} on {socket.gethostname()} (train, since then)")
        assert holder(run) is None
    with lock(run):  # nothing of that stands in the way of the next one
        assert holder(run) is not None


# -- states


def test_what_a_folder_says_of_its_run(runs: Runs) -> None:
    finished = saved(runs.folder, "finished", rows(1, 9), steps=9)
    (finished / "result.json").write_text('{"steps": 9}')
    for name in ("stopped", "resumed-since"):
        stopped = saved(runs.folder, name, rows(1, 9) + '{"step": 9, "validation": {"all": 3.5}}\n', steps=18)
        (stopped / "checkpoint.pt").touch()
    (stopped / "result.json").write_text('{"steps": 5}')
    failed = saved(runs.folder, "failed", rows(1, 2))
    (failed / "output.log").write_text("$ motionllm train\nhello\nmotionllm: error: The disk is full.\n")
    killed = saved(runs.folder, "killed", rows(1, 2))
    (killed / "output.log").write_text("$ motionllm train\ntrain killed   1.0 %\n")
    defect = runs.folder / "defect"
    defect.mkdir()
    (defect / "output.log").write_text("Traceback (most recent call last):\n  File\nValueError: no\n")
    (runs.folder / "other").mkdir()
    (runs.folder / "other" / "recipe.yaml").write_text("name: tokenizer\nsources: []\n")
    states = {run["name"]: run for run in runs.states()}
    assert {name: run["state"] for name, run in states.items()} == {
        "finished": "finished",
        "stopped": "stopped",
        "resumed-since": "stopped",
        "failed": "failed",
        "killed": "failed",
        "defect": "failed",
    }
    assert states["failed"]["why"] == "The disk is full."
    assert "killed" in states["killed"]["why"] and "ValueError: no" in states["defect"]["why"]
    assert [states[name]["resumable"] for name in ("finished", "stopped", "failed")] == [False, True, False]
    assert (states["stopped"]["done"], states["stopped"]["step"], states["stopped"]["validation"]) == (0.5, 9, 3.5)


def test_a_run_of_a_terminal_is_watched_and_stopped(
    runs: Runs, client: Any, training: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    run = saved(runs.folder, "theirs", rows(1, 1))
    os.utime(run / "log.jsonl", (0, 0))
    process = training(run)
    rooms = client()
    state = rooms.get("/train/run/theirs/state").json()
    assert state["state"] == "running" and state["curve"]["loss"] and not state["resumable"]
    for path, body in (("/train/start", {"recipe": "demo", "name": "second"}), ("/train/run/theirs/resume", {})):
        reply = rooms.post(path, json=body)
        assert reply.status_code == 400 and "theirs is training" in reply.json()["error"]
    assert not (runs.folder / "second").exists()
    assert rooms.post("/train/run/theirs/stop", json={}).status_code == 200
    process.wait(30)
    state = rooms.get("/train/run/theirs/state").json()
    assert (state["state"], state["resumable"], state["why"]) == ("stopped", True, None)
    assert "not training" in rooms.post("/train/run/theirs/stop", json={}).json()["error"]


def test_a_run_of_another_machine_is_shown_and_left_alone(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(runs.folder, "far", rows(1, 5))
    monkeypatch.setattr("motionllm.app.workbench.runs.holder", lambda _: (1, "elsewhere"))
    assert runs.states()[0]["host"] == "elsewhere" and runs.states()[0]["state"] == "running"
    with pytest.raises(MotionLLMError, match="trained on elsewhere; stop it there"):
        runs.stop("far")


# -- orders


def test_an_order_is_a_command_line_of_listed_things(tmp_path: Path) -> None:
    data = tmp_path / "my takes"
    data.mkdir()
    (tmp_path / "runs" / "first" / "adapter").mkdir(parents=True)
    own = tmp_path / "mine.yaml"
    own.write_text("data: {sources: [{kind: builtin, clips: 3}]}\n")
    projects = [tmp_path / f"{name}-project" / "recipe.yaml" for name in ("jumps", "kicks")]
    for file in projects:
        file.parent.mkdir()
        file.write_text(f"name: {file.parent.name[:5]}\ndata: {{sources: [{{kind: builtin, clips: 3}}]}}\n")
    orders = Orders(tmp_path / "runs", [str(own), *map(str, projects)], [data])
    assert orders.command(Order(recipe="kicks", name="kicks"))[1] == str(projects[1])
    assert orders.command(Order(recipe="mine", name="a", minutes=2.5, rank=8, start="first")) == [
        "train",
        str(own),
        "train.minutes=2.5",
        "adapter.rank=8",
        f'adapter.start="{tmp_path}/runs/first"',
        "--out",
        str(tmp_path / "runs" / "a"),
    ]
    words = orders.command(Order(recipe="own", name="b", data="my takes", minutes=None, samples=["winkt, 'so'"]))
    assert f'data.sources.0.path="{data}"' in words and "train.minutes=null" in words
    recipe: Recipe = find_recipe("recipes", "own", [word for word in words[2:] if "=" in word])
    assert (recipe.train.minutes, recipe.train.samples) == (None, ["winkt, 'so'"])
    assert recipe.data.sources[0].path == str(data)
    about = {one["name"]: one for one in orders.recipes()}
    assert [*about][:3] == ["mine", "jumps", "kicks"] and "improve-builtin" not in about
    assert about["builtin"]["about"].startswith("Quick start") and about["builtin"]["needs"].startswith("2 CPU cores")
    assert about["own"]["needs"].endswith("model.tokenizer=tokenizer/bandai.yaml.")  # of two lines
    assert about["own"]["unset"] == ["data.sources.0.path"] and about["builtin"]["unset"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"recipe": "bultin", "name": "a"}, "did you mean 'builtin'"),
        ({"recipe": "/etc/passwd", "name": "a"}, "no recipe is called '/etc/passwd'"),
        ({"recipe": "builtin", "name": "../a"}, "`name`: a name becomes a folder's"),
        ({"recipe": "builtin", "name": "a", "start": "/etc"}, "no adapter is called '/etc'"),
        ({"recipe": "own", "name": "a"}, "start the page with `motionllm web --data FOLDER`"),
        ({"recipe": "builtin", "name": "a", "minutes": -1}, "`minutes` should be greater than 0"),
        ({"recipe": "builtin", "name": "a", "steps": None}, "`train.steps` should be a valid integer"),
        ({"recipe": "builtin", "name": "a", "model.base": "/x"}, "unknown key `model.base`"),
        ({"recipe": "builtin", "name": "a", "report_to": "wandb"}, "unknown key `report_to`"),
        ({"name": "a"}, "`recipe` is missing"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_starts_nothing(
    client: Any, tmp_path: Path, body: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "start", lambda *_: pytest.fail("a process was started"))
    for path in ("/train/start", "/train/plan"):
        reply = client().post(path, json=body)
        assert reply.status_code == 400 and words in reply.json()["error"] and "\n" not in reply.json()["error"]
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_there_is_not_written_to(client: Any, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start", lambda *_: pytest.fail("a process was started"))
    (saved(runs.folder, "trained", rows(1, 3)) / "checkpoint.pt").touch()
    (runs.folder / "other").mkdir()
    for name, words in (("trained", "resume it"), ("other", "another folder")):
        reply = client().post("/train/start", json={"recipe": "demo", "name": name})
        assert reply.status_code == 400 and words in reply.json()["error"]
    saved(runs.folder, "early", rows(1, 3))
    assert "no checkpoint" in client().post("/train/run/early/resume", json={}).json()["error"]


def test_whoever_comes_over_the_network_starts_and_stops_nothing(client: Any, runs: Runs) -> None:
    saved(runs.folder, "a", rows(1, 2))
    rooms = client(network=True)
    for path in ("start", "plan", "run/a/stop", "run/a/resume"):
        reply = rooms.post(f"/train/{path}", json={"recipe": "demo", "name": "b"})
        assert reply.status_code == 403 and "use a terminal" in reply.json()["error"]
    assert rooms.get("/train/run/a/state").status_code == 200


# -- pages, samples, processes


def test_the_pages_show_recipes_and_runs_and_escape_them(client: Any, runs: Runs, tmp_path: Path) -> None:
    assert "No run yet" in client().get("/train").text
    saved(runs.folder, "<b>run", rows(1, 4), samples=["<i>waves"])
    rooms = client()
    page = rooms.get("/train").text
    assert "&lt;b&gt;run" in page and "<b>run" not in page
    assert rooms.get("/train/run/%3Cb%3Erun").status_code == 200
    assert rooms.get("/train/run/none").status_code == 400 and "no run is called" in rooms.get("/train/run/none").text
    page = rooms.get("/train/new").text
    for name in ("builtin", "demo", "own"):
        assert f'value="{name}"' in page
    assert "improve-" not in page
    assert "motionllm web --data FOLDER" in page


def test_samples_are_figures_and_no_other_file_is_read(client: Any, runs: Runs) -> None:
    run = saved(runs.folder, "a", rows(1, 2))
    (run / "samples").mkdir()
    wave = Motion(builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1))
    wave.save(run / "samples" / "000002_1.bvh")
    wave.save(run / "samples" / "other.bvh")
    rooms = client()
    reply = rooms.get("/train/run/a/sample/000002_1.bvh").json()
    assert len(reply["joints"]) == 66 * len(wave) and reply["fps"] == pytest.approx(20.0)
    for name in ("other.bvh", "000003_1.bvh", "..%2F..%2Frecipe.yaml", "..%2Flog.jsonl"):
        assert rooms.get(f"/train/run/a/sample/{name}").status_code in (400, 404)


def test_a_job_runs_its_verbs_in_turn_outlives_its_terminal_and_its_last_words_are_kept(tmp_path: Path) -> None:
    process = jobs.start([["recipes", "show", "demo"], ["recipes", "show", "nothing"]], tmp_path)
    assert os.getsid(process.pid) != os.getsid(0)
    assert process.wait(60) == 2
    assert any("make demo" in line for line in jobs.printed(tmp_path))
    assert (jobs.last_words(tmp_path) or "").startswith("no recipe 'nothing'")
    assert jobs.start([["recipes", "show", "demo"]], tmp_path).wait(60) == 0
    assert not any("nothing" in line for line in jobs.printed(tmp_path))  # what an earlier job printed is its own
