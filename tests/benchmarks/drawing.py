"""Training examples drawn per second on one core, by task, from 400 clips of the built-in corpus.

    python tests/benchmarks/drawing.py                         every task, 3 × 300 examples each
    python tests/benchmarks/drawing.py --tasks edit query      some
    python tests/benchmarks/drawing.py --workers 4             all tasks mixed, by this many processes

One core's figures are processor time, so that other work on the machine counts little; those of several processes are
by the clock. The target is 400 on one core and 1,000 altogether, so that a GPU never waits.
"""

from __future__ import annotations

import argparse
import json
import time

from motionllm.config import Data, Notes, Source
from motionllm.data.ahead import Ahead
from motionllm.data.clips import encode
from motionllm.data.examples import Examples
from motionllm.data.tasks import phrased
from motionllm.data.templates import Templates
from motionllm.language.bases import load_base_tokenizer
from motionllm.language.conversations import Renderer
from motionllm.language.vocab import MotionVocab
from motionllm.tokenizer import MotionTokenizer

SOURCE = Source(kind="builtin", clips=400, seed=5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=phrased())
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    motion_tokenizer = MotionTokenizer.load("default")
    clips = [encode(SOURCE, "train", motion_tokenizer, phrased(), noted=True)]
    words = load_base_tokenizer("builtin:smollm2-135m-instruct")
    plain = load_base_tokenizer("builtin:smollm2-135m-instruct")
    vocab = MotionVocab.add(words, motion_tokenizer.size, motion_tokenizer.hash, motion_tokenizer.parts)
    renderer, templates, rate = Renderer(plain, vocab), Templates.load("default"), motion_tokenizer.codes_per_second

    def stream(tasks: list[str]) -> Examples:
        data = Data(sources=[SOURCE], tasks=dict.fromkeys(tasks, 1.0), notation=Notes(told=0.2))
        return Examples(clips, data, templates, renderer, rate, 0)

    if options.workers:
        ahead = Ahead(stream(options.tasks), options.workers, 64)
        try:
            ahead.draw()  # the processes have started
            begun = time.monotonic()
            for _ in range(options.examples):
                ahead.draw()
            per_second = options.examples / (time.monotonic() - begun)
        finally:
            ahead.close()
        print(json.dumps({"workers": options.workers, "examples_per_second": round(per_second)}))
        return
    for task in options.tasks:
        examples = stream([task])
        examples.draw()  # the donors of edits are parsed once
        seconds = []
        for _ in range(3):
            begun = time.process_time()
            tokens = sum(len(examples.draw()[1].ids) for _ in range(options.examples))
            seconds.append(time.process_time() - begun)
        per_second = options.examples / min(seconds)
        row = {"task": task, "examples_per_second": round(per_second), "tokens": round(tokens / options.examples)}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
