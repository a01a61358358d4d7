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
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from motionllm.config import Adapter, Recipe, Training, dump_recipe
from motionllm.data.clips import Clips
from motionllm.data.examples import Batch, Examples, check_length, collate, pack
from motionllm.data.prepare import clips_of, motion_tokenizer_of
from motionllm.data.sources import fingerprints
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.files import lock, make_folder, write_file, write_json, writing
from motionllm.language.bases import packs, takes_positions
from motionllm.lm.adapters import bare, share_inputs
from motionllm.lm.loss import cross_entropy
from motionllm.lm.model import MotionLM
from motionllm.runs import checkpoint
from motionllm.runs.precision import fast_dtype
from motionllm.runs.progress import Bar
from motionllm.runs.run import Log, Signals, Stopped, losses, on_full_disk, rate
from motionllm.training.checks import check

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
    from accelerate.utils import broadcast_object_list

    with ExitStack() as stack:
        refused: list[str | None] = [None]
        if accelerator.is_main_process:
            try:
                stack.enter_context(lock(run))
            except MotionLLMError as error:
                refused = [str(error)]
        broadcast_object_list(refused)
        if refused[0]:
            accelerator.end_training()
            if accelerator.is_main_process:
                raise MotionLLMError(refused[0])
            raise SystemExit(2)
        yield


def _train(
    recipe: Recipe, run: Path, resume: bool, changed: bool, accelerator: Any, precision: str, signals: Signals
) -> dict[str, Any]:
    from accelerate.utils import broadcast_object_list

    settings = recipe.train
    first, processes = accelerator.is_main_process, accelerator.num_processes
    templates = Templates.load(recipe.data.templates)
    templates.check(recipe.data.tasks)
    if (run / checkpoint.FILE).is_file() and not resume:
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    if first:
        make_folder(run)
    begun = time.monotonic()
    with accelerator.main_process_first():
        motion_tokenizer = motion_tokenizer_of(recipe, run)
        clips = {split: clips_of(recipe, split, motion_tokenizer) for split in ("train", "val")}
    prepared = time.monotonic() - begun
    told = islice(chain(*clips["train"]), TOLD) if recipe.adapter.rows_init == "words" or recipe.model.bpe else ()
    lm = MotionLM.create(recipe, motion_tokenizer, templates, list(told))
    if recipe.data.packing and not packs(bare(lm.model)):
        log.info("%s takes no packed examples: each has a row of its own.", recipe.model.base)
        lm.recipe = recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"packing": False})})
    if precision == "bfloat16":  # the model is only ever called in autocast from here on
        share_inputs(lm.model)
    if settings.checkpointing:
        lm.model.enable_input_require_grads()
        lm.model.gradient_checkpointing_enable({"use_reentrant": False})
    codes_rate = motion_tokenizer.codes_per_second
    examples = Examples(clips["train"], recipe.data, templates, lm.renderer, codes_rate, settings.seed)
    held_out = _held_out(clips["val"], recipe, templates, lm, codes_rate)
    cut = check_length(
        Examples(clips["train"], recipe.data, templates, lm.renderer, codes_rate, settings.seed), recipe.data
    )
    if cut and first:
        log.warning("%s", cut)
    known = [_made_of(recipe, lm) if first else {}]
    broadcast_object_list(known)  # hashing the data once does
    made_of = known[0]

    learner = _Learner(lm, settings.motion_loss)
    sharded = settings.shard and processes > 1
    if sharded:
        _shard(learner, accelerator)
    groups = _groups(lm, recipe.adapter, settings)
    rows = groups[-1]["params"] if recipe.adapter.method != "full" else []
    others = [p for group in groups for p in group["params"] if not any(p is row for row in rows)]
    optimizer: Any = torch.optim.AdamW(groups, lr=settings.lr)
    state: dict[str, Any] = {"step": 0, "examples": 0, "seconds": 0.0, "best": math.inf, "stale": 0}
    if resume:
        state |= checkpoint.load(run, lm.model, optimizer)
        examples.restore(state.pop("stream"))
        others_now = [name for name, value in state.get("made_of", made_of).items() if made_of.get(name) != value]
        if others_now and not changed:
            raise MotionLLMError(
                f"{' and '.join(others_now)} changed since {run} began, so that it would not go on as the same run; "
                "start a new one, or go on all the same with --changed."
            )
    state["made_of"] = made_of
    model: Any = learner if sharded else accelerator.prepare(learner)
    optimizer = accelerator.prepare(optimizer)
    if settings.report_to != "none":
        accelerator.init_trackers("motionllm", config=recipe.model_dump())
    if first:
        write_file(run / "recipe.yaml", dump_recipe(recipe))
        counts = ", ".join(f"{sum(map(len, clips[split]))} {split}" for split in clips)
        log.info(
            "%s: %d process(es) on %s in %s%s; %s clips; %.2f M parameters by %s and %d motion rows are trained.",
            recipe.name,
            processes,
            accelerator.device.type,
            precision,
            ", each with its share of the weights" if sharded else "",
            counts,
            sum(p.numel() for p in others) / 1e6,
            recipe.adapter.method,
            len(lm.vocab.ids),
        )
    journal = Log(run / "log.jsonl", lambda row: row.get("step", math.inf) <= state["step"]) if first else None
    pad = lm.tokenizer.pad_token_id or 0
    started = time.monotonic() - state["seconds"]
    saved = validated = time.monotonic()

    def spent() -> float:
        return (time.monotonic() - started) / (60 * settings.minutes) if settings.minutes else 0.0

    def done() -> tuple[float, float, bool, bool]:
        """How far the run is, how much of its minutes is over, whether it is time to save and to validate."""
        progress = max(state["step"] / settings.steps, over := spent())
        if settings.patience and state["stale"] >= settings.patience:
            progress = 1.0
        now = time.monotonic()
        save, look = (
            minutes is not None and now - last >= 60 * minutes
            for minutes, last in ((settings.save_minutes, saved), (settings.validate_minutes, validated))
        )
        verdict = [progress, over, save, look]
        broadcast_object_list(verdict)  # every process must do the same at the same step
        return verdict[0], verdict[1], verdict[2], verdict[3]

    def note(row: dict[str, Any]) -> None:
        if journal:
            journal.write({"step": state["step"], "seconds": round(state["seconds"], 1)} | row)

    def validate(final: bool) -> None:
        """Validate; keep the adapter where it is the best so far; generate the samples that were asked for."""
        model.eval()
        losses = _validate(accelerator, model, held_out, pad, recipe)
        if first and settings.samples:
            with accelerator.autocast(), writing(run / "samples"):
                made = _sample(lm, settings, run / "samples", state["step"])
            note({"samples": made})
        model.train()
        value = losses.get("all", -float(state["step"]))  # without validation the newest is kept
        if first and losses:
            note({"validation": losses})
            accelerator.log({f"validation/{task}": loss for task, loss in losses.items()}, step=state["step"])
            log.info(
                "step %d: validation loss %s",
                state["step"],
                "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items()),
            )
        keep = [value <= state["best"] or (final and not (run / "adapter").is_dir())]
        broadcast_object_list(keep)  # sharded weights are gathered by all or by none
        if keep[0]:
            trained = checkpoint.gather(lm.model, optimizer.optimizer)["model"] if sharded else None
            if first:
                with writing(run / "adapter"):
                    # Rounding touches the weights in memory: only when no step follows.
                    lm.save(run / "adapter", settings.store if final else "float32", trained)
        state["best"], state["stale"] = (value, 0) if keep[0] else (state["best"], state["stale"] + 1)

    model.train()
    progress, over, _, _ = done()
    stop = 0
    with Bar(f"train {recipe.name}") as bar, signals.finishing():
        while progress < 1 and not stop:
            begun_step = time.monotonic()
            torch.manual_seed((settings.seed * 1_000_003 + state["step"]) * 1009 + accelerator.process_index)
            drawn = [examples.draw()[1] for _ in range(settings.batch)]
            packed = pack(drawn, recipe.data.max_length, processes, recipe.data.packing)
            mine = packed[accelerator.process_index :: processes]
            micro = [
                collate(mine[i : i + settings.micro_batch], pad) for i in range(0, len(mine), settings.micro_batch)
            ]
            supervised = sum(sum(t.supervised[1:]) for row in packed for t in row)
            factor = rate(state["step"], settings.warmup, progress, over, settings.min_lr, settings.schedule)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * group["factor"] * factor
            sums = torch.zeros(3)  # losses of motion and text; processes that were asked to stop
            for number, batch in enumerate(micro):
                last = number == len(micro) - 1
                if sharded:
                    model.set_requires_gradient_sync(last)
                with nullcontext() if last or sharded else accelerator.no_sync(model), accelerator.autocast():
                    motion, text = model(batch)
                    # Gradients are averaged over processes: times their number makes the average a sum.
                    accelerator.backward((motion + text) * processes / max(supervised, 1))
                sums[:2] += torch.stack([motion, text]).detach().cpu()
            sums[2] = bool(signals.asked)
            sums = accelerator.reduce(sums.to(accelerator.device))
            total, stop = sums[:2].sum().item() / max(supervised, 1), int(sums[2])
            if state["step"] < recipe.adapter.rows_first:
                for parameter in others:
                    parameter.grad = None
            norm = float(checkpoint.whole(torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)))
            if not math.isfinite(total) or not math.isfinite(norm):  # a step by these would spoil every weight
                said = f"loss is {total}" if not math.isfinite(total) else f"gradient's norm is {norm}"
                logged = losses(run / "log.jsonl") | {state["step"] + 1: total}
                how = checkpoint.advice(run, logged, f"{_resuming(run)} train.lr={settings.lr / 4:g}")
                raise MotionLLMError(
                    f"The {said} at step {state['step'] + 1}: training has diverged. Lower train.lr or clean the data; "
                    f"then {how}."
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state["step"] += 1
            state["examples"] += settings.batch
            state["seconds"] = time.monotonic() - started
            progress, over, save, look = done()
            if first:
                tokens = sum(len(t.ids) for row in packed for t in row)
                speed = tokens / (time.monotonic() - begun_step)
                note(
                    {
                        "loss": total,
                        "norm": norm,
                        "tokens": tokens,
                        "tokens_per_second": round(speed, 1),
                        "lr": settings.lr * factor,
                    }
                )
                bar.update(progress, step=state["step"], loss=total, **{"tokens/s": round(speed)})
                accelerator.log({"loss": total, "tokens_per_second": speed}, step=state["step"])
            ended = progress >= 1
            if ended or look or state["step"] % settings.validate_every == 0:
                validate(ended)
                validated = time.monotonic()
                ended = ended or done()[0] >= 1  # out of patience
            if ended or save or stop or state["step"] % settings.save_every == 0:
                stored = checkpoint.gather(lm.model, optimizer.optimizer) | state | {"stream": examples.state()}
                if first:
                    checkpoint.save(run, stored, settings.keep)
                saved = time.monotonic()
            progress = 1.0 if ended else progress
    result = {
        "run": str(run),
        "steps": state["step"],
        "examples": state["examples"],
        "train_seconds": round(state["seconds"], 1),
        "prepare_seconds": round(prepared, 1),
        "best_validation_loss": state["best"] if held_out else None,
        "processes": processes,
    }
    if journal:
        journal.close()
        if progress >= 1:
            write_json(run / "result.json", result)
    # The wrapper goes before the process group. As the group's last holder it would wait, with Python's lock, for a
    # thread of the group that needs that lock to let go of a tensor: now and then a process never ended.
    model, optimizer = accelerator.free_memory(model, optimizer)
    accelerator.end_training()
    if progress < 1:
        how = f"Stopped after step {state['step']}, whose checkpoint is saved; go on with {_resuming(run)}"
        raise Stopped(signals.asked or signal.SIGTERM, how if first else "")
    return result


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


@torch.no_grad()
def _validate(
    accelerator: Any, model: torch.nn.Module, held_out: dict[str, list[Any]], pad: int, recipe: Recipe
) -> dict[str, float]:
    """Loss a supervised token, in nats, by task, and over all as "all". Every process takes its share of the rows."""
    losses: dict[str, float] = {}
    every = torch.zeros(2, dtype=torch.float64)
    size = recipe.train.micro_batch
    for task, examples in held_out.items():
        sums = torch.zeros(2, dtype=torch.float64)  # loss, tokens
        packed = pack(examples, recipe.data.max_length, accelerator.num_processes, recipe.data.packing)
        mine = packed[accelerator.process_index :: accelerator.num_processes]
        for i in range(0, len(mine), size):
            batch = collate(mine[i : i + size], pad)
            with accelerator.autocast():
                motion, text = model(batch)
            sums += torch.tensor([float(motion + text), batch.supervised])
        sums = accelerator.reduce(sums.to(accelerator.device)).cpu()
        if sums[1]:  # else every reply is beyond max_length
            losses[task] = float(sums[0] / sums[1])
        every += sums
    return losses | {"all": float(every[0] / every[1])} if losses else {}


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
