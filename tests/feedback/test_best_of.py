"""What the best of eight by judges gains and costs, on the model that ships; printed with `-s`."""

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
    errors, seconds = {}, {}
    for best_of in (1, 8):
        begun = time.monotonic()
        made = [
            lm.generate(sample.captions[0], seed=i, best_of=best_of, judge=judge) for i, sample in enumerate(samples)
        ]
        seconds[best_of] = time.monotonic() - begun
        errors[best_of] = 1 - shares(specs, [checked(s, m) for s, m in zip(specs, made, strict=True)])["facts"]  # type: ignore[arg-type]
        print(f"best of {best_of}: {100 * errors[best_of]:.1f} % of what is asked is missing, {seconds[best_of]:.0f} s")
    print(f"error × {errors[8] / errors[1]:.2f}, time × {seconds[8] / seconds[1]:.2f}")
    assert errors[8] <= 0.6 * errors[1]
    assert seconds[8] <= 3 * seconds[1]
