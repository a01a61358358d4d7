"""What the best of eight gains and costs, without and with judges, on the model that ships; printed with `-s`."""

import time

import pytest

from motionllm import corpus as builtin
from motionllm.corpus import Spec
from motionllm.eval.corpus import checked, shares
from motionllm.feedback.ranking import Ranking
from motionllm.lm.model import MotionLM

PROMPTS = 120


@pytest.mark.slow
def test_the_best_of_eight_has_more_of_what_is_asked_at_a_small_cost() -> None:
    samples = builtin.corpus(PROMPTS, 0, "test")
    specs = [Spec.of(sample.labels["spec"]) for sample in samples]
    lm = MotionLM.load("default")
    judge = Ranking.of(lm, "facts,physics=0.2")
    ways = {"one": (1, None), "best of eight": (8, None), "best of eight by facts,physics=0.2": (8, judge)}
    errors, seconds = {}, {}
    for way, (best_of, by) in ways.items():
        begun = time.monotonic()
        made = [lm.generate(sample.captions[0], seed=i, best_of=best_of, judge=by) for i, sample in enumerate(samples)]
        seconds[way] = time.monotonic() - begun
        errors[way] = 1 - shares(specs, [checked(s, m) for s, m in zip(specs, made, strict=True)])["facts"]  # type: ignore[arg-type]
        print(f"{way}: {100 * errors[way]:.1f} % of what is asked is missing, {seconds[way]:.0f} s")
    one, own, judged = ways
    assert errors[own] <= 0.8 * errors[one] and errors[judged] <= 0.6 * errors[one]
    assert max(seconds[own], seconds[judged]) <= 3 * seconds[one]
