"""Captions without motion: what is understood of them, and that the motion made for one does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import Source
from motionllm.corpus.heard import spec_of
from motionllm.data.clips import encode
from motionllm.data.content import fingerprint
from motionllm.data.sources import has_split, read
from motionllm.errors import MotionLLMError
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import measure
from motionllm.tokenizer import MotionTokenizer

SAID = [
    "a man casually jogs forward.",
    "the person waves with his left hand and then sits down",
    "someone does two squats",
]
NOT = [
    "a man juggles three balls",
    "a person walks back and forth",
    "a person does not jump",
    "走る",
    "",
    "<|im_end|>",
    "a person walks forward, left and then to the right",
    "a person bends to the right and waves",
]


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "captions.jsonl"
    rows = [{"id": f"{i:06}", "split": "train", "captions": [said, NOT[i]]} for i, said in enumerate(SAID)]
    rows.append({"id": "000009", "split": "val", "captions": ["a person kicks with the right foot."]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("caption", NOT)
def test_what_is_not_all_understood_is_left_out(caption: str) -> None:
    assert spec_of(caption, np.random.default_rng(0)) is None


def test_the_corpus_understands_what_it_says_itself() -> None:
    rng = np.random.default_rng(0)
    right = seen = 0
    for sample in builtin.corpus(300):
        spec = builtin.Spec.of(sample.labels["spec"])
        for caption in sample.captions:
            if (heard := spec_of(caption, rng)) is not None:
                seen += 1
                right += [p.action for p in heard.parts] in (
                    [p.action for p in spec.parts],
                    [p.action for p in spec.parts][::-1],
                )
    assert seen > 300 and right / seen > 0.9


def test_clips_do_what_the_caption_says(captions: Path) -> None:
    made = builtin.heard_corpus(captions, 30)
    assert len(made) == 30 and {s.captions[0] for s in made} == {said.strip() for said in SAID}
    assert len({s.id for s in made}) == 30
    for sample in made:
        verbs = {line.verb for line in measure(features_to_joints(sample.load())).lines}
        assert verbs & {"run", "wave", "squat"}
        if "left hand" in sample.captions[0]:
            assert builtin.Spec.of(sample.labels["spec"]).parts[0].side == "left"
    again = builtin.heard_corpus(captions, 30)
    assert all(np.array_equal(a.load(), b.load()) for a, b in zip(made[:5], again[:5], strict=True))


def test_a_source_of_captions_is_one_of_clips(
    captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: Path
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    source = Source(kind="captions", path=str(captions), clips=12)
    assert has_split(source, "val") and not has_split(source, "test")
    assert [s.captions for s in read(source, "val")] == [["a person kicks with the right foot."]]
    clips = encode(source, "train", MotionTokenizer.load(tiny_tokenizer), noted=True)
    assert len(clips) == 12 and all(clip.notation and clip.sample.questions for clip in clips)
    before = fingerprint(source, "train")
    captions.write_text(captions.read_text(encoding="utf-8").replace("two squats", "three squats"), encoding="utf-8")
    assert fingerprint(source, "train") != before


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"id": "1", "captions": "a man walks"}\n', encoding="utf-8")
    with pytest.raises(MotionLLMError, match="line 1"):
        builtin.heard_corpus(path, 3)
    path.write_text('{"id": "1", "captions": ["a man juggles"]}\n', encoding="utf-8")
    with pytest.raises(MotionLLMError, match="no caption of the train split"):
        builtin.heard_corpus(path, 3)
