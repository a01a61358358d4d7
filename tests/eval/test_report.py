"""The table: comparable rows together, others apart, published numbers beside their own benchmark, the page's marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motionllm import cli, shipped
from motionllm.config import Suite, load_recipe
from motionllm.errors import MotionLLMError
from motionllm.eval import report


def result(model: str, r1: float, **protocol: Any) -> dict[str, Any]:
    spread = {"ci95": 0.01}
    return {
        "format": report.FORMAT,
        "protocol": {
            "suite": "s",
            "version": 1,
            "task": "text_to_motion",
            "captions": "first",
            "length": "own",
            "replications": 2,
            "group": 32,
            "pairs": 300,
            "temperature": 0.8,
            "top_p": 0.95,
            "best_of": 1,
            "data": "d",
            "split": "test",
            "cases": 9,
            "cases_hash": "abc",
            "embedder": {"kind": "own", "name": "e", "id": "1"},
        }
        | protocol,
        "model": model,
        "adapter": "0123456789abcdef",
        "real": {"r1": {"mean": 0.9} | spread, "fid": {"mean": 0.0, "ci95": 0.0}},
        "made": {"r1": {"mean": r1} | spread, "fid": {"mean": 1.25} | spread},
        "failures": 3,
    }


def test_rows_that_compare_stand_together() -> None:
    found = report.tables(
        [
            result("a", 0.5),
            result("b", 0.25),
            result("c", 0.1, embedder={"kind": "own", "name": "e", "id": "2"}),
            result("d", 0.2, length="given"),
        ]
    )
    assert [[row[0] for row in table["rows"]] for table in found] == [
        ["real data", "a (01234567)", "b (01234567)"],
        ["real data", "c (01234567)"],
        ["real data", "d (01234567)"],
    ]
    first = found[0]
    assert first["headings"] == ["R@1 ↑", "FID ↓", "failed ↓"]
    assert first["rows"][0] == ["real data", "0.900 ± 0.010", "0.000", "–"]
    assert first["rows"][1] == ["a (01234567)", "0.500 ± 0.010", "1.250 ± 0.010", "3"]
    assert "own stop" in first["about"] and "the true one given" in found[2]["about"]
    text = report.markdown(found)
    assert text.count("### s, version 1") == 3 and "| a (01234567) | 0.500 ± 0.010 | 1.250 ± 0.010 | 3 |" in text


def test_every_table_has_a_heading_of_its_own() -> None:
    protocols: list[dict[str, Any]] = [
        {},
        {"replications": 6},
        {"replications": 6, "length": "given"},
        {"embedder": {"kind": "own", "name": "e", "id": "2"}},
        {"embedder": None, "cases_hash": "def", "labels": ["style"]},
        {"suite": "t"},
        {"version": 2},
    ]
    found = report.tables([result("a", 0.5, **protocol) for protocol in protocols])
    titles = [table["title"] for table in found]
    assert len({*titles}) == len(protocols) and titles[-2:] == ["t, version 1", "s, version 2"]
    assert "replications 6" in titles[1] and "length given" in titles[2] and "embedder 2" in titles[3]


def test_a_result_that_is_named_twice_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(result("a", 0.5)))
    given = [tmp_path, tmp_path / "a.json", tmp_path / ".." / tmp_path.name / "a.json"]
    assert len(report.read_results(given)) == 1


def test_each_label_of_a_suite_has_a_column() -> None:
    one = result("a", 0.5, labels=["action", "style"])
    one["made"] |= {"label_action": {"mean": 0.5, "ci95": 0.0}, "label_style": {"mean": 0.25, "ci95": 0.0}}
    (table,) = report.tables([one])
    assert table["headings"] == ["R@1 ↑", "FID ↓", "action ↑", "style ↑", "failed ↓"]
    assert table["rows"][1][3:] == ["0.500", "0.250", "3"]


def test_published_numbers_stand_beside_their_benchmark_alone(tmp_path: Path) -> None:
    file = tmp_path / "n.yaml"
    rows = [
        {
            "benchmark": "h",
            "task": "text_to_motion",
            "system": "X",
            "source": "Y 2020",
            "scores": {"r1": 0.4},
            "differs": "the true length is given",
        },
        {"benchmark": "h", "task": "captioning", "system": "Z", "source": "W", "scores": {"bleu1": 0.4}},
    ]
    file.write_text(yaml.safe_dump(rows))
    others = report.published(file)
    own, bench = report.tables([result("a", 0.5), result("b", 0.5, benchmark="h")], others)
    assert len(own["rows"]) == 2 and own["notes"] == []
    assert bench["rows"][-1] == ["X (published)*", "0.400", "–", "–"]
    assert bench["notes"] == ["X: Y 2020. * the true length is given"]
    file.write_text(yaml.safe_dump([{"system": "X"}]))
    with pytest.raises(MotionLLMError, match="X lacks `benchmark`"):
        report.published(file)
    for row in report.published():
        assert set(row["scores"]) <= {key for key, *_ in report.COLUMNS[row["task"]]}, row["system"]
        assert row["source"] and all(0 <= value < 10 for value in row["scores"].values())


def test_shipped_suites_are_valid_and_say_how_they_are_run() -> None:
    names = shipped.names("eval")
    assert {"text-to-motion", "captioning", "questions", "tokenizer", "text-to-motion-cmu"} <= set(names)
    for name in names:
        file = shipped.find("eval", name)
        assert load_recipe(file, (), Suite).name == name
        assert f"motionllm eval {name}" in file.read_text(encoding="utf-8")


def test_report_by_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, r1 in (("a", 0.5), ("b", 0.3)):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "result.json").write_text(json.dumps(result(f"<{name}>", r1)))
    (tmp_path / "in" / "other.json").write_text("{}")
    joints = np.random.default_rng(0).normal(size=(8, 22, 3))
    np.savez(tmp_path / "in" / "a" / "samples.npz", fps=20.0, caption0="a <person>", real0=joints, made0=joints)
    page, text = tmp_path / "p.html", tmp_path / "t.md"
    text.write_text(f"# Mine\n\n{report.START}\nold\n{report.END}\n\nafter\n")
    argv = ["eval", "report", str(tmp_path / "in"), "--into", str(text), "--page", str(page), "--json"]
    for _ in range(2):  # the second time replaces the first
        assert cli.main(argv) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["results"] == 2
    written = text.read_text()
    assert written.startswith("# Mine\n") and written.endswith("after\n") and "old" not in written
    assert written.count("### s, version 1") == 1 and "<a> (01234567)" in written
    shown = page.read_text(encoding="utf-8")
    assert "&lt;a&gt;" in shown and "<a>" not in shown and "a &lt;person&gt;" in shown
    assert shown.count("class=player") == 2 and "0.500 ± 0.010" in shown
    clips = json.loads(shown.split('id="clips">')[1].split("</script>")[0])
    assert len(clips) == 2 and len(clips[0]["joints"]) == 8 * 22 * 3
    assert cli.main(["eval", "report", str(tmp_path / "in" / "other.json")]) == 2
    assert "is no result of a suite" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["eval", "report", str(tmp_path / "empty")]) == 2
    assert "no result of a suite in" in capsys.readouterr().err
