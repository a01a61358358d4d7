"""Examples drawn ahead by processes: the same in the same order, whatever becomes of the processes."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from motionllm.config import Data, Source
from motionllm.data import ahead
from motionllm.data.ahead import CHUNK, Ahead
from motionllm.data.clips import encode
from motionllm.data.examples import Examples
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_base_tokenizer
from motionllm.language.conversations import Renderer
from motionllm.language.vocab import MotionVocab
from motionllm.tokenizer import MotionTokenizer


@pytest.fixture(scope="module")
def stream_of(tiny_base: Path, tiny_tokenizer: Path) -> Callable[[], Examples]:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash, tokenizer.parts)
    renderer = Renderer(load_base_tokenizer(tiny_base), vocab)
    tasks = {"text_to_motion": 1.0, "caption": 1.0, "question": 1.0}
    data = Data(sources=[Source(kind="builtin", clips=9)], tasks=tasks, drop_text=0.3, corrupt=0.2)
    clips = [encode(source, "train", tokenizer) for source in data.sources]
    return lambda: Examples(clips, data, Templates.load("default"), renderer, tokenizer.codes_per_second, 1)


def test_processes_draw_what_one_would_and_what_a_killed_one_held_is_drawn_again(
    stream_of: Callable[[], Examples], caplog: pytest.LogCaptureFixture
) -> None:
    alone, together = stream_of(), stream_of()
    expected = [alone.draw() for _ in range(6 * CHUNK)]
    drawing = Ahead(together, 2, 2 * CHUNK)
    try:
        drawn = [drawing.draw()]
        for process in list(drawing.processes):  # one alone may have drawn all that it ever would
            os.kill(process.pid, signal.SIGKILL)
        with caplog.at_level(logging.WARNING, "motionllm"):
            drawn += [drawing.draw() for _ in range(5 * CHUNK + 4)]
    finally:
        drawing.close()
    assert drawn == expected[: 5 * CHUNK + 5]
    assert {record.getMessage() for record in caplog.records} == {
        "A process that draws examples was killed by signal 9; another draws them again."
    }
    assert all(process.returncode is not None for process in drawing.processes)
    # What was handed out counts, not what was drawn ahead.
    resumed = stream_of()
    resumed.order.restore(json.loads(json.dumps(together.order.state())))
    assert [resumed.draw() for _ in range(CHUNK - 5)] == expected[5 * CHUNK + 5 :]


def test_processes_that_die_again_and_again_end_in_a_sentence(
    stream_of: Callable[[], Examples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "COMMAND", "raise SystemExit(7)")
    drawing = Ahead(stream_of(), 1, 1)
    try:
        with pytest.raises(MotionLLMError, match=r"ended with exit status 7\); train.workers=0"):
            drawing.draw()
    finally:
        drawing.close()


@pytest.mark.slow
def test_an_error_of_drawing_is_that_of_drawing_alone(stream_of: Callable[[], Examples]) -> None:
    stream = stream_of()
    stream.filler.templates = Templates({"caption": [{"user": "{motion}", "assistant": "{caption}"}]}, "test")
    drawing = Ahead(stream, 1, 1)
    try:
        with pytest.raises(MotionLLMError, match="no phrasing for the task"):
            for _ in range(20):
                drawing.draw()
    finally:
        drawing.close()


@pytest.mark.slow
def test_processes_end_with_the_training_process(stream_of: Callable[[], Examples]) -> None:
    drawing = Ahead(stream_of(), 1, 1)
    drawing.draw()
    (process,) = drawing.processes
    assert process.stdin
    process.stdin.close()  # as when the training process is killed
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert process.returncode == 0
    drawing.close()
