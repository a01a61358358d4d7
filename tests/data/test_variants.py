"""Clips made of others: what they are, that they move as their parts do, and that a seed makes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import More, Source
from motionllm.data.clips import encode
from motionllm.data.variants import BLEND, LONGEST, does_only, joined, stacked, varied
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import VERBS, measure
from motionllm.samples import Sample
from motionllm.tokenizer import MotionTokenizer


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return builtin.corpus(120, split="val")


def test_nothing_asked_for_makes_nothing(samples: list[Sample]) -> None:
    assert varied(samples, More(), 0) == []


def test_cuts_are_the_clip_at_other_frames_and_paces(samples: list[Sample]) -> None:
    few = samples[:12]
    made = varied(few, More(cuts=3, crop=0.1, pace=0.2), 0)
    assert len(made) == 36 and len({s.id for s in made}) == 36
    for number, sample in enumerate(made):
        of = few[number // 3]
        whole, cut = of.load(), sample.load()
        assert sample.captions == of.captions and not sample.questions
        assert 0.75 * 0.8 * len(whole) - 8 <= len(cut) <= len(whole) / 0.8 + 1
        # Every pose of the cut is one of the clip's, or lies between two.
        apart = np.abs(cut[:, None, 4:67] - whole[None, :, 4:67]).mean(-1).min(1)
        assert np.median(apart) < 0.01
    again = varied(few, More(cuts=3, crop=0.1, pace=0.2), 0)
    assert all(np.array_equal(a.load(), b.load()) for a, b in zip(made[:6], again[:6], strict=True))


def test_joined_clips_go_on_where_the_first_ends(samples: list[Sample]) -> None:
    made = varied(samples, More(joined=15), 0)
    assert len(made) == 15
    by_id = {s.id: s for s in samples}
    for sample in made:
        first, second = (by_id[name].load() for name in sample.id.split("+"))
        whole = sample.load()
        assert len(whole) == pytest.approx(len(first) + len(second) - BLEND, abs=1) and len(whole) <= LONGEST
        joints = features_to_joints(whole)
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(1)
        each = [np.linalg.norm(np.diff(features_to_joints(x), axis=0), axis=-1).max() for x in (first, second)]
        assert speed[len(first) - BLEND - 1 : len(first) + 1].max() < max(each) + 0.06  # metres a frame: no jump
        assert len(sample.captions) and all(" then " in c or "after that" in c for c in sample.captions)


def test_joining_is_rigid_outside_the_seam(samples: list[Sample]) -> None:
    first, second = samples[0].load(), samples[1].load()
    whole = joined(first, second)
    after = whole[len(first) : len(first) + len(second) - BLEND]
    assert np.allclose(after[5:-25, 4:67], second[BLEND + 5 : BLEND + 5 + len(after) - 30, 4:67], atol=0.03)


def test_stacked_clips_do_both(samples: list[Sample]) -> None:
    corpus = {sample.id: sample for sample in builtin.corpus(300)}
    made = varied(list(corpus.values()), More(stacked=20), 0)
    assert len(made) == 20
    heard = []
    for sample in made:
        a, b = (corpus[name] for name in sample.id.split("&"))
        notations = [measure(features_to_joints(s.load())) for s in (a, b, sample)]
        wanted = {line.verb for n in notations[:2] for line in n.lines}
        heard.append(len(wanted & {line.verb for line in notations[2].lines}) / len(wanted))
    assert np.mean(heard) > 0.7


def test_stacking_keeps_the_legs_of_one_and_the_arms_of_the_other(samples: list[Sample]) -> None:
    a, b = samples[0].load(), samples[3].load()
    made, below, above = (features_to_joints(x) for x in (stacked(a, b), a, b))
    length = min(len(below), len(above))
    legs = [1, 2, 4, 5, 7, 8, 10, 11]
    assert np.allclose(made[:length, legs] - made[:length, :1], below[:length, legs] - below[:length, :1], atol=0.02)
    elbow = [np.linalg.norm(x[:length, 18] - x[:length, 16], axis=-1) for x in (made, above)]
    assert np.allclose(elbow[0], elbow[1], atol=0.01)


def test_what_only_arms_or_only_legs_do_is_told(samples: list[Sample]) -> None:
    assert set(VERBS) >= {"walk", "wave"}
    walk = next(s for s in samples if s.captions and "walk" in s.captions[0] and "then" not in s.captions[0])
    notation = measure(features_to_joints(walk.load()))
    assert not does_only(notation, {"wave"})


def test_training_clips_are_more_and_validation_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: Path
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    plain, more = Source(kind="builtin", clips=20), Source(kind="builtin", clips=20, more=More(cuts=2, joined=3))
    assert len(encode(plain, "train", tokenizer)) == 20
    made = encode(more, "train", tokenizer, noted=True)
    assert 60 < len(made) <= 63 and len({clip.notation for clip in made}) > 50
    assert len(encode(more, "val", tokenizer)) == len(encode(plain, "val", tokenizer))
