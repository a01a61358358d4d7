"""The page that plays clips: self-contained, and opened in a real browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motionllm import Motion
from motionllm import corpus as builtin
from motionllm.errors import MotionLLMError
from motionllm.motion.show.page import write_page

BROWSER = next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]


def clip(action: str, name: str = "") -> Motion:
    spec = builtin.Spec((builtin.Part(action, side="left"),))
    return Motion(builtin.joints(spec, 1), name=name)


def browse(page: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER
    command = [BROWSER, *QUIET, f"--user-data-dir={folder}", "--window-size=900,600", *more, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_page_holds_the_clips_and_asks_for_nothing_else(tmp_path: Path) -> None:
    first, second = clip("wave", "<b>one</b>"), clip("kick", "two")
    write_page([first, second], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>one</b>" not in text and "&lt;b&gt;one" in text
    stored = json.loads(re.search(r'id="clips">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    for given, found in zip((first, second), stored, strict=True):
        assert np.abs(np.reshape(found["joints"], (-1, 22, 3)) / 1000 - given.joints).max() < 6e-4

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            for name, value in attrs:
                assert name != "src" and not (name == "href" and value != "data:,"), (tag, name, value)

    Parser().feed(text)
    assert not re.search(r"https?://|@import|fetch\(|XMLHttpRequest", text)


def test_saving_as_html_is_a_page_of_one_clip(tmp_path: Path) -> None:
    clip("wave", "hello").save(tmp_path / "one.html")
    assert (tmp_path / "one.html").read_text(encoding="utf-8").count("<figure>") == 1


@pytest.mark.parametrize("count", [0, 5])
def test_a_page_of_none_or_too_many_is_refused(count: int, tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match="1 to 4"):
        write_page([clip("wave")] * count, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_plays_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_page([clip("wave", "one"), clip("kick", "two")], page)
    # A headless browser's virtual time moves timers reliably, animation frames not: here these are made of those.
    ticking = "<script>window.requestAnimationFrame = f => setTimeout(() => f(performance.now()), 16);</script>"
    page.write_text(page.read_text(encoding="utf-8").replace("<main>", f"{ticking}<main>", 1), encoding="utf-8")
    seen = browse(page, tmp_path / "a", "--virtual-time-budget=3000", "--dump-dom")
    clock = re.search(r'<output id="clock">([\d.]+) / ([\d.]+) s</output>', seen.stdout)
    assert clock and 0 < float(clock[1]) <= float(clock[2])  # play has advanced
    assert "CONSOLE" not in seen.stderr, seen.stderr
    for name, budget in (("early", 300), ("late", 1500)):
        browse(page, tmp_path / "b", f"--virtual-time-budget={budget}", f"--screenshot={tmp_path / name}.png")
    early, late = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"), int) for name in ("early", "late"))
    for half in (slice(0, 449), slice(451, 900)):
        view = late[60:530, half].reshape(-1, 3)
        # The body's left and right are there in their colours: the canvas is not blank.
        for colour in ((217, 105, 42), (43, 108, 184)):
            assert (np.abs(view - colour).sum(1) < 120).sum() > 200
    assert (np.abs(early - late).sum(-1) > 60).sum() > 500  # and it moved
