"""A web page to talk to a model: conversation, upload and download of clips, and a figure shown while its motion is
generated.

Built with Gradio (extra `web`). Every visitor has a separate conversation and folder on the server; the model is shared
and handles one turn at a time. Visitors' files are read in a separate process, while others use the model.
"""

from __future__ import annotations

import atexit
import contextlib
import html
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from motionllm import corpus
from motionllm.app.chat import Chat, Reply, failure
from motionllm.app.guard import LOOPBACK, Guard, not_bound, reached
from motionllm.app.visitors import Visitors, read_upload
from motionllm.errors import MotionLLMError
from motionllm.files import lock
from motionllm.lm.model import MotionLM
from motionllm.lm.sampling import BEST_OF
from motionllm.motion import Motion
from motionllm.motion.formats import READERS
from motionllm.motion.notation import Notation
from motionllm.motion.show.page import render, stored

READ_AT_ONCE = 2  # uploads
WAITING = 256  # turns and uploads that may wait
LINE = 2000  # characters
FORMATS = (".bvh", ".glb", ".mp4", ".npy")
PACE = 0.2  # seconds between two updates that are sent
KEPT = (60, 900)  # Gradio's own copies of what goes up and down: looked at every, removed after so many seconds
EXAMPLES = (
    "a person waves with the left hand",
    "What does the person do?",
    "then jump twice",
    "a person walks in a circle",
)
_WORK = "motionllm-web-"

# Runs in the browser whenever the clip changes: passes it to the stage.
_SHOW = "clip => { if (clip) document.querySelector('#stage iframe').contentWindow.postMessage(clip, '*'); }"

# What Gradio's own style and marks lack for people who see little or listen: contrast, and a role for what has a name.
_STYLE = """
.or { color: inherit !important }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%) }
#talk .placeholder { padding: 0 16px; text-align: center }
#stage iframe { width: 100%; height: 420px; border: 0 }
@media (max-width: 640px) { #stage iframe { height: 300px } #talk { height: 300px !important } }
"""
_PLAN = "Plan: seconds, act, limb, direction, count"  # heading of a plan, which is folded away
_COLOURS = {
    "button_primary_background_fill": "#1d4ed8",
    "button_primary_background_fill_hover": "#1e40af",
    "button_primary_background_fill_dark": "#1d4ed8",
    "button_primary_text_color": "#ffffff",
    "button_primary_text_color_dark": "#ffffff",
    "block_info_text_color": "#52525b",
    "block_info_text_color_dark": "#b4b4bc",
}
_ROLES = """() => {
  const mark = () => document.querySelectorAll('[aria-label="Empty value"]:not([role])').forEach(e => e.role = 'img');
  mark(); new MutationObserver(mark).observe(document.body, {childList: true, subtree: true});
}"""


def build(lm: MotionLM, model: Lock, work: Path, megabytes: float = 20.0, navigation: str = "") -> Any:
    """The page as `gradio.Blocks`. model: held while `lm` is used. work: a folder for the visitors' files. megabytes:
    of an upload. navigation: HTML of the links to other rooms.
    """
    gr = gradio()
    visitors = Visitors(lm, work)

    def said(line: str, request: Any) -> tuple[Any, ...]:
        who = visitors[request.session_hash]
        if line.strip().lower() == "/new":
            changed = cleared(request)
            who.lines.append(None)  # for the turn that follows
            return (*changed, "")
        who.lines.append(line)
        who.say(line[:LINE], "user")
        return who.shown, gr.skip(), gr.skip(), ""

    def undone(request: Any) -> Any:
        who = visitors[request.session_hash]
        who.lines.append("/undo")
        who.say("/undo", "user")
        return who.shown

    def cleared(request: Any) -> tuple[Any, ...]:
        who = visitors[request.session_hash]
        who.clear()
        who.clips += 1
        return who.shown, _clip(who.clips, _standing(), done=True), gr.update(value=None, visible=False)

    def turn(seconds: str, seed: str, candidates: float, request: Any) -> Iterator[tuple[Any, ...]]:
        who = visitors[request.session_hash]
        line = who.lines.popleft() if who.lines else None
        if line is None:  # cleared meanwhile, or of a visitor who has been forgotten
            yield gr.skip(), gr.skip()
            return
        chat, shown = who.chat, who.shown
        chat.sampling = chat.sampling.but(best_of=int(candidates))
        pieces: list[np.ndarray] = []
        sent = 0.0
        who.clips += 1
        number = who.clips
        try:
            with model:
                for event in _turn(chat, line, seconds, seed):
                    if who.chat is not chat:  # cleared meanwhile: this ends the turn
                        return
                    if isinstance(event, Reply):
                        who.say(event.text)
                        yield shown, gr.skip() if event.motion is None else _clip(number, event.motion, done=True)
                        continue
                    if isinstance(event, Notation):
                        who.say(str(event), title=_PLAN)
                        yield shown, gr.skip()
                        continue
                    if event is not None:
                        pieces.append(event)
                    # Between two yields Gradio checks whether the visitor is still there, and closes the turn if not.
                    if time.monotonic() - sent >= PACE:
                        sent = time.monotonic()
                        yield gr.skip(), _clip(number, chat.motion_of(pieces), done=False) if pieces else gr.skip()
        except Exception as error:  # Gradio's default message is just "Error"
            who.say(failure(error).text)
            yield who.shown, gr.skip()

    def upload(file: str | None, request: Any) -> list[dict[str, str]]:
        who = visitors[request.session_hash]
        if file is not None:
            # Gradio stores equal uploads under one path, which other visitors may be reading: do not remove it here.
            path, name = Path(file), Path(file).name[-100:]
            who.say(f"[{name}]", "user")
            who.uploads += 1
            try:
                who.read.append((read_upload(path, megabytes, who.uploads), name))
            except Exception as error:
                who.excuse(error, path, name)
        return who.shown

    def describe(request: Any) -> tuple[Any, ...]:
        who = visitors[request.session_hash]
        clip = gr.skip()
        while who.read:
            motion, name = who.read.popleft()
            who.clips += 1
            try:
                with model:
                    reply = who.chat.hold(motion, name)
                    who.say(f"{reply.text} It seems that {lm.caption(motion)}")
                clip = _clip(who.clips, motion, done=True)
            except Exception as error:
                who.say(failure(error).text)
        return who.shown, clip

    def download(suffix: str, request: Any) -> Any:
        who = visitors[request.session_hash]
        motion = who.chat.motion
        if motion is None or suffix not in FORMATS:
            raise gr.Error("There is no motion yet: say what a person does, or give a clip.", print_exception=False)
        path = who.folder / f"motion{suffix}"
        try:
            who.folder.mkdir(mode=0o700, exist_ok=True)
            (motion.canonical() if suffix == ".npy" else motion).save(path)
        except Exception as error:
            message = failure(error).text.replace(str(path), path.name)
            raise gr.Error(message, print_exception=False) from None
        return gr.update(value=str(path), visible=True)

    def left(request: Any) -> None:
        visitors.left(request.session_hash)

    for handler in (said, undone, cleared, turn, upload, describe, download, left):
        handler.__annotations__["request"] = gr.Request  # Gradio reads the annotations to know what to pass
    one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model"}
    with gr.Blocks(title="motionllm", analytics_enabled=False, delete_cache=KEPT) as page:
        clip = gr.Textbox(visible="hidden", elem_id="clip", show_label=False)
        gr.HTML(f'{navigation}<h1 class="unseen">Conversation about motion</h1>')
        with gr.Row():
            with gr.Column():
                talk = gr.Chatbot(
                    show_label=False,
                    elem_id="talk",
                    height=420,
                    render_markdown=False,
                    buttons=[],
                    placeholder="Say what a person does; ask about it; change it.",
                )
            with gr.Column():
                gr.HTML(
                    f'<iframe title="the motion" sandbox="allow-scripts" srcdoc="{html.escape(_stage())}"></iframe>',
                    elem_id="stage",
                )
        with gr.Row():
            with gr.Column():
                line = gr.Textbox(
                    label="Say",
                    placeholder="/help lists the commands",
                    elem_id="line",
                    max_length=LINE,
                    autofocus=True,
                )
                with gr.Row():
                    send = gr.Button("Send", variant="primary", elem_id="send", scale=3, min_width=120)
                    undo = gr.Button("Undo", elem_id="undo", scale=1, min_width=80)
                gr.Examples([[example] for example in EXAMPLES], line)
                given = gr.File(
                    label=f"A clip of your own ({', '.join(READERS)}; up to {megabytes:g} MB)",
                    file_types=list(READERS),
                    elem_id="upload",
                    height=150,
                )
            with gr.Column():
                with gr.Row():
                    seconds = gr.Textbox(
                        label="Seconds",
                        info="Empty: the model decides.",
                        placeholder="4 or 2-4",
                        max_length=12,
                        elem_id="seconds",
                        min_width=130,
                    )
                    seed = gr.Textbox(
                        label="Seed",
                        info="Repeats a motion.",
                        placeholder="random",
                        max_length=18,
                        elem_id="seed",
                        min_width=130,
                    )
                candidates = gr.Slider(
                    1,
                    8,
                    min(8, lm.sampling.best_of or BEST_OF),
                    step=1,
                    label="Candidates",
                    info="The best match is kept. With 1, you see the motion while it is made.",
                    elem_id="candidates",
                )
                with gr.Row():
                    suffix = gr.Radio(list(FORMATS), value=FORMATS[0], label="Download as", elem_id="suffix")
                    make = gr.Button("Make the file", elem_id="make")
                file = gr.File(label="The file", interactive=False, elem_id="file", height=80, visible=False)
        for event, take, given_in, changed in (
            (line.submit, said, [line], [talk, clip, file, line]),
            (send.click, said, [line], [talk, clip, file, line]),
            (undo.click, undone, None, [talk]),
        ):
            # Lines sent while a motion is made wait for their turn, and what is being typed then stays.
            event(take, given_in, changed, queue=False, trigger_mode="multiple").then(
                turn, [seconds, seed, candidates], [talk, clip], trigger_mode="multiple", **one_at_a_time
            )
        talk.clear(cleared, None, [talk, clip, file], queue=False)
        given.upload(upload, [given], [talk], concurrency_limit=READ_AT_ONCE).then(
            describe, None, [talk, clip], **one_at_a_time
        )
        make.click(download, [suffix], [file], concurrency_limit=READ_AT_ONCE)
        clip.change(None, [clip], None, js=_SHOW)
        page.load(None, None, None, js=_ROLES)
        page.unload(left)
    return page.queue(max_size=WAITING)


def serve(
    lm: MotionLM,
    host: str = LOOPBACK,
    port: int = 7860,
    megabytes: float = 20.0,
    wait: bool = True,
    names: Sequence[str] = (),
    data: Path | None = None,
    runs: Path = Path("runs"),
    recipes: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Any:
    """Serve the page until interrupted; wait=False returns the running `gradio.Blocks`, for `close()`.

    names: host names under which the page is reached, besides this machine and `host` (see `Guard`). data: folder of
    the set that the workbench's rooms show. runs: folder of training runs. recipes, models: recipes and adapters that
    the rooms offer besides the shipped ones. Raises MotionLLMError where the address cannot be bound, or `data` holds
    no set.
    """
    from starlette.middleware import Middleware

    from motionllm.app import programs
    from motionllm.app.workbench.frame import Bench, navigation, routes

    network = reached(host, names)
    bench = Bench(data=data, runs=runs, recipes=recipes, models=models, network=network, lm=lm)
    app: dict[str, Any] = {
        "middleware": [Middleware(Guard, host=host, names=names)],
        "routes": [*routes(bench), *programs.routes(lm, bench.model)],
    }
    gr = gradio()
    files = contextlib.ExitStack()
    atexit.register(files.close)
    work = files.enter_context(_work())
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}  # none from elsewhere
    try:
        page = build(lm, bench.model, work, megabytes, navigation(bench))
        page.work = files
        page.launch(
            server_name=host,
            server_port=port,
            max_file_size=f"{max(1, int(megabytes * 1000))}kb",
            share=False,
            prevent_thread_lock=not wait,
            quiet=True,
            show_error=False,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            theme=gr.themes.Base(**fonts).set(**_COLOURS),
            css=_STYLE,
            app_kwargs=app,
        )
    except OSError as error:
        files.close()
        raise not_bound(host, port, error) from None
    finally:
        if wait:
            files.close()
    return page


@contextlib.contextmanager
def _work() -> Iterator[Path]:
    """A folder for visitors' files, removed at the end; folders left by killed servers are removed first."""
    place = Path(tempfile.gettempdir())
    for folder in place.glob(f"{_WORK}*"):
        with contextlib.suppress(MotionLLMError), lock(folder):  # a running server holds the lock of its folder
            shutil.rmtree(folder, ignore_errors=True)
    folder = place / f"{_WORK}{secrets.token_hex(8)}"
    with lock(folder):
        folder.mkdir(mode=0o700)
        before = os.environ.get("GRADIO_TEMP_DIR")
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "gradio")  # it asks at every upload
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before
            shutil.rmtree(folder, ignore_errors=True)


def gradio() -> Any:
    """Import gradio. Raises MotionLLMError where it is not installed."""
    try:
        import gradio as module
    except ImportError:
        raise MotionLLMError("The page needs Gradio: run `pip install 'motionllm[web]'`.") from None
    return module


def _turn(chat: Chat, line: str, seconds: str, seed: str) -> Iterator[np.ndarray | Notation | Reply | None]:
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


def _clip(number: int, motion: Motion, done: bool) -> str:
    """The message to the stage that shows a clip."""
    body = motion.body()
    return json.dumps({"clip": number, "done": done, **stored(body.joints, body.fps)}, separators=(",", ":"))


def _standing() -> Motion:
    """A person who stands, as one frame: the first of a motion of the built-in corpus."""
    return Motion(corpus.joints(corpus.Spec((corpus.Part("wave", side="left"),)), 1)[:1])


def _stage() -> str:
    """The page within the page: a figure that stands until it is told to move."""
    standing = _standing()
    return render(Path(__file__).with_name("stage.html"), [stored(standing.joints, standing.fps)])
