"""The loop of a run: state, steps, validations and checkpoints, the same in each process.

One step: draw `batch` examples, pack them into rows, run the rows in micro-batches, divide by the supervised tokens of
the whole step (never by micro-batch), clip, step. Every process draws the same examples and takes its share of the
rows, so that the number of processes changes speed and nothing else. Dropout is seeded by step and process: with the
stream of examples, that is all the chance there is, and a resumed run repeats it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from motionllm.config import dump_recipe
from motionllm.data.ahead import Ahead
from motionllm.data.clips import Clips
from motionllm.data.content import called_whole
from motionllm.data.examples import Batch, Examples, check_length, collate, pack
from motionllm.files import write_file, write_json, writing
from motionllm.language.conversations import Tokens
from motionllm.lm.attention import MASKED
from motionllm.lm.model import MotionLM
from motionllm.runs import checkpoint
from motionllm.runs.memory import trim
from motionllm.runs.progress import Bar
from motionllm.runs.run import Log, Signals, check_made_of, rate
from motionllm.training.checks import made_of
from motionllm.training.learner import Learner, attend_fast, compile_layers, compiles, parameter_groups, shard
from motionllm.training.microbatches import by_memory, dividing, some_examples, steps_of
from motionllm.training.processes import broadcast, drawers, launch
from motionllm.training.validation import held_out, sample

log = logging.getLogger(__name__)


@dataclass
class State:
    """How far a run is, as every checkpoint holds it."""

    step: int = 0
    examples: int = 0
    seconds: float = 0.0
    best: float = math.inf
    """The lowest validation loss."""
    stale: int = 0
    """Validations since then."""
    validated: int = -1
    """The step after which the last validation was."""
    rows: int = 0
    """Rows of a micro-batch, where they were sized by memory; and for which devices."""
    rows_for: str = ""
    made_of: dict[str, str] = field(default_factory=dict)
    """Data, base and tokenizer, see `checks.made_of`."""


class _Due(NamedTuple):
    """What the clocks of a run say after a step, the same in every process."""

    progress: float
    """Share of the run that is done."""
    spent: float
    """Share of its minutes that is over; 0 without a time limit."""
    save: bool
    validate: bool


class _Drawn(NamedTuple):
    """The rows of a step: this process's share in micro-batches, on its device; the numbers of tokens and of supervised
    ones, those of all processes; the place in the stream of examples after them.
    """

    batches: list[Batch]
    tokens: int
    supervised: int
    stream: dict[str, Any]


class Trainer:
    """What a run trains, on what, and how far it is; one in each process."""

    def __init__(
        self, lm: MotionLM, run: Path, clips: dict[str, list[Clips]], accelerator: Any, signals: Signals
    ) -> None:
        self.lm, self.run, self.accelerator, self.signals = lm, run, accelerator, signals
        self.recipe, self.settings = lm.recipe, lm.recipe.train
        self.first, self.processes = accelerator.is_main_process, accelerator.num_processes
        self.pad = lm.tokenizer.pad_token_id or 0
        self.journal: Log | None = None  # the main process's
        codes_rate = lm.motion_tokenizer.codes_per_second
        parts = (clips["train"], self.recipe.data, lm.templates, lm.renderer, codes_rate, self.settings.seed)
        self.parts, self.examples = parts, Examples(*parts)
        self.drawing: Examples | Ahead = self.examples
        self.held_out = held_out(clips["val"], self.recipe, lm.templates, lm, codes_rate)
        cut = check_length(Examples(*parts), self.recipe.data)
        if cut and self.first:
            log.warning("%s", cut)
        self.state = State(made_of=broadcast([made_of(self.recipe, lm, clips) if self.first else {}])[0])

        self.stream = self.examples.order.state()
        self.shape: tuple[int, int] | None = None  # of every micro-batch, where the layers are compiled
        self.learner = Learner(lm, self.settings.motion_loss)
        self.model: Any = self.learner  # as it is wrapped for its device and the other processes
        self.compiled = compiles(self.recipe, accelerator.device)
        if self.compiled:
            compile_layers(lm.model)
        self.sharded = self.settings.shard and self.processes > 1
        if self.sharded:
            shard(self.model, accelerator)
        groups = parameter_groups(lm, self.recipe.adapter, self.settings)
        rows = groups[-1]["params"] if self.recipe.adapter.method != "full" else []
        # What is trained besides the motion rows.
        self.others = [p for group in groups for p in group["params"] if not any(p is row for row in rows)]
        fused = accelerator.device.type == "cuda"
        self.optimizer: Any = torch.optim.AdamW(groups, lr=self.settings.lr, fused=fused)

    def resume(self, changed: bool) -> None:
        """Go on from the newest checkpoint. changed: though data, base or tokenizer are others than it began with."""
        stored = checkpoint.load(self.run, self.lm.model, self.optimizer)
        self.stream = stored.pop("stream")
        self.examples.order.restore(self.stream)
        began = stored.pop("made_of", {})  # earlier versions lack it
        if not changed:
            check_made_of(self.run, {called_whole(name): value for name, value in began.items()}, self.state.made_of)
        stored.pop("launch", None)
        vars(self.state).update(stored)

    @contextmanager
    def drawing_ahead(self) -> Iterator[None]:
        """Where examples are drawn by processes of their own, start these, and end them."""
        if not (workers := drawers(self.settings.workers, self.accelerator)):
            yield
            return
        self.drawing = Ahead(self.examples, workers, 2 * self.settings.batch)
        try:
            yield
        finally:
            self.drawing.close()

    def begin(self, precision: str, clips: dict[str, list[Clips]]) -> None:
        """Wrap the model for its device and the other processes, and open the run's files."""
        attends = attend_fast(self.lm.model, self.accelerator.device, precision)
        self.model = self.model if self.sharded else self.accelerator.prepare(self.model)
        self.optimizer = self.accelerator.prepare(self.optimizer)
        self.micro_batch, sized = self.sized()
        if self.compiled:
            self.shape = self.micro_batch, self.recipe.data.max_length
        if self.settings.report_to != "none":
            self.accelerator.init_trackers("motionllm", config=self.recipe.model_dump())
        if not self.first:
            return
        if not self.over or not (self.run / "recipe.yaml").is_file():  # of a run at its end nothing changes
            write_file(self.run / "recipe.yaml", dump_recipe(self.recipe))
        log.info(
            "%s: %d process(es) on %s in %s%s%s; %s clips; %.2f M parameters by %s and %d motion rows are trained.",
            self.recipe.name,
            self.processes,
            self.accelerator.device.type,
            precision,
            ", each with its share of the weights" if self.sharded else "",
            f", {'compiled, ' * self.compiled}with {attends}" if self.compiled or attends != MASKED else "",
            ", ".join(f"{sum(map(len, clips[split]))} {split}" for split in clips),
            sum(p.numel() for p in self.others) / 1e6,
            self.recipe.adapter.method,
            len(self.lm.vocab.ids),
        )
        self.journal = Log(self.run / "log.jsonl", lambda row: row.get("step", math.inf) <= self.state.step)
        if sized:
            log.info(
                "Micro-batches of %d rows of %d tokens fit the memory.", self.micro_batch, self.recipe.data.max_length
            )
            self.note({"micro_batch": self.micro_batch, "memory": sized})

    def sized(self) -> tuple[int, dict[str, float]]:
        """The rows of a micro-batch; and what was measured for it, on a GPU: anew where a run goes on with others."""
        settings, device, state = self.settings, self.accelerator.device, self.state
        most, measured = settings.rows_on_cpu, dict[str, float]()
        by_device = settings.micro_batch == "auto" and device.type == "cuda"
        if not by_device and not self.compiled:
            return most, {}
        devices = f"{self.processes} × {torch.cuda.get_device_name(device) if by_device else device.type}"
        if by_device and state.rows and state.rows_for == devices:
            return state.rows, {}
        examples = some_examples(Examples(*self.parts))
        if by_device:
            most, measured = by_memory(self.recipe, self.learner, examples, self.accelerator, self.optimizer)
        rows = dividing(steps_of(examples, self.recipe, self.processes), most, self.recipe.data.max_length, device.type)
        # All processes take what fits the fullest of them.
        state.rows = int(self.accelerator.gather(torch.tensor([rows], device=device)).min())
        state.rows_for = devices
        return state.rows, measured

    def fit(self) -> bool:
        """Train until the run is at its end, or is asked to stop: whether it is at its end."""
        settings, state = self.settings, self.state
        self.model.train()
        self.started = time.monotonic() - state.seconds
        self.saved = self.validated = time.monotonic()
        due, stop = self.due(broadcast(self.clocks())), False
        ended = due.progress >= 1
        self.drawn = None if ended else self.draw()
        with Bar(f"train {self.recipe.name}") as bar, self.signals.finishing():
            while not ended and not stop and self.drawn:
                begun, drawn = time.monotonic(), self.drawn
                factor = rate(state.step, settings.warmup, due.progress, due.spent, settings.min_lr, settings.schedule)
                measured, due, stop = self.step(drawn, factor)
                self.report(bar, due, drawn.tokens / (time.monotonic() - begun), drawn.tokens, measured, factor)
                ended = due.progress >= 1
                if ended or due.validate or state.step % settings.validate_every == 0:
                    self.validate(ended)
                    ended = ended or self.impatient
                if ended or due.save or stop or state.step % settings.save_every == 0:
                    self.save()
            if ended and state.validated != state.step:  # at its end before the first step, or after the last saved one
                if not state.step:
                    log.warning("The run was at its end before its first step: its adapter is untrained.")
                self.validate(True)
                self.save()
        return ended

    @property
    def over(self) -> bool:
        """Whether the run was at its end when it was last saved."""
        minutes = self.settings.minutes
        return self.due([self.state.seconds / (60 * minutes) if minutes else 0.0, 0.0, 0.0]).progress >= 1

    @property
    def impatient(self) -> bool:
        """Whether validations have been without a better one for as long as the recipe waits."""
        return bool(self.settings.patience and self.state.stale >= self.settings.patience)

    def clocks(self) -> list[float]:
        """Share of the run's minutes that is over; whether it is time to save, and to validate."""
        settings, now = self.settings, time.monotonic()
        last = ((settings.save_minutes, self.saved), (settings.validate_minutes, self.validated))
        due = (float(minutes is not None and now - before >= 60 * minutes) for minutes, before in last)
        return [(now - self.started) / (60 * settings.minutes) if settings.minutes else 0.0, *due]

    def due(self, clocks: list[float]) -> _Due:
        """How far the run is, and what it is time for, by the clocks of the main process: every process must do the
        same at the same step.
        """
        spent, save, look = clocks
        progress = 1.0 if self.impatient else max(self.state.step / self.settings.steps, spent)
        return _Due(progress, spent, bool(save), bool(look))

    def draw(self) -> _Drawn:
        """The rows of the next step."""
        drawn = [self.drawing.draw()[1] for _ in range(self.settings.batch)]
        packed = pack(drawn, self.recipe.data.max_length, self.processes, self.recipe.data.packing)
        supervised = sum(sum(t.supervised[1:]) for row in packed for t in row)
        tokens = sum(len(t.ids) for row in packed for t in row)
        return _Drawn(self.batches(packed), tokens, supervised, self.examples.order.state())

    def batches(self, packed: list[list[Tokens]]) -> list[Batch]:
        """This process's share of the rows, in micro-batches."""
        mine, size = packed[self.accelerator.process_index :: self.processes], self.micro_batch
        device = self.accelerator.device
        return [collate(mine[i : i + size], self.pad, self.shape).to(device) for i in range(0, len(mine), size)]

    def step(self, drawn: _Drawn, factor: float) -> tuple[dict[str, float], _Due, bool]:
        """A step of the optimizer on rows, at `factor` of the learning rate: its loss, nats a supervised token, and the
        gradient's norm; what is due after it; whether a process was asked to stop.
        """
        state, settings, device = self.state, self.settings, self.accelerator.device
        torch.manual_seed((settings.seed * 1_000_003 + state.step) * 1009 + self.accelerator.process_index)  # dropout
        self.stream, supervised = drawn.stream, max(drawn.supervised, 1)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * group["factor"] * factor
        losses = torch.zeros(2, device=device)  # of motion and text
        for number, batch in enumerate(drawn.batches):
            last = number == len(drawn.batches) - 1
            if self.sharded:
                self.model.set_requires_gradient_sync(last)
            alone = nullcontext() if last or self.sharded else self.accelerator.no_sync(self.model)
            with alone, self.accelerator.autocast():
                motion, text = self.model(batch)
                # Gradients are averaged over processes: times their number makes the average a sum.
                self.accelerator.backward((motion + text) * self.processes / supervised)
            losses += torch.stack([motion, text]).detach()
        # One sum over the processes: losses, how many were asked to stop, and the clocks of the first.
        told = torch.tensor([float(bool(self.signals.asked)), *(c * self.first for c in self.clocks())])
        sums = self.accelerator.reduce(torch.cat([losses, told.to(device, non_blocking=True)]))
        if state.step < self.recipe.adapter.rows_first:
            for parameter in self.others:
                parameter.grad = None
        total = checkpoint.whole(torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip))
        # While the device computes, the rows of the next step are drawn.
        self.drawn = self.draw() if state.step + 1 < settings.steps else None
        # The one place of a step that waits for the device.
        *both, asked, spent, save, look, norm = torch.cat([sums, total.to(sums)[None]]).tolist()
        loss = sum(both) / supervised
        checkpoint.check_finite(
            self.run,
            state.step + 1,
            loss,
            norm,
            f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}",
            "Lower train.lr or clean the data",
            f"{resuming(self.run)} train.lr={settings.lr / 4:g}",
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        trim(state.step)
        state.examples += settings.batch
        state.seconds = time.monotonic() - self.started
        return {"loss": loss, "norm": norm}, self.due([spent, save, look]), bool(asked)

    def note(self, row: dict[str, Any]) -> None:
        """A line of the run's log."""
        if self.journal:
            self.journal.write({"step": self.state.step, "seconds": round(self.state.seconds, 1)} | row)

    def report(self, bar: Bar, due: _Due, speed: float, tokens: int, measured: dict[str, float], factor: float) -> None:
        """A step in the log, on the progress line and to the trackers. speed: tokens per second."""
        if not self.first:
            return
        lr, loss = self.settings.lr * factor, measured["loss"]
        self.note({**measured, "tokens": tokens, "tokens_per_second": round(speed, 1), "lr": lr})
        bar.update(due.progress, step=self.state.step, loss=loss, **{"tokens/s": round(speed)})
        self.accelerator.log({"loss": loss, "tokens_per_second": speed}, step=self.state.step)

    def validate(self, final: bool) -> None:
        """Validate; keep the adapter where it is the best so far; generate the samples that were asked for."""
        state = self.state
        state.validated = state.step
        self.model.eval()
        losses = self.losses()
        if self.first and self.settings.samples:
            with self.accelerator.autocast(), writing(self.run / "samples"):
                samples = sample(self.lm, self.settings, self.run / "samples", state.step)
            self.note({"samples": samples})
        self.model.train()
        if self.first and losses:
            self.note({"validation": losses})
            self.accelerator.log({f"validation/{task}": loss for task, loss in losses.items()}, step=state.step)
            figures = "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items())
            log.info("step %d: validation loss %s", state.step, figures)
        value = losses.get("all", -float(state.step))  # without validation the newest is kept
        # Sharded weights are gathered by all or by none.
        if broadcast([value <= state.best or (final and not (self.run / "adapter").is_dir())])[0]:
            self.keep(final)
            state.best, state.stale = value, 0
        else:
            state.stale += 1
        self.validated = time.monotonic()

    @torch.no_grad()
    def losses(self) -> dict[str, float]:
        """Validation loss, nats a supervised token, by task, and over all as "all". Each process takes its share."""
        losses: dict[str, float] = {}
        every = torch.zeros(2, dtype=torch.float64)
        for task, examples in self.held_out.items():
            sums = torch.zeros(2, dtype=torch.float64, device=self.accelerator.device)  # loss, tokens
            packed = pack(examples, self.recipe.data.max_length, self.processes, self.recipe.data.packing)
            for batch in self.batches(packed):
                with self.accelerator.autocast():
                    motion, text = self.model(batch)
                sums[0] += (motion + text).double()
                sums[1] += batch.supervised
            sums = self.accelerator.reduce(sums).cpu()
            if sums[1]:  # else every reply is beyond max_length
                losses[task] = float(sums[0] / sums[1])
            every += sums
        return losses | {"all": float(every[0] / every[1])} if losses else {}

    def keep(self, final: bool) -> None:
        """Save the adapter as the best so far. final: no step follows."""
        trained = checkpoint.gather(self.lm.model, self.optimizer.optimizer)["model"] if self.sharded else None
        if self.first:
            with writing(self.run / "adapter"):
                # Rounding touches the weights in memory: only when no step follows.
                self.lm.save(self.run / "adapter", self.settings.store if final else "float32", trained)

    def save(self) -> None:
        """A checkpoint."""
        stored = checkpoint.gather(self.lm.model, self.optimizer.optimizer) | asdict(self.state)
        stored |= {"stream": self.stream, "launch": launch()}
        if self.first:
            checkpoint.save(self.run, stored, self.settings.keep)
        self.saved = time.monotonic()

    def end(self, ended: bool, prepared: float) -> dict[str, Any]:
        """Close the run, and return its result, which is written where the run is at its end."""
        best = self.state.best
        result = {
            "run": str(self.run),
            "steps": self.state.step,
            "examples": self.state.examples,
            "train_seconds": round(self.state.seconds, 1),
            "prepare_seconds": round(prepared, 1),
            "best_validation_loss": best if self.held_out and math.isfinite(best) and best >= 0 else None,
            "processes": self.processes,
        }
        if self.journal:
            self.journal.close()
            if ended:
                write_json(self.run / "result.json", result)
        # The wrapper goes before the process group. As the group's last holder it would wait, with Python's lock, for a
        # thread of the group that needs that lock to let go of a tensor: now and then a process never ended.
        self.model, self.optimizer = self.accelerator.free_memory(self.model, self.optimizer)
        self.accelerator.end_training()
        return result


def resuming(run: Path) -> str:
    """The command that goes on with a run."""
    return f"motionllm train --resume {run}"
