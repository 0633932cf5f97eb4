"""Pieces of a measurement: each runs in a process of its own, within a budget of wall-clock time.

A piece that fails, or that takes far longer than expected, does not affect the others.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from benchmarks.timing import ROOT

NO_TIME = "not run: no time left"
NOT_INSTALLED = "not run: not installed"
NOT_YET = "not run"
PATIENCE = 4
"""A piece is ended after this many times the expected seconds."""
SPARE = 30.0
"""Seconds that an open-ended piece has to start and to end, besides those that it was given."""


class Piece(NamedTuple):
    """A program that prints its result as JSON.

    Attributes:
        part: key of its part of the page.
        title: of its row there.
        arguments: of Python, after -m.
        seconds: that it is expected to take, or that it needs at least if it is open-ended.
        python: path of Python; None where it is not installed.
        open_ended: whether it takes all the time that is left: its last argument is then the number of seconds.
    """

    part: str
    title: str
    arguments: tuple[str, ...]
    seconds: float
    python: str | None = sys.executable
    open_ended: bool = False


class Outcome(NamedTuple):
    """What a piece gave.

    Attributes:
        part, title: of the piece.
        value: what it printed; None where it did not run to its end.
        reason: why there is no value.
        seconds: that it took.
    """

    part: str
    title: str
    value: dict[str, Any] | None = None
    reason: str = ""
    seconds: float = 0.0


class Budget:
    """A budget of wall-clock time, which begins to run when it is created.

    Args:
        seconds: in all.
        clock: returns the time in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._end, self._clock = clock() + seconds, clock

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._end - self._clock()


Run = Callable[[Piece, float], Outcome]
"""Function of a piece and the most seconds that it may take."""


def run_within(piece: Piece, budget: Budget, run: Run) -> Outcome:
    """Run a piece if it is installed and fits into the budget."""
    if piece.python is None:
        return Outcome(piece.part, piece.title, reason=NOT_INSTALLED)
    if budget.left < piece.seconds:
        return Outcome(piece.part, piece.title, reason=NO_TIME)
    return run(piece, budget.left if piece.open_ended else min(budget.left, PATIENCE * piece.seconds))


def run_process(piece: Piece, limit: float) -> Outcome:
    """Run a piece as a process, which is ended with all that it started after so many seconds."""
    start = time.monotonic()
    seconds = [f"{limit - SPARE:.0f}"] if piece.open_ended else []
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:  # other processes may hold a pipe open
        code = _exit_code([str(piece.python), "-m", *piece.arguments, *seconds], limit, output, errors)
        took = time.monotonic() - start
        if code is None:
            return Outcome(piece.part, piece.title, reason=f"not complete: ended after {limit:.0f} s", seconds=took)
        if code:
            return Outcome(piece.part, piece.title, reason=f"failed: {_last_line(errors)}", seconds=took)
        try:
            return Outcome(piece.part, piece.title, json.loads(_last_line(output)), seconds=took)
        except ValueError:
            return Outcome(piece.part, piece.title, reason="failed: it printed no result", seconds=took)


def _exit_code(command: Sequence[str], limit: float, output: IO[str], errors: IO[str]) -> int | None:
    """Run a command in a session of its own; return its exit code, None where it was ended."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=errors, start_new_session=True)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(file: IO[str]) -> str:
    file.seek(0)
    lines = file.read().strip().splitlines()
    return lines[-1] if lines else ""
