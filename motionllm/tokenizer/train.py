"""Training a motion tokenizer."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.config import Augmentation, TokenizerRecipe, dump_recipe
from motionllm.errors import MotionLLMError
from motionllm.files import make_folder, whole_stream, write_file, write_json
from motionllm.motion.representation import Representation, named, of_width
from motionllm.runs.precision import fast_dtype
from motionllm.runs.run import Log, Signals, Stopped, on_full_disk, rate
from motionllm.tokenizer.augment import Augment
from motionllm.tokenizer.decoders import SETTINGS
from motionllm.tokenizer.losses import Losses
from motionllm.tokenizer.quantizers import QUANTIZERS
from motionllm.tokenizer.report import distances, report
from motionllm.tokenizer.tokenizer import MotionTokenizer

Progress = Callable[..., None]
CHECKPOINT = "checkpoint.pt"  # of a run that has not ended


def normalisation(features: Sequence[np.ndarray], representation: Representation) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (dim,) over all frames; std averaged within each block, so that a joint that hardly moves is not
    blown up to the weight of one that does.
    """
    stacked = np.concatenate(features).astype(np.float64)
    mean, std = stacked.mean(0), stacked.std(0)
    for block in representation.blocks.values():
        std[block] = max(std[block].mean(), 1e-4)
    return mean.astype(np.float32), std.astype(np.float32)


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
        return _fit(recipe, train, val, folder, weights, progress, signals, resuming)


def _fit(
    recipe: TokenizerRecipe,
    train: Sequence[np.ndarray],
    val: Sequence[np.ndarray],
    folder: Path,
    weights: Sequence[float] | None,
    progress: Progress | None,
    signals: Signals,
    resuming: str,
) -> MotionTokenizer:
    settings = recipe.train
    if recipe.start:
        tokenizer = MotionTokenizer.load(recipe.start)
        representation = tokenizer.representation
    else:
        representation = of_width(train[0].shape[1])
    if recipe.representation and (wanted := named(recipe.representation)) is not representation:
        if recipe.start:
            raise MotionLLMError(
                f"The tokenizer {recipe.start} has the representation {representation.name} and the recipe "
                f"{wanted.name}; leave the key out."
            )
        representation = wanted
    train, val = ([representation.read(clip) for clip in clips] for clips in (train, val))
    kept = [i for i, f in enumerate(train) if len(f) >= settings.window]
    if not kept:
        raise MotionLLMError(
            f"None of the {len(train)} training clips has {settings.window} frames, the window of the recipe; "
            "set train.window lower or bring longer clips."
        )
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    if recipe.start:
        alike = {name: getattr(tokenizer.config, name) for name in SETTINGS}
        if tokenizer.config != recipe.network.model_copy(update=alike):
            raise MotionLLMError(f"The tokenizer {recipe.start} has another network than the recipe; give its own.")
        if tokenizer.config != recipe.network:  # another decoder for the same codes
            weights_of = tokenizer.network.state_dict()
            tokenizer = MotionTokenizer(
                recipe.network, tokenizer.mean, tokenizer.std, representation=tokenizer.representation
            )
            tokenizer.network.load_state_dict(weights_of)
    else:
        mean, std = normalisation(train, representation)
        tokenizer = MotionTokenizer(recipe.network, mean, std, representation=representation)
    mean, std = tokenizer.mean, tokenizer.std
    frozen = settings.encoder_lr == 0 and bool(recipe.start)
    learned = QUANTIZERS[recipe.network.quantizer].codebook  # to be placed by k-means, and followed
    autoencode = 0 if recipe.start or not learned else settings.autoencode
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = tokenizer.network.to(device)
    clips = [torch.from_numpy((train[i] - mean) / std) for i in kept]
    starts = np.array([len(c) - settings.window + 1 for c in clips])
    augment = Augment(settings.augment, representation, settings.window) if settings.augment != Augmentation() else None
    share = starts * (np.asarray(weights)[kept] if weights is not None else 1.0)
    share = share / share.sum()
    losses = Losses(settings, representation, mean, std, device)
    rest = [*network.decoder.parameters(), *(() if frozen else network.quantizers.parameters())]
    groups: list[dict[str, Any]] = [{"params": network.encoders.parameters()}, {"params": rest}]
    if frozen:
        for parameter in (*network.encoders.parameters(), *network.quantizers.parameters()):
            parameter.requires_grad_(False)
        groups = [{"params": []}, groups[1]]
    optimizer = torch.optim.Adam(groups, lr=settings.lr, betas=(0.9, 0.99))
    make_folder(folder)
    half = fast_dtype() == "bfloat16"
    watched = [val[i] for i in np.linspace(0, len(val) - 1, min(len(val), 80)).astype(int)]
    checkpoint, clips_hash = folder / CHECKPOINT, _hash([train[i] for i in kept])
    step, done, before, best, since = 0, 0.0, 0.0, np.inf, 0
    kept_weights: dict[str, Tensor] = {}
    if checkpoint.is_file():
        try:
            state = torch.load(checkpoint, weights_only=True)
        except Exception:  # torch raises whatever its zip and pickle readers do
            raise MotionLLMError(f"{checkpoint} is damaged; remove it to start the training anew.") from None
        if state.get("clips", clips_hash) != clips_hash:
            raise MotionLLMError(
                f"The training clips have changed since {folder} began, so that it would not go on as the same run; "
                "start a new one with another --out, or bring the clips back."
            )
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch"])
        random.bit_generator.state = json.loads(state["numpy"])
        step, before, best, since, kept_weights = (state[k] for k in ("step", "seconds", "best", "since", "kept"))
        done = state["done"]
    log = Log(folder / "log.jsonl", lambda row: row.get("step", math.inf) <= step)
    write_file(folder / "recipe.yaml", dump_recipe(recipe))
    begun, saved, over = time.monotonic() - before, time.monotonic(), 0.0

    def windows(count: int) -> Tensor:
        picked = [(i, random.integers(starts[i])) for i in random.choice(len(clips), count, p=share)]
        if augment is None:
            return torch.stack([clips[i][s : s + settings.window] for i, s in picked]).to(device)
        longer = torch.stack([_stretch(clips[i], s, augment.frames) for i, s in picked])
        changed = augment(longer * torch.from_numpy(std) + torch.from_numpy(mean), random)
        return ((changed - torch.from_numpy(mean)) / torch.from_numpy(std)).to(device)

    def save() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "torch": torch.get_rng_state(),
            "numpy": json.dumps(random.bit_generator.state),
            "step": step,
            "seconds": elapsed,
            "done": done,
            "best": best,
            "since": since,
            "kept": kept_weights,
            "clips": clips_hash,
        }
        with whole_stream(checkpoint) as file:
            torch.save(state, file)

    with signals.finishing():
        while done < 1:
            network.train()
            if frozen:
                network.quantizers.eval()  # moving averages and dead codes would change the codes
            # An untrained encoder maps every pose to one place, and a codebook started there collapses to a few
            # codes: the first steps train a plain autoencoder, then k-means places the codes.
            if step == autoencode and autoencode:
                network.start_codebooks(windows(16 * settings.batch))
            batch = windows(settings.batch)
            lr = settings.lr * rate(step, settings.warmup, done, over, least=0.05)
            # Encodings must not move faster than the codebook's moving averages follow, or they crowd on a few codes.
            optimizer.param_groups[0]["lr"] = lr * (settings.encoder_lr if learned and step >= autoencode else 1.0)
            optimizer.param_groups[1]["lr"] = lr
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                output, codes, commitment = network(batch, quantize=step >= autoencode)
                again = network.confusion(codes) if settings.cycle and step >= autoencode else None
            parts = losses(output.float(), batch)
            parts["commitment"] = commitment
            if again is not None:
                parts["cycle"] = again
            loss = torch.stack([getattr(settings, name) * value for name, value in parts.items()]).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            elapsed = time.monotonic() - begun
            over = elapsed / (60 * settings.minutes) if settings.minutes else 0.0
            done = max(step / settings.steps, over)
            row: dict[str, Any] = {"step": step, "seconds": round(elapsed, 1)}
            looks = step % settings.validate_every == 0 or done >= 1
            due = settings.save_minutes is not None and time.monotonic() - saved >= 60 * settings.save_minutes
            due = due or looks or bool(signals.asked)
            # Once it is not finite, no later one is: where nothing is kept, nobody need wait for it.
            if (due or step % 20 == 0) and not math.isfinite(float(norm)):
                raise MotionLLMError(
                    f"The gradient's norm is {float(norm)} at step {step}: training has diverged. Lower train.lr and "
                    "start anew with another --out."
                )
            if looks:
                error = _error(network, watched, tokenizer, device)
                row["val_mpjpe_root_mm"] = error
                since = 0 if error < best else since + 1
                if error < best:
                    best, kept_weights = error, {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
                if settings.patience and since >= settings.patience:
                    done = 1.0
            if step % 20 == 0 or done >= 1:
                used = torch.bincount(codes.flatten(), minlength=tokenizer.size)
                row |= {"loss": loss.item(), "codes": int((used > 0).sum())}
                row |= {name: value.item() for name, value in parts.items()}
                log.write(row)
                if progress:
                    progress(done, step=step, loss=row["loss"], **({"mpjpe": float(best)} if best < np.inf else {}))
            if due:
                save()
                saved = time.monotonic()
            if signals.asked and done < 1:
                how = f"Stopped after step {step}, whose checkpoint is saved; go on with {resuming}"
                raise Stopped(signals.asked, how)
    network.load_state_dict(kept_weights)
    network.eval().cpu().requires_grad_(True)
    tokenizer.round()
    tokenizer.save(folder)
    result = {"train_seconds": round(time.monotonic() - begun, 1), "steps": step, "val": report(tokenizer, val)}
    write_json(folder / "report.json", result)
    checkpoint.unlink(missing_ok=True)
    return tokenizer


def _stretch(clip: Tensor, start: int, frames: int) -> Tensor:
    """(frames, dim) of a clip from about `start` on, the last frame held where the clip is too short."""
    piece = clip[max(0, min(start, len(clip) - frames)) :][:frames]
    return torch.cat([piece, piece[-1:].expand(frames - len(piece), -1)])


def _hash(clips: Sequence[np.ndarray]) -> str:
    """16 hex digits that tell the clips of one training from another's."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.shape} {float(clip.sum(dtype=np.float64))!r}".encode())
    return digest.hexdigest()[:16]


@torch.inference_mode()
def _error(network: Any, features: Sequence[np.ndarray], tokenizer: MotionTokenizer, device: torch.device) -> float:
    """Root-aligned MPJPE in mm over clips, by the network as it stands."""
    network.eval()
    down, total, frames = tokenizer.frames_per_step, 0.0, 0
    for clip in features:
        if usable := len(clip) // down * down:
            x = torch.from_numpy((clip[:usable] - tokenizer.mean) / tokenizer.std)[None].to(device)
            decoded = network(x)[0][0].float().cpu().numpy() * tokenizer.std + tokenizer.mean
            total += float(distances(tokenizer.representation, clip[:usable], decoded).mean(-1).sum())
            frames += usable
    return 1000 * total / max(frames, 1)
