"""The grammar of a notation: whatever is written under it is read, and whatever is measured can be written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from motionllm.corpus import corpus
from motionllm.errors import MotionLLMError
from motionllm.motion import grammar
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import PACES, POSTURES, VERBS, Line, Notation, measure

CHARACTERS = sorted({*grammar.words(), *"0123456789.-\n"})


def drawn(seed: int) -> Notation:
    """Any notation of 10 s: all that the table of verbs lets a line have, by chance."""
    rng = np.random.default_rng(seed)
    lines = []
    times = [(start, rng.integers(start + 1, 101)) for start in rng.integers(0, 100, rng.integers(0, 9)).tolist()]
    for start, end in sorted([*times, *times[:3]]):
        verb = str(rng.choice(list(VERBS)))
        may = VERBS[verb]
        size = {"": 0.0, "m": rng.integers(0, 30) / 10, "degrees": 15.0 * rng.integers(0, 80)}[may.size]
        size = size * rng.choice([-1, 1]) if may.speed else size
        part, way = (str(rng.choice(["", *one])) for one in (may.parts, may.ways))
        speed = rng.integers(0, 80) / 10 if may.speed else 0.0
        pace = str(rng.choice(["", *PACES])) if may.usual else ""
        line = Line(start / 10, end / 10, verb, part, way, size, speed, int(rng.integers(1, 120)), pace)
        if (line.start, line.end, verb, part) not in [(x.start, x.end, x.verb, x.part) for x in lines]:
            lines.append(line)
    return Notation(10.0, (str(rng.choice(POSTURES)), str(rng.choice(POSTURES))), tuple(lines))


def written(begun: grammar.Writing, rng: np.random.Generator) -> tuple[str, grammar.Writing]:
    """A text of characters drawn by chance from those that may follow."""
    text, state = "", begun
    while not state.ended:
        may = [(char, then) for char in CHARACTERS if (then := state.after(char)) is not None]
        assert may, f"nothing may follow {text!r}"
        char, state = may[rng.integers(len(may))]
        text += char
    return text, state


@pytest.mark.parametrize("seed", range(60))
def test_what_is_written_under_the_grammar_is_read(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.integers(2, 600, 2)) / 10
    text, _ = written(grammar.begin(low, high), rng)
    notation = Notation.parse(text)
    assert str(notation) + grammar.END == text
    assert low <= notation.seconds <= high
    assert len(notation.lines) <= notation.seconds + grammar.ROOM
    times = [(line.start, line.end) for line in notation.lines]
    assert times == sorted(times) and all(end > start for start, end in times)
    assert len({(x.start, x.end, x.verb, x.part) for x in notation.lines}) == len(times)
    first, line = grammar.longest()
    rows = text.splitlines()
    assert len(rows[0]) < first and all(len(row) < line for row in rows[1:])


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_of_which_all_is_told_is_not_begun_again(verb: str) -> None:
    rows = [f"0.0-0.2 {verb} {part}".strip() for part in ("", *VERBS[verb].parts)]
    begun = grammar.begin(60.0, 60.0).after("\n".join(["60.0 s, standing to standing", *rows, "0.0-0.2"]))
    assert begun is not None and begun.after(f" {verb}\n") is None
    for length in range(len(verb) + 2):
        state = begun.after(f" {verb}"[:length])
        assert state is None or any(state.after(char) for char in CHARACTERS), f" {verb}"[:length]


@pytest.mark.parametrize("seconds", [0.2, 0.9, 1.0, 9.8, 10.0, 59.9, 60.0])
def test_exact_seconds_are_the_only_ones(seconds: float) -> None:
    rng = np.random.default_rng(round(10 * seconds))
    for _ in range(5):
        assert Notation.parse(written(grammar.begin(seconds, seconds), rng)[0]).seconds == seconds


@pytest.mark.parametrize(
    "line",
    [
        "0.5-1.5 wave left hand x2",
        "0.5-1.5 wave left hand slowly",
        "0.5-1.4 clap",
        "0.4-2.0 clap",
        "0.5-0.5 clap",
        "4.0-4.0 clap",
    ],
)
def test_a_line_that_tells_nothing_new_cannot_be_written(line: str) -> None:
    begun = grammar.begin(4.0, 4.0).after("4.0 s, standing to standing\n0.5-1.5 wave left hand\n")
    assert begun is not None and begun.after(f"{line}\n") is None
    for other in ("0.5-1.5 wave right hand x2", "0.5-1.5 wave", "0.5-1.6 wave left hand", "0.6-0.7 wave left hand"):
        assert begun.after(f"{other}\n") is not None


def test_lines_are_bounded_and_the_end_can_be_reached_early() -> None:
    begun = grammar.begin(60.0, 60.0, most=2)
    assert begun.after("60.0 s, lying to lying\n0.0-1.0 clap\n1.0-2.0 clap\n1") is None
    for text in ("60.0 s, lying to lying", "60.0 s, lying to lying\n0.0-1.0 clap\n1.0-2.0 clap"):
        state = begun.after(text)
        assert state is not None and not state.ended
        ended = state.after(grammar.END)
        assert ended is not None and ended.ended and ended.after("\n") is None
    for text in ("60.0 s, lying to", "60.0 s, lying to lying\n0.0-1", "60.0 s, lying to lying\n0.0-1.0 jumping"):
        state = begun.after(text)
        assert state is not None and state.after(grammar.END) is None


@pytest.mark.parametrize("seed", range(60))
def test_any_notation_can_be_written(seed: int) -> None:
    notation = drawn(seed)
    state = grammar.begin(0.2, 60.0).after(str(notation) + grammar.END)
    assert state is not None and state.ended


def test_what_is_measured_can_be_written() -> None:
    for number in range(12):
        joints = features_to_joints(corpus(12, seed=5)[number].load())
        notation = measure(joints)
        for piece in (notation, notation.between(0.5, notation.seconds - 0.4)):
            state = grammar.begin(0.2, 60.0).after(str(piece) + grammar.END)
            assert state is not None and state.ended, str(piece)


@pytest.mark.parametrize("seed", range(80))
def test_a_text_that_cannot_be_read_cannot_be_written(seed: int) -> None:
    """A character changed, left out, doubled or exchanged: the grammar and `parse` agree on what is left."""
    rng = np.random.default_rng(seed)
    text = str(drawn(seed))
    for _ in range(20):
        at = int(rng.integers(len(text)))
        kind = rng.integers(4)
        other = str(rng.choice([*CHARACTERS, "A", "é", "\t", "<"]))
        before, char, after = text[:at], text[at], text[at + 1 :]
        changed = (
            before + other + after,
            before + after,
            before + char + char + after,
            before + after[:1] + char + after[1:],
        )[kind]
        state = grammar.begin(0.2, 60.0).after(changed + grammar.END)
        if state is None or not state.ended:
            continue
        assert str(Notation.parse(changed)) == changed


def test_a_part_of_a_notation_is_told_from_its_beginning() -> None:
    whole = Notation.parse(
        "12.0 s, standing to sitting\n0.0-4.0 walk forward turning left 180 1.2 m/s\n"
        "2.0-6.0 wave right hand x4\n7.0-8.0 sit\n10.0-11.0 clap"
    )
    assert str(whole.between(0, 12)) == str(whole)
    assert str(whole.between(2, 9)).splitlines() == [
        "7.0 s, standing to sitting",
        "0.0-2.0 walk forward turning left 90 1.2 m/s",
        "0.0-4.0 wave right hand x4",
        "5.0-6.0 sit",
    ]
    assert str(whole.between(4, 6.5)) == "2.5 s, standing to standing\n0.0-2.0 wave right hand x2"
    assert str(whole.between(9, 12)) == "3.0 s, sitting to sitting\n1.0-2.0 clap"


@pytest.mark.parametrize("seed", range(60))
def test_parts_of_any_notation_are_notations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = drawn(seed)
    for _ in range(10):
        start, end = np.sort(rng.uniform(0, whole.seconds, 2))
        part = whole.between(start, max(end, start + 0.1))
        assert Notation.parse(str(part)) == part


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1.0-2.0 moonwalk", "moonwalk"),
        ("0.1-0.5 clap", "starts before the line above"),
        ("1.0-2.0 clap x-3", "x-3 is no count"),
        ("1.0-2.0 clap x1", "x1 is no count"),
        ("3.0-2.0 clap", "ends before it starts"),
        ("1.0-9.0 clap", "ends after the clip"),
    ],
)
def test_a_wrong_line_is_named(line: str, says: str) -> None:
    text = f"4.0 s, standing to standing\n0.5-1.0 clap\n{line}"
    with pytest.raises(MotionLLMError) as error:
        Notation.parse(text)
    assert "line 3" in str(error.value) and says in str(error.value)
    assert grammar.begin().after(text + grammar.END) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_is_forced_is_all_that_may_follow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state, forced = grammar.begin(4.0, 4.0), 0
    assert state.forces("4.0 s, ") and not state.forces("4.0 s, standing") and not state.forces("4.0 m")
    while not state.ended:
        may = [char for char in CHARACTERS if state.after(char) is not None]
        for char in CHARACTERS:
            assert state.forces(char) == (may == [char])
        forced += len(may) == 1
        then = state.after(may[rng.integers(len(may))])
        assert then is not None
        state = then
    assert forced > 20


def test_a_writing_is_not_changed_by_what_follows() -> None:
    begun = grammar.begin(4.0, 4.0)
    before = dataclasses.astuple(begun)
    assert begun.after("4.0 s, lying") is not None and begun.after("5") is None
    assert dataclasses.astuple(begun) == before
