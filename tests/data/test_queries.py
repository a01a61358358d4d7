"""Queries: their text read back, exact answers, what is none; how people ask, and what training never sees of it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from motionllm.data.inquiries import KINDS, draw
from motionllm.data.queries import FORMS, NAMED, Query
from motionllm.data.query_fit import fits
from motionllm.data.questions import TEXTS
from motionllm.data.replies import reply
from motionllm.data.timeline import opposite
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import Line, Notation
from motionllm.motion.notation.verbs import VERBS

BUSY = Notation.parse("""9.0 s, standing to sitting
0.0-2.0 walk forward turning left 90 1.2 m/s
2.5-3.4 wave both hands x3 quickly
3.8-4.3 kick left leg
4.9-5.4 kick right leg
6.0-6.4 jump forward 0.3 m
6.8-7.6 turn right 90
8.0-8.8 sit slowly""")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("does kick", "yes"),
        ("does punch", "no"),
        ("does wave left hand", "yes"),  # both do
        ("is wave left hand", "no"),
        ("is wave both hands", "yes"),
        ("does kick x2", "yes"),
        ("does wave x2", "no"),
        ("is walk forward turn left", "yes"),
        ("is walk forward turn right", "no"),
        ("which sit or kneel left leg", "sit"),
        ("which punch left hand or kneel left leg", None),
        ("what", None),
        ("count wave", "three"),
        ("count kick", "two"),
        ("count punch", None),
        ("side wave", "both"),
        ("side kick", "both"),
        ("side sit", None),
        ("way walk", None),  # forward, and to the left
        ("way jump", "forward"),
        ("circle", None),
        ("way turn", "right"),
        ("pace wave", "fast"),
        ("pace kick", None),
        ("speed walk", "1.2 m/s"),
        ("speed run", None),
        ("curve walk", "left"),
        ("degrees turn", "90 degrees"),
        ("height jump", "0.3 m"),
        ("when kick", "3.8 s"),
        ("span wave", "from 2.5 to 3.4 s"),
        ("span kick", "from 3.8 to 4.3 s and from 4.9 to 5.4 s"),
        ("seconds walk", "2.0 s"),
        ("whole seconds walk", "two"),
        ("whole seconds jump", None),
        ("first", "walk"),
        ("last", "sit down"),
        ("after wave", "kick"),
        ("after kick", None),  # which of the two?
        ("before wave", "walk"),
        ("before walk", None),
        ("first wave or walk", "walking"),
        ("first wave or punch", None),
        ("is walk before wave", "yes"),
        ("is sit before wave", "no"),
        ("at 2.9", "wave"),
        ("at 3", "wave"),
        ("at 2.2", None),
        ("seconds", "9.0 s"),
        ("whole seconds", "nine"),
        ("posture at start", "standing"),
        ("posture at end", "sitting"),
        ("is sitting at end", "yes"),
        ("is sitting at start", "no"),
        ("metres", "two"),
        ("stay or move", "move away"),
        ("does move", "yes"),
        ("does stay", "no"),
        ("where", None),  # it turns
        ("turned", None),  # there and back
        ("none", None),
    ],
)
def test_answers_are_exact(text: str, answer: str | None) -> None:
    query = Query.parse(text)
    assert str(query) == text and query.answer(BUSY) == answer


def test_a_still_clip_answers_what_it_can() -> None:
    still = Notation.parse("0.4 s, lying to lying")
    answers = {form: Query.parse(text).answer(still) for form, text in examples().items()}
    assert {form for form, answer in answers.items() if answer} == {
        "does {label}",
        "does {verb} x{count}",
        "is {label}",
        "seconds",
        "posture at start",
        "posture at end",
        "is {posture} at start",
        "is {posture} at end",
        "stay or move",
        "does move",
        "does stay",
    }
    alone = Notation.parse("2.0 s, standing to standing\n0.5-1.5 clap x14\n1.6-1.9 clap")
    assert Query.parse("what").answer(alone) == "clap"
    assert Query.parse("first").answer(alone) == Query.parse("last").answer(alone) == "clap"
    assert Query.parse("count clap").answer(alone) == "15"
    round_ = Notation.parse(
        "9.0 s, standing to standing\n0.5-1.0 step left foot\n1.2-8.0 walk forward turning left 345 1.0 m/s"
    )
    assert {Query.parse(text).answer(round_) for text in ("what", "first", "last", "at 2.0")} == {"walk"}
    assert Query.parse("circle").answer(round_) == "counterclockwise"


@pytest.mark.parametrize(
    "text", ["", "kick", "does juggle", "does kick left hand", "count", "at noon", "does hold", "first walk", "None"]
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(MotionLLMError, match="is no query"):
        Query.parse(text)
    assert Query.read(text) == Query("none")


def examples() -> dict[str, str]:
    """A query of each form."""
    words = {"verb": "walk", "label": "walk", "count": "2", "posture": "lying", "time": "0.2"}
    return {form: form.format(**words) for form in FORMS}


def test_every_query_can_be_asked_for_and_every_question_is_one() -> None:
    assert {*TEXTS} - {"label"} <= {*KINDS}  # what facts answer is learned; a label is asked for in the same words
    random = np.random.default_rng(0)
    for held_out in (False, True):
        asked = {kind: [draw(random, held_out, kind) for _ in range(20)] for kind in KINDS}
        forms = {Query.parse(one.query).form for some in asked.values() for one in some}
        assert forms == {*FORMS}
        assert all("{" not in one.text and one.text.strip() for some in asked.values() for one in some)
        assert {one.kind for one in asked["does"]} <= {"does", "none"}
        assert {one.query.split(" ")[0] for one in asked["count"]} <= {"count", "none"}


def test_some_words_are_never_trained() -> None:
    for kind, spec in KINDS.items():
        assert len(spec.held) >= 2 and len(spec.known) >= 6, kind
        assert not {*spec.held} & {*spec.known}, kind
    random = np.random.default_rng(0)
    verbs = {draw(random, kind="does").query.removeprefix("does ") for _ in range(500)}
    assert verbs == {*NAMED, "none"}
    trained = {draw(random).text.lower().rstrip("?.") for _ in range(3000)}
    held = {draw(random, held_out=True).text.lower().rstrip("?.") for _ in range(1000)}
    assert len(trained) > 2000 and len(held & trained) < 20


@pytest.mark.parametrize("held_out", [False, True])
def test_true_queries_fit_and_those_of_other_verbs_and_kinds_do_not(held_out: bool) -> None:
    random, kinds, verbs = np.random.default_rng(2), [kind for kind in KINDS if kind != "none"], list(NAMED)
    own, other_verb, other_kind = [], [], []
    for i in range(500):
        one = draw(random, held_out, kinds[i % len(kinds)])
        own.append(fits(Query.parse(one.query), one.text))
        other = draw(random, held_out, kinds[random.integers(len(kinds))])
        if KINDS[other.kind].query.split(" ")[0] != KINDS[one.kind].query.split(" ")[0]:
            other_kind.append(fits(Query.parse(other.query), one.text))
        form, _, verb = KINDS[one.kind].query.partition(" ")
        if verb == "{verb}" and (wrong := verbs[random.integers(len(verbs))]) not in one.query:
            other_verb.append(fits(Query.parse(f"{form} {wrong}"), one.text))
    assert np.mean(own) >= 0.99
    assert len(other_verb) > 100 and np.mean(other_verb) <= 0.03
    assert len(other_kind) > 300 and np.mean(other_kind) <= 0.1


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("how many kicks were thrown?", "count kick", "seconds kick"),
        ("does he kick with his left?", "does kick left leg", "does kick right leg"),
        ("what happens once he sat down", "after sit", "before sit"),
        ("Did she jump thrice?", "does jump x3", "does jump"),
        ("which hand threw the ball?", "side throw", "side punch"),
        ("is he walking backwards?", "does walk backward", "does walk forward"),
        ("what is she doing two seconds in?", "at 2", "at 12"),
        ("is she sitting at the end?", "is sitting at end", "does sit"),
        ("is she lying at the start?", "is lying at start", "is lying at end"),
        ("does she swim?", "none", "does run"),
    ],
)
def test_queries_in_words_of_their_own(question: str, right: str, wrong: str) -> None:
    assert fits(Query.parse(right), question) and not fits(Query.parse(wrong), question)


def test_a_choice_may_be_written_with_and() -> None:
    assert str(Query.read("first kick and jump")) == "first kick or jump"
    assert str(Query.read("which flip and clap")) == "which flip or clap"
    assert Query.read("count kick and jump") == Query()


# -- replies -------------------------------------------------------------------------------------------------

NO_PUNCH = "the person does not punch, but walks forward curving to the left and then waves with both hands three times"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("none", None),
        ("count kick", "two"),  # exact, as before
        ("what", BUSY.sentence()),
        ("count punch", NO_PUNCH),
        ("after punch", NO_PUNCH),
        ("first punch or kick", NO_PUNCH),
        ("which punch or kneel", "neither"),
        ("which wave or kick", "both"),
        ("way walk", "forward turning left"),
        ("where", "forward"),
        ("pace kick", "at a usual pace"),
        ("circle", "neither: there is no circle"),
        ("first", "walk"),
        ("before walk", "nothing"),
        ("after sit", "nothing"),
        ("at 2.2", "nothing"),
        ("at 30", "nothing: the motion ends at 9.0 s"),
    ],
)
def test_replies_say_what_the_notation_holds(text: str, answer: str | None) -> None:
    assert reply(Query.parse(text), BUSY) == answer


@pytest.mark.parametrize("form", FORMS)
def test_a_reply_never_fails(form: str) -> None:
    """For any query and motion: of nothing, of one event, of several at one time."""
    fill = {"label": "wave left hand", "posture": "sitting", "count": "2", "time": "1"}
    both = Notation.parse("3.0 s, standing to standing\n0.0-3.0 walk forward 1.0 m/s\n0.1-2.9 wave left hand x3")
    motions = [Notation(3.0, ("standing", "standing")), BUSY, both, both.between(0.0, 1.0)]
    for verb in NAMED:
        query = Query.parse(re.sub(r"\{(\w+)\}", lambda m, v=verb: fill.get(m[1], v), form))
        for motion in motions:
            answer = reply(query, motion)
            assert answer is None or answer
            assert query.answer(motion) in (None, answer)


@pytest.mark.parametrize(
    ("query", "question", "answer"),
    [
        ("metres", "How far does she go?", "four metres"),
        ("metres", "How many meters is that?", "four"),
        ("whole seconds", "How long does it take, roughly?", "four seconds"),
        ("whole seconds", "About how many seconds does it take?", "four"),
        ("degrees turned", "By how much does it turn?", "90 degrees"),
        ("degrees turned", "By how many degrees does it turn?", "90"),
        ("count step", "How many steps does she take?", "seven"),
        ("count step", "How many steps with the right foot?", "three"),
        ("none", "Which foot does she step with first?", "left"),
        ("side step", "With which leg is the first step taken? Which foot first?", "left"),
        ("count twist", "How often does she twist?", "two"),
        ("side circle", "Which arm makes circles?", "left"),
    ],
)
def test_a_number_has_its_unit_and_steps_are_counted(query: str, question: str, answer: str) -> None:
    walk = Notation.parse(
        "4.0 s, standing to standing\n0.0-4.0 walk forward turning left 90 1.0 m/s\n"
        "1.0-2.0 circle left arm forward x2\n3.0-4.0 twist x2\n"
    )
    assert reply(Query.parse(query), walk, question, lambda: ["left", *["right", "left"] * 3]) == answer


@pytest.mark.parametrize("question", ["Is the walk symmetric?", "Does she limp?", "What is the cadence?"])
def test_what_gait_analysis_measures_is_left_to_it(question: str) -> None:
    walk = Notation.parse("4.0 s, standing to standing\n0.0-4.0 walk forward 1.0 m/s\n")
    assert "`motionllm data gait` measures it" in str(reply(Query.parse("does walk"), walk, question))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the second thing he does?", "jump"),
        ("what's the third action", "wave"),
        ("Which is the fifth thing?", "nothing: so many things are not done"),
        ("what happens between 1 and 2.5 seconds?", "walk and jump"),
        ("What does she do from 3 to 5 s?", "wave and kick"),
        ("Is it between 1 and 2 metres?", None),
        ("Does he walk or run?", "walk"),
        ("is she waving or walking", "both"),
        ("Did they squat or bow?", "neither"),
        ("Does he walk or kick first?", None),  # which a query asks
        ("Which hand does he use?", "right"),
        ("which leg is used?", "left"),
        ("Which hand does he wave with?", None),  # which a query asks
    ],
)
def test_what_no_query_has_a_place_for_is_answered(question: str, answer: str | None) -> None:
    busy = Notation.parse(
        "6.0 s, standing to standing\n0.0-2.0 walk forward 1.2 m/s\n2.0-2.6 jump 0.3 m\n"
        "3.0-4.0 wave right hand x3\n4.2-4.8 kick left leg\n"
    )
    assert reply(Query(), busy, question) == answer


def test_who_walks_in_a_curve_turns() -> None:
    curve = Notation.parse("4.0 s, standing to standing\n0.0-4.0 walk forward turning left 105 1.1 m/s")
    texts = ("does turn", "does turn left", "does turn right", "way turn", "degrees turn", "turned", "degrees turned")
    answers = [reply(Query.parse(text), curve) for text in texts]
    assert answers == ["yes", "yes", "no", "left", "105 degrees", "left", "90"]
    straight = Notation.parse("4.0 s, standing to standing\n0.0-4.0 walk forward turning left 30 1.1 m/s")
    no_turn = "the person does not turn, but walks forward"
    assert [reply(Query.parse(text), straight) for text in texts[:4]] == ["no", "no", "no", no_turn]


def test_events_at_one_time_are_both_named() -> None:
    both = Notation.parse("3.0 s, standing to standing\n0.0-3.0 walk forward 1.0 m/s\n0.1-2.9 clap x3")
    texts = ("first", "last", "at 1.0", "first walk or clap", "before walk")
    answers = [reply(Query.parse(text), both) for text in texts]
    assert answers == ["walk and clap", "walk and clap", "walk and clap", "both at the same time", "nothing"]


def test_a_raised_arm_is_a_raised_hand() -> None:
    one = Notation.parse("4.0 s, standing to standing\n0.5-1.2 raise left arm\n2.5-3.1 lower left arm")
    answers = {"does reach up": "yes", "does reach up left hand": "yes", "does reach up right hand": "no"}
    answers |= {
        "side reach up": "left",
        "when reach up": "0.5 s",
        "which reach up left hand or reach up right hand": "left",
    }
    for query, answer in answers.items():
        said = Query.parse(query).answer(one)
        assert said is not None and answer in said, query


def test_what_begins_clearly_earlier_comes_first() -> None:
    for late, answer in ((1.8, "yes"), (1.5, None)):
        both = Notation.parse(f"4.0 s, standing to standing\n1.4-2.0 kick left leg\n{late}-2.2 jump 0.2 m")
        assert Query.parse("is kick before jump").answer(both) == answer
        assert Query.parse("is jump before kick").answer(both) == (None if answer is None else "no")
    assert reply(Query.parse("is kick before jump"), both) == "both begin at the same time"


@pytest.mark.parametrize(("side", "count", "when"), [("left", "two", "4.0 s"), ("right", "three", "0.5 s")])
def test_the_side_that_a_question_names_is_counted(side: str, count: str, when: str) -> None:
    kicks = Notation.parse("8.0 s, standing to standing\n0.5-2.0 kick right leg x3\n4.0-5.0 kick left leg x2")
    assert reply(Query.parse("count kick"), kicks, f"How many times does he kick with the {side} leg?") == count
    assert reply(Query.parse("when kick"), kicks, f"when does the {side} foot kick?") == when
    assert reply(Query.parse("count kick"), kicks, "how many kicks with the left and the right leg?") == "five"
    alone = replace(kicks, lines=tuple(x for x in kicks.lines if side in x.part))
    other = {"left": "right", "right": "left"}[side]
    said = reply(Query.parse("count kick"), alone, f"how many kicks with the {other} leg?")
    assert said == f"the person does not kick with the {other}, but with the {side}"


@pytest.mark.parametrize(("turned", "straight", "circle"), [(0, "yes", "no"), (90, "no", "no"), (330, "no", "yes")])
def test_straight_and_in_a_circle(turned: int, straight: str, circle: str) -> None:
    curve = f" turning left {turned}" if turned else ""
    walk = Notation.parse(f"6.0 s, standing to standing\n0.5-5.5 walk forward{curve} 1.2 m/s")
    assert reply(Query.parse("does walk"), walk, "Does she walk straight?") == straight
    assert reply(Query.parse("does walk forward"), walk, "does he walk in a circle?") == circle
    assert reply(Query.parse("does walk"), walk, "does he walk?") == "yes"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("limb", ["arm", "hand"])
def test_what_a_limb_does_is_answered(side: str, limb: str) -> None:
    other = "right" if side == "left" else "left"
    walk = f"4.0 s, standing to standing\n0.3-3.1 walk forward 1.2 m/s\n1.2-2.9 wave {side} hand x3"
    for question in (f"What does the person do with the {side} {limb}?", f"what is her {side} {limb} doing"):
        assert reply(Query(), Notation.parse(walk), question) == f"waves with the {side} hand three times"
        assert reply(Query(), Notation.parse(walk), question.replace(side, other)).startswith(
            "nothing that is measured;"
        )
    both = walk.replace(f"wave {side} hand", "wave both hands")
    assert "waves with both hands" in reply(Query(), Notation.parse(both), f"what does his {side} {limb} do?")
    assert reply(Query(), Notation.parse(walk), "what do the legs do?") == "walks forward"
    # Who waves has raised the hand.
    assert reply(Query.parse("side reach up"), Notation.parse(walk), f"which {limb} is raised?") == side
    assert reply(Query.parse("does reach up"), Notation.parse(walk), f"is a {limb} raised?") == "yes"


@pytest.mark.parametrize(
    ("turns", "around", "whole"),
    [
        ("0.5-1.3 turn left 90", "no", "no"),
        ("0.5-1.3 turn left 180", "yes", "no"),
        ("0.5-1.3 turn left 90\n1.6-2.5 turn left 75", "yes", "no"),
        ("0.5-1.3 turn left 90\n1.6-2.5 turn right 75", "no", "no"),
        ("0.5-1.0 turn left 90\n3.2-3.9 turn left 75", "no", "no"),
        ("0.5-3.3 walk forward turning left 60 1.2 m/s", "no", "no"),
        ("0.5-3.3 walk forward turning left 345 1.2 m/s", "yes", "yes"),
        ("0.5-3.3 walk forward 1.2 m/s", "no", "no"),
    ],
)
def test_who_turns_around_turns_by_half_a_circle(turns: str, around: str, whole: str) -> None:
    notation = Notation.parse(f"4.0 s, standing to standing\n{turns}")
    for query in (Query(), Query.parse("does turn")):
        for question in ("Does she turn around?", "did he turn 180 degrees", "is the person turning around"):
            assert reply(query, notation, question) == around
        assert reply(query, notation, "does he turn all the way round?") == whole
    assert reply(Query.parse("does turn"), notation, "does he turn?") == ("yes" if "turn" in turns else "no")


def test_how_often_without_a_name_is_of_what_is_done() -> None:
    squats = Notation.parse("8.0 s, standing to standing\n1.0-7.0 squat x5")
    for question in ("how many repetitions?", "How many reps are there?", "how often does he do it?", "how often"):
        assert reply(Query(), squats, question) == "five"
    assert reply(Query(), squats, "What exercise is this and how many repetitions?") == "squat five times"
    two = Notation.parse("8.0 s, standing to standing\n1.0-3.0 squat x2\n4.0-7.0 jump 0.3 m x3")
    assert reply(Query(), two, "how many repetitions?") == "squat twice, jump three times"
    march = Notation.parse("8.0 s, standing to standing\n1.0-7.0 march x11")
    assert reply(Query.parse("count step"), march, "how many steps?", lambda: ("left", "right")) == "eleven"


def test_where_someone_goes_is_answered_without_a_verb() -> None:
    for way in ("forward", "backward"):
        walk = Notation.parse(f"4.0 s, standing to standing\n0.3-3.1 walk {way} 1.2 m/s")
        assert reply(Query(), walk, "Which direction does he go?") == way
    squat = Notation.parse("3.0 s, standing to standing\n1.0-2.0 squat")
    assert reply(Query(), squat, "in which direction is she moving?").startswith("nowhere")


def _drawn_lines(random: np.random.Generator) -> list[Line]:
    lines = []
    for n in range(random.integers(1, 5)):
        verb = str(random.choice(sorted(VERBS)))
        spec, sign = VERBS[verb], random.choice([-1, 1])
        size = 0.4 if spec.size == "m" else float(random.choice([30, 90, 180])) if spec.size else 0.0
        line = Line(
            start=2.0 * n,
            end=2.0 * n + 1.5,
            verb=verb,
            part=str(random.choice(spec.parts)) if spec.parts else "",
            way=str(random.choice(spec.ways)) if spec.ways else "",
            size=sign * size if spec.speed else size,
            speed=1.2 if spec.speed else 0.0,
        )
        lines.append(line)
    return lines


@pytest.mark.parametrize("seed", range(40))
def test_a_mirrored_motion_has_the_mirrored_answer(seed: int) -> None:
    lines = _drawn_lines(np.random.default_rng(seed))
    told = Notation(10.0, ("standing", "standing"), tuple(lines))
    mirrored = Notation(10.0, ("standing", "standing"), tuple(opposite(line) for line in lines))
    swap = {"left": "right", "right": "left"}
    for form in FORMS:
        for text in {re.sub(r"\{(verb|label)\}", verb, form) for verb in NAMED}:
            try:
                query = Query.parse(text)
            except MotionLLMError:
                continue
            answer = query.answer(told)
            other = None if answer is None else re.sub(r"left|right", lambda side: swap[side[0]], answer)
            assert query.answer(mirrored) == other, (text, str(told))
            assert not re.search(r"^-| 0 degrees|\d\d\.\d m$", answer or ""), (text, str(told))


def test_what_turns_on_the_spot_has_a_side_and_a_bow_has_none() -> None:
    for side in ("left", "right"):
        told = Notation.parse(f"4.0 s, standing to standing\n0.0-1.0 turn {side} 90\n2.0-3.0 bow 60")
        assert (Query.parse("curve turn").answer(told), Query.parse("curve bow").answer(told)) == (side, None)
