"""The rooms `train` and `compare` in a real browser with a real model: a run from start to end, a blind vote."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

pytest.importorskip("starlette", reason="starlette is not installed (pip install 'motionllm[web]')")

from motionllm.app.guard import LOOPBACK
from motionllm.app.workbench.serving import serve_rooms
from motionllm.config import Recipe
from motionllm.files import holder
from motionllm.runs.run import losses

if TYPE_CHECKING:
    from conftest import Browser, Page

pytestmark = pytest.mark.slow  # each trains a model in a process of its own


@pytest.fixture
def serve(
    tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> Iterator[Callable[[], Any]]:
    """Starts a server of the rooms with a tiny recipe; `close` ends it, and it may be started again."""
    recipe = tmp_path / "tiny.yaml"
    tree = tiny_recipe(tiny_base, tiny_tokenizer, steps=100_000, minutes=30.0, validate_every=10, validate_examples=4)
    recipe.write_text("# A model of seconds.\n" + yaml.safe_dump(tree.model_dump(exclude_unset=True)))
    started: list[Any] = []

    def start() -> Any:
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            port = free.getsockname()[1]
        rooms = serve_rooms(port=port, wait=False, runs=tmp_path / "runs", recipes=[str(recipe)])
        started.append(rooms)
        return SimpleNamespace(address=f"http://{LOOPBACK}:{port}", runs=tmp_path / "runs", close=rooms.close)

    yield start
    for rooms in started:
        rooms.close()
    for run in (tmp_path / "runs").glob("*"):
        end = time.monotonic() + 60
        while process := holder(run):  # no test leaves a process behind
            with contextlib.suppress(OSError):
                os.kill(process[0], 9)
            assert time.monotonic() < end
            time.sleep(0.1)


def press(page: Page, key: str) -> None:
    """A key as the keyboard gives it, wherever the focus is."""
    codes = {"Enter": 13, "Tab": 9, " ": 32}
    event = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
    text = {"Enter": "\r"}.get(key, key) if key != "Tab" else None
    page.browser.call(
        "Input.dispatchKeyEvent", page.session, type="keyDown", **event, **({"text": text} if text else {})
    )
    page.browser.call("Input.dispatchKeyEvent", page.session, type="keyUp", **event)


def state(page: Page, wanted: str, seconds: float = 600.0) -> None:
    page.until(f"document.querySelector('.badge').textContent.startsWith({json.dumps(wanted)})", seconds)


def usable(page: Page) -> None:
    """On a phone nothing sticks out to the side, and axe finds nothing grave; back at the desktop's width."""
    page.phone()
    page.until("innerWidth <= 400")
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.faults() == []
    page.browser.call("Emulation.clearDeviceMetricsOverride", page.session)


def test_a_run_is_started_watched_stopped_and_resumed_and_outlives_the_server(
    browser: Browser, serve: Callable[[], Any]
) -> None:
    served = serve()
    page = browser.open(f"{served.address}/train/new")
    page.until("typeof order === 'function' && !!chosen()")
    usable(page)
    page.click("#plan")
    page.until("document.querySelectorAll('#planned table').length === 3", 600)
    assert "steps of" in page.run("planned.innerText") and "motionllm train" in page.run("planned.innerText")
    page.write("[name=name]", "../up")
    page.click("#start")
    page.until("problem.textContent.includes('a name becomes a folder')")
    page.write("[name=name]", "first")
    page.write("[name=samples]", "a person waves\na person jumps")
    page.click("#start")
    page.until("location.pathname === '/train/run/first' && typeof look === 'function' && !!run", 60)
    state(page, "training")
    page.until("run.validations.length > 1 && document.querySelectorAll('#samples .player canvas').length === 2", 600)
    page.until("document.querySelectorAll('#loss polyline').length === 3")
    assert page.run("document.querySelector('#loss-read').textContent").startswith("step ")
    assert [page.run(f"run.texts[{i}]") for i in (0, 1)] == ["a person waves", "a person jumps"]
    usable(page)

    served.close()  # the run goes on without a server, and a new server finds it
    before = max(losses(served.runs / "first" / "log.jsonl"))
    end = time.monotonic() + 120
    while max(losses(served.runs / "first" / "log.jsonl")) < before + 5:
        assert time.monotonic() < end
        time.sleep(0.2)
    served = serve()
    page = browser.open(f"{served.address}/train")
    page.until("!!document.querySelector('[data-run=first]')")
    usable(page)
    page = browser.open(f"{served.address}/train/run/first")
    page.until("typeof look === 'function' && !!run && !stop.hidden")
    page.run("stop.focus()")
    press(page, "Enter")
    state(page, "stopped")
    stopped = max(losses(served.runs / "first" / "log.jsonl"))
    assert holder(served.runs / "first") is None
    page.until("!resume.hidden")
    page.write("#again [name=steps]", str(stopped + 20))
    page.click("#resume")
    state(page, "finished")
    steps = losses(served.runs / "first" / "log.jsonl")
    assert list(steps) == list(range(1, stopped + 21))  # every step once: nothing was lost, nothing done twice
    page.until(f"run.step === {stopped + 20} && run.done === 1")


def test_a_run_that_fails_says_why(browser: Browser, serve: Callable[[], Any], tiny_base: Path) -> None:
    served = serve()
    kept = tiny_base.with_name("kept")
    page = browser.open(f"{served.address}/train/new")
    page.until("typeof order === 'function' && !!chosen()")
    tiny_base.rename(kept)
    try:
        page.click("#start")
        page.until("location.pathname === '/train/run/tiny' && typeof look === 'function'")
        state(page, "failed")
        page.until("problem.textContent.length > 20")
        assert "Traceback" not in page.run("problem.textContent")
    finally:
        kept.rename(tiny_base)


@pytest.mark.parametrize("trained_run", ["tied"], indirect=True)
def test_two_adapters_are_compared_blind_by_keyboard(
    browser: Browser, serve: Callable[[], Any], trained_run: tuple[Path, Path]
) -> None:
    served = serve()
    for name in ("one", "two"):
        shutil.copytree(trained_run[0], served.runs / name)
    page = browser.open(f"{served.address}/compare")
    page.until("typeof propose === 'function'")
    usable(page)
    for number, name in enumerate(("one", "two")):
        page.run(f"form.elements.adapter{number}.value = '{name}'")
    page.write("[name=name]", "trial")
    page.write("[name=prompts]", "a person waves\na person jumps\na person kicks")
    page.write("[name=seconds]", "2")
    page.write("[name=temperature1]", "0.5")
    page.run("form.requestSubmit()")
    page.until("location.pathname === '/compare/of/trial' && typeof look === 'function'", 60)
    page.until(
        "!!ballot && ballot.pairs.length === 3 && document.querySelectorAll('#voting .player[data-clip]').length === 2",
        240,
    )
    assert "temperature" not in page.run("document.documentElement.outerHTML")
    usable(page)
    one, other = (f"byBox.get(boxes[{i}])" for i in (0, 1))
    page.until(f"{one}.now > 0.3")
    assert page.run(f"{one}.now === {other}.now && {one}.turn === {other}.turn")
    page.run("document.body.focus()")
    for count, key in enumerate(("1", "3", "2"), 1):
        press(page, key)
        page.until(f"!busy && ballot.pairs.filter(pair => pair.vote).length === {count}")
    press(page, "Enter")  # the focus is on "Show the result"
    page.until("!document.querySelector('#result').hidden")
    text = page.run("document.querySelector('#result').innerText")
    assert "one" in text and "two, temperature 0.5" in text and "1 vote says that both are equal" in text
    usable(page)
    page.click("#pairs button")  # seen again, with names
    page.until("document.querySelectorAll('#watched:not([hidden]) canvas').length === 2")
    captions = page.run("[...document.querySelectorAll('#watched figcaption')].map(caption => caption.textContent)")
    assert sorted(captions) == ["one", "two, temperature 0.5"]
    votes = [
        json.loads(line) for line in (served.runs / "comparisons" / "trial" / "votes.jsonl").read_text().splitlines()
    ]
    assert [row.get("vote") for row in votes] == ["left", "right", "equal", None] and votes[3]["ended"]
    page.run("location.reload()")
    page.until("typeof ballot !== 'undefined' && !!ballot && ballot.ended && !document.querySelector('#result').hidden")
    assert page.run("document.querySelector('#voting').hidden")
