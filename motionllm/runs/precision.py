"""The number type that a machine computes in fastest."""

from __future__ import annotations

from typing import Literal


def fast_dtype() -> Literal["float32", "bfloat16"]:
    """ "bfloat16" where this machine has instructions for it, else "float32": emulated bfloat16 is 30 times slower."""
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "float32"
