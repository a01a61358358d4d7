"""An adapter goes on from its own results: sample, judge, learn, look at the guards; round after round.

One round: draw prompts, let the adapter as it stands reply several times to each, judge the replies, make units of
them (the best ones; pairs; all with their advantage), take `steps` optimizer steps on these. The loss is over the same
rows and grammar as in fine-tuning. One process. What is drawn depends on seed, round and step alone, so a run that was
killed goes on to the same adapter.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from motionllm.config import Improvement, dump_recipe, placed
from motionllm.data.content import called_whole, fingerprints
from motionllm.errors import MotionLLMError
from motionllm.eval.embedder import Embedder
from motionllm.feedback.guards import Watch, fallen, plain_language, verdict
from motionllm.feedback.judges import Panel
from motionllm.feedback.learner import learner, snapshot
from motionllm.feedback.report import write_report
from motionllm.feedback.rounds import Unit, resuming, sampled, summary, units_of
from motionllm.feedback.sampling import Pool, Prompt, rehearsal
from motionllm.feedback.step import backward, draw, remember
from motionllm.files import (
    lock,
    make_folder,
    read_json,
    write_file,
    write_json,
    writing,
)
from motionllm.language.conversations import Tokens
from motionllm.lm.model import MotionLM
from motionllm.lm.results import adapter_hash
from motionllm.lm.sampling import Sampling
from motionllm.runs import checkpoint
from motionllm.runs.progress import Bar
from motionllm.runs.run import Log, Signals, Stopped, check_made_of, on_full_disk, rate

log = logging.getLogger(__name__)

TEXTS = 128  # texts to rehearse, at most: a quarter of a minute of a CPU core, and no step sees one often


def improve(recipe: Improvement, run: Path, resume: bool = False, changed: bool = False) -> dict[str, Any]:
    """Improve the adapter `recipe.start` into a run folder; returns what `result.json` holds.

    The folder gets `recipe.yaml`, `log.jsonl`, `checkpoint.pt`, `rounds/NNN.jsonl` (what was made and how it was
    judged), `adapter/` (of the rounds whose guards hold the one of most reward; the last where none does), `report.md`
    and `result.json`. changed: resume though adapter or data are others than the run began with. Raises MotionLLMError
    for anything wrong in recipe or data, for a judge that fails, where another process is in the folder, and where the
    disk is full; `Stopped`, after saving what there is, on Ctrl-C or SIGTERM.
    """
    if recipe.start is None:
        raise MotionLLMError("An improvement goes on from an adapter; give the run, the folder or the shipped name.")
    recipe = placed(recipe)
    with (
        lock(run),
        on_full_disk(lambda: f"Make room; what was made and learned is whole, and goes on with {resuming(run)}"),
        Signals("Stopped before anything was made.") as signals,
    ):
        return _improve(recipe, run, resume, changed, signals)


def _improve(recipe: Improvement, run: Path, resume: bool, changed: bool, signals: Signals) -> dict[str, Any]:
    if (run / "recipe.yaml").is_file() and not resume:  # replies of another recipe may lie there
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    panel, reporting = _panel(recipe, run)
    assert recipe.start
    lm = learner(recipe.start)
    make_folder(run)
    make_folder(run / "rounds")
    write_file(run / "recipe.yaml", dump_recipe(recipe))
    signals.message = f"Stopped; what was made and learned is kept, and goes on with {resuming(run)}"
    watch = _watch(recipe, lm, panel, reporting)
    first = _once(run / "before.json", lambda: _first(recipe, lm, watch))
    if not changed:
        began = {called_whole(name): value for name, value in first.get("made_of", {}).items()}
        check_made_of(run, began, _made_of(recipe))
    improver = _Improver(recipe, run, lm, watch, first["before"], signals)
    if resume and (run / checkpoint.FILE).is_file():
        improver.resume()
    improver.fit()
    measured = improver.end()
    outcome = _outcome(recipe, run, improver.state, first, _protocol(recipe, panel, reporting, watch.sampling))
    with writing(run / "report.md"):
        write_report(run, outcome, measured)
    write_json(run / "result.json", outcome)
    return outcome


# -- the rounds ------------------------------------------------------------------------------------------------


@dataclass
class State:
    """How far an improvement is, as every checkpoint holds it."""

    step: int = 0
    round: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    """The reward of the round that is kept."""
    kept: int | None = None
    """Its number, from 1."""
    after: dict[str, Any] | None = None
    """What `Watch.measure` returned for it."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """For each round that was measured, which kinds of event fail."""
    over: bool = False
    open: bool = False
    """A round has begun and is not measured yet."""
    drift: float = 0.0
    """Divergence from the start at the last step, in nats a token."""
    kept_holds: bool = False
    """Whether the guards held in the round that is kept."""


class _Improver:
    """An adapter that learns from its own judged results, and how far it is."""

    def __init__(
        self, recipe: Improvement, run: Path, lm: MotionLM, watch: Watch, before: dict[str, Any], signals: Signals
    ) -> None:
        self.recipe, self.settings, self.run, self.lm = recipe, recipe.train, run, lm
        self.watch, self.before, self.signals = watch, before, signals
        self.pool = Pool(recipe.sources, "train", recipe.tasks, lm) if self.settings.rounds else None
        self.texts = _plain(recipe, lm, run) if self.settings.rounds else []
        self.total = max(self.settings.rounds * self.settings.steps, 1)
        self.parameters = {name: p for name, p in lm.model.named_parameters() if p.requires_grad}
        self.start = {name: p.detach().clone() for name, p in self.parameters.items()}
        rows = [p for name, p in self.parameters.items() if "trainable_tokens" in name]
        others = [p for name, p in self.parameters.items() if "trainable_tokens" not in name]
        self.optimizer = torch.optim.AdamW(
            [{"params": others, "factor": 1.0}, {"params": rows, "factor": self.settings.rows_lr}],
            lr=self.settings.lr,
            weight_decay=0.0,  # away from the base, where the adapter is not to go
        )
        self.state = State()
        self.measured: list[Any] = []  # results of the round that is kept, and what the judges say of them

    def resume(self) -> None:
        """Go on from the checkpoint."""
        stored = checkpoint.load(self.run, self.lm.model, self.optimizer)
        del stored["stream"]
        vars(self.state).update(stored)

    def fit(self) -> None:
        """Round after round, until all are done, the minutes are over, or the guards stop it."""
        state, settings = self.state, self.settings
        self.journal = Log(self.run / "log.jsonl", lambda row: _holds(row, state, settings.steps))
        self.saved = time.monotonic()
        with Bar(f"improve {self.recipe.name}") as bar:
            while state.round < settings.rounds and (state.open or not state.over):
                state.open = True
                prompts, units, reward = self.sample(bar)
                if not units:
                    log.warning(
                        "No group of round %d has results to choose between; the run ends here.", state.round + 1
                    )
                    state.over = True
                    break
                remember(self.recipe, self.lm, units, self.start, self.run / "rounds" / f"{state.round:03d}.pt")
                self.learn(prompts, units, reward, bar)
                state.round += 1
                last = state.over or state.round == settings.rounds
                if last or state.round % self.recipe.guards.every == 0:
                    self.measure(last)
                state.open = False
                self.save()

    def sample(self, bar: Bar) -> tuple[list[Prompt], list[Unit], float]:
        """The prompts of the round, what there is to learn from the replies to them, and the replies' mean reward."""
        recipe, number = self.recipe, self.state.round
        assert self.pool
        prompts = self.pool.draw(recipe.sampling.prompts, [self.settings.seed, number, 2], recipe.sampling.seconds)
        panel = self.watch.panel
        with self.signals.finishing():
            groups = sampled(recipe, self.lm, panel, prompts, number, self.run, bar, self.signals)
        means = summary(groups, panel)
        units = units_of(recipe, self.lm, prompts, groups, number)
        if self.state.step == number * self.settings.steps:
            self.journal.write({"round": number + 1, "units": len(units), **means})
        log.info(
            "round %d: reward %.3f (best of each %.3f), %s; %d units",
            number + 1,
            means["reward"],
            means["best"],
            ", ".join(f"{k} {v:.3f}" for k, v in means["judges"].items() if v is not None),
            len(units),
        )
        return prompts, units, means["reward"]

    def learn(self, prompts: list[Prompt], units: list[Unit], reward: float, bar: Bar) -> None:
        """The steps of the round, from where it is. Raises `Stopped`, with all saved, where that is asked for."""
        state, settings = self.state, self.settings
        until = (state.round + 1) * settings.steps
        self.lm.model.train()
        with self.signals.finishing():
            while state.step < until and not state.over:
                row = self.step(prompts, units)
                self.journal.write({"step": state.step, "seconds": round(state.seconds, 1), **row})
                bar.update(
                    state.step / self.total,
                    round=state.round + 1,
                    step=state.step,
                    loss=row["loss"],
                    kl=row["kl"],
                    reward=reward,
                )
                due = settings.save_minutes and time.monotonic() - self.saved >= 60 * settings.save_minutes
                ends = state.step == until or state.over  # measuring may take long
                if due or ends or self.signals.asked or state.step % settings.save_every == 0:
                    self.save()
                    self.saved = time.monotonic()
                if self.signals.asked:
                    how = f"Stopped after step {state.step}, whose checkpoint is saved; go on with {resuming(self.run)}"
                    raise Stopped(self.signals.asked, how)

    def step(self, prompts: list[Prompt], units: list[Unit]) -> dict[str, float]:
        """A step of the optimizer; what the log says of it."""
        state, settings, begun = self.state, self.settings, time.monotonic()
        in_round = state.step - state.round * settings.steps
        drawn, beside = draw(self.recipe, self.lm, units, prompts, self.texts, state.round, in_round)
        spent = self.spent()
        factor = rate(state.step, settings.warmup, max(state.step / self.total, spent), spent, settings.min_lr)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * group["factor"] * factor
        torch.manual_seed(settings.seed * 1_000_003 + state.step)  # of dropout, where the adapter has any
        loss, drift = backward(self.recipe, self.lm, drawn, beside)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), settings.clip))
        checkpoint.check_finite(
            self.run,
            state.step + 1,
            loss,
            norm,
            f"loss is {loss} and the gradient's norm {norm}",
            f"Lower train.lr in {self.run}/recipe.yaml",
            resuming(self.run),
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.drift = drift
        state.seconds += time.monotonic() - begun
        state.over = self.spent() >= 1
        return {"loss": loss, "kl": drift, "norm": norm, "lr": settings.lr * factor}

    def spent(self) -> float:
        """Share of the run's minutes that is over; 0 without a time limit."""
        return self.state.seconds / (60 * self.settings.minutes) if self.settings.minutes else 0.0

    def measure(self, last: bool) -> None:
        """Look at the guards; keep the adapter where it is the best so far. last: no round follows."""
        state, guards = self.state, self.recipe.guards
        after, measured = self.watch.measure(snapshot(self.lm))
        falls = fallen(self.before, after, guards)
        self.journal.write({"round": state.round, "guards": after, "fallen": falls})
        state.events.append({"round": state.round, **after.get("events", {})})
        log.info("round %d: %s", state.round, verdict(self.before, after, guards))
        holds = not falls
        # The first is kept whatever it is; after it what holds is better than what does not.
        if state.kept is None or (holds, after["reward"]) > (state.kept_holds, state.best):
            state.kept, state.kept_holds, state.best, state.after = state.round, holds, after["reward"], after
            with writing(self.run / "adapter"):
                self.lm.save(self.run / "adapter", self.settings.store if last else "float32")
            self.measured = measured
        state.over |= guards.stop and not holds

    def save(self) -> None:
        """A checkpoint, with no stream of examples to go on with: what is drawn follows from round and step."""
        checkpoint.save(
            self.run, checkpoint.gather(self.lm.model, self.optimizer) | asdict(self.state) | {"stream": None}
        )

    def end(self) -> list[Any]:
        """Close the run; the results of the adapter that is kept, and what the judges say of them."""
        if not self.measured:  # no round, or the one that was kept was before the run was resumed
            there = (self.run / "adapter").is_dir()
            after, self.measured = self.watch.measure(MotionLM.load(self.run) if there else snapshot(self.lm))
            self.state.after = self.state.after or after
        self.journal.close()
        return self.measured


def _holds(row: dict[str, Any], state: State, steps: int) -> bool:
    """Whether a row of the log is from before the state that a run goes on from; the others are written again."""
    if "step" in row:
        return bool(row["step"] <= state.step)
    # A round is logged before its first step, its guards after its last.
    done = row["round"] <= state.round if "guards" in row else (row["round"] - 1) * steps < state.step
    return bool(done)


# -- before and around -----------------------------------------------------------------------------------------


def _panel(recipe: Improvement, run: Path) -> tuple[Panel, Embedder | None]:
    """The judges that reward, and the embedder that reports. Raises MotionLLMError where the two share one."""
    judging = Embedder.load(recipe.embedder) if recipe.embedder else None
    reporting = Embedder.load(recipe.guards.embedder) if recipe.guards.embedder else None
    if judging and reporting and judging.id == reporting.id:
        raise MotionLLMError(
            f"Embedder {judging.id} both judges and reports; what is optimised is no measure: train another one for "
            "`embedder` (another seed, another share of the clips)."
        )
    panel = Panel(recipe.judges, judging, run / "failed")
    idle = [name for name, judge in panel.judges.items() if judge.task not in recipe.tasks]
    if idle:
        raise MotionLLMError(
            f"The judge {idle[0]!r} is of the task {panel.judges[idle[0]].task}, which `tasks` lacks; leave one out."
        )
    unjudged = set(recipe.tasks) - {judge.task for judge in panel.judges.values()}
    if unjudged:
        raise MotionLLMError(f"No judge is of the task {sorted(unjudged)[0]!r}; add one, or leave the task out.")
    return panel, reporting


def _watch(recipe: Improvement, lm: MotionLM, panel: Panel, reporting: Embedder | None) -> Watch:
    """The guards' held-out prompts. Raises MotionLLMError where `agreement` could not be measured on any of them."""
    held_out = Pool(recipe.sources, "val", recipe.tasks, lm).draw(
        recipe.guards.cases, [recipe.train.seed, 0, 1], recipe.sampling.seconds
    )
    if "agreement" in panel.judges and not lm.plans and not any(prompt.real for prompt in held_out):
        raise MotionLLMError(
            "`agreement` compares with what is measured on real clips, which are of 22 joints, and no clip of the "
            "sources is; name other `judges`, as physics or likeness."
        )
    # As motion is generated by default: what users see is what is guarded. Guidance is left out, as in learning, and
    # the library, which does not learn.
    sampling = replace(lm.sampling, guidance=1.0, best_of=1, library=False)
    return Watch(held_out, panel, reporting, sampling, batch=recipe.sampling.batch, seed=recipe.train.seed)


def _plain(recipe: Improvement, lm: MotionLM, run: Path) -> list[Tokens]:
    """Texts to rehearse, kept, so that a resumed run rehearses the same."""
    settings = recipe.train
    count = min(round(settings.rehearsal * settings.batch) * settings.steps, TEXTS)
    if not count:
        return []
    made = _once(run / "rehearsal.json", lambda: {"ids": [t.ids for t in rehearsal(lm, count, settings.seed)]})
    return [Tokens(ids, [False] + [True] * (len(ids) - 1)) for ids in made["ids"]]


def _first(recipe: Improvement, lm: MotionLM, watch: Watch) -> dict[str, Any]:
    base = lm.model.eval()
    with base.disable_adapter():
        plain = plain_language(lm)
    return {
        "adapter": adapter_hash(recipe.start or ""),
        "made_of": _made_of(recipe),
        "plain_of_base": plain,
        "before": watch.measure(snapshot(lm))[0],
    }


def _made_of(recipe: Improvement) -> dict[str, str]:
    """What a run is made of besides its recipe, by name: the same run needs the same."""
    return fingerprints(recipe.sources) | {"the adapter it started from": adapter_hash(recipe.start or "")}


def _once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result made once in a run, and read from its file after that."""
    if not path.is_file():
        write_json(path, make())
    return read_json(path)


def _outcome(recipe: Improvement, run: Path, state: State, first: dict[str, Any], protocol: str) -> dict[str, Any]:
    """What `result.json` holds. first: what was measured before the first round."""
    before, after = first["before"], state.after
    assert after
    falls, rose = fallen(before, after, recipe.guards), after["reward"] > before["reward"]
    return {
        "run": str(run),
        "name": recipe.name,
        "method": recipe.method,
        "weights": dict(recipe.judges),
        "start": recipe.start,
        "start_adapter": first["adapter"],
        "steps": state.step,
        "rounds": state.round,
        "kept_round": state.kept,
        "train_seconds": round(state.seconds, 1),
        "kl": state.drift,
        "verdict": verdict(before, after, recipe.guards),
        "gamed": rose and bool(falls),
        "holds": not falls,
        "fallen": falls,
        "plain_of_base": first["plain_of_base"],
        "events": [{"round": 0, **before.get("events", {})}, *state.events],
        "before": before,
        "after": after,
        "protocol": protocol,
    }


def _protocol(recipe: Improvement, panel: Panel, reporting: Embedder | None, sampling: Sampling) -> str:
    judged = ", ".join(f"{name} {weight:g}" for name, weight in recipe.judges.items())
    embedders = f"judged by embedder `{panel.embedder.id}`; " if panel.embedder else ""
    embedders += f"FID and diversity by embedder `{reporting.id}`; " if reporting else ""
    return (
        f"Method {recipe.method}; judges and weights: {judged}; {embedders}"
        f"{recipe.guards.cases} held-out prompts, one reply each at temperature {sampling.temperature:g} and "
        f"top-p {sampling.top_p:g}, own stop, seed {recipe.train.seed}."
    )
