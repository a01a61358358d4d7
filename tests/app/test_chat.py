"""Conversations: what a line becomes, what is remembered, what is refused, and that nothing ends them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motionllm import MotionLM
from motionllm import corpus as builtin
from motionllm.app.chat import ANEW, REMEMBERED, Chat, Reply
from motionllm.cli import main
from motionllm.config import Notes
from motionllm.data.beyond import CANNOT
from motionllm.data.changes import alternatives
from motionllm.data.queries import Query
from motionllm.errors import MotionLLMError
from motionllm.lm import continuous, decoding
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation
from motionllm.motion.show.terminal import drawings


@pytest.fixture(scope="module")
def lm(trained_run: tuple[Path, Path]) -> MotionLM:
    return MotionLM.load(trained_run[0])


@pytest.fixture
def chat(lm: MotionLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """A conversation in tmp_path/work, about motion wherever the line is no question."""
    monkeypatch.setattr(lm, "moves", lambda messages: not messages[-1]["content"].endswith("?"))
    (tmp_path / "work").mkdir()
    return Chat(lm, tmp_path / "work", seconds=1.5, seed=3, sampling=Sampling(best_of=2))


def wave() -> Motion:
    return Motion(builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1))


def test_make_it_ask_about_it_change_it(chat: Chat) -> None:
    made = chat.say("a person walks forward")
    assert made.motion is not None and made.motion.duration == pytest.approx(1.5) and not made.failed
    answer = chat.say("What does the person do?")
    assert answer.motion is None and answer.text == chat.lm.ask(made.motion, "What does the person do?")
    # This adapter was not trained to change a motion: the line is a motion of its own, and says so.
    anew = chat.say("a person walks slowly")
    assert anew.text.startswith(f"a person walks slowly (1.5 s, {ANEW}") and ANEW not in made.text
    assert chat.motion is anew.motion
    history = chat.say("/history").text
    assert [line[2:] for line in history.splitlines() if line.startswith("› ")] == [
        "a person walks forward",
        "What does the person do?",
        "a person walks slowly",
    ]


OLD = "4.0 s, standing to standing\n0.2-1.6 walk forward 1.0 m/s\n2.0-3.4 wave left hand x3"


@pytest.fixture
def editing(trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """A conversation with a model that says of itself that it plans and changes plans, and has learned neither."""
    lm = MotionLM.load(trained_run[0])
    lm.recipe.data.notation, lm.recipe.data.tasks["edit"] = Notes(), 1.0
    monkeypatch.setattr(lm, "moves", lambda messages: not _words(messages).endswith("?"))
    (tmp_path / "old.txt").write_text(OLD)
    return Chat(lm, tmp_path, seed=3, sampling=Sampling(best_of=2))


def _words(messages: list[dict[str, Any]]) -> str:
    last = messages[-1]["content"]
    return str(last if isinstance(last, str) else last[-1]["text"])


def _becomes(chat: Chat, monkeypatch: pytest.MonkeyPatch, change: str, plan: str = "") -> None:
    """Let the model understand every line as this change; plan: the next one, whose motion is then generated."""

    def replanning(*_: object, **__: object) -> Generator[None, None, Notation]:
        yield
        return Notation.parse(plan)

    def remaking(*_: object, **__: object) -> Generator[None, None, None]:
        yield

    monkeypatch.setattr(chat.lm, "changes", lambda plans, requests: [change] * len(plans))
    if plan:
        monkeypatch.setattr(chat.lm, "replanning", replanning)
        monkeypatch.setattr(chat.lm, "remaking", remaking)


def test_a_plan_is_shown_and_taken_from_a_file(editing: Chat, tmp_path: Path) -> None:
    assert editing.say("/plan").failed
    made = editing.say("/plan old.txt")
    assert not made.failed and made.motion is not None and made.motion.duration == pytest.approx(4.0)
    assert editing.say("/plan").text == OLD
    walked = editing.say("/move a person walks")
    assert walked.motion is not None
    plan = Notation.parse(editing.say("/plan").text)
    assert plan == editing.lm.plan("a person walks", seed=3) and walked.motion.duration == pytest.approx(plan.seconds)
    wave().save(tmp_path / "wave.bvh")
    editing.say("/load wave.bvh")
    assert (
        editing.say("/plan").text == str(editing.lm.notation(wave())) and "wave left hand" in editing.say("/plan").text
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4.0 s, standing to standing\n0.2-1.6 teleport", "old.txt: Notation, line 2"),
        ("4.0 s, standing to standing\n2.0-1.6 walk", "line 2"),
        ("walk", "line 1"),
        ("", "line 1"),
        ("90.0 s, standing to standing", "90"),
    ],
)
def test_a_wrong_plan_is_refused_in_a_sentence(editing: Chat, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "old.txt").write_text(text)
    reply = editing.say("/plan old.txt")
    assert reply.failed and says in reply.text and "defect" not in reply.text and "\n" not in reply.text
    assert editing.motion is None and editing.say("/plan none.txt").failed
    assert "file" in Chat(editing.lm, None).say("/plan old.txt").text


@pytest.mark.parametrize("best_of", [1, 2])
@pytest.mark.parametrize(
    ("new", "begin", "end"),
    [
        (OLD.replace("left", "right"), 1.7, 0.3),  # too little at the end to be kept
        (OLD.replace("4.0 s", "6.0 s") + "\n4.6-5.2 jump 0.3 m", 3.7, 0.0),
        (
            "6.0 s, standing to standing\n0.5-1.5 jump 0.3 m\n2.2-3.6 walk forward 1.0 m/s\n4.0-5.4 wave left hand x3",
            0.0,
            3.7,
        ),
        ("2.7 s, standing to standing\n0.1-1.1 walk forward 1.5 m/s\n1.3-2.3 wave left hand x3 quickly", 0.0, 0.0),
    ],
)
def test_codes_stay_where_the_plan_does(
    editing: Chat, monkeypatch: pytest.MonkeyPatch, new: str, begin: float, end: float, best_of: int
) -> None:
    editing.sampling = Sampling(best_of=best_of)
    editing.say("/plan old.txt")
    old = editing.codes
    assert old is not None
    _becomes(editing, monkeypatch, "mirror", new)
    editing.seed = 4
    *pieces, reply = editing.turn("change it")
    assert isinstance(reply, Reply) and not reply.failed and reply.motion is not None, reply
    codes, tokenizer = editing.codes, editing.lm.motion_tokenizer
    assert codes is not None and str(editing.plan) == new and editing.motion is reply.motion
    assert reply.motion.duration == pytest.approx(float(new.split(" ")[0]), abs=0.051)
    assert len(codes) == int(np.ceil(round(len(reply.motion) / tokenizer.frames_per_step, 6))) * tokenizer.parts
    assert np.allclose(tokenizer.decode(codes).canonical().joints[: len(reply.motion)], reply.motion.joints, atol=0.02)
    first, last = (int(s * tokenizer.steps_per_second) * tokenizer.parts for s in (begin, end))
    first, last = (n if n >= 0.5 * tokenizer.codes_per_second else 0 for n in (first, last))
    assert np.array_equal(codes[:first], old[:first])
    assert np.array_equal(codes[len(codes) - last :], old[len(old) - last :])
    middle = slice(first, len(codes) - last)
    assert not np.array_equal(codes[middle], old[middle])
    assert pieces[-1] == editing.plan


def test_what_a_line_comes_to(editing: Chat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wave().save(tmp_path / "wave.bvh")
    for first in ("/load wave.bvh", "/plan old.txt"):
        editing.say(first)
        before = Notation.parse(editing.say("/plan").text)
        _becomes(editing, monkeypatch, "wave right hand")
        reply = editing.say("the other hand")
        assert reply.motion is not None and "waves with the right hand" in reply.text
        assert str(editing.plan) == str(before).replace("left hand", "right hand")
    held = editing.motion
    _becomes(editing, monkeypatch, "question")
    assert editing.say("Which hand?").text == editing.lm.ask(held, "Which hand?")  # type: ignore[arg-type]
    _becomes(editing, monkeypatch, "talk")
    assert editing.say("Thanks").text == editing.lm.talk([{"role": "user", "content": "Thanks"}], 3)
    assert editing.motion is held
    _becomes(editing, monkeypatch, "cannot")
    assert editing.say("make it sadder").text == CANNOT and editing.motion is held
    _becomes(editing, monkeypatch, "undo")
    back = editing.say("it was better before")
    assert back.text.startswith("as it was: ") and editing.motion is back.motion is not held
    _becomes(editing, monkeypatch, "wave right hand")
    held = editing.say("the other hand").motion
    for nonsense in ("kick x3", "fly", ""):
        _becomes(editing, monkeypatch, nonsense)
        reply = editing.say("a change")
        assert reply.failed and "understood" in reply.text and editing.motion is held
    _becomes(editing, monkeypatch, "new")
    assert editing.say("a person jumps").text.startswith("a person jumps (") and editing.motion is not held


def test_the_motion_itself_is_changed_where_that_can_be_done(
    editing: Chat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wave().save(tmp_path / "wave.bvh")
    editing.say("/load wave.bvh")
    before = editing.lm.notation(wave())
    _becomes(editing, monkeypatch, "slower")
    *others, reply = editing.turn("now slower")
    assert isinstance(reply, Reply) and reply.motion is not None and editing.motion is reply.motion
    assert reply.motion.duration == pytest.approx(1.5 * wave().duration, abs=0.2)
    assert others == [editing.plan] and editing.plan is not None
    assert editing.plan.seconds == pytest.approx(1.5 * before.seconds, abs=0.1)
    tokenizer = editing.lm.motion_tokenizer
    assert editing.codes is not None and np.array_equal(editing.codes, tokenizer.encode(reply.motion))


def test_what_is_added_comes_after_the_motion(editing: Chat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wave().save(tmp_path / "wave.bvh")
    editing.say("/load wave.bvh")
    before = Notation.parse(editing.say("/plan").text)
    _becomes(editing, monkeypatch, "then a person sits down")
    reply = editing.say("then sit down")
    assert reply.motion is not None and editing.plan is not None and reply.motion.duration > wave().duration
    assert editing.plan.lines[: len(before.lines)] == before.lines and editing.plan.seconds > before.seconds


@pytest.mark.parametrize("words", ["/undo", "Undo that.", "no, undo it", "please go back one step", "take back"])
def test_what_was_made_is_undone_step_by_step(chat: Chat, words: str) -> None:
    assert "nothing to go back to" in chat.say(words).text
    one = chat.say("a person walks").motion
    two = chat.say("a person jumps").motion
    chat.say("what does the person do?")  # changes nothing
    assert one is not None and two is not None and chat.motion is two
    assert chat.say(words).motion is one and chat.motion is one and chat.made
    assert chat.say(words).motion is None and chat.motion is None
    assert chat.say(words).failed
    chat.say("a person walks")
    chat.hold(clip := wave(), "a clip")  # an upload is a step as well
    assert chat.motion is clip and chat.say(words).motion is not None and chat.motion is not clip
    for new in ("/new", "/NEW", "/new please"):
        chat.say("a person walks")
        chat.say(new)
        assert chat.say(words).failed, new


def test_in_place_of_a_change_that_cannot_be_made_the_likeliest_that_can(
    editing: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, old = editing.lm, Notation.parse(OLD)
    monkeypatch.setattr(lm, "say", lambda asked: ["lose a few things", "wave x2", "kick x3"][: len(asked)])
    compared: list[list[str]] = []

    def likelihoods(prompts: Any, replies: Any) -> list[float]:
        assert len({tuple(prompt) for prompt in prompts}) == 1 and {reply[-1] for reply in replies} == {lm._stop}
        compared.append([lm.tokenizer.decode(reply[:-1]) for reply in replies])
        return [float(text == "wave x5") for text in compared[-1]]

    monkeypatch.setattr(lm.backend, "likelihoods", likelihoods)
    assert lm.changes([old] * 3, ["simplify it", "twice", "do it thrice"]) == ["wave x5", "wave x2", "wave x5"]
    assert compared == [alternatives(old, "kick x3")] * 2  # what can be made is left as it is
    monkeypatch.setattr(lm, "say", lambda asked: ["kick x3"])
    assert lm.changes([old], ["kick thrice"]) == ["kick x3"]  # named, and not there: to be refused


@pytest.mark.parametrize(
    ("request_", "plainly"),
    [
        ("can he wave with the left hand whilst walking?", "wave with the left hand whilst walking"),
        ("good, but could she please kick twice?", "kick twice"),
        ("Would the man also bow?", "bow"),
        ("can you tell me which hand it is?", ""),
        ("how often can he wave?", ""),
        ("which leg would he kick with?", ""),
        ("is it fast?", ""),
    ],
)
def test_what_is_asked_for_as_if_it_were_a_question(
    editing: Chat, monkeypatch: pytest.MonkeyPatch, request_: str, plainly: str
) -> None:
    seen: list[str] = []

    def say(asked: list[Any]) -> list[str]:
        seen.extend(one[0]["content"][0]["text"] for one in asked)
        return ["question" if request_ in seen[-1] else "mirror"] * len(asked)

    monkeypatch.setattr(editing.lm, "say", say)
    (change,) = editing.lm.changes([Notation.parse(OLD)], [request_])
    assert change == ("mirror" if plainly else "question")
    assert len(seen) == 1 + bool(plainly) and plainly in seen[-1]
    monkeypatch.setattr(editing.lm, "say", lambda asked: ["question"] * len(asked))
    assert editing.lm.changes([Notation.parse(OLD)], [request_]) == ["question"]  # understood so twice, it is one


def test_the_model_is_asked_in_the_words_that_it_learned(editing: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(editing.lm, "say", lambda asked: seen.extend(asked) or ["mirror"] * len(asked))
    old = Notation.parse(OLD)
    assert editing.lm.changes([old, old], ["mirror it ", "flip it"]) == ["mirror", "mirror"]
    template = editing.lm.templates.phrasings("edit")[0].turns[0]["user"]
    filled = template.format(plan="4.0 s: walk forward; wave left hand x3", request="mirror it")
    assert seen[0] == [{"role": "user", "content": [{"type": "text", "text": filled}]}]
    with pytest.raises(MotionLLMError, match="empty"):
        editing.lm.changes([old], [" "])
    editing.lm.recipe.data.tasks["edit"] = 0.0
    with pytest.raises(MotionLLMError, match="was not trained"):
        editing.lm.changes([old], ["mirror it"])


def test_messages_change_a_motion_too(editing: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = editing.lm
    messages: list[dict[str, Any]] = [{"role": "user", "content": "a person walks and waves"}]
    messages.append(lm.chat(messages, seed=1, plan=OLD))
    old = messages[-1]["content"][0]
    assert old["notation"] == OLD and len(old["codes"])
    _becomes(editing, monkeypatch, "wave other side")
    shown = {"type": "motion", "motion": old["motion"], "notation": OLD}
    for given in (messages, [{"role": "user", "content": [shown]}]):
        part = lm.chat([*given, {"role": "user", "content": "the other hand"}], seed=2)["content"][0]
        kept = int(1.7 * lm.motion_tokenizer.steps_per_second) * lm.motion_tokenizer.parts
        assert part["notation"] == OLD.replace("left", "right")
        codes = old["codes"] if given is messages else lm.motion_tokenizer.encode(old["motion"])
        assert np.array_equal(part["codes"][:kept], codes[:kept])
    _becomes(editing, monkeypatch, "question")
    asking = [*messages, {"role": "user", "content": "Which hand?"}]
    assert lm.chat(asking, seed=2)["content"][0]["type"] == "text"
    lm.recipe.data.tasks["query"], lm.shown = 1.0, "both"
    monkeypatch.setattr(lm, "queried", lambda questions: [Query.parse("side wave")])
    assert lm.chat(asking, seed=2)["content"][0] == {"type": "text", "text": "left"}
    plan_alone = [{"role": "user", "content": [{"type": "motion", "notation": OLD}]}, asking[-1]]
    assert lm.chat(plan_alone, seed=2)["content"][0] == {"type": "text", "text": "left"}
    monkeypatch.setattr(lm, "queried", lambda questions: [Query.parse("count step")])
    assert lm.chat(asking, seed=2)["content"][0]["type"] == "text"
    _becomes(editing, monkeypatch, "cannot")
    assert lm.chat(asking, seed=2)["content"][0] == {"type": "text", "text": CANNOT}
    _becomes(editing, monkeypatch, "undo")
    assert "no earlier motion" in lm.chat(asking, seed=2)["content"][0]["text"]
    later = [*messages, {"role": "assistant", "content": [part]}, {"role": "user", "content": "as it was"}]
    assert np.array_equal(lm.chat(later, seed=2)["content"][0]["codes"], old["codes"])
    _becomes(editing, monkeypatch, "new")
    said = lm.chat([*messages, {"role": "user", "content": "a person jumps"}], seed=2)["content"][0]
    assert said["type"] == "motion" and said["notation"] != OLD


def test_a_seed_repeats_a_turn(chat: Chat) -> None:
    first, second = (chat.say("a person bows").motion for _ in range(2))
    chat.say("/seed 4")
    third = chat.say("a person bows").motion
    assert np.array_equal(first.joints, second.joints)  # type: ignore[union-attr]
    assert not np.array_equal(first.joints, third.joints)  # type: ignore[union-attr]


def test_pieces_come_before_the_reply(chat: Chat) -> None:
    chat.sampling = Sampling(best_of=1)
    *pieces, reply = chat.turn("a person bows")
    assert isinstance(reply, Reply) and reply.motion is not None
    assert all(isinstance(piece, np.ndarray) for piece in pieces)
    assert sum(map(len, pieces)) == len(reply.motion) == 30  # type: ignore[arg-type]


def test_a_clip_is_loaded_asked_about_and_saved(chat: Chat, tmp_path: Path) -> None:
    wave().save(tmp_path / "work" / "wave.bvh")
    assert "wave.bvh" in chat.say("/load wave.bvh").text
    assert chat.say("Which hand?").text == chat.lm.ask(Motion.load(tmp_path / "work" / "wave.bvh"), "Which hand?")
    assert not chat.say("/save last.glb").failed
    assert (tmp_path / "work" / "last.glb").stat().st_size > 1000
    assert chat.say("now jump").text.startswith("now jump (")


def test_text_without_a_clip_is_for_the_base(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in (decoding, continuous):  # an untrained base that may not loop fills its context
        monkeypatch.setattr(way, "repeating", lambda ids: [])
    message = {"role": "user", "content": "Why?"}
    first = chat.say("Why?").text
    assert first == chat.lm.talk([message], 3)
    second = chat.say("Why not?").text
    history = [message, {"role": "assistant", "content": first}, {"role": "user", "content": "Why not?"}]
    assert second == chat.lm.talk(history, 3)
    chat.say("/new")
    assert chat.say("Why?").text == first


def test_duration_and_seed_are_set(chat: Chat) -> None:
    chat.say("/seconds 0.5-0.9")
    assert 0.5 <= chat.say("a person bows").motion.duration <= 0.9  # type: ignore[union-attr]
    chat.say("/seconds off")
    assert chat.seconds is None
    for wrong in ("/seconds soon", "/seconds 900", "/seconds 3-2", "/seed x", "/seed -1", "/seed 1.5"):
        assert chat.say(wrong).failed, wrong
    assert chat.say("/move Why?").motion is not None


@pytest.mark.parametrize(
    "name",
    [
        "../x.npy",
        "/tmp/motionllm-escape.npy",
        "a/../../x.npy",
        "out/x.npy",
        "x.npy\0.bvh",
        "x.sh",
        ".npy",
        "",
        "~/x.npy",
        "no/such/folder.npy",
    ],
)
def test_path_tricks_do_nothing(chat: Chat, name: str, tmp_path: Path) -> None:
    (tmp_path / "work" / "out").symlink_to(tmp_path)
    chat.say("a person bows")
    before = sorted(tmp_path.rglob("*"))
    reply = chat.say(f"/save {name}")
    assert reply.failed and reply.text
    assert sorted(tmp_path.rglob("*")) == before and not Path("/tmp/motionllm-escape.npy").exists()


@pytest.mark.parametrize(
    "line",
    [
        "/load",
        "/load /etc/passwd",
        "/load none.bvh",
        "/load half.bvh",
        "/load a.npy",
        "/save",
        "/play",
        "/nothing",
        "/",
        "/say",
        "",
        "walk " * 5000,
    ],
)
def test_errors_leave_the_conversation_alive(chat: Chat, line: str, tmp_path: Path) -> None:
    (tmp_path / "work" / "half.bvh").write_text("HIERARCHY\n")
    np.save(tmp_path / "work" / "a.npy", np.full((30, 22, 3), np.nan))
    reply = chat.say(line)
    assert reply.failed and len(reply.text) > 10
    assert chat.say("a person bows").motion is not None


@pytest.mark.parametrize(
    "line",
    [
        "/load ~nosuchuser/x.bvh",
        "/load " + "x" * 5000,
        "/load " + "a/" * 2500,
        "/save " + "x" * 5000,
        "/save x.np" * 900,
        "/save " + "é" * 150 + ".npy",
        "/load a\0b.bvh",
        "/save a\0.npy",
        "a person \0 bows",
        "\x1b[2J",
        "\udcff\udcfe?",
        "/\udcff",
        "/" + "x" * 1_000_000,
        "/x" * 500,
        "walk " * 200_000,
    ],
)
def test_odd_lines_are_answered_in_a_sentence(chat: Chat, line: str, caplog: pytest.LogCaptureFixture) -> None:
    reply = chat.say(line)
    assert reply.failed and 10 < len(reply.text) < 400 and "defect" not in reply.text
    assert not caplog.records
    assert reply.text in chat.say("/history").text  # which a console can print
    assert len(chat.turns[0][0].encode()) < 150_000
    assert chat.say("a person bows").motion is not None


def test_a_defect_leaves_the_conversation_alive(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    chat.say("a person bows")
    monkeypatch.setattr(chat.lm, "ask", lambda *_: 1 / 0)
    reply = chat.say("Which hand?")
    assert reply.failed and "ZeroDivisionError" in reply.text
    assert chat.say("a person bows").motion is not None


def test_memory_is_bounded(chat: Chat) -> None:
    for _ in range(REMEMBERED + 5):
        chat.say("/seconds off")
    assert len(chat.turns) == REMEMBERED


def test_lines_of_bytes_over_a_pipe(
    trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        b"\xff\xfe\xfd",
        b"/say \xe9",
        b"/" + b"\xf0\x9f" * 10,
        np.random.default_rng(2).bytes(300).translate(None, b"\r\n"),
    ]
    script = io.TextIOWrapper(io.BytesIO(b"\n".join([*lines, b"/seed 7"])), encoding="utf-8", errors="strict")
    monkeypatch.setattr("sys.stdin", script)
    assert main(["chat", "--model", str(trained_run[0]), "--folder", str(tmp_path), "--json"]) == 2
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["failed"] for row in rows] == [True] * len(lines) + [False]
    assert all(len(row["text"]) < 200 for row in rows) and rows[-1]["text"] == "seed 7"


def test_two_conversations_share_nothing(chat: Chat) -> None:
    other = Chat(chat.lm, None)
    chat.say("a person bows")
    assert other.motion is None and other.say("/history").text == "nothing was said yet"
    assert other.say("/load x.bvh").failed and other.say("/save x.bvh").failed  # no folder, no files


def test_help_names_every_command(chat: Chat) -> None:
    said = chat.say("/help").text
    assert all(f"/{name}" in said for name in chat.commands)
    assert chat.say("/quit").over


def test_a_figure_is_drawn() -> None:
    drawn = drawings(wave(), 10.0, 40, 16)
    assert len(drawn) == pytest.approx(wave().duration * 10, abs=1)
    assert len(set(drawn)) > len(drawn) // 2  # it moves
    for drawing in drawn:
        lines = drawing.splitlines()
        assert len(lines) == 16 and {len(line) for line in lines} == {40}
        assert all(0x2800 <= ord(c) <= 0x28FF for line in lines for c in line)
    # The left hand goes up: seen from in front, above the head's height there are dots on the right alone.
    high = max(drawn, key=lambda d: sum(c != "⠀" for line in d.splitlines()[:2] for c in line)).splitlines()[:2]
    assert any(c != "⠀" for line in high for c in line[21:]) and all(c == "⠀" for line in high for c in line[:16])


def test_a_script_over_a_pipe(
    trained_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MotionLM, "moves", lambda _, messages: not messages[-1]["content"].endswith("?"))
    script = (
        "a person bows\nWhat does the person do?\na person waves\n/play\n/save x.npy\n/load none.bvh\n/save y.bvh\n"
    )
    script += "/quit\nnot reached\n"
    words = ["chat", "--model", str(trained_run[0]), "--folder", str(tmp_path), "--seconds", "1.5", "--best-of", "2"]
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.stdin", io.StringIO(script))
        assert main([*words, *more]) == 2  # one line failed, the later ones ran
        out, _ = capsys.readouterr()
        assert "not reached" not in out
        if more:
            rows = [json.loads(line) for line in out.splitlines()]
            assert [row["failed"] for row in rows] == [False] * 5 + [True, False, False]
            assert (rows[0]["seconds"], rows[2]["seconds"]) == (1.5, 1.5)
        else:
            assert "a person waves (1.5 s" in out and re.search("[\u2801-\u28ff]", out)
    assert Motion.load(tmp_path / "x.npy").duration == pytest.approx(1.5)
    assert (tmp_path / "y.bvh").is_file()


@pytest.mark.slow
def test_three_turns_with_the_adapter_that_ships(tmp_path: Path) -> None:
    chat = Chat(MotionLM.load("default"), tmp_path, seed=1)
    made = chat.say("a person kicks with the right leg")
    assert made.motion is not None
    assert re.search("kick|leg|foot", chat.say("What does the person do?").text)
    if chat.lm.edits:
        assert chat.say("now slower").motion.duration > made.motion.duration  # type: ignore[union-attr]
    chat.say("/new")
    assert "Paris" in chat.say("What is the capital of France?").text


@pytest.mark.slow
def test_talk_is_answered_in_words_and_what_a_body_does_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lm = MotionLM.load("default")
    turns = yaml.safe_load(Path(__file__).with_name("chat_turns.yaml").read_text(encoding="utf-8"))
    shown = {
        kind: [line for line in lines if lm.moves([{"role": "user", "content": line}])] for kind, lines in turns.items()
    }
    right = {"motion": len(shown["motion"]), "plain": len(turns["plain"]) - len(shown["plain"])}
    with capsys.disabled():
        for kind, lines in turns.items():
            print(f"\n{right[kind]} of {len(lines)} {kind} turns", end="")
        missed = [line for line in turns["motion"] if line not in shown["motion"]]
        print(f"; shown but talk: {shown['plain']}; answered but motion: {missed}")
    assert min(len(lines) for lines in turns.values()) >= 20
    assert "Hello" not in shown["plain"] and "wave hello" in shown["motion"]
    assert all(right[kind] >= 0.9 * len(lines) for kind, lines in turns.items())


def test_a_line_is_talk_where_it_is_no_caption(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = [{"role": "user", "content": [{"type": "motion", "motion": wave()}, {"type": "text", "text": "Go on"}]}]
    for opens, score, moves in ((True, 9.0, True), (True, -9.0, False), (False, 9.0, False)):
        monkeypatch.setattr("motionllm.lm.decoding.starts_motion", lambda *_, o=opens: o)
        monkeypatch.setattr(lm, "bodily", lambda _, s=score: s)
        assert lm.moves([{"role": "user", "content": "Hello"}]) is moves
        assert lm.moves(clip) is opens  # about a clip the model alone decides: it was trained on such turns


def test_the_score_of_a_line_is_of_its_tokens(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(np.isfinite(lm.bodily(line)) for line in ("Hello", ".", "a person <motion_1> waves"))
    assert lm.bodily("a person waves.") == lm.bodily("a person waves")
    monkeypatch.setattr(lm.backend, "base_model", lm.model)
    rated = iter([-6.0, -30.0])
    monkeypatch.setattr("motionllm.lm.decoding.likelihoods", lambda *_: [next(rated)])
    count = len(lm.tokenizer.encode("a person waves", add_special_tokens=False))
    assert lm.bodily("a person waves") == pytest.approx(24 / count)
