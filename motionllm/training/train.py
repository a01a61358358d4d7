"""The fine-tuning loop on Accelerate, top to bottom.

One step: draw `batch` examples, pack them into rows, run the rows in micro-batches, divide by the supervised
tokens of the whole step (never by micro-batch), clip, step. Every process draws the same examples and takes
its share of the rows, so that the number of processes changes speed and nothing else. Dropout is seeded by step and
process: with the stream of examples, that is all the chance there is, and a resumed run repeats it.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from motionllm.config import Adapter, Recipe, Training, dump_recipe
from motionllm.data.ahead import Ahead
from motionllm.data.clips import Clips
from motionllm.data.examples import Batch, Examples, check_length, collate, pack
from motionllm.data.prepare import clips_of, motion_tokenizer_of
from motionllm.data.sources import fingerprints
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.files import lock, make_folder, write_file, write_json, writing
from motionllm.language.bases import packs, takes_positions
from motionllm.language.conversations import Tokens
from motionllm.lm.adapters import bare, share_inputs
from motionllm.lm.loss import cross_entropy
from motionllm.lm.model import MotionLM
from motionllm.runs import checkpoint
from motionllm.runs.memory import trim
from motionllm.runs.precision import fast_dtype
from motionllm.runs.progress import Bar
from motionllm.runs.run import Log, Signals, Stopped, check_made_of, on_full_disk, rate
from motionllm.tokenizer import MotionTokenizer
from motionllm.training.checks import check, pinned

log = logging.getLogger(__name__)

TOLD = 50_000  # clips in which motion rows meet their words; more change nothing and take memory


def train(recipe: Recipe, run: Path, resume: bool = False, changed: bool = False) -> dict[str, Any]:
    """Fine-tune by a recipe into a run folder; returns what `result.json` holds.

    The folder gets `recipe.yaml`, `log.jsonl`, `checkpoint.pt` (and older ones), `adapter/` (the best by validation
    loss, else the last), `samples/` and `result.json`. changed: resume though data, base or tokenizer are others than
    the run began with. Raises MotionLLMError for anything wrong in recipe or data, before training starts, where
    another process is in the folder, and where the disk is full; `Stopped`, after saving a checkpoint, on Ctrl-C or
    SIGTERM.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    settings = recipe.train
    _check_launch()
    check(recipe)
    recipe = pinned(recipe)
    precision = fast_dtype() if settings.precision == "auto" else settings.precision
    AcceleratorState._reset_state()  # else a second run in this process could not have another precision
    accelerator = Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        log_with=None if settings.report_to == "none" else settings.report_to,
        project_dir=str(run),
    )

    def left() -> str:
        if (run / checkpoint.FILE).is_file():
            return f"Make room and go on from the last checkpoint, which is whole: {_resuming(run)}"
        return "Make room and start the run again; it has no checkpoint yet."

    with _held(run, accelerator), on_full_disk(left), Signals("Stopped before the first step.") as signals:
        return _train(recipe, run, resume, changed, accelerator, precision, signals)


def _resuming(run: Path) -> str:
    return f"motionllm train --resume {run}"


@contextmanager
def _held(run: Path, accelerator: Any) -> Iterator[None]:
    """The run's folder for this launch alone: its main process locks it, and all are refused where that is."""
    with ExitStack() as stack:
        refused: list[str | None] = [None]
        if accelerator.is_main_process:
            try:
                stack.enter_context(lock(run))
            except MotionLLMError as error:
                refused = [str(error)]
        if _broadcast(refused)[0]:
            accelerator.end_training()
            if accelerator.is_main_process:
                raise MotionLLMError(refused[0])
            raise SystemExit(2)
        yield


def _train(
    recipe: Recipe, run: Path, resume: bool, changed: bool, accelerator: Any, precision: str, signals: Signals
) -> dict[str, Any]:
    templates = Templates.load(recipe.data.templates)
    templates.check(recipe.data.tasks)
    if (run / checkpoint.FILE).is_file() and not resume:
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    if accelerator.is_main_process:
        make_folder(run)
    begun = time.monotonic()
    with accelerator.main_process_first():
        motion_tokenizer = motion_tokenizer_of(recipe, run)
        clips = {split: clips_of(recipe, split, motion_tokenizer) for split in ("train", "val")}
    prepared = time.monotonic() - begun
    lm = _model(recipe, motion_tokenizer, templates, clips["train"], precision)
    trainer = _Trainer(lm, run, clips, accelerator, signals)
    if resume:
        trainer.resume(changed)
    with trainer.drawing_ahead():
        trainer.begin(precision, clips)
        ended = trainer.fit()
    result = trainer.end(ended, prepared)
    if not ended:
        how = f"Stopped after step {trainer.state.step}, whose checkpoint is saved; go on with {_resuming(run)}"
        raise Stopped(signals.asked or signal.SIGTERM, how if trainer.first else "")
    return result


def _model(
    recipe: Recipe, motion_tokenizer: MotionTokenizer, templates: Templates, clips: Sequence[Clips], precision: str
) -> MotionLM:
    """The model to be trained, with the recipe that it is trained by: without packing where the base cannot."""
    needed = recipe.adapter.rows_init == "words" or recipe.model.bpe
    lm = MotionLM.create(recipe, motion_tokenizer, templates, list(islice(chain(*clips), TOLD)) if needed else [])
    if recipe.data.packing and not packs(bare(lm.model)):
        log.info("%s takes no packed examples: each has a row of its own.", recipe.model.base)
        lm.recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"packing": False})})
    if precision == "bfloat16":  # the model is only ever called in autocast from here on
        share_inputs(lm.model)
    if recipe.train.checkpointing:
        lm.model.enable_input_require_grads()
        lm.model.gradient_checkpointing_enable({"use_reentrant": False})
    return lm


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
    made_of: dict[str, str] = field(default_factory=dict)
    """Data, base and tokenizer, see `_made_of`."""


class _Due(NamedTuple):
    """What the clocks of a run say after a step, the same in every process."""

    progress: float
    """Share of the run that is done."""
    spent: float
    """Share of its minutes that is over; 0 without a time limit."""
    save: bool
    validate: bool


class _Trainer:
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
        self.examples = Examples(*parts)
        self.drawing: Examples | Ahead = self.examples
        self.held_out = _held_out(clips["val"], self.recipe, lm.templates, lm, codes_rate)
        cut = check_length(Examples(*parts), self.recipe.data)
        if cut and self.first:
            log.warning("%s", cut)
        # Hashing the data once does.
        self.state = State(made_of=_broadcast([_made_of(self.recipe, lm) if self.first else {}])[0])

        self.model: Any = _Learner(lm, self.settings.motion_loss)
        self.sharded = self.settings.shard and self.processes > 1
        if self.sharded:
            _shard(self.model, accelerator)
        groups = _groups(lm, self.recipe.adapter, self.settings)
        rows = groups[-1]["params"] if self.recipe.adapter.method != "full" else []
        # What is trained besides the motion rows.
        self.others = [p for group in groups for p in group["params"] if not any(p is row for row in rows)]
        self.optimizer: Any = torch.optim.AdamW(groups, lr=self.settings.lr)

    def resume(self, changed: bool) -> None:
        """Go on from the newest checkpoint. changed: though data, base or tokenizer are others than it began with."""
        stored = checkpoint.load(self.run, self.lm.model, self.optimizer)
        self.examples.order.restore(stored.pop("stream"))
        made_of = stored.pop("made_of", {})  # earlier versions lack it
        if not changed:
            check_made_of(self.run, made_of, self.state.made_of)
        vars(self.state).update(stored)

    @contextmanager
    def drawing_ahead(self) -> Iterator[None]:
        """Where examples are drawn by processes of their own, start these, and end them."""
        if not (workers := _workers(self.settings.workers, self.accelerator)):
            yield
            return
        self.drawing = Ahead(self.examples, workers, 2 * self.settings.batch)
        try:
            yield
        finally:
            self.drawing.close()

    def begin(self, precision: str, clips: dict[str, list[Clips]]) -> None:
        """Wrap the model for its device and the other processes, and open the run's files."""
        self.model = self.model if self.sharded else self.accelerator.prepare(self.model)
        self.optimizer = self.accelerator.prepare(self.optimizer)
        if self.settings.report_to != "none":
            self.accelerator.init_trackers("motionllm", config=self.recipe.model_dump())
        if not self.first:
            return
        write_file(self.run / "recipe.yaml", dump_recipe(self.recipe))
        log.info(
            "%s: %d process(es) on %s in %s%s; %s clips; %.2f M parameters by %s and %d motion rows are trained.",
            self.recipe.name,
            self.processes,
            self.accelerator.device.type,
            precision,
            ", each with its share of the weights" if self.sharded else "",
            ", ".join(f"{sum(map(len, clips[split]))} {split}" for split in clips),
            sum(p.numel() for p in self.others) / 1e6,
            self.recipe.adapter.method,
            len(self.lm.vocab.ids),
        )
        self.journal = Log(self.run / "log.jsonl", lambda row: row.get("step", math.inf) <= self.state.step)

    def fit(self) -> bool:
        """Train until the run is at its end, or is asked to stop: whether it is at its end."""
        settings, state = self.settings, self.state
        self.model.train()
        self.started = time.monotonic() - state.seconds
        self.saved = self.validated = time.monotonic()
        due, stop = self.due(), False
        ended = due.progress >= 1
        with Bar(f"train {self.recipe.name}") as bar, self.signals.finishing():
            while not ended and not stop:
                begun = time.monotonic()
                packed = self.draw()
                factor = rate(state.step, settings.warmup, due.progress, due.spent, settings.min_lr, settings.schedule)
                loss, norm, stop = self.step(packed, factor)
                due = self.due()
                self.report(bar, due, packed, begun, {"loss": loss, "norm": norm}, factor)
                ended = due.progress >= 1
                if ended or due.validate or state.step % settings.validate_every == 0:
                    self.validate(ended)
                    ended = ended or self.due().progress >= 1  # out of patience
                if ended or due.save or stop or state.step % settings.save_every == 0:
                    self.save()
        return ended

    def due(self) -> _Due:
        """How far the run is, and what it is time for."""
        settings, state, now = self.settings, self.state, time.monotonic()
        spent = (now - self.started) / (60 * settings.minutes) if settings.minutes else 0.0
        progress = max(state.step / settings.steps, spent)
        if settings.patience and state.stale >= settings.patience:
            progress = 1.0
        save, look = (
            minutes is not None and now - last >= 60 * minutes
            for minutes, last in ((settings.save_minutes, self.saved), (settings.validate_minutes, self.validated))
        )
        # Every process must do the same at the same step.
        return _Due(*_broadcast([progress, spent, save, look]))

    def draw(self) -> list[list[Tokens]]:
        """The rows of the next step, those of all processes; seeds its dropout."""
        seed = (self.settings.seed * 1_000_003 + self.state.step) * 1009 + self.accelerator.process_index
        torch.manual_seed(seed)
        drawn = [self.drawing.draw()[1] for _ in range(self.settings.batch)]
        return pack(drawn, self.recipe.data.max_length, self.processes, self.recipe.data.packing)

    def batches(self, packed: list[list[Tokens]]) -> list[Batch]:
        """This process's share of the rows, in micro-batches."""
        mine, size = packed[self.accelerator.process_index :: self.processes], self.settings.micro_batch
        device = self.accelerator.device
        return [collate(mine[i : i + size], self.pad).to(device) for i in range(0, len(mine), size)]

    def step(self, packed: list[list[Tokens]], factor: float) -> tuple[float, float, bool]:
        """A step of the optimizer on rows, at `factor` of the learning rate: the loss, nats a supervised token; the
        gradient's norm; whether a process was asked to stop.
        """
        state, settings = self.state, self.settings
        batches = self.batches(packed)
        supervised = max(sum(sum(t.supervised[1:]) for row in packed for t in row), 1)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * group["factor"] * factor
        sums = torch.zeros(3, device=self.accelerator.device)  # losses of motion and text; processes asked to stop
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            if self.sharded:
                self.model.set_requires_gradient_sync(last)
            alone = nullcontext() if last or self.sharded else self.accelerator.no_sync(self.model)
            with alone, self.accelerator.autocast():
                motion, text = self.model(batch)
                # Gradients are averaged over processes: times their number makes the average a sum.
                self.accelerator.backward((motion + text) * self.processes / supervised)
            sums[:2] += torch.stack([motion, text]).detach()
        sums[2] = bool(self.signals.asked)
        sums = self.accelerator.reduce(sums)
        if state.step < self.recipe.adapter.rows_first:
            for parameter in self.others:
                parameter.grad = None
        total = checkpoint.whole(torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip))
        # The one place of a step that waits for the device.
        loss, asked, norm = torch.stack([sums[:2].sum(), sums[2], total.to(sums)]).tolist()
        loss, stop = loss / supervised, bool(asked)
        checkpoint.check_finite(
            self.run,
            state.step + 1,
            loss,
            norm,
            f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}",
            "Lower train.lr or clean the data",
            f"{_resuming(self.run)} train.lr={settings.lr / 4:g}",
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        trim(state.step)
        state.examples += settings.batch
        state.seconds = time.monotonic() - self.started
        return loss, norm, stop

    def note(self, row: dict[str, Any]) -> None:
        """A line of the run's log."""
        if self.journal:
            self.journal.write({"step": self.state.step, "seconds": round(self.state.seconds, 1)} | row)

    def report(
        self, bar: Bar, due: _Due, packed: list[list[Tokens]], begun: float, measured: dict[str, float], factor: float
    ) -> None:
        """A step in the log, on the progress line and to the trackers. measured: its loss and norm."""
        if not self.first:
            return
        tokens = sum(len(t.ids) for row in packed for t in row)
        speed = tokens / (time.monotonic() - begun)
        lr, loss = self.settings.lr * factor, measured["loss"]
        self.note({**measured, "tokens": tokens, "tokens_per_second": round(speed, 1), "lr": lr})
        bar.update(due.progress, step=self.state.step, loss=loss, **{"tokens/s": round(speed)})
        self.accelerator.log({"loss": loss, "tokens_per_second": speed}, step=self.state.step)

    def validate(self, final: bool) -> None:
        """Validate; keep the adapter where it is the best so far; generate the samples that were asked for."""
        state = self.state
        self.model.eval()
        losses = self.losses()
        if self.first and self.settings.samples:
            with self.accelerator.autocast(), writing(self.run / "samples"):
                samples = _sample(self.lm, self.settings, self.run / "samples", state.step)
            self.note({"samples": samples})
        self.model.train()
        if self.first and losses:
            self.note({"validation": losses})
            self.accelerator.log({f"validation/{task}": loss for task, loss in losses.items()}, step=state.step)
            figures = "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items())
            log.info("step %d: validation loss %s", state.step, figures)
        value = losses.get("all", -float(state.step))  # without validation the newest is kept
        # Sharded weights are gathered by all or by none.
        if _broadcast([value <= state.best or (final and not (self.run / "adapter").is_dir())])[0]:
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
            sums = torch.zeros(2, dtype=torch.float64)  # loss, tokens
            packed = pack(examples, self.recipe.data.max_length, self.processes, self.recipe.data.packing)
            for batch in self.batches(packed):
                with self.accelerator.autocast():
                    motion, text = self.model(batch)
                sums += torch.tensor([float(motion + text), batch.supervised])
            sums = self.accelerator.reduce(sums.to(self.accelerator.device)).cpu()
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
        stored["stream"] = self.examples.order.state()
        if self.first:
            checkpoint.save(self.run, stored, self.settings.keep)
        self.saved = time.monotonic()

    def end(self, ended: bool, prepared: float) -> dict[str, Any]:
        """Close the run, and return its result, which is written where the run is at its end."""
        result = {
            "run": str(self.run),
            "steps": self.state.step,
            "examples": self.state.examples,
            "train_seconds": round(self.state.seconds, 1),
            "prepare_seconds": round(prepared, 1),
            "best_validation_loss": self.state.best if self.held_out else None,
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


def _broadcast(values: list[Any]) -> list[Any]:
    """The main process's values, in every process."""
    from accelerate.utils import broadcast_object_list

    broadcast_object_list(values)
    return values


def _check_launch() -> None:
    """Raises MotionLLMError where the launch asks for a sharding that is not this loop's own.

    DeepSpeed's engine would take over accumulation, clipping, the step and the form of checkpoints, and with them what
    is promised of each; and on a CPU Accelerate would silently run neither it nor its own FSDP.
    """
    for name, said in (("DEEPSPEED", "DeepSpeed"), ("FSDP", "Accelerate's FSDP")):
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true":
            raise MotionLLMError(
                f"This launch asks for {said}; weights, gradients and optimizer are shared out by train.shard=true "
                "(FSDP2): launch with recipes/accelerate/fsdp2.yaml and that key."
            )


def _workers(wanted: int | None, accelerator: Any) -> int:
    """The number of processes that draw examples for each that trains."""
    if wanted is not None or accelerator.device.type == "cpu":
        return wanted or 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))
    return min(4, max(0, cores // here - 1))


def _groups(lm: MotionLM, adapter: Adapter, settings: Training) -> list[dict[str, Any]]:
    """The optimizer's parameter groups; that of the motion rows is the last where they are apart."""
    trained = [(name, p) for name, p in lm.model.named_parameters() if p.requires_grad]
    if adapter.method == "full":
        # As is usual, what scales or stands for a token does not decay.
        spared = {id(m.weight) for m in lm.model.modules() if isinstance(m, torch.nn.Embedding)}
        spared |= {id(p) for _, p in trained if p.ndim < 2}
        decayed = [p for _, p in trained if id(p) not in spared]
        return [
            {"params": decayed, "factor": 1.0, "weight_decay": settings.weight_decay},
            {"params": [p for _, p in trained if id(p) in spared], "factor": 1.0, "weight_decay": 0.0},
        ]
    # Rows are absolute values, not differences: decay would pull them to zero.
    return [
        {
            "params": [p for name, p in trained if "trainable_tokens" not in name],
            "factor": 1.0,
            "weight_decay": settings.weight_decay,
        },
        {
            "params": [p for name, p in trained if "trainable_tokens" in name],
            "factor": adapter.rows_lr,
            "weight_decay": 0.0,
        },
    ]


def _made_of(recipe: Recipe, lm: MotionLM) -> dict[str, str]:
    """What a run is made of besides its recipe, by name: the same run needs the same."""
    probe = [{"role": "user", "content": "A person walks."}, {"role": "assistant", "content": "It walks."}]
    return fingerprints(recipe.data.sources) | {
        "the weights of the base": checkpoint.frozen(lm.model),
        "the motion tokenizer": lm.vocab.tokenizer_hash,
        "the base's tokenizer or chat template": str(lm.renderer(probe).ids),
    }


def _shard(learner: _Learner, accelerator: Any) -> None:
    """Take the weights apart over the processes: each decoder layer a unit, the rest another (FSDP2)."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for layer in bare(learner.model).get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(learner, mesh=mesh)


def _held_out(
    clips: Sequence[Clips], recipe: Recipe, templates: Templates, lm: MotionLM, rate: float
) -> dict[str, list[Any]]:
    """The same validation examples every time, by task; tasks that no validation clip serves are left out."""
    held_out: dict[str, list[Any]] = {}
    served = {
        task: weight for task, weight in recipe.data.tasks.items() if any(len(source.serving(task)) for source in clips)
    }
    if not served or not recipe.train.validate_examples:
        return held_out
    data = recipe.data.model_copy(update={"tasks": served, "corrupt": 0.0})
    stream = Examples(clips, data, templates, lm.renderer, rate, seed=0)
    for _ in range(recipe.train.validate_examples):
        task, tokens = stream.draw()
        held_out.setdefault(task, []).append(tokens)
    return held_out


def _sample(lm: MotionLM, settings: Training, folder: Path, step: int) -> list[str]:
    """Files of the motions that the model makes of `train.samples` by now."""
    folder.mkdir(exist_ok=True)
    view = lm.with_model(bare(lm.model))
    files = []
    for number, motion in enumerate(view.generate_batch(settings.samples, seed=settings.seed, best_of=1), 1):
        files.append(folder / f"{step:06d}_{number}.bvh")
        motion.save(files[-1])
    return [file.name for file in files]


class _Learner(torch.nn.Module):
    """Model and loss as one module, so that wrappers for several processes see the whole forward pass."""

    def __init__(self, lm: MotionLM, motion_loss: str) -> None:
        super().__init__()
        self.model, self.vocab, self.motion_loss = lm.model, lm.vocab, motion_loss

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums of the motion and the text losses of a packed batch."""
        base = bare(self.model)
        device = base.device
        # use_cache=False, positions that restart and no mask: packed examples do not see each other.
        body = base.get_decoder()
        places = {"position_ids": batch.positions.to(device)} if takes_positions(body) else {}
        hidden = body(input_ids=batch.ids.to(device), **places, use_cache=False).last_hidden_state
        return cross_entropy(hidden, batch.targets.to(device), base, self.vocab, self.motion_loss)
