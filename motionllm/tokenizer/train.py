"""Training a motion tokenizer, and the report on one."""

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
from torch.nn import functional as F

from motionllm.bases import fast_dtype
from motionllm.config import Augmentation, TokenizerRecipe, TokenizerTraining, dump_recipe
from motionllm.errors import MotionLLMError
from motionllm.files import make_folder, whole_stream, write_file, write_json
from motionllm.motion.agreement import Agreement, agreement, tally
from motionllm.motion.features import canonical
from motionllm.motion.notation import measure
from motionllm.motion.representation import Representation, of_width
from motionllm.motion.skeleton import HUMANML3D
from motionllm.runs import Log, Signals, Stopped, on_full_disk, rate
from motionllm.tokenizer.augment import Augment
from motionllm.tokenizer.network import moves
from motionllm.tokenizer.quantizers import QUANTIZERS
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
    kept = [i for i, f in enumerate(train) if len(f) >= settings.window]
    if not kept:
        raise MotionLLMError(
            f"None of the {len(train)} training clips has {settings.window} frames, the window of the recipe; "
            "set train.window lower or bring longer clips."
        )
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    if recipe.start:
        tokenizer = MotionTokenizer.load(recipe.start)
        if tokenizer.config != recipe.network.model_copy(update={"causal": tokenizer.config.causal}):
            raise MotionLLMError(f"The tokenizer {recipe.start} has another network than the recipe; give its own.")
        if tokenizer.config.causal != recipe.network.causal:  # another decoder for the same codes
            weights_of = tokenizer.network.state_dict()
            tokenizer = MotionTokenizer(
                recipe.network, tokenizer.mean, tokenizer.std, representation=tokenizer.representation
            )
            tokenizer.network.load_state_dict(weights_of)
    else:
        representation = of_width(train[0].shape[1])
        mean, std = normalisation(train, representation)
        tokenizer = MotionTokenizer(recipe.network, mean, std, representation=representation)
    mean, std, representation = tokenizer.mean, tokenizer.std, tokenizer.representation
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
    losses = _Losses(settings, representation, mean, std, device)
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
            made = network(x)[0][0].float().cpu().numpy() * tokenizer.std + tokenizer.mean
            total += float(_distances(tokenizer.representation, clip[:usable], made).mean(-1).sum())
            frames += usable
    return 1000 * total / max(frames, 1)


# What a reader looks for first: legs carry locomotion, arms gestures. By words in the joint's name.
BODY = {"legs": ("hip", "knee", "ankle", "foot", "heel"), "trunk": ("spine", "neck", "head", "pelvis"),
        "arms": ("collar", "shoulder", "elbow", "wrist")}  # fmt: skip


def report(tokenizer: MotionTokenizer, features: Sequence[np.ndarray], search: int = 0) -> dict[str, Any]:
    """How well clips [(T, dim)] survive encode (its codes searched for, in `search` sweeps) and decode.

    mpjpe_root_mm: mean per-joint position error with roots and headings moved together, millimetres, also by part of
    the body; mpjpe_root_world_mm: with the roots alone moved together, drift of the heading included (as T2M-GPT's
    evaluation has it); mpjpe_mm: in the clip's own frame, drift of the path included too. stable: share of codes that
    are the same when what was decoded is encoded again. perplexity: exp of the entropy of code use. codes_used:
    fraction of the codebook seen. Speeds are in frames a second of this machine, one clip at a time. Of 22 joints:
    notation_kept, the share of the events of the clips' notations that are in those of what was decoded (verb, side and
    time; None without events), notation_agreement, the mean of `motion.agreement`, and notation, its `tally` by kind.
    """
    representation = tokenizer.representation
    names = representation.skeleton.joints
    by_joint, world, turned, counts = np.zeros(len(names)), 0.0, 0.0, np.zeros(tokenizer.size)
    frames, seconds, same, encoding, decoding = 0, 0.0, 0, 0.0, 0.0
    survived: list[Agreement] = []
    for clip in features:
        usable = len(clip) // tokenizer.frames_per_step * tokenizer.frames_per_step
        if not usable:
            continue
        begun = time.monotonic()
        codes = tokenizer.encode(clip, search)
        encoding += time.monotonic() - begun
        begun = time.monotonic()
        made = tokenizer.decode_features(codes)
        decoding += time.monotonic() - begun
        counts += np.bincount(codes, minlength=tokenizer.size)
        same += int((tokenizer.encode(made, search) == codes).sum())
        true, again = representation.decode(clip[:usable]), representation.decode(made)
        if representation.skeleton is HUMANML3D and usable >= 5:
            truth, kept = (measure(joints, representation.fps) for joints in (true, canonical(again)))
            survived.append(agreement(truth, kept))
        moved = true - again
        world += float(np.linalg.norm(moved, axis=-1).mean(-1).sum())
        turned += float(np.linalg.norm(moved - moved[:, :1], axis=-1).mean(-1).sum())
        by_joint += _distances(representation, clip[:usable], made).sum(0)
        frames += usable
        seconds += usable / tokenizer.fps
    if not frames:
        raise MotionLLMError("No clip is long enough for one motion code; there is nothing to report on.")
    share = counts[counts > 0] / counts.sum()
    by_joint *= 1000 / frames
    said: dict[str, Any] = {}
    if survived:
        events = [row.kept for one in survived for row in one.rows if row.planned]
        said["notation_kept"] = sum(events) / len(events) if events else None
        said["notation_agreement"] = float(np.mean([one.score for one in survived]))
        said["notation"] = tally(survived)
    return {
        "clips": len(features),
        "seconds": round(seconds, 1),
        "mpjpe_root_mm": float(by_joint.mean()),
        "mpjpe_root_mm_by_part": {
            part: float(np.mean([e for n, e in zip(names, by_joint, strict=True) if any(w in n for w in words)]))
            for part, words in BODY.items()
        },
        "mpjpe_root_world_mm": 1000 * turned / frames,
        "mpjpe_mm": 1000 * world / frames,
        **said,
        "stable": same / counts.sum(),
        "perplexity": float(np.exp(-(share * np.log(share)).sum())),
        "codes": tokenizer.size,
        "codes_used": float((counts > 0).mean()),
        "dead_codes": int((counts == 0).sum()),
        "codes_per_second": tokenizer.codes_per_second,
        "encoded_frames_per_second": round(frames / encoding),
        "decoded_frames_per_second": round(frames / decoding),
    }


def _distances(representation: Representation, truth: np.ndarray, made: np.ndarray) -> np.ndarray:
    """(T, J) metres between joints of two clips of features, roots and headings moved together."""
    return np.linalg.norm(representation.pose(truth) - representation.pose(made), axis=-1)


# Hands and feet move furthest and carry the meaning: which hand waves, which foot steps.
_LIMBS = {f"{side}_{part}": weight for side in ("left", "right")
          for part, weight in (("wrist", 3.0), ("elbow", 2.0), ("ankle", 1.3), ("foot", 1.3))}  # fmt: skip


def _dim_weights(representation: Representation) -> Tensor:
    """Weight of each feature in the reconstruction loss, mean 1.

    Root and positions are what is kept and shown. Velocities and contacts follow from them, and rotations that are not
    decoded get just enough to be there for the metrics that read all features.
    """
    weights = torch.ones(representation.dim)
    for name, weight in {"rotations": 0.03, "velocities": 0.1, "contacts": 0.1}.items():
        if name not in representation.decoded:
            weights[representation.columns(name)] = weight
    for name, weight in _LIMBS.items():
        if name in representation.skeleton.joints:
            weights[list(representation.of_joint("positions", representation.skeleton.joints.index(name)))] = weight
    weights[representation.root] = 4.0
    return weights / weights.mean()


class _Losses:
    """The terms of the reconstruction loss, each a mean: see `TokenizerTraining` for their weights and reasons."""

    def __init__(
        self,
        settings: TokenizerTraining,
        representation: Representation,
        mean: np.ndarray,
        std: np.ndarray,
        device: torch.device,
    ) -> None:
        self.settings, self.representation = settings, representation
        self.mean, self.std = torch.from_numpy(mean).to(device), torch.from_numpy(std).to(device)
        self.dims = (_dim_weights(representation) if settings.limbs else torch.ones(len(mean))).to(device)
        self.positions = representation.blocks["positions"]
        # The root's height stands beside or among the positions.
        self.pose = slice(min(representation.height, self.positions.start), self.positions.stop)
        skeleton = representation.skeleton
        self.feet = [j for side in skeleton.feet for j in side]

    def __call__(self, output: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """output, truth (B, T, dim), normalised."""
        pose = self.pose
        # Nearly L1: squared errors would spend the codes on rare acrobatics and blur what hands do in between.
        found = {"features": (F.smooth_l1_loss(output, truth, reduction="none", beta=0.1) * self.dims).mean()}
        made, wanted = (x[:, 1:, pose] - x[:, :-1, pose] for x in (output, truth))
        velocity = F.smooth_l1_loss(made, wanted, reduction="none", beta=0.1)
        found["velocity"] = (velocity * self.dims[pose]).mean()
        plain, true = (x * self.std + self.mean for x in (output, truth))
        made, wanted = (moves(self.representation, x).cumsum(1) for x in (plain, true))
        found["path"] = F.smooth_l1_loss(made, wanted, beta=0.05)
        if self.settings.joints:
            made, wanted = (x[..., self.positions].unflatten(-1, (-1, 3)) for x in (plain, true))
            found["joints"] = (made - wanted).norm(dim=-1).mean()
        if self.settings.contact:
            standing = true[:, :-1, self.representation.blocks["contacts"]] > 0.5
            found["contact"] = (self._foot_moves(plain).norm(dim=-1) * standing).sum() / standing.sum().clamp(min=1)
        return found

    def _foot_moves(self, features: Tensor) -> Tensor:
        """(B, T − 1, 4, 3) metres that ankles and feet move from frame to frame, in the heading frame of the later."""
        places = features[..., self.positions].unflatten(-1, (-1, 3))[..., [j - 1 for j in self.feet], :]
        now, then = places[:, :-1], places[:, 1:]
        half, right, ahead = moves(self.representation, features)[:, :-1, :, None].unbind(-2)
        cosine, sine = torch.cos(2 * half), torch.sin(2 * half)
        x = then[..., 0] + right - (cosine * now[..., 0] + sine * now[..., 2])
        z = then[..., 2] + ahead - (cosine * now[..., 2] - sine * now[..., 0])
        return torch.stack([x, then[..., 1] - now[..., 1], z], dim=-1)
