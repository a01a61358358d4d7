"""The room `compare`, at its routes and without a model: what a voter is told, what is kept, what the result says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionllm import corpus as builtin
from motionllm.motion import Motion

pytest.importorskip("httpx", reason="httpx is not installed (pip install 'motionllm[web]')")
pytest.importorskip("starlette", reason="starlette is not installed (pip install 'motionllm[web]')")
from starlette.testclient import TestClient

from motionllm.app.workbench import frame, jobs
from motionllm.app.workbench.comparisons import Side, tally, titles
from motionllm.app.workbench.serving import application

ANN, BOB = "a" * 16, "b" * 16
PROMPTS = [f"a person waves {n} times" for n in range(1, 9)]
ORDER = {
    "name": "trial",
    "sides": [{"adapter": "default", "best_of": 1}, {"adapter": "default", "best_of": 1, "guidance": 2}],
    "prompts": PROMPTS,
    "seed": 7,
}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[list[list[str]]]:
    """The command lines that were started, none of which runs."""
    verbs: list[list[list[str]]] = []

    class Ended:
        def poll(self) -> int:
            return 0

    def start(words: list[list[str]], folder: Path) -> Ended:
        verbs.append(words)
        return Ended()

    monkeypatch.setattr(jobs, "start", start)
    return verbs


@pytest.fixture
def client(tmp_path: Path, begun: list[Any]) -> Callable[..., Any]:
    def make(**bench: Any) -> TestClient:
        asgi = application(frame.Bench(runs=tmp_path / "runs", **bench))
        return TestClient(asgi, base_url="http://127.0.0.1", follow_redirects=False)

    return make


@pytest.fixture
def rooms(client: Callable[..., Any]) -> Any:
    rooms = client()
    assert rooms.post("/compare/start", json=ORDER).status_code == 200
    return rooms


def generate(folder: Path, pairs: int = len(PROMPTS)) -> None:
    """Motions of both sides, those of `b` a second longer."""
    joints = builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1)
    for side, motion in (("a", Motion(joints[:-20])), ("b", Motion(joints))):
        (folder / side).mkdir(exist_ok=True)
        motion.save(folder / side / "0001.bvh")
        for number in range(2, pairs + 1):
            (folder / side / f"{number:04}.bvh").write_bytes((folder / side / "0001.bvh").read_bytes())


def vote(rooms: Any, voter: str, pair: int, choice: str) -> Any:
    return rooms.post("/compare/of/trial/vote", json={"voter": voter, "pair": f"{pair:04}", "vote": choice})


def test_both_sides_get_the_same_prompts_and_seeds(rooms: Any, begun: list[Any], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "comparisons" / "trial"
    prompts = str(folder / "prompts.jsonl")
    first = ["generate", "--prompts", prompts, "--model", "default", "--out", str(folder / "a"), "--best-of", "1"]
    second = [*first[:6], str(folder / "b"), "--guidance", "2", "--best-of", "1"]
    assert begun == [[first, second]]
    rows = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    assert [(row["text"], row["seed"]) for row in rows] == [(text, 7 + n) for n, text in enumerate(PROMPTS)]
    assert "already" in rooms.post("/compare/start", json=ORDER).json()["error"]


def test_the_vote_is_blind(rooms: Any, tmp_path: Path) -> None:
    generate(tmp_path / "runs" / "comparisons" / "trial")
    told = [rooms.get(path).text for path in ("/compare/of/trial", f"/compare/of/trial/ballot?voter={ANN}")]
    told += [vote(rooms, ANN, 1, "left").text, rooms.post("/compare/of/trial/result", json={"voter": ANN}).text]
    secret = json.loads((tmp_path / "runs" / "comparisons" / "trial" / "comparison.json").read_text())["secret"]
    for text in told:
        assert "default" not in text and "guidance" not in text and secret not in text and '"a"' not in text

    def lengths(voter: str, pair: int) -> list[int]:
        address = f"/compare/of/trial/motion/{voter}/{pair:04}"
        return [len(rooms.get(f"{address}/{place}").json()["joints"]) for place in ("left", "right")]

    orders = [lengths(voter, pair) for voter in (ANN, BOB) for pair in range(1, 9)]
    assert orders[:8] == [lengths(ANN, pair) for pair in range(1, 9)]  # it does not change
    assert len({tuple(order) for order in orders}) == 2 and orders[:8] != orders[8:]


def test_a_vote_is_of_the_side_that_was_seen_there(rooms: Any, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "comparisons" / "trial"
    generate(folder)
    longer = {}
    for pair in range(1, 9):  # a voter who prefers the longer motion, side b
        address = f"/compare/of/trial/motion/{ANN}/{pair:04}"
        sizes = [len(rooms.get(f"{address}/{place}").json()["joints"]) for place in ("left", "right")]
        longer[pair] = "left" if sizes[0] > sizes[1] else "right"
        assert vote(rooms, ANN, pair, "equal").status_code == 200
        if pair < 8:
            assert vote(rooms, ANN, pair, longer[pair]).status_code == 200  # the later one counts
    lines = [json.loads(line) for line in (folder / "votes.jsonl").read_text().splitlines()]
    assert len(lines) == 15 and all(
        {"voter", "pair", "vote", "left", "better", "time", "text"} <= set(line) for line in lines
    )
    result = rooms.post("/compare/of/trial/result", json={"voter": ANN}).json()
    assert (result["wins"], result["ties"], result["votes"]) == ([0, 7], 1, 8)
    assert result["sides"] == ["default, its own sampling", "default, guidance 2"] and result["both"] == "best of 1"
    other = {"left": "right", "right": "left"}
    assert [pair["places"][0] for pair in result["pairs"]] == [other[longer[n]] for n in range(1, 9)]


def test_the_result_ends_the_vote_of_who_sees_it(rooms: Any, tmp_path: Path) -> None:
    generate(tmp_path / "runs" / "comparisons" / "trial")
    vote(rooms, ANN, 1, "left")
    early = rooms.post("/compare/of/trial/result", json={"voter": ANN})
    assert early.status_code == 400 and "7 pairs are not judged yet" in early.json()["error"]
    assert rooms.post("/compare/of/trial/result", json={"voter": ANN, "end": True}).json()["votes"] == 1
    assert "not be blind" in vote(rooms, ANN, 2, "left").json()["error"]
    assert rooms.get(f"/compare/of/trial/ballot?voter={ANN}").json()["ended"]
    assert vote(rooms, BOB, 2, "left").status_code == 200  # who has not seen it goes on


def test_pairs_come_as_they_are_generated_and_failures_are_named(rooms: Any, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "comparisons" / "trial"
    generate(folder, 3)
    assert "Both motions" in vote(rooms, ANN, 4, "left").json()["error"]
    assert rooms.get(f"/compare/of/trial/motion/{ANN}/0004/left").status_code == 400
    (folder / "output.log").write_text("motionllm: error: There is no adapter.\n")
    ballot = rooms.get(f"/compare/of/trial/ballot?voter={ANN}").json()
    assert [pair["id"] for pair in ballot["pairs"]] == ["0001", "0002", "0003"]
    assert (ballot["state"]["why"], ballot["state"]["ready"]) == ("There is no adapter.", 3)
    report = "".join(json.dumps({"id": f"{n:04}", "error": "too long"}) + "\n" for n in range(4, 9))
    (folder / "a" / "report.jsonl").write_text(report)
    for pair in (1, 2, 3):
        vote(rooms, ANN, pair, "equal")
    result = rooms.post("/compare/of/trial/result", json={"voter": ANN}).json()  # what cannot be seen is not waited for
    assert len(result["failed"]) == 5 and result["failed"][0] == {"text": PROMPTS[3], "why": "too long"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sides": ORDER["sides"][:1] * 2}, "Both sides are the same"),
        ({"sides": [{"adapter": "/etc"}, {"adapter": "default"}]}, "no adapter is called '/etc'"),
        ({"sides": [{"adapter": "default", "top_p": 2}, {"adapter": "default"}]}, "less than or equal to 1"),
        ({"prompts": [" "]}, "There is no prompt"),
        ({"prompts": ["x"] * 201}, "`prompts`"),
        ({"name": "../up"}, "`name`: a name becomes a folder's"),
        ({"seconds": 1000}, "`seconds`"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    client: Any, begun: list[Any], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    reply = client().post("/compare/start", json=ORDER | change)
    assert reply.status_code == 400 and words in reply.json()["error"]
    assert not begun and not (tmp_path / "runs").exists()


def test_over_the_network_people_vote_and_start_nothing(rooms: Any, client: Any, tmp_path: Path) -> None:
    generate(tmp_path / "runs" / "comparisons" / "trial")
    guest = client(network=True)
    for path in ("start", "of/trial/go-on"):
        assert guest.post(f"/compare/{path}", json=ORDER).status_code == 403
    assert vote(guest, BOB, 1, "right").status_code == 200
    for wrong in ({"voter": "me"}, {"vote": "both"}, {"pair": "../a"}):
        body = {"voter": BOB, "pair": "0001", "vote": "left"} | wrong
        assert guest.post("/compare/of/trial/vote", json=body).status_code == 400
    for address in (f"{BOB}/0001/middle", f"{BOB}/..%2Fa/left", "me/0001/left"):
        assert guest.get(f"/compare/of/trial/motion/{address}").status_code in (400, 404)


def test_wins_with_their_exact_interval() -> None:
    # Clopper and Pearson's interval of 8 in 10, and by hand twice the binomial tail from 8 on: 2 · 56 / 1024.
    result = tally(["a"] * 8 + ["b"] * 2 + [None] * 5)
    assert (result["wins"], result["ties"], result["votes"], result["share"]) == ([8, 2], 5, 15, 0.8)
    assert result["interval"] == pytest.approx([0.44390, 0.97479], abs=1e-5) and result["p"] == pytest.approx(
        112 / 1024
    )
    assert tally([None])["interval"] is None and tally([])["votes"] == 0


def test_sides_are_called_by_what_distinguishes_them() -> None:
    def called(*sides: Side) -> list[str]:
        return list(titles(sides)["sides"])

    assert called(Side(adapter="x", best_of=1), Side(adapter="y", best_of=1)) == ["x", "y"]
    assert called(Side(adapter="x"), Side(adapter="x", guidance=2)) == ["x, its own sampling", "x, guidance 2"]
    assert called(Side(adapter="x", top_p=0.5), Side(adapter="x", top_p=0.9)) == ["x, top p 0.5", "x, top p 0.9"]
