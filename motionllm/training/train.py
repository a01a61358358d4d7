"""Fine-tuning by a recipe, from its checks to its result: data and model are made ready, and `trainer` trains."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from motionllm.config import Recipe
from motionllm.data.clips import Clips
from motionllm.data.prepare import clips_of, motion_tokenizer_of
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.files import make_folder
from motionllm.language.bases import packs
from motionllm.lm.adapters import bare, share_inputs
from motionllm.lm.model import MotionLM
from motionllm.lm.rows import look_up_rows
from motionllm.runs import checkpoint
from motionllm.runs.precision import fast_dtype
from motionllm.runs.run import Signals, Stopped, on_full_disk
from motionllm.tokenizer import MotionTokenizer
from motionllm.training.checks import check, check_context, pinned
from motionllm.training.processes import check_launch, held, restarted
from motionllm.training.trainer import Trainer, resuming

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
    check_launch()
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
            return f"Make room and go on from the last checkpoint, which is whole: {resuming(run)}"
        return "Make room and start the run again; it has no checkpoint yet."

    with held(run, accelerator), on_full_disk(left), Signals("Stopped before the first step.") as signals:
        return _train(recipe, run, resume, changed, accelerator, precision, signals)


def _train(
    recipe: Recipe, run: Path, resume: bool, changed: bool, accelerator: Any, precision: str, signals: Signals
) -> dict[str, Any]:
    templates = Templates.load(recipe.data.templates)
    templates.check(recipe.data.tasks)
    if not resume and restarted(run):
        resume = True
        log.info("The launcher has started this run again: it goes on from its checkpoint.")
    if (run / checkpoint.FILE).is_file() and not resume:
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    if not resume and (run / "report.json").is_file():
        raise MotionLLMError(f"{run} holds a motion tokenizer; choose another --out.")
    if accelerator.is_main_process:
        make_folder(run)
    begun = time.monotonic()
    with accelerator.main_process_first():
        motion_tokenizer = motion_tokenizer_of(recipe, run)
        clips = {split: clips_of(recipe, split, motion_tokenizer) for split in ("train", "val")}
    prepared = time.monotonic() - begun
    lm = _model(recipe, motion_tokenizer, templates, clips["train"], precision)
    trainer = Trainer(lm, run, clips, accelerator, signals)
    if resume:
        trainer.resume(changed)
    with trainer.drawing_ahead():
        trainer.begin(precision, clips)
        ended = trainer.fit()
    result = trainer.end(ended, prepared)
    if not ended:
        how = f"Stopped after step {trainer.state.step}, whose checkpoint is saved; go on with {resuming(run)}"
        raise Stopped(signals.asked or signal.SIGTERM, how if trainer.first else "")
    return result


def _model(
    recipe: Recipe, motion_tokenizer: MotionTokenizer, templates: Templates, clips: Sequence[Clips], precision: str
) -> MotionLM:
    """The model to be trained, with the recipe that it is trained by: without packing where the base cannot."""
    needed = recipe.adapter.rows_init == "words" or recipe.model.bpe or recipe.adapter.start
    lm = MotionLM.create(recipe, motion_tokenizer, templates, list(islice(chain(*clips), TOLD)) if needed else [])
    check_context(recipe, bare(lm.model).config)
    if recipe.data.packing and not packs(bare(lm.model)):
        log.info("%s takes no packed examples: each has a row of its own.", recipe.model.base)
        lm.recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"packing": False})})
    if precision == "bfloat16":  # the model is only ever called in autocast from here on
        share_inputs(lm.model)
    look_up_rows(lm.model)
    if recipe.train.checkpointing:
        lm.model.enable_input_require_grads()
        lm.model.gradient_checkpointing_enable({"use_reentrant": False})
    return lm
