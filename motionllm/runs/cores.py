"""How many processor cores this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """The cores that this process may use, which a container's limits can make fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
