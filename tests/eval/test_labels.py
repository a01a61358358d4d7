"""Labels read from captions: exact wordings, near ones, ambiguous ones, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionllm import cli
from motionllm.data.sources import humanml3d
from motionllm.errors import MotionLLMError
from motionllm.eval.labels import Reader, label_scores, labels_of_folder
from motionllm.samples import Sample

BANDAI = Path(__file__).parents[2] / ".." / "shared" / "data" / "bandai"


def clip(name: str, captions: list[str], **labels: object) -> Sample:
    return Sample(name, lambda: np.zeros((8, 263), np.float32), captions, labels=labels)


TRAIN = [
    clip("1", ["a person walks angrily.", "angrily, a person walks."], content="walk", style="angry"),
    clip("2", ["a person walks angrily."], content="walk", style="furious"),
    clip("3", ["a person runs happily."], content="run", style="happy"),
    clip("4", ["a person bows."], content="bow", style="happy", human_captions=3),
]
VAL = [
    clip("a", ["?"], content="walk", style="angry"),
    clip("b", ["?"], content="walk", style="furious"),
    clip("c", ["?"], content="run", style="happy"),
    clip("d", ["?"], content="kick", style="happy"),
    clip("a#1", ["?"], content="walk", style="angry"),
]


def test_reading() -> None:
    read = Reader(TRAIN)
    assert read("a person bows.") is read.exact["a person bows."]
    assert read("He RUNS quite happily") is read.exact["a person runs happily."]
    assert read("a person") is read.exact["a person bows."]  # 2·2/5 against 2·2/6: shorter is nearer
    assert read("salta") is None and read("") is None
    assert read("a person walks angrily.").of("style") == {"angry", "furious"}
    assert read("angrily, a person walks.").of("style") == {"angry"}
    # To the letter comes before equal words; of two wordings as near the commoner is taken.
    assert read("a person walks angrily").text == "a person walks angrily."


def test_scores() -> None:
    said = {"a": "a person walks angrily.", "b": "angrily, a person walks.", "c": "someone runs happily", "x": "y"}
    result = label_scores(said, TRAIN, VAL)
    classes = result["labels"].pop("style").pop("classes")
    assert classes == {
        "angry": {"clips": 1, "right": 1, "accuracy": 1.0},
        "furious": {"clips": 1, "right": 0, "accuracy": 0.0},
        "happy": {"clips": 2, "right": 1, "accuracy": 0.5},
    }
    assert result == {
        "clips": 4,
        "missing": 1,  # d, which counts as wrong
        "unused": 1,  # x
        "exact": 2 / 3,
        "unreadable": 0,
        "all": 0.5,
        "labels": {
            "content": {
                "accuracy": 0.75,
                "strict": 0.75,
                "chance": 0.5,
                "majority": "walk",
                "reachable": 0.75,  # nobody kicks in training
                "ambiguous": 0,
                "clips": 4,
                "classes": {
                    "kick": {"clips": 1, "right": 0, "accuracy": 0.0},
                    "run": {"clips": 1, "right": 1, "accuracy": 1.0},
                    "walk": {"clips": 2, "right": 2, "accuracy": 1.0},
                },
            }
        },
    }
    style = label_scores(said, TRAIN, VAL)["labels"]["style"]
    assert (style["accuracy"], style["strict"], style["ambiguous"], style["chance"]) == (0.5, 0.25, 1, 0.5)


def test_labels_right_one_by_one_are_not_right_together() -> None:
    train = [
        clip("1", ["he moves"], content="walk", style="angry"),
        clip("2", ["he moves"], content="run", style="happy"),
        *(clip(f"{n}", ["he jumps"], content="jump", style="tired") for n in range(3, 6)),  # else nothing were told
    ]
    result = label_scores({"a": "he moves"}, train, [clip("a", ["?"], content="walk", style="happy")])
    assert [result["labels"][key]["accuracy"] for key in ("content", "style")] == [1.0, 1.0]
    assert result["all"] == 0.0


def test_labels_that_captions_do_not_tell_are_not_judged() -> None:
    # Each action was done by every actor and at every place, and captions name the action alone.
    acts = {"kickLFront1Reps": "a person kicks", "squat1Reps": "a person squats"}
    set_ = [
        clip(f"{actor}{place}{act}", [text], label=act, actor=actor, site=place)
        for act, text in acts.items()
        for actor in ("bk", "dg", "tr")
        for place in ("hall", "garden")
    ]
    result = label_scores({c.id: c.captions[0] for c in set_}, set_, set_)
    assert list(result["labels"]) == ["label"] and result["labels"]["label"]["clips"] == 12
    assert result["labels"]["label"]["strict"] == result["all"] == 1.0
    assert result["unjudged"] == {
        "actor": "is of people, files or codes",
        "site": "is told by the captions of 0% of the training clips",
    }
    for c in set_:
        del c.labels["label"]
    with pytest.raises(MotionLLMError, match="no label that captions can be judged on: actor is of people"):
        label_scores({c.id: c.captions[0] for c in set_}, set_, set_)


def test_what_cannot_be_scored() -> None:
    with pytest.raises(MotionLLMError, match="has labels"):
        label_scores({"a": "x"}, TRAIN, [clip("a", ["?"])])
    with pytest.raises(MotionLLMError, match=r"None of the 1 predictions is of one of the split's 4 clips.*like 'a'"):
        label_scores({"A": "x"}, TRAIN, VAL)
    with pytest.raises(MotionLLMError, match="train split has labels"):
        label_scores({"a": "x"}, [clip("1", ["x"])], VAL)


def folder(place: Path) -> Path:
    for part in ("new_joints", "texts"):
        (place / part).mkdir(parents=True)
    rows = []
    for split, clips in (("train", TRAIN), ("val", VAL[:4])):
        (place / f"{split}.txt").write_text("\n".join(c.id for c in clips), encoding="utf-8")
        for c in clips:
            np.save(place / "new_joints" / f"{c.id}.npy", np.zeros((8, 22, 3), np.float32))
            (place / "texts" / f"{c.id}.txt").write_text("\n".join(f"{t}##0.0#0.0" for t in c.captions), "utf-8")
            rows.append(json.dumps({"id": c.id, "split": split, **c.labels}))
    (place / "labels.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return place


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, said = folder(tmp_path / "set"), tmp_path / "p.jsonl"
    said.write_text('{"id": "a", "caption": "a person walks angrily."}\n{"id": "c", "caption": "he sits"}', "utf-8")
    argv = ["eval", "labels", "--predictions", str(said), "--data", str(data)]
    assert cli.main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == labels_of_folder({"a": "a person walks angrily.", "c": "he sits"}, data)
    assert (result["missing"], result["labels"]["content"]["accuracy"]) == (2, 0.25)
    assert cli.main(argv) == 0
    assert "content" in capsys.readouterr().out
    assert cli.main([*argv, "--split", "test"]) == 2
    assert "test.txt is missing" in capsys.readouterr().err
    (data / "labels.jsonl").unlink()
    assert cli.main(argv) == 2
    assert "has no labels.jsonl" in capsys.readouterr().err


def test_true_captions_of_bandai_are_right() -> None:
    if not BANDAI.is_dir():
        pytest.skip("the Bandai-Namco set is not beside the repository (../shared/data)")
    train, val = humanml3d(BANDAI, "train"), humanml3d(BANDAI, "val")
    result = label_scores({s.id: s.captions[0] for s in val}, train, val)
    assert result["missing"] == 0
    for key in ("content", "style"):
        found = result["labels"][key]
        assert found["strict"] <= found["accuracy"] <= found["reachable"]
        assert found["accuracy"] > 0.97
