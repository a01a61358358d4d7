"""The page, in a real browser where there is one: a prompt moves a figure, files go down and up, visitors are apart."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from motionllm import MotionLM, MotionTokenizer
from motionllm.config import Recipe
from motionllm.data import builtin
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.serve import web

if TYPE_CHECKING:
    from conftest import Browser, Page

pytest.importorskip("gradio", reason="gradio is not installed (pip install 'motionllm[web]')")

CLIP = "(document.querySelector('#clip textarea') || {value: ''}).value"


@pytest.fixture(scope="module")
def lm(tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe]) -> MotionLM:
    """One that moves as its random weights have it; what it says is plain, for it is the page that is tested."""
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    lm: Any = MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))
    lm.model = lm.model.merge_and_unload().eval()
    lm.moves = lambda messages: not messages[-1]["content"].endswith("?")
    lm.ask = lambda motion, question: f"{motion.duration:.1f} s of something"
    lm.caption = lambda motion: f"{len(motion)} frames pass"
    return lm


@pytest.fixture(scope="module")
def served(lm: MotionLM) -> Iterator[Any]:
    with socket.socket() as free:
        free.bind((web.LOOPBACK, 0))
        port = free.getsockname()[1]
    page = web.serve(lm, port=port, megabytes=1.0, wait=False)
    yield SimpleNamespace(page=page, port=port, address=f"http://{web.LOOPBACK}:{port}")
    page.close()


def visit(browser: Browser, served: Any) -> Page:
    page = browser.open(served.address)
    page.until("!!(document.querySelector('#line textarea') && document.querySelector('#upload input[type=file]'))")
    return page


def say(page: Page, line: str, expected: str) -> None:
    page.write("#line textarea", line)
    page.click("#send")
    page.until(f"document.querySelector('#talk').innerText.includes({json.dumps(expected)})")


def view(page: Page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.picture())).convert("RGB"), int)[20:440, 610:1070]


def test_a_prompt_becomes_a_moving_figure_and_files_that_open(browser: Browser, served: Any, tmp_path: Path) -> None:
    page = visit(browser, served)
    page.run(
        "window.seen = []; setInterval(() => { const text = "
        + CLIP
        + "; if (!text) return; const c = JSON.parse(text);"
        "if (!seen.length || seen.at(-1)[0] !== c.joints.length) seen.push([c.joints.length, c.done]); }, 20)"
    )
    page.write("#seconds textarea", "9")
    page.write("#seed textarea", "3")
    say(page, "a person bows", "a person bows (9.0 s)")
    page.until("seen.length && seen.at(-1)[1]")
    seen = page.run("seen")
    assert seen[-1] == [180 * 66, True]
    assert not seen[0][1] and seen[0][0] < 180 * 66  # the figure moves while its motion is written
    early = view(page)
    # The body's left and right are there in their colours, and it moves.
    for colour in ((217, 105, 42), (43, 108, 184)):
        assert (np.abs(early.reshape(-1, 3) - colour).sum(1) < 120).sum() > 200
    page.run("window.waited = false; setTimeout(() => { waited = true; }, 700)")
    page.until("waited")
    assert (np.abs(view(page) - early).sum(-1) > 60).sum() > 200
    stored = json.loads(page.run(CLIP))
    for suffix in (".bvh", ".npy", ".glb", ".mp4"):
        page.run("document.querySelectorAll('#file a').forEach(a => a.remove())")
        page.run(f"[...document.querySelectorAll('#suffix input')].find(i => i.value === '{suffix}').click()")
        page.click("#make")
        link = page.until(
            "(() => { const a = [...document.querySelectorAll('#file a')].find(a => a.href.includes('motion" + suffix
            + "')); return a && a.href; })()"
        )  # fmt: skip
        page.run(
            "window.got = null; fetch("
            + json.dumps(link)
            + ").then(r => r.blob()).then(b => { const f = new FileReader();"
            "f.onload = () => { got = f.result.split(',')[1]; }; f.readAsDataURL(b); })"
        )
        content = base64.b64decode(page.until("window.got"))
        (tmp_path / f"motion{suffix}").write_bytes(content)
    joints = Motion.load(tmp_path / "motion.npy").joints
    assert np.abs(np.reshape(stored["joints"], (-1, 22, 3)) / 1000 - joints).max() < 1e-3
    assert Motion.load(tmp_path / "motion.bvh").duration == pytest.approx(9.0)
    assert (tmp_path / "motion.glb").read_bytes()[:4] == b"glTF"
    assert (tmp_path / "motion.mp4").read_bytes()[4:8] == b"ftyp"


def test_three_turns(browser: Browser, served: Any, lm: MotionLM) -> None:
    page = visit(browser, served)
    page.write("#seconds textarea", "1.5")
    say(page, "a person walks forward", "forward (1.5 s)")
    before = page.run(CLIP)
    say(page, "What does the person do?", "1.5 s of something")
    assert page.run(CLIP) == before
    say(page, "now slower, and wave at the end", "a person walks forward slowly, then they wave (4.1 s)")
    page.until(f"JSON.parse({CLIP}).joints.length === 82 * 66")


def test_a_clip_goes_up_and_is_described_and_a_broken_one_is_refused(
    browser: Browser, served: Any, lm: MotionLM, tmp_path: Path
) -> None:
    wave = Motion(builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1))
    wave.save(tmp_path / "wave.bvh")
    (tmp_path / "half.bvh").write_bytes((tmp_path / "wave.bvh").read_bytes()[:3000])
    np.save(tmp_path / "nan.npy", np.full((30, 22, 3), np.nan, np.float32))
    np.save(tmp_path / "large.npy", np.zeros((5000, 22, 3), np.float32))
    page = visit(browser, served)
    page.give("#upload input[type=file]", tmp_path / "half.bvh")
    page.until("document.querySelector('#talk').innerText.includes('half.bvh:')")
    assert "/tmp" not in page.run("document.querySelector('#talk').innerText")
    for other in ("nan.npy", "wave.bvh"):
        page = visit(browser, served)
        page.give("#upload input[type=file]", tmp_path / other)
        page.until(f"document.querySelector('#talk').innerText.includes('{other}:')")
    said = page.run("document.querySelector('#talk').innerText")
    assert f"wave.bvh: {wave.duration:.1f} s" in said and f"{len(wave)} frames pass" in said
    page.until(f"JSON.parse({CLIP} || '{{\"joints\": []}}').joints.length === {66 * len(wave)}")
    page = visit(browser, served)
    page.give("#upload input[type=file]", tmp_path / "large.npy")  # 1.3 MB, where 1 is the limit
    page.until("document.body.innerText.toLowerCase().includes('exceeds') || document.body.innerText.includes('size')")
    assert page.run(CLIP) == ""


def test_two_visitors_see_nothing_of_each_other(browser: Browser, served: Any) -> None:
    first, second = visit(browser, served), visit(browser, served)
    for page in (first, second):
        page.write("#seconds textarea", "1")
    first.write("#line textarea", "a person bows")
    first.click("#send")
    say(second, "a person jumps", "a person jumps (1.0 s)")
    first.until("document.querySelector('#talk').innerText.includes('a person bows (1.0 s)')")
    assert "jumps" not in first.run("document.querySelector('#talk').innerText")
    assert "bows" not in second.run("document.querySelector('#talk').innerText")
    assert first.run(CLIP) != second.run(CLIP)
    say(first, "/history", "\u203a a person bows")
    assert "jumps (" not in first.run("document.querySelector('#talk').innerText")
    # Nor of the server's files: the conversation reads and writes none.
    say(second, "/load /etc/passwd", "no command is called '/load'")
    say(second, "/save x.bvh", "no command is called '/save'")


def test_wrong_settings_are_said_and_the_page_goes_on(browser: Browser, served: Any) -> None:
    page = visit(browser, served)
    page.write("#seconds textarea", "soon")
    say(page, "a person bows", "'soon' is no duration")
    page.write("#seconds textarea", "1")
    page.write("#seed textarea", "-1")
    say(page, "a person bows", "A seed is a whole number")
    page.write("#seed textarea", "")
    say(page, "a person bows", "a person bows (1.0 s)")


def test_the_page_is_for_this_machine_alone(served: Any) -> None:
    assert web.LOOPBACK == "127.0.0.1"
    with socket.create_connection((web.LOOPBACK, served.port), timeout=5):
        pass
    own = socket.gethostbyname(socket.gethostname())
    if not own.startswith("127."):
        with pytest.raises(OSError):
            socket.create_connection((own, served.port), timeout=2)


def test_a_taken_port_is_one_sentence(served: Any, lm: MotionLM) -> None:
    with pytest.raises(MotionLLMError, match="--port"):
        web.serve(lm, port=served.port, wait=False)


@pytest.mark.parametrize(
    ("name", "frames", "uploads", "words"),
    [("a.sh", 30, 1, "read from"), ("long.npy", 12100, 1, "605 s"), ("a.npy", 30, 51, "50 clips"),
     ("big.npy", 25000, 1, "MB")],
)  # fmt: skip
def test_uploads_are_bounded(name: str, frames: int, uploads: int, words: str, tmp_path: Path) -> None:
    with open(tmp_path / name, "wb") as file:
        np.save(file, np.zeros((frames, 22, 3), np.float32))
    with pytest.raises(MotionLLMError, match=words):
        web._read(tmp_path / name, 5.0, uploads)
