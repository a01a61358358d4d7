"""Freed memory goes back to the system."""

from __future__ import annotations

import platform

import psutil
import pytest
import torch

from motionllm.runs.memory import EVERY, trim


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_fragmented_heap_is_given_back() -> None:
    def held() -> float:
        return psutil.Process().memory_info().rss / 2**20

    # Small enough for the heap; every other one stays, so that the heap's end never moves back.
    blocks = [torch.ones(25_000) for _ in range(4000)]
    full = held()
    blocks[::2] = [torch.ones(1)] * 2000
    assert not trim(EVERY + 1)
    assert trim(EVERY)
    assert held() < full - 100  # of the 190 MiB that were freed


def test_nothing_is_done_without_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionllm.runs.memory._libc", lambda: None)
    assert not trim(EVERY)
