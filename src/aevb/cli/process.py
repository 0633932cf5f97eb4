"""Processes of a distributed job: the first one alone writes to the terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path


def is_first() -> bool:
    """Return whether this is the first process of a job that `torchrun` started, or the only process."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def one_voice() -> Iterator[None]:
    """Discard the terminal output of all processes of a job but the first."""
    if is_first():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
