"""One table of many results: Markdown for text pages, HTML with motions to view.

Rows share a table only if they are comparable: same suite and version, clips, embedder and length mode. Published
numbers stand only beside results of their own benchmark, and say where their protocol differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionllm import shipped
from motionllm.errors import MotionLLMError
from motionllm.eval import gaps
from motionllm.eval.contestants import GAPS
from motionllm.eval.passes import SAMPLES
from motionllm.eval.suites import FORMAT
from motionllm.files import parse_json, read_json, read_text, read_yaml, write_file
from motionllm.motion.show.page import render, stored

# (key of a result, heading, decimals, better: 1 more, −1 less, 0 neither); label_* stands for the suite's `labels`
Column = tuple[str, str, int, int]
FILLED: list[Column] = [
    ("ade", "ADE m", 3, -1),
    ("fde", "FDE m", 3, -1),
    ("root_aligned_mpjpe_mm", "MPJPE mm, root-aligned", 1, -1),
    ("fid", "FID", 3, -1),
    ("diversity", "Diversity", 3, 0),
    ("skating", "skating", 3, -1),
    ("floating_mm", "floating mm", 0, 0),
    ("jerk", "jerk m/s³", 0, 0),
    ("failures", "failed", 0, -1),
]
IN_WORDS: list[Column] = [
    ("exact", "exact", 3, 1),
    ("normalised", "normalised", 3, 1),
    ("bleu4", "BLEU-4", 3, 1),
    ("rouge_l", "ROUGE-L", 3, 1),
    ("failures", "failed", 0, -1),
]
COLUMNS: dict[str, list[Column]] = {
    "text_to_motion": [
        ("r1", "R@1", 3, 1),
        ("r2", "R@2", 3, 1),
        ("r3", "R@3", 3, 1),
        ("fid", "FID", 3, -1),
        ("mm_dist", "MM-Dist", 3, -1),
        ("diversity", "Diversity", 3, 0),
        ("multimodality", "MModality", 3, 0),
        ("asked", "asked", 3, 1),
        ("all_of", "all asked", 3, 1),
        ("agreement", "agreement", 3, 1),
        ("label_*", "", 3, 1),
        ("skating", "skating", 3, -1),
        ("floating_mm", "floating mm", 0, 0),
        ("jerk", "jerk m/s³", 0, 0),
        ("seconds", "seconds", 2, 0),
        ("failures", "failed", 0, -1),
    ],
    "captioning": [
        ("r1", "R@1", 3, 1),
        ("r2", "R@2", 3, 1),
        ("r3", "R@3", 3, 1),
        ("bleu1", "BLEU-1", 3, 1),
        ("bleu4", "BLEU-4", 3, 1),
        ("rouge_l", "ROUGE-L", 3, 1),
        ("cider", "CIDEr", 3, 1),
        ("bleu1 normalised", "BLEU-1 n.", 3, 1),
        ("bleu4 normalised", "BLEU-4 n.", 3, 1),
        ("similarity", "similarity", 3, 1),
        ("degenerate", "degenerate", 3, -1),
        ("label_*", "", 3, 1),
        ("failures", "failed", 0, -1),
    ],
    "questions": [
        ("exact", "exact", 3, 1),
        ("normalised", "normalised", 3, 1),
        ("understood", "understood", 3, 1),
        ("failures", "failed", 0, -1),
    ],
    **{task: FILLED for task in GAPS},
    "builtin": [
        ("asked", "asked", 3, 1),
        ("all_of", "all asked", 3, 1),
        ("everything", "in every detail", 3, 1),
        ("captions", "captions name all", 3, 1),
        ("right", "answers right", 3, 1),
        ("failures", "failed", 0, -1),
    ],
    "tokenizer": [
        ("root_aligned_mpjpe_mm", "MPJPE mm, root-aligned", 1, -1),
        ("mpjpe_mm", "MPJPE mm, global", 1, -1),
        ("pa_mpjpe_mm", "PA-MPJPE mm", 1, -1),
        ("acceleration_error", "accel. error m/s²", 2, -1),
        ("fid", "FID", 3, -1),
        ("perplexity", "perplexity", 0, 0),
        ("codes", "codes", 0, 0),
        ("dead", "dead", 0, -1),
        ("codes_per_second", "codes/s", 0, 0),
        ("skating", "skating", 3, -1),
        ("penetration_mm", "penetration mm", 1, -1),
        ("bone_drift", "bone drift", 4, -1),
        ("failures", "failed", 0, -1),
    ],
}
START, END = "<!-- results -->", "<!-- end of results -->"
Row = tuple[str, dict[str, Any]]


def read_results(paths: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Results of suites from files, or from folders at any depth; other JSON in a folder is skipped.

    Raises MotionLLMError where a file is no result, or there is none at all.
    """
    results, seen = [], set[str]()
    for path in paths:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        for file in files:
            if (place := os.path.realpath(file)) in seen:  # named twice, or with its folder
                continue
            seen.add(place)
            result = parse_json(read_text(file, "result"), str(file))
            if isinstance(result, dict) and result.get("format") == FORMAT and "protocol" in result:
                results.append((file, result))
            elif not path.is_dir():
                raise MotionLLMError(f"{file} is no result of a suite; give files that `motionllm eval SUITE` wrote.")
    if not results:
        raise MotionLLMError(f"There is no result of a suite in {', '.join(map(str, paths))}.")
    return results


def published(path: Path | None = None) -> list[dict[str, Any]]:
    """Published numbers: [{"benchmark", "task", "system", "source", "differs", "scores"}] from a YAML file."""
    file = path or shipped.root() / "eval" / "published" / "numbers.yaml"
    rows = read_yaml(file, "list of published numbers")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MotionLLMError(f"{file} is no list of systems with their scores.")
    for row in rows:
        missing = {"benchmark", "task", "system", "source", "scores"} - row.keys()
        if missing:
            raise MotionLLMError(f"{file}: {row.get('system', 'a system')} lacks `{sorted(missing)[0]}`.")
    return rows


def tables(results: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """[{"title", "about", "headings", "rows": [[name, value …]], "notes"}], one per protocol, in the order given."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(json.dumps(result["protocol"], sort_keys=True), []).append(result)
    made = [_table(group, others) for group in groups.values()]
    for table, differs in zip(made, _differences([group[0]["protocol"] for group in groups.values()]), strict=True):
        table["title"] = ", ".join([table["title"], *differs])
    return made


def _differences(protocols: Sequence[dict[str, Any]]) -> list[list[str]]:
    """For each protocol what tells it from the others of the same suite and version: "replications 6"."""
    told = []
    for own in protocols:
        alike = [other for other in protocols if all(other[key] == own[key] for key in ("suite", "version"))]
        keys = [key for key in own if any(other.get(key) != own[key] for other in alike)]
        told.append([f"{key.replace('_', ' ')} {_short(own[key])}" for key in keys])
    return told


def _short(value: Any) -> str:
    """A value of a protocol for a heading; of an embedder its id, as embedders of one name may be several."""
    if isinstance(value, dict):
        value = value.get("id") or json.dumps(value)
    return (value if isinstance(value, str) else json.dumps(value))[:40]


def markdown(found: Sequence[dict[str, Any]]) -> str:
    parts = []
    for table in found:
        head = ["|".join(["", "", *table["headings"], ""]), "|".join(["", *["---"] * (len(table["headings"]) + 1), ""])]
        rows = ["| " + " | ".join(row) + " |" for row in table["rows"]]
        notes = [f"- {note}" for note in table["notes"]]
        parts.append(
            "\n".join([f"### {table['title']}", "", table["about"], "", *head, *rows, *([""] if notes else []), *notes])
        )
    return "\n\n".join(parts) + "\n"


def write_markdown(text: str, path: Path) -> None:
    """Write the tables; in a page that has the two marks, only the text between them is replaced."""
    if path.is_file():
        page = read_text(path, "page")
        if START in page and END in page:
            before, rest = page.split(START, 1)
            text = f"{before}{START}\n\n{text}\n{END}{rest.split(END, 1)[1]}"
    write_file(path, text)


def write_html(found: Sequence[dict[str, Any]], files: Sequence[Path], path: Path) -> None:
    """The tables as a self-contained page, with motions of the results that have `samples.npz` beside them."""
    figures: list[tuple[str, list[tuple[str, list[tuple[str, int | None]]]]]] = []
    clips: list[dict[str, Any]] = []
    for file in files:
        samples, result = file.with_name("samples.npz"), read_json(file)
        if not samples.is_file():
            continue
        pairs = []
        with np.load(samples) as arrays:
            for i in range(SAMPLES):
                if f"caption{i}" not in arrays:
                    break
                pair: list[tuple[str, int | None]] = []
                for kind in ("real", "made"):
                    there = f"{kind}{i}" in arrays
                    pair.append((kind, len(clips) if there else None))
                    if there:
                        clips.append(stored(arrays[f"{kind}{i}"], float(arrays["fps"])))
                pairs.append((str(arrays[f"caption{i}"]), pair))
        figures.append((f"{result['model']} · {result['protocol']['suite']}", pairs))
    template = Path(__file__).with_name("report.html")
    write_file(path, render(template, clips, tables=found, figures=figures))


# -- within ----------------------------------------------------------------------------------------------------


def _table(group: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> dict[str, Any]:
    protocol = group[0]["protocol"]
    task = protocol["task"]
    rows: list[Row] = []
    real = group[0].get("real")
    if real:
        rows.append(("real data", real))
    if task == "questions":
        only = group[0]["text_only"]
        rows.append(("always the commonest answer", {"exact": only["majority"], "normalised": only["majority"]}))
        rows.append(("the question alone, without motion", only))
    elif task == "builtin":
        for name, title in (("true", "the clips' own"), ("tokenized", "as codes"), ("shuffled", "of another clip")):
            bound = {key: group[0][key]["bounds"].get(name) for key in ("generation", "captions")}
            rows.append((title, _corpus_scores(bound)))
        rows.append(("always the commonest answer", {"right": group[0]["answers"]["majority"]}))
    elif "answers" in group[0]:
        rows.append(("always the commonest answer", {"exact": group[0]["answers"]["majority"]}))
    rows += [(_name(result), _scores(result)) for result in group]
    notes = []
    if protocol.get("benchmark"):
        for other in others:
            if (other["benchmark"], other["task"]) == (protocol["benchmark"], task):
                differs = other.get("differs")
                rows.append((f"{other['system']} (published){'*' if differs else ''}", other["scores"]))
                notes.append(f"{other['system']}: {other['source']}" + (f". * {differs}" if differs else ""))
    labels: list[Column] = [(f"label_{key}", key, 3, 1) for key in protocol.get("labels", ())]
    columns = [c for column in COLUMNS.get(task, IN_WORDS) for c in (labels if column[0] == "label_*" else [column])]
    there = [column for column in columns if any(column[0] in scores for _, scores in rows)]
    arrows = {1: " ↑", -1: " ↓", 0: ""}
    return {
        "title": f"{protocol['suite']}, version {protocol['version']}",
        "about": _about(protocol),
        "headings": [heading + arrows[better] for _, heading, _, better in there],
        "rows": [[name, *(_cell(scores.get(key), decimals) for key, _, decimals, _ in there)] for name, scores in rows],
        "notes": notes,
    }


def _name(result: dict[str, Any]) -> str:
    weights = result.get("adapter") or (result.get("motion_tokenizer") if "adapter" not in result else None)
    return f"{result['model']}{f' ({weights[:8]})' if weights else ''}"


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    """All of a result's numbers under the table's keys."""
    if "generation" in result:
        failed = sum(result["failures"].values())
        return _corpus_scores(result) | {"right": result["answers"]["right"], "failures": failed}
    scores_by_key = {**(result.get("made") or {}), "failures": result["failures"]}
    if "text" in result:
        scores_by_key |= result["text"]["raw"] | {
            f"{key} normalised": v for key, v in result["text"]["normalised"].items()
        }
        scores_by_key |= result["text"].get("similarity", {})
        scores_by_key |= {f"label_{key}": scores["accuracy"] for key, scores in result.get("labels", {}).items()}
    return scores_by_key | result.get("answers", {})


def _corpus_scores(result: dict[str, Any]) -> dict[str, Any]:
    """Which share of what is asked motions and captions of the built-in corpus have."""
    generation, captions = result["generation"], result["captions"]
    scores = {key: generation[key] for key in ("asked", "all_of", "everything")}
    return scores | ({"captions": captions["all_of"]} if captions else {})


def _cell(value: Any, decimals: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        mean = f"{value['mean']:.{decimals}f}"
        return f"{mean} ± {value['ci95']:.{decimals}f}" if value["ci95"] else mean
    return f"{value:.{decimals}f}"


def _about(protocol: dict[str, Any]) -> str:
    """The protocol in one line."""
    parts = [f"{protocol['cases']} clips of {protocol['data']} ({protocol['split']}, `{protocol['cases_hash']}`)"]
    if embedder := protocol["embedder"]:
        kind = "the standard evaluator" if embedder["kind"] == "standard" else f"our embedder {embedder['name']}"
        parts.append(f"{kind} (`{embedder['id']}`)")
    if protocol["task"] == "text_to_motion":
        parts.append(f"length: {'own stop' if protocol['length'] == 'own' else 'the true one given'}")
        parts.append(f"{protocol['replications']} replications (mean ± 95 % interval)")
        parts.append(
            f"temperature {protocol['temperature']:g}, top-p {protocol['top_p']:g}, best of {protocol['best_of']}"
        )
        parts.append(f"FID against the same real clips, Diversity of {protocol['pairs']} pairs")
    if protocol["task"] in GAPS:
        where = "beginning" if protocol["task"] == "prediction" else "two ends, half of it each"
        words = "the caption too" if protocol["captions"] != "none" else "no caption"
        parts.append(
            f"given {100 * protocol['given']:g} % of each clip, its {where}, in units of {gaps.UNIT} frames, its true "
            f"length, and {words}"
        )
        parts.append("errors of the frames asked for, laid on the truth at the last frame before them")
        parts.append(f"FID and Diversity ({protocol['pairs']} pairs) of whole clips; physics of the frames asked for")
        parts.append(
            f"{protocol['replications']} replications (mean ± 95 % interval); temperature {protocol['temperature']:g}, "
            f"top-p {protocol['top_p']:g}, best of {protocol['best_of']}"
        )
    elif "group" in protocol:
        way = "text to motion" if protocol["task"] == "text_to_motion" else "motion to text"
        parts.append(f"R@k {way} among {protocol['group']}")
    if protocol["task"] == "captioning":
        parts.append("references raw, and normalised (n.: lower case, no punctuation)")
    if protocol["task"] == "questions":
        parts.append("understood: read as the corpus reads an answer")
    return "; ".join(parts) + "."
