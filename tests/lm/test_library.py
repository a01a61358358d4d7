"""The motion library: which clips a text finds, what is made of them, and the file that holds them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionllm import corpus as builtin
from motionllm import shipped
from motionllm.cli import main
from motionllm.config import Recipe
from motionllm.errors import MotionLLMError
from motionllm.lm import generation, lookup
from motionllm.lm.generation import Drawn
from motionllm.lm.library import FILE, Entry, Library, on_the_floor, shipped_beside
from motionllm.lm.matching import Matcher, Place
from motionllm.lm.model import MotionLM
from motionllm.lm.prompting import drained
from motionllm.lm.results import adapter_hash
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints, joints_to_features
from motionllm.motion.notation import Notation
from motionllm.samples import Sample
from motionllm.tokenizer import MotionTokenizer
from motionllm.training.train import train

# Of acts that nothing measures, so that clips of a tokenizer trained for a second pass for them.
CAPTIONS = ["moonwalk", "a person does the moonwalk", "robot pose", "tai chi, cloud hands", "the moonwalk"]


def library_of(captions: list[str]) -> Library:
    return Library(tuple(Entry(f"clip{i}", (text,), (i,)) for i, text in enumerate(captions)), "none")


def found(captions: list[str], text: str) -> list[str]:
    return [entry.captions[0] for entry in library_of(captions).fitting(text)]


@pytest.fixture(scope="module")
def lm(trained_run: tuple[Path, Path]) -> MotionLM:
    """A model with a library of clips of the built-in corpus under other captions."""
    lm = MotionLM.load(trained_run[0])
    samples = [replace(s, captions=[text]) for s, text in zip(builtin.corpus(5, 3), CAPTIONS, strict=True)]
    lm.library = Library.of(samples, lm.motion_tokenizer, 4.0, terms="Ask first.")
    return lm


SALSA = [
    "a person jumps and turns around to the right",
    "salsa dance",
    "modern dance",
    "a person walks backward",
    "a person walks forward",
    "he runs to the left",
]


@pytest.mark.parametrize(
    ("text", "clips"),
    [
        ("a woman is dancing salsa", ["salsa dance"]),
        ("Salsa dances!", ["salsa dance"]),
        ("someone walked forwards", ["a person walks forward"]),
        ("he is turning around to the right", []),
        ("they are running to the left", ["he runs to the left"]),
        ("a man does a backflip", []),
        ("a person dances salsa on a moving train and juggles", []),
        ("a man jumps and walks forward", []),
        ("the person then", []),
        ("", []),
        ("踊る", []),
    ],
)
def test_a_text_finds_the_clips_whose_captions_say_it(text: str, clips: list[str]) -> None:
    assert found(SALSA, text) == clips


def test_every_caption_of_a_clip_counts_and_a_clip_is_found_once() -> None:
    library = Library((Entry("a", ("a moonwalk", "salsa dance"), (0,)), Entry("b", ("a moonwalk",), (1,))), "none")
    assert library.fitting("dance a salsa") == [Entry("a", ("salsa dance", "a moonwalk"), (0,))]
    assert [entry.id for entry in library.fitting("moonwalks")] == ["a", "b"]


def test_a_caption_with_every_word_of_a_text_may_say_more_where_none_is_nearer() -> None:
    captions = ["someone performs a karate kata", "he does a flip and a spin"]
    assert found(captions, "a person does karate") == captions[:1]
    assert found(captions, "a person does a karate twist") == []
    assert found([*captions, "karate"], "a person does karate") == ["karate"]
    assert found(["a tall robot pose with a hat, a stick and a very long scarf"], "a stick") == []


@pytest.mark.parametrize("verb", ["kick", "jump", "squat", "bow"])
def test_who_is_to_do_something_once_does_not_do_it_again_and_again(verb: str) -> None:
    captions = [f"a person {verb}s", f"a person {verb}s three times"]
    assert found(captions, f"someone {verb}s")[0] == captions[0] and captions[1] not in found(captions, f"he {verb}s")
    assert found(captions, f"she {verb}s three times")[:1] == captions[1:]
    assert captions[1] not in found(captions, f"she {verb}s five times")
    assert len(found(["a man waves three times"], "a man waves")) == 1  # a wave is of several strokes
    several = f"he {verb}s several times"
    assert found([f"he {verb}s once", several], several) == [several] and found([several], f"he {verb}s") == []
    assert found([f"a person does {verb}s"], f"a person {verb}s") == []


def test_a_library_keeps_captions_that_differ_and_codes_that_decode_best(lm: MotionLM) -> None:
    (clip,) = builtin.corpus(1, 3)
    sample = replace(clip, captions=["a man moonwalks", "someone is moonwalking", "moonwalk, robot pose"])
    done: list[float] = []
    kept = Library.of([sample] * 3, lm.motion_tokenizer, 4.0, most=2, search=1, progress=done.append)
    first = sample.load()[:80]
    assert [entry.captions for entry in kept.entries] == [("a man moonwalks", "moonwalk, robot pose")] * 2
    assert kept.entries[0].codes == tuple(lm.motion_tokenizer.encode(first, 1).tolist())
    assert done == [0.5, 1.0]


def test_words_of_every_caption_tell_nothing(lm: MotionLM) -> None:
    many = [f"a person does the {word}" for word in ("moonwalk", "robot", "limbo", "twist", "lambada")]
    assert found(many, "a person does the lambada") == many[-1:]


def test_a_motion_that_is_found_is_the_clip_and_says_so(lm: MotionLM) -> None:
    assert lm.library is not None
    made = lm.generate("robot poses", seed=1)
    assert isinstance(made, Motion) and made.notes == ("from the library: builtin-train-000002, 'robot pose'",)
    codes = next(entry.codes for entry in lm.library.entries if entry.captions == ("robot pose",))
    assert np.array_equal(made.joints, lm._motion(list(codes), None).joints)
    own = lm.generate("robot poses", seed=1, library=False, best_of=1)
    other = lm.generate("juggle seven balls", seed=1, best_of=1)
    assert own.notes == other.notes == ()  # type: ignore[union-attr]
    lm.sampling = replace(lm.sampling, library=False)
    try:
        assert np.array_equal(lm.generate("robot poses", seed=1, best_of=1).joints, own.joints)  # type: ignore[union-attr]
    finally:
        lm.sampling = replace(lm.sampling, library=True)


def test_equal_texts_get_different_clips_and_then_the_models_own(lm: MotionLM) -> None:
    made = lm.generate("moonwalk", n=5, seed=4, best_of=1)
    assert isinstance(made, list)
    notes = [motion.notes for motion in made]
    assert len({note for note in notes if note}) == 3 and notes.count(()) == 2
    again = lm.generate_batch(["moonwalk"] * 5, seed=4, best_of=1)
    assert all(np.array_equal(a.joints, b.joints) for a, b in zip(made, again, strict=True))


def test_seeds_draw_among_clips_and_a_row_depends_on_no_other(lm: MotionLM) -> None:
    texts = ["moonwalk", "fly a kite", "robot pose"]
    alone = [lm.generate(text, seed=s, best_of=1) for text, s in zip(texts, (5, 6, 7), strict=True)]
    beside = lm.generate_batch(texts, seed=[5, 6, 7], best_of=1)
    assert all(np.array_equal(a.joints, b.joints) for a, b in zip(alone, beside, strict=True))  # type: ignore[union-attr]
    # What the model makes of the second is the same whether its neighbours are looked up or not.
    assert np.array_equal(
        lm.generate_batch(texts, seed=9, best_of=1)[1].joints,
        lm.generate_batch(texts, seed=9, best_of=1, library=False)[1].joints,
    )
    # `ABOUT` nats apart all three may be drawn.
    assert len({lm.generate("moonwalk", seed=s).notes for s in range(12)}) > 1  # type: ignore[union-attr]
    greedy = {lm.generate("moonwalk", seed=s, temperature=0).notes for s in range(4)}  # type: ignore[union-attr]
    assert len(greedy) == 1


def test_a_duration_cuts_the_clip_or_has_the_model_go_on(lm: MotionLM) -> None:
    assert lm.library is not None
    whole = lm.generate("robot pose", seed=1)
    assert isinstance(whole, Motion)
    short = lm.generate("robot pose", 1.0, seed=1)
    long = lm.generate("robot pose", whole.duration * 1.5, seed=1, best_of=1)
    assert isinstance(short, Motion) and isinstance(long, Motion)
    assert short.duration == 1.0 and abs(long.duration - whole.duration * 1.5) < 0.051
    assert short.notes == long.notes == whole.notes
    codes = next(entry.codes for entry in lm.library.entries if entry.captions == ("robot pose",))
    (drawn,) = _drained(lm, "robot pose", whole.duration * 1.5)
    assert drawn[: len(codes)] == list(codes) and len(drawn) > len(codes)
    # Less than half of what is asked for is no such motion.
    assert lm.generate("robot pose", whole.duration * 2.5, seed=1, best_of=1).notes == ()  # type: ignore[union-attr]


def _drained(lm: MotionLM, text: str, seconds: float) -> list[list[int]]:
    return [row.codes for row in drained(lm._drawn([text], [seconds], 1, lm.sampling.but(best_of=1)))]


def test_judges_leave_the_library_alone(lm: MotionLM) -> None:
    judged = lm.generate("robot pose", seed=1, best_of=2, judge=lambda texts, motions: [0.0] * len(texts))
    assert judged.notes == ()  # type: ignore[union-attr]


def test_a_clip_given_goes_on_where_the_library_has_its_pose(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the beginning and the end of a clip of the library, what comes between is its own."""
    monkeypatch.setattr(lookup, "FAR", 10.0)  # a tokenizer of a second decodes parts otherwise than the whole
    assert lm.library is not None
    parts = lm.vocab.parts
    for entry in lm.library.entries:
        codes, rate = np.array(entry.codes), lm.motion_tokenizer.steps_per_second
        steps = len(codes) // parts
        start, end = codes[: 5 * parts], codes[-5 * parts :]
        both = lm.generate("a person moves", steps / rate, seed=1, start=start, end=end, temperature=0)
        whole = lm._motion(codes.tolist(), len(both))  # type: ignore[arg-type]
        assert isinstance(both, Motion) and entry.id in both.notes[0]
        assert np.array_equal(both.joints, whole.joints)
        ahead = lm.generate("a person moves", steps / rate, seed=1, start=start, temperature=0)
        assert isinstance(ahead, Motion) and ahead.notes and len(ahead) == len(both)
        onward = lm.generate("a person moves", seed=1, start=start, temperature=0)
        assert isinstance(onward, Motion) and onward.duration >= 5 / rate + 1.0 - 0.1
        pieces = np.concatenate(list(lm.stream("a person moves", seed=1, start=start, temperature=0)))
        assert len(pieces) == len(onward)


def test_of_what_the_model_draws_the_most_typical_goes_on_or_a_clip_like_it(
    lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no text says how a clip goes on: with the end given, and without."""
    assert lm.library is not None
    parts, rate = lm.vocab.parts, lm.motion_tokenizer.steps_per_second
    one, other, third = (np.array(entry.codes[: 16 * parts]).tolist() for entry in lm.library.entries[:3])
    start, end = np.array(one[: 4 * parts]), np.array(third[: 2 * parts])
    made = [[*one[: 4 * parts], *codes[: 12 * parts]] for codes in (other, one, one)]

    def write(requests: list[object], sampling: Sampling, seed: object) -> Iterator[None]:
        yield
        return (made * len(requests))[: len(requests)]  # type: ignore[return-value]

    monkeypatch.setattr(lm, "_write", write)
    monkeypatch.setattr(generation, "LIKELY", 1e9)

    def drawn(text: str, seconds: float | None, end: np.ndarray | None, library: bool) -> list[Drawn]:
        sampling = lm.sampling.but(best_of=3, temperature=1.0, library=library)
        return drained(lm._drawn([text] * 2, [seconds] * 2, 1, sampling, start=start, end=end))

    for seconds, after in ((16 / rate, None), (None, None), (18 / rate, end)):
        for row in drawn("a person moves", seconds, after, library=False):
            assert row.found is None and row.codes == [*made[1], *([] if after is None else after)]
        for row in drawn("a person moves", seconds, after, library=True):
            assert row.found is not None and row.codes[: 4 * parts] == start.tolist()
        for row in drawn("moonwalk", seconds, after, library=True):  # as the text says
            assert row.found is None or "moonwalk" in str(row.found.entry)


def test_near_places_of_the_library_count_as_what_is_drawn(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two draws that differ neither is more typical, but for a near place of the library that is as one of them."""
    assert lm.library is not None
    monkeypatch.setattr(lm, "library", replace(lm.library, entries=lm.library.entries[:1]))
    monkeypatch.setattr(generation, "LIKELY", 0.0)
    start = np.array(lm.library.entries[0].codes[: 4 * lm.vocab.parts])
    seconds = 16 / lm.motion_tokenizer.steps_per_second
    order = lm.order("a person moves", seconds, start.tolist(), [])
    ((way, _, _),) = lm.onward(order, start.tolist(), [])
    other = [*start.tolist(), *np.roll(way.codes[len(start) :], 3 * lm.vocab.parts).tolist()]

    def write(requests: list[object], sampling: Sampling, seed: object) -> Iterator[None]:
        yield
        return [other, way.codes]  # type: ignore[return-value]

    monkeypatch.setattr(lm, "_write", write)
    for far, kept in ((0.0, other), (1e9, way.codes)):
        monkeypatch.setattr(lookup, "FAR", far)
        sampling = lm.sampling.but(best_of=2, temperature=1.0)
        (row,) = drained(lm._drawn(["a person moves"], [seconds], 1, sampling, start=start))
        assert row.codes == kept


def test_a_clip_given_goes_on_in_a_clip_of_the_text_or_by_the_model(
    lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "FAR", 10.0)
    assert lm.library is not None
    moonwalk = lm.library.fitting("moonwalk")[0]
    start = np.array(moonwalk.codes[: 4 * lm.vocab.parts])
    as_said = lm.generate("moonwalk", seed=1, start=start, temperature=0)
    assert "moonwalk" in as_said.notes[0]  # type: ignore[union-attr]
    other = lm.generate("fly a kite", 2.0, seed=1, start=start, best_of=1)
    without = lm.generate("moonwalk", 2.0, seed=1, start=start, best_of=1, library=False)
    assert other.notes == without.notes == ()  # type: ignore[union-attr]


def test_another_library_and_clips_of_one_name_are_told_apart(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "FAR", 10.0)
    assert lm.library is not None
    alike = replace(lm.library, entries=tuple(replace(entry, id="same") for entry in lm.library.entries))
    one = replace(lm.library, entries=(lm.library.fitting("robot pose")[0],))
    for library in (lm.library, alike, one):
        monkeypatch.setattr(lm, "library", library)
        start = np.array(library.fitting("robot pose")[0].codes[: 4 * lm.vocab.parts])
        made = lm.generate("robot pose", seed=1, start=start, temperature=0)
        assert isinstance(made, Motion) and "'robot pose'" in made.notes[0]


# -- places in clips ---------------------------------------------------------------------------------------------------


def test_a_place_is_found_by_what_is_before_and_after() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(4 * n, 3)).astype(np.float32) for n in (12, 20, 9)]
    matcher = Matcher(clips, 4)
    for number, clip in enumerate(clips):
        for first in (2, 4):
            before, after = clip[4 * (first - 2) : 4 * first], clip[4 * (first + 3) : 4 * (first + 4)]
            best = matcher.places(before, after, range(3), 3, 3)[0]
            assert best == Place(best.apart, number, first, first + 3) and best.apart < 1e-9
            best = matcher.places(before, after[:0], range(3), 2, 4)[0]
            assert (best.clip, best.first, best.last) == (number, first, min(first + 4, len(clip) // 4))
    assert not matcher.places(clips[0][:8], clips[0][:0], [2], 8, 8)  # no clip is so long
    assert [p.clip for p in matcher.places(clips[0][:8], clips[0][:0], [1, 2], 2, 2)] in ([1, 2], [2, 1])


def test_what_is_asked_for_and_not_shown_is_noted(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    kicked, juggled = (lm.generate(text, 2.0, seed=2, best_of=2) for text in ("a person kicks", "he juggles"))
    assert isinstance(kicked, Motion) and isinstance(juggled, Motion)
    assert kicked.notes == ("asked for and not measured on it: a person kicks",)
    assert len(juggled.notes) == 1 and juggled.notes[0].startswith("not known here, so the motion shows something else")
    for text in ("robot pose", "a person moves"):
        assert all("library: " in note for note in lm.generate(text, seed=2, best_of=2).notes)  # type: ignore[union-attr]
    assert lm.generate("he juggles", 2.0, seed=2, best_of=1).notes == ()  # type: ignore[union-attr]
    monkeypatch.setattr(lm, "library", None)  # who knows what such an adapter was trained on
    assert lm.generate("he juggles", 2.0, seed=2, best_of=2).notes == ()  # type: ignore[union-attr]


def test_what_is_added_is_the_models_own_where_that_keeps_plainly_better_to_the_text(
    lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def motion(*acts: builtin.Part) -> Motion:
        return Motion(builtin.joints(builtin.Spec(acts, "then" if len(acts) > 1 else ""), 1))

    kick, walk = builtin.Part("kick", side="left"), builtin.Part("walk", direction="forward")
    long, short = motion(kick, walk), motion(kick)
    made: dict[bool, Motion] = {}

    def generating(*given: object, sampling: Sampling, **more: object) -> Iterator[None]:
        yield
        return made[sampling.library], np.zeros(2, np.int64)  # type: ignore[return-value]

    monkeypatch.setattr(lm, "generating", generating)
    for taken, clip, own, first in (
        (True, long, short, False),
        (True, short, long, True),
        (True, short, motion(kick), True),
        (False, long, short, True),  # no clip of the library: nothing to choose from
    ):
        clip = replace(clip, notes=("from the library: a",) if taken else ())
        made |= {True: clip, False: own}
        kept = clip if first else own
        assert drained(lm._added("a person kicks", 1, 0, lm.sampling)) is kept
        assert drained(lm._added("a person kicks", 1, 1, lm.sampling)) is own


@pytest.mark.parametrize("seconds", [None, 1.0, 6.0])
def test_what_is_streamed_is_what_is_generated(lm: MotionLM, seconds: float | None) -> None:
    codes: list[int] = []
    pieces = np.concatenate(list(lm.stream("robot pose", seconds, seed=3, codes=codes)))
    tokenizer = lm.motion_tokenizer
    finished = tokenizer.representation.finished(Motion(pieces, tokenizer.fps, tokenizer.skeleton))
    whole = lm.generate("robot pose", seconds, seed=3, best_of=1)
    assert np.allclose(finished.joints, whole.joints, atol=1e-5)  # type: ignore[union-attr]


def test_a_text_that_the_clips_do_not_show_is_made_by_the_model(lm: MotionLM) -> None:
    kept = lm.library
    standing = Sample("still", lambda: builtin.sample(0).load()[:8].repeat(6, 0), ["a person does a cartwheel"])
    lm.library = Library.of([standing], lm.motion_tokenizer, 4.0)
    try:
        assert lm.library.fitting("a cartwheel")
        assert lm.generate("a cartwheel", seed=1, best_of=1).notes == ()  # type: ignore[union-attr]
    finally:
        lm.library = kept


def test_a_negative_seed_is_refused(lm: MotionLM) -> None:
    with pytest.raises(MotionLLMError, match="seed is -1; give a whole number of at least 0"):
        lm.generate("moonwalk", seed=-1)


def test_what_a_clip_shows_is_measured_before_its_codes_lose_it(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = next(s for s in builtin.corpus(60, 3) if "throws punches" in s.captions[0])
    kept = Library.of([replace(sample, captions=["a person punches the air"])], lm.motion_tokenizer, 9.0)
    (entry,) = kept.entries
    assert any(line.verb == "punch" for line in Notation.parse(entry.notation).lines)
    monkeypatch.setattr(lm, "library", kept)
    decoded = lm._motion(list(entry.codes), None)
    made = lm.generate("a person punches the air", seed=1, best_of=2)
    # Its codes, of a tokenizer trained for a second, show no punch; the clip does, and is left as it is.
    assert not any(line.verb == "punch" for line in lm.notation(decoded).lines)
    assert isinstance(made, Motion) and np.array_equal(made.joints, decoded.joints)
    assert made.notes == (f"from the library: {entry}",)
    # Cut, or of an older file, it is measured as it is shown.
    assert lm.generate("a person punches the air", 0.5, seed=1, best_of=1).notes == ()  # type: ignore[union-attr]
    monkeypatch.setattr(lm, "library", replace(kept, entries=(replace(entry, notation=""),)))
    assert lm.generate("a person punches the air", seed=1, best_of=1).notes == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "caption", ["a person crawls on all fours", "a person climbs a ramp on all fours", "robot pose"]
)
def test_who_crawls_does_so_on_a_level_floor_on_whatever_slope_it_was_recorded(lm: MotionLM, caption: str) -> None:
    (sample,) = builtin.corpus(1, 3)
    joints = features_to_joints(sample.load())
    slope = joints + np.linspace(0, 1, len(joints))[:, None, None] * [0.0, 0.5, 0.0]
    features = joints_to_features(slope)
    shown = lm.motion_tokenizer.representation.decode(on_the_floor(features, [caption], lm.motion_tokenizer))
    rises = shown[-20:, :, 1].min() - shown[:20, :, 1].min()
    assert (rises < 0.1) == ("crawls" in caption) and (rises > 0.3) == ("crawls" not in caption)
    # A library that keeps clips as they were recorded keeps their slopes.
    made = Sample("clip", lambda: features, [caption])
    kept = Library.of([made], lm.motion_tokenizer, 9.8, search=0, exact=True)
    shown = lm.motion_tokenizer.representation.decode(kept.features(kept.entries[0]))
    assert shown[-20:, :, 1].min() - shown[:20, :, 1].min() > 0.3


# -- clips in the codes of another motion tokenizer --------------------------------------------------------------------


@pytest.fixture
def finer(lm: MotionLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MotionTokenizer:
    """A motion tokenizer that ships as `finer`, of which the library of `lm` then is."""
    torch.manual_seed(5)
    own = lm.motion_tokenizer
    network = own.config.model_copy(update={"codes": 64, "width": 24})
    other = MotionTokenizer(network, own.mean, own.std)
    features = (np.stack([s.load()[:32] for s in builtin.corpus(40, 3)]) - own.mean) / own.std
    other.network.train().start_codebooks(torch.tensor(features, dtype=torch.float32))
    other.save(tmp_path / "tokenizer" / "finer")
    monkeypatch.setattr(shipped, "root", lambda: tmp_path)
    kept = MotionTokenizer.load("finer")
    samples = [replace(s, captions=[text]) for s, text in zip(builtin.corpus(5, 3), CAPTIONS, strict=True)]
    monkeypatch.setattr(lm, "library", Library.of(samples, kept, 4.0, search=0, name="finer"))
    return kept


def test_a_clip_is_shown_by_the_librarys_own_motion_tokenizer(lm: MotionLM, finer: MotionTokenizer) -> None:
    assert lm.library is not None and finer.codes_hash != lm.motion_tokenizer.codes_hash
    (entry,) = lm.library.fitting("robot pose")
    whole = finer.representation.finished(finer.decode(entry.codes))
    made = lm.generate("robot pose", seed=1)
    assert isinstance(made, Motion) and np.array_equal(made.joints, whole.joints) and "robot pose" in made.notes[0]
    spelled = lm.motion_tokenizer.encode(finer.decode_features(entry.codes))
    _, codes = drained(lm.generating("robot pose", seed=1, sampling=lm.sampling.but(best_of=1)))
    assert np.array_equal(codes, spelled)
    short = lm.generate("robot pose", 1.25, seed=1)
    assert isinstance(short, Motion) and short.duration == 1.25
    assert np.allclose(short.joints[:, 0, [0, 2]], whole.joints[: len(short), 0, [0, 2]])
    # Longer than the clip, it is the model's, which goes on from the clip in its own codes.
    (drawn,) = _drained(lm, "robot pose", whole.duration * 1.5)
    assert drawn[: len(spelled)] == spelled.tolist() and len(drawn) > len(spelled)
    for seconds in (None, 1.25, whole.duration * 1.5):
        told: list[int] = []
        pieces = np.concatenate(list(lm.stream("robot pose", seconds, seed=1, codes=told)))
        finished = finer.representation.finished(Motion(pieces, finer.fps, finer.skeleton))
        same = lm.generate("robot pose", seconds, seed=1, best_of=1)
        assert np.allclose(finished.joints, same.joints, atol=1e-5)  # type: ignore[union-attr]
        assert told[:8] == spelled.tolist()[:8]


def test_clips_given_and_what_goes_on_from_them_are_shown_by_it(
    lm: MotionLM, finer: MotionTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "FAR", 10.0)
    assert lm.library is not None
    (entry,) = lm.library.fitting("robot pose")
    monkeypatch.setattr(lm, "library", replace(lm.library, entries=(entry,)))
    codes, down, parts = np.array(entry.codes), finer.frames_per_step, finer.parts
    features, steps = finer.decode_features(codes), len(codes) // parts
    start, end = features[: 5 * down], features[-5 * down :]
    both = lm.generate("a person moves", steps / finer.steps_per_second, seed=1, start=start, end=end, temperature=0)
    assert isinstance(both, Motion) and len(both) == len(features) and both.notes
    ways = [
        finer.decode([*finer.encode(start), *codes[first * parts : (first + steps - 10) * parts], *finer.encode(end)])
        for first in (4, 5, 6)
    ]
    assert any(np.array_equal(finer.representation.finished(way).joints, both.joints) for way in ways)
    as_codes = lm.motion_tokenizer.encode(start)
    onward = lm.generate("a person moves", 3.0, seed=1, start=as_codes, temperature=0)
    assert isinstance(onward, Motion) and onward.duration == 3.0 and onward.notes
    pieces = np.concatenate(list(lm.stream("a person moves", 3.0, seed=1, start=as_codes, temperature=0)))
    finished = finer.representation.finished(Motion(pieces, finer.fps, finer.skeleton))
    assert np.allclose(finished.joints, onward.joints, atol=1e-4)


def test_a_clip_kept_exactly_is_shown_as_it_is(lm: MotionLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [replace(s, captions=[text]) for s, text in zip(builtin.corpus(5, 3), CAPTIONS, strict=True)]
    kept = Library.of(samples, lm.motion_tokenizer, 4.0, exact=True)
    kept.save(tmp_path / FILE)
    again = Library.load(tmp_path / FILE, lm.motion_tokenizer)
    assert again == kept and all(entry.frames for entry in again.entries)
    monkeypatch.setattr(lm, "library", again)
    (entry,) = again.fitting("robot pose")
    sample = next(s for s in samples if s.id == entry.id)
    own = lm.motion_tokenizer.representation.decode(sample.load())
    (made,) = lm.generate_batch(["robot pose"], seed=1)
    assert isinstance(made, Motion) and "robot pose" in made.notes[0]
    steps = len(entry.codes) // lm.vocab.parts * lm.motion_tokenizer.frames_per_step
    finished = lm.motion_tokenizer.representation.finished(Motion(own[:steps], made.fps, made.skeleton))
    assert len(made) == steps and np.abs(made.joints - finished.joints).max() < 5e-3
    for seconds in (None, 1.25, made.duration * 1.5):
        pieces = np.concatenate(list(lm.stream("robot pose", seconds, seed=1)))
        streamed = lm.motion_tokenizer.representation.finished(Motion(pieces, made.fps, made.skeleton))
        same = lm.generate("robot pose", seconds, seed=1, best_of=1)
        assert np.allclose(streamed.joints, same.joints, atol=1e-4)  # type: ignore[union-attr]
    about, first, *_ = (tmp_path / FILE).read_text().splitlines()
    for frames in ("AAAA", "no base64", 3):
        (tmp_path / "other.jsonl").write_text("\n".join([about, json.dumps({**json.loads(first), "frames": frames})]))
        with pytest.raises(MotionLLMError, match="line 2: is no clip of a motion library"):
            Library.load(tmp_path / "other.jsonl", lm.motion_tokenizer)


def test_it_is_named_in_the_file_and_must_ship_and_have_the_adapters_steps(
    lm: MotionLM, finer: MotionTokenizer, tmp_path: Path
) -> None:
    assert lm.library is not None
    lm.library.save(tmp_path / FILE)
    again = Library.load(tmp_path / FILE, lm.motion_tokenizer)
    assert again == lm.library and again.name == "finer" and again.motion_tokenizer is not lm.motion_tokenizer
    own = Library.load(tmp_path / FILE, finer)  # of an adapter that speaks these codes itself
    assert own.name == "" and own.motion_tokenizer is finer
    for name in ("coarser", 3, ["finer"]):
        about, *rest = (tmp_path / FILE).read_text().splitlines()
        (tmp_path / "other.jsonl").write_text("\n".join([json.dumps({**json.loads(about), "name": name}), *rest]))
        with pytest.raises(MotionLLMError, match=r"line 1: no motion tokenizer .* ships"):
            Library.load(tmp_path / "other.jsonl", lm.motion_tokenizer)
    network = finer.config.model_copy(update={"down": 2})
    MotionTokenizer(network, finer.mean, finer.std).save(tmp_path / "tokenizer" / "quicker")
    with pytest.raises(MotionLLMError, match="in steps of 2 frames, and the adapter's humanml3d in steps of 4"):
        shipped_beside("quicker", lm.motion_tokenizer)
    MotionTokenizer(finer.config, finer.mean + 1, finer.std).save(tmp_path / "tokenizer" / "finer")
    with pytest.raises(MotionLLMError, match="finer that ships has those of"):
        Library.load(tmp_path / FILE, lm.motion_tokenizer)


# -- the file ------------------------------------------------------------------------------------------------------


def test_it_is_saved_with_the_adapter_and_carried_on(
    lm: MotionLM, trained_run: tuple[Path, Path], tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    assert lm.library is not None
    adapter = tmp_path / "adapter"
    whole = MotionLM.load(trained_run[0], merge=False)
    whole.library = lm.library
    whole.save(adapter)
    again = MotionLM.load(adapter)
    assert again.library == lm.library and lm.library.terms == "Ask first."
    assert adapter_hash(adapter) != adapter_hash(trained_run[0])
    recipe = tiny_recipe(trained_run[1], adapter / "tokenizer", steps=1)
    recipe.adapter.start = str(adapter)
    train(recipe, tmp_path / "further")
    assert MotionLM.load(tmp_path / "further").library == lm.library


FIRST = {"format": 1, "motion_tokenizer": "?", "terms": ""}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "line 1: is no motion library"),
        ([{"id": "a"}], "line 1: is no motion library"),
        ([{**FIRST, "format": 2}], "newer motionllm"),
        ([{**FIRST, "motion_tokenizer": "feed"}], "codes of motion tokenizer feed"),
        ([FIRST], "has no clip"),
        ([FIRST, {"id": "a", "captions": ["x"]}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": [], "codes": "AAAA"}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": [3], "codes": "AAAA"}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": "x", "codes": "AAAA"}], "line 2: is no clip"),
        ([FIRST, {"id": 1, "captions": ["x"], "codes": "AAAA"}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": ["x"], "codes": "AAAQAA==", "notation": 3}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": ["x"], "codes": "AAAQAA==", "notation": "a"}], "line 2: Notation, line 1"),
        ([FIRST, {"id": "a", "captions": ["x"], "codes": "AA!A"}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": ["x"], "codes": base64.b64encode(b"abc").decode()}], "line 2: is no clip"),
        ([FIRST, {"id": "a", "captions": ["x"], "codes": ""}], "line 2: Codes have shape"),
        ([FIRST, {"id": "a", "captions": ["x"], "codes": base64.b64encode(b"\xff" * 4).decode()}], "line 2: Codes run"),
    ],
)
def test_a_damaged_file_is_told_by_its_line(rows: list[dict], says: str, tiny_tokenizer: Path, tmp_path: Path) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    file = tmp_path / FILE
    text = "\n".join(json.dumps(row) for row in rows).replace('"?"', f'"{tokenizer.codes_hash}"')
    file.write_text(text)
    with pytest.raises(MotionLLMError, match=says) as error:
        Library.load(file, tokenizer)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_clips_without_captions_make_no_library(tiny_tokenizer: Path) -> None:
    with pytest.raises(MotionLLMError, match="No clip has a caption"):
        Library.of(
            [Sample("a", builtin.sample(0).load)],
            MotionTokenizer.load(tiny_tokenizer),
            4.0,
        )


def test_the_command_makes_one_of_a_data_set(
    trained_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "set"
    for name in ("texts", "new_joint_vecs"):
        (folder / name).mkdir(parents=True)
    for i, text in enumerate(("he moonwalks to the left", "robot pose")):
        np.save(folder / "new_joint_vecs" / f"c{i}.npy", builtin.sample(i).load())
        (folder / "texts" / f"c{i}.txt").write_text(text)
    (folder / "train.txt").write_text("c0\nc1\n")
    out = tmp_path / "library.jsonl"
    assert main(["data", "library", str(folder), "--model", str(trained_run[0]), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["clips"], told["captions"], told["file"]) == (4, 3, str(out))
    library = Library.load(out, MotionTokenizer.load(trained_run[0] / "adapter" / "tokenizer"))
    assert [entry.id for entry in library.fitting("moonwalking to the right")] == ["Mc0"]
    words = ["generate", "robot pose", "--model", str(trained_run[0]), "--library", str(out)]
    assert main([*words, "--out", str(tmp_path / "m.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"][0].startswith("from the library: ")
    assert main([*words, "--no-library"]) == 2
    assert "give one of the two" in capsys.readouterr().err
    words = ["data", "library", str(folder), "--model", str(trained_run[0]), "--out", str(out), "--exact"]
    assert main([*words, "--no-mirror"]) == 0
    exact = Library.load(out, MotionTokenizer.load(trained_run[0] / "adapter" / "tokenizer"))
    assert len(exact.entries) == 2 and all(entry.frames for entry in exact.entries)
    capsys.readouterr()
    assert main([*words, "--tokenizer", "real"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main(["data", "library", str(folder), "--model", "default"]) == 2
    assert "--out" in capsys.readouterr().err
    assert main(["data", "library", str(tmp_path / "none"), "--model", str(trained_run[0])]) == 2
    assert not (trained_run[0] / "adapter" / FILE).exists()


def test_a_caption_that_says_more_must_show_all_and_little_else_that_the_model_makes_by_itself(
    lm: MotionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of "a person hops", a clip of "a person starts, hops and stops" is not taken that is measured as a jump, or where
    most of what is measured is something else; nor several kicks of "a person kicks".
    """
    assert lm.library is not None
    own = lm.library

    def taken(text: str, caption: str, shows: float, only: float) -> bool:
        monkeypatch.setattr(lm, "library", replace(own, entries=(Entry("a", (caption,), (0, 16) * 10),)))
        monkeypatch.setattr(lm, "_shows", lambda *_: (shows, only))
        return bool(lm.found([lm.order(text, None, [], [])], [True], [[]], 0, lm.sampling)[0])

    for caption, shows, only, enough in (
        ("a person starts, hops and stops", 1.0, 1.0, True),
        ("a person starts, hops and stops", 1.0, 0.5, False),
        ("a person starts, hops and stops", 0.75, 1.0, False),
        ("a person hops", 0.75, 0.1, True),
        ("somebody is hopping", 0.75, 1.0, True),
        ("a person hops", 0.4, 1.0, False),
    ):
        assert taken("a person hops", caption, shows, only) == enough, (caption, shows, only)
    assert taken("a person kicks", "kick", 1.0, 0.3) and not taken("a person kicks", "kick", 1.0, 0.2)
    assert taken("a person dances", "a person starts, dances and stops", 0.75, 0.1)  # beyond what the corpus teaches


def test_a_misspelled_text_is_read_as_it_is_meant(lm: MotionLM) -> None:
    assert lm.meant("the mooonwalk to the rihgt") == "the moonwalk to the right"
    assert lm.meant("the moonwalk to the right") == "the moonwalk to the right"
    for text in ("robto poses", "roboot poses"):
        motion = lm.generate(text, seed=1)
        assert isinstance(motion, Motion)
        assert motion.notes == ("from the library: builtin-train-000002, 'robot pose'", "read as: robot poses")
        assert np.array_equal(motion.joints, lm.generate("robot poses", seed=1).joints)  # type: ignore[union-attr]


def test_an_act_that_is_not_known_is_noted(lm: MotionLM) -> None:
    motion = lm.generate("a person walks and then shrugs", seed=1)
    assert isinstance(motion, Motion) and any("does not show it: shrugs" in note for note in motion.notes)
