"""Texts of a set while people edit them: what is written, what is refused, and that nothing typed is lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from motionllm.data import labelling
from motionllm.data.labelling import Stale, Texts, editable, hints, phrases, version_of, words_used, written
from motionllm.data.motion_set import MotionSet
from motionllm.data.sources import read_captions
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Notation

ANNA, BEN = "a" * 16, "b" * 16
PUBLISHED = (
    "a man kicks.#a/DET man/NOUN kick/VERB#0.0#0.0\n"
    "he turns#he/PRON turn/VERB#1.5#3.25\n"
    "then stops##2.0#0.0\n"
    "plain\n"
    "odd # line\n"
)


@pytest.fixture
def texts(tmp_path: Path) -> Texts:
    (tmp_path / "new_joints").mkdir()
    for name in ("one", "two"):
        np.save(tmp_path / "new_joints" / f"{name}.npy", np.zeros((20, 22, 3)))
    return Texts(MotionSet(tmp_path))


def file_of(texts: Texts, name: str = "one") -> str:
    path = texts.data.folder / "texts" / f"{name}.txt"
    return path.read_text() if path.exists() else ""


def test_lines_that_are_not_edited_stand_as_they_stood() -> None:
    text = editable(PUBLISHED)
    assert text.split("\n") == ["a man kicks.", "1.5-3.25: he turns", "2-: then stops", "plain", "odd # line"]
    assert written(text, PUBLISHED, Path("x.txt")) == PUBLISHED
    changed = written(text.replace("turns", "spins"), PUBLISHED, Path("x.txt"))
    assert changed == PUBLISHED.replace("he turns#he/PRON turn/VERB#1.5#3.25", "he spins##1.5#3.25")


def test_what_is_written_is_what_training_reads(texts: Texts) -> None:
    texts.save("one", ANNA, "  a person   waves \n\n0.5-1.5: waves again\n1-:turns\n", "", 1)
    captions, doubts = read_captions(texts.data.folder / "texts" / "one.txt")
    assert [(c.text, c.start, c.end) for c in captions] == [
        ("a person waves", 0, 0),
        ("waves again", 0.5, 1.5),
        ("turns", 1, 0),
    ]
    assert doubts == [] and texts.data.captions("one") == captions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n ", "no caption to save for one"),
        ("fine\nwaves # twice", "Line 2 .*has no '#'"),
        ("3-1: waves", "begins at 3 s and ends at 1 s"),
        ("1-2: ", "has seconds and no caption"),
        ("x" * (labelling.LONGEST + 1), "characters"),
    ],
)
def test_what_is_no_caption_is_refused_and_nothing_changes(texts: Texts, text: str, message: str) -> None:
    texts.save("one", ANNA, "it stands", "", 1)
    with pytest.raises(MotionLLMError, match=message):
        texts.save("one", ANNA, text, version_of(file_of(texts)), 2)
    assert file_of(texts) == "it stands##0.0#0.0\n"


def test_a_stale_text_is_refused_and_both_are_kept(texts: Texts) -> None:
    first = texts.save("one", ANNA, "anna's", "", 1)
    with pytest.raises(Stale) as refused:
        texts.save("one", BEN, "ben's", "", 2)
    assert (refused.value.text, refused.value.version) == ("anna's", first)
    assert file_of(texts) == "anna's##0.0#0.0\n"
    again = Texts(MotionSet(texts.data.folder))  # as after a kill
    state = again.state("one", BEN)
    assert (state.text, state.draft, state.draft_version) == ("anna's", "ben's", "")
    assert again.state("one", ANNA).draft is None
    again.save("one", BEN, "anna's\nben's", first, 3)
    assert file_of(texts) == "anna's##0.0#0.0\nben's##0.0#0.0\n" and again.state("one", BEN).draft is None


def test_the_same_text_twice_is_no_conflict(texts: Texts) -> None:
    # The answer to a write may be lost: the browser then sends it again.
    version = texts.save("one", ANNA, "waves", "", 1)
    assert texts.save("one", ANNA, "waves", "", 2) == version == texts.save("one", BEN, "waves", "", 3)
    history = (texts.folder / "history.jsonl").read_text().splitlines()
    assert [(row["person"], row["before"], row["after"]) for row in map(json.loads, history)] == [
        (ANNA, "", "waves##0.0#0.0\n")
    ]


def test_drafts_are_kept_as_typed_and_an_earlier_one_never_replaces_a_later(texts: Texts) -> None:
    texts.keep("one", ANNA, "a person wav", "", 20)
    texts.keep("one", ANNA, "a per", "", 10)  # a request that was overtaken
    assert Texts(MotionSet(texts.data.folder)).state("one", ANNA).draft == "a person wav"
    assert texts.state("one", BEN).draft is None and texts.state("two", ANNA).draft is None
    texts.save("one", ANNA, "a person waves", "", 30)
    texts.keep("one", ANNA, "a person wave", "", 25)
    assert texts.state("one", ANNA).draft is None
    texts.keep("one", ANNA, "other", version_of(file_of(texts)), 40)
    texts.discard("one", ANNA, 41)
    assert texts.state("one", ANNA).draft is None and file_of(texts) == "a person waves##0.0#0.0\n"


def test_one_of_many_writers_at_once_wins_and_no_text_is_lost(texts: Texts) -> None:
    people = [f"{k:016x}" for k in range(8)]
    refused = []

    def write(person: str) -> None:
        try:
            Texts(texts.data).save("one", person, f"text of {person}", "", 1)  # its own lock, as another process has
        except Stale:
            refused.append(person)

    threads = [threading.Thread(target=write, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == len(people) - 1
    (winner,) = set(people) - set(refused)
    assert file_of(texts) == f"text of {winner}##0.0#0.0\n"
    assert all(texts.state("one", person).draft == f"text of {person}" for person in refused)


def test_an_import_into_the_set_is_waited_for(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    from motionllm.files import lock

    monkeypatch.setattr(labelling, "PATIENCE", 0.1)
    with lock(texts.data.folder), pytest.raises(MotionLLMError, match="is in use by"):
        texts.save("one", ANNA, "waves", "", 1)
    assert file_of(texts) == ""
    texts.save("one", ANNA, "waves", "", 2)


def test_no_name_leads_out_of_the_set(texts: Texts) -> None:
    for name in ("../one", "none", ""):
        with pytest.raises(MotionLLMError, match="has no clip"):
            texts.keep(name, ANNA, "x", "", 1)
    assert not (texts.data.folder / ".labelling").exists()


NOTATION = Notation.parse("4.0 s, standing to standing\n0.5-1.5 wave left hand x3\n2.0-3.5 walk forward 1.2 m/s")


def test_phrases_are_what_a_caption_can_name() -> None:
    assert [phrase["text"] for phrase in phrases(NOTATION)] == ["waves with the left hand three times", "walks forward"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a person waves with the right hand", "a person waves with the left hand"),
        ("a person waves.", "a person waves with the left hand."),
        ("it stands\n0-2: someone waves the right hand", "it stands\n0-2: someone waves the left hand"),
        ("a person waves with the left hand", None),
        ("2-4: a person waves", None),
        ("a person walks", None),
    ],
)
def test_hints_name_the_side_that_the_motion_shows(text: str, expected: str | None) -> None:
    given = hints(text, NOTATION)
    assert [hint["text"] for hint in given] == ([expected] if expected else [])


def _noted(*lines: str) -> str:
    return "\n".join(("4.0 s, standing to standing", *lines))


def test_clips_that_show_the_same_are_drafted_in_the_words_used_before() -> None:
    sneak, kick = _noted("0.1-2.4 step forward x3 slowly"), _noted("0.5-1.5 kick left leg")
    others = [
        ("sneak", sneak, "a person sneaks"),
        ("kick", kick, "a front kick with the left leg"),
        ("both", _noted("0.5-1.5 kick left leg", "2.0-2.6 raise left arm"), "a kick"),
        ("twice", _noted("0.5-2.5 kick left leg x2"), "two kicks"),
    ]
    assert words_used(_noted("0.0-1.9 step forward x4 slowly"), others) == {"a person sneaks": "sneak"}
    assert [*words_used(kick, others)] == ["a front kick with the left leg", "a kick"]
    right = words_used(_noted("0.7-1.5 kick right leg"), others)
    assert next(iter(right.items())) == ("a front kick with the right leg", "kick")
    assert words_used(_noted("0.5-1.5 jump"), others) == words_used(_noted(), others) == {}
    assert len(words_used(kick, [(str(k), kick, f"kick {k}") for k in range(9)])) == 3
