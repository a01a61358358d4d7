"""A page to talk to a model in: conversation, clips up and down, and the figure while its motion is being written.

Built with Gradio (extra `web`). Every visitor has a conversation and a folder of their own on the server; the model is
shared, and takes one turn at a time.
"""

from __future__ import annotations

import html
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.chat import Chat, Reply
from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.clip import READ
from motionllm.motion.page import box, fill, player, stored
from motionllm.motion.skeleton import HUMANML3D

LOOPBACK = "127.0.0.1"
LONGEST_CLIP = 600.0  # seconds of a clip that is uploaded
UPLOADS = 50  # of one visitor
LINE = 2000  # characters
FORMATS = (".bvh", ".glb", ".mp4", ".npy")
PACE = 0.2  # seconds between two pieces that are sent
EXAMPLES = (
    "a person waves with the left hand",
    "What does the person do?",
    "now slower, and jump at the end",
    "a person walks in a circle",
)

# Runs in the browser whenever the clip changes: hands it to the stage.
_SHOW = "clip => { if (clip) document.querySelector('#stage iframe').contentWindow.postMessage(clip, '*'); }"


@dataclass
class Visitor:
    """What one visitor has: a conversation, what it shows, and a folder for what is to be downloaded."""

    chat: Chat
    folder: Path
    shown: list[dict[str, str]] = field(default_factory=list)
    uploads: int = 0
    clips: int = 0


def build(lm: MotionLM, work: Path, megabytes: float = 20.0) -> Any:
    """The page as `gradio.Blocks`. work: a folder for the visitors' files. megabytes: of an upload."""
    gr = gradio()

    def visitor(there: Visitor | None) -> Visitor:
        return there or Visitor(Chat(lm), Path(tempfile.mkdtemp(dir=work)))

    def turn(there: Visitor | None, line: str, seconds: str, seed: str, candidates: float) -> Iterator[tuple[Any, ...]]:
        who = visitor(there)
        chat = who.chat
        chat.best_of = int(candidates)
        who.shown.append({"role": "user", "content": line[:LINE]})
        yield who, who.shown, gr.skip(), ""
        pieces: list[np.ndarray] = []
        sent = 0.0
        who.clips += 1
        for event in _turn(chat, line, seconds, seed):
            if isinstance(event, Reply):
                who.shown.append({"role": "assistant", "content": event.text})
                motion = gr.skip() if event.motion is None else _clip(who.clips, event.motion, done=True)
                yield who, who.shown, motion, ""
            else:
                pieces.append(event)
                if time.monotonic() - sent >= PACE:
                    sent = time.monotonic()
                    yield who, gr.skip(), _clip(who.clips, Motion(np.concatenate(pieces)), done=False), ""

    def upload(there: Visitor | None, file: str | None) -> tuple[Any, ...]:
        who = visitor(there)
        if file is None:
            return who, who.shown, gr.skip()
        name = Path(file).name
        who.shown.append({"role": "user", "content": f"[{name}]"})
        who.uploads += 1
        who.clips += 1
        try:
            reply = who.chat.hold(_read(Path(file), megabytes, who.uploads), name)
            assert reply.motion is not None
            said = f"{reply.text} It seems that {lm.caption(reply.motion)}"
            who.shown.append({"role": "assistant", "content": said})
            return who, who.shown, _clip(who.clips, reply.motion, done=True)
        except MotionLLMError as error:
            # The folder a file lies in here is nobody's business.
            who.shown.append({"role": "assistant", "content": str(error).replace(file, name)})
            return who, who.shown, gr.skip()
        finally:
            Path(file).unlink(missing_ok=True)

    def download(there: Visitor | None, suffix: str) -> tuple[Any, str]:
        who = visitor(there)
        if who.chat.motion is None or suffix not in FORMATS:
            raise gr.Error("There is no motion yet: say what a person does, or give a clip.", print_exception=False)
        path = who.folder / f"motion{suffix}"
        try:
            motion = who.chat.motion
            (motion.canonical() if suffix == ".npy" else motion).save(path)
        except MotionLLMError as error:
            raise gr.Error(str(error).replace(str(path), path.name), print_exception=False) from None
        return who, str(path)

    def forget(who: Visitor | None) -> None:
        if who is not None:
            shutil.rmtree(who.folder, ignore_errors=True)

    one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model"}
    with gr.Blocks(title="motionllm", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        state = gr.State(None, time_to_live=3600, delete_callback=forget)
        clip = gr.Textbox(visible="hidden", elem_id="clip", show_label=False)
        with gr.Row():
            with gr.Column():
                talk = gr.Chatbot(label="motionllm", elem_id="talk", height=420, render_markdown=False, buttons=[],
                                  placeholder="Say what a person does; ask about it; change it.")  # fmt: skip
                line = gr.Textbox(label="Say", elem_id="line", max_length=LINE, autofocus=True)
                send = gr.Button("Send", variant="primary", elem_id="send")
                gr.Examples([[example] for example in EXAMPLES], line)
                given = gr.File(label=f"Talk about a clip of your own ({', '.join(READ)}, up to {megabytes:g} MB)",
                                file_types=list(READ), elem_id="upload", height=150)  # fmt: skip
            with gr.Column():
                gr.HTML(f'<iframe title="the motion" sandbox="allow-scripts" srcdoc="{html.escape(_stage())}" '
                        'style="width: 100%; height: 420px; border: 0"></iframe>', elem_id="stage")  # fmt: skip
                with gr.Row():
                    seconds = gr.Textbox(label="Seconds", placeholder="4, 2-4, or as it likes", max_length=12,
                                         elem_id="seconds")  # fmt: skip
                    seed = gr.Textbox(label="Seed", placeholder="anew each time", max_length=18, elem_id="seed")
                    candidates = gr.Slider(1, 8, 1, step=1, label="Best of (1 is shown while it is written)")
                with gr.Row():
                    suffix = gr.Radio(list(FORMATS), value=FORMATS[0], label="Download as", elem_id="suffix")
                    make = gr.Button("Make the file", elem_id="make")
                file = gr.File(label="The file", interactive=False, elem_id="file", height=80)
        for event in (line.submit, send.click):
            event(turn, [state, line, seconds, seed, candidates], [state, talk, clip, line], **one_at_a_time)
        given.upload(upload, [state, given], [state, talk, clip], **one_at_a_time)
        make.click(download, [state, suffix], [state, file])
        clip.change(None, [clip], None, js=_SHOW)
    return page.queue(max_size=32)


def serve(lm: MotionLM, host: str = LOOPBACK, port: int = 7860, megabytes: float = 20.0, wait: bool = True) -> Any:
    """Serve the page until interrupted; wait=False returns the running `gradio.Blocks`, for `close()`.

    Raises MotionLLMError where the address cannot be had.
    """
    gr = gradio()
    work = tempfile.TemporaryDirectory(prefix="motionllm-web-")
    page = build(lm, Path(work.name), megabytes)
    page.work = work  # lives as long as the page
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}  # none from elsewhere
    try:
        page.launch(server_name=host, server_port=port, max_file_size=f"{max(1, int(megabytes * 1000))}kb", share=False,
                    prevent_thread_lock=not wait, quiet=True, show_error=False, ssr_mode=False, run_history=False,
                    footer_links=[], theme=gr.themes.Base(**fonts))  # fmt: skip
    except OSError as error:
        raise MotionLLMError(f"The page cannot be served at {host}:{port} ({error}); choose another --port.") from None
    return page


def gradio() -> Any:
    """The module. Raises MotionLLMError where it is not installed."""
    try:
        import gradio as module
    except ImportError:
        raise MotionLLMError("The page needs Gradio: run `pip install 'motionllm[web]'`.") from None
    return module


def _turn(chat: Chat, line: str, seconds: str, seed: str) -> Iterator[np.ndarray | Reply]:
    if len(line) > LINE:
        yield Reply(f"That is {len(line)} characters long; {LINE} are read.", failed=True)
        return
    try:
        chat.commands["seconds"](seconds.strip())
        chat.commands["seed"](seed.strip())
    except MotionLLMError as error:
        yield Reply(str(error), failed=True)
        return
    yield from chat.turn(line)


def _read(path: Path, megabytes: float, uploads: int) -> Motion:
    """The clip of an upload. Raises MotionLLMError for one too many, too big, too long, or that is no motion."""
    if uploads > UPLOADS:
        raise MotionLLMError(f"{UPLOADS} clips were given; reload the page for more.")
    if path.suffix.lower() not in READ:
        raise MotionFileError(f"{path.name}: motion is read from {', '.join(READ)}.")
    if path.stat().st_size > megabytes * 1e6:
        raise MotionFileError(f"{path.name}: is {path.stat().st_size / 1e6:.0f} MB; {megabytes:g} are read.")
    motion = Motion.load(path)
    if motion.duration > LONGEST_CLIP:
        raise MotionFileError(f"{path.name}: is {motion.duration:.0f} s long; {LONGEST_CLIP:g} are read. Cut it.")
    return motion


def _clip(number: int, motion: Motion, done: bool) -> str:
    """What the stage is told."""
    body = motion.body()
    return json.dumps({"clip": number, "done": done, **stored(body.joints, body.fps)}, separators=(",", ":"))


def _stage() -> str:
    """The page within the page: a figure that stands until it is told to move."""
    standing = np.zeros((1, 22, 3))
    assert HUMANML3D.lengths is not None
    for joint, parent in enumerate(HUMANML3D.parents):
        if parent >= 0:
            standing[0, joint] = standing[0, parent] + HUMANML3D.axes[joint] * HUMANML3D.lengths[joint]
    standing[..., 1] -= standing[..., 1].min()
    template = Path(__file__).with_name("stage.html").read_text(encoding="utf-8")
    return fill(template, {"box": box(0, "motion"), "clips": json.dumps([stored(standing, 20.0)]), **player()})
