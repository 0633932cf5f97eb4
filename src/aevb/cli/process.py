"""What the commands do to their own process before they compute. `import aevb` never does it; others may."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

KEPT = 2**30
"""Bytes of freed memory that a process keeps, and from which on a tensor gets pages of its own."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_memory() -> None:
    """Let this process, and those it starts, keep memory that they free.

    The temporaries of a training step otherwise go back to the system and are faulted in again at the next one, which
    takes up to a third of the time (`benchmarks`). Does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        for parameter, name in ((_TRIM_THRESHOLD, "TRIM"), (_MMAP_THRESHOLD, "MMAP")):
            if os.environ.setdefault(f"MALLOC_{name}_THRESHOLD_", str(KEPT)) == str(KEPT):
                library.mallopt(parameter, KEPT)


def is_first() -> bool:
    """Whether this is the first process of a job that `torchrun` has started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def one_voice() -> Iterator[None]:
    """Let the first process of a job alone write to the terminal."""
    if is_first():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
