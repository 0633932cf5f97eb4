"""Threads of OpenMP, by which PyTorch computes on a CPU: their number, and how they wait.

GNU OpenMP lets a thread that waits for the others repeat a loop for milliseconds before it sleeps. Beside busy
processes the loop takes the processor from the threads that compute: with two other processes on two processors,
products of 128 x 784 by 784 x 500 matrices took fifteen times as long (`benchmarks`). A process with more threads of
OpenMP than processors waits for microseconds only. Sleeping threads count, so that a team of them is enough.
"""

import ctypes
import math
import os
import re
import threading
from functools import cache
from pathlib import Path

_QUOTA = "/sys/fs/cgroup/cpu.max"
_CHOSEN_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def limit_to_quota() -> None:
    """Limit the threads of this process, before PyTorch is imported; a number that the user has set is left as it is.

    A container may have a share of the processors that it sees. More threads than that would wait for each other.
    """
    if quota() < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(math.ceil(quota())))


def quota(file: str = _QUOTA) -> float:
    """Return the number of processors whose time this process may use: infinite where the system sets no limit."""
    try:
        share, period = Path(file).read_text().split()
        return float(share) / float(period)
    except (OSError, ValueError):
        return math.inf


@cache
def sleep_when_waiting() -> None:
    """Let threads of OpenMP that wait for others sleep, once PyTorch is imported.

    It has no effect where OpenMP is not GNU's, or where the user has chosen how threads wait.
    """
    if not any(name in os.environ for name in _CHOSEN_BY_USER):
        for file in _gnu_openmp():
            ready = threading.Event()
            threading.Thread(target=_keep_team, args=(ctypes.CDLL(file), ready), daemon=True).start()
            ready.wait()


def _keep_team(openmp: ctypes.CDLL, ready: threading.Event) -> None:
    """Start as many threads as there are processors, which live as long as the thread that calls this."""
    openmp.GOMP_parallel(openmp.omp_get_num_threads, None, openmp.omp_get_num_procs(), 0)
    ready.set()
    threading.Event().wait()


def _gnu_openmp() -> list[str]:
    """Return the files of GNU OpenMP that this process has loaded."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return []
    return sorted(set(re.findall(r"\S*/libgomp\S*", mapped)))
