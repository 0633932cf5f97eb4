"""Time a training of `aevb` and the kernels of its steps: python -m benchmarks.gpu.rates TITLE WORKLOAD DEVICE.

A training of `STEPS` steps, which is captured on its own where it can be. The epochs after the first are timed, until
they have taken `SECONDS`; then the kernels of the next steps are recorded. Prints the rate as JSON.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import ceil
from statistics import median
from typing import Literal, NamedTuple
from unittest.mock import patch

from aevb.training import policy
from aevb.training.history import Epoch
from benchmarks.contestants.ours import together
from benchmarks.contestants.profiled import STEPS as RECORDED
from benchmarks.contestants.profiled import Speed, kernel_seconds, profiler
from benchmarks.contestants.run import quietly, settle
from benchmarks.workloads import WORKLOADS, Workload

STEPS = 5_000
"""Number of steps that the training would have: more than capture requires, and fewer than compilation does."""
SECONDS = 2.0
"""Least duration of the timed epochs, unless the training ends before."""
NEVER = 10**12
"""Number of steps that no training has."""


class Row(NamedTuple):
    """A way to train.

    Attributes:
        seeds: number of stacked models.
        compile: as in `TrainConfig`.
        capture: whether steps may be captured.
    """

    seeds: int = 1
    compile: Literal["auto", "on", "off"] = "auto"
    capture: bool = True


ROWS = {
    "aevb, eager": Row(capture=False),
    "aevb": Row(),
    "aevb, compiled": Row(compile="on"),
    "aevb, eight stacked seeds": Row(seeds=8),
    "aevb, 64 stacked seeds": Row(seeds=64),
}


def main(title: str, key: str, device: str) -> None:
    """Measure a row and print it."""
    with quietly():
        speed = measured(ROWS[title], WORKLOADS[key], device)
    print(json.dumps(speed._asdict()))


def measured(row: Row, workload: Workload, device: str, steps: int = STEPS, seconds: float = SECONDS) -> Speed:
    """Return the speed of a training of so many steps, of whose epochs so many seconds are timed."""
    x, in_epoch = workload.data(), workload.examples // workload.batch
    epochs = max(3, ceil(steps / in_epoch))
    watch = _Watch(device, epochs - 1, min(RECORDED, in_epoch - 1), seconds / row.seeds)
    with _capture(row.capture), suppress(_Enough):
        together(workload, x, epochs, device, row.seeds, row.compile, watch.on_step, watch.on_epoch)
    step = row.seeds * median(watch.seconds) / in_epoch
    return Speed(row.seeds * workload.batch / step, step, watch.kernels)


@contextmanager
def _capture(allowed: bool) -> Iterator[None]:
    """Train in eager mode unless capture is allowed."""
    with patch.object(policy, "CAPTURE_FROM_STEPS", policy.CAPTURE_FROM_STEPS if allowed else NEVER):
        yield


class _Enough(Exception):
    """Ends a training whose speed has been measured."""


class _Watch:
    """Times the epochs after the first, then records the kernels of the next steps and ends the training.

    Args:
        device: cpu or cuda.
        last: number of the last epoch to time.
        steps: number of steps whose kernels are recorded.
        enough: seconds per model after which no further epoch is timed.

    Attributes:
        seconds: of each timed epoch, per model.
        kernels: seconds of the kernels of a step.
    """

    def __init__(self, device: str, last: int, steps: int, enough: float) -> None:
        self.seconds: list[float] = []
        self.kernels = 0.0
        self._device, self._last, self._steps, self._enough = device, last, steps, enough
        self._profiler, self._left = profiler(device), steps + 1
        self._timed = False

    def on_epoch(self, epoch: Epoch) -> None:
        """Note the seconds of an epoch."""
        if epoch.number == 1:
            return
        self.seconds.append(epoch.seconds)
        self._timed = epoch.number == self._last or sum(self.seconds) >= self._enough

    def on_step(self) -> None:
        """Count the steps after the timed epochs: the first starts the recording, and the last ends it."""
        if not self._timed:
            return
        if self._left == self._steps + 1:
            settle(self._device)
            self._profiler.start()
        self._left -= 1
        if not self._left:
            settle(self._device)
            self._profiler.stop()
            self.kernels = kernel_seconds(self._profiler) / self._steps
            raise _Enough


if __name__ == "__main__":
    main(*sys.argv[1:])
