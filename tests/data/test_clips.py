"""Clips encoded once, and every task of the templates: what is given, what is to be said, and that it is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import Data, Notes, Source
from motionllm.data.acts import summary
from motionllm.data.change_language import OTHERWISE, added, parts
from motionllm.data.changes import changed
from motionllm.data.clips import Clips, encode
from motionllm.data.examples import Examples, Order, collate, pack
from motionllm.data.queries import Query
from motionllm.data.sources import at_pace, mirrored, read
from motionllm.data.tasks import editing, phrased
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError, RecipeError
from motionllm.language.bases import load_base_tokenizer
from motionllm.language.conversations import Renderer
from motionllm.language.vocab import MotionVocab
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure
from motionllm.tokenizer import MotionTokenizer

MADE = phrased()
SOURCE = Source(kind="builtin", clips=12)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> MotionTokenizer:
    return MotionTokenizer.load(tiny_tokenizer)


@pytest.fixture(scope="module")
def clips(tokenizer: MotionTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Clips:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTIONLLM_CACHE", str(tmp_path_factory.mktemp("cache")))
        return encode(SOURCE, "train", tokenizer, MADE, noted=True)


def test_rows_are_the_samples(clips: Clips, tokenizer: MotionTokenizer) -> None:
    samples = {s.id: s for s in builtin.corpus(12)}
    assert {c.sample.id for c in clips} == set(samples)
    for clip in clips[:3]:
        sample = samples[clip.sample.id]
        assert clip.sample.captions == sample.captions
        assert clip.sample.labels == sample.labels
        assert np.array_equal(clip.codes, tokenizer.encode(sample.load()))
        assert np.array_equal(clip.edits["mirror"], tokenizer.encode(mirrored(sample.load())))
    assert len(Clips()) == 0 and len(Clips().serving("caption")) == 0


def test_edits_are_what_they_say() -> None:
    features = builtin.sample(0).load()
    joints = features_to_joints(features)
    flipped = features_to_joints(mirrored(features))
    assert flipped.shape == joints.shape
    swap = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]
    local = joints - joints[:, :1]
    assert np.allclose((flipped - flipped[:, :1])[:, :, 1], local[:, swap, 1], atol=0.02)
    for pace in (1.5, 1 / 1.5):
        other = features_to_joints(at_pace(features, pace))
        assert len(other) == pytest.approx(len(joints) / pace, abs=2)
        # The same poses at other times: heights of the wrists, read where they should be by then.
        times = np.minimum(np.arange(len(other)) * pace, len(joints) - 1)
        wanted = np.interp(times, np.arange(len(joints)), joints[:, 20, 1])
        assert np.abs(other[:, 20, 1] - wanted).max() < 0.05


def test_a_clip_without_edits_asked_for_has_none(
    tokenizer: MotionTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    plain = encode(Source(kind="builtin", clips=2), "train", tokenizer)
    assert all(not clip.edits for clip in plain)
    assert not len(plain.serving("mirror")) and len(plain.serving("prediction")) == 2


def test_a_full_disk_says_so_and_leaves_nothing(
    tokenizer: MotionTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets.arrow_writer import ArrowWriter

    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    monkeypatch.setattr(
        ArrowWriter, "finalize", lambda self: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(MotionLLMError, match="No space left on device"):
        encode(Source(kind="builtin", clips=2), "train", tokenizer)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.fixture(scope="module")
def stream(clips: Clips, tokenizer: MotionTokenizer, tiny_base: Path) -> Examples:
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash, tokenizer.parts)
    renderer = Renderer(load_base_tokenizer(tiny_base), vocab, system="")
    data = Data(sources=[SOURCE], tasks=dict.fromkeys(MADE, 1.0))
    return Examples([clips], data, Templates.load("default"), renderer, tokenizer.codes_per_second, 0)


@pytest.mark.parametrize("task", MADE)
def test_every_answer_is_true_of_its_clip(
    task: str, stream: Examples, clips: Clips, tokenizer: MotionTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The messages are caught on their way to the renderer, which has tests of its own.
    seen: list[list[dict]] = []  # type: ignore[type-arg]
    filler = stream.filler
    real = filler.renderer
    monkeypatch.setattr(filler, "renderer", lambda messages: seen.append(list(messages)) or real(messages))
    order = Order([clips], Data(sources=[SOURCE], tasks={task: 1.0}), 0)
    jobs = [order.next() for _ in range(40)]
    for job in jobs:
        filler(job)
    for messages, job in zip(seen, jobs, strict=True):
        clip = clips[job.row]
        user, said = messages[0]["content"], messages[1]["content"]
        if task == "edit":
            assert len(user) == len(said) == 1 and summary(Notation.parse(clip.notation)) in user[0]["text"]
            assert [m["role"] for m in messages] == ["user", "assistant"] * (len(messages) // 2)
            for change in [said[0]["text"], *(m["content"] for m in messages[3::2])]:
                if change not in OTHERWISE and not any(added(part) for part in parts(change)):
                    old = Notation.parse(clip.notation)
                    larger = change.endswith((" more", " less"))  # of a gesture, which no notation tells
                    assert changed(old, change, Notation.parse) != old or larger
            continue
        shown = [p["codes"] for p in user if p["type"] == "motion"]
        asked = " ".join(p["text"] for p in user if p["type"] == "text")
        made = [p["codes"] for p in said if p["type"] == "motion"]
        if task in ("caption", "question", *editing()):
            assert len(shown) == 1 and np.array_equal(shown[0], clip.codes)
        if task == "text_to_motion":
            assert np.array_equal(made[0], clip.codes) and any(c in asked for c in clip.sample.captions)
        elif task == "caption":
            assert said[0]["text"] in clip.sample.captions
        elif task == "question":
            known = {(q.text, q.answer) for q in clip.sample.questions}
            pairs = [
                (
                    "".join(p["text"] for p in a["content"] if p["type"] == "text").strip()
                    if not isinstance(a["content"], str)
                    else a["content"],
                    b["content"] if isinstance(b["content"], str) else b["content"][0]["text"],
                )
                for a, b in zip(messages[::2], messages[1::2], strict=True)
            ]
            assert set(pairs) <= known and len(set(pairs)) == len(pairs)
        elif task == "prediction":
            assert np.array_equal(np.concatenate([shown[0], made[0]]), clip.codes)
            assert len(shown[0]) % tokenizer.parts == 0 < len(made[0])
        elif task == "inbetween":
            assert np.array_equal(np.concatenate([shown[0], made[0], shown[1]]), clip.codes)
            assert min(len(shown[0]), len(made[0]), len(shown[1])) > 0
        elif task == "forecast":
            assert said[0]["text"] in clip.sample.captions
            assert np.array_equal(shown[0], clip.codes[: len(shown[0])]) and 0 < len(shown[0]) < len(clip.codes)
        elif task == "query":
            assert not shown
            for text in [said[0]["text"], *(m["content"] for m in messages[3::2])]:
                Query.parse(text)  # raises for what is none
        elif task == "length":
            assert said[0]["text"] == f"{len(clip.codes) / tokenizer.codes_per_second:.1f} seconds"
        else:
            assert np.array_equal(made[0], clip.edits[task])
        if "seconds" in asked and task in ("text_to_motion", "prediction", "inbetween", "faster", "slower"):
            assert f"{len(made[0]) / tokenizer.codes_per_second:.1f} " in asked
    assert len({str(messages[0]["content"][-1].get("text", "")) for messages in seen}) > 1 or task == "caption"


def test_edits_need_notation_and_say_so(
    tokenizer: MotionTokenizer, stream: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    plain = encode(Source(kind="builtin", clips=3), "train", tokenizer)
    data = Data(sources=[SOURCE], tasks={"edit": 1.0})
    with pytest.raises(MotionLLMError, match=r"data\.notation"):
        Examples([plain], data, stream.filler.templates, stream.filler.renderer, stream.filler.draw.codes_per_second, 0)


def test_text_is_left_out_as_often_as_the_recipe_says(clips: Clips, stream: Examples) -> None:
    def drawn(share: float) -> list[list[int]]:
        data = Data(sources=[SOURCE], tasks={"text_to_motion": 1.0}, drop_text=share)
        examples = Examples(
            [clips], data, stream.filler.templates, stream.filler.renderer, stream.filler.draw.codes_per_second, 0
        )
        return [examples.draw()[1].ids for _ in range(200)]

    captions = {caption for clip in clips for caption in clip.sample.captions}
    assert drawn(0.0) == drawn(0.0)
    for share, low, high in ((0.0, 0, 0), (0.3, 35, 85)):
        said = [stream.filler.renderer.tokenizer.decode(ids) for ids in drawn(share)]
        assert low <= sum(not any(caption in text for caption in captions) for text in said) <= high


def test_phrasings_are_drawn_by_weight_and_may_have_several_turns(clips: Clips, stream: Examples) -> None:
    templates = Templates(
        {
            "caption": [
                {"user": "{motion} A?", "assistant": "{caption}", "weight": 9},
                {
                    "turns": [
                        {"user": "{motion} B?", "assistant": "{caption}"},
                        {"user": "How long is it?", "assistant": "{seconds} seconds"},
                    ]
                },
            ]
        },
        "test",
    )
    random = np.random.default_rng(0)
    drawn = [len(templates.draw("caption", random).turns) for _ in range(500)]
    assert 25 < drawn.count(2) < 80
    from motionllm.data.templates import conversation

    messages = conversation(templates.tasks["caption"][1], {"motion": clips[0].codes, "caption": "x", "seconds": 2.0})
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2
    assert messages[-1]["content"] == [{"type": "text", "text": "2.0 seconds"}]
    assert len(conversation(templates.tasks["caption"][1], {"motion": clips[0].codes}, answered=False)) == 1


@pytest.mark.parametrize(
    ("phrasing", "words"),
    [
        ({"user": "{motion}", "assistant": "{caption}", "weight": 0}, "weight"),
        ({"user": "{motion}", "assistant": "{caption}", "wieght": 2}, "needs `user`"),
        ({"turns": []}, "needs `user`"),
        ({"turns": [{"user": "{motion}"}]}, "every turn"),
        ({"turns": [{"user": "{motion}", "assistant": "{caption}"}, {"user": "{answer}", "assistant": "x"}]}, "turn 2"),
        ("{motion}", "needs `user`"),
    ],
)
def test_wrong_phrasings_are_refused_when_read(phrasing: object, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Templates({"caption": [phrasing]}, "test")


def test_tasks_are_checked_by_name() -> None:
    with pytest.raises(RecipeError, match="did you mean 'caption'"):
        Templates.load("default").check(["captoin"])
    with pytest.raises(RecipeError, match="no phrasing for the task 'length'"):
        Templates({"caption": [{"user": "{motion}", "assistant": "{caption}"}]}, "test").check(["text", "length"])


def test_corrupted_codes_are_shown_and_the_true_ones_learned(
    tokenizer: MotionTokenizer, tiny_base: Path, clips: Clips
) -> None:
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash, tokenizer.parts)
    renderer = Renderer(load_base_tokenizer(tiny_base), vocab, system="")
    data = Data(sources=[SOURCE], tasks={"text_to_motion": 1.0, "caption": 1.0}, corrupt=0.5)
    stream = Examples([clips], data, Templates.load("default"), renderer, tokenizer.codes_per_second, 0)
    changed = total = 0
    for _ in range(60):
        task, tokens = stream.draw()
        assert tokens.seen is not None
        ids, seen = np.array(tokens.ids), np.array(tokens.seen)
        if task == "caption":
            assert np.array_equal(ids, seen)
            continue
        vocab.decode(ids[(ids >= vocab.first_id)])  # ids stay codes
        codes = ids >= vocab.first_id
        assert np.array_equal(ids[~codes], seen[~codes])
        part = (seen[codes] - vocab.first_id) // (vocab.size // vocab.parts)
        assert np.array_equal(part, np.arange(codes.sum()) % vocab.parts)
        changed, total = changed + int((ids != seen).sum()), total + int(codes.sum())
        batch = collate(pack([tokens], 400), 0)
        assert np.array_equal(batch.ids[0].numpy(), seen) and batch.targets[0, -2] in (ids[-1], -1)
        wanted = batch.targets[0].numpy()
        assert set(wanted[wanted >= 0]) <= set(ids)
    assert changed / total == pytest.approx(0.5 * (1 - vocab.parts / vocab.size), abs=0.06)


def test_notation_is_what_is_measured_on_the_clip(
    tokenizer: MotionTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    source = Source(kind="builtin", clips=3)
    assert [clip.notation for clip in encode(source, "train", tokenizer)] == [""] * 3
    noted = encode(source, "train", tokenizer, noted=True)
    features = {sample.id: sample.load() for sample in read(source, "train")}
    for clip in noted:
        assert clip.notation == str(measure(features_to_joints(features[clip.sample.id])))


@pytest.mark.parametrize(
    "notes", [None, Notes(), Notes(read=1, alone=0, plan=1, sketch=0.5), Notes(read=1, alone=1, plan=0)]
)
def test_motions_carry_their_notation_as_often_as_asked(
    notes: Notes | None, tokenizer: MotionTokenizer, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    clips = encode(SOURCE, "train", tokenizer, noted=True)
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash, tokenizer.parts)
    renderer = Renderer(load_base_tokenizer(tiny_base), vocab, system="")
    tasks = ("text_to_motion", "caption", "question")
    data = Data(sources=[SOURCE], tasks=dict.fromkeys(tasks, 1.0), notation=notes, drop_text=0.2)
    stream = Examples([clips], data, Templates.load("default"), renderer, tokenizer.codes_per_second, 0)
    seen: list[tuple[bool, dict]] = []  # type: ignore[type-arg]

    def caught(messages):  # type: ignore[no-untyped-def]
        for message in messages[:2]:
            seen.extend((message["role"] == "user", part) for part in message["content"] if part["type"] == "motion")
        return renderer(messages)

    caught.vocab = vocab  # type: ignore[attr-defined]
    monkeypatch.setattr(stream.filler, "renderer", caught)
    for _ in range(600):
        stream.draw()
    given = [part for user, part in seen if user]
    made = [part for user, part in seen if not user]
    notes = notes or Notes(read=0, alone=0, plan=0)
    texts = {clip.notation for clip in clips}
    assert all(part["notation"] in texts for _, part in seen if "notation" in part)
    drawn = np.mean(["codes" not in part for part in made])
    assert drawn == pytest.approx(0.8 * notes.plan * notes.sketch, abs=0.06)
    for every, key, wanted in ((given, "notation", notes.read), (made, "notation", 0.8 * notes.plan)):
        assert np.mean([key in part for part in every]) == pytest.approx(wanted, abs=0.08)
    assert np.mean(["codes" not in part for part in given]) == pytest.approx(notes.read * notes.alone, abs=0.06)


def test_captions_may_be_what_the_notation_says_itself(
    tokenizer: MotionTokenizer, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    clips = encode(SOURCE, "train", tokenizer, noted=True)
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash, tokenizer.parts)
    renderer = Renderer(load_base_tokenizer(tiny_base), vocab, system="")
    data = Data(sources=[SOURCE], tasks={"caption": 1.0}, notation=Notes(told=0.4))
    stream = Examples([clips], data, Templates.load("default"), renderer, tokenizer.codes_per_second, 0)
    own = {said for clip in clips for said in Notation.parse(clip.notation).sentences()}
    people = {caption for clip in clips for caption in clip.sample.captions}
    said = []
    for _ in range(300):
        tokens = stream.draw()[1]
        ids = [i for i, told in zip(tokens.ids, tokens.supervised, strict=True) if told]
        said.append(renderer.tokenizer.decode(ids[: ids.index(renderer.stop)]))
    assert set(said) <= own | people
    assert np.mean([one in own for one in said]) == pytest.approx(0.4, abs=0.09)
