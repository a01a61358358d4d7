"""The judgement of edits: what was wanted is right, what was not done or done wrongly is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionllm.cli import main
from motionllm.config import Notes, Source
from motionllm.data.change_language import PACED
from motionllm.data.edit_kinds import CHANGING
from motionllm.data.edits import Edit
from motionllm.data.timeline import mirrored, paced
from motionllm.errors import MotionLLMError
from motionllm.eval.edits import clips_of, enlarged, judged, requests, written
from motionllm.lm.model import MotionLM
from motionllm.motion.notation import SMALL, Notation


def _drawn(count: int, seed: int = 0, kinds: tuple[str, ...] = CHANGING) -> list[Edit]:
    clips = clips_of(Source(kind="builtin", clips=2000), "test")
    return [one.edit for one in requests(clips, count, seed, kinds)]


@pytest.fixture(scope="module")
def edits() -> list[Edit]:
    return _drawn(200, seed=1)


def test_requests_are_of_all_kinds_in_turn(edits: list[Edit]) -> None:
    assert len(edits) == 200 and {e.kind for e in edits} == set(CHANGING) and len(CHANGING) >= 10
    assert edits == _drawn(200, seed=1)
    with pytest.raises(MotionLLMError, match="could be edited"):
        requests([], 3)


def test_requests_that_people_wrote_are_read_from_a_file(tmp_path: Path) -> None:
    clips = clips_of(Source(kind="builtin", clips=2000), "test")
    clip = clips[3]
    wave = "2.0 s, standing to standing\n0.5-1.5 wave right hand x3"
    rows = [
        {"clip": clip.id, "request": "Take your time", "change": "slower", "kind": "slower"},
        {"clip": clip.id, "request": "and wave", "change": "then a person waves", "adds": {"a person waves": wave}},
        {"clip": clip.id, "request": "gently, flipped", "change": "slower; mirror", "kinds": ["slower", "mirror"]},
    ]
    path = tmp_path / "asked.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = [one.edit for one in written(path, clips)]
    assert [one.request for one in found] == [row["request"] for row in rows] and found[2].several
    assert found[0].new == paced(clip.notation, PACED["slower"]) and found[1].new.lines[-1].verb == "wave"
    for spoilt, what in (
        ({"request": ""}, "needs"),
        ({"change": 3}, "needs"),
        ({"clip": "nobody"}, "'nobody'"),
        ({"change": "no cartwheel"}, "cartwheel"),
        ({"change": "then a person bows"}, "no plan of 'a person bows'"),
    ):
        path.write_text(json.dumps(rows[0]) + "\n" + json.dumps(rows[0] | spoilt))
        with pytest.raises(MotionLLMError, match=rf"line 2.*{what}"):
            written(path, clips)
    path.write_text("\n")
    with pytest.raises(MotionLLMError, match="no requests"):
        written(path, clips)


def test_what_is_wanted_is_right_and_what_was_is_not(edits: list[Edit]) -> None:
    for edit in edits:
        assert judged(edit, edit.new).right, edit
        assert judged(edit, edit.new, measured=True).right, edit
        larger = edit.kind != "gesture"  # of which no notation tells
        assert not judged(edit, edit.old, larger=larger).change, edit
        assert not judged(edit, edit.old, measured=True, larger=larger).change, edit


def test_a_larger_gesture_is_one() -> None:
    edit = next(one for one in _drawn(60, seed=2, kinds=("gesture",)) if one.change.endswith("kick more"))
    still = np.zeros((200, 22, 3))
    high = still.copy()
    high[:, [7, 8], 1] = 0.5 * np.sin(np.linspace(0, 60, 200))[:, None]
    assert enlarged(edit, high, high * 1.3) and not enlarged(edit, high, high) and not enlarged(edit, high, still)


def test_what_is_spoilt_is_seen(edits: list[Edit]) -> None:
    random = np.random.default_rng(0)
    spoilt = 0
    for edit in edits:
        kept = [i for i, x in enumerate(edit.new.lines) if x in edit.old.lines and x.verb not in SMALL]
        if not kept:
            continue
        i = kept[random.integers(len(kept))]
        lines = list(edit.new.lines)
        for other in (
            None,
            replace(lines[i], count=lines[i].count + 3),
            mirrored(replace(edit.new, lines=(lines[i],))).lines[0],
        ):
            if other is None:
                worse = replace(edit.new, lines=tuple(x for j, x in enumerate(lines) if j != i))
            elif other == lines[i] or (other.count != lines[i].count and other.speed):
                continue
            else:
                worse = replace(edit.new, lines=tuple(other if j == i else x for j, x in enumerate(lines)))
            assert not judged(edit, worse).right, (edit, str(worse))
            if other is None or other.size == lines[i].size:  # how far a way curves is not held against a motion
                assert not judged(edit, worse, measured=True).right, (edit, str(worse))
            spoilt += 1
    assert spoilt > 60


def test_what_a_request_leaves_open_is_free() -> None:
    old = Notation.parse("3.0 s, standing to standing\n0.2-2.4 walk forward 1.0 m/s")
    wanted = Notation.parse(f"{old}\n3.6-5.0 wave left hand x3".replace("3.0 s", "5.5 s"))
    made = Notation.parse(f"{old}\n3.2-5.0 wave right hand x2".replace("3.0 s", "5.6 s"))
    assert judged(Edit("append", "then", old, "now wave", "then a person waves", wanted), made).right
    for stated in ("with the left hand", "three times"):
        assert not judged(Edit("append", "then", old, "", f"then a person waves {stated}", wanted), made).change
    # Nor does it ask for what else happens in the clip that lends the wave, or for how long it lasts.
    lent = Notation.parse(f"{wanted}\n4.0-5.0 look left".replace("5.5 s", "9.5 s"))
    assert judged(Edit("append", "then", old, "now wave", "then a person waves", lent), made).right
    assert not judged(Edit("append", "then", old, "now wave", "then a person waves", lent), old).change


def test_who_jumps_may_jump_on_the_spot_and_who_walks_goes_forward() -> None:
    old = Notation.parse("3.0 s, standing to standing\n0.2-1.4 wave left hand x2")
    for verb, speed, right in (("jump", "0.2 m", True), ("walk", "1.0 m/s", False)):
        wanted = Notation.parse(f"{old}\n3.6-5.0 {verb} forward {speed}".replace("3.0 s", "5.5 s"))
        made = Notation.parse(f"{old}\n3.6-5.0 {verb} backward {speed}".replace("3.0 s", "5.5 s"))
        edit = Edit("append", "then", old, f"then {verb}", f"then a person {verb}s", wanted)
        assert judged(edit, made).change == right


def test_what_is_added_may_last_longer_and_what_follows_comes_later() -> None:
    old = Notation.parse("3.0 s, standing to standing\n1.0-2.4 wave right hand x3")
    wanted = Notation.parse("4.0 s, standing to standing\n0.4-0.6 kick left leg\n2.0-3.4 wave right hand x3")
    edit = Edit("insert", "before", old, "first a kick", "before wave a person kicks", wanted)
    later = Notation.parse("6.0 s, standing to standing\n0.4-2.0 kick left leg x2\n4.1-5.4 wave right hand x3")
    assert judged(edit, later, measured=True).right
    lost = replace(later, lines=later.lines[:1])
    fewer = replace(later, lines=(later.lines[0], replace(later.lines[1], count=1)))
    assert not judged(edit, lost, measured=True).right and not judged(edit, fewer, measured=True).rest


def test_what_else_is_done_while_an_act_lasts_longer_may_be_done_as_often_and_whenever() -> None:
    old = Notation.parse("4.0 s, standing to standing\n0.2-3.8 walk forward 1.0 m/s\n0.8-2.6 wave right hand x3")
    wanted = Notation.parse("7.6 s, standing to standing\n0.2-7.4 walk forward 1.0 m/s\n1.4-5.0 wave right hand x6")
    edit = Edit("act duration", "for twice as long", old, "walk for longer", "walk twice as long", wanted)
    once = replace(wanted, lines=(wanted.lines[0], old.lines[1]))
    assert judged(edit, once, measured=True).right
    assert not judged(edit, replace(once, lines=once.lines[:1]), measured=True).rest  # not at all is too little
    assert not judged(edit, old, measured=True).change
    named = Edit("act duration", "for twice as long", old, "wave for longer", "wave twice as long", wanted)
    assert not judged(named, once, measured=True).right


def test_a_brief_gesture_may_leave_a_rest() -> None:
    old = Notation.parse("2.5 s, standing to standing\n0.5-0.8 clap\n1.0-2.3 squat")
    edit = Edit(
        "remove", "without", old, "no clap", "no clap", Notation.parse("2.2 s, standing to standing\n0.7-2.0 squat")
    )
    for seconds, right in ((2.5, True), (2.2, True), (3.2, False)):
        made = Notation.parse(f"{seconds} s, standing to standing\n{seconds - 1.5:.1f}-{seconds - 0.2:.1f} squat")
        assert judged(edit, made, measured=True).right == right


def test_how_long_and_fast_one_sits_down_is_not_known_of_one_who_gets_up() -> None:
    old = Notation.parse("2.4 s, standing to sitting\n0.5-2.4 sit quickly")
    wanted = Notation.parse("2.4 s, sitting to standing\n0.0-1.9 stand up quickly")
    edit = Edit("reversed", "reversed", old, "backwards", "reversed", wanted)
    rises = Notation.parse("2.4 s, sitting to standing\n1.6-1.9 stand up")
    assert judged(edit, rises, measured=True).right
    assert not judged(edit, old, measured=True).change


def test_a_motion_played_faster_need_not_be_called_quick() -> None:
    old = Notation.parse("3.0 s, standing to standing\n1.2-1.8 kick left leg")
    wanted = Notation.parse("2.0 s, standing to standing\n0.8-1.2 kick left leg quickly")
    edit = Edit("faster", "faster", old, "quicker", "faster", wanted)
    played = replace(wanted, lines=(replace(wanted.lines[0], pace=""),))
    assert judged(edit, played, measured=True).right
    assert not judged(edit, replace(played, seconds=3.0), measured=True).change
    slow = replace(wanted, lines=(replace(wanted.lines[0], pace="slowly"),))
    assert not judged(edit, slow, measured=True).right


def test_a_small_change_of_size_is_judged_by_that_size_alone() -> None:
    old = Notation.parse("3.0 s, standing to standing\n0.8-1.8 bow 45\n2.0-2.8 swing both arms back and forth")
    wanted = replace(old, lines=(replace(old.lines[0], size=60.0), old.lines[1]))
    edit = Edit("size", "lean further", old, "a deeper bow", "bow more", wanted)
    other_arms = replace(wanted, lines=(wanted.lines[0], replace(wanted.lines[1], part="right arm", count=2)))
    assert judged(edit, other_arms, measured=True).right
    for size in (45.0, 30.0):
        assert not judged(edit, replace(old, lines=(replace(old.lines[0], size=size),)), measured=True).change


def test_what_goes_on_for_longer_is_done_as_often_as_that_takes() -> None:
    old = Notation.parse("3.0 s, standing to standing\n0.2-2.8 march x6\n0.8-2.2 wave left hand x3")
    wanted = Notation.parse("4.0 s, standing to standing\n0.2-3.8 march x6\n0.8-3.2 wave left hand x5")
    edit = Edit("count", "count", old, "five times", "wave x5", wanted)
    assert judged(edit, replace(wanted, lines=(replace(wanted.lines[0], count=8), wanted.lines[1])), True).right
    assert not judged(edit, replace(wanted, lines=(wanted.lines[0], replace(wanted.lines[1], count=4))), True).right
    # Of what is not any longer the count stays.
    short = Notation.parse("6.0 s, standing to standing\n0.2-1.0 march x3\n1.8-4.2 wave left hand x5")
    before = Notation.parse("5.0 s, standing to standing\n0.2-1.0 march x3\n1.8-3.2 wave left hand x3")
    edit = Edit("count", "count", before, "five times", "wave x5", short)
    assert not judged(edit, replace(short, lines=(replace(short.lines[0], count=5), short.lines[1])), True).rest


def test_who_lies_at_first_when_time_is_reversed_may_be_measured_lying() -> None:
    old = Notation.parse("3.5 s, standing to lying\n0.6-3.5 lie")
    wanted = Notation.parse("3.5 s, lying to standing\n0.0-2.9 stand up")
    edit = Edit("reversed", "reversed", old, "backwards", "reversed", wanted)
    got = Notation.parse("3.5 s, lying to standing\n0.0-1.9 lie\n1.9-3.0 stand up")
    assert judged(edit, got, measured=True).right
    assert not judged(edit, replace(got, postures=("standing", "standing")), measured=True).right


def test_a_model_is_measured(
    trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = MotionLM.load(trained_run[0])
    monkeypatch.setattr(MotionLM, "load", lambda _: lm)
    words = [
        "eval",
        "edits",
        "--model",
        str(trained_run[0]),
        "--cases",
        "4",
        "--json",
        "--out",
        str(tmp_path / "e.json"),
    ]
    assert main(words) == 2 and "was not trained" in capsys.readouterr().err
    lm.recipe.data.notation, lm.recipe.data.tasks["edit"] = Notes(), 1.0
    wanted = {e.request: e.change for e in _drawn(4)}
    # The first is misunderstood, the others are as they should be.
    monkeypatch.setattr(lm, "changes", lambda _, asked: ["fly", *[wanted[request] for request in asked[1:]]])
    monkeypatch.setattr("motionllm.lm.backend.longest", lambda _: 4096)
    assert main(words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["all"]["plan"] == {"change": 0.75, "rest": shown["all"]["plan"]["rest"], "right": 0.75}
    assert shown["all"]["requests"] == 4 and "motion" in shown["all"]
    cases = json.loads((tmp_path / "e.json").read_text())["cases"]
    assert [c["plan_right"]["change"] for c in cases] == [False, True, True, True]
    assert all(Notation.parse(c["motion"]) for c in cases)
    assert main([*words[:-3], "--plans"]) == 0 and "motion" not in capsys.readouterr().out
    monkeypatch.setattr(lm, "changes", lambda plans, _: ["mirror"] * len(plans))
    assert main([*words[:-3], "--json", "--plans", "--kind", "mirror", "--kind", "slower"]) == 0
    assert {*json.loads(capsys.readouterr().out)["kinds"]} == {"mirror", "slower"}
    assert main([*words[:-3], "--kind", "mirorr"]) == 2 and "did you mean 'mirror'?" in capsys.readouterr().err
