"""What free texts ask of a motion: sides, ways, counts and paces, in many words, against notations made by chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import Source
from motionllm.corpus.actions import ACTIONS
from motionllm.data.asked import Asked, asked, contradiction, named, share, tells
from motionllm.data.clips import encode
from motionllm.data.heeding import unheeded
from motionllm.motion.features import features_to_joints, joints_to_features, mirror
from motionllm.motion.notation import VERBS, Line, Notation, measure
from motionllm.numerals import NUMBERS
from motionllm.tokenizer import MotionTokenizer

PEOPLE = ("a person", "someone", "the man", "a figure")
SAID = {  # verb → how a text says it, with {side}, {n}
    "wave": ("waves with the {side} hand {n}", "waves their {side} hand {n}", "is waving his {side} arm {n}"),
    "kick": ("kicks with the {side} leg {n}", "kicks {n} with their {side} foot", "kicked {n} using his {side} leg"),
    "punch": ("punches with the {side} fist {n}", "punches {n} with the {side} hand"),
    "reach up": ("raises the {side} hand", "lifts their {side} arm up"),
}
TIMES = {2: ("twice", "two times"), 3: ("three times", "3 times"), 5: ("five times", "5 times")}


@pytest.mark.parametrize("seed", range(40))
def test_sides_and_counts_are_read_whatever_the_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    verb, side, count = str(rng.choice(list(SAID))), str(rng.choice(["left", "right"])), int(rng.choice(list(TIMES)))
    text = f"{rng.choice(PEOPLE)} {rng.choice(SAID[verb])}".format(side=side, n=rng.choice(TIMES[count]))
    (one,) = asked(text)
    assert (one.verbs[0], one.side) == (verb, side)
    assert one.count == (count if verb != "reach up" else 0)
    other = "left" if side == "right" else "right"
    own = Notation(4.0, ("standing", "standing"), (Line(1.0, 2.0, verb, f"{side} {_limb(verb)}", count=count),))
    wrong = Notation(4.0, ("standing", "standing"), (Line(1.0, 2.0, verb, f"{other} {_limb(verb)}", count=count + 1),))
    nothing = Notation(4.0, ("standing", "standing"), ())
    assert share([one], own) == 1 > share([one], wrong) > share([one], nothing) == 0
    assert not contradiction(text, own) and not contradiction(text, nothing)
    assert contradiction(text, wrong).endswith(f"with the {side}, and the motion shows the {other} {_limb(verb)}")


_COUNTED = {"kick": "kicks", "punch": "punches", "squat": "squats", "lunge": "lunges", "bow": "bows", "wave": "waves"}


@pytest.mark.parametrize("verb", _COUNTED)
def test_a_count_is_read_wherever_it_stands(verb: str) -> None:
    noun = _COUNTED[verb]
    for count, word in enumerate(NUMBERS[2:], 2):
        for number in (word, str(count)):
            for form in (f"{number} {noun}", f"does {number} quick {noun}", f"{noun} {number} times"):
                for text in (f"a person {form}", f"he walks forward, then {form}", f"{form} and stands"):
                    one = next(one for one in asked(text) if one.verbs[0] == verb)
                    assert one.count == count, text
    for text in (f"two people {noun}", f"{noun} with two hands", f"{noun} for three seconds", f"{noun} on 2 legs"):
        assert all(one.count == 0 for one in asked(text)), text


@pytest.mark.parametrize("degrees", range(30, 340, 30))
def test_degrees_of_a_turn_are_read(degrees: int) -> None:
    for text in (f"turns left {degrees} degrees", f"turns {degrees}° to the left", f"turns by {degrees} deg"):
        (one,) = asked(f"a person {text}")
        assert one.degrees == (degrees - 45, degrees + 45)
        wrong = min(360, degrees + 60) if degrees < 300 else degrees - 60
        turned, other = (
            Notation(3.0, ("standing", "standing"), (Line(1.0, 2.0, "turn", way=one.way or "left", size=size),))
            for size in (degrees, wrong)
        )
        assert share([one], turned) > share([one], other)


_IN_TURN = {  # how a text says it of one side and then, without saying it again, of another one
    "kick": ("kicks with the {one} leg{join}the {other}", "kicks with their {one}{join}{other} foot"),
    "hop": ("hops on the {one} foot{join}on the {other} foot", "hops on their {one} leg{join}their {other}"),
    "lift": ("lifts the {one} knee{join}the {other} knee", "lifts the {one}{join}the {other} knee"),
    "punch": ("punches with the {one} hand{join}with the {other}", "punches with his {one}{join}his {other} fist"),
    "turn": ("turns to the {one}{join}to the {other}", "turns {one}{join}{other}"),
    "walk": ("walks {one}{join}{other}", "walks to the {one}{join}to the {other}"),
}


@pytest.mark.parametrize("verb", _IN_TURN)
@pytest.mark.parametrize("join", [" and then ", ", then ", " then ", ", and ", " and "])
def test_one_side_and_then_the_other_is_done_twice(verb: str, join: str) -> None:
    for way in ("left", "right"):
        for form in _IN_TURN[verb]:
            other = {"left": "right", "right": "left"}[way]
            text = "a person " + form.format(one=way, other=other, join=join)
            things = asked(text)
            sides = [one.side or one.way for one in things]
            if verb == "lift" and "then" not in join:  # of both knees
                continue
            together = verb == "punch" and join == " and "
            assert sides == (["both"] if together else [way, other]), text
            assert {one.verbs[0] for one in things} == {verb}
            again = asked(f"{text}, then {way} again")
            assert together or [one.side or one.way for one in again] == [way, other, way]


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("a person raises their {side} hand, then makes an x with both arms", [("raise", "{side}", 0)]),
        ("he taps someone three times and then lifts up their {side} arm", [("raise", "{side}", 0)]),
        ("a man holds it with the {other} hand and then kicks with the {side} leg twice", [("kick", "{side}", 2)]),
        ("a person stands up from a sitting position", [("stand_up", "", 0)]),
        (
            "someone gets up from a crouched pose and waves with the {side} hand",
            [("stand_up", "", 0), ("wave", "{side}", 0)],
        ),
        ("a person sits on a step", [("sit", "", 0)]),
        ("a person is pushed and jumps", [("jump", "", 0)]),
        ("it looks like the person kicks with the {side} leg", [("kick", "{side}", 0)]),
        ("he walks until he reaches the other side", [("walk", "", 0)]),
        ("he places both feet on the floor and claps", [("clap", "", 0)]),
        ("she puts the {other} hand on the hip and waves with the {side} hand", [("wave", "{side}", 0)]),
    ],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_each_act_has_what_is_said_of_it(text: str, acts: list[tuple[str, str, int]], side: str) -> None:
    """Not what is said of acts beside it, and of words that name no act of the person's nothing."""
    other = {"left": "right", "right": "left"}[side]
    found = [(one.action, one.side, one.count) for one in asked(text.format(side=side, other=other))]
    assert found == [(action, limb.format(side=side), count) for action, limb, count in acts]


def test_who_has_turned_around_walks_back_forward() -> None:
    assert [one.way for one in asked("a person walks back")] == ["backward"]
    assert [one.way for one in asked("a person turns around and walks back")][1] == ""
    assert [one.way for one in asked("a person walks forward, then walks back to the start")][1] == ""
    assert [one.way for one in asked("a person turns around and walks backward")][1] == "backward"
    assert [one.way for one in asked("he walks forward then backward turns to his side")][-1] == ""


def test_ways_in_turn_and_at_once() -> None:
    def ways(text: str) -> list[str]:
        return [one.way for one in asked(text)]

    assert ways("a person walks forward and then backward") == ways("he walks forward and backward")
    assert ways("a person walks forward and then backward") == ["forward", "backward"]
    assert ways("a person jumps backward, then to the left") == ["backward", "left"]
    assert ways("a person walks forward and to the left") == ["left"]  # a diagonal
    assert [one.count for one in asked("he jumps forward and then backward twice")] == [0, 2]
    assert len(asked("a person moves the right leg forward and then backward")) == 1
    assert [one.side for one in asked("a person waves with the left hand and the right hand")] == ["both"]


@pytest.mark.parametrize("way", ["left", "right"])
@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("a person turns to the {way} to face the other way", 150, 210),
        ("someone quickly turns around over their {way} shoulder", 150, 210),
        ("the man turns around to the {way} and waves", 150, 210),
        ("a person turns all the way around to the {way}", 330, 390),
        ("a figure spins to the {way}", 330, 390),
    ],
)
def test_a_turn_is_as_far_as_it_is_named(text: str, least: int, most: int, way: str) -> None:
    rng = np.random.default_rng(0)
    wanted = [one for one in asked(text.format(way=way)) if "turn" in one.verbs]
    right, wrong = least + float(rng.integers(most - least)), float(rng.integers(15, 110))
    far, near = (
        Notation(4.0, ("standing", "standing"), (Line(1.0, 2.0, "turn", way=way, size=size),))
        for size in (right, wrong)
    )
    pace = "quickly" in text  # which these lines do not have
    assert share(wanted, far) > share(wanted, near) and (pace or share(wanted, far) == 1)


def _limb(verb: str) -> str:
    return "leg" if verb == "kick" else "hand"


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("a person walks forward, then turns left and sits down", ["walk", "turn", "sit"]),
        ("after climbing the stairs, the man waves", ["climb", "wave"]),
        ("someone sneaks and then does a cartwheel", ["creep", "cartwheel"]),
        ("the person staggers sideways", ["walk"]),
        ("a man is dancing the salsa", ["dance"]),
        ("person crawls on all fours", ["crawl"]),
        ("a man boxes, then steps onto a large box and over the box", ["punch", "step"]),
        ("someone bends down", ["bend down"]),
        ("a man crouches, stands back up and waves", ["squat", "wave"]),  # a crouch ends by standing up
        ("a man sits down, then stands up", ["sit", "stand up"]),
        ("the man is sitting, then lays down", ["sit", "lie"]),
        ("someone lays a cup down on the floor", ["bend down"]),
        ("a person hops on both feet", ["jump"]),
        ("nothing that anyone knows", []),
    ],
)
def test_what_is_done_in_its_order(text: str, verbs: list[str]) -> None:
    found = [one.verbs[0] for one in asked(text)]
    assert list(dict.fromkeys(found)) == verbs


@pytest.mark.parametrize("low", ["crawl", "roll", "lie", "kneel"])
def test_who_stands_after_lying_or_crawling_has_got_up(low: str) -> None:
    up, down = (Notation(4.0, ("standing", last), (Line(0.0, 3.0, low),)) for last in ("standing", "crouching"))
    wanted = asked("a person crawls and then stands up")[1:]
    assert share(wanted, up) == 1 > share(wanted, down) == 0
    assert share(wanted, Notation(4.0, ("standing", "standing"), ())) == 0


def test_rounds_of_a_walk_are_no_count() -> None:
    assert [one.count for one in asked("a person walks in circles twice and then jumps twice")] == [0, 2]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("part", ["elbow", "hand"])
def test_what_is_brought_to_a_knee_has_no_say_in_which_leg_is_lifted(side: str, part: str) -> None:
    other = "left" if side == "right" else "right"
    for knee, expected in ((f"{other} knee", other), (f"{side} knee", side), ("knee", "")):
        for text in (f"brings the {side} {part} to the {knee}", f"touches the {knee} up to the {side} {part}"):
            sides = {one.side for one in asked(f"a person {text}") if one.action == "lift"}
            assert sides <= {expected}, text


def test_what_a_motion_shows_besides_is_what_no_text_asks_for() -> None:
    kick, wave, swing = Line(0.0, 1.5, "kick", "left leg"), Line(2.0, 3.5, "wave", "left hand"), Line(0.0, 1.5, "swing")
    wanted = asked("a person kicks")
    for lines, share_named in (((kick,), 1), ((kick, wave), 0.5), ((kick, swing), 0.75), ((wave,), 0), ((), 1)):
        assert named(wanted, Notation(4.0, ("standing", "standing"), lines)) == share_named


@pytest.mark.parametrize("way", ["left", "right"])
def test_a_turn_to_the_other_side_contradicts(way: str) -> None:
    joints = builtin.joints(builtin.Spec((builtin.Part("turn_around", direction=way),)), 1)
    text = f"a person turns around to the {way}"
    assert not contradiction(text, measure(joints))
    assert contradiction(text, measure(mirror(joints.astype(np.float64))))
    assert not contradiction("a person turns around", measure(joints))


def test_captions_of_the_corpus_fit_their_own_motion_better() -> None:
    clips = [
        (measure(builtin.joints(builtin.Spec.of(s.labels["spec"]), s.labels["seed"])), s.captions)
        for s in builtin.corpus(60, seed=3)
    ]
    better = [
        share(asked(text), notation) >= share(asked(text), clips[k - 1][0])
        for k, (notation, captions) in enumerate(clips)
        for text in captions
    ]
    assert np.mean(better) > 0.95


def test_captions_of_the_other_side_are_left_out_where_asked(
    tmp_path: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "cache"))
    joints = builtin.joints(builtin.Spec((builtin.Part("kick", side="left"),)), 2)
    for folder in ("new_joint_vecs", "texts"):
        (tmp_path / folder).mkdir()
    np.save(tmp_path / "new_joint_vecs" / "a.npy", joints_to_features(joints, uniform=True))
    (tmp_path / "texts" / "a.txt").write_text("a person kicks with the left leg\nhe kicks with his right leg\n")
    (tmp_path / "train.txt").write_text("a\n")
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    source = Source(kind="humanml3d", path=str(tmp_path))
    assert len(encode(source, "train", tokenizer)[0].sample.captions) == 2
    (clip,) = encode(source.model_copy(update={"check": ["side"]}), "train", tokenizer)
    assert clip.sample.captions == ["a person kicks with the left leg"]
    assert "he kicks with his right leg" in caplog.text and "1 caption is left out" in caplog.text


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("a person walks forward", "a person waves"),
        ("a person walks forward and then waves the left hand", "a person walks forward"),
        ("a person walks forward and waves the left hand", "a person walks forward and waves the right hand"),
        ("a person walks forward", "a person walks forward and jumps and kicks"),
        ("a person waves the left hand three times", "a person waves the left hand once"),
        ("a person walks", "climatology"),
    ],
)
def test_what_tells_more_and_says_nothing_wrong_is_better(better: str, worse: str) -> None:
    notation = Notation.parse("5.0 s, standing to standing\n0.0-3.0 walk forward 1.1 m/s\n3.2-5.0 wave left hand x3")
    assert 0 <= tells(worse, notation) < tells(better, notation) <= 1


def test_sentences_of_the_notation_itself_tell_it() -> None:
    scores = []
    for index in range(60):
        notation = measure(features_to_joints(builtin.sample(index, split="val").load()))
        if notation.lines:
            scores.append(tells(notation.sentence(), notation))
    assert np.mean(scores) > 0.8


@pytest.mark.parametrize("name", [name for name, action in ACTIONS.items() if action.count and action.shown])
def test_the_times_of_an_act_are_its_own(name: str) -> None:
    """Whatever else is measured of it: a kick begins with a lifted leg, a lunge with steps."""
    right = []
    for count in ACTIONS[name].count:
        for seed in range(4):
            action = ACTIONS[name]
            ways = {"side": (action.side or ("",))[0], "direction": (action.direction or ("",))[0]}
            notation = measure(builtin.joints(builtin.Spec((builtin.Part(name, count=count, **ways),)), seed))
            own = sum(line.count for line in notation.lines if line.verb == ACTIONS[name].shown[0])
            one = Asked(name, ACTIONS[name].shown, count=count)
            if own == count:
                assert share([one], notation) == 1
                right.append(share([replace(one, count=count + 1)], notation) < 1)
    assert right and all(right)


@pytest.mark.parametrize(("text", "posture"), [("sits", "sitting"), ("kneels", "kneeling"), ("lies", "lying")])
def test_who_is_down_throughout_shows_it(text: str, posture: str) -> None:
    throughout = Notation.parse(f"4.0 s, {posture} to {posture}\n0.5-2.0 clap x4")
    for words in (f"a person {text}", f"a person {text} and claps four times", throughout.sentence()):
        assert share(asked(words), throughout) == 1
    for ends in (("standing", posture), ("standing", "standing")):
        assert share(asked(f"a person {text}"), replace(throughout, postures=ends)) == 0


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("a person kicks, but not with the left leg", [("kick", "", "")]),
        ("a person doesn't jump but squats", [("squat", "", "")]),
        ("a person walks without waving", [("walk", "", "")]),
        ("a person never stops clapping", [("clap", "", "")]),
        ("right after that the person jumps", [("jump", "", "")]),
        ("a person does a hip hop dance", [("dance", "", "")]),
        ("a person walks on tiptoes", [("walk", "", "")]),
        ("a person tiptoes forward", [("creep", "", "forward")]),
        ("a person steps back", [("step", "", "backward")]),
        ("a person does ten push-ups and three sit ups", []),
        ("an archer shoots an arrow with his bow", []),
        ("an actor takes a bow", [("bow", "", "")]),
        ("a person lies down and then sits up", [("lie", "", ""), ("sit", "", "")]),
        ("a person takes 2 steps back", [("step", "", "backward")]),
    ],
)
def test_what_is_not_to_be_done_and_words_that_only_look_like_an_act(text: str, verbs: list[tuple[str, ...]]) -> None:
    assert [(one.verbs[0], one.side, one.way) for one in asked(text)] == verbs


@pytest.mark.parametrize("number", ["3", "three", "2.5", "10"])
def test_how_long_and_how_far_an_act_is_to_be(number: str) -> None:
    value = {"three": 3.0}.get(number) or float(number)
    wave, walk = asked(f"he waves for about {number} seconds and then walks {number} meters, 6 feet apart")
    assert (wave.seconds, wave.metres, wave.count) == (value, 0, 0) and (walk.seconds, walk.metres) == (0, value)
    (run,) = asked(f"someone runs {number} feet for {number} s")
    assert run.metres == pytest.approx(0.3048 * value) and run.seconds == value
    for rests in ("pauses", "stands still", "waits there", "stops"):  # whose the seconds are
        first, *_ = asked(f"a person walks forward, {rests} for {number} seconds, and claps")
        assert (first.verbs[0], first.seconds) == ("walk", 0)
    for words in ("is {} m tall", "goes on {} feet", "with {} feet dragging", "at {} m/s", "at {} meters per second"):
        assert asked(f"a person walks {words.format(number)}")[0].metres == 0, words
    if number.isdigit():
        (short,) = asked(f"a person walks {number}m for {number}s")
        assert short.metres == short.seconds == value
    lasts, apart = value, asked("a person waves for 2 seconds")[0]
    notation = Notation.parse(f"30.0 s, standing to standing\n1.0-{1 + lasts} wave left hand x3")
    assert share([wave], notation) == 1 and (share([apart], notation) == 1) == (abs(lasts - 2) <= 0.5)


def test_what_is_done_at_the_same_time() -> None:
    together = (
        "a person claps and walks at the same time",
        "a person walks and claps simultaneously",
        "a person claps while walking",
        "while walking, a person claps",
        "she walks as she claps",
    )
    one_by_one = (
        "a person claps while standing still, then walks",
        "while standing still, a person claps, then walks",
        "a person claps as the sun rises, then walks",
        "a person claps and walks",
        "a person walks, then claps",
        "he claps twice before walking",
    )
    both, apart = (
        Notation.parse(f"8.0 s, standing to standing\n0.5-4.0 walk forward 1.0 m/s\n{times} clap x4")
        for times in ("1.0-3.0", "5.0-7.0")
    )
    for text in (*together, *one_by_one):
        one, two = asked(text)
        assert two.meanwhile == (text in together) and not one.meanwhile
        if two.meanwhile:
            assert share([one, two], both) == 1 > share([one, two], apart)
    assert share(asked("a person walks, then claps"), apart) == 1
    seated = Notation.parse("8.0 s, standing to sitting\n0.5-2.0 sit\n4.0-6.0 clap x4")
    assert share(asked("a person sits while clapping"), seated) == 1  # who has sat down sits


def test_what_is_named_by_itself_shows_nothing_else() -> None:
    walk = Notation.parse("4.0 s, standing to standing\n0.5-3.5 walk forward 1.8 m/s")
    curve = Notation.parse("4.0 s, standing to standing\n0.5-3.5 walk forward turning left 165 1.2 m/s")
    assert share(asked("a person walks, then turns around and walks back"), curve) > 0.8  # a turn on the way is one
    assert share(asked("a person runs"), walk) > 0.5 and share(asked("a person runs and then walks"), walk) <= 0.5


def test_short_counts_are_counts() -> None:
    assert [asked(f"a person jumps {count}")[0].count for count in ("3x", "x3", "3 times")] == [3, 3, 3]
    assert asked("a person does a couple of squats")[0].count == 2


@pytest.mark.parametrize("verb", ["kick", "jump", "squat", "bow", "lunge"])
def test_what_is_said_without_a_number_is_done_once_or_several_times(verb: str) -> None:
    def read(*texts: str) -> set[tuple[int, bool, bool]]:
        return {(one.count, one.several, one.single) for text in texts for one in asked(text)}

    ing = f"{verb}{'t' * (verb == 'squat')}ing".replace("lungei", "lungi")
    plural = f"{verb}s"
    assert read(f"a person {plural}", f"he walks, then {plural}") == {(0, False, True)} | read("he walks")
    assert read(f"does a {verb}", f"a man makes a quick {verb}", f"another {verb}") == {(1, False, False)}
    for text in (
        f"{plural} several times",
        f"does {plural}",
        f"a few {plural}",
        f"keeps {ing}",
        f"is {ing} repeatedly",
    ):
        assert read(f"a person {text}") == {(0, True, False)}, text
    assert read(f"a person {plural}, then {plural} again") == {(0, True, False)}
    assert read(f"a person is {ing}", f"someone {plural} back and forth") == {
        (0, False, False)
    }  # as often as they like
    (one,), (many,) = asked(f"a person {plural}"), asked(f"a person does several {plural}")
    once, thrice = (
        Notation(4.0, ("standing", "standing"), (Line(1.0, 2.0, verb, _part(verb), count=count),)) for count in (1, 3)
    )
    assert share([one], once) == share([one], thrice) == share([many], thrice) == 1 > share([many], once)
    assert named([one], once) == 1 and named([one], thrice) == pytest.approx(1 / 3)


def _part(verb: str) -> str:
    return VERBS[verb].parts[0] if VERBS[verb].parts else ""


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("blow", ["punch", "jab", "hook", "uppercut", "kick"])
def test_a_blow_has_the_side_before_it(side: str, blow: str) -> None:
    verb = "kick" if blow == "kick" else "punch"
    for text in (f"throws a {side} {blow}", f"a quick {side} {blow}", f"does a {side} low {blow}"):
        assert [(one.verbs[0], one.side, one.count) for one in asked(f"a person {text}")] == [(verb, side, 1)], text
    plural = f"{blow}{'es' * (blow == 'punch') or 's'}"
    ((act, limb, count),) = ((one.verbs[0], one.side, one.count) for one in asked(f"he throws three {side} {plural}"))
    assert (act, limb, count) == (verb, side, 3)
    steps = asked(f"a person steps {side}, kicks")  # no left kick
    assert [(one.verbs[0], one.side) for one in steps] == [("step", ""), ("kick", "")]


@pytest.mark.parametrize("word", ["two", "heavy", "some", "the", "his", "cardboard"])
def test_boxes_are_carried_and_not_thrown(word: str) -> None:
    assert not any(one.action == "punch" for one in asked(f"a person lifts {word} boxes"))
    assert asked("he boxes")[0].action == asked("the boxer boxes")[0].action == "punch"


@pytest.mark.parametrize("way", ["left", "right"])
def test_who_goes_sideways_makes_no_curve_and_a_circle_is_one(way: str) -> None:
    curve = Notation.parse(f"4.0 s, standing to standing\n0.5-3.5 walk forward turning {way} 120 1.2 m/s")
    steps = Notation.parse(f"4.0 s, standing to standing\n0.5-3.5 step left foot {way} x3")
    for text in (f"walks sideways to the {way}", f"moves sideways to the {way}", f"shuffles sideways {way}"):
        assert share(asked(f"a person {text}"), curve) < share(asked(f"a person {text}"), steps) == 1, text
    circle = Notation.parse(f"9.0 s, standing to standing\n0.5-8.5 walk forward turning {way} 330 1.2 m/s")
    for text in ("walks in a circle", "walks in a large circle", f"walks in a circle to the {way}"):
        wanted = asked(f"a person {text}")
        assert share(wanted, curve) < share(wanted, circle) == 1, text
        assert unheeded(curve, wanted[0]) == [f"walk circle {way}"] and unheeded(circle, wanted[0]) == []
