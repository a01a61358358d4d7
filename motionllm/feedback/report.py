"""The report of an improvement: each judge by itself, the guards beside it, and the worst results to view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionllm.data.tasks import TASKS
from motionllm.feedback.judges import Result, Scores, find_judge
from motionllm.files import write_file
from motionllm.motion.show.pictures import contact_sheet

WORST = 10  # number of worst results shown per judge
SHOWN = 6  # number of measured rounds shown
MOST = 12  # number of kinds of event shown
_GUARDS = {
    "fid": "FID",
    "diversity": "diversity",
    "mm_dist": "MM-Dist",
    "plain": "plain text, nats a token",
    "seconds": "seconds a motion",
}


def write_report(run: Path, result: dict[str, Any], measured: Sequence[tuple[Result, Scores]]) -> None:
    """`report.md` in the run folder, and `worst/JUDGE.png`, a contact sheet of the motions a judge scored lowest."""
    before, after = result["before"], result["after"]
    lines = [f"# {result['name']}", "", result["verdict"], "", result["protocol"], ""]
    lines += ["| | unit | before | after | |", "|---|---|---|---|---|"]
    lines.append(_row("**reward**", "weighted mean of shares", before["reward"], after["reward"]))
    for kind in ("judges", "unseen"):
        for name, value in before[kind].items():
            note = "" if kind == "judges" else "not trained on"
            note = "by the embedder that reports" if note and find_judge(name).embeds else note
            lines.append(_row(name, find_judge(name).unit, value, after[kind][name], note))
    for name, title in _GUARDS.items():
        if name in before:
            note = f"base {result['plain_of_base']:.3f}" if name == "plain" else ""
            lines.append(_row(title, "", before[name], after[name], note))
    if "fid" not in before:
        lines += ["", "FID and diversity were not measured: `guards.embedder` names no embedder."]
    lines += _events(result["events"], result["kept_round"])
    lines += ["", "## The worst of each judge", "", "Held-out prompts, by the adapter that was kept.", ""]
    for name in dict.fromkeys(name for _, scores in measured for name in scores):
        scored = [(value, one) for one, scores in measured if (value := scores.get(name)) is not None]
        worst = sorted(scored, key=lambda pair: pair[0])[:WORST]
        lines += [f"### {name}", ""]
        if worst and worst[0][1].motion is not None:
            file = run / "worst" / f"{name.replace(' (reporting)', '-reporting')}.png"
            file.parent.mkdir(exist_ok=True)
            clips = [(f"{value:.2f} {one.asked}", one.motion) for value, one in worst if one.motion is not None]
            contact_sheet(clips, file)
            lines += [f"![the worst by {name}](worst/{file.name})", ""]
        lines += [f"- {value:.3f}: {_said(one)}" for value, one in worst] + [""]
    write_file(run / "report.md", "\n".join(lines))


def _events(rounds: Sequence[dict[str, Any]], kept: int | None) -> list[str]:
    """Tables of the kinds of event and the share of each that is right, those that failed most at first on top; one
    column per measured round: before training, then the last SHOWN.
    """
    columns = [rounds[0], *rounds[1:][-SHOWN:]]
    lines: list[str] = []
    for kind, title in (("verbs", "event"), ("aspects", "of events that are there")):
        first = rounds[0].get(kind, {})
        if not first:
            continue
        failed = {name: row["asked"] * (1 - row["right"]) for name, row in first.items()}
        heads = ["before", *(f"round {r['round']}{' (kept)' if r['round'] == kept else ''}" for r in columns[1:])]
        lines += ["", f"| {title} | asked | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
        for name in sorted(failed, key=lambda name: (-failed[name], name))[:MOST]:
            cells = [f"{100 * r[kind][name]['right']:.0f} %" if name in r.get(kind, {}) else "–" for r in columns]
            lines.append(f"| {name} | {first[name]['asked']} | {' | '.join(cells)} |")
    if not lines:
        return []
    about = "Share that is right in the motion made for held-out prompts, by the plan, or by the real clip's notation."
    return ["", "## Which events fail", "", about, *lines]


def compare(results: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of several runs' results, one row per run: method, judges, and what rose or fell."""
    names = list(dict.fromkeys(n for r in results for kind in ("judges", "unseen") for n in r["before"][kind]))
    heads = ["run", "method", "judges", "reward", *names, "FID", "diversity", "plain", "verdict"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for r in results:
        before, after = r["before"], r["after"]
        cells = [r["name"], r["method"], ", ".join(f"{k} {v:g}" for k, v in r["weights"].items())]
        cells.append(_change(before["reward"], after["reward"]))
        for name in names:
            kind = "judges" if name in before["judges"] else "unseen"
            cells.append(_change(before[kind].get(name), after[kind].get(name)))
        cells += [_change(before.get(key), after.get(key)) for key in ("fid", "diversity", "plain")]
        lines.append(f"| {' | '.join([*cells, 'gamed' if r['gamed'] else 'holds' if r['holds'] else 'fell'])} |")
    return "\n".join(lines)


def _row(name: str, unit: str, before: float | None, after: float | None, note: str = "") -> str:
    return f"| {name} | {unit} | {_cell(before)} | {_cell(after)} | {note} |"


def _change(before: float | None, after: float | None) -> str:
    return "–" if before is None or after is None else f"{before:.3f} → {after:.3f}"


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _said(one: Result) -> str:
    true = f" (true: {one.samples[0].captions[0]})" if one.task == "caption" and one.samples[0].captions else ""
    if one.task == "question" and one.question:
        true = f" (true: {one.question.answer})"
    reply = f" — “{one.said}”" if not TASKS[one.task].moves else ""
    return f"{one.asked}{reply}{true}".strip(" —")
