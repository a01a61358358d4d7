"""The page, in a real browser where there is one: a prompt moves a figure, files go down and up, visitors are apart."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import re
import secrets
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from motionllm import MotionLM, MotionTokenizer
from motionllm import corpus as builtin
from motionllm.app import visitors, web
from motionllm.app.chat import Chat
from motionllm.config import Network, Notes, Recipe
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.skeleton import KIT

if TYPE_CHECKING:
    from conftest import Browser, Guest, Page

pytest.importorskip("gradio", reason="gradio is not installed (pip install 'motionllm[web]')")

WAVE = builtin.Spec((builtin.Part("wave", side="left"),))
CLIP = "(document.querySelector('#clip textarea') || {value: ''}).value"


@pytest.fixture(scope="module")
def lm(tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe]) -> MotionLM:
    """One that moves as its random weights have it; what it says is plain, for it is the page that is tested."""
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    lm: Any = MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))
    lm = lm.with_model(lm.model.merge_and_unload().eval())
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
    for there in ("#line textarea", "#upload input[type=file]", "#candidates input[type=number]"):
        page.until(f"!!document.querySelector({there!r})")
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
    page.write("#candidates input[type=number]", "1")
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
            "(() => { const a = [...document.querySelectorAll('#file a')].find(a => a.href.includes('motion"
            + suffix
            + "')); return a && a.href; })()"
        )
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


def test_the_other_rooms_are_a_link_away_at_a_phones_width_too(browser: Browser, served: Any) -> None:
    page = visit(browser, served)
    page.phone()
    page.until("!!document.querySelector('nav.rooms a[href=\"/data\"]')")
    assert page.run("document.documentElement.scrollWidth") <= 390


def test_three_turns(browser: Browser, served: Any, lm: MotionLM) -> None:
    page = visit(browser, served)
    page.write("#seconds textarea", "1.5")
    say(page, "a person walks forward", "forward (1.5 s")
    before = page.run(CLIP)
    say(page, "What does the person do?", "1.5 s of something")
    assert page.run(CLIP) == before
    page.write("#seconds textarea", "4.1")
    say(page, "a person waves", "a person waves (4.1 s")
    page.until(f"JSON.parse({CLIP}).joints.length === 82 * 66")


@pytest.mark.parametrize("by", ["the bin", "/new"])
def test_a_new_conversation_ends_what_is_at_work_and_is_empty(
    browser: Browser, served: Any, lm: MotionLM, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    ended = slowly(lm, monkeypatch, 0.1)
    page = visit(browser, served)
    page.write("#seconds textarea, #seconds input", "30")
    page.write("#line textarea", "a person walks")
    page.click("#send")
    talk = "document.querySelector('#talk').innerText"
    page.until(f"{talk}.includes('a person walks')")
    page.run("window.waited = false; setTimeout(() => { waited = true; }, 1500)")
    page.until("waited")  # by now the motion is being made
    if by == "/new":
        page.write("#line textarea", by)
        page.click("#send")
    else:
        page.click("#talk button[aria-label=Clear]")
    page.until(f"!{talk}.includes('walks')")
    page.write("#seconds textarea, #seconds input", "1")
    say(page, "a person bows", "a person bows (1.0 s")
    assert "walks" not in page.run(talk)
    assert ended and ended[0] < 100  # of 150 steps


def test_undo_is_a_button(browser: Browser, served: Any) -> None:
    page = visit(browser, served)
    page.click("#undo")
    page.until("document.querySelector('#talk').innerText.includes('nothing to go back to')")
    page.write("#seconds textarea", "1")
    say(page, "a person bows", "a person bows (1.0 s")
    page.click("#undo")
    page.until("document.querySelector('#talk').innerText.includes('as it was: there is no motion')")


def test_a_plan_is_folded_away_under_a_heading(lm: MotionLM, tmp_path: Path) -> None:
    who = visitors.Visitors(lm, tmp_path)["one"]
    who.say("1.0 s, standing to standing", title="Plan")
    assert who.shown == [
        {
            "role": "assistant",
            "content": "1.0 s, standing to standing",
            "metadata": {"title": "Plan", "status": "done"},
        }
    ]


def test_lines_sent_while_a_motion_is_made_wait_and_what_is_typed_stays(
    browser: Browser, served: Any, lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly(lm, monkeypatch, 0.1)
    page = visit(browser, served)
    page.write("#seconds textarea, #seconds input", "3")
    for line in ("a person walks", "a person bows"):
        page.write("#line textarea", line)
        page.click("#send")
        page.until("document.querySelector('#line textarea').value === ''")
    page.write("#line textarea", "half a li")
    talk = "document.querySelector('#talk').innerText"
    assert "(3.0 s" not in str(page.run(talk))  # neither is answered yet
    page.until(f"{talk}.includes('a person walks (3.0 s') && {talk}.includes('a person bows (3.0 s')")
    assert page.run("document.querySelector('#line textarea').value") == "half a li"


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
    say(second, "a person jumps", "a person jumps (1.0 s")
    first.until("document.querySelector('#talk').innerText.includes('a person bows (1.0 s')")
    assert "jumps" not in first.run("document.querySelector('#talk').innerText")
    assert "bows" not in second.run("document.querySelector('#talk').innerText")
    assert first.run(CLIP) != second.run(CLIP)
    say(first, "/history", "\u203a a person bows")
    assert "jumps (" not in first.run("document.querySelector('#talk').innerText")
    # Nor of the server's files: the conversation reads and writes none.
    say(second, "/load /etc/passwd", "no command is called '/load'")
    say(second, "/save x.bvh", "no command is called '/save'")


def test_the_page_is_for_people_who_listen_and_use_the_keyboard(browser: Browser, served: Any) -> None:
    page = visit(browser, served)
    page.until("[...document.querySelectorAll('button')].every(b => b.innerText || b.getAttribute('aria-label'))")
    assert page.faults() == []
    assert page.run("document.documentElement.lang") == "en"
    # Replies are read out as they come, without leaving the line that is typed in.
    assert page.run("document.querySelector('#talk [role=log]').getAttribute('aria-live')") == "polite"
    page.write("#seconds textarea", "1")
    page.write("#line textarea", "a person bows")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            page.session,
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            **({"text": "\r"} if kind == "keyDown" else {}),
        )
    page.until("document.querySelector('#talk [role=log]').innerText.includes('a person bows (1.0 s')")
    assert page.faults() == []
    reached = set()
    for _ in range(40):
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            browser.call("Input.dispatchKeyEvent", page.session, type=kind, **key)
        reached.add(page.run("(document.activeElement.closest('[id]') || {}).id"))
    assert {"line", "send", "seconds", "seed", "suffix", "make"} <= reached


def test_wrong_settings_are_said_and_the_page_goes_on(browser: Browser, served: Any) -> None:
    page = visit(browser, served)
    page.write("#seconds textarea", "soon")
    say(page, "a person bows", "'soon' is no duration")
    page.write("#seconds textarea", "1")
    page.write("#seed textarea", "-1")
    say(page, "a person bows", "A seed is a whole number")
    page.write("#seed textarea", "")
    say(page, "a person bows", "a person bows (1.0 s")


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
    [
        ("a.sh", 30, 1, "read from"),
        ("long.npy", 12100, 1, "605 s"),
        ("a.npy", 30, 51, "50 clips"),
        ("big.npy", 25000, 1, "MB"),
    ],
)
def test_uploads_are_bounded(name: str, frames: int, uploads: int, words: str, tmp_path: Path) -> None:
    with open(tmp_path / name, "wb") as file:
        np.save(file, np.resize(builtin.joints(WAVE, 1), (frames, 22, 3)).astype(np.float32))
    with pytest.raises(MotionLLMError, match=words):
        visitors.read_upload(tmp_path / name, 5.0, uploads)


def bvh_of(folder: Path) -> bytes:
    Motion(builtin.joints(WAVE, 1)).save(folder / "wave.bvh")
    return (folder / "wave.bvh").read_bytes()


@pytest.mark.parametrize("visitors", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_the_same_clip_of_many_visitors_at_once(
    served: Any, guests: type[Guest], tmp_path: Path, visitors: int
) -> None:
    content = bvh_of(tmp_path)
    many = [guests(served.port) for _ in range(visitors)]
    with ThreadPoolExecutor(visitors) as pool:
        replies = list(pool.map(lambda one: one.put("wave.bvh", content), many))
    assert len(set(replies)) == 1 and "frames pass" in replies[0]


def test_errors_that_are_not_ours_are_sentences_too(
    served: Any,
    guests: type[Guest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lm: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("of a library")

    guest, content = guests(served.port), bvh_of(tmp_path)
    for place in ("motionllm.app.visitors.load_confined", "motionllm.app.web._clip"):
        with monkeypatch.context() as patch:
            patch.setattr(place, broken)
            assert "ZeroDivisionError" in guest.put("wave.bvh", content)
            if place.endswith("_clip"):
                assert "ZeroDivisionError" in guest.say("a person bows")
    assert any(record.exc_info for record in caplog.records)  # what went wrong is in the log
    assert guest.say("a person bows") == "a person bows (1.0 s)"


@pytest.mark.parametrize(
    ("host", "origin", "let_through"),
    [
        ("127.0.0.1:7860", None, True),
        ("127.0.0.1:7860", "http://127.0.0.1:7860", True),
        ("localhost:7860", "http://localhost:7860", True),
        ("LOCALHOST:7860", "http://localhost:7860", True),
        ("[::1]:7860", "http://[::1]:7860", True),
        ("127.0.0.1:7860", "http://evil.example", False),
        ("127.0.0.1:7860", "http://127.0.0.1:8000", False),  # another server of the same machine
        ("127.0.0.1:7860", "http://127.0.0.1:7860.evil.example", False),
        ("127.0.0.1:7860", "null", False),
        ("127.0.0.1:7860", "", False),
        ("127.0.0.1:7860", "http://[", False),
        ("evil.example", None, False),
        ("evil.example:7860", "http://evil.example:7860", False),  # a name that was made to point here
        ("127.0.0.1.evil.example", None, False),
        ("192.168.1.5:7860", None, False),
        ("", None, False),
        (None, None, False),
        ("lab.example", "https://lab.example", True),
        ("127.0.0.1:7860", "https://lab.example", True),  # behind a proxy that gives a Host of its own
    ],
)
def test_other_pages_are_refused(host: str | None, origin: str | None, let_through: bool) -> None:
    assert (web.Guard(None, names=["lab.example"]).refused(host, origin) is None) is let_through


def test_a_page_for_the_network_is_reached_by_address_and_not_by_any_name() -> None:
    guard = web.Guard(None, host="0.0.0.0")
    assert guard.refused("192.168.1.5:7860", "http://192.168.1.5:7860") is None
    assert guard.refused(socket.gethostname(), None) is None
    assert guard.refused("evil.example:7860", None) and guard.refused("192.168.1.5:7860", "http://evil.example")


def test_an_upload_of_another_page_is_refused(served: Any, guests: type[Guest]) -> None:
    client = guests(served.port).client
    before = sum(path.is_file() for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*"))
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        reply = client.post("/gradio_api/upload", files={"files": ("a.npy", b"x")}, headers=headers)
        assert reply.status_code == 403 and "evil.example" in reply.text
        assert client.get("/config", headers=headers).status_code == 403
    assert sum(path.is_file() for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*")) == before
    own = {"Origin": served.address}
    assert client.post("/gradio_api/upload", files={"files": ("a.npy", b"x")}, headers=own).status_code == 200


def test_files_of_servers_that_were_killed_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with web._work() as lives:
        (lives / "upload").touch()
        (tmp_path / "motionllm-web-killed").mkdir()
        (tmp_path / "motionllm-web-killed" / "upload").touch()
        (tmp_path / "other").mkdir()
        with web._work() as second:
            assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {lives.name, second.name, "other"}
            assert os.environ["GRADIO_TEMP_DIR"].startswith(str(second))
        assert (lives / "upload").is_file() and os.environ["GRADIO_TEMP_DIR"].startswith(str(lives))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_who_closes_the_page_leaves_no_files(served: Any, guests: type[Guest]) -> None:
    work, guest = Path(os.environ["GRADIO_TEMP_DIR"]).parent, guests(served.port)
    before = set(work.iterdir())
    with guest.client.stream("GET", f"/gradio_api/heartbeat/{guest.session}") as alive:
        lines = alive.iter_lines()
        next(lines)
        guest.say("a person bows")
        guest.answer("download", ".npy")
        assert len(set(work.iterdir()) - before - {work / "gradio"}) == 1
    end = time.monotonic() + 20
    while set(work.iterdir()) - before - {work / "gradio"}:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_idle_conversations_are_forgotten(lm: MotionLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = visitors.Visitors(lm, tmp_path)
    first = there["a"]
    first.folder.mkdir()
    assert there["a"] is first and there["b"] is not first
    assert there[None] is not there[None]  # nobody's conversation is everybody's
    first.seen -= visitors.IDLE + 1
    assert there["a"] is not first and not first.folder.exists()


def slowly(lm: Any, monkeypatch: pytest.MonkeyPatch, pause: float) -> list[int]:
    """Let several motions at once take long; the list gets the number of steps of each turn that has ended."""
    generating, ended = lm.generating, []

    def waits(*given: Any, **more: Any) -> Any:
        steps, count = generating(*given, **more), 0
        try:
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    return end.value
                count += 1
                time.sleep(pause)
                yield
        finally:
            ended.append(count)

    monkeypatch.setattr(lm, "generating", waits)
    return ended


def test_who_leaves_gives_the_model_back(
    served: Any, guests: type[Guest], lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = slowly(lm, monkeypatch, 0.1)  # of 150 steps for 30 s of motion, two codes each
    waited = []
    for _ in range(3):
        leaver, next_ = guests(served.port), guests(served.port)
        leaver.answer("said", "a person walks")
        leaver.ask("turn", "30", "", 8)
        with leaver.hear() as said:
            while next(said)["msg"] != "process_generating":
                pass
            time.sleep(0.5)
        begun = time.monotonic()
        assert next_.say("a person bows") == "a person bows (1.0 s)"
        waited.append(time.monotonic() - begun)
    print(f"\nanswered {', '.join(f'{seconds:.2f}' for seconds in waited)} s after the other one had left")
    assert len(ended) == 3 and max(ended) < 100
    assert max(waited) < 10


def hostile(folder: Path) -> dict[str, bytes]:
    """Twelve kinds of files that are not what a page of motion hopes for."""
    random, stored_ = np.random.default_rng(11), io.BytesIO()
    joints, parents = random.normal(size=(20, 24, 3)), np.arange(-1, 23)
    parents[0] = 23
    names = np.array([f"j{i}" for i in range(24)])
    np.savez(stored_, joints=joints, fps=20.0, names=names, parents=parents, offsets=joints[0])
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("joints.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 22, 3)})
        for _ in range(264):
            member.write(bytes(10**6))
    depth = 20_000
    chain = "".join(
        f"{'JOINT' if i else 'ROOT'} j{i}\n{{\nOFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
        for i in range(depth)
    )
    good = bvh_of(folder)
    header = good.split(b"MOTION")[0]
    return {
        "cyclic.npz": stored_.getvalue(),
        "bomb.npz": bomb.getvalue(),
        "chain.bvh": f"HIERARCHY\n{chain}End Site\n{{\nOFFSET 0 1 0\n}}\n{'}' * depth}\nMOTION\nFrames: 1\n"
        f"Frame Time: .05\n{'0 ' * 3 * depth}\n".encode(),
        "slow.bvh": re.sub(rb"Frame Time: \S+", b"Frame Time: 1000", good),
        "still.bvh": re.sub(rb"CHANNELS .*", b"CHANNELS 0", header) + b"MOTION\nFrames: 100000000\nFrame Time: 0.05\n",
        "picture.png": b"\x89PNG" + random.bytes(500),
        "pickle.npy": np.lib.format.magic(1, 0)
        + b"v\0{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"
        + b" " * 59
        + b"\n"
        + pickle.dumps([print]),
        "numbers.bvh": header + b"MOTION\nFrames: 1\nFrame Time: 0.05\n" + b"9" * 5_000_000,
        "x" * 200 + "\u202eevil<b>.bvh": b"HIERARCHY\nROOT " + b"<script>" * 100_000,
        "empty.bvh": b"",
        "nan.npy": (np.save(folder / "nan.npy", np.full((30, 22, 3), np.nan)), (folder / "nan.npy").read_bytes())[1],
        "page.bvh": b"<!doctype html><title>404</title>" * 1000,
    }


@pytest.mark.slow
def test_hostile_uploads_while_another_is_served(
    lm: MotionLM, guests: type[Guest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import psutil

    with socket.socket() as free:
        free.bind((web.LOOPBACK, 0))
        port = free.getsockname()[1]
    page = web.serve(lm, port=port, wait=False)
    try:
        other = guests(port)
        clip = bvh_of(tmp_path)
        assert "frames pass" in other.put("wave.bvh", clip)
        waits: dict[str, list[float]] = {"line": [], "clip": []}
        took: dict[str, float] = {}
        said: dict[str, str] = {}
        files = hostile(tmp_path)
        begun_with = psutil.Process().memory_info().rss

        def attack() -> None:
            attacker = guests(port)
            for name, content in files.items():
                begun = time.monotonic()
                said[name] = attacker.put(name, content)
                took[name] = time.monotonic() - begun

        with ThreadPoolExecutor(3) as pool:
            attacks = [pool.submit(attack) for _ in range(3)]
            while not all(one.done() for one in attacks):
                for kind, answer in (
                    ("line", lambda: other.say("a person bows")),
                    ("clip", lambda: other.put("w.bvh", clip)),
                ):
                    begun = time.monotonic()
                    assert "1.0 s)" in (reply := answer()) or "frames pass" in reply
                    waits[kind].append(time.monotonic() - begun)
                other.session = secrets.token_hex(6)  # of a visitor there are so many clips
            for one in attacks:
                one.result()
        with capsys.disabled():
            print()
            for name in said:
                print(f"{name[-30:]!r:35} {took[name]:5.1f} s  {said[name][-110:]}")
            print({kind: f"{len(some)}, longest {max(some):.1f} s" for kind, some in waits.items()})
        assert len(said) == 12 and max(took.values()) < 90
        for name, sentence in said.items():
            assert 10 < len(sentence) < 600 and "frames pass" not in sentence and "defect" not in sentence, (
                name,
                sentence,
            )
            assert "/tmp" not in sentence and "Traceback" not in sentence
        assert max(waits["line"]) < 30
        assert psutil.Process().memory_info().rss - begun_with < 1e9
    finally:
        page.close()
        page.work.close()


def test_a_motion_of_21_joints_is_shown_while_it_is_written(
    tiny_base: Path, tiny_recipe: Callable[..., Recipe], tiny_tokenizer: Path, tmp_path: Path, guests: type[Guest]
) -> None:
    network = Network(width=16, blocks=1, codes=16, code_dim=8)
    generator = np.random.default_rng(5)
    tokenizer = MotionTokenizer(network, generator.normal(size=251) / 10, np.full(251, 0.1))
    for name, buffer in tokenizer.network.named_buffers():
        if name.endswith(("embed", "embed_avg")):
            buffer.copy_(torch.from_numpy(generator.normal(size=buffer.shape)))
    tokenizer.save(tmp_path / "kit")
    kit: Any = MotionLM.create(
        tiny_recipe(tiny_base, tmp_path / "kit"), MotionTokenizer.load(tmp_path / "kit"), Templates.load("default")
    )
    kit = kit.with_model(kit.model.merge_and_unload().eval())
    kit.moves = lambda _: True
    *pieces, reply = Chat(kit, seconds=2.0, seed=1, sampling=Sampling(best_of=1)).turn("a person bows")
    motion = getattr(reply, "motion", None)
    assert motion is not None and motion.skeleton is KIT and motion.duration == 2.0 and len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate([p for p in pieces if isinstance(p, np.ndarray)]), motion.joints)
    assert (kit.window, kit._window) == (15.68, 49)
    with socket.socket() as free:
        free.bind((web.LOOPBACK, 0))
        port = free.getsockname()[1]
    page = web.serve(kit, port=port, wait=False)
    try:
        guest = guests(port)
        guest.answer("said", "a person bows")
        guest.ask("turn", "20", "3", 1)
        with guest.hear() as said:
            messages = [one for one in said if one["msg"].startswith("process_")]
        clips = [json.loads(text) for one in messages for text in _strings(one) if text.startswith('{"clip"')]
        assert clips
        assert {clip["fps"] for clip in clips} == {12.5}
        assert len(clips[-1]["joints"]) == 250 * 66 and clips[-1]["done"]
        assert "a person bows (20.0 s)" in json.dumps(messages)
    finally:
        page.close()
        page.work.close()


def test_a_plan_is_shown_before_the_motion(
    served: Any, lm: MotionLM, guests: type[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm.recipe.data, "notation", Notes())
    plan = str(lm.plan("a person bows", 2.0, seed=3))
    for best_of in (1, 2):
        guest = guests(served.port)
        guest.answer("said", "a person bows")
        guest.ask("turn", "2", "3", best_of)
        with guest.hear() as said:
            told = [json.dumps(one) for one in said if one["msg"].startswith("process_")]
        first = {
            text: next(n for n, one in enumerate(told) if json.dumps(text)[1:-1] in one)
            for text in (plan, '"clip"', "a person bows (2.0 s)")
        }
        assert first[plan] < min(first['"clip"'], first["a person bows (2.0 s)"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
