"""Conversations of the user's own: three forms, one meaning, and what is wrong with a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.config import Data, Source
from motionllm.data.clips import encode
from motionllm.data.examples import Examples
from motionllm.data.sources import has_split, read
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.language.bases import load_base_tokenizer
from motionllm.language.conversations import Renderer
from motionllm.language.vocab import MotionVocab
from motionllm.tokenizer import MotionTokenizer

ASKED, SAID = "What is shown?", "A wave."
FORMS = {
    "messages": {
        "messages": [
            {"role": "user", "content": [{"type": "motion", "motion": "a.npy"}, {"type": "text", "text": ASKED}]},
            {"role": "assistant", "content": SAID},
        ]
    },
    "sharegpt": {
        "conversations": [{"from": "human", "value": f"<motion>{ASKED}"}, {"from": "gpt", "value": SAID}],
        "motion": ["a.npy"],
    },
    "alpaca": {"instruction": f"<motion>{ASKED}", "input": "", "output": SAID, "motion": "a.npy"},
}
PLAIN = {
    "messages": {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}]},
    "alpaca": {"instruction": "Hello", "output": "Hi."},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1))
    return tmp_path


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def source(kind: str, path: Path) -> Source:
    return Source(kind=kind, path=str(path))  # type: ignore[arg-type]


def test_the_three_forms_say_the_same(folder: Path) -> None:
    read_ = [
        read(source(kind, write(folder / f"{kind}.jsonl", row)), "train")[0].messages for kind, row in FORMS.items()
    ]
    assert read_[0] == read_[1] == read_[2]
    assert read_[0][0]["content"][0] == {"type": "motion", "motion": str(folder / "a.npy")}
    listed = folder / "list.json"
    listed.write_text(json.dumps([FORMS["alpaca"]] * 2))
    assert [s.messages for s in read(source("alpaca", listed), "train")] == [read_[0]] * 2


@pytest.mark.parametrize("kind", FORMS)
def test_they_are_trained_on_as_they_stand(
    kind: str, folder: Path, tiny_base: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(folder / "cache"))
    given = source(kind, write(folder / "train.jsonl", FORMS[kind], PLAIN[kind]))
    tokenizer, text = MotionTokenizer.load(tiny_tokenizer), load_base_tokenizer(tiny_base)
    clips = encode(given, "train", tokenizer)
    assert sorted(len(clips.serving(task)) for task in ("conversation", "text", "caption", "question")) == [0, 0, 1, 1]
    vocab = MotionVocab.add(load_base_tokenizer(tiny_base), tokenizer.size, tokenizer.hash, tokenizer.parts)
    data = Data(sources=[given], tasks={"conversation": 1, "text": 1})
    stream = Examples([clips], data, Templates.load("default"), Renderer(text, vocab), 10.0, 0)
    drawn = dict(stream.draw() for _ in range(20))
    codes = vocab.encode(tokenizer.encode(np.load(folder / "a.npy")))
    place = drawn["conversation"].ids.index(vocab.start_id)
    assert drawn["conversation"].ids[place : place + len(codes)] == codes
    learned = {task: [i for i, s in zip(t.ids, t.supervised, strict=True) if s] for task, t in drawn.items()}
    assert text.decode(learned["conversation"]) == f"{SAID}<|im_end|>"
    assert text.decode(learned["text"]) == "Hi.<|im_end|>"


def test_a_changed_motion_file_is_encoded_again(
    folder: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(folder / "cache"))
    given, tokenizer = (
        source("alpaca", write(folder / "train.jsonl", FORMS["alpaca"])),
        MotionTokenizer.load(tiny_tokenizer),
    )

    def codes() -> list[int]:
        return encode(given, "train", tokenizer)[0].sample.messages[0]["content"][0]["codes"]

    before = codes()
    np.save(folder / "a.npy", np.load(folder / "a.npy")[:20])
    assert len(codes()) < len(before)


def test_a_folder_has_splits_and_a_file_is_for_training(folder: Path) -> None:
    file = write(folder / "train.jsonl", PLAIN["alpaca"])
    assert not has_split(source("alpaca", file), "val") and has_split(source("alpaca", file), "train")
    write(folder / "val.jsonl", PLAIN["alpaca"], PLAIN["alpaca"])
    assert len(read(source("alpaca", folder), "val")) == 2
    with pytest.raises(MotionLLMError, match="has no test split"):
        read(source("alpaca", folder), "test")


@pytest.mark.parametrize(
    ("kind", "row", "words"),
    [
        ("messages", {"conversations": []}, 'line 2 is not {"messages"'),
        ("messages", {"messages": [{"role": "robot", "content": "x"}]}, "role 'robot'"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "a part is"),
        ("messages", {"messages": [{"role": "user", "content": "x"}]}, "assistant says nothing"),
        ("sharegpt", {"conversations": [{"from": "bird", "value": "x"}]}, 'is not {"conversations"'),
        ("sharegpt", FORMS["sharegpt"] | {"motion": []}, "1 times <motion> and 0 motions"),
        ("alpaca", {"instruction": "x"}, 'is not {"instruction"'),
        ("alpaca", FORMS["alpaca"] | {"motion": "b.npy"}, "b.npy does not exist"),
        ("alpaca", [1], "line 2: is no JSON object"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(folder: Path, kind: str, row: object, words: str) -> None:
    file = write(folder / "train.jsonl", PLAIN[kind], row)
    with pytest.raises(MotionLLMError) as caught:
        read(source(kind, file), "train")
    assert words in str(caught.value) and "line 2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{", "line 1: is not valid JSON"),
        ("{}\n[]", "line 2: is no JSON object"),
        ("[1", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("\xff", "not UTF-8"),
    ],
)
def test_what_is_no_file_of_conversations_is_refused(folder: Path, text: str, words: str) -> None:
    (folder / "train.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(MotionLLMError, match=words):
        read(source("alpaca", folder / "train.jsonl"), "train")


def test_conversations_are_no_data_for_a_motion_tokenizer(folder: Path) -> None:
    sample = read(source("alpaca", write(folder / "train.jsonl", FORMS["alpaca"])), "train")[0]
    with pytest.raises(MotionLLMError, match="no clips of its own"):
        sample.load()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("listed", [False, True])
def test_files_of_an_editor_are_read(encoding: str, listed: bool, tmp_path: Path) -> None:
    rows = [{"instruction": f"Sag «{n}»\u2028", "output": f"é{n}"} for n in range(3)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = f"[{','.join(lines)}]" if listed else "\r\n".join([*lines, ""])
    (tmp_path / "train.json").write_bytes(text.encode(encoding))
    samples = read(source("alpaca", tmp_path), "train")
    assert [s.messages[1]["content"][0]["text"] for s in samples] == ["é0", "é1", "é2"]
