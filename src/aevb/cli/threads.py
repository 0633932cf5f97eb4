"""Threads of OpenMP, by which PyTorch computes on a CPU: their number, and how they wait."""

import math
import os
from pathlib import Path

_QUOTA = "/sys/fs/cgroup/cpu.max"


def configure() -> None:
    """Set up the threads of this process, before PyTorch is imported; what the user has set is left as it is.

    Threads that wait for others sleep: beside busy processes, waiting in a loop takes the time of those that compute.
    A container may have a share of the processors that it sees. More threads than that would wait for each other.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if quota() < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(math.ceil(quota())))


def quota(file: str = _QUOTA) -> float:
    """Return the number of processors whose time this process may use: infinite where the system sets no limit."""
    try:
        share, period = Path(file).read_text().split()
        return float(share) / float(period)
    except (OSError, ValueError):
        return math.inf
