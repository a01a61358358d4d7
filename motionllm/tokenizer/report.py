"""How well clips survive a motion tokenizer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.agreement import Agreement, agreement, tally
from motionllm.motion.features import canonical
from motionllm.motion.notation import measure
from motionllm.motion.representation import Representation
from motionllm.motion.skeleton import HUMANML3D
from motionllm.tokenizer.tokenizer import MotionTokenizer

# Parts of the body by words in the joint's name: legs carry locomotion, arms gestures.
BODY = {
    "legs": ("hip", "knee", "ankle", "foot", "heel"),
    "trunk": ("spine", "neck", "head", "pelvis"),
    "arms": ("collar", "shoulder", "elbow", "wrist"),
}


def report(tokenizer: MotionTokenizer, features: Sequence[np.ndarray], search: int = 0) -> dict[str, Any]:
    """How well clips [(T, dim)] survive encode (with `search` sweeps of code search) and decode.

    mpjpe_root_mm: mean per-joint position error with roots and headings aligned, millimetres, also by part of the body;
    mpjpe_root_world_mm: with only the roots aligned, so including the drift of the heading (as in T2M-GPT's
    evaluation); mpjpe_mm: in the clip's own frame, so including the drift of the path too. stable: share of codes that
    stay the same when the decoded clip is encoded again. perplexity: exp of the entropy of code use. codes_used:
    fraction of the codebook used. Speeds are in frames per second on this machine, one clip at a time. With 22 joints
    also: notation_kept, the share of the events of the clips' notations that are in those of the decoded clips (verb,
    side and time; None without events), notation_agreement, the mean of `motion.agreement`, and notation, its `tally`
    by kind.
    """
    representation = tokenizer.representation
    names = representation.skeleton.joints
    by_joint, world, turned, every = np.zeros(len(names)), 0.0, 0.0, list[np.ndarray]()
    frames, seconds, same, encoding, decoding = 0, 0.0, 0, 0.0, 0.0
    survived: list[Agreement] = []
    for clip in map(representation.read, features):
        usable = len(clip) // tokenizer.frames_per_step * tokenizer.frames_per_step
        if not usable:
            continue
        begun = time.monotonic()
        codes = tokenizer.encode(clip, search)
        encoding += time.monotonic() - begun
        begun = time.monotonic()
        decoded = tokenizer.decode_features(codes)
        decoding += time.monotonic() - begun
        every.append(codes)
        same += int((tokenizer.encode(decoded, search) == codes).sum())
        true, again = representation.decode(clip[:usable]), representation.decode(decoded)
        if representation.skeleton is HUMANML3D and usable >= 5:
            truth, kept = (measure(joints, representation.fps) for joints in (true, canonical(again)))
            survived.append(agreement(truth, kept))
        moved = true - again
        world += float(np.linalg.norm(moved, axis=-1).mean(-1).sum())
        turned += float(np.linalg.norm(moved - moved[:, :1], axis=-1).mean(-1).sum())
        by_joint += distances(representation, clip[:usable], decoded).sum(0)
        frames += usable
        seconds += usable / tokenizer.fps
    if not frames:
        raise MotionLLMError("No clip is long enough for one motion code; there is nothing to report on.")
    by_joint *= 1000 / frames
    use = code_use(np.concatenate(every), tokenizer.size)
    notation: dict[str, Any] = {}
    if survived:
        events = [row.kept for one in survived for row in one.rows if row.planned]
        notation["notation_kept"] = sum(events) / len(events) if events else None
        notation["notation_agreement"] = float(np.mean([one.score for one in survived]))
        notation["notation"] = tally(survived)
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
        **notation,
        "stable": same / sum(map(len, every)),
        "perplexity": use["perplexity"],
        "codes": tokenizer.size,
        "codes_used": (tokenizer.size - use["dead"]) / tokenizer.size,
        "dead_codes": use["dead"],
        "codes_per_second": tokenizer.codes_per_second,
        "encoded_frames_per_second": round(frames / encoding),
        "decoded_frames_per_second": round(frames / decoding),
    }


def code_use(codes: np.ndarray, size: int) -> dict[str, float]:
    """{"perplexity", "dead"} of codes (n,) out of `size`: exp of the entropy of their use, and how many never occur."""
    counts = np.bincount(codes, minlength=size)
    share = counts[counts > 0] / counts.sum()
    return {"perplexity": float(np.exp(-(share * np.log(share)).sum())), "dead": int((counts == 0).sum())}


def distances(representation: Representation, truth: np.ndarray, made: np.ndarray) -> np.ndarray:
    """(T, J) metres between the joints of two clips, given as features (T, dim), with roots and headings aligned."""
    return np.linalg.norm(representation.pose(truth) - representation.pose(made), axis=-1)
