"""What requests say plainly goes before how a model words them, and what the motion does not show is not replaced."""

from __future__ import annotations

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.data import edits
from motionllm.data.acts import COUNTED, acts
from motionllm.data.beyond import beyond, why_not
from motionllm.data.change_fit import all_fitted, asking, clauses_of, completed, fitted, missing, outline, pieces_of
from motionllm.data.change_language import parts
from motionllm.data.changes import applies, changed
from motionllm.data.edit_kinds import CHANGING, Donors
from motionllm.data.edit_requests import one_of, requests
from motionllm.data.edit_words import WORDINGS
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure

HOPS = Notation.parse("8.0 s, standing to standing\n0.5-2.0 hop left leg x3\n3.0-5.0 hop right leg x4\n6.0-7.0 clap x2")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("keep only the first 5 seconds", (0, 5)),
        ("just the last two seconds please", (6, 8)),
        ("Cut the first 1.5 s!", (1.5, 8)),
        ("cut the first second", (1, 8)),
        ("drop the last half second please", (0, 7.5)),
        ("can you remove the last three seconds", (0, 5)),
        ("please stop after three seconds", (0, 3)),
        ("begin at 2 s", (2, 8)),
    ],
)
def test_seconds_are_kept_or_cut(said: str, seconds: tuple[float, float]) -> None:
    for written in ("wait 2 s at the end", "shorter", "no hop"):  # whatever the model makes of it
        change = fitted(written, said, HOPS)
        assert change == f"{seconds[0]:.1f}-{seconds[1]:.1f} s"
    new = changed(HOPS, change, lambda _: HOPS)
    assert new == HOPS.between(*seconds)


@pytest.mark.parametrize(
    ("written", "said", "change"),
    [
        ("faster; shorter", "faster, and keep only the first 3 seconds", "faster; 0.0-3.0 s"),
        ("clap becomes a person walks crouched; slower", "let her crawl instead. and slower", None),
        ("no clap; cannot", "without the clapping and sadder", "cannot"),
        ("no 2nd hop; no clap", "remove the second hop and the clapping", "no 2nd hop; no clap"),
        ("longer; mirror", "make it 12.5 seconds and mirror it", "12.5 s; mirror"),
        ("mirror; faster", "mirror it. and faster, cut the first second", "mirror; faster"),
        ("longer; mirror", "mirrored", "longer; mirror"),  # into so many parts it does not fall
    ],
)
def test_each_of_several_changes_is_as_its_part_of_the_request_says(
    written: str, said: str, change: str | None
) -> None:
    clauses, wanted = clauses_of(said, written), change or "clap becomes a person crawls; slower"
    for alone in (parts(written), ["talk"] * len(clauses)):
        assert all_fitted(written, clauses, alone, HOPS) == wanted


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no clap", "cut the first second clap"),
        ("hop faster", "just make the last second faster"),
        ("every hop faster", "make every hop on the left leg faster"),
        ("no every hop", "remove every hop with the left leg"),
        ("2nd hop faster", "the second hop, on the right leg, faster"),
    ],
)
def test_what_names_one_of_several_or_each_is_left_as_it_is(written: str, said: str) -> None:
    assert fitted(written, said, HOPS) == written


def test_what_a_part_of_a_request_says_by_itself_holds_where_it_can_be_made() -> None:
    clauses = clauses_of("mirror it and wait two seconds before it starts", "mirror; wait 2 s at the end")
    assert clauses == ["mirror it", "wait two seconds before it starts"]
    assert clauses_of("Again, good, but mirror it and wait", "mirror; wait 2 s first") == ["mirror it", "wait"]
    first = "mirror; wait 2 s first"
    assert all_fitted("mirror; wait 2 s at the end", clauses, parts(first), HOPS) == first
    for own in (["mirror", "cannot"], ["mirror", "kick x2"], ["mirror", "mirror; slower"]):
        assert all_fitted(first, clauses, own, HOPS) == first
    assert all_fitted("mirror; mirror", clauses, ["mirror", "talk"], HOPS) == "mirror"


@pytest.mark.parametrize("number", ["10", "ten"])
def test_what_is_added_is_done_as_often_as_is_said(number: str) -> None:
    assert fitted("then a person squats", f"add {number} squats at the end", HOPS) == "then a person squats ten times"
    assert fitted("clap becomes a person squats", f"{number} squats instead", HOPS).endswith("squats ten times")
    assert fitted("then a person squats twice", f"then {number} squats", HOPS) == "then a person squats twice"
    assert fitted("then a person squats", "then squat", HOPS) == "then a person squats"


def test_what_is_added_can_be_changed_in_the_same_request() -> None:
    for change in (
        "then a person jumps; jump more",
        "then a person turns left; turn other way",
        "then a person kicks with the left leg; kick other side",
        "clap becomes a person runs; run 5.0 m",
        "first a person bows; bow more",
    ):
        assert changed(HOPS, change, outline) != HOPS, change


def test_it_stops_after_an_act() -> None:
    three = Notation.parse("6.0 s, standing to standing\n0.2-1.4 kick left leg\n2.0-3.0 clap x2\n3.5-5.0 jump 0.2 m")
    for said in ("stop after the clapping", "it should end right after she claps", "please finish after the claps"):
        change = fitted("no clap", said, three)
        assert [line.verb for line in changed(three, change, lambda _: three).lines] == ["kick", "clap"], said
    assert fitted("wait 2 s before jump", "stop after the clapping for 2 seconds", three) == "wait 2 s before jump"
    assert fitted("no jump", "stop after the jump", three) == "0.0-5.2 s"
    assert fitted("then a person bows", "stop after the bow", three) == "then a person bows"  # there is none


@pytest.mark.parametrize(
    ("written", "said", "change"),
    [
        ("cannot", "make him run", "clap becomes a person runs"),
        ("cannot", "make him look sad", "cannot"),
        ("cannot", "move the camera to the left", "cannot"),
        ("clap becomes a person walks crouched", "let her crawl", "clap becomes a person crawls"),
        ("then a person jumps", "and then a cartwheel", "then a person does a cartwheel"),
        ("then a person waves", "then say hello", "then a person waves"),
        ("clap faster", "the clapping faster", "clap faster"),
    ],
)
def test_what_is_to_be_done_is_what_is_named(written: str, said: str, change: str) -> None:
    clap = Notation.parse("3.0 s, standing to standing\n0.5-2.5 clap x4")
    assert fitted(written, said, clap) == change


@pytest.mark.parametrize("which", ["1st", "2nd", "last"])
def test_one_of_an_act_that_is_repeated_is_one_less(which: str) -> None:
    assert fitted(f"no {which} clap", "leave out one of the claps", HOPS) == "clap once less"
    assert fitted(f"no {which} hop", "without one of the hops", HOPS) == f"no {which} hop"  # there are two


def test_a_bit_is_a_bit() -> None:
    assert fitted("half as long", "make it slightly shorter", HOPS) == "a bit shorter"
    assert fitted("longer", "a tiny bit longer", HOPS) == "a bit longer"
    assert fitted("longer", "longer", HOPS) == "longer"


@pytest.mark.parametrize("side", ["left", "right"])
def test_of_several_acts_the_one_of_the_side_is_meant(side: str) -> None:
    other = {"left": "right", "right": "left"}[side]
    for what, left in (("no", {other}), ("only", {side})):
        change = fitted(f"{what} hop", f"{what} hopping on the {side} leg", HOPS)
        new = changed(HOPS, change, lambda _: HOPS)
        assert {x.part.split(" ")[0] for x in new.lines if x.verb == "hop"} == left
    faster = changed(HOPS, fitted("hop faster", f"hop faster on the {side} leg", HOPS), lambda _: HOPS)
    spans = {x.part: x.end - x.start for x in faster.lines if x.verb == "hop"}
    was = {x.part: x.end - x.start for x in HOPS.lines if x.verb == "hop"}
    assert spans[f"{side} leg"] < was[f"{side} leg"] and spans[f"{other} leg"] == pytest.approx(was[f"{other} leg"])


@pytest.mark.parametrize("verb", ["kick", "wave", "squat", "punch", "jump", "turn"])
def test_an_act_that_is_not_there_is_not_replaced(verb: str) -> None:
    noun = WORDINGS[verb].nouns[0]
    request = f"without the {noun}"
    assert missing(f"no {verb}", request, HOPS) and not applies(HOPS, f"no {verb}")
    assert fitted("no clap", request, HOPS) == f"no {verb}"  # the model took what there is
    assert fitted("clap x2", f"do the {noun} twice", HOPS) == (f"{verb} x2" if verb in COUNTED else "clap x2")
    assert fitted("clap more", f"a bigger {noun}", HOPS) == (f"{verb} more" if verb in COUNTED else "clap more")
    assert not missing("no hop", "without the hopping", HOPS)
    assert fitted("no clap", "leave the applause out", HOPS) == "no clap"


def test_what_people_ask_is_left_as_it_is() -> None:
    """Requests of every kind, in held-out words, are not touched where the model words them rightly."""
    joints = [features_to_joints(sample.load()) for sample in builtin.corpus(60, seed=4)]
    clips = [notation for one in joints if (notation := measure(one)).lines]
    random, donors = np.random.default_rng(0), Donors.of([("", str(clip)) for clip in clips])
    count = 0
    for clip in clips:
        for kind in CHANGING:
            if edit := edits.edited(kind, clip, random, donors, held_out=True):
                count += 1
                several = len(acts(clip)) > len({act.main.verb for act in acts(clip)})
                said = fitted(edit.change, edit.request, clip)
                # A count that no sentence of a notation says, as of jumping jacks, is taken from the request.
                counted = said.removeprefix(edit.change).endswith(("times", "twice")) and "jacks" in said
                assert said == edit.change or several or counted, (edit.request, edit.change, said)
                assert not missing(edit.change, edit.request, clip)
    assert count > 200


def test_a_time_without_a_rest_is_none() -> None:
    for said in ("turn left after two seconds", "wave with the right hand at 3 seconds"):
        change = fitted("wait 2 s at the end", said, HOPS)
        assert said in change and not applies(HOPS, change)
    random = np.random.default_rng(0)
    for key in ("rest at the end", "rest at the beginning", "rest between"):
        for phrasing in (one for some in requests()[key] for one in some):
            said = one_of(phrasing, random).replace("{", "").replace("}", "")
            assert fitted("wait 2 s first", said, HOPS) == "wait 2 s first", said


BOW = Notation.parse("9.0 s, standing to standing\n1.5-2.8 bow 45\n4.6-6.0 clap x3")


@pytest.mark.parametrize("act", ["bow", "clap", "clapping", "bend forward"])
@pytest.mark.parametrize("cut", ["delete", "cut", "remove", "drop"])
def test_all_before_or_after_an_act_goes_or_stays(act: str, cut: str) -> None:
    start, end = (1.3, 3.0) if act in ("bow", "bend forward") else (4.4, 6.2)
    for said, span in (
        (f"{cut} everything after the {act}", (0.0, end)),
        (f"{cut} all that comes before the {act}", (start, 9.0)),
        (f"keep everything up to the {act}", (0.0, start)),
        (f"only keep what comes after the {act}", (end, 9.0)),
    ):
        for written in ("no bow", "no clap", "bow less"):  # what a model makes of it
            assert fitted(written, said, BOW) == f"{span[0]:.1f}-{span[1]:.1f} s", said


@pytest.mark.parametrize("word", ["trim", "trim off"])
def test_what_is_still_at_the_ends_is_cut(word: str) -> None:
    for said, span in (
        (f"{word} the start", (1.3, 9.0)),
        (f"{word} the end please", (0.0, 6.2)),
        (f"{word} both ends", (1.3, 6.2)),
        ("cut the idle at the beginning", (1.3, 9.0)),
        ("remove the pause at the end", (0.0, 6.2)),
        ("lose the dead time at the start and the end", (1.3, 6.2)),
    ):
        assert fitted("no clap", said, BOW) == f"{span[0]:.1f}-{span[1]:.1f} s", said
    assert fitted("no clap", "lose the bit at the end", BOW) == "no clap"  # an act


@pytest.mark.parametrize(
    "said",
    [
        *("remove the foot sliding", "make it loop", "a seamless loop please", "smooth it out", "remove the pause"),
        *(
            "slow down gradually to a stop",
            "blend into a sit",
            "add anticipation before the kick",
            "stop after two steps",
        ),
        *("start with the left foot", "lower the elbow while waving", "half speed for the last second"),
        *("freeze at 1 second for half a second", "end in an idle pose", "hold the leg out for half a second"),
    ],
)
def test_what_no_change_does_is_refused_and_not_taken_for_another(said: str) -> None:
    for written in ("no clap", "wait 2 s at the end", "bow more", "then a person sits down"):
        assert fitted(written, said, BOW) == "cannot"
    assert beyond(said) and why_not(said)
    assert ("--lock-feet" in why_not(said)) == ("sliding" in said) and ("--loop" in why_not(said)) == ("loop" in said)


def test_no_request_that_is_taught_is_beyond_all_changes() -> None:
    """Nor taken for a stretch to be kept, nor put at the end in place of the beginning."""
    random = np.random.default_rng(5)
    for kind in CHANGING:
        for number in range(12):
            old = measure(features_to_joints(builtin.sample(number).load()))
            edit = edits.edited(kind, old, random, held_out=bool(number % 2))
            if edit is not None:
                assert not beyond(edit.request), edit.request
                if edit.change.startswith("first "):
                    assert fitted(edit.change, edit.request, old) == edit.change


def test_what_is_done_meanwhile_takes_no_acts_place() -> None:
    for said in ("nod while bowing", "lean back during the bow"):
        assert fitted("bow becomes a person leans", said, BOW) == "meanwhile a person leans"
    assert fitted("bow becomes a person leans", "lean instead of the bow", BOW) == "bow becomes a person leans"


def test_what_is_not_said_to_come_first_comes_then() -> None:
    assert fitted("first a person waves", "and a wave", BOW) == "then a person waves"
    for said in ("start with a wave", "a wave first", "begin by waving", "wave before all that"):
        assert fitted("first a person waves", said, BOW) == "first a person waves"


def test_a_change_that_a_model_drops_is_found_by_its_part_of_the_request() -> None:
    request = "higher, three times, and then sit down"
    alone = ["bow more", "bow x3", "first a person sits down"]
    assert pieces_of(request, "bow more; then a person sits down") == ["higher", "three times", "sit down"]
    pieces = pieces_of(request, "bow more")
    whole = "bow more; bow x3; first a person sits down"
    assert completed("bow more", pieces, alone, BOW) == "bow more; bow x3"  # what is named may belong to another part
    assert completed("bow more; then a person sits down", pieces, alone, BOW) == whole
    assert completed("then a person bows", pieces, alone, BOW) == "then a person bows"  # of all the parts together
    assert completed("bow more", pieces, ["bow more", "talk", "kick x3"], BOW) == "bow more"  # what cannot be made
    assert completed("slower", ["do it again", "slower"], ["repeat x2", "slower"], BOW) == "slower"
    for said in ("not three times", "three times is too much", "three times instead"):
        assert completed("bow more", ["higher", said], ["bow more", "bow x3"], BOW) == "bow more"
    assert pieces_of("higher", "bow more") == [] == pieces_of("a, b, c, d, e, f", "bow more")


STAYS = (
    *(
        "leave the jump alone",
        "keep the jump as it is",
        "don't touch the jump",
        "the jump is fine",
        "the jump stays the same",
    ),
    *("no other changes", "the jump looks good already"),
)


@pytest.mark.parametrize("change", ["make the wave slower", "use the left hand for the wave", "lose the bow"])
@pytest.mark.parametrize("stays", STAYS)
@pytest.mark.parametrize("link", [", ", ", but ", ". ", "; ", " and "])
def test_what_is_to_stay_is_not_asked_of_the_model(change: str, stays: str, link: str) -> None:
    assert asking(f"{change}{link}{stays}") == change
    assert asking(f"{stays}{link}{change}") == change
    assert asking(f"{change}, with the jump untouched.") == f"{change}."


@pytest.mark.parametrize(
    "request_",
    [
        "keep the wave",
        "the wave is fine, the rest can go",
        "keep the wave as it is and cut everything else",
        "leave out the wave",
        "do the wave with the left arm alone",
        "leave it alone",
        "the wave slower and the jump higher",
    ],
)
def test_a_request_that_says_what_goes_keeps_all_its_words(request_: str) -> None:
    assert asking(request_) == request_
