"""The room `label`: at its routes, and in a browser, by keyboard, with a server that is killed in the middle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from motionllm import corpus as builtin

if TYPE_CHECKING:
    from conftest import Browser, Page

pytest.importorskip("httpx", reason="httpx is not installed (pip install 'motionllm[web]')")
pytest.importorskip("starlette", reason="starlette is not installed (pip install 'motionllm[web]')")
from starlette.testclient import TestClient

from motionllm.app.workbench.frame import Bench
from motionllm.app.workbench.serving import application, serve_rooms

KEYS = {"Enter": 13, "PageDown": 34, "PageUp": 33, "Backspace": 8, "Tab": 9}


@pytest.fixture(scope="session")
def waves() -> dict[str, np.ndarray]:
    """Joints of one clip with each hand."""
    return {side: builtin.joints(builtin.Spec((builtin.Part("wave", side=side),))) for side in ("left", "right")}


@pytest.fixture
def make_set(waves: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """A set of so many clips without a text, waving with the left and the right hand by turns."""
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))

    def make(count: int) -> Path:
        folder = tmp_path / "takes"
        (folder / "new_joints").mkdir(parents=True)
        names = [f"take_{k:02d}" for k in range(count)]
        for k, name in enumerate(names):
            np.save(folder / "new_joints" / f"{name}.npy", waves["left" if k % 2 == 0 else "right"])
        (folder / "train.txt").write_text("".join(f"{name}\n" for name in names))
        return folder

    return make


def person(folder: Path, bench: Bench | None = None, app: Any = None) -> TestClient:
    client = TestClient(app or application(bench or Bench(data=folder)), base_url="http://127.0.0.1")
    assert client.get("/label").status_code == 200
    return client


def text_of(folder: Path, name: str) -> str:
    path = folder / "texts" / f"{name}.txt"
    return path.read_text() if path.exists() else ""


# -- at the routes ------------------------------------------------------------------------------------------


def test_a_clip_comes_with_drafts_and_is_written_to_the_set(make_set: Any) -> None:
    folder = make_set(3)
    anna = person(folder)
    clip = anna.get("/label/clip/take_01").json()
    assert clip["text"] == "" and "waves" in clip["sentences"][0] and "right hand" in clip["sentences"][0]
    assert len(clip["clip"]["joints"]) % 66 == 0 and (clip["number"], clip["total"], clip["left"]) == (2, 3, 3)
    given = {"id": "take_01", "text": "a person waves with the left hand", "version": "", "at": 5}
    (hint,) = anna.post("/label/keep", json=given).json()["hints"]
    assert hint["text"] == "a person waves with the right hand" and text_of(folder, "take_01") == ""
    reply = anna.post("/label/save", json=given | {"text": hint["text"], "at": 6, "queue": "open"}).json()
    assert text_of(folder, "take_01") == "a person waves with the right hand##0.0#0.0\n"
    assert (reply["next"], reply["left"]) == ("take_02", 2)
    assert anna.get("/label/next?after=take_02&queue=open").json()["id"] == "take_00"


def test_the_next_clip_that_shows_the_same_is_drafted_in_the_words_of_the_last(make_set: Any) -> None:
    folder = make_set(3)
    anna = person(folder, Bench(data=folder))
    measured = anna.get("/label/clip/take_00").json()["sentences"]
    given = {"id": "take_00", "text": "the greeting, left hand\n0-1: it begins", "version": "", "at": 5}
    assert anna.post("/label/save", json=given).status_code == 200
    again = anna.get("/label/clip/take_02").json()
    assert again["sentences"] == ["the greeting, left hand", *measured]
    assert again["used"] == {"the greeting, left hand": "take_00"} and again["exchanged"] == []
    mirrored = anna.get("/label/clip/take_01").json()
    assert mirrored["sentences"][0] == mirrored["exchanged"][0] == "the greeting, right hand"
    assert anna.get("/label/clip/take_00").json()["used"] == {}


def test_two_people_are_given_different_clips_and_neither_overwrites_the_other(make_set: Any) -> None:
    folder = make_set(2)
    app = application(Bench(data=folder))
    anna, ben = person(folder, app=app), person(folder, app=app)
    anna.get("/label/clip/take_00")
    assert ben.get("/label/next?queue=open").json()["id"] == "take_01"
    assert (
        ben.get("/label/clip/take_00").json()["elsewhere"] and not anna.get("/label/clip/take_00").json()["elsewhere"]
    )
    first = {"id": "take_00", "text": "anna's", "version": "", "at": 1}
    assert anna.post("/label/save", json=first).status_code == 200
    refused = ben.post("/label/save", json=first | {"text": "ben's", "at": 2})
    assert (
        refused.status_code == 409 and refused.json()["text"] == "anna's" and "both are kept" in refused.json()["error"]
    )
    assert text_of(folder, "take_00") == "anna's##0.0#0.0\n"
    kept = ben.get("/label/clip/take_00").json()
    assert (kept["text"], kept["draft"], kept["draft_version"]) == ("anna's", "ben's", "")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"id": "../take_00"}, 400),
        ({"id": 3}, 400),
        ({"at": "now"}, 400),
        ({"at": -1}, 400),
        ({"text": ["a"]}, 400),
        ({"text": "x" * 5000}, 400),
        ({"version": None}, 400),
    ],
)
def test_what_is_no_text_is_refused(make_set: Any, change: dict[str, Any], status: int) -> None:
    folder = make_set(1)
    anna = person(folder)
    reply = anna.post("/label/save", json={"id": "take_00", "text": "waves", "version": "", "at": 1} | change)
    assert reply.status_code == status and reply.json()["error"].endswith(".")
    assert text_of(folder, "take_00") == "" and not (folder / ".labelling").exists()


def test_without_the_cookie_or_from_another_site_nothing_is_written(make_set: Any) -> None:
    folder = make_set(1)
    anna = person(folder)
    given = {"id": "take_00", "text": "waves", "version": "", "at": 1}
    assert anna.post("/label/save", json=given, headers={"origin": "http://elsewhere.example"}).status_code == 403
    anna.cookies.clear()
    assert anna.post("/label/save", json=given).status_code == 403
    anna.cookies.set("labelling", "../../../../etc")
    assert anna.post("/label/save", json=given).status_code == 403
    assert text_of(folder, "take_00") == ""


def test_a_damaged_clip_is_said_and_passed(make_set: Any) -> None:
    folder = make_set(2)
    (folder / "new_joints" / "take_00.npy").write_bytes(b"no array")
    clip = person(folder).get("/label/clip/take_00").json()
    assert clip["clip"] is None and clip["sentences"] == [] and "array" in clip["doubts"][0]


# -- in a browser -------------------------------------------------------------------------------------------


class Server:
    """`motionllm web --data FOLDER --no-model` as a process of its own, on one port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/label"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = "import sys; from motionllm.cli import main; sys.exit(main())"
        options = ["web", "--data", str(self.folder), "--no-model", "--port", str(self.port)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen([sys.executable, "-c", command, *options], env=environment)
        end = time.monotonic() + 300  # on a machine that is busy with other work
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < end
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def rooms(make_set: Any) -> Iterator[Callable[[int], SimpleNamespace]]:
    """The rooms served in this process: folder and address of a set of so many clips."""
    served: list[Any] = []

    def start(count: int) -> SimpleNamespace:
        folder = make_set(count)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        served.append(serve_rooms(port=port, wait=False, data=folder))
        return SimpleNamespace(folder=folder, address=f"http://127.0.0.1:{port}/label")

    yield start
    for one in served:
        one.close()


@pytest.fixture
def server(make_set: Any) -> Iterator[Callable[[int], Server]]:
    started: list[Server] = []

    def start(count: int) -> Server:
        started.append(Server(make_set(count)))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.kill()


def press(page: Page, key: str, modifiers: int = 0) -> None:
    """A key of KEYS, or a letter with modifiers (1: Alt, 8: Shift), as a keyboard sends it."""
    code = key if key in KEYS else f"Key{key.upper()}" if key.isalpha() else f"Digit{key}"
    number = KEYS.get(key) or ord(key.upper())
    values = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
    text = {"text": "\r"} if key == "Enter" else {}
    page.browser.call("Input.dispatchKeyEvent", page.session, type="keyDown", **values, **text)
    page.browser.call("Input.dispatchKeyEvent", page.session, type="keyUp", **values)


def type_(page: Page, text: str) -> None:
    for letter in text:
        page.browser.call("Input.dispatchKeyEvent", page.session, type="keyDown", key=letter, text=letter)
        page.browser.call("Input.dispatchKeyEvent", page.session, type="keyUp", key=letter)


def visit(browser: Browser, address: str) -> Page:
    page = browser.open(address)
    browser.call("Emulation.setFocusEmulationEnabled", page.session, enabled=True)
    page.until("document.activeElement?.id === 'text' && document.querySelector('#text')?.value")
    return page


def shown(page: Page, name: str) -> None:
    page.until(f"document.querySelector('#name').textContent === '{name}' && !busy")


def test_by_keyboard(browser: Browser, rooms: Any) -> None:
    running = rooms(4)
    page = visit(browser, running.address)
    press(page, "Enter")  # the draft, as it is
    shown(page, "take_01")
    assert "waves with the left hand" in text_of(running.folder, "take_00")
    type_(page, "someone waves")  # over the draft, which is selected
    page.until("!!document.querySelector('#hints button')")
    press(page, "x", 1)
    press(page, "Enter", 8)
    type_(page, "0-1: hello")
    press(page, "Enter")
    shown(page, "take_02")
    right = "someone waves with the right hand##0.0#0.0\nhello##0.0#1.0\n"
    assert text_of(running.folder, "take_01") == right
    press(page, "PageUp")
    shown(page, "take_01")
    assert page.run("text.value") == "someone waves with the right hand\n0-1: hello"
    press(page, "PageDown")
    shown(page, "take_02")
    first = page.run("text.value")
    press(page, "w", 1)
    assert page.run("text.value") not in ("", first)
    press(page, "1", 1)
    now = page.run("text.value")
    assert now.startswith("someone ") and now.endswith(" and then waves with the left hand three times")
    page.until("byBox.get(large).now > 0.1 && !byBox.get(large).paused")  # the figure moves
    press(page, "p", 1)
    page.until("byBox.get(large).paused && document.querySelector('#play').textContent === 'Play'")


def test_a_conflict_is_shown_and_nothing_is_saved_until_one_has_chosen(browser: Browser, rooms: Any) -> None:
    running = rooms(2)
    page = visit(browser, running.address)
    type_(page, "mine")
    (running.folder / "texts").mkdir(exist_ok=True)
    (running.folder / "texts" / "take_00.txt").write_text("theirs##0.0#0.0\n")
    press(page, "Enter")
    page.until("!document.querySelector('#conflict').hidden")
    assert page.run("document.activeElement.id") == "both"
    page.run("text.focus()")
    press(page, "Enter")
    page.until("document.querySelector('#status').textContent.includes('Choose')")
    assert text_of(running.folder, "take_00") == "theirs##0.0#0.0\n"
    page.run("location.reload()")
    page.until("document.readyState === 'complete' && document.querySelector('#theirs').textContent === 'theirs'")
    assert page.run("text.value") == "mine"
    page.click("#both")
    press(page, "Enter")
    shown(page, "take_01")
    assert text_of(running.folder, "take_00") == "theirs##0.0#0.0\nmine##0.0#0.0\n"


def test_every_page_is_usable_by_screen_reader_and_on_a_phone(browser: Browser, rooms: Any) -> None:
    running = rooms(2)
    (running.folder / "texts").mkdir()
    (running.folder / "texts" / "take_00.txt").write_text("someone waves with the right hand\n")  # a suspect
    page = visit(browser, f"{running.address}?clip=take_00")
    page.run("conflict('another text', ''); document.querySelector('.keys').open = true")
    place = running.address.removesuffix("/label")
    for path in ("/label", "/data", "/data/clip/take_00", "/data/statistics"):
        if path != "/label":
            page.browser.call("Page.navigate", page.session, url=place + path)
            page.until(f"location.pathname === '{path}' && document.readyState === 'complete'")
        assert page.faults() == [], path
    for path in ("/data", "/data/clip/take_00", "/data/statistics", "/label"):
        page.phone()
        page.browser.call("Page.navigate", page.session, url=place + path)
        page.until(f"location.pathname === '{path}' && document.readyState === 'complete'")
        assert page.run("document.documentElement.scrollWidth") <= 390, path


@pytest.mark.slow
def test_thirty_clips_by_keyboard_with_the_server_killed_in_the_middle(
    browser: Browser, server: Callable[[int], Server]
) -> None:
    running = server(30)
    page = visit(browser, running.address)
    expected = {}
    for k in range(30):
        name = f"take_{k:02d}"
        shown(page, name)
        written = f"clip {k}, a person waves with the {'left' if k % 2 == 0 else 'right'} hand"
        expected[name] = f"{written}##0.0#0.0\n"
        type_(page, written[:12])
        if k == 9:  # killed while a text is typed; typed on, accepted, and reloaded from a server that is back
            running.kill()
            type_(page, written[12:])
            page.until("document.querySelector('#kept').textContent.includes('cannot be reached')")
            press(page, "Enter")
            running.start()
        elif k == 14:  # killed with a draft; the page is closed, the server started again, the page opened again
            time.sleep(0.5)
            running.kill()
            type_(page, written[12:])
            page.browser.call("Page.navigate", page.session, url="about:blank")
            running.start()
            page.browser.call("Page.navigate", page.session, url=running.address)
            page.until("document.readyState === 'complete' && document.activeElement?.id === 'text'")
            shown(page, name)
            assert page.run("text.value") == written
            press(page, "Enter")
        elif k == 19:  # killed between Enter and the answer
            type_(page, written[12:])
            press(page, "Enter")
            running.kill()
            running.start()
        else:
            type_(page, written[12:])
            press(page, "Enter")
    page.until("!document.querySelector('#done').hidden")
    assert {name: text_of(running.folder, name) for name in expected} == expected
