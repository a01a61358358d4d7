"""Training a motion tokenizer, and the report on one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motionllm.bases import fast_dtype
from motionllm.config import TokenizerRecipe, dump_recipe
from motionllm.errors import MotionLLMError
from motionllm.motion.features import features_to_joints, skeleton_of_dim
from motionllm.tokenizer.tokenizer import MotionTokenizer

Progress = Callable[..., None]


def normalisation(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (dim,) over all frames; std averaged within each group of dims, so that a joint that
    hardly moves is not blown up to the weight of one that does.
    """
    stacked = np.concatenate(features).astype(np.float64)
    mean, std = stacked.mean(0), stacked.std(0)
    joints = len(skeleton_of_dim(stacked.shape[1]).joints)
    edges = [0, 1, 3, 4, 3 * joints + 1, 9 * joints - 5, 12 * joints - 5, 12 * joints - 1]
    for a, b in pairwise(edges):
        std[a:b] = max(std[a:b].mean(), 1e-4)
    return mean.astype(np.float32), std.astype(np.float32)


def fit(
    recipe: TokenizerRecipe,
    train: Sequence[np.ndarray],
    val: Sequence[np.ndarray],
    folder: Path,
    weights: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> MotionTokenizer:
    """Train on features [(T, dim)], save tokenizer, recipe, log and report in `folder`, return it.

    weights: how often each clip is drawn, relative; by default by its length.
    Raises MotionLLMError where no clip is as long as the window.
    """
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
        if tokenizer.config != recipe.network:
            raise MotionLLMError(f"The tokenizer {recipe.start} has another network than the recipe; give its own.")
    else:
        tokenizer = MotionTokenizer(recipe.network, *normalisation(train))
    mean, std = tokenizer.mean, tokenizer.std
    learned = recipe.network.quantizer == "vq"  # a codebook that has to be placed and followed
    autoencode = 0 if recipe.start or not learned else settings.autoencode
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = tokenizer.network.train().to(device)
    clips = [torch.from_numpy((train[i] - mean) / std) for i in kept]
    starts = np.array([len(c) - settings.window + 1 for c in clips])
    share = starts * (np.asarray(weights)[kept] if weights is not None else 1.0)
    share = share / share.sum()
    dims = _dim_weights(len(mean)).to(device)
    scale, shift = torch.from_numpy(std).to(device), torch.from_numpy(mean).to(device)
    rest = [*network.decoder.parameters(), *network.quantizers.parameters()]
    groups: list[dict[str, Any]] = [{"params": network.encoders.parameters()}, {"params": rest}]
    optimizer = torch.optim.Adam(groups, lr=settings.lr, betas=(0.9, 0.99))
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.jsonl"
    log.write_text("", encoding="utf-8")
    half = fast_dtype() == "bfloat16"
    begun = time.monotonic()
    step, done = 0, 0.0

    def windows(count: int) -> Tensor:
        picked = [(i, random.integers(starts[i])) for i in random.choice(len(clips), count, p=share)]
        return torch.stack([clips[i][s : s + settings.window] for i, s in picked]).to(device)

    while done < 1:
        # An untrained encoder maps every pose to one place, and a codebook started there collapses to a few
        # codes: the first steps train a plain autoencoder, then k-means places the codes.
        if step == autoencode and autoencode:
            network.start_codebooks(windows(16 * settings.batch))
        batch = windows(settings.batch)
        warm = min(1.0, (step + 1) / max(settings.warmup, 1))
        lr = settings.lr * warm * (0.05 + 0.95 * (1 + np.cos(np.pi * done)) / 2)
        # Encodings must not move faster than the codebook's moving averages follow, or they crowd on a few codes.
        optimizer.param_groups[0]["lr"] = lr * (settings.encoder_lr if learned and step >= autoencode else 1.0)
        optimizer.param_groups[1]["lr"] = lr
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            output, codes, commitment = network(batch, quantize=step >= autoencode)
        output = output.float()
        parts = _losses(output, batch, dims, scale, shift)
        loss = (
            parts["features"]
            + settings.velocity * parts["velocity"]
            + settings.path * parts["path"]
            + settings.commitment * commitment
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        elapsed = time.monotonic() - begun
        done = max(step / settings.steps, elapsed / (60 * settings.minutes) if settings.minutes else 0.0)
        if step % 20 == 0 or done >= 1:
            used = torch.bincount(codes.flatten(), minlength=tokenizer.size).float()
            row = {"step": step, "seconds": round(elapsed, 1), "loss": loss.item(), "codes": int((used > 0).sum())}
            row |= {name: value.item() for name, value in parts.items()}
            with open(log, "a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
            if progress:
                progress(done, step=step, loss=row["loss"])
    network.eval().cpu()
    tokenizer.round()
    tokenizer.save(folder)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    result = {"train_seconds": round(time.monotonic() - begun, 1), "steps": step, "val": report(tokenizer, val)}
    beside = folder / ".report.json"
    beside.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, folder / "report.json")
    return tokenizer


def report(tokenizer: MotionTokenizer, features: Sequence[np.ndarray]) -> dict[str, Any]:
    """How well clips [(T, dim)] survive encode and decode.

    mpjpe_root_mm: mean per-joint position error with the roots moved together, millimetres;
    mpjpe_mm: in the clip's own frame, drift of path and heading included. perplexity: exp of the entropy
    of code use. codes_used: fraction of the codebook seen.
    """
    aligned, world, counts, frames, seconds = 0.0, 0.0, np.zeros(tokenizer.size), 0, 0.0
    begun = time.monotonic()
    for clip in features:
        usable = len(clip) // tokenizer.frames_per_step * tokenizer.frames_per_step
        if not usable:
            continue
        codes = tokenizer.encode(clip)
        counts += np.bincount(codes, minlength=tokenizer.size)
        truth, made = features_to_joints(clip[:usable]), features_to_joints(tokenizer.decode_features(codes))
        world += float(np.linalg.norm(truth - made, axis=-1).mean(-1).sum())
        # The yaw is aligned with the root: features hold the pose in the heading frame.
        width = 3 * len(tokenizer.skeleton.joints) + 1
        poses = [_local(f, width) for f in (clip[:usable], tokenizer.decode_features(codes))]
        aligned += float(np.linalg.norm(poses[0] - poses[1], axis=-1).mean(-1).sum())
        frames += usable
        seconds += usable / tokenizer.skeleton.fps
    if not frames:
        raise MotionLLMError("No clip is long enough for one motion code; there is nothing to report on.")
    share = counts[counts > 0] / counts.sum()
    return {
        "clips": len(features),
        "seconds": round(seconds, 1),
        "mpjpe_root_mm": 1000 * aligned / frames,
        "mpjpe_mm": 1000 * world / frames,
        "perplexity": float(np.exp(-(share * np.log(share)).sum())),
        "codes": tokenizer.size,
        "codes_used": float((counts > 0).mean()),
        "dead_codes": int((counts == 0).sum()),
        "codes_per_second": tokenizer.codes_per_second,
        "frames_per_second": round(frames / (time.monotonic() - begun)),
    }


def _local(features: np.ndarray, width: int) -> np.ndarray:
    """(T, J, 3) positions relative to the root in the heading frame; the root itself is 0."""
    pose = features[:, 4:width].reshape(len(features), -1, 3).copy()
    pose[..., 1] -= features[:, 3:4]
    return np.concatenate([np.zeros_like(pose[:, :1]), pose], axis=1)


# Hands and feet move furthest and carry the meaning: which hand waves, which foot steps.
_LIMBS = {f"{side}_{part}": weight for side in ("left", "right")
          for part, weight in (("wrist", 3.0), ("elbow", 2.0), ("ankle", 1.3), ("foot", 1.3))}  # fmt: skip


def _dim_weights(dim: int) -> Tensor:
    """Weight of each feature in the reconstruction loss, mean 1.

    Positions and root are what is kept and shown. Joint velocities follow from them, and rotations are not
    used to recover joints: they get just enough to be there for the metrics that read all features.
    """
    joints = len(skeleton_of_dim(dim).joints)
    weights = torch.ones(dim)
    weights[:4] = 4.0
    for name, weight in _LIMBS.items():
        if name in (skeleton := skeleton_of_dim(dim)).joints:
            first = 4 + 3 * (skeleton.joints.index(name) - 1)
            weights[first : first + 3] = weight
    weights[3 * joints + 1 : 9 * joints - 5] = 0.03
    weights[9 * joints - 5 :] = 0.1
    return weights / weights.mean()


def _losses(output: Tensor, truth: Tensor, dims: Tensor, std: Tensor, mean: Tensor) -> dict[str, Tensor]:
    # velocity: differences of the pose between frames, against jitter. path: yaw and travel added up along
    # the window, in radians and metres, because a turn of 90° is a sum of 30 small numbers.
    pose = slice(3, 3 * len(skeleton_of_dim(len(dims)).joints) + 1)
    # Nearly L1: squared errors would spend the codes on rare acrobatics and blur what hands do in between.
    features = (F.smooth_l1_loss(output, truth, reduction="none", beta=0.1) * dims).mean()
    made, wanted = (x[:, 1:, pose] - x[:, :-1, pose] for x in (output, truth))
    velocity = (F.smooth_l1_loss(made, wanted, reduction="none", beta=0.1) * dims[pose]).mean()
    travelled = [((x[..., :3]) * std[:3] + mean[:3]).cumsum(1) for x in (output, truth)]
    path = F.smooth_l1_loss(travelled[0], travelled[1], beta=0.05)
    return {"features": features, "velocity": velocity, "path": path}
