"""Memory of this process: how much is available, and whether freed memory is kept."""

import ctypes
import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aevb.errors import BadInput

_GIB = 2**30
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
KEPT = 2**30
"""Bytes of freed memory that a process keeps, and the size above which a tensor gets pages of its own."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
_LARGEST_DYNAMIC_THRESHOLD = 2**25
"""The bytes up to which glibc raises its threshold by default, as tensors of this size are freed."""


def most() -> float:
    """Return the bytes of memory that this process may use at most: infinite where the system sets no limit."""
    if sys.platform == "win32":
        return math.inf
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(installed, math.inf if limit == resource.RLIM_INFINITY else limit, *map(_number_in, _CONTAINER_LIMITS))


def used() -> float:
    """Return the bytes of memory that this process has in use: 0 where the system does not say."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0


def _number_in(file: str) -> float:
    """Return the number in a file: infinite where there is none."""
    try:
        return float(Path(file).read_text())
    except (OSError, ValueError):
        return math.inf


def require(size: float, what: str, advice: str) -> None:
    """Check that a number of bytes fits into memory, before they are allocated.

    Args:
        size: bytes that are needed.
        what: what needs them, for the message.
        advice: what to do if they are not available.

    Raises:
        BadInput: fewer bytes are available.
    """
    if size > most():
        available = most() / _GIB
        raise BadInput(
            f"{what} needs {size / _GIB:,.1f} GiB of memory, but only {available:,.1f} are available: {advice}"
        )


def keep_freed_memory() -> None:
    """Let this process, and the processes that it starts, keep the memory that they free.

    The temporaries of a training step are otherwise returned to the system and faulted in again at the next step, which
    takes up to a third of the time (`benchmarks`). The commands call this function. It has no effect where the C
    library is not glibc, or where the environment sets the thresholds.
    """
    if (library := _glibc()) and not _thresholds_in_environment():
        os.environ.update({name: str(KEPT) for name in _VARIABLES})
        _set_thresholds(library, KEPT, KEPT)


@contextmanager
def keeping_freed_memory() -> Iterator[None]:
    """Let this process keep the memory that it frees within the context; it is returned to the system at the end."""
    library = None if _thresholds_in_environment() else _glibc()
    if library:
        _set_thresholds(library, KEPT, KEPT)
    try:
        yield
    finally:
        if library:
            _set_thresholds(library, 2 * _LARGEST_DYNAMIC_THRESHOLD, _LARGEST_DYNAMIC_THRESHOLD)
            library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _thresholds_in_environment() -> bool:
    return any(name in os.environ for name in _VARIABLES)


def _set_thresholds(library: ctypes.CDLL, trim: int, mmap: int) -> None:
    """Set the bytes at the top of the heap, and those of a tensor, from which memory is returned to the system."""
    library.mallopt(_TRIM_THRESHOLD, trim)
    library.mallopt(_MMAP_THRESHOLD, mmap)
