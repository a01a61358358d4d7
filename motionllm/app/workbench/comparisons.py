"""Two models on the same prompts and seeds, judged blind: a folder with the motions of both, and a file of votes.

`comparison.json` has the two sides, `prompts.jsonl` what both were given, `a/` and `b/` what they made of it (by
`motionllm generate --prompts`), `votes.jsonl` a line a vote. Who votes sees left and right, drawn anew for each voter
and pair, and no names before the last vote.
"""

from __future__ import annotations

import random
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from motionllm.app.workbench import jobs
from motionllm.app.workbench.orders import Orders, checked, named, shell
from motionllm.config.base import BestOf, Guidance, Name, Section, Seed, Temperature, Text, TopP, Where
from motionllm.errors import MotionLLMError
from motionllm.files import check_format, holder, make_folder, read_json, write_json, write_jsonl
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.show.page import stored
from motionllm.runs.run import Log, logged

FORMAT = 1
SIDES = ("a", "b")
VOTES = ("left", "equal", "right")
_VOTER = re.compile(r"[0-9a-f]{16}")


class Side(Section):
    """An adapter, by its name in `Orders.adapters`, and how motions are drawn; None is the adapter's own."""

    adapter: Where
    temperature: Temperature | None = None
    top_p: TopP | None = None
    guidance: Guidance | None = None
    best_of: BestOf | None = None

    def sampling(self) -> dict[str, float | int]:
        return self.model_dump(exclude={"adapter"}, exclude_none=True)


class Contest(Section):
    """What a page asks for. seconds: of each motion; None leaves it to the models. seed: of the first prompt, counted
    up for the next ones.
    """

    name: Name
    sides: Annotated[list[Side], Field(min_length=2, max_length=2)]
    prompts: Annotated[list[Text], Field(min_length=1, max_length=200)]
    seconds: Annotated[float, Field(ge=0.5, le=60)] | None = None
    seed: Seed = 0


class Vote(Section):
    voter: Annotated[str, Field(pattern=_VOTER.pattern)]
    pair: Annotated[str, Field(max_length=20)]
    vote: Literal["left", "equal", "right"]


class Comparisons:
    """The comparisons in a folder; a page names them by the folder's name."""

    def __init__(self, folder: Path, orders: Orders) -> None:
        self.folder, self.orders = folder, orders
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.Lock()

    def __getitem__(self, name: str) -> Comparison:
        """Raises MotionLLMError where none is called so, or its files are damaged."""
        return Comparison(named(self._folders(), name, "comparison"))

    def _folders(self) -> dict[str, Path]:
        paths = self.folder.iterdir() if self.folder.is_dir() else ()
        there = [path for path in paths if (path / "comparison.json").is_file()]
        return {path.name: path for path in sorted(there, key=lambda p: -p.stat().st_mtime)}

    def states(self) -> list[dict[str, Any]]:
        """Name, number of pairs, those that can be seen, and voters of each comparison, the latest first. Without the
        sides: who has not voted yet reads them here.
        """
        return [self.state(self[name]) for name in self._folders()]

    def state(self, comparison: Comparison) -> dict[str, Any]:
        process = self.processes.get(comparison.name)
        working = (process is not None and process.poll() is None) or comparison.generating()
        pairs, failed = len(comparison.prompts), len(comparison.failed())
        ready = len(comparison.ready())
        return {
            "name": comparison.name,
            "pairs": pairs - failed,
            "failed": failed,
            "ready": ready,
            "generating": working,
            "why": None if working or ready + failed == pairs else jobs.last_words(comparison.folder),
            "doing": (jobs.printed(comparison.folder) or [""])[-1] if working else "",
            "voters": len({row["voter"] for row in comparison.rows()}),
        }

    def create(self, contest: Contest) -> dict[str, Any]:
        """Begin a comparison. Raises MotionLLMError where the sides are the same, or the name is taken."""
        sides, prompts = contest.sides, [text.strip() for text in contest.prompts if text.strip()]
        adapters = self.orders.adapters()
        models = [named(adapters, side.adapter, "adapter") for side in sides]
        for side in sides:
            Sampling().but(**side.sampling())
        if not prompts:
            raise MotionLLMError("There is no prompt; write one on each line.")
        if sides[0] == sides[1]:
            raise MotionLLMError("Both sides are the same; choose another adapter, or other numbers for one of them.")
        folder = self.folder / contest.name
        with self.lock:
            if folder.exists():
                raise MotionLLMError(f"There is a comparison called {contest.name} already; choose another name.")
            make_folder(folder)
        rows = [
            {"id": f"{number:04}", "text": text, "seed": contest.seed + number - 1}
            | ({"seconds": contest.seconds} if contest.seconds else {})
            for number, text in enumerate(prompts, 1)
        ]
        write_jsonl(folder / "prompts.jsonl", rows)
        kept = [side.model_dump() | {"model": model} for side, model in zip(sides, models, strict=True)]
        # The order of the sides is drawn from the secret, which no page gets.
        write_json(folder / "comparison.json", {"format": FORMAT, "sides": kept, "secret": secrets.token_hex(16)})
        return self.go_on(contest.name)

    def go_on(self, name: str) -> dict[str, Any]:
        """Generate what is missing. Raises MotionLLMError where that is under way."""
        comparison = self[name]
        with self.lock:
            if self.state(comparison)["generating"]:
                raise MotionLLMError(f"The motions of {name} are being generated already.")
            self.processes[name] = jobs.start(comparison.commands(), comparison.folder)
        return {"name": name, "commands": [shell(words) for words in comparison.commands()]}

    def vote(self, name: str, vote: Vote) -> dict[str, Any]:
        """Write down a vote; a later one of the same voter on the same pair replaces it."""
        with self.lock:
            return self[name].take(vote)


class Comparison:
    """A comparison on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        kept = read_json(folder / "comparison.json", "comparison")
        check_format(kept.get("format"), FORMAT, folder / "comparison.json")
        self.prompts = {row["id"]: row for _, row in logged(folder / "prompts.jsonl")}
        try:
            self.secret = str(kept["secret"])
            self.models = [str(side["model"]) for side in kept["sides"]]
            plain = [{key: value for key, value in side.items() if key != "model"} for side in kept["sides"]]
        except (KeyError, TypeError, AttributeError):
            raise MotionLLMError(f"{folder / 'comparison.json'} is damaged; begin another comparison.") from None
        self.sides = [checked(Side, side) for side in plain]

    def commands(self) -> list[list[str]]:
        """The command lines that generate the motions of both sides; what is there is kept."""
        return [
            ["generate", "--prompts", str(self.folder / "prompts.jsonl"), "--model", model, "--out"]
            + [str(self.folder / side)]
            + [word for key, v in settings.sampling().items() for word in (f"--{key.replace('_', '-')}", f"{v:g}")]
            for side, model, settings in zip(SIDES, self.models, self.sides, strict=True)
        ]

    def generating(self) -> bool:
        return any(holder(self.folder / side / "report.jsonl") is not None for side in SIDES)

    def failed(self) -> dict[str, str]:
        """{pair: why} of the prompts that one of the sides could not answer."""
        return {
            row["id"]: str(row["error"])
            for side in SIDES
            for _, row in logged(self.folder / side / "report.jsonl")
            if "error" in row and not self._file(side, row["id"]).is_file()
        }

    def ready(self) -> list[str]:
        """The pairs of which both motions are there."""
        return [pair for pair in self.prompts if all(self._file(side, pair).is_file() for side in SIDES)]

    def _file(self, side: str, pair: str) -> Path:
        return self.folder / side / f"{pair}.bvh"

    def order(self, voter: str, pair: str) -> Sequence[str]:
        """Which side is on the left and which on the right: the same whenever a voter asks."""
        return random.Random(f"{self.secret} {voter} {pair}").sample(SIDES, 2)

    def motion(self, voter: str, pair: str, place: str) -> dict[str, Any]:
        """The motion that a voter sees on the left or on the right, as the player reads it."""
        if not _VOTER.fullmatch(voter) or pair not in self.prompts or place not in ("left", "right"):
            raise MotionLLMError(f"{self.name} has no such motion.")
        path = self._file(self.order(voter, pair)[place == "right"], pair)
        if not path.is_file():
            raise MotionLLMError("This motion is not there yet.")
        body = Motion.load(path).body()
        return stored(body.joints, body.fps)

    def rows(self) -> list[dict[str, Any]]:
        """The lines of the file of votes."""
        return [row for _, row in logged(self.folder / "votes.jsonl") if isinstance(row.get("voter"), str)]

    def votes(self) -> dict[tuple[str, str], dict[str, Any]]:
        """{(voter, pair): the last vote}."""
        return {(row["voter"], row["pair"]): row for row in self.rows() if row.get("vote") in VOTES}

    def ended(self, voter: str) -> bool:
        """Whether a voter has seen the result, after which no vote of theirs would be blind."""
        return any(row["voter"] == voter and row.get("ended") for row in self.rows())

    def take(self, vote: Vote) -> dict[str, Any]:
        """Append a vote to the file. Raises MotionLLMError where it cannot be a blind one, or the file not written."""
        if vote.pair not in self.ready():
            raise MotionLLMError("Both motions of this pair must be there before it is voted on.")
        if self.ended(vote.voter):
            raise MotionLLMError("You have seen the result; a vote would not be blind any more.")
        left, right = self.order(vote.voter, vote.pair)
        self._append(
            {
                **vote.model_dump(),
                "text": self.prompts[vote.pair]["text"],
                "left": left,
                "right": right,
                "better": {"left": left, "right": right}.get(vote.vote),
            }
        )
        return self.ballot(vote.voter)

    def _append(self, row: Mapping[str, Any]) -> None:
        log = Log(self.folder / "votes.jsonl")
        try:
            log.write({**row, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
        finally:
            log.close()

    def ballot(self, voter: str) -> dict[str, Any]:
        """The pairs that a voter can see, with their votes so far: nothing that says which side is which."""
        votes = self.votes()
        pairs = [
            {"id": pair, "text": self.prompts[pair]["text"], "vote": votes.get((voter, pair), {}).get("vote")}
            for pair in self.ready()
        ]
        return {"pairs": pairs, "total": len(self.prompts) - len(self.failed()), "ended": self.ended(voter)}

    def result(self, voter: str, end: bool = False) -> dict[str, Any]:
        """The sides with their wins over all voters, and how each pair was judged. Closes the voting for this voter.

        end: though pairs are left. Raises MotionLLMError where pairs are left otherwise.
        """
        if not _VOTER.fullmatch(voter):
            raise MotionLLMError("Who asks is not named.")
        ballot = self.ballot(voter)
        left = ballot["total"] - sum(pair["vote"] is not None for pair in ballot["pairs"])
        if not ballot["ended"]:
            if left and not end:
                raise MotionLLMError(f"{left} pairs are not judged yet; the result would end the blind vote.")
            self._append({"voter": voter, "ended": True})
        votes = self.votes()
        return {
            **titles(self.sides),
            **tally([row.get("better") for row in votes.values()]),
            "voters": len({who for who, _ in votes}),
            "pairs": [self._judged(voter, pair, votes) for pair in self.ready()],
            "failed": [{"text": self.prompts[pair]["text"], "why": why} for pair, why in self.failed().items()],
            "file": str(self.folder / "votes.jsonl"),
        }

    def _judged(self, voter: str, pair: str, votes: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
        better = [row.get("better") for (_, voted), row in votes.items() if voted == pair]
        return {
            "id": pair,
            "text": self.prompts[pair]["text"],
            "counts": [better.count("a"), better.count(None), better.count("b")],
            "places": ["left" if side == self.order(voter, pair)[0] else "right" for side in SIDES],
        }


def titles(sides: Sequence[Side]) -> dict[str, Any]:
    """What distinguishes the sides, as "sides", and what both have besides, as "both"."""
    drawn = [{key: f"{key.replace('_', ' ')} {v:g}" for key, v in side.sampling().items()} for side in sides]
    both = [text for key, text in drawn[0].items() if drawn[1].get(key) == text]
    own = [
        [side.adapter, *(t for t in words.values() if t not in both)] for side, words in zip(sides, drawn, strict=True)
    ]
    if own[0] == own[1][: len(own[0])] or own[1] == own[0][: len(own[1])]:  # "default" and "default, guidance 2"
        own = [words if len(words) > 1 else [*words, "its own sampling"] for words in own]
    return {"sides": [", ".join(words) for words in own], "both": ", ".join(both)}


def tally(better: Sequence[str | None]) -> dict[str, Any]:
    """Wins of both sides and ties among votes ("a", "b" or None): {"wins": [a, b], "ties", "votes", "share": of the
    decided votes that a has, "interval": its exact 95 % interval (Clopper and Pearson 1934), "p": of a two-sided sign
    test}; the last three are None where no vote is decided.
    """
    wins = [better.count(side) for side in SIDES]
    decided = sum(wins)
    result: dict[str, Any] = {"wins": wins, "ties": len(better) - decided, "votes": len(better)}
    if not decided:
        return result | {"share": None, "interval": None, "p": None}
    from scipy.stats import binomtest

    test = binomtest(wins[0], decided)
    low, high = test.proportion_ci(0.95, "exact")
    return result | {"share": wins[0] / decided, "interval": [float(low), float(high)], "p": float(test.pvalue)}
