"""Pairs of notations: what is asked for is done, the rest stays, and what training sees is not what is tested."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.data.acts import ORDINALS, act_of, acts, summary
from motionllm.data.change_fit import fitted
from motionllm.data.change_language import OTHERWISE, PACE, added, parts
from motionllm.data.changes import LONGEST, alternatives, applies, changed
from motionllm.data.edit_kinds import CHANGING, KINDS, Donors
from motionllm.data.edit_requests import one_of, requests
from motionllm.data.edit_words import WORDINGS
from motionllm.data.edits import SEVERAL, Edit, draw, edited
from motionllm.data.timeline import made as built
from motionllm.data.timeline import mirrored, paced, shared
from motionllm.errors import MotionLLMError
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import VERBS, Line, Notation, measure

Random = np.random.Generator


@pytest.fixture(scope="module")
def clips() -> list[tuple[str, str]]:
    """(caption, notation) of 150 clips of the built-in corpus."""
    samples = builtin.corpus(150, seed=3)
    return [(s.captions[0], str(measure(features_to_joints(s.load())))) for s in samples]


@pytest.fixture(scope="module")
def donors(clips: list[tuple[str, str]]) -> Donors:
    return Donors.of(clips)


@pytest.fixture(scope="module")
def notations(clips: list[tuple[str, str]]) -> list[Notation]:
    return [Notation.parse(text) for _, text in clips]


def made(kind: str, notations: list[Notation], donors: Donors, seed: int = 0, held_out: bool = False) -> list[Edit]:
    random = np.random.default_rng(seed)
    return [e for n in notations if (e := edited(kind, n, random, donors, held_out))]


def verbs(notation: Notation) -> list[str]:
    return sorted(line.verb for line in notation.lines)


@pytest.mark.parametrize("kind", CHANGING)
def test_every_kind_applies_and_gives_a_notation(kind: str, notations: list[Notation], donors: Donors) -> None:
    found = made(kind, notations, donors)
    assert len(found) >= 10
    for edit in found:
        assert Notation.parse(str(edit.new)) == edit.new
        assert (edit.new == edit.old) == edit.key.startswith("gesture ")  # how large one is no notation says
        assert 0.5 <= edit.new.seconds <= LONGEST
        more = Notation(2.0, ("standing", "standing"), (Line(0.5, 1.0, "jump", "", "", 0.3),))
        again = changed(edit.old, edit.change, lambda _, more=more: more)  # type: ignore[misc]
        assert bool(added(edit.change)) != (again == edit.new), edit
        assert len(edit.change) < 90 and "{" not in edit.request
        assert "  " not in edit.request and edit.request.strip() == edit.request
    assert found == made(kind, notations, donors) and found != made(kind, notations, donors, seed=1)


def test_drawn_are_all_kinds(notations: list[Notation], donors: Donors) -> None:
    random = np.random.default_rng(0)
    drawn = [draw(n, random, donors) for n in notations * 4]
    assert {e.kind for e in drawn if e} == {*KINDS, SEVERAL}
    assert sum(e is None for e in drawn) == 0


@pytest.mark.parametrize("held_out", [False, True])
def test_several_changes_in_one_request_are_each_asked_for(
    notations: list[Notation], donors: Donors, held_out: bool
) -> None:
    found = made(SEVERAL, notations, donors, held_out=held_out)
    assert len(found) > 60 and {len(parts(edit.change)) for edit in found} == {2, 3}
    assert {kind for edit in found for kind in edit.several} >= {
        "side",
        "slower",
        "append",
        "mirror",
        "repeat",
        "duration",
    }
    for edit in found:
        assert len(parts(edit.change)) == len(edit.several) and edit.new != edit.old
        if not any(added(part) for part in parts(edit.change)):
            assert changed(edit.old, edit.change, Notation.parse) == edit.new


def test_a_request_says_which_of_several_acts(notations: list[Notation], donors: Donors) -> None:
    said = {
        "1st": "first|1st|opening|initial|begin",
        "2nd": "second|2nd",
        "3rd": "third|3rd",
        "last": r"\blast|final",
        "every": r"every|each|\ball\b|both",
    }
    random, seen, missing = np.random.default_rng(4), dict.fromkeys(said, 0), 0
    for edit in (e for n in notations * 36 if (e := draw(n, random, donors)) and e.kind != SEVERAL):
        for name, words in said.items():
            if f" {name} " in f" {edit.change.removesuffix(added(edit.change))} ":
                seen[name] += 1
                missing += not re.search(words, edit.request.lower())
    assert min(seen.values()) >= 2 and missing <= 0.06 * sum(seen.values()), (seen, missing)  # some are mistyped


def test_every_act_of_a_verb_and_one_repetition_of_an_act() -> None:
    old = Notation.parse(
        "6.0 s, standing to standing\n0.5-2.0 kick right leg x3\n3.0-4.0 kick left leg\n4.2-5.0 bow 40"
    )

    def lines(change: str) -> list[str]:
        return [line.words for line in changed(old, change, Notation.parse).lines]

    assert lines("no every kick") == ["bow 40"] and lines("every kick x2")[:2] == [
        "kick right leg x2",
        "kick left leg x2",
    ]
    assert lines("every bow more") == ["kick right leg x3", "kick left leg", "bow 60"]  # of one
    once = replace(old, lines=(old.lines[0],))
    assert [line.words for line in changed(once, "2nd kick other side", Notation.parse).lines] == [
        "kick right leg",
        "kick left leg",
        "kick right leg",
    ]
    for missing, named in (
        ("4th kick other side", "4th kick"),
        ("3rd bow more", "3rd bow"),
        ("every jump more", "jump"),
    ):
        with pytest.raises(MotionLLMError, match=f"a change of '{named}'"):
            changed(once, missing, Notation.parse)
    # Each is named by its own number, whatever becomes of the others.
    bowing = changed(
        old, "every kick becomes a person bows", lambda _: Notation.parse("2.0 s, standing to standing\n0.5-1.5 bow 40")
    )
    assert [(line.verb, line.count) for line in bowing.lines] == [("bow", 3)]
    many = built(30.0, old.postures, [Line(2.0 * i, 2.0 * i + 1, "kick", "right leg") for i in range(9)])
    assert {line.part for line in changed(many, "every kick left leg", Notation.parse).lines} == {"left leg"}
    several = built(40.0, old.postures, [Line(2.0 * i, 2.0 * i + 1, "kick", "right leg") for i in range(12)])
    with pytest.raises(MotionLLMError, match="12 times"):
        changed(several, "every kick left leg", Notation.parse)
    assert not alternatives(old, "3rd kick x2") and not alternatives(old, "repeat x2")
    twice = changed(old, "repeat x2", Notation.parse)
    assert twice.seconds == 12 and [x.words for x in twice.lines] == 2 * [x.words for x in old.lines]
    with pytest.raises(MotionLLMError, match="ends sitting and begins standing"):
        changed(replace(old, postures=("standing", "sitting")), "repeat x2", Notation.parse)


@pytest.mark.parametrize("kind", OTHERWISE)
def test_what_is_no_change_is_told_apart(kind: str, notations: list[Notation], donors: Donors) -> None:
    key = {"new": "anew"}.get(kind, kind)
    for held_out in (False, True):
        found = made(key, notations, donors, held_out=held_out)
        assert len(found) > 100 and {e.change for e in found} == {kind} and all(e.new == e.old for e in found)
    with pytest.raises(MotionLLMError, match="no change"):
        changed(notations[0], kind, lambda _: notations[1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("kick x3", "'kick'.*walk forward; wave left hand x3"),
        ("wave", "no change"),
        ("wave sideways", "cannot be made"),
        ("wave x0", "cannot be made"),
        ("walk x3", "cannot be made"),
        ("walk becomes", "no change|cannot"),
        ("walk before wave", "comes before"),
        ("wait 99 s first", "no change|cannot"),
        ("", "no change"),
        ("wave left hand x3 <motion_3>", "cannot be made"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_sentence(change: str, says: str) -> None:
    old = Notation.parse("5.0 s, standing to standing\n0.2-2.4 walk forward 1.0 m/s\n3.0-4.4 wave left hand x3")
    with pytest.raises(MotionLLMError, match=says) as error:
        changed(old, change, lambda _: old)
    assert "\n" not in str(error.value)


def test_any_words_give_a_plan_or_a_sentence(notations: list[Notation]) -> None:
    random = np.random.default_rng(5)
    words = [
        *VERBS,
        "x3",
        "x12",
        "no",
        "only",
        "then",
        "after",
        "before",
        "becomes",
        "wait 2 s",
        "first",
        "other side",
        "left hand",
    ]
    words += ["left", "both hands", "more", "less", "180", "6.0 s", "slower", "longer", "once less", "other way"]
    given = 0
    for _ in range(4000):
        old, more = (notations[i] for i in random.integers(len(notations), size=2))
        change = " ".join(random.choice(words, random.integers(1, 4)).tolist())
        try:
            new = changed(old, change, lambda _, more=more: more)  # type: ignore[misc]
        except MotionLLMError:
            continue
        given += 1
        assert Notation.parse(str(new)) == new, (str(old), change)
    assert given > 150


def test_a_summary_says_what_is_done() -> None:
    text = "5.0 s, standing to sitting\n0.2-2.4 walk forward turning left 90 1.0 m/s\n3.0-4.4 wave left hand x3 slowly"
    assert summary(Notation.parse(text)) == "5.0 s: walk forward turning left 90; wave left hand x3"
    assert summary(Notation.parse("5.0 s, sitting to sitting")) == "5.0 s: sitting"


def test_mirrored_twice_is_the_same(notations: list[Notation]) -> None:
    for notation in notations:
        assert mirrored(mirrored(notation)) == notation
        assert "left" not in str(notation) or "right" in str(mirrored(notation))


def test_a_pace_takes_its_time(notations: list[Notation]) -> None:
    for notation in notations:
        slow = paced(notation, 1 / PACE)
        assert slow.seconds == pytest.approx(PACE * notation.seconds, abs=0.06)
        assert verbs(slow) == verbs(notation)
        assert all(a.speed <= b.speed for a, b in zip(slow.lines, notation.lines, strict=True))
        assert all(a.pace != "quickly" for a in slow.lines)


def test_a_side_is_the_other_and_all_else_stays(notations: list[Notation], donors: Donors) -> None:
    for edit in made("side", notations, donors):
        if len(edit.new.lines) != len(edit.old.lines):  # of one repetition
            assert edit.change.split(" ")[0] in ORDINALS and edit.new.seconds == edit.old.seconds
            continue
        changed = [(a, b) for a, b in zip(edit.old.lines, edit.new.lines, strict=True) if a != b]
        assert changed and all(replace(b, part=a.part, way=a.way, size=a.size) == a for a, b in changed)
        assert edit.new.seconds == edit.old.seconds


def test_a_count_changes_one_act(notations: list[Notation], donors: Donors) -> None:
    for edit in made("count", notations, donors):
        assert verbs(edit.new) == verbs(edit.old)
        old, new = ([(a.main.verb, a.main.count) for a in acts(n)] for n in (edit.old, edit.new))
        assert sorted(v for v, _ in old) == sorted(v for v, _ in new)
        before, after = (sum(c for _, c in x) for x in (old, new))
        assert (after > before) == (edit.new.seconds > edit.old.seconds)


def test_what_is_removed_is_gone(notations: list[Notation], donors: Donors) -> None:
    for edit in made("remove", notations, donors):
        old, new = (sorted(a.main.verb for a in acts(n)) for n in (edit.old, edit.new))
        gone = {v for v in old if v not in new}
        often = [sum(a.main.count for a in acts(n)) for n in (edit.old, edit.new)]  # "not the second jump" of two
        assert len(gone) <= 1 and (len(edit.new.lines) < len(edit.old.lines) or often[1] < often[0])
        assert edit.new.seconds <= edit.old.seconds


def test_what_is_added_comes_where_it_was_asked_for(notations: list[Notation], donors: Donors) -> None:
    for edit in made("append", notations, donors):
        old = edit.old.lines
        assert edit.new.lines[: len(old)] == old
        assert all(line.start >= edit.old.seconds for line in edit.new.lines[len(old) :])
    for edit in made("prepend", notations, donors):
        by = edit.new.seconds - edit.old.seconds
        moved = [replace(x, start=round(x.start + by, 1), end=round(x.end + by, 1)) for x in edit.old.lines]
        assert list(edit.new.lines[-len(moved) :]) == moved
    for edit in made("while", notations, donors):
        assert edit.new.seconds == edit.old.seconds
        assert [x for x in edit.new.lines if VERBS[x.verb].speed] == [x for x in edit.old.lines if VERBS[x.verb].speed]


def test_what_is_put_beside_an_act_is_beside_it(notations: list[Notation], donors: Donors) -> None:
    cases = made("insert", notations, donors)
    assert {edit.key for edit in cases} == {"after", "before"}
    for edit in cases:
        where, name = re.match(r"(after|before) (\w+(?: \w+)*?) (?:a|the) person", edit.change).groups()  # type: ignore[union-attr]
        act = act_of(edit.old, name)
        verb = act.main.verb
        old = [(a.main.verb, a.start) for a in acts(edit.old)]
        new = [(a.main.verb, a.start) for a in acts(edit.new)]
        at = old.index((verb, act.start))
        place = at + (where == "after")
        put = len(new) - len(old)
        assert put >= 1 and [v for v, _ in new[:place]] == [v for v, _ in old[:place]]
        assert [v for v, _ in new[place + put :]] == [v for v, _ in old[place:]]
        assert edit.new.seconds > edit.old.seconds


def test_only_what_is_asked_for_is_kept(notations: list[Notation], donors: Donors) -> None:
    for edit in made("keep", notations, donors):
        name = edit.change.removeprefix("only ")
        verb = act_of(edit.old, name).main.verb
        assert {act.main.verb for act in acts(edit.new)} == {verb}
        assert len(acts(edit.new)) < len(acts(edit.old)) and (name == verb or len(acts(edit.new)) == 1)


def test_first_and_last_are_removed(notations: list[Notation], donors: Donors) -> None:
    cases = [e for seed in range(4) for e in made("remove", notations, donors, seed) if e.key != "without"]
    assert {e.key for e in cases} == {"remove first", "remove last"}
    for edit in cases:
        every = acts(edit.old)
        assert act_of(edit.old, edit.change.removeprefix("no ")) == every[0 if edit.key == "remove first" else -1]


TWICE = Notation.parse(
    "8.0 s, standing to standing\n0.0-2.0 walk forward 1.0 m/s\n2.0-2.6 jump 0.4 m\n3.0-4.0 wave right hand x3\n"
    "4.2-4.8 jump 0.2 m\n5.0-6.0 kick left leg\n6.4-7.0 jump 0.6 m\n"
)


@pytest.mark.parametrize(("which", "size"), [("1st", 0.4), ("2nd", 0.2), ("3rd", 0.6), ("last", 0.6)])
def test_one_of_several_is_changed(which: str, size: float) -> None:
    def sizes(change: str) -> list[float]:
        return [line.size for line in changed(TWICE, change, lambda _: TWICE).lines if line.verb == "jump"]

    assert sizes(f"no {which} jump") == [one for one in (0.4, 0.2, 0.6) if one != size]
    assert sizes(f"only {which} jump") == [size]
    assert sizes(f"{which} jump more") == [round(one * 1.5, 1) if one == size else one for one in (0.4, 0.2, 0.6)]
    after = changed(TWICE, f"after {which} jump a person bows", lambda _: Notation.parse(BOW))
    names = [line.verb if line.verb != "jump" else str(line.size) for line in after.lines]
    assert names[names.index(str(size)) + 1] == "bow"
    with pytest.raises(MotionLLMError, match="3rd kick"):
        changed(TWICE, "no 3rd kick", lambda _: TWICE)


BOW = "2.0 s, standing to standing\n0.5-1.5 bow 45\n"


@pytest.mark.parametrize(
    ("change", "seconds", "size"),
    [
        ("walk twice as long", 4.0, 0),
        ("walk half as long", 1.0, 0),
        ("walk 3.0 m", 3.0, 0),
        ("walk 5.0 s", 5.0, 0),
        ("walk circle left", 3.8, 360),
        ("walk circle right", 3.8, -360),
    ],
)
def test_a_walk_goes_as_far_and_round_as_asked(change: str, seconds: float, size: float) -> None:
    new = changed(TWICE, change, lambda _: TWICE)
    walk = new.lines[0]
    assert (walk.end - walk.start, walk.size) == (pytest.approx(seconds, abs=0.06), size)
    assert new.seconds - TWICE.seconds == pytest.approx(seconds - 2.0, abs=0.06)
    assert changed(new, "walk straight", lambda _: new).lines[0].size == 0


def test_reversed_twice_is_as_it_was(notations: list[Notation]) -> None:
    back = changed(TWICE, "reversed", lambda _: TWICE)
    assert [line.verb for line in back.lines] == ["jump", "kick", "jump", "wave", "jump", "walk"]
    assert back.lines[-1].way == "backward" and (back.lines[-1].start, back.lines[-1].end) == (6.0, 8.0)
    for notation in notations:
        once = changed(notation, "reversed", lambda _: notation)  # noqa: B023
        assert once.postures == notation.postures[::-1] and once.seconds == notation.seconds
        again = changed(once, "reversed", lambda _: notation)  # noqa: B023
        assert {line.way for line in again.lines} == {line.way for line in notation.lines}


def test_alternatives_are_drawn_from_the_inside() -> None:
    drawn = {one_of("[please /]go [far/[very /]near]", np.random.default_rng(seed)) for seed in range(60)}
    assert drawn == {f"{p}go {how}" for p in ("please ", "") for how in ("far", "near", "very near")}


def test_an_order_is_exchanged(notations: list[Notation], donors: Donors) -> None:
    for edit in made("order", notations, donors):
        old, new = ([a.main.verb for a in sorted(acts(n), key=lambda a: a.start)] for n in (edit.old, edit.new))
        assert sorted(old) == sorted(new) and old != new and edit.old.seconds == edit.new.seconds


def test_seconds_are_those_asked_for(notations: list[Notation], donors: Donors) -> None:
    asked = [e for e in made("duration", notations, donors) if e.key == "seconds"]
    assert len(asked) > 10
    for edit in asked:
        assert f"{edit.new.seconds:g}" in edit.request


def test_held_out_phrasings_are_in_no_training(notations: list[Notation], donors: Donors) -> None:
    def pattern(phrasing: str) -> str:
        """What a phrasing for training may become, whatever its alternatives."""
        return re.sub(
            r"\\?\s+", r"\\s*", re.escape(phrasing).replace(r"\[", "(?:").replace(r"\]", ")").replace("/", "|")
        )

    for key, (known, held) in requests().items():
        assert len(known) >= 3 and len(held) >= 2 and len(known) + len(held) >= 5, key
        assert len(set(known)) >= len(known) - 3, key
        can_be_drawn = [re.compile(pattern(one)) for one in known]
        assert key == "anew" or not [h for h in held if any(p.fullmatch(h) for p in can_be_drawn)], key
    both = [
        {
            e.request.lower().strip(" .!")
            for k in KINDS
            if k != "anew"
            for e in made(k, notations, donors, held_out=held)
        }
        for held in (False, True)
    ]
    assert len(both[1]) > 500 and not both[0] & both[1]


def test_every_verb_has_words() -> None:
    assert set(WORDINGS) == set(VERBS)


def test_an_act_has_its_arms_and_steps() -> None:
    lines = (
        Line(0.1, 0.6, "raise", "both arms"),
        Line(0.2, 4.5, "walk", "", "forward", 0.0, 1.2),
        Line(0.9, 3.0, "clap", count=4),
        Line(3.2, 3.8, "lower", "both arms"),
        Line(5.0, 6.0, "turn", "", "left", 90.0),
        Line(5.2, 5.4, "step", "left foot", "forward"),
    )
    found = {a.main.verb: [lines[i].verb for i in a.rows] for a in acts(Notation(6.5, ("standing", "standing"), lines))}
    assert found == {"walk": ["walk"], "clap": ["clap", "raise", "lower"], "turn": ["turn", "step"]}


def test_every_alternative_to_what_cannot_be_made_can(notations: list[Notation]) -> None:
    for old in notations[:40]:
        verbs = {act.main.verb for act in acts(old)}
        absent = next(verb for verb in ("cartwheel", "kneel", "clap") if verb not in verbs)
        for wrong in (f"{absent} faster", f"no {absent}", "lose a few things", f"{absent} becomes a person waves"):
            assert not applies(old, wrong)
            options = alternatives(old, wrong)
            assert set(OTHERWISE) < set(options) and all(applies(old, one) for one in options)
            assert len(set(options)) == len(options)
            adding = "becomes" in wrong
            assert all((added(one) == "a person waves") == adding for one in options if one not in OTHERWISE)
            left_out = {f"no {verb}" for verb in verbs}  # only where something is to be left out
            assert left_out <= set(options) if wrong.startswith("no ") else not left_out & set(options)
        for verb in verbs:
            assert alternatives(old, f"{verb} out of this world") == []  # understood, and to be refused


def test_what_two_plans_share_at_their_ends() -> None:
    old = Notation.parse("5.0 s, standing to standing\n0.2-2.4 walk forward 1.0 m/s\n3.0-4.4 wave left hand x3")
    for text, begin, end in (
        (str(old), 5.0, 5.0),
        (str(old).replace("left", "right"), 3.0, 0.6),
        (str(old).replace("5.0 s", "7.0 s"), 5.0, 0.6),
        (str(old).replace("1.0 m/s", "1.5 m/s"), 0.2, 2.6),
        (str(old).replace("standing to", "sitting to"), 0.0, 5.0),
        ("7.0 s, standing to standing\n0.2-4.4 walk forward 1.0 m/s\n5.0-6.4 wave left hand x3", 2.4, 4.8),
        (
            "8.0 s, standing to standing\n0.4-1.5 jump 0.3 m\n3.2-5.4 walk forward 1.0 m/s\n6.0-7.4 wave left hand x3",
            0.2,
            5.0,
        ),
        ("6.0 s, standing to standing\n0.2-2.4 walk forward 1.0 m/s\n3.0-5.4 wave left hand x5", 4.4, 2.0),
        ("5.0 s, standing to standing", 0.2, 0.6),
    ):
        assert shared(old, Notation.parse(text)) == pytest.approx((begin, end)), text


def test_what_is_appended_or_put_before_keeps_all_of_the_rest(notations: list[Notation], donors: Donors) -> None:
    for edit in made("append", notations, donors):
        assert shared(edit.old, edit.new)[0] >= edit.old.seconds - 0.01
    for edit in made("prepend", notations, donors):
        assert shared(edit.old, edit.new)[1] >= edit.old.seconds - 0.01


@pytest.mark.parametrize(
    ("change", "request_", "expected"),
    [
        ("longer", "it has to run for 4 seconds", "4.0 s"),
        ("slower", "let it fill 6.5s", "6.5 s"),
        ("longer", "2 seconds longer", "longer"),
        ("no wave", "cut the wave of 2 seconds", "no wave"),
        ("5.0 s", "5 seconds", "5.0 s"),
        ("longer", "much longer please", "longer"),
        ("shorter", "123 seconds", "shorter"),
    ],
)
def test_a_duration_that_is_stated_is_kept(change: str, request_: str, expected: str) -> None:
    assert (
        fitted(change, request_, Notation.parse("5.0 s, standing to standing\n1.0-2.0 wave right hand x2")) == expected
    )


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("0.3-2.8 march x4", "0.3-8.8 march x12"),
        ("0.3-2.8 wave left hand x3", "0.3-8.8 wave left hand x9"),
        ("0.3-2.9 run forward turning right 105 1.6 m/s", "0.3-8.9 run forward turning right 315 1.6 m/s"),
        ("0.3-2.9 walk forward 1.2 m/s", "0.3-8.9 walk forward 1.2 m/s"),
    ],
)
def test_what_is_done_again_at_once_is_one_event_of_the_plan(line: str, whole: str) -> None:
    new = changed(Notation.parse(f"3.0 s, standing to standing\n{line}"), "repeat x3", Notation.parse)
    assert str(new).splitlines()[1:] == [whole]
    # Not where it was measured as two, has another size, or something else of the kind is between.
    for lines in ("0.1-0.5 jump 0.2 m\n1.0-1.5 jump 0.4 m", "0.1-0.5 kick left leg\n0.9-1.2 kick right leg"):
        old = Notation.parse(f"3.0 s, standing to standing\n{lines}")
        assert changed(old, "slower", Notation.parse).lines != old.lines
        assert len(changed(old, "slower", Notation.parse).lines) == 2


def test_what_people_say_beside_a_change_is_part_of_training_alone(notations: list[Notation], donors: Donors) -> None:
    def said(held_out: bool) -> list[Edit]:
        random = np.random.default_rng(8)
        return [e for n in notations * 6 if (e := edited("side", n, random, donors, held_out))]

    beside = re.compile(r"\b(?:untouched|as it is|as before|alone|unchanged|the rest|no other|right now|thanks)\b")
    shares = [sum(bool(beside.search(e.request.lower())) for e in said(one)) / len(said(one)) for one in (False, True)]
    assert shares[0] > 0.1 and shares[1] < 0.04, shares
