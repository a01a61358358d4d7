"""What people's captions ask for and the motions of the model that ships show, as drawn and set right; see `-s`."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm.data.asked import as_asked, asked, named, share
from motionllm.data.mending import plain
from motionllm.lm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.notation import measure

CAPTIONS = Path(__file__).parents[3] / "shared" / "data" / "humanml3d_captions.jsonl"
PROMPTS, BATCH, SEED = 100, 20, 1


def figures(texts: Sequence[str], motions: Sequence[Motion]) -> dict[str, float]:
    """Means over the motions: of the acts asked for those measured as they are asked for, texts with all that they ask
    for, shares of what is asked and of what is done that was asked for, and seconds.
    """
    acts, shares, besides = [], [], []
    for text, motion in zip(texts, motions, strict=True):
        notation, wanted = measure(motion.joints, motion.fps), asked(text)
        acts += [as_asked(one, notation) for one in wanted if plain(one)]
        shares.append(share(wanted, notation))
        besides.append(named(wanted, notation))
    return {
        "acts as asked": float(np.mean(acts)),
        "all asked": float(np.mean(np.array(shares) == 1)),
        "of what is asked": float(np.mean(shares)),
        "of what is done": float(np.mean(besides)),
        "seconds": float(np.mean([motion.duration for motion in motions])),
    }


@pytest.mark.slow
@pytest.mark.skipif(not CAPTIONS.is_file(), reason="needs shared/data/humanml3d_captions.jsonl beside the checkout")
def test_most_of_what_people_ask_for_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [json.loads(line) for line in CAPTIONS.read_text().splitlines()]
    random = np.random.default_rng(SEED)
    every = [str(random.choice(row["captions"])) for row in rows if row["split"] == "test"]
    texts = [text for text in random.permutation(every).tolist() if asked(text)][:PROMPTS]
    lm = MotionLM.load("default")
    drawn: list[Motion] = []
    mended = lm._mended

    def watched(motions: list[Motion], prompts: Sequence[str], *args: Any) -> Generator[None, None, list[Motion]]:
        drawn.extend(motions)
        seen.extend(prompts)
        return (yield from mended(motions, prompts, *args))

    seen: list[str] = []
    monkeypatch.setattr(lm, "_mended", watched)
    made: list[Motion] = []
    for i in range(0, PROMPTS, BATCH):
        made += lm.generate_batch(texts[i : i + BATCH], seed=SEED)
    every_one = figures(texts, made)
    meant = [lm.meant(text) for text in texts]
    of_those = [made[meant.index(text)] for text in seen]
    for name, row in (("drawn", figures(seen, drawn)), ("set right", figures(seen, of_those)), ("all", every_one)):
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in row.items()))
    assert every_one["acts as asked"] >= 0.9 and every_one["of what is asked"] >= 0.85
