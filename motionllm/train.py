"""The fine-tuning loop on Accelerate, top to bottom.

One step: draw `batch` examples, pack them into rows, run the rows in micro-batches, divide by the supervised
tokens of the whole step (never by micro-batch), clip, step. Every process draws the same examples and takes
its share of the rows, so that the number of processes changes speed and nothing else. Dropout is seeded by step and
process: with the stream of examples, that is all the chance there is, and a resumed run repeats it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from motionllm import checkpoint
from motionllm.bases import fast_dtype
from motionllm.config import Adapter, Recipe, TokenizerRecipe, Training, dump_recipe, load_recipe
from motionllm.data.clips import Clips, encode
from motionllm.data.examples import Batch, Examples, collate, pack
from motionllm.data.prepare import train_tokenizer
from motionllm.data.sources import has_split
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.files import write_file
from motionllm.loss import cross_entropy
from motionllm.model import MotionLM, bare, share_inputs
from motionllm.tokenizer import MotionTokenizer
from motionllm.tracking import Bar, Log

log = logging.getLogger(__name__)

TOLD = 50_000  # clips in which motion rows meet their words; more change nothing and take memory


def train(recipe: Recipe, run: Path, resume: bool = False) -> dict[str, Any]:
    """Fine-tune by a recipe into a run folder; returns what `result.json` holds.

    The folder gets `recipe.yaml`, `log.jsonl`, `checkpoint.pt` (and older ones), `adapter/` (the best by validation
    loss, else the last), `samples/` and `result.json`. Raises MotionLLMError for anything wrong in recipe or data,
    before training starts, and where the disk is full; the last checkpoint is whole then.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import broadcast_object_list

    settings = recipe.train
    _check_launch()
    precision = fast_dtype() if settings.precision == "auto" else settings.precision
    AcceleratorState._reset_state()  # else a second run in this process could not have another precision
    accelerator = Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        log_with=None if settings.report_to == "none" else settings.report_to,
        project_dir=str(run),
    )
    first, processes = accelerator.is_main_process, accelerator.num_processes
    templates = Templates.load(recipe.data.templates)
    templates.check(recipe.data.tasks)
    if (run / checkpoint.FILE).is_file() and not resume:
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    with _disk(run):
        run.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with accelerator.main_process_first():
        motion_tokenizer = motion_tokenizer_of(recipe, run)
        clips = {split: clips_of(recipe, split, motion_tokenizer) for split in ("train", "val")}
    prepared = time.monotonic() - begun
    told = islice(chain(*clips["train"]), TOLD) if recipe.adapter.rows_init == "words" else ()
    lm = MotionLM.create(recipe, motion_tokenizer, templates, list(told))
    if precision == "bfloat16":  # the model is only ever called in autocast from here on
        share_inputs(lm.model)
    if settings.checkpointing:
        lm.model.enable_input_require_grads()
        lm.model.gradient_checkpointing_enable({"use_reentrant": False})
    rate = motion_tokenizer.codes_per_second
    examples = Examples(clips["train"], recipe.data, templates, lm.renderer, rate, settings.seed)
    held_out = _held_out(clips["val"], recipe, templates, lm, rate)

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
    model: Any = learner if sharded else accelerator.prepare(learner)
    optimizer = accelerator.prepare(optimizer)
    if settings.report_to != "none":
        accelerator.init_trackers("motionllm", config=recipe.model_dump())
    if first:
        with _disk(run):
            write_file(run / "recipe.yaml", dump_recipe(recipe))
            _tidy(run, state["step"])
        counts = ", ".join(f"{sum(map(len, clips[split]))} {split}" for split in clips)
        log.info(
            "%s: %d process(es) on %s in %s%s; %s clips; %.2f M parameters by %s and %d motion rows are trained.",
            recipe.name, processes, accelerator.device.type, precision,
            ", each with its share of the weights" if sharded else "", counts,
            sum(p.numel() for p in others) / 1e6, recipe.adapter.method, len(lm.vocab.ids),
        )  # fmt: skip
    journal = Log(run / "log.jsonl") if first else None
    pad = lm.tokenizer.pad_token_id or 0
    started = time.monotonic() - state["seconds"]

    def done() -> float:
        spent = (time.monotonic() - started) / (60 * settings.minutes) if settings.minutes else 0.0
        verdict = [max(state["step"] / settings.steps, spent)]
        if settings.patience and state["stale"] >= settings.patience:
            verdict = [1.0]
        broadcast_object_list(verdict)  # every process must stop at the same step
        return verdict[0]

    def note(row: dict[str, Any]) -> None:
        if journal:
            with _disk(run):
                journal.write({"step": state["step"], "seconds": round(state["seconds"], 1)} | row)

    def validate(final: bool) -> None:
        """Validate; keep the adapter where it is the best so far; generate the samples that were asked for."""
        model.eval()
        losses = _validate(accelerator, model, held_out, pad, recipe)
        if first and settings.samples:
            with accelerator.autocast(), _disk(run):
                made = _sample(lm, settings, run / "samples", state["step"])
            note({"samples": made})
        model.train()
        value = losses.get("all", -float(state["step"]))  # without validation the newest is kept
        if first and losses:
            note({"validation": losses})
            accelerator.log({f"validation/{task}": loss for task, loss in losses.items()}, step=state["step"])
            log.info("step %d: validation loss %s", state["step"],
                     "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items()))  # fmt: skip
        keep = [value <= state["best"] or (final and not (run / "adapter").is_dir())]
        broadcast_object_list(keep)  # sharded weights are gathered by all or by none
        if keep[0]:
            trained = checkpoint.gather(lm.model, optimizer.optimizer)["model"] if sharded else None
            if first:
                with _disk(run):
                    # Rounding touches the weights in memory: only when no step follows.
                    lm.save(run / "adapter", settings.store if final else "float32", trained)
        state["best"], state["stale"] = (value, 0) if keep[0] else (state["best"], state["stale"] + 1)

    model.train()
    progress = done()
    with Bar(f"train {recipe.name}") as bar:
        while progress < 1:
            begun_step = time.monotonic()
            torch.manual_seed((settings.seed * 1_000_003 + state["step"]) * 1009 + accelerator.process_index)
            drawn = [examples.draw()[1] for _ in range(settings.batch)]
            packed = pack(drawn, recipe.data.max_length, processes, recipe.data.packing)
            mine = packed[accelerator.process_index :: processes]
            micro = [
                collate(mine[i : i + settings.micro_batch], pad) for i in range(0, len(mine), settings.micro_batch)
            ]
            supervised = sum(sum(t.supervised[1:]) for row in packed for t in row)
            factor = _rate(settings, state["step"], progress)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * group["factor"] * factor
            sums = torch.zeros(2)
            for number, batch in enumerate(micro):
                last = number == len(micro) - 1
                if sharded:
                    model.set_requires_gradient_sync(last)
                with nullcontext() if last or sharded else accelerator.no_sync(model), accelerator.autocast():
                    motion, text = model(batch)
                    # Gradients are averaged over processes: times their number makes the average a sum.
                    accelerator.backward((motion + text) * processes / max(supervised, 1))
                sums += torch.stack([motion, text]).detach().cpu()
            if state["step"] < recipe.adapter.rows_first:
                for parameter in others:
                    parameter.grad = None
            norm = checkpoint.whole(torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state["step"] += 1
            state["examples"] += settings.batch
            state["seconds"] = time.monotonic() - started
            progress = done()
            total = accelerator.reduce(sums.to(accelerator.device)).sum().item() / max(supervised, 1)
            if not math.isfinite(total):
                raise MotionLLMError(
                    f"The loss is {total} at step {state['step']}; lower train.lr or clean the data, then --resume."
                )
            if first:
                tokens = sum(len(t.ids) for row in packed for t in row)
                speed = tokens / (time.monotonic() - begun_step)
                note({"loss": total, "norm": float(norm), "tokens": tokens, "tokens_per_second": round(speed, 1),
                      "lr": settings.lr * factor})  # fmt: skip
                bar.update(progress, step=state["step"], loss=total, **{"tokens/s": round(speed)})
                accelerator.log({"loss": total, "tokens_per_second": speed}, step=state["step"])
            ended = progress >= 1
            if ended or state["step"] % settings.validate_every == 0:
                validate(ended)
                ended = ended or done() >= 1  # out of patience
            if ended or state["step"] % settings.save_every == 0:
                stored = checkpoint.gather(lm.model, optimizer.optimizer) | state | {"stream": examples.state()}
                if first:
                    with _disk(run):
                        checkpoint.save(run, stored, settings.keep)
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
    if first and journal:
        journal.close()
        with _disk(run):
            write_file(run / "result.json", json.dumps(result, indent=2) + "\n")
    # The wrapper goes before the process group. As the group's last holder it would wait, with Python's lock, for a
    # thread of the group that needs that lock to let go of a tensor: now and then a process never ended.
    model, optimizer = accelerator.free_memory(model, optimizer)
    accelerator.end_training()
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


def motion_tokenizer_of(recipe: Recipe, run: Path, fit: bool = True) -> MotionTokenizer:
    """The shipped or given motion tokenizer, or one trained first by its recipe, inside the run.

    fit=False: raise MotionLLMError where that one is not trained yet.
    """
    name = recipe.model.tokenizer
    if not name.endswith((".yaml", ".yml")):
        return MotionTokenizer.load(name)
    from motionllm import shipped

    folder = run / "tokenizer"
    if not (folder / "report.json").is_file():
        settings = load_recipe(shipped.find("tokenizer", name), (), TokenizerRecipe)
        if not fit:
            raise MotionLLMError(
                f"model.tokenizer {name} is a recipe that the run would train first, into {folder}; until then say "
                "model.tokenizer=default, or the folder of another one."
            )
        if len(settings.sources) == 1 and settings.sources[0].kind == recipe.data.sources[0].kind:
            # A tokenizer recipe with one source follows the run's data, wherever that was said to be.
            settings.sources[0].path = recipe.data.sources[0].path
        with Bar(f"tokenizer {settings.name}") as bar:
            train_tokenizer(settings, folder, bar.update)
    return MotionTokenizer.load(folder)


def clips_of(recipe: Recipe, split: str, motion_tokenizer: MotionTokenizer) -> list[Clips]:
    """The encoded clips of every source; none for validation of one that has no such split: it still trains."""
    clips = []
    for source in recipe.data.sources:
        if split == "val" and not has_split(source, split):
            clips.append(Clips())
            continue
        with Bar(f"encode {source.path or source.kind} {split}") as bar:
            clips.append(encode(source, split, motion_tokenizer, list(recipe.data.tasks), bar.update))
    return clips


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
        {"params": [p for name, p in trained if "trainable_tokens" not in name], "factor": 1.0,
         "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trained if "trainable_tokens" in name], "factor": adapter.rows_lr,
         "weight_decay": 0.0},
    ]  # fmt: skip


def _shard(learner: _Learner, accelerator: Any) -> None:
    """Take the weights apart over the processes: each decoder layer a unit, the rest another (FSDP2)."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for layer in bare(learner.model).get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(learner, mesh=mesh)


def _rate(settings: Training, step: int, progress: float) -> float:
    """The learning rate of a step as a share of train.lr."""
    warm = min(1.0, (step + 1) / max(settings.warmup, 1))
    fall = {"cosine": (1 + math.cos(math.pi * progress)) / 2, "linear": 1 - progress, "constant": 1.0}
    return warm * (settings.min_lr + (1 - settings.min_lr) * fall[settings.schedule])


def _held_out(
    clips: Sequence[Clips], recipe: Recipe, templates: Templates, lm: MotionLM, rate: float
) -> dict[str, list[Any]]:
    """The same validation examples every time, by task; tasks that no validation clip serves are left out."""
    held_out: dict[str, list[Any]] = {}
    served = {task: weight for task, weight in recipe.data.tasks.items()
              if any(len(source.serving(task)) for source in clips)}  # fmt: skip
    if not served or not recipe.train.validate_examples:
        return held_out
    data = recipe.data.model_copy(update={"tasks": served})
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
        losses[task] = float(sums[0] / sums[1].clamp(min=1))
        every += sums
    return losses | {"all": float(every[0] / every[1].clamp(min=1))} if losses else {}


def _sample(lm: MotionLM, settings: Training, folder: Path, step: int) -> list[str]:
    """Files of the motions that the model makes of `train.samples` by now."""
    folder.mkdir(exist_ok=True)
    view = MotionLM(bare(lm.model), lm.tokenizer, lm.vocab, lm.motion_tokenizer, lm.templates, lm.recipe)
    files = []
    for number, motion in enumerate(view.generate_batch(settings.samples, seed=settings.seed, best_of=1), 1):
        files.append(folder / f"{step:06d}_{number}.bvh")
        motion.save(files[-1])
    return [file.name for file in files]


def _tidy(run: Path, step: int) -> None:
    """Put a run that was killed in order: no half-written folder, no line of the log after the checkpoint."""
    aside = run / ".adapter-aside"
    if aside.is_dir() and not (run / "adapter").is_dir():
        aside.rename(run / "adapter")
    for left in run.glob(".adapter-*"):
        shutil.rmtree(left)
    for left in run.glob(".*.part"):
        left.unlink()
    lines = []
    if (path := run / "log.jsonl").is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    lines.append(line)
            except ValueError:  # the line that was being written
                continue
    write_file(path, "".join(f"{line}\n" for line in lines))


@contextmanager
def _disk(run: Path) -> Iterator[None]:
    """Turns what writing raises where a disk is full into one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MotionLLMError(
            f"{run} cannot be written to ({reason}); make room and go on with --resume: its last checkpoint is whole."
        ) from error


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
        hidden = base.get_decoder()(
            input_ids=batch.ids.to(device), position_ids=batch.positions.to(device), use_cache=False
        ).last_hidden_state
        return cross_entropy(hidden, batch.targets.to(device), base, self.vocab, self.motion_loss)
