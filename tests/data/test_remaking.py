"""Changes made to motions themselves: measured again, they have what was asked for, and the rest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.data import edits
from motionllm.data.acts import acts
from motionllm.data.change_language import added, each, parts
from motionllm.data.changes import changed
from motionllm.data.edit_kinds import CHANGING, Donors
from motionllm.data.remaking import remade, rightness, ways
from motionllm.errors import MotionLLMError
from motionllm.eval.edits import enlarged, judged
from motionllm.motion import splicing
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import SMALL, Notation, measure

EACH = 6  # changes of each kind


@pytest.fixture(scope="module")
def clips() -> list[tuple[Notation, np.ndarray]]:
    """(notation, joints) of 120 clips."""
    joints = [features_to_joints(sample.load()) for sample in builtin.corpus(120, seed=12)]
    return [(notation, one) for one in joints if (notation := measure(one)).lines]


@pytest.fixture(scope="module")
def shares(clips: list[tuple[Notation, np.ndarray]]) -> dict[str, list[bool]]:
    """By kind, whether each of EACH changes is right on the motion made by it; what is added is another clip."""
    by_text = {str(notation): joints for notation, joints in clips}
    donors = Donors.of([("", text) for text in by_text])
    random = np.random.default_rng(0)
    right: dict[str, list[bool]] = defaultdict(list)
    for kind in CHANGING:
        for i in random.permutation(len(clips)).tolist():
            old, joints = clips[i]
            edit = edits.edited(kind, old, random, donors)
            if edit is None or len(right[kind]) == EACH or edit.change.startswith(("every ", "no every ")):
                continue
            more = next((one for text, one in by_text.items() if _adds(edit, Notation.parse(text))), None)
            poses = remade(
                splicing.poses_of(joints), old, edit.change, None if more is None else splicing.poses_of(more)
            )
            made = joints if poses is None else splicing.joints_of(poses)
            larger = kind != "gesture" or enlarged(edit, joints, made)
            right[kind].append(judged(edit, measure(made), True, larger).right)
    return right


def _adds(edit: edits.Edit, donor: Notation) -> bool:
    """Whether it is this clip that an edit adds."""
    return bool(added(edit.change)) and changed(edit.old, edit.change, lambda _: donor) == edit.new


def test_most_changes_are_made_exactly(shares: dict[str, list[bool]]) -> None:
    assert set(shares) == set(CHANGING)
    every = [right for some in shares.values() for right in some]
    assert len(every) > 100 and np.mean(every) > 0.8, {kind: np.mean(some) for kind, some in shares.items()}


@pytest.mark.parametrize("kind", CHANGING)
def test_no_kind_of_change_fails(shares: dict[str, list[bool]], kind: str) -> None:
    assert np.mean(shares[kind]) >= 0.5


def test_an_act_cut_elsewhere_may_measure_better(clips: list[tuple[Notation, np.ndarray]]) -> None:
    """Where an act begins is measured to a tenth of a second: of all ways to cut it, the one that measures best is
    right more often than the plain one.
    """
    random, donors = np.random.default_rng(1), Donors.of([("", str(old)) for old, _ in clips])
    plain: dict[str, list[bool]] = defaultdict(list)
    best: dict[str, list[bool]] = defaultdict(list)
    for kind in ("count", "act pace", "size"):
        for i in random.permutation(len(clips)).tolist():
            old, joints = clips[i]
            if (edit := edits.edited(kind, old, random, donors)) is None or len(plain[kind]) == 28:
                continue
            made = [splicing.joints_of(way) for way in ways(splicing.poses_of(joints), old, edit.change)]
            if made:
                verdicts = [judged(edit, measure(one), measured=True).right for one in made]
                plain[kind].append(verdicts[0])
                best[kind].append(verdicts[int(np.argmax([rightness(edit.new, one, old=old) for one in made]))])
        assert len(plain[kind]) == 28
        assert sum(best[kind]) >= sum(plain[kind])
    assert sum(map(sum, best.values())) > sum(map(sum, plain.values()))


def test_no_time_at_all_is_played_backward(clips: list[tuple[Notation, np.ndarray]]) -> None:
    poses = splicing.poses_of(clips[0][1])
    for length in (0, 1, 2):
        assert len(splicing.backward(poses[:length])) == length
    still = Notation.parse("2.0 s, standing to standing\n1.0-1.0 walk forward 1.2 m/s")
    assert remade(poses, still, "walk backward") is None


def test_what_stays_is_the_motion_itself(clips: list[tuple[Notation, np.ndarray]]) -> None:
    for old, joints in clips[:40]:
        poses = splicing.poses_of(joints)
        verb = old.lines[-1].verb
        rest = remade(poses, old, "wait 2 s at the end")
        assert rest is not None and len(rest) == len(poses) + 40
        assert np.array_equal(rest[: len(poses) - 8], poses[:-8])
        for change in ("mirror", "slower", f"{verb} faster", f"{verb} x3", f"no {verb}", f"only {verb}", "3.0 s"):
            try:
                changed(old, change, lambda _, old=old: old)  # type: ignore[misc]
            except MotionLLMError:
                continue
            made = remade(poses, old, change)
            assert made is None or (np.isfinite(made).all() and made.shape[1] == splicing.WIDTH)


@pytest.mark.parametrize("seed", range(6))
def test_who_bends_down_with_one_hand_does_so_with_both_and_with_the_other(seed: int) -> None:
    """From one hand to both, and from both to either: measured as asked, and the legs stay as they were."""
    joints = builtin.joints(builtin.Spec((builtin.Part("pick", side="left"),)), seed)
    poses, old = splicing.poses_of(joints), measure(joints)
    assert [x.part for x in old.lines if x.verb == "bend down"] == ["left hand"]
    both = remade(poses, old, "bend down both hands")
    assert both is not None
    of_both = measure(splicing.joints_of(both))
    assert [x.part for x in of_both.lines if x.verb == "bend down"] == ["both hands"]
    for hand in ("left hand", "right hand"):
        one = remade(both, of_both, f"bend down {hand}")
        assert one is not None
        assert [x.part for x in measure(splicing.joints_of(one)).lines if x.verb == "bend down"] == [hand]
        legs = [4 + 3 * (joint - 1) + axis for joint in (1, 2, 4, 5, 7, 8) for axis in range(3)]
        assert np.array_equal(one[:, legs], poses[:, legs])


@pytest.mark.parametrize("gesture", ["punch", "clap"])
def test_who_walks_for_longer_does_what_is_done_meanwhile_once(gesture: str) -> None:
    walk = splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part("walk", direction="forward"),)), 1))
    walk = splicing.lengthened(walk, 80, 20, len(walk) - 20)
    side = {"side": "right"} if gesture != "clap" else {"count": 3}
    more = splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part(gesture, **side),)), 1))  # type: ignore[arg-type]
    poses = splicing.with_arms(walk, more, 15, 15 + len(more))
    old = measure(splicing.joints_of(poses))
    arms = [line for line in old.lines if line.verb != "walk"]
    made = remade(poses, old, "walk twice as long")
    assert made is not None and len(made) > 1.6 * len(poses)
    new = [line for line in measure(splicing.joints_of(made)).lines if line.verb != "walk"]
    assert [(line.verb, line.count) for line in new] == [(line.verb, line.count) for line in arms]


@pytest.mark.parametrize("arm", ["left arm", "right arm"])
def test_of_both_arms_that_stretch_one_may(arm: str) -> None:
    joints = builtin.joints(builtin.Spec((builtin.Part("stretch"),)), 1)
    poses, old = splicing.poses_of(joints), measure(joints)
    assert [line.part for line in old.lines] == ["both arms"]
    one = remade(poses, old, f"stretch {arm}")
    assert one is not None
    assert [line.part for line in measure(splicing.joints_of(one)).lines if line.verb == "stretch"] == [arm]


def test_any_change_gives_finite_frames_or_none(clips: list[tuple[Notation, np.ndarray]]) -> None:
    random = np.random.default_rng(1)
    made = 0
    for old, joints in clips[:60]:
        poses = splicing.poses_of(joints)
        every = edits.draw(old, random, NO_ACTS)
        single = None if every is None else [one for part in parts(every.change) for one in each(old, part)]
        if single is None or len(single) > 1 or added(single[0]):
            continue
        result = remade(poses, old, single[0])
        made += result is not None
        assert result is None or (len(result) >= 4 and np.isfinite(result).all())
    assert made > 20


def test_any_change_fits_whatever_is_measured_and_whenever(clips: list[tuple[Notation, np.ndarray]]) -> None:
    """As a measure may have it of noisy motion: events at other times, other postures at the ends."""
    random, made = np.random.default_rng(2), 0
    for number, (old, joints) in enumerate(clips):
        poses, count = splicing.poses_of(joints), len(old.lines)
        times = np.sort(random.uniform(0, old.seconds, (count, 2)).round(1))
        if number % 2:  # one after another, without a pause, to the end
            cuts = np.sort(random.uniform(0, old.seconds, count).round(1))
            times = np.stack([cuts, [*cuts[1:], old.seconds]], axis=1)
        lines = [replace(x, start=float(a), end=float(b)) for x, (a, b) in zip(old.lines, times, strict=True)]
        ends = tuple(random.choice(["standing", "sitting", "lying", "kneeling"], 2).tolist())
        told = replace(old, postures=ends, lines=tuple(sorted(lines, key=lambda x: (x.start, x.end))))
        verbs = list(dict.fromkeys(x.verb for x in told.lines))
        changes = [f"{way} {verb}" for verb in verbs for way in ("no", "only")]
        changes += [f"{verb} {more}" for verb in verbs for more in ("x3", "slowly", "quickly", "left", "backward")]
        changes += [f"{a} before {b}" for a in verbs for b in verbs] + ["wait 2 s at the end", "wait 1 s first"]
        for change in changes:
            try:
                changed(told, change, lambda _, told=told: told)
            except MotionLLMError:
                continue
            result = remade(poses, told, change)
            made += result is not None
            assert result is None or (len(result) >= 4 and np.isfinite(result).all()), (change, str(told))
    assert made > 300


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (
            "7.0 s, standing to kneeling\n0.2-3.4 walk forward\n3.8-4.2 step left foot forward\n4.4-7.0 kneel",
            "no kneel",
        ),
        (
            "6.0 s, standing to sitting\n0.7-2.9 stand on left leg\n3.6-5.0 swing both arms\n4.0-6.0 sit",
            "no sit",
        ),
    ],
)
def test_who_leads_into_what_is_left_out_stands_where_it_began(text: str, change: str) -> None:
    """Where what goes with it, a step before, leaves less than was before it."""
    old = Notation.parse(text)
    made = remade(splicing.poses_of(features_to_joints(builtin.corpus(1)[0].load())).repeat(4, 0)[:120], old, change)
    assert made is not None and 4 <= len(made) < 120


NO_ACTS = Donors()


def test_what_should_be_gone_and_is_not_is_wrong(clips: list[tuple[Notation, np.ndarray]]) -> None:
    for old, joints in clips[:60]:
        for act in acts(old):
            plan = replace(old, lines=tuple(line for line in old.lines if line.verb != act.main.verb))
            if plan.lines and act.main.verb not in SMALL:
                assert rightness(plan, joints, old=old) < 1, (str(old), act.main.verb)
                assert rightness(old, joints, old=old) == 1


def test_what_is_done_in_an_act_stays_where_all_else_goes() -> None:
    """The body that bends down before a high jump: it cannot be cut out, and what is before and after it can."""
    jump, squat, clap = (
        splicing.poses_of(builtin.joints(builtin.Spec((builtin.Part(action),)), 1))
        for action in ("jump", "squat", "clap")
    )
    poses = splicing.joined([squat, jump, clap])
    old = measure(splicing.joints_of(poses))
    (leap,) = (line for line in old.lines if line.verb == "jump")
    bends = replace(leap, verb="bend down", part="both hands", way="", size=0.0, start=leap.start - 0.2, end=leap.end)
    old = replace(old, lines=tuple(sorted((*old.lines, bends), key=lambda line: (line.start, line.end))))
    new = remade(poses, old, "only jump")
    assert new is not None
    left = {line.verb for line in measure(splicing.joints_of(new)).lines}
    assert "jump" in left and not left & {"squat", "clap"}
