"""Narration: cues follow one another, hold all that the notation says, and files are what their formats say."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from motionllm import cli
from motionllm.motion import Motion
from motionllm.motion.narration import lines, narrate, sub_rip, web_vtt
from motionllm.motion.notation import Notation, measure

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
    for words in ("urns to the left", "icks", "quats four times. One.", "Two.", "Three.", "Four.", "Now sitting."):
        assert words in told, words


def test_repetitions_are_counted_where_they_are_done_and_only_slow_ones() -> None:
    cues = {cue.text: cue for cue in narrate(Notation.parse("8.0 s, standing to standing\n1.0-7.0 squat x4"))}
    assert [cues[word].start for word in ("Two.", "Three.", "Four.")] == pytest.approx([2.5, 4.0, 5.5])
    fast = narrate(Notation.parse("3.0 s, standing to standing\n1.0-2.0 wave right hand x4"))
    assert not any("Two." in cue.text for cue in fast)


def test_what_is_still_is_said_in_one_cue() -> None:
    (cue,) = narrate(Notation.parse("3.0 s, lying to lying"))
    assert (cue.start, cue.end, cue.text) == (0.0, 3.0, "A person lies still.")


def test_the_formats() -> None:
    cues = narrate(Notation.parse(MANY))
    vtt, srt = web_vtt(cues), sub_rip(cues)
    head, *blocks = vtt.strip().split("\n\n")
    assert head == "WEBVTT" and len(blocks) == len(cues)
    clock = r"\d\d:[0-5]\d:[0-5]\d"
    assert all(re.fullmatch(rf"{clock}\.\d{{3}} --> {clock}\.\d{{3}}\n[^\n]+", block) for block in blocks)
    assert all(
        re.fullmatch(rf"{number}\n{clock},\d{{3}} --> {clock},\d{{3}}\n[^\n]+", block)
        for number, block in enumerate(srt.strip().split("\n\n"), 1)
    )
    assert len(lines(cues).splitlines()) == len(cues)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from motionllm import corpus as builtin

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
