"""Time a contestant in its own process: python -m benchmarks.contestants.run NAME WORKLOAD DEVICE [EPOCHS].

Prints examples per second, after a short untimed training, as JSON.
"""

import contextlib
import importlib
import io
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.workloads import WORKLOADS, Workload

Train = Callable[[Workload, Tensor, int, str], float | None]


def main(name: str, key: str, device: str, epochs: str = "0") -> None:
    """Train twice, and time the second training."""
    with quietly():
        result = rate(contestant(name), WORKLOADS[key], device, int(epochs))
    print(json.dumps(result))


def contestant(name: str) -> Train:
    """Return the training of a contestant."""
    train: Train = importlib.import_module(f"benchmarks.contestants.{name}").train
    return train


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Work in a temporary folder, without output."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def rate(train: Train, workload: Workload, device: str, epochs: int = 0) -> float:
    """Return the examples per second of a training of so many epochs, 0 for those of the workload."""
    count, x = epochs or workload.epochs, workload.data()
    train(workload, x[: 4 * workload.batch], 1, device)
    settle(device)
    start = time.perf_counter()
    seconds = train(workload, x, count, device)
    settle(device)
    return count * len(x) / (seconds or time.perf_counter() - start)


def settle(device: str) -> None:
    """Wait until a GPU has finished."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(*sys.argv[1:])
