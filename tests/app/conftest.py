"""A headless Chromium driven over its debugging pipe: open a page, run script in it, put files into its inputs."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1000",
    "--remote-debugging-pipe",
]


class Browser:
    """`with Browser(folder) as browser:`; folder: for its profile."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM
        inward, self.send_to = os.pipe()
        self.read_from, outward = os.pipe()

        def as_three_and_four() -> None:
            # Out of the way first: one of the two may be 3 or 4 itself.
            ends = os.dup(inward), os.dup(outward)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(
            command, preexec_fn=as_three_and_four, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(inward)
        os.close(outward)
        self.buffer, self.number = b"", 0

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.send_to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                self.buffer += os.read(self.read_from, 1 << 20)
            line, self.buffer = self.buffer.split(b"\0", 1)
            reply = json.loads(line)
            if reply.get("id") == self.number:
                assert "error" not in reply, reply
                return dict(reply["result"])

    def open(self, address: str) -> Page:
        """A page with cookies and storage of its own, as another visitor's."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url=address, browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session)


class Page:
    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def run(self, script: str) -> Any:
        """The value of an expression."""
        reply = self.browser.call("Runtime.evaluate", self.session, expression=script, returnByValue=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def until(self, script: str, seconds: float = 60.0) -> Any:
        """The value of an expression, as soon as it is true."""
        end = time.monotonic() + seconds
        while True:
            try:
                if value := self.run(script):
                    return value
            except AssertionError as error:  # asked while the page changes to another
                if "navigated" not in str(error):
                    raise
            assert time.monotonic() < end, f"{script} was not true for {seconds} s; the page: {self.text()}"
            time.sleep(0.1)

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def write(self, selector: str, text: str) -> None:
        """Into an input, as if typed."""
        self.run(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}); box.focus();"
            f"const proto = box.tagName === 'TEXTAREA' ? HTMLTextAreaElement.prototype : HTMLInputElement.prototype;"
            f"Object.getOwnPropertyDescriptor(proto, 'value').set.call(box, {json.dumps(text)});"
            "box.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def give(self, selector: str, file: Path) -> None:
        """A file into an input of type file."""
        script = f"document.querySelector({json.dumps(selector)})"
        found = self.browser.call("Runtime.evaluate", self.session, expression=script)
        self.browser.call(
            "DOM.setFileInputFiles", self.session, files=[str(file)], objectId=found["result"]["objectId"]
        )

    def phone(self) -> None:
        """Makes the window as wide as a phone's."""
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        self.browser.call("Emulation.setDeviceMetricsOverride", self.session, **size)

    def faults(self) -> list[str]:
        """Faults for people who cannot see the page or use no mouse: what axe calls serious or critical."""
        axe = pytest.importorskip("axe_core_python", reason="axe is not installed (pip install axe-core-python)")
        self.run((Path(axe.__file__).parent / "axe.min.js").read_text("utf-8") + "; true")
        self.run("window.axed = null; axe.run().then(r => { window.axed = r.violations; }); true")
        self.until("!!window.axed")
        grave = "axed.filter(v => ['serious', 'critical'].includes(v.impact))"
        return list(self.run(f"{grave}.map(v => `${{v.id}}: ${{v.nodes.map(n => n.html.slice(0, 160)).join(' | ')}}`)"))

    def picture(self) -> bytes:
        """PNG of what is to be seen."""
        import base64

        return base64.b64decode(self.browser.call("Page.captureScreenshot", self.session)["data"])


class Refused(Exception):
    """An event that ended with an error."""


class Guest:
    """A visitor without a browser: says over HTTP what the page's script says."""

    def __init__(self, port: int) -> None:
        import httpx

        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300)
        self.session = secrets.token_hex(6)
        listed = self.client.get("/config").json()["dependencies"]
        self.numbers = {dependency["api_name"]: dependency["id"] for dependency in listed}

    def ask(self, name: str, *data: Any) -> None:
        """Put an event of the page into its queue."""
        event = {"data": data, "fn_index": self.numbers[name], "session_hash": self.session}
        self.client.post("/gradio_api/queue/join", json=event).raise_for_status()

    @contextmanager
    def hear(self) -> Iterator[Iterator[dict[str, Any]]]:
        """What the server says of events, until they are done."""
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            yield (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))

    def answer(self, name: str, *data: Any) -> list[Any]:
        """The outputs of an event, when it is done."""
        self.ask(name, *data)
        with self.hear() as said:
            done = next(one for one in said if one["msg"] == "process_completed")
        if not done["success"]:
            raise Refused(done["output"]["error"])  # what the page shows in red; None: the bare word "Error"
        return list(done["output"]["data"])

    def say(self, line: str, seconds: str = "1", best_of: int = 1) -> str:
        """The page's answer to a line."""
        self.answer("said", line)
        return str(self.answer("turn", seconds, "", best_of)[0][-1]["content"][0]["text"])

    def put(self, name: str, content: bytes) -> str:
        """The page's answer to a file."""
        given = self.client.post("/gradio_api/upload", files={"files": (name, content)})
        given.raise_for_status()
        file = {"path": given.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        try:
            self.answer("upload", file)
        except Refused as error:
            return str(error)
        return str(self.answer("describe")[0][-1]["content"][0]["text"])


@pytest.fixture
def guests() -> type[Guest]:
    """Visitors of a port."""
    pytest.importorskip("httpx", reason="httpx is not installed (pip install 'motionllm[web]')")
    return Guest


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
