"""BLEU, ROUGE-L and CIDEr: worked by hand, against pycocoevalcap, and through the command line."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from motionllm import cli
from motionllm.errors import MotionLLMError
from motionllm.eval.text import bleu, caption_scores, cider, normalised, read_predictions, read_references, rouge_l

CAPTIONS = Path(__file__).parents[1] / "data" / "cmu" / "captions.jsonl"
MADE_UP = {
    "a": ["A person walks forward.", "someone walks  forward, then stops", "person walks forwards"],
    "b": ["a man waves his right hand. ", "The man waves"],
    "c": ["he turns counter-clockwise; he's fast!", "a person spins around in a circle on the spot"],
    "d": ["a person walks forward and waves his right hand", "walking, waving"],
}
SAID = {"a": "a person walks forward.", "b": "the man waves his right hand.", "c": "", "d": "person person walks"}


def theirs(said: dict[str, str], true: dict[str, list[str]]) -> dict[str, float]:
    """What pycocoevalcap prints on the same text."""
    bleu_module = pytest.importorskip("pycocoevalcap.bleu.bleu", reason="pycocoevalcap is not installed")
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    made = {name: [said[name]] for name in true}
    bleus = bleu_module.Bleu(4).compute_score(true, made, verbose=0)[0]
    return {
        **{f"bleu{n}": value for n, value in enumerate(bleus, 1)},
        "rouge_l": float(Rouge().compute_score(true, made)[0]),
        "cider": float(Cider().compute_score(true, made)[0]),
    }


def agree(said: dict[str, str], true: dict[str, list[str]]) -> None:
    ours = caption_scores(said, true)
    assert ours["raw"] == pytest.approx(theirs(said, true), abs=1e-9)
    plain = {k: normalised(v) for k, v in said.items()}
    assert ours["normalised"] == pytest.approx(theirs(plain, {k: [normalised(r) for r in v] for k, v in true.items()}))


def test_agrees_with_pycocoevalcap_on_made_up_captions() -> None:
    agree(SAID, MADE_UP)
    agree({"x": "nothing in common"}, {"x": ["a person walks"]})


def test_agrees_with_pycocoevalcap_on_real_captions() -> None:
    rows = [json.loads(line) for line in CAPTIONS.read_text(encoding="utf-8").splitlines()]
    draw = random.Random(0)
    said = {row["id"]: row["captions"][0] for row in rows}
    for name in draw.sample(sorted(said), len(said) // 2):  # half of them speak of another clip
        said[name] = draw.choice(rows)["captions"][0]
    agree(said, {row["id"]: row["captions"][1:] for row in rows})


def test_bleu_by_hand() -> None:
    # Papineni et al. 2002, table 1: clipping leaves 2 of 7 "the"; the closest reference has 7 words, no penalty.
    true = [["the cat is on the mat", "there is a cat on the mat"]]
    assert bleu(["the the the the the the the"], true)[0] == pytest.approx(2 / 7)
    short = bleu(["the cat"], [["the cat is on the mat"]])
    assert short[:2] == pytest.approx([math.exp(1 - 6 / 2)] * 2)
    assert bleu(["a b c d e"], [["a b c d e"]]) == pytest.approx([1.0] * 4)


def test_rouge_by_hand() -> None:
    # Lin 2004's sentences: all 3 words in order of a reference of 4, then one word alone.
    true = [["police killed the gunman"]]
    p, r = 3 / 3, 3 / 4
    assert rouge_l(["police the gunman"], true) == pytest.approx(2.44 * p * r / (r + 1.44 * p))
    p, r = 1 / 3, 1 / 4
    assert rouge_l(["gunman the police"], true) == pytest.approx(2.44 * p * r / (r + 1.44 * p))


def test_cider_by_hand() -> None:
    # Two ids without a common word: every 1- to 4-gram has the same weight, and a copy of the reference scores 10.
    assert cider(["a b c d", "e f g h"], [["a b c d"], ["e f g h"]]) == pytest.approx(10.0)
    assert cider(["e f g h", "a b c d"], [["a b c d"], ["e f g h"]]) == 0.0
    # Half the words: cosine 1/√2 of 1-grams, 1/√3 of 2-grams, none longer; two 2-grams fewer.
    half = (1 / math.sqrt(2) + 1 / math.sqrt(3)) / 4 * math.exp(-4 / 72)
    assert cider(["a b", "e f g h"], [["a b c d"], ["e f g h"]]) == pytest.approx((10 * half + 10) / 2)


def test_normalised() -> None:
    assert normalised("  The man's “left”  arm, counter-clockwise. ") == "the mans left arm counterclockwise"
    scores = caption_scores({"a": "A man WAVES.", "b": "he sits"}, {"a": ["a man waves"], "b": ["he sits!"]})
    assert scores["normalised"]["bleu1"] == pytest.approx(1.0)
    assert scores["raw"]["bleu1"] == pytest.approx(2 / 5)


def test_ids_must_be_the_same() -> None:
    with pytest.raises(MotionLLMError, match="1 of 2 predictions have no reference, first 'z'"):
        caption_scores({"a": "x", "z": "y"}, {"a": ["x"]})
    with pytest.raises(MotionLLMError, match="2 of 3 references have no prediction, first 'b'"):
        caption_scores({"a": "x"}, {"a": ["x"], "b": ["x"], "c": ["x"]})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ('{"id": "a", "caption": "x"}\n{"id": "b", "cap', "line 2 is not JSON"),
        ('{"id": "a", "caption": "x"}\n\n{"id": "a", "caption": "y"}', "line 3: 'a' was already on line 1"),
        ('{"id": "a"}', "line 1 has no 'caption'"),
        ('{"caption": "x"}', "line 1 has no 'id'"),
        ('["a", "x"]', "line 1 is no JSON object"),
        ('{"id": 12, "caption": "x"}', "line 1: 'id' must be a string, got 12"),
        ('{"id": "a", "caption": ["x", "y"]}', "line 1: 'caption' of 'a' must be a string"),
        ('{"id": "a", "caption": []}', "line 1: 'caption' of 'a' must be a string"),
        ('{"a": "x", "b": "y"}', "line 1 has no 'id'"),
        ("[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_broken_predictions_name_the_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MotionLLMError) as error:
        read_predictions(path)
    assert says in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("captions", ["x", [], ["x", ""], [1], None])
def test_broken_references_name_the_line(tmp_path: Path, captions: object) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"id": "a", "captions": captions}), encoding="utf-8")
    with pytest.raises(MotionLLMError, match="line 1: 'captions' of 'a' must be a list"):
        read_references(path)


def test_one_json_file_reads_as_lines_do(tmp_path: Path) -> None:
    lists = {name: [caption] for name, caption in SAID.items()}
    rows = [{"id": name, "caption": caption, "score": 0.5} for name, caption in SAID.items()]
    for number, tree in enumerate((SAID, lists, rows)):  # the second is pycocoevalcap's own layout
        for indent in (None, 1):
            path = tmp_path / f"{number}{indent}.json"
            path.write_text(json.dumps(tree, indent=indent), encoding="utf-8")
            assert read_predictions(path) == SAID
    path = tmp_path / "r.json"
    path.write_text(json.dumps(MADE_UP, indent=1), encoding="utf-8")
    assert read_references(path) == MADE_UP
    path.write_text('{"id": "a", "captions": ["x"]}\n{"id": "b", "captions": ["y", "z"]}\n')  # lines, by another name
    assert read_references(path) == {"a": ["x"], "b": ["y", "z"]}
    path.write_text('{"id": "a", "captions": ["x"]}')
    assert read_references(path) == {"a": ["x"]}
    for text, says in (
        ('{"a": ["x"], "b": ["y"], "a": ["z"]}', "entry 3: 'a' was already on entry 1"),
        ('{"a": ["x"], "b": "y"}', "entry 2: 'captions' of 'b' must be a list"),
        ('[{"id": "a", "captions": ["x"]}, "b"]', "entry 2 is no JSON object"),
        ('[{"id": "a", "captions": ["x"]}, {"id": "b"}]', "entry 2 has no 'captions'"),
        ("{}", "is empty"),
        ("[]", "is empty"),
        ("3", "line 1 is no JSON object"),
        ('{"a": ["x"],\n "b": [', "line 1 is not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(MotionLLMError) as error:
            read_references(path)
        assert says in str(error.value) and str(path) in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match="cannot be read: No such file"):
        read_predictions(tmp_path / "none.jsonl")
    with pytest.raises(MotionLLMError, match="cannot be read: Is a directory"):
        read_predictions(tmp_path)
    (tmp_path / "p.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MotionLLMError, match="not UTF-8"):
        read_predictions(tmp_path / "p.jsonl")


def test_a_line_separator_inside_a_caption_is_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('\ufeff{"id": "a", "caption": "walks\u2028on"}\r\n', encoding="utf-8")
    assert read_predictions(path) == {"a": "walks\u2028on"}


def test_command_line_is_the_python_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, true = tmp_path / "p.jsonl", tmp_path / "r.jsonl"
    said.write_text("".join(json.dumps({"id": k, "caption": v}) + "\n" for k, v in SAID.items()), encoding="utf-8")
    true.write_text("".join(json.dumps({"id": k, "captions": v}) + "\n" for k, v in MADE_UP.items()), encoding="utf-8")
    argv = ["eval", "captions", "--predictions", str(said), "--references", str(true)]
    assert cli.main([*argv, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and json.loads(out) == caption_scores(SAID, MADE_UP)
    assert cli.main(argv) == 0
    assert "bleu4" in capsys.readouterr().out
    true.write_text(true.read_text(encoding="utf-8") + "{", encoding="utf-8")
    assert cli.main([*argv, "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "line 5 is not JSON" in shown.err and shown.err.count("\n") == 1


def test_a_lemmatised_column_where_simplemma_is_installed() -> None:
    pytest.importorskip("simplemma", reason="simplemma is not installed")
    found = caption_scores({"a": "He waved his hands."}, {"a": ["he waves his hand", "a wave"]})
    assert list(found)[:3] == ["raw", "normalised", "lemmatised"]
    assert found["lemmatised"]["bleu4"] == pytest.approx(1.0)
    assert found["normalised"]["bleu1"] == pytest.approx(0.5)


def test_meteor_where_nltk_is_installed() -> None:
    pytest.importorskip("nltk", reason="nltk is not installed")
    # Banerjee & Lavie: alpha 0.9, beta 3, gamma 0.5. Three of four words match, in two chunks.
    found = caption_scores({"a": "A person walks today."}, {"a": ["a person is walking", "nothing"]})["meteor"]
    precision = recall = 3 / 4
    f = precision * recall / (0.9 * precision + 0.1 * recall)
    assert next(iter(found.values())) == pytest.approx(f * (1 - 0.5 * (2 / 3) ** 3))
