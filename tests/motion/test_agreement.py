"""Agreement: built-in clips measured, one kind of fault put into them and made worse step by step."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from motionllm import Motion
from motionllm.cli import main
from motionllm.corpus import corpus
from motionllm.motion.agreement import agreement, agreement_of, tally
from motionllm.motion.features import features_to_joints, mirror
from motionllm.motion.notation import PACES, POSTURES, SMALL, VERBS, Line, Notation, measure

CLIPS = [features_to_joints(sample.load()).astype(np.float64) for sample in corpus(40, seed=23)]
MEASURED = [measure(clip) for clip in CLIPS]
EMPTY = Notation(3.0, ("standing", "standing"))
_OTHER = {"left": "right", "right": "left"}


def mirrored(notation: Notation) -> Notation:
    return Notation.parse(re.sub(r"\b(left|right)\b", lambda m: _OTHER[m[0]], str(notation)))


def with_line(notation: Notation, i: int, **changed: object) -> Notation:
    lines = list(notation.lines)
    lines[i] = replace(lines[i], **changed)  # type: ignore[arg-type]
    return replace(notation, lines=tuple(sorted(lines, key=lambda x: (x.start, x.end))))


def shifted(notation: Notation, by: float) -> Notation:
    return replace(notation, lines=tuple(replace(x, start=x.start + by, end=x.end + by) for x in notation.lines))


# -- faults, each the notation with more and more of it --------------------------------------------------------


def counted(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    countable = [i for i, x in enumerate(notation.lines) if not VERBS[x.verb].speed]
    if not countable:
        return []
    i = int(rng.choice(countable))
    way = -1 if (count := notation.lines[i].count) > 2 and rng.random() < 0.5 else 1
    return [with_line(notation, i, count=count + way * k) for k in range(1, count if way < 0 else 5)]


def on_other_sides(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    verbs = [x.verb for x in notation.lines]
    # Two lines of one verb that both change sides have changed places: that is another fault.
    sided = [i for i, x in enumerate(notation.lines) if x.part[:4] in ("left", "righ") and verbs.count(x.verb) == 1]
    made, now = [], notation
    for i in rng.permutation(sided).tolist():
        first, rest = notation.lines[i].part.split(" ")
        lines = list(now.lines)
        lines[i] = replace(lines[i], part=f"{_OTHER[first]} {rest}")
        now = replace(now, lines=tuple(lines))
        made.append(now)
    return made


def dropped(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    lines, made = list(notation.lines), []
    while lines:
        lines.pop(int(rng.integers(len(lines))))
        made.append(replace(notation, lines=tuple(lines)))
    return made


def with_more(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    made, now = [], notation
    foreign = [v for v in ("cartwheel", "clap", "kneel") if v not in {x.verb for x in notation.lines}]
    for verb in foreign:
        start = round(float(rng.uniform(0, notation.seconds - 0.5)), 1)
        lines = (*now.lines, Line(start, round(start + 0.5, 1), verb))
        now = replace(now, lines=tuple(sorted(lines, key=lambda x: (x.start, x.end))))
        made.append(now)
    return made


def later(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    by = float(rng.uniform(0.1, 0.4))
    return [shifted(notation, k * by) for k in range(1, 6)] if notation.lines else []


def at_another_pace(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    made, slower = [], rng.random() < 0.5
    for factor in (1.2, 1.5, 2.0, 3.0) if slower else (0.85, 0.7, 0.5, 0.3):
        lines = [replace(x, start=x.start * factor, end=x.end * factor, speed=x.speed / factor) for x in notation.lines]
        made.append(replace(notation, seconds=notation.seconds * factor, lines=tuple(lines)))
    return made


def in_other_order(notation: Notation, rng: np.random.Generator) -> list[Notation]:
    """The first event comes after one, two, three … of those that follow it."""
    verbs = [x.verb for x in notation.lines]
    if len(verbs) < 2 or len(set(verbs)) < len(verbs):
        return []
    # One after the other, as long as one another: exchanging two moves no other.
    chain = [replace(x, start=float(i), end=i + 0.8) for i, x in enumerate(notation.lines)]
    plan = replace(notation, seconds=float(len(chain)), lines=tuple(chain))
    made = [plan]
    for k in range(1, len(chain)):
        order = [*range(1, k + 1), 0, *range(k + 1, len(chain))]
        lines = [replace(chain[j], start=float(at), end=at + 0.8) for at, j in enumerate(order)]
        made.append(replace(plan, lines=tuple(lines)))
    return made


FAULTS = {
    "count": counted,
    "side": on_other_sides,
    "missing": dropped,
    "extra": with_more,
    "time": later,
    "pace": at_another_pace,
    "order": in_other_order,
}
Fault = Callable[[Notation, np.random.Generator], list[Notation]]


@pytest.mark.parametrize("kind", FAULTS)
def test_it_falls_as_a_fault_grows(kind: str) -> None:
    tried = 0
    for seed, notation in enumerate(MEASURED):
        made = FAULTS[kind](notation, np.random.default_rng([seed, 5]))
        plan = made.pop(0) if kind == "order" and made else notation
        scores = [agreement(plan, one).score for one in (plan, *made)]
        tried += len(made)
        assert scores[0] == 1
        assert all(0 <= b < a for a, b in pairwise(scores)), (str(plan), [*map(str, made)], scores)
    assert tried > 30


# -- what holds of any two -------------------------------------------------------------------------------------


def pairs() -> list[tuple[Notation, Notation]]:
    order = np.random.default_rng(3).permutation(len(MEASURED)).tolist()
    return [(MEASURED[a], MEASURED[b]) for a, b in pairwise(order)]


def test_each_clip_agrees_with_itself_and_with_no_other_as_much() -> None:
    others = [agreement(a, b).score for a, b in pairs()]
    assert all(agreement(n, n).score == 1 and not [w for r in agreement(n, n).rows for w in r.wrong] for n in MEASURED)
    assert max(others) < 1 and 0.1 < float(np.median(others)) < 0.5


def test_left_and_right_are_treated_alike() -> None:
    for plan, found in pairs():
        one, other = agreement(plan, found), agreement(mirrored(plan), mirrored(found))
        assert one.score == other.score
        assert sorted(sorted(r.agrees.items()) for r in one.rows) == sorted(
            sorted(r.agrees.items()) for r in other.rows
        )
    for clip, notation in list(zip(CLIPS, MEASURED, strict=True))[:10]:  # measured, not rewritten
        assert agreement(mirrored(notation), measure(mirror(clip))).score == 1


def test_of_any_notations_that_can_be_written_the_same_holds() -> None:
    """Events drawn from all that the table of verbs allows, two notations with some of them in common."""
    rng = np.random.default_rng(31)
    for _ in range(400):
        plan, found = anything(rng), anything(rng)
        both = [*found.lines, *(line for line in plan.lines if rng.random() < 0.6)]
        found = replace(found, lines=tuple(sorted(both, key=lambda x: (x.start, x.end))))
        score = agreement(plan, found).score
        assert agreement(plan, plan).score == 1 and 0 <= score <= 1
        assert score == agreement(mirrored(plan), mirrored(found)).score


def anything(rng: np.random.Generator) -> Notation:
    lines = []
    for start in sorted(rng.uniform(0, 9, rng.integers(0, 8)).round(1).tolist()):
        verb = str(rng.choice(list(VERBS)))
        spec = VERBS[verb]
        size = {"": 0.0, "m": round(float(rng.uniform(0.1, 2)), 1), "degrees": 15.0 * int(rng.integers(0, 20))}[
            spec.size
        ]
        lines.append(
            Line(
                start,
                round(start + float(rng.uniform(0, 0.9)), 1),
                verb,
                str(rng.choice(["", *spec.parts])),
                str(rng.choice(["", *spec.ways])),
                size * (int(rng.choice([-1, 1])) if spec.speed else 1),
                round(float(rng.uniform(0.1, 5)), 1) if spec.speed else 0.0,
                1 if spec.speed else int(rng.integers(1, 5)),
                str(rng.choice(["", *PACES])) if spec.usual else "",
            )
        )
    start, end = rng.choice(POSTURES, 2).tolist()
    return Notation(10.0, (start, end), tuple(lines))


def test_the_order_of_lines_that_begin_together_is_none() -> None:
    rng = np.random.default_rng(8)
    for plan, found in pairs():
        mixed = replace(found, lines=tuple(found.lines[i] for i in rng.permutation(len(found.lines))))
        assert agreement(plan, mixed) == agreement(plan, found)


def test_every_event_has_one_row_and_the_extra_ones_come_last() -> None:
    for plan, found in pairs():
        rows = agreement(plan, found).rows
        planned = [r.planned for r in rows if r.planned]
        assert sorted(map(str, planned)) == sorted(map(str, plan.lines))
        assert all(r.planned is None for r in rows[len(planned) :])
        assert sorted(str(r.found) for r in rows if r.found) == sorted(map(str, found.lines))


def test_nothing_planned_and_nothing_found() -> None:
    assert agreement(EMPTY, EMPTY).score == 1 and agreement(EMPTY, EMPTY).rows == ()
    for notation in MEASURED[:10]:
        assert 0 <= agreement(notation, EMPTY).score < 0.5
        assert all(row.wrong == ["missing"] for row in agreement(notation, EMPTY).rows)
        assert 0 < agreement(EMPTY, notation).score < 1
    assert agreement(EMPTY, replace(EMPTY, postures=(POSTURES[0], POSTURES[4]))).score < 1


@pytest.mark.parametrize(
    ("planned", "found", "wrong"),
    [
        ("1.0-1.6 kick left leg", "1.0-1.6 kick right leg", ["side"]),
        ("1.0-1.6 kick left leg", "1.1-1.6 kick left leg x3", ["count"]),
        ("1.0-1.6 kick left leg", "2.6-3.2 kick left leg", ["time"]),
        ("1.0-1.6 turn left 90", "1.0-1.6 turn right 90", ["way"]),
        ("1.0-1.6 turn left 90", "1.0-1.6 turn left 180", ["size"]),
        ("1.0-1.6 turn left", "1.0-1.6 turn left 180", []),
        ("0.0-3.0 walk forward 1.0 m/s", "0.0-3.0 walk forward 1.6 m/s", ["speed"]),
        ("0.0-3.0 walk forward 1.0 m/s", "0.0-3.0 walk forward turning left 90 1.1 m/s", ["size"]),
        ("0.0-3.0 walk forward", "0.0-2.8 run forward 2.4 m/s", ["verb"]),
        ("1.0-1.6 wave left hand slowly", "1.0-1.6 wave left hand", ["speed"]),
        ("1.0-1.6 wave left hand", "1.0-1.6 wave left hand quickly", ["speed"]),
        ("0.5-1.1 raise both arms", "0.5-1.1 raise left arm", ["side"]),
        ("1.0-1.6 jump 0.2 m", "1.0-1.6 jump forward 0.2 m", []),
        ("1.0-1.6 kick left leg", "1.0-1.6 clap", ["missing"]),
    ],
)
def test_a_row_names_what_is_wrong(planned: str, found: str, wrong: list[str]) -> None:
    plan, result = (Notation.parse(f"4.0 s, standing to standing\n{line}") for line in (planned, found))
    row = agreement(plan, result).rows[0]
    assert row.wrong == wrong and row.kept == (not {"verb", "side", "missing", "time"} & set(wrong))


def test_events_that_changed_places_are_out_of_order_and_those_that_moved_together_are_not() -> None:
    plan = Notation.parse("6.0 s, standing to standing\n0.5-1.0 clap\n2.0-2.6 jump 0.3 m\n4.0-4.8 squat")
    exchanged = Notation.parse("6.0 s, standing to standing\n0.5-1.0 clap\n2.0-2.8 squat\n4.0-4.6 jump 0.3 m")
    wrong = {r.planned.verb: "order" in r.wrong for r in agreement(plan, exchanged).rows if r.planned}
    assert wrong == {"clap": False, "jump": True, "squat": True}
    assert not any("order" in r.wrong for r in agreement(plan, shifted(plan, 1.0)).rows)


def test_several_of_a_kind_are_matched_in_order() -> None:
    plan = Notation.parse("9.0 s, standing to standing\n" + "\n".join(f"{t}.0-{t}.6 turn left 90" for t in (1, 3, 5)))
    for by in (0.5, 2.0, 3.0):
        rows = agreement(plan, shifted(plan, by)).rows
        assert [r.found.start - r.planned.start for r in rows if r.planned and r.found] == pytest.approx([by] * 3)


def test_small_movements_and_what_nobody_planned_count_little() -> None:
    plan = Notation.parse("5.0 s, standing to standing\n1.0-1.6 kick left leg\n2.0-2.6 raise right arm")
    lost = {x.verb: agreement(plan, replace(plan, lines=tuple(y for y in plan.lines if y != x))) for x in plan.lines}
    assert lost["kick"].score < 0.6 < 0.8 < lost["raise"].score and "raise" in SMALL
    more = replace(plan, lines=(*plan.lines, Line(3.0, 3.6, "kick", "right leg")))
    assert 1 > agreement(plan, more).score > lost["raise"].score


def test_what_cannot_be_measured_keeps_nothing() -> None:
    for joints in (CLIPS[0][:4], np.full_like(CLIPS[0], np.nan)):
        found = agreement_of(MEASURED[0], joints)
        assert found.score < 0.1 and all(row.wrong == ["missing"] for row in found.rows)


def test_a_clip_beside_a_plan_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    i = next(i for i, n in enumerate(MEASURED) if len(on_other_sides(n, np.random.default_rng(1))) == 1)
    Motion(CLIPS[i]).save(tmp_path / "a.npz")
    plan = on_other_sides(measure(Motion.load(tmp_path / "a.npz").canonical().joints), np.random.default_rng(1))[0]
    (tmp_path / "plan.txt").write_text(f"{plan}\n")
    command = ["data", "notate", str(tmp_path / "a.npz"), "--against", str(tmp_path / "plan.txt")]
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [event["wrong"] for event in said["events"] if event["wrong"]] == [["side"]]
    assert said["agreement"] == agreement(plan, Notation.parse(said["notation"])).score < 1
    assert main(command) == 0
    assert f"agreement {said['agreement']:.3f}" in capsys.readouterr().out
    (tmp_path / "plan.txt").write_text("3.0 s, standing to standing\n0.5-1.0 fly\n")
    for bad, says in ((command, "plan.txt: Notation, line 2"), ([*command[:2], str(tmp_path), *command[3:]], "folder")):
        assert main(bad) == 2 and says in capsys.readouterr().err


def test_a_tally_says_which_kind_fails() -> None:
    rng = np.random.default_rng(4)
    every = [(n, made) for n in MEASURED if (made := on_other_sides(n, rng))]
    sides = tally(agreement(n, made[-1]) for n, made in every)
    assert sides["aspects"]["side"]["right"] < 0.5 and sides["aspects"]["time"]["right"] == 1
    assert sum(row["asked"] for row in sides["verbs"].values()) == sum(len(n.lines) for n, _ in every)
    same = tally(agreement(n, n) for n in MEASURED)
    assert all(row["right"] == 1 for kind in same.values() for row in kind.values())
    assert tally([]) == {"verbs": {}, "aspects": {}}
