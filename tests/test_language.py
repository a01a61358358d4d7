"""What became of the base model's language in the adapter that ships: its own answers, as likely as before or less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from motionllm import MotionLM
from motionllm.language.bases import load_base
from motionllm.language.conversations import Renderer
from motionllm.lm import decoding

QUESTIONS = Path(__file__).with_name("plain_questions.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_plain_questions_are_answered_in_the_bases_language(capsys: pytest.CaptureFixture[str]) -> None:
    lm = MotionLM.load("default")
    base, _ = load_base(lm.backend.base, lm.recipe.model.dtype)  # on its own, as nobody of ours has touched it
    lm.vocab.attach(base)
    render = Renderer(lm.tokenizer, None)
    prompts = [render([{"role": "user", "content": question}], reply=True).ids for question in QUESTIONS]
    answers = [[*ids, lm._stop] for ids in decoding.texts(base, lm.vocab, prompts, lm._stop, max_tokens=40)]
    count = sum(map(len, answers))

    def nats(model: Any) -> float:
        """Nats a token of the base's answers."""
        return -sum(decoding.likelihoods(model, lm.vocab, prompts, answers, batch=10)) / count

    own, merged = nats(base), nats(lm.model)
    with lm.backend.without_adapter() as spoken:  # what `talk` answers text with
        kept = nats(spoken.model)
    with capsys.disabled():
        print(
            f"\nnats a token over {count} tokens of the base's answers to {len(QUESTIONS)} questions: base {own:.3f}, "
            f"chat {kept:.3f} ({kept - own:+.3f}), with the adapter on {merged:.3f} ({merged - own:+.3f})"
        )
    assert len(QUESTIONS) == 50 and count > 300
    assert kept == pytest.approx(own, abs=1e-6)
    assert merged > own  # the answers were the base's, greedily: the test tells models apart
