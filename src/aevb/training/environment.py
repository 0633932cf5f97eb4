"""The distributed environment: the processes of a job, which `torchrun` starts on one machine or many.

Without `torchrun` there is one process. The first process alone writes files and decides when a checkpoint is due.
Training ends in all processes as soon as one of them is interrupted.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Generic, TypeVar

import torch
import torch.distributed as dist

from aevb.errors import BadInput, Lost

Result = TypeVar("Result")
TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others, as for the first one while it validates."""


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the process group of the job, if `torchrun` started this process; yield the device of this process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield device
        with naming_lost_processes():
            dist.barrier()  # the others would take a process that leaves early for lost
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Return N, the number of processes of this job."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Return whether this is the first process, which writes the files."""
    return rank() == 0


def run_on_first(action: Callable[[], Result]) -> Result:
    """Run a function in the first process while the others wait; return its result in all of them.

    Raises:
        BadInput: raised by the function, in all processes.
        Lost: another process is gone.
    """
    if world_size() == 1:
        return action()
    message: list[_Success[Result] | BadInput | None] = [_outcome(action) if is_first() else None]
    with naming_lost_processes():
        dist.broadcast_object_list(message)
    (received,) = message
    assert received is not None
    return _result(received)


def run_on_all(action: Callable[[], Result]) -> list[Result]:
    """Run a function in every process; return the results of all processes, in all of them.

    Raises:
        BadInput: raised by the function in any process, in all processes.
        Lost: another process is gone.
    """
    outcome = _outcome(action)
    outcomes: list[_Success[Result] | BadInput] = [outcome] * world_size()
    if world_size() > 1:
        with naming_lost_processes():
            dist.all_gather_object(outcomes, outcome)
    return [_result(each) for each in outcomes]


class _Success(Generic[Result]):
    """The result of a function that returned."""

    def __init__(self, result: Result) -> None:
        self.result = result


def _outcome(action: Callable[[], Result]) -> "_Success[Result] | BadInput":
    """Run a function; return its result, or the `BadInput` that it raised."""
    try:
        return _Success(action())
    except BadInput as error:
        return error


def _result(outcome: "_Success[Result] | BadInput") -> Result:
    """Return the result, or raise the `BadInput`."""
    if isinstance(outcome, BadInput):
        raise outcome
    return outcome.result


def any_process(*flags: bool) -> tuple[bool, ...]:
    """Return, for each flag, whether it is set in any process.

    Raises:
        Lost: another process is gone.
    """
    if world_size() == 1:
        return flags
    raised = torch.tensor(flags, dtype=torch.uint8)
    with naming_lost_processes():
        dist.all_reduce(raised, dist.ReduceOp.MAX)
    return tuple(map(bool, raised.tolist()))


@contextmanager
def naming_lost_processes() -> Iterator[None]:
    """Turn communication errors into one line.

    Raises:
        Lost: another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(word in str(error).lower() for word in ("peer", "gloo", "nccl")):
            raise Lost("another process of this job is gone, and training cannot go on without it") from error
        raise
