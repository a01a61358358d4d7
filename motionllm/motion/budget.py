"""Limits on the memory and time a motion file may take, checked on its header before the rest is read.

They admit ten minutes of 107 joints (a body with face and fingers) at 120 frames per second, or an hour of a body at
30. Within them, reading takes less than 2 GB.
"""

from __future__ import annotations

from motionllm.errors import MotionLLMError

BYTES = 512 << 20  # bytes of a file, and of the arrays unpacked from it
JOINTS = 2_000
DEPTH = 200  # joints from the root to the end of the longest chain
FRAMES = 500_000
JOINT_FRAMES = 8_000_000
VALUES = 48_000_000  # channel values: six to a joint
SECONDS = 3_600.0
LEAST_FPS, MOST_FPS = 1.0, 10_000.0
LARGEST = 1e8  # largest absolute position or angle, in any unit: 100 km in millimetres
_CUT = "cut the take into shorter ones"


def check_bytes(size: int, what: str = "the file") -> None:
    """Raise MotionLLMError where a file, or an array in it, has too many bytes."""
    if size > BYTES:
        raise MotionLLMError(f"{what} has {size >> 20:,} MB and up to {BYTES >> 20} MB are read; {_CUT}.")


def check_joints(joints: int, depth: int = 0) -> None:
    """Raise MotionLLMError where a skeleton has too many joints, or too long a chain of them."""
    if joints > JOINTS:
        raise MotionLLMError(f"has {joints:,} joints and up to {JOINTS:,} are read; export the body without the rest.")
    if depth > DEPTH:
        raise MotionLLMError(
            f"has a chain of {depth:,} joints and up to {DEPTH} below one another are read; "
            "export the body without hair, tails and ropes."
        )


def check_rate(fps: float) -> None:
    """Raise MotionLLMError for a frame rate at which no motion is recorded."""
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise MotionLLMError(
            f"says {fps:g} frames per second; motion has {LEAST_FPS:g} to {MOST_FPS:,.0f}. Correct the rate."
        )


def check_clip(frames: int, joints: int, fps: float, channels: int = 0) -> None:
    """Raise MotionLLMError for a clip of too many frames, seconds or values, or of an impossible frame rate."""
    check_joints(joints)
    check_rate(fps)
    if frames > FRAMES:
        raise MotionLLMError(f"has {frames:,} frames and up to {FRAMES:,} are read; {_CUT}.")
    if frames > SECONDS * fps + 1:
        raise MotionLLMError(
            f"lasts {frames / fps:,.0f} s at its {fps:g} frames per second and up to {SECONDS:,.0f} s are read; "
            f"correct the rate, or {_CUT}."
        )
    if frames * joints > JOINT_FRAMES or frames * channels > VALUES:
        raise MotionLLMError(
            f"has {frames:,} frames of {joints:,} joints and up to {JOINT_FRAMES // joints:,} frames "
            f"of so many are read; {_CUT}, or export it at a lower rate."
        )
