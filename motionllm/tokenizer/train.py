"""Training a motion tokenizer."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Augmentation, TokenizerRecipe, dump_recipe
from motionllm.errors import MotionLLMError
from motionllm.files import make_folder, whole_stream, write_file, write_json
from motionllm.runs.precision import fast_dtype
from motionllm.runs.run import Log, Signals, Stopped, on_full_disk, rate
from motionllm.tokenizer.adversary import CERTAIN, RAMP, Adversary
from motionllm.tokenizer.decoders import Generative, plain
from motionllm.tokenizer.losses import Losses
from motionllm.tokenizer.quantizers import QUANTIZERS
from motionllm.tokenizer.report import distances, report
from motionllm.tokenizer.start import first_tokenizer, representation_of
from motionllm.tokenizer.tokenizer import MotionTokenizer
from motionllm.tokenizer.windows import Windows

Progress = Callable[..., None]
CHECKPOINT = "checkpoint.pt"  # of a run that has not ended
FAR = 3.0  # times the lowest error of a validation: a decoder that draws or is judged is no longer learning


def fit(
    recipe: TokenizerRecipe,
    train: Sequence[np.ndarray],
    val: Sequence[np.ndarray],
    folder: Path,
    weights: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> MotionTokenizer:
    """Train on features [(T, dim)], save the best tokenizer, recipe, log and report in `folder`, return it.

    weights: how often each clip is drawn, relative; by default by its length. A folder that holds the checkpoint of an
    unfinished run is gone on with from there, exactly as if it had not been interrupted.
    Raises MotionLLMError where no clip is as long as the window, where the checkpoint is of other clips, where the loss
    diverges, and where the disk is full; `Stopped`, after saving a checkpoint, on Ctrl-C or SIGTERM.
    """
    resuming = f"motionllm tokenizer train --resume {folder}"

    def left() -> str:
        if (folder / CHECKPOINT).is_file():
            return f"Make room and go on from the last checkpoint, which is whole: {resuming}"
        return "Make room and start the training again; it has no checkpoint yet."

    with on_full_disk(left), Signals("Stopped before the first step.") as signals:
        return _fit(recipe, train, val, folder, weights, progress, signals)


def _fit(
    recipe: TokenizerRecipe,
    train: Sequence[np.ndarray],
    val: Sequence[np.ndarray],
    folder: Path,
    weights: Sequence[float] | None,
    progress: Progress | None,
    signals: Signals,
) -> MotionTokenizer:
    settings = recipe.train
    start = MotionTokenizer.load(recipe.start) if recipe.start else None
    representation = representation_of(recipe, start, train[0].shape[1])
    train, val = ([representation.read(clip) for clip in clips] for clips in (train, val))
    kept = [i for i, f in enumerate(train) if len(f) >= settings.window]
    if not kept:
        raise MotionLLMError(
            f"None of the {len(train)} training clips has {settings.window} frames, the window of the recipe; "
            "set train.window lower or bring longer clips."
        )
    torch.manual_seed(settings.seed)
    tokenizer = first_tokenizer(recipe, start, representation, train)
    clips = [train[i] for i in kept]
    windows = Windows(settings, tokenizer, clips, None if weights is None else np.asarray(weights)[kept])
    trainer = _Trainer(recipe, tokenizer, windows, val, _hash(clips), folder, signals)
    if (folder / CHECKPOINT).is_file():
        trainer.resume()
    trainer.fit(progress)
    return trainer.end(val)


@dataclass
class State:
    """How far a training is, as its checkpoint holds it."""

    step: int = 0
    seconds: float = 0.0
    done: float = 0.0
    """Share of the training."""
    best: float = math.inf
    """The lowest validation error, in millimetres."""
    since: int = 0
    """Validations since then."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """The network's weights at that time."""


class _Step(NamedTuple):
    """What a step of the optimizer came to; on the device, because to wait for it every step would take time."""

    loss: Tensor
    parts: dict[str, Tensor]
    """The terms of the loss, without their weights."""
    codes: Tensor
    norm: Tensor


class _Trainer:
    """A tokenizer in training, on what, and how far it is."""

    def __init__(
        self,
        recipe: TokenizerRecipe,
        tokenizer: MotionTokenizer,
        windows: Windows,
        val: Sequence[np.ndarray],
        clips_hash: str,
        folder: Path,
        signals: Signals,
    ) -> None:
        self.recipe, self.settings, self.tokenizer, self.windows = recipe, recipe.train, tokenizer, windows
        self.clips_hash, self.folder, self.signals = clips_hash, folder, signals
        self.resuming = f"motionllm tokenizer train --resume {folder}"
        self.frozen = self.settings.encoder_lr == 0 and bool(recipe.start)
        # Whether the codebook is to be placed by k-means, and followed.
        self.learned = QUANTIZERS[recipe.network.quantizer].codebook
        self.autoencode = 0 if recipe.start or not self.learned else self.settings.autoencode
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network = tokenizer.network.to(self.device)
        self.drawing = network.decoder if isinstance(network.decoder, Generative) else None
        # Whether only what draws is trained, on top of a plain decoder that stays as it is.
        self.fixed = self.frozen and self.drawing is not None
        # The lowest error is that of the smoothest motion, which is not what these are trained for.
        self.latest = self.drawing is not None or self.settings.adversarial > 0
        self.losses = Losses(self.settings, tokenizer.representation, tokenizer.mean, tokenizer.std, self.device)
        rest = [*network.decoder.parameters(), *(() if self.frozen else network.quantizers.parameters())]
        groups: list[dict[str, Any]] = [{"params": network.encoders.parameters()}, {"params": rest}]
        if self.frozen:
            for parameter in (*network.encoders.parameters(), *network.quantizers.parameters()):
                parameter.requires_grad_(False)
            groups = [{"params": []}, groups[1]]
        if self.drawing and self.fixed:
            self.drawing.base.requires_grad_(False)
        self.optimizer = torch.optim.Adam(groups, lr=self.settings.lr, betas=(0.9, 0.99))
        make_folder(folder)
        self.half = fast_dtype() == "bfloat16"
        self.watched = [val[i] for i in np.linspace(0, len(val) - 1, min(len(val), 80)).astype(int)]
        self.state = State()
        self.adversary = None
        if self.settings.adversarial:
            real = windows.draw(16 * self.settings.batch).to(self.device)
            self.adversary = Adversary(self.losses.movements, real)

    def resume(self) -> None:
        """Go on from the checkpoint. Raises MotionLLMError where it is damaged, or of other clips."""
        checkpoint = self.folder / CHECKPOINT
        try:
            stored = torch.load(checkpoint, weights_only=True)
        except Exception:  # torch raises whatever its zip and pickle readers do
            raise MotionLLMError(f"{checkpoint} is damaged; remove it to start the training anew.") from None
        if stored.get("clips", self.clips_hash) != self.clips_hash:
            raise MotionLLMError(
                f"The training clips have changed since {self.folder} began, so that it would not go on as the same "
                "run; start a new one with another --out, or bring the clips back."
            )
        self.network.load_state_dict(stored["network"])
        self.optimizer.load_state_dict(stored["optimizer"])
        if self.adversary:
            self.adversary.restore(stored["adversary"])
        torch.set_rng_state(stored["torch"])
        self.windows.random.bit_generator.state = json.loads(stored["numpy"])
        self.state = State(**{one.name: stored[one.name] for one in fields(State)})

    def fit(self, progress: Progress | None) -> None:
        """Train to the end. Raises `Stopped`, with all saved, where that is asked for."""
        state, settings = self.state, self.settings
        self.log = Log(self.folder / "log.jsonl", lambda row: row.get("step", math.inf) <= state.step)
        write_file(self.folder / "recipe.yaml", dump_recipe(self.recipe))
        self.begun, self.spent = (
            time.monotonic() - state.seconds,
            0.0,
        )  # share of the minutes, since it began or resumed
        saved = time.monotonic()
        with self.signals.finishing():
            while state.done < 1:
                made = self.step()
                looks = state.step % settings.validate_every == 0 or state.done >= 1
                due = settings.save_minutes is not None and time.monotonic() - saved >= 60 * settings.save_minutes
                due = due or looks or bool(self.signals.asked)
                # Once a loss is not finite, no later one is: where nothing is kept, nobody need wait for it.
                if due or state.step % 20 == 0:
                    self.check(made)
                validated = {"val_mpjpe_root_mm": self.validate()} if looks else {}
                if state.step % 20 == 0 or state.done >= 1:
                    self.note(made, validated, progress)
                if due:
                    self.save()
                    saved = time.monotonic()
                if self.signals.asked and state.done < 1:
                    how = f"Stopped after step {state.step}, whose checkpoint is saved; go on with {self.resuming}"
                    raise Stopped(self.signals.asked, how)

    def step(self) -> _Step:
        """A step of the optimizer."""
        state, settings, network = self.state, self.settings, self.network
        network.train()
        if self.frozen:
            network.quantizers.eval()  # moving averages and dead codes would change the codes
        # An untrained encoder maps every pose to one place, and a codebook started there collapses to a few
        # codes: the first steps train a plain autoencoder, then k-means places the codes.
        if state.step == self.autoencode and self.autoencode:
            network.start_codebooks(self.windows.draw(16 * settings.batch).to(self.device))
        batch, known = self.draw()
        quantize = state.step >= self.autoencode
        lr = settings.lr * rate(state.step, settings.warmup, state.done, self.spent, least=0.05)
        # Encodings must not move faster than the codebook's moving averages follow, or they crowd on a few codes.
        self.optimizer.param_groups[0]["lr"] = lr * (settings.encoder_lr if self.learned and quantize else 1.0)
        self.optimizer.param_groups[1]["lr"] = lr
        parts, codes = self.terms(batch, known, quantize)
        loss = torch.stack([getattr(settings, name) * value for name, value in parts.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self.optimizer.step()
        state.step += 1
        state.seconds = time.monotonic() - self.begun
        self.spent = state.seconds / (60 * settings.minutes) if settings.minutes else 0.0
        state.done = max(state.step / settings.steps, self.spent)
        return _Step(loss, parts, codes, norm)

    def draw(self) -> tuple[Tensor, Tensor | None]:
        """Windows, and their codes where these do not change: to encode takes longer than to train some decoders."""
        if not self.frozen or self.settings.augment != Augmentation():
            return self.windows.draw(self.settings.batch).to(self.device), None
        with torch.no_grad():
            batch, codes = self.windows.coded(
                self.settings.batch, lambda clip: self.network.encode(clip.to(self.device)), self.network.down
            )
        return batch.to(self.device), codes

    def terms(self, batch: Tensor, known: Tensor | None, quantize: bool) -> tuple[dict[str, Tensor], Tensor]:
        """The terms of the loss, and the codes; the discriminator learns from the same frames. known: codes that do not
        change.
        """
        network, drawing, cycle = self.network, self.drawing, self.settings.cycle > 0
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            if known is None:
                z, codes, commitment = network.quantized(batch, quantize=quantize)
            else:
                z, codes, commitment = network.vectors(known), known, batch.new_zeros(())
            output = None if self.fixed else plain(network.decoder)(z)
            again = network.confusion(codes) if cycle and quantize and not self.fixed else None
            predicted = drawing.predicted(z, batch) if drawing and quantize else None
            shown = output
            if drawing and self.adversary:
                shown = drawing.sample(z, torch.randn(*z.shape[:2], drawing.size, device=self.device))
        parts = {} if output is None else self.losses(output.float(), batch)
        parts["commitment"] = commitment
        if again is not None:
            parts["cycle"] = again
        if predicted is not None:
            parts["generative"] = self.losses.drawn(predicted.float(), batch)
        if self.adversary and shown is not None:
            self.adversary.learn(shown.float(), batch)
            judged = self.adversary.judge(shown.float(), batch, self.settings.matching)
            parts["adversarial"] = min(1.0, self.state.done / RAMP) * judged
        return parts, codes

    def check(self, made: _Step) -> None:
        """Raises MotionLLMError where the training has come to nothing."""
        where = f"at step {self.state.step}"
        if not math.isfinite(float(made.norm)):
            why = f"The gradient's norm is {float(made.norm)} {where}: training has diverged. Lower train.lr"
            raise self.ended(why)
        if self.adversary and self.adversary.loss < CERTAIN:
            raise self.ended(
                f"The discriminator tells decoded from real motion without fail {where} (its loss is "
                f"{self.adversary.loss:.2g}), so that the decoder learns nothing from it. Lower train.adversarial"
            )

    def ended(self, why: str) -> MotionLLMError:
        """The error of a training that must not go on. Its last checkpoint, where there is one, is from before."""
        kept = (self.folder / CHECKPOINT).is_file()
        how = (
            f"go on from its last good weights: {self.resuming} KEY=VALUE" if kept else "start anew with another --out"
        )
        return MotionLLMError(f"{why} and {how}.")

    def validate(self) -> float:
        """The error by which weights are kept, which are so where they are the best so far; ends a training that is out
        of patience.
        """
        state = self.state
        error = _error(self.network, self.watched, self.tokenizer, self.device)
        if self.latest and error > FAR * state.best:
            raise self.ended(
                f"The error at step {state.step} is {error:.0f} mm, where it was {state.best:.0f} mm before: training "
                "has diverged. Lower train.lr or train.adversarial"
            )
        state.since = 0 if error < state.best else state.since + 1
        if error < state.best or self.latest:
            state.kept = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        state.best = min(error, state.best)
        if self.settings.patience and state.since >= self.settings.patience:
            state.done = 1.0
        return error

    def note(self, made: _Step, validated: dict[str, float], progress: Progress | None) -> None:
        """A step in the log, and on the progress line."""
        state = self.state
        loss, used = made.loss.item(), torch.bincount(made.codes.flatten(), minlength=self.tokenizer.size)
        self.log.write(
            {
                "step": state.step,
                "seconds": round(state.seconds, 1),
                **validated,
                "loss": loss,
                "codes": int((used > 0).sum()),
                **{name: value.item() for name, value in made.parts.items()},
            }
        )
        if progress:
            error = {"mpjpe": float(state.best)} if state.best < math.inf else {}
            progress(state.done, step=state.step, loss=loss, **error)

    def save(self) -> None:
        """A checkpoint."""
        stored = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch": torch.get_rng_state(),
            "numpy": json.dumps(self.windows.random.bit_generator.state),
            **vars(self.state),
            "clips": self.clips_hash,
            **({"adversary": self.adversary.state()} if self.adversary else {}),
        }
        with whole_stream(self.folder / CHECKPOINT) as file:
            torch.save(stored, file)

    def end(self, val: Sequence[np.ndarray]) -> MotionTokenizer:
        """Save the best, and its report."""
        self.network.load_state_dict(self.state.kept)
        self.network.eval().cpu().requires_grad_(True)
        self.tokenizer.round()
        self.tokenizer.save(self.folder)
        seconds = round(time.monotonic() - self.begun, 1)
        result = {"train_seconds": seconds, "steps": self.state.step, "val": report(self.tokenizer, val)}
        write_json(self.folder / "report.json", result)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
        return self.tokenizer


def _hash(clips: Sequence[np.ndarray]) -> str:
    """16 hex digits that tell the clips of one training from another's."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.shape} {float(clip.sum(dtype=np.float64))!r}".encode())
    return digest.hexdigest()[:16]


@torch.inference_mode()
def _error(network: Any, features: Sequence[np.ndarray], tokenizer: MotionTokenizer, device: torch.device) -> float:
    """Root-aligned MPJPE in mm over clips, by the network as it stands; of nested codes the mean over their levels."""
    network.eval()
    down, total, frames = tokenizer.frames_per_step, 0.0, 0
    for clip in features:
        if usable := len(clip) // down * down:
            x = torch.from_numpy((clip[:usable] - tokenizer.mean) / tokenizer.std)[None].to(device)
            codes = network.encode(x)
            for levels in range(1 if network.nested else network.levels, network.levels + 1):
                made = network.decoder(network.vectors(codes, levels))
                decoded = made[0].float().cpu().numpy() * tokenizer.std + tokenizer.mean
                total += float(distances(tokenizer.representation, clip[:usable], decoded).mean(-1).sum())
                frames += usable
    return 1000 * total / max(frames, 1)
