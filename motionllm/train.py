"""The fine-tuning loop on Accelerate, top to bottom.

One step: draw `batch` examples, pack them into rows, run the rows in micro-batches, divide by the supervised
tokens of the whole step (never by micro-batch), clip, step. Every process draws the same examples and takes
its share of the rows, so that the number of processes changes speed and nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from motionllm import checkpoint
from motionllm.bases import fast_dtype
from motionllm.config import Recipe, TokenizerRecipe, dump_recipe, load_recipe
from motionllm.data.examples import Batch, Clip, Examples, collate, encode, pack
from motionllm.data.prepare import train_tokenizer
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.loss import cross_entropy
from motionllm.model import MotionLM
from motionllm.tokenizer import MotionTokenizer
from motionllm.tracking import Bar, Log

log = logging.getLogger(__name__)


def train(recipe: Recipe, run: Path, resume: bool = False) -> dict[str, Any]:
    """Fine-tune by a recipe into a run folder; returns what `result.json` holds.

    The folder gets `recipe.yaml`, `log.jsonl`, `checkpoint.pt`, `adapter/` (the best by validation loss, else the
    last) and `result.json`. Raises MotionLLMError for anything wrong in recipe or data, before training starts.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import broadcast_object_list

    settings = recipe.train
    precision = fast_dtype() if settings.precision == "auto" else settings.precision
    AcceleratorState._reset_state()  # else a second run in this process could not have another precision
    accelerator = Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        log_with=None if settings.report_to == "none" else settings.report_to,
        project_dir=str(run),
    )
    first = accelerator.is_main_process
    templates = Templates.load(recipe.data.templates)
    if (run / checkpoint.FILE).is_file() and not resume:
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    run.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with accelerator.main_process_first():
        motion_tokenizer = _motion_tokenizer(recipe, run)
        clips = {split: _clips(recipe, split, motion_tokenizer) for split in ("train", "val")}
    prepared = time.monotonic() - begun
    lm = MotionLM.create(recipe, motion_tokenizer, templates, [c for source in clips["train"] for c in source])
    if settings.checkpointing:
        lm.model.enable_input_require_grads()
        lm.model.gradient_checkpointing_enable({"use_reentrant": False})
    rate = motion_tokenizer.codes_per_second
    examples = Examples(clips["train"], recipe.data, templates, lm.renderer, rate, settings.seed)
    held_out = _held_out(clips["val"], recipe, templates, lm, rate)

    rows = [p for name, p in lm.model.named_parameters() if p.requires_grad and "trainable_tokens" in name]
    lora = [p for name, p in lm.model.named_parameters() if p.requires_grad and "trainable_tokens" not in name]
    # Rows are absolute values, not differences: decay would pull them to zero.
    optimizer = torch.optim.AdamW(
        [
            {"params": lora, "factor": 1.0, "weight_decay": settings.weight_decay},
            {"params": rows, "factor": recipe.adapter.rows_lr, "weight_decay": 0.0},
        ],
        lr=settings.lr,
    )
    state: dict[str, Any] = {"step": 0, "examples": 0, "seconds": 0.0, "best": math.inf}
    if resume:
        state |= checkpoint.load(run, lm.model, optimizer)
        examples.skip(state["examples"])
    model, optimizer = accelerator.prepare(_Learner(lm, settings.motion_loss), optimizer)
    if settings.report_to != "none":
        accelerator.init_trackers("motionllm", config=recipe.model_dump())
    if first:
        (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
        counts = ", ".join(f"{sum(map(len, clips[split]))} {split}" for split in clips)
        log.info(
            "%s: %d process(es) on %s in %s; %s clips; %.2f M LoRA parameters and %d motion rows are trained.",
            recipe.name, accelerator.num_processes, accelerator.device.type, precision, counts,
            sum(p.numel() for p in lora) / 1e6, len(lm.vocab.ids),
        )  # fmt: skip
    journal = Log(run / "log.jsonl") if first else None
    pad = lm.tokenizer.pad_token_id or 0
    started = time.monotonic() - state["seconds"]

    def done() -> float:
        spent = (time.monotonic() - started) / (60 * settings.minutes) if settings.minutes else 0.0
        verdict = [max(state["step"] / settings.steps, spent)]
        broadcast_object_list(verdict)  # every process must stop at the same step
        return verdict[0]

    def finish_or_keep(final: bool) -> None:
        """Validate; keep the adapter where it is the best so far."""
        model.eval()
        losses = _validate(model, held_out, pad, recipe)
        model.train()
        value = losses.get("all", -float(state["step"]))  # without validation the newest is kept
        if first:
            if losses and journal:
                journal.write({"step": state["step"], "seconds": round(state["seconds"], 1), "validation": losses})
                log.info("step %d: validation loss %s", state["step"],
                         "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items()))  # fmt: skip
            if value <= state["best"]:
                # Rounding touches the weights in memory: only when no step follows.
                lm.save(run / "adapter", settings.store if final else "float32")
        if value <= state["best"]:
            state["best"] = value

    model.train()
    progress = done()
    with Bar(f"train {recipe.name}") as bar:
        while progress < 1:
            begun_step = time.monotonic()
            drawn = [examples.draw()[1] for _ in range(settings.batch)]
            packed = pack(drawn, recipe.data.max_length, accelerator.num_processes)
            mine = packed[accelerator.process_index :: accelerator.num_processes]
            micro = [
                collate(mine[i : i + settings.micro_batch], pad) for i in range(0, len(mine), settings.micro_batch)
            ]
            supervised = sum(sum(t.supervised[1:]) for row in packed for t in row)
            warm = min(1.0, (state["step"] + 1) / max(settings.warmup, 1))
            cosine = settings.min_lr + (1 - settings.min_lr) * (1 + math.cos(math.pi * progress)) / 2
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * group["factor"] * warm * cosine
            sums = torch.zeros(2)
            for number, batch in enumerate(micro):
                with _sync(accelerator, model, number == len(micro) - 1):
                    motion, text = model(batch)
                    # Gradients are averaged over processes: times their number makes the average a sum.
                    accelerator.backward((motion + text) * accelerator.num_processes / supervised)
                sums += torch.stack([motion, text]).detach().cpu()
            norm = accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state["step"] += 1
            state["examples"] += settings.batch
            state["seconds"] = time.monotonic() - started
            progress = done()
            total = accelerator.reduce(sums.to(accelerator.device)).sum().item() / supervised
            if not math.isfinite(total):
                raise MotionLLMError(
                    f"The loss is {total} at step {state['step']}; lower train.lr or clean the data, then --resume."
                )
            if first and journal:
                tokens = sum(len(t.ids) for row in packed for t in row)
                speed = tokens / (time.monotonic() - begun_step)
                row = {"step": state["step"], "seconds": round(state["seconds"], 1), "loss": total}
                row |= {"norm": float(norm), "tokens": tokens, "tokens_per_second": round(speed, 1)}
                journal.write(row | {"lr": settings.lr * warm * cosine})
                bar.update(progress, step=state["step"], loss=total, **{"tokens/s": round(speed)})
                accelerator.log({"loss": total, "tokens_per_second": speed}, step=state["step"])
            ended = progress >= 1
            if ended or state["step"] % settings.validate_every == 0:
                finish_or_keep(ended)
            if first and (ended or state["step"] % settings.save_every == 0):
                checkpoint.save(run, lm.model, optimizer.optimizer, state)  # type: ignore[attr-defined]
    if first and not (run / "adapter").is_dir():
        lm.save(run / "adapter", dtype=settings.store)
    result = {
        "run": str(run),
        "steps": state["step"],
        "examples": state["examples"],
        "train_seconds": round(state["seconds"], 1),
        "prepare_seconds": round(prepared, 1),
        "best_validation_loss": state["best"] if held_out else None,
        "processes": accelerator.num_processes,
    }
    if first and journal:
        journal.close()
        beside = run / ".result.json"
        beside.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, run / "result.json")
    accelerator.end_training()
    return result


def _motion_tokenizer(recipe: Recipe, run: Path) -> MotionTokenizer:
    """The shipped or given motion tokenizer, or one trained first by its recipe, inside the run."""
    name = recipe.model.tokenizer
    if not name.endswith((".yaml", ".yml")):
        return MotionTokenizer.load(name)
    from motionllm import shipped

    folder = run / "tokenizer"
    if not (folder / "report.json").is_file():
        settings = load_recipe(shipped.find("tokenizer", name), (), TokenizerRecipe)
        if recipe.data.sources[0].path and len(settings.sources) == 1:
            # A tokenizer recipe with one source follows the run's data, wherever that was said to be.
            settings.sources[0].path = recipe.data.sources[0].path
        with Bar(f"tokenizer {settings.name}") as bar:
            train_tokenizer(settings, folder, bar.update)
    return MotionTokenizer.load(folder)


def _clips(recipe: Recipe, split: str, motion_tokenizer: MotionTokenizer) -> list[list[Clip]]:
    clips: list[list[Clip]] = []
    for source in recipe.data.sources:
        if split == "val" and source.path and not (Path(source.path) / "val.txt").is_file():
            clips.append([])  # a set without a validation split still trains
            continue
        with Bar(f"encode {source.path or source.kind} {split}") as bar:
            clips.append(encode(source, split, motion_tokenizer, bar.update))
    return clips


def _held_out(
    clips: list[list[Clip]], recipe: Recipe, templates: Templates, lm: MotionLM, rate: float
) -> dict[str, list[Any]]:
    """The same validation examples every time, by task."""
    held_out: dict[str, list[Any]] = {}
    if not any(clips) or not recipe.train.validate_examples:
        return held_out
    try:
        stream = Examples(clips, recipe.data, templates, lm.renderer, rate, seed=0)
    except MotionLLMError:  # a task no validation clip serves
        return held_out
    for _ in range(recipe.train.validate_examples):
        task, tokens = stream.draw()
        held_out.setdefault(task, []).append(tokens)
    return held_out


@torch.no_grad()
def _validate(model: torch.nn.Module, held_out: dict[str, list[Any]], pad: int, recipe: Recipe) -> dict[str, float]:
    """Loss a supervised token, in nats, by task, and over all as "all"."""
    losses: dict[str, float] = {}
    total = count = 0.0
    for task, examples in held_out.items():
        task_total = task_count = 0.0
        packed = pack(examples, recipe.data.max_length)
        for i in range(0, len(packed), recipe.train.micro_batch):
            batch = collate(packed[i : i + recipe.train.micro_batch], pad)
            motion, text = model(batch)
            task_total += float(motion + text)
            task_count += batch.supervised
        losses[task] = task_total / max(task_count, 1)
        total, count = total + task_total, count + task_count
    return losses | {"all": total / max(count, 1)} if losses else {}


class _Learner(torch.nn.Module):
    """Model and loss as one module, so that wrappers for several processes see the whole forward pass."""

    def __init__(self, lm: MotionLM, motion_loss: str) -> None:
        super().__init__()
        self.model, self.vocab, self.motion_loss = lm.model, lm.vocab, motion_loss

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums of the motion and the text losses of a packed batch."""
        base = self.model.get_base_model()
        device = base.device
        # use_cache=False, positions that restart and no mask: packed examples do not see each other.
        hidden = base.get_decoder()(
            input_ids=batch.ids.to(device), position_ids=batch.positions.to(device), use_cache=False
        ).last_hidden_state
        return cross_entropy(hidden, batch.targets.to(device), base, self.vocab, self.motion_loss)


def _sync(accelerator: Any, model: Any, last: bool) -> Any:
    return nullcontext() if last else accelerator.no_sync(model)
