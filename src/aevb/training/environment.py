"""The processes of a job, which `torchrun` starts on one machine or many: most often there is one.

The first process alone writes, and says when a checkpoint is due; training ends where any of them is asked to stop.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from aevb.errors import BadInput, Lost

Answer = TypeVar("Answer")
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, such as for the first one while it validates."""


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Be one of the processes of a job, if `torchrun` has started this one; gives the device that is its own."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield device
        with together():
            dist.barrier()  # one that leaves early would be taken for lost
    finally:
        dist.destroy_process_group()


def count() -> int:
    """N, the processes of this job."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that writes."""
    return count() == 1 or dist.get_rank() == 0


def by_the_first(action: Callable[[], Answer]) -> Answer:
    """Let the first process do something while the others wait; its answer or its error in all of them.

    Raises:
        BadInput: what went wrong in the first process.
        Lost: another process is gone.
    """
    if count() == 1:
        return action()
    told: list[Any] = [None, None]
    if is_first():
        try:
            told[0] = action()
        except BadInput as error:
            told[1] = error
    with together():
        dist.broadcast_object_list(told)
    if told[1]:
        raise told[1]
    return told[0]  # type: ignore[no-any-return]


def agreed(*flags: bool) -> tuple[bool, ...]:
    """Which of these any process says.

    Raises:
        Lost: another process is gone.
    """
    if count() == 1:
        return flags
    raised = torch.tensor(flags, dtype=torch.uint8)
    with together():
        dist.all_reduce(raised, dist.ReduceOp.MAX)
    return tuple(map(bool, raised.tolist()))


@contextmanager
def together() -> Iterator[None]:
    """What goes wrong between processes in one line."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(word in str(error).lower() for word in ("peer", "gloo", "nccl")):
            raise Lost("another process of this job is gone, and training cannot go on without it") from error
        raise
