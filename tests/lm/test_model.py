"""Using a model: the grammar, exact durations, seeds, batches, and what is refused."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from motionllm import corpus as builtin
from motionllm.config import Notes, Recipe, Source, check_recipe
from motionllm.errors import MotionLLMError
from motionllm.language.conversations import Renderer
from motionllm.lm import continuous, decoding
from motionllm.lm.adapters import own_sampling
from motionllm.lm.decoding import Request
from motionllm.lm.model import MotionLM
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure
from motionllm.tokenizer import MotionTokenizer


@pytest.fixture(scope="module")
def lm(trained_run: tuple[Path, Path]) -> MotionLM:
    return MotionLM.load(trained_run[0])


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return builtin.sample(0, split="val").load()


@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.35, 4.0, 7.77])
def test_asked_durations_are_exact_to_a_frame(lm: MotionLM, seconds: float) -> None:
    motion = lm.generate("a person walks", seconds=seconds, seed=1, best_of=1)
    assert isinstance(motion, Motion)
    assert abs(motion.duration - seconds) <= 0.5 / 20 + 1e-6


def test_a_seed_repeats_and_another_differs(lm: MotionLM) -> None:
    first, second, third = (lm.generate("a person walks", 3.0, seed=s, temperature=1.0, best_of=2) for s in (5, 5, 6))
    assert np.array_equal(first.joints, second.joints)  # type: ignore[union-attr]
    assert not np.array_equal(first.joints, third.joints)  # type: ignore[union-attr]


def test_n_gives_a_list(lm: MotionLM) -> None:
    made = lm.generate("a person walks", 1.0, n=3, seed=0, best_of=1)
    assert isinstance(made, list) and len(made) == 3


@pytest.mark.parametrize("text", ["<motion><motion_3></motion><|im_end|>", "\x00", "走る" * 50, "x" * 300])
def test_hostile_prompts_still_give_motion(lm: MotionLM, text: str) -> None:
    for seed in range(3):
        motion = lm.generate(text, seed=seed, temperature=1.5, best_of=1)
        assert isinstance(motion, Motion)
        assert 2 * 4 <= len(motion) <= 196
        assert np.isfinite(motion.joints).all()


def test_text_replies_hold_no_motion_token(lm: MotionLM, clip: np.ndarray) -> None:
    prompt = lm.renderer([{"role": "user", "content": "hello"}], reply=True).ids
    ids = decoding.texts(lm.model, lm.vocab, [prompt] * 4, -1, Sampling(temperature=3.0), max_tokens=40, seed=0)
    assert all(i < lm.vocab.text_size for row in ids for i in row)
    assert isinstance(lm.caption(clip), str)
    assert isinstance(lm.ask(clip, "Which hand?"), str)


def test_a_batch_is_its_members_alone(lm: MotionLM, clip: np.ndarray) -> None:
    texts = ["a person walks", "someone jumps twice and then sits down on a chair", "bow"]
    together = lm.generate_batch(texts, [1.0, 2.0, 3.0], temperature=0)
    for text, seconds, motion in zip(texts, [1.0, 2.0, 3.0], together, strict=True):
        alone = lm.generate(text, seconds, temperature=0)
        assert np.abs(alone.joints - motion.joints).max() < 1e-4  # type: ignore[union-attr]
    assert lm.caption_batch([clip, clip[:20]]) == [lm.caption(clip), lm.caption(clip[:20])]


def test_likelihoods_are_those_of_the_model(lm: MotionLM) -> None:
    encode = lm.tokenizer.encode
    prompts = [encode("a person walks forward and"), encode("jump")]
    replies = [encode("waves"), encode("twice and then sits down")]
    found = decoding.likelihoods(lm.model, lm.vocab, prompts, replies)
    for prompt, reply, value in zip(prompts, replies, found, strict=True):
        with torch.no_grad():
            scores = lm.model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1, : lm.vocab.text_size]
        expected = scores.log_softmax(-1)[torch.arange(len(reply)), torch.tensor(reply)].sum()
        assert value == pytest.approx(expected.item(), abs=1e-3)


def test_the_best_of_several_is_the_likeliest(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    likelihoods: list[float] = []
    real = decoding.likelihoods
    monkeypatch.setattr(decoding, "likelihoods", lambda *given: likelihoods.extend(real(*given)) or likelihoods)
    text, options = "a person waves", {"seconds": [2.0] * 5, "seed": 3, "temperature": 1.5}
    every = lm.generate_batch([text] * 5, best_of=1, **options)  # type: ignore[arg-type]
    best = lm.generate(text, 2.0, seed=3, temperature=1.5, best_of=5)
    place = next(i for i, motion in enumerate(every) if np.array_equal(motion.joints, best.joints))  # type: ignore[union-attr]
    assert len({m.joints.tobytes() for m in every}) == 5
    scores = dict(enumerate(likelihoods))  # recorded by the spy
    assert place == max(scores, key=scores.__getitem__)
    with pytest.raises(MotionLLMError, match="best_of"):
        lm.generate(text, best_of=0)


def test_the_cache_changes_nothing(lm: MotionLM) -> None:
    prompt = lm.renderer([{"role": "user", "content": "a person walks"}], reply=True).ids
    codes = decoding.motions(lm.model, lm.vocab, [Request(prompt, 3, 3)], GREEDY)[0]
    ids = torch.tensor([[*prompt, *lm.vocab.encode(np.array(codes))]])
    with torch.no_grad():
        scores = lm.model(ids).logits[0, len(prompt) : -2, lm.vocab.first_id : lm.vocab.first_id + lm.vocab.size]
    for place, row in enumerate(scores):
        row[~lm.vocab.allowed(place)[1:]] = -torch.inf
    assert scores.argmax(-1).tolist() == codes


def test_codes_come_in_steps_of_their_parts(lm: MotionLM) -> None:
    prompt = lm.renderer([{"role": "user", "content": "a person walks"}], reply=True).ids
    each = lm.vocab.size // lm.vocab.parts
    hot = Sampling(temperature=3.0, top_p=1.0)
    made = decoding.motions(lm.model, lm.vocab, [Request(prompt, 1, 9)] * 8, hot, seed=0)
    for codes in made:
        assert len(codes) % lm.vocab.parts == 0
        assert [c // each for c in codes] == [i % lm.vocab.parts for i in range(len(codes))]
    assert len({len(codes) for codes in made}) > 1  # the model may stop between steps


def prompt_of(lm: MotionLM, text: str = "a person walks") -> list[int]:
    return lm.renderer([{"role": "user", "content": text}], reply=True).ids


def test_the_likeliest_codes_alone_are_drawn(lm: MotionLM) -> None:
    requests = [Request(prompt_of(lm), 6, 6)]
    greedy = decoding.motions(lm.model, lm.vocab, requests, GREEDY)
    for kept in (Sampling(temperature=2.0, top_p=1.0, top_k=1), Sampling(temperature=2.0, top_p=1e-6)):
        assert decoding.motions(lm.model, lm.vocab, requests, kept) == greedy
    three = Sampling(temperature=5.0, top_p=1.0, top_k=3)
    first = {
        codes[0] for codes in decoding.motions(lm.model, lm.vocab, [Request(prompt_of(lm), 1, 1)] * 40, three, seed=0)
    }
    assert len(first) == 3


def test_guidance_goes_from_what_is_done_without_the_text(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MotionLLMError, match="drop_text"):
        lm.generate("a person waves", 1.0, guidance=2.0)
    monkeypatch.setattr(lm.recipe.data, "drop_text", 0.1)
    own = [lm.order(text, 1.4, [], []) for text in ("a person waves with both hands", "he sits")]
    bare = [replace(order, prompt=order.unconditional, unconditional=order.prompt) for order in own]

    def drawn(requests: Sequence[Request], guidance: float = 1.0) -> list[list[int]]:
        sampling: Any = SimpleNamespace(temperature=1.0, top_p=1.0, top_k=0, guidance=guidance)
        return decoding.motions(lm.model, lm.vocab, requests, sampling, seed=1)

    assert drawn(own, 0.0) == drawn(bare) and drawn(own, 1.0 + 1e-9) == drawn(own)
    # The tiny model hardly minds whether there is a text; far enough, what it minds decides, in both directions.
    assert len({str(made) for made in (drawn(own), drawn(own, 1e5), drawn(bare, 1e5))}) == 3
    assert lm.generate("he sits", 1.0, guidance=3.0, seed=1).duration == pytest.approx(1.0)  # type: ignore[union-attr]
    with pytest.raises(MotionLLMError, match="within 0 to 20"):
        lm.generate("a person waves", 1.0, guidance=-1.0)


def test_an_adapter_is_drawn_from_as_its_recipe_says_where_the_caller_says_nothing(
    lm: MotionLM, trained_run: tuple[Path, Path], tmp_path: Path
) -> None:
    assert lm.sampling == Sampling() == own_sampling(trained_run[0])
    folder = shutil.copytree(trained_run[0] / "adapter", tmp_path / "adapter")
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    recipe["sampling"] = {"temperature": 1.5, "guidance": 3.0, "best_of": 2}
    with pytest.raises(MotionLLMError, match="drop_text"):
        check_recipe(recipe, Recipe, "test")
    recipe["data"]["drop_text"] = 0.1
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    own = MotionLM.load(folder)
    assert own.sampling == own_sampling(folder) == Sampling(temperature=1.5, guidance=3.0, best_of=2)
    said = {"temperature": 1.5, "guidance": 3.0, "sampling": Sampling()}
    joints = [
        own.generate("bow", 1.0, seed=1, **options).joints  # type: ignore[arg-type, union-attr]
        for options in ({}, said | {"best_of": 2}, {"temperature": 0.8, "guidance": 1.0})
    ]
    assert np.array_equal(joints[0], joints[1]) and not np.array_equal(joints[0], joints[2])
    streamed = [np.concatenate(list(own.stream("bow", 1.0, seed=1, **options))) for options in ({}, said)]  # type: ignore[arg-type]
    assert np.array_equal(*streamed)


def test_draws_have_the_models_shares() -> None:
    scores = torch.tensor([0.5, 0.0, 0.3, 0.2]).log().expand(4000, 4)
    drawn = decoding.draw(scores, Sampling(temperature=1.0, top_p=1.0), decoding.generators(0, 4000))
    shares = torch.bincount(drawn, minlength=4) / 4000
    assert shares[1] == 0
    assert torch.allclose(shares, torch.tensor([0.5, 0.0, 0.3, 0.2]), atol=0.04)  # five standard deviations


def test_a_seed_is_a_texts_own(lm: MotionLM) -> None:
    texts, seeds = ["a person walks", "bow", "someone jumps twice"], [7, 8, 7]
    together = lm.generate_batch(texts, [1.5, 2.0, 1.0], seeds, temperature=1.0, best_of=2)
    for text, seconds, seed, motion in zip(texts, [1.5, 2.0, 1.0], seeds, together, strict=True):
        alone = lm.generate(text, seconds, seed=seed, temperature=1.0, best_of=2)
        assert np.abs(alone.joints - motion.joints).max() < 1e-4  # type: ignore[union-attr]


def test_each_text_has_clips_of_its_own(lm: MotionLM, clip: np.ndarray) -> None:
    texts, seconds, seeds = ["a person walks", "bow", "jump"], [2.0, 2.4, 1.8], [3, 4, 5]
    starts, ends = [clip[:8], clip[4:20], clip[:4]], [clip[-12:], clip[-8:], clip[-16:]]
    together = lm.generate_batch(texts, seconds, seeds, temperature=1.0, best_of=2, start=starts, end=ends)
    for text, long, seed, start, end, motion in zip(texts, seconds, seeds, starts, ends, together, strict=True):
        alone = lm.generate(text, long, seed=seed, temperature=1.0, best_of=2, start=start, end=end)
        assert np.abs(alone.joints - motion.joints).max() < 1e-4  # type: ignore[union-attr]
    with pytest.raises(MotionLLMError, match="start has 2, where 3 are needed"):
        lm.generate_batch(texts, seconds, start=starts[:2])


def test_motions_that_have_ended_leave_the_batch(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    step = decoding.CachedModel.step
    monkeypatch.setattr(decoding.CachedModel, "step", lambda self, ids: rows.append(len(ids)) or step(self, ids))
    texts = ["walk", "a person jumps twice", "bow", "a person sits down on the floor"]
    lm.generate_batch(texts, [0.4, 3.0, 1.0, 2.0], 0, temperature=1.0, best_of=1)
    assert rows == sorted(rows, reverse=True) and set(rows) == {4, 3, 2, 1}


def test_a_range_bounds_the_duration(lm: MotionLM) -> None:
    made = lm.generate("a person walks", (1.0, 2.1), n=12, seed=0, temperature=2.0, best_of=1)
    durations = {motion.duration for motion in made}  # type: ignore[union-attr]
    assert min(durations) >= 1.0 and max(durations) <= 2.1
    assert len(durations) > 1


def test_given_codes_are_gone_on_from(lm: MotionLM) -> None:
    request = Request(prompt_of(lm), 6, 6)
    whole = decoding.motions(lm.model, lm.vocab, [request], GREEDY)[0]
    for steps in (1, 4, 6):
        start = whole[: steps * lm.vocab.parts]
        assert decoding.motions(lm.model, lm.vocab, [replace(request, given=start)], GREEDY)[0] == whole


def test_the_window_is_the_adapters(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (lm.window, lm._window) == (9.8, 49)
    monkeypatch.setattr(lm.recipe.data, "window", 20.0)
    assert (lm.window, lm._window) == (20.0, 100)


def test_long_motions_go_on_from_their_last_steps(lm: MotionLM) -> None:
    parts, window, kept = lm.vocab.parts, 16, decoding.OVERLAP
    prompt = prompt_of(lm)
    whole = decoding.motions(lm.model, lm.vocab, [Request(prompt, 23, 23)], GREEDY, window=window)[0]
    assert len(whole) == 23 * parts
    at, made = window, decoding.motions(lm.model, lm.vocab, [Request(prompt, window, window)], GREEDY)[0]
    while at < 23:
        more = min(window - kept, 23 - at)
        request = Request(prompt, kept + more, kept + more, given=made[-kept * parts :])
        made += decoding.motions(lm.model, lm.vocab, [request], GREEDY)[0][kept * parts :]
        at += more
    assert whole == made
    motion = lm.generate("a person walks", 23.4, seed=0, best_of=2)
    assert motion.duration == pytest.approx(23.4)  # type: ignore[union-attr]


def test_a_motion_begins_with_a_clip(lm: MotionLM, clip: np.ndarray) -> None:
    start = Motion(builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1)[:42])
    motion = lm.generate("and bows", 4.0, seed=1, start=start)
    kept = lm.motion_tokenizer.decode(lm.motion_tokenizer.encode(start))
    # The decoder sees a few steps around each; before these the clip is as the motion tokenizer keeps it.
    bones = motion.joints[:16, 16:] - motion.joints[:16, :1]  # type: ignore[union-attr]
    expected = kept.joints[:16, 16:] - kept.joints[:16, :1]
    assert np.abs(np.linalg.norm(bones, axis=-1) - np.linalg.norm(expected, axis=-1)).max() < 0.1
    assert motion.duration == 4.0  # type: ignore[union-attr]


def test_what_comes_between_is_what_the_end_follows_likeliest(
    lm: MotionLM, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, end = Motion(clip_joints(0)[:30]), Motion(clip_joints(1)[:22])
    decoded: list[np.ndarray] = []
    real, scores = lm.motion_tokenizer.decode, decoding.motion_likelihoods
    seen: list[tuple[list[list[int]], list[float]]] = []

    def spy(model: object, vocab: object, prompts: list[list[int]], replies: list[list[int]]) -> list[float]:
        seen.append((prompts, scores(model, vocab, prompts, replies)))  # type: ignore[arg-type]
        return seen[-1][1]

    monkeypatch.setattr(lm.motion_tokenizer, "decode", lambda codes: decoded.append(codes) or real(codes))
    monkeypatch.setattr(decoding, "motion_likelihoods", spy)
    motion = lm.generate("bow", 4.0, seed=0, temperature=2.0, best_of=4, start=start, end=end)
    codes, first, last = decoded[0], lm.motion_tokenizer.encode(start), lm.motion_tokenizer.encode(end)
    assert motion.duration == 4.0  # type: ignore[union-attr]
    assert np.array_equal(codes[: len(first)], first) and np.array_equal(codes[-len(last) :], last)
    prompts, found = seen[0]
    best = prompts[int(np.argmax(found))]
    assert best[-4:] == (codes[-len(last) - 4 : -len(last)] + lm.vocab.first_id).tolist()
    # The likelihood is that of the model, over the codes of each part.
    ids = torch.tensor([[*best, *(last + lm.vocab.first_id)]])
    with torch.no_grad():
        rows = lm.model(ids).logits[
            0, len(best) - 1 : -1, [lm.vocab.end_id, *range(lm.vocab.first_id, lm.vocab.first_id + lm.vocab.size)]
        ]
    for place, row in enumerate(rows):
        row[~lm.vocab.allowed(place)] = -torch.inf
    expected = rows.log_softmax(-1)[torch.arange(len(last)), torch.tensor(last) + 1].sum()
    assert max(found) == pytest.approx(expected.item(), abs=1e-3)


def clip_joints(number: int) -> np.ndarray:
    sample = builtin.sample(number, split="val")
    return builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])


@pytest.mark.parametrize("seconds", [None, 3.1, (1.0, 4.0)])
def test_a_stream_is_the_motion_in_pieces(lm: MotionLM, seconds: float | tuple[float, float] | None) -> None:
    pieces = list(lm.stream("a person walks", seconds, seed=4, temperature=1.0))
    whole = Motion(np.concatenate(pieces)).canonical()
    expected = lm.generate("a person walks", seconds, seed=4, temperature=1.0, best_of=1)
    assert whole.joints.shape == expected.joints.shape  # type: ignore[union-attr]
    assert np.abs(whole.joints - expected.joints).max() < 1e-4  # type: ignore[union-attr]


def test_a_stream_gives_frames_before_the_motion_has_ended(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, real = [0], decoding.draw

    def draw(*given: object) -> torch.Tensor:
        drawn[0] += 1
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "draw", draw)
    stream = lm.stream("a person walks", 8.0, seed=4)
    assert len(next(stream)) == 4
    assert drawn[0] < 20 * lm.vocab.parts  # of 40 steps
    assert sum(map(len, stream)) == 156


def test_several_captions(lm: MotionLM, clip: np.ndarray) -> None:
    said = lm.captions(clip, 3, seed=1, temperature=3.0)
    assert len(said) == 3 and said[0] == lm.caption(clip)
    assert said == lm.captions(clip, 3, seed=1, temperature=3.0)
    assert len(set(said)) > 1


def test_a_timeline_covers_a_long_clip(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    long = Motion(np.concatenate([clip_joints(0), clip_joints(1), clip_joints(2)]))
    pieces: list[int] = []

    def say(conversations: list[list[dict[str, list[dict[str, np.ndarray]]]]]) -> list[str]:
        pieces.extend(len(c[0]["content"][0]["codes"]) // lm.vocab.parts for c in conversations)
        return [
            ["walks", "walks", "waves"][(len(pieces) - len(conversations) + i) % 3] for i in range(len(conversations))
        ]

    monkeypatch.setattr(lm, "say", say)
    entries = lm.timeline(long, every=1.0, window=4.0, batch=2)
    steps = lm.motion_tokenizer.steps_per_second
    total = len(lm.motion_tokenizer.encode(long)) / lm.vocab.parts / steps
    assert set(pieces) == {4 * steps} and len(pieces) == round(total)
    assert entries[0][:2] == (0.0, 2.0) and entries[1] == (2.0, 3.0, "waves")
    assert entries[-1][1] == pytest.approx(total)
    assert all(a[1] == b[0] and a[2] != b[2] for a, b in pairwise(entries))


def test_chat_replies_with_text_or_motion(lm: MotionLM, clip: np.ndarray) -> None:
    messages = [{"role": "user", "content": [{"type": "motion", "motion": clip}, {"type": "text", "text": "slower"}]}]
    reply = lm.chat(messages, seconds=2.0, seed=0)
    assert reply["role"] == "assistant"
    assert reply["content"][0]["motion"].duration == pytest.approx(2.0)
    assert lm.chat(messages, seed=0)["content"][0]["type"] in ("text", "motion")


def test_text_alone_is_answered_by_the_base(
    trained_run: tuple[Path, Path], lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(trained_run[1])
    messages = [{"role": "user", "content": "What does the person do?"}]
    ids = lm.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")["input_ids"]
    out = base.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :]
    expected = lm.tokenizer.decode(out, skip_special_tokens=True).strip()
    unmerged = MotionLM.load(trained_run[0], merge=False)
    for way in (decoding, continuous):  # an untrained base loops, which transformers lets it
        monkeypatch.setattr(way, "repeating", lambda ids: [])
    for model in (lm, unmerged):
        monkeypatch.setattr(model, "moves", lambda _: False)
        assert model.talk(messages, longest=20) == expected
        assert model.chat(messages, temperature=0)["content"][0]["text"].startswith(expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": " "}, "empty"),
        ({"text": "x", "seconds": 0.0}, "0.2"),
        ({"text": "x", "seconds": 99.0}, "99"),
        ({"text": "x", "seconds": float("nan")}, "nan"),
        ({"text": "x", "n": 0}, "n is 0"),
        ({"text": "x", "temperature": -1.0}, "temperature"),
        ({"text": "x", "temperature": float("inf")}, "temperature"),
        ({"text": "x", "top_p": 0.0}, "top_p"),
        ({"text": "x", "top_k": -1}, "top_k"),
        ({"text": "x", "seed": -1}, "-1"),
        ({"text": "x", "seconds": (3.0, 2.0)}, "3 to 2"),
        ({"text": "x", "seconds": (1.01, 1.02)}, "1.01 to 1.02"),
        ({"text": "walk " * 4000}, "tokens long"),
        ({"text": ["x", "y"]}, "not a list"),
        ({"text": "x", "seconds": "4"}, "'4'"),
        ({"text": "x", "seconds": (1.0, 2.0, 3.0)}, "least and the most"),
        ({"text": "x", "start": "clip.bvh"}, "Motion.load('clip.bvh')"),
    ],
)
def test_wrong_requests_are_refused(lm: MotionLM, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(MotionLLMError) as caught:
        lm.generate(**arguments)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_what_is_no_motion_question_or_conversation_is_refused(lm: MotionLM) -> None:
    clip = Motion(clip_joints(0)[:41])
    for wrong in (Path("clip.bvh"), "clip.bvh"):
        with pytest.raises(MotionLLMError, match="not the path of one"):
            lm.caption(wrong)  # type: ignore[arg-type]
    for question in ("", 5):
        with pytest.raises(MotionLLMError, match="question is"):
            lm.ask(clip, question)  # type: ignore[arg-type]
    for messages in ("hello", [{"role": "user"}], ["hello"]):
        with pytest.raises(MotionLLMError, match=r"give a list|needs a role|give text"):
            lm.chat(messages)  # type: ignore[arg-type]


def test_wrong_clips_around_a_motion_are_refused(lm: MotionLM) -> None:
    clip = Motion(clip_joints(0)[:41])
    with pytest.raises(MotionLLMError, match="exact duration"):
        lm.generate("x", end=clip)
    for around in ({"start": clip}, {"end": clip}, {"start": clip, "end": clip}):
        with pytest.raises(MotionLLMError, match="clips given"):
            lm.generate("x", 2.0, **around)  # type: ignore[arg-type]
    with pytest.raises(MotionLLMError, match="a step of motion"):
        lm.timeline(clip, every=0.01)


def test_wrong_folders_are_refused(trained_run: tuple[Path, Path], tiny_tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(MotionLLMError, match="motion_vocab"):
        MotionLM.load(tmp_path / "nothing")
    broken = tmp_path / "broken"
    shutil.copytree(trained_run[0] / "adapter", broken)
    other = MotionTokenizer.load(tiny_tokenizer)
    other.mean[0] += 1
    other.save(broken / "tokenizer")
    with pytest.raises(MotionLLMError, match="was made for motion tokenizer"):
        MotionLM.load(broken)
    with pytest.raises(MotionLLMError, match=r"no-base"):
        MotionLM.load(trained_run[0], base=str(tmp_path / "no-base"))


def test_arguments_of_any_kind_are_taken_or_refused_in_a_sentence(lm: MotionLM, clip: np.ndarray) -> None:
    quick: dict[str, Any] = {"best_of": 1}
    same = [lm.generate("a person walks", 1.0, seed=seed, **quick).joints for seed in (3, np.int64(3))]  # type: ignore[union-attr]
    assert np.array_equal(*same)
    several = lm.generate_batch((text for text in ("walk", "run")), np.array([1.0, 0.5]), np.array([1, 2]), **quick)
    assert [len(motion) for motion in several] == [20, 10]
    assert lm.generate_batch([], **quick) == [] and lm.say([]) == []
    wrong: list[Any] = [
        lambda: lm.generate("walk", 1.0, n=1.5),  # type: ignore[arg-type]
        lambda: lm.generate("walk", 1.0, n=0),
        lambda: lm.generate("walk", 1.0, best_of=1.5),  # type: ignore[arg-type]
        lambda: lm.generate("walk", 1.0, top_k=1.5),  # type: ignore[arg-type]
        lambda: lm.generate("walk", 1.0, temperature="hot"),  # type: ignore[arg-type]
        *(lambda seed=seed: lm.generate("walk", 1.0, seed=seed) for seed in (1.5, "1", -1, object())),
        *(lambda seed=seed: lm.generate_batch(["walk"] * 2, seed=seed) for seed in ([1], [1, "a"], [1, -1], "12")),
        *(lambda seed=seed: next(lm.generating("walk", 1.0, seed)) for seed in (1.5, -1)),
        lambda: lm.generate_batch("walk"),
        lambda: lm.generate_batch(["walk", 3]),  # type: ignore[list-item]
        lambda: lm.generate_batch(["walk", "run"], [1.0]),
        lambda: lm.generate_batch(["walk", "run"], 1.0),  # type: ignore[arg-type]
        lambda: lm.generate("\ud800", 1.0),
        lambda: lm.ask(clip, "what \ud800?"),
        *(
            lambda judged=judged: lm.generate("walk", 1.0, judge=lambda *_: judged, best_of=2)
            for judged in (None, 1.0, [1.0], ["a", "b"], [float("nan"), 1.0], "ab")
        ),
    ]
    for call in wrong:
        with pytest.raises(MotionLLMError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_arrays_are_checked_as_files_are(
    lm: MotionLM, clip: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    joints = features_to_joints(clip).astype(np.float64)
    walks = np.concatenate([joints, joints[::-1]]) + np.linspace(0, 3, 2 * len(joints))[:, None, None] * [0, 0, 1]
    spoilt = {
        "turned": walks @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
        "mirrored": walks * [-1, 1, 1],
        "upside down": walks * [1, -1, -1],
        "centimetres": walks * 100,
    }
    for name, array in spoilt.items():
        np.save(tmp_path / "clip.npy", array)
        of_file = Motion.load(tmp_path / "clip.npy")
        assert of_file.notes, name
        caplog.clear()
        assert str(lm.notation(array)) == str(lm.notation(of_file))
        assert all(note in caplog.text for note in of_file.notes), name
        if of_file.notes[0].startswith("mended"):
            caplog.clear()
            assert str(lm.notation(Motion(array))) == str(lm.notation(of_file))
            assert of_file.notes[0] in caplog.text
        assert np.array_equal(lm.motion_part(array)["codes"], lm.motion_part(of_file)["codes"])
    random = np.random.default_rng(0)
    for array in (np.zeros((50, 263)), random.normal(size=(50, 263)), random.normal(size=(50, 22, 3))):
        np.save(tmp_path / "clip.npy", array)
        for refused in (Motion.load, lm.notation, lm.caption, lm.motion_part):
            with pytest.raises(MotionLLMError, match=r"no person's|and bones do not"):
                refused(tmp_path / "clip.npy" if refused == Motion.load else array)  # type: ignore[operator]
    caplog.clear()
    for tensor in (torch.tensor(joints), torch.tensor(joints, requires_grad=True), joints.tolist()):
        assert np.array_equal(lm.motion_part(tensor)["codes"], lm.motion_part(joints)["codes"])
    lm.notation(clip), lm.notation(Motion(joints))
    assert not caplog.text


def test_saving_takes_nothing_elses_place(lm: MotionLM, trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    apart = MotionLM.load(trained_run[0], merge=False)
    (tmp_path / "takes").mkdir()
    for name in ("take.bvh", "takes/take.bvh"):
        (tmp_path / name).write_text("HIERARCHY")
    for place in (tmp_path / "take.bvh", tmp_path / "takes", trained_run[1], tmp_path):
        with pytest.raises(MotionLLMError, match="give a folder that does not exist yet"):
            apart.save(place)
    for model in (apart.motion_tokenizer, lm.motion_tokenizer):
        with pytest.raises(MotionLLMError, match="is no motion tokenizer"):
            model.save(trained_run[1])  # a language model has files of the same names
    assert (tmp_path / "takes" / "take.bvh").read_text() == (tmp_path / "take.bvh").read_text() == "HIERARCHY"
    apart.save(tmp_path / "own")
    (tmp_path / "own" / "notes.md").write_text("mine")
    apart.save(tmp_path / "own")
    assert (tmp_path / "own" / "notes.md").read_text() == "mine"
    assert MotionLM.load(tmp_path / "own").vocab == lm.vocab


def test_what_is_no_adapter_is_called_what_it_is(
    trained_run: tuple[Path, Path], tiny_tokenizer: Path, tmp_path: Path
) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "recipe.yaml").write_text("name: a\n")
    (tmp_path / "set" / "new_joints").mkdir(parents=True)
    kinds = {
        "a motion tokenizer": tiny_tokenizer,
        "a language model": trained_run[1],
        "a run that has not written its model yet": tmp_path / "begun",
        "a data set": tmp_path / "set",
    }
    for kind, folder in kinds.items():
        with pytest.raises(MotionLLMError, match=f"is no motionllm adapter, but {kind} "):
            MotionLM.load(folder)
        if folder != tiny_tokenizer:
            with pytest.raises(MotionLLMError, match=f"is no motion tokenizer, but {kind}"):
                MotionTokenizer.load(folder)
    with pytest.raises(MotionLLMError, match="is no motion tokenizer, but an adapter"):
        MotionTokenizer.load(trained_run[0] / "adapter")
    for nothing in (None, 3, b"x"):
        for load in (MotionLM.load, MotionTokenizer.load):
            with pytest.raises(MotionLLMError, match="give its path"):
                load(nothing)  # type: ignore[arg-type]


def test_a_base_that_is_gone_is_named_before_anything_is_asked(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(trained_run[0] / "adapter", tmp_path / "adapter")
    recipe = yaml.safe_load((tmp_path / "adapter" / "recipe.yaml").read_text())
    recipe["model"]["base"] = str(tmp_path / "base-of-then")
    (tmp_path / "adapter" / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(MotionLLMError, match=r"trained on the base in .*base-of-then, which is not there any more"):
        MotionLM.load(tmp_path / "adapter")
    MotionLM.load(tmp_path / "adapter", base=str(trained_run[1]))


def test_an_adapter_refuses_another_base(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    other = tmp_path / "base"
    shutil.copytree(trained_run[1], other)
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["extra"])
    tokenizer.save_pretrained(other)
    with pytest.raises(MotionLLMError, match="tokens"):
        MotionLM.load(trained_run[0], base=str(other))


def test_the_untrained_baseline_is_not_the_trained(trained_run: tuple[Path, Path], lm: MotionLM) -> None:
    fresh = MotionLM.untrained(trained_run[0])
    rows = [m.model.get_input_embeddings().weight[m.vocab.ids] for m in (fresh, lm)]
    assert not torch.equal(*rows)


def test_another_decoder_of_the_same_codes_can_stand_in(
    trained_run: tuple[Path, Path], tiny_tokenizer: Path, tmp_path: Path
) -> None:
    own = MotionTokenizer.load(tiny_tokenizer)
    causal = MotionTokenizer(own.config.model_copy(update={"causal": True}), own.mean, own.std)
    causal.network.load_state_dict(own.network.state_dict())
    causal.save(tmp_path / "causal")
    assert causal.codes_hash == own.codes_hash and causal.hash != own.hash
    run, base = trained_run
    lm = MotionLM.load(run, base=str(base), tokenizer=tmp_path / "causal")
    pieces = list(lm.stream("a person walks", seconds=1.0, seed=0))
    assert len(pieces[0]) == 4 and len(pieces) == 5
    next(iter(causal.network.encoders.parameters())).data += 1
    causal.save(tmp_path / "other")
    with pytest.raises(MotionLLMError, match="other codes"):
        MotionLM.load(run, base=str(base), tokenizer=tmp_path / "other")


class _Touch:
    """A pickle that makes a file when it is loaded by a loader that runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.path), os.O_CREAT | os.O_WRONLY)


def test_loading_an_adapter_runs_no_code_of_it(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    run, base = trained_run
    folder, mark = tmp_path / "adapter", tmp_path / "ran"
    shutil.copytree(run / "adapter", folder)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({"weights": _Touch(mark)}))
    (folder / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w')")
    with pytest.raises(MotionLLMError, match="damaged"):
        MotionLM.load(folder, base=str(base))
    assert not mark.exists()
    pickle.loads((folder / "adapter_model.bin").read_bytes())  # the test can fail: this does run
    assert mark.exists()


def test_a_base_with_other_weights_is_refused(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    """Of the same shape, so that nothing else would tell them apart; the same in other files are the same."""
    from safetensors.torch import load_file, save_file

    run, base = trained_run
    other = Path(shutil.copytree(base, tmp_path / "base"))
    weights = load_file(other / "model.safetensors")
    first, rest = dict(list(weights.items())[:5]), dict(list(weights.items())[5:])
    (other / "model.safetensors").unlink()
    save_file(first, other / "model-1.safetensors", {"format": "pt"})
    save_file(rest, other / "model-2.safetensors", {"format": "pt"})
    index = {**dict.fromkeys(first, "model-1.safetensors"), **dict.fromkeys(rest, "model-2.safetensors")}
    (other / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    MotionLM.load(run, base=str(other))
    name = next(name for name in rest if name.endswith("down_proj.weight"))
    rest[name] = rest[name] + 0.02 * torch.randn_like(rest[name])
    save_file(rest, other / "model-2.safetensors", {"format": "pt"})
    with pytest.raises(MotionLLMError, match=r"trained on a base whose weights are \w{16}, but those of .* are \w{16}"):
        MotionLM.load(run, base=str(other))
    adapter = Path(shutil.copytree(run / "adapter", tmp_path / "older"))
    vocab = json.loads((adapter / "motion_vocab.json").read_text())
    del vocab["base"], vocab["format"]  # as saved before the base was noted
    (adapter / "motion_vocab.json").write_text(json.dumps(vocab))
    MotionLM.load(adapter, base=str(other))


def test_a_base_in_another_precision_is_the_same(tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from motionllm.language.bases import base_fingerprint

    other = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    halves = {name: value.bfloat16() for name, value in load_file(other / "model.safetensors").items()}
    save_file(halves, other / "model.safetensors", {"format": "pt"})
    assert base_fingerprint(other) == base_fingerprint(tiny_base)


def test_files_that_lead_out_of_the_adapter_are_not_read(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("adapter_model.safetensors", "motion_vocab.json", "recipe.yaml", "tokenizer/config.json", "tokenizer"):
        adapter = Path(shutil.copytree(trained_run[0] / "adapter", tmp_path / "adapter"))
        outside = tmp_path / "outside"
        (adapter / name).rename(outside)
        (adapter / name).symlink_to(outside)
        with pytest.raises(MotionLLMError, match="outside its folder"):
            MotionLM.load(adapter)
        shutil.rmtree(adapter)
        shutil.rmtree(outside) if outside.is_dir() else outside.unlink()


CONFIGS: list[tuple[dict[str, object], str]] = [
    ({"lora_alpha": 1e9}, "gives lora_alpha"),
    ({"lora_alpha": 16}, "gives lora_alpha"),
    ({"r": 10**7}, "gives r as"),
    ({"r": "4"}, "gives r as"),
    ({"peft_type": "IA3"}, "gives peft_type"),
    ({"use_dora": True}, "gives use_dora"),
    ({"layer_replication": [[0, 2], [0, 10**6]]}, "sets layer_replication"),
    ({"modules_to_save": ["lm_head"]}, "sets modules_to_save"),
    ({"loftq_config": {"loftq_bits": 4}}, "sets loftq_config"),
    ({"rank_pattern": {"(a+)+$": 8}}, "sets rank_pattern"),
    ({"trainable_token_indices": [0, 1]}, "the rows that adapter_config.json names"),
]


@pytest.mark.parametrize(("change", "says"), CONFIGS)
def test_an_adapter_s_configuration_is_that_of_its_recipe(
    trained_run: tuple[Path, Path], tmp_path: Path, change: dict[str, object], says: str
) -> None:
    adapter = Path(shutil.copytree(trained_run[0] / "adapter", tmp_path / "adapter"))
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(MotionLLMError, match=says):
        MotionLM.load(adapter)
    # What only names layers is read off the weights.
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"target_modules": "(a+)+$"}))
    MotionLM.load(adapter)


def test_weights_that_are_no_numbers_are_refused(trained_run: tuple[Path, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    run, base = trained_run
    adapter = Path(shutil.copytree(run / "adapter", tmp_path / "adapter"))
    weights = load_file(adapter / "adapter_model.safetensors")
    for value, says in ((float("nan"), "NaN or infinity"), (float("inf"), "NaN or infinity"), (1e8, "values beyond")):
        name = sorted(weights)[3]
        changed = weights | {name: weights[name].clone().fill_(value)}
        save_file(changed, adapter / "adapter_model.safetensors", {"format": "pt"})
        with pytest.raises(MotionLLMError, match=says):
            MotionLM.load(adapter)
    vocab = json.loads((adapter / "motion_vocab.json").read_text())
    (adapter / "motion_vocab.json").write_text(json.dumps({k: v for k, v in vocab.items() if k != "base"}))
    save_file(weights, adapter / "adapter_model.safetensors", {"format": "pt"})
    other = Path(shutil.copytree(base, tmp_path / "base"))
    its = load_file(other / "model.safetensors")
    its["model.layers.1.mlp.up_proj.weight"][3, 3] = float("nan")
    save_file(its, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(MotionLLMError, match="computes NaN or infinity"):
        MotionLM.load(adapter, base=str(other))


def test_no_text_repeats_itself_without_end(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = [5, 6, 7, 8]
    assert decoding.repeating([1, *loop, *loop]) == [5]
    assert decoding.repeating([3, *loop]) == [] and decoding.repeating([9, 9, 9]) == []
    assert decoding.repeating([9, 9, 9, 9])[0] == 9

    def looping(hidden, rows, config):  # type: ignore[no-untyped-def]
        scores = torch.zeros(len(hidden), len(rows))
        scores[:, loop] = torch.tensor([9.0, 8.0, 7.0, 6.0])
        return scores

    prompt = lm.renderer([{"role": "user", "content": "hello"}], reply=True).ids
    monkeypatch.setattr(decoding, "logits", looping)
    (said,) = decoding.texts(lm.model, lm.vocab, [prompt], -1, max_tokens=200)
    for size in range(2, decoding.LONGEST_LOOP + 1):
        assert not any(
            said[i : i + size] == said[i + size : i + 2 * size] == said[i + 2 * size : i + 3 * size]
            for i in range(len(said) - 3 * size + 1)
        )


def test_a_model_without_notation_reads_codes_alone(lm: MotionLM, clip: np.ndarray) -> None:
    assert lm.shown == "codes"
    lm.shown = "notation"
    try:
        with pytest.raises(MotionLLMError, match="without notation"):
            lm.caption(clip)
    finally:
        lm.shown = "codes"


def test_captions_are_given_what_was_trained(lm: MotionLM, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lm.recipe.data.model_copy(update={"notation": Notes()})
    reader = MotionLM(
        lm.backend,
        lm.tokenizer,
        lm.vocab,
        lm.motion_tokenizer,
        lm.templates,
        lm.recipe.model_copy(update={"data": data}),
    )
    assert reader.shown == "both"
    notation = str(measure(features_to_joints(clip)))
    codes = lm.motion_tokenizer.encode(clip)
    seen = []
    real = reader.renderer
    monkeypatch.setattr(
        Renderer,
        "_part",
        lambda self, part: seen.append(part) or ([] if part["type"] == "motion" else real.template.text(part["text"])),
    )
    for shown in ("codes", "notation", "both"):
        reader.shown = shown
        reader.caption(clip)
        reader.ask(clip, "Which hand?")
        reader.timeline(clip, every=1.0, window=2.0)
    motions = [part for part in seen if part["type"] == "motion"]
    assert [sorted(part.keys() - {"type"}) for part in motions[:2]] == [["codes"]] * 2
    whole = [part for part in motions if part.get("notation") == notation]
    assert len(whole) == 4 and sum("codes" in part for part in whole) == 2
    assert all(np.array_equal(part["codes"], codes) for part in whole if "codes" in part)
    assert any("notation" in part and part["notation"] != notation for part in motions)


def test_answers_are_looked_up_where_queries_were_learned(
    lm: MotionLM, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    written = {
        "How long?": "seconds",
        "Is it sad?": "none",
        "Any juggling?": "does juggle",
        "Count!": "count cartwheel",
        "Does she jump?": "does kick",  # no query of this question
    }

    def say(conversations):  # type: ignore[no-untyped-def]
        lines = ["".join(part.get("text", "<motion>") for part in c[0]["content"]) for c in conversations]
        asked.extend(lines)
        return [next((w for q, w in written.items() if "<motion>" not in x and q in x), "free") for x in lines]

    reader = copy.copy(lm)
    reader.recipe = lm.recipe.model_copy(deep=True)
    reader.recipe.data.notation = Notes(read=1.0)
    reader.shown = "both"
    monkeypatch.setattr(reader, "say", say)
    monkeypatch.setattr(
        reader, "motion_part", lambda _: {"codes": np.zeros(2, np.int64), "notation": "3.1 s, lying to lying"}
    )
    with pytest.raises(MotionLLMError, match="looks no answers up"):
        reader.queried(["How long?"])
    assert reader.ask_batch([clip] * 5, list(written)) == ["free"] * 5
    assert len(asked) == 5 and all(x.startswith("<motion>") for x in asked)  # as ever
    reader.recipe.data.tasks["query"] = 1.0
    assert reader.queries
    untold = "the motion does not tell; a person lies still"
    assert reader.ask_batch([clip] * 5, list(written)) == ["3.1 s", untold, untold, untold, "no"]
    assert len(asked) == 5 + 5
    answers = Source(kind="humanml3d", path="x", ask=["facts", "labels"])  # of people's own
    reader.recipe.data.sources = [answers]
    assert reader.ask_batch([clip] * 2, list(written)[:2]) == ["3.1 s", "free"]
    assert reader.ask(clip, "How long?") == "3.1 s" and len(asked) == 14  # nothing is left to say
    reader.shown = "codes"
    assert not reader.queries and reader.ask(clip, "How long?") == "free"


def test_captions_are_checked_by_the_notation(lm: MotionLM, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    says = {"codes": "a person waves the left hand", "both": "a person walks forward"}

    def say(conversations):  # type: ignore[no-untyped-def]
        parts = [part for (message,) in conversations for part in message["content"] if part["type"] == "motion"]
        return [says["both" if "notation" in part else "codes"] for part in parts]

    def shown(line: str) -> dict[str, Any]:
        return {"codes": np.zeros(2, np.int64), "notation": f"2.0 s, standing to standing\n{line}"}

    reader = copy.copy(lm)
    reader.recipe = lm.recipe.model_copy(deep=True)
    reader.recipe.data.notation = Notes(told=0.5)
    monkeypatch.setattr(reader, "say", say)
    walk, wave, kick = (shown(f"0.0-2.0 {x}") for x in ("walk forward 1.2 m/s", "wave left hand", "kick right leg"))
    codes = {"codes": np.zeros(2, np.int64)}
    own = Notation.parse(kick["notation"]).sentence()
    assert reader._captions([walk, wave, codes, kick]) == [says["both"], says["codes"], says["codes"], own]
    alone = [{"notation": part["notation"]} for part in (walk, wave)]
    assert reader._captions(alone) == [says["both"], Notation.parse(wave["notation"]).sentence()]
    says["both"] = "walk"  # no sentence
    assert reader._captions([walk]) == [Notation.parse(walk["notation"]).sentence()]
    says["both"] = "a person walks forward, then walks forward"  # the same twice
    assert reader._captions([walk]) == [Notation.parse(walk["notation"]).sentence()]
    says["both"] = "he walks straight forward, stops, walks straight forward, stops, walks straight forward"
    assert reader._captions([walk]) == [Notation.parse(walk["notation"]).sentence()]
    says["both"] = "walk"
    reader.recipe.data.notation = Notes()  # it learned people's words alone
    assert reader._captions([walk, kick, codes]) == [says["both"], says["both"], says["codes"]]
    assert reader.caption_batch([clip]) == [says["codes"]]  # it reads codes alone
