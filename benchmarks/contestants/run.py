"""Time a contestant in its own process: python -m benchmarks.contestants.run NAME WORKLOAD DEVICE [EPOCHS].

Prints examples per second, after a short untimed training, as JSON.
"""

import contextlib
import importlib
import io
import json
import logging
import sys
import tempfile
import time
import warnings

import torch

from benchmarks.workloads import WORKLOADS


def main(name: str, key: str, device: str, epochs: str = "0") -> None:
    """Train twice, and time the second training."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    workload = WORKLOADS[key]
    count, x = int(epochs) or workload.epochs, workload.data()
    train = importlib.import_module(f"benchmarks.contestants.{name}").train
    noise = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(noise):
        train(workload, x[: 4 * workload.batch], 1, device)
        settle(device)
        start = time.perf_counter()
        seconds = train(workload, x, count, device)
        settle(device)
        seconds = seconds or time.perf_counter() - start
    print(json.dumps(count * len(x) / seconds))


def settle(device: str) -> None:
    """Wait until a GPU has finished."""
    if device == "cuda":
        torch.cuda.synchronize()


main(*sys.argv[1:])
