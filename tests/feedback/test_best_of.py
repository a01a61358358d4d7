"""What the best of eight gains and costs, set right, without and with judges, on the model that ships; see `-s`."""

import time
from collections.abc import Generator
from typing import Any

import pytest

from motionllm import corpus as builtin
from motionllm.corpus import Spec
from motionllm.eval.corpus import checked, shares
from motionllm.feedback.ranking import Ranking
from motionllm.lm.model import MotionLM
from motionllm.motion import Motion

PROMPTS, BATCH = 64, 16


@pytest.mark.slow
def test_the_best_of_eight_has_more_of_what_is_asked_at_a_small_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = builtin.corpus(32 + PROMPTS, 0, "test")[32:]
    specs = [Spec.of(sample.labels["spec"]) for sample in samples]
    lm = MotionLM.load("default")
    judge = Ranking.of(lm, "facts,physics=0.2")
    mended, as_drawn = lm._mended, []

    def watched(motions: list[Motion], *args: Any) -> Generator[None, None, list[Motion]]:
        as_drawn.extend(motions)
        return (yield from mended(motions, *args))

    monkeypatch.setattr(lm, "_mended", watched)
    found, seconds = {}, {}
    ways = {"one": (1, None), "best of eight by facts,physics=0.2": (8, judge), "best of eight, set right": (8, None)}
    for way, (best_of, by) in ways.items():
        begun = time.process_time()
        made: list[Motion] = []
        for i in range(0, PROMPTS, BATCH):
            texts = [sample.captions[0] for sample in samples[i : i + BATCH]]
            made += lm.generate_batch(texts, seed=i, best_of=best_of, judge=by)
        seconds[way] = time.process_time() - begun
        found[way] = shares(specs, [checked(s, m) for s, m in zip(specs, made, strict=True)])
    found["best of eight"] = shares(specs, [checked(s, m) for s, m in zip(specs, as_drawn, strict=True)])
    for way, share in found.items():
        told = {name: f"{100 * value:.0f}" for name, value in share.items() if isinstance(value, float)}
        print(f"{way}: {told} %, {seconds.get(way, 0):.0f} s of a core")
    one, drawn, judged, right = (
        1 - found[way]["facts"]  # type: ignore[operator]
        for way in ("one", "best of eight", "best of eight by facts,physics=0.2", "best of eight, set right")
    )
    assert drawn <= 0.8 * one and judged <= 0.6 * one and right <= 0.75 * drawn
    assert max(seconds.values()) <= 12 * seconds["one"]  # ranking by likelihood reads each candidate once more
